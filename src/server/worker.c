/*
 * worker.c: one evaluation: the scheduler's plan for it, verified, becomes a command.
 */
#include "server/inside.h"

#include <inttypes.h>

static void
seed(struct server *s, uint64_t out[2])
{
	char id[37];

	/* 122 bits of the world's chance (or of the simulation's seed) */
	s->env.uuid(s->env.ctx, id);
	out[0] = out[1] = 0;
	for (int i = 0, digits = 0; id[i] != '\0'; i++) {
		if (id[i] == '-')
			continue;
		unsigned d = (unsigned)(id[i] <= '9' ? id[i] - '0' : id[i] - 'a' + 10);
		out[digits / 16] = out[digits / 16] << 4 | (d & 15);
		digits++;
	}
}

static struct eval *
copy_eval(const struct eval *ev, struct arena *mem)
{
	return arena_memdup(mem, ev, sizeof(*ev));
}

/* At most one blocked evaluation per job: those there already give way. */
static void
cancel_blocked(
    struct server *s, struct command *c, const struct eval *ev, const char *why, struct arena *mem)
{
	VEC_FOREACH (const struct eval **, b, &s->broker.blocked) {
		if (!str_eq((*b)->job_id, ev->job_id) || !str_eq((*b)->namespace, ev->namespace) ||
		    str_eq((*b)->id, ev->id))
			continue;
		struct eval *old = copy_eval(*b, mem);
		old->status = "canceled";
		old->status_description = why;
		objs_add(&c->evals, mem, old);
	}
}

static void
take_outcome(struct eval *ev, const struct plan *p)
{
	ev->failed_tg_allocs = p->failed;
	ev->queued_allocations = p->queued;
	ev->class_eligibility = p->class_eligibility;
	ev->escaped_computed_class = p->escaped;
	if (p->deployment_id != NULL)
		ev->deployment_id = p->deployment_id;
}

static struct eval *
make_blocked(struct server *s, const struct eval *ev, const struct plan *p, struct arena *mem)
{
	struct eval *b = arena_new(mem, struct eval);

	b->id = server_uuid(s, mem);
	b->namespace = ev->namespace;
	b->priority = ev->priority;
	b->type = ev->type;
	b->triggered_by = "queued-allocs";
	b->job_id = ev->job_id;
	b->job_modify_index = ev->job_modify_index;
	b->status = "blocked";
	b->status_description = "created to place remaining allocations";
	b->previous_eval = ev->id;
	b->class_eligibility = p->class_eligibility;
	b->escaped_computed_class = p->escaped;
	b->failed_tg_allocs = p->failed;
	b->queued_allocations = p->queued;
	return b;
}

static bool
same_failure(const struct eval *ev, const struct plan *p)
{
	struct eval a = { .failed_tg_allocs = ev->failed_tg_allocs,
		.queued_allocations = ev->queued_allocations };
	struct eval b = { .failed_tg_allocs = p->failed, .queued_allocations = p->queued };

	return model_equal(&eval_model, &a, &b);
}

static void
add_outcome(struct server *s, struct command *c, const struct eval *ev, const struct plan *p,
    struct arena *mem)
{
	struct eval *done = copy_eval(ev, mem);

	done->snapshot_index = (int64_t)state_index(s->state);
	take_outcome(done, p);
	if (p->failed.n == 0) {
		done->status = "complete";
		done->status_description = NULL;
		done->failed_tg_allocs = (struct objmap){ 0 };
		cancel_blocked(s, c, ev, "a later evaluation has placed everything", mem);
	} else if (str_eq(ev->status, "blocked")) {
		cancel_blocked(s, c, ev, "existing blocked evaluation for this job", mem);
	} else {
		struct eval *b = make_blocked(s, ev, p, mem);
		done->status = "complete";
		done->blocked_eval = b->id;
		cancel_blocked(s, c, ev, "a newer blocked evaluation exists for this job", mem);
		objs_add(&c->evals, mem, b);
	}
	objs_add(&c->evals, mem, done);
}

static void
fail_eval(struct server *s, const struct eval *ev, const char *why, struct arena *mem)
{
	struct command c = server_command(s, "EvaluationFailed");
	struct eval *done = copy_eval(ev, mem);

	log_warn("scheduler", "evaluation %s of job \"%s\" failed: %s", ev->id, ev->job_id, why);
	done->status = "failed";
	done->status_description = why;
	objs_add(&c.evals, mem, done);
	server_propose(s, &c, NULL, NULL, NULL, NULL);
}

static void
propose_plan(struct server *s, const struct eval *ev, struct plan *p, struct arena *mem)
{
	struct command c = server_command(s, "PlanResult");

	c.deployment = p->deployment;
	c.deployment_updates = p->deployment_updates;
	c.alloc_stops = p->stops;
	c.allocs = p->allocs;
	c.evals = p->evals;
	add_outcome(s, &c, ev, p, mem);
	server_propose(s, &c, NULL, NULL, NULL, NULL);
}

void
worker_run(struct server *s, const struct eval *next)
{
	autoarena struct arena mem = ARENA_INIT;
	const struct eval *ev = state_eval(s->state, next->id);
	struct sched_input in = { .state = s->state, .eval = ev, .now = server_now(s) };
	struct plan *p = NULL;
	struct err e = ERR_INIT;

	if (ev == NULL || eval_terminal(ev))
		return;
	seed(s, in.seed);
	s->plans++;
	if (sched_run(&in, &mem, &p, &e) < 0) {
		fail_eval(s, ev, e.text, &mem);
		return;
	}
	if (str_eq(ev->status, "blocked") && plan_is_empty(p) && p->failed.n > 0 &&
	    same_failure(ev, p)) {
		broker_block(s, ev); /* nothing new to say */
		return;
	}
	if (sched_verify(s->state, p, &mem) > 0) {
		/* The scheduler saw the same state, so this is a mistake of ours, not a race. */
		fail_eval(s, ev, "the plan does not fit the nodes that it names", &mem);
		return;
	}
	propose_plan(s, ev, p, &mem);
}
