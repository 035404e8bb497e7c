/*
 * validate_service.c: services, their checks, and the ports they name.
 */
#include "job/faults.h"

#include "base/clock.h"
#include "base/str.h"

#include <ctype.h>
#include <string.h>

static bool
empty(const char *s)
{
	return s == NULL || s[0] == '\0';
}

static bool
one_of(const char *s, const char *const *words)
{
	for (; *words != NULL; words++)
		if (str_eq(s == NULL ? "" : s, *words))
			return true;
	return false;
}

static const char *
ns(struct faults *f, int64_t duration)
{
	char text[CLOCK_TEXT];

	return arena_strdup(f->mem, duration_text(duration, text));
}

static const char *
placeholder(void *ctx, const char *name)
{
	(void)ctx, (void)name;
	return "x";
}

/* RFC 1123 label; references inside it count as one letter. */
static bool
name_ok(const char *name, struct arena *a)
{
	const char *s = job_interpolate(name, placeholder, NULL, a);
	size_t n = strlen(s);

	if (n < 1 || n > 63 || !isalnum((unsigned char)s[0]) || !isalnum((unsigned char)s[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '-')
			return false;
	return true;
}

static const char *const on_updates[] = { "", "ignore", "require_healthy", "ignore_warnings",
	NULL };

static bool
needs_port(const struct service_check *c)
{
	return str_eq(c->type, "tcp") || str_eq(c->type, "http") || str_eq(c->type, "grpc");
}

/* The first thing wrong with the check's kind, or NULL. */
static const char *
kind_fault(const struct service_check *c, struct faults *f)
{
	if (str_eq(c->type, "script") || str_eq(c->type, "grpc"))
		return arena_printf(f->mem,
		    "type \"%s\" is not supported yet, there are \"http\" and \"tcp\"", c->type);
	if (str_eq(c->type, "http")) {
		if (!empty(c->protocol) && !str_eq(c->protocol, "http"))
			return arena_printf(f->mem,
			    "protocol \"%s\" is not supported yet, there is \"http\"", c->protocol);
		if (empty(c->path))
			return "http type must have a valid http path";
		if (strstr(c->path, "://") != NULL)
			return "http type must have a relative http path";
	} else if (!str_eq(c->type, "tcp")) {
		return arena_printf(f->mem,
		    "invalid type (\"%s\"), must be one of \"http\", \"tcp\", or \"script\" type",
		    c->type == NULL ? "" : c->type);
	}
	return NULL;
}

static const char *
time_fault(const struct service_check *c, struct faults *f)
{
	if (c->interval == 0)
		return "missing required value interval. Interval cannot be less than 1s";
	if (c->interval < JOB_NS_MIN_CHECK)
		return arena_printf(
		    f->mem, "interval (%s) cannot be lower than 1s", ns(f, c->interval));
	if (c->timeout == 0)
		return "missing required value timeout. Timeout cannot be less than 1s";
	if (c->timeout < JOB_NS_MIN_CHECK)
		return arena_printf(f->mem,
		    "timeout (%s) is lower than required minimum timeout 1s", ns(f, c->timeout));
	return NULL;
}

static const char *
choice_fault(const struct service_check *c, struct faults *f)
{
	static const char *const statuses[] = { "", "passing", "warning", "critical", NULL };
	static const char *const modes[] = { "", "host", "driver", "alloc", NULL };

	if (!one_of(c->initial_status, statuses))
		return arena_printf(f->mem,
		    "invalid initial check state (%s), must be one of \"passing\", \"warning\", "
		    "\"critical\" or empty",
		    c->initial_status);
	if (!one_of(c->address_mode, modes))
		return arena_printf(f->mem, "invalid address_mode \"%s\"%s", c->address_mode,
		    str_eq(c->address_mode, "auto") ? " - auto only valid for services" : "");
	if (!one_of(c->on_update, on_updates))
		return arena_printf(f->mem,
		    "on_update must be \"require_healthy\", \"ignore_warnings\", or \"ignore\"; "
		    "got \"%s\"",
		    c->on_update);
	return NULL;
}

static const char *
threshold_fault(const struct service_check *c, struct faults *f)
{
	const struct {
		const char *name;
		int64_t n;
	} rows[] = { { "success_before_passing", c->success_before_passing },
		{ "failures_before_critical", c->failures_before_critical } };

	for (size_t i = 0; i < NELEM(rows); i++) {
		if (rows[i].n < 0)
			return arena_printf(f->mem, "%s must be non-negative", rows[i].name);
		if (rows[i].n > 0 && !needs_port(c))
			return arena_printf(f->mem, "%s not supported for check of type \"%s\"",
			    rows[i].name, c->type);
	}
	if (c->check_restart == NULL)
		return NULL;
	if (c->check_restart->limit < 0)
		return "check_restart: limit must be non-negative";
	if (c->check_restart->grace < 0)
		return "check_restart: grace must be non-negative";
	if (str_eq(c->on_update, "ignore"))
		return "on_update value \"ignore\" is not compatible with check_restart";
	if (!c->check_restart->ignore_warnings && str_eq(c->on_update, "ignore_warnings"))
		return "on_update value \"ignore_warnings\" not supported with check_restart "
		       "ignore_warnings value "
		       "\"false\"";
	return NULL;
}

void
service_faults(struct faults *f, const struct service *s)
{
	static const char *const modes[] = { "", "auto", "host", "driver", "alloc", NULL };
	static const char *const providers[] = { "", "consul", "nomad", NULL };
	struct service_check *c;
	const char *why;

	if (!name_ok(s->name, f->mem))
		faults_add(f,
		    "Service name must be valid per RFC 1123 and can contain only alphanumeric "
		    "characters or dashes: \"%s\"",
		    s->name == NULL ? "" : s->name);
	if (!one_of(s->address_mode, modes))
		faults_add(f,
		    "Service address_mode must be \"auto\", \"host\", or \"driver\"; not \"%s\"",
		    s->address_mode);
	if (!one_of(s->on_update, on_updates))
		faults_add(f,
		    "Service on_update must be \"ignore\", \"require_healthy\", or "
		    "\"ignore_warnings\"; not \"%s\"",
		    s->on_update);
	if (!one_of(s->provider, providers))
		faults_add(
		    f, "Service provider must be \"consul\" or \"nomad\"; not \"%s\"", s->provider);
	OBJS_FOREACH (c, &s->checks) {
		if (empty(s->port_label) && empty(c->port_label) && needs_port(c)) {
			faults_add(f,
			    "Check %s invalid: check requires a port but neither check nor service "
			    "\"%s\" have a port",
			    c->name, s->name);
			continue;
		}
		if ((why = kind_fault(c, f)) != NULL || (why = time_fault(c, f)) != NULL ||
		    (why = choice_fault(c, f)) != NULL || (why = threshold_fault(c, f)) != NULL)
			faults_add(f, "Check %s invalid: %s", c->name, why);
	}
}

void
group_service_faults(struct faults *f, const struct task_group *g)
{
	struct service_check *c;
	struct service *s;

	OBJS_FOREACH (s, &g->services) {
		struct faults own = { .mem = f->mem };

		service_faults(&own, s);
		faults_nest(f, &own, "Service[%zu] %s validation failed", s_i, s->name);
		if (str_eq(s->address_mode, "driver"))
			faults_add(f,
			    "service \"%s\" cannot use address_mode=\"driver\", only services "
			    "defined in a \"task\" block can use this mode",
			    s->name);
		OBJS_FOREACH (c, &s->checks) {
			if (str_eq(c->type, "script") && empty(c->task_name) && empty(s->task_name))
				faults_add(f,
				    "Service [%s]->%s or Check %s must specify task parameter",
				    g->name, s->name, c->name);
			if (empty(c->task_name))
				continue;
			if (!str_eq(c->type, "script") && !str_eq(c->type, "grpc"))
				faults_add(f,
				    "Check %s invalid: only script and gRPC checks should have "
				    "tasks",
				    c->name);
			if (group_task(g, c->task_name) == NULL)
				faults_add(f, "Check %s invalid: refers to non-existent task %s",
				    c->name, c->task_name);
		}
	}
}

/* --- the services of a task --- */

static bool
is_number(const char *s)
{
	uint64_t n;

	return str_u64(s == NULL ? "" : s, UINT16_MAX, &n);
}

static bool
port_known(const char *label, const struct task *t, const struct task_group *g)
{
	struct network *n;

	OBJS_FOREACH (n, &g->networks)
		if (network_port(n, label) != NULL)
			return true;
	if (t->resources != NULL)
		OBJS_FOREACH (n, &t->resources->networks)
			if (network_port(n, label) != NULL)
				return true;
	return false;
}

static void
port_fault(struct faults *f, const char *label, const struct service *s, const struct task *t,
    const struct task_group *g)
{
	if (!port_known(label, t, g))
		faults_add(f, "port label \"%s\" referenced by services %s does not exist", label,
		    s->name);
}

static void
task_check_faults(
    struct faults *f, const struct service *s, const struct task *t, const struct task_group *g)
{
	struct strs names = { 0 };
	struct service_check *c;

	OBJS_FOREACH (c, &s->checks) {
		if (strs_has(&names, c->name))
			faults_add(f, "check \"%s\" is duplicate", c->name);
		strs_add(&names, f->mem, c->name);
		if (!empty(c->task_name))
			faults_add(f,
			    "Check %s is invalid: only task group service checks can be assigned "
			    "tasks",
			    c->name);
		if (!needs_port(c) || empty(c->port_label))
			continue;
		if (!is_number(c->port_label))
			port_fault(f, c->port_label, s, t, g);
		else if (!str_eq(c->address_mode, "driver"))
			faults_add(f,
			    "check \"%s\" cannot use a numeric port %s without setting "
			    "address_mode=\"driver\"",
			    c->name, c->port_label);
	}
}

void
task_service_faults(struct faults *f, const struct task *t, const struct task_group *g)
{
	struct strs known = { 0 };
	struct service *s;

	OBJS_FOREACH (s, &t->services) {
		const char *id = arena_printf(f->mem, "%s\n%s", s->name, s->port_label);
		struct faults own = { .mem = f->mem };

		service_faults(&own, s);
		faults_nest(f, &own, "service[%zu] \"%s\" validation failed", s_i, s->name);
		if (str_eq(s->address_mode, "alloc"))
			faults_add(f,
			    "service \"%s\" cannot use address_mode=\"alloc\", only services "
			    "defined in a \"group\" block can use this mode",
			    s->name);
		if (strs_has(&known, id))
			faults_add(f, "service \"%s\" is duplicate", s->name);
		strs_add(&known, f->mem, id);
		if (!empty(s->port_label) &&
		    !(str_eq(s->address_mode, "driver") && is_number(s->port_label)))
			port_fault(f, s->port_label, s, t, g);
		task_check_faults(f, s, t, g);
	}
}

/* --- ports --- */

struct seen_ports {
	struct strs labels;
	struct strs statics; /* "default:8080" */
	struct strs owners;  /* of statics, by index */
};

static void
static_port_faults(
    struct faults *f, struct seen_ports *seen, const struct port *p, const char *owner)
{
	const char *net = empty(p->host_network) ? "default" : p->host_network;
	const char *id = arena_printf(f->mem, "%s:%lld", net, (long long)p->value);

	for (size_t i = 0; i < seen->statics.n; i++)
		if (str_eq(seen->statics.at[i], id)) {
			faults_add(f, "Static port %lld already reserved by %s",
			    (long long)p->value, seen->owners.at[i]);
			return;
		}
	if (p->value < 0 || p->value > UINT16_MAX) {
		faults_add(f, "Port %s (%lld) cannot be greater than %d", p->label,
		    (long long)p->value, UINT16_MAX);
		return;
	}
	strs_add(&seen->statics, f->mem, id);
	strs_add(&seen->owners, f->mem, arena_printf(f->mem, "%s:%s", owner, p->label));
}

static void
ports_faults(struct faults *f, struct seen_ports *seen, const struct objs *ports, const char *owner)
{
	struct port *p;

	OBJS_FOREACH (p, ports) {
		if (empty(p->label))
			faults_add(f, "Port without a label");
		else if (strs_has(&seen->labels, p->label))
			faults_add(f, "Port label %s already in use by %s", p->label, owner);
		strs_add(&seen->labels, f->mem, p->label);
		if (p->value != 0)
			static_port_faults(f, seen, p, owner);
		if (p->to < -1)
			faults_add(f, "Port \"%s\" cannot be mapped to negative value %lld",
			    p->label, (long long)p->to);
		else if (p->to > UINT16_MAX)
			faults_add(f,
			    "Port \"%s\" cannot be mapped to a port (%lld) greater than %d",
			    p->label, (long long)p->to, UINT16_MAX);
	}
}

static void
one_network_faults(
    struct faults *f, struct seen_ports *seen, const struct network *n, const char *owner)
{
	static const char *const modes[] = { "", "host", "bridge", "none", NULL };

	if (!one_of(n->mode, modes))
		faults_add(f,
		    "network mode \"%s\" is not supported yet; there are host, bridge and none",
		    n->mode);
	ports_faults(f, seen, &n->reserved_ports, owner);
	ports_faults(f, seen, &n->dynamic_ports, owner);
}

void
network_faults(struct faults *f, const struct task_group *g)
{
	struct seen_ports seen = { 0 };
	struct network *n;
	struct task *t;

	if (g->networks.n > 1)
		faults_add(
		    f, "Only one network block is allowed in a group; found %zu", g->networks.n);
	OBJS_FOREACH (n, &g->networks)
		one_network_faults(f, &seen, n, "taskgroup network");
	OBJS_FOREACH (t, &g->tasks)
		if (t->resources != NULL)
			OBJS_FOREACH (n, &t->resources->networks)
				one_network_faults(f, &seen, n, t->name);
}
