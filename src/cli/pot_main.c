#include "cli/pot_cli.h"

#include "base/clock.h"
#include "base/str.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "base/vec.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LONG_JSON = 256, LONG_HELP };

/* ---- options ---- */

bool
given(const struct pot_call *c, char letter)
{
	return c->given[(unsigned char)letter].n > 0;
}

const char *
given_one(const struct pot_call *c, char letter)
{
	const struct pot_given *g = &c->given[(unsigned char)letter];

	return g->n > 0 ? g->at[g->n - 1] : NULL;
}

const char *const *
given_all(const struct pot_call *c, char letter)
{
	return (const char *const *)c->given[(unsigned char)letter].at;
}

const char *
given_pot(const struct pot_call *c)
{
	const char *p = given_one(c, 'p');

	return p != NULL ? p : c->argc > 0 ? c->argv[0] : NULL;
}

/* ---- colour ---- */

static bool
has_colour(void)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && (no == NULL || *no == '\0') && term != NULL &&
	       !str_eq(term, "dumb") && *term != '\0';
}

const char *
paint(struct pot_call *c, enum paint how, const char *text)
{
	static const char *const codes[] = { [PAINT_BAD] = "31;1",
		[PAINT_GOOD] = "32",
		[PAINT_DOUBTFUL] = "33",
		[PAINT_HEAD] = "1" };

	return c->colour ? arena_printf(&c->mem, "\033[%sm%s\033[0m", codes[how], text) : text;
}

const char *
paint_state(struct pot_call *c, enum pot_running state)
{
	static const enum paint how[] = { [POT_STOPPED] = PAINT_HEAD,
		[POT_RUNNING] = PAINT_GOOD,
		[POT_STARTING] = PAINT_DOUBTFUL,
		[POT_STOPPING] = PAINT_DOUBTFUL,
		[POT_UNKNOWN] = PAINT_BAD };
	const char *text = pot_running_text(state);

	return state == POT_STOPPED ? text : paint(c, how[state], text);
}

/* ---- messages ---- */

static struct progress progress; /* of the image at hand: one command has one terminal */

static void
say(struct pot_call *c, int needed, const char *prefix, const char *fmt, va_list ap)
{
	/* One write per line, so that messages of parallel commands do not mix. With --json the
	 * output is a value, and what people may want to know goes beside it. */
	FILE *to = c->json || c->beside ? stderr : stdout;

	if (c->verbosity < needed)
		return;
	progress_clear(&progress);
	autofree char *text = NULL;
	if (vasprintf(&text, fmt, ap) < 0)
		return;
	fprintf(to, "%s  %s\n", prefix, text);
	fflush(to);
}

void
say_error(struct pot_call *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(c, 0, c->json || c->beside ? "###>" : paint(c, PAINT_BAD, "###>"), fmt, ap);
	va_end(ap);
}

void
say_info(struct pot_call *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(c, c->json ? 2 : 1, "===>", fmt, ap);
	va_end(ap);
}

void
say_debug(struct pot_call *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(c, 2, "=====>", fmt, ap);
	va_end(ap);
}

static void
say_for_library(void *ctx, enum pot_say_level level, const char *text)
{
	switch (level) {
	case POT_SAY_ERROR:
		say_error(ctx, "%s", text);
		break;
	case POT_SAY_INFO:
		say_info(ctx, "%s", text);
		break;
	case POT_SAY_DEBUG:
		say_debug(ctx, "%s", text);
		break;
	}
}

