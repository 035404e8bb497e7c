#include <signal.h>
#include "store/log.h"
#include "store/wal.h"

#include "base/buf.h"
#include "base/own.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[64], path[96], wal[110];

struct seen {
	char text[4096];
	uint64_t snapshot;
};

static int
see_row(void *ctx, const char *kind, const char *body, size_t len, struct err *e)
{
	struct seen *s = ctx;

	(void)e;
	snprintf(s->text + strlen(s->text), sizeof(s->text) - strlen(s->text), "[%s %.*s]", kind,
	    (int)len, body);
	return 0;
}

static void
see_done(void *ctx, uint64_t index)
{
	((struct seen *)ctx)->snapshot = index;
}

static int
see_entry(void *ctx, uint64_t index, const char *type, const char *body, size_t len, struct err *e)
{
	struct seen *s = ctx;

	if (strcmp(type, "refuse") == 0)
		return err_new(e, ERR_INPUT, "no such command");
	snprintf(s->text + strlen(s->text), sizeof(s->text) - strlen(s->text), "%d:%s=%.*s ",
	    (int)index, type, (int)(len > 40 ? 40 : len), body);
	return 0;
}

static int
recover(struct store_log **out, struct seen *seen, struct err *e)
{
	struct store_log_reader r = { see_row, see_done, see_entry, seen };

	memset(seen, 0, sizeof(*seen));
	*out = NULL;
	if (store_log_open(path, out, e) < 0)
		return -1;
	return store_log_recover(*out, &r, e);
}

static int
setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/potter-log.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/state.db", dir);
	snprintf(wal, sizeof(wal), "%s-wal", path);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	unlink(path);
	unlink(wal);
	return rmdir(dir);
}

static void
append(struct store_log *s, uint64_t index, const char *type, const char *body)
{
	struct err e = ERR_INIT;

	if (store_log_append(s, index, type, body, strlen(body), &e) < 0)
		fail_msg("%s", e.text);
}

static void
commit(struct store_log *s)
{
	struct err e = ERR_INIT;

	if (store_log_commit(s, &e) < 0)
		fail_msg("%s", e.text);
}

