/* Explaining misses: names of steps, lists of files, and causes that two made-up builds prove or do
 * not prove. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "build/explain_impl.h"
#include "image/digest.h"
#include "record_folder.h"
#include "torture.h"

#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"

static char *text_of(struct strake_span span)
{
    return strake_strndup(span.len ? span.at : "", span.len);
}

static void names_of_steps_are_read(void **state)
{
    static const struct {
        const char *name, *platform, *stage, *text;
        int number, index, total;
        bool onbuild;
    } cases[] = {
        { "[2/5] RUN make", "", "", "RUN make", 0, 2, 5, false },
        { "[build 2/5] RUN make", "", "build", "RUN make", 0, 2, 5, false },
        { "[linux/arm64 build 12/15] COPY a b", "linux/arm64", "build", "COPY a b", 0, 12, 15,
          false },
        { "[linux/arm64 2/5] RUN x] y", "linux/arm64", "", "RUN x] y", 0, 2, 5, false },
        { "[stage-1 3/6] ONBUILD COPY o /o", "", "stage-1", "COPY o /o", 0, 3, 6, true },
        { "[3/3] LINK COPY --link a /l", "", "", "COPY --link a /l", 0, 3, 3, false },
        { "[stage 1/2 2/3] RUN x", "", "stage", "RUN x", 1, 2, 3, false },
        { "[linux/amd64 stage 2/2 2/3] ENV a=b", "linux/amd64", "stage", "ENV a=b", 2, 2, 3,
          false },
    };
    struct strake_step_name got;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *platform, *stage, *text;
        if (!strake_step_name_parse(cases[i].name, &got))
            fail_msg("%s", cases[i].name);
        platform = text_of(got.platform), stage = text_of(got.stage), text = text_of(got.text);
        assert_string_equal(platform, cases[i].platform);
        assert_string_equal(stage, cases[i].stage);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(got.number, cases[i].number);
        assert_int_equal(got.index, cases[i].index);
        assert_int_equal(got.total, cases[i].total);
        assert_int_equal(got.onbuild, cases[i].onbuild);
        strake_free(platform);
        strake_free(stage);
        strake_free(text);
    }
}

static void other_names_are_none_of_steps(void **state)
{
    static const char *const names[] = {
        "",
        "[",
        "[]",
        "[] ",
        "[2/5]",
        "[2/5] ",
        "[2/5]RUN x",
        "[internal] load build context",
        "[linux/arm64 internal] load metadata for x",
        "[context folder] load from client",
        "[build 2/5] FROM x@" D1,
        "FROM x@" D1,
        "exporting to image",
        "[0/5] RUN x",
        "[2/0] RUN x",
        "[2/5x] RUN x",
        "[2/] RUN x",
        "[/5] RUN x",
        "[99999999999999999999/5] RUN x",
        "[a b 2/5] RUN x",
        "[a b c 2/5] RUN x",
        "[linux/arm64 a b c 2/5] RUN x",
        "[stage 1/2 linux/arm64 2/3] RUN x",
        "[  2/5] RUN x",
    };
    struct strake_step_name got;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strake_step_name_parse(names[i], &got))
            fail_msg("'%s'", names[i]);
    }
}

static void names_of_bases_are_read(void **state)
{
    struct strake_span ref, digest;
    struct strake_step_name name;

    (void)state;
    assert_true(strake_step_name_base("FROM h:5000/a:1@" D1, &name, &ref, &digest));
    assert_int_equal(ref.len, strlen("h:5000/a:1"));
    assert_string_equal(digest.at, D1);
    assert_int_equal(name.index, 0);
    assert_true(strake_step_name_base("[linux/arm64 b 1/2] FROM a@" D1, &name, &ref, &digest));
    assert_int_equal(name.index, 1);
    assert_int_equal(ref.len, 1);
    assert_false(strake_step_name_base("FROM a", NULL, &ref, &digest));
    assert_false(strake_step_name_base("FROM @" D1, NULL, &ref, &digest));
    assert_false(strake_step_name_base("FROM a@sha256:12", NULL, &ref, &digest));
    assert_false(strake_step_name_base("[internal] FROM a@" D1, NULL, &ref, &digest));
    assert_false(strake_step_name_base("[1/2] RUN a@" D1, NULL, &ref, &digest));
}

static void lists_of_files_are_read_and_others_refused(void **state)
{
    static const char *const bad[] = {
        "f 644 x a",      "x 644 x a\n",   "f 849 x a\n",    "f  x a\n",
        "f 644  a\n",     "f 644 x \n",    "f 644 x\n",      "\n",
        "f 644 x a\\x\n", "f 644 x\\ a\n", "f 644 x a\n@\n", "ff 644 x a\n",
        "f 77777 x a\n",  "@ a\\q\n",      "f 644 x a\\\n",
    };
    struct strake_explain_list list;

    (void)state;
    assert_int_equal(
        strake_explain_list_parse(
            strake_strdup("f 644 ab a\\sb\\nc\\\\\nl 0 to\\shere z\n@ na\\sme\nd 755 - "
                          "sub\n"),
            &list),
        0);
    assert_int_equal(list.context_count, 2);
    assert_int_equal(list.contexts[0].count, 2);
    assert_string_equal(list.contexts[0].files[0].path, "a b\nc\\");
    assert_int_equal(list.contexts[0].files[0].mode, 0644);
    assert_string_equal(list.contexts[0].files[1].content, "to here");
    assert_string_equal(list.contexts[1].name, "na me");
    assert_int_equal(list.contexts[1].files[0].kind, 'd');
    strake_explain_list_dispose(&list);
    assert_int_equal(strake_explain_list_parse(strake_strdup(""), &list), 0);
    assert_int_equal(list.contexts[0].count, 0);
    strake_explain_list_dispose(&list);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (strake_explain_list_parse(strake_strdup(bad[i]), &list) != STRAKE_ECORRUPT)
            fail_msg("'%s'", bad[i]);
    }
}

/* ---- two builds ---- */

