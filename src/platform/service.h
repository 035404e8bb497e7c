/*
 * service.h: how does this machine run programs that go on by themselves? Its service manager, its
 * users, and where such programs keep things. For minipot, which sets a machine up.
 */
#ifndef PLATFORM_SERVICE_H
#define PLATFORM_SERVICE_H

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>

/* Directories by the system's own custom (hier(7)); absolute. */
struct service_places {
	const char *data, *run, *logs;
};
extern const struct service_places service_places;

/* A value that the machine's configuration must hold: see settings.h. */
struct service_setting {
	const char *file, *name, *value;
	const char *defaults; /* the file with the system's own value; NULL: there is none */
	const char *note;     /* what is to be said when it was changed; NULL: nothing */
};

/* What the agent needs on this machine to be a service. Strings live in the arena or longer. */
struct service_plan {
	bool managed;		 /* a service manager runs: it starts and stops the agent */
	bool stops_running_only; /* it says that it failed to stop what does not run */
	const char *name;	 /* what the manager calls it */
	const char *path, *text; /* a file for the manager; NULL: one came with the programs */
	struct service_setting set[8];
	size_t n_set;
	const char *keep[4]; /* files that `pot init` changes: a copy is kept before */
	size_t n_keep;
};
/* The agent below `prefix` with the configuration file `config` and that pid file. */
void service_plan(const char *prefix, const char *config, const char *pid_file,
    struct service_plan *out, struct arena *a);

/* What lets this machine's log take lines from pots, which send them to their gateway: a value of
 * its configuration, and directories for rules and files of their own (NULL at the end). */
struct service_log {
	struct service_setting set; /* name NULL: nothing is needed */
	const char *dirs[4];
};
/* flags: what syslogd is to be told; borrowed. */
void service_log(const char *flags, struct service_log *out);

enum service_act {
	SERVICE_RELOAD, /* the manager shall read its files again */
	SERVICE_ENABLE, /* with the machine, from the next boot on */
	SERVICE_DISABLE,
	SERVICE_START,	  /* returns when the agent is ready */
	SERVICE_END_JOBS, /* the pots of the jobs shall stop with it */
	SERVICE_STOP,
	SERVICE_ADD_GROUP,
	SERVICE_ADD_USER, /* of the system, with a group of that name; its home is places.data */
	SERVICE_REMOVE_GROUP,
	SERVICE_REMOVE_USER,
};
/* The program to run for it and its arguments, NULL at the end; `name` is the service's, the user's
 * or the group's. NULL: nothing is to be done here. Arena memory. */
const char *const *service_command(enum service_act act, const char *name, struct arena *a);

#endif
