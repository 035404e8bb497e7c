/*
 * skein.h: the Skein-1024-1024 hash, as in "The Skein Hash Function Family", version 1.3.
 *
 * Used for the digests of pot images (`.skein` files). Streaming: skein_init, any number of
 * skein_add, one skein_end. The state holds no pointers; it may be copied to fork a computation.
 */
#ifndef CODEC_SKEIN_H
#define CODEC_SKEIN_H

#include <stddef.h>
#include <stdint.h>

enum {
	SKEIN_BLOCK = 128,  /* bytes taken in at a time */
	SKEIN_DIGEST = 128, /* bytes of the result */
	SKEIN_HEX = 257	    /* the result as lower-case hex, with its NUL */
};

struct skein {
	uint64_t chain[16];
	uint64_t position; /* bytes hashed so far, the tweak's position field */
	uint64_t flags;	   /* the tweak's upper word: type, first, final */
	uint8_t block[SKEIN_BLOCK];
	size_t held; /* bytes waiting in block; a full block waits until more follows */
};

void skein_init(struct skein *s);
void skein_add(struct skein *s, const void *data, size_t len);
void skein_end(struct skein *s, uint8_t out[SKEIN_DIGEST]);
const char *skein_hex(const uint8_t digest[SKEIN_DIGEST], char out[SKEIN_HEX]);

#endif
