/* The layout plugin: manifests and tags of an OCI image layout (layout.h says what is where). */
#include "layout.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"

static const struct plug_option option_table[] = {
    PLUG_OPTION(struct layout_options, path, .kind = PLUG_STRING, .required = true),
    { .key = NULL },
};

/* ---- reading --------------------------------------------------------------------------------- */

const json_t *layout_find_entry(const json_t *manifests, const char *reference)
{
    bool by_digest = layout_is_digest(reference);
    for (size_t i = json_array_size(manifests); i > 0; i--) {
        const json_t *entry = json_array_get(manifests, i - 1);
        const char *name = by_digest ? json_string_value(json_object_get(entry, "digest"))
                                     : layout_entry_tag(entry);
        if (name && strcmp(name, reference) == 0)
            return entry;
    }
    /* Whoever gives no tag means the only image that has none. */
    const json_t *only = json_array_get(manifests, 0);
    bool untagged = json_array_size(manifests) == 1 && !layout_entry_tag(only);
    return untagged && strcmp(reference, "latest") == 0 ? only : NULL;
}

static int fail_not_found(const struct layout *layout, const json_t *manifests,
                          const char *reference, struct strake_err *err)
{
    struct plug_text known = { 0 };
    for (size_t i = 0; i < json_array_size(manifests) && known.len < 400; i++) {
        const char *tag = layout_entry_tag(json_array_get(manifests, i));
        if (tag)
            plug_text_addf(&known, "%s%.128s", known.len ? ", " : "", tag);
    }
    layout->host->fail(err, STRAKE_ENOTFOUND, "the layout %s has no image %.150s",
                       layout->options.path, reference);
    if (known.len)
        layout->host->err_hint(err, "its tags are %s", plug_text_view(&known));
    plug_text_dispose(&known);
    return STRAKE_ENOTFOUND;
}

/** A manifest's type as its document says it or looks. */
static const char *document_type(const json_t *root)
{
    const char *type = json_string_value(json_object_get(root, "mediaType"));
    if (type)
        return type;
    if (json_is_array(json_object_get(root, "manifests")))
        return OCI_INDEX;
    return json_is_object(json_object_get(root, "config")) ? OCI_MANIFEST : "";
}

/** What index.json does not name (a manifest within an index) says itself what it is. */
static int describe_bytes(const struct layout *layout, const char *digest,
                          const struct plug_text *bytes, struct strake_descriptor *out,
                          struct strake_err *err)
{
    json_t *root = json_loadb(plug_text_view(bytes), bytes->len, 0, NULL);
    const char *type = document_type(root);
    bool good = *type && plug_copy(out->media_type, sizeof(out->media_type), type);
    json_decref(root);
    return good ? 0
                : layout->host->fail(err, STRAKE_EREGISTRY, "%s: %s is not a manifest",
                                     layout->options.path, digest);
}

/** Descriptor and bytes of a manifest. */
static int read_manifest(const struct layout *layout, const char *reference,
                         struct plug_text *bytes, struct strake_descriptor *out,
                         struct strake_err *err)
{
    json_t *index = NULL;
    int rc = layout_index_load(layout, &index, err);
    if (rc < 0)
        return rc;
    const json_t *manifests = json_object_get(index, "manifests");
    const json_t *entry = layout_find_entry(manifests, reference);
    const char *digest = entry ? json_string_value(json_object_get(entry, "digest")) : reference;
    char *name = NULL;
    if (!layout_is_digest(digest) || !plug_copy(out->digest, sizeof(out->digest), digest)) {
        rc = fail_not_found(layout, manifests, reference, err);
    } else if (!(name = layout_blob_name(digest))) {
        rc = plug_fail_nomem(layout->host, err);
    } else {
        rc = layout_read_file(layout, name, bytes, err);
    }
    if (rc == STRAKE_ENOTFOUND && name)
        layout->host->fail(err, rc, "the layout %s has no blob %s", layout->options.path, digest);
    out->size_bytes = (int64_t)bytes->len;
    const char *type = json_string_value(json_object_get(entry, "mediaType"));
    if (rc == 0 && !(type && plug_copy(out->media_type, sizeof(out->media_type), type)))
        rc = describe_bytes(layout, digest, bytes, out, err);
    free(name);
    json_decref(index);
    return rc;
}

static int layout_resolve(void *self, struct strake_job *job, const char *repository,
                          const char *reference, struct strake_descriptor *out,
                          struct strake_err *err)
{
    (void)job;
    (void)repository;
    struct plug_text bytes = { 0 };
    int rc = read_manifest(self, reference, &bytes, out, err);
    plug_text_dispose(&bytes);
    return rc;
}

