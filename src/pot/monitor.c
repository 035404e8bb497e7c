#include "pot/monitor.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "base/vec.h"
#include "codec/wire.h"
#include "platform/account.h"
#include "platform/proc.h"
#include "pot/priv.h"
#include "pot/runner_proto.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Everything that happens here is a signal or a time that comes, so the loop waits for signals
 * alone.
 */

#define LOG "monitor"

enum { RUNNER_FD = 3, ABOVE = 10 };
enum {
	BACKOFF_MIN_MS = 100,
	BACKOFF_MAX_MS = 5000,
	STEADY_MS = 30000,
	FIRST_MS = 3000,
	STOP_MS = 300000
};

struct kept { /* one of the two children */
	const char *name;
	pid_t pid; /* 0: not running */
	int64_t started_ns;
	int64_t start_at_ns; /* when to start it again */
	int64_t backoff_ms;
	bool ever_steady;
};

struct monitor {
	const struct monitor_config *config;
	struct account user;
	struct kept agent, runner;
	int agent_end;	  /* of the runner's socket, for the next agent; -1 */
	int control;	  /* our end of the agent's control socket; -1 */
	int stop_signal;  /* 0: not stopping */
	bool stop_by_new; /* no agent ran when SIGINT came: one is started to stop the pots */
	int64_t kill_at_ns;
	bool done;
	int status;
};

/* ---- children ---- */

static void
child_ready(void)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &dfl, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static NORETURN void
child_failed(const char *what)
{
	log_error(LOG, "start %s: %s", what, strerror(errno));
	_exit(127);
}

static NORETURN void
runner_child(const struct monitor *m, int sock)
{
	char uid[24], gid[24], parent[24];
	VEC(const char *) argv = VEC_INIT;

	snprintf(uid, sizeof(uid), "%u", (unsigned)m->user.uid);
	snprintf(gid, sizeof(gid), "%u", (unsigned)m->user.gid);
	snprintf(parent, sizeof(parent), "%d", (int)getppid());
	const char *const fixed[] = { "pot-runner", "--worker", "--uid", uid, "--gid", gid,
		"--parent", parent };
	for (size_t i = 0; i < NELEM(fixed); i++)
		VEC_PUSH(&argv, fixed[i]);
	for (size_t i = 0; m->config->roots != NULL && m->config->roots[i] != NULL; i++) {
		VEC_PUSH(&argv, "--root");
		VEC_PUSH(&argv, m->config->roots[i]);
	}
	if (m->config->raw_root)
		VEC_PUSH(&argv, "--raw-root");
	VEC_PUSH(&argv, NULL);
	/* dup2() onto itself would leave it close-on-exec */
	if ((sock == RUNNER_FD ? fcntl(sock, F_SETFD, 0) : dup2(sock, RUNNER_FD)) < 0)
		child_failed("pot-runner");
	proc_close_from(RUNNER_FD + 1);
	child_ready();
	execv(m->config->program, (char *const *)(uintptr_t)argv.at);
	child_failed(m->config->program);
}

static NORETURN void
agent_child(const struct monitor *m, int control)
{
	const struct account *u = &m->user;
	int runner = fcntl(m->agent_end, F_DUPFD, ABOVE), other = fcntl(control, F_DUPFD, ABOVE);
	char text[24];

	/* high numbers, which nothing that was passed to us from outside has */
	if (runner < 0 || other < 0)
		child_failed("the agent");
	snprintf(text, sizeof(text), "%d", runner);
	(void)setenv(RUNNER_FD_ENV, text, 1);
	snprintf(text, sizeof(text), "%d", other);
	(void)setenv(RUNNER_MONITOR_FD_ENV, text, 1);
	if (m->stop_by_new)
		(void)setenv(RUNNER_STOP_ENV, "1", 1);
	(void)setenv("HOME", u->home, 1);
	(void)setenv("USER", u->name, 1);
	if (setgroups(u->n_groups, u->groups) < 0 || setgid(u->gid) < 0 || setuid(u->uid) < 0)
		child_failed("the agent as its own user");
	child_ready();
	execvp(m->config->command[0], m->config->command);
	child_failed(m->config->command[0]);
}

