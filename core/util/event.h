/* Events: what happened, as records that every observer reads alike (docs/events.md), and the bus
 * that carries them from worker threads to the loop. */
#ifndef STRAKE_UTIL_EVENT_H
#define STRAKE_UTIL_EVENT_H

#include <jansson.h>
#include <stdint.h>

#include "util/err.h"

enum strake_event_type {
    STRAKE_EVENT_RUN_STARTED,
    STRAKE_EVENT_RUN_DONE,
    STRAKE_EVENT_RUN_FAILED,
    STRAKE_EVENT_RUN_CANCELLED,
    STRAKE_EVENT_TARGET_STARTED,
    STRAKE_EVENT_TARGET_DONE,
    STRAKE_EVENT_TARGET_FAILED,
    STRAKE_EVENT_STEP_STARTED,
    STRAKE_EVENT_STEP_PROGRESS,
    STRAKE_EVENT_STEP_LOG,
    STRAKE_EVENT_STEP_DONE,
    STRAKE_EVENT_POLICY_DECISION,
    STRAKE_EVENT_SCAN_DONE,
    STRAKE_EVENT_VERIFY_DONE,
    STRAKE_EVENT_IMAGE_STAGED,
    STRAKE_EVENT_IMAGE_PUBLISHED,
    STRAKE_EVENT_TAG_MOVED,
    STRAKE_EVENT_TAG_ROLLED_BACK,
    STRAKE_EVENT_CACHE_EXPORTED,
    STRAKE_EVENT_NOTIFY_SENT,
    STRAKE_EVENT_NOTIFY_FAILED,
    STRAKE_EVENT_WORKFLOW_STATUS,
    STRAKE_EVENT_DEPLOY_DONE,
    STRAKE_EVENT_LOG,
    STRAKE_EVENT_COUNT
};

/** "step.log" … as docs/interfaces.md lists them. */
const char *strake_event_name(enum strake_event_type type);

/** One event. `data` holds the fields of its type, docs/events.md. */
struct strake_event {
    enum strake_event_type type;
    int64_t time_us;
    char *target; /**< "" when it belongs to none */
    json_t *data; /**< an object, never NULL */
    struct strake_event *next;
};

struct strake_bus;

/** `wake` is called (any thread) when events wait and the bus was empty: schedule a drain. */
struct strake_bus *strake_bus_new(void (*wake)(void *ctx), void *ctx);
void strake_bus_free(struct strake_bus *bus);
/** Post; steals `data` (NULL: none). Never blocks for long: past 16 MiB of waiting log text the
 *  poster waits until the loop has drained. NULL bus: dropped. Any thread. */
void strake_bus_post(struct strake_bus *bus, enum strake_event_type type, const char *target,
                     json_t *data);
/** Hand every waiting event to all sinks, in order. One thread (the loop's). */
void strake_bus_drain(struct strake_bus *bus);
/** Add an observer, called from strake_bus_drain(). At most 8. The event is borrowed. */
int strake_bus_add_sink(struct strake_bus *bus,
                        void (*sink)(void *ctx, const struct strake_event *), void *ctx);
/** From then on a poster on the draining thread itself hands its event over at once. */
void strake_bus_set_owner_thread(struct strake_bus *bus);

/** The line of --events: {"v":1,"time","run","type","target",…}; no newline. */
int strake_event_line(const struct strake_event *event, const char *run, struct strake_buf *out);

#endif
