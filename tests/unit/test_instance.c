/* Instances, and calls into plugins that break their promises or do not come back. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "plugin/instance.h"
#include "plugin_files.h"
#include "torture.h"
#include "util/json.h"
#include "util/thread.h"
#include "util/work.h"

static int one_command(struct strake_instance *builder, const struct strake_build_request *request,
                       json_t **command, struct strake_err *err)
{
    struct strake_command made = { 0 };
    int rc = strake_builder_commands(builder, &request, 1, &made, err);

    if (rc == 0 && made.rc < 0)
        strake_err_move(err, &made.err);
    *command = made.command;
    return rc < 0 ? rc : made.rc;
}

#define DIGEST_7 "sha256:0000000000000000000000000000000000000000000000000000000000000007"

static int group_setup(void **state)
{
    struct strake_err err = { 0 };

    (void)state;
    setenv("STRAKE_PLUGIN_PATH", ABI_PLUGINS, 1);
    return strake_loader_setup("/no/such/prefix/bin/strake", &err);
}

/* A folder with a gate and a trace, and a job. */
struct fixture {
    char *folder, *gate, *trace;
    struct strake_job *job;
    struct strake_err err;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    fixture->folder = folder_make();
    fixture->gate = path_join(fixture->folder, "gate");
    fixture->trace = path_join(fixture->folder, "trace");
    fixture->job = strake_job_new(NULL, NULL, NULL);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    strake_job_free(fixture->job);
    strake_err_dispose(&fixture->err);
    folder_remove(fixture->folder);
    free(fixture->gate);
    free(fixture->trace);
    free(fixture);
    return 0;
}

static struct strake_instance *open_instance(struct fixture *fixture, const char *type,
                                             const char *interface, const char *more_key,
                                             const char *more)
{
    json_t *options = json_pack("{s:s,s:s}", "gate", fixture->gate, "trace", fixture->trace);
    struct strake_instance *instance = NULL;

    if (more_key)
        json_object_set_new(options, more_key, json_string(more));
    if (strake_instance_open(type, "lab", interface, options, &instance, &fixture->err) < 0)
        fail_msg("%s", strake_err_message(&fixture->err));
    json_decref(options);
    return instance;
}

/* The plugin's method ends now; wait until what it left behind is gone as well. */
static void open_gate(struct fixture *fixture)
{
    file_write(fixture->gate, "", 0);
    for (int i = 0; strake_threads_left() && i < 2000; i++)
        usleep(5000);
    assert_int_equal(strake_threads_left(), 0);
}

static void assert_says(struct fixture *fixture, const char *part)
{
    if (!strstr(strake_err_message(&fixture->err), part))
        fail_msg("\"%s\" does not say \"%s\"", strake_err_message(&fixture->err), part);
    strake_err_dispose(&fixture->err);
}

static const struct strake_message message = {
    .size = sizeof(message),
    .id = "1",
    .event = "message",
    .title = "",
    .text = "hello",
    .click = "",
    .priority = 3,
    .tags = (const char *const[]){ "one", NULL },
    .data = "",
};

/* ---- opening ---- */

static void open_refuses_unknown_options_and_names_the_instance(void **state)
{
    struct fixture *fixture = *state;
    json_t *options = json_pack("{s:b}", "no-such-option", 1);
    struct strake_instance *instance = NULL;

    assert_int_equal(
        strake_instance_open("good", "phone", "notifier/1", options, &instance, &fixture->err),
        STRAKE_ECONFIG);
    assert_null(instance);
    assert_string_equal(strake_err_message(&fixture->err), "phone: unknown option no-such-option");
    json_decref(options);
}

static void open_refuses_another_interface(void **state)
{
    struct fixture *fixture = *state;
    struct strake_instance *instance = NULL;

    assert_int_equal(
        strake_instance_open("good", "lab", "builder/1", NULL, &instance, &fixture->err),
        STRAKE_ECONFIG);
    assert_says(fixture, "the plugin good is no builder");
    assert_int_equal(
        strake_instance_open("good", "lab", "teleporter/1", NULL, &instance, &fixture->err),
        STRAKE_ECONFIG);
    assert_says(fixture, "is no teleporter");
}

static void open_describes_a_silent_failure(void **state)
{
    struct fixture *fixture = *state;
    struct strake_instance *instance = NULL;

    assert_int_equal(
        strake_instance_open("silent", "lab", "notifier/1", NULL, &instance, &fixture->err),
        STRAKE_ECONFIG);
    assert_says(fixture, "open() failed and did not say why");
}

