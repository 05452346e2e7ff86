/* SQLite, loaded when the history is first opened, and the few calls that this room makes of it. */
#ifndef STRAKE_RECORD_SQLITE_H
#define STRAKE_RECORD_SQLITE_H

#include <sqlite3.h>

#include "util/err.h"

/** The functions of libsqlite3 that are used; filled by strake_sqlite_load(). */
struct strake_sqlite {
    int (*open_v2)(const char *, sqlite3 **, int, const char *);
    int (*close_v2)(sqlite3 *);
    int (*exec)(sqlite3 *, const char *, int (*)(void *, int, char **, char **), void *, char **);
    int (*prepare_v2)(sqlite3 *, const char *, int, sqlite3_stmt **, const char **);
    int (*step)(sqlite3_stmt *);
    int (*finalize)(sqlite3_stmt *);
    int (*bind_text)(sqlite3_stmt *, int, const char *, int, void (*)(void *));
    int (*bind_int64)(sqlite3_stmt *, int, sqlite3_int64);
    const unsigned char *(*column_text)(sqlite3_stmt *, int);
    int (*column_bytes)(sqlite3_stmt *, int);
    sqlite3_int64 (*column_int64)(sqlite3_stmt *, int);
    const char *(*errmsg)(sqlite3 *);
    int (*extended_errcode)(sqlite3 *);
    int (*busy_timeout)(sqlite3 *, int);
    sqlite3_int64 (*last_insert_rowid)(sqlite3 *);
    int (*changes)(sqlite3 *);
    int (*db_config)(sqlite3 *, int, ...);
    void *(*wal_hook)(sqlite3 *, int (*)(void *, sqlite3 *, const char *, int), void *);
    int (*wal_checkpoint_v2)(sqlite3 *, const char *, int, int *, int *);
};

/** NULL with `err` when the library is not there. Any thread. */
const struct strake_sqlite *strake_sqlite_load(struct strake_err *err);

#endif
