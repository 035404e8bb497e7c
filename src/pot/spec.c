#include "pot/priv.h"

#include <string.h>

/*
 * pot.conf as values. Blanks, tabs and double quotes are dropped from most of them, as every reader
 * of these files always did; a value holds everything behind the first '='.
 */

static const char *const types[] = { [POT_SINGLE] = "single", [POT_MULTI] = "multi" };
static const char *const nets[] = {
	[POT_NET_INHERIT] = "inherit",
	[POT_NET_ALIAS] = "alias",
	[POT_NET_PUBLIC] = "public-bridge",
	[POT_NET_PRIVATE] = "private-bridge",
};
static const char *const stacks[] = { "", "ipv4", "ipv6", "dual" };
static const char *const dnss[] = { "inherit", "pot", "custom", "off" };

const char *
pot_type_text(enum pot_type t)
{
	return types[t];
}

const char *
pot_net_text(enum pot_net n)
{
	return nets[n];
}

const char *
pot_stack_text(enum pot_stack s)
{
	return stacks[s];
}

const char *
pot_dns_text(enum pot_dns d)
{
	return dnss[d];
}

static int
named(const char *const *names, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], text) == 0)
			return (int)i;
	return -1;
}

int
pot_net_named(const char *text, enum pot_net *out, struct err *e)
{
	int i = named(nets, NELEM(nets), text);

	if (i < 0)
		return err_new(e, ERR_INPUT,
		    "network type '%s' is none of inherit, alias, public-bridge, private-bridge",
		    text);
	*out = (enum pot_net)i;
	return 0;
}

int
pot_stack_named(const char *text, enum pot_stack *out, struct err *e)
{
	int i = *text == '\0' ? -1 : named(stacks, NELEM(stacks), text);

	if (i < 0)
		return err_new(
		    e, ERR_INPUT, "network stack '%s' is none of ipv4, ipv6, dual", text);
	*out = (enum pot_stack)i;
	return 0;
}

int
pot_port_parse(const char *text, struct pot_port *out, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	const char *ports = text;
	struct pot_port port = { 0 };
	uint64_t inside, outside = 0;
	size_t n;

	if (str_starts(text, "tcp:"))
		ports += 4;
	else if (str_starts(text, "udp:"))
		ports += 4, port.udp = true;
	char **part = str_split(&mem, ports, ':', &n);
	if (n > 2 || !str_u64(part[0], 65535, &inside) || inside == 0 ||
	    (n == 2 && (!str_u64(part[1], 65535, &outside) || outside == 0)))
		return err_new(e, ERR_INPUT,
		    "port '%s': [tcp:|udp:]PORT_IN_THE_POT[:HOST_PORT] with numbers from 1 to "
		    "65535",
		    text);
	port.pot_port = (uint16_t)inside;
	port.host_port = (uint16_t)outside;
	*out = port;
	return 0;
}

char *
pot_port_text(const struct pot_port *p, struct arena *mem)
{
	const char *udp = p->udp ? "udp:" : "";

	if (p->host_port == 0)
		return arena_printf(mem, "%s%u", udp, p->pot_port);
	return arena_printf(mem, "%s%u:%u", udp, p->pot_port, p->host_port);
}

/* ---- reading ---- */

struct reader {
	struct pot_spec *s;
	struct arena *mem;
	struct strs_builder depend, env, hosts, hooks;
	struct strs_builder argv;
	VEC(struct pot_port) ports;
	struct err *e;
};

static char *
squeezed(struct reader *r, const char *value)
{
	char *out = arena_strdup(r->mem, value), *to = out;

	/* control characters would only steer somebody's terminal */
	for (const char *p = out; *p != '\0'; p++)
		if ((unsigned char)*p > ' ' && *p != 0x7f && *p != '"')
			*to++ = *p;
	*to = '\0';
	return out;
}

static int
bad(struct reader *r, const char *key, const char *value)
{
	return err_new(r->e, ERR_CORRUPT, "pot.conf: %s=%s is not understood", key, value);
}

