/* Any bytes as a record of the release ledger, and as the manifest of one. */
#include <stdlib.h>
#include <string.h>

#include "image/ledger.h"
#include "image/reference.h"
#include "util/json.h"
#include "util/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* What was read can be written, and is the same when it is read again. */
static void check_record(const json_t *record)
{
    const json_t *moves = json_object_get(record, "moves"), *move;
    const char *user = strake_json_str(record, "user");
    struct strake_buf out = { 0 };
    struct strake_err err = { 0 };
    json_t *again = NULL;
    size_t i;

    check(strake_digest_valid(strake_json_str(record, "digest")));
    check(json_array_size(moves) > 0 && json_array_size(moves) <= STRAKE_LEDGER_MOVES_MAX);
    json_array_foreach(moves, i, move) {
        check(strake_tag_valid(strake_json_str(move, "tag")));
    }
    for (i = 0; user[i]; i++)
        check(strake_text_control(user + i, strlen(user + i)) == 0);
    if (strake_ledger_write(record, &out, &err) == 0) {
        check(strake_ledger_parse(strake_buf_text(&out), out.len, "it", &again, &err) == 0);
        check(json_equal(json_object_get(again, "moves"), moves));
        check(strcmp(strake_json_str(again, "time"), strake_json_str(record, "time")) == 0);
    }
    json_decref(again);
    strake_err_dispose(&err);
    strake_buf_dispose(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    char digest[STRAKE_DIGEST_TEXT];
    struct strake_err err = { 0 };
    json_t *record = NULL;

    if (strake_ledger_parse(text, size, "it", &record, &err) == 0)
        check_record(record);
    strake_err_dispose(&err);
    if (strake_ledger_manifest_parse(text, size, "", STRAKE_EMPTY_DIGEST, "it", digest, &err) == 0)
        check(strake_digest_valid(digest));
    strake_err_dispose(&err);
    json_decref(record);
    return 0;
}
