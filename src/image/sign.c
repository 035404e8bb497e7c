#include "image/sign.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void
free_pkey(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}
static void
free_md(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}
#define autopkey CLEANUP(free_pkey)
#define automd	 CLEANUP(free_md)

static int
read_key(const char *file, struct buf *out, struct err *e)
{
	if (buf_read_file(out, file, SIGNIFY_FILE_MAX, e) < 0)
		return err_ctx(e, "key");
	return 0;
}

int
sign_verify(const char *key_file, const struct buf *text, const struct buf *signature,
    const char *what, struct err *e)
{
	autobuf struct buf file = BUF_INIT;
	struct signify_public key;
	struct signify_signature sig;

	if (read_key(key_file, &file, e) < 0)
		return -1;
	if (signify_public_parse(buf_str(&file), file.len, &key, e) < 0)
		return err_ctx(e, "%s", key_file);
	if (signify_signature_parse(buf_str(signature), signature->len, &sig, e) < 0)
		return err_ctx(e, "%s", what);
	if (memcmp(sig.number, key.number, SIGNIFY_NUMBER) != 0)
		return err_new(e, ERR_RIGHTS, "%s: was not made with the key %s", what, key_file);
	autopkey EVP_PKEY *pkey =
	    EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key.key, sizeof(key.key));
	automd EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	if (pkey == NULL || ctx == NULL || EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) != 1)
		return err_new(e, ERR_UNSUPPORTED, "%s: Ed25519 is not to be had here", what);
	if (EVP_DigestVerify(ctx, sig.bytes, sizeof(sig.bytes),
		(const unsigned char *)buf_str(text), text->len) != 1)
		return err_new(e, ERR_RIGHTS,
		    "%s: the signature is wrong: what it was made for is not what the registry "
		    "gives",
		    what);
	return 0;
}

static int
load_secret(const char *key_file, struct signify_secret *key, struct err *e)
{
	autobuf struct buf file = BUF_INIT;

	if (read_key(key_file, &file, e) < 0)
		return -1;
	if (signify_secret_parse(buf_str(&file), file.len, key, e) < 0)
		return err_ctx(e, "%s", key_file);
	return 0;
}

/* ---- keys with a passphrase: signify(1) asks for it, on the terminal, and signs ---- */

static const char *
signify_program(void)
{
	static const char *const places[] = { "/usr/bin/signify-openbsd",
		"/usr/local/bin/signify" };

	for (size_t i = 0; i < NELEM(places); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return NULL;
}

static int
signify_can(const char *key_file, struct err *e)
{
	autofd int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);

	if (signify_program() == NULL)
		return err_new(e, ERR_UNSUPPORTED,
		    "%s is protected by a passphrase, for which signify(1) asks: install it "
		    "(Debian: signify-openbsd), or use a key made by 'signify -G -n'",
		    key_file);
	if (terminal < 0)
		return err_new(e, ERR_UNSUPPORTED,
		    "%s is protected by a passphrase, and there is no terminal to ask for it on: "
		    "use a key made by 'signify -G -n'",
		    key_file);
	return 0;
}

/* The text fits into a pipe: it is a digest. */
static int
run_signify(const char *const *argv, const struct buf *text, struct buf *out, struct err *e)
{
	posix_spawn_file_actions_t actions;
	int in[2], back[2], status, why;
	char *const env[] = { NULL };
	pid_t pid;

	if (pipe2(in, O_CLOEXEC) < 0)
		return err_sys(e, "make a pipe");
	autofd int feed = in[1], fed = in[0];
	if (pipe2(back, O_CLOEXEC) < 0)
		return err_sys(e, "make a pipe");
	autofd int result = back[0], given = back[1];
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fed, 0);
	posix_spawn_file_actions_adddup2(&actions, given, 1);
	why = posix_spawn(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, env);
	posix_spawn_file_actions_destroy(&actions);
	if (why != 0) {
		errno = why;
		return err_sys(e, "run %s", argv[0]);
	}
	own_close(&given);
	given = -1;
	int rc = fd_write_all(feed, text->data, text->len, e);
	own_close(&feed);
	feed = -1;
	if (rc == 0)
		rc = buf_read_fd(out, result, SIGNIFY_FILE_MAX, e);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (rc == 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || out->len == 0))
		return err_new(e, ERR_RIGHTS, "signify did not sign: see what it said");
	return rc;
}

static int
sign_by_signify(const char *key_file, const struct buf *text, struct buf *out, struct err *e)
{
	const char *const argv[] = { signify_program(), "-S", "-s", key_file, "-m", "-", "-x", "-",
		NULL };

	if (signify_can(key_file, e) < 0)
		return -1;
	return run_signify(argv, text, out, e);
}

int
sign_check_key(const char *key_file, struct err *e)
{
	struct signify_secret key;
	int rc = load_secret(key_file, &key, e);

	explicit_bzero(&key, sizeof(key));
	return rc < 0 && e->kind == ERR_UNSUPPORTED ? signify_can(key_file, e) : rc;
}

int
sign_make(const char *key_file, const struct buf *text, struct buf *out, struct err *e)
{
	struct signify_secret key;
	struct signify_signature sig;
	size_t len = sizeof(sig.bytes);
	const char *slash = strrchr(key_file, '/');
	char comment[256];

	if (load_secret(key_file, &key, e) < 0)
		return e->kind == ERR_UNSUPPORTED ? sign_by_signify(key_file, text, out, e) : -1;
	autopkey EVP_PKEY *pkey =
	    EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key.seed, sizeof(key.seed));
	automd EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	memcpy(sig.number, key.number, sizeof(sig.number));
	explicit_bzero(&key, sizeof(key));
	if (pkey == NULL || ctx == NULL || EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey) != 1 ||
	    EVP_DigestSign(ctx, sig.bytes, &len, (const unsigned char *)buf_str(text), text->len) !=
		1)
		return err_new(e, ERR_UNSUPPORTED, "sign: Ed25519 is not to be had here");
	/* as signify(1) names it: the public half of k.sec is k.pub */
	const char *name = slash != NULL ? slash + 1 : key_file;
	size_t stem = str_ends(name, ".sec") ? strlen(name) - 4 : strlen(name);
	snprintf(
	    comment, sizeof(comment), "verify with %.*s.pub", (int)(stem > 200 ? 200 : stem), name);
	signify_signature_text(&sig, comment, out);
	return 0;
}