static pid_t
fork_kept(struct kept *k, struct err *e)
{
	pid_t pid = fork();

	if (pid < 0)
		return err_sys(e, "make a process for %s", k->name);
	if (pid > 0) {
		k->pid = pid;
		k->started_ns = clock_mono_ns();
		k->start_at_ns = 0;
	}
	return pid;
}

/* The agent that runs gets the socket; else the next one does. */
static void
hand_over(struct monitor *m)
{
	autobuf struct buf body = BUF_INIT;
	struct err e;

	wire_begin(&body, 1, 1);
	if (m->agent.pid == 0 || m->control < 0)
		return;
	if (wire_send(m->control, &body, &m->agent_end, 1, &e) < 0)
		log_warn(LOG, "the agent does not take the new runner: %s", e.text);
	close(take_fd(&m->agent_end));
}

static int
start_runner(struct monitor *m, struct err *e)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, "make the runner's socket");
	pid_t pid = fork_kept(&m->runner, e);
	if (pid == 0)
		runner_child(m, pair[0]);
	close(pair[0]);
	if (pid < 0) {
		close(pair[1]);
		return -1;
	}
	own_close(&m->agent_end);
	m->agent_end = pair[1];
	log_info(LOG, "pot-runner started: pid=%d", (int)pid);
	hand_over(m);
	return 0;
}

static int
start_agent(struct monitor *m, struct err *e)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, "make the agent's control socket");
	pid_t pid = fork_kept(&m->agent, e);
	if (pid == 0)
		agent_child(m, pair[1]);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return -1;
	}
	own_close(&m->control);
	m->control = pair[0];
	close(take_fd(&m->agent_end));
	log_info(LOG, "agent started: pid=%d user=%s", (int)pid, m->user.name);
	return 0;
}

/* ---- when they end ---- */

static const char *
how(int status, char out[64])
{
	if (WIFSIGNALED(status))
		snprintf(out, 64, "killed by SIG%s", proc_signal_name(WTERMSIG(status)));
	else
		snprintf(out, 64, "exit code %d", WEXITSTATUS(status));
	return out;
}

static void
restart_later(struct kept *k)
{
	int64_t lived_ms = (clock_mono_ns() - k->started_ns) / NS_PER_MS;

	if (lived_ms >= STEADY_MS)
		k->backoff_ms = 0;
	int64_t wait_ms = k->backoff_ms;
	k->backoff_ms = wait_ms == 0		       ? BACKOFF_MIN_MS
			: wait_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS
						       : wait_ms * 2;
	k->start_at_ns = clock_mono_ns() + wait_ms * NS_PER_MS;
}

static void
agent_ended(struct monitor *m, int status)
{
	bool early = clock_mono_ns() - m->agent.started_ns < FIRST_MS * NS_PER_MS;
	int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	char text[64];

	m->agent.pid = 0;
	own_close(&m->control);
	m->control = -1;
	/* its runner has lost whom it worked for and ends by itself */
	m->runner.pid = 0;
	m->status = code;
	/* An agent that ends by itself at its beginning cannot start, and has said why. */
	bool hopeless = WIFEXITED(status) && (code == 0 || (early && !m->agent.ever_steady));
	if (m->stop_signal != 0 || hopeless) {
		if (m->stop_signal == 0)
			log_warn(LOG, "agent ended: %s", how(status, text));
		m->done = true;
		return;
	}
	log_error(LOG, "agent ended: %s; starting it again", how(status, text));
	restart_later(&m->agent);
}

static void
reap(struct monitor *m)
{
	int status;
	pid_t pid;
	char text[64];

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == m->agent.pid) {
			agent_ended(m, status);
		} else if (pid == m->runner.pid) {
			m->runner.pid = 0;
			/* with 0 it saw its agent go, which is told next */
			if (m->stop_signal == 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == 0))
				log_error(LOG, "pot-runner ended: %s; starting it again",
				    how(status, text));
			restart_later(&m->runner);
		} /* else: a keeper, whose starter has gone, or a runner on its way out */
	}
}

/* ---- the loop ---- */

