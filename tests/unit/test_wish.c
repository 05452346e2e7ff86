/* What a command or a flow asks for, read from JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "project/make.h"
#include "torture.h"
#include "util/json.h"

static const char everything[] =
    "{\"names\":[\"app\"],\"refs\":[\"h.example/a:1\"],\"tags\":[\"v1\",\"v2\"],"
    "\"platforms\":[\"linux/amd64\"],\"cache_from\":[\"a\"],\"cache_to\":[\"b\"],"
    "\"args\":{\"A\":\"1\"},\"labels\":{\"l\":\"x\"},\"contexts\":{\"c\":\"dir\"},"
    "\"dockerfile\":\"/d\",\"stage\":\"s\",\"builder\":\"b\",\"cwd\":\"/w\","
    "\"secrets\":[{\"id\":\"one\",\"file\":\"/f\"},{\"id\":\"two\",\"secret\":\"S\"}],"
    "\"all\":true,\"no_cache\":true}";

static json_t *parse(const char *text)
{
    struct strake_err err = { 0 };
    json_t *json = strake_json_parse(text, strlen(text), "a wish", STRAKE_EUSAGE, &err);

    strake_err_dispose(&err);
    return json;
}

static void wish_takes_every_field(void **state)
{
    struct strake_wish wish = { 0 };
    struct strake_err err = { 0 };
    json_t *json = parse(everything);

    (void)state;
    assert_int_equal(strake_wish_parse(json, &wish, &err), 0);
    assert_string_equal(wish.names.items[0], "app");
    assert_string_equal(wish.refs.items[0], "h.example/a:1");
    assert_int_equal(wish.tags.count, 2);
    assert_true(wish.set_tags);
    assert_string_equal(wish.platforms.items[0], "linux/amd64");
    assert_string_equal(wish.cache_from.items[0], "a");
    assert_string_equal(wish.cache_to.items[0], "b");
    assert_string_equal(strake_pairs_get(&wish.args, "A"), "1");
    assert_string_equal(strake_pairs_get(&wish.labels, "l"), "x");
    assert_string_equal(strake_pairs_get(&wish.contexts, "c"), "dir");
    assert_string_equal(wish.dockerfile, "/d");
    assert_string_equal(wish.stage, "s");
    assert_string_equal(wish.builder, "b");
    assert_string_equal(wish.cwd, "/w");
    assert_int_equal(wish.secret_count, 2);
    assert_string_equal(wish.secrets[0].id, "one");
    assert_string_equal(wish.secrets[0].file, "/f");
    assert_null(wish.secrets[0].name);
    assert_string_equal(wish.secrets[1].name, "S");
    assert_null(wish.secrets[1].file);
    assert_true(wish.all);
    assert_true(wish.no_cache);
    strake_wish_dispose(&wish);
    json_decref(json);
}

/* A flow that says tags = {} wants none; one that says nothing wants the target's own. */
static void wish_tells_no_tags_from_tags_not_named(void **state)
{
    static const struct {
        const char *text;
        bool set;
        size_t count;
    } cases[] = {
        { "{}", false, 0 },
        { "{\"tags\":[]}", true, 0 },
        { "{\"tags\":{}}", true, 0 }, /* Lua's empty table */
        { "{\"tags\":\"v1\"}", true, 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_wish wish = { 0 };
        struct strake_err err = { 0 };
        json_t *json = parse(cases[i].text);
        assert_int_equal(strake_wish_parse(json, &wish, &err), 0);
        assert_int_equal(wish.set_tags, cases[i].set);
        assert_int_equal(wish.tags.count, cases[i].count);
        strake_wish_dispose(&wish);
        json_decref(json);
    }
}

static void wish_refuses_what_it_does_not_know_and_names_it(void **state)
{
    static const struct {
        const char *text, *word;
    } cases[] = {
        { "{\"tagz\":[]}", "tagz" },
        { "{\"names\":[1]}", "names" },
        { "{\"names\":7}", "names" },
        { "{\"refs\":{\"a\":\"b\"}}", "refs" },
        { "{\"args\":{\"A\":1}}", "args" },
        { "{\"args\":[\"A\"]}", "args" },
        { "{\"stage\":[]}", "stage" },
        { "{\"dockerfile\":true}", "dockerfile" },
        { "{\"secrets\":[{\"file\":\"/f\"}]}", "secrets" },
        { "{\"secrets\":[{\"id\":1,\"file\":\"/f\"}]}", "secrets" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_wish wish = { 0 };
        struct strake_err err = { 0 };
        json_t *json = parse(cases[i].text);
        if (strake_wish_parse(json, &wish, &err) != STRAKE_EUSAGE ||
            !strstr(strake_err_message(&err), cases[i].word))
            fail_msg("%s: %s", cases[i].text, strake_err_message(&err));
        strake_wish_dispose(&wish);
        strake_err_dispose(&err);
        json_decref(json);
    }
}

static int parse_all(void *ctx)
{
    struct strake_wish wish = { 0 };
    struct strake_err err = { 0 };
    int rc = strake_wish_parse(ctx, &wish, &err);

    if (rc < 0) {
        assert_int_equal(rc, STRAKE_ENOMEM);
        assert_int_equal(err.code, STRAKE_ENOMEM);
    } else {
        assert_int_equal(wish.secret_count, 2);
    }
    strake_wish_dispose(&wish);
    strake_err_dispose(&err);
    return rc;
}

static void wish_survives_every_failing_allocation(void **state)
{
    json_t *json = parse(everything);

    (void)state;
    torture(parse_all, json);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wish_takes_every_field),
        cmocka_unit_test(wish_tells_no_tags_from_tags_not_named),
        cmocka_unit_test(wish_refuses_what_it_does_not_know_and_names_it),
        cmocka_unit_test(wish_survives_every_failing_allocation),
    };

    strake_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
