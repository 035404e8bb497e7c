#include "pot/priv.h"

#include "base/ip.h"

#include <string.h>
#include <strings.h>
#include <unistd.h>

/*
 * The setters: read, change, replace, under the pot's lock.
 */

struct edit {
	struct pot_env *env;
	const char *name;
	int lock;
	struct arena mem;
	struct conf conf;
};

static void
edit_fini(struct edit *x)
{
	conf_fini(&x->conf);
	arena_fini(&x->mem);
	if (x->lock >= 0)
		close(x->lock);
}
#define autoedit CLEANUP(edit_fini)
#define EDIT_INIT                                                                                  \
	{                                                                                          \
		.lock = -1                                                                         \
	}

static int
edit_begin(struct edit *x, struct pot_env *env, const char *name, const char *act, struct err *e)
{
	struct pot_spec *spec;

	*x = (struct edit){ .env = env, .name = name, .lock = -1, .mem = ARENA_INIT };
	x->conf = (struct conf)CONF_INIT(&x->mem);
	if (pot_name_check(name, e) < 0 || need_root(act, e) < 0)
		return -1;
	x->lock = lock_pot(env, name, LOCK_WAIT, e);
	if (x->lock < 0)
		return -1;
	if (pot_spec_load(env, name, &x->mem, &spec, e) < 0 ||
	    conf_load(&x->conf, env, name, e) < 0)
		return err_ctx(e, "%s", act);
	return 0;
}

static int
edit_end(struct edit *x, struct err *e)
{
	struct pot_spec *spec;
	autobuf struct buf text = BUF_INIT;

	/* never write what could not be read back */
	conf_write(&x->conf, &text);
	if (pot_spec_parse(x->name, buf_str(&text), text.len, &x->mem, &spec, e) < 0)
		return -1;
	return conf_save(&x->conf, x->env, x->name, e);
}

static int
one_line(const char *what, const char *value, struct err *e)
{
	if (strpbrk(value, "\n\r") != NULL)
		return err_new(e, ERR_INPUT, "%s: a line break cannot be stored in pot.conf", what);
	return 0;
}

void
conf_set_cmd(struct conf *conf, const char *cmd, const char *const *argv)
{
	conf_drop_prefix(conf, "pot.cmd.argv.");
	if (argv == NULL) {
		conf_set(conf, "pot.cmd", cmd);
		return;
	}
	conf_set(conf, "pot.cmd", argv_as_cmd(argv, conf->mem));
	for (size_t i = 0; argv[i] != NULL; i++) {
		autobuf struct buf value = BUF_INIT;
		for (const char *p = argv[i]; *p != '\0'; p++)
			if (*p == '\n')
				buf_adds(&value, "\\n");
			else if (*p == '\\')
				buf_adds(&value, "\\\\");
			else
				buf_addc(&value, *p);
		conf_add(conf, arena_printf(conf->mem, "pot.cmd.argv.%zu", i), buf_str(&value));
	}
}

int
pot_set_cmd(
    struct pot_env *env, const char *name, const char *cmd, const char *const *argv, struct err *e)
{
	autoedit struct edit x = EDIT_INIT;

	if (edit_begin(&x, env, name, "set-cmd", e) < 0)
		return -1;
	if (argv != NULL && argv[0] == NULL)
		argv = NULL;
	if (cmd == NULL && argv == NULL)
		cmd = "sh /etc/rc";
	if (argv == NULL) {
		struct pot_strs words;
		bool shell;
		/* one leading double quote goes, and only then one trailing: what drivers rely on
		 */
		char *line = arena_strdup(&x.mem, cmd);
		if (*line == '"') {
			line++;
			if (str_ends(line, "\""))
				line[strlen(line) - 1] = '\0';
		}
		cmd = line;
		if (*cmd == '\0')
			return err_new(e, ERR_INPUT, "set-cmd: the command is empty");
		if (one_line("set-cmd", cmd, e) < 0 ||
		    words_split(cmd, &x.mem, &words, &shell, e) < 0)
			return err_ctx(e, "command of pot %s", name);
	}
	conf_set_cmd(&x.conf, cmd, argv);
	return edit_end(&x, e);
}

int
pot_set_env(struct pot_env *env, const char *name, const char *const *vars, struct err *e)
{
	autoedit struct edit x = EDIT_INIT;

	for (size_t i = 0; vars != NULL && vars[i] != NULL; i++) {
		const char *eq = strchr(vars[i], '=');
		if (eq == NULL || eq == vars[i])
			return err_new(
			    e, ERR_INPUT, "set-env: '%s' is not VARIABLE=value", vars[i]);
		if (one_line("set-env", vars[i], e) < 0)
			return -1;
	}
	if (edit_begin(&x, env, name, "set-env", e) < 0)
		return -1;
	conf_set(&x.conf, "pot.env", NULL);
	for (size_t i = 0; vars != NULL && vars[i] != NULL; i++) {
		autobuf struct buf value = BUF_INIT;
		buf_addc(&value, '"');
		for (const char *p = vars[i]; *p != '\0'; p++) {
			if (*p == '"')
				buf_addc(&value, '\\');
			buf_addc(&value, *p);
		}
		buf_addc(&value, '"');
		conf_add(&x.conf, "pot.env", buf_str(&value));
	}
	return edit_end(&x, e);
}

