/* Builders of a run: asked side by side, each on a thread of its own, and shared slot by slot. */
#include <string.h>
#include <unistd.h>

#include "build/pool_impl.h"
#include "image/platform.h"
#include "util/log.h"
#include "util/time.h"

const char *strake_pool_name(const struct strake_pool_member *member)
{
    return member->build->builder;
}

struct strake_pool_member *strake_pool_find(struct strake_pool *pool, const char *name)
{
    for (size_t i = 0; i < pool->count; i++) {
        if (strcmp(pool->members[i].build->builder, name) == 0)
            return &pool->members[i];
    }
    return NULL;
}

/* ---- life ---- */

static void add_member(struct strake_pool *pool, const struct strake_plan_build *build)
{
    struct strake_pool_member *member = &pool->members[pool->count++];
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    const size_t usual = processors > 0 ? (size_t)processors : 1;

    member->pool = pool;
    member->build = build;
    member->slots = build->slots > 0 ? (size_t)build->slots : usual;
    pthread_mutex_init(&member->opening, NULL);
}

int strake_pool_new(const struct strake_plan *plan, struct strake_job *job,
                    struct strake_pool **out, struct strake_err *err)
{
    struct strake_pool *pool = strake_calloc(1, sizeof(*pool));
    pthread_condattr_t monotonic;
    size_t most = 0;

    for (size_t i = 0; i < plan->count; i++)
        most += plan->targets[i].build_count;
    if (pool) {
        pool->members = strake_calloc(most ? most : 1, sizeof(*pool->members));
        pool->job = strake_job_new(job, NULL, NULL);
    }
    if (!pool || !pool->members || !pool->job) {
        if (pool) {
            strake_free(pool->members);
            strake_job_free(pool->job);
            strake_free(pool);
        }
        return strake_fail_nomem(err);
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    for (size_t i = 0; i < plan->count; i++) {
        for (size_t k = 0; k < plan->targets[i].build_count; k++) {
            if (!strake_pool_find(pool, plan->targets[i].builds[k].builder))
                add_member(pool, &plan->targets[i].builds[k]);
        }
    }
    *out = pool;
    return 0;
}

void strake_pool_free(struct strake_pool *pool)
{
    if (!pool)
        return;
    strake_job_cancel(pool->job);
    for (size_t i = 0; i < pool->count; i++) {
        struct strake_pool_member *member = &pool->members[i];
        if (member->has_thread)
            pthread_join(member->thread, NULL);
        strake_instance_unref(member->instance);
        strake_strings_dispose(&member->platforms);
        strake_err_dispose(&member->why);
        pthread_mutex_destroy(&member->opening);
    }
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    strake_job_free(pool->job);
    strake_free(pool->members);
    strake_free(pool);
}

size_t strake_pool_slots(const struct strake_pool *pool)
{
    size_t slots = 0;

    for (size_t i = 0; i < pool->count; i++)
        slots += pool->members[i].slots;
    return slots;
}

int strake_pool_instance(struct strake_pool_member *member, struct strake_instance **out,
                         struct strake_err *err)
{
    const struct strake_plan_build *build = member->build;
    int rc = 0;

    pthread_mutex_lock(&member->opening);
    if (!member->instance)
        rc = strake_instance_open(build->plugin, build->builder, "builder/1", build->options,
                                  &member->instance, err);
    *out = member->instance;
    pthread_mutex_unlock(&member->opening);
    return rc;
}

/* ---- asking ---- */

/* "linux/amd64,linux/arm64" in normal forms; what is none is left out. */
static int split_platforms(const char *text, struct strake_strings *out)
{
    int rc = 0;

    while (rc == 0 && *text) {
        size_t len = strcspn(text, ",");
        char *item = strake_strndup(text, len);
        char platform[STRAKE_PLATFORM_TEXT];
        struct strake_err err = { 0 };
        if (!item)
            rc = STRAKE_ENOMEM;
        else if (strake_platform_parse(item, platform, &err) == 0 &&
                 !strake_strings_has(out, platform))
            rc = strake_strings_add(out, platform);
        strake_err_dispose(&err);
        strake_free(item);
        text += len + (text[len] == ',');
    }
    return rc;
}

static int ask(struct strake_pool_member *member, struct strake_strings *platforms,
               struct strake_err *err)
{
    struct strake_builder_info info = { .size = sizeof(info) };
    struct strake_job *job = strake_job_new(member->pool->job, NULL, NULL);
    struct strake_instance *instance = NULL;
    int rc = job ? strake_pool_instance(member, &instance, err) : strake_fail_nomem(err);

