#include "zfs_pool.h"

#include "base/str.h"
#include "platform/overlay/store.h"
#include "platform/overlay/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct row rows[ROWS];
struct property properties[ROWS];
size_t rows_n, properties_n;
static uint64_t next_txg = 1;
char home[400];
struct err err;

void
die(const char *fmt, const char *name)
{
	fprintf(stderr, fmt, name);
	fputc('\n', stderr);
	exit(1);
}

void
must(int rc)
{
	if (rc < 0)
		die("zfs_answers: %s", err.text[0] != '\0' ? err.text : strerror(errno));
}

/* ---- state ---- */

void
load(void)
{
	autofree char *path = xasprintf("%s/state", home);
	FILE *f = fopen(path, "re");
	char line[2048];

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		struct row *r = &rows[rows_n];
		struct property *p = &properties[properties_n];
		int deferred;

		if (sscanf(line, "F %511s %511s %511s %" SCNu64 " %d", r->name, r->where, r->origin,
			&r->txg, &deferred) == 5) {
			r->deferred = deferred;
			rows_n++;
		} else if (sscanf(line, "P %511s %255s %511[^\n]", p->name, p->key, p->value) ==
			   3) {
			properties_n++;
		}
		if (sscanf(line, "N %" SCNu64, &next_txg) == 1)
			continue;
	}
	if (f != NULL)
		fclose(f);
}

void
save(void)
{
	autofree char *path = xasprintf("%s/state", home), *new = xasprintf("%s.new", path);
	FILE *f = fopen(new, "we");

	if (f == NULL)
		die("zfs_answers: cannot write %s", new);
	fprintf(f, "N %" PRIu64 "\n", next_txg);
	for (size_t i = 0; i < rows_n; i++)
		if (!rows[i].gone)
			fprintf(f, "F %s %s %s %" PRIu64 " %d\n", rows[i].name, rows[i].where,
			    rows[i].origin, rows[i].txg, rows[i].deferred);
	for (size_t i = 0; i < properties_n; i++)
		if (properties[i].name[0] != '\0')
			fprintf(f, "P %s %s %s\n", properties[i].name, properties[i].key,
			    properties[i].value);
	if (fclose(f) != 0 || rename(new, path) < 0)
		die("zfs_answers: cannot write %s", path);
}

struct row *
find(const char *name)
{
	for (size_t i = 0; i < rows_n; i++)
		if (!rows[i].gone && str_eq(rows[i].name, name))
			return &rows[i];
	return NULL;
}

struct row *
need(const char *name)
{
	struct row *r = find(name);

	if (r == NULL)
		die("cannot open '%s': dataset does not exist", name);
	return r;
}

bool
is_snapshot(const struct row *r)
{
	return strchr(r->name, '@') != NULL;
}

/* At it or below it, its snapshots included. */
bool
is_in(const char *name, const char *top)
{
	size_t n = strlen(top);

	return strncmp(name, top, n) == 0 && (name[n] == '\0' || name[n] == '/' || name[n] == '@');
}

bool
is_of(const struct row *snapshot, const char *dataset)
{
	size_t n = strlen(dataset);

	return strncmp(snapshot->name, dataset, n) == 0 && snapshot->name[n] == '@';
}

struct row *
add(const char *name, const char *where, const char *origin)
{
	struct row *r = &rows[rows_n++];

	if (rows_n >= ROWS)
		die("zfs_answers: too many rows%s", "");
	memset(r, 0, sizeof(*r));
	str_copy(r->name, sizeof(r->name), name);
	str_copy(r->where, sizeof(r->where), where);
	str_copy(r->origin, sizeof(r->origin), origin);
	r->txg = next_txg++;
	return r;
}

/* ---- files ---- */

void
mountpoint(const char *name, char out[1024])
{
	char above[512];
	const struct row *r = find(name);
	char *slash;

	if (r != NULL && !str_eq(r->where, "-")) {
		str_copy(out, 1024, r->where);
		return;
	}
	str_copy(above, sizeof(above), name);
	slash = strrchr(above, '/');
	if (slash == NULL) {
		snprintf(out, 1024, "%s/pool", home);
		return;
	}
	*slash = '\0';
	mountpoint(above, out);
	snprintf(out + strlen(out), 1024 - strlen(out), "/%s", slash + 1);
}

int
open_at(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		die("zfs_answers: cannot open %s", path);
	return fd;
}

char *
content(const struct row *snapshot)
{
	return xasprintf("%s/content.%" PRIu64, home, snapshot->txg);
}

/* What lies below in datasets of its own, and what shows the snapshots. */
void
skipped(const char *name, struct names *out)
{
	names_add(out, ".zfs");
	for (size_t i = 0; i < rows_n; i++)
		if (!rows[i].gone && !is_snapshot(&rows[i]) && is_in(rows[i].name, name) &&
		    !str_eq(rows[i].name, name))
			names_add(out, rows[i].name + strlen(name) + 1);
}

void
copy_files(const char *from, const char *to, const char *dataset)
{
	autonames struct names skip = NAMES_INIT;
	autofd int a = open_at(from), b = -1;

	must(mkdir_parents(AT_FDCWD, to, &err));
	if (mkdir(to, 0755) < 0 && errno != EEXIST)
		die("zfs_answers: cannot make %s", to);
	b = open_at(to);
	if (dataset != NULL)
		skipped(dataset, &skip);
	must(tree_copy(a, b, &skip, &err));
}

void
remove_tree(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	must(tree_empty(fd, &err));
	close(fd);
	(void)rmdir(path);
}

void
show_snapshot(const struct row *r, bool show)
{
	autofree char *dataset = xstrdup(r->name), *from = content(r), *link = NULL;
	char *at = strchr(dataset, '@'), where[1024];

	*at++ = '\0';
	mountpoint(dataset, where);
	link = xasprintf("%s/.zfs/snapshot/%s", where, at);
	(void)unlink(link);
	if (!show)
		return;
	must(mkdir_parents(AT_FDCWD, link, &err));
	if (symlink(from, link) < 0 && errno != EEXIST)
		die("zfs_answers: cannot make %s", link);
}

void
drop_snapshot(struct row *r)
{
	autofree char *files = content(r);

	show_snapshot(r, false);
	remove_tree(files);
	r->gone = true;
}
