#include "state/rows.h"

#include "job/job.h"

#define OBJ(owner, member, jname, model, how)                                                      \
	FIELDX(owner, member, F_OBJ, jname, .sub = &(model), .flags = (how))
#define OBJS(owner, member, jname, model, how)                                                     \
	FIELDX(owner, member, F_OBJS, jname, .sub = &(model), .flags = (how))
#define OBJMAP(owner, member, jname, model, how)                                                   \
	FIELDX(owner, member, F_OBJMAP, jname, .sub = &(model), .flags = (how))

/* ---- resources ---- */

static const struct field node_cpu_fields[] = {
	FIELD(struct cpu_resources, cpu_shares, F_INT, "CpuShares"),
	FIELD(struct cpu_resources, total_cpu_cores, F_INT, "TotalCpuCores"),
	FIELD(struct cpu_resources, reservable_cpu_cores, F_INTS, "ReservableCpuCores"),
};
static const struct model node_cpu_model = MODEL("NodeCpu", struct cpu_resources, node_cpu_fields);

static const struct field alloc_cpu_fields[] = {
	FIELD(struct cpu_resources, cpu_shares, F_INT, "CpuShares"),
	FIELDX(struct cpu_resources, reserved_cores, F_INTS, "ReservedCores", .flags = MF_EMPTY),
};
static const struct model alloc_cpu_model =
    MODEL("AllocatedCpu", struct cpu_resources, alloc_cpu_fields);

static const struct field memory_fields[] = {
	FIELD(struct memory_resources, memory_mb, F_INT, "MemoryMB"),
	FIELD(struct memory_resources, memory_max_mb, F_INT, "MemoryMaxMB"),
};
static const struct model memory_model = MODEL("Memory", struct memory_resources, memory_fields);

static const struct field disk_fields[] = {
	FIELD(struct disk_resources, disk_mb, F_INT, "DiskMB"),
};
static const struct model disk_model = MODEL("Disk", struct disk_resources, disk_fields);

static const struct field node_resources_fields[] = {
	OBJ(struct node_resources, cpu, "Cpu", node_cpu_model, MF_EMPTY),
	OBJ(struct node_resources, memory, "Memory", memory_model, MF_EMPTY),
	OBJ(struct node_resources, disk, "Disk", disk_model, MF_EMPTY),
	OBJS(struct node_resources, networks, "Networks", network_model, MF_EMPTY),
	FIELD(struct node_resources, min_dynamic_port, F_INT, "MinDynamicPort"),
	FIELD(struct node_resources, max_dynamic_port, F_INT, "MaxDynamicPort"),
};
static const struct model node_resources_model =
    MODEL("NodeResources", struct node_resources, node_resources_fields);

static const struct field reserved_networks_fields[] = {
	FIELD(struct node_reserved_networks, reserved_host_ports, F_STR, "ReservedHostPorts"),
};
static const struct model reserved_networks_model =
    MODEL("ReservedNetworks", struct node_reserved_networks, reserved_networks_fields);

static const struct field node_reserved_fields[] = {
	OBJ(struct node_reserved, cpu, "Cpu", node_cpu_model, MF_EMPTY),
	OBJ(struct node_reserved, memory, "Memory", memory_model, MF_EMPTY),
	OBJ(struct node_reserved, disk, "Disk", disk_model, MF_EMPTY),
	OBJ(struct node_reserved, networks, "Networks", reserved_networks_model, MF_EMPTY),
};
static const struct model node_reserved_model =
    MODEL("ReservedResources", struct node_reserved, node_reserved_fields);

/* ---- nodes ---- */

static const struct field driver_info_fields[] = {
	FIELD(struct driver_info, detected, F_BOOL, "Detected"),
	FIELD(struct driver_info, healthy, F_BOOL, "Healthy"),
	FIELD(struct driver_info, health_description, F_STR, "HealthDescription"),
	FIELD(struct driver_info, update_time, F_TIME, "UpdateTime"),
	FIELD(struct driver_info, attributes, F_STRMAP, "Attributes"),
};
const struct model driver_info_model = MODEL("DriverInfo", struct driver_info, driver_info_fields);

static const struct field host_volume_fields[] = {
	FIELD(struct host_volume, name, F_STR, "Name"),
	FIELD(struct host_volume, path, F_STR, "Path"),
	FIELD(struct host_volume, read_only, F_BOOL, "ReadOnly"),
};
static const struct model host_volume_model =
    MODEL("HostVolume", struct host_volume, host_volume_fields);

