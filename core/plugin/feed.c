/* Reading a blob into a ring on a thread of its own: memory does not grow with the blob. */
#include "plugin/feed.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "image/digest.h"
#include "plugin/call.h"
#include "plugin/instance_impl.h"
#include "plugin/mirrors.h"
#include "util/mem.h"
#include "util/thread.h"

#define RING_BYTES ((size_t)1024 * 1024)

struct strake_feed {
    struct strake_instance *from;
    char *repository;
    char *digest;
    int64_t size_bytes;
    struct strake_job *job; /* the source's own */
    struct strake_hash *hash;
    atomic_int references; /* of the taker, and of the thread while it is out */

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    char *ring;
    size_t cap, start, len;
    size_t lent;           /* of these bytes, by strake_feed_peek() */
    size_t least;          /* what a taker waits for, unless the end comes before */
    int64_t pushed, taken; /* bytes since the start of the blob */
    bool ended;            /* the source is through; `rc` and `err` are its result */
    bool stopped;          /* nobody wants more */
    bool left;             /* it was not through then */
    bool starved;          /* the taker waits for the source */
    bool mirrored;         /* what it gave is not the registry's own word alone */
    int rc;
    struct strake_err err;
};

void strake_feed_unref(struct strake_feed *feed)
{
    if (!feed || atomic_fetch_sub(&feed->references, 1) > 1)
        return;
    pthread_cond_destroy(&feed->changed);
    pthread_mutex_destroy(&feed->lock);
    strake_job_free(feed->job);
    strake_hash_free(feed->hash);
    strake_err_dispose(&feed->err);
    strake_instance_unref(feed->from);
    strake_free(feed->ring);
    strake_free(feed->repository);
    strake_free(feed->digest);
    strake_free(feed);
}

/* ---- both sides ---- */

/* How much may be taken now. The last byte waits for the verdict on the whole, because a store that
 * got all bytes would keep them. The lock is held. */
static size_t takeable(const struct strake_feed *feed)
{
    bool last = feed->taken + (int64_t)feed->len >= feed->size_bytes;

    return feed->len && last && !feed->ended ? feed->len - 1 : feed->len;
}

/* Is there what a taker waits for? Waking it for each small piece costs more than the bytes. The
 * lock is held. */
static bool enough(const struct strake_feed *feed)
{
    return takeable(feed) >= feed->least || feed->ended ||
           feed->taken + (int64_t)feed->len >= feed->size_bytes;
}

/* ---- the source's side ---- */

/* A piece that fits without going round the end of the ring. The lock is held. */
static size_t put_piece(struct strake_feed *feed, const char *data, size_t len)
{
    size_t at = (feed->start + feed->len) % feed->cap;
    size_t room = feed->cap - feed->len;
    size_t n = len < room ? len : room;

    if (n > feed->cap - at)
        n = feed->cap - at;
    memcpy(feed->ring + at, data, n);
    feed->len += n;
    return n;
}

static int push(void *ctx, const char *data, size_t len)
{
    struct strake_feed *feed = ctx;
    bool whole;

    feed->pushed += (int64_t)len;
    if (feed->pushed > feed->size_bytes)
        return STRAKE_ECORRUPT; /* described where the source's result is seen */
    if (strake_hash_update(feed->hash, data, len) < 0)
        return STRAKE_EINTERNAL;
    pthread_mutex_lock(&feed->lock);
    while (len && !feed->stopped) {
        size_t n = put_piece(feed, data, len);
        if (n == 0) {
            pthread_cond_wait(&feed->changed, &feed->lock);
            continue;
        }
        data += n;
        len -= n;
        if (enough(feed))
            pthread_cond_broadcast(&feed->changed);
    }
    whole = len == 0;
    pthread_mutex_unlock(&feed->lock);
    return whole ? 0 : STRAKE_ECANCELLED;
}

