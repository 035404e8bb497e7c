/* Addresses are chosen from what the configurations of all pots say. */
#include "pot/net.h"
#include "pot/priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct err e;
static struct pot_env *env;
static char root[64];
static struct arena mem = ARENA_INIT;

static void
put(const char *path, const char *text)
{
	char full[256], *slash;

	snprintf(full, sizeof(full), "%s/%s", root, path);
	slash = strrchr(full, '/');
	*slash = '\0';
	assert_int_equal(make_dirs(full, 0755, &e), 0);
	*slash = '/';
	FILE *f = fopen(full, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int
set_up(void **state)
{
	struct pot_config c;

	(void)state;
	strcpy(root, "/tmp/unit-pot-XXXXXX");
	if (mkdtemp(root) == NULL)
		return -1;
	pot_config_defaults(&c, &mem);
	c.fs_root = root;
	c.network = arena_strdup(&mem, "10.192.0.0/29");
	c.netmask = arena_strdup(&mem, "255.255.255.248");
	return pot_env_with(&c, NULL, &env, &e);
}

static int
tear_down(void **state)
{
	(void)state;
	pot_env_close(env);
	arena_fini(&mem);
	return remove_tree(root, &e);
}

static const char *
next(int family)
{
	static char ip[48];

	return pot_address_next(env, NULL, family, ip, sizeof(ip), &e) < 0 ? NULL : ip;
}

static void
the_lowest_free_address_is_next(void **state)
{
	(void)state;
	/* .0 network, .1 gateway, .2 the DNS pot, .7 broadcasts */
	assert_string_equal(next(4), "10.192.0.3");
	put("jails/a/conf/pot.conf", "network_type=public-bridge\nip=10.192.0.3\n");
	put("jails/c/conf/pot.conf", "ip=10.192.0.5");
	assert_string_equal(next(4), "10.192.0.4");
	assert_string_equal(next(6), "fdf1:9c2e:7a35::2");
	put("jails/a/conf/pot.conf", "ip=10.192.0.3\nip6=fdf1:9c2e:7a35::2\n");
	assert_string_equal(next(6), "fdf1:9c2e:7a35::3");
}

static void
a_pot_in_the_making_holds_its_address(void **state)
{
	(void)state;
	put(".intents/b", "ip=10.192.0.4\n");
	/* the name of an intent has no dot in front, so it counts */
	assert_string_equal(next(4), "10.192.0.6");
}

static void
one_bad_configuration_stops_nobody(void **state)
{
	(void)state;
	put("jails/bad/conf/pot.conf", "ip=not an address\nip=999.1.1.1\n");
	assert_string_equal(next(4), "10.192.0.6");
}

static void
private_bridges_keep_their_addresses(void **state)
{
	(void)state;
	put("bridges/br", "net=10.192.0.6/31\ngateway=10.192.0.6\nname=br\n");
	assert_null(next(4));
	assert_int_equal(e.kind, ERR_FULL);
	assert_int_equal(remove_tree(arena_printf(&mem, "%s/bridges", root), &e), 0);
}

static void
a_given_address_must_be_free_and_inside(void **state)
{
	int family;

	(void)state;
	assert_int_equal(pot_address_check(env, NULL, "10.192.0.6", &family, &e), 0);
	assert_int_equal(family, 4);
	assert_int_equal(pot_address_check(env, NULL, "10.192.0.3", &family, &e), -1);
	assert_int_equal(e.kind, ERR_EXISTS);
	assert_non_null(strstr(e.text, "taken by a"));
	assert_int_equal(pot_address_check(env, NULL, "10.192.0.1", &family, &e), -1);
	assert_int_equal(pot_address_check(env, NULL, "10.193.0.1", &family, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_int_equal(pot_address_check(env, NULL, "10.192.0", &family, &e), -1);
}

static void
the_stack_decides_which_addresses_a_pot_gets(void **state)
{
	static const char *const wrong[] = { "fdf1:9c2e:7a35::9", NULL };
	static const char *const mixed[] = { "auto", "fdf1:9c2e:7a35::9", NULL };
	struct net_want want = { .net = POT_NET_PUBLIC, .stack = POT_STACK_DUAL, .ip = mixed };
	struct net_choice c;

	(void)state;
	assert_int_equal(net_choose(env, "x", &want, &c, &e), 0);
	assert_string_equal(c.ip, "10.192.0.6");
	assert_string_equal(c.ip6, "fdf1:9c2e:7a35::9");
	want = (struct net_want){ .net = POT_NET_PUBLIC, .stack = POT_STACK_IPV4, .ip = wrong };
	assert_int_equal(net_choose(env, "x", &want, &c, &e), -1);
	want.net = POT_NET_INHERIT;
	assert_int_equal(net_choose(env, "x", &want, &c, &e), 0);
	assert_string_equal(c.ip, "");
	want = (struct net_want){ .net = POT_NET_ALIAS, .stack = POT_STACK_IPV4 };
	assert_int_equal(net_choose(env, "x", &want, &c, &e), -1);
	assert_non_null(strstr(e.text, "-i [INTERFACE|]ADDRESS"));
	want.net = POT_NET_PRIVATE;
	assert_int_equal(net_choose(env, "x", &want, &c, &e), -1);
	assert_non_null(strstr(e.text, "-B"));
}

static void
a_hardware_address_is_one_station_s_and_one_pot_s(void **state)
{
	struct net_want want = { .net = POT_NET_PUBLIC, .stack = POT_STACK_IPV4 };
	struct net_choice c;
	uint8_t mac[6];

	(void)state;
	want.mac = "02:00:00:00:00:Ff";
	assert_int_equal(net_choose(env, "x", &want, &c, &e), 0);
	assert_string_equal(c.mac, "02:00:00:00:00:ff");
	put("jails/mac/conf/pot.conf", "mac=02:00:00:00:00:FF\n");
	assert_int_equal(net_choose(env, "x", &want, &c, &e), -1);
	assert_int_equal(e.kind, ERR_EXISTS);
	assert_int_equal(net_choose(env, "mac", &want, &c, &e), 0);
	want.net = POT_NET_INHERIT;
	assert_int_equal(net_choose(env, "x", &want, &c, &e), -1);
	assert_int_equal(mac_parse("01:00:00:00:00:00", mac, &e), -1);
	assert_int_equal(mac_parse("00:00:00:00:00:00", mac, &e), -1);
	assert_int_equal(mac_parse("02:00:00:00:00:0", mac, &e), -1);
	assert_int_equal(mac_parse("02:00:00-00:00:00", mac, &e), -1);
	assert_int_equal(mac_parse("02:00:00:00:00:0g", mac, &e), -1);
}

static void
an_alias_names_an_interface_or_none(void **state)
{
	static const char *const bad[] = { "", "|10.0.0.1", "eth0|", "eth0|10.0.0.1/24",
		"10.0.0.0/8", "an-interface-too-long|10.0.0.1", "127.0.0.1", "::1", "fe80::1",
		"224.0.0.1", "ff02::1", "0.0.0.0", "a b|10.0.0.1" };
	struct netif_alias a;

	(void)state;
	assert_int_equal(alias_parse("eth0|2001:db8::5", &a, &e), 0);
	assert_string_equal(a.nic, "eth0");
	assert_int_equal(alias_parse("192.0.2.7", &a, &e), 0);
	assert_string_equal(a.nic, "");
	for (size_t i = 0; i < NELEM(bad); i++)
		assert_int_equal(alias_parse(bad[i], &a, &e), -1);
}

static void
a_private_bridge_has_room_for_its_pots_and_the_gateway(void **state)
{
	static const struct {
		unsigned hosts;
		const char *net;
	} wanted[] = { { 2, "10.192.0.8/29" }, { 5, "10.192.0.8/29" }, { 6, "10.192.0.16/28" },
		{ 13, "10.192.0.16/28" }, { 14, "10.192.0.32/27" }, { 200, "10.192.1.0/24" } };
	char net[52], gateway[48];
	char *before = env->conf.network, *mask = env->conf.netmask;

	(void)state;
	env->conf.network = arena_strdup(&mem, "10.192.0.0/16");
	env->conf.netmask = arena_strdup(&mem, "255.255.0.0");
	for (size_t i = 0; i < NELEM(wanted); i++) {
		assert_int_equal(pot_new_net(env, wanted[i].hosts, net, gateway, &e), 0);
		assert_string_equal(net, wanted[i].net);
	}
	put("bridges/one", "net=10.192.0.16/28\ngateway=10.192.0.17\nname=one\n");
	assert_int_equal(pot_new_net(env, 6, net, gateway, &e), 0);
	assert_string_equal(net, "10.192.0.32/28");
	assert_string_equal(gateway, "10.192.0.33");
	assert_int_equal(pot_new_net(env, 1, net, gateway, &e), -1);
	assert_int_equal(pot_new_net(env, 70000, net, gateway, &e), -1);
	assert_int_equal(e.kind, ERR_FULL);
	struct net_want want = { .net = POT_NET_PRIVATE, .stack = POT_STACK_DUAL, .bridge = "one" };
	struct net_choice c;
	assert_int_equal(net_choose(env, "x", &want, &c, &e), 0);
	assert_string_equal(c.ip, "10.192.0.18");
	assert_string_equal(c.ip6, "");
	assert_string_equal(c.bridge, "one");
	want.stack = POT_STACK_IPV6;
	assert_int_equal(net_choose(env, "x", &want, &c, &e), -1);
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
	want = (struct net_want){ .net = POT_NET_PRIVATE, .stack = POT_STACK_IPV4, .bridge = "no" };
	assert_int_equal(net_choose(env, "x", &want, &c, &e), -1);
	assert_int_equal(e.kind, ERR_ABSENT);
	env->conf.network = before;
	env->conf.netmask = mask;
	assert_int_equal(remove_tree(arena_printf(&mem, "%s/bridges", root), &e), 0);
}

static void
a_lock_is_one_process_s_and_says_whose(void **state)
{
	(void)state;
	env->conf.run_dir = arena_printf(&mem, "%s/run", root);
	int held = lock_pot(env, "web", LOCK_WAIT, &e);
	assert_true(held >= 0);
	assert_int_equal(lock_pot(env, "web", LOCK_TRY, &e), -1);
	assert_int_equal(e.kind, ERR_BUSY);
	assert_non_null(strstr(e.text, arena_printf(&mem, "process %d", (int)getpid())));
	lock_share(env, "web", held);
	int shared = lock_pot(env, "web", LOCK_TRY, &e);
	assert_true(shared >= 0);
	close(shared);
	lock_share(env, NULL, -1);
	lock_forget(env, "web");
	close(held);
	held = lock_pot(env, "web", LOCK_TRY, &e);
	assert_true(held >= 0);
	close(held);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_lowest_free_address_is_next),
		cmocka_unit_test(a_pot_in_the_making_holds_its_address),
		cmocka_unit_test(one_bad_configuration_stops_nobody),
		cmocka_unit_test(private_bridges_keep_their_addresses),
		cmocka_unit_test(a_given_address_must_be_free_and_inside),
		cmocka_unit_test(the_stack_decides_which_addresses_a_pot_gets),
		cmocka_unit_test(a_hardware_address_is_one_station_s_and_one_pot_s),
		cmocka_unit_test(an_alias_names_an_interface_or_none),
		cmocka_unit_test(a_private_bridge_has_room_for_its_pots_and_the_gateway),
		cmocka_unit_test(a_lock_is_one_process_s_and_says_whose),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
