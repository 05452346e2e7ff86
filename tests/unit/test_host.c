/* The host table: what plugin.h promises, for plugins of another age too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#undef fail /* the host has one of its own */

#include "plugin/loader.h"
#include "util/err.h"
#include "util/job.h"
#include "util/secret.h"

static const struct strake_host *host;

static int setup(void **state)
{
    (void)state;
    host = strake_host_table();
    return 0;
}

static void table_is_whole(void **state)
{
    const struct strake_host *table = strake_host_table();
    void *const *slot = (void *const *)(const void *)&table->version;
    size_t count = (sizeof(*table) - offsetof(struct strake_host, version)) / sizeof(void *);

    (void)state;
    assert_int_equal(table->size, sizeof(*table));
    assert_int_equal(table->abi, STRAKE_ABI);
    for (size_t i = 0; i < count; i++)
        assert_non_null(slot[i]);
}

static void buffers_have_a_maximum(void **state)
{
    struct strake_buf *buf = host->buf_new(5);
    size_t len = 9;

    (void)state;
    assert_string_equal(host->buf_data(buf, &len), "");
    assert_int_equal(len, 0);
    assert_int_equal(host->buf_append(buf, "abc", 3), 0);
    assert_int_equal(host->buf_append(buf, "def", 3), STRAKE_ETOOBIG);
    assert_string_equal(host->buf_data(buf, &len), "abc");
    assert_int_equal(len, 3);
    host->buf_clear(buf);
    assert_string_equal(host->buf_data(buf, NULL), "");
    host->buf_free(buf);
    host->buf_free(NULL);
}

static void failures_are_described_once(void **state)
{
    struct strake_err *err = host->err_new();

    (void)state;
    assert_int_equal(host->err_code(err), 0);
    assert_string_equal(host->err_message(err), "");
    assert_int_equal(host->fail(err, STRAKE_EBUILDER, "%s at %d", "nobody", 1234), STRAKE_EBUILDER);
    host->err_hint(err, "start %s", "it");
    host->err_place(err, "Dockerfile", 3);
    host->err_detail(err, "words", 5);
    assert_int_equal(host->err_code(err), STRAKE_EBUILDER);
    assert_string_equal(host->err_message(err), "nobody at 1234");
    assert_string_equal(err->hint, "start it");
    assert_string_equal(err->file, "Dockerfile");
    assert_int_equal(err->line, 3);
    assert_string_equal(err->detail, "words");
    host->err_free(err);
    host->err_free(NULL);
}

/* A text of a plugin is never a format. */
static void percent_signs_are_only_text(void **state)
{
    struct strake_err *err = host->err_new();

    (void)state;
    host->fail(err, STRAKE_EIO, "%s", "100%n %s");
    host->err_hint(err, "%s", "50%n");
    assert_string_equal(host->err_message(err), "100%n %s");
    assert_string_equal(err->hint, "50%n");
    host->log(STRAKE_LOG_DEBUG, "%s", "%n%n%n");
    host->err_free(err);
}

static void secrets_that_are_marked_are_redacted(void **state)
{
    struct strake_err *err = host->err_new();

    (void)state;
    host->secret_mark("tk_0123456789", 13);
    host->fail(err, STRAKE_EAUTH, "the token tk_0123456789 is wrong");
    assert_null(strstr(host->err_message(err), "tk_0123456789"));
    host->err_free(err);
    strake_secret_reset();
}

static void secret_get_refuses_what_was_never_declared(void **state)
{
    struct strake_err *err = host->err_new();
    struct strake_buf *value = host->buf_new(100);

    (void)state;
    assert_int_equal(host->secret_get("NO_SUCH_SECRET", value, err), STRAKE_ECONFIG);
    assert_non_null(strstr(host->err_message(err), "NO_SUCH_SECRET"));
    host->buf_free(value);
    host->err_free(err);
}

static void digest_is_that_of_the_bytes(void **state)
{
    char out[72];

    (void)state;
    assert_int_equal(host->digest("{}", 2, out), 0);
    assert_string_equal(out,
                        "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
}

/* As of a plugin whose header ended at `cwd`, with garbage where newer fields are. */
static void process_run_reads_no_more_than_the_plugin_has(void **state)
{
    static const char *const argv[] = { "sh", "-c", "exit 7", NULL };
    struct strake_err *err = host->err_new();
    struct strake_job *job = strake_job_new(NULL, NULL, NULL);
    struct strake_process process;
    struct strake_process_result result;

    (void)state;
    memset(&process, 0x5a, sizeof(process));
    memset(&result, 0x5a, sizeof(result));
    process.size = offsetof(struct strake_process, cwd);
    process.argv = argv;
    process.env = NULL;
    result.size = offsetof(struct strake_process_result, signal);
    assert_int_equal(host->process_run(job, &process, &result, err), 0);
    assert_int_equal(result.exit_code, 7);
    assert_int_equal(result.size, offsetof(struct strake_process_result, signal));
    assert_int_equal(result.signal, 0x5a5a5a5a); /* not ours to write */
    strake_job_free(job);
    host->err_free(err);
}

static void http_request_reads_no_more_than_the_plugin_has(void **state)
{
    struct strake_err *err = host->err_new();
    struct strake_job *job = strake_job_new(NULL, NULL, NULL);
    struct strake_buf *answer = host->buf_new(100);
    struct strake_http_request request;
    struct strake_http_response response;

    (void)state;
    memset(&request, 0x5a, sizeof(request));
    memset(&response, 0x5a, sizeof(response));
    memset(&request, 0, offsetof(struct strake_http_request, ca_file));
    request.size = offsetof(struct strake_http_request, ca_file);
    request.method = "GET";
    request.url = "http://127.0.0.1:1/";
    request.response = answer;
    request.timeout_ms = 5000;
    response.size = offsetof(struct strake_http_response, headers);
    assert_int_equal(host->http_request(job, &request, &response, err), STRAKE_ENETWORK);
    assert_int_equal(response.size, offsetof(struct strake_http_response, headers));
    assert_int_equal(response.retries, 0x5a5a5a5a);
    host->buf_free(answer);
    strake_job_free(job);
    host->err_free(err);
}

static void jobs_tell_their_state(void **state)
{
    struct strake_job *job = strake_job_new(NULL, NULL, NULL);

    (void)state;
    assert_false(host->job_cancelled(job));
    assert_int_equal(host->job_remaining_ms(job), -1);
    assert_true(host->job_cancel_fd(job) >= 0);
    strake_job_cancel(job);
    assert_true(host->job_cancelled(job));
    strake_job_free(job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_whole),
        cmocka_unit_test(buffers_have_a_maximum),
        cmocka_unit_test(failures_are_described_once),
        cmocka_unit_test(percent_signs_are_only_text),
        cmocka_unit_test(secrets_that_are_marked_are_redacted),
        cmocka_unit_test(secret_get_refuses_what_was_never_declared),
        cmocka_unit_test(digest_is_that_of_the_bytes),
        cmocka_unit_test(process_run_reads_no_more_than_the_plugin_has),
        cmocka_unit_test(http_request_reads_no_more_than_the_plugin_has),
        cmocka_unit_test(jobs_tell_their_state),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
