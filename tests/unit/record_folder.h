/* A history of its own for each test of core/record: a folder, and what is asked of it again and
 * again. To be included after cmocka.h. */
#ifndef STRAKE_TESTS_RECORD_FOLDER_H
#define STRAKE_TESTS_RECORD_FOLDER_H

#include "record/record.h"
#include "util/fs.h"
#include "util/json.h"

/** setup of a test: *state is the folder. */
static inline int folder_make(void **state)
{
    struct strake_err err = { 0 };
    char *dir = NULL;

    strake_json_setup();
    if (strake_fs_tempdir(&dir, &err) < 0) {
        strake_err_dispose(&err);
        return -1;
    }
    *state = dir;
    return 0;
}

/** teardown of a test. */
static inline int folder_remove(void **state)
{
    struct strake_err err = { 0 };
    int rc = strake_fs_remove_tree(*state, &err);

    strake_err_dispose(&err);
    strake_free(*state);
    return rc;
}

static inline struct strake_record *history_open(const char *dir)
{
    struct strake_err err = { 0 };
    struct strake_record *record = NULL;

    if (strake_record_open(dir, true, &record, &err) < 0)
        fail_msg("%s", strake_err_message(&err));
    return record;
}

static inline void history_close(struct strake_record *record)
{
    struct strake_err err = { 0 };

    assert_int_equal(strake_record_close(record, &err), 0);
}

#endif
