/* plugins/oci/config_edit.c: one entry of docker's config.json, and not a byte more. */
#include "fake_host.h"

#include "oci/config_edit.h"

static const struct strake_pair entry[] = { { "auth", "bWU6cGE=" }, { NULL, NULL } };
static const struct strake_pair nothing[] = { { NULL, NULL } };

static void assert_edit(const char *text, const char *registry, const struct strake_pair *fields,
                        const char *expected)
{
    struct plug_text out;
    assert_int_equal(oci_config_edit(text, registry, fields, &out), 0);
    assert_string_equal(plug_text_view(&out), expected);
    plug_text_dispose(&out);
}

static void an_empty_file_becomes_dockers_own_form(void **state)
{
    (void)state;
    const char *expected = "{\n\t\"auths\": {\n\t\t\"ghcr.io\": {\n\t\t\t\"auth\": \"bWU6cGE=\"\n"
                           "\t\t}\n\t}\n}\n";
    assert_edit("", "ghcr.io", entry, expected);
    assert_edit(" \n\t", "ghcr.io", entry, expected);
    assert_edit("{}\n", "ghcr.io", entry, expected);
}

static void what_else_is_there_stays_as_it_is(void **state)
{
    (void)state;
    assert_edit(
        "{\n  \"zebra\" : 1.50,\n  \"auths\": {\n    \"a.io\": {\"auth\": \"eA==\"}\n  },\n"
        "  \"big\": 1e2\n}",
        "b.io", entry,
        "{\n  \"zebra\" : 1.50,\n  \"auths\": {\n    \"b.io\": {\n      \"auth\": "
        "\"bWU6cGE=\"\n    },\n    \"a.io\": {\"auth\": \"eA==\"}\n  },\n  \"big\": 1e2\n}");
    assert_edit("{\"credsStore\":\"pass\"}", "b.io", entry,
                "{\"auths\":{\"b.io\":{\"auth\":\"bWU6cGE=\"}},\"credsStore\":\"pass\"}");
    assert_edit("{\"auths\":null,\"x\":[1,{\"auths\":{}}]}", "b.io", entry,
                "{\"auths\":{\"b.io\":{\"auth\":\"bWU6cGE=\"}},\"x\":[1,{\"auths\":{}}]}");
    assert_edit("{\"auths\":{}}", "b.io", entry, "{\"auths\":{\"b.io\":{\"auth\":\"bWU6cGE=\"}}}");
}

static void an_entry_is_replaced_in_its_place(void **state)
{
    (void)state;
    assert_edit(
        "{\"auths\":{\"a.io\":{},\"b.io\":{\"auth\":\"\\\"}\",\"email\":\"x\"},\"c.io\":{}}}",
        "b.io", entry, "{\"auths\":{\"a.io\":{},\"b.io\":{\"auth\":\"bWU6cGE=\"},\"c.io\":{}}}");
    assert_edit("{\"\\u0061uths\":{\"b\\u002eio\":{}}}", "b.io", entry,
                "{\"\\u0061uths\":{\"b\\u002eio\":{\"auth\":\"bWU6cGE=\"}}}");
    assert_edit("{\"auths\":{\"b.io\":{\"auth\":\"x\"}}}", "b.io", nothing,
                "{\"auths\":{\"b.io\":{}}}");
}

static void other_spellings_of_a_registry_go(void **state)
{
    (void)state;
    assert_edit("{\"auths\":{\"docker.io\":{\"auth\":\"b2xk\"},\"docker.io/team\":{},"
                "\"index.docker.io\":{}}}",
                "docker.io", entry,
                "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"bWU6cGE=\"},"
                "\"docker.io/team\":{}}}");
    assert_edit("{\"auths\":{\"https://b.io/v2/\":{},\"b.io\":{},\"b.io/x\":{}}}", "b.io", entry,
                "{\"auths\":{\"b.io\":{\"auth\":\"bWU6cGE=\"},\"b.io/x\":{}}}");
}

static void an_entry_is_taken_out(void **state)
{
    (void)state;
    assert_edit("{\n\t\"auths\": {\n\t\t\"a.io\": {},\n\t\t\"b.io\": {}\n\t},\n\t\"x\": 1\n}\n",
                "b.io", NULL, "{\n\t\"auths\": {\n\t\t\"a.io\": {}\n\t},\n\t\"x\": 1\n}\n");
    assert_edit("{\n\t\"auths\": {\n\t\t\"b.io\": {},\n\t\t\"a.io\": {}\n\t}\n}\n", "b.io", NULL,
                "{\n\t\"auths\": {\n\t\t\"a.io\": {}\n\t}\n}\n");
    assert_edit("{\n\t\"auths\": {\n\t\t\"b.io\": {}\n\t}\n}\n", "b.io", NULL,
                "{\n\t\"auths\": {}\n}\n");
    assert_edit("{\"auths\":{\"b.io\":{},\"https://b.io\":{}}}", "b.io", NULL, "{\"auths\":{}}");
    assert_edit("{\"auths\":{\"a.io\":{}}}", "b.io", NULL, "");
    assert_edit("{\"auths\":null}", "b.io", NULL, "");
    assert_edit("{}", "b.io", NULL, "");
    assert_edit("", "b.io", NULL, "");
}

static void auths_of_another_kind_are_left_alone(void **state)
{
    (void)state;
    struct plug_text out;
    assert_int_equal(oci_config_edit("{\"auths\":[]}", "b.io", entry, &out), STRAKE_ECONFIG);
    assert_int_equal(oci_config_edit("{\"auths\":\"x\"}", "b.io", NULL, &out), STRAKE_ECONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_empty_file_becomes_dockers_own_form, fake_reset),
        cmocka_unit_test_setup(what_else_is_there_stays_as_it_is, fake_reset),
        cmocka_unit_test_setup(an_entry_is_replaced_in_its_place, fake_reset),
        cmocka_unit_test_setup(other_spellings_of_a_registry_go, fake_reset),
        cmocka_unit_test_setup(an_entry_is_taken_out, fake_reset),
        cmocka_unit_test_setup(auths_of_another_kind_are_left_alone, fake_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
