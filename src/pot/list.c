#include "platform/facts.h"
#include "platform/limits.h"
#include "platform/netif.h"
#include "platform/filter.h"
#include "pot/net.h"
#include "pot/start.h"
#include "pot/tree.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Looking. Nothing here takes a lock: configurations are replaced whole, records only grow.
 */

const char *
pot_running_text(enum pot_running r)
{
	static const char *const names[] = { "stopped", "running", "starting", "stopping",
		"unknown" };

	return names[r];
}

static void
state_of(struct pot_env *env, const struct run *r, struct arena *mem, struct pot_state *out)
{
	struct err e = ERR_INIT;
	int alive = run_alive(env, r, &e);

	str_copy(out->run_id, sizeof(out->run_id), r->id);
	if (alive == 0 && r->running_ns == 0 &&
	    env->host->proc->alive(r->starter, r->starter_start, &e) > 0)
		alive = 1;
	if (alive <= 0) {
		out->running = alive < 0 ? POT_UNKNOWN : POT_STOPPED;
		return;
	}
	out->running = r->stopping ? POT_STOPPING : r->running_ns == 0 ? POT_STARTING : POT_RUNNING;
	out->init_pid = r->init;
	out->number = pot_number(env, r->init);
	out->keeper_pid = r->keeper;
	out->keeper_start = r->keeper_start;
	out->started_ns = r->running_ns;
	out->n_maps = r->n_ports;
	out->maps =
	    r->n_ports > 0 ? arena_memdup(mem, r->ports, r->n_ports * sizeof(*r->ports)) : NULL;
	if ((r->begun & (1u << RUN_NETWORK)) != 0)
		run_link(r, out->link);
}

/* Fills in what is known; never fails: what cannot be read is POT_UNKNOWN. */
static void
look(struct pot_env *env, const char *name, struct arena *mem, struct pot_state *out)
{
	struct err e = ERR_INIT;
	struct run r;

	*out = (struct pot_state){ .running = POT_STOPPED };
	if (run_read(env, name, &r, &e) == 0)
		state_of(env, &r, mem, out);
	else if (e.kind != ERR_ABSENT)
		out->running = POT_UNKNOWN;
	else {
		int stray = stray_runs(env, name, &e);
		out->running = stray < 0 ? POT_UNKNOWN : stray > 0 ? POT_RUNNING : POT_STOPPED;
		out->number = stray > 0 ? stray : 0;
	}
}

int
pot_state(
    struct pot_env *env, const char *name, struct arena *mem, struct pot_state *out, struct err *e)
{
	if (pot_name_check(name, e) < 0)
		return -1;
	look(env, name, mem, out);
	return 0;
}

static int
names_in(const char *path, bool directories, struct arena *mem, struct pot_strs *out, struct err *e)
{
	struct strs_builder b = STRS_BUILDER(out, mem);
	struct dirent *d;
	DIR *dir = opendir(path);

	*out = (struct pot_strs){ 0 };
	if (dir == NULL)
		return errno == ENOENT ? 0 : err_sys(e, "read %s", path);
	while ((d = readdir(dir)) != NULL) {
		struct stat st;
		bool is_dir = d->d_type == DT_DIR;
		if (d->d_name[0] == '.')
			continue;
		if (d->d_type == DT_UNKNOWN && fstatat(dirfd(dir), d->d_name, &st, 0) == 0)
			is_dir = S_ISDIR(st.st_mode);
		if (is_dir == directories)
			list_add(&b, arena_strdup(mem, d->d_name));
	}
	closedir(dir);
	list_sort(out);
	return 0;
}

static int
without_intents(struct pot_env *env, enum intent_kind kind, struct arena *mem,
    struct pot_strs *names, struct err *e)
{
	struct pot_strs pending;
	size_t n = 0;

	if (intent_list(env, kind, mem, &pending, e) < 0)
		return -1;
	for (size_t i = 0; i < names->n; i++)
		if (!list_has(&pending, names->at[i]))
			names->at[n++] = names->at[i];
	names->n = n;
	if (names->at != NULL)
		names->at[n] = NULL;
	return 0;
}

/* Files of the flavour directory, ".sh" cut, each name once. */
static int
flavour_names(struct pot_env *env, struct arena *mem, struct pot_strs *out, struct err *e)
{
	struct pot_strs files;
	struct strs_builder b = STRS_BUILDER(out, mem);
	char path[PATH_SIZE];

	*out = (struct pot_strs){ 0 };
	if (names_in(path_at(path, "%s/flavours", env->etc), false, mem, &files, e) < 0)
		return -1;
	for (size_t i = 0; i < files.n; i++) {
		if (str_ends(files.at[i], ".sh"))
			files.at[i][strlen(files.at[i]) - 3] = '\0';
		if (!list_has(out, files.at[i]))
			list_add(&b, files.at[i]);
	}
	list_sort(out);
	return 0;
}

