#include "image/cache.h"

#include "base/ids.h"
#include "base/str.h"
#include "image/meta.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PART_KEEP_S = 7 * 24 * 3600 };

static int
place_remote(struct cache *c, const char *cache_dir, const char *url, size_t len)
{
	c->dir = xasprintf("%s/%016" PRIx64, cache_dir, ids_hash64(url, len));
	c->path = xasprintf("%s/%s_%s.xz", c->dir, c->pot, c->tag);
	return 0;
}

int
cache_place(struct cache *c, const char *cache_dir, const char *url, const char *pot,
    const char *tag, struct err *e)
{
	const char *base = url[0] != '\0' ? url : ".";

	*c = (struct cache){ .pot = pot, .tag = tag };
	if (name_check_pot("pot name", pot, e) < 0 || name_check_tag("tag", tag, e) < 0)
		return -1;
	c->local = !str_starts(base, "http://") && !str_starts(base, "https://");
	if (c->local && str_starts(base, "file://")) {
		base += strlen("file://");
		base += str_starts(base, "localhost/") ? strlen("localhost") : 0;
		base = *base != '\0' ? base : ".";
	} else if (c->local && strstr(base, "://") != NULL) {
		return err_new(
		    e, ERR_UNSUPPORTED, "%s: only http://, https:// and file:// are known", url);
	}
	size_t len = strlen(base);
	while (len > 1 && base[len - 1] == '/' && base[len - 2] != '/')
		len--;
	c->url = xasprintf("%.*s/%s_%s.xz", (int)len, base, pot, tag);
	return c->local ? 0 : place_remote(c, cache_dir, base, len);
}

void
cache_fini(struct cache *c)
{
	if (c->dir != NULL)
		(void)rmdir(c->dir); /* only when nothing came into it */
	free(c->url);
	free(c->dir);
	free(c->path);
	c->url = c->dir = c->path = NULL;
}

void
small_fini(struct small *s)
{
	buf_fini(&s->skein);
	buf_fini(&s->meta);
	buf_fini(&s->sig);
}

int
cache_small(const struct cache *c, struct small *out)
{
	static const char *const suffixes[] = { "skein", "meta", "skein.sig" };
	struct buf *bufs[] = { &out->skein, &out->meta, &out->sig };
	struct err ignored;

	for (size_t i = 0; i < NELEM(bufs); i++) {
		autofree char *path = xasprintf("%s.%s", c->path, suffixes[i]);
		buf_reset(bufs[i]);
		if (buf_read_file(bufs[i], path, META_FILE_MAX, &ignored) < 0 && i < 2)
			return -1;
	}
	return 0;
}

/* ---- downloads on their way ---- */

/* Parts of this image that belong to another digest, and old ones of any, unless somebody is at
 * them. */
