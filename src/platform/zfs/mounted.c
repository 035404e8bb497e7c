#include "base/own.h"
#include "platform/zfs/zfs.h"

#include <stdbool.h>
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
