/* What all views share: the model of steps, and the way out. */
#include "build/progress.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "build/explain.h"
#include "build/progress_impl.h"
#include "util/json.h"
#include "util/time.h"

#define LINE_MAX_BYTES ((size_t)16 * 1024)

struct strake_progress *strake_progress_new(enum strake_progress_mode mode, int fd, bool colour,
                                            const char *run)
{
    struct strake_progress *progress = strake_calloc(1, sizeof(*progress));

    if (!progress)
        return NULL;
    progress->mode = mode;
    progress->fd = fd;
    progress->colour = colour;
    progress->run = run;
    return progress;
}

static void step_free(struct strake_view_step *step)
{
    strake_free(step->id);
    strake_free(step->target);
    strake_free(step->name);
    strake_buf_dispose(&step->line);
    for (int i = 0; i < STRAKE_VIEW_TAIL; i++)
        strake_free(step->tail[i]);
    strake_free(step);
}

void strake_progress_free(struct strake_progress *progress)
{
    if (!progress)
        return;
    if (progress->mode == STRAKE_PROGRESS_TTY)
        strake_tty_clear(progress);
    strake_view_flush(progress);
    for (size_t i = 0; i < progress->count; i++)
        step_free(progress->steps[i]);
    strake_free(progress->steps);
    strake_buf_dispose(&progress->out);
    strake_free(progress);
}

void strake_view_flush(struct strake_progress *progress)
{
    const char *data = strake_buf_text(&progress->out);
    size_t len = progress->out.len;

    while (len && !progress->broken) {
        ssize_t n = write(progress->fd, data, len);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd wait = { .fd = progress->fd, .events = POLLOUT };
            if (poll(&wait, 1, 1000) <= 0)
                progress->broken = true;
        } else if (n < 0 && errno != EINTR) {
            progress->broken = true;
        } else if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    strake_buf_clear(&progress->out);
}

const char *strake_view_colour(const struct strake_progress *progress, const char *code)
{
    return progress->colour ? code : "";
}

/* ---- the model ---- */

static struct strake_view_step *find_step(const struct strake_progress *progress,
                                          const char *target, const char *id)
{
    for (size_t i = progress->count; i-- > 0;) { /* the newest are asked for most */
        if (strcmp(progress->steps[i]->id, id) == 0 &&
            strcmp(progress->steps[i]->target, target) == 0)
            return progress->steps[i];
    }
    return NULL;
}

static struct strake_view_step *add_step(struct strake_progress *progress, const char *target,
                                         const char *id)
{
    struct strake_view_step *step = strake_calloc(1, sizeof(*step));

    if (step) {
        step->id = strake_strdup(id);
        step->target = strake_strdup(target);
        step->name = strake_strdup(id);
        step->line.max = LINE_MAX_BYTES;
    }
    if (progress->count == progress->cap) {
        size_t cap = progress->cap ? progress->cap * 2 : 32;
        struct strake_view_step **steps =
            strake_reallocarray(progress->steps, cap, sizeof(struct strake_view_step *));
        if (steps) {
            progress->steps = steps;
            progress->cap = cap;
        }
    }
    if (!step || !step->id || !step->target || !step->name || progress->count == progress->cap) {
        if (step)
            step_free(step);
        return NULL;
    }
    progress->steps[progress->count++] = step;
    step->number = (int)progress->count;
    return step;
}

struct strake_view_step *strake_view_step_of(struct strake_progress *progress,
                                             const struct strake_event *event)
{
    const char *id = strake_json_str(event->data, "step");
    struct strake_view_step *step;

    if (!id)
        return NULL;
    step = find_step(progress, event->target, id);
    return step ? step : add_step(progress, event->target, id);
}

static void take_name(struct strake_view_step *step, const json_t *data)
{
    const char *name = strake_json_str(data, "name");
    char *copy = name && *name ? strake_strdup(name) : NULL;

    if (copy) {
        strake_free(step->name);
        step->name = copy;
    }
}

