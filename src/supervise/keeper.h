/*
 * keeper.h: starting and meeting keepers, from pot, pot-runner and tests.
 *
 *	keeper_spawn()   the keeper and the pot's init exist, the root is being mounted;
 *	                 network and ports are set up meanwhile, by init_pid
 *	keeper_go()      the command runs, or *e says why it does not
 *	keeper_detach()  leave it: it writes the exit record and runs launch.finish itself
 *	keeper_wait()    or stay: the exit comes back, and the caller walks the phases down
 *
 * If the caller dies or gives up (keeper_abort) before keeper_go() has returned, the keeper kills
 * what it made and runs launch.finish.
 */
#ifndef SUPERVISE_KEEPER_H
#define SUPERVISE_KEEPER_H

#include "base/err.h"
#include "base/ids.h"
#include "supervise/launch.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct keeper {
	pid_t pid;	/* of the keeper; a child of the caller of spawn() */
	uint64_t start; /* proc.h */
	pid_t init_pid; /* of the pot's init */
	uint64_t init_start;
	int sock;
	/* the signals held back while wait() waits, which gives 0 when another comes; NULL: as they
	 * are, and no signal ends the wait */
	const sigset_t *held;
	int program; /* of the read-only view of pot-keeper; let go while the root is being mounted
		      */
};

struct keeper_exit {
	int code; /* 128 + signal when a signal ended the command */
	int signal;
	bool oom_killed;
	int64_t started_ns, ended_ns; /* wall clock */
	char run_id[RUN_ID_TEXT];     /* as read from a record; else empty */
};

struct keeper_ops {
	/* stdio: given to the command with LAUNCH_INHERIT; borrowed. program: path of pot-keeper.
	 */
	int (*spawn)(const char *program, const struct launch *, const int stdio[3],
	    struct keeper *, struct err *);
	int (*go)(struct keeper *, struct err *);
	/* 1: the pot ended; 2: a persistent pot's command ended, the pot goes on (wait may be
	 * called again); 0: timeout_ms passed (-1: no bound), or a signal came (held). */
	int (*wait)(struct keeper *, int timeout_ms, struct keeper_exit *, struct err *);
	/* 0: it goes on alone, and finishes the run. 1: it had ended before, with us as its
	 * listener: the exit record is there, and the caller walks the phases down. */
	int (*detach)(struct keeper *);
	/* Kills; returns when the keeper is gone, without running launch.finish. */
	void (*abort)(struct keeper *);
};
extern const struct keeper_ops keeper_native;

/* For a keeper found in a record (pid, start); fine with one that is gone. A keeper that is stopped
 * or killed by these writes its exit record and does not run launch.finish: the caller walks the
 * run down when they return (it may hold the pot's lock meanwhile). */
int keeper_alive(pid_t pid, uint64_t start, struct err *e); /* 1, 0, -1: cannot tell */
/* Asks it to stop and waits until it is gone. timeout_ms: its own stop timeout is in the launch;
 * after this many it is killed (the pot with it); -1: never. */
int keeper_stop(pid_t pid, uint64_t start, int timeout_ms, struct err *e);
/* The same with another signal (0: the launch's) and another patience (-1: the launch's) than it
 * was started with. */
int keeper_stop_with(
    pid_t pid, uint64_t start, int signal, int64_t grace_ms, int timeout_ms, struct err *e);
/* Asks it to stop as its launch says, unless it is about it, and waits for nothing. */
int keeper_ask(pid_t pid, uint64_t start, struct err *e);
/* Kills the pot at once; the keeper still writes its record. Waits until it is gone. */
int keeper_kill(pid_t pid, uint64_t start, struct err *e);

/* <run_dir>/exit. ERR_ABSENT: has not ended in order; ERR_CORRUPT: not ours. */
int keeper_exit_read(const char *run_dir, struct keeper_exit *out, struct err *e);

#endif
