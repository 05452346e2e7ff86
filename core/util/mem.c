/* Allocation: a thin layer over malloc that test builds can make fail, and the two lists of strings
 * that the whole core uses. */
#include "util/mem.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- failing on purpose ---- */

#ifdef STRAKE_DEV
static _Atomic int64_t mem_count;
static _Atomic int64_t mem_fail_at;
static atomic_bool mem_sticky;

void strake_mem_fail_at(int64_t n, bool sticky)
{
    atomic_store(&mem_count, 0);
    atomic_store(&mem_sticky, sticky);
    atomic_store(&mem_fail_at, n);
}

int64_t strake_mem_count(void)
{
    return atomic_load(&mem_count);
}

static bool mem_fails(void)
{
    int64_t count = atomic_fetch_add(&mem_count, 1) + 1;
    int64_t at = atomic_load(&mem_fail_at);

    return at > 0 && (count == at || (count > at && atomic_load(&mem_sticky)));
}
#else
void strake_mem_fail_at(int64_t n, bool sticky)
{
    (void)n;
    (void)sticky;
}

int64_t strake_mem_count(void)
{
    return 0;
}

static bool mem_fails(void)
{
    return false;
}
#endif

/* ---- blocks ---- */

void *strake_malloc(size_t size)
{
    return mem_fails() ? NULL : malloc(size ? size : 1);
}

void *strake_calloc(size_t count, size_t size)
{
    return mem_fails() ? NULL : calloc(count ? count : 1, size ? size : 1);
}

void *strake_realloc(void *ptr, size_t size)
{
    return mem_fails() ? NULL : realloc(ptr, size ? size : 1);
}

void *strake_reallocarray(void *ptr, size_t count, size_t size)
{
    size_t bytes;

    return __builtin_mul_overflow(count, size, &bytes) ? NULL : strake_realloc(ptr, bytes);
}

void strake_free(void *ptr)
{
    free(ptr);
}

/* ---- texts ---- */

char *strake_strdup(const char *text)
{
    return text ? strake_strndup(text, strlen(text)) : NULL;
}

char *strake_strndup(const char *text, size_t len)
{
    char *copy = strake_malloc(len + 1);

    if (copy) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

char *strake_vasprintf(const char *fmt, va_list args)
{
    va_list again;
    char *text;
    int len;

    va_copy(again, args);
    len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (len < 0)
        return NULL;
    text = strake_malloc((size_t)len + 1);
    if (text)
        vsnprintf(text, (size_t)len + 1, fmt, args);
    return text;
}

char *strake_asprintf(const char *fmt, ...)
{
    va_list args;
    char *text;

    va_start(args, fmt);
    text = strake_vasprintf(fmt, args);
    va_end(args);
    return text;
}

/* ---- lists of strings ---- */

/* Room for one more item and the NULL behind it. */
static int strings_grow(struct strake_strings *list)
{
    size_t cap = list->cap ? list->cap * 2 : 8;
    char **items;

    if (list->count + 1 < list->cap)
        return 0;
    items = strake_reallocarray(list->items, cap, sizeof(*items));
    if (!items)
        return STRAKE_ENOMEM;
    list->items = items;
    list->cap = cap;
    return 0;
}

int strake_strings_take(struct strake_strings *list, char *text)
{
    if (!text || strings_grow(list) < 0) {
        strake_free(text);
        return STRAKE_ENOMEM;
    }
    list->items[list->count++] = text;
    list->items[list->count] = NULL;
    return 0;
}

int strake_strings_add(struct strake_strings *list, const char *text)
{
    return strake_strings_take(list, strake_strdup(text));
}

int strake_strings_add_len(struct strake_strings *list, const char *text, size_t len)
{
    return strake_strings_take(list, strake_strndup(text, len));
}

int strake_strings_copy(struct strake_strings *to, const struct strake_strings *from)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < from->count; i++)
        rc = strake_strings_add(to, from->items[i]);
    return rc;
}

bool strake_strings_has(const struct strake_strings *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], text) == 0)
            return true;
    }
    return false;
}

const char *const *strake_strings_view(const struct strake_strings *list)
{
    static const char *const none[] = { NULL };

    return list->items ? (const char *const *)list->items : none;
}

void strake_strings_dispose(struct strake_strings *list)
{
    for (size_t i = 0; i < list->count; i++)
        strake_free(list->items[i]);
    strake_free(list->items);
    *list = (struct strake_strings){ 0 };
}

/* ---- lists of pairs ---- */

static struct strake_pair *pairs_find(const struct strake_pairs *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i]->name, name) == 0)
            return list->items[i];
    }
    return NULL;
}

static void pair_free(struct strake_pair *pair)
{
    if (!pair)
        return;
    strake_free((char *)pair->name);
    strake_free((char *)pair->value);
    strake_free(pair);
}

static int pairs_add(struct strake_pairs *list, const char *name, const char *value)
{
    struct strake_pair *pair;

    if (list->count + 1 >= list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 8;
        struct strake_pair **items = strake_reallocarray(list->items, cap, sizeof(*items));
        if (!items)
            return STRAKE_ENOMEM;
        list->items = items;
        list->cap = cap;
    }
    pair = strake_calloc(1, sizeof(*pair));
    if (!pair)
        return STRAKE_ENOMEM;
    pair->name = strake_strdup(name);
    pair->value = strake_strdup(value);
    if (!pair->name || !pair->value) {
        pair_free(pair);
        return STRAKE_ENOMEM;
    }
    list->items[list->count++] = pair;
    list->items[list->count] = NULL;
    return 0;
}

int strake_pairs_set(struct strake_pairs *list, const char *name, const char *value)
{
    struct strake_pair *pair = pairs_find(list, name);
    char *copy;

    if (!pair)
        return pairs_add(list, name, value);
    copy = strake_strdup(value);
    if (!copy)
        return STRAKE_ENOMEM;
    strake_free((char *)pair->value);
    pair->value = copy;
    return 0;
}

const char *strake_pairs_get(const struct strake_pairs *list, const char *name)
{
    const struct strake_pair *pair = pairs_find(list, name);

    return pair ? pair->value : NULL;
}

int strake_pairs_copy(struct strake_pairs *to, const struct strake_pairs *from)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < from->count; i++)
        rc = strake_pairs_set(to, from->items[i]->name, from->items[i]->value);
    return rc;
}

const struct strake_pair *const *strake_pairs_view(const struct strake_pairs *list)
{
    static const struct strake_pair *const none[] = { NULL };

    return list->items ? (const struct strake_pair *const *)list->items : none;
}

void strake_pairs_dispose(struct strake_pairs *list)
{
    for (size_t i = 0; i < list->count; i++)
        pair_free(list->items[i]);
    strake_free(list->items);
    *list = (struct strake_pairs){ 0 };
}
