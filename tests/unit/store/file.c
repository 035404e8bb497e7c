#include "store/file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char path[64];
static int dir = -1;

static int
setup(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/potter-file.XXXXXX");
	if (mkdtemp(path) == NULL)
		return -1;
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 ? -1 : 0;
}

static int
entries(void)
{
	int n = 0;
	DIR *d = opendir(path);

	for (struct dirent *entry; (entry = readdir(d)) != NULL;)
		n += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
	closedir(d);
	return n;
}

static int
teardown(void **state)
{
	(void)state;
	(void)unlinkat(dir, "f", 0);
	close(dir);
	return rmdir(path);
}

static void
expect(const char *name, const char *content)
{
	struct err e = ERR_INIT;
	autobuf struct buf b = BUF_INIT;

	assert_int_equal(file_load(dir, name, 1000, &b, &e), 0);
	assert_string_equal(buf_str(&b), content);
}

static void
a_file_is_replaced_with_its_mode_and_nothing_else_remains(void **state)
{
	struct err e = ERR_INIT;
	struct stat st;

	(void)state;
	mode_t mask = umask(077);
	assert_int_equal(file_replace(dir, "f", "one", 3, 0644, &e), 0);
	umask(mask);
	expect("f", "one");
	assert_int_equal(fstatat(dir, "f", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(file_replace(dir, "f", "longer than one", 15, 0600, &e), 0);
	expect("f", "longer than one");
	assert_int_equal(file_swap(dir, "f", "x", 1, 0600, &e), 0);
	expect("f", "x");
	assert_int_equal(entries(), 1);
}

static void
a_name_with_a_slash_is_refused(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(file_replace(dir, "../f", "x", 1, 0600, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_int_equal(file_replace(dir, "", "x", 1, 0600, &e), -1);
	assert_int_equal(entries(), 0);
}

static void
a_refused_rename_leaves_the_old_state(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(mkdirat(dir, "f", 0700), 0);
	assert_int_equal(file_replace(dir, "f", "x", 1, 0600, &e), -1);
	assert_int_equal(entries(), 1);
	assert_int_equal(unlinkat(dir, "f", AT_REMOVEDIR), 0);
}

static void
absence_is_named_and_removal_is_idempotent(void **state)
{
	struct err e = ERR_INIT;
	autobuf struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(file_load(dir, "f", 10, &b, &e), -1);
	assert_int_equal(e.kind, ERR_ABSENT);
	assert_int_equal(file_remove(dir, "f", &e), 0);
	assert_int_equal(file_replace(dir, "f", "12345", 5, 0600, &e), 0);
	assert_int_equal(file_load(dir, "f", 4, &b, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_int_equal(file_remove(dir, "f", &e), 0);
	assert_int_equal(entries(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    a_file_is_replaced_with_its_mode_and_nothing_else_remains, setup, teardown),
		cmocka_unit_test_setup_teardown(a_name_with_a_slash_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_refused_rename_leaves_the_old_state, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    absence_is_named_and_removal_is_idempotent, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
