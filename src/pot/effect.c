#include "platform/isolate.h"
#include "pot/priv.h"

#include <string.h>

/*
 * What a pot's attributes mean to the machine.
 */

/* pot 0.16 writes NO into each pot and grants them all the same, so where its pots are taken over a
 * NO counts that somebody has said to us. */
bool
attr_raw_sockets(const struct pot_env *env, const struct pot_spec *s)
{
	return pot_spec_yes(s, "raw_sockets") ||
	       (env->host->isolate->shell_pots && !s->raw_refused);
}

uint64_t
attr_caps(const struct pot_env *env, const struct pot_spec *s)
{
	uint64_t caps = ISOLATE_CAPS_DEFAULT & ~ISOLATE_CAP_NET_RAW;

	if (attr_raw_sockets(env, s))
		caps |= ISOLATE_CAP_NET_RAW;
	if (pot_spec_yes(s, "mlock"))
		caps |= ISOLATE_CAP_IPC_LOCK;
	return caps;
}

/* The machine's own network, as far as the network stack goes; a pot that has a network of its own
 * has what addresses it has. */
unsigned
stack_lacks(struct pot_env *env, const struct pot_spec *s)
{
	enum pot_stack stack = pot_spec_stack(env, s);

	if (s->net != POT_NET_INHERIT || stack == POT_STACK_DUAL)
		return 0;
	return stack == POT_STACK_IPV6 ? ISOLATE_NO_IPV4 : ISOLATE_NO_IPV6;
}

unsigned
attr_what(struct pot_env *env, const struct pot_spec *s, unsigned what, unsigned *no_ipc)
{
	static const struct {
		const char *attr;
		unsigned bit;
	} kinds[] = { { "sysvshm", ISOLATE_NO_SHM }, { "sysvsem", ISOLATE_NO_SEM },
		{ "sysvmsg", ISOLATE_NO_MSG } };
	size_t shared = 0;

	*no_ipc = 0;
	if (!env->host->isolate->ipc_is_one)
		return what; /* each by its attribute */
	for (size_t i = 0; i < NELEM(kinds); i++) {
		const char *value = pot_spec_attr(s, kinds[i].attr);
		shared += strcmp(value, "inherit") == 0;
		if (strcmp(value, "disable") == 0)
			*no_ipc |= kinds[i].bit;
	}
	if (shared == NELEM(kinds))
		return what & ~(unsigned)ISOLATE_IPC;
	if (shared > 0)
		pot_say(env, POT_SAY_INFO,
		    "pot %s: sysvshm, sysvsem and sysvmsg are inherited all three or none on this "
		    "system; here none is",
		    s->name);
	return what;
}

const char *const *
attr_system(struct pot_env *env, const struct pot_spec *s, struct arena *mem)
{
	const char *const *known = env->host->isolate->attributes;
	size_t n = 0;

	while (known != NULL && known[n] != NULL)
		n++;
	const char **list = arena_array(mem, n + 1, const char *);
	for (size_t i = 0; i < n; i++)
		list[i] = arena_printf(mem, "%s=%s", known[i],
		    strcmp(known[i], "raw_sockets") != 0 ? pot_spec_attr(s, known[i])
		    : attr_raw_sockets(env, s)		 ? "YES"
							 : "NO");
	return list;
}

int
pot_number(const struct pot_env *env, pid_t init)
{
	const struct isolate_ops *isolate = env->host->isolate;

	return init == 0 || isolate->number == NULL ? (int)init : isolate->number(init);
}