struct made {
    const char *dockerfile; /* NULL: not on record */
    const char *files;      /* likewise */
    const char *data;
    const char *steps[10]; /* "C name" cached, "M name" missed, "E name" failed */
    const char *builder;
};

static char app[] = "app";

static int post(struct strake_record *record, const char *run, enum strake_event_type type,
                json_t *data, struct strake_err *err)
{
    struct strake_event event = { .type = type, .time_us = 1, .target = app, .data = data };
    int rc = data ? strake_record_event(record, run, &event, err) : strake_fail_nomem(err);

    json_decref(data);
    return rc;
}

static int put_steps(struct strake_record *record, const char *run, const struct made *made,
                     struct strake_err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < 10 && made->steps[i]; i++) {
        char id[16];
        const char kind = made->steps[i][0];
        snprintf(id, sizeof(id), "s%zu", i);
        rc = post(record, run, STRAKE_EVENT_STEP_DONE,
                  json_pack("{s:s,s:s,s:s,s:s,s:b,s:s*}", "step", id, "name", made->steps[i] + 2,
                            "started", "2026-01-01T00:00:00.000Z", "completed",
                            "2026-01-01T00:00:01.500Z", "cached", kind == 'C', "error",
                            kind == 'E' ? "boom" : NULL),
                  err);
    }
    return rc;
}

static int put_build(struct strake_record *record, const char *run, const struct made *made,
                     struct strake_err *err)
{
    static const char *const argv[] = { "strake", "build", NULL };
    struct strake_strings interrupted = { 0 };
    char dockerfile_id[STRAKE_DIGEST_TEXT], files_id[STRAKE_DIGEST_TEXT];
    const char *data = made->data ? made->data : "{}";
    json_t *json = strake_json_parse(data, strlen(data), "data", STRAKE_EINTERNAL, err);
    struct strake_materials materials = { .run = run, .target = app, .data = json };
    int rc = json ? strake_record_run_begin(record, run, "build", argv, "/p", &interrupted, err)
                  : err->code;

