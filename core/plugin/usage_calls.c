/* Checked calls into what builders keep of earlier builds: builder/1's usage() and prune(). */
#include "plugin/call.h"
#include "plugin/instance_impl.h"
#include "util/json.h"
#include "util/mem.h"

/* A daemon of years has some ten thousand records of some 400 bytes. */
#define ENTRIES_MAX STRAKE_BUF_MAX

struct usage_call {
    struct strake_call call;
    int64_t older_ms;
    int64_t keep_bytes;
    struct strake_buf entries;
};

static int run_usage(struct strake_call *call)
{
    struct usage_call *usage = (struct usage_call *)call;
    const struct strake_instance *builder = call->instance;

    return builder->as.builder.usage(builder->self, call->job, &usage->entries, &call->err);
}

static int run_prune(struct strake_call *call)
{
    struct usage_call *usage = (struct usage_call *)call;
    const struct strake_instance *builder = call->instance;

    return builder->as.builder.prune(builder->self, call->job, usage->older_ms, usage->keep_bytes,
                                     &usage->entries, &call->err);
}

static void dispose_usage(struct strake_call *call)
{
    strake_buf_dispose(&((struct usage_call *)call)->entries);
}

/* Each entry has at least a size. */
static bool are_entries(const json_t *list)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(list, i, entry) {
        if (strake_json_int(entry, "size_bytes", -1) < 0)
            return false;
    }
    return json_is_array(list);
}

static int read_entries(const struct usage_call *made, json_t **entries, struct strake_err *err)
{
    json_t *doc = strake_json_parse(strake_buf_text(&made->entries), made->entries.len,
                                    "what the builder keeps", STRAKE_EINTERNAL, err);

    if (!doc)
        return err->code;
    if (!are_entries(doc)) {
        json_decref(doc);
        return strake_fail(err, STRAKE_EINTERNAL, "the plugin %s: %s() gave no list of entries",
                           strake_instance_type(made->call.instance), made->call.method);
    }
    *entries = doc;
    return 0;
}

static int make_call(struct strake_instance *builder, struct strake_job *job, const char *method,
                     int (*run)(struct strake_call *call), int64_t older_ms, int64_t keep_bytes,
                     json_t **entries, struct strake_err *err)
{
    struct usage_call *made =
        strake_call_new(sizeof(*made), builder, method, job, run, dispose_usage);
    int rc;

    *entries = NULL;
    if (!made)
        return strake_fail_nomem(err);
    made->older_ms = older_ms;
    made->keep_bytes = keep_bytes;
    made->entries.max = ENTRIES_MAX;
    rc = strake_call_make(&made->call, STRAKE_CALL_NO_LIMIT, err);
    if (rc == 0)
        rc = read_entries(made, entries, err);
    strake_call_unref(&made->call);
    return rc;
}

int strake_builder_usage(struct strake_instance *builder, struct strake_job *job, json_t **entries,
                         struct strake_err *err)
{
    if (!builder->as.builder.usage)
        return strake_fail(err, STRAKE_EUNSUPPORTED,
                           "a builder of type %s does not tell what it "
                           "keeps",
                           strake_instance_type(builder));
    return make_call(builder, job, "usage", run_usage, 0, 0, entries, err);
}

int strake_builder_prune(struct strake_instance *builder, struct strake_job *job, int64_t older_ms,
                         int64_t keep_bytes, json_t **removed, struct strake_err *err)
{
    if (!builder->as.builder.prune)
        return strake_fail(err, STRAKE_EUNSUPPORTED,
                           "a builder of type %s does not let go of what it keeps",
                           strake_instance_type(builder));
    return make_call(builder, job, "prune", run_prune, older_ms, keep_bytes, removed, err);
}
