/*
 * job.h: what the user asked for.
 *
 * The members are those of Nomad 1.1's API job under Go's names; job/fields.c holds the tables that
 * say how each is called in JSON and in job files, what its default is, and whether Potter honours
 * it. A job and all that hangs on it live in one arena; text may be NULL (the same as "").
 * Durations are in nanoseconds, sizes in MB, CPU in MHz, times in wall nanoseconds since 1970.
 *
 * The way of a job: parse (job file or JSON) -> job_canonicalize -> job_validate -> stored, and
 * from there on never changed: who wants another one copies it.
 */
#ifndef JOB_JOB_H
#define JOB_JOB_H

#include "codec/model.h"

enum { JOB_TEXT_MAX = 1 << 20 }; /* bytes of a job file that are accepted */

#define JOB_NS_MIN_CHECK (1000000000LL) /* shortest interval and timeout of a check */

struct constraint { /* operand: "=", "!=", ">", "regexp", "version", "distinct_hosts" … */
	const char *l_target, *r_target, *operand;
};

struct affinity {
	uint64_t set;
	const char *l_target, *r_target, *operand;
	int64_t weight; /* -100..100 */
};

struct spread_target {
	const char *value;
	int64_t percent;
};

struct spread {
	uint64_t set;
	const char *attribute;
	int64_t weight;
	struct objs targets; /* struct spread_target */
};

struct port {
	const char *label;
	int64_t value; /* host port; 0 in a request: any */
	int64_t to;    /* port inside; -1: the same as value; 0: not mapped */
	const char *host_network;
	const char *host_ip; /* in what was allocated, not in a request */
};

struct dns_config {
	struct strs servers, searches, options;
};

/* A request in a job, and with ip, device and values filled in what an allocation got. */
struct network {
	uint64_t set;
	const char *mode; /* "host", "bridge", "none", "" */
	const char *device, *cidr, *ip, *hostname;
	struct dns_config *dns;
	struct objs reserved_ports, dynamic_ports; /* struct port */
	int64_t mbits;				   /* deprecated */
};

struct requested_device {
	uint64_t set;
	const char *name;
	int64_t count;
	struct objs constraints, affinities;
};

struct resources {
	uint64_t set;
	int64_t cpu, cores, memory_mb, memory_max_mb, disk_mb, iops;
	struct objs networks; /* struct network: the deprecated ones of a task */
	struct objs devices;
};

struct restart_policy {
	uint64_t set;
	int64_t interval, attempts, delay;
	const char *mode; /* "fail" or "delay" */
};

struct reschedule_policy {
	uint64_t set;
	int64_t attempts, interval, delay;
	const char *delay_function; /* "constant", "exponential", "fibonacci" */
	int64_t max_delay;
	bool unlimited;
};

struct update_strategy {
	uint64_t set;
	int64_t stagger, max_parallel;
	const char *health_check; /* "checks", "task_states", "manual" */
	int64_t min_healthy_time, healthy_deadline, progress_deadline;
	bool auto_revert, auto_promote;
	int64_t canary;
};

struct migrate_strategy {
	uint64_t set;
	int64_t max_parallel;
	const char *health_check;
	int64_t min_healthy_time, healthy_deadline;
};

struct ephemeral_disk {
	uint64_t set;
	bool sticky, migrate;
	int64_t size_mb;
};

struct check_restart {
	uint64_t set;
	int64_t limit, grace;
	bool ignore_warnings;
};

struct service_check {
	const char *id, *name, *type; /* "tcp", "http", "script", "grpc" */
	const char *command;
	struct strs args;
	const char *path, *protocol, *port_label, *address_mode, *initial_status, *method, *body;
	bool expose, tls_skip_verify;
	int64_t interval, timeout;
	struct strsmap header;
	struct check_restart *check_restart;
	const char *grpc_service;
	bool grpc_use_tls;
	const char *task_name;
	int64_t success_before_passing, failures_before_critical;
	const char *on_update;
};

struct service {
	const char *id, *name;
	struct strs tags, canary_tags;
	bool enable_tag_override;
	const char *port_label, *address_mode;
	struct objs checks; /* struct service_check */
	struct check_restart *check_restart;
	const struct any *connect;
	struct strmap meta, canary_meta;
	const char *task_name, *on_update, *provider, *address;
};

struct volume_request {
	const char *name, *type, *source;
	bool read_only;
	const char *access_mode, *attachment_mode;
	const struct any *mount_options;
	bool per_alloc;
};

