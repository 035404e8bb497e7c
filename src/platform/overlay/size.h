/*
 * size.h: sizes that were measured, kept in small files so that trees need not be walked each time.
 *
 * They only save time: one that is lost or damaged is measured again.
 */
#ifndef PLATFORM_OVERLAY_SIZE_H
#define PLATFORM_OVERLAY_SIZE_H

#include "platform/overlay/store.h"

#include <stdint.h>

struct size {
	uint64_t bytes; /* of its own */
	uint64_t refer; /* with what it shares; where that differs */
	uint64_t key;	/* what it was measured of: a generation, where there is one */
	int64_t measured_ns, cost_ns;
};

bool size_read(const struct store *s, const char *path, struct size *out);
void size_write(const struct store *s, const char *path, const struct size *z);
/* May it be used although something may have been written since? For ten seconds, or a hundred
 * times what measuring costs. */
bool size_still_good(const struct size *z);
/* Was it cheap enough to be measured each time? */
bool size_is_cheap(const struct size *z);

#endif
