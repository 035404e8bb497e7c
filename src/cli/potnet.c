/* potnet: what scripts ask about addresses of pots. Same questions, options and codes as the
 * program of that name which came with the shell implementation. */
#include "cli/potnet.h"

#include "base/buf.h"
#include "base/ip.h"
#include "base/str.h"
#include "codec/json.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { LONG_JSON = 256, LONG_HELP };

struct question {
	struct pot_env *env; /* NULL where none is needed */
	struct arena mem;
	const char *bridge, *host, *size;
	bool json;
};

/* ---- show ---- */

static void
show_text(const char *network, const char *gateway, const struct pot_address *taken, size_t n)
{
	printf("network %s\n\tgateway : %s\n\taddresses taken:\n", network, gateway);
	for (size_t i = 0; i < n; i++)
		printf("\t\t%s\t%s\n", taken[i].ip, taken[i].by);
}

static void
show_json(const char *bridge, const char *network, const char *gateway,
    const struct pot_address *taken, size_t n)
{
	autobuf struct buf out = BUF_INIT;
	struct jsonw w = JSONW_INIT(&out);

	jsonw_object(&w);
	if (bridge != NULL)
		jsonw_kstr(&w, "name", bridge);
	jsonw_kstr(&w, "network", network);
	jsonw_kstr(&w, "gateway", gateway);
	jsonw_key(&w, "taken");
	jsonw_array(&w);
	for (size_t i = 0; i < n; i++) {
		jsonw_object(&w);
		jsonw_kstr(&w, "address", taken[i].ip);
		jsonw_kstr(&w, "by", taken[i].by);
		jsonw_end_object(&w);
	}
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	puts(buf_str(&out));
}

int
potnet_show(struct pot_env *env, const char *bridge, bool json, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct pot_bridge b = { .network = env->conf.network, .gateway = env->conf.gateway };
	struct pot_address *taken;
	size_t n;

	if ((bridge != NULL && pot_bridge_info(env, bridge, &mem, &b, e) < 0) ||
	    pot_addresses(env, bridge, &mem, &taken, &n, e) < 0)
		return -1;
	if (json)
		show_json(bridge, b.network, b.gateway, taken, n);
	else
		show_text(b.network, b.gateway, taken, n);
	return 0;
}

static int
ask_show(struct question *q, struct err *e)
{
	return potnet_show(q->env, q->bridge, q->json, e);
}

/* ---- the others ---- */

/* One word, or {"<key>": "<word>"}. */
static void
say(const struct question *q, const char *key, const char *word)
{
	autobuf struct buf out = BUF_INIT;
	struct jsonw w = JSONW_INIT(&out);

	if (!q->json) {
		puts(word);
		return;
	}
	jsonw_object(&w);
	jsonw_kstr(&w, key, word);
	jsonw_end_object(&w);
	puts(buf_str(&out));
}

static int
ask_next(struct question *q, struct err *e)
{
	char ip[IP_TEXT];

	if (pot_address_next(q->env, q->bridge, 4, ip, sizeof(ip), e) < 0)
		return -1;
	say(q, "address", ip);
	return 0;
}

static int
ask_validate(struct question *q, struct err *e)
{
	int family;

	return pot_address_check(q->env, q->bridge, q->host, &family, e);
}

static int
check_family(const struct question *q, int family, struct err *e)
{
	struct ip ip;

	if (!ip_parse(q->host, &ip) || (family != 0 && ip.family != family))
		return err_new(e, ERR_INPUT, "'%s' is no IP%s address", q->host,
		    family == AF_INET	 ? "v4"
		    : family == AF_INET6 ? "v6"
					 : "");
	return 0;
}

static int
ask_ipcheck(struct question *q, struct err *e)
{
	return check_family(q, 0, e);
}

static int
ask_ip4check(struct question *q, struct err *e)
{
	return check_family(q, AF_INET, e);
}

static int
ask_ip6check(struct question *q, struct err *e)
{
	return check_family(q, AF_INET6, e);
}

static int
ask_config(struct question *q, struct err *e)
{
	return pot_network_check(q->env, e);
}

static int
ask_new_net(struct question *q, struct err *e)
{
	char net[IPNET_TEXT], gateway[IP_TEXT];
	uint64_t hosts;

	if (!str_u64(q->size, 1U << 30, &hosts))
		return err_new(e, ERR_INPUT, "-s %s: is no number of hosts", q->size);
	if (pot_new_net(q->env, (unsigned)hosts, net, gateway, e) < 0)
		return -1;
	if (q->json) {
		printf("{\"net\":\"%s\",\"gateway\":\"%s\"}\n", net, gateway);
		return 0;
	}
	printf("net=%s\ngateway=%s\n", net, gateway);
	return 0;
}

