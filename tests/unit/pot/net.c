/* Addresses are chosen from what the configurations of all pots say. */
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

	return pot_address_next(env, family, ip, sizeof(ip), &e) < 0 ? NULL : ip;
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
	assert_int_equal(pot_address_check(env, "10.192.0.6", &family, &e), 0);
	assert_int_equal(family, 4);
	assert_int_equal(pot_address_check(env, "10.192.0.3", &family, &e), -1);
	assert_int_equal(e.kind, ERR_EXISTS);
	assert_non_null(strstr(e.text, "taken by a"));
	assert_int_equal(pot_address_check(env, "10.192.0.1", &family, &e), -1);
	assert_int_equal(pot_address_check(env, "10.193.0.1", &family, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_int_equal(pot_address_check(env, "10.192.0", &family, &e), -1);
}

static void
the_stack_decides_which_addresses_a_pot_gets(void **state)
{
	static const char *const wrong[] = { "fdf1:9c2e:7a35::9", NULL };
	static const char *const mixed[] = { "auto", "fdf1:9c2e:7a35::9", NULL };
	struct net_choice c;

	(void)state;
	assert_int_equal(net_choose(env, "x", POT_NET_PUBLIC, POT_STACK_DUAL, mixed, &c, &e), 0);
	assert_string_equal(c.ip, "10.192.0.6");
	assert_string_equal(c.ip6, "fdf1:9c2e:7a35::9");
	assert_int_equal(net_choose(env, "x", POT_NET_PUBLIC, POT_STACK_IPV4, wrong, &c, &e), -1);
	assert_int_equal(net_choose(env, "x", POT_NET_INHERIT, POT_STACK_IPV4, wrong, &c, &e), 0);
	assert_string_equal(c.ip, "");
	assert_int_equal(net_choose(env, "x", POT_NET_ALIAS, POT_STACK_IPV4, NULL, &c, &e), -1);
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
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
		cmocka_unit_test(a_lock_is_one_process_s_and_says_whose),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
