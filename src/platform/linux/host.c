#include "platform/host.h"

#include "base/str.h"
#include "platform/btrfs/btrfs.h"
#include "platform/isolate.h"
#include "platform/linux/ops.h"
#include "platform/mount.h"
#include "platform/overlay/overlay.h"
#include "platform/proc.h"
#include "platform/zfs/zfs.h"

#include <unistd.h>

/* In the order in which they are tried when none is asked for. */
static const struct dataset_ops *const datasets[] = { &dataset_zfs, &dataset_btrfs,
	&dataset_overlay };

/* What an existing tree was made with: that does not change, or its pots would be lost from sight.
 */
static const struct dataset_ops *
made_with(const char *fs_root)
{
	/* the others leave a directory of their name */
	for (size_t i = 0; i < NELEM(datasets); i++) {
		autofree char *mark = xasprintf("%s/.%s", fs_root, datasets[i]->name);

		if (datasets[i] != &dataset_zfs && access(mark, F_OK) == 0)
			return datasets[i];
	}
	return zfs_made(fs_root) ? &dataset_zfs : NULL;
}

static int
choose_dataset(struct host *h, struct err *e)
{
	const char *asked = h->roots.dataset_backend;
	const struct dataset_ops *made = made_with(h->roots.fs_root);

	if (made != NULL && asked != NULL && !str_eq(asked, made->name))
		return err_new(e, ERR_INPUT,
		    "the tree at %s was made with %s, not %s: 'pot de-init' removes it, or change "
		    "POT_DATASET_BACKEND",
		    h->roots.fs_root, made->name, asked);
	if (made != NULL) {
		h->dataset = made;
		return 0;
	}
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
		    "dataset backend '%s' is not known on this system; there are: btrfs, overlay",
		    asked);
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
