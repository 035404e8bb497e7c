#include "platform/filter.h"
#include "platform/limits.h"
#include "platform/netif.h"
#include "pot/net.h"
#include "pot/start.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

/*
 * Start: rows of phases. The record says "begun" before a row acts; when one fails, the rows that
 * have begun are walked down again (run.c).
 */

bool
limits_leave_out(const struct limits_ops *limits, struct limits *want)
{
	if (want->io_weight > 0) {
		want->io_weight = 0;
		return true;
	}
	if (!limits->optional)
		return false;
	if (want->shares_asked) {
		want->shares_asked = false;
		return true;
	}
	if ((want->memory_bytes == 0 && want->pids == 0 && want->cpu_quota_percent == 0))
		return false;
	want->memory_bytes = want->pids = want->cpu_quota_percent = 0;
	return true;
}

static int
limits_up(struct start *s, struct err *e)
{
	const struct pot_spec *spec = s->spec;
	const struct limits_ops *limits = s->env->host->limits;
	struct limits want = { .memory_bytes = s->o->memory_bytes != 0 ? s->o->memory_bytes
								       : spec->rss_memory_bytes,
		.cpuset = *spec->rss_pin != '\0' ? spec->rss_pin : NULL,
		.cpu_count = spec->rss_cpus,
		.cpu_shares = s->o->cpu_shares != 0 ? s->o->cpu_shares : spec->rss_cpu_weight,
		.shares_asked = s->o->cpu_shares == 0 && spec->rss_cpu_weight > 0,
		.pids = spec->rss_processes == 0	     ? 0
			: s->env->host->isolate->init_counts ? spec->rss_processes + 1
							     : spec->rss_processes,
		.io_weight = spec->rss_io_weight };
	char group[POT_NAME_MAX + 1 + RUN_ID_TEXT + 1];

	run_group(&s->run, group);
	while (limits->create(s->env->host, group, &want, e) < 0) {
		if (e->kind != ERR_UNSUPPORTED || !limits_leave_out(limits, &want))
			return -1;
		pot_say(s->env, POT_SAY_INFO, "pot %s: %s; it starts without", spec->name, e->text);
	}
	return run_cgroups(s->env, &s->run, s->mem, &s->launch.isolate.cgroups, e);
}

static int
isolate_up(struct start *s, struct err *e)
{
	const int own[3] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO };
	const int *fds = s->o->fds;
	char program[PATH_SIZE];

	if (fds[0] == 0 && fds[1] == 0 && fds[2] == 0)
		fds = own;
	path_at(program, "%s/pot-keeper", s->env->libexec);
	if (s->env->keep->start->spawn(program, &s->launch, fds, &s->keeper, e) < 0)
		return -1;
	s->spawned = true;
	return run_keeper(s->env, &s->run, &s->keeper, e);
}

/* link: the bridge's interface. */
static int
inside_of(struct start *s, struct netif_inside *in, char link[NETIF_NAME], struct err *e)
{
	enum pot_stack stack = pot_spec_stack(s->env, s->spec);
	struct nets nets;
	struct bridge own;

	*in = (struct netif_inside){ .name = NULL };
	if (nets_read(s->env, &nets, e) < 0)
		return -1;
	str_copy(link, NETIF_NAME, s->env->conf.bridge);
	if (s->spec->net == POT_NET_PRIVATE) {
		if (bridge_load(s->env, s->spec->bridge, &own, e) < 0)
			return -1;
		str_copy(link, NETIF_NAME, own.link);
		nets.net4 = own.net;
		nets.gateway4 = own.gateway;
		stack = POT_STACK_IPV4;
	}
	if (*s->spec->mac != '\0') {
		if (mac_parse(s->spec->mac, in->mac, e) < 0)
			return -1;
		in->mac_set = true;
	}
	if (*s->spec->ip != '\0' && stack != POT_STACK_IPV6) {
		char range[IPNET_TEXT];
		if (!ip_parse(s->spec->ip, &in->addr4.addr) ||
		    !ipnet_contains(&nets.net4, &in->addr4.addr))
			return err_new(e, ERR_INPUT, "address '%s' is not one of the bridge's, %s",
			    s->spec->ip, ipnet_text(&nets.net4, range));
		in->addr4.prefix = nets.net4.prefix;
		in->gateway4 = nets.gateway4;
	}
	if (*s->spec->ip6 != '\0' && stack != POT_STACK_IPV4) {
		if (!ip_parse(s->spec->ip6, &in->addr6.addr) ||
		    !ipnet_contains(&nets.net6, &in->addr6.addr))
			return err_new(e, ERR_INPUT, "address '%s' is not one of POT_NETWORK6=%s",
			    s->spec->ip6, s->env->conf.network6);
		in->addr6.prefix = nets.net6.prefix;
		in->gateway6 = nets.gateway6;
	}
	return 0;
}

