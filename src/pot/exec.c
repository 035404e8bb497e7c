#include "platform/isolate.h"
#include "pot/priv.h"
#include "pot/run.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/*
 * A command inside a running pot. No lock: it looks at the record once; a pot that ends meanwhile
 * takes the command with it.
 */

enum where { OURS, STRAY };

/* Where it runs; of a stray there is no record, and r is empty. */
static int
find_running(struct pot_env *env, const char *name, struct run *r, struct err *e)
{
	int live;

	if (run_read(env, name, r, e) == 0) {
		live = run_alive(env, r, e);
		if (live > 0 && r->init != 0)
			return OURS;
	} else {
		*r = (struct run){ .init = 0 };
		live = e->kind == ERR_ABSENT ? stray_runs(env, name, e) : -1;
		if (live > 0)
			return STRAY;
	}
	return live < 0 ? -1
			: err_new(e, ERR_ABSENT, "pot %s is not running; 'pot start %s' starts it",
			      name, name);
}

int
pot_enter(struct pot_env *env, const char *name, const struct pot_exec_options *o, pid_t *child,
    int *pty, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct pot_strs vars = { 0 };
	struct strs_builder b = STRS_BUILDER(&vars, &mem);
	struct pot_spec *spec;
	struct isolate_enter in = { .tty = o->tty, .rows = o->rows, .cols = o->cols };
	struct run r;

	if (pot_name_check(name, e) < 0 || need_root("exec", e) < 0 ||
	    pot_spec_load(env, name, &mem, &spec, e) < 0)
		return -1;
	int where = find_running(env, name, &r, e);
	if (where < 0)
		return -1;
	for (size_t i = 0; o->pot_env && i < spec->env.n; i++)
		list_add(&b, spec->env.at[i]);
	for (size_t i = 0; o->env != NULL && o->env[i] != NULL; i++)
		list_add(&b, arena_strdup(&mem, o->env[i]));
	in.program = arena_printf(&mem, "%s/pot-keeper", env->libexec);
	in.pid = r.init;
	in.start = r.init_start;
	in.name = name;
	in.place = pot_place(env, name, &mem);
	if (where == OURS && run_cgroups(env, &r, &mem, &in.cgroups, e) < 0)
		return err_ctx(e, "exec in pot %s", name);
	in.process = (struct isolate_process){ .argv = o->argv,
		.env = (const char *const *)vars.at,
		.cwd = o->workdir,
		.user = o->user,
		.login = o->workdir == NULL,
		.max_files = spec->rss_files,
		.no_family = stack_lacks(env, spec),
		.caps = attr_caps(env, spec) };
	bool own = o->fds[0] == 0 && o->fds[1] == 0 && o->fds[2] == 0;
	for (int i = 0; i < 3; i++)
		in.stdio[i] = own ? i : o->fds[i];
	if (o->detach)
		in.stdio[0] = in.stdio[1] = in.stdio[2] = -1;
	if (env->host->isolate->enter(&in, child, pty, e) < 0)
		return err_ctx(e, "exec in pot %s", name);
	return 0;
}

/* ---- a terminal on this side ---- */

struct relay {
	int in, out, pty;
	struct termios saved;
	bool raw;
};

static void
raw_on(struct relay *r)
{
	struct termios t;

	if (!isatty(r->in) || tcgetattr(r->in, &r->saved) < 0)
		return;
	t = r->saved;
	cfmakeraw(&t);
	r->raw = tcsetattr(r->in, TCSADRAIN, &t) == 0;
}

static void
raw_off(struct relay *r)
{
	if (r->raw)
		(void)tcsetattr(r->in, TCSADRAIN, &r->saved);
}

/* The size follows ours; looked at whenever a key comes, which is soon enough to draw right. */
static void
follow_size(const struct relay *r)
{
	struct winsize mine, theirs;

	if (ioctl(r->in, TIOCGWINSZ, &mine) == 0 && ioctl(r->pty, TIOCGWINSZ, &theirs) == 0 &&
	    (mine.ws_row != theirs.ws_row || mine.ws_col != theirs.ws_col))
		(void)ioctl(r->pty, TIOCSWINSZ, &mine);
}

static bool
pump(int from, int to)
{
	struct err e = ERR_INIT;
	char data[8192];
	ssize_t n = read(from, data, sizeof(data));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	return n > 0 && fd_write_all(to, data, (size_t)n, &e) == 0;
}

static void
relay_run(struct relay *r)
{
	struct pollfd p[2] = { { .fd = r->pty, .events = POLLIN },
		{ .fd = r->in, .events = POLLIN } };

	raw_on(r);
	follow_size(r);
	for (;;) {
		if (poll(p, 2, -1) < 0) {
			if (errno != EINTR)
				break;
			follow_size(r);
			continue;
		}
		if (p[0].revents != 0 && !pump(r->pty, r->out))
			break;
		if (p[1].revents != 0) {
			follow_size(r);
			if (!pump(r->in, r->pty)) {
				char end = 4; /* ^D: our input ended, so does theirs */
				(void)!write(r->pty, &end, 1);
				p[1].fd = -1;
			}
		}
	}
	raw_off(r);
}

int
pot_exec(struct pot_env *env, const char *name, const struct pot_exec_options *o, int *status,
    struct err *e)
{
	bool own = o->fds[0] == 0 && o->fds[1] == 0 && o->fds[2] == 0;
	struct pot_exec_options with_size = *o;
	struct winsize size;
	autofd int pty = -1;
	pid_t child;
	int raw;

	if (o->tty && o->rows == 0 && ioctl(own ? 0 : o->fds[0], TIOCGWINSZ, &size) == 0) {
		with_size.rows = size.ws_row;
		with_size.cols = size.ws_col;
	}
	if (pot_enter(env, name, &with_size, &child, &pty, e) < 0)
		return -1;
	*status = 0;
	if (o->detach)
		return 0;
	if (pty >= 0) {
		struct relay r = {
			.in = own ? 0 : o->fds[0], .out = own ? 1 : o->fds[1], .pty = pty
		};
		relay_run(&r);
	}
	while (waitpid(child, &raw, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "wait for the command in pot %s", name);
	*status = WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) : WEXITSTATUS(raw);
	return 0;
}
