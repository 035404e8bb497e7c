#include "codec/dns.h"

#include "base/str.h"

#include <string.h>
#include <strings.h>

enum {
	LABEL_MAX = 63,
	WIRE_NAME_MAX = 255,
	OPT_SIZE = 11,
	POINTER = 0xc0,
	POINTER_MOST = 0x3fff,
	FLAG_QR = 0x8000,
	FLAG_AA = 0x0400,
	FLAG_TC = 0x0200,
	FLAG_RD = 0x0100,
	FLAG_RA = 0x0080,
	EDNS_DO = 0x8000
};

static uint16_t
get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void
add16(struct buf *b, uint16_t v)
{
	uint8_t two[2] = { (uint8_t)(v >> 8), (uint8_t)v };

	buf_add(b, two, sizeof(two));
}

static void
add32(struct buf *b, uint32_t v)
{
	add16(b, (uint16_t)(v >> 16));
	add16(b, (uint16_t)v);
}

static void
put16(struct buf *b, size_t at, uint16_t v)
{
	b->data[at] = (char)(v >> 8);
	b->data[at + 1] = (char)v;
}

/* Reads a name that may be compressed. Pointers must go strictly backwards, so they cannot loop.
 * Returns where reading goes on, or 0. */
static size_t
read_name(const uint8_t *wire, size_t len, size_t at, char *out)
{
	size_t after = 0, used = 0, lowest = at;

	for (;;) {
		if (at >= len)
			return 0;
		unsigned n = wire[at];
		if ((n & POINTER) == POINTER) {
			if (at + 1 >= len)
				return 0;
			size_t to = (size_t)(n & ~(unsigned)POINTER) << 8 | wire[at + 1];
			if (after == 0)
				after = at + 2;
			if (to >= lowest)
				return 0;
			at = lowest = to;
			continue;
		}
		if (n > LABEL_MAX || at + 1 + n > len)
			return 0;
		if (n == 0)
			break;
		if (used + n + 1 > WIRE_NAME_MAX - 1)
			return 0;
		if (used > 0 && out != NULL)
			out[used - 1] = '.';
		for (unsigned i = 0; i < n; i++) {
			uint8_t c = wire[at + 1 + i];
			if (c == '.' || c < 0x20 || c == 0x7f)
				return 0;
			if (out != NULL)
				out[used + i] = (char)c;
		}
		used += n + 1;
		at += 1 + n;
	}
	if (out != NULL)
		out[used > 0 ? used - 1 : 0] = '\0';
	return after != 0 ? after : at + 1;
}

/* Skips one record; fills in EDNS when it is OPT. Returns the end, or 0. */
static size_t
read_rr(const uint8_t *wire, size_t len, size_t at, struct dns_query *q, bool *twice)
{
	bool root = at < len && wire[at] == 0;

	at = read_name(wire, len, at, NULL);
	if (at == 0 || len - at < 10)
		return 0;
	uint16_t type = get16(wire + at), class = get16(wire + at + 2), size = get16(wire + at + 8);
	if (len - at - 10 < size)
		return 0;
	if (type == DNS_OPT && root) {
		*twice = q->edns;
		q->edns = true;
		q->udp_size = class < DNS_UDP_PLAIN ? DNS_UDP_PLAIN : class;
		q->edns_version = wire[at + 5];
		q->dnssec_ok = get16(wire + at + 6) & EDNS_DO;
	}
	return at + 10 + size;
}

