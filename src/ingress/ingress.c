/* ingress.c: what is wanted, what is, and which step comes next. */
#include "ingress/proxy.h"

#include "base/clock.h"
#include "base/fsm.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WRONG_MOST = 200, WRONG_PAUSE_MS = 5 };
enum { MAXCONN = 4096, RETRY_FIRST_MS = 100, RETRY_MOST_MS = 10000, RESTART_CALM_MS = 1000 };

static const struct fsm_state states[] = {
	[PROXY_DOWN] = { "down",
	    FSM_TO(PROXY_STARTING) | FSM_TO(PROXY_LOADING) | FSM_TO(PROXY_WAITING) },
	[PROXY_STARTING] = { "starting",
	    FSM_TO(PROXY_LOADING) | FSM_TO(PROXY_WAITING) | FSM_TO(PROXY_DOWN) },
	[PROXY_LOADING] = { "loading", FSM_TO(PROXY_UP) | FSM_TO(PROXY_DOWN) },
	[PROXY_UP] = { "running",
	    FSM_TO(PROXY_STARTING) | FSM_TO(PROXY_LOADING) | FSM_TO(PROXY_DOWN) },
	[PROXY_WAITING] = { "waiting",
	    FSM_TO(PROXY_STARTING) | FSM_TO(PROXY_LOADING) | FSM_TO(PROXY_DOWN) },
};

void
proxy_move(struct ingress *i, enum proxy_state to)
{
	if (i->proxy != (int)to)
		fsm_move(states, &i->proxy, to);
	if (i->tried || (to != PROXY_UP && to != PROXY_WAITING))
		return;
	i->tried = true;
	if (i->on_tried != NULL)
		loop_defer(i->loop, i->on_tried, i->ctx); /* not while ingress_new() is at it */
}

/* ---- the state of the cluster ---- */

static void
tell_once(struct ingress *i, const char *text)
{
	if (map_set(&i->told, text, i) == NULL)
		log_warn("ingress", "%s", text);
}

static void
tell_problems(struct ingress *i)
{
	struct route_router *t;

	for (size_t k = 0; k < i->routing->warnings.n; k++)
		tell_once(i, i->routing->warnings.at[k]);
	OBJS_FOREACH (t, &i->routing->routers)
		for (size_t k = 0; k < t->errors.n; k++)
			tell_once(i, arena_printf(&i->routing->mem, "router %s is not used: %s",
					 t->name, t->errors.at[k]));
}

static void
save_slots(struct ingress *i)
{
	autobuf struct buf text = BUF_INIT, old = BUF_INIT;
	struct err e = ERR_INIT;

	slots_write(&i->slots, &text);
	if (buf_read_file(&old, i->slots_file, 1 << 20, &e) == 0 &&
	    str_eq(buf_str(&old), buf_str(&text)))
		return;
	autofd int fd = open(i->slots_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || fd_write_all(fd, buf_str(&text), text.len, &e) < 0)
		log_warn("ingress", "write %s: the next agent will have to reload HAProxy",
		    i->slots_file);
}

static void
rebuild(struct ingress *i)
{
	autorows struct rows rows = state_list(i->state, STATE_SERVICES, NULL);

	struct routing *fresh =
	    routes_build((const struct service_row *const *)rows.at, rows.n, &i->routes);
	if (!slots_assign(&i->slots, fresh)) {
		log_error("ingress",
		    "more than %d services with plain hosts: the routes stay as they are",
		    SLOTS_MAX);
		routing_free(fresh);
		return;
	}
	routing_free(i->routing);
	i->routing = fresh;
	config_digest(&i->paths, fresh, &i->slots, i->digest);
	save_slots(i);
	tell_problems(i);
}

/* The proxy is up: a reload if the skeleton is another one, else commands. */
static void
follow(struct ingress *i)
{
	if (!str_eq(i->digest, i->live.digest) && !str_eq(i->digest, i->refused)) {
		proxy_start(i, true);
		return;
	}
	live_sync(i);
}

static void
refresh(void *ctx)
{
	struct ingress *i = ctx;

	i->refresh_due = false;
	rebuild(i);
	if (i->proxy == PROXY_UP)
		follow(i);
	else if (i->proxy == PROXY_WAITING && !str_eq(i->digest, i->refused))
		loop_timer_set(i->retry, 0); /* what was refused is no longer asked for */
}

