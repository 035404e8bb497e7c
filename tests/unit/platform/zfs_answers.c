/*
 * zfs_answers: answers like the command zfs, on a machine without ZFS.
 *
 * A stand-in: what it is asked about are ordinary directories, copied where ZFS would share. Its
 * words and columns are those of a real zfs, which was asked the same (tests/fixtures/zfs);
 * tests/host/linux/record_zfs.py compares them line by line. Sizes are counted files, and streams
 * are names. It knows the uses that src/platform/zfs makes of the command every day and refuses all
 * others. Its state lies beside the program, so each test puts a copy of it into a directory of its
 * own.
 */
#include "zfs_pool.h"

#include "base/buf.h"
#include "base/str.h"
#include "platform/overlay/store.h"
#include "platform/overlay/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* ---- verbs ---- */

static const char *
option(char **argv, const char *name)
{
	for (; *argv != NULL; argv++)
		if (str_eq(*argv, name))
			return argv[1];
	return NULL;
}

static bool
has(char **argv, const char *flag)
{
	for (; *argv != NULL; argv++)
		if (str_eq(*argv, flag))
			return true;
	return false;
}

static const char *
last(char **argv)
{
	while (argv[1] != NULL)
		argv++;
	return *argv;
}

static void
parent_of(const char *name, char out[512])
{
	char *slash;

	str_copy(out, 512, name);
	slash = strrchr(out, '/');
	if (slash != NULL)
		*slash = '\0';
}

static void
check_new(const char *name)
{
	char above[512];

	if (find(name) != NULL)
		die("cannot create '%s': dataset already exists", name);
	autofree char *pool = xstrndup(name, strcspn(name, "/"));
	if (find(pool) == NULL) {
		fprintf(stderr, "cannot create '%s': no such pool '%s'\n", name, pool);
		exit(1);
	}
	parent_of(name, above);
	if (find(above) == NULL)
		die("cannot create '%s': parent does not exist", name);
}

static void
make(const char *name, const char *where, bool mounted)
{
	char path[1024];

	add(name, where, "-");
	mountpoint(name, path);
	if (!mounted)
		return;
	must(mkdir_parents(AT_FDCWD, path, &err));
	(void)mkdir(path, 0755);
}

static void
do_create(char **argv)
{
	const char *name = last(argv), *where = "-";
	bool mounted = true;
	char above[512];

	for (char **w = argv; *w != NULL; w++) {
		if (str_starts(*w, "mountpoint="))
			where = *w + strlen("mountpoint=");
		mounted = mounted && !str_eq(*w, "canmount=off");
	}
	if (has(argv, "-p")) {
		if (find(name) != NULL)
			return;
		parent_of(name, above);
		if (find(above) == NULL) {
			char *const again[] = { "-p", above, NULL };

			do_create((char **)(uintptr_t)again);
		}
	}
	check_new(name);
	make(name, where, mounted);
}

static void
do_clone(char **argv)
{
	const char *to = last(argv);
	const struct row *from = need(argv[0]);
	autofree char *files = content(from);
	char where[1024], origin[512];

	check_new(to);
	str_copy(origin, sizeof(origin), from->name);
	add(to, "-", origin);
	mountpoint(to, where);
	copy_files(files, where, NULL);
}

static void
do_snapshot(char **argv)
{
	autofree char *name = xstrdup(last(argv));
	char *at = strchr(name, '@');
	size_t n = rows_n;

	*at++ = '\0';
	if (find(name) == NULL) {
		fprintf(stderr, "cannot open '%s': dataset does not exist\nusage:\n", name);
		exit(2);
	}
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < n; i++) {
			autofree char *snap = xasprintf("%s@%s", rows[i].name, at);
			char where[1024];

			if (rows[i].gone || is_snapshot(&rows[i]) || !is_in(rows[i].name, name) ||
			    (!has(argv, "-r") && !str_eq(rows[i].name, name)))
				continue;
			if (pass == 0) {
				if (find(snap) != NULL)
					die(has(argv, "-r")
						? "cannot create snapshot '%s': dataset already "
						  "exists\nno snapshots were created"
						: "cannot create snapshot '%s': dataset already "
						  "exists",
					    snap);
				continue;
			}
			struct row *r = add(snap, "-", "-");
			autofree char *files = content(r);
			mountpoint(rows[i].name, where);
			copy_files(where, files, rows[i].name);
			show_snapshot(r, true);
		}
}

