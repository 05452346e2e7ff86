/* The inside of the history, for the files of this room. */
#ifndef STRAKE_RECORD_RECORD_IMPL_H
#define STRAKE_RECORD_RECORD_IMPL_H

#include <pthread.h>

#include "record/record.h"
#include "record/sqlite.h"

struct strake_record {
    const struct strake_sqlite *sql;
    sqlite3 *db;
    char *dir;
    char *path;
    pthread_mutex_t lock; /**< one connection, one statement at a time */
    bool writable;
    bool synced;   /**< PRAGMA synchronous is FULL; a new connection's default */
    int log_pages; /**< in the write-ahead log after the last commit */
    int run_lock;  /**< descriptor of the own run's lock file, or -1 */
    char *run_lock_path;

    /* Events that wait to be written in one transaction (batch.c). */
    struct strake_batch *first;
    struct strake_batch **last;
    size_t batch_bytes;
    int64_t batch_since_ms;
    int64_t log_bytes; /**< of the run so far */
    bool log_cut;
};

/** What a value of a statement is; lists of them end with STRAKE_SQL_END. */
enum strake_sql_kind { STRAKE_SQL_END, STRAKE_SQL_TEXT, STRAKE_SQL_INT };
struct strake_sql_value {
    enum strake_sql_kind kind;
    const char *text; /**< NULL: SQL NULL */
    int64_t number;
};
#define STRAKE_TEXT(value) ((struct strake_sql_value){ STRAKE_SQL_TEXT, (value), 0 })
#define STRAKE_INT(value) ((struct strake_sql_value){ STRAKE_SQL_INT, NULL, (value) })
#define STRAKE_END ((struct strake_sql_value){ STRAKE_SQL_END, NULL, 0 })
/** A list of values for the functions below. */
#define STRAKE_VALUES(...) ((const struct strake_sql_value[]){ __VA_ARGS__, STRAKE_END })
#define STRAKE_NONE ((const struct strake_sql_value[]){ STRAKE_END })

/* All of these want the lock held. */

/** Run one statement; each row goes to `row` (may be NULL), which may stop with a negative code. */
int strake_sql(struct strake_record *record, const char *sql, const struct strake_sql_value *values,
               int (*row)(struct strake_record *record, sqlite3_stmt *stmt, void *ctx), void *ctx,
               struct strake_err *err);
/** Describe SQLite's last failure: no room, read-only, damaged, busy … @return STRAKE_EINTERNAL */
int strake_sql_failed(struct strake_record *record, const char *what, struct strake_err *err);
/** BEGIN IMMEDIATE; with `synced` the commit is on disk when strake_sql_end() returns. */
int strake_sql_begin(struct strake_record *record, bool synced, struct strake_err *err);
/** Commit when `rc`, the result of what was done meanwhile, is 0; roll back otherwise. @return rc,
 *  or the failure of the commit */
int strake_sql_end(struct strake_record *record, int rc, struct strake_err *err);
/** Text of a column as JSON, a new reference; null for SQL NULL or what does not parse. */
json_t *strake_sql_json(struct strake_record *record, sqlite3_stmt *stmt, int column);
/** Text of a column, never NULL. */
const char *strake_sql_text(struct strake_record *record, sqlite3_stmt *stmt, int column);

/** schema.c: make or migrate the tables. */
int strake_schema_migrate(struct strake_record *record, struct strake_err *err);
/** history.c: the id of a run by its id, a unique prefix of it, or "last"; the caller's.
 *  @return 0, STRAKE_EUSAGE naming near ids */
int strake_record_find_run(struct strake_record *record, const char *run, char **id,
                           struct strake_err *err);
/** batch.c: write what waits. */
int strake_batch_flush(struct strake_record *record, struct strake_err *err);
void strake_batch_drop(struct strake_record *record);
/** lock.c: is a process alive that runs this run? */
bool strake_run_is_held(const struct strake_record *record, const char *run);
int strake_run_hold(struct strake_record *record, const char *run, struct strake_err *err);
void strake_run_release(struct strake_record *record);
/** Take away the marks that killed runs left, but those of runs with a publish to be settled. */
void strake_run_sweep(struct strake_record *record);

#endif
