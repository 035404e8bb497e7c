#include "pot/runner_priv.h"

#include "platform/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * One request, in a process of its own: an operation is a function from the request to a reply.
 */

static volatile sig_atomic_t cancelled;

static void
on_cancel(int sig)
{
	(void)sig;
	cancelled = 1;
}

int
runner_say(struct runner_child *c, struct runner_reply *p, const int *fd, struct err *e)
{
	autobuf struct buf body = BUF_INIT;

	p->id = c->q->id;
	p->has_fd = fd != NULL;
	runner_reply_encode(p, &body);
	return wire_send(c->sock, &body, fd, fd != NULL ? 1 : 0, e);
}

/* ---- pots ---- */

static int
need(const char *what, const char *value, struct err *e)
{
	return value != NULL ? 0 : err_new(e, ERR_INPUT, "the request lacks the %s", what);
}

/* Its name ends with the allocation: what is there under it is what an earlier try has left. */
static int
make_room(struct runner_child *c, struct err *e)
{
	struct pot_env *env = c->config->env;
	int live = run_is_live(env, c->q->pot);

	if (live != 0)
		return err_new(e, ERR_BUSY, "pot %s runs already", c->q->pot);
	return pot_destroy(env, c->q->pot, NULL, e) < 0 && e->kind != ERR_ABSENT ? -1 : 0;
}

static int
apply_attributes(struct runner_child *c, struct err *e)
{
	const struct runner_request *q = c->q;
	char number[24];

	for (size_t i = 0; q->attributes != NULL && q->attributes[i] != NULL; i++) {
		char *name = arena_strdup(&c->mem, q->attributes[i]), *value = strchr(name, '=');
		if (value == NULL)
			return err_new(e, ERR_INPUT, "attribute \"%s\" is not NAME=VALUE", name);
		*value++ = '\0';
		if (pot_set_attr(c->config->env, q->pot, name, value, e) < 0)
			return -1;
	}
	struct pot_limits limits = { .cpus = q->limit_cpus,
		.pin = q->limit_pin,
		.processes = q->limit_processes,
		.files = q->limit_files,
		.io_weight = q->limit_io_weight };
	if ((limits.cpus != NULL || limits.pin != NULL || limits.processes != NULL ||
		limits.files != NULL || limits.io_weight != NULL) &&
	    pot_set_limits(c->config->env, q->pot, &limits, e) < 0)
		return -1;
	if (q->cpus == 0)
		return 0;
	snprintf(number, sizeof(number), "%u", q->cpus);
	return pot_set_rss(c->config->env, q->pot, number, NULL, e);
}

/* The text becomes a file for as long as it takes to copy it. */
static int
resolver_file(struct runner_child *c, char **path, struct err *e)
{
	char *at = arena_printf(&c->mem, "%s/.resolver-XXXXXX", c->config->env->conf.run_dir);
	autofd int fd = mkostemp(at, O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "a file for the name servers");
	*path = at;
	return fd_write_all(fd, c->q->resolver, strlen(c->q->resolver), e);
}

/* A file that the asker names is read with root's rights: it must be one that it may name. */
static int
choose_dns(struct runner_child *c, const char **dns, char **made, struct err *e)
{
	char *path;

	*dns = c->q->dns;
	if (c->q->resolver != NULL) {
		if (resolver_file(c, made, e) < 0)
			return -1;
		*dns = arena_printf(&c->mem, "custom:%s", *made);
	} else if (*dns != NULL && str_starts(*dns, "custom:")) {
		if (runner_path(c, *dns + strlen("custom:"), false, &path, e) < 0)
			return err_ctx(e, "dns");
		*dns = arena_printf(&c->mem, "custom:%s", path);
	}
	return 0;
}

static int
prepare(struct runner_child *c, struct pot_prepare_options *o, char made[POT_NAME_MAX + 1],
    struct err *e)
{
	char *resolver = NULL;
	int rc = choose_dns(c, &o->net.dns, &resolver, e);

	if (rc == 0)
		rc = pot_prepare(c->config->env, o, made, e);
	if (resolver != NULL)
		(void)unlink(resolver);
	return rc;
}

/* The directory in place of an image. What is written down of it is free of links, as it is walked
 * again at each start; the root may be reached by one, which is the operator's. */
