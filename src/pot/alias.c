#include "pot/net.h"
#include "pot/priv.h"

#include <ctype.h>
#include <string.h>
#include <sys/socket.h>

/*
 * Alias pots: real addresses, each of them answered for by an interface of the machine.
 */

void
aliases_fini(struct aliases *a)
{
	VEC_FINI(&a->all);
}

static bool
special(const struct ip *ip)
{
	return ip->family == AF_INET
		   ? ip->bytes[0] == 127 || ip->bytes[0] == 0 || ip->bytes[0] >= 224
		   : ip->bytes[0] == 0xff || (ip->bytes[0] == 0xfe && ip->bytes[1] >= 0x80) ||
			 memcmp(ip->bytes, (const uint8_t[15]){ 0 }, 15) == 0;
}

int
alias_parse(const char *word, struct netif_alias *out, struct err *e)
{
	const char *bar = strchr(word, '|'), *address = bar != NULL ? bar + 1 : word;
	struct netif_alias a = { .nic = "" };

	if (bar != NULL && (bar == word || (size_t)(bar - word) >= sizeof(a.nic) ||
			       strcspn(word, "/ \t") < (size_t)(bar - word)))
		return err_new(
		    e, ERR_INPUT, "'%s': what stands before the | is no interface", word);
	if (bar != NULL)
		memcpy(a.nic, word, (size_t)(bar - word));
	if (!ip_parse(address, &a.ip))
		return err_new(e, ERR_INPUT,
		    "'%s' is no [INTERFACE|]ADDRESS (an address stands alone, without the length "
		    "of a network)",
		    word);
	if (special(&a.ip))
		return err_new(e, ERR_INPUT,
		    "'%s': a pot cannot have a loopback, link-local or group address", word);
	*out = a;
	return 0;
}

static int
check_nic(struct pot_env *env, const char *nic, struct err *e)
{
	autonetif_links struct netif_links links = NETIF_LINKS_INIT;

	if (env->host->netif->links(env->host, nic, &links, e) < 0)
		return -1;
	for (size_t i = 0; i < links.n; i++)
		if (strcmp(links.at[i].name, nic) == 0)
			return 0;
	return err_new(e, ERR_ABSENT, "this machine has no interface %s", nic);
}

static int
fill_nic(struct pot_env *env, struct netif_alias *a, struct err *e)
{
	if (a->nic[0] == '\0' && *env->conf.extif != '\0')
		str_copy(a->nic, sizeof(a->nic), env->conf.extif);
	if (a->nic[0] == '\0' && env->host->netif->external(env->host, a->ip.family, a->nic, e) < 0)
		return err_ctx(e, "which interface is to answer for the pot? (POT_EXTIF is empty)");
	return check_nic(env, a->nic, e);
}

static int
add_family(
    struct pot_env *env, char **word, size_t n, int family, struct aliases *out, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		struct netif_alias a;
		if (*word[i] == '\0')
			continue;
		if (alias_parse(word[i], &a, e) < 0)
			return -1;
		if (a.ip.family != family)
			continue;
		if (fill_nic(env, &a, e) < 0)
			return -1;
		VEC_PUSH(&out->all, a);
	}
	return 0;
}

int
aliases_of(
    struct pot_env *env, const char *line, enum pot_stack stack, struct aliases *out, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	size_t n;
	char **word = str_split(&mem, line, ' ', &n);

	if ((stack != POT_STACK_IPV6 && add_family(env, word, n, AF_INET, out, e) < 0) ||
	    (stack != POT_STACK_IPV4 && add_family(env, word, n, AF_INET6, out, e) < 0))
		return -1;
	if (out->all.n == 0)
		return err_new(e, ERR_INPUT,
		    "network stack %s: none of its addresses ('%s') belongs to that family",
		    pot_stack_text(stack), line);
	return 0;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int
mac_parse(const char *text, uint8_t mac[6], struct err *e)
{
	uint8_t out[6], all = 0;
	bool good = strlen(text) == 17;

	for (size_t i = 0; good && i < 6; i++) {
		int high = hex_digit(text[3 * i]), low = hex_digit(text[3 * i + 1]);
		good = high >= 0 && low >= 0 && (i == 5 || text[3 * i + 2] == ':');
		out[i] = good ? (uint8_t)(high << 4 | low) : 0;
		all |= out[i];
	}
	if (!good)
		return err_new(e, ERR_INPUT, "'%s' is no MAC address like 02:00:00:00:00:01", text);
	if ((out[0] & 1) != 0 || all == 0)
		return err_new(e, ERR_INPUT, "MAC address %s is not that of one station", text);
	memcpy(mac, out, 6);
	return 0;
}
