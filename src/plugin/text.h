/* text.h: text that Nomad accepts: its messages refuse what is not UTF-8. */
#ifndef PLUGIN_TEXT_H
#define PLUGIN_TEXT_H

#include "base/arena.h"

#include <stdint.h>

/* A copy in which every byte that belongs to no character is a '?'. */
char *text_utf8(const char *s, struct arena *a);

/* "<alloc>/<task>/<invocation>" → "<task>_<invocation>_<alloc>", the pot's name; what a name may
 * not hold becomes "_". An id of another shape becomes one word. */
char *text_pot_name(const char *task_id, struct arena *a);

/* "SIGHUP", "hup", "1"; 0 when unknown. */
int text_signal(const char *name);

#endif
