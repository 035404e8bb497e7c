/* rules.c: text → tree → OR of ANDs. */
#include "ingress/rules.h"

#include "base/buf.h"
#include "base/str.h"
#include "base/vec.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { NESTING_MAX = 32, ARGS_MAX = 32 };

enum node_kind { NODE_MATCH, NODE_AND, NODE_OR, NODE_NOT };

struct node {
	enum node_kind kind;
	struct match match;
	struct node *left, *right; /* right: not of NOT */
};

struct parser {
	const char *text, *p;
	struct arena *a;
	int depth;
	struct err *e;
};

static const char *const kind_names[MATCH_KINDS] = { "Host", "HostRegexp", "Path", "PathPrefix",
	"PathRegexp", "Header", "HeaderRegexp", "Method", "Query", "QueryRegexp", "ClientIP" };

const char *
match_kind_name(enum match_kind kind)
{
	return kind_names[kind];
}

static int
bad(struct parser *s, const char *at, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_new(s->e, ERR_INPUT, "rule: column %td: %s", at - s->text + 1, text);
}

static void
blanks(struct parser *s)
{
	while (isspace((unsigned char)*s->p))
		s->p++;
}

static struct node *
node_of(struct arena *a, enum node_kind kind, struct node *left, struct node *right)
{
	struct node *n = arena_new(a, struct node);

	*n = (struct node){ .kind = kind, .left = left, .right = right };
	return n;
}

static struct node *
leaf(struct arena *a, enum match_kind kind, const char *key, const char *value)
{
	struct node *n = node_of(a, NODE_MATCH, NULL, NULL);

	n->match = (struct match){ .kind = kind, .key = key, .value = value };
	return n;
}

/* `raw`, or "with \" escapes". */
static int
value(struct parser *s, const char **out)
{
	const char *at = s->p;
	char quote = *s->p;
	char text[RULE_VALUE_MAX + 1];
	size_t n = 0;

	if (quote != '`' && quote != '"')
		return bad(s, at, "expected a value in back-ticks or double quotes");
	for (s->p++; *s->p != quote; s->p++) {
		char c = *s->p;
		if (c == '\0')
			return bad(s, at, "the value is not closed by %c", quote);
		if ((unsigned char)c < 0x20 || c == 0x7f)
			return bad(s, s->p, "control character in a value");
		if (quote == '"' && c == '\\') {
			if (s->p[1] != '"' && s->p[1] != '\\')
				return bad(s, s->p,
				    "only \\\" and \\\\ are known in double quotes; use "
				    "back-ticks");
			c = *++s->p;
		}
		if (n == RULE_VALUE_MAX)
			return bad(s, at, "the value is longer than %d bytes", RULE_VALUE_MAX);
		text[n++] = c;
	}
	s->p++;
	*out = arena_strndup(s->a, text, n);
	return 0;
}

static int
arguments(struct parser *s, const char *args[ARGS_MAX], size_t *n)
{
	blanks(s);
	if (*s->p != '(')
		return bad(s, s->p, "expected ( after the matcher's name");
	s->p++;
	for (*n = 0;;) {
		blanks(s);
		if (*s->p == ')' && *n == 0)
			return bad(s, s->p, "the matcher needs a value");
		if (*n == ARGS_MAX)
			return bad(s, s->p, "more than %d values", ARGS_MAX);
		if (value(s, &args[(*n)++]) < 0)
			return -1;
		blanks(s);
		if (*s->p == ',') {
			s->p++;
			continue;
		}
		if (*s->p != ')')
			return bad(s, s->p, "expected , or ) after the value");
		s->p++;
		return 0;
	}
}

/* What becomes of one value. */
typedef struct node *one_fn(struct parser *s, const char *at, const char *value);

static bool
is_host_name(const char *s)
{
	if (*s == '\0' || strlen(s) > 253)
		return false;
	for (; *s != '\0'; s++)
		if (!isalnum((unsigned char)*s) && strchr("-._:[]", *s) == NULL)
			return false;
	return true;
}

