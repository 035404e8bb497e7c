#include "base/clock.h"
#include "pot/priv.h"
#include "pot/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The run record. Lines are appended with one write each, so a reader sees whole lines; a last line
 * without its newline was never finished and does not count. The directory is normally on a tmpfs:
 * nothing is synced, and what another boot wrote says so by its boot id.
 */

static const char *const phase_names[RUN_PHASES] = {
	[RUN_LIMITS] = "limits",
	[RUN_ISOLATE] = "isolate",
	[RUN_NETWORK] = "network",
	[RUN_PORTS] = "ports",
	[RUN_PROCESS] = "process",
};

const char *
run_phase_name(enum run_phase p)
{
	return phase_names[p];
}

char *
run_dir(struct pot_env *env, const char *name, struct arena *mem)
{
	return arena_printf(mem, "%s/runs/%s", env->conf.run_dir, name);
}

const char *
run_group(const struct run *r, char out[POT_NAME_MAX + 1 + RUN_ID_TEXT + 1])
{
	snprintf(out, POT_NAME_MAX + 1 + RUN_ID_TEXT + 1, "%s.%s", r->name, r->id);
	return out;
}

const char *
run_link(const struct run *r, char out[16])
{
	snprintf(out, 16, "p%s", r->id);
	return out;
}

static int append(struct pot_env *env, const struct run *r, int flags, struct err *e,
    const char *fmt, ...) PRINTFLIKE(5, 6);

static int
append(struct pot_env *env, const struct run *r, int flags, struct err *e, const char *fmt, ...)
{
	char path[PATH_SIZE], line[512];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	path_at(path, "%s/runs/%s/record", env->conf.run_dir, r->name);
	autofd int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | flags, 0644);
	if (fd < 0 || fd_write_all(fd, line, (size_t)n, e) < 0)
		return err_sys(e, "write %s", path);
	return 0;
}

int
run_create(struct pot_env *env, struct run *r, struct err *e)
{
	char path[PATH_SIZE];

	if (r->id[0] == '\0')
		ids_run(r->id);
	r->starter = getpid();
	if (env->host->proc->boot_id(r->boot, e) < 0 ||
	    env->host->proc->start_time(r->starter, &r->starter_start, e) < 0)
		return -1;
	path_at(path, "%s/runs/%s", env->conf.run_dir, r->name);
	if (make_dirs(path, 0755, e) < 0)
		return -1;
	path_at(path, "%s/runs/%s/exit", env->conf.run_dir, r->name);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(e, "remove %s", path);
	return append(env, r, O_CREAT | O_EXCL, e,
	    "potter-run 1\npot %s\nrun %s\nboot %s\nstarter %d %" PRIu64 "\nstop %d %" PRId64 "\n",
	    r->name, r->id, r->boot, (int)r->starter, r->starter_start, r->stop_signal,
	    r->stop_timeout_ms);
}

int
run_begun(struct pot_env *env, struct run *r, enum run_phase phase, struct err *e)
{
	if (append(env, r, 0, e, "begun %s\n", phase_names[phase]) < 0)
		return -1;
	r->begun |= 1u << phase;
	return 0;
}

int
run_keeper(struct pot_env *env, struct run *r, const struct keeper *k, struct err *e)
{
	r->keeper = k->pid;
	r->keeper_start = k->start;
	r->init = k->init_pid;
	r->init_start = k->init_start;
	return append(env, r, 0, e, "keeper %d %" PRIu64 "\ninit %d %" PRIu64 "\n", (int)k->pid,
	    k->start, (int)k->init_pid, k->init_start);
}

int
run_port(struct pot_env *env, struct run *r, const struct pot_map *m, struct err *e)
{
	if (r->n_ports == RUN_PORTS_MAX)
		return err_new(e, ERR_INPUT, "more than %d exported ports", RUN_PORTS_MAX);
	r->ports[r->n_ports++] = *m;
	return append(
	    env, r, 0, e, "port %s %u %u\n", m->udp ? "udp" : "tcp", m->host_port, m->pot_port);
}

