#include "platform/isolate.h"
#include "platform/filter.h"
#include "platform/limits.h"
#include "platform/netif.h"
#include "pot/priv.h"
#include "pot/run.h"

#include <string.h>
#include <unistd.h>

/*
 * Whatever no live run owns. The machine is asked first and the records afterwards: an object is
 * only made after its record, so one that is seen without a record has lost its run.
 */

struct visit {
	struct pot_env *env;
	struct arena *mem;
	bool mend;
	VEC(struct pot_finding) found;
	struct pot_strs live;	 /* run ids */
	struct pot_strs settled; /* ids of dead runs that were walked down, with all they had */
	struct strs_builder settle;
	struct pot_strs
	    unsure; /* names whose run cannot be judged now: nothing of them is touched */
	VEC(struct netif_alias) held; /* what the records say that interfaces answer for */
};

static void
finding(struct visit *v, char *what, const char *why, int rc, const struct err *failure)
{
	struct pot_finding f = {
		.what = what, .why = arena_strdup(v->mem, why), .mended = v->mend && rc == 0
	};

	if (v->mend && rc < 0)
		f.error = arena_strdup(v->mem, failure->text);
	VEC_PUSH(&v->found, f);
}

/* ---- runs ---- */

/* Live, or in somebody's hands. */
static bool
in_use(struct visit *v, const struct run *r)
{
	struct err e = ERR_INIT;
	int alive = run_alive(v->env, r, &e);

	if (alive == 0 && r->running_ns == 0 && r->starter != getpid())
		alive = v->env->host->proc->alive(r->starter, r->starter_start, &e);
	return alive != 0;
}

static int
run_lock(struct visit *v, const char *name, struct err *e)
{
	return str_starts(name, RUN_RAW_PREFIX) ? lock_named(v->env, name, LOCK_TRY, e)
						: lock_pot(v->env, name, LOCK_TRY, e);
}

static void
visit_dead_run(struct visit *v, const char *name, const struct run *r)
{
	struct err e = ERR_INIT;
	int rc = 0;

	if (v->mend) {
		autofd int lock = run_lock(v, name, &e);
		rc = lock < 0 ? -1 : run_recover(v->env, name, &e);
		if (lock < 0 && e.kind == ERR_BUSY)
			return; /* somebody is at it */
	}
	if (rc == 0)
		list_add(&v->settle, arena_strdup(v->mem, r->id));
	finding(
	    v, arena_printf(v->mem, "run %s of pot %s", r->id, name), "its keeper is gone", rc, &e);
}

/* A stop that was killed: the pot runs on, as one that is stopping. True: no longer. */
static bool
visit_abandoned_stop(struct visit *v, const char *name, const struct run *r)
{
	struct err e = ERR_INIT;
	int rc = 0;

	if (v->mend) {
		autofd int lock = run_lock(v, name, &e);
		if (lock < 0 && e.kind == ERR_BUSY)
			return false; /* somebody is at it */
		rc = lock < 0 ? -1 : run_settle(v->env, name, &lock, &e);
	}
	finding(v, arena_printf(v->mem, "run %s of pot %s", r->id, name),
	    "who was stopping it is gone", rc, &e);
	if (!v->mend || rc < 0)
		return false;
	list_add(&v->settle, arena_strdup(v->mem, r->id));
	return true;
}

static int
visit_runs(struct visit *v, struct err *e)
{
	struct strs_builder live = STRS_BUILDER(&v->live, v->mem),
			    unsure = STRS_BUILDER(&v->unsure, v->mem);
	struct pot_strs names;

	if (run_names(v->env, v->mem, &names, e) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		struct err why = ERR_INIT;
		struct run r;
		if (run_read(v->env, names.at[i], &r, &why) < 0) {
			if (why.kind == ERR_ABSENT)
				continue;
			list_add(&unsure, names.at[i]);
			int rc = -1;
			if (v->mend) {
				autofd int lock = run_lock(v, names.at[i], &why);
				rc = lock < 0 ? -1 : run_purge(v->env, names.at[i], false, &why);
			}
			finding(v, arena_printf(v->mem, "run record of %s", names.at[i]),
			    "it cannot be read", rc, &why);
			continue;
		}
		for (size_t k = 0; k < r.n_aliases; k++)
			VEC_PUSH(&v->held, r.aliases[k]);
		if (!in_use(v, &r))
			visit_dead_run(v, names.at[i], &r);
		else if (!run_stop_abandoned(v->env, &r) ||
			 !visit_abandoned_stop(v, names.at[i], &r))
			list_add(&live, arena_strdup(v->mem, r.id));
	}
	return 0;
}

/* ---- halves of creations and removals ---- */

