#include "pot/priv.h"

#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Flavours: files of pot commands that are applied to a pot in the making. Scripts, which run
 * inside the pot, come later and are refused by name.
 */

struct recipe {
	struct pot_env *env;
	const char *pot;
	const char *dir; /* of the command file: where copy-in-flv looks */
	struct arena *mem;
	struct pot_strs words;
};

static bool
is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* The given path, or the flavour directory's. */
static const char *
find(struct pot_env *env, const char *flavour, const char *suffix, struct arena *mem)
{
	const char *path = arena_printf(mem, "%s%s", flavour, suffix);

	if (is_file(path))
		return path;
	path = arena_printf(mem, "%s/flavours/%s%s", env->etc, flavour, suffix);
	return is_file(path) ? path : NULL;
}

int
flavours_check(struct pot_env *env, const char *const *flavours, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;

	for (size_t i = 0; flavours != NULL && flavours[i] != NULL; i++) {
		bool script =
		    str_ends(flavours[i], ".sh") || find(env, flavours[i], ".sh", &mem) != NULL;
		if (script)
			return err_new(e, ERR_UNSUPPORTED,
			    "flavour %s has a script, which comes later: start the pot and use "
			    "'pot exec'",
			    flavours[i]);
		if (find(env, flavours[i], "", &mem) == NULL)
			return err_new(e, ERR_ABSENT,
			    "no flavour is named '%s' (looked here and in %s/flavours)",
			    flavours[i], env->etc);
	}
	return 0;
}

/* The value behind an option; each option of these commands has one, but for the flags. */
static const char *
option(const struct recipe *r, const char *opt, size_t from, size_t *at)
{
	for (size_t i = from; i + 1 < r->words.n; i++)
		if (strcmp(r->words.at[i], opt) == 0) {
			if (at != NULL)
				*at = i + 1;
			return r->words.at[i + 1];
		}
	return NULL;
}

static bool
flag(const struct recipe *r, const char *opt)
{
	return list_has(&r->words, opt);
}

static const char *const *
all_of(const struct recipe *r, const char *opt)
{
	struct pot_strs list = { 0 };
	struct strs_builder b = STRS_BUILDER(&list, r->mem);
	const char *value;
	size_t at = 0;

	while ((value = option(r, opt, at, &at)) != NULL)
		list_add(&b, arena_strdup(r->mem, value));
	return (const char *const *)list.at;
}

static int
copy_in(struct recipe *r, const char *base, struct err *e)
{
	const char *source = option(r, "-s", 0, NULL);
	struct pot_copy_in_options o = {
		.source = source, .dest = option(r, "-d", 0, NULL), .make_parent = flag(r, "-c")
	};

	if (o.source == NULL || o.dest == NULL)
		return err_new(e, ERR_INPUT, "copy-in needs -s and -d");
	if (base != NULL && *source != '/')
		o.source = arena_printf(r->mem, "%s/%s", base, source);
	return pot_copy_in(r->env, r->pot, &o, e);
}

static int
run_command(struct recipe *r, const char *line, struct err *e)
{
	const char *verb = r->words.at[0];

	if (strcmp(verb, "copy-in") == 0)
		return copy_in(r, NULL, e);
	if (strcmp(verb, "copy-in-flv") == 0)
		return copy_in(r, r->dir, e);
	if (strcmp(verb, "set-cmd") == 0) {
		const char *cmd = strstr(line, "-c");
		if (cmd == NULL)
			return err_new(e, ERR_INPUT, "set-cmd needs -c");
		cmd += 2;
		return pot_set_cmd(r->env, r->pot, cmd + strspn(cmd, " \t"), NULL, e);
	}
	if (strcmp(verb, "set-env") == 0)
		return pot_set_env(r->env, r->pot, all_of(r, "-E"), e);
	if (strcmp(verb, "export-ports") == 0)
		return pot_set_ports(r->env, r->pot, all_of(r, "-e"), e);
	if (strcmp(verb, "set-rss") == 0)
		return pot_set_rss(
		    r->env, r->pot, option(r, "-C", 0, NULL), option(r, "-M", 0, NULL), e);
	if (strcmp(verb, "set-attribute") == 0) {
		const char *attr = option(r, "-A", 0, NULL), *value = option(r, "-V", 0, NULL);
		if (attr == NULL || value == NULL)
			return err_new(e, ERR_INPUT, "set-attribute needs -A and -V");
		return pot_set_attr(r->env, r->pot, attr, value, e);
	}
	if (strcmp(verb, "add-dep") == 0) {
		const char *needs = option(r, "-P", 0, NULL);
		if (needs == NULL)
			return err_new(e, ERR_INPUT, "add-dep needs -P");
		return pot_add_dep(r->env, r->pot, needs, e);
	}
	if (strcmp(verb, "mount-in") == 0) {
		struct pot_mount_in_options o = { .fscomp = option(r, "-f", 0, NULL),
			.dir = option(r, "-d", 0, NULL),
			.dataset = option(r, "-z", 0, NULL),
			.target = option(r, "-m", 0, NULL),
			.read_only = flag(r, "-r"),
			.remount = flag(r, "-w") };
		return pot_mount_in(r->env, r->pot, &o, e);
	}
	return err_new(e, ERR_INPUT, "'%s' is no command for flavours", verb);
}

static int
apply_line(struct recipe *r, const char *line, struct err *e)
{
	bool shell;

	line += strspn(line, " \t");
	if (*line == '\0' || *line == '#')
		return 0;
	if (words_split(line, r->mem, &r->words, &shell, e) < 0)
		return -1;
	return run_command(r, line, e);
}

static int
apply_file(struct recipe *r, const char *path, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	size_t n;

	if (buf_read_file(&text, path, CONF_MAX, e) < 0)
		return -1;
	r->dir = dirname(arena_strdup(r->mem, path));
	char **line = str_split(r->mem, buf_str(&text), '\n', &n);
	for (size_t i = 0; i < n; i++)
		if (apply_line(r, line[i], e) < 0)
			return err_ctx(e, "%s:%zu", path, i + 1);
	return 0;
}

int
flavours_apply(struct pot_env *env, const char *name, const char *const *flavours, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct recipe r = { .env = env, .pot = name, .mem = &mem };

	for (size_t i = 0; flavours != NULL && flavours[i] != NULL; i++) {
		const char *path = find(env, flavours[i], "", &mem);
		if (path == NULL)
			return err_new(e, ERR_ABSENT, "no flavour is named '%s'", flavours[i]);
		if (apply_file(&r, path, e) < 0)
			return err_ctx(e, "flavour %s", flavours[i]);
	}
	return 0;
}
