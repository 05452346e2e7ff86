/* Sharing out the moves of a large unit by repository: within one their order stays. */
#include "build/movers.h"

#include <pthread.h>
#include <string.h>

#define MOVERS_MAX 6
#define MOVES_EACH 4 /* less is not worth a thread */

struct crew {
    const struct strake_movers *movers;
    pthread_mutex_t lock; /* guards movers->taken, and what follows */
    int rc;
    struct strake_err *err;
};

static bool same_repository(const struct strake_move *a, const struct strake_move *b)
{
    const char *left = strrchr(a->ref, ':'), *right = strrchr(b->ref, ':');

    return left && right && left - a->ref == right - b->ref &&
           memcmp(a->ref, b->ref, (size_t)(left - a->ref)) == 0;
}

/* @return the first move of a repository that nobody had until now, or `end`. */
static size_t take_repository(struct crew *crew)
{
    const struct strake_movers *movers = crew->movers;
    size_t at = movers->begin;

    pthread_mutex_lock(&crew->lock);
    while (at < movers->end && movers->taken[at])
        at++;
    for (size_t i = at; i < movers->end; i++) {
        if (i == at || same_repository(&movers->moves[i], &movers->moves[at]))
            movers->taken[i] = true;
    }
    pthread_mutex_unlock(&crew->lock);
    return at;
}

static bool has_failed(struct crew *crew)
{
    bool failed;

    pthread_mutex_lock(&crew->lock);
    failed = crew->rc < 0;
    pthread_mutex_unlock(&crew->lock);
    return failed;
}

static void do_one(struct crew *crew, size_t at, struct strake_manifest_kept *kept)
{
    struct strake_err err = { 0 };
    int rc = crew->movers->move(crew->movers->ctx, at, kept, &err);

    if (rc == 0)
        return;
    pthread_mutex_lock(&crew->lock);
    if (crew->rc == 0) {
        crew->rc = rc;
        strake_err_move(crew->err, &err);
    }
    pthread_mutex_unlock(&crew->lock);
    strake_err_dispose(&err);
}

static void work(struct crew *crew, struct strake_manifest_kept *kept)
{
    const struct strake_movers *movers = crew->movers;
    size_t at;

    while (!has_failed(crew) && (at = take_repository(crew)) < movers->end) {
        for (size_t i = at; i < movers->end && !has_failed(crew); i++) {
            if (i == at || same_repository(&movers->moves[i], &movers->moves[at]))
                do_one(crew, i, kept);
        }
    }
}

static void *mover(void *ctx)
{
    struct strake_manifest_kept kept = { 0 };

    work(ctx, &kept);
    strake_manifest_kept_dispose(&kept);
    return NULL;
}

static int one_by_one(const struct strake_movers *movers, struct strake_manifest_kept *kept,
                      struct strake_err *err)
{
    int rc = 0;

    for (size_t i = movers->begin; rc == 0 && i < movers->end; i++)
        rc = movers->move(movers->ctx, i, kept, err);
    return rc;
}

int strake_movers_run(const struct strake_movers *movers, struct strake_manifest_kept *kept,
                      struct strake_err *err)
{
    const size_t count = movers->end - movers->begin;
    struct crew crew = { .movers = movers, .err = err };
    pthread_t threads[MOVERS_MAX - 1];
    size_t started = 0;

    if (count < (size_t)2 * MOVES_EACH)
        return one_by_one(movers, kept, err);
    pthread_mutex_init(&crew.lock, NULL);
    while (started < MOVERS_MAX - 1 && (started + 2) * MOVES_EACH <= count &&
           pthread_create(&threads[started], NULL, mover, &crew) == 0)
        started++;
    work(&crew, kept);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&crew.lock);
    return crew.rc;
}
