/* Blobs between two stores: whole, verified before they are complete, and never waiting for ever.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "image/digest.h"
#include "plugin/instance.h"
#include "plugin_files.h"
#include "util/thread.h"
#include "util/work.h"

static int group_setup(void **state)
{
    struct strake_err err = { 0 };

    (void)state;
    setenv("STRAKE_PLUGIN_PATH", ABI_PLUGINS, 1);
    return strake_loader_setup("/no/such/prefix/bin/strake", &err);
}

struct fixture {
    char *folder, *gate, *into;
    struct strake_job *job;
    struct strake_err err;
    int64_t nth; /* the allocation that fails */
    bool sticky, reached;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    fixture->folder = folder_make();
    fixture->gate = path_join(fixture->folder, "gate");
    fixture->into = path_join(fixture->folder, "into");
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
    free(fixture->into);
    free(fixture);
    return 0;
}

static struct strake_instance *open_store(struct fixture *fixture, size_t size, const char *fault)
{
    char text[32];
    json_t *options;
    struct strake_instance *store = NULL;

    snprintf(text, sizeof(text), "%zu", size);
    options = json_pack("{s:s,s:s,s:s,s:s}", "size", text, "fault", fault, "gate", fixture->gate,
                        "into", fixture->into);
    assert_int_equal(
        strake_instance_open("store", fault, "registry/1", options, &store, &fixture->err), 0);
    json_decref(options);
    return store;
}

/* What tests/abi/store.c sends. */
static char *pattern(size_t size)
{
    char *data = malloc(size + 1);

    assert_non_null(data);
    for (size_t i = 0; i < size; i++)
        data[i] = (char)((long)i * 31 >> 3);
    return data;
}

/* Copy `size` bytes from a store with one fault to a store with another. */
static int copy(struct fixture *fixture, size_t size, const char *from_fault, const char *to_fault)
{
    struct strake_instance *from = open_store(fixture, size, from_fault);
    struct strake_instance *to = open_store(fixture, size, to_fault);
    char digest[STRAKE_DIGEST_TEXT], how = 0, *data = pattern(size);
    int rc;

    assert_int_equal(strake_digest_of(data, size, digest, &fixture->err), 0);
    rc = strake_registry_blob_copy(from, "a/from", to, "b/to", fixture->job, digest, (int64_t)size,
                                   NULL, &how, &fixture->err);
    assert_int_equal(how, 'c');
    free(data);
    strake_instance_unref(from);
    strake_instance_unref(to);
    return rc;
}

static void assert_arrived(const struct fixture *fixture, size_t size)
{
    struct file_bytes bytes = file_read(fixture->into);
    char *data = pattern(size);

    assert_int_equal(bytes.len, size);
    assert_memory_equal(bytes.data, data, size);
    free(bytes.data);
    free(data);
}

static void assert_failed(struct fixture *fixture, int rc, int want, const char *says)
{
    assert_int_equal(rc, want);
    if (!strstr(strake_err_message(&fixture->err), says))
        fail_msg("\"%s\" does not say \"%s\"", strake_err_message(&fixture->err), says);
    strake_err_dispose(&fixture->err);
}

static void copy_brings_every_byte_at_every_size(void **state)
{
    static const size_t sizes[] = {
        0, 1, 2, 4096, 10007, 10008, 1048575, 1048576, 1048577, 7654321
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_int_equal(copy(fixture, sizes[i], "none", "none"), 0);
        assert_arrived(fixture, sizes[i]);
    }
}

static void copy_starts_again_when_the_destination_asks(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(copy(fixture, 5000000, "none", "again"), 0);
    assert_arrived(fixture, 5000000);
}

/* The destination must never see the last byte of what is not right. */
static void assert_never_complete(const struct fixture *fixture, size_t size)
{
    struct file_bytes bytes = file_read(fixture->into);

    assert_true(bytes.len < size);
    free(bytes.data);
}

