/*
 * command.h: what can be asked of the state: one change, as it is written to the log.
 *
 * A command is a list of sections; each that is there is applied, in the order of the members
 * below, all at one index. The type is a name for people and for the event stream and decides
 * nothing. Who writes a command puts every id and time into it.
 */
#ifndef STATE_COMMAND_H
#define STATE_COMMAND_H

#include "state/rows.h"

struct job_stop {
	const char *namespace, *id;
	bool purge;
};
struct job_stable {
	const char *namespace, *id;
	int64_t version;
	bool stable;
};
struct node_update { /* empty members change nothing */
	const char *id, *status, *status_description, *eligibility;
	int64_t updated_at; /* seconds */
	struct drain_strategy *drain_strategy;
	bool drain_end; /* clears the strategy */
	struct drain_metadata *last_drain;
	struct node_event *event;
};
struct alloc_stop {
	const char *id, *desired_description;
	const char *client_status; /* "lost" and "unknown" are the server's to say; else empty */
	const char *follow_up_eval_id;
	bool keep; /* only notes the follow-up evaluation, stops nothing */
};
struct transition {
	struct strs ids;
	struct desired_transition *transition;
};
struct deployment_update {
	const char *id, *status, *status_description;
	bool promote;
	struct strs groups;		/* to promote; empty: all */
	struct strs healthy, unhealthy; /* allocations, said by people */
};
/* One change of the key-value table. `cas`: only if the key's ModifyIndex is that, 0: only if there
 * is none; whoever asked sees by the row's ModifyIndex whether it was done. */
struct kv_op {
	const char *key;
	const char *value; /* base64 */
	int64_t flags;
	bool remove;
	bool recurse; /* remove: all keys that begin with `key` */
	bool with_cas;
	int64_t cas;
};
struct deletion {
	struct strs evals, allocs, deployments, nodes, services;
	struct strs jobs; /* "namespace/id" */
};

struct command {
	const char *type;
	int64_t now;					  /* wall ns */
	struct job *job;				  /* becomes the next version */
	struct objs job_stops, job_stables, node_updates; /* of the structs above */
	struct node *node;
	struct objs client_allocs; /* struct alloc: ID and what a node reports */
	struct objs transitions;
	struct deployment *deployment; /* made by a plan: new, or with groups added */
	struct objs allocs;	       /* struct alloc: placed, or updated in place, by a plan */
	struct objs alloc_stops;
	struct objs deployment_updates;
	struct objs services; /* struct service_row; CreateIndex as it was */
	struct strs service_removals;
	struct objs kv_ops;
	struct deletion *deletion;
	struct objs evals;
};

extern const struct model command_model;

/* The payload; the type is kept beside it. */
void command_encode(const struct command *c, struct buf *out);
int command_decode(
    const char *payload, size_t len, struct arena *a, struct command *out, struct err *e);

#endif
