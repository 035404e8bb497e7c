/*
 * derive.c: members of rows that follow from others, so that readers find them ready.
 */
#include "state/tables.h"

#include "base/ids.h"
#include "base/str.h"
#include "job/job.h"

#include <string.h>

#define ALL_GIVEN UINT64_MAX /* zeros are zeros then, not null */

/* Readers meet no NULL where the API promises an object. */
#define FILL(member, type)                                                                         \
	do {                                                                                       \
		if ((member) == NULL)                                                              \
			(member) = arena_new(mem, type);                                           \
	} while (0)

/* ---- nodes ---- */

static uint64_t
hash_pair(const char *kind, const char *key, const char *value)
{
	uint64_t part[3] = { ids_hash64(kind, strlen(kind)), ids_hash64(key, strlen(key)),
		ids_hash64(value, strlen(value)) };

	return ids_hash64(part, sizeof(part));
}

/* Sums, so that the order of the map does not matter. */
static uint64_t
hash_map(const char *kind, const struct strmap *m)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < m->n; i++)
		if (!str_starts(m->key[i], "unique."))
			sum += hash_pair(kind, m->key[i], m->value[i] != NULL ? m->value[i] : "");
	return sum;
}

static const char *
text(const char *s)
{
	return s != NULL ? s : "";
}

/* Nodes of one class are equal for every constraint that does not ask for something unique. */
static const char *
computed_class(const struct node *n, struct arena *mem)
{
	uint64_t sum = hash_map("attr", &n->attributes) + hash_map("meta", &n->meta) +
		       hash_pair("dc", "", text(n->datacenter)) +
		       hash_pair("class", "", text(n->node_class)) +
		       hash_pair("pool", "", text(n->node_pool));

	for (size_t i = 0; i < n->drivers.n; i++) {
		const struct driver_info *d = n->drivers.value[i];
		if (d->detected)
			sum +=
			    hash_pair("driver", n->drivers.key[i], d->healthy ? "healthy" : "sick");
	}
	for (size_t i = 0; i < n->host_volumes.n; i++)
		sum += hash_pair("volume", n->host_volumes.key[i], "");
	return arena_printf(mem, "v1:%llu", (unsigned long long)sum);
}

static struct resources *
legacy_node(const struct cpu_resources *cpu, const struct memory_resources *memory,
    const struct disk_resources *disk, struct arena *mem)
{
	struct resources *r = arena_new(mem, struct resources);

	r->set = ALL_GIVEN;
	r->cpu = cpu != NULL ? cpu->cpu_shares : 0;
	r->memory_mb = memory != NULL ? memory->memory_mb : 0;
	r->disk_mb = disk != NULL ? disk->disk_mb : 0;
	return r;
}

void
node_derive(struct node *n, struct arena *mem)
{
	FILL(n->node_resources, struct node_resources);
	FILL(n->reserved_resources, struct node_reserved);
	struct node_resources *nr = n->node_resources;
	struct node_reserved *rr = n->reserved_resources;
	FILL(nr->cpu, struct cpu_resources);
	FILL(nr->memory, struct memory_resources);
	FILL(nr->disk, struct disk_resources);
	FILL(rr->cpu, struct cpu_resources);
	FILL(rr->memory, struct memory_resources);
	FILL(rr->disk, struct disk_resources);
	FILL(rr->networks, struct node_reserved_networks);
	n->resources = legacy_node(nr->cpu, nr->memory, nr->disk, mem);
	n->resources->networks = nr->networks;
	n->reserved = legacy_node(rr->cpu, rr->memory, rr->disk, mem);
	if (text(n->node_pool)[0] == '\0')
		n->node_pool = "default";
	n->computed_class = computed_class(n, mem);
	if (text(n->scheduling_eligibility)[0] == '\0')
		n->scheduling_eligibility = "eligible";
	n->drain = n->drain_strategy != NULL;
	n->version = strmap_get(&n->attributes, "nomad.version");
	n->version = n->version != NULL ? arena_strdup(mem, n->version) : NULL;
	const char *colon = strrchr(text(n->http_addr), ':');
	n->address =
	    colon != NULL ? arena_strndup(mem, n->http_addr, (size_t)(colon - n->http_addr)) : NULL;
}

