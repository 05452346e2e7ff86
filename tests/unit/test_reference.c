/* References. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/reference.h"

#include "torture.h"

#define DIGEST "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HEX "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void reference_parse_takes_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *host;
        const char *repository;
        const char *tag;
        const char *digest;
        const char *name;
    } cases[] = {
        { "busybox", "docker.io", "library/busybox", "", "", "busybox" },
        { "busybox:1", "docker.io", "library/busybox", "1", "", "busybox" },
        { "user/app", "docker.io", "user/app", "", "", "user/app" },
        { "a/b/c", "docker.io", "a/b/c", "", "", "a/b/c" },
        { "docker.io/busybox", "docker.io", "library/busybox", "", "", "docker.io/busybox" },
        { "index.docker.io/u/a", "docker.io", "u/a", "", "", "index.docker.io/u/a" },
        { "ghcr.io/o/app:v1.2", "ghcr.io", "o/app", "v1.2", "", "ghcr.io/o/app" },
        { "GHCR.io/o/app:V1", "ghcr.io", "o/app", "V1", "", "ghcr.io/o/app" },
        { "ghcr.io/app", "ghcr.io", "app", "", "", "ghcr.io/app" },
        { "localhost/app", "localhost", "app", "", "", "localhost/app" },
        { "localhost:5000", "docker.io", "library/localhost", "5000", "", "localhost" },
        { "localhost:5000/app:x", "localhost:5000", "app", "x", "", "localhost:5000/app" },
        { "127.0.0.1:5000/a/b@" DIGEST, "127.0.0.1:5000", "a/b", "", DIGEST, "127.0.0.1:5000/a/b" },
        { "r.io/a:t@" DIGEST, "r.io", "a", "t", DIGEST, "r.io/a" },
        { "[::1]:5000/a:t", "[::1]:5000", "a", "t", "", "[::1]:5000/a" },
        { "[2001:db8::1]/a", "[2001:db8::1]", "a", "", "", "[2001:db8::1]/a" },
        { "a__b/c-d--e.f_g", "docker.io", "a__b/c-d--e.f_g", "", "", "a__b/c-d--e.f_g" },
        { HEX "/x", "docker.io", HEX "/x", "", "", HEX "/x" },
        { HEX ":t", "docker.io", "library/" HEX, "t", "", HEX },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_reference ref;
        struct strake_err err = { 0 };
        if (strake_reference_parse(cases[i].text, &ref, &err) != 0)
            fail_msg("%s: %s", cases[i].text, strake_err_message(&err));
        assert_int_equal(ref.store, STRAKE_STORE_REGISTRY);
        assert_string_equal(ref.host, cases[i].host);
        assert_string_equal(ref.repository, cases[i].repository);
        assert_string_equal(ref.tag, cases[i].tag);
        assert_string_equal(ref.digest, cases[i].digest);
        assert_string_equal(ref.name, cases[i].name);
        strake_reference_dispose(&ref);
    }
}

static void reference_parse_knows_layouts_and_archives(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum strake_store store;
        const char *path;
        const char *tag;
        const char *digest;
    } cases[] = {
        { "oci:dir", STRAKE_STORE_LAYOUT, "dir", "", "" },
        { "oci:/a/Dir:tag", STRAKE_STORE_LAYOUT, "/a/Dir", "tag", "" },
        { "oci:/a:b/dir", STRAKE_STORE_LAYOUT, "/a:b/dir", "", "" },
        { "oci:/a:b/dir:t", STRAKE_STORE_LAYOUT, "/a:b/dir", "t", "" },
        { "oci:../d@" DIGEST, STRAKE_STORE_LAYOUT, "../d", "", DIGEST },
        { "oci:d@home", STRAKE_STORE_LAYOUT, "d@home", "", "" },
        { "docker-archive:a b.tar", STRAKE_STORE_DOCKER_ARCHIVE, "a b.tar", "", "" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_reference ref;
        struct strake_err err = { 0 };
        assert_int_equal(strake_reference_parse(cases[i].text, &ref, &err), 0);
        assert_int_equal(ref.store, cases[i].store);
        assert_string_equal(ref.host, "");
        assert_string_equal(ref.repository, cases[i].path);
        assert_string_equal(ref.tag, cases[i].tag);
        assert_string_equal(ref.digest, cases[i].digest);
        strake_reference_dispose(&ref);
    }
}

static void reference_parse_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *hint; /* a part of it; NULL: whatever */
    } cases[] = {
        { "", NULL },
        { HEX, "REPOSITORY@sha256:" HEX },
        { "ghcr.io/Wired/App:Tag", "ghcr.io/wired/app:Tag'" },
        { "User/app", "user/app" },
        { "ghcr.io/", NULL },
        { "ghcr.io/a//b", NULL },
        { "/a", NULL },
        { "a/", NULL },
        { "a:", "a tag has" },
        { "a:-x", "a tag has" },
        { "a b", NULL },
        { "a..b", NULL },
        { "a___b", NULL },
        { "-a", NULL },
        { "a-", NULL },
        { "a@sha256:abc", "64 lower-case" },
        { DIGEST, "REPOSITORY@" DIGEST },
        { "a@" DIGEST "@" DIGEST, NULL },
        { "a@sha512:" HEX HEX, NULL },
        { "r.io:port/a", NULL },
        { "r.io:70000/a", NULL },
        { "r.io:0/a", NULL },
        { "r..io/a", NULL },
        { "-r.io/a", NULL },
        { "[::1/a", NULL },
        { "[zz::]/a", NULL },
        { "https://r.io/a", "'r.io/a'" },
        { "docker://r.io/a", "'r.io/a'" },
        { "r.io/a\n", NULL },
        { "r.io/\xC3\xA9", NULL },
        { "oci:", NULL },
        { "oci::tag", NULL },
        { "oci:dir:a b", "a tag has" },
        { "docker-archive:", NULL },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_reference ref;
        struct strake_err err = { 0 };
        if (strake_reference_parse(cases[i].text, &ref, &err) != STRAKE_EUSAGE)
            fail_msg("accepted: %s", cases[i].text);
        if (cases[i].hint != NULL && (err.hint == NULL || strstr(err.hint, cases[i].hint) == NULL))
            fail_msg("%s: %s", cases[i].text, err.hint);
        strake_err_dispose(&err);
    }
}

