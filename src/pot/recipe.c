#include "pot/recipe.h"

#include "pot/priv.h"

#include <string.h>

/* letters as getopt(3) has them; those of `needed` must be given. */
static const struct verb {
	enum recipe_verb verb;
	const char *name, *letters, *needed;
} verbs[] = {
	{ RECIPE_ADD_DEP, "add-dep", "P:", "P" },
	{ RECIPE_COPY_IN, "copy-in", "s:d:Fc", "sd" },
	{ RECIPE_COPY_IN_FLV, "copy-in-flv", "s:d:Fc", "sd" },
	{ RECIPE_EXPORT_PORTS, "export-ports", "e:", "e" },
	{ RECIPE_MOUNT_IN, "mount-in", "f:d:z:m:wr", "m" },
	{ RECIPE_SET_ATTRIBUTE, "set-attribute", "A:V:", "AV" },
	{ RECIPE_SET_CMD, "set-cmd", "c:", "c" },
	{ RECIPE_SET_ENV, "set-env", "E:", "E" },
	{ RECIPE_SET_RSS, "set-rss", "C:M:", "" },
};

const char *
recipe_option(const struct recipe_line *l, char letter)
{
	const char *value = NULL;

	for (size_t i = 0; i < l->n; i++)
		if (l->given[i].letter == letter)
			value = l->given[i].value;
	return value;
}

/* One word of options. Each letter takes a place of `given`, of which there are enough. */
static int
take_word(struct recipe_line *l, const struct verb *v, const struct pot_strs *words, size_t *at,
    struct err *e)
{
	const char *word = words->at[*at];

	if (word[0] != '-' || word[1] == '\0')
		return err_new(e, ERR_INPUT, "'%s': an option was expected", word);
	while (*++word != '\0') {
		bool usual = *word == 'p' || *word == 'v';
		const char *known = *word == ':' ? NULL : strchr(v->letters, *word);
		struct recipe_given g = { .letter = *word, .value = "" };
		if (known == NULL && !usual)
			return err_new(e, ERR_INPUT, "option -%c is unknown", *word);
		bool takes = known != NULL ? known[1] == ':' : *word == 'p';
		if (takes && word[1] == '\0' && *at + 1 >= words->n)
			return err_new(e, ERR_INPUT, "option -%c needs an argument", *word);
		if (takes)
			g.value = word[1] != '\0' ? word + 1 : words->at[++*at];
		if (!usual)
			l->given[l->n++] = g;
		if (takes)
			break;
	}
	return 0;
}

static int
options(
    struct recipe_line *l, const struct verb *v, const char *line, struct arena *mem, struct err *e)
{
	struct pot_strs words;
	bool shell;

	if (words_split(line, mem, &words, &shell, e) < 0)
		return -1;
	for (size_t i = 1; i < words.n; i++)
		if (take_word(l, v, &words, &i, e) < 0)
			return -1;
	for (const char *letter = v->needed; *letter != '\0'; letter++)
		if (recipe_option(l, *letter) == NULL)
			return err_new(e, ERR_INPUT, "option -%c is mandatory", *letter);
	return 0;
}

/* The rest of the line as it is, but for one pair of double quotes around it. */
static int
command(struct recipe_line *l, const char *rest, struct arena *mem, struct err *e)
{
	rest += strspn(rest, " \t");
	if (!str_starts(rest, "-c"))
		return err_new(e, ERR_INPUT, "only 'set-cmd -c COMMAND' is understood");
	rest += 2;
	rest += strspn(rest, " \t");
	char *cmd = arena_strdup(mem, rest);
	size_t n = strlen(cmd);
	while (n > 0 && strchr(" \t\r", cmd[n - 1]) != NULL)
		cmd[--n] = '\0';
	if (n > 1 && cmd[0] == '"' && cmd[n - 1] == '"') {
		cmd[n - 1] = '\0';
		cmd++;
	}
	l->given[l->n++] = (struct recipe_given){ .letter = 'c', .value = cmd };
	return 0;
}

int
recipe_parse(const char *line, struct arena *mem, struct recipe_line *l, struct err *e)
{
	line += strspn(line, " \t\r");
	size_t n = strcspn(line, " \t\r");
	*l = (struct recipe_line){ .verb = RECIPE_NOTHING, .word = arena_strndup(mem, line, n) };
	if (n == 0 || *line == '#')
		return 0;
	l->verb = RECIPE_UNKNOWN;
	for (size_t i = 0; i < NELEM(verbs); i++) {
		const struct verb *v = &verbs[i];
		if (strcmp(v->name, l->word) != 0)
			continue;
		l->verb = v->verb;
		l->given = arena_array(mem, strlen(line) + 1, struct recipe_given);
		int rc = v->verb == RECIPE_SET_CMD ? command(l, line + n, mem, e)
						   : options(l, v, line, mem, e);
		return rc < 0 ? err_ctx(e, "%s", v->name) : 0;
	}
	return 0;
}
