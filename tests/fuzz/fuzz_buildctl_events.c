/* Any bytes as the events of a build, cut into lines as the plugin cuts them: nothing but whole
 * records comes out, and no line is worth more than its bytes. */
#include <stdlib.h>
#include <string.h>

#include "common/buildkit_classify.h"
#include "common/buildkit_events.h"
#include "common/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void on_step(void *ctx, const struct strake_step *step)
{
    (void)ctx;
    check(step->id != NULL && step->name != NULL && step->inputs != NULL);
    check(step->started_us >= 0 && step->completed_us >= 0);
    size_t inputs = 0;
    while (step->inputs[inputs] != NULL)
        inputs++;
    check(inputs <= 256);
}

static void on_progress(void *ctx, const struct strake_step_progress *progress)
{
    (void)ctx;
    check(progress->step != NULL && progress->name != NULL);
    check(progress->current_bytes >= 0 && progress->total_bytes >= 0);
}

static void on_log(void *ctx, const char *step, int stream, const char *data, size_t len)
{
    const size_t *size = ctx;
    check(step != NULL && data != NULL && (stream == 1 || stream == 2));
    check(len <= *size);
}

static void on_warning(void *ctx, const struct strake_step_warning *warning)
{
    const size_t *size = ctx;
    check(warning->text != NULL && strlen(warning->text) <= *size && warning->line >= 0);
}

static const struct buildkit_client client = { .name = "buildctl" };
static const struct buildkit_events_sink sink = { on_step, on_progress, on_log, on_warning };

static int on_line(void *ctx, char *line, size_t len)
{
    return buildkit_events_line(ctx, line, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buildkit_events events = {
        .sink = &sink, .ctx = &size, .dockerfile = "Dockerfile", .shown_as = "/src/Dockerfile"
    };
    struct plug_lines lines = { .max = 4096, .line = on_line, .ctx = &events };
    size_t half = size / 2;
    check(plug_lines_feed(&lines, (const char *)data, half) == 0);
    check(plug_lines_feed(&lines, (const char *)data + half, size - half) == 0);
    check(plug_lines_finish(&lines) == 0);

    /* The same bytes as last words. */
    char *words = malloc(size + 1);
    if (words != NULL) {
        struct plug_failure failure;
        memcpy(words, data, size);
        words[size] = '\0';
        buildkit_classify(words, size, plug_text_view(&events.failed), &client, &failure);
        check(failure.code < 0 && failure.message[0] != '\0' && failure.line >= 0);
        check(failure.detail >= words && failure.detail + failure.detail_len == words + size);
        free(words);
    }
    buildkit_events_dispose(&events);
    return 0;
}
