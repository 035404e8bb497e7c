/* The setters, and get-attr: what stands in a pot's configuration. */
#include "cli/pot_cli.h"

#include "base/str.h"

#include <string.h>

#define GROUP "Configuration of a pot"
#define POT_ROW                                                                                    \
	{                                                                                          \
		'p', "pot", COMPLETE_POT, OPTION_MUST, "the pot"                                   \
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
	struct err e;

	return done(c,
	    pot_set_cmd(c->env, given_one(c, 'p'), unquote_cmd(c, given_one(c, 'c')), NULL, &e),
	    &e);
}

static const struct pot_option set_cmd_options[] = {
	POT_ROW,
	{ 'c', "command", 0, OPTION_MUST, "the command line that the pot runs" },
	END,
};
const struct pot_command pot_cmd_set_cmd = { "set-cmd", NULL, "set the command of a pot",
	COMMAND_ROOT, set_cmd_options, NULL, run_set_cmd, GROUP };

static int
run_set_env(struct pot_call *c)
{
	struct err e;

	return done(c, pot_set_env(c->env, given_one(c, 'p'), given_all(c, 'E'), &e), &e);
}

static const struct pot_option set_env_options[] = {
	POT_ROW,
	{ 'E', "VAR=value", 0, OPTION_MUST | OPTION_MANY, "a variable; replaces the whole set" },
	END,
};
const struct pot_command pot_cmd_set_env = { "set-env", NULL, "set the environment of a pot",
	COMMAND_ROOT, set_env_options, NULL, run_set_env, GROUP };

static int
run_set_hosts(struct pot_call *c)
{
	struct err e;

	return done(c, pot_set_hosts(c->env, given_one(c, 'p'), given_all(c, 'H'), &e), &e);
}

static const struct pot_option set_hosts_options[] = {
	POT_ROW,
	{ 'H', "name:ip", 0, OPTION_MANY,
	    "a line of /etc/hosts; replaces the whole set, none removes it" },
	END,
};
const struct pot_command pot_cmd_set_hosts = { "set-hosts", NULL, "set more lines of /etc/hosts",
	COMMAND_ROOT, set_hosts_options, NULL, run_set_hosts, GROUP };

static int
run_set_rss(struct pot_call *c)
{
	struct err e;

	if (!given(c, 'C') && !given(c, 'M'))
		return fail_usage(c, "one of -C and -M is needed");
	return done(c,
	    pot_set_rss(c->env, given_one(c, 'p'), given_one(c, 'C'), given_one(c, 'M'), &e), &e);
}

static const struct pot_option set_rss_options[] = {
	POT_ROW,
	{ 'C', "cpus", 0, 0, "how many processors it may use; \"\" removes the limit" },
	{ 'M', "memory", 0, 0, "how much memory, with b, k, m or g; \"\" removes the limit" },
	END,
};
const struct pot_command pot_cmd_set_rss = { "set-rss", NULL, "limit what a pot may use",
	COMMAND_ROOT, set_rss_options, NULL, run_set_rss, GROUP };

static int
run_set_attr(struct pot_call *c)
{
	struct err e;

	return done(c,
	    pot_set_attr(c->env, given_one(c, 'p'), given_one(c, 'A'), given_one(c, 'V'), &e), &e);
}

static const struct pot_option set_attr_options[] = {
	POT_ROW,
	{ 'A', "attribute", COMPLETE_ATTR, OPTION_MUST, "its name; see pot info" },
	{ 'V', "value", 0, OPTION_MUST, "its value" },
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

	return done(c, pot_set_ports(c->env, given_one(c, 'p'), given_all(c, 'e'), &e), &e);
}

static const struct pot_option export_ports_options[] = {
	POT_ROW,
	{ 'e', "[tcp:|udp:]potport[:hostport]", 0, OPTION_MUST | OPTION_MANY,
	    "a port inside the pot, and the host's port that leads there (else a free one is "
	    "chosen)" },
	END,
};
const struct pot_command pot_cmd_export_ports = { "export-ports", NULL,
	"say which ports of a pot are reachable through the host", COMMAND_ROOT,
	export_ports_options, NULL, run_export_ports, GROUP };

static int
run_add_dep(struct pot_call *c)
{
	struct err e;

	return done(c, pot_add_dep(c->env, given_one(c, 'p'), given_one(c, 'P'), &e), &e);
}

static const struct pot_option add_dep_options[] = {
	POT_ROW,
	{ 'P', "pot", COMPLETE_POT, OPTION_MUST, "the pot that is started before it" },
	END,
};
const struct pot_command pot_cmd_add_dep = { "add-dep", NULL, "let a pot depend on another",
	COMMAND_ROOT, add_dep_options, NULL, run_add_dep, GROUP };
