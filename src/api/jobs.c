#include "api/call.h"

#include "base/str.h"

#include <string.h>

/* Finding -------------------------------------------------------------------------------------- */

const char *
row_job_ns(const void *row)
{
	return ((const struct job *)row)->namespace;
}

const char *
row_job_id(const void *row)
{
	return ((const struct job *)row)->id;
}

/* ID, Namespace and so on of one job; a job that is not there yet can be waited for. */
static void
look_job(struct call *c)
{
	const struct job *job = state_job(c->state, c->ns, c->arg);

	c->look.table = STATE_JOBS;
	c->look.row = job;
	c->look.index =
	    job != NULL ? (uint64_t)job->modify_index : state_table_index(c->state, STATE_JOBS);
	c->look.watch = job != NULL ? WATCH_ROW : WATCH_TABLE;
	c->look.key = arena_printf(c->mem, "%s/%s", c->ns, c->arg);
	if (job == NULL)
		c->look.absent = "job not found";
}

static void
render_job(struct call *c, struct jsonw *w)
{
	model_to_json(&job_model, c->look.row, w);
}

static void
look_jobs(struct call *c)
{
	uint64_t jobs = state_table_index(c->state, STATE_JOBS),
		 sums = state_table_index(c->state, STATE_JOB_SUMMARIES);

	/* Stubs hold the summary: news there are news here. */
	c->look.table = sums > jobs ? STATE_JOB_SUMMARIES : STATE_JOBS;
	c->look.index = sums > jobs ? sums : jobs;
}

static void
emit_job_stub(struct call *c, const void *row, struct jsonw *w)
{
	state_job_stub_to_json(c->state, row, call_flag(c, "meta"), w);
}

static const struct list job_list = { row_job_ns, row_job_id, true, emit_job_stub };

static void
render_jobs(struct call *c, struct jsonw *w)
{
	autorows struct rows all = state_list(c->state, STATE_JOBS, NULL), rows = { .n = 0 };
	const char *prefix = http_query(c->req, "prefix");

	for (size_t i = 0; i < all.n; i++)
		if (prefix == NULL || str_starts(row_job_id(all.at[i]), prefix))
			VEC_PUSH(&rows, all.at[i]);
	call_list(c, w, &rows, &job_list);
}

/* What belongs to a job ------------------------------------------------------------------------ */

static void
look_table(struct call *c, enum state_table t)
{
	c->look.table = t;
	c->look.index = state_table_index(c->state, t);
}

static void
look_allocs(struct call *c)
{
	look_table(c, STATE_ALLOCS);
}

static void
render_allocs(struct call *c, struct jsonw *w)
{
	autorows struct rows rows = state_job_allocs(c->state, c->ns, c->arg), mine = { .n = 0 };
	const struct job *job = state_job(c->state, c->ns, c->arg);
	bool all = call_flag(c, "all");

	/* A job that was purged and came again is another one with the same name. */
	for (size_t i = 0; i < rows.n; i++) {
		const struct alloc *a = rows.at[i];
		if (all || job == NULL || a->job == NULL ||
		    a->job->create_index == job->create_index)
			VEC_PUSH(&mine, rows.at[i]);
	}
	call_list(c, w, &mine, &alloc_list);
}

static void
look_evals(struct call *c)
{
	look_table(c, STATE_EVALS);
}

static void
render_evals(struct call *c, struct jsonw *w)
{
	autorows struct rows rows = state_job_evals(c->state, c->ns, c->arg);

	call_list(c, w, &rows, &eval_list);
}

static void
look_deployments(struct call *c)
{
	look_table(c, STATE_DEPLOYMENTS);
}

static void
render_deployment(struct call *c, struct jsonw *w)
{
	/* Without one: null, which the command line expects. */
	model_to_json(&deployment_model, state_job_deployment(c->state, c->ns, c->arg), w);
}

