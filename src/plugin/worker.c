#include "plugin/plugin.h"

#include "base/log.h"
#include "base/str.h"
#include "codec/wire.h"
#include "platform/facts.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * The pot-runner that works for us: a child that ends when its socket closes. When it dies before,
 * the next one takes over: its socket goes through a pair of our own, the way the agent's monitor
 * hands one over, so that waiting requests are asked again (client/runner.h).
 *
 * An agent that is not root, or was told to, has a pot-runner that serves at a socket instead: the
 * same frames. A connection that closes is made anew and handed over likewise.
 *
 * A runner of our own never sees our standard output and error: Nomad takes an open end of those
 * for a sign that we live.
 */

extern char **environ;

struct worker {
	struct plugin *plugin;
	struct runner *runner;
	struct loop_child *child;
	struct loop_watch *says_watch;
	struct loop_timer *again;
	struct buf said;
	int says;      /* what it writes */
	int hand_over; /* our end of the pair */
	pid_t pid;     /* 0: none */
};

enum { WORKER_FD = 3, ABOVE = 10, AGAIN_MS = 1000, LINE_MAX_LEN = 4096 };

/* ---- what it says ---- */

static void
tell_lines(struct worker *w)
{
	char *eol;

	while (w->said.len > 0 && (eol = memchr(w->said.data, '\n', w->said.len)) != NULL) {
		log_info("runner", "%.*s", (int)(eol - w->said.data), w->said.data);
		buf_drop(&w->said, (size_t)(eol - w->said.data) + 1);
	}
	if (w->said.len > LINE_MAX_LEN)
		buf_reset(&w->said);
}

static void
on_says(void *ctx, int fd, unsigned what)
{
	struct worker *w = ctx;
	char bytes[2048];

	(void)what;
	ssize_t n = read(fd, bytes, sizeof(bytes));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		buf_add(&w->said, bytes, (size_t)n);
		tell_lines(w);
		return;
	}
	loop_watch_free(&w->says_watch);
	own_close(&w->says);
	w->says = -1;
}

/* ---- the child ---- */

static bool
is_ours(const char *assignment)
{
	return str_starts(assignment, "NOMAD_PLUGIN_") || str_starts(assignment, "PLUGIN_") ||
	       str_starts(assignment, "NOTIFY_SOCKET=") || str_starts(assignment, "POT_CONF=");
}

static char **
environment(const struct plugin_config *c, struct arena *a)
{
	size_t n = 0;
	bool path = false;

	while (environ[n] != NULL)
		n++;
	char **out = arena_array(a, n + 3, char *);
	n = 0;
	const char *conf = c->pot_conf != NULL ? c->pot_conf : getenv("POT_CONF");
	for (char **v = environ; *v != NULL; v++) {
		path = path || str_starts(*v, "PATH=");
		if (!is_ours(*v))
			out[n++] = *v;
	}
	if (!path)
		out[n++] = arena_strdup(
		    a, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	if (conf != NULL)
		out[n++] = arena_printf(a, "POT_CONF=%s", conf);
	return out;
}

static const char *
program(const struct plugin_config *c, struct arena *a)
{
	const char *told = getenv("POTTER_LIBEXEC"), *self = facts_program(a);

	if (c->libexec != NULL)
		return arena_printf(a, "%s/pot-runner", c->libexec);
	if (told != NULL && *told == '/')
		return arena_printf(a, "%s/pot-runner", told);
	/* beside <prefix>/bin, else where it was installed: Nomad's plugin_dir may hold a copy */
	const char *slash = self != NULL ? strrchr(self, '/') : NULL;
	if (slash != NULL) {
		const char *near =
		    arena_printf(a, "%.*s/../libexec/potter/pot-runner", (int)(slash - self), self);
		if (access(near, X_OK) == 0)
			return near;
	}
	return LIBEXECDIR "/pot-runner";
}

/* Above those that the child gets: dup2 onto itself would leave it closed on exec. */
static int
above(int fd)
{
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, ABOVE);

	close(fd);
	return moved;
}

enum { ARGV_MAX = 20 };

static char **
arguments(const struct plugin_config *c, struct arena *a)
{
	const char *const fixed[] = { "pot-runner", "--worker", "--uid",
		arena_printf(a, "%u", (unsigned)geteuid()), "--gid",
		arena_printf(a, "%u", (unsigned)getegid()), "--root", "/", "--parent",
		arena_printf(a, "%ld", (long)getpid()) };
	const struct {
		const char *key, *value;
	} sets[] = { { "POT_FS_ROOT", c->pot_root }, { "POT_SIGNATURES", c->signatures },
		{ "POT_DEFAULT_SIGNATURE_PUBKEY", c->signature_pubkey } };
	char **argv = arena_array(a, ARGV_MAX, char *);
	size_t n = 0;

	for (size_t i = 0; i < NELEM(fixed); i++)
		argv[n++] = arena_strdup(a, fixed[i]);
	for (size_t i = 0; i < NELEM(sets); i++) {
		if (sets[i].value == NULL)
			continue;
		argv[n++] = arena_strdup(a, "--set");
		argv[n++] = arena_printf(a, "%s=%s", sets[i].key, sets[i].value);
	}
	return argv;
}

