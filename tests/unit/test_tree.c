/* What layers do to a tree of files; whole images are in tests/integration/test_layers.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "image/tree.h"
#include "torture.h"

/* An entry: a path and a size; a folder has -1, a symbolic link -2; NULL begins the next layer. */
struct step {
    const char *path;
    int size;
};

static int grow(struct strake_tree *tree, const struct step *steps, struct strake_err *err)
{
    int rc = strake_tree_begin(tree, err);

    for (size_t i = 0; rc == 0 && (steps[i].path || steps[i].size); i++) {
        const struct step *step = &steps[i];
        if (!step->path) {
            rc = strake_tree_end(tree, err);
            rc = rc == 0 ? strake_tree_begin(tree, err) : rc;
        } else if (step->size == -1) {
            rc = strake_tree_folder(tree, step->path, err);
        } else {
            rc = strake_tree_file(tree, step->path, step->size < 0 ? 0 : step->size,
                                  step->size == -2, NULL, err);
        }
    }
    return rc < 0 ? rc : strake_tree_end(tree, err);
}

static struct strake_tree *grown(const struct step *steps)
{
    struct strake_tree *tree = strake_tree_new(true);
    struct strake_err err = { 0 };

    assert_non_null(tree);
    if (grow(tree, steps, &err) < 0)
        fail_msg("%s", strake_err_message(&err));
    return tree;
}

#define NEXT                                                                                       \
    {                                                                                              \
        NULL, 1                                                                                    \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, 0                                                                                    \
    }

static void layer_is(const struct strake_tree *tree, size_t at, int64_t bytes, size_t added,
                     size_t changed, size_t deleted)
{
    const struct strake_tree_layer *layer = strake_tree_layer(tree, at);

    assert_int_equal(layer->unpacked_bytes, bytes);
    assert_int_equal(layer->added, added);
    assert_int_equal(layer->changed, changed);
    assert_int_equal(layer->deleted, deleted);
}

static void totals_are(struct strake_tree *tree, int64_t wasted, int64_t reclaimable,
                       int64_t final_bytes, size_t final_files)
{
    struct strake_tree_totals totals;
    int64_t layer_wasted = 0, layer_reclaimable = 0;

    strake_tree_finish(tree, &totals);
    assert_int_equal(totals.wasted_bytes, wasted);
    assert_int_equal(totals.reclaimable_bytes, reclaimable);
    assert_int_equal(totals.final_bytes, final_bytes);
    assert_int_equal(totals.final_files, final_files);
    for (size_t i = 0; i < strake_tree_layers(tree); i++) {
        layer_wasted += strake_tree_layer(tree, i)->wasted_bytes;
        layer_reclaimable += strake_tree_layer(tree, i)->reclaimable_bytes;
    }
    assert_int_equal(layer_wasted, wasted);
    assert_int_equal(layer_reclaimable, reclaimable);
}

static void tree_counts_what_a_layer_replaces(void **state)
{
    static const struct step steps[] = { { "a", 10 }, { "b", 20 }, NEXT,       { "a", 5 },
                                         { "c", 1 },  NEXT,        { "a", 7 }, END };
    struct strake_tree *tree = grown(steps);

    (void)state;
    layer_is(tree, 0, 30, 2, 0, 0);
    layer_is(tree, 1, 6, 1, 1, 0);
    layer_is(tree, 2, 7, 0, 1, 0);
    totals_are(tree, 22, 15, 28, 3);
    strake_tree_free(tree);
}

static void tree_takes_the_last_of_two_entries_of_one_layer(void **state)
{
    static const struct step steps[] = { { "a", 10 }, { "a", 3 }, END };
    struct strake_tree *tree = grown(steps);

    (void)state;
    layer_is(tree, 0, 3, 1, 0, 0);
    totals_are(tree, 0, 0, 3, 1);
    strake_tree_free(tree);
}

static void tree_deletes_what_whiteouts_name(void **state)
{
    static const struct step steps[] = { { "d/x", 1 },
                                         { "d/s/y", 2 },
                                         { "f", 4 },
                                         NEXT,
                                         { ".wh.d", 0 },
                                         { ".wh.f", 0 },
                                         { ".wh.absent", 0 },
                                         { "no/.wh.x", 0 },
                                         { ".wh.", 0 },
                                         { ".wh...", 0 },
                                         { ".wh..wh.plnk", 0 },
                                         NEXT,
                                         { "d/x", 8 },
                                         END };
    struct strake_tree *tree = grown(steps);

    (void)state;
    layer_is(tree, 1, 0, 0, 0, 3);
    layer_is(tree, 2, 8, 1, 0, 0);
    assert_true(strake_tree_has(tree, "d/x"));
    assert_false(strake_tree_has(tree, "d/s/y"));
    assert_false(strake_tree_has(tree, "f"));
    totals_are(tree, 1 + 2 + 4 + 8, 7, 8, 1);
    strake_tree_free(tree);
}

