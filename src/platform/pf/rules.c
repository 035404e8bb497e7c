#include "platform/pf/pf.h"

#include "base/str.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static const char *
family_word(int family)
{
	return family == AF_INET ? "inet" : "inet6";
}

/* ---- out ---- */

static void
nat_rule(struct buf *out, const char *external, const struct ipnet *from, const struct ipnet *to,
    const struct ip *source)
{
	char text[IPNET_TEXT];

	buf_addf(out, "nat on %s %s from %s to ", external, family_word(from->addr.family),
	    ipnet_text(from, text));
	buf_addf(out, "%s -> ", to != NULL && to->addr.family != 0 ? ipnet_text(to, text) : "any");
	/* the interface's first address, also when that changes later */
	if (source != NULL && source->family == from->addr.family)
		buf_addf(out, "%s\n", ip_text(source, text));
	else
		buf_addf(out, "(%s:0)\n", external);
}

static void
nat_family(
    const struct filter_net *n, const struct ipnet *from, const char *external, struct buf *out)
{
	if (from->addr.family == 0)
		return;
	struct ipnet net = { .addr = ipnet_first(from), .prefix = from->prefix };

	for (size_t i = 0; i < n->n_ways; i++) {
		const struct filter_way *w = &n->ways[i];
		if (w->to.addr.family == 0 || w->to.addr.family == from->addr.family)
			nat_rule(out, w->external, &net, &w->to, &w->source);
	}
	if (n->n_ways == 0 && external != NULL)
		nat_rule(out, external, &net, NULL, NULL);
}

static void
back_here(struct buf *out, const char *bridge, int family)
{
	static const char *const tags[] = { PF_HAIRPIN, PF_LOOPED };

	for (size_t i = 0; i < NELEM(tags); i++)
		buf_addf(out, "nat on %s %s from any to any tagged %s -> (%s:0)\n", bridge,
		    family_word(family), tags[i], bridge);
}

void
pf_nat_rules(const struct filter_net *n, const struct pf_net *net, const char *external4,
    const char *external6, struct buf *out)
{
	nat_family(n, &n->net4, external4, out);
	nat_family(n, &n->net6, external6, out);
	/* A pot's neighbour, or itself, or the host, would get an answer that never passed here:
	 * it has to come back. */
	for (size_t i = 0; i < net->n_bridges; i++) {
		if (n->net4.addr.family != 0)
			back_here(out, net->bridges[i].name, AF_INET);
		if (net->bridges[i].open && n->net6.addr.family != 0)
			back_here(out, net->bridges[i].name, AF_INET6);
	}
}

/* ---- apart ---- */

static void
block_rule(struct buf *out, const char *bridge, int family, const char *places)
{
	const char *word = family_word(family);

	if (*places == '\0')
		return;
	buf_addf(out, "table <off-%s-%s> const { %s}\n", bridge, word, places);
	buf_addf(out, "block return in quick on %s %s from any to <off-%s-%s>\n", bridge, word,
	    bridge, word);
}

static void
place(struct buf *out, const char * not, const struct ipnet *n)
{
	struct ipnet whole = { .addr = ipnet_first(n), .prefix = n->prefix };
	char text[IPNET_TEXT];

	buf_addf(out, "%s%s ", not, ipnet_text(&whole, text));
}

static void
gateway(struct buf *out, const struct ip *a)
{
	char text[IP_TEXT];

	buf_addf(out, "!%s ", ip_text(a, text));
}

/* What nobody on this bridge reaches by way of the host. */
static void
off_limits(const struct filter_net *n, const struct pf_net *net, size_t which, struct buf *out)
{
	const struct pf_bridge *own = &net->bridges[which];

	if (net->isolated || !own->open)
		place(out, "", &n->net4);
	if (net->isolated && own->net4.addr.family != 0)
		gateway(out, &own->net4.addr);
	else if (!own->open && own->net4.addr.family != 0)
		place(out, "!", &own->net4);
	/* private bridges have parts of the public one's network */
	for (size_t i = 0; own->open && !net->isolated && i < net->n_bridges; i++)
		if (i != which && net->bridges[i].net4.addr.family != 0)
			place(out, "", &net->bridges[i].net4);
}

/* What the host sent to a pot went by lo0; only an answer that goes by lo0 is changed back. */
static void
answer_by_loopback(const struct filter_net *n, const struct pf_net *net, struct buf *out)
{
	for (size_t i = 0; i < net->n_bridges; i++) {
		if (n->net4.addr.family != 0)
			buf_addf(out,
			    "pass out quick on %s reply-to (lo0 127.0.0.1) inet from any to any "
			    "tagged " PF_LOOPED " keep state\n",
			    net->bridges[i].name);
		if (net->bridges[i].open && n->net6.addr.family != 0)
			buf_addf(out,
			    "pass out quick on %s reply-to (lo0 ::1) inet6 from any to any "
			    "tagged " PF_LOOPED " keep state\n",
			    net->bridges[i].name);
	}
}

