/* The manual's list of commands, written from the table: docs/man/pot.8 holds it between two marks.
 */
#include "cli/pot_cli.h"

#include "base/str.h"

#include <string.h>

/* Text as a line of mdoc: nothing in it may look like a request or an escape. */
static void
text_line(const char *text, FILE *to)
{
	if (text[0] == '.' || text[0] == '\'')
		fputs("\\&", to);
	for (; *text != '\0'; text++)
		fputs(*text == '\\' ? "\\e" : (char[]){ *text, '\0' }, to);
	fputc('\n', to);
}

/* An argument's name: brackets and bars are part of it, blanks are not allowed to end it. */
static void
argument(const char *name, FILE *to)
{
	fputs(" Ar ", to);
	for (; *name != '\0'; name++)
		fputs(*name == '|' ? "\\*(Ba" : *name == ' ' ? "\\ " : (char[]){ *name, '\0' }, to);
}

static void
flag(const char *before, const struct pot_option *o, FILE *to)
{
	if (o->letter > OPTION_LONG_MAX)
		fprintf(to, "%sFl %c", before, o->letter);
	else
		fprintf(to, "%sFl -%s", before, o->name);
}

static void
synopsis_line(const struct pot_command *c, FILE *to)
{
	fprintf(to, ".It Nm pot Cm %s", c->name);
	fputc('\n', to);
	for (const struct pot_option *o = c->options; o != NULL && o->letter != 0; o++) {
		bool must = (o->flags & OPTION_MUST) != 0 &&
			    !(o->letter == 'p' && (c->flags & COMMAND_NAME) != 0);

		flag(must ? "." : ".Op ", o, to);
		if (o->argument != NULL)
			argument(o->argument, to);
		fputs((o->flags & OPTION_MANY) != 0 ? " ...\n" : "\n", to);
	}
	if ((c->flags & COMMAND_JSON) != 0)
		fputs(".Op Fl -json\n", to);
	if ((c->flags & COMMAND_NAME) != 0)
		fputs(".Op Ar pot\n", to);
	if (c->rest != NULL) {
		fputs(".Op", to);
		argument(c->rest, to);
		fputc('\n', to);
	}
}

static void
command(const struct pot_command *c, FILE *to)
{
	synopsis_line(c, to);
	fputs(".Pp\n", to);
	autofree char *sentence = xasprintf("%c%s.",
	    c->summary[0] - ('a' <= c->summary[0] && c->summary[0] <= 'z') * 32, c->summary + 1);
	text_line(sentence, to);
	if (c->alias != NULL)
		fprintf(to, "Also spelt\n.Cm %s .\n", c->alias);
	if (c->options == NULL || c->options[0].letter == 0)
		return;
	fputs(".Bl -tag -width 4n -compact\n", to);
	for (const struct pot_option *o = c->options; o->letter != 0; o++) {
		flag(".It ", o, to);
		if (o->argument != NULL)
			argument(o->argument, to);
		fputc('\n', to);
		text_line(o->meaning, to);
	}
	fputs(".El\n", to);
}

void
pot_mdoc(FILE *to)
{
	const char *group = NULL;

	for (size_t i = 0; pot_commands[i] != NULL; i++) {
		const struct pot_command *c = pot_commands[i];

		if ((c->flags & COMMAND_LATER) != 0)
			continue;
		if (!str_eq(group, c->group)) {
			fprintf(to, "%s.Ss %s\n.Bl -tag -width Ds\n", group != NULL ? ".El\n" : "",
			    c->group);
			group = c->group;
		}
		command(c, to);
	}
	fputs(".El\n", to);
}
