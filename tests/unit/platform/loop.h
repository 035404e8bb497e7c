/*
 * loop.h: a block device of the test's own: a file in memory with an empty btrfs on it.
 */
#ifndef TESTS_LOOP_H
#define TESTS_LOOP_H

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int loop_fd = -1;

static inline int
loop_run(const char *const *argv)
{
	static char *const none[] = { NULL };
	int status;
	pid_t pid;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, none) != 0)
		return -1;
	return waitpid(pid, &status, 0) < 0 || status != 0 ? -1 : 0;
}

/* device: where to write its path. It goes with its last use, and loop_close(). */
static inline int
loop_btrfs(const char *where, char device[64])
{
	char image[128];
	const char *const make[] = { "mkfs.btrfs", "-q", "-f", image, NULL };
	int file, control, n;

	snprintf(image, sizeof(image), "%s/btrfs.img", where);
	file = open(image, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (file < 0 || ftruncate(file, 512 << 20) < 0 || loop_run(make) < 0)
		return -1;
	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	for (int tries = 0; tries < 20 && control >= 0; tries++) {
		struct loop_config c = { .fd = (unsigned)file,
			.info = { .lo_flags = LO_FLAGS_AUTOCLEAR } };

		if ((n = ioctl(control, LOOP_CTL_GET_FREE)) < 0)
			break;
		snprintf(device, 64, "/dev/loop%d", n);
		if ((loop_fd = open(device, O_RDWR | O_CLOEXEC)) < 0)
			break;
		if (ioctl(loop_fd, LOOP_CONFIGURE, &c) == 0) {
			close(control);
			close(file);
			return 0;
		}
		close(loop_fd); /* somebody was quicker */
		if (errno != EBUSY)
			break;
	}
	return -1;
}

/* Once it is mounted. */
static inline void
loop_close(void)
{
	close(loop_fd);
}

#endif
