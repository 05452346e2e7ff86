/* Allocation and the two lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "torture.h"
#include "util/mem.h"

static void mem_gives_a_block_for_a_size_of_zero(void **state)
{
    (void)state;
    void *blocks[] = { strake_malloc(0), strake_calloc(0, 8), strake_calloc(8, 0),
                       strake_realloc(NULL, 0), strake_reallocarray(NULL, 0, 8) };
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        assert_non_null(blocks[i]);
        strake_free(blocks[i]);
    }
    strake_free(NULL);
}

static void mem_reallocarray_refuses_an_overflow_and_leaves_the_block(void **state)
{
    (void)state;
    char *block = strake_strdup("kept");
    assert_null(strake_reallocarray(block, SIZE_MAX / 2, 3));
    assert_string_equal(block, "kept");
    strake_free(block);
}

static void mem_fails_the_nth_allocation_only_or_all_from_it_on(void **state)
{
    (void)state;
    for (int sticky = 0; sticky <= 1; sticky++) {
        void *blocks[3];
        strake_mem_fail_at(2, sticky == 1);
        for (size_t i = 0; i < 3; i++)
            blocks[i] = strake_malloc(1);
        assert_int_equal(strake_mem_count(), 3);
        strake_mem_fail_at(0, false);
        assert_non_null(blocks[0]);
        assert_null(blocks[1]);
        assert_int_equal(blocks[2] == NULL, sticky == 1);
        strake_free(blocks[0]);
        strake_free(blocks[2]);
    }
}

static void texts_are_copies_of_their_own(void **state)
{
    (void)state;
    char *cut = strake_strndup("linux/amd64", 5), *made = strake_asprintf("%s-%d", "sha", 7);
    assert_string_equal(cut, "linux");
    assert_string_equal(made, "sha-7");
    assert_null(strake_strdup(NULL));
    strake_free(cut);
    strake_free(made);
}

static void strings_view_is_terminated_at_every_length(void **state)
{
    (void)state;
    struct strake_strings list = { 0 };
    assert_non_null(strake_strings_view(&list));
    for (size_t want = 0; want < 40; want++) {
        size_t count = 0;
        for (const char *const *item = strake_strings_view(&list); *item; item++)
            count++;
        assert_int_equal(count, want);
        assert_int_equal(strake_strings_add_len(&list, "item-and-more", 4), 0);
    }
    assert_true(strake_strings_has(&list, "item"));
    assert_false(strake_strings_has(&list, "ite"));
    strake_strings_dispose(&list);
    assert_int_equal(list.count, 0);
    assert_null(strake_strings_view(&list)[0]);
}

static void pairs_keep_the_first_place_and_the_last_value(void **state)
{
    (void)state;
    struct strake_pairs list = { 0 };
    assert_null(strake_pairs_view(&list)[0]);
    assert_null(strake_pairs_get(&list, "A"));
    assert_int_equal(strake_pairs_set(&list, "A", "1"), 0);
    assert_int_equal(strake_pairs_set(&list, "B", "2"), 0);
    assert_int_equal(strake_pairs_set(&list, "A", "3"), 0);
    assert_int_equal(list.count, 2);
    assert_string_equal(strake_pairs_view(&list)[0]->name, "A");
    assert_string_equal(strake_pairs_get(&list, "A"), "3");
    /* Its own value again: the old one must not be freed before it is copied. */
    assert_int_equal(strake_pairs_set(&list, "A", strake_pairs_get(&list, "A")), 0);
    assert_string_equal(strake_pairs_get(&list, "A"), "3");
    strake_pairs_dispose(&list);
}

static int fill_lists(void *ctx)
{
    (void)ctx;
    struct strake_strings strings = { 0 }, strings_copy = { 0 };
    struct strake_pairs pairs = { 0 }, pairs_copy = { 0 };
    int rc = 0;
    for (int i = 0; rc == 0 && i < 20; i++) {
        rc = strake_strings_take(&strings, strake_asprintf("%d", i));
        if (rc == 0)
            rc = strake_pairs_set(&pairs, strings.items[i], "old");
        if (rc == 0)
            rc = strake_pairs_set(&pairs, strings.items[i], strings.items[i]);
        if (rc < 0 && strings.count > 0)
            assert_null(strings.items[strings.count]);
    }
    if (rc == 0)
        rc = strake_strings_copy(&strings_copy, &strings);
    if (rc == 0)
        rc = strake_pairs_copy(&pairs_copy, &pairs);
    if (rc == 0) {
        assert_int_equal(strings_copy.count, 20);
        assert_string_equal(strake_pairs_get(&pairs_copy, "19"), "19");
    }
    for (size_t i = 0; i < pairs.count; i++)
        assert_true(pairs.items[i]->name && pairs.items[i]->value);
    strake_strings_dispose(&strings);
    strake_strings_dispose(&strings_copy);
    strake_pairs_dispose(&pairs);
    strake_pairs_dispose(&pairs_copy);
    return rc;
}

static void lists_survive_every_failing_allocation(void **state)
{
    (void)state;
    torture(fill_lists, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mem_gives_a_block_for_a_size_of_zero),
        cmocka_unit_test(mem_reallocarray_refuses_an_overflow_and_leaves_the_block),
        cmocka_unit_test(mem_fails_the_nth_allocation_only_or_all_from_it_on),
        cmocka_unit_test(texts_are_copies_of_their_own),
        cmocka_unit_test(strings_view_is_terminated_at_every_length),
        cmocka_unit_test(pairs_keep_the_first_place_and_the_last_value),
        cmocka_unit_test(lists_survive_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
