#include "pot/edit.h"

#include "base/ip.h"
#include "pot/run.h"

#include <string.h>
#include <strings.h>

/*
 * The setters: read, change, replace, under the pot's lock.
 */

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

static void
add_variable(struct conf *conf, const char *assignment)
{
	autobuf struct buf value = BUF_INIT;

	buf_addc(&value, '"');
	for (const char *p = assignment; *p != '\0'; p++) {
		if (*p == '"')
			buf_addc(&value, '\\');
		buf_addc(&value, *p);
	}
	buf_addc(&value, '"');
	conf_add(conf, "pot.env", buf_str(&value));
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
	for (size_t i = 0; vars != NULL && vars[i] != NULL; i++)
		add_variable(&x.conf, vars[i]);
	return edit_end(&x, e);
}

static bool
names_variable(const char *const *names, const char *assignment)
{
	size_t n = strcspn(assignment, "=");

	for (size_t i = 0; names[i] != NULL; i++)
		if (strlen(names[i]) == n && strncmp(names[i], assignment, n) == 0)
			return true;
	return false;
}

int
pot_unset_env(struct pot_env *env, const char *name, const char *const *names, struct err *e)
{
	autoedit struct edit x = EDIT_INIT;

	if (edit_begin(&x, env, name, "set-env", e) < 0)
		return -1;
	conf_set(&x.conf, "pot.env", NULL);
	for (size_t i = 0; names != NULL && i < x.spec->env.n; i++)
		if (!names_variable(names, x.spec->env.at[i]))
			add_variable(&x.conf, x.spec->env.at[i]);
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

/* -1 for a port that is none, or that one before it leads from as well. */
static int
check_port(const char *const *ports, size_t n, struct err *e)
{
	struct pot_port port, other;

	if (pot_port_parse(ports[n], &port, e) < 0)
		return -1;
	for (size_t i = 0; i < n && port.host_port != 0; i++)
		if (pot_port_parse(ports[i], &other, e) == 0 && other.udp == port.udp &&
		    other.host_port == port.host_port)
			return err_new(e, ERR_INPUT,
			    "host port %u/%s is exported twice: by %s and by %s", port.host_port,
			    port.udp ? "udp" : "tcp", ports[i], ports[n]);
	return 0;
}

int
pot_set_ports(struct pot_env *env, const char *name, const char *const *ports, struct err *e)
{
	autoedit struct edit x = EDIT_INIT;
	autobuf struct buf line = BUF_INIT;

	if (edit_begin(&x, env, name, "export-ports", e) < 0)
		return -1;
	for (size_t i = 0; ports != NULL && ports[i] != NULL; i++) {
		if (check_port(ports, i, e) < 0)
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

/* The files of /tmp would go and come under a running pot's hands; a multi pot's root, where /tmp
 * would be, is read-only. */
static int
check_no_tmpfs(
    struct edit *x, struct pot_env *env, const char *name, const char *value, struct err *e)
{
	const char *type = conf_get(&x->conf, "pot.type");

	if (run_is_live(env, name) != 0)
		return err_new(e, ERR_BUSY, "no-tmpfs: pot %s is running; stop it first", name);
	if (value != NULL && strcmp(value, "YES") == 0 &&
	    (type == NULL || strcmp(type, "single") != 0))
		return err_new(e, ERR_INPUT, "no-tmpfs: pot %s is not of type single", name);
	return 0;
}

int
pot_set_attr(
    struct pot_env *env, const char *name, const char *attr, const char *value, struct err *e)
{
	const struct pot_attr *a = pot_attr_named(attr);
	autoedit struct edit x = EDIT_INIT;
	size_t n;

	if (a == NULL || a->read_only)
		return err_new(e, ERR_INPUT,
		    a == NULL ? "no attribute is named '%s'" : "attribute %s is read-only", attr);
	if (value != NULL && attr_value(a, value, &value, e) < 0)
		return -1;
	if (edit_begin(&x, env, name, "set-attribute", e) < 0 ||
	    (strcmp(attr, "no-tmpfs") == 0 && check_no_tmpfs(&x, env, name, value, e) < 0))
		return -1;
	conf_set(&x.conf, arena_printf(&x.mem, "pot.attr.%s", attr), value);
	x.spec->attr[a - pot_attrs(&n)] = value != NULL ? arena_strdup(&x.mem, value) : NULL;
	if (strcmp(attr, "raw_sockets") == 0) {
		x.spec->raw_refused = value != NULL && strcmp(value, "NO") == 0;
		conf_set(&x.conf, "pot.raw_sockets", x.spec->raw_refused ? POT_RAW_REFUSED : NULL);
	}
	if (pot_attr_idle(env, x.spec, a))
		pot_say(env, POT_SAY_INFO,
		    "attribute %s is kept, without effect on this system: %s", attr, a->meaning);
	return edit_end(&x, e);
}

static int
check_count(const char *what, const char *text, uint64_t min, uint64_t max, struct err *e)
{
	uint64_t n;

	if (text == NULL || *text == '\0' || (str_u64(text, max, &n) && n >= min))
		return 0;
	return err_new(e, ERR_INPUT, "set-rss: %s '%s' is no number from %llu to %llu", what, text,
	    (unsigned long long)min, (unsigned long long)max);
}

static int
check_limits(const struct pot_limits *l, struct err *e)
{
	uint64_t n;

	if (check_count("number of CPUs", l->cpus, 1, 65535, e) < 0 ||
	    check_count("number of processes", l->processes, 1, POT_PROCESSES_MAX, e) < 0 ||
	    check_count("number of open files", l->files, 1, POT_FILES_MAX, e) < 0 ||
	    check_count("I/O weight", l->io_weight, 1, 1000, e) < 0 ||
	    check_count("CPU weight", l->cpu_weight, 2, 262144, e) < 0)
		return -1;
	if (l->memory != NULL && *l->memory != '\0' && (memory_parse(l->memory, &n) < 0 || n == 0))
		return err_new(e, ERR_INPUT,
		    "set-rss: '%s' is no size: digits and one of b, k, m, g", l->memory);
	if (l->pin != NULL && *l->pin != '\0' && !pin_check(l->pin))
		return err_new(e, ERR_INPUT, "set-rss: '%s' is no list of CPUs like 0-1,3", l->pin);
	return 0;
}

int
pot_set_limits(struct pot_env *env, const char *name, const struct pot_limits *l, struct err *e)
{
	const struct {
		const char *key, *value;
	} rows[] = {
		{ "pot.rss.cpus", l->cpus },
		{ "pot.rss.memory", l->memory },
		{ "pot.rss.pin", l->pin },
		{ "pot.rss.processes", l->processes },
		{ "pot.rss.files", l->files },
		{ "pot.rss.io-weight", l->io_weight },
		{ "pot.rss.cpu-weight", l->cpu_weight },
	};
	autoedit struct edit x = EDIT_INIT;

	if (check_limits(l, e) < 0 || edit_begin(&x, env, name, "set-rss", e) < 0)
		return -1;
	for (size_t i = 0; i < NELEM(rows); i++)
		if (rows[i].value != NULL)
			conf_set(
			    &x.conf, rows[i].key, *rows[i].value != '\0' ? rows[i].value : NULL);
	return edit_end(&x, e);
}

int
pot_set_rss(
    struct pot_env *env, const char *name, const char *cpus, const char *memory, struct err *e)
{
	const struct pot_limits l = { .cpus = cpus, .memory = memory };

	return pot_set_limits(env, name, &l, e);
}

int
pot_add_dep(struct pot_env *env, const char *name, const char *needs, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct pot_spec *other;
	autoedit struct edit x = EDIT_INIT;

	if (strcmp(name, needs) == 0)
		return err_new(e, ERR_INPUT, "pot %s cannot depend on itself", name);
	if (pot_spec_load(env, needs, &mem, &other, e) < 0 ||
	    edit_begin(&x, env, name, "add-dep", e) < 0)
		return -1;
	if (list_has(&x.spec->depend, needs))
		return 0;
	conf_add(&x.conf, "pot.depend", needs);
	return edit_end(&x, e);
}

int
pot_remove_dep(struct pot_env *env, const char *name, const char *needs, struct err *e)
{
	autoedit struct edit x = EDIT_INIT;

	if (edit_begin(&x, env, name, "add-dep", e) < 0)
		return -1;
	if (needs != NULL && !list_has(&x.spec->depend, needs))
		return err_new(e, ERR_ABSENT, "pot %s does not depend on %s", name, needs);
	conf_set(&x.conf, "pot.depend", NULL);
	for (size_t i = 0; needs != NULL && i < x.spec->depend.n; i++)
		if (strcmp(x.spec->depend.at[i], needs) != 0)
			conf_add(&x.conf, "pot.depend", x.spec->depend.at[i]);
	return edit_end(&x, e);
}
