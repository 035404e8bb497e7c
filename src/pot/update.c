#include "pot/edit.h"

#include <string.h>

/*
 * update-config: what older versions wrote, as this one and pot 0.16 read it. Each step leaves a
 * file alone that is up to date, so that a second time changes nothing.
 */

static const char *
value_of(struct edit *x, const char *key)
{
	const char *v = conf_get(&x->conf, key);
	char *out, *to;

	if (v == NULL)
		return NULL;
	to = out = arena_strdup(&x->mem, v);
	for (const char *p = v; *p != '\0'; p++)
		if (*p != ' ' && *p != '\t' && *p != '"')
			*to++ = *p;
	*to = '\0';
	return out;
}

static void
missing(struct edit *x, const char *key, const char *value)
{
	if (conf_get(&x->conf, key) == NULL)
		conf_add(&x->conf, key, value);
}

/* ip4=<address>|inherit with vnet=true|false, of before network types had names */
static void
update_network(struct edit *x)
{
	const char *ip4 = value_of(x, "ip4"), *vnet = value_of(x, "vnet");
	const char *bridge = value_of(x, "bridge");
	bool own_stack = vnet != NULL && strcmp(vnet, "true") == 0;

	if (ip4 != NULL && conf_get(&x->conf, "network_type") == NULL) {
		if (strcmp(ip4, "inherit") == 0)
			conf_set(&x->conf, "network_type", "inherit");
		else
			conf_set(&x->conf, "network_type",
			    !own_stack				? "alias"
			    : bridge != NULL && *bridge != '\0' ? "private-bridge"
								: "public-bridge");
		if (strcmp(ip4, "inherit") != 0)
			missing(x, "ip", ip4);
	}
	conf_set(&x->conf, "ip4", NULL);
	missing(x, "network_type", "inherit");
	const char *type = value_of(x, "network_type");
	missing(x, "vnet", str_ends(type, "-bridge") ? "true" : "false");
	missing(x, "pot.stack", x->env->conf.network_stack);
}

static bool
has_word(const char *line, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = line; (p = strstr(p, word)) != NULL; p += n)
		if ((p == line || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
			return true;
	return false;
}

/* pot.export.static.ports=80 8080 means 80:80 8080:8080 */
static void
update_ports(struct edit *x)
{
	const char *fixed = conf_get(&x->conf, "pot.export.static.ports");
	const char *now = conf_get(&x->conf, "pot.export.ports");
	autobuf struct buf line = BUF_INIT;
	size_t n;

	if (fixed == NULL)
		return;
	buf_adds(&line, now != NULL ? now : "");
	char **port = str_split(&x->mem, fixed, ' ', &n);
	for (size_t i = 0; i < n; i++) {
		const char *pair = strchr(port[i], ':') != NULL
				       ? port[i]
				       : arena_printf(&x->mem, "%s:%s", port[i], port[i]);
		if (*port[i] != '\0' && !has_word(buf_str(&line), pair))
			buf_addf(&line, "%s%s", line.len > 0 ? " " : "", pair);
	}
	if (line.len > 0)
		conf_set(&x->conf, "pot.export.ports", buf_str(&line));
	conf_set(&x->conf, "pot.export.static.ports", NULL);
}

static size_t
times(const struct conf *c, const char *key)
{
	size_t n = 0;

	VEC_FOREACH (const struct conf_line *, l, &c->lines)
		n += !l->gone && conf_line_key(l->text, key);
	return n;
}

static void
update_attributes(struct edit *x)
{
	size_t n;
	const struct pot_attr *a = pot_attrs(&n);

	for (size_t i = 0; i < n; i++) {
		const char *key = arena_printf(&x->mem, "pot.attr.%s", a[i].name);
		/* the shell implementation added one more empty line each time */
		if (times(&x->conf, key) > 1)
			conf_set(&x->conf, key, conf_get(&x->conf, key));
		else if (a[i].at_creation)
			missing(x, key, a[i].def);
	}
}

static void
update_rest(struct edit *x)
{
	const char *cpuset = value_of(x, "pot.rss.cpuset");

	missing(x, "pot.type", "multi");
	missing(x, "pot.dns", "inherit");
	missing(x, "pot.cmd", "sh /etc/rc");
	if (cpuset == NULL)
		return;
	if (*cpuset != '\0')
		pot_say(x->env, POT_SAY_INFO,
		    "pot %s: pot.rss.cpuset=%s is not used any more and goes; 'pot set-rss -p %s "
		    "--pin %s' binds it to these CPUs",
		    x->name, cpuset, x->name, cpuset);
	conf_set(&x->conf, "pot.rss.cpuset", NULL);
}

static int
update_mounts(struct edit *x, bool *changed, struct err *e)
{
	autobuf struct buf before = BUF_INIT, after = BUF_INIT;
	char path[PATH_SIZE], root[PATH_SIZE];
	struct fscomps l;

	path_at(path, "%s/jails/%s/conf/fscomp.conf", x->env->conf.fs_root, x->name);
	if (buf_read_file(&before, path, CONF_MAX, e) < 0)
		return e->kind == ERR_ABSENT ? 0 : -1;
	if (fscomp_load(x->env, x->name, &x->mem, &l, e) < 0)
		return -1;
	path_at(root, "%s/jails/%s/m", x->env->conf.fs_root, x->name);
	fscomp_merge(buf_str(&before), before.len, root, &l, &after);
	if (before.len == after.len && memcmp(buf_str(&before), buf_str(&after), after.len) == 0)
		return 0;
	*changed = true;
	return conf_file_put(x->env, x->name, "fscomp.conf", buf_str(&after), after.len, 0644, e);
}

int
pot_update_config(struct pot_env *env, const char *name, bool *changed, struct err *e)
{
	autobuf struct buf before = BUF_INIT, after = BUF_INIT;
	autoedit struct edit x = EDIT_INIT;

	*changed = false;
	if (edit_begin(&x, env, name, "update-config", e) < 0)
		return -1;
	conf_write(&x.conf, &before);
	update_network(&x);
	update_ports(&x);
	update_attributes(&x);
	update_rest(&x);
	conf_write(&x.conf, &after);
	*changed =
	    before.len != after.len || memcmp(buf_str(&before), buf_str(&after), after.len) != 0;
	if (*changed && edit_end(&x, e) < 0)
		return -1;
	return update_mounts(&x, changed, e);
}
