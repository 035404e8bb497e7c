/*
 * agent.c: the agent put together: configuration, loop, server, API, client; signals; the end.
 */
#include "agent.h"

#include "agent_config.h"
#include "agent_detach.h"
#include "agent_root.h"
#include "agent_services.h"
#include "api/api.h"
#include "base/clock.h"
#include "base/str.h"
#include "client/client.h"
#include "io/http.h"
#include "io/url.h"
#include "platform/facts.h"
#include "pot/runner_proto.h"
#include "server/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct agent {
	struct arena mem;
	struct agent_config *c;
	int argc;
	char **argv;
	struct loop *loop;
	struct server *server;
	struct client *client;
	struct api *api;
	struct agent_services *services;
	struct http_server *http;
	struct loop_signal *signals[4];
	struct state_watch *watch; /* of the own node, until it is ready */
	int lock_fd, log_fd, ready_fd;
	bool ready, stopping;
	bool stop_all; /* asked to: nothing of this node goes on */
	int status;
};

/* Telling the one who started us ------------------------------------------------------------------
 */

/* One line to the descriptor in POTTER_READY_FD: "ready", or why not. */
static void
tell_starter(struct agent *a, const char *line)
{
	struct err e;
	autofree char *text = xasprintf("%s\n", line);

	if (a->ready_fd < 0)
		return;
	(void)fd_write_all(
	    a->ready_fd, text, strlen(text), &e); /* it may have gone: nobody to tell then */
	close(a->ready_fd);
	a->ready_fd = -1;
}

/* sd_notify(3)'s protocol: a datagram to the socket in NOTIFY_SOCKET. */
static void
tell_service_manager(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	if (path == NULL || !str_copy(un.sun_path, sizeof(un.sun_path), path) ||
	    (path[0] != '/' && path[0] != '@'))
		return;
	socklen_t len =
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + (path[0] == '/'));
	if (path[0] == '@')
		un.sun_path[0] = '\0';
	autofd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		(void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&un, len);
}

static int
env_fd(const char *name)
{
	const char *text = getenv(name);
	uint64_t n;

	if (text == NULL || !str_u64(text, 1 << 20, &n))
		return -1;
	return (int)n;
}

/* What was passed to us is for us alone, not for the programs that we start. */
static void
close_on_exec(void)
{
	for (int fd = 3; fd < 256; fd++) {
		int flags = fcntl(fd, F_GETFD);
		if (flags >= 0)
			(void)fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
	}
}

/* Log and data directory --------------------------------------------------------------------------
 */

static int
open_log(struct agent *a, struct err *e)
{
	const char *path = a->c->log_file;
	enum log_level level = LOG_INFO_;

	(void)log_level_named(a->c->log_level, &level);
	log_set_level(level);
	if (path == NULL || *path == '\0')
		return 0;
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (fd < 0)
		return err_sys(e, "log file %s", path);
	log_set_fd(fd);
	if (a->log_fd >= 0)
		close(a->log_fd);
	a->log_fd = fd;
	return 0;
}