static const char *
lower(struct arena *a, const char *s)
{
	char *out = arena_strdup(a, s);

	for (char *p = out; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	return out;
}

static struct node *
one_host(struct parser *s, const char *at, const char *v)
{
	const char *host = lower(s->a, v);

	if (str_eq(host, "*"))
		return leaf(s->a, MATCH_HOST_REGEXP, NULL, ".*");
	bool wild = str_starts(host, "*.");
	if (!is_host_name(wild ? host + 2 : host)) {
		bad(s, at, "Host(`%s`) is not a host name; use HostRegexp for patterns", v);
		return NULL;
	}
	if (!wild)
		return leaf(s->a, MATCH_HOST, NULL, host);
	autobuf struct buf re = BUF_INIT;
	buf_adds(&re, "^[^.]+");
	for (const char *p = host + 1; *p != '\0'; p++)
		buf_addf(
		    &re, isalnum((unsigned char)*p) || *p == '-' || *p == '_' ? "%c" : "\\%c", *p);
	buf_addc(&re, '$');
	return leaf(s->a, MATCH_HOST_REGEXP, NULL, arena_strdup(s->a, buf_str(&re)));
}

/* Does it hold {name} or {name:regexp}, as version 2 writes variables? */
static bool
has_template(const char *v)
{
	for (const char *p = v; (p = strchr(p, '{')) != NULL; p++) {
		const char *q = p + 1;
		if (!isalpha((unsigned char)*q) && *q != '_')
			continue;
		while (isalnum((unsigned char)*q) || *q == '_' || *q == '-')
			q++;
		if (*q == ':' || *q == '}')
			return true;
	}
	return false;
}

/* `{sub:[a-z]+}.a.b` → ^(?:[a-z]+)\.a\.b$ ; a bare {name} takes one piece. */
static int
template_regex(const char *v, char piece_end, bool whole, struct buf *re)
{
	buf_addc(re, '^');
	while (*v != '\0') {
		if (*v != '{') {
			buf_addf(re,
			    isalnum((unsigned char)*v) || strchr("-_/", *v) ? "%c" : "\\%c", *v);
			v++;
			continue;
		}
		const char *colon = v + 1 + strcspn(v + 1, ":}"), *end = v + 1;
		for (int deep = 1; *end != '\0'; end++) {
			deep += (*end == '{') - (*end == '}');
			if (deep == 0)
				break;
		}
		if (*end == '\0')
			return -1;
		if (*colon == ':' && colon < end)
			buf_addf(re, "(?:%.*s)", (int)(end - colon - 1), colon + 1);
		else
			buf_addf(re, "[^%c]+", piece_end);
		v = end + 1;
	}
	if (whole)
		buf_addc(re, '$');
	return 0;
}

static struct node *
one_template(struct parser *s, const char *at, const char *v, char piece_end, bool whole,
    enum match_kind kind)
{
	autobuf struct buf re = BUF_INIT;

	if (template_regex(v, piece_end, whole, &re) < 0) {
		bad(s, at, "a { in `%s` is not closed", v);
		return NULL;
	}
	if (regex_check(buf_str(&re), s->e) < 0)
		return NULL;
	return leaf(s->a, kind, NULL, arena_strdup(s->a, buf_str(&re)));
}

static struct node *
one_host_regexp(struct parser *s, const char *at, const char *v)
{
	if (has_template(v))
		return one_template(s, at, v, '.', true, MATCH_HOST_REGEXP);
	return regex_check(v, s->e) < 0 ? NULL : leaf(s->a, MATCH_HOST_REGEXP, NULL, v);
}

static struct node *
one_path_of(struct parser *s, const char *at, const char *v, enum match_kind kind)
{
	if (*v != '/') {
		bad(s, at, "path `%s` does not begin with /", v);
		return NULL;
	}
	if (has_template(v))
		return one_template(s, at, v, '/', kind == MATCH_PATH, MATCH_PATH_REGEXP);
	return leaf(s->a, kind, NULL, v);
}

static struct node *
one_path(struct parser *s, const char *at, const char *v)
{
	return one_path_of(s, at, v, MATCH_PATH);
}

static struct node *
one_path_prefix(struct parser *s, const char *at, const char *v)
{
	return one_path_of(s, at, v, MATCH_PATH_PREFIX);
}

static struct node *
one_path_regexp(struct parser *s, const char *at, const char *v)
{
	(void)at;
	return regex_check(v, s->e) < 0 ? NULL : leaf(s->a, MATCH_PATH_REGEXP, NULL, v);
}

static struct node *
one_method(struct parser *s, const char *at, const char *v)
{
	char *upper = arena_strdup(s->a, v);

	for (char *p = upper; *p != '\0'; p++) {
		*p = (char)toupper((unsigned char)*p);
		if (!isupper((unsigned char)*p) && *p != '-') {
			bad(s, at, "`%s` is not a method", v);
			return NULL;
		}
	}
	return leaf(s->a, MATCH_METHOD, NULL, upper);
}

bool
is_cidr(const char *text)
{
	char address[64];
	unsigned char raw[16];
	size_t n = strcspn(text, "/");
	uint64_t bits;

	if (n >= sizeof(address))
		return false;
	memcpy(address, text, n);
	address[n] = '\0';
	bool v4 = inet_pton(AF_INET, address, raw) == 1;
	if (!v4 && inet_pton(AF_INET6, address, raw) != 1)
		return false;
	return text[n] == '\0' || str_u64(text + n + 1, v4 ? 32 : 128, &bits);
}

static struct node *
one_client_ip(struct parser *s, const char *at, const char *v)
{
	if (is_cidr(v))
		return leaf(s->a, MATCH_CLIENT_IP, NULL, v);
	bad(s, at, "`%s` is neither an address nor a CIDR range", v);
	return NULL;
}

/* `k=v` of version 2. */
static struct node *
one_pair(struct parser *s, const char *at, const char *v)
{
	const char *eq = strchr(v, '=');

	(void)at;
	return leaf(s->a, MATCH_QUERY, arena_strndup(s->a, v, (size_t)(eq - v)), eq + 1);
}

static bool
is_token(const char *s)
{
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++)
		if (!isalnum((unsigned char)*s) && strchr("-._~", *s) == NULL)
			return false;
	return true;
}

