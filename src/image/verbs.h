/*
 * verbs.h: the command line of pot-image. Not for people: `pot` and the runner call it.
 */
#ifndef IMAGE_VERBS_H
#define IMAGE_VERBS_H

/* pot-image [--report FD] VERB OPTIONS; the exit code: 0, 1 failed, 2 usage. */
int image_main(int argc, char **argv);

#endif
