/* Loading SQLite. */
#include "record/sqlite.h"

#include <pthread.h>

#include "util/lazy.h"

static struct strake_sqlite table;
static struct strake_err load_failure;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
    const struct strake_lazy_symbol symbols[] = {
        { "sqlite3_open_v2", &table.open_v2 },
        { "sqlite3_close_v2", &table.close_v2 },
        { "sqlite3_exec", &table.exec },
        { "sqlite3_prepare_v2", &table.prepare_v2 },
        { "sqlite3_step", &table.step },
        { "sqlite3_finalize", &table.finalize },
        { "sqlite3_bind_text", &table.bind_text },
        { "sqlite3_bind_int64", &table.bind_int64 },
        { "sqlite3_column_text", &table.column_text },
        { "sqlite3_column_bytes", &table.column_bytes },
        { "sqlite3_column_int64", &table.column_int64 },
        { "sqlite3_errmsg", &table.errmsg },
        { "sqlite3_extended_errcode", &table.extended_errcode },
        { "sqlite3_busy_timeout", &table.busy_timeout },
        { "sqlite3_last_insert_rowid", &table.last_insert_rowid },
        { "sqlite3_changes", &table.changes },
        { "sqlite3_db_config", &table.db_config },
        { "sqlite3_wal_hook", &table.wal_hook },
        { "sqlite3_wal_checkpoint_v2", &table.wal_checkpoint_v2 },
    };

    strake_lazy_open("libsqlite3.so.0", "libsqlite3-0", symbols,
                     sizeof(symbols) / sizeof(symbols[0]), &load_failure);
}

const struct strake_sqlite *strake_sqlite_load(struct strake_err *err)
{
    pthread_once(&once, load);
    if (load_failure.code) {
        strake_err_copy(err, &load_failure);
        return NULL;
    }
    return &table;
}
