/*
 * own_net.h: for tests that make kernel objects: a network and a mount namespace of the test's own,
 * so that nothing it makes is seen outside or outlives it.
 */
#ifndef TESTS_OWN_NET_H
#define TESTS_OWN_NET_H

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Exits with 77 (skipped) where the rights are missing. */
static inline void
own_net_enter(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET | CLONE_NEWNS) < 0) {
		fprintf(stderr, "SKIP: needs root and namespaces\n");
		exit(77);
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		perror("mount");
		exit(1);
	}
}

/* A process with a network namespace of its own that runs body(ctx) after it was told to by a byte,
 * or waits for its end when body is NULL. */
struct other_net {
	pid_t pid;
	int go; /* write end */
};

static inline struct other_net
other_net_start(int (*body)(void *), void *ctx)
{
	struct other_net o;
	int go[2], ready[2];
	char c;

	if (pipe2(go, O_CLOEXEC) < 0 || pipe2(ready, O_CLOEXEC) < 0)
		abort();
	o.pid = fork();
	if (o.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(go[1]);
		if (unshare(CLONE_NEWNET) < 0 || write(ready[1], "r", 1) != 1)
			_exit(99);
		if (read(go[0], &c, 1) != 1)
			_exit(98);
		if (body == NULL)
			for (;;)
				pause();
		_exit(body(ctx));
	}
	close(go[0]);
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		abort();
	close(ready[0]);
	o.go = go[1];
	return o;
}

static inline void
other_net_go(struct other_net *o)
{
	if (write(o->go, "g", 1) != 1)
		abort();
}

static inline int
other_net_end(struct other_net *o, bool kill_it)
{
	int status;

	if (kill_it)
		kill(o->pid, SIGKILL);
	close(o->go);
	waitpid(o->pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#endif
