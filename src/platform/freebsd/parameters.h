/*
 * parameters.h: from what a pot is told to be to the parameters of its jail, and the file systems
 * that jail(8) would mount for it. Internal to this folder.
 */
#ifndef PLATFORM_FREEBSD_PARAMETERS_H
#define PLATFORM_FREEBSD_PARAMETERS_H

#include "platform/freebsd/jail.h"
#include "platform/isolate.h"

#include <netinet/in.h>

enum { PARAMETERS_ADDRESSES = 32, PARAMETERS_RELEASE = 32 };
struct parameters {
	struct jail_parameters jail;
	int ruleset;
	bool fdescfs, procfs;
	const char *release; /* of the configuration, or NULL */
	char found[PARAMETERS_RELEASE];
	struct in_addr four[PARAMETERS_ADDRESSES];
	struct in6_addr six[PARAMETERS_ADDRESSES];
	size_t n_four, n_six;
};

/* isolate_ops.attributes */
extern const char *const parameters_attributes[];

/* Points into itself: it must not be moved afterwards. */
int parameters_read(struct parameters *p, const struct isolate_spec *spec, struct err *e);
/* /dev by its ruleset, and what else is wanted. */
int parameters_mount(const struct parameters *p, int root_fd, struct err *e);
/* The release that the files of the root tell, else that of the configuration. */
void parameters_release(struct parameters *p, int root_fd);

#endif