static const struct field node_event_fields[] = {
	FIELD(struct node_event, message, F_STR, "Message"),
	FIELD(struct node_event, subsystem, F_STR, "Subsystem"),
	FIELD(struct node_event, timestamp, F_TIME, "Timestamp"),
	FIELD(struct node_event, details, F_STRMAP, "Details"),
	FIELD(struct node_event, create_index, F_INT, "CreateIndex"),
};
static const struct model node_event_model =
    MODEL("NodeEvent", struct node_event, node_event_fields);

static const struct field drain_strategy_fields[] = {
	FIELD(struct drain_strategy, deadline, F_DURATION, "Deadline"),
	FIELD(struct drain_strategy, ignore_system_jobs, F_BOOL, "IgnoreSystemJobs"),
	FIELD(struct drain_strategy, force_deadline, F_TIME, "ForceDeadline"),
	FIELD(struct drain_strategy, started_at, F_TIME, "StartedAt"),
};
const struct model drain_strategy_model =
    MODEL("DrainStrategy", struct drain_strategy, drain_strategy_fields);

static const struct field drain_metadata_fields[] = {
	FIELD(struct drain_metadata, started_at, F_TIME, "StartedAt"),
	FIELD(struct drain_metadata, updated_at, F_TIME, "UpdatedAt"),
	FIELD(struct drain_metadata, status, F_STR, "Status"),
	FIELD(struct drain_metadata, accessor_id, F_STR, "AccessorID"),
	FIELD(struct drain_metadata, meta, F_STRMAP, "Meta"),
};
static const struct model drain_metadata_model =
    MODEL("LastDrain", struct drain_metadata, drain_metadata_fields);

static const struct field node_fields[] = {
	FIELD(struct node, id, F_STR, "ID"), FIELD(struct node, datacenter, F_STR, "Datacenter"),
	FIELD(struct node, name, F_STR, "Name"), FIELD(struct node, node_class, F_STR, "NodeClass"),
	FIELD(struct node, node_pool, F_STR, "NodePool"),
	FIELD(struct node, http_addr, F_STR, "HTTPAddr"),
	FIELD(struct node, tls_enabled, F_BOOL, "TLSEnabled"),
	FIELDX(struct node, attributes, F_STRMAP, "Attributes", .flags = MF_EMPTY),
	FIELDX(struct node, meta, F_STRMAP, "Meta", .flags = MF_EMPTY),
	FIELDX(struct node, links, F_STRMAP, "Links", .flags = MF_EMPTY),
	OBJ(struct node, node_resources, "NodeResources", node_resources_model, MF_EMPTY),
	OBJ(struct node, reserved_resources, "ReservedResources", node_reserved_model, MF_EMPTY),
	OBJ(struct node, resources, "Resources", resources_model, 0),
	OBJ(struct node, reserved, "Reserved", resources_model, 0),
	FIELD(struct node, computed_class, F_STR, "ComputedClass"),
	OBJMAP(struct node, drivers, "Drivers", driver_info_model, MF_EMPTY),
	OBJMAP(struct node, host_volumes, "HostVolumes", host_volume_model, MF_EMPTY),
	FIELD(struct node, scheduling_eligibility, F_STR, "SchedulingEligibility"),
	FIELD(struct node, drain, F_BOOL, "Drain"),
	OBJ(struct node, drain_strategy, "DrainStrategy", drain_strategy_model, 0),
	OBJ(struct node, last_drain, "LastDrain", drain_metadata_model, 0),
	FIELD(struct node, status, F_STR, "Status"),
	FIELD(struct node, status_description, F_STR, "StatusDescription"),
	FIELD(struct node, status_updated_at, F_INT, "StatusUpdatedAt"),
	OBJS(struct node, events, "Events", node_event_model, MF_EMPTY),
	FIELD(struct node, create_index, F_INT, "CreateIndex"),
	FIELD(struct node, modify_index, F_INT, "ModifyIndex"),
	FIELD(
	    struct node, secret_id, F_STR, "SecretID"), /* last: the public model ends before it */
};
const struct model node_secret_model = MODEL("Node", struct node, node_fields);
const struct model node_model = {
	.name = "Node",
	.size = sizeof(struct node),
	.fields = node_fields,
	.n = NELEM(node_fields) - 1,
};

