/*
 * world.h: the machine that fault/pot.c breaks: a fake host, keepers that are played, and every
 * write to disk counted like a call. One at a time; what it consists of is global.
 */
#ifndef TESTS_FAULT_WORLD_H
#define TESTS_FAULT_WORLD_H

#include "base/own.h"
#include "platform/fake/fake.h"
#include "pot/priv.h"

extern struct fake_host *fake; /* NULL: nothing counts */
extern struct host host;
extern struct pot_env *env;
extern struct arena conf_mem;
extern struct err e; /* of the call made last */
extern char dir[64]; /* all of it lies here */

NORETURN void die(const char *what);
#define MUST(call)                                                                                 \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			die(#call);                                                                \
	} while (0)

/* Once, before the first world: keepers outlive the processes that end here. -1: no memory. */
int world_begin(void);
/* A base "b", and a pot "src" of it with a snapshot, a command and ports. */
void world_new(void);
void world_free(void);

int make_base(const char *name);
int make_pot(const char *name);
int start(const char *name, bool detach);
void first_keeper_ends(void);
/* From now on each command is over before its starter lets go of the keeper. */
void commands_end_at_once(void);
/* A starter has heard from a keeper that its command ended. */
bool end_was_told(void);
/* A keeper whose starter went away before "go" gives up. */
void keepers_notice(void);

#endif
