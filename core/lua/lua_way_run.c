/* The primitives of scripts/way.lua that wait: each runs on a worker thread while its coroutine sleeps. */
#include <pthread.h>
#include <string.h>

#include "build/inputs.h"
#include "build/inspect.h"
#include "build/publish.h"
#include "build/run.h"
#include "lua/lua_way.h"
#include "project/make.h"
#include "util/fs.h"
#include "util/http.h"
#include "util/json.h"
#include "util/log.h"

/* A plan may only be looked at by one of main thread and worker: the coroutine sleeps meanwhile. */
struct way_call {
    struct strake_session *session;
    struct strake_plan *plan; /* borrowed: the coroutine's stack holds it */
    json_t *args;
    json_t *out;              /* what is pushed */
    struct strake_err err;    /* pushed as a second value, where the call says so */
    struct strake_tag_state *before;
    char *text;
};

static void call_drop(void *ctx)
{
    struct way_call *call = ctx;

    json_decref(call->args);
    json_decref(call->out);
    strake_err_dispose(&call->err);
    strake_tag_state_free(call->before);
    strake_free(call->text);
    strake_free(call);
}

static struct way_call *call_new(lua_State *L)
{
    struct way_call *call = strake_calloc(1, sizeof(*call));

    if (!call) {
        struct strake_err err = { 0 };
        strake_fail_nomem(&err);
        strake_lua_raise(L, &err);
    }
    call->session = strake_way_session(L);
    return call;
}

static int await(lua_State *L, struct way_call *call,
                 int (*run)(void *ctx, struct strake_job *job, struct strake_err *err),
                 int (*push)(lua_State *L, void *ctx))
{
    struct strake_lua_call waiting = { .run = run, .push = push, .drop = call_drop, .ctx = call };

    return strake_lua_await(L, &waiting);
}

static int push_out(lua_State *L, void *ctx)
{
    struct way_call *call = ctx;

    strake_lua_push_json(L, call->out ? call->out : json_null());
    return 1;
}

/* The value, and the failure or nil. */
static int push_both(lua_State *L, void *ctx)
{
    struct way_call *call = ctx;

    push_out(L, ctx);
    if (call->err.code)
        strake_way_push_error(L, &call->err);
    else
        lua_pushnil(L);
    return 2;
}

static int push_nothing(lua_State *L, void *ctx)
{
    (void)L;
    (void)ctx;
    return 0;
}

/* ---- plan_finish(plan, { inputs, resolve, stage, save }) ---- */

static enum strake_bases bases_of(const char *resolve)
{
    if (resolve && strcmp(resolve, "require") == 0)
        return STRAKE_BASES_REQUIRE;
    return resolve && strcmp(resolve, "try") == 0 ? STRAKE_BASES_TRY : STRAKE_BASES_NONE;
}

static int finish_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct way_call *call = ctx;
    const char *inputs = strake_json_str(call->args, "inputs");
    enum strake_bases bases = bases_of(strake_json_str(call->args, "resolve"));
    bool context = inputs && strcmp(inputs, "context") == 0;
    int rc = 0;

    for (size_t i = 0; rc == 0 && (context || bases) && i < call->plan->count; i++)
        rc = strake_inputs_compute(&call->plan->targets[i], call->session->stores, bases, context,
                                   strake_json_str(call->args, "save"), job, err);
    if (rc == 0)
        rc = strake_plan_finish(call->plan, call->session->stores,
                                strake_json_bool(call->args, "stage", true), err);
    if (rc == 0 && !strake_json_bool(call->args, "later", false))
        rc = strake_plan_seal(call->plan, err);
    return rc;
}

static int way_plan_finish(lua_State *L)
{
    struct strake_plan *plan = strake_way_plan(L, 1);
    json_t *args = strake_way_json(L, 2);
    struct way_call *call = call_new(L);

    call->plan = plan;
    call->args = args;
    lua_settop(L, 1); /* the plan stays on the stack while the worker has it */
    return await(L, call, finish_run, push_nothing);
}

