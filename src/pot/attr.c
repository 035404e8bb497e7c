#include "platform/isolate.h"
#include "pot/priv.h"

#include <string.h>

/* In the order in which create writes them: the framework's, then the jail's. */
static const struct pot_attr attrs[] = {
	{ "no-rc-script", POT_ATTR_BOOL, "NO", false, false, true, POT_ATTR_EVERYWHERE,
	    "the command runs by itself instead of as a system start-up" },
	{ "persistent", POT_ATTR_BOOL, "YES", false, false, true, POT_ATTR_EVERYWHERE,
	    "the pot stays up when its command has ended" },
	{ "start-at-boot", POT_ATTR_BOOL, "NO", false, false, true, POT_ATTR_EVERYWHERE,
	    "it starts with the machine ('pot boot')" },
	{ "early-start-at-boot", POT_ATTR_BOOL, "NO", false, false, false, POT_ATTR_EVERYWHERE,
	    "it starts before the pots with start-at-boot" },
	{ "prunable", POT_ATTR_BOOL, "NO", false, false, true, POT_ATTR_EVERYWHERE,
	    "prune may remove it when it has run and stopped" },
	{ "localhost-tunnel", POT_ATTR_BOOL, "NO", false, false, false, POT_ATTR_NOWHERE,
	    "not needed: exported ports are reachable from the machine itself" },
	{ "no-tmpfs", POT_ATTR_BOOL, "NO", false, false, true, POT_ATTR_EVERYWHERE,
	    "no fresh tmpfs on /tmp" },
	{ "no-etc-hosts", POT_ATTR_BOOL, "NO", false, false, false, POT_ATTR_EVERYWHERE,
	    "the other pots are not listed in /etc/hosts" },
	{ "to-be-pruned", POT_ATTR_BOOL, "NO", false, true, false, POT_ATTR_EVERYWHERE,
	    "set by the first start" },
	{ "enforce_statfs", POT_ATTR_UINT, "2", true, false, true, POT_ATTR_SYSTEM,
	    "which mounts it sees; on Linux always its own alone" },
	{ "mount", POT_ATTR_BOOL, "NO", true, false, true, POT_ATTR_SYSTEM,
	    "may mount; on Linux never: it would be root of the machine" },
	{ "fdescfs", POT_ATTR_BOOL, "NO", true, false, true, POT_ATTR_SYSTEM,
	    "/dev/fd is there; on Linux always" },
	{ "linprocfs", POT_ATTR_BOOL, "NO", true, false, true, POT_ATTR_SYSTEM,
	    "may mount linprocfs; on Linux never, /proc is there" },
	{ "nullfs", POT_ATTR_BOOL, "NO", true, false, true, POT_ATTR_SYSTEM,
	    "may mount nullfs; on Linux never" },
	{ "procfs", POT_ATTR_BOOL, "NO", true, false, true, POT_ATTR_SYSTEM,
	    "/proc is there; on Linux always" },
	{ "tmpfs", POT_ATTR_BOOL, "NO", true, false, true, POT_ATTR_SYSTEM,
	    "may mount tmpfs; on Linux never" },
	{ "zfs", POT_ATTR_BOOL, "NO", true, false, true, POT_ATTR_SYSTEM,
	    "may mount ZFS; on Linux never" },
	/* pot 0.16 granted them whatever was set: that is what a new pot gets, and NO is meant */
	{ "raw_sockets", POT_ATTR_BOOL, "YES", true, false, true, POT_ATTR_SYSTEM,
	    "may use raw sockets (tcpdump, arping); on Linux ping works without, "
	    "on FreeBSD a pot on a bridge always may" },
	{ "sysvshm", POT_ATTR_SYSV, "new", true, false, true, POT_ATTR_SYSTEM,
	    "System V shared memory; on Linux inherit is for all three of them" },
	{ "sysvsem", POT_ATTR_SYSV, "new", true, false, true, POT_ATTR_SYSTEM,
	    "System V semaphores" },
	{ "sysvmsg", POT_ATTR_SYSV, "new", true, false, true, POT_ATTR_SYSTEM,
	    "System V messages" },
	{ "children", POT_ATTR_UINT, "0", true, false, true, POT_ATTR_SYSTEM,
	    "how many jails it may make; on Linux none" },
	{ "mlock", POT_ATTR_BOOL, "NO", true, false, true, POT_ATTR_SYSTEM, "may lock memory" },
	{ "devfs_ruleset", POT_ATTR_UINT, "4", true, false, true, POT_ATTR_SYSTEM,
	    "which devices it sees; on Linux null, zero, full, random, urandom, tty" },
	{ "exec_stop", POT_ATTR_STRING, "", true, false, true, POT_ATTR_EVERYWHERE,
	    "command run inside before the pot is stopped; its time is taken from stop_timeout" },
	{ "stop_timeout", POT_ATTR_UINT, "10", true, false, true, POT_ATTR_EVERYWHERE,
	    "seconds between the stop signal and the kill; 0 kills at once, without exec_stop" },
};

const struct pot_attr *
pot_attrs(size_t *n)
{
	*n = NELEM(attrs);
	return attrs;
}

const struct pot_attr *
pot_attr_named(const char *name)
{
	for (size_t i = 0; i < NELEM(attrs); i++)
		if (attrs[i].name[0] == name[0] && strcmp(attrs[i].name, name) == 0)
			return &attrs[i];
	return NULL;
}

bool
pot_attr_has_effect(const struct pot_env *env, const struct pot_attr *a)
{
	const struct isolate_ops *isolate =
	    env != NULL && env->host != NULL ? env->host->isolate : &isolate_native;
	const char *const *known = isolate->attributes;

	if (a->effect != POT_ATTR_SYSTEM)
		return a->effect == POT_ATTR_EVERYWHERE;
	while (known != NULL && *known != NULL && strcmp(*known, a->name) != 0)
		known++;
	return known != NULL && *known != NULL;
}

/* Beside its own configuration: the kernel's mind, and that of pot 0.16. */
static bool
raw_anyway(const struct pot_env *env, const struct pot_spec *s)
{
	return attr_raw_sockets(env, s) ||
	       (env->host->isolate->own_network_is_raw &&
		   (s->net == POT_NET_PUBLIC || s->net == POT_NET_PRIVATE));
}

bool
pot_attr_idle(const struct pot_env *env, const struct pot_spec *s, const struct pot_attr *a)
{
	const char *set = s->attr[a - attrs];

	if (set == NULL || strcmp(set, a->def) == 0)
		return false;
	return !pot_attr_has_effect(env, a) ||
	       (strcmp(a->name, "raw_sockets") == 0 && raw_anyway(env, s));
}
