/* Fuzz target: jobs as JSON. Two jobs can always be compared, and a copy is equal. */
#include "job/job.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoarena struct arena a = ARENA_INIT;
	struct job *j = NULL, *copy;
	struct err e = ERR_INIT;

	if (job_parse_json((const char *)data, size, &a, &j, &e) < 0)
		return 0;
	copy = model_copy(&job_model, j, &a);
	if (!model_equal(&job_model, j, copy))
		abort();
	job_canonicalize(copy, &a);
	(void)job_validate(copy, &a, &e);
	(void)job_warnings(copy, &a);
	(void)job_diff(j, copy, true, &a);
	(void)job_spec_changed(j, copy);
	for (size_t i = 0; i < j->groups.n; i++)
		(void)job_tasks_updated(j, copy, ((struct task_group *)j->groups.at[i])->name);
	return 0;
}
