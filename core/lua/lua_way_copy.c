/* The primitives of scripts/way.lua that copy images. */
#include "build/copy.h"
#include "lua/lua_way.h"
#include "util/json.h"

/* args: { source, destination, platforms, referrers } */
static int with_request(struct strake_way_call *call, struct strake_job *job,
                        int (*run)(struct strake_stores *stores,
                                   const struct strake_copy_request *request,
                                   struct strake_job *job, json_t **out, struct strake_err *err),
                        struct strake_err *err)
{
    const json_t *list = json_object_get(call->args, "platforms"), *platform;
    struct strake_strings platforms = { 0 };
    struct strake_copy_request request = {
        .source = strake_json_str(call->args, "source"),
        .destination = strake_json_str(call->args, "destination"),
        .referrers = strake_json_bool(call->args, "referrers", false),
    };
    size_t i;
    int rc = 0;

    json_array_foreach(list, i, platform) {
        if (rc == 0 && strake_strings_add(&platforms, json_string_value(platform)) < 0)
            rc = strake_fail_nomem(err);
    }
    request.platforms = strake_strings_view(&platforms);
    if (rc == 0)
        rc = run(call->session->stores, &request, job, &call->out, err);
    strake_strings_dispose(&platforms);
    return rc;
}

static int look_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    return with_request(ctx, job, strake_copy_look, err);
}

static int copy_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    return with_request(ctx, job, strake_copy_run, err);
}

/* copy_look(args) -> { digest, source, repository, ref } */
static int way_copy_look(lua_State *L)
{
    return strake_way_await(L, strake_way_call_new(L, strake_way_json(L, 1)), look_run,
                            strake_way_push_out);
}

/* copy(args) -> { digest, source_digest, repository, ref, blobs, copied_bytes, referrers, … } */
static int way_copy(lua_State *L)
{
    return strake_way_await(L, strake_way_call_new(L, strake_way_json(L, 1)), copy_run,
                            strake_way_push_out);
}

void strake_way_open_copy(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "copy", way_copy },
        { "copy_look", way_copy_look },
        { NULL, NULL },
    };

    strake_lua_core_add(L, functions);
}