/* ---- allocations ---- */

static struct resources *
legacy_task(const struct allocated_task *t, struct arena *mem)
{
	struct resources *r = arena_new(mem, struct resources);

	r->set = ALL_GIVEN;
	r->cpu = t->cpu != NULL ? t->cpu->cpu_shares : 0;
	r->memory_mb = t->memory != NULL ? t->memory->memory_mb : 0;
	r->memory_max_mb = t->memory != NULL ? t->memory->memory_max_mb : 0;
	r->networks = t->networks;
	return r;
}

void
alloc_derive(struct alloc *a, struct arena *mem)
{
	struct resources *total = arena_new(mem, struct resources);

	total->set = ALL_GIVEN;
	a->resources = total;
	a->task_resources = (struct objmap){ 0 };
	a->shared_resources = NULL;
	FILL(a->metrics, struct alloc_metric);
	FILL(a->desired_transition, struct desired_transition);
	if (a->allocated_resources == NULL)
		return;
	const struct objmap *tasks = &a->allocated_resources->tasks;
	for (size_t i = 0; i < tasks->n; i++) {
		struct resources *r = legacy_task(tasks->value[i], mem);
		objmap_set(&a->task_resources, mem, tasks->key[i], r);
		total->cpu += r->cpu;
		total->memory_mb += r->memory_mb;
		total->memory_max_mb += r->memory_max_mb;
		for (size_t k = 0; k < r->networks.n; k++)
			objs_add(&total->networks, mem, r->networks.at[k]);
	}
	const struct allocated_shared *shared = a->allocated_resources->shared;
	if (shared == NULL)
		return;
	total->disk_mb = shared->disk_mb;
	for (size_t k = 0; k < shared->networks.n; k++)
		objs_add(&total->networks, mem, shared->networks.at[k]);
	a->shared_resources = arena_new(mem, struct resources);
	a->shared_resources->set = ALL_GIVEN;
	a->shared_resources->disk_mb = shared->disk_mb;
	a->shared_resources->networks = shared->networks;
}

/* ---- jobs ---- */

static void
count(struct group_summary *g, const struct alloc *a)
{
	const char *status = text(a->client_status);
	bool waiting = status[0] == '\0' || strcmp(status, "pending") == 0;

	if (strcmp(status, "running") == 0)
		g->running++;
	else if (strcmp(status, "complete") == 0 || (waiting && alloc_server_terminal(a)))
		g->complete++; /* also what was stopped before its node took it up */
	else if (strcmp(status, "failed") == 0)
		g->failed++;
	else if (strcmp(status, "lost") == 0)
		g->lost++;
	else if (strcmp(status, "unknown") == 0)
		g->unknown++;
	else
		g->starting++;
}

static void
derive_summary(struct state *s, uint64_t index, const struct job *job, const struct row_set *allocs,
    const struct eval *queued)
{
	struct arena *mem;
	struct job_summary *sum = row_new(&job_summary_model, &mem);
	const struct job_summary *old = state_job_summary(s, job->namespace, job->id);
	const struct task_group *g;

	sum->job_id = arena_strdup(mem, job->id);
	sum->namespace = arena_strdup(mem, job->namespace);
	sum->children = arena_new(mem, struct children_summary);
	OBJS_FOREACH (g, &job->groups) {
		struct group_summary *gs = arena_new(mem, struct group_summary);
		const struct group_summary *before =
		    old != NULL ? objmap_get(&old->summary, g->name) : NULL;
		const int64_t *said =
		    queued != NULL ? intmap_get(&queued->queued_allocations, g->name) : NULL;
		if (!job->stop)
			gs->queued = said != NULL ? *said : before != NULL ? before->queued : 0;
		objmap_set(&sum->summary, mem, g->name, gs);
	}
	for (size_t i = 0; allocs != NULL && i < allocs->rows.n; i++) {
		const struct alloc *a = allocs->rows.at[i];
		struct group_summary *gs = objmap_get(&sum->summary, text(a->task_group));
		if (gs != NULL)
			count(gs, a);
	}
	sum->create_index = old != NULL ? old->create_index : (int64_t)index;
	sum->modify_index = old != NULL ? old->modify_index : (int64_t)index;
	if (old != NULL && model_equal(&job_summary_model, old, sum)) {
		row_unref(sum);
		return;
	}
	sum->modify_index = (int64_t)index;
	table_put(s, STATE_JOB_SUMMARIES, sum);
}

