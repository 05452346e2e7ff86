/* Reading the history: the list of runs, one run whole, its logs. */
#include <stdlib.h>
#include <string.h>

#include "record/record_impl.h"
#include "util/json.h"
#include "util/time.h"

/* The lock is taken by the functions at the end; rows are made into JSON here. */

static int set_time(json_t *object, const char *key, int64_t us)
{
    char text[STRAKE_TIME_TEXT];

    if (us == 0)
        return 0;
    strake_time_format(us, text);
    return strake_json_set_str(object, key, text);
}

static int append_new(json_t *list, json_t *entry)
{
    return entry && json_array_append_new(list, entry) == 0 ? 0 : STRAKE_ENOMEM;
}

/* Columns: id, command, started_us, ended_us, status, exit, dir, argv, error */
#define RUN_COLUMNS                                                                                \
    "id, command, started_us, coalesce(ended_us, 0), status, coalesce(exit, -1),"                  \
    " dir, argv, error"

/* A killed run is called so at once, not only after the next one has marked it. */
static const char *status_of(struct strake_record *record, sqlite3_stmt *stmt)
{
    const char *status = strake_sql_text(record, stmt, 4);

    if (strcmp(status, "running") == 0 &&
        !strake_run_is_held(record, strake_sql_text(record, stmt, 0)))
        return "interrupted";
    return status;
}

static int add_run(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    int64_t started = record->sql->column_int64(stmt, 2);
    int64_t ended = record->sql->column_int64(stmt, 3);
    int64_t code = record->sql->column_int64(stmt, 5);
    json_t *error = strake_sql_json(record, stmt, 8);
    json_t *run = json_object();
    int rc = STRAKE_ENOMEM;

    if (run && strake_json_set_str(run, "run", strake_sql_text(record, stmt, 0)) == 0 &&
        strake_json_set_str(run, "command", strake_sql_text(record, stmt, 1)) == 0 &&
        strake_json_set(run, "argv", strake_sql_json(record, stmt, 7)) == 0 &&
        strake_json_set_str(run, "dir", strake_sql_text(record, stmt, 6)) == 0 &&
        set_time(run, "started", started) == 0 &&
        (!ended || strake_json_set_int(run, "duration_ms", (ended - started) / 1000) == 0) &&
        strake_json_set_str(run, "status", status_of(record, stmt)) == 0 &&
        (code < 0 || strake_json_set_int(run, "exit", code) == 0) &&
        (json_is_null(error) || json_object_set(run, "error", error) == 0) &&
        strake_json_set(run, "targets", json_array()) == 0)
        rc = append_new(ctx, json_incref(run));
    json_decref(error);
    json_decref(run);
    return rc;
}

/* Targets come from their last events; their refs from image.published. */
static int add_target(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    return append_new(ctx, strake_sql_json(record, stmt, 0));
}

static int add_refs(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    json_t *data = strake_sql_json(record, stmt, 0), *target;
    const char *digest = strake_json_str(data, "digest");
    json_t *refs = json_object_get(data, "refs");
    size_t i;
    int rc = 0;

    json_array_foreach((json_t *)ctx, i, target) {
        const char *its = strake_json_str(target, "digest");
        if (rc == 0 && refs && its && digest && strcmp(its, digest) == 0)
            rc = json_object_set(target, "refs", refs) < 0 ? STRAKE_ENOMEM : 0;
    }
    json_decref(data);
    return rc;
}

static int fill_targets(struct strake_record *record, json_t *run, struct strake_err *err)
{
    const char *id = strake_json_str(run, "run");
    json_t *targets = json_object_get(run, "targets");
    int rc = strake_sql(record,
                        "SELECT data FROM events WHERE run=? AND type IN ('target.done',"
                        " 'target.failed') ORDER BY id",
                        STRAKE_VALUES(STRAKE_TEXT(id)), add_target, targets, err);

    return rc < 0 ? rc
                  : strake_sql(record,
                               "SELECT data FROM events WHERE run=? AND"
                               " type='image.published' ORDER BY id",
                               STRAKE_VALUES(STRAKE_TEXT(id)), add_refs, targets, err);
}

static json_t *document(json_t *runs)
{
    json_t *doc = json_object();

    if (!doc || strake_json_set_str(doc, "schema", "strake.history/1") < 0 ||
        json_object_set(doc, "runs", runs) < 0) {
        json_decref(doc);
        return NULL;
    }
    return doc;
}

int strake_record_list(struct strake_record *record, int limit, json_t **out,
                       struct strake_err *err)
{
    json_t *runs = json_array(), *run;
    size_t i;
    int rc = runs ? 0 : strake_fail_nomem(err);

