/* Commands about the machine: init, de-init, the virtual network, config, doctor. */
#include "cli/pot_cli.h"
#include "cli/table.h"

#include "base/str.h"

#define GROUP "The machine"
#define END                                                                                        \
	{                                                                                          \
		0                                                                                  \
	}

/* Which of the machine's own files init and de-init may change. */
static struct pot_init_options
machine_files(struct pot_call *c)
{
	return (struct pot_init_options){ .no_syslogd = given(c, 'm') || given(c, 's'),
		.filter_file = given(c, 'm') ? "" : given_one(c, 'p') };
}

static int
run_init(struct pot_call *c)
{
	struct pot_init_options opt = machine_files(c);
	struct err e;

	if (opt.filter_file == NULL && given(c, 'f'))
		opt.filter_file = given_one(c, 'f');
	return pot_init(c->env, &opt, &e) < 0 ? fail(c, &e) : 0;
}

static const struct pot_option init_options[] = {
	{ 'm', NULL, 0, 0, "minimal: leave every file outside of pot's own directories alone" },
	{ 's', NULL, 0, 0,
	    "leave the machine's log alone: where it is syslogd, pots may write to it otherwise" },
	{ 'p', "file", COMPLETE_FILE, 0,
	    "where pf is, the file of its rules, which is to call those of pots" },
	{ 'f', "file", COMPLETE_FILE, 0, "as -p" },
	END,
};
const struct pot_command pot_cmd_init = { "init", NULL, "prepare this machine for pots",
	COMMAND_ROOT | COMMAND_ANYTIME, init_options, NULL, run_init, GROUP };

static int
run_deinit(struct pot_call *c)
{
	struct pot_init_options opt = machine_files(c);
	struct err e;

	return pot_deinit(c->env, given(c, 'f'), &opt, &e) < 0 ? fail(c, &e) : 0;
}

static const struct pot_option deinit_options[] = {
	{ 'f', NULL, 0, 0, "stop the pots that run" },
	{ 'm', NULL, 0, 0, "minimal: leave every file outside of pot's own directories alone" },
	{ 'p', "file", COMPLETE_FILE, 0, "the packet filter's file of init" },
	DRY_RUN_ROW,
	END,
};
const struct pot_command pot_cmd_deinit = { "de-init", "deinit",
	"remove all pots and all that init and vnet-start made", COMMAND_ROOT | COMMAND_ANYTIME,
	deinit_options, NULL, run_deinit, GROUP };

static int
run_vnet_start(struct pot_call *c)
{
	struct err e;

	int rc = given(c, 'B') ? pot_vnet_start_private(c->env, given_one(c, 'B'), &e)
			       : pot_vnet_start(c->env, &e);
	return rc < 0 ? fail(c, &e) : 0;
}

static const struct pot_option vnet_start_options[] = {
	{ 'B', "bridge", COMPLETE_BRIDGE, 0, "a private bridge, not the public one" },
	END,
};
const struct pot_command pot_cmd_vnet_start = { "vnet-start", "vnet-init",
	"start the pots' virtual network", COMMAND_ROOT, vnet_start_options, NULL, run_vnet_start,
	GROUP };

static int
run_vnet_stop(struct pot_call *c)
{
	struct err e;

	return pot_vnet_stop(c->env, &e) < 0 ? fail(c, &e) : 0;
}

const struct pot_command pot_cmd_vnet_stop = { "vnet-stop", NULL,
	"stop the pots' virtual network, when no pot uses it", COMMAND_ROOT, NULL, NULL,
	run_vnet_stop, GROUP };

/* ---- private bridges ---- */

