/* Any bytes as what buildx says: of a builder, of what it keeps, and as its last words. */
#include <stdlib.h>
#include <string.h>

#include "buildx/buildx.h"
#include "common/buildkit_classify.h"
#include "common/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* A buffer that only counts. */
struct strake_buf {
    size_t len;
};

static int append(struct strake_buf *buf, const void *data, size_t len)
{
    check(data != NULL);
    buf->len += len;
    return 0;
}

static const struct strake_host host = { .size = sizeof(host), .buf_append = append };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';

    struct buildx_inspected found;
    buildx_inspect_parse(text, &found);
    check(strlen(found.platforms) < sizeof(found.platforms));
    check(strlen(found.error) < sizeof(found.error));

    struct plug_failure failure;
    buildkit_classify(text, size, "", &buildx_client, &failure);
    check(failure.code < 0 && failure.message[0] != '\0' && failure.line >= 0);

    char when[64];
    check(buildx_size_parse(text) >= -1);
    if (buildx_time_parse(text, when, sizeof(when)))
        check(strlen(when) >= strlen("2026-11-25T23:10:20+00:00"));

    struct strake_buf out = { 0 };
    struct buildx_records records = { .host = &host, .out = &out };
    struct plug_lines lines = { .max = 4096, .line = buildx_records_line, .ctx = &records };
    check(plug_lines_feed(&lines, text, size) == 0);
    check(plug_lines_finish(&lines) == 0);
    check(buildx_records_finish(&records) == 0);
    check(out.len >= 2);
    free(text);
    return 0;
}
