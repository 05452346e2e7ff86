/* Digests, at once and over a stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/digest.h"
#include "image/sha256.h"

#include "torture.h"

#define EMPTY "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void digest_of_known_bytes(void **state)
{
    (void)state;
    char out[STRAKE_DIGEST_TEXT];
    struct strake_err err = { 0 };
    assert_int_equal(strake_digest_of("", 0, out, &err), 0);
    assert_string_equal(out, EMPTY);
    assert_int_equal(strake_digest_of(NULL, 0, out, &err), 0);
    assert_string_equal(out, EMPTY);
    assert_int_equal(strake_digest_of("abc", 3, out, &err), 0);
    assert_string_equal(out, ABC);
}

static void digest_over_a_stream_is_the_same(void **state)
{
    (void)state;
    char out[STRAKE_DIGEST_TEXT];
    struct strake_err err = { 0 };
    struct strake_hash *hash;
    assert_int_equal(strake_hash_new(&hash, &err), 0);
    assert_int_equal(strake_hash_update(hash, "a", 1), 0);
    assert_int_equal(strake_hash_update(hash, "", 0), 0);
    assert_int_equal(strake_hash_update(hash, "bc", 2), 0);
    assert_int_equal(strake_hash_final(hash, out), 0);
    assert_string_equal(out, ABC);
    strake_hash_free(hash);
    strake_hash_free(NULL);
}

static void digest_valid_knows_one_form(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {
        { EMPTY, true },
        { ABC, true },
        { NULL, false },
        { "", false },
        { "sha256:", false },
        { "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85", false },
        { EMPTY "0", false },
        { "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855", false },
        { "sha512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", false },
        { " " EMPTY, false },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (strake_digest_valid(cases[i].text) != cases[i].valid)
            fail_msg("%s", cases[i].text);
    }
}

static void digest_verify_names_what_and_both_digests(void **state)
{
    (void)state;
    struct strake_err err = { 0 };
    assert_int_equal(strake_digest_verify(ABC, "abc", 3, "a blob", &err), 0);
    assert_int_equal(strake_digest_verify(EMPTY, "abc", 3, "a blob", &err), STRAKE_ECORRUPT);
    assert_non_null(strstr(err.message, "a blob"));
    assert_non_null(strstr(err.message, ABC));
    assert_non_null(strstr(err.message, EMPTY));
    strake_err_dispose(&err);
}

/* Examples of FIPS 180-4 (NIST's CSRC), of which the last fills many blocks. */
static void sha256_of_published_examples(void **state)
{
    static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    static const char four[] =
        "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopq"
        "klmnopqrlmnopqrsmnopqrstnopqrstu";
    const struct {
        const char *unit;
        size_t times;
        const char *digest;
    } cases[] = {
        { "", 1, EMPTY + 7 },
        { "abc", 1, ABC + 7 },
        { two_blocks, 1, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
        { four, 1, "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1" },
        { "a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_sha256 sha;
        unsigned char bytes[STRAKE_SHA256_BYTES];
        char hex[2 * STRAKE_SHA256_BYTES + 1];
        strake_sha256_init(&sha);
        for (size_t n = 0; n < cases[i].times; n++)
            strake_sha256_update(&sha, cases[i].unit, strlen(cases[i].unit));
        strake_sha256_final(&sha, bytes);
        for (size_t n = 0; n < sizeof(bytes); n++)
            snprintf(hex + 2 * n, 3, "%02x", bytes[n]);
        assert_string_equal(hex, cases[i].digest);
    }
}

#define LENGTHS 300 /* around the ends of four blocks, and where the padding needs one more */

static void hash_lengths(const unsigned char *data, char (*out)[STRAKE_DIGEST_TEXT])
{
    struct strake_err err = { 0 };

    for (size_t len = 0; len < LENGTHS; len++) {
        struct strake_hash *hash;
        assert_int_equal(strake_hash_new(&hash, &err), 0);
        for (size_t at = 0, step = 1; at < len; at += step, step = step * 3 % 71 + 1) {
            if (step > len - at)
                step = len - at;
            assert_int_equal(strake_hash_update(hash, data + at, step), 0);
        }
        assert_int_equal(strake_hash_final(hash, out[len]), 0);
        strake_hash_free(hash);
    }
}

/* What is hashed in plain C, and by libcrypto once much was hashed, is the same; so is a hash that
 * goes over from one to the other in its middle. */
static void digests_are_the_same_once_libcrypto_is_there(void **state)
{
    enum { LARGE = 700001 };
    static char before[LENGTHS][STRAKE_DIGEST_TEXT], after[LENGTHS][STRAKE_DIGEST_TEXT];
    char over[STRAKE_DIGEST_TEXT], whole[STRAKE_DIGEST_TEXT];
    unsigned char *data = malloc(LARGE);
    struct strake_err err = { 0 };
    struct strake_hash *hash;

    (void)state;
    assert_non_null(data);
    for (size_t i = 0; i < LARGE; i++)
        data[i] = (unsigned char)(i * 131 + i / 251);
    hash_lengths(data, before);
    assert_int_equal(strake_hash_new(&hash, &err), 0);
    for (size_t at = 0; at < LARGE; at += 777)
        assert_int_equal(strake_hash_update(hash, data + at, LARGE - at < 777 ? LARGE - at : 777),
                         0);
    assert_int_equal(strake_hash_final(hash, over), 0);
    strake_hash_free(hash);
    hash_lengths(data, after);
    assert_int_equal(strake_digest_of(data, LARGE, whole, &err), 0);
    assert_string_equal(over, whole);
    for (size_t len = 0; len < LENGTHS; len++)
        assert_string_equal(before[len], after[len]);
    free(data);
}

static int hash_once(void *ctx)
{
    char out[STRAKE_DIGEST_TEXT];
    struct strake_err err = { 0 };
    (void)ctx;
    int rc = strake_digest_of("abc", 3, out, &err);
    assert_int_equal(err.code, rc);
    strake_err_dispose(&err);
    return rc;
}

static void digests_survive_every_failing_allocation(void **state)
{
    (void)state;
    torture(hash_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_survive_every_failing_allocation),
        cmocka_unit_test(sha256_of_published_examples),
        cmocka_unit_test(digests_are_the_same_once_libcrypto_is_there),
        cmocka_unit_test(digest_of_known_bytes),
        cmocka_unit_test(digest_over_a_stream_is_the_same),
        cmocka_unit_test(digest_valid_knows_one_form),
        cmocka_unit_test(digest_verify_names_what_and_both_digests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