static int
run_create_bridge(struct pot_call *c)
{
	const char *name = given_one(c, 'B');
	uint64_t hosts;
	struct pot_bridge b;
	struct err e;

	if (!str_u64(given_one(c, 'S'), 1U << 30, &hosts))
		return fail_usage(c, "-S %s: is no number of pots", given_one(c, 'S'));
	if (pot_bridge_create(c->env, name, (unsigned)hosts, &e) < 0 ||
	    pot_bridge_info(c->env, name, &c->mem, &b, &e) < 0)
		return fail(c, &e);
	if (c->json) {
		struct jsonw w = json_begin(c);

		jsonw_object(&w);
		jsonw_kstr(&w, "name", b.name);
		jsonw_kstr(&w, "network", b.network);
		jsonw_kstr(&w, "gateway", b.gateway);
		jsonw_end_object(&w);
		return json_done(c);
	}
	say_info(c, "private bridge %s has the network %s", b.name, b.network);
	return 0;
}

static const struct pot_option create_bridge_options[] = {
	{ 'B', "bridge", 0, OPTION_MUST, "its name" },
	{ 'S', "pots", 0, OPTION_MUST, "for how many pots there is to be room" },
	END,
};
const struct pot_command pot_cmd_create_bridge = { "create-private-bridge", NULL,
	"make a network of their own for some pots", COMMAND_ROOT | COMMAND_JSON,
	create_bridge_options, NULL, run_create_bridge, GROUP };

/* ---- config ---- */

static const struct {
	const char *name, *label, *key;
} config_names[] = {
	{ "fs_root", "fs_root", "POT_FS_ROOT" },
	{ "zfs_root", "zfs_root", "POT_ZFS_ROOT" },
	{ "gateway", "gateway", "POT_GATEWAY" },
	{ "syslogd", "syslogd flags", NULL },
	{ "pot_prefix", "pot prefix", NULL },
	{ "fscomp_prefix", "fscomp prefix", NULL },
	{ "network_stack", "network stack", NULL },
	{ "network", "network", "POT_NETWORK" },
	{ "gateway6", "gateway6", "POT_GATEWAY6" },
	{ "network6", "network6", "POT_NETWORK6" },
	{ "cache", "cache", "POT_CACHE" },
	{ "run_dir", "run directory", "POT_RUN_DIR" },
	{ "bridge", "bridge", "POT_BRIDGE" },
	{ "cgroup", "cgroup", "POT_CGROUP" },
};

const char *
pot_config_words(struct arena *mem)
{
	const char *text = config_names[0].name;

	for (size_t i = 1; i < NELEM(config_names); i++)
		text = arena_printf(mem, "%s %s", text, config_names[i].name);
	return text;
}

static const char *
config_value(struct pot_call *c, size_t i)
{
	const struct pot_config *conf = &c->env->conf;

	if (config_names[i].key != NULL)
		return pot_config_get(conf, config_names[i].key, &c->mem);
	if (str_eq(config_names[i].name, "syslogd"))
		return pot_syslogd_flags(conf, &c->mem);
	if (str_eq(config_names[i].name, "network_stack"))
		return pot_stack_text(
		    pot_spec_stack(c->env, &(struct pot_spec){ .stack = POT_STACK_UNSET }));
	return arena_printf(&c->mem, "%s/%s", conf->fs_root,
	    str_eq(config_names[i].name, "pot_prefix") ? "jails" : "fscomp");
}

static int
config_all(struct pot_call *c)
{
	struct jsonw w = json_begin(c);
	size_t n;
	const struct pot_config_key *keys = pot_config_keys(&n);

	jsonw_object(&w);
	for (size_t i = 0; i < n; i++) {
		const char *value = pot_config_get(&c->env->conf, keys[i].key, &c->mem);

		if (c->json)
			jsonw_kstr(&w, keys[i].key, value);
		else
			printf("%s = %s\n", keys[i].key, value != NULL ? value : "");
	}
	jsonw_end_object(&w);
	return c->json ? json_done(c) : 0;
}

