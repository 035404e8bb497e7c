/* answer.c: what a DNS question about services, nodes and addresses is answered. No clock and no
 * chance: the order of answers follows from the seed. */
#include "catalog/view.h"

#include "base/str.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	LABELS_MAX = 130,
	PLAIN_UDP_ANSWERS = 3,
	SOA_REFRESH = 3600,
	SOA_RETRY = 600,
	SOA_EXPIRE = 86400
};

struct question {
	const struct catalog *c;
	const struct dns_query *q;
	bool udp;
	uint64_t seed;
	struct dns_writer *w;
	struct arena mem;
	char *label[LABELS_MAX]; /* lower case */
	size_t n;
	size_t most; /* answers that fit by rule */
};

static size_t
limit_of(const struct dns_query *q, bool udp)
{
	if (!udp)
		return DNS_TCP_MOST;
	return q->udp_size < DNS_UDP_MOST ? q->udp_size : DNS_UDP_MOST;
}

void
dns_answer_code(
    const struct dns_query *q, bool udp, bool recurse, enum dns_rcode code, struct dns_writer *w)
{
	dns_begin(w, q, code, code == DNS_NXDOMAIN, recurse, limit_of(q, udp));
	dns_end(w, true);
}

static void
split(struct question *u)
{
	char *name = arena_strdup(&u->mem, u->q->name);

	for (char *p = name; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	while (name != NULL && u->n < LABELS_MAX && *name != '\0')
		u->label[u->n++] = strsep(&name, ".");
}

static const char *
join(struct question *u, size_t from, size_t to)
{
	autobuf struct buf b = BUF_INIT;

	for (size_t i = from; i < to; i++)
		buf_addf(&b, "%s%s", i > from ? "." : "", u->label[i]);
	return arena_strdup(&u->mem, buf_str(&b));
}

/* ---- records ---- */

static void
add_soa(struct question *u, enum dns_section section)
{
	struct dns_rr rr = { .name = u->c->domain,
		.type = DNS_SOA,
		.soa = { arena_printf(&u->mem, "ns.%s", u->c->domain),
		    arena_printf(&u->mem, "hostmaster.%s", u->c->domain),
		    (uint32_t)state_table_index(u->c->state, STATE_SERVICES), SOA_REFRESH,
		    SOA_RETRY, SOA_EXPIRE, 0 } };

	dns_add(u->w, section, &rr);
}

static void
begin(struct question *u, enum dns_rcode code, bool recurse)
{
	dns_begin(u->w, u->q, code, true, recurse, limit_of(u->q, u->udp));
}

static void
nothing(struct question *u, enum dns_rcode code, bool recurse)
{
	begin(u, code, recurse);
	add_soa(u, DNS_AUTHORITY);
	dns_end(u->w, true);
}

/* An address as a record of the type that it has; false: it is none. */
static bool
address_rr(const char *name, const char *address, struct dns_rr *rr)
{
	*rr = (struct dns_rr){ .name = name };
	if (inet_pton(AF_INET, address, &rr->a) == 1)
		rr->type = DNS_A;
	else if (inet_pton(AF_INET6, address, &rr->aaaa) == 1)
		rr->type = DNS_AAAA;
	else
		return false;
	return true;
}

static bool
wants(const struct question *u, unsigned type)
{
	return u->q->type == type || u->q->type == DNS_ANY;
}

/* Node names may hold what host names may not. */
static const char *
node_label(struct question *u, const char *node)
{
	char *out = arena_strdup(&u->mem, node);

	for (char *p = out; *p != '\0'; p++)
		*p = isalnum((unsigned char)*p) || *p == '-' || *p == '_'
			 ? (char)tolower((unsigned char)*p)
			 : '-';
	return *out != '\0' ? out : "node";
}

static const char *
node_name(struct question *u, const char *node)
{
	return arena_printf(
	    &u->mem, "%s.node.%s.%s", node_label(u, node), u->c->datacenter, u->c->domain);
}

static const char *
hex_name(struct question *u, const struct dns_rr *rr)
{
	autobuf struct buf b = BUF_INIT;
	const uint8_t *raw = rr->type == DNS_A ? (const uint8_t *)&rr->a : rr->aaaa.s6_addr;

	for (size_t i = 0; i < (rr->type == DNS_A ? 4 : 16); i++)
		buf_addf(&b, "%02x", raw[i]);
	return arena_printf(&u->mem, "%s.addr.%s.%s", buf_str(&b), u->c->datacenter, u->c->domain);
}

/* ---- services ---- */

static void
shuffle(struct rows *list, uint64_t seed)
{
	for (size_t i = list->n; i > 1; i--) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		size_t j = (size_t)(seed >> 33) % i;
		const void *swap = list->at[i - 1];
		list->at[i - 1] = list->at[j];
		list->at[j] = swap;
	}
}

