#include "plugin/plugin.h"

#include "base/clock.h"
#include "base/str.h"
#include "codec/msgpack.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

/*
 * Configuration as Nomad decoded it: every key of the schema is there, nil when it was not written.
 */

static const char *
text_of(const struct any *config, const char *key)
{
	const char *s = any_text(any_get(config, key));

	return s != NULL ? s : "";
}

/* A list of texts under `key`; nil is the empty list. */
static int
texts_of(
    const struct any *config, const char *key, struct strs *out, struct arena *a, struct err *e)
{
	const struct any *l = any_get(config, key);

	if (any_type(l) == ANY_NULL)
		return 0;
	if (any_type(l) != ANY_LIST)
		return err_new(
		    e, ERR_INPUT, "%s: a list of strings is due, not a %s", key, any_type_name(l));
	for (size_t i = 0; i < l->n; i++) {
		if (any_text(any_at(l, i)) == NULL)
			return err_new(e, ERR_INPUT, "%s: entry %zu must be a string, not a %s",
			    key, i + 1, any_type_name(any_at(l, i)));
		strs_add(out, a, any_text(any_at(l, i)));
	}
	return 0;
}

/* ---- the plugin's own ---- */

void
plugin_config_defaults(struct plugin_config *c)
{
	*c = (struct plugin_config){ .enabled = true, .image_gc_ns = -1 };
}

static int
absolute(const struct any *v, const char *key, const char **out, struct arena *a, struct err *e)
{
	const char *path = text_of(v, key);

	if (*path != '\0' && *path != '/')
		return err_new(e, ERR_INPUT, "%s: \"%s\" is not an absolute path", key, path);
	if (strpbrk(path, "'\n\r") != NULL)
		return err_new(e, ERR_INPUT, "%s: \"%s\" holds a quote or a line break", key, path);
	*out = *path != '\0' ? arena_strdup(a, path) : NULL;
	return 0;
}

static int
policy(struct plugin_config *c, const struct any *v, struct err *e)
{
	const char *signatures = text_of(v, "signatures");

	if (*signatures == '\0')
		return 0;
	if (strcmp(signatures, "auto") != 0 && strcmp(signatures, "require") != 0)
		return err_new(e, ERR_INPUT,
		    "signatures: \"%s\" is neither \"auto\" (images are checked where a key is "
		    "named) nor \"require\"",
		    signatures);
	c->signatures = arena_strdup(&c->mem, signatures);
	return 0;
}

/* What a pot-runner of our own is told; one that serves has been told by its operator. */
static int
own_runner(const struct plugin_config *c, struct err *e)
{
	const struct {
		const char *key, *value;
	} keys[] = { { "pot_conf", c->pot_conf }, { "libexec", c->libexec },
		{ "pot_root", c->pot_root }, { "signatures", c->signatures },
		{ "signature_pubkey", c->signature_pubkey } };

	if (c->runner_socket == NULL && geteuid() == 0)
		return 0;
	for (size_t i = 0; i < NELEM(keys); i++)
		if (keys[i].value != NULL)
			return err_new(e, ERR_INPUT,
			    "%s: %s, so the pot-runner that serves decides this: set it where that "
			    "one is started",
			    keys[i].key,
			    c->runner_socket != NULL ? "runner_socket is given"
						     : "the agent is not root");
	return 0;
}

