/* What the builders of a plan keep of earlier builds. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/instance.h"
#include "project/caches.h"
#include "util/json.h"
#include "util/time.h"

/* ---- which builders ---- */

static bool listed(const json_t *list, const char *builder)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(list, i, entry) {
        if (strcmp(strake_json_str(entry, "builder"), builder) == 0)
            return true;
    }
    return false;
}

/* ---- one builder ---- */

/* The sums that people ask for. */
struct sums {
    int64_t size_bytes;
    int64_t in_use_bytes;
    const char *oldest; /* RFC 3339 in UTC sorts as text does */
    const char *last_used;
    json_t *types; /* type -> {"records","size_bytes"} */
};

static int count_type(struct sums *sums, const char *type, int64_t size)
{
    json_t *of_type = json_object_get(sums->types, type);

    if (!of_type) {
        if (strake_json_set(sums->types, type, json_object()) < 0)
            return STRAKE_ENOMEM;
        of_type = json_object_get(sums->types, type);
    }
    if (strake_json_set_int(of_type, "records", strake_json_int(of_type, "records", 0) + 1) < 0)
        return STRAKE_ENOMEM;
    return strake_json_set_int(of_type, "size_bytes",
                               strake_json_int(of_type, "size_bytes", 0) + size);
}

static int add_up(struct sums *sums, const json_t *entries)
{
    const json_t *entry;
    int rc = 0;
    size_t i;

    json_array_foreach(entries, i, entry) {
        const int64_t size = strake_json_int(entry, "size_bytes", 0);
        const char *type = strake_json_str(entry, "type");
        const char *created = strake_json_str(entry, "created");
        const char *used = strake_json_str(entry, "last_used");
        sums->size_bytes += size;
        if (strake_json_bool(entry, "in_use", false))
            sums->in_use_bytes += size;
        if (created && (!sums->oldest || strcmp(created, sums->oldest) < 0))
            sums->oldest = created;
        if (used && (!sums->last_used || strcmp(used, sums->last_used) > 0))
            sums->last_used = used;
        if (rc == 0)
            rc = count_type(sums, type && *type ? type : "other", size);
    }
    return rc;
}

static int set_sums(json_t *shown, const json_t *entries)
{
    struct sums sums = { .types = json_object() };
    int rc = sums.types ? add_up(&sums, entries) : STRAKE_ENOMEM;

    if (rc == 0 && (strake_json_set_int(shown, "records", (int64_t)json_array_size(entries)) < 0 ||
                    strake_json_set_int(shown, "size_bytes", sums.size_bytes) < 0 ||
                    strake_json_set_int(shown, "in_use_bytes", sums.in_use_bytes) < 0 ||
                    strake_json_set_str(shown, "oldest", sums.oldest) < 0 ||
                    strake_json_set_str(shown, "last_used", sums.last_used) < 0 ||
                    json_object_set(shown, "types", sums.types) < 0))
        rc = STRAKE_ENOMEM;
    json_decref(sums.types);
    return rc;
}

/* A builder that cannot be asked is told in its entry: the others are still of interest. */
int strake_caches_set_failure(json_t *shown, struct strake_err *failure)
{
    const char *status = failure->code == STRAKE_EUNSUPPORTED ? "unsupported"
                         : failure->code == STRAKE_ENOTFOUND  ? "absent"
                                                              : "failed";
    int rc = strake_json_set_str(shown, "status", status);

    if (rc == 0 && failure->code != STRAKE_ENOTFOUND)
        rc = strake_json_set(shown, "error", strake_err_json(failure));
    strake_err_dispose(failure);
    return rc;
}

/* ---- what would go ---- */

struct candidate {
    const char *used; /* when it was last */
    int64_t size_bytes;
    json_t *entry;
};

static int compare_used(const void *a, const void *b)
{
    const struct candidate *left = a, *right = b;

    return strcmp(left->used, right->used);
}

static const char *last_use(const json_t *entry)
{
    const char *used = strake_json_str(entry, "last_used");
    const char *created = strake_json_str(entry, "created");

    return used ? used : created ? created : "";
}

static bool old_enough(const char *used, int64_t older_ms)
{
    int64_t us;

    return older_ms <= 0 || strake_time_parse(used, &us) < 0 ||
           us < strake_time_now_us() - older_ms * 1000;
}

/* Without removing anything nobody can know exactly: what is a record's parent goes only with it.
 * The oldest of what is not in use, until so much is left. */
static int would_go(const json_t *entries, const struct strake_caches_wish *wish, json_t **gone)
{
    struct candidate *candidates = strake_calloc(json_array_size(entries) + 1, sizeof(*candidates));
    int64_t left = 0;
    size_t count = 0, i;
    json_t *entry;
    int rc = candidates && (*gone = json_array()) ? 0 : STRAKE_ENOMEM;

    json_array_foreach(entries, i, entry) {
        const char *used = last_use(entry);
        left += strake_json_int(entry, "size_bytes", 0);
        if (rc == 0 && !strake_json_bool(entry, "in_use", false) &&
            old_enough(used, wish->older_ms))
            candidates[count++] = (struct candidate){
                .used = used, .size_bytes = strake_json_int(entry, "size_bytes", 0), .entry = entry
            };
    }
    if (count)
        qsort(candidates, count, sizeof(*candidates), compare_used);
    for (i = 0; rc == 0 && i < count && left > wish->keep_bytes; i++) {
        left -= candidates[i].size_bytes;
        rc = json_array_append(*gone, candidates[i].entry) < 0 ? STRAKE_ENOMEM : 0;
    }
    strake_free(candidates);
    return rc;
}

