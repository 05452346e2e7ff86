/* SHA-256 (FIPS 180-4) in plain C, for the little that a short command hashes: digest.c says when. */
#ifndef STRAKE_IMAGE_SHA256_H
#define STRAKE_IMAGE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define STRAKE_SHA256_BYTES 32
#define STRAKE_SHA256_BLOCK 64

struct strake_sha256 {
    uint32_t state[8];
    uint64_t bytes; /**< so far; what does not fill a block waits in `block` */
    unsigned char block[STRAKE_SHA256_BLOCK];
};

/** Nothing hashed yet. */
void strake_sha256_init(struct strake_sha256 *sha);
/** `len` bytes more; of less than 2^61 in all. */
void strake_sha256_update(struct strake_sha256 *sha, const void *data, size_t len);
/** The digest; `sha` is used up. */
void strake_sha256_final(struct strake_sha256 *sha, unsigned char out[STRAKE_SHA256_BYTES]);

#endif
