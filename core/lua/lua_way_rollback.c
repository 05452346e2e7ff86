/* The primitives of scripts/rollback.lua and of publishing what another run staged: what the history
 * and the registry say of tags and images. */
#include <string.h>

#include "build/whole.h"
#include "lua/engine_impl.h"
#include "lua/lua_way.h"
#include "util/json.h"
#include "util/process.h"

#define GIT_TIMEOUT_MS 10000
#define CLAIM_TYPE "strake.claim"

/* ---- the history ---- */

/* Pushes `rows`, which it takes over; raises what failed. */
static int push_rows(lua_State *L, int rc, json_t *rows, struct strake_err *err)
{
    if (rc < 0)
        strake_lua_raise(L, err);
    strake_lua_push_json(L, rows);
    json_decref(rows);
    return 1;
}

/* units(repository) -> what moved its tags, oldest first; false without a history */
static int way_units(lua_State *L)
{
    struct strake_session *session = strake_way_session(L);
    const char *repository = luaL_checkstring(L, 1);
    struct strake_err err = { 0 };
    json_t *rows = NULL;
    int rc;

    if (!session->record) {
        lua_pushboolean(L, false);
        return 1;
    }
    rc = strake_record_units(session->record, repository, &rows, &err);
    return push_rows(L, rc, rows, &err);
}

/* staged(run) -> { { name, image, digest } … } */
static int way_staged(lua_State *L)
{
    struct strake_session *session = strake_way_session(L);
    const char *run = luaL_checkstring(L, 1);
    struct strake_err err = { 0 };
    json_t *rows = NULL;
    int rc;

    if (!session->record) {
        rc = strake_fail(&err, STRAKE_EUSAGE, "without a history nobody knows what run %s staged",
                         run);
        strake_err_hint(&err, "name the image instead: strake publish REPOSITORY@sha256:…");
    } else {
        rc = strake_record_staged(session->record, run, &rows, &err);
    }
    return push_rows(L, rc, rows, &err);
}

/* ---- one at a time ---- */

static int claim_gc(lua_State *L)
{
    struct strake_claim **claim = lua_touserdata(L, 1);

    strake_claim_free(*claim);
    *claim = NULL;
    return 0;
}

/* claim(what) -> a value that holds it until it is collected; or nil and the run that has it */
static int way_claim(lua_State *L)
{
    struct strake_session *session = strake_way_session(L);
    const char *what = luaL_checkstring(L, 1);
    struct strake_claim **claim = lua_newuserdatauv(L, sizeof(*claim), 0);
    struct strake_err err = { 0 };
    char *holder = NULL;
    int rc;

    *claim = NULL;
    if (luaL_newmetatable(L, CLAIM_TYPE)) {
        lua_pushcfunction(L, claim_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    if (!session->record)
        return 1; /* nobody to share a record with */
    rc = strake_record_claim(session->record, session->run, what, claim, &holder, &err);
    if (rc == 0)
        return 1;
    if (!holder)
        strake_lua_raise(L, &err);
    strake_err_dispose(&err);
    lua_pushnil(L);
    lua_pushstring(L, holder);
    strake_free(holder);
    return 2;
}

/* ---- the registry ---- */

static int look_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct strake_way_call *call = ctx;
    const json_t *args = call->args;

    return strake_image_look(
        call->session->stores, strake_json_str(args, "repository"), strake_json_str(args, "digest"),
        strake_json_bool(args, "whole", false), &call->kept, job, &call->out, err);
}

/* On the loop's thread: several may be looked at side by side. */
static int look_push(lua_State *L, void *ctx)
{
    struct strake_way_call *call = ctx;
    struct strake_manifest_kept *kept = &call->session->taken;

    if (strake_json_bool(call->args, "whole", false)) {
        strake_manifest_kept_dispose(kept);
        *kept = call->kept;
        call->kept = (struct strake_manifest_kept){ 0 }; /* moved */
    }
    return strake_way_push_out(L, ctx);
}

/* look { repository, digest, whole } -> { digest, media_type, created, revision }. Of an image that is
 * there as a whole the manifest is kept for publish(). */
static int way_look(lua_State *L)
{
    struct strake_way_call *call = strake_way_call_new(L, strake_way_json(L, 1));

    return strake_way_await(L, call, look_run, look_push);
}

/* Tags that were read while something was built stay as they were then. */
static int tags_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct strake_way_call *call = ctx;
    struct strake_session *session = call->session;
    json_t *refs = json_object_get(call->args, "refs"), *ref;
    struct strake_strings list = { 0 };
    struct strake_tag_state *read = NULL;
    size_t i;
    int rc = 0;

    call->out = json_object();
    json_array_foreach(refs, i, ref) {
        if (rc == 0)
            rc = strake_strings_add(&list, json_string_value(ref));
    }
    if (!call->out || rc < 0)
        rc = strake_fail_nomem(err);
    if (rc == 0 && !(strake_json_bool(call->args, "kept", false) && session->before)) {
        rc = strake_tags_read(session->stores, strake_strings_view(&list), job, &read, err);
        if (rc == 0) {
            strake_tag_state_free(session->before);
            session->before = read;
        }
    }
    for (i = 0; rc == 0 && i < list.count; i++) {
        char now[STRAKE_DIGEST_TEXT];
        const char *digest = strake_tag_state_digest(session->before, list.items[i]);
        if (!digest) {
            rc = strake_tag_resolve(session->stores, list.items[i], job, now, NULL, err);
            digest = now;
        }
        if (rc == 0 && strake_json_set_str(call->out, list.items[i], digest) < 0)
            rc = strake_fail_nomem(err);
    }
    strake_strings_dispose(&list);
    return rc;
}

