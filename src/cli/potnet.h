/*
 * potnet.h: the questions about the pots' networks that the program potnet answers.
 */
#ifndef CLI_POTNET_H
#define CLI_POTNET_H

#include "pot/machine.h"

int potnet_main(int argc, char **argv); /* the exit code */

/* What is taken of the public network (NULL) or of a private bridge's, on standard output; `pot
 * info -B` prints the same. */
int potnet_show(struct pot_env *env, const char *bridge, bool json, struct err *e);

#endif
