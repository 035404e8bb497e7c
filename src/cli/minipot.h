/*
 * minipot.h: a cluster of one, set up and taken away by one command.
 *
 * `init` says each thing that it changes, keeps a backup of every file that was there before, and
 * writes all of it to a ledger (ledger.h); `destroy` takes back what the ledger holds. `start` and
 * `stop` use the machine's service manager where one runs, else start the agent themselves.
 */
#ifndef CLI_MINIPOT_H
#define CLI_MINIPOT_H

#include "cli/ledger.h"
#include "platform/service.h"

#include <stdbool.h>

#define MINIPOT_USER "potter"

struct minipot {
	const char *prefix; /* "/usr/local" */
	char *config;	    /* <prefix>/etc/minipot/agent.hcl */
	char *registry;	    /* <data>/registry; the data directory is service_places.data */
	char *pid_file, *log;
	struct service_plan service;
	const char *address; /* -i, or NULL: listen on the loopback */
	bool verbose, json;
	struct ledger ledger;
	struct arena mem;
};

/* Each returns the exit status of the command: 0 done, 1 failed (and has said why). */
int minipot_init(struct minipot *m);
int minipot_start(struct minipot *m);
int minipot_status(struct minipot *m);
int minipot_stop(struct minipot *m);
int minipot_destroy(struct minipot *m);

/* ---- shared by the verbs ---- */

/* "===> text" on standard output, as pot says things. */
void minipot_say(const char *fmt, ...) PRINTFLIKE(1, 2);
/* "###> text" on standard error; gives 1. */
int minipot_fail(const struct err *e);
/* Runs a program by its argument vector (a name without a slash is looked up in PATH) and waits.
 * Its output goes to ours unless quiet. ERR_ABSENT: no such program; ERR_REMOTE: it failed. */
int minipot_run(const char *const *argv, bool quiet, struct err *e);
/* What the system wants done for it (service_command), quietly; nothing where that is nothing. */
int minipot_act(enum service_act act, const char *name, struct err *e);
/* The pid of the running monitor by the pid file, checked to be alive; 0: none. */
int minipot_pid(const struct minipot *m);
/* What the configuration says in bind_addr; the loopback where it says nothing. */
const char *minipot_address(struct minipot *m);
/* Stops the agent and waits for its end; fine when it does not run. */
int minipot_stop_agent(const struct minipot *m, struct err *e);
char *minipot_program(const struct minipot *m, const char *name, struct arena *a);

#endif
