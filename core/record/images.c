/* Which inputs made which image, and which image of a target was published last: what tells whether
 * a build would make anything new. */
#include <string.h>

#include "record/record_impl.h"
#include "util/json.h"

static int insert_image(struct strake_record *record, const char *run, const json_t *image,
                        const char *platforms, const char *parts, struct strake_err *err)
{
    return strake_sql(
        record,
        "INSERT INTO images (run, target, repository, digest, media_type, platforms, inputs, parts)"
        " VALUES (?,?,?,?,?,?,?,?)",
        STRAKE_VALUES(STRAKE_TEXT(run), STRAKE_TEXT(strake_json_str(image, "target")),
                      STRAKE_TEXT(strake_json_str(image, "repository")),
                      STRAKE_TEXT(strake_json_str(image, "digest")),
                      STRAKE_TEXT(strake_json_str(image, "media_type")), STRAKE_TEXT(platforms),
                      STRAKE_TEXT(strake_json_str(image, "inputs")), STRAKE_TEXT(parts)),
        NULL, NULL, err);
}

int strake_record_image(struct strake_record *record, const char *run, const json_t *image,
                        struct strake_err *err)
{
    struct strake_buf platforms = { 0 }, parts = { 0 };
    int rc = strake_json_dump(json_object_get(image, "platforms"), &platforms);

    if (rc == 0)
        rc = strake_json_dump(json_object_get(image, "parts"), &parts);
    if (rc < 0) {
        rc = strake_fail_nomem(err);
    } else {
        pthread_mutex_lock(&record->lock);
        rc = strake_batch_flush(record, err);
        if (rc == 0)
            rc = insert_image(record, run, image, strake_buf_text(&platforms),
                              strake_buf_text(&parts), err);
        pthread_mutex_unlock(&record->lock);
    }
    strake_buf_dispose(&platforms);
    strake_buf_dispose(&parts);
    return rc;
}

/* ---- the last published one ---- */

/* Columns: digest, run */
static int take_published(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    json_t *image = json_object();

    if (!image || strake_json_set_str(image, "digest", strake_sql_text(record, stmt, 0)) < 0 ||
        strake_json_set_str(image, "run", strake_sql_text(record, stmt, 1)) < 0) {
        json_decref(image);
        return STRAKE_ENOMEM;
    }
    *(json_t **)ctx = image;
    return 0;
}

/* Columns: inputs, media_type, platforms, parts */
static int take_inputs(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    json_t *image = *(json_t **)ctx;

    return strake_json_set_str(image, "inputs", strake_sql_text(record, stmt, 0)) < 0 ||
                   strake_json_set_str(image, "media_type", strake_sql_text(record, stmt, 1)) < 0 ||
                   strake_json_set(image, "platforms", strake_sql_json(record, stmt, 2)) < 0 ||
                   strake_json_set(image, "parts", strake_sql_json(record, stmt, 3)) < 0
               ? STRAKE_ENOMEM
               : 0;
}

static int take_number(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    *(int64_t *)ctx = record->sql->column_int64(stmt, 0);
    return 0;
}

/* A history that an older strake wrote, open for reading, has no such table. */
static int has_images(struct strake_record *record, int64_t *has, struct strake_err *err)
{
    return strake_sql(record,
                      "SELECT count(*) FROM sqlite_master WHERE type='table' AND name='images'",
                      STRAKE_NONE, take_number, has, err);
}

/* Different inputs may have made one digest (a comment of the Dockerfile was changed): those that
 * are asked for come first, then the newest. */
static int find_published(struct strake_record *record, const char *target, const char *repository,
                          const char *inputs, json_t **out, struct strake_err *err)
{
    int64_t has = 0;
    int rc = strake_sql(record,
                        "SELECT json_extract(data, '$.digest'), run FROM events WHERE"
                        " type='image.published' AND target=? AND"
                        " json_extract(data, '$.image')=? ORDER BY id DESC LIMIT 1",
                        STRAKE_VALUES(STRAKE_TEXT(target), STRAKE_TEXT(repository)), take_published,
                        out, err);

    if (rc == 0 && *out)
        rc = has_images(record, &has, err);
    if (rc == 0 && has)
        rc = strake_sql(record,
                        "SELECT inputs, media_type, platforms, parts FROM images WHERE digest=? AND"
                        " target=? AND repository=? ORDER BY inputs=? DESC, id DESC LIMIT 1",
                        STRAKE_VALUES(STRAKE_TEXT(strake_json_str(*out, "digest")),
                                      STRAKE_TEXT(target), STRAKE_TEXT(repository),
                                      STRAKE_TEXT(inputs)),
                        take_inputs, out, err);
    return rc;
}

int strake_record_last_published(struct strake_record *record, const char *target,
                                 const char *repository, const char *inputs, json_t **out,
                                 struct strake_err *err)
{
    int rc;

    *out = NULL;
    pthread_mutex_lock(&record->lock);
    rc = record->writable ? strake_batch_flush(record, err) : 0;
    if (rc == 0)
        rc = find_published(record, target, repository, inputs, out, err);
    pthread_mutex_unlock(&record->lock);
    if (rc == 0 && !*out)
        rc = strake_fail(err, STRAKE_ENOTFOUND, "target %s was never published to %s from here",
                         target, repository);
    if (rc < 0) {
        json_decref(*out);
        *out = NULL;
    }
    return rc;
}

/* ---- the bases that were used ---- */

/* "[stage 1/3] FROM docker.io/library/busybox:1@sha256:…": the image and its digest. */
static int take_base(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    const char *name = strake_sql_text(record, stmt, 0), *from = strstr(name, "FROM "), *at;
    char *image;
    int rc;

    from += 5;
    at = strstr(from, "@sha256:");
    if (!at || strpbrk(from, " \t"))
        return 0;
    image = strake_strndup(from, (size_t)(at - from));
    rc = image ? strake_pairs_set(ctx, image, at + 1) : STRAKE_ENOMEM;
    strake_free(image);
    return rc;
}

int strake_record_bases(struct strake_record *record, const char *run, const char *target,
                        struct strake_pairs *out, bool *fetches, struct strake_err *err)
{
    int64_t count = 0;
    int rc;

    pthread_mutex_lock(&record->lock);
    rc = strake_batch_flush(record, err);
    if (rc == 0)
        rc = strake_sql(record,
                        "SELECT name FROM steps WHERE run=? AND target=? AND"
                        " (name GLOB '[[]*] FROM *@sha256:*' OR name GLOB 'FROM *@sha256:*')"
                        " ORDER BY position",
                        STRAKE_VALUES(STRAKE_TEXT(run), STRAKE_TEXT(target)), take_base, out, err);
    if (rc == 0)
        rc = strake_sql(record,
                        "SELECT count(*) FROM steps WHERE run=? AND target=? AND"
                        " name GLOB '[[]*] ADD *://*' AND name NOT GLOB '* --checksum=*'",
                        STRAKE_VALUES(STRAKE_TEXT(run), STRAKE_TEXT(target)), take_number, &count,
                        err);
    *fetches = count > 0;
    pthread_mutex_unlock(&record->lock);
    return rc;
}