/* The names that an argument of this kind may have; none: it is no name of something. */
static struct pot_strs
names_of(struct pot_call *c, enum pot_complete kind)
{
	static const struct {
		enum pot_complete kind;
		enum pot_kind what;
	} kinds[] = { { COMPLETE_POT, POT_KIND_POT }, { COMPLETE_RUNNING, POT_KIND_POT },
		{ COMPLETE_BASE, POT_KIND_BASE }, { COMPLETE_FSCOMP, POT_KIND_FSCOMP },
		{ COMPLETE_BRIDGE, POT_KIND_BRIDGE }, { COMPLETE_FLAVOUR, POT_KIND_FLAVOUR } };
	struct pot_strs names = { NULL, 0 };
	struct err ignored;
	size_t n;

	static char *const networks[] = { "inherit", "alias", "public-bridge", "private-bridge" };
	static char *const stacks[] = { "ipv4", "ipv6", "dual" };
	if (kind == COMPLETE_NETWORK || kind == COMPLETE_STACK) {
		char *const *from = kind == COMPLETE_NETWORK ? networks : stacks;
		n = kind == COMPLETE_NETWORK ? NELEM(networks) : NELEM(stacks);
		names.at = arena_memdup(&c->mem, from, n * sizeof(*from));
		names.n = n;
	}
	if (kind == COMPLETE_ATTR) {
		const struct pot_attr *a = pot_attrs(&n);
		names.at = arena_array(&c->mem, n + 1, char *);
		for (; names.n < n; names.n++)
			names.at[names.n] = arena_strdup(&c->mem, a[names.n].name);
	}
	for (size_t i = 0; i < NELEM(kinds); i++)
		if (kinds[i].kind == kind &&
		    pot_names(c->env, kinds[i].what, &c->mem, &names, &ignored) < 0)
			names.n = 0;
	return names;
}

static const char *
near_name(struct pot_call *c, enum pot_complete kind, const char *name)
{
	struct pot_strs names = names_of(c, kind);

	for (size_t i = 0; i < names.n; i++)
		if (str_eq(names.at[i], name))
			return NULL;
	return str_nearest(name, (const char *const *)names.at, names.n);
}

/* Is it this name that the error is about? It stands in quotes then, or ends a path. */
static bool
about(const char *text, const char *name)
{
	size_t len = strlen(name);

	if (len == 0)
		return false;
	for (const char *at = strstr(text, name); at != NULL; at = strstr(at + 1, name))
		if (at > text && strchr("'\"/", at[-1]) != NULL &&
		    strchr("'\" :/", at[len]) != NULL)
			return true;
	return false;
}

/* Something of nearly that name, for the first of the names given that does not exist. */
static const char *
similar(struct pot_call *c, const char *text)
{
	const char *found = NULL;

	if (c->env == NULL)
		return NULL;
	for (const struct pot_option *o = c->command->options; o != NULL && o->letter != 0; o++) {
		const char *name = given_one(c, o->letter);
		if (name == NULL && o->letter == 'p' && (c->command->flags & COMMAND_NAME) != 0)
			name = given_pot(c);
		if (found == NULL && o->argument != NULL && name != NULL && about(text, name))
			found = near_name(c, o->complete, name);
	}
	return found;
}

int
fail(struct pot_call *c, const struct err *e)
{
	const char *near =
	    e->kind == ERR_ABSENT || e->kind == ERR_INPUT ? similar(c, e->text) : NULL;
	size_t len = strlen(c->command->name);
	bool named = strncmp(e->text, c->command->name, len) == 0 &&
		     (e->text[len] == ' ' || e->text[len] == ':');
	const char *text =
	    named ? e->text : arena_printf(&c->mem, "%s: %s", c->command->name, e->text);

	if (c->json) {
		struct jsonw w = json_begin(c);

		jsonw_object(&w);
		jsonw_key(&w, "error");
		jsonw_object(&w);
		jsonw_kstr(&w, "kind", err_kind_name(e->kind));
		jsonw_kint(&w, "errno", e->sys);
		jsonw_kstr(&w, "message", e->text);
		jsonw_end_object(&w);
		jsonw_end_object(&w);
		json_done(c);
	} else if (near != NULL) {
		say_error(c, "%s (did you mean \"%s\"?)", text, near);
	} else {
		say_error(c, "%s", text);
	}
	return 1;
}

