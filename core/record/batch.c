/* Events of a run on their way into the history: steps and their logs wait for a moment and go in
 * one transaction, everything else takes them along at once. */
#include <string.h>

#include "record/record_impl.h"
#include "util/json.h"
#include "util/time.h"

#define BATCH_BYTES ((size_t)256 * 1024)
#define BATCH_MS 250
#define LOG_BYTES_MAX ((int64_t)64 * 1024 * 1024)

struct strake_batch {
    char *run;
    enum strake_event_type type;
    int64_t time_us;
    char *target;
    json_t *data;
    struct strake_batch *next;
};

static void batch_free(struct strake_batch *batch)
{
    strake_free(batch->run);
    strake_free(batch->target);
    json_decref(batch->data);
    strake_free(batch);
}

void strake_batch_drop(struct strake_record *record)
{
    while (record->first) {
        struct strake_batch *batch = record->first;
        record->first = batch->next;
        batch_free(batch);
    }
    record->last = &record->first;
    record->batch_bytes = 0;
}

/* ---- one event ---- */

static int write_step(struct strake_record *record, const struct strake_batch *batch,
                      struct strake_err *err)
{
    const json_t *data = batch->data;

    return strake_sql(
        record,
        "INSERT INTO steps (run, target, step, position, name, started, completed, cached, error)"
        " VALUES (?1,?2,?3,(SELECT count(*) FROM steps WHERE run=?1 AND target=?2),?4,?5,?6,?7,?8)"
        " ON CONFLICT (run, target, step) DO UPDATE SET name=?4, started=coalesce(?5, started),"
        " completed=?6, cached=?7, error=?8",
        STRAKE_VALUES(STRAKE_TEXT(batch->run), STRAKE_TEXT(batch->target),
                      STRAKE_TEXT(strake_json_str(data, "step")),
                      STRAKE_TEXT(strake_json_str(data, "name")),
                      STRAKE_TEXT(strake_json_str(data, "started")),
                      STRAKE_TEXT(strake_json_str(data, "completed")),
                      STRAKE_INT(strake_json_bool(data, "cached", false)),
                      STRAKE_TEXT(strake_json_str(data, "error"))),
        NULL, NULL, err);
}

static int insert_log(struct strake_record *record, const struct strake_batch *batch,
                      const char *text, struct strake_err *err)
{
    return strake_sql(record, "INSERT INTO logs (run, target, step, text) VALUES (?,?,?,?)",
                      STRAKE_VALUES(STRAKE_TEXT(batch->run), STRAKE_TEXT(batch->target),
                                    STRAKE_TEXT(strake_json_str(batch->data, "step")),
                                    STRAKE_TEXT(text)),
                      NULL, NULL, err);
}

static int write_log(struct strake_record *record, const struct strake_batch *batch,
                     struct strake_err *err)
{
    const char *text = strake_json_str(batch->data, "text");

    if (!text || record->log_cut)
        return 0;
    record->log_bytes += (int64_t)strlen(text);
    if (record->log_bytes <= LOG_BYTES_MAX)
        return insert_log(record, batch, text, err);
    record->log_cut = true;
    return insert_log(record, batch, "(the log was cut here: 64 MiB of this run are kept)\n", err);
}

static int write_other(struct strake_record *record, const struct strake_batch *batch,
                       struct strake_err *err)
{
    struct strake_buf text = { 0 };
    int rc = strake_json_dump(batch->data, &text);

    if (rc < 0)
        rc = strake_fail_nomem(err);
    else
        rc = strake_sql(
            record, "INSERT INTO events (run, time_us, type, target, data) VALUES (?,?,?,?,?)",
            STRAKE_VALUES(STRAKE_TEXT(batch->run), STRAKE_INT(batch->time_us),
                          STRAKE_TEXT(strake_event_name(batch->type)), STRAKE_TEXT(batch->target),
                          STRAKE_TEXT(strake_buf_text(&text))),
            NULL, NULL, err);
    strake_buf_dispose(&text);
    return rc;
}

static int write_one(struct strake_record *record, const struct strake_batch *batch,
                     struct strake_err *err)
{
    switch (batch->type) {
    case STRAKE_EVENT_STEP_STARTED:
    case STRAKE_EVENT_STEP_DONE:
        return write_step(record, batch, err);
    case STRAKE_EVENT_STEP_LOG:
        return write_log(record, batch, err);
    default:
        return write_other(record, batch, err);
    }
}

/* What cannot be written is dropped all the same: the next batch must not grow without end. */
int strake_batch_flush(struct strake_record *record, struct strake_err *err)
{
    int rc;

    if (!record->first)
        return 0;
    rc = strake_sql_begin(record, false, err);
    for (struct strake_batch *at = record->first; rc == 0 && at; at = at->next)
        rc = write_one(record, at, err);
    rc = strake_sql_end(record, rc, err);
    strake_batch_drop(record);
    return rc;
}

/* ---- taking events ---- */

static bool is_recorded(enum strake_event_type type)
{
    return type != STRAKE_EVENT_STEP_PROGRESS && type != STRAKE_EVENT_RUN_STARTED;
}

static bool may_wait(enum strake_event_type type)
{
    return type == STRAKE_EVENT_STEP_STARTED || type == STRAKE_EVENT_STEP_DONE ||
           type == STRAKE_EVENT_STEP_LOG;
}

/* The lock is held. */
static int append(struct strake_record *record, const char *run, const struct strake_event *event)
{
    struct strake_batch *batch = strake_calloc(1, sizeof(*batch));

    if (!batch)
        return STRAKE_ENOMEM;
    batch->run = strake_strdup(run);
    batch->target = strake_strdup(event->target);
    batch->type = event->type;
    batch->time_us = event->time_us;
    batch->data = json_incref(event->data);
    if (!batch->run || !batch->target) {
        batch_free(batch);
        return STRAKE_ENOMEM;
    }
    if (!record->first)
        record->batch_since_ms = strake_time_mono_ms();
    *record->last = batch;
    record->last = &batch->next;
    record->batch_bytes += 256 + json_string_length(json_object_get(event->data, "text"));
    return 0;
}

int strake_record_event(struct strake_record *record, const char *run,
                        const struct strake_event *event, struct strake_err *err)
{
    int rc;

    if (!is_recorded(event->type))
        return 0;
    pthread_mutex_lock(&record->lock);
    rc = append(record, run, event);
    if (rc < 0)
        strake_fail_nomem(err);
    else if (!may_wait(event->type) || record->batch_bytes > BATCH_BYTES ||
             strake_time_mono_ms() - record->batch_since_ms > BATCH_MS)
        rc = strake_batch_flush(record, err);
    pthread_mutex_unlock(&record->lock);
    return rc;
}