/* The pot's init ends early when its file tree cannot be put together; its keeper knows why. */
static bool
init_has_gone(const struct start *s)
{
	struct err e = ERR_INIT;

	return s->env->host->proc->alive(s->keeper.init_pid, s->keeper.init_start, &e) == 0;
}

/* Brings up what the pot's bridge needs; the table may be missing although the bridge is there. */
static int
vnet_of(struct start *s, struct err *e)
{
	return s->spec->net == POT_NET_PRIVATE ? pot_vnet_start_private(s->env, s->spec->bridge, e)
					       : pot_vnet_start(s->env, e);
}

/* Nobody else may have the address, nor take it meanwhile: the caller holds LOCK_NET. */
static int
refuse_alias_in_use(struct start *s, const struct netif_alias *a, struct err *e)
{
	autofree struct run *other = xmalloc(sizeof(*other));
	char text[IP_TEXT];
	int taken = run_with_alias(s->env, &a->ip, s->run.name, other, e);

	return taken <= 0 ? taken
			  : err_new(e, ERR_EXISTS, "address %s is in use by pot %s",
				ip_text(&a->ip, text), other->name);
}

static int
give_aliases(struct start *s, const struct aliases *at, struct err *e)
{
	struct host *host = s->env->host;
	char link[16];
	struct netif_pair pair = { .name = run_link(&s->run, link),
		.alias = s->spec->name,
		.pid = s->keeper.init_pid,
		.netns = -1 };

	autofd int lock = lock_named(s->env, LOCK_NET, LOCK_WAIT, e);
	if (lock < 0)
		return -1;
	for (size_t i = 0; i < at->all.n; i++)
		if (refuse_alias_in_use(s, &at->all.at[i], e) < 0)
			return -1;
	for (size_t i = 0; i < at->all.n; i++)
		if (run_alias(s->env, &s->run, &at->all.at[i], e) < 0)
			return -1;
	if (host->netif->forwarding_enable(host, e) < 0)
		return err_ctx(e, "let packets pass");
	return host->netif->alias_up(host, &pair, at->all.at, at->all.n, e);
}

static int
alias_network_up(struct start *s, struct err *e)
{
	autoaliases struct aliases at = ALIASES_INIT;
	struct host *host = s->env->host;

	if (aliases_of(s->env, s->spec->ip, pot_spec_stack(s->env, s->spec), &at, e) < 0 ||
	    give_aliases(s, &at, e) < 0)
		return -1;
	return host->netif->alias_ready == NULL
		   ? 0
		   : host->netif->alias_ready(host, at.all.at, at.all.n, e);
}

static int
network_up(struct start *s, struct err *e)
{
	struct host *host = s->env->host;
	struct netif_inside inside;
	char link[16], bridge[NETIF_NAME];
	struct netif_pair pair = { .name = run_link(&s->run, link),
		.alias = s->spec->name,
		.bridge = bridge,
		.pid = s->keeper.init_pid,
		.netns = -1,
		.isolated = s->env->conf.isolate_vnet_pots };

	if (s->spec->net == POT_NET_ALIAS)
		return alias_network_up(s, e);
	if (inside_of(s, &inside, bridge, e) < 0)
		return -1;
	int ready = host->filter->ready(host, s->env->conf.isolate_vnet_pots, e);
	if (ready < 0 || (ready == 0 && vnet_of(s, e) < 0))
		return -1;
	if (host->netif->pair_up(host, &pair, &inside, e) == 0)
		return 0;
	if (e->kind != ERR_ABSENT)
		return -1;
	if (init_has_gone(s))
		return s->env->keep->start->go(&s->keeper, e);
	if (vnet_of(s, e) < 0)
		return -1;
	return host->netif->pair_up(host, &pair, &inside, e);
}

