#include "ingress/middleware.h"

#include "base/clock.h"
#include "base/str.h"
#include "ingress/rules.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { RANGES_MAX = 40, TRACKERS_MAX = 3, VALUE_MAX = 1500 };

void
middleware_lines_fini(struct middleware_lines *l)
{
	buf_fini(&l->section);
	buf_fini(&l->backend);
}

static void
quote(struct buf *b, const char *s, bool format)
{
	buf_addc(b, '\'');
	for (; *s != '\0'; s++) {
		if (*s == '\'')
			buf_adds(b, "'\\''");
		else if (*s == '%' && format)
			buf_adds(b, "%%");
		else
			buf_addc(b, *s);
	}
	buf_addc(b, '\'');
}

void
config_quote(struct buf *b, const char *word)
{
	quote(b, word, false);
}

void
config_quote_format(struct buf *b, const char *text)
{
	quote(b, text, true);
}

struct writer {
	const struct tag_middleware *m;
	struct buf *section, *backend;
	int *counter;
	struct arena *a;
	struct err *e;
};

static int
bad(struct writer *w, const char *option, const char *what)
{
	return err_new(
	    w->e, ERR_INPUT, "middleware \"%s\": %s.%s: %s", w->m->name, w->m->kind, option, what);
}

static const char *
get(struct writer *w, const char *option)
{
	return strmap_get(&w->m->options, option);
}

/* The option as true or false; -1: neither. */
static int
flag(struct writer *w, const char *option, bool fallback)
{
	const char *v = get(w, option);
	bool on = fallback;

	if (v != NULL && !tag_bool(v, &on))
		return bad(w, option, "is neither true nor false");
	return on;
}

