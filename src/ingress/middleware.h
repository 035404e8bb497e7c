/*
 * middleware.h: what a middleware means in HAProxy's configuration.
 *
 * Pure. A middleware that is not known, or has an option that is not carried out, is an error that
 * names it: a router must not run without the protection that it asked for.
 */
#ifndef INGRESS_MIDDLEWARE_H
#define INGRESS_MIDDLEWARE_H

#include "base/buf.h"
#include "ingress/tags.h"

/* Lines of configuration, each indented by a tab and ended. */
struct middleware_lines {
	struct buf section; /* sections of its own, before the backends: users, counters */
	struct buf backend; /* inside the backend, in the order of the chain */
};
void middleware_lines_fini(struct middleware_lines *l);

/* `counter` numbers the trackers in use in one backend, at most 3. -1: nothing was added. */
int middleware_write(
    const struct tag_middleware *m, int *counter, struct middleware_lines *out, struct err *e);

/* One word for HAProxy's configuration file, quoted so that nothing in it has a meaning. */
void config_quote(struct buf *b, const char *word);
/* The same for a log-format text: % stays %. */
void config_quote_format(struct buf *b, const char *text);

#endif
