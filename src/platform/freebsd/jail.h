/*
 * jail.h: jails, by the kernel's own calls. Internal to this folder.
 *
 * A pot's jail carries the pot's name, as pot has always named them, so that jls(8) and jexec(8)
 * find it. It persists until somebody removes it: while the pot's init lives its number cannot come
 * to mean another jail.
 */
#ifndef PLATFORM_FREEBSD_JAIL_H
#define PLATFORM_FREEBSD_JAIL_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct kinfo_proc; /* sys/user.h */
struct stack;	   /* links.h */

/* Parameters of a jail that is to be made or changed; strings and bytes are borrowed. */
enum { JAIL_PARAMETERS = 64, JAIL_SAID = 256 };
struct jail_parameters {
	struct iovec v[2 * JAIL_PARAMETERS + 2];
	size_t n;
	int numbers[JAIL_PARAMETERS];
	char switches[JAIL_PARAMETERS][48]; /* "allow.nomount" */
	size_t n_switches;
	char said[JAIL_SAID]; /* the kernel's own words about a failure */
};
void jail_text(struct jail_parameters *p, const char *name, const char *value);
void jail_number(struct jail_parameters *p, const char *name, int value);
void jail_switch(struct jail_parameters *p, const char *name, bool on);
void jail_bytes(struct jail_parameters *p, const char *name, const void *data, size_t len);
/* JAIL_CREATE, JAIL_UPDATE …; the jail's number. */
int jail_apply(struct jail_parameters *p, int flags, struct err *e);

/* The number of the jail with this name; 0: there is none. One that is dying is none. */
int jail_named(const char *name, struct err *e);
/* Where its root lies on the host. */
int jail_root(int jid, char *out, size_t size, struct err *e);
/* The jail that a pot's init (isolate.h) stands for, or that a process lives in; 0: the init of
 * what has no jail. ERR_ABSENT: none of these. */
int jail_of(pid_t pid, struct err *e);

/* The jail of a pot, by its name and where its root lies; 0: there is none, or it is somebody
 * else's. */
int jail_of_pot(const char *name, const char *place, struct err *e);

/* All that lives in it, or in a jail below it, without what has ended already; to be freed. */
int jail_processes(int jid, struct kinfo_proc **out, size_t *n, struct err *e);
/* The same of all jails. */
int jail_all_processes(struct kinfo_proc **out, size_t *n, struct err *e);
/* The jail that it is right below; 0: below none, or it is gone. */
int jail_parent(int jid);
/* SIGKILL to all that lives in it, also to what is being forked; waits until it is empty, for ten
 * seconds at most. */
int jail_kill(int jid, struct err *e);
/* The same for a jail that is to go; *s is for jail_end(), see stack_empty(). */
int jail_empty(int jid, struct stack *s, struct err *e);
/* The same by a signal of choice, and for a time only: 1 when nobody is left, 0 when it is over. */
int jail_signal(int jid, int sig, int64_t timeout_ms, struct err *e);
/* Waits until nobody lives in it, however long that takes. */
int jail_await(int jid, struct err *e);
/* Removes what jail_end() began and did not come to an end with, because somebody killed who was at
 * it. How many. Without wait as jail_end() does it apart. */
int jail_sweep(bool wait, struct err *e);
/* Removes it: what still lives in it is killed, and *s is closed. With apart, in a process of its
 * own that nobody waits for: the kernel takes its time with a network stack. Absent is fine. */
int jail_end(int jid, struct stack *s, bool apart, struct err *e);

#endif