static int
read_names(struct reader *r, const char *key, const char *const *names, size_t n, const char *value,
    int *out)
{
	char *v = squeezed(r, value);
	int i = named(names, n, v);

	if (i < 0)
		return bad(r, key, v);
	*out = i;
	return 0;
}

static int
read_type(struct reader *r, const char *key, const char *value)
{
	int i = 0;
	int rc = read_names(r, key, types, NELEM(types), value, &i);

	r->s->type = (enum pot_type)i;
	return rc;
}

static int
read_net(struct reader *r, const char *key, const char *value)
{
	int i = 0;
	int rc = read_names(r, key, nets, NELEM(nets), value, &i);

	r->s->net = (enum pot_net)i;
	return rc;
}

static int
read_stack(struct reader *r, const char *key, const char *value)
{
	int i = 0;
	int rc = read_names(r, key, stacks, NELEM(stacks), value, &i);

	r->s->stack = (enum pot_stack)i;
	return rc;
}

static int
read_dns(struct reader *r, const char *key, const char *value)
{
	int i = 0;

	if (*squeezed(r, value) == '\0')
		return 0;
	int rc = read_names(r, key, dnss, NELEM(dnss), value, &i);
	r->s->dns = (enum pot_dns)i;
	return rc;
}

static int
read_level(struct reader *r, const char *key, const char *value)
{
	uint64_t n;

	if (!str_u64(squeezed(r, value), 2, &n))
		return bad(r, key, value);
	r->s->level = (unsigned)n;
	return 0;
}

static int
read_vnet(struct reader *r, const char *key, const char *value)
{
	(void)key;
	r->s->vnet = strcmp(squeezed(r, value), "true") == 0;
	return 0;
}

#define TEXT_READER(member)                                                                        \
	static int read_##member(struct reader *r, const char *key, const char *value)             \
	{                                                                                          \
		(void)key;                                                                         \
		r->s->member = squeezed(r, value);                                                 \
		return 0;                                                                          \
	}
TEXT_READER(base)
TEXT_READER(potbase)
TEXT_READER(hostname)
TEXT_READER(osrelease)
TEXT_READER(bridge)
TEXT_READER(ip6)
TEXT_READER(mac)

static int
read_ip(struct reader *r, const char *key, const char *value)
{
	(void)key;
	r->s->ip = arena_strdup(r->mem, value);
	return 0;
}

static int
read_cmd(struct reader *r, const char *key, const char *value)
{
	(void)key;
	r->s->cmd = arena_strdup(r->mem, value);
	return 0;
}

static int
read_depend(struct reader *r, const char *key, const char *value)
{
	(void)key;
	list_add(&r->depend, squeezed(r, value));
	return 0;
}

/* "VAR=value" in double quotes, inner ones escaped. */
static int
read_env(struct reader *r, const char *key, const char *value)
{
	size_t n = strlen(value);
	char *out = arena_strdup(r->mem, value), *to = out;

	if (n >= 2 && value[0] == '"' && value[n - 1] == '"')
		value++, n -= 2;
	for (size_t i = 0; i < n; i++) {
		if (value[i] == '\\' && i + 1 < n && value[i + 1] == '"')
			i++;
		*to++ = value[i];
	}
	*to = '\0';
	if (strchr(out, '=') == NULL || out[0] == '=')
		return bad(r, key, value);
	list_add(&r->env, out);
	return 0;
}

static int
read_hosts(struct reader *r, const char *key, const char *value)
{
	(void)key;
	list_add(&r->hosts, arena_strdup(r->mem, value));
	return 0;
}

static int
read_ports(struct reader *r, const char *key, const char *value)
{
	size_t n;
	char **word = str_split(r->mem, value, ' ', &n);

	(void)key;
	for (size_t i = 0; i < n; i++) {
		struct pot_port port;
		if (*word[i] == '\0')
			continue;
		if (pot_port_parse(word[i], &port, r->e) < 0) {
			r->e->kind = ERR_CORRUPT;
			return err_ctx(r->e, "pot.conf");
		}
		VEC_PUSH(&r->ports, port);
	}
	return 0;
}

