/* A blob from one store to another: a feed reads it from the one, and the other's blob_put() takes
 * it out of the feed. */
#include <pthread.h>

#include "plugin/call.h"
#include "plugin/feed.h"
#include "plugin/instance_impl.h"
#include "plugin/registry_calls.h"
#include "util/mem.h"

/* The least that is expected of a line, in bytes per millisecond. */
#define SLOW_LINE 100

struct copy_call {
    struct strake_call call; /* of the destination's blob_put() */
    const char *repository;
    const char *digest;
    int64_t size_bytes;
    struct strake_instance *from;
    const char *from_repository;
    struct strake_job *parent; /* of each feed's job; only until `closed` */

    pthread_mutex_t lock; /* guards all below */
    struct strake_feed *feed;
    bool closed; /* the caller is gone: no new feed, and nobody watches */
    struct strake_blob_watch watch;
    int64_t told_bytes; /* to who watches, since the start of the blob */
};

static void dispose(struct strake_call *call)
{
    struct copy_call *copy = (struct copy_call *)call;

    strake_feed_unref(copy->feed);
    strake_instance_unref(copy->from);
    pthread_mutex_destroy(&copy->lock);
}

/* ---- on the thread of blob_put(), which alone changes `feed` ---- */

static void tell(struct copy_call *copy, int64_t bytes)
{
    pthread_mutex_lock(&copy->lock);
    if (!copy->closed && copy->watch.moved) {
        copy->watch.moved(copy->watch.ctx, bytes);
        copy->told_bytes += bytes;
    }
    pthread_mutex_unlock(&copy->lock);
}

static int64_t take(void *ctx, void *data, size_t cap)
{
    struct copy_call *copy = ctx;
    int64_t got = strake_feed_take(copy->feed, data, cap);

    if (got > 0)
        tell(copy, got);
    return got;
}

/* From the start again: with another feed, because the old one may not stop at once. */
static int rewind_feed(void *ctx)
{
    struct copy_call *copy = ctx;
    struct strake_err err = { 0 };
    struct strake_feed *next = NULL, *old = copy->feed;
    int rc = STRAKE_ECANCELLED;

    tell(copy, -copy->told_bytes);
    pthread_mutex_lock(&copy->lock);
    if (!copy->closed) {
        strake_feed_stop(old);
        rc = strake_feed_start(copy->from, copy->from_repository, copy->digest, copy->size_bytes,
                               copy->parent, &next, &err);
        if (rc == 0)
            copy->feed = next;
    }
    pthread_mutex_unlock(&copy->lock);
    if (next)
        strake_feed_unref(old);
    strake_err_dispose(&err); /* the plugin says that its bytes could not be read again */
    return rc;
}

static int run_put(struct strake_call *call)
{
    struct copy_call *copy = (struct copy_call *)call;
    struct strake_instance *to = call->instance;

    return to->as.registry.blob_put(to->self, call->job, copy->repository, copy->digest,
                                    copy->size_bytes, take, rewind_feed, copy, &call->err);
}

/* ---- on the caller's ---- */

static struct copy_call *copy_new(struct strake_instance *from, const char *from_repository,
                                  struct strake_instance *to, const char *to_repository,
                                  struct strake_job *job, const char *digest, int64_t size_bytes,
                                  const struct strake_blob_watch *watch, struct strake_err *err)
{
    struct copy_call *copy = strake_call_new(sizeof(*copy), to, "blob_put", job, run_put, dispose);
    int rc;

    if (!copy) {
        strake_fail_nomem(err);
        return NULL;
    }
    pthread_mutex_init(&copy->lock, NULL);
    copy->from = strake_instance_ref(from);
    copy->size_bytes = size_bytes;
    copy->parent = job;
    if (watch)
        copy->watch = *watch;
    if (strake_call_copy(&copy->call, to_repository, &copy->repository) < 0 ||
        strake_call_copy(&copy->call, from_repository, &copy->from_repository) < 0 ||
        strake_call_copy(&copy->call, digest, &copy->digest) < 0)
        rc = strake_fail_nomem(err);
    else
        rc = strake_feed_start(from, copy->from_repository, copy->digest, size_bytes, job,
                               &copy->feed, err);
    if (rc < 0) {
        strake_call_unref(&copy->call);
        return NULL;
    }
    return copy;
}