int
pot_names(
    struct pot_env *env, enum pot_kind kind, struct arena *mem, struct pot_strs *out, struct err *e)
{
	char path[PATH_SIZE];
	const char *root = env->conf.fs_root;

	switch (kind) {
	case POT_KIND_POT:
		if (names_in(path_at(path, "%s/jails", root), true, mem, out, e) < 0)
			return -1;
		return without_intents(env, INTENT_POT, mem, out, e);
	case POT_KIND_BASE:
		if (names_in(path_at(path, "%s/bases", root), true, mem, out, e) < 0)
			return -1;
		return without_intents(env, INTENT_BASE, mem, out, e);
	case POT_KIND_FSCOMP:
		return names_in(path_at(path, "%s/fscomp", root), true, mem, out, e);
	case POT_KIND_BRIDGE:
		return names_in(path_at(path, "%s/bridges", root), false, mem, out, e);
	case POT_KIND_FLAVOUR:
		return flavour_names(env, mem, out, e);
	}
	return 0;
}

int
all_pots(struct pot_env *env, struct arena *mem, struct pot_strs *out, struct err *e)
{
	struct strs_builder b = STRS_BUILDER(out, mem);
	struct pot_strs all, pending;

	*out = (struct pot_strs){ 0 };
	if (pot_names(env, POT_KIND_POT, mem, &all, e) < 0 ||
	    intent_list(env, INTENT_POT, mem, &pending, e) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++)
		list_add(&b, all.at[i]);
	for (size_t i = 0; i < pending.n; i++)
		list_add(&b, pending.at[i]);
	list_sort(out);
	return 0;
}

int
pot_list(struct pot_env *env, bool only_running, struct arena *mem, struct pot_row **out, size_t *n,
    struct err *e)
{
	struct pot_strs names;
	size_t used = 0;

	if (pot_env_ready(env, e) < 0 || pot_names(env, POT_KIND_POT, mem, &names, e) < 0)
		return -1;
	struct pot_row *rows = arena_array(mem, names.n + 1, struct pot_row);
	for (size_t i = 0; i < names.n; i++) {
		struct pot_row *row = &rows[used];
		struct err why = ERR_INIT;
		*row = (struct pot_row){ .name = names.at[i] };
		look(env, row->name, mem, &row->state);
		if (only_running && row->state.running == POT_STOPPED)
			continue;
		if (pot_spec_load(env, row->name, mem, &row->spec, &why) < 0) {
			row->spec = NULL;
			row->why = arena_strdup(mem, why.text);
		}
		row->path = arena_printf(mem, "%s/jails/%s/m", env->conf.fs_root, row->name);
		used++;
	}
	*out = rows;
	*n = used;
	return 0;
}

static int
info_snapshots(struct pot_env *env, struct arena *mem, struct pot_info *out, struct err *e)
{
	struct strs_builder names = STRS_BUILDER(&out->snapshots, mem),
			    full = STRS_BUILDER(&out->full_snapshots, mem);

	for (size_t i = 0; i < out->datasets.n; i++) {
		autonames struct names snaps = NAMES_INIT;
		const char *dataset = out->datasets.at[i];
		bool last = i + 1 == out->datasets.n;
		if (env->host->dataset->snapshots(env->host, dataset, &snaps, e) < 0)
			return -1;
		for (size_t k = 0; k < snaps.n; k++) {
			list_add(&full, arena_printf(mem, "%s/%s@%s", env->conf.zfs_root, dataset,
					    snaps.at[k]));
			if (last)
				list_add(&names, arena_strdup(mem, snaps.at[k]));
		}
	}
	return 0;
}

int
pot_info_brief(
    struct pot_env *env, const char *name, struct arena *mem, struct pot_info *out, struct err *e)
{
	struct fscomps mounts;

	if (pot_env_ready(env, e) < 0)
		return -1;
	*out = (struct pot_info){ 0 };
	if (pot_spec_load(env, name, mem, &out->spec, e) < 0 ||
	    fscomp_load(env, name, mem, &mounts, e) < 0)
		return -1;
	look(env, name, mem, &out->state);
	out->mounts = mounts.at;
	out->n_mounts = mounts.n;
	out->path = arena_printf(mem, "%s/jails/%s/m", env->conf.fs_root, name);
	if (access(out->path, F_OK) < 0)
		return err_new(e, ERR_CORRUPT, "pot %s has no root dataset", name);
	return 0;
}

