/* What is not there yet says so, by name, at each operation: commands that need no machine work. */
#include "platform/host.h"

#include "platform/filter.h"
#include "platform/isolate.h"
#include "platform/limits.h"
#include "platform/mount.h"
#include "platform/netif.h"
#include "platform/proc.h"
#include "platform/zfs/zfs.h"

#pragma GCC diagnostic ignored "-Wunused-parameter"

#define NOT_YET(what, name, ...)                                                                   \
	static int name(struct host *h, __VA_ARGS__)                                               \
	{                                                                                          \
		return err_new(e, ERR_UNSUPPORTED,                                                 \
		    what " are not there yet: this build keeps pots on Linux only");               \
	}

/* ---- interfaces ---- */

NOT_YET("epair interfaces", net_do, struct err *e)
NOT_YET("epair interfaces", net_ensure, const char *name, const struct ipnet *a, size_t n,
    struct err *e)
NOT_YET("epair interfaces", net_name, const char *name, struct err *e)
NOT_YET("epair interfaces", net_info, const char *name, struct netif_bridge *out, struct err *e)
NOT_YET("epair interfaces", net_pair, const struct netif_pair *p, const struct netif_inside *in,
    struct err *e)
NOT_YET("epair interfaces", net_alias_up, const struct netif_pair *p, const struct netif_alias *at,
    size_t n, struct err *e)
NOT_YET("epair interfaces", net_alias_down, const char *pair, const struct netif_alias *at,
    size_t n, struct err *e)
NOT_YET("epair interfaces", net_aliases, struct netif_alias **out, size_t *n, struct err *e)
NOT_YET("epair interfaces", net_loopback, pid_t pid, int netns, struct err *e)
NOT_YET("epair interfaces", net_links, const char *prefix, struct netif_links *out, struct err *e)
NOT_YET("epair interfaces", net_addresses, const char *name, struct ipnet **out, size_t *n,
    struct err *e)
NOT_YET("epair interfaces", net_external, int family, char out[NETIF_NAME], struct err *e)

static const struct netif_ops netif_freebsd = {
	.name = "epair and if_bridge",
	.probe = net_do,
	.bridge_ensure = net_ensure,
	.bridge_remove = net_name,
	.bridge_info = net_info,
	.pair_up = net_pair,
	.alias_up = net_alias_up,
	.alias_down = net_alias_down,
	.aliases = net_aliases,
	.loopback_up = net_loopback,
	.link_remove = net_name,
	.links = net_links,
	.addresses = net_addresses,
	.forwarding_enable = net_do,
	.external = net_external,
};

/* ---- filter ---- */

NOT_YET("pf anchors", pf_do, struct err *e)
NOT_YET("pf anchors", pf_ready, bool isolated, struct err *e)
NOT_YET("pf anchors", pf_setup, const struct filter_net *n, struct err *e)
NOT_YET("pf anchors", pf_obstacles, struct names *out, struct err *e)
NOT_YET("pf anchors", pf_add, const char *run, const struct filter_port *p, size_t n, struct err *e)
NOT_YET("pf anchors", pf_remove, const char *run, struct err *e)
NOT_YET("pf anchors", pf_ports, struct filter_entries *out, struct err *e)

static const struct filter_ops filter_freebsd = {
	.name = "pf",
	.prints_pf = true,
	.probe = pf_do,
	.setup = pf_setup,
	.ready = pf_ready,
	.obstacles = pf_obstacles,
	.teardown = pf_do,
	.ports_add = pf_add,
	.ports_remove = pf_remove,
	.ports = pf_ports,
};

/* ---- limits ---- */

NOT_YET("rctl limits", rctl_do, struct err *e)
NOT_YET("rctl limits", rctl_set, const char *run, const struct limits *l, struct err *e)
NOT_YET("rctl limits", rctl_join, const char *run, struct names *out, struct err *e)
NOT_YET("rctl limits", rctl_usage, const char *run, struct usage *out, struct err *e)
NOT_YET("rctl limits", rctl_pids, const char *run, int **out, size_t *n, struct err *e)
NOT_YET("rctl limits", rctl_run, const char *run, struct err *e)
NOT_YET("rctl limits", rctl_list, struct names *out, struct err *e)

static const struct limits_ops limits_freebsd = {
	.name = "rctl",
	.probe = rctl_do,
	.create = rctl_set,
	.update = rctl_set,
	.join = rctl_join,
	.usage = rctl_usage,
	.pids = rctl_pids,
	.kill = rctl_run,
	.remove = rctl_run,
	.list = rctl_list,
	.teardown = rctl_do,
};

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
	host_roots_set(out, c);
	return 0;
}
