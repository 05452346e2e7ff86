/* Any bytes as what buildah writes: as lines of steps, as its last words, and as the Dockerfile in
 * which the failed instruction is looked for. */
#include <stdlib.h>
#include <string.h>

#include "buildah/classify.h"
#include "buildah/steps.h"
#include "common/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void on_step(void *ctx, const struct strake_step *step)
{
    size_t *open = ctx;
    check(step->id[0] != '\0' && step->name != NULL && step->started_us > 0);
    /* Steps begin and end in turn. */
    check(*open == (step->completed_us != 0));
    *open = step->completed_us == 0;
}

static void on_log(void *ctx, const char *step, int stream, const char *data, size_t len)
{
    const size_t *open = ctx;
    check(*open == 1 && step[0] != '\0' && stream == 1 && data != NULL && len > 0);
}

static const struct buildah_steps_sink sink = { on_step, on_log };

static int on_line(void *ctx, char *line, size_t len)
{
    return buildah_steps_line(ctx, line, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t open = 0;
    struct buildah_steps steps = { .sink = &sink, .ctx = &open, .label = "" };
    struct plug_lines lines = { .max = 4096, .line = on_line, .ctx = &steps };
    check(plug_lines_feed(&lines, (const char *)data, size) == 0);
    check(plug_lines_finish(&lines) == 0);
    buildah_steps_end(&steps, "it failed");
    check(open == 0);
    buildah_steps_dispose(&steps);

    char *words = malloc(size + 1);
    if (words == NULL)
        return 0;
    memcpy(words, data, size);
    words[size] = '\0';
    struct plug_failure failure;
    buildah_classify(words, size, &failure);
    check(failure.code < 0 && failure.message[0] != '\0');
    check(failure.detail >= words && failure.detail + failure.detail_len == words + size);
    int found = buildah_instruction_line(words, failure.instruction);
    int count = 1;
    for (const char *at = words; *at != '\0'; at++)
        count += *at == '\n';
    check(found >= 0 && found <= count);
    free(words);
    return 0;
}