static bool
is_plain_text(const char *s)
{
	if (strlen(s) > VALUE_MAX)
		return false;
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

static int
redirect_scheme(struct writer *w)
{
	const char *scheme = get(w, "scheme"), *port = get(w, "port");
	int permanent = flag(w, "permanent", false);
	uint64_t number;

	if (permanent < 0)
		return -1;
	if (scheme == NULL || (!str_eq(scheme, "https") && !str_eq(scheme, "http")))
		return bad(w, "scheme", "must be http or https");
	if (port != NULL && !str_u64(port, UINT16_MAX, &number))
		return bad(w, "port", "is not a port");
	const char *when = str_eq(scheme, "https") ? "if !{ ssl_fc }" : "if { ssl_fc }";
	/* Go answers 302 and 301 for GET, and the codes that keep the method for the rest */
	for (int get_method = 1; get_method >= 0; get_method--)
		buf_addf(w->backend,
		    "\thttp-request redirect code %d location "
		    "%s://%%[req.hdr(host),field(1,:)]%s%s%%[pathq] %s%s\n",
		    get_method ? (permanent ? 301 : 302) : (permanent ? 308 : 307), scheme,
		    port != NULL ? ":" : "", port != NULL ? port : "", when,
		    get_method ? " METH_GET" : "");
	return 0;
}

static int
check_path(struct writer *w, const char *option, const char *v)
{
	if (v == NULL || *v != '/' || !is_plain_text(v) || strchr(v, ' ') != NULL)
		return bad(w, option, "must be a path that begins with / and holds no blanks");
	return 0;
}

static int
strip_prefix(struct writer *w)
{
	const char *v = get(w, "prefixes");
	struct strs list = tag_list(v != NULL ? v : "", w->a);

	if (list.n == 0)
		return bad(w, "prefixes", "is missing");
	for (size_t i = 0; i < list.n; i++)
		if (check_path(w, "prefixes", list.at[i]) < 0)
			return -1;
	/* the first that fits is stripped, and only that */
	for (size_t i = 0; i < list.n; i++) {
		autobuf struct buf prefix = BUF_INIT, re = BUF_INIT;
		config_quote(&prefix, list.at[i]);
		buf_adds(&re, "^");
		for (const char *p = list.at[i]; *p != '\0'; p++)
			buf_addf(&re, isalnum((unsigned char)*p) || *p == '/' ? "%c" : "\\%c", *p);
		buf_adds(&re, "/?(.*)$");
		buf_addf(w->backend,
		    "\thttp-request set-var(txn.strip) int(%zu) if !{ var(txn.strip) -m found } { "
		    "path -m beg -- %s }\n",
		    i, buf_str(&prefix));
		buf_adds(w->backend, "\thttp-request set-header X-Forwarded-Prefix ");
		config_quote_format(w->backend, list.at[i]);
		buf_addf(w->backend,
		    " if { var(txn.strip) -m int %zu }\n\thttp-request replace-path ", i);
		config_quote(w->backend, buf_str(&re));
		buf_addf(w->backend, " '/\\1' if { var(txn.strip) -m int %zu }\n", i);
	}
	buf_adds(w->backend, "\thttp-request unset-var(txn.strip)\n");
	return 0;
}

static int
add_prefix(struct writer *w)
{
	const char *v = get(w, "prefix");

	if (check_path(w, "prefix", v) < 0)
		return -1;
	buf_adds(w->backend, "\thttp-request set-path ");
	config_quote_format(w->backend, v);
	buf_adds(w->backend, "%[path]\n");
	return 0;
}

static int
replace_path(struct writer *w)
{
	const char *v = get(w, "path");

	if (check_path(w, "path", v) < 0)
		return -1;
	buf_adds(w->backend,
	    "\thttp-request set-header X-Replaced-Path %[path]\n\thttp-request set-path ");
	config_quote_format(w->backend, v);
	buf_addc(w->backend, '\n');
	return 0;
}

static bool
is_header_name(const char *s)
{
	if (*s == '\0' || strlen(s) > 100)
		return false;
	for (; *s != '\0'; s++)
		if (!isalnum((unsigned char)*s) && *s != '-' && *s != '_')
			return false;
	return true;
}

static void
header_line(struct writer *w, const char *side, const char *name, const char *value)
{
	if (*value == '\0') {
		buf_addf(w->backend, "\thttp-%s del-header %s\n", side, name);
		return;
	}
	buf_addf(w->backend, "\thttp-%s set-header %s ", side, name);
	config_quote_format(w->backend, value);
	buf_addc(w->backend, '\n');
}

static int
security_header(struct writer *w, const char *key, const char *value)
{
	static const struct {
		const char *option, *header;
		const char *when_true; /* NULL: the option's own text */
	} known[] = {
		{ "framedeny", "X-Frame-Options", "DENY" },
		{ "customframeoptionsvalue", "X-Frame-Options", NULL },
		{ "contenttypenosniff", "X-Content-Type-Options", "nosniff" },
		{ "browserxssfilter", "X-XSS-Protection", "1; mode=block" },
		{ "custombrowserxssvalue", "X-XSS-Protection", NULL },
		{ "contentsecuritypolicy", "Content-Security-Policy", NULL },
		{ "referrerpolicy", "Referrer-Policy", NULL },
		{ "permissionspolicy", "Permissions-Policy", NULL },
	};

	for (size_t i = 0; i < NELEM(known); i++) {
		if (!str_eq(key, known[i].option))
			continue;
		int on = known[i].when_true != NULL ? flag(w, key, false) : 1;
		if (on < 0)
			return -1;
		if (on)
			header_line(w, "response", known[i].header,
			    known[i].when_true != NULL ? known[i].when_true : value);
		return 0;
	}
	return bad(w, key, "is not supported");
}

static int
headers(struct writer *w)
{
	static const char request[] = "customrequestheaders.",
			  response[] = "customresponseheaders.";

	for (size_t i = 0; i < w->m->options.n; i++) {
		const char *key = w->m->options.key[i], *value = w->m->options.value[i];
		const char *side = str_starts(key, request)    ? "request"
				   : str_starts(key, response) ? "response"
							       : NULL;
		if (!is_plain_text(value))
			return bad(w, key, "holds a control character or is too long");
		if (side == NULL) {
			if (security_header(w, key, value) < 0)
				return -1;
			continue;
		}
		const char *name = strchr(key, '.') + 1;
		if (!is_header_name(name))
			return bad(w, key, "is not a header name of letters, digits, - and _");
		header_line(w, side, name, value);
	}
	return 0;
}

/* "name:hash" with a hash that crypt(3) of this machine and HAProxy understand. */
static int
one_user(struct writer *w, const char *user)
{
	static const char *const known[] = { "$1$", "$5$", "$6$", "$2a$", "$2b$", "$2y$", "$y$" };
	const char *hash = strchr(user, ':');

	if (hash == NULL || hash == user || !is_plain_text(user))
		return bad(w, "users", "expected name:hash");
	hash++;
	for (size_t i = 0; i < NELEM(known); i++)
		if (str_starts(hash, known[i])) {
			buf_adds(w->section, "\tuser ");
			autofree char *name = xstrndup(user, (size_t)(hash - 1 - user));
			config_quote(w->section, name);
			buf_adds(w->section, " password ");
			config_quote(w->section, hash);
			buf_addc(w->section, '\n');
			return 0;
		}
	return bad(w, "users",
	    "only crypt, SHA-256, SHA-512 and bcrypt hashes are supported (htpasswd -B makes "
	    "bcrypt)");
}

static int
basic_auth(struct writer *w)
{
	const char *users = get(w, "users"), *realm = get(w, "realm");
	struct strs list = tag_list(users != NULL ? users : "", w->a);
	int remove = flag(w, "removeheader", false);

	if (remove < 0)
		return -1;
	if (list.n == 0)
		return bad(w, "users", "is missing");
	if (realm != NULL && !is_plain_text(realm))
		return bad(w, "realm", "holds a control character");
	buf_addf(w->section, "userlist mw-%s\n", w->m->name);
	for (size_t i = 0; i < list.n; i++)
		if (one_user(w, list.at[i]) < 0)
			return -1;
	buf_adds(w->backend, "\thttp-request auth realm ");
	config_quote(w->backend, realm != NULL ? realm : "traefik");
	buf_addf(w->backend, " unless { http_auth(mw-%s) }\n", w->m->name);
	if (remove)
		buf_adds(w->backend, "\thttp-request del-header Authorization\n");
	return 0;
}

static int
ip_allow_list(struct writer *w)
{
	const char *v = get(w, "sourcerange");
	struct strs list = tag_list(v != NULL ? v : "", w->a);

	if (list.n == 0 || list.n > RANGES_MAX)
		return bad(w, "sourcerange", "needs from 1 to 40 addresses or ranges");
	buf_adds(w->backend, "\thttp-request return status 403 content-type text/plain string "
			     "Forbidden unless { src");
	for (size_t i = 0; i < list.n; i++) {
		if (!is_cidr(list.at[i]))
			return bad(w, "sourcerange", "holds what is no address or CIDR range");
		buf_addf(w->backend, " %s", list.at[i]);
	}
	buf_adds(w->backend, " }\n");
	return 0;
}

static int
rate_limit(struct writer *w)
{
	const char *average = get(w, "average"), *burst = get(w, "burst"),
		   *period = get(w, "period");
	uint64_t most = 0, extra = 1;
	int64_t every = NS_PER_SEC;

	if (average != NULL && !str_u64(average, 1000000, &most))
		return bad(w, "average", "is not a number up to 1000000");
	if (burst != NULL && !str_u64(burst, 1000000, &extra))
		return bad(w, "burst", "is not a number up to 1000000");
	if (period != NULL &&
	    (!duration_parse(period, &every) || every < NS_PER_MS || every > 86400 * NS_PER_SEC))
		return bad(w, "period", "is not a duration from 1ms to 24h");
	if (most == 0)
		return 0; /* no limit */
	if (*w->counter == TRACKERS_MAX)
		return bad(w, "average", "at most 3 rate limits in one chain");
	buf_addf(w->section,
	    "backend mw-%s\n\tstick-table type ipv6 size 20k expire %lldms store "
	    "http_req_rate(%lldms)\n",
	    w->m->name, (long long)(every / NS_PER_MS), (long long)(every / NS_PER_MS));
	buf_addf(
	    w->backend, "\thttp-request track-sc%d src table mw-%s\n", *w->counter, w->m->name);
	buf_addf(w->backend,
	    "\thttp-request return status 429 content-type text/plain string 'Too Many Requests' "
	    "if { sc%d_http_req_rate gt %llu }\n",
	    *w->counter, (unsigned long long)(most + extra - 1));
	(*w->counter)++;
	return 0;
}

static int
compress(struct writer *w)
{
	buf_adds(w->backend,
	    "\tfilter compression\n\tcompression algo gzip\n\tcompression type text/html "
	    "text/plain text/css text/xml text/javascript application/javascript "
	    "application/json application/xml image/svg+xml\n");
	return 0;
}

static int
retry(struct writer *w)
{
	const char *v = get(w, "attempts");
	uint64_t n;

	if (v == NULL || !str_u64(v, 100, &n) || n == 0)
		return bad(w, "attempts", "must be a number from 1 to 100");
	buf_addf(w->backend, "\tretries %llu\n", (unsigned long long)(n > 1 ? n - 1 : 1));
	return 0;
}

static const struct kind {
	const char *name;
	int (*write)(struct writer *w);
	const char *options[5]; /* ended by NULL; a first NULL: all are looked at by write() */
} kinds[] = {
	{ "redirectscheme", redirect_scheme, { "scheme", "port", "permanent" } },
	{ "stripprefix", strip_prefix, { "prefixes", "forceslash" } },
	{ "addprefix", add_prefix, { "prefix" } },
	{ "replacepath", replace_path, { "path" } },
	{ "headers", headers, { NULL } },
	{ "basicauth", basic_auth, { "users", "realm", "removeheader" } },
	{ "ipallowlist", ip_allow_list, { "sourcerange" } },
	{ "ipwhitelist", ip_allow_list, { "sourcerange" } },
	{ "ratelimit", rate_limit, { "average", "period", "burst" } },
	{ "compress", compress, { "" } },
	{ "retry", retry, { "attempts" } },
};

static int
check_options(struct writer *w, const struct kind *k)
{
	for (size_t i = 0; k->options[0] != NULL && i < w->m->options.n; i++) {
		bool found = false;
		for (size_t j = 0; j < NELEM(k->options) && k->options[j] != NULL; j++)
			found = found || str_eq(w->m->options.key[i], k->options[j]);
		if (!found)
			return bad(w, w->m->options.key[i], "is not supported");
	}
	return 0;
}

static bool
is_section_name(const char *s)
{
	if (*s == '\0' || strlen(s) > 100)
		return false;
	for (; *s != '\0'; s++)
		if (!isalnum((unsigned char)*s) && strchr("-_.", *s) == NULL)
			return false;
	return true;
}

int
middleware_write(
    const struct tag_middleware *m, int *counter, struct middleware_lines *out, struct err *e)
{
	autoarena struct arena a = ARENA_INIT;
	autobuf struct buf section = BUF_INIT, backend = BUF_INIT;
	int count = *counter;
	struct writer w = { m, &section, &backend, &count, &a, e };

	if (!is_section_name(m->name))
		return err_new(e, ERR_INPUT,
		    "middleware \"%s\": a name is made of letters, digits, -, _ and .", m->name);
	if (m->kind == NULL || m->second_kind != NULL)
		return err_new(e, ERR_INPUT, "middleware \"%s\" has %s", m->name,
		    m->kind == NULL ? "no kind" : "two kinds: give each its own name");
	for (size_t i = 0; i < NELEM(kinds); i++) {
		if (!str_eq(m->kind, kinds[i].name))
			continue;
		if (check_options(&w, &kinds[i]) < 0 || kinds[i].write(&w) < 0)
			return -1;
		buf_add(&out->section, buf_str(&section), section.len);
		buf_add(&out->backend, buf_str(&backend), backend.len);
		*counter = count;
		return 0;
	}
	return err_new(
	    e, ERR_UNSUPPORTED, "middleware \"%s\": kind %s is not supported", m->name, m->kind);
}
