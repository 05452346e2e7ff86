/* What Lua code may use up. One header, so that a number is changed in one place. */
#ifndef STRAKE_LUA_BUDGET_H
#define STRAKE_LUA_BUDGET_H

/* Instructions are counted, and the clock is looked at, this often: an instruction is not work (one
 * call of a string function may take a millisecond). */
#define STRAKE_LUA_HOOK_COUNT 1000

/* The top level of one layer. Time is the time that Lua itself ran, without waiting. */
#define STRAKE_LUA_LOAD_INSTRUCTIONS 50000000
#define STRAKE_LUA_LOAD_MS 5000
/* One policy, each time that it is asked. */
#define STRAKE_LUA_POLICY_INSTRUCTIONS 20000000
#define STRAKE_LUA_POLICY_MS 5000

/* All of Lua's memory, and one block of it: a string or table part larger than this would make
 * single instructions take too long. */
#define STRAKE_LUA_MEMORY ((size_t)256 * 1024 * 1024)
#define STRAKE_LUA_BLOCK ((size_t)32 * 1024 * 1024)

#define STRAKE_LUA_STRING_MAX                                                                      \
    ((size_t)16 * 1024 * 1024)                          /* what string.rep and fs.read may make   \
                                                          */
#define STRAKE_LUA_SOURCE_MAX ((size_t)4 * 1024 * 1024) /* one Lua file */
#define STRAKE_LUA_MESSAGE_MAX ((size_t)64 * 1024)      /* one error message */
#define STRAKE_LUA_MATCH_STEPS 50000000                 /* one call of a pattern function */
#define STRAKE_LUA_MATCH_DEPTH 200
#define STRAKE_LUA_JSON_DEPTH 64
#define STRAKE_LUA_JSON_BYTES ((size_t)64 * 1024 * 1024) /* what a value may come to as JSON */
#define STRAKE_LUA_PCALL_DEPTH 10000                     /* frames below a protected call */
#define STRAKE_LUA_TRACE_FRAMES 16

#endif
