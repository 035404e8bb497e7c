#include "platform/child.h"

#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

int
child_run(child_fn *fn, void *ctx, struct err *e)
{
	int p[2], status = 0;
	struct err failure = ERR_INIT;

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, "make a pipe");
	pid_t pid = fork();
	if (pid < 0) {
		err_sys(e, "make a process");
		close(p[0]);
		close(p[1]);
		return -1;
	}
	if (pid == 0) {
		close(p[0]);
		int result = fn(ctx, &failure);
		/* shorter than PIPE_BUF: whole or not at all */
		if (result < 0 &&
		    write(p[1], &failure, sizeof(failure)) != (ssize_t)sizeof(failure))
			_exit(2);
		_exit(result < 0);
	}
	close(p[1]);
	ssize_t n;
	do
		n = read(p[0], &failure, sizeof(failure));
	while (n < 0 && errno == EINTR);
	close(p[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n == (ssize_t)sizeof(failure)) {
		*e = failure;
		return -1;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_new(e, ERR_SYS, "a helper process ended before its work was done");
	return 0;
}
