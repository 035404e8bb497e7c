/* pot.conf: reading, and that what is written is read as the same again. */
#include "pot/priv.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One key is set: it is read as that, and everything else as before. */
static void
change(const uint8_t *data, size_t size, const struct pot_spec *before, struct arena *mem)
{
	autoconf struct conf c = CONF_INIT(mem);
	autobuf struct buf text = BUF_INIT;
	struct pot_spec *after;
	struct err e;

	assert(conf_parse(&c, (const char *)data, size, &e) == 0);
	conf_set(&c, "pot.rss.cpus", "7");
	conf_write(&c, &text);
	assert(pot_spec_parse("fuzz", buf_str(&text), text.len, mem, &after, &e) == 0);
	assert(after->rss_cpus == 7 && strcmp(after->cmd, before->cmd) == 0);
	assert(strcmp(after->ip, before->ip) == 0 && after->env.n == before->env.n);
	assert(after->depend.n == before->depend.n && after->n_ports == before->n_ports);
	conf_set(&c, "pot.rss.cpus", NULL);
	assert(conf_get(&c, "pot.rss.cpus") == NULL);
}

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
		change(data, size, s, &mem);
	}
	if (conf_parse(&c, (const char *)data, size, &e) == 0) {
		conf_write(&c, &again);
		assert(again.len <= size + 1);
		assert(size == 0 || memcmp(again.data, data, size) == 0);
	}
	return 0;
}