static int
read_plugin(struct plugin_config *c, const struct any *v, struct err *e)
{
	const char *isolation = text_of(v, "fs_isolation"), *delay = text_of(v, "image_gc_delay");
	const struct any *enabled = any_get(v, "enabled"), *gc = any_get(v, "image_gc");
	int64_t delay_ns = 3600 * NS_PER_SEC;

	if (any_type(enabled) == ANY_BOOL)
		c->enabled = enabled->b;
	if (strcmp(isolation, "image") == 0)
		c->image_isolation = true;
	else if (*isolation != '\0' && strcmp(isolation, "none") != 0)
		return err_new(e, ERR_INPUT,
		    "fs_isolation: \"%s\" is neither \"none\" nor \"image\"", isolation);
	if (*delay != '\0' && (!duration_parse(delay, &delay_ns) || delay_ns < 0))
		return err_new(
		    e, ERR_INPUT, "image_gc_delay: \"%s\" is no duration such as \"30m\"", delay);
	if (any_type(gc) == ANY_BOOL && gc->b)
		c->image_gc_ns = delay_ns;
	if (texts_of(v, "registry_mirrors", &c->mirrors, &c->mem, e) < 0)
		return -1;
	for (size_t i = 0; i < c->mirrors.n; i++)
		if (!str_starts(c->mirrors.at[i], "http://") &&
		    !str_starts(c->mirrors.at[i], "https://"))
			return err_new(e, ERR_INPUT,
			    "registry_mirrors: \"%s\" is no http:// or https:// URL",
			    c->mirrors.at[i]);
	return absolute(v, "pot_conf", &c->pot_conf, &c->mem, e) < 0 ||
		       absolute(v, "libexec", &c->libexec, &c->mem, e) < 0 ||
		       absolute(v, "pot_root", &c->pot_root, &c->mem, e) < 0 ||
		       absolute(v, "runner_socket", &c->runner_socket, &c->mem, e) < 0 ||
		       absolute(v, "signature_pubkey", &c->signature_pubkey, &c->mem, e) < 0 ||
		       policy(c, v, e) < 0 || own_runner(c, e) < 0
		   ? -1
		   : 0;
}

int
plugin_config_read(struct plugin_config *c, const void *msgpack, size_t len, struct err *e)
{
	struct plugin_config fresh;

	plugin_config_defaults(&fresh);
	const struct any *v = msgpack_read(msgpack, len, &fresh.mem, e);
	if (v == NULL || (any_type(v) != ANY_NULL && any_type(v) != ANY_MAP)) {
		if (v != NULL)
			err_new(e, ERR_INPUT, "a map of keys is due, not a %s", any_type_name(v));
	} else if (read_plugin(&fresh, v, e) == 0) {
		arena_fini(&c->mem);
		*c = fresh;
		return 0;
	}
	arena_fini(&fresh.mem);
	return err_ctx(e, "configuration of the plugin");
}

/* ---- a task's ---- */

/* "source:target", both absolute; the source of a copy may be relative to nothing, so not. */
static int
pairs(struct task_config *c, const struct any *config, const char *key, struct arena *a,
    struct err *e)
{
	struct strs list = { 0 };

	if (texts_of(config, key, &list, a, e) < 0)
		return -1;
	for (size_t i = 0; i < list.n; i++) {
		const char *text = list.at[i], *colon = strchr(text, ':');
		if (colon == NULL || text[0] != '/' || colon[1] != '/')
			return err_new(e, ERR_INPUT,
			    "%s: \"%s\" is not \"/on/the/host:/in/the/pot\"", key, text);
		struct task_pair p = { .source = arena_strndup(a, text, (size_t)(colon - text)),
			.target = arena_strdup(a, colon + 1),
			.read_only = strcmp(key, "mount_read_only") == 0 };
		if (strcmp(key, "copy") == 0)
			VEC_PUSH(&c->copies, p);
		else
			VEC_PUSH(&c->mounts, p);
	}
	return 0;
}

/* "name:ip" becomes "ip name" (swap), "key:value" becomes "key=value"; cut at the first colon. */
static int
words(struct strs *out, const struct any *config, const char *key, bool swap, struct arena *a,
    struct err *e)
{
	struct strs list = { 0 };

	if (texts_of(config, key, &list, a, e) < 0)
		return -1;
	for (size_t i = 0; i < list.n; i++) {
		const char *text = list.at[i], *colon = strchr(text, ':');
		if (colon == NULL || colon == text || colon[1] == '\0')
			return err_new(e, ERR_INPUT, "%s: \"%s\" is not \"%s\"", key, text,
			    swap ? "name:address" : "name:value");
		int first = (int)(colon - text);
		strs_add(out, a,
		    swap ? arena_printf(a, "%s %.*s", colon + 1, first, text)
			 : arena_printf(a, "%.*s=%s", first, text, colon + 1));
	}
	return 0;
}

