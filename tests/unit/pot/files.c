/* The files of a pot: framework configuration, pot.conf, fscomp.conf, names, commands as words. */
#include "platform/isolate.h"
#include "pot/export.h"
#include "pot/priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct err e;

static int
config(struct pot_config *c, struct arena *mem, const char *text)
{
	pot_config_defaults(c, mem);
	return pot_config_parse(c, mem, "pot.conf", text, strlen(text), &e);
}

static void
configuration_is_plain_assignments(void **state)
{
	autoarena struct arena mem = ARENA_INIT;
	struct pot_config c;

	(void)state;
	assert_int_equal(
	    config(&c, &mem,
		"# a comment\n\nPOT_FS_ROOT=/srv/pot\nPOT_EXTRA_EXTIF=\"em1 em2\"  # two\n"
		"POT_GROUP='users'\nPOT_ISOLATE_VNET_POTS=YES\nPOT_HOSTNAME_MAX_LENGTH=32\n"),
	    0);
	assert_string_equal(c.fs_root, "/srv/pot");
	assert_string_equal(c.extra_extif, "em1 em2");
	assert_string_equal(c.group, "users");
	assert_true(c.isolate_vnet_pots);
	assert_int_equal(c.hostname_max, 32);
	assert_string_equal(c.gateway, "10.192.0.1");
	assert_string_equal(pot_config_get(&c, "POT_HOSTNAME_MAX_LENGTH", &mem), "32");
	assert_null(pot_config_get(&c, "POT_NONSENSE", &mem));
}

static void
configuration_may_name_its_own_keys(void **state)
{
	autoarena struct arena mem = ARENA_INIT;
	struct pot_config c;

	(void)state;
	assert_int_equal(config(&c, &mem,
			     "POT_FS_ROOT=/srv/pot\nPOT_CACHE=${POT_FS_ROOT}/cache\n"
			     "POT_RUN_DIR=\"$POT_CACHE/x${POT_GATEWAY}\"\nPOT_TMP='$POT_TMP'\n"),
	    0);
	assert_string_equal(c.cache, "/srv/pot/cache");
	assert_string_equal(c.run_dir, "/srv/pot/cache/x10.192.0.1");
	assert_string_equal(c.tmp, "$POT_TMP");
}

static void
configuration_that_needs_a_shell_is_refused_with_its_place(void **state)
{
	static const char *const lines[] = { "POT_FS_ROOT=$HOME/pot", "POT_EXTIF=`route get`",
		"POT_GROUP=\"$(id -gn)\"", "if true; then", "POT_GROUP=a b", "POT_GROUP='a",
		"POT_GROUP=a;rm", "export POT_GROUP=a", "POT_GROUP=${POT_FS_ROOT", "POT_GROUP=$",
		"POT_GROUP=\"${HOME}\"", "POT_GROUP=${POT_FS_ROOT%/*}" };
	autoarena struct arena mem = ARENA_INIT;
	struct pot_config c;

	(void)state;
	for (size_t i = 0; i < NELEM(lines); i++) {
		char *text = arena_printf(&mem, "POT_TMP=/tmp\n%s\n", lines[i]);
		assert_int_equal(config(&c, &mem, text), -1);
		assert_int_equal(e.kind, ERR_INPUT);
		assert_non_null(strstr(e.text, "pot.conf:2:"));
	}
}

static void
unknown_configuration_keys_are_gathered(void **state)
{
	autoarena struct arena mem = ARENA_INIT;
	struct pot_config c;

	(void)state;
	assert_int_equal(config(&c, &mem, "POT_NONSENSE=10.0.0.0/8\nPOT_MKTEMP_SUFFIX=.XXXX\n"), 0);
	assert_int_equal(c.unknown.n, 1);
	assert_string_equal(c.unknown.at[0], "pot.conf:1: POT_NONSENSE");
}

