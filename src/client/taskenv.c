/* taskenv.c: the variables of a task, and ${…} in its text. */
#include "client/priv.h"

#include "base/str.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static void
set(struct taskenv *env, struct arena *mem, const char *name, const char *value)
{
	strmap_set(&env->vars, mem, name, value != NULL ? value : "");
}

static void
set_int(struct taskenv *env, struct arena *mem, const char *name, int64_t value)
{
	set(env, mem, name, arena_printf(mem, "%lld", (long long)value));
}

/* Labels and names inside a variable's name: what is no letter, digit or _ becomes _. */
static char *
clean(struct arena *mem, const char *prefix, const char *name, bool upper)
{
	char *out = arena_printf(mem, "%s%s", prefix, name);

	for (char *p = out + strlen(prefix); *p != '\0'; p++) {
		if (!isalnum((unsigned char)*p))
			*p = '_';
		else if (upper)
			*p = (char)toupper((unsigned char)*p);
	}
	return out;
}

static void
add_meta(struct taskenv *env, struct arena *mem, const struct strmap *meta)
{
	for (size_t i = 0; i < meta->n; i++) {
		set(env, mem, clean(mem, "NOMAD_META_", meta->key[i], false), meta->value[i]);
		set(env, mem, clean(mem, "NOMAD_META_", meta->key[i], true), meta->value[i]);
	}
}

/* "job.group[3]" → "3" */
static const char *
index_of(const char *name, struct arena *mem)
{
	const char *open = name != NULL ? strrchr(name, '[') : NULL;

	return open != NULL ? arena_strndup(mem, open + 1, strcspn(open + 1, "]")) : "0";
}

static void
add_port(struct taskenv *env, struct arena *mem, const char *label, const char *host_ip,
    int64_t host, int64_t inside)
{
	struct {
		const char *prefix;
		const char *value;
	} rows[] = {
		{ "NOMAD_IP_", host_ip },
		{ "NOMAD_PORT_", arena_printf(mem, "%lld", (long long)inside) },
		{ "NOMAD_ADDR_", arena_printf(mem, "%s:%lld", host_ip, (long long)host) },
		{ "NOMAD_HOST_IP_", host_ip },
		{ "NOMAD_HOST_PORT_", arena_printf(mem, "%lld", (long long)host) },
		{ "NOMAD_HOST_ADDR_", arena_printf(mem, "%s:%lld", host_ip, (long long)host) },
		{ "NOMAD_ALLOC_PORT_", arena_printf(mem, "%lld", (long long)inside) },
	};

	for (size_t i = 0; i < NELEM(rows); i++)
		set(env, mem, clean(mem, rows[i].prefix, label, false), rows[i].value);
}

static int64_t
mapped(const struct task *t, const char *label)
{
	const struct any *map = any_get(t->config, "port_map");
	double d;
	uint64_t n;

	if (any_type(map) == ANY_LIST && map->n == 1)
		map = any_at(map, 0);
	const struct any *v = any_get(map, label);
	if (any_number(v, &d))
		return (int64_t)d;
	return any_text(v) != NULL && str_u64(any_text(v), 65535, &n) ? (int64_t)n : 0;
}

static void
add_ports(struct taskenv *env, struct arena *mem)
{
	size_t n;
	const struct driver_port *ports = alloc_ports(env->alloc, env->task, mem, &n);

	for (size_t i = 0; i < n; i++) {
		int64_t inside = mapped(env->task, ports[i].label);
		if (inside == 0)
			inside = ports[i].to > 0 ? ports[i].to : ports[i].host_port;
		add_port(env, mem, ports[i].label, env->alloc->client->conf.address,
		    ports[i].host_port, inside);
	}
}

