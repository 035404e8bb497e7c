/*
 * runner_proto.h: what the agent asks of pot-runner, and what it hears back.
 *
 * Frames of codec/wire.h over a stream socket. The frame's kind is the operation, its id pairs
 * requests with replies and is the asker's choice (not 0, not in use). A request gets any number of
 * PROGRESS and at most one STARTED reply, then exactly one DONE or FAILED. Requests run at the same
 * time in processes of their own; the asker may cancel one with RUNNER_CANCEL (its process and what
 * it began are ended; a FAILED or DONE still follows).
 *
 * Every name is checked, and every host path must lie below the roots that the runner was started
 * with. The formats are described in docs/formats/runner.md.
 */
#ifndef POT_RUNNER_PROTO_H
#define POT_RUNNER_PROTO_H

#include "base/arena.h"
#include "codec/wire.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum runner_op {
	RUNNER_HELLO = 1,   /* → version; body.text: of the program */
	RUNNER_POT_PREPARE, /* image, pot, argv, env, ports, network, limits, attributes → pot, and
			     * with take_over perhaps run */
	RUNNER_POT_START, /* pot, log, binds, env, stop_signal, stop_timeout_ms, user … → run */
	RUNNER_POT_STOP,  /* pot, stop_signal, stop_timeout_ms */
	RUNNER_POT_SIGNAL,  /* pot, signal */
	RUNNER_POT_DESTROY, /* pot, force: what runs is killed */
	RUNNER_POT_EXEC,  /* pot, argv, env, user, tty, rows, columns; three descriptors without tty
			   * → STARTED (with tty: the terminal's descriptor), DONE: code, signal */
	RUNNER_POT_USAGE, /* pot → usage */
	RUNNER_POT_COPY_IN, /* pot, source, target, no_links */
	RUNNER_POT_WAIT, /* pot, run_id → DONE when that run has ended: code, signal, oom_killed */
	RUNNER_POT_LIST,    /* pot (or NULL: all that there are) → runs */
	RUNNER_RAW_START,   /* run_id, argv, env, cwd, user, log, limits, stop_… → run */
	RUNNER_RAW_STOP,    /* run_id */
	RUNNER_RAW_SIGNAL,  /* run_id, signal */
	RUNNER_RAW_EXEC,    /* run_id, as POT_EXEC */
	RUNNER_RAW_USAGE,   /* run_id → usage */
	RUNNER_RAW_WAIT,    /* run_id → as POT_WAIT */
	RUNNER_RAW_DESTROY, /* run_id: forget a run that has ended */
	RUNNER_IMAGE_IMPORT, /* url, image, tag → PROGRESS: done, total, text; DONE: pot (the image)
			      */
	RUNNER_SWEEP,	     /* → text: what was put right, one line each */
	RUNNER_FACTS,	     /* → text: JSON with what only root may read of this node */
	RUNNER_CANCEL,	     /* cancel: the id */
	RUNNER_OPS
};
const char *runner_op_name(enum runner_op op);
bool runner_op_is_raw(enum runner_op op); /* RAW_… */

struct runner_bind {
	const char *source; /* absolute, on the host, below a root */
	const char *target; /* absolute, in the pot */
	bool read_only;
};

struct runner_log {
	const char *dir,
	    *prefix; /* <dir>/<prefix>.stdout.N, below a root; owned by the asker's user */
	unsigned max_files;
	uint64_t max_file_bytes;
};

struct runner_request {
	enum runner_op op;
	uint64_t id;
	const char *pot;   /* name of the pot */
	const char *image; /* image's name (PREPARE, IMPORT), without its tag */
	const char *tag;
	const char *url;	       /* registry the image comes from; NULL: must be there */
	const char *run_id;	       /* 12 hex digits; RAW_*: chosen by the asker */
	const char *const *argv;       /* lists end with NULL; NULL: none */
	const char *const *env;	       /* VAR=value */
	const char *const *ports;      /* "[tcp:|udp:]potport[:hostport]" */
	const char *const *hosts;      /* "ip name" */
	const char *const *attributes; /* name=value */
	const char *network;	       /* "inherit", "public-bridge"; NULL: as the image */
	const char *const *addresses;  /* PREPARE, with network: "[nic|]address"; NULL: chosen */
	const char *bridge;	       /* PREPARE, with network: of private-bridge */
	const char *stack;	       /* "ipv4", "ipv6", "dual"; NULL: the framework's */
	const char *dns;
	const char *user, *cwd;	     /* inside; NULL: root and / (raw: the agent's user) */
	const char *source, *target; /* COPY_IN; PREPARE: source in place of an image */
	bool no_links; /* COPY_IN: the source may not be a link, even where the runner would follow
			* one: it lies where a task writes */
	const char *resolver;	  /* PREPARE: what stands in its /etc/resolv.conf; not with dns */
	const char *network_path; /* START: somebody's network in place of its own */
	struct runner_bind *binds;
	size_t n_binds;
	struct runner_log log; /* dir NULL: no output is kept */
	/* START, in place of log: where output goes, FIFOs below a root or /dev/null; a FIFO that
	 * nobody reads after ten seconds fails the start. */
	const char *stdout_path, *stderr_path;
	const char *command; /* PREPARE, in place of argv: one line, as a shell reads it */
	/* PREPARE: texts as people write them (struct pot_limits); NULL: none */
	const char *limit_cpus, *limit_pin, *limit_processes, *limit_files, *limit_io_weight;
	uint64_t memory_bytes; /* 0: no limit */
	unsigned cpus;	       /* how many to be pinned to; 0: all */
	unsigned cpu_shares;
	int signal;		 /* *_SIGNAL */
	int stop_signal;	 /* 0: TERM (STOP: what the start said) */
	int64_t stop_timeout_ms; /* -1: what the start said */
	bool force, tty;
	/* PREPARE: what is asked for again is told if it runs or has run. START: what other tries
	 * of the task, "<task>_<8 hex digits>_<allocation>", have left is removed. */
	bool take_over;
	unsigned rows, columns;
	uint64_t cancel;
};

