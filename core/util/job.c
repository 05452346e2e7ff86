/* Jobs: a tree of running work. Cancelling one cancels all below it; a deadline binds all below it.
 * What a job reports is job_event.c's. */
#include "util/job.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/job_impl.h"
#include "util/mem.h"
#include "util/time.h"

/* One lock for every family: it is taken when a job begins, ends or is cancelled, never while one
 * works, so that it is not worth a lock for each job and an order among them. */
static pthread_mutex_t tree_lock = PTHREAD_MUTEX_INITIALIZER;

static void mark_cancelled(struct strake_job *job)
{
    if (atomic_exchange(&job->cancelled, true))
        return;
    /* The counter of an eventfd takes 2^64 - 2 ones: this single write cannot fail or block. */
    const uint64_t one = 1;
    ssize_t wrote;
    do {
        wrote = write(job->cancel_fd, &one, sizeof(one));
    } while (wrote < 0 && errno == EINTR);
}

static void link_child(struct strake_job *parent, struct strake_job *job)
{
    pthread_mutex_lock(&tree_lock);
    job->next = parent->children;
    if (job->next != NULL)
        job->next->prev = job;
    parent->children = job;
    if (atomic_load(&parent->cancelled))
        mark_cancelled(job);
    pthread_mutex_unlock(&tree_lock);
}

static void unlink_child(struct strake_job *job)
{
    pthread_mutex_lock(&tree_lock);
    if (job->prev != NULL)
        job->prev->next = job->next;
    else
        job->parent->children = job->next;
    if (job->next != NULL)
        job->next->prev = job->prev;
    pthread_mutex_unlock(&tree_lock);
}

struct strake_job *strake_job_new(struct strake_job *parent, struct strake_bus *bus,
                                  const char *target)
{
    struct strake_job *job = strake_calloc(1, sizeof(*job));
    if (job == NULL)
        return NULL;
    if (target == NULL)
        target = parent != NULL ? parent->target : "";
    job->target = strake_strdup(target);
    job->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (job->target == NULL || job->cancel_fd < 0)
        goto fail;
    if (pthread_mutex_init(&job->steps_lock, NULL) != 0)
        goto fail;
    atomic_init(&job->cancelled, false);
    atomic_init(&job->deadline_ms, INT64_MAX);
    atomic_init(&job->limit_ms, 0);
    job->parent = parent;
    job->bus = bus == NULL && parent != NULL ? parent->bus : bus;
    if (parent != NULL)
        link_child(parent, job);
    return job;

fail:
    if (job->cancel_fd >= 0)
        close(job->cancel_fd);
    strake_free(job->target);
    strake_free(job);
    return NULL;
}

void strake_job_free(struct strake_job *job)
{
    if (job == NULL)
        return;
    if (job->parent != NULL)
        unlink_child(job);
    strake_job_steps_dispose(job);
    pthread_mutex_destroy(&job->steps_lock);
    close(job->cancel_fd);
    strake_free(job->target);
    strake_free(job);
}

/* Depth first without recursion: a tree may be as deep as targets depend on each other. */
void strake_job_cancel(struct strake_job *job)
{
    pthread_mutex_lock(&tree_lock);
    struct strake_job *at = job;
    for (;;) {
        mark_cancelled(at);
        if (at->children != NULL) {
            at = at->children;
            continue;
        }
        while (at != job && at->next == NULL)
            at = at->parent;
        if (at == job)
            break;
        at = at->next;
    }
    pthread_mutex_unlock(&tree_lock);
}

bool strake_job_cancelled(const struct strake_job *job)
{
    return atomic_load(&job->cancelled);
}

int strake_job_cancel_fd(const struct strake_job *job)
{
    return job->cancel_fd;
}

void strake_job_set_timeout(struct strake_job *job, int64_t timeout_ms)
{
    int64_t now = strake_time_mono_ms();
    if (timeout_ms < 0)
        timeout_ms = 0;
    if (timeout_ms >= INT64_MAX - now)
        return; /* later than any clock will show */
    pthread_mutex_lock(&tree_lock);
    if (now + timeout_ms < atomic_load(&job->deadline_ms)) {
        atomic_store(&job->deadline_ms, now + timeout_ms);
        atomic_store(&job->limit_ms, timeout_ms);
    }
    pthread_mutex_unlock(&tree_lock);
}

/* The job of the family line whose deadline comes first; NULL when none has one. */
static const struct strake_job *soonest(const struct strake_job *job)
{
    const struct strake_job *first = NULL;
    int64_t deadline = INT64_MAX;
    for (; job != NULL; job = job->parent) {
        int64_t own = atomic_load(&job->deadline_ms);
        if (own < deadline) {
            deadline = own;
            first = job;
        }
    }
    return first;
}

int64_t strake_job_remaining_ms(const struct strake_job *job)
{
    const struct strake_job *first = soonest(job);
    if (first == NULL)
        return -1;
    int64_t left = atomic_load(&first->deadline_ms) - strake_time_mono_ms();
    return left > 0 ? left : 0;
}

int strake_job_check(const struct strake_job *job, struct strake_err *err)
{
    if (strake_job_cancelled(job))
        return strake_fail(err, STRAKE_ECANCELLED, "cancelled");
    const struct strake_job *first = soonest(job);
    if (first == NULL || atomic_load(&first->deadline_ms) > strake_time_mono_ms())
        return 0;
    char limit[STRAKE_TIME_TEXT];
    strake_duration_format(atomic_load(&first->limit_ms), limit, sizeof(limit));
    return strake_fail(err, STRAKE_ETIMEOUT, "not done within %s", limit);
}

const char *strake_job_target(const struct strake_job *job)
{
    return job->target;
}

struct strake_bus *strake_job_bus(const struct strake_job *job)
{
    return job->bus;
}
