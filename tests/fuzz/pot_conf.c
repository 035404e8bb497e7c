/* pot.conf: reading, and that what is written is read as the same again. */
#include "pot/priv.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoarena struct arena mem = ARENA_INIT;
	autoconf struct conf c = CONF_INIT(&mem);
	autobuf struct buf again = BUF_INIT;
	struct pot_spec *s;
	struct err e;

	if (pot_spec_parse("fuzz", (const char *)data, size, &mem, &s, &e) == 0) {
		struct pot_strs words;
		bool shell;
		(void)words_split(s->cmd, &mem, &words, &shell, &e);
		(void)pot_spec_yes(s, "persistent");
	}
	if (conf_parse(&c, (const char *)data, size, &e) == 0) {
		conf_write(&c, &again);
		assert(again.len <= size + 1);
		assert(size == 0 || memcmp(again.data, data, size) == 0);
	}
	return 0;
}
