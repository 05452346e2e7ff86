/* Two builds of any bytes: a Dockerfile each, names of steps, lists of files, which NULs keep apart.
 * Each step gets a cause, and what is read of a name lies within it. */
#include <stdlib.h>
#include <string.h>

#include "build/explain_impl.h"
#include "util/json.h"
#include "util/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* The next part, up to a NUL or the end; the caller frees. */
static char *next_part(const uint8_t **data, size_t *size)
{
    const uint8_t *nul = *size > 0 ? memchr(*data, '\0', *size) : NULL;
    size_t len = nul != NULL ? (size_t)(nul - *data) : *size;
    char *part = strake_strndup(len > 0 ? (const char *)*data : "", len);

    check(part != NULL);
    *data += len + (nul != NULL);
    *size -= len + (nul != NULL);
    return part;
}

static void check_name(const char *name)
{
    struct strake_step_name got;
    struct strake_span ref, digest;
    const char *end = name + strlen(name);

    if (strake_step_name_parse(name, &got)) {
        check(got.text.len > 0 && got.text.at + got.text.len == end && got.index > 0);
        check(got.stage.len == 0 || (got.stage.at > name && got.stage.at < got.text.at));
        check(!strake_step_name_base(name, NULL, &ref, &digest));
    } else if (strake_step_name_base(name, &got, &ref, &digest)) {
        check(ref.len > 0 && digest.at + digest.len == end);
    }
}

/* A line each: a name, led by C when the step was cached. */
static json_t *read_steps(char *lines)
{
    json_t *build = json_object(), *steps = json_array();

    for (char *line = lines; *line != '\0';) {
        const size_t len = strcspn(line, "\n");
        const bool more = line[len] == '\n';
        json_t *step = json_object();
        line[len] = '\0';
        check_name(line + (*line == 'C'));
        strake_json_set_str(step, "name", line + (*line == 'C'));
        strake_json_set_bool(step, "cached", *line == 'C');
        strake_json_set_str(step, "started", "2026-01-01T00:00:00Z");
        strake_json_set_str(step, "completed", "2026-01-01T00:00:01Z");
        json_array_append_new(steps, step);
        line += len + more;
    }
    json_object_set_new(build, "steps", steps);
    return build;
}

struct one {
    struct strake_explain_build build;
    json_t *json;
};

static void make(struct one *one, const uint8_t **data, size_t *size)
{
    char *dockerfile = next_part(data, size), *steps = next_part(data, size);
    struct strake_err err = { 0 };

    one->json = read_steps(steps);
    one->build = (struct strake_explain_build){ .json = one->json };
    if (strake_dockerfile_parse(dockerfile, strlen(dockerfile), "Dockerfile",
                                &one->build.dockerfile, &err) == 0)
        one->build.parsed = one->build.dockerfile.stage_count > 0;
    strake_err_dispose(&err);
    one->build.has_files = strake_explain_list_parse(next_part(data, size), &one->build.files) == 0;
    check(strake_explain_steps(&one->build, &err) == 0);
    strake_free(dockerfile);
    strake_free(steps);
}

static void dispose(struct one *one)
{
    strake_dockerfile_dispose(&one->build.dockerfile);
    strake_explain_list_dispose(&one->build.files);
    strake_free(one->build.steps);
    strake_free(one->build.bases);
    json_decref(one->json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct one now, then;

    make(&now, &data, &size);
    make(&then, &data, &size);
    for (size_t i = 0; i < now.build.count && i < 50; i++) {
        struct strake_explain_cause cause = { 0 };
        check(strake_explain_cause(&now.build, &now.build.steps[i], &then.build, &cause) == 0);
        check(cause.kind != NULL && cause.detail != NULL);
        strake_explain_cause_dispose(&cause);
    }
    dispose(&now);
    dispose(&then);
    return 0;
}
