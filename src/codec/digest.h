/*
 * digest.h: MD5, SHA-1, SHA-256 and SHA-512 for the functions of job files (not for secrets).
 *
 * Sources: RFC 1321; FIPS 180-4.
 */
#ifndef CODEC_DIGEST_H
#define CODEC_DIGEST_H

#include <stddef.h>
#include <stdint.h>

enum { DIGEST_MAX = 64 };

/* Each writes its digest and gives its length: 16, 20, 32, 64 bytes. */
size_t digest_md5(const void *data, size_t len, uint8_t out[DIGEST_MAX]);
size_t digest_sha1(const void *data, size_t len, uint8_t out[DIGEST_MAX]);
size_t digest_sha256(const void *data, size_t len, uint8_t out[DIGEST_MAX]);
size_t digest_sha512(const void *data, size_t len, uint8_t out[DIGEST_MAX]);

#endif
