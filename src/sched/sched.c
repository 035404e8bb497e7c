#include "sched/sched.h"

#include "sched/inside.h"

#include "base/ids.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

/* ---- chance: xoroshiro128+, seeded by the caller ---- */

uint64_t
sched_random(struct sched *s)
{
	uint64_t a = s->random[0], b = s->random[1], sum = a + b;

	b ^= a;
	s->random[0] = ((a << 24) | (a >> 40)) ^ b ^ (b << 16);
	s->random[1] = (b << 37) | (b >> 27);
	return sum;
}

const char *
sched_uuid(struct sched *s)
{
	uint64_t a = sched_random(s), b = sched_random(s);

	return arena_printf(s->mem, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(a >> 32),
	    (unsigned)(a >> 16) & 0xffff, (unsigned)a & 0xfff,
	    ((unsigned)(b >> 48) & 0x3fff) | 0x8000, (unsigned long long)b & 0xffffffffffffULL);
}

/* ---- deployments ---- */

static void
say_deployment(struct sched *s, const char *id, const char *status, const char *description)
{
	struct deployment_update *u = arena_new(s->mem, struct deployment_update);

	u->id = id;
	u->status = status;
	u->status_description = description;
	objs_add(&s->plan->deployment_updates, s->mem, u);
}

static void
find_deployment(struct sched *s)
{
	const struct eval *ev = s->in->eval;
	const struct deployment *d = state_job_deployment(s->state, ev->namespace, ev->job_id);

	if (d == NULL)
		return;
	if (s->stopped) {
		if (deployment_active(d))
			say_deployment(s, d->id, "cancelled", "Cancelled because job is stopped");
		s->old = d;
		return;
	}
	if (d->job_create_index != s->job->create_index || d->job_version != s->job->version) {
		if (deployment_active(d))
			say_deployment(
			    s, d->id, "cancelled", "Cancelled due to newer version of job");
		s->old = d;
		return;
	}
	s->failed = str_eq(d->status, "failed");
	s->paused = str_eq(d->status, "paused");
	if (!s->failed && !deployment_active(d)) {
		s->old = d;
		return;
	}
	s->active = d;
	if (!s->failed)
		s->made = model_copy(&deployment_model, d, s->mem);
}

static void
describe_canaries(struct deployment *d)
{
	bool wait = false, automatic = true;

	for (size_t i = 0; i < d->task_groups.n; i++) {
		const struct deployment_group *g = d->task_groups.value[i];
		if (g->desired_canaries == 0 || g->promoted)
			continue;
		wait = true;
		automatic = automatic && g->auto_promote;
	}
	if (wait)
		d->status_description = automatic
					    ? "Deployment is running pending automatic promotion"
					    : "Deployment is running but requires manual promotion";
}

static void
finish_deployment(struct sched *s)
{
	const struct plan *p = s->plan;

	if (p->deployment != NULL)
		describe_canaries(p->deployment);
	else if (s->active != NULL && !s->failed && s->complete && p->failed.n == 0)
		say_deployment(s, s->active->id, "successful", "Deployment completed successfully");
	if (s->made != NULL)
		s->plan->deployment_id = s->made->id;
}

/* ---- placing ---- */

static void
add_queued(struct sched *s, const char *group, int64_t n)
{
	int64_t *before = intmap_get(&s->plan->queued, group);

	intmap_set(&s->plan->queued, s->mem, group, (before != NULL ? *before : 0) + n);
}

static void
place_all(struct sched *s, const placement_list *todo)
{
	const struct task_group *g;

	if (!s->stopped)
		OBJS_FOREACH (g, &s->job->groups)
			add_queued(s, g->name, 0);
	VEC_FOREACH (struct placement *, p, todo)
		if (!sched_place(s, p))
			add_queued(s, p->group->name, 1);
}

/* "All at once": if something is missing, nothing of the plan is placed. */
static void
all_or_nothing(struct sched *s)
{
	if (s->job == NULL || !s->job->all_at_once || s->plan->failed.n == 0)
		return;
	const struct alloc *a;
	OBJS_FOREACH (a, &s->plan->allocs)
		add_queued(s, a->task_group, 1);
	s->plan->allocs.n = 0;
	s->plan->stops.n = 0;
}