struct volume_mount {
	uint64_t set;
	const char *volume, *destination;
	bool read_only;
	const char *propagation_mode;
};

struct log_config {
	uint64_t set;
	int64_t max_files, max_file_size_mb;
	bool disabled;
};

struct lifecycle {
	const char *hook; /* "prestart", "poststart", "poststop" */
	bool sidecar;
};

struct dispatch_payload {
	const char *file;
};

struct artifact {
	uint64_t set;
	const char *source;
	struct strmap options, headers;
	const char *mode, *destination;
};

struct task_template {
	uint64_t set;
	const char *source, *destination, *data, *change_mode, *change_signal;
	int64_t splay;
	const char *perms, *left_delimiter, *right_delimiter;
	bool envvars;
	int64_t vault_grace;
};

struct vault {
	uint64_t set;
	struct strs policies;
	const char *namespace;
	bool env;
	const char *change_mode, *change_signal;
};

struct consul {
	const char *namespace;
};

struct scaling_policy {
	uint64_t set;
	int64_t min, max;
	const struct any *policy;
	bool enabled;
	const char *type, *id, *namespace;
	struct strmap target;
	int64_t create_index, modify_index;
};

struct task {
	uint64_t set;
	const char *name, *driver, *user;
	struct lifecycle *lifecycle;
	const struct any *config; /* a map; what it means is the driver's affair */
	struct objs constraints, affinities;
	struct strmap env;
	struct objs services; /* struct service */
	struct resources *resources;
	struct restart_policy *restart_policy;
	struct strmap meta;
	int64_t kill_timeout;
	struct log_config *log_config;
	struct objs artifacts; /* struct artifact */
	struct vault *vault;
	struct objs templates; /* struct task_template */
	struct dispatch_payload *dispatch_payload;
	struct objs volume_mounts; /* struct volume_mount */
	const struct any *csi_plugin_config;
	bool leader;
	int64_t shutdown_delay;
	const char *kill_signal, *kind;
	struct objs scaling_policies;
};

struct task_group {
	uint64_t set;
	const char *name;
	int64_t count;
	struct objs constraints, affinities, tasks,
	    spreads;	       /* struct constraint, affinity, task, spread */
	struct objmap volumes; /* struct volume_request */
	struct restart_policy *restart_policy;
	struct reschedule_policy *reschedule_policy;
	struct ephemeral_disk *ephemeral_disk;
	struct update_strategy *update;
	struct migrate_strategy *migrate;
	struct objs networks; /* struct network */
	struct strmap meta;
	struct objs services; /* struct service */
	int64_t shutdown_delay, stop_after_client_disconnect;
	struct scaling_policy *scaling;
	struct consul *consul;
};

struct periodic {
	uint64_t set;
	bool enabled;
	const char *spec, *spec_type;
	bool prohibit_overlap;
	const char *time_zone;
};

struct parameterized {
	const char *payload; /* "optional", "required", "forbidden" */
	struct strs meta_required, meta_optional;
};

struct job {
	uint64_t set;
	const char *region, *namespace, *id, *name, *type; /* "service", "batch", "system" */
	int64_t priority;
	bool all_at_once;
	struct strs datacenters;
	struct objs constraints, affinities, groups, spreads; /* groups: struct task_group */
	struct update_strategy *update;
	const struct any *multiregion;
	struct periodic *periodic;
	struct parameterized *parameterized;
	struct reschedule_policy *reschedule;
	struct migrate_strategy *migrate;
	struct strmap meta;
	const char *consul_token, *vault_token;
	/* from here on the cluster's own */
	bool stop;
	const char *parent_id;
	bool dispatched;
	const char *payload; /* base64 */
	const char *consul_namespace, *vault_namespace, *nomad_token_id, *status,
	    *status_description;
	bool stable;
	int64_t version, submit_time, create_index, modify_index, job_modify_index;
};

extern const struct model job_model, task_group_model, task_model, service_model,
    service_check_model, check_restart_model, resources_model, network_model, port_model,
    dns_config_model, constraint_model, affinity_model, spread_model, spread_target_model,
    restart_policy_model, reschedule_policy_model, update_strategy_model, migrate_strategy_model,
    ephemeral_disk_model, log_config_model, lifecycle_model, artifact_model, task_template_model,
    vault_model, volume_request_model, volume_mount_model, consul_model, scaling_policy_model,
    task_scaling_policy_model, periodic_model, parameterized_model, requested_device_model,
    dispatch_payload_model;

