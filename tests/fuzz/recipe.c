/* Lines of a flavour's file of commands. */
#include "pot/priv.h"
#include "pot/recipe.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoarena struct arena mem = ARENA_INIT;
	char *text = arena_strndup(&mem, (const char *)data, size);
	size_t n;

	char **line = str_split(&mem, text, '\n', &n);
	for (size_t i = 0; i < n; i++) {
		struct recipe_line l;
		struct err e;
		if (recipe_parse(line[i], &mem, &l, &e) < 0)
			continue;
		assert(l.verb < RECIPE_VERBS && l.n <= strlen(line[i]));
		for (size_t k = 0; k < l.n; k++)
			assert(recipe_option(&l, l.given[k].letter) != NULL);
	}
	return 0;
}
