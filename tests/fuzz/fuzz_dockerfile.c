/* Any bytes as a Dockerfile: answered, and what is accepted has a document, stages and bases. */
#include <stdlib.h>
#include <string.h>

#include "dockerfile/dockerfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_lines(const struct strake_dockerfile *dockerfile)
{
    int line = 0;
    for (size_t i = 0; i < dockerfile->count; i++) {
        const struct strake_instruction *instruction = &dockerfile->instructions[i];
        check(instruction->line > line && instruction->end_line >= instruction->line);
        check(instruction->stage < (int)dockerfile->stage_count);
        line = instruction->end_line;
    }
}

static void check_bases(const struct strake_dockerfile *dockerfile)
{
    struct strake_pairs args = { 0 };
    for (size_t i = 0; i < dockerfile->stage_count; i++) {
        struct strake_strings bases = { 0 };
        struct strake_floating floating;
        struct strake_err err = { 0 };
        int rc = strake_dockerfile_bases(dockerfile, (int)i, &args, &bases, &floating, &err);
        check(floating.line == 0 || floating.what != NULL);
        check(rc == 0 || (rc == STRAKE_EDOCKERFILE && err.message != NULL));
        strake_strings_dispose(&bases);
        strake_err_dispose(&err);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strake_dockerfile dockerfile;
    struct strake_err err = { 0 };
    int line;
    int rc = strake_dockerfile_parse((const char *)data, size, "Dockerfile", &dockerfile, &err);
    if (rc == 0) {
        check(dockerfile.count > 0);
        check_lines(&dockerfile);
        check_bases(&dockerfile);
        strake_dockerfile_needs(&dockerfile, ~0u, &line);
        json_t *document = strake_dockerfile_json(&dockerfile, "Dockerfile");
        check(document != NULL);
        json_decref(document);
    } else {
        check(rc == STRAKE_EDOCKERFILE && err.message != NULL && err.file != NULL);
    }
    strake_dockerfile_dispose(&dockerfile);
    strake_err_dispose(&err);
    return 0;
}
