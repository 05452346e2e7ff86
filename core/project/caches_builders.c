/* What the builders of a plan keep of earlier builds. */
#include <string.h>

#include "plugin/instance.h"
#include "project/caches.h"
#include "util/json.h"

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

static int show_builder(const struct strake_plan_build *build, struct strake_job *job,
                        json_t *shown)
{
    struct strake_instance *builder = NULL;
    struct strake_err failure = { 0 };
    json_t *entries = NULL;
    int rc = strake_instance_open(build->plugin, build->builder, "builder/1", build->options,
                                  &builder, &failure);

    if (rc == 0)
        rc = strake_builder_usage(builder, job, &entries, &failure);
    if (rc < 0)
        rc = strake_caches_set_failure(shown, &failure);
    else
        rc = strake_json_set_str(shown, "status", "ok") < 0 ? STRAKE_ENOMEM
                                                            : set_sums(shown, entries);
    json_decref(entries);
    strake_instance_unref(builder);
    return rc;
}

static int add_builder(const struct strake_plan_build *build, struct strake_job *job, json_t *list,
                       struct strake_err *err)
{
    json_t *shown = json_object();
    int rc = STRAKE_ENOMEM;

    if (shown && strake_json_set_str(shown, "builder", build->builder) == 0 &&
        strake_json_set_str(shown, "plugin", build->plugin) == 0)
        rc = show_builder(build, job, shown);
    if (rc == 0)
        rc = json_array_append(list, shown) < 0 ? STRAKE_ENOMEM : 0;
    json_decref(shown);
    if (rc == 0)
        return strake_job_check(job, err);
    return strake_fail_nomem(err);
}

int strake_caches_show_builders(const struct strake_plan *plan,
                                const struct strake_caches_wish *wish, struct strake_job *job,
                                json_t *list, struct strake_err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < plan->count; i++) {
        for (size_t k = 0; rc == 0 && k < plan->targets[i].build_count; k++) {
            const struct strake_plan_build *build = &plan->targets[i].builds[k];
            if (wish->builder && strcmp(wish->builder, build->builder) != 0)
                continue;
            if (!listed(list, build->builder))
                rc = add_builder(build, job, list, err);
        }
    }
    return rc;
}