static int
take_directory(struct runner_child *c, struct pot_prepare_options *o, struct err *e)
{
	struct pinned pinned = { .keep_name = false };
	char root[PATH_MAX];

	o->root_dir = c->q->source;
	if (runner_everywhere(c->config))
		return runner_path_check(c->config, c->q->source, e);
	if (runner_pin(c, c->q->source, &pinned, e) < 0)
		return e->kind != ERR_ABSENT
			   ? -1
			   : err_new(
				 e, ERR_INPUT, "%s is no directory of this machine", c->q->source);
	if (realpath(pinned.root, root) == NULL)
		return err_sys(e, "open %s", pinned.root);
	o->root_dir =
	    arena_printf(&c->mem, "%s%s%s", root, *pinned.below != '\0' ? "/" : "", pinned.below);
	o->root_fd = pinned.fd;
	return 0;
}

static int
do_prepare(struct runner_child *c, struct runner_reply *p, struct err *e)
{
	const struct runner_request *q = c->q;
	char made[POT_NAME_MAX + 1];

	if (need("name of the pot", q->pot, e) < 0 ||
	    (q->source == NULL && (need("image", q->image, e) < 0 || need("tag", q->tag, e) < 0)))
		return -1;
	char *name = arena_strdup(&c->mem, q->pot), *alloc = strrchr(name, '_');
	if (alloc == NULL)
		return err_new(e, ERR_INPUT, "pot name \"%s\" is not <task>_<allocation>", q->pot);
	*alloc++ = '\0';
	struct pot_prepare_options o = { .name = name,
		.image = q->image,
		.tag = q->tag,
		.alloc = alloc,
		.cmd = q->command,
		.argv = q->argv,
		.ports = q->ports,
		.net = { .net = q->network,
		    .stack = q->stack,
		    .ip = q->addresses,
		    .bridge = q->bridge } };
	if (q->source != NULL && take_directory(c, &o, e) < 0)
		return -1;
	int there = pot_exists(c->config->env, q->pot, e);
	int left = there > 0 && q->take_over ? runner_left_take(c, p, e) : 0;
	if (there < 0 || left != 0)
		return there < 0 || left < 0 ? -1 : 0;
	if (q->take_over && q->addresses != NULL) /* which the other may have */
		runner_left_clear(c);
	if (there > 0 && make_room(c, e) < 0)
		return -1;
	/* one whose asker died may have come to its end just now */
	if (prepare(c, &o, made, e) < 0 &&
	    (e->kind != ERR_EXISTS || make_room(c, e) < 0 || prepare(c, &o, made, e) < 0))
		return -1;
	p->pot = arena_strdup(&c->mem, made);
	if (apply_attributes(c, e) == 0)
		return 0;
	struct err undo = ERR_INIT;
	(void)pot_destroy(c->config->env, made, NULL, &undo);
	return -1;
}

int
runner_describe(struct runner_child *c, const struct run *r, struct runner_run *out, struct err *e)
{
	struct pot_spec *spec = NULL;
	struct err ignored = ERR_INIT;
	struct pot_strs ports = { 0 };
	struct strs_builder b = STRS_BUILDER(&ports, &c->mem);

	int alive = run_alive(c->config->env, r, e);
	if (alive < 0)
		return -1;
	if (!str_starts(r->name, RUN_RAW_PREFIX))
		(void)pot_spec_load(c->config->env, r->name, &c->mem, &spec, &ignored);
	for (size_t i = 0; i < r->n_ports; i++)
		list_add(&b, arena_printf(&c->mem, "%s:%u:%u", r->ports[i].udp ? "udp" : "tcp",
				 r->ports[i].pot_port, r->ports[i].host_port));
	*out = (struct runner_run){ .pot = arena_strdup(&c->mem, r->name),
		.run_id = arena_strdup(&c->mem, r->id),
		.keeper_pid = r->keeper,
		.keeper_start = r->keeper_start,
		.init_pid = r->init,
		.ip = spec != NULL && *spec->ip != '\0' ? spec->ip : NULL,
		.ip6 = spec != NULL && *spec->ip6 != '\0' ? spec->ip6 : NULL,
		.ports = (const char *const *)ports.at,
		.running = alive > 0 && r->running_ns != 0,
		.starting = alive > 0 && r->running_ns == 0 };
	return 0;
}

