/* agent.c: services and checks that are registered by hand. Their rows belong to no node's client;
 * member names are taken in any case, with or without underscores. */
#include "catalog/view.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { META_MAX = 64 };

static void
registered(void *arg, uint64_t index, const struct err *e)
{
	struct http_req *r = arg;

	(void)index;
	if (e != NULL)
		reply_err(r, e);
	else
		http_reply(r, 200, "text/plain; charset=utf-8", "", 0);
}

static void
propose(struct catalog *c, struct http_req *r, const struct command *cmd)
{
	struct err e = ERR_INIT;

	if (c->hooks.propose(c->hooks.ctx, cmd, registered, r, &e) < 0)
		reply_err(r, &e);
}

/* ---- reading JSON as leniently as Consul does ---- */

static bool
same_member(const char *a, const char *b)
{
	for (;; a++, b++) {
		while (*a == '_')
			a++;
		if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
			return false;
		if (*a == '\0')
			return true;
	}
}

static json_t *
member(json_t *object, const char *name)
{
	const char *key;
	json_t *v;

	json_object_foreach (object, key, v)
		if (same_member(key, name))
			return v;
	return NULL;
}

static const char *
text_of(json_t *object, const char *name)
{
	json_t *v = member(object, name);

	return json_is_string(v) ? json_string_value(v) : "";
}

/* "10s", or a number of nanoseconds; 0: absent. */
static int
duration_of(json_t *object, const char *name, int64_t *ns, struct err *e)
{
	json_t *v = member(object, name);

	*ns = 0;
	if (json_is_integer(v))
		*ns = json_integer_value(v);
	else if (json_is_string(v) && *json_string_value(v) != '\0' &&
		 !duration_parse(json_string_value(v), ns))
		return err_new(e, ERR_INPUT, "Invalid check: %s \"%.60s\" is not a duration", name,
		    json_string_value(v));
	return 0;
}

static void
refuse_silently_lost(json_t *v, const char *const *names, const char *id)
{
	for (; *names != NULL; names++) {
		json_t *m = member(v, *names);
		if (m != NULL && !json_is_null(m) &&
		    !(json_is_string(m) && *json_string_value(m) == '\0'))
			log_warn("catalog", "registration of %s: %s has no effect", id, *names);
	}
}

/* ---- one check ---- */

static int
check_kind(json_t *v, struct check_state *k, struct err *e)
{
	static const char *const kinds[] = { "HTTP", "TCP", "TTL" };
	static const char *const others[] = { "UDP", "GRPC", "Args", "Script", "DockerContainerID",
		"AliasNode", "AliasService" };

	for (size_t i = 0; i < NELEM(others); i++)
		if (member(v, others[i]) != NULL && !json_is_null(member(v, others[i])) &&
		    *text_of(v, others[i]) != '\0')
			return err_new(e, ERR_UNSUPPORTED,
			    "Invalid check: %s is not supported, use HTTP, TCP or TTL", others[i]);
	for (size_t i = 0; i < NELEM(kinds); i++)
		if (*text_of(v, kinds[i]) != '\0') {
			k->type = i == 0 ? "http" : i == 1 ? "tcp" : "ttl";
			k->target = i < 2 ? text_of(v, kinds[i]) : NULL;
			return 0;
		}
	return err_new(e, ERR_INPUT, "Invalid check: TTL must be > 0 or HTTP or TCP must be set");
}

static int
read_check(struct catalog *c, json_t *v, const char *service_id, const char *service, size_t number,
    struct arena *a, struct check_state *k, struct err *e)
{
	static const char *const lost[] = { "DeregisterCriticalServiceAfter",
		"SuccessBeforePassing", "FailuresBeforeCritical", "Header", "Body", "Method",
		"TLSServerName", NULL };

	if (!json_is_object(v))
		return err_new(e, ERR_INPUT, "Invalid check: not an object");
	*k = (struct check_state){ .status = "critical", .output = "" };
	const char *id = text_of(v, "CheckID"), *name = text_of(v, "Name"),
		   *status = text_of(v, "Status");
	if (*id == '\0')
		id = text_of(v, "ID");
	if (*id != '\0')
		k->check_id = id;
	else
		k->check_id = number == 0 ? arena_printf(a, "service:%s", service_id)
					  : arena_printf(a, "service:%s:%zu", service_id, number);
	k->name = *name != '\0' ? name : arena_printf(a, "Service '%s' check", service);
	if (*status != '\0') {
		if (!str_eq(status, "passing") && !str_eq(status, "warning") &&
		    !str_eq(status, "critical"))
			return err_new(e, ERR_INPUT, "Invalid check status: '%.60s'", status);
		k->status = status;
	}
	if (check_kind(v, k, e) < 0)
		return -1;
	if (str_eq(k->type, "ttl")) {
		if (duration_of(v, "TTL", &k->interval, e) < 0)
			return -1;
	} else if (duration_of(v, "Interval", &k->interval, e) < 0 ||
		   duration_of(v, "Timeout", &k->timeout, e) < 0)
		return -1;
	if (k->interval <= 0)
		return err_new(e, ERR_INPUT,
		    "Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks");
	if (k->interval < NS_PER_SEC && !str_eq(k->type, "ttl"))
		k->interval = NS_PER_SEC;
	if (k->target != NULL && c->hooks.probe_start == NULL)
		return err_new(
		    e, ERR_UNSUPPORTED, "Invalid check: only TTL checks are supported here");
	refuse_silently_lost(v, lost, k->check_id);
	return 0;
}

