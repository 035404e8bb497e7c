/* What `zfs list` prints: rows are below the root, and sorted. */
#include "platform/zfs/zfs.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autodataset_survey struct dataset_survey rows = DATASET_SURVEY_INIT;
	autobuf struct buf text = BUF_INIT;
	struct err e;

	buf_add(&text, data, size);
	if (memchr(data, '\0', size) != NULL || zfs_parse_survey("zroot/pot", &text, &rows, &e) < 0)
		return 0;
	for (size_t i = 0; i < rows.n; i++) {
		assert(rows.at[i].name[0] != '\0' && strchr(rows.at[i].name, '@') == NULL);
		assert(i == 0 || strcmp(rows.at[i - 1].name, rows.at[i].name) <= 0);
	}
	return 0;
}
