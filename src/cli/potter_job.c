/* potter_job.c: job run, plan, status, stop, inspect, validate, init. */
#include "cli/potter.h"

#include "base/clock.h"
#include "base/str.h"
#include "job/job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

enum { VARS_MAX = 64 };

/* ---- reading a job file ---- */

static int
load(struct potter_call *c, const char *path, const char **text, size_t *len, struct err *e)
{
	autobuf struct buf b = BUF_INIT;

	if (strcmp(path, "-") == 0) {
		if (buf_read_fd(&b, STDIN_FILENO, JOB_TEXT_MAX, e) < 0)
			return err_ctx(e, "standard input");
	} else if (buf_read_file(&b, path, JOB_TEXT_MAX, e) < 0)
		return -1;
	*text = arena_strndup(&c->mem, buf_str(&b), b.len);
	*len = strlen(*text);
	return 0;
}

static int
gather_vars(struct potter_call *c, struct job_vars *vars, struct err *e)
{
	const char *values[VARS_MAX];
	size_t n = potter_values(c, "var", values, VARS_MAX);

	vars->env = (const char *const *)environ;
	for (size_t i = 0; i < n; i++)
		strs_add(&vars->assignments, &c->mem, values[i]);
	n = potter_values(c, "var-file", values, VARS_MAX);
	for (size_t i = 0; i < n; i++) {
		struct job_var_file *f = arena_new(&c->mem, struct job_var_file);
		f->name = values[i];
		if (load(c, values[i], &f->text, &f->len, e) < 0)
			return -1;
		objs_add(&vars->files, &c->mem, f);
	}
	return 0;
}

struct job *
potter_read_job(struct potter_call *c, const char *path)
{
	struct job_vars vars = { 0 };
	struct job *job = NULL;
	struct err e = ERR_INIT;
	const char *text, *report = NULL, *name = strcmp(path, "-") == 0 ? "stdin.nomad" : path;
	size_t len;
	int rc = load(c, path, &text, &len, &e);

	if (rc == 0 && (potter_on(c, "json") || str_ends(path, ".json")))
		rc = job_parse_json(text, len, &c->mem, &job, &e);
	else if (rc == 0 && (rc = gather_vars(c, &vars, &e)) == 0)
		rc = job_parse_hcl(text, len, name, &vars, &c->mem, &job, &report, &e);
	if (rc == 0)
		return job;
	potter_fail("Error getting job struct: %s", report != NULL ? report : e.text);
	return NULL;
}

static void
job_context(struct potter_call *c, const struct job *job)
{
	if (job->region != NULL && job->region[0] != '\0')
		c->region = job->region;
	if (job->namespace != NULL && job->namespace[0] != '\0')
		c->namespace = job->namespace;
}

static void
show_warnings(const json_t *reply)
{
	const char *w = json_str(reply, "Warnings", "");

	if (w[0] != '\0')
		printf("Job Warnings:\n%s\n\n", w);
}

/* ---- run ---- */

static int
write_register(struct potter_call *c, const struct job *job, struct buf *body)
{
	struct jsonw w = JSONW_INIT(body);
	const char *check = potter_value(c, "check-index");
	uint64_t index = 0;

	if (check != NULL && !str_u64(check, UINT64_MAX, &index))
		return potter_fail(
		    "Error parsing check-index value \"%s\": not a whole number", check);
	jsonw_object(&w);
	jsonw_key(&w, "Job");
	model_to_json(&job_model, job, &w);
	jsonw_kbool(&w, "EnforceIndex", check != NULL);
	jsonw_kuint(&w, "JobModifyIndex", index);
	jsonw_kbool(&w, "PreserveCounts", potter_on(c, "preserve-counts"));
	jsonw_kbool(&w, "PolicyOverride", potter_on(c, "policy-override"));
	jsonw_end_object(&w);
	return 0;
}

static int
refused(const struct err *e)
{
	const char *index = strstr(e->text, "Enforcing job modify index");

	if (index != NULL) {
		fprintf(stderr, "%.*s\n", (int)strcspn(index, ")"), index);
		return potter_fail("Job not updated");
	}
	return potter_fail("Error submitting job: %s", e->text);
}

