#include "platform/enter.h"

#include "base/arena.h"
#include "platform/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Who enters a pot can be looked at by the pot: on Linux /proc/<pid>/exe leads to the file of the
 * program on the host. So it is pot-keeper that enters, by a read-only view of its file, and not
 * the caller itself; where the system can keep the pot's eyes off it, a copy of the caller does
 * (enter_directly()).
 *
 *	pot-keeper --enter PID START TTY ROWS COLS LOGIN NEW_PRIVILEGES FILTER CAPS MAX_FILES
 *	USER CWD N cgroup… N argument…
 *
 * with the command's environment, each variable with a '+' in front, as its own (which, unlike
 * arguments, others cannot read; and no library minds it), the command's standard descriptors as 0
 * to 2 and a socket for messages as 3. FILTER: 1 without the filter, 2 without IPv4, 4 without
 * IPv6. Where a process cannot enter by itself it is two: the second is born inside, as a child of
 * the caller, and becomes the command. What they have to say goes through the socket, which ends
 * when the command runs: "P <pid>", with the terminal's descriptor; "E <kind> <errno> <text>".
 */
enum { MESSAGE_FD = 3, MESSAGE_MAX = 1400, FIXED_ARGS = 14, NO_COMMAND = ENTER_NO_COMMAND };

void
enter_say_failure(const struct err *e)
{
	char text[MESSAGE_MAX];
	int n = snprintf(text, sizeof(text), "E %s %d %s", err_kind_name(e->kind), e->sys, e->text);

	(void)!send(
	    MESSAGE_FD, text, n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1, MSG_NOSIGNAL);
	_exit(NO_COMMAND);
}

