/* Cutting the output of a program into lines, and keeping its end. */
#include "common/stream.h"

#include <stdlib.h>
#include <string.h>

#include "strake/plugin.h"

/* ---- lines ----------------------------------------------------------------------------------- */

static int hold(struct plug_lines *lines, const char *data, size_t len)
{
    if (lines->skipping)
        return 0;
    if (len > lines->max - lines->held_len) {
        lines->skipping = true;
        lines->dropped++;
        lines->held_len = 0;
        return 0;
    }
    size_t need = lines->held_len + len + 1;
    if (lines->held == NULL || need > lines->held_cap) {
        size_t cap = lines->held_cap > 0 ? lines->held_cap : 4096;
        while (cap < need)
            cap *= 2;
        char *held = realloc(lines->held, cap);
        if (held == NULL)
            return STRAKE_ENOMEM;
        lines->held = held;
        lines->held_cap = cap;
    }
    memcpy(lines->held + lines->held_len, data, len);
    lines->held_len += len;
    return 0;
}

static int deliver(struct plug_lines *lines)
{
    if (lines->skipping) {
        lines->skipping = false;
        return 0;
    }
    int rc = lines->held == NULL ? hold(lines, "", 0) : 0;
    if (rc < 0)
        return rc;
    size_t len = lines->held_len;
    lines->held_len = 0;
    if (len > 0 && lines->held[len - 1] == '\r')
        len--;
    lines->held[len] = '\0';
    return lines->line(lines->ctx, lines->held, len);
}

int plug_lines_feed(struct plug_lines *lines, const char *data, size_t len)
{
    while (len > 0) {
        const char *newline = memchr(data, '\n', len);
        size_t take = newline != NULL ? (size_t)(newline - data) : len;
        int rc = hold(lines, data, take);
        if (rc == 0 && newline != NULL)
            rc = deliver(lines);
        if (rc < 0)
            return rc;
        take += newline != NULL;
        data += take;
        len -= take;
    }
    return 0;
}

int plug_lines_finish(struct plug_lines *lines)
{
    int rc = lines->held_len > 0 ? deliver(lines) : 0;
    free(lines->held);
    lines->held = NULL;
    lines->held_len = 0;
    lines->held_cap = 0;
    lines->skipping = false;
    return rc;
}

/* ---- tail ------------------------------------------------------------------------------------ */

/* Twice what is kept, so that the bytes are moved once in PLUG_TAIL_BYTES. */
#define TAIL_ROOM (2 * PLUG_TAIL_BYTES)

int plug_tail_keep(void *ctx, const char *data, size_t len)
{
    struct plug_tail *tail = ctx;
    if (tail->data == NULL) {
        tail->data = malloc(TAIL_ROOM + 1);
        if (tail->data == NULL)
            return STRAKE_ENOMEM;
    }
    if (len > PLUG_TAIL_BYTES) {
        data += len - PLUG_TAIL_BYTES;
        len = PLUG_TAIL_BYTES;
        tail->cut = true;
    }
    if (tail->len + len > TAIL_ROOM) {
        size_t keep = PLUG_TAIL_BYTES;
        memmove(tail->data, tail->data + tail->len - keep, keep);
        tail->len = keep;
        tail->cut = true;
    }
    memcpy(tail->data + tail->len, data, len);
    tail->len += len;
    tail->data[tail->len] = '\0';
    return 0;
}

const char *plug_tail_text(const struct plug_tail *tail, size_t *len)
{
    *len = 0;
    if (tail->data == NULL)
        return "";
    size_t start = tail->len > PLUG_TAIL_BYTES ? tail->len - PLUG_TAIL_BYTES : 0;
    if (tail->cut || start > 0) {
        const char *newline = memchr(tail->data + start, '\n', tail->len - start);
        if (newline != NULL)
            start = (size_t)(newline + 1 - tail->data);
    }
    *len = tail->len - start;
    return tail->data + start;
}

void plug_tail_dispose(struct plug_tail *tail)
{
    free(tail->data);
    *tail = (struct plug_tail){ 0 };
}
