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

/* The lock of the tree is held. */
static void unlink_child(struct strake_job *job)
{
    if (job->prev != NULL)
        job->prev->next = job->next;
    else
        job->parent->children = job->next;
    if (job->next != NULL)
        job->next->prev = job->prev;
    job->parent = NULL;
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
    job->scope = parent != NULL ? strake_strdup(parent->scope) : NULL;
    job->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bool lost_scope = parent != NULL && parent->scope != NULL && job->scope == NULL;
    if (job->target == NULL || lost_scope || job->cancel_fd < 0)
        goto fail;
    if (pthread_mutex_init(&job->steps_lock, NULL) != 0)
        goto fail;
    pthread_rwlock_init(&job->bus_lock, NULL);
    atomic_init(&job->cancelled, false);
    job->deadline_ms = INT64_MAX;
    job->parent = parent;
    job->bus = bus == NULL && parent != NULL ? parent->bus : bus;
    if (parent != NULL)
        link_child(parent, job);
    return job;

fail:
    if (job->cancel_fd >= 0)
        close(job->cancel_fd);
    strake_free(job->scope);
    strake_free(job->target);
    strake_free(job);
    return NULL;
}

void strake_job_free(struct strake_job *job)
{
    if (job == NULL)
        return;
    strake_job_steps_dispose(job);
    pthread_mutex_lock(&tree_lock);
    if (job->parent != NULL)
        unlink_child(job);
    pthread_mutex_unlock(&tree_lock);
    pthread_rwlock_destroy(&job->bus_lock);
    pthread_mutex_destroy(&job->steps_lock);
    close(job->cancel_fd);
    strake_free(job->scope);
    strake_free(job->target);
    strake_free(job);
}

int strake_job_set_scope(struct strake_job *job, const char *scope)
{
    strake_free(job->scope);
    job->scope = strake_strdup(scope);
    return job->scope != NULL ? 0 : STRAKE_ENOMEM;
}

void strake_job_detach(struct strake_job *job)
{
    strake_job_cancel(job);
    pthread_mutex_lock(&tree_lock);
    if (job->parent != NULL)
        unlink_child(job);
    pthread_mutex_unlock(&tree_lock);
    pthread_rwlock_wrlock(&job->bus_lock);
    job->bus = NULL;
    pthread_rwlock_unlock(&job->bus_lock);
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
    if (now + timeout_ms < job->deadline_ms) {
        job->deadline_ms = now + timeout_ms;
        job->limit_ms = timeout_ms;
    }
    pthread_mutex_unlock(&tree_lock);
}

/* The deadline of the family line that comes first (INT64_MAX: none), and how long it was. */
static int64_t soonest(const struct strake_job *job, int64_t *limit_ms)
{
    int64_t deadline = INT64_MAX;
    *limit_ms = 0;
    pthread_mutex_lock(&tree_lock);
    for (; job != NULL; job = job->parent) {
        if (job->deadline_ms >= deadline)
            continue;
        deadline = job->deadline_ms;
        *limit_ms = job->limit_ms;
    }
    pthread_mutex_unlock(&tree_lock);
    return deadline;
}

int64_t strake_job_remaining_ms(const struct strake_job *job)
{
    int64_t limit_ms;
    int64_t deadline = soonest(job, &limit_ms);
    if (deadline == INT64_MAX)
        return -1;
    int64_t left = deadline - strake_time_mono_ms();
    return left > 0 ? left : 0;
}

int strake_job_check(const struct strake_job *job, struct strake_err *err)
{
    if (strake_job_cancelled(job))
        return strake_fail(err, STRAKE_ECANCELLED, "cancelled");
    int64_t limit_ms;
    if (soonest(job, &limit_ms) > strake_time_mono_ms())
        return 0;
    char limit[STRAKE_TIME_TEXT];
    strake_duration_format(limit_ms, limit, sizeof(limit));
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
