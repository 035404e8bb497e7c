/* /v1/metrics: figures as JSON, or as text for Prometheus. */
#include "api/call.h"

#include "base/clock.h"
#include "base/str.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct metric {
	const char *name; /* dotted: "nomad.client.allocs.running" */
	const char *const *labels;
	double value;
};

struct gather {
	struct call *call;
	VEC(struct metric) all;
};

static void
add(struct gather *g, const char *name, const char *const *labels, double value)
{
	struct metric m = { .name = arena_strdup(g->call->mem, name), .value = value };
	size_t n = 0;

	while (labels != NULL && labels[n] != NULL)
		n++;
	const char **copy = arena_array(g->call->mem, n + 1, const char *);
	for (size_t i = 0; i < n; i++)
		copy[i] = arena_strdup(g->call->mem, labels[i]);
	m.labels = copy;
	VEC_PUSH(&g->all, m);
}

static void
from_client(void *ctx, const char *name, const char *const *labels, double value)
{
	add(ctx, name, labels, value);
}

static void
from_agent(void *ctx, const char *name, double value)
{
	add(ctx, name, NULL, value);
}

static void
add_summaries(struct gather *g)
{
	autorows struct rows rows = state_list(g->call->state, STATE_JOB_SUMMARIES, NULL);

	for (size_t i = 0; i < rows.n; i++) {
		const struct job_summary *s = rows.at[i];
		for (size_t k = 0; k < s->summary.n; k++) {
			const struct group_summary *n = s->summary.value[k];
			const char *const labels[] = { "job", s->job_id, "namespace", s->namespace,
				"task_group", s->summary.key[k], NULL };
			add(g, "nomad.nomad.job_summary.queued", labels, (double)n->queued);
			add(g, "nomad.nomad.job_summary.complete", labels, (double)n->complete);
			add(g, "nomad.nomad.job_summary.failed", labels, (double)n->failed);
			add(g, "nomad.nomad.job_summary.running", labels, (double)n->running);
			add(g, "nomad.nomad.job_summary.starting", labels, (double)n->starting);
			add(g, "nomad.nomad.job_summary.lost", labels, (double)n->lost);
		}
	}
}

static void
add_job_status(struct gather *g)
{
	autorows struct rows rows = state_list(g->call->state, STATE_JOBS, NULL);
	static const char *const names[] = { "pending", "running", "dead" };
	double n[3] = { 0 };
	char name[64];

	for (size_t i = 0; i < rows.n; i++)
		for (size_t k = 0; k < 3; k++)
			n[k] += str_eq(((const struct job *)rows.at[i])->status, names[k]);
	for (size_t k = 0; k < 3; k++) {
		snprintf(name, sizeof(name), "nomad.nomad.job_status.%s", names[k]);
		add(g, name, NULL, n[k]);
	}
}

/* Bytes of memory that this process has resident, and its threads' CPU time. */
static void
add_process(struct gather *g)
{
	struct timespec cpu;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0)
		add(g, "nomad.runtime.cpu_seconds", NULL,
		    (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9);
	add(g, "nomad.runtime.uptime_seconds", NULL,
	    (double)(clock_mono_ns() - g->call->api->started_ns) / 1e9);
}

static void
gather(struct gather *g)
{
	const struct api_config *a = &g->call->api->c;

	if (a->server != NULL) {
		struct server_stats n = server_stats(a->server);
		add(g, "nomad.nomad.broker.total_ready", NULL, (double)n.evals_ready);
		add(g, "nomad.nomad.broker.total_waiting", NULL, (double)n.evals_waiting);
		add(g, "nomad.nomad.blocked_evals.total_blocked", NULL, (double)n.evals_blocked);
		add(g, "nomad.nomad.plan.applied", NULL, (double)n.plans);
		add(g, "nomad.nomad.heartbeat.active", NULL, (double)n.nodes);
		add(g, "nomad.raft.appliedIndex", NULL, (double)n.log_index);
		add_summaries(g);
		add_job_status(g);
	}
	if (a->client != NULL && a->client->metrics != NULL)
		a->client->metrics(a->client->self, from_client, g);
	if (a->gauges != NULL)
		a->gauges(a->ctx, from_agent, g);
	add_process(g);
}

static void
write_labels_text(struct buf *b, const char *const *labels)
{
	for (size_t i = 0; labels[i] != NULL; i += 2) {
		buf_addf(b, "%s%s=\"", i == 0 ? "{" : ",", labels[i]);
		for (const char *p = labels[i + 1]; *p != '\0'; p++) {
			if (*p == '"' || *p == '\\')
				buf_addc(b, '\\');
			*p == '\n' ? buf_adds(b, "\\n") : buf_addc(b, *p);
		}
		buf_addc(b, '"');
	}
	if (labels[0] != NULL)
		buf_addc(b, '}');
}

static void
name_text(const char *name, char *out, size_t size)
{
	str_copy(out, size, name);
	for (char *p = out; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p))
			*p = '_';
}

/* The families' lines must stand together: for each name that comes first, all of it. */
static void
write_prometheus(struct gather *g, struct buf *b)
{
	struct map seen = MAP_INIT;
	char name[256];

	VEC_FOREACH (struct metric *, m, &g->all) {
		if (map_has(&seen, m->name))
			continue;
		map_set(&seen, m->name, m);
		name_text(m->name, name, sizeof(name));
		buf_addf(b, "# HELP %s %s\n# TYPE %s gauge\n", name, name, name);
		VEC_FOREACH (struct metric *, k, &g->all) {
			if (strcmp(k->name, m->name) != 0)
				continue;
			buf_adds(b, name);
			write_labels_text(b, k->labels);
			buf_addf(b, " %.17g\n", k->value);
		}
	}
	map_fini(&seen);
}

static void
write_json(struct gather *g, struct jsonw *w)
{
	char text[64];
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S +0000 UTC", &tm);
	jsonw_object(w);
	jsonw_kstr(w, "Timestamp", text);
	jsonw_key(w, "Gauges");
	jsonw_array(w);
	VEC_FOREACH (struct metric *, m, &g->all) {
		jsonw_object(w);
		jsonw_kstr(w, "Name", m->name);
		jsonw_kdouble(w, "Value", m->value);
		jsonw_key(w, "Labels");
		jsonw_object(w);
		for (size_t i = 0; m->labels[i] != NULL; i += 2)
			jsonw_kstr(w, m->labels[i], m->labels[i + 1]);
		jsonw_end_object(w);
		jsonw_end_object(w);
	}
	jsonw_end_array(w);
	static const char *const empty[] = { "Points", "Counters", "Samples" };
	for (size_t i = 0; i < NELEM(empty); i++) {
		jsonw_key(w, empty[i]);
		jsonw_array(w);
		jsonw_end_array(w);
	}
	jsonw_end_object(w);
}

static void
run_metrics(struct call *c)
{
	struct gather g = { .call = c };
	struct buf out = BUF_INIT;
	struct jsonw w = call_json(c, &out);

	gather(&g);
	if (str_eq(http_query(c->req, "format"), "prometheus")) {
		write_prometheus(&g, &out);
		VEC_FINI(&g.all);
		http_reply_buf(c->req, 200, "text/plain; version=0.0.4; charset=utf-8", &out);
		return;
	}
	write_json(&g, &w);
	VEC_FINI(&g.all);
	call_json_end(c, &w);
}

const struct route metrics_routes[] = {
	{ .methods = "GET", .pattern = "/v1/metrics", .run = run_metrics, .local = true },
	{ .pattern = NULL },
};
