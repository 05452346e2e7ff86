/* Stages, what they are built on, and what a builder must know for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dockerfile/dockerfile.h"

#include "torture.h"

static struct strake_dockerfile parsed(const char *text)
{
    struct strake_dockerfile dockerfile;
    struct strake_err err = { 0 };
    if (strake_dockerfile_parse(text, strlen(text), "Dockerfile", &dockerfile, &err) != 0)
        fail_msg("%s", strake_err_message(&err));
    return dockerfile;
}

static void stages_are_listed_with_name_base_and_platform(void **state)
{
    (void)state;
    struct strake_dockerfile d = parsed(
        "ARG V\nFROM --platform=$BUILDPLATFORM a:$V AS Build\nRUN x\nFROM b\nFROM c d\nFROM\n");
    assert_int_equal(d.stage_count, 4);
    assert_string_equal(d.stages[0].name, "build");
    assert_string_equal(d.stages[0].base, "a:$V");
    assert_string_equal(d.stages[0].platform, "$BUILDPLATFORM");
    assert_int_equal(d.stages[0].line, 2);
    assert_string_equal(d.stages[1].name, "");
    assert_string_equal(d.stages[1].platform, "");
    assert_string_equal(d.stages[2].name, "");
    assert_string_equal(d.stages[2].base, "c");
    assert_string_equal(d.stages[3].base, "");
    assert_int_equal(d.instructions[0].stage, -1);
    assert_int_equal(d.instructions[2].stage, 0);
    strake_dockerfile_dispose(&d);
}

static void stage_is_found_by_name_and_number(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int want;
    } cases[] = {
        { "", 3 },  { "a", 2 },  { "A", 2 },  { "b", 1 },   { "0", 0 },
        { "3", 3 }, { "4", -1 }, { "c", -1 }, { "-1", -1 }, { "99999999999999999999", -1 },
    };
    struct strake_dockerfile d = parsed("FROM x AS a\nFROM x AS b\nFROM x AS A\nFROM x\n");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int got = strake_dockerfile_stage(&d, cases[i].name);
        if (got != cases[i].want)
            fail_msg("%s: %d", cases[i].name, got);
    }
    strake_dockerfile_dispose(&d);
    d = parsed("RUN x\n");
    assert_int_equal(strake_dockerfile_stage(&d, ""), -1);
    strake_dockerfile_dispose(&d);
}

static void needs_names_the_first_line_of_what_is_asked(void **state)
{
    (void)state;
    const uint32_t both = STRAKE_BUILDER_HEREDOC | STRAKE_BUILDER_COPY_LINK;
    static const struct {
        const char *text;
        uint32_t of;
        uint32_t want;
        int line;
    } cases[] = {
        { "FROM a\nRUN x\n", both, 0, 0 },
        { "FROM a\nCOPY --link a b\nRUN <<E\nE\n", both, both, 2 },
        { "FROM a\nCOPY --link a b\nRUN <<E\nE\n", STRAKE_BUILDER_HEREDOC, STRAKE_BUILDER_HEREDOC,
          3 },
        { "FROM a\nADD --link=true a b\n", both, STRAKE_BUILDER_COPY_LINK, 2 },
        { "FROM a\nCOPY --link=false a b\n", both, 0, 0 },
        { "FROM a\nRUN --link x\n", both, 0, 0 },
        { "FROM a\nONBUILD COPY --link a b\n", both, STRAKE_BUILDER_COPY_LINK, 2 },
        { "FROM a\nONBUILD RUN <<E\nE\n", both, STRAKE_BUILDER_HEREDOC, 2 },
        { "FROM a\nRUN <<E\nE\n", STRAKE_BUILDER_PUSH, 0, 0 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_dockerfile d = parsed(cases[i].text);
        int line = -1;
        uint32_t got = strake_dockerfile_needs(&d, cases[i].of, &line);
        if (got != cases[i].want || line != cases[i].line)
            fail_msg("%zu: %u at %d", i, got, line);
        strake_dockerfile_dispose(&d);
    }
}

/* Bases of `stage` joined by spaces, or the error's message. */
static struct strake_buf bases_of(const char *text, const char *stage, const char *const (*args)[2])
{
    struct strake_dockerfile d = parsed(text);
    struct strake_pairs pairs = { 0 };
    struct strake_strings out = { 0 };
    struct strake_err err = { 0 };
    struct strake_buf joined = { 0 };
    for (; args != NULL && (*args)[0] != NULL; args++)
        strake_pairs_set(&pairs, (*args)[0], (*args)[1]);
    if (strake_dockerfile_bases(&d, strake_dockerfile_stage(&d, stage), &pairs, &out, NULL, &err) ==
        0) {
        for (size_t i = 0; i < out.count; i++)
            strake_buf_printf(&joined, "%s%s", i > 0 ? " " : "", out.items[i]);
    } else {
        strake_buf_printf(&joined, "%s:%d: %s", err.file, err.line, strake_err_message(&err));
    }
    strake_err_dispose(&err);
    strake_strings_dispose(&out);
    strake_pairs_dispose(&pairs);
    strake_dockerfile_dispose(&d);
    return joined;
}

