/*
 * fields.c: the tables of the job model below job, group and task.
 *
 * A row: the Go name in JSON, the name in job files, default, what Potter does with it, one line of
 * explanation. docs/compatibility.md and `plan` are made of them.
 */
#include "job/job.h"

#define M(st, member, type, json, hclname, text)                                                   \
	FIELDX(st, member, type, json, .hcl = (hclname), .doc = (text))
#define D(st, member, type, json, hclname, dflt, text)                                             \
	FIELDX(st, member, type, json, .hcl = (hclname), .def = (dflt), .flags = MF_NULL,          \
	    .doc = (text))

static const struct field constraint_fields[] = {
	M(struct constraint, l_target, F_STR, "LTarget", "attribute",
	    "what is looked at, as ${attr.kernel.name}"),
	M(struct constraint, r_target, F_STR, "RTarget", "value", "what it is compared with"),
	M(struct constraint, operand, F_STR, "Operand", "operator",
	    "=, !=, >, >=, <, <=, regexp, version, semver, set_contains, set_contains_any, is_set, "
	    "is_not_set, distinct_hosts, distinct_property"),
};
const struct model constraint_model = MODEL("Constraint", struct constraint, constraint_fields);

static const struct field affinity_fields[] = {
	M(struct affinity, l_target, F_STR, "LTarget", "attribute", "what is looked at"),
	M(struct affinity, r_target, F_STR, "RTarget", "value", "what it is compared with"),
	M(struct affinity, operand, F_STR, "Operand", "operator", "as in constraint"),
	D(struct affinity, weight, F_INT, "Weight", "weight", "50",
	    "-100 to 100; negative: rather not there"),
};
const struct model affinity_model = MODEL_SET("Affinity", struct affinity, affinity_fields);

static const struct field spread_target_fields[] = {
	FIELDX(struct spread_target, value, F_STR, "Value", .hcl = "value",
	    .flags = MF_LABEL | MF_KEY, .doc = "a value of the attribute"),
	M(struct spread_target, percent, F_INT, "Percent", "percent",
	    "share of the allocations, 0 to 100"),
};
const struct model spread_target_model =
    MODEL("SpreadTarget", struct spread_target, spread_target_fields);

static const struct field spread_fields[] = {
	M(struct spread, attribute, F_STR, "Attribute", "attribute", "what to spread over"),
	D(struct spread, weight, F_INT, "Weight", "weight", "50",
	    "among several spreads, 1 to 100"),
	FIELDX(struct spread, targets, F_OBJS, "SpreadTarget", .hcl = "target",
	    .sub = &spread_target_model, .doc = "wanted shares; without any: evenly"),
};
const struct model spread_model = MODEL_SET("Spread", struct spread, spread_fields);

static const struct field port_fields[] = {
	FIELDX(struct port, label, F_STR, "Label", .hcl = "label", .flags = MF_LABEL | MF_KEY,
	    .doc = "how services, checks and ${NOMAD_PORT_label} call it"),
	M(struct port, value, F_INT, "Value", "static",
	    "a fixed host port; 0: one from 20000 to 32000"),
	M(struct port, to, F_INT, "To", "to", "port inside; -1: the same as outside"),
	FIELDX(struct port, host_network, F_STR, "HostNetwork", .hcl = "host_network",
	    .def = "default", .status = FS_REFUSED, .doc = "named network of the node"),
	FIELDX(struct port, host_ip, F_STR, "HostIP", .flags = MF_OMIT | MF_SERVER,
	    .doc = "what was allocated"),
};
const struct model port_model = MODEL("Port", struct port, port_fields);

static const struct field dns_fields[] = {
	M(struct dns_config, servers, F_STRS, "Servers", "servers", "addresses for resolv.conf"),
	M(struct dns_config, searches, F_STRS, "Searches", "searches", "search domains"),
	M(struct dns_config, options, F_STRS, "Options", "options", "resolver options"),
};
const struct model dns_config_model = MODEL("DNS", struct dns_config, dns_fields);

