/* The host table: what plugin.h promises, on top of core/util. */
#include <string.h>

#include "image/digest.h"
#include "plugin/loader.h"
#include "util/buf.h"
#include "util/http.h"
#include "util/job.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/process.h"
#include "util/secret.h"

/* ---- buffers ---- */

static struct strake_buf *host_buf_new(size_t max_bytes)
{
    struct strake_buf *buf = strake_calloc(1, sizeof(*buf));

    if (buf)
        buf->max = max_bytes;
    return buf;
}

static void host_buf_free(struct strake_buf *buf)
{
    strake_buf_dispose(buf);
    strake_free(buf);
}

static const char *host_buf_data(const struct strake_buf *buf, size_t *len)
{
    if (len)
        *len = buf->len;
    return strake_buf_text(buf);
}

/* ---- failures ---- */

static int host_fail(struct strake_err *err, int code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    strake_vfail(err, code, fmt, args);
    va_end(args);
    return code;
}

static void host_err_hint(struct strake_err *err, const char *fmt, ...)
{
    char *text;
    va_list args;

    va_start(args, fmt);
    text = strake_vasprintf(fmt, args);
    va_end(args);
    if (text)
        strake_err_hint(err, "%s", text);
    strake_free(text);
}

static struct strake_err *host_err_new(void)
{
    return strake_calloc(1, sizeof(struct strake_err));
}

static void host_err_free(struct strake_err *err)
{
    if (err)
        strake_err_dispose(err);
    strake_free(err);
}

static int host_err_code(const struct strake_err *err)
{
    return err->code;
}

static void host_log(enum strake_level level, const char *fmt, ...)
{
    char *text;
    va_list args;

    va_start(args, fmt);
    text = strake_vasprintf(fmt, args);
    va_end(args);
    if (text)
        strake_log(level, "%s", text);
    strake_free(text);
}

/* ---- the structs that a plugin made may be older or newer than ours ---- */

static int host_process_run(struct strake_job *job, const struct strake_process *given,
                            struct strake_process_result *result, struct strake_err *err)
{
    struct strake_process_result ours = { .size = sizeof(ours) };
    struct strake_process process = { 0 };
    int rc;

    memcpy(&process, given, given->size < sizeof(process) ? given->size : sizeof(process));
    process.size = sizeof(process);
    rc = strake_process_run(job, &process, &ours, err);
    ours.size = result->size;
    memcpy(result, &ours, result->size < sizeof(ours) ? result->size : sizeof(ours));
    return rc;
}

static int host_http_request(struct strake_job *job, const struct strake_http_request *given,
                             struct strake_http_response *response, struct strake_err *err)
{
    struct strake_http_response ours = { 0 };
    struct strake_http_request request = { 0 };
    size_t size = response->size < sizeof(ours) ? response->size : sizeof(ours);
    int rc;

    memcpy(&request, given, given->size < sizeof(request) ? given->size : sizeof(request));
    request.size = sizeof(request);
    memcpy(&ours, response, size);
    ours.size = sizeof(ours);
    rc = strake_http_request(job, &request, &ours, err);
    ours.size = response->size;
    memcpy(response, &ours, size);
    return rc;
}

static int host_digest(const void *data, size_t len, char *out)
{
    struct strake_err err = { 0 };
    int rc = strake_digest_of(data, len, out, &err);

    if (rc < 0)
        strake_log(STRAKE_LOG_ERROR, "%s", strake_err_message(&err));
    strake_err_dispose(&err);
    return rc;
}

static const struct strake_host host = {
    .size = sizeof(host),
    .abi = STRAKE_ABI,
    .version = STRAKE_VERSION,
    .buf_new = host_buf_new,
    .buf_free = host_buf_free,
    .buf_append = strake_buf_append,
    .buf_data = host_buf_data,
    .buf_clear = strake_buf_clear,
    .fail = host_fail,
    .err_hint = host_err_hint,
    .err_place = strake_err_place,
    .err_detail = strake_err_detail,
    .err_new = host_err_new,
    .err_free = host_err_free,
    .err_code = host_err_code,
    .err_message = strake_err_message,
    .log = host_log,
    .job_cancelled = strake_job_cancelled,
    .job_cancel_fd = strake_job_cancel_fd,
    .job_remaining_ms = strake_job_remaining_ms,
    .job_step = strake_job_step,
    .job_step_log = strake_job_step_log,
    .job_step_progress = strake_job_step_progress,
    .job_warning = strake_job_warning,
    .process_run = host_process_run,
    .http_request = host_http_request,
    .secret_get = strake_secret_get,
    .secret_mark = strake_secret_mark,
    .digest = host_digest,
    .job_cache_exported = strake_job_cache_exported,
};

const struct strake_host *strake_host_table(void)
{
    return &host;
}
