/* A server's Content-Range header: what is accepted makes sense. */
#include "image/http.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	uint64_t from = 1, total = 0;

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (http_range(text, &from, &total))
		assert(from < total && total <= HTTP_TOTAL_MAX);
	free(text);
	return 0;
}
