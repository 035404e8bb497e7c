#include "pot/priv.h"

#include <ctype.h>
#include <string.h>

/*
 * The framework's configuration. The shell implementation sources these files; here they are read
 * as what they nearly always are, KEY=value lines, and anything that only a shell could understand
 * is refused with its place.
 */

enum value_type { V_TEXT, V_UINT, V_BOOL, V_NONE };

#define AT(member) offsetof(struct pot_config, member)

static const struct row {
	struct pot_config_key key;
	enum value_type type;
	size_t offset;
} rows[] = {
	{ { "POT_ZFS_ROOT", "zroot/pot",
	      "parent of all datasets, as they are named in fscomp.conf" },
	    V_TEXT, AT(zfs_root) },
	{ { "POT_FS_ROOT", "/opt/pot", "where the tree of pots lies" }, V_TEXT, AT(fs_root) },
	{ { "POT_CACHE", "/var/cache/pot", "downloaded images" }, V_TEXT, AT(cache) },
	{ { "POT_TMP", "/tmp", "temporary files" }, V_TEXT, AT(tmp) },
	{ { "POT_GROUP", "pot",
	      "group that may look (POT_FS_ROOT is 0750 for it, where it exists)" },
	    V_TEXT, AT(group) },
	{ { "POT_HOSTNAME_MAX_LENGTH", "64", "longest host name of a pot" }, V_UINT,
	    AT(hostname_max) },
	{ { "POT_NETWORK", "10.192.0.0/10", "IPv4 network of the pots" }, V_TEXT, AT(network) },
	{ { "POT_NETMASK", "255.192.0.0", "its mask; must agree" }, V_TEXT, AT(netmask) },
	{ { "POT_GATEWAY", "10.192.0.1", "address of the public bridge" }, V_TEXT, AT(gateway) },
	{ { "POT_NETWORK6", "fdf1:9c2e:7a35::/64", "IPv6 network of the pots" }, V_TEXT,
	    AT(network6) },
	{ { "POT_GATEWAY6", "fdf1:9c2e:7a35::1", "IPv6 address of the public bridge" }, V_TEXT,
	    AT(gateway6) },
	{ { "POT_EXTIF", "", "interface to the outside; empty: that of the default route" }, V_TEXT,
	    AT(extif) },
	{ { "POT_EXTRA_EXTIF", "", "more of them, separated by blanks" }, V_TEXT, AT(extra_extif) },
	{ { "POT_EXTIF_ADDR", "", "source address for translated connections" }, V_TEXT,
	    AT(extif_addr) },
	{ { "POT_VPN_EXTIF", "", "interface of a tunnel" }, V_TEXT, AT(vpn_extif) },
	{ { "POT_VPN_NETWORKS", "",
	      "networks reached through it with a translated address, separated by blanks" },
	    V_TEXT, AT(vpn_networks) },
	{ { "POT_EXPORT_PORTS_PF_RULES_HOOK", "",
	      "program that prints the rules of exported ports, where the packet filter is pf" },
	    V_TEXT, AT(pf_rules_hook) },
	{ { "POT_NETWORK_STACK", "ipv4", "ipv4, ipv6 or dual" }, V_TEXT, AT(network_stack) },
	{ { "POT_DNS_NAME", "dns", "pot that answers DNS for -d pot" }, V_TEXT, AT(dns_name) },
	{ { "POT_DNS_IP", "10.192.0.2", "its address; never given to another pot" }, V_TEXT,
	    AT(dns_ip) },
	{ { "POT_ISOLATE_VNET_POTS", "false", "pots of one bridge cannot reach each other" },
	    V_BOOL, AT(isolate_vnet_pots) },
	{ { "POT_DEFAULT_SIGNATURE_PUBKEY", "", "key that images must be signed with" }, V_TEXT,
	    AT(signature_pubkey) },
	{ { "POT_SIGNATURES", "auto",
	      "auto: images are checked where a key is named; require: refused without one" },
	    V_TEXT, AT(signatures) },
	{ { "POT_LOG_FACILITY", "local2", "syslog facility" }, V_TEXT, AT(log_facility) },
	{ { "POT_RUN_DIR", "/var/run/pot", "locks and records of what runs" }, V_TEXT,
	    AT(run_dir) },
	{ { "POT_CGROUP", "pot", "parent of the pots' control groups, on Linux" }, V_TEXT,
	    AT(cgroup) },
	{ { "POT_BRIDGE", "pot0",
	      "interface name of the public bridge; on FreeBSD, where the kernel names interfaces, "
	      "what commands call it" },
	    V_TEXT, AT(bridge) },
	{ { "POT_NFT_TABLE", "pot", "packet filter table of our own, on Linux" }, V_TEXT,
	    AT(nft_table) },
	{ { "POT_DATASET_BACKEND", "",
	      "overlay, btrfs or zfs; empty: what the machine can do best; on FreeBSD zfs alone" },
	    V_TEXT, AT(dataset_backend) },
	{ { "POT_ZFS_COMMAND", "", "the program zfs; empty: where systems have it" }, V_TEXT,
	    AT(zfs_command) },
	{ { "POT_PORT_MIN", "1024", "lowest host port chosen for a pot" }, V_UINT, AT(port_min) },
	{ { "POT_PORT_MAX", "9999", "highest" }, V_UINT, AT(port_max) },
	{ { "POT_RESERVE_MEMORY", "",
	      "memory that stays for the machine itself, with b, k, m or g; on FreeBSD it refuses "
	      "starts" },
	    V_TEXT, AT(reserve_memory) },
	{ { "POT_RESERVE_CPUS", "0",
	      "how many processors, the lowest ones, stay for the machine itself" },
	    V_UINT, AT(reserve_cpus) },
	{ { "POT_HOOK_FAILURE", "refuse",
	      "refuse: a prestart hook that fails refuses the start; ignore: it is told" },
	    V_TEXT, AT(hook_failure) },
	{ { "POT_BOOT_WAIT", "30", "seconds that boot waits at most for a pot to be ready" },
	    V_UINT, AT(boot_wait) },
	{ { "POT_IMAGE_HOOKS", "false", "hooks inside an imported image may run on this machine" },
	    V_BOOL, AT(image_hooks) },
	{ { "POT_IMAGE_HOST_MOUNTS", "false",
	      "an imported image may name directories of this machine" },
	    V_BOOL, AT(image_host_mounts) },
	{ { "POT_MKTEMP_SUFFIX", ".XXXXXXXX", "accepted, without effect" }, V_NONE, 0 },
};