static const struct field node_stub_fields[] = {
	FIELD(struct node, address, F_STR, "Address"),
	FIELD(struct node, id, F_STR, "ID"),
	FIELD(struct node, datacenter, F_STR, "Datacenter"),
	FIELD(struct node, name, F_STR, "Name"),
	FIELD(struct node, node_class, F_STR, "NodeClass"),
	FIELD(struct node, node_pool, F_STR, "NodePool"),
	FIELD(struct node, version, F_STR, "Version"),
	FIELD(struct node, drain, F_BOOL, "Drain"),
	FIELD(struct node, scheduling_eligibility, F_STR, "SchedulingEligibility"),
	FIELD(struct node, status, F_STR, "Status"),
	FIELD(struct node, status_description, F_STR, "StatusDescription"),
	OBJMAP(struct node, drivers, "Drivers", driver_info_model, MF_EMPTY),
	OBJMAP(struct node, host_volumes, "HostVolumes", host_volume_model, MF_EMPTY),
	OBJ(struct node, last_drain, "LastDrain", drain_metadata_model, 0),
	FIELD(struct node, create_index, F_INT, "CreateIndex"),
	FIELD(struct node, modify_index, F_INT, "ModifyIndex"),
};
const struct model node_stub_model = MODEL("Node", struct node, node_stub_fields);

/* ---- allocations ---- */

static const struct field allocated_task_fields[] = {
	OBJ(struct allocated_task, cpu, "Cpu", alloc_cpu_model, MF_EMPTY),
	OBJ(struct allocated_task, memory, "Memory", memory_model, MF_EMPTY),
	OBJS(struct allocated_task, networks, "Networks", network_model, 0),
};
static const struct model allocated_task_model =
    MODEL("AllocatedTask", struct allocated_task, allocated_task_fields);

static const struct field allocated_shared_fields[] = {
	FIELD(struct allocated_shared, disk_mb, F_INT, "DiskMB"),
	OBJS(struct allocated_shared, networks, "Networks", network_model, 0),
	OBJS(struct allocated_shared, ports, "Ports", port_model, 0),
};
static const struct model allocated_shared_model =
    MODEL("AllocatedShared", struct allocated_shared, allocated_shared_fields);

static const struct field allocated_resources_fields[] = {
	OBJMAP(struct allocated_resources, tasks, "Tasks", allocated_task_model, MF_EMPTY),
	OBJ(struct allocated_resources, shared, "Shared", allocated_shared_model, MF_EMPTY),
};
static const struct model allocated_resources_model =
    MODEL("AllocatedResources", struct allocated_resources, allocated_resources_fields);

static const struct field task_event_fields[] = {
	FIELD(struct task_event, type, F_STR, "Type"),
	FIELD(struct task_event, time, F_INT, "Time"),
	FIELD(struct task_event, message, F_STR, "Message"),
	FIELD(struct task_event, display_message, F_STR, "DisplayMessage"),
	FIELDX(struct task_event, details, F_STRMAP, "Details", .flags = MF_EMPTY),
	FIELDX(struct task_event, fails_task, F_BOOL, "FailsTask", .flags = MF_OMIT),
	FIELDX(struct task_event, exit_code, F_INT, "ExitCode", .flags = MF_OMIT),
	FIELDX(struct task_event, signal, F_INT, "Signal", .flags = MF_OMIT),
	FIELDX(struct task_event, kill_timeout, F_DURATION, "KillTimeout", .flags = MF_OMIT),
	FIELDX(struct task_event, start_delay, F_INT, "StartDelay", .flags = MF_OMIT),
	FIELDX(struct task_event, restart_reason, F_STR, "RestartReason", .flags = MF_OMIT),
	FIELDX(struct task_event, driver_error, F_STR, "DriverError", .flags = MF_OMIT),
	FIELDX(struct task_event, driver_message, F_STR, "DriverMessage", .flags = MF_OMIT),
	FIELDX(struct task_event, setup_error, F_STR, "SetupError", .flags = MF_OMIT),
	FIELDX(struct task_event, download_error, F_STR, "DownloadError", .flags = MF_OMIT),
	FIELDX(struct task_event, validation_error, F_STR, "ValidationError", .flags = MF_OMIT),
	FIELDX(struct task_event, kill_error, F_STR, "KillError", .flags = MF_OMIT),
	FIELDX(struct task_event, kill_reason, F_STR, "KillReason", .flags = MF_OMIT),
	FIELDX(struct task_event, failed_sibling, F_STR, "FailedSibling", .flags = MF_OMIT),
	FIELDX(struct task_event, task_signal, F_STR, "TaskSignal", .flags = MF_OMIT),
	FIELDX(struct task_event, task_signal_reason, F_STR, "TaskSignalReason", .flags = MF_OMIT),
	FIELDX(struct task_event, generic_source, F_STR, "GenericSource", .flags = MF_OMIT),
};
const struct model task_event_model = MODEL("TaskEvent", struct task_event, task_event_fields);

