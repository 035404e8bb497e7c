/* /v1/event/stream: what changes, as it changes, one JSON object a line. */
#include "api/events.h"

#include "base/str.h"

#include <stdlib.h>
#include <string.h>

enum { BUFFERED = 256, BEAT_MS = 30000, SLOW_BYTES = 8 << 20, TOPICS_MAX = 64 };

struct event {
	uint64_t index;
	enum state_table table;
	const char *type;
	const void *row; /* counted; what was removed, or what is there now */
};

struct filter {
	const char *topic, *key; /* "*": any */
};

struct listener {
	struct events *events;
	struct call *call;
	struct listener *next, **self;
	struct filter filters[TOPICS_MAX];
	size_t n_filters;
	uint64_t seen; /* events sent or passed over */
	struct loop_timer *beat;
};

struct events {
	struct loop *loop;
	struct state *state;
	struct event ring[BUFFERED];
	uint64_t n; /* ever; the last BUFFERED of them are in the ring */
	struct listener *listeners;
	bool deferred;
};

/* Events from changes -------------------------------------------------------------------------- */

static const char *
job_type(const struct job *old, const struct job *now)
{
	if (now == NULL || (now->stop && (old == NULL || !old->stop)))
		return "JobDeregistered";
	return "JobRegistered";
}

static const char *
alloc_type(const struct alloc *old, const struct alloc *now)
{
	if (old == NULL)
		return "PlanResult";
	if (now != NULL && !str_eq(old->desired_status, now->desired_status))
		return "AllocationUpdateDesiredStatus";
	return "AllocationUpdated";
}

static const char *
node_type(const struct node *old, const struct node *now)
{
	if (now == NULL)
		return "NodeDeregistration";
	if (old == NULL)
		return "NodeRegistration";
	if ((old->drain_strategy == NULL) != (now->drain_strategy == NULL))
		return "NodeDrain";
	if (!str_eq(old->scheduling_eligibility, now->scheduling_eligibility))
		return "NodeEligibility";
	return str_eq(old->status, now->status) ? "NodeRegistration" : "NodeEvent";
}

/* NULL: such changes are no events. */
static const char *
type_of(enum state_table t, const void *old, const void *now)
{
	switch (t) {
	case STATE_JOBS:
		return job_type(old, now);
	case STATE_ALLOCS:
		return now == NULL ? NULL : alloc_type(old, now);
	case STATE_EVALS:
		return now == NULL ? NULL : "EvaluationUpdated";
	case STATE_DEPLOYMENTS:
		return now == NULL ? NULL : "DeploymentStatusUpdate";
	case STATE_NODES:
		return node_type(old, now);
	case STATE_SERVICES:
		return now == NULL ? "ServiceDeregistration" : "ServiceRegistration";
	default:
		return NULL;
	}
}

/* What a topic is called, and an event's key, namespace and further keys. */
struct named {
	const char *topic, *key, *namespace, *more[2];
	const struct model *model;
	const char *member;
};

static struct named
name_event(const struct event *ev)
{
	const struct job *j = ev->row;
	const struct alloc *a = ev->row;
	const struct eval *v = ev->row;
	const struct deployment *d = ev->row;
	const struct node *n = ev->row;
	const struct service_row *s = ev->row;

	switch (ev->table) {
	case STATE_JOBS:
		return (struct named){ "Job", j->id, j->namespace, { NULL }, &job_model, "Job" };
	case STATE_ALLOCS:
		return (struct named){ "Allocation", a->id, a->namespace,
			{ a->job_id, a->deployment_id }, &alloc_bare_model, "Allocation" };
	case STATE_EVALS:
		return (struct named){ "Evaluation", v->id, v->namespace,
			{ v->job_id, v->deployment_id }, &eval_model, "Evaluation" };
	case STATE_DEPLOYMENTS:
		return (struct named){ "Deployment", d->id, d->namespace, { d->job_id },
			&deployment_model, "Deployment" };
	case STATE_NODES:
		return (struct named){ "Node", n->id, "", { NULL }, &node_model, "Node" };
	default:
		return (struct named){ "Service", s->service_name, s->namespace, { s->job_id },
			&service_row_model, "Service" };
	}
}