    pthread_mutex_lock(&record->lock);
    if (rc == 0)
        rc = strake_sql(record,
                        "SELECT " RUN_COLUMNS " FROM runs ORDER BY started_us DESC, id DESC"
                        " LIMIT ?",
                        STRAKE_VALUES(STRAKE_INT(limit)), add_run, runs, err);
    json_array_foreach(runs, i, run) {
        if (rc == 0)
            rc = fill_targets(record, run, err);
    }
    pthread_mutex_unlock(&record->lock);
    if (rc == 0 && !(*out = document(runs)))
        rc = strake_fail_nomem(err);
    json_decref(runs);
    return rc;
}

/* ---- one run ---- */

static int collect_id(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    return strake_strings_add(ctx, strake_sql_text(record, stmt, 0));
}

static int no_such_run(const char *run, const struct strake_strings *near, struct strake_err *err)
{
    strake_fail(err, STRAKE_EUSAGE,
                near->count > 1 ? "the run '%s' is not the only one that begins so"
                                : "there is no run '%s'",
                run);
    if (near->count > 1)
        strake_err_hint(err, "%s, %s …: write more of it", near->items[0], near->items[1]);
    else
        strake_err_hint(err, "`strake history` lists the runs; `last` is the newest");
    return STRAKE_EUSAGE;
}

/* The full id of "last", an id, or a unique beginning of one. */
int strake_record_find_run(struct strake_record *record, const char *run, char **id,
                           struct strake_err *err)
{
    struct strake_strings found = { 0 };
    int rc;

    if (strcmp(run, "last") == 0)
        rc = strake_sql(record, "SELECT id FROM runs ORDER BY started_us DESC, id DESC LIMIT 1",
                        STRAKE_NONE, collect_id, &found, err);
    else
        rc = strake_sql(record, "SELECT id FROM runs WHERE substr(id, 1, length(?1)) = ?1 LIMIT 3",
                        STRAKE_VALUES(STRAKE_TEXT(run)), collect_id, &found, err);
    if (rc == 0 && found.count != 1)
        rc = no_such_run(run, &found, err);
    if (rc == 0 && !(*id = strake_strdup(found.items[0])))
        rc = strake_fail_nomem(err);
    strake_strings_dispose(&found);
    return rc;
}

static int add_step(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    static const char *const keys[] = { "target",    "step", "name", "started",
                                        "completed", NULL,   "error" };
    json_t *step = json_object();
    int rc = step ? 0 : STRAKE_ENOMEM;

    for (int i = 0; rc == 0 && i < 7; i++) {
        const char *text = strake_sql_text(record, stmt, i);
        if (keys[i] && (*text || i < 3))
            rc = strake_json_set_str(step, keys[i], text);
    }
    if (rc == 0)
        rc = strake_json_set_bool(step, "cached", record->sql->column_int64(stmt, 5) != 0);
    if (rc == 0)
        rc = json_array_append(ctx, step) < 0 ? STRAKE_ENOMEM : 0;
    json_decref(step);
    return rc;
}

static int add_move(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    json_t *move = json_object();
    int rc = STRAKE_ENOMEM;

    if (move && strake_json_set_str(move, "ref", strake_sql_text(record, stmt, 0)) == 0 &&
        strake_json_set_str(move, "from", strake_sql_text(record, stmt, 1)) == 0 &&
        strake_json_set_str(move, "to", strake_sql_text(record, stmt, 2)) == 0 &&
        strake_json_set_str(move, "outcome", strake_sql_text(record, stmt, 3)) == 0)
        rc = json_array_append(ctx, move) < 0 ? STRAKE_ENOMEM : 0;
    json_decref(move);
    return rc;
}

/* What became of a unit of tags as a whole: done, rolled-back, partial, or pending. */
static int add_publish(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    json_t *unit = json_object();
    int rc = STRAKE_ENOMEM;

    if (unit && strake_json_set_str(unit, "kind", strake_sql_text(record, stmt, 0)) == 0 &&
        strake_json_set_str(unit, "outcome", strake_sql_text(record, stmt, 1)) == 0)
        rc = json_array_append(ctx, unit) < 0 ? STRAKE_ENOMEM : 0;
    json_decref(unit);
    return rc;
}

/* An event as it is kept, with its type where the list has several. */
static int add_event(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    json_t *data = strake_sql_json(record, stmt, 0);
    int rc = STRAKE_ENOMEM;

    if (json_is_object(data) &&
        strake_json_set_str(data, "type", strake_sql_text(record, stmt, 1)) == 0)
        rc = json_array_append(ctx, data) < 0 ? STRAKE_ENOMEM : 0;
    json_decref(data);
    return rc;
}