/* Is what came what was asked for? */
static int verify(struct strake_feed *feed, const char *name, struct strake_err *err)
{
    char digest[STRAKE_DIGEST_TEXT];

    if (feed->pushed != feed->size_bytes)
        return strake_fail(err, STRAKE_ECORRUPT,
                           "%s sent %s bytes for the blob %s of %s than the %lld "
                           "that its manifest says",
                           name, feed->pushed > feed->size_bytes ? "more" : "fewer", feed->digest,
                           feed->repository, (long long)feed->size_bytes);
    if (strake_hash_final(feed->hash, digest) < 0)
        return strake_fail_nomem(err);
    if (strcmp(digest, feed->digest) != 0)
        return strake_fail(err, STRAKE_ECORRUPT,
                           "%s sent other bytes for the blob %s of %s: their "
                           "digest is %s",
                           name, feed->digest, feed->repository, digest);
    return 0;
}

/* The bytes that are still to come, of one place. Whether they are right shows in the end. */
static int pull(struct strake_feed *feed, const struct strake_source *source,
                struct strake_err *err)
{
    struct strake_instance *from = source->instance;
    int64_t before = feed->pushed;
    int rc = from->as.registry.blob_get(from->self, feed->job, source->repository, feed->digest,
                                        feed->pushed, push, feed, err);

    rc = strake_instance_told(from, "blob_get", rc, err);
    if (rc == 0 || feed->pushed > feed->size_bytes)
        rc = verify(feed, from->name, err);
    pthread_mutex_lock(&feed->lock);
    feed->mirrored = feed->mirrored || (source->mirror && feed->pushed > before);
    pthread_mutex_unlock(&feed->lock);
    return rc;
}

/* Another place can go on where a broken one stopped, but bytes that were wrong were given. */
static int pull_all(struct strake_feed *feed, struct strake_err *err)
{
    struct strake_source source = { 0 };
    bool more;
    int rc;

    do {
        rc = strake_source_next(feed->from, feed->repository, &source, err);
        if (rc > 0)
            rc = pull(feed, &source, err);
        more = rc < 0 && rc != STRAKE_ECORRUPT;
        if (rc == STRAKE_ECORRUPT && source.mirror) {
            struct strake_err told = { 0 };
            strake_err_copy(&told, err);
            strake_source_failed(feed->from, &source, rc, &told);
            strake_err_dispose(&told);
        }
    } while (more && strake_source_failed(feed->from, &source, rc, err));
    strake_source_dispose(&source);
    return rc;
}

static void *source_main(void *ctx)
{
    struct strake_feed *feed = ctx;
    struct strake_err err = { 0 };
    bool left;
    int rc = pull_all(feed, &err);

    pthread_mutex_lock(&feed->lock);
    feed->rc = rc;
    strake_err_move(&feed->err, &err);
    feed->ended = true;
    left = feed->left;
    pthread_cond_broadcast(&feed->changed);
    pthread_mutex_unlock(&feed->lock);
    strake_feed_unref(feed);
    if (left)
        strake_thread_returned();
    return NULL;
}

int strake_feed_start(struct strake_instance *from, const char *repository, const char *digest,
                      int64_t size_bytes, struct strake_job *job, struct strake_feed **out,
                      struct strake_err *err)
{
    struct strake_feed *feed = strake_calloc(1, sizeof(*feed));
    int rc;

    if (!feed)
        return strake_fail_nomem(err);
    pthread_mutex_init(&feed->lock, NULL);
    pthread_cond_init(&feed->changed, NULL);
    atomic_init(&feed->references, 1);
    feed->from = strake_instance_ref(from);
    feed->size_bytes = size_bytes;
    feed->cap = size_bytes < (int64_t)RING_BYTES ? (size_t)size_bytes + 1 : RING_BYTES;
    feed->ring = strake_malloc(feed->cap);
    feed->repository = strake_strdup(repository);
    feed->digest = strake_strdup(digest);
    feed->job = strake_job_new(job, NULL, NULL);
    rc = strake_hash_new(&feed->hash, err);
    if (rc == 0 && (!feed->ring || !feed->repository || !feed->digest || !feed->job))
        rc = strake_fail_nomem(err);
    if (rc == 0) {
        atomic_fetch_add(&feed->references, 1);
        if (strake_thread_start(source_main, feed) == 0) {
            *out = feed;
            return 0;
        }
        strake_feed_unref(feed); /* the thread's */
        rc = strake_fail_nomem(err);
    }
    strake_feed_unref(feed);
    return rc;
}

