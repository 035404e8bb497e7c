/*
 * fake.h: a machine that lives in memory, and fails where a test wants it.
 *
 * Interfaces, ports, control groups and processes are rows of tables in memory which is shared with
 * child processes. Datasets are directories below `dir` (the overlay backend does its real work
 *there; nothing is mounted). So a test starts a child that does something, lets the machine "stop"
 *before or after the nth call by ending that child on the spot (its locks go with it, as at a real
 *crash), and looks at what is left from outside:
 *
 *	for (int n = 0;; n++) {
 *		struct fake_host *f = fake_new(dir);
 *		struct host h = host_fake(f);
 *		… things that are to succeed …
 *		fake_arm(f, FAKE_CRASH_AFTER, n);
 *		if ((pid = fork()) == 0)
 *			_exit(pot_start(…) < 0);
 *		waitpid(pid, …);
 *		fake_disarm(f);
 *		… what the next boot does …
 *		assert(fake_leftovers(f, out) == 0);
 *		if (!f->fired) break; // swept past the last call
 *	}
 *
 * One user of a fake at a time. isolate, mount and proc operations know no host: they act on the
 *one that host_fake() was called for last.
 */
#ifndef PLATFORM_FAKE_FAKE_H
#define PLATFORM_FAKE_FAKE_H

#include "base/buf.h"
#include "base/ids.h"
#include "platform/filter.h"
#include "platform/host.h"
#include "platform/netif.h"

#include <sys/types.h>

enum fake_mode {
	FAKE_NOTHING,
	FAKE_REFUSE,	   /* the call fails, without effect */
	FAKE_CRASH_BEFORE, /* the process ends instead of the call */
	FAKE_CRASH_AFTER   /* the process ends right after the call */
};

enum {
	FAKE_CRASHED = 86, /* exit code of a process that was ended so */
	FAKE_ROWS = 512,
	FAKE_PID_FIRST = 5000000 /* above what Linux gives out: these processes are ours */
};

struct fake_pair {
	char name[NETIF_NAME], bridge[NETIF_NAME], alias[NETIF_ALIAS];
	pid_t pid;
	struct netif_inside inside;
};

struct fake_alias { /* an interface answers for a pot */
	struct netif_alias at;
};

struct fake_bridge {
	char name[NETIF_NAME];
	struct ipnet addrs[8];
	size_t addrs_n;
};

struct fake_group {
	char run[256];
};

struct fake_process {
	pid_t pid;
	uint64_t start;
	char run[256]; /* its group, or "" */
};

struct fake_host {
	enum fake_mode mode;
	int at; /* which call, counted from 0 since fake_arm() */
	int calls;
	bool fired;
	char where[64]; /* the operation that was hit: "netif.pair_up" */

	char dir[512]; /* owned by the test */
	char fs_root[600], run_dir[600];
	char boot[40];
	bool forwarding, table;
	uint64_t next_pid, next_start;
	struct fake_pair pairs[FAKE_ROWS];
	size_t pairs_n;
	struct fake_alias aliases[64];
	size_t aliases_n;
	struct fake_bridge bridges[16];
	size_t bridges_n;
	struct filter_entry ports[FAKE_ROWS];
	size_t ports_n;
	struct fake_group groups[FAKE_ROWS];
	size_t groups_n;
	struct fake_process processes[FAKE_ROWS]; /* that live */
	size_t processes_n;
};

/* An empty machine; makes <dir>/fs and <dir>/run. */
struct fake_host *fake_new(const char *dir);
void fake_free(struct fake_host *f); /* the directory stays */
struct host host_fake(struct fake_host *f);

void fake_arm(struct fake_host *f, enum fake_mode mode, int at);
void fake_disarm(struct fake_host *f);
/* For a test's own pieces (a keeper that is played): counts as a call. -1: refused. fake_done() at
 * its end. */
int fake_call(struct fake_host *f, const char *what, struct err *e);
void fake_done(struct fake_host *f);

/* A process of the fake machine: lives until it is ended. run: its control group, or NULL. */
pid_t fake_process_start(struct fake_host *f, const char *run, uint64_t *start);
/* Its network goes with it. */
void fake_process_end(struct fake_host *f, pid_t pid);
bool fake_process_lives(const struct fake_host *f, pid_t pid);
/* A power cut: processes, interfaces, table, groups and the run directory's content are gone;
 * another boot. */
void fake_power_cut(struct fake_host *f);

/* What a run may leave: pairs, ports, groups, processes, and things in the dataset store which
 * nothing leads to. Each is added to `out` as a line (NULL: only counted). */
size_t fake_leftovers(struct fake_host *f, struct buf *out);

#endif