/* A clone of `snapshot` that is outside of `top`, or NULL. */
static struct row *
clone_of(const char *snapshot, const char *top)
{
	for (size_t i = 0; i < rows_n; i++)
		if (!rows[i].gone && str_eq(rows[i].origin, snapshot) &&
		    (top == NULL || !is_in(rows[i].name, top)))
			return &rows[i];
	return NULL;
}

/* Snapshots that waited for the last of their clones. */
static void
drop_deferred(void)
{
	for (size_t i = 0; i < rows_n; i++)
		if (!rows[i].gone && rows[i].deferred && clone_of(rows[i].name, NULL) == NULL)
			drop_snapshot(&rows[i]);
}

/* Says that clones of a snapshot, or of what is in `top`, are in the way, and ends. */
static void
die_of_clones(const char *fmt, const char *name, const char *top)
{
	fprintf(stderr, fmt, name);
	fputc('\n', stderr);
	for (size_t i = 0; i < rows_n; i++)
		if (!rows[i].gone && !is_snapshot(&rows[i]) && !is_in(rows[i].name, top) &&
		    is_in(rows[i].origin, top))
			fprintf(stderr, "%s\n", rows[i].name);
	exit(1);
}

static void
destroy_snapshot(const char *name, bool defer)
{
	autofree char *dataset = xstrndup(name, strcspn(name, "@"));
	struct row *r = find(name);

	need(dataset);
	if (r == NULL)
		die("could not find any snapshots to destroy; check snapshot names.%s", "");
	if (clone_of(name, NULL) == NULL)
		drop_snapshot(r);
	else if (defer)
		r->deferred = true;
	else
		die_of_clones("cannot destroy '%s': snapshot has dependent clones\n"
			      "use '-R' to destroy the following datasets:",
		    name, name);
}

static void
die_of_children(const char *name)
{
	fprintf(stderr,
	    "cannot destroy '%s': filesystem has children\n"
	    "use '-r' to destroy the following datasets:\n",
	    name);
	for (size_t i = 0; i < rows_n; i++)
		if (!rows[i].gone && is_in(rows[i].name, name) && !str_eq(rows[i].name, name))
			fprintf(stderr, "%s\n", rows[i].name);
	exit(1);
}

static void
do_destroy(char **argv)
{
	const char *name = last(argv);
	char where[1024];

	if (strchr(name, '@') != NULL) {
		destroy_snapshot(name, has(argv, "-d"));
		return;
	}
	need(name);
	for (size_t i = 0; i < rows_n; i++) {
		if (rows[i].gone || !is_in(rows[i].name, name) || str_eq(rows[i].name, name))
			continue;
		if (!has(argv, "-r") && !has(argv, "-R"))
			die_of_children(name);
		if (is_snapshot(&rows[i]) && clone_of(rows[i].name, name) != NULL)
			die_of_clones("cannot destroy '%s': filesystem has dependent clones\n"
				      "use '-R' to destroy the following datasets:",
			    name, name);
	}
	mountpoint(name, where);
	for (size_t i = rows_n; i-- > 0;)
		if (!rows[i].gone && is_in(rows[i].name, name)) {
			if (is_snapshot(&rows[i]))
				drop_snapshot(&rows[i]);
			else
				rows[i].gone = true;
		}
	remove_tree(where);
	drop_deferred();
}

