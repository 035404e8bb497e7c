/*
 * Address translation and exported ports, by anchors of pf. What rules for ports have to know of
 * the network, and which ports a run has, is kept in <POT_RUN_DIR>/pf: a file "net", and one for
 * each run, which is there before its rules are. Whether a run's rules are there tells pf.
 */
#include "base/str.h"
#include "platform/freebsd/links.h"
#include "platform/freebsd/ops.h"
#include "platform/freebsd/pfctl.h"
#include "platform/freebsd/pffile.h"
#include "platform/pf/pf.h"
#include "platform/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 20 };

static int
probe(struct host *h, struct err *e)
{
	(void)h;
	if (access("/sbin/pfctl", X_OK) < 0)
		return err_sys(e, "run /sbin/pfctl");
	return 0;
}

/* ---- what is kept ---- */

static int
keep(struct host *h, const char *name, const struct buf *text, struct err *e)
{
	autofree char *dir = xasprintf("%s/pf", h->roots.run_dir);
	autofree char *path = xasprintf("%s/%s", dir, name);

	if (mkdir(dir, 0711) < 0 && errno != EEXIST)
		return err_sys(e, "make %s", dir);
	return pffile_write(path, buf_str(text), text->len, 0600, e);
}

static int
kept(struct host *h, const char *name, struct buf *out, struct err *e)
{
	autofree char *path = xasprintf("%s/pf/%s", h->roots.run_dir, name);

	return buf_read_file(out, path, FILE_MAX, e);
}

static int
forget(struct host *h, const char *name, struct err *e)
{
	autofree char *path = xasprintf("%s/pf/%s", h->roots.run_dir, name);

	return unlink(path) < 0 && errno != ENOENT ? err_sys(e, "remove %s", path) : 0;
}

static int
read_net(struct host *h, struct pf_net *net, struct err *e)
{
	autobuf struct buf text = BUF_INIT;

	return kept(h, "net", &text, e) < 0 ? -1 : pf_net_parse(buf_str(&text), net, e);
}

/* ---- are our anchors called? ---- */

enum { TICKETS = PROC_BOOT_ID_TEXT + 40 };

/* The main rules' numbers in this boot, as text; "" when the kernel does not tell. */
static int
tickets(struct host *h, int fd, char out[TICKETS], struct err *e)
{
	char boot[PROC_BOOT_ID_TEXT];
	uint32_t t[3];
	bool known = true;

	out[0] = '\0';
	if (h->proc->boot_id(boot, e) < 0)
		return -1;
	for (int i = 0; i < 3 && known; i++)
		if (pfdev_rules(fd, "", (enum pfdev_kind)i, &t[i], &known, e) < 0)
			return -1;
	if (known)
		snprintf(out, TICKETS, "%s %u %u %u\n", boot, t[0], t[1], t[2]);
	return 0;
}

/* Main rules that were seen to call us still do while nobody loads others. */
static int
called(struct host *h, int fd, struct err *e)
{
	autobuf struct buf seen = BUF_INIT, nat = BUF_INIT, rules = BUF_INIT, note = BUF_INIT;
	struct err none = ERR_INIT;
	char now[TICKETS];

	if (tickets(h, fd, now, e) < 0)
		return -1;
	if (now[0] != '\0' && kept(h, "seen", &seen, &none) == 0 && str_eq(buf_str(&seen), now))
		return 1;
	if (pfctl_run(&nat, NULL, e, "-sn", NULL) < 0 ||
	    pfctl_run(&rules, NULL, e, "-sr", NULL) < 0)
		return -1;
	if (pf_calls(buf_str(&nat), "nat-anchor", PF_NAT_ANCHOR) == 0 ||
	    pf_calls(buf_str(&nat), "rdr-anchor", PF_RDR_ALL) == 0 ||
	    pf_calls(buf_str(&rules), "anchor", PF_FILTER_ANCHOR) == 0)
		return 0;
	buf_adds(&note, now);
	(void)keep(h, "seen", &note, &none);
	return 1;
}

