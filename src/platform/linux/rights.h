/*
 * rights.h: what a process of a pot may do: capabilities and the filter for system calls.
 */
#ifndef PLATFORM_LINUX_RIGHTS_H
#define PLATFORM_LINUX_RIGHTS_H

#include "platform/process.h"

/* The default filter for system calls (seccomp.c). */
int seccomp_load(struct err *e);
/* Besides, sockets of these families (ISOLATE_NO_…) are unknown to the kernel. */
int seccomp_families(unsigned no_family, struct err *e);
/* For a process of ours inside a pot, between its start and its end: nothing but the right to
 * signal. */
int process_shed_rights(struct err *e);

#endif