static void
do_rename(char **argv)
{
	const char *from = argv[str_eq(argv[0], "-f") ? 1 : 0], *to = last(argv);
	char above[512], a[1024], b[1024];
	size_t n = strlen(from);

	need(from);
	if (find(to) != NULL)
		die("cannot rename '%s': dataset already exists", from);
	parent_of(to, above);
	if (find(above) == NULL)
		die("cannot create '%s': parent does not exist", to);
	mountpoint(from, a);
	for (size_t i = 0; i < rows_n; i++) {
		char *fields[] = { rows[i].name, rows[i].origin };

		for (size_t k = 0; k < 2 && !rows[i].gone; k++)
			if (is_in(fields[k], from)) {
				autofree char *new = xasprintf("%s%s", to, fields[k] + n);

				str_copy(fields[k], 512, new);
			}
	}
	for (size_t i = 0; i < properties_n; i++)
		if (is_in(properties[i].name, from)) {
			autofree char *new = xasprintf("%s%s", to, properties[i].name + n);

			str_copy(properties[i].name, sizeof(properties[i].name), new);
		}
	mountpoint(to, b);
	if (rename(a, b) < 0)
		die("cannot rename to '%s': dataset is busy", to);
}

static void
do_rollback(char **argv)
{
	const struct row *to = need(last(argv));
	autofree char *dataset = xstrndup(to->name, strcspn(to->name, "@")), *files = content(to);
	autonames struct names keep = NAMES_INIT, all = NAMES_INIT;
	char where[1024];
	uint64_t txg = to->txg;

	for (size_t i = 0; i < rows_n && !has(argv, "-r"); i++)
		if (!rows[i].gone && is_of(&rows[i], dataset) && rows[i].txg > txg) {
			fprintf(stderr,
			    "cannot rollback to '%s': more recent snapshots or bookmarks exist\n"
			    "use '-r' to force deletion of the following snapshots and bookmarks:\n"
			    "%s\n",
			    to->name, rows[i].name);
			exit(1);
		}
	for (size_t i = 0; i < rows_n; i++)
		if (!rows[i].gone && is_of(&rows[i], dataset) && rows[i].txg > txg &&
		    clone_of(rows[i].name, NULL) != NULL)
			die_of_clones(
			    "cannot rollback to '%s': clones of previous snapshots exist\n"
			    "use '-R' to force deletion of the following clones and dependents:",
			    to->name, rows[i].name);
	for (size_t i = 0; i < rows_n; i++)
		if (!rows[i].gone && is_of(&rows[i], dataset) && rows[i].txg > txg)
			drop_snapshot(&rows[i]);
	mountpoint(dataset, where);
	autofd int fd = open_at(where);
	skipped(dataset, &keep);
	must(dir_names(fd, ".", &all, &err));
	for (size_t i = 0; i < all.n; i++) {
		autofree char *path = xasprintf("%s/%s", where, all.at[i]);

		if (names_have(&keep, all.at[i]))
			continue;
		remove_tree(path);
		(void)unlink(path);
	}
	copy_files(files, where, dataset);
}

static void
do_promote(char **argv)
{
	struct row *clone = need(last(argv)), *origin = find(clone->origin);

	if (origin == NULL)
		die("cannot promote '%s': not a cloned filesystem", clone->name);
	autofree char *dataset = xstrndup(origin->name, strcspn(origin->name, "@"));
	struct row *old = need(dataset);
	uint64_t txg = origin->txg;
	char old_origin[512];

	str_copy(old_origin, sizeof(old_origin), old->origin);
	for (size_t i = 0; i < rows_n; i++) {
		if (rows[i].gone || !is_of(&rows[i], dataset) || rows[i].txg > txg)
			continue;
		autofree char *new = xasprintf("%s%s", clone->name, strchr(rows[i].name, '@'));
		show_snapshot(&rows[i], false);
		for (size_t k = 0; k < rows_n; k++)
			if (!rows[k].gone && str_eq(rows[k].origin, rows[i].name))
				str_copy(rows[k].origin, sizeof(rows[k].origin), new);
		str_copy(rows[i].name, sizeof(rows[i].name), new);
		show_snapshot(&rows[i], true);
	}
	str_copy(old->origin, sizeof(old->origin), origin->name);
	str_copy(clone->origin, sizeof(clone->origin), old_origin);
}

/* A replication stream begins as a real one does; then come the names. */
static const unsigned char replication[16] = { [8] = 0xac, 0xcb, 0xba, 0xf5, 0x02 };