static void
keep_usable(struct rows *list, const char *tag)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++) {
		const struct service_row *row = list->at[i];
		bool tagged = tag == NULL;
		for (size_t k = 0; k < row->tags.n && !tagged; k++)
			tagged = str_same(row->tags.at[k], tag);
		if (tagged && !str_eq(row->status, "critical"))
			list->at[n++] = row;
	}
	list->n = n;
}

static void
add_addresses(struct question *u, const struct rows *list)
{
	struct map seen = MAP_INIT;
	size_t added = 0;

	for (size_t i = 0; i < list->n && added < u->most; i++) {
		const char *address = instance_address(u->c, list->at[i]);
		struct dns_rr rr;
		if (!address_rr(u->q->name, address, &rr)) {
			/* a host name: whoever asks follows it */
			rr = (struct dns_rr){
				.name = u->q->name, .type = DNS_CNAME, .target = address
			};
			if (list->n == 1 && dns_add(u->w, DNS_ANSWER, &rr))
				added++;
			continue;
		}
		if (!wants(u, rr.type) || map_set(&seen, address, u) != NULL)
			continue;
		if (!dns_add(u->w, DNS_ANSWER, &rr))
			break;
		added++;
	}
	map_fini(&seen);
}

/* The name of an instance's address in SRV records, and the record that it stands for. */
static const char *
target_of(struct question *u, const struct service_row *row, struct dns_rr *rr)
{
	struct place p = place_of(u->c, row);

	if (!address_rr(NULL, instance_address(u->c, row), rr))
		return instance_address(u->c, row);
	bool own = row->address != NULL && *row->address != '\0';
	return rr->name = own ? hex_name(u, rr) : node_name(u, p.node);
}

static void
add_srvs(struct question *u, const struct rows *list)
{
	struct map seen = MAP_INIT;
	size_t added = 0;

	for (size_t i = 0; i < list->n && added < u->most; i++) {
		const struct service_row *row = list->at[i];
		struct dns_rr address;
		struct dns_rr rr = { .name = u->q->name,
			.type = DNS_SRV,
			.srv = { 1, 1, (uint16_t)row->port, target_of(u, row, &address) } };
		autofree char *key = xasprintf("%s %u", rr.srv.target, rr.srv.port);
		if (map_set(&seen, key, u) != NULL)
			continue;
		if (!dns_add(u->w, DNS_ANSWER, &rr))
			break;
		added++;
	}
	map_fini(&seen);
	for (size_t i = 0; i < list->n && i < u->most; i++) {
		struct dns_rr address;
		const char *target = target_of(u, list->at[i], &address);
		if (address.name != NULL && map_set(&seen, target, u) == NULL)
			dns_add(u->w, DNS_ADDITIONAL, &address);
	}
	map_fini(&seen);
}

static void
answer_service(struct question *u, const char *service, const char *tag, bool recurse)
{
	autorows struct rows list = instances_of(u->c, service, true);

	keep_usable(&list, tag);
	if (list.n == 0) {
		nothing(u, DNS_NXDOMAIN, recurse);
		return;
	}
	shuffle(&list, u->seed);
	begin(u, DNS_NOERROR, recurse);
	if (u->q->type == DNS_SRV)
		add_srvs(u, &list);
	else
		add_addresses(u, &list);
	if (u->w->count[DNS_ANSWER] == 0)
		add_soa(u, DNS_AUTHORITY);
	dns_end(u->w, true);
}

