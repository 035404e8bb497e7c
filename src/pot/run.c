#include "platform/filter.h"
#include "platform/isolate.h"
#include "platform/limits.h"
#include "platform/netif.h"
#include "pot/priv.h"
#include "pot/run.h"
#include "pot/start.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

/*
 * The way down. Each row's undo succeeds when there is nothing to undo, so that one function serves
 * a refused start, an ordinary stop and whatever is found after a power cut.
 */

int
run_alive(struct pot_env *env, const struct run *r, struct err *e)
{
	if (r->keeper == 0)
		return 0;
	/* one boot per life of this process */
	if (env->boot[0] == '\0' && env->host->proc->boot_id(env->boot, e) < 0)
		return -1;
	if (strcmp(env->boot, r->boot) != 0)
		return 0;
	return env->keep->alive(r->keeper, r->keeper_start, e);
}

int
run_is_live(struct pot_env *env, const char *name)
{
	struct err e = ERR_INIT;
	struct run r;

	if (run_read(env, name, &r, &e) == 0)
		return run_alive(env, &r, &e);
	int stray = e.kind == ERR_ABSENT ? stray_runs(env, name, &e) : -1;
	return stray > 0 ? 1 : stray;
}

/* Waits until the processes of the group are gone; they have been told to. */
static int
await_pids(struct pot_env *env, const char *group, size_t *left, struct err *e)
{
	const struct proc_ops *proc = env->host->proc;
	autofree int *pids = NULL;
	size_t n = 0;

	*left = 0;
	if (env->host->limits->pids(env->host, group, &pids, &n, e) < 0)
		return e->kind == ERR_ABSENT ? 0 : -1;
	for (size_t i = 0; i < n; i++) {
		struct err gone = ERR_INIT;
		uint64_t start;
		if (proc->start_time(pids[i], &start, &gone) < 0)
			continue;
		autofd int handle = proc->open(pids[i], start, &gone);
		if (handle >= 0 && proc->wait(handle, 10000, e) == 0)
			return err_new(e, ERR_TIMEOUT, "process %d does not end", pids[i]);
	}
	*left = n;
	return 0;
}

int
run_limits_down(struct pot_env *env, const struct run *r, struct err *e)
{
	const struct limits_ops *limits = env->host->limits;
	char group[POT_NAME_MAX + 1 + RUN_ID_TEXT + 1];
	size_t left = 1;

	run_group(r, group);
	/* normally all is over and one call does it */
	if (limits->remove(env->host, group, e) == 0)
		return 0;
	if (e->kind != ERR_BUSY)
		return -1;
	for (int i = 0; i < 16 && left > 0; i++)
		if ((limits->kill(env->host, group, e) < 0 && e->kind != ERR_ABSENT) ||
		    await_pids(env, group, &left, e) < 0)
			return -1;
	return limits->remove(env->host, group, e);
}

static void
await_init(struct pot_env *env, const struct run *r)
{
	const struct proc_ops *proc = env->host->proc;
	struct err gone = ERR_INIT;
	autofd int handle = proc->open(r->init, r->init_start, &gone);

	if (handle >= 0 && proc->wait(handle, 10000, &gone) == 0)
		(void)proc->signal(handle, SIGKILL, &gone);
}

static int
isolate_down(struct pot_env *env, const struct run *r, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;

	/* The keeper is gone, and with it init; what was begun before it could be noted ended with
	 * its starter. Where the system has more of a pot than these two, init is just taking it
	 * away, unless somebody has killed both. */
	if (env->host->isolate->clear == NULL || str_starts(r->name, RUN_RAW_PREFIX))
		return 0;
	if (r->init != 0)
		await_init(env, r);
	return env->host->isolate->clear(r->name, pot_place(env, r->name, &mem), false, e);
}

/* What ran there ends with the isolate. */
static int
nothing_down(struct pot_env *env, const struct run *r, struct err *e)
{
	(void)env, (void)r, (void)e;
	return 0;
}

int
run_with_alias(
    struct pot_env *env, const struct ip *address, const char *but, struct run *r, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct err ignored = ERR_INIT;
	struct pot_strs names;

	if (run_names(env, &mem, &names, e) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		if (strcmp(names.at[i], but) == 0 || run_read(env, names.at[i], r, &ignored) < 0)
			continue;
		for (size_t k = 0; k < r->n_aliases; k++)
			if (ip_eq(&r->aliases[k].ip, address) && run_alive(env, r, &ignored) != 0)
				return 1;
	}
	return 0;
}

/* Not while another start looks whose they are and takes them over; and not those that another has
 * taken over since a keeper was killed. */
