/*
 * potter.h: the `potter` command (also called `nomad`): one table of commands, each a row.
 *
 * Options are Nomad's: a single or double dash, "-name value" or "-name=value", before the
 * arguments. Every command that asks the API knows -address, -region, -namespace, -token. Results
 * go to standard output, errors to standard error; a table's empty cells say <none>.
 */
#ifndef CLI_POTTER_H
#define CLI_POTTER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "codec/json.h"

#include <stdbool.h>

struct loop;
struct potter_call;

struct potter_option {
	const char *name;  /* "detach"; NULL ends the list */
	const char *value; /* what to call its value in help; NULL: a switch */
	const char *what;
};

struct potter_command {
	const char *name;  /* "job run" */
	const char *alias; /* "run", or NULL */
	const char *args;  /* "<path>" */
	const char *what;  /* one line */
	const struct potter_option *options;
	int (*run)(struct potter_call *c); /* the exit status */
};

struct potter_given {
	const char *name, *value;
};

struct potter_call {
	const struct potter_command *command;
	const char *address, *region, *namespace, *token;
	struct potter_given *given;
	size_t n_given;
	char **argv; /* what follows the options */
	int argc;
	struct loop *loop;
	struct arena mem;
};

/* Set by bin/potter.c: `potter agent`, which needs folders that a command line may not use. */
typedef int potter_agent_fn(int argc, char **argv);
int potter_main(int argc, char **argv, potter_agent_fn *agent);

/* ---- options ---- */
bool potter_on(
    const struct potter_call *c, const char *option); /* a switch: given and not =false */
const char *potter_value(
    const struct potter_call *c, const char *option); /* the last one, or NULL */
size_t potter_values(const struct potter_call *c, const char *option, const char **out, size_t max);
size_t potter_length(const struct potter_call *c); /* of ids: 36 with -verbose, else 8 */
/* "This command takes …" and how to get help; gives 1. */
int potter_usage(struct potter_call *c, const char *takes);
int potter_fail(const char *fmt, ...) PRINTFLIKE(1, 2); /* one line on standard error; gives 1 */

/* ---- the API ---- */
struct potter_reply {
	int status;
	json_t *json; /* NULL: the body was no JSON */
	char *body;
	uint64_t index;
};
void potter_reply_fini(struct potter_reply *r);
#define autoreply CLEANUP(potter_reply_fini)
#define POTTER_REPLY_INIT                                                                          \
	{                                                                                          \
		.status = 0, .json = NULL, .body = NULL, .index = 0                                \
	}
/* The path may hold a query; region and namespace are added. ERR_REMOTE: no connection, or a status
 * other than 200 (the text is then Nomad's "Unexpected response code: 500 (…)"). */
int potter_get(struct potter_call *c, struct potter_reply *r, struct err *e, const char *path, ...)
    PRINTFLIKE(4, 5);
int potter_send(struct potter_call *c, const char *method, const struct buf *body,
    struct potter_reply *r, struct err *e, const char *path, ...) PRINTFLIKE(6, 7);
char *potter_escape(struct potter_call *c, const char *text); /* for a path or a query */

/* ---- finding things by prefix; on failure the user has been told: NULL ---- */
/* The full object, from /v1/<list>?prefix= and /v1/<one>/<id>. */
json_t *potter_find_job(struct potter_call *c, const char *id);
json_t *potter_find_alloc(struct potter_call *c, const char *prefix);
json_t *potter_find(struct potter_call *c, const char *list, const char *one, const char *noun,
    const char *prefix, void (*show)(struct potter_call *c, const json_t *rows));

/* ---- text ---- */
const char *potter_short(struct potter_call *c, const char *id, size_t length);
const char *potter_time(struct potter_call *c, int64_t wall_ns); /* 2021-08-20T13:05:33Z */
const char *potter_ago(struct potter_call *c, int64_t wall_ns);	 /* "4s ago" */
const char *potter_when(
    struct potter_call *c, const json_t *object, const char *key); /* RFC 3339 member */
int64_t potter_ns(const json_t *object, const char *key); /* RFC 3339 member as wall ns; 0: never */
const char *potter_ibytes(struct potter_call *c, double bytes); /* "45 MiB" */
void potter_json(const json_t *v);				/* indented, on standard output */

/* "Key = value" blocks and tables, as Nomad aligns them. Cells are separated by '|'. */
struct potter_lines {
	struct buf text; /* rows separated by newlines, cells by 0x1f */
};
void potter_row(struct potter_lines *l, const char *fmt, ...) PRINTFLIKE(2, 3);
void potter_print_list(
    struct potter_call *c, struct potter_lines *l, const char *indent); /* and empties it */
void potter_print_kv(struct potter_call *c, struct potter_lines *l, const char *indent);

/* ---- shared pieces of output ---- */
void potter_show_deployment(struct potter_call *c, const json_t *d, const char *indent);
void potter_show_deployment_groups(struct potter_call *c, const json_t *d, const char *indent);
void potter_show_metrics(
    struct potter_call *c, const json_t *metrics, bool scores, const char *indent);
void potter_show_allocs(struct potter_call *c, const json_t *stubs);
void potter_show_jobs(struct potter_call *c, const json_t *stubs);
int potter_monitor_eval(struct potter_call *c, const char *eval_id);
int potter_monitor_deployment(struct potter_call *c, const char *id);
/* Reads a job file ("-": standard input; -json; -var, -var-file). NULL: the user has been told. */
struct job;
struct job *potter_read_job(struct potter_call *c, const char *path);

extern const struct potter_command potter_job_run, potter_job_plan, potter_job_status,
    potter_job_stop, potter_job_inspect, potter_job_validate, potter_job_init, potter_alloc_status,
    potter_alloc_logs, potter_alloc_exec, potter_alloc_stop, potter_alloc_restart,
    potter_node_status, potter_eval_status, potter_deployment_status, potter_agent_info,
    potter_system_gc, potter_server_members;

#endif
