/* The documents of `strake cache show` and `cache prune`. */
#include "project/caches.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build/publish.h"
#include "util/fs.h"
#include "util/json.h"
#include "util/time.h"

/* ---- a document ---- */

struct document {
    json_t *whole;
    json_t *builders; /* borrowed, as the next */
    json_t *caches;
};

static int begin(struct document *doc, const char *schema)
{
    doc->whole = json_object();
    if (!doc->whole || strake_json_set_str(doc->whole, "schema", schema) < 0 ||
        strake_json_set(doc->whole, "builders", json_array()) < 0 ||
        strake_json_set(doc->whole, "caches", json_array()) < 0)
        return STRAKE_ENOMEM;
    doc->builders = json_object_get(doc->whole, "builders");
    doc->caches = json_object_get(doc->whole, "caches");
    return 0;
}

/* What is where, each looked at. */
static int add_caches(struct document *doc, const struct strake_plan *plan,
                      struct strake_stores *stores, struct strake_job *job, struct strake_err *err)
{
    json_t *entry;
    size_t i;
    int rc = strake_caches_add_places(plan, stores, job, doc->caches, err);

    json_array_foreach(doc->caches, i, entry) {
        if (rc == 0 && strake_caches_look(entry, stores, job) < 0)
            rc = strake_fail_nomem(err);
        if (rc == 0 && strake_job_cancelled(job))
            rc = strake_job_check(job, err);
    }
    return rc;
}

int strake_caches_show(const struct strake_plan *plan, struct strake_stores *stores,
                       const struct strake_caches_wish *wish, struct strake_job *job, json_t **doc,
                       struct strake_err *err)
{
    struct document made = { 0 };
    int rc = begin(&made, "strake.cache/1") < 0 ? strake_fail_nomem(err) : 0;

    if (rc == 0 && wish->builders)
        rc = strake_caches_add_builders(plan, wish, false, job, made.builders, err);
    if (rc == 0 && wish->targets)
        rc = add_caches(&made, plan, stores, job, err);
    if (rc == 0 && wish->targets)
        rc = strake_caches_add_plugins(plan, wish, false, job, made.caches, err);
    if (rc < 0)
        json_decref(made.whole);
    else
        *doc = made.whole;
    return rc;
}

/* ---- prune: which ---- */

static const char *created_of(const json_t *entry)
{
    const char *created = strake_json_str(entry, "created");

    return created ? created : "";
}

static bool is_cache(const json_t *entry)
{
    const char *status = strake_json_str(entry, "status");

    return status && strcmp(status, "ok") == 0;
}

static int compare_created(const void *a, const void *b)
{
    return strcmp(created_of(*(json_t *const *)a), created_of(*(json_t *const *)b));
}

bool strake_caches_is_old(const json_t *entry, int64_t older_ms)
{
    int64_t us;

    if (older_ms <= 0)
        return true;
    return strake_time_parse(created_of(entry), &us) == 0 &&
           us < strake_time_now_us() - older_ms * 1000;
}

/* ---- prune: taking away ---- */

/* What makes a folder a cache, and the folder when nothing else is in it. */
static int remove_folder(const char *folder, struct strake_err *err)
{
    static const char *const parts[] = { "index.json", "oci-layout", "index.json.lock",
                                         "ingest",     "blobs",      NULL };
    int rc = 0;

    for (size_t i = 0; rc == 0 && parts[i]; i++) {
        char *path = strake_fs_join(folder, parts[i]);
        rc = path ? 0 : strake_fail_nomem(err);
        if (rc == 0)
            rc = strake_fs_remove_tree(path, err);
        strake_free(path);
    }
    if (rc == 0)
        rmdir(folder); /* with more in it, it stays */
    return rc;
}

static int remove_cache(const json_t *entry, struct strake_stores *stores, struct strake_job *job,
                        struct strake_err *err)
{
    const char *place = strake_json_str(entry, "place");

    if (strcmp(strake_json_str(entry, "type"), "local") == 0)
        return remove_folder(place, err);
    return strake_tag_delete(stores, place, job, err);
}

static int prune_one(json_t *entry, struct strake_stores *stores,
                     const struct strake_caches_wish *wish, struct strake_job *job)
{
    struct strake_err failure = { 0 };

    if (wish->dry_run)
        return strake_json_set_str(entry, "status", "would-remove");
    if (remove_cache(entry, stores, job, &failure) < 0)
        return strake_caches_set_failure(entry, &failure);
    return strake_json_set_str(entry, "status", "removed");
}

