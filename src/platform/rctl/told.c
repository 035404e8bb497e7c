#include "base/own.h"
#include "platform/rctl/rctl.h"

#include <string.h>

/* Apart from the others: what keeps a pot needs this alone. */

int64_t
rctl_told(const char *messages, size_t len, const char *jail)
{
	autofree char *words = xasprintf("rctl: rule \"jail:%s:memoryuse:log=", jail);
	size_t n = strlen(words);
	int64_t found = 0;

	for (const char *at = messages, *end = messages + len;
	     (at = memmem(at, (size_t)(end - at), words, n)) != NULL; at += n)
		found++;
	return found;
}
