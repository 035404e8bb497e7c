/*
 * allocdir.h: the directories of an allocation, as Nomad lays them out.
 *
 *	<root>/<alloc id>/alloc/{logs,tmp,data}     shared by the tasks of the group
 *	<root>/<alloc id>/<task>/{local,secrets,tmp} the task's own
 */
#ifndef CLIENT_ALLOCDIR_H
#define CLIENT_ALLOCDIR_H

#include "base/err.h"

/* Makes what is missing; making it twice is fine. */
int allocdir_make(const char *root, const char *alloc_id, struct err *e);
int allocdir_make_task(const char *root, const char *alloc_id, const char *task, struct err *e);

/* Removes the whole directory, never following a link out of it; absent is fine. */
int allocdir_remove(const char *root, const char *alloc_id, struct err *e);

#endif
