/* Statements: bound, stepped, finalised in one place, and failures told in words that help. */
#include <string.h>

#include "record/record_impl.h"
#include "util/json.h"

static int bind_all(struct strake_record *record, sqlite3_stmt *stmt,
                    const struct strake_sql_value *values)
{
    int rc = SQLITE_OK;

    for (int i = 1; rc == SQLITE_OK && values->kind != STRAKE_SQL_END; i++, values++) {
        if (values->kind == STRAKE_SQL_INT)
            rc = record->sql->bind_int64(stmt, i, values->number);
        else if (values->text)
            rc = record->sql->bind_text(stmt, i, values->text, -1, SQLITE_TRANSIENT);
    }
    return rc;
}

static const char *hint_for(int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
        return "the disk is full: make room, or run with another XDG_STATE_HOME";
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return "let this user write there, or set XDG_STATE_HOME to a folder that it can write to";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return "move the file away; a new history is begun without it";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return "another strake has been writing for 5 s: wait for it, or end it";
    case SQLITE_IOERR:
        return "look at the disk that it is on, and at the limits of this process";
    default:
        return NULL;
    }
}

int strake_sql_failed(struct strake_record *record, const char *what, struct strake_err *err)
{
    int code = record->db ? record->sql->extended_errcode(record->db) : SQLITE_CANTOPEN;
    const char *hint = hint_for(code);

    if ((code & 0xff) == SQLITE_NOMEM)
        return strake_fail_nomem(err);
    strake_fail(err, STRAKE_EINTERNAL, "%s: the history %s: %s", what, record->path,
                record->db ? record->sql->errmsg(record->db) : "it cannot be opened");
    if (hint)
        strake_err_hint(err, "%s", hint);
    return STRAKE_EINTERNAL;
}

int strake_sql(struct strake_record *record, const char *sql, const struct strake_sql_value *values,
               int (*row)(struct strake_record *record, sqlite3_stmt *stmt, void *ctx), void *ctx,
               struct strake_err *err)
{
    sqlite3_stmt *stmt = NULL;
    int step, rc = 0;

    if (record->sql->prepare_v2(record->db, sql, -1, &stmt, NULL) != SQLITE_OK ||
        bind_all(record, stmt, values) != SQLITE_OK) {
        rc = strake_sql_failed(record, "a record cannot be written or read", err);
        record->sql->finalize(stmt);
        return rc;
    }
    while (rc == 0 && (step = record->sql->step(stmt)) != SQLITE_DONE) {
        if (step != SQLITE_ROW)
            rc = strake_sql_failed(record, "a record cannot be written or read", err);
        else if (row)
            rc = row(record, stmt, ctx);
    }
    record->sql->finalize(stmt);
    return rc < 0 && !err->code ? strake_fail_nomem(err) : rc;
}

/* FULL syncs the log at each commit, NORMAL only at checkpoints (SQLite, PRAGMA synchronous). The
 * connection stays at NORMAL between transactions that asked for more. */
static int set_synced(struct strake_record *record, bool synced, struct strake_err *err)
{
    int rc;

    if (record->synced == synced)
        return 0;
    rc = strake_sql(record, synced ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL",
                    STRAKE_NONE, NULL, NULL, err);
    if (rc == 0)
        record->synced = synced;
    return rc;
}

int strake_sql_begin(struct strake_record *record, bool synced, struct strake_err *err)
{
    int rc = set_synced(record, synced, err);

    return rc < 0 ? rc : strake_sql(record, "BEGIN IMMEDIATE", STRAKE_NONE, NULL, NULL, err);
}

int strake_sql_end(struct strake_record *record, int rc, struct strake_err *err)
{
    if (rc == 0)
        rc = strake_sql(record, "COMMIT", STRAKE_NONE, NULL, NULL, err);
    if (rc == 0)
        return set_synced(record, false, err);
    record->sql->exec(record->db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

const char *strake_sql_text(struct strake_record *record, sqlite3_stmt *stmt, int column)
{
    const unsigned char *text = record->sql->column_text(stmt, column);

    return text ? (const char *)text : "";
}

json_t *strake_sql_json(struct strake_record *record, sqlite3_stmt *stmt, int column)
{
    const unsigned char *text = record->sql->column_text(stmt, column);
    struct strake_err ignored = { 0 };
    json_t *value = text ? strake_json_parse((const char *)text, strlen((const char *)text),
                                             "a record", STRAKE_EINTERNAL, &ignored)
                         : NULL;

    strake_err_dispose(&ignored);
    return value ? value : json_null();
}
