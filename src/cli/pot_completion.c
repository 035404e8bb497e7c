/* Completion scripts for shells, written from the table of commands. */
#include "cli/pot_cli.h"

#include "base/str.h"

#include <string.h>

/* The command whose output lines are the candidates; NULL: words, or none. */
static const char *const listers[] = {
	[COMPLETE_POT] = "pot ls -q",
	[COMPLETE_RUNNING] = "pot ps -q",
	[COMPLETE_BASE] = "pot ls -bq",
	[COMPLETE_FSCOMP] = "pot ls -fq",
	[COMPLETE_BRIDGE] = "pot ls -Bq",
	[COMPLETE_FLAVOUR] = "pot ls -Fq",
};

static const char *
words_of(enum pot_complete kind, struct arena *mem)
{
	struct buf b = BUF_INIT;
	size_t n;

	switch (kind) {
	case COMPLETE_NETWORK:
		return "inherit public-bridge private-bridge alias";
	case COMPLETE_STACK:
		return "ipv4 ipv6 dual";
	case COMPLETE_SIGNAL:
		return "HUP INT QUIT KILL USR1 USR2 TERM CONT STOP";
	case COMPLETE_OUTPUT:
		return "wide";
	case COMPLETE_TYPE:
		return "single multi";
	case COMPLETE_LEVEL:
		return "0 1 2";
	case COMPLETE_DNS:
		return "inherit pot off custom:";
	case COMPLETE_VALUE:
		return pot_config_words(mem);
	case COMPLETE_ATTR:
		for (const struct pot_attr *a = pot_attrs(&n), *end = a + n; a < end; a++)
			buf_addf(&b, "%s%s", b.len > 0 ? " " : "", a->name);
		break;
	case COMPLETE_COMMAND:
		for (size_t i = 0; pot_commands[i] != NULL; i++)
			if ((pot_commands[i]->flags & COMMAND_EMPTY) == 0)
				buf_addf(&b, "%s%s", b.len > 0 ? " " : "", pot_commands[i]->name);
		break;
	default:
		return NULL;
	}
	const char *text = arena_strdup(mem, buf_str(&b));
	buf_fini(&b);
	return text;
}

/* Words that may follow the options: "start|stop|status"; NULL: anything. */
static const char *
rest_words(const struct pot_command *c, struct arena *mem)
{
	if (str_eq(c->name, "help"))
		return words_of(COMPLETE_COMMAND, mem);
	if (c->rest == NULL || strchr(c->rest, '|') == NULL || strpbrk(c->rest, " [") != NULL)
		return NULL;
	char *words = arena_strdup(mem, c->rest);
	for (char *p = words; *p != '\0'; p++)
		if (*p == '|')
			*p = ' ';
	return words;
}

static bool
lists(enum pot_complete kind)
{
	return kind < (int)NELEM(listers) && listers[kind] != NULL;
}

static const char *
all_names(const struct pot_command *c, const char *separator, struct arena *mem)
{
	char *text = arena_strdup(mem, c->name);

	for (const char *at = c->alias; at != NULL && *at != '\0';) {
		size_t n = strcspn(at, " ");
		text = arena_printf(mem, "%s%s%.*s", text, separator, (int)n, at);
		at += n + strspn(at + n, " ");
	}
	return text;
}

/* ---- bash ---- */

static void
bash_words(const struct pot_option *o, struct arena *mem, FILE *to)
{
	const char *words = words_of(o->complete, mem);

	if (lists(o->complete))
		fprintf(to, "COMPREPLY=($(compgen -W \"$(%s 2>/dev/null)\" -- \"$cur\"))",
		    listers[o->complete]);
	else if (words != NULL)
		fprintf(to, "COMPREPLY=($(compgen -W \"%s\" -- \"$cur\"))", words);
	else if (o->complete == COMPLETE_DIR)
		fputs(
		    "compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- \"$cur\"))", to);
	else if (o->complete == COMPLETE_FILE)
		fputs(
		    "compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$cur\"))", to);
	else
		fputs("COMPREPLY=()", to);
}

/* "set-attr -A"|"set-attribute -A") for each spelling of the command and of the option */
static void
bash_pattern(const struct pot_command *c, const struct pot_option *o, struct arena *mem, FILE *to)
{
	const char *flag = option_text(o, mem), *bar = "";
	size_t n;
	char **names = str_split(mem, all_names(c, " ", mem), ' ', &n);

	fputc('\t', to);
	for (size_t i = 0; i < n; i++) {
		fprintf(to, "%s\"%s %s\"", bar, names[i], flag);
		bar = "|";
		if (o->name != NULL && o->letter > OPTION_LONG_MAX)
			fprintf(to, "|\"%s --%s\"", names[i], o->name);
	}
	fputs(") ", to);
}

