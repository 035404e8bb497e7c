/* Looking at what pots have of the machine: show, net, ports. */
#include "cli/pot_cli.h"
#include "cli/table.h"

#include "base/str.h"

#include <inttypes.h>

#define GROUP "Information"
#define END                                                                                        \
	{                                                                                          \
		0                                                                                  \
	}

/* ---- show ---- */

/* With -v: what belongs to it without being its own. */
static void
show_attached(struct pot_call *c, const struct pot_row *row)
{
	char text[SIZE_TEXT];
	struct pot_info info;
	uint64_t bytes;
	struct err e;

	if (row->spec == NULL || pot_info(c->env, row->name, &c->mem, &info, &e) < 0)
		return;
	if (row->spec->type == POT_MULTI &&
	    pot_dataset_usage(
		c->env, arena_printf(&c->mem, "bases/%s", row->spec->base), &bytes, &e) == 0)
		printf("\tbase usage      : %s\n", size_text(bytes, text));
	for (size_t i = 0; i < info.n_mounts; i++) {
		const char *source = info.mounts[i].source;
		if (source[0] != '/' && pot_dataset_usage(c->env, source, &bytes, &e) == 0)
			printf("\tdataset %s usage : %s\n", source, size_text(bytes, text));
	}
}

static void
show_ports(const struct pot_row *row)
{
	if (row->state.n_maps == 0)
		return;
	puts("\tNetwork port redirection");
	for (size_t i = 0; i < row->state.n_maps; i++)
		printf("\t\t%s* port %u -> %s port %u\n", row->state.maps[i].udp ? "udp " : "",
		    row->state.maps[i].host_port, row->spec != NULL ? row->spec->ip : "",
		    row->state.maps[i].pot_port);
}

static void
show_usage(struct pot_call *c, const struct pot_row *row, const struct pot_usage *u)
{
	char text[SIZE_TEXT];

	printf("pot %s\n\tdisk usage      : %s\n", row->name,
	    u->disk_hidden ? "only root can tell" : size_text(u->disk_bytes, text));
	if (c->verbosity > 1)
		show_attached(c, row);
	if (u->running) {
		printf("\tvirtual memory  : %s\n", size_text(u->virtual_bytes, text));
		printf("\tphysical memory : %s\n", size_text(u->rss_bytes, text));
		printf("\tswap memory     : %s\n", size_text(u->swap_bytes, text));
		if (u->memory_limit_bytes > 0)
			printf("\tmemory limit    : %s\n", size_text(u->memory_limit_bytes, text));
		printf("\tcpu time        : %.3f s\n", (double)u->cpu_ns / 1e9);
		printf("\tcpu use         : %.1f %%\n", pot_cpu_percent(c->env, row->name, u));
		printf("\tprocesses       : %u\n", u->pids);
	}
	if (row->spec != NULL && row->spec->rss_cpus > 0)
		printf("\tmax amount of CPUs: %u\n", row->spec->rss_cpus);
	if (u->running && u->cpus != NULL && u->cpus[0] != '\0')
		printf("\tallocated CPUs    : %s\n", u->cpus);
	putchar('\n');
	show_ports(row);
}

static void
show_json(struct jsonw *w, const struct pot_row *row, const struct pot_usage *u)
{
	jsonw_object(w);
	jsonw_kstr(w, "name", row->name);
	jsonw_kbool(w, "active", u->running);
	if (!u->disk_hidden)
		jsonw_kuint(w, "disk_bytes", u->disk_bytes);
	if (u->running) {
		jsonw_kuint(w, "virtual_bytes", u->virtual_bytes);
		jsonw_kuint(w, "rss_bytes", u->rss_bytes);
		jsonw_kuint(w, "cache_bytes", u->cache_bytes);
		jsonw_kuint(w, "swap_bytes", u->swap_bytes);
		jsonw_kuint(w, "memory_limit_bytes", u->memory_limit_bytes);
		jsonw_kuint(w, "cpu_ns", u->cpu_ns);
		jsonw_kuint(w, "pids", u->pids);
		jsonw_kstr(w, "cpus", u->cpus);
	}
	jsonw_end_object(w);
}

/* One that cannot be read does not hide the others. */
static void
show_corrupted(struct pot_call *c, const struct pot_row *row, struct jsonw *w)
{
	if (!c->json) {
		printf("pot %s\n\tcorrupted : %s\n\n", row->name, row->why);
		return;
	}
	jsonw_object(w);
	jsonw_kstr(w, "name", row->name);
	jsonw_kstr(w, "corrupted", row->why);
	jsonw_end_object(w);
}