static const struct field network_fields[] = {
	M(struct network, mode, F_STR, "Mode", "mode",
	    "host; bridge and none warn: for pots network_mode in config decides"),
	FIELDX(struct network, device, F_STR, "Device", .hcl = "device", .status = FS_WARNED,
	    .doc = "interface of the node"),
	FIELDX(struct network, cidr, F_STR, "CIDR", .hcl = "cidr", .status = FS_WARNED,
	    .doc = "network of the node"),
	FIELDX(struct network, ip, F_STR, "IP", .hcl = "ip", .status = FS_WARNED,
	    .doc = "address of the node"),
	FIELDX(struct network, dns, F_OBJ, "DNS", .hcl = "dns", .sub = &dns_config_model,
	    .status = FS_WARNED, .doc = "name resolution inside"),
	FIELDX(struct network, reserved_ports, F_OBJS, "ReservedPorts", .hcl = "reserved_ports",
	    .sub = &port_model,
	    .doc = "ports with a fixed host port; in job files: port with static"),
	FIELDX(struct network, dynamic_ports, F_OBJS, "DynamicPorts", .hcl = "port",
	    .sub = &port_model, .doc = "ports whose host port the scheduler chooses"),
	FIELDX(struct network, hostname, F_STR, "Hostname", .hcl = "hostname", .status = FS_WARNED,
	    .doc = "host name inside"),
	FIELDX(struct network, mbits, F_INT, "MBits", .hcl = "mbits", .flags = MF_NULL,
	    .status = FS_KEPT, .doc = "bandwidth; deprecated, no effect"),
};
const struct model network_model = MODEL_SET("Network", struct network, network_fields);

static const struct field device_fields[] = {
	FIELDX(struct requested_device, name, F_STR, "Name", .hcl = "name",
	    .flags = MF_LABEL | MF_KEY, .doc = "vendor/type/model"),
	D(struct requested_device, count, F_INT, "Count", "count", "1", "how many"),
	FIELDX(struct requested_device, constraints, F_OBJS, "Constraints", .hcl = "constraint",
	    .sub = &constraint_model, .doc = "which ones"),
	FIELDX(struct requested_device, affinities, F_OBJS, "Affinities", .hcl = "affinity",
	    .sub = &affinity_model, .doc = "which ones rather"),
};
const struct model requested_device_model =
    MODEL_SET("Device", struct requested_device, device_fields);

static const struct field resources_fields[] = {
	FIELDX(struct resources, cpu, F_INT, "CPU", .hcl = "cpu", .flags = MF_NULL,
	    .doc = "MHz; default 100, 0 when cores is given"),
	FIELDX(struct resources, cores, F_INT, "Cores", .hcl = "cores", .def = "0",
	    .flags = MF_NULL, .status = FS_REFUSED, .doc = "whole cores for this task alone"),
	D(struct resources, memory_mb, F_INT, "MemoryMB", "memory", "300", "MB; the hard limit"),
	FIELDX(struct resources, memory_max_mb, F_INT, "MemoryMaxMB", .hcl = "memory_max",
	    .def = "0", .flags = MF_NULL, .status = FS_WARNED,
	    .doc = "MB; memory is not oversubscribed"),
	FIELDX(struct resources, disk_mb, F_INT, "DiskMB", .hcl = "disk", .flags = MF_NULL,
	    .status = FS_KEPT, .doc = "use ephemeral_disk of the group"),
	FIELDX(struct resources, iops, F_INT, "IOPS", .hcl = "iops", .flags = MF_NULL,
	    .status = FS_KEPT, .doc = "deprecated, no effect"),
	FIELDX(struct resources, networks, F_OBJS, "Networks", .hcl = "network",
	    .sub = &network_model,
	    .doc = "ports of the task; deprecated, prefer network of the group"),
	FIELDX(struct resources, devices, F_OBJS, "Devices", .hcl = "device",
	    .sub = &requested_device_model, .status = FS_REFUSED,
	    .doc = "graphics cards and the like"),
};
const struct model resources_model = MODEL_SET("Resources", struct resources, resources_fields);

