/* Any bytes as three layers of an image: they are refused, or the sums of what they hold agree. */
#include <stdlib.h>
#include <string.h>

#include "build/layers.h"
#include "util/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
    const uint8_t *data;
    size_t size;
};

static void check(bool holds)
{
    if (!holds)
        abort();
}

static ssize_t give(void *ctx, const void **data, struct strake_err *err)
{
    struct bytes *bytes = ctx;
    size_t size = bytes->size;

    (void)err;
    *data = bytes->data;
    bytes->size = 0;
    return (ssize_t)size;
}

static bool wants(const char *path)
{
    return strlen(path) == 1;
}

/* The layers' sums are those of the whole, and what a container sees is what is left. */
static void check_sums(struct strake_tree *tree)
{
    struct strake_tree_totals totals;
    int64_t unpacked = 0, wasted = 0, reclaimable = 0;

    strake_tree_finish(tree, &totals);
    for (size_t i = 0; i < strake_tree_layers(tree); i++) {
        const struct strake_tree_layer *layer = strake_tree_layer(tree, i);
        unpacked += layer->unpacked_bytes;
        wasted += layer->wasted_bytes;
        reclaimable += layer->reclaimable_bytes;
    }
    check(wasted == totals.wasted_bytes && reclaimable == totals.reclaimable_bytes);
    check(unpacked == totals.final_bytes + totals.reclaimable_bytes);
    check(totals.efficiency >= 0 && totals.efficiency <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strake_job *job = strake_job_new(NULL, NULL, NULL);
    struct strake_kept_files kept = { .wants = wants };
    struct strake_layer_reading reading = { .tree = strake_tree_new(true),
                                            .kept = &kept,
                                            .contents = size % 2 == 0 };
    struct strake_err err = { 0 };
    int rc = 0;

    check(job && reading.tree);
    for (size_t i = 0; rc == 0 && i < 3; i++) {
        size_t third = size / 3 / 512 * 512;
        struct bytes bytes = { data + i * third, i == 2 ? size - 2 * third : third };
        rc = strake_layer_take(&reading, &(struct strake_layer_place){ 0 }, give, &bytes,
                               "the layer", job, &err);
    }
    check(rc == 0 || (err.code == rc && err.message != NULL));
    if (rc == 0)
        check_sums(reading.tree);
    strake_err_dispose(&err);
    strake_tree_free(reading.tree);
    strake_kept_files_dispose(&kept);
    strake_job_free(job);
    return 0;
}
