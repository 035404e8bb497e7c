/*
 * Pairs of interfaces: one end on a bridge, the other inside a pot's network stack.
 *
 * A pair is made inside the jail, named there, and its outer end is fetched from it. So it belongs
 * to the jail's stack: whenever the jail goes, also when whoever made it is killed half-way, the
 * kernel takes both ends along. To destroy a pair whose other end is just being torn down is what
 * the kernel does not bear well: whoever removes the jail does it before (stack_end()).
 */
#include "platform/freebsd/links.h"

#include "base/ids.h"
#include "base/str.h"

#include <errno.h>
#include <net/if_mib.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/sockio.h>
#include <sys/sysctl.h>

/* Names of both ends; the outer one has its final name and waits to be fetched. */
static int
make_inside(const struct stack *in, const struct netif_pair *p, char inner[IFNAMSIZ], struct err *e)
{
	char outer[IFNAMSIZ];
	size_t len;

	if (link_create(in->inet, "epair", outer, e) < 0)
		return -1;
	(void)str_copy(inner, IFNAMSIZ, outer);
	len = strlen(inner);
	if (len == 0 || inner[len - 1] != 'a')
		return err_new(e, ERR_UNSUPPORTED, "the kernel named a new pair '%s'", outer);
	inner[len - 1] = 'b';
	if (link_rename(in->inet, outer, p->name, e) < 0 ||
	    (p->alias != NULL && link_describe(in->inet, p->name, p->alias, e) < 0)) {
		struct err again = ERR_INIT;

		(void)link_destroy(in->inet, inner, &again);
		return -1;
	}
	return 0;
}

static int
fetch(int fd, const char *name, int jid, struct err *e)
{
	struct ifreq r = { .ifr_name = "" };

	(void)str_copy(r.ifr_name, sizeof(r.ifr_name), name);
	r.ifr_jid = jid;
	if (ioctl(fd, SIOCSIFRVNET, &r) < 0)
		return err_sys(e, "fetch interface %s from the jail %d", name, jid);
	return 0;
}

static int
loopback(const struct stack *in, struct err *e)
{
	struct ipnet own;

	(void)ipnet_parse("127.0.0.1/8", &own);
	if (link_flags(in->inet, "lo0", IFF_UP, 0, e) < 0 || address_add(in, "lo0", &own, e) < 0)
		return err_ctx(e, "set up the loopback interface");
	return 0;
}

static int
inside_up(const struct stack *s, const char *name, const struct netif_inside *in, struct err *e)
{
	uint8_t mac[6];

	netif_mac(in, mac);
	/* what comes up has its own link-local address at once */
	if (loopback(s, e) < 0 || link_mac(s->inet, name, mac, e) < 0 ||
	    address_family6(s, name, e) < 0 || link_flags(s->inet, name, IFF_UP, 0, e) < 0)
		return -1;
	if (in->addr4.addr.family != 0 && address_add(s, name, &in->addr4, e) < 0)
		return -1;
	if (in->addr6.addr.family != 0 && address_add(s, name, &in->addr6, e) < 0)
		return -1;
	if (in->gateway4.family != 0 && route_default(s->route, &in->gateway4, e) < 0)
		return -1;
	return in->gateway6.family == 0 ? 0 : route_default(s->route, &in->gateway6, e);
}

static int
outside_up(const struct stack *s, const struct netif_pair *p, const char *bridge, struct err *e)
{
	/* on the bridge first: a member of one gets no addresses of its own by coming up */
	if (link_join_group(s->inet, p->name, LINK_GROUP, e) < 0 ||
	    (bridge[0] != '\0' && bridge_join(s->inet, bridge, p->name, p->isolated, e) < 0))
		return -1;
	return link_flags(s->inet, p->name, IFF_UP, 0, e);
}

int
pair_up(struct host *h, const struct netif_pair *p, const struct netif_inside *given, struct err *e)
{
	autostack struct stack out = STACK_INIT, in = STACK_INIT;
	char bridge[IFNAMSIZ] = "", inner[IFNAMSIZ];
	struct err again = ERR_INIT;
	int jid, there;

	if (link_check_name(p->name, e) < 0 || link_module("if_epair", e) < 0 ||
	    stack_open(&out, e) < 0)
		return -1;
	if (p->bridge != NULL && (there = bridge_find(h, out.inet, p->bridge, bridge, e)) <= 0)
		return there < 0 ? -1
				 : err_new(e, ERR_ABSENT,
				       "bridge %s does not exist: run pot vnet-start", p->bridge);
	if ((there = link_exists(out.inet, p->name, e)) != 0)
		return there < 0 ? -1 : err_new(e, ERR_EXISTS, "interface %s exists", p->name);
	if (stack_of_jail(p->pid, p->netns, &in, &jid, e) < 0 || make_inside(&in, p, inner, e) < 0)
		return err_ctx(e, "make interface %s", p->name);
	/* On the bridge first: an address is announced when it is given, so that nobody there goes
	 * on sending to the hardware address which another run had with it. */
	if (fetch(out.inet, p->name, jid, e) == 0 && outside_up(&out, p, bridge, e) == 0 &&
	    inside_up(&in, inner, given, e) == 0)
		return 0;
	/* our sockets keep the jail's stack meanwhile: nobody else takes it apart */
	(void)link_destroy(in.inet, inner, &again);
	return err_ctx(e, "make interface %s", p->name);
}

int
loopback_up(struct host *h, pid_t pid, int netns, struct err *e)
{
	autostack struct stack in = STACK_INIT;
	int jid;

	(void)h;
	return stack_of_jail(pid, netns, &in, &jid, e) < 0 ? -1 : loopback(&in, e);
}

/* "epair0" for both ends of a pair, whatever they are called now; "" for all others. */
static void
driver_name(const char *name, char out[IFNAMSIZ])
{
	int mib[] = { CTL_NET, PF_LINK, NETLINK_GENERIC, IFMIB_IFDATA, (int)if_nametoindex(name),
		IFDATA_DRIVERNAME };
	size_t len = IFNAMSIZ - 1;

	memset(out, 0, IFNAMSIZ);
	if (mib[4] == 0 || sysctl(mib, NELEM(mib), out, &len, NULL, 0) < 0 ||
	    !str_starts(out, "epair"))
		out[0] = '\0';
}

/* A pair of the shell implementation, whose jail is gone, has both ends here. */
static int
other_end_is_here(const char *name)
{
	char pair[IFNAMSIZ], other[IFNAMSIZ + 1], also[IFNAMSIZ];

	driver_name(name, pair);
	if (pair[0] == '\0')
		return 0;
	snprintf(other, sizeof(other), "%sb", pair);
	driver_name(other, also);
	return str_eq(pair, also) && !str_eq(other, name);
}

int
link_remove(struct host *h, const char *name, struct err *e)
{
	autostack struct stack s = STACK_INIT;
	struct err gone = ERR_INIT;
	int there;

	(void)h;
	if (stack_open(&s, e) < 0)
		return -1;
	if ((there = link_exists(s.inet, name, e)) <= 0)
		return there;
	if (other_end_is_here(name))
		return link_destroy(s.inet, name, e);
	/* It goes with its jail, soon. What must not be is that the old pot still answers for an
	 * address which the next one has: it is cut off now, and is no pot's any more. It may go
	 * away in the middle of this. */
	(void)link_flags(s.inet, name, 0, IFF_UP, &gone);
	(void)bridge_leave(s.inet, name, &gone);
	(void)link_describe(s.inet, name, "", &gone);
	return 0;
}
