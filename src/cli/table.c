#include "cli/table.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
table_fini(struct table *t)
{
	free(t->cells);
	t->cells = NULL;
	t->n = t->cap = 0;
	arena_fini(&t->mem);
}

/* What comes from a pot's files must not steer the terminal; colours may stay. */
static void
tame(char *text)
{
	for (char *p = text; *p != '\0'; p++) {
		if (p[0] == '\033' && p[1] == '[') {
			size_t n = 2 + strspn(p + 2, "0123456789;");
			if (p[n] == 'm') {
				p += n;
				continue;
			}
		}
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	}
}

static void
add(struct table *t, char *text)
{
	tame(text);
	if (t->n == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 64;
		t->cells = xrealloc(t->cells, t->cap * sizeof(*t->cells));
	}
	t->cells[t->n++] = text;
}

void
table_cell(struct table *t, const char *text)
{
	add(t, arena_strdup(&t->mem, text != NULL ? text : ""));
}

void
table_cellf(struct table *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(t, arena_vprintf(&t->mem, fmt, ap));
	va_end(ap);
}

void
table_row(struct table *t, ...)
{
	const char *text;
	size_t n = 0;
	va_list ap;

	va_start(ap, t);
	while (n < t->columns && (text = va_arg(ap, const char *)) != NULL) {
		table_cell(t, text);
		n++;
	}
	va_end(ap);
	for (; n < t->columns; n++)
		table_cell(t, "");
}

size_t
table_rows(const struct table *t)
{
	return t->n / t->columns;
}

/* Characters, not bytes: continuation bytes of UTF-8 and colours take no room. */
static size_t
width(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		if (s[0] == '\033' && s[1] == '[')
			s += strcspn(s, "m") - (s[strcspn(s, "m")] == '\0');
		else
			n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

void
table_text(const struct table *t, struct buf *out)
{
	size_t *widest = xcalloc(t->columns, sizeof(*widest));
	const char *gap = t->gap != NULL ? t->gap : "  ";

	for (size_t i = 0; i < t->n; i++) {
		size_t w = width(t->cells[i]);

		if (w > widest[i % t->columns])
			widest[i % t->columns] = w;
	}
	for (size_t row = 0; row < table_rows(t); row++) {
		char *const *cell = t->cells + row * t->columns;
		size_t last = t->columns;

		while (last > 1 && cell[last - 1][0] == '\0')
			last--;
		for (size_t c = 0; c < last; c++) {
			buf_adds(out, cell[c]);
			if (c + 1 == last)
				break;
			for (size_t pad = width(cell[c]); pad < widest[c]; pad++)
				buf_addc(out, ' ');
			buf_adds(out, gap);
		}
		buf_addc(out, '\n');
	}
	free(widest);
}

void
table_print(const struct table *t)
{
	autobuf struct buf text = BUF_INIT;

	table_text(t, &text);
	fputs(buf_str(&text), stdout);
}

const char *
size_text(uint64_t bytes, char out[SIZE_TEXT])
{
	static const char units[] = "BKMGTPE";
	unsigned unit = 0;
	double n = (double)bytes;

	while (n >= 1000 && unit + 1 < sizeof(units) - 1) {
		n /= 1024;
		unit++;
	}
	if (unit == 0)
		snprintf(out, SIZE_TEXT, "%" PRIu64 "B", bytes);
	else
		snprintf(out, SIZE_TEXT,
		    n < 10    ? "%.2f%c"
		    : n < 100 ? "%.1f%c"
			      : "%.0f%c",
		    n, units[unit]);
	return out;
}
