#include "codec/skein.h"

#include <string.h>

/*
 * Threefish-1024 (section 3.3): 80 rounds over 16 words, a subkey every four rounds. The word
 * permutation is not carried out: each round of a group of four names the words where the
 * permutation would have brought them, and after four rounds they are home again.
 */
enum { WORDS = 16, KEY_PARITY = 16 };

#define C240 0x1BD11BDAA9FC1A22ULL

/* The tweak's upper word (section 3.5.1): type in bits 120..125, first bit 126, final bit 127. */
#define FLAG_FIRST   (1ULL << 62)
#define FLAG_FINAL   (1ULL << 63)
#define TYPE(t)	     ((uint64_t)(t) << 56)
#define TYPE_CONFIG  TYPE(4)
#define TYPE_MESSAGE TYPE(48)
#define TYPE_OUTPUT  TYPE(63)

static inline uint64_t
rotate(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

static inline uint64_t
load_le(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

static inline void
store_le(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

#define MIX(a, b, r) (x[a] += x[b], x[b] = rotate(x[b], r) ^ x[a])
#define ROUND(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, r0, r1, r2, r3, r4, r5, r6, r7)      \
	(MIX(a, b, r0), MIX(c, d, r1), MIX(e, f, r2), MIX(g, h, r3), MIX(i, j, r4), MIX(k, l, r5), \
	    MIX(m, n, r6), MIX(o, p, r7))

static inline void
four_rounds_even(uint64_t x[WORDS])
{
	ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 24, 13, 8, 47, 8, 17, 22, 37);
	ROUND(0, 9, 2, 13, 6, 11, 4, 15, 10, 7, 12, 3, 14, 5, 8, 1, 38, 19, 10, 55, 49, 18, 23, 52);
	ROUND(0, 7, 2, 5, 4, 3, 6, 1, 12, 15, 14, 13, 8, 11, 10, 9, 33, 4, 51, 13, 34, 41, 59, 17);
	ROUND(0, 15, 2, 11, 6, 13, 4, 9, 14, 1, 8, 5, 10, 3, 12, 7, 5, 20, 48, 41, 47, 28, 16, 25);
}

static inline void
four_rounds_odd(uint64_t x[WORDS])
{
	ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 41, 9, 37, 31, 12, 47, 44, 30);
	ROUND(0, 9, 2, 13, 6, 11, 4, 15, 10, 7, 12, 3, 14, 5, 8, 1, 16, 34, 56, 51, 4, 53, 42, 41);
	ROUND(0, 7, 2, 5, 4, 3, 6, 1, 12, 15, 14, 13, 8, 11, 10, 9, 31, 44, 47, 46, 19, 42, 44, 25);
	ROUND(0, 15, 2, 11, 6, 13, 4, 9, 14, 1, 8, 5, 10, 3, 12, 7, 9, 48, 35, 52, 23, 31, 37, 20);
}

static inline void
add_subkey(uint64_t x[WORDS], const uint64_t key[WORDS + 1], const uint64_t tweak[3], unsigned s)
{
	for (unsigned i = 0; i < WORDS; i++)
		x[i] += key[(s + i) % (WORDS + 1)];
	x[13] += tweak[s % 3];
	x[14] += tweak[(s + 1) % 3];
	x[15] += s;
}

/* One step of UBI (section 3.4): the chain becomes the encrypted block xor the block. */
static void
take_block(struct skein *s, const uint8_t *block, size_t counted)
{
	uint64_t key[WORDS + 1], plain[WORDS], x[WORDS], tweak[3];

	s->position += counted;
	tweak[0] = s->position;
	tweak[1] = s->flags;
	tweak[2] = tweak[0] ^ tweak[1];
	key[KEY_PARITY] = C240;
	for (unsigned i = 0; i < WORDS; i++) {
		key[i] = s->chain[i];
		key[KEY_PARITY] ^= key[i];
		x[i] = plain[i] = load_le(block + 8 * i);
	}
	for (unsigned d = 0; d < 20; d += 2) {
		add_subkey(x, key, tweak, d);
		four_rounds_even(x);
		add_subkey(x, key, tweak, d + 1);
		four_rounds_odd(x);
	}
	add_subkey(x, key, tweak, 20);
	for (unsigned i = 0; i < WORDS; i++)
		s->chain[i] = x[i] ^ plain[i];
	s->flags &= ~FLAG_FIRST;
}

static void
start_part(struct skein *s, uint64_t type)
{
	s->position = 0;
	s->flags = FLAG_FIRST | type;
	s->held = 0;
}

static void
finish_part(struct skein *s)
{
	s->flags |= FLAG_FINAL;
	memset(s->block + s->held, 0, sizeof(s->block) - s->held);
	take_block(s, s->block, s->held);
}

void
skein_init(struct skein *s)
{
	/* The configuration string of section 3.5.2: "SHA3", version 1, output length in bits. */
	static const uint8_t config[32] = { 'S', 'H', 'A', '3', 1, 0, 0, 0, 0x00, 0x04 };

	memset(s, 0, sizeof(*s));
	start_part(s, TYPE_CONFIG);
	memcpy(s->block, config, sizeof(config));
	s->held = sizeof(config);
	finish_part(s);
	start_part(s, TYPE_MESSAGE);
}

void
skein_add(struct skein *s, const void *data, size_t len)
{
	const uint8_t *p = data;

	if (len == 0)
		return;
	if (s->held + len > SKEIN_BLOCK) {
		if (s->held > 0) {
			size_t n = SKEIN_BLOCK - s->held;

			memcpy(s->block + s->held, p, n);
			p += n;
			len -= n;
			take_block(s, s->block, SKEIN_BLOCK);
			s->held = 0;
		}
		for (; len > SKEIN_BLOCK; p += SKEIN_BLOCK, len -= SKEIN_BLOCK)
			take_block(s, p, SKEIN_BLOCK);
	}
	memcpy(s->block + s->held, p, len);
	s->held += len;
}

void
skein_end(struct skein *s, uint8_t out[SKEIN_DIGEST])
{
	finish_part(s);
	/* One output block (section 3.5.4): its message is the counter 0. */
	start_part(s, TYPE_OUTPUT);
	memset(s->block, 0, 8);
	s->held = 8;
	finish_part(s);
	for (unsigned i = 0; i < WORDS; i++)
		store_le(out + 8 * i, s->chain[i]);
}

const char *
skein_hex(const uint8_t digest[SKEIN_DIGEST], char out[SKEIN_HEX])
{
	static const char hex[] = "0123456789abcdef";

	for (int i = 0; i < SKEIN_DIGEST; i++) {
		out[2 * i] = hex[digest[i] >> 4];
		out[2 * i + 1] = hex[digest[i] & 15];
	}
	out[2 * SKEIN_DIGEST] = '\0';
	return out;
}
