/*
 * canonical.c, validate*.c, interpolate.c: what a job means, and whether it can be run.
 */
#include "job/job.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct job *
job_of(struct arena *a, const char *text)
{
	const char *report = "";
	struct err e = ERR_INIT;
	struct job *j = NULL;

	if (job_parse_hcl(text, strlen(text), "t", NULL, a, &j, &report, &e) < 0)
		fail_msg("%s\n%s", text, report);
	job_canonicalize(j, a);
	return j;
}

/* A good job with more lines in the job, group and task. */
static struct job *
with(struct arena *a, const char *in_job, const char *in_group, const char *in_task)
{
	return job_of(a, arena_printf(a,
			     "job \"x\" {\n%s\ndatacenters = [\"dc1\"]\ngroup \"g\" {\n%s\ntask "
			     "\"t\" {\ndriver = \"pot\"\n%s\n}\n}\n}\n",
			     in_job, in_group, in_task));
}

static void
defaults_depend_on_the_type(void **state)
{
	autoarena struct arena a = ARENA_INIT;
	struct job *service = with(&a, "", "", ""), *batch = with(&a, "type = \"batch\"", "", "");
	struct task_group *s = job_group(service, "g"), *b = job_group(batch, "g");

	(void)state;
	assert_int_equal(s->count, 1);
	assert_int_equal(s->restart_policy->attempts, 2);
	assert_int_equal(b->restart_policy->attempts, 3);
	assert_int_equal(b->restart_policy->interval, 24 * 3600 * NS_PER_SEC);
	assert_true(s->reschedule_policy->unlimited);
	assert_false(b->reschedule_policy->unlimited);
	assert_int_equal(b->reschedule_policy->attempts, 1);
	assert_string_equal(s->reschedule_policy->delay_function, "exponential");
	assert_non_null(s->update);
	assert_null(b->update);
	assert_non_null(s->migrate);
	assert_null(b->migrate);
	assert_int_equal(group_task(s, "t")->resources->cpu, 100);
	assert_int_equal(group_task(s, "t")->resources->memory_mb, 300);
	assert_int_equal(service->priority, 50);
	assert_string_equal(service->region, "global");
	assert_string_equal(service->namespace, "default");
}

static void
what_is_said_outside_holds_inside_unless_said_again(void **state)
{
	autoarena struct arena a = ARENA_INIT;
	struct job *j = with(&a, "update {\nmax_parallel = 3\ncanary = 1\n}",
	    "update {\ncanary = 0\n}\nrestart {\nattempts = 0\n}",
	    "restart {\ndelay = \"1s\"\n}\nresources {\ncores = 2\n}");
	struct task_group *g = job_group(j, "g");
	struct task *t = group_task(g, "t");

	(void)state;
	assert_int_equal(g->update->max_parallel, 3);
	assert_int_equal(g->update->canary, 0);
	assert_int_equal(g->restart_policy->attempts, 0);
	assert_int_equal(t->restart_policy->attempts, 0);
	assert_int_equal(t->restart_policy->delay, NS_PER_SEC);
	assert_int_equal(g->restart_policy->delay, 15 * NS_PER_SEC);
	assert_int_equal(t->resources->cpu, 0);
	assert_int_equal(t->resources->cores, 2);
}

static void
services_are_named_and_their_checks_inherit(void **state)
{
	static const char service[] =
	    "network {\nport \"p\" {}\n}\nservice {\nport = \"p\"\non_update = \"ignore\"\n"
	    "check {\ntype = \"tcp\"\ninterval = \"1s\"\ntimeout = \"1s\"\n}\n}\n"
	    "service {\nname = \"${JOB}-${TASKGROUP}-x\"\n}";
	autoarena struct arena a = ARENA_INIT;
	struct task_group *g = job_group(with(&a, "", service, "service {}"), "g");
	struct service *s = g->services.at[0];

	(void)state;
	assert_string_equal(s->name, "x-g");
	assert_string_equal(s->address_mode, "auto");
	assert_string_equal(
	    ((struct service_check *)s->checks.at[0])->name, "service: \"x-g\" check");
	assert_string_equal(((struct service_check *)s->checks.at[0])->on_update, "ignore");
	assert_string_equal(((struct service *)g->services.at[1])->name, "x-g-x");
	assert_string_equal(((struct service *)group_task(g, "t")->services.at[0])->name, "x-g-t");
}

