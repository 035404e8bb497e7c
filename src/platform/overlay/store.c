#include "platform/overlay/store.h"

#include "base/str.h"
#include "platform/overlay/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_TEXT = 1200, RENAME_MAX = 4096 };

/* ---- opening ---- */

static int
make_dir(int at, const char *path, mode_t mode, struct err *e)
{
	if (mkdirat(at, path, mode) < 0 && errno != EEXIST)
		return err_sys(e, "make directory %s", path);
	return 0;
}

int
mkdir_parents(int dir_fd, const char *path, struct err *e)
{
	autofree char *copy = xstrdup(path);

	for (char *slash = strchr(copy, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (*copy != '\0' && make_dir(dir_fd, copy, 0755, e) < 0)
			return -1;
		*slash = '/';
	}
	return 0;
}

static int
replace_file(int at, const char *path, const void *data, size_t len, bool durable, struct err *e)
{
	char temporary[PATH_TEXT];
	autofd int fd = -1;

	snprintf(temporary, sizeof(temporary), "%s.new", path);
	fd = openat(at, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (fd < 0)
		return err_sys(e, "make %s", temporary);
	if (fd_write_all(fd, data, len, e) < 0)
		return err_ctx(e, "write %s", temporary);
	/* without this a power cut may leave the new name on an empty file */
	if (fdatasync(fd) < 0)
		return err_sys(e, "sync %s", temporary);
	if (renameat(at, temporary, at, path) < 0)
		return err_sys(e, "rename %s", temporary);
	if (durable && fsync(fd) < 0)
		return err_sys(e, "sync %s", path);
	return 0;
}

int
store_create(const char *fs_root, const struct store_kind *kind, struct err *e)
{
	static const char *const dirs[] = { "", "/sets", "/data", "/l", "/trash" };
	autofd int fs = -1;
	char path[32];

	if (mkdir_parents(AT_FDCWD, fs_root, e) < 0)
		return -1;
	if (mkdir(fs_root, 0750) < 0 && errno != EEXIST)
		return err_sys(e, "make directory %s", fs_root);
	fs = open(fs_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fs < 0)
		return err_sys(e, "open %s", fs_root);
	for (size_t i = 0; i < NELEM(dirs); i++) {
		snprintf(path, sizeof(path), "%s%s", kind->top, dirs[i]);
		if (make_dir(fs, path, 0700, e) < 0)
			return -1;
	}
	snprintf(path, sizeof(path), "%s/format", kind->top);
	if (faccessat(fs, path, F_OK, 0) == 0)
		return 0;
	return replace_file(fs, path, kind->format, strlen(kind->format), true, e);
}

int
store_share(const char *fs_root, const struct store_kind *kind, unsigned gid, struct err *e)
{
	static const char *const dirs[] = { "", "/sets", "/data" };

	for (size_t i = 0; i < NELEM(dirs); i++) {
		autofree char *path = xasprintf("%s/%s%s", fs_root, kind->top, dirs[i]);

		/* what is made in it later gets the group as well */
		if (chown(path, 0, gid) < 0 || chmod(path, 02750) < 0)
			return err_sys(e, "set owner and mode of %s", path);
	}
	return 0;
}

int
store_destroy(struct store *s, struct err *e)
{
	autonames struct names left = NAMES_INIT;
	autofd int top = -1;

	if (sets_list(s, "", &left, e) < 0)
		return -1;
	if (left.n > 0)
		return err_new(e, ERR_BUSY, "%s still holds %zu datasets (%s)", s->fs_root, left.n,
		    left.at[0]);
	top = openat(s->fs, s->kind->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top < 0 || tree_empty(top, e) < 0 || unlinkat(s->fs, s->kind->top, AT_REMOVEDIR) < 0)
		return err_sys(e, "remove %s/%s", s->fs_root, s->kind->top);
	if (rmdir(s->fs_root) < 0 && errno != ENOTEMPTY && errno != EEXIST && errno != EBUSY)
		return err_sys(e, "remove %s", s->fs_root);
	return 0;
}

static int finish_rename(struct store *s, struct err *e);

static int
take_lock(struct store *s, int how, struct err *e)
{
	int got;

	if (s->lock < 0)
		s->lock = openat(s->top, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock < 0)
		return err_sys(e, "open %s/%s/lock", s->fs_root, s->kind->top);
	do
		got = flock(s->lock, how);
	while (got < 0 && errno == EINTR);
	return got < 0 ? err_sys(e, "lock %s/%s", s->fs_root, s->kind->top) : 0;
}

int
store_open(struct store *s, const char *fs_root, enum store_lock how, struct err *e)
{
	s->fs_root = fs_root;
	s->fs = open(fs_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->fs >= 0)
		s->top = openat(s->fs, s->kind->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->top < 0 && errno == ENOENT)
		return err_new(
		    e, ERR_ABSENT, "there is no dataset root at %s: run pot init", fs_root);
	if (s->top < 0)
		return err_sys(e, "open %s/%s", fs_root, s->kind->top);
	if (faccessat(s->top, "rename", F_OK, 0) == 0 &&
	    (take_lock(s, LOCK_EX, e) < 0 || finish_rename(s, e) < 0))
		return -1;
	if (how == STORE_READ) {
		own_close(&s->lock);
		s->lock = -1;
		return 0;
	}
	return take_lock(s, how == STORE_ALONE ? LOCK_EX : LOCK_SH, e);
}

int
store_try_alone(struct store *s, struct err *e)
{
	if (take_lock(s, LOCK_EX | LOCK_NB, e) == 0)
		return 1;
	return e->kind == ERR_BUSY ? 0 : -1;
}

void
store_close(struct store *s)
{
	own_close(&s->lock);
	own_close(&s->top);
	own_close(&s->fs);
	*s = (struct store){ .kind = s->kind, .fs = -1, .top = -1, .lock = -1, .bin = "" };
}

static void
close_dir(DIR **d)
{
	if (*d != NULL)
		closedir(*d);
}

int
dir_names(int dir_fd, const char *path, struct names *out, struct err *e)
{
	int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(close_dir) DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (d == NULL)
		return err_sys(e, "open directory %s", path);
	while ((entry = readdir(d)) != NULL)
		if (!str_eq(entry->d_name, ".") && !str_eq(entry->d_name, ".."))
			names_add(out, entry->d_name);
	return 0;
}

/* ---- names ---- */

static void
set_path(const char *name, char out[PATH_TEXT])
{
	snprintf(out, PATH_TEXT, "sets/%s", name);
	for (char *p = out + 5; *p != '\0'; p++)
		if (*p == '/')
			*p = '%';
}

int
set_find(const struct store *s, const char *name, char id[RUN_ID_TEXT], struct err *e)
{
	char path[PATH_TEXT], target[RUN_ID_TEXT + 1];
	ssize_t n;

	if (dataset_check_name(name, e) < 0)
		return -1;
	if (strlen(name) > 255)
		return err_new(
		    e, ERR_INPUT, "dataset name '%.40s…' is longer than 255 characters", name);
	set_path(name, path);
	n = readlinkat(s->top, path, target, sizeof(target));
	if (n < 0)
		return errno == ENOENT ? 0 : err_sys(e, "read %s", path);
	if (n != RUN_ID_TEXT - 1)
		return err_new(e, ERR_CORRUPT, "%s/%s/%s does not lead to an id", s->fs_root,
		    s->kind->top, path);
	memcpy(id, target, RUN_ID_TEXT - 1);
	id[RUN_ID_TEXT - 1] = '\0';
	return 1;
}

int
set_link(const struct store *s, const char *name, const char *id, struct err *e)
{
	char path[PATH_TEXT];

	set_path(name, path);
	if (symlinkat(id, s->top, path) == 0)
		return 0;
	if (errno == EEXIST)
		return err_new(e, ERR_EXISTS, "dataset %s exists already", name);
	return err_sys(e, "make %s", path);
}

int
set_unlink(const struct store *s, const char *name, struct err *e)
{
	char path[PATH_TEXT];

	set_path(name, path);
	if (unlinkat(s->top, path, 0) < 0 && errno != ENOENT)
		return err_sys(e, "remove %s", path);
	return 0;
}

int
sets_list(const struct store *s, const char *prefix, struct names *out, struct err *e)
{
	autonames struct names all = NAMES_INIT;

	if (dir_names(s->top, "sets", &all, e) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		for (char *p = all.at[i]; *p != '\0'; p++)
			if (*p == '%')
				*p = '/';
		if (str_starts(all.at[i], prefix))
			names_add(out, all.at[i]);
	}
	names_sort(out);
	return 0;
}

int
sets_below(const struct store *s, const char *name, struct names *relative, struct err *e)
{
	autofree char *prefix = xasprintf("%s/", name);
	autonames struct names all = NAMES_INIT;

	if (sets_list(s, prefix, &all, e) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++)
		names_add(relative, all.at[i] + strlen(prefix));
	return 0;
}

int
set_named(const struct store *s, const char *id, char **name, struct err *e)
{
	autonames struct names all = NAMES_INIT;
	char found[RUN_ID_TEXT];

	*name = NULL;
	if (sets_list(s, "", &all, e) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++)
		if (set_find(s, all.at[i], found, e) == 1 && str_eq(found, id)) {
			*name = xstrdup(all.at[i]);
			return 0;
		}
	return 0;
}

/* ---- renaming ---- */

/* Does what the file "rename" says, from wherever it was interrupted. The caller is alone. */
static int
finish_rename(struct store *s, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	autonames struct names below = NAMES_INIT;
	autofd int fd = openat(s->top, "rename", O_RDONLY | O_CLOEXEC);
	char *from, *to, *end, a[PATH_TEXT], b[PATH_TEXT];

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "open the file of an interrupted rename");
	if (buf_read_fd(&text, fd, RENAME_MAX, e) < 0)
		return -1;
	from = text.data;
	to = from != NULL ? strchr(from, '\n') : NULL;
	end = to != NULL ? strchr(to + 1, '\n') : NULL;
	if (end == NULL)
		return err_new(
		    e, ERR_CORRUPT, "%s/%s/rename is not understood", s->fs_root, s->kind->top);
	*to++ = *end = '\0';
	if (dataset_check_name(from, e) < 0 || dataset_check_name(to, e) < 0 ||
	    mkdir_parents(s->fs, to, e) < 0)
		return -1;
	if (renameat(s->fs, from, s->fs, to) < 0 && errno != ENOENT)
		return err_sys(e, "rename %s to %s", from, to);
	if (sets_below(s, from, &below, e) < 0)
		return -1;
	names_add(&below, ""); /* itself last: until then the old name is the one that exists */
	for (size_t i = 0; i < below.n; i++) {
		const char *sub = below.at[i];
		autofree char *old = xasprintf("%s%s%s", from, *sub ? "/" : "", sub);
		autofree char *new = xasprintf("%s%s%s", to, *sub ? "/" : "", sub);

		set_path(old, a);
		set_path(new, b);
		if (renameat(s->top, a, s->top, b) < 0 && errno != ENOENT)
			return err_sys(e, "rename %s to %s", old, new);
	}
	if (unlinkat(s->top, "rename", 0) < 0)
		return err_sys(e, "remove the file of a rename");
	return 0;
}

int
set_rename(const struct store *s, const char *from, const char *to, struct err *e)
{
	autofree char *text = xasprintf("%s\n%s\n", from, to);
	struct store copy = *s;

	if (replace_file(s->top, "rename", text, strlen(text), false, e) < 0)
		return -1;
	return finish_rename(&copy, e);
}

/* ---- descriptions ---- */

int
data_lock(const struct store *s, const char *id, struct err *e)
{
	char path[64];
	autofd int fd = -1;
	int got;

	snprintf(path, sizeof(path), "data/%s", id);
	fd = openat(s->top, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "open %s/%s/%s", s->fs_root, s->kind->top, path);
	do
		got = flock(fd, LOCK_EX);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_sys(e, "lock %s/%s/%s", s->fs_root, s->kind->top, path);
	return take_fd(&fd);
}

int
data_create(const struct store *s, char id[RUN_ID_TEXT], struct err *e)
{
	char path[64];

	snprintf(path, sizeof(path), "data/%s", ids_run(id));
	if (mkdirat(s->top, path, 0750) < 0)
		return err_sys(e, "make %s/%s/%s", s->fs_root, s->kind->top, path);
	return 0;
}

/* ---- layers ---- */

int
layer_ref(const struct store *s, const char *layer, const char *dataset, struct err *e)
{
	char path[96];
	autofd int fd = -1;

	snprintf(path, sizeof(path), "l/%s/refs/%s", layer, dataset);
	fd = openat(s->top, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 && errno == ENOENT)
		return err_new(e, ERR_BUSY, "layer %s is just being removed", layer);
	if (fd < 0)
		return err_sys(e, "make %s/%s/%s", s->fs_root, s->kind->top, path);
	return 0;
}

int
layer_create(const struct store *s, const char *dataset, char id[RUN_ID_TEXT], struct err *e)
{
	static const struct {
		const char *sub;
		mode_t mode;
	} dirs[] = { { "", 0700 }, { "/refs", 0700 }, { "/work", 0700 }, { "/fs", 0755 } };
	char path[64];

	ids_run(id);
	for (size_t i = 0; i < NELEM(dirs); i++) {
		snprintf(path, sizeof(path), "l/%s%s", id, dirs[i].sub);
		if (mkdirat(s->top, path, dirs[i].mode) < 0)
			return err_sys(e, "make %s/%s/%s", s->fs_root, s->kind->top, path);
	}
	/* the mask of the caller must not close a pot's root to its users */
	if (fchmodat(s->top, path, 0755, 0) < 0)
		return err_sys(e, "set the mode of %s/%s/%s", s->fs_root, s->kind->top, path);
	return layer_ref(s, id, dataset, e);
}

int
layer_open(const struct store *s, const char *layer, struct err *e)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "l/%s/fs", layer);
	fd = openat(s->top, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, "open %s/%s/%s", s->fs_root, s->kind->top, path) : fd;
}

