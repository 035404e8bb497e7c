#include "platform/zfs/zfs.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Left in the tree's directory, which ZFS does not mount: what the tree is kept by. */
#define MARK ".zfs-root"

char *
zfs_full(struct host *h, const char *name)
{
	return xasprintf("%s%s%s", h->roots.zfs_root, *name != '\0' ? "/" : "", name);
}

/* ---- names ---- */

static int
add_below(void *ctx, char **field, struct err *e)
{
	(void)e;
	names_add(ctx, field[0]);
	return 0;
}

/* Full names of the file systems at and below one; absent gives none. */
static int
tree_of(struct host *h, const char *name, struct names *out, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	autofree char *set = zfs_full(h, name);

	if (zfs_run(h, &text, e, "list", "-Hp", "-r", "-t", "filesystem", "-o", "name", set, NULL) <
	    0)
		return e->kind == ERR_ABSENT ? 0 : -1;
	return zfs_lines(&text, 1, add_below, out, e);
}

static int
zfs_list(struct host *h, const char *prefix, struct names *out, struct err *e)
{
	autonames struct names all = NAMES_INIT;
	autofree char *dir = xstrdup(prefix);
	char *slash = strrchr(dir, '/');

	*(slash != NULL ? slash : dir) = '\0';
	if (tree_of(h, dir, &all, e) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		const char *name = zfs_below(h->roots.zfs_root, all.at[i]);

		if (name != NULL && *name != '\0' && str_starts(name, prefix) &&
		    !str_eq(name, "cache"))
			names_add(out, name);
	}
	names_sort(out);
	return 0;
}

int
zfs_exists(struct host *h, const char *name, struct err *e)
{
	autofree char *set = zfs_full(h, name);

	if (dataset_check_name(name, e) < 0)
		return -1;
	if (zfs_run(h, NULL, e, "list", "-H", "-t", "filesystem", "-o", "name", set, NULL) == 0)
		return 1;
	return e->kind == ERR_ABSENT ? 0 : -1;
}

/* ---- names that change ---- */

static int
zfs_place(struct host *h, const char *name, const char *path, struct err *e)
{
	autofree char *set = zfs_full(h, name), *where = xasprintf("mountpoint=%s", path);

	return dataset_check_name(name, e) < 0 ? -1 : zfs_run(h, NULL, e, "set", where, set, NULL);
}

struct left_behind {
	const char *place; /* where it was */
	struct names sets; /* that would still be mounted there */
};

static int
add_left_behind(void *ctx, char **field, struct err *e)
{
	struct left_behind *l = ctx;
	size_t n = strlen(l->place);

	(void)e;
	if (strncmp(field[1], l->place, n) == 0 && (field[1][n] == '/' || field[1][n] == '\0'))
		names_add(&l->sets, field[0]);
	return 0;
}

/* pot 0.16 gave clones a mount point by name, which stays when they are renamed; what is inherited
 * follows. */
static int
follow_rename(struct host *h, const char *from, const char *set, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	autofree char *place = xasprintf("%s/%s", h->roots.fs_root, from);
	struct left_behind l = { .place = place };
	int result;

	if (zfs_run(h, &text, e, "get", "-Hp", "-r", "-t", "filesystem", "-s", "local", "-o",
		"name,value", "mountpoint", set, NULL) < 0)
		return -1;
	result = zfs_lines(&text, 2, add_left_behind, &l, e);
	for (size_t i = 0; i < l.sets.n && result == 0; i++)
		result = zfs_run(h, NULL, e, "inherit", "mountpoint", l.sets.at[i], NULL);
	names_fini(&l.sets);
	return result;
}

static int
zfs_rename(struct host *h, const char *from, const char *to, struct err *e)
{
	autofree char *a = zfs_full(h, from), *b = zfs_full(h, to),
		      *inside = xasprintf("%s/", from);

	if (dataset_check_name(from, e) < 0 || dataset_check_name(to, e) < 0)
		return -1;
	if (str_starts(to, inside))
		return err_new(e, ERR_INPUT, "rename %s: %s lies inside it", from, to);
	/* -f: the kernel may still be taking down the network of a pot that has just ended, and
	 * holds its root until then */
	return zfs_run(h, NULL, e, "rename", "-f", a, b, NULL) < 0 ? -1
								   : follow_rename(h, from, b, e);
}

