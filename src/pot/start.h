/*
 * start.h: what the phases of one start share. Internal to libpot.
 */
#ifndef POT_START_H
#define POT_START_H

#include "pot/priv.h"
#include "pot/run.h"
#include "pot/tree.h"
#include "supervise/launch.h"

enum { START_FILES = 4, START_DEPTH = 32 };

struct start {
	struct pot_env *env;
	struct arena *mem;
	const struct pot_start_options *o;
	struct pot_spec *spec;
	struct run run;
	struct keeper keeper;
	bool spawned;
	struct pot_tree tree;
	struct launch launch;
	struct isolate_file files[START_FILES];
	struct pot_strs environ;
};

struct limits;
struct limits_ops;
/* Takes what create() of the limits has refused as unsupported out of `want`; false: it stays, and
 * the pot does not start. A weight is a wish: a machine that cannot weigh serves everybody alike.
 * And where the kernel comes without limits, pots have always started without. (start.c) */
bool limits_leave_out(const struct limits_ops *, struct limits *want);
/* launch.c; needs run, spec, options */
int launch_fill(struct start *, struct err *e);
int64_t stop_timeout_of(const struct pot_spec *, const struct pot_start_options *);
/* "ip name" lines of all pots of the spec's bridge (list.c) */
int hosts_of_pots(
    struct pot_env *, const struct pot_spec *, struct arena *, struct pot_strs *out, struct err *e);
/* ports.c: chooses, notes and opens the ports of the spec */
int ports_up(struct start *, struct err *e);
/* What a run exports, at most two for each of its ports; how many. */
struct filter_port;
size_t ports_of_run(
    struct pot_env *, const struct pot_spec *, const struct run *, struct filter_port *out);
/* pfhook.c: rules from the administrator's program, if there is one and the filter knows them. */
int ports_rules(
    struct pot_env *, struct filter_port *ports, size_t n, struct arena *mem, struct err *e);
/* Opens the ports of all live runs again: somebody removed the table under them. */
int ports_restore(struct pot_env *, struct err *);
/* ready.c: waits as pot_start_options.ready_ms says. 1: the pot has ended meanwhile (x says how);
 * 2: its command has, the pot is up; 0: it is ready, or the time is over (told). */
int ready_wait(struct start *, struct keeper_exit *x, struct err *);
/* hooks.c: conf/<hook>.sh on the host, if it is there and may run. init: 0 while there is none. */
int hook_run(struct pot_env *, const struct pot_spec *, enum pot_hook, pid_t init, struct err *e);
/* The same; a failure is told and changes nothing. */
void hook_tell(struct pot_env *, const struct pot_spec *, enum pot_hook, pid_t init);
/* Of a pot by its name; nothing for one that cannot be read. */
void hook_tell_of(struct pot_env *, const char *name, enum pot_hook, pid_t init);
/* Its failure refuses the start, unless POT_HOOK_FAILURE says otherwise. */
int hook_prestart(struct pot_env *, const struct pot_spec *, pid_t init, struct err *e);

#endif