int
fail_usage(struct pot_call *c, const char *fmt, ...)
{
	struct err e = ERR_INIT;
	va_list ap;

	e.kind = ERR_INPUT;
	va_start(ap, fmt);
	vsnprintf(e.text, sizeof(e.text), fmt, ap);
	va_end(ap);
	fail(c, &e);
	if (!c->json)
		pot_help(c->command, stdout);
	return 1;
}

/* ---- JSON ---- */

struct jsonw
json_begin(struct pot_call *c)
{
	buf_reset(&c->out);
	return (struct jsonw)JSONW_INDENT(&c->out, 2);
}

int
json_done(struct pot_call *c)
{
	puts(buf_str(&c->out));
	fflush(stdout);
	return 0;
}

void
json_strs(struct jsonw *w, const char *key, const struct pot_strs *list)
{
	jsonw_key(w, key);
	jsonw_array(w);
	for (size_t i = 0; i < list->n; i++)
		jsonw_str(w, list->at[i]);
	jsonw_end_array(w);
}

/* ---- images ---- */

static volatile sig_atomic_t stop_asked;

static void
ask_to_stop(int signal)
{
	stop_asked = signal;
}

void
call_catch_signals(void)
{
	struct sigaction act = { .sa_handler = ask_to_stop };

	sigemptyset(&act.sa_mask);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGHUP, &act, NULL);
}

