/*
 * search.c: what begins like this?
 */
#include "server/inside.h"

#include "job/job.h"

enum { MATCHES_MAX = 20 };

static const char *
job_id(const void *row)
{
	return ((const struct job *)row)->id;
}
static const char *
job_namespace(const void *row)
{
	return ((const struct job *)row)->namespace;
}
static const char *
node_id(const void *row)
{
	return ((const struct node *)row)->id;
}
static const char *
alloc_id(const void *row)
{
	return ((const struct alloc *)row)->id;
}
static const char *
alloc_namespace(const void *row)
{
	return ((const struct alloc *)row)->namespace;
}
static const char *
eval_id(const void *row)
{
	return ((const struct eval *)row)->id;
}
static const char *
eval_namespace(const void *row)
{
	return ((const struct eval *)row)->namespace;
}
static const char *
deployment_id(const void *row)
{
	return ((const struct deployment *)row)->id;
}
static const char *
deployment_namespace(const void *row)
{
	return ((const struct deployment *)row)->namespace;
}

static const struct context {
	const char *name;
	enum state_table table;
	const char *(*id)(const void *);
	const char *(*namespace)(const void *); /* NULL: has none */
} contexts[] = {
	{ "allocs", STATE_ALLOCS, alloc_id, alloc_namespace },
	{ "deployment", STATE_DEPLOYMENTS, deployment_id, deployment_namespace },
	{ "evals", STATE_EVALS, eval_id, eval_namespace },
	{ "jobs", STATE_JOBS, job_id, job_namespace },
	{ "nodes", STATE_NODES, node_id, NULL },
};

static bool
wanted(const struct context *c, const char *context)
{
	return context[0] == '\0' || strcmp(context, "all") == 0 || strcmp(context, c->name) == 0;
}

/* UUIDs are written in hexadecimal digits and hyphens: anything else can only be a job. */
static bool
could_be_id(const struct context *c, const char *prefix)
{
	return c->table == STATE_JOBS ||
	       strspn(prefix, "0123456789abcdefABCDEF-") == strlen(prefix);
}

static bool
write_matches(struct server *s, const struct context *c, const char *namespace, const char *prefix,
    struct jsonw *w)
{
	int n = 0;

	jsonw_array(w);
	autorows struct rows rows = state_list(s->state, c->table, prefix);
	for (size_t i = 0; could_be_id(c, prefix) && i < rows.n; i++) {
		if (c->namespace != NULL && strcmp(namespace, "*") != 0 &&
		    !str_eq(c->namespace(rows.at[i]), namespace))
			continue;
		if (n++ < MATCHES_MAX)
			jsonw_str(w, c->id(rows.at[i]));
	}
	jsonw_end_array(w);
	return n > MATCHES_MAX;
}

int
server_search(struct server *s, const char *namespace, const char *prefix, const char *context,
    struct jsonw *w, struct err *e)
{
	bool cut[NELEM(contexts)] = { false }, any = false;

	for (size_t i = 0; i < NELEM(contexts); i++)
		any |= wanted(&contexts[i], context);
	/* contexts of things that this version does not have match nothing */
	static const char *const others[] = { "namespaces", "plugins", "volumes", "quotas",
		"recommendations", "scaling_policy", "groups", "services", "tasks", "images",
		"commands", "classes", "node_pools", "vars" };
	for (size_t i = 0; i < NELEM(others); i++)
		any |= strcmp(context, others[i]) == 0;
	if (!any)
		return err_new(e, ERR_INPUT,
		    "context must be one of all, allocs, deployment, evals, jobs, nodes; got "
		    "\"%s\"",
		    context);
	jsonw_object(w);
	jsonw_key(w, "Matches");
	jsonw_object(w);
	for (size_t i = 0; i < NELEM(contexts); i++)
		if (wanted(&contexts[i], context)) {
			jsonw_key(w, contexts[i].name);
			cut[i] = write_matches(s, &contexts[i], namespace, prefix, w);
		}
	jsonw_end_object(w);
	jsonw_key(w, "Truncations");
	jsonw_object(w);
	for (size_t i = 0; i < NELEM(contexts); i++)
		if (wanted(&contexts[i], context))
			jsonw_kbool(w, contexts[i].name, cut[i]);
	jsonw_end_object(w);
	jsonw_kuint(w, "Index", state_index(s->state) > 0 ? state_index(s->state) : 1);
	jsonw_kbool(w, "KnownLeader", true);
	jsonw_kint(w, "LastContact", 0);
	jsonw_end_object(w);
	return 0;
}