static void
names_follow_a_strict_grammar(void **state)
{
	static const char *const good[] = { "web", "1a", "web_1-x", "A", "pot-ending",
		"my-pot-ending-5" };
	static const char *const bad[] = { "", "-web", "_x", "a.b", "a b", "a/b", "..", "123",
		"w\xc3\xa9", "pot-ending-5", "pot-ending-web", "pot-ending-" };

	(void)state;
	for (size_t i = 0; i < NELEM(good); i++)
		assert_int_equal(pot_name_check(good[i], &e), 0);
	for (size_t i = 0; i < NELEM(bad); i++)
		assert_int_equal(pot_name_check(bad[i], &e), -1);
	assert_int_equal(pot_name_check("pot-ending-web", &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_non_null(strstr(e.text, "begins with 'pot-ending-'"));
	assert_int_equal(pot_word_check("base", "14.1", &e), 0);
	assert_int_equal(pot_word_check("base", "../x", &e), -1);
	assert_int_equal(pot_word_check("base", ".x", &e), -1);
}

static const char old_conf[] =
    "pot.level=0\npot.type=single\npot.base=14.1\npot.potbase=\npot.dns=inherit\n"
    "pot.cmd=nginx -g 'daemon off;'\nhost.hostname=\"web.example.org\"\n"
    "osrelease=\"14.1-RELEASE\"\npot.attr.persistent=NO\npot.attr.stop_timeout=30\n"
    "something.else=kept\npot.stack=dual\nnetwork_type=public-bridge\nvnet=true\n"
    "ip=10.192.0.3\nip6=fd00::3\npot.depend=db\npot.depend=cache\n"
    "pot.env=\"A=b \\\"c\\\"\"\npot.env=\"D=$x=`y`\"\npot.hosts=10.0.0.1 nas\n"
    "pot.export.ports=80 udp:53:5353\npot.rss.cpus=2\npot.rss.memory=64M\n";

static void
a_configuration_of_the_original_is_read_as_it_was_meant(void **state)
{
	autoarena struct arena mem = ARENA_INIT;
	struct pot_spec *s;

	(void)state;
	assert_int_equal(pot_spec_parse("web", old_conf, strlen(old_conf), &mem, &s, &e), 0);
	assert_int_equal(s->type, POT_SINGLE);
	assert_string_equal(s->base, "14.1");
	assert_string_equal(s->cmd, "nginx -g 'daemon off;'");
	assert_string_equal(s->hostname, "web.example.org");
	assert_int_equal(s->stack, POT_STACK_DUAL);
	assert_int_equal(s->net, POT_NET_PUBLIC);
	assert_string_equal(s->ip, "10.192.0.3");
	assert_string_equal(s->ip6, "fd00::3");
	assert_int_equal(s->depend.n, 2);
	assert_string_equal(s->env.at[0], "A=b \"c\"");
	assert_string_equal(s->env.at[1], "D=$x=`y`");
	assert_int_equal(s->n_ports, 2);
	assert_true(s->ports[1].udp);
	assert_int_equal(s->ports[1].pot_port, 53);
	assert_int_equal(s->ports[1].host_port, 5353);
	assert_int_equal(s->rss_cpus, 2);
	assert_int_equal(s->rss_memory_bytes, 64 << 20);
	assert_false(pot_spec_yes(s, "persistent"));
	assert_string_equal(pot_spec_attr(s, "stop_timeout"), "30");
	assert_string_equal(pot_spec_attr(s, "sysvshm"), "new");
}

static void
a_missing_type_means_multi_and_old_keys_are_noticed(void **state)
{
	static const char text[] = "ip4=inherit\n";
	autoarena struct arena mem = ARENA_INIT;
	struct pot_spec *s;

	(void)state;
	assert_int_equal(pot_spec_parse("old", text, strlen(text), &mem, &s, &e), 0);
	assert_int_equal(s->type, POT_MULTI);
	assert_true(s->outdated);
	assert_string_equal(s->cmd, "sh /etc/rc");
}

static void
nonsense_in_a_configuration_is_named(void **state)
{
	static const char *const lines[] = { "network_type=moon\n", "pot.export.ports=0\n",
		"pot.export.ports=80:90:91\n", "pot.rss.memory=12x\n", "pot.level=7\n",
		"pot.env=\"novalue\"\n" };
	autoarena struct arena mem = ARENA_INIT;
	struct pot_spec *s;

	(void)state;
	for (size_t i = 0; i < NELEM(lines); i++) {
		assert_int_equal(pot_spec_parse("x", lines[i], strlen(lines[i]), &mem, &s, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
	}
}

/* What the machine is told about raw sockets, and whether the pot keeps its NO for nothing. */
static void
check_raw(struct host *host, const char *conf, bool granted, bool idle)
{
	autoarena struct arena mem = ARENA_INIT;
	struct pot_env env = { .host = host };
	struct pot_spec *s;

	assert_int_equal(pot_spec_parse("web", conf, strlen(conf), &mem, &s, &e), 0);
	assert_true(pot_attr_idle(&env, s, pot_attr_named("raw_sockets")) == idle);
	assert_true(((attr_caps(&env, s) & ISOLATE_CAP_NET_RAW) != 0) == granted);
	assert_string_equal(
	    attr_system(&env, s, &mem)[0], granted ? "raw_sockets=YES" : "raw_sockets=NO");
}

static void
raw_sockets_are_refused_where_the_no_is_meant(void **state)
{
	static const char *const known[] = { "raw_sockets", NULL };
	static const char old[] = "network_type=inherit\npot.attr.raw_sockets=NO\n",
			  said[] = "network_type=alias\npot.attr.raw_sockets=NO\n"
				   "pot.raw_sockets=refused\n",
			  bridged[] = "network_type=public-bridge\npot.attr.raw_sockets=NO\n"
				      "pot.raw_sockets=refused\n",
			  again[] = "pot.attr.raw_sockets=YES\npot.raw_sockets=refused\n";
	struct isolate_ops isolate = { .attributes = known };
	struct host host = { .isolate = &isolate };

	(void)state;
	check_raw(&host, old, false, false);
	check_raw(&host, said, false, false);
	check_raw(&host, bridged, false, false);
	check_raw(&host, again, true, false);
	check_raw(&host, "", true, false);
	/* where pot 0.16 has run, which wrote NO and granted them, and where the kernel grants them
	 * to whoever has a network of its own */
	isolate.shell_pots = isolate.own_network_is_raw = true;
	check_raw(&host, old, true, true);
	check_raw(&host, said, false, false);
	check_raw(&host, bridged, false, true);
	check_raw(&host, again, true, false);
	check_raw(&host, "", true, false);
}

static void
a_change_keeps_every_other_line_where_it_was(void **state)
{
	autoarena struct arena mem = ARENA_INIT;
	autoconf struct conf c = CONF_INIT(&mem);
	autobuf struct buf out = BUF_INIT;
	static const char text[] =
	    "# mine\nip=10.0.0.1\nodd line\npot.env=\"A=1\"\npot.env=\"B=2\"\nlast=1";

	(void)state;
	assert_int_equal(conf_parse(&c, text, strlen(text), &e), 0);
	assert_string_equal(conf_get(&c, "last"), "1");
	conf_set(&c, "ip", "10.0.0.2");
	conf_set(&c, "pot.env", NULL);
	conf_add(&c, "pot.env", "\"C=3\"");
	conf_write(&c, &out);
	assert_string_equal(
	    buf_str(&out), "# mine\nip=10.0.0.2\nodd line\nlast=1\npot.env=\"C=3\"\n");
}

static void
a_command_list_survives_the_file_unaltered(void **state)
{
	static const char *const argv[] = { "sh", "-c", "echo 'a  b'\n\\n \"$x\"", "", NULL };
	autoarena struct arena mem = ARENA_INIT;
	autoconf struct conf c = CONF_INIT(&mem);
	autobuf struct buf out = BUF_INIT;
	struct pot_spec *s;

	(void)state;
	conf_set_cmd(&c, NULL, argv);
	conf_write(&c, &out);
	assert_int_equal(pot_spec_parse("x", buf_str(&out), out.len, &mem, &s, &e), 0);
	assert_int_equal(s->argv.n, 4);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(s->argv.at[i], argv[i]);
	/* somebody who does not know the list changes the command: the list does not count any more
	 */
	conf_set(&c, "pot.cmd", "nginx");
	buf_reset(&out);
	conf_write(&c, &out);
	assert_int_equal(pot_spec_parse("x", buf_str(&out), out.len, &mem, &s, &e), 0);
	assert_int_equal(s->argv.n, 0);
}

static void
words_are_split_with_their_quotes(void **state)
{
	autoarena struct arena mem = ARENA_INIT;
	struct pot_strs w;
	bool shell;

	(void)state;
	assert_int_equal(
	    words_split("nginx -g 'daemon off;' \"a \\\"b\\\"\" c\\ d ''", &mem, &w, &shell, &e),
	    0);
	assert_false(shell);
	assert_int_equal(w.n, 6);
	assert_string_equal(w.at[2], "daemon off;");
	assert_string_equal(w.at[3], "a \"b\"");
	assert_string_equal(w.at[4], "c d");
	assert_string_equal(w.at[5], "");
	assert_int_equal(words_split("echo 'open", &mem, &w, &shell, &e), -1);
}

static void
what_only_a_shell_can_do_is_left_to_one(void **state)
{
	static const char *const lines[] = { "a; b", "a | b", "echo $X", "echo \"$X\"", "a > f",
		"ls *.c", "X=1 run", "a && b", "echo `id`", "~/run" };
	static const char *const plain[] = { "a '; b'", "run --x=1", "/bin/x -a 'b*'", "echo a#b" };
	autoarena struct arena mem = ARENA_INIT;
	struct pot_strs w;
	bool shell;

	(void)state;
	for (size_t i = 0; i < NELEM(lines); i++) {
		assert_int_equal(words_split(lines[i], &mem, &w, &shell, &e), 0);
		assert_true(shell);
	}
	for (size_t i = 0; i < NELEM(plain); i++) {
		assert_int_equal(words_split(plain[i], &mem, &w, &shell, &e), 0);
		assert_false(shell);
	}
}

static int
fscomp(struct fscomps *l, struct arena *mem, const char *text)
{
	return fscomp_parse(text, strlen(text), "/opt/pot/jails/web/m", mem, l, &e);
}

static void
mounts_are_read_in_order_in_both_formats(void **state)
{
	autoarena struct arena mem = ARENA_INIT;
	autobuf struct buf out = BUF_INIT;
	struct fscomps l;

	(void)state;
	assert_int_equal(
	    fscomp(&l, &mem,
		"zroot/pot/fscomp/www /media\n\n/srv/data /opt/pot/jails/web/m/data ro\n"
		"zroot/pot/jails/web/custom /opt/custom zfs-remount"),
	    0);
	assert_int_equal(l.n, 3);
	assert_string_equal(l.at[1].target, "/data");
	assert_true(l.at[1].read_only);
	assert_true(l.at[2].remount);
	fscomp_write(&l, &out);
	assert_string_equal(buf_str(&out),
	    "zroot/pot/fscomp/www /media\n/srv/data /data "
	    "ro\nzroot/pot/jails/web/custom /opt/custom zfs-remount\n");
}

static void
bad_mount_lines_name_their_place(void **state)
{
	static const char *const lines[] = { "/a /b\n/srv\n", "/a /b\n/srv data\n",
		"/a /b\n/srv /x rx\n", "/a /b\n/srv /x ro y\n", "/a /b\n/srv /x zfs-remount\n" };
	autoarena struct arena mem = ARENA_INIT;
	struct fscomps l;

	(void)state;
	for (size_t i = 0; i < NELEM(lines); i++) {
		assert_int_equal(fscomp(&l, &mem, lines[i]), -1);
		assert_non_null(strstr(e.text, "fscomp.conf:2"));
	}
}

static void
versions_are_compared_by_their_numbers(void **state)
{
	(void)state;
	assert_int_equal(version_compare("1.0", "1.0"), 0);
	assert_true(version_compare("1.9", "1.10") < 0);
	assert_true(version_compare("1.10", "1.9") > 0);
	assert_true(version_compare("1.0", "1.0.1") < 0);
	assert_true(version_compare("2", "10") < 0);
	assert_true(version_compare("1.01", "1.1") == 0);
	assert_true(version_compare("a2", "a10") < 0);
	assert_true(version_compare("1.0-a", "1.0-b") < 0);
	assert_true(version_compare("", "0") < 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions_are_compared_by_their_numbers),
		cmocka_unit_test(configuration_is_plain_assignments),
		cmocka_unit_test(configuration_may_name_its_own_keys),
		cmocka_unit_test(configuration_that_needs_a_shell_is_refused_with_its_place),
		cmocka_unit_test(unknown_configuration_keys_are_gathered),
		cmocka_unit_test(names_follow_a_strict_grammar),
		cmocka_unit_test(a_configuration_of_the_original_is_read_as_it_was_meant),
		cmocka_unit_test(a_missing_type_means_multi_and_old_keys_are_noticed),
		cmocka_unit_test(nonsense_in_a_configuration_is_named),
		cmocka_unit_test(raw_sockets_are_refused_where_the_no_is_meant),
		cmocka_unit_test(a_change_keeps_every_other_line_where_it_was),
		cmocka_unit_test(a_command_list_survives_the_file_unaltered),
		cmocka_unit_test(words_are_split_with_their_quotes),
		cmocka_unit_test(what_only_a_shell_can_do_is_left_to_one),
		cmocka_unit_test(mounts_are_read_in_order_in_both_formats),
		cmocka_unit_test(bad_mount_lines_name_their_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