static const struct field task_state_fields[] = {
	FIELD(struct task_state, state, F_STR, "State"),
	FIELD(struct task_state, failed, F_BOOL, "Failed"),
	FIELD(struct task_state, restarts, F_INT, "Restarts"),
	FIELD(struct task_state, last_restart, F_TIME, "LastRestart"),
	FIELD(struct task_state, started_at, F_TIME, "StartedAt"),
	FIELD(struct task_state, finished_at, F_TIME, "FinishedAt"),
	OBJS(struct task_state, events, "Events", task_event_model, MF_EMPTY),
};
const struct model task_state_model = MODEL("TaskState", struct task_state, task_state_fields);

static const struct field alloc_deployment_status_fields[] = {
	/* the first: alloc_health() knows its bit */
	FIELDX(struct alloc_deployment_status, healthy, F_BOOL, "Healthy", .flags = MF_NULL),
	FIELD(struct alloc_deployment_status, timestamp, F_TIME, "Timestamp"),
	FIELD(struct alloc_deployment_status, canary, F_BOOL, "Canary"),
	FIELD(struct alloc_deployment_status, modify_index, F_INT, "ModifyIndex"),
};
const struct model alloc_deployment_status_model =
    MODEL_SET("DeploymentStatus", struct alloc_deployment_status, alloc_deployment_status_fields);

static const struct field transition_fields[] = {
	FIELDX(struct desired_transition, migrate, F_BOOL, "Migrate", .flags = MF_NULL),
	FIELDX(struct desired_transition, reschedule, F_BOOL, "Reschedule", .flags = MF_NULL),
	FIELDX(struct desired_transition, force_reschedule, F_BOOL, "ForceReschedule",
	    .flags = MF_NULL),
	FIELDX(struct desired_transition, no_shutdown_delay, F_BOOL, "NoShutdownDelay",
	    .flags = MF_OMIT),
};
const struct model desired_transition_model =
    MODEL("DesiredTransition", struct desired_transition, transition_fields);

static const struct field reschedule_event_fields[] = {
	FIELD(struct reschedule_event, reschedule_time, F_INT, "RescheduleTime"),
	FIELD(struct reschedule_event, prev_alloc_id, F_STR, "PrevAllocID"),
	FIELD(struct reschedule_event, prev_node_id, F_STR, "PrevNodeID"),
	FIELD(struct reschedule_event, delay, F_DURATION, "Delay"),
};
static const struct model reschedule_event_model =
    MODEL("RescheduleEvent", struct reschedule_event, reschedule_event_fields);

static const struct field reschedule_tracker_fields[] = {
	OBJS(struct reschedule_tracker, events, "Events", reschedule_event_model, MF_EMPTY),
};
static const struct model reschedule_tracker_model =
    MODEL("RescheduleTracker", struct reschedule_tracker, reschedule_tracker_fields);

static const struct field alloc_network_status_fields[] = {
	FIELD(struct alloc_network_status, interface_name, F_STR, "InterfaceName"),
	FIELD(struct alloc_network_status, address, F_STR, "Address"),
	FIELDX(struct alloc_network_status, address_ipv6, F_STR, "AddressIPv6", .flags = MF_OMIT),
};
const struct model alloc_network_status_model =
    MODEL("NetworkStatus", struct alloc_network_status, alloc_network_status_fields);

static const struct field node_score_fields[] = {
	FIELD(struct node_score, node_id, F_STR, "NodeID"),
	FIELDX(struct node_score, scores, F_FLOATMAP, "Scores", .flags = MF_EMPTY),
	FIELD(struct node_score, norm_score, F_FLOAT, "NormScore"),
};
static const struct model node_score_model =
    MODEL("NodeScoreMeta", struct node_score, node_score_fields);

