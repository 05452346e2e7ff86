/* Checked calls about one blob that fits into memory. */
#include <string.h>

#include "image/digest.h"
#include "plugin/instance_impl.h"
#include "plugin/mirrors.h"
#include "plugin/registry_calls.h"
#include "util/mem.h"

static struct strake_registry_call *made_of(struct strake_call *call)
{
    return (struct strake_registry_call *)call;
}

/* ---- stat ---- */

static int run_stat(struct strake_call *call)
{
    struct strake_registry_call *made = made_of(call);
    const struct strake_instance *registry = call->instance;

    return registry->as.registry.blob_stat(registry->self, call->job, made->repository,
                                           made->reference, &made->size_bytes, &call->err);
}

int strake_registry_blob_stat(struct strake_instance *registry, struct strake_job *job,
                              const char *repository, const char *digest, int64_t *size_bytes,
                              struct strake_err *err)
{
    struct strake_registry_call *made =
        strake_registry_call_new(registry, "blob_stat", job, run_stat, repository, digest, err);
    int rc;

    *size_bytes = -1;
    if (!made)
        return STRAKE_ENOMEM;
    made->size_bytes = -1;
    rc = strake_call_make(&made->call, STRAKE_CALL_REGISTRY_LIMIT_MS, err);
    if (rc == 0)
        *size_bytes = made->size_bytes < 0 ? -1 : made->size_bytes;
    strake_call_unref(&made->call);
    return rc;
}

/* ---- read ---- */

static int append_part(void *ctx, const char *data, size_t len)
{
    return strake_buf_append(ctx, data, len);
}

static int run_read(struct strake_call *call)
{
    struct strake_registry_call *made = made_of(call);
    const struct strake_instance *registry = call->instance;
    int rc =
        registry->as.registry.blob_get(registry->self, call->job, made->repository, made->reference,
                                       0, append_part, &made->bytes, &call->err);

    if (rc == STRAKE_ETOOBIG)
        return strake_fail(&call->err, rc, "%s: the blob %s of %s is larger than %zu bytes",
                           registry->name, made->reference, made->repository, made->bytes.max);
    return rc;
}

struct reading {
    struct strake_job *job;
    const char *digest;
    size_t max_bytes;
    struct strake_buf *bytes;
};

static int read_from(const struct strake_source *source, void *ctx, struct strake_err *err)
{
    const struct reading *reading = ctx;
    struct strake_registry_call *made =
        strake_registry_call_new(source->instance, "blob_get", reading->job, run_read,
                                 source->repository, reading->digest, err);
    int rc;

    if (!made)
        return STRAKE_ENOMEM;
    made->bytes.max = reading->max_bytes;
    rc = strake_call_make(&made->call, source->limit_ms, err);
    if (rc == 0)
        rc = strake_digest_verify(reading->digest, strake_buf_text(&made->bytes), made->bytes.len,
                                  source->instance->name, err);
    if (rc == 0)
        rc = strake_call_give(&made->bytes, reading->bytes, err);
    strake_call_unref(&made->call);
    return rc;
}

int strake_registry_blob_read(struct strake_instance *registry, struct strake_job *job,
                              const char *repository, const char *digest, size_t max_bytes,
                              struct strake_buf *bytes, struct strake_err *err)
{
    struct reading reading = { job, digest, max_bytes, bytes };

    return strake_mirrors_ask(registry, repository, read_from, &reading, err);
}

/* ---- write ---- */

static int64_t give_part(void *ctx, void *data, size_t cap)
{
    struct strake_registry_call *made = ctx;
    size_t rest = made->bytes.len - made->at, n = rest < cap ? rest : cap;

    memcpy(data, strake_buf_text(&made->bytes) + made->at, n);
    made->at += n;
    return (int64_t)n;
}

static int give_again(void *ctx)
{
    struct strake_registry_call *made = ctx;

    made->at = 0;
    return 0;
}

static int run_write(struct strake_call *call)
{
    struct strake_registry_call *made = made_of(call);
    const struct strake_instance *registry = call->instance;

    return registry->as.registry.blob_put(registry->self, call->job, made->repository,
                                          made->reference, (int64_t)made->bytes.len, give_part,
                                          give_again, made, &call->err);
}

int strake_registry_blob_write(struct strake_instance *registry, struct strake_job *job,
                               const char *repository, const char *digest, const void *data,
                               size_t len, struct strake_err *err)
{
    struct strake_registry_call *made;
    int64_t size;
    int rc = strake_registry_blob_stat(registry, job, repository, digest, &size, err);

    if (rc != STRAKE_ENOTFOUND)
        return rc;
    strake_err_dispose(err);
    made = strake_registry_call_new(registry, "blob_put", job, run_write, repository, digest, err);
    if (!made)
        return STRAKE_ENOMEM;
    if (strake_buf_append(&made->bytes, data, len) < 0)
        rc = strake_fail_nomem(err);
    else
        rc = strake_call_make(&made->call, STRAKE_CALL_REGISTRY_LIMIT_MS, err);
    strake_call_unref(&made->call);
    return rc;
}
