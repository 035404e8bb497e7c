#include "platform/overlay/overlay.h"

#include "base/buf.h"
#include "base/str.h"
#include "platform/mount.h"
#include "platform/overlay/set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "dataset_trial.h"
#include "own_net.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/xattr.h>

static size_t
entries(const char *where)
{
	autonames struct names n = NAMES_INIT;

	OK(dir_names(AT_FDCWD, where, &n, &err));
	return n.n;
}

static int
fresh(void **state)
{
	(void)state;
	if (ds->root_create(&host, &err) < 0)
		fail_msg("%s", err.text);
	return 0;
}

/* Whatever a test made is destroyed, and then nothing at all may be left on disk. */
static int
clean(void **state)
{
	autonames struct names all = NAMES_INIT;

	(void)state;
	OK(ds->list(&host, "", &all, &err));
	for (size_t i = all.n; i-- > 0;)
		OK(ds->destroy(&host, all.at[i], true, &err));
	assert_int_equal(entries(path(".overlay/l")), 0);
	assert_int_equal(entries(path(".overlay/data")), 0);
	assert_int_equal(entries(path(".overlay/sets")), 0);
	assert_int_equal(entries(path(".overlay/trash")), 0);
	assert_int_equal(ds->sweep(&host, &err), 0);
	return 0;
}

static void
an_interrupted_rename_is_finished_by_the_next_call(void **state)
{
	(void)state;
	OK(ds->create(&host, "jails/web", DATASET_PLAIN, &err));
	OK(ds->create(&host, "jails/web/m", DATASET_LAYERED, &err));
	put(path("jails/web/f"), "mine");
	/* stopped after the directory moved */
	put(path(".overlay/rename"), "jails/web\njails/shop\n");
	assert_int_equal(rename(path("jails/web"), path("jails/shop")), 0);
	assert_int_equal(ds->exists(&host, "jails/shop/m", &err), 1);
	has(path("jails/shop/f"), "mine");
	assert_int_equal(ds->exists(&host, "jails/web", &err), 0);
	assert_false(is_there(path(".overlay/rename")));
}

static void
an_interrupted_rollback_is_finished_by_the_next_call(void **state)
{
	autodataset_root struct dataset_root r = DATASET_ROOT_INIT;
	struct set set = SET_OF(&host);

	(void)state;
	OK(ds->create(&host, "jails/web", DATASET_PLAIN, &err));
	put(path("jails/web/f"), "old");
	OK(ds->snapshot(&host, "jails/web", "1000", false, &err));
	put(path("jails/web/f"), "new");
	OK(set_open(&host, &set, "jails/web", STORE_CHANGE, &err));
	set.m.fill = xstrdup(set.m.snapshots[0].chain.at[0]);
	OK(set_save(&set, true, &err));
	set_close(&set);
	OK(ds->root(&host, "jails/web", &r, &err));
	has(path("jails/web/f"), "old");
}

static void
a_sweep_removes_what_nothing_leads_to(void **state)
{
	struct store s = STORE_OF(&host);
	char id[RUN_ID_TEXT], layer[RUN_ID_TEXT];

	(void)state;
	OK(ds->create(&host, "jails/web/m", DATASET_LAYERED, &err));
	in_dataset_put("jails/web/m", "f", "kept");
	OK(store_open(&s, host.roots.fs_root, STORE_CHANGE, &err));
	/* a create that stopped before its name was made, … */
	OK(data_create(&s, id, &err));
	OK(layer_create(&s, id, layer, &err));
	/* … a destroy that stopped after the name was gone, and one amid deletion */
	assert_int_equal(mkdir(path(".overlay/trash/x"), 0700), 0);
	put(path(".overlay/trash/x/f"), "x");
	/* while somebody is at work it stays away */
	assert_int_equal(ds->sweep(&host, &err), 0);
	assert_int_equal(entries(path(".overlay/l")), 2);
	store_close(&s);
	assert_int_equal(ds->sweep(&host, &err), 2);
	assert_int_equal(entries(path(".overlay/l")), 1);
	assert_int_equal(entries(path(".overlay/trash")), 0);
	in_dataset_has("jails/web/m", "f", "kept");
}

