/* Checked calls into cache/1. */
#include "plugin/call.h"
#include "plugin/instance_impl.h"
#include "util/json.h"
#include "util/mem.h"

#define SPECS_MAX ((size_t)1024 * 1024)
#define ENTRIES_MAX ((size_t)16 * 1024 * 1024)

struct specs_call {
    struct strake_call call;
    struct strake_cache_request request;
    struct strake_strings tags;
    struct strake_buf text;
};

static int run_specs(struct strake_call *call)
{
    struct specs_call *specs = (struct specs_call *)call;
    const struct strake_instance *cache = call->instance;

    return cache->as.cache.specs(cache->self, &specs->request, &specs->text, &call->err);
}

static int run_show(struct strake_call *call)
{
    struct specs_call *specs = (struct specs_call *)call;
    const struct strake_instance *cache = call->instance;

    return cache->as.cache.show(cache->self, call->job, &specs->request, &specs->text, &call->err);
}

static int run_prune(struct strake_call *call)
{
    struct specs_call *specs = (struct specs_call *)call;
    const struct strake_instance *cache = call->instance;

    return cache->as.cache.prune(cache->self, call->job, &specs->request, &specs->text, &call->err);
}

static void dispose_specs(struct strake_call *call)
{
    struct specs_call *specs = (struct specs_call *)call;

    strake_buf_dispose(&specs->text);
    strake_strings_dispose(&specs->tags);
}

static int copy_request(struct specs_call *specs, const struct strake_cache_request *from)
{
    struct strake_cache_request *to = &specs->request;
    const struct {
        const char *text;
        const char **copy;
    } texts[] = {
        { from->target, &to->target },     { from->image, &to->image },
        { from->platform, &to->platform }, { from->branch, &to->branch },
        { from->options, &to->options },   { from->main_branch, &to->main_branch },
        { from->project, &to->project },
    };
    int rc = 0;

    *to = *from; /* flags and numbers; each pointer is set anew below */
    to->size = sizeof(*to);
    for (size_t i = 0; rc == 0 && i < sizeof(texts) / sizeof(texts[0]); i++)
        rc = strake_call_copy(&specs->call, texts[i].text, texts[i].copy);
    for (size_t i = 0; rc == 0 && from->tags && from->tags[i]; i++)
        rc = strake_strings_add(&specs->tags, from->tags[i]);
    to->tags = strake_strings_view(&specs->tags);
    return rc;
}

static bool list_of_strings(const json_t *list)
{
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item) {
        if (!json_is_string(item))
            return false;
    }
    return json_is_array(list);
}

static int read_specs(const struct specs_call *made, json_t **specs, struct strake_err *err)
{
    const char *plugin = strake_instance_type(made->call.instance);
    json_t *doc = strake_json_parse(strake_buf_text(&made->text), made->text.len,
                                    "what the cache plugin answered", STRAKE_EINTERNAL, err);

    if (!doc)
        return err->code;
    if (!list_of_strings(json_object_get(doc, "import")) ||
        !list_of_strings(json_object_get(doc, "export"))) {
        json_decref(doc);
        return strake_fail(err, STRAKE_EINTERNAL,
                           "the plugin %s: specs() gave no lists of strings "
                           "\"import\" and \"export\"",
                           plugin);
    }
    *specs = doc;
    return 0;
}

int strake_cache_specs(struct strake_instance *cache, const struct strake_cache_request *request,
                       json_t **specs, struct strake_err *err)
{
    struct specs_call *made =
        strake_call_new(sizeof(*made), cache, "specs", NULL, run_specs, dispose_specs);
    int rc;

    if (!made)
        return strake_fail_nomem(err);
    made->text.max = SPECS_MAX;
    rc = copy_request(made, request);
    if (rc < 0)
        rc = strake_fail_nomem(err);
    else
        rc = strake_call_make(&made->call, STRAKE_CALL_LIMIT_MS, err);
    if (rc == 0)
        rc = read_specs(made, specs, err);
    strake_call_unref(&made->call);
    return rc;
}

/* ---- show and prune ---- */

/* Each entry has a place and a size. */
static bool list_of_entries(const json_t *list)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(list, i, entry) {
        if (!strake_json_str(entry, "place") || strake_json_int(entry, "size_bytes", -1) < 0)
            return false;
    }
    return json_is_array(list);
}

static int read_entries(const struct specs_call *made, json_t **entries, struct strake_err *err)
{
    json_t *doc = strake_json_parse(strake_buf_text(&made->text), made->text.len,
                                    "what the cache plugin answered", STRAKE_EINTERNAL, err);

    if (!doc)
        return err->code;
    if (!list_of_entries(doc)) {
        json_decref(doc);
        return strake_fail(err, STRAKE_EINTERNAL,
                           "the plugin %s: %s() gave no list of entries with \"place\" and "
                           "\"size_bytes\"",
                           strake_instance_type(made->call.instance), made->call.method);
    }
    *entries = doc;
    return 0;
}

static int ask_entries(struct strake_instance *cache, struct strake_job *job, const char *method,
                       int (*run)(struct strake_call *call),
                       const struct strake_cache_request *request, json_t **entries,
                       struct strake_err *err)
{
    struct specs_call *made =
        strake_call_new(sizeof(*made), cache, method, job, run, dispose_specs);
    int rc;

    *entries = NULL;
    if (!made)
        return strake_fail_nomem(err);
    made->text.max = ENTRIES_MAX;
    rc = copy_request(made, request);
    rc = rc < 0 ? strake_fail_nomem(err) : strake_call_make(&made->call, STRAKE_CALL_NO_LIMIT, err);
    if (rc == 0)
        rc = read_entries(made, entries, err);
    strake_call_unref(&made->call);
    return rc;
}

int strake_cache_show(struct strake_instance *cache, struct strake_job *job,
                      const struct strake_cache_request *request, json_t **entries,
                      struct strake_err *err)
{
    if (!cache->as.cache.show)
        return strake_fail(err, STRAKE_EUNSUPPORTED,
                           "a cache of type %s does not tell what it holds",
                           strake_instance_type(cache));
    return ask_entries(cache, job, "show", run_show, request, entries, err);
}

int strake_cache_prune(struct strake_instance *cache, struct strake_job *job,
                       const struct strake_cache_request *request, json_t **removed,
                       struct strake_err *err)
{
    if (!cache->as.cache.prune)
        return strake_fail(err, STRAKE_EUNSUPPORTED,
                           "a cache of type %s does not let go of what it holds",
                           strake_instance_type(cache));
    return ask_entries(cache, job, "prune", run_prune, request, removed, err);
}
