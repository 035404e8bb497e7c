/* pot_look.h: what the commands that look have in common. */
#ifndef CLI_POT_LOOK_H
#define CLI_POT_LOOK_H

#include "cli/pot_cli.h"

/* -o wide: a line a pot. */
void pot_wide_table(struct pot_call *c, const struct pot_row *rows, size_t n);
void json_pot_row(struct jsonw *w, const struct pot_row *row, struct arena *mem);

#endif
