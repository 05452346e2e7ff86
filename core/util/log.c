/* The program's own log: one line at a time, on stderr or in a live view. */
#include "util/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "util/buf.h"
#include "util/secret.h"
#include "util/text.h"

#define LOG_LINE_MAX ((size_t)16 * 1024)

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_int log_level = STRAKE_LOG_WARN;
static void (*log_sink)(void *ctx, enum strake_level level, const char *line);
static void *log_ctx;

static const char *const level_names[] = { "debug", "info", "warning", "error" };

void strake_log_set_level(enum strake_level level)
{
    atomic_store(&log_level, (int)level);
}

void strake_log_set_sink(void (*sink)(void *ctx, enum strake_level level, const char *line),
                         void *ctx)
{
    pthread_mutex_lock(&log_lock);
    log_sink = sink;
    log_ctx = ctx;
    pthread_mutex_unlock(&log_lock);
}

static void log_write(enum strake_level level, const char *line)
{
    pthread_mutex_lock(&log_lock);
    if (log_sink)
        log_sink(log_ctx, level, line);
    else
        fputs(line, stderr);
    pthread_mutex_unlock(&log_lock);
}

void strake_log(enum strake_level level, const char *fmt, ...)
{
    struct strake_buf line = { .max = LOG_LINE_MAX, .secret = true };
    va_list args;
    int rc;

    if ((int)level < atomic_load(&log_level))
        return;
    rc = strake_buf_printf(&line, "strake: %s: ", level_names[level]);
    va_start(args, fmt);
    if (rc == 0)
        rc = strake_buf_vprintf(&line, fmt, args);
    va_end(args);
    if (rc == STRAKE_ETOOBIG)
        rc = strake_buf_puts(&line, "(a message too long to be shown)");
    if (rc == 0)
        rc = strake_secret_redact(&line); /* before a byte is changed: a secret is known whole */
    strake_text_blank(line.data, line.len);
    line.max = 0;
    if (rc == 0 && strake_buf_putc(&line, '\n') == 0)
        log_write(level, strake_buf_text(&line));
    strake_buf_dispose(&line);
}
