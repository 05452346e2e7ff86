/* The bytes of the release ledger. Who may push may write records, so that nothing in one is believed
 * beyond its form: what a record says is looked up again before a tag moves. */
#include "image/ledger.h"

#include <string.h>

#include "image/manifest.h"
#include "image/reference.h"
#include "util/json.h"
#include "util/secret.h"
#include "util/text.h"
#include "util/time.h"

#define VERSION 1
#define TEXT_MAX 512

static int refuse(struct strake_err *err, const char *what, const char *field, const char *problem)
{
    return strake_fail(err, STRAKE_EREGISTRY, "%s: '%s' %s", what, field, problem);
}

/* ---- reading ---- */

static bool has_control(const char *text)
{
    const size_t len = strlen(text);

    for (size_t i = 0; i < len; i++) {
        if (strake_text_control(text + i, len - i))
            return true;
    }
    return false;
}

/* A text that may be missing; it is shown to people. */
static int read_text(const json_t *record, const char *key, const char *what, json_t *out,
                     struct strake_err *err)
{
    const json_t *value = json_object_get(record, key);

    if (value && !json_is_string(value))
        return refuse(err, what, key, "is no text");
    if (value && json_string_length(value) > TEXT_MAX)
        return refuse(err, what, key, "is too long");
    if (value && has_control(json_string_value(value)))
        return refuse(err, what, key, "has a control character");
    return strake_json_set_str(out, key, value ? json_string_value(value) : "") < 0
               ? strake_fail_nomem(err)
               : 0;
}

static bool is_commit(const char *text)
{
    return strspn(text, "0123456789abcdef") == strlen(text) && strlen(text) <= 64;
}

static int read_version(const json_t *record, const char *what, json_t *out, struct strake_err *err)
{
    const json_t *version = json_object_get(record, "version");

    if (!json_is_integer(version) || json_integer_value(version) < 1)
        return refuse(err, what, "version", "is no version");
    if (json_integer_value(version) != VERSION)
        return strake_fail(err, STRAKE_EREGISTRY,
                           "%s: is of version %lld, written by a newer Strake", what,
                           (long long)json_integer_value(version));
    return strake_json_set_int(out, "version", VERSION) < 0 ? strake_fail_nomem(err) : 0;
}

static int read_kind(const json_t *record, const char *what, json_t *out, struct strake_err *err)
{
    static const char *const kinds[] = { "publish", "tag", "rollback" };
    const char *kind = strake_json_str(record, "kind");

    for (size_t i = 0; kind && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kind, kinds[i]) == 0)
            return strake_json_set_str(out, "kind", kind) < 0 ? strake_fail_nomem(err) : 0;
    }
    return refuse(err, what, "kind", "is neither publish, tag nor rollback");
}

/* In one form, so that records compare. */
static int read_time(const json_t *record, const char *what, json_t *out, struct strake_err *err)
{
    const char *text = strake_json_str(record, "time");
    char normal[STRAKE_TIME_TEXT];
    int64_t us;

    if (!text || strake_time_parse(text, &us) < 0)
        return refuse(err, what, "time", "is no time");
    strake_time_format(us, normal);
    return strake_json_set_str(out, "time", normal) < 0 ? strake_fail_nomem(err) : 0;
}

static int read_digest(const json_t *record, const char *what, json_t *out, struct strake_err *err)
{
    const char *digest = strake_json_str(record, "digest");

    if (!digest || !strake_digest_valid(digest))
        return refuse(err, what, "digest", "is no digest");
    return strake_json_set_str(out, "digest", digest) < 0 ? strake_fail_nomem(err) : 0;
}

static int read_move(const json_t *move, const char *what, const char *digest, json_t *moves,
                     json_t *seen, struct strake_err *err)
{
    const char *tag = strake_json_str(move, "tag"), *from = strake_json_str(move, "from");
    json_t *entry;

    if (!tag || !strake_tag_valid(tag))
        return refuse(err, what, "moves", "has a tag that is none");
    if (!from || (*from && !strake_digest_valid(from)))
        return refuse(err, what, "moves", "has a digest that is none");
    if (strcmp(from, digest) == 0)
        return refuse(err, what, "moves", "has a tag that did not move");
    if (json_object_get(seen, tag))
        return refuse(err, what, "moves", "has a tag twice");
    entry = json_object();
    if (!entry || strake_json_set_bool(seen, tag, true) < 0 ||
        strake_json_set_str(entry, "tag", tag) < 0 ||
        strake_json_set_str(entry, "from", from) < 0 || json_array_append(moves, entry) < 0) {
        json_decref(entry);
        return strake_fail_nomem(err);
    }
    json_decref(entry);
    return 0;
}

static int read_moves(const json_t *record, const char *what, json_t *out, struct strake_err *err)
{
    const json_t *list = json_object_get(record, "moves"), *move;
    json_t *moves, *seen;
    size_t i;
    int rc = 0;

    if (!json_is_array(list) || json_array_size(list) == 0)
        return refuse(err, what, "moves", "is no list of moves");
    if (json_array_size(list) > STRAKE_LEDGER_MOVES_MAX)
        return refuse(err, what, "moves", "has more than 500 entries");
    moves = json_array();
    seen = json_object();
    if (!moves || !seen)
        rc = strake_fail_nomem(err);
    json_array_foreach(list, i, move) {
        if (rc == 0)
            rc = read_move(move, what, strake_json_str(out, "digest"), moves, seen, err);
    }
    if (rc == 0 && json_object_set(out, "moves", moves) < 0)
        rc = strake_fail_nomem(err);
    json_decref(moves);
    json_decref(seen);
    return rc;
}

