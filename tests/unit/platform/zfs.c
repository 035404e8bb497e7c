/*
 * The backend zfs against what a real zfs said.
 *
 * Each scene has its transcript in tests/fixtures/zfs/<version>/<scene>; zfs_transcript says it
 * again, and every command must be the recorded one. tests/host/linux/record_zfs.py plays the same
 * scenes with a real zfs, which writes the transcripts:
 *
 *   ZFS_RECORD=DIR   where they go (and the scenes are played for real)
 *   ZFS_PROGRAM=…    the zfs to ask, default /sbin/zfs
 *   ZFS_POOL=…       a pool that nothing else uses; <pool>/pot is destroyed and made again
 *   ZFS_EVERYDAY=1   only what zfs_answers, the stand-in, knows as well
 */
#include "platform/zfs/zfs.h"

#include "base/str.h"
#include "platform/overlay/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "outcome.h"
#include "own_net.h"

#include <dirent.h>
#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>

#ifndef ZFS_FIXTURES
#define ZFS_FIXTURES "tests/fixtures/zfs"
#endif

static const struct dataset_ops *const ds = &dataset_zfs;
static struct host host;
static char dir[64] = "/tmp/potter-zfs-XXXXXX", root[128], zfs_root[128], program[160];
static const char *recording, *real, *pool;
static const char *transcripts; /* a directory */

#define SAYS(words)                                                                                \
	do {                                                                                       \
		if (strstr(err.text, words) == NULL)                                               \
			fail_msg("'%s' is not in '%s'", words, err.text);                          \
	} while (0)
/* A command that the backend does not give itself, but which makes a situation. */
#define ASK(...)	    OK(zfs_run(&host, NULL, &err, __VA_ARGS__, NULL))
#define ASK_FAILS(why, ...) FAILS(zfs_run(&host, NULL, &err, __VA_ARGS__, NULL), why)

static char *
at(const char *fmt, ...)
{
	static char out[8][512];
	static int turn;
	char *p = out[turn++ % 8];
	va_list ap;
	int n = snprintf(p, 512, "%s", zfs_root);

	va_start(ap, fmt);
	vsnprintf(p + n, 512 - (size_t)n, fmt, ap);
	va_end(ap);
	return p;
}

static char *
path(const char *below)
{
	static char out[4][512];
	static int turn;
	char *p = out[turn++ % 4];

	snprintf(p, 512, "%s%s", root, below);
	return p;
}

/* A directory that a real zfs would have made. */
static void
directory(const char *below)
{
	autofree char *inside = xasprintf("%s/x", path(below));

	if (recording == NULL)
		OK(mkdir_parents(AT_FDCWD, inside, &err));
}

static void
fill(const char *below, size_t bytes)
{
	autofree char *data = xmalloc(bytes + 1);
	uint64_t x = 88172645463325252u;

	if (recording == NULL)
		return;
	for (size_t i = 0; i < bytes; i++) { /* what does not compress */
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		data[i] = (char)x;
	}
	autofd int fd = open(path(below), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || fd_write_all(fd, data, bytes, &err) < 0 || fsync(fd) < 0)
		fail_msg("%s: %s", below, strerror(errno));
}

static void
run_real(const char *name, const char *const *argv)
{
	char *const env[] = { "PATH=/sbin:/usr/sbin:/bin:/usr/bin", NULL };
	int status = -1;
	pid_t pid;

	if (posix_spawnp(&pid, name, NULL, NULL, (char *const *)(uintptr_t)argv, env) == 0)
		(void)waitpid(pid, &status, 0);
}

/* Sizes are known when a transaction has ended. */
static void
settle(void)
{
	const char *const argv[] = { "zpool", "sync", pool, NULL };

	if (recording != NULL && str_starts(real, "/sbin/"))
		run_real("zpool", argv);
}

/* Where a dataset is, the kernel tells while it is mounted; where the scene is replayed nothing is,
 * and zfs is asked: so it is asked here. */
static void
kernel_knows(const char *below)
{
	/* what stands in for zfs mounts nothing either, and is asked anyway */
	if (recording != NULL && str_starts(real, "/sbin/"))
		ASK("list", "-Hp", "-o", "mountpoint,mounted", at("%s", below));
}

static void
tree(void)
{
	OK(ds->root_create(&host, &err));
	OK(ds->create(&host, "jails", DATASET_PLAIN, &err));
	OK(ds->create(&host, "bases", DATASET_PLAIN, &err));
}

