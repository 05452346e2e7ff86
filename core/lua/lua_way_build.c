/* The primitives of scripts/way.lua that plan and build: each runs on a worker thread while its
 * coroutine sleeps. */
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "build/inputs.h"
#include "build/materials.h"
#include "build/reuse.h"
#include "lua/lua_way.h"
#include "project/contexts.h"
#include "project/make.h"
#include "util/fs.h"
#include "util/json.h"
#include "util/log.h"

/* ---- plan_finish(plan, { inputs, resolve, stage, save, changed }) ---- */

static enum strake_bases bases_of(const char *resolve)
{
    if (resolve && strcmp(resolve, "require") == 0)
        return STRAKE_BASES_REQUIRE;
    return resolve && strcmp(resolve, "try") == 0 ? STRAKE_BASES_TRY : STRAKE_BASES_NONE;
}

static int finish_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct strake_way_call *call = ctx;
    const char *inputs = strake_json_str(call->args, "inputs");
    enum strake_bases bases = bases_of(strake_json_str(call->args, "resolve"));
    bool context = inputs && strcmp(inputs, "context") == 0;
    int rc = strake_contexts_resolve(call->plan, call->session->stores, job, err);

    for (size_t i = 0; rc == 0 && (context || bases) && i < call->plan->count; i++)
        rc = strake_inputs_compute(call->plan, &call->plan->targets[i], call->session->stores,
                                   bases, context, strake_json_str(call->args, "save"), job, err);
    if (rc == 0 && strake_json_bool(call->args, "changed", false))
        rc = strake_reuse_find(call->plan, call->session->record, call->session->stores, job, err);
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
    struct strake_way_call *call = strake_way_call_new(L, args);

    call->plan = plan;
    lua_settop(L, 1); /* the plan stays on the stack while the worker has it */
    return strake_way_await(L, call, finish_run, strake_way_push_nothing);
}

/* ---- plan_load(path, { changed }) -> plan ---- */

static int check_inputs(struct strake_way_call *call, struct strake_job *job,
                        struct strake_err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < call->plan->count; i++) {
        struct strake_plan_target *target = &call->plan->targets[i];
        struct strake_plan_inputs saved = target->inputs;
        bool resolved = false;
        for (size_t k = 0; k < saved.bases.count; k++)
            resolved = resolved || (saved.bases.items[k]->value[0] &&
                                    strncmp(saved.bases.items[k]->name, "target:", 7) != 0);
        target->inputs = (struct strake_plan_inputs){ 0 };
        rc = strake_inputs_compute(call->plan, target, call->session->stores,
                                   resolved ? STRAKE_BASES_REQUIRE : STRAKE_BASES_NONE, true,
                                   call->text, job, err);
        if (rc == 0)
            rc = strake_inputs_look_up(call->plan, target, &saved.bases, call->session->stores,
                                       resolved ? STRAKE_BASES_REQUIRE : STRAKE_BASES_NONE, job,
                                       err);
        if (rc == 0)
            rc = strake_inputs_compare(target, &saved, &target->inputs, err);
        strake_plan_inputs_dispose(&saved);
    }
    return rc;
}

static int load_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct strake_way_call *call = ctx;
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
    if (rc == 0 && strake_json_bool(call->args, "changed", false))
        rc = strake_reuse_find(call->plan, call->session->record, call->session->stores, job, err);
    strake_buf_dispose(&text);
    return rc;
}

static void load_drop(void *ctx)
{
    struct strake_way_call *call = ctx;

    strake_plan_free(call->plan);
    strake_way_call_drop(call);
}

/* The session keeps a plan that was read from a file; Lua gets a value that points to it. */
static int load_push(lua_State *L, void *ctx)
{
    struct strake_way_call *call = ctx;

    strake_plan_free(call->session->plan);
    call->session->plan = call->plan;
    call->plan = NULL;
    return strake_way_push_kept(L);
}

static int way_plan_load(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    json_t *args = strake_way_json(L, 2);
    struct strake_way_call *call = strake_way_call_new(L, args);
    struct strake_lua_call waiting = {
        .run = load_run, .push = load_push, .drop = load_drop, .ctx = call
    };

    call->text = strake_strdup(path);
    if (!call->text) {
        strake_way_call_drop(call);
        return luaL_error(L, "out of memory");
    }
    return strake_lua_await(L, &waiting);
}

/* ---- build(plan, { output, output_type, output_dest, jobs, keep_going }) -> result ---- */

/* How much longer than the builder the context may take to be hashed: what made this image is not
 * known then, and the next `--changed` builds it. */
#define HASH_MORE_MS 3000

/* While the builder works: the plan gets its digest, and the tags that will move are read;
 * libcurl is loaded on the way. What makes the images is hashed, for the record. */
struct reading {
    bool push;
    bool hash;
    struct strake_way_call *call;
    struct strake_job *job;
    struct strake_job *hashing;
    int64_t begun_us; /* by the clock that stamps files */
    struct strake_err err;
    pthread_t thread;
    bool running;
};

/* The document is made by now: the inputs are not in it. Which bases the builder takes it tells
 * itself. Of files that were changed since it began nobody knows which state it got. */
