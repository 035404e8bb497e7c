/*
 * reschedule.c: when a failed allocation gets a successor.
 */
#include "sched/inside.h"

#include "base/str.h"

static const struct reschedule_policy *
policy_of(const struct alloc *a)
{
	const struct task_group *g = a->job != NULL ? job_group(a->job, a->task_group) : NULL;

	return g != NULL ? g->reschedule_policy : NULL;
}

static int64_t
failed_at(const struct alloc *a)
{
	int64_t last = 0;

	for (size_t i = 0; i < a->task_states.n; i++) {
		const struct task_state *t = a->task_states.value[i];
		if (t->finished_at > last)
			last = t->finished_at;
	}
	return last > 0 ? last : a->modify_time;
}

static const struct reschedule_event *
last_event(const struct alloc *a, size_t back)
{
	const struct reschedule_tracker *t = a->reschedule_tracker;

	return t != NULL && t->events.n > back ? t->events.at[t->events.n - 1 - back] : NULL;
}

static int64_t
grown(const struct reschedule_policy *p, const struct alloc *a)
{
	const struct reschedule_event *one = last_event(a, 0), *two = last_event(a, 1);

	if (one == NULL)
		return p->delay;
	if (str_eq(p->delay_function, "exponential"))
		return one->delay * 2;
	if (str_eq(p->delay_function, "fibonacci"))
		return two != NULL && two->delay != one->delay ? one->delay + two->delay
		       : two != NULL			       ? one->delay * 2
							       : one->delay;
	return p->delay;
}

int64_t
sched_delay(const struct alloc *a)
{
	const struct reschedule_policy *p = policy_of(a);
	const struct reschedule_event *one = last_event(a, 0);

	if (p == NULL)
		return 0;
	int64_t delay = grown(p, a);
	if (p->max_delay > 0 && delay > p->max_delay)
		delay = p->max_delay;
	/* a quiet time longer than the delay that is due starts over */
	if (one != NULL && failed_at(a) - one->reschedule_time > delay)
		delay = p->delay;
	return delay;
}

static bool
attempts_left(const struct reschedule_policy *p, const struct alloc *a)
{
	const struct reschedule_event *ev;
	int64_t used = 0, since = failed_at(a) - p->interval;

	if (p->unlimited)
		return true;
	if (a->reschedule_tracker != NULL)
		OBJS_FOREACH (ev, &a->reschedule_tracker->events)
			used += ev->reschedule_time > since;
	return used < p->attempts;
}

enum sched_retry
sched_reschedule(const struct alloc *a, const struct eval *ev, int64_t now, int64_t *when)
{
	const int64_t window = 1000000000;
	const struct reschedule_policy *p = policy_of(a);

	if (!str_eq(a->client_status, "failed") || alloc_server_terminal(a) ||
	    (a->next_allocation != NULL && a->next_allocation[0] != '\0'))
		return SCHED_NEVER;
	if (a->desired_transition != NULL && a->desired_transition->force_reschedule)
		return SCHED_NOW;
	if (p == NULL || !attempts_left(p, a))
		return SCHED_NEVER;
	*when = failed_at(a) + sched_delay(a);
	if (*when - now <= window || (ev != NULL && str_eq(a->follow_up_eval_id, ev->id)))
		return SCHED_NOW;
	return SCHED_LATER;
}

/* ---- later looks ---- */

static bool
waits_already(const struct sched *s, const struct alloc *a)
{
	const struct eval *ev = state_eval(s->state, a->follow_up_eval_id);

	return ev != NULL && !eval_terminal(ev) && !str_eq(ev->id, s->in->eval->id);
}

void
sched_look_later(struct sched *s, later_list *later)
{
	const int64_t batch = 5000000000;
	struct eval *ev = NULL;

	for (size_t done = 0; done < later->n; done++) {
		size_t first = done;
		for (size_t i = done; i < later->n; i++)
			if (later->at[i].when < later->at[first].when)
				first = i;
		struct sched_later l = later->at[first];
		later->at[first] = later->at[done];
		if (waits_already(s, l.alloc))
			continue;
		if (ev == NULL || l.when - ev->wait_until > batch) {
			ev = arena_new(s->mem, struct eval);
			ev->id = sched_uuid(s);
			ev->namespace = s->job->namespace;
			ev->priority = s->job->priority;
			ev->type = s->job->type;
			ev->triggered_by = "alloc-failure";
			ev->job_id = s->job->id;
			ev->status = "pending";
			ev->status_description = "created for delayed rescheduling";
			ev->wait_until = l.when;
			ev->previous_eval = s->in->eval->id;
			objs_add(&s->plan->evals, s->mem, ev);
		}
		struct alloc_stop *note = arena_new(s->mem, struct alloc_stop);
		*note = (struct alloc_stop){
			.id = l.alloc->id, .follow_up_eval_id = ev->id, .keep = true
		};
		objs_add(&s->plan->stops, s->mem, note);
	}
}
