/* log.info, log.warn, log.error: a `log` event of the run, or a line of the program's log. */
#include "lua/engine_impl.h"
#include "util/json.h"
#include "util/log.h"

void strake_lua_log(lua_State *L, enum strake_level level, const char *name, const char *text,
                    size_t len)
{
    struct strake_engine *engine = strake_lua_engine(L);
    json_t *data;

    if (!engine->job || !strake_job_bus(engine->job)) {
        strake_log(level, "%s", text);
        return;
    }
    data = json_object();
    if (!data || strake_json_set_str(data, "level", name) < 0 ||
        strake_json_set_strn(data, "text", text,
                             len < STRAKE_LUA_MESSAGE_MAX ? len : STRAKE_LUA_MESSAGE_MAX) < 0) {
        json_decref(data);
        strake_lua_fail(L, STRAKE_ENOMEM, NULL, "out of memory");
    }
    strake_job_event(engine->job, STRAKE_EVENT_LOG, data);
}

static int log_at(lua_State *L, enum strake_level level, const char *name)
{
    size_t len;
    const char *text = luaL_tolstring(L, 1, &len);

    strake_lua_log(L, level, name, text, len);
    return 0;
}

static int log_info(lua_State *L)
{
    return log_at(L, STRAKE_LOG_INFO, "info");
}

static int log_warn(lua_State *L)
{
    return log_at(L, STRAKE_LOG_WARN, "warning");
}

static int log_error(lua_State *L)
{
    return log_at(L, STRAKE_LOG_ERROR, "error");
}

void strake_lua_open_log(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "info", log_info },
        { "warn", log_warn },
        { "error", log_error },
        { NULL, NULL },
    };

    luaL_newlib(L, functions);
    strake_lua_protect(L, "log");
    strake_lua_define(L, "log");
}