static int layout_manifest_get(void *self, struct strake_job *job, const char *repository,
                               const char *reference, struct strake_buf *bytes,
                               struct strake_descriptor *out, struct strake_err *err)
{
    const struct layout *layout = self;
    (void)job;
    (void)repository;
    struct plug_text text = { 0 };
    int rc = read_manifest(layout, reference, &text, out, err);
    if (rc == 0) {
        rc = layout->host->buf_append(bytes, plug_text_view(&text), text.len);
        if (rc < 0)
            layout->host->fail(err, rc, "%s: there is no room for the %zu bytes of %s",
                               layout->options.path, text.len, reference);
    }
    plug_text_dispose(&text);
    return rc;
}

static int layout_tags(void *self, struct strake_job *job, const char *repository,
                       int (*each)(void *ctx, const char *tag), void *ctx, struct strake_err *err)
{
    (void)job;
    (void)repository;
    json_t *index = NULL;
    int rc = layout_index_load(self, &index, err);
    const json_t *manifests = json_object_get(index, "manifests");
    for (size_t i = 0; rc == 0 && i < json_array_size(manifests); i++) {
        const json_t *entry = json_array_get(manifests, i);
        const char *tag = layout_entry_tag(entry);
        /* Of two entries with one tag the latest counts, and only it is told. */
        if (tag && layout_find_entry(manifests, tag) == entry)
            rc = each(ctx, tag);
    }
    json_decref(index);
    return rc;
}

/* ---- writing --------------------------------------------------------------------------------- */

/** Remove the entries of the tag, and those that name `digest` (or NULL) without a tag. */
static void take_tag(json_t *manifests, const char *tag, const char *digest)
{
    for (size_t i = json_array_size(manifests); i > 0; i--) {
        const json_t *entry = json_array_get(manifests, i - 1);
        const char *name = layout_entry_tag(entry);
        const char *of = json_string_value(json_object_get(entry, "digest"));
        if (name ? strcmp(name, tag) == 0 : digest && strcmp(of, digest) == 0)
            json_array_remove(manifests, i - 1);
    }
}

int layout_set_tag(const struct layout *layout, json_t *manifests, const char *tag,
                   const struct strake_descriptor *descriptor, struct strake_err *err)
{
    take_tag(manifests, tag, descriptor->digest);
    json_t *entry = json_pack("{s:s, s:s, s:I, s:{s:s}}", "mediaType", descriptor->media_type,
                              "digest", descriptor->digest, "size",
                              (json_int_t)descriptor->size_bytes, "annotations", LAYOUT_TAG, tag);
    return json_array_append_new(manifests, entry) < 0 ? plug_fail_nomem(layout->host, err) : 0;
}

int layout_write_blob(const struct layout *layout, const char *digest, const void *data, size_t len,
                      struct strake_err *err)
{
    char *name = layout_blob_name(digest);
    struct layout_draft draft = { .fd = -1 };
    int rc = name ? layout_make_folder(layout, err) : plug_fail_nomem(layout->host, err);
    if (rc == 0)
        rc = layout_draft_begin(layout, &draft, err);
    if (rc == 0)
        rc = layout_draft_write(layout, &draft, data, len, err);
    if (rc == 0)
        rc = layout_draft_commit(layout, &draft, name, err);
    layout_draft_drop(&draft);
    free(name);
    return rc;
}

/** What is done to index.json for a manifest that comes or goes. */
struct change {
    const char *reference;
    const struct strake_descriptor *descriptor;
    struct plug_referrer referrer;
};

static int take_manifest(const struct layout *layout, json_t *manifests, void *ctx,
                         struct strake_err *err)
{
    const struct change *change = ctx;
    const char *digest = change->descriptor->digest;
    int rc = 0;
    /* A manifest without a tag is one within an index: index.json need not name it. */
    if (!layout_is_digest(change->reference))
        rc = layout_set_tag(layout, manifests, change->reference, change->descriptor, err);
    if (rc == 0 && *change->referrer.subject)
        rc = layout_referrers_keep(layout, manifests, &change->referrer, digest, false, err);
    return rc;
}

static int layout_manifest_put(void *self, struct strake_job *job, const char *repository,
                               const char *reference, const char *media_type, const void *data,
                               size_t len, struct strake_descriptor *out, struct strake_err *err)
{
    const struct layout *layout = self;
    const struct strake_host *host = layout->host;
    (void)repository;
    char digest[72];
    if (!plug_copy(out->media_type, sizeof(out->media_type), media_type))
        return host->fail(err, STRAKE_EUSAGE, "%s: a media type that is too long",
                          layout->options.path);
    if (host->digest(data, len, digest) < 0)
        return plug_fail_nomem(host, err);
    bool by_digest = layout_is_digest(reference);
    if (by_digest && strcmp(reference, digest) != 0)
        return host->fail(err, STRAKE_ECORRUPT, "%s: bytes with digest %s as %s",
                          layout->options.path, digest, reference);
    (void)plug_copy(out->digest, sizeof(out->digest), digest); /* host->digest() gives 71 */
    out->size_bytes = (int64_t)len;
    struct change change = { .reference = reference, .descriptor = out };
    int rc = 0;
    if (plug_may_refer(data, len) &&
        plug_referrer_of(data, len, media_type, digest, &change.referrer) < 0)
        rc = plug_fail_nomem(host, err);
    if (rc == 0)
        rc = layout_write_blob(layout, digest, data, len, err);
    bool changes = !by_digest || *change.referrer.subject;
    if (rc == 0)
        rc = layout_index_change(layout, job, changes ? take_manifest : NULL, &change, err);
    plug_referrer_dispose(&change.referrer);
    return rc;
}

