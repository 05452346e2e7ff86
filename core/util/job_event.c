/* What a job reports: steps, their output, progress and warnings, as the events of docs/events.md.
 * A plugin tells the state of a step; observers see each change of it once. */
#include <stddef.h>
#include <string.h>

#include "util/event.h"
#include "util/job_impl.h"
#include "util/json.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/secret.h"
#include "util/time.h"

/* A line that does not end is passed on in pieces of this many bytes. */
#define HELD_MAX ((size_t)64 * 1024)

void strake_job_event(struct strake_job *job, enum strake_event_type type, json_t *data)
{
    pthread_rwlock_rdlock(&job->bus_lock);
    strake_bus_post(job->bus, type, job->target, data);
    pthread_rwlock_unlock(&job->bus_lock);
}

/* ---- building ------------------------------------------------------------------------------- */

/* Fields of an event; the first failure is kept, so that a row of sets needs one check. */
struct fields {
    json_t *data;
    int rc;
};

static struct fields fields_new(void)
{
    struct fields fields = { .data = json_object() };
    fields.rc = fields.data != NULL ? 0 : STRAKE_ENOMEM;
    return fields;
}

static void add_text(struct fields *fields, const char *key, const char *text)
{
    if (fields->rc < 0 || text == NULL)
        return;
    if (!strake_secret_any()) {
        fields->rc = strake_json_set_str(fields->data, key, text);
        return;
    }
    struct strake_buf shown = { .secret = true };
    fields->rc = strake_buf_puts(&shown, text);
    if (fields->rc == 0)
        fields->rc = strake_secret_redact(&shown);
    if (fields->rc == 0)
        fields->rc = strake_json_set_strn(fields->data, key, strake_buf_text(&shown), shown.len);
    strake_buf_dispose(&shown);
}

static void add_id(struct fields *fields, const struct strake_job *job, const char *key,
                   const char *id)
{
    char *scoped;
    if (fields->rc < 0 || id == NULL)
        return;
    if (job->scope == NULL) {
        add_text(fields, key, id);
        return;
    }
    scoped = strake_asprintf("%s%s", job->scope, id);
    if (scoped == NULL)
        fields->rc = STRAKE_ENOMEM;
    else
        add_text(fields, key, scoped);
    strake_free(scoped);
}

/* The ids of steps that a step needs. */
static json_t *inputs_of(const struct strake_job *job, const char *const *inputs)
{
    json_t *list = json_array();
    for (; list != NULL && *inputs != NULL; inputs++) {
        char *id = strake_asprintf("%s%s", job->scope != NULL ? job->scope : "", *inputs);
        if (id == NULL || strake_json_append_str(list, id) < 0) {
            json_decref(list);
            list = NULL;
        }
        strake_free(id);
    }
    return list;
}

static void add_int(struct fields *fields, const char *key, int64_t value)
{
    if (fields->rc == 0)
        fields->rc = strake_json_set_int(fields->data, key, value);
}

static void add_time(struct fields *fields, const char *key, int64_t us)
{
    char text[STRAKE_TIME_TEXT];
    if (us == 0 || fields->rc < 0)
        return;
    strake_time_format(us, text);
    fields->rc = strake_json_set_str(fields->data, key, text);
}

/* An event that cannot be made is lost, and the log says so: the build itself goes on. */
static void post(struct strake_job *job, enum strake_event_type type, struct fields *fields)
{
    if (fields->rc < 0) {
        json_decref(fields->data);
        strake_log(STRAKE_LOG_ERROR, "an event %s was lost: out of memory",
                   strake_event_name(type));
        return;
    }
    strake_job_event(job, type, fields->data);
}

/* ---- what is known of the steps ------------------------------------------------------------- */

static size_t bucket_of(const char *id)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *id != '\0'; id++)
        hash = (hash ^ (unsigned char)*id) * 16777619u;
    return hash % STRAKE_JOB_STEP_BUCKETS;
}

/* The state of a step, made when it is new; NULL without memory. The lock of the steps is held. */
static struct strake_job_step_state *state_of(struct strake_job *job, const char *id)
{
    struct strake_job_step_state **bucket = &job->steps[bucket_of(id)];
    for (struct strake_job_step_state *at = *bucket; at != NULL; at = at->next) {
        if (strcmp(at->id, id) == 0)
            return at;
    }
    if (job->step_count >= STRAKE_JOB_STEPS_MAX)
        return NULL;
    struct strake_job_step_state *state = strake_calloc(1, sizeof(*state));
    if (state == NULL)
        return NULL;
    state->id = strake_strdup(id);
    if (state->id == NULL) {
        strake_free(state);
        return NULL;
    }
    state->held[0].secret = true;
    state->held[1].secret = true;
    state->next = *bucket;
    *bucket = state;
    job->step_count++;
    return state;
}

/* ---- output --------------------------------------------------------------------------------- */

