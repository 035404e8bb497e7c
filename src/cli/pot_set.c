/* The setters, and get-attr: what stands in a pot's configuration. */
#include "cli/pot_cli.h"

#include "base/str.h"

#include <string.h>

#define GROUP "Configuration of a pot"
#define POT_ROW                                                                                    \
	{                                                                                          \
		'p', "pot", COMPLETE_POT, OPTION_MUST, "the pot"                                   \
	}
#define UNSET_ROW(text)                                                                            \
	{                                                                                          \
		OPTION_UNSET, NULL, 0, 0, text, "unset"                                            \
	}
#define END                                                                                        \
	{                                                                                          \
		0                                                                                  \
	}

static int
done(struct pot_call *c, int rc, const struct err *e)
{
	return rc < 0 ? fail(c, e) : 0;
}

/* pot's rule: one leading double quote goes, and only then one trailing. */
char *
unquote_cmd(struct pot_call *c, const char *cmd)
{
	char *text = arena_strdup(&c->mem, cmd + (cmd[0] == '"'));
	size_t len = strlen(text);

	if (cmd[0] == '"' && len > 0 && text[len - 1] == '"')
		text[len - 1] = '\0';
	return text;
}

static int
run_set_cmd(struct pot_call *c)
{
	const char *cmd = given_one(c, 'c');
	struct err e;

	if ((cmd != NULL) == given(c, OPTION_UNSET))
		return fail_usage(c, "one of -c and --unset is needed");
	return done(c,
	    pot_set_cmd(
		c->env, given_one(c, 'p'), cmd != NULL ? unquote_cmd(c, cmd) : NULL, NULL, &e),
	    &e);
}

static const struct pot_option set_cmd_options[] = {
	POT_ROW,
	{ 'c', "command", 0, 0, "the command line that the pot runs" },
	UNSET_ROW("back to the default command, sh /etc/rc"),
	END,
};
const struct pot_command pot_cmd_set_cmd = { "set-cmd", NULL, "set the command of a pot",
	COMMAND_ROOT, set_cmd_options, NULL, run_set_cmd, GROUP };

static int
run_set_env(struct pot_call *c)
{
	const char *pot = given_one(c, 'p'), *const *vars = given_all(c, 'E');
	struct err e;

	if (given(c, OPTION_UNSET))
		return done(c, pot_unset_env(c->env, pot, vars, &e), &e);
	if (vars == NULL)
		return fail_usage(c, "option -E is mandatory (or --unset)");
	return done(c, pot_set_env(c->env, pot, vars, &e), &e);
}

static const struct pot_option set_env_options[] = {
	POT_ROW,
	{ 'E', "VAR=value", 0, OPTION_MANY,
	    "a variable; replaces the whole set; with --unset the name of one to remove" },
	UNSET_ROW("remove the variables named by -E; without -E all"),
	END,
};
const struct pot_command pot_cmd_set_env = { "set-env", NULL, "set the environment of a pot",
	COMMAND_ROOT, set_env_options, NULL, run_set_env, GROUP };

static int
run_set_hosts(struct pot_call *c)
{
	struct err e;

	if (given(c, 'H') && given(c, OPTION_UNSET))
		return fail_usage(c, "-H and --unset exclude each other");
	return done(c, pot_set_hosts(c->env, given_one(c, 'p'), given_all(c, 'H'), &e), &e);
}

static const struct pot_option set_hosts_options[] = {
	POT_ROW,
	{ 'H', "name:ip", 0, OPTION_MANY,
	    "a line of /etc/hosts; replaces the whole set, none removes it" },
	UNSET_ROW("remove them all"),
	END,
};
const struct pot_command pot_cmd_set_hosts = { "set-hosts", NULL, "set more lines of /etc/hosts",
	COMMAND_ROOT, set_hosts_options, NULL, run_set_hosts, GROUP };

static int
run_set_rss(struct pot_call *c)
{
	const char *none = given(c, OPTION_UNSET) ? "" : NULL;
	struct pot_limits l = { none, none, none, none, none, none, none };
	const struct {
		char letter;
		const char **value;
	} rows[] = { { 'C', &l.cpus }, { 'M', &l.memory }, { 'L', &l.pin }, { 'P', &l.processes },
		{ 'F', &l.files }, { 'I', &l.io_weight }, { 'W', &l.cpu_weight } };
	bool any = given(c, OPTION_UNSET);
	struct err e;

	for (size_t i = 0; i < NELEM(rows); i++)
		if (given(c, rows[i].letter)) {
			*rows[i].value = given_one(c, rows[i].letter);
			any = true;
		}
	if (!any)
		return fail_usage(c, "a limit is needed, -C or -M or another");
	return done(c, pot_set_limits(c->env, given_one(c, 'p'), &l, &e), &e);
}

