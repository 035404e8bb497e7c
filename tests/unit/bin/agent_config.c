#include "agent_config.h"

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct arena mem;
static struct agent_config *c;
static struct strs warnings;
static struct err e;
static bool help;

static int
load(const char *const *flags)
{
	int n = 0;

	while (flags[n] != NULL)
		n++;
	c = NULL;
	warnings = (struct strs){ .n = 0 };
	return agent_config_load(n, (char **)flags, &mem, &c, &warnings, &help, &e);
}
#define LOAD(...) load((const char *const[]){ __VA_ARGS__, NULL })

static int
parse(const char *text)
{
	return agent_config_parse("agent.hcl", text, strlen(text), &mem, &c, &e);
}

static char dir[64];

static const char *
file(const char *name, const char *text)
{
	const char *path = arena_printf(&mem, "%s/%s", dir, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	(void)fputs(text, f);
	(void)fclose(f);
	return path;
}

static void
a_file_with_the_usual_keys_is_read(void **state)
{
	(void)state;
	const char *path =
	    file("one.hcl", "datacenter = \"minipot\"\ndata_dir = \"/var/lib/potter\"\nbind_addr = "
			    "\"10.0.0.1\"\nlog_level = \"WARN\"\n"
			    "ports { http = 5646 }\nserver {\n enabled = true\n bootstrap_expect = "
			    "1\n}\nclient {\n enabled = true\n node_class = \"big\"\n"
			    " meta { rack = \"r1\" }\n reserved {\n cpu = 100\n reserved_ports = "
			    "\"22\"\n }\n max_kill_timeout = \"1m\"\n}\n"
			    "plugin \"raw_exec\" {\n config {\n  enabled = true\n }\n}\ntelemetry "
			    "{ prometheus_metrics = true }\nconsul { address = \"x\" }\n"
			    "ingress { port = 8081 }\n");
	if (LOAD("-config", path) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(c->datacenter, "minipot");
	assert_string_equal(c->region, "global");
	assert_int_equal(c->ports->http, 5646);
	assert_true(c->server->enabled && c->client->enabled);
	assert_string_equal(c->client->node_class, "big");
	assert_string_equal(strmap_get(&c->client->meta, "rack"), "r1");
	assert_int_equal(c->client->reserved->cpu, 100);
	assert_int_equal(c->client->max_kill_timeout, 60000000000);
	assert_int_equal(c->plugins.n, 1);
	assert_true(agent_raw_exec(c, "enabled"));
	assert_false(agent_raw_exec(c, "root"));
	assert_int_equal(c->ingress->port, 8081);
	assert_int_equal(c->ingress->dashboard_port, 9002);
	assert_int_equal(c->catalog->dns_port, 8600);
	assert_true(c->catalog->enabled);
	assert_int_equal(warnings.n, 1);
	assert_non_null(strstr(warnings.at[0], "consul has no effect"));
}

static void
later_files_and_flags_win_and_blocks_are_merged(void **state)
{
	(void)state;
	const char *one = file("a.hcl", "datacenter = \"a\"\nregion = \"r\"\ndata_dir = "
					"\"/a\"\nclient {\n enabled = true\n node_class = \"x\"\n"
					"meta { one = \"1\" }\n}\nserver { enabled = true }\n");
	const char *two = file("b.json", "{\"datacenter\":\"b\",\"client\":{\"meta\":{\"two\":"
					 "\"2\"}},\"server\":{\"enabled\":false}}");
	if (LOAD("-config", one, "-config=", "-dc=flag") == 0)
		fail_msg("an empty path was taken");
	if (LOAD("-config", one, "-config", two, "-node-class=y", "--meta", "three=3", "-log-level",
		"error") < 0)
		fail_msg("%s", e.text);
	assert_string_equal(c->datacenter, "b");
	assert_string_equal(c->region, "r");
	assert_string_equal(c->client->node_class, "y");
	assert_int_equal(c->client->meta.n, 3);
	assert_false(c->server->enabled);
	assert_string_equal(c->log_level, "error");
}

static void
a_directory_gives_its_files_by_name(void **state)
{
	(void)state;
	const char *sub = arena_printf(&mem, "%s/d", dir);
	assert_int_equal(mkdir(sub, 0755), 0);
	(void)file("d/2.hcl", "datacenter = \"two\"\n");
	(void)file("d/1.hcl", "datacenter = \"one\"\nname = \"n\"\n");
	(void)file("d/readme.txt", "not read");
	if (LOAD("-dev", "-config", sub) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(c->datacenter, "two");
	assert_string_equal(c->name, "n");
}

static void
unknown_keys_are_refused_with_their_place(void **state)
{
	(void)state;
	assert_int_equal(parse("datacenter = \"x\"\ndatacentre = \"y\"\n"), -1);
	assert_non_null(strstr(e.text, "agent.hcl:2,1"));
	assert_non_null(strstr(e.text, "datacentre"));
	assert_int_equal(parse("client {\n  enabled = true\n  colour = 1\n}\n"), -1);
	assert_non_null(strstr(e.text, "agent.hcl:3,3"));
	assert_int_equal(parse("ports { http = \"many\" }\n"), -1);
	assert_int_equal(parse("server {\n"), -1);
	const char *text = "{\"client\":{\"colour\":1}}";
	assert_int_equal(agent_config_parse("x.json", text, strlen(text), &mem, &c, &e), -1);
	assert_non_null(strstr(e.text, "client.colour"));
}

static void
what_cannot_be_honoured_is_refused_by_name(void **state)
{
	static const char *const bad[] = { "tls {\n http = true\n}\n", "acl { enabled = true }\n",
		"vault { enabled = true }\n", "server { encrypt = \"x\" }\n", "log_json = true\n",
		"enable_syslog = true\n", "client {\n host_volume \"x\" {\n path = \"/x\"\n }\n}\n",
		"server { retry_join = [\"10.0.0.2\"] }\n" };
	static const char *const fine[] = { "acl { enabled = false }\n", "tls {}\n",
		"log_json = false\n" };
	(void)state;

	for (size_t i = 0; i < NELEM(bad); i++) {
		if (parse(bad[i]) == 0)
			fail_msg("accepted: %s", bad[i]);
		if (e.kind != ERR_UNSUPPORTED)
			fail_msg("%s: %s", bad[i], e.text);
	}
	for (size_t i = 0; i < NELEM(fine); i++)
		if (parse(fine[i]) < 0)
			fail_msg("%s", e.text);
	assert_int_equal(LOAD("-dev", "-log-json"), -1);
	assert_string_equal(e.text, "option -log-json: log lines in JSON are not supported");
}

static void
flags_that_are_wrong_say_why(void **state)
{
	(void)state;
	assert_int_equal(LOAD("-nonsense"), -1);
	assert_non_null(strstr(e.text, "unknown option -nonsense"));
	assert_int_equal(LOAD("-dev", "-dc"), -1);
	assert_string_equal(e.text, "option -dc needs a value");
	assert_int_equal(LOAD("-dev=perhaps"), -1);
	assert_int_equal(LOAD("-dev", "word"), -1);
	assert_int_equal(LOAD("-dev", "-meta", "x"), -1);
	assert_int_equal(LOAD("-server"), -1);
	assert_non_null(strstr(e.text, "data_dir"));
	assert_int_equal(LOAD("-data-dir", "/x"), -1);
	assert_non_null(strstr(e.text, "server, client or dev"));
	assert_int_equal(LOAD("-server", "-data-dir", "relative"), -1);
	assert_int_equal(LOAD("-server", "-data-dir", "/x", "-bootstrap-expect=3"), -1);
	assert_int_equal(LOAD("-server", "-data-dir", "/x", "-log-level", "loud"), -1);
	assert_int_equal(LOAD("-dev", "-config", "/nonexistent"), -1);
	assert_int_equal(LOAD("-help"), 0);
	assert_true(help);
}

static void
dev_is_a_whole_cluster(void **state)
{
	(void)state;
	assert_int_equal(LOAD("-dev"), 0);
	assert_true(c->dev && c->server->enabled && c->client->enabled);
	assert_string_equal(c->log_level, "DEBUG");
	assert_string_equal(c->bind_addr, "127.0.0.1");
	assert_true(c->name != NULL && *c->name != '\0');
}

static int
setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/potter-unit-XXXXXX");
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	static const char *const made[] = { "one.hcl", "a.hcl", "b.json", "d/1.hcl", "d/2.hcl",
		"d/readme.txt" };
	(void)state;

	for (size_t i = 0; i < NELEM(made); i++)
		unlink(arena_printf(&mem, "%s/%s", dir, made[i]));
	rmdir(arena_printf(&mem, "%s/d", dir));
	arena_fini(&mem);
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_with_the_usual_keys_is_read),
		cmocka_unit_test(later_files_and_flags_win_and_blocks_are_merged),
		cmocka_unit_test(a_directory_gives_its_files_by_name),
		cmocka_unit_test(unknown_keys_are_refused_with_their_place),
		cmocka_unit_test(what_cannot_be_honoured_is_refused_by_name),
		cmocka_unit_test(flags_that_are_wrong_say_why),
		cmocka_unit_test(dev_is_a_whole_cluster),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