    if (rc == 0 && made->dockerfile) {
        strake_digest_of(made->dockerfile, strlen(made->dockerfile), dockerfile_id, err);
        materials.dockerfile = made->dockerfile;
        materials.dockerfile_id = dockerfile_id;
    }
    if (rc == 0 && made->files) {
        strake_digest_of(made->files, strlen(made->files), files_id, err);
        materials.files = made->files;
        materials.files_id = files_id;
    }
    if (rc == 0)
        rc = strake_record_materials(record, &materials, err);
    if (rc == 0)
        rc = put_steps(record, run, made, err);
    if (rc == 0)
        rc = post(
            record, run, STRAKE_EVENT_TARGET_DONE,
            json_pack("{s:s,s:s}", "name", "app", "builder", made->builder ? made->builder : "one"),
            err);
    if (rc == 0)
        rc = strake_record_run_end(record, run, "done", 0, NULL, err);
    strake_strings_dispose(&interrupted);
    json_decref(json);
    return rc;
}

/* "kind" of the causes in order, "-" for steps that were cached; the caller frees. */
static char *kinds_of(const json_t *doc)
{
    struct strake_buf text = { 0 };
    const json_t *step;
    size_t i;

    json_array_foreach(json_object_get(doc, "steps"), i, step) {
        const json_t *cause = json_object_get(step, "cause");
        strake_buf_printf(&text, "%s%s", i ? " " : "",
                          cause ? strake_json_str(cause, "kind") : "-");
    }
    strake_buf_puts(&text, "");
    return text.data ? strake_buf_take(&text) : strake_strdup("");
}

static json_t *explained(const char *dir, const struct made *then, const struct made *now)
{
    struct strake_record *record;
    struct strake_err err = { 0 };
    json_t *doc = NULL;
    char *folder = strake_asprintf("%s/%p", dir, (const void *)now);

    record = history_open(folder);
    if ((then && put_build(record, "r1", then, &err) < 0) ||
        put_build(record, "r2", now, &err) < 0 ||
        strake_explain(record, "/p", "app", &doc, &err) < 0)
        fail_msg("%s", strake_err_message(&err));
    history_close(record);
    strake_free(folder);
    return doc;
}

static const json_t *cause_at(const json_t *doc, size_t at)
{
    return json_object_get(json_array_get(json_object_get(doc, "steps"), at), "cause");
}

/* What one case changes, and what is told of its only missed step or all of them. */
struct change {
    const char *what;
    struct made then, now;
    const char *kinds;
    const char *was, *is, *name; /* of the first cause that is there; NULL: not looked at */
};

#define FROM "FROM b\n"
#define F "f 644 0123 "

