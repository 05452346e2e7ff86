/* URLs: taken apart, resolved, shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/http_url.h"

#include "torture.h"

/* A URL as text and back; the caller disposes of the buffer. */
static struct strake_buf text_of(const struct strake_url *url)
{
    struct strake_buf text = { 0 };
    assert_int_equal(strake_url_text(url, &text), 0);
    return text;
}

static void parse_gives_one_form(void **state)
{
    (void)state;
    static const struct {
        const char *given;
        const char *text;
    } cases[] = {
        { "https://example.org", "https://example.org/" },
        { "HTTPS://Example.ORG:443/A", "https://example.org/A" },
        { "http://example.org:80/", "http://example.org/" },
        { "http://example.org:8080", "http://example.org:8080/" },
        { "http://example.org:/x", "http://example.org/x" },
        { "https://[::1]:5000/v2/", "https://[::1]:5000/v2/" },
        { "https://[FE80::1]/", "https://[fe80::1]/" },
        { "https://u:p@h/", "https://u:p@h/" },
        { "https://u:p@w@h/", "https://u:p@w@h/" },
        { "https://h?q=1", "https://h/?q=1" },
        { "https://h/a?q=/../b#frag", "https://h/a?q=/../b" },
        { "https://h#frag?no", "https://h/" },
        { "https://h/a/./b/../c", "https://h/a/c" },
        { "https://h/../../a", "https://h/a" },
        { "https://h/a/..", "https://h/" },
        { "https://h/a/b/..", "https://h/a/" },
        { "https://h/a/.", "https://h/a/" },
        { "https://h/a//b", "https://h/a//b" },
        { "https://h/a b\"<>", "https://h/a%20b%22%3C%3E" },
        { "https://h/\xC3\xA9?\xC3\xA9", "https://h/%C3%A9?%C3%A9" },
        { "https://h/%2e%2E/%41", "https://h/%2e%2E/%41" },
        { "https://a_b-c.d.:1/", "https://a_b-c.d.:1/" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_url url, again;
        struct strake_err err = { 0 };
        assert_int_equal(strake_url_parse(cases[i].given, &url, &err), 0);
        struct strake_buf text = text_of(&url);
        assert_string_equal(strake_buf_text(&text), cases[i].text);
        assert_int_equal(strake_url_parse(strake_buf_text(&text), &again, &err), 0);
        struct strake_buf twice = text_of(&again);
        assert_string_equal(strake_buf_text(&twice), cases[i].text);
        strake_buf_dispose(&text);
        strake_buf_dispose(&twice);
        strake_url_dispose(&url);
        strake_url_dispose(&again);
    }
}

static void parse_refuses_what_others_might_read_otherwise(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "h/path",
        "/path",
        "//h/path",
        "ftp://h/",
        "httpss://h/",
        "http:",
        "http:/h/",
        "http://",
        "http:///path",
        "http://:80/",
        "http://h:0/",
        "http://h:65536/",
        "http://h:8o/",
        "http://h:-1/",
        "http://h:000080000/",
        "http://h:80:80/",
        "http://[::1/",
        "http://::1/",
        "http://[::1]x/",
        "http://[1.2.3.4]/",
        "http://[fe80::1%25eth0]/",
        "http://h\\@evil/",
        "http://evil\\.h/",
        "http://h\t/",
        "http://h/\r\nX: y",
        "http://h /",
        "http://\xC3\xA9/",
        "http://a..b/",
        "http://.a/",
        "http://-a/",
        "http://a%2eb/",
        "http://a,b/",
        "http://u@/",
        " http://h/",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_url url;
        struct strake_err err = { 0 };
        if (strake_url_parse(cases[i], &url, &err) != STRAKE_EUSAGE)
            fail_msg("accepted: %s", cases[i]);
        assert_null(url.host);
        assert_int_equal(err.code, STRAKE_EUSAGE);
        strake_err_dispose(&err);
    }
}

static void parse_refuses_what_is_too_long(void **state)
{
    (void)state;
    struct strake_url url;
    struct strake_err err = { 0 };
    char *text = malloc(STRAKE_URL_MAX + 2);
    memset(text, 'a', STRAKE_URL_MAX + 1);
    memcpy(text, "http://h/", 9);
    text[STRAKE_URL_MAX + 1] = '\0';
    assert_int_equal(strake_url_parse(text, &url, &err), STRAKE_EUSAGE);
    text[STRAKE_URL_MAX] = '\0';
    assert_int_equal(strake_url_parse(text, &url, &err), 0);
    strake_url_dispose(&url);
    strake_err_dispose(&err);
    free(text);
}

