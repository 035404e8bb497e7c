/*
 * filewatch.h: tells that a file grew or that a directory has other entries, without asking again
 * and again.
 */
#ifndef PLATFORM_FILEWATCH_H
#define PLATFORM_FILEWATCH_H

#include "base/err.h"

/* A descriptor that becomes readable when entries of the directory come or go, or when the file
 * (file_fd, an entry of that directory; -1: none yet) changes. Both stay the caller's. -1: *e. */
int filewatch_open(int dir_fd, int file_fd, struct err *e);
/* Another file of the same directory is of interest now. */
int filewatch_file(int watch_fd, int file_fd, struct err *e);
/* Takes what is there, so that the descriptor is quiet until the next change. */
void filewatch_drain(int watch_fd);

#endif
