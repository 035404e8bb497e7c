#include "base/str.h"
#include "platform/filter.h"
#include "platform/isolate.h"
#include "platform/netif.h"
#include "pot/net.h"
#include "pot/start.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

/*
 * Pots that run without a record: pot 0.16 starts a jail and goes. They are seen, and can be
 * stopped; whoever starts one afterwards has a keeper for it.
 */

int
stray_runs(struct pot_env *env, const char *name, struct err *e)
{
	const struct isolate_ops *isolate = env->host->isolate;
	autoarena struct arena mem = ARENA_INIT;

	if (isolate->stray == NULL || str_starts(name, RUN_RAW_PREFIX))
		return 0;
	return isolate->stray(name, pot_place(env, name, &mem), e);
}

/* Its interfaces carry its name as their description. */
static int
remove_links(struct pot_env *env, const char *name, struct err *e)
{
	autonetif_links struct netif_links links = NETIF_LINKS_INIT;

	if (env->host->netif->links(env->host, "p", &links, e) < 0)
		return -1;
	for (size_t i = 0; i < links.n; i++)
		if (strcmp(links.at[i].alias, name) == 0 &&
		    env->host->netif->link_remove(env->host, links.at[i].name, e) < 0)
			return -1;
	return 0;
}

static int
remove_aliases(struct pot_env *env, const struct pot_spec *spec, struct err *e)
{
	autoaliases struct aliases at = ALIASES_INIT;

	if (spec->net != POT_NET_ALIAS)
		return 0;
	if (aliases_of(env, spec->ip, pot_spec_stack(env, spec), &at, e) < 0)
		return -1;
	return env->host->netif->alias_down(env->host, "", at.all.at, at.all.n, e);
}

/* Pot 0.16 notes there what it has started, and starts nothing whose note says so. A name in a
 * directory that all may write to: the link itself goes, whatever it is. */
static void
remove_notes(const struct pot_env *env, const char *name)
{
	static const char *const notes[] = { "pot_status_", "pot_main_pid_" };

	for (size_t i = 0; i < NELEM(notes); i++) {
		autofree char *path = xasprintf("%s/%s%s", env->conf.tmp, notes[i], name);
		(void)unlink(path);
	}
}

int
stray_end(struct pot_env *env, const char *name, struct err *e)
{
	static const struct pot_start_options usual = { .detach = false };
	const struct isolate_ops *isolate = env->host->isolate;
	autoarena struct arena mem = ARENA_INIT;
	struct pot_spec *spec;
	struct pot_tree tree;

	if (pot_spec_load(env, name, &mem, &spec, e) < 0)
		return -1;
	const char *place = pot_place(env, name, &mem);
	hook_tell(env, spec, POT_HOOK_PRESTOP, 0);
	if (isolate->stray_stop(name, place, SIGTERM, stop_timeout_of(spec, &usual), e) < 0 ||
	    isolate->clear(name, place, true, e) < 0)
		return -1;
	/* the jail is gone: the interface that was lent to it is back on the machine; its anchor
	 * has the pot's name in place of a run's */
	if (remove_links(env, name, e) < 0 || remove_aliases(env, spec, e) < 0 ||
	    env->host->filter->ports_remove(env->host, name, e) < 0)
		return -1;
	/* its datasets go back to their own places */
	if (tree_of(env, spec, &mem, &tree, e) < 0)
		return -1;
	remove_notes(env, name);
	hook_tell(env, spec, POT_HOOK_POSTSTOP, 0);
	return 0;
}
