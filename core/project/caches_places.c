/* Where the targets of a plan have their caches: what the plan says, and what is named alike beside
 * it, for branches come and go. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "project/caches.h"
#include "util/json.h"

/* Of one walk over a plan. */
struct walk {
    const struct strake_plan_target *target;
    struct strake_stores *stores;
    struct strake_job *job;
    json_t *list;
};

/* ---- entries ---- */

static json_t *find_entry(const json_t *list, const char *type, const char *place)
{
    json_t *entry;
    size_t i;

    json_array_foreach(list, i, entry) {
        if (strcmp(strake_json_str(entry, "type"), type) == 0 &&
            strcmp(strake_json_str(entry, "place"), place) == 0)
            return entry;
    }
    return NULL;
}

static json_t *new_entry(struct walk *walk, const char *type, const char *place)
{
    json_t *entry = json_object();

    if (!entry || strake_json_set_str(entry, "target", walk->target->name) < 0 ||
        strake_json_set_str(entry, "type", type) < 0 ||
        strake_json_set_str(entry, "place", place) < 0 ||
        strake_json_set(entry, "uses", json_array()) < 0 ||
        json_array_append(walk->list, entry) < 0) {
        json_decref(entry);
        return NULL;
    }
    json_decref(entry); /* the list's */
    return entry;
}

static int add_use(json_t *uses, const char *use)
{
    const json_t *known;
    size_t i;

    json_array_foreach(uses, i, known) {
        if (strcmp(json_string_value(known), use) == 0)
            return 0;
    }
    return strake_json_append_str(uses, use);
}

/* `use` NULL: it only lies beside one that is used. */
static int add_place(struct walk *walk, const char *type, const char *place, const char *use)
{
    json_t *entry = find_entry(walk->list, type, place);

    if (!entry)
        entry = new_entry(walk, type, place);
    if (!entry)
        return STRAKE_ENOMEM;
    return use ? add_use(json_object_get(entry, "uses"), use) : 0;
}

/* ---- records ---- */

/* The attribute that says where a cache of this type is. */
static const char *place_key(const char *type, bool export)
{
    if (strcmp(type, "registry") == 0)
        return "ref";
    if (strcmp(type, "local") == 0)
        return export ? "dest" : "src";
    return strcmp(type, "gha") == 0 ? "scope" : "name";
}

static int add_record(struct walk *walk, const char *record, bool export)
{
    char *type = strake_plan_cache_field(record, "type");
    char *place = type ? strake_plan_cache_field(record, place_key(type, export)) : NULL;
    int rc = 0;

    if (type && strcmp(type, "inline") != 0) /* that one is no place of its own */
        rc = add_place(walk, type, place ? place : "", export ? "export" : "import");
    strake_free(type);
    strake_free(place);
    return rc;
}

static int add_records(struct walk *walk, const struct strake_strings *records, bool export)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < records->count; i++)
        rc = add_record(walk, records->items[i], export);
    return rc;
}

/* What a builder that takes one of several platforms uses. */
static int add_parts(struct walk *walk)
{
    const struct strake_plan_target *target = walk->target;
    int rc = 0;

    for (size_t i = 0; rc == 0 && target->platforms.count > 1 && i < target->platforms.count; i++) {
        struct strake_strings one = { .items = &target->platforms.items[i], .count = 1 };
        struct strake_strings import = { 0 }, export = { 0 };
        rc = strake_plan_cache(target, &one, &import, &export);
        if (rc == 0)
            rc = add_records(walk, &export, true);
        if (rc == 0)
            rc = add_records(walk, &import, false);
        strake_strings_dispose(&import);
        strake_strings_dispose(&export);
    }
    return rc;
}

/* ---- of the same family ---- */

/* Names are TARGET[-PLATFORMS][.BRANCH]: is this one of TARGET's, and not of TARGET-something's? */
static bool in_family(const char *base, const char *name)
{
    static const char *const begins[] = { "-linux-", "-windows-", "-darwin-", "-freebsd-" };
    const size_t len = strlen(base);
    const char *rest = name + len, *end;

    if (strncmp(name, base, len) != 0)
        return false;
    if (!*rest || *rest == '.')
        return true;
    for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
        if (strncmp(rest, begins[i], strlen(begins[i])) == 0)
            return true;
    }
    end = *rest == '-' ? rest + 1 + strspn(rest + 1, "0123456789") : rest;
    return end > rest + 1 && strncmp(end, "-platforms-", 11) == 0;
}

