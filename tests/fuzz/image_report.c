/* Lines from pot-image. */
#include "image/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct report_line line;
	struct err e;

	(void)report_parse((const char *)data, size, &line, &e);
	return 0;
}
