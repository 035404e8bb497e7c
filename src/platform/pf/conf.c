/* pf.conf: where our anchors are called from. */
#include "platform/pf/pf.h"

#include "base/str.h"

#include <ctype.h>
#include <string.h>

static const struct call {
	const char *kind, *anchor, *line;
	bool filter;
} calls[] = {
	/* as the shell implementation writes them */
	{ "nat-anchor", PF_NAT_ANCHOR, "nat-anchor " PF_NAT_ANCHOR "\n", false },
	{ "rdr-anchor", PF_RDR_ALL, "rdr-anchor \"" PF_RDR_ALL "\"\n", false },
	{ "anchor", PF_FILTER_ANCHOR, "anchor \"" PF_FILTER_ANCHOR "\"\n", true },
};

struct line {
	const char *at;
	size_t len; /* with its end */
};

static bool
next_line(const char **text, struct line *out)
{
	const char *eol = strchr(*text, '\n');

	if (**text == '\0')
		return false;
	out->at = *text;
	out->len = eol != NULL ? (size_t)(eol - *text) + 1 : strlen(*text);
	*text += out->len;
	return true;
}

/* The next word of the line, without quotes; NULL at its end or before a comment. */
static const char *
next_word(struct line *l, size_t *len)
{
	while (l->len > 0 && isspace((unsigned char)*l->at)) {
		l->at++;
		l->len--;
	}
	if (l->len == 0 || *l->at == '#')
		return NULL;
	const char *at = l->at;
	size_t n = 0;
	if (*at == '"') {
		const char *end = memchr(at + 1, '"', l->len - 1);
		n = end != NULL ? (size_t)(end - at) + 1 : l->len;
		*len = end != NULL ? n - 2 : n - 1;
		l->at += n;
		l->len -= n;
		return at + 1;
	}
	while (n < l->len && !isspace((unsigned char)at[n]) && at[n] != '#')
		n++;
	l->at += n;
	l->len -= n;
	*len = n;
	return at;
}

static bool
is(const char *word, size_t len, const char *text)
{
	return word != NULL && strlen(text) == len && memcmp(word, text, len) == 0;
}

static bool
line_calls(struct line l, const char *kind, const char *anchor)
{
	size_t len;
	const char *word = next_word(&l, &len);

	if (!is(word, len, kind))
		return false;
	word = next_word(&l, &len);
	return is(word, len, anchor);
}

unsigned
pf_calls(const char *text, const char *kind, const char *anchor)
{
	unsigned n = 0;
	struct line l;

	while (next_line(&text, &l))
		n += line_calls(l, kind, anchor);
	return n;
}

static bool
is_ours(const struct line *l)
{
	for (size_t i = 0; i < NELEM(calls); i++)
		if (line_calls(*l, calls[i].kind, calls[i].anchor))
			return true;
	return false;
}

enum section { SECTION_NONE, SECTION_BEFORE, SECTION_TRANSLATION, SECTION_FILTER };

/* What pf's fixed order of rules makes of a line. */
static enum section
section_of(struct line l)
{
	static const char *const before[] = { "set", "scrub", "altq", "queue", "ether", "nat64" };
	static const char *const translation[] = { "nat", "rdr", "binat", "nat-anchor",
		"rdr-anchor", "binat-anchor" };
	static const char *const filter[] = { "pass", "block", "anchor", "antispoof", "match",
		"load" };
	size_t len;
	const char *word = next_word(&l, &len);

	/* "no nat on …", "no scrub" */
	if (is(word, len, "no"))
		word = next_word(&l, &len);
	for (size_t i = 0; i < NELEM(before); i++)
		if (is(word, len, before[i]))
			return SECTION_BEFORE;
	for (size_t i = 0; i < NELEM(translation); i++)
		if (is(word, len, translation[i]))
			return SECTION_TRANSLATION;
	for (size_t i = 0; i < NELEM(filter); i++)
		if (is(word, len, filter[i]))
			return SECTION_FILTER;
	return SECTION_NONE;
}

/* Ends with a backslash: goes on in the next line. */
static bool
goes_on(const struct line *l)
{
	size_t n = l->len;

	while (n > 0 && (l->at[n - 1] == '\n' || l->at[n - 1] == '\r'))
		n--;
	return n > 0 && l->at[n - 1] == '\\';
}

/* Where the calls go: numbers of lines. At the very top, as the shell implementation has it, unless
 * something is there that must stand before. */
static void
find_places(const char *text, size_t *translation, size_t *filter)
{
	struct line l;
	size_t first_filter = 0, last_translation = 0, last_before = 0, n = 0;
	bool more = false;
	enum section s = SECTION_NONE;

	while (next_line(&text, &l)) {
		n++;
		if (!more)
			s = section_of(l);
		more = goes_on(&l);
		if (s == SECTION_BEFORE)
			last_before = n;
		if (s == SECTION_TRANSLATION)
			last_translation = n;
		if (s == SECTION_FILTER && first_filter == 0)
			first_filter = n;
	}
	*translation = last_before;
	*filter = first_filter > 0 ? first_filter - 1 : n;
	if (*filter < last_translation)
		*filter = last_translation;
	if (*filter < last_before)
		*filter = last_before;
}

static void
put_calls(struct buf *out, bool filter)
{
	if (out->len > 0 && out->data[out->len - 1] != '\n')
		buf_addc(out, '\n');
	for (size_t i = 0; i < NELEM(calls); i++)
		if (calls[i].filter == filter)
			buf_adds(out, calls[i].line);
}

bool
pf_conf_add(const char *text, struct buf *out)
{
	autobuf struct buf bare = BUF_INIT;
	const char *at;
	size_t translation, filter, n = 0;
	struct line l;
	bool all = true;

	for (size_t i = 0; i < NELEM(calls); i++)
		all = all && pf_calls(text, calls[i].kind, calls[i].anchor) == 1;
	if (all) {
		buf_adds(out, text);
		return false;
	}
	(void)pf_conf_drop(text, &bare);
	at = buf_str(&bare);
	find_places(at, &translation, &filter);
	for (;; n++) {
		if (n == translation)
			put_calls(out, false);
		if (n == filter)
			put_calls(out, true);
		if (!next_line(&at, &l))
			break;
		buf_add(out, l.at, l.len);
	}
	return true;
}

bool
pf_conf_drop(const char *text, struct buf *out)
{
	bool dropped = false;
	struct line l;

	while (next_line(&text, &l)) {
		if (is_ours(&l))
			dropped = true;
		else
			buf_add(out, l.at, l.len);
	}
	return dropped;
}

bool
pf_rc_value(const char *text, const char *name, char *out, size_t size)
{
	size_t n = strlen(name);
	bool found = false;
	struct line l;

	while (next_line(&text, &l)) {
		while (l.len > 0 && (*l.at == ' ' || *l.at == '\t')) {
			l.at++;
			l.len--;
		}
		if (l.len <= n || memcmp(l.at, name, n) != 0 || l.at[n] != '=')
			continue;
		const char *v = l.at + n + 1;
		size_t left = l.len - n - 1, len = 0;
		char quote = left > 0 && (*v == '"' || *v == '\'') ? *v : '\0';
		if (quote != '\0') {
			v++;
			left--;
		}
		while (len < left && v[len] != '\n' &&
		       (quote != '\0' ? v[len] != quote
				      : !isspace((unsigned char)v[len]) && v[len] != '#'))
			len++;
		if (len >= size)
			continue;
		memcpy(out, v, len);
		out[len] = '\0';
		found = true;
	}
	return found;
}
