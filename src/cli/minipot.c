/* minipot's verbs: options, and which function does what. */
#include "cli/minipot.h"
#include "cli/minipot_main.h"

#include "base/str.h"
#include "pot/pot.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct verb {
	const char *name;
	int (*run)(struct minipot *m);
	bool root; /* needs it */
	const char *usage, *what;
} verbs[] = {
	{ "init", minipot_init, true, "[-v] [-i ADDRESS]",
	    "set this machine up; twice is harmless" },
	{ "start", minipot_start, true, "[-v]", "start the agent, the ingress and the jobs" },
	{ "status", minipot_status, false, "[--json]", "what runs; exit status 0 when all does" },
	{ "stop", minipot_stop, true, "[-v]", "stop them; the jobs come back at the next start" },
	{ "destroy", minipot_destroy, true, "[-v]", "stop, and remove all that init made" },
};

static void
usage(FILE *out)
{
	fprintf(out, "usage: minipot COMMAND [options]\n\n");
	for (size_t i = 0; i < NELEM(verbs); i++)
		fprintf(
		    out, "  minipot %-8s %-18s %s\n", verbs[i].name, verbs[i].usage, verbs[i].what);
	fprintf(out,
	    "\nminipot-init and minipot-start are the same as minipot init and minipot start.\n");
}

static const struct verb *
find(const char *name)
{
	const char *names[NELEM(verbs)];

	for (size_t i = 0; i < NELEM(verbs); i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
		names[i] = verbs[i].name;
	}
	const char *near = str_nearest(name, names, NELEM(names));
	fprintf(stderr, "###> minipot: there is no command \"%s\"%s%s%s\n", name,
	    near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
	return NULL;
}

static int
options(struct minipot *m, const struct verb *v, int argc, char **argv)
{
	static const struct option longs[] = { { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	unsigned char binary[16];
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "+hvi:j", longs, NULL)) != -1)
		switch (c) {
		case 'h':
			printf("usage: minipot %s %s\n\n%s\n", v->name, v->usage, v->what);
			return 0;
		case 'v':
			m->verbose = true;
			break;
		case 'j':
			m->json = true;
			break;
		case 'i':
			if (inet_pton(AF_INET, optarg, binary) != 1 &&
			    inet_pton(AF_INET6, optarg, binary) != 1) {
				fprintf(stderr,
				    "###> minipot: -i %s: not an IPv4 or IPv6 address\n", optarg);
				return 1;
			}
			m->address = optarg;
			break;
		default:
			usage(stderr);
			return 1;
		}
	if (optind < argc) {
		fprintf(stderr, "###> minipot %s: unexpected \"%s\"\n", v->name, argv[optind]);
		return 1;
	}
	return -1;
}

static int
with_prefix(struct minipot *m, const struct verb *v)
{
	struct err e = ERR_INIT;
	autopotenv struct pot_env *env = NULL;

	if (pot_env_open(&env, &e) < 0)
		return minipot_fail(&e);
	m->prefix = env->prefix;
	m->config = arena_printf(&m->mem, "%s/etc/minipot/agent.hcl", m->prefix);
	m->registry = arena_printf(&m->mem, "%s/registry", service_places.data);
	m->pid_file = arena_printf(&m->mem, "%s/potter.pid", service_places.run);
	m->log = arena_printf(&m->mem, "%s/potter.log", service_places.logs);
	service_plan(m->prefix, m->config, m->pid_file, &m->service, &m->mem);
	char *ledger = arena_printf(&m->mem, "%s/minipot.ledger", service_places.data);
	if (v->root && ledger_open(&m->ledger, ledger, &e) < 0)
		return minipot_fail(&e);
	return v->run(m);
}

int
minipot_main(int argc, char **argv)
{
	struct minipot m = { .mem = ARENA_INIT, .ledger = LEDGER_INIT };
	const char *self = strrchr(argv[0], '/') != NULL ? strrchr(argv[0], '/') + 1 : argv[0];
	const char *name = str_starts(self, "minipot-") ? self + 8 : NULL;

	if (name == NULL) {
		if (argc < 2 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "-h") == 0 ||
		    strcmp(argv[1], "--help") == 0) {
			usage(argc < 2 ? stderr : stdout);
			return argc < 2;
		}
		if (strcmp(argv[1], "version") == 0 || strcmp(argv[1], "--version") == 0) {
			puts("minipot " POTTER_VERSION);
			return 0;
		}
		name = argv[1];
		argc--;
		argv++;
	}
	const struct verb *v = find(name);
	if (v == NULL)
		return 1;
	int rc = options(&m, v, argc, argv);
	if (rc < 0 && v->root && geteuid() != 0) {
		fprintf(stderr, "###> minipot %s: must be run as root\n", v->name);
		rc = 1;
	}
	if (rc < 0)
		rc = with_prefix(&m, v);
	ledger_fini(&m.ledger);
	arena_fini(&m.mem);
	return rc;
}
