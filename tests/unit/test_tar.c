/* Tars as a stream: names of every form, and what is damaged. Those of real programs are read in
 * tests/integration/test_layers.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "image/tar.h"
#include "torture.h"
#include "util/mem.h"

struct source {
    struct strake_buf bytes;
    size_t at, piece;
};

/* In small pieces, so that they end anywhere. */
static ssize_t give(void *ctx, const void **data, struct strake_err *err)
{
    struct source *source = ctx;
    size_t left = source->bytes.len - source->at;
    size_t len = left < source->piece ? left : source->piece;

    (void)err;
    *data = strake_buf_text(&source->bytes) + source->at;
    source->at += len;
    return (ssize_t)len;
}

static void add_block(struct source *source, const char *data, size_t len)
{
    static const char zeros[512];

    assert_int_equal(strake_buf_append(&source->bytes, data, len), 0);
    assert_int_equal(strake_buf_append(&source->bytes, zeros, (512 - len % 512) % 512), 0);
}

static void add(struct source *source, char type, const char *name, const char *size,
                const char *content)
{
    char head[512] = "";
    unsigned sum = 0;

    snprintf(head, 101, "%.100s", name);
    memcpy(head + 100, "0000644", 8);
    memcpy(head + 108, "0000000", 8);
    memcpy(head + 116, "0000000", 8);
    snprintf(head + 124, 12, "%s", size);
    memcpy(head + 136, "00000000000", 12);
    memset(head + 148, ' ', 8);
    head[156] = type;
    memcpy(head + 157, "target", 7);
    memcpy(head + 257, "ustar\00000", 8);
    for (size_t i = 0; i < sizeof(head); i++)
        sum += (unsigned char)head[i];
    snprintf(head + 148, 8, "%06o", sum);
    add_block(source, head, sizeof(head));
    add_block(source, content, strlen(content));
}

static int next(struct strake_tar *tar, struct strake_tar_entry *entry, struct strake_err *err)
{
    return tar ? strake_tar_next(tar, entry, err) : STRAKE_ENOMEM;
}

static int read_names(void *ctx)
{
    struct source *source = ctx;
    struct strake_err err = { 0 };
    struct strake_tar_entry entry;
    struct strake_tar *tar;
    int rc;

    source->at = 0;
    tar = strake_tar_new(give, source, "it");
    rc = next(tar, &entry, &err);
    if (rc > 0) {
        assert_string_equal(entry.path, "from/pax");
        assert_int_equal(entry.size_bytes, 3);
        assert_int_equal(entry.uid, 12);
        rc = next(tar, &entry, &err);
    }
    if (rc > 0) {
        assert_string_equal(entry.path, "from/gnu");
        assert_int_equal(entry.kind, STRAKE_TAR_SYMLINK);
        assert_string_equal(entry.link, "long/target");
        assert_int_equal(entry.size_bytes, 0);
        rc = next(tar, &entry, &err);
    }
    if (rc > 0) {
        assert_int_equal(entry.kind, STRAKE_TAR_FOLDER);
        rc = next(tar, &entry, &err);
        assert_true(rc <= 0);
    }
    strake_tar_free(tar);
    strake_err_dispose(&err);
    return rc;
}

static void tar_reads_long_names(void **state)
{
    struct source source = { .piece = 100 };

    (void)state;
    add(&source, 'g', "global", "20", "16 path=for-all\n");
    add(&source, 'x', "pax", "45", "17 path=from/pax\n10 size=3\n10 uid=12\n");
    add(&source, '0', "short", "0", "abc");
    add(&source, 'L', "././@LongLink", "11", "from/gnu");
    add(&source, 'K', "././@LongLink", "14", "long/target");
    add(&source, '2', "short", "5", "");
    add(&source, '\0', "folder/", "0", "");
    assert_int_equal(read_names(&source), 0);
    torture(read_names, &source);
    strake_buf_dispose(&source.bytes);
}

static void refused(struct source *source, const char *says)
{
    struct strake_err err = { 0 };
    struct strake_tar_entry entry;
    struct strake_tar *tar = strake_tar_new(give, source, "it");
    int rc = 1;

    source->piece = 64;
    while (rc > 0)
        rc = next(tar, &entry, &err);
    assert_int_equal(rc, STRAKE_ECORRUPT);
    if (!strstr(strake_err_message(&err), says))
        fail_msg("%s", strake_err_message(&err));
    strake_err_dispose(&err);
    strake_tar_free(tar);
    strake_buf_dispose(&source->bytes);
    *source = (struct source){ 0 };
}

static void tar_refuses_what_is_damaged(void **state)
{
    struct source source = { 0 };

    (void)state;
    add(&source, '0', "a", "777777777", "");
    refused(&source, "ends within an entry");
    add(&source, 'x', "a", "77777777777", "");
    refused(&source, "larger than a megabyte");
    add(&source, 'x', "a", "5", "99 a=b");
    refused(&source, "malformed");
    add(&source, 'x', "a", "14", "12 size=-12\n");
    refused(&source, "no usable size");
    add(&source, 'x', "a", "7", "7 nope\n");
    refused(&source, "without a value");
    for (int i = 0; i < 20; i++)
        add(&source, 'L', "a", "1", "x");
    refused(&source, "too many headers");
    add(&source, '0', "a", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "");
    refused(&source, "no usable size");
    add(&source, '0', "a", "0", "");
    source.bytes.data[3] = 'x';
    refused(&source, "sum of a header");
    assert_int_equal(strake_buf_puts(&source.bytes, "short"), 0);
    refused(&source, "within a header");
}

static void tar_cleans_names(void **state)
{
    static const struct {
        const char *name, *clean;
        bool odd;
    } cases[] = { { "a/b", "a/b", false },
                  { "./a//b/.", "a/b", false },
                  { "/etc/x", "etc/x", true },
                  { "../../x", "x", true },
                  { "a/b/../../../c", "c", true },
                  { "a/..", "", true },
                  { "..a/b..", "..a/b..", false },
                  { "", "", false },
                  { "./", "", false } };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[STRAKE_TAR_PATH_MAX];
        assert_int_equal(strake_tar_clean(cases[i].name, out), cases[i].odd);
        assert_string_equal(out, cases[i].clean);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tar_reads_long_names),
        cmocka_unit_test(tar_refuses_what_is_damaged),
        cmocka_unit_test(tar_cleans_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
