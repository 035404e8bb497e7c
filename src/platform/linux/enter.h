/*
 * enter.h: a command inside a pot that runs already.
 */
#ifndef PLATFORM_LINUX_ENTER_H
#define PLATFORM_LINUX_ENTER_H

#include "platform/isolate.h"

int enter_command(const struct isolate_enter *how, pid_t *child, int *pty, struct err *e);

#endif
