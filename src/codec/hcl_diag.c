/*
 * hcl_diag.c: what is wrong and where.
 */
#include "codec/hcl.h"

#include <stdarg.h>
#include <string.h>

void
hcl_error(struct hcl_diags *d, struct hcl_range at, const char *summary, const char *fmt, ...)
{
	va_list ap;

	if (d->n++ >= HCL_DIAGS_MAX)
		return;
	va_start(ap, fmt);
	d->list[d->n - 1] = (struct hcl_diag){ .at = at,
		.summary = arena_strdup(d->mem, summary),
		.detail = arena_vprintf(d->mem, fmt, ap) };
	va_end(ap);
}

const char *
hcl_diag_line(const struct hcl_diags *d, size_t i)
{
	const struct hcl_diag *g = &d->list[i];
	const char *where;

	if (g->at.source == NULL)
		return arena_printf(d->mem, "%s; %s", g->summary, g->detail);
	if (g->at.line == g->at.end_line)
		where = arena_printf(d->mem, "%s:%d,%d-%d", g->at.source->name, g->at.line,
		    g->at.column, g->at.end_column);
	else
		where = arena_printf(d->mem, "%s:%d,%d-%d,%d", g->at.source->name, g->at.line,
		    g->at.column, g->at.end_line, g->at.end_column);
	return arena_printf(d->mem, "%s: %s; %s", where, g->summary, g->detail);
}

/* The line as it stands, then carets below; tabs stay tabs, so that the carets meet their text. */
static void
add_excerpt(struct buf *out, const struct hcl_range *at)
{
	const char *text = at->source->text;
	size_t from = at->start < at->source->len ? at->start : at->source->len, to = from;
	size_t end = at->end;

	while (from > 0 && text[from - 1] != '\n')
		from--;
	while (to < at->source->len && text[to] != '\n' && text[to] != '\r')
		to++;
	if (end > to)
		end = to;
	buf_addf(out, "\n%4d | ", at->line);
	for (size_t i = from; i < to; i++)
		buf_addc(out, (unsigned char)text[i] < 0x20 && text[i] != '\t' ? '?' : text[i]);
	buf_adds(out, "\n     | ");
	for (size_t i = from; i < at->start && i < to; i++)
		if (((unsigned char)text[i] & 0xc0) != 0x80)
			buf_addc(out, text[i] == '\t' ? '\t' : ' ');
	buf_addc(out, '^');
	for (size_t i = at->start + 1; i < end; i++)
		if (((unsigned char)text[i] & 0xc0) != 0x80)
			buf_addc(out, '^');
	buf_addc(out, '\n');
}

const char *
hcl_diags_report(const struct hcl_diags *d)
{
	autobuf struct buf out = BUF_INIT;
	size_t shown = d->n < HCL_DIAGS_MAX ? d->n : HCL_DIAGS_MAX;

	for (size_t i = 0; i < shown; i++) {
		buf_addf(&out, "%s%s\n", i > 0 ? "\n" : "", hcl_diag_line(d, i));
		if (d->list[i].at.source != NULL)
			add_excerpt(&out, &d->list[i].at);
	}
	if (d->n > shown)
		buf_addf(&out, "\nand %zu more\n", d->n - shown);
	return arena_strdup(d->mem, buf_str(&out));
}

int
hcl_diags_err(const struct hcl_diags *d, struct err *e)
{
	if (d->n == 1)
		return err_new(e, ERR_INPUT, "%s", hcl_diag_line(d, 0));
	return err_new(
	    e, ERR_INPUT, "%s, and %zu other diagnostic(s)", hcl_diag_line(d, 0), d->n - 1);
}
