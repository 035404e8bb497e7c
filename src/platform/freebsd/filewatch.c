/* By kqueue(2): NOTE_WRITE of the directory and of the file. */
#include "platform/filewatch.h"

#include "base/own.h"

#include <fcntl.h>
#include <sys/event.h>
#include <sys/types.h>
#include <unistd.h>

static int
add(int kq, int fd, struct err *e)
{
	struct kevent change;

	EV_SET(&change, fd, EVFILT_VNODE, EV_ADD | EV_CLEAR,
	    NOTE_WRITE | NOTE_EXTEND | NOTE_DELETE | NOTE_RENAME, 0, NULL);
	if (kevent(kq, &change, 1, NULL, 0, NULL) < 0)
		return err_sys(e, "watch a file: kevent");
	return 0;
}

int
filewatch_open(int dir_fd, int file_fd, struct err *e)
{
	autofd int kq = kqueue();

	if (kq < 0 || fcntl(kq, F_SETFD, FD_CLOEXEC) < 0)
		return err_sys(e, "watch a directory: kqueue");
	if (add(kq, dir_fd, e) < 0 || (file_fd >= 0 && add(kq, file_fd, e) < 0))
		return -1;
	return take_fd(&kq);
}

int
filewatch_file(int watch_fd, int file_fd, struct err *e)
{
	return add(watch_fd, file_fd, e); /* the watch of a closed file has gone with it */
}

void
filewatch_drain(int watch_fd)
{
	struct timespec none = { 0, 0 };
	struct kevent drop[16];

	while (kevent(watch_fd, NULL, 0, drop, 16, &none) > 0)
		;
}