int
pot_info(
    struct pot_env *env, const char *name, struct arena *mem, struct pot_info *out, struct err *e)
{
	autonames struct names tree = NAMES_INIT;
	struct strs_builder datasets = STRS_BUILDER(&out->datasets, mem);

	if (pot_info_brief(env, name, mem, out, e) < 0)
		return -1;
	if (pot_tree(env, name, &tree, e) < 0)
		return -1;
	for (size_t i = 0; i < tree.n; i++)
		list_add(&datasets, arena_strdup(mem, tree.at[i]));
	if (out->spec->type == POT_SINGLE && out->datasets.n < 2)
		return err_new(e, ERR_CORRUPT, "pot %s has no root dataset", name);
	return info_snapshots(env, mem, out, e);
}

int
pot_dataset_usage(struct pot_env *env, const char *dataset, uint64_t *out, struct err *e)
{
	autodataset_survey struct dataset_survey found = DATASET_SURVEY_INIT;
	size_t n = strlen(env->conf.zfs_root);

	if (strncmp(dataset, env->conf.zfs_root, n) == 0 && dataset[n] == '/')
		dataset += n + 1;
	if (dataset_check_name(dataset, e) < 0 || datasets_survey(env, dataset, &found, e) < 0)
		return -1;
	*out = 0;
	for (size_t i = 0; i < found.n; i++)
		*out += found.at[i].used_bytes;
	return 0;
}

int
pot_usage(struct pot_env *env, const char *name, bool disk, struct arena *mem,
    struct pot_usage *out, struct err *e)
{
	char group[POT_NAME_MAX + 1 + RUN_ID_TEXT + 1], dataset[DATASET_SIZE];
	struct pot_spec *spec;
	struct usage u = { 0 };
	struct run r;

	if (pot_spec_load(env, name, mem, &spec, e) < 0)
		return -1;
	*out = (struct pot_usage){ .cpus = arena_strdup(mem, "") };
	if (disk && pot_dataset_usage(env, ds_pot(dataset, name), &out->disk_bytes, e) < 0) {
		if (e->kind != ERR_RIGHTS)
			return -1;
		out->disk_hidden = true;
	}
	if (run_read(env, name, &r, e) < 0)
		return e->kind == ERR_ABSENT ? 0 : -1;
	int alive = run_alive(env, &r, e);
	if (alive <= 0)
		return alive;
	if (env->host->limits->usage(env->host, run_group(&r, group), &u, e) < 0)
		return e->kind == ERR_ABSENT ? 0 : -1;
	out->running = true;
	out->rss_bytes = u.rss_bytes;
	out->cache_bytes = u.cache_bytes;
	out->swap_bytes = u.swap_bytes;
	out->memory_limit_bytes = spec->rss_memory_bytes;
	out->cpu_ns = u.cpu_ns;
	out->read_ns = u.read_ns;
	out->pids = (unsigned)u.pids;
	out->virtual_bytes = u.memory_bytes + u.swap_bytes;
	out->cpus = arena_strdup(mem, u.cpus);
	return 0;
}

uint64_t
pot_clock_mhz(void)
{
	autoarena struct arena mem = ARENA_INIT;
	struct facts f;

	facts_read(&f, "/", &mem);
	return f.mhz > 0 ? f.mhz : 1000;
}

int
pot_last_run(struct pot_env *env, const char *name, struct arena *mem, char **json, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	struct pot_spec *spec;
	char path[PATH_SIZE];

	if (pot_spec_load(env, name, mem, &spec, e) < 0)
		return -1;
	path_at(path, "%s/jails/%s/conf/.last_run_stats", env->conf.fs_root, name);
	if (buf_read_file(&text, path, 65536, e) < 0) {
		if (e->kind != ERR_ABSENT)
			return -1;
		buf_adds(&text, "{}");
	}
	*json = arena_strdup(mem, buf_str(&text));
	(*json)[strcspn(*json, "\n")] = '\0';
	return 0;
}

/* ---- who else is on the bridge ---- */

struct host_lines {
	const struct pot_spec *of;
	struct strs_builder lines;
};

