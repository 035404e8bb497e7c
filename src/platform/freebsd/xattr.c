#include "platform/xattr.h"

#include "base/own.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <sys/acl.h>
#include <sys/extattr.h>
#include <unistd.h>

static int
copy_value(int from, int to, const char *name, struct err *e)
{
	ssize_t len = extattr_get_fd(from, EXTATTR_NAMESPACE_USER, name, NULL, 0);
	autofree char *value = len >= 0 ? xmalloc((size_t)len + 1) : NULL;

	if (value == NULL)
		return 0; /* gone meanwhile */
	len = extattr_get_fd(from, EXTATTR_NAMESPACE_USER, name, value, (size_t)len);
	if (len >= 0 && extattr_set_fd(to, EXTATTR_NAMESPACE_USER, name, value, (size_t)len) < 0 &&
	    errno != EOPNOTSUPP)
		return err_sys(e, "set extended attribute %s", name);
	return 0;
}

static int
copy_values(int from, int to, struct err *e)
{
	ssize_t n = extattr_list_fd(from, EXTATTR_NAMESPACE_USER, NULL, 0);
	autofree char *list = n > 0 ? xmalloc((size_t)n) : NULL;

	if (n <= 0)
		return n == 0 || errno == EOPNOTSUPP ? 0 : err_sys(e, "list extended attributes");
	n = extattr_list_fd(from, EXTATTR_NAMESPACE_USER, list, (size_t)n);
	/* each: a byte of length, and the name without an end */
	for (ssize_t at = 0; at < n;) {
		char name[EXTATTR_MAXNAMELEN + 1];
		size_t len = (unsigned char)list[at];

		if (at + 1 + (ssize_t)len > n)
			break;
		memcpy(name, list + at + 1, len);
		name[len] = '\0';
		if (copy_value(from, to, name, e) < 0)
			return -1;
		at += 1 + (ssize_t)len;
	}
	return 0;
}

/* A trivial list says no more than the mode does. */
static int
copy_list(int from, int to, acl_type_t type, struct err *e)
{
	acl_t acl = acl_get_fd_np(from, type);
	int trivial = 1, rc = 0;

	if (acl == NULL)
		return 0; /* of another kind, or none here */
	if (acl_is_trivial_np(acl, &trivial) == 0 && !trivial && acl_set_fd_np(to, acl, type) < 0 &&
	    errno != EOPNOTSUPP && errno != EINVAL)
		rc = err_sys(e, "set the access control list");
	acl_free(acl);
	return rc;
}

int
xattrs_copy(int from, int to, struct err *e)
{
	if (copy_values(from, to, e) < 0 || copy_list(from, to, ACL_TYPE_NFS4, e) < 0)
		return -1;
	return copy_list(from, to, ACL_TYPE_ACCESS, e);
}