int
pot_set_hosts(struct pot_env *env, const char *name, const char *const *hosts, struct err *e)
{
	autoedit struct edit x = EDIT_INIT;

	if (edit_begin(&x, env, name, "set-hosts", e) < 0)
		return -1;
	conf_set(&x.conf, "pot.hosts", NULL);
	for (size_t i = 0; hosts != NULL && hosts[i] != NULL; i++) {
		struct ip ip;
		const char *colon = strchr(hosts[i], ':');
		if (colon == NULL || colon == hosts[i] || !ip_parse(colon + 1, &ip) ||
		    strcspn(hosts[i], " \t\n") != strlen(hosts[i]))
			return err_new(
			    e, ERR_INPUT, "set-hosts: '%s' is not NAME:ADDRESS", hosts[i]);
		conf_add(&x.conf, "pot.hosts",
		    arena_printf(&x.mem, "%s %.*s", colon + 1, (int)(colon - hosts[i]), hosts[i]));
	}
	return edit_end(&x, e);
}

int
pot_set_ports(struct pot_env *env, const char *name, const char *const *ports, struct err *e)
{
	autoedit struct edit x = EDIT_INIT;
	autobuf struct buf line = BUF_INIT;

	if (edit_begin(&x, env, name, "export-ports", e) < 0)
		return -1;
	for (size_t i = 0; ports != NULL && ports[i] != NULL; i++) {
		struct pot_port port;
		if (pot_port_parse(ports[i], &port, e) < 0)
			return -1;
		buf_addf(&line, "%s%s", i > 0 ? " " : "", ports[i]);
	}
	conf_set(&x.conf, "pot.export.ports", line.len > 0 ? buf_str(&line) : NULL);
	const char *net = conf_get(&x.conf, "network_type");
	if (line.len > 0 && net != NULL && strcmp(net, "inherit") == 0)
		pot_say(env, POT_SAY_INFO,
		    "pot %s has the machine's own network: exporting ports has no effect", name);
	return edit_end(&x, e);
}

static int
attr_value(const struct pot_attr *a, const char *value, const char **out, struct err *e)
{
	static const char *const yes[] = { "yes", "true", "on" }, *const no[] = { "no", "false",
		"off" };
	uint64_t n;

	*out = value;
	switch (a->type) {
	case POT_ATTR_BOOL:
		for (size_t i = 0; i < 3; i++) {
			if (strcasecmp(value, yes[i]) == 0)
				return *out = "YES", 0;
			if (strcasecmp(value, no[i]) == 0)
				return *out = "NO", 0;
		}
		return err_new(
		    e, ERR_INPUT, "attribute %s: '%s' is neither yes nor no", a->name, value);
	case POT_ATTR_UINT:
		if (!str_u64(value, UINT32_MAX, &n))
			return err_new(
			    e, ERR_INPUT, "attribute %s: '%s' is no number", a->name, value);
		return 0;
	case POT_ATTR_SYSV:
		if (strcmp(value, "new") != 0 && strcmp(value, "inherit") != 0 &&
		    strcmp(value, "disable") != 0)
			return err_new(e, ERR_INPUT,
			    "attribute %s: '%s' is none of new, inherit, disable", a->name, value);
		return 0;
	case POT_ATTR_STRING:
		return one_line(a->name, value, e);
	}
	return 0;
}

int
pot_set_attr(
    struct pot_env *env, const char *name, const char *attr, const char *value, struct err *e)
{
	const struct pot_attr *a = pot_attr_named(attr);
	autoedit struct edit x = EDIT_INIT;

	if (a == NULL || a->read_only)
		return err_new(e, ERR_INPUT,
		    a == NULL ? "no attribute is named '%s'" : "attribute %s is read-only", attr);
	if (value != NULL && attr_value(a, value, &value, e) < 0)
		return -1;
	if (edit_begin(&x, env, name, "set-attribute", e) < 0)
		return -1;
	conf_set(&x.conf, arena_printf(&x.mem, "pot.attr.%s", attr), value);
	if (value != NULL && strcmp(value, a->def) != 0 && !pot_attr_has_effect(env, a))
		pot_say(env, POT_SAY_INFO,
		    "attribute %s is kept, without effect on this system: %s", attr, a->meaning);
	return edit_end(&x, e);
}

int
pot_set_rss(
    struct pot_env *env, const char *name, const char *cpus, const char *memory, struct err *e)
{
	autoedit struct edit x = EDIT_INIT;
	uint64_t n;

	if (cpus != NULL && *cpus != '\0' && (!str_u64(cpus, 65535, &n) || n == 0))
		return err_new(e, ERR_INPUT, "set-rss: '%s' is no number of CPUs", cpus);
	if (memory != NULL && *memory != '\0' && (memory_parse(memory, &n) < 0 || n == 0))
		return err_new(
		    e, ERR_INPUT, "set-rss: '%s' is no size: digits and one of b, k, m, g", memory);
	if (edit_begin(&x, env, name, "set-rss", e) < 0)
		return -1;
	if (cpus != NULL)
		conf_set(&x.conf, "pot.rss.cpus", *cpus != '\0' ? cpus : NULL);
	if (memory != NULL)
		conf_set(&x.conf, "pot.rss.memory", *memory != '\0' ? memory : NULL);
	return edit_end(&x, e);
}

int
pot_add_dep(struct pot_env *env, const char *name, const char *needs, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct pot_spec *other, *spec;
	autoedit struct edit x = EDIT_INIT;

	if (strcmp(name, needs) == 0)
		return err_new(e, ERR_INPUT, "pot %s cannot depend on itself", name);
	if (pot_spec_load(env, needs, &mem, &other, e) < 0 ||
	    edit_begin(&x, env, name, "add-dep", e) < 0 ||
	    pot_spec_load(env, name, &mem, &spec, e) < 0)
		return -1;
	if (list_has(&spec->depend, needs))
		return 0;
	conf_add(&x.conf, "pot.depend", needs);
	return edit_end(&x, e);
}