union fd_room {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

int
enter_say_pid(pid_t pid, int terminal)
{
	union fd_room room;
	char text[24];
	struct iovec v = { text, (size_t)snprintf(text, sizeof(text), "P %d", (int)pid) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	if (terminal >= 0) {
		memset(&room, 0, sizeof(room));
		m.msg_control = room.bytes;
		m.msg_controllen = sizeof(room);
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &terminal, sizeof(terminal));
	}
	return sendmsg(MESSAGE_FD, &m, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/* ---- the arguments, both ways ---- */

static uint64_t
number(const char *text)
{
	return strtoull(text, NULL, 10);
}

/* "N a b c …" from *argv on; the list stays in place, with a NULL put where it ends. */
static const char *const *
take_list(char ***argv, char **end)
{
	char **at = *argv;
	uint64_t n = at < end ? number(*at) : 0;

	if (at >= end || n > (uint64_t)(end - at - 1))
		_exit(NO_COMMAND);
	/* the count's own place makes room for the end */
	memmove(at, at + 1, n * sizeof(*at));
	at[n] = NULL;
	*argv = at + n + 1;
	return n > 0 ? (const char *const *)at : NULL;
}

extern char **environ; /* POSIX leaves it to the program */

static const char *const *
take_env(void)
{
	size_t n = 0;

	for (char **p = environ; *p != NULL; p++)
		if ((*p)[0] == '+')
			environ[n++] = *p + 1;
	environ[n] = NULL;
	return (const char *const *)environ;
}

int
isolate_enter_main(int argc, char **argv)
{
	char **end = argv + argc, **at = argv + 2 + FIXED_ARGS;

	if (argc < 2 + FIXED_ARGS + 2)
		return NO_COMMAND;
	char **fixed = argv + 2;
	struct isolate_enter how = { .pid = (pid_t)number(fixed[0]),
		.start = number(fixed[1]),
		.tty = fixed[2][0] == '1',
		.rows = (unsigned short)number(fixed[3]),
		.cols = (unsigned short)number(fixed[4]),
		.process = { .login = fixed[5][0] == '1',
		    .new_privileges = fixed[6][0] == '1',
		    .no_filter = (number(fixed[7]) & 1) != 0,
		    .no_family = (unsigned)number(fixed[7]) >> 1,
		    .caps = number(fixed[8]),
		    .max_files = number(fixed[9]),
		    .user = fixed[10][0] != '\0' ? fixed[10] : NULL,
		    .cwd = fixed[11][0] != '\0' ? fixed[11] : NULL },
		.name = fixed[12],
		.place = fixed[13] };
	how.cgroups = take_list(&at, end);
	how.process.argv = take_list(&at, end);
	how.process.env = take_env();
	proc_title("pot-keeper");
	(void)fcntl(MESSAGE_FD, F_SETFD, FD_CLOEXEC);
	proc_close_from(MESSAGE_FD + 1);
	enter_inside(&how);
}

static void
add_number(struct arena *mem, char **argv, size_t *n, uint64_t v)
{
	argv[(*n)++] = arena_printf(mem, "%llu", (unsigned long long)v);
}

static void
add_list(struct arena *mem, char **argv, size_t *n, const char *const *list)
{
	size_t count = 0;

	while (list != NULL && list[count] != NULL)
		count++;
	add_number(mem, argv, n, count);
	for (size_t i = 0; i < count; i++)
		argv[(*n)++] = (char *)(uintptr_t)list[i];
}

static size_t
length(const char *const *list)
{
	size_t n = 0;

	while (list != NULL && list[n] != NULL)
		n++;
	return n;
}

static char **
arguments(const struct isolate_enter *how, struct arena *mem)
{
	const struct isolate_process *p = &how->process;
	size_t n = 0, room = length(how->cgroups) + length(p->argv) + 2 + FIXED_ARGS + 2 + 1;
	char **argv = arena_array(mem, room, char *);
	const uint64_t numbers[] = { (uint64_t)how->pid, how->start, how->tty, how->rows, how->cols,
		p->login, p->new_privileges, (p->no_filter ? 1U : 0U) | p->no_family << 1, p->caps,
		p->max_files };

	argv[n++] = arena_strdup(mem, "pot-keeper");
	argv[n++] = arena_strdup(mem, ISOLATE_ENTER_ARG);
	for (size_t i = 0; i < NELEM(numbers); i++)
		add_number(mem, argv, &n, numbers[i]);
	argv[n++] = arena_strdup(mem, p->user != NULL ? p->user : "");
	argv[n++] = arena_strdup(mem, p->cwd != NULL ? p->cwd : "");
	argv[n++] = arena_strdup(mem, how->name != NULL ? how->name : "");
	argv[n++] = arena_strdup(mem, how->place != NULL ? how->place : "");
	add_list(mem, argv, &n, how->cgroups);
	add_list(mem, argv, &n, p->argv);
	return argv;
}

static char **
environment(const struct isolate_enter *how, struct arena *mem)
{
	size_t n = length(how->process.env);
	char **env = arena_array(mem, n + 1, char *);

	for (size_t i = 0; i < n; i++)
		env[i] = arena_printf(mem, "+%s", how->process.env[i]);
	return env;
}

/* ---- the caller's half ---- */

static int
spawn_program(const struct isolate_enter *how, const int fds[4], pid_t *pid, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	char path[PROC_PROGRAM_PATH];
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int result = 0;
	autofd int program = proc_program(how->program, path);

	(void)program; /* only held open while it is started */
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	for (int i = 0; i < 4; i++)
		posix_spawn_file_actions_adddup2(&actions, fds[i], i);
	errno =
	    posix_spawn(pid, path, &actions, &attr, arguments(how, &mem), environment(how, &mem));
	if (errno != 0)
		result = err_sys(e, "start %s", how->program);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	return result;
}

static int
spawn(const struct isolate_enter *how, int sock, pid_t *pid, struct err *e)
{
	int fds[4], result;
	autofd int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return err_sys(e, "open /dev/null");
	/* lifted above 3, so that none overwrites another */
	for (int i = 0; i < 4; i++)
		fds[i] = fcntl(i == 3			       ? sock
			       : how->tty || how->stdio[i] < 0 ? null
							       : how->stdio[i],
		    F_DUPFD_CLOEXEC, 10);
	result = enter_directly(how, fds, pid, e);
	if (result == 0)
		result = spawn_program(how, fds, pid, e);
	for (int i = 0; i < 4; i++)
		own_close(&fds[i]);
	return result < 0 ? -1 : 0;
}

static ssize_t
receive(int sock, char text[MESSAGE_MAX], int *terminal)
{
	union fd_room room;
	struct iovec v = { text, MESSAGE_MAX - 1 };
	struct msghdr m = { .msg_iov = &v,
		.msg_iovlen = 1,
		.msg_control = room.bytes,
		.msg_controllen = sizeof(room) };
	ssize_t n;

	do
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return n;
	text[n] = '\0';
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	if (h != NULL && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS) {
		own_close(terminal);
		memcpy(terminal, CMSG_DATA(h), sizeof(*terminal));
	}
	return n;
}

static int
told_failure(const char *text, struct err *e)
{
	char kind[16], *rest;
	const char *blank = text[0] == 'E' && text[1] == ' ' ? strchr(text + 2, ' ') : NULL;

	if (blank == NULL || blank - text - 2 >= (ptrdiff_t)sizeof(kind))
		return err_new(e, ERR_REMOTE, "pot-keeper said \"%.100s\"", text);
	memcpy(kind, text + 2, (size_t)(blank - text - 2));
	kind[blank - text - 2] = '\0';
	long sys = strtol(blank, &rest, 10);
	err_new(e, err_kind_named(kind), "%s", *rest == ' ' ? rest + 1 : rest);
	e->sys = (int)sys;
	return -1;
}

/* Until both ends are gone: that is when the command runs, or will not. */
static int
hear(int sock, pid_t *pid, int *terminal, struct err *e)
{
	char text[MESSAGE_MAX];
	ssize_t n;
	int result = 0;

	*pid = 0;
	while ((n = receive(sock, text, terminal)) > 0) {
		if (text[0] == 'P')
			*pid = (pid_t)strtol(text + 1, NULL, 10);
		else
			result = told_failure(text, e);
	}
	if (n < 0)
		return err_sys(e, "hear a process that enters the pot");
	if (result == 0 && *pid <= 0)
		return err_new(e, ERR_SYS, "the process that was to enter the pot ended early");
	return result;
}

static void
reap(pid_t pid)
{
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

int
enter_command(const struct isolate_enter *how, pid_t *child, int *pty, struct err *e)
{
	int pair[2];
	pid_t first_pid = 0, second_pid = 0;
	autofd int terminal = -1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, "make a channel");
	autofd int ours = pair[0], theirs = pair[1];
	if (spawn(how, theirs, &first_pid, e) < 0)
		return -1;
	close(take_fd(&theirs));
	int result = hear(ours, &second_pid, &terminal, e);
	if (result < 0 || second_pid != first_pid)
		reap(first_pid);
	if (result < 0) {
		if (second_pid == first_pid)
			return -1;
		reap(second_pid);
		return -1;
	}
	*pty = how->tty ? take_fd(&terminal) : -1;
	*child = second_pid;
	return 0;
}