static int
job_run(struct potter_call *c)
{
	autobuf struct buf body = BUF_INIT;
	autoreply struct potter_reply r = POTTER_REPLY_INIT;
	struct err e = ERR_INIT;

	if (c->argc != 1)
		return potter_usage(c, "one argument: <path>");
	struct job *job = potter_read_job(c, c->argv[0]);
	if (job == NULL)
		return 1;
	job_context(c, job);
	if (write_register(c, job, &body) != 0)
		return 1;
	if (potter_on(c, "output")) {
		autojson json_t *v = NULL;
		if (json_read(buf_str(&body), body.len, &v, &e) < 0)
			return potter_fail("Error converting job: %s", e.text);
		json_object_del(v, "EnforceIndex");
		json_object_del(v, "JobModifyIndex");
		json_object_del(v, "PreserveCounts");
		json_object_del(v, "PolicyOverride");
		potter_json(v);
		return 0;
	}
	if (potter_send(c, "PUT", &body, &r, &e, "/v1/jobs") < 0)
		return refused(&e);
	show_warnings(r.json);
	const char *eval = arena_strdup(&c->mem, json_str(r.json, "EvalID", ""));
	if (potter_on(c, "detach") || eval[0] == '\0') {
		puts("Job registration successful");
		if (eval[0] != '\0')
			printf("Evaluation ID: %s\n", eval);
		return 0;
	}
	return potter_monitor_eval(c, eval);
}

#define JOB_FILE_OPTIONS                                                                           \
	{ "json", NULL, "the file holds JSON" },                                                   \
	    { "var", "'key=value'", "a value for a variable block" },                              \
	{                                                                                          \
		"var-file", "path", "a file with values for variable blocks"                       \
	}

const struct potter_command potter_job_run = {
	.name = "job run",
	.alias = "run",
	.args = "<path>",
	.what = "Run a new job or update an existing job",
	.options =
	    (const struct potter_option[]){
		{ "detach", NULL, "return when the job is registered" },
		{ "verbose", NULL, "full ids" },
		{ "check-index", "n",
		    "only if the job's modify index is n (0: it does not exist yet)" },
		{ "preserve-counts", NULL, "keep the counts that run now" },
		{ "policy-override", NULL, "accepted for compatibility" },
		{ "output", NULL, "print the job as JSON and do not submit it" },
		JOB_FILE_OPTIONS,
		{ NULL, NULL, NULL },
	    },
	.run = job_run,
};

/* ---- plan ---- */

static const char *
mark(const char *type)
{
	return strcmp(type, "Added") == 0     ? "+"
	       : strcmp(type, "Deleted") == 0 ? "-"
	       : strcmp(type, "Edited") == 0  ? "+/-"
					      : "";
}

static void
print_annotations(const json_t *list)
{
	size_t i;
	json_t *v;

	if (json_array_size(list) == 0)
		return;
	fputs(" (", stdout);
	json_array_foreach (list, i, v)
		printf("%s%s", i > 0 ? ", " : "", json_string_value(v));
	putchar(')');
}

static void
print_field(const json_t *f, int depth, bool verbose)
{
	const char *type = json_str(f, "Type", "None"), *old = json_str(f, "Old", ""),
		   *new_ = json_str(f, "New", "");

	if (strcmp(type, "None") == 0 && !verbose)
		return;
	printf("%*s%-3s %s: ", depth, "", mark(type), json_str(f, "Name", ""));
	if (strcmp(type, "Edited") == 0)
		printf("\"%s\" => \"%s\"", old, new_);
	else
		printf("\"%s\"", strcmp(type, "Deleted") == 0 ? old : new_);
	print_annotations(json_object_get(f, "Annotations"));
	putchar('\n');
}