static int
ask_etc_hosts(struct question *q, struct err *e)
{
	autobuf struct buf out = BUF_INIT;
	struct jsonw w = JSONW_INIT(&out);
	struct pot_strs lines;

	if (pot_etc_hosts(q->env, q->bridge, &q->mem, &lines, e) < 0)
		return -1;
	jsonw_array(&w);
	for (size_t i = 0; i < lines.n; i++) {
		jsonw_str(&w, lines.at[i]);
		if (!q->json)
			puts(lines.at[i]);
	}
	jsonw_end_array(&w);
	if (q->json)
		puts(buf_str(&out));
	return 0;
}

static const struct row {
	const char *name, *needs, *may, *meaning; /* option letters */
	int (*ask)(struct question *q, struct err *e);
	bool no_env;
} rows[] = {
	{ "show", "", "b", "the network and the addresses that are taken", ask_show, false },
	{ "next", "", "b", "the lowest free address", ask_next, false },
	{ "validate", "H", "b", "can a pot have this address?", ask_validate, false },
	{ "ipcheck", "H", "", "is it an address?", ask_ipcheck, true },
	{ "ip4check", "H", "", "an IPv4 address?", ask_ip4check, true },
	{ "ip6check", "H", "", "an IPv6 address?", ask_ip6check, true },
	{ "config-check", "", "", "do network, mask and gateway agree?", ask_config, false },
	{ "new-net", "s", "", "a network for a private bridge with that many pots", ask_new_net,
	    false },
	{ "etc-hosts", "", "b", "address and name of all pots of a bridge", ask_etc_hosts, false },
};

static void
help(FILE *to)
{
	static const struct {
		char letter;
		const char *text;
	} options[] = { { 'b', "-b bridge" }, { 'H', "-H address" }, { 's', "-s pots" } };

	fputs("usage: potnet QUESTION [options] [--json]\n", to);
	for (size_t i = 0; i < NELEM(rows); i++) {
		char usage[80] = "";

		for (size_t k = 0; k < NELEM(options); k++) {
			size_t at = strlen(usage);

			if (strchr(rows[i].needs, options[k].letter) != NULL)
				snprintf(usage + at, sizeof(usage) - at, " %s", options[k].text);
			else if (strchr(rows[i].may, options[k].letter) != NULL)
				snprintf(usage + at, sizeof(usage) - at, " [%s]", options[k].text);
		}
		fprintf(to, "  %-12s%-12s  %s\n", rows[i].name, usage, rows[i].meaning);
	}
}

static const struct row *
row_named(const char *name)
{
	for (size_t i = 0; i < NELEM(rows); i++)
		if (str_eq(rows[i].name, name))
			return &rows[i];
	return NULL;
}

/* -1: go on; else the exit code. */
static int
parse(struct question *q, const struct row *row, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, LONG_JSON },
		{ "help", no_argument, NULL, LONG_HELP },
		{ NULL, 0, NULL, 0 },
	};
	int o;

	opterr = 0;
	while ((o = getopt_long(argc, argv, ":hvb:H:s:", longs, NULL)) != -1) {
		if (o == 'h' || o == LONG_HELP) {
			help(stdout);
			return 0;
		}
		if (o == LONG_JSON)
			q->json = true;
		else if (o == 'b' && strchr(row->may, o) != NULL)
			q->bridge = optarg;
		else if (o == 'H' && strchr(row->needs, o) != NULL)
			q->host = optarg;
		else if (o == 's' && strchr(row->needs, o) != NULL)
			q->size = optarg;
		else if (o != 'v') {
			fprintf(stderr, "potnet %s: wrong use of option -%c\n", row->name,
			    o == ':' || o == '?' ? optopt : o);
			return 1;
		}
	}
	if ((strchr(row->needs, 'H') != NULL && q->host == NULL) ||
	    (strchr(row->needs, 's') != NULL && q->size == NULL)) {
		fprintf(stderr, "potnet %s: option -%s is missing\n", row->name, row->needs);
		return 1;
	}
	return -1;
}

int
potnet_main(int argc, char **argv)
{
	struct question q = { .mem = ARENA_INIT };
	const struct row *row = argc > 1 ? row_named(argv[1]) : NULL;
	struct err e = ERR_INIT;

	if (argc > 1 && (str_eq(argv[1], "-h") || str_eq(argv[1], "--help"))) {
		help(stdout);
		return 0;
	}
	if (row == NULL) {
		if (argc > 1)
			fprintf(stderr, "potnet: '%s' is no question that it answers\n", argv[1]);
		help(stderr);
		return 1;
	}
	int rc = parse(&q, row, argc - 1, argv + 1);
	if (rc < 0) {
		rc = (!row->no_env && pot_env_open(&q.env, &e) < 0) || row->ask(&q, &e) < 0;
		if (rc != 0)
			fprintf(stderr, "potnet %s: %s\n", row->name, e.text);
	}
	pot_env_close(q.env);
	arena_fini(&q.mem);
	return fflush(stdout) != 0 ? 1 : rc;
}
