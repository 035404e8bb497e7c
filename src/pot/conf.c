#include "pot/priv.h"
#include "store/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * pot.conf as its lines, so that what we do not know stays as it is, where it is.
 */

void
conf_fini(struct conf *c)
{
	VEC_FINI(&c->lines);
}

int
conf_parse(struct conf *c, const char *text, size_t len, struct err *e)
{
	if (len > 0 && memchr(text, '\0', len) != NULL)
		return err_new(e, ERR_CORRUPT, "pot.conf holds a zero byte");
	for (const char *p = text, *end = text + len; p < end;) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		size_t n = eol != NULL ? (size_t)(eol - p) : (size_t)(end - p);
		struct conf_line line = { .text = arena_strndup(c->mem, p, n) };
		VEC_PUSH(&c->lines, line);
		p += n + 1;
	}
	return 0;
}

bool
conf_line_key(const char *line, const char *key)
{
	size_t n = strlen(key);

	return strncmp(line, key, n) == 0 && line[n] == '=';
}

const char *
conf_get(const struct conf *c, const char *key)
{
	const char *value = NULL;

	VEC_FOREACH (const struct conf_line *, l, &c->lines)
		if (!l->gone && conf_line_key(l->text, key))
			value = l->text + strlen(key) + 1;
	return value;
}

void
conf_add(struct conf *c, const char *key, const char *value)
{
	struct conf_line line = { .text = arena_printf(c->mem, "%s=%s", key, value) };

	VEC_PUSH(&c->lines, line);
}

void
conf_set(struct conf *c, const char *key, const char *value)
{
	bool done = value == NULL;

	VEC_FOREACH (struct conf_line *, l, &c->lines) {
		if (l->gone || !conf_line_key(l->text, key))
			continue;
		if (done)
			l->gone = true;
		else
			l->text = arena_printf(c->mem, "%s=%s", key, value);
		done = true;
	}
	if (!done)
		conf_add(c, key, value);
}

void
conf_drop_prefix(struct conf *c, const char *prefix)
{
	VEC_FOREACH (struct conf_line *, l, &c->lines)
		if (str_starts(l->text, prefix))
			l->gone = true;
}

void
conf_write(const struct conf *c, struct buf *out)
{
	VEC_FOREACH (const struct conf_line *, l, &c->lines)
		if (!l->gone) {
			buf_adds(out, l->text);
			buf_addc(out, '\n');
		}
}

int
conf_load(struct conf *c, struct pot_env *env, const char *pot, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	char path[PATH_SIZE];

	path_at(path, "%s/jails/%s/conf/pot.conf", env->conf.fs_root, pot);
	if (buf_read_file(&text, path, CONF_MAX, e) < 0)
		return -1;
	return conf_parse(c, buf_str(&text), text.len, e);
}

int
give_out(struct pot_env *env, int dir, const char *file, struct err *e)
{
	autofd int fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open %s", file);
	if (env->host->dataset->give_out != NULL)
		return env->host->dataset->give_out(env->host, fd, e);
	return fdatasync(fd) < 0 ? err_sys(e, "sync %s", file) : 0;
}

static int
put(struct pot_env *env, int dir, const char *file, const void *data, size_t len, mode_t mode,
    struct err *e)
{
	if (!env->making)
		return file_replace(dir, file, data, len, mode, e);
	return file_swap(dir, file, data, len, mode, e) < 0 ? -1 : give_out(env, dir, file, e);
}

int
conf_file_put(struct pot_env *env, const char *pot, const char *file, const void *data, size_t len,
    mode_t mode, struct err *e)
{
	char path[PATH_SIZE];
	struct stat st;

	path_at(path, "%s/jails/%s/conf", env->conf.fs_root, pot);
	autofd int dir = open_dir(path, e);
	/* whoever made it private or not has a reason; a hook that is set is to run */
	if (dir >= 0 && !str_ends(file, ".sh") &&
	    fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
		mode = st.st_mode & 0777;
	if (dir < 0 || put(env, dir, file, data, len, mode, e) < 0)
		return err_ctx(e, "write %s of pot %s", file, pot);
	return 0;
}

int
conf_file_new(struct pot_env *env, const char *pot, const char *file, const void *data, size_t len,
    mode_t mode, struct err *e)
{
	char path[PATH_SIZE];

	if (len > 0)
		return conf_file_put(env, pot, file, data, len, mode, e);
	path_at(path, "%s/jails/%s/conf", env->conf.fs_root, pot);
	autofd int dir = open_dir(path, e);
	if (dir < 0 || file_swap(dir, file, "", 0, mode, e) < 0)
		return err_ctx(e, "write %s of pot %s", file, pot);
	return 0;
}

int
conf_save(const struct conf *c, struct pot_env *env, const char *pot, struct err *e)
{
	autobuf struct buf text = BUF_INIT;

	conf_write(c, &text);
	if (text.len > CONF_MAX)
		return err_new(e, ERR_INPUT, "pot.conf of %s would exceed %d bytes", pot, CONF_MAX);
	return conf_file_put(env, pot, "pot.conf", buf_str(&text), text.len, 0644, e);
}

int
each_file(const char *path, const char *file,
    void (*fn)(void *, const char *, const char *, size_t), void *ctx, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	struct err ignored = ERR_INIT;
	char name[512];
	struct dirent *d;
	DIR *dir = opendir(path);

	if (dir == NULL)
		return errno == ENOENT ? 0 : err_sys(e, "read %s", path);
	while ((d = readdir(dir)) != NULL) {
		if (d->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s%s", d->d_name, file);
		autofd int fd = openat(dirfd(dir), name, O_RDONLY | O_CLOEXEC);
		buf_reset(&text);
		if (fd >= 0 && buf_read_fd(&text, fd, CONF_MAX, &ignored) == 0)
			fn(ctx, d->d_name, buf_str(&text), text.len);
	}
	closedir(dir);
	return 0;
}