/* 1 shown, 0 none of them, -1 failed (and told). */
static int
show_rows(
    struct pot_call *c, const struct pot_row *rows, size_t n, const char *only, struct jsonw *w)
{
	int shown = 0;

	for (size_t i = 0; i < n; i++) {
		struct pot_usage u;
		struct err e;

		if (only != NULL && !str_eq(only, rows[i].name))
			continue;
		shown = 1;
		if (given(c, 'q') && only == NULL) {
			puts(rows[i].name);
			continue;
		}
		if (rows[i].spec == NULL && only == NULL) {
			show_corrupted(c, &rows[i], w);
			continue;
		}
		if (pot_usage(c->env, rows[i].name, true, &c->mem, &u, &e) < 0) {
			if (e.kind == ERR_ABSENT && only == NULL) /* it went meanwhile */
				continue;
			fail(c, &e);
			return -1;
		}
		if (c->json)
			show_json(w, &rows[i], &u);
		else
			show_usage(c, &rows[i], &u);
	}
	return shown;
}

static int
run_show(struct pot_call *c)
{
	const char *only = given_pot(c);
	bool all = given(c, 'a') || only != NULL;
	struct pot_row *rows;
	struct err e;
	size_t n;

	if (given(c, 'a') + given(c, 'r') + (only != NULL) > 1)
		return fail_usage(c, "-a, -r and -p exclude each other");
	if (pot_list(c->env, !all, &c->mem, &rows, &n, &e) < 0)
		return fail(c, &e);
	struct jsonw w = json_begin(c);
	jsonw_array(&w);
	int shown = show_rows(c, rows, n, only, &w);
	jsonw_end_array(&w);
	if (shown < 0)
		return 1;
	if (shown == 0 && only != NULL) {
		err_new(&e, ERR_ABSENT, "pot %s does not exist", only);
		return fail(c, &e);
	}
	return c->json ? json_done(c) : 0;
}

static const struct pot_option show_options[] = {
	{ 'p', "pot", COMPLETE_POT, 0, "only this one" },
	{ 'a', NULL, 0, 0, "all pots" },
	{ 'r', NULL, 0, 0, "running pots (default)" },
	{ 'q', NULL, 0, 0, "only names" },
	END,
};
const struct pot_command pot_cmd_show = { "show", NULL,
	"what pots use: disk, memory, processors, ports", COMMAND_JSON | COMMAND_NAME, show_options,
	NULL, run_show, GROUP };

/* ---- net ---- */

static void
json_pairs(struct jsonw *w, const char *key, const struct pot_pairs *pairs)
{
	jsonw_key(w, key);
	jsonw_array(w);
	for (size_t i = 0; i < pairs->n; i++) {
		jsonw_object(w);
		jsonw_kstr(w, "interface", pairs->at[i].link);
		jsonw_kstr(w, "pot", pairs->at[i].pot);
		jsonw_kstr(w, "ip", pairs->at[i].ip);
		jsonw_kstr(w, "ip6", pairs->at[i].ip6);
		jsonw_end_object(w);
	}
	jsonw_end_array(w);
}

static int
net_json(struct pot_call *c, const struct pot_net_view *v)
{
	struct jsonw w = json_begin(c);

	jsonw_object(&w);
	jsonw_kstr(&w, "bridge", v->bridge);
	jsonw_kbool(&w, "up", v->up);
	jsonw_kstr(&w, "gateway", v->gateway);
	jsonw_kstr(&w, "network", v->network);
	jsonw_kstr(&w, "gateway6", v->gateway6);
	jsonw_kstr(&w, "network6", v->network6);
	json_pairs(&w, "pairs", &v->pairs);
	json_pairs(&w, "aliases", &v->aliases);
	jsonw_key(&w, "private_bridges");
	jsonw_array(&w);
	for (size_t i = 0; i < v->n_private; i++) {
		jsonw_object(&w);
		jsonw_kstr(&w, "name", v->private[i].bridge.name);
		jsonw_kstr(&w, "bridge", v->private[i].bridge.link);
		jsonw_kbool(&w, "up", v->private[i].bridge.up);
		jsonw_kstr(&w, "gateway", v->private[i].bridge.gateway);
		jsonw_kstr(&w, "network", v->private[i].bridge.network);
		json_pairs(&w, "pairs", &v->private[i].pairs);
		jsonw_end_object(&w);
	}
	jsonw_end_array(&w);
	jsonw_key(&w, "ports");
	jsonw_array(&w);
	for (size_t i = 0; i < v->n_maps; i++) {
		jsonw_object(&w);
		jsonw_kstr(&w, "protocol", v->maps[i].udp ? "udp" : "tcp");
		jsonw_kint(&w, "host_port", v->maps[i].host_port);
		jsonw_kstr(&w, "pot", v->maps[i].pot);
		jsonw_kstr(&w, "ip", v->maps[i].ip);
		jsonw_kint(&w, "pot_port", v->maps[i].pot_port);
		jsonw_end_object(&w);
	}
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	return json_done(c);
}

