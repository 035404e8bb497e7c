#include "platform/host.h"

#include "base/ids.h"
#include "base/ip.h"
#include "platform/dataset.h"
#include "platform/filter.h"
#include "platform/limits.h"
#include "platform/netif.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

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

void
dataset_survey_fini(struct dataset_survey *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->at[i].name);
		free(s->at[i].origin);
		names_fini(&s->at[i].snapshots);
	}
	free(s->at);
	*s = (struct dataset_survey)DATASET_SURVEY_INIT;
}

struct dataset_facts *
dataset_survey_add(struct dataset_survey *s, const char *name)
{
	if ((s->n & (s->n - 1)) == 0)
		s->at = xrealloc(s->at, (s->n ? s->n * 2 : 1) * sizeof(*s->at));
	s->at[s->n] = (struct dataset_facts){ .name = xstrdup(name), .snapshots = NAMES_INIT };
	return &s->at[s->n++];
}

static int
compare_facts(const void *a, const void *b)
{
	return strcmp(
	    ((const struct dataset_facts *)a)->name, ((const struct dataset_facts *)b)->name);
}

void
dataset_survey_sort(struct dataset_survey *s)
{
	if (s->n > 1)
		qsort(s->at, s->n, sizeof(*s->at), compare_facts);
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

int
dataset_check_snapshot(const char *snap, struct err *e)
{
	if (dataset_check_name(snap, e) < 0)
		return -1;
	if (strchr(snap, '/') != NULL)
		return err_new(e, ERR_INPUT, "snapshot name '%s' has a slash in it", snap);
	return 0;
}

int
dataset_check_property(const char *key, const char *value, struct err *e)
{
	if (key[0] == '\0' || strpbrk(key, " \t\n") != NULL)
		return err_new(e, ERR_INPUT, "property name '%s' is empty or has blanks", key);
	if (value != NULL && strchr(value, '\n') != NULL)
		return err_new(
		    e, ERR_INPUT, "the value of property %s has a line break in it", key);
	return 0;
}

void
netif_mac(const struct netif_inside *in, uint8_t mac[6])
{
	const struct ip *a = in->addr4.addr.family != 0 ? &in->addr4.addr : &in->addr6.addr;
	uint64_t hash = ids_hash64(a->bytes, ip_size(a));

	if (in->mac_set) {
		memcpy(mac, in->mac, 6);
	} else if (a->family == 0) {
		ids_random(mac, 6);
	} else if (a->family == AF_INET) {
		memcpy(mac + 2, a->bytes, 4);
		mac[1] = 'p';
	} else {
		memcpy(mac, &hash, 6);
	}
	if (!in->mac_set)
		mac[0] = 0x02; /* locally administered, one station */
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

/* ---- the configuration ---- */

static const struct host_config defaults = {
	.fs_root = "/opt/pot",
	.run_dir = "/var/run/pot",
	.cgroup = "pot",
	.bridge = "pot0",
	.table = "pot",
	.zfs_root = "zroot/pot",
};

static const char *
copy_or(const char *value, const char *otherwise)
{
	if (value == NULL || value[0] == '\0')
		value = otherwise;
	return value == NULL ? NULL : xstrdup(value);
}

void
host_roots_set(struct host *h, const struct host_config *c)
{
	static const struct host_config none;

	if (c == NULL)
		c = &none;
	h->roots = (struct host_config){
		.fs_root = copy_or(c->fs_root, defaults.fs_root),
		.run_dir = copy_or(c->run_dir, defaults.run_dir),
		.cgroup = copy_or(c->cgroup, defaults.cgroup),
		.bridge = copy_or(c->bridge, defaults.bridge),
		.table = copy_or(c->table, defaults.table),
		.dataset_backend = copy_or(c->dataset_backend, NULL),
		.zfs_root = copy_or(c->zfs_root, defaults.zfs_root),
		.zfs_command = copy_or(c->zfs_command, NULL),
		.cache = copy_or(c->cache, NULL),
		.reserve_memory_bytes = c->reserve_memory_bytes,
		.reserve_cpus = c->reserve_cpus,
	};
}

static void
free_const(const char *text)
{
	free((void *)(uintptr_t)text);
}

void
host_fini(struct host *h)
{
	free_const(h->roots.fs_root);
	free_const(h->roots.run_dir);
	free_const(h->roots.cgroup);
	free_const(h->roots.bridge);
	free_const(h->roots.table);
	free_const(h->roots.dataset_backend);
	free_const(h->roots.zfs_root);
	free_const(h->roots.zfs_command);
	free_const(h->roots.cache);
	*h = (struct host)HOST_INIT;
}
