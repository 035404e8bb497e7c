/*
 * base64.h: bytes out of the standard base64 alphabet (RFC 4648 4). Writing is in json.h.
 */
#ifndef CODEC_BASE64_H
#define CODEC_BASE64_H

#include "base/buf.h"

#include <stdbool.h>

/* Appends the bytes; padding is required, blanks are not allowed. false: malformed, out unchanged.
 */
bool base64_decode(struct buf *out, const char *text, size_t len);

#endif
