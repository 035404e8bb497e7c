/* Fuzz target: routing rules out of service tags. */
#include "ingress/rules.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoarena struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct rule r;

	const char *text = arena_strndup(&a, (const char *)data, size);
	if (rule_parse(text, &a, &r, &e) < 0)
		return 0;
	if (r.n == 0 || r.n > RULE_TERMS)
		abort();
	for (size_t i = 0; i < r.n; i++)
		if (r.at[i].n == 0 || r.at[i].n > RULE_MATCHES)
			abort();
	return 0;
}
