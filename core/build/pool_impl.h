/* The inside of a pool, shared by pool.c (members, probes, slots) and route.c (choosing). */
#ifndef STRAKE_BUILD_POOL_IMPL_H
#define STRAKE_BUILD_POOL_IMPL_H

#include <pthread.h>

#include "build/pool.h"

enum member_state { MEMBER_NEW, MEMBER_ASKED, MEMBER_ALIVE, MEMBER_LOST };

struct strake_pool_member {
    struct strake_pool *pool;
    const struct strake_plan_build *build; /* the first one of this name */
    size_t slots;
    pthread_mutex_t opening; /* guards `instance` while it is made */
    struct strake_instance *instance;

    /* All below: the pool's lock. */
    enum member_state state;
    struct strake_strings platforms; /* native ones first; empty: it does not say */
    struct strake_err why;           /* of MEMBER_LOST */
    size_t load;                     /* parts that were routed here and are not done */
    size_t used;                     /* slots taken */
    bool met;                        /* it has answered once: it may come back */
    int64_t lost_ms;                 /* when it was lost; monotonic */
    pthread_t thread;                /* that asks it */
    bool has_thread;
};

struct strake_pool {
    struct strake_job *job; /* child of the run's: cancelled when the pool ends */
    struct strake_pool_member *members;
    size_t count;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* CLOCK_MONOTONIC */
};

/* With the lock held: begin to ask a member (again). */
void strake_pool_ask(struct strake_pool_member *member);
struct strake_pool_member *strake_pool_find(struct strake_pool *pool, const char *name);
/* Wait for a change, at most until `until_ms` (monotonic; 0: without end). False: the time came. */
bool strake_pool_wait(struct strake_pool *pool, int64_t until_ms);

#endif