static void
render_deployments(struct call *c, struct jsonw *w)
{
	autorows struct rows rows = state_job_deployments(c->state, c->ns, c->arg);

	call_list(c, w, &rows, &deployment_list);
}

static void
look_summary(struct call *c)
{
	const struct job_summary *s = state_job_summary(c->state, c->ns, c->arg);

	c->look.table = STATE_JOB_SUMMARIES;
	c->look.row = s;
	c->look.index = s != NULL ? (uint64_t)s->modify_index
				  : state_table_index(c->state, STATE_JOB_SUMMARIES);
	c->look.watch = s != NULL ? WATCH_ROW : WATCH_TABLE;
	c->look.key = arena_printf(c->mem, "%s/%s", c->ns, c->arg);
	if (s == NULL)
		c->look.absent = "job not found";
}

static void
render_summary(struct call *c, struct jsonw *w)
{
	model_to_json(&job_summary_model, c->look.row, w);
}

static void
look_versions(struct call *c)
{
	look_job(c);
	if (c->look.row == NULL)
		c->look.absent = "job versions not found";
}

static void
render_versions(struct call *c, struct jsonw *w)
{
	autorows struct rows rows = state_job_versions(c->state, c->ns, c->arg);

	jsonw_object(w);
	jsonw_key(w, "Versions");
	jsonw_array(w);
	for (size_t i = 0; i < rows.n; i++)
		model_to_json(&job_model, rows.at[i], w);
	jsonw_end_array(w);
	jsonw_key(w, "Diffs");
	if (call_flag(c, "diffs")) {
		jsonw_array(w);
		for (size_t i = 0; i + 1 < rows.n; i++)
			model_to_json(
			    &job_diff_model, job_diff(rows.at[i + 1], rows.at[i], true, c->mem), w);
		jsonw_end_array(w);
	} else
		jsonw_null(w);
	jsonw_kuint(w, "Index", c->look.index);
	jsonw_kbool(w, "KnownLeader", true);
	jsonw_kint(w, "LastContact", 0);
	jsonw_end_object(w);
}

static void
look_services(struct call *c)
{
	look_table(c, STATE_SERVICES);
}

static void
render_services(struct call *c, struct jsonw *w)
{
	autorows struct rows all = state_list(c->state, STATE_SERVICES, NULL), mine = { .n = 0 };

	for (size_t i = 0; i < all.n; i++)
		if (str_eq(((const struct service_row *)all.at[i])->job_id, c->arg))
			VEC_PUSH(&mine, all.at[i]);
	call_list(c, w, &mine, &service_list);
}

/* Scale ---------------------------------------------------------------------------------------- */

struct group_counts {
	int64_t placed, running, healthy, unhealthy;
};

static struct group_counts
count_group(const struct rows *allocs, const char *group)
{
	struct group_counts n = { 0 };

	for (size_t i = 0; i < allocs->n; i++) {
		const struct alloc *a = allocs->at[i];
		if (!str_eq(a->task_group, group) || alloc_terminal(a))
			continue;
		n.placed++;
		n.running += str_eq(a->client_status, "running");
		n.healthy += alloc_health(a) == 1;
		n.unhealthy += alloc_health(a) == 0;
	}
	return n;
}

static void
render_scale(struct call *c, struct jsonw *w)
{
	const struct job *job = c->look.row;
	autorows struct rows allocs = state_job_allocs(c->state, c->ns, c->arg);
	struct task_group *g;

	jsonw_object(w);
	jsonw_kstr(w, "JobID", job->id);
	jsonw_kstr(w, "Namespace", job->namespace);
	jsonw_kint(w, "JobCreateIndex", job->create_index);
	jsonw_kint(w, "JobModifyIndex", job->job_modify_index);
	jsonw_kbool(w, "JobStopped", job->stop);
	jsonw_key(w, "TaskGroups");
	jsonw_object(w);
	OBJS_FOREACH (g, &job->groups) {
		struct group_counts n = count_group(&allocs, g->name);
		jsonw_key(w, g->name);
		jsonw_object(w);
		jsonw_kint(w, "Desired", g->count);
		jsonw_kint(w, "Placed", n.placed);
		jsonw_kint(w, "Running", n.running);
		jsonw_kint(w, "Healthy", n.healthy);
		jsonw_kint(w, "Unhealthy", n.unhealthy);
		jsonw_key(w, "Events");
		jsonw_array(w);
		jsonw_end_array(w);
		jsonw_end_object(w);
	}
	jsonw_end_object(w);
	jsonw_end_object(w);
}