static void
expect_content(const char *text)
{
	struct store_log *s;
	struct seen seen;
	struct err e = ERR_INIT;

	if (recover(&s, &seen, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(seen.text, text);
	store_log_close(s);
}

static void
expect_damage(const char *word)
{
	struct store_log *s;
	struct seen seen;
	struct err e = ERR_INIT;

	assert_int_equal(recover(&s, &seen, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_non_null(strstr(e.text, path));
	assert_non_null(strstr(e.text, "left as it is"));
	if (strstr(e.text, word) == NULL)
		fail_msg("no \"%s\" in: %s", word, e.text);
	store_log_close(s);
}

static void
committed_entries_come_back_in_order_and_the_rest_does_not(void **state)
{
	struct store_log *s;
	struct seen seen;
	struct err e = ERR_INIT;
	struct stat st;

	(void)state;
	assert_int_equal(recover(&s, &seen, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	append(s, 1, "a", "one");
	append(s, 2, "b", "two");
	commit(s);
	append(s, 3, "c", "lost");
	assert_int_equal(store_log_last(s), 3);
	store_log_rollback(s);
	assert_int_equal(store_log_last(s), 2);
	assert_int_equal(store_log_append(s, 4, "d", "", 0, &e), -1);
	append(s, 3, "c", "");
	commit(s);
	append(s, 4, "d", "never committed");
	store_log_close(s);
	expect_content("1:a=one 2:b=two 3:c= ");
}

static void
what_a_killed_process_had_committed_is_there(void **state)
{
	struct store_log *s;
	struct seen seen;
	struct err e = ERR_INIT;
	int pipe_fd[2], status;
	uint64_t last = 0;

	(void)state;
	assert_int_equal(pipe(pipe_fd), 0);
	pid_t child = fork();
	if (child == 0) {
		if (recover(&s, &seen, &e) < 0)
			_exit(1);
		for (uint64_t i = 1;; i++) {
			if (store_log_append(s, i, "x", "body", 4, &e) < 0 ||
			    store_log_commit(s, &e) < 0 ||
			    write(pipe_fd[1], &i, sizeof(i)) != (ssize_t)sizeof(i))
				_exit(1);
		}
	}
	while (last < 40)
		assert_int_equal(read(pipe_fd[0], &last, sizeof(last)), sizeof(last));
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	close(pipe_fd[1]);
	while (read(pipe_fd[0], &last, sizeof(last)) == (ssize_t)sizeof(last))
		;
	close(pipe_fd[0]);
	assert_int_equal(recover(&s, &seen, &e), 0);
	assert_in_range(store_log_last(s), last, last + 1);
	store_log_close(s);
}

static void
a_snapshot_stands_for_the_entries_before_it_once_it_is_whole(void **state)
{
	struct store_log *s;
	struct seen seen;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(recover(&s, &seen, &e), 0);
	append(s, 1, "a", "1");
	append(s, 2, "a", "2");
	commit(s);
	assert_int_equal(store_log_snapshot_begin(s, 2, &e), 0);
	assert_int_equal(store_log_snapshot_add(s, "job", "x", 1, &e), 0);
	commit(s);
	append(s, 3, "a", "3");
	commit(s);
	store_log_close(s);
	expect_content("1:a=1 2:a=2 3:a=3 "); /* it was not ended */

	assert_int_equal(recover(&s, &seen, &e), 0);
	assert_int_equal(store_log_snapshot_begin(s, 2, &e), 0);
	assert_int_equal(store_log_snapshot_add(s, "job", "y", 1, &e), 0);
	append(s, 4, "a", "4");
	assert_int_equal(store_log_snapshot_add(s, "node", "z", 1, &e), 0);
	assert_int_equal(store_log_snapshot_end(s, &e), 0);
	assert_int_equal(store_log_entries(s), 2);
	commit(s);
	store_log_close(s);
	expect_content("[job y][node z]3:a=3 4:a=4 ");

	assert_int_equal(recover(&s, &seen, &e), 0);
	assert_int_equal(seen.snapshot, 2);
	assert_int_equal(store_log_snapshot_begin(s, 4, &e), 0);
	assert_int_equal(store_log_snapshot_end(s, &e), 0);
	store_log_rollback(s); /* as after a full disk */
	assert_int_equal(store_log_entries(s), 2);
	store_log_close(s);
	expect_content("[job y][node z]3:a=3 4:a=4 ");
}

static void
a_second_opener_is_turned_away(void **state)
{
	struct store_log *s;
	struct seen seen;
	struct err e = ERR_INIT;
	int status;

	(void)state;
	assert_int_equal(recover(&s, &seen, &e), 0);
	append(s, 1, "a", "1");
	commit(s);
	pid_t child = fork();
	if (child == 0) {
		struct store_log *t = NULL;
		_exit(store_log_open(path, &t, &e) < 0 && e.kind == ERR_BUSY ? 0 : 1);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	store_log_close(s);
}

static void
fill(int entries)
{
	struct store_log *s;
	struct seen seen;
	struct err e = ERR_INIT;
	char body[600];

	assert_int_equal(recover(&s, &seen, &e), 0);
	for (int i = 1; i <= entries; i++) {
		memset(body, 'a' + i % 26, sizeof(body));
		assert_int_equal(
		    store_log_append(s, (uint64_t)i, "entry", body, sizeof(body), &e), 0);
		commit(s);
	}
	store_log_close(s);
}

static off_t
size_of(const char *file)
{
	struct stat st;

	return stat(file, &st) == 0 ? st.st_size : -1;
}

static void
flip(const char *file, off_t at)
{
	unsigned char c;
	int fd = open(file, O_RDWR);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &c, 1, at), 1);
	c ^= 0x10;
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
	close(fd);
}

static void
every_flipped_bit_is_damage_or_harmless_but_never_another_content(void **state)
{
	struct store_log *s;
	struct seen before, now;
	struct err e = ERR_INIT;
	int found = 0;

	(void)state;
	fill(60);
	assert_int_equal(recover(&s, &before, &e), 0);
	store_log_close(s);
	off_t size = size_of(path);
	for (off_t at = 0; at < size; at += 97) {
		if (at == 18 || at == 19) /* the journal mode: WAL and rollback are equal here */
			continue;
		flip(path, at);
		if (recover(&s, &now, &e) == 0)
			assert_string_equal(now.text, before.text);
		else
			found++;
		store_log_close(s);
		unlink(wal);
		assert_int_equal(size_of(path), size);
		flip(path, at);
	}
	assert_true(found > size / 97 / 3);
	expect_content(before.text);
}

static void
an_empty_short_or_foreign_file_is_damage_and_stays(void **state)
{
	struct store_log *s;
	struct err e = ERR_INIT;

	(void)state;
	fill(60);
	off_t size = size_of(path);
	assert_int_equal(truncate(path, size / 2), 0);
	expect_damage("damaged");
	assert_int_equal(size_of(path), size / 2);
	assert_int_equal(truncate(path, 0), 0);
	expect_damage("empty");
	int fd = open(path, O_WRONLY);
	assert_int_equal(
	    write(fd, "this is no database, but long enough to be read as one", 54), 54);
	close(fd);
	expect_damage("not a database");
	assert_int_equal(size_of(path), 54);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(store_log_open(path, &s, &e), -1);
	assert_int_equal(rmdir(path), 0);
}

static void
copy_wal(struct buf *out)
{
	struct err e = ERR_INIT;

	assert_int_equal(buf_read_file(out, wal, 1 << 24, &e), 0);
}

static void
a_damaged_wal_is_told_but_a_torn_last_transaction_is_not(void **state)
{
	struct store_log *s;
	struct seen seen;
	struct err e = ERR_INIT;
	autobuf struct buf b = BUF_INIT;
	const size_t frame = 4096 + 24;

	(void)state;
	assert_int_equal(recover(&s, &seen, &e), 0);
	for (uint64_t i = 1; i <= 10; i++) {
		append(s, i, "a", "body");
		commit(s);
	}
	copy_wal(&b);
	store_log_close(s);
	assert_true(b.len > 8 * frame);
	assert_false(wal_damaged(b.data, b.len));
	for (size_t cut = 0; cut < b.len; cut += 1111)
		assert_false(wal_damaged(b.data, cut)); /* shorter: a cut, or a reset file */
	size_t frames = (b.len - 32) / frame;
	b.data[32 + (frames - 1) * frame + 100] ^= 1;
	assert_false(wal_damaged(b.data, b.len)); /* the last was not synced */
	b.data[32 + (frames - 1) * frame + 100] ^= 1;
	b.data[32 + frame * (frames - 4) + 100] ^= 1;
	assert_true(wal_damaged(b.data, b.len));
}

static void
an_entry_that_the_reader_refuses_is_damage(void **state)
{
	struct store_log *s;
	struct seen seen;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(recover(&s, &seen, &e), 0);
	append(s, 1, "a", "1");
	append(s, 2, "refuse", "x");
	commit(s);
	store_log_close(s);
	expect_damage("no such command");
}

static void
a_copy_is_named_when_the_file_is_damaged_and_can_take_its_place(void **state)
{
	struct store_log *s;
	struct seen seen;
	struct err e = ERR_INIT;
	char backup[120];

	(void)state;
	snprintf(backup, sizeof(backup), "%s.backup", path);
	assert_int_equal(recover(&s, &seen, &e), 0);
	append(s, 1, "a", "1");
	append(s, 2, "a", "2");
	commit(s);
	if (store_log_backup(s, &e) < 0 || store_log_backup(s, &e) < 0)
		fail_msg("%s", e.text);
	append(s, 3, "a", "3");
	commit(s);
	store_log_close(s);
	expect_content("1:a=1 2:a=2 3:a=3 ");
	assert_int_equal(truncate(path, 5000), 0);
	expect_damage("copy made at 20");
	expect_damage(backup);
	assert_int_equal(rename(backup, path), 0);
	expect_content("1:a=1 2:a=2 ");
}

static void
memory_works_as_a_file_does(void **state)
{
	struct store_log *s;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(store_log_open(NULL, &s, &e), 0);
	append(s, 1, "a", "1");
	commit(s);
	assert_int_equal(store_log_last(s), 1);
	store_log_close(s);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(committed_entries_come_back_in_order_and_the_rest_does_not),
		T(what_a_killed_process_had_committed_is_there),
		T(a_snapshot_stands_for_the_entries_before_it_once_it_is_whole),
		T(a_second_opener_is_turned_away),
		T(every_flipped_bit_is_damage_or_harmless_but_never_another_content),
		T(an_empty_short_or_foreign_file_is_damage_and_stays),
		T(a_damaged_wal_is_told_but_a_torn_last_transaction_is_not),
		T(an_entry_that_the_reader_refuses_is_damage),
		T(a_copy_is_named_when_the_file_is_damaged_and_can_take_its_place),
		T(memory_works_as_a_file_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
