/*
 * What every dataset backend promises (platform/dataset.h), asked of each of them alike.
 */
#include "platform/dataset.h"

#include "base/buf.h"
#include "base/str.h"
#include "platform/btrfs/btrfs.h"
#include "platform/fake/fake.h"
#include "platform/mount.h"
#include "platform/overlay/overlay.h"
#include "platform/overlay/store.h"
#include "platform/zfs/zfs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "dataset_trial.h"
#include "loop.h"
#include "own_net.h"

#include <errno.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/time.h>

static const char *real_pool; /* of a real zfs, or NULL */

/* File systems tell sizes when they have written things down. */
static void
settle(void)
{
	if (ds == &dataset_zfs && real_pool != NULL) {
		char *const argv[] = { "zpool", "sync", (char *)(uintptr_t)real_pool, NULL };
		int status = -1;
		pid_t pid;

		assert_int_equal(posix_spawnp(&pid, "zpool", NULL, NULL, argv, environ), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		return;
	}
	autofd int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0 && syncfs(fd) == 0);
}

/* Files and directories that people would see. */
static size_t
entries(const char *where)
{
	autonames struct names all = NAMES_INIT;
	size_t n = 0;

	OK(dir_names(AT_FDCWD, where, &all, &err));
	for (size_t i = 0; i < all.n; i++)
		n += all.at[i][0] != '.';
	return n;
}

static int
fresh(void **state)
{
	(void)state;
	OK(ds->root_create(&host, &err));
	OK(ds->create(&host, "jails", DATASET_PLAIN, &err));
	OK(ds->create(&host, "bases", DATASET_PLAIN, &err));
	OK(ds->create(&host, "fscomp", DATASET_PLAIN, &err));
	return 0;
}

/* Whatever a test made is destroyed, and then nothing at all may be left. */
static int
clean(void **state)
{
	autonames struct names all = NAMES_INIT;

	(void)state;
	OK(ds->list(&host, "", &all, &err));
	for (size_t i = all.n; i-- > 0;)
		OK(ds->destroy(&host, all.at[i], true, &err));
	assert_int_equal(ds->sweep(&host, &err), 0);
	assert_int_equal(entries(root), 0);
	return 0;
}

static void
datasets_are_made_found_and_destroyed(void **state)
{
	autonames struct names all = NAMES_INIT;

	(void)state;
	OK(ds->create(&host, "jails/web", DATASET_PLAIN, &err));
	OK(ds->create(&host, "jails/web/m", DATASET_LAYERED, &err));
	FAILS(ds->create(&host, "jails/web", DATASET_PLAIN, &err), ERR_EXISTS);
	assert_int_equal(ds->exists(&host, "jails/web", &err), 1);
	assert_int_equal(ds->exists(&host, "jails/we", &err), 0);
	assert_true(is_there(path("jails/web/m")));
	OK(ds->list(&host, "jails/", &all, &err));
	assert_int_equal(all.n, 2);
	assert_string_equal(all.at[1], "jails/web/m");
	FAILS(ds->destroy(&host, "jails/web", false, &err), ERR_BUSY);
	OK(ds->destroy(&host, "jails/web", true, &err));
	OK(ds->destroy(&host, "jails/web", true, &err));
	assert_int_equal(ds->exists(&host, "jails/web", &err), 0);
	assert_false(is_there(path("jails/web")));
}

static void
names_that_lead_elsewhere_are_refused(void **state)
{
	static const char *const bad[] = { "", "/jails", "jails//web", "jails/../x", "a/",
		".overlay", "a b", "a%b" };

	(void)state;
	for (size_t i = 0; i < NELEM(bad); i++)
		FAILS(ds->create(&host, bad[i], DATASET_PLAIN, &err), ERR_INPUT);
}

