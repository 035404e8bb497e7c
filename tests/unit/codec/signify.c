/* Unit tests of codec/signify: files that signify(1) wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "codec/signify.h"

#include <string.h>

static const char public_file[] = "untrusted comment: signify public "
				  "key\nRWT7kdPxfpmB/1W0iwZ0ekUE/3YcnsscIQuip/mnMHVbZh/Wo6OJDsNG\n";
static const char secret_file[] =
    "untrusted comment: signify secret "
    "key\nRWRCSwAAAADW7HOfpmDCBfAnjhWbA02JKfhCi74S4cn7kdPxfpmB/y8TtiFJi/"
    "02FErLBSgoZOjBOuiRYjYmnvY70HWgkEQGVbSLBnR6RQT/dhyeyxwhC6Kn+acwdVtmH9ajo4kOw0Y=\n";
static const char signature_file[] = "untrusted comment: verify with "
				     "k.pub\nRWT7kdPxfpmB/3IVQ2L3wpz2L9ANEl8uHIAoPlToVR32/B/"
				     "rKsOoXXNJLULllqRC9lsWTSmswbqrTmYucOw+fVOTNFl4p6xCQQo=\n";

static void
files_of_signify_are_read(void **state)
{
	struct signify_public public;
	struct signify_secret secret;
	struct signify_signature sig;
	struct buf text = BUF_INIT;
	struct err e;

	(void)state;
	assert_int_equal(signify_public_parse(public_file, strlen(public_file), &public, &e), 0);
	assert_int_equal(signify_secret_parse(secret_file, strlen(secret_file), &secret, &e), 0);
	assert_int_equal(
	    signify_signature_parse(signature_file, strlen(signature_file), &sig, &e), 0);
	assert_memory_equal(public.number, secret.number, SIGNIFY_NUMBER);
	assert_memory_equal(public.number, sig.number, SIGNIFY_NUMBER);
	assert_memory_equal(public.key, secret.key, SIGNIFY_PUBLIC);
	signify_signature_text(&sig, "verify with k.pub", &text);
	assert_string_equal(buf_str(&text), signature_file);
	buf_fini(&text);
}

static void
other_files_are_not(void **state)
{
	struct signify_public public;
	struct signify_secret secret;
	char text[sizeof(secret_file)];
	struct err e;

	(void)state;
	assert_int_equal(signify_public_parse("", 0, &public, &e), -1);
	assert_int_equal(signify_public_parse(secret_file, strlen(secret_file), &public, &e), -1);
	assert_int_equal(signify_secret_parse(public_file, strlen(public_file), &secret, &e), -1);
	assert_int_equal(signify_public_parse("untrusted comment: x\nRWT7", 25, &public, &e), -1);
	/* one byte of the key is another: the checksum tells */
	memcpy(text, secret_file, sizeof(text));
	text[strlen(text) - 10] ^= 1;
	assert_int_equal(signify_secret_parse(text, strlen(text), &secret, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	/* rounds of a key derivation: it has a passphrase */
	memcpy(text, secret_file, sizeof(text));
	strchr(text, '\n')[7] = 'B';
	assert_int_equal(signify_secret_parse(text, strlen(text), &secret, &e), -1);
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_of_signify_are_read),
		cmocka_unit_test(other_files_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