/* ---- scenes ---- */

static void
the_tree(void)
{
	FAILS(ds->create(&host, "jails/web", DATASET_PLAIN, &err), ERR_ABSENT);
	SAYS("pot init");
	OK(ds->probe(&host, &err));
	OK(ds->root_create(&host, &err));
	OK(ds->root_create(&host, &err));
	host.roots.fs_root = path("-elsewhere");
	FAILS(ds->root_create(&host, &err), ERR_EXISTS);
	SAYS("mount point");
	host.roots.fs_root = root;
	OK(ds->create(&host, "jails", DATASET_PLAIN, &err));
	FAILS(ds->root_destroy(&host, &err), ERR_BUSY);
	SAYS("still holds");
	OK(ds->destroy(&host, "jails", true, &err));
	OK(ds->root_destroy(&host, &err));
	OK(ds->root_destroy(&host, &err));
}

static void
no_pool(void)
{
	host.roots.zfs_root = "nosuchpool/pot";
	FAILS(ds->probe(&host, &err), ERR_UNSUPPORTED);
	SAYS("no ZFS pool nosuchpool");
	assert_int_equal(ds->exists(&host, "jails", &err), 0);
	FAILS(ds->create(&host, "jails", DATASET_PLAIN, &err), ERR_ABSENT);
}

static void
making(void)
{
	autonames struct names all = NAMES_INIT, none = NAMES_INIT;

	tree();
	OK(ds->create(&host, "jails/web", DATASET_PLAIN, &err));
	OK(ds->create(&host, "jails/web/m", DATASET_LAYERED, &err));
	FAILS(ds->create(&host, "jails/web", DATASET_PLAIN, &err), ERR_EXISTS);
	OK(ds->create(&host, "jails/other/m", DATASET_LAYERED, &err)); /* its parent is missing */
	assert_int_equal(ds->exists(&host, "jails/web/m", &err), 1);
	assert_int_equal(ds->exists(&host, "jails/we", &err), 0);
	OK(ds->list(&host, "jails/", &all, &err));
	assert_int_equal(all.n, 4);
	assert_string_equal(all.at[0], "jails/other");
	assert_string_equal(all.at[3], "jails/web/m");
	OK(ds->list(&host, "fscomp/", &none, &err));
	assert_int_equal(none.n, 0);
}

static void
snapshots(void)
{
	autonames struct names a = NAMES_INIT, b = NAMES_INIT, c = NAMES_INIT;

	tree();
	OK(ds->create(&host, "jails/web", DATASET_PLAIN, &err));
	OK(ds->create(&host, "jails/web/m", DATASET_LAYERED, &err));
	OK(ds->snapshot(&host, "jails/web", "1001", true, &err));
	OK(ds->snapshot(&host, "jails/web/m", "1000", false, &err));
	FAILS(ds->snapshot(&host, "jails/web/m", "1000", false, &err), ERR_EXISTS);
	FAILS(ds->snapshot(&host, "jails/web", "1000", true, &err), ERR_EXISTS);
	FAILS(ds->snapshot(&host, "jails/none", "1000", false, &err), ERR_ABSENT);
	OK(ds->snapshots(&host, "jails/web/m", &a, &err));
	assert_int_equal(a.n, 2); /* the oldest first, whatever it is called */
	assert_string_equal(a.at[0], "1001");
	OK(ds->snapshots(&host, "jails/web", &b, &err));
	assert_int_equal(b.n, 1);
	FAILS(ds->snapshots(&host, "jails/none", &c, &err), ERR_ABSENT);
	OK(ds->snapshot_destroy(&host, "jails/web/m", "1001", &err));
	OK(ds->snapshot_destroy(&host, "jails/web/m", "1001", &err));
	OK(ds->snapshot_destroy(&host, "jails/none", "1001", &err));
	/* one that has a clone goes with it, and is not shown until then */
	OK(ds->clone(&host, "jails/web/m", "1000", "jails/twin", &err));
	OK(ds->snapshot_destroy(&host, "jails/web/m", "1000", &err));
	OK(ds->snapshots(&host, "jails/web/m", &c, &err));
	assert_int_equal(c.n, 0);
	OK(ds->destroy(&host, "jails/twin", true, &err));
}

