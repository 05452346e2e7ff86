/* What the parser sees, case by case; tests/oracle compares it with BuildKit on thousands of files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dockerfile/dockerfile.h"
#include "util/json.h"

#include "torture.h"

/* The instructions as one line of JSON, without what all of them have. */
static struct strake_buf instructions_of(const char *text)
{
    struct strake_dockerfile dockerfile;
    struct strake_err err = { 0 };
    struct strake_buf out = { 0 };
    if (strake_dockerfile_parse(text, strlen(text), "Dockerfile", &dockerfile, &err) != 0)
        fail_msg("%s: %s", text, strake_err_message(&err));
    json_t *document = strake_dockerfile_json(&dockerfile, "Dockerfile");
    assert_non_null(document);
    assert_string_equal(strake_json_str(document, "schema"), "strake.syntax/1");
    assert_int_equal(strake_json_dump(json_object_get(document, "instructions"), &out), 0);
    json_decref(document);
    strake_dockerfile_dispose(&dockerfile);
    return out;
}

static void parse_gives_the_documented_shape(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        { "FROM a AS b\nrun --mount=type=cache,target=/x make \\\n && make <<EOF install\nx\nEOF\n",
          "[{\"keyword\":\"FROM\",\"line\":1,\"end_line\":1,\"stage\":0,\"json\":false,\"flags\":[]"
          ","
          "\"args\":[\"a\",\"AS\",\"b\"]},"
          "{\"keyword\":\"RUN\",\"line\":2,\"end_line\":5,\"stage\":0,\"json\":false,"
          "\"flags\":[\"--mount=type=cache,target=/x\"],\"args\":[\"make  && make <<EOF install\"],"
          "\"heredocs\":[{\"name\":\"EOF\",\"content\":\"x\\n\",\"expand\":true,\"strip_tabs\":"
          "false}]}]" },
        { "ENV A=b C=\"d e\"\nENV F g  h",
          "[{\"keyword\":\"ENV\",\"line\":1,\"end_line\":1,\"stage\":-1,\"json\":false,\"flags\":[]"
          ","
          "\"pairs\":[{\"name\":\"A\",\"value\":\"b\",\"legacy\":false},"
          "{\"name\":\"C\",\"value\":\"\\\"d e\\\"\",\"legacy\":false}]},"
          "{\"keyword\":\"ENV\",\"line\":2,\"end_line\":2,\"stage\":-1,\"json\":false,\"flags\":[],"
          "\"pairs\":[{\"name\":\"F\",\"value\":\"g  h\",\"legacy\":true}]}]" },
        { "ONBUILD RUN x\nONBUILD\nCMD [\"a\",\"b\"]\nHEALTHCHECK CMD curl x\n",
          "[{\"keyword\":\"ONBUILD\",\"line\":1,\"end_line\":1,\"stage\":-1,\"onbuild\":{"
          "\"keyword\":\"RUN\","
          "\"json\":false,\"flags\":[],\"args\":[\"x\"]}},"
          "{\"keyword\":\"ONBUILD\",\"line\":2,\"end_line\":2,\"stage\":-1},"
          "{\"keyword\":\"CMD\",\"line\":3,\"end_line\":3,\"stage\":-1,\"json\":true,\"flags\":[],"
          "\"args\":[\"a\",\"b\"]},"
          "{\"keyword\":\"HEALTHCHECK\",\"line\":4,\"end_line\":4,\"stage\":-1,\"json\":false,"
          "\"flags\":[],"
          "\"args\":[\"CMD\",\"curl x\"]}]" },
        { "ONBUILD COPY <<-'A' /x\n\t$y\r\n\tA\nBOGUS z\n",
          "[{\"keyword\":\"ONBUILD\",\"line\":1,\"end_line\":3,\"stage\":-1,\"onbuild\":{"
          "\"keyword\":\"COPY\","
          "\"json\":false,\"flags\":[],\"args\":[\"<<-'A'\",\"/x\"],\"heredocs\":[{\"name\":\"A\","
          "\"content\":\"\\t$y\\r\\n\",\"expand\":false,\"strip_tabs\":true}]}},"
          "{\"keyword\":\"BOGUS\",\"line\":4,\"end_line\":4,\"stage\":-1,\"json\":false,\"flags\":["
          "],"
          "\"args\":[]}]" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_buf got = instructions_of(cases[i].text);
        assert_string_equal(strake_buf_text(&got), cases[i].want);
        strake_buf_dispose(&got);
    }
}

