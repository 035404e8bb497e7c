/*
 * settings.h: files of name="value" lines that shells and loaders read (rc.conf(5),
 * loader.conf(5)), changed one value at a time; everything else in them stays as it is, byte by
 * byte.
 *
 * A value may be in double quotes, in single quotes, or bare, and its quotes may span lines. Of
 * several assignments to one name the last one counts. Only assignments at the beginning of a line
 * are seen: no `: ${name=value}`, no `export`.
 */
#ifndef PLATFORM_SETTINGS_H
#define PLATFORM_SETTINGS_H

#include "base/arena.h"
#include "base/buf.h"

#include <stdbool.h>

/* The value that counts, without its quotes; NULL: the text does not set it. */
char *settings_get(const char *text, const char *name, struct arena *a);
/* What the system does where its own file says nothing: the value in the file of defaults, which
 * may be NULL; "" when there is none. */
const char *settings_default(const char *defaults, const char *name, struct arena *a);
/* The text with name="value" appended to *out: in the place of the assignment that counts, else as
 * a new last line. value NULL: without any assignment to it. false: nothing differs. value holds no
 * double quote, backslash, backquote, dollar or newline. */
bool settings_set(const char *text, const char *name, const char *value, struct buf *out);
/* May this be a value for settings_set? */
bool settings_valid(const char *value);

#endif
