/* The manual's list of commands, written from the table: docs/man/pot.8 holds it between two marks.
 */
#include "cli/pot_cli.h"

#include "base/str.h"

#include <string.h>
#include <sys/utsname.h>

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

		if ((c->flags & COMMAND_EMPTY) != 0)
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

/* ---- pot.conf(5) ---- */

static void
sentence(const char *text, FILE *to)
{
	autofree char *line =
	    xasprintf("%c%s.", text[0] - ('a' <= text[0] && text[0] <= 'z') * 32, text + 1);

	text_line(line, to);
}

static void
config_keys(FILE *to)
{
	size_t n;
	const struct pot_config_key *keys = pot_config_keys(&n);

	fputs(".Sh THE FRAMEWORK\n.Bl -tag -width Ds\n", to);
	for (size_t i = 0; i < n; i++) {
		fprintf(to, ".It Va %s\n", keys[i].key);
		sentence(keys[i].meaning, to);
		if (keys[i].def[0] != '\0')
			fprintf(to, "Default:\n.Ql %s .\n", keys[i].def);
	}
	fputs(".El\n", to);
}

static void
attributes(bool jail, FILE *to)
{
	static const char *const types[] = { [POT_ATTR_BOOL] = "yes or no",
		[POT_ATTR_UINT] = "a number",
		[POT_ATTR_SYSV] = "new, inherit or disable",
		[POT_ATTR_STRING] = "text" };
	size_t n;
	const struct pot_attr *a = pot_attrs(&n);
	struct utsname system;

	for (size_t i = 0; i < n; i++) {
		if (a[i].jail != jail)
			continue;
		fprintf(to, ".It Va %s\n", a[i].name);
		sentence(a[i].meaning, to);
		fprintf(to, "%c%s", types[a[i].type][0] - 32, types[a[i].type] + 1);
		if (a[i].read_only)
			fputs("; only pot itself sets it", to);
		if (a[i].def[0] != '\0')
			fprintf(to, "; default:\n.Ql %s .\n", a[i].def);
		else
			fputs("; default: none.\n", to);
		if (a[i].effect == POT_ATTR_NOWHERE)
			fputs("Without effect.\n", to);
		else if (!pot_attr_has_effect(NULL, &a[i]) && uname(&system) == 0)
			fprintf(to, "Without effect on %s.\n", system.sysname);
	}
}

void
pot_mdoc_conf(FILE *to)
{
	config_keys(to);
	fputs(".Sh ATTRIBUTES\nThe framework's:\n.Bl -tag -width Ds\n", to);
	attributes(false, to);
	fputs(".El\n.Pp\nThe jail's:\n.Bl -tag -width Ds\n", to);
	attributes(true, to);
	fputs(".El\n", to);
}
