/* Files: what is read, what cannot be left, what is written whole, what is removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "torture.h"
#include "util/fs.h"

static int make(void **state)
{
    struct strake_err err = { 0 };
    char *dir = NULL;

    if (strake_fs_tempdir(&dir, &err) < 0)
        return -1;
    *state = dir;
    return 0;
}

static int drop(void **state)
{
    struct strake_err err = { 0 };
    int rc = strake_fs_remove_tree(*state, &err);

    strake_free(*state);
    return rc;
}

static char *put(const char *dir, const char *name, const char *text)
{
    struct strake_err err = { 0 };
    char *path = strake_fs_join(dir, name);

    assert_int_equal(strake_fs_write(path, text, strlen(text), 0644, false, &err), 0);
    return path;
}

/* The result of reading; the failure names the path. */
static int try_read(const char *path, size_t max, const char *want)
{
    struct strake_buf out = { 0 };
    struct strake_err err = { 0 };
    int rc = strake_fs_read(path, max, &out, &err);

    assert_int_equal(err.code, rc);
    if (rc == 0)
        assert_string_equal(strake_buf_text(&out), want);
    else
        assert_non_null(strstr(strake_err_message(&err), path));
    strake_buf_dispose(&out);
    strake_err_dispose(&err);
    return rc;
}

static void read_takes_regular_files_within_the_bound(void **state)
{
    char *file = put(*state, "file", "12345"), *fifo = strake_fs_join(*state, "fifo");
    char *none = strake_fs_join(*state, "none");

    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(try_read(file, 5, "12345"), 0);
    assert_int_equal(try_read(file, 4, ""), STRAKE_ETOOBIG);
    assert_int_equal(try_read(none, 5, ""), STRAKE_ENOTFOUND);
    assert_int_equal(try_read(fifo, 5, ""), STRAKE_EIO); /* and does not wait for a writer */
    assert_int_equal(try_read(*state, 5, ""), STRAKE_EIO);
    assert_int_equal(try_read("/dev/zero", 5, ""), STRAKE_EIO);
    strake_free(none);
    strake_free(fifo);
    strake_free(file);
}

static void read_beneath_never_leaves_the_folder(void **state)
{
    static const struct {
        const char *path;
        bool taken;
    } cases[] = {
        { "in", true },         { "sub/../in", true }, { "near", true },   { "../out", false },
        { "away", false },      { "rooted", false },   { "/etc/hostname", false },
        { "sub/../../out", false },
    };
    char *root = strake_fs_join(*state, "root"), *sub = strake_fs_join(root, "sub");
    char *link_near = strake_fs_join(root, "near"), *link_away = strake_fs_join(root, "away");
    char *rooted = strake_fs_join(root, "rooted"), *out = put(*state, "out", "secret"), *in;
    struct strake_err err = { 0 };

    assert_int_equal(strake_fs_mkdirs(sub, 0700, &err), 0);
    in = put(root, "in", "inside");
    assert_int_equal(symlink("in", link_near), 0);
    assert_int_equal(symlink("../out", link_away), 0);
    assert_int_equal(symlink(out, rooted), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_buf text = { 0 };
        int rc = strake_fs_read_beneath(root, cases[i].path, 100, &text, &err);
        if ((rc == 0) != cases[i].taken || strcmp(strake_buf_text(&text), rc ? "" : "inside") != 0)
            fail_msg("%s: %d, \"%s\"", cases[i].path, rc, strake_buf_text(&text));
        strake_buf_dispose(&text);
        strake_err_dispose(&err);
    }
    strake_free(in);
    strake_free(out);
    strake_free(rooted);
    strake_free(link_away);
    strake_free(link_near);
    strake_free(sub);
    strake_free(root);
}

static void write_replaces_whole_and_leaves_nothing_beside(void **state)
{
    char *path = put(*state, "file", "old and longer"), *folder;
    struct strake_err err = { 0 };
    struct stat st;

    assert_int_equal(strake_fs_write(path, "new", 3, 0600, true, &err), 0);
    assert_int_equal(try_read(path, 100, "new"), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    /* a folder in the way: refused, and the file beside is gone, so that rmdir finds it empty */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    folder = strake_fs_join(path, "inner");
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(strake_fs_write(folder, "x", 1, 0600, false, &err), STRAKE_EIO);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(rmdir(path), 0);
    strake_err_dispose(&err);
    strake_free(folder);
    strake_free(path);
}

static void remove_tree_does_not_follow_links(void **state)
{
    char *kept = put(*state, "kept", "x"), *tree = strake_fs_join(*state, "tree/a/b");
    char *top = strake_fs_join(*state, "tree"), *link = strake_fs_join(top, "up");
    struct strake_err err = { 0 };

    assert_int_equal(strake_fs_mkdirs(tree, 0700, &err), 0);
    assert_int_equal(symlink("..", link), 0);
    assert_int_equal(strake_fs_remove_tree(top, &err), 0);
    assert_false(strake_fs_is_dir(top));
    assert_true(strake_fs_is_file(kept));
    strake_free(link);
    strake_free(top);
    strake_free(tree);
    strake_free(kept);
}

static int write_and_read(void *ctx)
{
    struct strake_buf out = { 0 };
    struct strake_err err = { 0 };
    int rc = strake_fs_write(ctx, "text", 4, 0600, false, &err);

    if (rc == 0)
        rc = strake_fs_read(ctx, 100, &out, &err);
    assert_int_equal(err.code, rc);
    assert_true(rc == 0 || rc == STRAKE_ENOMEM);
    strake_buf_dispose(&out);
    strake_err_dispose(&err);
    return rc;
}

static void files_survive_every_failing_allocation(void **state)
{
    char *path = strake_fs_join(*state, "file");

    torture(write_and_read, path);
    strake_free(path);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make, drop)
    const struct CMUnitTest tests[] = {
        TEST(read_takes_regular_files_within_the_bound),
        TEST(read_beneath_never_leaves_the_folder),
        TEST(write_replaces_whole_and_leaves_nothing_beside),
        TEST(remove_tree_does_not_follow_links),
        TEST(files_survive_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