void
ingress_refresh_soon(struct ingress *i)
{
	if (i->refresh_due)
		return;
	i->refresh_due = true;
	loop_defer(i->loop, refresh, i);
}

static void
watch_again(void *ctx)
{
	struct ingress *i = ctx;

	i->watch = state_watch(i->state, STATE_SERVICES, NULL, watch_again, i);
	ingress_refresh_soon(i);
}

/* ---- the proxy ---- */

static void
loaded(void *ctx)
{
	struct ingress *i = ctx;

	/* for a moment both processes accept on the socket that they share */
	if (i->expected != 0 && i->live.pid != i->expected && i->asked_wrong++ < WRONG_MOST) {
		cli_close(&i->cli);
		loop_timer_set(i->retry, WRONG_PAUSE_MS);
		return;
	}
	i->expected = 0;
	proxy_move(i, PROXY_UP);
	if (!i->reloading || str_eq(i->live.digest, i->starting))
		i->problem[0] = '\0';
	log_info("ingress", "HAProxy is running: pid=%d", (int)i->live.pid);
	follow(i);
}

/* The connection has ended: almost always because the process has. */
static void
lost(void *ctx)
{
	struct ingress *i = ctx;

	cli_close(&i->cli);
	i->commands = 0;
	if (i->proxy == PROXY_LOADING && i->expected != 0) {
		loop_timer_set(
		    i->retry, WRONG_PAUSE_MS); /* the one that is being replaced has ended */
		return;
	}
	proxy_move(i, PROXY_DOWN);
	log_warn("ingress", "HAProxy has gone away: pid=%d", (int)i->live.pid);
	i->restarts++;
	proxy_attach(i);
}

static void
start_unless_too_soon(struct ingress *i)
{
	if (i->started_ns != 0 && clock_mono_ns() - i->started_ns < RESTART_CALM_MS * NS_PER_MS)
		proxy_retry_later(i);
	else
		proxy_start(i, false);
}

void
proxy_attach(struct ingress *i)
{
	struct err e = ERR_INIT;
	bool just_started = i->proxy == PROXY_STARTING;

	cli_close(&i->cli);
	i->cli = cli_open(i->loop, i->paths.socket, lost, i, &e);
	if (i->cli != NULL) {
		proxy_move(i, PROXY_LOADING);
		live_load(i, loaded);
		return;
	}
	proxy_move(i, PROXY_DOWN);
	if (just_started) {
		snprintf(i->problem, sizeof(i->problem), "HAProxy ended right after its start");
		log_error("ingress", "%s", i->problem);
	}
	i->expected = 0;
	start_unless_too_soon(i);
}

void
proxy_retry_later(struct ingress *i)
{
	proxy_move(i, PROXY_WAITING);
	i->retry_ms = i->retry_ms == 0 ? RETRY_FIRST_MS : i->retry_ms * 2;
	if (i->retry_ms > RETRY_MOST_MS)
		i->retry_ms = RETRY_MOST_MS;
	loop_timer_set(i->retry, i->retry_ms);
}

static void
retry(void *ctx)
{
	struct ingress *i = ctx;

	if (i->proxy == PROXY_LOADING && i->cli != NULL)
		live_load(i, loaded);
	else if (i->proxy == PROXY_LOADING)
		proxy_attach(i);
	else if (i->proxy == PROXY_WAITING)
		proxy_start(i, false);
}

/* ---- making and freeing ---- */

static int
find_program(struct ingress *i, const char *given, struct err *e)
{
	static const char *const usual[] = { "/usr/sbin/haproxy", "/usr/local/sbin/haproxy",
		"/usr/bin/haproxy" };

	if (given != NULL && *given != '\0') {
		i->haproxy = arena_strdup(&i->mem, given);
		if (access(given, X_OK) < 0)
			return err_sys(e, "HAProxy at %s", given);
		return 0;
	}
	for (size_t k = 0; k < NELEM(usual); k++)
		if (access(usual[k], X_OK) == 0) {
			i->haproxy = usual[k];
			return 0;
		}
	return err_new(e, ERR_ABSENT,
	    "HAProxy is not installed: install the package haproxy, or give its path in the "
	    "configuration");
}

