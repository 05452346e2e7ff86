/* The graph: targets start when what they need is done, a given number at once. The first failure
 * stops the rest, or with --keep-going only what depends on it. */
#include "build/run_impl.h"

#include <pthread.h>
#include <string.h>

#include "build/secrets.h"
#include "util/json.h"
#include "util/time.h"

enum node_state { NODE_WAITING, NODE_RUNNING, NODE_DONE, NODE_FAILED, NODE_SKIPPED };

/* One target of the graph. */
struct node {
    enum node_state state;
    size_t *needs; /* positions of the targets that come first */
    size_t need_count;
};

struct graph {
    struct strake_run run;
    struct strake_job *job; /* cancelled when a failure stops the rest */
    struct strake_run_result *out;
    struct node *nodes;
    size_t first_failed; /* position + 1 of the target that failed first, 0: none */
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

void strake_run_result_dispose(struct strake_run_result *result)
{
    for (size_t i = 0; i < result->count; i++) {
        struct strake_target_result *target = &result->targets[i];
        strake_free(target->name);
        strake_free(target->media_type);
        strake_free(target->image);
        strake_free(target->builder);
        strake_pairs_dispose(&target->platforms);
        strake_err_dispose(&target->err);
    }
    strake_free(result->targets);
    *result = (struct strake_run_result){ 0 };
}

static int nodes_make(struct graph *graph)
{
    graph->nodes = strake_calloc(graph->run.plan->count, sizeof(*graph->nodes));
    if (!graph->nodes)
        return STRAKE_ENOMEM;
    for (size_t i = 0; i < graph->run.plan->count; i++) {
        const struct strake_strings *after = &graph->run.plan->targets[i].after;
        struct node *node = &graph->nodes[i];
        if (after->count == 0)
            continue;
        node->needs = strake_calloc(after->count, sizeof(*node->needs));
        if (!node->needs)
            return STRAKE_ENOMEM;
        for (size_t k = 0; k < after->count; k++) {
            const struct strake_plan_target *other =
                strake_plan_find(graph->run.plan, after->items[k]);
            if (other)
                node->needs[node->need_count++] = (size_t)(other - graph->run.plan->targets);
        }
    }
    return 0;
}

static void nodes_free(struct graph *graph)
{
    for (size_t i = 0; graph->nodes && i < graph->run.plan->count; i++)
        strake_free(graph->nodes[i].needs);
    strake_free(graph->nodes);
}

/* The first target that failed or was skipped among what a target needs, or -1. */
static ssize_t failed_need(const struct graph *graph, size_t at)
{
    const struct node *node = &graph->nodes[at];

    for (size_t k = 0; k < node->need_count; k++) {
        enum node_state state = graph->nodes[node->needs[k]].state;
        if (state == NODE_FAILED || state == NODE_SKIPPED)
            return (ssize_t)node->needs[k];
    }
    return -1;
}

/* Waiting targets behind a failed one are skipped, theirs too: a plan has what is needed first. */
static void skip_dependents(struct graph *graph)
{
    for (size_t i = 0; i < graph->run.plan->count; i++) {
        struct strake_target_result *result = &graph->out->targets[i];
        ssize_t need = graph->nodes[i].state == NODE_WAITING ? failed_need(graph, i) : -1;
        if (need < 0)
            continue;
        graph->nodes[i].state = NODE_SKIPPED;
        result->status = "skipped";
        strake_fail(&result->err, STRAKE_EBUILD,
                    "target %s was not built: %s, which it needs, failed",
                    graph->run.plan->targets[i].name, graph->run.plan->targets[need].name);
    }
}

static bool is_ready(const struct graph *graph, size_t at)
{
    const struct node *node = &graph->nodes[at];

    if (node->state != NODE_WAITING)
        return false;
    for (size_t k = 0; k < node->need_count; k++) {
        if (graph->nodes[node->needs[k]].state != NODE_DONE)
            return false;
    }
    return true;
}

/* @return a target to build, or -1 when none is ready; *busy says whether one may become so. */
static ssize_t next_target(struct graph *graph, bool *busy)
{
    *busy = false;
    for (size_t i = 0; i < graph->run.plan->count; i++) {
        if (graph->nodes[i].state == NODE_RUNNING || graph->nodes[i].state == NODE_WAITING)
            *busy = true;
    }
    if (strake_job_cancelled(graph->job))
        return -1;
    for (size_t i = 0; i < graph->run.plan->count; i++) {
        if (is_ready(graph, i))
            return (ssize_t)i;
    }
    return -1;
}

static void target_event(const struct graph *graph, struct strake_job *job, size_t at)
{
    const struct strake_target_result *result = &graph->out->targets[at];
    json_t *data = strake_target_result_json(result);

    strake_job_event(job, result->err.code ? STRAKE_EVENT_TARGET_FAILED : STRAKE_EVENT_TARGET_DONE,
                     data);
}

static void announce_start(const struct graph *graph, struct strake_job *job, size_t at)
{
    const struct strake_plan_target *target = &graph->run.plan->targets[at];
    json_t *data = json_object();

    if (data && strake_json_set_str(data, "name", target->name) == 0 &&
        strake_json_set(data, "platforms",
                        strake_json_strings(strake_strings_view(&target->platforms))) == 0)
        strake_json_set_str(data, "builder",
                            target->build_count == 1 ? target->builds[0].builder : NULL);
    strake_job_event(job, STRAKE_EVENT_TARGET_STARTED, data);
}

static void build_target(struct graph *graph, size_t at)
{
    const struct strake_plan_target *target = &graph->run.plan->targets[at];
    struct strake_target_result *result = &graph->out->targets[at];
    struct strake_job *job = strake_job_new(graph->job, NULL, target->name);
    int64_t started = strake_time_mono_ms();
    int rc;

    if (!job) {
        rc = strake_fail_nomem(&result->err);
    } else {
        announce_start(graph, job, at);
        rc = strake_run_target(&graph->run, target, job, result);
        strake_job_steps_count(job, &result->steps_total, &result->steps_cached);
    }
    result->duration_ms = strake_time_mono_ms() - started;
    if (rc < 0)
        result->status = rc == STRAKE_ECANCELLED ? "cancelled" : "failed";
    else
        result->status = result->unchanged ? "unchanged" : "done";
    if (job)
        target_event(graph, job, at);
    strake_job_free(job);
}

static void settle_target(struct graph *graph, size_t at)
{
    bool failed = graph->out->targets[at].err.code != 0;

    graph->nodes[at].state = failed ? NODE_FAILED : NODE_DONE;
    if (failed) {
        if (!graph->first_failed)
            graph->first_failed = at + 1;
        if (!graph->run.options->keep_going)
            strake_job_cancel(graph->job);
        skip_dependents(graph);
    }
    pthread_cond_broadcast(&graph->changed);
}

static void *worker(void *arg)
{
    struct graph *graph = arg;
    bool busy;

    pthread_mutex_lock(&graph->lock);
    for (;;) {
        ssize_t at = next_target(graph, &busy);
        if (at >= 0) {
            graph->nodes[at].state = NODE_RUNNING;
            pthread_mutex_unlock(&graph->lock);
            build_target(graph, (size_t)at);
            pthread_mutex_lock(&graph->lock);
            settle_target(graph, (size_t)at);
        } else if (!busy || strake_job_cancelled(graph->job)) {
            break;
        } else {
            pthread_cond_wait(&graph->changed, &graph->lock);
        }
    }
    pthread_cond_broadcast(&graph->changed);
    pthread_mutex_unlock(&graph->lock);
    return NULL;
}

/* The calling thread is one of the workers: a single target needs no other. */
static void run_workers(struct graph *graph)
{
    size_t jobs = graph->run.options->jobs > 0 ? (size_t)graph->run.options->jobs
                                               : strake_pool_slots(graph->run.pool);
    pthread_t *threads;
    size_t started = 0;

    if (jobs > graph->run.plan->count)
        jobs = graph->run.plan->count;
    threads = strake_calloc(jobs, sizeof(*threads));
    while (threads && started + 1 < jobs &&
           pthread_create(&threads[started], NULL, worker, graph) == 0)
        started++;
    worker(graph);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    strake_free(threads);
}

/* What a stopped run never began. */
static void mark_rest(struct graph *graph)
{
    for (size_t i = 0; i < graph->run.plan->count; i++) {
        struct strake_target_result *result = &graph->out->targets[i];
        if (graph->nodes[i].state != NODE_WAITING)
            continue;
        result->status = graph->first_failed ? "skipped" : "cancelled";
        strake_fail(&result->err, STRAKE_ECANCELLED, "target %s was not built",
                    graph->run.plan->targets[i].name);
    }
}

static int verdict(const struct graph *graph, struct strake_err *err)
{
    size_t done = 0;

    for (size_t i = 0; i < graph->run.plan->count; i++)
        done += graph->nodes[i].state == NODE_DONE;
    if (done == graph->run.plan->count)
        return 0;
    if (!graph->first_failed)
        return strake_fail(err, STRAKE_ECANCELLED, "cancelled");
    strake_err_copy(err, &graph->out->targets[graph->first_failed - 1].err);
    if (graph->run.options->keep_going && done > 0) {
        strake_err_prefix(err,
                          "%zu of %zu targets failed; the first: ", graph->run.plan->count - done,
                          graph->run.plan->count);
        strake_err_recode(err, STRAKE_EPARTIAL);
    }
    return err->code;
}

static int prepare(const struct strake_plan *plan, struct strake_run_result *out,
                   struct strake_err *err)
{
    out->targets = strake_calloc(plan->count, sizeof(*out->targets));
    if (!out->targets)
        return strake_fail_nomem(err);
    out->count = plan->count;
    for (size_t i = 0; i < plan->count; i++) {
        struct strake_target_result *result = &out->targets[i];
        result->status = "planned";
        result->name = strake_strdup(plan->targets[i].name);
        result->image = strake_strdup("");
        result->media_type = strake_strdup("");
        result->builder = strake_strdup(plan->targets[i].builds[0].builder);
        if (!result->name || !result->image || !result->media_type || !result->builder)
            return strake_fail_nomem(err);
    }
    return 0;
}

/* What no builder can do, and a secret that is not there, is told before any of them works. With
 * --keep-going it is the failure of its target. */
static int check_targets(struct graph *graph, size_t *at, struct strake_err *err)
{
    struct strake_known_bases known = { 0 };
    int rc = 0;

    for (size_t i = 0; rc == 0 && !graph->run.options->keep_going && i < graph->run.plan->count;
         i++) {
        const struct strake_plan_target *target = &graph->run.plan->targets[i];
        struct strake_route route = { 0 };
        bool together = graph->run.options->output == STRAKE_OUTPUT_FILE;
        *at = i;
        if (target->past && target->past->unchanged)
            continue;
        rc = strake_secrets_check(target, err);
        if (rc < 0 || !strake_pool_must_ask(target))
            continue;
        rc = strake_pool_route(graph->run.pool, target, &target->platforms, together, NULL,
                               graph->job, &route, err);
        strake_route_dispose(graph->run.pool, &route);
        if (rc == 0)
            rc = strake_check_bases(&graph->run, target, &known, graph->job, err);
    }
    strake_known_bases_dispose(&known);
    return rc;
}

/* Nothing has run: the target at fault has failed, and no other was begun. */
static void mark_all(struct graph *graph, size_t at, const struct strake_err *err)
{
    for (size_t i = 0; i < graph->run.plan->count; i++) {
        struct strake_target_result *result = &graph->out->targets[i];
        if (i == at && err->code != STRAKE_ECANCELLED) {
            result->status = "failed";
            strake_err_copy(&result->err, err);
            continue;
        }
        result->status = err->code == STRAKE_ECANCELLED ? "cancelled" : "skipped";
        strake_fail(&result->err, STRAKE_ECANCELLED, "target %s was not built",
                    graph->run.plan->targets[i].name);
    }
}

int strake_run_plan(const struct strake_plan *plan, const struct strake_run_options *options,
                    struct strake_stores *stores, struct strake_job *job,
                    struct strake_run_result *out, struct strake_err *err)
{
    struct graph graph = {
        .run = { .plan = plan, .options = options, .stores = stores, .results = out }, .out = out
    };
    int rc = prepare(plan, out, err);

