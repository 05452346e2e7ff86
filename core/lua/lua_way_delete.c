/* The primitives of scripts/delete.lua: what hangs together in a repository, and taking away. */
#include <string.h>

#include "build/survey.h"
#include "lua/lua_way.h"
#include "util/json.h"

static int survey_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct strake_way_call *call = ctx;

    return strake_survey(call->session->stores, strake_json_str(call->args, "repository"),
                         json_object_get(call->args, "digests"), job, &call->out, err);
}

/* survey { repository, digests } -> { tags, manifests } (build/survey.h) */
static int way_survey(lua_State *L)
{
    struct strake_way_call *call = strake_way_call_new(L, strake_way_json(L, 1));

    return strake_way_await(L, call, survey_run, strake_way_push_out);
}

/* What a tag's deletion is told by: from its digest to nowhere. */
static void post_deleted(struct strake_job *job, const char *ref, const char *digest)
{
    json_t *data = json_object();

    if (data && strake_json_set_str(data, "ref", ref) == 0 &&
        strake_json_set_str(data, "from", digest) == 0 && strake_json_set_str(data, "to", "") == 0)
        strake_job_event(job, STRAKE_EVENT_TAG_MOVED, data);
    else
        json_decref(data);
}

static int tag_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct strake_way_call *call = ctx;
    const char *ref = strake_json_str(call->args, "ref");
    int rc = strake_tag_delete(call->session->stores, ref, job, err);

    if (rc == 0)
        post_deleted(job, ref, strake_json_str(call->args, "digest"));
    return rc;
}

/* delete_tag { ref, digest }: the tag goes, what it shows stays */
static int way_delete_tag(lua_State *L)
{
    struct strake_way_call *call = strake_way_call_new(L, strake_way_json(L, 1));

    return strake_way_await(L, call, tag_run, strake_way_push_nothing);
}

static int manifest_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct strake_way_call *call = ctx;
    const char *repository = strake_json_str(call->args, "repository");
    const char *digest = strake_json_str(call->args, "digest");
    const json_t *refs = json_object_get(call->args, "refs"), *ref;
    size_t i;
    int rc = strake_manifest_delete(call->session->stores, repository, digest, job, err);

    if (rc == 0) {
        json_array_foreach(refs, i, ref)
            post_deleted(job, json_string_value(ref), digest);
    }
    return rc;
}

/* delete_manifest { repository, digest, refs }: it goes, and with it the tags `refs` that show it */
static int way_delete_manifest(lua_State *L)
{
    struct strake_way_call *call = strake_way_call_new(L, strake_way_json(L, 1));

    return strake_way_await(L, call, manifest_run, strake_way_push_nothing);
}

void strake_way_open_delete(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "survey", way_survey },
        { "delete_tag", way_delete_tag },
        { "delete_manifest", way_delete_manifest },
        { NULL, NULL },
    };

    strake_lua_core_add(L, functions);
}
