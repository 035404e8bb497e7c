/*
 * mount.h: what a pot's file tree is put together from, and safe ways to touch it.
 *
 * On Linux a running pot's mounts exist in its own mount namespace only (isolate.h makes them
 * there), so nothing of a dead pot stays on the host. FreeBSD has one table of mounts: whatever is
 * mounted beneath the directory of a pot that does not run is of a dead one, and goes when the pot
 * is next touched (isolate_ops.clear). A stopped pot's tree is put together for the length of one
 * call by with_root().
 *
 * Paths inside a pot belong to whoever is root there: they are only ever resolved beneath a
 * descriptor of its root directory, by the beneath_*() functions, where symbolic links and ".."
 * cannot leave (openat2 RESOLVE_IN_ROOT on Linux, O_RESOLVE_BENEATH on FreeBSD).
 */
#ifndef PLATFORM_MOUNT_H
#define PLATFORM_MOUNT_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A root: one directory, or layers. All strings are borrowed, absolute paths on the host. */
struct mount_root {
	const char *at;		  /* an empty directory of the pot's own, where a system without
				   * mount namespaces puts it together; the same as plain, or
				   * NULL: the directory itself */
	const char *plain;	  /* a directory as it is, or NULL … */
	const char *const *lower; /* … layers below, the top one first, ended by NULL … */
	const char *upper, *work; /* … and where changes go; both NULL: read-only */
	bool read_only;
	bool no_links; /* layers: refuse a symbolic link anywhere on the way to the lowest one */
};

/* MOUNT_TREE: a tree that is put together like a root; read-only when its root says so. */
enum mount_kind { MOUNT_BIND, MOUNT_TMPFS, MOUNT_TREE, MOUNT_KINDS };
enum {
	MOUNT_RO = 1,
	MOUNT_NOSUID = 2,
	MOUNT_NODEV = 4,
	MOUNT_NOEXEC = 8,
	MOUNT_RECURSIVE = 16, /* bind: with what is mounted below */
	MOUNT_MAY_LACK = 32,  /* bind: a source that does not exist is left out; tmpfs: a target
			       * that does not, in a root that cannot be changed */
	MOUNT_NO_LINKS = 64,  /* bind: refuse a symbolic link anywhere on the way to the source */
	MOUNT_FLAGS = 127
};
struct mount_item {
	enum mount_kind kind;
	const char *source; /* bind: file or directory on the host */
	const char
	    *target; /* in the pot; made when missing (directory or empty file as the source is) */
	unsigned flags;
	uint64_t size_bytes;	/* tmpfs: 0 = the kernel's own bound */
	unsigned mode;		/* tmpfs: of its root; 0 = 01777 */
	struct mount_root tree; /* MOUNT_TREE: in place of source */
};

/* Runs in a child process with a mount namespace of its own; root_fd is the pot's root with
 * everything mounted. What it returns (0 or -1 with *e) is handed to the caller of with_root(). */
typedef int mount_fn(int root_fd, void *ctx, struct err *e);

struct mount_ops {
	const char *name;
	int (*probe)(struct err *);
	/* The tree of a pot that does not run, for the length of one call; changes stay. The child
	 * shares no memory with the caller: results go through files or a pipe in ctx. */
	int (*with_root)(const struct mount_root *, const struct mount_item *items, size_t n_items,
	    mount_fn *fn, void *ctx, struct err *);
	/* Runs fn inside the mounts of a pot that runs; pid is its init (isolate.h). */
	int (*with_running)(pid_t pid, uint64_t start, mount_fn *fn, void *ctx, struct err *);
	/* Mounts into, and takes out of, a pot that runs; MOUNT_TREE is refused. */
	int (*add)(pid_t pid, uint64_t start, const struct mount_item *, struct err *);
	int (*remove)(pid_t pid, uint64_t start, const char *target, struct err *);
	/* What a root must have that cannot be changed: the directories that something is mounted
	 * at when a pot runs; ended by NULL. */
	const char *const *places;
};
extern const struct mount_ops mount_native;

/* ---- beneath a root: path is taken as seen from inside, with or without a leading '/' ---- */
/* A descriptor (close-on-exec), or -1. flags as open(2). */
int beneath_open(int root_fd, const char *path, int flags, mode_t mode, struct err *e);
/* The directory and all above it, as far as missing; returns an O_PATH descriptor of it. */
int beneath_mkdirs(int root_fd, const char *path, mode_t mode, struct err *e);
/* Writes a whole file with the mode: a link or special file in its place is removed first. */
int beneath_write(
    int root_fd, const char *path, mode_t mode, const void *data, size_t len, struct err *e);
/* 1: is there (link not followed); 0: is not; -1: cannot tell. */
int beneath_exists(int root_fd, const char *path, struct err *e);
/* Holds fast what the path (relative to root_fd) means now: nothing on the way may be a link, and
 * none may lead out. An O_PATH descriptor; path_of_fd() names it for others. */
int beneath_pin(int root_fd, const char *path, struct err *e);
/* A path by which other processes reach what the descriptor of this one stands for, while it is
 * open; "" when there is none. Where a system knows only names (FreeBSD) it is the name of this
 * moment: who uses it looks whether it still leads there. */
enum { PATH_OF_FD = 1024 };
void path_of_fd(int fd, char out[PATH_OF_FD]);
/* Removes a file, or an empty directory; ERR_ABSENT when it is not there. */
int beneath_remove(int root_fd, const char *path, struct err *e);

#endif