/* Length without a character at the end that has only begun. */
static size_t whole_characters(const char *data, size_t len)
{
    size_t back = 0;
    while (back < 3 && back < len && ((unsigned char)data[len - 1 - back] & 0xC0) == 0x80)
        back++;
    if (back == len)
        return len;
    unsigned char lead = (unsigned char)data[len - 1 - back];
    size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    return want > back + 1 ? len - 1 - back : len;
}

static size_t whole_lines(const char *data, size_t len)
{
    while (len > 0 && data[len - 1] != '\n' && data[len - 1] != '\r')
        len--;
    return len;
}

/* How much of this may be passed on. A secret can only be recognised whole, and a chunk may end
 * within one: once there are secrets, text goes on line by line. */
static size_t ready_length(const char *data, size_t len)
{
    if (!strake_secret_any() || len > HELD_MAX)
        return whole_characters(data, len);
    return whole_lines(data, len);
}

/* One event, or several: a builder may tell megabytes at once. */
static void post_log(struct strake_job *job, const char *step, int stream, const char *data,
                     size_t len)
{
    struct strake_buf shown = { .secret = true };
    if (len > 0 && strake_secret_any()) {
        if (strake_buf_append(&shown, data, len) < 0 || strake_secret_redact(&shown) < 0)
            strake_log(STRAKE_LOG_ERROR, "output of a step was lost: out of memory");
        data = strake_buf_text(&shown);
        len = shown.len;
    }
    while (len > 0) {
        size_t piece = len > HELD_MAX ? whole_characters(data, HELD_MAX) : len;
        struct fields fields = fields_new();
        add_id(&fields, job, "step", step);
        add_text(&fields, "stream", stream == 2 ? "stderr" : "stdout");
        if (fields.rc == 0)
            fields.rc = strake_json_set_strn(fields.data, "text", data, piece);
        post(job, STRAKE_EVENT_STEP_LOG, &fields);
        data += piece;
        len -= piece;
    }
    strake_buf_dispose(&shown);
}

void strake_job_step_log(struct strake_job *job, const char *step, int stream, const char *data,
                         size_t len)
{
    struct strake_buf ready = { .secret = true };
    size_t index = stream == 2 ? 1 : 0;
    pthread_mutex_lock(&job->steps_lock);
    struct strake_job_step_state *state = state_of(job, step);
    bool held = state != NULL && strake_buf_append(&state->held[index], data, len) == 0;
    if (held) {
        struct strake_buf *all = &state->held[index];
        size_t cut = ready_length(strake_buf_text(all), all->len);
        if (strake_buf_append(&ready, strake_buf_text(all), cut) == 0)
            strake_buf_consume(all, cut);
    }
    pthread_mutex_unlock(&job->steps_lock);

    if (held)
        post_log(job, step, stream, strake_buf_text(&ready), ready.len);
    else
        post_log(job, step, stream, data, len); /* no room to hold anything back */
    strake_buf_dispose(&ready);
}

/* What was held back of a step goes out: nothing more will come. */
static void flush(struct strake_job *job, struct strake_job_step_state *state)
{
    for (int stream = 1; stream <= 2; stream++) {
        struct strake_buf *held = &state->held[stream - 1];
        pthread_mutex_lock(&job->steps_lock);
        struct strake_buf rest = *held;
        *held = (struct strake_buf){ .secret = true };
        pthread_mutex_unlock(&job->steps_lock);
        post_log(job, state->id, stream, strake_buf_text(&rest), rest.len);
        strake_buf_dispose(&rest);
    }
}

/* A call's job is a child of its target's: what it built is the target's too. */
static void tell_parent(struct strake_job *job)
{
    int total, cached;
    if (job->parent == NULL)
        return;
    strake_job_steps_count(job, &total, &cached);
    pthread_mutex_lock(&job->parent->steps_lock);
    job->parent->ended_total += total;
    job->parent->ended_cached += cached;
    pthread_mutex_unlock(&job->parent->steps_lock);
}

void strake_job_steps_dispose(struct strake_job *job)
{
    tell_parent(job);
    for (size_t i = 0; i < STRAKE_JOB_STEP_BUCKETS; i++) {
        while (job->steps[i] != NULL) {
            struct strake_job_step_state *state = job->steps[i];
            job->steps[i] = state->next;
            flush(job, state);
            strake_free(state->id);
            strake_free(state);
        }
    }
    job->step_count = 0;
}

/* ---- steps ---------------------------------------------------------------------------------- */

/* What is new in a step that was told. */
struct change {
    bool started;
    bool done;
};

/* Compare with what was told before, and remember. `step` gets the times that it leaves out. */
static struct change note_change(struct strake_job_step_state *state, struct strake_step *step)
{
    struct change change = { 0 };
    bool failed = step->error != NULL && step->error[0] != '\0';
    bool ended = step->completed_us != 0 || failed;
    if (ended && step->completed_us == 0)
        step->completed_us = state->completed_us != 0 ? state->completed_us : strake_time_now_us();
    if (ended && step->started_us == 0)
        step->started_us = state->started_us != 0 ? state->started_us : step->completed_us;

