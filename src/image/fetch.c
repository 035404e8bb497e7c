/* One file from afar, whole or not at all. */
#include "image/tool.h"

#include "base/own.h"
#include "base/str.h"
#include "store/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int
to_fd(void *ctx, const void *data, size_t len, struct err *e)
{
	return fd_write_all(*(int *)ctx, data, len, e);
}

int
fetch(struct tool *t, const char *url, const char *path, struct err *e)
{
	autofree char *part = xasprintf("%s.XXXXXX", path);
	autofd int fd = mkstemp(part);

	if (fd < 0)
		return err_sys(e, "make %s", part);
	if (download(t, url, "download", to_fd, &fd, e) == 0) {
		if (fchmod(fd, 0644) == 0 && rename(part, path) == 0)
			return 0;
		err_sys(e, "write %s", path);
	}
	(void)unlink(part);
	return -1;
}