static void
run_scale(struct call *c)
{
	const json_t *body;
	struct err e;

	if (call_body(c, false, &body) < 0)
		return;
	const char *group = json_str(json_object_get(body, "Target"), "Group", "");
	const json_t *count = json_object_get(body, "Count");
	if (*group == '\0') {
		call_fail(c, 400, "missing task group name for scaling action");
		return;
	}
	int64_t n = count == NULL || json_is_null(count) ? -1 : json_int(body, "Count", -1);
	if (json_bool(body, "Error", false) && n >= 0) {
		call_fail(c, 400, "scaling action should not contain count if error is true");
		return;
	}
	if (n < 0 && count != NULL && !json_is_null(count)) {
		call_fail(
		    c, 400, "scaling action count must be a whole number that is not negative");
		return;
	}
	if (server_job_scale(c->api->c.server, c->ns, c->arg, group, n, call_done_eval, c, &e) < 0)
		call_err(c, &e);
}

/* Submitting ------------------------------------------------------------------------------------
 */

/* The body's "Job"; NULL: answered. *body: the whole. */
static struct job *
submitted(struct call *c, const json_t **body)
{
	struct job *job;
	struct err e;

	if (call_body(c, false, body) < 0)
		return NULL;
	const json_t *j = json_object_get(*body, "Job");
	if (!json_is_object(j)) {
		call_fail(c, 400, "Job must be specified");
		return NULL;
	}
	if (job_from_json(j, c->mem, &job, &e) < 0) {
		call_fail(c, 400, "%s", e.text);
		return NULL;
	}
	if (job->id == NULL || *job->id == '\0') {
		call_fail(c, 400, "Job ID hasn't been provided");
		return NULL;
	}
	if (c->arg[0] != '\0' && strcmp(c->arg, job->id) != 0) {
		call_fail(c, 400, "Job ID does not match name");
		return NULL;
	}
	if (job->region != NULL && *job->region != '\0' &&
	    strcmp(job->region, c->api->c.region) != 0) {
		call_fail(c, 500, "No path to region");
		return NULL;
	}
	/* The query's namespace stands in where the job names none. */
	if (job->namespace == NULL || *job->namespace == '\0')
		job->namespace = strcmp(c->ns, "*") == 0 ? "default" : c->ns;
	return job;
}

static void
run_register(struct call *c)
{
	const json_t *body;
	struct job *job = submitted(c, &body);
	struct err e;

	if (job == NULL)
		return;
	struct server_register r = { .job = job,
		.enforce_index = json_bool(body, "EnforceIndex", false),
		.job_modify_index = (uint64_t)json_int(body, "JobModifyIndex", 0),
		.preserve_counts = json_bool(body, "PreserveCounts", false),
		.eval_priority = json_int(body, "EvalPriority", 0) };
	if (server_job_register(c->api->c.server, &r, call_done_register, c, &e) < 0)
		call_err(c, &e);
}

static void
run_plan(struct call *c)
{
	const json_t *body;
	struct job *job = submitted(c, &body);
	struct buf out = BUF_INIT;
	struct err e;

	if (job == NULL)
		return;
	struct jsonw w = call_json(c, &out);
	if (server_job_plan(c->api->c.server, job, json_bool(body, "Diff", false), &w, &e) < 0) {
		buf_fini(&out);
		call_err(c, &e);
		return;
	}
	call_index(c, state_index(c->state));
	call_json_end(c, &w);
}

