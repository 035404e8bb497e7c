/*
 * sign.h: signatures of images: Ed25519 over the digest file, in the files of signify(1).
 */
#ifndef IMAGE_SIGN_H
#define IMAGE_SIGN_H

#include "base/buf.h"
#include "codec/signify.h"

/* Reads a public key's file and checks `text` against the signature. ERR_RIGHTS: the signature is
 * another key's, or wrong. */
int sign_verify(const char *key_file, const struct buf *text, const struct buf *signature,
    const char *what, struct err *e);
/* Appends the signature file's text. */
int sign_make(const char *key_file, const struct buf *text, struct buf *out, struct err *e);
/* Can this key sign? Asked before the work starts. */
int sign_check_key(const char *key_file, struct err *e);

#endif