static const struct change changes[] = {
    { "a variable of a COPY, whose name shows its value",
      { FROM "ARG V=1\nARG W=1\nCOPY a$V /\n",
        F "a1\n" F "a2\n",
        "{\"args\":{}}",
        { "M [2/2] COPY a1 /" },
        NULL },
      { FROM "ARG V=1\nARG W=1\nCOPY a$V /\n",
        F "a1\n" F "a2\n",
        "{\"args\":{\"V\":\"2\",\"W\":\"2\"}}",
        { "M [2/2] COPY a2 /" },
        NULL },
      "argument",
      "1",
      "2",
      "V" },
    { "an argument that the COPY does not use",
      { FROM "ARG V=1\nCOPY a /\n", F "a\n", "{\"args\":{}}", { "M [2/2] COPY a /" }, NULL },
      { FROM "ARG V=1\nCOPY a /\n",
        F "a\n",
        "{\"args\":{\"V\":\"2\"}}",
        { "M [2/2] COPY a /" },
        NULL },
      "unknown",
      NULL,
      NULL,
      NULL },
    { "an argument that an ENV stands in for",
      { FROM "ARG V=1\nENV V=3\nRUN x\n", "", "{\"args\":{}}", { "M [2/2] RUN x" }, NULL },
      { FROM "ARG V=1\nENV V=3\nRUN x\n",
        "",
        "{\"args\":{\"V\":\"2\"}}",
        { "M [2/2] RUN x" },
        NULL },
      "unknown",
      NULL,
      NULL,
      NULL },
    { "an argument that was not declared",
      { FROM "RUN x\n", "", "{\"args\":{}}", { "M [2/2] RUN x" }, NULL },
      { FROM "RUN x\n", "", "{\"args\":{\"V\":\"2\"}}", { "M [2/2] RUN x" }, NULL },
      "unknown",
      NULL,
      NULL,
      NULL },
    { "the default of a global argument",
      { "ARG V=1\n" FROM "ARG V\nRUN x\n", "", NULL, { "M [2/2] RUN x" }, NULL },
      { "ARG V=2\n" FROM "ARG V\nRUN x\n", "", NULL, { "M [2/2] RUN x" }, NULL },
      "instruction",
      NULL,
      NULL,
      NULL },
    { "an argument of the stage below",
      { FROM "FROM b AS c\nARG V=1\nFROM c\nRUN x\n",
        "",
        "{\"args\":{\"V\":\"a\"}}",
        { "M [stage-2 1/1] RUN x" },
        NULL },
      { FROM "FROM b AS c\nARG V=1\nFROM c\nRUN x\n",
        "",
        "{\"args\":{\"V\":\"b\"}}",
        { "M [stage-2 1/1] RUN x" },
        NULL },
      "argument",
      "a",
      "b",
      "V" },
    { "a value that looks like a secret",
      { FROM "ARG MY_TOKEN\nRUN x\n",
        "",
        "{\"args\":{\"MY_TOKEN\":\"a\"}}",
        { "M [2/2] RUN x" },
        NULL },
      { FROM "ARG MY_TOKEN\nRUN x\n",
        "",
        "{\"args\":{\"MY_TOKEN\":\"b\"}}",
        { "M [2/2] RUN x" },
        NULL },
      "argument",
      "",
      "",
      "MY_TOKEN" },
    { "an ENV that the COPY does not use",
      { FROM "ENV A=1\nCOPY a /\n", F "a\n", NULL, { "M [2/2] COPY a /" }, NULL },
      { FROM "ENV A=2\nCOPY a /\n", F "a\n", NULL, { "M [2/2] COPY a /" }, NULL },
      "unknown",
      NULL,
      NULL,
      NULL },
    { "SHELL does not reach the exec form",
      { FROM "SHELL [\"a\"]\nRUN [\"x\"]\n", "", NULL, { "M [2/2] RUN x" }, NULL },
      { FROM "SHELL [\"b\"]\nRUN [\"x\"]\n", "", NULL, { "M [2/2] RUN x" }, NULL },
      "unknown",
      NULL,
      NULL,
      NULL },
    { "an instruction was taken out",
      { FROM "RUN a\nRUN b\nRUN c\n",
        "",
        NULL,
        { "M [2/4] RUN a", "M [3/4] RUN b", "M [4/4] RUN c" },
        NULL },
      { FROM "RUN a\nRUN c\n", "", NULL, { "C [2/3] RUN a", "M [3/3] RUN c" }, NULL },
      "- instruction",
      "RUN b",
      "",
      NULL },
    { "a stage was put in before one without a name",
      { FROM "RUN a\nRUN b\n", "", NULL, { "M [2/3] RUN a", "M [3/3] RUN b" }, NULL },
      { "FROM b AS new\nRUN n\n" FROM "RUN a\nRUN c\n",
        "",
        NULL,
        { "M [new 2/2] RUN n", "C [stage-1 2/3] RUN a", "M [stage-1 3/3] RUN c" },
        NULL },
      "instruction - instruction",
      "",
      "RUN n",
      NULL },
    { "FROM names another image",
      { "FROM b:1\nRUN a\n", "", NULL, { "C [1/2] FROM b:1@" D1, "M [2/2] RUN a" }, NULL },
      { "FROM b:2\nRUN a\n", "", NULL, { "C [1/2] FROM b:2@" D2, "M [2/2] RUN a" }, NULL },
      "instruction",
      "FROM b:1",
      "FROM b:2",
      NULL },
    { "FROM names the same image by another tag",
      { "FROM b:1\nRUN a\n", "", NULL, { "C [1/2] FROM b:1@" D1, "M [2/2] RUN a" }, NULL },
      { "FROM b:2\nRUN a\n", "", NULL, { "C [1/2] FROM b:2@" D1, "M [2/2] RUN a" }, NULL },
      "unknown",
      NULL,
      NULL,
      NULL },
    { "a base that moved, one of two",
      { "FROM b AS x\nRUN a\nFROM c\nRUN a\n",
        "",
        NULL,
        { "C FROM docker.io/library/b:latest@" D1, "C FROM docker.io/library/c:latest@" D1,
          "M [x 2/2] RUN a", "M [stage-1 2/2] RUN a" },
        NULL },
      { "FROM b AS x\nRUN a\nFROM c\nRUN a\n",
        "",
        NULL,
        { "C FROM docker.io/library/b:latest@" D1, "C FROM docker.io/library/c:latest@" D2,
          "M [x 2/2] RUN a", "M [stage-1 2/2] RUN a" },
        NULL },
      "unknown base",
      NULL,
      NULL,
      NULL },
    { "the image that a COPY takes from",
      { FROM "COPY --from=c /x /\n",
        "",
        NULL,
        { "C [1/2] FROM docker.io/library/b:latest@" D1, "C FROM docker.io/library/c:latest@" D1,
          "M [2/2] COPY --from=c /x /" },
        NULL },
      { FROM "COPY --from=c /x /\n",
        "",
        NULL,
        { "C [1/2] FROM docker.io/library/b:latest@" D1, "C FROM docker.io/library/c:latest@" D2,
          "M [2/2] COPY --from=c /x /" },
        NULL },
      "base",
      NULL,
      NULL,
      "docker.io/library/c:latest" },
    { "files that the COPY excludes",
      { FROM "COPY --exclude=*.md d /\n",
        F "d/a.md\n" F "d/b\n",
        NULL,
        { "M [2/2] COPY --exclude=*.md d /" },
        NULL },
      { FROM "COPY --exclude=*.md d /\n",
        "f 644 4567 d/a.md\n" F "d/b\n",
        NULL,
        { "M [2/2] COPY --exclude=*.md d /" },
        NULL },
      "unknown",
      NULL,
      NULL,
      NULL },
    { "a pattern takes one level",
      { FROM "COPY d/*.c /\n", F "d/a.c\n" F "d/e/a.c\n", NULL, { "M [2/2] COPY d/*.c /" }, NULL },
      { FROM "COPY d/*.c /\n",
        F "d/a.c\nf 644 4567 d/e/a.c\n",
        NULL,
        { "M [2/2] COPY d/*.c /" },
        NULL },
      "unknown",
      NULL,
      NULL,
      NULL },
    { "a pattern takes folders whole",
      { FROM "COPY d* /\n", F "d/a\n", NULL, { "M [2/2] COPY d* /" }, NULL },
      { FROM "COPY d* /\n", F "d/a\n" F "d/b\n", NULL, { "M [2/2] COPY d* /" }, NULL },
      "files",
      NULL,
      NULL,
      NULL },
    { "a link in the way is followed",
      { FROM "COPY l/x /\n",
        "l 0 to/../real l\n" F "real/x\n",
        NULL,
        { "M [2/2] COPY l/x /" },
        NULL },
      { FROM "COPY l/x /\n",
        "l 0 to/../real l\nf 644 4567 real/x\n",
        NULL,
        { "M [2/2] COPY l/x /" },
        NULL },
      "files",
      NULL,
      NULL,
      NULL },
    { "links in a circle end",
      { FROM "COPY l /\n", "l 0 m l\nl 0 l m\n", NULL, { "M [2/2] COPY l /" }, NULL },
      { FROM "COPY l /\n", "l 0 m l\nl 0 ./l m\n", NULL, { "M [2/2] COPY l /" }, NULL },
      "files",
      NULL,
      NULL,
      NULL },
    { "a URL is not looked for in the context",
      { FROM "ADD https://h/x /\n", F "https:/h/x\n", NULL, { "M [2/2] ADD https://h/x /" }, NULL },
      { FROM "ADD https://h/x /\n",
        "f 644 4567 https:/h/x\n",
        NULL,
        { "M [2/2] ADD https://h/x /" },
        NULL },
      "unknown",
      NULL,
      NULL,
      NULL },
    { "ONBUILD of the base image",
      { FROM "RUN a\n", F "o\n", NULL, { "M [2/4] ONBUILD COPY o /", "M [3/4] RUN a" }, NULL },
      { FROM "RUN a\n",
        "f 644 4567 o\n",
        NULL,
        { "M [2/4] ONBUILD COPY o /", "M [3/4] RUN a" },
        NULL },
      "files parent",
      NULL,
      NULL,
      NULL },
    { "buildah counts every instruction",
      { FROM "ENV a=b\nRUN x\n", "", NULL, { "M [2/3] ENV a=b", "M [3/3] RUN x" }, NULL },
      { FROM "ENV a=b\nRUN y\n", "", NULL, { "C [2/3] ENV a=b", "M [3/3] RUN y" }, NULL },
      "- instruction",
      "RUN x",
      "RUN y",
      NULL },
    { "a step that failed",
      { FROM "RUN x\nRUN y\n", "", NULL, { "E [2/3] RUN x" }, NULL },
      { FROM "RUN x\nRUN y\n", "", NULL, { "M [2/3] RUN x", "M [3/3] RUN y" }, NULL },
      "cache-missing parent",
      NULL,
      NULL,
      NULL },
    { "a step that the run before did not come to",
      { FROM "RUN x\nRUN y\n", "", NULL, { "C [2/3] RUN x" }, NULL },
      { FROM "RUN x\nRUN y\n", "", NULL, { "C [2/3] RUN x", "M [3/3] RUN y" }, NULL },
      "- unknown",
      NULL,
      NULL,
      NULL },
    { "no cache for one stage",
      { "FROM b AS x\nRUN a\nFROM b AS y\nRUN a\n",
        "",
        NULL,
        { "M [x 2/2] RUN a", "M [y 2/2] RUN a" },
        NULL },
      { "FROM b AS x\nRUN a\nFROM b AS y\nRUN a\n",
        "",
        "{\"no_cache_stages\":[\"X\"]}",
        { "M [x 2/2] RUN a", "C [y 2/2] RUN a" },
        NULL },
      "cache-missing -",
      NULL,
      NULL,
      NULL },
    { "another builder",
      { FROM "RUN x\n", "", NULL, { "M [2/2] RUN x" }, "one" },
      { FROM "RUN x\n", "", NULL, { "M [2/2] RUN x" }, "two" },
      "cache-missing",
      NULL,
      NULL,
      NULL },
    { "an option of the target that reaches RUN",
      { FROM "COPY a /\nRUN x\n",
        "",
        "{\"options\":{}}",
        { "C [2/3] COPY a /", "M [3/3] RUN x" },
        NULL },
      { FROM "COPY a /\nRUN x\n",
        "",
        "{\"options\":{\"add_hosts\":{\"h\":\"1.2.3.4\"}}}",
        { "M [2/3] COPY a /", "M [3/3] RUN x" },
        NULL },
      "unknown parent",
      NULL,
      NULL,
      NULL },
    { "an option, alone",
      { FROM "RUN x\n", "", "{\"options\":{\"network\":\"none\"}}", { "M [2/2] RUN x" }, NULL },
      { FROM "RUN x\n", "", "{\"options\":{}}", { "M [2/2] RUN x" }, NULL },
      "argument",
      "none",
      "default",
      "network" },
    { "an option that does not reach RUN, and one that is not on record",
      { FROM "RUN x\n",
        "",
        "{\"options\":{\"source_date_epoch\":\"0\"}}",
        { "M [2/2] RUN x" },
        NULL },
      { FROM "RUN x\n", "", "{}", { "M [2/2] RUN x" }, NULL },
      "unknown",
      NULL,
      NULL,
      NULL },
    { "a cache that could not be imported",
      { FROM "RUN x\n", "", NULL, { "M [2/2] RUN x" }, NULL },
      { FROM "RUN x\n",
        "",
        NULL,
        { "E importing cache manifest from h/a:1", "E importing cache manifest from h/a:2",
          "M [2/2] RUN x" },
        NULL },
      "cache-missing",
      NULL,
      NULL,
      "h/a:1" },
    { "one of two caches could be imported",
      { FROM "RUN x\n", "", NULL, { "M [2/2] RUN x" }, NULL },
      { FROM "RUN x\n",
        "",
        NULL,
        { "E importing cache manifest from h/a:1", "M importing cache manifest from h/a:2",
          "M [2/2] RUN x" },
        NULL },
      "unknown",
      NULL,
      NULL,
      NULL },
    { "neither Dockerfile is on record",
      { NULL, NULL, NULL, { "C [1/2] FROM b@" D1, "M [2/2] RUN x" }, NULL },
      { NULL, NULL, NULL, { "C [1/2] FROM b@" D1, "M [2/2] RUN x" }, NULL },
      "unknown",
      NULL,
      NULL,
      NULL },
    { "a Dockerfile that nobody can read, and a base that moved",
      { "\"nonsense", "nonsense", NULL, { "C [1/2] FROM b@" D1, "M [2/2] RUN x" }, NULL },
      { "RUN x\n", "x", NULL, { "C [1/2] FROM b@" D2, "M [2/2] RUN x" }, NULL },
      "base",
      "b@" D1,
      "b@" D2,
      "b" },
    { "steps that are not those of the Dockerfile",
      { FROM "RUN x\n", "", NULL, { "M [2/9] COPY x /", "M [7/9] RUN x" }, NULL },
      { FROM "RUN x\n", "", NULL, { "M [2/9] COPY x /", "C [7/9] RUN x" }, NULL },
      "unknown -",
      NULL,
      NULL,
      NULL },
};