int
dns_parse(const void *wire, size_t len, struct dns_query *q, struct err *e)
{
	const uint8_t *bytes = wire;
	bool twice = false;

	if (len < DNS_HEADER)
		return err_new(e, ERR_INPUT, "DNS message of %zu bytes has no whole header", len);
	uint16_t flags = get16(bytes + 2);
	struct dns_query out = { .id = get16(bytes),
		.response = (flags & FLAG_QR) != 0,
		.opcode = flags >> 11 & 0xf,
		.recursion_desired = (flags & FLAG_RD) != 0,
		.udp_size = DNS_UDP_PLAIN };
	if (get16(bytes + 4) != 1)
		return err_new(
		    e, ERR_INPUT, "DNS message has %u questions, not one", get16(bytes + 4));
	size_t at = read_name(bytes, len, DNS_HEADER, out.name);
	if (at == 0 || len - at < 4)
		return err_new(e, ERR_INPUT, "DNS question is malformed");
	out.type = get16(bytes + at);
	out.class = get16(bytes + at + 2);
	at += 4;
	/* In a reply only the question is of interest here. */
	unsigned records =
	    out.response ? 0u : (unsigned)get16(bytes + 6) + get16(bytes + 8) + get16(bytes + 10);
	for (unsigned i = 0; i < records; i++) {
		at = read_rr(bytes, len, at, &out, &twice);
		if (at == 0 || twice)
			return err_new(
			    e, ERR_INPUT, "DNS record %u of the query is malformed", i + 1);
	}
	*q = out;
	return 0;
}

bool
dns_refusal(const void *wire, size_t len, enum dns_rcode rcode, uint8_t out[DNS_HEADER])
{
	const uint8_t *bytes = wire;

	if (len < DNS_HEADER || (bytes[2] & 0x80))
		return false;
	memset(out, 0, DNS_HEADER);
	memcpy(out, bytes, 2);
	out[2] = (uint8_t)(0x80 | (bytes[2] & 0x79)); /* QR; opcode and RD as asked */
	out[3] = (uint8_t)rcode;
	return true;
}

/* True when the name that begins at `at` reads as text. */
static bool
name_at_is(const struct buf *wire, size_t at, const char *text)
{
	char name[DNS_NAME_TEXT] = "";

	return read_name((const uint8_t *)wire->data, wire->len, at, name) != 0 &&
	       strcasecmp(name, text) == 0;
}

