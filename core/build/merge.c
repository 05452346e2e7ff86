/* One image out of what several builders staged (facts of BuildKit: attestations, annotations and
 * media types of each part are kept). */
#include <string.h>

#include "build/run_impl.h"
#include "image/manifest.h"

/* A part as it lies in the registry. */
struct part_bytes {
    struct strake_buf text;
    struct strake_descriptor descriptor;
};

static int read_parts(struct strake_building *b, const struct strake_place_in_store *place,
                      struct part_bytes *bytes, struct strake_index_part *parts,
                      struct strake_err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < b->count; i++) {
        const struct strake_built *built = &b->built[i];
        parts[i] = (struct strake_index_part){
            .data = strake_buf_text(&built->manifest),
            .len = built->manifest.len,
            .media_type = built->media_type,
            .digest = built->result.digest,
            .platform = built->platforms.count ? built->platforms.items[0]->name : "",
        };
        if (built->manifest.len)
            continue; /* it was looked at when it was made */
        bytes[i].text.max = STRAKE_MANIFEST_MAX;
        bytes[i].descriptor.size = sizeof(bytes[i].descriptor);
        rc = strake_registry_manifest_get(place->instance, b->job, place->repository,
                                          built->result.digest, &bytes[i].text,
                                          &bytes[i].descriptor, err);
        parts[i].data = strake_buf_text(&bytes[i].text);
        parts[i].len = bytes[i].text.len;
        parts[i].media_type = bytes[i].descriptor.media_type;
    }
    if (rc < 0)
        strake_err_prefix(err, "joining the parts of target %s: ", b->target->name);
    return rc;
}

static int put_index(struct strake_building *b, const struct strake_place_in_store *place,
                     const struct strake_index_part *parts, struct strake_target_result *result,
                     struct strake_err *err)
{
    struct strake_buf index = STRAKE_BUF(STRAKE_MANIFEST_MAX);
    const char *media_type = "";
    int rc = strake_index_merge(parts, b->count, &index, &media_type, err);

    if (rc == 0)
        rc = strake_digest_of(strake_buf_text(&index), index.len, result->digest, err);
    if (rc == 0)
        rc =
            strake_registry_manifest_put(place->instance, b->job, place->repository, result->digest,
                                         media_type, strake_buf_text(&index), index.len, err);
    if (rc == 0) {
        strake_free(result->media_type);
        result->media_type = strake_strdup(media_type);
        if (!result->media_type)
            rc = strake_fail_nomem(err);
    }
    strake_buf_dispose(&index);
    return rc;
}

/* Parts in the order of the target's platforms: whichever builder was faster, the index is the
 * same. */
static size_t rank(const struct strake_building *b, const struct strake_built *built)
{
    const struct strake_strings *order = &b->target->platforms;

    for (size_t i = 0; i < order->count; i++) {
        if (strake_pairs_get(&built->platforms, order->items[i]))
            return i;
    }
    return order->count;
}

static void sort_parts(struct strake_building *b)
{
    for (size_t i = 1; i < b->count; i++) {
        struct strake_built moved = b->built[i];
        size_t at = i;
        for (; at > 0 && rank(b, &b->built[at - 1]) > rank(b, &moved); at--)
            b->built[at] = b->built[at - 1];
        b->built[at] = moved;
    }
}

static int join(struct strake_building *b, struct strake_target_result *result,
                struct strake_err *err)
{
    struct part_bytes *bytes = strake_calloc(b->count, sizeof(*bytes));
    struct strake_index_part *parts = strake_calloc(b->count, sizeof(*parts));
    struct strake_place_in_store place = { 0 };
    int rc = bytes && parts ? strake_stores_find(b->run->stores, &b->image, &place, err)
                            : strake_fail_nomem(err);

    if (rc == 0)
        rc = read_parts(b, &place, bytes, parts, err);
    if (rc == 0)
        rc = put_index(b, &place, parts, result, err);
    for (size_t i = 0; bytes && i < b->count; i++)
        strake_buf_dispose(&bytes[i].text);
    strake_place_in_store_dispose(&place);
    strake_free(bytes);
    strake_free(parts);
    return rc;
}

static int take_single(struct strake_building *b, struct strake_target_result *result,
                       struct strake_err *err)
{
    memcpy(result->digest, b->built[0].result.digest, sizeof(result->digest) - 1);
    strake_free(result->media_type);
    result->media_type = strake_strdup(b->built[0].media_type ? b->built[0].media_type : "");
    return result->media_type ? 0 : strake_fail_nomem(err);
}

int strake_build_merge(struct strake_building *b, struct strake_target_result *result,
                       struct strake_err *err)
{
    int rc = 0;

    sort_parts(b);
    for (size_t i = 0; rc == 0 && i < b->count; i++) {
        const struct strake_pairs *platforms = &b->built[i].platforms;
        for (size_t k = 0; rc == 0 && k < platforms->count; k++)
            rc = strake_pairs_set(&result->platforms, platforms->items[k]->name,
                                  platforms->items[k]->value);
    }
    if (rc < 0)
        return strake_fail_nomem(err);
    return b->count == 1 ? take_single(b, result, err) : join(b, result, err);
}