static void check_text(const char *what, const json_t *cause, const char *key, const char *want)
{
    const char *got = strake_json_str(cause, key);

    if (want && strcmp(got ? got : "", want) != 0)
        fail_msg("%s: %s is %s", what, key, got ? got : "not there");
}

static void causes_are_those_that_are_proved(void **state)
{
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        const struct change *change = &changes[i];
        json_t *doc = explained(*state, &change->then, &change->now);
        char *kinds = kinds_of(doc);
        const json_t *cause = NULL;
        if (strcmp(kinds, change->kinds) != 0)
            fail_msg("%s: %s", change->what, kinds);
        for (size_t k = 0; !cause && k < json_array_size(json_object_get(doc, "steps")); k++)
            cause = cause_at(doc, k);
        check_text(change->what, cause, "was", change->was);
        check_text(change->what, cause, "now", change->is);
        check_text(change->what, cause, "name", change->name);
        strake_free(kinds);
        json_decref(doc);
    }
}

static void totals_and_runs_are_told(void **state)
{
    static const struct made then = { FROM "RUN a\nRUN b\nRUN c\n",
                                      "",
                                      NULL,
                                      { "M [2/4] RUN a", "M [3/4] RUN b", "C [4/4] RUN c" },
                                      NULL };
    static const struct made now = { FROM "RUN a\nRUN B\nRUN c\n",
                                     "",
                                     NULL,
                                     { "C [internal] load build context", "C [2/4] RUN a",
                                       "M [3/4] RUN B", "M [4/4] RUN c", "M exporting to image" },
                                     NULL };
    json_t *doc = explained(*state, &then, &now);
    const json_t *step = json_array_get(json_object_get(doc, "steps"), 1);

    assert_string_equal(strake_json_str(doc, "schema"), "strake.explain/1");
    assert_string_equal(strake_json_str(doc, "run"), "r2");
    assert_string_equal(strake_json_str(doc, "compared_with"), "r1");
    assert_int_equal(strake_json_int(doc, "cached", -1), 1);
    assert_int_equal(strake_json_int(doc, "missed", -1), 2);
    assert_int_equal(strake_json_int(doc, "missed_ms", -1), 3000);
    assert_int_equal(strake_json_int(doc, "last_ms", -1), 1500);
    assert_string_equal(strake_json_str(doc, "first_missed"), "[3/4] RUN B");
    assert_int_equal(strake_json_int(step, "line", -1), 3);
    json_decref(doc);
}