static int stream(struct copy_call *copy, struct strake_job *job, bool *misled,
                  struct strake_err *err)
{
    struct strake_err cause = { 0 };
    int64_t limit_ms = STRAKE_CALL_REGISTRY_LIMIT_MS + copy->size_bytes / SLOW_LINE;
    int rc = strake_call_make(&copy->call, limit_ms, err), source_rc;

    pthread_mutex_lock(&copy->lock);
    copy->closed = true;
    source_rc = strake_feed_failure(copy->feed, &cause);
    *misled = rc < 0 && strake_feed_misled(copy->feed);
    strake_feed_stop(copy->feed);
    pthread_mutex_unlock(&copy->lock);
    /* What the source did wrong is the cause; the destination only saw its bytes end. A destination
     * that found the blob in its own store all the same is none the worse for it. */
    if (rc < 0 && source_rc < 0 && !strake_job_cancelled(job)) {
        strake_err_move(err, &cause);
        rc = source_rc;
    }
    strake_err_dispose(&cause);
    return rc;
}

static int run_mount(struct strake_call *call)
{
    struct strake_registry_call *made = (struct strake_registry_call *)call;
    const struct strake_instance *registry = call->instance;

    return registry->as.registry.blob_mount(registry->self, call->job, made->repository,
                                            made->reference, made->from, &made->mounted,
                                            &call->err);
}

static int mount(struct strake_instance *registry, struct strake_job *job, const char *repository,
                 const char *digest, const char *from, bool *mounted, struct strake_err *err)
{
    struct strake_registry_call *made =
        strake_registry_call_new(registry, "blob_mount", job, run_mount, repository, digest, err);
    int rc;

    if (!made)
        return STRAKE_ENOMEM;
    rc = strake_call_copy(&made->call, from, &made->from);
    if (rc < 0)
        rc = strake_fail_nomem(err);
    else
        rc = strake_call_make(&made->call, STRAKE_CALL_REGISTRY_LIMIT_MS, err);
    if (rc == 0)
        *mounted = made->mounted;
    strake_call_unref(&made->call);
    return rc;
}

/* Its bytes, from one to the other. */
static int transfer(struct strake_instance *from, const char *from_repository,
                    struct strake_instance *to, const char *to_repository, struct strake_job *job,
                    const char *digest, int64_t size_bytes, const struct strake_blob_watch *watch,
                    bool *misled, struct strake_err *err)
{
    struct copy_call *copy =
        copy_new(from, from_repository, to, to_repository, job, digest, size_bytes, watch, err);
    int rc;

    if (!copy)
        return err->code;
    rc = stream(copy, job, misled, err);
    strake_call_unref(&copy->call);
    return rc;
}

int strake_registry_blob_copy(struct strake_instance *from, const char *from_repository,
                              struct strake_instance *to, const char *to_repository,
                              struct strake_job *job, const char *digest, int64_t size_bytes,
                              const struct strake_blob_watch *watch, char *how,
                              struct strake_err *err)
{
    bool mounted = false, misled = false;
    int64_t size;
    int rc = strake_registry_blob_stat(to, job, to_repository, digest, &size, err);

    *how = 'p';
    if (rc != STRAKE_ENOTFOUND)
        return rc;
    strake_err_dispose(err);
    if (size_bytes < 0)
        return strake_fail(err, STRAKE_EREGISTRY, "the blob %s of %s has no size", digest,
                           from_repository);
    if (strake_instance_origin(from) == strake_instance_origin(to) &&
        from->as.registry.blob_mount) {
        rc = mount(to, job, to_repository, digest, from_repository, &mounted, err);
        *how = 'm';
        if (rc < 0 || mounted)
            return rc;
    }
    *how = 'c';
    rc = transfer(from, from_repository, to, to_repository, job, digest, size_bytes, watch, &misled,
                  err);
    if (misled) {
        strake_err_dispose(err);
        rc = transfer(strake_instance_origin(from), from_repository, to, to_repository, job, digest,
                      size_bytes, watch, &misled, err);
    }
    return rc;
}
