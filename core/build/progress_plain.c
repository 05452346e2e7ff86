/* Plain lines: one when a step starts, its output with its number, one when it ends. In GitHub
 * Actions targets are groups, and warnings and errors become annotations. */
#include <stdio.h>
#include <string.h>

#include "build/progress_impl.h"
#include "util/json.h"
#include "util/text.h"
#include "util/time.h"

static void put_prefix(struct strake_progress *progress, const struct strake_view_step *step)
{
    if (progress->targets > 1)
        strake_buf_printf(&progress->out, "#%d %s ", step->number, step->target);
    else
        strake_buf_printf(&progress->out, "#%d ", step->number);
}

/* A build's own output must not give commands to the runner: `::` counts at the start of a line
 * alone, where there is always something else, but `##[` anywhere. Control characters are
 * dropped. */
static void put_text(struct strake_progress *progress, const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        const size_t control = strake_text_control(text + i, len - i);
        if (progress->mode == STRAKE_PROGRESS_GITHUB && len - i >= 3 &&
            memcmp(text + i, "##[", 3) == 0) {
            strake_buf_puts(&progress->out, "# ");
            i++;
            continue;
        }
        if (control == 0 || text[i] == '\t')
            strake_buf_putc(&progress->out, text[i]);
        i += control ? control : 1;
    }
}

static void announce(struct strake_progress *progress, struct strake_view_step *step)
{
    if (step->announced)
        return;
    step->announced = true;
    put_prefix(progress, step);
    put_text(progress, step->name, strlen(step->name));
    strake_buf_putc(&progress->out, '\n');
}

static void put_line(struct strake_progress *progress, struct strake_view_step *step,
                     const char *text, size_t len)
{
    const char *cr = len ? memrchr(text, '\r', len) : NULL;

    if (cr && cr + 1 < text + len) { /* a progress bar: its last state is what counts */
        len -= (size_t)(cr + 1 - text);
        text = cr + 1;
    }
    put_prefix(progress, step);
    put_text(progress, text, len);
    strake_buf_putc(&progress->out, '\n');
}

static void step_log(struct strake_progress *progress, struct strake_view_step *step,
                     const json_t *data)
{
    const char *text = strake_json_str(data, "text"), *newline;

    announce(progress, step);
    while (text && (newline = strchr(text, '\n'))) {
        if (strake_buf_append(&step->line, text, (size_t)(newline - text)) < 0)
            strake_buf_clear(&step->line);
        put_line(progress, step, strake_buf_text(&step->line), step->line.len);
        strake_buf_clear(&step->line);
        text = newline + 1;
    }
    if (text && *text && strake_buf_puts(&step->line, text) < 0)
        strake_buf_clear(&step->line);
}

static void step_done(struct strake_progress *progress, struct strake_view_step *step,
                      const json_t *data)
{
    char time[32];
    const char *error = strake_json_str(data, "error");

    if (step->shown && step->state != STRAKE_VIEW_FAILED && step->line.len == 0)
        return; /* BuildKit completes a step again when another part of the graph needs it too */
    step->shown = true;
    announce(progress, step);
    if (step->line.len) {
        put_line(progress, step, strake_buf_text(&step->line), step->line.len);
        strake_buf_clear(&step->line);
    }
    strake_view_time(step, 0, time, sizeof(time));
    put_prefix(progress, step);
    if (step->state == STRAKE_VIEW_FAILED) {
        strake_buf_puts(&progress->out, "FAILED ");
        put_text(progress, error ? error : "", error ? strlen(error) : 0);
        strake_buf_putc(&progress->out, '\n');
    } else {
        strake_buf_printf(&progress->out, "%s %s\n",
                          step->state == STRAKE_VIEW_CACHED   ? "CACHED"
                          : step->state == STRAKE_VIEW_ABSENT ? "ABSENT"
                                                              : "DONE",
                          time);
    }
}

/* ---- GitHub Actions ---- */

/* Escapes of workflow commands: data, and properties, which also end at `:` and `,`. */
static void put_escaped(struct strake_progress *progress, const char *text, bool property)
{
    for (; *text; text++) {
        if (*text == '%' || *text == '\r' || *text == '\n' || (property && strchr(":,", *text)))
            strake_buf_printf(&progress->out, "%%%02X", (unsigned char)*text);
        else
            strake_buf_putc(&progress->out, *text);
    }
}

static void annotation(struct strake_progress *progress, const char *kind, const json_t *data,
                       const char *text)
{
    const char *file = strake_json_str(data, "file");
    json_int_t line = strake_json_int(data, "line", 0);

    strake_buf_printf(&progress->out, "::%s ", kind);
    if (file) {
        strake_buf_puts(&progress->out, "file=");
        put_escaped(progress, file, true);
        if (line > 0)
            strake_buf_printf(&progress->out, ",line=%lld", (long long)line);
    }
    strake_buf_puts(&progress->out, "::");
    put_escaped(progress, text, false);
    strake_buf_putc(&progress->out, '\n');
}

/* ---- everything that is no step ---- */