static void
clones(void)
{
	autofree char *from = NULL, *none = NULL;

	tree();
	OK(ds->create(&host, "bases/12", DATASET_LAYERED, &err));
	OK(ds->snapshot(&host, "bases/12", "1000", false, &err));
	OK(ds->clone(&host, "bases/12", "1000", "jails/a/m", &err)); /* its parent is missing */
	FAILS(ds->clone(&host, "bases/12", "1000", "jails/a/m", &err), ERR_EXISTS);
	FAILS(ds->clone(&host, "bases/12", "999", "jails/c", &err), ERR_ABSENT);
	FAILS(ds->clone(&host, "bases/13", "1000", "jails/c", &err), ERR_ABSENT);
	OK(ds->origin(&host, "jails/a/m", &from, &err));
	assert_string_equal(from, "bases/12@1000");
	OK(ds->origin(&host, "bases/12", &none, &err));
	assert_null(none);
	FAILS(ds->origin(&host, "bases/13", &none, &err), ERR_ABSENT);
}

static void
copies(void)
{
	tree();
	OK(ds->create(&host, "bases/12", DATASET_LAYERED, &err));
	fill("/bases/12/f", 100000);
	OK(ds->snapshot(&host, "bases/12", "1000", false, &err));
	OK(ds->copy(&host, "bases/12", "1000", "jails/a", &err));
	OK(ds->copy(&host, "bases/12", "1000", "jails/b/m", &err)); /* its parent is missing */
	FAILS(ds->copy(&host, "bases/12", "1000", "jails/a", &err), ERR_EXISTS);
	FAILS(ds->copy(&host, "bases/12", "999", "jails/c", &err), ERR_ABSENT);
	FAILS(ds->copy(&host, "bases/13", "1000", "jails/c", &err), ERR_ABSENT);
}

/* Several are made at once, while the caller does something else. */
static void
at_once(void)
{
	const struct dataset_new copies_of[] = {
		{ .name = "jails/a/local", .from = "bases/12/local", .snap = "1000", .copy = true },
		{ .name = "jails/a/custom",
		    .from = "bases/12/custom",
		    .snap = "1000",
		    .copy = true },
	};
	const struct dataset_new clones_of[] = {
		{ .name = "jails/b/local", .from = "bases/12/local", .snap = "1000" },
		{ .name = "jails/c/custom", .from = "bases/12/custom", .snap = "1000" },
		{ .name = "jails/d", .from = "bases/12/custom", .snap = "999" },
	};
	const struct dataset_new empty = { .name = "jails/a", .kind = DATASET_PLAIN };
	const char *const asked[] = { "bases/12/local", "bases/12/custom", "bases/12/none" };
	struct names found[3] = { NAMES_INIT, NAMES_INIT, NAMES_INIT };
	struct dataset_work work = DATASET_WORK_INIT;

	tree();
	OK(ds->create(&host, "bases/12", DATASET_LAYERED, &err));
	OK(ds->create(&host, "bases/12/local", DATASET_LAYERED, &err));
	OK(ds->create(&host, "bases/12/custom", DATASET_LAYERED, &err));
	fill("/bases/12/custom/f", 100000);
	OK(ds->snapshot(&host, "bases/12", "1000", true, &err));
	OK(ds->snapshot(&host, "bases/12/custom", "1001", false, &err));
	OK(dataset_snapshots_of(&host, asked, 2, found, &err));
	assert_int_equal(found[0].n, 1);
	assert_int_equal(found[1].n, 2);
	assert_string_equal(found[1].at[1], "1001");
	names_fini(&found[0]);
	names_fini(&found[1]);
	FAILS(dataset_snapshots_of(&host, asked, 3, found, &err), ERR_ABSENT);
	SAYS("bases/12/none");
	OK(dataset_begin(&host, &empty, 1, &work, &err));
	OK(dataset_end(&work, &err));
	OK(dataset_end(&work, &err)); /* nothing is under way */
	OK(dataset_begin(&host, copies_of, 2, &work, &err));
	OK(dataset_end(&work, &err));
	OK(ds->snapshots(&host, "jails/a/custom", &found[0], &err));
	assert_int_equal(found[0].n, 0);
	/* the parents of the first two are missing, the snapshot of the third */
	OK(dataset_begin(&host, clones_of, 3, &work, &err));
	FAILS(dataset_end(&work, &err), ERR_ABSENT);
	SAYS("jails/d");
	assert_int_equal(ds->exists(&host, "jails/b/local", &err), 1);
	assert_int_equal(ds->exists(&host, "jails/c/custom", &err), 1);
	/* who gives up waits for it */
	OK(dataset_begin(&host, &(struct dataset_new){ .name = "jails/e" }, 1, &work, &err));
	dataset_work_fini(&work);
	assert_int_equal(ds->exists(&host, "jails/e", &err), 1);
}

