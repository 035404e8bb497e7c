/*
 * enter.h: how a command gets into a pot that runs already: the words between the caller and
 * pot-keeper --enter. Internal to this folder.
 */
#ifndef PLATFORM_ENTER_H
#define PLATFORM_ENTER_H

#include "platform/isolate.h"

enum { ENTER_NO_COMMAND = 126 };

int enter_command(const struct isolate_enter *how, pid_t *child, int *pty, struct err *e);

/* Each system's own: goes in, says what became of it, runs the command. */
void enter_inside(const struct isolate_enter *how) NORETURN;
/* The same by a process that runs no other program before the command, where nothing in the pot can
 * look at it meanwhile: 1, and *pid is set; 0: the program has to do it. fds: what becomes the
 * descriptors 0 to 3 of pot-keeper. */
int enter_directly(const struct isolate_enter *how, const int fds[4], pid_t *pid, struct err *e);
/* To the caller: why there will be no command; or which child of its is the command, and where its
 * terminal is (-1: it has none). */
void enter_say_failure(const struct err *e) NORETURN;
int enter_say_pid(pid_t pid, int terminal);

#endif