/* ---- calls that end ---- */

static void send_gives_the_receipt(void **state)
{
    static const char *const types[] = { "good", "hello", "older", "older", "newer", "newer" };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < 6; i += 2) {
        struct strake_instance *notifier =
            open_instance(fixture, types[i], "notifier/1", NULL, NULL);
        struct strake_buf receipt = STRAKE_BUF(100);
        assert_int_equal(
            strake_notifier_send(notifier, &message, fixture->job, &receipt, &fixture->err), 0);
        assert_string_equal(strake_buf_text(&receipt), types[i + 1]);
        strake_buf_dispose(&receipt);
        strake_instance_unref(notifier);
    }
}

static void ping_of_a_notifier_without_one_says_so(void **state)
{
    struct fixture *fixture = *state;
    struct strake_instance *notifier = open_instance(fixture, "older", "notifier/1", NULL, NULL);
    struct strake_buf detail = STRAKE_BUF(100);

    assert_int_equal(strake_notifier_ping(notifier, fixture->job, &detail, &fixture->err), 0);
    assert_non_null(strstr(strake_buf_text(&detail), "without sending"));
    strake_buf_dispose(&detail);
    strake_instance_unref(notifier);
}

static void calls_end_texts_that_a_plugin_did_not_end(void **state)
{
    struct fixture *fixture = *state;
    struct strake_instance *builder = open_instance(fixture, "blocks", "builder/1", NULL, NULL);
    struct strake_instance *store = open_instance(fixture, "store", "registry/1", NULL, NULL);
    struct strake_builder_info info;
    struct strake_descriptor out;

    open_gate(fixture);
    assert_int_equal(strake_builder_probe(builder, fixture->job, &info, &fixture->err), 0);
    assert_int_equal(strlen(info.version), sizeof(info.version) - 1);
    assert_int_equal(strake_registry_resolve(store, fixture->job, "r", "t", &out, &fixture->err),
                     0);
    assert_int_equal(strlen(out.media_type), sizeof(out.media_type) - 1);
    assert_string_equal(out.digest, DIGEST_7);
    strake_instance_unref(builder);
    strake_instance_unref(store);
}

static void builder_results_are_checked(void **state)
{
    struct fixture *fixture = *state;
    struct strake_instance *builder = open_instance(fixture, "blocks", "builder/1", NULL, NULL);
    struct strake_build_request request = { .size = sizeof(request),
                                            .target = "app",
                                            .args = (const struct strake_pair *const[]){ NULL } };
    struct strake_build_result result;
    json_t *command;

    open_gate(fixture);
    assert_int_equal(strake_builder_features(builder), STRAKE_BUILDER_PUSH);
    assert_int_equal(one_command(builder, &request, &command, &fixture->err), STRAKE_EINTERNAL);
    assert_null(command);
    assert_says(fixture, "command() gave no list of strings");
    assert_int_equal(strake_builder_build(builder, &request, fixture->job, &result, &fixture->err),
                     STRAKE_EBUILDER);
    assert_string_equal(result.digest, "");
    assert_says(fixture, "named a digest that is none: sha256:none");
    strake_instance_unref(builder);
}

static void steps_of_a_build_count_for_the_job_of_its_caller(void **state)
{
    struct fixture *fixture = *state;
    struct strake_instance *builder = open_instance(fixture, "blocks", "builder/1", NULL, NULL);
    struct strake_build_request request = { .size = sizeof(request), .target = "app" };
    struct strake_build_result result;
    int total, cached;

    open_gate(fixture);
    strake_builder_build(builder, &request, fixture->job, &result, &fixture->err);
    strake_job_steps_count(fixture->job, &total, &cached);
    assert_int_equal(total, 1);
    assert_int_equal(cached, 0);
    strake_instance_unref(builder);
}

static void resolve_results_are_checked(void **state)
{
    static const struct {
        const char *fault;
        const char *reference;
        int rc;
        const char *says;
    } cases[] = {
        { "digest", "latest", STRAKE_EREGISTRY, "lab named a digest that is none: sha256:latest" },
        { "none", "sha256:1111111111111111111111111111111111111111111111111111111111111111",
          STRAKE_ECORRUPT, "and answered of " DIGEST_7 },
        { "mute", "latest", STRAKE_EREGISTRY, "resolve() failed and did not say why" },
        { "positive", "latest", STRAKE_EINTERNAL, "resolve() returned 3, which is no result" },
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_instance *store =
            open_instance(fixture, "store", "registry/1", "fault", cases[i].fault);
        struct strake_descriptor out;
        assert_int_equal(strake_registry_resolve(store, fixture->job, "r", cases[i].reference, &out,
                                                 &fixture->err),
                         cases[i].rc);
        assert_says(fixture, cases[i].says);
        strake_instance_unref(store);
    }
}