static int
process_up(struct start *s, struct err *e)
{
	const struct limits_ops *limits = s->env->host->limits;
	char group[POT_NAME_MAX + 1 + RUN_ID_TEXT + 1];

	if (limits->bind != NULL && limits->bind(s->env->host, run_group(&s->run, group), e) < 0)
		return -1;
	if (hook_prestart(s->env, s->spec, s->keeper.init_pid, e) < 0)
		return -1;
	if (s->env->keep->start->go(&s->keeper, e) < 0)
		return -1;
	return run_running(s->env, &s->run, e);
}

static const struct {
	enum run_phase phase;
	int (*up)(struct start *, struct err *);
} ups[] = {
	{ RUN_LIMITS, limits_up },
	{ RUN_ISOLATE, isolate_up },
	{ RUN_NETWORK, network_up },
	{ RUN_PORTS, ports_up },
	{ RUN_PROCESS, process_up },
};

static bool
has_phase(const struct start *s, enum run_phase phase)
{
	bool bridged = s->spec->net == POT_NET_PUBLIC || s->spec->net == POT_NET_PRIVATE;

	return phase == RUN_NETWORK ? s->spec->net != POT_NET_INHERIT
	       : phase == RUN_PORTS ? bridged && s->spec->n_ports > 0
				    : true;
}

static int
phases_up(struct start *s, struct err *e)
{
	for (size_t i = 0; i < NELEM(ups); i++) {
		if (!has_phase(s, ups[i].phase))
			continue;
		if (run_begun(s->env, &s->run, ups[i].phase, e) == 0 && ups[i].up(s, e) == 0)
			continue;
		struct err undo = ERR_INIT;
		if (s->spawned)
			s->env->keep->start->abort(&s->keeper);
		if (run_down(s->env, &s->run, &undo) < 0)
			pot_say(s->env, POT_SAY_ERROR,
			    "after the failed start: %s ('pot doctor' mends it)", undo.text);
		return err_ctx(e, "%s", run_phase_name(ups[i].phase));
	}
	return 0;
}

static int
check_startable(struct pot_env *env, const struct pot_spec *spec, struct err *e)
{
	enum pot_stack stack = pot_spec_stack(env, spec);

	if (spec->outdated)
		return err_new(e, ERR_UNSUPPORTED,
		    "its pot.conf is of an old version (ip4, pot.export.static.ports): 'pot "
		    "update-config -p %s' brings it up to date",
		    spec->name);
	if (spec->net == POT_NET_PRIVATE && stack == POT_STACK_IPV6)
		return err_new(e, ERR_UNSUPPORTED,
		    "private bridges have IPv4 only: not with the network stack ipv6");
	if (spec->net == POT_NET_PRIVATE && stack == POT_STACK_DUAL)
		pot_say(env, POT_SAY_INFO, "private bridges have IPv4 only: %s gets no IPv6",
		    spec->name);
	if (spec->net != POT_NET_INHERIT && *spec->ip == '\0' &&
	    (spec->net != POT_NET_PUBLIC || stack != POT_STACK_IPV6))
		return err_new(e, ERR_CORRUPT, "its pot.conf gives no address");
	return 0;
}

static int
mark_to_be_pruned(
    struct pot_env *env, const struct pot_spec *spec, struct arena *mem, struct err *e)
{
	autoconf struct conf conf = CONF_INIT(mem);