static void
run_validate(struct call *c)
{
	const json_t *body;
	struct job *job = submitted(c, &body);
	struct buf out = BUF_INIT;
	struct strs problems = { .n = 0 };

	if (job == NULL)
		return;
	job_canonicalize(job, c->mem);
	job_problems(job, c->mem, &problems);
	struct jsonw w = call_json(c, &out);
	jsonw_object(&w);
	jsonw_kbool(&w, "DriverConfigValidated", true);
	jsonw_key(&w, "ValidationErrors");
	jsonw_array(&w);
	autobuf struct buf error = BUF_INIT;
	if (problems.n > 0)
		buf_addf(&error, "%zu error%s occurred:\n", problems.n, problems.n == 1 ? "" : "s");
	for (size_t i = 0; i < problems.n; i++) {
		jsonw_str(&w, problems.at[i]);
		buf_addf(&error, "\t* %s\n", problems.at[i]);
	}
	if (problems.n > 0)
		buf_adds(&error, "\n");
	jsonw_end_array(&w);
	jsonw_kstr(&w, "Error", buf_str(&error));
	jsonw_kstr(&w, "Warnings", job_warnings(job, c->mem));
	jsonw_end_object(&w);
	call_json_end(c, &w);
}

static void
run_parse(struct call *c)
{
	const json_t *body;
	const char *report = NULL;
	struct job_vars vars = { .env = NULL };
	struct job *job;
	struct err e;

	if (call_body(c, false, &body) < 0)
		return;
	const char *text = json_str(body, "JobHCL", ""),
		   *variables = json_str(body, "Variables", "");
	if (*text == '\0') {
		call_fail(c, 400, "Job spec is empty");
		return;
	}
	if (json_bool(body, "hclv1", false) || json_bool(body, "HCLv1", false)) {
		call_fail(c, 400, "HCL version 1 is not supported: write the job in HCL2");
		return;
	}
	if (*variables != '\0') {
		struct job_var_file *f = arena_new(c->mem, struct job_var_file);
		*f = (struct job_var_file){
			.name = "Variables", .text = variables, .len = strlen(variables)
		};
		objs_add(&vars.files, c->mem, f);
	}
	if (job_parse_hcl(text, strlen(text), "input.hcl", &vars, c->mem, &job, &report, &e) < 0) {
		call_fail(c, 400, "%s", report != NULL ? report : e.text);
		return;
	}
	if (json_bool(body, "Canonicalize", false))
		job_canonicalize(job, c->mem);
	struct buf out = BUF_INIT;
	struct jsonw w = call_json(c, &out);
	model_to_json(&job_model, job, &w);
	call_json_end(c, &w);
}

/* Changing ------------------------------------------------------------------------------------- */

static void
run_deregister(struct call *c)
{
	struct err e;

	if (server_job_deregister(
		c->api->c.server, c->ns, c->arg, call_flag(c, "purge"), call_done_eval, c, &e) < 0)
		call_err(c, &e);
}

static void
run_evaluate(struct call *c)
{
	const json_t *body;
	struct err e;

	if (call_body(c, true, &body) < 0)
		return;
	const char *id = json_str(body, "JobID", "");
	if (*id != '\0' && strcmp(id, c->arg) != 0) {
		call_fail(c, 400, "JobID not same as job name");
		return;
	}
	bool force = json_bool(json_object_get(body, "EvalOptions"), "ForceReschedule", false);
	if (server_job_evaluate(c->api->c.server, c->ns, c->arg, force, call_done_eval, c, &e) < 0)
		call_err(c, &e);
}

