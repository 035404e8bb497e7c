#include "base/ids.h"
#include "pot/net.h"
#include "pot/priv.h"
#include "pot/run.h"
#include "store/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Private bridges: a part of the pots' network with an interface of its own. The file
 * bridges/<name> is all there is of one until a pot needs it. LOCK_ALLOC is held from looking what
 * is free, or who uses it, until the file is there, or gone.
 */

void
bridges_fini(struct bridges *b)
{
	VEC_FINI(&b->all);
}

/* An interface's name has at most 15 characters; longer names of bridges are told by their hash. */
const char *
bridge_link(const char *name, char out[NETIF_NAME])
{
	if (strlen(name) + 4 < NETIF_NAME)
		snprintf(out, NETIF_NAME, "pot-%s", name);
	else
		snprintf(out, NETIF_NAME, "pot-%011llx",
		    (unsigned long long)(ids_hash64(name, strlen(name)) & 0xfffffffffffULL));
	return out;
}

static bool
value_of(const char *line, size_t len, const char *key, char *out, size_t size)
{
	size_t n = strlen(key);

	if (len <= n || memcmp(line, key, n) != 0 || len - n >= size)
		return false;
	memcpy(out, line + n, len - n);
	out[len - n] = '\0';
	out[strcspn(out, " \t\r")] = '\0';
	return true;
}

int
bridge_parse(const char *name, const char *text, size_t len, struct bridge *out, struct err *e)
{
	struct bridge b = { .net.prefix = 0 };
	char value[IPNET_TEXT];

	for (const char *p = text, *end = text + len; p < end;) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		size_t n = eol != NULL ? (size_t)(eol - p) : (size_t)(end - p);
		if (value_of(p, n, "net=", value, sizeof(value)))
			(void)ipnet_parse(value, &b.net);
		else if (value_of(p, n, "gateway=", value, sizeof(value)))
			(void)ip_parse(value, &b.gateway);
		p += n + 1;
	}
	if (b.net.addr.family != AF_INET || b.net.prefix > 30 || b.gateway.family != AF_INET ||
	    !ipnet_contains(&b.net, &b.gateway))
		return err_new(e, ERR_CORRUPT,
		    "bridges/%s does not say net=NETWORK and gateway=ADDRESS; 'pot destroy -B %s' "
		    "removes it",
		    name, name);
	str_copy(b.name, sizeof(b.name), name);
	bridge_link(name, b.link);
	*out = b;
	return 0;
}

int
bridge_load(struct pot_env *env, const char *name, struct bridge *out, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	char path[PATH_SIZE];

	if (pot_bridge_name_check(name, e) < 0)
		return -1;
	path_at(path, "%s/bridges/%s", env->conf.fs_root, name);
	if (buf_read_file(&text, path, 4096, e) < 0)
		return e->kind == ERR_ABSENT
			   ? err_new(e, ERR_ABSENT,
				 "no private bridge is named '%s'; 'pot create-private-bridge -B "
				 "%s -S HOSTS' makes one",
				 name, name)
			   : -1;
	return bridge_parse(name, buf_str(&text), text.len, out, e);
}

static void
add_bridge(void *ctx, const char *name, const char *text, size_t len)
{
	struct bridges *b = ctx;
	struct err ignored = ERR_INIT;
	struct bridge one;

	if (pot_bridge_name_check(name, &ignored) == 0 &&
	    bridge_parse(name, text, len, &one, &ignored) == 0)
		VEC_PUSH(&b->all, one);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct bridge *)a)->name, ((const struct bridge *)b)->name);
}

int
bridges_load(struct pot_env *env, struct bridges *out, struct err *e)
{
	char path[PATH_SIZE];

	if (each_file(path_at(path, "%s/bridges", env->conf.fs_root), "", add_bridge, out, e) < 0)
		return -1;
	if (out->all.n > 1)
		qsort(out->all.at, out->all.n, sizeof(*out->all.at), by_name);
	return 0;
}

int
pot_bridge_name_check(const char *name, struct err *e)
{
	if (pot_word_check("bridge", name, e) < 0)
		return -1;
	if (strlen(name) > POT_BRIDGE_NAME_MAX)
		return err_new(
		    e, ERR_INPUT, "bridge '%s': at most %d characters", name, POT_BRIDGE_NAME_MAX);
	return 0;
}

/* ---- making ---- */

/* The smallest network with room for the hosts, the gateway, its own address and the broadcasts'.
 */
static int
prefix_for(unsigned hosts)
{
	int bits = 2;

	while (bits < 31 && (1ULL << bits) < hosts + 3ULL)
		bits++;
	return 32 - bits;
}

static int
new_net(struct pot_env *env, unsigned hosts, struct ipnet *net, struct ip *gateway, struct err *e)
{
	autotakens struct takens t = TAKENS_INIT;
	struct nets n;

	if (hosts < 2)
		return err_new(
		    e, ERR_INPUT, "a private bridge for %u hosts: two at least are needed", hosts);
	if (nets_read(env, &n, e) < 0 || takens_read(env, &n, &t, e) < 0 ||
	    taken_block(&t, &n.net4, prefix_for(hosts), net, e) < 0)
		return -1;
	*gateway = ipnet_first(net);
	(void)ip_next(gateway);
	return 0;
}

