/* minipot start, stop, status: the service of the node, with a service manager and without. */
#include "cli/minipot.h"

#include "base/buf.h"
#include "base/ip.h"
#include "base/str.h"
#include "codec/json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum {
	CONFIG_MAX = 1 << 20,
	STOP_MS = 60000, /* stopping includes the pots of the jobs */
};

void
minipot_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("===> ", stdout);
	vprintf(fmt, ap);
	putchar('\n');
	va_end(ap);
	fflush(stdout);
}

int
minipot_fail(const struct err *e)
{
	fprintf(stderr, "###> minipot: %s\n", e->text);
	return 1;
}

int
minipot_run(const char *const *argv, bool quiet, struct err *e)
{
	posix_spawn_file_actions_t files;
	pid_t pid;
	int status;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	if (quiet)
		posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
	int rc = posix_spawnp(&pid, argv[0], &files, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&files);
	if (rc != 0) {
		errno = rc;
		return err_sys(e, "run %s", argv[0]);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "wait for %s", argv[0]);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return err_new(e, ERR_REMOTE, "%s %s failed (%s %d)", argv[0],
	    argv[1] != NULL ? argv[1] : "", WIFEXITED(status) ? "exit status" : "signal",
	    WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

int
minipot_act(enum service_act act, const char *name, struct err *e)
{
	autoarena struct arena a = ARENA_INIT;
	const char *const *argv = service_command(act, name, &a);

	return argv != NULL ? minipot_run(argv, true, e) : 0;
}

int
minipot_pid(const struct minipot *m)
{
	autobuf struct buf text = BUF_INIT;
	struct err e = ERR_INIT;
	uint64_t pid;

	if (buf_read_file(&text, m->pid_file, 64, &e) < 0)
		return 0;
	while (text.len > 0 && text.data[text.len - 1] == '\n')
		text.data[--text.len] = '\0';
	if (!str_u64(buf_str(&text), 1 << 30, &pid) || pid < 2 || kill((pid_t)pid, 0) < 0)
		return 0;
	/* A stale file may name a stranger: the monitor holds a lock on it as long as it lives. */
	autofd int fd = open(m->pid_file, O_RDWR | O_CLOEXEC);
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	if (fd < 0 || fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
		return 0;
	return (int)pid;
}

/* ---- start ---- */

/* It returns when the agent is ready. */
static int
start_by_hand(const struct minipot *m, struct err *e)
{
	autofree char *potter = xasprintf("%s/bin/potter", m->prefix);
	const char *const argv[] = { potter, "agent", "-detach", "-config", m->config, "-pid-file",
		m->pid_file, "-log-file", m->log, NULL };

	if (getpwnam(MINIPOT_USER) == NULL)
		return err_new(
		    e, ERR_ABSENT, "there is no user %s: run minipot init first", MINIPOT_USER);
	if (mkdir(service_places.run, 0755) < 0 && errno != EEXIST)
		return err_sys(e, "make %s", service_places.run);
	return minipot_run(argv, false, e);
}

static int
start(const struct minipot *m, struct err *e)
{
	autofree char *pot = xasprintf("%s/bin/pot", m->prefix);
	const char *const vnet[] = { pot, "vnet-start", NULL };

	if (access(m->config, R_OK) < 0)
		return err_new(e, ERR_ABSENT, "%s is not there: run minipot init first", m->config);
	if (minipot_run(vnet, !m->verbose, e) < 0)
		return -1;
	minipot_say("Starting the agent");
	return m->service.managed ? minipot_act(SERVICE_START, m->service.name, e)
				  : start_by_hand(m, e);
}

int
minipot_start(struct minipot *m)
{
	struct err e = ERR_INIT;

	if (minipot_pid(m) != 0) {
		minipot_say("Already running (pid %d)", minipot_pid(m));
		return 0;
	}
	if (start(m, &e) < 0) {
		err_ctx(&e, "start");
		return minipot_fail(&e);
	}
	minipot_say("Running: API and UI on port 4646, catalog on 8500, DNS on 8600, ingress on "
		    "8080, dashboard on 9002");
	return 0;
}

/* ---- stop ---- */

static int
stop_by_hand(const struct minipot *m, int pid, struct err *e)
{
	autofd int fd = open(m->pid_file, O_RDWR | O_CLOEXEC);

	/* SIGINT: the pots of the jobs and the ingress stop too; they come back at the next start.
	 */
	if (kill(pid, SIGINT) < 0)
		return errno == ESRCH ? 0 : err_sys(e, "signal the agent (pid %d)", pid);
	/* The monitor holds the lock of the pid file until all has stopped. */
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct sigaction act = { .sa_handler = SIG_DFL };
	sigaction(SIGALRM, &act, NULL);
	alarm(STOP_MS / 1000);
	int rc = fd < 0 ? 0 : fcntl(fd, F_SETLKW, &lock);
	alarm(0);
	return rc < 0 ? err_sys(e, "wait for the agent (pid %d) to stop", pid) : 0;
}

int
minipot_stop_agent(const struct minipot *m, struct err *e)
{
	int pid = minipot_pid(m);

	if (pid == 0 && m->service.managed && m->service.stops_running_only)
		return 0;
	if (m->service.managed) {
		(void)minipot_act(SERVICE_END_JOBS, m->service.name, e);
		return minipot_act(SERVICE_STOP, m->service.name, e);
	}
	return pid == 0 ? 0 : stop_by_hand(m, pid, e);
}

int
minipot_stop(struct minipot *m)
{
	struct err e = ERR_INIT;

	if ((!m->service.managed || m->service.stops_running_only) && minipot_pid(m) == 0) {
		minipot_say("Not running");
		return 0;
	}
	minipot_say("Stopping the agent, the ingress and the pots of the jobs");
	if (minipot_stop_agent(m, &e) < 0) {
		err_ctx(&e, "stop");
		return minipot_fail(&e);
	}
	minipot_say("Stopped");
	return 0;
}

/* ---- status ---- */

const char *
minipot_address(struct minipot *m)
{
	autobuf struct buf text = BUF_INIT;
	struct err e = ERR_INIT;
	char value[64];

	if (buf_read_file(&text, m->config, CONFIG_MAX, &e) < 0)
		return "127.0.0.1";
	for (const char *line = buf_str(&text); line != NULL; line = strchr(line, '\n')) {
		line += strspn(line, "\n\t ");
		if (sscanf(line, "bind_addr = \"%63[^\"]\"", value) == 1)
			return arena_strdup(&m->mem, value);
	}
	return "127.0.0.1";
}

/* Does anybody accept connections there? */
static bool
listens(const char *address, int port)
{
	struct sockaddr_storage to = { 0 };
	struct sockaddr_in *v4 = (struct sockaddr_in *)&to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&to;
	struct ip ip;

	if (!ip_parse(address, &ip))
		return false;
	to.ss_family = (sa_family_t)ip.family;
	if (ip.family == AF_INET)
		memcpy(&v4->sin_addr, ip.bytes, 4);
	else
		memcpy(&v6->sin6_addr, ip.bytes, 16);
	/* the port lies at the same place in both */
	v4->sin_port = htons((uint16_t)port);
	autofd int fd = socket(ip.family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd >= 0 && connect(fd, (struct sockaddr *)&to,
			      ip.family == AF_INET ? sizeof(*v4) : sizeof(*v6)) == 0;
}

struct part {
	const char *name;
	int port;
	bool up;
};

static void
print_parts(int pid, const struct part *part, size_t n)
{
	if (pid != 0)
		printf("%-10s running (pid %d)\n", "agent", pid);
	else
		printf("%-10s stopped\n", "agent");
	for (size_t i = 0; i < n; i++)
		printf("%-10s %s (port %d)\n", part[i].name,
		    part[i].up ? "listening" : "not listening", part[i].port);
}

static void
print_parts_json(int pid, const struct part *part, size_t n)
{
	autobuf struct buf text = BUF_INIT;
	struct jsonw w = JSONW_INDENT(&text, 2);

	jsonw_object(&w);
	jsonw_kint(&w, "pid", pid);
	for (size_t i = 0; i < n; i++)
		jsonw_kbool(&w, part[i].name, part[i].up);
	jsonw_end_object(&w);
	puts(buf_str(&text));
}

int
minipot_status(struct minipot *m)
{
	struct part part[] = { { "api", 4646, false }, { "catalog", 8500, false },
		{ "ingress", 8080, false }, { "dashboard", 9002, false } };
	const char *address = minipot_address(m);
	int pid = minipot_pid(m);
	bool all = pid != 0;

	for (size_t i = 0; i < NELEM(part); i++) {
		part[i].up = listens(address, part[i].port);
		all = all && part[i].up;
	}
	if (m->json)
		print_parts_json(pid, part, NELEM(part));
	else
		print_parts(pid, part, NELEM(part));
	return all ? 0 : 1;
}
