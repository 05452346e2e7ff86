/* A host table for tests of the plugins' pure parts: no core behind it, so that they are shown to
 * need nothing but the public header. Failures, marked secrets and log lines are kept to be looked
 * at. */
#ifndef TEST_FAKE_HOST_H
#define TEST_FAKE_HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "strake/plugin.h"

struct strake_err {
    int code;
    char message[1024];
    char hint[1024];
};

struct strake_buf {
    char *data;
    size_t len;
    size_t max;
};

static struct strake_err fake_err;
static char fake_marked[4096]; /* each marked secret and a newline */
static char fake_logged[4096];

/** What fake_process_run() does; set by the test. */
static struct {
    int rc;
    int exit_code;
    const char *output;
    char argv[256];
    char input[256];
    int64_t timeout_ms; /* that it was given */
    int calls;
} fake_program;

static inline int fake_fail(struct strake_err *err, int code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->message, sizeof(err->message), fmt, args);
    va_end(args);
    err->code = code;
    err->hint[0] = '\0';
    return code;
}

static inline void fake_hint(struct strake_err *err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->hint, sizeof(err->hint), fmt, args);
    va_end(args);
}

static inline struct strake_err *fake_err_new(void)
{
    return calloc(1, sizeof(struct strake_err));
}

static inline void fake_err_free(struct strake_err *err)
{
    free(err);
}

static inline int fake_err_code(const struct strake_err *err)
{
    return err->code;
}

static inline const char *fake_err_message(const struct strake_err *err)
{
    return err->message;
}

static inline struct strake_buf *fake_buf_new(size_t max)
{
    struct strake_buf *buf = calloc(1, sizeof(*buf));
    if (buf)
        buf->max = max;
    return buf;
}

static inline void fake_buf_free(struct strake_buf *buf)
{
    if (buf)
        free(buf->data);
    free(buf);
}

static inline int fake_buf_append(struct strake_buf *buf, const void *data, size_t len)
{
    if (buf->len + len > buf->max)
        return STRAKE_ETOOBIG;
    char *grown = realloc(buf->data, buf->len + len + 1);
    if (!grown)
        return STRAKE_ENOMEM;
    memcpy(grown + buf->len, data, len);
    buf->data = grown;
    buf->len += len;
    grown[buf->len] = '\0';
    return 0;
}

static inline const char *fake_buf_data(const struct strake_buf *buf, size_t *len)
{
    if (len)
        *len = buf->len;
    return buf->data ? buf->data : "";
}

static inline void fake_append_line(char *to, size_t size, const char *text, size_t len)
{
    size_t used = strlen(to);
    if (used + len + 2 <= size)
        snprintf(to + used, size - used, "%.*s\n", (int)len, text);
}

static inline void fake_secret_mark(const char *value, size_t len)
{
    fake_append_line(fake_marked, sizeof(fake_marked), value, len);
}

static inline int fake_secret_get(const char *name, struct strake_buf *value,
                                  struct strake_err *err)
{
    if (strcmp(name, "KNOWN") != 0)
        return fake_fail(err, STRAKE_ECONFIG, "there is no secret %s", name);
    return fake_buf_append(value, "its value", 9);
}

static inline void fake_log(enum strake_level level, const char *fmt, ...)
{
    char line[1024];
    va_list args;
    (void)level;
    va_start(args, fmt);
    vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    fake_append_line(fake_logged, sizeof(fake_logged), line, strlen(line));
}

static inline int fake_process_run(struct strake_job *job, const struct strake_process *process,
                                   struct strake_process_result *result, struct strake_err *err)
{
    (void)job;
    fake_program.calls++;
    fake_program.timeout_ms = process->timeout_ms;
    snprintf(fake_program.argv, sizeof(fake_program.argv), "%s %s", process->argv[0],
             process->argv[1]);
    snprintf(fake_program.input, sizeof(fake_program.input), "%.*s", (int)process->input_len,
             (const char *)process->input);
    if (fake_program.rc < 0)
        return fake_fail(err, fake_program.rc, "the program did not run");
    result->exit_code = fake_program.exit_code;
    return process->fds[0]->data(process->fds[0]->ctx, fake_program.output,
                                 strlen(fake_program.output));
}

static const struct strake_host fake_host = {
    .size = sizeof(fake_host),
    .abi = STRAKE_ABI,
    .buf_new = fake_buf_new,
    .buf_free = fake_buf_free,
    .buf_append = fake_buf_append,
    .buf_data = fake_buf_data,
    .fail = fake_fail,
    .err_hint = fake_hint,
    .err_new = fake_err_new,
    .err_free = fake_err_free,
    .err_code = fake_err_code,
    .err_message = fake_err_message,
    .log = fake_log,
    .process_run = fake_process_run,
    .secret_get = fake_secret_get,
    .secret_mark = fake_secret_mark,
};

/** A cmocka setup: everything as new. */
static inline int fake_reset(void **state)
{
    (void)state;
    memset(&fake_err, 0, sizeof(fake_err));
    memset(&fake_program, 0, sizeof(fake_program));
    fake_program.output = "";
    fake_marked[0] = fake_logged[0] = '\0';
    return 0;
}

#endif
