/*
 * filter_table.h: what filter_table.c (chains and rules) and filter.c (exported ports) share.
 */
#ifndef PLATFORM_LINUX_FILTER_TABLE_H
#define PLATFORM_LINUX_FILTER_TABLE_H

#include "platform/filter.h"
#include "platform/linux/nft.h"

enum { FILTER_KEY_LEN = 8 }; /* of the maps: protocol and port, each in a register of 4 bytes */

const char *filter_map(int family); /* the map of exported ports */
void filter_put_value(struct nl_batch *b, unsigned type, const void *data, size_t len);

int filter_setup(struct host *h, const struct filter_net *n, struct err *e);
int filter_ready(struct host *h, bool isolated, struct err *e);
int filter_obstacles(struct host *h, struct names *out, struct err *e);
int filter_teardown(struct host *h, struct err *e);

#endif
