#include "platform/isolate.h"
#include "pot/priv.h"

#include <string.h>

#define DIGITS	"0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

int
pot_name_check(const char *name, struct err *e)
{
	if (name == NULL || *name == '\0')
		return err_new(e, ERR_INPUT, "a pot's name is missing");
	if (strlen(name) > POT_NAME_MAX)
		return err_new(e, ERR_INPUT, "pot name '%.40s…' is longer than %d characters", name,
		    POT_NAME_MAX);
	if (strchr(DIGITS LETTERS, *name) == NULL ||
	    name[strspn(name, DIGITS LETTERS "_-")] != '\0')
		return err_new(e, ERR_INPUT,
		    "'%s' is no pot name: letters, digits, '_' and '-', starting with a letter or "
		    "digit",
		    name);
	if (str_starts(name, ISOLATE_ENDING))
		return err_new(e, ERR_INPUT,
		    "'%s' is no pot name: what begins with '%s' is what is left of a pot that ends",
		    name, ISOLATE_ENDING);
	if (name[strspn(name, DIGITS)] == '\0')
		return err_new(e, ERR_INPUT,
		    "'%s' is no pot name: one letter at least, since numbers are ids", name);
	return 0;
}

int
pot_word_check(const char *what, const char *word, struct err *e)
{
	if (word == NULL || *word == '\0')
		return err_new(e, ERR_INPUT, "the %s is missing", what);
	if (strlen(word) > POT_NAME_MAX || strchr(DIGITS LETTERS, *word) == NULL ||
	    word[strspn(word, DIGITS LETTERS "._-")] != '\0')
		return err_new(e, ERR_INPUT,
		    "'%s' is no %s: letters, digits, '.', '_' and '-', starting with a letter or "
		    "digit, at most %d",
		    word, what, POT_NAME_MAX);
	return 0;
}

char *
pot_dir(const struct pot_env *env, const char *name, struct arena *mem)
{
	return arena_printf(mem, "%s/jails/%s", env->conf.fs_root, name);
}

char *
pot_image_name(const char *name, const char *tag, struct arena *mem)
{
	char *out = arena_printf(mem, "%s_%s", name, tag);

	for (char *p = out; *p != '\0'; p++)
		if (*p == '.')
			*p = '_';
	return out;
}

const char *
ds_pot(char out[DATASET_SIZE], const char *pot)
{
	snprintf(out, DATASET_SIZE, "jails/%s", pot);
	return out;
}

const char *
ds_root(char out[DATASET_SIZE], const char *pot)
{
	snprintf(out, DATASET_SIZE, "jails/%s/m", pot);
	return out;
}
