/* Texts, lists and waiting for plugins (util.h). */
#include "common/util.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool text_reserve(struct plug_text *text, size_t more)
{
    if (text->failed || more > SIZE_MAX / 4 - text->len) {
        text->failed = true;
        return false;
    }
    size_t need = text->len + more + 1;
    if (need <= text->cap)
        return true;
    size_t cap = text->cap ? text->cap : 64;
    while (cap < need)
        cap *= 2;
    /* Not realloc(): it would leave a copy of what may be a secret behind. */
    char *data = malloc(cap);
    if (!data) {
        text->failed = true;
        return false;
    }
    if (text->data) {
        memcpy(data, text->data, text->len);
        explicit_bzero(text->data, text->len);
        free(text->data);
    }
    data[text->len] = '\0';
    text->data = data;
    text->cap = cap;
    return true;
}

void plug_text_add_len(struct plug_text *text, const void *data, size_t len)
{
    if (!text_reserve(text, len))
        return;
    if (len)
        memcpy(text->data + text->len, data, len);
    text->len += len;
    text->data[text->len] = '\0';
}

void plug_text_add(struct plug_text *text, const char *data)
{
    plug_text_add_len(text, data, strlen(data));
}

void plug_text_addf(struct plug_text *text, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    va_list again;
    va_copy(again, args);
    int need = vsnprintf(NULL, 0, fmt, args);
    if (need < 0)
        text->failed = true;
    else if (text_reserve(text, (size_t)need)) {
        (void)vsnprintf(text->data + text->len, (size_t)need + 1, fmt, again);
        text->len += (size_t)need;
    }
    va_end(again);
    va_end(args);
}

const char *plug_text_view(const struct plug_text *text)
{
    return text->data ? text->data : "";
}

char *plug_text_take(struct plug_text *text)
{
    char *data = NULL;
    if (text_reserve(text, 0)) {
        data = text->data;
        *text = (struct plug_text){ 0 };
    }
    plug_text_dispose(text);
    return data;
}

void plug_text_dispose(struct plug_text *text)
{
    if (text->data)
        explicit_bzero(text->data, text->len);
    free(text->data);
    *text = (struct plug_text){ 0 };
}

char *plug_format(const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    return len < 0 ? NULL : text;
}

char *plug_strndup(const char *data, size_t len)
{
    char *copy = malloc(len + 1);
    if (!copy)
        return NULL;
    memcpy(copy, data, len);
    copy[len] = '\0';
    return copy;
}

bool plug_copy(char *out, size_t size, const char *text)
{
    size_t len = strlen(text);
    if (len >= size)
        return false;
    memcpy(out, text, len + 1);
    return true;
}

void plug_wipe(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

void plug_list_take(struct plug_list *list, char *item)
{
    if (!item || list->failed) {
        list->failed = true;
        plug_wipe(item);
        return;
    }
    if (list->count + 2 > list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 16;
        char **items = reallocarray(list->items, cap, sizeof(*items));
        if (!items) {
            list->failed = true;
            plug_wipe(item);
            return;
        }
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count++] = item;
    list->items[list->count] = NULL;
}

void plug_list_add(struct plug_list *list, const char *item)
{
    plug_list_take(list, strdup(item));
}

void plug_list_addf(struct plug_list *list, const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    plug_list_take(list, len < 0 ? NULL : text);
}

bool plug_list_has(const struct plug_list *list, const char *item)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], item) == 0)
            return true;
    return false;
}

const char *const *plug_list_view(const struct plug_list *list)
{
    static const char *const none[] = { NULL };
    return list->items ? (const char *const *)list->items : none;
}

void plug_list_dispose(struct plug_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        plug_wipe(list->items[i]);
    free(list->items);
    *list = (struct plug_list){ 0 };
}

int64_t plug_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int plug_wait_ms(const struct strake_host *host, struct strake_job *job, int64_t ms,
                 struct strake_err *err)
{
    int64_t end = plug_now_ms() + ms;
    struct pollfd cancel = { .fd = job ? host->job_cancel_fd(job) : -1, .events = POLLIN };
    for (;;) {
        if (job && host->job_cancelled(job))
            return host->fail(err, STRAKE_ECANCELLED, "cancelled");
        if (job && host->job_remaining_ms(job) == 0)
            return host->fail(err, STRAKE_ETIMEOUT, "the time given for this has passed");
        int64_t left = end - plug_now_ms();
        if (left <= 0)
            return 0;
        (void)poll(&cancel, 1, left > 100 ? 100 : (int)left);
    }
}

int plug_fail_nomem(const struct strake_host *host, struct strake_err *err)
{
    return host->fail(err, STRAKE_ENOMEM, "out of memory");
}
