/* The documents of `cache show` and `cache prune`, over folders: no server is needed for these. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "plugin/loader.h"
#include "project/caches.h"
#include "torture.h"
#include "util/fs.h"
#include "util/json.h"

#define CONFIG_TYPE "application/vnd.buildkit.cacheconfig.v0"
#define IMAGE_TYPE "application/vnd.oci.image.config.v1+json"

static char *root;

static int group_setup(void **state)
{
    struct strake_err err = { 0 };

    (void)state;
    strake_json_setup();
    setenv("STRAKE_PLUGIN_PATH", PLUGINS, 1);
    if (strake_fs_tempdir(&root, &err) < 0)
        return -1;
    return strake_loader_setup("/no/such/prefix/bin/strake", &err);
}

static int group_teardown(void **state)
{
    struct strake_err err = { 0 };

    (void)state;
    strake_fs_remove_tree(root, &err);
    strake_err_dispose(&err);
    strake_free(root);
    return 0;
}

/* ---- a cache in a folder ---- */

static void write_file(const char *folder, const char *name, const char *text)
{
    struct strake_err err = { 0 };
    char *path = strake_fs_join(folder, name);

    assert_int_equal(strake_fs_write(path, text, strlen(text), 0644, false, &err), 0);
    strake_free(path);
}

/* A blob, and its digest in `digest`. */
static void write_blob(const char *folder, const char *text, char *digest)
{
    struct strake_err err = { 0 };
    char name[128];

    assert_int_equal(strake_digest_of(text, strlen(text), digest, &err), 0);
    snprintf(name, sizeof(name), "blobs/sha256/%s", digest + 7);
    write_file(folder, name, text);
}