static void
a_damaged_description_is_told_and_can_be_destroyed(void **state)
{
	autonames struct names snaps = NAMES_INIT;
	struct store s = STORE_OF(&host);
	char id[RUN_ID_TEXT];

	(void)state;
	OK(ds->create(&host, "jails/web/m", DATASET_LAYERED, &err));
	OK(store_open(&s, host.roots.fs_root, STORE_READ, &err));
	OK(set_find(&s, "jails/web/m", id, &err));
	store_close(&s);
	(void)removexattr(path(".overlay/data/%s", id), "user.potter.meta");
	put(path(".overlay/data/%s/meta", id),
	    "overlay-dataset 1\nkind layered\nupper ../../x\nend\n");
	FAILS(ds->snapshots(&host, "jails/web/m", &snaps, &err), ERR_CORRUPT);
	assert_non_null(strstr(err.text, "jails/web/m"));
	FAILS(ds->sweep(&host, &err), ERR_CORRUPT);
	OK(ds->destroy(&host, "jails/web/m", true, &err));
	assert_int_equal(ds->sweep(&host, &err), 1);
}

static void
a_long_history_still_fits_into_one_mount(void **state)
{
	enum { MANY = 130 };
	autodataset_root struct dataset_root r = DATASET_ROOT_INIT;
	autodataset_root struct dataset_root end = DATASET_ROOT_INIT;

	(void)state;
	OK(ds->create(&host, "bases/12", DATASET_LAYERED, &err));
	for (int i = 0; i < MANY; i++) {
		char snap[16], file[1200];

		/* into the upper layer itself: as good as through a mount, and quicker */
		dataset_root_fini(&r);
		OK(ds->root(&host, "bases/12", &r, &err));
		snprintf(snap, sizeof(snap), "%d", 1000 + i);
		snprintf(file, sizeof(file), "%s/f%d", r.plain != NULL ? r.plain : r.upper, i);
		put(file, snap);
		if (i == 10) /* hidden from now on */
			in_dataset_put("bases/12", "f3", "changed");
		OK(ds->snapshot(&host, "bases/12", snap, false, &err));
	}
	OK(ds->root(&host, "bases/12", &end, &err));
	assert_true(end.lower.n < MANY);
	in_dataset_has("bases/12", "f0", "1000");
	in_dataset_has("bases/12", "f3", "changed");
	in_dataset_has("bases/12", "f129", "1129");
	in_dataset_has("bases/12@1005", "f3", "1003");
	in_dataset_has("bases/12@1005", "f6", NULL);
	OK(ds->rollback(&host, "bases/12", "1020", &err));
	in_dataset_has("bases/12", "f20", "1020");
	in_dataset_has("bases/12", "f21", NULL);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, clean)
	const struct CMUnitTest tests[] = {
		T(an_interrupted_rename_is_finished_by_the_next_call),
		T(an_interrupted_rollback_is_finished_by_the_next_call),
		T(a_sweep_removes_what_nothing_leads_to),
		T(a_damaged_description_is_told_and_can_be_destroyed),
		T(a_long_history_still_fits_into_one_mount),
	};
	int failed;

	own_net_enter();
	if (mkdtemp(dir) == NULL)
		return 1;
	/* in memory: syncing a busy disk a hundred times would take longer than all the rest */
	if (mount("tmpfs", dir, "tmpfs", 0, "mode=755") < 0)
		return 1;
	snprintf(root, sizeof(root), "%s/pots", dir);
	ds = host.dataset = &dataset_overlay;
	host.roots.fs_root = root;
	host.mount = &mount_native;
	failed = cmocka_run_group_tests_name("overlay", tests, NULL, NULL);
	if (umount2(dir, 0) < 0 || rmdir(dir) < 0)
		return 1;
	return failed;
}
