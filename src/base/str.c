#include "base/str.h"

#include <string.h>

bool
str_eq(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool
str_starts(const char *s, const char *prefix)
{
	/* most differ at once: two calls would take longer */
	while (*prefix != '\0')
		if (*s++ != *prefix++)
			return false;
	return true;
}

bool
str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

bool
str_u64(const char *s, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9')
			return false;
		unsigned digit = (unsigned)(*s - '0');
		if (digit > max || value > (max - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*out = value;
	return true;
}

bool
str_copy(char *out, size_t size, const char *s)
{
	size_t n = strlen(s);
	bool fits = n < size;

	if (!fits)
		n = size - 1;
	memcpy(out, s, n);
	out[n] = '\0';
	return fits;
}

char **
str_split(struct arena *a, const char *s, char sep, size_t *n)
{
	size_t count = 1;

	for (const char *p = s; *p != '\0'; p++)
		count += *p == sep;
	char **out = arena_array(a, count + 1, char *);
	for (size_t i = 0; i < count; i++) {
		const char *end = strchr(s, sep);
		size_t len = end != NULL ? (size_t)(end - s) : strlen(s);
		out[i] = arena_strndup(a, s, len);
		s += len + 1;
	}
	if (n != NULL)
		*n = count;
	return out;
}

enum { WORD_MAX = 64 };

static size_t
distance(const char *a, const char *b)
{
	size_t row[WORD_MAX + 1], na = strlen(a), nb = strlen(b);

	if (na > WORD_MAX || nb > WORD_MAX)
		return WORD_MAX;
	for (size_t j = 0; j <= nb; j++)
		row[j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);
			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[nb];
}

const char *
str_nearest(const char *word, const char *const *candidates, size_t n)
{
	size_t limit = strlen(word) > 6 ? 3 : 2, best = limit + 1;
	const char *found = NULL;

	for (size_t i = 0; i < n; i++) {
		size_t d = distance(word, candidates[i]);
		if (d < best && d < strlen(word)) {
			best = d;
			found = candidates[i];
		}
	}
	return found;
}
