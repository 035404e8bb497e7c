/* script.c: a command inside the instance, run by whoever can: exit 0 passes, 1 warns. */
#include "health/probe.h"

#include <stdlib.h>

struct script_token {
	struct health_probe *probe; /* NULL: nobody waits any more */
};

void
probe_script_forget(struct health_probe *p)
{
	if (p->script == NULL)
		return;
	p->script->probe = NULL;
	p->script = NULL;
}

static void
script_done(void *arg, int exit_code, const char *output)
{
	struct script_token *token = arg;
	struct health_probe *p = token->probe;

	free(token);
	if (p == NULL)
		return;
	p->script = NULL;
	enum health_status result = exit_code == 0   ? HEALTH_PASSING
				    : exit_code == 1 ? HEALTH_WARNING
						     : HEALTH_CRITICAL;
	probe_result(p, result, "%s", output != NULL ? output : "");
}

static int
script_check(struct health_probe *p, struct err *e)
{
	if (p->spec.run == NULL)
		return err_new(e, ERR_UNSUPPORTED,
		    "check type \"script\" is not supported here: nothing can run commands in this "
		    "instance");
	if (p->spec.argv[0] == NULL)
		return err_new(e, ERR_INPUT, "a script check needs a command");
	return 0;
}

static void
script_begin(struct health_probe *p)
{
	struct script_token *token = xcalloc(1, sizeof(*token));
	struct err e = ERR_INIT;

	token->probe = p;
	p->script = token;
	if (p->spec.run(
		p->spec.run_arg, p->spec.argv, p->spec.timeout_ns, script_done, token, &e) == 0)
		return;
	p->script = NULL;
	free(token);
	probe_result(p, HEALTH_CRITICAL, "%s", e.text);
}

static void
script_timed_out(struct health_probe *p)
{
	probe_result(p, HEALTH_CRITICAL, "Timed out running check: %s", p->spec.argv[0]);
}

const struct probe_kind probe_script = { "script", script_check, script_begin, script_timed_out };
