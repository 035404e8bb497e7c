#include "state/command.h"

#include "job/job.h"

#define C(member, type, jname, model)                                                              \
	FIELDX(struct command, member, type, jname, .sub = (model), .flags = MF_OMIT)

static const struct field job_stop_fields[] = {
	FIELD(struct job_stop, namespace, F_STR, "Namespace"),
	FIELD(struct job_stop, id, F_STR, "ID"),
	FIELD(struct job_stop, purge, F_BOOL, "Purge"),
};
static const struct model job_stop_model = MODEL("JobStop", struct job_stop, job_stop_fields);

static const struct field job_stable_fields[] = {
	FIELD(struct job_stable, namespace, F_STR, "Namespace"),
	FIELD(struct job_stable, id, F_STR, "ID"),
	FIELD(struct job_stable, version, F_INT, "Version"),
	FIELD(struct job_stable, stable, F_BOOL, "Stable"),
};
static const struct model job_stable_model =
    MODEL("JobStable", struct job_stable, job_stable_fields);

static const struct field last_drain_fields[] = {
	FIELD(struct drain_metadata, started_at, F_TIME, "StartedAt"),
	FIELD(struct drain_metadata, updated_at, F_TIME, "UpdatedAt"),
	FIELD(struct drain_metadata, status, F_STR, "Status"),
};
static const struct model last_drain_model =
    MODEL("LastDrain", struct drain_metadata, last_drain_fields);

static const struct field event_fields[] = {
	FIELD(struct node_event, message, F_STR, "Message"),
	FIELD(struct node_event, subsystem, F_STR, "Subsystem"),
	FIELD(struct node_event, timestamp, F_TIME, "Timestamp"),
};
static const struct model event_model = MODEL("NodeEvent", struct node_event, event_fields);

static const struct field node_update_fields[] = {
	FIELD(struct node_update, id, F_STR, "ID"),
	FIELDX(struct node_update, status, F_STR, "Status", .flags = MF_OMIT),
	FIELDX(
	    struct node_update, status_description, F_STR, "StatusDescription", .flags = MF_OMIT),
	FIELDX(struct node_update, eligibility, F_STR, "Eligibility", .flags = MF_OMIT),
	FIELDX(struct node_update, updated_at, F_INT, "UpdatedAt", .flags = MF_OMIT),
	FIELDX(struct node_update, drain_strategy, F_OBJ, "DrainStrategy",
	    .sub = &drain_strategy_model, .flags = MF_OMIT),
	FIELDX(struct node_update, drain_end, F_BOOL, "DrainEnd", .flags = MF_OMIT),
	FIELDX(struct node_update, last_drain, F_OBJ, "LastDrain", .sub = &last_drain_model,
	    .flags = MF_OMIT),
	FIELDX(struct node_update, event, F_OBJ, "Event", .sub = &event_model, .flags = MF_OMIT),
};
static const struct model node_update_model =
    MODEL("NodeUpdate", struct node_update, node_update_fields);

static const struct field alloc_stop_fields[] = {
	FIELD(struct alloc_stop, id, F_STR, "ID"),
	FIELDX(struct alloc_stop, desired_description, F_STR, "Description", .flags = MF_OMIT),
	FIELDX(struct alloc_stop, client_status, F_STR, "ClientStatus", .flags = MF_OMIT),
	FIELDX(struct alloc_stop, follow_up_eval_id, F_STR, "FollowupEvalID", .flags = MF_OMIT),
	FIELDX(struct alloc_stop, keep, F_BOOL, "Keep", .flags = MF_OMIT),
};
static const struct model alloc_stop_model =
    MODEL("AllocStop", struct alloc_stop, alloc_stop_fields);

static const struct field transition_fields[] = {
	FIELD(struct transition, ids, F_STRS, "IDs"),
	FIELDX(struct transition, transition, F_OBJ, "Transition", .sub = &desired_transition_model,
	    .flags = MF_EMPTY),
};
static const struct model transition_model =
    MODEL("Transition", struct transition, transition_fields);