    if (rc < 0)
        return rc;
    graph.job = strake_job_new(job, NULL, NULL);
    if (!graph.job || nodes_make(&graph) < 0) {
        rc = strake_fail_nomem(err);
        goto out;
    }
    rc = strake_pool_new(plan, graph.job, &graph.run.pool, err);
    if (rc == 0) {
        size_t at = 0;
        rc = check_targets(&graph, &at, err);
        if (rc < 0)
            mark_all(&graph, at, err);
    }
    if (rc < 0)
        goto out;
    pthread_mutex_init(&graph.lock, NULL);
    pthread_cond_init(&graph.changed, NULL);
    run_workers(&graph);
    mark_rest(&graph);
    rc = verdict(&graph, err);
    pthread_cond_destroy(&graph.changed);
    pthread_mutex_destroy(&graph.lock);
out:
    strake_pool_free(graph.run.pool);
    strake_job_free(graph.job);
    nodes_free(&graph);
    return rc;
}

/* ---- telling ---- */

static json_t *steps_json(const struct strake_target_result *result)
{
    json_t *steps = json_object();

    if (!steps || strake_json_set_int(steps, "total", result->steps_total) < 0 ||
        strake_json_set_int(steps, "cached", result->steps_cached) < 0) {
        json_decref(steps);
        return NULL;
    }
    return steps;
}

/* In a build a Dockerfile's fault is a failed build (design §5, exit 5). */
static json_t *error_json(const struct strake_err *err)
{
    json_t *error = strake_err_json(err);

    if (err->code == STRAKE_EDOCKERFILE &&
        strake_json_set_int(error, "exit", strake_code_exit(STRAKE_EBUILD)) < 0) {
        json_decref(error);
        return NULL;
    }
    return error;
}

json_t *strake_target_result_json(const struct strake_target_result *result)
{
    json_t *entry = json_object();
    bool cached = result->steps_total > 0 && result->steps_cached == result->steps_total;

    if (!entry || strake_json_set_str(entry, "name", result->name) < 0 ||
        strake_json_set_str(entry, "status", result->status) < 0 ||
        (result->digest[0] && strake_json_set_str(entry, "digest", result->digest) < 0) ||
        (result->image[0] && strake_json_set_str(entry, "image", result->image) < 0) ||
        (result->media_type[0] &&
         strake_json_set_str(entry, "media_type", result->media_type) < 0) ||
        strake_json_set_str(entry, "builder", result->builder) < 0 ||
        strake_json_set(entry, "refs", json_array()) < 0 ||
        strake_json_set(entry, "platforms",
                        strake_json_pairs(strake_pairs_view(&result->platforms))) < 0 ||
        strake_json_set_bool(entry, "cached", cached) < 0 ||
        strake_json_set_int(entry, "duration_ms", result->duration_ms) < 0 ||
        strake_json_set(entry, "steps", steps_json(result)) < 0 ||
        (result->err.code && strake_json_set(entry, "error", error_json(&result->err)) < 0)) {
        json_decref(entry);
        return NULL;
    }
    return entry;
}
