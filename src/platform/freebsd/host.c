#include "platform/host.h"

#include "platform/freebsd/ops.h"
#include "platform/isolate.h"
#include "platform/mount.h"
#include "platform/proc.h"
#include "platform/zfs/zfs.h"

int
host_native(struct host *out, const struct host_config *c, struct err *e)
{
	*out = (struct host){
		.isolate = &isolate_native,
		.dataset = &dataset_zfs,
		.mount = &mount_native,
		.netif = &netif_freebsd,
		.filter = &filter_freebsd,
		.limits = &limits_freebsd,
		.proc = &proc_native,
	};
	(void)e;
	host_roots_set(out, c);
	return 0;
}