static void
do_send(char **argv)
{
	const struct row *r = need(last(argv));

	if (!has(argv, "-R")) {
		printf("%s\n", r->name);
		return;
	}
	autofree char *set = xstrndup(r->name, strcspn(r->name, "@"));
	const char *snap = strchr(r->name, '@');
	autofree char *inside = xasprintf("%s/", set);
	fwrite(replication, 1, sizeof(replication), stdout);
	printf("%s\n", r->name);
	for (size_t i = 0; i < rows_n; i++)
		if (!rows[i].gone && str_starts(rows[i].name, inside) &&
		    strchr(rows[i].name, '@') != NULL && str_eq(strchr(rows[i].name, '@'), snap))
			printf("%s\n", rows[i].name);
}

static void
receive_one(const char *to, const char *from, const char *origin)
{
	char where[1024];
	autofree char *files = content(need(from));
	autofree char *snap = xasprintf("%s%s", to, strchr(from, '@'));

	add(to, "-", origin);
	mountpoint(to, where);
	copy_files(files, where, NULL);
	autofree char *kept = content(add(snap, "-", "-"));
	copy_files(files, kept, NULL);
	show_snapshot(find(snap), true);
}

/* Names lead below `to` as they lie below the first of them. */
static void
receive_replication(char **argv, const char *to)
{
	unsigned char head[sizeof(replication)];
	char from[512], top[512] = "";

	if (fread(head, 1, sizeof(head), stdin) != sizeof(head) ||
	    memcmp(head, replication, sizeof(head)) != 0)
		die("cannot receive: invalid stream (bad magic number)%s", "");
	if (!has(argv, "mountpoint"))
		die("cannot mount '%s': it is where it was sent from", to);
	while (scanf("%511s", from) == 1) {
		autofree char *set = xstrndup(from, strcspn(from, "@"));
		const struct row *r = need(set);
		const char *origin = "-";

		if (top[0] == '\0')
			str_copy(top, sizeof(top), set);
		for (size_t i = 0; !str_eq(r->origin, "-") && argv[i] != NULL; i++)
			if (str_starts(argv[i], "origin="))
				origin = need(argv[i] + strlen("origin="))->name;
		if (!str_eq(r->origin, "-") && str_eq(origin, "-"))
			die("cannot receive: local origin for clone %s does not exist", from);
		autofree char *into = xasprintf("%s%s", to, set + strlen(top));
		receive_one(into, from, origin);
	}
}

static void
do_receive(char **argv)
{
	const char *to = last(argv);
	char above[512], from[512];

	if (find(to) != NULL)
		die("cannot receive new filesystem stream: destination '%s' exists\n"
		    "must specify -F to overwrite it",
		    to);
	parent_of(to, above);
	if (find(above) == NULL)
		die("cannot open '%s': dataset does not exist\n"
		    "cannot receive new filesystem stream: unable to restore to destination",
		    above);
	int first = getchar();
	ungetc(first, stdin);
	if (first == 0) {
		receive_replication(argv, to);
		return;
	}
	if (scanf("%511s", from) != 1)
		die("cannot receive: failed to read from stream%s", "");
	receive_one(to, from, "-");
}

static struct property *
property(const char *name, const char *key)
{
	for (size_t i = 0; i < properties_n; i++)
		if (str_eq(properties[i].name, name) && str_eq(properties[i].key, key))
			return &properties[i];
	return NULL;
}

/* Its own mount point, "-" for none: its files go along. */
static void
mount_at(struct row *r, const char *where)
{
	char before[1024], after[1024];

	mountpoint(r->name, before);
	str_copy(r->where, sizeof(r->where), where);
	mountpoint(r->name, after);
	must(mkdir_parents(AT_FDCWD, after, &err));
	(void)rmdir(after);
	/* a rename of what is above has moved the directory already */
	if (rename(before, after) < 0 && errno != ENOENT)
		die("cannot mount '%s': failed to create mountpoint", r->name);
}

static void
do_set(char **argv)
{
	const char *name = last(argv), *value = strchr(argv[0], '=');
	autofree char *key = xstrndup(argv[0], (size_t)(value - argv[0]));
	struct property *p = property(name, key);

	struct row *r = need(name);
	if (str_eq(key, "mountpoint")) {
		mount_at(r, value + 1);
		return;
	}
	if (strchr(key, ':') == NULL)
		die("cannot set property: invalid property '%s'", key);
	if (p == NULL)
		p = &properties[properties_n++];
	str_copy(p->name, sizeof(p->name), name);
	str_copy(p->key, sizeof(p->key), key);
	str_copy(p->value, sizeof(p->value), value + 1);
}

