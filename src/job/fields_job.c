/*
 * fields_job.c: the tables of job, group and task.
 */
#include "job/job.h"

#define M(st, member, type, json, hclname, text)                                                   \
	FIELDX(st, member, type, json, .hcl = (hclname), .doc = (text))
#define SUB(st, member, type, json, hclname, model, text)                                          \
	FIELDX(st, member, type, json, .hcl = (hclname), .sub = &(model), .doc = (text))
#define LATER(st, member, type, json, hclname, model, text)                                        \
	FIELDX(st, member, type, json, .hcl = (hclname), .sub = (model), .status = FS_REFUSED,     \
	    .flags = MF_REPLACE, .doc = (text))

static const struct field task_fields[] = {
	FIELDX(struct task, name, F_STR, "Name", .hcl = "name", .flags = MF_LABEL | MF_KEY,
	    .doc = "label"),
	FIELDX(struct task, driver, F_STR, "Driver", .hcl = "driver", .flags = MF_REPLACE,
	    .doc = "pot, raw_exec"),
	FIELDX(struct task, user, F_STR, "User", .hcl = "user", .flags = MF_REPLACE,
	    .doc = "who the command runs as"),
	LATER(struct task, lifecycle, F_OBJ, "Lifecycle", "lifecycle", &lifecycle_model,
	    "when it runs"),
	FIELDX(struct task, config, F_ANY, "Config", .hcl = "config", .flags = MF_REPLACE,
	    .doc = "for the driver"),
	SUB(struct task, constraints, F_OBJS, "Constraints", "constraint", constraint_model,
	    "which nodes"),
	SUB(struct task, affinities, F_OBJS, "Affinities", "affinity", affinity_model,
	    "which nodes rather"),
	FIELDX(struct task, env, F_STRMAP, "Env", .hcl = "env", .flags = MF_REPLACE,
	    .doc = "environment"),
	SUB(struct task, services, F_OBJS, "Services", "service", service_model, "what it offers"),
	SUB(struct task, resources, F_OBJ, "Resources", "resources", resources_model,
	    "what it needs"),
	SUB(struct task, restart_policy, F_OBJ, "RestartPolicy", "restart", restart_policy_model,
	    "when the command ends; default: the group's"),
	FIELDX(struct task, meta, F_STRMAP, "Meta", .hcl = "meta", .flags = MF_REPLACE,
	    .doc = "NOMAD_META_…"),
	FIELDX(struct task, kill_timeout, F_DURATION, "KillTimeout", .hcl = "kill_timeout",
	    .def = "5s", .flags = MF_NULL, .doc = "between the signal and SIGKILL"),
	SUB(struct task, log_config, F_OBJ, "LogConfig", "logs", log_config_model,
	    "how much output is kept"),
	LATER(struct task, artifacts, F_OBJS, "Artifacts", "artifact", &artifact_model,
	    "files to fetch"),
	LATER(struct task, vault, F_OBJ, "Vault", "vault", &vault_model, "secrets from Vault"),
	LATER(struct task, templates, F_OBJS, "Templates", "template", &task_template_model,
	    "files to make"),
	LATER(struct task, dispatch_payload, F_OBJ, "DispatchPayload", "dispatch_payload",
	    &dispatch_payload_model, "parameterized jobs"),
	LATER(struct task, volume_mounts, F_OBJS, "VolumeMounts", "volume_mount",
	    &volume_mount_model, "volumes of the group"),
	LATER(struct task, csi_plugin_config, F_ANY, "CSIPluginConfig", "csi_plugin", NULL,
	    "storage plugins"),
	M(struct task, leader, F_BOOL, "Leader", "leader", "the others end when it ends"),
	FIELDX(struct task, shutdown_delay, F_DURATION, "ShutdownDelay", .hcl = "shutdown_delay",
	    .status = FS_WARNED, .doc = "use shutdown_delay of the group"),
	M(struct task, kill_signal, F_STR, "KillSignal", "kill_signal", "default SIGINT"),
	FIELDX(struct task, kind, F_STR, "Kind", .hcl = "kind", .status = FS_REFUSED,
	    .doc = "service mesh proxies"),
	LATER(struct task, scaling_policies, F_OBJS, "ScalingPolicies", "scaling",
	    &task_scaling_policy_model, "scaling of one task's resources"),
};
const struct model task_model = MODEL_SET("Task", struct task, task_fields);