/* TARGET of such a name; the caller's. NULL: it is not one that Strake has made, or no memory. */
static char *family_of(const struct strake_plan_target *target, const char *name)
{
    char *base = strake_strndup(name, strcspn(name, "."));
    char *key = target->platforms.count == 1 ? strake_plan_cache_key(&target->platforms) : NULL;
    size_t len = base ? strlen(base) : 0, key_len = key ? strlen(key) : 0;

    if (key_len && len > key_len + 1 && strcmp(base + len - key_len, key) == 0 &&
        base[len - key_len - 1] == '-')
        base[len - key_len - 1] = '\0';
    strake_free(key);
    return base;
}

/* Tags of the repository that are named as this one is. A repository that does not answer is told
 * by the entry itself. */
static int add_tags(struct walk *walk, const char *ref)
{
    static const char begin[] = "buildcache-";
    struct strake_reference parsed = { 0 };
    struct strake_place_in_store place = { 0 };
    struct strake_strings tags = { 0 };
    struct strake_err ignored = { 0 };
    char *base = NULL;
    int rc = strake_stores_open(walk->stores, ref, &parsed, &place, &ignored);

    if (rc < 0 || strncmp(parsed.tag, begin, sizeof(begin) - 1) != 0)
        goto out;
    base = family_of(walk->target, parsed.tag);
    if (!base ||
        strake_registry_tags(place.instance, walk->job, place.repository, &tags, &ignored) < 0)
        goto out;
    rc = 0;
    for (size_t i = 0; rc == 0 && i < tags.count; i++) {
        char *full = in_family(base, tags.items[i])
                         ? strake_asprintf("%s:%s", parsed.name, tags.items[i])
                         : NULL;
        if (full)
            rc = add_place(walk, "registry", full, NULL);
        strake_free(full);
    }
out:
    rc = rc == STRAKE_ENOMEM ? rc : 0;
    strake_free(base);
    strake_strings_dispose(&tags);
    strake_place_in_store_dispose(&place);
    strake_reference_dispose(&parsed);
    strake_err_dispose(&ignored);
    return rc;
}

/* The same among the folders of this project under ~/.cache/strake/build. */
static int add_folders(struct walk *walk, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *parent = slash ? strake_strndup(path, (size_t)(slash - path)) : NULL;
    char *base = slash ? family_of(walk->target, slash + 1) : NULL;
    DIR *dir = parent && strstr(parent, "/strake/build/") ? opendir(parent) : NULL;
    const struct dirent *found;
    int rc = 0;

    while (rc == 0 && base && dir && (found = readdir(dir))) {
        char *full =
            in_family(base, found->d_name) ? strake_asprintf("%s/%s", parent, found->d_name) : NULL;
        if (full)
            rc = add_place(walk, "local", full, NULL);
        strake_free(full);
    }
    if (dir)
        closedir(dir);
    strake_free(parent);
    strake_free(base);
    return rc;
}

static int add_siblings(struct walk *walk)
{
    const struct strake_strings *records = &walk->target->cache_export;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < records->count; i++) {
        char *type = strake_plan_cache_field(records->items[i], "type");
        char *place =
            type ? strake_plan_cache_field(records->items[i], place_key(type, true)) : NULL;
        if (place && strcmp(type, "registry") == 0)
            rc = add_tags(walk, place);
        else if (place && strcmp(type, "local") == 0)
            rc = add_folders(walk, place);
        strake_free(type);
        strake_free(place);
    }
    return rc;
}

int strake_caches_add_places(const struct strake_plan *plan, struct strake_stores *stores,
                             struct strake_job *job, json_t *list, struct strake_err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < plan->count; i++) {
        struct walk walk = {
            .target = &plan->targets[i], .stores = stores, .job = job, .list = list
        };
        rc = add_records(&walk, &walk.target->cache_export, true);
        if (rc == 0)
            rc = add_records(&walk, &walk.target->cache_import, false);
        if (rc == 0)
            rc = add_parts(&walk);
        if (rc == 0)
            rc = add_siblings(&walk);
        if (rc == 0 && strake_job_cancelled(job))
            return strake_job_check(job, err);
    }
    return rc < 0 ? strake_fail_nomem(err) : 0;
}