static int
read_checks(struct catalog *c, json_t *v, struct service_row *row, struct arena *a, struct err *e)
{
	json_t *one = member(v, "Check"), *many = member(v, "Checks");
	size_t total = (json_is_object(one) ? 1 : 0) + json_array_size(many), number = 0;

	for (size_t i = 0; i < total; i++) {
		json_t *from = json_is_object(one) ? (i == 0 ? one : json_array_get(many, i - 1))
						   : json_array_get(many, i);
		struct check_state *k = arena_new(a, struct check_state);
		number = total > 1 ? number + 1 : 0;
		if (read_check(c, from, row->id, row->service_name, number, a, k, e) < 0)
			return -1;
		objs_add(&row->checks, a, k);
	}
	return 0;
}

/* ---- a service ---- */

static int
read_lists(json_t *v, struct service_row *row, struct arena *a, struct err *e)
{
	json_t *tags = member(v, "Tags"), *meta = member(v, "Meta"), *value;
	const char *key;

	for (size_t i = 0; i < json_array_size(tags); i++) {
		json_t *tag = json_array_get(tags, i);
		if (!json_is_string(tag))
			return err_new(
			    e, ERR_INPUT, "Invalid service: Tags must be a list of strings");
		strs_add(&row->tags, a, json_string_value(tag));
	}
	if (json_object_size(meta) > META_MAX)
		return err_new(e, ERR_INPUT,
		    "Invalid Service Meta: Node metadata cannot contain more than %d key/value "
		    "pairs",
		    META_MAX);
	json_object_foreach (meta, key, value) {
		if (!json_is_string(value))
			return err_new(
			    e, ERR_INPUT, "Invalid Service Meta: %.100s is not a string", key);
		strmap_set(&row->meta, a, key, json_string_value(value));
	}
	return 0;
}

static int
read_service(struct catalog *c, json_t *v, struct service_row *row, struct arena *a, struct err *e)
{
	static const char *const lost[] = { "EnableTagOverride", "Kind", "Proxy", "Connect",
		"Weights", "TaggedAddresses", NULL };
	json_t *port = member(v, "Port");

	if (!json_is_object(v))
		return err_new(e, ERR_INPUT, "Request decode failed: not an object");
	*row = (struct service_row){ .service_name = text_of(v, "Name"),
		.id = text_of(v, "ID"),
		.namespace = "default",
		.address = text_of(v, "Address"),
		.node_name = c->node_name,
		.datacenter = c->datacenter };
	if (*row->service_name == '\0')
		row->service_name = text_of(v, "Service");
	if (*row->service_name == '\0')
		return err_new(e, ERR_INPUT, "Missing service name");
	if (*row->id == '\0')
		row->id = row->service_name;
	if (port != NULL && (!json_is_integer(port) || json_integer_value(port) < 0 ||
				json_integer_value(port) > UINT16_MAX))
		return err_new(e, ERR_INPUT, "Invalid service: Port must be from 0 to 65535");
	row->port = json_integer_value(port);
	if (*row->address == '\0')
		row->address = c->address; /* of the agent, as everybody would fill in */
	const struct service_row *old = state_service(c->state, row->id);
	if (old != NULL && old->alloc_id != NULL && *old->alloc_id != '\0')
		return err_new(e, ERR_INPUT, "service ID %s belongs to an allocation of job \"%s\"",
		    row->id, old->job_id);
	if (read_lists(v, row, a, e) < 0 || read_checks(c, v, row, a, e) < 0)
		return -1;
	refuse_silently_lost(v, lost, row->id);
	row->status = checks_worst(row);
	return 0;
}

