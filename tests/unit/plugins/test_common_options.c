/* plugins/common/options.c: the options of an instance. */
#include "fake_host.h"

#include "common/options.h"
#include "common/util.h"

struct sample {
    char *text;
    bool yes;
    enum plug_flag flag;
    int64_t number;
    struct plug_secret secret;
    char **list;
    struct strake_pair **pairs;
};

static const struct plug_option table[] = {
    PLUG_OPTION(struct sample, text, .kind = PLUG_STRING),
    PLUG_OPTION(struct sample, yes, .kind = PLUG_BOOL),
    PLUG_OPTION(struct sample, flag, .kind = PLUG_FLAG),
    PLUG_OPTION(struct sample, number, .kind = PLUG_INT, .min = 1, .max = 10),
    PLUG_OPTION(struct sample, secret, .kind = PLUG_SECRET),
    PLUG_OPTION(struct sample, list, .kind = PLUG_STRINGS),
    PLUG_OPTION(struct sample, pairs, .kind = PLUG_PAIRS),
    { .key = NULL },
};

static int read_options(const char *json, struct sample *sample)
{
    *sample = (struct sample){ .number = 7 };
    return plug_options_read(&fake_host, "sample", table, json, sample, &fake_err);
}

static void options_read_fills_what_is_given(void **state)
{
    (void)state;
    struct sample sample;
    assert_int_equal(read_options("{\"text\":\"x y\",\"yes\":true,\"flag\":false,\"number\":3,"
                                  "\"secret\":{\"secret\":\"KNOWN\"},\"list\":[\"a\",\"b\"],"
                                  "\"pairs\":{\"k2\":\"\",\"k1\":\"v\"}}",
                                  &sample),
                     0);
    assert_string_equal(sample.text, "x y");
    assert_true(sample.yes);
    assert_int_equal(sample.flag, PLUG_NO);
    assert_int_equal(sample.number, 3);
    assert_string_equal(sample.secret.name, "KNOWN");
    assert_string_equal(sample.list[1], "b");
    assert_null(sample.list[2]);
    assert_string_equal(sample.pairs[0]->name, "k1");
    assert_string_equal(sample.pairs[1]->value, "");
    assert_null(sample.pairs[2]);
    plug_options_dispose(table, &sample);
    assert_null(sample.text);
}

static void options_read_keeps_the_defaults(void **state)
{
    (void)state;
    static const char *const empty[] = {
        "{}", "[]", "", NULL, "{\"text\":false,\"number\":false,\"secret\":false,\"list\":null}",
    };
    for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
        struct sample sample;
        assert_int_equal(read_options(empty[i], &sample), 0);
        assert_int_equal(sample.number, 7);
        assert_int_equal(sample.flag, PLUG_UNSET);
        assert_null(sample.list);
        assert_false(plug_secret_given(&sample.secret));
    }
}

static void options_read_takes_forms_that_lua_gives(void **state)
{
    (void)state;
    struct sample sample;
    assert_int_equal(read_options("{\"number\":4.0,\"list\":\"one\",\"pairs\":[]}", &sample), 0);
    assert_int_equal(sample.number, 4);
    assert_string_equal(sample.list[0], "one");
    assert_null(sample.list[1]);
    assert_null(sample.pairs[0]);
    plug_options_dispose(table, &sample);
    assert_int_equal(read_options("{\"list\":{}}", &sample), 0);
    assert_null(sample.list[0]);
    plug_options_dispose(table, &sample);
}

static void options_read_names_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *named;
    } cases[] = {
        { "{\"txet\":\"x\"}", "unknown option 'txet'" },
        { "{\"text\":7}", "'text'" },
        { "{\"text\":\"\"}", "'text'" },
        { "{\"text\":\"a\\nb\"}", "'text'" },
        { "{\"text\":\"a\\u0000b\"}", "" },
        { "{\"yes\":\"true\"}", "'yes'" },
        { "{\"flag\":1}", "'flag'" },
        { "{\"number\":0}", "from 1 to 10" },
        { "{\"number\":11}", "from 1 to 10" },
        { "{\"number\":1.5}", "'number'" },
        { "{\"number\":1e300}", "'number'" },
        { "{\"secret\":{\"secret\":\"A\",\"x\":1}}", "'secret'" },
        { "{\"secret\":\"\"}", "'secret'" },
        { "{\"list\":[\"a\",7]}", "'list'" },
        { "{\"list\":{\"a\":\"b\"}}", "'list'" },
        { "{\"pairs\":{\"a\":7}}", "'pairs'" },
        { "{\"pairs\":[\"a\"]}", "'pairs'" },
        { "[1]", "not a table" },
        { "{", "not a table" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sample sample;
        if (read_options(cases[i].json, &sample) != STRAKE_ECONFIG ||
            !strstr(fake_err.message, cases[i].named))
            fail_msg("%s: %s", cases[i].json, fake_err.message);
        assert_null(sample.text);
        assert_null(sample.list);
        assert_null(sample.pairs);
    }
}

static void options_read_tells_the_known_ones(void **state)
{
    (void)state;
    struct sample sample;
    assert_int_equal(read_options("{\"nope\":1}", &sample), STRAKE_ECONFIG);
    assert_string_equal(fake_err.hint,
                        "its options are text, yes, flag, number, secret, list, pairs");
}

static void options_read_wants_required_ones(void **state)
{
    (void)state;
    static const struct plug_option required[] = {
        PLUG_OPTION(struct sample, text, .kind = PLUG_STRING, .required = true),
        { .key = NULL },
    };
    struct sample sample = { 0 };
    assert_int_equal(plug_options_read(&fake_host, "sample", required, "{}", &sample, &fake_err),
                     STRAKE_ECONFIG);
    assert_non_null(strstr(fake_err.message, "option 'text' is missing"));
    assert_int_equal(
        plug_options_read(&fake_host, "sample", required, "{\"text\":false}", &sample, &fake_err),
        STRAKE_ECONFIG);
}

static void secret_read_gives_the_value(void **state)
{
    (void)state;
    struct sample sample;
    struct strake_buf *value = fake_buf_new(100);
    assert_int_equal(read_options("{\"secret\":{\"secret\":\"KNOWN\"}}", &sample), 0);
    assert_int_equal(plug_secret_read(&fake_host, &sample.secret, value, &fake_err), 0);
    assert_string_equal(plug_buf_text(&fake_host, value), "its value");
    plug_options_dispose(table, &sample);

    assert_int_equal(read_options("{\"secret\":\"+literal\"}", &sample), 0);
    assert_string_equal(fake_marked, "+literal\n");
    assert_int_equal(plug_secret_read(&fake_host, &sample.secret, value, &fake_err), 0);
    assert_string_equal(plug_buf_text(&fake_host, value), "its value+literal");
    plug_options_dispose(table, &sample);
    fake_buf_free(value);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, fake_reset)
    const struct CMUnitTest tests[] = {
        TEST(options_read_fills_what_is_given),
        TEST(options_read_keeps_the_defaults),
        TEST(options_read_takes_forms_that_lua_gives),
        TEST(options_read_names_what_is_wrong),
        TEST(options_read_tells_the_known_ones),
        TEST(options_read_wants_required_ones),
        TEST(secret_read_gives_the_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
