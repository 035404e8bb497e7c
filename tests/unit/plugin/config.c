#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/json.h"
#include "codec/msgpack.h"
#include "plugin/plugin.h"

#include <string.h>

/* Written as JSON, read as Nomad sends it. */
static struct any *
from_json(const char *text, struct arena *a)
{
	json_t *j = json_loads(text, 0, NULL);

	assert_non_null(j);
	struct any *v = any_from_json(j, a);
	json_decref(j);
	return v;
}

static void
whole(void **state)
{
	autoarena struct arena mem = ARENA_INIT;
	struct task_config c;
	struct err e = ERR_INIT;
	const char *text =
	    "{\"image\":\"http://r\",\"pot\":\"web\",\"tag\":\"1.2\",\"command\":\"nginx\","
	    "\"args\":[\"-g\",\"'daemon "
	    "off;'\"],\"port_map\":[{\"http\":\"80\"},{\"dns\":\"udp:53\"}],"
	    "\"network_mode\":null,\"copy\":[\"/a:/b\"],\"mount\":[\"/c:/d:e\"],"
	    "\"mount_read_only\":[\"/f:/"
	    "g\"],\"extra_hosts\":[\"db:::1\"],\"attributes\":[\"k:v:w\"],"
	    "\"limits\":[{\"processes\":\"20\"}],\"dns\":[\"9.9.9.9\"]}";

	(void)state;
	assert_int_equal(task_config_read(&c, from_json(text, &mem), &mem, &e), 0);
	assert_string_equal(c.command, "nginx -g 'daemon off;'");
	assert_int_equal(c.ports.n, 2);
	assert_int_equal(c.ports.at[0].inside, 80);
	assert_true(c.ports.at[1].udp);
	assert_int_equal(c.mounts.n, 2);
	assert_string_equal(c.mounts.at[0].target, "/d:e");
	assert_true(c.mounts.at[1].read_only);
	assert_string_equal(c.hosts.at[0], "::1 db");
	assert_string_equal(c.attributes.at[0], "k=v:w");
	assert_string_equal(c.processes, "20");
	task_config_fini(&c);
}

static void
refusals(void **state)
{
	static const struct {
		const char *more, *says;
	} cases[] = {
		{ "\"tag\":null", "tag: it is required" },
		{ "\"args\":[\"x\"]", "args: there is no command" },
		{ "\"mount\":[\"/nocolon\"]", "mount: \"/nocolon\"" },
		{ "\"copy\":[\"rel:/x\"]", "copy: \"rel:/x\"" },
		{ "\"attributes\":[\"novalue\"]", "attributes: \"novalue\"" },
		{ "\"extra_hosts\":[\"x\"]", "extra_hosts: \"x\"" },
		{ "\"port_map\":[{\"http\":\"0\"}]", "port_map: \"http\"" },
		{ "\"port_map\":[{\"http\":\"eighty\"}]", "port_map: \"http\"" },
		{ "\"network_mode\":\"bridge\"", "network_mode: \"bridge\"" },
		{ "\"limits\":[{\"speed\":\"1\"}]", "limits: unknown key \"speed\"" },
		{ "\"mount\":\"x\"", "mount: a list of strings" },
		{ "\"init\":false", "init:" },
		{ "\"path\":\"/x\"", "path: it stands in place of" },
		{ "\"network_mode\":\"alias\"", "address: network_mode \"alias\" needs" },
		{ "\"network_mode\":\"private-bridge\"", "bridge: network_mode" },
		{ "\"bridge\":\"x\"", "bridge: it goes with" },
		{ "\"address\":[\"10.0.0.1\"]", "address: it goes with" },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		autoarena struct arena mem = ARENA_INIT;
		struct task_config c;
		struct err e = ERR_INIT;
		struct any *v =
		    from_json("{\"image\":\"http://r\",\"pot\":\"web\",\"tag\":\"1\"}", &mem);
		struct any *more = from_json(arena_printf(&mem, "{%s}", cases[i].more), &mem);
		any_put(&mem, v, more->map.key[0], more->map.value[0]);
		assert_int_equal(task_config_read(&c, v, &mem, &e), -1);
		assert_non_null(strstr(e.text, cases[i].says));
	}
}

static void
plugin_keys(void **state)
{
	struct plugin_config c;
	struct err e = ERR_INIT;
	autobuf struct buf b = BUF_INIT;

	(void)state;
	plugin_config_defaults(&c);
	assert_int_equal(plugin_config_read(&c, "", 0, &e), 0);
	assert_true(c.enabled);
	assert_int_equal(plugin_config_read(&c,
			     "\x81\xa7"
			     "enabled\xc2",
			     10, &e),
	    0);
	assert_false(c.enabled);
	msgpack_map(&b, 1);
	msgpack_str(&b, "fs_isolation");
	msgpack_str(&b, "chroot");
	assert_int_equal(plugin_config_read(&c, b.data, b.len, &e), -1);
	assert_non_null(strstr(e.text, "fs_isolation"));
	assert_false(c.enabled); /* as it was */
	buf_reset(&b);
	msgpack_map(&b, 2);
	msgpack_str(&b, "image_gc");
	msgpack_bool(&b, true);
	msgpack_str(&b, "image_gc_delay");
	msgpack_str(&b, "90s");
	assert_int_equal(plugin_config_read(&c, b.data, b.len, &e), 0);
	assert_int_equal(c.image_gc_ns, 90LL * 1000000000);
	arena_fini(&c.mem);
}

/* Each key of a task stands in the schema by its own name. */
static void
schema(void **state)
{
	const Np__Spec *s = schema_task();
	bool port_map = false;

	(void)state;
	assert_int_equal(s->kind_case, NP__SPEC__KIND_OBJECT);
	for (size_t i = 0; i < s->object->n_attributes; i++) {
		const Np__SpecEntry *entry = s->object->attributes[i];
		assert_int_equal(entry->value->kind_case, NP__SPEC__KIND_ATTR);
		assert_string_equal(entry->key, entry->value->attr->name);
		port_map = port_map || strcmp(entry->key, "port_map") == 0;
	}
	assert_true(port_map);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(whole), cmocka_unit_test(refusals),
		cmocka_unit_test(plugin_keys), cmocka_unit_test(schema) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
