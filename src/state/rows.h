/*
 * rows.h: the objects of the cluster: nodes, allocations, evaluations, deployments, summaries,
 * services.
 *
 * Members are those of Nomad's HTTP API, in snake case; the models at the end carry the API's
 * names. Times are wall nanoseconds since 1970 (0: never), durations nanoseconds, memory and disk
 * MB, cpu MHz. Text may be NULL, which is the same as "". Rows inside the state are immutable and
 * counted: keep one beyond the current callback with row_ref(), give it back with row_unref().
 * Objects that were made by hand live in an arena and know nothing of counting.
 */
#ifndef STATE_ROWS_H
#define STATE_ROWS_H

#include "codec/model.h"

#include <stdbool.h>
#include <stdint.h>

struct job;	  /* job/job.h, as are: */
struct resources; /* CPU, MemoryMB, DiskMB, Networks as Nomad had them before 0.9; the CLI reads it
		   */
struct network;
struct port;

/* ---- resources ---- */

struct cpu_resources {
	int64_t cpu_shares; /* MHz */
	int64_t total_cpu_cores;
	struct ints reservable_cpu_cores; /* of a node */
	struct ints reserved_cores;	  /* of an allocation */
};
struct memory_resources {
	int64_t memory_mb;
	int64_t memory_max_mb;
};
struct disk_resources {
	int64_t disk_mb;
};

struct node_resources {
	struct cpu_resources *cpu;
	struct memory_resources *memory;
	struct disk_resources *disk;
	struct objs networks; /* struct network (job/job.h): mode "host", device, ip, cidr, mbits */
	int64_t min_dynamic_port, max_dynamic_port; /* 0: 20000 and 32000 */
};
struct node_reserved_networks {
	const char *reserved_host_ports; /* "22,80,8500-8600" */
};
struct node_reserved {
	struct cpu_resources *cpu;
	struct memory_resources *memory;
	struct disk_resources *disk;
	struct node_reserved_networks *networks;
};

/* ---- nodes ---- */

struct driver_info {
	bool detected, healthy;
	const char *health_description;
	int64_t update_time;
	struct strmap attributes;
};
struct host_volume {
	const char *name, *path;
	bool read_only;
};
struct node_event {
	const char *message, *subsystem;
	int64_t timestamp;
	struct strmap details;
	int64_t create_index;
};
struct drain_strategy {
	int64_t deadline; /* duration; negative: at once; 0: none */
	bool ignore_system_jobs;
	int64_t force_deadline; /* time at which all is stopped */
	int64_t started_at;
};
struct drain_metadata {
	int64_t started_at, updated_at;
	const char *status; /* draining | complete | canceled */
	const char *accessor_id;
	struct strmap meta;
};

struct node {
	const char *id, *secret_id, *datacenter, *name, *node_class, *node_pool;
	const char *http_addr; /* host:port that the CLI dials */
	bool tls_enabled;
	struct strmap attributes, meta, links;
	struct node_resources *node_resources;
	struct node_reserved *reserved_resources;
	struct resources *resources,
	    *reserved;		    /* legacy (job/job.h); filled from the two above by apply */
	const char *computed_class; /* filled by apply: "v1:<number>" */
	struct objmap drivers;	    /* struct driver_info */
	struct objmap host_volumes; /* struct host_volume */
	const char *scheduling_eligibility; /* eligible | ineligible */
	bool drain;
	struct drain_strategy *drain_strategy;
	struct drain_metadata *last_drain;
	const char *status; /* initializing | ready | down | disconnected */
	const char *status_description;
	int64_t status_updated_at; /* seconds since 1970, as in the API */
	struct objs events;	   /* struct node_event, the last 10 */
	int64_t create_index, modify_index;
	/* members of the stub only, filled from the above by apply */
	const char *address, *version;
};

/* ---- allocations ---- */