static int
visit_intents(struct visit *v, enum intent_kind kind, struct err *e)
{
	static const char *const why_text[] = {
		[INTENT_POT] = "its creation or removal was interrupted",
		[INTENT_BASE] = "its creation or removal was interrupted",
		[INTENT_SNAPSHOT] = "a snapshot was interrupted",
		[INTENT_REVERT] = "a revert was interrupted",
		[INTENT_RENAME] = "its renaming was interrupted",
	};
	struct pot_strs names;

	if (intent_list(v->env, kind, v->mem, &names, e) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		struct err why = ERR_INIT;
		char lock_name[DATASET_SIZE];
		snprintf(lock_name, sizeof(lock_name), "%s%s", kind == INTENT_BASE ? "base:" : "",
		    names.at[i]);
		autofd int lock = lock_named(v->env, lock_name, LOCK_TRY, &why);
		if (lock < 0)
			continue; /* in the making right now */
		int rc = v->mend ? intent_settle(v->env, names.at[i], kind, &why) : 0;
		finding(v,
		    arena_printf(
			v->mem, "%s %s", kind == INTENT_BASE ? "base" : "pot", names.at[i]),
		    why_text[kind], rc, &why);
	}
	return 0;
}

/* ---- kernel objects ---- */

static bool
owned(const struct visit *v, const char *id, const char *name)
{
	return list_has(&v->live, id) || list_has(&v->settled, id) ||
	       (name != NULL && list_has(&v->unsure, name));
}

static void
visit_groups(struct visit *v, const struct names *groups)
{
	for (size_t i = 0; i < groups->n; i++) {
		struct err why = ERR_INIT;
		struct run r;
		if (!run_of_group(groups->at[i], &r) || owned(v, r.id, r.name))
			continue;
		int rc = v->mend ? run_limits_down(v->env, &r, &why) : 0;
		finding(v, arena_printf(v->mem, "control group %s", groups->at[i]),
		    "no run owns it", rc, &why);
	}
}

static void
visit_links(struct visit *v, const struct netif_links *links)
{
	for (size_t i = 0; i < links->n; i++) {
		const struct netif_link *l = &links->at[i];
		struct err why = ERR_INIT;
		const char *id = l->name + 1;
		if (strlen(id) != RUN_ID_TEXT - 1 ||
		    strspn(id, "0123456789abcdef") != RUN_ID_TEXT - 1 || l->alias[0] == '\0' ||
		    owned(v, id, l->alias) || stray_runs(v->env, l->alias, &why) != 0)
			continue;
		int rc =
		    v->mend ? v->env->host->netif->link_remove(v->env->host, l->name, &why) : 0;
		finding(v, arena_printf(v->mem, "interface %s of pot %s", l->name, l->alias),
		    "no run owns it", rc, &why);
	}
}

static void
visit_ports(struct visit *v, const struct filter_entries *ports)
{
	for (size_t i = 0; i < ports->n; i++) {
		const struct filter_entry *p = &ports->at[i];
		struct err why = ERR_INIT;
		if (owned(v, p->run, NULL) || v->unsure.n > 0 || p->run[0] == '\0')
			continue;
		int rc =
		    v->mend ? v->env->host->filter->ports_remove(v->env->host, p->run, &why) : 0;
		finding(v,
		    arena_printf(v->mem, "exported port %u of run %s", p->port.host_port, p->run),
		    "no run owns it", rc, &why);
	}
}

static bool
held(const struct visit *v, const struct netif_alias *a)
{
	for (size_t i = 0; i < v->held.n; i++)
		if (strcmp(v->held.at[i].nic, a->nic) == 0 && ip_eq(&v->held.at[i].ip, &a->ip))
			return true;
	return false;
}

static void
visit_aliases(struct visit *v, const struct netif_alias *at, size_t n)
{
	char text[IP_TEXT];

	for (size_t i = 0; i < n; i++) {
		struct err why = ERR_INIT;
		if (held(v, &at[i]) || v->unsure.n > 0)
			continue;
		int rc = v->mend
			     ? v->env->host->netif->alias_down(v->env->host, NULL, &at[i], 1, &why)
			     : 0;
		finding(v,
		    arena_printf(v->mem, "%s answers for %s", at[i].nic, ip_text(&at[i].ip, text)),
		    "no run owns it", rc, &why);
	}
}

