/*
 * ops.h: the tables of the fake. Internal to platform/fake.
 */
#ifndef PLATFORM_FAKE_OPS_H
#define PLATFORM_FAKE_OPS_H

#include "platform/dataset.h"
#include "platform/fake/fake.h"
#include "platform/filter.h"
#include "platform/isolate.h"
#include "platform/limits.h"
#include "platform/mount.h"
#include "platform/netif.h"
#include "platform/proc.h"

extern struct fake_host *fake_current;

extern const struct isolate_ops fake_isolate;
extern const struct dataset_ops fake_dataset;
extern const struct mount_ops fake_mount;
extern const struct netif_ops fake_netif;
extern const struct filter_ops fake_filter;
extern const struct limits_ops fake_limits;
extern const struct proc_ops fake_proc;

/* The body of an operation: counted, refused or crashed around `act`, which gives 0, a count or -1.
 */
#define FAKE_OP(f, what, act)                                                                      \
	do {                                                                                       \
		int result_;                                                                       \
		if (fake_call((f), (what), e) < 0)                                                 \
			return -1;                                                                 \
		result_ = (act);                                                                   \
		fake_done(f);                                                                      \
		return result_;                                                                    \
	} while (0)

#endif
