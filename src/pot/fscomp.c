#include "pot/priv.h"

#include <string.h>

/*
 * conf/fscomp.conf: one mount per line, "<source> <mount point> [ro|zfs-remount]", in order.
 * Before 0.15.6 mount points were absolute host paths below the pot's m/; root_prefix names that
 * directory, so that they are read as what they mean. The last line may lack its newline. Empty
 * lines and lines that start with '#' mean nothing and stay.
 */

static char *
field(const char **p, const char *end, struct arena *mem)
{
	while (*p < end && (**p == ' ' || **p == '\t'))
		(*p)++;
	const char *start = *p;
	while (*p < end && **p != ' ' && **p != '\t')
		(*p)++;
	return *p > start ? arena_strndup(mem, start, (size_t)(*p - start)) : NULL;
}

static char *
target_inside(char *target, const char *root_prefix, struct arena *mem)
{
	size_t n = root_prefix != NULL ? strlen(root_prefix) : 0;

	if (n == 0 || strncmp(target, root_prefix, n) != 0)
		return target;
	if (target[n] == '\0')
		return arena_strdup(mem, "/");
	return target[n] == '/' ? target + n : target;
}

static int
parse_line(const char *p, const char *end, const char *root_prefix, struct arena *mem,
    struct pot_fscomp *f, struct err *e)
{
	char *option, *rest;

	f->source = field(&p, end, mem);
	if (f->source == NULL || f->source[0] == '#')
		return 0;
	f->target = field(&p, end, mem);
	option = field(&p, end, mem);
	rest = field(&p, end, mem);
	if (f->target == NULL)
		return err_new(e, ERR_CORRUPT, "'%s' has no mount point", f->source);
	if (rest != NULL)
		return err_new(e, ERR_CORRUPT, "more than three fields (paths cannot hold blanks)");
	f->target = target_inside(f->target, root_prefix, mem);
	if (f->target[0] != '/')
		return err_new(e, ERR_CORRUPT, "mount point '%s' is not absolute", f->target);
	f->read_only = option != NULL && strcmp(option, "ro") == 0;
	f->remount = option != NULL && strcmp(option, "zfs-remount") == 0;
	if (option != NULL && !f->read_only && !f->remount && strcmp(option, "rw") != 0)
		return err_new(
		    e, ERR_CORRUPT, "option '%s' is none of rw, ro, zfs-remount", option);
	if (f->remount && f->source[0] == '/')
		return err_new(
		    e, ERR_CORRUPT, "zfs-remount is for datasets, '%s' is a directory", f->source);
	return 1;
}

void
fscomp_add(struct fscomps *l, struct arena *mem, const struct pot_fscomp *f)
{
	struct pot_fscomp *at = arena_array(mem, l->n + 1, struct pot_fscomp);

	if (l->n > 0)
		memcpy(at, l->at, l->n * sizeof(*at));
	at[l->n++] = *f;
	l->at = at;
}

int
fscomp_parse(const char *text, size_t len, const char *root_prefix, struct arena *mem,
    struct fscomps *out, struct err *e)
{
	VEC(struct pot_fscomp) found = VEC_INIT;
	const char *p = text, *end = text + len;
	int rc = 0;

	if (len > 0 && memchr(text, '\0', len) != NULL)
		return err_new(e, ERR_CORRUPT, "fscomp.conf holds a zero byte");
	for (unsigned line = 1; p < end && rc >= 0; line++) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		const char *stop = eol != NULL ? eol : end;
		struct pot_fscomp f = { 0 };
		rc = parse_line(p, stop, root_prefix, mem, &f, e);
		if (rc > 0)
			VEC_PUSH(&found, f);
		else if (rc < 0)
			err_ctx(e, "fscomp.conf:%u", line);
		p = eol != NULL ? eol + 1 : end;
	}
	if (rc >= 0) {
		out->n = found.n;
		out->at =
		    found.n > 0 ? arena_memdup(mem, found.at, found.n * sizeof(*found.at)) : NULL;
	}
	VEC_FINI(&found);
	return rc < 0 ? -1 : 0;
}