static void
do_inherit(char **argv)
{
	struct property *p = property(last(argv), argv[0]);
	struct row *r = need(last(argv));

	if (str_eq(argv[0], "mountpoint"))
		mount_at(r, "-");
	if (p != NULL)
		p->name[0] = '\0';
}

static uint64_t
bytes(const char *path, const char *dataset)
{
	autonames struct names skip = NAMES_INIT;
	autofd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t n = 0;

	if (dataset != NULL)
		skipped(dataset, &skip);
	if (fd >= 0)
		must(tree_bytes(fd, &skip, &n, &err));
	return n;
}

/* As if nothing were shared but what a dataset has from its origin or its last snapshot. */
static uint64_t
own_bytes(const struct row *r, uint64_t all)
{
	const struct row *base = find(r->origin);

	for (size_t i = 0; i < rows_n; i++)
		if (!rows[i].gone && is_of(&rows[i], r->name) &&
		    (base == NULL || rows[i].txg > base->txg))
			base = &rows[i];
	if (base == NULL)
		return all;
	autofree char *files = content(base);
	uint64_t shared = bytes(files, NULL);
	return all > shared ? all - shared : 0;
}

static uint64_t
snapshot_bytes(const struct row *r)
{
	const struct row *base = find(r->origin);
	uint64_t before = 0, sum = 0;

	if (base != NULL) {
		autofree char *files = content(base);

		before = bytes(files, NULL);
	}
	for (size_t i = 0; i < rows_n; i++)
		if (!rows[i].gone && is_of(&rows[i], r->name)) {
			autofree char *files = content(&rows[i]);
			uint64_t now = bytes(files, NULL);

			sum += now > before ? now - before : 0;
			before = now;
		}
	return sum;
}

static void
print_clones(const struct row *r)
{
	bool any = false;

	for (size_t i = 0; i < rows_n; i++)
		if (!rows[i].gone && str_eq(rows[i].origin, r->name)) {
			printf("%s%s", any ? "," : "", rows[i].name);
			any = true;
		}
	if (!any)
		printf("-");
}

static void
print_column(const struct row *r, const char *column)
{
	char where[1024] = "-";
	autofree char *files = is_snapshot(r) ? content(r) : NULL;

	if (!is_snapshot(r))
		mountpoint(r->name, where);
	if (str_eq(column, "name"))
		printf("%s", r->name);
	else if (str_eq(column, "origin"))
		printf("%s", r->origin);
	else if (str_eq(column, "mountpoint"))
		printf("%s", where);
	else if (str_eq(column, "mounted"))
		printf("%s", is_snapshot(r) ? "-" : "yes");
	else if (str_eq(column, "defer_destroy"))
		printf("%s", !is_snapshot(r) ? "-" : r->deferred ? "on" : "off");
	else if (str_eq(column, "encryption"))
		printf("off");
	else if (str_eq(column, "clones"))
		print_clones(r);
	else if (files != NULL && str_eq(column, "refer"))
		printf("%" PRIu64, bytes(files, NULL));
	else if (files != NULL)
		printf("-");
	else if (str_eq(column, "refer"))
		printf("%" PRIu64, bytes(where, r->name));
	else if (str_eq(column, "usedds"))
		printf("%" PRIu64, own_bytes(r, bytes(where, r->name)));
	else if (str_eq(column, "usedsnap"))
		printf("%" PRIu64, snapshot_bytes(r));
	else
		die("bad property list: invalid property '%s'", column);
}

static bool
is_listed(const struct row *r, char **argv, const char *name)
{
	const char *types = option(argv, "-t");
	bool wanted = types == NULL
			  ? !is_snapshot(r) || strchr(name, '@') != NULL
			  : strstr(types, is_snapshot(r) ? "snapshot" : "filesystem") != NULL;

	if (!wanted)
		return false;
	if (option(argv, "-d") != NULL)
		return is_of(r, name);
	return has(argv, "-r") ? is_in(r->name, name) : str_eq(r->name, name);
}

