/*
 * run.h: one run of a pot (or of a raw command): its record, and the rows of phases that make and
 * undo it.
 *
 * The record is <POT_RUN_DIR>/runs/<name>/record, lines appended as things happen; "begun <phase>"
 * is there before the phase acts. docs/formats/run-record.md describes it. Whoever changes a record
 * holds the lock of its name; anybody may read it at any time.
 *
 * Raw commands are recorded under names that no pot can have (RUN_RAW_PREFIX and the run id), with
 * the phases limits and isolate alone; pot_doctor() treats them like any other run.
 */
#ifndef POT_RUN_H
#define POT_RUN_H

#include "base/arena.h"
#include "base/ids.h"
#include "platform/isolate.h"
#include "platform/netif.h"
#include "platform/proc.h"
#include "pot/pot.h"
#include "supervise/keeper.h"

#define RUN_RAW_PREFIX "_raw-"

enum { RUN_PORTS_MAX = 256, RUN_ALIASES_MAX = 32 };

enum run_phase { RUN_LIMITS, RUN_ISOLATE, RUN_NETWORK, RUN_PORTS, RUN_PROCESS, RUN_PHASES };
const char *run_phase_name(enum run_phase);

struct run {
	char name[POT_NAME_MAX + 1]; /* of the pot */
	char id[RUN_ID_TEXT];
	char boot[PROC_BOOT_ID_TEXT];
	unsigned begun; /* bits 1 << enum run_phase */
	pid_t starter;	/* who walks the phases up, until "running" */
	uint64_t starter_start;
	pid_t keeper;
	uint64_t keeper_start;
	pid_t init;
	uint64_t init_start;
	int64_t running_ns; /* wall clock; 0: not running yet */
	bool stopping;
	pid_t stopper; /* who waits for that; 0: not known */
	uint64_t stopper_start;
	int stop_signal; /* 0: SIGTERM */
	int64_t stop_timeout_ms;
	struct pot_map ports[RUN_PORTS_MAX];
	size_t n_ports;
	struct netif_alias aliases[RUN_ALIASES_MAX];
	size_t n_aliases;
};

/* ---- the record (record.c) ---- */
/* Makes runs/<name>/ and the record with a new run id unless r->id is given; name must be set. */
int run_create(struct pot_env *, struct run *r, struct err *e);
/* Each appends one line before (or as soon as) it is true, and notes it in r. */
int run_begun(struct pot_env *, struct run *r, enum run_phase, struct err *e);
int run_keeper(struct pot_env *, struct run *r, const struct keeper *, struct err *e);
int run_port(struct pot_env *, struct run *r, const struct pot_map *, struct err *e);
/* An address that an interface is going to answer for. */
int run_alias(struct pot_env *, struct run *r, const struct netif_alias *, struct err *e);
int run_running(struct pot_env *, struct run *r, struct err *e);
int run_stopping(struct pot_env *, struct run *r, struct err *e); /* by this process */
/* ERR_ABSENT: no run is recorded. ERR_CORRUPT: it cannot be read. */
int run_read(struct pot_env *, const char *name, struct run *r, struct err *e);
int run_parse(const char *text, size_t len, struct run *r, struct err *e);
int run_remove(
    struct pot_env *, const char *name, struct err *e); /* the record; the exit file stays */
char *run_dir(struct pot_env *, const char *name, struct arena *);
/* "<name>.<id>": of its control groups. */
const char *run_group(const struct run *r, char out[POT_NAME_MAX + 1 + RUN_ID_TEXT + 1]);
const char *run_link(const struct run *r, char out[16]); /* "p<id>" */
/* All names that have a directory in runs/. */
int run_names(struct pot_env *, struct arena *, struct pot_strs *, struct err *e);

/* ---- truth (run.c) ---- */
/* 1: its keeper lives in this boot; 0: it does not; -1: cannot tell. */
int run_alive(struct pot_env *, const struct run *r, struct err *e);
/* The same for whatever is recorded of the name; also -1 for a record that cannot be read. */
int run_is_live(struct pot_env *, const char *name);
/* The run of another pot than `but` that has the address, into *r: 1; 0: none that lives. Who wants
 * that to stay true holds LOCK_NET. */
int run_with_alias(
    struct pot_env *, const struct ip *, const char *but, struct run *r, struct err *e);
/* Its number when a pot runs of which there is no record, started by pot 0.16; 0. (stray.c) */
int stray_runs(struct pot_env *, const char *name, struct err *e);
/* Ends it as far as it is ours to end: its processes, its mounts, its links and ports. The caller
 * holds the lock. */
int stray_end(struct pot_env *, const char *name, struct err *e);
/* Walks down what a dead run left, if there is one. The caller holds the lock. A live run is left
 * alone. */
int run_recover(struct pot_env *, const char *name, struct err *e);
/* The same, and a run is ended whose starter died half-way, or which is being stopped; *lock is
 * released meanwhile and taken again. */
int run_settle(struct pot_env *, const char *name, int *lock, struct err *e);
/* It was asked to stop by somebody who did not come to the end of it. */
bool run_stop_abandoned(struct pot_env *, const struct run *r);
/* The rows downwards, all that have begun; goes on after a failure and returns the first. Tells the
 * poststop hook at the end, if the prestart hook may have been. */
int run_down(struct pot_env *, const struct run *r, struct err *e);
/* Runs that were on their way out when somebody killed who took them down: they are ended after
 * all, by somebody whom nobody waits for. What that fails with is for pot_doctor() to say. */
void run_sweep(struct pot_env *);
/* Kills the run, if it is live, and walks it down; no hook is told: the pot is not whole, and its
 * files may be an image's. The caller holds the lock. */
int run_end(struct pot_env *, const char *name, struct err *e);
/* For a name whose record cannot be read: everything that carries the name. Without kill:
 * ERR_CORRUPT when processes of it live. */
int run_purge(struct pot_env *, const char *name, bool kill, struct err *e);
/* A run from the name of its control group; false: not of a run. */
bool run_of_group(const char *group, struct run *r);
/* launch.finish: "pot-runner --finish NAME RUN_ID [CONF]". A keeper passes no environment on, so a
 * configuration that was named by POT_CONF goes along as an argument (to be put into POT_CONF
 * before pot_env_open()). The program calls pot_finish(). */
const char *const *run_finish_argv(
    struct pot_env *, const char *name, const char *run_id, struct arena *);
/* Kills what is in its control groups, waits until it is gone, removes them. */
int run_limits_down(struct pot_env *, const struct run *r, struct err *e);
/* Directories to join, for isolate specs; memory of the arena, ended by NULL. */
int run_cgroups(
    struct pot_env *, const struct run *r, struct arena *, const char *const **out, struct err *e);

#endif