/* "addr:port", ":port" or "[addr]:port", and nothing that the configuration file could misread. */
static int
check_listen(const char *text, struct err *e)
{
	const char *colon = strrchr(text, ':');
	uint64_t port;

	if (colon == NULL || !str_u64(colon + 1, UINT16_MAX, &port) || port == 0 ||
	    strspn(text, "0123456789abcdefABCDEF.:[]") != strlen(text))
		return err_new(e, ERR_INPUT, "ingress address \"%s\" is not ADDRESS:PORT", text);
	return 0;
}

static int
copy_listen(struct ingress *i, const char *const *list, struct err *e)
{
	size_t n = 0;

	while (list != NULL && list[n] != NULL)
		n++;
	if (n == 0)
		return err_new(e, ERR_INPUT, "the ingress has no address to listen on");
	const char **copy = arena_array(&i->mem, n + 1, const char *);
	for (size_t k = 0; k < n; k++) {
		if (check_listen(list[k], e) < 0)
			return -1;
		copy[k] = arena_strdup(&i->mem, list[k]);
	}
	i->paths.listen = copy;
	return 0;
}

static unsigned
choose_maxconn(unsigned wanted)
{
	struct rlimit files = { .rlim_max = 1024 };

	if (wanted == 0)
		wanted = MAXCONN;
	getrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_max != RLIM_INFINITY && files.rlim_max < 2 * (rlim_t)wanted + 200)
		wanted = files.rlim_max > 400 ? (unsigned)(files.rlim_max - 200) / 2 : 100;
	return wanted;
}

