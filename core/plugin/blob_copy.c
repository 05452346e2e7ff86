/* A blob from one store to another: one thread pulls it into a ring, the other pushes it out of it, so
 * that memory does not grow with the blob. It is hashed on the way, and the last byte is only handed
 * on once the digest is right. */
#include <pthread.h>
#include <string.h>

#include "plugin/instance_impl.h"
#include "util/mem.h"

#define RING_BYTES ((size_t)1024 * 1024)

struct pipe_state {
    struct strake_instance *from;
    const char *repository;
    const char *digest;
    int64_t size_bytes;
    struct strake_job *job; /* the reader's: cancelled when the writer gives up */
    char *ring;
    size_t start, len;
    int64_t taken; /* bytes that the writer took since the start of the blob */
    bool ended;    /* the reader is through; `rc` and `err` are its result */
    bool stopped;  /* the writer wants no more */
    int rc;
    struct strake_err err;
    struct strake_hash *hash;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool running;
};

/* ---- the reading side, on a thread of its own ---- */

static int ring_push(void *ctx, const char *data, size_t len)
{
    struct pipe_state *p = ctx;

    if (strake_hash_update(p->hash, data, len) < 0)
        return STRAKE_EINTERNAL;
    pthread_mutex_lock(&p->lock);
    while (len && !p->stopped) {
        size_t room = RING_BYTES - p->len;
        size_t at = (p->start + p->len) % RING_BYTES;
        size_t n = len < room ? len : room;
        if (n == 0) {
            pthread_cond_wait(&p->changed, &p->lock);
            continue;
        }
        if (n > RING_BYTES - at)
            n = RING_BYTES - at;
        memcpy(p->ring + at, data, n);
        p->len += n;
        data += n;
        len -= n;
        pthread_cond_broadcast(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    return len ? STRAKE_ECANCELLED : 0;
}

static void *reader(void *ctx)
{
    struct pipe_state *p = ctx;
    char digest[STRAKE_DIGEST_TEXT];
    int rc = p->from->as.registry.blob_get(p->from->self, p->job, p->repository, p->digest, 0,
                                           ring_push, p, &p->err);

    rc = strake_instance_told(p->from, "blob_get", rc, &p->err);
    if (rc == 0 && strake_hash_final(p->hash, digest) < 0)
        rc = strake_fail_nomem(&p->err);
    if (rc == 0 && strcmp(digest, p->digest) != 0)
        rc = strake_fail(&p->err, STRAKE_ECORRUPT, "%s sent other bytes for the blob %s of %s: their "
                         "digest is %s", p->from->name, p->digest, p->repository, digest);
    pthread_mutex_lock(&p->lock);
    p->rc = rc;
    p->ended = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static int start_reader(struct pipe_state *p)
{
    p->start = 0;
    p->len = 0;
    p->taken = 0;
    p->ended = false;
    p->stopped = false;
    strake_hash_free(p->hash);
    p->hash = NULL;
    strake_err_dispose(&p->err);
    if (strake_hash_new(&p->hash, &p->err) < 0)
        return p->err.code;
    if (pthread_create(&p->thread, NULL, reader, p) != 0)
        return strake_fail_nomem(&p->err);
    p->running = true;
    return 0;
}

static void stop_reader(struct pipe_state *p)
{
    if (!p->running)
        return;
    pthread_mutex_lock(&p->lock);
    p->stopped = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    p->running = false;
}

/* ---- the writing side ---- */

/* The last byte waits for the verdict on the whole: a store that got all bytes would keep them. */
static bool may_take(const struct pipe_state *p)
{
    if (p->ended)
        return true;
    return p->len > 1 || (p->len == 1 && p->taken + 1 < p->size_bytes);
}

static int64_t ring_pull(void *ctx, void *data, size_t cap)
{
    struct pipe_state *p = ctx;
    size_t n;
    int64_t result;

    pthread_mutex_lock(&p->lock);
    while (!may_take(p))
        pthread_cond_wait(&p->changed, &p->lock);
    n = p->len;
    if (!p->ended && p->taken + (int64_t)n >= p->size_bytes)
        n--;
    if (n > cap)
        n = cap;
    if (n > RING_BYTES - p->start)
        n = RING_BYTES - p->start;
    if (p->ended && p->rc < 0) {
        result = p->rc;
    } else {
        memcpy(data, p->ring + p->start, n);
        p->start = (p->start + n) % RING_BYTES;
        p->len -= n;
        p->taken += (int64_t)n;
        result = (int64_t)n;
        pthread_cond_broadcast(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    return result;
}

static int ring_rewind(void *ctx)
{
    struct pipe_state *p = ctx;

    stop_reader(p);
    return start_reader(p);
}

static int stream(struct pipe_state *p, struct strake_instance *to, const char *to_repository,
                  struct strake_job *job, struct strake_err *err)
{
    int rc;

    p->ring = strake_malloc(RING_BYTES);
    p->job = strake_job_new(job, NULL, strake_job_target(job));
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    rc = p->ring && p->job ? start_reader(p) : strake_fail_nomem(&p->err);
    if (rc == 0) {
        rc = to->as.registry.blob_put(to->self, job, to_repository, p->digest, p->size_bytes,
                                      ring_pull, ring_rewind, p, err);
        stop_reader(p);
    }
    /* What the source did wrong is the cause; the destination only saw its bytes end. */
    if (rc < 0 && p->err.code && p->err.code != STRAKE_ECANCELLED)
        strake_err_move(err, &p->err);
    rc = strake_instance_told(to, "blob_put", err->code && rc < 0 ? err->code : rc, err);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    strake_job_free(p->job);
    strake_hash_free(p->hash);
    strake_err_dispose(&p->err);
    strake_free(p->ring);
    return rc;
}

int strake_registry_blob_copy(struct strake_instance *from, const char *from_repository,
                              struct strake_instance *to, const char *to_repository,
                              struct strake_job *job, const char *digest, int64_t size_bytes,
                              char *how, struct strake_err *err)
{
    struct pipe_state p = { .from = from, .repository = from_repository, .digest = digest,
                            .size_bytes = size_bytes };
    int64_t size;
    bool mounted = false;
    int rc = strake_registry_blob_stat(to, job, to_repository, digest, &size, err);

    *how = 'p';
    if (rc == 0 || rc != STRAKE_ENOTFOUND)
        return rc;
    strake_err_dispose(err);
    if (from == to && from->as.registry.blob_mount) {
        rc = to->as.registry.blob_mount(to->self, job, to_repository, digest, from_repository,
                                        &mounted, err);
        rc = strake_instance_told(to, "blob_mount", rc, err);
        *how = 'm';
        if (rc < 0 || mounted)
            return rc;
    }
    *how = 'c';
    return stream(&p, to, to_repository, job, err);
}
