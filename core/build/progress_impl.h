/* The model behind every view: targets and their steps, as the events have told them. */
#ifndef STRAKE_BUILD_PROGRESS_IMPL_H
#define STRAKE_BUILD_PROGRESS_IMPL_H

#include "build/progress.h"
#include "util/buf.h"
#include "util/mem.h"

#define STRAKE_VIEW_LINES 256 /**< the live part is never longer */
#define STRAKE_VIEW_TAIL 4    /**< last log lines that the live view shows of a running step */

enum strake_view_state {
    STRAKE_VIEW_RUNNING,
    STRAKE_VIEW_DONE,
    STRAKE_VIEW_CACHED,
    STRAKE_VIEW_ABSENT, /**< a cache to import from that is not there, or not yet */
    STRAKE_VIEW_FAILED
};

struct strake_view_step {
    char *id;
    char *target;
    char *name;
    int number; /**< as plain lines call it: #7 */
    enum strake_view_state state;
    int64_t started_us;
    int64_t completed_us;
    int64_t current_bytes, total_bytes;
    struct strake_buf line;       /**< an unfinished line of output */
    char *tail[STRAKE_VIEW_TAIL]; /**< finished lines, oldest first; NULL behind the last */
    bool announced;
    bool shown; /**< its final line was written */
};

struct strake_progress {
    enum strake_progress_mode mode;
    int fd;
    bool colour;
    const char *run;
    struct strake_view_step **steps;
    size_t count, cap;
    size_t targets;        /**< how many started: with one its name is not repeated on each line */
    struct strake_buf out; /**< what is written with the next flush */
    int drawn;             /**< lines of the live part on the screen */
    int widths[STRAKE_VIEW_LINES]; /**< of each of them: a window that got narrower wraps them */
    bool dirty;
    bool broken; /**< the terminal is gone: nothing is written any more */
};

/** Write `out` and empty it. A reader that is gone ends the output, not the run. */
void strake_view_flush(struct strake_progress *progress);
/** The step of an event, made when it is new; NULL without memory. */
struct strake_view_step *strake_view_step_of(struct strake_progress *progress,
                                             const struct strake_event *event);
/** Take the event into the model. @return its step, or NULL */
struct strake_view_step *strake_view_take(struct strake_progress *progress,
                                          const struct strake_event *event);
/** "1.2s" since it started. */
void strake_view_time(const struct strake_view_step *step, int64_t now_us, char *out, size_t cap);
const char *strake_view_colour(const struct strake_progress *progress, const char *code);

/** progress_plain.c: plain lines, and those of GitHub Actions. */
void strake_plain_event(struct strake_progress *progress, const struct strake_event *event);
/** What is no step, as lines; the live view tells it above itself. */
void strake_plain_other(struct strake_progress *progress, const struct strake_event *event);
/** progress_tty.c */
void strake_tty_event(struct strake_progress *progress, const struct strake_event *event);
void strake_tty_draw(struct strake_progress *progress);
void strake_tty_clear(struct strake_progress *progress);

#endif