struct allocated_task {
	struct cpu_resources *cpu;
	struct memory_resources *memory;
	struct objs networks; /* struct network: legacy task network with its ports given */
};
struct allocated_shared {
	int64_t disk_mb;
	struct objs networks; /* struct network */
	struct objs ports;    /* struct port, with host_ip: all ports of the group's network */
};
struct allocated_resources {
	struct objmap tasks; /* struct allocated_task */
	struct allocated_shared *shared;
};

struct task_event {
	const char *type;
	int64_t time;
	const char *message, *display_message;
	struct strmap details;
	bool fails_task;
	int64_t exit_code, signal;
	int64_t kill_timeout, start_delay;
	const char *restart_reason, *driver_error, *setup_error, *download_error, *validation_error,
	    *kill_error, *kill_reason, *failed_sibling, *task_signal, *task_signal_reason,
	    *generic_source, *driver_message;
};
struct task_state {
	const char *state; /* pending | running | dead */
	bool failed;
	int64_t restarts;
	int64_t last_restart, started_at, finished_at;
	struct objs events; /* struct task_event, at most 10, oldest first */
};

struct alloc_deployment_status {
	uint64_t set; /* by alloc_health_set() */
	bool healthy; /* meaningless until given: alloc_health() */
	int64_t timestamp;
	bool canary;
	int64_t modify_index;
};
struct desired_transition {
	bool migrate, reschedule, force_reschedule, no_shutdown_delay;
};
struct reschedule_event {
	int64_t reschedule_time;
	const char *prev_alloc_id, *prev_node_id;
	int64_t delay;
};
struct reschedule_tracker {
	struct objs events; /* struct reschedule_event, oldest first */
};
struct alloc_network_status {
	const char *interface_name, *address, *address_ipv6;
};
struct node_score {
	const char *node_id;
	struct floatmap scores;
	double norm_score;
};
struct alloc_metric {
	int64_t nodes_evaluated, nodes_filtered, nodes_exhausted;
	struct intmap nodes_available; /* by datacenter */
	struct intmap class_filtered, constraint_filtered, class_exhausted, dimension_exhausted;
	struct strs quota_exhausted;
	struct objs score_meta_data; /* struct node_score, the 5 best */
	int64_t allocation_time;
	int64_t coalesced_failures;
};

struct alloc {
	const char *id, *eval_id, *name, *namespace, *node_id, *node_name, *job_id, *task_group;
	const struct job *job; /* the version that it runs; owned by the row that owns us */
	int64_t job_version;   /* of *job, also where Job is left out */
	const char *job_type;
	struct allocated_resources *allocated_resources;
	struct resources *resources;	    /* legacy totals (job/job.h) */
	struct objmap task_resources;	    /* legacy, struct resources */
	struct resources *shared_resources; /* legacy */
	struct alloc_metric *metrics;
	const char *desired_status; /* run | stop | evict */
	const char *desired_description;
	struct desired_transition *desired_transition;
	const char *client_status; /* pending | running | complete | failed | lost | unknown */
	const char *client_description;
	struct objmap task_states; /* struct task_state */
	const char *previous_allocation, *next_allocation, *follow_up_eval_id;
	struct reschedule_tracker *reschedule_tracker;
	const char *deployment_id;
	struct alloc_deployment_status *deployment_status;
	struct alloc_network_status *network_status;
	struct strs preempted_allocations;
	const char *preempted_by_allocation;
	int64_t create_index, modify_index;
	int64_t alloc_modify_index; /* the servers' last change: what the client compares */
	int64_t create_time, modify_time;
};

/* -1: not known yet, 0: unhealthy, 1: healthy */
int alloc_health(const struct alloc *a);
void alloc_health_set(struct alloc_deployment_status *s, bool healthy);
bool alloc_canary(const struct alloc *a);
/* Will never run again: the client says so, or the server wants it stopped. */
bool alloc_client_terminal(const struct alloc *a); /* complete, failed, lost */
bool alloc_server_terminal(const struct alloc *a); /* desired stop, evict */
bool alloc_terminal(const struct alloc *a);	   /* either */

/* ---- evaluations, deployments, summaries ---- */

