/* Growing text and lists of strings. */
#include "common/text.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- text ------------------------------------------------------------------------------------- */

static bool make_room(struct strake_text *text, size_t len)
{
    if (text->failed || len > SIZE_MAX / 2 - text->len - 1) {
        text->failed = true;
        return false;
    }
    size_t need = text->len + len + 1;
    if (need <= text->cap)
        return true;
    size_t cap = text->cap > 0 ? text->cap : 64;
    while (cap < need)
        cap *= 2;
    /* Not realloc(): what it leaves behind might be a secret. */
    char *data = malloc(cap);
    if (data == NULL) {
        text->failed = true;
        return false;
    }
    if (text->len > 0)
        memcpy(data, text->data, text->len);
    if (text->data != NULL)
        explicit_bzero(text->data, text->cap);
    free(text->data);
    text->data = data;
    text->cap = cap;
    return true;
}

void strake_text_add(struct strake_text *text, const char *data, size_t len)
{
    if (!make_room(text, len))
        return;
    if (len > 0)
        memcpy(text->data + text->len, data, len);
    text->len += len;
    text->data[text->len] = '\0';
}

void strake_text_puts(struct strake_text *text, const char *string)
{
    strake_text_add(text, string, strlen(string));
}

static void text_vprintf(struct strake_text *text, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (len < 0) {
        text->failed = true;
        return;
    }
    if (!make_room(text, (size_t)len))
        return;
    vsnprintf(text->data + text->len, (size_t)len + 1, fmt, args);
    text->len += (size_t)len;
}

void strake_text_printf(struct strake_text *text, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    text_vprintf(text, fmt, args);
    va_end(args);
}

const char *strake_text_get(const struct strake_text *text)
{
    return text->data != NULL ? text->data : "";
}

void strake_text_clear(struct strake_text *text)
{
    if (text->data != NULL)
        explicit_bzero(text->data, text->cap);
    text->len = 0;
    text->failed = false;
}

void strake_text_dispose(struct strake_text *text)
{
    strake_text_clear(text);
    free(text->data);
    *text = (struct strake_text){ 0 };
}

void strake_text_csv(struct strake_text *record, const char *key, const char *value)
{
    if (record->len > 0)
        strake_text_puts(record, ",");
    if (strpbrk(key, ",\"\r\n") == NULL && strpbrk(value, ",\"\r\n") == NULL) {
        strake_text_printf(record, "%s=%s", key, value);
        return;
    }
    strake_text_puts(record, "\"");
    const char *parts[] = { key, "=", value };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        for (const char *at = parts[i]; *at != '\0'; at++)
            strake_text_add(record, *at == '"' ? "\"\"" : at, *at == '"' ? 2 : 1);
    }
    strake_text_puts(record, "\"");
}

/* ---- lists ------------------------------------------------------------------------------------ */

/* Takes `arg`, which may be NULL: no memory. */
static void take(struct strake_args *args, char *arg)
{
    if (args->failed || arg == NULL) {
        args->failed = true;
        free(arg);
        return;
    }
    if (args->count + 1 >= args->cap) {
        size_t cap = args->cap > 0 ? args->cap * 2 : 32;
        char **items = reallocarray(args->items, cap, sizeof(*items));
        if (items == NULL) {
            args->failed = true;
            free(arg);
            return;
        }
        args->items = items;
        args->cap = cap;
    }
    args->items[args->count++] = arg;
    args->items[args->count] = NULL;
}

void strake_args_add(struct strake_args *args, const char *arg)
{
    take(args, strdup(arg));
}

void strake_args_printf(struct strake_args *args, const char *fmt, ...)
{
    struct strake_text text = { 0 };
    va_list list;
    va_start(list, fmt);
    text_vprintf(&text, fmt, list);
    va_end(list);
    take(args, text.failed ? NULL : strdup(strake_text_get(&text)));
    strake_text_dispose(&text);
}

void strake_args_option(struct strake_args *args, const char *option, const char *value)
{
    strake_args_add(args, option);
    strake_args_add(args, value);
}

const char *const *strake_args_list(const struct strake_args *args)
{
    static const char *const none[] = { NULL };
    return args->items != NULL ? (const char *const *)args->items : none;
}

/* A JSON string of an argument. Arguments are bytes, JSON is text. */
static json_t *json_of(const char *arg)
{
    json_t *text = json_string(arg);
    if (text != NULL)
        return text;
    char *ascii = strdup(arg);
    if (ascii == NULL)
        return NULL;
    for (char *at = ascii; *at != '\0'; at++) {
        if ((*at & 0x80) != 0)
            *at = '?';
    }
    text = json_string(ascii);
    free(ascii);
    return text;
}

int strake_args_json(const struct strake_args *args, const struct strake_host *host,
                     struct strake_buf *buf)
{
    json_t *array = args->failed ? NULL : json_array();
    int rc = array != NULL ? 0 : STRAKE_ENOMEM;
    for (size_t i = 0; rc == 0 && i < args->count; i++) {
        if (json_array_append_new(array, json_of(args->items[i])) < 0)
            rc = STRAKE_ENOMEM;
    }
    char *dump = rc == 0 ? json_dumps(array, JSON_COMPACT) : NULL;
    if (rc == 0)
        rc = dump != NULL ? host->buf_append(buf, dump, strlen(dump)) : STRAKE_ENOMEM;
    free(dump);
    json_decref(array);
    return rc;
}

void strake_args_dispose(struct strake_args *args)
{
    for (size_t i = 0; i < args->count; i++) {
        explicit_bzero(args->items[i], strlen(args->items[i]));
        free(args->items[i]);
    }
    free(args->items);
    *args = (struct strake_args){ 0 };
}
