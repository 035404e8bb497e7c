/*
 * xattr.h: what files carry beside mode and owner.
 */
#ifndef PLATFORM_XATTR_H
#define PLATFORM_XATTR_H

#include "base/err.h"

/* The user's extended attributes, access control lists and file capabilities of one open file or
 * directory onto another. What belongs to the host alone (labels, layers' marks) stays behind, and
 * what the target's file system cannot hold is left out, as cp -a does. Setting the owner takes
 * capabilities away: call this after it. */
int xattrs_copy(int from, int to, struct err *e);

#endif
