/*
 * tool.h: the work of pot-image, inside that program.
 *
 * Every act either succeeds or leaves nothing of what it began. All of them look, at least once per
 * block of data, whether they should stop: a signal arrived, or nobody listens any more.
 */
#ifndef IMAGE_TOOL_H
#define IMAGE_TOOL_H

#include "base/err.h"
#include "image/report.h"

#include <stdbool.h>
#include <stdint.h>

struct tool {
	struct report report;
	uint64_t max_bytes;   /* that an archive may unpack to */
	uint64_t max_entries; /* that it may hold */
};

enum { TOOL_MAX_ENTRIES = 8 * 1000 * 1000 };
#define TOOL_MAX_BYTES (1ULL << 40)

/* SIGTERM, SIGINT and SIGHUP from now on only ask tool_check() to fail. SIGPIPE is ignored. */
void tool_catch_signals(void);
/* -1 when the work should stop. */
int tool_check(struct tool *t, struct err *e);
/* The same for a thread beside the one that does the work: changes nothing. */
int tool_unwanted(const struct tool *t, struct err *e);
/* Readable once a signal asked to stop; -1: none. To be polled, not read. */
int tool_wake_fd(void);

/* ---- directories (tree.c) ---- */
/* An empty directory to fill: made when absent (*made says so), ERR_EXISTS when something is in it.
 */
int tree_claim(const char *dir, bool *made, struct err *e);
/* Removes what is in the directory, and itself when `itself`. Never follows a link. Best effort. */
void tree_clear(const char *dir, bool itself);
/* The same for one name in a directory, whatever it is. */
void tree_remove_at(int dir, const char *name);

/* ---- the acts ---- */
struct unpack {
	const char *from;     /* path, http(s):// or file:// URL */
	const char *conf_dir; /* where conf/ goes; NULL: the whole archive is a root */
	const char *root_dir;
	const char *cache; /* where a URL is downloaded to meanwhile; NULL: beside root_dir */
};
int unpack(struct tool *t, const struct unpack *what, struct err *e);

struct pack {
	const char *conf_dir, *root_dir, *out_dir, *pot, *tag;
	int level;
	const char *snapshot;	/* what layers upon this image will refer to; may be NULL */
	const char *below_root; /* the files of the image below: only the difference is packed */
	const char *below;	/* its name, "<pot>:<tag>@<snapshot>" */
	const char *key;	/* a secret key to sign with, or NULL */
	int stream;		/* 0, or where a ZFS stream comes from, in place of directories */
};
int pack(struct tool *t, const struct pack *what, struct err *e);

/* The file of a URL, at a path: in place of what was there, or not at all. */
int fetch(struct tool *t, const char *url, const char *path, struct err *e);

int copy_tree(struct tool *t, const char *from, const char *to, struct err *e);

/* What a registry says about an image: results skein, meta and sig, each the file's text. `key`: a
 * public key, by which the signature must hold; NULL: none is looked at. */
struct look {
	const char *url, *pot, *tag, *cache, *key;
	bool streams; /* ZFS streams are welcome */
};
int look(struct tool *t, const struct look *what, struct err *e);

/* The image that look() found, put into the directories, and kept in the cache when it came from
 * afar. With root_dir NULL only the latter. `layer`: root_dir holds the files of the image below,
 * and nothing is cleared after a failure: the caller drops it all. */
struct import {
	const char *url, *pot, *tag, *cache;
	const char *skein, *meta, *sig; /* as look() gave them; sig may be NULL */
	const char *conf_dir, *root_dir;
	bool layer;
	int stream; /* 0, or where the ZFS stream goes that it must be */
};
int import(struct tool *t, const struct import *what, struct err *e);
struct source;
int unpack_source(
    struct tool *t, struct source *s, const char *name, const struct import *what, struct err *e);
int unpack_stream(struct tool *t, struct source *s, const char *name, int fd, struct err *e);
/* What is xz on descriptor 0, expanded on descriptor 1, by a process that can do nothing else. */
int expand(struct err *e);
int suite_make(
    struct tool *t, const char *suite, const char *mirror, const char *root_dir, struct err *e);

/* ---- downloads (download.c) ---- */
/* Bytes as they arrive; -1 with *e stops the download. */
typedef int download_sink(void *ctx, const void *data, size_t len, struct err *e);
/* url: http://, https://, file://, or a path. ERR_ABSENT: the other side says that there is no such
 * file. ERR_CORRUPT: it ended early. `what` names it in progress; NULL: no progress. */
int download(struct tool *t, const char *url, const char *what, download_sink *sink, void *ctx,
    struct err *e);

/* ---- walking a directory tree as archive entries (walk.c) ---- */
struct archive_entry;
/* fd gives the file's content, or -1 when the entry has none; closed by the walk. */
typedef int walk_fn(void *ctx, struct archive_entry *entry, int fd, struct err *e);
/* Entries are named below `prefix` ("" for none). Sockets and device nodes are left out with a note
 * (nodes beneath dev/ silently: every pot gets a /dev of its own). Sorted by name, one file system.
 */
struct map;
/* `only`: names (relative to root, "." for itself) to which it is limited; NULL: all. */
int walk(struct tool *t, const char *root, const char *prefix, const struct map *only, walk_fn *fn,
    void *ctx, struct err *e);

/* ---- the difference of two trees (diff.c) ---- */
struct buf;
/* Names in `root` that are not the same in `below`, with the directories above them, as keys of
 * `changed`; and names that are gone, each ended by a NUL. */
int diff(struct tool *t, const char *below, const char *root, struct map *changed,
    struct buf *removed, struct err *e);
/* Removes what such a list names, beneath the directory. */
int diff_remove(struct tool *t, const char *dir, const char *list, size_t len, struct err *e);

/* ---- an archive's entries put beneath directories (place.c) ---- */
struct place_to {
	const char *prefix; /* "conf", "m", or "" for all */
	const char *dir;
};
struct place;
int place_open(struct tool *t, const char *archive_name, const struct place_to *to, size_t n,
    struct place **out, struct err *e);
/* Checks the entry's names against leaving the directory, and writes its head. Returns 1 when its
 * data should follow, 0 when it was left out. */
int place_entry(struct place *p, struct archive_entry *entry, struct err *e);
int place_data(struct place *p, const void *data, size_t len, int64_t offset, struct err *e);
/* Sets times and modes of directories. */
int place_finish(struct place *p, struct err *e);
void place_free(struct place *p);

struct archive;
/* libarchive's last error as ours. */
int archive_err(struct archive *a, enum err_kind otherwise, const char *what, struct err *e);
/* Removes extended attributes that must not pass between machines (trusted.*, and what overlay
 * keeps). */
void xattrs_clean(struct archive_entry *entry);

#endif