static int
check_type(const struct sched *s, struct err *e)
{
	const char *type = s->job != NULL ? s->job->type : s->in->eval->type;

	if (str_eq(type, "service") || str_eq(type, "batch") || s->job == NULL)
		return 0;
	return err_new(e, ERR_UNSUPPORTED,
	    "jobs of type \"%s\" are not scheduled by this version; use \"service\" or \"batch\"",
	    type != NULL ? type : "");
}

int
sched_run(const struct sched_input *in, struct arena *mem, struct plan **out, struct err *e)
{
	struct sched s = { .in = in, .state = in->state, .mem = mem };
	placement_list todo = VEC_INIT;

	s.plan = arena_new(mem, struct plan);
	s.random[0] = in->seed[0];
	s.random[1] = in->seed[1] ^ 0x9e3779b97f4a7c15ULL; /* both 0 would stay 0 */
	for (int i = 0; i < 8; i++) /* seeds that differ little give streams that differ much */
		(void)sched_random(&s);
	s.job =
	    in->job != NULL ? in->job : state_job(in->state, in->eval->namespace, in->eval->job_id);
	s.stopped = s.job == NULL || s.job->stop;
	s.batch = str_eq(s.job != NULL ? s.job->type : in->eval->type, "batch");
	if (check_type(&s, e) < 0)
		return -1;
	if (!s.stopped)
		sched_collect_nodes(&s);
	find_deployment(&s);
	sched_reconcile(&s, &todo);
	place_all(&s, &todo);
	all_or_nothing(&s);
	finish_deployment(&s);
	VEC_FINI(&todo);
	*out = s.plan;
	return 0;
}

bool
plan_is_empty(const struct plan *p)
{
	return p->deployment == NULL && p->deployment_updates.n == 0 && p->stops.n == 0 &&
	       p->allocs.n == 0 && p->evals.n == 0;
}

/* ---- verifying ---- */

struct verify {
	struct sched s;
	struct plan stops_only;
	VEC(struct candidate) nodes;
};

static struct candidate *
booked(struct verify *v, const char *node_id)
{
	const struct node *n = state_node(v->s.state, node_id);

	VEC_FOREACH (struct candidate *, c, &v->nodes)
		if (str_eq(c->node->id, node_id))
			return c;
	if (n == NULL || !str_eq(n->status, "ready") ||
	    !str_eq(n->scheduling_eligibility, "eligible") || n->drain)
		return NULL;
	struct candidate *c = VEC_ADD(&v->nodes);
	c->node = n;
	sched_count(&v->s, c);
	return c;
}

static bool
ports_free(const struct candidate *c, const struct objs *ports)
{
	const struct port *p;

	OBJS_FOREACH (p, ports)
		if (p->value > 0 && p->value < PORTS &&
		    (c->ports[p->value / 64] >> (p->value % 64) & 1) != 0)
			return false;
	return true;
}

static bool
networks_free(const struct candidate *c, const struct objs *networks)
{
	const struct network *n;

	OBJS_FOREACH (n, networks)
		if (!ports_free(c, &n->reserved_ports) || !ports_free(c, &n->dynamic_ports))
			return false;
	return true;
}

static bool
still_fits(const struct candidate *c, const struct alloc *a)
{
	const struct allocated_resources *r = a->allocated_resources;
	struct need n;

	need_of_alloc(a, &n);
	if (c->cpu + n.cpu > c->cpu_all || c->memory + n.memory > c->memory_all ||
	    c->disk + n.disk > c->disk_all)
		return false;
	if (r->shared != NULL && !networks_free(c, &r->shared->networks))
		return false;
	for (size_t i = 0; i < r->tasks.n; i++)
		if (!networks_free(
			c, &((const struct allocated_task *)r->tasks.value[i])->networks))
			return false;
	return true;
}

size_t
sched_verify(const struct state *state, struct plan *p, struct arena *mem)
{
	struct verify v = { .s = { .state = state, .mem = mem } };
	size_t kept = 0, dropped = 0;

	v.stops_only.stops = p->stops;
	v.s.plan = &v.stops_only;
	for (size_t i = 0; i < p->allocs.n; i++) {
		const struct alloc *a = p->allocs.at[i];
		if (state_alloc(state, a->id) == NULL) {
			struct candidate *c = booked(&v, a->node_id);
			if (c == NULL || !still_fits(c, a)) {
				dropped++;
				continue;
			}
			candidate_add(c, a, false);
		}
		p->allocs.at[kept++] = p->allocs.at[i];
	}
	p->allocs.n = kept;
	VEC_FINI(&v.nodes);
	return dropped;
}
