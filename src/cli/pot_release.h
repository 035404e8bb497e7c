/*
 * pot_release.h: releases of FreeBSD: the tarball of their base system, checked by its manifest.
 */
#ifndef CLI_POT_RELEASE_H
#define CLI_POT_RELEASE_H

#include "cli/pot_cli.h"

/* "14.2" is "14.2-RELEASE"; what names its kind already (RC, BETA) stays. Arena memory. */
char *release_name(struct pot_call *c, const char *given);
/* The path of its base.txz in the cache, fetched when it is not there or not what its manifest
 * says. ERR_UNSUPPORTED: this machine does not run FreeBSD. ERR_ABSENT: no such release. */
int release_tarball(struct pot_call *c, const char *release, char **path, struct err *e);

#endif