struct task_group *job_group(const struct job *j, const char *name); /* NULL: absent */
struct task *group_task(const struct task_group *g, const char *name);
struct port *network_port(const struct network *n, const char *label);

/* --- from text --- */

/* Values for the file's `variable` blocks, in rising precedence: environment, var files, -var. */
struct job_vars {
	const char *const *env;	 /* "NOMAD_VAR_x=…" among others, ended by NULL; may be NULL */
	struct objs files;	 /* struct job_var_file */
	struct strs assignments; /* "x=…" */
};
struct job_var_file {
	const char *name, *text;
	size_t len;
};

/* A job file (HCL2). On failure e->text holds the first problem in one line, "web.nomad:3,5-10:
 * Unsupported argument; An argument named …", and *report (in the arena, if not NULL) all of them,
 * each with its source line. vars may be NULL. The result is not canonicalized. */
int job_parse_hcl(const char *text, size_t len, const char *filename, const struct job_vars *vars,
    struct arena *a, struct job **out, const char **report, struct err *e);
/* JSON: {"Job": {…}} or the job itself. */
int job_parse_json(const char *text, size_t len, struct arena *a, struct job **out, struct err *e);
int job_from_json(const json_t *v, struct arena *a, struct job **out, struct err *e);

/* --- meaning --- */

/* Fills in all that was not said, so that no later reader meets a NULL policy. Idempotent. Only for
 * a job that nobody shares yet. */
void job_canonicalize(struct job *j, struct arena *a);
/* All that is wrong, at once, as Nomad words it: "2 error(s) occurred:\n\n* …\n* …". */
int job_validate(const struct job *j, struct arena *a, struct err *e);
/* The same as single lines, without the err's limit of length; n = 0: the job is fine. */
void job_problems(const struct job *j, struct arena *a, struct strs *out);
/* "1 warning(s):\n\n* …", or "" */
const char *job_warnings(const struct job *j, struct arena *a);

/* --- comparing --- */

/* Whether b asks for something else than a: then the version rises. Status and indexes do not
 * count. */
bool job_spec_changed(const struct job *a, const struct job *b);
/* Whether an allocation of a's group must be replaced to become b's (Nomad's "destructive"): how
 * many tasks, driver, user, config, env, resources, networks, volumes, merged meta and so on. */
bool job_tasks_updated(const struct job *a, const struct job *b, const char *group);

struct field_diff {
	const char *type, *name, *old, *new_; /* type: "None", "Added", "Deleted", "Edited" */
	struct strs annotations;
};
struct object_diff {
	const char *type, *name;
	struct objs fields, objects; /* struct field_diff, struct object_diff */
};
struct task_diff {
	const char *type, *name;
	struct objs fields, objects;
	struct strs annotations;
	bool replaces; /* not in JSON: the running task cannot become it */
};
struct group_diff {
	const char *type, *name;
	struct objs fields, objects, tasks;
	struct intmap updates; /* "create/destroy update" -> how many; the planner's */
};
struct job_diff {
	const char *type, *id;
	struct objs fields, objects, groups;
};
extern const struct model job_diff_model, group_diff_model, task_diff_model, object_diff_model,
    field_diff_model;

/* What changes from a to b; either may be NULL (added, deleted). contextual: unchanged fields
 * beside changed ones are listed too, as `plan` shows them. */
struct job_diff *job_diff(
    const struct job *a, const struct job *b, bool contextual, struct arena *mem);
/* What the planner decided for one group, under Nomad's names; adds "forces …" annotations to what
 * caused it. */
struct group_updates {
	int64_t ignore, place, migrate, stop, in_place, destructive, canary, preemptions;
};
void job_diff_annotate(
    struct job_diff *d, const char *group, const struct group_updates *u, struct arena *mem);

/* --- ${…} in text --- */

/* Gives the value of a reference ("attr.kernel.name", "NOMAD_PORT_http", "env[\"X\"]" as env.X), or
 * NULL: then it stays as it was written. */
typedef const char *job_lookup(void *ctx, const char *name);
const char *job_interpolate(const char *text, job_lookup *lookup, void *ctx, struct arena *a);
const struct any *job_interpolate_any(
    const struct any *v, job_lookup *lookup, void *ctx, struct arena *a);

#endif
