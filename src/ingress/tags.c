/* tags.c: tag → key path and value → the member it sets. */
#include "ingress/tags.h"

#include "base/str.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { PATH_MAX_PARTS = 16, TAG_MAX = 4096, OBJECTS_MAX = 64 };

struct reader {
	struct arena *a;
	struct tags *out;
	const char *tag;	    /* whole, for warnings */
	char *part[PATH_MAX_PARTS]; /* lower case, without the prefix */
	size_t n;
	const char *value;
};

static void
warn(struct reader *r, const char *what)
{
	strs_add(&r->out->warnings, r->a, arena_printf(r->a, "tag \"%.200s\": %s", r->tag, what));
}

struct strs
tag_list(const char *value, struct arena *a)
{
	struct strs list = { 0 };

	while (*value != '\0') {
		size_t n = strcspn(value, ",");
		const char *from = value, *to = value + n;
		while (from < to && isspace((unsigned char)*from))
			from++;
		while (to > from && isspace((unsigned char)to[-1]))
			to--;
		if (to > from)
			strs_add(&list, a, arena_strndup(a, from, (size_t)(to - from)));
		value += n + (value[n] == ',');
	}
	return list;
}

bool
tag_bool(const char *v, bool *out)
{
	static const char *const yes[] = { "1", "t", "true" }, *const no[] = { "0", "f", "false" };

	for (size_t i = 0; i < NELEM(yes); i++) {
		if (strcasecmp(v, yes[i]) == 0)
			return *out = true;
		if (strcasecmp(v, no[i]) == 0) {
			*out = false;
			return true;
		}
	}
	return false;
}

static void
set_bool(struct reader *r, bool *out)
{
	if (!tag_bool(r->value, out))
		warn(r, "is neither true nor false; ignored");
}

static void
set_int(struct reader *r, int64_t most, int64_t *out)
{
	uint64_t n;

	if (str_u64(r->value, (uint64_t)most, &n))
		*out = (int64_t)n;
	else
		warn(r,
		    arena_printf(r->a, "is not a number from 0 to %lld; ignored", (long long)most));
}

/* The object of that name in the list, made if it is new; NULL: too many. */
static void *
named(struct reader *r, struct objs *list, const char *name, size_t size, bool *fresh)
{
	for (size_t i = 0; i < list->n; i++)
		if (str_eq(*(const char **)list->at[i], name)) {
			*fresh = false;
			return list->at[i];
		}
	if (list->n == OBJECTS_MAX) {
		warn(r, "too many objects in one instance's tags; ignored");
		return NULL;
	}
	const char **made = arena_alloc(r->a, size);
	made[0] = arena_strdup(r->a, name);
	objs_add(list, r->a, made);
	*fresh = true;
	return made;
}

static void
router(struct reader *r)
{
	bool fresh;
	struct tag_router *t = named(r, &r->out->routers, r->part[2], sizeof(*t), &fresh);
	const char *key = r->n > 3 ? r->part[3] : "";

	if (t == NULL)
		return;
	if (r->n == 4 && str_eq(key, "rule"))
		t->rule = r->value;
	else if (r->n == 4 && str_eq(key, "service"))
		t->service = r->value;
	else if (r->n == 4 && str_eq(key, "entrypoints"))
		t->entrypoints = tag_list(r->value, r->a);
	else if (r->n == 4 && str_eq(key, "middlewares"))
		t->middlewares = tag_list(r->value, r->a);
	else if (r->n == 4 && str_eq(key, "priority"))
		set_int(r, INT32_MAX, &t->priority);
	else if (r->n == 4 && str_eq(key, "tls"))
		set_bool(r, &t->tls);
	else if (str_eq(key, "tls"))
		t->tls = true; /* options of TLS ask for TLS */
	else if (str_eq(key, "observability"))
		warn(r, "has no effect here");
	else if (!str_eq(key, "rulesyntax"))
		warn(r, "unknown key of a router; ignored");
}

static void
sticky(struct reader *r, struct tag_service *t)
{
	const char *key = r->n == 7 ? r->part[6] : "";

	if (r->n < 6 || !str_eq(r->part[5], "cookie")) {
		warn(r, "unknown key of a service; ignored");
		return;
	}
	t->sticky = true;
	if (r->n == 6)
		set_bool(r, &t->sticky);
	else if (str_eq(key, "name"))
		t->cookie = r->value;
	else if (str_eq(key, "secure"))
		set_bool(r, &t->cookie_secure);
	else if (str_eq(key, "httponly"))
		set_bool(r, &t->cookie_http_only);
	else if (str_eq(key, "samesite"))
		t->cookie_same_site = r->value;
	else
		warn(r, "unknown key of a sticky cookie; ignored");
}

