/*
 * ids.h: identities: random UUIDs, run ids, the identity of this boot.
 */
#ifndef BASE_IDS_H
#define BASE_IDS_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { UUID_TEXT = 37, RUN_ID_TEXT = 13 };

void ids_random(void *out, size_t len);
const char *ids_uuid(char out[UUID_TEXT]);	/* RFC 4122 version 4 */
bool ids_is_uuid(const char *text);		/* 36 characters, hex and hyphens in place */
const char *ids_run(char out[RUN_ID_TEXT]);	/* 12 hex digits: names one run of one pot */
uint64_t ids_hash64(const void *p, size_t len); /* FNV-1a, for stable derived names */

#endif
