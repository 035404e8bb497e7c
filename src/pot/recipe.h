/*
 * recipe.h: lines of a flavour's file of commands. Internal to libpot; touches nothing.
 */
#ifndef POT_RECIPE_H
#define POT_RECIPE_H

#include "base/arena.h"
#include "base/err.h"

#include <stddef.h>

enum recipe_verb {
	RECIPE_NOTHING, /* an empty line, a remark */
	RECIPE_UNKNOWN, /* word says what; to be told and skipped */
	RECIPE_ADD_DEP,
	RECIPE_COPY_IN,
	RECIPE_COPY_IN_FLV,
	RECIPE_EXPORT_PORTS,
	RECIPE_MOUNT_IN,
	RECIPE_SET_ATTRIBUTE,
	RECIPE_SET_CMD, /* option 'c' is the rest of the line */
	RECIPE_SET_ENV,
	RECIPE_SET_RSS,
	RECIPE_VERBS
};

struct recipe_given {
	char letter;
	const char *value; /* "" for a switch */
};

struct recipe_line {
	enum recipe_verb verb;
	const char *word; /* the first one */
	struct recipe_given *given;
	size_t n;
};

/* Options as the command itself takes them: clustered, the value behind the letter or in the next
 * word. -p and -v are read over, since the pot is the one in the making. Memory of the arena.
 * ERR_INPUT: an unknown option, a missing value, or one that must be there. */
int recipe_parse(const char *line, struct arena *, struct recipe_line *, struct err *);
/* The last value of an option, or NULL. */
const char *recipe_option(const struct recipe_line *, char letter);

#endif
