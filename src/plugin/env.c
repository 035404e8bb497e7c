#include "plugin/env.h"

#include "base/buf.h"
#include "base/ip.h"
#include "base/str.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Nomad gives tasks of a driver without file system isolation its own environment as well. A pot
 * has paths, users and sessions of its own, so what describes those of the agent stays outside;
 * what the job sets to something else goes in.
 */

static bool
agents_own(const char *name)
{
	static const char *const names[] = { "PATH", "HOME", "SHELL", "USER", "LOGNAME", "PWD",
		"OLDPWD", "MAIL", "TERM", "SHLVL", "_", "TMPDIR", "INVOCATION_ID", "JOURNAL_STREAM",
		"NOTIFY_SOCKET", "POT_CONF", "POTTER_LIBEXEC" };
	static const char *const prefixes[] = { "SSH_", "SUDO_", "XDG_", "CONSUL_", "VAULT_",
		"AWS_", "GOOGLE_", "AZURE_", "ASAN_", "UBSAN_", "LS_" };

	for (size_t i = 0; i < NELEM(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	for (size_t i = 0; i < NELEM(prefixes); i++)
		if (str_starts(name, prefixes[i]))
			return true;
	return strstr(name, "TOKEN") != NULL || strstr(name, "SECRET") != NULL ||
	       strstr(name, "PASSWORD") != NULL;
}

static bool
leaks(const char *name, const char *value)
{
	const char *own = agents_own(name) ? getenv(name) : NULL;

	return own != NULL && strcmp(own, value) == 0;
}

static void
add(struct strs *out, struct arena *a, const char *name, const char *value)
{
	if (*name != '\0' && strchr(name, '=') == NULL)
		strs_add(out, a, arena_printf(a, "%s=%s", name, value));
}

static int
one_line(struct strs *out, struct arena *a, char *line, size_t number, struct err *e)
{
	line += strspn(line, " \t");
	if (str_starts(line, "export "))
		line += strlen("export ");
	char *eq = strchr(line, '=');
	if (*line == '\0' || *line == '#')
		return 0;
	if (eq == NULL || eq == line)
		return err_new(e, ERR_INPUT, "env_file: line %zu is not NAME=value", number);
	*eq++ = '\0';
	size_t n = strlen(eq);
	if (n >= 2 && (*eq == '"' || *eq == '\'') && eq[n - 1] == *eq) {
		eq[n - 1] = '\0';
		eq++;
	}
	add(out, a, line, eq);
	return 0;
}

/* Only what the allocation holds: the file is read with root's rights. Each component is opened
 * for itself, so that no link leads out of it. */
static int
open_below(const char *top, const char *file, struct arena *a, struct err *e)
{
	size_t n;
	char **part = str_split(a, file, '/', &n);
	autofd int dir = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return err_sys(e, "env_file: %s", top);
	for (size_t i = 0; i < n; i++) {
		bool last = i + 1 == n;
		if (*part[i] == '\0' || strcmp(part[i], ".") == 0)
			continue;
		if (strcmp(part[i], "..") == 0)
			return err_new(
			    e, ERR_INPUT, "env_file: \"%s\" leads out of the task", file);
		int next = openat(dir, part[i],
		    O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (last ? O_RDONLY : O_PATH | O_DIRECTORY));
		if (next < 0)
			return err_sys(e, "env_file: %s", file);
		close(dir);
		dir = next;
		if (last)
			return take_fd(&dir);
	}
	return err_new(e, ERR_INPUT, "env_file: \"%s\" is no file", file);
}

enum { FILE_MAX = 1 << 20 };

static int
file_env(
    struct strs *out, const Np__TaskConfig *task, const char *file, struct arena *a, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	const char *top = arena_printf(a, "%s/%s", task->alloc_dir, task->name);
	size_t n, inside = strlen(task->alloc_dir);

	/* also as ${NOMAD_TASK_DIR}/file gives it */
	if (*file == '/' && strncmp(file, task->alloc_dir, inside) == 0 && file[inside] == '/') {
		file += inside + 1;
		top = task->alloc_dir;
	} else if (*file == '/' &&
		   !(str_starts(file, "/local/") || str_starts(file, "/secrets/"))) {
		return err_new(e, ERR_INPUT,
		    "env_file: \"%s\" lies outside of the task; give it as local/NAME or "
		    "secrets/NAME",
		    file);
	}
	autofd int fd = open_below(top, file, a, e);
	if (fd < 0)
		return -1;
	if (buf_read_fd(&text, fd, FILE_MAX, e) < 0)
		return err_ctx(e, "env_file: %s", file);
	char **line = str_split(a, buf_str(&text), '\n', &n);
	for (size_t i = 0; i < n; i++)
		if (one_line(out, a, line[i], i + 1, e) < 0)
			return -1;
	return 0;
}

int
env_gather(
    struct strs *out, const Np__TaskConfig *task, const char *file, struct arena *a, struct err *e)
{
	for (size_t i = 0; i < task->n_env; i++)
		if (!leaks(task->env[i]->key, task->env[i]->value))
			add(out, a, task->env[i]->key, task->env[i]->value);
	for (size_t i = 0; i < task->n_device_env; i++)
		add(out, a, task->device_env[i]->key, task->device_env[i]->value);
	return *file != '\0' ? file_env(out, task, file, a, e) : 0;
}

static bool
no_break(const char *s)
{
	return strpbrk(s, "\r\n") == NULL;
}

/* As resolv.conf knows one: an address, of a link perhaps with its interface behind '%'. What a job
 * interpolates may have come to nothing. */
static bool
is_server(const char *text, struct arena *a)
{
	struct ip address;
	size_t n = strcspn(text, "%");

	return ip_parse(arena_strndup(a, text, n), &address) &&
	       text[n + strcspn(text + n, " \t\r\n")] == '\0';
}

int
resolver_text(
    const char **out, const struct strs *dns, const Np__Dns *task, struct arena *a, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	struct ip address;

	for (size_t i = 0; i < dns->n; i++) {
		if (!ip_parse(dns->at[i], &address))
			return err_new(e, ERR_INPUT,
			    "config of driver pot: dns: \"%s\" is no address", dns->at[i]);
		buf_addf(&text, "nameserver %s\n", dns->at[i]);
	}
	for (size_t i = 0; task != NULL && dns->n == 0 && i < task->n_servers; i++)
		if (is_server(task->servers[i], a))
			buf_addf(&text, "nameserver %s\n", task->servers[i]);
	for (size_t i = 0; task != NULL && i < task->n_searches; i++)
		if (no_break(task->searches[i]))
			buf_addf(&text, "%s%s", i == 0 ? "search " : " ", task->searches[i]);
	if (task != NULL && task->n_searches > 0)
		buf_addc(&text, '\n');
	for (size_t i = 0; task != NULL && i < task->n_options; i++)
		if (no_break(task->options[i]))
			buf_addf(&text, "options %s\n", task->options[i]);
	*out = text.len > 0 ? arena_strdup(a, buf_str(&text)) : NULL;
	return 0;
}
