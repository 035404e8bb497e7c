/* Unit tests of codec/skein: the known answers of the specification, and streaming. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "codec/skein.h"

#include <string.h>

static const char *
hash(const void *data, size_t len, size_t step)
{
	static char text[SKEIN_HEX];
	uint8_t digest[SKEIN_DIGEST];
	struct skein s;

	skein_init(&s);
	for (size_t at = 0; at < len; at += step)
		skein_add(&s, (const char *)data + at, len - at < step ? len - at : step);
	skein_end(&s, digest);
	return skein_hex(digest, text);
}

static void
the_empty_message(void **state)
{
	(void)state;
	assert_string_equal(hash("", 0, 1),
	    "0fff9563bb3279289227ac77d319b6fff8d7e9f09da1247b72a0a265cd6d2a62"
	    "645ad547ed8193db48cff847c06494a03f55666d3b47eb4c20456c9373c86297"
	    "d630d5578ebd34cb40991578f9f52b18003efa35d3da6553ff35db91b81ab890"
	    "bec1b189b7f52cb2a783ebb7d823d725b0b4a71f6824e88f68f982eefc6d19c6");
}

static void
the_vectors_of_appendix_c(void **state)
{
	uint8_t down[256];

	(void)state;
	for (int i = 0; i < 256; i++)
		down[i] = (uint8_t)(255 - i);
	assert_string_equal(hash(down, 1, 1),
	    "e62c05802ea0152407cdd8787fda9e35703de862a4fbc119cff8590afe79250b"
	    "ccc8b3faf1bd2422ab5c0d263fb2f8afb3f796f048000381531b6f00d85161bc"
	    "0fff4bef2486b1ebcd3773fabf50ad4ad5639af9040e3f29c6c931301bf79832"
	    "e9da09857e831e82ef8b4691c235656515d437d2bda33bcec001c67ffde15ba8");
	assert_string_equal(hash(down, 128, 128),
	    "1f3e02c46fb80a3fcd2dfbbc7c173800b40c60c2354af551189ebf433c3d85f9"
	    "ff1803e6d920493179ed7ae7fce69c3581a5a2f82d3e0c7a295574d0cd7d217c"
	    "484d2f6313d59a7718ead07d0729c24851d7e7d2491b902d489194e6b7d369db"
	    "0ab7aa106f0ee0a39a42efc54f18d93776080985f907574f995ec6a37153a578");
	assert_string_equal(hash(down, 256, 256),
	    "842a53c99c12b0cf80cf69491be5e2f7515de8733b6ea9422dfd676665b5fa42"
	    "ffb3a9c48c217777950848cecdb48f640f81fb92bef6f88f7a85c1f7cd1446c9"
	    "161c0afe8f25ae444f40d3680081c35aa43f640fd5fa3c3c030bcc06abac01d0"
	    "98bcc984ebd8322712921e00b1ba07d6d01f26907050255ef2c8e24f716c52a5");
}

static void
pieces_of_any_size_give_the_same_digest(void **state)
{
	static const size_t steps[] = { 1, 7, 127, 128, 129, 255, 256, 1000 };
	uint8_t data[1000];
	char whole[SKEIN_HEX];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 31);
	for (size_t len = 0; len <= sizeof(data); len += 125) {
		memcpy(whole, hash(data, len, sizeof(data)), sizeof(whole));
		for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
			assert_string_equal(hash(data, len, steps[i]), whole);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_empty_message),
		cmocka_unit_test(the_vectors_of_appendix_c),
		cmocka_unit_test(pieces_of_any_size_give_the_same_digest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