static void take_state(struct strake_view_step *step, const struct strake_event *event)
{
    const char *started = strake_json_str(event->data, "started");
    const char *completed = strake_json_str(event->data, "completed");
    const char *error = strake_json_str(event->data, "error");

    take_name(step, event->data);
    if (started)
        strake_time_parse(started, &step->started_us);
    if (event->type == STRAKE_EVENT_STEP_STARTED) {
        step->state = STRAKE_VIEW_RUNNING;
        step->completed_us = 0;
        return;
    }
    if (completed)
        strake_time_parse(completed, &step->completed_us);
    step->state = strake_step_name_absent(step->name, error)       ? STRAKE_VIEW_ABSENT
                  : error                                          ? STRAKE_VIEW_FAILED
                  : strake_json_bool(event->data, "cached", false) ? STRAKE_VIEW_CACHED
                                                                   : STRAKE_VIEW_DONE;
}

struct strake_view_step *strake_view_take(struct strake_progress *progress,
                                          const struct strake_event *event)
{
    struct strake_view_step *step;

    if (event->type == STRAKE_EVENT_TARGET_STARTED)
        progress->targets++;
    step = strake_view_step_of(progress, event);
    if (!step)
        return NULL;
    if (event->type == STRAKE_EVENT_STEP_STARTED || event->type == STRAKE_EVENT_STEP_DONE)
        take_state(step, event);
    if (event->type == STRAKE_EVENT_STEP_PROGRESS) {
        step->current_bytes = strake_json_int(event->data, "current_bytes", 0);
        step->total_bytes = strake_json_int(event->data, "total_bytes", 0);
    }
    return step;
}

void strake_view_time(const struct strake_view_step *step, int64_t now_us, char *out, size_t cap)
{
    int64_t end = step->completed_us ? step->completed_us : now_us;
    int64_t ms = step->started_us ? (end - step->started_us) / 1000 : 0;

    if (ms < 0)
        ms = 0; /* the builder's clock is ahead of ours */
    if (ms < 60000)
        snprintf(out, cap, "%.1fs", (double)ms / 1000);
    else
        snprintf(out, cap, "%lldm%02llds", (long long)(ms / 60000), (long long)(ms / 1000 % 60));
}

/* ---- feeding ---- */

static void raw_event(struct strake_progress *progress, const struct strake_event *event)
{
    if (strake_event_line(event, progress->run, &progress->out) == 0)
        strake_buf_putc(&progress->out, '\n');
}

void strake_progress_event(void *ctx, const struct strake_event *event)
{
    struct strake_progress *progress = ctx;

    switch (progress->mode) {
    case STRAKE_PROGRESS_RAWJSON:
        raw_event(progress, event);
        break;
    case STRAKE_PROGRESS_TTY:
        strake_tty_event(progress, event);
        return;
    case STRAKE_PROGRESS_QUIET:
        return;
    case STRAKE_PROGRESS_PLAIN:
    case STRAKE_PROGRESS_GITHUB:
        strake_plain_event(progress, event);
        break;
    }
    strake_view_flush(progress);
}

void strake_progress_tick(struct strake_progress *progress)
{
    if (progress->mode == STRAKE_PROGRESS_TTY)
        strake_tty_draw(progress);
}

bool strake_progress_is_live(const struct strake_progress *progress)
{
    return progress->mode == STRAKE_PROGRESS_TTY && !progress->broken &&
           (progress->drawn > 0 || progress->dirty);
}

void strake_progress_line(void *ctx, enum strake_level level, const char *line)
{
    struct strake_progress *progress = ctx;

    (void)level;
    if (progress->mode == STRAKE_PROGRESS_TTY)
        strake_tty_clear(progress);
    strake_buf_puts(&progress->out, line);
    strake_view_flush(progress);
    if (progress->mode == STRAKE_PROGRESS_TTY)
        progress->dirty = true;
}