static int
one_run(struct runner_child *c, const char *name, struct runner_reply *p, struct err *e)
{
	struct run *r = arena_new(&c->mem, struct run);

	p->runs = arena_new(&c->mem, struct runner_run);
	if (run_read(c->config->env, name, r, e) < 0 || runner_describe(c, r, p->runs, e) < 0)
		return -1;
	p->n_runs = 1;
	return 0;
}

static int
take_binds(struct runner_child *c, struct pot_start_options *o, struct err *e)
{
	const struct runner_request *q = c->q;
	struct pot_bind *binds = arena_array(&c->mem, q->n_binds + 1, struct pot_bind);

	for (size_t i = 0; i < q->n_binds; i++) {
		if (need("target of a mount", q->binds[i].target, e) < 0 ||
		    runner_path_check(c->config, q->binds[i].source, e) < 0)
			return -1;
		/* Looked up in the pot's own mount namespace, where a descriptor of ours is no use.
		 */
		binds[i] = (struct pot_bind){ q->binds[i].source, q->binds[i].target,
			q->binds[i].read_only, true };
	}
	o->binds = binds;
	o->n_binds = q->n_binds;
	return 0;
}

/* One that somebody made for the pot, where the networks that have names are. */
static int
take_network(struct runner_child *c, struct pot_start_options *o, struct err *e)
{
	static const char *const places[] = { "/run/netns/", "/var/run/netns/" };
	const char *path = c->q->network_path, *name = NULL;

	for (size_t i = 0; path != NULL && i < NELEM(places); i++)
		if (str_starts(path, places[i]))
			name = path + strlen(places[i]);
	if (path != NULL && (name == NULL || *name == '\0' || strchr(name, '/') != NULL) &&
	    runner_path_check(c->config, path, e) < 0)
		return err_ctx(e, "network");
	o->network_path = path;
	return 0;
}

static int
do_start(struct runner_child *c, struct runner_reply *p, struct err *e)
{
	const struct runner_request *q = c->q;
	struct pot_exit x;
	struct pot_start_options o = { .detach = true,
		.stdio = POT_STDIO_NULL,
		.argv = q->argv,
		.env = q->env,
		.user = q->user,
		.workdir = q->cwd,
		.stop_signal = q->stop_signal,
		.stop_timeout_ms = q->stop_timeout_ms > 0 ? q->stop_timeout_ms : 0,
		.memory_bytes = q->memory_bytes,
		.cpu_shares = q->cpu_shares,
		.hosts = q->hosts,
		.needs_servers = true };

	autofd int nothing = -1, out = -1, err = -1;

	if (need("name of the pot", q->pot, e) < 0 || take_binds(c, &o, e) < 0 ||
	    take_network(c, &o, e) < 0)
		return -1;
	if (q->stdout_path != NULL && q->stderr_path != NULL) {
		nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
		out = runner_open_output(c, q->stdout_path, e);
		err = out >= 0 ? runner_open_output(c, q->stderr_path, e) : -1;
		if (err < 0)
			return -1;
		o.stdio = POT_STDIO_INHERIT;
		o.fds[0] = nothing;
		o.fds[1] = out;
		o.fds[2] = err;
	}
	if (q->take_over) /* only now: whoever reads its output must not see an end of it */
		runner_left_clear(c);
	if (q->log.dir != NULL) {
		if (runner_path_check(c->config, q->log.dir, e) < 0)
			return -1;
		o.stdio = POT_STDIO_FILES;
		o.log_dir = q->log.dir;
		o.log_prefix = q->log.prefix;
		o.log_max_files = q->log.max_files;
		o.log_max_bytes = q->log.max_file_bytes;
		o.log_uid = c->config->uid;
		o.log_gid = c->config->gid;
	}
	if (pot_start(c->config->env, q->pot, &o, &x, e) < 0)
		return -1;
	/* a command that ends at once may have taken its record along: its run is told all the same
	 */
	if (one_run(c, q->pot, p, e) < 0) {
		if (e->kind != ERR_ABSENT)
			return -1;
		p->runs[0] =
		    (struct runner_run){ .pot = q->pot, .run_id = arena_strdup(&c->mem, x.run_id) };
		p->n_runs = 1;
	}
	return 0;
}

