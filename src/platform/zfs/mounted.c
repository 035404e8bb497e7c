#include "base/buf.h"
#include "base/own.h"
#include "base/str.h"
#include "platform/zfs/zfs.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#ifdef __linux__
#include <sys/vfs.h>
#else
#include <sys/mount.h>
#include <sys/param.h>
#endif

/* A tree that pot itself made has no mark: but its jails are a ZFS file system of their own. */
bool
zfs_is_mounted(const char *fs_root)
{
	autofree char *jails = xasprintf("%s/jails", fs_root);
	struct statfs fs;
	struct stat top, below;

	if (stat(fs_root, &top) < 0 || stat(jails, &below) < 0 || top.st_dev == below.st_dev ||
	    statfs(jails, &fs) < 0)
		return false;
#ifdef __linux__
	return fs.f_type == 0x2fc12fc1; /* ZFS_SUPER_MAGIC, of a module outside the kernel */
#else
	return strcmp(fs.f_fstypename, "zfs") == 0;
#endif
}

int
zfs_mounted(struct host *h, const char *set, char **out, struct err *e)
{
	(void)h;
	*out = zfs_mounted_at(set);
	return *out != NULL
		   ? 0
		   : err_new(e, ERR_ABSENT,
			 "dataset %s is not mounted, or not there; 'zfs mount' mounts it", set);
}

/* The kernel's table of mounts tells what the command would, in a fraction of the time. */
#ifdef __linux__
char *
zfs_mounted_at(const char *set)
{
	autofree char *line = NULL;
	size_t room = 0;
	char *found = NULL;
	FILE *f = fopen("/proc/self/mountinfo", "re");

	while (f != NULL && found == NULL && getline(&line, &room, f) > 0) {
		char root[PATH_MAX], at[PATH_MAX], source[PATH_MAX];
		const char *rest = strstr(line, " - zfs ");
		/* names with blanks are escaped there, and are none of ours */
		if (rest != NULL && sscanf(rest, " - zfs %4095s", source) == 1 &&
		    sscanf(line, "%*s %*s %*s %4095s %4095s", root, at) == 2 && str_eq(root, "/") &&
		    str_eq(source, set) && strchr(at, '\\') == NULL)
			found = xstrdup(at);
	}
	if (f != NULL)
		(void)fclose(f);
	return found;
}
#else
char *
zfs_mounted_at(const char *set)
{
	int n = getfsstat(NULL, 0, MNT_NOWAIT);
	size_t room = n < 0 ? 0 : ((size_t)n + 16) * sizeof(struct statfs);
	autofree struct statfs *all = room > 0 ? xmalloc(room) : NULL;

	n = all == NULL ? 0 : getfsstat(all, (long)room, MNT_NOWAIT);
	for (int i = 0; i < n; i++)
		if (str_eq(all[i].f_mntfromname, set) && str_eq(all[i].f_fstypename, "zfs"))
			return xstrdup(all[i].f_mntonname);
	return NULL;
}
#endif
