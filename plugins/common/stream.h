/* What comes out of a program: cut into lines, or its last bytes kept. */
#ifndef PLUG_STREAM_H
#define PLUG_STREAM_H

#include <stdbool.h>
#include <stddef.h>

/** Cuts a stream into lines. Set `max`, `line` and `ctx`, the rest is zero. */
struct plug_lines {
    size_t max; /**< bytes of a line; longer ones are left out and counted */
    /** One line without its newline (or carriage return before it); NUL-terminated, may hold NULs;
     *  it may be changed. @return 0, or a negative code that plug_lines_feed() passes on. */
    int (*line)(void *ctx, char *line, size_t len);
    void *ctx;
    size_t dropped; /**< lines that were too long */
    char *held;     /**< a line that has begun */
    size_t held_len;
    size_t held_cap;
    bool skipping;
};

/** @return 0, STRAKE_ENOMEM, or what `line` returned. */
int plug_lines_feed(struct plug_lines *lines, const char *data, size_t len);
/** The last line, when it had no newline. Frees what was held. */
int plug_lines_finish(struct plug_lines *lines);

/** Keeps the last bytes of a stream. Zero-initialised is empty. */
struct plug_tail {
    char *data;
    size_t len;
    bool cut; /**< earlier bytes were dropped */
};

#define PLUG_TAIL_BYTES ((size_t)64 * 1024)

/** As the `data` callback of a strake_process_fd; `ctx` is a struct plug_tail.
 *  @return 0 or STRAKE_ENOMEM. */
int plug_tail_keep(void *ctx, const char *data, size_t len);
/** At most PLUG_TAIL_BYTES, NUL-terminated, never NULL; beginning with a whole line. */
const char *plug_tail_text(const struct plug_tail *tail, size_t *len);
void plug_tail_dispose(struct plug_tail *tail);

#endif