/* ---- plan_load(path) -> plan ---- */

static int check_inputs(struct way_call *call, struct strake_job *job, struct strake_err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < call->plan->count; i++) {
        struct strake_plan_target *target = &call->plan->targets[i];
        struct strake_plan_inputs saved = target->inputs;
        bool resolved = false;
        for (size_t k = 0; k < saved.bases.count; k++)
            resolved = resolved || saved.bases.items[k]->value[0];
        target->inputs = (struct strake_plan_inputs){ 0 };
        rc = strake_inputs_compute(target, call->session->stores,
                                   resolved ? STRAKE_BASES_REQUIRE : STRAKE_BASES_NONE, true,
                                   call->text, job, err);
        if (rc == 0)
            rc = strake_inputs_compare(target, &saved, &target->inputs, err);
        strake_pairs_dispose(&saved.bases);
    }
    return rc;
}

static int load_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct way_call *call = ctx;
    struct strake_buf text = { 0 };
    int rc;

    call->plan = strake_calloc(1, sizeof(*call->plan));
    if (call->plan)
        call->plan->dir = strake_strdup(call->session->project->dir);
    if (!call->plan || !call->plan->dir)
        return strake_fail_nomem(err);
    rc = strake_fs_read(call->text, STRAKE_BUF_MAX, &text, err);
    if (rc < 0 && rc != STRAKE_ENOMEM)
        rc = strake_err_recode(err, STRAKE_EUSAGE);
    if (rc == 0)
        rc = strake_plan_parse(call->plan, strake_buf_text(&text), text.len, call->text, err);
    if (rc == 0)
        rc = strake_plan_attach(call->plan, call->session->project, err);
    if (rc == 0)
        rc = check_inputs(call, job, err);
    strake_buf_dispose(&text);
    return rc;
}

static void load_drop(void *ctx)
{
    struct way_call *call = ctx;

    strake_plan_free(call->plan);
    call_drop(call);
}

/* The session keeps a plan that was read from a file; Lua gets a value that points to it. */
static int load_push(lua_State *L, void *ctx)
{
    struct way_call *call = ctx;

    strake_plan_free(call->session->plan);
    call->session->plan = call->plan;
    call->plan = NULL;
    return strake_way_push_kept(L);
}

static int way_plan_load(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct way_call *call = call_new(L);
    struct strake_lua_call waiting = { .run = load_run, .push = load_push, .drop = load_drop,
                                       .ctx = call };

    call->text = strake_strdup(path);
    if (!call->text) {
        call_drop(call);
        return luaL_error(L, "out of memory");
    }
    return strake_lua_await(L, &waiting);
}

/* ---- build(plan, { output, output_type, output_dest, jobs, keep_going, no_cache }) -> result ---- */

/* While the builder works: the plan gets its digest, and the tags that will move are read; libcrypto
 * and libcurl are loaded on the way. */
struct reading {
    bool push;
    struct way_call *call;
    struct strake_job *job;
    struct strake_err err;
    pthread_t thread;
    bool running;
};

static int collect_refs(const struct strake_plan *plan, struct strake_strings *refs)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < plan->count; i++)
        rc = strake_plan_refs(&plan->targets[i], refs);
    return rc;
}

static void *read_tags(void *ctx)
{
    struct reading *reading = ctx;
    struct strake_strings refs = { 0 };
    int rc = reading->push ? collect_refs(reading->call->plan, &refs) : 0;

    if (!reading->call->plan->digest[0])
        strake_plan_seal(reading->call->plan, &reading->err);
    if (reading->err.code || (rc == 0 && !reading->push))
        return NULL;
    if (rc == 0)
        rc = strake_tags_read(reading->call->session->stores, strake_strings_view(&refs),
                              reading->job, &reading->call->before, &reading->err);
    else
        strake_fail_nomem(&reading->err);
    strake_strings_dispose(&refs);
    return NULL;
}

