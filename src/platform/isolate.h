/*
 * isolate.h: a process tree with a machine of its own: namespaces on Linux, jails on FreeBSD.
 *
 * create() is called by pot-keeper. It makes a new process, the pot's init, which joins its
 * cgroups, puts its root together inside its own mount namespace, waits for go(), starts the
 * command with the rights that the spec leaves it, and from then on reaps, forwards signals and
 * tells the keeper how the command ended. If the keeper dies, init and with it the whole pot dies.
 * enter() runs another command inside; pot and pot-runner call it.
 *
 * With ISOLATE_NONE the same is done without any namespace or root: a supervised host process.
 *
 * All strings of the specs are borrowed. Lists of strings end with NULL; a NULL list is empty.
 */
#ifndef PLATFORM_ISOLATE_H
#define PLATFORM_ISOLATE_H

#include "base/err.h"
#include "platform/mount.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	ISOLATE_NONE = 0,
	ISOLATE_PID = 1,
	ISOLATE_MOUNT = 2,
	ISOLATE_HOSTNAME = 4,
	ISOLATE_IPC = 8,
	ISOLATE_CGROUP = 16,
	ISOLATE_NET = 32,
	ISOLATE_ALL = 63
};

enum { ISOLATE_NO_SHM = 1, ISOLATE_NO_SEM = 2, ISOLATE_NO_MSG = 4, ISOLATE_NO_IPC = 7 };

/* The other half of enter(), for the main of pot-keeper: argv as enter() made it. */
#define ISOLATE_ENTER_ARG "--enter"
int isolate_enter_main(int argc, char **argv);

/* What a command may do: bits 1 << CAP_…; ISOLATE_CAPS_DEFAULT is the set usual for containers,
 * without CAP_MKNOD: a device that a pot makes would be the machine's. */
#define ISOLATE_CAPS_DEFAULT 0x00000000a00425fbULL
#define ISOLATE_CAP_NET_RAW  (1ULL << 13) /* raw sockets; of the default set */
#define ISOLATE_CAP_IPC_LOCK (1ULL << 14) /* locked memory */
#define ISOLATE_CAPS_KEEP    UINT64_MAX	  /* leave all as they are (ISOLATE_NONE as root) */

enum { ISOLATE_NO_IPV4 = 1, ISOLATE_NO_IPV6 = 2 };

struct isolate_process {
	const char *const *argv; /* without '/' in the first: searched in the PATH of env. A file
				  * without "#!" runs by the pot's /bin/sh */
	const char *const *env; /* "NAME=value"; PATH, HOME, USER are added when they are missing */
	const char *cwd;	/* NULL: "/" (login: the user's home) */
	const char *user;	/* NULL: root. Name, uid, or either with ":group"; names are looked
				 * up in the pot's own /etc/passwd and /etc/group */
	bool login;		/* the user's home and shell; argv NULL: the login shell itself */
	uint64_t caps;		/* bounding set; held by a command that runs as root */
	bool new_privileges; /* true: set-user-id programs keep their meaning; in a jail always */
	bool no_filter;	     /* true: without the default system call filter */
	unsigned no_family;  /* ISOLATE_NO_IPV4 | ISOLATE_NO_IPV6: as on a machine without it */
	uint64_t max_files;  /* RLIMIT_NOFILE; 0: as inherited */
};

/* A file written beneath the pot's root before its command starts. */
struct isolate_file {
	const char *path;
	unsigned mode;
	const char *content;
	size_t len;
	bool for_this_run;   /* removed again when the pot ends by itself or is stopped, if it is
				still a plain file */
	bool only_if_parent; /* the directory it lies in is not made; without it the file is left
				out */
};

struct isolate_spec {
	unsigned what;	  /* ISOLATE_… */
	const char *name; /* of the pot; its jail's, where there are jails */
	const char *hostname;
	const char *network; /* a network to join, without ISOLATE_NET; NULL: none */
	const char *release; /* of the system in it, when its files do not tell; NULL: unknown */
	const char *const *attributes; /* "name=value", of those that the ops list */
	const char *const *addresses;  /* "interface|address" of the machine, and no others: where
					* aliases_are_shared, in place of ISOLATE_NET */
	struct mount_root root;
	const struct mount_item *mounts; /* in order, after /proc, /dev, /sys */
	size_t n_mounts;
	const struct isolate_file *files; /* after the mounts */
	size_t n_files;
	const char *const *cgroups; /* directories to join, v1 or v2, as the limits made them */
	unsigned no_ipc; /* ISOLATE_NO_…: System V IPC that it may not use; with ISOLATE_IPC */
	struct isolate_process process;
	bool persist; /* init stays when the command has ended; without argv it stays with no
			 command */
};