static const struct field group_fields[] = {
	FIELDX(struct task_group, name, F_STR, "Name", .hcl = "name", .flags = MF_LABEL | MF_KEY,
	    .doc = "label"),
	FIELDX(struct task_group, count, F_INT, "Count", .hcl = "count", .flags = MF_NULL,
	    .doc = "how many allocations; default 1"),
	SUB(struct task_group, constraints, F_OBJS, "Constraints", "constraint", constraint_model,
	    "which nodes"),
	SUB(struct task_group, affinities, F_OBJS, "Affinities", "affinity", affinity_model,
	    "which nodes rather"),
	SUB(struct task_group, tasks, F_OBJS, "Tasks", "task", task_model,
	    "what runs, together on one node"),
	SUB(struct task_group, spreads, F_OBJS, "Spreads", "spread", spread_model,
	    "over what to spread"),
	LATER(struct task_group, volumes, F_OBJMAP, "Volumes", "volume", &volume_request_model,
	    "storage that outlives allocations"),
	SUB(struct task_group, restart_policy, F_OBJ, "RestartPolicy", "restart",
	    restart_policy_model, "when a task ends, on the same node"),
	SUB(struct task_group, reschedule_policy, F_OBJ, "ReschedulePolicy", "reschedule",
	    reschedule_policy_model, "when an allocation failed, elsewhere"),
	SUB(struct task_group, ephemeral_disk, F_OBJ, "EphemeralDisk", "ephemeral_disk",
	    ephemeral_disk_model, "the allocation's directory"),
	SUB(struct task_group, update, F_OBJ, "Update", "update", update_strategy_model,
	    "how new versions roll out"),
	SUB(struct task_group, migrate, F_OBJ, "Migrate", "migrate", migrate_strategy_model,
	    "how drains go"),
	SUB(struct task_group, networks, F_OBJS, "Networks", "network", network_model, "ports"),
	M(struct task_group, meta, F_STRMAP, "Meta", "meta", "NOMAD_META_…"),
	SUB(struct task_group, services, F_OBJS, "Services", "service", service_model,
	    "what it offers"),
	FIELDX(struct task_group, shutdown_delay, F_DURATION, "ShutdownDelay",
	    .hcl = "shutdown_delay", .flags = MF_NULL,
	    .doc = "between leaving the catalog and the signal"),
	FIELDX(struct task_group, stop_after_client_disconnect, F_DURATION,
	    "StopAfterClientDisconnect", .hcl = "stop_after_client_disconnect", .flags = MF_NULL,
	    .status = FS_WARNED, .doc = "a node that lost its servers stops it"),
	FIELDX(struct task_group, scaling, F_OBJ, "Scaling", .hcl = "scaling",
	    .sub = &scaling_policy_model, .status = FS_KEPT,
	    .doc = "bounds and policy for an autoscaler"),
	FIELDX(struct task_group, consul, F_OBJ, "Consul", .hcl = "consul", .sub = &consul_model,
	    .status = FS_WARNED, .doc = "namespace in Consul"),
};
const struct model task_group_model = MODEL_SET("TaskGroup", struct task_group, group_fields);

static const struct field periodic_fields[] = {
	FIELDX(struct periodic, enabled, F_BOOL, "Enabled", .hcl = "enabled", .def = "true",
	    .flags = MF_NULL, .doc = ""),
	FIELDX(struct periodic, spec, F_STR, "Spec", .hcl = "cron", .flags = MF_NULL,
	    .doc = "cron expression"),
	FIELDX(struct periodic, spec_type, F_STR, "SpecType", .def = "cron", .flags = MF_NULL,
	    .doc = ""),
	FIELDX(struct periodic, prohibit_overlap, F_BOOL, "ProhibitOverlap",
	    .hcl = "prohibit_overlap", .def = "false", .flags = MF_NULL,
	    .doc = "not while the last one runs"),
	FIELDX(struct periodic, time_zone, F_STR, "TimeZone", .hcl = "time_zone", .def = "UTC",
	    .flags = MF_NULL, .doc = ""),
};
const struct model periodic_model = MODEL_SET("Periodic", struct periodic, periodic_fields);

static const struct field parameterized_fields[] = {
	M(struct parameterized, payload, F_STR, "Payload", "payload",
	    "optional, required or forbidden"),
	M(struct parameterized, meta_required, F_STRS, "MetaRequired", "meta_required", ""),
	M(struct parameterized, meta_optional, F_STRS, "MetaOptional", "meta_optional", ""),
};
const struct model parameterized_model =
    MODEL("ParameterizedJob", struct parameterized, parameterized_fields);

#define CLUSTER(member, type, json, more)                                                          \
	FIELDX(struct job, member, type, json, .flags = MF_NULL | MF_SERVER | (more),              \
	    .status = FS_KEPT)