static void
each_fault_is_named(void **state)
{
	static const struct {
		const char *in_job, *in_group, *in_task, *fault;
	} rows[] = {
		{ "type = \"cron\"", "", "", "Invalid job type: \"cron\"" },
		{ "type = \"system\"", "", "", "Job type \"system\" is not supported yet" },
		{ "id = \"a b\"", "", "", "Job ID contains a space" },
		{ "priority = 0", "", "", "Job priority must be between [1, 100]" },
		{ "constraint {\nattribute = \"a\"\noperator = \"~\"\nvalue = \"b\"\n}", "", "",
		    "Unknown constraint type \"~\"" },
		{ "constraint {\nattribute = \"a\"\nregexp = \"(\"\n}", "", "",
		    "Regular expression failed to compile" },
		{ "constraint {\nattribute = \"a\"\nversion = \"new\"\n}", "", "",
		    "Version constraint is invalid" },
		{ "periodic {\ncron = \"@daily\"\n}", "", "", "\"periodic\" is not supported yet" },
		{ "", "count = -1", "", "Task group count can't be negative" },
		{ "", "restart {\ninterval = \"1s\"\n}", "",
		    "Interval can not be less than 5s (got 1s)" },
		{ "", "restart {\nmode = \"never\"\n}", "", "Unsupported restart mode: \"never\"" },
		{ "", "restart {\nattempts = 100\ninterval = \"1m\"\ndelay = \"15s\"\n}", "",
		    "can't restart the TaskGroup 100 times in an interval of 1m0s with a delay of "
		    "15s" },
		{ "",
		    "reschedule {\nattempts = 9\ninterval = \"1m\"\ndelay = \"30s\"\nunlimited = "
		    "false\n}",
		    "", "can only make 1 attempts in 1m0s" },
		{ "", "update {\nmin_healthy_time = \"10m\"\n}", "",
		    "Minimum healthy time must be less than healthy deadline" },
		{ "", "update {\nauto_promote = true\n}", "",
		    "Auto Promote requires a Canary count greater than zero" },
		{ "type = \"batch\"\nupdate {}", "", "",
		    "Job type \"batch\" does not allow update block" },
		{ "", "ephemeral_disk {\nsize = 5\n}", "", "minimum DiskMB value is 10; got 5" },
		{ "", "network {\nport \"a\" {\nstatic = 70000\n}\n}", "",
		    "Port a (70000) cannot be greater than 65535" },
		{ "", "network {\nport \"a\" {\nstatic = 80\n}\nport \"b\" {\nstatic = 80\n}\n}",
		    "", "Static port 80 already reserved by taskgroup network:a" },
		{ "", "network {\nport \"a\" {\nto = -2\n}\n}", "",
		    "cannot be mapped to negative value -2" },
		{ "", "network {\nmode = \"cni/x\"\n}", "",
		    "network mode \"cni/x\" is not supported yet" },
		{ "", "network {\nport \"a\" {\nhost_network = \"lan\"\n}\n}", "",
		    "\"host_network\" in port is not supported yet" },
		{ "", "", "lifecycle {\nhook = \"prestart\"\n}",
		    "\"lifecycle\" is not supported yet" },
		{ "", "", "service {\nport = \"nope\"\ncheck {\ntype = \"script\"\n}\n}",
		    "type \"script\" is not supported yet" },
		{ "", "volume \"v\" {\ntype = \"host\"\n}", "", "\"volume\" is not supported yet" },
		{ "", "", "driver = \"\"", "Missing task driver" },
		{ "", "", "resources {\nmemory = 5\n}", "minimum MemoryMB value is 10; got 5" },
		{ "", "", "resources {\ncpu = 100\ncores = 1\n}",
		    "Task can only ask for 'cpu' or 'cores' resource, not both." },
		{ "", "", "logs {\nmax_files = 100\n}",
		    "log storage (1000 MB) must be less than requested disk capacity (300 MB)" },
		{ "", "", "kill_timeout = \"-1s\"", "KillTimeout must be a positive value" },
		{ "", "", "service {\nport = \"nope\"\n}",
		    "port label \"nope\" referenced by services x-g-t does not exist" },
		{ "", "", "service {\nname = \"a_b\"\n}",
		    "Service name must be valid per RFC 1123" },
		{ "", "", "service {\nname = \"s\"\ncheck {\ntype = \"tcp\"\n}\n}",
		    "check requires a port" },
		{ "", "", "service {\nport = \"nope\"\ncheck {\ntype = \"icmp\"\n}\n}",
		    "invalid type (\"icmp\")" },
		{ "", "",
		    "service {\nport = \"nope\"\ncheck {\ntype = \"tcp\"\ninterval = "
		    "\"100ms\"\ntimeout = \"1s\"\n}\n}",
		    "interval (100ms) cannot be lower than 1s" },
		{ "", "",
		    "service {\nport = \"nope\"\ncheck {\ntype = \"http\"\ninterval = "
		    "\"1s\"\ntimeout = \"1s\"\n}\n}",
		    "http type must have a valid http path" },
		{ "", "", "template {\ndata = \"x\"\ndestination = \"y\"\n}",
		    "\"template\" is not supported yet" },
		{ "", "", "vault {\npolicies = [\"a\"]\n}", "\"vault\" is not supported yet" },
		{ "", "", "constraint {\ndistinct_hosts = true\n}",
		    "disallowed Operand at task level: distinct_hosts" },
		{ "", "task \"t\" {\ndriver = \"pot\"\n}", "", "Task 2 redefines 't'" },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(rows); i++) {
		autoarena struct arena a = ARENA_INIT;
		const char *in_task =
		    strcmp(rows[i].in_task, "driver = \"\"") == 0 ? "" : rows[i].in_task;
		struct job *j = with(&a, rows[i].in_job, rows[i].in_group, in_task);
		struct err e = ERR_INIT;

		if (in_task != rows[i].in_task)
			group_task(job_group(j, "g"), "t")->driver = "";
		if (job_validate(j, &a, &e) == 0 || strstr(e.text, rows[i].fault) == NULL)
			fail_msg("%s\n%s\n%s\n  gives   %s\n  not     %s", rows[i].in_job,
			    rows[i].in_group, rows[i].in_task, e.text, rows[i].fault);
	}
}

