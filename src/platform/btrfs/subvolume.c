#include "platform/btrfs/subvolume.h"

#include "base/str.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { SEARCH_BYTES = 32 << 10, NESTED_DEPTH = 16 };

bool
btrfs_is(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == BTRFS_SUPER_MAGIC;
}

bool
subvolume_is(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_ino == SUBVOLUME_INODE && S_ISDIR(st.st_mode) &&
	       btrfs_is(fd);
}

static int
fill_args(struct btrfs_ioctl_vol_args_v2 *args, const char *name, struct err *e)
{
	memset(args, 0, sizeof(*args));
	if (!str_copy(args->name, sizeof(args->name), name))
		return err_new(e, ERR_INPUT, "subvolume name '%.40s…' is too long", name);
	return 0;
}

int
subvolume_create(int dir_fd, const char *name, struct err *e)
{
	struct btrfs_ioctl_vol_args_v2 args;

	if (fill_args(&args, name, e) < 0)
		return -1;
	if (ioctl(dir_fd, BTRFS_IOC_SUBVOL_CREATE_V2, &args) < 0)
		return err_sys(e, "make subvolume %s", name);
	/* the mask of the caller must not close it to its users */
	if (fchmodat(dir_fd, name, 0755, 0) < 0)
		return err_sys(e, "set the mode of %s", name);
	return 0;
}

int
subvolume_snapshot(int from, int dir_fd, const char *name, bool read_only, struct err *e)
{
	struct btrfs_ioctl_vol_args_v2 args;

	if (fill_args(&args, name, e) < 0)
		return -1;
	args.fd = from;
	args.flags = read_only ? BTRFS_SUBVOL_RDONLY : 0;
	if (ioctl(dir_fd, BTRFS_IOC_SNAP_CREATE_V2, &args) < 0)
		return err_sys(e, "make subvolume %s of another one", name);
	return 0;
}