    if (rc == 0) {
        strake_job_set_timeout(job, STRAKE_POOL_PROBE_MS);
        rc = strake_builder_probe(instance, job, &info, err);
    }
    if (rc == STRAKE_ETIMEOUT)
        rc = strake_fail(err, STRAKE_EBUILDER, "it did not answer within %d ms",
                         STRAKE_POOL_PROBE_MS);
    if (rc == 0 && split_platforms(info.platforms, platforms) < 0)
        rc = strake_fail_nomem(err);
    strake_job_free(job);
    return rc;
}

static void *ask_thread(void *ctx)
{
    struct strake_pool_member *member = ctx;
    struct strake_pool *pool = member->pool;
    struct strake_strings platforms = { 0 };
    struct strake_err err = { 0 };
    int rc = ask(member, &platforms, &err);

    if (rc < 0 && rc != STRAKE_ECANCELLED)
        strake_log(STRAKE_LOG_WARN, "builder %s is left out: %s", strake_pool_name(member),
                   strake_err_message(&err));

    pthread_mutex_lock(&pool->lock);
    strake_err_dispose(&member->why);
    strake_strings_dispose(&member->platforms);
    member->platforms = platforms;
    strake_err_move(&member->why, &err);
    member->state = rc == 0 ? MEMBER_ALIVE : MEMBER_LOST;
    member->met = member->met || rc == 0;
    member->lost_ms = strake_time_mono_ms();
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

void strake_pool_ask(struct strake_pool_member *member)
{
    if (member->has_thread)
        pthread_join(member->thread, NULL); /* it has told its answer, and ends */
    member->state = MEMBER_ASKED;
    member->has_thread = pthread_create(&member->thread, NULL, ask_thread, member) == 0;
    if (member->has_thread)
        return;
    member->state = MEMBER_LOST;
    member->lost_ms = strake_time_mono_ms();
    strake_fail(&member->why, STRAKE_EINTERNAL, "no thread was to be had to ask it");
}

bool strake_pool_wait(struct strake_pool *pool, int64_t until_ms)
{
    struct timespec until = { .tv_sec = until_ms / 1000,
                              .tv_nsec = (long)(until_ms % 1000) * 1000000 };

    if (!until_ms)
        return pthread_cond_wait(&pool->changed, &pool->lock) == 0;
    return pthread_cond_timedwait(&pool->changed, &pool->lock, &until) == 0;
}

/* ---- slots ---- */

int strake_pool_enter(struct strake_pool *pool, struct strake_pool_member *member,
                      struct strake_job *job, struct strake_err *err)
{
    int rc = 0;

    pthread_mutex_lock(&pool->lock);
    while (rc == 0 && member->used >= member->slots) {
        rc = strake_job_check(job, err);
        if (rc == 0)
            strake_pool_wait(pool, 0);
    }
    if (rc == 0)
        member->used++;
    pthread_mutex_unlock(&pool->lock);
    return rc;
}

void strake_pool_leave(struct strake_pool *pool, struct strake_pool_member *member)
{
    pthread_mutex_lock(&pool->lock);
    member->used--;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}

void strake_pool_wake(struct strake_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}

void strake_pool_lost(struct strake_pool *pool, struct strake_pool_member *member,
                      const struct strake_err *why)
{
    pthread_mutex_lock(&pool->lock);
    if (member->state != MEMBER_ASKED) {
        member->state = MEMBER_LOST;
        member->lost_ms = strake_time_mono_ms();
        strake_err_dispose(&member->why);
        strake_err_copy(&member->why, why);
    }
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}
