/* What most builds do without: how far buildah can do it, and its words for it. */
#include <ctype.h>
#include <string.h>

#include "buildah/buildah.h"

static int cannot(const struct buildah *self, struct strake_err *err, const char *what)
{
    self->host->fail(err, STRAKE_EUNSUPPORTED, "buildah cannot %s", what);
    self->host->err_hint(err, "use a BuildKit builder for this target");
    return STRAKE_EUNSUPPORTED;
}

/* Without a namespace of its own RUN shares the machine's network and /dev/shm. */
static int check_isolation(const struct buildah *self, const struct strake_build_request *request,
                           struct strake_err *err)
{
    const char *what = NULL;
    if (strcmp(self->isolation, "chroot") != 0)
        return 0;
    if (strcmp(request->network, "none") == 0)
        what = "network none";
    else if (request->shm_size_bytes > 0)
        what = "shm_size";
    if (what == NULL)
        return 0;
    self->host->fail(err, STRAKE_EUNSUPPORTED, "buildah's isolation chroot does not know %s", what);
    self->host->err_hint(err, "give the builder isolation = \"oci\", or use a BuildKit builder");
    return STRAKE_EUNSUPPORTED;
}

/* NULL: it has a level that buildah does not know. */
static const char *annotation_key(const char *name)
{
    static const char manifest[] = "manifest:";
    static const char *const levels[] = { "manifest[", "index:", "index[", "manifest-descriptor",
                                          "index-descriptor" };
    if (strncmp(name, manifest, sizeof(manifest) - 1) == 0)
        return name + sizeof(manifest) - 1;
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (strncmp(name, levels[i], strlen(levels[i])) == 0)
            return NULL;
    }
    return name;
}

int buildah_more_check(const struct buildah *self, const struct strake_build_request *request,
                       struct strake_err *err)
{
    for (size_t i = 0; request->attestations[i] != NULL; i++) {
        if (strcmp(request->attestations[i]->value, "disabled") != 0)
            return cannot(self, err, "make attestations");
    }
    for (size_t i = 0; request->entitlements[i] != NULL; i++) {
        if (strcmp(request->entitlements[i], "network.host") != 0)
            return cannot(self, err, "give entitlements");
    }
    for (size_t i = 0; request->annotations[i] != NULL; i++) {
        if (annotation_key(request->annotations[i]->name) == NULL)
            return cannot(self, err, "annotate anything but manifests");
    }
    if (request->no_cache_stages[0] != NULL)
        return cannot(self, err, "leave the cache out for some stages only");
    if (request->compression[0] != '\0' || request->compression_level > 0 ||
        request->force_compression)
        return cannot(self, err, "choose the compression of layers");
    return check_isolation(self, request, err);
}

static void add_option(struct plug_list *argv, const char *option, const char *value)
{
    plug_list_add(argv, option);
    plug_list_add(argv, value);
}

static void add_pairs(struct plug_list *argv, const char *option, char separator,
                      const struct strake_pair *const *pairs)
{
    for (size_t i = 0; pairs[i] != NULL; i++) {
        plug_list_add(argv, option);
        plug_list_addf(argv, "%s%c%s", pairs[i]->name, separator, pairs[i]->value);
    }
}

/* ---- caches ---------------------------------------------------------------------------------- */

/* The value of a field of a plain CSV record, or NULL. */
static char *field_of(const char *record, const char *key)
{
    size_t key_len = strlen(key);
    while (*record != '\0') {
        size_t len = strcspn(record, ",");
        if (len > key_len && strncmp(record, key, key_len) == 0 && record[key_len] == '=')
            return plug_strndup(record + key_len + 1, len - key_len - 1);
        record += len + (record[len] == ',' ? 1 : 0);
    }
    return NULL;
}

char *buildah_cache_repository(const char *record)
{
    char *type = field_of(record, "type");
    char *ref = type == NULL || strcmp(type, "registry") == 0 ? field_of(record, "ref") : NULL;
    /* buildah puts each layer under a tag of its own: a tag becomes the end of the repository. */
    char *tag = ref != NULL ? strrchr(ref, ':') : NULL;
    if (tag != NULL && strchr(tag, '/') == NULL) {
        for (*tag = '/'; *tag != '\0'; tag++)
            *tag = (char)tolower((unsigned char)*tag);
    }
    plug_wipe(type);
    return ref;
}

static void add_caches(struct plug_list *argv, const char *option, const char *const *records)
{
    for (size_t i = 0; records[i] != NULL; i++) {
        char *repository = buildah_cache_repository(records[i]);
        if (repository == NULL)
            continue;
        plug_list_add(argv, option);
        plug_list_take(argv, repository);
    }
}

void buildah_argv_more(const struct strake_build_request *request, struct plug_list *argv)
{
    for (size_t i = 0; request->annotations[i] != NULL; i++) {
        const char *key = annotation_key(request->annotations[i]->name);
        plug_list_add(argv, "--annotation");
        plug_list_addf(argv, "%s=%s", key != NULL ? key : "", request->annotations[i]->value);
    }
    for (size_t i = 0; request->ssh[i] != NULL; i++)
        add_option(argv, "--ssh", request->ssh[i]);
    add_pairs(argv, "--add-host", ':', request->add_hosts);
    add_pairs(argv, "--ulimit", '=', request->ulimits);
    if (request->network[0] != '\0' && strcmp(request->network, "default") != 0)
        add_option(argv, "--network", request->network);
    if (request->shm_size_bytes > 0) {
        plug_list_add(argv, "--shm-size");
        plug_list_addf(argv, "%lldk", (long long)((request->shm_size_bytes + 1023) / 1024));
    }
    if (request->pull)
        plug_list_add(argv, "--pull-always");
    if (request->source_date_epoch[0] != '\0')
        add_option(argv, "--timestamp", request->source_date_epoch);
    add_caches(argv, "--cache-from", request->cache_import);
    if (!request->no_cache)
        add_caches(argv, "--cache-to", request->cache_export);
}
