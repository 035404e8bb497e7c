/* health.c: when probes run, and what their results do to the status. */
#include "health/probe.h"

#include "base/clock.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUICK_FIRST_MS = 5, QUICK_MOST_MS = 320, TIMEOUT_DEFAULT_MS = 10000 };

static const struct probe_kind *const kinds[] = { &probe_tcp, &probe_http, &probe_script };

static const char *const status_names[] = {
	[HEALTH_CRITICAL] = "critical",
	[HEALTH_WARNING] = "warning",
	[HEALTH_PASSING] = "passing",
};

const char *
health_status_name(enum health_status status)
{
	return status_names[status];
}

bool
health_status_named(const char *name, enum health_status *status)
{
	for (size_t i = 0; i < NELEM(status_names); i++)
		if (str_eq(name, status_names[i])) {
			*status = (enum health_status)i;
			return true;
		}
	return false;
}

static int64_t
interval_ms(const struct health_probe *p)
{
	return p->spec.interval_ns / NS_PER_MS;
}

static void
run(void *ctx)
{
	struct health_probe *p = ctx;

	loop_timer_set(p->deadline, p->spec.timeout_ns / NS_PER_MS);
	p->redirects = 0;
	p->kind->begin(p);
}

static void
too_long(void *ctx)
{
	struct health_probe *p = ctx;

	p->kind->timed_out(p);
}

/* Milliseconds until the early repetition after a failed run, or -1: the instance had its time. */
static int64_t
quick_pause(struct health_probe *p, enum health_status result)
{
	int64_t age_ms = (clock_mono_ns() - p->started_ns) / NS_PER_MS;

	if (result != HEALTH_CRITICAL || p->ever_good || age_ms >= interval_ms(p))
		return -1;
	int64_t pause = p->quick_ms, left = interval_ms(p) - age_ms;
	if (p->quick_ms < QUICK_MOST_MS)
		p->quick_ms *= 2;
	return pause < left ? pause : left;
}

static enum health_status
status_after(struct health_probe *p, enum health_status result)
{
	if (result == HEALTH_CRITICAL) {
		p->good = 0;
		return ++p->bad >= p->spec.failures_before_critical ? result : p->status;
	}
	p->bad = 0;
	return ++p->good >= p->spec.success_before_passing ? result : p->status;
}

static void
set_output(struct health_probe *p, const char *fmt, va_list ap)
{
	autofree char *text = NULL;

	if (vasprintf(&text, fmt, ap) < 0)
		text = xstrdup("");
	buf_reset(&p->output);
	buf_add(&p->output, text, strnlen(text, HEALTH_OUTPUT_MAX));
}

void
probe_result(struct health_probe *p, enum health_status result, const char *fmt, ...)
{
	va_list ap;

	probe_disconnect(p);
	loop_timer_set(p->deadline, -1);
	va_start(ap, fmt);
	set_output(p, fmt, ap);
	va_end(ap);

	int64_t pause = quick_pause(p, result);
	if (pause >= 0) {
		loop_timer_set(p->next, pause);
		return;
	}
	p->ever_good = p->ever_good || result != HEALTH_CRITICAL;
	loop_timer_set(p->next, interval_ms(p));
	enum health_status before = p->status;
	p->status = status_after(p, result);
	bool news = p->status != before || (p->status == result && result != HEALTH_PASSING &&
					       !str_eq(buf_str(&p->output), buf_str(&p->told)));
	if (!news)
		return;
	buf_reset(&p->told);
	buf_add(&p->told, buf_str(&p->output), p->output.len);
	p->cb(p->arg, p, p->status, buf_str(&p->told)); /* p may be gone now */
}

