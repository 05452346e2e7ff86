/* Opening the history; runs that begin, end, or were interrupted. */
#include "record/record.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "record/record_impl.h"
#include "util/fs.h"
#include "util/json.h"
#include "util/secret.h"
#include "util/time.h"

#define BUSY_MS 5000

/* Pages in the write-ahead log. Each command that opens the history reads all of it (1,000 pages,
 * SQLite's own threshold, are 3 ms), so that it is kept short; taking it over costs two syncs, which
 * a build does while its builder works. */
#define LOG_PAGES_TIDY 128
#define LOG_PAGES_MAX 512

static void record_free(struct strake_record *record)
{
    if (!record)
        return;
    strake_batch_drop(record);
    strake_run_release(record);
    if (record->db)
        record->sql->close_v2(record->db);
    pthread_mutex_destroy(&record->lock);
    strake_free(record->dir);
    strake_free(record->path);
    strake_free(record);
}

static struct strake_record *record_new(const char *dir, bool write)
{
    struct strake_record *record = strake_calloc(1, sizeof(*record));

    if (!record)
        return NULL;
    pthread_mutex_init(&record->lock, NULL);
    record->run_lock = -1;
    record->last = &record->first;
    record->writable = write;
    record->dir = dir ? strake_strdup(dir) : strake_fs_state_dir();
    if (record->dir)
        record->path = strake_fs_join(record->dir, "history.db");
    if (!record->path) {
        record_free(record);
        return NULL;
    }
    return record;
}

static int cannot_write(const struct strake_record *record, struct strake_err *err)
{
    strake_err_prefix(err, "the history %s cannot be written: ", record->path);
    strake_err_hint(err, "let this user write there, or set XDG_STATE_HOME to a folder that it "
                         "can write to");
    return strake_err_recode(err, STRAKE_EINTERNAL);
}

/* SQLite makes its files with the rights of the database: 0600 before the first byte is in. */
static int make_file(const struct strake_record *record, struct strake_err *err)
{
    int fd = open(record->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);

    if (fd < 0) {
        strake_fail_errno(err, STRAKE_EINTERNAL, "its file cannot be opened");
        return cannot_write(record, err);
    }
    close(fd);
    return 0;
}

