#include "platform/facts.h"
#include "platform/overlay/tree.h"
#include "pot/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A base in two states. Its first snapshot is the userland as it came: single pots are made from
 * that. Then it is rearranged for pots of type multi, which share it read-only: what a pot changes
 * goes into two datasets of its own, usr.local and custom, and relative links lead there.
 */

struct moving {
	int local, custom; /* the datasets' directories */
	const char *release;
	const char *const *places; /* mount_ops.places */
};

const char *
ds_base(char out[DATASET_SIZE], const char *base, const char *part)
{
	snprintf(out, DATASET_SIZE, part != NULL ? "bases/%s/%s" : "bases/%s", base, part);
	return out;
}

/* ---- links that move with their directory ---- */

struct link_path {
	char part[64][256];
	unsigned n;
};

/* Steps along the target; false: it is too deep. *left: it went above the moved directory. */
static bool
follow(struct link_path *at, const char *target, unsigned moved_depth, bool *left)
{
	while (*target != '\0') {
		size_t n = strcspn(target, "/");
		if (n == 2 && target[0] == '.' && target[1] == '.') {
			at->n -= at->n > 0;
			*left = *left || at->n < moved_depth;
		} else if (n > 0 && !(n == 1 && target[0] == '.')) {
			if (at->n == NELEM(at->part) || n >= sizeof(at->part[0]))
				return false;
			memcpy(at->part[at->n], target, n);
			at->part[at->n++][n] = '\0';
		}
		target += n;
		target += strspn(target, "/");
	}
	return true;
}

/* A relative link that leaves the directory which is moved would lead elsewhere afterwards: it is
 * made absolute. */
static int
mend_link(int dir, const char *name, const struct link_path *where, unsigned depth, struct err *e)
{
	char target[4096], absolute[4096] = "";
	ssize_t n = readlinkat(dir, name, target, sizeof(target) - 1);
	struct link_path at = *where;
	bool left = false;
	size_t len = 0;

	if (n < 0)
		return err_sys(e, "read link %s", name);
	target[n] = '\0';
	if (target[0] == '/' || !follow(&at, target, depth, &left) || !left)
		return 0;
	for (unsigned i = 0; i < at.n && len < sizeof(absolute); i++)
		len += (size_t)snprintf(absolute + len, sizeof(absolute) - len, "/%s", at.part[i]);
	if (len >= sizeof(absolute))
		return 0;
	if (unlinkat(dir, name, 0) < 0 || symlinkat(len > 0 ? absolute : "/", dir, name) < 0)
		return err_sys(e, "write link %s", name);
	return 0;
}

static int
mend_links(int parent, const char *name, struct link_path *where, unsigned depth, struct err *e)
{
	struct dirent *d;
	struct stat st;
	int rc = 0;
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (dir == NULL) {
		err_sys(e, "read %s", name);
		own_close(&fd);
		return -1;
	}
	while (rc == 0 && (d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			rc = err_sys(e, "look at %s", d->d_name);
		} else if (S_ISLNK(st.st_mode)) {
			rc = mend_link(fd, d->d_name, where, depth, e);
		} else if (S_ISDIR(st.st_mode) && where->n < NELEM(where->part)) {
			str_copy(where->part[where->n++], sizeof(where->part[0]), d->d_name);
			rc = mend_links(fd, d->d_name, where, depth, e);
			where->n--;
		}
	}
	closedir(dir);
	return rc;
}

/* ---- moving ---- */

static int
kind_of(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (int)(st.st_mode & S_IFMT) : 0;
}

/* With all that belongs to files: links among them, extended attributes, shared blocks. */
static int
copy_into(int from, const char *name, int to, struct err *e)
{
	autofd int source = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (source < 0)
		return err_sys(e, "open %s", name);
	return tree_copy(source, to, NULL, e);
}

