#include "platform/process.h"

#include "base/own.h"
#include "platform/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* ---- environment and arguments ---- */

static const char *
env_get(const char *const *env, const char *name)
{
	size_t len = strlen(name);

	for (; env != NULL && *env != NULL; env++)
		if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
			return *env + len + 1;
	return NULL;
}

static size_t
list_length(const char *const *list)
{
	size_t n = 0;

	while (list != NULL && list[n] != NULL)
		n++;
	return n;
}

static void
env_add(char **env, size_t *n, const char *name, const char *value)
{
	if (env_get((const char *const *)env, name) == NULL)
		env[(*n)++] = xasprintf("%s=%s", name, value);
}

static void
build_env(const struct isolate_process *how, struct process_ready *out)
{
	size_t n = list_length(how->env);
	char **env = xcalloc(n + 6, sizeof(*env));

	for (size_t i = 0; i < n; i++)
		env[i] = xstrdup(how->env[i]);
	env_add(env, &n, "PATH", PATH_DEFAULT);
	env_add(env, &n, "HOME", out->account.home);
	if (out->account.name[0] != '\0')
		env_add(env, &n, "USER", out->account.name);
	if (how->login) {
		env_add(env, &n, "SHELL", out->account.shell);
		if (out->account.name[0] != '\0')
			env_add(env, &n, "LOGNAME", out->account.name);
	}
	out->env = env;
}

static void
build_argv(const struct isolate_process *how, struct process_ready *out)
{
	size_t n = list_length(how->argv);
	char **argv = xcalloc(n + 2, sizeof(*argv));

	for (size_t i = 0; i < n; i++)
		argv[i] = xstrdup(how->argv[i]);
	if (n == 0) { /* a login shell is told by the '-' before its name */
		out->program = xstrdup(out->account.shell);
		argv[0] = xasprintf("-%s", strrchr(out->account.shell, '/') + 1);
	}
	out->argv = argv;
}

int
process_prepare(const struct isolate_process *how, struct process_ready *out, struct err *e)
{
	*out = (struct process_ready){ .how = how, .stdio = { -1, -1, -1 } };
	if (how->argv == NULL && !how->login)
		return err_new(e, ERR_INPUT, "no command given");
	if (account_find(how->user, &out->account, e) < 0)
		return -1;
	build_env(how, out);
	build_argv(how, out);
	out->cwd = xstrdup(how->cwd != NULL ? how->cwd : how->login ? out->account.home : "/");
	return 0;
}

/* ---- exec ---- */

/* A file without "#!" is a script of the pot's shell, as execvp(3) has it. */
static void
exec_file(const char *path, const struct process_ready *r)
{
	execve(path, r->argv, r->env);
	if (errno != ENOEXEC)
		return;
	size_t n = list_length((const char *const *)r->argv);
	char **argv = calloc(n + 2, sizeof(*argv));
	if (argv == NULL)
		return;
	argv[0] = (char *)(uintptr_t) "/bin/sh";
	argv[1] = (char *)(uintptr_t)path;
	for (size_t i = 1; i <= n; i++)
		argv[i + 1] = r->argv[i];
	execve("/bin/sh", argv, r->env);
	errno = ENOEXEC;
}

static int
exec_search(const struct process_ready *r, struct err *e)
{
	const char *name = r->program != NULL ? r->program : r->argv[0];
	const char *path = env_get((const char *const *)r->env, "PATH");
	char file[PATH_MAX];
	int refused = ENOENT;

	if (*name == '\0' || strchr(name, '/') != NULL) {
		exec_file(name, r);
		return err_sys(e, "run %s", name);
	}
	for (const char *p = path; p != NULL;) {
		size_t n = strcspn(p, ":");
		if ((size_t)snprintf(file, sizeof(file), "%.*s%s%s", (int)n, p, n > 0 ? "/" : "./",
			name) < sizeof(file)) {
			exec_file(file, r);
			if (errno != ENOENT && errno != ENOTDIR)
				refused = errno;
			if (errno == ENOEXEC || errno == E2BIG || errno == ENOMEM)
				break;
		}
		p = p[n] == ':' ? p + n + 1 : NULL;
	}
	errno = refused;
	return err_sys(e, "run %s (searched in %s)", name, path);
}

static int
set_stdio(const struct process_ready *r, struct err *e)
{
	int null = -1, fds[3];

	/* lift them above 2 first, so that none overwrites another */
	for (int i = 0; i < 3; i++) {
		if (r->stdio[i] < 0 && null < 0 &&
		    (null = open("/dev/null", O_RDWR | O_CLOEXEC)) < 0)
			return err_sys(e, "open /dev/null");
		fds[i] = fcntl(r->stdio[i] < 0 ? null : r->stdio[i], F_DUPFD_CLOEXEC, 3);
		if (fds[i] < 0)
			return err_sys(e, "pass standard descriptor %d", i);
	}
	for (int i = 0; i < 3; i++)
		if (dup2(fds[i], i) < 0)
			return err_sys(e, "pass standard descriptor %d", i);
	return proc_keep_from_command(3) < 0 ? err_sys(e, "close what is not the command's") : 0;
}

/* Output files and terminals were opened by root; the user must be able to open them by name again
 * (/dev/stdout). */
static void
own_stdio(const struct account *a)
{
	struct stat st;

	for (int i = 0; i < 3 && a->uid != 0; i++)
		if (fstat(i, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) &&
		    st.st_uid == 0 && !(S_ISCHR(st.st_mode) && !isatty(i)))
			(void)!fchown(i, a->uid, (gid_t)-1);
}

static int
signals_default(void)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &dfl, NULL);
	sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL);
}

int
process_exec(const struct process_ready *r, struct err *e)
{
	struct rlimit files = { r->how->max_files, r->how->max_files };

	if (setsid() < 0 && errno != EPERM)
		return err_sys(e, "make a session");
	if (r->tty && ioctl(r->stdio[0], TIOCSCTTY, 0) < 0)
		return err_sys(e, "take the terminal");
	if (set_stdio(r, e) < 0)
		return -1;
	own_stdio(&r->account);
	if (r->how->max_files != 0 && setrlimit(RLIMIT_NOFILE, &files) < 0)
		return err_sys(e, "set the limit of open files");
	umask(022);
	/* as the user, so that a directory which only the user may enter works, and none else */
	if (process_become(r, e) < 0)
		return -1;
	if (chdir(r->cwd) < 0 && !(r->how->login && r->how->cwd == NULL && chdir("/") == 0))
		return err_sys(e, "change to directory %s", r->cwd);
	(void)signals_default();
	return exec_search(r, e);
}