static struct node *
pair_of(struct parser *s, const char *at, enum match_kind kind, const char *const *args, size_t n)
{
	bool re = kind == MATCH_HEADER_REGEXP || kind == MATCH_QUERY_REGEXP;

	if (n > 2 || (n < 2 && kind != MATCH_QUERY)) {
		bad(s, at, "%s takes a name and a value", kind_names[kind]);
		return NULL;
	}
	if (!is_token(args[0])) {
		bad(s, at, "name `%s`: only letters, digits and -._~ are supported", args[0]);
		return NULL;
	}
	if (re && regex_check(args[1], s->e) < 0)
		return NULL;
	return leaf(s->a, kind, args[0], n == 2 ? args[1] : NULL);
}

static const struct matcher {
	const char *name;
	one_fn *one;	      /* for each value; NULL: name and value */
	enum match_kind pair; /* when one is NULL */
} matchers[] = {
	{ "Host", one_host, 0 },
	{ "HostHeader", one_host, 0 },
	{ "HostRegexp", one_host_regexp, 0 },
	{ "Path", one_path, 0 },
	{ "PathPrefix", one_path_prefix, 0 },
	{ "PathRegexp", one_path_regexp, 0 },
	{ "Method", one_method, 0 },
	{ "ClientIP", one_client_ip, 0 },
	{ "Header", NULL, MATCH_HEADER },
	{ "Headers", NULL, MATCH_HEADER },
	{ "HeaderRegexp", NULL, MATCH_HEADER_REGEXP },
	{ "HeadersRegexp", NULL, MATCH_HEADER_REGEXP },
	{ "Query", NULL, MATCH_QUERY },
	{ "QueryRegexp", NULL, MATCH_QUERY_REGEXP },
};

