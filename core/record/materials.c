/* Materials of builds: written beside them, read by `strake cache explain`. */
#include "record/materials.h"

#include <string.h>

#include "record/record_impl.h"
#include "util/json.h"
#include "util/time.h"

/* ---- writing; the lock is held ---- */

static int put_text(struct strake_record *record, const char *id, const char *text,
                    struct strake_err *err)
{
    if (!id)
        return 0;
    return strake_sql(record, "INSERT OR IGNORE INTO texts (digest, text) VALUES (?,?)",
                      STRAKE_VALUES(STRAKE_TEXT(id), STRAKE_TEXT(text)), NULL, NULL, err);
}

/* A list of files is large: those of builds that nobody looks at any more go. */
static int prune(struct strake_record *record, const struct strake_materials *of,
                 struct strake_err *err)
{
    int rc = strake_sql(record,
                        "DELETE FROM materials WHERE target = ?2 AND run IN"
                        " (SELECT materials.run FROM materials JOIN runs ON runs.id = materials.run"
                        "  WHERE target = ?2 AND dir = (SELECT dir FROM runs WHERE id = ?1)"
                        "  ORDER BY started_us DESC, id DESC LIMIT -1 OFFSET ?3)",
                        STRAKE_VALUES(STRAKE_TEXT(of->run), STRAKE_TEXT(of->target),
                                      STRAKE_INT(STRAKE_MATERIALS_KEPT)),
                        NULL, NULL, err);

    if (rc < 0 || record->sql->changes(record->db) == 0)
        return rc;
    return strake_sql(record,
                      "DELETE FROM texts WHERE digest NOT IN"
                      " (SELECT dockerfile FROM materials WHERE dockerfile IS NOT NULL"
                      "  UNION SELECT files FROM materials WHERE files IS NOT NULL)",
                      STRAKE_NONE, NULL, NULL, err);
}

static int put_all(struct strake_record *record, const struct strake_materials *materials,
                   const char *data, struct strake_err *err)
{
    int rc = put_text(record, materials->dockerfile_id, materials->dockerfile, err);

    if (rc == 0)
        rc = put_text(record, materials->files_id, materials->files, err);
    if (rc == 0)
        rc = strake_sql(record,
                        "INSERT OR REPLACE INTO materials (run, target, data, dockerfile, files)"
                        " VALUES (?,?,?,?,?)",
                        STRAKE_VALUES(STRAKE_TEXT(materials->run), STRAKE_TEXT(materials->target),
                                      STRAKE_TEXT(data), STRAKE_TEXT(materials->dockerfile_id),
                                      STRAKE_TEXT(materials->files_id)),
                        NULL, NULL, err);
    return rc < 0 ? rc : prune(record, materials, err);
}

int strake_record_materials(struct strake_record *record, const struct strake_materials *materials,
                            struct strake_err *err)
{
    struct strake_buf data = { 0 };
    int rc = strake_json_dump(materials->data, &data);

    if (rc < 0)
        return strake_fail_nomem(err);
    pthread_mutex_lock(&record->lock);
    rc = strake_sql_begin(record, false, err);
    if (rc == 0)
        rc = strake_sql_end(record, put_all(record, materials, strake_buf_text(&data), err), err);
    pthread_mutex_unlock(&record->lock);
    strake_buf_dispose(&data);
    return rc;
}

/* ---- reading; the lock is held ---- */

/* Columns: id, started_us, data, dockerfile, files, data of the target's last event */
static int add_build(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    json_t *build = json_object(), *materials = strake_sql_json(record, stmt, 2);
    json_t *result = strake_sql_json(record, stmt, 5);
    const char *dockerfile = strake_sql_text(record, stmt, 3);
    char started[STRAKE_TIME_TEXT];
    int rc = STRAKE_ENOMEM;

    strake_time_format(record->sql->column_int64(stmt, 1), started);
    if (build && strake_json_set_str(build, "run", strake_sql_text(record, stmt, 0)) == 0 &&
        strake_json_set_str(build, "started", started) == 0 &&
        strake_json_set_str(build, "builder", strake_json_str(result, "builder")) == 0 &&
        (!json_is_object(materials) || json_object_set(build, "materials", materials) == 0) &&
        (!*dockerfile || strake_json_set_str(build, "dockerfile", dockerfile) == 0)) {
        const char *files = strake_sql_text(record, stmt, 4);
        if ((!*files || strake_json_set_str(build, "files", files) == 0) &&
            json_array_append(ctx, build) == 0)
            rc = 0;
    }
    json_decref(build);
    json_decref(materials);
    json_decref(result);
    return rc;
}

static int add_step(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    static const char *const keys[] = { "name", "started", "completed", "error" };
    json_t *step = json_object();
    int rc = step ? 0 : STRAKE_ENOMEM;

    for (int i = 0; rc == 0 && i < 4; i++) {
        const char *text = strake_sql_text(record, stmt, i);
        if (*text || i == 0)
            rc = strake_json_set_str(step, keys[i], text);
    }
    if (rc == 0)
        rc = strake_json_set_bool(step, "cached", record->sql->column_int64(stmt, 4) != 0);
    if (rc == 0)
        rc = json_array_append(ctx, step) < 0 ? STRAKE_ENOMEM : 0;
    json_decref(step);
    return rc;
}