/* The value of the last line with this key, or NULL; borrowed, not terminated. */
static const char *
quick_value(const char *text, size_t len, const char *key, size_t *n)
{
	size_t key_len = strlen(key);
	const char *found = NULL;

	for (const char *p = text, *end = text + len; p < end;) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		const char *stop = eol != NULL ? eol : end;
		if ((size_t)(stop - p) > key_len && memcmp(p, key, key_len) == 0) {
			found = p + key_len;
			*n = (size_t)(stop - found);
		}
		p = stop + 1;
	}
	return found;
}

static void
host_line(void *ctx, const char *name, const char *text, size_t len)
{
	struct host_lines *h = ctx;
	size_t n = 0;
	const char *net = quick_value(text, len, "network_type=", &n);

	const char *wanted = pot_net_text(h->of->net);

	if (net == NULL || n != strlen(wanted) || memcmp(net, wanted, n) != 0)
		return;
	if (h->of->net == POT_NET_PRIVATE) {
		const char *bridge = quick_value(text, len, "bridge=", &n);
		if (bridge == NULL || n != strlen(h->of->bridge) ||
		    memcmp(bridge, h->of->bridge, n) != 0)
			return;
	}
	static const char *const keys[] = { "ip=", "ip6=" };
	for (size_t i = 0; i < NELEM(keys); i++) {
		const char *ip = quick_value(text, len, keys[i], &n);
		if (ip != NULL && n > 0 && n < IP_TEXT)
			list_add(
			    &h->lines, arena_printf(h->lines.mem, "%.*s %s", (int)n, ip, name));
	}
}

int
hosts_of_pots(struct pot_env *env, const struct pot_spec *spec, struct arena *mem,
    struct pot_strs *out, struct err *e)
{
	struct host_lines h = { .of = spec, .lines = STRS_BUILDER(out, mem) };
	char path[PATH_SIZE];

	*out = (struct pot_strs){ 0 };
	if (spec->net != POT_NET_PUBLIC && spec->net != POT_NET_PRIVATE)
		return 0;
	if (each_file(path_at(path, "%s/jails", env->conf.fs_root), "/conf/pot.conf", host_line, &h,
		e) < 0)
		return -1;
	list_sort(out);
	return 0;
}

int
pot_etc_hosts(
    struct pot_env *env, const char *bridge, struct arena *mem, struct pot_strs *out, struct err *e)
{
	struct pot_spec any = { .net = bridge != NULL ? POT_NET_PRIVATE : POT_NET_PUBLIC };
	struct bridge b;

	if (bridge != NULL && bridge_load(env, bridge, &b, e) < 0)
		return -1;
	any.bridge = arena_strdup(mem, bridge != NULL ? bridge : "");
	return hosts_of_pots(env, &any, mem, out, e);
}

/* ---- the network as a whole ---- */

static void
view_pairs(struct pot_env *env, struct arena *mem, const struct netif_links *links,
    const char *master, struct pot_pairs *out)
{
	out->at = arena_array(mem, links->n + 1, struct pot_pair);
	for (size_t i = 0; i < links->n; i++) {
		const struct netif_link *l = &links->at[i];
		struct pot_pair *p = &out->at[out->n];
		struct err ignored = ERR_INIT;
		struct pot_spec *spec;
		if (strcmp(l->master, master) != 0 || l->alias[0] == '\0' ||
		    strlen(l->name) != RUN_ID_TEXT)
			continue;
		out->n++;
		*p = (struct pot_pair){ .link = arena_strdup(mem, l->name),
			.pot = arena_strdup(mem, l->alias),
			.ip = arena_strdup(mem, ""),
			.ip6 = arena_strdup(mem, "") };
		if (pot_spec_load(env, l->alias, mem, &spec, &ignored) == 0) {
			p->ip = spec->ip;
			p->ip6 = spec->ip6;
		}
	}
}

struct owner {
	char id[RUN_ID_TEXT];
	char *pot;
};

static int
by_id(const void *a, const void *b)
{
	return strcmp(((const struct owner *)a)->id, ((const struct owner *)b)->id);
}

static void
add_map(struct pot_net_view *out, struct arena *mem, char *pot, const struct filter_port *p)
{
	char ip[IP_TEXT];

	out->maps[out->n_maps].pot = pot;
	out->maps[out->n_maps].ip = arena_strdup(mem, ip_text(&p->to, ip));
	out->maps[out->n_maps].udp = p->proto == IPPROTO_UDP;
	out->maps[out->n_maps].host_port = p->host_port;
	out->maps[out->n_maps].pot_port = p->pot_port;
	out->n_maps++;
}

