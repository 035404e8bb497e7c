/*
 * runner_priv.h: what the files of pot-runner share.
 */
#ifndef POT_RUNNER_PRIV_H
#define POT_RUNNER_PRIV_H

#include "pot/priv.h"
#include "pot/run.h"
#include "pot/runner.h"

struct runner_child {
	const struct runner_config *config;
	const struct runner_request *q;
	int sock;   /* to the runner's loop */
	int fds[3]; /* that came with the request; -1 */
	size_t n_fds;
	struct arena mem;
};

/* ---- runner_do.c ---- */
/* One request, in a child. */
NORETURN void runner_do(struct runner_child *);
/* What a request comes to: RUNNER_DONE with what was asked for, or RUNNER_FAILED with the error and
 * -1. The reply's memory is the child's and the request's. */
int runner_answer(struct runner_child *, struct runner_reply *, struct err *);
/* A run that ended without a record: its remains are walked down, then it is told as lost. */
int runner_settle(struct runner_child *, struct err *);

/* ---- runner_left.c: for a request with take_over ---- */
/* 1: the pot of that name runs, or has run and left a record of its end: the reply tells; 0: it
 * never ran, or half; waits for a start of it that is under way. */
int runner_left_take(struct runner_child *, struct runner_reply *, struct err *);
/* Removes pots of other tries of the same task. */
void runner_left_clear(struct runner_child *);

/* ---- runner_raw.c ---- */
int raw_start(struct runner_child *, struct runner_reply *, struct err *);
int raw_stop(struct runner_child *, struct runner_reply *, struct err *);
int raw_signal(struct runner_child *, struct runner_reply *, struct err *);
int raw_exec(struct runner_child *, struct runner_reply *, struct err *);
int raw_usage(struct runner_child *, struct runner_reply *, struct err *);
int raw_destroy(struct runner_child *, struct runner_reply *, struct err *);
/* "_raw-<run id>", checked. */
int raw_name(const struct runner_request *, char out[POT_NAME_MAX + 1], struct err *);

/* ---- runner_path.c ---- */
/* What a path means now, held fast: the descriptor stays open as long as the child lives, which is
 * as long as it is used. No link is followed below the root; ERR_INPUT names the one in the way.
 * Strings are the child's. */
struct pinned {
	bool keep_name;	   /* wanted: the directory that it lies in, without its last component */
	const char *root;  /* as the operator gave it */
	const char *below; /* the path from there, "" for the root itself … */
	const char *name;  /* … and its last component */
	int fd;
};
int runner_pin(struct runner_child *, const char *path, struct pinned *, struct err *);
/* Nobody is kept out of any place of the machine: links may lead where they like. */
bool runner_everywhere(const struct runner_config *);
/* A path by which the keeper and libpot reach exactly what `path` means now; memory of the child.
 * The last component stays in it when keep_name is set. */
int runner_path(struct runner_child *, const char *path, bool keep_name, char **out, struct err *);
/* Only that it lies below a root, as written: for what is opened with the agent's own rights. */
int runner_path_check(const struct runner_config *, const char *path, struct err *);
/* A FIFO (or /dev/null) open for writing; waits ten seconds for its reader. */
int runner_open_output(struct runner_child *, const char *path, struct err *);

/* ---- shared by pots and raw commands (runner_do.c) ---- */
int runner_relay(
    struct runner_child *, pid_t command, int pty, struct runner_reply *, struct err *);
int runner_describe(struct runner_child *, const struct run *, struct runner_run *, struct err *);

#endif