int
run_alias(struct pot_env *env, struct run *r, const struct netif_alias *a, struct err *e)
{
	char ip[IP_TEXT];

	if (r->n_aliases == RUN_ALIASES_MAX)
		return err_new(e, ERR_INPUT, "more than %d addresses", RUN_ALIASES_MAX);
	r->aliases[r->n_aliases++] = *a;
	return append(env, r, 0, e, "alias %s %s\n", a->nic, ip_text(&a->ip, ip));
}

int
run_running(struct pot_env *env, struct run *r, struct err *e)
{
	r->running_ns = clock_wall_ns();
	return append(env, r, 0, e, "running %" PRId64 "\n", r->running_ns);
}

int
run_stopping(struct pot_env *env, struct run *r, struct err *e)
{
	r->stopping = true;
	r->stopper = getpid();
	if (env->host->proc->start_time(r->stopper, &r->stopper_start, e) < 0)
		return -1;
	return append(env, r, 0, e, "stopping %d %" PRIu64 "\n", (int)r->stopper, r->stopper_start);
}

/* ---- reading ---- */

static bool
number(const char **p, uint64_t max, uint64_t *out)
{
	char word[24];

	while (**p == ' ')
		(*p)++;
	size_t n = strcspn(*p, " ");
	if (n == 0 || n >= sizeof(word))
		return false;
	memcpy(word, *p, n);
	word[n] = '\0';
	*p += n;
	return str_u64(word, max, out);
}

static bool
process(const char *p, pid_t *pid, uint64_t *start)
{
	uint64_t n;

	if (!number(&p, INT32_MAX, &n) || n == 0 || !number(&p, UINT64_MAX, start) || *p != '\0')
		return false;
	*pid = (pid_t)n;
	return true;
}

static bool
read_port(const char *p, struct run *r)
{
	struct pot_map m = { .udp = str_starts(p, "udp ") };
	uint64_t host, inside;

	if (!m.udp && !str_starts(p, "tcp "))
		return false;
	p += 4;
	if (!number(&p, 65535, &host) || !number(&p, 65535, &inside) || *p != '\0' ||
	    r->n_ports == RUN_PORTS_MAX)
		return false;
	m.host_port = (uint16_t)host;
	m.pot_port = (uint16_t)inside;
	r->ports[r->n_ports++] = m;
	return true;
}

static bool
read_alias(const char *p, struct run *r)
{
	struct netif_alias a = { .nic = "" };
	size_t n = strcspn(p, " ");

	if (n == 0 || n >= sizeof(a.nic) || p[n] != ' ' || !ip_parse(p + n + 1, &a.ip) ||
	    r->n_aliases == RUN_ALIASES_MAX)
		return false;
	memcpy(a.nic, p, n);
	r->aliases[r->n_aliases++] = a;
	return true;
}

static bool
read_begun(const char *p, struct run *r)
{
	for (unsigned i = 0; i < RUN_PHASES; i++)
		if (strcmp(p, phase_names[i]) == 0) {
			r->begun |= 1u << i;
			return true;
		}
	return false;
}

static bool
read_stop(const char *p, struct run *r)
{
	uint64_t sig, ms;

	if (!number(&p, 128, &sig) || !number(&p, INT64_MAX, &ms) || *p != '\0')
		return false;
	r->stop_signal = (int)sig;
	r->stop_timeout_ms = (int64_t)ms;
	return true;
}

static bool
read_id(const char *p, struct run *r)
{
	return strlen(p) == RUN_ID_TEXT - 1 && strspn(p, "0123456789abcdef") == RUN_ID_TEXT - 1 &&
	       str_copy(r->id, sizeof(r->id), p);
}

