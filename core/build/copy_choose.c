/* Which part of an image is copied: all of it, one platform's manifest, an index of some platforms. */
#include <string.h>

#include "build/copy.h"
#include "image/manifest.h"
#include "util/json.h"

struct choice {
    const char *const *platforms;
    const char *object;
    struct strake_buf *bytes;
    char **media_type;
    char *digest;
    struct strake_err *err;
};

static int get(const struct strake_place_in_store *from, struct strake_job *job, const char *object,
               struct choice *choice, struct strake_manifest *manifest)
{
    struct strake_descriptor found = { .size = sizeof(found) };
    int rc = strake_registry_manifest_get(from->instance, job, from->repository, object,
                                          choice->bytes, &found, choice->err);

    if (rc == 0)
        rc = strake_manifest_parse(strake_buf_text(choice->bytes), choice->bytes->len,
                                   found.media_type, object, manifest, choice->err);
    if (rc < 0)
        return rc;
    memcpy(choice->digest, found.digest, STRAKE_DIGEST_TEXT - 1);
    choice->digest[STRAKE_DIGEST_TEXT - 1] = '\0';
    strake_free(*choice->media_type);
    *choice->media_type = strake_strdup(manifest->media_type);
    return *choice->media_type ? 0 : strake_fail_nomem(choice->err);
}

static bool is_chosen(const struct choice *choice, const char *platform)
{
    for (size_t i = 0; choice->platforms[i]; i++) {
        if (strcmp(choice->platforms[i], platform) == 0)
            return true;
    }
    return false;
}

/* Of the first entry that has it. */
static const struct strake_content *entry_of(const struct strake_manifest *index,
                                             const char *platform)
{
    for (size_t i = 0; i < index->count; i++) {
        if (!index->items[i].attestation && strcmp(index->items[i].platform, platform) == 0)
            return &index->items[i];
    }
    return NULL;
}

static int check_platforms(const struct choice *choice, const struct strake_manifest *index)
{
    for (size_t i = 0; choice->platforms[i]; i++) {
        if (entry_of(index, choice->platforms[i]))
            continue;
        strake_fail(choice->err, STRAKE_ENOTFOUND, "%s has no image for %s", choice->object,
                    choice->platforms[i]);
        strake_err_hint(choice->err, "`strake image show` lists its platforms");
        return STRAKE_ENOTFOUND;
    }
    return 0;
}

/* What an attestation is about goes along with it. */
static bool is_kept(const struct choice *choice, const struct strake_manifest *index,
                    const struct strake_content *entry)
{
    const char *about = strake_json_str(entry->annotations, "vnd.docker.reference.digest");

    if (!entry->attestation)
        return is_chosen(choice, entry->platform);
    for (size_t i = 0; about && i < index->count; i++) {
        if (strcmp(index->items[i].digest, about) == 0)
            return !index->items[i].attestation && is_chosen(choice, index->items[i].platform);
    }
    return false;
}

/* Entries that are not chosen are left out, all else stays as it was written. */
static int cut(const struct choice *choice, const struct strake_manifest *index)
{
    json_t *root = json_loadb(strake_buf_text(choice->bytes), choice->bytes->len, 0, NULL);
    json_t *entries = json_object_get(root, "manifests");
    size_t left_out = 0;
    int rc = json_array_size(entries) == index->count ? 0 : strake_fail_nomem(choice->err);

    for (size_t i = index->count; rc == 0 && i-- > 0;) {
        if (!is_kept(choice, index, &index->items[i])) {
            json_array_remove(entries, i);
            left_out++;
        }
    }
    if (rc == 0 && left_out) {
        strake_buf_clear(choice->bytes);
        rc = strake_json_dump(root, choice->bytes);
        if (rc == 0)
            rc = strake_digest_of(strake_buf_text(choice->bytes), choice->bytes->len,
                                  choice->digest, choice->err);
        else
            rc = strake_fail_nomem(choice->err);
    }
    json_decref(root);
    return rc;
}

/* @return the platform of a bare manifest's configuration; it says so for images alone */
static int check_bare(const struct strake_place_in_store *from, const struct choice *choice,
                      const struct strake_manifest *manifest, struct strake_job *job)
{
    struct strake_buf bytes = STRAKE_BUF(STRAKE_CONFIG_MAX);
    struct strake_config config = { 0 };
    int rc =
        strake_registry_blob_read(from->instance, job, from->repository, manifest->config.digest,
                                  STRAKE_CONFIG_MAX, &bytes, choice->err);

    if (rc == 0)
        rc = strake_config_parse(strake_buf_text(&bytes), bytes.len, manifest->config.digest,
                                 manifest->count, &config, choice->err);
    if (rc == 0 && !is_chosen(choice, config.platform)) {
        rc = strake_fail(choice->err, STRAKE_ENOTFOUND, "%s is an image for %s, not for %s",
                         choice->object, config.platform, choice->platforms[0]);
        strake_err_hint(choice->err, "leave --platform away, or choose another tag");
    }
    strake_config_dispose(&config);
    strake_buf_dispose(&bytes);
    return rc;
}

int strake_copy_choose(const struct strake_place_in_store *from, const char *object,
                       const char *const *platforms, struct strake_job *job,
                       struct strake_buf *bytes, char **media_type, char *digest,
                       char *source_digest, struct strake_err *err)
{
    struct choice choice = { platforms, object, bytes, media_type, digest, err };
    struct strake_manifest manifest = { 0 }, chosen = { 0 };
    int rc = get(from, job, object, &choice, &manifest);

    if (rc < 0)
        goto out;
    memcpy(source_digest, digest, STRAKE_DIGEST_TEXT);
    if (!platforms || !platforms[0])
        goto out;
    if (!manifest.index) {
        rc = check_bare(from, &choice, &manifest, job);
        goto out;
    }
    rc = check_platforms(&choice, &manifest);
    if (rc == 0 && platforms[1]) {
        rc = cut(&choice, &manifest);
    } else if (rc == 0) {
        strake_buf_clear(bytes);
        rc = get(from, job, entry_of(&manifest, platforms[0])->digest, &choice, &chosen);
    }
out:
    strake_manifest_dispose(&chosen);
    strake_manifest_dispose(&manifest);
    return rc;
}
