/* pot_look.h: what the commands that look have in common. */
#ifndef CLI_POT_LOOK_H
#define CLI_POT_LOOK_H

#include "cli/pot_cli.h"

void json_pot_row(struct jsonw *w, const struct pot_row *row, struct arena *mem);

#endif
