/* Bounds of an archive's unpacking, and what counts as one; whole archives are in
 * tests/integration/test_contexts.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build/unpack.h"
#include "util/buf.h"
#include "util/fs.h"

struct fixture {
    struct strake_job *job;
    char *path;
    int dir;
    struct strake_buf tar;
    size_t at;
};

static int make(void **state)
{
    struct fixture *fixture = test_calloc(1, sizeof(*fixture));
    struct strake_err err = { 0 };

    fixture->job = strake_job_new(NULL, NULL, NULL);
    if (!fixture->job || strake_fs_tempdir(&fixture->path, &err) < 0)
        return -1;
    fixture->dir = open(fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = fixture;
    return fixture->dir < 0;
}

static int clean(void **state)
{
    struct fixture *fixture = *state;
    struct strake_err err = { 0 };
    int rc = strake_fs_remove_tree(fixture->path, &err);

    close(fixture->dir);
    strake_err_dispose(&err);
    strake_free(fixture->path);
    strake_job_free(fixture->job);
    strake_buf_dispose(&fixture->tar);
    test_free(fixture);
    return rc;
}

/* One file of this many zeros; `name` may have folders. */
static void add(struct fixture *fixture, const char *name, size_t size)
{
    char head[512] = "";
    unsigned sum = 0;

    snprintf(head, 100, "%s", name);
    memcpy(head + 100, "0000644", 8);
    memcpy(head + 108, "0000000", 8);
    memcpy(head + 116, "0000000", 8);
    snprintf(head + 124, 12, "%011zo", size);
    memcpy(head + 136, "00000000000", 12);
    memset(head + 148, ' ', 8);
    head[156] = '0';
    memcpy(head + 257, "ustar\00000", 8);
    for (size_t i = 0; i < sizeof(head); i++)
        sum += (unsigned char)head[i];
    snprintf(head + 148, 8, "%06o", sum);
    assert_int_equal(strake_buf_append(&fixture->tar, head, sizeof(head)), 0);
    memset(head, 0, sizeof(head));
    for (size_t done = 0; done < size; done += sizeof(head))
        assert_int_equal(strake_buf_append(&fixture->tar, head, sizeof(head)), 0);
}

/* In small pieces, so that they end anywhere. */
static ssize_t give(void *ctx, const void **data, struct strake_err *err)
{
    struct fixture *fixture = ctx;
    size_t left = fixture->tar.len - fixture->at, len = left < 100 ? left : 100;

    (void)err;
    *data = strake_buf_text(&fixture->tar) + fixture->at;
    fixture->at += len;
    return (ssize_t)len;
}

static int unpack(struct fixture *fixture, size_t entries, int64_t bytes, struct strake_err *err)
{
    const struct strake_unpack words = { .dir = fixture->dir,
                                         .read = give,
                                         .ctx = fixture,
                                         .entries_max = entries,
                                         .bytes_max = bytes };

    return strake_unpack(&words, fixture->job, err);
}

static void unpack_takes_what_is_within_its_bounds(void **state)
{
    struct fixture *fixture = *state;
    struct strake_err err = { 0 };
    struct stat st;

    add(fixture, "a/b/c", 1000);
    add(fixture, "d", 24);
    if (unpack(fixture, 4, 1024, &err) != 0)
        fail_msg("%s", strake_err_message(&err));
    assert_int_equal(fstatat(fixture->dir, "a/b/c", &st, 0), 0);
    assert_int_equal(st.st_size, 1000);
}

static void refused(struct fixture *fixture, size_t entries, int64_t bytes, const char *says)
{
    struct strake_err err = { 0 };

    assert_int_equal(unpack(fixture, entries, bytes, &err), STRAKE_ETOOBIG);
    assert_non_null(strstr(strake_err_message(&err), says));
    strake_err_dispose(&err);
}

static void unpack_refuses_too_many_files(void **state)
{
    add(*state, "a/b/c", 0); /* three of them */
    refused(*state, 2, 1024, "more than 2 files");
}

static void unpack_refuses_too_many_bytes(void **state)
{
    add(*state, "a", 1000);
    add(*state, "b", 1000);
    refused(*state, 10, 1999, "more than 1999 bytes");
}

static void unpack_stops_when_cancelled(void **state)
{
    struct fixture *fixture = *state;
    struct strake_err err = { 0 };

    add(fixture, "a", 0);
    strake_job_cancel(fixture->job);
    assert_int_equal(unpack(fixture, 10, 10, &err), STRAKE_ECANCELLED);
    strake_err_dispose(&err);
}

static void unpack_knows_archives(void **state)
{
    struct fixture *fixture = *state;
    char zeros[STRAKE_UNPACK_MAGIC] = "", text[1024];

    memset(text, 'x', sizeof(text));
    add(fixture, "a", 0);
    assert_true(strake_unpack_is_archive(strake_buf_text(&fixture->tar), fixture->tar.len));
    assert_true(strake_unpack_is_archive(zeros, sizeof(zeros)));
    assert_true(strake_unpack_is_archive("\x1f\x8b\b", 3));
    assert_true(strake_unpack_is_archive("BZh91", 5));
    assert_false(strake_unpack_is_archive(zeros, sizeof(zeros) - 1));
    assert_false(strake_unpack_is_archive(text, sizeof(text)));
    assert_false(strake_unpack_is_archive("FROM x\n", 7));
    assert_false(strake_unpack_is_archive("", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(unpack_takes_what_is_within_its_bounds, make, clean),
        cmocka_unit_test_setup_teardown(unpack_refuses_too_many_files, make, clean),
        cmocka_unit_test_setup_teardown(unpack_refuses_too_many_bytes, make, clean),
        cmocka_unit_test_setup_teardown(unpack_stops_when_cancelled, make, clean),
        cmocka_unit_test_setup_teardown(unpack_knows_archives, make, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