static int read_record(const json_t *record, const char *what, json_t *out, struct strake_err *err)
{
    static const char *const texts[] = { "repository", "run", "user", "url", "commit", "strake" };
    int rc = read_version(record, what, out, err);

    if (rc == 0)
        rc = read_kind(record, what, out, err);
    if (rc == 0)
        rc = read_digest(record, what, out, err);
    if (rc == 0)
        rc = read_time(record, what, out, err);
    for (size_t i = 0; rc == 0 && i < sizeof(texts) / sizeof(texts[0]); i++)
        rc = read_text(record, texts[i], what, out, err);
    if (rc == 0 && !is_commit(strake_json_str(out, "commit")))
        rc = refuse(err, what, "commit", "is no commit");
    return rc < 0 ? rc : read_moves(record, what, out, err);
}

int strake_ledger_parse(const char *data, size_t len, const char *what, json_t **out,
                        struct strake_err *err)
{
    json_t *root, *made;
    int rc;

    if (len > STRAKE_LEDGER_RECORD_MAX)
        return strake_fail(err, STRAKE_EREGISTRY, "%s: has more than %zu bytes", what,
                           STRAKE_LEDGER_RECORD_MAX);
    root = strake_json_parse(data, len, what, STRAKE_EREGISTRY, err);
    if (!root)
        return err->code;
    made = json_object();
    if (!made)
        rc = strake_fail_nomem(err);
    else if (!json_is_object(root))
        rc = strake_fail(err, STRAKE_EREGISTRY, "%s: is no JSON object", what);
    else
        rc = read_record(root, what, made, err);
    json_decref(root);
    if (rc < 0) {
        json_decref(made);
        return rc;
    }
    *out = made;
    return 0;
}

/* ---- writing ---- */

int strake_ledger_write(const json_t *record, struct strake_buf *out, struct strake_err *err)
{
    json_t *copy = json_deep_copy(record), *checked = NULL;
    struct strake_buf text = STRAKE_BUF(STRAKE_LEDGER_RECORD_MAX);
    int rc = 0;

    if (!copy || strake_json_set_int(copy, "version", VERSION) < 0 ||
        strake_json_set_str(copy, "strake", STRAKE_VERSION) < 0)
        rc = strake_fail_nomem(err);
    if (rc == 0)
        rc = strake_secret_redact_json(copy);
    if (rc == 0)
        rc = strake_json_dump(copy, &text);
    if (rc < 0 && !err->code)
        rc = strake_fail(err, rc == STRAKE_ENOMEM ? rc : STRAKE_EREGISTRY,
                         rc == STRAKE_ENOMEM ? "out of memory" : "the record is too large");
    if (rc == 0)
        rc = strake_ledger_parse(strake_buf_text(&text), text.len, "the record", &checked, err);
    /* What is written is what is read: known fields, in one order. */
    if (rc == 0 && strake_json_dump(checked, out) < 0)
        rc = strake_fail_nomem(err);
    strake_buf_dispose(&text);
    json_decref(checked);
    json_decref(copy);
    return rc;
}

/* ---- the artifact ---- */

int strake_ledger_manifest(const struct strake_ledger_part *subject,
                           const struct strake_ledger_part *record, const char *time,
                           struct strake_buf *out, struct strake_err *err)
{
    /* "data" saves whoever reads the configuration a request; it is "{}" in base64. */
    json_t *manifest = json_pack(
        "{s:i, s:s, s:s, s:{s:s, s:s, s:i, s:s}, s:[{s:s, s:s, s:I}], s:{s:s, s:s, s:I}, s:{s:s}}",
        "schemaVersion", 2, "mediaType", STRAKE_MEDIA_OCI_MANIFEST, "artifactType",
        STRAKE_LEDGER_TYPE, "config", "mediaType", STRAKE_EMPTY_TYPE, "digest", STRAKE_EMPTY_DIGEST,
        "size", (int)sizeof(STRAKE_EMPTY_BYTES) - 1, "data", "e30=", "layers", "mediaType",
        record->media_type, "digest", record->digest, "size", (json_int_t)record->size_bytes,
        "subject", "mediaType", subject->media_type, "digest", subject->digest, "size",
        (json_int_t)subject->size_bytes, "annotations", "org.opencontainers.image.created", time);
    int rc = manifest ? strake_json_dump(manifest, out) : STRAKE_ENOMEM;

    json_decref(manifest);
    return rc < 0 ? strake_fail_nomem(err) : 0;
}

int strake_ledger_manifest_parse(const char *data, size_t len, const char *answered_type,
                                 const char *subject, const char *what, char *layer,
                                 struct strake_err *err)
{
    struct strake_manifest manifest = { 0 };
    int rc = strake_manifest_parse(data, len, answered_type, what, &manifest, err);

    if (rc < 0)
        return rc;
    if (manifest.index || !manifest.artifact_type ||
        strcmp(manifest.artifact_type, STRAKE_LEDGER_TYPE) != 0)
        rc = refuse(err, what, "artifactType", "is not that of a publish");
    else if (strcmp(manifest.subject, subject) != 0)
        rc = refuse(err, what, "subject", "is another image");
    else if (manifest.count != 1 || strcmp(manifest.items[0].media_type, STRAKE_LEDGER_TYPE) != 0)
        rc = refuse(err, what, "layers", "is not the one record");
    else if (manifest.items[0].size_bytes > (int64_t)STRAKE_LEDGER_RECORD_MAX)
        rc = refuse(err, what, "layers", "is too large for a record");
    else
        memcpy(layer, manifest.items[0].digest, STRAKE_DIGEST_TEXT);
    strake_manifest_dispose(&manifest);
    return rc;
}
