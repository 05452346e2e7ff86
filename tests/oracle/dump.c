/* Answers the questions of test_dockerfile_oracle.py by Strake's own code, one JSON line each, so
 * that they can be compared with the answers of BuildKit's code (tests/oracle/dockerfile).
 *
 * A question on stdin is "KIND LENGTH\n" and LENGTH bytes; their parts are separated by NULs:
 *   D dockerfile                        what the parser sees
 *   I dockerignore, path…               which paths are ignored
 *   W escape, word, NAME=VALUE…         a word, expanded
 *   C context, dockerfile               the context's digest; only here, see the test */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dockerfile/context.h"
#include "dockerfile/dockerfile.h"
#include "dockerfile/expand.h"
#include "util/json.h"

#define QUESTION_MAX ((size_t)8 * 1024 * 1024)

static json_t *error_json(const struct strake_err *err)
{
    json_t *object = json_object();
    strake_json_set_str(object, "error", strake_err_message(err));
    strake_json_set_int(object, "line", err->line);
    return object;
}

static json_t *answer_dockerfile(const char *data, size_t len)
{
    struct strake_dockerfile dockerfile;
    struct strake_err err = { 0 };
    json_t *answer;
    if (strake_dockerfile_parse(data, len, "Dockerfile", &dockerfile, &err) == 0)
        answer = strake_dockerfile_json(&dockerfile, "Dockerfile");
    else
        answer = error_json(&err);
    strake_dockerfile_dispose(&dockerfile);
    strake_err_dispose(&err);
    return answer;
}

/* The part behind the NUL that ends `part`, or NULL. */
static const char *next_part(const char *part, const char *end)
{
    part += strlen(part) + 1;
    return part <= end ? part : NULL;
}

static json_t *answer_ignore(const char *data, const char *end)
{
    struct strake_ignore *ignore = NULL;
    struct strake_err err = { 0 };
    if (strake_ignore_parse(data, strlen(data), &ignore, &err) < 0) {
        json_t *answer = error_json(&err);
        strake_err_dispose(&err);
        return answer;
    }
    json_t *list = json_array();
    for (const char *path = next_part(data, end); path != NULL; path = next_part(path, end))
        json_array_append_new(list, json_boolean(strake_ignore_matches(ignore, path)));
    strake_ignore_free(ignore);
    return json_pack("{s:o}", "ignored", list);
}

static const char *get_pair(void *ctx, const char *name)
{
    return strake_pairs_get(ctx, name);
}

static json_t *answer_word(const char *data, const char *end)
{
    const char *word = next_part(data, end);
    struct strake_pairs values = { 0 };
    struct strake_buf out = { 0 };
    struct strake_err err = { 0 };
    const struct strake_shell shell = { .escape = data[0], .get = get_pair, .ctx = &values };

    for (const char *pair = next_part(word, end); pair != NULL; pair = next_part(pair, end)) {
        char *name = strndup(pair, strcspn(pair, "="));
        strake_pairs_set(&values, name, strchr(pair, '=') + 1);
        free(name);
    }
    json_t *answer;
    if (strake_shell_word(&shell, (struct strake_span){ word, strlen(word) }, &out, &err) == 0) {
        answer = json_object();
        strake_json_set_strn(answer, "word", strake_buf_text(&out), out.len);
    } else {
        answer = error_json(&err);
    }
    strake_pairs_dispose(&values);
    strake_buf_dispose(&out);
    strake_err_dispose(&err);
    return answer;
}

static json_t *answer_context(const char *data, const char *end)
{
    const char *dockerfile = next_part(data, end);
    char digest[STRAKE_DIGEST_TEXT];
    struct strake_err err = { 0 };
    json_t *answer = json_object();
    if (strake_context_digest(NULL, data, dockerfile, digest, &err) == 0) {
        strake_json_set_str(answer, "digest", digest);
        return answer;
    }
    json_decref(answer);
    answer = error_json(&err);
    strake_err_dispose(&err);
    return answer;
}

static json_t *answer_to(char kind, const char *data, size_t len)
{
    switch (kind) {
    case 'D':
        return answer_dockerfile(data, len);
    case 'I':
        return answer_ignore(data, data + len);
    case 'W':
        return answer_word(data, data + len);
    case 'C':
        return answer_context(data, data + len);
    default:
        return NULL;
    }
}

int main(void)
{
    char kind;
    size_t len;
    while (scanf(" %c %zu", &kind, &len) == 2 && len <= QUESTION_MAX && getchar() == '\n') {
        char *data = malloc(len + 1);
        if (data == NULL || fread(data, 1, len, stdin) != len)
            return 1;
        data[len] = '\0';
        json_t *answer = answer_to(kind, data, len);
        if (answer == NULL || json_dumpf(answer, stdout, JSON_COMPACT) < 0)
            return 1;
        putchar('\n');
        json_decref(answer);
        free(data);
    }
    return feof(stdin) ? 0 : 1;
}
