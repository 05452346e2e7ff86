/* The publish journal, in the history's database and synced where it must be. */
#include "record/journal.h"

#include <string.h>

#include "record/record_impl.h"
#include "util/time.h"

static int insert_move(struct strake_record *record, int64_t unit, size_t position,
                       const struct strake_move *move, struct strake_err *err)
{
    return strake_sql(record,
                      "INSERT INTO moves (unit, position, ref, from_digest, to_digest, from_type,"
                      " to_type) VALUES (?,?,?,?,?,?,?)",
                      STRAKE_VALUES(STRAKE_INT(unit), STRAKE_INT((int64_t)position),
                                    STRAKE_TEXT(move->ref), STRAKE_TEXT(move->from),
                                    STRAKE_TEXT(move->to),
                                    STRAKE_TEXT(move->from_media_type ? move->from_media_type : ""),
                                    STRAKE_TEXT(move->media_type)),
                      NULL, NULL, err);
}

static int insert_unit(struct strake_record *record, const char *run, const char *kind,
                       const struct strake_move *moves, size_t count, int64_t *id,
                       struct strake_err *err)
{
    int rc = strake_sql(
        record, "INSERT INTO units (run, kind, begun_us) VALUES (?,?,?)",
        STRAKE_VALUES(STRAKE_TEXT(run), STRAKE_TEXT(kind), STRAKE_INT(strake_time_now_us())), NULL,
        NULL, err);

    *id = record->sql->last_insert_rowid(record->db);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = insert_move(record, *id, i, &moves[i], err);
    return rc;
}

int strake_journal_begin(struct strake_record *record, const char *run, const char *kind,
                         const struct strake_move *moves, size_t count, int64_t *id,
                         struct strake_err *err)
{
    int rc;

    pthread_mutex_lock(&record->lock);
    rc = strake_batch_flush(record, err);
    if (rc == 0)
        rc = strake_sql_begin(record, true, err);
    if (rc == 0) {
        rc = insert_unit(record, run, kind, moves, count, id, err);
        rc = strake_sql_end(record, rc, err);
    }
    pthread_mutex_unlock(&record->lock);
    return rc;
}

int strake_journal_mark(struct strake_record *record, int64_t id, size_t position, bool done,
                        struct strake_err *err)
{
    int rc;

    pthread_mutex_lock(&record->lock);
    rc = strake_sql(record, "UPDATE moves SET done=? WHERE unit=? AND position=?",
                    STRAKE_VALUES(STRAKE_INT(done), STRAKE_INT(id), STRAKE_INT((int64_t)position)),
                    NULL, NULL, err);
    pthread_mutex_unlock(&record->lock);
    return rc;
}

int strake_journal_end(struct strake_record *record, int64_t id, const char *outcome,
                       struct strake_err *err)
{
    /* A unit that is done needs no sync: should the end of it be lost with the machine's power, the
     * next command finds all its tags where they belong, and settles it as done. */
    const bool synced = strcmp(outcome, "done") != 0;
    int rc;

    pthread_mutex_lock(&record->lock);
    rc = strake_sql_begin(record, synced, err);
    if (rc == 0) {
        rc = strake_sql(
            record, "UPDATE units SET outcome=?, ended_us=? WHERE id=?",
            STRAKE_VALUES(STRAKE_TEXT(outcome), STRAKE_INT(strake_time_now_us()), STRAKE_INT(id)),
            NULL, NULL, err);
        rc = strake_sql_end(record, rc, err);
    }
    pthread_mutex_unlock(&record->lock);
    return rc;
}

/* ---- what a killed run left ---- */

struct pending {
    struct strake_unit *units;
    size_t count;
};

static int add_unit(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    struct pending *pending = ctx;
    const char *run = strake_sql_text(record, stmt, 1);
    struct strake_unit *units, *unit;

    if (strake_run_is_held(record, run))
        return 0;
    units = strake_reallocarray(pending->units, pending->count + 1, sizeof(*units));
    if (!units)
        return STRAKE_ENOMEM;
    pending->units = units;
    unit = &units[pending->count++];
    *unit = (struct strake_unit){ .id = record->sql->column_int64(stmt, 0),
                                  .run = strake_strdup(run),
                                  .kind = strake_strdup(strake_sql_text(record, stmt, 2)) };
    return unit->run && unit->kind ? 0 : STRAKE_ENOMEM;
}

static int add_move(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    struct strake_unit *unit = ctx;
    struct strake_move *moves = strake_reallocarray(unit->moves, unit->count + 1, sizeof(*moves));
    struct strake_move *move;

    if (!moves)
        return STRAKE_ENOMEM;
    unit->moves = moves;
    move = &moves[unit->count++];
    *move =
        (struct strake_move){ .ref = strake_strdup(strake_sql_text(record, stmt, 0)),
                              .from = strake_strdup(strake_sql_text(record, stmt, 1)),
                              .to = strake_strdup(strake_sql_text(record, stmt, 2)),
                              .from_media_type = strake_strdup(strake_sql_text(record, stmt, 3)),
                              .media_type = strake_strdup(strake_sql_text(record, stmt, 4)),
                              .done = record->sql->column_int64(stmt, 5) != 0 };
    return move->ref && move->from && move->to && move->from_media_type && move->media_type
               ? 0
               : STRAKE_ENOMEM;
}

int strake_journal_pending(struct strake_record *record, struct strake_unit **units, size_t *count,
                           struct strake_err *err)
{
    struct pending pending = { 0 };
    int rc;

    pthread_mutex_lock(&record->lock);
    rc = strake_sql(record, "SELECT id, run, kind FROM units WHERE outcome IS NULL ORDER BY id",
                    STRAKE_NONE, add_unit, &pending, err);
    for (size_t i = 0; rc == 0 && i < pending.count; i++)
        rc = strake_sql(record,
                        "SELECT ref, from_digest, to_digest, from_type, to_type, done FROM moves"
                        " WHERE unit=? ORDER BY position",
                        STRAKE_VALUES(STRAKE_INT(pending.units[i].id)), add_move, &pending.units[i],
                        err);
    pthread_mutex_unlock(&record->lock);
    if (rc < 0) {
        strake_units_free(pending.units, pending.count);
        return rc;
    }
    *units = pending.units;
    *count = pending.count;
    return 0;
}

bool strake_journal_waits(struct strake_record *record)
{
    struct strake_err ignored = { 0 };
    struct strake_unit *units = NULL;
    size_t count = 0;
    int rc = strake_journal_pending(record, &units, &count, &ignored);

    strake_units_free(units, count);
    strake_err_dispose(&ignored);
    return rc == 0 && count > 0;
}

void strake_units_free(struct strake_unit *units, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < units[i].count; k++) {
            strake_free(units[i].moves[k].ref);
            strake_free(units[i].moves[k].from);
            strake_free(units[i].moves[k].to);
            strake_free(units[i].moves[k].media_type);
            strake_free(units[i].moves[k].from_media_type);
        }
        strake_free(units[i].moves);
        strake_free(units[i].run);
        strake_free(units[i].kind);
    }
    strake_free(units);
}
