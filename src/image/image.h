/*
 * image.h: where the files of a pot come from.
 *
 * All that needs libarchive or libcurl happens in the program pot-image, so that `pot`, the runner
 * and the agent never load them. This header is what those callers see: each function starts one
 * pot-image with an argument vector, passes its progress on, and waits for its end. An error that
 * arose in pot-image comes back as it was. When the caller dies, pot-image notices that its report
 * pipe has no reader, removes what it had begun, and ends.
 *
 * An image of pot P with tag T is three files: P_T.xz (a pax archive with the directories conf/ and
 * m/, compressed with xz), P_T.xz.meta (one line, see meta.h) and P_T.xz.skein (the Skein-1024-1024
 * digest over the first two, in hex, and a newline).
 */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include "base/err.h"

#include <limits.h>
#include <signal.h>
#include <stdint.h>

/* One step of progress; `total` is 0 where it is not known. `what` is only valid during the call.
 */
typedef void image_progress_fn(void *ctx, const char *what, uint64_t done, uint64_t total);
/* A remark that a person should read: something was left out. */
typedef void image_note_fn(void *ctx, const char *text);

struct image_tool {
	const char *program; /* path of pot-image */
	/* Set by a signal handler of the caller: the call ends early, with kind ERR_SYS and EINTR.
	 * NULL: no such wish. The handler must be installed without SA_RESTART. */
	const volatile sig_atomic_t *stop;
	image_progress_fn *progress; /* may be NULL */
	image_note_fn *note;	     /* may be NULL */
	void *ctx;
};

struct image_result {
	char path[PATH_MAX]; /* fetch, pack: the image file */
	char meta[512];	     /* fetch: the line of the meta file, "-" when it stands alone */
};

/* Starts pot-image with `argv` (argv[0] is the verb, NULL ends) and waits. `out` may be NULL. */
int image_run(const struct image_tool *tool, const char *const argv[], struct image_result *out,
    struct err *e);

/* Brings an image into the cache, or finds it there unchanged. `url` is the registry's directory:
 * http://, https://, file:// or a path; empty means the current directory. ERR_ABSENT: the registry
 * has no such image; ERR_REMOTE: it cannot be reached; ERR_CORRUPT: checksum; ERR_FULL: no space.
 */
int image_fetch(const struct image_tool *tool, const char *url, const char *pot, const char *tag,
    const char *cache, struct image_result *out, struct err *e);

/* Unpacks `archive` (a path or URL; tar, compressed or not). With conf_dir NULL the whole archive
 * goes beneath `root_dir`; otherwise it is an image, and conf/ goes to conf_dir, m/ to root_dir.
 * The directories must be empty or absent. Any entry that would leave them is refused by name, and
 * after any failure they are empty again. */
int image_unpack(const struct image_tool *tool, const char *archive, const char *conf_dir,
    const char *root_dir, struct err *e);

/* Makes the three files in out_dir from the two directories; level 0 to 9. Nothing is left after a
 * failure. ERR_EXISTS: an image of that name is there and `replace` is false. */
int image_pack(const struct image_tool *tool, const char *conf_dir, const char *root_dir,
    const char *out_dir, const char *pot, const char *tag, int level, int replace,
    struct image_result *out, struct err *e);

/* Copies a directory tree with owners, modes, times, links, ACLs and extended attributes. */
int image_copy(const struct image_tool *tool, const char *from, const char *to, struct err *e);

/* Makes a Debian userland of `suite` in root_dir, by debootstrap; mirror may be NULL. */
int image_suite(const struct image_tool *tool, const char *suite, const char *mirror,
    const char *root_dir, struct err *e);

#endif