static const struct field deployment_update_fields[] = {
	FIELD(struct deployment_update, id, F_STR, "ID"),
	FIELDX(struct deployment_update, status, F_STR, "Status", .flags = MF_OMIT),
	FIELDX(struct deployment_update, status_description, F_STR, "StatusDescription",
	    .flags = MF_OMIT),
	FIELDX(struct deployment_update, promote, F_BOOL, "Promote", .flags = MF_OMIT),
	FIELDX(struct deployment_update, groups, F_STRS, "Groups", .flags = MF_OMIT),
	FIELDX(struct deployment_update, healthy, F_STRS, "Healthy", .flags = MF_OMIT),
	FIELDX(struct deployment_update, unhealthy, F_STRS, "Unhealthy", .flags = MF_OMIT),
};
static const struct model deployment_update_model =
    MODEL("DeploymentUpdate", struct deployment_update, deployment_update_fields);

static const struct field kv_op_fields[] = {
	FIELD(struct kv_op, key, F_STR, "Key"),
	FIELDX(struct kv_op, value, F_STR, "Value", .flags = MF_OMIT),
	FIELDX(struct kv_op, flags, F_INT, "Flags", .flags = MF_OMIT),
	FIELDX(struct kv_op, remove, F_BOOL, "Remove", .flags = MF_OMIT),
	FIELDX(struct kv_op, recurse, F_BOOL, "Recurse", .flags = MF_OMIT),
	FIELDX(struct kv_op, with_cas, F_BOOL, "WithCAS", .flags = MF_OMIT),
	FIELDX(struct kv_op, cas, F_INT, "CAS", .flags = MF_OMIT),
};
static const struct model kv_op_model = MODEL("KVOp", struct kv_op, kv_op_fields);

static const struct field deletion_fields[] = {
	FIELDX(struct deletion, evals, F_STRS, "Evals", .flags = MF_OMIT),
	FIELDX(struct deletion, allocs, F_STRS, "Allocs", .flags = MF_OMIT),
	FIELDX(struct deletion, deployments, F_STRS, "Deployments", .flags = MF_OMIT),
	FIELDX(struct deletion, nodes, F_STRS, "Nodes", .flags = MF_OMIT),
	FIELDX(struct deletion, services, F_STRS, "Services", .flags = MF_OMIT),
	FIELDX(struct deletion, jobs, F_STRS, "Jobs", .flags = MF_OMIT),
};
static const struct model deletion_model = MODEL("Deletion", struct deletion, deletion_fields);

static const struct field command_fields[] = {
	FIELD(struct command, now, F_INT, "Now"),
	C(job, F_OBJ, "Job", &job_model),
	C(job_stops, F_OBJS, "JobStops", &job_stop_model),
	C(job_stables, F_OBJS, "JobStables", &job_stable_model),
	C(node_updates, F_OBJS, "NodeUpdates", &node_update_model),
	C(node, F_OBJ, "Node", &node_secret_model),
	C(client_allocs, F_OBJS, "ClientAllocs", &alloc_report_model),
	C(transitions, F_OBJS, "Transitions", &transition_model),
	C(deployment, F_OBJ, "Deployment", &deployment_model),
	C(allocs, F_OBJS, "Allocs", &alloc_bare_model),
	C(alloc_stops, F_OBJS, "AllocStops", &alloc_stop_model),
	C(deployment_updates, F_OBJS, "DeploymentUpdates", &deployment_update_model),
	C(services, F_OBJS, "Services", &service_row_model),
	C(service_removals, F_STRS, "ServiceRemovals", NULL),
	C(kv_ops, F_OBJS, "KVOps", &kv_op_model),
	C(deletion, F_OBJ, "Deletion", &deletion_model),
	C(evals, F_OBJS, "Evals", &eval_model),
};
const struct model command_model = MODEL("Command", struct command, command_fields);

void
command_encode(const struct command *c, struct buf *out)
{
	struct jsonw w = JSONW_INIT(out);

	model_to_json(&command_model, c, &w);
}

int
command_decode(const char *payload, size_t len, struct arena *a, struct command *out, struct err *e)
{
	return model_read(&command_model, payload, len, a, out, e);
}
