/*
 * image.h: where the files of a pot come from.
 *
 * All that needs libarchive or libcurl happens in the program pot-image, so that `pot`, the runner
 * and the agent never load them. This header is what those callers see: each function starts one
 * pot-image with an argument vector, passes its progress on, and waits for its end. An error that
 * arose in pot-image comes back as it was. When the caller dies, pot-image notices that its report
 * pipe has no reader, removes what it had begun, and ends.
 *
 * An image of pot P with tag T is some files: P_T.xz (a pax archive with the directories conf/ and
 * m/, compressed with xz), P_T.xz.meta (see meta.h), P_T.xz.skein (the Skein-1024-1024 digest over
 * the first two, in hex, and a newline), and P_T.xz.skein.sig when it is signed (signify(1), over
 * the digest file).
 */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include "base/err.h"

#include <limits.h>
#include <stdbool.h>
#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

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
	char path[PATH_MAX];
	char skein[512], meta[4097], sig[4097]; /* look: the files' texts */
};

/* Starts pot-image with `argv` (argv[0] is the verb, NULL ends) and waits. `out` may be NULL. */
int image_run(const struct image_tool *tool, const char *const argv[], struct image_result *out,
    struct err *e);

/* An image in a registry. `url` is its directory: http://, https://, file:// or a path; empty means
 * the current directory. */
struct image_from {
	const char *url, *pot, *tag;
	const char *cache; /* where copies are kept of what comes from afar */
	const char *key;   /* a public key by which it must be signed; NULL: any will do */
};
/* What its registry says about it. */
struct image_facts {
	char skein[512], meta[4097], sig[4097];
	char below[128], below_tag[128], below_snapshot[128]; /* a layer upon this image, or "" */
	char snapshot[128]; /* how the pot's snapshot is to be named, or "" */
	bool is_stream;	    /* a ZFS stream, or nobody says what */
};
/* ERR_ABSENT: the registry has no such image; ERR_REMOTE: it cannot be reached, and no copy is in
 * the cache; ERR_RIGHTS: the signature; ERR_UNSUPPORTED: it is of a kind that does not work here;
 * ZFS streams do where `streams` says so. */
int image_look(const struct image_tool *tool, const struct image_from *from, bool streams,
    struct image_facts *out, struct err *e);
/* Fetches, checks and unpacks it in one go: conf/ into conf_dir, m/ into root_dir, which must be
 * empty or absent, and are so again after a failure. For a layer root_dir holds the files below,
 * and is not put right after a failure. ERR_CORRUPT: checksum; asking anew may help. ERR_FULL: no
 * space. */
int image_import(const struct image_tool *tool, const struct image_from *from,
    const struct image_facts *facts, const char *conf_dir, const char *root_dir, bool layer,
    struct err *e);

/* Begins to bring it into the cache, beside other work; nothing is told of that. *pid: of the
 * process that does. */
int image_ahead(const struct image_tool *tool, const struct image_from *from,
    const struct image_facts *facts, pid_t *pid, struct err *e);
/* Waits for its end (give_up: ends it). Whether it came shows when it is wanted. */
void image_ahead_end(pid_t pid, bool give_up);

/* Fetches, checks and expands a ZFS stream into the descriptor, and closes that. What has been
 * written counts only when this succeeds. */
int image_stream(const struct image_tool *tool, const struct image_from *from,
    const struct image_facts *facts, int fd, struct err *e);

/* The file of a URL, at a path: in place of what was there, or not at all. */
int image_fetch(const struct image_tool *tool, const char *url, const char *path, struct err *e);

/* Unpacks `archive` (a path or URL; tar, compressed or not). With conf_dir NULL the whole archive
 * goes beneath `root_dir`; otherwise it is an image, and conf/ goes to conf_dir, m/ to root_dir.
 * The directories must be empty or absent. Any entry that would leave them is refused by name, and
 * after any failure they are empty again. */
int image_unpack(const struct image_tool *tool, const char *archive, const char *conf_dir,
    const char *root_dir, struct err *e);

struct image_to {
	const char *dir, *pot, *tag;
	int level;	      /* 0 to 9 */
	const char *snapshot; /* of the pot that is exported: layers will refer to it */
	const char *below;    /* "<pot>:<tag>@<snapshot>": what below_root is of */
	const char *key;      /* a secret key to sign with, or NULL */
};
/* Makes the files of an image, in place of any of that name; nothing is left or changed after a
 * failure. With below_root (else NULL) only what is not the same there. */
int image_pack(const struct image_tool *tool, const struct image_to *to, const char *conf_dir,
    const char *root_dir, const char *below_root, struct err *e);

/* The same of a ZFS stream, read from the descriptor to its end. */
int image_pack_stream(
    const struct image_tool *tool, const struct image_to *to, int fd, struct err *e);

/* Copies a directory tree with owners, modes, times, links, ACLs and extended attributes. */
int image_copy(const struct image_tool *tool, const char *from, const char *to, struct err *e);

/* Makes a Debian userland of `suite` in root_dir, by debootstrap; mirror may be NULL. */
int image_suite(const struct image_tool *tool, const char *suite, const char *mirror,
    const char *root_dir, struct err *e);

#endif