static int
one_port(
    struct task_config *c, const char *label, const struct any *v, struct arena *a, struct err *e)
{
	const char *text = any_scalar_text(v, a), *digits = text != NULL ? text : "";
	struct task_port p = { .label = label };
	uint64_t n;

	if (str_starts(digits, "udp:") || str_starts(digits, "tcp:")) {
		p.udp = digits[0] == 'u';
		digits += 4;
	}
	if (!str_u64(digits, 65535, &n) || n == 0)
		return err_new(e, ERR_INPUT,
		    "port_map: \"%s\" must be a port from 1 to 65535 (\"80\", \"udp:53\"), not "
		    "\"%s\"",
		    label, text != NULL ? text : "");
	p.inside = (uint16_t)n;
	VEC_PUSH(&c->ports, p);
	return 0;
}

/* A block arrives as a list of maps, whichever way it was written; all of them count. */
static int
port_map(struct task_config *c, const struct any *config, struct arena *a, struct err *e)
{
	const struct any *l = any_get(config, "port_map");

	for (size_t i = 0; any_type(l) == ANY_LIST && i < l->n; i++) {
		const struct any *m = any_at(l, i);
		for (size_t k = 0; any_type(m) == ANY_MAP && k < m->n; k++)
			if (one_port(c, m->map.key[k], m->map.value[k], a, e) < 0)
				return -1;
	}
	return 0;
}

static int
limits(struct task_config *c, const struct any *config, struct arena *a, struct err *e)
{
	const struct any *l = any_get(config, "limits");
	const struct {
		const char *key, **to;
	} known[] = { { "processes", &c->processes }, { "files", &c->files },
		{ "io_weight", &c->io_weight }, { "cpus", &c->cpus }, { "pin", &c->pin } };

	for (size_t i = 0; any_type(l) == ANY_LIST && i < l->n; i++) {
		const struct any *m = any_at(l, i);
		for (size_t k = 0; any_type(m) == ANY_MAP && k < m->n; k++) {
			size_t at = 0;
			while (at < NELEM(known) && strcmp(known[at].key, m->map.key[k]) != 0)
				at++;
			if (at == NELEM(known))
				return err_new(e, ERR_INPUT,
				    "limits: unknown key \"%s\" (processes, files, io_weight, "
				    "cpus, "
				    "pin)",
				    m->map.key[k]);
			*known[at].to = any_scalar_text(m->map.value[k], a);
		}
	}
	return 0;
}

/* Joined with blanks and left to the pot's shell rules, which is what jobs count on. */
static int
command(struct task_config *c, const struct any *config, struct arena *a, struct err *e)
{
	struct strs args = { 0 };
	const char *first = text_of(config, "command");

	if (texts_of(config, "args", &args, a, e) < 0)
		return -1;
	if (*first == '\0' && args.n > 0)
		return err_new(e, ERR_INPUT, "args: there is no command for them");
	if (*first == '\0')
		return 0;
	autobuf struct buf line = BUF_INIT;
	buf_adds(&line, first);
	for (size_t i = 0; i < args.n; i++)
		buf_addf(&line, " %s", args.at[i]);
	c->command = arena_strdup(a, buf_str(&line));
	return 0;
}

static int
source(struct task_config *c, struct err *e)
{
	const struct {
		const char *key, *value;
	} need[] = { { "image", c->image }, { "pot", c->pot }, { "tag", c->tag } };

	if (*c->path != '\0') {
		if (*c->path != '/')
			return err_new(
			    e, ERR_INPUT, "path: \"%s\" is not an absolute path", c->path);
		for (size_t i = 0; i < NELEM(need); i++)
			if (*need[i].value != '\0')
				return err_new(e, ERR_INPUT,
				    "path: it stands in place of image, pot and tag; %s is given "
				    "too",
				    need[i].key);
		return 0;
	}
	for (size_t i = 0; i < NELEM(need); i++)
		if (*need[i].value == '\0')
			return err_new(e, ERR_INPUT, "%s: it is required and missing", need[i].key);
	return 0;
}