const volatile sig_atomic_t *
call_catch_end(void)
{
	const struct sigaction act = { .sa_handler = ask_to_stop };
	struct sigaction before;

	(void)sigaction(SIGTERM, &act, NULL);
	if (sigaction(SIGINT, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
		(void)sigaction(SIGINT, &act, NULL);
	return &stop_asked;
}

void
call_catch_for(struct pot_call *c)
{
	call_catch_signals();
	c->env->stop = &stop_asked;
	if (c->json) /* the output is a value */
		c->env->build_out = STDERR_FILENO;
}

static void
show_progress(void *ctx, const char *what, uint64_t done, uint64_t total)
{
	const struct pot_call *c = ctx;

	if (c->verbosity < 1)
		return;
	progress_step(&progress, what, done, total, clock_mono_ns());
	if (done == total)
		progress_clear(&progress);
	else
		progress_show(&progress);
}

static void
show_note(void *ctx, const char *text)
{
	say_info(ctx, "%s", text);
}

struct image_tool
call_image_tool(struct pot_call *c)
{
	call_catch_signals();
	return (struct image_tool){
		.program = arena_printf(&c->mem, "%s/pot-image", c->env->libexec),
		.stop = &stop_asked,
		.progress = show_progress,
		.note = show_note,
		.ctx = c,
	};
}

/* ---- parsing ---- */

static const struct pot_option *
option_named(const struct pot_command *command, int letter)
{
	for (const struct pot_option *o = command->options; o != NULL && o->letter != 0; o++)
		if (o->letter == letter)
			return o;
	return NULL;
}

static void
remember(struct pot_call *c, int letter, const char *value)
{
	struct pot_given *g = &c->given[letter];

	/* Room for one more and the NULL behind it; command lines are short. */
	const char **at = arena_array(&c->mem, g->n + 2, const char *);
	if (g->n > 0)
		memcpy(at, g->at, g->n * sizeof(*at));
	at[g->n] = value;
	g->at = at;
	g->n++;
}

static char *
getopt_letters(struct pot_call *c)
{
	struct buf b = BUF_INIT;

	buf_adds(&b, "+:hv"); /* '+': stop at the first word that is no option, as POSIX has it */
	for (const struct pot_option *o = c->command->options; o != NULL && o->letter != 0; o++)
		if (o->letter > OPTION_LONG_MAX)
			buf_addf(&b, "%c%s", o->letter, o->argument != NULL ? ":" : "");
	return buf_take(&b);
}

static const struct option *
getopt_names(struct pot_call *c)
{
	static const struct option all[] = {
		{ "json", no_argument, NULL, LONG_JSON },
		{ "help", no_argument, NULL, LONG_HELP },
	};
	size_t n = NELEM(all), max = n + 1;

	for (const struct pot_option *o = c->command->options; o != NULL && o->letter != 0; o++)
		max += o->name != NULL;
	struct option *names = arena_array(&c->mem, max, struct option);
	memcpy(names, all, sizeof(all));
	for (const struct pot_option *o = c->command->options; o != NULL && o->letter != 0; o++)
		if (o->name != NULL)
			names[n++] = (struct option){ o->name,
				o->argument != NULL ? required_argument : no_argument, NULL,
				o->letter };
	return names;
}

const char *
option_text(const struct pot_option *o, struct arena *mem)
{
	return o->letter > OPTION_LONG_MAX ? arena_printf(mem, "-%c", o->letter)
					   : arena_printf(mem, "--%s", o->name);
}

int
given_wide(struct pot_call *c)
{
	const char *format = given_one(c, 'o');

	if (format == NULL || str_eq(format, "wide"))
		return format != NULL;
	fail_usage(c, "-o %s: only \"wide\" is known", format);
	return -1;
}

static int
unknown_option(struct pot_call *c, int what, const char *word)
{
	const char *names[32] = { "json", "help" };
	size_t n = 2;

	if (what == ':')
		return optopt > OPTION_LONG_MAX
			   ? fail_usage(c, "option -%c needs an argument", optopt)
			   : fail_usage(c, "option %s needs an argument", word);
	if (optopt > OPTION_LONG_MAX && optopt < 128 && !str_starts(word, "--"))
		return fail_usage(c, "option -%c is unknown", optopt);
	for (const struct pot_option *o = c->command->options; o != NULL && o->letter != 0; o++)
		if (o->name != NULL && n < NELEM(names))
			names[n++] = o->name;
	const char *near = str_starts(word, "--") ? str_nearest(word + 2, names, n) : NULL;
	if (near != NULL && !str_eq(near, word + 2))
		return fail_usage(c, "option %s is unknown: did you mean \"--%s\"?", word, near);
	return fail_usage(c, "option %s is unknown, or takes no argument", word);
}

/* -1: go on; else the exit code. */
static int
parse(struct pot_call *c, int argc, char **argv)
{
	autofree char *letters = getopt_letters(c);
	const struct option *longs = getopt_names(c);
	int o;

	opterr = 0;
	optind = 1;
	while ((o = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		if (o == 'h' || o == LONG_HELP) {
			pot_help(c->command, stdout);
			return 0;
		}
		if (o == 'v' && option_named(c->command, 'v') == NULL)
			c->verbosity++;
		else if (o == LONG_JSON)
			c->json = true; /* where nothing is printed, it still shapes the errors */
		else if (o == ':' || o == '?' || option_named(c->command, o) == NULL)
			return unknown_option(c, o, argv[optind - 1]);
		else
			remember(c, o, optarg);
	}
	c->argc = argc - optind;
	c->argv = argv + optind;
	if ((c->command->flags & COMMAND_ARGS) == 0 && c->argc > 0 &&
	    str_eq(c->argv[c->argc - 1], "--json")) {
		c->json = true; /* `pot start web --json`: nobody means a pot of that name */
		c->argc--;
	}
	return -1;
}

static int
check_given(struct pot_call *c)
{
	bool bare = (c->command->flags & COMMAND_NAME) != 0;

	for (const struct pot_option *o = c->command->options; o != NULL && o->letter != 0; o++) {
		if ((o->flags & OPTION_MUST) == 0 || given(c, o->letter))
			continue;
		if (o->letter == 'p' && bare && c->argc > 0)
			continue;
		return fail_usage(c, "option %s is mandatory", option_text(o, &c->mem));
	}
	if ((c->command->flags & COMMAND_ARGS) != 0)
		return -1;
	if (c->argc > (bare && !given(c, 'p') ? 1 : 0))
		return fail_usage(c, "\"%s\": too many arguments", c->argv[c->argc - 1]);
	return -1;
}

static int
open_env(struct pot_call *c)
{
	struct err e;

	if ((c->command->flags & COMMAND_NO_ENV) != 0)
		return -1;
	if (pot_env_open(&c->env, &e) < 0)
		return fail(c, &e);
	c->env->say = say_for_library;
	c->env->say_ctx = c;
	c->env->dry_run = given(c, OPTION_DRY_RUN);
	if ((c->command->flags & COMMAND_ANYTIME) == 0 && pot_env_ready(c->env, &e) < 0) {
		c->beside = true; /* scripts take the words of `pot ls -q` for names of pots */
		return fail(c, &e);
	}
	if ((c->command->flags & COMMAND_ROOT) != 0 && geteuid() != 0) {
		err_new(&e, ERR_RIGHTS, "this needs root: try it with sudo or as root");
		return fail(c, &e);
	}
	if ((c->command->flags & (COMMAND_ROOT | COMMAND_LOOKS)) == COMMAND_ROOT)
		pot_audit(c, c->env->conf.log_facility);
	return -1;
}

static void
dry_run_json(struct pot_call *c)
{
	struct jsonw w = json_begin(c);

	jsonw_object(&w);
	json_strs(&w, "would_be_destroyed", &c->env->would);
	jsonw_end_object(&w);
	(void)json_done(c);
}

static int
run(const struct pot_command *command, int argc, char **argv)
{
	struct pot_call c = { .command = command,
		.verbosity = 1,
		.mem = ARENA_INIT,
		.out = BUF_INIT,
		.colour = has_colour() };
	int rc;

	if ((command->flags & COMMAND_EMPTY) != 0) {
		say_error(&c, POT_EMPTY_SAYS, command->name);
		rc = 1;
	} else {
		rc = parse(&c, argc, argv);
	}
	if (rc < 0)
		rc = check_given(&c);
	if (rc < 0)
		rc = open_env(&c);
	if (rc < 0)
		rc = command->run(&c);
	if (rc == 0 && c.json && c.env != NULL && c.env->dry_run)
		dry_run_json(&c);
	pot_env_close(c.env);
	buf_fini(&c.out);
	arena_fini(&c.mem);
	return rc;
}

/* ---- the table ---- */

static bool
word_in(const char *word, const char *list)
{
	size_t len = strlen(word);

	for (const char *at = list; at != NULL && *at != '\0';) {
		size_t n = strcspn(at, " ");

		if (n == len && memcmp(at, word, n) == 0)
			return true;
		at += n + (at[n] == ' ');
	}
	return false;
}

const struct pot_command *
pot_command_named(const char *name)
{
	for (size_t i = 0; pot_commands[i] != NULL; i++)
		if (str_eq(pot_commands[i]->name, name) || word_in(name, pot_commands[i]->alias))
			return pot_commands[i];
	return NULL;
}

const char *
pot_command_near(const char *name)
{
	VEC(const char *) names = VEC_INIT;

	for (size_t i = 0; pot_commands[i] != NULL; i++)
		VEC_PUSH(&names, pot_commands[i]->name);
	const char *near = str_nearest(name, names.at, names.n);
	VEC_FINI(&names);
	return near;
}

static int
unknown_command(const char *name)
{
	const char *near = pot_command_near(name);

	if (near != NULL)
		printf("###>  \"%s\" is not a command of pot: did you mean \"%s\"?\n", name, near);
	else
		printf("###>  \"%s\" is not a command of pot\n", name);
	pot_help(NULL, stdout);
	return 1;
}

int
pot_cli_main(int argc, char **argv)
{
	if (argc < 2) {
		pot_help(NULL, stdout);
		return 1;
	}
	const char *name = argv[1];
	if (str_eq(name, "--help") || str_eq(name, "-h"))
		name = "help";
	if (str_eq(name, "--version"))
		name = "version";
	const struct pot_command *command = pot_command_named(name);
	if (command == NULL)
		return unknown_command(name);
	int rc = run(command, argc - 1, argv + 1);
	if (fflush(stdout) != 0 && rc == 0)
		rc = 1;
	return rc;
}
