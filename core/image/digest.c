/* SHA-256 by libcrypto, which is loaded when the first byte is hashed: a command that hashes
 * nothing does not pay for it. No other file knows of it.
 *
 * The SHA256_ functions are deprecated for EVP, and used all the same: EVP starts OpenSSL's
 * providers, which costs 0.8 ms and 1.7 MiB in a program that runs for 5 ms, for the same code
 * underneath. They are part of libcrypto.so.3's ABI for good. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "image/digest.h"

#include <openssl/sha.h>
#include <pthread.h>
#include <string.h>

#include "util/lazy.h"
#include "util/mem.h"

#define PREFIX "sha256:"
#define PREFIX_LEN (sizeof(PREFIX) - 1)

static struct {
    int (*init)(SHA256_CTX *);
    int (*update)(SHA256_CTX *, const void *, size_t);
    int (*final)(unsigned char *, SHA256_CTX *);
} crypto;

static pthread_mutex_t crypto_lock = PTHREAD_MUTEX_INITIALIZER;
static bool crypto_ready; /* guarded by crypto_lock */

/* A lock and not pthread_once: a load that failed for want of memory may succeed the next time. */
static int crypto_load(struct strake_err *err)
{
    static const struct strake_lazy_symbol symbols[] = {
        { "SHA256_Init", &crypto.init },
        { "SHA256_Update", &crypto.update },
        { "SHA256_Final", &crypto.final },
    };
    int rc = 0;

    pthread_mutex_lock(&crypto_lock);
    if (!crypto_ready) {
        rc = strake_lazy_open("libcrypto.so.3", "libssl3", symbols,
                              sizeof(symbols) / sizeof(symbols[0]), err);
        crypto_ready = rc == 0;
    }
    pthread_mutex_unlock(&crypto_lock);
    return rc;
}

struct strake_hash {
    SHA256_CTX ctx;
};

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
    *out = NULL;
    int rc = crypto_load(err);
    if (rc < 0)
        return rc;
    struct strake_hash *hash = strake_calloc(1, sizeof(*hash));
    if (hash == NULL)
        return strake_fail_nomem(err);
    if (crypto.init(&hash->ctx) != 1) {
        strake_free(hash);
        return strake_fail(err, STRAKE_EINTERNAL, "libcrypto offers no SHA-256");
    }
    *out = hash;
    return 0;
}

int strake_hash_update(struct strake_hash *hash, const void *data, size_t len)
{
    if (len == 0)
        return 0;
    return crypto.update(&hash->ctx, data, len) == 1 ? 0 : STRAKE_EINTERNAL;
}

int strake_hash_final(struct strake_hash *hash, char *out)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char bytes[SHA256_DIGEST_LENGTH];

    if (crypto.final(bytes, &hash->ctx) != 1)
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
        return strake_fail(err, rc, "libcrypto could not hash %zu bytes", len);
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