int
pot_new_net(struct pot_env *env, unsigned hosts, char net[52], char gateway[48], struct err *e)
{
	struct ipnet block;
	struct ip first;

	if (new_net(env, hosts, &block, &first, e) < 0)
		return -1;
	ipnet_text(&block, net);
	ip_text(&first, gateway);
	return 0;
}

static int
create_locked(struct pot_env *env, const char *name, unsigned hosts, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	char path[PATH_SIZE], net[IPNET_TEXT], gateway[IP_TEXT];

	path_at(path, "%s/bridges/%s", env->conf.fs_root, name);
	if (access(path, F_OK) == 0)
		return err_new(e, ERR_EXISTS, "a private bridge named '%s' exists already", name);
	if (pot_new_net(env, hosts, net, gateway, e) < 0)
		return -1;
	buf_addf(&text, "net=%s\ngateway=%s\nname=%s\n", net, gateway, name);
	path_at(path, "%s/bridges", env->conf.fs_root);
	if (make_dirs(path, 0755, e) < 0)
		return -1;
	autofd int dir = open_dir(path, e);
	return dir < 0 ? -1 : file_replace(dir, name, buf_str(&text), text.len, 0644, e);
}

int
pot_bridge_create(struct pot_env *env, const char *name, unsigned hosts, struct err *e)
{
	if (pot_bridge_name_check(name, e) < 0 || need_root("create-private-bridge", e) < 0 ||
	    pot_env_ready(env, e) < 0)
		return -1;
	autofd int alloc = lock_named(env, LOCK_ALLOC, LOCK_WAIT, e);
	if (alloc < 0 || create_locked(env, name, hosts, e) < 0)
		return err_ctx(e, "create private bridge %s", name);
	return 0;
}

/* ---- removing ---- */

struct users {
	const char *bridge;
	char by[POT_NAME_MAX + 1];
};

static void
note_user(void *ctx, const char *name, const char *text, size_t len)
{
	struct users *u = ctx;
	char value[POT_BRIDGE_NAME_MAX + 1];

	for (const char *p = text, *end = text + len; p < end;) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		size_t n = eol != NULL ? (size_t)(eol - p) : (size_t)(end - p);
		if (value_of(p, n, "bridge=", value, sizeof(value)) &&
		    strcmp(value, u->bridge) == 0)
			str_copy(u->by, sizeof(u->by), name);
		p += n + 1;
	}
}

static int
refuse_used(struct pot_env *env, const char *name, struct err *e)
{
	struct users u = { .bridge = name };
	char path[PATH_SIZE];

	if (each_file(path_at(path, "%s/jails", env->conf.fs_root), "/conf/pot.conf", note_user, &u,
		e) < 0 ||
	    each_file(path_at(path, "%s/.intents", env->conf.fs_root), "", note_user, &u, e) < 0)
		return -1;
	return u.by[0] == '\0'
		   ? 0
		   : err_new(e, ERR_BUSY, "pot %s belongs to it; destroy that first", u.by);
}

int
pot_bridge_destroy(struct pot_env *env, const char *name, struct err *e)
{
	char path[PATH_SIZE], link[NETIF_NAME];

	if (pot_bridge_name_check(name, e) < 0 || need_root("destroy", e) < 0 ||
	    pot_env_ready(env, e) < 0)
		return -1;
	autofd int alloc = lock_named(env, LOCK_ALLOC, LOCK_WAIT, e);
	if (alloc < 0)
		return -1;
	path_at(path, "%s/bridges/%s", env->conf.fs_root, name);
	if (access(path, F_OK) < 0)
		return err_new(e, ERR_ABSENT, "no private bridge is named '%s'", name);
	if (refuse_used(env, name, e) < 0)
		return err_ctx(e, "destroy private bridge %s", name);
	if (only_told(env, "private bridge %s", name))
		return 0;
	/* the interface first: without its file nobody would know whose it is */
	path_at(path, "%s/bridges", env->conf.fs_root);
	autofd int dir = open_dir(path, e);
	if (dir < 0 || env->host->netif->bridge_remove(env->host, bridge_link(name, link), e) < 0 ||
	    file_remove(dir, name, e) < 0)
		return err_ctx(e, "destroy private bridge %s", name);
	return 0;
}

int
pot_bridge_info(
    struct pot_env *env, const char *name, struct arena *mem, struct pot_bridge *out, struct err *e)
{
	autonetif_bridge struct netif_bridge info = NETIF_BRIDGE_INIT;
	char text[IPNET_TEXT];
	struct bridge b;

	if (bridge_load(env, name, &b, e) < 0)
		return -1;
	*out = (struct pot_bridge){ .name = arena_strdup(mem, b.name),
		.link = arena_strdup(mem, b.link),
		.network = arena_strdup(mem, ipnet_text(&b.net, text)),
		.gateway = arena_strdup(mem, ip_text(&b.gateway, text)) };
	if (env->host->netif->bridge_info(env->host, b.link, &info, e) < 0)
		return e->kind == ERR_ABSENT ? 0 : -1;
	out->up = info.up;
	return 0;
}
