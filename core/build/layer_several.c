/* The layers of one image out of its store, several at once: unpacking and hashing take processors,
 * a registry takes its time. */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "build/layer_log.h"
#include "build/layers.h"
#include "plugin/feed.h"
#include "util/json.h"
#include "util/mem.h"
#include "util/thread.h"

/* Each has a megabyte on its way and a decoder; more would only wait for the lowest. */
#define WORKERS_MAX 4
#define WORKERS_MIN 2

struct several {
    struct strake_layer_reading *reading;
    const struct strake_place_in_store *place;
    const json_t *layers;
    size_t first, last;
    struct strake_job *job;
    struct strake_turns *turns;
    atomic_size_t next;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    unsigned running;
};

/* ---- one layer ---- */

static ssize_t peek(void *ctx, const void **data, struct strake_err *err)
{
    struct strake_feed *feed = ctx;
    int64_t got = strake_feed_peek(feed, data);

    if (got < 0 && strake_feed_failure(feed, err) == 0)
        strake_fail(err, (int)got, "the layer's bytes ended");
    return (ssize_t)got;
}

/* The blob to its end: only then is it known to be the right one. That tells more than what was
 * found to be wrong with the bytes. */
static int drain(struct strake_feed *feed, const struct strake_job *job, int rc,
                 struct strake_err *err)
{
    struct strake_err cause = { 0 };
    const void *data;
    ssize_t got = 1;

    if (rc < 0 && rc != STRAKE_ECORRUPT)
        return rc;
    while (got > 0 && strake_job_check(job, &cause) == 0)
        got = peek(feed, &data, &cause);
    if (cause.code) {
        strake_err_move(err, &cause);
        rc = err->code;
    }
    strake_err_dispose(&cause);
    return rc;
}

static int read_layer(struct several *several, size_t at, struct strake_err *err)
{
    json_t *layer = json_array_get(several->layers, at);
    const char *digest = strake_json_str(layer, "digest");
    const char *diff_id = strake_json_str(layer, "diff_id");
    struct strake_layer_place place = { .turns = several->turns, .layer = at - several->first };
    char *what = strake_asprintf("the layer %.19s…", digest);
    struct strake_feed *feed = NULL;
    int rc = what ? 0 : strake_fail_nomem(err);

    /* A plain layer is what it unpacks to, and that is looked at in any case. */
    if (diff_id && strcmp(diff_id, digest) != 0)
        place.diff_id = diff_id;
    if (rc == 0)
        rc = strake_feed_start(several->place->instance, several->place->repository, digest,
                               strake_json_int(layer, "size_bytes", 0), several->job, &feed, err);
    if (rc == 0) {
        rc = strake_layer_take(several->reading, &place, peek, feed, what, several->job, err);
        rc = drain(feed, several->job, rc, err);
        strake_feed_stop(feed);
        strake_feed_unref(feed);
    }
    strake_free(what);
    if (rc == 0 && place.outside &&
        strake_json_set_int(layer, "outside", (int64_t)place.outside) < 0)
        rc = strake_fail_nomem(err);
    return rc;
}

/* ---- all of them ---- */

/* A failure is told in its turn: of two damaged layers always the lower one. */
static void read_some(struct several *several)
{
    size_t at;

    while ((at = atomic_fetch_add(&several->next, 1)) < several->last) {
        struct strake_err err = { 0 };
        int rc =
            strake_turns_ended(several->turns) ? STRAKE_ECANCELLED : read_layer(several, at, &err);
        if (rc == 0)
            strake_turns_next(several->turns);
        else if (strake_turns_wait(several->turns, at - several->first) == 0)
            strake_turns_fail(several->turns, &err);
        strake_err_dispose(&err);
        if (rc < 0)
            return;
    }
}

static void *worker_main(void *ctx)
{
    struct several *several = ctx;

    read_some(several);
    pthread_mutex_lock(&several->lock);
    several->running--;
    pthread_cond_broadcast(&several->changed);
    pthread_mutex_unlock(&several->lock);
    return NULL;
}

static unsigned workers_for(size_t layers)
{
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    size_t workers = processors > WORKERS_MIN ? (size_t)processors : WORKERS_MIN;

    if (workers > WORKERS_MAX)
        workers = WORKERS_MAX;
    return (unsigned)(workers < layers ? workers : layers);
}

/* The caller's thread is one of them; where no other can be started, it does it all. */
static void read_all(struct several *several)
{
    for (unsigned n = workers_for(several->last - several->first); n > 1; n--) {
        pthread_mutex_lock(&several->lock);
        several->running++;
        pthread_mutex_unlock(&several->lock);
        if (strake_thread_start(worker_main, several) != 0) {
            pthread_mutex_lock(&several->lock);
            several->running--;
            pthread_mutex_unlock(&several->lock);
            break;
        }
    }
    read_some(several);
    pthread_mutex_lock(&several->lock);
    while (several->running > 0)
        pthread_cond_wait(&several->changed, &several->lock);
    pthread_mutex_unlock(&several->lock);
}

int strake_layers_take(struct strake_layer_reading *reading,
                       const struct strake_place_in_store *place, const json_t *layers,
                       size_t first, size_t last, struct strake_job *job, struct strake_err *err)
{
    struct several several = { .reading = reading,
                               .place = place,
                               .layers = layers,
                               .first = first,
                               .last = last,
                               .job = job,
                               .turns = strake_turns_new() };
    int rc;

    if (!several.turns)
        return strake_fail_nomem(err);
    atomic_init(&several.next, first);
    pthread_mutex_init(&several.lock, NULL);
    pthread_cond_init(&several.changed, NULL);
    if (first < last)
        read_all(&several);
    rc = strake_turns_result(several.turns, err);
    pthread_cond_destroy(&several.changed);
    pthread_mutex_destroy(&several.lock);
    strake_turns_free(several.turns);
    return rc;
}