static int
read_cpus(struct reader *r, const char *key, const char *value)
{
	uint64_t n;
	char *v = squeezed(r, value);

	if (*v == '\0')
		return 0;
	if (!str_u64(v, 65535, &n))
		return bad(r, key, v);
	r->s->rss_cpus = (unsigned)n;
	return 0;
}

static int
read_memory(struct reader *r, const char *key, const char *value)
{
	char *v = squeezed(r, value);

	if (*v == '\0')
		return 0;
	if (memory_parse(v, &r->s->rss_memory_bytes) < 0)
		return bad(r, key, v);
	return 0;
}

static int
read_number(struct reader *r, const char *key, const char *value, uint64_t max, uint64_t *out)
{
	char *v = squeezed(r, value);

	*out = 0;
	return *v == '\0' || str_u64(v, max, out) ? 0 : bad(r, key, v);
}

static int
read_processes(struct reader *r, const char *key, const char *value)
{
	return read_number(r, key, value, POT_PROCESSES_MAX, &r->s->rss_processes);
}

static int
read_files(struct reader *r, const char *key, const char *value)
{
	return read_number(r, key, value, POT_FILES_MAX, &r->s->rss_files);
}

static int
read_io_weight(struct reader *r, const char *key, const char *value)
{
	uint64_t n;
	int rc = read_number(r, key, value, 1000, &n);

	r->s->rss_io_weight = (unsigned)n;
	return rc;
}

static int
read_cpu_weight(struct reader *r, const char *key, const char *value)
{
	uint64_t n;
	int rc = read_number(r, key, value, 262144, &n);

	r->s->rss_cpu_weight = (unsigned)n;
	return rc;
}

/* "0-1,3" */
bool
pin_check(const char *text)
{
	const char *p = text;

	do {
		unsigned long first, last;
		char *end;
		if (*p < '0' || *p > '9')
			return false;
		first = last = strtoul(p, &end, 10);
		p = end;
		if (*p == '-') {
			if (p[1] < '0' || p[1] > '9')
				return false;
			last = strtoul(p + 1, &end, 10);
			p = end;
		}
		if (first > last || last > 65535)
			return false;
	} while (*p == ',' && *++p != '\0');
	return *p == '\0' && p[-1] != ',';
}

static int
read_pin(struct reader *r, const char *key, const char *value)
{
	char *v = squeezed(r, value);

	if (*v != '\0' && !pin_check(v))
		return bad(r, key, v);
	r->s->rss_pin = v;
	return 0;
}

static int
read_hook(struct reader *r, const char *key, const char *value)
{
	(void)key;
	list_add(&r->hooks, squeezed(r, value));
	return 0;
}

static int
read_image(struct reader *r, const char *key, const char *value)
{
	(void)key;
	r->s->imported = *squeezed(r, value) != '\0';
	return 0;
}

static int
read_raw_sockets(struct reader *r, const char *key, const char *value)
{
	(void)key;
	r->s->raw_refused = strcmp(squeezed(r, value), POT_RAW_REFUSED) == 0;
	return 0;
}

static int
read_root(struct reader *r, const char *key, const char *value)
{
	(void)key;
	r->s->root_dir = arena_strdup(r->mem, value);
	return 0;
}

static int
read_root_strict(struct reader *r, const char *key, const char *value)
{
	(void)key;
	r->s->root_strict = strcmp(squeezed(r, value), "YES") == 0;
	return 0;
}

static int
read_outdated(struct reader *r, const char *key, const char *value)
{
	(void)key;
	(void)value;
	r->s->outdated = true;
	return 0;
}

