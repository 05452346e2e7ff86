/* Looking at one cache of a target: is it there, is it a cache at all, how large and how old is
 * it. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "project/caches.h"
#include "util/fs.h"
#include "util/json.h"
#include "util/time.h"

#define CACHE_CONFIG "application/vnd.buildkit.cacheconfig.v0"
/* Of some 200 bytes a step. */
#define CACHE_CONFIG_MAX ((size_t)32 * 1024 * 1024)

/* What was found. */
struct found {
    bool cache;
    char digest[STRAKE_DIGEST_TEXT];
    char config[STRAKE_DIGEST_TEXT];
    int64_t size_bytes;
    int64_t created_us; /* of the newest step; 0: not known */
};

/* ---- a reference ---- */

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t time_of(const json_t *object)
{
    const char *text = strake_json_str(object, "createdAt");
    int64_t us;

    return text && strake_time_parse(text, &us) == 0 ? us : 0;
}

static int64_t newest_of(const json_t *list)
{
    const json_t *entry;
    int64_t newest = 0;
    size_t i;

    json_array_foreach(list, i, entry)
        newest = larger(newest, time_of(entry));
    return newest;
}

/* When the newest step was run whose result lies in the cache. */
static void read_times(const json_t *config, struct found *found)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(json_object_get(config, "layers"), i, entry)
        found->created_us =
            larger(found->created_us, time_of(json_object_get(entry, "annotations")));
    json_array_foreach(json_object_get(config, "records"), i, entry) {
        found->created_us = larger(found->created_us, newest_of(json_object_get(entry, "layers")));
        found->created_us = larger(found->created_us, newest_of(json_object_get(entry, "chains")));
    }
}

/* BuildKit's configuration is a manifest's, or one entry of an index. */
static void take_manifest(const struct strake_manifest *manifest, struct found *found)
{
    const struct strake_content *config = manifest->index ? NULL : &manifest->config;

    for (size_t i = 0; i < manifest->count; i++) {
        if (strcmp(manifest->items[i].media_type, CACHE_CONFIG) == 0)
            config = &manifest->items[i];
        found->size_bytes += larger(manifest->items[i].size_bytes, 0);
    }
    if (!manifest->index)
        found->size_bytes += larger(manifest->config.size_bytes, 0);
    found->cache = config && config->media_type && strcmp(config->media_type, CACHE_CONFIG) == 0;
    if (found->cache)
        memcpy(found->config, config->digest, sizeof(found->config));
}

static int read_config(const struct strake_place_in_store *place, struct strake_job *job,
                       struct found *found, struct strake_err *err)
{
    struct strake_buf bytes = STRAKE_BUF(CACHE_CONFIG_MAX);
    json_t *config;
    int rc = strake_registry_blob_read(place->instance, job, place->repository, found->config,
                                       CACHE_CONFIG_MAX, &bytes, err);

    if (rc < 0)
        return rc;
    config = strake_json_parse(strake_buf_text(&bytes), bytes.len, "the cache's configuration",
                               STRAKE_EREGISTRY, err);
    if (config)
        read_times(config, found);
    strake_buf_dispose(&bytes);
    json_decref(config);
    return config ? 0 : err->code;
}

static int look_ref(const char *ref, struct strake_stores *stores, struct strake_job *job,
                    struct found *found, struct strake_err *err)
{
    struct strake_descriptor descriptor = { .size = sizeof(descriptor) };
    struct strake_buf bytes = STRAKE_BUF(STRAKE_MANIFEST_MAX);
    struct strake_manifest manifest = { 0 };
    struct strake_place_in_store place = { 0 };
    struct strake_reference parsed = { 0 };
    int rc = strake_stores_open(stores, ref, &parsed, &place, err);

    if (rc == 0)
        rc = strake_registry_manifest_get(place.instance, job, place.repository,
                                          strake_reference_object(&parsed), &bytes, &descriptor,
                                          err);
    if (rc == 0)
        rc = strake_manifest_parse(strake_buf_text(&bytes), bytes.len, descriptor.media_type, ref,
                                   &manifest, err);
    if (rc == 0) {
        found->size_bytes = (int64_t)bytes.len;
        memcpy(found->digest, descriptor.digest, sizeof(found->digest) - 1);
        take_manifest(&manifest, found);
    }
    if (rc == 0 && found->cache)
        rc = read_config(&place, job, found, err);
    strake_manifest_dispose(&manifest);
    strake_buf_dispose(&bytes);
    strake_place_in_store_dispose(&place);
    strake_reference_dispose(&parsed);
    return rc;
}

/* ---- a folder ---- */

/* What its blobs take, those that nothing refers to any more too. */
static int64_t blobs_size(const char *folder)
{
    char *path = strake_asprintf("%s/blobs/sha256", folder);
    DIR *dir = path ? opendir(path) : NULL;
    const struct dirent *entry;
    int64_t size = 0;

    while (dir && (entry = readdir(dir))) {
        struct stat st;
        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode))
            size += (int64_t)st.st_size;
    }
    if (dir)
        closedir(dir);
    strake_free(path);
    return size;
}

/* An OCI layout whose index names the last export; it was written when that was done. */
static int look_folder(const char *folder, struct strake_stores *stores, struct strake_job *job,
                       struct found *found, struct strake_err *err)
{
    char *index = strake_asprintf("%s/index.json", folder);
    char *ref = strake_asprintf("oci:%s:latest", folder);
    struct stat st;
    int rc = index && ref ? 0 : strake_fail_nomem(err);

    if (rc == 0 && stat(index, &st) < 0)
        rc = strake_fail(err, STRAKE_ENOTFOUND, "%s holds no cache", folder);
    if (rc == 0)
        rc = look_ref(ref, stores, job, found, err);
    if (rc == 0) {
        found->size_bytes = blobs_size(folder);
        found->created_us =
            (int64_t)st.st_mtim.tv_sec * 1000000 + (int64_t)st.st_mtim.tv_nsec / 1000;
    }
    strake_free(index);
    strake_free(ref);
    return rc;
}

/* ---- entries ---- */

static int set_found(json_t *entry, const struct found *found)
{
    char created[STRAKE_TIME_TEXT];
    int rc = strake_json_set_str(entry, "status", found->cache ? "ok" : "image");

    if (rc == 0)
        rc = strake_json_set_str(entry, "digest", found->digest);
    if (rc == 0)
        rc = strake_json_set_int(entry, "size_bytes", found->size_bytes);
    if (rc < 0 || !found->created_us)
        return rc;
    strake_time_format(found->created_us, created);
    return strake_json_set_str(entry, "created", created);
}

int strake_caches_look(json_t *entry, struct strake_stores *stores, struct strake_job *job)
{
    const char *type = strake_json_str(entry, "type"), *place = strake_json_str(entry, "place");
    struct strake_err failure = { 0 };
    struct found found = { 0 };
    int rc;

    if (strcmp(type, "registry") == 0)
        rc = look_ref(place, stores, job, &found, &failure);
    else if (strcmp(type, "local") == 0)
        rc = look_folder(place, stores, job, &found, &failure);
    else
        return strake_json_set_str(entry, "status", "unknown");
    return rc < 0 ? strake_caches_set_failure(entry, &failure) : set_found(entry, &found);
}
