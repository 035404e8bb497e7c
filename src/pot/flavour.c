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

struct given {
	char letter;
	const char *value; /* "" for a switch */
};

struct recipe {
	struct pot_env *env;
	const char *pot;
	const char *dir; /* of the command file: where copy-in-flv looks */
	struct arena *mem;
	const char *verb;
	VEC(struct given) given;
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

static int
interrupted(struct pot_env *env, struct err *e)
{
	if (env->stop == NULL || *env->stop == 0)
		return 0;
	errno = EINTR;
	return err_sys(e, "asked to end by signal %d", (int)*env->stop);
}

/* ---- commands ---- */

/* The last value of an option, or NULL. */
static const char *
option(const struct recipe *r, char letter)
{
	const char *value = NULL;

	for (size_t i = 0; i < r->given.n; i++)
		if (r->given.at[i].letter == letter)
			value = r->given.at[i].value;
	return value;
}

static const char *const *
all_of(const struct recipe *r, char letter)
{
	struct pot_strs list = { 0 };
	struct strs_builder b = STRS_BUILDER(&list, r->mem);

	for (size_t i = 0; i < r->given.n; i++)
		if (r->given.at[i].letter == letter)
			list_add(&b, arena_strdup(r->mem, r->given.at[i].value));
	return (const char *const *)list.at;
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
do_copy_in(struct recipe *r, struct err *e)
{
	return copy_in_from(r, NULL, e);
}

static int
do_copy_in_flv(struct recipe *r, struct err *e)
{
	return copy_in_from(r, r->dir, e);
}

static int
do_set_env(struct recipe *r, struct err *e)
{
	return pot_set_env(r->env, r->pot, all_of(r, 'E'), e);
}

static int
do_export_ports(struct recipe *r, struct err *e)
{
	return pot_set_ports(r->env, r->pot, all_of(r, 'e'), e);
}

static int
do_set_rss(struct recipe *r, struct err *e)
{
	if (r->given.n == 0)
		return err_new(e, ERR_INPUT, "set-rss: -C or -M is needed");
	return pot_set_rss(r->env, r->pot, option(r, 'C'), option(r, 'M'), e);
}

static int
do_set_attribute(struct recipe *r, struct err *e)
{
	return pot_set_attr(r->env, r->pot, option(r, 'A'), option(r, 'V'), e);
}

static int
do_add_dep(struct recipe *r, struct err *e)
{
	return pot_add_dep(r->env, r->pot, option(r, 'P'), e);
}

static int
do_mount_in(struct recipe *r, struct err *e)
{
	struct pot_mount_in_options o = { .fscomp = option(r, 'f'),
		.dir = option(r, 'd'),
		.dataset = option(r, 'z'),
		.target = option(r, 'm'),
		.read_only = option(r, 'r') != NULL,
		.remount = option(r, 'w') != NULL };

	return pot_mount_in(r->env, r->pot, &o, e);
}

/* letters as getopt(3) has them; those of `needed` must be given. */
static const struct verb {
	const char *name, *letters, *needed;
	int (*run)(struct recipe *, struct err *);
} verbs[] = {
	{ "add-dep", "P:", "P", do_add_dep },
	{ "copy-in", "s:d:Fc", "sd", do_copy_in },
	{ "copy-in-flv", "s:d:Fc", "sd", do_copy_in_flv },
	{ "export-ports", "e:", "e", do_export_ports },
	{ "mount-in", "f:d:z:m:wr", "m", do_mount_in },
	{ "set-attribute", "A:V:", "AV", do_set_attribute },
	{ "set-env", "E:", "E", do_set_env },
	{ "set-rss", "C:M:", "", do_set_rss },
};

/* One word of options: "-cs" and its value behind it or in the next word. */
static int
take_word(
    struct recipe *r, const struct verb *v, const struct pot_strs *words, size_t *at, struct err *e)
{
	const char *word = words->at[*at];

	if (word[0] != '-' || word[1] == '\0')
		return err_new(e, ERR_INPUT, "'%s': an option was expected", word);
	while (*++word != '\0') {
		bool usual = *word == 'p' || *word == 'v';
		const char *known = *word == ':' ? NULL : strchr(v->letters, *word);
		struct given g = { .letter = *word, .value = "" };
		if (known == NULL && !usual)
			return err_new(e, ERR_INPUT, "option -%c is unknown", *word);
		bool takes = known != NULL ? known[1] == ':' : *word == 'p';
		if (takes && word[1] == '\0' && *at + 1 >= words->n)
			return err_new(e, ERR_INPUT, "option -%c needs an argument", *word);
		if (takes)
			g.value = word[1] != '\0' ? word + 1 : words->at[++*at];
		if (!usual) /* the pot is the one in the making */
			VEC_PUSH(&r->given, g);
		if (takes)
			break;
	}
	return 0;
}

static int
run_verb(struct recipe *r, const struct verb *v, const struct pot_strs *words, struct err *e)
{
	VEC_FINI(&r->given);
	for (size_t i = 1; i < words->n; i++)
		if (take_word(r, v, words, &i, e) < 0)
			return err_ctx(e, "%s", v->name);
	for (const char *l = v->needed; *l != '\0'; l++)
		if (option(r, *l) == NULL)
			return err_new(e, ERR_INPUT, "%s: option -%c is mandatory", v->name, *l);
	return v->run(r, e);
}

/* The rest of the line as it is, but for one pair of double quotes around it. */
static int
set_cmd(struct recipe *r, const char *line, struct err *e)
{
	const char *rest = line + strlen("set-cmd");

	rest += strspn(rest, " \t");
	if (!str_starts(rest, "-c"))
		return err_new(e, ERR_INPUT, "set-cmd: only 'set-cmd -c COMMAND' is understood");
	rest += 2;
	rest += strspn(rest, " \t");
	char *cmd = arena_strdup(r->mem, rest);
	size_t n = strlen(cmd);
	while (n > 0 && (cmd[n - 1] == ' ' || cmd[n - 1] == '\t' || cmd[n - 1] == '\r'))
		cmd[--n] = '\0';
	if (n > 1 && cmd[0] == '"' && cmd[n - 1] == '"') {
		cmd[n - 1] = '\0';
		cmd++;
	}
	return pot_set_cmd(r->env, r->pot, cmd, NULL, e);
}

static int
apply_line(struct recipe *r, const char *line, struct err *e)
{
	struct pot_strs words;
	bool shell;

	line += strspn(line, " \t\r");
	if (*line == '\0' || *line == '#')
		return 0;
	size_t n = strcspn(line, " \t\r");
	if (n == strlen("set-cmd") && str_starts(line, "set-cmd"))
		return set_cmd(r, line, e);
	for (size_t i = 0; i < NELEM(verbs); i++)
		if (strlen(verbs[i].name) == n && strncmp(line, verbs[i].name, n) == 0)
			return words_split(line, r->mem, &words, &shell, e) < 0
				   ? -1
				   : run_verb(r, &verbs[i], &words, e);
	pot_say(r->env, POT_SAY_ERROR, "'%.*s' is no command for flavours: skipped", (int)n, line);
	return 0;
}

static int
apply_commands(
    struct pot_env *env, const char *pot, const char *path, struct arena *mem, struct err *e)
{
	struct recipe r = { .env = env, .pot = pot, .mem = mem, .given = VEC_INIT };
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
	VEC_FINI(&r.given);
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