void
pf_filter_rules(const struct filter_net *n, const struct pf_net *net, struct buf *out)
{
	answer_by_loopback(n, net, out);
	for (size_t i = 0; i < net->n_bridges && n->net4.addr.family != 0; i++) {
		autobuf struct buf places = BUF_INIT;

		off_limits(n, net, i, &places);
		block_rule(out, net->bridges[i].name, AF_INET, buf_str(&places));
	}
	for (size_t i = 0; i < net->n_bridges && n->net6.addr.family != 0; i++) {
		autobuf struct buf places = BUF_INIT;
		struct ip first = ipnet_first(&n->net6);

		if (!net->isolated || !net->bridges[i].open)
			continue;
		place(&places, "", &n->net6);
		(void)ip_next(&first);
		gateway(&places, &first);
		block_rule(out, net->bridges[i].name, AF_INET6, buf_str(&places));
	}
}

/* ---- in ---- */

static const char *
proto_word(const struct filter_port *p)
{
	return p->proto == IPPROTO_UDP ? "udp" : "tcp";
}

static void
rdr_rule(
    struct buf *out, const struct filter_port *p, const char *on, const char *to, const char *tag)
{
	char text[IP_TEXT];

	buf_addf(out, "rdr pass %s%s proto %s from any to %s port %u %s-> %s port %u\n", on,
	    family_word(p->to.family), proto_word(p), to, (unsigned)p->host_port, tag,
	    ip_text(&p->to, text), (unsigned)p->pot_port);
}

static void
rdr_outside(const struct pf_net *net, const struct filter_port *p, struct buf *out)
{
	char on[PF_NAME + 8], to[IP_TEXT];

	for (size_t i = 0; i < net->n_entries; i++) {
		const struct ip *own = &net->entries[i].address;

		snprintf(on, sizeof(on), "on %s ", net->entries[i].name);
		snprintf(to, sizeof(to), "(%s)", net->entries[i].name);
		if (own->family == p->to.family)
			ip_text(own, to);
		rdr_rule(out, p, on, to, "");
	}
	if (net->n_entries == 0)
		rdr_rule(out, p, "on ! lo0 ", "(self)", "");
}

void
pf_rdr_rules(const struct pf_net *net, const struct filter_port *ports, size_t n, struct buf *out)
{
	char on[PF_NAME + 8];

	for (size_t i = 0; i < n; i++) {
		/* The first rule that fits counts. No packet of ::1 leaves its host. */
		if (ports[i].to.family == AF_INET6)
			buf_addf(out, "no rdr on lo0 inet6 proto %s from any to ::1 port %u\n",
			    proto_word(&ports[i]), (unsigned)ports[i].host_port);
		rdr_rule(out, &ports[i], "on lo0 ", "(self)", "tag " PF_LOOPED " ");
		for (size_t k = 0; k < net->n_bridges; k++) {
			snprintf(on, sizeof(on), "on %s ", net->bridges[k].name);
			rdr_rule(out, &ports[i], on, "(self)", "tag " PF_HAIRPIN " ");
		}
		rdr_outside(net, &ports[i], out);
	}
}

/* ---- what is kept ---- */

void
pf_net_write(const struct pf_net *net, struct buf *out)
{
	char text[IPNET_TEXT];

	for (size_t i = 0; i < net->n_bridges; i++)
		buf_addf(out, "%s %s %s\n", net->bridges[i].open ? "public" : "bridge",
		    net->bridges[i].name,
		    net->bridges[i].net4.addr.family != 0 ? ipnet_text(&net->bridges[i].net4, text)
							  : "-");
	for (size_t i = 0; i < net->n_entries; i++)
		buf_addf(out, "entry %s %s\n", net->entries[i].name,
		    net->entries[i].address.family != 0 ? ip_text(&net->entries[i].address, text)
							: "-");
	if (net->isolated)
		buf_adds(out, "isolated\n");
}

static bool
name_fits(const char *name)
{
	return *name != '\0' && strlen(name) < PF_NAME;
}

