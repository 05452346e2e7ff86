/* Messages on their way, in the history's database. */
#include "record/outbox.h"

#include <string.h>

#include "record/record_impl.h"
#include "util/json.h"
#include "util/time.h"

#define CLAIM_US ((int64_t)2 * 60 * 1000000)

/* JSON as text for a column; the caller frees. NULL: no memory. */
static char *column_text(const json_t *value)
{
    struct strake_buf text = { 0 };
    char *result = strake_json_dump(value, &text) == 0 ? strake_buf_take(&text) : NULL;

    strake_buf_dispose(&text);
    return result;
}

int strake_outbox_put(struct strake_record *record, struct strake_outgoing *message,
                      struct strake_err *err)
{
    char *options = column_text(message->options), *text = column_text(message->message);
    int rc;

    if (!options || !text) {
        strake_free(options);
        strake_free(text);
        return strake_fail_nomem(err);
    }
    pthread_mutex_lock(&record->lock);
    rc = strake_sql(record,
                    "INSERT INTO outbox (run, notifier, type, options, message, not_before_us,"
                    " expires_us) VALUES (?,?,?,?,?,?,?)",
                    STRAKE_VALUES(STRAKE_TEXT(message->run), STRAKE_TEXT(message->notifier),
                                  STRAKE_TEXT(message->type), STRAKE_TEXT(options),
                                  STRAKE_TEXT(text), STRAKE_INT(message->not_before_us),
                                  STRAKE_INT(message->expires_us)),
                    NULL, NULL, err);
    if (rc == 0)
        message->id = record->sql->last_insert_rowid(record->db);
    pthread_mutex_unlock(&record->lock);
    strake_free(options);
    strake_free(text);
    return rc;
}

/* ---- claiming ---- */

struct claiming {
    struct strake_outgoing *messages;
    size_t count;
};

static int add_message(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    struct claiming *claiming = ctx;
    struct strake_outgoing *messages =
        strake_reallocarray(claiming->messages, claiming->count + 1, sizeof(*messages));
    struct strake_outgoing *message;

    if (!messages)
        return STRAKE_ENOMEM;
    claiming->messages = messages;
    message = &messages[claiming->count++];
    *message = (struct strake_outgoing){
        .id = record->sql->column_int64(stmt, 0),
        .run = strake_strdup(strake_sql_text(record, stmt, 1)),
        .notifier = strake_strdup(strake_sql_text(record, stmt, 2)),
        .type = strake_strdup(strake_sql_text(record, stmt, 3)),
        .options = strake_sql_json(record, stmt, 4),
        .message = strake_sql_json(record, stmt, 5),
        .tries = (int)record->sql->column_int64(stmt, 6),
        .not_before_us = record->sql->column_int64(stmt, 7),
        .expires_us = record->sql->column_int64(stmt, 8),
    };
    return message->run && message->notifier && message->type && json_is_object(message->options) &&
                   json_is_object(message->message)
               ? 0
               : STRAKE_ENOMEM;
}

/* What nobody could deliver in its time is told in the history, then forgotten. */
static int drop_expired(struct strake_record *record, int64_t now, struct strake_err *err)
{
    int rc =
        strake_sql(record,
                   "INSERT INTO events (run, time_us, type, target, data) SELECT run, ?1,"
                   " 'notify.failed', '', json_object('notifier', notifier, 'final',"
                   " json('true'), 'error', 'it could not be sent before it expired') FROM outbox"
                   " WHERE expires_us <= ?1",
                   STRAKE_VALUES(STRAKE_INT(now)), NULL, NULL, err);

    return rc < 0 ? rc
                  : strake_sql(record, "DELETE FROM outbox WHERE expires_us <= ?",
                               STRAKE_VALUES(STRAKE_INT(now)), NULL, NULL, err);
}

static int claim_due(struct strake_record *record, int64_t now, size_t max,
                     struct claiming *claiming, struct strake_err *err)
{
    int rc = drop_expired(record, now, err);

    if (rc == 0)
        rc = strake_sql(
            record,
            "SELECT id, run, notifier, type, options, message, tries, not_before_us,"
            " expires_us FROM outbox WHERE not_before_us <= ?1 AND claimed_us <= ?2"
            " ORDER BY id LIMIT ?3",
            STRAKE_VALUES(STRAKE_INT(now), STRAKE_INT(now - CLAIM_US), STRAKE_INT((int64_t)max)),
            add_message, claiming, err);
    for (size_t i = 0; rc == 0 && i < claiming->count; i++)
        rc = strake_sql(record, "UPDATE outbox SET claimed_us=?, tries=tries+1 WHERE id=?",
                        STRAKE_VALUES(STRAKE_INT(now), STRAKE_INT(claiming->messages[i].id)), NULL,
                        NULL, err);
    return rc;
}

static int count_row(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    *(int64_t *)ctx = record->sql->column_int64(stmt, 0);
    return 0;
}

bool strake_outbox_waiting(struct strake_record *record)
{
    struct strake_err ignored = { 0 };
    int64_t count = 0;

    pthread_mutex_lock(&record->lock);
    strake_sql(record, "SELECT count(*) FROM outbox", STRAKE_NONE, count_row, &count, &ignored);
    pthread_mutex_unlock(&record->lock);
    strake_err_dispose(&ignored);
    return count > 0;
}

int strake_outbox_claim(struct strake_record *record, struct strake_outgoing **messages,
                        size_t *count, size_t max, struct strake_err *err)
{
    struct claiming claiming = { 0 };
    int rc;

    *messages = NULL;
    *count = 0;
    pthread_mutex_lock(&record->lock);
    rc = strake_sql_begin(record, false, err);
    if (rc == 0) {
        rc = claim_due(record, strake_time_now_us(), max, &claiming, err);
        rc = strake_sql_end(record, rc, err);
    }
    pthread_mutex_unlock(&record->lock);
    if (rc < 0) {
        strake_outgoing_free(claiming.messages, claiming.count);
        return rc;
    }
    *messages = claiming.messages;
    *count = claiming.count;
    return 0;
}

int strake_outbox_result(struct strake_record *record, int64_t id, bool sent, bool final,
                         int64_t not_before_us, struct strake_err *err)
{
    int rc;

    pthread_mutex_lock(&record->lock);
    if (sent || final)
        rc = strake_sql(record, "DELETE FROM outbox WHERE id=?", STRAKE_VALUES(STRAKE_INT(id)),
                        NULL, NULL, err);
    else
        rc = strake_sql(record, "UPDATE outbox SET claimed_us=0, not_before_us=? WHERE id=?",
                        STRAKE_VALUES(STRAKE_INT(not_before_us), STRAKE_INT(id)), NULL, NULL, err);
    pthread_mutex_unlock(&record->lock);
    return rc;
}

void strake_outgoing_free(struct strake_outgoing *messages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        strake_free(messages[i].run);
        strake_free(messages[i].notifier);
        strake_free(messages[i].type);
        json_decref(messages[i].options);
        json_decref(messages[i].message);
    }
    strake_free(messages);
}