static const struct field restart_fields[] = {
	FIELDX(struct restart_policy, interval, F_DURATION, "Interval", .hcl = "interval",
	    .flags = MF_NULL,
	    .doc = "window in which attempts are counted; default 30m, batch 24h"),
	FIELDX(struct restart_policy, attempts, F_INT, "Attempts", .hcl = "attempts",
	    .flags = MF_NULL, .doc = "restarts within the interval; default 2, batch 3"),
	D(struct restart_policy, delay, F_DURATION, "Delay", "delay", "15s",
	    "pause before a restart"),
	D(struct restart_policy, mode, F_STR, "Mode", "mode", "fail",
	    "what follows the last attempt: fail, or delay until the next interval"),
};
const struct model restart_policy_model =
    MODEL_SET("RestartPolicy", struct restart_policy, restart_fields);

static const struct field reschedule_fields[] = {
	FIELDX(struct reschedule_policy, attempts, F_INT, "Attempts", .hcl = "attempts",
	    .flags = MF_NULL, .doc = "how often within the interval; default batch 1"),
	FIELDX(struct reschedule_policy, interval, F_DURATION, "Interval", .hcl = "interval",
	    .flags = MF_NULL, .doc = "default batch 24h"),
	FIELDX(struct reschedule_policy, delay, F_DURATION, "Delay", .hcl = "delay",
	    .flags = MF_NULL, .doc = "default 30s, batch 5s"),
	FIELDX(struct reschedule_policy, delay_function, F_STR, "DelayFunction",
	    .hcl = "delay_function", .flags = MF_NULL, .doc = "constant, exponential or fibonacci"),
	FIELDX(struct reschedule_policy, max_delay, F_DURATION, "MaxDelay", .hcl = "max_delay",
	    .flags = MF_NULL, .doc = "default 1h"),
	FIELDX(struct reschedule_policy, unlimited, F_BOOL, "Unlimited", .hcl = "unlimited",
	    .flags = MF_NULL, .doc = "no limit of attempts; default of services"),
};
const struct model reschedule_policy_model =
    MODEL_SET("ReschedulePolicy", struct reschedule_policy, reschedule_fields);

static const struct field update_fields[] = {
	D(struct update_strategy, stagger, F_DURATION, "Stagger", "stagger", "30s",
	    "pause between batches of system jobs"),
	D(struct update_strategy, max_parallel, F_INT, "MaxParallel", "max_parallel", "1",
	    "how many at once; 0: no deployment, all at once"),
	D(struct update_strategy, health_check, F_STR, "HealthCheck", "health_check", "checks",
	    "checks, task_states or manual"),
	D(struct update_strategy, min_healthy_time, F_DURATION, "MinHealthyTime",
	    "min_healthy_time", "10s", "how long healthy before it counts"),
	D(struct update_strategy, healthy_deadline, F_DURATION, "HealthyDeadline",
	    "healthy_deadline", "5m", "unhealthy when not healthy by then"),
	D(struct update_strategy, progress_deadline, F_DURATION, "ProgressDeadline",
	    "progress_deadline", "10m",
	    "the deployment fails without progress; 0: at the first unhealthy one"),
	D(struct update_strategy, auto_revert, F_BOOL, "AutoRevert", "auto_revert", "false",
	    "back to the last stable version when the deployment fails"),
	D(struct update_strategy, auto_promote, F_BOOL, "AutoPromote", "auto_promote", "false",
	    "promote canaries when all are healthy"),
	D(struct update_strategy, canary, F_INT, "Canary", "canary", "0",
	    "how many of the new version first"),
};
const struct model update_strategy_model =
    MODEL_SET("Update", struct update_strategy, update_fields);

static const struct field migrate_fields[] = {
	D(struct migrate_strategy, max_parallel, F_INT, "MaxParallel", "max_parallel", "1",
	    "how many leave a drained node at once"),
	D(struct migrate_strategy, health_check, F_STR, "HealthCheck", "health_check", "checks",
	    "checks or task_states"),
	D(struct migrate_strategy, min_healthy_time, F_DURATION, "MinHealthyTime",
	    "min_healthy_time", "10s", "how long healthy before it counts"),
	D(struct migrate_strategy, healthy_deadline, F_DURATION, "HealthyDeadline",
	    "healthy_deadline", "5m", "given up then"),
};
const struct model migrate_strategy_model =
    MODEL_SET("Migrate", struct migrate_strategy, migrate_fields);

