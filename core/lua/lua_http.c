/* http.get, http.post, http.request: in flows only. */
#include <string.h>

#include "lua/schema.h"
#include "util/http.h"
#include "util/json.h"
#include "util/secret.h"
#include "util/time.h"

#define HTTP_BODY_MAX ((size_t)16 * 1024 * 1024)
#define HTTP_TIMEOUT_MS (60 * 1000)

struct http {
    char *method, *url;
    struct strake_pairs headers;
    struct strake_pairs secrets; /* header -> name of a secret */
    struct strake_buf body;
    int64_t timeout_ms;
    bool plain_http;
    struct strake_buf answer, answer_headers;
    struct strake_http_response response;
};

static void http_drop(void *ctx)
{
    struct http *http = ctx;

    strake_free(http->method);
    strake_free(http->url);
    strake_pairs_dispose(&http->headers);
    strake_pairs_dispose(&http->secrets);
    strake_buf_dispose(&http->body);
    strake_buf_dispose(&http->answer);
    strake_buf_dispose(&http->answer_headers);
    strake_free(http);
}

static bool is_idempotent(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ||
           strcmp(method, "PUT") == 0 || strcmp(method, "DELETE") == 0;
}

/* On the worker thread: secrets are looked up where they are needed, and wiped. */
static int http_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct http *http = ctx;
    struct strake_pairs headers = { 0 };
    struct strake_http_request request = { .size = sizeof(request),
                                           .method = http->method,
                                           .url = http->url,
                                           .response = &http->answer,
                                           .timeout_ms = http->timeout_ms,
                                           .max_redirects = 10,
                                           .plain_http = http->plain_http,
                                           .idempotent = is_idempotent(http->method) };
    int rc = strake_pairs_copy(&headers, &http->headers) < 0 ? strake_fail_nomem(err) : 0;

    for (size_t i = 0; rc == 0 && i < http->secrets.count; i++) {
        struct strake_buf value = { .max = 65536, .secret = true };
        rc = strake_secret_get(http->secrets.items[i]->value, &value, err);
        if (rc == 0 &&
            strake_pairs_set(&headers, http->secrets.items[i]->name, strake_buf_text(&value)) < 0)
            rc = strake_fail_nomem(err);
        strake_buf_dispose(&value);
    }
    request.headers = strake_pairs_view(&headers);
    if (http->body.len) {
        request.body = http->body.data;
        request.body_len = http->body.len;
    }
    http->response.size = sizeof(http->response);
    http->response.headers = &http->answer_headers;
    if (rc == 0)
        rc = strake_http_request(job, &request, &http->response, err);
    strake_pairs_dispose(&headers);
    return rc;
}

/* { status, body, headers = { ["content-type"] = … } }: of a repeated header the last one counts.
 */
static int http_push(lua_State *L, void *ctx)
{
    const struct http *http = ctx;
    const char *line = strake_buf_text(&http->answer_headers);

    lua_createtable(L, 0, 3);
    lua_pushinteger(L, http->response.status);
    lua_setfield(L, -2, "status");
    lua_pushlstring(L, strake_buf_text(&http->answer), http->answer.len);
    lua_setfield(L, -2, "body");
    lua_newtable(L);
    while (*line) {
        const char *colon = strchr(line, ':'), *end = strchr(line, '\n');
        if (!colon || !end || colon > end)
            break;
        lua_pushlstring(L, line, (size_t)(colon - line));
        colon += colon[1] == ' ' ? 2 : 1;
        lua_pushlstring(L, colon, (size_t)(end - colon));
        lua_rawset(L, -3);
        line = end + 1;
    }
    lua_setfield(L, -2, "headers");
    return 1;
}

/* ---- options ---- */

static int take_method(struct strake_decl *decl, const char *key, int index, void *object)
{
    return strake_take_text(decl, key, index, &((struct http *)object)->method);
}

static int take_url(struct strake_decl *decl, const char *key, int index, void *object)
{
    return strake_take_text(decl, key, index, &((struct http *)object)->url);
}

static int take_headers(struct strake_decl *decl, const char *key, int index, void *object)
{
    struct http *http = object;
    lua_State *L = decl->L;
    int rc = 0;

    if (!lua_istable(L, index))
        return strake_decl_expected(decl, key, "a table: [\"NAME\"] = VALUE", index);
    for (lua_pushnil(L); rc == 0 && lua_next(L, index); lua_pop(L, 1)) {
        const char *secret = strake_lua_secret_at(L, -1), *text;
        size_t len;
        if (lua_type(L, -2) != LUA_TSTRING)
            return strake_decl_fail(decl, "headers must be a table: [\"NAME\"] = VALUE");
        if (!secret && lua_type(L, -1) != LUA_TSTRING)
            return strake_decl_expected(decl, key, "texts or secrets", lua_gettop(L));
        text = secret ? secret : lua_tolstring(L, -1, &len);
        if (!secret)
            rc = strake_decl_check_text(decl, key, text, len);
        if (rc == 0 && strake_pairs_set(secret ? &http->secrets : &http->headers,
                                        lua_tostring(L, -2), text) < 0)
            rc = strake_fail_nomem(decl->err);
    }
    return rc;
}

