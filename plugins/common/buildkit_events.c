/* Reading the events of a build. */
#include "common/buildkit_events.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/http.h"

#define INPUTS_MAX 256 /* of one step; more are not told */

/* ---- fields ---------------------------------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static int64_t number_of(const json_t *object, const char *key)
{
    return (int64_t)json_integer_value(json_object_get(object, key));
}

static int64_t time_of(const json_t *object, const char *key)
{
    const char *text = text_of(object, key);
    return text != NULL ? buildkit_time_parse(text) : 0;
}

/* ---- time ------------------------------------------------------------------------------------ */

/* Exactly `count` digits as a number from `min` to `max`, or -1; *at moves behind them. */
static int digits(const char **at, int count, int min, int max)
{
    int value = 0;
    for (int i = 0; i < count; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return -1;
        value = value * 10 + (**at - '0');
    }
    return value >= min && value <= max ? value : -1;
}

static bool skip(const char **at, char c)
{
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

/* ".123456789" as microseconds; anything else is none. */
static int64_t fraction(const char **at)
{
    int64_t us = 0;
    if (!skip(at, '.'))
        return 0;
    for (int64_t unit = 100000; **at >= '0' && **at <= '9'; (*at)++, unit /= 10)
        us += (**at - '0') * unit;
    return us;
}

/* "Z", "+02:00" or "-02:00" to its end, as seconds; INT64_MIN: none of them. */
static int64_t zone(const char *at)
{
    if (strcmp(at, "Z") == 0)
        return 0;
    int64_t sign = *at == '+' ? 1 : -1;
    if (*at != '+' && *at != '-')
        return INT64_MIN;
    at++;
    int hours = digits(&at, 2, 0, 23);
    if (hours < 0 || !skip(&at, ':'))
        return INT64_MIN;
    int minutes = digits(&at, 2, 0, 59);
    return minutes >= 0 && *at == '\0' ? sign * (hours * 3600 + minutes * 60) : INT64_MIN;
}

int64_t buildkit_time_parse(const char *text)
{
    const char *at = text;
    struct tm tm = { .tm_isdst = 0 };
    tm.tm_year = digits(&at, 4, 1970, 9999) - 1900;
    if (tm.tm_year < 0 || !skip(&at, '-') || (tm.tm_mon = digits(&at, 2, 1, 12) - 1) < 0 ||
        !skip(&at, '-') || (tm.tm_mday = digits(&at, 2, 1, 31)) < 0 || !skip(&at, 'T') ||
        (tm.tm_hour = digits(&at, 2, 0, 23)) < 0 || !skip(&at, ':') ||
        (tm.tm_min = digits(&at, 2, 0, 59)) < 0 || !skip(&at, ':') ||
        (tm.tm_sec = digits(&at, 2, 0, 60)) < 0)
        return 0;
    int64_t us = fraction(&at);
    int64_t offset = zone(at);
    if (offset == INT64_MIN)
        return 0;
    int64_t seconds = (int64_t)timegm(&tm) - offset;
    return seconds > 0 ? seconds * 1000000 + us : 0;
}

/* ---- records --------------------------------------------------------------------------------- */

static bool is_cancellation(const char *error)
{
    return strstr(error, "context canceled") != NULL;
}

/* A step that came from the cache is told once more, as done and not as cached, when its inputs are
 * hashed or its layer is fetched for what comes after it. It was not run for that: one that is run
 * after all, because its cache could not be fetched, failed to load or has something to say. */
static bool came_from_cache(struct buildkit_events *events, const struct strake_step *step)
{
    bool failed = step->error != NULL && step->error[0] != '\0';
    if (step->completed_us == 0 || failed)
        return step->cached;
    bool known = plug_list_has(&events->cached, step->id);
    if (step->cached && !known)
        plug_list_add(&events->cached, step->id); /* without memory it is told as BuildKit does */
    return step->cached || (known && !plug_list_has(&events->spoke, step->id));
}

static int take_vertex(struct buildkit_events *events, const json_t *vertex)
{
    const char *inputs[INPUTS_MAX + 1] = { NULL };
    size_t count = 0;
    size_t i;
    json_t *input;
    json_array_foreach(json_object_get(vertex, "inputs"), i, input) {
        if (json_is_string(input) && count < INPUTS_MAX)
            inputs[count++] = json_string_value(input);
    }
    struct strake_step step = {
        .size = sizeof(step),
        .id = text_of(vertex, "digest"),
        .name = text_of(vertex, "name"),
        .started_us = time_of(vertex, "started"),
        .completed_us = time_of(vertex, "completed"),
        .cached = json_is_true(json_object_get(vertex, "cached")),
        .error = text_of(vertex, "error"),
        .inputs = inputs,
    };
    if (step.id == NULL || step.name == NULL) {
        events->bad_lines++;
        return 0;
    }
    step.cached = came_from_cache(events, &step);
    /* What was stopped because another step failed is not what failed. */
    if (step.error != NULL && step.error[0] != '\0' && !is_cancellation(step.error)) {
        plug_text_dispose(&events->failed);
        plug_text_add(&events->failed, step.name);
        if (events->failed.failed)
            return STRAKE_ENOMEM;
    }
    events->sink->step(events->ctx, &step);
    return 0;
}

static int take_status(struct buildkit_events *events, const json_t *status)
{
    const char *name = text_of(status, "name");
    const char *id = text_of(status, "id");
    const struct strake_step_progress progress = {
        .size = sizeof(progress),
        .step = text_of(status, "vertex"),
        .name = id != NULL && id[0] != '\0' ? id : name,
        .current_bytes = number_of(status, "current"),
        .total_bytes = number_of(status, "total"),
    };
    if (progress.step == NULL || progress.name == NULL || progress.current_bytes < 0 ||
        progress.total_bytes < 0) {
        events->bad_lines++;
        return 0;
    }
    events->sink->progress(events->ctx, &progress);
    return 0;
}

static int take_log(struct buildkit_events *events, const json_t *log)
{
    const char *step = text_of(log, "vertex");
    const char *data = text_of(log, "data");
    struct plug_text text = { 0 };
    if (step == NULL || data == NULL || !plug_base64_decode(&text, data)) {
        events->bad_lines += !text.failed;
    } else if (!text.failed) {
        if (plug_list_has(&events->cached, step) && !plug_list_has(&events->spoke, step))
            plug_list_add(&events->spoke, step);
        int stream = number_of(log, "stream") == 2 ? 2 : 1;
        events->sink->log(events->ctx, step, stream, plug_text_view(&text), text.len);
    }
    int rc = text.failed ? STRAKE_ENOMEM : 0;
    plug_text_dispose(&text);
    return rc;
}

/* BuildKit's linter ends its text with the line that `range` has too. */
static size_t without_line(const char *text, size_t len, int line)
{
    char ending[32];
    size_t ending_len = (size_t)snprintf(ending, sizeof(ending), " (line %d)", line);
    bool ends = len >= ending_len && strcmp(text + len - ending_len, ending) == 0;
    return ends ? len - ending_len : len;
}

static int take_warning(struct buildkit_events *events, const json_t *warning)
{
    const char *data = text_of(warning, "short");
    struct plug_text text = { 0 };
    if (data == NULL || !plug_base64_decode(&text, data) || text.len == 0) {
        int rc = text.failed ? STRAKE_ENOMEM : 0;
        events->bad_lines += rc == 0;
        plug_text_dispose(&text);
        return rc;
    }
    const json_t *range = json_array_get(json_object_get(warning, "range"), 0);
    int64_t line = number_of(json_object_get(range, "start"), "line");
    const char *file = text_of(json_object_get(warning, "sourceInfo"), "filename");
    if (file != NULL && events->dockerfile != NULL && strcmp(file, events->dockerfile) == 0)
        file = events->shown_as;
    const struct strake_step_warning told = {
        .size = sizeof(told),
        .text = text.data,
        .url = text_of(warning, "url"),
        .file = file,
        .line = line > 0 && line <= INT32_MAX ? (int)line : 0,
    };
    text.data[without_line(text.data, text.len, told.line)] = '\0';
    events->sink->warning(events->ctx, &told);
    plug_text_dispose(&text);
    return 0;
}

/* ---- lines ----------------------------------------------------------------------------------- */

int buildkit_events_line(struct buildkit_events *events, const char *line, size_t len)
{
    static const struct {
        const char *key;
        int (*take)(struct buildkit_events *events, const json_t *record);
    } kinds[] = {
        { "vertexes", take_vertex },
        { "statuses", take_status },
        { "logs", take_log },
        { "warnings", take_warning },
    };
    events->lines++;
    json_error_t error;
    json_t *root = json_loadb(line, len, 0, &error);
    if (!json_is_object(root)) {
        bool no_memory = root == NULL && error.text[0] == '\0'; /* what jansson says of it */
        json_decref(root);
        events->bad_lines++;
        return no_memory ? STRAKE_ENOMEM : 0;
    }
    int rc = 0;
    for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
        size_t i;
        json_t *record;
        json_array_foreach(json_object_get(root, kinds[kind].key), i, record) {
            if (rc == 0)
                rc = kinds[kind].take(events, record);
        }
    }
    json_decref(root);
    return rc;
}

void buildkit_events_dispose(struct buildkit_events *events)
{
    plug_text_dispose(&events->failed);
    plug_list_dispose(&events->cached);
    plug_list_dispose(&events->spoke);
}