static const char *
or_dash(const char *s)
{
	return s != NULL && s[0] != '\0' ? s : "-";
}

static void
net_rows(struct table *t, const char *bridge, const struct pot_pairs *pairs)
{
	for (size_t i = 0; i < pairs->n; i++)
		table_row(t, or_dash(pairs->at[i].link), bridge, or_dash(pairs->at[i].pot),
		    or_dash(pairs->at[i].ip), or_dash(pairs->at[i].ip6), NULL);
}

static int
run_net(struct pot_call *c)
{
	autotable struct table t = TABLE_INIT(5);
	size_t pots;
	struct pot_net_view v;
	struct err e;

	if (pot_net_view(c->env, true, &c->mem, &v, &e) < 0)
		return fail(c, &e);
	if (c->json)
		return net_json(c, &v);
	printf("bridge %s: %s\n\tinet %s (network %s)\n", v.bridge, v.up ? "up" : "down",
	    or_dash(v.gateway), or_dash(v.network));
	if (v.gateway6 != NULL && v.gateway6[0] != '\0')
		printf("\tinet6 %s (network %s)\n", v.gateway6, or_dash(v.network6));
	table_row(&t, "Interface", "Bridge", "Pot", "IPv4", "IPv6", NULL);
	net_rows(&t, v.bridge, &v.pairs);
	pots = v.pairs.n + v.aliases.n;
	for (size_t i = 0; i < v.n_private; i++) {
		const struct pot_bridge *b = &v.private[i].bridge;

		printf("private bridge %s (%s): %s\n\tinet %s (network %s)\n", b->name, b->link,
		    b->up ? "up" : "down", b->gateway, b->network);
		net_rows(&t, b->name, &v.private[i].pairs);
		pots += v.private[i].pairs.n;
	}
	net_rows(&t, "-", &v.aliases);
	if (pots == 0)
		return 0;
	putchar('\n');
	table_print(&t);
	return 0;
}

const struct pot_command pot_cmd_net = { "net", NULL,
	"the bridges and the pairs that join pots to them", COMMAND_JSON, NULL, NULL, run_net,
	GROUP };

static int
run_ports(struct pot_call *c)
{
	const char *only = given_pot(c);
	autotable struct table t = TABLE_INIT(5);
	struct pot_net_view v;
	struct err e;

	if (pot_net_view(c->env, false, &c->mem, &v, &e) < 0)
		return fail(c, &e);
	if (only != NULL) {
		size_t n = 0;

		for (size_t i = 0; i < v.n_maps; i++)
			if (str_eq(v.maps[i].pot, only))
				v.maps[n++] = v.maps[i];
		v.n_maps = n;
	}
	if (c->json)
		return net_json(c, &v);
	table_row(&t, "Proto", "Host port", "Pot", "Address", "Pot port", NULL);
	for (size_t i = 0; i < v.n_maps; i++) {
		table_cell(&t, v.maps[i].udp ? "udp" : "tcp");
		table_cellf(&t, "%u", v.maps[i].host_port);
		table_cell(&t, or_dash(v.maps[i].pot));
		table_cell(&t, or_dash(v.maps[i].ip));
		table_cellf(&t, "%u", v.maps[i].pot_port);
	}
	table_print(&t);
	return 0;
}

static const struct pot_option ports_options[] = {
	{ 'p', "pot", COMPLETE_RUNNING, 0, "only those of this one" },
	END,
};
const struct pot_command pot_cmd_ports = { "ports", NULL, "the host's ports that lead to pots",
	COMMAND_JSON | COMMAND_NAME, ports_options, NULL, run_ports, GROUP };