static const struct field disk_fields[] = {
	FIELDX(struct ephemeral_disk, sticky, F_BOOL, "Sticky", .hcl = "sticky", .def = "false",
	    .flags = MF_NULL, .status = FS_WARNED,
	    .doc = "the same node is preferred, the data is not taken over"),
	FIELDX(struct ephemeral_disk, migrate, F_BOOL, "Migrate", .hcl = "migrate", .def = "false",
	    .flags = MF_NULL, .status = FS_WARNED, .doc = "take the data along"),
	D(struct ephemeral_disk, size_mb, F_INT, "SizeMB", "size", "300", "MB, at least 10"),
};
const struct model ephemeral_disk_model =
    MODEL_SET("EphemeralDisk", struct ephemeral_disk, disk_fields);

static const struct field check_restart_fields[] = {
	FIELDX(struct check_restart, limit, F_INT, "Limit", .hcl = "limit",
	    .doc = "restart the task after so many failures in a row; 0: never"),
	D(struct check_restart, grace, F_DURATION, "Grace", "grace", "1s",
	    "after a start failures do not count"),
	FIELDX(struct check_restart, ignore_warnings, F_BOOL, "IgnoreWarnings",
	    .hcl = "ignore_warnings", .doc = "a warning is no failure"),
};
const struct model check_restart_model =
    MODEL_SET("CheckRestart", struct check_restart, check_restart_fields);

static const struct field check_fields[] = {
	FIELDX(
	    struct service_check, id, F_STR, "Id", .hcl = "id", .status = FS_KEPT, .doc = "unused"),
	FIELDX(struct service_check, name, F_STR, "Name", .hcl = "name", .flags = MF_KEY,
	    .doc = "default: service: \"<service>\" check"),
	M(struct service_check, type, F_STR, "Type", "type",
	    "tcp or http; script and grpc are refused"),
	FIELDX(struct service_check, command, F_STR, "Command", .hcl = "command",
	    .status = FS_REFUSED, .doc = "script: the program"),
	FIELDX(struct service_check, args, F_STRS, "Args", .hcl = "args", .status = FS_REFUSED,
	    .doc = "script: its arguments"),
	M(struct service_check, path, F_STR, "Path", "path", "http: what to get, without host"),
	M(struct service_check, protocol, F_STR, "Protocol", "protocol", "http; https is refused"),
	M(struct service_check, port_label, F_STR, "PortLabel", "port",
	    "label or number; default: the service's"),
	FIELDX(struct service_check, expose, F_BOOL, "Expose", .hcl = "expose",
	    .status = FS_REFUSED, .doc = "a path through the service mesh"),
	M(struct service_check, address_mode, F_STR, "AddressMode", "address_mode",
	    "host, driver or alloc"),
	M(struct service_check, interval, F_DURATION, "Interval", "interval", "at least 1s"),
	M(struct service_check, timeout, F_DURATION, "Timeout", "timeout", "at least 1s"),
	M(struct service_check, initial_status, F_STR, "InitialStatus", "initial_status",
	    "passing, warning or critical (default)"),
	FIELDX(struct service_check, tls_skip_verify, F_BOOL, "TLSSkipVerify",
	    .hcl = "tls_skip_verify", .status = FS_REFUSED,
	    .doc = "https: any certificate will do"),
	M(struct service_check, header, F_STRSMAP, "Header", "header",
	    "http: header lines to send"),
	M(struct service_check, method, F_STR, "Method", "method", "http: GET by default"),
	FIELDX(struct service_check, check_restart, F_OBJ, "CheckRestart", .hcl = "check_restart",
	    .sub = &check_restart_model, .doc = "restart the task when this check fails"),
	FIELDX(struct service_check, grpc_service, F_STR, "GRPCService", .hcl = "grpc_service",
	    .status = FS_REFUSED, .doc = "grpc: which service"),
	FIELDX(struct service_check, grpc_use_tls, F_BOOL, "GRPCUseTLS", .hcl = "grpc_use_tls",
	    .status = FS_REFUSED, .doc = "grpc over TLS"),
	FIELDX(struct service_check, task_name, F_STR, "TaskName", .hcl = "task",
	    .status = FS_REFUSED, .doc = "script in a group service: in which task"),
	M(struct service_check, success_before_passing, F_INT, "SuccessBeforePassing",
	    "success_before_passing", "so many in a row"),
	M(struct service_check, failures_before_critical, F_INT, "FailuresBeforeCritical",
	    "failures_before_critical", "so many in a row"),
	M(struct service_check, body, F_STR, "Body", "body", "http: what to send"),
	FIELDX(struct service_check, on_update, F_STR, "OnUpdate", .hcl = "on_update",
	    .def = "require_healthy", .status = FS_WARNED,
	    .doc = "checks always count as require_healthy"),
};
const struct model service_check_model = MODEL("Check", struct service_check, check_fields);