static const struct field alloc_metric_fields[] = {
	FIELD(struct alloc_metric, nodes_evaluated, F_INT, "NodesEvaluated"),
	FIELD(struct alloc_metric, nodes_filtered, F_INT, "NodesFiltered"),
	FIELD(struct alloc_metric, nodes_available, F_INTMAP, "NodesAvailable"),
	FIELD(struct alloc_metric, class_filtered, F_INTMAP, "ClassFiltered"),
	FIELD(struct alloc_metric, constraint_filtered, F_INTMAP, "ConstraintFiltered"),
	FIELD(struct alloc_metric, nodes_exhausted, F_INT, "NodesExhausted"),
	FIELD(struct alloc_metric, class_exhausted, F_INTMAP, "ClassExhausted"),
	FIELD(struct alloc_metric, dimension_exhausted, F_INTMAP, "DimensionExhausted"),
	FIELD(struct alloc_metric, quota_exhausted, F_STRS, "QuotaExhausted"),
	OBJS(struct alloc_metric, score_meta_data, "ScoreMetaData", node_score_model, 0),
	FIELD(struct alloc_metric, allocation_time, F_DURATION, "AllocationTime"),
	FIELD(struct alloc_metric, coalesced_failures, F_INT, "CoalescedFailures"),
};
const struct model alloc_metric_model =
    MODEL("AllocMetric", struct alloc_metric, alloc_metric_fields);

static const struct field alloc_fields[] = {
	FIELD(struct alloc, id, F_STR, "ID"), FIELD(struct alloc, eval_id, F_STR, "EvalID"),
	FIELD(struct alloc, name, F_STR, "Name"),
	FIELD(struct alloc, namespace, F_STR, "Namespace"),
	FIELD(struct alloc, node_id, F_STR, "NodeID"),
	FIELD(struct alloc, node_name, F_STR, "NodeName"),
	FIELD(struct alloc, job_id, F_STR, "JobID"),
	FIELD(struct alloc, job_type, F_STR, "JobType"),
	FIELD(struct alloc, job_version, F_INT, "JobVersion"),
	FIELD(struct alloc, task_group, F_STR, "TaskGroup"),
	OBJ(struct alloc, allocated_resources, "AllocatedResources", allocated_resources_model,
	    MF_EMPTY),
	OBJ(struct alloc, resources, "Resources", resources_model, 0),
	OBJMAP(struct alloc, task_resources, "TaskResources", resources_model, MF_EMPTY),
	OBJ(struct alloc, shared_resources, "SharedResources", resources_model, 0),
	OBJ(struct alloc, metrics, "Metrics", alloc_metric_model, MF_EMPTY),
	FIELD(struct alloc, desired_status, F_STR, "DesiredStatus"),
	FIELD(struct alloc, desired_description, F_STR, "DesiredDescription"),
	OBJ(struct alloc, desired_transition, "DesiredTransition", desired_transition_model,
	    MF_EMPTY),
	FIELD(struct alloc, client_status, F_STR, "ClientStatus"),
	FIELD(struct alloc, client_description, F_STR, "ClientDescription"),
	OBJMAP(struct alloc, task_states, "TaskStates", task_state_model, MF_EMPTY),
	FIELDX(struct alloc, previous_allocation, F_STR, "PreviousAllocation", .flags = MF_OMIT),
	FIELDX(struct alloc, next_allocation, F_STR, "NextAllocation", .flags = MF_OMIT),
	FIELDX(struct alloc, follow_up_eval_id, F_STR, "FollowupEvalID", .flags = MF_OMIT),
	OBJ(struct alloc, reschedule_tracker, "RescheduleTracker", reschedule_tracker_model, 0),
	FIELDX(struct alloc, deployment_id, F_STR, "DeploymentID", .flags = MF_OMIT),
	OBJ(struct alloc, deployment_status, "DeploymentStatus", alloc_deployment_status_model, 0),
	OBJ(struct alloc, network_status, "NetworkStatus", alloc_network_status_model, 0),
	FIELD(struct alloc, preempted_allocations, F_STRS, "PreemptedAllocations"),
	FIELD(struct alloc, preempted_by_allocation, F_STR, "PreemptedByAllocation"),
	FIELD(struct alloc, create_index, F_INT, "CreateIndex"),
	FIELD(struct alloc, modify_index, F_INT, "ModifyIndex"),
	FIELD(struct alloc, alloc_modify_index, F_INT, "AllocModifyIndex"),
	FIELD(struct alloc, create_time, F_INT, "CreateTime"),
	FIELD(struct alloc, modify_time, F_INT, "ModifyTime"),
	OBJ(struct alloc, job, "Job", job_model, 0), /* last: the bare model ends before it */
};
const struct model alloc_model = MODEL("Allocation", struct alloc, alloc_fields);
const struct model alloc_bare_model = {
	.name = "Allocation",
	.size = sizeof(struct alloc),
	.fields = alloc_fields,
	.n = NELEM(alloc_fields) - 1,
};

