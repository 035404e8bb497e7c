/*
 * pot_import.h: libpot's imports with images by pot-image: for the command and the runner.
 */
#ifndef CLI_POT_IMPORT_H
#define CLI_POT_IMPORT_H

#include "image/image.h"
#include "pot/pot.h"

/* The key that images must be signed with: `asked` (-C; "" for none), else the configured one;
 * *key is NULL when none is wanted. ERR_RIGHTS: the configuration insists on one. */
int import_key(struct pot_env *env, const char *asked, const char **key, struct err *e);

/* Makes the pot <pot>_<tag> of an image in the registry at url, and those below it. */
int import_image(struct pot_env *env, const struct image_tool *tool, const char *url,
    const char *key, const char *pot, const char *tag, struct err *e);

#endif