static void
bash(FILE *to, struct arena *mem)
{
	fprintf(to,
	    "_pot() {\n"
	    "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	    "\tcase $prev in --*) ;; -?*) prev=-${prev: -1} ;; esac\n"
	    "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n"
	    "\t\tCOMPREPLY=($(compgen -W \"%s\" -- \"$cur\"))\n\t\treturn\n\tfi\n"
	    "\tcase \"${COMP_WORDS[1]} $prev\" in\n",
	    words_of(COMPLETE_COMMAND, mem));
	for (size_t i = 0; pot_commands[i] != NULL; i++) {
		const struct pot_command *c = pot_commands[i];

		if ((c->flags & COMMAND_EMPTY) != 0)
			continue;
		for (const struct pot_option *o = c->options; o != NULL && o->letter != 0; o++) {
			if (o->argument == NULL)
				continue;
			bash_pattern(c, o, mem, to);
			bash_words(o, mem, to);
			fputs("; return ;;\n", to);
		}
	}
	fputs("\tesac\n\tcase \"${COMP_WORDS[1]}\" in\n", to);
	for (size_t i = 0; pot_commands[i] != NULL; i++) {
		const struct pot_command *c = pot_commands[i];

		if ((c->flags & COMMAND_EMPTY) != 0)
			continue;
		fprintf(to, "\t%s) COMPREPLY=($(compgen -W \"-h -v", all_names(c, "|", mem));
		for (const struct pot_option *o = c->options; o != NULL && o->letter != 0; o++)
			fprintf(to, " %s%s%s", option_text(o, mem),
			    o->name != NULL && o->letter > OPTION_LONG_MAX ? " --" : "",
			    o->name != NULL && o->letter > OPTION_LONG_MAX ? o->name : "");
		fputs((c->flags & COMMAND_JSON) != 0 ? " --json" : "", to);
		fputs((c->flags & COMMAND_NAME) != 0
			  ? " $([ \"${cur#-}\" = \"$cur\" ] && pot ls -q 2>/dev/null)"
			  : "",
		    to);
		fprintf(to, "%s%s", rest_words(c, mem) != NULL ? " " : "",
		    rest_words(c, mem) != NULL ? rest_words(c, mem) : "");
		fputs("\" -- \"$cur\")) ;;\n", to);
	}
	fputs("\tesac\n}\ncomplete -F _pot pot\n", to);
}

/* ---- zsh ---- */

static void
put_quoted(const char *text, FILE *to)
{
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			fputs("'\\''", to);
		else if (strchr("[]:", *text) != NULL)
			fprintf(to, "\\%c", *text);
		else
			fputc(*text, to);
	}
}

static void
zsh_option(const struct pot_option *o, struct arena *mem, FILE *to)
{
	const char *words = words_of(o->complete, mem);

	fprintf(
	    to, " \\\n\t\t'%s%s[", (o->flags & OPTION_MANY) != 0 ? "*" : "", option_text(o, mem));
	put_quoted(o->meaning, to);
	fputc(']', to);
	if (o->argument != NULL) {
		fputc(':', to);
		put_quoted(o->argument, to);
		fputc(':', to);
		if (lists(o->complete))
			fprintf(to, "($(%s 2>/dev/null))", listers[o->complete]);
		else if (words != NULL)
			fprintf(to, "(%s)", words);
		else if (o->complete == COMPLETE_DIR)
			fputs("_files -/", to);
		else if (o->complete == COMPLETE_FILE)
			fputs("_files", to);
	}
	fputc('\'', to);
}