static void
print_objects(const json_t *fields, const json_t *objects, int depth, bool verbose)
{
	size_t i;
	json_t *v;

	json_array_foreach (fields, i, v)
		print_field(v, depth, verbose);
	json_array_foreach (objects, i, v) {
		const char *type = json_str(v, "Type", "None");
		if (strcmp(type, "None") == 0 && !verbose)
			continue;
		printf("%*s%-3s %s {\n", depth, "", mark(type), json_str(v, "Name", ""));
		print_objects(
		    json_object_get(v, "Fields"), json_object_get(v, "Objects"), depth + 2, true);
		printf("%*s}\n", depth + 4, "");
	}
}

static void
print_group(const json_t *g, bool verbose)
{
	const json_t *updates = json_object_get(g, "Updates");
	const char *type = json_str(g, "Type", "None"), *name;
	size_t i, n = 0;
	json_t *v;

	printf("%s%sTask Group: \"%s\"", mark(type), mark(type)[0] ? " " : "",
	    json_str(g, "Name", ""));
	json_object_foreach ((json_t *)updates, name, v)
		printf("%s%lld %s", n++ == 0 ? " (" : ", ", (long long)json_integer_value(v), name);
	puts(n > 0 ? ")" : "");
	bool whole = strcmp(type, "Added") == 0 || strcmp(type, "Deleted") == 0;
	if (!whole || verbose)
		print_objects(
		    json_object_get(g, "Fields"), json_object_get(g, "Objects"), 2, verbose);
	json_array_foreach (json_object_get(g, "Tasks"), i, v) {
		const char *t = json_str(v, "Type", "None");
		if (strcmp(t, "None") == 0 && !verbose)
			continue;
		printf("  %s Task: \"%s\"", mark(t), json_str(v, "Name", ""));
		print_annotations(json_object_get(v, "Annotations"));
		putchar('\n');
		if (strcmp(t, "Edited") == 0 || verbose)
			print_objects(json_object_get(v, "Fields"), json_object_get(v, "Objects"),
			    4, verbose);
	}
}

static void
print_diff(const json_t *d, bool verbose)
{
	const char *type = json_str(d, "Type", "None");
	size_t i;
	json_t *g;

	printf("%s%sJob: \"%s\"\n", mark(type), mark(type)[0] ? " " : "", json_str(d, "ID", ""));
	if (strcmp(type, "Edited") == 0 || verbose)
		print_objects(
		    json_object_get(d, "Fields"), json_object_get(d, "Objects"), 0, verbose);
	json_array_foreach (json_object_get(d, "TaskGroups"), i, g)
		print_group(g, verbose);
	puts("\n");
}

static void
print_dry_run(struct potter_call *c, const json_t *reply)
{
	const json_t *failed = json_object_get(reply, "FailedTGAllocs");
	const char *group, *rolling;
	json_t *m;

	puts("Scheduler dry-run:");
	if (json_object_size(failed) == 0)
		puts("- All tasks successfully allocated.");
	else {
		puts("- WARNING: Failed to place all allocations.");
		json_object_foreach ((json_t *)failed, group, m) {
			int64_t more = json_int(m, "CoalescedFailures", 0);
			printf("  Task Group \"%s\" (failed to place %lld allocation%s):\n", group,
			    (long long)more + 1, more > 0 ? "s" : "");
			potter_show_metrics(c, m, false, "    ");
		}
	}
	rolling = json_str(reply, "NextPeriodicLaunch", "");
	if (rolling[0] != '\0' && strncmp(rolling, "0001", 4) != 0)
		printf("- If submitted now, next periodic launch would be at %s.\n", rolling);
	putchar('\n');
}

static int
plan_status(const json_t *reply)
{
	static const char *const counts[] = { "Stop", "Place", "Migrate", "DestructiveUpdate",
		"Canary" };
	const json_t *groups =
	    json_object_get(json_object_get(reply, "Annotations"), "DesiredTGUpdates");
	const char *name;
	int64_t sum = 0;
	json_t *g;

	if (strcmp(json_str(json_object_get(reply, "Diff"), "Type", ""), "None") == 0)
		return 0;
	json_object_foreach ((json_t *)groups, name, g)
		for (size_t i = 0; i < NELEM(counts); i++)
			sum += json_int(g, counts[i], 0);
	return sum > 0;
}

