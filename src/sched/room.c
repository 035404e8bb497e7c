/*
 * room.c: what a node has, what is used of it, and ports.
 */
#include "sched/inside.h"

#include "base/str.h"

#include <stdlib.h>
#include <string.h>

static bool
bit(const uint64_t *bits, int64_t port)
{
	return (bits[port / 64] >> (port % 64) & 1) != 0;
}

static void
set_bit(uint64_t *bits, int64_t port, bool on)
{
	if (port <= 0 || port >= PORTS)
		return;
	if (on)
		bits[port / 64] |= (uint64_t)1 << (port % 64);
	else
		bits[port / 64] &= ~((uint64_t)1 << (port % 64));
}

/* ---- needs ---- */

void
need_of_group(const struct task_group *g, struct need *out)
{
	const struct task *t;

	*out = (struct need){ 0 };
	OBJS_FOREACH (t, &g->tasks) {
		if (t->resources == NULL)
			continue;
		out->cpu += t->resources->cpu;
		out->memory += t->resources->memory_mb;
	}
	if (g->ephemeral_disk != NULL)
		out->disk = g->ephemeral_disk->size_mb;
}

void
need_of_alloc(const struct alloc *a, struct need *out)
{
	*out = (struct need){ 0 };
	if (a->allocated_resources == NULL)
		return;
	for (size_t i = 0; i < a->allocated_resources->tasks.n; i++) {
		const struct allocated_task *t = a->allocated_resources->tasks.value[i];
		out->cpu += t->cpu != NULL ? t->cpu->cpu_shares : 0;
		out->memory += t->memory != NULL ? t->memory->memory_mb : 0;
	}
	if (a->allocated_resources->shared != NULL)
		out->disk = a->allocated_resources->shared->disk_mb;
}

/* ---- a node's books ---- */

static void
mark_ports(uint64_t *bits, const struct objs *ports, bool on)
{
	const struct port *p;

	OBJS_FOREACH (p, ports)
		set_bit(bits, p->value, on);
}

static void
mark_networks(uint64_t *bits, const struct objs *networks, bool on)
{
	const struct network *n;

	OBJS_FOREACH (n, networks) {
		mark_ports(bits, &n->reserved_ports, on);
		mark_ports(bits, &n->dynamic_ports, on);
	}
}

static void
mark_alloc(uint64_t *bits, const struct alloc *a, bool on)
{
	const struct allocated_resources *r = a->allocated_resources;

	if (r == NULL)
		return;
	for (size_t i = 0; i < r->tasks.n; i++)
		mark_networks(
		    bits, &((const struct allocated_task *)r->tasks.value[i])->networks, on);
	if (r->shared != NULL) {
		mark_networks(bits, &r->shared->networks, on);
		mark_ports(bits, &r->shared->ports, on);
	}
}

static void
add_need(struct candidate *c, const struct alloc *a, int sign)
{
	struct need n;

	need_of_alloc(a, &n);
	c->cpu += sign * n.cpu;
	c->memory += sign * n.memory;
	c->disk += sign * n.disk;
}

void
candidate_add(struct candidate *c, const struct alloc *a, bool leaving)
{
	mark_alloc(leaving ? c->leaving : c->ports, a, true);
	if (!leaving)
		add_need(c, a, 1);
}

void
candidate_take(struct candidate *c, const struct alloc *a)
{
	mark_alloc(c->ports, a, false);
	mark_alloc(c->leaving, a, true);
	add_need(c, a, -1);
}

static void
reserve_host_ports(struct candidate *c, const char *list, struct arena *mem)
{
	size_t n;
	char **parts = str_split(mem, list, ',', &n);

	for (size_t i = 0; i < n; i++) {
		char *end;
		long first = strtol(parts[i], &end, 10), last = first;
		if (*end == '-')
			last = strtol(end + 1, NULL, 10);
		for (long p = first; p > 0 && p <= last && p < PORTS; p++)
			set_bit(c->ports, p, true);
	}
}

void
candidate_base(struct sched *s, struct candidate *c)
{
	const struct node_resources *have = c->node->node_resources;
	const struct node_reserved *kept = c->node->reserved_resources;

	c->ports = arena_array(s->mem, PORTS / 64, uint64_t);
	c->leaving = arena_array(s->mem, PORTS / 64, uint64_t);
	if (have != NULL) {
		c->cpu_all = have->cpu != NULL ? have->cpu->cpu_shares : 0;
		c->memory_all = have->memory != NULL ? have->memory->memory_mb : 0;
		c->disk_all = have->disk != NULL ? have->disk->disk_mb : 0;
	}
	if (kept == NULL)
		return;
	c->cpu_all -= kept->cpu != NULL ? kept->cpu->cpu_shares : 0;
	c->memory_all -= kept->memory != NULL ? kept->memory->memory_mb : 0;
	c->disk_all -= kept->disk != NULL ? kept->disk->disk_mb : 0;
	if (kept->networks != NULL && kept->networks->reserved_host_ports != NULL)
		reserve_host_ports(c, kept->networks->reserved_host_ports, s->mem);
}

/* ---- giving ports ---- */

struct giving {
	struct sched *s;
	struct candidate *c;
	const struct network *host; /* the node's */
	VEC(int64_t) taken;	    /* to give back when a later one fails */
	const char *why;
};

static bool
give_static(struct giving *g, struct port *p)
{
	if (p->value <= 0 || p->value >= PORTS || bit(g->c->ports, p->value)) {
		g->why = arena_printf(g->s->mem, "network: reserved port collision %s=%lld",
		    p->label, (long long)p->value);
		return false;
	}
	set_bit(g->c->ports, p->value, true);
	VEC_PUSH(&g->taken, p->value);
	return true;
}