static void a_build_of_another_platform_or_folder_is_not_compared_with(void **state)
{
    static const struct made builds[] = {
        { FROM "RUN a\n", "", NULL, { "M [linux/amd64 2/2] RUN a" }, NULL },
        { FROM "RUN b\n", "", NULL, { "M [linux/arm64 2/2] RUN b" }, NULL },
        { FROM "RUN c\n", "", NULL, { "M [linux/amd64 2/2] RUN c" }, NULL },
        { FROM "RUN d\n", "", NULL, { "M [internal] load build definition" }, NULL },
    };
    static const struct made elsewhere[] = {
        { FROM "RUN e\n", "", "{\"context\":\"/p/e\"}", { "M [linux/arm64 2/2] RUN e" }, NULL },
        { FROM "RUN f\n", "", "{\"context\":\"/p/f\"}", { "M [linux/arm64 2/2] RUN f" }, NULL },
    };
    struct strake_record *record = history_open(*state);
    struct strake_err err = { 0 };
    json_t *doc = NULL;
    char run[4];

    for (int i = 0; i < 4; i++) {
        snprintf(run, sizeof(run), "r%d", i);
        assert_int_equal(put_build(record, run, &builds[i], &err), 0);
    }
    assert_int_equal(strake_explain(record, "/p", "app", &doc, &err), 0);
    assert_string_equal(strake_json_str(doc, "run"), "r2");
    assert_string_equal(strake_json_str(doc, "compared_with"), "r0");
    assert_string_equal(strake_json_str(cause_at(doc, 0), "was"), "RUN a");
    json_decref(doc);
    assert_int_equal(put_build(record, "r4", &elsewhere[0], &err), 0);
    assert_int_equal(put_build(record, "r5", &elsewhere[1], &err), 0);
    assert_int_equal(strake_explain(record, "/p", "app", &doc, &err), 0);
    assert_string_equal(strake_json_str(doc, "run"), "r5");
    assert_string_equal(strake_json_str(doc, "compared_with"), "r1"); /* it does not say where */
    json_decref(doc);
    assert_int_equal(strake_explain(record, "/p", "other", &doc, &err), STRAKE_EUSAGE);
    strake_err_dispose(&err);
    history_close(record);
}