static void
a_layered_dataset_goes_back_to_its_snapshots(void **state)
{
	autonames struct names snaps = NAMES_INIT;

	(void)state;
	OK(ds->create(&host, "bases/12", DATASET_LAYERED, &err));
	in_dataset_put("bases/12", "f", "one");
	OK(ds->snapshot(&host, "bases/12", "1000", false, &err));
	FAILS(ds->snapshot(&host, "bases/12", "1000", false, &err), ERR_EXISTS);
	in_dataset_put("bases/12", "f", "two");
	in_dataset_put("bases/12", "g", "new");
	OK(ds->snapshot(&host, "bases/12", "1001", false, &err));
	in_dataset_put("bases/12", "f", "three");

	in_dataset_has("bases/12", "f", "three");
	in_dataset_has("bases/12@1001", "f", "two");
	in_dataset_has("bases/12@1000", "f", "one");
	in_dataset_has("bases/12@1000", "g", NULL);

	OK(ds->rollback(&host, "bases/12", "1001", &err));
	in_dataset_has("bases/12", "f", "two");
	OK(ds->rollback(&host, "bases/12", "1000", &err));
	in_dataset_has("bases/12", "f", "one");
	in_dataset_has("bases/12", "g", NULL);
	OK(ds->snapshots(&host, "bases/12", &snaps, &err));
	assert_int_equal(snaps.n, 1);
	FAILS(ds->rollback(&host, "bases/12", "1001", &err), ERR_ABSENT);
}

