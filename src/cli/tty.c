#include "cli/pot_cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/*
 * A process in a pot never gets the caller's own terminal: with it, it could type into the caller's
 * shell (TIOCSTI). It gets a new one, and bytes are passed.
 */

static volatile sig_atomic_t resized;

static void
on_resize(int signal)
{
	(void)signal;
	resized = 1;
}

static void
copy_size(int from, int to)
{
	struct winsize size;

	if (ioctl(from, TIOCGWINSZ, &size) == 0)
		(void)ioctl(to, TIOCSWINSZ, &size);
}

static int
open_pair(int *master, int *slave, struct err *e)
{
	autofd int m = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (m < 0 || grantpt(m) < 0 || unlockpt(m) < 0)
		return err_sys(e, "make a terminal");
	const char *name = ptsname(m);
	int s = name != NULL ? open(name, O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;
	if (s < 0)
		return err_sys(e, "open the new terminal");
	*master = take_fd(&m);
	*slave = s;
	return 0;
}

static bool
write_all(int fd, const char *data, ssize_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, (size_t)len);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			data += n;
			len -= n;
		}
	}
	return true;
}

/* Until the other side of the master is closed. */
static void
pass_bytes(int master)
{
	struct pollfd p[] = { { .fd = master, .events = POLLIN }, { .fd = STDIN_FILENO, .events = POLLIN } };
	char block[4096];

	for (;;) {
		if (resized) {
			resized = 0;
			copy_size(STDIN_FILENO, master);
		}
		if (poll(p, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return;
		}
		if (p[0].revents != 0) {
			ssize_t n = read(master, block, sizeof(block));

			if (n < 0 && errno == EINTR)
				continue;
			if (n <= 0 || !write_all(STDOUT_FILENO, block, n))
				return;
		}
		if (p[1].revents != 0) {
			ssize_t n = read(STDIN_FILENO, block, sizeof(block));

			if (n <= 0)
				p[1].fd = -1;
			else if (!write_all(master, block, n))
				return;
		}
	}
}

int
tty_run(tty_fn *fn, void *ctx, struct err *e)
{
	struct sigaction act = { .sa_handler = on_resize }, before;
	struct termios saved, raw;
	int master, slave, status = 0;

	if (tcgetattr(STDIN_FILENO, &saved) < 0)
		return err_sys(e, "standard input is no terminal");
	if (open_pair(&master, &slave, e) < 0)
		return -1;
	(void)tcsetattr(slave, TCSANOW, &saved);
	copy_size(STDIN_FILENO, slave);
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0) {
		err_sys(e, "fork");
		close(master);
		close(slave);
		return -1;
	}
	if (pid == 0) {
		close(master);
		_exit(fn(slave, ctx));
	}
	close(slave);
	raw = saved;
	cfmakeraw(&raw);
	sigemptyset(&act.sa_mask);
	sigaction(SIGWINCH, &act, &before);
	(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	pass_bytes(master);
	(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
	sigaction(SIGWINCH, &before, NULL);
	close(master);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
