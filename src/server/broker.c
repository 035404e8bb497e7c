/*
 * broker.c: which evaluation is next.
 *
 * Evaluations are looked at one after the other, on the state as it is then, so that never two of
 * one job are under way. Which ones wait follows from their rows; nothing here needs to be stored.
 */
#include "server/inside.h"

#include <assert.h>

static void wait_over(void *arg);

static bool
drop(eval_list *l, const char *id)
{
	VEC_FOREACH (const struct eval **, p, l)
		if (strcmp((*p)->id, id) == 0) {
			const struct eval *ev = *p;
			VEC_REMOVE(l, p - l->at);
			row_unref(ev);
			return true;
		}
	return false;
}

static void
add(eval_list *l, const struct eval *ev)
{
	VEC_PUSH(l, ROW_REF(ev));
}

#define LIST(member) (&s->broker.member)

static void
arm(struct server *s)
{
	int64_t first = INT64_MAX;

	server_cancel(s, &s->broker.timer);
	VEC_FOREACH (const struct eval **, ev, LIST(waiting))
		if ((*ev)->wait_until < first)
			first = (*ev)->wait_until;
	if (first != INT64_MAX)
		s->broker.timer = server_after(s, first - server_now(s), wait_over, s);
}

static void
wait_over(void *arg)
{
	struct server *s = arg;
	eval_list *l = LIST(waiting);
	int64_t now = server_now(s);

	for (size_t i = l->n; i-- > 0;)
		if (l->at[i]->wait_until <= now) {
			VEC_PUSH(LIST(ready), l->at[i]);
			VEC_REMOVE(l, i);
		}
	arm(s);
	server_wake(s);
}

void
broker_changed(struct server *s, const struct eval *old, const struct eval *now)
{
	assert(old != NULL || now != NULL);
	const char *id = (now != NULL ? now : old)->id;
	bool waited = drop(LIST(waiting), id);

	(void)drop(LIST(ready), id);
	(void)drop(LIST(blocked), id);
	if (now != NULL && str_eq(now->status, "blocked"))
		add(LIST(blocked), now);
	else if (now != NULL && str_eq(now->status, "pending")) {
		if (now->wait_until > server_now(s)) {
			add(LIST(waiting), now);
			waited = true;
		} else
			add(LIST(ready), now);
	}
	if (waited)
		arm(s);
	server_wake(s);
}

void
broker_restore(struct server *s)
{
	autorows struct rows all = state_list(s->state, STATE_EVALS, NULL);

	for (size_t i = 0; i < all.n; i++)
		broker_changed(s, NULL, all.at[i]);
}

static void
free_list(eval_list *l)
{
	VEC_FOREACH (const struct eval **, ev, l)
		row_unref(*ev);
	VEC_FINI(l);
}

void
broker_free(struct server *s)
{
	free_list(LIST(ready));
	free_list(LIST(blocked));
	free_list(LIST(waiting));
	server_cancel(s, &s->broker.timer);
}

/* The highest priority, then the oldest. */
const struct eval *
broker_next(struct server *s)
{
	eval_list *l = LIST(ready);
	size_t best = 0;

	if (l->n == 0)
		return NULL;
	for (size_t i = 1; i < l->n; i++)
		if (l->at[i]->priority > l->at[best]->priority ||
		    (l->at[i]->priority == l->at[best]->priority &&
			l->at[i]->create_index < l->at[best]->create_index))
			best = i;
	const struct eval *ev = l->at[best];
	VEC_REMOVE(l, best);
	return ev;
}

void
broker_block(struct server *s, const struct eval *ev)
{
	const struct eval *row = state_eval(s->state, ev->id);

	if (row == NULL || !str_eq(row->status, "blocked"))
		return;
	(void)drop(LIST(blocked), ev->id);
	add(LIST(blocked), row);
}

void
broker_unblock(struct server *s, const char *computed_class)
{
	eval_list *l = LIST(blocked);

	for (size_t i = l->n; i-- > 0;) {
		const struct eval *ev = l->at[i];
		const int64_t *able = computed_class != NULL
					  ? intmap_get(&ev->class_eligibility, computed_class)
					  : NULL;
		if (!ev->escaped_computed_class && able != NULL && *able == 0)
			continue;
		VEC_REMOVE(l, i);
		VEC_PUSH(LIST(ready), ev);
	}
	server_wake(s);
}

bool
broker_has_job(const struct server *s, const char *namespace, const char *job_id)
{
	VEC_FOREACH (const struct eval **, ev, &s->broker.ready)
		if (str_eq((*ev)->job_id, job_id) && str_eq((*ev)->namespace, namespace))
			return true;
	return false;
}
