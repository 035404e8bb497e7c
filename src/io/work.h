/*
 * work.h: the threads behind loop_work(). Used by loop.c alone.
 */
#ifndef IO_WORK_H
#define IO_WORK_H

#include "io/loop.h"

struct work_pool;
struct work_pool *work_pool_new(struct loop *l);
void work_pool_free(struct work_pool **p); /* finishes everything first */
void work_pool_add(struct work_pool *p, loop_fn *work, loop_fn *done, void *ctx);

#endif