int
layer_unref(struct store *s, const char *layer, const char *dataset, struct err *e)
{
	char path[96];

	snprintf(path, sizeof(path), "l/%s/refs/%s", layer, dataset);
	if (unlinkat(s->top, path, 0) < 0 && errno != ENOENT)
		return err_sys(e, "remove %s/%s/%s", s->fs_root, s->kind->top, path);
	snprintf(path, sizeof(path), "l/%s/refs", layer);
	/* Whoever removes the directory has shown that nobody refers to the layer, and nobody can
	 * from now on. */
	if (unlinkat(s->top, path, AT_REMOVEDIR) < 0) {
		if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOENT)
			return 0;
		return err_sys(e, "remove %s/%s/%s", s->fs_root, s->kind->top, path);
	}
	snprintf(path, sizeof(path), "l/%s", layer);
	return trash_move(s, s->top, path, e);
}

int
layer_refs(const struct store *s, const char *layer, struct names *datasets, struct err *e)
{
	char path[64];

	snprintf(path, sizeof(path), "l/%s/refs", layer);
	if (dir_names(s->top, path, datasets, e) < 0 && e->kind != ERR_ABSENT)
		return -1;
	return 0;
}

int
layer_touched(const struct store *s, const char *layer, struct err *e)
{
	char path[64];

	snprintf(path, sizeof(path), "l/%s/open", layer);
	autofd int fd = openat(s->top, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	return fd < 0 ? err_sys(e, "make %s/%s/%s", s->fs_root, s->kind->top, path) : 0;
}

char *
layer_path(const struct store *s, const char *layer, const char *sub)
{
	return xasprintf("%s/%s/l/%s/%s", s->fs_root, s->kind->top, layer, sub);
}

/* ---- trash ---- */

int
trash_move(struct store *s, int dir_fd, const char *path, struct err *e)
{
	char to[64], id[RUN_ID_TEXT];

	if (s->bin[0] == '\0') {
		snprintf(to, sizeof(to), "trash/%s", ids_run(id));
		if (mkdirat(s->top, to, 0700) < 0)
			return err_sys(e, "make %s/%s/%s", s->fs_root, s->kind->top, to);
		memcpy(s->bin, id, sizeof(id));
	}
	snprintf(to, sizeof(to), "trash/%s/%s", s->bin, ids_run(id));
	if (renameat(dir_fd, path, s->top, to) < 0 && errno != ENOENT)
		return err_sys(e, "move %s to %s/%s/trash", path, s->fs_root, s->kind->top);
	return 0;
}

int
trash_empty(struct store *s, bool all, struct err *e)
{
	char path[64];
	autofd int fd = -1;

	if (!all && s->bin[0] == '\0')
		return 0;
	snprintf(path, sizeof(path), "trash/%s", all ? "." : s->bin);
	fd = openat(s->top, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT
			   ? 0
			   : err_sys(e, "open %s/%s/%s", s->fs_root, s->kind->top, path);
	if (tree_empty(fd, e) < 0)
		return err_ctx(e, "empty %s/%s/%s", s->fs_root, s->kind->top, path);
	if (!all && unlinkat(s->top, path, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(e, "remove %s/%s/%s", s->fs_root, s->kind->top, path);
	s->bin[0] = '\0';
	return 0;
}
