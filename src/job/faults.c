/*
 * faults.c: several complaints as one text.
 */
#include "job/faults.h"

#include "base/str.h"

#include <stdarg.h>

void
faults_add(struct faults *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strs_add(&f->lines, f->mem, arena_vprintf(f->mem, fmt, ap));
	va_end(ap);
}

const char *
faults_text(const struct faults *f)
{
	autobuf struct buf out = BUF_INIT;

	if (f->lines.n == 0)
		return "";
	if (f->lines.n == 1)
		buf_adds(&out, "1 error occurred:");
	else
		buf_addf(&out, "%zu errors occurred:", f->lines.n);
	for (size_t i = 0; i < f->lines.n; i++)
		buf_addf(&out, "\n\t* %s", f->lines.at[i]);
	buf_adds(&out, "\n\n");
	return arena_strdup(f->mem, buf_str(&out));
}

void
faults_nest(struct faults *f, const struct faults *inner, const char *fmt, ...)
{
	va_list ap;

	if (inner->lines.n == 0)
		return;
	va_start(ap, fmt);
	faults_add(f, "%s: %s", arena_vprintf(f->mem, fmt, ap), faults_text(inner));
	va_end(ap);
}

static bool
says_nothing(const struct model *m, const void *obj)
{
	for (size_t i = 0; i < m->n; i++)
		if (!field_empty(&m->fields[i], obj))
			return false;
	return true;
}

static bool
was_given(const struct field *f, const void *obj)
{
	if (f->type == F_ANY)
		return !any_empty(*(const struct any *const *)field_at(f, obj));
	if (f->type == F_OBJ && !field_empty(f, obj))
		return !says_nothing(f->sub, *(void *const *)field_at(f, obj));
	if (f->type == F_STR && f->def != NULL &&
	    str_eq(*(const char *const *)field_at(f, obj), f->def))
		return false; /* says what would be so anyway */
	return !field_empty(f, obj);
}

static void
complain(struct faults *out, const struct field *f, const char *block)
{
	const char *name = f->hcl != NULL ? f->hcl : f->json;
	const char *in = block[0] == '\0' ? "" : arena_printf(out->mem, " in %s", block);

	if (f->status == FS_REFUSED)
		faults_add(out, "\"%s\"%s is not supported yet (%s)", name, in, f->doc);
	else
		faults_add(out, "\"%s\"%s has no effect here (%s)", name, in, f->doc);
}

/* Groups and tasks are visited by whoever words their heading. */
static bool
has_own_heading(const struct model *m)
{
	return m == &task_group_model || m == &task_model;
}

static void
by_status(struct faults *out, const struct model *m, const void *obj, enum field_status status,
    const char *block)
{
	void *item;

	for (size_t i = 0; i < m->n; i++) {
		const struct field *f = &m->fields[i];

		if (f->status == status && was_given(f, obj))
			complain(out, f, block);
		if (f->status == FS_REFUSED || f->sub == NULL || has_own_heading(f->sub) ||
		    field_empty(f, obj))
			continue;
		if (f->type == F_OBJ)
			by_status(out, f->sub, *(void *const *)field_at(f, obj), status,
			    f->hcl != NULL ? f->hcl : "");
		else if (f->type == F_OBJS)
			OBJS_FOREACH (item, (const struct objs *)field_at(f, obj))
				by_status(out, f->sub, item, status, f->hcl != NULL ? f->hcl : "");
	}
}

void
faults_by_status(
    struct faults *out, const struct model *m, const void *obj, enum field_status status)
{
	by_status(out, m, obj, status, "");
}
