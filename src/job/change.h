/*
 * change.h: between the files that compare jobs. The folder's own.
 */
#ifndef JOB_CHANGE_H
#define JOB_CHANGE_H

#include "job/job.h"

/* Whether the task alone (not what it inherits) must be replaced to become b. */
bool task_replaced(const struct task *a, const struct task *b);

#endif
