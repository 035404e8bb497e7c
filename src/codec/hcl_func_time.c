/*
 * hcl_func_time.c: functions on times and addresses.
 */
#include "codec/hcl_ast.h"

#include "base/clock.h"

#include <sys/socket.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/socket.h>

static const char *
text_arg(struct hcl_call *c, size_t i)
{
	struct any *s = hcl_to_string(c->mem, c->args[i]);

	if (s == NULL) {
		hcl_fault(c, "argument %zu must be a string", i + 1);
		return NULL;
	}
	return s->s;
}

static bool
whole_arg(struct hcl_call *c, size_t i, int64_t *out)
{
	struct any *v = hcl_to_number(c->mem, c->args[i]);

	if (any_type(v) == ANY_INT) {
		*out = v->i;
		return true;
	}
	hcl_fault(c, "argument %zu must be a whole number", i + 1);
	return false;
}

/* --- times --- */

static bool
time_arg(struct hcl_call *c, size_t i, int64_t *out)
{
	const char *s = text_arg(c, i);

	if (s == NULL)
		return false;
	if (clock_parse_rfc3339(s, out))
		return true;
	hcl_fault(c, "\"%.60s\" is not a valid RFC 3339 timestamp", s);
	return false;
}

static struct any *
fn_timeadd(struct hcl_call *c)
{
	const char *s = text_arg(c, 1);
	char text[CLOCK_TEXT];
	int64_t t, d;

	if (s == NULL || !time_arg(c, 0, &t))
		return NULL;
	if (!duration_parse(s, &d))
		return hcl_fault(c, "\"%.60s\" is not a valid duration", s);
	if (__builtin_add_overflow(t, d, &t))
		return hcl_fault(c, "the result is out of range");
	return any_str(c->mem, clock_rfc3339(t, text));
}

static const char *const months[] = { "January", "February", "March", "April", "May", "June",
	"July", "August", "September", "October", "November", "December" };
static const char *const days[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday",
	"Friday", "Saturday" };

/* One run of equal letters of the pattern; false: unknown. Times are in UTC. */
static bool
add_date(struct buf *out, const struct tm *t, char letter, size_t n)
{
	int hour = t->tm_hour % 12 == 0 ? 12 : t->tm_hour % 12;
	const struct {
		char letter;
		int value;
	} plain[] = { { 'D', t->tm_mday }, { 'h', t->tm_hour }, { 'H', hour }, { 'm', t->tm_min },
		{ 's', t->tm_sec }, { 'M', t->tm_mon + 1 } };

	if (letter == 'M' && n >= 3) {
		buf_addf(out, n == 3 ? "%.3s" : "%s", months[t->tm_mon]);
		return n <= 4;
	}
	for (size_t i = 0; i < NELEM(plain); i++)
		if (plain[i].letter == letter) {
			buf_addf(out, "%0*d", (int)n, plain[i].value);
			return n <= 2;
		}
	switch (letter) {
	case 'Y':
		if (n == 2)
			buf_addf(out, "%02d", (t->tm_year + 1900) % 100);
		else
			buf_addf(out, "%04d", t->tm_year + 1900);
		return n == 2 || n == 4;
	case 'E':
		buf_addf(out, n == 3 ? "%.3s" : "%s", days[t->tm_wday]);
		return n == 3 || n == 4;
	case 'A':
	case 'a':
		buf_adds(out, letter == 'A' ? (t->tm_hour < 12 ? "AM" : "PM")
					    : (t->tm_hour < 12 ? "am" : "pm"));
		return n == 2;
	case 'Z':
		buf_adds(out, n == 1 ? "Z" : n == 3 ? "UTC" : n == 4 ? "+0000" : "+00:00");
		return n == 1 || n == 3 || n == 4 || n == 5;
	default:
		return false;
	}
}