static const struct pot_option set_rss_options[] = {
	POT_ROW,
	{ 'C', "cpus", 0, 0, "how many processors it may use: the least used ones at its start",
	    "cpus" },
	{ 'M', "memory", 0, 0, "how much memory, with b, k, m or g", "memory" },
	{ 'L', "cpulist", 0, 0, "exactly these processors, as 0-1,3", "pin" },
	{ 'P', "number", 0, 0, "how many processes and threads", "processes" },
	{ 'F', "number", 0, 0, "how many open files each process may have", "files" },
	{ 'I', "weight", 0, 0, "share of the disks under contention, 1 to 1000 (100 is usual)",
	    "io-weight" },
	{ 'W', "weight", 0, 0,
	    "share of the processors under contention, 2 to 262144 (1024 is usual)", "cpu-weight" },
	UNSET_ROW("remove all limits but those given beside it (one alone: by an empty text)"),
	END,
};
const struct pot_command pot_cmd_set_rss = { "set-rss", NULL, "limit what a pot may use",
	COMMAND_ROOT, set_rss_options, NULL, run_set_rss, GROUP };

static int
run_set_attr(struct pot_call *c)
{
	const char *value = given_one(c, 'V');
	struct err e;

	if ((value != NULL) == given(c, OPTION_UNSET))
		return fail_usage(c, "one of -V and --unset is needed");
	return done(c, pot_set_attr(c->env, given_one(c, 'p'), given_one(c, 'A'), value, &e), &e);
}

static const struct pot_option set_attr_options[] = {
	POT_ROW,
	{ 'A', "attribute", COMPLETE_ATTR, OPTION_MUST, "its name; see pot info" },
	{ 'V', "value", 0, 0, "its value" },
	UNSET_ROW("back to its default"),
	END,
};
const struct pot_command pot_cmd_set_attr = { "set-attribute", "set-attr",
	"set an attribute of a pot", COMMAND_ROOT, set_attr_options, NULL, run_set_attr, GROUP };

static int
run_get_attr(struct pot_call *c)
{
	const char *name = given_one(c, 'A');
	const struct pot_attr *attr = pot_attr_named(name);
	struct pot_spec *spec;
	struct err e;
	size_t n;

	if (attr == NULL) {
		err_new(&e, ERR_INPUT, "\"%s\" is no attribute: pot info -p %s lists them", name,
		    given_one(c, 'p'));
		return fail(c, &e);
	}
	if (pot_spec_load(c->env, given_one(c, 'p'), &c->mem, &spec, &e) < 0)
		return fail(c, &e);
	const char *value = spec->attr[attr - pot_attrs(&n)];
	if (value == NULL && attr->jail)
		value = attr->def;
	if (c->json) {
		struct jsonw w = json_begin(c);

		jsonw_object(&w);
		jsonw_kstr(&w, "attribute", name);
		jsonw_kstr(&w, "value", value);
		jsonw_end_object(&w);
		return json_done(c);
	}
	if (given(c, 'q'))
		puts(value != NULL ? value : "");
	else if (value != NULL && value[0] != '\0')
		say_info(c, "%s: %s", name, value);
	else
		say_info(c, "%s: not set", name);
	return 0;
}

static const struct pot_option get_attr_options[] = {
	POT_ROW,
	{ 'A', "attribute", COMPLETE_ATTR, OPTION_MUST, "its name" },
	{ 'q', NULL, 0, 0, "only the value" },
	END,
};
const struct pot_command pot_cmd_get_attr = { "get-attribute", "get-attr",
	"print an attribute of a pot", COMMAND_JSON, get_attr_options, NULL, run_get_attr,
	"Information" };

static int
run_export_ports(struct pot_call *c)
{
	struct err e;

	if (given(c, 'e') == given(c, OPTION_UNSET))
		return fail_usage(c, "one of -e and --unset is needed");
	return done(c, pot_set_ports(c->env, given_one(c, 'p'), given_all(c, 'e'), &e), &e);
}

static const struct pot_option export_ports_options[] = {
	POT_ROW,
	{ 'e', "[tcp:|udp:]potport[:hostport]", 0, OPTION_MANY,
	    "a port inside the pot, and the host's port that leads there (else a free one is "
	    "chosen)" },
	UNSET_ROW("export none"),
	END,
};
const struct pot_command pot_cmd_export_ports = { "export-ports", NULL,
	"say which ports of a pot are reachable through the host", COMMAND_ROOT,
	export_ports_options, NULL, run_export_ports, GROUP };