static void
run_revert(struct call *c)
{
	const json_t *body;
	struct err e;

	if (call_body(c, false, &body) < 0)
		return;
	const char *id = json_str(body, "JobID", "");
	if (*id == '\0' || strcmp(id, c->arg) != 0) {
		call_fail(
		    c, 400, *id == '\0' ? "JobID must be specified" : "Job ID does not match");
		return;
	}
	if (server_job_revert(c->api->c.server, c->ns, c->arg, json_int(body, "JobVersion", 0),
		json_int(body, "EnforcePriorVersion", -1), call_done_register, c, &e) < 0)
		call_err(c, &e);
}

static void
run_stable(struct call *c)
{
	const json_t *body;
	struct err e;

	if (call_body(c, false, &body) < 0)
		return;
	if (server_job_stable(c->api->c.server, c->ns, c->arg, json_int(body, "JobVersion", 0),
		json_bool(body, "Stable", false), call_done_empty, c, &e) < 0)
		call_err(c, &e);
}

static void
run_later(struct call *c)
{
	call_fail(c, 501, "%s jobs are not supported by this version",
	    str_ends(c->route->pattern, "dispatch") ? "parameterized" : "periodic");
}

/* What newer command lines ask beside: where the job file is (it is not kept), its actions. */
static void
run_submission(struct call *c)
{
	call_fail(c, 404, "job source not found");
}

static void
run_actions(struct call *c)
{
	call_index(c, 1);
	call_json_text(c, "[]", 2);
}

const struct route job_routes[] = {
	{ .methods = "GET", .pattern = "/v1/jobs", .look = look_jobs, .render = render_jobs },
	{ .methods = "PUT", .pattern = "/v1/jobs", .run = run_register },
	{ .methods = "PUT", .pattern = "/v1/jobs/parse", .run = run_parse, .local = true },
	{ .methods = "PUT", .pattern = "/v1/validate/job", .run = run_validate, .local = true },
	{ .methods = "GET",
	    .pattern = "/v1/job/*/allocations",
	    .look = look_allocs,
	    .render = render_allocs },
	{ .methods = "GET",
	    .pattern = "/v1/job/*/evaluations",
	    .look = look_evals,
	    .render = render_evals },
	{ .methods = "GET",
	    .pattern = "/v1/job/*/deployment",
	    .look = look_deployments,
	    .render = render_deployment },
	{ .methods = "GET",
	    .pattern = "/v1/job/*/deployments",
	    .look = look_deployments,
	    .render = render_deployments },
	{ .methods = "GET",
	    .pattern = "/v1/job/*/summary",
	    .look = look_summary,
	    .render = render_summary },
	{ .methods = "GET",
	    .pattern = "/v1/job/*/versions",
	    .look = look_versions,
	    .render = render_versions },
	{ .methods = "GET",
	    .pattern = "/v1/job/*/services",
	    .look = look_services,
	    .render = render_services },
	{ .methods = "GET",
	    .pattern = "/v1/job/*/scale",
	    .look = look_job,
	    .render = render_scale },
	{ .methods = "GET", .pattern = "/v1/job/*/submission", .run = run_submission },
	{ .methods = "GET", .pattern = "/v1/job/*/actions", .run = run_actions },
	{ .methods = "PUT", .pattern = "/v1/job/*/scale", .run = run_scale },
	{ .methods = "PUT", .pattern = "/v1/job/*/plan", .run = run_plan },
	{ .methods = "PUT", .pattern = "/v1/job/*/revert", .run = run_revert },
	{ .methods = "PUT", .pattern = "/v1/job/*/stable", .run = run_stable },
	{ .methods = "PUT", .pattern = "/v1/job/*/evaluate", .run = run_evaluate },
	{ .methods = "PUT", .pattern = "/v1/job/*/periodic/force", .run = run_later },
	{ .methods = "PUT", .pattern = "/v1/job/*/dispatch", .run = run_later },
	{ .methods = "GET", .pattern = "/v1/job/*", .look = look_job, .render = render_job },
	{ .methods = "PUT", .pattern = "/v1/job/*", .run = run_register },
	{ .methods = "DELETE", .pattern = "/v1/job/*", .run = run_deregister },
	{ .pattern = NULL },
};