static const struct field service_fields[] = {
	FIELDX(struct service, id, F_STR, "Id", .hcl = "id", .status = FS_KEPT, .doc = "unused"),
	FIELDX(struct service, name, F_STR, "Name", .hcl = "name", .flags = MF_KEY,
	    .doc = "default: <job>-<group>[-<task>]"),
	M(struct service, tags, F_STRS, "Tags", "tags", "for DNS and for the ingress"),
	M(struct service, canary_tags, F_STRS, "CanaryTags", "canary_tags",
	    "instead of tags, until promoted"),
	FIELDX(struct service, enable_tag_override, F_BOOL, "EnableTagOverride",
	    .hcl = "enable_tag_override", .status = FS_WARNED, .doc = "others may change the tags"),
	M(struct service, port_label, F_STR, "PortLabel", "port", "label of a port, or a number"),
	M(struct service, address_mode, F_STR, "AddressMode", "address_mode",
	    "auto (default), host, driver, alloc"),
	FIELDX(struct service, checks, F_OBJS, "Checks", .hcl = "check",
	    .sub = &service_check_model, .doc = "is it any use?"),
	FIELDX(struct service, check_restart, F_OBJ, "CheckRestart", .hcl = "check_restart",
	    .sub = &check_restart_model, .doc = "for all checks of the service"),
	FIELDX(struct service, connect, F_ANY, "Connect", .hcl = "connect", .status = FS_REFUSED,
	    .doc = "service mesh"),
	M(struct service, meta, F_STRMAP, "Meta", "meta", "shown in the catalog"),
	M(struct service, canary_meta, F_STRMAP, "CanaryMeta", "canary_meta",
	    "instead of meta, until promoted"),
	M(struct service, task_name, F_STR, "TaskName", "task",
	    "group service: the task that runs its scripts"),
	FIELDX(struct service, on_update, F_STR, "OnUpdate", .hcl = "on_update",
	    .def = "require_healthy", .status = FS_WARNED,
	    .doc = "checks always count as require_healthy"),
	FIELDX(struct service, provider, F_STR, "Provider", .hcl = "provider", .flags = MF_OMIT,
	    .doc = "consul or nomad; both mean Potter's catalog"),
	FIELDX(struct service, address, F_STR, "Address", .hcl = "address", .flags = MF_OMIT,
	    .status = FS_WARNED, .doc = "announced in place of the node's"),
};
const struct model service_model = MODEL("Service", struct service, service_fields);

static const struct field volume_fields[] = {
	FIELDX(struct volume_request, name, F_STR, "Name", .hcl = "name",
	    .flags = MF_LABEL | MF_KEY, .doc = "how tasks call it"),
	M(struct volume_request, type, F_STR, "Type", "type", "host"),
	M(struct volume_request, source, F_STR, "Source", "source", "name of the node's volume"),
	M(struct volume_request, read_only, F_BOOL, "ReadOnly", "read_only", "no writing"),
	M(struct volume_request, access_mode, F_STR, "AccessMode", "access_mode", "CSI only"),
	M(struct volume_request, attachment_mode, F_STR, "AttachmentMode", "attachment_mode",
	    "CSI only"),
	M(struct volume_request, mount_options, F_ANY, "MountOptions", "mount_options", "CSI only"),
	M(struct volume_request, per_alloc, F_BOOL, "PerAlloc", "per_alloc",
	    "one for each allocation"),
};
const struct model volume_request_model = MODEL("Volume", struct volume_request, volume_fields);