static const char *
job_status(const struct job *job, const struct row_set *allocs, const struct row_set *evals)
{
	if (job->stop && (job->periodic != NULL || job->parameterized != NULL))
		return "dead";
	if (job->periodic != NULL || job->parameterized != NULL)
		return "running";
	for (size_t i = 0; allocs != NULL && i < allocs->rows.n; i++)
		if (!alloc_terminal(allocs->rows.at[i]))
			return "running";
	for (size_t i = 0; evals != NULL && i < evals->rows.n; i++)
		if (!eval_terminal(evals->rows.at[i]))
			return "pending";
	if (job->stop || (allocs != NULL && allocs->rows.n > 0) ||
	    (evals != NULL && evals->rows.n > 0))
		return "dead";
	return str_eq(job->status, "dead") ? "dead" : "pending";
}

void
derive_job(struct state *s, uint64_t index, const struct derive_job *d)
{
	char key[JOB_KEY];
	const struct job *job = state_job(s, d->namespace, d->id);
	const struct row_set *allocs, *evals;
	struct arena *mem;

	if (job == NULL)
		return;
	job_key(d->namespace, d->id, key);
	allocs = state_group(s, ALLOCS_OF_JOB, key);
	evals = state_group(s, EVALS_OF_JOB, key);
	derive_summary(s, index, job, allocs, d->queued);
	const char *status = job_status(job, allocs, evals);
	if (str_eq(job->status, status))
		return;
	struct job *now = row_copy(&job_model, job, &mem);
	now->status = arena_strdup(mem, status);
	now->modify_index = (int64_t)index;
	state_versions_put(s, now);
	table_put(s, STATE_JOBS, now);
}

/* ---- deployments ---- */

static void
count_alloc(struct deployment_group *g, const struct alloc *a, struct arena *mem)
{
	int health = alloc_health(a);

	g->placed_allocs++;
	g->healthy_allocs += health == 1;
	g->unhealthy_allocs += health == 0;
	if (alloc_canary(a) && !strs_has(&g->placed_canaries, a->id))
		strs_add(&g->placed_canaries, mem, a->id);
}

void
derive_deployment(struct state *s, uint64_t index, int64_t now, const char *id)
{
	const struct deployment *old = state_deployment(s, id);
	const struct row_set *allocs = state_group(s, ALLOCS_OF_DEPLOYMENT, id);
	struct arena *mem;

	if (old == NULL || !deployment_active(old))
		return;
	struct deployment *d = row_copy(&deployment_model, old, &mem);
	for (size_t i = 0; i < d->task_groups.n; i++) {
		struct deployment_group *g = d->task_groups.value[i];
		g->placed_allocs = g->healthy_allocs = g->unhealthy_allocs = 0;
	}
	for (size_t i = 0; allocs != NULL && i < allocs->rows.n; i++) {
		const struct alloc *a = allocs->rows.at[i];
		struct deployment_group *g = objmap_get(&d->task_groups, text(a->task_group));
		if (g != NULL)
			count_alloc(g, a, mem);
	}
	for (size_t i = 0; i < d->task_groups.n; i++) {
		struct deployment_group *g = d->task_groups.value[i];
		const struct deployment_group *was = old->task_groups.value[i];
		bool first = g->require_progress_by == 0 && g->placed_allocs > 0;
		if (g->progress_deadline > 0 && (first || g->healthy_allocs > was->healthy_allocs))
			g->require_progress_by = now + g->progress_deadline;
	}
	if (model_equal(&deployment_model, old, d)) {
		row_unref(d);
		return;
	}
	d->modify_index = (int64_t)index;
	d->modify_time = now;
	table_put(s, STATE_DEPLOYMENTS, d);
}