static void manifests_are_hashed_whoever_sends_them(void **state)
{
    static const char braces[] =
        "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    struct fixture *fixture = *state;
    struct strake_instance *store = open_instance(fixture, "store", "registry/1", NULL, NULL);
    struct strake_buf bytes = STRAKE_BUF(100);
    struct strake_descriptor out;

    assert_int_equal(strake_registry_manifest_get(store, fixture->job, "r", "latest", &bytes, &out,
                                                  &fixture->err),
                     0);
    assert_string_equal(strake_buf_text(&bytes), "{}");
    assert_string_equal(out.digest, braces);
    assert_int_equal(out.size_bytes, 2);
    assert_string_equal(out.media_type, "application/json");
    strake_buf_clear(&bytes);
    assert_int_equal(strake_registry_manifest_get(store, fixture->job, "r", DIGEST_7, &bytes, &out,
                                                  &fixture->err),
                     STRAKE_ECORRUPT);
    assert_says(fixture, "sent other bytes than r@" DIGEST_7);
    assert_int_equal(bytes.len, 0);
    strake_buf_dispose(&bytes);
    strake_instance_unref(store);
}

static void manifest_put_believes_only_its_own_digest(void **state)
{
    struct fixture *fixture = *state;
    struct strake_instance *good = open_instance(fixture, "store", "registry/1", NULL, NULL);
    struct strake_instance *bad = open_instance(fixture, "store", "registry/1", "fault", "digest");

    assert_int_equal(
        strake_registry_manifest_put(good, fixture->job, "r", "t", "m/t", "{}", 2, &fixture->err),
        0);
    assert_int_equal(
        strake_registry_manifest_put(bad, fixture->job, "r", "t", "m/t", "{}", 2, &fixture->err),
        STRAKE_ECORRUPT);
    assert_says(fixture, "but its digest is sha256:4413");
    strake_instance_unref(good);
    strake_instance_unref(bad);
}

static void tags_are_valid_sorted_and_told_once(void **state)
{
    struct fixture *fixture = *state;
    struct strake_instance *store = open_instance(fixture, "store", "registry/1", NULL, NULL);
    struct strake_strings tags = { 0 };

    assert_int_equal(strake_registry_tags(store, fixture->job, "r", &tags, &fixture->err), 0);
    assert_int_equal(tags.count, 3);
    assert_string_equal(tags.items[0], "latest");
    assert_string_equal(tags.items[1], "v1");
    assert_string_equal(tags.items[2], "v2");
    strake_strings_dispose(&tags);
    strake_instance_unref(store);
}

static void tags_without_end_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct strake_instance *store =
        open_instance(fixture, "store", "registry/1", "fault", "endless");
    struct strake_strings tags = { 0 };

    assert_int_equal(strake_registry_tags(store, fixture->job, "r", &tags, &fixture->err),
                     STRAKE_ETOOBIG);
    assert_says(fixture, "lists more than 100000 tags");
    assert_int_equal(tags.count, 0);
    strake_instance_unref(store);
}

static void what_a_store_cannot_do_is_unsupported(void **state)
{
    struct fixture *fixture = *state;
    struct strake_instance *store = open_instance(fixture, "store", "registry/1", NULL, NULL);
    struct strake_buf bytes = STRAKE_BUF(100);
    struct strake_manifest found;

    assert_int_equal(strake_registry_manifest_delete(store, fixture->job, "r", "t", &fixture->err),
                     STRAKE_EUNSUPPORTED);
    assert_int_equal(
        strake_registry_referrers(store, fixture->job, "r", DIGEST_7, "", &found, &fixture->err),
        STRAKE_EUNSUPPORTED);
    assert_int_equal(strake_registry_ping(store, fixture->job, &bytes, &fixture->err), 0);
    strake_instance_unref(store);
}

/* ---- calls that do not end ---- */

