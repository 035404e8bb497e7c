/* Interfaces, by the kernel's own requests: neither ifconfig nor route is run. */
#include "platform/freebsd/links.h"
#include "platform/freebsd/ops.h"

#include <errno.h>
#include <sys/types.h>
#include <sys/sysctl.h>

static int
probe(struct host *h, struct err *e)
{
	autostack struct stack s = STACK_INIT;

	(void)h;
	return stack_open(&s, e);
}

static int
switch_on(const char *name, struct err *e)
{
	int now = 0, on = 1;
	size_t len = sizeof(now);

	if (sysctlbyname(name, &now, &len, NULL, 0) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "read %s", name);
	if (now == 0 && sysctlbyname(name, NULL, NULL, &on, sizeof(on)) < 0)
		return err_sys(e, "set %s", name);
	return 0;
}

static int
forwarding_enable(struct host *h, struct err *e)
{
	(void)h;
	if (switch_on("net.inet.ip.forwarding", e) < 0)
		return -1;
	/* A machine that forwards ignores router advertisements unless told otherwise: a host that
	 * got its own address and route by them would lose both. */
	return switch_on("net.inet6.ip6.rfc6204w3", e) < 0 ||
		       switch_on("net.inet6.ip6.forwarding", e) < 0
		   ? -1
		   : 0;
}

const struct netif_ops netif_freebsd = {
	.name = "epair and if_bridge",
	.probe = probe,
	.bridge_ensure = bridge_ensure,
	.bridge_remove = bridge_remove,
	.bridge_info = bridge_info,
	.pair_up = pair_up,
	.alias_up = alias_up,
	.alias_ready = alias_ready,
	.alias_down = alias_down,
	.aliases = aliases_list,
	.loopback_up = loopback_up,
	.link_remove = link_remove,
	.links = links_list,
	.addresses = links_addresses,
	.forwarding_enable = forwarding_enable,
	.external = route_external,
};