static int
set_address(struct health_probe *p, struct err *e)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&p->to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&p->to;

	if (p->spec.address == NULL || p->spec.port < 1 || p->spec.port > UINT16_MAX)
		return err_new(e, ERR_INPUT,
		    "a %s check needs an address and a port from 1 to 65535", p->spec.type);
	if (inet_pton(AF_INET, p->spec.address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)p->spec.port);
		p->to_len = sizeof(*v4);
		snprintf(p->where, sizeof(p->where), "%s:%d", p->spec.address, p->spec.port);
		return 0;
	}
	if (inet_pton(AF_INET6, p->spec.address, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)p->spec.port);
		p->to_len = sizeof(*v6);
		snprintf(p->where, sizeof(p->where), "[%s]:%d", p->spec.address, p->spec.port);
		return 0;
	}
	return err_new(e, ERR_INPUT, "check address %s is neither IPv4 nor IPv6", p->spec.address);
}

static const char *const *
copy_list(struct arena *a, const char *const *list)
{
	size_t n = 0;

	while (list != NULL && list[n] != NULL)
		n++;
	const char **copy = arena_array(a, n + 1, const char *);
	for (size_t i = 0; i < n; i++)
		copy[i] = arena_strdup(a, list[i]);
	return copy;
}

static void
copy_spec(struct health_probe *p, const struct health_spec *spec)
{
	struct health_spec *s = &p->spec;

	*s = *spec;
	s->type = arena_strdup(&p->mem, spec->type);
	s->address = spec->address != NULL ? arena_strdup(&p->mem, spec->address) : NULL;
	s->method = arena_strdup(&p->mem, spec->method != NULL ? spec->method : "GET");
	s->path = arena_strdup(&p->mem, spec->path != NULL ? spec->path : "/");
	s->body = spec->body != NULL ? arena_strdup(&p->mem, spec->body) : NULL;
	s->protocol = spec->protocol != NULL ? arena_strdup(&p->mem, spec->protocol) : NULL;
	s->headers = copy_list(&p->mem, spec->headers);
	s->argv = copy_list(&p->mem, spec->argv);
	if (s->timeout_ns < NS_PER_MS)
		s->timeout_ns = TIMEOUT_DEFAULT_MS * NS_PER_MS;
}

static int
check_spec(struct health_probe *p, const struct health_spec *spec, struct err *e)
{
	for (size_t i = 0; i < NELEM(kinds); i++)
		if (str_eq(spec->type, kinds[i]->type))
			p->kind = kinds[i];
	if (p->kind == NULL)
		return err_new(e, ERR_UNSUPPORTED,
		    "check type \"%s\" is not supported: use tcp, http or script",
		    spec->type != NULL ? spec->type : "");
	if (spec->interval_ns < NS_PER_MS)
		return err_new(e, ERR_INPUT, "a check's interval must be at least 1ms");
	copy_spec(p, spec);
	return p->kind->check(p, e);
}

struct health_probe *
health_start(
    struct loop *loop, const struct health_spec *spec, health_cb *cb, void *arg, struct err *e)
{
	struct health_probe *p = xcalloc(1, sizeof(*p));

	*p = (struct health_probe){ .loop = loop,
		.cb = cb,
		.arg = arg,
		.fd = -1,
		.status = spec->initial,
		.quick_ms = QUICK_FIRST_MS };
	if (check_spec(p, spec, e) < 0 || (p->kind != &probe_script && set_address(p, e) < 0)) {
		health_stop(p);
		return NULL;
	}
	p->started_ns = clock_mono_ns();
	p->deadline = loop_timer(loop, -1, 0, too_long, p);
	p->next = loop_timer(loop, 0, 0, run, p);
	return p;
}

void
health_stop(struct health_probe *p)
{
	if (p == NULL)
		return;
	probe_disconnect(p);
	loop_timer_free(&p->next);
	loop_timer_free(&p->deadline);
	buf_fini(&p->output);
	buf_fini(&p->told);
	buf_fini(&p->out);
	buf_fini(&p->in);
	buf_fini(&p->path);
	arena_fini(&p->mem);
	free(p);
}

enum health_status
health_status(const struct health_probe *p)
{
	return p->status;
}

const char *
health_output(const struct health_probe *p)
{
	return buf_str(&p->output);
}
