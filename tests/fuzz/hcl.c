/* Fuzz target: job files from strangers. What was read can be canonicalized, checked and written,
 * and reads back as the same job. */
#include "job/job.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoarena struct arena a = ARENA_INIT;
	autobuf struct buf out = BUF_INIT;
	struct jsonw w = JSONW_INIT(&out);
	struct job *j = NULL, *again = NULL;
	const char *report = NULL;
	struct err e = ERR_INIT;

	if (job_parse_hcl((const char *)data, size, "fuzz", NULL, &a, &j, &report, &e) < 0)
		return 0;
	job_canonicalize(j, &a);
	(void)job_validate(j, &a, &e);
	(void)job_warnings(j, &a);
	model_to_json(&job_model, j, &w);
	if (job_parse_json(out.data, out.len, &a, &again, &e) < 0 && out.len <= JOB_TEXT_MAX)
		abort();
	return 0;
}
