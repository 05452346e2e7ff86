/* Remembered file hashes: what is known again, what never is, and files that are not what was
 * written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "dockerfile/context.h"
#include "dockerfile/memory.h"
#include "util/fs.h"
#include "util/mem.h"

#include "torture.h"

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static int make_folder(void **state)
{
    struct strake_err err = { 0 };
    char *path = NULL;

    if (strake_fs_tempdir(&path, &err) < 0)
        return -1;
    *state = path;
    return 0;
}

static int remove_folder(void **state)
{
    struct strake_err err = { 0 };
    int rc = strake_fs_remove_tree(*state, &err);

    strake_err_dispose(&err);
    strake_free(*state);
    return rc;
}

static struct strake_memory *open_memory(const char *folder)
{
    struct strake_err err = { 0 };
    struct strake_memory *memory = NULL;

    if (strake_memory_open(folder, "/some/context", &memory, &err) < 0)
        fail_msg("%s", strake_err_message(&err));
    return memory;
}

/* A regular file as stat() tells it, changed `age_s` seconds ago. */
static struct stat file_of(ino_t ino, int age_s)
{
    struct stat st = { .st_dev = 7, .st_ino = ino, .st_size = 3, .st_mode = S_IFREG | 0644 };

    st.st_mtim.tv_sec = time(NULL) - age_s;
    st.st_ctim = st.st_mtim;
    return st;
}

static bool knows(struct strake_memory *memory, const struct stat *st)
{
    char digest[STRAKE_DIGEST_TEXT];
    bool found = strake_memory_find(memory, st, digest);

    if (found)
        assert_string_equal(digest, DIGEST);
    return found;
}

static void save_files(const char *folder, ino_t count)
{
    struct strake_memory *memory = open_memory(folder);

    for (ino_t i = count; i > 0; i--) {
        struct stat st = file_of(i, 100);
        st.st_mtim.tv_sec = st.st_ctim.tv_sec = 1000;
        strake_memory_put(memory, &st, &st, DIGEST);
    }
    strake_memory_save(memory, true);
    strake_memory_free(memory);
}

static struct stat saved_file(ino_t ino)
{
    struct stat st = file_of(ino, 0);

    st.st_mtim.tv_sec = st.st_ctim.tv_sec = 1000;
    return st;
}

static void memory_knows_a_file_again_that_did_not_change(void **state)
{
    struct stat st = saved_file(3), other;
    struct strake_memory *memory;

    save_files(*state, 50);
    memory = open_memory(*state);
    assert_int_equal(strake_memory_count(memory), 50);
    assert_true(knows(memory, &st));
    other = st, other.st_size++;
    assert_false(knows(memory, &other));
    other = st, other.st_mtim.tv_nsec++;
    assert_false(knows(memory, &other));
    other = st, other.st_ctim.tv_nsec++;
    assert_false(knows(memory, &other));
    other = st, other.st_ino = 51;
    assert_false(knows(memory, &other));
    other = st, other.st_dev++;
    assert_false(knows(memory, &other));
    strake_memory_free(memory);
}

static void memory_trusts_no_file_that_may_still_change(void **state)
{
    struct strake_memory *memory = open_memory(*state);
    struct stat young = file_of(1, 1), future = file_of(2, -100), old = file_of(3, 100);
    struct stat changed = old, touched = file_of(4, 100);

    changed.st_size++;
    touched.st_ctim.tv_sec = time(NULL); /* its mtime was set back */
    strake_memory_put(memory, &young, &young, DIGEST);
    strake_memory_put(memory, &future, &future, DIGEST);
    strake_memory_put(memory, &touched, &touched, DIGEST);
    strake_memory_put(memory, &old, &changed, DIGEST); /* written to while it was read */
    strake_memory_put(memory, &old, &old, "nonsense");
    assert_int_equal(strake_memory_count(memory), 0);
    strake_memory_put(memory, &old, &old, DIGEST);
    assert_int_equal(strake_memory_count(memory), 1);
    strake_memory_free(memory);
}

static void memory_forgets_what_is_gone_once_most_of_it_is(void **state)
{
    struct stat st = saved_file(1);
    struct strake_memory *memory;

    save_files(*state, 10);
    for (int round = 0; round < 2; round++) {
        memory = open_memory(*state);
        assert_int_equal(strake_memory_count(memory), 10);
        assert_true(knows(memory, &st));
        strake_memory_save(memory, false); /* a walk over a part tells nothing about the rest */
        strake_memory_free(memory);
    }
    memory = open_memory(*state);
    assert_true(knows(memory, &st));
    strake_memory_save(memory, true);
    strake_memory_free(memory);
    memory = open_memory(*state);
    assert_int_equal(strake_memory_count(memory), 1);
    strake_memory_free(memory);
}

