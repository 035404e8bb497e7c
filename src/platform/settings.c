#include "platform/settings.h"

#include <string.h>

enum { DEFAULTS_MAX = 1 << 20 };

/* One statement of the file: a line, or several where quotes span them. */
struct statement {
	const char *begin, *end;       /* end is past the newline */
	const char *value, *value_end; /* of an assignment to the name looked for; else NULL */
};

static bool
blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Past the closing quote, or the end of the text. */
static const char *
past_quote(const char *p)
{
	char quote = *p++;

	while (*p != '\0' && *p != quote)
		p += *p == '\\' && quote == '"' && p[1] != '\0' ? 2 : 1;
	return *p != '\0' ? p + 1 : p;
}

/* Past one word: quoted and bare pieces in a row. */
static const char *
past_word(const char *p)
{
	while (*p != '\0' && *p != '\n' && !blank(*p) && *p != ';') {
		if (*p == '"' || *p == '\'')
			p = past_quote(p);
		else
			p += *p == '\\' && p[1] != '\0' ? 2 : 1;
	}
	return p;
}

static const char *
past_line(const char *p)
{
	while (*p != '\0' && *p != '\n') {
		if (*p == '#') /* where a word could begin */
			p += strcspn(p, "\n");
		else
			p = blank(*p) || *p == ';' ? p + 1 : past_word(p);
	}
	return *p == '\n' ? p + 1 : p;
}

static bool
next(const char **at, const char *name, struct statement *s)
{
	size_t n = strlen(name);
	const char *p = *at + strspn(*at, " \t");

	if (**at == '\0')
		return false;
	*s = (struct statement){ .begin = *at, .end = past_line(*at) };
	if (strncmp(p, name, n) == 0 && p[n] == '=') {
		s->value = p + n + 1;
		s->value_end = past_word(s->value);
	}
	*at = s->end;
	return true;
}

/* Without quotes; a backslash stands for what follows it. */
static char *
unquoted(const char *p, const char *end, struct arena *a)
{
	autobuf struct buf out = BUF_INIT;
	char quote = '\0';

	for (; p < end; p++) {
		if (quote == '\0' && (*p == '"' || *p == '\''))
			quote = *p;
		else if (*p == quote)
			quote = '\0';
		else {
			if (*p == '\\' && quote != '\'' && p + 1 < end)
				p++;
			buf_addc(&out, *p);
		}
	}
	return arena_strdup(a, buf_str(&out));
}

char *
settings_get(const char *text, const char *name, struct arena *a)
{
	struct statement s, last = { .value = NULL };

	while (next(&text, name, &s))
		if (s.value != NULL)
			last = s;
	return last.value != NULL ? unquoted(last.value, last.value_end, a) : NULL;
}

bool
settings_valid(const char *value)
{
	return strpbrk(value, "\"\\`$\n") == NULL;
}

bool
settings_set(const char *text, const char *name, const char *value, struct buf *out)
{
	autoarena struct arena a = ARENA_INIT;
	const char *old = settings_get(text, name, &a), *at = text, *counts = NULL;
	struct statement s;

	if (old == NULL ? value == NULL : value != NULL && strcmp(old, value) == 0) {
		buf_adds(out, text);
		return false;
	}
	while (next(&at, name, &s))
		if (s.value != NULL)
			counts = s.value;
	at = text;
	while (next(&at, name, &s)) {
		if (s.value != NULL && value == NULL)
			continue;
		if (s.value == NULL || s.value != counts) {
			buf_add(out, s.begin, (size_t)(s.end - s.begin));
			continue;
		}
		buf_add(out, s.begin, (size_t)(s.value - s.begin));
		buf_addf(out, "\"%s\"", value);
		buf_add(out, s.value_end, (size_t)(s.end - s.value_end));
	}
	if (value != NULL && counts == NULL)
		buf_addf(out, "%s%s=\"%s\"\n",
		    out->len > 0 && out->data[out->len - 1] != '\n' ? "\n" : "", name, value);
	return true;
}

const char *
settings_default(const char *defaults, const char *name, struct arena *a)
{
	autobuf struct buf text = BUF_INIT;
	struct err none = ERR_INIT;
	const char *value = NULL;

	if (defaults != NULL && buf_read_file(&text, defaults, DEFAULTS_MAX, &none) == 0)
		value = settings_get(buf_str(&text), name, a);
	return value != NULL ? value : "";
}
