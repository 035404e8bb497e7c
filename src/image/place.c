#include "image/tool.h"

#include "base/str.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * libarchive writes below the current directory and refuses to go through links it finds on the
 * way; names are checked here before it sees them. There is one writer per target directory,
 * because each remembers relative names for the directories whose times it sets at the end.
 */
enum { TARGETS_MAX = 2, DEPTH_MAX = 256 };

struct target {
	const char *prefix;
	int fd;
	struct archive *disk;
};

struct place {
	struct tool *tool;
	const char *name; /* of the archive, for messages */
	struct target to[TARGETS_MAX];
	size_t n;
	struct target *now; /* where the current entry goes */
	uint64_t bytes, entries, left_out;
};

int
archive_err(struct archive *a, enum err_kind otherwise, const char *what, struct err *e)
{
	int sys = archive_errno(a);
	const char *text = archive_error_string(a);
	enum err_kind kind = otherwise;

	if (sys == ENOSPC || sys == EDQUOT)
		kind = ERR_FULL;
	text = text != NULL ? text : "unknown failure";
	/* its words are "Write failed" here, "Can't write data" there, and may not say why */
	if (kind == ERR_FULL && strstr(text, strerror(sys)) == NULL)
		err_new(e, kind, "%s: %s: %s", what, text, strerror(sys));
	else
		err_new(e, kind, "%s: %s", what, text);
	if (kind == ERR_FULL)
		e->sys = sys;
	return -1;
}

void
xattrs_clean(struct archive_entry *entry)
{
	struct kept {
		char *name;
		void *value;
		size_t size;
	} kept[64];
	size_t n = 0;
	const char *name;
	const void *value;
	size_t size;

	if (archive_entry_xattr_reset(entry) == 0)
		return;
	while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
		if (name == NULL || n == NELEM(kept) ||
		    !(str_starts(name, "user.") || str_eq(name, "security.capability")) ||
		    str_starts(name, "user.overlay."))
			continue;
		kept[n] = (struct kept){
			.name = xstrdup(name), .value = xmalloc(size + 1), .size = size
		};
		if (size > 0)
			memcpy(kept[n].value, value, size);
		n++;
	}
	archive_entry_xattr_clear(entry);
	for (size_t i = 0; i < n; i++) {
		archive_entry_xattr_add_entry(entry, kept[i].name, kept[i].value, kept[i].size);
		free(kept[i].name);
		free(kept[i].value);
	}
}

static int
open_target(struct target *t, const struct place_to *to, struct err *e)
{
	int flags = ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_ACL |
		    ARCHIVE_EXTRACT_XATTR | ARCHIVE_EXTRACT_SECURE_SYMLINKS |
		    ARCHIVE_EXTRACT_SECURE_NODOTDOT | ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS;

	if (geteuid() == 0)
		flags |= ARCHIVE_EXTRACT_OWNER;
	t->prefix = to->prefix;
	t->fd = open(to->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->fd < 0)
		return err_sys(e, "open directory %s", to->dir);
	t->disk = archive_write_disk_new();
	if (t->disk == NULL)
		return err_new(e, ERR_FULL, "unpack: out of memory");
	archive_write_disk_set_options(t->disk, flags);
	return 0;
}

int
place_open(struct tool *t, const char *archive_name, const struct place_to *to, size_t n,
    struct place **out, struct err *e)
{
	struct place *p = xcalloc(1, sizeof(*p));

	p->tool = t;
	p->name = archive_name;
	for (p->n = 0; p->n < n; p->n++) {
		p->to[p->n].fd = -1;
		if (open_target(&p->to[p->n], &to[p->n], e) < 0) {
			p->n++;
			place_free(p);
			return -1;
		}
	}
	*out = p;
	return 0;
}

static int
refuse(const struct place *p, const char *path, const char *why, struct err *e)
{
	return err_new(e, ERR_INPUT, "%s: entry \"%s\" refused: %s", p->name, path, why);
}

/* The name as it goes beneath a target, without "./" in front; NULL: refused. */
static const char *
inner_name(const struct place *p, const char *entry, const char *path, struct err *e)
{
	unsigned depth = 0;

	if (path[0] == '/') {
		refuse(p, entry,
		    path == entry ? "its name is absolute"
				  : "it links to an absolute name of the archive",
		    e);
		return NULL;
	}
	while (path[0] == '.' && path[1] == '/') {
		for (path += 2; path[0] == '/'; path++)
			;
	}
	for (const char *at = path; *at != '\0';) {
		size_t len = strcspn(at, "/");

		if (len == 2 && at[0] == '.' && at[1] == '.') {
			refuse(p, entry, "it would leave the target directory by \"..\"", e);
			return NULL;
		}
		if (len > 255 || ++depth > DEPTH_MAX) {
			refuse(p, entry, "its name is too long or too deep", e);
			return NULL;
		}
		at += len;
		while (*at == '/')
			at++;
	}
	return path[0] == '\0' ? "." : path;
}

/* Which directory a name belongs to, and what it is called there; NULL: none. */
static struct target *
find_target(struct place *p, const char *path, const char **rest)
{
	for (size_t i = 0; i < p->n; i++) {
		size_t len = strlen(p->to[i].prefix);

		if (len == 0) {
			*rest = path;
			return &p->to[i];
		}
		if (strncmp(path, p->to[i].prefix, len) != 0 ||
		    (path[len] != '/' && path[len] != '\0'))
			continue;
		for (*rest = path + len; **rest == '/'; (*rest)++)
			;
		if (**rest == '\0')
			*rest = ".";
		return &p->to[i];
	}
	return NULL;
}

