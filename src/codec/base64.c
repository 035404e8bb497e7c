#include "codec/base64.h"

#include <stdint.h>

static int
digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool
base64_decode(struct buf *out, const char *text, size_t len)
{
	size_t before = out->len, pad = 0;

	if (len % 4 != 0)
		return false;
	while (pad < 2 && pad < len && text[len - 1 - pad] == '=')
		pad++;
	buf_reserve(out, len / 4 * 3 + 1);
	for (size_t i = 0; i < len; i += 4) {
		uint32_t v = 0;
		size_t n = i + 4 == len ? 4 - pad : 4;
		for (size_t k = 0; k < 4; k++) {
			int d = k < n ? digit(text[i + k]) : 0;
			if (d < 0) {
				out->len = before;
				return false;
			}
			v = v << 6 | (uint32_t)d;
		}
		char bytes[3] = { (char)(v >> 16), (char)(v >> 8), (char)v };
		buf_add(out, bytes, n - 1);
	}
	return true;
}

void
base64_encode(struct buf *out, const void *data, size_t len)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *in = data;

	for (size_t i = 0; i < len; i += 3) {
		size_t have = len - i < 3 ? len - i : 3;
		uint32_t bits = (uint32_t)in[i] << 16;

		if (have > 1)
			bits |= (uint32_t)in[i + 1] << 8;
		if (have > 2)
			bits |= in[i + 2];
		buf_addc(out, digits[bits >> 18]);
		buf_addc(out, digits[bits >> 12 & 63]);
		buf_addc(out, have > 1 ? digits[bits >> 6 & 63] : '=');
		buf_addc(out, have > 2 ? digits[bits & 63] : '=');
	}
}
