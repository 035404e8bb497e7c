/* Running: start, stop, run, term, exec. */
#include "cli/pot_cli.h"

#include "base/str.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define GROUP "Running"
#define END                                                                                        \
	{                                                                                          \
		0                                                                                  \
	}

enum { EXIT_COMMAND_FAILED = 125, EXIT_NOT_RUN = 126, EXIT_NOT_FOUND = 127, SIGNALLED = 128 };

/* ---- start ---- */

static int
start_json(struct pot_call *c, const char *name, const struct pot_exit *x)
{
	struct jsonw w = json_begin(c);

	jsonw_object(&w);
	jsonw_kstr(&w, "pot", name);
	jsonw_kstr(&w, "run_id", x->run_id);
	jsonw_kbool(&w, "already", x->already);
	jsonw_kbool(&w, "ended", x->ended);
	if (x->ended) {
		jsonw_kint(&w, "exit_code", x->code);
		jsonw_kint(&w, "signal", x->signal);
		jsonw_kbool(&w, "oom_killed", x->oom);
	}
	jsonw_end_object(&w);
	return json_done(c);
}

/* pot's codes: 125 when the command of a pot that does not stay has failed, 1 when one that should
 * stay is gone. */
static int
start_code(const struct pot_exit *x)
{
	if (x->already || !x->ended || x->stays)
		return 0;
	return x->code != 0 || x->signal != 0 ? EXIT_COMMAND_FAILED : 0;
}

/* The caller's input is not for the command: `pot ls -q | while read pot; do pot start …`. */
static int
run_start(struct pot_call *c)
{
	bool detach = given(c, 'd');
	struct pot_start_options opt = { .detach = detach,
		.stdio = detach ? POT_STDIO_NULL : POT_STDIO_INHERIT,
		.fds = { -1, STDOUT_FILENO, STDERR_FILENO },
		.snapshot = given(c, 's') || given(c, 'S'),
		.needs_ready_ms = (int64_t)c->env->conf.boot_wait * 1000 };
	const char *name = given_pot(c);
	const volatile sig_atomic_t *asked = call_catch_end();
	struct pot_exit x;
	struct err e;

	c->env->stop = asked;
	if (pot_start(c->env, name, &opt, &x, &e) < 0) {
		int code = fail(c, &e);

		return *asked != 0 ? SIGNALLED + *asked : code;
	}
	if (x.oom)
		say_info(c, "%s ran out of memory", name);
	if (x.signal != 0)
		say_debug(c, "%s was ended by signal %d", name, x.signal);
	if (c->json)
		(void)start_json(c, name, &x);
	return *asked != 0 ? SIGNALLED + *asked : start_code(&x);
}

static const struct pot_option start_options[] = {
	{ 'p', "pot", COMPLETE_POT, OPTION_MUST, "the pot" },
	{ 'd', NULL, 0, 0, "come back when the command runs; its output is dropped" },
	{ 's', NULL, 0, 0, "take a snapshot first" },
	{ 'S', NULL, 0, 0, "as -s" },
	END,
};
const struct pot_command pot_cmd_start = { "start", NULL,
	"start a pot, and wait for the end of its command (-d: until it runs)",
	COMMAND_ROOT | COMMAND_NAME | COMMAND_JSON, start_options, NULL, run_start, GROUP };

/* ---- stop ---- */

static int
run_stop(struct pot_call *c)
{
	const char *name = given_pot(c);
	struct err e;

	if (pot_stop(c->env, name, NULL, &e) == 0)
		return 0;
	int rc = fail(c, &e);
	/* As pot: a pot that does not exist is not running, which is what was asked for. */
	return e.kind == ERR_ABSENT ? 0 : rc;
}

static const struct pot_option stop_options[] = {
	{ 'p', "pot", COMPLETE_RUNNING, OPTION_MUST, "the pot" },
	{ 'i', "interfaces", 0, 0, "accepted and ignored" },
	{ 's', NULL, 0, 0, "accepted and ignored" },
	END,
};
const struct pot_command pot_cmd_stop = { "stop", NULL,
	"stop a pot, and clear up what is left of it", COMMAND_ROOT | COMMAND_NAME | COMMAND_JSON,
	stop_options, NULL, run_stop, GROUP };

/* ---- exec and terminals ---- */

/* On a terminal of its own, as large as ours, when asked and when there is one. */
static void
ask_for_terminal(struct pot_exec_options *opt)
{
	struct winsize size;

	if (!isatty(STDIN_FILENO))
		return;
	opt->tty = true;
	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0) {
		opt->rows = size.ws_row;
		opt->cols = size.ws_col;
	}
}