struct eval {
	const char *id, *namespace, *type, *triggered_by, *job_id, *node_id, *deployment_id;
	int64_t priority, job_modify_index, node_modify_index;
	const char *status; /* pending | blocked | complete | failed | canceled */
	const char *status_description;
	int64_t wait;	    /* duration */
	int64_t wait_until; /* time */
	const char *next_eval, *previous_eval, *blocked_eval;
	struct objmap failed_tg_allocs;	 /* struct alloc_metric by group */
	struct intmap class_eligibility; /* 0 or 1 by computed class */
	bool escaped_computed_class;
	struct intmap queued_allocations; /* by group */
	int64_t snapshot_index;
	int64_t create_index, modify_index, create_time, modify_time;
};
bool eval_terminal(const struct eval *ev);

struct deployment_group {
	bool auto_revert, auto_promote, promoted;
	struct strs placed_canaries;
	int64_t desired_canaries, desired_total, placed_allocs, healthy_allocs, unhealthy_allocs;
	int64_t progress_deadline;   /* duration */
	int64_t require_progress_by; /* time */
};
struct deployment {
	const char *id, *namespace, *job_id;
	int64_t job_version, job_modify_index, job_spec_modify_index, job_create_index;
	bool is_multiregion;
	struct objmap task_groups; /* struct deployment_group */
	const char *status;	   /* running | paused | successful | failed | cancelled */
	const char *status_description;
	int64_t eval_priority;
	int64_t create_index, modify_index, create_time, modify_time;
};
bool deployment_active(const struct deployment *d); /* running or paused */

struct group_summary {
	int64_t queued, complete, failed, running, starting, lost, unknown;
};
struct children_summary {
	int64_t pending, running, dead;
};
struct job_summary {
	const char *job_id, *namespace;
	struct objmap summary; /* struct group_summary by group */
	struct children_summary *children;
	int64_t create_index, modify_index;
};

/* ---- services ---- */

struct check_state {
	const char *check_id, *name, *type;
	const char *status; /* passing | warning | critical */
	const char *output;
	int64_t interval, timeout; /* type "ttl": interval is how long a report holds */
	const char *target; /* what a check of an external service looks at: URL, address:port */
};
struct service_row {
	const char *id; /* _nomad-task-<alloc>-group-<group>-<service>-<label> */
	const char *service_name, *namespace, *node_id, *node_name, *datacenter, *job_id, *alloc_id,
	    *task_group;
	struct strs tags;
	const char *address; /* IPv4 or IPv6, without brackets */
	int64_t port;
	struct strmap meta;
	const char *status; /* worst of the checks; passing without checks */
	struct objs checks; /* struct check_state */
	int64_t create_index, modify_index;
};

/* ---- keys and values ---- */

struct kv_row {
	const char *key;
	const char *value; /* base64 */
	int64_t flags;	   /* unsigned, for the asker's own use */
	int64_t lock_index;
	int64_t create_index, modify_index;
};

/* ---- counting ---- */

/* For rows that the state handed out (also its jobs). Both accept NULL; row_ref() gives its
 * argument back. */
const void *row_ref(const void *row);
void row_unref(const void *row);
#define ROW_REF(row) ((__typeof__(row))row_ref(row))

/* ---- models ---- */

extern const struct model node_model;	     /* without SecretID, as the API shows it */
extern const struct model node_secret_model; /* with it: registration and the log */
extern const struct model node_stub_model;
extern const struct model alloc_model;	    /* with Job */
extern const struct model alloc_bare_model; /* without */
extern const struct model alloc_stub_model;
extern const struct model alloc_report_model; /* what a node says about one of its allocations */
extern const struct model eval_model;
extern const struct model deployment_model;
extern const struct model job_summary_model;
extern const struct model service_row_model;
extern const struct model kv_row_model;
extern const struct model alloc_metric_model;
extern const struct model task_state_model, task_event_model;
extern const struct model alloc_deployment_status_model, alloc_network_status_model;
extern const struct model drain_strategy_model, driver_info_model, desired_transition_model;

#endif