static void notifier_that_never_returns_is_left_behind(void **state)
{
    struct fixture *fixture = *state;
    struct strake_instance *notifier = open_instance(fixture, "blocks", "notifier/1", NULL, NULL);
    struct strake_buf receipt = STRAKE_BUF(100);
    struct file_bytes trace;
    char tag[] = "alive";
    const char *const tags[] = { tag, NULL };
    struct strake_message own = message;

    own.tags = tags;
    strake_job_set_timeout(fixture->job, 20);
    assert_int_equal(strake_notifier_send(notifier, &own, fixture->job, &receipt, &fixture->err),
                     STRAKE_ETIMEOUT);
    assert_says(fixture, "the plugin blocks did not end send() of lab within");
    assert_int_equal(strake_threads_left(), 1);
    /* All that was the caller's is gone before the method goes on. */
    strake_instance_unref(notifier);
    strake_job_free(fixture->job);
    fixture->job = NULL;
    memset(tag, 'x', sizeof(tag) - 1);
    open_gate(fixture);
    assert_int_equal(receipt.len, 0);
    trace = file_read(fixture->trace);
    assert_string_equal(trace.data, "alive");
    free(trace.data);
}

static void *cancel_soon(void *job)
{
    usleep(20000);
    strake_job_cancel(job);
    return NULL;
}

static void build_that_obeys_is_cancelled_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct strake_instance *builder = open_instance(fixture, "blocks", "builder/1", "obeys", "yes");
    struct strake_build_request request = { .size = sizeof(request), .target = "app" };
    struct strake_build_result result;
    pthread_t thread;

    pthread_create(&thread, NULL, cancel_soon, fixture->job);
    assert_int_equal(strake_builder_build(builder, &request, fixture->job, &result, &fixture->err),
                     STRAKE_ECANCELLED);
    pthread_join(thread, NULL);
    assert_int_equal(strake_threads_left(), 0);
    assert_string_equal(strake_err_message(&fixture->err), "cancelled");
    strake_instance_unref(builder);
}

static void build_that_does_not_obey_is_left_behind_with_its_request(void **state)
{
    struct fixture *fixture = *state;
    struct strake_instance *builder = open_instance(fixture, "blocks", "builder/1", NULL, NULL);
    char value[] = "kept";
    const struct strake_pair arg = { "NAME", value };
    const struct strake_pair *const args[] = { &arg, NULL };
    struct strake_build_request request = { .size = sizeof(request),
                                            .target = "app",
                                            .args = args };
    struct strake_build_result result;
    struct file_bytes trace;
    pthread_t thread;

    pthread_create(&thread, NULL, cancel_soon, fixture->job);
    assert_int_equal(strake_builder_build(builder, &request, fixture->job, &result, &fixture->err),
                     STRAKE_ECANCELLED);
    pthread_join(thread, NULL);
    assert_says(fixture, "did not stop build() of lab within 5.0 s");
    memset(value, 'x', sizeof(value) - 1);
    strake_instance_unref(builder);
    strake_job_free(fixture->job);
    fixture->job = NULL;
    open_gate(fixture);
    trace = file_read(fixture->trace);
    assert_string_equal(trace.data, "kept");
    free(trace.data);
}

static void registry_that_never_answers_is_left_behind(void **state)
{
    struct fixture *fixture = *state;
    struct strake_instance *store = open_instance(fixture, "store", "registry/1", "fault", "stuck");
    struct strake_descriptor out;

    strake_job_set_timeout(fixture->job, 20);
    assert_int_equal(strake_registry_resolve(store, fixture->job, "r", "t", &out, &fixture->err),
                     STRAKE_ETIMEOUT);
    assert_says(fixture, "the plugin store did not end resolve() of lab within");
    strake_instance_unref(store);
    open_gate(fixture);
}

static void nothing_is_called_for_a_cancelled_job(void **state)
{
    struct fixture *fixture = *state;
    struct strake_instance *store = open_instance(fixture, "store", "registry/1", "fault", "stuck");
    struct strake_descriptor out;

    strake_job_cancel(fixture->job);
    assert_int_equal(strake_registry_resolve(store, fixture->job, "r", "t", &out, &fixture->err),
                     STRAKE_ECANCELLED);
    assert_int_equal(strake_threads_left(), 0);
    strake_instance_unref(store);
}

/* ---- without memory ---- */

/* Each kind of call once, with an instance of its own. */
static int use_notifier(void *ctx)
{
    struct strake_err err = { 0 };
    struct strake_buf receipt = STRAKE_BUF(100);
    struct strake_instance *notifier = NULL;
    struct strake_job *job = strake_job_new(NULL, NULL, NULL);
    int rc = job ? strake_instance_open("good", "lab", "notifier/1", NULL, &notifier, &err)
                 : STRAKE_ENOMEM;

    (void)ctx;
    if (rc == 0)
        rc = strake_notifier_send(notifier, &message, job, &receipt, &err);
    assert_int_equal(rc == 0, err.code == 0 && receipt.len == 5);
    strake_instance_unref(notifier);
    strake_job_free(job);
    strake_buf_dispose(&receipt);
    strake_err_dispose(&err);
    return rc;
}

