/*
 * launch.h: all that a keeper is told, in one message.
 *
 * Filled in by libpot (or the runner, for raw commands), sent over a socket, decoded in pot-keeper.
 * Strings are borrowed when encoding, and live in the given arena after decoding.
 */
#ifndef SUPERVISE_LAUNCH_H
#define SUPERVISE_LAUNCH_H

#include "base/arena.h"
#include "base/buf.h"
#include "platform/isolate.h"

enum launch_stdio { LAUNCH_INHERIT, LAUNCH_NULL, LAUNCH_FILES, LAUNCH_STDIO_KINDS };

struct launch {
	const char *run_id; /* 12 hex digits */
	const char *pot;    /* name, for messages */
	struct isolate_spec isolate;
	/* output: LAUNCH_FILES writes <dir>/<prefix>.stdout.N and .stderr.N, created and opened
	 * with the rights of log_uid, log_gid */
	enum launch_stdio stdio;
	const char *log_dir, *log_prefix;
	unsigned log_max_files;	     /* 0: 10 */
	uint64_t log_max_file_bytes; /* 0: 10 MiB */
	uint32_t log_uid, log_gid;
	unsigned log_mode; /* 0: 0640 */
	/* stopping */
	int stop_signal;	 /* 0: SIGTERM */
	int64_t stop_timeout_ms; /* then everything is killed; 0: at once */
	/* what is left behind */
	const char *run_dir;	   /* the exit record goes to <run_dir>/exit; NULL: none */
	bool attended;		   /* the starter stays to the end, and while it listens there is
				    * no record, unless an empty one is there and so asked for */
	const char *stats_path;	   /* <pot>/conf/.last_run_stats; NULL: none */
	const char *const *finish; /* argv executed at the end when nobody listens; NULL: none */
};

enum launch_limit { LAUNCH_MOUNTS_MAX = 512, LAUNCH_FILES_MAX = 256 };

void launch_encode(const struct launch *l, struct buf *body);
/* Checks everything a keeper relies on: lists not empty where needed, absolute paths, bounds. */
int launch_decode(const void *body, size_t len, struct arena *a, struct launch *l, struct err *e);

#endif
