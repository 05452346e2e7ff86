/* A call with a limit of time: made on a thread of its own, which is left behind when the call does
 * not come back. Threads that did come back wait for the next call. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/mem.h"
#include "util/thread.h"
#include "util/time.h"
#include "util/work.h"

#define IDLE_MAX 16

enum caller_state { CALLER_WAITING, CALLER_BUSY, CALLER_ENDED, CALLER_LEFT, CALLER_DISMISSED };

/* A thread that makes calls, one at a time. All but `ended_fd` is guarded by the one lock, which is
 * held for a few instructions at the begin and the end of a call. */
struct caller {
    enum caller_state state;
    int (*run)(void *ctx);
    void (*drop)(void *ctx);
    void *ctx;
    int rc;
    int ended_fd; /* an eventfd, written to when the call has come back */
    pthread_cond_t wanted;
    struct caller *next; /* while it is idle */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct caller *idle;
static unsigned idle_count;

static void caller_free(struct caller *caller)
{
    pthread_cond_destroy(&caller->wanted);
    close(caller->ended_fd);
    strake_free(caller);
}

/* One call; the lock is held before and after. @return false when the thread is to end */
static bool make_call(struct caller *caller)
{
    int (*run)(void *ctx) = caller->run;
    void *ctx = caller->ctx;

    pthread_mutex_unlock(&lock);
    int rc = run(ctx);
    pthread_mutex_lock(&lock);
    if (caller->state == CALLER_LEFT) {
        pthread_mutex_unlock(&lock);
        if (caller->drop != NULL)
            caller->drop(ctx);
        pthread_mutex_lock(&lock);
        strake_thread_returned();
        return false;
    }
    caller->rc = rc;
    caller->state = CALLER_ENDED;
    /* The counter of an eventfd takes 2^64 - 2 ones: this write cannot fail or block. */
    const uint64_t one = 1;
    while (write(caller->ended_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
    return true;
}

static void *caller_main(void *arg)
{
    struct caller *caller = arg;
    bool more = true;

    pthread_mutex_lock(&lock);
    while (more) {
        if (caller->state == CALLER_BUSY)
            more = make_call(caller);
        else if (caller->state == CALLER_DISMISSED)
            more = false;
        else
            pthread_cond_wait(&caller->wanted, &lock);
    }
    pthread_mutex_unlock(&lock);
    caller_free(caller);
    return NULL;
}

static struct caller *caller_new(void)
{
    struct caller *caller = strake_calloc(1, sizeof(*caller));

    if (caller == NULL)
        return NULL;
    caller->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (caller->ended_fd < 0) {
        strake_free(caller);
        return NULL;
    }
    pthread_cond_init(&caller->wanted, NULL);
    if (strake_thread_start(caller_main, caller) != 0) {
        caller_free(caller);
        return NULL;
    }
    return caller;
}

static struct caller *take_caller(void)
{
    pthread_mutex_lock(&lock);
    struct caller *caller = idle;
    if (caller != NULL) {
        idle = caller->next;
        idle_count--;
    }
    pthread_mutex_unlock(&lock);
    return caller != NULL ? caller : caller_new();
}

/* Its call has come back: keep it for another one. The lock is held. */
static void give_back(struct caller *caller)
{
    uint64_t ended;

    while (read(caller->ended_fd, &ended, sizeof(ended)) < 0 && errno == EINTR)
        continue;
    if (idle_count < IDLE_MAX) {
        caller->state = CALLER_WAITING;
        caller->next = idle;
        idle = caller;
        idle_count++;
    } else {
        caller->state = CALLER_DISMISSED;
        pthread_cond_signal(&caller->wanted);
    }
}

/* Until the call has come back, or time is up. */
static void wait_for(const struct caller *caller, const struct strake_job *job, int64_t timeout_ms,
                     int64_t grace_ms)
{
    struct pollfd fds[2] = { { .fd = caller->ended_fd, .events = POLLIN },
                             { .fd = job != NULL ? strake_job_cancel_fd(job) : -1,
                               .events = POLLIN } };
    int64_t now = strake_time_mono_ms();
    int64_t until = timeout_ms < 0 || timeout_ms > INT64_MAX - now ? INT64_MAX : now + timeout_ms;

    for (;;) {
        int64_t left = until - strake_time_mono_ms();
        int n = poll(fds, 2, left > INT32_MAX ? -1 : left > 0 ? (int)left : 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || fds[0].revents != 0)
            return;
        now = strake_time_mono_ms(); /* cancelled: from now on there is the grace, no more */
        until = until - now < grace_ms ? until : now + grace_ms;
        fds[1].fd = -1;
    }
}

int strake_work_call(int (*run)(void *ctx), void (*drop)(void *ctx), void *ctx,
                     const struct strake_job *job, int64_t timeout_ms, int64_t grace_ms)
{
    struct caller *caller = take_caller();

    if (caller == NULL)
        return STRAKE_ENOMEM;
    pthread_mutex_lock(&lock);
    caller->run = run;
    caller->drop = drop;
    caller->ctx = ctx;
    caller->state = CALLER_BUSY;
    pthread_cond_signal(&caller->wanted);
    pthread_mutex_unlock(&lock);

    wait_for(caller, job, timeout_ms, grace_ms);

    pthread_mutex_lock(&lock);
    int rc = STRAKE_ETIMEOUT;
    if (caller->state == CALLER_ENDED) {
        rc = caller->rc;
        give_back(caller);
    } else {
        caller->state = CALLER_LEFT;
        strake_thread_left();
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

void strake_work_call_end(void)
{
    pthread_mutex_lock(&lock);
    for (struct caller *caller = idle; caller != NULL; caller = caller->next) {
        caller->state = CALLER_DISMISSED;
        pthread_cond_signal(&caller->wanted);
    }
    idle = NULL;
    idle_count = 0;
    pthread_mutex_unlock(&lock);
}