static void log_line(struct strake_progress *progress, const struct strake_event *event)
{
    const char *text = strake_json_str(event->data, "text");
    const char *level = strake_json_str(event->data, "level");
    const char *file = strake_json_str(event->data, "file");
    const bool warn = level && strcmp(level, "info") != 0;

    if (!text)
        return;
    if (progress->mode == STRAKE_PROGRESS_GITHUB && warn) {
        annotation(progress, strcmp(level, "error") == 0 ? "error" : "warning", event->data, text);
        return;
    }
    strake_buf_puts(&progress->out, warn ? level[0] == 'e' ? "error: " : "warning: " : "");
    if (progress->mode == STRAKE_PROGRESS_GITHUB &&
        strncmp(text + strspn(text, " \t"), "::", 2) == 0)
        strake_buf_puts(&progress->out, "log: ");
    put_text(progress, text, strlen(text));
    if (file) {
        strake_buf_puts(&progress->out, " (");
        put_text(progress, file, strlen(file));
        strake_buf_printf(&progress->out, ":%lld)",
                          (long long)strake_json_int(event->data, "line", 0));
    }
    strake_buf_putc(&progress->out, '\n');
}

static void decision_line(struct strake_progress *progress, const struct strake_event *event)
{
    const char *action = strake_json_str(event->data, "action");
    const char *message = strake_json_str(event->data, "message");
    const char *name = strake_json_str(event->data, "name");

    if (!action || !name || strcmp(action, "allow") == 0)
        return;
    if (progress->mode == STRAKE_PROGRESS_GITHUB && message &&
        (strcmp(action, "warn") == 0 || strcmp(action, "deny") == 0)) {
        annotation(progress, action[0] == 'w' ? "warning" : "error", event->data, message);
        return;
    }
    strake_buf_printf(&progress->out, "policy \"%s\" %s", name,
                      strcmp(action, "deny") == 0   ? "denies"
                      : strcmp(action, "warn") == 0 ? "warns"
                                                    : "changes");
    if (event->target[0])
        strake_buf_printf(&progress->out, " %s", event->target);
    strake_buf_puts(&progress->out, message && *message ? ": " : "\n");
    if (message && *message) {
        put_text(progress, message, strlen(message));
        strake_buf_putc(&progress->out, '\n');
    }
}

static void short_digest(const char *digest, char *out, size_t cap)
{
    snprintf(out, cap, "%.19s", digest && *digest ? digest : "(none)");
}

static void move_line(struct strake_progress *progress, const struct strake_event *event)
{
    const char *ref = strake_json_str(event->data, "ref");
    char from[32], to[32];

    short_digest(strake_json_str(event->data, "from"), from, sizeof(from));
    short_digest(strake_json_str(event->data, "to"), to, sizeof(to));
    strake_buf_printf(&progress->out, "%s %s: %s -> %s\n",
                      event->type == STRAKE_EVENT_TAG_MOVED ? "tag" : "moved back", ref ? ref : "",
                      from, to);
}

static void target_line(struct strake_progress *progress, const struct strake_event *event)
{
    const bool github = progress->mode == STRAKE_PROGRESS_GITHUB;
    const json_t *error = json_object_get(event->data, "error");
    const char *message = strake_json_str(error, "message");

    if (event->type == STRAKE_EVENT_TARGET_STARTED) {
        if (github)
            strake_buf_printf(&progress->out, "::group::build %s\n", event->target);
        return;
    }
    if (github)
        strake_buf_puts(&progress->out, "::endgroup::\n");
    if (github && event->type == STRAKE_EVENT_TARGET_FAILED && message)
        annotation(progress, "error", error, message);
}

void strake_plain_other(struct strake_progress *progress, const struct strake_event *event)
{
    switch (event->type) {
    case STRAKE_EVENT_LOG:
        log_line(progress, event);
        break;
    case STRAKE_EVENT_POLICY_DECISION:
        decision_line(progress, event);
        break;
    case STRAKE_EVENT_TAG_MOVED:
    case STRAKE_EVENT_TAG_ROLLED_BACK:
        move_line(progress, event);
        break;
    case STRAKE_EVENT_TARGET_STARTED:
    case STRAKE_EVENT_TARGET_DONE:
    case STRAKE_EVENT_TARGET_FAILED:
        target_line(progress, event);
        break;
    case STRAKE_EVENT_NOTIFY_SENT:
        strake_buf_printf(&progress->out, "message sent to %s\n",
                          strake_json_str(event->data, "notifier"));
        break;
    default:
        break;
    }
}

void strake_plain_event(struct strake_progress *progress, const struct strake_event *event)
{
    struct strake_view_step *step = strake_view_take(progress, event);

    if (step && event->type == STRAKE_EVENT_STEP_STARTED)
        announce(progress, step);
    else if (step && event->type == STRAKE_EVENT_STEP_LOG)
        step_log(progress, step, event->data);
    else if (step && event->type == STRAKE_EVENT_STEP_DONE)
        step_done(progress, step, event->data);
    else if (!step)
        strake_plain_other(progress, event);
}
