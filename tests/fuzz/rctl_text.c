/* What is kept of a run's limits, and what rctl says that it uses. */
#include "platform/rctl/rctl.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autorctl_run struct rctl_run r = RCTL_RUN_INIT, back = RCTL_RUN_INIT;
	autobuf struct buf text = BUF_INIT, out = BUF_INIT;
	char jail[RCTL_JAIL];
	uint64_t value;
	struct err e;

	if (memchr(data, '\0', size) != NULL)
		return 0;
	buf_add(&text, data, size);
	(void)rctl_value(buf_str(&text), "memoryuse", &value);
	char last[RCTL_LINE] = "";
	(void)rctl_told(buf_str(&text), text.len, "web", last);
	if (rctl_jail_of(buf_str(&text), jail))
		assert(strlen(jail) > 0 && strchr(jail, ':') == NULL);
	if (rctl_run_parse(buf_str(&text), &r, &e) < 0)
		return 0;
	rctl_run_write(&r, &out);
	assert(rctl_run_parse(buf_str(&out), &back, &e) == 0 && back.rules.n == r.rules.n);
	return 0;
}
