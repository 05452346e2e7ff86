/* Byte strings with a maximum. Growth doubles, never past the maximum and the NUL behind it. */
#include "util/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "util/mem.h"

static size_t buf_max(const struct strake_buf *buf)
{
    if (buf->max == 0)
        return STRAKE_BUF_MAX;
    return buf->max < SIZE_MAX ? buf->max : SIZE_MAX - 1; /* there is a NUL behind it */
}

/* A secret's old bytes must not stay behind in memory given back. */
static int buf_move(struct strake_buf *buf, size_t cap)
{
    char *data;

    if (!buf->secret) {
        data = strake_realloc(buf->data, cap);
        if (!data)
            return STRAKE_ENOMEM;
    } else {
        data = strake_malloc(cap);
        if (!data)
            return STRAKE_ENOMEM;
        if (buf->data) {
            memcpy(data, buf->data, buf->len + 1);
            explicit_bzero(buf->data, buf->cap);
            strake_free(buf->data);
        }
    }
    buf->data = data;
    buf->cap = cap;
    buf->data[buf->len] = '\0';
    return 0;
}

static int buf_room(struct strake_buf *buf, size_t len)
{
    size_t max = buf_max(buf), cap = buf->cap;

    if (buf->len > max || len > max - buf->len)
        return STRAKE_ETOOBIG;
    if (buf->data && buf->len + len < buf->cap)
        return 0;
    if (cap < 64)
        cap = 64;
    while (cap <= buf->len + len)
        cap = cap > max / 2 ? max + 1 : cap * 2;
    return buf_move(buf, cap);
}

int strake_buf_append(struct strake_buf *buf, const void *data, size_t len)
{
    int rc = buf_room(buf, len);

    if (rc < 0)
        return rc;
    if (len)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
    return 0;
}

int strake_buf_puts(struct strake_buf *buf, const char *text)
{
    return strake_buf_append(buf, text, strlen(text));
}

int strake_buf_putc(struct strake_buf *buf, char c)
{
    return strake_buf_append(buf, &c, 1);
}

int strake_buf_vprintf(struct strake_buf *buf, const char *fmt, va_list args)
{
    va_list again;
    int len, rc;

    va_copy(again, args);
    len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (len < 0)
        return STRAKE_EINTERNAL;
    rc = buf_room(buf, (size_t)len);
    if (rc < 0)
        return rc;
    vsnprintf(buf->data + buf->len, (size_t)len + 1, fmt, args);
    buf->len += (size_t)len;
    return 0;
}

int strake_buf_printf(struct strake_buf *buf, const char *fmt, ...)
{
    va_list args;
    int rc;

    va_start(args, fmt);
    rc = strake_buf_vprintf(buf, fmt, args);
    va_end(args);
    return rc;
}

char *strake_buf_reserve(struct strake_buf *buf, size_t len)
{
    return buf_room(buf, len) < 0 ? NULL : buf->data + buf->len;
}

void strake_buf_grew(struct strake_buf *buf, size_t len)
{
    buf->len += len;
    buf->data[buf->len] = '\0';
}

const char *strake_buf_text(const struct strake_buf *buf)
{
    return buf->data ? buf->data : "";
}

void strake_buf_consume(struct strake_buf *buf, size_t len)
{
    if (len >= buf->len) {
        strake_buf_clear(buf);
        return;
    }
    memmove(buf->data, buf->data + len, buf->len - len);
    if (buf->secret)
        explicit_bzero(buf->data + buf->len - len, len);
    buf->len -= len;
    buf->data[buf->len] = '\0';
}

void strake_buf_clear(struct strake_buf *buf)
{
    if (!buf->data)
        return;
    if (buf->secret)
        explicit_bzero(buf->data, buf->cap);
    buf->len = 0;
    buf->data[0] = '\0';
}

char *strake_buf_take(struct strake_buf *buf)
{
    char *data = buf->data ? buf->data : strake_strdup("");

    if (data) {
        buf->data = NULL;
        buf->len = 0;
        buf->cap = 0;
    }
    return data;
}

void strake_buf_dispose(struct strake_buf *buf)
{
    if (!buf)
        return;
    if (buf->data && buf->secret)
        explicit_bzero(buf->data, buf->cap);
    strake_free(buf->data);
    buf->data = NULL;
    buf->len = 0;
    buf->cap = 0;
}
