#include "plugin/task.h"

#include "base/clock.h"
#include "platform/facts.h"

/*
 * TaskStats: a sample at once, then one each interval; one that cannot be taken is left out. The
 * stream ends with its task.
 */

struct sampler {
	struct task *task; /* NULL: it ended while a sample was on its way */
	struct grpc_call *call;
	struct sampler *next, **self;
	struct loop_timer *timer;
	int64_t every_ms;
	bool asking;
	bool has_last;
	uint64_t last_cpu_ns;
	int64_t last_ns; /* the moment that it told of, as read_ns */
	double last_percent;
};

enum { EVERY_MIN_MS = 100, BEHIND_MAX = 65536 };

static double
mhz(void)
{
	static double known;
	autoarena struct arena mem = ARENA_INIT;
	struct facts f;

	if (known <= 0) {
		facts_read(&f, "/", &mem);
		known = f.mhz > 0 ? (double)f.mhz : 1000;
	}
	return known;
}

static void
sampler_unlink(struct sampler *s)
{
	if (s->task == NULL)
		return;
	*s->self = s->next;
	if (s->next != NULL)
		s->next->self = s->self;
	s->task = NULL;
	loop_timer_free(&s->timer);
	if (!s->asking)
		free(s);
}

static void
on_gone(void *ctx)
{
	struct sampler *s = ctx;

	s->call = NULL;
	sampler_unlink(s);
}

/* Two answers may tell of the same moment: what was said of it is said again. */
static double
percent_since_last(struct sampler *s, const struct runner_usage *u)
{
	int64_t passed_ns = u->read_ns - s->last_ns;

	if (s->has_last && passed_ns == 0)
		return s->last_percent;
	s->last_percent = s->has_last && passed_ns > 0 && u->cpu_ns >= s->last_cpu_ns
			      ? (double)(u->cpu_ns - s->last_cpu_ns) * 100.0 / (double)passed_ns
			      : 0;
	s->has_last = true;
	s->last_ns = u->read_ns;
	s->last_cpu_ns = u->cpu_ns;
	return s->last_percent;
}

static void
sample(struct sampler *s, const struct runner_usage *u)
{
	static const int32_t cpu_fields[] = { 2, 5 }, memory_fields[] = { 0, 1, 5, 6 };
	Np__TaskStatsResponse reply = NP__TASK_STATS_RESPONSE__INIT;
	Np__TaskStats stats = NP__TASK_STATS__INIT;
	Np__Timestamp now = NP__TIMESTAMP__INIT;
	Np__ResourceUsage usage = NP__RESOURCE_USAGE__INIT;
	Np__CpuUsage cpu = NP__CPU_USAGE__INIT;
	Np__MemoryUsage memory = NP__MEMORY_USAGE__INIT;

	cpu.percent = percent_since_last(s, u);
	cpu.total_ticks = cpu.percent / 100.0 * mhz();
	cpu.n_measured_fields = NELEM(cpu_fields);
	cpu.measured_fields = (int32_t *)(uintptr_t)cpu_fields;
	memory.rss = u->rss_bytes;
	memory.cache = u->cache_bytes;
	memory.swap = u->swap_bytes;
	memory.usage = u->rss_bytes + u->cache_bytes;
	memory.n_measured_fields = NELEM(memory_fields);
	memory.measured_fields = (int32_t *)(uintptr_t)memory_fields;
	usage.cpu = &cpu;
	usage.memory = &memory;
	task_timestamp(&now, clock_wall_ns());
	stats.id = s->task->id;
	stats.timestamp = &now;
	stats.aggregate = &usage;
	reply.stats = &stats;
	if (grpc_pending(s->call) < BEHIND_MAX)
		grpc_send(s->call, &reply.base);
}

static void
on_usage(void *ctx, const struct runner_reply *r, const struct err *e)
{
	struct sampler *s = ctx;

	s->asking = false;
	if (s->task == NULL) {
		free(s);
		return;
	}
	if (e == NULL)
		sample(s, &r->usage);
	loop_timer_set(s->timer, s->every_ms);
}

static void
on_time(void *ctx)
{
	struct sampler *s = ctx;
	struct runner_request req = { .op = RUNNER_POT_USAGE, .pot = s->task->pot };
	struct err e = ERR_INIT;
	struct runner *r = plugin_runner(s->task->plugin, &e);

	s->asking = r != NULL;
	if (r != NULL)
		runner_call(r, &req, NULL, 0, NULL, on_usage, s);
	else
		loop_timer_set(s->timer, s->every_ms);
}

void
stats_end(struct task *t)
{
	while (t->samplers != NULL) {
		struct sampler *s = t->samplers;
		grpc_done(s->call);
		s->call = NULL;
		sampler_unlink(s);
	}
}

void
on_task_stats(void *ctx, struct grpc_call *call, const ProtobufCMessage *message)
{
	const Np__TaskStatsRequest *m = (const Np__TaskStatsRequest *)message;
	struct task *t = task_of(ctx, call, m->task_id);
	int64_t every = 1000;

	if (t == NULL)
		return;
	if (t->state == TASK_EXITED) {
		grpc_done(call);
		return;
	}
	if (m->collection_interval != NULL && m->collection_interval->seconds >= 0 &&
	    m->collection_interval->seconds < 86400)
		every = m->collection_interval->seconds * 1000 +
			m->collection_interval->nanos / 1000000;
	struct sampler *s = xcalloc(1, sizeof(*s));
	s->task = t;
	s->call = call;
	s->every_ms = every < EVERY_MIN_MS ? EVERY_MIN_MS : every;
	s->next = t->samplers;
	s->self = &t->samplers;
	if (s->next != NULL)
		s->next->self = &s->next;
	t->samplers = s;
	s->timer = loop_timer(t->plugin->loop, 0, 0, on_time, s);
	grpc_on_gone(call, on_gone, s);
}