static struct any *
fn_formatdate(struct hcl_call *c)
{
	const char *s = text_arg(c, 0);
	autobuf struct buf out = BUF_INIT;
	time_t seconds;
	struct tm t;
	int64_t ns;

	if (s == NULL || !time_arg(c, 1, &ns))
		return NULL;
	seconds = (time_t)(ns / NS_PER_SEC - (ns % NS_PER_SEC < 0));
	if (gmtime_r(&seconds, &t) == NULL)
		return hcl_fault(c, "the time is out of range");
	while (*s != '\0') {
		size_t n = 1;

		if (*s == '\'') {
			for (s++; *s != '\0' && !(*s == '\'' && s[1] != '\''); s++) {
				if (*s == '\'')
					s++;
				buf_addc(&out, *s);
			}
			if (*s++ == '\0')
				return hcl_fault(c, "unterminated literal '");
			continue;
		}
		if (!isalpha((unsigned char)*s)) {
			buf_addc(&out, *s++);
			continue;
		}
		while (s[n] == *s)
			n++;
		if (!add_date(&out, &t, *s, n))
			return hcl_fault(c, "invalid date format verb \"%.*s\"", (int)n, s);
		s += n;
	}
	return any_strn(c->mem, buf_str(&out), out.len);
}

/* --- address prefixes, as big-endian bytes --- */

struct prefix {
	uint8_t addr[16];
	int family, bits, size; /* size: 4 or 16 bytes */
};

static bool
prefix_arg(struct hcl_call *c, size_t i, struct prefix *p)
{
	const char *s = text_arg(c, i), *slash;
	char *end;

	if (s == NULL)
		return false;
	slash = strchr(s, '/');
	*p = (struct prefix){ .family = strchr(s, ':') != NULL ? AF_INET6 : AF_INET };
	p->size = p->family == AF_INET6 ? 16 : 4;
	if (slash == NULL || !isdigit((unsigned char)slash[1]) ||
	    inet_pton(p->family, arena_strndup(c->mem, s, (size_t)(slash - s)), p->addr) != 1)
		slash = NULL;
	p->bits = slash == NULL ? -1 : (int)strtol(slash + 1, &end, 10);
	if (slash == NULL || *end != '\0' || p->bits > 8 * p->size || p->bits < 0) {
		hcl_fault(c, "invalid CIDR expression: \"%.60s\"", s);
		return false;
	}
	for (int b = p->bits; b < 8 * p->size; b++)
		p->addr[b / 8] &= (uint8_t) ~(0x80 >> b % 8);
	return true;
}

/* Adds n, shifted left by `shift` bits; false when it runs over the end. */
static bool
add_at(struct prefix *p, uint64_t n, int shift)
{
	unsigned carry = 0;

	for (int bit = 0; bit < 64; bit++) {
		int at = 8 * p->size - 1 - shift - bit;
		unsigned digit = (unsigned)(n >> bit & 1), sum;

		if (at < 0)
			return carry == 0 && n >> bit == 0;
		sum = (p->addr[at / 8] >> (7 - at % 8) & 1) + digit + carry;
		p->addr[at / 8] &= (uint8_t) ~(0x80 >> at % 8);
		if ((sum & 1) != 0)
			p->addr[at / 8] |= (uint8_t)(0x80 >> at % 8);
		carry = sum >> 1;
	}
	return true;
}

static const char *
address_text(struct hcl_call *c, const struct prefix *p)
{
	char text[INET6_ADDRSTRLEN];

	return arena_strdup(c->mem, inet_ntop(p->family, p->addr, text, sizeof(text)));
}

/* As many of a field's `width` bits as n needs? */
static bool
fits(uint64_t n, int width)
{
	return width >= 64 || n < (uint64_t)1 << width;
}

static struct any *
fn_cidrhost(struct hcl_call *c)
{
	struct prefix p;
	int64_t n;
	int width;

	if (!prefix_arg(c, 0, &p) || !whole_arg(c, 1, &n))
		return NULL;
	width = 8 * p.size - p.bits;
	if (!fits(n < 0 ? (uint64_t) - (n + 1) : (uint64_t)n, width))
		return hcl_fault(c, "prefix of %d does not accommodate a host numbered %lld",
		    p.bits, (long long)n);
	if (n < 0) { /* counted from the end */
		for (int b = p.bits; b < 8 * p.size; b++)
			p.addr[b / 8] |= (uint8_t)(0x80 >> b % 8);
		for (uint64_t k = (uint64_t) - (n + 1), bit = 0; k >> bit != 0 && bit < 63; bit++)
			if ((k >> bit & 1) != 0)
				p.addr[p.size - 1 - bit / 8] &= (uint8_t) ~(1 << bit % 8);
	} else
		(void)add_at(&p, (uint64_t)n, 0);
	return any_str(c->mem, address_text(c, &p));
}

