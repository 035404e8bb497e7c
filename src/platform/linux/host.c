#include "platform/host.h"

#include "base/str.h"
#include "platform/isolate.h"
#include "platform/linux/ops.h"
#include "platform/mount.h"
#include "platform/overlay/overlay.h"
#include "platform/proc.h"

/* In the order in which they are tried when none is asked for. */
static const struct dataset_ops *const datasets[] = { &dataset_overlay };

static int
choose_dataset(struct host *h, struct err *e)
{
	const char *asked = h->roots.dataset_backend;

	for (size_t i = 0; i < NELEM(datasets); i++) {
		if (asked != NULL && !str_eq(asked, datasets[i]->name))
			continue;
		if (datasets[i]->probe(h, e) < 0) {
			if (asked != NULL)
				return -1;
			continue;
		}
		h->dataset = datasets[i];
		return 0;
	}
	if (asked != NULL)
		return err_new(e, ERR_INPUT,
		    "dataset backend '%s' is not known on this system; there is: overlay", asked);
	return -1;
}

int
host_native(struct host *out, const struct host_config *c, struct err *e)
{
	struct host h = {
		.isolate = &isolate_native,
		.mount = &mount_native,
		.netif = &netif_linux,
		.filter = &filter_linux,
		.limits = &limits_linux,
		.proc = &proc_native,
	};

	host_roots_set(&h, c);
	if (choose_dataset(&h, e) < 0) {
		host_fini(&h);
		return -1;
	}
	*out = h;
	return 0;
}
