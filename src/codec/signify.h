/*
 * signify.h: the key and signature files of signify(1), OpenBSD's tool, which signs pot images.
 *
 * Such a file is two lines: "untrusted comment: " and a text, then base64 of a few fixed fields.
 * Source: signify.c of OpenBSD. This is the reading and writing of them; Ed25519 itself is
 * elsewhere. All parsers read what strangers wrote.
 */
#ifndef CODEC_SIGNIFY_H
#define CODEC_SIGNIFY_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

enum { SIGNIFY_NUMBER = 8, SIGNIFY_PUBLIC = 32, SIGNIFY_SEED = 32, SIGNIFY_SIGNATURE = 64 };
enum { SIGNIFY_FILE_MAX = 4096 };

struct signify_public {
	uint8_t number[SIGNIFY_NUMBER]; /* which key this is; its signatures carry it */
	uint8_t key[SIGNIFY_PUBLIC];
};

struct signify_secret {
	uint8_t number[SIGNIFY_NUMBER];
	uint8_t seed[SIGNIFY_SEED];
	uint8_t key[SIGNIFY_PUBLIC]; /* its public half */
};

struct signify_signature {
	uint8_t number[SIGNIFY_NUMBER];
	uint8_t bytes[SIGNIFY_SIGNATURE];
};

/* ERR_INPUT: not such a file. Secret keys: ERR_UNSUPPORTED when a passphrase protects it,
 * ERR_CORRUPT when its checksum is wrong. */
int signify_public_parse(const char *text, size_t len, struct signify_public *out, struct err *e);
int signify_secret_parse(const char *text, size_t len, struct signify_secret *out, struct err *e);
int signify_signature_parse(
    const char *text, size_t len, struct signify_signature *out, struct err *e);

/* Appends the file's text. */
void signify_signature_text(
    const struct signify_signature *sig, const char *comment, struct buf *out);

#endif