/* The one file in the folder. */
static char *memory_file(const char *folder)
{
    char digest[STRAKE_DIGEST_TEXT];
    struct strake_err err = { 0 };

    assert_int_equal(strake_digest_of("/some/context", strlen("/some/context"), digest, &err), 0);
    return strake_asprintf("%s/%.32s", folder, digest + strlen("sha256:"));
}

static void memory_takes_no_damaged_file(void **state)
{
    struct strake_buf whole = { 0 };
    struct strake_err err = { 0 };
    char *path = memory_file(*state);

    save_files(*state, 5);
    assert_int_equal(strake_fs_read(path, 1 << 20, &whole, &err), 0);
    for (size_t at = 0; at <= whole.len; at += at < 64 ? 1 : 37) {
        struct strake_memory *memory;
        if (at < whole.len)
            whole.data[at] ^= 0x10;
        /* The last round cuts it off instead. */
        assert_int_equal(strake_fs_write(path, whole.data, at < whole.len ? whole.len : at - 1,
                                         0600, false, &err),
                         0);
        if (at < whole.len)
            whole.data[at] ^= 0x10;
        memory = open_memory(*state);
        assert_int_equal(strake_memory_count(memory), 0);
        strake_memory_free(memory);
    }
    strake_buf_dispose(&whole);
    strake_free(path);
}

static void memory_that_cannot_be_written_is_only_slower(void **state)
{
    struct strake_memory *memory;
    struct stat st = file_of(1, 100);
    struct strake_err err = { 0 };
    char *folder = strake_asprintf("%s/file/contexts", (char *)*state);
    char *file = strake_asprintf("%s/file", (char *)*state);

    assert_int_equal(strake_fs_write(file, "x", 1, 0600, false, &err), 0);
    memory = open_memory(folder);
    strake_memory_put(memory, &st, &st, DIGEST);
    strake_memory_save(memory, true);
    strake_memory_free(memory);
    strake_free(file);
    strake_free(folder);
}

/* ---- in the walk of a context ---- */

struct seen {
    struct strake_strings lines;
};

static int note_entry(void *ctx, const struct strake_context_entry *entry, struct strake_err *err)
{
    struct seen *seen = ctx;
    char *line = strake_asprintf("%c %o %s %s", entry->kind, entry->mode, entry->path,
                                 entry->kind == 'l' ? entry->content : "");

    return strake_strings_take(&seen->lines, line) < 0 ? strake_fail_nomem(err) : 0;
}

static void put_file(const char *context, const char *name, const char *text)
{
    struct strake_err err = { 0 };
    char *path = strake_asprintf("%s/%s", context, name), *slash = strrchr(path, '/');

    *slash = '\0';
    assert_int_equal(strake_fs_mkdirs(path, 0755, &err), 0);
    *slash = '/';
    assert_int_equal(strake_fs_write(path, text, strlen(text), 0644, false, &err), 0);
    strake_free(path);
}

static void context_hash_tells_the_entries_and_agrees_with_the_digest(void **state)
{
    char digest[STRAKE_DIGEST_TEXT], plain[STRAKE_DIGEST_TEXT];
    struct seen seen = { 0 };
    struct strake_err err = { 0 };
    char *context = strake_asprintf("%s/context", (char *)*state);
    char *link = strake_asprintf("%s/link", context);
    struct strake_context_walk walk = {
        .context = context, .dockerfile = "", .each = note_entry, .ctx = &seen
    };

    setenv("XDG_STATE_HOME", *state, 1);
    put_file(context, "a", "1");
    put_file(context, "sub/deep/b", "2");
    put_file(context, "no", "3");
    put_file(context, ".dockerignore", "no\nsub\n!sub/deep/b\n");
    assert_int_equal(symlink("a", link), 0);
    for (int round = 0; round < 2; round++) {
        strake_strings_dispose(&seen.lines);
        seen.lines = (struct strake_strings){ 0 };
        assert_int_equal(strake_context_hash(NULL, &walk, digest, &err), 0);
        assert_int_equal(strake_context_digest(NULL, context, "", plain, &err), 0);
        assert_string_equal(digest, plain);
        assert_int_equal(seen.lines.count, 6);
        assert_string_equal(seen.lines.items[0], "f 644 .dockerignore ");
        assert_string_equal(seen.lines.items[1], "f 644 a ");
        assert_string_equal(seen.lines.items[2], "l 0 link a");
        assert_string_equal(seen.lines.items[3], "d 755 sub ");
        assert_string_equal(seen.lines.items[4], "d 755 sub/deep ");
        assert_string_equal(seen.lines.items[5], "f 644 sub/deep/b ");
    }
    unsetenv("XDG_STATE_HOME");
    strake_strings_dispose(&seen.lines);
    strake_free(link);
    strake_free(context);
}