/* ---- streams ---- */

static int
zfs_send(struct host *h, const char *name, const char *snap, int fd, struct dataset_stream *s,
    struct err *e)
{
	autofree char *set = zfs_full(h, name), *at = xasprintf("%s@%s", set, snap);
	const char *const argv[] = { "zfs", "send", "-R", at, NULL };

	if (dataset_check_name(name, e) < 0 || dataset_check_snapshot(snap, e) < 0)
		return -1;
	return zfs_stream(h, argv, -1, fd, s, e);
}

/* A replication stream carries properties: mount points of where it came from, and, where the pool
 * knows encryption, one that cannot be received. */
static int
zfs_receive(struct host *h, const char *name, const char *origin, int fd, struct dataset_stream *s,
    struct err *e)
{
	autofree char *set = zfs_full(h, name), *from = NULL;
	autobuf struct buf cipher = BUF_INIT;
	const char *argv[12] = { "zfs", "receive", "-x", "mountpoint" };
	size_t n = 4;
	struct err ignored = ERR_INIT;

	if (dataset_check_name(name, e) < 0)
		return -1;
	if (zfs_run(h, &cipher, &ignored, "get", "-Hp", "-o", "value", "encryption",
		h->roots.zfs_root, NULL) == 0 &&
	    !str_starts(buf_str(&cipher), "-")) {
		argv[n++] = "-x";
		argv[n++] = "encryption";
	}
	if (origin != NULL) {
		autofree char *below = zfs_full(h, origin);
		from = xasprintf("origin=%s", below);
		argv[n++] = "-o";
		argv[n++] = from;
	}
	argv[n++] = set;
	argv[n] = NULL;
	return zfs_stream(h, argv, fd, -1, s, e);
}

/* ---- removing ---- */

struct heirs {
	const char *dying; /* full name */
	struct names clones;
};

/* name, clones: those of its clones that do not go with it. */
static int
add_heirs(void *ctx, char **field, struct err *e)
{
	struct heirs *r = ctx;
	char *save = NULL;

	(void)e;
	for (char *clone = strtok_r(field[1], ",", &save); clone != NULL;
	     clone = strtok_r(NULL, ",", &save))
		if (!str_eq(clone, "-") && zfs_below(r->dying, clone) == NULL)
			names_add(&r->clones, clone);
	return 0;
}

static int
find_heirs(struct host *h, const char *set, struct names *out, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	struct heirs r = { .dying = set };
	int done;

	if (zfs_run(h, &text, e, "list", "-Hp", "-r", "-t", "snapshot", "-o", "name,clones", set,
		NULL) < 0)
		return -1;
	done = zfs_lines(&text, 2, add_heirs, &r, e);
	names_sort(&r.clones); /* zfs tells them in no order */
	*out = r.clones;
	return done;
}

/* Snapshots that came with a promotion: they go with the last clone that needs them, and are not to
 * be seen until then. */
static int
defer_inherited(struct host *h, const char *heir, const struct names *before, struct err *e)
{
	autonames struct names now = NAMES_INIT;

	if (zfs_snapshot_names(h, heir, &now, e) < 0)
		return -1;
	for (size_t i = 0; i < now.n; i++) {
		autofree char *at = xasprintf("%s@%s", heir, now.at[i]);
		bool own = false;

		for (size_t k = 0; k < before->n && !own; k++)
			own = str_eq(before->at[k], now.at[i]);
		if (!own && zfs_run(h, NULL, e, "destroy", "-d", at, NULL) < 0 &&
		    e->kind != ERR_ABSENT)
			return -1;
	}
	return 0;
}

struct promoted {
	char *heir;
	struct names before;
};