static int
do_stop(struct runner_child *c, struct runner_reply *p, struct err *e)
{
	struct pot_stop_options o = { .signal = c->q->stop_signal,
		.timeout_ms = c->q->stop_timeout_ms };

	(void)p;
	if (need("name of the pot", c->q->pot, e) < 0)
		return -1;
	return pot_stop(c->config->env, c->q->pot, &o, e) < 0 && e->kind != ERR_ABSENT ? -1 : 0;
}

static int
do_signal(struct runner_child *c, struct runner_reply *p, struct err *e)
{
	(void)p;
	if (need("name of the pot", c->q->pot, e) < 0)
		return -1;
	return pot_signal(c->config->env, c->q->pot, c->q->signal, e);
}

static int
do_destroy(struct runner_child *c, struct runner_reply *p, struct err *e)
{
	struct pot_destroy_options o = { .force = c->q->force };
	const struct pot_stop_options at_once = { .timeout_ms = 0 };

	(void)p;
	if (need("name of the pot", c->q->pot, e) < 0)
		return -1;
	/* not by the patience of a stop that is under way */
	if (o.force && run_is_live(c->config->env, c->q->pot) != 0 &&
	    pot_stop(c->config->env, c->q->pot, &at_once, e) < 0 && e->kind != ERR_ABSENT)
		return -1;
	return pot_destroy(c->config->env, c->q->pot, &o, e) < 0 && e->kind != ERR_ABSENT ? -1 : 0;
}

static int
do_usage(struct runner_child *c, struct runner_reply *p, struct err *e)
{
	struct pot_usage u;

	if (need("name of the pot", c->q->pot, e) < 0 ||
	    pot_usage(c->config->env, c->q->pot, false, &c->mem, &u, e) < 0)
		return -1;
	if (!u.running)
		return err_new(e, ERR_ABSENT, "pot %s is not running", c->q->pot);
	p->usage = (struct runner_usage){ .rss_bytes = u.rss_bytes,
		.cache_bytes = u.cache_bytes,
		.swap_bytes = u.swap_bytes,
		.memory_limit_bytes = u.memory_limit_bytes,
		.cpu_ns = u.cpu_ns,
		.read_ns = u.read_ns,
		.pids = u.pids };
	return 0;
}

static int
do_copy_in(struct runner_child *c, struct runner_reply *p, struct err *e)
{
	struct pinned pinned = { .keep_name = true };
	struct pot_copy_in_options o = { .dest = c->q->target, .make_parent = true };
	char *source;

	(void)p;
	if (need("name of the pot", c->q->pot, e) < 0 || need("target", c->q->target, e) < 0 ||
	    runner_pin(c, c->q->source, &pinned, e) < 0)
		return -1;
	o.source = c->q->source;
	o.source_dir = pinned.fd;
	/* a root itself is the operator's, and where nobody is kept out its last component may be a
	 * link as on the command line */
	if (*pinned.name == '\0' || (runner_everywhere(c->config) && !c->q->no_links)) {
		if (runner_path(c, c->q->source, true, &source, e) < 0)
			return -1;
		o.source = source;
		o.source_dir = 0;
	}
	return pot_copy_in(c->config->env, c->q->pot, &o, e);
}

static int
do_list(struct runner_child *c, struct runner_reply *p, struct err *e)
{
	struct pot_strs names;
	struct run *r = arena_new(&c->mem, struct run);

	if (c->q->pot != NULL) {
		if (one_run(c, c->q->pot, p, e) == 0)
			return 0;
		p->n_runs = 0;
		return e->kind == ERR_ABSENT ? 0 : -1;
	}
	if (run_names(c->config->env, &c->mem, &names, e) < 0)
		return -1;
	p->runs = arena_array(&c->mem, names.n + 1, struct runner_run);
	for (size_t i = 0; i < names.n; i++)
		/* what cannot be read is for the sweep */
		if (run_read(c->config->env, names.at[i], r, e) == 0 &&
		    runner_describe(c, r, &p->runs[p->n_runs], e) == 0)
			p->n_runs++;
	return 0;
}

