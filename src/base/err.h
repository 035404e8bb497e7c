/*
 * err.h: a failure is a value on the caller's stack.
 *
 * Functions that can fail return 0 (or a count) on success and -1 on failure with *e filled in;
 * *e and every result stay untouched otherwise. The struct err parameter comes last and may not be
 * NULL. Context is put in front on the way up, so the last line reads from the outside in:
 *
 *	if (dataset_up(p, e) < 0)
 *		return err_ctx(e, "start %s", p->name);
 *
 * Programs branch on `kind`; nobody compares text. Libraries return errors, programs tell them,
 * once.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/own.h"

enum err_kind {
	ERR_NONE = 0,
	ERR_INPUT,  /* what was asked for is malformed or not allowed: the asker must change it */
	ERR_ABSENT, /* the named object does not exist */
	ERR_EXISTS, /* the named object exists already */
	ERR_BUSY,   /* locked, running, in use: may succeed later */
	ERR_RIGHTS, /* not permitted */
	ERR_UNSUPPORTED, /* this machine or this build cannot do it */
	ERR_FULL,	 /* no space, no address, no port, no memory left */
	ERR_REMOTE,	 /* another program or host failed or refused */
	ERR_TIMEOUT,	 /* no answer in time */
	ERR_CORRUPT,	 /* stored data fails its check */
	ERR_SYS,	 /* another failure of a system call */
	ERR_KINDS	 /* how many there are */
};

struct err {
	enum err_kind kind;
	int sys; /* errno at the failing call, else 0 */
	char text[1024];
};

#define ERR_INIT                                                                                   \
	{                                                                                          \
		.kind = ERR_NONE, .sys = 0, .text = ""                                             \
	}

/* All return -1, so that they can be returned directly. err_sys() takes errno, adds strerror() and
 * derives the kind from it; err_ctx() puts "context: " in front of the text. Text that does not
 * fit is cut at the end. */
int err_new(struct err *e, enum err_kind kind, const char *fmt, ...) PRINTFLIKE(3, 4);
int err_sys(struct err *e, const char *fmt, ...) PRINTFLIKE(2, 3);
int err_ctx(struct err *e, const char *fmt, ...) PRINTFLIKE(2, 3);

enum err_kind err_kind_of_errno(int sys);
/* "input", "absent" … and back; an unknown name gives ERR_SYS. For sending errors between
 * processes. */
const char *err_kind_name(enum err_kind kind);
enum err_kind err_kind_named(const char *name);

#endif
