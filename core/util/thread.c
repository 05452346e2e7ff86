/* Starting threads that leave signals alone, and counting those that do not come back. */
#include "util/thread.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

int strake_thread_start(void *(*body)(void *ctx), void *ctx)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    pthread_t thread;
    int error = pthread_attr_init(&attributes);

    if (error != 0)
        return error;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, &attributes, body, ctx);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
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
