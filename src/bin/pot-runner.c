/*
 * pot-runner: the part of Potter's agent that is root.
 *
 *	pot-runner --monitor [--user NAME] [--root DIR]… [--raw-root] [--remove DIR] -- COMMAND…
 *		keeps the agent (COMMAND, as NAME) and a worker alive; DIR goes with them
 *	pot-runner --serve [--socket PATH] [--group NAME] [--root DIR]…
 *		the same requests at a socket, for others of that group: Nomad's agents
 *	pot-runner --worker --uid N --gid N [--root DIR]… [--raw-root | --no-raw] [--set KEY=VALUE]…
 *		serves requests on descriptor 3; started by both
 *	pot-runner --finish POT RUN_ID [CONF]
 *		walks a run down that has ended; started by its keeper
 */
#include "base/log.h"
#include "base/str.h"
#include "cli/pot_import.h"
#include "image/image.h"
#include "platform/facts.h"
#include "platform/proc.h"
#include "pot/monitor.h"
#include "pot/pot.h"
#include "pot/runner.h"
#include "pot/serve.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

enum { WORKER_FD = 3, ROOTS_MAX = 64, SETS_MAX = 16 };

static const char usage[] =
    "usage: pot-runner --monitor [--user NAME] [--root DIR]... [--raw-root] [--remove DIR]\n"
    "           -- COMMAND...\n"
    "       pot-runner --serve [--socket PATH] [--group NAME] [--root DIR]...\n"
    "       pot-runner --finish POT RUN_ID [CONF]\n"
    "It is started by 'potter agent' and by pot-keeper; pot-runner(8) tells more.\n";

struct options {
	bool monitor, worker, serve, raw_root, no_raw;
	const char *user, *remove, *socket, *group;
	uint64_t uid, gid, parent;
	const char *roots[ROOTS_MAX + 1];
	size_t n_roots;
	const char *sets[SETS_MAX + 1];
	size_t n_sets;
};

static int
failed(const struct err *e)
{
	log_error("pot-runner", "%s", e->text);
	return 1;
}

/* ---- images ---- */

struct importing {
	struct runner_child *child;
};

static void
on_progress(void *ctx, const char *what, uint64_t done, uint64_t total)
{
	struct importing *i = ctx;
	struct runner_reply p = {
		.kind = RUNNER_PROGRESS, .text = what, .done = done, .total = total
	};
	struct err e;

	(void)runner_say(i->child, &p, NULL, &e);
}

static bool
url_allowed(const char *url)
{
	return str_starts(url, "http://") || str_starts(url, "https://");
}

static int
import(const struct runner_config *c, const struct runner_request *q, struct runner_child *child,
    const volatile sig_atomic_t *stop, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct importing i = { .child = child };
	struct image_tool tool = { .program = arena_printf(&mem, "%s/pot-image", c->env->libexec),
		.stop = stop,
		.progress = on_progress,
		.ctx = &i };
	const char *key;

	/* a path would be read with rights that the asker has not, unless it is root itself */
	if (!url_allowed(q->url) && !(c->uid == 0 && str_starts(q->url, "file://")))
		return err_new(e, ERR_RIGHTS,
		    "images come from http:// and https:// registries, not from \"%s\"", q->url);
	if (import_key(c->env, NULL, &key, e) < 0)
		return -1;
	return import_image(c->env, &tool, q->url, key, q->image, q->tag, e);
}

/* ---- modes ---- */

/* Nobody reads what a finish writes; what went wrong belongs into the system's log. */
static void
say_to_log(void *ctx, enum pot_say_level level, const char *text)
{
	(void)ctx;
	if (level == POT_SAY_ERROR)
		syslog(LOG_DAEMON | LOG_ERR, "%s", text);
}

static int
finish(int argc, char **argv)
{
	autopotenv struct pot_env *env = NULL;
	struct err e = ERR_INIT;

	if (argc < 2 || argc > 3) {
		fputs(usage, stderr);
		return 2;
	}
	if (argc == 3 && setenv("POT_CONF", argv[2], 1) < 0) {
		err_sys(&e, "set POT_CONF");
		return failed(&e);
	}
	if (pot_env_open(&env, &e) < 0)
		return failed(&e);
	openlog("pot", LOG_PID, LOG_DAEMON);
	env->say = say_to_log;
	if (pot_finish(env, argv[0], argv[1], &e) == 0)
		return 0;
	syslog(LOG_DAEMON | LOG_ERR, "%s", e.text);
	return failed(&e);
}

/* What goes wrong beside a request, which succeeds all the same: a clean-up, an exec_stop. */
static void
say_beside(void *ctx, enum pot_say_level level, const char *text)
{
	(void)ctx;
	if (level == POT_SAY_ERROR)
		log_error("pot-runner", "%s", text);
}