const struct pot_config_key *
pot_config_keys(size_t *n)
{
	static struct pot_config_key keys[NELEM(rows)];

	for (size_t i = 0; i < NELEM(rows); i++)
		keys[i] = rows[i].key;
	*n = NELEM(rows);
	return keys;
}

static const struct row *
row_of(const char *key, size_t len)
{
	/* all begin with POT_: the letter behind it tells most of them apart */
	for (size_t i = 0; len > 4 && i < NELEM(rows); i++) {
		const char *k = rows[i].key.key;

		if (k[4] == key[4] && strncmp(k, key, len) == 0 && k[len] == '\0')
			return &rows[i];
	}
	return NULL;
}

static bool
yes_no(const char *text, bool *out)
{
	static const char *const yes[] = { "yes", "true", "on", "1" };
	static const char *const no[] = { "no", "false", "off", "0", "" };

	for (size_t i = 0; i < NELEM(yes); i++)
		if (strcasecmp(text, yes[i]) == 0)
			return *out = true;
	for (size_t i = 0; i < NELEM(no); i++)
		if (strcasecmp(text, no[i]) == 0) {
			*out = false;
			return true;
		}
	return false;
}

static int
assign(struct pot_config *c, const struct row *row, char *value, struct err *e)
{
	char *base = (char *)c;
	uint64_t number;
	bool flag;

	switch (row->type) {
	case V_TEXT:
		memcpy(base + row->offset, &value, sizeof(value));
		return 0;
	case V_UINT:
		if (!str_u64(value, 65535, &number))
			return err_new(e, ERR_INPUT, "%s='%s': a number up to 65535 is needed",
			    row->key.key, value);
		unsigned small = (unsigned)number;
		memcpy(base + row->offset, &small, sizeof(small));
		return 0;
	case V_BOOL:
		if (!yes_no(value, &flag))
			return err_new(
			    e, ERR_INPUT, "%s='%s': yes or no is needed", row->key.key, value);
		memcpy(base + row->offset, &flag, sizeof(flag));
		return 0;
	case V_NONE:
		return 0;
	}
	return 0;
}

void
pot_config_defaults(struct pot_config *c, struct arena *mem)
{
	struct err e = ERR_INIT;

	*c = (struct pot_config){ 0 };
	for (size_t i = 0; i < NELEM(rows); i++)
		(void)assign(c, &rows[i], arena_strdup(mem, rows[i].key.def), &e);
}

const char *
pot_config_get(const struct pot_config *c, const char *key, struct arena *mem)
{
	const struct row *row = row_of(key, strlen(key));
	const char *base = (const char *)c;

	if (row == NULL || row->type == V_NONE)
		return NULL;
	if (row->type == V_TEXT) {
		char *value;
		memcpy(&value, base + row->offset, sizeof(value));
		return value;
	}
	if (row->type == V_UINT) {
		unsigned number;
		memcpy(&number, base + row->offset, sizeof(number));
		return arena_printf(mem, "%u", number);
	}
	bool flag;
	memcpy(&flag, base + row->offset, sizeof(flag));
	return flag ? "true" : "false";
}

/* "$KEY" or "${KEY}" of a key of ours; *p is behind the '$'. Others would be a shell's variables.
 */
static int
expand(const struct pot_config *c, const char **p, const char *end, struct arena *mem,
    struct buf *out, struct err *e)
{
	bool braces = *p < end && **p == '{';
	const char *name = *p + braces, *stop = name;

