/*
 * swap.c: makes a name a file and a link in turn, until it is killed.
 *
 *   swap NAME WHERE-THE-LINK-LEADS
 */
#include <sys/stat.h>

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	char other[1024];

	if (argc != 3)
		errx(2, "swap NAME WHERE-THE-LINK-LEADS");
	snprintf(other, sizeof(other), "%s.other", argv[1]);
	for (;;) {
		/* what is mounted there just now refuses both */
		(void)unlink(other);
		if (symlink(argv[2], other) == 0)
			(void)rename(other, argv[1]);
		(void)unlink(other);
		int fd = open(other, O_WRONLY | O_CREAT | O_EXCL, 0644);
		if (fd >= 0)
			close(fd);
		(void)rename(other, argv[1]);
	}
}