static int
run_add_dep(struct pot_call *c)
{
	const char *pot = given_one(c, 'p'), *needs = given_one(c, 'P');
	struct err e;

	if (given(c, OPTION_UNSET))
		return done(c, pot_remove_dep(c->env, pot, needs, &e), &e);
	if (needs == NULL)
		return fail_usage(c, "option -P is mandatory (or --unset)");
	return done(c, pot_add_dep(c->env, pot, needs, &e), &e);
}

static const struct pot_option add_dep_options[] = {
	POT_ROW,
	{ 'P', "pot", COMPLETE_POT, 0, "the pot that is started before it" },
	UNSET_ROW("remove this dependency; without -P all"),
	END,
};
const struct pot_command pot_cmd_add_dep = { "add-dep", NULL, "let a pot depend on another",
	COMMAND_ROOT, add_dep_options, NULL, run_add_dep, GROUP };

static int
run_set_hook(struct pot_call *c)
{
	static const char letters[POT_HOOKS] = { 's', 'S', 't', 'T' };
	const char *files[POT_HOOKS];
	int n = 0;
	struct err e;

	for (int h = 0; h < POT_HOOKS; h++) {
		files[h] = given_one(c, letters[h]);
		if (files[h] == NULL && given(c, OPTION_UNSET))
			files[h] = "";
		n += files[h] != NULL;
	}
	if (n == 0)
		return fail_usage(c, "one of -s, -S, -t, -T is needed (or --unset)");
	return pot_set_hooks(c->env, given_one(c, 'p'), files, &e) < 0 ? fail(c, &e) : 0;
}

static const struct pot_option set_hook_options[] = {
	POT_ROW,
	{ 's', "file", COMPLETE_FILE, 0, "runs before the pot's command starts; \"\" removes it" },
	{ 'S', "file", COMPLETE_FILE, 0, "runs when the command has been started" },
	{ 't', "file", COMPLETE_FILE, 0, "runs before the pot is stopped" },
	{ 'T', "file", COMPLETE_FILE, 0, "runs when the pot has stopped" },
	UNSET_ROW("remove the hooks that are not given"),
	END,
};
const struct pot_command pot_cmd_set_hook = { "set-hook", NULL,
	"copy programs into a pot that run on this machine, as root, around its runs", COMMAND_ROOT,
	set_hook_options, NULL, run_set_hook, GROUP };

static int
update_one(struct pot_call *c, const char *pot)
{
	struct err e;
	bool changed;

	if (pot_update_config(c->env, pot, &changed, &e) < 0)
		return fail(c, &e);
	say_debug(c, "pot %s: %s", pot, changed ? "brought up to date" : "is up to date");
	return 0;
}

static int
run_update_config(struct pot_call *c)
{
	struct pot_strs names = { NULL, 0 };
	struct err e;
	int rc = 0;

	if (given(c, 'a') == given(c, 'p'))
		return fail_usage(c, "one of -p and -a is needed");
	if (given(c, 'p'))
		return update_one(c, given_one(c, 'p'));
	if (pot_names(c->env, POT_KIND_POT, &c->mem, &names, &e) < 0)
		return fail(c, &e);
	for (size_t i = 0; i < names.n; i++)
		rc |= update_one(c, names.at[i]);
	return rc;
}

static const struct pot_option update_config_options[] = {
	{ 'p', "pot", COMPLETE_POT, 0, "the pot" },
	{ 'a', NULL, 0, 0, "all pots" },
	END,
};
const struct pot_command pot_cmd_update_config = { "update-config", NULL,
	"bring the configuration of a pot of an older version up to date", COMMAND_ROOT,
	update_config_options, NULL, run_update_config, GROUP };

static int
run_set_status(struct pot_call *c)
{
	enum pot_status_answer answer;
	char link[16];
	struct err e;

	if (pot_status_ask(c->env, given_one(c, 'p'), given_one(c, 's'), &answer, link, &e) < 0)
		return fail(c, &e);
	if (answer == POT_STATUS_ALLOWED && link[0] != '\0')
		puts(link);
	say_debug(c, "nothing is recorded: the state of a pot is what runs");
	return answer == POT_STATUS_ALLOWED ? 0 : answer == POT_STATUS_ALREADY ? 2 : 1;
}

static const struct pot_option set_status_options[] = {
	POT_ROW,
	{ 's', "status", 0, OPTION_MUST, "starting, started, stopping, stopped or doa" },
	{ 'i', "interfaces", 0, OPTION_MANY, "accepted and ignored" },
	END,
};
const struct pot_command pot_cmd_set_status = { "set-status", NULL,
	"answer whether a pot may come into a state; nothing is recorded", COMMAND_ROOT,
	set_status_options, NULL, run_set_status, GROUP };