static void
a_plain_dataset_goes_back_without_its_children(void **state)
{
	(void)state;
	OK(ds->create(&host, "jails/web", DATASET_PLAIN, &err));
	OK(ds->create(&host, "jails/web/m", DATASET_LAYERED, &err));
	in_dataset_put("jails/web/m", "inside", "kept");
	assert_int_equal(mkdir(path("jails/web/conf"), 0750), 0);
	put(path("jails/web/conf/pot.conf"), "old");
	assert_int_equal(link(path("jails/web/conf/pot.conf"), path("jails/web/conf/twin")), 0);
	assert_int_equal(symlink("pot.conf", path("jails/web/conf/link")), 0);
	OK(ds->snapshot(&host, "jails/web", "1000", false, &err));
	put(path("jails/web/conf/pot.conf"), "new");
	put(path("jails/web/conf/more"), "new");
	OK(ds->rollback(&host, "jails/web", "1000", &err));
	has(path("jails/web/conf/pot.conf"), "old");
	has(path("jails/web/conf/link"), "old");
	assert_false(is_there(path("jails/web/conf/more")));
	struct stat st;

	assert_int_equal(stat(path("jails/web/conf/twin"), &st), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(stat(path("jails/web/conf"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	in_dataset_has("jails/web/m", "inside", "kept");
}

static void
a_clone_shares_what_it_did_not_change(void **state)
{
	autofree char *origin = NULL, *none = NULL;
	autodataset_survey struct dataset_survey found = DATASET_SURVEY_INIT;

	(void)state;
	OK(ds->create(&host, "bases/12", DATASET_LAYERED, &err));
	in_dataset_put("bases/12", "f", "base");
	OK(ds->snapshot(&host, "bases/12", "1000", false, &err));
	OK(ds->clone(&host, "bases/12", "1000", "jails/a/m", &err));
	OK(ds->copy(&host, "bases/12", "1000", "jails/b/m", &err));
	FAILS(ds->clone(&host, "bases/12", "1000", "jails/a/m", &err), ERR_EXISTS);
	FAILS(ds->clone(&host, "bases/12", "999", "jails/c/m", &err), ERR_ABSENT);
	in_dataset_put("jails/a/m", "f", "mine");
	in_dataset_has("jails/a/m", "f", "mine");
	in_dataset_has("jails/b/m", "f", "base");
	in_dataset_has("bases/12", "f", "base");
	OK(ds->origin(&host, "jails/a/m", &origin, &err));
	assert_string_equal(origin, "bases/12@1000");
	OK(ds->origin(&host, "jails/b/m", &none, &err));
	assert_null(none);
	settle();
	OK(ds->survey(&host, "jails/a/m", NULL, &found, &err));
	assert_int_equal(found.n, 1);
	assert_in_range(found.at[0].used_bytes, 0, 100000);
	assert_string_equal(found.at[0].origin, "bases/12@1000");
}

static void
clones_live_on_without_their_origin(void **state)
{
	autofree char *origin = NULL;

	(void)state;
	OK(ds->create(&host, "bases/12", DATASET_LAYERED, &err));
	in_dataset_put("bases/12", "f", "base");
	OK(ds->snapshot(&host, "bases/12", "1000", false, &err));
	OK(ds->clone(&host, "bases/12", "1000", "jails/a/m", &err));
	OK(ds->rename(&host, "bases/12", "bases/13", &err));
	OK(ds->origin(&host, "jails/a/m", &origin, &err));
	assert_string_equal(origin, "bases/13@1000");
	OK(ds->destroy(&host, "bases/13", true, &err));
	in_dataset_has("jails/a/m", "f", "base");
}

static void
clones_of_plain_datasets_are_copies(void **state)
{
	(void)state;
	OK(ds->create(&host, "fscomp/www", DATASET_PLAIN, &err));
	put(path("fscomp/www/f"), "one");
	OK(ds->snapshot(&host, "fscomp/www", "1000", false, &err));
	put(path("fscomp/www/f"), "two");
	OK(ds->clone(&host, "fscomp/www", "1000", "fscomp/copy", &err));
	has(path("fscomp/copy/f"), "one");
	OK(ds->snapshot_destroy(&host, "fscomp/www", "1000", &err));
	OK(ds->snapshot_destroy(&host, "fscomp/www", "1000", &err));
	has(path("fscomp/copy/f"), "one");
}

static void
a_rename_takes_everything_below_along(void **state)
{
	(void)state;
	OK(ds->create(&host, "jails/web", DATASET_PLAIN, &err));
	OK(ds->create(&host, "jails/web/m", DATASET_LAYERED, &err));
	OK(ds->create(&host, "jails/other", DATASET_PLAIN, &err));
	put(path("jails/web/f"), "mine");
	in_dataset_put("jails/web/m", "f", "inside");
	FAILS(ds->rename(&host, "jails/web", "jails/other", &err), ERR_EXISTS);
	FAILS(ds->rename(&host, "jails/web", "jails/web/x", &err), ERR_INPUT);
	FAILS(ds->rename(&host, "jails/none", "jails/x", &err), ERR_ABSENT);
	OK(ds->rename(&host, "jails/web", "jails/shop", &err));
	has(path("jails/shop/f"), "mine");
	in_dataset_has("jails/shop/m", "f", "inside");
	assert_int_equal(ds->exists(&host, "jails/web", &err), 0);
	assert_int_equal(ds->exists(&host, "jails/web/m", &err), 0);
}

static void
properties_are_kept_until_unset(void **state)
{
	autofree char *value = NULL, *none = NULL;

	(void)state;
	OK(ds->create(&host, "jails/web", DATASET_PLAIN, &err));
	OK(ds->property_set(&host, "jails/web", ":pot.tag", "1.0 final", &err));
	OK(ds->property_get(&host, "jails/web", ":pot.tag", &value, &err));
	assert_string_equal(value, "1.0 final");
	OK(ds->property_set(&host, "jails/web", ":pot.tag", NULL, &err));
	OK(ds->property_get(&host, "jails/web", ":pot.tag", &none, &err));
	assert_null(none);
	FAILS(ds->property_set(&host, "jails/web", "a b", "x", &err), ERR_INPUT);
	FAILS(ds->property_set(&host, "jails/web", "a", "x\ny", &err), ERR_INPUT);
}

static void
the_root_goes_only_when_it_is_empty(void **state)
{
	(void)state;
	OK(ds->create(&host, "jails/web", DATASET_PLAIN, &err));
	FAILS(ds->root_destroy(&host, &err), ERR_BUSY);
	OK(clean(state));
	OK(ds->root_destroy(&host, &err));
	OK(ds->root_destroy(&host, &err));
	FAILS(ds->create(&host, "jails/web", DATASET_PLAIN, &err), ERR_ABSENT);
	assert_non_null(strstr(err.text, "pot init"));
	OK(fresh(state));
}

static void
many_at_once_do_not_disturb_each_other(void **state)
{
	enum { WORKERS = 8, ROUNDS = 8 };
	pid_t pids[WORKERS];

	(void)state;
	OK(ds->create(&host, "bases/12", DATASET_LAYERED, &err));
	in_dataset_put("bases/12", "f", "base");
	OK(ds->snapshot(&host, "bases/12", "1000", false, &err));
	for (int w = 0; w < WORKERS; w++) {
		pids[w] = fork();
		if (pids[w] != 0)
			continue;
		for (int i = 0; i < ROUNDS; i++) {
			char name[32];

			snprintf(name, sizeof(name), "jails/p%d-%d", w, i);
			if (ds->create(&host, name, DATASET_PLAIN, &err) < 0 ||
			    ds->destroy(&host, name, true, &err) < 0 ||
			    ds->clone(&host, "bases/12", "1000", name, &err) < 0 ||
			    ds->snapshot(&host, name, "1", false, &err) < 0 ||
			    (i % 3 == 0 && ds->sweep(&host, &err) < 0) ||
			    (i % 2 == 0 && ds->destroy(&host, name, true, &err) < 0)) {
				fprintf(stderr, "%s\n", err.text);
				_exit(1);
			}
		}
		_exit(0);
	}
	for (int w = 0; w < WORKERS; w++) {
		int status;

		waitpid(pids[w], &status, 0);
		assert_int_equal(status, 0);
	}
}

static void
a_snapshot_of_a_tree_is_of_all_or_none(void **state)
{
	autonames struct names a = NAMES_INIT, b = NAMES_INIT, none = NAMES_INIT;

	(void)state;
	OK(ds->create(&host, "jails/web", DATASET_PLAIN, &err));
	OK(ds->create(&host, "jails/web/m", DATASET_LAYERED, &err));
	OK(ds->create(&host, "jails/web2", DATASET_PLAIN, &err));
	OK(ds->snapshot(&host, "jails/web", "1000", true, &err));
	OK(ds->snapshots(&host, "jails/web", &a, &err));
	OK(ds->snapshots(&host, "jails/web/m", &b, &err));
	OK(ds->snapshots(&host, "jails/web2", &none, &err));
	assert_int_equal(a.n, 1);
	assert_int_equal(b.n, 1);
	assert_int_equal(none.n, 0);
	OK(ds->snapshot(&host, "jails/web/m", "1001", false, &err));
	FAILS(ds->snapshot(&host, "jails/web", "1001", true, &err), ERR_EXISTS);
	names_fini(&a);
	OK(ds->snapshots(&host, "jails/web", &a, &err));
	assert_int_equal(a.n, 1);
	FAILS(ds->snapshot(&host, "jails/none", "1", true, &err), ERR_ABSENT);
	FAILS(ds->snapshots(&host, "jails/none", &a, &err), ERR_ABSENT);
}

static void
snapshots_go_one_by_one(void **state)
{
	autonames struct names left = NAMES_INIT;

	(void)state;
	OK(ds->create(&host, "jails/web", DATASET_PLAIN, &err));
	OK(ds->create(&host, "jails/web/m", DATASET_LAYERED, &err));
	for (int i = 0; i < 3; i++) {
		char text[8];

		snprintf(text, sizeof(text), "%d", 1000 + i);
		in_dataset_put("jails/web/m", "f", text);
		OK(ds->snapshot(&host, "jails/web/m", text, false, &err));
	}
	OK(ds->clone(&host, "jails/web/m", "1001", "jails/twin", &err));
	OK(ds->snapshot_destroy(&host, "jails/web/m", "1001", &err));
	OK(ds->snapshot_destroy(&host, "jails/web/m", "1001", &err));
	OK(ds->snapshots(&host, "jails/web/m", &left, &err));
	assert_int_equal(left.n, 2);
	assert_string_equal(left.at[0], "1000");
	assert_string_equal(left.at[1], "1002");
	in_dataset_has("jails/twin", "f", "1001");
	in_dataset_has("jails/web/m@1000", "f", "1000");
	if (ds == &dataset_zfs) { /* a clone of what is newer is in its way */
		FAILS(ds->rollback(&host, "jails/web/m", "1000", &err), ERR_BUSY);
		OK(ds->destroy(&host, "jails/twin", true, &err));
		OK(ds->rollback(&host, "jails/web/m", "1000", &err));
		in_dataset_has("jails/web/m", "f", "1000");
		return;
	}
	OK(ds->rollback(&host, "jails/web/m", "1000", &err));
	in_dataset_has("jails/web/m", "f", "1000");
	in_dataset_has("jails/twin", "f", "1001");
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

static bool
never(void *ctx, const char *dataset)
{
	(void)ctx, (void)dataset;
	return false;
}

static void
a_survey_knows_all_and_their_sizes(void **state)
{
	static const struct dataset_watch idle = { .busy = never };
	autodataset_survey struct dataset_survey all = DATASET_SURVEY_INIT, part = all, later = all;
	autofree char *big = xcalloc(1, 600001);
	const struct dataset_facts *base, *clone;

	(void)state;
	uint64_t x = 88172645463325252u; /* what does not compress */
	for (size_t i = 0; i < 600000; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		big[i] = (char)('!' + x % 90);
	}
	OK(ds->create(&host, "bases/12", DATASET_LAYERED, &err));
	in_dataset_put("bases/12", "f", big);
	OK(ds->snapshot(&host, "bases/12", "1000", false, &err));
	OK(ds->clone(&host, "bases/12", "1000", "jails/a", &err));
	settle();
	OK(ds->survey(&host, NULL, &idle, &all, &err));
	assert_int_equal(all.n, 5);
	base = facts_of(&all, "bases/12");
	clone = facts_of(&all, "jails/a");
	assert_in_range(base->used_bytes, 600000, 800000);
	assert_in_range(base->refer_bytes, 600000, 800000);
	assert_in_range(clone->used_bytes, 0, 100000);
	assert_in_range(clone->refer_bytes, 600000, 800000);
	assert_string_equal(clone->origin, "bases/12@1000");
	assert_null(base->origin);
	assert_int_equal(base->snapshots.n, 1);
	/* what is written later is seen, also when it was measured before */
	in_dataset_put("jails/a", "g", big);
	OK(ds->snapshot(&host, "jails/a", "1001", false, &err));
	in_dataset_put("jails/a", "h", big);
	settle();
	OK(ds->survey(&host, "jails/a", &idle, &part, &err));
	assert_int_equal(part.n, 1);
	assert_in_range(part.at[0].used_bytes, 1200000, 1500000);
	assert_in_range(part.at[0].refer_bytes, 1800000, 2200000);
	OK(ds->survey(&host, NULL, &idle, &later, &err));
	assert_in_range(facts_of(&later, "bases/12")->used_bytes, 600000, 800000);
	FAILS(ds->survey(&host, "jails/none", &idle, &part, &err), ERR_ABSENT);
}

/* Everything that changes datasets, over and over. */
static void
keep_changing(unsigned turn)
{
	for (unsigned i = turn;; i++) {
		char snap[16], name[32], other[32];

		snprintf(snap, sizeof(snap), "%u", i);
		snprintf(name, sizeof(name), "jails/p%u", i % 3);
		snprintf(other, sizeof(other), "jails/q%u/m", i % 2);
		(void)ds->create(&host, name, DATASET_PLAIN, &err);
		(void)ds->snapshot(&host, "bases/12", snap, true, &err);
		(void)ds->clone(&host, "bases/12", snap, other, &err);
		(void)ds->copy(&host, "bases/12", snap, "jails/copy", &err);
		(void)ds->snapshot(&host, other, "1", false, &err);
		(void)ds->rollback(&host, other, "1", &err);
		(void)ds->rollback(&host, "fscomp/www", "1000", &err);
		(void)ds->rename(&host, name, "jails/renamed", &err);
		(void)ds->property_set(&host, "jails/renamed", ":pot.tag", snap, &err);
		(void)ds->snapshot_destroy(&host, "bases/12", snap, &err);
		(void)ds->destroy(&host, "jails/renamed", true, &err);
		(void)ds->destroy(&host, "jails/copy", true, &err);
		(void)ds->destroy(&host, other, true, &err);
	}
}

static void
all_is_whole(void)
{
	autodataset_survey struct dataset_survey all = DATASET_SURVEY_INIT;
	autodataset_root struct dataset_root r = DATASET_ROOT_INIT;

	OK(ds->survey(&host, NULL, NULL, &all, &err));
	for (size_t i = 0; i < all.n; i++) {
		const struct dataset_facts *f = &all.at[i];

		assert_int_equal(ds->exists(&host, f->name, &err), 1);
		dataset_root_fini(&r);
		OK(ds->root(&host, f->name, &r, &err));
		for (size_t k = 0; k < f->snapshots.n; k++) {
			autofree char *at = xasprintf("%s@%s", f->name, f->snapshots.at[k]);

			dataset_root_fini(&r);
			OK(ds->root(&host, at, &r, &err));
			assert_true(is_there(r.plain != NULL ? r.plain : r.lower.at[0]));
		}
	}
	in_dataset_has("bases/12", "f", "base");
	has(path("fscomp/www/f"), "one");
}

static void
a_kill_at_any_moment_leaves_all_whole(void **state)
{
	enum { KILLS = 25 };

	(void)state;
	if (ds == &dataset_zfs || str_eq(ds->name, "fake"))
		skip(); /* a command that was begun goes on without us; the fake is overlay */
	OK(ds->create(&host, "bases/12", DATASET_LAYERED, &err));
	in_dataset_put("bases/12", "f", "base");
	OK(ds->create(&host, "fscomp/www", DATASET_PLAIN, &err));
	put(path("fscomp/www/f"), "one");
	OK(ds->snapshot(&host, "fscomp/www", "1000", false, &err));
	for (unsigned i = 0; i < KILLS; i++) {
		/* SIGALRM ends it, at another point each time */
		const struct itimerval end = { .it_value = {
						   .tv_usec = 200 + i * i * 97 % 20000 } };
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			signal(SIGALRM, SIG_DFL);
			setitimer(ITIMER_REAL, &end, NULL);
			keep_changing(i * 1000);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
		if (i % 2 == 0)
			assert_true(ds->sweep(&host, &err) >= 0);
		all_is_whole();
	}
	assert_true(ds->sweep(&host, &err) >= 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fresh, clean)
static const struct CMUnitTest tests[] = {
	T(datasets_are_made_found_and_destroyed),
	T(names_that_lead_elsewhere_are_refused),
	T(a_layered_dataset_goes_back_to_its_snapshots),
	T(a_plain_dataset_goes_back_without_its_children),
	T(a_snapshot_of_a_tree_is_of_all_or_none),
	T(snapshots_go_one_by_one),
	T(a_clone_shares_what_it_did_not_change),
	T(clones_live_on_without_their_origin),
	T(clones_of_plain_datasets_are_copies),
	T(a_rename_takes_everything_below_along),
	T(a_survey_knows_all_and_their_sizes),
	T(properties_are_kept_until_unset),
	T(the_root_goes_only_when_it_is_empty),
	T(many_at_once_do_not_disturb_each_other),
	T(a_kill_at_any_moment_leaves_all_whole),
};

static int
run(const char *name, const struct dataset_ops *ops)
{
	ds = host.dataset = ops;
	return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

static int
on_overlay(void)
{
	/* in memory: syncing a busy disk a hundred times would take longer than all the rest */
	snprintf(root, sizeof(root), "%s/overlay", dir);
	return run("overlay", &dataset_overlay);
}

static int
on_btrfs(void)
{
	char device[64], where[64];
	int failed;

	snprintf(where, sizeof(where), "%s/btrfs", dir);
	if (loop_btrfs(dir, device) < 0 || mkdir(where, 0755) < 0 ||
	    mount(device, where, "btrfs", 0, NULL) < 0) {
		fprintf(stderr, "SKIP btrfs: no loop device with it here (%s)\n", strerror(errno));
		return 0;
	}
	loop_close();
	snprintf(root, sizeof(root), "%s/pots", where);
	failed = run("btrfs", &dataset_btrfs);
	return umount2(where, 0) < 0 ? 1 : failed;
}

static int
on_fake(void)
{
	char where[64];
	int failed;

	snprintf(where, sizeof(where), "%s/fake", dir);
	struct fake_host *fake = mkdir(where, 0755) < 0 ? NULL : fake_new(where);
	struct host keep = host;
	if (fake == NULL)
		return 1;
	host = host_fake(fake);
	host.mount = keep.mount; /* what is real here */
	snprintf(root, sizeof(root), "%s", fake->fs_root);
	failed = run("fake", host.dataset);
	host_fini(&host);
	fake_free(fake);
	host = keep;
	return failed;
}
/* Trees of pot 0.16 have mount points by name, and snapshots that others took. */
static void
zfs_trees_of_pot_are_taken_as_they_are(void **state)
{
	autodataset_root struct dataset_root r = DATASET_ROOT_INIT;
	autofree char *where = xasprintf("mountpoint=%s/jails/old/m", root);
	autonames struct names snaps = NAMES_INIT, all = NAMES_INIT;

	(void)state;
	OK(zfs_run(&host, NULL, &err, "create", "zroot/pot/jails/old", NULL));
	OK(zfs_run(&host, NULL, &err, "create", "-o", where, "zroot/pot/jails/old/m", NULL));
	in_dataset_put("jails/old/m", "f", "kept");
	OK(zfs_run(&host, NULL, &err, "snapshot", "-r", "zroot/pot/jails/old@auto-daily", NULL));
	OK(ds->rename(&host, "jails/old", "jails/new", &err));
	OK(ds->root(&host, "jails/new/m", &r, &err));
	assert_string_equal(r.plain, path("jails/new/m"));
	in_dataset_has("jails/new/m", "f", "kept");
	in_dataset_has("jails/new/m@auto-daily", "f", "kept");
	OK(ds->snapshots(&host, "jails/new", &snaps, &err));
	assert_int_equal(snaps.n, 1);
	OK(ds->list(&host, "jails/new/", &all, &err));
	assert_int_equal(all.n, 1);
	/* what zfs says against something is told, with its kind */
	FAILS(zfs_run(&host, NULL, &err, "promote", "zroot/pot/jails/new", NULL), ERR_REMOTE);
	assert_non_null(strstr(err.text, "not a cloned filesystem"));
}

/* A copy of what answers in place of zfs, in a directory of its own, beside which it keeps its
 * state. */
static bool
put_answers(char program[128])
{
	autobuf struct buf text = BUF_INIT;
	char self[512], from[600];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	autofd int fd = -1;

	if (n <= 0)
		return false;
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	snprintf(from, sizeof(from), "%s/platform/zfs-answers", self);
	snprintf(program, 128, "%s/answers", dir);
	if (mkdir(program, 0755) < 0 || buf_read_file(&text, from, 64 << 20, &err) < 0)
		return false;
	snprintf(program, 128, "%s/answers/zfs", dir);
	fd = open(program, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	return fd >= 0 && fd_write_all(fd, text.data, text.len, &err) == 0;
}

/* Trees of ZFS's own, and those of pot 0.16. */
static int
run_zfs(void)
{
	static const struct CMUnitTest more[] = { T(zfs_trees_of_pot_are_taken_as_they_are) };
	int failed = run("zfs", &dataset_zfs);

	return failed + cmocka_run_group_tests_name("zfs alone", more, NULL, NULL);
}

/* The real one, in the pool zroot, whose dataset zroot/pot is not there. It mounts snapshots, when
 * somebody looks into them, in the first mount namespace: so this one goes there. */
static int
on_real_zfs(void)
{
	autofd int here = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	autofd int first = open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC);
	int failed;

	if (here < 0 || first < 0 || setns(first, CLONE_NEWNS) < 0)
		return 1;
	real_pool = "zroot";
	failed = run_zfs() + (dataset_zfs.root_destroy(&host, &err) < 0);
	snprintf(root, sizeof(root), "%s/mnt", dir);
	(void)rmdir(root);
	return failed + (setns(here, CLONE_NEWNS) < 0);
}

static int
on_zfs(void)
{
	const char *real = getenv("POTTER_REAL_ZFS");
	char program[128];

	snprintf(root, sizeof(root), "%s/zfs", dir);
	host.roots.zfs_root = "zroot/pot";
	if (real != NULL && str_eq(real, "1"))
		return on_real_zfs();
	if (!put_answers(program)) {
		fprintf(stderr, "SKIP zfs: zfs-answers was not built\n");
		return 0;
	}
	host.roots.zfs_command = program;
	return run_zfs();
}

int
main(void)
{
	int failed;

	own_net_enter();
	if (mkdtemp(dir) == NULL || mount("tmpfs", dir, "tmpfs", 0, "mode=755") < 0)
		return 1;
	host.roots.fs_root = root;
	host.mount = &mount_native;
	failed = on_overlay() + on_btrfs() + on_fake() + on_zfs();
	if (umount2(dir, 0) < 0 || rmdir(dir) < 0)
		return 1;
	return failed != 0;
}
