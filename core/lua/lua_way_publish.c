/* The primitives of scripts/way.lua that look at images, move tags and send messages. */
#include <string.h>

#include "build/inspect.h"
#include "lua/lua_way.h"
#include "util/json.h"

/* ---- inspect(ref) -> strake.image/1 ---- */

static int inspect_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct strake_way_call *call = ctx;

    return strake_inspect(call->session->stores, call->text, job, &call->out, err);
}

/* ---- resolve(ref) -> digest ---- */

static int resolve_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct strake_way_call *call = ctx;
    struct strake_descriptor found = { .size = sizeof(found) };
    struct strake_reference ref = { 0 };
    struct strake_place_in_store place = { 0 };
    int rc = strake_stores_open(call->session->stores, call->text, &ref, &place, err);

    if (rc == 0)
        rc = strake_registry_resolve(place.instance, job, place.repository,
                                     strake_reference_object(&ref), &found, err);
    if (rc == 0 && !(call->out = json_string(found.digest)))
        rc = strake_fail_nomem(err);
    strake_place_in_store_dispose(&place);
    strake_reference_dispose(&ref);
    return rc;
}

/* ---- take(ref) -> digest: what publish() of the same command will put ---- */

static int take_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct strake_way_call *call = ctx;
    int rc = strake_tag_take(call->session->stores, call->text, job, &call->session->taken, err);

    if (rc == 0 && !(call->out = json_string(call->session->taken.digest)))
        rc = strake_fail_nomem(err);
    return rc;
}

/* All take a reference and give what was found. */
static int await_ref(lua_State *L,
                     int (*run)(void *ctx, struct strake_job *job, struct strake_err *err))
{
    const char *ref = luaL_checkstring(L, 1);
    struct strake_way_call *call = strake_way_call_new(L, NULL);

    call->text = strake_strdup(ref);
    if (!call->text) {
        strake_way_call_drop(call);
        return luaL_error(L, "out of memory");
    }
    return strake_way_await(L, call, run, strake_way_push_out);
}

static int way_inspect(lua_State *L)
{
    return await_ref(L, inspect_run);
}

static int way_resolve(lua_State *L)
{
    return await_ref(L, resolve_run);
}

static int way_take(lua_State *L)
{
    return await_ref(L, take_run);
}

/* ---- publish({ { ref, source, digest } … }, before, { force, kind }) -> moves, failure ---- */

static int publish_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct strake_way_call *call = ctx;
    const json_t *list = json_object_get(call->args, "tags");
    const json_t *given = json_object_get(call->args, "options");
    const char *kind = strake_json_str(given, "kind");
    size_t count = json_array_size(list);
    struct strake_publish_tag *tags = strake_calloc(count + 1, sizeof(*tags));
    struct strake_publish_options options = { .run = call->session->run,
                                              .kind = kind ? kind : "publish",
                                              .force = strake_json_bool(given, "force", false),
                                              .kept = &call->kept };

    if (!tags)
        return strake_fail_nomem(err);
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(list, i);
        tags[i] = (struct strake_publish_tag){ .ref = strake_json_str(entry, "ref"),
                                               .source = strake_json_str(entry, "source"),
                                               .digest = strake_json_str(entry, "digest") };
    }
    strake_publish(call->session->stores, call->session->record, tags, count, call->before,
                   &options, job, &call->out, &call->err);
    strake_free(tags);
    return 0;
}

/* Does not raise: the caller owns `args`. */
static int take_json(lua_State *L, int index, json_t *args, const char *key, struct strake_err *err)
{
    json_t *value = NULL;
    int rc = strake_lua_to_json(L, index, &value, err);

    if (rc == 0 && strake_json_set(args, key, value) < 0)
        rc = strake_fail_nomem(err);
    return rc;
}

static int way_publish(lua_State *L)
{
    struct strake_session *session = strake_way_session(L);
    bool before = lua_toboolean(L, 2);
    json_t *args = json_object();
    struct strake_err err = { 0 };
    struct strake_way_call *call;

    if (take_json(L, 1, args, "tags", &err) < 0 || take_json(L, 3, args, "options", &err) < 0) {
        json_decref(args);
        strake_lua_raise(L, &err);
    }
    call = strake_way_call_new(L, args);
    if (before) {
        call->before = session->before;
        session->before = NULL;
    }
    call->kept = session->taken;
    session->taken = (struct strake_manifest_kept){ 0 }; /* moved */
    return strake_way_await(L, call, publish_run, strake_way_push_both);
}

