/* Datasets are real directories: the overlay backend needs nothing of the kernel but a mount, which
 * the fake does not make. */
#include "platform/fake/ops.h"
#include "platform/overlay/overlay.h"
#include "platform/overlay/store.h"

static int
root_create(struct host *h, struct err *e)
{
	FAKE_OP(h->self, "dataset.root_create", dataset_overlay.root_create(h, e));
}

static int
root_destroy(struct host *h, struct err *e)
{
	FAKE_OP(h->self, "dataset.root_destroy", dataset_overlay.root_destroy(h, e));
}

static int
share(struct host *h, unsigned gid, struct err *e)
{
	FAKE_OP(h->self, "dataset.share", dataset_overlay.share(h, gid, e));
}

static int
create(struct host *h, const char *name, enum dataset_kind kind, struct err *e)
{
	FAKE_OP(h->self, "dataset.create", dataset_overlay.create(h, name, kind, e));
}

static int
destroy(struct host *h, const char *name, bool recursive, struct err *e)
{
	FAKE_OP(h->self, "dataset.destroy", dataset_overlay.destroy(h, name, recursive, e));
}

static int
rename(struct host *h, const char *from, const char *to, struct err *e)
{
	FAKE_OP(h->self, "dataset.rename", dataset_overlay.rename(h, from, to, e));
}

static int
exists(struct host *h, const char *name, struct err *e)
{
	FAKE_OP(h->self, "dataset.exists", dataset_overlay.exists(h, name, e));
}

static int
list(struct host *h, const char *prefix, struct names *out, struct err *e)
{
	FAKE_OP(h->self, "dataset.list", dataset_overlay.list(h, prefix, out, e));
}

static int
snapshot(struct host *h, const char *name, const char *snap, bool recursive, struct err *e)
{
	FAKE_OP(h->self, "dataset.snapshot", dataset_overlay.snapshot(h, name, snap, recursive, e));
}

static int
snapshots(struct host *h, const char *name, struct names *out, struct err *e)
{
	FAKE_OP(h->self, "dataset.snapshots", dataset_overlay.snapshots(h, name, out, e));
}

static int
rollback(struct host *h, const char *name, const char *snap, struct err *e)
{
	FAKE_OP(h->self, "dataset.rollback", dataset_overlay.rollback(h, name, snap, e));
}

static int
snapshot_destroy(struct host *h, const char *name, const char *snap, struct err *e)
{
	FAKE_OP(h->self, "dataset.snapshot_destroy",
	    dataset_overlay.snapshot_destroy(h, name, snap, e));
}

static int
clone(struct host *h, const char *name, const char *snap, const char *to, struct err *e)
{
	FAKE_OP(h->self, "dataset.clone", dataset_overlay.clone(h, name, snap, to, e));
}

static int
copy(struct host *h, const char *name, const char *snap, const char *to, struct err *e)
{
	FAKE_OP(h->self, "dataset.copy", dataset_overlay.copy(h, name, snap, to, e));
}

static int
origin(struct host *h, const char *name, char **out, struct err *e)
{
	FAKE_OP(h->self, "dataset.origin", dataset_overlay.origin(h, name, out, e));
}

static int
survey(struct host *h, const char *name, const struct dataset_watch *watch,
    struct dataset_survey *out, struct err *e)
{
	FAKE_OP(h->self, "dataset.survey", dataset_overlay.survey(h, name, watch, out, e));
}

static int
property_get(struct host *h, const char *name, const char *key, char **out, struct err *e)
{
	FAKE_OP(
	    h->self, "dataset.property_get", dataset_overlay.property_get(h, name, key, out, e));
}

static int
property_set(struct host *h, const char *name, const char *key, const char *value, struct err *e)
{
	FAKE_OP(
	    h->self, "dataset.property_set", dataset_overlay.property_set(h, name, key, value, e));
}

static int
root(struct host *h, const char *name, struct dataset_root *out, struct err *e)
{
	FAKE_OP(h->self, "dataset.root", dataset_overlay.root(h, name, out, e));
}

static int
sweep(struct host *h, struct err *e)
{
	FAKE_OP(h->self, "dataset.sweep", dataset_overlay.sweep(h, e));
}

static int
probe(struct host *h, struct err *e)
{
	(void)h, (void)e;
	return 0;
}

const struct dataset_ops fake_dataset = {
	.name = "fake",
	.store = &store_overlay,
	.probe = probe,
	.root_create = root_create,
	.root_destroy = root_destroy,
	.share = share,
	.create = create,
	.destroy = destroy,
	.rename = rename,
	.exists = exists,
	.list = list,
	.snapshot = snapshot,
	.snapshots = snapshots,
	.rollback = rollback,
	.snapshot_destroy = snapshot_destroy,
	.clone = clone,
	.copy = copy,
	.origin = origin,
	.survey = survey,
	.property_get = property_get,
	.property_set = property_set,
	.root = root,
	.sweep = sweep,
};