static void flush(void *ctx);

static void
on_change(void *ctx, enum state_table t, const void *old, const void *now, uint64_t index)
{
	struct events *e = ctx;
	const char *type = type_of(t, old, now);
	struct event *at = &e->ring[e->n % BUFFERED];

	if (type == NULL)
		return;
	row_unref(at->row);
	*at = (struct event){
		.index = index, .table = t, .type = type, .row = row_ref(now != NULL ? now : old)
	};
	e->n++;
	if (e->listeners != NULL && !e->deferred) {
		e->deferred = true;
		loop_defer(e->loop, flush, e);
	}
}

/* Lines ------------------------------------------------------------------------------------------
 */

static bool
key_fits(const char *want, const struct named *n)
{
	return strcmp(want, "*") == 0 || str_eq(want, n->key) || str_eq(want, n->more[0]) ||
	       str_eq(want, n->more[1]);
}

static bool
wanted(const struct listener *l, const struct named *n)
{
	if (*n->namespace != '\0' && !call_in_ns(l->call, n->namespace))
		return false;
	if (l->n_filters == 0)
		return true;
	for (size_t i = 0; i < l->n_filters; i++) {
		const struct filter *f = &l->filters[i];
		if ((strcmp(f->topic, "*") == 0 || strcmp(f->topic, n->topic) == 0) &&
		    key_fits(f->key, n))
			return true;
	}
	return false;
}

static void
write_event(struct jsonw *w, const struct event *ev, const struct named *n)
{
	jsonw_object(w);
	jsonw_kstr(w, "Topic", n->topic);
	jsonw_kstr(w, "Type", ev->type);
	jsonw_kstr(w, "Key", n->key);
	jsonw_kstr(w, "Namespace", n->namespace);
	jsonw_key(w, "FilterKeys");
	jsonw_array(w);
	for (size_t i = 0; i < NELEM(n->more); i++)
		if (n->more[i] != NULL && *n->more[i] != '\0')
			jsonw_str(w, n->more[i]);
	jsonw_end_array(w);
	jsonw_kuint(w, "Index", ev->index);
	jsonw_key(w, "Payload");
	jsonw_object(w);
	jsonw_key(w, n->member);
	model_to_json(n->model, ev->row, w);
	jsonw_end_object(w);
	jsonw_end_object(w);
}

/* All events of one index make one line. Gives the number of the event after them. */
static uint64_t
send_line(struct listener *l, uint64_t from)
{
	const struct events *e = l->events;
	autobuf struct buf line = BUF_INIT;
	struct jsonw w = JSONW_INIT(&line);
	uint64_t index = e->ring[from % BUFFERED].index, i = from, sent = 0;

	jsonw_object(&w);
	jsonw_kuint(&w, "Index", index);
	jsonw_key(&w, "Events");
	jsonw_array(&w);
	for (; i < e->n && e->ring[i % BUFFERED].index == index; i++) {
		struct named n = name_event(&e->ring[i % BUFFERED]);
		if (!wanted(l, &n))
			continue;
		write_event(&w, &e->ring[i % BUFFERED], &n);
		sent++;
	}
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	buf_addc(&line, '\n');
	if (sent > 0)
		http_reply_chunk(l->call->req, line.data, line.len);
	return i;
}

static void
listener_free(struct listener *l)
{
	if ((*l->self = l->next) != NULL)
		l->next->self = l->self;
	loop_timer_free(&l->beat);
}

/* Sends what is new. A reader that is too slow, or that events have overtaken, is cut off: it comes
 * back with the last index it has seen. */
