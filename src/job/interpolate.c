/*
 * interpolate.c: ${…} in text, replaced by what is known.
 */
#include "job/job.h"

#include <string.h>

/* env["X"] and env[X] are looked up as env.X. */
static char *
reference(const char *s, size_t n, struct arena *a)
{
	char *name, *open;
	size_t len;

	while (n > 0 && *s == ' ')
		s++, n--;
	while (n > 0 && s[n - 1] == ' ')
		n--;
	name = arena_strndup(a, s, n);
	open = strchr(name, '[');
	if (open == NULL || n == 0 || name[n - 1] != ']')
		return name;
	name[n - 1] = '\0';
	*open++ = '.';
	len = strlen(open);
	if (len >= 2 && open[0] == '"' && open[len - 1] == '"') {
		open[len - 1] = '\0';
		memmove(open, open + 1, len - 1);
	}
	return name;
}

const char *
job_interpolate(const char *text, job_lookup *lookup, void *ctx, struct arena *a)
{
	autobuf struct buf out = BUF_INIT;
	const char *open, *close;

	if (text == NULL)
		return "";
	if (strstr(text, "${") == NULL)
		return text;
	while ((open = strstr(text, "${")) != NULL && (close = strchr(open, '}')) != NULL) {
		const char *value = lookup(ctx, reference(open + 2, (size_t)(close - open - 2), a));

		buf_add(&out, text, (size_t)(open - text));
		if (value != NULL)
			buf_adds(&out, value);
		else
			buf_add(&out, open, (size_t)(close + 1 - open));
		text = close + 1;
	}
	buf_adds(&out, text);
	return arena_strdup(a, buf_str(&out));
}

const struct any *
job_interpolate_any(const struct any *v, job_lookup *lookup, void *ctx, struct arena *a)
{
	struct any *out;

	switch (any_type(v)) {
	case ANY_STR:
		return any_str(a, job_interpolate(v->s, lookup, ctx, a));
	case ANY_LIST:
		out = any_list(a);
		for (size_t i = 0; i < v->n; i++)
			any_append(a, out,
			    (struct any *)(uintptr_t)job_interpolate_any(
				v->list[i], lookup, ctx, a));
		return out;
	case ANY_MAP:
		out = any_map(a);
		for (size_t i = 0; i < v->n; i++)
			any_put(a, out, job_interpolate(v->map.key[i], lookup, ctx, a),
			    (struct any *)(uintptr_t)job_interpolate_any(
				v->map.value[i], lookup, ctx, a));
		return out;
	default:
		return v;
	}
}