/* ---- asking ---- */

static int ask_builder(struct strake_instance *builder, const struct strake_caches_wish *wish,
                       bool prune, struct strake_job *job, json_t **entries,
                       struct strake_err *failure)
{
    json_t *all = NULL;
    int rc;

    if (!prune)
        return strake_builder_usage(builder, job, entries, failure);
    if (!wish->dry_run)
        return strake_builder_prune(builder, job, wish->older_ms, wish->keep_bytes, entries,
                                    failure);
    rc = strake_builder_usage(builder, job, &all, failure);
    if (rc == 0 && would_go(all, wish, entries) < 0)
        rc = strake_fail_nomem(failure);
    json_decref(all);
    return rc;
}

static int set_removed(json_t *shown, const json_t *entries, bool dry_run)
{
    const json_t *entry;
    int64_t size = 0;
    size_t i;

    json_array_foreach(entries, i, entry)
        size += strake_json_int(entry, "size_bytes", 0);
    if (strake_json_set_str(shown, "status", dry_run ? "would-remove" : "removed") < 0 ||
        strake_json_set_int(shown, "records", (int64_t)json_array_size(entries)) < 0)
        return STRAKE_ENOMEM;
    return strake_json_set_int(shown, "size_bytes", size);
}

static int show_builder(const struct strake_plan_build *build,
                        const struct strake_caches_wish *wish, bool prune, struct strake_job *job,
                        json_t *shown)
{
    struct strake_instance *builder = NULL;
    struct strake_err failure = { 0 };
    json_t *entries = NULL;
    int rc = strake_instance_open(build->plugin, build->builder, "builder/1", build->options,
                                  &builder, &failure);

    if (rc == 0)
        rc = ask_builder(builder, wish, prune, job, &entries, &failure);
    if (rc < 0)
        rc = strake_caches_set_failure(shown, &failure);
    else if (prune)
        rc = set_removed(shown, entries, wish->dry_run);
    else
        rc = strake_json_set_str(shown, "status", "ok") < 0 ? STRAKE_ENOMEM
                                                            : set_sums(shown, entries);
    json_decref(entries);
    strake_instance_unref(builder);
    return rc;
}

/* ---- all of them, side by side: one that hangs costs the others nothing ---- */

/* One builder being asked, on a thread of its own. */
struct turn {
    const struct strake_plan_build *build;
    const struct strake_caches_wish *wish;
    bool prune;
    struct strake_job *job;
    json_t *shown; /* the list's */
    int rc;
    pthread_t thread;
    bool running;
};

static void *turn_run(void *ctx)
{
    struct turn *turn = ctx;

    turn->rc = show_builder(turn->build, turn->wish, turn->prune, turn->job, turn->shown);
    return NULL;
}

static int add_turn(struct turn *turn, json_t *list)
{
    turn->shown = json_object();
    if (!turn->shown || strake_json_set_str(turn->shown, "builder", turn->build->builder) < 0 ||
        strake_json_set_str(turn->shown, "plugin", turn->build->plugin) < 0 ||
        json_array_append(list, turn->shown) < 0) {
        json_decref(turn->shown);
        return STRAKE_ENOMEM;
    }
    json_decref(turn->shown);
    return 0;
}

static size_t count_builds(const struct strake_plan *plan)
{
    size_t count = 0;

    for (size_t i = 0; i < plan->count; i++)
        count += plan->targets[i].build_count;
    return count;
}

/* Each builder once, in the order of the plan. */
static int list_turns(const struct strake_plan *plan, const struct turn *like, struct turn *turns,
                      size_t *count, json_t *list)
{
    const char *only = like->wish->builder;
    int rc = 0;

    for (size_t i = 0; i < plan->count; i++) {
        for (size_t k = 0; rc == 0 && k < plan->targets[i].build_count; k++) {
            const struct strake_plan_build *build = &plan->targets[i].builds[k];
            if ((only && strcmp(only, build->builder) != 0) || listed(list, build->builder))
                continue;
            turns[*count] = *like;
            turns[*count].build = build;
            rc = add_turn(&turns[(*count)++], list);
        }
    }
    return rc;
}

int strake_caches_add_builders(const struct strake_plan *plan,
                               const struct strake_caches_wish *wish, bool prune,
                               struct strake_job *job, json_t *list, struct strake_err *err)
{
    const struct turn like = { .wish = wish, .prune = prune, .job = job };
    struct turn *turns = strake_calloc(count_builds(plan) + 1, sizeof(*turns));
    size_t count = 0;
    int rc = turns ? list_turns(plan, &like, turns, &count, list) : STRAKE_ENOMEM;

    for (size_t i = 0; rc == 0 && i < count; i++)
        turns[i].running = pthread_create(&turns[i].thread, NULL, turn_run, &turns[i]) == 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (turns[i].running)
            pthread_join(turns[i].thread, NULL);
        else
            turn_run(&turns[i]);
    }
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = turns[i].rc;
    strake_free(turns);
    if (rc < 0)
        return strake_fail_nomem(err);
    return strake_job_cancelled(job) ? strake_job_check(job, err) : 0;
}