static void hash_inputs(struct reading *reading)
{
    struct strake_plan *plan = reading->call->plan;
    struct strake_err err = { 0 };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < plan->count; i++) {
        if (plan->targets[i].inputs.digest[0])
            continue; /* before the builder began */
        rc = strake_inputs_compute(plan, &plan->targets[i], reading->call->session->stores,
                                   STRAKE_BASES_NONE, true, NULL, reading->hashing, &err);
        if (rc < 0 || plan->targets[i].inputs.changed_us >= reading->begun_us)
            strake_plan_inputs_dispose(&plan->targets[i].inputs);
    }
    if (rc < 0)
        strake_log(STRAKE_LOG_DEBUG, "what made the images is not recorded: %s",
                   strake_err_message(&err));
    strake_err_dispose(&err);
}

static int collect_refs(const struct strake_plan *plan, struct strake_strings *refs)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < plan->count; i++)
        rc = strake_plan_refs(&plan->targets[i], refs);
    return rc;
}

static void read_tags(struct reading *reading)
{
    struct strake_strings refs = { 0 };

    if (collect_refs(reading->call->plan, &refs) == 0)
        strake_tags_read(reading->call->session->stores, strake_strings_view(&refs), reading->job,
                         &reading->call->before, &reading->err);
    else
        strake_fail_nomem(&reading->err);
    strake_strings_dispose(&refs);
}

static void *read_all(void *ctx)
{
    struct reading *reading = ctx;

    if (!reading->call->plan->digest[0])
        strake_plan_seal(reading->call->plan, &reading->err);
    if (!reading->err.code && reading->push)
        read_tags(reading);
    if (!reading->err.code && reading->hash && reading->hashing)
        hash_inputs(reading);
    return NULL;
}

static void start_reading(struct reading *reading)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    reading->begun_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    if (reading->hash)
        reading->hashing = strake_job_new(reading->job, NULL, NULL);
    if (pthread_create(&reading->thread, NULL, read_all, reading) == 0)
        reading->running = true;
}

static void end_reading(struct reading *reading, int rc)
{
    if (reading->hashing && rc < 0)
        strake_job_cancel(reading->hashing);
    else if (reading->hashing)
        strake_job_set_timeout(reading->hashing, HASH_MORE_MS);
    if (reading->running)
        pthread_join(reading->thread, NULL);
    else
        read_all(reading); /* no thread was to be had: it is done now */
    strake_job_free(reading->hashing);
}

static const char *run_status(int rc)
{
    return rc == 0 ? "done" : rc == STRAKE_ECANCELLED ? "cancelled" : "failed";
}

static int build_document(struct strake_way_call *call, const struct strake_run_result *result,
                          int rc)
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
    struct strake_way_call *call = ctx;
    const char *output = strake_json_str(call->args, "output");
    const char *type = strake_json_str(call->args, "output_type");
    const char *dest = strake_json_str(call->args, "output_dest");
    const bool push = output && strcmp(output, "push") == 0;
    struct strake_run_options options = {
        .output = push || (output && strcmp(output, "stage") == 0) ? STRAKE_OUTPUT_STAGE
                  : type                                           ? STRAKE_OUTPUT_FILE
                                                                   : STRAKE_OUTPUT_NONE,
        .output_type = type ? type : "",
        .output_dest = dest ? dest : "",
        .jobs = (int)strake_json_int(call->args, "jobs", 0),
        .keep_going = strake_json_bool(call->args, "keep_going", false),
    };
    struct strake_run_result result = { 0 };
    struct reading reading = { .push = push,
                               .hash = options.output == STRAKE_OUTPUT_STAGE &&
                                       call->session->record != NULL,
                               .call = call,
                               .job = job };
    struct strake_materials_work *materials;
    int rc;

    start_reading(&reading);
    materials = strake_materials_start(call->plan, call->session->record, call->session->run, job);
    rc = strake_run_plan(call->plan, &options, call->session->stores, job, &result, &call->err);
    strake_materials_finish(materials);
    end_reading(&reading, rc);
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

/* That it cannot be kept costs the next `--changed` a build, and this one nothing. */
static void remember(struct strake_way_call *call)
{
    struct strake_session *session = call->session;
    struct strake_err err = { 0 };

    if (!session->record || !session->run[0])
        return;
    strake_bus_drain(session->bus); /* the last steps are on their way into the record */
    if (strake_reuse_remember(call->plan, session->record, session->run,
                              json_object_get(call->out, "targets"), &err) < 0)
        strake_log(STRAKE_LOG_WARN, "what made the images is not recorded: %s",
                   strake_err_message(&err));
    strake_err_dispose(&err);
}

/* The tags as they were go into the session: publish() takes them from there. */
static int build_push(lua_State *L, void *ctx)
{
    struct strake_way_call *call = ctx;

    remember(call);

    strake_tag_state_free(call->session->before);
    call->session->before = call->before;
    call->before = NULL;
    return strake_way_push_out(L, ctx);
}

static int way_build(lua_State *L)
{
    struct strake_plan *plan = strake_way_plan(L, 1);
    json_t *args = strake_way_json(L, 2);
    struct strake_way_call *call = strake_way_call_new(L, args);

    call->plan = plan;
    lua_settop(L, 1);
    return strake_way_await(L, call, build_run, build_push);
}

void strake_way_open_build(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "plan_finish", way_plan_finish },
        { "plan_load", way_plan_load },
        { "build", way_build },
        { NULL, NULL },
    };

    strake_lua_core_add(L, functions);
}