static const struct {
    const char *key;
    const char *sql;
    int (*row)(struct strake_record *record, sqlite3_stmt *stmt, void *ctx);
} parts[] = {
    { "steps",
      "SELECT target, step, name, started, completed, cached, error FROM steps WHERE run=?"
      " ORDER BY target, position",
      add_step },
    { "tag_moves",
      "SELECT ref, from_digest, to_digest, coalesce(outcome, 'pending') FROM moves JOIN"
      " units ON units.id = moves.unit WHERE run=? AND (done=1 OR outcome IS NULL)"
      " ORDER BY unit, position",
      add_move },
    { "publishes", "SELECT kind, coalesce(outcome, 'pending') FROM units WHERE run=? ORDER BY id",
      add_publish },
    { "decisions",
      "SELECT data, type FROM events WHERE run=? AND type='policy.decision' ORDER BY id",
      add_event },
    { "scans", "SELECT data, type FROM events WHERE run=? AND type='scan.done' ORDER BY id",
      add_event },
    { "messages",
      "SELECT data, type FROM events WHERE run=? AND type IN ('notify.sent',"
      " 'notify.failed') ORDER BY id",
      add_event },
    { "warnings", "SELECT data, type FROM events WHERE run=? AND type='log' ORDER BY id",
      add_event },
};

static int fill_parts(struct strake_record *record, json_t *run, struct strake_err *err)
{
    const char *id = strake_json_str(run, "run");
    int rc = fill_targets(record, run, err);

    for (size_t i = 0; rc == 0 && i < sizeof(parts) / sizeof(parts[0]); i++) {
        json_t *list = json_array();
        rc = strake_json_set(run, parts[i].key, list);
        if (rc == 0)
            rc = strake_sql(record, parts[i].sql, STRAKE_VALUES(STRAKE_TEXT(id)), parts[i].row,
                            list, err);
    }
    return rc;
}

int strake_record_show(struct strake_record *record, const char *run, json_t **out,
                       struct strake_err *err)
{
    json_t *runs = json_array();
    char *id = NULL;
    int rc = runs ? 0 : strake_fail_nomem(err);

    pthread_mutex_lock(&record->lock);
    if (rc == 0)
        rc = strake_record_find_run(record, run, &id, err);
    if (rc == 0)
        rc = strake_sql(record, "SELECT " RUN_COLUMNS " FROM runs WHERE id=?",
                        STRAKE_VALUES(STRAKE_TEXT(id)), add_run, runs, err);
    if (rc == 0)
        rc = fill_parts(record, json_array_get(runs, 0), err);
    pthread_mutex_unlock(&record->lock);
    if (rc == 0 && !(*out = document(runs)))
        rc = strake_fail_nomem(err);
    strake_free(id);
    json_decref(runs);
    return rc < 0 && !err->code ? strake_fail_nomem(err) : rc;
}

/* ---- logs ---- */

struct reading {
    int (*each)(void *ctx, const char *target, const char *step, const char *text, size_t len);
    void *ctx;
};

static int give_log(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    const struct reading *reading = ctx;
    const char *text = strake_sql_text(record, stmt, 2);

    return reading->each(reading->ctx, strake_sql_text(record, stmt, 0),
                         strake_sql_text(record, stmt, 1), text,
                         (size_t)record->sql->column_bytes(stmt, 2));
}

int strake_record_logs(struct strake_record *record, const char *run,
                       int (*each)(void *ctx, const char *target, const char *step,
                                   const char *text, size_t len),
                       void *ctx, struct strake_err *err)
{
    struct reading reading = { .each = each, .ctx = ctx };
    char *id = NULL;
    int rc;

    pthread_mutex_lock(&record->lock);
    rc = strake_record_find_run(record, run, &id, err);
    if (rc == 0)
        rc = strake_sql(
            record,
            "SELECT logs.target, coalesce(steps.name, logs.step), text FROM logs LEFT JOIN"
            " steps ON steps.run = logs.run AND steps.target = logs.target AND"
            " steps.step = logs.step WHERE logs.run = ? ORDER BY logs.target,"
            " coalesce(steps.position, 0), logs.id",
            STRAKE_VALUES(STRAKE_TEXT(id)), give_log, &reading, err);
    pthread_mutex_unlock(&record->lock);
    strake_free(id);
    return rc;
}

static int take_event(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    json_t *data = strake_sql_json(record, stmt, 0);
    int rc = strake_json_set_str(data, "run", strake_sql_text(record, stmt, 1));

    *(json_t **)ctx = data;
    return rc;
}

int strake_record_last_image(struct strake_record *record, const char *repository, bool staged,
                             json_t **out, struct strake_err *err)
{
    const char *sql = staged ? "SELECT data, run FROM events WHERE type='image.staged' AND"
                               " json_extract(data, '$.ref') = ? ORDER BY id DESC LIMIT 1"
                             : "SELECT data, run FROM events WHERE type='image.published' AND"
                               " json_extract(data, '$.image') = ? ORDER BY id DESC LIMIT 1";
    int rc;

    *out = NULL;
    pthread_mutex_lock(&record->lock);
    rc = strake_sql(record, sql, STRAKE_VALUES(STRAKE_TEXT(repository)), take_event, out, err);
    pthread_mutex_unlock(&record->lock);
    if (rc == 0 && !*out)
        rc = strake_fail(err, STRAKE_ENOTFOUND, "nothing was %s in %s by this machine yet",
                         staged ? "staged" : "published", repository);
    return rc;
}
