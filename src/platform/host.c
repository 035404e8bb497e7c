#include "platform/host.h"

#include "platform/dataset.h"
#include "platform/filter.h"
#include "platform/limits.h"
#include "platform/netif.h"

#include <stdlib.h>
#include <string.h>

void
names_add(struct names *l, const char *name)
{
	/* grows by doubling at each power of two, so no capacity needs to be kept */
	if ((l->n & (l->n - 1)) == 0)
		l->at = xrealloc(l->at, (l->n ? l->n * 2 : 1) * sizeof(*l->at));
	l->at[l->n++] = xstrdup(name);
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void
names_sort(struct names *l)
{
	if (l->n > 1)
		qsort(l->at, l->n, sizeof(*l->at), compare);
}

void
names_fini(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->at[i]);
	free(l->at);
	*l = (struct names)NAMES_INIT;
}

void
dataset_root_fini(struct dataset_root *r)
{
	free(r->plain);
	names_fini(&r->lower);
	free(r->upper);
	free(r->work);
	*r = (struct dataset_root)DATASET_ROOT_INIT;
}

static int
check_component(const char *name, const char *at, size_t len, struct err *e)
{
	static const char allowed[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	if (len == 0 || len > 255)
		return err_new(e, ERR_INPUT,
		    "dataset name '%s': each component needs 1 to 255 characters", name);
	if (at[0] == '.')
		return err_new(
		    e, ERR_INPUT, "dataset name '%s': a component may not start with a dot", name);
	if (strspn(at, allowed) < len)
		return err_new(e, ERR_INPUT,
		    "dataset name '%s': only letters, digits and ._- are allowed", name);
	return 0;
}

int
dataset_check_name(const char *name, struct err *e)
{
	for (const char *at = name;;) {
		size_t len = strcspn(at, "/");

		if (check_component(name, at, len, e) < 0)
			return -1;
		if (at[len] == '\0')
			return 0;
		at += len + 1;
	}
}

void
netif_links_fini(struct netif_links *l)
{
	free(l->at);
	*l = (struct netif_links)NETIF_LINKS_INIT;
}

void
netif_bridge_fini(struct netif_bridge *b)
{
	free(b->addrs);
	netif_links_fini(&b->members);
	*b = (struct netif_bridge)NETIF_BRIDGE_INIT;
}

void
filter_entries_fini(struct filter_entries *l)
{
	free(l->at);
	*l = (struct filter_entries)FILTER_ENTRIES_INIT;
}
