#include "base/own.h"
#include "platform/rctl/rctl.h"

#include <stdio.h>
#include <string.h>

/* Apart from the others: what keeps a pot needs this alone. */

static size_t
line_len(const char *at, const char *end)
{
	const char *stop = memchr(at, '\n', (size_t)(end - at));

	return (size_t)((stop != NULL ? stop : end) - at);
}

int64_t
rctl_told(const char *messages, size_t len, const char *jail, char last[RCTL_LINE])
{
	autofree char *words = xasprintf("rctl: rule \"jail:%s:memoryuse:log=", jail);
	const char *end = messages + len;
	char line[RCTL_LINE] = "";
	int64_t found = 0;
	size_t n;

	for (const char *at = messages;
	     (at = memmem(at, (size_t)(end - at), words, strlen(words))) != NULL; at += n) {
		n = line_len(at, end);
		snprintf(line, sizeof(line), "%.*s", (int)n, at);
		found = *last != '\0' && strcmp(line, last) == 0 ? 0 : found + 1;
	}
	memcpy(last, line, sizeof(line));
	return found;
}