static const struct field alloc_report_fields[] = {
	FIELD(struct alloc, id, F_STR, "ID"),
	FIELD(struct alloc, client_status, F_STR, "ClientStatus"),
	FIELD(struct alloc, client_description, F_STR, "ClientDescription"),
	OBJMAP(struct alloc, task_states, "TaskStates", task_state_model, MF_EMPTY),
	OBJ(struct alloc, deployment_status, "DeploymentStatus", alloc_deployment_status_model, 0),
	OBJ(struct alloc, network_status, "NetworkStatus", alloc_network_status_model, 0),
	FIELD(struct alloc, modify_time, F_INT, "ModifyTime"),
};
const struct model alloc_report_model = MODEL("Allocation", struct alloc, alloc_report_fields);

static const struct field alloc_stub_fields[] = {
	FIELD(struct alloc, id, F_STR, "ID"),
	FIELD(struct alloc, eval_id, F_STR, "EvalID"),
	FIELD(struct alloc, name, F_STR, "Name"),
	FIELD(struct alloc, namespace, F_STR, "Namespace"),
	FIELD(struct alloc, node_id, F_STR, "NodeID"),
	FIELD(struct alloc, node_name, F_STR, "NodeName"),
	FIELD(struct alloc, job_id, F_STR, "JobID"),
	FIELD(struct alloc, job_type, F_STR, "JobType"),
	FIELD(struct alloc, job_version, F_INT, "JobVersion"),
	FIELD(struct alloc, task_group, F_STR, "TaskGroup"),
	FIELD(struct alloc, desired_status, F_STR, "DesiredStatus"),
	FIELD(struct alloc, desired_description, F_STR, "DesiredDescription"),
	FIELD(struct alloc, client_status, F_STR, "ClientStatus"),
	FIELD(struct alloc, client_description, F_STR, "ClientDescription"),
	OBJ(struct alloc, desired_transition, "DesiredTransition", desired_transition_model,
	    MF_EMPTY),
	OBJMAP(struct alloc, task_states, "TaskStates", task_state_model, MF_EMPTY),
	OBJ(struct alloc, deployment_status, "DeploymentStatus", alloc_deployment_status_model, 0),
	FIELD(struct alloc, follow_up_eval_id, F_STR, "FollowupEvalID"),
	FIELD(struct alloc, next_allocation, F_STR, "NextAllocation"),
	OBJ(struct alloc, reschedule_tracker, "RescheduleTracker", reschedule_tracker_model, 0),
	FIELD(struct alloc, preempted_allocations, F_STRS, "PreemptedAllocations"),
	FIELD(struct alloc, preempted_by_allocation, F_STR, "PreemptedByAllocation"),
	FIELD(struct alloc, create_index, F_INT, "CreateIndex"),
	FIELD(struct alloc, modify_index, F_INT, "ModifyIndex"),
	FIELD(struct alloc, create_time, F_INT, "CreateTime"),
	FIELD(struct alloc, modify_time, F_INT, "ModifyTime"),
};
const struct model alloc_stub_model = MODEL("Allocation", struct alloc, alloc_stub_fields);

/* ---- evaluations, deployments, summaries ---- */

