#include "codec/signify.h"

#include "base/str.h"
#include "codec/base64.h"
#include "codec/digest.h"

#include <string.h>

#define COMMENT "untrusted comment: "

/* The layouts: "Ed", then for secret keys "BK", rounds, salt and checksum, then the key's number.
 */
enum {
	ALGORITHM = 2,
	PUBLIC_SIZE = ALGORITHM + SIGNIFY_NUMBER + SIGNIFY_PUBLIC,
	SIGNATURE_SIZE = ALGORITHM + SIGNIFY_NUMBER + SIGNIFY_SIGNATURE,
	ROUNDS_AT = 4,
	SALT_AT = 8,
	CHECKSUM_AT = 24,
	CHECKSUM = 8,
	SECRET_NUMBER_AT = CHECKSUM_AT + CHECKSUM,
	SECRET_KEY_AT = SECRET_NUMBER_AT + SIGNIFY_NUMBER,
	SECRET_SIZE = SECRET_KEY_AT + SIGNIFY_SEED + SIGNIFY_PUBLIC
};

/* The second line's bytes, which must be `size` many and of Ed25519. */
static int
read_fields(
    const char *text, size_t len, const char *what, size_t size, struct buf *out, struct err *e)
{
	const char *end = text + len;
	const char *newline = len > 0 ? memchr(text, '\n', len) : NULL;

	if (len > SIGNIFY_FILE_MAX || newline == NULL || len < strlen(COMMENT) ||
	    memcmp(text, COMMENT, strlen(COMMENT)) != 0)
		return err_new(e, ERR_INPUT,
		    "%s: does not start with a line \"" COMMENT "…\", as signify(1) writes it",
		    what);
	const char *line = newline + 1;
	newline = memchr(line, '\n', (size_t)(end - line));
	if (newline == NULL)
		newline = end;
	if (!base64_decode(out, line, (size_t)(newline - line)))
		return err_new(e, ERR_INPUT, "%s: its second line is not base64", what);
	if (out->len != size)
		return err_new(
		    e, ERR_INPUT, "%s: holds %zu bytes in place of %zu", what, out->len, size);
	if (memcmp(out->data, "Ed", ALGORITHM) != 0)
		return err_new(e, ERR_UNSUPPORTED, "%s: is not of the kind Ed25519", what);
	return 0;
}

int
signify_public_parse(const char *text, size_t len, struct signify_public *out, struct err *e)
{
	autobuf struct buf b = BUF_INIT;

	if (read_fields(text, len, "public key", PUBLIC_SIZE, &b, e) < 0)
		return -1;
	memcpy(out->number, b.data + ALGORITHM, SIGNIFY_NUMBER);
	memcpy(out->key, b.data + ALGORITHM + SIGNIFY_NUMBER, SIGNIFY_PUBLIC);
	return 0;
}

int
signify_secret_parse(const char *text, size_t len, struct signify_secret *out, struct err *e)
{
	autobuf struct buf b = BUF_INIT;
	uint8_t sum[DIGEST_MAX];

	if (read_fields(text, len, "secret key", SECRET_SIZE, &b, e) < 0)
		return -1;
	if (memcmp(b.data + ROUNDS_AT, "\0\0\0\0", 4) != 0)
		return err_new(e, ERR_UNSUPPORTED, "secret key: is protected by a passphrase");
	digest_sha512(b.data + SECRET_KEY_AT, SIGNIFY_SEED + SIGNIFY_PUBLIC, sum);
	if (memcmp(sum, b.data + CHECKSUM_AT, CHECKSUM) != 0)
		return err_new(e, ERR_CORRUPT, "secret key: its checksum is wrong");
	memcpy(out->number, b.data + SECRET_NUMBER_AT, SIGNIFY_NUMBER);
	memcpy(out->seed, b.data + SECRET_KEY_AT, SIGNIFY_SEED);
	memcpy(out->key, b.data + SECRET_KEY_AT + SIGNIFY_SEED, SIGNIFY_PUBLIC);
	return 0;
}

int
signify_signature_parse(const char *text, size_t len, struct signify_signature *out, struct err *e)
{
	autobuf struct buf b = BUF_INIT;

	if (read_fields(text, len, "signature", SIGNATURE_SIZE, &b, e) < 0)
		return -1;
	memcpy(out->number, b.data + ALGORITHM, SIGNIFY_NUMBER);
	memcpy(out->bytes, b.data + ALGORITHM + SIGNIFY_NUMBER, SIGNIFY_SIGNATURE);
	return 0;
}

void
signify_signature_text(const struct signify_signature *sig, const char *comment, struct buf *out)
{
	uint8_t fields[SIGNATURE_SIZE] = { 'E', 'd' };

	memcpy(fields + ALGORITHM, sig->number, SIGNIFY_NUMBER);
	memcpy(fields + ALGORITHM + SIGNIFY_NUMBER, sig->bytes, SIGNIFY_SIGNATURE);
	buf_addf(out, COMMENT "%s\n", comment);
	base64_encode(out, fields, sizeof(fields));
	buf_addc(out, '\n');
}