static void
rollbacks(void)
{
	tree();
	OK(ds->create(&host, "jails/web", DATASET_PLAIN, &err));
	OK(ds->snapshot(&host, "jails/web", "1000", false, &err));
	OK(ds->snapshot(&host, "jails/web", "1001", false, &err));
	OK(ds->snapshot(&host, "jails/web", "1002", false, &err));
	OK(ds->rollback(&host, "jails/web", "1001", &err));
	FAILS(ds->rollback(&host, "jails/web", "1002", &err), ERR_ABSENT);
	FAILS(ds->rollback(&host, "jails/none", "1002", &err), ERR_ABSENT);
	OK(ds->clone(&host, "jails/web", "1001", "jails/twin", &err));
	FAILS(ds->rollback(&host, "jails/web", "1000", &err), ERR_BUSY);
	/* without -r, which the backend does not do */
	ASK_FAILS(ERR_REMOTE, "rollback", at("/jails/web@1000"));
	SAYS("more recent snapshots");
}

static void
renames(void)
{
	autofree char *where = xasprintf("mountpoint=%s", path("/jails/old/m"));
	autodataset_root struct dataset_root r = DATASET_ROOT_INIT;

	tree();
	OK(ds->create(&host, "jails/web", DATASET_PLAIN, &err));
	OK(ds->create(&host, "jails/web/m", DATASET_LAYERED, &err));
	OK(ds->create(&host, "jails/other", DATASET_PLAIN, &err));
	FAILS(ds->rename(&host, "jails/web", "jails/other", &err), ERR_EXISTS);
	FAILS(ds->rename(&host, "jails/none", "jails/x", &err), ERR_ABSENT);
	FAILS(ds->rename(&host, "jails/web", "none/x", &err), ERR_ABSENT);
	OK(ds->rename(&host, "jails/web", "jails/shop", &err));
	assert_int_equal(ds->exists(&host, "jails/shop/m", &err), 1);
	OK(ds->place(&host, "jails/shop/m", path("/jails/shop/elsewhere"), &err));
	FAILS(ds->place(&host, "jails/none", path("/jails/shop/elsewhere"), &err), ERR_ABSENT);
	/* a mount point by name, as pot 0.16 gives it to clones */
	OK(ds->create(&host, "jails/old", DATASET_PLAIN, &err));
	ASK("create", "-o", where, at("/jails/old/m"));
	OK(ds->rename(&host, "jails/old", "jails/new", &err));
	kernel_knows("/jails/new/m");
	OK(ds->root(&host, "jails/new/m", &r, &err));
	assert_string_equal(r.plain, path("/jails/new/m"));
}

static void
destroying(void)
{
	autofree char *from = NULL;
	autonames struct names seen = NAMES_INIT;

	tree();
	OK(ds->create(&host, "jails/web", DATASET_PLAIN, &err));
	OK(ds->create(&host, "jails/web/m", DATASET_LAYERED, &err));
	FAILS(ds->destroy(&host, "jails/web", false, &err), ERR_BUSY);
	ASK_FAILS(ERR_BUSY, "destroy", at("/jails/web"));
	SAYS("has children");
	OK(ds->snapshot(&host, "jails/web/m", "1000", false, &err));
	OK(ds->clone(&host, "jails/web/m", "1000", "jails/a", &err));
	OK(ds->clone(&host, "jails/web/m", "1000", "jails/b", &err));
	ASK_FAILS(ERR_BUSY, "destroy", at("/jails/web/m@1000"));
	SAYS("dependent clones");
	/* what others stand on is handed on to the first of them */
	OK(ds->destroy(&host, "jails/web", true, &err));
	OK(ds->destroy(&host, "jails/web", true, &err));
	OK(ds->origin(&host, "jails/b", &from, &err));
	assert_non_null(from);
	assert_string_equal(from, "jails/a@1000");
	OK(ds->snapshots(&host, "jails/a", &seen, &err));
	assert_int_equal(seen.n, 0);
	OK(ds->destroy(&host, "jails/a", true, &err));
	OK(ds->destroy(&host, "jails/b", true, &err));
	ASK_FAILS(ERR_REMOTE, "promote", at("/jails"));
	SAYS("not a cloned filesystem");
}