static bool
free_port(const struct candidate *c, int64_t port)
{
	return !bit(c->ports, port) && !bit(c->leaving, port);
}

static bool
give_dynamic(struct giving *g, struct port *p)
{
	const struct node_resources *r = g->c->node->node_resources;
	int64_t min = r != NULL && r->min_dynamic_port > 0 ? r->min_dynamic_port : DYNAMIC_MIN;
	int64_t max = r != NULL && r->max_dynamic_port > 0 ? r->max_dynamic_port : DYNAMIC_MAX;
	int64_t found = 0;

	if (max >= PORTS)
		max = PORTS - 1;
	for (int i = 0; found == 0 && min <= max && i < 20; i++) {
		int64_t port = min + (int64_t)(sched_random(g->s) % (uint64_t)(max - min + 1));
		if (free_port(g->c, port))
			found = port;
	}
	for (int64_t port = min; found == 0 && port <= max; port++)
		if (free_port(g->c, port))
			found = port;
	if (found == 0) {
		g->why = "network: dynamic port selection failed";
		return false;
	}
	p->value = found;
	set_bit(g->c->ports, found, true);
	VEC_PUSH(&g->taken, found);
	return true;
}

/* A copy of what was asked for, with address and values. */
static struct network *
give_network(struct giving *g, const struct network *asked)
{
	struct network *n = model_copy(&network_model, asked, g->s->mem);
	struct port *p;

	n->ip = g->host != NULL && g->host->ip != NULL ? g->host->ip : NULL;
	n->device = g->host != NULL ? g->host->device : NULL;
	OBJS_FOREACH (p, &n->reserved_ports)
		if (!give_static(g, p))
			return NULL;
	OBJS_FOREACH (p, &n->dynamic_ports) {
		if (!give_dynamic(g, p))
			return NULL;
		if (p->to == -1)
			p->to = p->value;
	}
	return n;
}

static void
list_ports(struct giving *g, struct allocated_shared *shared, const struct objs *ports)
{
	const struct port *p;

	OBJS_FOREACH (p, ports) {
		struct port *q = arena_memdup(g->s->mem, p, sizeof(*p));
		q->host_ip = g->host != NULL ? g->host->ip : NULL;
		objs_add(&shared->ports, g->s->mem, q);
	}
}

static bool
give_group(struct giving *g, const struct task_group *group, struct allocated_shared *shared)
{
	const struct network *asked;

	OBJS_FOREACH (asked, &group->networks) {
		struct network *n = give_network(g, asked);
		if (n == NULL)
			return false;
		objs_add(&shared->networks, g->s->mem, n);
		list_ports(g, shared, &n->reserved_ports);
		list_ports(g, shared, &n->dynamic_ports);
	}
	return true;
}

static bool
give_task(struct giving *g, const struct task *task, struct allocated_resources *r)
{
	struct allocated_task *t = arena_new(g->s->mem, struct allocated_task);
	const struct network *asked;

	t->cpu = arena_new(g->s->mem, struct cpu_resources);
	t->memory = arena_new(g->s->mem, struct memory_resources);
	objmap_set(&r->tasks, g->s->mem, task->name, t);
	if (task->resources == NULL)
		return true;
	t->cpu->cpu_shares = task->resources->cpu;
	t->memory->memory_mb = task->resources->memory_mb;
	t->memory->memory_max_mb = task->resources->memory_max_mb;
	OBJS_FOREACH (asked, &task->resources->networks) {
		struct network *n = give_network(g, asked);
		if (n == NULL)
			return false;
		objs_add(&t->networks, g->s->mem, n);
	}
	return true;
}

static bool
give_all(struct giving *g, const struct task_group *group, struct allocated_resources *r)
{
	const struct task *task;

	r->shared = arena_new(g->s->mem, struct allocated_shared);
	if (group->ephemeral_disk != NULL)
		r->shared->disk_mb = group->ephemeral_disk->size_mb;
	if (!give_group(g, group, r->shared))
		return false;
	OBJS_FOREACH (task, &group->tasks)
		if (!give_task(g, task, r))
			return false;
	return true;
}

static bool
wants_ports(const struct objs *networks)
{
	const struct network *n;

	OBJS_FOREACH (n, networks)
		if (n->reserved_ports.n + n->dynamic_ports.n > 0)
			return true;
	return false;
}

static bool
group_wants_ports(const struct task_group *g)
{
	const struct task *t;

	if (wants_ports(&g->networks))
		return true;
	OBJS_FOREACH (t, &g->tasks)
		if (t->resources != NULL && wants_ports(&t->resources->networks))
			return true;
	return false;
}

const char *
sched_allocate(struct sched *s, struct candidate *c, const struct task_group *group,
    struct allocated_resources **out)
{
	struct need n;
	struct giving g = { .s = s, .c = c };
	const struct network *host;

	need_of_group(group, &n);
	if (c->cpu + n.cpu > c->cpu_all)
		return "cpu";
	if (c->memory + n.memory > c->memory_all)
		return "memory";
	if (c->disk + n.disk > c->disk_all)
		return "disk";
	if (c->node->node_resources != NULL)
		OBJS_FOREACH (host, &c->node->node_resources->networks)
			if (host->ip != NULL && host->ip[0] != '\0' && g.host == NULL)
				g.host = host;
	if (g.host == NULL && group_wants_ports(group))
		return "network: no networks available";
	struct allocated_resources *r = arena_new(s->mem, struct allocated_resources);
	bool given = give_all(&g, group, r);
	/* Only looked for: candidate_add() books what is really placed. */
	VEC_FOREACH (int64_t *, port, &g.taken)
		set_bit(c->ports, *port, false);
	VEC_FINI(&g.taken);
	if (!given)
		return g.why;
	*out = r;
	return NULL;
}