static void
all_faults_are_told_at_once_in_nomads_words(void **state)
{
	autoarena struct arena a = ARENA_INIT;
	struct job *j =
	    job_of(&a, "job \"x\" {\npriority = 200\ngroup \"g\" {\ntask \"t\" {}\n}\n}\n");
	struct strs lines = { 0 };
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(job_validate(j, &a, &e), -1);
	assert_string_equal(e.text,
	    "3 errors occurred:\n\t* Job priority must be between [1, 100]\n\t* Missing job "
	    "datacenters\n\t* Task group g validation "
	    "failed: 1 error occurred:\n\t* Task t validation failed: 1 error occurred:\n\t* "
	    "Missing task driver\n\n\n\n\n\n");
	job_problems(j, &a, &lines);
	assert_int_equal(lines.n, 3);
}

static void
good_jobs_have_neither_faults_nor_warnings(void **state)
{
	static const char *const in_group[] = {
		"",
		"network {\nmode = \"host\"\nport \"a\" {\nto = 80\n}\nport \"b\" {\nstatic = "
		"80\n}\n}",
		"constraint {\ndistinct_hosts = true\n}\nspread {\nattribute = "
		"node.datacenter\ntarget \"dc1\" {\npercent = 100\n}\n}",
		"update {\nmax_parallel = 1\ncanary = 1\nauto_promote = true\nauto_revert = true\n}"
	};

	(void)state;
	for (size_t i = 0; i < NELEM(in_group); i++) {
		autoarena struct arena a = ARENA_INIT;
		struct job *j = with(&a, "", in_group[i], "");
		struct err e = ERR_INIT;

		if (job_validate(j, &a, &e) < 0)
			fail_msg("%s", e.text);
		assert_string_equal(job_warnings(j, &a), "");
	}
}

static void
what_has_no_effect_is_warned_about(void **state)
{
	autoarena struct arena a = ARENA_INIT;
	struct job *j = with(&a, "vault_token = \"s\"", "update {\nmax_parallel = 5\n}", "");

	(void)state;
	assert_string_equal(job_warnings(j, &a),
	    "2 warning(s):\n\n* Group \"g\" has warnings: 1 error occurred:\n\t* Update max "
	    "parallel count is greater than task group "
	    "count (5 > 1). A destructive change would result in the simultaneous replacement of "
	    "all allocations.\n\n\n* "
	    "\"vault_token\" has no effect here (no Vault)");
}

static const char *
known(void *ctx, const char *name)
{
	(void)ctx;
	if (strcmp(name, "NOMAD_PORT_http") == 0)
		return "8080";
	return strcmp(name, "env.HOME") == 0 ? "/root" : NULL;
}

static void
references_are_replaced_when_known(void **state)
{
	autoarena struct arena a = ARENA_INIT;
	struct any *map = any_map(&a);

	(void)state;
	assert_string_equal(
	    job_interpolate(
		"p=${NOMAD_PORT_http} ${ NOMAD_PORT_http } ${env[\"HOME\"]}${env[HOME]}", known,
		NULL, &a),
	    "p=8080 8080 /root/root");
	assert_string_equal(
	    job_interpolate("${unknown} $x ${open", known, NULL, &a), "${unknown} $x ${open");
	assert_string_equal(job_interpolate(NULL, known, NULL, &a), "");
	any_put(&a, map, "k", any_str(&a, "${NOMAD_PORT_http}"));
	assert_string_equal(
	    any_text(any_get(job_interpolate_any(map, known, NULL, &a), "k")), "8080");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_depend_on_the_type),
		cmocka_unit_test(what_is_said_outside_holds_inside_unless_said_again),
		cmocka_unit_test(services_are_named_and_their_checks_inherit),
		cmocka_unit_test(each_fault_is_named),
		cmocka_unit_test(all_faults_are_told_at_once_in_nomads_words),
		cmocka_unit_test(good_jobs_have_neither_faults_nor_warnings),
		cmocka_unit_test(what_has_no_effect_is_warned_about),
		cmocka_unit_test(references_are_replaced_when_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