/* What the kernel has, and whose it is by the records. */
static int
view_maps(struct pot_env *env, struct arena *mem, struct pot_net_view *out, struct err *e)
{
	autofilter_entries struct filter_entries all = FILTER_ENTRIES_INIT;
	struct pot_strs names;
	size_t n = 0;

	if (env->host->filter->ports(env->host, &all, e) < 0 || run_names(env, mem, &names, e) < 0)
		return -1;
	struct owner *owners = arena_array(mem, names.n + 1, struct owner);
	for (size_t i = 0; i < names.n && all.n > 0; i++) {
		struct err ignored = ERR_INIT;
		struct run r;
		if (run_read(env, names.at[i], &r, &ignored) < 0 || r.n_ports == 0)
			continue;
		owners[n].pot = names.at[i];
		str_copy(owners[n++].id, RUN_ID_TEXT, r.id);
	}
	if (n > 1)
		qsort(owners, n, sizeof(*owners), by_id);
	out->maps = arena_alloc(mem, (all.n + 1) * sizeof(*out->maps));
	for (size_t i = 0; i < all.n; i++) {
		struct owner key = { .pot = NULL };
		str_copy(key.id, sizeof(key.id), all.at[i].run);
		const struct owner *o = bsearch(&key, owners, n, sizeof(*owners), by_id);
		add_map(out, mem, o != NULL ? o->pot : arena_strdup(mem, ""), &all.at[i].port);
	}
	return 0;
}

/* For those who may not ask the kernel: what the records of live runs say. */
static int
view_recorded(struct pot_env *env, struct arena *mem, struct pot_net_view *out, struct err *e)
{
	struct pot_strs names;
	size_t room = 0;

	if (run_names(env, mem, &names, e) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		struct err ignored = ERR_INIT;
		struct filter_port *ports;
		struct pot_spec *spec;
		struct run r;
		if (run_read(env, names.at[i], &r, &ignored) < 0 || r.n_ports == 0 ||
		    run_alive(env, &r, &ignored) <= 0 ||
		    pot_spec_load(env, names.at[i], mem, &spec, &ignored) < 0)
			continue;
		ports = arena_array(mem, 2 * r.n_ports, struct filter_port);
		size_t n = ports_of_run(env, spec, &r, ports);
		void *before = out->maps;
		room += n;
		out->maps = arena_alloc(mem, room * sizeof(*out->maps));
		if (out->n_maps > 0)
			memcpy(out->maps, before, out->n_maps * sizeof(*out->maps));
		for (size_t k = 0; k < n; k++)
			add_map(out, mem, names.at[i], &ports[k]);
	}
	return 0;
}

static int
view_private(struct pot_env *env, struct arena *mem, const struct netif_links *links,
    struct pot_net_view *out, struct err *e)
{
	autobridges struct bridges all = BRIDGES_INIT;

	if (bridges_load(env, &all, e) < 0)
		return -1;
	out->private = arena_alloc(mem, (all.all.n + 1) * sizeof(*out->private));
	for (size_t i = 0; i < all.all.n; i++) {
		if (pot_bridge_info(env, all.all.at[i].name, mem, &out->private[i].bridge, e) < 0)
			return -1;
		view_pairs(env, mem, links, all.all.at[i].link, &out->private[i].pairs);
	}
	out->n_private = all.all.n;
	return 0;
}

int
pot_net_view(
    struct pot_env *env, bool pairs, struct arena *mem, struct pot_net_view *out, struct err *e)
{
	autonetif_bridge struct netif_bridge b = NETIF_BRIDGE_INIT;
	autonetif_links struct netif_links links = NETIF_LINKS_INIT;
	const struct pot_config *c = &env->conf;

	*out = (struct pot_net_view){ .bridge = c->bridge,
		.gateway = c->gateway,
		.network = c->network,
		.gateway6 = c->gateway6,
		.network6 = c->network6 };
	if (env->host->netif->bridge_info(env->host, c->bridge, &b, e) < 0 && e->kind != ERR_ABSENT)
		return -1;
	out->up = b.up;
	if (pairs) {
		if (env->host->netif->links(env->host, "p", &links, e) < 0 ||
		    view_private(env, mem, &links, out, e) < 0)
			return -1;
		view_pairs(env, mem, &links, c->bridge, &out->pairs);
		view_pairs(env, mem, &links, "", &out->aliases);
	}
	return geteuid() == 0 ? view_maps(env, mem, out, e) : view_recorded(env, mem, out, e);
}