static int
ready(struct host *h, bool isolated, struct err *e)
{
	struct err none = ERR_INIT;
	struct pf_net net;
	bool known;
	uint32_t ticket;
	int n;

	if (read_net(h, &net, &none) < 0 || (isolated && !net.isolated))
		return 0;
	autofd int fd = pfdev_open(e);
	if (fd < 0)
		return e->kind == ERR_ABSENT ? 0 : -1;
	n = pfdev_rules(fd, PF_NAT_ANCHOR, PFDEV_NAT, &ticket, &known, e);
	if (n < 0 || (n == 0 && known))
		return n;
	n = called(h, fd, e);
	/* rules stay when somebody disables pf, and do nothing */
	return n > 0 && pfdev_start(fd, e) < 0 ? -1 : n;
}

/* ---- making ---- */

/* As the machine would at its start, where nothing was loaded yet and the file knows us. */
static int
load_file(const struct buf *nat, const struct buf *rules, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	struct err none = ERR_INIT;
	char path[1024];

	if (nat->len > 0 || rules->len > 0)
		return 0;
	pffile_rules(path, sizeof(path));
	if (buf_read_file(&text, path, FILE_MAX, &none) < 0 ||
	    pf_calls(buf_str(&text), "nat-anchor", PF_NAT_ANCHOR) == 0 ||
	    pf_calls(buf_str(&text), "rdr-anchor", PF_RDR_ALL) == 0)
		return 0;
	if (pfctl_run(NULL, NULL, e, "-q", "-f", path, NULL) < 0)
		return err_ctx(e, "load %s", path);
	return 1;
}

/* Main rules that do not call us get the calls, and stay as they are otherwise. */
static int
attach(struct host *h, int fd, struct err *e)
{
	for (int round = 0; round < 3; round++) {
		autobuf struct buf nat = BUF_INIT, rules = BUF_INIT;
		autobuf struct buf new_nat = BUF_INIT, new_rules = BUF_INIT;
		int there = called(h, fd, e);

		if (there != 0)
			return there < 0 ? -1 : 0;
		if (pfctl_run(&nat, NULL, e, "-sn", NULL) < 0 ||
		    pfctl_run(&rules, NULL, e, "-sr", NULL) < 0)
			return -1;
		if (round == 0 && (there = load_file(&nat, &rules, e)) != 0) {
			if (there < 0)
				return -1;
			continue;
		}
		(void)pf_conf_add(buf_str(&nat), &new_nat);
		(void)pf_conf_add(buf_str(&rules), &new_rules);
		if (pfctl_run(NULL, buf_str(&new_nat), e, "-q", "-N", "-f", "-", NULL) < 0 ||
		    pfctl_run(NULL, buf_str(&new_rules), e, "-q", "-R", "-f", "-", NULL) < 0)
			return err_ctx(e, "call the anchors of pots from the main rules");
	}
	return err_new(e, ERR_BUSY, "the main rules do not keep the calls of pots' anchors");
}

static int
gather(struct host *h, const struct filter_net *n, struct pf_net *net, struct err *e)
{
	autostack struct stack s = STACK_INIT;

	*net = (struct pf_net){ .isolated = n->isolated };
	if (stack_open(&s, e) < 0)
		return -1;
	for (size_t i = 0; n->bridges[i] != NULL && net->n_bridges < PF_BRIDGES; i++) {
		struct pf_bridge *b = &net->bridges[net->n_bridges];
		autofree struct ipnet *addrs = NULL;
		struct err gone = ERR_INIT;
		size_t n_addrs = 0;
		int there = bridge_find(h, s.inet, n->bridges[i], b->name, e);

		if (there < 0)
			return -1;
		if (there == 0)
			continue; /* it has rules when it has an interface */
		b->open = i == 0;
		b->net4 = (struct ipnet){ .prefix = 0 };
		if (links_addresses(h, b->name, &addrs, &n_addrs, &gone) == 0)
			for (size_t k = 0; k < n_addrs; k++)
				if (addrs[k].addr.family == AF_INET && b->net4.addr.family == 0)
					b->net4 = addrs[k];
		net->n_bridges++;
	}
	for (size_t i = 0; i < n->n_entries && i < PF_EXTERNALS; i++) {
		(void)str_copy(net->entries[i].name, PF_NAME, n->entries[i].external);
		net->entries[i].address = n->entries[i].address;
		net->n_entries++;
	}
	return 0;
}

static int
load_anchor(const char *anchor, const struct buf *text, struct err *e)
{
	if (pfctl_run(NULL, buf_str(text), e, "-q", "-a", anchor, "-f", "-", NULL) < 0)
		return err_ctx(e, "load pf's anchor %s", anchor);
	return 0;
}