static void parse_reads_the_first_instructions_text(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *arg;
        char escape;
        const char *syntax;
    } cases[] = {
        { "RUN a \\\n\n # c\n  b\n", "a   b", '\\', "" },
        { "# escape=`\nRUN a `\nb\n", "a b", '`', "" },
        { "# syntax=docker/dockerfile:1 x\n# escape=`\nRUN a\\\n", "a\\", '`',
          "docker/dockerfile:1" },
        { "# c\n# escape=`\nRUN a`\n", "a`", '\\', "" },
        { "\xEF\xBB\xBF# escape=`\r\nRUN a`\r\nb", "ab", '`', "" },
        { "RUN a \\\\\n", "a \\\\", '\\', "" },
        { "RUN \xC2\xA0 a \xE3\x80\x80\n", "a", '\\', "" },
        { "RUN [ -f x ]\n", "[ -f x ]", '\\', "" },
        { "RUN -- --a\n", "--a", '\\', "" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_dockerfile dockerfile;
        struct strake_err err = { 0 };
        assert_int_equal(
            strake_dockerfile_parse(cases[i].text, strlen(cases[i].text), "D", &dockerfile, &err),
            0);
        assert_string_equal(dockerfile.instructions[0].args.items[0], cases[i].arg);
        assert_int_equal(dockerfile.escape, cases[i].escape);
        assert_string_equal(dockerfile.syntax, cases[i].syntax);
        strake_dockerfile_dispose(&dockerfile);
    }
}

static void parse_places_its_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int line;
        const char *why;
    } cases[] = {
        { "", 0, "no instruction" },
        { "# only\n", 1, "no instruction" },
        { "FROM a\nRUN <<EOF\nx\n", 2, "'EOF' does not end" },
        { "FROM a\nRUN echo $((1 << 2))\n", 2, "does not end" },
        { "FROM a\n\nENV A\n", 3, "ENV has a name" },
        { "FROM a\nRUN x\\\ny\nLABEL a=b c\n", 4, "'c' has no '='" },
        { "ENV A=${B:-x y}\n", 1, "'y}' has no '='" },
        { "CMD [\"a\", 1]\n", 1, "something else than strings" },
        { "CMD [\"a\\u0000\"]\n", 1, "NUL" },
        { "# escape=x\nFROM a\n", 1, "'x'" },
        { "# escape=`\n# escape=`\n", 2, "twice" },
        { "ONBUILD ENV A\n", 1, "ENV has a name" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_dockerfile dockerfile;
        struct strake_err err = { 0 };
        int rc = strake_dockerfile_parse(cases[i].text, strlen(cases[i].text), "dir/D", &dockerfile,
                                         &err);
        if (rc != STRAKE_EDOCKERFILE || err.line != cases[i].line ||
            strstr(err.message, cases[i].why) == NULL)
            fail_msg("%zu: %d line %d: %s", i, rc, err.line, strake_err_message(&err));
        assert_string_equal(err.file, "dir/D");
        assert_int_equal(dockerfile.count, 0);
        strake_err_dispose(&err);
    }
}

static void parse_refuses_a_nul_and_knows_utf16(void **state)
{
    (void)state;
    static const char utf16[] = "\xFF\xFE"
                                "F\0R\0O\0M\0 \0a\0\n\0";
    struct strake_dockerfile dockerfile;
    struct strake_err err = { 0 };
    assert_int_equal(strake_dockerfile_parse("FROM a\nRUN \0", 12, "D", &dockerfile, &err),
                     STRAKE_EDOCKERFILE);
    assert_int_equal(err.line, 2);
    assert_null(err.hint);
    strake_err_dispose(&err);
    assert_int_equal(strake_dockerfile_parse(utf16, sizeof(utf16) - 1, "D", &dockerfile, &err),
                     STRAKE_EDOCKERFILE);
    assert_non_null(strstr(err.hint, "UTF-8"));
    strake_err_dispose(&err);
}

static int parse_repeated(const char *head, const char *piece, size_t size, const char *tail)
{
    struct strake_buf text = { 0 };
    struct strake_dockerfile dockerfile;
    struct strake_err err = { 0 };
    strake_buf_puts(&text, head);
    while (text.len < size)
        strake_buf_puts(&text, piece);
    strake_buf_puts(&text, tail);
    int rc = strake_dockerfile_parse(strake_buf_text(&text), text.len, "D", &dockerfile, &err);
    if (rc < 0)
        assert_non_null(err.message);
    strake_dockerfile_dispose(&dockerfile);
    strake_err_dispose(&err);
    strake_buf_dispose(&text);
    return rc;
}

