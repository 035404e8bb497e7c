/*
 * msgpack.h: MessagePack, as plugins of Nomad get their configuration.
 *
 * Reading gives a value of codec/any.h: nil, booleans, integers, floats, strings, arrays, maps with
 * string keys. Binary counts as text; unsigned integers above INT64_MAX become floats; extension
 * types, other keys, zero bytes in text, and more than MSGPACK_DEPTH levels are refused. Bytes
 * behind the value are refused as well. Nothing is allocated for what is not there.
 */
#ifndef CODEC_MSGPACK_H
#define CODEC_MSGPACK_H

#include "base/buf.h"
#include "codec/any.h"

#include <stdint.h>

enum { MSGPACK_DEPTH = 32 };

/* NULL: malformed, and *e says where. The empty input is nil. */
struct any *msgpack_read(const void *data, size_t len, struct arena *a, struct err *e);

/* Writing: the smallest form of each. A map is its head, then n times key and value. */
void msgpack_map(struct buf *out, uint32_t n);
void msgpack_array(struct buf *out, uint32_t n);
void msgpack_str(struct buf *out, const char *s);
void msgpack_int(struct buf *out, int64_t v);
void msgpack_bool(struct buf *out, bool v);
void msgpack_nil(struct buf *out);

#endif
