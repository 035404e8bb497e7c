#include "base/clock.h"
#include "pot/priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const struct pot_keep_ops pot_keep_native = {
	.start = &keeper_native,
	.alive = keeper_alive,
	.ask = keeper_ask,
	.stop = keeper_stop_with,
	.kill = keeper_kill,
};

void
pot_say(const struct pot_env *env, enum pot_say_level level, const char *fmt, ...)
{
	char text[1200];
	va_list ap;

	if (env->say == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	env->say(env->say_ctx, level, text);
}

bool
only_told(struct pot_env *env, const char *fmt, ...)
{
	struct strs_builder b = { .out = &env->would, .cap = env->would.n, .mem = &env->mem };
	va_list ap;

	if (!env->dry_run)
		return false;
	va_start(ap, fmt);
	char *what = arena_vprintf(&env->mem, fmt, ap);
	va_end(ap);
	if (list_has(&env->would, what))
		return true;
	list_add(&b, what);
	pot_say(env, POT_SAY_INFO, "%s would be destroyed", what);
	return true;
}

int
interrupted(struct pot_env *env, struct err *e)
{
	if (env->stop == NULL || *env->stop == 0)
		return 0;
	errno = EINTR;
	return err_sys(e, "asked to end by signal %d", (int)*env->stop);
}

int
need_root(const char *act, struct err *e)
{
	if (geteuid() != 0)
		return err_new(e, ERR_RIGHTS, "%s needs root privileges", act);
	return 0;
}

const char *
path_at(char out[PATH_SIZE], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out, PATH_SIZE, fmt, ap);
	va_end(ap);
	return out;
}

int
make_dirs(const char *path, mode_t mode, struct err *e)
{
	char part[PATH_SIZE];

	if (mkdir(path, mode) == 0 || errno == EEXIST)
		return 0;
	if (errno != ENOENT || !str_copy(part, sizeof(part), path))
		return err_sys(e, "create directory %s", path);
	for (char *p = strchr(part + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return err_sys(e, "create directory %s", part);
		*p = '/';
	}
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return err_sys(e, "create directory %s", path);
	return 0;
}

int
open_dir(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 ? fd : err_sys(e, "open directory %s", path);
}

static int
remove_below(int parent, const char *name, struct err *e)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *d;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "open %s", name);
	DIR *dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return err_sys(e, "read %s", name);
	}
	int rc = 0;
	while (rc == 0 && (d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (unlinkat(fd, d->d_name, 0) == 0 || errno == ENOENT)
			continue;
		rc = errno == EISDIR || errno == EPERM ? remove_below(fd, d->d_name, e)
						       : err_sys(e, "remove %s", d->d_name);
	}
	closedir(dir);
	if (rc == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(e, "remove directory %s", name);
	return rc;
}

int
remove_tree_at(int dirfd, const char *name, struct err *e)
{
	return remove_below(dirfd, name, e);
}

int
remove_tree(const char *path, struct err *e)
{
	if (remove_below(AT_FDCWD, path, e) < 0)
		return err_ctx(e, "remove %s", path);
	return 0;
}

void
list_add(struct strs_builder *b, char *s)
{
	struct pot_strs *out = b->out;

	if (out->n + 1 >= b->cap) {
		size_t cap = b->cap < 8 ? 8 : b->cap * 2;
		char **at = arena_array(b->mem, cap, char *);
		if (out->n > 0)
			memcpy(at, out->at, out->n * sizeof(*at));
		out->at = at;
		b->cap = cap;
	}
	out->at[out->n++] = s;
	out->at[out->n] = NULL;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void
list_sort(struct pot_strs *l)
{
	if (l->n > 1)
		qsort(l->at, l->n, sizeof(*l->at), compare);
}

bool
list_has(const struct pot_strs *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->at[i], s) == 0)
			return true;
	return false;
}

/* ---- opening ---- */

/* The directory of the executable; the compiled-in one where the system does not tell. */
static void
find_prefix(struct pot_env *env)
{
	static const char *const links[] = { "/proc/self/exe", "/proc/curproc/file" };
	char exe[PATH_SIZE];
	ssize_t n = -1;

	str_copy(env->prefix, sizeof(env->prefix), PREFIX);
	for (size_t i = 0; n <= 0 && i < NELEM(links); i++)
		n = readlink(links[i], exe, sizeof(exe) - 1);
	if (n > 0) {
		exe[n] = '\0';
		char *slash = strrchr(exe, '/');
		*(slash != NULL ? slash : exe) = '\0';
		static const char *const below[] = { "/bin", "/sbin", "/libexec/potter" };
		for (size_t i = 0; i < NELEM(below); i++)
			if (str_ends(exe, below[i])) {
				exe[strlen(exe) - strlen(below[i])] = '\0';
				str_copy(env->prefix, sizeof(env->prefix), exe);
				break;
			}
	}
	const char *libexec = getuid() == geteuid() ? getenv("POTTER_LIBEXEC") : NULL;
	if (libexec != NULL)
		str_copy(env->libexec, sizeof(env->libexec), libexec);
	else
		path_at(env->libexec, "%s/libexec/potter", env->prefix);
	path_at(env->etc, "%s/etc/pot", env->prefix);
}

