/*
 * proc.h: processes that cannot be mistaken for others.
 *
 * A pid is reused; a pid together with the time it started is not (within one boot, which has an
 * identity of its own). "Cannot tell" is -1, never "gone".
 */
#ifndef PLATFORM_PROC_H
#define PLATFORM_PROC_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROC_BOOT_ID_TEXT = 40 };

/* What ps(1) would say of a process. */
struct proc_info {
	pid_t pid;
	pid_t inner; /* its number in its own pid namespace; the same where there is none */
	char name[32];
	char command[512]; /* with arguments; "[name]" when there are none */
	char state;	   /* 'R' running, 'S' sleeping, 'D' waiting for a disk, 'T' stopped … */
	unsigned uid;
	uint64_t start; /* as start_time() */
	uint64_t cpu_ns, rss_bytes;
};

struct proc_ops {
	const char *name;
	/* When it started, in the kernel's own unit since boot; a process that has ended and only
	 * waits to be reaped is gone. ERR_ABSENT: gone. */
	int (*start_time)(pid_t pid, uint64_t *start, struct err *);
	int (*alive)(
	    pid_t pid, uint64_t start, struct err *); /* 1: yes; 0: gone; -1: cannot tell */
	/* A descriptor for exactly this process, readable when it ends. ERR_ABSENT: gone. */
	int (*open)(pid_t pid, uint64_t start, struct err *);
	int (*signal)(int handle, int sig, struct err *); /* ERR_ABSENT: gone */
	/* The same with a number for the receiver's handler (si_value, SI_QUEUE). */
	int (*queue)(int handle, int sig, int value, struct err *);
	/* 1: it ended; 0: timeout_ms passed before (-1 waits without end). */
	int (*wait)(int handle, int timeout_ms, struct err *);
	int (*boot_id)(char out[PROC_BOOT_ID_TEXT], struct err *);
	int (*look)(pid_t pid, struct proc_info *, struct err *); /* ERR_ABSENT: gone */
};
extern const struct proc_ops proc_native;

/* Orphans below this process become its children. */
int proc_subreaper(struct err *e);
/* SIGKILL (or another signal) to this process when its parent ends; ERR_ABSENT when the parent is
 * not `parent` any more. */
int proc_die_with_parent(pid_t parent, int sig, struct err *e);
/* Before a blocked SIGCHLD is waited for with sigwaitinfo(2): while nobody waits, FreeBSD forgets a
 * signal that is ignored by default. */
void proc_keep_sigchld(void);
/* What ps(1) shows as the command's name, at most 15 bytes. */
void proc_title(const char *name);
/* What ps(1) and pgrep -f(1) show as this process's command line. Words end with NULL and are
 * copied. Best effort: a kernel that cannot leaves it
 * as it was. */
enum { PROC_LINE_MAX = 4096 };
void proc_command_line(const char *const *words);
/* How to start a program that will enter a pot: what the pot could reach of it by /proc/<pid>/exe
 * is read-only. *path_out is what to execute while the descriptor is open; -1: the plain path, as
 * this machine cannot do it. */
enum { PROC_PROGRAM_PATH = 1024 };
int proc_program(const char *program, char path_out[PROC_PROGRAM_PATH]);
/* Who connected to a Unix socket, as the kernel noted it then. */
enum { PROC_GROUPS_MAX = 64 };
struct proc_peer {
	uid_t uid;
	gid_t gid;
	gid_t groups[PROC_GROUPS_MAX]; /* further ones; some may be missing */
	size_t n_groups;
};
int proc_peer(int sock, struct proc_peer *, struct err *e);
/* Closes every descriptor from `first` upwards. */
void proc_close_from(int first);
/* They are closed by the next exec. Safe in a child that shares memory with a waiting parent. */
int proc_keep_from_command(int first);
/* Signal names: "TERM", "SIGTERM", "term", "15". -1 with ERR_INPUT when unknown. */
int proc_signal_named(const char *name, struct err *e);
const char *proc_signal_name(int sig); /* "TERM"; "?" when unknown */

#endif
