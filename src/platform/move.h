/*
 * move.h: bytes from a pipe into a file.
 */
#ifndef PLATFORM_MOVE_H
#define PLATFORM_MOVE_H

#include <stddef.h>
#include <sys/types.h>

/* Moves up to len bytes to the file's current position without passing through this process. As
 * read(2): 0 at the end, -1 with errno (EAGAIN: nothing now; EINVAL: cannot be done here). */
ssize_t move_bytes(int pipe, int file, size_t len);

#endif