/* 1: put it there, 0: leave it out, -1: refused. */
static int
check_kind(
    struct place *p, struct archive_entry *entry, const char *path, const char *rest, struct err *e)
{
	switch (archive_entry_filetype(entry)) {
	case AE_IFREG:
	case AE_IFDIR:
	case AE_IFLNK:
	case AE_IFIFO:
		return 1;
	case AE_IFCHR:
	case AE_IFBLK:
		if (str_starts(rest, "dev/")) {
			p->left_out++;
			return 0;
		}
		return refuse(p, path, "device nodes are only expected in /dev", e);
	case 0:
		if (archive_entry_hardlink(entry) != NULL)
			return 1;
		/* FALLTHROUGH */
	default:
		return refuse(p, path, "its kind is unknown", e);
	}
}

static int
check_size(struct place *p, struct archive_entry *entry, const char *path, struct err *e)
{
	int64_t size = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : 0;

	if (++p->entries > p->tool->max_entries)
		return err_new(e, ERR_INPUT, "%s: more than %" PRIu64 " entries", p->name,
		    p->tool->max_entries);
	if (size < 0 || (uint64_t)size > p->tool->max_bytes - p->bytes)
		return err_new(e, ERR_INPUT,
		    "%s: entry \"%s\" refused: with it the archive is larger than %" PRIu64
		    " MB, which pot-image takes for an attack",
		    p->name, path, p->tool->max_bytes >> 20);
	return 0;
}

/* Where a hard link points to must be beneath the same directory. */
static int
rename_link(struct place *p, struct archive_entry *entry, const char *path, struct err *e)
{
	const char *link = archive_entry_hardlink(entry), *rest = NULL;

	if (link == NULL)
		return 0;
	const char *inner = inner_name(p, path, link, e);
	if (inner == NULL)
		return -1;
	if (find_target(p, inner, &rest) != p->now)
		return refuse(p, path, "it is a hard link to something outside", e);
	char *copy = xstrdup(rest);
	archive_entry_set_hardlink(entry, copy);
	free(copy);
	return 0;
}

static int
write_head(struct place *p, struct archive_entry *entry, const char *path, struct err *e)
{
	char what[512];

	if (fchdir(p->now->fd) < 0)
		return err_sys(e, "%s: enter the target directory", p->name);
	int rc = archive_write_header(p->now->disk, entry);
	if (rc == ARCHIVE_OK)
		return 1;
	snprintf(what, sizeof(what), "%s: entry \"%s\"", p->name, path);
	if (rc == ARCHIVE_WARN) {
		report_note(&p->tool->report, "%s: %s", what, archive_error_string(p->now->disk));
		return 1;
	}
	/* Links on the way and other tricks end here, with libarchive's own words. */
	return archive_err(p->now->disk, ERR_INPUT, what, e);
}

int
place_entry(struct place *p, struct archive_entry *entry, struct err *e)
{
	const char *raw = archive_entry_pathname(entry), *rest = NULL;

	if (raw == NULL)
		raw = archive_entry_pathname_utf8(entry);
	if (raw == NULL || raw[0] == '\0')
		return err_new(e, ERR_INPUT,
		    "%s: entry %" PRIu64 " refused: its name cannot be read", p->name,
		    p->entries + 1);
	if (tool_check(p->tool, e) < 0)
		return err_ctx(e, "unpack %s", p->name);
	autofree char *path = xstrdup(raw);
	const char *inner = inner_name(p, path, path, e);
	if (inner == NULL || check_size(p, entry, path, e) < 0)
		return -1;
	p->now = find_target(p, inner, &rest);
	if (p->now == NULL)
		return refuse(p, path, "a pot image holds conf/ and m/ only", e);
	int keep = check_kind(p, entry, path, rest, e);
	if (keep <= 0)
		return keep;
	if (rename_link(p, entry, path, e) < 0)
		return -1;
	archive_entry_set_pathname(entry, rest);
	xattrs_clean(entry);
	return write_head(p, entry, path, e);
}

int
place_data(struct place *p, const void *data, size_t len, int64_t offset, struct err *e)
{
	if (tool_check(p->tool, e) < 0)
		return err_ctx(e, "unpack %s", p->name);
	p->bytes += len;
	if (offset < 0 || p->bytes > p->tool->max_bytes || (uint64_t)offset > p->tool->max_bytes)
		return err_new(e, ERR_INPUT,
		    "%s: larger than %" PRIu64 " MB, which pot-image takes for an attack", p->name,
		    p->tool->max_bytes >> 20);
	if (archive_write_data_block(p->now->disk, data, len, offset) < ARCHIVE_OK)
		return archive_err(p->now->disk, ERR_SYS, p->name, e);
	return 0;
}

int
place_finish(struct place *p, struct err *e)
{
	for (size_t i = 0; i < p->n; i++) {
		if (fchdir(p->to[i].fd) < 0)
			return err_sys(e, "%s: enter the target directory", p->name);
		if (archive_write_close(p->to[i].disk) < ARCHIVE_WARN)
			return archive_err(p->to[i].disk, ERR_SYS, p->name, e);
	}
	if (p->left_out > 0)
		report_note(&p->tool->report,
		    "%s: %" PRIu64 " device nodes left out: a pot has a /dev of its own", p->name,
		    p->left_out);
	return 0;
}

void
place_free(struct place *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->n; i++) {
		/* Freeing also sets what is still to be set, by relative name. */
		if (p->to[i].fd >= 0 && fchdir(p->to[i].fd) == 0 && p->to[i].disk != NULL)
			archive_write_free(p->to[i].disk);
		if (p->to[i].fd >= 0)
			close(p->to[i].fd);
	}
	free(p);
}