/* As a shell has it: 127 when a running pot has no such command, 126 when it may not be run. */
static int
not_run_code(struct pot_call *c, const char *pot, const struct err *e)
{
	struct pot_state s;
	struct err ignored;

	if (pot_state(c->env, pot, &c->mem, &s, &ignored) < 0 || s.running != POT_RUNNING)
		return 1;
	return e->kind == ERR_ABSENT ? EXIT_NOT_FOUND : e->kind == ERR_RIGHTS ? EXIT_NOT_RUN : 1;
}

static int
execute(struct pot_call *c, const char *pot, const struct pot_exec_options *opt)
{
	int status = 0;
	struct err e;

	fflush(stdout);
	if (pot_exec(c->env, pot, opt, &status, &e) == 0)
		return status;
	(void)fail(c, &e);
	return not_run_code(c, pot, &e);
}

static int
run_exec(struct pot_call *c)
{
	const char *const *argv = (const char *const *)c->argv;
	const char *pot = given_one(c, 'p');
	struct pot_exec_options opt = {
		.env = given_all(c, 'e'), .user = given_one(c, 'U'), .detach = given(c, 'd')
	};

	/* `pot exec web ls`: the name may also stand in front of the command. */
	if (pot == NULL && c->argc > 0) {
		pot = *argv++;
		c->argc--;
	}
	if (pot == NULL)
		return fail_usage(c, "option -p is mandatory");
	if (c->argc == 0)
		return fail_usage(c, "a command is needed");
	if (given(c, 'u') && given(c, 'U'))
		return fail_usage(c, "-u and -U exclude each other");
	if (given(c, 'u')) {
		const struct passwd *pw = getpwnam(given_one(c, 'u'));

		if (pw == NULL)
			return fail_usage(
			    c, "-u %s: this machine has no such user", given_one(c, 'u'));
		opt.user = arena_printf(&c->mem, "%ld", (long)pw->pw_uid);
	}
	opt.argv = argv;
	if (given(c, 't') && !opt.detach) {
		ask_for_terminal(&opt);
		opt.tty = true; /* also where this side has none: the command is to find one */
	}
	return execute(c, pot, &opt);
}

static const struct pot_option exec_options[] = {
	{ 'p', "pot", COMPLETE_RUNNING, 0, "the pot" },
	{ 'd', NULL, 0, 0, "leave it running in the background" },
	{ 't', NULL, 0, 0, "on a terminal" },
	{ 'e', "VAR=value", 0, OPTION_MANY, "a variable" },
	{ 'u', "user", 0, 0, "as this user of the host" },
	{ 'U', "user", 0, 0, "as this user of the pot" },
	END,
};
const struct pot_command pot_cmd_exec = { "exec", NULL, "run a command in a running pot",
	COMMAND_ROOT | COMMAND_ARGS, exec_options, "command [arguments]", run_exec, GROUP };

/* root's login shell, on a terminal when we have one. */
static int
shell_in(struct pot_call *c)
{
	const char *term = getenv("TERM");
	const char *env[] = { term != NULL ? arena_printf(&c->mem, "TERM=%s", term) : NULL, NULL };
	struct pot_exec_options opt = { .env = env };

	ask_for_terminal(&opt);
	return execute(c, given_pot(c), &opt);
}

/* Starts it when it does not run, without waiting for its end. */
static int
ensure_running(struct pot_call *c)
{
	struct pot_start_options opt = { .detach = true, .stdio = POT_STDIO_NULL };
	struct pot_exit x;
	struct err e;

	return pot_start(c->env, given_pot(c), &opt, &x, &e) < 0 ? fail(c, &e) : 0;
}

static int
run_term(struct pot_call *c)
{
	if (given(c, 'f') && ensure_running(c) != 0)
		return 1;
	return shell_in(c);
}

static int
run_run(struct pot_call *c)
{
	return ensure_running(c) != 0 ? 1 : shell_in(c);
}

static const struct pot_option term_options[] = {
	{ 'p', "pot", COMPLETE_RUNNING, OPTION_MUST, "the pot" },
	{ 'f', NULL, 0, 0, "start it first when it does not run" },
	END,
};
const struct pot_command pot_cmd_term = { "term", NULL, "a root shell in a running pot",
	COMMAND_ROOT | COMMAND_NAME, term_options, NULL, run_term, GROUP };

static const struct pot_option run_options[] = {
	{ 'p', "pot", COMPLETE_POT, OPTION_MUST, "the pot" },
	{ 'f', NULL, 0, 0, "accepted: this command always starts it" },
	END,
};
const struct pot_command pot_cmd_run = { "run", NULL,
	"start a pot when needed, and a root shell in it", COMMAND_ROOT | COMMAND_NAME, run_options,
	NULL, run_run, GROUP };
