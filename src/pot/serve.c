#include "pot/serve.h"

#include "base/log.h"
#include "base/vec.h"
#include "platform/account.h"
#include "platform/proc.h"
#include "pot/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG "pot-runner"

enum { WORKER_FD = 3, WORKERS_MAX = 32, BACKLOG = 16 };

struct serve {
	const struct serve_config *config;
	char path[SERVE_PATH_MAX];
	bool has_group;
	gid_t group;
	int sock;
	VEC(pid_t) workers;
};

static volatile sig_atomic_t asked_to_end;

static void
on_term(int sig)
{
	(void)sig;
	asked_to_end = 1;
}

static void
on_child(int sig)
{
	(void)sig; /* only to leave ppoll(2) */
}

/* ---- the socket ---- */

static int
find_group(struct serve *s, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct account who;

	if (s->config->group == NULL)
		return 0;
	if (account_find(arena_printf(&mem, "0:%s", s->config->group), &who, e) < 0)
		return err_ctx(e, "--group %s", s->config->group);
	s->group = who.gid;
	s->has_group = true;
	return 0;
}

/* Made where nobody but root can connect, then opened to the group. */
static int
listen_at(struct serve *s, struct err *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct stat st;

	if (!str_copy(at.sun_path, sizeof(at.sun_path), s->path))
		return err_new(e, ERR_INPUT, "the path %s is too long for a socket", s->path);
	/* the lock tells that nobody serves here: what lies there was left */
	if (lstat(s->path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return err_new(e, ERR_EXISTS, "%s is there and no socket", s->path);
	(void)unlink(s->path);
	autofd int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t before = umask(0177);
	int rc = sock < 0 ? -1 : bind(sock, (struct sockaddr *)&at, sizeof(at));
	(void)umask(before);
	if (rc < 0 || listen(sock, BACKLOG) < 0)
		return err_sys(e, "listen at %s", s->path);
	if (s->has_group && (chown(s->path, 0, s->group) < 0 ||
				chmod(s->path, S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP) < 0))
		return err_sys(e, "open %s to the group %s", s->path, s->config->group);
	s->sock = take_fd(&sock);
	return 0;
}

/* ---- connections ---- */

static bool
may(const struct serve *s, const struct proc_peer *who)
{
	if (who->uid == 0 || (s->has_group && who->gid == s->group))
		return true;
	for (size_t i = 0; s->has_group && i < who->n_groups; i++)
		if (who->groups[i] == s->group)
			return true;
	return false;
}

static NORETURN void
worker_child(const struct serve *s, int sock, const struct proc_peer *who, pid_t parent)
{
	char uid[24], gid[24], from[24];
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	VEC(const char *) argv = VEC_INIT;
	sigset_t none;

	snprintf(uid, sizeof(uid), "%u", (unsigned)who->uid);
	snprintf(gid, sizeof(gid), "%u", (unsigned)who->gid);
	snprintf(from, sizeof(from), "%d", (int)parent);
	const char *const fixed[] = { "pot-runner", "--worker", "--no-raw", "--uid", uid, "--gid",
		gid, "--parent", from };
	for (size_t i = 0; i < NELEM(fixed); i++)
		VEC_PUSH(&argv, fixed[i]);
	for (size_t i = 0; s->config->roots != NULL && s->config->roots[i] != NULL; i++) {
		VEC_PUSH(&argv, "--root");
		VEC_PUSH(&argv, s->config->roots[i]);
	}
	VEC_PUSH(&argv, NULL);
	/* dup2() onto itself would leave it close-on-exec */
	if ((sock == WORKER_FD ? fcntl(sock, F_SETFD, 0) : dup2(sock, WORKER_FD)) < 0)
		_exit(127);
	proc_close_from(WORKER_FD + 1);
	(void)sigaction(SIGTERM, &dfl, NULL);
	(void)sigaction(SIGINT, &dfl, NULL);
	(void)sigaction(SIGCHLD, &dfl, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	execv(s->config->program, (char *const *)(uintptr_t)argv.at);
	log_error(LOG, "start %s: %s", s->config->program, strerror(errno));
	_exit(127);
}

static void
on_connect(struct serve *s)
{
	struct proc_peer who;
	struct err e = ERR_INIT;
	autofd int sock = accept(s->sock, NULL, NULL);

	if (sock < 0)
		return;
	if (proc_peer(sock, &who, &e) < 0) {
		log_error(LOG, "%s", e.text);
		return;
	}
	if (!may(s, &who)) {
		log_warn(LOG, "refused: uid %u is not of the group", (unsigned)who.uid);
		return;
	}
	if (s->workers.n >= WORKERS_MAX) {
		log_warn(LOG, "refused: uid %u, %d connections are open", (unsigned)who.uid,
		    (int)WORKERS_MAX);
		return;
	}
	pid_t self = getpid(), pid = fork();
	if (pid == 0)
		worker_child(s, sock, &who, self);
	if (pid < 0) {
		err_sys(&e, "make a process");
		log_error(LOG, "%s", e.text);
		return;
	}
	VEC_PUSH(&s->workers, pid);
	log_info(LOG, "uid %u connected: worker pid=%d", (unsigned)who.uid, (int)pid);
}

/* Keepers whose worker has gone may be ours, as those of a subreaper are. */
static void
reap(struct serve *s)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		for (size_t i = 0; i < s->workers.n; i++)
			if (s->workers.at[i] == pid) {
				VEC_REMOVE(&s->workers, i);
				break;
			}
}

/* They finish what they began; what they have started goes on. */
static void
end_workers(struct serve *s)
{
	for (size_t i = 0; i < s->workers.n; i++)
		(void)kill(s->workers.at[i], SIGTERM);
	for (size_t i = 0; i < s->workers.n; i++)
		while (waitpid(s->workers.at[i], NULL, 0) < 0 && errno == EINTR)
			;
	VEC_FINI(&s->workers);
}

static void
serve(struct serve *s)
{
	struct sigaction term = { .sa_handler = on_term }, child = { .sa_handler = on_child };
	sigset_t held, before;

	sigemptyset(&held);
	sigaddset(&held, SIGTERM);
	sigaddset(&held, SIGINT);
	sigaddset(&held, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &held, &before);
	(void)sigaction(SIGTERM, &term, NULL);
	(void)sigaction(SIGINT, &term, NULL);
	(void)sigaction(SIGCHLD, &child, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	while (!asked_to_end) {
		struct pollfd p = { .fd = s->sock, .events = POLLIN };
		if (ppoll(&p, 1, NULL, &before) > 0)
			on_connect(s);
		reap(s);
	}
	(void)unlink(s->path);
	close(s->sock);
	end_workers(s);
}

int
serve_main(const struct serve_config *config, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct serve s = { .config = config, .sock = -1 };
	const char *path = config->path != NULL
			       ? config->path
			       : arena_printf(&mem, "%s/runner.sock", config->env->conf.run_dir);

	if (*path != '/' || !str_copy(s.path, sizeof(s.path), path))
		return err_new(
		    e, ERR_INPUT, "\"%s\" is not an absolute path, or too long for a socket", path);
	if (find_group(&s, e) < 0)
		return -1;
	autofd int lock = lock_named(config->env, ".serve", LOCK_TRY, e);
	if (lock < 0)
		return err_ctx(e, "another pot-runner may be serving");
	if (listen_at(&s, e) < 0)
		return -1;
	log_info(LOG, "serving at %s", s.path);
	serve(&s);
	return 0;
}
