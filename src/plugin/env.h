/* env.h: what a task's process finds: variables and name servers. */
#ifndef PLUGIN_ENV_H
#define PLUGIN_ENV_H

#include "codec/model.h"
#include "plugin.pb-c.h"

struct err;

/* "NAME=value": the task's variables without those that the agent merely has itself, then those of
 * the file (below the task's directory; "" none). */
int env_gather(
    struct strs *out, const Np__TaskConfig *task, const char *file, struct arena *a, struct err *e);

/* What stands in /etc/resolv.conf: the name servers of the config, else of the task; NULL: neither
 * has a wish. Without any server the pot gets the machine's before it (pot-runner sees to that). */
int resolver_text(
    const char **out, const struct strs *dns, const Np__Dns *task, struct arena *a, struct err *e);

#endif
