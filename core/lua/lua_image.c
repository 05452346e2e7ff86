/* image.inspect, image.digest: what a registry or a layout has, asked on a thread through the hook
 * that the rooms above give. */
#include "lua/engine_impl.h"
#include "util/json.h"

struct inspect {
    struct strake_engine *engine;
    char *ref;
    json_t *image;
    bool digest_only;
};

static void inspect_drop(void *ctx)
{
    struct inspect *inspect = ctx;

    strake_free(inspect->ref);
    json_decref(inspect->image);
    strake_free(inspect);
}

static int inspect_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct inspect *inspect = ctx;
    const struct strake_lua_hooks *hooks = inspect->engine->hooks;

    if (!hooks || !hooks->image_inspect)
        return strake_fail(err, STRAKE_EUNSUPPORTED, "this command cannot look at images");
    return hooks->image_inspect(inspect->engine->session, inspect->ref, job, &inspect->image, err);
}

static int inspect_push(lua_State *L, void *ctx)
{
    const struct inspect *inspect = ctx;

    strake_lua_push_json(L, inspect->digest_only ? json_object_get(inspect->image, "digest")
                                                 : inspect->image);
    return 1;
}

static int begin(lua_State *L, const char *name, bool digest_only)
{
    struct strake_lua_call call = { .run = inspect_run,
                                    .push = inspect_push,
                                    .drop = inspect_drop };
    const char *ref = luaL_checkstring(L, 1);
    struct inspect *inspect;

    strake_lua_allow(L, STRAKE_LUA_FLOW | STRAKE_LUA_POLICY | STRAKE_LUA_INTERNAL, name);
    strake_task_check_wait(L);
    inspect = strake_calloc(1, sizeof(*inspect));
    if (!inspect)
        strake_lua_fail(L, STRAKE_ENOMEM, NULL, "out of memory");
    strake_lua_park(L, &call, inspect);
    inspect->engine = strake_lua_engine(L);
    inspect->digest_only = digest_only;
    inspect->ref = strake_strdup(ref);
    if (!inspect->ref)
        strake_lua_fail(L, STRAKE_ENOMEM, NULL, "out of memory");
    return strake_lua_await(L, &call);
}

/* image.inspect(ref) -> table. Yields. */
static int image_inspect(lua_State *L)
{
    return begin(L, "image.inspect", false);
}

/* image.digest(ref) -> string. Yields. */
static int image_digest(lua_State *L)
{
    return begin(L, "image.digest", true);
}

void strake_lua_open_image(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "inspect", image_inspect },
        { "digest", image_digest },
        { NULL, NULL },
    };

    luaL_newlib(L, functions);
    strake_lua_protect(L, "image");
    strake_lua_define(L, "image");
}
