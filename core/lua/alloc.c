/* Lua's memory: through util/mem.h, within a limit. */
#include "lua/engine_impl.h"

void *strake_lua_alloc(void *ctx, void *ptr, size_t old_size, size_t new_size)
{
    struct strake_engine *engine = ctx;
    const size_t old = ptr ? old_size : 0; /* for a new block Lua passes its type there */
    void *block;

    if (new_size == 0) {
        strake_free(ptr);
        engine->used_bytes -= old;
        return NULL;
    }
    if (new_size > old && (new_size > STRAKE_LUA_BLOCK ||
                           engine->used_bytes - old + new_size > engine->limit_bytes)) {
        engine->over_limit = true;
        return NULL;
    }
    block = strake_realloc(ptr, new_size);
    if (!block && new_size <= old)
        return ptr; /* Lua counts on it that shrinking never fails */
    if (block)
        engine->used_bytes += new_size - old;
    return block;
}
