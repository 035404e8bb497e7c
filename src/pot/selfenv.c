#include "platform/netif.h"
#include "pot/priv.h"

#include <string.h>
#include <sys/socket.h>

/*
 * What a pot learns about itself: `info -E`, the environment of its command and of hooks.
 *
 * A pot of type alias has a list of addresses, "addr" or "interface|addr", separated by blanks:
 * each becomes a pair of variables, IPv4 addresses first.
 */

struct alias_env {
	struct pot_env *env;
	struct arena *mem;
	struct strs_builder *out;
	struct buf ips, nics; /* names of the variables, separated by "\ " */
	unsigned n;
};

/* POT_EXTIF, else the interface of the default route; "" when there is none. */
static const char *
default_nic(const struct alias_env *a, bool six)
{
	char name[NETIF_NAME];
	struct err none = ERR_INIT;

	if (*a->env->conf.extif != '\0')
		return a->env->conf.extif;
	if (a->env->host->netif->external(a->env->host, six ? AF_INET6 : AF_INET, name, &none) < 0)
		return "";
	return arena_strdup(a->mem, name);
}

static void
alias_one(struct alias_env *a, const char *entry)
{
	const char *bar = strchr(entry, '|'), *ip = bar != NULL ? bar + 1 : entry;
	const char *nic = bar != NULL ? arena_strndup(a->mem, entry, (size_t)(bar - entry))
				      : default_nic(a, strchr(ip, ':') != NULL);

	if (a->n == 0)
		list_add(a->out, arena_printf(a->mem, "_POT_IP=%s", ip));
	list_add(a->out, arena_printf(a->mem, "_POT_NIC_%u=%s", a->n, nic));
	list_add(a->out, arena_printf(a->mem, "_POT_IP_%u=%s", a->n, ip));
	buf_addf(&a->ips, "%s_POT_IP_%u", a->n > 0 ? " " : "", a->n);
	buf_addf(&a->nics, "%s_POT_NIC_%u", a->n > 0 ? " " : "", a->n);
	a->n++;
}

static void
alias_family(struct alias_env *a, const struct pot_spec *spec, bool six)
{
	size_t n;
	char **entry = str_split(a->mem, spec->ip, ' ', &n);

	for (size_t i = 0; i < n; i++) {
		const char *bar = strchr(entry[i], '|');
		bool is_six = strchr(bar != NULL ? bar : entry[i], ':') != NULL;
		if (*entry[i] != '\0' && is_six == six)
			alias_one(a, entry[i]);
	}
}

static void
alias_env(struct pot_env *env, const struct pot_spec *spec, struct strs_builder *out)
{
	struct alias_env a = { .env = env, .mem = out->mem, .out = out };
	enum pot_stack stack = pot_spec_stack(env, spec);

	if (stack != POT_STACK_IPV6)
		alias_family(&a, spec, false);
	if (stack != POT_STACK_IPV4)
		alias_family(&a, spec, true);
	list_add(out, arena_printf(a.mem, "_POT_IP_LIST=%s", buf_str(&a.ips)));
	list_add(out, arena_printf(a.mem, "_POT_NIC_LIST=%s", buf_str(&a.nics)));
	buf_fini(&a.ips);
	buf_fini(&a.nics);
}

int
pot_self_env(struct pot_env *env, const struct pot_spec *spec, const struct pot_state *state,
    struct arena *mem, struct pot_strs *out, struct err *e)
{
	struct strs_builder b = STRS_BUILDER(out, mem);

	(void)e;
	*out = (struct pot_strs){ 0 };
	list_add(&b, arena_printf(mem, "_POT_NAME=%s", spec->name));
	if (spec->net == POT_NET_ALIAS) {
		alias_env(env, spec, &b);
	} else {
		if (*spec->ip != '\0')
			list_add(&b, arena_printf(mem, "_POT_IP=%s", spec->ip));
		if (*spec->ip6 != '\0')
			list_add(&b, arena_printf(mem, "_POT_IP6=%s", spec->ip6));
	}
	if (*spec->bridge != '\0')
		list_add(&b, arena_printf(mem, "_POT_BRIDGE=%s", spec->bridge));
	if (state->init_pid != 0)
		list_add(&b, arena_printf(mem, "_POT_JID=%d", pot_number(env, state->init_pid)));
	return 0;
}
