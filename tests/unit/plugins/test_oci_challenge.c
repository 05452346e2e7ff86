/* plugins/oci/challenge.c: WWW-Authenticate and Link headers. */
#include "fake_host.h"

#include "oci/challenge.h"

struct challenge_case {
    const char *lines;
    bool basic;
    const char *realm;
    const char *service;
    const char *scope;
    const char *error;
};

static void assert_text(const char *got, const char *want)
{
    if (!want)
        assert_null(got);
    else
        assert_string_equal(got ? got : "(none)", want);
}

static void check(const struct challenge_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct oci_challenge got;
        assert_int_equal(oci_challenge_parse(cases[i].lines, &got), 0);
        assert_int_equal(got.basic, cases[i].basic);
        assert_text(got.realm, cases[i].realm);
        assert_text(got.service, cases[i].service);
        assert_text(got.scope, cases[i].scope);
        assert_text(got.error, cases[i].error);
        oci_challenge_dispose(&got);
    }
}

static void challenge_parse_reads_what_registries_send(void **state)
{
    (void)state;
    static const struct challenge_case cases[] = {
        { "www-authenticate: Bearer realm=\"https://auth.docker.io/token\","
          "service=\"registry.docker.io\",scope=\"repository:library/busybox:pull\"\n",
          false, "https://auth.docker.io/token", "registry.docker.io",
          "repository:library/busybox:pull", NULL },
        { "www-authenticate: Bearer realm=\"https://a/t\",service=\"s\","
          "scope=\"repository:a:pull,push\",error=\"insufficient_scope\"\n",
          false, "https://a/t", "s", "repository:a:pull,push", "insufficient_scope" },
        { "www-authenticate: Basic realm=\"Registry Realm\"\n", true, NULL, NULL, NULL, NULL },
        { "www-authenticate: bearer  realm = \"https://a/t\" , service=s\n", false, "https://a/t",
          "s", NULL, NULL },
        { "www-authenticate: Bearer realm=\"https://a/\\\"t\\\\\"\n", false, "https://a/\"t\\",
          NULL, NULL, NULL },
        { "content-type: x\n", false, NULL, NULL, NULL, NULL },
        { "", false, NULL, NULL, NULL, NULL },
    };
    check(cases, sizeof(cases) / sizeof(cases[0]));
}

static void challenge_parse_walks_several_challenges(void **state)
{
    (void)state;
    static const struct challenge_case cases[] = {
        { "www-authenticate: Basic realm=\"r\"\nwww-authenticate: Bearer realm=\"https://a/t\"\n",
          true, "https://a/t", NULL, NULL, NULL },
        { "www-authenticate: Basic realm=\"r\", Bearer realm=\"https://a/t\",service=\"s\"\n", true,
          "https://a/t", "s", NULL, NULL },
        { "www-authenticate: Negotiate TlRMTVNTUAA=, Bearer realm=\"https://a/t\"\n", false,
          "https://a/t", NULL, NULL, NULL },
        { "www-authenticate: Negotiate, Basic realm=\"x\"\n", true, NULL, NULL, NULL, NULL },
        /* The first one that can be used counts. */
        { "www-authenticate: Bearer service=\"no realm\", Bearer realm=\"https://b/t\"\n"
          "www-authenticate: Bearer realm=\"https://c/t\"\n",
          false, "https://b/t", NULL, NULL, NULL },
        /* The realm of another scheme is not taken for ours. */
        { "www-authenticate: Digest realm=\"https://evil/\", Basic realm=\"b\"\n", true, NULL, NULL,
          NULL, NULL },
    };
    check(cases, sizeof(cases) / sizeof(cases[0]));
}

static void challenge_parse_leaves_out_what_is_malformed(void **state)
{
    (void)state;
    static const struct challenge_case cases[] = {
        { "www-authenticate: Bearer realm=\"https://a/t\n", false, NULL, NULL, NULL, NULL },
        { "www-authenticate: Bearer realm=\"https://a/t\\\n", false, NULL, NULL, NULL, NULL },
        { "www-authenticate: Bearer realm=\n", false, NULL, NULL, NULL, NULL },
        { "www-authenticate: =\"x\", Bearer realm=\"https://a/t\"\n", false, NULL, NULL, NULL,
          NULL },
        { "www-authenticate: Bearer realm=\"https://a/t\", @\n", false, NULL, NULL, NULL, NULL },
        /* Said twice: the first counts. */
        { "www-authenticate: Bearer realm=\"https://a/t\",realm=\"https://b/t\"\n", false,
          "https://a/t", NULL, NULL, NULL },
        { "www-authenticate: ,,, \n", false, NULL, NULL, NULL, NULL },
    };
    check(cases, sizeof(cases) / sizeof(cases[0]));
}

static void link_next_finds_the_next_page(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        const char *target;
    } cases[] = {
        { "link: </v2/a/tags/list?last=b&n=2>; rel=\"next\"\n", "/v2/a/tags/list?last=b&n=2" },
        { "link: <https://h/x>; rel=next\n", "https://h/x" },
        { "link: <p>; rel=\"prev\", <n>; rel=\"next\"\n", "n" },
        { "link: <a,b;c>; title=\"x, y; rel=next\"; rel=\"prev NEXT\"\n", "a,b;c" },
        { "link: <p>; rel=prev\nlink: <n>; rel=next\n", "n" },
        { "link: <n>; crossorigin; rel=next\n", "n" },
        { "link: <p>; rel=prev; rel=next\n", NULL },
        { "link: <p>; rel=\"nextish\"\n", NULL },
        { "link: <unclosed; rel=next\n", NULL },
        { "link: n; rel=next\n", NULL },
        { "link: <n> rel=next\n", NULL },
        { "link: <n>; rel=\"next\n", NULL },
        { "link:\n", NULL },
        { "", NULL },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *target;
        assert_int_equal(oci_link_next(cases[i].lines, &target), 0);
        assert_text(target, cases[i].target);
        free(target);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(challenge_parse_reads_what_registries_send),
        cmocka_unit_test(challenge_parse_walks_several_challenges),
        cmocka_unit_test(challenge_parse_leaves_out_what_is_malformed),
        cmocka_unit_test(link_next_finds_the_next_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
