/*
 * jobfile.c: job files become jobs.
 */
#include "job/job.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct job *
parsed_with(struct arena *a, const char *text, const struct job_vars *vars)
{
	const char *report = "";
	struct err e = ERR_INIT;
	struct job *j = NULL;

	if (job_parse_hcl(text, strlen(text), "t.nomad", vars, a, &j, &report, &e) < 0)
		fail_msg("%s\n%s", e.text, report);
	return j;
}

static struct job *
parsed(struct arena *a, const char *text)
{
	return parsed_with(a, text, NULL);
}

static const char *
complaint(struct arena *a, const char *text, const struct job_vars *vars)
{
	const char *report = NULL;
	struct err e = ERR_INIT;
	struct job *j = NULL;

	assert_int_equal(
	    job_parse_hcl(text, strlen(text), "t.nomad", vars, a, &j, &report, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_null(j);
	return arena_strdup(a, e.text);
}

static const char *
as_json(struct arena *a, const struct any *v)
{
	autobuf struct buf out = BUF_INIT;
	struct jsonw w = JSONW_INIT(&out);

	any_to_json(v, &w);
	return arena_strdup(a, buf_str(&out));
}

static const char nginx[] = "job \"nginx-minipot\" {\n"
			    "  datacenters = [\"minipot\"]\n"
			    "  type = \"service\"\n"
			    "  group \"group1\" {\n"
			    "    count = 1\n"
			    "    task \"www1\" {\n"
			    "      driver = \"pot\"\n"
			    "      service {\n"
			    "        tags = [\"nginx\", \"www\"]\n"
			    "        name = \"hello-web\"\n"
			    "        port = \"http\"\n"
			    "        check {\n"
			    "          type     = \"tcp\"\n"
			    "          name     = \"tcp\"\n"
			    "          interval = \"5s\"\n"
			    "          timeout  = \"2s\"\n"
			    "        }\n"
			    "        check_restart {\n"
			    "          limit = 3\n"
			    "          grace = \"120s\"\n"
			    "        }\n"
			    "      }\n"
			    "      config {\n"
			    "        image = \"http://127.0.0.1:4646/registry\"\n"
			    "        pot = \"nginx-demo\"\n"
			    "        tag = \"1.0\"\n"
			    "        port_map {\n"
			    "          http = \"80\"\n"
			    "        }\n"
			    "      }\n"
			    "      resources {\n"
			    "        cpu = 200\n"
			    "        memory = 64\n"
			    "        network {\n"
			    "          mbits = 10\n"
			    "          port \"http\" {}\n"
			    "          port \"admin\" {\n"
			    "            static = 8081\n"
			    "            to = -1\n"
			    "          }\n"
			    "        }\n"
			    "      }\n"
			    "    }\n"
			    "  }\n"
			    "}\n";

static void
a_job_of_minipots_shape_is_read(void **state)
{
	autoarena struct arena a = ARENA_INIT;
	struct job *j = parsed(&a, nginx);
	struct task_group *g = job_group(j, "group1");
	struct task *t = group_task(g, "www1");
	struct service *s = t->services.at[0];
	struct service_check *c = s->checks.at[0];
	struct network *n = t->resources->networks.at[0];
	struct err e = ERR_INIT;

	(void)state;
	assert_string_equal(j->id, "nginx-minipot");
	assert_true(strs_has(&j->datacenters, "minipot"));
	assert_string_equal(s->name, "hello-web");
	assert_int_equal(c->interval, 5 * NS_PER_SEC);
	assert_int_equal(n->dynamic_ports.n, 1);
	assert_int_equal(n->reserved_ports.n, 1);
	assert_int_equal(network_port(n, "admin")->value, 8081);
	assert_int_equal(network_port(n, "admin")->to, -1);
	assert_string_equal(as_json(&a, t->config),
	    "{\"image\":\"http://127.0.0.1:4646/"
	    "registry\",\"pot\":\"nginx-demo\",\"tag\":\"1.0\",\"port_map\":[{\"http\":\"80\"}]}");
	job_canonicalize(j, &a);
	assert_int_equal(c->check_restart->limit, 3);
	assert_int_equal(c->check_restart->grace, 120 * NS_PER_SEC);
	assert_int_equal(g->restart_policy->attempts, 2);
	assert_int_equal(t->restart_policy->interval, 1800 * NS_PER_SEC);
	assert_int_equal(g->ephemeral_disk->size_mb, 300);
	assert_int_equal(g->update->max_parallel, 1);
	assert_true(g->reschedule_policy->unlimited);
	assert_int_equal(t->kill_timeout, 5 * NS_PER_SEC);
	assert_int_equal(job_validate(j, &a, &e), 0);
	assert_string_equal(job_warnings(j, &a),
	    "1 warning(s):\n\n* Group \"group1\" has warnings: 1 error occurred:\n\t* 1 error "
	    "occurred:\n\t* Task \"www1\": "
	    "task network resources have been deprecated as of Nomad 0.12.0. Please configure "
	    "networking via group network "
	    "block.\n\n\n\n");
}

static void
canonicalizing_twice_changes_nothing(void **state)
{
	autoarena struct arena a = ARENA_INIT;
	struct job *j = parsed(&a, nginx), *copy;

	(void)state;
	job_canonicalize(j, &a);
	copy = model_copy(&job_model, j, &a);
	job_canonicalize(j, &a);
	assert_true(model_equal(&job_model, j, copy));
}

static void
json_and_back_is_the_same_job(void **state)
{
	autoarena struct arena a = ARENA_INIT;
	struct job *j = parsed(&a, nginx), *again = NULL;
	autobuf struct buf out = BUF_INIT;
	struct jsonw w = JSONW_INIT(&out);
	struct err e = ERR_INIT;

	(void)state;
	jsonw_object(&w);
	jsonw_key(&w, "Job");
	model_to_json(&job_model, j, &w);
	jsonw_end_object(&w);
	assert_int_equal(job_parse_json(out.data, out.len, &a, &again, &e), 0);
	assert_true(model_equal(&job_model, j, again));
	job_canonicalize(j, &a);
	job_canonicalize(again, &a);
	assert_true(model_equal(&job_model, j, again));
}

static void
variables_locals_and_dynamic_blocks(void **state)
{
	static const char text[] =
	    "variable \"dc\" {\n  type = string\n  default = \"dc1\"\n}\n"
	    "variable \"ports\" {\n  type = map(number)\n  default = { http = 80 }\n}\n"
	    "variable \"n\" {\n  type = number\n  validation {\n    condition = var.n > 0\n"
	    "    error_message = \"n must be positive.\"\n  }\n}\n"
	    "variables {\n  who = \"me\"\n}\n"
	    "locals {\n  b = \"${local.a}!\"\n  a = upper(var.who)\n}\n"
	    "job \"x\" {\n  datacenters = [var.dc]\n  meta = { who = local.b }\n"
	    "  group \"g\" {\n    count = var.n\n    network {\n"
	    "      dynamic \"port\" {\n        for_each = var.ports\n        iterator = p\n"
	    "        labels = [p.key]\n        content {\n          static = p.value\n        }\n  "
	    "    }\n    }\n"
	    "    task \"t\" {\n      driver = \"raw_exec\"\n      env {\n        DC = var.dc\n"
	    "        N = var.n\n      }\n    }\n  }\n}\n";
	static const char *const env[] = { "PATH=/bin", "NOMAD_VAR_dc=env", "NOMAD_VAR_n=1",
		"NOMAD_VAR_other=1", NULL };
	autoarena struct arena a = ARENA_INIT;
	struct job_var_file file = {
		.name = "v.hcl", .text = "ports = { web = 8080, api = 9090 }\nn = 2\n", .len = 42
	};
	struct job_vars vars = { .env = env };
	struct task_group *g;
	struct job *j;

	(void)state;
	file.len = strlen(file.text);
	objs_add(&vars.files, &a, &file);
	strs_add(&vars.assignments, &a, "n=3");
	j = parsed_with(&a, text, &vars);
	g = job_group(j, "g");
	assert_string_equal(j->datacenters.at[0], "env");
	assert_string_equal(strmap_get(&j->meta, "who"), "ME!");
	assert_int_equal(g->count, 3);
	assert_int_equal(network_port(g->networks.at[0], "web")->value, 8080);
	assert_int_equal(((struct network *)g->networks.at[0])->reserved_ports.n, 2);
	assert_string_equal(strmap_get(&group_task(g, "t")->env, "N"), "3");

	strs_add(&vars.assignments, &a, "n=0");
	assert_string_equal(complaint(&a, text, &vars),
	    "t.nomad:9,10-13: Invalid value for variable; n must be positive.");
	vars.assignments.n = 0;
	strs_add(&vars.assignments, &a, "m=1");
	assert_non_null(
	    strstr(complaint(&a, text, &vars), "Undefined -var variable; A \"m\" variable"));
}

static void
what_is_wrong_is_told_with_its_place(void **state)
{
	static const struct {
		const char *text, *error;
	} rows[] = {
		{ "job \"x\" {\n  datacentres = [\"a\"]\n}\n",
		    "t.nomad:2,3-14: Unsupported argument; An argument named \"datacentres\" is "
		    "not expected here. Did you mean \"datacenters\"?" },
		{ "job \"x\" {\n  groop \"g\" {}\n}\n",
		    "t.nomad:2,3-8: Unsupported block type; Blocks of type \"groop\" are not "
		    "expected here. Did you mean \"group\"?" },
		{ "job \"x\" {\n  group {\n  }\n}\n", "t.nomad:2,3-8: Missing name for group; All "
						      "group blocks must have 1 labels (name)." },
		{ "job \"x\" {\n  group \"g\" {\n    count = \"many\"\n  }\n}\n",
		    "t.nomad:3,13-19: Incorrect attribute value type; Inappropriate value for "
		    "attribute \"count\": a number is required." },
		{ "job \"x\" {\n  priority = 50\n  priority = 60\n}\n",
		    "t.nomad:3,3-11: Attribute redefined; The argument \"priority\" was already "
		    "set at t.nomad:2,3-11. Each argument may be set only once." },
		{ "job \"x\" {\n  update {}\n  update {}\n}\n",
		    "t.nomad:3,3-9: Duplicate update block; Only one update block is allowed." },
		{ "job \"x\" {\n  group \"g\" {\n    restart {\n      delay = \"soon\"\n    }\n  "
		  "}\n}\n",
		    "t.nomad:4,15-21: Unsuitable value type; Unsuitable duration value \"soon\": a "
		    "number with a unit is required, as \"30s\", \"5m\" or \"1h30m\"." },
		{ "job \"x\" {\n  priority = var.p\n}\n",
		    "t.nomad:2,14-19: Unknown variable; There is no variable named \"p\"." },
		{ "job \"x\" {\n", "t.nomad:1,10-2,1: Unclosed configuration block; There is no "
				   "closing brace for this block before the end of the file." },
		{ "job \"x\" { type = \"batch\" priority = 3 }\n",
		    "t.nomad:1,26-27: Missing newline after argument; An argument definition must "
		    "end with a newline." },
		{ "jobb \"x\" {}\n", "t.nomad:1,1-5: Unsupported block type; Blocks of type "
				     "\"jobb\" are not expected here." },
		{ "", "t.nomad:1,1-2: Missing job block; A job block is required." },
		{ "job \"x\" {\n  nonsense1 = 1\n  nonsense2 = 2\n}\n",
		    "t.nomad:2,3-12: Unsupported argument; An argument named \"nonsense1\" is not "
		    "expected here., and 1 other diagnostic(s)" },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(rows); i++) {
		autoarena struct arena a = ARENA_INIT;
		const char *got = complaint(&a, rows[i].text, NULL);

		if (strcmp(got, rows[i].error) != 0)
			fail_msg(
			    "%s\n  gives   %s\n  not     %s", rows[i].text, got, rows[i].error);
	}
}

static void
the_report_shows_the_line_and_a_caret(void **state)
{
	static const char text[] = "job \"x\" {\n\tdatacentres = [\"a\"]\n}\n";
	autoarena struct arena a = ARENA_INIT;
	const char *report = NULL;
	struct err e = ERR_INIT;
	struct job *j = NULL;

	(void)state;
	assert_int_equal(
	    job_parse_hcl(text, strlen(text), "t.nomad", NULL, &a, &j, &report, &e), -1);
	assert_string_equal(report,
	    "t.nomad:2,2-13: Unsupported argument; An argument named \"datacentres\" is not "
	    "expected here. Did you mean "
	    "\"datacenters\"?\n\n   2 | \tdatacentres = [\"a\"]\n     | \t^^^^^^^^^^^\n");
}

static void
short_forms_and_tasks_without_a_group(void **state)
{
	static const char text[] =
	    "job \"x\" {\n"
	    "  constraint {\n    distinct_hosts = true\n  }\n"
	    "  constraint {\n    attribute = attr.kernel.name\n    value = \"linux\"\n  }\n"
	    "  constraint {\n    attribute = \"${attr.nomad.version}\"\n    version = \">= 1.0\"\n "
	    " }\n"
	    "  task \"solo\" {\n    driver = \"raw_exec\"\n    meta {\n      \"a.b\" = 1\n      "
	    "c.d = true\n    }\n"
	    "    config {\n      command = \"/bin/true\"\n      mount {\n        type = \"bind\"\n "
	    "     }\n"
	    "      mount {\n        type = \"tmpfs\"\n      }\n      labels \"x\" \"y\" {\n        "
	    "z = { n = null }\n        gone = null\n      }\n    }\n  }\n}\n";
	autoarena struct arena a = ARENA_INIT;
	struct job *j = parsed(&a, text);
	struct task *t = group_task(job_group(j, "solo"), "solo");
	struct constraint **c = (struct constraint **)j->constraints.at;

	(void)state;
	assert_string_equal(c[0]->operand, "distinct_hosts");
	assert_string_equal(c[1]->l_target, "${attr.kernel.name}");
	assert_string_equal(c[1]->operand, "=");
	assert_string_equal(c[2]->operand, "version");
	assert_string_equal(c[2]->r_target, ">= 1.0");
	assert_string_equal(strmap_get(&t->meta, "a.b"), "1");
	assert_string_equal(strmap_get(&t->meta, "c.d"), "true");
	assert_string_equal(as_json(&a, t->config),
	    "{\"command\":\"/bin/"
	    "true\",\"mount\":[{\"type\":\"bind\"},{\"type\":\"tmpfs\"}],"
	    "\"labels\":[{\"x\":[{\"y\":[{\"z\":[{\"n\":null}]}]}]}]}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_job_of_minipots_shape_is_read),
		cmocka_unit_test(canonicalizing_twice_changes_nothing),
		cmocka_unit_test(json_and_back_is_the_same_job),
		cmocka_unit_test(variables_locals_and_dynamic_blocks),
		cmocka_unit_test(what_is_wrong_is_told_with_its_place),
		cmocka_unit_test(the_report_shows_the_line_and_a_caret),
		cmocka_unit_test(short_forms_and_tasks_without_a_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
