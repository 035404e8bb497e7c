/*
 * account.h: users as the files below the current root name them (/etc/passwd, /etc/group), without
 * the C library's name services: the root is a pot's, and the caller may be a static program.
 */
#ifndef PLATFORM_ACCOUNT_H
#define PLATFORM_ACCOUNT_H

#include "base/err.h"

#include <stddef.h>
#include <sys/types.h>

struct account {
	uid_t uid;
	gid_t gid;
	gid_t groups[64]; /* further groups the user is listed in */
	size_t n_groups;
	char name[64];	/* "" for a number without an entry */
	char home[512]; /* "/" when unknown */
	char shell[256];
};

/* "name", "uid", "name:group", "uid:gid"; NULL or "": root. ERR_ABSENT: no such user or group. */
int account_find(const char *user, struct account *out, struct err *e);
/* The same from the texts of the two files, which are taken apart in place; NULL: empty. */
int account_parse(const char *user, char *passwd, char *group, struct account *out, struct err *e);

#endif