static const struct {
	const char *key;
	int (*read)(struct reader *, const char *key, const char *value);
} readers[] = {
	{ "pot.level", read_level },
	{ "pot.type", read_type },
	{ "pot.base", read_base },
	{ "pot.potbase", read_potbase },
	{ "pot.dns", read_dns },
	{ "pot.cmd", read_cmd },
	{ "host.hostname", read_hostname },
	{ "osrelease", read_osrelease },
	{ "pot.stack", read_stack },
	{ "network_type", read_net },
	{ "vnet", read_vnet },
	{ "ip", read_ip },
	{ "ip6", read_ip6 },
	{ "mac", read_mac },
	{ "bridge", read_bridge },
	{ "pot.depend", read_depend },
	{ "pot.env", read_env },
	{ "pot.hosts", read_hosts },
	{ "pot.export.ports", read_ports },
	{ "pot.rss.cpus", read_cpus },
	{ "pot.rss.memory", read_memory },
	{ "pot.rss.pin", read_pin },
	{ "pot.rss.processes", read_processes },
	{ "pot.rss.files", read_files },
	{ "pot.rss.io-weight", read_io_weight },
	{ "pot.rss.cpu-weight", read_cpu_weight },
	{ "pot.hook", read_hook },
	{ "pot.image", read_image },
	{ "pot.root", read_root },
	{ "pot.root.no-links", read_root_strict },
	{ "pot.raw_sockets", read_raw_sockets },
	{ "ip4", read_outdated },
	{ "pot.export.static.ports", read_outdated },
};

int
memory_parse(const char *text, uint64_t *bytes)
{
	static const char units[] = "bkmg";
	char digits[24];
	size_t n = strspn(text, "0123456789");
	uint64_t value;
	unsigned shift = 0;

	if (n == 0 || n >= sizeof(digits) || (text[n] != '\0' && text[n + 1] != '\0'))
		return -1;
	memcpy(digits, text, n);
	digits[n] = '\0';
	if (!str_u64(digits, UINT64_MAX, &value))
		return -1;
	if (text[n] != '\0') {
		const char *unit = strchr(units, text[n] | 0x20);
		if (unit == NULL)
			return -1;
		shift = (unsigned)(unit - units) * 10;
	}
	if (value > (UINT64_MAX >> shift))
		return -1;
	*bytes = value << shift;
	return 0;
}

/* "\\" and "\n" stand for themselves escaped, so that every argument fits one line. */
static void
read_arg(struct reader *r, const char *value)
{
	char *out = arena_strdup(r->mem, value), *to = out;

	for (const char *p = value; *p != '\0'; p++) {
		if (*p == '\\' && p[1] != '\0') {
			p++;
			*to++ = *p == 'n' ? '\n' : *p;
		} else {
			*to++ = *p;
		}
	}
	*to = '\0';
	list_add(&r->argv, out);
}

static int
read_line(struct reader *r, const char *line)
{
	const char *eq = strchr(line, '=');
	char key[64];

	if (eq == NULL || (size_t)(eq - line) >= sizeof(key))
		return 0;
	memcpy(key, line, (size_t)(eq - line));
	key[eq - line] = '\0';
	if (str_starts(key, "pot.attr.")) {
		const struct pot_attr *a = pot_attr_named(key + 9);
		size_t n;
		if (a != NULL)
			r->s->attr[a - pot_attrs(&n)] = a->type == POT_ATTR_STRING
							    ? arena_strdup(r->mem, eq + 1)
							    : squeezed(r, eq + 1);
		return 0;
	}
	if (str_starts(key, "pot.cmd.argv.")) {
		read_arg(r, eq + 1);
		return 0;
	}
	for (size_t i = 0; i < NELEM(readers); i++)
		if (strcmp(readers[i].key, key) == 0)
			return readers[i].read(r, key, eq + 1);
	return 0;
}

static int
read_lines(struct reader *r, const char *text, size_t len)
{
	autobuf struct buf line = BUF_INIT;

	for (const char *p = text, *end = text + len; p < end;) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		size_t n = eol != NULL ? (size_t)(eol - p) : (size_t)(end - p);
		buf_reset(&line);
		buf_add(&line, p, n);
		if (read_line(r, buf_str(&line)) < 0)
			return -1;
		p += n + 1;
	}
	return 0;
}

char *
argv_as_cmd(const char *const *argv, struct arena *mem)
{
	char *line = words_join(argv, mem);

	for (char *p = line; *p != '\0'; p++)
		if (*p == '\n')
			*p = ' ';
	return line;
}

/* Somebody who does not know of the list may have set another command meanwhile. */
static void
drop_stale_argv(struct pot_spec *s, struct arena *mem)
{
	if (s->argv.n > 0 && strcmp(argv_as_cmd((const char *const *)s->argv.at, mem), s->cmd) != 0)
		s->argv = (struct pot_strs){ 0 };
}