static int
job_plan(struct potter_call *c)
{
	autobuf struct buf body = BUF_INIT;
	autoreply struct potter_reply r = POTTER_REPLY_INIT;
	struct jsonw w = JSONW_INIT(&body);
	struct err e = ERR_INIT;
	const char *diff = potter_value(c, "diff");
	bool want_diff = diff == NULL || strcmp(diff, "false") != 0;

	if (c->argc != 1) {
		potter_usage(c, "one argument: <path>");
		return 255;
	}
	struct job *job = potter_read_job(c, c->argv[0]);
	if (job == NULL)
		return 255;
	job_context(c, job);
	jsonw_object(&w);
	jsonw_key(&w, "Job");
	model_to_json(&job_model, job, &w);
	jsonw_kbool(&w, "Diff", want_diff);
	jsonw_end_object(&w);
	if (potter_send(c, "PUT", &body, &r, &e, "/v1/job/%s/plan", potter_escape(c, job->id)) <
	    0) {
		potter_fail("Error during plan: %s", e.text);
		return 255;
	}
	if (want_diff)
		print_diff(json_object_get(r.json, "Diff"), potter_on(c, "verbose"));
	print_dry_run(c, r.json);
	show_warnings(r.json);
	long long index = (long long)json_int(r.json, "JobModifyIndex", 0);
	printf("Job Modify Index: %lld\n"
	       "To submit the job with version verification run:\n\n"
	       "nomad job run -check-index %lld %s\n\n"
	       "When running the job with the check-index flag, the job will only be run if the\n"
	       "job modify index given matches the server-side version. If the index has\n"
	       "changed, another user has modified the job and the plan's results are\n"
	       "potentially invalid.\n",
	    index, index, c->argv[0]);
	return plan_status(r.json);
}

const struct potter_command potter_job_plan = {
	.name = "job plan",
	.alias = "plan",
	.args = "<path>",
	.what = "Dry-run a job update to determine its effects",
	.options =
	    (const struct potter_option[]){
		{ "diff", "bool", "show what changes (true)" },
		{ "policy-override", NULL, "accepted for compatibility" },
		{ "verbose", NULL, "unchanged fields too" },
		JOB_FILE_OPTIONS,
		{ NULL, NULL, NULL },
	    },
	.run = job_plan,
};

/* ---- status ---- */

static void
show_basic(struct potter_call *c, const json_t *j)
{
	struct potter_lines l = { .text = BUF_INIT };
	autobuf struct buf dcs = BUF_INIT;
	size_t i;
	json_t *v;

	json_array_foreach (json_object_get(j, "Datacenters"), i, v)
		buf_addf(&dcs, "%s%s", i > 0 ? "," : "", json_string_value(v));
	potter_row(&l, "ID|%s", json_str(j, "ID", ""));
	potter_row(&l, "Name|%s", json_str(j, "Name", ""));
	potter_row(&l, "Submit Date|%s", potter_time(c, json_int(j, "SubmitTime", 0)));
	potter_row(&l, "Type|%s", json_str(j, "Type", ""));
	potter_row(&l, "Priority|%lld", (long long)json_int(j, "Priority", 0));
	potter_row(&l, "Datacenters|%s", buf_str(&dcs));
	potter_row(&l, "Namespace|%s", json_str(j, "Namespace", ""));
	potter_row(&l, "Status|%s%s", json_str(j, "Status", ""),
	    json_bool(j, "Stop", false) ? " (stopped)" : "");
	potter_row(
	    &l, "Periodic|%s", json_is_object(json_object_get(j, "Periodic")) ? "true" : "false");
	potter_row(&l, "Parameterized|%s",
	    json_is_object(json_object_get(j, "ParameterizedJob")) ? "true" : "false");
	potter_print_kv(c, &l, "");
	buf_fini(&l.text);
}

