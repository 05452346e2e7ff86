/* What became of the tags of a repository, and what a run staged: what a rollback and a publish of
 * another run's images go by. */
#include <string.h>

#include "record/record_impl.h"
#include "util/json.h"
#include "util/time.h"

/* ---- the units of a repository ---- */

/* The unit of this row: the last one, or a new one. */
static json_t *unit_of(struct strake_record *record, sqlite3_stmt *stmt, json_t *units)
{
    const int64_t id = record->sql->column_int64(stmt, 0);
    json_t *unit = json_array_get(units, json_array_size(units) - 1);
    char when[STRAKE_TIME_TEXT];

    if (unit && strake_json_int(unit, "unit", -1) == id)
        return unit;
    strake_time_format(record->sql->column_int64(stmt, 3), when);
    unit = json_object();
    if (!unit || strake_json_set_int(unit, "unit", id) < 0 ||
        strake_json_set_str(unit, "run", strake_sql_text(record, stmt, 1)) < 0 ||
        strake_json_set_str(unit, "kind", strake_sql_text(record, stmt, 2)) < 0 ||
        strake_json_set_str(unit, "time", when) < 0 ||
        strake_json_set(unit, "moves", json_array()) < 0 || json_array_append(units, unit) < 0) {
        json_decref(unit);
        return NULL;
    }
    json_decref(unit);
    return unit;
}

/* Columns: unit, run, kind, ended_us, ref, from_digest, to_digest */
static int add_unit_move(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    json_t *unit = unit_of(record, stmt, ctx), *move = json_object();
    int rc = unit && move ? 0 : STRAKE_ENOMEM;

    if (rc == 0 && (strake_json_set_str(move, "ref", strake_sql_text(record, stmt, 4)) < 0 ||
                    strake_json_set_str(move, "from", strake_sql_text(record, stmt, 5)) < 0 ||
                    strake_json_set_str(move, "to", strake_sql_text(record, stmt, 6)) < 0 ||
                    json_array_append(json_object_get(unit, "moves"), move) < 0))
        rc = STRAKE_ENOMEM;
    json_decref(move);
    return rc;
}

int strake_record_units(struct strake_record *record, const char *repository, json_t **out,
                        struct strake_err *err)
{
    json_t *units = json_array();
    int rc = units ? 0 : strake_fail_nomem(err);

    pthread_mutex_lock(&record->lock);
    if (rc == 0 && record->writable)
        rc = strake_batch_flush(record, err);
    if (rc == 0)
        rc = strake_sql(record,
                        "SELECT units.id, run, kind, ended_us, ref, from_digest, to_digest FROM"
                        " units JOIN moves ON moves.unit = units.id WHERE"
                        " (outcome='done' OR outcome='partial' AND done=1) AND"
                        " substr(ref, 1, length(?1) + 1) = ?1 || ':' AND"
                        " instr(substr(ref, length(?1) + 2), '/') = 0"
                        " ORDER BY units.id, position",
                        STRAKE_VALUES(STRAKE_TEXT(repository)), add_unit_move, units, err);
    pthread_mutex_unlock(&record->lock);
    if (rc < 0) {
        json_decref(units);
        return rc;
    }
    *out = units;
    return 0;
}

/* ---- what a run staged ---- */

/* Columns: target, ref, digest */
static int add_staged(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    json_t *image = json_object();
    int rc = image ? 0 : STRAKE_ENOMEM;

    if (rc == 0 && (strake_json_set_str(image, "name", strake_sql_text(record, stmt, 0)) < 0 ||
                    strake_json_set_str(image, "image", strake_sql_text(record, stmt, 1)) < 0 ||
                    strake_json_set_str(image, "digest", strake_sql_text(record, stmt, 2)) < 0 ||
                    json_array_append(ctx, image) < 0))
        rc = STRAKE_ENOMEM;
    json_decref(image);
    return rc;
}

static int take_run(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    char **id = ctx;

    *id = strake_strdup(strake_sql_text(record, stmt, 0));
    return *id ? 0 : STRAKE_ENOMEM;
}

/* The run that publishes is itself the last one: here "last" is the last that staged something. */
static int find_staging(struct strake_record *record, const char *run, char **id,
                        struct strake_err *err)
{
    int rc = 0;

    if (strcmp(run, "last") == 0)
        rc = strake_sql(record,
                        "SELECT run FROM events WHERE type='image.staged' ORDER BY id DESC LIMIT 1",
                        STRAKE_NONE, take_run, id, err);
    return rc < 0 || *id ? rc : strake_record_find_run(record, run, id, err);
}

int strake_record_staged(struct strake_record *record, const char *run, json_t **out,
                         struct strake_err *err)
{
    json_t *images = json_array();
    char *id = NULL;
    int rc = images ? 0 : strake_fail_nomem(err);

    pthread_mutex_lock(&record->lock);
    if (rc == 0 && record->writable)
        rc = strake_batch_flush(record, err);
    if (rc == 0)
        rc = find_staging(record, run, &id, err);
    if (rc == 0)
        rc = strake_sql(record,
                        "SELECT target, json_extract(data, '$.ref'), json_extract(data,"
                        " '$.digest') FROM events WHERE run=? AND type='image.staged' ORDER BY id",
                        STRAKE_VALUES(STRAKE_TEXT(id)), add_staged, images, err);
    pthread_mutex_unlock(&record->lock);
    if (rc == 0 && json_array_size(images) == 0) {
        rc = strake_fail(err, STRAKE_EUSAGE, "run %s staged no image", id);
        strake_err_hint(err, "`strake history show %s` tells what it did", id);
    }
    strake_free(id);
    if (rc < 0) {
        json_decref(images);
        return rc;
    }
    *out = images;
    return 0;
}