static int
load_ports(const struct pf_net *net, const char *run, const struct filter_port *ports, size_t n,
    struct err *e)
{
	autofree char *anchor = xasprintf(PF_RDR_ANCHOR "/%s", run);
	autobuf struct buf text = BUF_INIT;

	for (size_t i = 0; i < n; i++)
		if (ports[i].rules != NULL)
			buf_adds(&text, ports[i].rules);
		else
			pf_rdr_rules(net, &ports[i], 1, &text);
	return load_anchor(anchor, &text, e);
}

static bool
is_run(const char *name)
{
	return strlen(name) == RUN_ID_TEXT - 1 &&
	       strspn(name, "0123456789abcdef") == RUN_ID_TEXT - 1;
}

/* One run's ports, from its file. */
static int
ports_of(struct host *h, const char *run, struct filter_entries *out, struct err *e)
{
	autobuf struct buf text = BUF_INIT;

	if (kept(h, run, &text, e) < 0)
		return -1;
	pf_ports_parse(buf_str(&text), run, out);
	return 0;
}

/* Rules that others wrote, for one moment, stay as they are; an empty file tells. */
static char *
given_rules(const char *run)
{
	return xasprintf("%s.given", run);
}

static bool
has_given_rules(struct host *h, const char *run)
{
	autofree char *name = given_rules(run);
	autobuf struct buf text = BUF_INIT;
	struct err none = ERR_INIT;

	return kept(h, name, &text, &none) == 0;
}

static int
forget_run(struct host *h, const char *run, struct err *e)
{
	autofree char *name = given_rules(run);

	return forget(h, name, e) < 0 ? -1 : forget(h, run, e);
}

/* Ports that are exported already follow a changed network. */
static int
renew_ports(struct host *h, int fd, const struct pf_net *net, struct err *e)
{
	autonames struct names runs = NAMES_INIT;

	if (pfdev_anchors(fd, PF_RDR_ANCHOR, &runs, e) < 0)
		return -1;
	for (size_t i = 0; i < runs.n; i++) {
		autofilter_entries struct filter_entries own = FILTER_ENTRIES_INIT;
		autofree struct filter_port *ports = NULL;
		struct err none = ERR_INIT;

		if (!is_run(runs.at[i]) || has_given_rules(h, runs.at[i]) ||
		    ports_of(h, runs.at[i], &own, &none) < 0)
			continue;
		ports = xcalloc(own.n + 1, sizeof(*ports));
		for (size_t k = 0; k < own.n; k++)
			ports[k] = own.at[k].port;
		if (load_ports(net, runs.at[i], ports, own.n, e) < 0)
			return -1;
	}
	return 0;
}

static int
load_network(struct host *h, const struct filter_net *n, const struct pf_net *net, struct err *e)
{
	autobuf struct buf nat = BUF_INIT, apart = BUF_INIT;
	char external4[NETIF_NAME] = "", external6[NETIF_NAME] = "";
	struct err none = ERR_INIT;

	if (n->n_ways == 0) {
		(void)route_external(h, AF_INET, external4, &none);
		(void)route_external(h, AF_INET6, external6, &none);
	}
	pf_nat_rules(n, net, external4[0] != '\0' ? external4 : NULL,
	    external6[0] != '\0' ? external6 : NULL, &nat);
	pf_filter_rules(n, net, &apart);
	return load_anchor(PF_NAT_ANCHOR, &nat, e) < 0 ||
		       load_anchor(PF_FILTER_ANCHOR, &apart, e) < 0
		   ? -1
		   : 0;
}

static int
setup(struct host *h, const struct filter_net *n, struct err *e)
{
	autobuf struct buf before = BUF_INIT, text = BUF_INIT;
	struct err none = ERR_INIT;
	struct pf_net net;

	if (probe(h, e) < 0 || link_module("pf", e) < 0 || gather(h, n, &net, e) < 0)
		return -1;
	/* its numbers begin anew when pf is loaded anew */
	(void)forget(h, "seen", &none);
	autofd int fd = pfdev_open(e);
	if (fd < 0 || attach(h, fd, e) < 0 || load_network(h, n, &net, e) < 0)
		return -1;
	pf_net_write(&net, &text);
	bool changed =
	    kept(h, "net", &before, &none) < 0 || !str_eq(buf_str(&before), buf_str(&text));
	if (changed && renew_ports(h, fd, &net, e) < 0)
		return -1;
	/* last: with it we are ready */
	return keep(h, "net", &text, e) < 0 ? -1 : pfdev_start(fd, e);
}

