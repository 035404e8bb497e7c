/* rc.conf and its like: any text can be read, and what is set is what is read afterwards. */
#include "platform/settings.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoarena struct arena a = ARENA_INIT;
	autobuf struct buf set = BUF_INIT, without = BUF_INIT;
	char *text = arena_strndup(&a, (const char *)data, size);

	(void)settings_set(text, "pot_enable", "YES", &set);
	const char *value = settings_get(buf_str(&set), "pot_enable", &a);
	/* behind an open quote nothing new can be seen */
	if (value != NULL && settings_get(text, "pot_enable", &a) != NULL &&
	    strcmp(value, "YES") != 0)
		abort();
	(void)settings_set(text, "pot_enable", NULL, &without);
	return 0;
}