static int take_body(struct strake_decl *decl, const char *key, int index, void *object)
{
    struct http *http = object;
    const char *text;
    size_t len;

    if (lua_type(decl->L, index) != LUA_TSTRING)
        return strake_decl_expected(decl, key, "a string", index);
    text = lua_tolstring(decl->L, index, &len);
    return strake_buf_append(&http->body, text, len) < 0 ? strake_fail_nomem(decl->err) : 0;
}

static int take_json(struct strake_decl *decl, const char *key, int index, void *object)
{
    struct http *http = object;
    json_t *value = NULL;
    int rc = strake_take_json(decl, key, index, &value);

    if (rc == 0 && (strake_json_dump(value, &http->body) < 0 ||
                    strake_pairs_set(&http->headers, "content-type", "application/json") < 0))
        rc = strake_fail_nomem(decl->err);
    json_decref(value);
    return rc;
}

static int take_timeout(struct strake_decl *decl, const char *key, int index, void *object)
{
    struct http *http = object;

    if (lua_type(decl->L, index) != LUA_TSTRING ||
        strake_duration_parse(lua_tostring(decl->L, index), &http->timeout_ms) < 0)
        return strake_decl_expected(decl, key, "a duration such as \"30s\"", index);
    return 0;
}

static int take_plain_http(struct strake_decl *decl, const char *key, int index, void *object)
{
    return strake_take_bool(decl, key, index, &((struct http *)object)->plain_http);
}

static const struct strake_field http_fields[] = {
    { "method", take_method, false },
    { "url", take_url, true },
    { "headers", take_headers, false },
    { "json", take_json, false },
    { "body", take_body, false },
    { "timeout", take_timeout, false },
    { "plain_http", take_plain_http, false },
    { NULL, NULL, false },
};

/* The options are the table at 1. */
static int begin(lua_State *L, const char *name, const char *method)
{
    struct strake_err err = { 0 };
    struct strake_decl decl = { .L = L,
                                .engine = strake_lua_engine(L),
                                .kind = "http",
                                .name = name,
                                .file = "?",
                                .err = &err };
    struct strake_lua_call call = { .run = http_run, .push = http_push, .drop = http_drop };
    struct http *http;

    strake_task_check_wait(L);
    strake_lua_place(L, &decl.file, &decl.line);
    http = strake_calloc(1, sizeof(*http));
    if (!http)
        strake_lua_fail(L, STRAKE_ENOMEM, NULL, "out of memory");
    strake_lua_park(L, &call, http);
    http->timeout_ms = HTTP_TIMEOUT_MS;
    http->answer = STRAKE_BUF(HTTP_BODY_MAX);
    http->answer_headers = STRAKE_BUF(256 * 1024);
    http->method = strake_strdup(method);
    if ((http->method ? strake_schema_read(&decl, 1, http_fields, http) : strake_fail_nomem(&err)) <
        0)
        strake_lua_raise(L, &err);
    return strake_lua_await(L, &call);
}

/* (url [, options]) becomes one table at 1. */
static void join_options(lua_State *L)
{
    luaL_checkstring(L, 1);
    if (!lua_isnoneornil(L, 2))
        luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    lua_newtable(L);
    if (lua_istable(L, 2)) {
        for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
            lua_pushvalue(L, -2);
            lua_pushvalue(L, -2);
            lua_rawset(L, 3);
        }
    }
    lua_pushvalue(L, 1);
    lua_setfield(L, 3, "url");
    lua_replace(L, 1);
    lua_settop(L, 1);
}

/* http.get(url [, { headers =, timeout =, plain_http = }]) -> { status, body, headers }. Yields. */
static int http_get(lua_State *L)
{
    strake_lua_allow(L, STRAKE_LUA_FLOW | STRAKE_LUA_INTERNAL, "http.get");
    join_options(L);
    return begin(L, "get", "GET");
}

/* http.post(url, { body = | json =, headers =, … }) -> { status, body, headers }. Yields. */
static int http_post(lua_State *L)
{
    strake_lua_allow(L, STRAKE_LUA_FLOW | STRAKE_LUA_INTERNAL, "http.post");
    join_options(L);
    return begin(L, "post", "POST");
}

/* http.request { method =, url =, … } -> { status, body, headers }. Yields. */
static int http_request(lua_State *L)
{
    strake_lua_allow(L, STRAKE_LUA_FLOW | STRAKE_LUA_INTERNAL, "http.request");
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    return begin(L, "request", "GET");
}

void strake_lua_open_http(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "get", http_get },
        { "post", http_post },
        { "request", http_request },
        { NULL, NULL },
    };

    luaL_newlib(L, functions);
    strake_lua_protect(L, "http");
    strake_lua_define(L, "http");
}
