/* Unit tests of image: what is packed comes out again, and what would harm is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/str.h"
#include "image/tool.h"
#include "image/verbs.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];
static struct tool tool;

static char *
at(const char *name)
{
	static char paths[8][256];
	static unsigned n;
	char *p = paths[n++ % 8];

	snprintf(p, sizeof(paths[0]), "%s/%s", dir, name);
	return p;
}

static int
set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/unit-image.XXXXXX");
	assert_non_null(mkdtemp(dir));
	tool = (struct tool){ .max_bytes = 1 << 24, .max_entries = 1000 };
	int null = open("/dev/null", O_WRONLY);
	report_open(&tool.report, null);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	assert_int_equal(chdir("/"), 0);
	close(tool.report.fd);
	tree_clear(dir, true);
	assert_int_equal(access(dir, F_OK), -1);
	return 0;
}

static void
put(const char *name, const char *text)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static bool
empty(const char *name)
{
	bool made;
	struct err e;

	return tree_claim(at(name), &made, &e) == 0;
}

/* ---- archives made to measure ---- */

struct made {
	const char *name, *link, *data;
	unsigned kind;
	int64_t size; /* 0: of data */
	bool hard;
};

static void
make_archive(const char *file, const struct made *m, size_t n)
{
	static char memory[2 << 20];
	struct archive *a = archive_write_new();
	size_t used = 0;

	archive_write_set_format_pax_restricted(a);
	archive_write_set_bytes_per_block(a, 512);
	assert_int_equal(archive_write_open_memory(a, memory, sizeof(memory), &used), ARCHIVE_OK);
	for (size_t i = 0; i < n; i++) {
		struct archive_entry *entry = archive_entry_new();

		archive_entry_set_pathname(entry, m[i].name);
		archive_entry_set_filetype(entry, m[i].kind);
		archive_entry_set_perm(entry, 0755);
		archive_entry_set_size(
		    entry, m[i].data != NULL ? (int64_t)strlen(m[i].data) : m[i].size);
		if (m[i].hard)
			archive_entry_set_hardlink(entry, m[i].link);
		else if (m[i].link != NULL)
			archive_entry_set_symlink(entry, m[i].link);
		if (m[i].kind == AE_IFCHR)
			archive_entry_set_rdev(entry, 0x103);
		assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
		if (m[i].data != NULL)
			archive_write_data(a, m[i].data, strlen(m[i].data));
		archive_entry_free(entry);
	}
	/* An entry of false size is filled up with zeros, until the memory ends. */
	assert_int_equal(archive_write_close(a), m[n - 1].size > 0 ? ARCHIVE_FATAL : ARCHIVE_OK);
	archive_write_free(a);
	int fd = open(at(file), O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_int_equal(write(fd, memory, used), (ssize_t)used);
	close(fd);
}

/* Unpacks into root/, and says the error's text; "" when it went well. */
static const char *
try_unpack(const char *file, enum err_kind *kind)
{
	static struct err e;
	struct unpack what = { .from = at(file), .root_dir = at("root") };

	e = (struct err)ERR_INIT;
	(void)unpack(&tool, &what, &e);
	if (kind != NULL)
		*kind = e.kind;
	return e.text;
}

static void
refused(const struct made *m, size_t n, const char *word)
{
	struct stat st;
	enum err_kind kind;

	make_archive("bad.tar", m, n);
	const char *text = try_unpack("bad.tar", &kind);
	if (strstr(text, word) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", text, word);
	assert_int_equal(kind, ERR_INPUT);
	assert_int_equal(stat(at("root"), &st), -1); /* nothing half-done */
	assert_int_equal(stat(at("evil"), &st), -1); /* and nothing outside */
}

static void
names_that_would_leave_are_refused(void **state)
{
	const struct made absolute[] = { { "ok", NULL, "x", AE_IFREG },
		{ "/evil", NULL, "x", AE_IFREG } };
	const struct made up[] = { { "ok", NULL, "x", AE_IFREG },
		{ "../evil", NULL, "x", AE_IFREG } };
	const struct made inner[] = { { "a/b/../../../evil", NULL, "x", AE_IFREG } };
	const struct made last[] = { { "a/..", NULL, NULL, AE_IFDIR } };

	(void)state;
	refused(absolute, 2, "\"/evil\" refused: its name is absolute");
	refused(up, 2, "\"../evil\" refused: it would leave");
	refused(inner, 1, "\"a/b/../../../evil\" refused");
	refused(last, 1, "\"a/../\" refused");
}

static void
writing_through_links_is_refused(void **state)
{
	char out[128];

	(void)state;
	snprintf(out, sizeof(out), "%s", dir);
	const struct made through[] = { { "way", out, NULL, AE_IFLNK },
		{ "way/evil", NULL, "x", AE_IFREG } };
	const struct made relative[] = { { "way", "..", NULL, AE_IFLNK },
		{ "way/evil", NULL, "x", AE_IFREG } };
	const struct made deeper[] = { { "d", NULL, NULL, AE_IFDIR },
		{ "d/way", "../..", NULL, AE_IFLNK }, { "d/way/evil", NULL, "x", AE_IFREG } };
	refused(through, 2, "way/evil");
	refused(relative, 2, "way/evil");
	refused(deeper, 3, "d/way/evil");
}

static void
hard_links_to_the_outside_are_refused(void **state)
{
	const struct made absolute[] = { { "x", "/etc/passwd", NULL, AE_IFREG, 0, true } };
	const struct made up[] = { { "x", "../secret", NULL, AE_IFREG, 0, true } };
	const struct made through[] = { { "way", "..", NULL, AE_IFLNK },
		{ "x", "way/secret", NULL, AE_IFREG, 0, true } };
	struct stat st;

	(void)state;
	put("secret", "s");
	refused(absolute, 1, "\"x\" refused");
	refused(up, 1, "\"x\" refused");
	refused(through, 2, "\"x\"");
	assert_int_equal(stat(at("secret"), &st), 0);
	assert_int_equal(st.st_nlink, 1);
}

static void
links_that_only_point_somewhere_are_fine(void **state)
{
	const struct made m[] = { { "etc", NULL, NULL, AE_IFDIR },
		{ "etc/mtab", "/proc/mounts", NULL, AE_IFLNK },
		{ "./bin", "usr/bin", NULL, AE_IFLNK }, { "up", "../../..", NULL, AE_IFLNK } };
	char target[64] = "";

	(void)state;
	make_archive("good.tar", m, 4);
	assert_string_equal(try_unpack("good.tar", NULL), "");
	assert_int_equal(readlink(at("root/etc/mtab"), target, sizeof(target) - 1), 12);
	assert_string_equal(target, "/proc/mounts");
}

static void
device_nodes_stay_out(void **state)
{
	const struct made dev[] = { { "dev", NULL, NULL, AE_IFDIR },
		{ "dev/null", NULL, NULL, AE_IFCHR } };
	const struct made other[] = { { "disk", NULL, NULL, AE_IFCHR } };
	struct stat st;

	(void)state;
	make_archive("dev.tar", dev, 2);
	assert_string_equal(try_unpack("dev.tar", NULL), "");
	assert_int_equal(stat(at("root/dev"), &st), 0);
	assert_int_equal(stat(at("root/dev/null"), &st), -1);
	tree_clear(at("root"), true);
	refused(other, 1, "\"disk\" refused: device nodes");
}

static void
sizes_are_bounded(void **state)
{
	const struct made huge[] = { { "big", NULL, NULL, AE_IFREG, (int64_t)1 << 50 } };
	struct made many[1001];
	char names[1001][8];

	(void)state;
	refused(huge, 1, "\"big\" refused: with it the archive is larger than 16 MB");
	for (int i = 0; i < 1001; i++) {
		snprintf(names[i], sizeof(names[i]), "f%d", i);
		many[i] = (struct made){ names[i], NULL, "x", AE_IFREG };
	}
	refused(many, 1001, "more than 1000 entries");
}

static void
names_of_an_image_are_conf_and_m(void **state)
{
	const struct made m[] = { { "conf/pot.conf", NULL, "x", AE_IFREG },
		{ "home/x", NULL, "x", AE_IFREG } };
	const struct made cross[] = { { "conf/pot.conf", NULL, "x", AE_IFREG },
		{ "m/x", "conf/pot.conf", NULL, AE_IFREG, 0, true } };
	struct unpack what = {
		.from = at("i.tar"), .root_dir = at("root"), .conf_dir = at("conf")
	};
	struct stat st;
	struct err e;

	(void)state;
	make_archive("i.tar", m, 2);
	assert_int_equal(unpack(&tool, &what, &e), -1);
	assert_non_null(strstr(e.text, "\"home/x\" refused: a pot image holds conf/ and m/ only"));
	assert_int_equal(stat(at("conf"), &st), -1);
	what.from = at("i2.tar"), what.root_dir = at("root"), what.conf_dir = at("conf");
	make_archive("i2.tar", cross, 2);
	assert_int_equal(unpack(&tool, &what, &e), -1);
	assert_non_null(strstr(e.text, "hard link to something outside"));
	assert_int_equal(stat(at("conf"), &st), -1);
}

static void
a_directory_in_use_is_not_touched(void **state)
{
	const struct made m[] = { { "x", NULL, "x", AE_IFREG } };
	enum err_kind kind;
	struct stat st;

	(void)state;
	make_archive("m.tar", m, 1);
	mkdir(at("root"), 0755);
	put("root/mine", "1");
	try_unpack("m.tar", &kind);
	assert_int_equal(kind, ERR_EXISTS);
	assert_int_equal(stat(at("root/mine"), &st), 0);
}

/* ---- packing ---- */

static void
make_pot(void)
{
	char big[70000];

	mkdir(at("pconf"), 0755);
	put("pconf/pot.conf", "pot.level=0\n");
	mkdir(at("proot"), 0700);
	mkdir(at("proot/d"), 0700);
	assert_int_equal(chmod(at("proot"), 0751), 0);
	assert_int_equal(chmod(at("proot/d"), 01777), 0);
	put("proot/d/file", "hello");
	for (size_t i = 0; i < sizeof(big) - 1; i++)
		big[i] = (char)('a' + i * i % 23);
	big[sizeof(big) - 1] = '\0';
	put("proot/big", big);
	assert_int_equal(chmod(at("proot/d/file"), 04711), 0);
	assert_int_equal(link(at("proot/d/file"), at("proot/d/same")), 0);
	assert_int_equal(symlink("/nowhere", at("proot/link")), 0);
	put("proot/n\xc3\xa4me", "utf-8");
	put("proot/n\xe4me", "latin-1");
}

static int
pack_pot(struct err *e)
{
	struct pack what = { .conf_dir = at("pconf"),
		.root_dir = at("proot"),
		.out_dir = at("reg"),
		.pot = "web",
		.tag = "1.0",
		.level = 1 };

	mkdir(at("reg"), 0755);
	return pack(&tool, &what, e);
}

static char *
text_of(const char *name)
{
	static struct buf texts[2];
	static unsigned n;
	struct buf *b = &texts[n++ % 2];
	struct err e;

	buf_reset(b);
	assert_int_equal(buf_read_file(b, at(name), 4096, &e), 0);
	return (char *)(uintptr_t)buf_str(b);
}

static int
import_pot(struct err *e)
{
	struct import what = { .url = at("reg"),
		.pot = "web",
		.tag = "1.0",
		.cache = at("cache"),
		.skein = text_of("reg/web_1.0.xz.skein"),
		.meta = text_of("reg/web_1.0.xz.meta"),
		.conf_dir = at("c4"),
		.root_dir = at("r4") };

	return import(&tool, &what, e);
}

static void
what_is_packed_comes_out_again(void **state)
{
	struct unpack what = {
		.from = at("reg/web_1.0.xz"), .root_dir = at("r2"), .conf_dir = at("c2")
	};
	struct stat st, same;
	struct err e;

	(void)state;
	make_pot();
	assert_int_equal(pack_pot(&e), 0);
	assert_int_equal(stat(at("reg/web_1.0.xz.skein"), &st), 0);
	assert_int_equal(st.st_size, 257);
	what.from = at("reg/web_1.0.xz"), what.root_dir = at("r2"), what.conf_dir = at("c2");
	assert_int_equal(unpack(&tool, &what, &e), 0);
	assert_int_equal(stat(at("c2/pot.conf"), &st), 0);
	assert_int_equal(stat(at("r2"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0751);
	assert_int_equal(stat(at("r2/d"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 01777);
	assert_int_equal(stat(at("r2/d/file"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 04711);
	assert_int_equal(stat(at("r2/d/same"), &same), 0);
	assert_int_equal(st.st_ino, same.st_ino);
	assert_int_equal(lstat(at("r2/link"), &st), 0);
	assert_int_equal(stat(at("r2/n\xc3\xa4me"), &st), 0);
	assert_int_equal(stat(at("r2/n\xe4me"), &st), 0);
	assert_int_equal(stat(at("r2/big"), &st), 0);
	assert_int_equal(st.st_size, 69999);
	assert_int_equal(pack_pot(&e), 0); /* in its place */
	assert_int_equal(import_pot(&e), 0);
	assert_int_equal(stat(at("r4/big"), &st), 0);
	assert_int_equal(stat(at("c4/pot.conf"), &st), 0);
}

static void
an_image_cut_short_is_refused(void **state)
{
	struct unpack what;
	struct stat st, root;
	struct err e;

	(void)state;
	make_pot();
	assert_int_equal(pack_pot(&e), 0);
	assert_int_equal(stat(at("reg/web_1.0.xz"), &st), 0);
	for (off_t size = st.st_size - 1; size > 0; size = size * 3 / 4 - 3) {
		assert_int_equal(truncate(at("reg/web_1.0.xz"), size), 0);
		what = (struct unpack){
			.from = at("reg/web_1.0.xz"), .root_dir = at("r3"), .conf_dir = at("c3")
		};
		assert_int_equal(unpack(&tool, &what, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
		assert_int_equal(stat(at("r3"), &root), -1);
		/* whatever the unpacker says of it, the digest is the better word */
		assert_int_equal(import_pot(&e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
		assert_non_null(strstr(e.text, "checksum is wrong"));
		assert_int_equal(stat(at("r4"), &root), -1);
		assert_int_equal(stat(at("c4"), &root), -1);
	}
}

static void
the_difference_of_two_trees(void **state)
{
	struct map changed = MAP_INIT;
	struct buf removed = BUF_INIT;
	struct err e;

	(void)state;
	make_pot();
	/* the same files, as a clone has them: hard links keep the time of the last change */
	mkdir(at("old"), 0755);
	mkdir(at("old/d"), 0755);
	mkdir(at("old/gone"), 0755);
	put("old/gone/x", "x");
	put("old/link", "was a file");
	put("old/big", "another");
	assert_int_equal(link(at("proot/d/file"), at("old/d/file")), 0);
	assert_int_equal(diff(&tool, at("old"), at("proot"), &changed, &removed, &e), 0);
	assert_false(map_has(&changed, "d/file"));
	assert_true(map_has(&changed, "d/same") && map_has(&changed, "d"));
	assert_true(map_has(&changed, "link") && map_has(&changed, "big"));
	assert_int_equal(removed.len, strlen("link") + strlen("gone") + 2);
	assert_int_equal(diff_remove(&tool, at("old"), removed.data, removed.len, &e), 0);
	assert_int_equal(access(at("old/gone"), F_OK), -1);
	assert_int_equal(access(at("old/link"), F_OK), -1);
	assert_int_equal(access(at("old/big"), F_OK), 0);
	assert_int_equal(diff_remove(&tool, at("old"), "../proot/big", 13, &e), -1);
	assert_int_equal(diff_remove(&tool, at("old"), "d/file", 6, &e), -1);
	assert_int_equal(diff_remove(&tool, at("old"), "absent/x", 9, &e), 0);
	map_fini(&changed);
	buf_fini(&removed);
}

static void
a_tree_is_copied_with_its_links(void **state)
{
	struct stat a, b;
	struct err e;

	(void)state;
	make_pot();
	assert_int_equal(copy_tree(&tool, at("proot"), at("copy"), &e), 0);
	assert_int_equal(stat(at("copy/d/file"), &a), 0);
	assert_int_equal(stat(at("copy/d/same"), &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	assert_int_equal(copy_tree(&tool, at("absent"), at("copy2"), &e), -1);
	assert_int_equal(e.kind, ERR_ABSENT);
	assert_true(empty("copy2"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(int argc, char **argv)
{
	if (argc == 4 && str_eq(argv[3], "expand")) /* started as pot-image expand */
		return image_main(argc, argv);
	const struct CMUnitTest tests[] = {
		T(names_that_would_leave_are_refused),
		T(writing_through_links_is_refused),
		T(hard_links_to_the_outside_are_refused),
		T(links_that_only_point_somewhere_are_fine),
		T(device_nodes_stay_out),
		T(sizes_are_bounded),
		T(names_of_an_image_are_conf_and_m),
		T(a_directory_in_use_is_not_touched),
		T(what_is_packed_comes_out_again),
		T(an_image_cut_short_is_refused),
		T(the_difference_of_two_trees),
		T(a_tree_is_copied_with_its_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
