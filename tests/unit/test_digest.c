/* Digests, at once and over a stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/digest.h"

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
        /* First: libcrypto is loaded while allocations fail. */
        cmocka_unit_test(digests_survive_every_failing_allocation),
        cmocka_unit_test(digest_of_known_bytes),
        cmocka_unit_test(digest_over_a_stream_is_the_same),
        cmocka_unit_test(digest_valid_knows_one_form),
        cmocka_unit_test(digest_verify_names_what_and_both_digests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
