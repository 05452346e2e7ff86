/* The stores of a command: one a host or folder, plain http or not, credentials for builders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "build/store.h"
#include "plugin/loader.h"
#include "torture.h"
#include "util/fs.h"
#include "util/json.h"

static json_t *parse(const char *text)
{
    struct strake_err err = { 0 };
    json_t *json = strake_json_parse(text, strlen(text), "options", STRAKE_EUSAGE, &err);

    strake_err_dispose(&err);
    return json;
}

static int configure(struct strake_stores *stores, const char *host, const char *options)
{
    json_t *json = parse(options);
    int rc = json ? strake_stores_configure(stores, host, "oci", json) : STRAKE_ENOMEM;

    json_decref(json);
    return rc;
}

static void store_speaks_plain_http_to_this_machine_or_when_told(void **state)
{
    static const struct {
        const char *host, *options, *ca;
        bool plain;
    } cases[] = {
        { "127.0.0.1:5000", NULL, NULL, true },
        { "localhost:5000", NULL, NULL, true },
        { "[::1]:5000", NULL, NULL, true },
        { "registry.example.org", NULL, NULL, false },
        { "10.0.0.1:5000", NULL, NULL, false },
        { "127.0.0.1.example.org", NULL, NULL, false },
        { "registry.example.org", "{\"plain_http\":true}", NULL, true },
        { "127.0.0.1:5000", "{\"plain_http\":false}", NULL, false },
        { "127.0.0.1:5000", "{\"ca\":\"/ca.pem\"}", NULL, false },
        { "127.0.0.1:5000", NULL, "/ca.pem",
          false }, /* naming a CA makes a loopback registry https */
        { "127.0.0.1:5000", "{\"plain_http\":true}", "/ca.pem", true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_stores *stores = strake_stores_new(0, cases[i].ca);
        if (cases[i].options)
            assert_int_equal(configure(stores, cases[i].host, cases[i].options), 0);
        if (strake_stores_plain_http(stores, cases[i].host) != cases[i].plain)
            fail_msg("%s with %s and %s", cases[i].host, cases[i].options, cases[i].ca);
        strake_stores_free(stores);
    }
}

static void store_is_opened_once_a_folder(void **state)
{
    struct strake_stores *stores = strake_stores_new(0, NULL);
    struct strake_place_in_store one = { 0 }, two = { 0 }, other = { 0 };
    struct strake_reference ref = { 0 };
    struct strake_err err = { 0 };

    (void)state;
    assert_int_equal(strake_stores_open(stores, "oci:/tmp/a:1", &ref, &one, &err), 0);
    strake_reference_dispose(&ref);
    assert_int_equal(strake_stores_open(stores, "oci:/tmp/a:2", &ref, &two, &err), 0);
    assert_string_equal(ref.tag, "2");
    strake_reference_dispose(&ref);
    assert_int_equal(strake_stores_open(stores, "oci:/tmp/b", &ref, &other, &err), 0);
    strake_reference_dispose(&ref);
    assert_ptr_equal(one.instance, two.instance);
    assert_ptr_not_equal(one.instance, other.instance);
    assert_string_equal(one.repository, "");
    strake_place_in_store_dispose(&one);
    strake_place_in_store_dispose(&two);
    strake_place_in_store_dispose(&other);
    strake_stores_free(stores);
}

static void store_refuses_what_is_none(void **state)
{
    static const char *const refs[] = { "docker-archive:", "", "UPPER//case", "h.example/a:b:c" };
    struct strake_stores *stores = strake_stores_new(0, NULL);

    (void)state;
    for (size_t i = 0; i < sizeof(refs) / sizeof(refs[0]); i++) {
        struct strake_place_in_store place = { 0 };
        struct strake_reference ref = { 0 };
        struct strake_err err = { 0 };
        assert_int_equal(strake_stores_open(stores, refs[i], &ref, &place, &err), STRAKE_EUSAGE);
        assert_null(place.instance);
        assert_null(ref.name);
        strake_err_dispose(&err);
    }
    strake_stores_free(stores);
}

