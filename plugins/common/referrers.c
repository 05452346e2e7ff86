/* Lists of what refers to an image (common/referrers.h). */
#include "common/referrers.h"

#include <stdio.h>
#include <string.h>

bool plug_is_digest(const char *text)
{
    size_t hex = strncmp(text, "sha256:", 7) == 0 ? 64 : strncmp(text, "sha512:", 7) == 0 ? 128 : 0;
    return hex > 0 && strlen(text) == 7 + hex && strspn(text + 7, "0123456789abcdef") == hex;
}

void plug_fallback_tag(const char *digest, char *out)
{
    /* No more than 64 characters of what is encoded: a tag has 128 at most. */
    snprintf(out, PLUG_FALLBACK_TAG, "%.6s-%.64s", digest, digest + 7);
}

/* ---- lists ----------------------------------------------------------------------------------- */

json_t *plug_referrers_new(void)
{
    return json_object();
}

/** The digest of a descriptor that is whole; NULL: it is not. */
static const char *digest_of(const json_t *entry)
{
    const char *digest = json_string_value(json_object_get(entry, "digest"));
    const char *type = json_string_value(json_object_get(entry, "mediaType"));
    const json_t *size = json_object_get(entry, "size");
    bool whole = digest && strlen(digest) < 136 && type && strlen(type) < 256 &&
                 json_is_integer(size) && json_integer_value(size) >= 0;
    return whole ? digest : NULL;
}

static int read_entries(json_t *list, const json_t *entries)
{
    size_t i;
    json_t *entry;
    json_array_foreach(entries, i, entry) {
        const char *digest = digest_of(entry);
        if (!digest)
            return STRAKE_EREGISTRY;
        int rc = plug_referrers_put(list, digest, entry);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int plug_referrers_read(json_t *list, const char *data, size_t len)
{
    json_t *root = json_loadb(data, len, 0, NULL);
    const json_t *entries = json_object_get(root, "manifests");
    int rc = json_is_array(entries) ? read_entries(list, entries) : STRAKE_EREGISTRY;
    json_decref(root);
    return rc;
}

void plug_referrers_select(json_t *list, const char *artifact_type)
{
    const char *digest;
    json_t *entry;
    void *next;
    json_object_foreach_safe(list, next, digest, entry) {
        const char *type = json_string_value(json_object_get(entry, "artifactType"));
        bool wanted = !*artifact_type || (type && strcmp(type, artifact_type) == 0);
        if (!wanted || strncmp(digest, "sha256:", 7) != 0 || !plug_is_digest(digest))
            json_object_del(list, digest);
    }
}

int plug_referrers_put(json_t *list, const char *digest, json_t *entry)
{
    const json_t *there = json_object_get(list, digest);
    if (there && json_equal(there, entry))
        return 0;
    if (!there && json_object_size(list) >= PLUG_REFERRERS_MAX)
        return STRAKE_ETOOBIG;
    return json_object_set(list, digest, entry) < 0 ? STRAKE_ENOMEM : 1;
}

bool plug_referrers_drop(json_t *list, const char *digest)
{
    return json_object_del(list, digest) == 0;
}

static int add_json(const char *data, size_t len, void *ctx)
{
    plug_text_add_len(ctx, data, len);
    return 0;
}

int plug_referrers_write(const json_t *list, struct plug_text *out)
{
    json_t *entries = json_array();
    const char *digest;
    json_t *entry;
    bool failed = !entries;
    json_object_foreach((json_t *)list, digest, entry)
        failed = failed || json_array_append(entries, entry) < 0;
    json_t *root = failed ? NULL
                          : json_pack("{s:i, s:s, s:O}", "schemaVersion", 2, "mediaType",
                                      PLUG_INDEX_TYPE, "manifests", entries);
    failed = !root || json_dump_callback(root, add_json, out, JSON_COMPACT) < 0 || out->failed;
    json_decref(root);
    json_decref(entries);
    if (failed)
        return STRAKE_ENOMEM;
    return out->len > PLUG_REFERRERS_BYTES ? STRAKE_ETOOBIG : 0;
}

/* ---- one manifest ---------------------------------------------------------------------------- */

bool plug_may_refer(const void *data, size_t len)
{
    static const char key[] = "\"subject\"";
    return memmem(data, len, key, sizeof(key) - 1) != NULL;
}

/** What it says it is; where it says nothing, what its configuration is. */
static json_t *artifact_type_of(const json_t *root)
{
    json_t *type = json_object_get(root, "artifactType");
    if (json_is_string(type) && json_string_length(type) > 0)
        return type;
    return json_object_get(json_object_get(root, "config"), "mediaType");
}

static json_t *entry_of(const json_t *root, const char *media_type, const char *digest, size_t len)
{
    json_t *type = artifact_type_of(root);
    json_t *annotations = json_object_get(root, "annotations");
    json_t *entry = json_pack("{s:s, s:s, s:I}", "mediaType", media_type, "digest", digest, "size",
                              (json_int_t)len);
    bool failed = !entry;
    if (json_is_string(type))
        failed = failed || json_object_set(entry, "artifactType", type) < 0;
    if (json_is_object(annotations) && json_object_size(annotations) > 0)
        failed = failed || json_object_set(entry, "annotations", annotations) < 0;
    if (failed) {
        json_decref(entry);
        return NULL;
    }
    return entry;
}

int plug_referrer_of(const void *data, size_t len, const char *media_type, const char *digest,
                     struct plug_referrer *out)
{
    *out = (struct plug_referrer){ .subject = "" };
    json_t *root = json_loadb(data, len, 0, NULL);
    const char *subject =
        json_string_value(json_object_get(json_object_get(root, "subject"), "digest"));
    int rc = 0;
    if (subject && plug_is_digest(subject)) {
        (void)plug_copy(out->subject, sizeof(out->subject), subject); /* a digest fits */
        out->entry = entry_of(root, media_type, digest, len);
        rc = out->entry ? 0 : STRAKE_ENOMEM;
    }
    json_decref(root);
    return rc;
}

void plug_referrer_dispose(struct plug_referrer *referrer)
{
    json_decref(referrer->entry);
    *referrer = (struct plug_referrer){ .subject = "" };
}
