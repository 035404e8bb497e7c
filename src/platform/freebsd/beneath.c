/*
 * Paths of a pot, resolved as its own root would, never leaving it.
 *
 * O_RESOLVE_BENEATH refuses absolute links, which a pot may well have. So the way is gone here step
 * by step: each directory is opened by its name in the one before, links are read and followed by
 * hand, ".." goes back to the descriptor that was left. No step can lead out, whatever somebody
 * moves meanwhile.
 */
#include "platform/freebsd/mounts.h"

#include "base/own.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <unistd.h>

enum { DEPTH_MAX = 128, LINKS_MAX = 32 };

struct walk {
	int dirs[DEPTH_MAX]; /* from the root, which is the caller's, to where we are */
	size_t depth;	     /* how many of them are ours */
	unsigned links;
	char rest[2 * PATH_MAX];
};

static int
walk_at(const struct walk *w)
{
	return w->dirs[w->depth];
}

static void
walk_up(struct walk *w, size_t depth)
{
	while (w->depth > depth)
		close(w->dirs[w->depth--]);
}

static int
walk_begin(struct walk *w, int root_fd, const char *path)
{
	w->dirs[0] = root_fd;
	w->depth = 0;
	w->links = 0;
	if (!str_copy(w->rest, sizeof(w->rest), path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

/* Puts what a link says in front of what is left. */
static int
follow(struct walk *w, const char *link)
{
	char old[sizeof(w->rest)];

	if (++w->links > LINKS_MAX) {
		errno = ELOOP;
		return -1;
	}
	memcpy(old, w->rest, strlen(w->rest) + 1);
	if (link[0] == '/')
		walk_up(w, 0);
	if (snprintf(w->rest, sizeof(w->rest), "%s/%s", link, old) >= (int)sizeof(w->rest)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

/* Takes the next name off; false: there is none. Empty ones and "." are passed over. */
static bool
next_name(struct walk *w, char name[NAME_MAX + 1])
{
	for (;;) {
		char *p = w->rest;
		while (*p == '/')
			p++;
		size_t n = strcspn(p, "/");
		if (n == 0)
			return false;
		size_t kept = n < NAME_MAX ? n : NAME_MAX;
		memcpy(name, p, kept);
		name[kept] = '\0';
		memmove(w->rest, p + n, strlen(p + n) + 1);
		if (n <= NAME_MAX && strcmp(name, ".") != 0)
			return true;
		if (n > NAME_MAX)
			return true; /* too long for any file: the kernel will not find it */
	}
}

static bool
is_last(const struct walk *w)
{
	return w->rest[strspn(w->rest, "/")] == '\0';
}

/* 1: name is a link, whose text now leads on; 0: it is none. */
static int
maybe_link(struct walk *w, const char *name)
{
	char link[PATH_MAX];
	ssize_t n = readlinkat(walk_at(w), name, link, sizeof(link) - 1);

	if (n < 0)
		return errno == EINVAL || errno == ENOENT || errno == ENOTDIR ? 0 : -1;
	link[n] = '\0';
	return follow(w, link) < 0 ? -1 : 1;
}

static int
step_down(struct walk *w, const char *name)
{
	if (w->depth + 1 == DEPTH_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	int fd = openat(walk_at(w), name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	w->dirs[++w->depth] = fd;
	return 0;
}

/* Goes one name on: up, along a link, or down. */
static int
step(struct walk *w, const char *name)
{
	if (strcmp(name, "..") == 0) {
		if (w->depth > 0)
			walk_up(w, w->depth - 1);
		return 0;
	}
	int link = maybe_link(w, name);
	if (link != 0)
		return link < 0 ? -1 : 0;
	return step_down(w, name);
}

/* As openat(2), with root_fd as the root of all. */
static int
open_in_root(int root_fd, const char *path, int flags, mode_t mode)
{
	struct walk w;
	char name[NAME_MAX + 1];
	int fd = -1;

	if (walk_begin(&w, root_fd, path) < 0)
		return -1;
	for (;;) {
		if (!next_name(&w, name)) {
			fd = openat(walk_at(&w), ".", flags | O_CLOEXEC, mode);
			break;
		}
		if (!is_last(&w) || strcmp(name, "..") == 0) {
			if (step(&w, name) < 0)
				break;
			continue;
		}
		int link = flags & O_NOFOLLOW ? 0 : maybe_link(&w, name);
		if (link < 0)
			break;
		if (link > 0)
			continue;
		fd = openat(walk_at(&w), name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
		if (fd < 0 && (errno == EMLINK || errno == ELOOP) && !(flags & O_NOFOLLOW) &&
		    maybe_link(&w, name) > 0)
			continue; /* it became a link just now */
		break;
	}
	int sys = errno;
	walk_up(&w, 0);
	errno = sys;
	return fd;
}

int
beneath_open(int root_fd, const char *path, int flags, mode_t mode, struct err *e)
{
	int fd = open_in_root(root_fd, path, flags, mode);

	return fd < 0 ? err_sys(e, "open %s in the pot", path) : fd;
}

int
beneath_mkdirs(int root_fd, const char *path, mode_t mode, struct err *e)
{
	struct walk w;
	char name[NAME_MAX + 1];
	int result = 0;

	if (walk_begin(&w, root_fd, path) < 0)
		return err_sys(e, "make directory %s in the pot", path);
	while (result == 0 && next_name(&w, name)) {
		result = step(&w, name);
		if (result < 0 && errno == ENOENT) {
			result = mkdirat(walk_at(&w), name, mode);
			if (result == 0 || errno == EEXIST)
				result = step(&w, name);
		}
	}
	if (result < 0)
		err_sys(e, "make directory %s in the pot", path);
	int fd = result < 0 ? -1 : openat(walk_at(&w), ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (result == 0 && fd < 0)
		err_sys(e, "open directory %s in the pot", path);
	walk_up(&w, 0);
	return fd;
}

int
beneath_parent(int root_fd, const char *path, char name[NAME_MAX + 1], struct err *e)
{
	struct walk w;
	int fd = -1, moved = walk_begin(&w, root_fd, path);

	while (moved == 0) {
		if (!next_name(&w, name)) {
			errno = EISDIR; /* "/", or what a ".." led to */
			break;
		}
		bool last = is_last(&w) && strcmp(name, "..") != 0;
		int link = last ? maybe_link(&w, name) : 0;
		if (!last) {
			moved = step(&w, name);
		} else if (link <= 0) {
			fd = link < 0 ? -1
				      : openat(walk_at(&w), ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
			break;
		}
	}
	if (fd < 0)
		err_sys(e, "look for %s in the pot", path);
	walk_up(&w, 0);
	return fd;
}

int
beneath_pin(int root_fd, const char *path, struct err *e)
{
	struct walk w;
	char name[NAME_MAX + 1];
	int result = 0, fd = -1;

	if (walk_begin(&w, root_fd, path) < 0)
		return err_sys(e, "open %s", path);
	while (result == 0 && next_name(&w, name)) {
		if (strcmp(name, "..") == 0) {
			errno = EXDEV;
			result = -1;
		} else if (is_last(&w)) {
			fd = openat(walk_at(&w), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
			result = fd < 0 ? -1 : 1;
		} else {
			result = step_down(&w, name);
		}
	}
	if (result == 0)
		fd = openat(walk_at(&w), ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	if (fd >= 0 && (fstat(fd, &st) < 0 || S_ISLNK(st.st_mode))) {
		close(fd);
		fd = -1;
		errno = ELOOP;
	}
	if (fd < 0)
		err_sys(e, "open %s", path);
	walk_up(&w, 0);
	return fd;
}

void
path_of_fd(int fd, char out[PATH_OF_FD])
{
	struct kinfo_file *info = calloc(1, sizeof(*info));

	out[0] = '\0';
	if (info == NULL)
		return;
	info->kf_structsize = sizeof(*info);
	if (fcntl(fd, F_KINFO, info) == 0)
		(void)str_copy(out, PATH_OF_FD, info->kf_path);
	free(info);
}