static int remove_tag(const struct layout *layout, json_t *manifests, void *ctx,
                      struct strake_err *err)
{
    const char *tag = ctx;
    if (!layout_find_entry(manifests, tag))
        return fail_not_found(layout, manifests, tag, err);
    take_tag(manifests, tag, NULL);
    return 0;
}

static int remove_digest(const struct layout *layout, json_t *manifests, void *ctx,
                         struct strake_err *err)
{
    const struct change *change = ctx;
    for (size_t i = json_array_size(manifests); i > 0; i--) {
        const json_t *digest_of = json_object_get(json_array_get(manifests, i - 1), "digest");
        if (strcmp(json_string_value(digest_of), change->reference) == 0)
            json_array_remove(manifests, i - 1);
    }
    if (!*change->referrer.subject)
        return 0;
    return layout_referrers_keep(layout, manifests, &change->referrer, change->reference, true,
                                 err);
}

static int delete_manifest(const struct layout *layout, struct strake_job *job, const char *digest,
                           struct strake_err *err)
{
    struct change change = { .reference = digest };
    struct plug_text bytes = { 0 };
    char *name = layout_blob_name(digest);
    int rc =
        name ? layout_read_file(layout, name, &bytes, err) : plug_fail_nomem(layout->host, err);
    if (rc == STRAKE_ENOTFOUND)
        layout->host->fail(err, rc, "the layout %s has no blob %s", layout->options.path, digest);
    const char *data = plug_text_view(&bytes);
    if (rc == 0 && plug_may_refer(data, bytes.len) &&
        plug_referrer_of(data, bytes.len, "", digest, &change.referrer) < 0)
        rc = plug_fail_nomem(layout->host, err);
    if (rc == 0)
        rc = layout_index_change(layout, job, remove_digest, &change, err);
    char *path = name ? plug_format("%s/%s", layout->options.path, name) : NULL;
    if (rc == 0 && (!path || unlink(path) < 0))
        rc = layout->host->fail(err, STRAKE_EIO, "%s: blob %s cannot be removed",
                                layout->options.path, digest);
    plug_referrer_dispose(&change.referrer);
    plug_text_dispose(&bytes);
    free(path);
    free(name);
    return rc;
}

static int layout_manifest_delete(void *self, struct strake_job *job, const char *repository,
                                  const char *reference, struct strake_err *err)
{
    const struct layout *layout = self;
    (void)repository;
    if (layout_is_digest(reference))
        return delete_manifest(layout, job, reference, err);
    return layout_index_change(layout, job, remove_tag, (void *)reference, err);
}

/* ---- the plugin ------------------------------------------------------------------------------ */

static void layout_close(void *self)
{
    struct layout *layout = self;
    if (!layout)
        return;
    plug_options_dispose(option_table, &layout->options);
    free(layout);
}

static int layout_open(const struct strake_host *host, const char *options, void **self,
                       struct strake_err *err)
{
    struct layout *layout = calloc(1, sizeof(*layout));
    if (!layout)
        return plug_fail_nomem(host, err);
    layout->host = host;
    int rc = plug_options_read(host, "layout", option_table, options, &layout->options, err);
    if (rc < 0)
        layout_close(layout);
    else
        *self = layout;
    return rc;
}

static const struct strake_registry_v1 registry = {
    .size = sizeof(registry),
    .resolve = layout_resolve,
    .manifest_get = layout_manifest_get,
    .manifest_put = layout_manifest_put,
    .tags = layout_tags,
    .blob_stat = layout_blob_stat,
    .blob_get = layout_blob_get,
    .blob_put = layout_blob_put,
    .manifest_delete = layout_manifest_delete,
    .referrers_of = layout_referrers_of,
};

static const struct strake_plugin plugin = {
    .abi = STRAKE_ABI,
    .size = sizeof(plugin),
    .name = "layout",
    .version = STRAKE_VERSION,
    .open = layout_open,
    .close = layout_close,
    .interfaces = (const struct strake_interface[]){ { "registry/1", &registry }, { NULL, NULL } },
    .summary = "images in a folder, as an OCI image layout",
};

const struct strake_plugin *strake_plugin_main(void)
{
    return &plugin;
}