static void
catch_up(struct listener *l)
{
	const struct events *e = l->events;

	if (l->seen + BUFFERED < e->n || http_pending(l->call->req) > SLOW_BYTES) {
		struct http_req *r = l->call->req;
		listener_free(l);
		http_reply_abort(r);
		return;
	}
	while (l->seen < e->n)
		l->seen = send_line(l, l->seen);
}

static void
flush(void *ctx)
{
	struct events *e = ctx;

	e->deferred = false;
	for (struct listener *l = e->listeners, *next; l != NULL; l = next) {
		next = l->next;
		catch_up(l);
	}
}

static void
beat(void *ctx)
{
	struct listener *l = ctx;

	http_reply_chunk(l->call->req, "{}\n", 3);
}

static void
on_gone(void *ctx)
{
	listener_free(ctx);
}

/* Beginning --------------------------------------------------------------------------------------
 */

static bool
read_topics(struct call *c, struct listener *l)
{
	static const char *const known[] = { "*", "Job", "Evaluation", "Allocation", "Deployment",
		"Node", "Service", "ACLToken", "ACLPolicy", "NodePool", "NodeDrain" };
	const char *topics[TOPICS_MAX];
	size_t n = http_query_all(c->req, "topic", topics, TOPICS_MAX);

	if (n > TOPICS_MAX) {
		call_fail(c, 400, "more than %d topics", TOPICS_MAX);
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		const char *colon = strchr(topics[i], ':');
		size_t len = colon != NULL ? (size_t)(colon - topics[i]) : strlen(topics[i]);
		struct filter f = { arena_strndup(c->mem, topics[i], len),
			colon != NULL ? colon + 1 : "*" };
		size_t k = 0;
		while (k < NELEM(known) && strcmp(known[k], f.topic) != 0)
			k++;
		if (k == NELEM(known) || *f.key == '\0') {
			call_fail(c, 400, "Invalid key value pair for topic: %s", topics[i]);
			return false;
		}
		l->filters[l->n_filters++] = f;
	}
	return true;
}

/* The first buffered event at or after the index. */
static uint64_t
first_event(const struct events *e, uint64_t index)
{
	uint64_t i = e->n > BUFFERED ? e->n - BUFFERED : 0;

	while (i < e->n && e->ring[i % BUFFERED].index < index)
		i++;
	return i;
}

static void
run_stream(struct call *c)
{
	struct listener *l = arena_new(c->mem, struct listener);
	struct events *e = c->api->events;
	const char *text = http_query(c->req, "index");
	uint64_t index = 0;

	*l = (struct listener){ .events = e, .call = c };
	if (text != NULL && *text != '\0' && !str_u64(text, INT64_MAX, &index)) {
		call_fail(c, 400, "Unable to parse index: %s", text);
		return;
	}
	if (!read_topics(c, l))
		return;
	l->seen = first_event(e, index);
	l->self = &e->listeners;
	if ((l->next = e->listeners) != NULL)
		l->next->self = &l->next;
	e->listeners = l;
	l->beat = loop_timer(e->loop, BEAT_MS, BEAT_MS, beat, l);
	http_on_close(c->req, on_gone, l);
	http_reply_start(c->req, 200, "application/json");
	http_reply_chunk(c->req, "{}\n", 3);
	catch_up(l);
}

struct events *
events_new(struct loop *loop, struct state *s)
{
	struct events *e = xcalloc(1, sizeof(*e));

	e->loop = loop;
	e->state = s;
	state_listen(s, on_change, e);
	return e;
}

void
events_free(struct events *e)
{
	if (e == NULL)
		return;
	state_unlisten(e->state, on_change, e);
	loop_defer_cancel(e->loop, flush, e);
	for (size_t i = 0; i < BUFFERED; i++)
		row_unref(e->ring[i].row);
	free(e);
}

const struct route event_routes[] = {
	{ .methods = "GET", .pattern = "/v1/event/stream", .run = run_stream },
	{ .pattern = NULL },
};