static struct any *
fn_cidrnetmask(struct hcl_call *c)
{
	struct prefix p;

	if (!prefix_arg(c, 0, &p))
		return NULL;
	if (p.family != AF_INET)
		return hcl_fault(c, "only IPv4 networks have a netmask");
	memset(p.addr, 0, sizeof(p.addr));
	for (int b = 0; b < p.bits; b++)
		p.addr[b / 8] |= (uint8_t)(0x80 >> b % 8);
	return any_str(c->mem, address_text(c, &p));
}

static struct any *
fn_cidrsubnet(struct hcl_call *c)
{
	int64_t more, n;
	struct prefix p;

	if (!prefix_arg(c, 0, &p) || !whole_arg(c, 1, &more) || !whole_arg(c, 2, &n))
		return NULL;
	if (more < 0 || more > 8 * p.size - p.bits)
		return hcl_fault(c,
		    "not enough remaining address space for a prefix of %lld more bits",
		    (long long)more);
	if (n < 0 || !fits((uint64_t)n, (int)more))
		return hcl_fault(c, "%lld more bits do not accommodate a subnet numbered %lld",
		    (long long)more, (long long)n);
	p.bits += (int)more;
	(void)add_at(&p, (uint64_t)n, 8 * p.size - p.bits);
	return any_str(c->mem, arena_printf(c->mem, "%s/%d", address_text(c, &p), p.bits));
}

/* Consecutive subnets of given sizes, each at the next place where it fits. */
static struct any *
fn_cidrsubnets(struct hcl_call *c)
{
	struct any *out = any_list(c->mem);
	struct prefix base, next;
	bool room = true;
	int64_t more;

	if (!prefix_arg(c, 0, &base))
		return NULL;
	next = base;
	for (size_t i = 1; i < c->n; i++) {
		bool aligned = true;
		struct prefix one;

		if (!whole_arg(c, i, &more))
			return NULL;
		if (more < 1 || more > 8 * base.size - base.bits)
			return hcl_fault(c,
			    "not enough remaining address space for a subnet with a prefix of %lld "
			    "more bits",
			    (long long)more);
		one = next;
		one.bits = base.bits + (int)more;
		for (int b = one.bits; b < 8 * one.size; b++) {
			aligned = aligned && (one.addr[b / 8] >> (7 - b % 8) & 1) == 0;
			one.addr[b / 8] &= (uint8_t) ~(0x80 >> b % 8);
		}
		if (!aligned)
			room = room && add_at(&one, 1, 8 * one.size - one.bits);
		for (int b = 0; b < base.bits; b++)
			room = room && ((one.addr[b / 8] ^ base.addr[b / 8]) & 0x80 >> b % 8) == 0;
		if (!room)
			return hcl_fault(c, "not enough remaining address space for subnet %zu", i);
		any_append(c->mem, out,
		    any_str(
			c->mem, arena_printf(c->mem, "%s/%d", address_text(c, &one), one.bits)));
		next = one;
		room = add_at(&next, 1, 8 * one.size - one.bits);
	}
	return out;
}

const struct hcl_function hcl_time_functions[] = {
	{ "cidrhost", 2, 2, fn_cidrhost },
	{ "cidrnetmask", 1, 1, fn_cidrnetmask },
	{ "cidrsubnet", 3, 3, fn_cidrsubnet },
	{ "cidrsubnets", 1, -1, fn_cidrsubnets },
	{ "formatdate", 2, 2, fn_formatdate },
	{ "timeadd", 2, 2, fn_timeadd },
	{ NULL, 0, 0, NULL },
};