static void store_lists_configured_hosts_in_order(void **state)
{
    struct strake_stores *stores = strake_stores_new(0, NULL);
    struct strake_strings hosts = { 0 };
    struct strake_place_in_store place = { 0 };
    struct strake_reference ref = { 0 };
    struct strake_err err = { 0 };

    (void)state;
    assert_int_equal(configure(stores, "z.example", "{}"), 0);
    assert_int_equal(configure(stores, "a.example", "{}"), 0);
    assert_int_equal(strake_stores_open(stores, "oci:/tmp/a", &ref, &place, &err), 0);
    assert_int_equal(strake_stores_hosts(stores, &hosts), 0);
    assert_int_equal(hosts.count, 2);
    assert_string_equal(hosts.items[0], "z.example");
    assert_string_equal(hosts.items[1], "a.example");
    strake_place_in_store_dispose(&place);
    strake_reference_dispose(&ref);
    strake_strings_dispose(&hosts);
    strake_stores_free(stores);
}

/* As a builder's client reads them: base64 of user:password, Docker Hub by its old name. */
static void store_gives_credentials_as_a_docker_config(void **state)
{
    struct strake_stores *stores = strake_stores_new(0, NULL);
    struct strake_buf out = { 0 };
    struct strake_err err = { 0 };
    json_t *doc, *auths;

    (void)state;
    assert_int_equal(strake_stores_auth_json(stores, &out, &err), 0);
    assert_int_equal(out.len, 0);
    assert_int_equal(configure(stores, "h.example", "{\"username\":\"dev\",\"password\":\"p:w\"}"),
                     0);
    assert_int_equal(configure(stores, "docker.io", "{\"username\":\"u\",\"password\":\"x\"}"), 0);
    assert_int_equal(configure(stores, "open.example", "{}"), 0);
    assert_int_equal(strake_stores_auth_json(stores, &out, &err), 0);
    doc = parse(strake_buf_text(&out));
    auths = json_object_get(doc, "auths");
    assert_int_equal(json_object_size(auths), 2);
    assert_string_equal(strake_json_str(json_object_get(auths, "h.example"), "auth"),
                        "ZGV2OnA6dw==");
    assert_string_equal(
        strake_json_str(json_object_get(auths, "https://index.docker.io/v1/"), "auth"), "dTp4");
    json_decref(doc);
    strake_buf_dispose(&out);
    strake_stores_free(stores);
}

static void store_credentials_that_are_not_there_are_told_by_name(void **state)
{
    struct strake_stores *stores = strake_stores_new(0, NULL);
    struct strake_buf out = { 0 };
    struct strake_err err = { 0 };

    (void)state;
    assert_int_equal(configure(stores, "h.example",
                               "{\"username\":\"dev\",\"password\":{\"secret\":\"NOT_DECLARED\"}}"),
                     0);
    assert_true(strake_stores_auth_json(stores, &out, &err) < 0);
    assert_non_null(strstr(strake_err_message(&err), "NOT_DECLARED"));
    strake_err_dispose(&err);
    strake_buf_dispose(&out);
    strake_stores_free(stores);
}

static int configure_and_ask(void *ctx)
{
    struct strake_stores *stores = strake_stores_new(1000, "/ca.pem");
    struct strake_strings hosts = { 0 };
    struct strake_buf out = { 0 };
    struct strake_err err = { 0 };
    int rc = stores ? strake_stores_configure(stores, "h.example", "oci", ctx) : STRAKE_ENOMEM;

    if (rc == 0)
        rc = strake_stores_hosts(stores, &hosts);
    if (rc == 0)
        rc = strake_stores_auth_json(stores, &out, &err);
    if (rc == 0)
        assert_string_equal(strake_buf_text(&out),
                            "{\"auths\":{\"h.example\":{\"auth\":\"ZGV2OnB3\"}}}");
    else
        assert_int_equal(rc, STRAKE_ENOMEM);
    strake_strings_dispose(&hosts);
    strake_buf_dispose(&out);
    strake_err_dispose(&err);
    strake_stores_free(stores);
    return rc;
}

static void store_survives_every_failing_allocation(void **state)
{
    json_t *options = parse("{\"username\":\"dev\",\"password\":\"pw\"}");

    (void)state;
    torture(configure_and_ask, options);
    json_decref(options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(store_speaks_plain_http_to_this_machine_or_when_told),
        cmocka_unit_test(store_is_opened_once_a_folder),
        cmocka_unit_test(store_refuses_what_is_none),
        cmocka_unit_test(store_lists_configured_hosts_in_order),
        cmocka_unit_test(store_gives_credentials_as_a_docker_config),
        cmocka_unit_test(store_credentials_that_are_not_there_are_told_by_name),
        cmocka_unit_test(store_survives_every_failing_allocation),
    };
    struct strake_err err = { 0 };
    char *program;

    strake_json_setup();
    program = strake_fs_absolute("/proc/self/exe");
    if (!program || strake_loader_setup(program, &err) < 0)
        return 1;
    strake_free(program);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
