/*
 * subvolume.h: btrfs subvolumes by ioctl: made, snapshotted, removed, measured. No external
 * program.
 *
 * Names are single components below dir_fd. The protocol is that of <linux/btrfs.h>.
 */
#ifndef PLATFORM_BTRFS_SUBVOLUME_H
#define PLATFORM_BTRFS_SUBVOLUME_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct subvolume {
	uint64_t id;
	uint64_t generation; /* of its last change */
	uint64_t born;	     /* the transaction that made it */
};

enum { SUBVOLUME_INODE = 256 }; /* of each subvolume's own directory */

#ifdef __linux__
/* Is that directory on btrfs? Is it a subvolume's own one? */
bool btrfs_is(int fd);
bool subvolume_is(int fd);

/* An empty one with mode 0755. Not on disk yet when it returns. */
int subvolume_create(int dir_fd, const char *name, struct err *e);
/* A subvolume with the content of another one. On disk when it returns, with everything that was
 * done on the file system before (but for the content of files that were not written out). */
int subvolume_snapshot(int from, int dir_fd, const char *name, bool read_only, struct err *e);
/* With all subvolumes in it. Absent is fine. Its blocks are freed later, by the kernel. */
int subvolume_remove(int dir_fd, const char *name, struct err *e);

/* The file's content belongs to the next transaction that goes to disk. */
int btrfs_give_out(int fd, struct err *e);
int subvolume_look(int fd, struct subvolume *out, struct err *e);
/* Bytes on disk of the file contents that were written after transaction `since`; 0: of all. */
int subvolume_bytes(int fd, uint64_t since, uint64_t *bytes, struct err *e);
#else
static inline bool
subvolume_is(int fd)
{
	(void)fd;
	return false;
}

static inline int
subvolume_remove(int dir_fd, const char *name, struct err *e)
{
	(void)dir_fd;
	return err_new(e, ERR_UNSUPPORTED, "%s: there is no btrfs on this system", name);
}
#endif

#endif