void
agent_register_service(struct catalog *c, struct http_req *r)
{
	autojson json_t *v = NULL;
	struct service_row *row = arena_new(http_arena(r), struct service_row);
	struct command cmd = { 0 };
	struct err e = ERR_INIT;
	size_t len;
	const char *body = http_body(r, &len);

	if (json_read(body, len, &v, &e) < 0) {
		http_reply_text(r, 400, "Request decode failed: %s", e.text);
		return;
	}
	if (read_service(c, v, row, http_arena(r), &e) < 0) {
		reply_err(r, &e);
		return;
	}
	objs_add(&cmd.services, http_arena(r), row);
	propose(c, r, &cmd);
}

/* A row that was registered by hand; else it answers and gives NULL. */
static const struct service_row *
by_hand(struct http_req *r, const struct service_row *row, const char *what, const char *id)
{
	if (row == NULL) {
		http_reply_text(r, 404, "Unknown %s ID \"%.200s\"", what, id);
		return NULL;
	}
	if (row->alloc_id != NULL && *row->alloc_id != '\0') {
		http_reply_text(
		    r, 400, "%s ID %.200s belongs to an allocation: stop its job", what, id);
		return NULL;
	}
	return row;
}

void
agent_deregister_service(struct catalog *c, struct http_req *r, const char *id)
{
	struct command cmd = { 0 };

	if (by_hand(r, state_service(c->state, id), "service", id) == NULL)
		return;
	strs_add(&cmd.service_removals, http_arena(r), id);
	propose(c, r, &cmd);
}

static struct service_row *
copy_row(const struct service_row *row, struct arena *a)
{
	return model_copy(&service_row_model, row, a);
}

void
agent_register_check(struct catalog *c, struct http_req *r)
{
	autojson json_t *v = NULL;
	struct arena *a = http_arena(r);
	struct check_state *k = arena_new(a, struct check_state), *old;
	struct command cmd = { 0 };
	struct err e = ERR_INIT;
	size_t len;
	const char *body = http_body(r, &len);

	if (json_read(body, len, &v, &e) < 0) {
		http_reply_text(r, 400, "Request decode failed: %s", e.text);
		return;
	}
	const char *service = text_of(v, "ServiceID");
	if (*service == '\0') {
		http_reply_text(r, 400, "Checks of a node are not supported: name a ServiceID");
		return;
	}
	const struct service_row *has =
	    by_hand(r, state_service(c->state, service), "service", service);
	if (has == NULL)
		return;
	const char *name = text_of(v, "Name");
	if (*text_of(v, "CheckID") == '\0' && *text_of(v, "ID") == '\0' && *name != '\0')
		json_object_set_new(v, "ID", json_string(name));
	if (read_check(c, v, has->id, has->service_name, 0, a, k, &e) < 0) {
		reply_err(r, &e);
		return;
	}
	struct service_row *row = copy_row(has, a);
	struct objs checks = { 0 };
	OBJS_FOREACH (old, &row->checks)
		if (!str_eq(old->check_id, k->check_id))
			objs_add(&checks, a, old);
	objs_add(&checks, a, k);
	row->checks = checks;
	row->status = checks_worst(row);
	objs_add(&cmd.services, a, row);
	propose(c, r, &cmd);
}

void
agent_deregister_check(struct catalog *c, struct http_req *r, const char *id)
{
	const struct check_state *k;
	struct check_state *other;
	struct command cmd = { 0 };
	struct arena *a = http_arena(r);
	const struct service_row *has = by_hand(r, checks_find(c, id, &k), "check", id);

	if (has == NULL)
		return;
	struct service_row *row = copy_row(has, a);
	struct objs checks = { 0 };
	OBJS_FOREACH (other, &row->checks)
		if (!str_eq(other->check_id, id))
			objs_add(&checks, a, other);
	row->checks = checks;
	row->status = checks_worst(row);
	objs_add(&cmd.services, a, row);
	propose(c, r, &cmd);
}

void
agent_update_check(
    struct catalog *c, struct http_req *r, const char *id, const char *status, const char *note)
{
	const struct check_state *k = NULL;
	const struct service_row *row = checks_find(c, id, &k);
	struct err e = ERR_INIT;

	if (row == NULL) {
		http_reply_text(r, 404, "Unknown check ID \"%.200s\"", id);
		return;
	}
	if (!str_eq(k->type, "ttl")) {
		http_reply_text(r, 500, "CheckID \"%.200s\" does not have associated TTL", id);
		return;
	}
	checks_refresh_ttl(c, id);
	if (str_eq(k->status, status) && str_eq(k->output, note != NULL ? note : "")) {
		registered(r, 0, NULL); /* nothing new: only its time begins anew */
		return;
	}
	if (checks_report(c, row, id, status, note != NULL ? note : "", registered, r, &e) < 0)
		reply_err(r, &e);
}