/* Until nobody outside depends on it, each first clone takes over what it stands on. */
static int
hand_over(
    struct host *h, const char *set, struct promoted *done, size_t max, size_t *n, struct err *e)
{
	for (;;) {
		autonames struct names clones = NAMES_INIT;
		struct promoted *p = &done[*n];

		if (find_heirs(h, set, &clones, e) < 0)
			return -1;
		if (clones.n == 0)
			return 0;
		if (*n == max)
			return err_new(e, ERR_BUSY, "too many datasets were cloned from it (%s)",
			    clones.at[0]);
		*p = (struct promoted){ .heir = xstrdup(clones.at[0]), .before = NAMES_INIT };
		++*n;
		if (zfs_snapshot_names(h, p->heir, &p->before, e) < 0 ||
		    zfs_run(h, NULL, e, "promote", p->heir, NULL) < 0)
			return err_ctx(e, "hand over to %s, which was cloned from it", p->heir);
	}
}

static int
destroy_with_heirs(struct host *h, const char *set, struct err *e)
{
	struct promoted done[64];
	size_t n = 0;
	int result = hand_over(h, set, done, NELEM(done), &n, e);

	if (result == 0)
		result = zfs_run(h, NULL, e, "destroy", "-f", "-r", set, NULL);
	for (size_t i = 0; i < n; i++) {
		if (result == 0)
			result = defer_inherited(h, done[i].heir, &done[i].before, e);
		free(done[i].heir);
		names_fini(&done[i].before);
	}
	return result;
}

static int
zfs_destroy(struct host *h, const char *name, bool recursive, struct err *e)
{
	autofree char *set = zfs_full(h, name);
	autonames struct names tree = NAMES_INIT;

	if (dataset_check_name(name, e) < 0)
		return -1;
	if (!recursive) {
		if (tree_of(h, name, &tree, e) < 0)
			return err_ctx(e, "destroy %s", name);
		if (tree.n > 1)
			return err_new(e, ERR_BUSY, "destroy %s: there are datasets below it (%s)",
			    name, tree.at[1]);
	}
	if (zfs_run(h, NULL, e, "destroy", "-f", "-r", set, NULL) == 0 || e->kind == ERR_ABSENT)
		return 0;
	if (strstr(e->text, "dependent clones") == NULL || destroy_with_heirs(h, set, e) < 0)
		return err_ctx(e, "destroy %s", name);
	return 0;
}

/* ---- snapshots ---- */

static int
add_snapshot(void *ctx, char **field, struct err *e)
{
	const char *at = strchr(field[0], '@');

	(void)e;
	if (at != NULL && !str_eq(field[1], "on"))
		names_add(ctx, at + 1);
	return 0;
}

int
zfs_snapshot_names(struct host *h, const char *set, struct names *out, struct err *e)
{
	autobuf struct buf text = BUF_INIT;

	if (zfs_run(h, &text, e, "list", "-Hp", "-d", "1", "-t", "snapshot", "-s", "createtxg",
		"-o", "name,defer_destroy", set, NULL) < 0)
		return -1;
	return zfs_lines(&text, 2, add_snapshot, out, e);
}

/* Of several: name@snapshot tells whose. */
struct sorting {
	char *const *sets;
	size_t n;
	struct names *out;
};

static int
sort_snapshot(void *ctx, char **field, struct err *e)
{
	struct sorting *s = ctx;
	char *at = strchr(field[0], '@');

	(void)e;
	if (at == NULL || str_eq(field[1], "on"))
		return 0;
	*at++ = '\0';
	for (size_t i = 0; i < s->n; i++)
		if (str_eq(s->sets[i], field[0]))
			names_add(&s->out[i], at);
	return 0;
}

static int
zfs_snapshots_of(
    struct host *h, const char *const *names, size_t n, struct names *out, struct err *e)
{
	const char *argv[ZFS_ARGS] = { "zfs", "list", "-Hp", "-d", "1", "-t", "snapshot", "-s",
		"createtxg", "-o", "name,defer_destroy" };
	autobuf struct buf text = BUF_INIT;
	autonames struct names sets = NAMES_INIT;
	size_t words = 11;
	struct sorting s = { .n = n, .out = out };

	if (words + n >= NELEM(argv))
		return err_new(e, ERR_INPUT, "too many datasets at once");
	for (size_t i = 0; i < n; i++) {
		autofree char *set = zfs_full(h, names[i]);

		if (dataset_check_name(names[i], e) < 0)
			return -1;
		names_add(&sets, set);
	}
	for (size_t i = 0; i < n; i++)
		argv[words++] = sets.at[i];
	s.sets = sets.at;
	return zfs_run_list(h, argv, &text, e) < 0 ? -1 : zfs_lines(&text, 2, sort_snapshot, &s, e);
}

