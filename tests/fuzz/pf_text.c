/* pf.conf and what pfctl shows: what is added is there once, and goes again. The first byte
 * chooses.
 */
#include "platform/pf/pf.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
edit(const char *text)
{
	autobuf struct buf with = BUF_INIT, again = BUF_INIT, without = BUF_INIT, last = BUF_INIT;

	(void)pf_conf_add(text, &with);
	assert(pf_calls(buf_str(&with), "nat-anchor", PF_NAT_ANCHOR) == 1);
	assert(pf_calls(buf_str(&with), "anchor", PF_FILTER_ANCHOR) == 1);
	assert(!pf_conf_add(buf_str(&with), &again));
	assert(strcmp(buf_str(&with), buf_str(&again)) == 0);
	assert(pf_conf_drop(buf_str(&with), &without));
	assert(pf_calls(buf_str(&without), "rdr-anchor", PF_RDR_ALL) == 0);
	assert(!pf_conf_drop(buf_str(&without), &last));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofilter_entries struct filter_entries all = FILTER_ENTRIES_INIT;
	autobuf struct buf text = BUF_INIT, out = BUF_INIT;
	char value[64];
	struct pf_net net;
	struct err e;

	if (size == 0 || memchr(data, '\0', size) != NULL)
		return 0;
	buf_add(&text, data + 1, size - 1);
	switch (data[0] % 4) {
	case 0:
		edit(buf_str(&text));
		break;
	case 1:
		pf_shown_ports(buf_str(&text), "0123456789ab", &all);
		pf_ports_parse(buf_str(&text), "0123456789ab", &all);
		for (size_t i = 0; i < all.n; i++)
			assert(all.at[i].port.host_port != 0 && all.at[i].port.to.family != 0);
		break;
	case 2:
		if (pf_net_parse(buf_str(&text), &net, &e) == 0)
			pf_net_write(&net, &out);
		break;
	default:
		if (pf_rc_value(buf_str(&text), "pf_rules", value, sizeof(value)))
			assert(strchr(value, '\n') == NULL);
	}
	return 0;
}
