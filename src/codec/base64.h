/*
 * base64.h: bytes out of the standard base64 alphabet (RFC 4648 4). JSON has a writer of its own
 * in json.h.
 */
#ifndef CODEC_BASE64_H
#define CODEC_BASE64_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

/* Appends the bytes; padding is required, blanks are not allowed. false: malformed, out unchanged.
 */
bool base64_decode(struct buf *out, const char *text, size_t len);

/* Appends the text, padded. */
void base64_encode(struct buf *out, const void *data, size_t len);

#endif
