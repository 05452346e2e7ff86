/* What refers to a manifest of a layout (layout.h). A layout has no list of it: some tools name what
 * refers to something in index.json, without a tag; others keep the fallback tag that the OCI
 * distribution specification has for registries. Both are read, and the tag is what we write: it
 * needs no look into each manifest, and the others read it too. */
#include <stdlib.h>
#include <string.h>

#include "layout.h"

static int fail_list(const struct layout *layout, int rc, const char *tag, struct strake_err *err)
{
    const struct strake_host *host = layout->host;
    if (rc == STRAKE_ENOMEM)
        return plug_fail_nomem(host, err);
    if (rc == STRAKE_ETOOBIG)
        return host->fail(err, rc, "%s: the list under the tag %s has no room for more than %d",
                          layout->options.path, tag, PLUG_REFERRERS_MAX);
    return host->fail(err, rc,
                      "%s: the tag %s should list what refers to an image, and is no such list",
                      layout->options.path, tag);
}

/** What the fallback tag lists; nothing where it is not there. */
static int read_tag(const struct layout *layout, const json_t *manifests, const char *tag,
                    json_t *list, struct strake_err *err)
{
    const json_t *entry = layout_find_entry(manifests, tag);
    if (!entry)
        return 0;
    const char *digest = json_string_value(json_object_get(entry, "digest"));
    const char *type = json_string_value(json_object_get(entry, "mediaType"));
    if (!layout_is_digest(digest) || strcmp(type, PLUG_INDEX_TYPE) != 0)
        return fail_list(layout, STRAKE_EREGISTRY, tag, err);
    struct plug_text bytes = { 0 };
    char *name = layout_blob_name(digest);
    int rc =
        name ? layout_read_file(layout, name, &bytes, err) : plug_fail_nomem(layout->host, err);
    if (rc == 0) {
        rc = plug_referrers_read(list, plug_text_view(&bytes), bytes.len);
        if (rc < 0)
            fail_list(layout, rc, tag, err);
    }
    plug_text_dispose(&bytes);
    free(name);
    return rc;
}

/** What index.json names, if it refers to `subject`. */
static int look_into(const struct layout *layout, const json_t *entry, const char *subject,
                     json_t *list, struct strake_err *err)
{
    const char *digest = json_string_value(json_object_get(entry, "digest"));
    const char *type = json_string_value(json_object_get(entry, "mediaType"));
    if (!layout_is_digest(digest))
        return 0;
    struct plug_referrer referrer = { .subject = "" };
    struct plug_text bytes = { 0 };
    char *name = layout_blob_name(digest);
    int rc =
        name ? layout_read_file(layout, name, &bytes, err) : plug_fail_nomem(layout->host, err);
    /* An index may name what is not in this layout. */
    if (rc == STRAKE_ENOTFOUND || rc == STRAKE_ETOOBIG)
        rc = 0;
    if (rc == 0 && plug_may_refer(plug_text_view(&bytes), bytes.len))
        rc = plug_referrer_of(plug_text_view(&bytes), bytes.len, type, digest, &referrer);
    if (rc == 0 && strcmp(referrer.subject, subject) == 0)
        rc = plug_referrers_put(list, digest, referrer.entry);
    if (rc < 0 && rc != STRAKE_EIO && rc != STRAKE_EREGISTRY)
        fail_list(layout, rc, "index.json", err);
    plug_referrer_dispose(&referrer);
    plug_text_dispose(&bytes);
    free(name);
    return rc < 0 ? rc : 0;
}

int layout_referrers_of(void *self, struct strake_job *job, const char *repository,
                        const char *digest, const char *artifact_type, struct strake_buf *bytes,
                        struct strake_err *err)
{
    const struct layout *layout = self;
    (void)repository;
    if (!layout_is_digest(digest))
        return layout->host->fail(err, STRAKE_EUSAGE, "\"%.150s\" is not a digest", digest);
    char tag[PLUG_FALLBACK_TAG];
    plug_fallback_tag(digest, tag);
    json_t *index = NULL;
    json_t *list = plug_referrers_new();
    struct plug_text text = { 0 };
    int rc = list ? layout_index_load(layout, &index, err) : plug_fail_nomem(layout->host, err);
    const json_t *manifests = json_object_get(index, "manifests");
    if (rc == 0)
        rc = read_tag(layout, manifests, tag, list, err);
    for (size_t i = 0; rc == 0 && i < json_array_size(manifests); i++) {
        rc = look_into(layout, json_array_get(manifests, i), digest, list, err);
        if (rc == 0)
            rc = layout_check_job(layout, job, err);
    }
    if (rc == 0) {
        plug_referrers_select(list, artifact_type);
        rc = plug_referrers_write(list, &text);
        if (rc == 0)
            rc = layout->host->buf_append(bytes, plug_text_view(&text), text.len);
        if (rc < 0)
            layout->host->fail(err, rc, "%s: there is no room for what refers to %s",
                               layout->options.path, digest);
    }
    plug_text_dispose(&text);
    json_decref(list);
    json_decref(index);
    return rc;
}

static int write_tag(const struct layout *layout, json_t *manifests, const char *tag,
                     const json_t *list, struct strake_err *err)
{
    struct strake_descriptor out = { .size = sizeof(out), .media_type = PLUG_INDEX_TYPE };
    struct plug_text text = { 0 };
    int rc = plug_referrers_write(list, &text);
    if (rc < 0)
        fail_list(layout, rc, tag, err);
    else if (layout->host->digest(plug_text_view(&text), text.len, out.digest) < 0)
        rc = plug_fail_nomem(layout->host, err);
    out.size_bytes = (int64_t)text.len;
    if (rc == 0)
        rc = layout_write_blob(layout, out.digest, plug_text_view(&text), text.len, err);
    if (rc == 0)
        rc = layout_set_tag(layout, manifests, tag, &out, err);
    plug_text_dispose(&text);
    return rc;
}

int layout_referrers_keep(const struct layout *layout, json_t *manifests,
                          const struct plug_referrer *referrer, const char *digest, bool drop,
                          struct strake_err *err)
{
    char tag[PLUG_FALLBACK_TAG];
    plug_fallback_tag(referrer->subject, tag);
    json_t *list = plug_referrers_new();
    int rc =
        list ? read_tag(layout, manifests, tag, list, err) : plug_fail_nomem(layout->host, err);
    if (rc == 0) {
        rc = drop ? plug_referrers_drop(list, digest)
                  : plug_referrers_put(list, digest, referrer->entry);
        if (rc < 0)
            fail_list(layout, rc, tag, err);
        if (rc > 0)
            rc = write_tag(layout, manifests, tag, list, err);
    }
    json_decref(list);
    return rc < 0 ? rc : 0;
}
