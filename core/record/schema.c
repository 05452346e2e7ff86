/* The tables, and how an older database becomes this one. A newer one is left alone. */
#include <stdio.h>

#include "record/record_impl.h"

/* Each entry takes the database from version i to i + 1; entries are only ever appended. */
static const char *const migrations[] = {
    "CREATE TABLE runs (id TEXT PRIMARY KEY, command TEXT NOT NULL, argv TEXT NOT NULL,"
    " dir TEXT NOT NULL, started_us INTEGER NOT NULL, ended_us INTEGER, status TEXT NOT NULL,"
    " exit INTEGER, error TEXT) WITHOUT ROWID;"
    "CREATE TABLE steps (run TEXT NOT NULL, target TEXT NOT NULL, step TEXT NOT NULL,"
    " position INTEGER NOT NULL, name TEXT NOT NULL, started TEXT, completed TEXT, cached INTEGER,"
    " error TEXT, PRIMARY KEY (run, target, step)) WITHOUT ROWID;"
    "CREATE TABLE logs (id INTEGER PRIMARY KEY, run TEXT NOT NULL, target TEXT NOT NULL,"
    " step TEXT NOT NULL, text TEXT NOT NULL);"
    "CREATE INDEX logs_run ON logs (run);"
    "CREATE TABLE events (id INTEGER PRIMARY KEY, run TEXT NOT NULL, time_us INTEGER NOT NULL,"
    " type TEXT NOT NULL, target TEXT NOT NULL, data TEXT NOT NULL);"
    "CREATE INDEX events_run ON events (run, type);"
    "CREATE TABLE units (id INTEGER PRIMARY KEY, run TEXT NOT NULL, kind TEXT NOT NULL,"
    " begun_us INTEGER NOT NULL, ended_us INTEGER, outcome TEXT);"
    "CREATE INDEX units_open ON units (id) WHERE outcome IS NULL;"
    "CREATE TABLE moves (unit INTEGER NOT NULL, position INTEGER NOT NULL, ref TEXT NOT NULL,"
    " from_digest TEXT NOT NULL, to_digest TEXT NOT NULL, from_type TEXT NOT NULL,"
    " to_type TEXT NOT NULL, done INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (unit, position))"
    " WITHOUT ROWID;"
    "CREATE TABLE outbox (id INTEGER PRIMARY KEY, run TEXT NOT NULL, notifier TEXT NOT NULL,"
    " type TEXT NOT NULL, options TEXT NOT NULL, message TEXT NOT NULL,"
    " tries INTEGER NOT NULL DEFAULT 0, not_before_us INTEGER NOT NULL, expires_us INTEGER NOT "
    "NULL,"
    " claimed_us INTEGER NOT NULL DEFAULT 0);",
    /* What builds were made of; `dockerfile` and `files` are digests of texts. */
    "CREATE TABLE materials (run TEXT NOT NULL, target TEXT NOT NULL, data TEXT NOT NULL,"
    " dockerfile TEXT, files TEXT, PRIMARY KEY (run, target)) WITHOUT ROWID;"
    "CREATE TABLE texts (digest TEXT PRIMARY KEY, text TEXT NOT NULL);",
    /* What made which image, for `--changed`; and the last image of a repository is found without
     * reading all events. */
    "CREATE TABLE images (id INTEGER PRIMARY KEY, run TEXT NOT NULL, target TEXT NOT NULL,"
    " repository TEXT NOT NULL, digest TEXT NOT NULL, media_type TEXT NOT NULL,"
    " platforms TEXT NOT NULL, inputs TEXT NOT NULL, parts TEXT NOT NULL);"
    "CREATE INDEX images_digest ON images (digest);"
    "CREATE INDEX events_images ON events (type, id) WHERE type IN ('image.staged',"
    " 'image.published');",
};

#define SCHEMA_VERSION ((int64_t)(sizeof(migrations) / sizeof(migrations[0])))

static int read_number(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    *(int64_t *)ctx = record->sql->column_int64(stmt, 0);
    return 0;
}

static int version_of(struct strake_record *record, int64_t *version, struct strake_err *err)
{
    return strake_sql(record, "PRAGMA user_version", STRAKE_NONE, read_number, version, err);
}

static int migrate_step(struct strake_record *record, int64_t version, struct strake_err *err)
{
    char number[64];

    if (record->sql->exec(record->db, migrations[version], NULL, NULL, NULL) != SQLITE_OK)
        return strake_sql_failed(record, "the tables cannot be made", err);
    snprintf(number, sizeof(number), "PRAGMA user_version=%lld", (long long)version + 1);
    return strake_sql(record, number, STRAKE_NONE, NULL, NULL, err);
}

int strake_schema_migrate(struct strake_record *record, struct strake_err *err)
{
    int64_t version = 0;
    int rc = version_of(record, &version, err);

    if (rc < 0)
        return rc;
    if (version > SCHEMA_VERSION) {
        strake_fail(err, STRAKE_EINTERNAL,
                    "the history %s was written by a newer strake (version %lld, "
                    "this one knows %lld)",
                    record->path, (long long)version, (long long)SCHEMA_VERSION);
        strake_err_hint(err, "use the newer strake, or another XDG_STATE_HOME");
        return STRAKE_EINTERNAL;
    }
    if (version == SCHEMA_VERSION || !record->writable)
        return 0;
    rc = strake_sql_begin(record, true, err);
    if (rc < 0)
        return rc;
    rc = version_of(record, &version, err); /* another process may have been first */
    for (; rc == 0 && version < SCHEMA_VERSION; version++)
        rc = migrate_step(record, version, err);
    return strake_sql_end(record, rc, err);
}