static void start_reading(struct reading *reading)
{
    if (pthread_create(&reading->thread, NULL, read_tags, reading) == 0)
        reading->running = true;
}

static const char *run_status(int rc)
{
    return rc == 0 ? "done" : rc == STRAKE_ECANCELLED ? "cancelled" : "failed";
}

static int build_document(struct way_call *call, const struct strake_run_result *result, int rc)
{
    json_t *targets = json_array();

    call->out = json_object();
    for (size_t i = 0; targets && i < result->count; i++) {
        if (json_array_append_new(targets, strake_target_result_json(&result->targets[i])) < 0) {
            json_decref(targets);
            targets = NULL;
        }
    }
    if (!call->out || strake_json_set(call->out, "targets", targets) < 0 ||
        strake_json_set_str(call->out, "status", run_status(rc)) < 0 ||
        strake_json_set_str(call->out, "plan", call->plan->digest) < 0 ||
        strake_json_set_bool(call->out, "before", call->before != NULL) < 0 ||
        (rc < 0 && strake_json_set(call->out, "error", strake_err_json(&call->err)) < 0))
        return STRAKE_ENOMEM;
    return 0;
}

static int build_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct way_call *call = ctx;
    const char *output = strake_json_str(call->args, "output");
    const char *type = strake_json_str(call->args, "output_type");
    const char *dest = strake_json_str(call->args, "output_dest");
    const bool push = output && strcmp(output, "push") == 0;
    struct strake_run_options options = {
        .output = push || (output && strcmp(output, "stage") == 0) ? STRAKE_OUTPUT_STAGE
                  : type                                          ? STRAKE_OUTPUT_FILE
                                                                  : STRAKE_OUTPUT_NONE,
        .output_type = type ? type : "", .output_dest = dest ? dest : "",
        .jobs = (int)strake_json_int(call->args, "jobs", 0),
        .keep_going = strake_json_bool(call->args, "keep_going", false),
    };
    struct strake_run_result result = { 0 };
    struct reading reading = { .push = push, .call = call, .job = job };
    int rc;

    start_reading(&reading);
    rc = strake_run_plan(call->plan, &options, call->session->stores, job, &result, &call->err);
    if (reading.running)
        pthread_join(reading.thread, NULL);
    else
        read_tags(&reading); /* no thread was to be had: it is done now */
    if (rc == 0 && reading.err.code) {
        rc = reading.err.code;
        strake_err_move(&call->err, &reading.err);
    }
    strake_err_dispose(&reading.err);
    if (build_document(call, &result, rc) < 0)
        rc = strake_fail_nomem(err);
    else
        rc = 0; /* the failure is in the result */
    strake_run_result_dispose(&result);
    return rc;
}

/* The tags as they were go into the session: publish() takes them from there. */
static int build_push(lua_State *L, void *ctx)
{
    struct way_call *call = ctx;

    strake_tag_state_free(call->session->before);
    call->session->before = call->before;
    call->before = NULL;
    return push_out(L, ctx);
}

static int way_build(lua_State *L)
{
    struct strake_plan *plan = strake_way_plan(L, 1);
    json_t *args = strake_way_json(L, 2);
    struct way_call *call = call_new(L);

    call->plan = plan;
    call->args = args;
    lua_settop(L, 1);
    return await(L, call, build_run, build_push);
}

/* ---- inspect(ref) -> strake.image/1 ---- */

static int inspect_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct way_call *call = ctx;

    return strake_inspect(call->session->stores, call->text, job, &call->out, err);
}

static int way_inspect(lua_State *L)
{
    const char *ref = luaL_checkstring(L, 1);
    struct way_call *call = call_new(L);

    call->text = strake_strdup(ref);
    if (!call->text) {
        call_drop(call);
        return luaL_error(L, "out of memory");
    }
    return await(L, call, inspect_run, push_out);
}