static int
parse_line(char **word, size_t n, struct pf_net *net)
{
	if (n == 1 && str_eq(word[0], "isolated")) {
		net->isolated = true;
		return 0;
	}
	if (n != 3 || !name_fits(word[1]))
		return -1;
	bool open = str_eq(word[0], "public");
	if ((open || str_eq(word[0], "bridge")) && net->n_bridges < PF_BRIDGES) {
		struct pf_bridge *b = &net->bridges[net->n_bridges++];

		b->open = open;
		(void)str_copy(b->name, sizeof(b->name), word[1]);
		return str_eq(word[2], "-") || ipnet_parse(word[2], &b->net4) ? 0 : -1;
	}
	if (str_eq(word[0], "entry") && net->n_entries < PF_EXTERNALS) {
		size_t i = net->n_entries++;

		(void)str_copy(net->entries[i].name, PF_NAME, word[1]);
		return str_eq(word[2], "-") || ip_parse(word[2], &net->entries[i].address) ? 0 : -1;
	}
	return -1;
}

int
pf_net_parse(const char *text, struct pf_net *out, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	size_t n_lines, n;
	char **line = str_split(&mem, text, '\n', &n_lines);
	struct pf_net net = { .n_bridges = 0 };

	for (size_t i = 0; i < n_lines; i++) {
		char **word = str_split(&mem, line[i], ' ', &n);

		if (*line[i] != '\0' && parse_line(word, n, &net) < 0)
			return err_new(e, ERR_CORRUPT,
			    "what is kept of the packet filter's networks has the line '%s'",
			    line[i]);
	}
	*out = net;
	return 0;
}

void
pf_ports_write(const struct filter_port *ports, size_t n, struct buf *out)
{
	char text[IP_TEXT];

	for (size_t i = 0; i < n; i++)
		buf_addf(out, "%s %u %s %u\n", proto_word(&ports[i]), (unsigned)ports[i].host_port,
		    ip_text(&ports[i].to, text), (unsigned)ports[i].pot_port);
}

static void
add_entry(struct filter_entries *all, const char *run, const struct filter_port *p)
{
	all->at = xrealloc(all->at, (all->n + 1) * sizeof(*all->at));
	all->at[all->n] = (struct filter_entry){ .port = *p };
	(void)str_copy(all->at[all->n++].run, RUN_ID_TEXT, run);
}

static bool
parse_port(const char *proto, const char *host_port, const char *to, const char *pot_port,
    struct filter_port *out)
{
	uint64_t outside, inside;

	*out = (struct filter_port){ .proto = str_eq(proto, "udp") ? IPPROTO_UDP : IPPROTO_TCP };
	if ((!str_eq(proto, "udp") && !str_eq(proto, "tcp")) ||
	    !str_u64(host_port, UINT16_MAX, &outside) || outside == 0 ||
	    !str_u64(pot_port, UINT16_MAX, &inside) || inside == 0 || !ip_parse(to, &out->to))
		return false;
	out->host_port = (uint16_t)outside;
	out->pot_port = (uint16_t)inside;
	return true;
}

void
pf_ports_parse(const char *text, const char *run, struct filter_entries *all)
{
	autoarena struct arena mem = ARENA_INIT;
	size_t n_lines, n;
	char **line = str_split(&mem, text, '\n', &n_lines);

	for (size_t i = 0; i < n_lines; i++) {
		char **word = str_split(&mem, line[i], ' ', &n);
		struct filter_port p;

		if (n == 4 && parse_port(word[0], word[1], word[2], word[3], &p))
			add_entry(all, run, &p);
	}
}

/* The word after `key`, from the word `from` on; NULL: there is none. *at is where. */
static const char *
after(char **word, size_t n, size_t from, const char *key, size_t *at)
{
	for (size_t i = from; i + 1 < n; i++)
		if (str_eq(word[i], key)) {
			size_t value = i + 1;
			/* "port = http" */
			if (str_eq(word[value], "=") && value + 1 < n)
				value++;
			*at = value;
			return word[value];
		}
	return NULL;
}

void
pf_shown_ports(const char *text, const char *run, struct filter_entries *all)
{
	autoarena struct arena mem = ARENA_INIT;
	size_t n_lines, n;
	char **line = str_split(&mem, text, '\n', &n_lines);

	for (size_t i = 0; i < n_lines; i++) {
		char **word = str_split(&mem, line[i], ' ', &n);
		size_t at = 0;
		struct filter_port p;

		if (n == 0 || !str_eq(word[0], "rdr"))
			continue;
		const char *proto = after(word, n, 0, "proto", &at);
		const char *outside = proto != NULL ? after(word, n, at, "port", &at) : NULL;
		const char *to = outside != NULL ? after(word, n, at, "->", &at) : NULL;
		const char *inside = to != NULL ? after(word, n, at, "port", &at) : NULL;
		if (inside != NULL && parse_port(proto, outside, to, inside, &p))
			add_entry(all, run, &p);
	}
}