/* `rest` labels stand before "service". */
static void
service_question(struct question *u, size_t rest, bool recurse)
{
	const char *tag = NULL;
	bool rfc2782 = rest >= 2 && u->label[rest - 2][0] == '_' && u->label[rest - 1][0] == '_';

	if (rest == 0) {
		nothing(u, DNS_NXDOMAIN, recurse);
		return;
	}
	if (rfc2782) {
		const char *proto = u->label[rest - 1] + 1;
		if (!str_eq(proto, "tcp") && !str_eq(proto, "udp"))
			tag = proto;
		answer_service(u, u->label[rest - 2] + 1, tag, recurse);
		return;
	}
	if (rest > 1)
		tag = join(u, 0, rest - 1); /* a tag may hold dots */
	answer_service(u, u->label[rest - 1], tag, recurse);
}

/* ---- nodes and addresses ---- */

static void
answer_address(struct question *u, const char *address, const struct strmap *meta, bool recurse)
{
	struct dns_rr rr;

	begin(u, DNS_NOERROR, recurse);
	if (address_rr(u->q->name, address, &rr) && wants(u, rr.type))
		dns_add(u->w, DNS_ANSWER, &rr);
	for (size_t i = 0; meta != NULL && i < meta->n; i++) {
		const char *pair = arena_printf(
		    &u->mem, "%s=%s", meta->key[i], meta->value[i] != NULL ? meta->value[i] : "");
		struct dns_rr txt = { .name = u->q->name, .type = DNS_TXT, .text = pair };
		if (wants(u, DNS_TXT))
			dns_add(u->w, DNS_ANSWER, &txt);
	}
	if (u->w->count[DNS_ANSWER] == 0)
		add_soa(u, DNS_AUTHORITY);
	dns_end(u->w, true);
}

static void
node_question(struct question *u, size_t rest, bool recurse)
{
	autorows struct rows nodes = state_list(u->c->state, STATE_NODES, NULL);
	const char *name = join(u, 0, rest);

	if (nodes.n == 0)
		VEC_PUSH(&nodes, NULL);
	for (size_t i = 0; i < nodes.n; i++) {
		struct place p = place_of_node(u->c, nodes.at[i]);
		if (!str_same(p.node, name) && !str_eq(node_label(u, p.node), name))
			continue;
		answer_address(u, p.address, p.meta, recurse);
		return;
	}
	nothing(u, DNS_NXDOMAIN, recurse);
}

static void
addr_question(struct question *u, size_t rest, bool recurse)
{
	uint8_t raw[16];
	char address[INET6_ADDRSTRLEN];
	const char *hex = rest == 1 ? u->label[0] : "";
	size_t n = strlen(hex) / 2;

	if ((strlen(hex) != 8 && strlen(hex) != 32) ||
	    strspn(hex, "0123456789abcdef") != strlen(hex)) {
		nothing(u, DNS_NXDOMAIN, recurse);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const char byte[3] = { hex[2 * i], hex[2 * i + 1], '\0' };
		raw[i] = (uint8_t)strtoul(byte, NULL, 16);
	}
	inet_ntop(n == 4 ? AF_INET : AF_INET6, raw, address, sizeof(address));
	answer_address(u, address, NULL, recurse);
}

static void
apex_question(struct question *u, bool recurse)
{
	struct dns_rr ns = { .name = u->c->domain,
		.type = DNS_NS,
		.target = arena_printf(&u->mem, "ns.%s", u->c->domain) };
	struct dns_rr address;

	begin(u, DNS_NOERROR, recurse);
	if (wants(u, DNS_SOA))
		add_soa(u, DNS_ANSWER);
	if (wants(u, DNS_NS))
		dns_add(u->w, DNS_ANSWER, &ns);
	if (u->w->count[DNS_ANSWER] == 0)
		add_soa(u, DNS_AUTHORITY);
	else if (address_rr(ns.target, u->c->address, &address))
		dns_add(u->w, DNS_ADDITIONAL, &address);
	dns_end(u->w, true);
}

/* ---- which is it ---- */

static const struct {
	const char *label;
	void (*answer)(struct question *u, size_t rest, bool recurse);
} kinds[] = {
	{ "service", service_question },
	{ "node", node_question },
	{ "addr", addr_question },
};

