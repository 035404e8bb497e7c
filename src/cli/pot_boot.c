/* Pots that come and go with the machine: what the system's start-up calls. */
#include "cli/pot_cli.h"

#include "base/str.h"

#define END                                                                                        \
	{                                                                                          \
		0                                                                                  \
	}

struct telling {
	struct pot_call *c;
	struct jsonw w;
	const char *done, *not_done;
};

static void
tell(void *ctx, const struct pot_boot_row *row)
{
	struct telling *t = ctx;

	if (!t->c->json) {
		if (row->why != NULL)
			say_error(t->c, "pot %s %s: %s", row->name, t->not_done, row->why);
		else
			say_info(t->c, "pot %s %s", row->name, row->done ? t->done : t->not_done);
		return;
	}
	jsonw_object(&t->w);
	jsonw_kstr(&t->w, "pot", row->name);
	jsonw_kbool(&t->w, "done", row->done);
	jsonw_kstr(&t->w, "why", row->why);
	jsonw_end_object(&t->w);
}

static int
status(struct pot_call *c, struct telling *t, struct err *e)
{
	t->done = "is up and running";
	t->not_done = "is not running";
	return pot_boot_status(c->env, tell, t, e);
}

/* `pot boot start -e`: what comes behind the word is meant as if it stood before. */
static bool
late_options(struct pot_call *c, struct pot_boot_options *o)
{
	for (int i = 1; i < c->argc; i++) {
		if (str_eq(c->argv[i], "-e") || str_eq(c->argv[i], "--early"))
			o->early = true;
		else if (str_eq(c->argv[i], "-a"))
			o->all = true;
		else if (str_eq(c->argv[i], "-l"))
			o->output = true;
		else if (str_eq(c->argv[i], "--json"))
			c->json = true;
		else
			return false;
	}
	return true;
}

static int
run_boot(struct pot_call *c)
{
	struct telling t = { .c = c };
	struct pot_boot_options o = { .early = given(c, 'e'),
		.all = given(c, 'a'),
		.output = given(c, 'l'),
		.tell = tell,
		.ctx = &t };
	const char *what = c->argc > 0 && late_options(c, &o) ? c->argv[0] : "";
	uint64_t jobs = 0;
	struct err e;
	int failed;

	if (given(c, 'j') && (!str_u64(given_one(c, 'j'), 1000, &jobs) || jobs == 0))
		return fail_usage(c, "-j %s: is no number", given_one(c, 'j'));
	o.jobs = (unsigned)jobs;
	t.w = json_begin(c);
	jsonw_array(&t.w);
	if (str_eq(what, "start")) {
		t.done = "is up";
		t.not_done = "does not start";
		failed = pot_boot_start(c->env, &o, &e);
	} else if (str_eq(what, "stop")) {
		t.done = "is stopped";
		t.not_done = "does not stop";
		failed = pot_boot_stop(c->env, &o, &e);
	} else if (str_eq(what, "status")) {
		failed = status(c, &t, &e);
	} else {
		return fail_usage(c, "one of start, stop, status is needed");
	}
	if (failed < 0)
		return fail(c, &e);
	jsonw_end_array(&t.w);
	if (c->json)
		(void)json_done(c);
	return failed > 0;
}

static const struct pot_option boot_options[] = {
	{ 'e', NULL, 0, 0, "the pots with early-start-at-boot, not those with start-at-boot",
	    "early" },
	{ 'a', NULL, 0, 0, "stop: all that run but the early ones, marked or not" },
	{ 'l', NULL, 0, 0, "start: their output goes where the output of this command goes" },
	{ 'j', "number", 0, 0, "how many at a time" },
	END,
};
const struct pot_command pot_cmd_boot = { "boot", NULL,
	"start the pots that are marked for it in the order of their dependencies, or stop them",
	COMMAND_JSON | COMMAND_ARGS, boot_options, "start|stop|status", run_boot, "Running" };
