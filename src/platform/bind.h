/*
 * bind.h: listening on an address before it is there.
 */
#ifndef PLATFORM_BIND_H
#define PLATFORM_BIND_H

#include "base/err.h"

/* The socket (family AF_INET or AF_INET6) may be bound to an address that no interface has yet:
 * that of a bridge that comes up later. Needs root on some systems. */
int bind_ahead(int fd, int family, struct err *e);

#endif
