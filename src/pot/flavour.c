#include "pot/recipe.h"
#include "pot/run.h"
#include "pot/tree.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Flavours: a file of pot commands, a script that runs inside the pot, or both, applied to a pot in
 * the making. The commands come first. For the script the pot is started without its command, so
 * that it need not be there yet, and stopped again.
 */

struct recipe {
	struct pot_env *env;
	const char *pot;
	const char *dir; /* of the command file: where copy-in-flv looks */
	struct arena *mem;
	struct recipe_line line;
};

/* ---- where they are ---- */

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
	return *flavour != '/' && is_file(path) ? path : NULL;
}

static const char *
find_script(struct pot_env *env, const char *flavour, struct arena *mem)
{
	const char *script = str_ends(flavour, ".sh") ? find(env, flavour, "", mem) : NULL;

	return script != NULL ? script : find(env, flavour, ".sh", mem);
}

static const char *
find_commands(struct pot_env *env, const char *flavour, struct arena *mem)
{
	return str_ends(flavour, ".sh") ? NULL : find(env, flavour, "", mem);
}

int
flavours_check(struct pot_env *env, const char *const *flavours, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;

	for (size_t i = 0; flavours != NULL && flavours[i] != NULL; i++)
		if (find_script(env, flavours[i], &mem) == NULL &&
		    find_commands(env, flavours[i], &mem) == NULL)
			return err_new(e, ERR_ABSENT,
			    "no flavour is named '%s' (looked here and in %s/flavours)",
			    flavours[i], env->etc);
	return 0;
}

/* ---- commands ---- */

static const char *const *
all_of(const struct recipe *r, char letter)
{
	struct pot_strs list = { 0 };
	struct strs_builder b = STRS_BUILDER(&list, r->mem);

	for (size_t i = 0; i < r->line.n; i++)
		if (r->line.given[i].letter == letter)
			list_add(&b, arena_strdup(r->mem, r->line.given[i].value));
	return (const char *const *)list.at;
}

static const char *
option(const struct recipe *r, char letter)
{
	return recipe_option(&r->line, letter);
}

static int
copy_in_from(struct recipe *r, const char *base, struct err *e)
{
	const char *source = option(r, 's');
	struct pot_copy_in_options o = { .source = source,
		.dest = option(r, 'd'),
		.make_parent = option(r, 'c') != NULL,
		.force_running = option(r, 'F') != NULL };

	if (base != NULL && *source != '/')
		o.source = arena_printf(r->mem, "%s/%s", base, source);
	return pot_copy_in(r->env, r->pot, &o, e);
}

static int
mount_in(struct recipe *r, struct err *e)
{
	struct pot_mount_in_options o = { .fscomp = option(r, 'f'),
		.dir = option(r, 'd'),
		.dataset = option(r, 'z'),
		.target = option(r, 'm'),
		.read_only = option(r, 'r') != NULL,
		.remount = option(r, 'w') != NULL };

	return pot_mount_in(r->env, r->pot, &o, e);
}

static int
set_rss(struct recipe *r, struct err *e)
{
	if (r->line.n == 0)
		return err_new(e, ERR_INPUT, "set-rss: -C or -M is needed");
	return pot_set_rss(r->env, r->pot, option(r, 'C'), option(r, 'M'), e);
}

static int
apply_line(struct recipe *r, const char *line, struct err *e)
{
	if (recipe_parse(line, r->mem, &r->line, e) < 0)
		return -1;
	switch (r->line.verb) {
	case RECIPE_ADD_DEP:
		return pot_add_dep(r->env, r->pot, option(r, 'P'), e);
	case RECIPE_COPY_IN:
		return copy_in_from(r, NULL, e);
	case RECIPE_COPY_IN_FLV:
		return copy_in_from(r, r->dir, e);
	case RECIPE_EXPORT_PORTS:
		return pot_set_ports(r->env, r->pot, all_of(r, 'e'), e);
	case RECIPE_MOUNT_IN:
		return mount_in(r, e);
	case RECIPE_SET_ATTRIBUTE:
		return pot_set_attr(r->env, r->pot, option(r, 'A'), option(r, 'V'), e);
	case RECIPE_SET_CMD:
		return pot_set_cmd(r->env, r->pot, option(r, 'c'), NULL, e);
	case RECIPE_SET_ENV:
		return pot_set_env(r->env, r->pot, all_of(r, 'E'), e);
	case RECIPE_SET_RSS:
		return set_rss(r, e);
	case RECIPE_UNKNOWN:
		pot_say(r->env, POT_SAY_ERROR, "'%s' is no command for flavours: skipped",
		    r->line.word);
		break;
	default:
		break;
	}
	return 0;
}