static int
copy_directory(int from, const char *name, int to, const char *as, struct err *e)
{
	if (mkdirat(to, as, 0755) < 0) /* merges, which is rare */
		return errno == EEXIST ? copy_entry(from, name, to, as, e)
				       : err_sys(e, "make %s", as);
	autofd int target = openat(to, as, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return target < 0 ? err_sys(e, "open %s", as) : copy_into(from, name, target, e);
}

/* The directory `name` becomes `as` in `to`; `was` is its path in the pot. One that is absent is
 * made there; what is no directory stays. 1: moved or made, 0: stays. */
static int
move_directory(int from, const char *name, int to, const char *as, const char *was, struct err *e)
{
	struct link_path where = { .n = 0 };
	bool left = false;
	int kind = kind_of(from, name);

	if (kind == 0)
		return mkdirat(to, as, 0755) == 0 || errno == EEXIST ? 1
								     : err_sys(e, "make %s", as);
	if (kind != S_IFDIR)
		return 0;
	if (copy_directory(from, name, to, as, e) < 0 || remove_tree_at(from, name, e) < 0 ||
	    !follow(&where, was, 0, &left))
		return -1;
	return mend_links(to, as, &where, where.n, e) < 0 ? -1 : 1;
}

static int
link_to(int dir, const char *name, const char *target, struct err *e)
{
	if (kind_of(dir, name) == S_IFLNK && unlinkat(dir, name, 0) < 0)
		return err_sys(e, "replace %s", name);
	return symlinkat(target, dir, name) == 0 ? 0 : err_sys(e, "make the link %s", name);
}

static int
move_top(int root, const struct moving *m, const char *name, struct err *e)
{
	char target[64];
	int moved = move_directory(root, name, m->custom, name, name, e);

	if (moved <= 0)
		return moved;
	snprintf(target, sizeof(target), "opt/custom/%s", name);
	return link_to(root, name, target, e);
}

static int
move_local(int usr, const struct moving *m, struct err *e)
{
	if (kind_of(usr, "local") == S_IFDIR) {
		if (copy_into(usr, "local", m->local, e) < 0 || remove_tree_at(usr, "local", e) < 0)
			return -1;
	} else if (kind_of(usr, "local") != 0) {
		return err_new(e, ERR_INPUT, "/usr/local is not a directory");
	}
	if (mkdirat(usr, "local", 0755) < 0)
		return err_sys(e, "make /usr/local");
	int moved = move_directory(m->local, "etc", m->custom, "usr.local.etc", "usr/local/etc", e);
	if (moved < 0 ||
	    (moved > 0 && link_to(m->local, "etc", "../../opt/custom/usr.local.etc", e) < 0))
		return -1;
	return 0;
}

/* The failure lies in the files that came, not in this machine. */
static bool
unlike_a_base(const struct err *e)
{
	return e->kind == ERR_INPUT || e->sys == ENOENT || e->sys == ENOTDIR || e->sys == ELOOP ||
	       e->sys == EEXIST;
}

/* The list of installed packages lives with the packages. */
static int
move_packages(const struct moving *m, struct err *e)
{
	autofd int db = beneath_mkdirs(m->custom, "/var/db", 0755, e);

	/* a userland with a list of another kind has it elsewhere */
	if (db < 0)
		return unlike_a_base(e) ? 0 : -1;
	int moved = move_directory(db, "pkg", m->local, "var.db.pkg", "var/db/pkg", e);
	return moved <= 0 ? moved : link_to(db, "pkg", "/usr/local/var.db.pkg", e);
}

static int
move_homes(int root, int usr, const struct moving *m, struct err *e)
{
	bool in_usr = kind_of(usr, "home") == S_IFDIR;
	int moved = move_directory(
	    in_usr ? usr : root, "home", m->custom, "usr.home", in_usr ? "usr/home" : "home", e);

	if (moved == 0 && mkdirat(m->custom, "usr.home", 0755) < 0 && errno != EEXIST)
		return err_sys(e, "make usr.home");
	if (moved < 0 || (in_usr && kind_of(root, "home") == S_IFDIR &&
			     move_directory(root, "home", m->custom, "usr.home", "home", e) < 0))
		return -1;
	if (link_to(root, "home", "opt/custom/usr.home", e) < 0)
		return -1;
	return link_to(usr, "home", "../opt/custom/usr.home", e);
}

/* A root that cannot be changed must have all places where something is mounted. */
static int
mount_points(int root, const char *const *system, struct err *e)
{
	static const char *const places[] = { "tmp", "mnt", "media", "opt/custom", "usr/ports",
		NULL };
	const char *const *lists[] = { places, system };

	for (size_t k = 0; k < NELEM(lists); k++)
		for (const char *const *p = lists[k]; p != NULL && *p != NULL; p++) {
			autofd int fd =
			    beneath_mkdirs(root, *p, strcmp(*p, "tmp") == 0 ? 01777 : 0755, e);
			if (fd < 0)
				return -1;
		}
	return 0;
}

static int
rearrange(int root, void *ctx, struct err *e)
{
	static const char *const tops[] = { "root", "etc", "var" };
	const struct moving *m = ctx;
	char release[256];

	autofd int usr_path = beneath_mkdirs(root, "/usr", 0755, e);
	autofd int usr =
	    usr_path < 0 ? -1 : openat(usr_path, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (usr < 0)
		return usr_path < 0 ? -1 : err_sys(e, "open /usr");
	if (mount_points(root, m->places, e) < 0 || move_local(usr, m, e) < 0)
		return -1;
	for (size_t i = 0; i < NELEM(tops); i++)
		if (move_top(root, m, tops[i], e) < 0)
			return err_ctx(e, "/%s", tops[i]);
	if (move_packages(m, e) < 0 || move_homes(root, usr, m, e) < 0)
		return -1;
	int n = snprintf(release, sizeof(release), "%s\n", m->release);
	return beneath_write(root, "/.osrelease", 0644, release,
	    (size_t)n < sizeof(release) ? (size_t)n : sizeof(release) - 1, e);
}

/* ---- the datasets ---- */

static int
part_create(struct pot_env *env, const char *base, const char *part, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	char dataset[DATASET_SIZE];
	struct mount_root root;

	ds_base(dataset, base, part);
	if (env->host->dataset->create(env->host, dataset, DATASET_LAYERED, e) < 0 ||
	    mount_root_of(env, dataset, &mem, &root, e) < 0)
		return -1;
	const char *dir = root.plain != NULL ? root.plain : root.upper;
	return dir != NULL ? open_dir(dir, e)
			   : err_new(e, ERR_UNSUPPORTED, "%s cannot be filled here", dataset);
}

/* As it came: single pots can do with anything. */
static int
singles_only(struct pot_env *env, const char *base, struct err *e)
{
	const struct dataset_ops *ds = env->host->dataset;
	char dataset[DATASET_SIZE], part[DATASET_SIZE];
	autofree char *snap = NULL;

	pot_say(env, POT_SAY_INFO, "base %s is for single pots only, it is laid out otherwise: %s",
	    base, e->text);
	ds_base(dataset, base, NULL);
	if (ds->property_get(env->host, dataset, BASE_PRISTINE, &snap, e) < 0)
		return -1;
	if (snap == NULL)
		return err_new(e, ERR_CORRUPT, "base %s has lost its first state", base);
	if (ds->destroy(env->host, ds_base(part, base, "usr.local"), true, e) < 0 ||
	    ds->destroy(env->host, ds_base(part, base, "custom"), true, e) < 0)
		return -1;
	return ds->rollback(env->host, dataset, snap, e);
}

/* Where they belong in the tree, as pot keeps them, where datasets have places of their own. */
static int
parts_placed(struct pot_env *env, const char *base, struct err *e)
{
	static const char *const parts[][2] = { { "usr.local", "usr/local" },
		{ "custom", "opt/custom" } };
	const struct dataset_ops *ds = env->host->dataset;
	char dataset[DATASET_SIZE], place[PATH_SIZE];

	for (size_t i = 0; ds->place != NULL && i < NELEM(parts); i++) {
		path_at(place, "%s/bases/%s/%s", env->conf.fs_root, base, parts[i][1]);
		if (ds->place(env->host, ds_base(dataset, base, parts[i][0]), place, e) < 0)
			return -1;
	}
	return 0;
}

int
base_rearrange(struct pot_env *env, const char *base, const char *release, struct err *e)
{
	static const char *const parts[] = { "usr.local", "custom", NULL /* the base itself */ };
	const struct dataset_ops *ds = env->host->dataset;
	autoarena struct arena mem = ARENA_INIT;
	char dataset[DATASET_SIZE], snap[32];
	struct mount_root root;

	autofd int local = part_create(env, base, parts[0], e);
	autofd int custom = local < 0 ? -1 : part_create(env, base, parts[1], e);
	if (custom < 0 || mount_root_of(env, ds_base(dataset, base, NULL), &mem, &root, e) < 0)
		return -1;
	struct moving m = { .local = local,
		.custom = custom,
		.release = release,
		.places = env->host->mount->places };
	if (env->host->mount->with_root(&root, NULL, 0, rearrange, &m, e) < 0) {
		if (unlike_a_base(e))
			return singles_only(env, base, e);
		return err_ctx(e, "rearrange it for pots of type multi");
	}
	own_close(&local);
	own_close(&custom);
	local = custom = -1;
	if (parts_placed(env, base, e) < 0)
		return -1;
	/* the second state of the base is another second's, as names of snapshots are seconds */
	snprintf(snap, sizeof(snap), "%lld", (long long)now_seconds() + 1);
	for (size_t i = 0; i < NELEM(parts); i++)
		if (ds->snapshot(env->host, ds_base(dataset, base, parts[i]), snap, false, e) < 0)
			return -1;
	return 0;
}

char *
pot_base_pristine(struct pot_env *env, const char *base, struct arena *mem)
{
	struct err ignored = ERR_INIT;
	char dataset[DATASET_SIZE];
	autofree char *snap = NULL;

	ds_base(dataset, base, NULL);
	if (env->host->dataset->property_get(env->host, dataset, BASE_PRISTINE, &snap, &ignored) <
		0 ||
	    snap == NULL)
		return NULL;
	return arena_strdup(mem, snap);
}

const char *
pot_release_machine(struct arena *mem, const char **processor)
{
	struct facts f;

	facts_read(&f, "/", mem);
	if (!str_eq(f.kernel_name, "freebsd"))
		return NULL;
	*processor = str_eq(f.arch, "arm64") ? "aarch64" : f.arch;
	return f.arch;
}