/* ---- the taker's side ---- */

/* Wait for bytes. A source whose job is cancelled has a grace to come back with its own words. The
 * lock is held. @return false: it did not */
static bool wait_for_bytes(struct strake_feed *feed)
{
    int64_t waited_ms = 0;

    while (!feed->stopped && !feed->ended && (takeable(feed) == 0 || !enough(feed))) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
        if (pthread_cond_timedwait(&feed->changed, &feed->lock, &until) != ETIMEDOUT)
            continue;
        waited_ms += strake_job_cancelled(feed->job) ? 1000 : 0;
        if (waited_ms > STRAKE_CALL_GRACE_MS)
            return false;
    }
    return true;
}

/* The next bytes that lie together, up to `cap`; they stay in the ring. The lock is held. */
static int64_t await(struct strake_feed *feed, size_t cap, const char **data)
{
    size_t n;
    bool came;

    feed->starved = true;
    came = wait_for_bytes(feed);
    feed->starved = !came;
    if (feed->stopped || !came)
        return STRAKE_ECANCELLED;
    if (feed->ended && feed->rc < 0)
        return feed->rc;
    n = takeable(feed);
    if (n > cap)
        n = cap;
    if (n > feed->cap - feed->start)
        n = feed->cap - feed->start;
    *data = feed->ring + feed->start;
    return (int64_t)n;
}

/* Their room is the source's again. The lock is held. */
static void release(struct strake_feed *feed, size_t len)
{
    feed->start = (feed->start + len) % feed->cap;
    feed->len -= len;
    feed->taken += (int64_t)len;
    if (len)
        pthread_cond_broadcast(&feed->changed);
}

int64_t strake_feed_take(struct strake_feed *feed, void *data, size_t cap)
{
    const char *from = NULL;
    int64_t got;

    pthread_mutex_lock(&feed->lock);
    got = await(feed, cap, &from);
    if (got > 0) {
        memcpy(data, from, (size_t)got);
        release(feed, (size_t)got);
    }
    pthread_mutex_unlock(&feed->lock);
    return got;
}

int64_t strake_feed_peek(struct strake_feed *feed, const void **data)
{
    const char *from = NULL;
    int64_t got;

    pthread_mutex_lock(&feed->lock);
    release(feed, feed->lent);
    feed->lent = 0;
    feed->least = feed->cap / 4;
    got = await(feed, SIZE_MAX, &from);
    if (got > 0)
        feed->lent = (size_t)got;
    pthread_mutex_unlock(&feed->lock);
    *data = from;
    return got;
}

int strake_feed_failure(struct strake_feed *feed, struct strake_err *err)
{
    int rc = 0;

    pthread_mutex_lock(&feed->lock);
    if (feed->ended && feed->rc < 0) {
        rc = feed->rc;
        strake_err_copy(err, &feed->err);
    } else if (feed->starved) {
        rc = strake_fail(err, STRAKE_ETIMEOUT, "the plugin %s sent no more of the blob %s of %s",
                         strake_instance_type(feed->from), feed->digest, feed->repository);
    }
    pthread_mutex_unlock(&feed->lock);
    return rc;
}

bool strake_feed_misled(struct strake_feed *feed)
{
    bool misled;

    pthread_mutex_lock(&feed->lock);
    misled = feed->ended && feed->rc < 0 && feed->mirrored;
    pthread_mutex_unlock(&feed->lock);
    return misled;
}

void strake_feed_stop(struct strake_feed *feed)
{
    pthread_mutex_lock(&feed->lock);
    feed->stopped = true;
    if (!feed->ended && !feed->left) {
        feed->left = true;
        strake_thread_left();
    }
    pthread_cond_broadcast(&feed->changed);
    pthread_mutex_unlock(&feed->lock);
    strake_job_detach(feed->job);
}