static int
read_config(struct pot_env *env, const char *file, bool must_exist, struct err *e)
{
	autobuf struct buf text = BUF_INIT;

	if (buf_read_file(&text, file, CONF_MAX, e) < 0)
		return e->kind == ERR_ABSENT && !must_exist ? 0 : -1;
	return pot_config_parse(&env->conf, &env->mem, file, buf_str(&text), text.len, e);
}

static int
read_configs(struct pot_env *env, struct err *e)
{
	const char *own = getuid() == geteuid() ? getenv("POT_CONF") : NULL;
	char file[PATH_SIZE];

	if (own != NULL)
		str_copy(env->conf_file, sizeof(env->conf_file), own);
	if (own != NULL)
		return read_config(env, own, true, e);
	path_at(file, "%s/pot.default.conf", env->etc);
	if (read_config(env, file, false, e) < 0)
		return -1;
	path_at(file, "%s/pot.conf", env->etc);
	return read_config(env, file, false, e);
}

static int
check_config(const struct pot_config *c, struct err *e)
{
	const char *const paths[][2] = { { "POT_FS_ROOT", c->fs_root },
		{ "POT_RUN_DIR", c->run_dir }, { "POT_CACHE", c->cache } };

	for (size_t i = 0; i < NELEM(paths); i++)
		if (paths[i][1][0] != '/' || paths[i][1][1] == '\0' || strlen(paths[i][1]) > 200)
			return err_new(e, ERR_INPUT,
			    "%s='%s': an absolute path of at most 200 characters is needed",
			    paths[i][0], paths[i][1]);
	uint64_t bytes;
	if (*c->reserve_memory != '\0' && memory_parse(c->reserve_memory, &bytes) < 0)
		return err_new(e, ERR_INPUT,
		    "POT_RESERVE_MEMORY='%s' is no size: digits and one of b, k, m, g",
		    c->reserve_memory);
	if (strcmp(c->hook_failure, "refuse") != 0 && strcmp(c->hook_failure, "ignore") != 0)
		return err_new(e, ERR_INPUT, "POT_HOOK_FAILURE='%s' is neither refuse nor ignore",
		    c->hook_failure);
	if (c->port_min == 0 || c->port_min > c->port_max)
		return err_new(e, ERR_INPUT, "POT_PORT_MIN=%u is above POT_PORT_MAX=%u or zero",
		    c->port_min, c->port_max);
	return 0;
}

static struct pot_env *
env_new(void)
{
	struct pot_env *env = xcalloc(1, sizeof(*env));

	env->mem = (struct arena)ARENA_INIT;
	env->keep = &pot_keep_native;
	find_prefix(env);
	return env;
}

int
pot_env_open(struct pot_env **out, struct err *e)
{
	autopotenv struct pot_env *env = env_new();

	pot_config_defaults(&env->conf, &env->mem);
	if (read_configs(env, e) < 0 || check_config(&env->conf, e) < 0)
		return err_ctx(e, "configuration");
	const struct pot_config *c = &env->conf;
	struct host_config h = { .fs_root = c->fs_root,
		.run_dir = c->run_dir,
		.cgroup = c->cgroup,
		.bridge = c->bridge,
		.table = c->nft_table,
		.dataset_backend = c->dataset_backend,
		.zfs_root = c->zfs_root,
		.zfs_command = c->zfs_command,
		.cache = c->cache,
		.reserve_cpus = c->reserve_cpus };
	if (*c->reserve_memory != '\0')
		(void)memory_parse(c->reserve_memory, &h.reserve_memory_bytes);
	env->host = xcalloc(1, sizeof(*env->host));
	env->own_host = true;
	if (host_native(env->host, &h, e) < 0) {
		free(take(&env->host));
		return err_ctx(e, "this machine");
	}
	*out = take(&env);
	return 0;
}

int
pot_env_with(const struct pot_config *conf, struct host *host, struct pot_env **out, struct err *e)
{
	autopotenv struct pot_env *env = env_new();

	env->conf = *conf;
	env->host = host;
	if (check_config(&env->conf, e) < 0)
		return -1;
	*out = take(&env);
	return 0;
}

void
pot_env_close(struct pot_env *env)
{
	if (env == NULL)
		return;
	if (env->own_host && env->host != NULL) {
		host_fini(env->host);
		free(env->host);
	}
	arena_fini(&env->mem);
	free(env);
}

int
pot_env_ready(struct pot_env *env, struct err *e)
{
	char path[PATH_SIZE];

	path_at(path, "%s/jails", env->conf.fs_root);
	if (access(path, R_OK | X_OK) == 0)
		return 0;
	if (errno == EACCES)
		return err_new(e, ERR_RIGHTS, "%s is for root and the group %s (POT_GROUP) alone",
		    env->conf.fs_root, env->conf.group);
	return err_new(
	    e, ERR_ABSENT, "%s is not set up yet: run 'pot init' first", env->conf.fs_root);
}

int64_t
file_age_seconds(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return INT64_MAX;
	return clock_wall_ns() / NS_PER_SEC - (int64_t)st.st_mtime;
}

int64_t
now_seconds(void)
{
	return clock_wall_ns() / NS_PER_SEC;
}
