#include "state/row.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

/* Lies in front of the object, in the same arena. */
struct row {
	alignas(max_align_t) struct arena mem;
	const void *held;
	unsigned refs;
};

static struct row *
header(const void *row)
{
	return (struct row *)(uintptr_t)row - 1;
}

void *
row_new(const struct model *m, struct arena **mem)
{
	struct arena a = ARENA_INIT;
	struct row *r = arena_alloc(&a, sizeof(*r) + m->size);

	r->mem = a;
	r->refs = 1;
	*mem = &r->mem;
	return r + 1;
}

void *
row_make(const struct model *m, const void *object, struct arena **mem)
{
	void *out = row_new(m, mem);

	memcpy(out, model_copy(m, object, *mem), m->size);
	return out;
}

void *
row_copy(const struct model *m, const void *row, struct arena **mem)
{
	void *out = row_make(m, row, mem);

	if (header(row)->held != NULL)
		row_hold(out, header(row)->held);
	return out;
}

void
row_hold(void *row, const void *other)
{
	const void *old = header(row)->held;

	header(row)->held = row_ref(other);
	row_unref(old);
}

const void *
row_ref(const void *row)
{
	if (row != NULL)
		header(row)->refs++;
	return row;
}

void
row_unref(const void *row)
{
	while (row != NULL) {
		struct row *r = header(row);
		if (--r->refs > 0)
			return;
		row = r->held;
		struct arena mem = r->mem;
		arena_fini(&mem);
	}
}

/* ---- what rows say ---- */

int
alloc_health(const struct alloc *a)
{
	const struct alloc_deployment_status *s = a->deployment_status;

	if (s == NULL)
		return -1;
	if (s->healthy)
		return 1;
	return (s->set & 1) != 0 ? 0 : -1;
}

void
alloc_health_set(struct alloc_deployment_status *s, bool healthy)
{
	s->set |= 1;
	s->healthy = healthy;
}

bool
alloc_canary(const struct alloc *a)
{
	return a->deployment_status != NULL && a->deployment_status->canary;
}

static bool
is(const char *text, const char *word)
{
	return text != NULL && strcmp(text, word) == 0;
}

bool
alloc_client_terminal(const struct alloc *a)
{
	return is(a->client_status, "complete") || is(a->client_status, "failed") ||
	       is(a->client_status, "lost");
}

bool
alloc_server_terminal(const struct alloc *a)
{
	return is(a->desired_status, "stop") || is(a->desired_status, "evict");
}

bool
alloc_terminal(const struct alloc *a)
{
	return alloc_client_terminal(a) || alloc_server_terminal(a);
}

bool
eval_terminal(const struct eval *ev)
{
	return is(ev->status, "complete") || is(ev->status, "failed") || is(ev->status, "canceled");
}

bool
deployment_active(const struct deployment *d)
{
	return is(d->status, "running") || is(d->status, "paused");
}