static void
zsh(FILE *to, struct arena *mem)
{
	fputs("#compdef pot\n_pot() {\n\tlocal -a commands\n\tcommands=(", to);
	for (size_t i = 0; pot_commands[i] != NULL; i++) {
		if ((pot_commands[i]->flags & COMMAND_EMPTY) != 0)
			continue;
		fprintf(to, "\n\t\t'%s:", pot_commands[i]->name);
		put_quoted(pot_commands[i]->summary, to);
		fputc('\'', to);
	}
	fputs(")\n\tif (( CURRENT == 2 )); then\n\t\t_describe command commands\n\t\treturn\n\tfi\n"
	      "\tlocal command=$words[2]\n\tshift words; (( CURRENT-- ))\n\tcase $command in\n",
	    to);
	for (size_t i = 0; pot_commands[i] != NULL; i++) {
		const struct pot_command *c = pot_commands[i];

		if ((c->flags & COMMAND_EMPTY) != 0)
			continue;
		fprintf(
		    to, "\t%s) _arguments -s '-h[help]' '*-v[say more]'", all_names(c, "|", mem));
		for (const struct pot_option *o = c->options; o != NULL && o->letter != 0; o++)
			zsh_option(o, mem, to);
		fputs((c->flags & COMMAND_JSON) != 0 ? " '--json[print JSON]'" : "", to);
		fputs((c->flags & COMMAND_NAME) != 0 ? " '1:pot:($(pot ls -q 2>/dev/null))'" : "",
		    to);
		if (rest_words(c, mem) != NULL)
			fprintf(to, " '1:word:(%s)'", rest_words(c, mem));
		fputs(" ;;\n", to);
	}
	fputs("\tesac\n}\nif [ \"$funcstack[1]\" = _pot ]; then _pot \"$@\"; else compdef _pot "
	      "pot; fi\n",
	    to);
}

/* ---- fish ---- */

static void
fish_text(const char *text, FILE *to)
{
	fputc('\'', to);
	for (; *text != '\0'; text++) {
		if (*text == '\'' || *text == '\\')
			fputc('\\', to);
		fputc(*text, to);
	}
	fputc('\'', to);
}

static void
fish_option(const char *names, const struct pot_option *o, struct arena *mem, FILE *to)
{
	const char *words = words_of(o->complete, mem);

	fprintf(to, "complete -c pot -n '__fish_seen_subcommand_from %s'", names);
	if (o->letter > OPTION_LONG_MAX)
		fprintf(to, " -s %c", o->letter);
	if (o->name != NULL)
		fprintf(to, " -l %s", o->name);
	fputs(" -d ", to);
	fish_text(o->meaning, to);
	if (o->argument != NULL) {
		fputs(" -r", to);
		if (lists(o->complete))
			fprintf(to, " -f -a '(%s 2>/dev/null)'", listers[o->complete]);
		else if (words != NULL)
			fprintf(to, " -f -a '%s'", words);
		else if (o->complete == COMPLETE_FILE || o->complete == COMPLETE_DIR)
			fputs(" -F", to);
	}
	fputc('\n', to);
}

static void
fish(FILE *to, struct arena *mem)
{
	fputs("complete -c pot -f\n", to);
	for (size_t i = 0; pot_commands[i] != NULL; i++) {
		const struct pot_command *c = pot_commands[i];
		const char *names = all_names(c, " ", mem);

		if ((c->flags & COMMAND_EMPTY) != 0)
			continue;
		fprintf(to, "complete -c pot -n __fish_use_subcommand -a %s -d ", c->name);
		fish_text(c->summary, to);
		fputc('\n', to);
		for (const struct pot_option *o = c->options; o != NULL && o->letter != 0; o++)
			fish_option(names, o, mem, to);
		if ((c->flags & COMMAND_JSON) != 0)
			fprintf(to,
			    "complete -c pot -n '__fish_seen_subcommand_from %s' -l json -d 'print "
			    "JSON'\n",
			    names);
		if (rest_words(c, mem) != NULL)
			fprintf(to, "complete -c pot -n '__fish_seen_subcommand_from %s' -a '%s'\n",
			    names, rest_words(c, mem));
		if ((c->flags & COMMAND_NAME) != 0)
			fprintf(to,
			    "complete -c pot -n '__fish_seen_subcommand_from %s' -a '(pot ls -q "
			    "2>/dev/null)'\n",
			    names);
	}
}

int
pot_completion(const char *shell, FILE *to, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;

	if (str_eq(shell, "bash"))
		bash(to, &mem);
	else if (str_eq(shell, "zsh"))
		zsh(to, &mem);
	else if (str_eq(shell, "fish"))
		fish(to, &mem);
	else if (str_eq(shell, "words"))
		fprintf(to, "%s\n", words_of(COMPLETE_COMMAND, &mem));
	else if (str_eq(shell, "mdoc"))
		pot_mdoc(to);
	else if (str_eq(shell, "mdoc-conf"))
		pot_mdoc_conf(to);
	else
		return err_new(e, ERR_INPUT, "\"%s\": only bash, zsh and fish are known", shell);
	return 0;
}