static int64_t changed_at(const char *path)
{
    struct stat st;

    assert_int_equal(lstat(path, &st), 0);
    return (int64_t)st.st_ctim.tv_sec * 1000000 + st.st_ctim.tv_nsec / 1000;
}

static void context_hash_tells_the_last_change_of_what_counts(void **state)
{
    char digest[STRAKE_DIGEST_TEXT];
    int64_t newest;
    struct strake_err err = { 0 };
    char *context = strake_asprintf("%s/context", (char *)*state);
    char *file = strake_asprintf("%s/sub/a", context), *no = strake_asprintf("%s/no/b", context);
    struct strake_context_walk walk = { .context = context,
                                        .dockerfile = "",
                                        .newest_us = &newest };

    setenv("XDG_STATE_HOME", *state, 1);
    put_file(context, ".dockerignore", "no\n");
    put_file(context, "no/b", "1");
    put_file(context, "sub/a", "1");
    for (int round = 0; round < 3; round++) {
        newest = 0;
        if (round == 1)
            assert_int_equal(chmod(no, 0600), 0); /* is no change of what is sent */
        if (round == 2)
            assert_int_equal(chmod(file, 0600), 0);
        assert_int_equal(strake_context_hash(NULL, &walk, digest, &err), 0);
        assert_true(newest >= changed_at(file));
        if (round == 2)
            assert_true(newest == changed_at(file));
    }
    unsetenv("XDG_STATE_HOME");
    strake_free(file);
    strake_free(no);
    strake_free(context);
}

/* ---- without memory ---- */

static int use_memory(void *ctx)
{
    const char *folder = ctx;
    struct strake_err err = { 0 };
    struct strake_memory *memory = NULL;
    struct stat st = saved_file(1), fresh = saved_file(99);
    char digest[STRAKE_DIGEST_TEXT];
    int rc = strake_memory_open(folder, "/some/context", &memory, &err);

    if (rc == 0) {
        if (strake_memory_find(memory, &st, digest))
            assert_string_equal(digest, DIGEST);
        strake_memory_put(memory, &fresh, &fresh, DIGEST);
        strake_memory_save(memory, true);
    }
    strake_memory_free(memory);
    strake_err_dispose(&err);
    return rc;
}

static void memory_survives_failing_allocations(void **state)
{
    save_files(*state, 3);
    torture(use_memory, *state);
}

static int hash_context(void *ctx)
{
    struct strake_context_walk walk = { .context = ctx, .dockerfile = "" };
    char digest[STRAKE_DIGEST_TEXT];
    struct strake_err err = { 0 };
    int rc = strake_context_hash(NULL, &walk, digest, &err);

    if (rc == 0)
        assert_true(strake_digest_valid(digest));
    else
        assert_int_equal(err.code, rc);
    strake_err_dispose(&err);
    return rc;
}

static void context_hash_survives_failing_allocations(void **state)
{
    char *context = strake_asprintf("%s/context", (char *)*state);

    setenv("XDG_STATE_HOME", *state, 1);
    put_file(context, "sub/a", "1");
    put_file(context, ".dockerignore", "no\n!sub/a\n");
    torture(hash_context, context);
    unsetenv("XDG_STATE_HOME");
    strake_free(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(memory_knows_a_file_again_that_did_not_change, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(memory_trusts_no_file_that_may_still_change, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(memory_forgets_what_is_gone_once_most_of_it_is, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(memory_takes_no_damaged_file, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(memory_that_cannot_be_written_is_only_slower, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(context_hash_tells_the_entries_and_agrees_with_the_digest,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(context_hash_tells_the_last_change_of_what_counts,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(context_hash_survives_failing_allocations, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(memory_survives_failing_allocations, make_folder,
                                        remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