static const struct field eval_fields[] = {
	FIELD(struct eval, id, F_STR, "ID"),
	FIELD(struct eval, namespace, F_STR, "Namespace"),
	FIELD(struct eval, priority, F_INT, "Priority"),
	FIELD(struct eval, type, F_STR, "Type"),
	FIELD(struct eval, triggered_by, F_STR, "TriggeredBy"),
	FIELD(struct eval, job_id, F_STR, "JobID"),
	FIELDX(struct eval, job_modify_index, F_INT, "JobModifyIndex", .flags = MF_OMIT),
	FIELDX(struct eval, node_id, F_STR, "NodeID", .flags = MF_OMIT),
	FIELDX(struct eval, node_modify_index, F_INT, "NodeModifyIndex", .flags = MF_OMIT),
	FIELDX(struct eval, deployment_id, F_STR, "DeploymentID", .flags = MF_OMIT),
	FIELD(struct eval, status, F_STR, "Status"),
	FIELDX(struct eval, status_description, F_STR, "StatusDescription", .flags = MF_OMIT),
	FIELDX(struct eval, wait, F_DURATION, "Wait", .flags = MF_OMIT),
	FIELDX(struct eval, wait_until, F_TIME, "WaitUntil", .flags = MF_OMIT),
	FIELDX(struct eval, next_eval, F_STR, "NextEval", .flags = MF_OMIT),
	FIELDX(struct eval, previous_eval, F_STR, "PreviousEval", .flags = MF_OMIT),
	FIELDX(struct eval, blocked_eval, F_STR, "BlockedEval", .flags = MF_OMIT),
	OBJMAP(struct eval, failed_tg_allocs, "FailedTGAllocs", alloc_metric_model, MF_OMIT),
	FIELDX(struct eval, class_eligibility, F_BOOLMAP, "ClassEligibility", .flags = MF_OMIT),
	FIELDX(
	    struct eval, escaped_computed_class, F_BOOL, "EscapedComputedClass", .flags = MF_OMIT),
	FIELDX(struct eval, queued_allocations, F_INTMAP, "QueuedAllocations", .flags = MF_OMIT),
	FIELDX(struct eval, snapshot_index, F_INT, "SnapshotIndex", .flags = MF_OMIT),
	FIELD(struct eval, create_index, F_INT, "CreateIndex"),
	FIELD(struct eval, modify_index, F_INT, "ModifyIndex"),
	FIELD(struct eval, create_time, F_INT, "CreateTime"),
	FIELD(struct eval, modify_time, F_INT, "ModifyTime"),
};
const struct model eval_model = MODEL("Evaluation", struct eval, eval_fields);

static const struct field deployment_group_fields[] = {
	FIELD(struct deployment_group, auto_revert, F_BOOL, "AutoRevert"),
	FIELD(struct deployment_group, auto_promote, F_BOOL, "AutoPromote"),
	FIELD(struct deployment_group, promoted, F_BOOL, "Promoted"),
	FIELD(struct deployment_group, placed_canaries, F_STRS, "PlacedCanaries"),
	FIELD(struct deployment_group, desired_canaries, F_INT, "DesiredCanaries"),
	FIELD(struct deployment_group, desired_total, F_INT, "DesiredTotal"),
	FIELD(struct deployment_group, placed_allocs, F_INT, "PlacedAllocs"),
	FIELD(struct deployment_group, healthy_allocs, F_INT, "HealthyAllocs"),
	FIELD(struct deployment_group, unhealthy_allocs, F_INT, "UnhealthyAllocs"),
	FIELD(struct deployment_group, progress_deadline, F_DURATION, "ProgressDeadline"),
	FIELD(struct deployment_group, require_progress_by, F_TIME, "RequireProgressBy"),
};
static const struct model deployment_group_model =
    MODEL("DeploymentState", struct deployment_group, deployment_group_fields);

static const struct field deployment_fields[] = {
	FIELD(struct deployment, id, F_STR, "ID"),
	FIELD(struct deployment, namespace, F_STR, "Namespace"),
	FIELD(struct deployment, job_id, F_STR, "JobID"),
	FIELD(struct deployment, job_version, F_INT, "JobVersion"),
	FIELD(struct deployment, job_modify_index, F_INT, "JobModifyIndex"),
	FIELD(struct deployment, job_spec_modify_index, F_INT, "JobSpecModifyIndex"),
	FIELD(struct deployment, job_create_index, F_INT, "JobCreateIndex"),
	FIELD(struct deployment, is_multiregion, F_BOOL, "IsMultiregion"),
	OBJMAP(struct deployment, task_groups, "TaskGroups", deployment_group_model, MF_EMPTY),
	FIELD(struct deployment, status, F_STR, "Status"),
	FIELD(struct deployment, status_description, F_STR, "StatusDescription"),
	FIELD(struct deployment, eval_priority, F_INT, "EvalPriority"),
	FIELD(struct deployment, create_index, F_INT, "CreateIndex"),
	FIELD(struct deployment, modify_index, F_INT, "ModifyIndex"),
	FIELD(struct deployment, create_time, F_INT, "CreateTime"),
	FIELD(struct deployment, modify_time, F_INT, "ModifyTime"),
};
const struct model deployment_model = MODEL("Deployment", struct deployment, deployment_fields);