/* Two agents on one data directory would both be right and both be wrong. */
static int
lock_data_dir(struct agent *a, struct err *e)
{
	const char *dir = a->c->data_dir;

	if (dir == NULL || *dir == '\0') {
		char *made = arena_strdup(&a->mem, "/tmp/potter-dev-XXXXXX");
		if (mkdtemp(made) == NULL)
			return err_sys(e, "make %s", made);
		a->c->data_dir = dir = made;
	}
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return err_sys(e, "make data_dir %s", dir);
	a->lock_fd =
	    open(arena_printf(&a->mem, "%s/agent.lock", dir), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (a->lock_fd < 0)
		return err_sys(e, "data_dir %s", dir);
	if (flock(a->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			   ? err_new(e, ERR_BUSY, "data_dir %s: another agent uses it", dir)
			   : err_sys(e, "lock data_dir %s", dir);
	return 0;
}

/* Addresses -------------------------------------------------------------------------------------
 */

static const char *
http_address(const struct agent *a)
{
	const char *own = a->c->addresses->http;

	return own != NULL && *own != '\0' ? own : a->c->bind_addr;
}

static bool
any_address(const char *address)
{
	return strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
}

static const char *
host_port(struct agent *a, const char *host, int64_t port)
{
	autobuf struct buf b = BUF_INIT;

	url_add_host_port(&b, host, (uint16_t)port);
	return arena_strdup(&a->mem, buf_str(&b));
}

/* What the command line dials for logs and exec. */
static const char *
advertised(struct agent *a)
{
	const char *said = a->c->advertise->http, *address = http_address(a);
	struct facts f;

	if (said != NULL && *said != '\0')
		return strchr(said, ':') != NULL ? said : host_port(a, said, a->c->ports->http);
	if (any_address(address)) {
		facts_read(&f, "/", &a->mem);
		address = f.address != NULL && *f.address != '\0' ? f.address : "127.0.0.1";
	}
	return host_port(a, address, a->c->ports->http);
}

static const char *
servers_url(struct agent *a)
{
	const struct agent_client *c = a->c->client;
	const char *address = http_address(a);

	if (c->servers.n > 0)
		return strstr(c->servers.at[0], "://") != NULL
			   ? c->servers.at[0]
			   : arena_printf(&a->mem, "http://%s", c->servers.at[0]);
	if (any_address(address))
		address = strcmp(address, "::") == 0 ? "::1" : "127.0.0.1";
	return arena_printf(&a->mem, "http://%s", host_port(a, address, a->c->ports->http));
}

/* Parts -----------------------------------------------------------------------------------------
 */

static int
start_server(struct agent *a, struct err *e)
{
	const struct agent_config *c = a->c;
	struct server_config s = { .data_dir = c->dev ? NULL : c->data_dir,
		.region = c->region,
		.name = arena_printf(&a->mem, "%s.%s", c->name, c->region),
		.heartbeat_grace_ns = c->server->heartbeat_grace,
		.heartbeat_min_ttl_ns = c->server->min_heartbeat_ttl };
	struct server_env env = server_env_loop(a->loop);

	if (!c->server->enabled)
		return 0;
	return server_open(&s, &env, &a->server, e);
}

static void
on_lost(void *ctx)
{
	struct agent *a = ctx;

	log_error("agent", "the monitor has gone: ending; pots go on");
	a->status = 1;
	loop_stop(a->loop);
}

static int
make_client(struct agent *a, struct err *e)
{
	const struct agent_config *c = a->c;
	const struct agent_client *n = c->client;
	struct client_config cc = { .data_dir = c->data_dir,
		.server = servers_url(a),
		.node_name = c->name,
		.datacenter = c->datacenter,
		.region = c->region,
		.node_class = n->node_class,
		.node_pool = n->node_pool,
		.meta = n->meta,
		.http_addr = advertised(a),
		.raw_exec = agent_raw_exec(c, "enabled"),
		.max_kill_timeout_ns = n->max_kill_timeout,
		.cpu_mhz = n->cpu_total_compute,
		.memory_mb = n->memory_total_mb,
		.reserved_cpu_mhz = n->reserved->cpu,
		.reserved_memory_mb = n->reserved->memory,
		.reserved_disk_mb = n->reserved->disk,
		.reserved_ports = n->reserved->reserved_ports,
		.runner_fd = env_fd(RUNNER_FD_ENV),
		.monitor_fd = env_fd(RUNNER_MONITOR_FD_ENV) };

	if (!n->enabled)
		return 0;
	if (cc.runner_fd < 0)
		log_warn("agent", "no pot-runner: started without root, this node runs no pots and "
				  "no raw_exec tasks");
	return client_new(a->loop, &cc, on_lost, a, &a->client, e);
}

static void
make_api(struct agent *a)
{
	const struct agent_config *c = a->c;
	const char *dir = c->registry->dir;
	struct api_config ac = { .loop = a->loop,
		.server = a->server,
		.client = a->client != NULL ? client_api(a->client) : NULL,
		.name = c->name,
		.region = c->region,
		.datacenter = c->datacenter,
		.node_class = c->client->node_class,
		.bind_address = http_address(a),
		.port = (uint16_t)c->ports->http,
		.config_files = c->config_paths.at,
		.dev = c->dev,
		.no_ui = !c->ui->enabled,
		.ctx = a };
	const char **files = arena_array(&a->mem, c->config_paths.n + 1, const char *);

	for (size_t i = 0; i < c->config_paths.n; i++)
		files[i] = c->config_paths.at[i];
	ac.config_files = files;
	if (c->registry->enabled)
		ac.registry_dir = dir != NULL && *dir != '\0'
				      ? dir
				      : arena_printf(&a->mem, "%s/registry", c->data_dir);
	a->api = api_new(&ac);
}

static int
listen_http(struct agent *a, struct err *e)
{
	int64_t per_peer = a->c->limits->http_max_conns_per_client;
	struct http_limits limits = { .conns_per_peer = per_peer > 0 ? (unsigned)per_peer : 0 };

	a->http = http_server_new(a->loop, &limits, api_handle, a->api);
	if (http_listen(a->http, http_address(a), (uint16_t)a->c->ports->http, e) < 0)
		return -1;
	if (agent_address_is_local(http_address(a)))
		return 0;
	/* What runs on the machine itself asks on loopback. */
	return http_listen(a->http, "127.0.0.1", (uint16_t)a->c->ports->http, e);
}

static void on_end(void *ctx, int signo);

/* Ready ------------------------------------------------------------------------------------------
 */

static void
now_ready(struct agent *a)
{
	if (a->ready)
		return;
	a->ready = true;
	log_info("agent", "ready: http=%s server=%s client=%s data_dir=%s",
	    host_port(a, http_address(a), a->c->ports->http), a->server != NULL ? "true" : "false",
	    a->client != NULL ? "true" : "false", a->c->data_dir);
	tell_starter(a, "ready");
	tell_service_manager("READY=1");
	/* The monitor was told to stop while no agent ran: this one is here to do that. */
	if (getenv(RUNNER_STOP_ENV) != NULL)
		on_end(a, SIGINT);
}

/* When the ingress listens, or cannot; with a client of our own, when its node is ready to be given
 * work. */
static void
check_ready(void *ctx)
{
	struct agent *a = ctx;
	const struct client_api *n = a->client != NULL ? client_api(a->client) : NULL;

	a->watch = NULL;
	if (!agent_services_ready(a->services))
		return; /* services_ready() comes */
	if (n == NULL || a->server == NULL) {
		now_ready(a);
		return;
	}
	const struct node *node = state_node(server_state(a->server), n->node_id(n->self));
	if (node != NULL && str_eq(node->status, "ready"))
		now_ready(a);
	else
		a->watch = state_watch(server_state(a->server), STATE_NODES, NULL, check_ready, a);
}

static void
services_ready(void *ctx)
{
	struct agent *a = ctx;

	if (a->watch == NULL)
		check_ready(a);
}

/* Signals ----------------------------------------------------------------------------------------
 */

static void
stop_now(void *ctx)
{
	struct agent *a = ctx;

	loop_stop(a->loop);
}

static void
on_end(void *ctx, int signo)
{
	struct agent *a = ctx;

	if (signo == SIGTERM && a->stopping)
		return; /* asks for less than what is under way */
	log_info("agent", "ending: signal=%s", signo == SIGINT ? "interrupt" : "terminated");
	tell_service_manager("STOPPING=1");
	/* SIGTERM leaves the pots running, for the next agent to adopt; with -dev there is none. A
	 * second SIGINT does not wait. */
	a->stop_all = a->stop_all || signo == SIGINT || a->c->dev;
	if (!a->stop_all || a->stopping || a->client == NULL) {
		loop_stop(a->loop);
		return;
	}
	a->stopping = true;
	client_stop_all(a->client, stop_now, a);
}

static void
on_reload(void *ctx, int signo)
{
	struct agent *a = ctx;
	autoarena struct arena mem = ARENA_INIT;
	struct agent_config *c;
	struct strs warnings = { .n = 0 };
	enum log_level level;
	struct err e;
	bool help;
	(void)signo;

	if (agent_config_load(a->argc, a->argv, &mem, &c, &warnings, &help, &e) < 0) {
		log_error("agent", "reload: %s; nothing was changed", e.text);
		return;
	}
	if (open_log(a, &e) < 0)
		log_error("agent", "reload: %s", e.text);
	if (log_level_named(c->log_level, &level))
		log_set_level(level);
	a->c->log_level = arena_strdup(&a->mem, c->log_level);
	log_info("agent", "reloaded: log_level=%s; other keys take effect at the next start",
	    c->log_level);
}

/* The whole --------------------------------------------------------------------------------------
 */

static int
start(struct agent *a, struct err *e)
{
	a->loop = loop_new();
	a->signals[0] = loop_signal(a->loop, SIGINT, on_end, a);
	a->signals[1] = loop_signal(a->loop, SIGTERM, on_end, a);
	a->signals[2] = loop_signal(a->loop, SIGHUP, on_reload, a);
	if (lock_data_dir(a, e) < 0 || start_server(a, e) < 0 || make_client(a, e) < 0)
		return -1;
	make_api(a);
	const struct client_api *n = a->client != NULL ? client_api(a->client) : NULL;
	struct agent_self self = { .node_id = n != NULL ? n->node_id(n->self) : NULL,
		.address = advertised(a),
		.on_ready = services_ready,
		.ctx = a };
	if (listen_http(a, e) < 0 ||
	    agent_services_open(a->loop, a->c, a->server, &self, &a->mem, &a->services, e) < 0)
		return -1;
	if (a->client != NULL)
		client_start(a->client);
	check_ready(a);
	return 0;
}

static void
end(struct agent *a)
{
	state_watch_cancel(&a->watch);
	agent_services_close(a->services, a->stop_all);
	http_server_free(a->http);
	api_free(a->api);
	client_free(a->client);
	if (a->server != NULL)
		server_close(a->server);
	for (size_t i = 0; i < NELEM(a->signals); i++)
		loop_signal_free(&a->signals[i]);
	loop_free(a->loop);
	own_close(&a->lock_fd);
	log_set_fd(STDERR_FILENO);
	own_close(&a->log_fd);
	arena_fini(&a->mem);
}

static int
refuse(struct agent *a, const struct err *e)
{
	(void)fprintf(stderr, "Error: %s\n", e->text);
	tell_starter(a, e->text);
	return 1;
}

/* The part that is root, if there is one, then the configuration's consequences. */
static int
begin(struct agent *a, struct strs *warnings, struct err *e)
{
	/* Not again in what the monitor starts. */
	if (a->c->detach && a->ready_fd < 0 && getenv(RUNNER_FD_ENV) == NULL) {
		int started = agent_detach(a->c, &a->ready_fd, e);
		if (started != 0)
			return started;
	}
	if (agent_root_needed())
		return agent_root_exec(a->c, a->argc, a->argv, &a->mem, e);
	close_on_exec();
	if (open_log(a, e) < 0)
		return -1;
	if (getenv(RUNNER_FD_ENV) == NULL && a->c->pid_file != NULL && *a->c->pid_file != '\0' &&
	    agent_pid_file(a->c->pid_file, e) < 0)
		return -1;
	for (size_t i = 0; i < warnings->n; i++)
		log_warn("agent", "configuration: %s", warnings->at[i]);
	log_info("agent", "starting: version=%s pid=%ld", POTTER_VERSION, (long)getpid());
	return start(a, e);
}

int
agent_main(int argc, char **argv)
{
	struct agent a = { .argc = argc - 1,
		.argv = argv + 1,
		.lock_fd = -1,
		.log_fd = -1,
		.ready_fd = env_fd("POTTER_READY_FD") };
	struct strs warnings = { .n = 0 };
	struct err e = ERR_INIT;
	bool help;

	(void)signal(SIGPIPE, SIG_IGN);
	if (agent_config_load(a.argc, a.argv, &a.mem, &a.c, &warnings, &help, &e) < 0) {
		int status = refuse(&a, &e);
		arena_fini(&a.mem);
		return status;
	}
	if (help) {
		autobuf struct buf usage = BUF_INIT;
		agent_config_usage(&usage);
		(void)fputs(buf_str(&usage), stdout);
		arena_fini(&a.mem);
		return 0;
	}
	int begun = begin(&a, &warnings, &e);
	if (begun < 0) {
		log_error("agent", "%s", e.text);
		a.status = refuse(&a, &e);
	} else if (begun == 0)
		loop_run(a.loop);
	int status = a.status;
	end(&a);
	return status;
}
