/* process.c: starting the proxy, and replacing it by one with another configuration. The new
 * process takes the listeners over from the old one through its admin socket, so none is ever
 * closed. */
#include "ingress/proxy.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Replaces a file at once. Not synced: after a power cut the agent writes it anew. */
static int
write_file(const char *path, const struct buf *text, struct err *e)
{
	autofree char *fresh = xasprintf("%s.new", path);
	autofd int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(e, "write %s", fresh);
	if (fd_write_all(fd, buf_str(text), text->len, e) < 0)
		return err_ctx(e, "write %s", fresh);
	if (rename(fresh, path) < 0)
		return err_sys(e, "rename %s to %s", fresh, path);
	return 0;
}

static int
write_files(struct ingress *i, struct err *e)
{
	autobuf struct buf config = BUF_INIT, hosts = BUF_INIT;
	struct map map = MAP_INIT;
	size_t at = 0;
	const char *host;
	void *backend;

	config_write(&i->paths, i->routing, &i->slots, i->digest, true, &config);
	config_hosts(i->routing, &map);
	while (map_next(&map, &at, &host, &backend))
		buf_addf(&hosts, "%s %s\n", host, (const char *)backend);
	map_fini(&map);
	if (write_file(i->paths.map, &hosts, e) < 0)
		return -1;
	return write_file(i->config_file, &config, e);
}

/* What HAProxy said, as one line: its alerts if there are any. */
static void
read_messages(struct ingress *i, char *out, size_t size)
{
	autobuf struct buf text = BUF_INIT, line = BUF_INIT;
	struct err e = ERR_INIT;

	if (i->child_out < 0)
		return;
	buf_read_fd(&text, i->child_out, 65536, &e); /* non-blocking: what is there */
	char *rest = text.data;
	for (char *l; (l = strsep(&rest, "\n")) != NULL;) {
		char *alert = strstr(l, "[ALERT]");
		if (alert == NULL)
			continue;
		char *said = strstr(alert, " : ");
		if (line.len < size)
			buf_addf(&line, "%s%s", line.len > 0 ? "; " : "",
			    said != NULL ? said + 3 : alert);
	}
	snprintf(out, size, "%s", line.len > 0 ? buf_str(&line) : buf_str(&text));
	close(i->child_out);
	i->child_out = -1;
}

/* The pid that the daemon wrote; 0: not readable. */
static pid_t
read_pid(struct ingress *i)
{
	autobuf struct buf text = BUF_INIT;
	struct err e = ERR_INIT;

	if (buf_read_file(&text, i->pid_file, 64, &e) < 0)
		return 0;
	return (pid_t)strtol(buf_str(&text), NULL, 10);
}

static void
started(void *ctx, pid_t pid, int status)
{
	struct ingress *i = ctx;
	char said[300] = "";

	(void)pid;
	i->child = NULL;
	i->child_pid = 0;
	read_messages(i, said, sizeof(said));
	i->asked_wrong = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		i->expected = read_pid(i);
		proxy_attach(i);
		return;
	}
	snprintf(i->problem, sizeof(i->problem), "HAProxy did not take %s: %s", i->config_file,
	    *said != '\0' ? said : "it said nothing");
	log_error("ingress", "%s", i->problem);
	str_copy(i->refused, sizeof(i->refused), i->starting);
	if (i->reloading)
		proxy_attach(i); /* the old one goes on as it was */
	else
		proxy_retry_later(i);
}

static int
spawn(struct ingress *i, char *const argv[], struct err *e)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int p[2];

	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys(e, "make a pipe");
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&files, p[1], 1);
	posix_spawn_file_actions_adddup2(&files, p[1], 2);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	int sys = posix_spawn(&i->child_pid, i->haproxy, &files, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	close(p[1]);
	if (sys != 0) {
		i->child_pid = 0;
		close(p[0]);
		errno = sys;
		return err_sys(e, "start %s", i->haproxy);
	}
	i->child_out = p[0];
	return 0;
}

static int
start(struct ingress *i, bool reload, struct err *e)
{
	char old[16];
	char *argv[12] = { "haproxy", "-D", "-f", (char *)i->config_file, "-p",
		(char *)i->pid_file };
	size_t n = 6;

	snprintf(old, sizeof(old), "%d", (int)i->live.pid);
	if (reload) {
		argv[n++] = "-x";
		argv[n++] = (char *)i->paths.socket;
		argv[n++] = "-sf";
		argv[n++] = old;
	}
	if (write_files(i, e) < 0)
		return -1;
	return spawn(i, argv, e);
}

void
proxy_start(struct ingress *i, bool reload)
{
	struct err e = ERR_INIT;

	/* an open connection would keep the old process from ending */
	cli_close(&i->cli);
	i->commands = 0;
	i->reloading = reload;
	i->started_ns = clock_mono_ns();
	str_copy(i->starting, sizeof(i->starting), i->digest);
	proxy_move(i, PROXY_STARTING);
	if (start(i, reload, &e) < 0) {
		log_error("ingress", "%s", e.text);
		str_copy(i->problem, sizeof(i->problem), e.text);
		proxy_retry_later(i);
		return;
	}
	log_info("ingress", "HAProxy %s: routers=%zu slots=%zu",
	    reload ? "replaces itself" : "is started", i->routing->routers.n, i->slots.n);
	i->child = loop_child(i->loop, i->child_pid, started, i);
}