static int
aliases_down(struct pot_env *env, const struct run *r, struct err *e)
{
	autofree struct run *other = xmalloc(sizeof(*other));
	struct netif_alias ours[RUN_ALIASES_MAX];
	char link[16];
	size_t n = 0;
	autofd int lock = lock_named(env, LOCK_NET, LOCK_WAIT, e);

	if (lock < 0)
		return -1;
	for (size_t i = 0; i < r->n_aliases; i++) {
		int taken = run_with_alias(env, &r->aliases[i].ip, r->name, other, e);
		if (taken < 0)
			return -1;
		if (taken == 0)
			ours[n++] = r->aliases[i];
	}
	return env->host->netif->alias_down(env->host, run_link(r, link), ours, n, e);
}

static int
network_down(struct pot_env *env, const struct run *r, struct err *e)
{
	char link[16];
	struct err gone = ERR_INIT;

	if (r->n_aliases > 0 && aliases_down(env, r, e) < 0)
		return -1;
	/* Where the end of the pot takes its pair along, only a pair without a pot is removed by
	 * hand; and one that the host has routes to, which the next start wants to be gone. */
	if (r->n_aliases == 0 && env->host->netif->pair_ends_with_pot && r->init != 0 &&
	    env->host->proc->alive(r->init, r->init_start, &gone) == 0)
		return 0;
	return env->host->netif->link_remove(env->host, run_link(r, link), e);
}

static int
ports_down(struct pot_env *env, const struct run *r, struct err *e)
{
	return env->host->filter->ports_remove(env->host, r->id, e);
}

static int (*const downs[RUN_PHASES])(struct pot_env *, const struct run *, struct err *) = {
	[RUN_LIMITS] = run_limits_down,
	[RUN_ISOLATE] = isolate_down,
	[RUN_NETWORK] = network_down,
	[RUN_PORTS] = ports_down,
	[RUN_PROCESS] = nothing_down,
};

/* What could not be undone keeps its record, so that the next one who looks finds it. */
static int
phases_down(struct pot_env *env, const struct run *r, struct err *e)
{
	int rc = 0;

	for (int i = RUN_PHASES - 1; i >= 0; i--) {
		struct err failure = ERR_INIT;
		if ((r->begun & (1u << i)) == 0 || downs[i](env, r, &failure) == 0)
			continue;
		if (rc == 0) {
			*e = failure;
			err_ctx(e, "clear up %s after pot %s", run_phase_name((enum run_phase)i),
			    r->name);
		}
		rc = -1;
	}
	return rc;
}

int
run_down(struct pot_env *env, const struct run *r, struct err *e)
{
	if (phases_down(env, r, e) < 0)
		return -1;
	/* before the record goes: who is killed in between leaves it to the next one. The prestart
	 * hook may have been, however the run ended and whoever takes it down. */
	if ((r->begun & 1u << RUN_PROCESS) != 0 && !str_starts(r->name, RUN_RAW_PREFIX))
		hook_tell_of(env, r->name, POT_HOOK_POSTSTOP, 0);
	return run_remove(env, r->name, e);
}

static int
has_processes(struct pot_env *env, const char *group, struct err *e)
{
	autofree int *pids = NULL;
	size_t n = 0;

	if (env->host->limits->pids(env->host, group, &pids, &n, e) < 0)
		return e->kind == ERR_ABSENT ? 0 : -1;
	return n > 0;
}

/* "<name>.<id>": fills in a run; false for groups of others. */
bool
run_of_group(const char *group, struct run *r)
{
	const char *dot = strrchr(group, '.');

	*r = (struct run){ 0 };
	if (dot == NULL || strlen(dot + 1) != RUN_ID_TEXT - 1 ||
	    strspn(dot + 1, "0123456789abcdef") != RUN_ID_TEXT - 1 || dot - group > POT_NAME_MAX)
		return false;
	memcpy(r->name, group, (size_t)(dot - group));
	str_copy(r->id, sizeof(r->id), dot + 1);
	r->begun = (1u << RUN_PHASES) - 1;
	return true;
}

int
run_purge(struct pot_env *env, const char *name, bool kill, struct err *e)
{
	autonames struct names groups = NAMES_INIT;
	struct run r;

	if (env->host->limits->list(env->host, &groups, e) < 0)
		return -1;
	for (size_t i = 0; i < groups.n; i++) {
		if (!run_of_group(groups.at[i], &r) || strcmp(r.name, name) != 0)
			continue;
		int busy = kill ? 0 : has_processes(env, groups.at[i], e);
		if (busy > 0)
			return err_new(e, ERR_CORRUPT,
			    "the record of %s cannot be read, and processes of it live: 'pot stop "
			    "%s' ends them",
			    name, name);
		if (busy < 0 || phases_down(env, &r, e) < 0)
			return -1;
	}
	return run_remove(env, name, e);
}

