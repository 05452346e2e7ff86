/* Events and the bus that carries them to the loop: a list under a lock, drained by one thread. */
#include "util/event.h"

#include <pthread.h>
#include <string.h>

#include "util/json.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/secret.h"
#include "util/time.h"

#define BUS_SINKS_MAX 8
#define BUS_WAITING_MAX ((size_t)16 * 1024 * 1024)

static const char *const names[STRAKE_EVENT_COUNT] = {
    [STRAKE_EVENT_RUN_STARTED] = "run.started",
    [STRAKE_EVENT_RUN_DONE] = "run.done",
    [STRAKE_EVENT_RUN_FAILED] = "run.failed",
    [STRAKE_EVENT_RUN_CANCELLED] = "run.cancelled",
    [STRAKE_EVENT_TARGET_STARTED] = "target.started",
    [STRAKE_EVENT_TARGET_DONE] = "target.done",
    [STRAKE_EVENT_TARGET_FAILED] = "target.failed",
    [STRAKE_EVENT_STEP_STARTED] = "step.started",
    [STRAKE_EVENT_STEP_PROGRESS] = "step.progress",
    [STRAKE_EVENT_STEP_LOG] = "step.log",
    [STRAKE_EVENT_STEP_DONE] = "step.done",
    [STRAKE_EVENT_POLICY_DECISION] = "policy.decision",
    [STRAKE_EVENT_SCAN_DONE] = "scan.done",
    [STRAKE_EVENT_VERIFY_DONE] = "verify.done",
    [STRAKE_EVENT_IMAGE_STAGED] = "image.staged",
    [STRAKE_EVENT_IMAGE_PUBLISHED] = "image.published",
    [STRAKE_EVENT_TAG_MOVED] = "tag.moved",
    [STRAKE_EVENT_TAG_ROLLED_BACK] = "tag.rolled-back",
    [STRAKE_EVENT_CACHE_EXPORTED] = "cache.exported",
    [STRAKE_EVENT_NOTIFY_SENT] = "notify.sent",
    [STRAKE_EVENT_NOTIFY_FAILED] = "notify.failed",
    [STRAKE_EVENT_WORKFLOW_STATUS] = "workflow.status",
    [STRAKE_EVENT_DEPLOY_DONE] = "deploy.done",
    [STRAKE_EVENT_LOG] = "log",
};

struct strake_bus {
    pthread_mutex_t lock;
    pthread_cond_t drained;
    struct strake_event *first;
    struct strake_event **last;
    size_t waiting_bytes;
    void (*wake)(void *ctx);
    void *wake_ctx;
    struct {
        void (*sink)(void *ctx, const struct strake_event *event);
        void *ctx;
    } sinks[BUS_SINKS_MAX];
    size_t sink_count;
    pthread_t owner;
    bool owned;
    bool draining;
};

const char *strake_event_name(enum strake_event_type type)
{
    return (unsigned)type < STRAKE_EVENT_COUNT ? names[type] : "log";
}

struct strake_bus *strake_bus_new(void (*wake)(void *ctx), void *ctx)
{
    struct strake_bus *bus = strake_calloc(1, sizeof(*bus));

    if (!bus)
        return NULL;
    pthread_mutex_init(&bus->lock, NULL);
    pthread_cond_init(&bus->drained, NULL);
    bus->last = &bus->first;
    bus->wake = wake;
    bus->wake_ctx = ctx;
    return bus;
}

static void event_free(struct strake_event *event)
{
    strake_free(event->target);
    json_decref(event->data);
    strake_free(event);
}

void strake_bus_free(struct strake_bus *bus)
{
    if (!bus)
        return;
    while (bus->first) {
        struct strake_event *event = bus->first;
        bus->first = event->next;
        event_free(event);
    }
    pthread_mutex_destroy(&bus->lock);
    pthread_cond_destroy(&bus->drained);
    strake_free(bus);
}

