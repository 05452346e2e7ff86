/* A handful of threads that take the next piece until there is none, or one failed. */
#include "util/each.h"

#include <pthread.h>
#include <signal.h>

struct crew {
    size_t count;
    int (*work)(void *ctx, size_t i, struct strake_err *err);
    void *ctx;
    pthread_mutex_t lock; /* guards what follows */
    size_t next;
    int rc;
    size_t failed; /* the piece that `rc` and `err` are of */
    struct strake_err err;
};

static bool take(struct crew *crew, size_t *i)
{
    bool more;

    pthread_mutex_lock(&crew->lock);
    more = crew->rc == 0 && crew->next < crew->count;
    if (more)
        *i = crew->next++;
    pthread_mutex_unlock(&crew->lock);
    return more;
}

static void note_failure(struct crew *crew, size_t i, int rc, struct strake_err *err)
{
    pthread_mutex_lock(&crew->lock);
    if (crew->rc == 0 || i < crew->failed) {
        strake_err_dispose(&crew->err);
        strake_err_move(&crew->err, err);
        crew->failed = i;
        crew->rc = rc;
    }
    pthread_mutex_unlock(&crew->lock);
    strake_err_dispose(err);
}

static void *work(void *ctx)
{
    struct crew *crew = ctx;
    size_t i;

    while (take(crew, &i)) {
        struct strake_err err = { 0 };
        int rc = crew->work(crew->ctx, i, &err);
        if (rc < 0)
            note_failure(crew, i, rc, &err);
    }
    return NULL;
}

int strake_each(size_t count, size_t threads,
                int (*piece)(void *ctx, size_t i, struct strake_err *err), void *ctx,
                struct strake_err *err)
{
    struct crew crew = { .count = count, .work = piece, .ctx = ctx };
    pthread_t others[STRAKE_EACH_THREADS_MAX - 1];
    sigset_t all, before;
    size_t started = 0;

    if (threads > STRAKE_EACH_THREADS_MAX)
        threads = STRAKE_EACH_THREADS_MAX;
    if (threads > count)
        threads = count;
    pthread_mutex_init(&crew.lock, NULL);
    sigfillset(&all); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (started + 1 < threads && pthread_create(&others[started], NULL, work, &crew) == 0)
        started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    work(&crew);
    for (size_t i = 0; i < started; i++)
        pthread_join(others[i], NULL);
    pthread_mutex_destroy(&crew.lock);
    if (crew.rc < 0)
        strake_err_move(err, &crew.err);
    return crew.rc;
}