static void reference_parse_bounds_lengths(void **state)
{
    (void)state;
    char text[6000];
    struct strake_reference ref;
    struct strake_err err = { 0 };
    memset(text, 'a', sizeof(text));
    text[255] = '\0';
    assert_int_equal(strake_reference_parse(text, &ref, &err), 0);
    strake_reference_dispose(&ref);
    text[255] = 'a';
    text[256] = '\0';
    assert_int_equal(strake_reference_parse(text, &ref, &err), STRAKE_EUSAGE);
    text[256] = 'a';
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(strake_reference_parse(text, &ref, &err), STRAKE_EUSAGE);
    strake_err_dispose(&err);
}

static void reference_print_and_object(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *print;
        const char *object;
    } cases[] = {
        { "user/app", "user/app", "latest" },
        { "GHCR.io/o/app:v1", "ghcr.io/o/app:v1", "v1" },
        { "r.io/a:t@" DIGEST, "r.io/a:t@" DIGEST, DIGEST },
        { "oci:/d:t", "oci:/d:t", "t" },
        { "docker-archive:f", "docker-archive:f", "latest" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_reference ref;
        struct strake_buf out = { 0 };
        struct strake_err err = { 0 };
        assert_int_equal(strake_reference_parse(cases[i].text, &ref, &err), 0);
        assert_int_equal(strake_reference_print(&ref, &out), 0);
        assert_string_equal(strake_buf_text(&out), cases[i].print);
        assert_string_equal(strake_reference_object(&ref), cases[i].object);
        strake_reference_dispose(&ref);
        strake_buf_dispose(&out);
    }
    strake_reference_dispose(NULL);
}

static void tag_grammar(void **state)
{
    (void)state;
    char tag[130];
    memset(tag, 'a', sizeof(tag));
    tag[128] = '\0';
    assert_true(strake_tag_valid(tag));
    tag[128] = 'a';
    tag[129] = '\0';
    assert_false(strake_tag_valid(tag));
    static const char *const valid[] = { "a", "_", "0", "v1.2-x_y", "A..-" };
    static const char *const invalid[] = { "", ".", "-", "a b", "a/b", "a+b", "\xC3\xA9", "a\n" };
    for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++)
        assert_true(strake_tag_valid(valid[i]));
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++)
        assert_false(strake_tag_valid(invalid[i]));
    assert_false(strake_tag_valid(NULL));
}

static void loopback_is_by_address(void **state)
{
    (void)state;
    static const char *const loopback[] = { "localhost",        "localhost:1", "127.0.0.1",
                                            "127.255.0.9:5000", "[::1]",       "[::1]:5000" };
    static const char *const other[] = { "",
                                         "localhost.evil.org",
                                         "127.evil.org",
                                         "127.0.0.1.evil.org",
                                         "128.0.0.1",
                                         "10.0.0.1:5000",
                                         "[::2]",
                                         "[::1]x",
                                         "ghcr.io",
                                         "127.1",
                                         "0.0.0.0" };
    for (size_t i = 0; i < sizeof(loopback) / sizeof(loopback[0]); i++)
        assert_true(strake_host_is_loopback(loopback[i]));
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        if (strake_host_is_loopback(other[i]))
            fail_msg("%s", other[i]);
    }
}

static int parse_once(void *ctx)
{
    struct strake_reference ref = { 0 };
    struct strake_err err = { 0 };
    int rc = strake_reference_parse(ctx, &ref, &err);
    assert_int_equal(err.code, rc);
    strake_reference_dispose(&ref);
    strake_err_dispose(&err);
    return rc == STRAKE_EUSAGE ? 0 : rc;
}

static void references_survive_every_failing_allocation(void **state)
{
    (void)state;
    torture(parse_once, "ghcr.io/o/app:v1@" DIGEST);
    torture(parse_once, "oci:dir:tag");
    torture(parse_once, "ghcr.io/O/App");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_parse_takes_apart),
        cmocka_unit_test(reference_parse_knows_layouts_and_archives),
        cmocka_unit_test(reference_parse_refuses),
        cmocka_unit_test(reference_parse_bounds_lengths),
        cmocka_unit_test(reference_print_and_object),
        cmocka_unit_test(tag_grammar),
        cmocka_unit_test(loopback_is_by_address),
        cmocka_unit_test(references_survive_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