static void take_over(struct strake_record *record)
{
    /* What others still read stays in the log for the next one. */
    record->sql->wal_checkpoint_v2(record->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    record->log_pages = 0;
}

/* After each commit, with the lock held. */
static int on_commit(void *ctx, sqlite3 *db, const char *name, int pages)
{
    struct strake_record *record = ctx;

    (void)db, (void)name;
    record->log_pages = pages;
    if (pages >= LOG_PAGES_MAX)
        take_over(record);
    return SQLITE_OK;
}

void strake_record_tidy(struct strake_record *record)
{
    pthread_mutex_lock(&record->lock);
    if (record->log_pages >= LOG_PAGES_TIDY)
        take_over(record);
    pthread_mutex_unlock(&record->lock);
}

static int connect_db(struct strake_record *record, struct strake_err *err)
{
    int flags = record->writable ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
    int rc;

    if (record->sql->open_v2(record->path, &record->db, flags | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK)
        return strake_sql_failed(record, "no history", err);
    record->sql->busy_timeout(record->db, BUSY_MS);
    /* Taking the log over costs syncs that every short command would wait for: it happens when the
     * log has grown, not each time that somebody leaves. */
    record->sql->db_config(record->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    record->sql->wal_hook(record->db, on_commit, record);
    record->synced = true;
    rc = strake_schema_migrate(record, err);
    if (rc == 0 && record->writable)
        rc = strake_sql(record, "PRAGMA journal_mode=WAL", STRAKE_NONE, NULL, NULL, err);
    return rc;
}

int strake_record_open(const char *dir, bool write, struct strake_record **out,
                       struct strake_err *err)
{
    struct strake_record *record = record_new(dir, write);
    int rc = 0;

    if (!record) {
        strake_fail(err, STRAKE_EINTERNAL,
                    "there is no folder for the history: neither HOME nor "
                    "XDG_STATE_HOME is set");
        return STRAKE_EINTERNAL;
    }
    if (!write && !strake_fs_is_file(record->path))
        rc = strake_fail(err, STRAKE_ENOTFOUND, "there is no history yet in %s", record->dir);
    if (rc == 0 && !(record->sql = strake_sqlite_load(err)))
        rc = err->code;
    if (rc == 0 && write) {
        rc = strake_fs_mkdirs(record->dir, 0700, err);
        if (rc < 0 && rc != STRAKE_ENOMEM)
            rc = cannot_write(record, err);
    }
    if (rc == 0 && write)
        rc = make_file(record, err);
    if (rc == 0)
        rc = connect_db(record, err);
    if (rc < 0) {
        if (rc == STRAKE_EIO)
            rc = strake_err_recode(err, STRAKE_EINTERNAL);
        record_free(record);
        return rc;
    }
    *out = record;
    return 0;
}

int strake_record_close(struct strake_record *record, struct strake_err *err)
{
    int rc;

    if (!record)
        return 0;
    pthread_mutex_lock(&record->lock);
    rc = record->writable ? strake_batch_flush(record, err) : 0;
    pthread_mutex_unlock(&record->lock);
    record_free(record);
    return rc;
}

void strake_run_id(char *out)
{
    int64_t now = strake_time_now_us();
    time_t seconds = (time_t)(now / 1000000);
    unsigned char noise[3];
    struct tm tm;

    if (getrandom(noise, sizeof(noise), 0) != (ssize_t)sizeof(noise)) {
        noise[0] = (unsigned char)now;
        noise[1] = (unsigned char)(now >> 8);
        noise[2] = (unsigned char)getpid();
    }
    gmtime_r(&seconds, &tm);
    snprintf(out, 40, "%04d%02d%02dT%02d%02d%02d-%02x%02x%02x", (tm.tm_year + 1900) % 10000,
             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, noise[0], noise[1],
             noise[2]);
}

/* ---- runs ---- */

static int collect_id(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    return strake_strings_add(ctx, strake_sql_text(record, stmt, 0));
}

static int mark_interrupted(struct strake_record *record, struct strake_strings *interrupted,
                            struct strake_err *err)
{
    struct strake_strings running = { 0 };
    int rc = strake_sql(record, "SELECT id FROM runs WHERE status='running'", STRAKE_NONE,
                        collect_id, &running, err);

    for (size_t i = 0; rc == 0 && i < running.count; i++) {
        if (strake_run_is_held(record, running.items[i]))
            continue;
        rc = strake_sql(record,
                        "UPDATE runs SET status='interrupted' WHERE id=? AND status='running'",
                        STRAKE_VALUES(STRAKE_TEXT(running.items[i])), NULL, NULL, err);
        if (rc == 0 && strake_strings_add(interrupted, running.items[i]) < 0)
            rc = strake_fail_nomem(err);
    }
    strake_strings_dispose(&running);
    return rc;
}

/* The arguments as JSON text, redacted; the caller frees. */
static char *argv_text(const char *const *argv)
{
    json_t *list = strake_json_strings(argv);
    struct strake_buf text = { 0 };
    char *result = NULL;

    if (list && strake_json_dump(list, &text) == 0 && strake_secret_redact(&text) == 0)
        result = strake_buf_take(&text);
    strake_buf_dispose(&text);
    json_decref(list);
    return result;
}

static int insert_run(struct strake_record *record, const char *run, const char *command,
                      const char *argv, const char *dir, struct strake_strings *interrupted,
                      struct strake_err *err)
{
    int rc = strake_sql_begin(record, false, err);

    if (rc < 0)
        return rc;
    rc = mark_interrupted(record, interrupted, err);
    if (rc == 0)
        rc = strake_sql(record,
                        "INSERT INTO runs (id, command, argv, dir, started_us, status)"
                        " VALUES (?,?,?,?,?,'running')",
                        STRAKE_VALUES(STRAKE_TEXT(run), STRAKE_TEXT(command), STRAKE_TEXT(argv),
                                      STRAKE_TEXT(dir), STRAKE_INT(strake_time_now_us())),
                        NULL, NULL, err);
    return strake_sql_end(record, rc, err);
}

int strake_record_run_begin(struct strake_record *record, const char *run, const char *command,
                            const char *const *argv, const char *project_dir,
                            struct strake_strings *interrupted, struct strake_err *err)
{
    char *text = argv_text(argv);
    int rc;

    if (!text)
        return strake_fail_nomem(err);
    pthread_mutex_lock(&record->lock);
    rc = strake_run_hold(record, run, err);
    if (rc == 0)
        rc = insert_run(record, run, command, text, project_dir, interrupted, err);
    if (rc == 0)
        strake_run_sweep(record);
    pthread_mutex_unlock(&record->lock);
    strake_free(text);
    return rc;
}

int strake_record_run_end(struct strake_record *record, const char *run, const char *status,
                          int exit_code, const json_t *error, struct strake_err *err)
{
    struct strake_buf text = { 0 };
    int rc;

    if (error && strake_json_dump(error, &text) < 0)
        return strake_fail_nomem(err);
    pthread_mutex_lock(&record->lock);
    rc = strake_batch_flush(record, err);
    if (rc == 0)
        rc = strake_sql(record, "UPDATE runs SET status=?, exit=?, ended_us=?, error=? WHERE id=?",
                        STRAKE_VALUES(STRAKE_TEXT(status), STRAKE_INT(exit_code),
                                      STRAKE_INT(strake_time_now_us()),
                                      STRAKE_TEXT(text.len ? strake_buf_text(&text) : NULL),
                                      STRAKE_TEXT(run)),
                        NULL, NULL, err);
    strake_run_release(record);
    pthread_mutex_unlock(&record->lock);
    strake_buf_dispose(&text);
    return rc;
}