static void
user_properties(void)
{
	autofree char *none = NULL, *value = NULL, *after = NULL, *snapshots_too = NULL;

	tree();
	OK(ds->create(&host, "jails/web", DATASET_PLAIN, &err));
	OK(ds->property_get(&host, "jails/web", ":pot.tag", &none, &err));
	assert_null(none);
	OK(ds->property_set(&host, "jails/web", ":pot.tag", "1.0 final", &err));
	OK(ds->property_get(&host, "jails/web", ":pot.tag", &value, &err));
	assert_string_equal(value, "1.0 final");
	OK(ds->snapshot(&host, "jails/web", "1000", false, &err));
	OK(ds->property_get(&host, "jails/web", ":pot.tag", &snapshots_too, &err));
	OK(ds->property_set(&host, "jails/web", ":pot.tag", NULL, &err));
	OK(ds->property_get(&host, "jails/web", ":pot.tag", &after, &err));
	assert_null(after);
	FAILS(ds->property_set(&host, "jails/none", ":pot.tag", "1", &err), ERR_ABSENT);
	FAILS(ds->property_set(&host, "jails/none", ":pot.tag", NULL, &err), ERR_ABSENT);
	FAILS(ds->property_get(&host, "jails/none", ":pot.tag", &after, &err), ERR_ABSENT);
}

static const struct dataset_facts *
facts_of(const struct dataset_survey *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (str_eq(s->at[i].name, name))
			return &s->at[i];
	fail_msg("%s is not in the survey", name);
	return NULL;
}

static void
a_survey(void)
{
	autodataset_survey struct dataset_survey all = DATASET_SURVEY_INIT, none = all;
	const struct dataset_facts *base, *clone;

	tree();
	OK(ds->create(&host, "bases/12", DATASET_LAYERED, &err));
	fill("/bases/12/f", 600000);
	OK(ds->snapshot(&host, "bases/12", "1000", false, &err));
	OK(ds->clone(&host, "bases/12", "1000", "jails/a", &err));
	fill("/jails/a/g", 600000);
	OK(ds->snapshot(&host, "jails/a", "1001", false, &err));
	fill("/jails/a/h", 600000);
	settle();
	OK(ds->survey(&host, NULL, NULL, &all, &err));
	assert_int_equal(all.n, 4);
	base = facts_of(&all, "bases/12");
	clone = facts_of(&all, "jails/a");
	assert_in_range(base->used_bytes, 600000, 700000);
	assert_in_range(base->refer_bytes, 600000, 700000);
	assert_in_range(clone->used_bytes, 1200000, 1400000);
	assert_in_range(clone->refer_bytes, 1800000, 2000000);
	assert_string_equal(clone->origin, "bases/12@1000");
	assert_null(base->origin);
	assert_int_equal(base->snapshots.n, 1);
	assert_string_equal(clone->snapshots.at[0], "1001");
	FAILS(ds->survey(&host, "jails/none", NULL, &none, &err), ERR_ABSENT);
}

static void
places(void)
{
	autodataset_root struct dataset_root a = DATASET_ROOT_INIT, b = a, c = a;

	tree();
	OK(ds->create(&host, "jails/web", DATASET_PLAIN, &err));
	kernel_knows("/jails/web");
	OK(ds->root(&host, "jails/web", &a, &err));
	assert_string_equal(a.plain, path("/jails/web"));
	OK(ds->snapshot(&host, "jails/web", "1000", false, &err));
	directory("/jails/web/.zfs/snapshot/1000");
	kernel_knows("/jails/web");
	OK(ds->root(&host, "jails/web@1000", &b, &err));
	assert_string_equal(b.plain, path("/jails/web/.zfs/snapshot/1000"));
	kernel_knows("/jails/web");
	FAILS(ds->root(&host, "jails/web@1001", &c, &err), ERR_ABSENT);
	FAILS(ds->root(&host, "jails/none", &c, &err), ERR_ABSENT);
}

