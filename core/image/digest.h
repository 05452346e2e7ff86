/* Digests: "sha256:<64 hex>" (OCI image specification, descriptor.md). libcrypto is loaded when
 * much is hashed, and not missed. */
#ifndef STRAKE_IMAGE_DIGEST_H
#define STRAKE_IMAGE_DIGEST_H

#include "util/buf.h"
#include "util/err.h"

/** Room for "sha256:" and 64 hex digits and a NUL. */
#define STRAKE_DIGEST_TEXT 72

/** "sha256:" and 64 lower-case hex digits, nothing else. */
bool strake_digest_valid(const char *text);
/** Digest of bytes into `out` (STRAKE_DIGEST_TEXT bytes). @return 0 or STRAKE_EINTERNAL/ENOMEM. */
int strake_digest_of(const void *data, size_t len, char *out, struct strake_err *err);
/** @return 0, or STRAKE_ECORRUPT naming `what` and both digests. */
int strake_digest_verify(const char *want, const void *data, size_t len, const char *what,
                         struct strake_err *err);

/** A digest over a stream. */
struct strake_hash;
int strake_hash_new(struct strake_hash **out, struct strake_err *err);
int strake_hash_update(struct strake_hash *hash, const void *data, size_t len);
/** Writes the digest text; the hash can only be freed then. */
int strake_hash_final(struct strake_hash *hash, char *out);
void strake_hash_free(struct strake_hash *hash);

#endif
