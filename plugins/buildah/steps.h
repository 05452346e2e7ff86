/* What `buildah bud` writes to stdout: its steps, and between them what they print. */
#ifndef BUILDAH_STEPS_H
#define BUILDAH_STEPS_H

#include "common/util.h"

#define BUILDAH_LINE_MAX ((size_t)1024 * 1024)

/** Where it goes; what is passed is borrowed. */
struct buildah_steps_sink {
    void (*step)(void *ctx, const struct strake_step *step);
    void (*log)(void *ctx, const char *step, int stream, const char *data, size_t len);
};

/** A reader of steps. Set the first three, the rest is zero. */
struct buildah_steps {
    const struct buildah_steps_sink *sink;
    void *ctx;
    const char *label;   /**< put before the numbers: the platform when there are several, or "" */
    struct plug_text id; /**< of the running step, "" before the first */
    struct plug_text name;
    int64_t started_us;
    bool cached;
    char made[65]; /**< short id of what the last step made, or "" */
};

/** One line of stdout: `len` bytes without its newline, and a NUL; it is changed.
 *  @return 0 or STRAKE_ENOMEM. */
int buildah_steps_line(struct buildah_steps *steps, char *line, size_t len);
/** What the running step prints on another stream. */
void buildah_steps_log(struct buildah_steps *steps, int stream, const char *data, size_t len);
/** A step of ours begins, and ends the one before. @return 0 or STRAKE_ENOMEM. */
int buildah_steps_begin(struct buildah_steps *steps, const char *id, const char *name);
/** The running step ends; `error` says why it failed, or is NULL. */
void buildah_steps_end(struct buildah_steps *steps, const char *error);
void buildah_steps_dispose(struct buildah_steps *steps);

#endif
