#include "cli/pot_cli.h"

/* Accepted by pot 0.16, where nothing is behind it; it fails here as there. */
#define EMPTY(id, text, what)                                                                      \
	static const struct pot_command id = { .name = text,                                       \
		.summary = what,                                                                   \
		.flags = COMMAND_NO_ENV | COMMAND_ARGS | COMMAND_EMPTY,                            \
		.group = "Empty" }

EMPTY(empty_promote, "promote", "nothing, as in pot 0.16");

const struct pot_command *const pot_commands[] = {
	&pot_cmd_help,
	&pot_cmd_version,
	&pot_cmd_config,
	&pot_cmd_list,
	&pot_cmd_show,
	&pot_cmd_info,
	&pot_cmd_ps,
	&pot_cmd_net,
	&pot_cmd_ports,
	&pot_cmd_datasets,
	&pot_cmd_get_rss,
	&pot_cmd_top,
	&pot_cmd_last_run,
	&pot_cmd_get_attr,
	&pot_cmd_completion,

	&pot_cmd_init,
	&pot_cmd_deinit,
	&pot_cmd_vnet_start,
	&pot_cmd_vnet_stop,
	&pot_cmd_create_bridge,
	&pot_cmd_doctor,

	&pot_cmd_create_base,
	&pot_cmd_create,
	&pot_cmd_clone,
	&pot_cmd_rename,
	&pot_cmd_destroy,
	&pot_cmd_prune,

	&pot_cmd_start,
	&pot_cmd_stop,
	&pot_cmd_run,
	&pot_cmd_term,
	&pot_cmd_exec,
	&pot_cmd_signal,
	&pot_cmd_boot,

	&pot_cmd_copy_in,
	&pot_cmd_copy_out,
	&pot_cmd_create_fscomp,
	&pot_cmd_clone_fscomp,
	&pot_cmd_mount_in,
	&pot_cmd_mount_out,
	&pot_cmd_snapshot,
	&pot_cmd_revert,
	&pot_cmd_purge,

	&pot_cmd_set_cmd,
	&pot_cmd_set_env,
	&pot_cmd_set_hosts,
	&pot_cmd_set_attr,
	&pot_cmd_set_rss,
	&pot_cmd_export_ports,
	&pot_cmd_add_dep,
	&pot_cmd_set_hook,
	&pot_cmd_set_status,
	&pot_cmd_update_config,

	&pot_cmd_import,
	&pot_cmd_export,
	&pot_cmd_prepare,

	&empty_promote,
	NULL,
};
