#include "platform/xattr.h"

#include "base/own.h"
#include "base/str.h"

#include <errno.h>
#include <limits.h>
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

static bool
goes_along(const char *name)
{
	return (str_starts(name, "user.") && !str_starts(name, "user.overlay.")) ||
	       str_starts(name, "system.posix_acl_") || str_eq(name, "security.capability");
}

int
xattrs_copy(int from, int to, struct err *e)
{
	autofree char *names = NULL, *value = NULL;
	ssize_t n = flistxattr(from, NULL, 0);

	if (n <= 0)
		return n == 0 || errno == ENOTSUP ? 0 : err_sys(e, "list extended attributes");
	names = xmalloc((size_t)n);
	n = flistxattr(from, names, (size_t)n);
	for (char *at = names; n > 0 && at < names + n; at += strlen(at) + 1) {
		if (!goes_along(at))
			continue;
		if (value == NULL)
			value = xmalloc(XATTR_SIZE_MAX);
		ssize_t len = fgetxattr(from, at, value, XATTR_SIZE_MAX);
		if (len >= 0 && fsetxattr(to, at, value, (size_t)len, 0) < 0 && errno != ENOTSUP)
			return err_sys(e, "set extended attribute %s", at);
	}
	return 0;
}