    if (step->started_us != 0 && step->started_us != state->started_us) {
        change.started = true;
        state->started_us = step->started_us;
        state->completed_us = 0;
    }
    if (ended && (step->completed_us != state->completed_us || step->cached != state->cached ||
                  failed != state->failed)) {
        change.done = true;
        state->completed_us = step->completed_us;
        state->cached = step->cached;
        state->failed = failed;
    }
    return change;
}

static void post_step(struct strake_job *job, enum strake_event_type type,
                      const struct strake_step *step)
{
    bool done = type == STRAKE_EVENT_STEP_DONE;
    struct fields fields = fields_new();
    add_id(&fields, job, "step", step->id);
    add_text(&fields, "name", step->name != NULL ? step->name : "");
    add_time(&fields, "started", step->started_us);
    if (done) {
        add_time(&fields, "completed", step->completed_us);
        if (fields.rc == 0)
            fields.rc = strake_json_set_bool(fields.data, "cached", step->cached);
        if (step->error != NULL && step->error[0] != '\0')
            add_text(&fields, "error", step->error);
    }
    if (step->inputs != NULL && fields.rc == 0)
        fields.rc = strake_json_set(fields.data, "inputs", inputs_of(job, step->inputs));
    post(job, type, &fields);
}

/* "[stage 2/4] RUN make" is an instruction; "[internal] load …", "[linux/arm64 internal] load …"
 * and "[1/4] FROM …" are not. */
static bool is_instruction(const char *name)
{
    static const char internal[] = "internal";
    const size_t len = sizeof(internal) - 1;
    const char *end = name != NULL && name[0] == '[' ? strstr(name, "] ") : NULL;
    if (end == NULL || (end - name > (ptrdiff_t)len && strncmp(end - len, internal, len) == 0))
        return false;
    return strncmp(end + 2, "FROM ", 5) != 0;
}

void strake_job_steps_count(struct strake_job *job, int *total, int *cached)
{
    pthread_mutex_lock(&job->steps_lock);
    *total = job->ended_total;
    *cached = job->ended_cached;
    for (size_t i = 0; i < STRAKE_JOB_STEP_BUCKETS; i++) {
        for (struct strake_job_step_state *at = job->steps[i]; at != NULL; at = at->next) {
            if (!at->instruction || at->completed_us == 0)
                continue;
            *total += 1;
            *cached += at->cached ? 1 : 0;
        }
    }
    pthread_mutex_unlock(&job->steps_lock);
}

void strake_job_step(struct strake_job *job, const struct strake_step *given)
{
    struct strake_step step = { 0 };
    memcpy(&step, given, given->size < sizeof(step) ? given->size : sizeof(step));
    if (step.id == NULL)
        return;
    pthread_mutex_lock(&job->steps_lock);
    struct strake_job_step_state unknown = { 0 };
    struct strake_job_step_state *state = state_of(job, step.id);
    struct change change = note_change(state != NULL ? state : &unknown, &step);
    if (state != NULL && step.name != NULL)
        state->instruction = is_instruction(step.name);
    pthread_mutex_unlock(&job->steps_lock);

    if (change.started)
        post_step(job, STRAKE_EVENT_STEP_STARTED, &step);
    if (change.done) {
        if (state != NULL)
            flush(job, state);
        post_step(job, STRAKE_EVENT_STEP_DONE, &step);
    }
}

void strake_job_step_progress(struct strake_job *job, const struct strake_step_progress *given)
{
    struct strake_step_progress progress = { 0 };
    memcpy(&progress, given, given->size < sizeof(progress) ? given->size : sizeof(progress));
    struct fields fields = fields_new();
    add_id(&fields, job, "step", progress.step);
    add_text(&fields, "name", progress.name);
    add_int(&fields, "current_bytes", progress.current_bytes);
    if (progress.total_bytes > 0)
        add_int(&fields, "total_bytes", progress.total_bytes);
    post(job, STRAKE_EVENT_STEP_PROGRESS, &fields);
}

void strake_job_warning(struct strake_job *job, const struct strake_step_warning *given)
{
    struct strake_step_warning warning = { 0 };
    memcpy(&warning, given, given->size < sizeof(warning) ? given->size : sizeof(warning));
    struct fields fields = fields_new();
    add_text(&fields, "level", "warn");
    add_text(&fields, "text", warning.text != NULL ? warning.text : "");
    add_text(&fields, "url", warning.url);
    add_text(&fields, "file", warning.file);
    if (warning.line > 0)
        add_int(&fields, "line", warning.line);
    post(job, STRAKE_EVENT_LOG, &fields);
}

void strake_job_cache_exported(struct strake_job *job, const char *place, int64_t duration_ms)
{
    struct fields fields = fields_new();
    add_text(&fields, "ref", place != NULL ? place : "");
    add_int(&fields, "duration_ms", duration_ms);
    post(job, STRAKE_EVENT_CACHE_EXPORTED, &fields);
}