static void
show_summary(struct potter_call *c, const json_t *summary)
{
	static const char *const counts[] = { "Queued", "Starting", "Running", "Failed", "Complete",
		"Lost" };
	struct potter_lines l = { .text = BUF_INIT };
	const char *name;
	json_t *g;

	puts("\nSummary");
	potter_row(&l, "Task Group|Queued|Starting|Running|Failed|Complete|Lost");
	json_object_foreach (json_object_get(summary, "Summary"), name, g) {
		autobuf struct buf row = BUF_INIT;
		for (size_t i = 0; i < NELEM(counts); i++)
			buf_addf(&row, "|%lld", (long long)json_int(g, counts[i], 0));
		potter_row(&l, "%s%s", name, buf_str(&row));
	}
	potter_print_list(c, &l, "");
	buf_fini(&l.text);
}

static void
show_evals(struct potter_call *c, const json_t *evals)
{
	struct potter_lines l = { .text = BUF_INIT };
	size_t i;
	json_t *ev;

	potter_row(&l, "ID|Priority|Triggered By|Status|Placement Failures");
	json_array_foreach (evals, i, ev) {
		const char *status = json_str(ev, "Status", "");
		const char *failures = strcmp(status, "blocked") == 0 ? "N/A - In Progress"
				       : json_object_size(json_object_get(ev, "FailedTGAllocs")) > 0
					   ? "true"
					   : "false";
		potter_row(&l, "%s|%lld|%s|%s|%s",
		    potter_short(c, json_str(ev, "ID", ""), potter_length(c)),
		    (long long)json_int(ev, "Priority", 0), json_str(ev, "TriggeredBy", ""), status,
		    failures);
	}
	potter_print_list(c, &l, "");
	buf_fini(&l.text);
}

static void
show_placement_failure(struct potter_call *c, const json_t *evals)
{
	const json_t *latest = NULL;
	bool blocked = false;
	const char *group;
	size_t i;
	json_t *ev, *m;

	json_array_foreach (evals, i, ev) {
		blocked = blocked || strcmp(json_str(ev, "Status", ""), "blocked") == 0;
		if (json_object_size(json_object_get(ev, "FailedTGAllocs")) > 0 &&
		    (latest == NULL ||
			json_int(latest, "CreateIndex", 0) < json_int(ev, "CreateIndex", 0)))
			latest = ev;
	}
	if (!blocked || latest == NULL)
		return;
	puts("\nPlacement Failure");
	json_object_foreach (json_object_get(latest, "FailedTGAllocs"), group, m) {
		printf("Task Group \"%s\":\n", group);
		potter_show_metrics(c, m, false, "  ");
	}
}

static void
show_latest(struct potter_call *c, const json_t *d)
{
	if (!json_is_object(d))
		return;
	puts("\nLatest Deployment");
	struct potter_lines l = { .text = BUF_INIT };
	potter_row(&l, "ID|%s", potter_short(c, json_str(d, "ID", ""), potter_length(c)));
	potter_row(&l, "Status|%s", json_str(d, "Status", ""));
	potter_row(&l, "Description|%s", json_str(d, "StatusDescription", ""));
	potter_print_kv(c, &l, "");
	buf_fini(&l.text);
	potter_show_deployment_groups(c, d, "");
}

static int
status_of(struct potter_call *c, const json_t *job)
{
	autoreply struct potter_reply allocs = POTTER_REPLY_INIT, evals = POTTER_REPLY_INIT,
				      deployment = POTTER_REPLY_INIT, summary = POTTER_REPLY_INIT;
	const char *id = potter_escape(c, json_str(job, "ID", ""));
	struct err e = ERR_INIT;

	show_basic(c, job);
	if (potter_on(c, "short"))
		return 0;
	if (potter_get(c, &allocs, &e, "/v1/job/%s/allocations?all=%s", id,
		potter_on(c, "all-allocs") ? "true" : "false") < 0 ||
	    potter_get(c, &evals, &e, "/v1/job/%s/evaluations", id) < 0 ||
	    potter_get(c, &deployment, &e, "/v1/job/%s/deployment", id) < 0 ||
	    potter_get(c, &summary, &e, "/v1/job/%s/summary", id) < 0)
		return potter_fail("Error querying job: %s", e.text);
	show_summary(c, summary.json);
	if (potter_on(c, "verbose") || potter_on(c, "evals")) {
		puts("\nEvaluations");
		show_evals(c, evals.json);
	}
	show_placement_failure(c, evals.json);
	show_latest(c, deployment.json);
	puts("\nAllocations");
	potter_show_allocs(c, allocs.json);
	return 0;
}

