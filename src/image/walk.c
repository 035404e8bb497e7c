#include "image/tool.h"

#include "base/str.h"
#include "base/buf.h"
#include "base/map.h"
#include "platform/fts.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* State of one walk: the reader of attributes, and the table that finds hard links. */
struct walker {
	struct tool *tool;
	struct archive *disk;
	struct archive_entry_linkresolver *links;
	const char *prefix;
	const struct map *only;
	size_t root_len;
	walk_fn *fn;
	void *ctx;
	uint64_t left_out;
};

static int
by_name(fts_ref a, fts_ref b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* The name in the archive of a path below the root. */
static char *
entry_name(const struct walker *w, const char *path)
{
	const char *rest = path + w->root_len;

	while (*rest == '/')
		rest++;
	if (w->prefix[0] == '\0')
		return xstrdup(*rest != '\0' ? rest : ".");
	return *rest != '\0' ? xasprintf("%s/%s", w->prefix, rest) : xstrdup(w->prefix);
}

static bool
leave_out(struct walker *w, const FTSENT *f, const char *path)
{
	const char *rest = f->fts_path + w->root_len;

	while (*rest == '/')
		rest++;
	switch (f->fts_statp->st_mode & S_IFMT) {
	case S_IFCHR:
	case S_IFBLK:
		w->left_out++;
		if (!str_starts(rest, "dev/"))
			report_note(&w->tool->report, "%s: device node left out", path);
		return true;
	case S_IFSOCK:
		report_note(&w->tool->report, "%s: socket left out", path);
		return true;
	default:
		return false;
	}
}

static int
hand_over(struct walker *w, struct archive_entry *entry, const char *path, struct err *e)
{
	autofd int fd = -1;

	if (archive_entry_filetype(entry) == AE_IFREG && archive_entry_hardlink(entry) == NULL &&
	    archive_entry_size(entry) > 0) {
		fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return err_sys(e, "open %s", path);
	}
	return w->fn(w->ctx, entry, fd, e);
}

static int
take_entry(struct walker *w, const FTSENT *f, struct err *e)
{
	autofree char *name = entry_name(w, f->fts_path);
	struct archive_entry *entry, *spare = NULL;

	if (leave_out(w, f, f->fts_path))
		return 0;
	entry = archive_entry_new();
	archive_entry_copy_sourcepath(entry, f->fts_path);
	archive_entry_set_pathname(entry, name);
	int rc = archive_read_disk_entry_from_file(w->disk, entry, -1, f->fts_statp);
	if (rc < ARCHIVE_WARN) {
		archive_err(w->disk, ERR_SYS, f->fts_path, e);
		archive_entry_free(entry);
		return -1;
	}
	xattrs_clean(entry);
	archive_entry_linkify(w->links, &entry, &spare);
	int result = entry != NULL ? hand_over(w, entry, f->fts_path, e) : 0;
	if (result == 0 && spare != NULL)
		result = hand_over(w, spare, f->fts_path, e);
	archive_entry_free(entry);
	archive_entry_free(spare);
	return result;
}

static int
step(struct walker *w, const FTSENT *f, struct err *e)
{
	if (tool_check(w->tool, e) < 0)
		return err_ctx(e, "read %s", f->fts_path);
	switch (f->fts_info) {
	case FTS_DP:
		return 0;
	case FTS_DNR:
	case FTS_ERR:
	case FTS_NS:
		errno = f->fts_errno;
		return err_sys(e, "read %s", f->fts_path);
	default:
		return take_entry(w, f, e);
	}
}

/* A directory that is not wanted holds nothing that is. */
static bool
wanted(const struct walker *w, FTS *fts, FTSENT *f)
{
	const char *rest = f->fts_path + w->root_len;

	while (*rest == '/')
		rest++;
	if (w->only == NULL || map_has(w->only, *rest != '\0' ? rest : "."))
		return true;
	if (f->fts_info == FTS_D)
		fts_set(fts, f, FTS_SKIP);
	return false;
}

static int
run_walk(struct walker *w, const char *root, struct err *e)
{
	char *const paths[] = { (char *)(uintptr_t)root, NULL };
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, by_name);
	FTSENT *f;
	int rc = 0;

	if (fts == NULL)
		return err_sys(e, "read %s", root);
	while (rc == 0 && (errno = 0, f = fts_read(fts)) != NULL)
		rc = wanted(w, fts, f) ? step(w, f, e) : 0;
	if (rc == 0 && errno != 0)
		rc = err_sys(e, "read %s", root);
	fts_close(fts);
	return rc;
}

int
walk(struct tool *t, const char *root, const char *prefix, const struct map *only, walk_fn *fn,
    void *ctx, struct err *e)
{
	struct walker w = { .tool = t,
		.prefix = prefix,
		.only = only,
		.root_len = strlen(root),
		.fn = fn,
		.ctx = ctx };
	struct stat st;

	if (stat(root, &st) < 0)
		return err_sys(e, "open directory %s", root);
	if (!S_ISDIR(st.st_mode))
		return err_new(e, ERR_INPUT, "%s: is not a directory", root);
	w.disk = archive_read_disk_new();
	w.links = archive_entry_linkresolver_new();
	archive_read_disk_set_symlink_physical(w.disk);
	archive_entry_linkresolver_set_strategy(w.links, ARCHIVE_FORMAT_TAR_PAX_RESTRICTED);
	int rc = run_walk(&w, root, e);
	archive_entry_linkresolver_free(w.links);
	archive_read_free(w.disk);
	return rc;
}

/* ---- copying a tree ---- */

struct copying {
	struct tool *tool;
	struct place *place;
	uint64_t done;
};

static int
copy_entry(void *ctx, struct archive_entry *entry, int fd, struct err *e)
{
	struct copying *c = ctx;
	char block[64 * 1024];
	int64_t at = 0;

	int wanted = place_entry(c->place, entry, e);
	if (wanted <= 0 || fd < 0)
		return wanted < 0 ? -1 : 0;
	for (;;) {
		ssize_t n = read(fd, block, sizeof(block));

		if (n < 0)
			return err_sys(e, "read %s", archive_entry_sourcepath(entry));
		if (n == 0)
			return 0;
		if (place_data(c->place, block, (size_t)n, at, e) < 0)
			return -1;
		at += n;
		c->done += (uint64_t)n;
		report_progress(&c->tool->report, "copy", c->done, 0);
	}
}

int
copy_tree(struct tool *t, const char *from, const char *to, struct err *e)
{
	struct place_to target = { "", to };
	struct copying c = { .tool = t };
	bool made = false;

	if (tree_claim(to, &made, e) < 0)
		return -1;
	int rc = place_open(t, from, &target, 1, &c.place, e);
	if (rc == 0)
		rc = walk(t, from, "", NULL, copy_entry, &c, e);
	if (rc == 0)
		rc = place_finish(c.place, e);
	place_free(c.place);
	if (rc < 0)
		tree_clear(to, made);
	return rc;
}