/* Not timed: an algorithm that is not linear makes this test hang. */
static void parse_answers_huge_files(void **state)
{
    (void)state;
    const size_t huge = STRAKE_DOCKERFILE_MAX - 100;
    static const struct {
        const char *head;
        const char *piece;
        const char *tail;
        int want;
    } cases[] = {
        { "FROM a\nRUN ", "x \\\n", "", 0 },
        { "FROM a\nENV ", "a=b \\\n", "", 0 },
        { "FROM a\n", "\n", "RUN x", 0 },
        { "FROM a\nRUN <<E\n", "E \n", "E\n", 0 },
        { "FROM a\nRUN <<E\n", "x\n", "", STRAKE_EDOCKERFILE },
        { "FROM a\nRUN <<E ", "<<E \\\n", "", STRAKE_EDOCKERFILE },
        { "FROM a\n", "R\n", "", STRAKE_EDOCKERFILE },
        { "", "FROM a\n", "", STRAKE_EDOCKERFILE },
        { "RUN << ", "${a:-\\\n", "", STRAKE_EDOCKERFILE },
        { "RUN << ", "${a:-b}\\\n", "", 0 },
        { "RUN << ", "\"'\\\n", "", 0 },
        { "CMD [", "[\\\n", "", 0 },
        { "CMD [\"a\"", ", {\"a\":[1]}\\\n", "]", STRAKE_EDOCKERFILE },
        { "ONBUILD ", "ONBUILD \\\n", "", STRAKE_EDOCKERFILE },
        { "", "# escape=\n", "FROM a", 0 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int rc = parse_repeated(cases[i].head, cases[i].piece, huge, cases[i].tail);
        if (rc != cases[i].want)
            fail_msg("%zu: %d", i, rc);
    }
    assert_int_equal(parse_repeated("FROM a\n", "#\n", STRAKE_DOCKERFILE_MAX + 1, ""),
                     STRAKE_EDOCKERFILE);
}

static int parse_once(void *ctx)
{
    struct strake_dockerfile dockerfile;
    struct strake_err err = { 0 };
    json_t *document = NULL;
    int rc = strake_dockerfile_parse(ctx, strlen(ctx), "Dockerfile", &dockerfile, &err);
    assert_int_equal(err.code, rc);
    if (rc == 0) {
        document = strake_dockerfile_json(&dockerfile, "Dockerfile");
        rc = document != NULL ? 0 : STRAKE_ENOMEM;
    }
    json_decref(document);
    strake_dockerfile_dispose(&dockerfile);
    strake_err_dispose(&err);
    return rc;
}

static void parse_survives_every_failing_allocation(void **state)
{
    (void)state;
    torture(
        parse_once,
        "# syntax=a\nARG x=1\nFROM --platform=p a AS b\nENV a=b c='d e'\nLABEL a b\n"
        "RUN --a=b <<E cat \"<<'F'\" ${x:-y}\n1\nE\nCMD [\"a\",\"b\"]\nHEALTHCHECK CMD [\"x\"]\n"
        "ONBUILD COPY <<-\"G\" /x\n\t2\n\tG\nEXPOSE 1 2\nUSER a\nONBUILD\n");
}

/* Linters point at characters: they are found again through continuation, indentation and comments. */
static void places_are_found_in_logical_lines(void **state)
{
    static const char text[] =
        "# check=skip=all\n# one\nFROM a\n  RUN one && \\\n# two\n\n    two; \\\n three\n"
        "RUN <<E\nx\nE\n";
    struct strake_dockerfile dockerfile;
    struct strake_err err = { 0 };
    const struct strake_instruction *run;
    int line, column;

    (void)state;
    assert_int_equal(
        strake_dockerfile_parse(text, sizeof(text) - 1, "Dockerfile", &dockerfile, &err), 0);
    assert_string_equal(dockerfile.check, "skip=all");
    assert_int_equal(dockerfile.comment_count, 3);
    assert_string_equal(dockerfile.comments[2].text, "# two");
    assert_int_equal(dockerfile.comments[2].line, 5);
    run = &dockerfile.instructions[1];
    assert_string_equal(run->written, "RUN");
    strake_instruction_place(run, run->text_at, &line, &column);
    assert_int_equal(line, 4);
    assert_int_equal(column, 7);
    strake_instruction_place(run, run->text_at + strlen("one && ") + 4, &line, &column);
    assert_int_equal(line, 7);
    assert_int_equal(column, 5);
    strake_instruction_place(run, run->text_at + strlen(run->args.items[0]) - 1, &line, &column);
    assert_int_equal(line, 8);
    assert_int_equal(column, 6);
    assert_int_equal(dockerfile.instructions[2].heredoc_line, 10);
    strake_dockerfile_dispose(&dockerfile);
}

int main(void)
{
    strake_json_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_gives_the_documented_shape),
        cmocka_unit_test(parse_reads_the_first_instructions_text),
        cmocka_unit_test(parse_places_its_errors),
        cmocka_unit_test(parse_refuses_a_nul_and_knows_utf16),
        cmocka_unit_test(parse_answers_huge_files),
        cmocka_unit_test(places_are_found_in_logical_lines),
        cmocka_unit_test(parse_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