static void
mounting(void)
{
	autodataset_root struct dataset_root a = DATASET_ROOT_INIT, b = a, c = a;
	autofree char *odd = xasprintf("mountpoint=%s", path("/with a blank"));

	tree();
	OK(ds->create(&host, "jails/web", DATASET_PLAIN, &err));
	ASK("unmount", at("/jails/web"));
	OK(ds->root(&host, "jails/web", &a, &err)); /* it is mounted again */
	ASK_FAILS(ERR_REMOTE, "mount", at("/jails/web"));
	SAYS("already mounted");
	ASK("create", "-o", "mountpoint=none", at("/jails/none"));
	FAILS(ds->root(&host, "jails/none", &b, &err), ERR_UNSUPPORTED);
	ASK("create", "-o", "mountpoint=legacy", at("/jails/legacy"));
	FAILS(ds->root(&host, "jails/legacy", &b, &err), ERR_UNSUPPORTED);
	ASK("create", "-o", "canmount=off", at("/jails/off"));
	FAILS(ds->root(&host, "jails/off", &b, &err), ERR_REMOTE);
	ASK("create", "-o", odd, at("/jails/odd"));
	OK(ds->root(&host, "jails/odd", &c, &err));
	assert_string_equal(c.plain, path("/with a blank"));
}

