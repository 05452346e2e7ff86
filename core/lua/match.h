/* Lua's patterns with a budget of steps: the same language as Lua 5.4's, but a pattern that
 * backtracks for ever ends with an error. Knows nothing of lua_State. */
#ifndef STRAKE_LUA_MATCH_H
#define STRAKE_LUA_MATCH_H

#include <stddef.h>
#include <stdint.h>

#define STRAKE_MATCH_CAPTURES 32
#define STRAKE_CAPTURE_OPEN (-1)     /**< not closed yet: only while matching */
#define STRAKE_CAPTURE_POSITION (-2) /**< `()` */

struct strake_capture {
    const char *start;
    ptrdiff_t len; /**< bytes, or STRAKE_CAPTURE_POSITION */
};

/** One subject and one pattern. Set the first six fields; the rest is the matcher's. */
struct strake_match {
    const char *subject, *subject_end;
    const char *pattern_end;
    /** Called every 1,024 steps; negative ends the match with "stopped". May be NULL. May longjmp.
     */
    int (*tick)(void *ctx);
    void *ctx;
    int64_t steps_left;

    const char *error; /**< what is wrong, or NULL */
    int depth;
    int capture_count;
    struct strake_capture captures[STRAKE_MATCH_CAPTURES];
};

/** Match `pattern` (without a leading anchor) at exactly `at`.
 *  @return the end of the match, or NULL: no match, or `error` is set. Any thread. */
const char *strake_match_at(struct strake_match *match, const char *at, const char *pattern);

#endif