static int
worker(const struct options *o)
{
	autopotenv struct pot_env *env = NULL;
	struct err e = ERR_INIT;
	struct stat st;

	if (fstat(WORKER_FD, &st) < 0 || !S_ISSOCK(st.st_mode)) {
		fputs(usage, stderr);
		return 2;
	}
	/* the sockets close as well when the monitor is killed, but the agent may hang */
	if (o->parent != 0 && proc_die_with_parent((pid_t)o->parent, SIGTERM, &e) < 0)
		return failed(&e);
	proc_title("pot-runner");
	if (pot_env_open_with(o->sets, &env, &e) < 0)
		return failed(&e);
	env->say = say_beside;
	struct runner_config config = { .env = env,
		.sock = WORKER_FD,
		.uid = (uid_t)o->uid,
		.gid = (gid_t)o->gid,
		.roots = o->roots,
		.raw_root = o->raw_root,
		.no_raw = o->no_raw,
		.import = import };
	return runner_main(&config, &e) < 0 ? failed(&e) : 0;
}

static int
monitor(const struct options *o, char **command)
{
	autoarena struct arena mem = ARENA_INIT;
	struct monitor_config config = { .program = facts_program(&mem),
		.user = o->user,
		.roots = o->roots,
		.raw_root = o->raw_root,
		.remove = o->remove,
		.command = command };
	struct err e = ERR_INIT;

	if (command[0] == NULL) {
		fputs(usage, stderr);
		return 2;
	}
	if (config.program == NULL) {
		err_new(
		    &e, ERR_UNSUPPORTED, "cannot tell the path of this program: is /proc mounted?");
		return failed(&e);
	}
	proc_title("pot-monitor");
	int code = monitor_main(&config, &e);
	return code < 0 ? failed(&e) : code;
}

static int
serve(const struct options *o)
{
	autopotenv struct pot_env *env = NULL;
	autoarena struct arena mem = ARENA_INIT;
	struct err e = ERR_INIT;

	if (pot_env_open(&env, &e) < 0)
		return failed(&e);
	struct serve_config config = { .env = env,
		.program = facts_program(&mem),
		.path = o->socket,
		.group = o->group,
		.roots = o->roots };
	if (geteuid() != 0)
		err_new(&e, ERR_RIGHTS, "pots need root: start it as a service of the system");
	else if (config.program == NULL)
		err_new(
		    &e, ERR_UNSUPPORTED, "cannot tell the path of this program: is /proc mounted?");
	else if (serve_main(&config, &e) == 0)
		return 0;
	return failed(&e);
}

static bool
one_option(struct options *o, int opt)
{
	switch (opt) {
	case 'm':
		o->monitor = true;
		return true;
	case 'w':
		o->worker = true;
		return true;
	case 'r':
		if (o->n_roots == ROOTS_MAX || optarg[0] != '/')
			return false;
		o->roots[o->n_roots++] = optarg;
		return true;
	case 'k':
		if (o->n_sets == SETS_MAX)
			return false;
		o->sets[o->n_sets++] = optarg;
		return true;
	case 'R':
		o->raw_root = true;
		return true;
	case 'N':
		o->no_raw = true;
		return true;
	case 's':
		o->serve = true;
		return true;
	case 'S':
		o->socket = optarg;
		return optarg[0] == '/';
	case 'G':
		o->group = optarg;
		return true;
	case 'U':
		o->user = optarg;
		return true;
	case 'D':
		o->remove = optarg;
		return optarg[0] == '/';
	case 'u':
		return str_u64(optarg, INT32_MAX, &o->uid);
	case 'g':
		return str_u64(optarg, INT32_MAX, &o->gid);
	case 'p':
		return str_u64(optarg, INT32_MAX, &o->parent);
	default:
		return false;
	}
}

int
main(int argc, char **argv)
{
	static const struct option options[] = { { "monitor", no_argument, NULL, 'm' },
		{ "worker", no_argument, NULL, 'w' }, { "user", required_argument, NULL, 'U' },
		{ "root", required_argument, NULL, 'r' }, { "raw-root", no_argument, NULL, 'R' },
		{ "uid", required_argument, NULL, 'u' }, { "gid", required_argument, NULL, 'g' },
		{ "parent", required_argument, NULL, 'p' },
		{ "remove", required_argument, NULL, 'D' }, { "serve", no_argument, NULL, 's' },
		{ "socket", required_argument, NULL, 'S' },
		{ "group", required_argument, NULL, 'G' }, { "no-raw", no_argument, NULL, 'N' },
		{ "set", required_argument, NULL, 'k' }, { NULL, 0, NULL, 0 } };
	struct options o = { .user = "potter", .uid = UINT64_MAX, .gid = UINT64_MAX };
	int opt;

	if (argc > 1 && strcmp(argv[1], "--finish") == 0)
		return finish(argc - 2, argv + 2);
	while ((opt = getopt_long(argc, argv, "+", options, NULL)) != -1)
		if (!one_option(&o, opt)) {
			fputs(usage, stderr);
			return 2;
		}
	if (o.serve && !o.monitor && !o.worker && optind == argc)
		return serve(&o);
	if (o.monitor && !o.worker && !o.serve)
		return monitor(&o, argv + optind);
	if (o.worker && !o.monitor && !o.serve && o.uid != UINT64_MAX && o.gid != UINT64_MAX &&
	    optind == argc)
		return worker(&o);
	fputs(usage, stderr);
	return 2;
}
