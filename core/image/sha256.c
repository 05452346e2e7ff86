/* SHA-256 as FIPS 180-4 describes it: §5 padding, §6.2 the digest. */
#include "image/sha256.h"

#include <string.h>

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes (§4.2.2). */
static const uint32_t k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t x, unsigned by)
{
    return x >> by | x << (32 - by);
}

static uint32_t read_word(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void write_word(unsigned char *at, uint32_t word)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(word >> (24 - 8 * i));
}

/* §6.2.2, for one block. */
static void compress(uint32_t state[8], const unsigned char *block)
{
    uint32_t w[64];

    for (int t = 0; t < 16; t++)
        w[t] = read_word(block + (size_t)4 * (size_t)t);
    for (int t = 16; t < 64; t++) {
        uint32_t s0 = rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ w[t - 15] >> 3;
        uint32_t s1 = rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ w[t - 2] >> 10;
        w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (int t = 0; t < 64; t++) {
        uint32_t s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
        uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + k[t] + w[t];
        uint32_t s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
        uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    const uint32_t add[8] = { a, b, c, d, e, f, g, h };
    for (int i = 0; i < 8; i++)
        state[i] += add[i];
}

void strake_sha256_init(struct strake_sha256 *sha)
{
    static const uint32_t start[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

    memcpy(sha->state, start, sizeof(start));
    sha->bytes = 0;
}

void strake_sha256_update(struct strake_sha256 *sha, const void *data, size_t len)
{
    const unsigned char *from = data;
    size_t have = sha->bytes % STRAKE_SHA256_BLOCK;

    sha->bytes += len;
    if (have > 0) {
        size_t take = STRAKE_SHA256_BLOCK - have < len ? STRAKE_SHA256_BLOCK - have : len;
        memcpy(sha->block + have, from, take);
        from += take;
        len -= take;
        if (have + take < STRAKE_SHA256_BLOCK)
            return;
        compress(sha->state, sha->block);
    }
    for (; len >= STRAKE_SHA256_BLOCK; from += STRAKE_SHA256_BLOCK, len -= STRAKE_SHA256_BLOCK)
        compress(sha->state, from);
    if (len > 0)
        memcpy(sha->block, from, len);
}

void strake_sha256_final(struct strake_sha256 *sha, unsigned char out[STRAKE_SHA256_BYTES])
{
    static const unsigned char padding[STRAKE_SHA256_BLOCK] = { 0x80 };
    uint64_t bits = sha->bytes * 8;
    size_t have = sha->bytes % STRAKE_SHA256_BLOCK;
    unsigned char length[8];

    /* To eight bytes before a block's end. */
    strake_sha256_update(sha, padding, have < 56 ? 56 - have : 120 - have);
    write_word(length, (uint32_t)(bits >> 32));
    write_word(length + 4, (uint32_t)bits);
    strake_sha256_update(sha, length, sizeof(length));
    for (size_t i = 0; i < 8; i++)
        write_word(out + 4 * i, sha->state[i]);
}