static const struct field volume_mount_fields[] = {
	FIELDX(struct volume_mount, volume, F_STR, "Volume", .hcl = "volume", .flags = MF_NULL,
	    .doc = "a volume of the group"),
	FIELDX(struct volume_mount, destination, F_STR, "Destination", .hcl = "destination",
	    .flags = MF_NULL, .doc = "path inside"),
	D(struct volume_mount, read_only, F_BOOL, "ReadOnly", "read_only", "false", "no writing"),
	D(struct volume_mount, propagation_mode, F_STR, "PropagationMode", "propagation_mode",
	    "private", "private, host-to-task or bidirectional"),
};
const struct model volume_mount_model =
    MODEL_SET("VolumeMount", struct volume_mount, volume_mount_fields);

static const struct field log_fields[] = {
	D(struct log_config, max_files, F_INT, "MaxFiles", "max_files", "10", "kept per stream"),
	D(struct log_config, max_file_size_mb, F_INT, "MaxFileSizeMB", "max_file_size", "10",
	    "MB, then the next"),
	FIELDX(struct log_config, disabled, F_BOOL, "Disabled", .hcl = "disabled", .flags = MF_OMIT,
	    .status = FS_WARNED, .doc = "keep no output"),
};
const struct model log_config_model = MODEL_SET("LogConfig", struct log_config, log_fields);

static const struct field lifecycle_fields[] = {
	M(struct lifecycle, hook, F_STR, "Hook", "hook", "prestart, poststart or poststop"),
	M(struct lifecycle, sidecar, F_BOOL, "Sidecar", "sidecar",
	    "keeps running beside the main tasks"),
};
const struct model lifecycle_model = MODEL("Lifecycle", struct lifecycle, lifecycle_fields);

static const struct field dispatch_fields[] = {
	M(struct dispatch_payload, file, F_STR, "File", "file", "where the payload is put"),
};
const struct model dispatch_payload_model =
    MODEL("DispatchPayload", struct dispatch_payload, dispatch_fields);

static const struct field artifact_fields[] = {
	FIELDX(struct artifact, source, F_STR, "GetterSource", .hcl = "source", .flags = MF_NULL,
	    .doc = "URL"),
	M(struct artifact, options, F_STRMAP, "GetterOptions", "options",
	    "checksum, archive and others"),
	M(struct artifact, headers, F_STRMAP, "GetterHeaders", "headers", "header lines to send"),
	D(struct artifact, mode, F_STR, "GetterMode", "mode", "any", "any, file or dir"),
	FIELDX(struct artifact, destination, F_STR, "RelativeDest", .hcl = "destination",
	    .flags = MF_NULL, .doc = "default local/"),
};
const struct model artifact_model = MODEL_SET("Artifact", struct artifact, artifact_fields);

static const struct field template_fields[] = {
	D(struct task_template, source, F_STR, "SourcePath", "source", "", "a file"),
	D(struct task_template, destination, F_STR, "DestPath", "destination", "",
	    "where the result goes"),
	D(struct task_template, data, F_STR, "EmbeddedTmpl", "data", "", "the text"),
	D(struct task_template, change_mode, F_STR, "ChangeMode", "change_mode", "restart",
	    "restart, signal or noop"),
	FIELDX(struct task_template, change_signal, F_STR, "ChangeSignal", .hcl = "change_signal",
	    .flags = MF_NULL, .doc = "with change_mode signal; default SIGHUP"),
	D(struct task_template, splay, F_DURATION, "Splay", "splay", "5s", "random delay at most"),
	D(struct task_template, perms, F_STR, "Perms", "perms", "0644", "octal"),
	D(struct task_template, left_delimiter, F_STR, "LeftDelim", "left_delimiter", "{{", ""),
	D(struct task_template, right_delimiter, F_STR, "RightDelim", "right_delimiter", "}}", ""),
	D(struct task_template, envvars, F_BOOL, "Envvars", "env", "false",
	    "the result becomes environment"),
	D(struct task_template, vault_grace, F_DURATION, "VaultGrace", "vault_grace", "0s",
	    "deprecated"),
};
const struct model task_template_model =
    MODEL_SET("Template", struct task_template, template_fields);