static void bases_are_what_a_stage_needs_from_outside(void **state)
{
    (void)state;
    static const char *const v2[][2] = { { "V", "2" }, { NULL, NULL } };
    static const char *const target[][2] = { { "TARGETARCH", "arm64" }, { NULL, NULL } };
    static const struct {
        const char *text;
        const char *stage;
        const char *const (*args)[2];
        const char *want;
    } cases[] = {
        { "FROM a\n", "", NULL, "a" },
        { "FROM scratch\n", "", NULL, "" },
        { "FROM a AS x\nFROM b AS y\nFROM X\n", "", NULL, "X" }, /* a base is told by its case */
        { "FROM a AS x\nFROM b AS y\nFROM x\n", "", NULL, "a" },
        { "FROM a AS x\nFROM b AS y\n", "x", NULL, "a" },
        { "FROM a AS x\nFROM b\nCOPY --from=x / /\n", "", NULL, "b a" },
        { "FROM a AS x\nFROM b\nCOPY --from=X / /\n", "", NULL, "b a" },
        { "FROM a\nFROM b\nCOPY --from=0 / /\nCOPY --from=c:1 / /\nCOPY --from=b / /\n", "", NULL,
          "b c:1 a" },
        { "FROM a AS x\nFROM b\nRUN --mount=type=bind,from=x,target=/x y\nRUN --mount=from=d y\n",
          "", NULL, "b d a" },
        { "FROM a AS x\nFROM b\nCOPY --from=$x / /\n", "", NULL, "b" },
        { "FROM a AS a\nFROM a\n", "", NULL, "a" },
        { "FROM a AS x\nFROM b AS x\nFROM x\n", "", NULL, "b" },
        { "FROM x AS y\nFROM a AS x\n", "y", NULL, "x" },
        { "ARG V=1\nFROM a:$V\n", "", NULL, "a:1" },
        { "ARG V=1\nFROM a:$V\n", "", v2, "a:2" },
        { "ARG V\nFROM a:$V\n", "", NULL, "" },
        { "ARG V\nFROM a:$V\n", "", v2, "a:2" },
        { "FROM a:${V:-3}\n", "", NULL, "a:3" },
        { "FROM a:${V:-3}\n", "", v2, "a:3" }, /* not declared: not known to FROM */
        { "ARG V=1 W=\"$V-x\"\nFROM a:${W%-*}\n", "", v2, "a:2" },
        { "ARG V\nARG W=$V\nFROM a:$W\n", "", NULL, "" },
        { "ARG V\nARG W=${V:+y}z\nFROM a:$W\n", "", NULL, "a:z" },
        { "FROM a\nARG V=1\nFROM b:$V\n", "", NULL, "" },
        { "FROM a-$TARGETARCH\n", "", NULL, "" },
        { "FROM a-${TARGETARCH:-x}\n", "", NULL, "" },
        { "ARG A=${TARGETARCH:-x}\nFROM a-${A:-y}\n", "", NULL, "" },
        { "FROM a-$TARGETARCH\n", "", target, "a-arm64" },
        { "ARG V=a${\nFROM b\n", "", NULL, "Dockerfile:1: '${' is not closed" },
        { "FROM ${V:?none}\n", "", NULL, "Dockerfile:1: V: none" },
        { "# escape=`\nFROM a`$b\n", "", NULL, "a$b" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_buf got = bases_of(cases[i].text, cases[i].stage, cases[i].args);
        if (strcmp(strake_buf_text(&got), cases[i].want) != 0)
            fail_msg("%zu: %s", i, strake_buf_text(&got));
        strake_buf_dispose(&got);
    }
}

static void bases_of_no_stage_are_an_error(void **state)
{
    (void)state;
    struct strake_buf got = bases_of("RUN x\n", "", NULL);
    assert_non_null(strstr(strake_buf_text(&got), "no stage"));
    strake_buf_dispose(&got);
}

/* Each doubles the last: expansion stops at a bound, not at the end of memory. */
static void bases_bound_what_expands(void **state)
{
    (void)state;
    struct strake_buf text = { 0 };
    strake_buf_puts(&text, "ARG a0=xxxxxxxxxxxxxxxx\n");
    for (int i = 1; i < 60; i++)
        strake_buf_printf(&text, "ARG a%d=$a%d$a%d\n", i, i - 1, i - 1);
    strake_buf_puts(&text, "FROM $a59\n");
    struct strake_buf got = bases_of(strake_buf_text(&text), "", NULL);
    assert_non_null(strstr(strake_buf_text(&got), "too long"));
    strake_buf_dispose(&got);
    strake_buf_dispose(&text);
}

static void bases_tell_what_no_digest_can_be_had_of(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int line;
    } cases[] = {
        { "FROM a\nADD b c /d\nCOPY https://x /y\n", 0 },
        { "FROM a\nADD https://h.example/x /y\n", 2 },
        { "FROM a\nADD [\"http://h.example/x\", \"/y\"]\n", 2 },
        { "FROM a\nADD b https://h.example/x /y\n", 2 },
        { "FROM a\nADD --checksum=sha256:00 https://h.example/x /y\n", 0 },
        { "FROM a\nADD git@h.example:o/r.git /y\n", 2 },
        { "FROM a\nADD https://h.example/r.git#main /y\n", 2 },
        { "FROM a\nADD https://h.example/r.git#0123456789abcdef0123456789abcdef01234567 /y\n", 0 },
        { "FROM a\nADD $WHAT /y\n", 2 },
        { "FROM a\nADD x $WHERE\n", 0 },
        { "FROM a:$TARGETARCH\n", 1 },
        { "ARG B=$TARGETOS\nFROM $B\n", 2 },
        { "FROM --platform=$BUILDPLATFORM a\n", 0 },
        { "FROM a AS x\nADD https://h.example/x /y\nFROM b\n", 0 },
        { "FROM a AS x\nADD https://h.example/x /y\nFROM b\nCOPY --from=x a b\n", 2 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_dockerfile d = parsed(cases[i].text);
        struct strake_pairs none = { 0 };
        struct strake_strings out = { 0 };
        struct strake_floating floating = { .line = -1 };
        struct strake_err err = { 0 };
        int rc = strake_dockerfile_bases(&d, strake_dockerfile_stage(&d, ""), &none, &out,
                                         &floating, &err);
        if (rc != 0 || floating.line != cases[i].line || !floating.what != !floating.line)
            fail_msg("%s: %d, line %d", cases[i].text, rc, floating.line);
        strake_strings_dispose(&out);
        strake_dockerfile_dispose(&d);
    }
}

static int bases_once(void *ctx)
{
    const struct strake_dockerfile *dockerfile = ctx;
    struct strake_pairs args = { 0 };
    struct strake_strings out = { 0 };
    struct strake_err err = { 0 };
    int rc = strake_dockerfile_bases(dockerfile, 1, &args, &out, NULL, &err);
    assert_int_equal(err.code, rc);
    strake_strings_dispose(&out);
    strake_err_dispose(&err);
    return rc;
}

static void bases_survive_every_failing_allocation(void **state)
{
    (void)state;
    struct strake_dockerfile d =
        parsed("ARG V=1\nARG W=$TARGETOS\nFROM a:${V#x} AS x\nFROM \"b\"'c'\n"
               "COPY --from=x a b\nRUN --mount=from=d x\n");
    torture(bases_once, &d);
    strake_dockerfile_dispose(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stages_are_listed_with_name_base_and_platform),
        cmocka_unit_test(stage_is_found_by_name_and_number),
        cmocka_unit_test(needs_names_the_first_line_of_what_is_asked),
        cmocka_unit_test(bases_are_what_a_stage_needs_from_outside),
        cmocka_unit_test(bases_of_no_stage_are_an_error),
        cmocka_unit_test(bases_bound_what_expands),
        cmocka_unit_test(bases_tell_what_no_digest_can_be_had_of),
        cmocka_unit_test(bases_survive_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