static const struct matcher *
matcher_named(struct parser *s, const char *at, const char *name)
{
	const char *names[NELEM(matchers)];

	for (size_t i = 0; i < NELEM(matchers); i++) {
		names[i] = matchers[i].name;
		if (str_eq(name, names[i]))
			return &matchers[i];
	}
	const char *near = str_nearest(name, names, NELEM(matchers));
	if (str_starts(name, "HostSNI"))
		bad(s, at, "%s belongs to TCP routers, which are not supported yet", name);
	else
		bad(s, at, "unknown matcher %s%s%s%s", name, near ? " (did you mean " : "",
		    near ? near : "", near ? "?)" : "");
	return NULL;
}

static bool
all_pairs(const char *const *args, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *eq = strchr(args[i], '=');
		if (eq == NULL || eq == args[i])
			return false;
	}
	return true;
}

static struct node *
matcher(struct parser *s)
{
	const char *at = s->p, *args[ARGS_MAX];
	char name[32];
	size_t len = 0, n = 0;

	while (isalpha((unsigned char)s->p[len]) && len < sizeof(name) - 1)
		len++;
	memcpy(name, s->p, len);
	name[len] = '\0';
	if (len == 0) {
		bad(s, at,
		    *at == '\0' ? "the rule ends where a matcher is expected"
				: "expected a matcher, ! or (");
		return NULL;
	}
	s->p += len;
	const struct matcher *m = matcher_named(s, at, name);
	if (m == NULL || arguments(s, args, &n) < 0)
		return NULL;
	one_fn *one = m->one;
	enum node_kind join = NODE_OR;
	if (one == NULL) {
		if (m->pair != MATCH_QUERY || !all_pairs(args, n))
			return pair_of(s, at, m->pair, args, n);
		one = one_pair; /* version 2: all of them */
		join = NODE_AND;
	}
	struct node *all = NULL;
	for (size_t i = 0; i < n; i++) {
		struct node *this = one(s, at, args[i]);
		if (this == NULL)
			return NULL;
		if (one == one_pair && !is_token(this->match.key)) {
			bad(s, at, "name `%s`: only letters, digits and -._~ are supported",
			    this->match.key);
			return NULL;
		}
		all = all == NULL ? this : node_of(s->a, join, all, this);
	}
	return all;
}

static struct node *any_of(struct parser *s);

static struct node *
unary(struct parser *s)
{
	struct node *n;

	blanks(s);
	const char *at = s->p;
	if (s->depth > NESTING_MAX) {
		bad(s, at, "nested deeper than %d", NESTING_MAX);
		return NULL;
	}
	if (*at == '!') {
		s->p++;
		s->depth++;
		n = unary(s);
		s->depth--;
		return n != NULL ? node_of(s->a, NODE_NOT, n, NULL) : NULL;
	}
	if (*at != '(')
		return matcher(s);
	s->p++;
	s->depth++;
	n = any_of(s);
	s->depth--;
	if (n == NULL)
		return NULL;
	blanks(s);
	if (*s->p != ')') {
		bad(s, at, "the parenthesis is not closed");
		return NULL;
	}
	s->p++;
	return n;
}

static struct node *
chain(struct parser *s, const char *op, enum node_kind kind, struct node *(*part)(struct parser *))
{
	struct node *n = part(s);

	while (n != NULL) {
		blanks(s);
		if (!str_starts(s->p, op))
			break;
		s->p += 2;
		struct node *right = part(s);
		n = right != NULL ? node_of(s->a, kind, n, right) : NULL;
	}
	return n;
}

static struct node *
all_of(struct parser *s)
{
	return chain(s, "&&", NODE_AND, unary);
}