static const struct field group_summary_fields[] = {
	FIELD(struct group_summary, queued, F_INT, "Queued"),
	FIELD(struct group_summary, complete, F_INT, "Complete"),
	FIELD(struct group_summary, failed, F_INT, "Failed"),
	FIELD(struct group_summary, running, F_INT, "Running"),
	FIELD(struct group_summary, starting, F_INT, "Starting"),
	FIELD(struct group_summary, lost, F_INT, "Lost"),
	FIELD(struct group_summary, unknown, F_INT, "Unknown"),
};
static const struct model group_summary_model =
    MODEL("TaskGroupSummary", struct group_summary, group_summary_fields);

static const struct field children_summary_fields[] = {
	FIELD(struct children_summary, pending, F_INT, "Pending"),
	FIELD(struct children_summary, running, F_INT, "Running"),
	FIELD(struct children_summary, dead, F_INT, "Dead"),
};
static const struct model children_summary_model =
    MODEL("JobChildrenSummary", struct children_summary, children_summary_fields);

static const struct field job_summary_fields[] = {
	FIELD(struct job_summary, job_id, F_STR, "JobID"),
	FIELD(struct job_summary, namespace, F_STR, "Namespace"),
	OBJMAP(struct job_summary, summary, "Summary", group_summary_model, MF_EMPTY),
	OBJ(struct job_summary, children, "Children", children_summary_model, MF_EMPTY),
	FIELD(struct job_summary, create_index, F_INT, "CreateIndex"),
	FIELD(struct job_summary, modify_index, F_INT, "ModifyIndex"),
};
const struct model job_summary_model = MODEL("JobSummary", struct job_summary, job_summary_fields);

/* ---- services ---- */

static const struct field check_state_fields[] = {
	FIELD(struct check_state, check_id, F_STR, "CheckID"),
	FIELD(struct check_state, name, F_STR, "Name"),
	FIELD(struct check_state, type, F_STR, "Type"),
	FIELD(struct check_state, status, F_STR, "Status"),
	FIELD(struct check_state, output, F_STR, "Output"),
	FIELD(struct check_state, interval, F_DURATION, "Interval"),
	FIELD(struct check_state, timeout, F_DURATION, "Timeout"),
	FIELDX(struct check_state, target, F_STR, "Target", .flags = MF_OMIT),
};
static const struct model check_state_model =
    MODEL("Check", struct check_state, check_state_fields);

static const struct field service_row_fields[] = {
	FIELD(struct service_row, id, F_STR, "ID"),
	FIELD(struct service_row, service_name, F_STR, "ServiceName"),
	FIELD(struct service_row, namespace, F_STR, "Namespace"),
	FIELD(struct service_row, node_id, F_STR, "NodeID"),
	FIELD(struct service_row, node_name, F_STR, "NodeName"),
	FIELD(struct service_row, datacenter, F_STR, "Datacenter"),
	FIELD(struct service_row, job_id, F_STR, "JobID"),
	FIELD(struct service_row, alloc_id, F_STR, "AllocID"),
	FIELD(struct service_row, task_group, F_STR, "TaskGroup"),
	FIELDX(struct service_row, tags, F_STRS, "Tags", .flags = MF_EMPTY),
	FIELD(struct service_row, address, F_STR, "Address"),
	FIELD(struct service_row, port, F_INT, "Port"),
	FIELDX(struct service_row, meta, F_STRMAP, "Meta", .flags = MF_EMPTY),
	FIELD(struct service_row, status, F_STR, "Status"),
	OBJS(struct service_row, checks, "Checks", check_state_model, MF_EMPTY),
	FIELD(struct service_row, create_index, F_INT, "CreateIndex"),
	FIELD(struct service_row, modify_index, F_INT, "ModifyIndex"),
};
const struct model service_row_model =
    MODEL("ServiceRegistration", struct service_row, service_row_fields);

/* ---- keys and values ---- */

static const struct field kv_row_fields[] = {
	FIELD(struct kv_row, key, F_STR, "Key"),
	FIELD(struct kv_row, value, F_STR, "Value"),
	FIELD(struct kv_row, flags, F_INT, "Flags"),
	FIELD(struct kv_row, lock_index, F_INT, "LockIndex"),
	FIELD(struct kv_row, create_index, F_INT, "CreateIndex"),
	FIELD(struct kv_row, modify_index, F_INT, "ModifyIndex"),
};
const struct model kv_row_model = MODEL("KeyValue", struct kv_row, kv_row_fields);
