/*
 * killat.c: runs a command and kills it, and whoever works for it, at a chosen moment of a pot's
 * run.
 *
 *   killat RECORD WORD MICROSECONDS WHOM COMMAND...
 *
 * The moment: MICROSECONDS after WORD came up at the start of a line of RECORD; "gone" is when
 * RECORD, which was there, is there no longer. WHOM: "it" the command alone, "keepers" all
 * processes of the program pot-keeper (keepers, inits, who ends a jail), "all" both. Prints the
 * words that the record began its lines with by then.
 */
#include <sys/types.h>
#include <sys/sysctl.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool
read_record(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* It spins: nothing is quick enough to be told. */
static bool
moment(const char *path, const char *word, pid_t child, char *text, size_t size)
{
	bool was = false;

	for (;;) {
		if (read_record(path, text, size)) {
			char *at = strstr(text, word);
			was = true;
			if (at != NULL && (at == text || at[-1] == '\n'))
				return true;
		} else if (was && strcmp(word, "gone") == 0) {
			return true;
		}
		if (waitpid(child, NULL, WNOHANG) != 0)
			return false;
	}
}

static void
kill_keepers(void)
{
	int mib[] = { CTL_KERN, KERN_PROC, KERN_PROC_PROC };
	static struct kinfo_proc all[4096];
	size_t len = sizeof(all);

	if (sysctl(mib, 3, all, &len, NULL, 0) < 0)
		err(1, "list the processes");
	for (size_t i = 0; i < len / sizeof(*all); i++)
		if (strcmp(all[i].ki_comm, "pot-keeper") == 0 && all[i].ki_jid == 0)
			kill(all[i].ki_pid, SIGKILL);
}

int
main(int argc, char **argv)
{
	char text[8192] = "";
	const char *whom;
	pid_t child;

	if (argc < 6)
		errx(2, "killat RECORD WORD MICROSECONDS WHOM COMMAND...");
	whom = argv[4];
	child = fork();
	if (child == 0) {
		execvp(argv[5], argv + 5);
		err(127, "%s", argv[5]);
	}
	if (moment(argv[1], argv[2], child, text, sizeof(text))) {
		if (atoi(argv[3]) > 0)
			usleep((unsigned)atoi(argv[3]));
		if (strcmp(whom, "keepers") != 0)
			kill(child, SIGKILL);
		if (strcmp(whom, "it") != 0)
			kill_keepers();
		printf("killed at %s\n", argv[2]);
	} else {
		printf("missed %s\n", argv[2]);
	}
	while (waitpid(child, NULL, 0) > 0)
		;
	return 0;
}