/* Somebody is in it. */
static void
busy(void)
{
	autofd int in = -1;

	tree();
	OK(ds->create(&host, "jails/web", DATASET_PLAIN, &err));
	directory("/jails/web");
	in = open(path("/jails/web"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(in >= 0);
	ASK_FAILS(ERR_BUSY, "unmount", at("/jails/web"));
	FAILS(ds->rename(&host, "jails/web", "jails/shop", &err), ERR_BUSY);
	FAILS(ds->destroy(&host, "jails/web", true, &err), ERR_BUSY);
	assert_int_equal(ds->exists(&host, "jails/web", &err), 1);
	own_close(&in);
	in = -1;
	OK(ds->destroy(&host, "jails/web", true, &err));
}

static void
no_space(void)
{
	tree();
	ASK("create", "-o", "quota=8M", at("/jails/small"));
	fill("/jails/small/f", 6000000);
	settle();
	ASK("set", "refreservation=7M", at("/jails/small"));
	OK(ds->create(&host, "bases/12", DATASET_LAYERED, &err));
	fill("/bases/12/f", 4000000);
	OK(ds->snapshot(&host, "bases/12", "1000", false, &err));
	FAILS(ds->copy(&host, "bases/12", "1000", "jails/small/copy", &err), ERR_FULL);
	FAILS(ds->snapshot(&host, "jails/small", "1000", false, &err), ERR_FULL);
	ASK_FAILS(ERR_FULL, "create", "-o", "reservation=100T", at("/jails/huge"));
	ASK_FAILS(ERR_FULL, "set", "reservation=100T", at("/jails/small"));
}

static void
replication(void)
{
	struct dataset_stream out, in;
	autofree char *file = xasprintf("%s/stream", dir), *from = NULL;
	autofd int fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	tree();
	OK(ds->create(&host, "jails/web", DATASET_PLAIN, &err));
	OK(ds->create(&host, "jails/web/m", DATASET_LAYERED, &err));
	fill("/jails/web/m/f", 100000);
	OK(ds->snapshot(&host, "jails/web", "1000", true, &err));
	OK(ds->send(&host, "jails/web", "1000", fd, &out, &err));
	OK(ds->stream_end(&out, false, &err));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	OK(ds->receive(&host, "jails/copy", NULL, fd, &in, &err));
	OK(ds->stream_end(&in, false, &err));
	/* what is there already */
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	OK(ds->receive(&host, "jails/web", NULL, fd, &in, &err));
	FAILS(ds->stream_end(&in, false, &err), ERR_EXISTS);
	/* what does not exist */
	OK(ds->send(&host, "jails/web", "999", fd, &out, &err));
	FAILS(ds->stream_end(&out, false, &err), ERR_ABSENT);
	(void)unlink(file);
}

/* The stream of a clone, where what it stands on came in a stream as well. */
static void
layers(void)
{
	struct dataset_stream out, in;
	autofree char *file = xasprintf("%s/stream", dir), *from = NULL;
	autofd int fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	tree();
	OK(ds->create(&host, "jails/web", DATASET_PLAIN, &err));
	OK(ds->snapshot(&host, "jails/web", "1000", true, &err));
	OK(ds->copy(&host, "jails/web", "1000", "jails/copy", &err));
	OK(ds->send(&host, "jails/web", "1000", fd, &out, &err));
	OK(ds->stream_end(&out, false, &err));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	OK(ds->receive(&host, "jails/below", NULL, fd, &in, &err));
	OK(ds->stream_end(&in, false, &err));
	OK(ds->clone(&host, "jails/web", "1000", "jails/top", &err));
	OK(ds->snapshot(&host, "jails/top", "1001", false, &err));
	assert_true(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	OK(ds->send(&host, "jails/top", "1001", fd, &out, &err));
	OK(ds->stream_end(&out, false, &err));
	OK(ds->destroy(&host, "jails/top", true, &err));
	OK(ds->destroy(&host, "jails/web", true, &err));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	OK(ds->receive(&host, "jails/again", "jails/below@1000", fd, &in, &err));
	OK(ds->stream_end(&in, false, &err));
	OK(ds->origin(&host, "jails/again", &from, &err));
	assert_string_equal(from, "jails/below@1000");
	/* what it stands on is not there */
	OK(ds->destroy(&host, "jails/again", true, &err));
	OK(ds->destroy(&host, "jails/below", true, &err));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	OK(ds->receive(&host, "jails/again", "jails/below@1000", fd, &in, &err));
	FAILS(ds->stream_end(&in, false, &err), ERR_ABSENT);
	(void)unlink(file);
}

static void
bad_streams(void)
{
	struct dataset_stream out, in;
	autofree char *file = xasprintf("%s/stream", dir);
	autofd int fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	tree();
	OK(ds->create(&host, "jails/web", DATASET_PLAIN, &err));
	fill("/jails/web/f", 300000);
	OK(ds->snapshot(&host, "jails/web", "1000", true, &err));
	OK(ds->send(&host, "jails/web", "1000", fd, &out, &err));
	OK(ds->stream_end(&out, false, &err));
	off_t size = lseek(fd, 0, SEEK_END);
	assert_true(ftruncate(fd, size / 2) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	OK(ds->receive(&host, "jails/half", NULL, fd, &in, &err));
	FAILS(ds->stream_end(&in, false, &err), ERR_REMOTE);
	assert_int_equal(ds->exists(&host, "jails/half", &err), 0);
	assert_true(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	OK(ds->receive(&host, "jails/empty", NULL, fd, &in, &err));
	FAILS(ds->stream_end(&in, false, &err), ERR_REMOTE);
	OK(fd_write_all(fd,
	    "no stream at all, just some text, and then a little more of it\n"
	    "….",
	    60, &err));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	OK(ds->receive(&host, "jails/text", NULL, fd, &in, &err));
	FAILS(ds->stream_end(&in, false, &err), ERR_REMOTE);
	(void)unlink(file);
}

/* All below an encrypted dataset: nothing in the way of use; streams are another matter. */
static void
encryption(void)
{
	struct dataset_stream out;
	autofree char *key = xasprintf("%s/key", dir), *file = xasprintf("%s/stream", dir);
	autofree char *from = xasprintf("keylocation=file://%s", path(".key"));
	autofd int kept = open(path(".key"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	autofd int fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	OK(fd_write_all(kept, "correct horse\n", 14, &err));
	ASK("create", "-o", "encryption=on", "-o", "keyformat=passphrase", "-o", from, "-o",
	    "mountpoint=none", zfs_root);
	str_copy(zfs_root + strlen(zfs_root), 8, "/pot");
	tree();
	OK(ds->create(&host, "jails/web", DATASET_PLAIN, &err));
	fill("/jails/web/f", 100000);
	OK(ds->snapshot(&host, "jails/web", "1000", true, &err));
	OK(ds->clone(&host, "jails/web", "1000", "jails/twin", &err));
	OK(ds->copy(&host, "jails/web", "1000", "jails/copy", &err));
	OK(ds->send(&host, "jails/web", "1000", fd, &out, &err));
	FAILS(ds->stream_end(&out, false, &err), ERR_REMOTE);
	SAYS("raw");
	(void)unlink(path(".key")), (void)unlink(file);
}

static const struct scene {
	const char *name;
	void (*play)(void);
	bool everyday; /* zfs_answers knows all of it */
} scenes[] = {
	{ "the-tree", the_tree, true },
	{ "no-pool", no_pool, true },
	{ "making", making, true },
	{ "snapshots", snapshots, true },
	{ "clones", clones, true },
	{ "copies", copies, true },
	{ "at-once", at_once, true },
	{ "rollbacks", rollbacks, true },
	{ "renames", renames, true },
	{ "destroying", destroying, true },
	{ "user-properties", user_properties, true },
	{ "a-survey", a_survey, true },
	{ "places", places, true },
	{ "mounting", mounting, false },
	{ "busy", busy, false },
	{ "no-space", no_space, false },
	{ "replication", replication, true },
	{ "layers", layers, false },
	{ "bad-streams", bad_streams, false },
	{ "encryption", encryption, false },
};

/* ---- the stage ---- */

/* The directory of the program, fresh: its state begins anew. */
static void
stage(const struct scene *s)
{
	autofree char *stage_dir = xasprintf("%s/%s", dir, s->name);
	autofree char *conf = xasprintf("%s/conf", stage_dir);
	autofree char *file = xasprintf("%s/%s", transcripts, s->name), *self = NULL, *text = NULL;
	char exe[512];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	assert_true(n > 0);
	exe[n] = '\0';
	*strrchr(exe, '/') = '\0';
	self = xasprintf("%s/platform/zfs-transcript", exe);
	assert_int_equal(mkdir(stage_dir, 0755), 0);
	snprintf(program, sizeof(program), "%s/zfs", stage_dir);
	snprintf(root, sizeof(root), "%s/tree", stage_dir);
	snprintf(zfs_root, sizeof(zfs_root), "%s/pot", pool);
	autobuf struct buf code = BUF_INIT;
	OK(buf_read_file(&code, self, 64 << 20, &err));
	autofd int to = open(program, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	OK(fd_write_all(to, code.data, code.len, &err));
	text = xasprintf("%s\n%s\n%s\n%s\n%s\n", recording != NULL ? "record" : "replay", file,
	    real, pool, root);
	autofd int c = open(conf, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	OK(fd_write_all(c, text, strlen(text), &err));
	if (recording != NULL)
		(void)unlink(file);
	host.dataset = ds;
	host.roots.fs_root = root;
	host.roots.zfs_root = zfs_root;
	host.roots.zfs_command = program;
}

static int
strike(void **state)
{
	char all[160];
	const char *const argv[] = { "zfs", "destroy", "-f", "-R", all, NULL };

	snprintf(all, sizeof(all), "%s/pot", pool);
	(void)state;
	if (recording != NULL)
		run_real(real, argv);
	return 0;
}

static void
play(void **state)
{
	const struct scene *s = *state;

	stage(s);
	s->play();
}

static int
play_all(const char *name)
{
	struct CMUnitTest tests[NELEM(scenes)];
	size_t n = 0;

	for (size_t i = 0; i < NELEM(scenes); i++) {
		if (getenv("ZFS_EVERYDAY") != NULL && !scenes[i].everyday)
			continue;
		tests[n++] = (struct CMUnitTest){ .name = scenes[i].name,
			.test_func = play,
			.teardown_func = strike,
			.initial_state = (void *)(uintptr_t)&scenes[i] };
	}
	return _cmocka_run_group_tests(name, tests, n, NULL, NULL);
}

/* Each version that was asked. */
static int
replay_all(const char *fixtures)
{
	autonames struct names versions = NAMES_INIT;
	int failed = 0;

	if (dir_names(AT_FDCWD, fixtures, &versions, &err) < 0 || versions.n == 0) {
		fprintf(stderr, "SKIP: no transcripts in %s\n", fixtures);
		return 77;
	}
	for (size_t i = 0; i < versions.n; i++) {
		autofree char *where = xasprintf("%s/%s", fixtures, versions.at[i]);

		transcripts = where;
		failed += play_all(versions.at[i]);
		assert_int_equal(umount2(dir, 0), 0);
		assert_int_equal(mount("tmpfs", dir, "tmpfs", 0, "mode=755"), 0);
	}
	return failed != 0;
}

int
main(void)
{
	const char *fixtures = getenv("ZFS_FIXTURES");
	int rc;

	own_net_enter();
	recording = transcripts = getenv("ZFS_RECORD");
	real = getenv("ZFS_PROGRAM") != NULL ? getenv("ZFS_PROGRAM") : "/sbin/zfs";
	pool = getenv("ZFS_POOL") != NULL ? getenv("ZFS_POOL") : "zroot";
	if (mkdtemp(dir) == NULL || mount("tmpfs", dir, "tmpfs", 0, "mode=755") < 0)
		return 1;
	rc = recording != NULL ? play_all("recording") != 0
			       : replay_all(fixtures != NULL ? fixtures : ZFS_FIXTURES);
	if (umount2(dir, MNT_DETACH) < 0 || rmdir(dir) < 0)
		return 1;
	return rc;
}