static int
do_sweep(struct runner_child *c, struct runner_reply *p, struct err *e)
{
	struct pot_finding *found;
	size_t n;
	autobuf struct buf text = BUF_INIT;

	if (pot_doctor(c->config->env, true, &c->mem, &found, &n, e) < 0)
		return -1;
	for (size_t i = 0; i < n && text.len < 65536; i++)
		buf_addf(&text, "%s: %s%s%s\n", found[i].what, found[i].why,
		    found[i].mended ? "" : "; not mended: ",
		    found[i].mended || found[i].error == NULL ? "" : found[i].error);
	p->text = arena_strdup(&c->mem, buf_str(&text));
	return 0;
}

static int
do_facts(struct runner_child *c, struct runner_reply *p, struct err *e)
{
	const struct pot_env *env = c->config->env;
	struct err not_ready = ERR_INIT;

	(void)e;
	p->text = arena_printf(&c->mem,
	    "{\"version\":\"" POTTER_VERSION "\",\"pot\":\"" POT_VERSION_COMPAT
	    "\",\"isolation\":\"%s\",\"dataset\":\"%s\",\"limits\":\"%s\",\"ready\":%s,\"network\":"
	    "%s}",
	    env->host->isolate->name, env->host->dataset->name, env->host->limits->name,
	    pot_env_ready(c->config->env, &not_ready) == 0 ? "true" : "false",
	    pot_vnet_up(c->config->env) > 0 ? "true" : "false");
	return 0;
}

static int
do_hello(struct runner_child *c, struct runner_reply *p, struct err *e)
{
	(void)c;
	(void)e;
	p->text = POTTER_VERSION;
	return 0;
}

static int
do_import(struct runner_child *c, struct runner_reply *p, struct err *e)
{
	if (need("image", c->q->image, e) < 0 || need("tag", c->q->tag, e) < 0 ||
	    need("registry", c->q->url, e) < 0)
		return -1;
	if (c->config->import == NULL)
		return err_new(e, ERR_UNSUPPORTED, "this runner imports no images");
	if (c->config->import(c->config, c->q, c, &cancelled, e) < 0)
		return -1;
	p->pot = pot_image_name(c->q->image, c->q->tag, &c->mem);
	return 0;
}

/* ---- exec ---- */

/* Until the command ends; a cancelled request, or a runner that is gone, ends it. */
int
runner_relay(struct runner_child *c, pid_t command, int pty, struct runner_reply *p, struct err *e)
{
	struct runner_reply started = { .kind = RUNNER_STARTED };
	int status = 0;
	uint64_t since;
	sigset_t term, none;

	/* let in while waiting alone, so that it cannot come between the look and the wait */
	sigemptyset(&none);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &term, NULL);
	if (runner_say(c, &started, pty >= 0 ? &pty : NULL, e) < 0)
		(void)kill(-command, SIGKILL);
	own_close(&pty);
	for (size_t i = 0; i < c->n_fds; i++)
		close(c->fds[i]); /* so that the asker sees the end of them */
	autofd int handle = -1;
	if (c->config->env->host->proc->start_time(command, &since, e) == 0)
		handle = c->config->env->host->proc->open(command, since, e);
	while (handle >= 0) {
		struct pollfd w[2] = { { .fd = handle, .events = POLLIN },
			{ .fd = c->sock, .events = 0 } };
		int n = cancelled ? 0 : ppoll(w, 2, NULL, &none);
		if (n > 0 && w[0].revents != 0)
			break;
		if (cancelled || (n > 0 && w[1].revents != 0)) {
			(void)kill(-command, SIGKILL);
			(void)kill(command, SIGKILL);
			break;
		}
	}
	while (waitpid(command, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "wait for the command");
	p->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	p->code = WIFSIGNALED(status) ? 128 + p->signal : WEXITSTATUS(status);
	return 0;
}