/* Somebody emptied the whole packet filter: pots run, and nobody reaches them. */
static void
visit_table(struct visit *v)
{
	struct err why = ERR_INIT;
	struct pot_strs names;
	bool bridged = false;

	if (v->env->host->filter->ready(v->env->host, false, &why) != 0 ||
	    run_names(v->env, v->mem, &names, &why) < 0)
		return;
	for (size_t i = 0; i < names.n && !bridged; i++) {
		struct run r;
		bridged = run_read(v->env, names.at[i], &r, &why) == 0 &&
			  (r.begun & (1u << RUN_NETWORK)) != 0 && r.n_aliases == 0 &&
			  run_alive(v->env, &r, &why) > 0;
	}
	if (!bridged)
		return;
	int rc = v->mend ? pot_vnet_start(v->env, &why) : 0;
	finding(v, arena_printf(v->mem, "packet filter table %s", v->env->conf.nft_table),
	    "pots run, and it is gone", rc, &why);
}

/* ---- files ---- */

static void
visit_run_dirs(struct visit *v, struct err *e)
{
	struct pot_strs names;
	char path[PATH_SIZE];

	if (run_names(v->env, v->mem, &names, e) < 0)
		return;
	for (size_t i = 0; i < names.n; i++) {
		struct err why = ERR_INIT;
		int rc = 0;
		if (str_starts(names.at[i], RUN_RAW_PREFIX) ||
		    pot_exists(v->env, names.at[i], &why) != 0)
			continue;
		autofd int lock = run_lock(v, names.at[i], &why);
		if (lock < 0 ||
		    access(path_at(path, "%s/runs/%s/record", v->env->conf.run_dir, names.at[i]),
			F_OK) == 0)
			continue;
		if (v->mend)
			rc = remove_tree(
			    path_at(path, "%s/runs/%s", v->env->conf.run_dir, names.at[i]), &why);
		if (v->mend && rc == 0)
			lock_forget(v->env, names.at[i]);
		finding(v, arena_strdup(v->mem, path), "the pot does not exist", rc, &why);
	}
}

static void
visit_pots(struct visit *v)
{
	struct err e = ERR_INIT;
	struct pot_strs names;

	if (pot_names(v->env, POT_KIND_POT, v->mem, &names, &e) < 0)
		return;
	for (size_t i = 0; i < names.n; i++) {
		struct err why = ERR_INIT;
		struct pot_spec *spec;
		if (pot_spec_load(v->env, names.at[i], v->mem, &spec, &why) < 0)
			finding(v, arena_printf(v->mem, "pot %s", names.at[i]), why.text, -1, &why);
	}
}

int
pot_doctor(struct pot_env *env, bool mend, struct arena *mem, struct pot_finding **out, size_t *n,
    struct err *e)
{
	autonames struct names groups = NAMES_INIT;
	autonetif_links struct netif_links links = NETIF_LINKS_INIT;
	autofilter_entries struct filter_entries ports = FILTER_ENTRIES_INIT;
	struct visit v = { .env = env, .mem = mem, .mend = mend, .found = VEC_INIT };
	autofree struct netif_alias *aliases = NULL;
	struct host *h = env->host;
	size_t n_aliases = 0;
	int rc = -1;

	v.settle = (struct strs_builder)STRS_BUILDER(&v.settled, mem);

	if (need_root("doctor", e) < 0 || pot_env_ready(env, e) < 0)
		return -1;
	if (h->limits->list(h, &groups, e) == 0 && h->netif->links(h, "p", &links, e) == 0 &&
	    h->filter->ports(h, &ports, e) == 0 &&
	    h->netif->aliases(h, &aliases, &n_aliases, e) == 0 &&
	    visit_intents(&v, INTENT_POT, e) == 0 && visit_intents(&v, INTENT_BASE, e) == 0 &&
	    visit_intents(&v, INTENT_SNAPSHOT, e) == 0 &&
	    visit_intents(&v, INTENT_REVERT, e) == 0 && visit_intents(&v, INTENT_RENAME, e) == 0 &&
	    visit_runs(&v, e) == 0) {
		visit_groups(&v, &groups);
		visit_links(&v, &links);
		visit_ports(&v, &ports);
		visit_aliases(&v, aliases, n_aliases);
		visit_table(&v);
		visit_run_dirs(&v, e);
		visit_pots(&v);
		rc = mend && h->isolate->sweep != NULL ? h->isolate->sweep(true, e) : 0;
		if (rc > 0)
			finding(&v, arena_printf(mem, "%d pots that were ending", rc),
			    "who ended them was killed", 0, e);
		rc = rc < 0 ? rc : mend ? h->dataset->sweep(h, e) : 0;
		if (rc > 0)
			finding(&v, arena_printf(mem, "%d parts of datasets", rc),
			    "an interrupted call left them", 0, e);
	}
	*out =
	    v.found.n > 0 ? arena_memdup(mem, v.found.at, v.found.n * sizeof(*v.found.at)) : NULL;
	*n = v.found.n;
	VEC_FINI(&v.found);
	VEC_FINI(&v.held);
	return rc < 0 ? -1 : 0;
}