static int
modes(const struct task_config *c, const struct any *config, struct err *e)
{
	static const char *const known[] = { "", "host", "inherit", "public-bridge", "alias",
		"private-bridge" };
	const struct any *init = any_get(config, "init");
	size_t i = 0;

	while (i < NELEM(known) && strcmp(known[i], c->network_mode) != 0)
		i++;
	if (i == NELEM(known))
		return err_new(e, ERR_INPUT,
		    "network_mode: \"%s\" is unknown (host, public-bridge, alias, private-bridge)",
		    c->network_mode);
	if (any_type(init) == ANY_BOOL && !init->b)
		return err_new(e, ERR_INPUT,
		    "init: a pot always has one; leave the key out or set it to true");
	return 0;
}

/* What the modes need beyond their name, and what the others cannot use. */
static int
addresses(struct task_config *c, const struct any *config, struct arena *a, struct err *e)
{
	bool alias = strcmp(c->network_mode, "alias") == 0,
	     private = strcmp(c->network_mode, "private-bridge") == 0,
	     public = strcmp(c->network_mode, "public-bridge") == 0;

	if (texts_of(config, "address", &c->addresses, a, e) < 0)
		return -1;
	if (alias && c->addresses.n == 0)
		return err_new(e, ERR_INPUT,
		    "address: network_mode \"alias\" needs one at least, such as \"192.0.2.10\" or "
		    "\"em0|192.0.2.10\"");
	if (c->addresses.n > 0 && !alias && !private && !public)
		return err_new(e, ERR_INPUT,
		    "address: it goes with network_mode alias, public-bridge or private-bridge");
	if (private && *c->bridge == '\0')
		return err_new(e, ERR_INPUT,
		    "bridge: network_mode \"private-bridge\" needs the name of one; 'pot ls -B' "
		    "shows them");
	if (!private && *c->bridge != '\0')
		return err_new(e, ERR_INPUT, "bridge: it goes with network_mode private-bridge");
	return 0;
}

int
task_config_read(struct task_config *c, const struct any *config, struct arena *a, struct err *e)
{
	*c = (struct task_config){ .image = text_of(config, "image"),
		.pot = text_of(config, "pot"),
		.tag = text_of(config, "tag"),
		.path = text_of(config, "path"),
		.network_mode = text_of(config, "network_mode"),
		.bridge = text_of(config, "bridge"),
		.env_file = text_of(config, "env_file") };
	if (any_type(config) != ANY_MAP)
		err_new(e, ERR_INPUT, "a map of keys is due, not a %s", any_type_name(config));
	else if (source(c, e) == 0 && modes(c, config, e) == 0 && addresses(c, config, a, e) == 0 &&
		 command(c, config, a, e) == 0 && port_map(c, config, a, e) == 0 &&
		 pairs(c, config, "copy", a, e) == 0 && pairs(c, config, "mount", a, e) == 0 &&
		 pairs(c, config, "mount_read_only", a, e) == 0 &&
		 words(&c->hosts, config, "extra_hosts", true, a, e) == 0 &&
		 words(&c->hosts, config, "hosts", true, a, e) == 0 &&
		 words(&c->attributes, config, "attributes", false, a, e) == 0 &&
		 texts_of(config, "dns", &c->dns, a, e) == 0 && limits(c, config, a, e) == 0)
		return 0;
	task_config_fini(c);
	return err_ctx(e, "config of driver pot");
}

void
task_config_fini(struct task_config *c)
{
	VEC_FINI(&c->ports);
	VEC_FINI(&c->copies);
	VEC_FINI(&c->mounts);
}