/* u->n labels are left of the domain. */
static void
our_question(struct question *u, bool recurse)
{
	if (u->n == 0) {
		apex_question(u, recurse);
		return;
	}
	if (u->n == 1 && str_eq(u->label[0], "ns")) {
		answer_address(u, u->c->address, NULL, recurse);
		return;
	}
	bool with_dc = u->n >= 2 && str_eq(u->label[u->n - 1], u->c->datacenter);
	for (size_t tries = 0; tries < 2; tries++) {
		if (tries == 1 && !with_dc)
			break;
		size_t at = u->n - 1 - tries;
		for (size_t i = 0; i < NELEM(kinds); i++)
			if (str_eq(u->label[at], kinds[i].label)) {
				kinds[i].answer(u, at, recurse);
				return;
			}
	}
	nothing(u, DNS_NXDOMAIN, recurse);
}

/* How many labels the domain takes at the end, or 0: another domain. */
static size_t
domain_labels(const struct question *u)
{
	size_t n = 1;

	for (const char *p = u->c->domain; *p != '\0'; p++)
		n += *p == '.';
	if (u->n < n)
		return 0;
	size_t name = strlen(u->q->name), domain = strlen(u->c->domain);
	return name >= domain && strcasecmp(u->q->name + name - domain, u->c->domain) == 0 &&
		       (name == domain || u->q->name[name - domain - 1] == '.')
		   ? n
		   : 0;
}

/* "3.2.1.10.in-addr.arpa" and the long form for IPv6; false: another name. */
static bool
reverse_address(const struct question *u, char out[INET6_ADDRSTRLEN])
{
	autobuf struct buf b = BUF_INIT;
	uint8_t raw[16];

	bool v4 = u->n == 6 && str_eq(u->label[4], "in-addr") && str_eq(u->label[5], "arpa");
	bool v6 = u->n == 34 && str_eq(u->label[32], "ip6") && str_eq(u->label[33], "arpa");
	if (v4)
		buf_addf(&b, "%s.%s.%s.%s", u->label[3], u->label[2], u->label[1], u->label[0]);
	for (size_t i = 32; v6 && i-- > 0;)
		buf_addf(&b, "%.1s%s", u->label[i], i % 4 == 0 && i > 0 ? ":" : "");
	if ((!v4 && !v6) || inet_pton(v4 ? AF_INET : AF_INET6, buf_str(&b), raw) != 1)
		return false;
	return inet_ntop(v4 ? AF_INET : AF_INET6, raw, out, INET6_ADDRSTRLEN) != NULL;
}

static bool
reverse_question(struct question *u, bool recurse)
{
	autorows struct rows nodes = state_list(u->c->state, STATE_NODES, NULL);
	char address[INET6_ADDRSTRLEN];

	if (!reverse_address(u, address))
		return false;
	if (nodes.n == 0)
		VEC_PUSH(&nodes, NULL);
	for (size_t i = 0; i < nodes.n; i++) {
		struct place p = place_of_node(u->c, nodes.at[i]);
		if (!str_eq(p.address, address))
			continue;
		struct dns_rr rr = {
			.name = u->q->name, .type = DNS_PTR, .target = node_name(u, p.node)
		};
		begin(u, DNS_NOERROR, recurse);
		if (wants(u, DNS_PTR))
			dns_add(u->w, DNS_ANSWER, &rr);
		dns_end(u->w, true);
		return true;
	}
	return false;
}

enum answer_kind
dns_answer(const struct catalog *c, const struct dns_query *q, bool udp, bool recurse,
    uint64_t seed, struct dns_writer *w)
{
	struct question u = { .c = c,
		.q = q,
		.udp = udp,
		.seed = seed,
		.w = w,
		.mem = ARENA_INIT,
		.most = udp && !q->edns ? PLAIN_UDP_ANSWERS : SIZE_MAX };
	enum answer_kind kind = ANSWER_DONE;

	split(&u);
	size_t domain = domain_labels(&u);
	if (domain > 0) {
		u.n -= domain;
		our_question(&u, recurse);
	} else if (!reverse_question(&u, recurse))
		kind = ANSWER_FORWARD;
	arena_fini(&u.mem);
	return kind;
}
