/* Progress for people: a live view on a terminal, plain lines elsewhere, groups and annotations in
 * GitHub Actions, the raw events for programs. Fed with events on the loop's thread. */
#ifndef STRAKE_BUILD_PROGRESS_H
#define STRAKE_BUILD_PROGRESS_H

#include "util/event.h"

enum strake_progress_mode {
    STRAKE_PROGRESS_PLAIN,
    STRAKE_PROGRESS_TTY,
    STRAKE_PROGRESS_RAWJSON,
    STRAKE_PROGRESS_QUIET,
    STRAKE_PROGRESS_GITHUB
};

struct strake_progress;

/** Write to descriptor `fd` (borrowed). `run` is borrowed too. NULL: no memory. */
struct strake_progress *strake_progress_new(enum strake_progress_mode mode, int fd, bool colour,
                                            const char *run);
/** A sink for strake_bus_add_sink(). */
void strake_progress_event(void *progress, const struct strake_event *event);
/** The live view is drawn anew: every 100 ms while something runs, and when the window changes. */
void strake_progress_tick(struct strake_progress *progress);
/** Does the view want ticks now? */
bool strake_progress_is_live(const struct strake_progress *progress);
/** A line of the log, told above the live view. */
void strake_progress_line(void *progress, enum strake_level level, const char *line);
/** What was left of the live view is put into its final form. */
void strake_progress_free(struct strake_progress *progress);

#endif
