/* What recovery reads from disk: a command, applied to a state that holds a job, and a snapshot
 * row. */
#include "state/command.h"
#include "state/state.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char first[] =
	    "{\"Now\":1,\"Job\":{\"ID\":\"j\",\"Namespace\":\"default\",\"TaskGroups\":[{\"Name\":"
	    "\"g\"}]},\"Evals\":[{\"ID\":\"e\",\"JobID\":\"j\",\"Namespace\":\"default\"}]}";
	static const char *const tables[] = { "job", "job_version", "alloc", "alloc_with_job",
		"eval", "node", "deployment", "service", "job_summary", "indexes" };
	struct err e = ERR_INIT;
	struct state *s = state_new();
	const char *text = (const char *)data;

	(void)state_apply(s, 1, "first", first, sizeof(first) - 1, &e);
	(void)state_apply(s, 2, "fuzz", text, size, &e);
	for (size_t i = 0; i < NELEM(tables); i++)
		(void)state_restore_row(s, tables[i], text, size, &e);
	state_free(s);
	return 0;
}