static int
obstacles(struct host *h, struct names *out, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	autobuf struct buf rules = BUF_INIT;
	size_t n;

	(void)h;
	if (access("/dev/pf", F_OK) < 0)
		return 0;
	if (pfctl_run(&rules, NULL, e, "-sr", NULL) < 0)
		return -1;
	char **line = str_split(&mem, buf_str(&rules), '\n', &n);
	for (size_t i = 0; i < n; i++)
		if (str_starts(line[i], "block") && str_ends(line[i], " all") &&
		    strstr(line[i], " on ") == NULL)
			names_add(out, line[i]);
	return 0;
}

static int
teardown(struct host *h, struct err *e)
{
	static const char *const files[] = { "net", "seen" };
	autonames struct names runs = NAMES_INIT;
	autofree char *dir = xasprintf("%s/pf", h->roots.run_dir);
	autofd int fd = pfdev_open(e);

	if (fd < 0 && e->kind != ERR_ABSENT)
		return -1;
	for (size_t i = 0; i < NELEM(files); i++)
		if (forget(h, files[i], e) < 0)
			return -1;
	if (fd >= 0) {
		if (pfdev_flush(fd, PF_NAT_ANCHOR, e) < 0 ||
		    pfdev_flush(fd, PF_FILTER_ANCHOR, e) < 0 ||
		    pfdev_anchors(fd, PF_RDR_ANCHOR, &runs, e) < 0)
			return -1;
		for (size_t i = 0; i < runs.n; i++) {
			autofree char *anchor = xasprintf(PF_RDR_ANCHOR "/%s", runs.at[i]);

			if (is_run(runs.at[i]) &&
			    (pfdev_flush(fd, anchor, e) < 0 || forget_run(h, runs.at[i], e) < 0))
				return -1;
		}
	}
	(void)rmdir(dir);
	return 0;
}

/* ---- ports ---- */

/* Anchors of the shell implementation have the pot's name: they take their ports as well. */
static int
foreign_ports(const char *name, struct filter_entries *out, struct err *e)
{
	autofree char *anchor = xasprintf(PF_RDR_ANCHOR "/%s", name);
	autobuf struct buf text = BUF_INIT;

	if (pfctl_run(&text, NULL, e, "-a", anchor, "-sn", "-P", NULL) < 0)
		return -1;
	pf_shown_ports(buf_str(&text), "", out);
	return 0;
}

static int
ports(struct host *h, struct filter_entries *out, struct err *e)
{
	autofilter_entries struct filter_entries all = FILTER_ENTRIES_INIT;
	autonames struct names runs = NAMES_INIT;
	autofd int fd = pfdev_open(e);

	if (fd < 0)
		return e->kind == ERR_ABSENT ? 0 : -1;
	if (pfdev_anchors(fd, PF_RDR_ANCHOR, &runs, e) < 0)
		return -1;
	for (size_t i = 0; i < runs.n; i++) {
		struct err none = ERR_INIT;

		if (is_run(runs.at[i]) && ports_of(h, runs.at[i], &all, &none) == 0)
			continue;
		if (foreign_ports(runs.at[i], &all, e) < 0)
			return err_ctx(e, "list the exported ports");
	}
	*out = all;
	all = (struct filter_entries)FILTER_ENTRIES_INIT;
	return 0;
}

static const char *
proto_name(int proto)
{
	return proto == IPPROTO_UDP ? "udp" : "tcp";
}

static bool
same_port(const struct filter_port *a, const struct filter_port *b)
{
	return a->proto == b->proto && a->host_port == b->host_port && a->to.family == b->to.family;
}