enum runner_reply_kind { RUNNER_PROGRESS = 64, RUNNER_STARTED, RUNNER_DONE, RUNNER_FAILED };

struct runner_run {
	const char *pot, *run_id;
	pid_t keeper_pid, init_pid;
	uint64_t keeper_start;
	const char *ip, *ip6;	  /* NULL: none */
	const char *const *ports; /* "tcp:80:20001": proto, pot port, host port */
	bool running;
	bool starting; /* not yet, but soon or not at all */
};

struct runner_usage {
	uint64_t rss_bytes, cache_bytes, swap_bytes, memory_limit_bytes;
	uint64_t cpu_ns;
	int64_t read_ns; /* when it was so, by the clock of clock_mono_ns() */
	unsigned pids;
};

struct runner_reply {
	enum runner_reply_kind kind;
	uint64_t id;
	struct err failure; /* FAILED */
	const char *pot;
	struct runner_run *runs; /* START: one; PREPARE: the one that was taken over */
	size_t n_runs;
	struct runner_usage usage;
	int code, signal; /* EXEC, WAIT */
	bool oom_killed;
	bool lost; /* WAIT: it is gone and nobody recorded how it ended */
	int64_t started_ns, ended_ns;
	const char *text;
	uint64_t done, total; /* PROGRESS: bytes; total 0: not known */
	bool has_fd;	      /* a descriptor came with this frame */
};

/* ---- both sides ---- */
void runner_request_encode(const struct runner_request *, struct buf *body);
int runner_request_decode(
    const void *body, size_t len, struct arena *, struct runner_request *, struct err *);
void runner_reply_encode(const struct runner_reply *, struct buf *body);
int runner_reply_decode(
    const void *body, size_t len, struct arena *, struct runner_reply *, struct err *);

/* ---- the asker's end of the socket, for an event loop ---- */
/* Sends at once (waits for room when the socket is full: the runner always reads). */
int runner_send(
    int sock, const struct runner_request *, const int *fds, size_t n_fds, struct err *);

/* What was read and not yet taken. Descriptors wait for the frame that says has_fd. */
struct runner_inbox {
	struct buf in;
	int fds[16];
	size_t n_fds;
};
#define RUNNER_INBOX_INIT                                                                          \
	{                                                                                          \
		.in = BUF_INIT, .n_fds = 0                                                         \
	}
void runner_inbox_fini(struct runner_inbox *);
/* Reads once, without blocking. 1: something came; 0: the runner closed; 2: nothing now. */
int runner_inbox_fill(struct runner_inbox *, int sock, struct err *);
/* 1: a reply (memory of the arena) and, with has_fd, its descriptor in *fd (the caller's; else -1);
 * 0: none is complete. */
int runner_inbox_next(
    struct runner_inbox *, struct arena *, struct runner_reply *, int *fd, struct err *);

/* ---- where the agent finds its sockets ---- */
/* Frames of this file. */
#define RUNNER_FD_ENV "POTTER_RUNNER_FD"
/* Frames whose descriptor is a new runner's socket. */
#define RUNNER_MONITOR_FD_ENV "POTTER_MONITOR_FD"
/* Set: pots and ingress are stopped as by SIGINT as soon as the agent is ready. */
#define RUNNER_STOP_ENV "POTTER_STOP"
/* On the monitor's socket: 1: *sock is the new runner's socket; 0: the monitor closed (exit);
 * 2: nothing now. */
int runner_monitor_next(int monitor, int *sock, struct err *);

#endif
