/* Starting threads that leave signals alone, and counting those that do not come back. */
#include "util/thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "util/mem.h"

/* A thread from its start until it was joined. */
struct started {
    void *(*body)(void *ctx);
    void *ctx;
    pthread_t thread;
    struct started *next; /* once it has ended */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t one_ended = PTHREAD_COND_INITIALIZER;
static struct started *ended;
static unsigned running;

static void *run(void *arg)
{
    struct started *started = arg;

    started->body(started->ctx);
    pthread_mutex_lock(&lock);
    started->thread = pthread_self();
    started->next = ended;
    ended = started;
    running--;
    pthread_cond_broadcast(&one_ended);
    pthread_mutex_unlock(&lock);
    return NULL;
}

void strake_threads_reap(void)
{
    pthread_mutex_lock(&lock);
    struct started *list = ended;
    ended = NULL;
    pthread_mutex_unlock(&lock);
    while (list != NULL) {
        struct started *started = list;
        list = started->next;
        pthread_join(started->thread, NULL);
        strake_free(started);
    }
}

void strake_threads_finish(void)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 1; /* none of them has anything left to do */
    pthread_mutex_lock(&lock);
    while (running > strake_threads_left() &&
           pthread_cond_timedwait(&one_ended, &lock, &until) == 0)
        continue;
    pthread_mutex_unlock(&lock);
    strake_threads_reap();
}

int strake_thread_start(void *(*body)(void *ctx), void *ctx)
{
    struct started *started = strake_calloc(1, sizeof(*started));
    sigset_t all, before;
    pthread_t thread;

    if (started == NULL)
        return ENOMEM;
    strake_threads_reap();
    started->body = body;
    started->ctx = ctx;
    pthread_mutex_lock(&lock);
    running++;
    pthread_mutex_unlock(&lock);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, NULL, run, started);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        pthread_mutex_lock(&lock);
        running--;
        pthread_mutex_unlock(&lock);
        strake_free(started);
    }
    return error;
}

static atomic_uint left;

void strake_thread_left(void)
{
    atomic_fetch_add(&left, 1);
}

void strake_thread_returned(void)
{
    atomic_fetch_sub(&left, 1);
}

unsigned strake_threads_left(void)
{
    return atomic_load(&left);
}
