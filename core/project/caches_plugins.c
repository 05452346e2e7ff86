/* Caches of types that plugins have added: only they know what is there. */
#include <string.h>

#include "plugin/instance.h"
#include "project/caches.h"
#include "util/json.h"

/* One question to one plugin. */
struct asking {
    const struct strake_plan *plan;
    const struct strake_plan_target *target;
    const struct strake_plan_cache_ask *ask;
    const struct strake_caches_wish *wish;
    bool prune;
    struct strake_job *job;
    json_t *list;
};

static int call_plugin(const struct asking *asking, json_t **entries, struct strake_err *err)
{
    const struct strake_plan_target *target = asking->target;
    const struct strake_cache_request request = {
        .size = sizeof(request),
        .target = target->name,
        .image = target->images.count ? target->images.items[0] : "",
        .platform = "",
        .branch = asking->ask->branch,
        .options = asking->ask->options,
        .main_branch = asking->ask->main_branch,
        .older_ms = asking->wish->older_ms,
        .keep_bytes = asking->wish->keep_bytes,
        .tags = strake_strings_view(&target->tags),
        .project = asking->plan->dir,
    };
    struct strake_instance *plugin = NULL;
    int rc =
        strake_instance_open(asking->ask->type, asking->ask->type, "cache/1", NULL, &plugin, err);

    if (rc == 0 && asking->prune && !asking->wish->dry_run)
        rc = strake_cache_prune(plugin, asking->job, &request, entries, err);
    else if (rc == 0)
        rc = strake_cache_show(plugin, asking->job, &request, entries, err);
    strake_instance_unref(plugin);
    return rc;
}

static int set_names(const struct asking *asking, json_t *entry, const char *status)
{
    if (strake_json_set_str(entry, "target", asking->target->name) < 0 ||
        strake_json_set_str(entry, "type", asking->ask->type) < 0)
        return STRAKE_ENOMEM;
    return status ? strake_json_set_str(entry, "status", status) : 0;
}

/* A plugin that cannot say is listed by its records; one that failed has an entry for that. */
static int add_failure(const struct asking *asking, struct strake_err *failure)
{
    json_t *entry;
    int rc = STRAKE_ENOMEM;

    if (failure->code == STRAKE_EUNSUPPORTED || failure->code == STRAKE_ECANCELLED) {
        strake_err_dispose(failure);
        return 0;
    }
    entry = json_object();
    if (entry && set_names(asking, entry, NULL) == 0 &&
        strake_json_set_str(entry, "place", "") == 0)
        rc = strake_caches_set_failure(entry, failure);
    strake_err_dispose(failure);
    if (rc == 0)
        rc = json_array_append(asking->list, entry) < 0 ? STRAKE_ENOMEM : 0;
    json_decref(entry);
    return rc;
}

static int add_entries(const struct asking *asking, const json_t *entries)
{
    const bool dry = asking->prune && asking->wish->dry_run;
    const char *status = dry ? "would-remove" : asking->prune ? "removed" : "ok";
    json_t *entry;
    size_t i;

    json_array_foreach(entries, i, entry) {
        if (dry && !strake_caches_is_old(entry, asking->wish->older_ms))
            continue;
        if (set_names(asking, entry, status) < 0 || json_array_append(asking->list, entry) < 0)
            return STRAKE_ENOMEM;
    }
    return 0;
}

static int ask(const struct asking *asking)
{
    struct strake_err failure = { 0 };
    json_t *entries = NULL;
    int rc = call_plugin(asking, &entries, &failure);

    if (rc == STRAKE_ENOMEM)
        strake_err_dispose(&failure);
    else
        rc = rc < 0 ? add_failure(asking, &failure) : add_entries(asking, entries);
    json_decref(entries);
    return rc;
}

int strake_caches_add_plugins(const struct strake_plan *plan, const struct strake_caches_wish *wish,
                              bool prune, struct strake_job *job, json_t *list,
                              struct strake_err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < plan->count; i++) {
        const struct strake_plan_target *target = &plan->targets[i];
        for (size_t k = 0; rc == 0 && k < target->cache_ask_count; k++) {
            const struct asking asking = { .plan = plan,
                                           .target = target,
                                           .ask = &target->cache_asks[k],
                                           .wish = wish,
                                           .prune = prune,
                                           .job = job,
                                           .list = list };
            rc = ask(&asking);
        }
    }
    if (rc < 0)
        return strake_fail_nomem(err);
    return strake_job_cancelled(job) ? strake_job_check(job, err) : 0;
}