/* A whiteout is of lower layers, wherever in its own it stands. */
static void tree_keeps_what_the_layer_of_a_whiteout_has(void **state)
{
    static const struct step before[] = { { "d/old", 1 },          NEXT,
                                          { ".wh.d", 0 },          { "d/new", 2 },
                                          { "e/.wh..wh..opq", 0 }, END };
    static const struct step after[] = { { "d/old", 1 }, NEXT,           { "d", -1 },
                                         { "d/new", 2 }, { ".wh.d", 0 }, END };
    static const struct step opaque[] = { { "d/old", 1 },   { "d/s/old", 1 },        NEXT,
                                          { "d/s/new", 2 }, { "d/.wh..wh..opq", 0 }, END };
    const struct step *all[] = { before, after };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct strake_tree *tree = grown(all[i]);
        layer_is(tree, 1, 2, 1, 0, 1);
        assert_true(strake_tree_has(tree, "d/new"));
        assert_false(strake_tree_has(tree, "d/old"));
        strake_tree_free(tree);
    }
    struct strake_tree *tree = grown(opaque);
    layer_is(tree, 1, 2, 1, 0, 2);
    assert_true(strake_tree_has(tree, "d/s/new"));
    strake_tree_free(tree);
}

static void tree_turns_files_to_folders_and_back(void **state)
{
    static const struct step steps[] = { { "a", 1 },   { "d/x", 2 }, { "l", -2 },   NEXT,
                                         { "a/b", 4 }, { "d", 8 },   { "l/z", 16 }, END };
    struct strake_tree *tree = grown(steps);

    (void)state;
    layer_is(tree, 1, 4 + 8 + 16, 3, 0, 2);
    assert_true(strake_tree_has(tree, "d"));
    assert_true(strake_tree_has(tree, "l")); /* a link to a folder stays one */
    strake_tree_free(tree);
}

static void tree_tells_its_changes(void **state)
{
    static const struct step steps[] = { { "d/x", 1 },     { "y", 2 }, NEXT,
                                         { "d/.wh.x", 0 }, { "y", 3 }, END };
    struct strake_tree *tree = grown(steps);
    struct strake_buf path = { 0 };
    size_t count;
    const struct strake_tree_change *changes = strake_tree_changes(tree, 1, &count);

    (void)state;
    assert_int_equal(count, 2);
    assert_int_equal(changes[0].kind, STRAKE_TREE_DELETED);
    assert_int_equal(changes[0].was_bytes, 1);
    assert_int_equal(strake_tree_path(tree, changes[0].node, &path), 0);
    assert_string_equal(strake_buf_text(&path), "/d/x");
    assert_int_equal(changes[1].kind, STRAKE_TREE_CHANGED);
    assert_int_equal(changes[1].size_bytes, 3);
    strake_buf_dispose(&path);
    strake_tree_free(tree);
}

static int count_change(void *ctx, const char *path, int64_t a_bytes, int64_t b_bytes)
{
    (void)path;
    *(int64_t *)ctx += 1000 + a_bytes * 10 + b_bytes;
    return 0;
}

static void tree_is_compared_with_its_clone(void **state)
{
    static const struct step base[] = { { "a", 1 }, { "b", 2 }, END };
    static const struct step more[] = { { "c", 3 }, { ".wh.a", 0 }, END };
    struct strake_tree *tree = grown(base), *clone = strake_tree_clone(tree);
    struct strake_err err = { 0 };
    int64_t seen = 0;

    (void)state;
    assert_non_null(clone);
    assert_int_equal(strake_tree_compare(tree, clone, count_change, &seen), 0);
    assert_int_equal(seen, 0);
    assert_int_equal(grow(clone, more, &err), 0);
    assert_int_equal(strake_tree_compare(tree, clone, count_change, &seen), 0);
    assert_int_equal(seen, (1000 + 10 - 1) + (1000 - 10 + 3));
    strake_tree_free(clone);
    strake_tree_free(tree);
}

/* Many names, so that all tables grow. */
static int grow_large(void *ctx)
{
    struct strake_tree *tree = strake_tree_new(true), *clone = NULL;
    struct strake_err err = { 0 };
    unsigned char content[16] = { 1 };
    int64_t seen = 0;
    int rc = tree ? 0 : STRAKE_ENOMEM;

    (void)ctx;
    for (int layer = 0; rc == 0 && layer < 20; layer++) {
        rc = strake_tree_begin(tree, &err);
        for (int i = 0; rc == 0 && i < 100; i++) {
            char path[64];
            snprintf(path, sizeof(path), "folder%d/file%d", layer, i);
            rc = strake_tree_file(tree, path, i, false, content, &err);
        }
        if (rc == 0)
            rc = strake_tree_end(tree, &err);
    }
    if (rc == 0 && !(clone = strake_tree_clone(tree)))
        rc = STRAKE_ENOMEM;
    if (rc == 0)
        rc = strake_tree_compare(tree, clone, count_change, &seen);
    if (rc == 0) {
        assert_int_equal(strake_tree_layer(tree, 19)->added, 100);
        assert_true(strake_tree_has(clone, "folder7/file99"));
        assert_int_equal(seen, 0);
    }
    strake_tree_free(clone);
    strake_tree_free(tree);
    strake_err_dispose(&err);
    return rc;
}

static void tree_survives_want_of_memory(void **state)
{
    (void)state;
    torture(grow_large, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tree_counts_what_a_layer_replaces),
        cmocka_unit_test(tree_takes_the_last_of_two_entries_of_one_layer),
        cmocka_unit_test(tree_deletes_what_whiteouts_name),
        cmocka_unit_test(tree_keeps_what_the_layer_of_a_whiteout_has),
        cmocka_unit_test(tree_turns_files_to_folders_and_back),
        cmocka_unit_test(tree_tells_its_changes),
        cmocka_unit_test(tree_is_compared_with_its_clone),
        cmocka_unit_test(tree_survives_want_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