static int
set_paths(struct ingress *i, const struct ingress_config *c, struct err *e)
{
	char host[256] = "";

	if (mkdir(c->dir, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "make %s", c->dir);
	i->dir = arena_strdup(&i->mem, c->dir);
	i->paths.socket = arena_printf(&i->mem, "%s/haproxy.sock", c->dir);
	i->paths.map = arena_printf(&i->mem, "%s/hosts.map", c->dir);
	i->config_file = arena_printf(&i->mem, "%s/haproxy.cfg", c->dir);
	i->slots_file = arena_printf(&i->mem, "%s/slots", c->dir);
	i->pid_file = arena_printf(&i->mem, "%s/haproxy.pid", c->dir);
	if (strlen(i->paths.socket) > CLI_PATH_MAX || strpbrk(c->dir, " \t\n'\"\\#$()") != NULL)
		return err_new(e, ERR_INPUT,
		    "ingress directory %s: the path is too long for a socket or holds special "
		    "characters",
		    c->dir);
	if (c->host_name == NULL && gethostname(host, sizeof(host) - 1) < 0)
		str_copy(host, sizeof(host), "localhost");
	i->paths.host_name = arena_strdup(&i->mem, c->host_name != NULL ? c->host_name : host);
	i->paths.maxconn = choose_maxconn(c->maxconn);
	return copy_listen(i, c->listen, e);
}

static int
set_up(struct ingress *i, const struct ingress_config *c, struct err *e)
{
	autobuf struct buf slots = BUF_INIT;
	struct err ignored = ERR_INIT;

	if (find_program(i, c->haproxy, e) < 0 || set_paths(i, c, e) < 0 ||
	    routes_check_template(c->default_rule, e) < 0)
		return -1;
	i->routes.not_exposed_by_default = c->not_exposed_by_default;
	if (c->default_rule != NULL)
		i->routes.default_rule = arena_strdup(&i->mem, c->default_rule);
	if (buf_read_file(&slots, i->slots_file, 1 << 20, &ignored) == 0)
		slots_read(&i->slots, buf_str(&slots));
	if (c->dashboard != NULL && *c->dashboard != '\0' && dashboard_open(i, c->dashboard, e) < 0)
		return -1;
	return 0;
}

int
ingress_new(struct loop *l, struct state *s, const struct ingress_config *c, struct ingress **out,
    struct err *e)
{
	struct ingress *i = xcalloc(1, sizeof(*i));

	i->loop = l;
	i->state = s;
	i->on_tried = c->on_tried;
	i->ctx = c->ctx;
	i->child_out = -1;
	if (set_up(i, c, e) < 0) {
		ingress_free(i);
		return err_ctx(e, "start the ingress");
	}
	i->retry = loop_timer(l, -1, 0, retry, i);
	i->reap = loop_timer(l, -1, 0, live_reap, i);
	i->watch = state_watch(s, STATE_SERVICES, NULL, watch_again, i);
	rebuild(i);
	proxy_attach(i);
	*out = i;
	return 0;
}

void
ingress_free(struct ingress *i)
{
	if (i == NULL)
		return;
	state_watch_cancel(&i->watch);
	if (i->refresh_due)
		loop_defer_cancel(i->loop, refresh, i);
	if (i->on_tried != NULL)
		loop_defer_cancel(i->loop, i->on_tried, i->ctx);
	dashboard_close(i);
	cli_close(&i->cli);
	/* A proxy that is only being started would be found by nobody who wants to stop it. */
	if (i->child != NULL)
		while (waitpid(i->child_pid, NULL, 0) < 0 && errno == EINTR)
			;
	loop_child_free(&i->child);
	/* A start under way ends within its tenth of a second, one way or the other; whoever stops
	 * the proxy next must find it. */
	if (i->child_pid > 0)
		(void)waitpid(i->child_pid, NULL, 0);
	if (i->child_out >= 0)
		close(i->child_out);
	loop_timer_free(&i->retry);
	loop_timer_free(&i->reap);
	live_clear(&i->live);
	routing_free(i->routing);
	slots_fini(&i->slots);
	map_fini(&i->told);
	arena_fini(&i->mem);
	free(i);
}

bool
ingress_tried(const struct ingress *i)
{
	return i->tried;
}

bool
ingress_settled(const struct ingress *i)
{
	return i->proxy == PROXY_UP && i->commands == 0 && !i->refresh_due &&
	       (str_eq(i->digest, i->live.digest) || str_eq(i->digest, i->refused));
}

const char *
ingress_status(struct ingress *i)
{
	snprintf(i->status, sizeof(i->status), "%s, pid %d, %zu routers%s%s", states[i->proxy].name,
	    (int)i->live.pid, i->routing->routers.n, i->problem[0] != '\0' ? ": " : "", i->problem);
	return i->status;
}

/* ---- stopping, from anywhere ---- */

/* The proxy's own answer to who it is; 0: none. */
static pid_t
ask_pid(int fd)
{
	static const char question[] = "show info\n";
	autobuf struct buf text = BUF_INIT;
	struct err e = ERR_INIT;

	if (send(fd, question, sizeof(question) - 1, MSG_NOSIGNAL) < 0 ||
	    buf_read_fd(&text, fd, 65536, &e) < 0)
		return 0;
	const char *from = strstr(buf_str(&text), "\nPid: ");
	return from != NULL ? (pid_t)strtol(from + 6, NULL, 10) : 0;
}

static int
dial(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = 5 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || !str_copy(to.sun_path, sizeof(to.sun_path), path) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

/* The kernel closes the descriptors of an ended process one after the other, the listeners last.
 * There is nothing that tells when, and it takes microseconds on an idle machine. */
static int
wait_closed(const char *path)
{
	int fd;

	for (int ms = 0; ms < 2000 && (fd = dial(path)) >= 0; ms++) {
		close(fd);
		poll(NULL, 0, 1);
	}
	return 0;
}

int
ingress_stop(const char *dir, int wait_ms, struct err *e)
{
	autofree char *path = xasprintf("%s/haproxy.sock", dir);
	autofd int asking = dial(path), held = dial(path);
	char rest[512];

	if (asking < 0 || held < 0)
		return 0;
	pid_t pid = ask_pid(asking);
	if (pid <= 1)
		return err_new(e, ERR_REMOTE, "stop HAProxy: %s does not say whose it is", path);
	if (kill(pid, SIGTERM) < 0 && errno != ESRCH)
		return err_sys(e, "stop HAProxy, process %d", (int)pid);
	/* its end of the second connection closes when it is gone */
	struct pollfd gone = { .fd = held, .events = POLLIN };
	while (poll(&gone, 1, wait_ms) > 0)
		if (read(held, rest, sizeof(rest)) <= 0)
			return wait_closed(path);
	return err_new(e, ERR_TIMEOUT, "stop HAProxy: process %d is still there after %d ms",
	    (int)pid, wait_ms);
}