static int
apply_commands(
    struct pot_env *env, const char *pot, const char *path, struct arena *mem, struct err *e)
{
	struct recipe r = { .env = env, .pot = pot, .mem = mem };
	autobuf struct buf text = BUF_INIT;
	int rc = 0;
	size_t n;

	if (buf_read_file(&text, path, CONF_MAX, e) < 0)
		return -1;
	r.dir = dirname(arena_strdup(mem, path));
	char **line = str_split(mem, buf_str(&text), '\n', &n);
	for (size_t i = 0; i < n && rc == 0; i++)
		if ((rc = interrupted(env, e)) == 0 && (rc = apply_line(&r, line[i], e)) < 0)
			err_ctx(e, "%s:%zu", path, i + 1);
	return rc;
}

/* ---- scripts ---- */

struct placing {
	const char *path; /* in the pot */
	const char *text;
	size_t len;
};

static int
place_script(int root, void *ctx, struct err *e)
{
	const struct placing *p = ctx;

	return beneath_write(root, p->path, 0755, p->text, p->len, e);
}

static int
remove_script(int root, void *ctx, struct err *e)
{
	const struct placing *p = ctx;

	return beneath_remove(root, p->path, e);
}

/* Waits for the script. It is a child of ours: while it is not waited for, its pot cannot end. */
static int
await_script(struct pot_env *env, pid_t child, int *status, struct err *e)
{
	int raw;

	while (waitpid(child, &raw, 0) < 0) {
		if (errno != EINTR)
			return err_sys(e, "wait for the script");
		if (interrupted(env, e) < 0)
			(void)kill(child, SIGKILL);
	}
	*status = WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) : WEXITSTATUS(raw);
	return interrupted(env, e);
}

static int
script_inside(struct pot_env *env, const char *pot, struct placing *p, struct err *e)
{
	const char *const argv[] = { p->path, pot, NULL };
	const struct pot_exec_options o = { .argv = argv,
		.pot_env = true,
		.fds = { -1, env->build_out > 0 ? env->build_out : 1, 2 } };
	const struct mount_ops *mount = env->host->mount;
	struct err ignored = ERR_INIT;
	int status = 0, pty = -1;
	struct run r;
	pid_t child;

	if (run_read(env, pot, &r, e) < 0 ||
	    mount->with_running(r.init, r.init_start, place_script, p, e) < 0 ||
	    pot_enter(env, pot, &o, &child, &pty, e) < 0 ||
	    await_script(env, child, &status, e) < 0)
		return -1;
	if (status != 0)
		return err_new(e, ERR_INPUT, "it ended with %d", status);
	(void)mount->with_running(r.init, r.init_start, remove_script, p, &ignored);
	return 0;
}

static int
run_script(struct pot_env *env, const char *pot, const char *path, struct arena *mem, struct err *e)
{
	static const struct pot_stop_options at_once = { .timeout_ms = 0 };
	const struct pot_start_options o = {
		.detach = true, .stdio = POT_STDIO_NULL, .idle = true
	};
	autobuf struct buf text = BUF_INIT;
	char *copy = arena_strdup(mem, path);
	struct pot_exit x;
	struct err ignored = ERR_INIT;

	if (buf_read_file(&text, path, 16 << 20, e) < 0)
		return -1;
	struct placing p = { .path = arena_printf(mem, "/tmp/%s", basename(copy)),
		.text = buf_str(&text),
		.len = text.len };
	if (pot_start(env, pot, &o, &x, e) < 0)
		return -1;
	int rc = script_inside(env, pot, &p, e);
	if (pot_stop(env, pot, rc == 0 ? NULL : &at_once, rc == 0 ? e : &ignored) < 0 && rc == 0)
		rc = -1;
	return rc < 0 ? err_ctx(e, "script %s", path) : 0;
}

int
flavours_apply(struct pot_env *env, const char *name, const char *const *flavours, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;

	for (size_t i = 0; flavours != NULL && flavours[i] != NULL; i++) {
		const char *commands = find_commands(env, flavours[i], &mem);
		const char *script = find_script(env, flavours[i], &mem);
		if (commands == NULL && script == NULL)
			return err_new(e, ERR_ABSENT, "no flavour is named '%s'", flavours[i]);
		pot_say(env, POT_SAY_INFO, "%s: flavour %s", name, flavours[i]);
		if ((commands != NULL && apply_commands(env, name, commands, &mem, e) < 0) ||
		    (script != NULL && run_script(env, name, script, &mem, e) < 0))
			return err_ctx(e, "flavour %s", flavours[i]);
	}
	return 0;
}