static void
write_one(const struct pot_fscomp *f, struct buf *out)
{
	buf_addf(out, "%s %s%s\n", f->source, f->target,
	    f->read_only ? " ro"
	    : f->remount ? " zfs-remount"
			 : "");
}

void
fscomp_write(const struct fscomps *l, struct buf *out)
{
	for (size_t i = 0; i < l->n; i++)
		write_one(&l->at[i], out);
}

static bool
same(const struct pot_fscomp *a, const struct pot_fscomp *b)
{
	return strcmp(a->source, b->source) == 0 && strcmp(a->target, b->target) == 0 &&
	       a->read_only == b->read_only && a->remount == b->remount;
}

/* One line of the file as it was: it stays if the list still has it, from *next on. */
static void
merge_line(const char *p, const char *stop, const char *root_prefix, const struct fscomps *l,
    size_t *next, struct buf *out)
{
	autoarena struct arena mem = ARENA_INIT;
	struct err e = ERR_INIT;
	struct pot_fscomp f = { 0 };
	size_t k = *next;
	int rc = parse_line(p, stop, NULL, &mem, &f, &e);

	if (rc <= 0) {
		if (rc == 0) { /* says nothing */
			buf_add(out, p, (size_t)(stop - p));
			buf_addc(out, '\n');
		}
		return;
	}
	char *inside = target_inside(f.target, root_prefix, &mem);
	bool old_format = inside != f.target;
	f.target = inside;
	while (k < l->n && !same(&l->at[k], &f))
		k++;
	if (k == l->n)
		return;
	for (; *next < k; (*next)++)
		write_one(&l->at[*next], out);
	(*next)++;
	if (old_format) {
		write_one(&f, out);
	} else {
		buf_add(out, p, (size_t)(stop - p));
		buf_addc(out, '\n');
	}
}

void
fscomp_merge(
    const char *text, size_t len, const char *root_prefix, const struct fscomps *l, struct buf *out)
{
	size_t next = 0;

	for (const char *p = text, *end = text + len; p < end;) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		const char *stop = eol != NULL ? eol : end;
		merge_line(p, stop, root_prefix, l, &next, out);
		p = stop + 1;
	}
	for (; next < l->n; next++)
		write_one(&l->at[next], out);
}

int
fscomp_load(
    struct pot_env *env, const char *pot, struct arena *mem, struct fscomps *out, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	char path[PATH_SIZE], root[PATH_SIZE];

	path_at(path, "%s/jails/%s/conf/fscomp.conf", env->conf.fs_root, pot);
	path_at(root, "%s/jails/%s/m", env->conf.fs_root, pot);
	*out = (struct fscomps){ 0 };
	if (buf_read_file(&text, path, CONF_MAX, e) < 0)
		return e->kind == ERR_ABSENT ? 0 : -1;
	if (fscomp_parse(buf_str(&text), text.len, root, mem, out, e) < 0)
		return err_ctx(e, "pot %s", pot);
	return 0;
}

int
fscomp_save(struct pot_env *env, const char *pot, const struct fscomps *l, struct err *e)
{
	autobuf struct buf before = BUF_INIT, text = BUF_INIT;
	char path[PATH_SIZE], root[PATH_SIZE];

	path_at(path, "%s/jails/%s/conf/fscomp.conf", env->conf.fs_root, pot);
	path_at(root, "%s/jails/%s/m", env->conf.fs_root, pot);
	if (buf_read_file(&before, path, CONF_MAX, e) < 0 && e->kind != ERR_ABSENT)
		return -1;
	fscomp_merge(buf_str(&before), before.len, root, l, &text);
	return conf_file_put(env, pot, "fscomp.conf", buf_str(&text), text.len, 0644, e);
}
