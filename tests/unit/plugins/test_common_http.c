/* plugins/common/http.c: URLs, header lines, base64. */
#include "fake_host.h"

#include "common/http.h"

static void url_split_takes_good_urls_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool https;
        const char *host;
        unsigned port;
        const char *resource;
    } cases[] = {
        { "https://Ghcr.IO/v2/", true, "ghcr.io", 443, "/v2/" },
        { "HTTP://127.0.0.1:5000", false, "127.0.0.1", 5000, "/" },
        { "http://[::1]:5000/x?y#z", false, "::1", 5000, "/x?y" },
        { "https://h?q", true, "h", 443, "/?q" },
        { "https://h#f", true, "h", 443, "/" },
        { "https://h:65535/", true, "h", 65535, "/" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct plug_url url;
        assert_int_equal(plug_url_split(cases[i].text, &url), 0);
        assert_int_equal(url.https, cases[i].https);
        assert_string_equal(url.host, cases[i].host);
        assert_int_equal(url.port, cases[i].port);
        assert_string_equal(url.resource, cases[i].resource);
        plug_url_dispose(&url);
    }
}

static void url_split_refuses_everything_else(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "h",
        "ftp://h/",
        "https:/h",
        "https://",
        "https:///",
        "https://u@h",
        "https://h:",
        "https://h:0/",
        "https://h:65536/",
        "https://h:x",
        "https://[::1",
        "https://[]/",
        "https://h /",
        "https://h/\n",
        "https://h\\x",
        "file:///etc/passwd",
        "https://h:80@evil/",
        "https://h,evil/",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct plug_url url;
        if (plug_url_split(cases[i], &url) != STRAKE_EUSAGE)
            fail_msg("%s", cases[i]);
    }
}

static void url_join_resolves_references(void **state)
{
    (void)state;
    static const struct {
        const char *reference;
        const char *url; /* NULL: refused */
    } cases[] = {
        { "https://other/x", "https://other/x" },
        { "//other:1/x", "http://other:1/x" },
        { "/x?y", "http://h:5000/x?y" },
        { "?last=b", "http://h:5000/v2/a/tags/list?last=b" },
        { "next", "http://h:5000/v2/a/tags/next" },
        { "", "http://h:5000/v2/a/tags/" },
        { "/a:b", "http://h:5000/a:b" },
        { "javascript:x", NULL },
        { "http://u@h/", NULL },
        { "/a b", NULL },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *url = plug_url_join("http://h:5000/v2/a/tags/list?n=1", cases[i].reference);
        if (cases[i].url)
            assert_string_equal(url ? url : "(none)", cases[i].url);
        else
            assert_null(url);
        free(url);
    }
    char *six = plug_url_join("https://[::1]:8443/a", "/b");
    assert_string_equal(six, "https://[::1]:8443/b");
    free(six);
}

static void header_walks_repeated_ones(void **state)
{
    (void)state;
    const char *lines = "a: 1\nlink:  x \nlink-header: no\nLINK:y\r\nb\nlink:\n";
    size_t pos = 0;
    size_t len;
    const char *value = plug_header(lines, "link", &pos, &len);
    assert_int_equal(len, 1);
    assert_int_equal(*value, 'x');
    value = plug_header(lines, "link", &pos, &len);
    assert_int_equal(len, 1);
    assert_int_equal(*value, 'y');
    assert_non_null(plug_header(lines, "link", &pos, &len));
    assert_int_equal(len, 0);
    assert_null(plug_header(lines, "link", &pos, &len));
}

static void base64_goes_both_ways(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct plug_text coded = { 0 };
        struct plug_text plain = { 0 };
        plug_base64_encode(&coded, cases[i][0], strlen(cases[i][0]));
        assert_string_equal(plug_text_view(&coded), cases[i][1]);
        assert_true(plug_base64_decode(&plain, cases[i][1]));
        assert_string_equal(plug_text_view(&plain), cases[i][0]);
        plug_text_dispose(&coded);
        plug_text_dispose(&plain);
    }
}

static void base64_decode_refuses_other_texts(void **state)
{
    (void)state;
    static const char *const cases[] = { "Z", "Zg=", "Zg=x", "Z g=", "Zm9v====", "=", "Zg\n" };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct plug_text plain = { 0 };
        if (plug_base64_decode(&plain, cases[i]))
            fail_msg("%s", cases[i]);
        plug_text_dispose(&plain);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(url_split_takes_good_urls_apart),
        cmocka_unit_test(url_split_refuses_everything_else),
        cmocka_unit_test(url_join_resolves_references),
        cmocka_unit_test(header_walks_repeated_ones),
        cmocka_unit_test(base64_goes_both_ways),
        cmocka_unit_test(base64_decode_refuses_other_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
