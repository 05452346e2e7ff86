/* Image configurations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/manifest.h"
#include "util/json.h"

#include "torture.h"

#define D1 "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define D2 "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define FULL                                                                                       \
    "{\"architecture\":\"arm64\",\"os\":\"linux\",\"variant\":\"v8\",\"created\":\"2026-01-02T03:" \
    "04:05Z\","                                                                                    \
    "\"config\":{\"User\":\"dev\",\"Env\":[\"A=b\"],\"Entrypoint\":[\"/e\"],\"Cmd\":\"old\","      \
    "\"WorkingDir\":\"/w\",\"Labels\":{\"k\":\"v\"},\"ExposedPorts\":{\"80/tcp\":{}},"             \
    "\"Volumes\":{\"/v\":{}},\"StopSignal\":\"TERM\",\"Healthcheck\":{\"Test\":[\"NONE\"]}},"      \
    "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" D1 "\",\"" D2 "\"]},"                       \
    "\"history\":[{\"created_by\":\"ADD\"},{\"created_by\":\"ENV\",\"empty_layer\":true},{}]}"

static int parse(const char *text, size_t layers, struct strake_config *out, struct strake_err *err)
{
    return strake_config_parse(text, strlen(text), "the config", layers, out, err);
}

static void config_shows_what_an_image_runs(void **state)
{
    (void)state;
    struct strake_config config;
    struct strake_err err = { 0 };
    struct strake_buf shown = { 0 };
    assert_int_equal(parse(FULL, 2, &config, &err), 0);
    assert_string_equal(config.platform, "linux/arm64");
    assert_string_equal(config.created, "2026-01-02T03:04:05Z");
    assert_int_equal(strake_json_dump(config.shown, &shown), 0);
    assert_string_equal(
        strake_buf_text(&shown),
        "{\"user\":\"dev\",\"entrypoint\":[\"/e\"],\"cmd\":[\"old\"],\"env\":[\"A=b\"],"
        "\"working_dir\":\"/w\",\"labels\":{\"k\":\"v\"},\"exposed_ports\":[\"80/tcp\"],"
        "\"volumes\":[\"/v\"],\"stop_signal\":\"TERM\","
        "\"healthcheck\":{\"Test\":[\"NONE\"]}}");
    assert_int_equal(config.diff_count, 2);
    assert_string_equal(config.diff_ids[1], D2);
    assert_null(config.diff_ids[2]);
    assert_string_equal(config.created_by[0], "ADD");
    assert_string_equal(config.created_by[1], ""); /* the empty layer is skipped, {} says nothing */
    assert_null(config.created_by[2]);
    strake_buf_dispose(&shown);
    strake_config_dispose(&config);
    strake_config_dispose(NULL);
}

static void config_of_nothing_shows_empty_values(void **state)
{
    (void)state;
    struct strake_config config;
    struct strake_err err = { 0 };
    struct strake_buf shown = { 0 };
    assert_int_equal(parse("{\"config\":null}", 3, &config, &err), 0);
    assert_string_equal(config.platform, "unknown/unknown");
    assert_null(config.created);
    assert_int_equal(strake_json_dump(config.shown, &shown), 0);
    assert_string_equal(
        strake_buf_text(&shown),
        "{\"user\":\"\",\"entrypoint\":[],\"cmd\":[],\"env\":[],\"working_dir\":\"\","
        "\"labels\":{},\"exposed_ports\":[],\"volumes\":[],\"stop_signal\":\"\"}");
    assert_int_equal(config.diff_count, 0);
    assert_string_equal(config.created_by[2], "");
    strake_buf_dispose(&shown);
    strake_config_dispose(&config);
}

static void config_history_of_another_length_says_nothing(void **state)
{
    (void)state;
    struct strake_config config;
    struct strake_err err = { 0 };
    assert_int_equal(parse("{\"history\":[{\"created_by\":\"RUN\"}]}", 2, &config, &err), 0);
    assert_string_equal(config.created_by[0], "");
    assert_string_equal(config.created_by[1], "");
    strake_config_dispose(&config);
}

static void config_parse_refuses_and_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        { "", "the config" },
        { "[]", "no JSON object" },
        { "{\"config\":[]}", "config" },
        { "{\"config\":{\"User\":1}}", "User" },
        { "{\"config\":{\"Env\":[1]}}", "Env" },
        { "{\"config\":{\"Cmd\":{}}}", "Cmd" },
        { "{\"config\":{\"Labels\":{\"a\":1}}}", "Labels" },
        { "{\"config\":{\"Labels\":[]}}", "Labels" },
        { "{\"config\":{\"ExposedPorts\":[]}}", "ExposedPorts" },
        { "{\"rootfs\":{\"diff_ids\":[\"" D1 "\",\"" D1 "\"]}}", "2 diff_ids for 1 layers" },
        { "{\"rootfs\":{\"diff_ids\":[\"x\"]}}", "diff_ids" },
        { "{\"rootfs\":{\"diff_ids\":{}}}", "diff_ids" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_config config;
        struct strake_err err = { 0 };
        int rc = parse(cases[i].text, 1, &config, &err);
        if (rc != STRAKE_EREGISTRY || strstr(strake_err_message(&err), cases[i].why) == NULL)
            fail_msg("%zu: %d %s", i, rc, strake_err_message(&err));
        strake_err_dispose(&err);
    }
}

static int parse_once(void *ctx)
{
    struct strake_config config;
    struct strake_err err = { 0 };
    (void)ctx;
    int rc = parse(FULL, 2, &config, &err);
    assert_int_equal(err.code, rc);
    if (rc == 0) { /* all of it, or nothing */
        assert_int_equal(json_object_size(config.shown), 10);
        assert_string_equal(strake_json_str(config.shown, "user"), "dev");
        assert_int_equal(json_array_size(json_object_get(config.shown, "volumes")), 1);
        assert_string_equal(config.created_by[0], "ADD");
    }
    strake_config_dispose(&config);
    strake_err_dispose(&err);
    return rc;
}

static void configs_survive_every_failing_allocation(void **state)
{
    (void)state;
    torture(parse_once, NULL);
}

int main(void)
{
    strake_json_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_shows_what_an_image_runs),
        cmocka_unit_test(config_of_nothing_shows_empty_values),
        cmocka_unit_test(config_history_of_another_length_says_nothing),
        cmocka_unit_test(config_parse_refuses_and_says_why),
        cmocka_unit_test(configs_survive_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