	while (stop < end && (isalnum((unsigned char)*stop) || *stop == '_'))
		stop++;
	if (stop == name || (braces && (stop == end || *stop != '}')))
		return err_new(
		    e, ERR_INPUT, "'$' needs a shell; write the value itself, in quotes");
	const char *key = arena_strndup(mem, name, (size_t)(stop - name));
	const char *value = pot_config_get(c, key, mem);
	if (value == NULL)
		return err_new(e, ERR_INPUT,
		    "$%s needs a shell, it is no key of this configuration; write the value itself",
		    key);
	buf_adds(out, value);
	*p = stop + braces;
	return 0;
}

/* A quoted part; *p is behind the quote. */
static int
read_quoted(const struct pot_config *c, char quote, const char **p, const char *end,
    struct arena *mem, struct buf *out, struct err *e)
{
	const char *close = memchr(*p, quote, (size_t)(end - *p));

	if (close == NULL)
		return err_new(e, ERR_INPUT, "the quote %c is not closed", quote);
	while (*p < close) {
		char ch = *(*p)++;
		if (quote == '"' && ch == '$') {
			if (expand(c, p, close, mem, out, e) < 0)
				return -1;
		} else if (quote == '"' && strchr("`\\", ch) != NULL) {
			return err_new(
			    e, ERR_INPUT, "'%c' needs a shell; write the value itself", ch);
		} else {
			buf_addc(out, ch);
		}
	}
	(*p)++;
	return 0;
}

/* A value as the shell would read it, without what only a shell can do. *p is left behind it. */
static int
read_value(const struct pot_config *c, const char **p, const char *end, struct arena *mem,
    struct buf *out, struct err *e)
{
	while (*p < end && **p != ' ' && **p != '\t') {
		char ch = *(*p)++;
		if (ch == '\'' || ch == '"') {
			if (read_quoted(c, ch, p, end, mem, out, e) < 0)
				return -1;
		} else if (ch == '$') {
			if (expand(c, p, end, mem, out, e) < 0)
				return -1;
		} else if (strchr("`\\;&|<>(){}*?[]!#~", ch) != NULL) {
			return err_new(e, ERR_INPUT,
			    "'%c' needs a shell; write the value itself, in quotes", ch);
		} else {
			buf_addc(out, ch);
		}
	}
	return 0;
}

/* A file on its way into a configuration. */
struct reading {
	struct pot_config *c;
	struct arena *mem;
	const char *file;
	unsigned line;
	struct buf value; /* of the line; one for all of them */
};

static void
keep_unknown(struct reading *r, const char *key, size_t len)
{
	struct strs_builder b = { .out = &r->c->unknown, .cap = r->c->unknown.n, .mem = r->mem };

	list_add(&b, arena_printf(r->mem, "%s:%u: %.*s", r->file, r->line, (int)len, key));
}

static int
parse_line(struct reading *r, const char *p, const char *end, struct err *e)
{
	struct pot_config *c = r->c;
	struct arena *mem = r->mem;

	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	if (p == end || *p == '#')
		return 0;
	const char *key = p;
	while (p < end && (isalnum((unsigned char)*p) || *p == '_'))
		p++;
	size_t len = (size_t)(p - key);
	if (len == 0 || p == end || *p != '=' || isdigit((unsigned char)*key))
		return err_new(e, ERR_INPUT,
		    "only KEY=value, comments and empty lines are understood (no shell runs here)");
	p++;
	buf_reset(&r->value);
	if (read_value(c, &p, end, mem, &r->value, e) < 0)
		return -1;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	if (p < end && *p != '#')
		return err_new(e, ERR_INPUT, "text after the value: put quotes around it");
	const struct row *row = row_of(key, len);
	if (row == NULL && len > 12 && memcmp(key, "POT_NETWORK_", 12) == 0) {
		/* one key for each interface of POT_EXTRA_EXTIF */
		struct strs_builder b = {
			.out = &c->extra_networks, .cap = c->extra_networks.n, .mem = mem
		};
		list_add(
		    &b, arena_printf(mem, "%.*s=%s", (int)len - 12, key + 12, buf_str(&r->value)));
		return 0;
	}
	if (row == NULL) {
		keep_unknown(r, key, len);
		return 0;
	}
	return assign(c, row, arena_strdup(mem, buf_str(&r->value)), e);
}

int
pot_config_parse(struct pot_config *c, struct arena *mem, const char *file, const char *text,
    size_t len, struct err *e)
{
	const char *p = text, *end = text + len;
	struct reading r = { .c = c, .mem = mem, .file = file, .value = BUF_INIT };
	int rc = 0;

	if (memchr(text, '\0', len) != NULL)
		return err_new(e, ERR_INPUT, "%s: not a text file", file);
	while (rc == 0 && p < end) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		const char *stop = eol != NULL ? eol : end;
		r.line++;
		if (stop > p && stop[-1] == '\r')
			stop--;
		if (parse_line(&r, p, stop, e) < 0)
			rc = err_ctx(e, "%s:%u", file, r.line);
		p = eol != NULL ? eol + 1 : end;
	}
	buf_fini(&r.value);
	return rc;
}
