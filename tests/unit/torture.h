/* Torture: run a piece of code again and again, and make each of its allocations fail in turn. The
 * sanitizers see what it leaks or touches then. */
#ifndef STRAKE_TESTS_TORTURE_H
#define STRAKE_TESTS_TORTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "util/mem.h"

#define TORTURE_MAX 20000

/** `run(ctx)` returns 0 when all went well, and then has checked its result; with an allocation
 *  failing it may also return a negative code, having checked that nothing half done is left. First
 *  one allocation fails and the next ones succeed again, then all fail from that one on. What was
 *  tortured elsewhere already may be passed over: `first`. To be included after cmocka.h. */
static inline void torture_from(int64_t first, int (*run)(void *ctx), void *ctx)
{
    for (int sticky = 0; sticky <= 1; sticky++) {
        int64_t n = first;
        for (;; n++) {
            strake_mem_fail_at(n, sticky == 1);
            int rc = run(ctx);
            bool reached = strake_mem_count() >= n;
            strake_mem_fail_at(0, false);
            if (!reached) {
                assert_int_equal(rc, 0);
                break;
            }
            if (rc > 0 || n == TORTURE_MAX)
                fail_msg("allocation %lld of at most %d: result %d", (long long)n, TORTURE_MAX, rc);
        }
    }
}

static inline void torture(int (*run)(void *ctx), void *ctx)
{
    torture_from(1, run, ctx);
}

#endif