int
run_recover(struct pot_env *env, const char *name, struct err *e)
{
	struct run r;

	if (run_read(env, name, &r, e) < 0) {
		if (e->kind == ERR_ABSENT)
			return 0;
		if (e->kind != ERR_CORRUPT)
			return -1;
		return run_purge(env, name, false, e);
	}
	int alive = run_alive(env, &r, e);
	if (alive != 0)
		return alive < 0 ? -1 : 0;
	return run_down(env, &r, e);
}

void
run_sweep(struct pot_env *env)
{
	struct err ignored = ERR_INIT;

	if (env->host->isolate->sweep != NULL)
		(void)env->host->isolate->sweep(false, &ignored);
}

int
run_end(struct pot_env *env, const char *name, struct err *e)
{
	struct run r;

	if (run_read(env, name, &r, e) < 0)
		return e->kind == ERR_ABSENT	? 0
		       : e->kind == ERR_CORRUPT ? run_purge(env, name, true, e)
						: -1;
	int alive = run_alive(env, &r, e);
	if (alive < 0 || (alive > 0 && env->keep->kill(r.keeper, r.keeper_start, e) < 0))
		return -1;
	return phases_down(env, &r, e) < 0 ? -1 : run_remove(env, name, e);
}

/* Who walked the phases up did not come to their end. */
static bool
starter_gone(struct pot_env *env, const struct run *r)
{
	struct err e = ERR_INIT;

	return r->running_ns == 0 && (r->starter == getpid() || env->host->proc->alive(r->starter,
								    r->starter_start, &e) == 0);
}

enum { LOOK_UP_EVERY_MS = 200 };

/* Somebody else is about to ask it, or has. */
static bool
stopper_lives(struct pot_env *env, const struct run *r)
{
	struct err e = ERR_INIT;

	return r->stopper != 0 && r->stopper != getpid() &&
	       env->host->proc->alive(r->stopper, r->stopper_start, &e) != 0;
}

/* Until it is gone; -1 also for one who is asked to end meanwhile. A stopper who goes without
 * having asked it leaves that to us. */
static int
watch_end(struct pot_env *env, const struct run *r, bool asked, struct err *e)
{
	const struct proc_ops *proc = env->host->proc;
	autofd int handle = proc->open(r->keeper, r->keeper_start, e);
	int ended;

	if (handle < 0)
		return e->kind == ERR_ABSENT ? 0 : -1;
	while ((ended = proc->wait(handle, LOOK_UP_EVERY_MS, e)) == 0) {
		if (interrupted(env, e) < 0)
			return -1;
		if (asked || stopper_lives(env, r))
			continue;
		if (env->keep->ask(r->keeper, r->keeper_start, e) < 0)
			return -1;
		asked = true;
	}
	return ended < 0 ? -1 : 0;
}

/* Waits for the end of a keeper that is on its way there, or is sent there now. Who is stopping it
 * may still wait for the pot's exec_stop, which is not to be cut short by a start. */
static int
see_off(struct pot_env *env, const struct run *r, struct err *e)
{
	if (!r->stopping)
		return env->keep->kill(r->keeper, r->keeper_start, e);
	bool ours = !stopper_lives(env, r);
	if (ours && env->keep->ask(r->keeper, r->keeper_start, e) < 0)
		return -1;
	return watch_end(env, r, ours, e);
}

bool
run_stop_abandoned(struct pot_env *env, const struct run *r)
{
	struct err e = ERR_INIT;

	return r->stopping && r->stopper != 0 &&
	       env->host->proc->alive(r->stopper, r->stopper_start, &e) == 0;
}

int
run_settle(struct pot_env *env, const char *name, int *lock, struct err *e)
{
	for (;;) {
		struct run r;
		if (run_read(env, name, &r, e) < 0) {
			if (e->kind == ERR_ABSENT)
				return 0;
			return e->kind == ERR_CORRUPT ? run_purge(env, name, false, e) : -1;
		}
		int alive = run_alive(env, &r, e);
		if (alive < 0)
			return -1;
		if (alive == 0)
			return run_down(env, &r, e);
		if (!r.stopping && !starter_gone(env, &r))
			return 0;
		/* its keeper, or who stops it, wants the lock for the last steps */
		close(*lock);
		*lock = -1;
		if (see_off(env, &r, e) < 0)
			return -1;
		*lock = lock_pot(env, name, LOCK_WAIT, e);
		if (*lock < 0)
			return -1;
	}
}

int
run_cgroups(struct pot_env *env, const struct run *r, struct arena *mem, const char *const **out,
    struct err *e)
{
	autonames struct names dirs = NAMES_INIT;
	char group[POT_NAME_MAX + 1 + RUN_ID_TEXT + 1];

	if (env->host->limits->join(env->host, run_group(r, group), &dirs, e) < 0)
		return -1;
	const char **list = arena_array(mem, dirs.n + 1, const char *);
	for (size_t i = 0; i < dirs.n; i++)
		list[i] = arena_strdup(mem, dirs.at[i]);
	*out = list;
	return 0;
}