static int fill_steps(struct strake_record *record, json_t *build, const char *target,
                      struct strake_err *err)
{
    json_t *steps = json_array();
    int rc = strake_json_set(build, "steps", steps);

    if (rc < 0)
        return strake_fail_nomem(err);
    return strake_sql(
        record,
        "SELECT name, started, completed, error, cached FROM steps"
        " WHERE run = ? AND target = ? ORDER BY position",
        STRAKE_VALUES(STRAKE_TEXT(strake_json_str(build, "run")), STRAKE_TEXT(target)), add_step,
        steps, err);
}

static int note_row(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    (void)record;
    (void)stmt;
    *(bool *)ctx = true;
    return 0;
}

/* A history that an older strake wrote, and no newer one yet, has no such table. */
static int has_materials(struct strake_record *record, bool *has, struct strake_err *err)
{
    *has = false;
    return strake_sql(record, "SELECT 1 FROM sqlite_master WHERE name = 'materials'", STRAKE_NONE,
                      note_row, has, err);
}

#define LAST_EVENT                                                                                 \
    "(SELECT data FROM events WHERE events.run = runs.id AND type IN"                              \
    " ('target.done', 'target.failed') AND events.target = ?2 ORDER BY events.id DESC LIMIT 1)"
#define ITS_RUNS                                                                                   \
    " WHERE dir = ?1 AND EXISTS (SELECT 1 FROM steps WHERE steps.run = runs.id AND"                \
    " steps.target = ?2) ORDER BY started_us DESC, id DESC LIMIT ?3"

static const char builds_sql[] =
    "SELECT id, started_us, m.data, m.dockerfile, m.files, " LAST_EVENT
    " FROM runs LEFT JOIN materials AS m ON m.run = runs.id AND m.target = ?2" ITS_RUNS;
static const char old_builds_sql[] =
    "SELECT id, started_us, NULL, NULL, NULL, " LAST_EVENT " FROM runs" ITS_RUNS;

int strake_record_builds(struct strake_record *record, const char *dir, const char *target,
                         int limit, json_t **out, struct strake_err *err)
{
    json_t *builds = json_array(), *build;
    bool has = false;
    size_t i;
    int rc = builds ? 0 : strake_fail_nomem(err);

    pthread_mutex_lock(&record->lock);
    if (rc == 0)
        rc = has_materials(record, &has, err);
    if (rc == 0)
        rc = strake_sql(record, has ? builds_sql : old_builds_sql,
                        STRAKE_VALUES(STRAKE_TEXT(dir), STRAKE_TEXT(target), STRAKE_INT(limit)),
                        add_build, builds, err);
    json_array_foreach(builds, i, build) {
        if (rc == 0)
            rc = fill_steps(record, build, target, err);
    }
    pthread_mutex_unlock(&record->lock);
    if (rc < 0) {
        json_decref(builds);
        return rc;
    }
    *out = builds;
    return 0;
}

static int collect(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    return strake_strings_add(ctx, strake_sql_text(record, stmt, 0));
}

int strake_record_built(struct strake_record *record, const char *dir,
                        struct strake_strings *targets, struct strake_err *err)
{
    int rc;

    pthread_mutex_lock(&record->lock);
    rc = strake_sql(record,
                    "SELECT DISTINCT target FROM steps WHERE run = (SELECT id FROM runs WHERE"
                    " dir = ?1 AND EXISTS (SELECT 1 FROM steps WHERE steps.run = runs.id)"
                    " ORDER BY started_us DESC, id DESC LIMIT 1) ORDER BY target",
                    STRAKE_VALUES(STRAKE_TEXT(dir)), collect, targets, err);
    pthread_mutex_unlock(&record->lock);
    return rc;
}

struct reading {
    struct strake_buf *out;
    bool found;
};

static int take_text(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    struct reading *reading = ctx;
    const char *text = strake_sql_text(record, stmt, 0);

    reading->found = true;
    return strake_buf_append(reading->out, text, (size_t)record->sql->column_bytes(stmt, 0));
}

int strake_record_text(struct strake_record *record, const char *id, struct strake_buf *out,
                       struct strake_err *err)
{
    struct reading reading = { .out = out };
    int rc;

    pthread_mutex_lock(&record->lock);
    rc = strake_sql(record, "SELECT text FROM texts WHERE digest = ?",
                    STRAKE_VALUES(STRAKE_TEXT(id)), take_text, &reading, err);
    pthread_mutex_unlock(&record->lock);
    if (rc == 0 && !reading.found)
        rc = strake_fail(err, STRAKE_ENOTFOUND, "the history has no text %s any more", id);
    return rc;
}
