/*
 * export.h: a stopped pot's files, lent to somebody who makes an image of them.
 */
#ifndef POT_EXPORT_H
#define POT_EXPORT_H

#include "pot/pot.h"

/* Called in a child process in which the pot's tree is put together, read-only, for the length of
 * the call; both paths are usable by programs it starts. What it returns is what pot_lend()
 * returns. */
typedef int pot_lend_fn(const char *conf_dir, const char *root_dir, void *ctx, struct err *e);

/* Holds the pot's lock meanwhile. ERR_BUSY: it runs. */
int pot_lend(struct pot_env *env, const char *name, pot_lend_fn *fn, void *ctx, struct err *e);

#endif