static const struct field job_fields[] = {
	CLUSTER(stop, F_BOOL, "Stop", 0),
	FIELDX(struct job, region, F_STR, "Region", .hcl = "region", .def = "global",
	    .flags = MF_NULL, .doc = ""),
	FIELDX(struct job, namespace, F_STR, "Namespace", .hcl = "namespace", .def = "default",
	    .flags = MF_NULL, .doc = ""),
	FIELDX(struct job, id, F_STR, "ID", .hcl = "id", .flags = MF_NULL | MF_KEY,
	    .doc = "default: the label"),
	CLUSTER(parent_id, F_STR, "ParentID", 0),
	FIELDX(struct job, name, F_STR, "Name", .hcl = "name", .flags = MF_NULL,
	    .doc = "default: the id"),
	FIELDX(struct job, type, F_STR, "Type", .hcl = "type", .def = "service", .flags = MF_NULL,
	    .doc = "service or batch"),
	FIELDX(struct job, priority, F_INT, "Priority", .hcl = "priority", .def = "50",
	    .flags = MF_NULL, .doc = "1 to 100"),
	FIELDX(struct job, all_at_once, F_BOOL, "AllAtOnce", .hcl = "all_at_once", .def = "false",
	    .flags = MF_NULL, .doc = "place all or nothing"),
	M(struct job, datacenters, F_STRS, "Datacenters", "datacenters", "where it may run"),
	SUB(struct job, constraints, F_OBJS, "Constraints", "constraint", constraint_model,
	    "which nodes"),
	SUB(struct job, affinities, F_OBJS, "Affinities", "affinity", affinity_model,
	    "which nodes rather"),
	SUB(struct job, spreads, F_OBJS, "Spreads", "spread", spread_model, "over what to spread"),
	SUB(struct job, groups, F_OBJS, "TaskGroups", "group", task_group_model,
	    "what is placed together"),
	SUB(struct job, update, F_OBJ, "Update", "update", update_strategy_model, "for all groups"),
	LATER(
	    struct job, multiregion, F_ANY, "Multiregion", "multiregion", NULL, "several clusters"),
	LATER(struct job, periodic, F_OBJ, "Periodic", "periodic", &periodic_model,
	    "run by the clock"),
	LATER(struct job, parameterized, F_OBJ, "ParameterizedJob", "parameterized",
	    &parameterized_model, "run on dispatch"),
	SUB(struct job, reschedule, F_OBJ, "Reschedule", "reschedule", reschedule_policy_model,
	    "for all groups"),
	SUB(struct job, migrate, F_OBJ, "Migrate", "migrate", migrate_strategy_model,
	    "for all groups"),
	M(struct job, meta, F_STRMAP, "Meta", "meta", "NOMAD_META_…"),
	FIELDX(struct job, consul_token, F_STR, "ConsulToken", .hcl = "consul_token",
	    .flags = MF_NULL | MF_SECRET, .status = FS_WARNED,
	    .doc = "the catalog is Potter's own"),
	FIELDX(struct job, vault_token, F_STR, "VaultToken", .hcl = "vault_token",
	    .flags = MF_NULL | MF_SECRET, .status = FS_WARNED, .doc = "no Vault"),
	FIELDX(struct job, dispatched, F_BOOL, "Dispatched", .flags = MF_SERVER, .status = FS_KEPT),
	CLUSTER(payload, F_STR, "Payload", 0),
	CLUSTER(consul_namespace, F_STR, "ConsulNamespace", 0),
	CLUSTER(vault_namespace, F_STR, "VaultNamespace", 0),
	CLUSTER(nomad_token_id, F_STR, "NomadTokenID", 0),
	CLUSTER(status, F_STR, "Status", 0),
	CLUSTER(status_description, F_STR, "StatusDescription", 0),
	CLUSTER(stable, F_BOOL, "Stable", 0),
	CLUSTER(version, F_INT, "Version", 0),
	CLUSTER(submit_time, F_INT, "SubmitTime", 0),
	CLUSTER(create_index, F_INT, "CreateIndex", 0),
	CLUSTER(modify_index, F_INT, "ModifyIndex", 0),
	CLUSTER(job_modify_index, F_INT, "JobModifyIndex", 0),
};
const struct model job_model = MODEL_SET("Job", struct job, job_fields);

_Static_assert(NELEM(job_fields) <= MODEL_FIELDS_MAX && NELEM(task_fields) <= MODEL_FIELDS_MAX,
    "the mask of what was given has a bit per member");
