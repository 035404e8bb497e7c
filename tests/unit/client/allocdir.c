/* Unit tests of client/allocdir.c: the directories of an allocation come and go, and nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/allocdir.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];

static int
make_root(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/potter-unit-XXXXXX");
	return mkdtemp(root) == NULL ? -1 : 0;
}

static int
remove_root(void **state)
{
	(void)state;
	return rmdir(root);
}

static mode_t
mode_of(const char *name)
{
	struct stat st = { 0 };
	autofree char *path = xasprintf("%s/%s", root, name);

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static void
directories_have_the_modes_that_tasks_expect(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	for (int twice = 0; twice < 2; twice++) {
		assert_int_equal(allocdir_make(root, "a1", &e), 0);
		assert_int_equal(allocdir_make_task(root, "a1", "web", &e), 0);
	}
	assert_int_equal(mode_of("a1/alloc/logs"), 0777);
	assert_int_equal(mode_of("a1/alloc/tmp"), 01777);
	assert_int_equal(mode_of("a1/web/local"), 0777);
	assert_int_equal(mode_of("a1/web/secrets"), 0700);
	assert_int_equal(allocdir_remove(root, "a1", &e), 0);
	assert_int_equal(allocdir_remove(root, "a1", &e), 0);
}

static void
removal_does_not_follow_links(void **state)
{
	struct err e = ERR_INIT;
	autofree char *kept = xasprintf("%s/kept", root), *file = xasprintf("%s/kept/file", root);
	autofree char *link = xasprintf("%s/a2/alloc/data/out", root);

	(void)state;
	assert_int_equal(mkdir(kept, 0755), 0);
	close(open(file, O_CREAT | O_WRONLY, 0644));
	assert_int_equal(allocdir_make(root, "a2", &e), 0);
	assert_int_equal(symlink(kept, link), 0);
	assert_int_equal(allocdir_remove(root, "a2", &e), 0);
	assert_int_equal(access(file, F_OK), 0);
	unlink(file);
	rmdir(kept);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    directories_have_the_modes_that_tasks_expect, make_root, remove_root),
		cmocka_unit_test_setup_teardown(
		    removal_does_not_follow_links, make_root, remove_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