static void
keep_running(struct monitor *m)
{
	struct err e;
	int64_t now = clock_mono_ns();

	if (m->done || (m->stop_signal != 0 && !(m->stop_by_new && m->agent.pid == 0)))
		return;
	if (now - m->agent.started_ns >= FIRST_MS * NS_PER_MS)
		m->agent.ever_steady = true;
	if (m->agent.pid == 0 && now < m->agent.start_at_ns)
		return;
	if (m->runner.pid == 0 && now >= m->runner.start_at_ns && start_runner(m, &e) < 0) {
		log_error(LOG, "%s", e.text);
		restart_later(&m->runner);
	}
	if (m->agent.pid == 0 && m->agent_end >= 0 && start_agent(m, &e) < 0) {
		log_error(LOG, "%s", e.text);
		restart_later(&m->agent);
	}
}

static void
on_signal(struct monitor *m, int sig)
{
	if (sig == SIGCHLD) {
		reap(m);
		return;
	}
	/* a service manager's own signal after that of minipot, which asks for more */
	if (sig == SIGTERM && m->stop_signal == SIGINT)
		return;
	if (sig == SIGTERM || sig == SIGINT) {
		if (m->stop_signal == 0)
			log_info(LOG, "SIG%s: stopping", proc_signal_name(sig));
		m->stop_signal = sig;
		if (m->kill_at_ns == 0)
			m->kill_at_ns = clock_mono_ns() + STOP_MS * NS_PER_MS;
		if (m->agent.pid == 0 && sig == SIGINT && !m->stop_by_new) {
			/* Only an agent knows the pots of the jobs and the ingress. */
			m->stop_by_new = true;
			m->agent.start_at_ns = m->runner.start_at_ns = 0;
			return;
		}
		m->done = m->agent.pid == 0;
	}
	if (m->agent.pid > 0)
		(void)kill(m->agent.pid, sig);
}

/* Until something has to be started or killed; -1: no such time. */
static int64_t
next_time(const struct monitor *m)
{
	int64_t at = m->kill_at_ns != 0 ? m->kill_at_ns : -1;

	if (m->stop_signal == 0) {
		const struct kept *both[] = { &m->agent, &m->runner };
		for (size_t i = 0; i < 2; i++)
			if (both[i]->pid == 0 && (at < 0 || both[i]->start_at_ns < at))
				at = both[i]->start_at_ns;
	}
	if (at < 0)
		return -1;
	int64_t left = at - clock_mono_ns();
	return left > 0 ? left : 0;
}

static void
wait_for_signal(struct monitor *m, const sigset_t *signals)
{
	int64_t ns = next_time(m);
	struct timespec left = { .tv_sec = ns / NS_PER_SEC, .tv_nsec = ns % NS_PER_SEC };
	int sig = ns < 0 ? sigwaitinfo(signals, NULL) : sigtimedwait(signals, NULL, &left);

	if (sig > 0)
		on_signal(m, sig);
	if (m->kill_at_ns != 0 && clock_mono_ns() >= m->kill_at_ns && m->agent.pid > 0) {
		log_error(LOG, "the agent does not stop: killed");
		(void)kill(m->agent.pid, SIGKILL);
		m->kill_at_ns += STOP_MS * NS_PER_MS;
	}
}

/* The runner ends when it has finished what it began; keepers are left. */
static void
wait_for_runner(pid_t runner)
{
	while (runner > 0 && waitpid(runner, NULL, 0) < 0 && errno == EINTR)
		;
}

int
monitor_main(const struct monitor_config *config, struct err *e)
{
	struct monitor m = { .config = config,
		.agent = { .name = "the agent" },
		.runner = { .name = "pot-runner" },
		.agent_end = -1,
		.control = -1 };
	static const int handled[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1 };
	sigset_t signals;
	pid_t last_runner = 0;

	if (account_find(config->user, &m.user, e) < 0)
		return err_ctx(e, "the agent's user");
	if (proc_subreaper(e) < 0) /* keepers whose starter has gone become ours */
		return -1;
	sigemptyset(&signals);
	for (size_t i = 0; i < NELEM(handled); i++)
		sigaddset(&signals, handled[i]);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return err_sys(e, "block signals");
	proc_keep_sigchld();
	m.agent.started_ns = clock_mono_ns();
	while (!m.done) {
		keep_running(&m);
		last_runner = m.runner.pid != 0 ? m.runner.pid : last_runner;
		wait_for_signal(&m, &signals);
	}
	own_close(&m.agent_end);
	wait_for_runner(last_runner);
	if (config->remove != NULL && remove_tree(config->remove, e) < 0)
		log_warn(LOG, "%s", e->text);
	return m.status;
}
