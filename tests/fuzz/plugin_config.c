#include "codec/msgpack.h"
#include "plugin/plugin.h"
#include "plugin/task.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All that comes in as MessagePack: the plugin's configuration, a task's, and what a host kept. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoarena struct arena mem = ARENA_INIT;
	struct plugin_config plugin;
	struct task_config task;
	struct task_kept kept;
	struct err e = ERR_INIT;
	const struct any *v = msgpack_read(data, size, &mem, &e);

	plugin_config_defaults(&plugin);
	(void)plugin_config_read(&plugin, data, size, &e);
	arena_fini(&plugin.mem);
	if (v != NULL && task_config_read(&task, v, &mem, &e) == 0)
		task_config_fini(&task);
	(void)task_state_read(data, size, &mem, &kept);
	return 0;
}