static const struct field vault_fields[] = {
	M(struct vault, policies, F_STRS, "Policies", "policies", ""),
	FIELDX(struct vault, namespace, F_STR, "Namespace", .hcl = "namespace", .flags = MF_NULL,
	    .doc = ""),
	D(struct vault, env, F_BOOL, "Env", "env", "true", ""),
	D(struct vault, change_mode, F_STR, "ChangeMode", "change_mode", "restart", ""),
	FIELDX(struct vault, change_signal, F_STR, "ChangeSignal", .hcl = "change_signal",
	    .flags = MF_NULL, .doc = ""),
};
const struct model vault_model = MODEL_SET("Vault", struct vault, vault_fields);

static const struct field consul_fields[] = {
	M(struct consul, namespace, F_STR, "Namespace", "namespace", ""),
};
const struct model consul_model = MODEL("Consul", struct consul, consul_fields);

static const struct field scaling_fields[] = {
	FIELDX(struct scaling_policy, min, F_INT, "Min", .hcl = "min", .flags = MF_NULL,
	    .doc = "lowest count"),
	FIELDX(struct scaling_policy, max, F_INT, "Max", .hcl = "max", .flags = MF_NULL,
	    .doc = "highest count"),
	M(struct scaling_policy, policy, F_ANY, "Policy", "policy", "for an autoscaler"),
	D(struct scaling_policy, enabled, F_BOOL, "Enabled", "enabled", "true", ""),
	M(struct scaling_policy, type, F_STR, "Type", "type", "horizontal"),
	FIELDX(struct scaling_policy, id, F_STR, "ID", .flags = MF_SERVER),
	FIELDX(struct scaling_policy, namespace, F_STR, "Namespace", .flags = MF_SERVER),
	FIELDX(struct scaling_policy, target, F_STRMAP, "Target", .flags = MF_SERVER),
	FIELDX(struct scaling_policy, create_index, F_INT, "CreateIndex", .flags = MF_SERVER),
	FIELDX(struct scaling_policy, modify_index, F_INT, "ModifyIndex", .flags = MF_SERVER),
};
const struct model scaling_policy_model =
    MODEL_SET("Scaling", struct scaling_policy, scaling_fields);

/* As above, but in a task: the label says which resource. */
static const struct field task_scaling_fields[] = {
	FIELDX(struct scaling_policy, min, F_INT, "Min", .hcl = "min", .flags = MF_NULL,
	    .doc = "lowest count"),
	FIELDX(struct scaling_policy, max, F_INT, "Max", .hcl = "max", .flags = MF_NULL,
	    .doc = "highest count"),
	M(struct scaling_policy, policy, F_ANY, "Policy", "policy", "for an autoscaler"),
	D(struct scaling_policy, enabled, F_BOOL, "Enabled", "enabled", "true", ""),
	FIELDX(struct scaling_policy, type, F_STR, "Type", .hcl = "type",
	    .flags = MF_LABEL | MF_KEY, .doc = "cpu or mem"),
	FIELDX(struct scaling_policy, id, F_STR, "ID", .flags = MF_SERVER),
	FIELDX(struct scaling_policy, namespace, F_STR, "Namespace", .flags = MF_SERVER),
	FIELDX(struct scaling_policy, target, F_STRMAP, "Target", .flags = MF_SERVER),
	FIELDX(struct scaling_policy, create_index, F_INT, "CreateIndex", .flags = MF_SERVER),
	FIELDX(struct scaling_policy, modify_index, F_INT, "ModifyIndex", .flags = MF_SERVER),
};
const struct model task_scaling_policy_model =
    MODEL_SET("Scaling", struct scaling_policy, task_scaling_fields);
