/* The groups of all running children, in a fixed table of atomics, so that a signal handler can end
 * them all at once. */
#include <signal.h>
#include <stdatomic.h>

#include "util/process_impl.h"

#define GROUPS 1024
#define RESERVED ((pid_t)-1)

static _Atomic pid_t groups[GROUPS];
/* Counts the calls of kill_all, so that a child being started meanwhile is not missed. */
static _Atomic unsigned kills;
static _Atomic int last_signal;
static _Atomic unsigned kills_at_reserve[GROUPS];

int strake_group_reserve(void)
{
    for (int i = 0; i < GROUPS; i++) {
        pid_t free_slot = 0;
        if (atomic_compare_exchange_strong(&groups[i], &free_slot, RESERVED)) {
            atomic_store(&kills_at_reserve[i], atomic_load(&kills));
            return i;
        }
    }
    return -1;
}

void strake_group_set(int slot, pid_t group)
{
    atomic_store(&groups[slot], group);
    if (atomic_load(&kills) != atomic_load(&kills_at_reserve[slot]))
        kill(-group, atomic_load(&last_signal));
}

void strake_group_release(int slot)
{
    atomic_store(&groups[slot], 0);
}

void strake_process_kill_all(int signal)
{
    atomic_store(&last_signal, signal);
    atomic_fetch_add(&kills, 1);
    for (int i = 0; i < GROUPS; i++) {
        pid_t group = atomic_load(&groups[i]);
        if (group > 0)
            kill(-group, signal);
    }
}