static int
check_ports(const char *run, const struct filter_port *p, size_t n, struct err *e)
{
	if (!is_run(run))
		return err_new(e, ERR_INPUT, "'%s' is not a run id", run);
	for (size_t i = 0; i < n; i++) {
		if ((p[i].proto != IPPROTO_TCP && p[i].proto != IPPROTO_UDP) ||
		    p[i].host_port == 0 || p[i].pot_port == 0 || ip_size(&p[i].to) == 0)
			return err_new(e, ERR_INPUT,
			    "export of port %d: needs tcp or udp, two ports from 1 to 65535 and an "
			    "address",
			    p[i].host_port);
		for (size_t k = 0; k < i; k++)
			if (same_port(&p[i], &p[k]))
				return err_new(e, ERR_INPUT, "host port %d/%s is exported twice",
				    p[i].host_port, proto_name(p[i].proto));
	}
	return 0;
}

/* Adds what the run has already to the end of `all`. An error names who else holds a port. */
static int
merge(const struct filter_entries *held, const char *run, struct filter_port *all, size_t *n,
    struct err *e)
{
	size_t wanted = *n;

	for (size_t i = 0; i < held->n; i++) {
		const struct filter_entry *by = &held->at[i];
		bool again = false;

		for (size_t k = 0; k < wanted; k++) {
			if (!same_port(&by->port, &all[k]))
				continue;
			again = true;
			if (!str_eq(by->run, run) || !ip_eq(&by->port.to, &all[k].to) ||
			    by->port.pot_port != all[k].pot_port)
				return err_new(e, ERR_EXISTS,
				    "host port %d/%s is exported already, by %s%s",
				    by->port.host_port, proto_name(by->port.proto),
				    by->run[0] != '\0' ? "run " : "another program", by->run);
		}
		if (!again && str_eq(by->run, run))
			all[(*n)++] = by->port;
	}
	return 0;
}

static int
keep_given(struct host *h, const char *run, struct err *e)
{
	autofree char *name = given_rules(run);
	const struct buf nothing = BUF_INIT;

	return keep(h, name, &nothing, e);
}

static int
ports_add(struct host *h, const char *run, const struct filter_port *p, size_t n, struct err *e)
{
	autofilter_entries struct filter_entries held = FILTER_ENTRIES_INIT;
	autofree struct filter_port *all = NULL;
	autobuf struct buf text = BUF_INIT;
	struct err none = ERR_INIT;
	struct pf_net net;
	size_t n_all = n;

	if (n == 0)
		return 0;
	if (check_ports(run, p, n, e) < 0)
		return -1;
	if (read_net(h, &net, &none) < 0)
		return err_new(e, ERR_ABSENT,
		    "export ports: the packet filter was not set up: run pot vnet-start");
	if (ports(h, &held, e) < 0)
		return -1;
	all = xcalloc(n + held.n, sizeof(*all));
	memcpy(all, p, n * sizeof(*all));
	if (merge(&held, run, all, &n_all, e) < 0)
		return -1;
	pf_ports_write(all, n_all, &text);
	if (keep(h, run, &text, e) < 0 || (p[0].rules != NULL && keep_given(h, run, e) < 0))
		return -1;
	if (load_ports(&net, run, all, n_all, e) == 0)
		return 0;
	if (n_all == n)
		(void)forget_run(h, run, &none);
	return err_ctx(e, "export ports of run %s", run);
}

/* A pot of the shell implementation has an anchor of its name, of a long one's end. */
static const char *
shell_anchor(const char *name)
{
	enum { LONGEST = 55 };
	size_t len = strlen(name);

	if (len > LONGEST) {
		name += len - LONGEST;
		name += strspn(name, "_");
	}
	return name;
}

static int
ports_remove(struct host *h, const char *run, struct err *e)
{
	autofree char *anchor = xasprintf(PF_RDR_ANCHOR "/%s", shell_anchor(run));
	autofd int fd = pfdev_open(e);

	if (run[0] == '\0')
		return 0; /* nobody's that is known */
	if (fd < 0 && e->kind != ERR_ABSENT)
		return -1;
	if (fd >= 0 && pfdev_flush(fd, anchor, e) < 0)
		return err_ctx(e, "take back the ports of run %s", run);
	return is_run(run) ? forget_run(h, run, e) : 0;
}

const struct filter_ops filter_freebsd = {
	.name = "pf",
	.prints_pf = true,
	.probe = probe,
	.setup = setup,
	.ready = ready,
	.obstacles = obstacles,
	.teardown = teardown,
	.ports_add = ports_add,
	.ports_remove = ports_remove,
	.ports = ports,
	.install = pffile_install,
};