/* ---- settle({ force }) -> report, failure ---- */

static int settle_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct strake_way_call *call = ctx;

    if (!call->session->record) {
        call->out = json_array();
        return call->out ? 0 : strake_fail_nomem(err);
    }
    strake_publish_settle(call->session->stores, call->session->record,
                          strake_json_bool(call->args, "force", false), job, &call->out,
                          &call->err);
    return call->out ? 0 : strake_fail_nomem(err); /* a failure goes along with the report */
}

static int way_settle(lua_State *L)
{
    json_t *args = strake_way_json(L, 1);
    struct strake_way_call *call = strake_way_call_new(L, args);

    return strake_way_await(L, call, settle_run, strake_way_push_both);
}

/* ---- messages ---- */

/* notify { title, message, to, priority, tags, click } */
static int way_notify(lua_State *L)
{
    json_t *json = strake_way_json(L, 1);
    const char *text = strake_json_str(json, "message"), *to = strake_json_str(json, "to");
    json_t *message = json_copy(json);
    struct strake_err err = { 0 };
    int rc;

    if (!text || !*text) {
        rc = strake_fail(&err, STRAKE_EUSAGE, "notify needs a message");
    } else {
        json_object_del(message, "message");
        json_object_del(message, "to");
        rc = strake_json_set_str(message, "text", text) < 0 ||
                     strake_json_set_str(message, "event", "message") < 0
                 ? strake_fail_nomem(&err)
                 : strake_session_notify(strake_way_session(L), message, to, &err);
    }
    json_decref(message);
    json_decref(json);
    if (rc < 0)
        strake_lua_raise(L, &err);
    lua_pushinteger(L, rc);
    return 1;
}

#define FLUSH_MS 10000

static int flush_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct strake_way_call *call = ctx;

    (void)job; /* a cancelled command still notifies */
    return strake_session_flush(call->session, FLUSH_MS, &call->err, err);
}

static int flush_push(lua_State *L, void *ctx)
{
    struct strake_way_call *call = ctx;

    if (!call->err.code)
        return 0;
    return strake_way_push_error(L, &call->err);
}

/* flush() -> the first failure of this run's own messages, or nothing */
static int way_flush(lua_State *L)
{
    return strake_way_await(L, strake_way_call_new(L, NULL), flush_run, flush_push);
}

/* ---- small ones ---- */

/* repository(ref) -> "host/name" */
static int way_repository(lua_State *L)
{
    struct strake_reference ref = { 0 };
    struct strake_err err = { 0 };

    if (strake_reference_parse(luaL_checkstring(L, 1), &ref, &err) < 0)
        strake_lua_raise(L, &err);
    lua_pushstring(L, ref.name);
    strake_reference_dispose(&ref);
    return 1;
}

/* last_staged(repository) -> digest */
static int way_last_staged(lua_State *L)
{
    struct strake_session *session = strake_way_session(L);
    const char *repository = luaL_checkstring(L, 1);
    struct strake_err err = { 0 };
    json_t *image = NULL;
    int rc;

    if (!session->record)
        rc = strake_fail(&err, STRAKE_EUSAGE, "without a history nobody knows what was staged");
    else
        rc = strake_record_last_image(session->record, repository, true, &image, &err);
    if (rc < 0) {
        strake_err_hint(&err,
                        "stage it first: strake build --stage; or name it: --digest sha256:…");
        strake_err_recode(&err, STRAKE_EUSAGE);
        strake_lua_raise(L, &err);
    }
    lua_pushstring(L, strake_json_str(image, "digest"));
    json_decref(image);
    return 1;
}

void strake_way_open_publish(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "inspect", way_inspect },
        { "resolve", way_resolve },
        { "take", way_take },
        { "publish", way_publish },
        { "settle", way_settle },
        { "notify", way_notify },
        { "flush", way_flush },
        { "repository", way_repository },
        { "last_staged", way_last_staged },
        { NULL, NULL },
    };

    strake_lua_core_add(L, functions);
}
