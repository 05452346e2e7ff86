/* Messages on their way: claimed once, tried again, dropped when expired. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "record/outbox.h"
#include "record_folder.h"
#include "torture.h"
#include "util/time.h"

#define HOUR_US ((int64_t)3600 * 1000000)

static char run_id[] = "run-1", notifier[] = "phone", type[] = "ntfy";

static int put(struct strake_record *record, const char *title, int64_t not_before_us,
               int64_t expires_us, int64_t *id, struct strake_err *err)
{
    struct strake_outgoing message = { .run = run_id,
                                       .notifier = notifier,
                                       .type = type,
                                       .options = json_object(),
                                       .message = json_object(),
                                       .not_before_us = not_before_us,
                                       .expires_us = expires_us };
    int rc = STRAKE_ENOMEM;

    if (message.options && message.message &&
        strake_json_set_str(message.message, "title", title) == 0)
        rc = strake_outbox_put(record, &message, err);
    json_decref(message.options);
    json_decref(message.message);
    *id = message.id;
    return rc;
}

static int64_t put_due(struct strake_record *record, const char *title)
{
    struct strake_err err = { 0 };
    int64_t id = 0;

    assert_int_equal(put(record, title, 0, strake_time_now_us() + HOUR_US, &id, &err), 0);
    assert_true(id > 0);
    return id;
}

/* How many are claimed; the first one's title and tries are compared when there is one. */
static size_t claim(struct strake_record *record, size_t max, const char *title, int tries)
{
    struct strake_outgoing *messages = NULL;
    struct strake_err err = { 0 };
    size_t count = 0;

    assert_int_equal(strake_outbox_claim(record, &messages, &count, max, &err), 0);
    if (count > 0) {
        assert_string_equal(strake_json_str(messages[0].message, "title"), title);
        assert_string_equal(messages[0].notifier, notifier);
        assert_int_equal(messages[0].tries, tries);
    }
    strake_outgoing_free(messages, count);
    return count;
}

static void claim_gives_the_oldest_first_and_each_once(void **state)
{
    struct strake_record *record = history_open(*state), *other = history_open(*state);

    assert_false(strake_outbox_waiting(record));
    put_due(record, "one");
    put_due(record, "two");
    assert_true(strake_outbox_waiting(other));
    assert_int_equal(claim(record, 1, "one", 0), 1);
    assert_int_equal(claim(other, 10, "two", 0), 1);
    assert_int_equal(claim(record, 10, "", 0), 0);
    assert_true(strake_outbox_waiting(record)); /* claimed is not sent */
    history_close(other);
    history_close(record);
}

static void a_message_outlives_the_program_until_it_is_sent(void **state)
{
    struct strake_record *record = history_open(*state);
    struct strake_err err = { 0 };
    int64_t id = put_due(record, "one");

    history_close(record);
    record = history_open(*state);
    assert_int_equal(claim(record, 10, "one", 0), 1);
    assert_int_equal(strake_outbox_result(record, id, false, false, 0, &err), 0);
    assert_int_equal(claim(record, 10, "one", 1), 1); /* again, and counted */
    assert_int_equal(strake_outbox_result(record, id, true, false, 0, &err), 0);
    assert_false(strake_outbox_waiting(record));
    history_close(record);
}

static void a_message_waits_for_its_time(void **state)
{
    struct strake_record *record = history_open(*state);
    struct strake_err err = { 0 };
    int64_t id = put_due(record, "one");

    assert_int_equal(claim(record, 10, "one", 0), 1);
    assert_int_equal(
        strake_outbox_result(record, id, false, false, strake_time_now_us() + HOUR_US, &err), 0);
    assert_int_equal(claim(record, 10, "", 0), 0);
    assert_true(strake_outbox_waiting(record));
    history_close(record);
}

static void a_message_that_failed_for_good_is_gone(void **state)
{
    struct strake_record *record = history_open(*state);
    struct strake_err err = { 0 };
    int64_t id = put_due(record, "one");

    assert_int_equal(strake_outbox_result(record, id, false, true, 0, &err), 0);
    assert_false(strake_outbox_waiting(record));
    history_close(record);
}

static void an_expired_message_is_never_claimed_and_dropped(void **state)
{
    struct strake_record *record = history_open(*state);
    struct strake_err err = { 0 };
    int64_t id = 0;

    assert_int_equal(put(record, "late", 0, strake_time_now_us() - 1, &id, &err), 0);
    assert_int_equal(claim(record, 10, "", 0), 0);
    assert_false(strake_outbox_waiting(record));
    history_close(record);
}

static int put_claim_sent(void *ctx)
{
    struct strake_outgoing *messages = NULL;
    struct strake_err err = { 0 };
    size_t count = 0;
    int64_t id = 0;
    int rc = put(ctx, "t", 0, strake_time_now_us() + HOUR_US, &id, &err);

    if (rc == 0)
        rc = strake_outbox_claim(ctx, &messages, &count, 1, &err);
    assert_true(rc == 0 || count == 0);
    strake_outgoing_free(messages, count);
    /* gone again, whatever failed: SQLite's own memory is not made to fail */
    if (id > 0)
        assert_int_equal(strake_outbox_result(ctx, id, true, false, 0, &err), 0);
    strake_err_dispose(&err);
    return rc;
}

static void outbox_survives_every_failing_allocation(void **state)
{
    struct strake_record *record = history_open(*state);

    torture(put_claim_sent, record);
    assert_false(strake_outbox_waiting(record));
    history_close(record);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, folder_make, folder_remove)
    const struct CMUnitTest tests[] = {
        TEST(claim_gives_the_oldest_first_and_each_once),
        TEST(a_message_outlives_the_program_until_it_is_sent),
        TEST(a_message_waits_for_its_time),
        TEST(a_message_that_failed_for_good_is_gone),
        TEST(an_expired_message_is_never_claimed_and_dropped),
        TEST(outbox_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