/* RFC 3986, 5.4, as far as http goes. */
static void resolve_follows_the_standard(void **state)
{
    (void)state;
    static const struct {
        const char *reference;
        const char *text;
    } cases[] = {
        { "g", "http://a/b/c/g" },
        { "./g", "http://a/b/c/g" },
        { "g/", "http://a/b/c/g/" },
        { "/g", "http://a/g" },
        { "//g", "http://g/" },
        { "?y", "http://a/b/c/d;p?y" },
        { "g?y", "http://a/b/c/g?y" },
        { "#s", "http://a/b/c/d;p?q" },
        { "g#s", "http://a/b/c/g" },
        { ";x", "http://a/b/c/;x" },
        { "", "http://a/b/c/d;p?q" },
        { ".", "http://a/b/c/" },
        { "./", "http://a/b/c/" },
        { "..", "http://a/b/" },
        { "../", "http://a/b/" },
        { "../g", "http://a/b/g" },
        { "../..", "http://a/" },
        { "../../../g", "http://a/g" },
        { "/./g", "http://a/g" },
        { "/../g", "http://a/g" },
        { "g.", "http://a/b/c/g." },
        { "..g", "http://a/b/c/..g" },
        { "./../g", "http://a/b/g" },
        { "g;x=1/../y", "http://a/b/c/y" },
        { "g?y/../x", "http://a/b/c/g?y/../x" },
        { "https://g:5000/x", "https://g:5000/x" },
        { "./g:h", "http://a/b/c/g:h" },
        { "sub/%3Fdigest=x?digest=sha256:1", "http://a/b/c/sub/%3Fdigest=x?digest=sha256:1" },
    };
    struct strake_url base;
    struct strake_err err = { 0 };
    assert_int_equal(strake_url_parse("http://a/b/c/d;p?q", &base, &err), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_url url;
        assert_int_equal(
            strake_url_resolve(&base, cases[i].reference, strlen(cases[i].reference), &url, &err),
            0);
        struct strake_buf text = text_of(&url);
        assert_string_equal(strake_buf_text(&text), cases[i].text);
        strake_buf_dispose(&text);
        strake_url_dispose(&url);
    }
    static const char *const refused[] = {
        "javascript:alert(1)", "g:h", "//", "///x", "/a\\b", "http:g"
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct strake_url url;
        assert_int_equal(strake_url_resolve(&base, refused[i], strlen(refused[i]), &url, &err),
                         STRAKE_EUSAGE);
    }
    strake_url_dispose(&base);
    strake_err_dispose(&err);
}

static void show_hides_credentials_and_unknown_parameters(void **state)
{
    (void)state;
    static const struct {
        const char *given;
        const char *shown;
    } cases[] = {
        { "https://user:hunter2@h/p", "https://h/p" },
        { "https://h/p?digest=sha256:1&n=5", "https://h/p?digest=sha256:1&n=5" },
        { "https://h/p?X-Amz-Signature=s&digest=d&sig=s&token=",
          "https://h/p?X-Amz-Signature=[hidden]&digest=d&sig=[hidden]&token=[hidden]" },
        { "https://h/p?list&a=b=c", "https://h/p?list&a=[hidden]" },
        { "https://h/p?&&digest", "https://h/p?&&digest" },
        { "https://h/p?", "https://h/p?" },
        { "https://h/p?digestx=1", "https://h/p?digestx=[hidden]" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_url url;
        struct strake_err err = { 0 };
        struct strake_buf shown = { 0 };
        assert_int_equal(strake_url_parse(cases[i].given, &url, &err), 0);
        assert_int_equal(strake_url_show(&url, &shown), 0);
        assert_string_equal(strake_buf_text(&shown), cases[i].shown);
        strake_buf_dispose(&shown);
        strake_url_dispose(&url);
    }
}

static void loopback_is_by_name_or_number_only(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool loopback;
    } cases[] = {
        { "http://127.0.0.1/", true },
        { "http://127.255.3.4:5000/", true },
        { "http://localhost/", true },
        { "http://LOCALHOST:5000/", true },
        { "http://[::1]/", true },
        { "http://128.0.0.1/", false },
        { "http://127.1/", false },
        { "http://0177.0.0.1/", false },
        { "http://2130706433/", false },
        { "http://localhost.example/", false },
        { "http://localhost./", false },
        { "http://[::]/", false },
        { "http://127.0.0.1.example/", false },
        { "http://0.0.0.0/", false },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_url url;
        struct strake_err err = { 0 };
        assert_int_equal(strake_url_parse(cases[i].url, &url, &err), 0);
        if (strake_url_is_loopback(&url) != cases[i].loopback)
            fail_msg("%s", cases[i].url);
        strake_url_dispose(&url);
    }
}

static void same_host_means_name_and_port(void **state)
{
    (void)state;
    static const struct {
        const char *a;
        const char *b;
        bool same;
    } cases[] = {
        { "https://h/a", "https://h:443/b", true },    { "http://h/", "https://h/", true },
        { "http://h:5000/", "http://h:5001/", false }, { "https://h/", "https://x.h/", false },
        { "http://h:443/", "https://h/", true },       { "https://h/", "https://h:444/", false },
        { "https://H/", "https://h/", true },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_url a, b;
        struct strake_err err = { 0 };
        assert_int_equal(strake_url_parse(cases[i].a, &a, &err), 0);
        assert_int_equal(strake_url_parse(cases[i].b, &b, &err), 0);
        if (strake_url_same_host(&a, &b) != cases[i].same)
            fail_msg("%s %s", cases[i].a, cases[i].b);
        strake_url_dispose(&a);
        strake_url_dispose(&b);
    }
}

static int resolve_once(void *ctx)
{
    (void)ctx;
    struct strake_url base, url = { 0 };
    struct strake_err err = { 0 };
    int rc = strake_url_parse("https://u:p@h:5000/a/b?c", &base, &err);
    if (rc == 0)
        rc = strake_url_resolve(&base, "../d e", 6, &url, &err);
    assert_int_equal(err.code, rc);
    strake_url_dispose(&base);
    strake_url_dispose(&url);
    strake_err_dispose(&err);
    return rc;
}

static void urls_survive_every_failing_allocation(void **state)
{
    (void)state;
    torture(resolve_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_gives_one_form),
        cmocka_unit_test(parse_refuses_what_others_might_read_otherwise),
        cmocka_unit_test(parse_refuses_what_is_too_long),
        cmocka_unit_test(resolve_follows_the_standard),
        cmocka_unit_test(show_hides_credentials_and_unknown_parameters),
        cmocka_unit_test(loopback_is_by_name_or_number_only),
        cmocka_unit_test(same_host_means_name_and_port),
        cmocka_unit_test(urls_survive_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