static int
zfs_snapshots(struct host *h, const char *name, struct names *out, struct err *e)
{
	autofree char *set = zfs_full(h, name);

	if (dataset_check_name(name, e) < 0)
		return -1;
	return zfs_snapshot_names(h, set, out, e);
}

static int
zfs_snapshot(struct host *h, const char *name, const char *snap, bool recursive, struct err *e)
{
	autofree char *set = zfs_full(h, name), *at = xasprintf("%s@%s", set, snap);

	if (dataset_check_name(name, e) < 0 || dataset_check_snapshot(snap, e) < 0)
		return -1;
	return recursive ? zfs_run(h, NULL, e, "snapshot", "-r", at, NULL)
			 : zfs_run(h, NULL, e, "snapshot", at, NULL);
}

static int
zfs_rollback(struct host *h, const char *name, const char *snap, struct err *e)
{
	autofree char *set = zfs_full(h, name), *at = xasprintf("%s@%s", set, snap);

	if (dataset_check_name(name, e) < 0 || dataset_check_snapshot(snap, e) < 0)
		return -1;
	if (zfs_run(h, NULL, e, "rollback", "-r", at, NULL) < 0)
		return err_ctx(e, "roll %s back to %s", name, snap);
	return 0;
}

static int
zfs_snapshot_destroy(struct host *h, const char *name, const char *snap, struct err *e)
{
	autofree char *set = zfs_full(h, name), *at = xasprintf("%s@%s", set, snap);

	if (dataset_check_name(name, e) < 0 || dataset_check_snapshot(snap, e) < 0)
		return -1;
	/* -d: one that has clones goes with the last of them */
	if (zfs_run(h, NULL, e, "destroy", "-d", at, NULL) < 0 && e->kind != ERR_ABSENT)
		return -1;
	return 0;
}

/* ---- properties ---- */

/* The value of one property, or NULL for none. */
static int
get(struct host *h, const char *set, const char *key, char **out, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	size_t len;

	*out = NULL;
	if (zfs_run(h, &text, e, "get", "-Hp", "-o", "value", key, set, NULL) < 0)
		return -1;
	len = strcspn(buf_str(&text), "\n");
	if (len > 0 && !(len == 1 && text.data[0] == '-'))
		*out = xstrndup(text.data, len);
	return 0;
}

static int
zfs_origin(struct host *h, const char *name, char **out, struct err *e)
{
	autofree char *set = zfs_full(h, name), *value = NULL;
	const char *below;

	*out = NULL;
	if (dataset_check_name(name, e) < 0 || get(h, set, "origin", &value, e) < 0)
		return -1;
	below = value != NULL ? zfs_below(h->roots.zfs_root, value) : NULL;
	if (below != NULL)
		*out = xstrdup(below);
	return 0;
}

static int
zfs_property_get(struct host *h, const char *name, const char *key, char **out, struct err *e)
{
	autofree char *set = zfs_full(h, name);

	*out = NULL;
	if (dataset_check_name(name, e) < 0 || dataset_check_property(key, NULL, e) < 0)
		return -1;
	return get(h, set, key, out, e);
}

static int
zfs_property_set(
    struct host *h, const char *name, const char *key, const char *value, struct err *e)
{
	autofree char *set = zfs_full(h, name);
	autofree char *text = value != NULL ? xasprintf("%s=%s", key, value) : NULL;

	if (dataset_check_name(name, e) < 0 || dataset_check_property(key, value, e) < 0)
		return -1;
	return text != NULL ? zfs_run(h, NULL, e, "set", text, set, NULL)
			    : zfs_run(h, NULL, e, "inherit", key, set, NULL);
}

/* ---- looking ---- */

static int
zfs_survey(struct host *h, const char *name, const struct dataset_watch *watch,
    struct dataset_survey *out, struct err *e)
{
	autodataset_survey struct dataset_survey rows = DATASET_SURVEY_INIT;
	autofree char *set = zfs_full(h, name != NULL ? name : "");
	autobuf struct buf text = BUF_INIT;