static int
job_status(struct potter_call *c)
{
	autoreply struct potter_reply r = POTTER_REPLY_INIT;
	struct err e = ERR_INIT;

	if (c->argc > 1)
		return potter_usage(c, "either no arguments or one: <job>");
	if (c->argc == 1) {
		autojson json_t *job = potter_find_job(c, c->argv[0]);
		return job == NULL ? 1 : status_of(c, job);
	}
	if (potter_get(c, &r, &e, "/v1/jobs") < 0)
		return potter_fail("Error querying jobs: %s", e.text);
	if (json_array_size(r.json) == 0)
		puts("No running jobs");
	else
		potter_show_jobs(c, r.json);
	return 0;
}

const struct potter_command potter_job_status = {
	.name = "job status",
	.alias = "status",
	.args = "[job]",
	.what = "Display status information about a job",
	.options =
	    (const struct potter_option[]){
		{ "short", NULL, "only the head" },
		{ "evals", NULL, "evaluations too" },
		{ "all-allocs", NULL, "also of earlier jobs of this name" },
		{ "verbose", NULL, "full ids and times" },
		{ NULL, NULL, NULL },
	    },
	.run = job_status,
};

/* ---- stop, inspect, validate, init ---- */

static bool
sure(const char *question)
{
	char answer[16];

	printf("%s [y/N] ", question);
	fflush(stdout);
	if (fgets(answer, sizeof(answer), stdin) == NULL)
		return false;
	return answer[0] == 'y' || answer[0] == 'Y';
}

static int
job_stop(struct potter_call *c)
{
	autoreply struct potter_reply r = POTTER_REPLY_INIT;
	struct err e = ERR_INIT;

	if (c->argc != 1)
		return potter_usage(c, "one argument: <job>");
	autojson json_t *job = potter_find_job(c, c->argv[0]);
	if (job == NULL)
		return 1;
	const char *id = json_str(job, "ID", "");
	if (strcmp(id, c->argv[0]) != 0 && !potter_on(c, "yes") &&
	    !sure(arena_printf(&c->mem, "Are you sure you want to stop job \"%s\"?", id))) {
		puts("Cancelling job stop");
		return 0;
	}
	if (potter_send(c, "DELETE", NULL, &r, &e, "/v1/job/%s?purge=%s&global=%s",
		potter_escape(c, id), potter_on(c, "purge") ? "true" : "false",
		potter_on(c, "global") ? "true" : "false") < 0)
		return potter_fail("Error deregistering job: %s", e.text);
	const char *eval = arena_strdup(&c->mem, json_str(r.json, "EvalID", ""));
	if (eval[0] == '\0')
		return 0;
	if (potter_on(c, "detach")) {
		puts(eval);
		return 0;
	}
	return potter_monitor_eval(c, eval);
}

const struct potter_command potter_job_stop = {
	.name = "job stop",
	.alias = "stop",
	.args = "<job>",
	.what = "Stop a running job",
	.options =
	    (const struct potter_option[]){
		{ "detach", NULL, "do not follow the evaluation" },
		{ "purge", NULL, "forget the job at once" },
		{ "global", NULL, "in all regions" },
		{ "yes", NULL, "ask nothing" },
		{ "verbose", NULL, "full ids" },
		{ NULL, NULL, NULL },
	    },
	.run = job_stop,
};