static int
do_exec(struct runner_child *c, struct runner_reply *p, struct err *e)
{
	const struct runner_request *q = c->q;
	struct pot_exec_options o = { .argv = q->argv,
		.env = q->env,
		.user = q->user,
		.workdir = q->cwd,
		.pot_env = true,
		.tty = q->tty,
		.rows = (unsigned short)q->rows,
		.cols = (unsigned short)q->columns,
		.fds = { -1, -1, -1 } };
	pid_t command;
	int pty;

	if (need("name of the pot", q->pot, e) < 0 ||
	    need("command", q->argv != NULL ? q->argv[0] : NULL, e) < 0)
		return -1;
	if (!q->tty && c->n_fds != 3)
		return err_new(e, ERR_INPUT,
		    "an exec without a terminal needs three descriptors, not %zu", c->n_fds);
	for (size_t i = 0; i < 3 && !q->tty; i++)
		o.fds[i] = c->fds[i];
	if (pot_enter(c->config->env, q->pot, &o, &command, &pty, e) < 0)
		return -1;
	return runner_relay(c, command, pty, p, e);
}

/* ---- the end of a run ---- */

int
runner_settle(struct runner_child *c, struct err *e)
{
	char name[POT_NAME_MAX + 1];

	if (c->q->op == RUNNER_POT_WAIT)
		return pot_stop(c->config->env, c->q->pot, NULL, e) < 0 && e->kind != ERR_ABSENT
			   ? -1
			   : 0;
	if (raw_name(c->q, name, e) < 0)
		return -1;
	autofd int lock = lock_named(c->config->env, name, LOCK_WAIT, e);
	return lock < 0 ? -1 : run_recover(c->config->env, name, e);
}

/* Asked only when no record told how it ended. */
static int
do_lost(struct runner_child *c, struct runner_reply *p, struct err *e)
{
	p->lost = true;
	return runner_settle(c, e);
}

/* ---- the table ---- */

static int (*const operations[RUNNER_OPS])(
    struct runner_child *, struct runner_reply *, struct err *) = {
	[RUNNER_HELLO] = do_hello,
	[RUNNER_POT_PREPARE] = do_prepare,
	[RUNNER_POT_START] = do_start,
	[RUNNER_POT_STOP] = do_stop,
	[RUNNER_POT_SIGNAL] = do_signal,
	[RUNNER_POT_DESTROY] = do_destroy,
	[RUNNER_POT_EXEC] = do_exec,
	[RUNNER_POT_USAGE] = do_usage,
	[RUNNER_POT_COPY_IN] = do_copy_in,
	[RUNNER_POT_WAIT] = do_lost,
	[RUNNER_POT_LIST] = do_list,
	[RUNNER_RAW_START] = raw_start,
	[RUNNER_RAW_STOP] = raw_stop,
	[RUNNER_RAW_SIGNAL] = raw_signal,
	[RUNNER_RAW_EXEC] = raw_exec,
	[RUNNER_RAW_USAGE] = raw_usage,
	[RUNNER_RAW_WAIT] = do_lost,
	[RUNNER_RAW_DESTROY] = raw_destroy,
	[RUNNER_IMAGE_IMPORT] = do_import,
	[RUNNER_SWEEP] = do_sweep,
	[RUNNER_FACTS] = do_facts,
};

/* These can be ended half-way; the others are short and are left to finish what they began. */
static bool
can_cancel(enum runner_op op)
{
	return op == RUNNER_POT_EXEC || op == RUNNER_RAW_EXEC || op == RUNNER_IMAGE_IMPORT;
}

int
runner_answer(struct runner_child *c, struct runner_reply *reply, struct err *e)
{
	*reply = (struct runner_reply){ .kind = RUNNER_DONE };
	if (c->q->op <= 0 || c->q->op >= RUNNER_OPS || operations[c->q->op] == NULL)
		err_new(e, ERR_UNSUPPORTED, "this runner has no operation %d", (int)c->q->op);
	else if (operations[c->q->op](c, reply, e) == 0)
		return 0;
	*reply = (struct runner_reply){ .kind = RUNNER_FAILED, .failure = *e };
	return -1;
}

void
runner_do(struct runner_child *c)
{
	struct runner_reply reply;
	struct sigaction act = { .sa_handler = can_cancel(c->q->op) ? on_cancel : SIG_IGN };
	struct err e = ERR_INIT, unsent = ERR_INIT;
	sigset_t none;

	(void)sigaction(SIGTERM, &act, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)runner_answer(c, &reply, &e);
	(void)runner_say(c, &reply, NULL, &unsent);
	_exit(0);
}