static int
spawn_with(struct worker *w, int sock, int out, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	const char *path = program(&w->plugin->config, &mem);
	char **argv = arguments(&w->plugin->config, &mem);
	posix_spawn_file_actions_t acts;
	posix_spawnattr_t attr;
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&acts);
	posix_spawn_file_actions_addopen(&acts, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&acts, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&acts, out, STDERR_FILENO);
	posix_spawn_file_actions_adddup2(&acts, sock, WORKER_FD);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	/* what is sent to the agent's group is not meant for pots that start */
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(
	    &attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	int rc =
	    posix_spawn(&w->pid, path, &acts, &attr, argv, environment(&w->plugin->config, &mem));
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&acts);
	if (rc == 0)
		return 0;
	w->pid = 0;
	errno = rc;
	return err_sys(e, "start %s", path);
}

static void on_child(void *ctx, pid_t pid, int status);

/* The socket of a new one; -1. */
static int
spawn(struct worker *w, struct err *e)
{
	int pair[2] = { -1, -1 }, out[2] = { -1, -1 };

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, "make a channel to pot-runner");
	autofd int ours = pair[0], theirs = above(pair[1]);
	if (pipe2(out, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys(e, "make a channel to pot-runner");
	autofd int says = out[0], writes = above(out[1]);
	(void)fcntl(ours, F_SETFL, O_NONBLOCK);
	(void)fcntl(writes, F_SETFL, 0);
	if (spawn_with(w, theirs, writes, e) < 0)
		return -1;
	loop_watch_free(&w->says_watch);
	own_close(&w->says);
	w->says = take_fd(&says);
	w->says_watch = loop_watch(w->plugin->loop, w->says, LOOP_READ, on_says, w);
	w->child = loop_child(w->plugin->loop, w->pid, on_child, w);
	return take_fd(&ours);
}

/* ---- one that serves ---- */

static bool
serves(const struct plugin_config *c)
{
	return c->runner_socket != NULL || geteuid() != 0;
}

static int
connect_to(const char *path, struct err *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	autofd int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (!str_copy(at.sun_path, sizeof(at.sun_path), path))
		return err_new(
		    e, ERR_INPUT, "runner_socket: the path %s is too long for a socket", path);
	if (sock < 0)
		return err_sys(e, "make a socket");
	if (connect(sock, (struct sockaddr *)&at, sizeof(at)) == 0) {
		(void)fcntl(sock, F_SETFL, O_NONBLOCK);
		return take_fd(&sock);
	}
	if (errno == EACCES)
		return err_new(e, ERR_RIGHTS,
		    "pots need root, and uid %u may not use the pot-runner that serves at %s: it "
		    "has to be of that socket's group",
		    (unsigned)geteuid(), path);
	return err_new(e, ERR_RIGHTS,
	    "pots need root: no pot-runner serves at %s (%s); start its service, or let Nomad's "
	    "client run as root (this one is uid %u)",
	    path, strerror(errno), (unsigned)geteuid());
}

/* The socket of another one; -1. */
static int
obtain(struct worker *w, struct err *e)
{
	const struct plugin_config *c = &w->plugin->config;

	if (!serves(c))
		return spawn(w, e);
	return connect_to(c->runner_socket != NULL ? c->runner_socket : PLUGIN_RUNNER_SOCKET, e);
}

static void
on_gone(void *ctx)
{
	struct worker *w = ctx;

	/* the end of our own child says the same */
	if (serves(&w->plugin->config))
		loop_timer_set(w->again, AGAIN_MS);
}

static void
on_again(void *ctx)
{
	struct worker *w = ctx;
	autobuf struct buf body = BUF_INIT;
	struct err e = ERR_INIT;
	autofd int sock = obtain(w, &e);

	if (sock >= 0) {
		wire_begin(&body, 1, 0);
		if (wire_send(w->hand_over, &body, &sock, 1, &e) == 0)
			return;
	}
	log_error("runner", "%s", e.text);
	loop_timer_set(w->again, AGAIN_MS);
}

static void
on_child(void *ctx, pid_t pid, int status)
{
	struct worker *w = ctx;

	(void)pid;
	w->child = NULL;
	w->pid = 0;
	log_warn("runner", "pot-runner has ended (%s %d); another one takes over",
	    WIFSIGNALED(status) ? "signal" : "code",
	    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	loop_timer_set(w->again, AGAIN_MS);
}

static void
on_lost(void *ctx)
{
	(void)ctx; /* the pair is ours: it does not close before we do */
}

struct runner *
plugin_runner(struct plugin *p, struct err *e)
{
	struct worker *w = p->worker;
	int pair[2];

	if (w != NULL)
		return w->runner;
	w = xcalloc(1, sizeof(*w));
	w->plugin = p;
	w->says = -1;
	int sock = obtain(w, e);
	if (sock < 0) {
		free(w);
		return NULL;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
		err_sys(e, "make a channel");
		close(sock);
		loop_child_free(&w->child);
		loop_watch_free(&w->says_watch);
		own_close(&w->says);
		free(w);
		return NULL;
	}
	w->hand_over = pair[0];
	w->again = loop_timer(p->loop, -1, 0, on_again, w);
	w->runner = runner_new(p->loop, sock, pair[1], on_lost, w);
	runner_on_gone(w->runner, on_gone, w);
	p->worker = w;
	return w->runner;
}

void
worker_free(struct plugin *p)
{
	struct worker *w = p->worker;

	if (w == NULL)
		return;
	p->worker = NULL;
	runner_free(w->runner); /* it ends when it sees this */
	loop_child_free(&w->child);
	loop_timer_free(&w->again);
	loop_watch_free(&w->says_watch);
	own_close(&w->says);
	close(w->hand_over);
	buf_fini(&w->said);
	free(w);
}
