/* Blocking work on threads of our own, its results brought back to the loop. */
#include "util/work.h"

#include <pthread.h>

#include "util/mem.h"
#include "util/thread.h"

#define THREADS_MAX 64

/* One piece of work, in line, running or finished. */
struct piece {
    int (*run)(void *ctx);
    void (*done)(void *ctx, int rc);
    void *ctx;
    int rc;
    struct piece *next;
};

struct line {
    struct piece *first;
    struct piece **end;
    size_t count;
};

/* Kept alive by the loop until its handle is closed, and by each thread. */
struct strake_work {
    uv_async_t finished_async;
    size_t out; /* pieces whose `done` is still to come; the loop's thread only */

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t wanted;
    pthread_cond_t gone; /* a thread has ended */
    unsigned refs;
    unsigned threads;
    unsigned idle;
    struct line waiting;
    struct line finished;
    bool closed;
};

/* ---- lines ---------------------------------------------------------------------------------- */

static void line_init(struct line *line)
{
    *line = (struct line){ 0 };
    line->end = &line->first;
}

static void line_append(struct line *line, struct piece *piece)
{
    piece->next = NULL;
    *line->end = piece;
    line->end = &piece->next;
    line->count++;
}

static struct piece *line_take(struct line *line)
{
    struct piece *piece = line->first;
    if (piece == NULL)
        return NULL;
    line->first = piece->next;
    if (line->first == NULL)
        line->end = &line->first;
    line->count--;
    return piece;
}

/* What is in a line is forgotten; each `ctx` stays with whoever gave it. */
static void line_clear(struct line *line)
{
    struct piece *piece;
    while ((piece = line_take(line)) != NULL)
        strake_free(piece);
}

/* ---- threads -------------------------------------------------------------------------------- */

static void work_destroy(struct strake_work *work)
{
    pthread_cond_destroy(&work->wanted);
    pthread_cond_destroy(&work->gone);
    pthread_mutex_destroy(&work->lock);
    strake_free(work);
}

/* Give one reference back; the lock is held, and is not any more afterwards. */
static void unref_locked(struct strake_work *work)
{
    bool last = --work->refs == 0;
    pthread_mutex_unlock(&work->lock);
    if (last)
        work_destroy(work);
}

static void *thread_main(void *ctx)
{
    struct strake_work *work = ctx;
    pthread_mutex_lock(&work->lock);
    while (!work->closed) {
        struct piece *piece = line_take(&work->waiting);
        if (piece == NULL) {
            work->idle++;
            pthread_cond_wait(&work->wanted, &work->lock);
            work->idle--;
            continue;
        }
        pthread_mutex_unlock(&work->lock);
        piece->rc = piece->run(piece->ctx);
        pthread_mutex_lock(&work->lock);
        if (work->closed) {
            strake_free(piece);
            break;
        }
        line_append(&work->finished, piece);
        uv_async_send(&work->finished_async);
    }
    work->threads--;
    pthread_cond_signal(&work->gone);
    unref_locked(work);
    return NULL;
}

/* ---- the loop's side ------------------------------------------------------------------------ */

static void on_finished(uv_async_t *async)
{
    struct strake_work *work = async->data;
    pthread_mutex_lock(&work->lock);
    work->refs++; /* `done` may free the work */
    while (!work->closed) {
        struct piece *piece = line_take(&work->finished);
        if (piece == NULL)
            break;
        pthread_mutex_unlock(&work->lock);
        if (--work->out == 0)
            uv_unref((uv_handle_t *)&work->finished_async);
        piece->done(piece->ctx, piece->rc);
        strake_free(piece);
        pthread_mutex_lock(&work->lock);
    }
    unref_locked(work);
}

static void on_closed(uv_handle_t *handle)
{
    struct strake_work *work = handle->data;
    pthread_mutex_lock(&work->lock);
    unref_locked(work);
}

struct strake_work *strake_work_new(uv_loop_t *loop)
{
    struct strake_work *work = strake_calloc(1, sizeof(*work));
    if (work == NULL)
        return NULL;
    if (uv_async_init(loop, &work->finished_async, on_finished) != 0) {
        strake_free(work);
        return NULL;
    }
    work->finished_async.data = work;
    uv_unref((uv_handle_t *)&work->finished_async);
    pthread_mutex_init(&work->lock, NULL);
    pthread_cond_init(&work->wanted, NULL);
    pthread_cond_init(&work->gone, NULL);
    line_init(&work->waiting);
    line_init(&work->finished);
    work->refs = 1;
    return work;
}

void strake_work_free(struct strake_work *work)
{
    if (work == NULL)
        return;
    pthread_mutex_lock(&work->lock);
    work->closed = true;
    line_clear(&work->waiting);
    line_clear(&work->finished);
    unsigned busy = work->threads - work->idle;
    pthread_cond_broadcast(&work->wanted);
    while (work->threads > busy) /* the idle ones leave at once */
        pthread_cond_wait(&work->gone, &work->lock);
    pthread_mutex_unlock(&work->lock);
    uv_close((uv_handle_t *)&work->finished_async, on_closed);
}

/* One more thread when there is more to do than idle threads. Without one the piece waits in line;
 * only the first thread of all is needed. The lock is held. */
static int add_thread(struct strake_work *work)
{
    if (work->waiting.count <= work->idle || work->threads >= THREADS_MAX)
        return 0;
    work->threads++;
    work->refs++;
    if (strake_thread_start(thread_main, work) == 0)
        return 0;
    work->threads--;
    work->refs--;
    return work->threads > 0 ? 0 : STRAKE_ENOMEM;
}

int strake_work_start(struct strake_work *work, int (*run)(void *ctx),
                      void (*done)(void *ctx, int rc), void *ctx)
{
    struct piece *piece = strake_malloc(sizeof(*piece));
    if (piece == NULL)
        return STRAKE_ENOMEM;
    *piece = (struct piece){ .run = run, .done = done, .ctx = ctx };
    pthread_mutex_lock(&work->lock);
    line_append(&work->waiting, piece);
    int rc = add_thread(work);
    if (rc < 0)
        line_clear(&work->waiting); /* no thread at all: nothing else can be in line */
    else
        pthread_cond_signal(&work->wanted);
    pthread_mutex_unlock(&work->lock);
    if (rc == 0 && work->out++ == 0)
        uv_ref((uv_handle_t *)&work->finished_async);
    return rc;
}