/* What a target reads and does not write is somebody else's (`read_only`, a branch the main one's). */
static bool is_only_read(const json_t *entry)
{
    const json_t *uses = json_object_get(entry, "uses");
    const char *use = json_string_value(json_array_get(uses, 0));

    return json_array_size(uses) == 1 && use && strcmp(use, "import") == 0;
}

/* The oldest first, until what is left is small enough. */
static int prune_caches(struct document *doc, struct strake_stores *stores,
                        const struct strake_caches_wish *wish, struct strake_job *job)
{
    json_t **sorted = strake_calloc(json_array_size(doc->caches) + 1, sizeof(*sorted)), *entry;
    int64_t left = 0;
    size_t count = 0, i;
    int rc = sorted ? 0 : STRAKE_ENOMEM;

    json_array_foreach(doc->caches, i, entry) {
        if (rc < 0 || !is_cache(entry) || is_only_read(entry))
            continue;
        sorted[count++] = entry;
        left += strake_json_int(entry, "size_bytes", 0);
    }
    if (count)
        qsort(sorted, count, sizeof(json_t *), compare_created);
    for (i = 0; rc == 0 && i < count && left > wish->keep_bytes; i++) {
        if (strake_job_cancelled(job))
            break;
        if (!strake_caches_is_old(sorted[i], wish->older_ms))
            continue; /* one without an age comes first, and is not known to be old */
        left -= strake_json_int(sorted[i], "size_bytes", 0);
        rc = prune_one(sorted[i], stores, wish, job);
    }
    strake_free(sorted);
    return rc;
}

/* ---- prune: the document ---- */

static bool has_status(const json_t *entry, const char *status)
{
    const char *is = strake_json_str(entry, "status");

    return is && strcmp(is, status) == 0;
}

/* Only what goes, or would not go, is told. What is absent or of another kind is nobody's news. */
static void drop_rest(json_t *list)
{
    for (size_t i = json_array_size(list); i > 0; i--) {
        const json_t *entry = json_array_get(list, i - 1);
        if (!has_status(entry, "removed") && !has_status(entry, "would-remove") &&
            !has_status(entry, "failed"))
            json_array_remove(list, i - 1);
    }
}

static int64_t freed(const json_t *list)
{
    const json_t *entry;
    int64_t sum = 0;
    size_t i;

    json_array_foreach(list, i, entry) {
        if (!has_status(entry, "failed"))
            sum += strake_json_int(entry, "size_bytes", 0);
    }
    return sum;
}

/* The first failure is the command's. */
static int first_failure(const json_t *list, struct strake_err *err)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(list, i, entry) {
        if (has_status(entry, "failed"))
            return strake_err_parse(err, json_object_get(entry, "error"));
    }
    return 0;
}

static int finish_prune(struct document *doc, const struct strake_caches_wish *wish)
{
    drop_rest(doc->caches);
    if (strake_json_set_bool(doc->whole, "dry_run", wish->dry_run) < 0)
        return STRAKE_ENOMEM;
    return strake_json_set_int(doc->whole, "freed_bytes",
                               freed(doc->builders) + freed(doc->caches));
}

int strake_caches_prune(const struct strake_plan *plan, struct strake_stores *stores,
                        const struct strake_caches_wish *wish, struct strake_job *job, json_t **doc,
                        struct strake_err *err)
{
    struct document made = { 0 };
    int rc = begin(&made, "strake.cache-prune/1") < 0 ? strake_fail_nomem(err) : 0;

    if (rc == 0 && wish->builders)
        rc = strake_caches_add_builders(plan, wish, true, job, made.builders, err);
    if (rc == 0 && wish->targets)
        rc = add_caches(&made, plan, stores, job, err);
    if (rc == 0 && prune_caches(&made, stores, wish, job) < 0)
        rc = strake_fail_nomem(err);
    if (rc == 0 && wish->targets)
        rc = strake_caches_add_plugins(plan, wish, true, job, made.caches, err);
    if (rc == 0 && finish_prune(&made, wish) < 0)
        rc = strake_fail_nomem(err);
    if (rc == 0 && strake_job_cancelled(job))
        rc = strake_job_check(job, err);
    if (rc < 0) {
        json_decref(made.whole);
        return rc;
    }
    *doc = made.whole;
    rc = first_failure(made.builders, err);
    return rc < 0 ? rc : first_failure(made.caches, err);
}
