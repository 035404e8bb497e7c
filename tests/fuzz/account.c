/* /etc/passwd and /etc/group of a pot, joined by a NUL. */
#include "platform/account.h"

#include "base/own.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = xstrndup("", 0), *group = NULL;
	struct account a;
	struct err e;

	copy = xrealloc(copy, size + 1);
	if (size > 0)
		memcpy(copy, data, size);
	copy[size] = '\0';
	size_t first = strlen(copy);
	if (first < size)
		group = copy + first + 1;
	(void)account_parse(size % 2 ? "web:more" : "1000", copy, group, &a, &e);
	free(copy);
	return 0;
}