int strake_bus_add_sink(struct strake_bus *bus,
                        void (*sink)(void *ctx, const struct strake_event *), void *ctx)
{
    if (bus->sink_count == BUS_SINKS_MAX)
        return STRAKE_EINTERNAL;
    bus->sinks[bus->sink_count].sink = sink;
    bus->sinks[bus->sink_count].ctx = ctx;
    bus->sink_count++;
    return 0;
}

void strake_bus_set_owner_thread(struct strake_bus *bus)
{
    bus->owner = pthread_self();
    bus->owned = true;
}

/* What an event weighs while it waits: its text, the only large field. */
static size_t event_bytes(const struct strake_event *event)
{
    return 256 + json_string_length(json_object_get(event->data, "text"));
}

/* What flows and policies say may quote a secret, and nobody has looked at it before; the steps of
 * a build were redacted when they were told, by the line. */
static bool is_step(enum strake_event_type type)
{
    return type >= STRAKE_EVENT_STEP_STARTED && type <= STRAKE_EVENT_STEP_DONE;
}

static struct strake_event *event_new(enum strake_event_type type, const char *target, json_t *data)
{
    struct strake_event *event = strake_calloc(1, sizeof(*event));

    if (event) {
        event->type = type;
        event->time_us = strake_time_now_us();
        event->target = strake_strdup(target ? target : "");
        event->data = data ? data : json_object();
    }
    if (!event || !event->target || !event->data ||
        (!is_step(type) && strake_secret_redact_json(event->data) < 0)) {
        strake_log(STRAKE_LOG_ERROR, "an event %s was lost: out of memory",
                   strake_event_name(type));
        if (event)
            event_free(event);
        else
            json_decref(data);
        return NULL;
    }
    return event;
}

void strake_bus_post(struct strake_bus *bus, enum strake_event_type type, const char *target,
                     json_t *data)
{
    struct strake_event *event;
    bool owner, wake;

    if (!bus) {
        json_decref(data);
        return;
    }
    event = event_new(type, target, data);
    if (!event)
        return;
    owner = bus->owned && pthread_equal(bus->owner, pthread_self());
    pthread_mutex_lock(&bus->lock);
    while (!owner && bus->waiting_bytes > BUS_WAITING_MAX)
        pthread_cond_wait(&bus->drained, &bus->lock);
    wake = bus->first == NULL;
    *bus->last = event;
    bus->last = &event->next;
    bus->waiting_bytes += event_bytes(event);
    pthread_mutex_unlock(&bus->lock);
    if (owner)
        strake_bus_drain(bus);
    else if (wake && bus->wake)
        bus->wake(bus->wake_ctx);
}

/* A sink may post: its event joins the list and is handed over in the same drain. */
void strake_bus_drain(struct strake_bus *bus)
{
    if (bus->draining)
        return;
    bus->draining = true;
    for (;;) {
        struct strake_event *event;
        pthread_mutex_lock(&bus->lock);
        event = bus->first;
        bus->first = NULL;
        bus->last = &bus->first;
        bus->waiting_bytes = 0;
        pthread_cond_broadcast(&bus->drained);
        pthread_mutex_unlock(&bus->lock);
        if (!event)
            break;
        while (event) {
            struct strake_event *next = event->next;
            for (size_t i = 0; i < bus->sink_count; i++)
                bus->sinks[i].sink(bus->sinks[i].ctx, event);
            event_free(event);
            event = next;
        }
    }
    bus->draining = false;
}

int strake_event_line(const struct strake_event *event, const char *run, struct strake_buf *out)
{
    char time[STRAKE_TIME_TEXT];
    json_t *line = json_object();
    int rc = STRAKE_ENOMEM;

    strake_time_format(event->time_us, time);
    if (line && strake_json_set_int(line, "v", 1) == 0 &&
        strake_json_set_str(line, "time", time) == 0 &&
        strake_json_set_str(line, "run", run) == 0 &&
        strake_json_set_str(line, "type", strake_event_name(event->type)) == 0 &&
        (!event->target[0] || strake_json_set_str(line, "target", event->target) == 0) &&
        json_object_update_missing(line, event->data) == 0)
        rc = strake_json_dump(line, out);
    json_decref(line);
    return rc;
}
