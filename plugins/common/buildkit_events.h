/* What the clients write with --progress=rawjson: one JSON object a line with vertexes, statuses,
 * logs and warnings (BuildKit's SolveStatus). Everything here is input: bounded, and left out when
 * it is not what it should be, for only the exit code decides how a build went. */
#ifndef BUILDKIT_EVENTS_H
#define BUILDKIT_EVENTS_H

#include "common/util.h"

/** The longest line: a warning carries the whole Dockerfile, a log up to 2 MiB, both in base64. */
#define BUILDKIT_EVENT_MAX ((size_t)16 * 1024 * 1024)

/** Where the records go, in the order in which they come. What is passed is borrowed. */
struct buildkit_events_sink {
    void (*step)(void *ctx, const struct strake_step *step);
    void (*progress)(void *ctx, const struct strake_step_progress *progress);
    void (*log)(void *ctx, const char *step, int stream, const char *data, size_t len);
    void (*warning)(void *ctx, const struct strake_step_warning *warning);
};

/** A reader of events. Set the first four, the rest is zero. */
struct buildkit_events {
    const struct buildkit_events_sink *sink;
    void *ctx;
    const char *dockerfile; /**< the name that BuildKit was given for it */
    const char *shown_as;   /**< how people know that file */
    size_t lines;
    size_t bad_lines;        /**< not understood */
    struct plug_text failed; /**< name of the step that failed last, "" when none did */
    struct plug_list cached; /**< ids of steps that came from the cache */
    struct plug_list spoke;  /**< and those of them that wrote something afterwards */
};

/** One line, NUL-terminated. Blocks as long as the sink does. @return 0 or STRAKE_ENOMEM. */
int buildkit_events_line(struct buildkit_events *events, const char *line, size_t len);
void buildkit_events_dispose(struct buildkit_events *events);

/** RFC 3339 to microseconds since the epoch; 0: not such a time, or before the epoch. */
int64_t buildkit_time_parse(const char *text);

#endif
