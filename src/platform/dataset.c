#include "platform/dataset.h"

#include <stddef.h>

static int
make_one(struct host *h, const struct dataset_new *d, struct err *e)
{
	if (d->from == NULL)
		return h->dataset->create(h, d->name, d->kind, e);
	return d->copy ? h->dataset->copy(h, d->from, d->snap, d->name, e)
		       : h->dataset->clone(h, d->from, d->snap, d->name, e);
}

int
dataset_begin(
    struct host *h, const struct dataset_new *list, size_t n, struct dataset_work *w, struct err *e)
{
	*w = (struct dataset_work)DATASET_WORK_INIT;
	if (h->dataset->begin != NULL) {
		if (h->dataset->begin(h, list, n, &w->work, e) < 0)
			return -1;
		w->host = h;
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		if (make_one(h, &list[i], e) < 0)
			return -1;
	return 0;
}

int
dataset_end(struct dataset_work *w, struct err *e)
{
	struct dataset_work now = *w;

	*w = (struct dataset_work)DATASET_WORK_INIT;
	return now.host == NULL ? 0 : now.host->dataset->end(now.host, now.work, e);
}

void
dataset_work_fini(struct dataset_work *w)
{
	struct err ignored = ERR_INIT;

	(void)dataset_end(w, &ignored);
}

int
dataset_snapshots_of(
    struct host *h, const char *const *names, size_t n, struct names *out, struct err *e)
{
	if (h->dataset->snapshots_of != NULL)
		return h->dataset->snapshots_of(h, names, n, out, e);
	for (size_t i = 0; i < n; i++)
		if (h->dataset->snapshots(h, names[i], &out[i], e) < 0)
			return -1;
	return 0;
}