static struct node *
any_of(struct parser *s)
{
	return chain(s, "||", NODE_OR, all_of);
}

static void
add_match(struct rule_term *t, struct match m)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->at[i].kind == m.kind && t->at[i].negate == m.negate &&
		    str_eq(t->at[i].key, m.key) && str_eq(t->at[i].value, m.value))
			return;
	t->at[t->n++] = m;
}

/* Every term of l with every term of r. */
static int
product(struct parser *s, const struct rule *l, const struct rule *r, struct rule *out)
{
	if (l->n * r->n > RULE_TERMS)
		return err_new(s->e, ERR_INPUT,
		    "rule: it means more than %d alternatives; split it into several routers",
		    RULE_TERMS);
	*out = (struct rule){ .at = arena_array(s->a, l->n * r->n, struct rule_term) };
	for (size_t i = 0; i < l->n; i++)
		for (size_t j = 0; j < r->n; j++) {
			struct rule_term *t = &out->at[out->n++];
			t->at = arena_array(s->a, l->at[i].n + r->at[j].n, struct match);
			for (size_t k = 0; k < l->at[i].n; k++)
				add_match(t, l->at[i].at[k]);
			for (size_t k = 0; k < r->at[j].n; k++)
				add_match(t, r->at[j].at[k]);
			if (t->n > RULE_MATCHES)
				return err_new(s->e, ERR_INPUT,
				    "rule: more than %d conditions at once; split it into several "
				    "routers",
				    RULE_MATCHES);
		}
	return 0;
}

static int
sum(struct parser *s, const struct rule *l, const struct rule *r, struct rule *out)
{
	if (l->n + r->n > RULE_TERMS)
		return err_new(s->e, ERR_INPUT,
		    "rule: it means more than %d alternatives; split it into several routers",
		    RULE_TERMS);
	*out = (struct rule){ .at = arena_array(s->a, l->n + r->n, struct rule_term),
		.n = l->n + r->n };
	for (size_t i = 0; i < l->n; i++)
		out->at[i] = l->at[i];
	for (size_t i = 0; i < r->n; i++)
		out->at[l->n + i] = r->at[i];
	return 0;
}

/* turned: the meaning of n is turned round (de Morgan). */
static int
normalise(struct parser *s, const struct node *n, bool turned, struct rule *out)
{
	struct rule l = { 0 }, r = { 0 };

	if (n->kind == NODE_NOT)
		return normalise(s, n->left, !turned, out);
	if (n->kind == NODE_MATCH) {
		*out = (struct rule){ .at = arena_new(s->a, struct rule_term), .n = 1 };
		out->at->at = arena_new(s->a, struct match);
		out->at->at[0] = n->match;
		out->at->at[0].negate = turned;
		out->at->n = 1;
		return 0;
	}
	if (normalise(s, n->left, turned, &l) < 0 || normalise(s, n->right, turned, &r) < 0)
		return -1;
	return (n->kind == NODE_AND) != turned ? product(s, &l, &r, out) : sum(s, &l, &r, out);
}

int
rule_parse(const char *text, struct arena *a, struct rule *out, struct err *e)
{
	struct parser s = { .text = text, .p = text, .a = a, .e = e };

	if (strlen(text) > RULE_TEXT_MAX)
		return err_new(e, ERR_INPUT, "rule: longer than %d bytes", RULE_TEXT_MAX);
	struct node *n = any_of(&s);
	if (n == NULL)
		return -1;
	blanks(&s);
	if (*s.p != '\0')
		return bad(&s, s.p, "expected && or ||");
	struct rule r;
	if (normalise(&s, n, false, &r) < 0)
		return -1;
	*out = r;
	return 0;
}

bool
rule_is_hosts(const struct rule *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->at[i].n != 1 || r->at[i].at[0].kind != MATCH_HOST || r->at[i].at[0].negate)
			return false;
	return r->n > 0;
}