/* A layout of one manifest without layers; the folder's path is the caller's. */
static char *make_layout(const char *name, const char *config_type)
{
    static const char config[] = "{\"layers\":[{\"annotations\":{\"createdAt\":\"2026-01-02T03:04:"
                                 "05Z\"}}],\"records\":[{\"layers\":[{\"createdAt\":\"2026-01-02T"
                                 "03:04:06Z\"}]}]}";
    char *folder = strake_fs_join(root, name), *blobs = strake_fs_join(folder, "blobs/sha256");
    char digest[STRAKE_DIGEST_TEXT], text[1024];
    struct strake_err err = { 0 };

    assert_int_equal(strake_fs_mkdirs(blobs, 0755, &err), 0);
    write_blob(folder, config, digest);
    snprintf(text, sizeof(text),
             "{\"schemaVersion\":2,\"mediaType\":\"" STRAKE_MEDIA_OCI_MANIFEST "\",\"config\":{"
             "\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[]}",
             config_type, digest, strlen(config));
    write_blob(folder, text, digest);
    const size_t size = strlen(text);
    snprintf(text, sizeof(text),
             "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" STRAKE_MEDIA_OCI_MANIFEST "\","
             "\"digest\":\"%s\",\"size\":%zu,\"annotations\":{\"org.opencontainers.image.ref.name\""
             ":\"latest\"}}]}",
             digest, size);
    write_file(folder, "index.json", text);
    write_file(folder, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
    strake_free(blobs);
    return folder;
}

/* ---- a plan ---- */

struct scene {
    struct strake_plan plan;
    struct strake_plan_target target;
    struct strake_stores *stores;
    struct strake_job *job;
};

static void add_local(struct scene *scene, const char *folder)
{
    char *export = strake_asprintf("type=local,dest=%s,mode=max", folder);
    char *import = strake_asprintf("type=local,src=%s", folder);

    assert_int_equal(strake_strings_take(&scene->target.cache_export, export), 0);
    assert_int_equal(strake_strings_take(&scene->target.cache_import, import), 0);
}

static void open_scene(struct scene *scene)
{
    *scene = (struct scene){ .target = { .name = strake_strdup("app") } };
    scene->plan.targets = &scene->target;
    scene->plan.count = 1;
    scene->stores = strake_stores_new(0, NULL);
    scene->job = strake_job_new(NULL, NULL, NULL);
    assert_non_null(scene->stores);
    assert_non_null(scene->job);
}

static void close_scene(struct scene *scene)
{
    strake_plan_target_dispose(&scene->target);
    strake_stores_free(scene->stores);
    strake_job_free(scene->job);
}

static const json_t *entry_at(const json_t *doc, size_t i)
{
    return json_array_get(json_object_get(doc, "caches"), i);
}

static void assert_status(const json_t *doc, size_t i, const char *status)
{
    const char *is = strake_json_str(entry_at(doc, i), "status");

    assert_non_null(is);
    assert_string_equal(is, status);
}

/* ---- tests ---- */

static void show_tells_caches_images_and_what_is_not_there(void **state)
{
    struct strake_caches_wish wish = { .targets = true };
    char *cache = make_layout("a-cache", CONFIG_TYPE), *image = make_layout("image", IMAGE_TYPE);
    char *nothing = strake_fs_join(root, "nothing");
    struct strake_err err = { 0 };
    struct scene scene;
    json_t *doc = NULL;

    (void)state;
    open_scene(&scene);
    add_local(&scene, cache);
    add_local(&scene, image);
    add_local(&scene, nothing);
    assert_int_equal(strake_strings_add(&scene.target.cache_export, "type=gha,scope=app"), 0);
    assert_int_equal(strake_caches_show(&scene.plan, scene.stores, &wish, scene.job, &doc, &err),
                     0);
    assert_int_equal(json_array_size(json_object_get(doc, "caches")), 4);
    assert_status(doc, 0, "ok");
    assert_true(strake_json_int(entry_at(doc, 0), "size_bytes", 0) > 200);
    assert_int_equal(json_array_size(json_object_get(entry_at(doc, 0), "uses")), 2);
    assert_status(doc, 1, "image");
    assert_status(doc, 2, "absent");
    assert_status(doc, 3, "unknown");
    assert_string_equal(strake_json_str(entry_at(doc, 3), "place"), "app");
    json_decref(doc);
    close_scene(&scene);
    strake_free(cache);
    strake_free(image);
    strake_free(nothing);
}

static void prune_takes_the_cache_and_leaves_the_image(void **state)
{
    struct strake_caches_wish wish = { .targets = true, .keep_bytes = -1, .dry_run = true };
    char *cache = make_layout("goes", CONFIG_TYPE), *image = make_layout("stays", IMAGE_TYPE);
    struct strake_err err = { 0 };
    struct scene scene;

    (void)state;
    open_scene(&scene);
    add_local(&scene, cache);
    add_local(&scene, image);
    for (int dry = 1; dry >= 0; dry--) {
        json_t *doc = NULL;
        wish.dry_run = dry;
        assert_int_equal(
            strake_caches_prune(&scene.plan, scene.stores, &wish, scene.job, &doc, &err), 0);
        assert_int_equal(json_array_size(json_object_get(doc, "caches")), 1);
        assert_status(doc, 0, dry ? "would-remove" : "removed");
        assert_true(strake_json_int(doc, "freed_bytes", 0) > 200);
        assert_int_equal(strake_fs_is_dir(cache), dry);
        json_decref(doc);
    }
    assert_true(strake_fs_is_dir(image));
    close_scene(&scene);
    strake_free(cache);
    strake_free(image);
}

static void prune_leaves_what_is_only_read(void **state)
{
    struct strake_caches_wish wish = { .targets = true, .keep_bytes = -1 };
    char *ours = make_layout("ours", CONFIG_TYPE), *theirs = make_layout("theirs", CONFIG_TYPE);
    char *import = strake_asprintf("type=local,src=%s", theirs);
    struct strake_err err = { 0 };
    struct scene scene;
    json_t *doc = NULL;

    (void)state;
    open_scene(&scene);
    add_local(&scene, ours);
    assert_int_equal(strake_strings_take(&scene.target.cache_import, import), 0);
    assert_int_equal(strake_caches_prune(&scene.plan, scene.stores, &wish, scene.job, &doc, &err),
                     0);
    assert_int_equal(json_array_size(json_object_get(doc, "caches")), 1);
    assert_false(strake_fs_is_dir(ours));
    assert_true(strake_fs_is_dir(theirs));
    json_decref(doc);
    close_scene(&scene);
    strake_free(ours);
    strake_free(theirs);
}

static int show_and_dry_prune(void *ctx)
{
    struct scene *scene = ctx;
    struct strake_caches_wish wish = { .targets = true, .keep_bytes = -1, .dry_run = true };
    struct strake_err err = { 0 };
    json_t *doc = NULL;
    int rc = strake_caches_show(&scene->plan, scene->stores, &wish, scene->job, &doc, &err);

    assert_true((rc == 0) == (doc != NULL));
    json_decref(doc);
    strake_err_dispose(&err);
    doc = NULL;
    if (rc == 0)
        rc = strake_caches_prune(&scene->plan, scene->stores, &wish, scene->job, &doc, &err);
    json_decref(doc);
    strake_err_dispose(&err);
    return rc;
}

static void caches_survive_every_failing_allocation(void **state)
{
    char *cache = make_layout("tortured", CONFIG_TYPE);
    struct scene scene;

    (void)state;
    open_scene(&scene);
    add_local(&scene, cache);
    torture(show_and_dry_prune, &scene);
    assert_true(strake_fs_is_dir(cache));
    close_scene(&scene);
    strake_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(show_tells_caches_images_and_what_is_not_there),
        cmocka_unit_test(prune_takes_the_cache_and_leaves_the_image),
        cmocka_unit_test(prune_leaves_what_is_only_read),
        cmocka_unit_test(caches_survive_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
