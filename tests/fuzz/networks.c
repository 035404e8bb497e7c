/* What operators and other machines say of networks: a private bridge's file, the addresses of an
 * alias pot, a MAC address. */
#include "pot/net.h"
#include "pot/priv.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = xmalloc(size + 1);
	struct netif_alias a;
	struct bridge b;
	uint8_t mac[6];
	struct err e;

	memcpy(text, data, size);
	text[size] = '\0';
	(void)bridge_parse("br", text, size, &b, &e);
	(void)alias_parse(text, &a, &e);
	(void)mac_parse(text, mac, &e);
	return 0;
}