static int
destroy(int dir_fd, const char *name)
{
	struct btrfs_ioctl_vol_args args = { .fd = 0 };

	if (!str_copy(args.name, sizeof(args.name), name)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return ioctl(dir_fd, BTRFS_IOC_SNAP_DESTROY, &args);
}

static int remove_at(int dir_fd, const char *name, int depth, struct err *e);

/* One subvolume that lies somewhere in `fd`'s, found by the directory it is in. */
static int
remove_nested(int fd, uint64_t dir_inode, uint64_t id, int depth, struct err *e)
{
	struct btrfs_ioctl_ino_lookup_user_args args = { .dirid = dir_inode, .treeid = id };
	char path[sizeof(args.path) + 4];

	if (ioctl(fd, BTRFS_IOC_INO_LOOKUP_USER, &args) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "find a subvolume to remove it");
	/* the path of the directory, ended by a slash unless it is empty */
	snprintf(path, sizeof(path), "./%s", args.path);
	autofd int dir = openat(fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? 0 : err_sys(e, "open %s", path);
	return remove_at(dir, args.name, depth + 1, e);
}

/* The subvolumes directly in that one. */
static int
remove_all_nested(int fd, int depth, struct err *e)
{
	struct btrfs_ioctl_get_subvol_rootref_args args = { .min_treeid = 0 };
	int more;

	if (depth >= NESTED_DEPTH)
		return err_new(e, ERR_UNSUPPORTED, "subvolumes are nested too deep");
	do {
		more = 0;
		if (ioctl(fd, BTRFS_IOC_GET_SUBVOL_ROOTREF, &args) < 0) {
			if (errno != EOVERFLOW)
				return err_sys(e, "list the subvolumes in one");
			more = 1;
		}
		for (int i = 0; i < args.num_items; i++)
			if (remove_nested(
				fd, args.rootref[i].dirid, args.rootref[i].treeid, depth, e) < 0)
				return -1;
	} while (more);
	return 0;
}

static int
remove_at(int dir_fd, const char *name, int depth, struct err *e)
{
	if (destroy(dir_fd, name) == 0 || errno == ENOENT)
		return 0;
	if (errno != ENOTEMPTY)
		return err_sys(e, "remove subvolume %s", name);
	autofd int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "open subvolume %s", name);
	if (remove_all_nested(fd, depth, e) < 0)
		return -1;
	if (destroy(dir_fd, name) < 0 && errno != ENOENT)
		return err_sys(e, "remove subvolume %s", name);
	return 0;
}

int
subvolume_remove(int dir_fd, const char *name, struct err *e)
{
	return remove_at(dir_fd, name, 0, e);
}

int
btrfs_give_out(int fd, struct err *e)
{
	/* asked where its blocks are, the file system writes them and waits until that is decided
	 */
	struct fiemap map = { .fm_length = FIEMAP_MAX_OFFSET, .fm_flags = FIEMAP_FLAG_SYNC };

	return ioctl(fd, FS_IOC_FIEMAP, &map) < 0 ? err_sys(e, "write a file out") : 0;
}

int
subvolume_look(int fd, struct subvolume *out, struct err *e)
{
	struct btrfs_ioctl_get_subvol_info_args args = { .treeid = 0 };

	if (ioctl(fd, BTRFS_IOC_GET_SUBVOL_INFO, &args) < 0)
		return err_sys(e, "look at a subvolume");
	*out = (struct subvolume){
		.id = args.treeid, .generation = args.generation, .born = args.otransid
	};
	return 0;
}

/* ---- how much is in it ---- */

static uint64_t
extent_bytes(const unsigned char *item, size_t len, uint64_t since)
{
	struct btrfs_file_extent_item x;
	const size_t head = offsetof(struct btrfs_file_extent_item, disk_bytenr);

	if (len < head)
		return 0;
	memset(&x, 0, sizeof(x));
	memcpy(&x, item, len < sizeof(x) ? len : sizeof(x));
	if (le64toh(x.generation) <= since)
		return 0;
	if (x.type == BTRFS_FILE_EXTENT_INLINE)
		return len - head;
	if (len < sizeof(x) || x.disk_bytenr == 0) /* a hole */
		return 0;
	/* part of an extent may be all that is left in use; compressed ones are smaller than what
	 * they hold */
	uint64_t disk = le64toh(x.disk_num_bytes), part = le64toh(x.num_bytes);
	return part < disk ? part : disk;
}

static void
next_key(struct btrfs_ioctl_search_key *k, const struct btrfs_ioctl_search_header *last)
{
	k->min_objectid = last->objectid;
	k->min_type = last->type;
	k->min_offset = last->offset + 1;
	if (k->min_offset != 0)
		return;
	if (++k->min_type > UINT8_MAX) {
		k->min_type = 0;
		k->min_objectid++;
	}
}

static uint64_t
sum_found(const struct btrfs_ioctl_search_args_v2 *s, uint64_t since,
    struct btrfs_ioctl_search_header *last)
{
	const unsigned char *at = (const unsigned char *)s->buf;
	uint64_t sum = 0;

	for (unsigned i = 0; i < s->key.nr_items; i++) {
		memcpy(last, at, sizeof(*last));
		at += sizeof(*last);
		if (last->type == BTRFS_EXTENT_DATA_KEY)
			sum += extent_bytes(at, last->len, since);
		at += last->len;
	}
	return sum;
}

int
subvolume_bytes(int fd, uint64_t since, uint64_t *bytes, struct err *e)
{
	autofree struct btrfs_ioctl_search_args_v2 *s = xmalloc(sizeof(*s) + SEARCH_BYTES);
	struct btrfs_ioctl_search_key *k = &s->key;

	*k = (struct btrfs_ioctl_search_key){ .min_objectid = SUBVOLUME_INODE,
		.max_objectid = BTRFS_LAST_FREE_OBJECTID,
		.max_offset = UINT64_MAX,
		.max_type = UINT8_MAX,
		/* leaves that did not change since need not be read */
		.min_transid = since + (since != 0),
		.max_transid = UINT64_MAX };
	*bytes = 0;
	for (;;) {
		struct btrfs_ioctl_search_header last = { .len = 0 };

		k->nr_items = UINT32_MAX;
		s->buf_size = SEARCH_BYTES;
		if (ioctl(fd, BTRFS_IOC_TREE_SEARCH_V2, s) < 0)
			return err_sys(e, "search a subvolume");
		if (k->nr_items == 0)
			return 0;
		*bytes += sum_found(s, since, &last);
		next_key(k, &last);
	}
}