/* ---- resolve(ref) -> digest ---- */

static int resolve_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct way_call *call = ctx;
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

static int way_resolve(lua_State *L)
{
    const char *ref = luaL_checkstring(L, 1);
    struct way_call *call = call_new(L);

    call->text = strake_strdup(ref);
    if (!call->text) {
        call_drop(call);
        return luaL_error(L, "out of memory");
    }
    return await(L, call, resolve_run, push_out);
}

/* ---- publish({ { ref, source, digest } … }, before, { force, kind }) -> moves, failure ---- */

static int publish_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct way_call *call = ctx;
    const json_t *list = json_object_get(call->args, "tags");
    const json_t *given = json_object_get(call->args, "options");
    const char *kind = strake_json_str(given, "kind");
    size_t count = json_array_size(list);
    struct strake_publish_tag *tags = strake_calloc(count + 1, sizeof(*tags));
    struct strake_publish_options options = { .run = call->session->run,
                                              .kind = kind ? kind : "publish",
                                              .force = strake_json_bool(given, "force", false) };

    if (!tags)
        return strake_fail_nomem(err);
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(list, i);
        tags[i] = (struct strake_publish_tag){ .ref = strake_json_str(entry, "ref"),
                                               .source = strake_json_str(entry, "source"),
                                               .digest = strake_json_str(entry, "digest") };
    }
    strake_publish(call->session->stores, call->session->record, tags, count, call->before, &options,
                   job, &call->out, &call->err);
    strake_free(tags);
    return 0;
}

static int way_publish(lua_State *L)
{
    struct strake_session *session = strake_way_session(L);
    bool before = lua_toboolean(L, 2);
    json_t *tags = strake_way_json(L, 1), *options = strake_way_json(L, 3);
    struct way_call *call = call_new(L);

    call->args = json_object();
    strake_json_set(call->args, "tags", tags);
    strake_json_set(call->args, "options", options);
    if (before) {
        call->before = session->before;
        session->before = NULL;
    }
    return await(L, call, publish_run, push_both);
}

/* ---- settle({ force }) -> report, failure ---- */

static int settle_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct way_call *call = ctx;

    if (!call->session->record) {
        call->out = json_array();
        return call->out ? 0 : strake_fail_nomem(err);
    }
    strake_publish_settle(call->session->stores, call->session->record,
                          strake_json_bool(call->args, "force", false), job, &call->out, &call->err);
    return call->out ? 0 : strake_fail_nomem(err); /* a failure goes along with the report */
}

static int way_settle(lua_State *L)
{
    json_t *args = strake_way_json(L, 1);
    struct way_call *call = call_new(L);

    call->args = args;
    return await(L, call, settle_run, push_both);
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
    struct way_call *call = ctx;

    (void)job; /* a cancelled command still notifies */
    return strake_session_flush(call->session, FLUSH_MS, &call->err, err);
}

static int flush_push(lua_State *L, void *ctx)
{
    struct way_call *call = ctx;

    if (!call->err.code)
        return 0;
    return strake_way_push_error(L, &call->err);
}

/* flush() -> the first failure of this run's own messages, or nothing */
static int way_flush(lua_State *L)
{
    return await(L, call_new(L), flush_run, flush_push);
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
        strake_err_hint(&err, "stage it first: strake build --stage; or name it: --digest sha256:…");
        strake_err_recode(&err, STRAKE_EUSAGE);
        strake_lua_raise(L, &err);
    }
    lua_pushstring(L, strake_json_str(image, "digest"));
    json_decref(image);
    return 1;
}

void strake_way_open_run(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "plan_finish", way_plan_finish },
        { "plan_load", way_plan_load },
        { "build", way_build },
        { "inspect", way_inspect },
        { "resolve", way_resolve },
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