	if (!pot_spec_yes(spec, "prunable") || pot_spec_yes(spec, "to-be-pruned"))
		return 0;
	if (conf_load(&conf, env, spec->name, e) < 0)
		return -1;
	conf_set(&conf, "pot.attr.to-be-pruned", "YES");
	return conf_save(&conf, env, spec->name, e);
}

/* Everything under the lock. 1: it runs already. */
static int
start_locked(struct start *s, const char *name, int *lock, struct err *e)
{
	struct pot_env *env = s->env;
	char snap[32];

	/* the lock is given away meanwhile: what the pot is like is read after it */
	if (run_settle(env, name, lock, e) < 0 || pot_spec_load(env, name, s->mem, &s->spec, e) < 0)
		return -1;
	int live = run_is_live(env, name);
	if (live < 0)
		return err_new(
		    e, ERR_BUSY, "whether it runs cannot be told now; 'pot doctor' says more");
	if (live > 0)
		return run_read(env, name, &s->run, e) < 0 && e->kind != ERR_ABSENT ? -1 : 1;
	if (check_startable(env, s->spec, e) < 0 ||
	    (s->spec->type == POT_MULTI && multi_may_start(env, s->spec, s->mem, e) < 0) ||
	    net_complete(env, s->spec, s->mem, e) < 0)
		return -1;
	if (s->o->snapshot && snapshot_all(env, name, snap, sizeof(snap), e) < 0)
		return -1;
	if (!s->o->idle && mark_to_be_pruned(env, s->spec, s->mem, e) < 0)
		return -1;
	str_copy(s->run.name, sizeof(s->run.name), name);
	ids_run(s->run.id);
	s->run.stop_signal = s->o->stop_signal;
	s->run.stop_timeout_ms = stop_timeout_of(s->spec, s->o);
	if (launch_fill(s, e) < 0 || run_create(env, &s->run, e) < 0)
		return -1;
	return phases_up(s, e);
}

/* ---- the wait of a start in the foreground ---- */

/* Whoever asked for a start alone has got it, although the run is over: what cannot be cleared up
 * then is told, and waits for the next who touches the pot, as when its keeper finishes it. */
static int
run_ended(struct start *s, struct err *e)
{
	struct err why = ERR_INIT;

	if (pot_finish(s->env, s->run.name, s->run.id, &why) == 0)
		return 0;
	err_ctx(&why, "pot %s has ended", s->run.name);
	if (s->o->detach) {
		pot_say(s->env, POT_SAY_ERROR, "%s ('pot doctor' mends it)", why.text);
		return 0;
	}
	*e = why;
	return -1;
}

static int
wait_plainly(struct start *s, struct keeper_exit *x, struct err *e)
{
	return s->o->detach ? ready_wait(s, x, e) : s->env->keep->start->wait(&s->keeper, -1, x, e);
}

/* A signal that asks this command to end while it waits stops the pot: nobody else would. The
 * signals are let in by the wait alone, so that none is missed. As wait_plainly(). */
static int
wait_heeding(struct start *s, struct keeper_exit *x, struct err *e)
{
	sigset_t asked, before;
	int what = 0;

	if (s->env->stop == NULL)
		return wait_plainly(s, x, e);
	sigemptyset(&asked);
	sigaddset(&asked, SIGTERM);
	sigaddset(&asked, SIGINT);
	sigaddset(&asked, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &asked, &before);
	s->keeper.held = &before;
	do
		what = *s->env->stop != 0 ? 0 : wait_plainly(s, x, e);
	while (what == 0 && !s->o->detach && *s->env->stop == 0);
	s->keeper.held = NULL;
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	if (what != 0 || *s->env->stop == 0)
		return what;
	if (pot_stop(s->env, s->run.name, NULL, e) < 0)
		return -1;
	what = s->env->keep->start->wait(&s->keeper, -1, x, e);
	/* of a pot that was to stay there may be two words: its command's end, and its own */
	return what == 2 ? s->env->keep->start->wait(&s->keeper, -1, x, e) : what;
}

