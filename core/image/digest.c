/* SHA-256. What a short command hashes, some manifests, costs less in plain C (sha256.c) than loading
 * libcrypto does, which is a millisecond; whoever hashes more gets libcrypto, and the processor's own
 * instructions with it. No other file knows of it.
 *
 * The SHA256_ functions are deprecated for EVP, and used all the same: EVP starts OpenSSL's
 * providers, which costs 0.8 ms and 1.7 MiB in a program that runs for 5 ms, for the same code
 * underneath. They are part of libcrypto.so.3's ABI for good. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "image/digest.h"

#include <openssl/sha.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "image/sha256.h"
#include "util/lazy.h"
#include "util/mem.h"

#define PREFIX "sha256:"
#define PREFIX_LEN (sizeof(PREFIX) - 1)

static struct {
    int (*init)(SHA256_CTX *);
    int (*update)(SHA256_CTX *, const void *, size_t);
    int (*final)(unsigned char *, SHA256_CTX *);
} crypto;

static pthread_once_t crypto_once = PTHREAD_ONCE_INIT;
static bool crypto_ready; /* written once */

static void crypto_load(void)
{
    static const struct strake_lazy_symbol symbols[] = {
        { "SHA256_Init", &crypto.init },
        { "SHA256_Update", &crypto.update },
        { "SHA256_Final", &crypto.final },
    };
    struct strake_err ignored = { 0 }; /* without it everything is as right, and slower */

    crypto_ready = strake_lazy_open("libcrypto.so.3", "libssl3", symbols,
                                    sizeof(symbols) / sizeof(symbols[0]), &ignored) == 0;
    strake_err_dispose(&ignored);
}

/* From so many bytes on, of all hashes of the process together: they have cost in plain C by then what
 * loading libcrypto does. */
#define CRYPTO_FROM ((uint64_t)64 * 1024)

static _Atomic uint64_t hashed; /* in plain C */

struct strake_hash {
    struct strake_sha256 plain;
    bool by_crypto; /* it went over to `ctx` */
    SHA256_CTX ctx;
};

/* A hash goes over in the middle, where it stands. */
static void hand_over(struct strake_hash *hash)
{
    const struct strake_sha256 *plain = &hash->plain;

    crypto.init(&hash->ctx);
    memcpy(hash->ctx.h, plain->state, sizeof(plain->state));
    hash->ctx.Nl = (SHA_LONG)(plain->bytes << 3);
    hash->ctx.Nh = (SHA_LONG)(plain->bytes >> 29);
    hash->ctx.num = (unsigned)(plain->bytes % STRAKE_SHA256_BLOCK);
    memcpy(hash->ctx.data, plain->block, hash->ctx.num);
    hash->by_crypto = true;
}

static bool wants_crypto(size_t len)
{
    if (atomic_fetch_add_explicit(&hashed, len, memory_order_relaxed) + len < CRYPTO_FROM)
        return false;
    pthread_once(&crypto_once, crypto_load);
    return crypto_ready;
}

bool strake_digest_valid(const char *text)
{
    if (text == NULL || strncmp(text, PREFIX, PREFIX_LEN) != 0)
        return false;
    const char *hex = text + PREFIX_LEN;
    size_t len = strspn(hex, "0123456789abcdef");
    return len == (size_t)2 * SHA256_DIGEST_LENGTH && hex[len] == '\0';
}

int strake_hash_new(struct strake_hash **out, struct strake_err *err)
{
    struct strake_hash *hash = strake_calloc(1, sizeof(*hash));

    *out = hash;
    if (hash == NULL)
        return strake_fail_nomem(err);
    strake_sha256_init(&hash->plain);
    return 0;
}

int strake_hash_update(struct strake_hash *hash, const void *data, size_t len)
{
    if (len == 0)
        return 0;
    if (!hash->by_crypto && wants_crypto(len))
        hand_over(hash);
    if (hash->by_crypto)
        return crypto.update(&hash->ctx, data, len) == 1 ? 0 : STRAKE_EINTERNAL;
    strake_sha256_update(&hash->plain, data, len);
    return 0;
}

int strake_hash_final(struct strake_hash *hash, char *out)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char bytes[SHA256_DIGEST_LENGTH];

    if (!hash->by_crypto)
        strake_sha256_final(&hash->plain, bytes);
    else if (crypto.final(bytes, &hash->ctx) != 1)
        return STRAKE_EINTERNAL;
    memcpy(out, PREFIX, PREFIX_LEN);
    char *to = out + PREFIX_LEN;
    for (size_t i = 0; i < SHA256_DIGEST_LENGTH; i++) {
        *to++ = hex[bytes[i] >> 4];
        *to++ = hex[bytes[i] & 15];
    }
    *to = '\0';
    return 0;
}

void strake_hash_free(struct strake_hash *hash)
{
    strake_free(hash);
}

int strake_digest_of(const void *data, size_t len, char *out, struct strake_err *err)
{
    struct strake_hash *hash;
    int rc = strake_hash_new(&hash, err);
    if (rc < 0)
        return rc;
    rc = strake_hash_update(hash, data, len);
    if (rc == 0)
        rc = strake_hash_final(hash, out);
    strake_hash_free(hash);
    if (rc < 0)
        return strake_fail(err, rc, "%zu bytes could not be hashed", len);
    return 0;
}

int strake_digest_verify(const char *want, const void *data, size_t len, const char *what,
                         struct strake_err *err)
{
    char got[STRAKE_DIGEST_TEXT];
    int rc = strake_digest_of(data, len, got, err);
    if (rc < 0)
        return rc;
    if (strcmp(want, got) != 0)
        return strake_fail(err, STRAKE_ECORRUPT, "%s has the digest %s instead of %s", what, got,
                           want);
    return 0;
}