/* The files of the spec, beneath a descriptor of the root. For implementations. */
int isolate_write_files(const struct isolate_spec *spec, int root, struct err *e);

/* The keeper's side of a running isolate. */
struct isolate {
	pid_t pid;   /* of init, as the host sees it */
	int handle;  /* readable when init ends */
	int channel; /* readable when event() has something */
	void *own;   /* the system's; released by close() */
};

enum isolate_event_kind {
	ISOLATE_STARTED, /* the command runs; go() may have come before the root stood */
	ISOLATE_FAILED,	 /* failure says why; init ends */
	ISOLATE_ENDED	 /* the command ended: code, signal */
};
struct isolate_event {
	enum isolate_event_kind kind;
	int code;   /* exit code; 128 + signal when a signal ended it */
	int signal; /* 0: none */
	struct err failure;
};

struct isolate_enter {
	pid_t pid;		  /* init of the pot; 0: it has none of ours (stray) … */
	uint64_t start;		  /* … and when it started (proc.h) */
	const char *name, *place; /* what a stray is found by; else unused */
	const char *const *cgroups;
	struct isolate_process process;
	int stdio[3]; /* -1: /dev/null; ignored with tty */
	bool tty;     /* a pseudo terminal of the pot: *pty is its master */
	unsigned short rows, cols;
	const char *program; /* path of pot-keeper, which does it: nothing of the caller gets in */
};

struct isolate_ops {
	const char *name;    /* "namespaces" */
	bool joins_networks; /* knows isolate_spec.network */
	int (*probe)(struct err *);
	/* stdio: the command's, borrowed. Returns as soon as init's pid is known. */
	int (*create)(
	    const struct isolate_spec *, const int stdio[3], struct isolate *, struct err *);
	int (*go)(struct isolate *, struct err *);
	int (*event)(
	    struct isolate *, struct isolate_event *, struct err *); /* 1; 0: init closed */
	/* To the command. stop: the pot is to end: a persistent pot's other processes get it as
	 * well, and init ends with the last of them. */
	int (*signal)(struct isolate *, int sig, bool stop, struct err *);
	int (*kill)(
	    struct isolate *, const char *const *cgroups, struct err *); /* everything, at once */
	/* Where something is left of it when init has ended, this ends it. */
	void (*close)(struct isolate *);
	/* How often the kernel killed for want of memory, here or in these cgroups, before close();
	 * -1: cannot tell. */
	int64_t (*oom_kills)(const struct isolate *, const char *const *cgroups);
	/* Starts a command inside; *child is a child of the caller. *pty is -1 without tty. */
	int (*enter)(const struct isolate_enter *, pid_t *child, int *pty, struct err *);
	/* Sends a signal to the command of a running pot, by way of its init. */
	int (*forward)(pid_t init, uint64_t start, int sig, struct err *);
	/* What is left of a pot whose keeper and init were killed both: processes, mounts beneath
	 * `place` (mount_root.at). Nothing is fine. Without wait what takes the kernel time may
	 * still go on. NULL: the system leaves nothing. */
	int (*clear)(const char *name, const char *place, bool wait, struct err *);
	/* The number that the system's own tools know a running pot by (jls, jexec); NULL: that of
	 * its init. */
	int (*number)(pid_t init);
	/* Its number (as above): a pot of that name runs that no keeper has (pot 0.16 starts a jail
	 * and goes); 0: none does. NULL: there can be none. */
	int (*stray)(const char *name, const char *place, struct err *);
	/* Tells all in it to end, and waits: 1 nobody is left, 0 the time is over. clear() is for
	 * the rest. */
	int (*stray_stop)(
	    const char *name, const char *place, int sig, int64_t grace_ms, struct err *);
	/* Ends what is still ending because somebody killed who did that; how many. Without wait it
	 * has only begun with it. NULL: there can be none. */
	int (*sweep)(bool wait, struct err *);
	/* The attributes of a pot that mean something here, besides those of pot itself; ended by
	 * NULL. */
	const char *const *attributes;
	/* An alias pot has the machine's own network, with some of its addresses; else it has a
	 * network of its own that answers for them. */
	bool aliases_are_shared;
	/* System V memory, semaphores and messages are the machine's all three, or none of them;
	 * else each by its attribute. */
	bool ipc_is_one;
	/* The pot's own first process is counted with its others. */
	bool init_counts;
	/* pot 0.16 has made pots here, which have raw sockets whatever their configuration says. */
	bool shell_pots;
	/* Who has a network of its own has raw sockets in it, whatever the attribute says. */
	bool own_network_is_raw;
};
extern const struct isolate_ops isolate_native;

/* What is ending has this name and a number, to the system's own tools; so that none of a pot is
 * taken for one, no pot's begins like it. */
#define ISOLATE_ENDING "pot-ending-"

#endif