static int use_builder(void *ctx)
{
    static const struct strake_build_secret secret = { .id = "token", .name = "TOKEN" };
    static const struct strake_pair arg = { "A", "1" };
    struct strake_build_request request = {
        .size = sizeof(request),
        .target = "app",
        .context = "/",
        .stage = "",
        .args = (const struct strake_pair *const[]){ &arg, NULL },
        .platforms = (const char *const[]){ "linux/amd64", NULL },
        .secrets = (const struct strake_build_secret *const[]){ &secret, NULL },
        .auth_json = "{}",
    };
    struct strake_build_result result;
    struct strake_builder_info info;
    struct strake_err err = { 0 };
    struct strake_job *job = strake_job_new(NULL, NULL, NULL);
    struct strake_instance *builder = NULL;
    json_t *command;
    int rc = job ? strake_instance_open("blocks", "lab", "builder/1", NULL, &builder, &err)
                 : STRAKE_ENOMEM;

    (void)ctx;
    if (rc == 0)
        rc = strake_builder_probe(builder, job, &info, &err);
    /* The plugin's answers are wrong: without a lack of memory that is what is told. */
    if (rc == 0 && one_command(builder, &request, &command, &err) == STRAKE_EINTERNAL &&
        strake_builder_build(builder, &request, job, &result, &err) == STRAKE_EBUILDER)
        rc = 0;
    else
        rc = STRAKE_ENOMEM;
    assert_true(rc == 0 || !err.message || err.code < 0);
    strake_instance_unref(builder);
    strake_job_free(job);
    strake_err_dispose(&err);
    return rc;
}

static int use_registry(void *ctx)
{
    struct strake_err err = { 0 };
    struct strake_buf bytes = STRAKE_BUF(100);
    struct strake_strings tags = { 0 };
    struct strake_descriptor out;
    struct strake_job *job = strake_job_new(NULL, NULL, NULL);
    struct strake_instance *store = NULL;
    int rc = job ? strake_instance_open("store", "lab", "registry/1", NULL, &store, &err)
                 : STRAKE_ENOMEM;

    (void)ctx;
    if (rc == 0)
        rc = strake_registry_resolve(store, job, "r", "t", &out, &err);
    if (rc == 0)
        rc = strake_registry_manifest_get(store, job, "r", "t", &bytes, &out, &err);
    if (rc == 0)
        rc = strake_registry_manifest_put(store, job, "r", "t", "m/t", "{}", 2, &err);
    if (rc == 0)
        rc = strake_registry_tags(store, job, "r", &tags, &err);
    assert_int_equal(rc == 0, tags.count == 3);
    strake_instance_unref(store);
    strake_job_free(job);
    strake_buf_dispose(&bytes);
    strake_strings_dispose(&tags);
    strake_err_dispose(&err);
    return rc;
}

static void calls_survive_every_failing_allocation(void **state)
{
    (void)state;
    assert_int_equal(use_builder(NULL), 0); /* loaded once and for all */
    torture(use_notifier, NULL);
    torture(use_builder, NULL);
    torture(use_registry, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(open_refuses_unknown_options_and_names_the_instance),
        TEST(open_refuses_another_interface),
        TEST(open_describes_a_silent_failure),
        TEST(send_gives_the_receipt),
        TEST(ping_of_a_notifier_without_one_says_so),
        TEST(calls_end_texts_that_a_plugin_did_not_end),
        TEST(builder_results_are_checked),
        TEST(steps_of_a_build_count_for_the_job_of_its_caller),
        TEST(resolve_results_are_checked),
        TEST(manifests_are_hashed_whoever_sends_them),
        TEST(manifest_put_believes_only_its_own_digest),
        TEST(tags_are_valid_sorted_and_told_once),
        TEST(tags_without_end_are_refused),
        TEST(what_a_store_cannot_do_is_unsupported),
        TEST(notifier_that_never_returns_is_left_behind),
        TEST(build_that_obeys_is_cancelled_at_once),
        TEST(build_that_does_not_obey_is_left_behind_with_its_request),
        TEST(registry_that_never_answers_is_left_behind),
        TEST(nothing_is_called_for_a_cancelled_job),
        TEST(calls_survive_every_failing_allocation),
    };
    int failed = cmocka_run_group_tests(tests, group_setup, NULL);

    strake_work_call_end();
    strake_threads_finish();
    return failed;
}
