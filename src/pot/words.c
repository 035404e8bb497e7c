#include "pot/priv.h"

#include <string.h>

/*
 * A command line as words. Quotes and backslashes are processed as sh(1) does; as soon as a line
 * holds anything else that only a shell can do, the caller gives the whole line to the pot's own.
 */

static const char shell_only[] = "$`|&;<>()*?[\n~{}!";

struct splitter {
	const char *p;
	struct buf word;
	bool in_word, shell;
};

static int
quoted(struct splitter *s, char quote, struct err *e)
{
	for (s->in_word = true; *s->p != quote; s->p++) {
		if (*s->p == '\0')
			return err_new(e, ERR_INPUT, "the quote %c is not closed", quote);
		if (quote == '"' && (*s->p == '$' || *s->p == '`'))
			s->shell = true;
		if (quote == '"' && *s->p == '\\' && s->p[1] != '\0' &&
		    strchr("\\\"$`", s->p[1]) != NULL)
			s->p++;
		buf_addc(&s->word, *s->p);
	}
	s->p++;
	return 0;
}

static int
character(struct splitter *s, struct err *e)
{
	char c = *s->p++;

	if (c == '\'' || c == '"')
		return quoted(s, c, e);
	if (c == '\\' && *s->p == '\0')
		return err_new(e, ERR_INPUT, "a backslash at the end");
	if (c == '\\')
		c = *s->p++;
	else if (strchr(shell_only, c) != NULL || (c == '#' && !s->in_word))
		s->shell = true;
	buf_addc(&s->word, c);
	s->in_word = true;
	return 0;
}

/* "NAME=value" in front of the first word is an assignment, which is a shell's. */
static bool
assignment(const char *word)
{
	const char *eq = strchr(word, '=');
	static const char name[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

	return eq != NULL && eq > word && strspn(word, name) == (size_t)(eq - word);
}

int
words_split(
    const char *line, struct arena *mem, struct pot_strs *out, bool *needs_shell, struct err *e)
{
	struct splitter s = { .p = line, .word = BUF_INIT };
	struct strs_builder words = STRS_BUILDER(out, mem);
	int rc = 0;

	*out = (struct pot_strs){ 0 };
	while (rc == 0) {
		if (*s.p != '\0' && *s.p != ' ' && *s.p != '\t') {
			rc = character(&s, e);
			continue;
		}
		if (s.in_word)
			list_add(&words, arena_strdup(mem, buf_str(&s.word)));
		buf_reset(&s.word);
		s.in_word = false;
		if (*s.p == '\0')
			break;
		s.p++;
	}
	buf_fini(&s.word);
	*needs_shell = s.shell || (out->n > 0 && assignment(out->at[0]));
	return rc;
}

void
words_quote(const char *word, struct buf *out)
{
	buf_addc(out, '\'');
	for (; *word != '\0'; word++)
		if (*word == '\'')
			buf_adds(out, "'\\''");
		else
			buf_addc(out, *word);
	buf_addc(out, '\'');
}

static bool
plain(const char *word)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "_-./:,+@%=";

	return *word != '\0' && word[strspn(word, safe)] == '\0';
}

char *
words_join(const char *const *argv, struct arena *mem)
{
	autobuf struct buf line = BUF_INIT;

	for (size_t i = 0; argv[i] != NULL; i++) {
		if (i > 0)
			buf_addc(&line, ' ');
		if (plain(argv[i]) && !(i == 0 && assignment(argv[i])))
			buf_adds(&line, argv[i]);
		else
			words_quote(argv[i], &line);
	}
	return arena_strdup(mem, buf_str(&line));
}