static void
remove_dead_parts(const struct cache *c)
{
	autofree char *prefix = xasprintf(".part.%s_%s.xz.", c->pot, c->tag);
	DIR *d = opendir(c->dir);
	const struct dirent *f;
	struct stat st;

	if (d == NULL)
		return;
	while ((f = readdir(d)) != NULL) {
		if (!str_starts(f->d_name, ".part.") ||
		    fstatat(dirfd(d), f->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    (!str_starts(f->d_name, prefix) && st.st_mtime + PART_KEEP_S > time(NULL)))
			continue;
		int fd = openat(dirfd(d), f->d_name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
			(void)unlinkat(dirfd(d), f->d_name, 0);
		if (fd >= 0)
			close(fd);
	}
	closedir(d);
}

static int
open_locked(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	struct stat st, now;

	if (fd < 0)
		return -1;
	/* held by another download of the same image, or just renamed to its place by it */
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 && stat(path, &now) == 0 &&
	    st.st_ino == now.st_ino)
		return fd;
	close(fd);
	errno = EWOULDBLOCK;
	return -1;
}

static int
open_part(struct filling *f, const char *digest, struct err *e)
{
	const struct cache *c = f->cache;

	f->part = xasprintf("%s/.part.%s_%s.xz.%.16s", c->dir, c->pot, c->tag, digest);
	f->part_fd = open_locked(f->part);
	if (f->part_fd < 0 && errno == EWOULDBLOCK) {
		/* somebody else fetches it at this moment: then once more, for us */
		char *own = xasprintf("%s.%ld", f->part, (long)getpid());
		free(f->part);
		f->part = own;
		f->part_fd = open_locked(f->part);
	}
	if (f->part_fd < 0)
		return err_sys(e, "make %s", f->part);
	f->have = xasprintf("%s.have", f->part);
	f->have_fd = open_locked(f->have);
	return f->have_fd < 0 ? err_sys(e, "make %s", f->have) : 0;
}

static int
make_dirs_of(const struct cache *c, struct err *e)
{
	autofree char *parent = xstrdup(c->dir);

	*strrchr(parent, '/') = '\0';
	if ((mkdir(parent, 0755) < 0 && errno != EEXIST) ||
	    (mkdir(c->dir, 0755) < 0 && errno != EEXIST))
		return err_sys(e, "make directory %s", c->dir);
	return 0;
}

static int
start_download(struct filling *f, const struct buf *skein, struct source *out, struct err *e)
{
	autofree char *keep = xasprintf("%.16s", buf_str(skein));
	struct transfer_to to;

	if (make_dirs_of(f->cache, e) < 0 || open_part(f, keep, e) < 0)
		return -1;
	remove_dead_parts(f->cache);
	int fd = fcntl(f->part_fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(e, "open %s", f->part);
	source_init(out, fd);
	to = (struct transfer_to){
		.tool = f->tool, .url = f->cache->url, .fd = f->part_fd, .have_fd = f->have_fd
	};
	if (transfer_start(out, &to, &f->transfer, e) < 0) {
		source_fini(out);
		return -1;
	}
	return 0;
}

int
cache_open(struct tool *t, struct cache *c, const struct buf *skein, struct filling *f,
    struct source *out, struct err *e)
{
	autosmall struct small cached = SMALL_INIT;

	*f = (struct filling){ .tool = t, .cache = c, .part_fd = -1, .have_fd = -1 };
	if (c->local)
		return source_open(out, c->url, e);
	if (access(c->path, F_OK) == 0 && cache_small(c, &cached) == 0 &&
	    cached.skein.len == skein->len &&
	    memcmp(cached.skein.data, skein->data, skein->len) == 0)
		return source_open(out, c->path, e);
	if (start_download(f, skein, out, e) < 0) {
		cache_close(f, false);
		return -1;
	}
	return 0;
}

static int
store_small(const struct cache *c, const char *suffix, const struct buf *text, struct err *e)
{
	autofree char *path = xasprintf("%s%s", c->path, suffix);
	autofree char *temp = xasprintf("%s.%ld", path, (long)getpid());

	if (text->len == 0 && str_eq(suffix, ".skein.sig")) {
		(void)unlink(path);
		return 0;
	}
	autofd int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(e, "make %s", temp);
	if (fd_write_all(fd, buf_str(text), text->len, e) < 0 || rename(temp, path) < 0) {
		err_sys(e, "write %s", path);
		(void)unlink(temp);
		return -1;
	}
	return 0;
}

/* Nothing is synced: each use compares the digest, so a copy that a power cut has damaged is only
 * fetched again. */
int
cache_keep(struct filling *f, const struct small *s, struct err *e)
{
	struct cache *c = f->cache;

	if (f->part == NULL)
		return 0;
	(void)unlink(c->path);
	if (store_small(c, ".meta", &s->meta, e) < 0 ||
	    store_small(c, ".skein.sig", &s->sig, e) < 0 ||
	    store_small(c, ".skein", &s->skein, e) < 0)
		return -1;
	if (rename(f->part, c->path) < 0)
		return err_sys(e, "rename to %s", c->path);
	(void)unlink(f->have);
	return 0;
}

void
cache_close(struct filling *f, bool useless)
{
	transfer_end(f->transfer);
	f->transfer = NULL;
	if (f->part != NULL && useless) {
		(void)unlink(f->part);
		if (f->have != NULL)
			(void)unlink(f->have);
	}
	own_close(&f->part_fd);
	own_close(&f->have_fd);
	free(f->part);
	free(f->have);
	f->part = f->have = NULL;
	f->part_fd = f->have_fd = -1;
}

void
cache_drop(struct cache *c)
{
	static const char *const suffixes[] = { "", ".meta", ".skein", ".skein.sig" };

	for (size_t i = 0; c->path != NULL && i < NELEM(suffixes); i++) {
		autofree char *path = xasprintf("%s%s", c->path, suffixes[i]);
		(void)unlink(path);
	}
}