static int
run_config(struct pot_call *c)
{
	const char *wanted = given_one(c, 'g');
	const char *names[NELEM(config_names)];
	struct err e;

	if (wanted == NULL && (given(c, 'a') || c->json))
		return config_all(c);
	if (wanted == NULL)
		return fail_usage(c, "option -g is mandatory (or -a: all keys)");
	for (size_t i = 0; i < NELEM(config_names); i++) {
		names[i] = config_names[i].name;
		if (!str_eq(wanted, names[i]))
			continue;
		const char *value = config_value(c, i);
		if (c->json) {
			struct jsonw w = json_begin(c);

			jsonw_object(&w);
			jsonw_kstr(&w, wanted, value);
			jsonw_end_object(&w);
			return json_done(c);
		}
		if (given(c, 'q'))
			printf("%s\n", value != NULL ? value : "");
		else
			printf("%s = %s\n", config_names[i].label, value != NULL ? value : "");
		return 0;
	}
	const char *near = str_nearest(wanted, names, NELEM(names));
	if (given(c, 'q'))
		return 1;
	err_new(&e, ERR_INPUT,
	    near != NULL ? "\"%s\" is no name of a value: did you mean \"%s\"?"
			 : "\"%s\" is no name of a value",
	    wanted, near);
	return fail(c, &e);
}

static const struct pot_option config_options[] = {
	{ 'g', "name", COMPLETE_VALUE, 0,
	    "fs_root, zfs_root, gateway, syslogd, pot_prefix, fscomp_prefix, network_stack, "
	    "network, gateway6, network6, cache, run_dir, bridge, cgroup" },
	{ 'a', NULL, 0, 0, "all keys of the configuration" },
	{ 'q', NULL, 0, 0, "only the value" },
	END,
};
const struct pot_command pot_cmd_config = { "config", NULL, "print values of the configuration",
	COMMAND_JSON | COMMAND_ANYTIME, config_options, NULL, run_config, "Information" };

/* ---- doctor ---- */

static int
doctor_json(struct pot_call *c, const struct pot_finding *f, size_t n)
{
	struct jsonw w = json_begin(c);

	jsonw_array(&w);
	for (size_t i = 0; i < n; i++) {
		jsonw_object(&w);
		jsonw_kstr(&w, "what", f[i].what);
		jsonw_kstr(&w, "why", f[i].why);
		jsonw_kbool(&w, "mended", f[i].mended);
		jsonw_kstr(&w, "error", f[i].error);
		jsonw_end_object(&w);
	}
	jsonw_end_array(&w);
	return json_done(c);
}

static int
run_doctor(struct pot_call *c)
{
	autotable struct table t = TABLE_INIT(3);
	struct pot_finding *f;
	bool mend = !given(c, 'n');
	size_t n, left = 0;
	struct err e;

	if (pot_doctor(c->env, mend, &c->mem, &f, &n, &e) < 0)
		return fail(c, &e);
	for (size_t i = 0; i < n; i++) {
		left += !f[i].mended;
		table_cell(&t, f[i].what);
		table_cell(&t, f[i].why);
		table_cellf(&t, "%s%s%s", f[i].mended ? "mended" : "not mended",
		    f[i].error != NULL ? ": " : "", f[i].error != NULL ? f[i].error : "");
	}
	if (c->json) {
		(void)doctor_json(c, f, n);
		return left > 0;
	}
	table_print(&t);
	if (n == 0)
		say_info(c, "nothing is left behind");
	else if (left > 0)
		say_info(c,
		    mend ? "%zu of %zu findings could not be mended"
			 : "%zu of %zu findings: run pot doctor without -n to mend them",
		    left, n);
	else
		say_info(c, "all %zu findings mended", n);
	return left > 0;
}

static const struct pot_option doctor_options[] = {
	{ 'n', NULL, 0, 0, "only look" },
	END,
};
const struct pot_command pot_cmd_doctor = { "doctor", NULL,
	"find what no running pot owns, and put it right", COMMAND_ROOT | COMMAND_JSON,
	doctor_options, NULL, run_doctor, GROUP };