static int
older(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return x->txg < y->txg ? -1 : x->txg > y->txg;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct row *)a)->name, ((const struct row *)b)->name);
}

/* Those that follow its last option. */
static char **
asked_for(char **argv)
{
	char **names = argv;

	for (; *argv != NULL; argv++)
		if (**argv == '-')
			names = argv + (strchr("dots", (*argv)[1]) != NULL ? 2 : 1);
	return names;
}

static void
do_list(char **argv)
{
	char **names = asked_for(argv);
	const char *missing = NULL;

	for (char **name = names; *name != NULL; name++)
		if (find(*name) == NULL)
			missing = *name;
	/* names and transactions are in no other order than this one */
	qsort(rows, rows_n, sizeof(rows[0]), option(argv, "-s") != NULL ? older : by_name);
	for (size_t i = 0; i < rows_n; i++) {
		autofree char *columns = xstrdup(option(argv, "-o"));
		char *save = NULL;
		bool first = true, wanted = false;

		for (char **name = names; *name != NULL; name++)
			wanted = wanted || is_listed(&rows[i], argv, *name);
		if (rows[i].gone || !wanted)
			continue;
		for (char *c = strtok_r(columns, ",", &save); c != NULL;
		     c = strtok_r(NULL, ",", &save)) {
			if (!first)
				putchar('\t');
			first = false;
			print_column(&rows[i], c);
		}
		putchar('\n');
	}
	if (missing != NULL) { /* the others are told all the same */
		(void)fflush(stdout);
		die("cannot open '%s': dataset does not exist", missing);
	}
}

static void
do_get(char **argv)
{
	const char *name = last(argv), *key = argv[3];
	const struct row *r = need(name);
	const struct property *p = property(name, key);

	if (has(argv, "-r")) { /* -s local: mount points by name */
		for (size_t i = 0; i < rows_n; i++)
			if (!rows[i].gone && !is_snapshot(&rows[i]) && is_in(rows[i].name, name) &&
			    !str_eq(rows[i].where, "-"))
				printf("%s\t%s\n", rows[i].name, rows[i].where);
		return;
	}

	if (strchr(key, ':') != NULL)
		printf("%s\n", p != NULL ? p->value : "-");
	else {
		print_column(r, key);
		putchar('\n');
	}
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *verb;
		void (*run)(char **argv);
		bool changes;
	} verbs[] = {
		{ "create", do_create, true },
		{ "clone", do_clone, true },
		{ "snapshot", do_snapshot, true },
		{ "destroy", do_destroy, true },
		{ "rename", do_rename, true },
		{ "rollback", do_rollback, true },
		{ "promote", do_promote, true },
		{ "set", do_set, true },
		{ "inherit", do_inherit, true },
		{ "receive", do_receive, true },
		{ "send", do_send, false },
		{ "list", do_list, false },
		{ "get", do_get, false },
	};
	ssize_t n = readlink("/proc/self/exe", home, sizeof(home) - 1);

	if (n <= 0 || argc < 3)
		return 2;
	home[n] = '\0';
	*strrchr(home, '/') = '\0';
	autofree char *lock_path = xasprintf("%s/lock", home);
	for (size_t i = 0; i < NELEM(verbs); i++) {
		if (!str_eq(verbs[i].verb, argv[1]))
			continue;
		/* the two ends of a copy run at once: the sender has said all before the other
		 * looks */
		if (verbs[i].run == do_receive) {
			int c = getchar();

			if (c != EOF)
				ungetc(c, stdin);
		}
		autofd int lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (lock < 0 || flock(lock, LOCK_EX) < 0)
			return 2;
		load();
		if (find("zroot") == NULL)
			add("zroot", "/zroot", "-");
		verbs[i].run(argv + 2);
		if (verbs[i].changes)
			save();
		return fflush(stdout) == 0 ? 0 : 1;
	}
	fprintf(stderr, "unrecognized command '%s'\n", argv[1]);
	return 2;
}