	(void)watch; /* ZFS keeps the accounts */
	if (zfs_run(h, &text, e, "list", "-Hp", "-r", "-t", "filesystem,snapshot", "-s",
		"createtxg", "-o", ZFS_SURVEY_COLUMNS, set, NULL) < 0 ||
	    zfs_parse_survey(h->roots.zfs_root, &text, &rows, e) < 0)
		return -1;
	*out = rows;
	rows = (struct dataset_survey)DATASET_SURVEY_INIT;
	return 0;
}

struct place {
	char *mountpoint;
	bool mounted;
};

static int
take_place(void *ctx, char **field, struct err *e)
{
	struct place *p = ctx;

	(void)e;
	free(p->mountpoint);
	p->mountpoint = xstrdup(field[0]);
	p->mounted = str_eq(field[1], "yes");
	return 0;
}

/* Where it is mounted; mounted there when it is not. */
static int
place_of(struct host *h, const char *set, char **out, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	struct place p = { .mountpoint = NULL };

	*out = zfs_mounted_at(set);
	if (*out != NULL)
		return 0;
	if (zfs_run(h, &text, e, "list", "-Hp", "-o", "mountpoint,mounted", set, NULL) < 0 ||
	    zfs_lines(&text, 2, take_place, &p, e) < 0)
		return -1;
	*out = p.mountpoint;
	if (p.mountpoint == NULL || p.mountpoint[0] != '/')
		return err_new(e, ERR_UNSUPPORTED, "dataset %s has no mount point of its own (%s)",
		    set, p.mountpoint != NULL ? p.mountpoint : "-");
	return p.mounted ? 0 : zfs_run(h, NULL, e, "mount", set, NULL);
}

static int
zfs_root(struct host *h, const char *name, struct dataset_root *out, struct err *e)
{
	autofree char *set = zfs_full(h, name), *place = NULL, *inside = NULL;
	char *at = strchr(set, '@');

	if (at != NULL)
		*at++ = '\0';
	if (place_of(h, set, &place, e) < 0)
		return -1;
	if (at == NULL) {
		out->plain = take(&place);
		return 0;
	}
	out->plain = xasprintf("%s/.zfs/snapshot/%s", place, at);
	inside = xasprintf("%s/.", out->plain); /* it is mounted when somebody steps into it */
	if (access(inside, F_OK) == 0)
		return 0;
	if (errno == ENOENT && access(out->plain, F_OK) < 0)
		err_new(e, ERR_ABSENT, "snapshot %s does not exist", name);
	else
		err_sys(e, "look into snapshot %s (%s)", name, out->plain);
	free(take(&out->plain));
	return -1;
}

/* ---- the whole ---- */

bool
zfs_made(const char *fs_root)
{
	autofree char *mark = xasprintf("%s/" MARK, fs_root);

	return access(mark, F_OK) == 0 || zfs_is_mounted(fs_root);
}

static int
zfs_probe(struct host *h, struct err *e)
{
	autofree char *pool = xstrndup(h->roots.zfs_root, strcspn(h->roots.zfs_root, "/"));

	if (zfs_run(h, NULL, e, "list", "-H", "-o", "name", pool, NULL) < 0)
		return e->kind == ERR_ABSENT ? err_new(e, ERR_UNSUPPORTED,
						   "there is no ZFS pool %s (POT_ZFS_ROOT=%s)",
						   pool, h->roots.zfs_root)
					     : -1;
	return 0;
}

/* The dataset is there already: is it mounted where it should be? 1, 0: absent. */
static int
root_is_there(struct host *h, struct err *e)
{
	autofree char *where = NULL;

	if (get(h, h->roots.zfs_root, "mountpoint", &where, e) < 0)
		return e->kind == ERR_ABSENT ? 0 : -1;
	if (!str_eq(where, h->roots.fs_root))
		return err_new(e, ERR_EXISTS,
		    "dataset %s is there with mount point %s, not %s: change POT_ZFS_ROOT or "
		    "POT_FS_ROOT",
		    h->roots.zfs_root, where != NULL ? where : "none", h->roots.fs_root);
	return 1;
}