/* tags_now { refs, kept } -> { [ref] = digest or "" }. What was read is what publish(…, true) goes
 * by; with `kept` that is what was read already, if anything was. */
static int way_tags_now(lua_State *L)
{
    struct strake_way_call *call = strake_way_call_new(L, strake_way_json(L, 1));

    return strake_way_await(L, call, tags_run, strake_way_push_out);
}

static int list_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct strake_way_call *call = ctx;
    struct strake_reference ref = { 0 };
    struct strake_place_in_store place = { 0 };
    struct strake_strings tags = { 0 };
    int rc = strake_stores_open(call->session->stores, call->text, &ref, &place, err);

    if (rc == 0)
        rc = strake_registry_tags(place.instance, job, place.repository, &tags, err);
    if (rc == 0 && !(call->out = strake_json_strings(strake_strings_view(&tags))))
        rc = strake_fail_nomem(err);
    strake_strings_dispose(&tags);
    strake_place_in_store_dispose(&place);
    strake_reference_dispose(&ref);
    return rc;
}

/* ---- git ---- */

static bool is_commit(const struct strake_buf *output)
{
    return output->len == 40 && strspn(strake_buf_text(output), "0123456789abcdef") == 40;
}

static int commit_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct strake_way_call *call = ctx;
    const char *argv[] = { "git",       "--no-optional-locks",
                           "-c",        "core.fsmonitor=false",
                           "rev-parse", "--quiet",
                           "--verify",  "--end-of-options",
                           call->text,  NULL };
    struct strake_process_result result = { .size = sizeof(result) };
    struct strake_buf output = STRAKE_BUF(4096);
    struct strake_err ignored = { 0 };
    int rc = strake_process_capture(job, argv, call->session->project->dir, &output, NULL,
                                    GIT_TIMEOUT_MS, &result, &ignored);

    if (output.len && output.data[output.len - 1] == '\n')
        output.data[--output.len] = '\0';
    if (rc == STRAKE_ECANCELLED) {
        strake_err_move(err, &ignored);
    } else {
        call->out = rc == 0 && result.exit_code == 0 && is_commit(&output)
                        ? json_string(strake_buf_text(&output))
                        : json_false();
        rc = call->out ? 0 : strake_fail_nomem(err);
    }
    strake_err_dispose(&ignored);
    strake_buf_dispose(&output);
    return rc;
}

static int await_text(lua_State *L, const char *text,
                      int (*run)(void *ctx, struct strake_job *job, struct strake_err *err))
{
    struct strake_way_call *call = strake_way_call_new(L, NULL);

    call->text = strake_strdup(text);
    if (!call->text) {
        strake_way_call_drop(call);
        return luaL_error(L, "out of memory");
    }
    return strake_way_await(L, call, run, strake_way_push_out);
}

/* list_tags(repository) -> all its tags */
static int way_list_tags(lua_State *L)
{
    return await_text(L, luaL_checkstring(L, 1), list_run);
}

/* commit(revision) -> its full hash as git knows it in the project's folder, or false */
static int way_commit(lua_State *L)
{
    const char *revision = lua_pushfstring(L, "%s^{commit}", luaL_checkstring(L, 1));

    return await_text(L, revision, commit_run);
}

void strake_way_open_rollback(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "units", way_units },       { "staged", way_staged },
        { "claim", way_claim },       { "look", way_look },
        { "tags_now", way_tags_now }, { "list_tags", way_list_tags },
        { "commit", way_commit },     { NULL, NULL },
    };

    strake_lua_core_add(L, functions);
}
