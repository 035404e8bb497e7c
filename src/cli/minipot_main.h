/* minipot_main.h: what bin/minipot.c calls. */
#ifndef CLI_MINIPOT_MAIN_H
#define CLI_MINIPOT_MAIN_H

int minipot_main(int argc, char **argv); /* the exit status */

#endif
