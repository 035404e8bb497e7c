/*
 * potcpu.h: the questions about processors that the program potcpu answers.
 */
#ifndef CLI_POTCPU_H
#define CLI_POTCPU_H

int potcpu_main(int argc, char **argv); /* the exit code */

#endif
