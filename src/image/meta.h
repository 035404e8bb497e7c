/*
 * meta.h: the small files beside an image, and the names of images.
 *
 * Pure: bytes in, values out. All three parsers read what strangers wrote.
 */
#ifndef IMAGE_META_H
#define IMAGE_META_H

#include "base/buf.h"
#include "base/err.h"
#include "codec/skein.h"

#include <stddef.h>

enum { META_NAME = 128, META_FILE_MAX = 4096 };

/* What the compressed stream of an image is. */
enum meta_format {
	META_UNKNOWN, /* nobody says: as pot writes it on ZFS, or an old archive */
	META_PAX,     /* a tar archive of conf/ and m/ */
	META_ZFS      /* a ZFS replication stream */
};

/* A meta file: the image that this one was derived from, or empty strings when it stands alone, and
 * what else its maker noted ("" when nothing). */
struct meta {
	char origin[META_NAME];
	char tag[META_NAME];
	char snapshot[META_NAME];
	enum meta_format format;
	char own_snapshot[META_NAME]; /* of the pot that was exported: layers refer to it */
	char os[META_NAME];	      /* "linux", "freebsd" */
	char arch[META_NAME];	      /* "amd64" */
};

/* The first line is pot's: `-` or `<origin>:<tag>@<snapshot>`; an empty file means `-`, as
 * registries without the file have it. More lines, `key=value`, are ours: format, snapshot, os,
 * arch; unknown keys are for later releases and skipped. */
int image_meta_parse(const char *data, size_t len, struct meta *out, struct err *e);
/* Appends the file's text. */
void image_meta_text(const struct meta *m, struct buf *out);

/* A digest file: 256 hex digits and a newline (which may be missing). */
int digest_parse(const char *data, size_t len, uint8_t out[SKEIN_DIGEST], struct err *e);

/* Names of pots: a letter or digit, then letters, digits, `_`, `-`; not only digits. Tags may hold
 * dots as well. `what` names the thing in the error: "pot name". */
int name_check_pot(const char *what, const char *name, struct err *e);
int name_check_tag(const char *what, const char *tag, struct err *e);

#endif
