/* A queue of numbers that some threads take from (crew.h). */
#include "build/crew.h"

#include <pthread.h>

#define WIDTH_MAX 16

struct shift {
    const struct strake_crew *crew;
    struct strake_job *job; /* of all pieces */
    pthread_mutex_t lock;   /* guards all below */
    size_t next;
    int rc;
    struct strake_err *err;
};

/* @return false: there is none, or one has failed. */
static bool take(struct shift *shift, size_t *at)
{
    bool more;

    pthread_mutex_lock(&shift->lock);
    more = shift->rc == 0 && shift->next < shift->crew->end;
    *at = shift->next;
    shift->next += more ? 1 : 0;
    pthread_mutex_unlock(&shift->lock);
    return more;
}

/* The first failure is the cause: those after it are of pieces that were cancelled for it. */
static void fail(struct shift *shift, int rc, struct strake_err *err)
{
    pthread_mutex_lock(&shift->lock);
    if (shift->rc == 0) {
        shift->rc = rc;
        strake_err_move(shift->err, err);
    }
    pthread_mutex_unlock(&shift->lock);
    strake_job_cancel(shift->job);
    strake_err_dispose(err);
}

static void *work(void *ctx)
{
    struct shift *shift = ctx;
    size_t at;

    while (take(shift, &at)) {
        struct strake_err err = { 0 };
        int rc = shift->crew->run(shift->crew->ctx, at, shift->job, &err);
        if (rc < 0)
            fail(shift, rc, &err);
    }
    return NULL;
}

int strake_crew_run(const struct strake_crew *crew, struct strake_job *job, struct strake_err *err)
{
    const size_t count = crew->end - crew->begin;
    struct shift shift = { .crew = crew, .next = crew->begin, .err = err };
    pthread_t threads[WIDTH_MAX - 1];
    size_t wanted = crew->width < WIDTH_MAX ? crew->width : WIDTH_MAX, started = 0;

    if (count == 0)
        return 0;
    shift.job = strake_job_new(job, NULL, NULL);
    if (!shift.job)
        return strake_fail_nomem(err);
    pthread_mutex_init(&shift.lock, NULL);
    if (wanted > count)
        wanted = count;
    while (started + 1 < wanted && pthread_create(&threads[started], NULL, work, &shift) == 0)
        started++;
    work(&shift);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&shift.lock);
    strake_job_free(shift.job);
    return shift.rc;
}
