/* Budgets: one counter of instructions and one clock over all coroutines of a task, and what
 * happens when they are used up or the command is cancelled. */
#include <time.h>

#include "lua/engine_impl.h"

/* The thread's own time: waiting for a registry, or for a busy machine, costs nothing. */
static int64_t own_time_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void strake_meter_enter(struct strake_meter *meter)
{
    if (meter->depth++ == 0)
        meter->since_us = own_time_us();
}

void strake_meter_leave(struct strake_meter *meter)
{
    if (--meter->depth == 0)
        meter->used_us += own_time_us() - meter->since_us;
}

static bool is_cancelled(struct strake_engine *engine)
{
    if (!engine->job)
        return false;
    if (atomic_load(&engine->interrupted))
        strake_job_cancel(engine->job);
    return strake_job_cancelled(engine->job);
}

bool strake_lua_tripped(lua_State *L)
{
    const struct strake_task *task = strake_lua_engine(L)->running;

    return task && task->meter->tripped != STRAKE_TRIP_NONE;
}

bool strake_lua_must_stop(lua_State *L)
{
    struct strake_engine *engine = strake_lua_engine(L);

    return strake_lua_tripped(L) ||
           (engine->running && engine->running->context != STRAKE_LUA_INTERNAL &&
            is_cancelled(engine));
}

/* Code that ships comes to an end by itself and tidies up after a cancellation. */
static bool runs_shipped_code(lua_State *L)
{
    lua_Debug ar;

    return lua_getstack(L, 0, &ar) && lua_getinfo(L, "S", &ar) && ar.source[0] == '=' &&
           ar.what[0] != 'C';
}

static void look_at_clock(struct strake_meter *meter)
{
    const int64_t us = meter->used_us + own_time_us() - meter->since_us;

    if (meter->limit && meter->used > meter->limit)
        meter->tripped = STRAKE_TRIP_INSTRUCTIONS;
    else if (meter->limit_us && us > meter->limit_us)
        meter->tripped = STRAKE_TRIP_TIME;
}

static void raise_trip(lua_State *L, const struct strake_meter *meter)
{
    static const char hint[] = "look for a loop that does not end";

    if (meter->tripped == STRAKE_TRIP_INSTRUCTIONS)
        strake_lua_fail(L, STRAKE_ECONFIG, hint, "%s ran for more than %llu million instructions",
                        meter->what, (unsigned long long)meter->limit / 1000000);
    if (meter->tripped == STRAKE_TRIP_TIME)
        strake_lua_fail(L, STRAKE_ECONFIG, hint, "%s ran for more than %lld seconds", meter->what,
                        (long long)meter->limit_us / 1000000);
    strake_lua_fail(L, STRAKE_EPOLICY, NULL, "%s has denied already", meter->what);
}

void strake_lua_charge(lua_State *L, size_t n)
{
    struct strake_engine *engine = strake_lua_engine(L);
    struct strake_meter *meter;

    if (!engine->running)
        return;
    meter = engine->running->meter;
    meter->used += n;
    meter->unseen += n;
    if (meter->unseen < STRAKE_LUA_HOOK_COUNT)
        return;
    meter->unseen = 0;
    if (engine->stress)
        lua_gc(L, LUA_GCCOLLECT, 0);
    if (meter->tripped == STRAKE_TRIP_NONE)
        look_at_clock(meter);
    if (meter->tripped != STRAKE_TRIP_NONE)
        raise_trip(L, meter);
    if (engine->running->context != STRAKE_LUA_INTERNAL && is_cancelled(engine) &&
        !runs_shipped_code(L))
        strake_lua_fail(L, STRAKE_ECANCELLED, NULL, "cancelled");
}

static void count_hook(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    strake_lua_charge(L, STRAKE_LUA_HOOK_COUNT);
}

void strake_lua_set_hook(lua_State *L)
{
    lua_sethook(L, count_hook, LUA_MASKCOUNT, STRAKE_LUA_HOOK_COUNT);
}