static void copy_never_completes_wrong_bytes(void **state)
{
    static const struct {
        const char *fault;
        const char *says;
    } cases[] = {
        { "corrupt", "corrupt sent other bytes for the blob" },
        { "short", "short sent fewer bytes" },
        { "long", "long sent more bytes" },
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t size = 1; size < 4000000; size = size * 37 + 5) {
            int rc = copy(fixture, size, cases[i].fault, "none");
            assert_failed(fixture, rc, STRAKE_ECORRUPT, cases[i].says);
            assert_never_complete(fixture, size);
        }
    }
}

static void copy_tells_the_sources_failure_not_its_echo(void **state)
{
    struct fixture *fixture = *state;
    int rc = copy(fixture, 3000000, "broken", "none");

    assert_failed(fixture, rc, STRAKE_ENETWORK, "the line broke");
}

static void wait_for_those_left(void)
{
    assert_true(strake_threads_left() > 0);
    for (int i = 0; strake_threads_left() && i < 2000; i++)
        usleep(5000);
    assert_int_equal(strake_threads_left(), 0);
}

static void copy_from_a_source_that_hangs_ends_with_the_job(void **state)
{
    struct fixture *fixture = *state;
    int rc;

    strake_job_set_timeout(fixture->job, 1000);
    rc = copy(fixture, 3000000, "stuck-get", "none");
    assert_failed(fixture, rc, STRAKE_ETIMEOUT, "the plugin store sent no more of the blob");
    strake_job_free(fixture->job);
    fixture->job = NULL;
    file_write(fixture->gate, "", 0);
    wait_for_those_left(); /* both go their way without us */
}

static void copy_to_a_destination_that_hangs_ends_with_the_job(void **state)
{
    struct fixture *fixture = *state;
    int rc;

    strake_job_set_timeout(fixture->job, 1000);
    rc = copy(fixture, 3000000, "none", "stuck-put");
    assert_failed(fixture, rc, STRAKE_ETIMEOUT, "did not end blob_put()");
    strake_job_free(fixture->job);
    fixture->job = NULL;
    file_write(fixture->gate, "", 0);
    wait_for_those_left();
}

static int copy_once(void *ctx)
{
    static const char digest[] =
        "sha256:6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"; /* of one NUL */
    struct fixture *fixture = ctx;
    struct strake_instance *from = open_store(fixture, 1, "none");
    struct strake_instance *to = open_store(fixture, 1, "again");
    struct strake_err err = { 0 };
    char how;
    int rc;

    strake_mem_fail_at(fixture->nth, fixture->sticky);
    rc = strake_registry_blob_copy(from, "a/from", to, "b/to", fixture->job, digest, 1, NULL, &how,
                                   &err);
    fixture->reached = fixture->nth && strake_mem_count() >= fixture->nth;
    strake_mem_fail_at(0, false);
    assert_int_equal(rc == 0, err.code == 0);
    strake_err_dispose(&err);
    strake_instance_unref(from);
    strake_instance_unref(to);
    return rc;
}

static void copy_survives_every_failing_allocation(void **state)
{
    struct fixture *fixture = *state;

    for (int sticky = 0; sticky <= 1; sticky++) {
        fixture->sticky = sticky == 1;
        fixture->reached = true;
        for (fixture->nth = 1; fixture->reached && fixture->nth < 1000; fixture->nth++) {
            int rc = copy_once(fixture);
            assert_true(rc <= 0);
            assert_true(rc == 0 || fixture->reached);
        }
        assert_false(fixture->reached);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(copy_brings_every_byte_at_every_size),
        TEST(copy_starts_again_when_the_destination_asks),
        TEST(copy_never_completes_wrong_bytes),
        TEST(copy_tells_the_sources_failure_not_its_echo),
        TEST(copy_from_a_source_that_hangs_ends_with_the_job),
        TEST(copy_to_a_destination_that_hangs_ends_with_the_job),
        TEST(copy_survives_every_failing_allocation),
    };
    int failed = cmocka_run_group_tests(tests, group_setup, NULL);

    strake_work_call_end();
    strake_threads_finish();
    return failed;
}
