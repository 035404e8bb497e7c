#include "image/report.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROGRESS_EVERY_MS = 100 };

static void
unescape(const char *from, size_t len, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (from[i] != '\\' || i + 1 == len) {
			out[n++] = from[i];
			continue;
		}
		i++;
		out[n++] = from[i] == 'n' ? '\n' : from[i] == 'r' ? '\r' : from[i];
	}
	out[n] = '\0';
}

/* Takes the next field, up to a blank or the end. */
static bool
field(const char **at, const char *end, char *out, size_t size)
{
	const char *stop = memchr(*at, ' ', (size_t)(end - *at));
	size_t len = (size_t)((stop != NULL ? stop : end) - *at);

	if (len == 0 || len >= size)
		return false;
	memcpy(out, *at, len);
	out[len] = '\0';
	*at = stop != NULL ? stop + 1 : end;
	return true;
}

static bool
number(const char **at, const char *end, uint64_t *out)
{
	char text[24];

	return field(at, end, text, sizeof(text)) && str_u64(text, UINT64_MAX, out);
}

static bool
parse_error(const char **at, const char *end, struct report_line *l)
{
	char kind[32];
	uint64_t sys;

	if (!field(at, end, kind, sizeof(kind)) || !number(at, end, &sys) || sys > 4096)
		return false;
	unescape(*at, (size_t)(end - *at), l->text);
	l->error.kind = err_kind_named(kind);
	if (l->error.kind == ERR_NONE)
		l->error.kind = ERR_SYS;
	l->error.sys = (int)sys;
	str_copy(l->error.text, sizeof(l->error.text), l->text);
	return true;
}

static bool
parse_line(const char *word, const char *at, const char *end, struct report_line *l)
{
	if (str_eq(word, "report")) {
		l->kind = REPORT_HELLO;
		return number(&at, end, &l->total);
	}
	if (str_eq(word, "progress")) {
		l->kind = REPORT_PROGRESS;
		if (!number(&at, end, &l->done) || !number(&at, end, &l->total))
			return false;
	} else if (str_eq(word, "note")) {
		l->kind = REPORT_NOTE;
	} else if (str_eq(word, "result")) {
		l->kind = REPORT_RESULT;
		if (!field(&at, end, l->key, sizeof(l->key)))
			return false;
	} else if (str_eq(word, "error")) {
		l->kind = REPORT_ERROR;
		return parse_error(&at, end, l);
	} else if (str_eq(word, "done")) {
		l->kind = REPORT_DONE;
		return at == end;
	} else {
		return false;
	}
	unescape(at, (size_t)(end - at), l->text);
	return true;
}

int
report_parse(const char *line, size_t len, struct report_line *out, struct err *e)
{
	const char *at = line, *end = line + len;
	char word[16];

	if (len >= REPORT_LINE || memchr(line, '\0', len) != NULL)
		return err_new(e, ERR_INPUT, "report line: too long or binary");
	memset(out, 0, offsetof(struct report_line, text));
	out->text[0] = '\0';
	if (!field(&at, end, word, sizeof(word)) || !parse_line(word, at, end, out))
		return err_new(
		    e, ERR_INPUT, "report line: malformed: %.*s", (int)(len > 80 ? 80 : len), line);
	return 0;
}

static void
send_line(struct report *r, const char *head, const char *text)
{
	autobuf struct buf line = BUF_INIT;
	struct err ignored;

	buf_adds(&line, head);
	for (const char *p = text; *p != '\0' && line.len < REPORT_LINE - 4; p++) {
		if (*p == '\\' || *p == '\n' || *p == '\r')
			buf_addf(&line, "\\%c", *p == '\n' ? 'n' : *p == '\r' ? 'r' : '\\');
		else
			buf_addc(&line, *p);
	}
	buf_addc(&line, '\n');
	if (fd_write_all(r->fd, line.data, line.len, &ignored) < 0)
		r->lost = true;
}

void
report_open(struct report *r, int fd)
{
	*r = (struct report){ .fd = fd, .show = fd < 0 && isatty(STDERR_FILENO) };
	if (fd >= 0)
		send_line(r, "report 1", "");
}

static void
show_progress(const char *what, uint64_t done, uint64_t total)
{
	if (total > 0)
		fprintf(
		    stderr, "\r%s: %" PRIu64 " of %" PRIu64 " kB", what, done >> 10, total >> 10);
	else
		fprintf(stderr, "\r%s: %" PRIu64 " kB", what, done >> 10);
	if (done == total)
		fputc('\n', stderr);
}

void
report_progress(struct report *r, const char *what, uint64_t done, uint64_t total)
{
	int64_t now = clock_mono_ns();
	char head[80];

	if (done != total && r->last_progress_ns != 0 &&
	    now - r->last_progress_ns < PROGRESS_EVERY_MS * NS_PER_MS)
		return;
	r->last_progress_ns = now;
	if (r->fd < 0) {
		if (r->show)
			show_progress(what, done, total);
		return;
	}
	snprintf(head, sizeof(head), "progress %" PRIu64 " %" PRIu64 " ", done, total);
	send_line(r, head, what);
}

void
report_note(struct report *r, const char *fmt, ...)
{
	char text[REPORT_LINE / 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (r->fd < 0)
		fprintf(stderr, "pot-image: note: %s\n", text);
	else
		send_line(r, "note ", text);
}

void
report_result(struct report *r, const char *key, const char *value)
{
	char head[64];

	if (r->fd < 0) {
		printf("%s = %s\n", key, value);
		return;
	}
	snprintf(head, sizeof(head), "result %s ", key);
	send_line(r, head, value);
}

void
report_error(struct report *r, const struct err *why)
{
	char head[64];

	if (r->fd < 0) {
		fprintf(stderr, "pot-image: %s\n", why->text);
		return;
	}
	snprintf(head, sizeof(head), "error %s %d ", err_kind_name(why->kind), why->sys);
	send_line(r, head, why->text);
}

void
report_done(struct report *r)
{
	if (r->fd >= 0)
		send_line(r, "done", "");
}
