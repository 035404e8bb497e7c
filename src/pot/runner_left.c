#include "pot/runner_priv.h"

#include <string.h>

/*
 * What an earlier try of the same task has left. An asker that died between its request and the
 * answer asks again by the same name: then what runs, or has run, is what it wants. Where nobody
 * was left to ask again Nomad goes on under another name, "<task>_<invocation>_<allocation>" with
 * another invocation, and what is there is nobody's.
 */

enum { INVOCATION = 8, ALLOCATION = 36 };

static void
tell(struct runner_child *c, struct runner_reply *p, const struct runner_run *run)
{
	p->runs = arena_new(&c->mem, struct runner_run);
	p->runs[0] = *run;
	p->n_runs = 1;
	p->pot = run->pot;
}

int
runner_left_take(struct runner_child *c, struct runner_reply *p, struct err *e)
{
	struct pot_env *env = c->config->env;
	struct run *r = arena_new(&c->mem, struct run);
	struct runner_run run = { .pot = c->q->pot };
	struct keeper_exit x;
	struct err ignored = ERR_INIT;

	/* a start that is under way comes to its end first */
	autofd int lock = lock_pot(env, c->q->pot, LOCK_WAIT, e);
	if (lock < 0)
		return -1;
	bool recorded = run_read(env, c->q->pot, r, &ignored) == 0;
	if (recorded && runner_describe(c, r, &run, e) < 0)
		return -1;
	if (!run.running) {
		if (keeper_exit_read(run_dir(env, c->q->pot, &c->mem), &x, &ignored) < 0 ||
		    (recorded && strcmp(x.run_id, r->id) != 0))
			return 0;
		run = (struct runner_run){ .pot = c->q->pot,
			.run_id = arena_strdup(&c->mem, x.run_id) };
	}
	tell(c, p, &run);
	return 1;
}

/* Names of one task in one allocation that differ in the invocation alone. */
static bool
another_try(const char *name, const char *pot)
{
	size_t n = strlen(pot), tail = ALLOCATION + 1;

	if (n <= tail + INVOCATION + 1 || strlen(name) != n || strcmp(name, pot) == 0)
		return false;
	size_t head = n - tail - INVOCATION;
	return pot[head - 1] == '_' && pot[n - tail] == '_' && memcmp(name, pot, head) == 0 &&
	       strcmp(name + n - tail, pot + n - tail) == 0;
}

void
runner_left_clear(struct runner_child *c)
{
	struct pot_env *env = c->config->env;
	const struct pot_destroy_options o = { .force = true };
	struct err e = ERR_INIT;
	struct pot_strs names;

	if (pot_names(env, POT_KIND_POT, &c->mem, &names, &e) < 0)
		return;
	for (size_t i = 0; i < names.n; i++)
		if (another_try(names.at[i], c->q->pot) &&
		    pot_destroy(env, names.at[i], &o, &e) < 0 && e.kind != ERR_ABSENT)
			pot_say(env, POT_SAY_ERROR, "pot %s, which nobody wants any more: %s",
			    names.at[i], e.text);
}