static void
service(struct reader *r)
{
	bool fresh;
	struct tag_service *t = named(r, &r->out->services, r->part[2], sizeof(*t), &fresh);

	if (t == NULL)
		return;
	if (fresh) {
		t->weight = -1;
		t->keep_host = true;
	}
	if (r->n < 5 || !str_eq(r->part[3], "loadbalancer")) {
		warn(r, "only loadbalancer services are supported; ignored");
		return;
	}
	const char *key = r->part[4], *sub = r->n == 6 ? r->part[5] : "";
	if (str_eq(key, "server") && str_eq(sub, "port"))
		set_int(r, UINT16_MAX, &t->port);
	else if (str_eq(key, "server") && str_eq(sub, "scheme"))
		t->scheme = r->value;
	else if (str_eq(key, "server") && str_eq(sub, "weight"))
		set_int(r, 256, &t->weight);
	else if (str_eq(key, "passhostheader") && r->n == 5)
		set_bool(r, &t->keep_host);
	else if (str_eq(key, "sticky"))
		sticky(r, t);
	else if (str_eq(key, "healthcheck"))
		warn(r, "has no effect: the checks of the service itself decide");
	else if (str_eq(key, "responseforwarding"))
		warn(r, "has no effect: answers are always forwarded at once");
	else
		warn(r, "unknown key of a service; ignored");
}

static void
middleware(struct reader *r)
{
	bool fresh;
	struct tag_middleware *t = named(r, &r->out->middlewares, r->part[2], sizeof(*t), &fresh);
	autobuf struct buf key = BUF_INIT;

	if (t == NULL)
		return;
	if (r->n < 4) {
		warn(r, "names no kind of middleware; ignored");
		return;
	}
	if (t->kind == NULL)
		t->kind = arena_strdup(r->a, r->part[3]);
	else if (!str_eq(t->kind, r->part[3])) {
		t->second_kind = arena_strdup(r->a, r->part[3]);
		return;
	}
	for (size_t i = 4; i < r->n; i++)
		buf_addf(&key, "%s%s", i > 4 ? "." : "", r->part[i]);
	strmap_set(&t->options, r->a, buf_str(&key), r->value);
}

static void
read_tag(struct reader *r)
{
	if (r->n == 1 && str_eq(r->part[0], "enable")) {
		bool on = false;
		set_bool(r, &on);
		r->out->enable = on;
	} else if (str_eq(r->part[0], "tcp") || str_eq(r->part[0], "udp")) {
		r->out->other_protocol = true;
		warn(r, "TCP and UDP routers are not supported yet; ignored");
	} else if (str_eq(r->part[0], "http") && r->n >= 3 && *r->part[2] != '\0') {
		if (str_eq(r->part[1], "routers"))
			router(r);
		else if (str_eq(r->part[1], "services"))
			service(r);
		else if (str_eq(r->part[1], "middlewares"))
			middleware(r);
		else
			warn(r, "unknown key; ignored");
	} else
		warn(r, "unknown key; ignored");
}

/* Splits "a.b.c" and lowers it; false: too many parts. */
static bool
split_key(struct reader *r, char *key)
{
	for (char *p = key; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	for (r->n = 0; key != NULL; r->n++) {
		if (r->n == PATH_MAX_PARTS)
			return false;
		r->part[r->n] = strsep(&key, ".");
	}
	return true;
}

void
tags_parse(const struct strs *list, const char *prefix, struct arena *a, struct tags *out)
{
	size_t len = strlen(prefix);
	struct reader r = { .a = a, .out = out };

	*out = (struct tags){ .enable = -1 };
	for (size_t i = 0; i < list->n; i++) {
		r.tag = list->at[i];
		if (strncasecmp(r.tag, prefix, len) != 0 || r.tag[len] != '.')
			continue;
		const char *eq = strchr(r.tag, '=');
		if (eq == NULL || strlen(r.tag) > TAG_MAX) {
			warn(&r, eq == NULL ? "has no value; ignored"
					    : "is longer than 4096 bytes; ignored");
			continue;
		}
		const char *end = eq;
		while (end > r.tag && isspace((unsigned char)end[-1]))
			end--;
		const char *key = r.tag + len + 1;
		r.value = arena_strdup(a, eq + 1 + strspn(eq + 1, " \t"));
		if (end <= key || !split_key(&r, arena_strndup(a, key, (size_t)(end - key)))) {
			warn(&r, "unknown key; ignored");
			continue;
		}
		read_tag(&r);
	}
}

static bool
strs_equal(const struct strs *a, const struct strs *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!str_eq(a->at[i], b->at[i]))
			return false;
	return true;
}

bool
tag_router_equal(const struct tag_router *a, const struct tag_router *b)
{
	return str_eq(a->rule, b->rule) && str_eq(a->service, b->service) &&
	       strs_equal(&a->entrypoints, &b->entrypoints) &&
	       strs_equal(&a->middlewares, &b->middlewares) && a->priority == b->priority &&
	       a->tls == b->tls;
}

bool
tag_service_equal(const struct tag_service *a, const struct tag_service *b)
{
	return str_eq(a->scheme, b->scheme) && a->keep_host == b->keep_host &&
	       a->sticky == b->sticky && str_eq(a->cookie, b->cookie) &&
	       a->cookie_secure == b->cookie_secure && a->cookie_http_only == b->cookie_http_only &&
	       str_eq(a->cookie_same_site, b->cookie_same_site);
}

bool
tag_middleware_equal(const struct tag_middleware *a, const struct tag_middleware *b)
{
	if (!str_eq(a->kind, b->kind) || !str_eq(a->second_kind, b->second_kind) ||
	    a->options.n != b->options.n)
		return false;
	for (size_t i = 0; i < a->options.n; i++)
		if (!str_eq(strmap_get(&b->options, a->options.key[i]), a->options.value[i]))
			return false;
	return true;
}