/* The root is never mounted: its directory is one of the file system above, as is its parent. */
static int
make_place(const char *path, struct err *e)
{
	autofree char *parent = xstrdup(path);

	for (char *p = strchr(parent + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(parent, 0755) < 0 && errno != EEXIST)
			return err_sys(e, "make directory %s", parent);
		*p = '/';
	}
	return mkdir(path, 0750) < 0 && errno != EEXIST ? err_sys(e, "make directory %s", path) : 0;
}

static int
make_cache(struct host *h, struct err *e)
{
	autofree char *set = zfs_full(h, "cache");
	autofree char *where = NULL;

	if (h->roots.cache == NULL)
		return 0;
	where = xasprintf("mountpoint=%s", h->roots.cache);
	if (zfs_run(h, NULL, e, "create", "-o", where, "-o", "compression=off", set, NULL) < 0 &&
	    e->kind != ERR_EXISTS)
		return -1;
	return 0;
}

static int
zfs_root_create(struct host *h, struct err *e)
{
	autofree char *where = xasprintf("mountpoint=%s", h->roots.fs_root);
	autofree char *mark = xasprintf("%s/" MARK, h->roots.fs_root);
	int there = root_is_there(h, e);

	if (there < 0 || (there == 0 && zfs_run(h, NULL, e, "create", "-p", "-o", where, "-o",
					    "canmount=off", "-o", "compression=lz4", "-o",
					    "atime=off", h->roots.zfs_root, NULL) < 0))
		return -1;
	if (make_place(h->roots.fs_root, e) < 0)
		return -1;
	autofd int fd = open(mark, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	return fd < 0 ? err_sys(e, "write %s", mark) : make_cache(h, e);
}

static int
zfs_root_destroy(struct host *h, struct err *e)
{
	autofree char *cache = zfs_full(h, "cache"),
		      *mark = xasprintf("%s/" MARK, h->roots.fs_root);
	autonames struct names left = NAMES_INIT;

	if (zfs_list(h, "", &left, e) < 0)
		return -1;
	if (left.n > 0)
		return err_new(e, ERR_BUSY, "%s still holds %zu datasets (%s)", h->roots.zfs_root,
		    left.n, left.at[0]);
	if ((zfs_run(h, NULL, e, "destroy", "-f", "-r", cache, NULL) < 0 &&
		e->kind != ERR_ABSENT) ||
	    (zfs_run(h, NULL, e, "destroy", "-f", "-r", h->roots.zfs_root, NULL) < 0 &&
		e->kind != ERR_ABSENT))
		return -1;
	/* zfs made the directory that the cache was mounted on; what lies in it is somebody's */
	if (h->roots.cache != NULL)
		(void)rmdir(h->roots.cache);
	if (unlink(mark) < 0 && errno != ENOENT && errno != ENOTDIR)
		return err_sys(e, "remove %s", mark);
	if (rmdir(h->roots.fs_root) < 0 && errno != ENOENT && errno != ENOTEMPTY &&
	    errno != EEXIST && errno != EBUSY)
		return err_sys(e, "remove %s", h->roots.fs_root);
	return 0;
}

/* What ZFS begins it ends or undoes. */
static int
zfs_sweep(struct host *h, struct err *e)
{
	(void)h, (void)e;
	return 0;
}

const struct dataset_ops dataset_zfs = {
	.name = "zfs",
	.probe = zfs_probe,
	.root_create = zfs_root_create,
	.root_destroy = zfs_root_destroy,
	.create = zfs_create,
	.destroy = zfs_destroy,
	.rename = zfs_rename,
	.exists = zfs_exists,
	.mounted = zfs_mounted,
	.list = zfs_list,
	.snapshot = zfs_snapshot,
	.snapshots = zfs_snapshots,
	.snapshots_of = zfs_snapshots_of,
	.rollback = zfs_rollback,
	.snapshot_destroy = zfs_snapshot_destroy,
	.clone = zfs_clone,
	.copy = zfs_copy,
	.begin = zfs_begin,
	.end = zfs_end,
	.place = zfs_place,
	.origin = zfs_origin,
	.survey = zfs_survey,
	.property_get = zfs_property_get,
	.property_set = zfs_property_set,
	.root = zfs_root,
	.send = zfs_send,
	.receive = zfs_receive,
	.stream_end = zfs_stream_end,
	.sweep = zfs_sweep,
};