static bool
name_is_writable(const char *name)
{
	size_t label = 0;

	if (strlen(name) > WIRE_NAME_MAX - 2)
		return false;
	for (const char *p = name; *p != '\0'; p++) {
		if (*p == '.') {
			if (label == 0)
				return false;
			label = 0;
			continue;
		}
		if (++label > LABEL_MAX || (unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
	}
	return *name == '\0' || label > 0;
}

/* Writes a name; every suffix that is already in the message becomes a pointer to it. */
static bool
add_name(struct dns_writer *w, const char *name)
{
	if (!name_is_writable(name))
		return false;
	while (*name != '\0') {
		for (size_t i = 0; i < w->n_known; i++)
			if (name_at_is(&w->wire, w->known[i].at, name)) {
				add16(&w->wire, (uint16_t)(POINTER << 8 | w->known[i].at));
				return true;
			}
		if (w->n_known < DNS_NAMES_KNOWN && w->wire.len <= POINTER_MOST)
			w->known[w->n_known++].at = (uint16_t)w->wire.len;
		size_t n = strcspn(name, ".");
		buf_addc(&w->wire, (char)n);
		buf_add(&w->wire, name, n);
		name += n + (name[n] == '.');
	}
	buf_addc(&w->wire, '\0');
	return true;
}

void
dns_begin(struct dns_writer *w, const struct dns_query *q, enum dns_rcode rcode, bool authoritative,
    bool recursion_available, size_t limit)
{
	uint16_t flags = (uint16_t)(FLAG_QR | q->opcode << 11 | (authoritative ? FLAG_AA : 0) |
				    (q->recursion_desired ? FLAG_RD : 0) |
				    (recursion_available ? FLAG_RA : 0) | (rcode & 0xf));

	*w = (struct dns_writer){ .edns = q->edns,
		.extended = (unsigned)rcode >> 4,
		.limit = limit - (q->edns ? OPT_SIZE : 0) };
	add16(&w->wire, q->id);
	add16(&w->wire, flags);
	add16(&w->wire, 1);
	for (int i = 0; i < 3; i++)
		add16(&w->wire, 0);
	add_name(w, q->name);
	add16(&w->wire, q->type);
	add16(&w->wire, q->class);
}

static void
add_text(struct buf *b, const char *text)
{
	size_t len = strlen(text);

	do {
		size_t n = len < 255 ? len : 255;
		buf_addc(b, (char)n);
		buf_add(b, text, n);
		text += n;
		len -= n;
	} while (len > 0);
}

static bool
add_data(struct dns_writer *w, const struct dns_rr *rr)
{
	switch (rr->type) {
	case DNS_A:
		buf_add(&w->wire, &rr->a, sizeof(rr->a));
		return true;
	case DNS_AAAA:
		buf_add(&w->wire, &rr->aaaa, sizeof(rr->aaaa));
		return true;
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:
		return add_name(w, rr->target);
	case DNS_TXT:
		add_text(&w->wire, rr->text);
		return true;
	case DNS_SRV:
		add16(&w->wire, rr->srv.priority);
		add16(&w->wire, rr->srv.weight);
		add16(&w->wire, rr->srv.port);
		return add_name(w, rr->srv.target);
	case DNS_SOA:
		if (!add_name(w, rr->soa.mname) || !add_name(w, rr->soa.rname))
			return false;
		add32(&w->wire, rr->soa.serial);
		add32(&w->wire, rr->soa.refresh);
		add32(&w->wire, rr->soa.retry);
		add32(&w->wire, rr->soa.expire);
		add32(&w->wire, rr->soa.minimum);
		return true;
	default:
		return false;
	}
}

bool
dns_add(struct dns_writer *w, enum dns_section section, const struct dns_rr *rr)
{
	size_t before = w->wire.len, known = w->n_known, size_at = 0;
	bool ok = add_name(w, rr->name);

	if (ok) {
		add16(&w->wire, rr->type);
		add16(&w->wire, 1);
		add32(&w->wire, rr->ttl_s);
		size_at = w->wire.len;
		add16(&w->wire, 0);
		ok = add_data(w, rr) && w->wire.len - size_at - 2 <= UINT16_MAX;
	}
	if (ok && w->wire.len <= w->limit && w->count[section] < UINT16_MAX) {
		put16(&w->wire, size_at, (uint16_t)(w->wire.len - size_at - 2));
		w->count[section]++;
		return true;
	}
	if (ok && section == DNS_ANSWER)
		w->truncated = true;
	w->wire.len = before;
	w->n_known = known;
	return false;
}

void
dns_end(struct dns_writer *w, bool mark_truncated)
{
	if (w->edns) {
		buf_addc(&w->wire, '\0');
		add16(&w->wire, DNS_OPT);
		add16(&w->wire, DNS_UDP_MOST);
		add32(&w->wire, (uint32_t)w->extended << 24);
		add16(&w->wire, 0);
		w->count[DNS_ADDITIONAL]++;
	}
	for (size_t i = 0; i < 3; i++)
		put16(&w->wire, 6 + 2 * i, w->count[i]);
	if (w->truncated && mark_truncated)
		w->wire.data[2] = (char)(w->wire.data[2] | FLAG_TC >> 8);
}

void
dns_writer_fini(struct dns_writer *w)
{
	buf_fini(&w->wire);
}

bool
dns_write_query(
    struct buf *out, uint16_t id, const char *name, enum dns_type type, uint16_t edns_size)
{
	struct dns_query q = {
		.id = id, .recursion_desired = true, .type = (uint16_t)type, .class = 1
	};

	if (!name_is_writable(name))
		return false;
	str_copy(q.name, sizeof(q.name), name);
	struct dns_writer w;
	dns_begin(&w, &q, DNS_NOERROR, false, false, DNS_TCP_MOST);
	w.wire.data[2] = FLAG_RD >> 8;
	if (edns_size > 0) {
		buf_addc(&w.wire, '\0');
		add16(&w.wire, DNS_OPT);
		add16(&w.wire, edns_size);
		add32(&w.wire, 0);
		add16(&w.wire, 0);
		put16(&w.wire, 10, 1);
	}
	buf_add(out, w.wire.data, w.wire.len);
	dns_writer_fini(&w);
	return true;
}