/* ---- without memory ---- */

static int explain_again(void *ctx)
{
    struct strake_record *record = ctx;
    struct strake_err err = { 0 };
    json_t *doc = NULL;
    int rc = strake_explain(record, "/p", "app", &doc, &err);

    if (rc == 0)
        assert_int_equal(json_array_size(json_object_get(doc, "steps")), 5);
    else
        assert_int_equal(err.code, rc);
    json_decref(doc);
    strake_err_dispose(&err);
    return rc;
}

static void explaining_survives_failing_allocations(void **state)
{
    static const struct made then = {
        FROM "ARG V=1\nRUN a\nCOPY a* l --from=x /\nFROM b AS m\nRUN --mount=type=bind,source=d "
             "x\nCOPY --exclude=z $V /\nRUN y\n",
        F "1\nl 0 d l\n" F "d/x\n",
        "{\"args\":{\"V\":\"1\"}}",
        { "C FROM b@" D1, "M [stage-0 2/2] RUN a", "M [m 2/4] RUN --mount=type=bind,source=d x",
          "M [m 3/4] COPY --exclude=z 1 /", "M [m 4/4] RUN y" },
        NULL
    };
    static const struct made now = {
        FROM "ARG V=1\nRUN a\nCOPY a* l --from=x /\nFROM b AS m\nRUN --mount=type=bind,source=d "
             "x\nCOPY --exclude=z $V /\nRUN y z\n",
        "f 644 99 1\nl 0 d l\nf 644 99 d/x\n",
        "{\"args\":{\"V\":\"2\"}}",
        { "C FROM b@" D1, "M [stage-0 2/3] RUN a", "M [stage-0 3/3] COPY a* l --from=x /",
          "M [m 2/4] RUN --mount=type=bind,source=d x", "C [m 3/4] COPY --exclude=z 1 /",
          "M [m 4/4] RUN y z" },
        NULL
    };
    struct strake_record *record = history_open(*state);
    struct strake_err err = { 0 };

    assert_int_equal(put_build(record, "r1", &then, &err), 0);
    assert_int_equal(put_build(record, "r2", &now, &err), 0);
    torture(explain_again, record);
    history_close(record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_steps_are_read),
        cmocka_unit_test(other_names_are_none_of_steps),
        cmocka_unit_test(names_of_bases_are_read),
        cmocka_unit_test(lists_of_files_are_read_and_others_refused),
        cmocka_unit_test_setup_teardown(causes_are_those_that_are_proved, folder_make,
                                        folder_remove),
        cmocka_unit_test_setup_teardown(totals_and_runs_are_told, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(a_build_of_another_platform_or_folder_is_not_compared_with,
                                        folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(explaining_survives_failing_allocations, folder_make,
                                        folder_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