int
pot_spec_parse(const char *name, const char *text, size_t len, struct arena *mem,
    struct pot_spec **out, struct err *e)
{
	size_t n_attrs;
	(void)pot_attrs(&n_attrs);
	struct pot_spec *s = arena_new(mem, struct pot_spec);
	struct reader r = { .s = s, .mem = mem, .ports = VEC_INIT, .e = e };

	if (len > 0 && memchr(text, '\0', len) != NULL)
		return err_new(e, ERR_CORRUPT, "pot.conf holds a zero byte");
	char *none = arena_strdup(mem, "");
	*s = (struct pot_spec){ .name = arena_strdup(mem, name),
		.type = POT_MULTI,
		.base = none,
		.potbase = none,
		.cmd = arena_strdup(mem, "sh /etc/rc"),
		.hostname = none,
		.osrelease = none,
		.ip = none,
		.ip6 = none,
		.mac = none,
		.bridge = none,
		.rss_pin = none,
		.root_dir = none };
	s->attr = arena_array(mem, n_attrs, char *);
	r.depend = (struct strs_builder)STRS_BUILDER(&s->depend, mem);
	r.env = (struct strs_builder)STRS_BUILDER(&s->env, mem);
	r.hosts = (struct strs_builder)STRS_BUILDER(&s->hosts, mem);
	r.hooks = (struct strs_builder)STRS_BUILDER(&s->hooks, mem);
	r.argv = (struct strs_builder)STRS_BUILDER(&s->argv, mem);
	int rc = read_lines(&r, text, len);
	if (rc == 0 && r.ports.n > 0)
		s->ports = arena_memdup(mem, r.ports.at, r.ports.n * sizeof(*r.ports.at));
	s->n_ports = r.ports.n;
	VEC_FINI(&r.ports);
	if (rc < 0)
		return -1;
	drop_stale_argv(s, mem);
	*out = s;
	return 0;
}

int
pot_spec_load(
    struct pot_env *env, const char *name, struct arena *mem, struct pot_spec **out, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	char path[PATH_SIZE];
	int exists;

	if (pot_name_check(name, e) < 0)
		return -1;
	path_at(path, "%s/jails/%s/conf/pot.conf", env->conf.fs_root, name);
	if (buf_read_file(&text, path, CONF_MAX, e) < 0) {
		if (e->kind != ERR_ABSENT)
			return err_ctx(e, "pot %s", name);
		struct err why = ERR_INIT;
		exists = pot_exists(env, name, &why);
		if (exists > 0)
			return err_new(e, ERR_CORRUPT,
			    "pot %s has no conf/pot.conf; 'pot destroy -p %s -F' removes it", name,
			    name);
		return err_new(
		    e, ERR_ABSENT, "no pot is named '%s'; 'pot ls' shows those there are", name);
	}
	if (pot_spec_parse(name, buf_str(&text), text.len, mem, out, e) < 0)
		return err_ctx(e, "pot %s", name);
	return 0;
}

const char *
pot_spec_attr(const struct pot_spec *s, const char *name)
{
	const struct pot_attr *a = pot_attr_named(name);
	size_t n;

	if (a == NULL)
		return "";
	const char *set = s->attr[a - pot_attrs(&n)];
	return set != NULL ? set : a->def;
}

bool
pot_spec_yes(const struct pot_spec *s, const char *attr)
{
	const char *value = pot_spec_attr(s, attr);

	/* anything but NO means persistent; the others ask for YES */
	return strcmp(attr, "persistent") == 0 ? strcmp(value, "NO") != 0
					       : strcmp(value, "YES") == 0;
}

enum pot_stack
pot_spec_stack(const struct pot_env *env, const struct pot_spec *s)
{
	int i;

	if (s->stack != POT_STACK_UNSET)
		return s->stack;
	i = named(stacks, NELEM(stacks), env->conf.network_stack);
	return i > 0 ? (enum pot_stack)i : POT_STACK_IPV4;
}
