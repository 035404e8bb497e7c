/*
 * events.h: the last changes of the state, kept for those who ask for a stream of them. Private to
 * api/.
 */
#ifndef API_EVENTS_H
#define API_EVENTS_H

#include "api/call.h"

struct events *events_new(struct loop *l, struct state *s);
void events_free(struct events *e); /* after the streams have ended */

#endif
