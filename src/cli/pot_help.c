#include "cli/pot_cli.h"
#include "cli/table.h"

#include "base/str.h"

#include <string.h>

/* "-p pot [-r] [-e port]…" from the rows. */
static void
synopsis(const struct pot_command *command, struct buf *out)
{
	autoarena struct arena mem = ARENA_INIT;

	buf_addf(out, "pot %s", command->name);
	for (const struct pot_option *o = command->options; o != NULL && o->letter != 0; o++) {
		bool must = (o->flags & OPTION_MUST) != 0 &&
			    !(o->letter == 'p' && (command->flags & COMMAND_NAME) != 0);

		buf_addf(out, must ? " %s" : " [%s", option_text(o, &mem));
		if (o->argument != NULL)
			buf_addf(out, " %s", o->argument);
		buf_adds(out, must ? "" : "]");
		if ((o->flags & OPTION_MANY) != 0)
			buf_adds(out, "...");
	}
	if ((command->flags & COMMAND_JSON) != 0)
		buf_adds(out, " [--json]");
	if ((command->flags & COMMAND_NAME) != 0)
		buf_adds(out, " [pot]");
	if (command->rest != NULL)
		buf_addf(out, " %s", command->rest);
}

static void
help_one(const struct pot_command *command, FILE *to)
{
	autobuf struct buf text = BUF_INIT;
	autoarena struct arena mem = ARENA_INIT;
	autotable struct table t = TABLE_INIT(2);

	synopsis(command, &text);
	fprintf(to, "%s\n  %s\n", buf_str(&text), command->summary);
	if (command->alias != NULL)
		fprintf(to, "  also spelt: %s\n", command->alias);
	for (const struct pot_option *o = command->options; o != NULL && o->letter != 0; o++) {
		table_cellf(&t, "  %s%s%s %s", option_text(o, &mem),
		    o->letter > OPTION_LONG_MAX && o->name != NULL ? ", --" : "",
		    o->letter > OPTION_LONG_MAX && o->name != NULL ? o->name : "",
		    o->argument != NULL ? o->argument : "");
		table_cellf(&t, "%s%s", o->meaning,
		    (o->flags & OPTION_MANY) != 0 ? " (may be repeated)" : "");
	}
	if ((command->flags & COMMAND_JSON) != 0)
		table_row(&t, "  --json", "print JSON, errors too", NULL);
	table_row(&t, "  -v", "say more", NULL);
	table_row(&t, "  -h", "this help", NULL);
	buf_reset(&text);
	table_text(&t, &text);
	fputs(buf_str(&text), to);
}

void
pot_help(const struct pot_command *command, FILE *to)
{
	autobuf struct buf text = BUF_INIT;
	autotable struct table t = TABLE_INIT(2);
	const char *group = NULL;

	if (command != NULL) {
		help_one(command, to);
		return;
	}
	fputs("usage: pot command [options]\n", to);
	for (size_t i = 0; pot_commands[i] != NULL; i++) {
		const struct pot_command *c = pot_commands[i];

		if ((c->flags & COMMAND_EMPTY) != 0)
			continue;
		if (!str_eq(group, c->group)) {
			group = c->group;
			table_cell(&t, "");
			table_cell(&t, "");
			table_cell(&t, group);
			table_cell(&t, "");
		}
		table_cellf(&t, "  %s", c->name);
		table_cell(&t, c->summary);
	}
	table_text(&t, &text);
	fputs(buf_str(&text), to);
	fputs("\n`pot help COMMAND` tells the options of one.\n", to);
}

static int
run_help(struct pot_call *c)
{
	if (c->argc == 0) {
		pot_help(NULL, stdout);
		return 0;
	}
	const struct pot_command *command = pot_command_named(c->argv[0]);
	if (command == NULL) {
		const char *near = pot_command_near(c->argv[0]);
		say_error(c,
		    near != NULL ? "help: \"%s\" is not a command of pot: did you mean \"%s\"?"
				 : "help: \"%s\" is not a command of pot",
		    c->argv[0], near);
		return 1;
	}
	if ((command->flags & COMMAND_EMPTY) != 0) {
		say_error(c, POT_EMPTY_SAYS, command->name);
		return 1;
	}
	pot_help(command, stdout);
	return 0;
}

const struct pot_command pot_cmd_help = {
	.name = "help",
	.summary = "what pot can do, or the options of one command",
	.flags = COMMAND_NO_ENV | COMMAND_ARGS,
	.rest = "command",
	.run = run_help,
	.group = "Information",
};

static int
run_version(struct pot_call *c)
{
	if (c->json) {
		struct jsonw w = json_begin(c);

		jsonw_object(&w);
		jsonw_kstr(&w, "version", POT_VERSION_COMPAT);
		jsonw_kstr(&w, "potter", POTTER_VERSION);
		jsonw_end_object(&w);
		return json_done(c);
	}
	printf(given(c, 'q') ? "%s\n" : "pot version: %s\n", POT_VERSION_COMPAT);
	if (c->verbosity > 1)
		printf("potter version: %s\n", POTTER_VERSION);
	return 0;
}

static const struct pot_option version_options[] = {
	{ 'q', NULL, 0, 0, "only the number" },
	{ 0 },
};

const struct pot_command pot_cmd_version = {
	.name = "version",
	.summary = "the version of pot whose commands and files these are",
	.flags = COMMAND_NO_ENV | COMMAND_JSON,
	.options = version_options,
	.run = run_version,
	.group = "Information",
};

static int
run_completion(struct pot_call *c)
{
	struct err e;

	if (c->argc != 1)
		return fail_usage(c, "one shell is needed: bash, zsh or fish");
	return pot_completion(c->argv[0], stdout, &e) < 0 ? fail(c, &e) : 0;
}

const struct pot_command pot_cmd_completion = {
	.name = "completion",
	.summary = "a completion script for bash, zsh or fish",
	.flags = COMMAND_NO_ENV | COMMAND_ARGS,
	.rest = "bash|zsh|fish",
	.run = run_completion,
	.group = "Information",
};
