/* By inotify(7): a watch on the directory reports changes of its files as well. */
#include "platform/filewatch.h"

#include "base/own.h"

#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

int
filewatch_open(int dir_fd, int file_fd, struct err *e)
{
	char path[40];
	(void)file_fd;

	autofd int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (fd < 0)
		return err_sys(e, "watch a directory: inotify_init1");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", dir_fd);
	if (inotify_add_watch(fd, path,
		IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_ONLYDIR) < 0)
		return err_sys(e, "watch a directory: inotify_add_watch");
	return take_fd(&fd);
}

int
filewatch_file(int watch_fd, int file_fd, struct err *e)
{
	(void)watch_fd, (void)file_fd, (void)e;
	return 0;
}

void
filewatch_drain(int watch_fd)
{
	char drop[4096];

	while (read(watch_fd, drop, sizeof(drop)) > 0)
		;
}