static int
job_inspect(struct potter_call *c)
{
	if (c->argc != 1)
		return potter_usage(c, "one argument: <job>");
	autojson json_t *job = potter_find_job(c, c->argv[0]);
	if (job == NULL)
		return 1;
	const char *version = potter_value(c, "version");
	if (version != NULL) {
		autoreply struct potter_reply r = POTTER_REPLY_INIT;
		struct err e = ERR_INIT;
		size_t i;
		json_t *v;
		if (potter_get(c, &r, &e, "/v1/job/%s/versions",
			potter_escape(c, json_str(job, "ID", ""))) < 0)
			return potter_fail("Error retrieving job versions: %s", e.text);
		json_array_foreach (json_object_get(r.json, "Versions"), i, v)
			if (json_int(v, "Version", -1) == strtoll(version, NULL, 10)) {
				autojson json_t *old = json_pack("{s:O}", "Job", v);
				potter_json(old);
				return 0;
			}
		return potter_fail("job \"%s\" with version %s couldn't be found",
		    json_str(job, "ID", ""), version);
	}
	autojson json_t *whole = json_pack("{s:O}", "Job", job);
	potter_json(whole);
	return 0;
}

const struct potter_command potter_job_inspect = {
	.name = "job inspect",
	.alias = "inspect",
	.args = "<job>",
	.what = "Inspect a submitted job",
	.options =
	    (const struct potter_option[]){
		{ "version", "n", "that version of it" },
		{ "json", NULL, "as it always is" },
		{ NULL, NULL, NULL },
	    },
	.run = job_inspect,
};

static int
job_validate_file(struct potter_call *c)
{
	struct err e = ERR_INIT;

	if (c->argc != 1)
		return potter_usage(c, "one argument: <path>");
	struct job *job = potter_read_job(c, c->argv[0]);
	if (job == NULL)
		return 1;
	job_canonicalize(job, &c->mem);
	if (job_validate(job, &c->mem, &e) < 0)
		return potter_fail("Job validation errors:\n%s", e.text);
	const char *warnings = job_warnings(job, &c->mem);
	if (warnings[0] != '\0')
		printf("Job Warnings:\n%s\n\n", warnings);
	puts("Job validation successful");
	return 0;
}

const struct potter_command potter_job_validate = {
	.name = "job validate",
	.alias = "validate",
	.args = "<path>",
	.what = "Checks if a given job specification is valid",
	.options = (const struct potter_option[]){ JOB_FILE_OPTIONS, { NULL, NULL, NULL } },
	.run = job_validate_file,
};

static const char example[] = "job \"example\" {\n"
			      "  datacenters = [\"minipot\"]\n"
			      "\n"
			      "  group \"web\" {\n"
			      "    network {\n"
			      "      port \"http\" {}\n"
			      "    }\n"
			      "\n"
			      "    service {\n"
			      "      name = \"example\"\n"
			      "      port = \"http\"\n"
			      "\n"
			      "      check {\n"
			      "        type     = \"tcp\"\n"
			      "        interval = \"5s\"\n"
			      "        timeout  = \"2s\"\n"
			      "      }\n"
			      "    }\n"
			      "\n"
			      "    task \"nginx\" {\n"
			      "      driver = \"pot\"\n"
			      "\n"
			      "      config {\n"
			      "        image = \"http://127.0.0.1:4646/registry\"\n"
			      "        pot   = \"nginx-demo\"\n"
			      "        tag   = \"1.0\"\n"
			      "\n"
			      "        port_map {\n"
			      "          http = \"80\"\n"
			      "        }\n"
			      "      }\n"
			      "\n"
			      "      resources {\n"
			      "        cpu    = 100\n"
			      "        memory = 64\n"
			      "      }\n"
			      "    }\n"
			      "  }\n"
			      "}\n";

static int
job_init(struct potter_call *c)
{
	const char *name = c->argc > 0 ? c->argv[0] : "example.nomad";
	struct err e = ERR_INIT;

	autofd int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 && errno == EEXIST)
		return potter_fail("Job '%s' already exists", name);
	if (fd < 0)
		return potter_fail("Failed to write '%s': %s", name, strerror(errno));
	if (fd_write_all(fd, example, sizeof(example) - 1, &e) < 0)
		return potter_fail("Failed to write '%s': %s", name, e.text);
	printf("Example job file written to %s\n", name);
	return 0;
}

const struct potter_command potter_job_init = {
	.name = "job init",
	.alias = "init",
	.args = "[filename]",
	.what = "Create an example job file",
	.options = (const struct potter_option[]){ { NULL, NULL, NULL } },
	.run = job_init,
};