/* The end of the command, or with ready_ms what comes first of it and that the pot is ready. */
static int
await_end(struct start *s, struct pot_exit *out, struct err *e)
{
	struct keeper_exit x = { 0 };
	int what = wait_heeding(s, &x, e);

	if (what == 0)
		return s->env->keep->start->detach(&s->keeper) ? run_ended(s, e) : 0;
	if (what < 0) {
		/* the keeper was lost; what it left is cleared up all the same */
		struct err lost = *e;
		if (run_ended(s, e) < 0)
			return -1;
		*e = lost;
		return err_ctx(e, "pot %s: its keeper is gone", s->run.name);
	}
	out->ended = true;
	out->code = x.code;
	out->signal = x.signal;
	out->oom = x.oom_killed;
	out->stays = what == 2;
	if (what == 2)
		return s->env->keep->start->detach(&s->keeper) ? run_ended(s, e) : 0;
	return run_ended(s, e);
}

/* ---- dependencies ---- */

struct chain {
	const char *name;
	const struct chain *up;
	unsigned depth;
};

static int start_chained(struct pot_env *, const char *, const struct pot_start_options *,
    const struct chain *, struct pot_exit *, struct err *);

static int
start_needed(struct pot_env *env, const char *name, const struct pot_start_options *o,
    const struct chain *up, struct arena *mem, struct err *e)
{
	struct chain here = { .name = name, .up = up, .depth = up != NULL ? up->depth + 1 : 0 };
	struct pot_start_options quiet = { .detach = true,
		.stdio = POT_STDIO_NULL,
		.ready_ms = o->needs_ready_ms,
		.needs_ready_ms = o->needs_ready_ms };
	struct pot_spec *spec;
	struct pot_exit ignored;

	if (here.depth > START_DEPTH)
		return err_new(e, ERR_INPUT, "more than %d pots depend on each other", START_DEPTH);
	if (pot_spec_load(env, name, mem, &spec, e) < 0)
		return -1;
	for (size_t i = 0; i < spec->depend.n; i++) {
		const struct chain *c = &here;
		while (c != NULL && strcmp(c->name, spec->depend.at[i]) != 0)
			c = c->up;
		if (c != NULL)
			continue; /* a circle: it is being started further up */
		if (start_chained(env, spec->depend.at[i], &quiet, &here, &ignored, e) < 0)
			return err_ctx(e, "pot %s is needed", spec->depend.at[i]);
	}
	return 0;
}

static int
start_chained(struct pot_env *env, const char *name, const struct pot_start_options *o,
    const struct chain *up, struct pot_exit *out, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct start s = { .env = env, .mem = &mem, .o = o };

	*out = (struct pot_exit){ 0 };
	if (!o->idle && start_needed(env, name, o, up, &mem, e) < 0)
		return -1;
	if (interrupted(env, e) < 0)
		return err_ctx(e, "start %s", name);
	autofd int lock = lock_pot(env, name, LOCK_WAIT, e);
	int rc = lock < 0 ? -1 : start_locked(&s, name, &lock, e);
	if (rc < 0)
		return err_ctx(e, "start %s", name);
	own_close(&lock);
	lock = -1;
	out->already = rc == 1;
	str_copy(out->run_id, sizeof(out->run_id), s.run.id);
	out->init_pid = s.run.init;
	if (rc == 1)
		return 0;
	hook_tell(env, s.spec, POT_HOOK_POSTSTART, s.run.init);
	/* a pot that is up without a command has no end to wait for */
	out->stays = s.launch.isolate.process.argv == NULL;
	if ((!o->detach || o->ready_ms > 0) && !out->stays)
		return await_end(&s, out, e);
	return env->keep->start->detach(&s.keeper) ? run_ended(&s, e) : 0;
}

int
pot_start(struct pot_env *env, const char *name, const struct pot_start_options *o,
    struct pot_exit *out, struct err *e)
{
	static const struct pot_start_options none = { .detach = false };

	if (pot_name_check(name, e) < 0 || need_root("start", e) < 0 || pot_env_ready(env, e) < 0)
		return -1;
	run_sweep(env);
	return start_chained(env, name, o != NULL ? o : &none, NULL, out, e);
}
