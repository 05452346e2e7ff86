/* A layer in its turn writes a little at a time, so that its log stays in the cache; the others
 * write once theirs is as large as it may be, and stop there until it is their turn. */
#include "build/layer_log.h"

#include <pthread.h>
#include <string.h>

#include "util/mem.h"

#define LIVE_BYTES ((size_t)32 * 1024)
#define LOG_BYTES ((size_t)4 * 1024 * 1024)

/* ---- turns ---- */

struct strake_turns {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    size_t layer;
    int rc;
    struct strake_err err;
};

struct strake_turns *strake_turns_new(void)
{
    struct strake_turns *turns = strake_calloc(1, sizeof(*turns));

    if (!turns)
        return NULL;
    pthread_mutex_init(&turns->lock, NULL);
    pthread_cond_init(&turns->changed, NULL);
    return turns;
}

void strake_turns_free(struct strake_turns *turns)
{
    if (!turns)
        return;
    strake_err_dispose(&turns->err);
    pthread_cond_destroy(&turns->changed);
    pthread_mutex_destroy(&turns->lock);
    strake_free(turns);
}

int strake_turns_wait(struct strake_turns *turns, size_t layer)
{
    int rc;

    pthread_mutex_lock(&turns->lock);
    while (turns->layer != layer && turns->rc == 0)
        pthread_cond_wait(&turns->changed, &turns->lock);
    rc = turns->rc < 0 ? STRAKE_ECANCELLED : 0;
    pthread_mutex_unlock(&turns->lock);
    return rc;
}

void strake_turns_next(struct strake_turns *turns)
{
    pthread_mutex_lock(&turns->lock);
    turns->layer++;
    pthread_cond_broadcast(&turns->changed);
    pthread_mutex_unlock(&turns->lock);
}

void strake_turns_fail(struct strake_turns *turns, struct strake_err *err)
{
    pthread_mutex_lock(&turns->lock);
    if (turns->rc == 0) {
        turns->rc = err->code;
        strake_err_move(&turns->err, err);
    }
    pthread_cond_broadcast(&turns->changed);
    pthread_mutex_unlock(&turns->lock);
}

bool strake_turns_ended(struct strake_turns *turns)
{
    bool ended;

    pthread_mutex_lock(&turns->lock);
    ended = turns->rc < 0;
    pthread_mutex_unlock(&turns->lock);
    return ended;
}

int strake_turns_result(struct strake_turns *turns, struct strake_err *err)
{
    if (turns->rc < 0)
        strake_err_move(err, &turns->err);
    return turns->rc;
}

static bool is_turn(const struct strake_layer_log *log)
{
    bool is = true;

    if (log->turns) {
        pthread_mutex_lock(&log->turns->lock);
        is = log->turns->layer == log->layer;
        pthread_mutex_unlock(&log->turns->lock);
    }
    return is;
}

/* ---- steps ---- */

/* Behind it stand the path and the link, each with its NUL. */
struct step {
    int64_t size_bytes;
    unsigned char content[16];
    uint16_t path_len, link_len; /* shorter than STRAKE_TAR_PATH_MAX */
    uint8_t kind;                /* enum strake_tar_kind */
    bool has_content;
};

int strake_layer_log_add(struct strake_layer_log *log, const struct strake_tar_entry *entry,
                         const char *path, const char *link, const unsigned char *content,
                         struct strake_err *err)
{
    const size_t path_len = strlen(path), link_len = strlen(link);
    struct step step = { .size_bytes = entry->size_bytes,
                         .path_len = (uint16_t)path_len,
                         .link_len = (uint16_t)link_len,
                         .kind = (uint8_t)entry->kind,
                         .has_content = content != NULL };

    if (content)
        memcpy(step.content, content, sizeof(step.content));
    if (strake_buf_append(&log->steps, &step, sizeof(step)) < 0 ||
        strake_buf_append(&log->steps, path, path_len + 1) < 0 ||
        strake_buf_append(&log->steps, link, link_len + 1) < 0)
        return strake_fail_nomem(err);
    if (log->steps.len >= LOG_BYTES || (log->steps.len >= LIVE_BYTES && is_turn(log)))
        return strake_layer_log_write(log, err);
    return 0;
}

/* A hard link is the file that it names, but takes no room. */
static int do_hardlink(struct strake_tree *tree, const struct step *step, const char *path,
                       const char *link, struct strake_err *err)
{
    unsigned char content[16] = "";
    const unsigned char *found = strake_tree_content(tree, link);

    if (found)
        memcpy(content, found, sizeof(content));
    return strake_tree_file(tree, path, 0, false, step->has_content ? content : NULL, err);
}

static int do_step(struct strake_tree *tree, const struct step *step, const char *path,
                   const char *link, struct strake_err *err)
{
    switch (step->kind) {
    case STRAKE_TAR_FOLDER:
        return strake_tree_folder(tree, path, err);
    case STRAKE_TAR_HARDLINK:
        return do_hardlink(tree, step, path, link, err);
    default:
        return strake_tree_file(tree, path, step->size_bytes, step->kind == STRAKE_TAR_SYMLINK,
                                step->has_content ? step->content : NULL, err);
    }
}

int strake_layer_log_write(struct strake_layer_log *log, struct strake_err *err)
{
    const char *at = strake_buf_text(&log->steps), *end = at + log->steps.len;
    int rc = log->turns ? strake_turns_wait(log->turns, log->layer) : 0;

    if (rc == 0 && !log->begun)
        rc = strake_tree_begin(log->tree, err);
    log->begun = log->begun || rc == 0;
    while (rc == 0 && at < end) {
        struct step step;
        const char *path = at + sizeof(step), *link;
        memcpy(&step, at, sizeof(step));
        link = path + step.path_len + 1;
        rc = do_step(log->tree, &step, path, link, err);
        at = link + step.link_len + 1;
    }
    strake_buf_clear(&log->steps);
    return rc;
}

int strake_layer_log_end(struct strake_layer_log *log, struct strake_err *err)
{
    int rc = strake_layer_log_write(log, err);

    return rc < 0 ? rc : strake_tree_end(log->tree, err);
}

void strake_layer_log_dispose(struct strake_layer_log *log)
{
    strake_buf_dispose(&log->steps);
}