static void
add_names(struct taskenv *env, struct arena *mem)
{
	const struct alloc *row = env->alloc->row;
	const struct client_config *conf = &env->alloc->client->conf;

	set(env, mem, "NOMAD_ALLOC_ID", row->id);
	set(env, mem, "NOMAD_SHORT_ALLOC_ID", arena_strndup(mem, row->id, 8));
	set(env, mem, "NOMAD_ALLOC_NAME", row->name);
	set(env, mem, "NOMAD_ALLOC_INDEX", index_of(row->name, mem));
	set(env, mem, "NOMAD_TASK_NAME", env->task->name);
	set(env, mem, "NOMAD_GROUP_NAME", row->task_group);
	set(env, mem, "NOMAD_JOB_ID", row->job->id);
	set(env, mem, "NOMAD_JOB_NAME", row->job->name);
	if (row->job->parent_id != NULL && row->job->parent_id[0] != '\0')
		set(env, mem, "NOMAD_JOB_PARENT_ID", row->job->parent_id);
	set(env, mem, "NOMAD_DC", conf->datacenter);
	set(env, mem, "NOMAD_REGION", conf->region);
	set(env, mem, "NOMAD_NAMESPACE", row->namespace);
}

static void
add_resources(struct taskenv *env, struct arena *mem)
{
	const struct resources *r = env->task->resources;

	if (r == NULL)
		return;
	set_int(env, mem, "NOMAD_CPU_LIMIT", r->cpu);
	set_int(env, mem, "NOMAD_MEMORY_LIMIT", r->memory_mb);
	if (r->memory_max_mb > 0)
		set_int(env, mem, "NOMAD_MEMORY_MAX_LIMIT", r->memory_max_mb);
}

static void
add_dirs(struct taskenv *env, struct arena *mem)
{
	const struct client *c = env->alloc->client;
	bool inside = strcmp(env->task->driver != NULL ? env->task->driver : "", "pot") == 0;
	char *base = arena_printf(mem, "%s/%s", c->alloc_root, env->alloc->id);

	set(env, mem, "NOMAD_ALLOC_DIR", inside ? "/alloc" : arena_printf(mem, "%s/alloc", base));
	set(env, mem, "NOMAD_TASK_DIR",
	    inside ? "/local" : arena_printf(mem, "%s/%s/local", base, env->task->name));
	set(env, mem, "NOMAD_SECRETS_DIR",
	    inside ? "/secrets" : arena_printf(mem, "%s/%s/secrets", base, env->task->name));
}

static const char *
node_value(const struct client *c, const char *name)
{
	if (strcmp(name, "node.unique.id") == 0)
		return c->id;
	if (strcmp(name, "node.unique.name") == 0)
		return c->conf.node_name;
	if (strcmp(name, "node.datacenter") == 0)
		return c->conf.datacenter;
	if (strcmp(name, "node.region") == 0)
		return c->conf.region;
	if (strcmp(name, "node.class") == 0)
		return c->conf.node_class;
	if (strcmp(name, "node.pool") == 0)
		return c->conf.node_pool;
	if (str_starts(name, "meta."))
		return strmap_get(&c->conf.meta, name + 5);
	return NULL;
}

static const char *
lookup(void *ctx, const char *name)
{
	const struct taskenv *env = ctx;
	const char *value = node_value(env->alloc->client, name);

	if (value != NULL)
		return value;
	return strmap_get(&env->vars, str_starts(name, "env.") ? name + 4 : name);
}

const char *
taskenv_text(const struct taskenv *env, const char *text, struct arena *mem)
{
	return text == NULL ? "" : job_interpolate(text, lookup, (void *)env, mem);
}

const struct any *
taskenv_any(const struct taskenv *env, const struct any *v, struct arena *mem)
{
	return job_interpolate_any(v, lookup, (void *)env, mem);
}

void
taskenv_init(struct taskenv *env, struct client_alloc *a, const struct task *t, struct arena *mem)
{
	*env = (struct taskenv){ .alloc = a, .task = t };
	add_names(env, mem);
	add_dirs(env, mem);
	add_resources(env, mem);
	add_ports(env, mem);
	add_meta(env, mem, &a->row->job->meta);
	add_meta(env, mem, &a->group->meta);
	add_meta(env, mem, &t->meta);
	for (size_t i = 0; i < t->env.n; i++)
		set(env, mem, t->env.key[i], taskenv_text(env, t->env.value[i], mem));
}