static bool
read_name(const char *p, struct run *r)
{
	static const char ok[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

	return *p != '\0' && p[strspn(p, ok)] == '\0' && str_copy(r->name, sizeof(r->name), p);
}

static bool
read_line(const char *line, struct run *r)
{
	const char *rest = strchr(line, ' ');
	uint64_t ns;

	if (strcmp(line, "stopping") == 0)
		return r->stopping = true;
	if (rest == NULL)
		return false;
	rest++;
	if (str_starts(line, "pot "))
		return read_name(rest, r);
	if (str_starts(line, "run "))
		return read_id(rest, r);
	if (str_starts(line, "boot "))
		return str_copy(r->boot, sizeof(r->boot), rest);
	if (str_starts(line, "starter "))
		return process(rest, &r->starter, &r->starter_start);
	if (str_starts(line, "stopping "))
		return r->stopping = process(rest, &r->stopper, &r->stopper_start);
	if (str_starts(line, "stop "))
		return read_stop(rest, r);
	if (str_starts(line, "begun "))
		return read_begun(rest, r);
	if (str_starts(line, "keeper "))
		return process(rest, &r->keeper, &r->keeper_start);
	if (str_starts(line, "init "))
		return process(rest, &r->init, &r->init_start);
	if (str_starts(line, "port "))
		return read_port(rest, r);
	if (str_starts(line, "alias "))
		return read_alias(rest, r);
	if (str_starts(line, "running ") && number(&rest, INT64_MAX, &ns) && *rest == '\0') {
		r->running_ns = (int64_t)ns;
		return true;
	}
	return false;
}

int
run_parse(const char *text, size_t len, struct run *r, struct err *e)
{
	unsigned n = 0;

	*r = (struct run){ 0 };
	for (const char *p = text, *end = text + len; p < end;) {
		char line[512];
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		if (eol == NULL)
			break;
		size_t size = (size_t)(eol - p);
		if (size >= sizeof(line) || memchr(p, '\0', size) != NULL)
			return err_new(
			    e, ERR_CORRUPT, "run record: line %u is not understood", n + 1);
		memcpy(line, p, size);
		line[size] = '\0';
		if (++n == 1 ? strcmp(line, "potter-run 1") != 0 : !read_line(line, r))
			return err_new(e, ERR_CORRUPT, "run record: line %u is not understood", n);
		p = eol + 1;
	}
	if (r->name[0] == '\0' || r->id[0] == '\0' || r->boot[0] == '\0')
		return err_new(e, ERR_CORRUPT, "run record: pot, run or boot is missing");
	return 0;
}

int
run_read(struct pot_env *env, const char *name, struct run *r, struct err *e)
{
	char path[PATH_SIZE], text[16384];
	size_t len = 0;
	ssize_t n;

	path_at(path, "%s/runs/%s/record", env->conf.run_dir, name);
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_sys(e, "open %s", path);
	while (len < sizeof(text) && (n = read(fd, text + len, sizeof(text) - len)) != 0) {
		if (n < 0 && errno != EINTR)
			return err_sys(e, "read %s", path);
		len += n > 0 ? (size_t)n : 0;
	}
	if (run_parse(text, len, r, e) < 0)
		return err_ctx(e, "%s", path);
	if (strcmp(r->name, name) != 0)
		return err_new(e, ERR_CORRUPT, "%s is the record of %s", path, r->name);
	return 0;
}

int
run_remove(struct pot_env *env, const char *name, struct err *e)
{
	char path[PATH_SIZE];

	path_at(path, "%s/runs/%s/usage", env->conf.run_dir, name);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(e, "remove %s", path);
	path_at(path, "%s/runs/%s/record", env->conf.run_dir, name);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(e, "remove %s", path);
	return 0;
}

int
run_names(struct pot_env *env, struct arena *mem, struct pot_strs *out, struct err *e)
{
	struct strs_builder names = STRS_BUILDER(out, mem);
	char path[PATH_SIZE];
	struct dirent *d;

	*out = (struct pot_strs){ 0 };
	path_at(path, "%s/runs", env->conf.run_dir);
	DIR *dir = opendir(path);
	if (dir == NULL)
		return errno == ENOENT ? 0 : err_sys(e, "read %s", path);
	while ((d = readdir(dir)) != NULL)
		if (d->d_name[0] != '.')
			list_add(&names, arena_strdup(mem, d->d_name));
	closedir(dir);
	list_sort(out);
	return 0;
}
