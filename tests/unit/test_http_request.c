/* Redirects and retries of HTTP requests, against two servers of the test's own. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/buf.h"
#include "util/http.h"
#include "util/time.h"

#include "http_client.h"
#include "httpd.h"

static struct httpd near;  /* the host that a request names */
static struct httpd other; /* the host that it may be sent on to */
static atomic_int tries;   /* of what is tried again, since a test set it to 0 */

/* "/r/STATUS/WHERE": a redirect. */
static void redirect(struct httpd_conn *conn, const char *path)
{
    int status = atoi(path + 3);
    const char *where = path + 7;
    char location[256] = "";
    if (strcmp(where, "here") == 0)
        snprintf(location, sizeof(location), "Location: land?x=1#part\r\n");
    else if (strcmp(where, "other") == 0)
        snprintf(location, sizeof(location), "Location: http://127.0.0.1:%d/land\r\n", other.port);
    else if (strcmp(where, "and-back") == 0)
        snprintf(location, sizeof(location), "Location: http://127.0.0.1:%d/r/%d/near\r\n",
                 other.port, status);
    else if (strcmp(where, "near") == 0)
        snprintf(location, sizeof(location), "Location: http://127.0.0.1:%d/land\r\n", near.port);
    else if (strcmp(where, "loop") == 0)
        snprintf(location, sizeof(location), "Location: /r/%d/loop\r\n", status);
    else if (strcmp(where, "nowhere") != 0)
        snprintf(location, sizeof(location), "Location: %s\r\n", where);
    httpd_reply(conn, status, location, "moved");
}

static void land(struct httpd_conn *conn, const struct httpd_request *request)
{
    char text[256];
    snprintf(text, sizeof(text), "%s%s%s%s%s %zu", request->method,
             httpd_header(request, "authorization") != NULL ? " auth" : "",
             httpd_header(request, "x-secret") != NULL ? " secret" : "",
             httpd_header(request, "accept") != NULL ? " accept" : "",
             httpd_header(request, "cookie") != NULL ? " cookie" : "", request->body_len);
    httpd_reply(conn, 200, "", text);
}

static void serve(struct httpd_conn *conn, const struct httpd_request *request, void *ctx)
{
    (void)ctx;
    const char *path = request->target;
    if (strstr(path, "/land") != NULL) {
        land(conn, request);
    } else if (strncmp(path, "/r/", 3) == 0) {
        redirect(conn, path);
    } else if (strncmp(path, "/fails/", 7) == 0) { /* STATUS, and how often */
        int try = atomic_fetch_add(&tries, 1) + 1;
        char text[64];
        snprintf(text, sizeof(text), "try %d, %zu", try, request->body_len);
        httpd_reply(conn, try <= atoi(path + 11) ? atoi(path + 7) : 200, "", text);
    } else if (strncmp(path, "/breaks/", 8) == 0) { /* how often */
        int try = atomic_fetch_add(&tries, 1) + 1;
        if (try > atoi(path + 8))
            httpd_reply(conn, 200, "", "whole");
        else
            httpd_printf(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbroken");
        conn->close = true;
    } else if (strncmp(path, "/resets/", 8) == 0) {
        if (atomic_fetch_add(&tries, 1) + 1 > atoi(path + 8))
            httpd_reply(conn, 200, "", "whole");
        else
            httpd_reset(conn);
    } else { /* "/wait/VALUE": for Retry-After */
        char header[128];
        atomic_fetch_add(&tries, 1);
        snprintf(header, sizeof(header), "Retry-After: %s\r\n", path + 6);
        httpd_reply(conn, 429, header, "slowly");
    }
}

static int start_servers(void **state)
{
    (void)state;
    httpd_start(&near, serve, NULL);
    httpd_start(&other, serve, NULL);
    return 0;
}

static int stop_servers(void **state)
{
    (void)state;
    strake_http_reset();
    httpd_stop(&near);
    httpd_stop(&other);
    return 0;
}

static void given_headers(struct client *client)
{
    static const struct strake_pair pairs[] = { { "Authorization", "Bearer hunter2" },
                                                { "X-Secret", "hunter2" },
                                                { "Accept", "text/plain" },
                                                { "Cookie", "a=hunter2" } };
    static const struct strake_pair *const list[] = { &pairs[0], &pairs[1], &pairs[2], &pairs[3],
                                                      NULL };
    client->request.headers = list;
}

/* ---- redirects ------------------------------------------------------------------------------ */

static void redirect_is_followed_by_the_rules(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        const char *path;
        int rc;
        const char
            *landed; /* method, headers and body length that arrived; or words of the error */
    } cases[] = {
        { "GET", "/r/302/here", 0, "GET auth secret accept cookie 0" },
        { "GET", "/r/301/here", 0, "GET auth secret accept cookie 0" },
        { "GET", "/r/308/near", 0, "GET auth secret accept cookie 0" },
        { "GET", "/r/307/other", 0, "GET accept 0" },
        { "GET", "/r/303/other", 0, "GET accept 0" },
        { "GET", "/r/307/and-back", 0, "GET accept 0" },
        { "PUT", "/r/307/here", 0, "PUT auth secret accept cookie 4" },
        { "PUT", "/r/301/here", 0, "PUT auth secret accept cookie 4" },
        { "POST", "/r/308/here", 0, "POST auth secret accept cookie 4" },
        { "POST", "/r/302/here", 0, "GET auth secret accept cookie 0" },
        { "PUT", "/r/303/here", 0, "GET auth secret accept cookie 0" },
        { "DELETE", "/r/307/here", 0, "DELETE auth secret accept cookie 4" },
        { "PUT", "/r/307/other", STRAKE_EREGISTRY, "what is written to one host" },
        { "POST", "/r/308/other", STRAKE_EREGISTRY, "what is written to one host" },
        { "DELETE", "/r/301/other", STRAKE_EREGISTRY, "what is written to one host" },
        { "GET", "/r/302/loop", STRAKE_EREGISTRY, "more than 10 redirects" },
        { "GET", "/r/302/http://registry.example/", STRAKE_EREGISTRY, "not encrypted" },
        { "GET", "/r/302/ftp://127.0.0.1/", STRAKE_EREGISTRY, "no http or https URL" },
        { "GET", "/r/302/http://u:p@localhost/", STRAKE_EREGISTRY, "credentials" },
        { "GET", "/r/302/http://[::1/", STRAKE_EREGISTRY, "no http or https URL" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client client;
        client_init(&client, cases[i].method, near.port, cases[i].path);
        given_headers(&client);
        client.request.max_redirects = 10;
        if (strcmp(cases[i].method, "GET") != 0) {
            client.request.body = "text";
            client.request.body_len = 4;
        }
        int rc = client_send(&client, NULL);
        const char *said =
            rc == 0 ? strake_buf_text(&client.body) : strake_err_message(&client.err);
        if (rc != cases[i].rc || strstr(said, cases[i].landed) == NULL)
            fail_msg("%s %s: %d, %s", cases[i].method, cases[i].path, rc, said);
        assert_null(strstr(said, "moved")); /* the redirect's own body is nobody's */
        client_free(&client);
    }
}

static void redirect_is_an_answer_when_it_is_not_to_be_followed(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int max_redirects;
        int status;
    } cases[] = { { "/r/302/here", 0, 302 },
                  { "/r/302/nowhere", 10, 302 }, /* it does not say where */
                  { "/r/304/here", 10, 304 } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client client;
        client_init(&client, "GET", near.port, cases[i].path);
        client.request.max_redirects = cases[i].max_redirects;
        assert_int_equal(client_send(&client, NULL), 0);
        assert_int_equal(client.response.status, cases[i].status);
        client_free(&client);
    }
}

static void redirect_sends_a_streamed_body_again(void **state)
{
    (void)state;
    struct client client;
    client_init(&client, "PUT", near.port, "/r/307/here");
    client_upload(&client, 50000);
    client.request.max_redirects = 10;
    assert_int_equal(client_send(&client, NULL), 0);
    assert_string_equal(strake_buf_text(&client.body), "PUT accept 50000");
    assert_int_equal(client.rewinds, 1);
    client_free(&client);

    client_init(&client, "PUT", near.port, "/r/307/here");
    client_upload(&client, 50000);
    client.request.rewind = NULL;
    client.request.max_redirects = 10;
    assert_int_equal(client_send(&client, NULL), STRAKE_ENETWORK);
    assert_non_null(strstr(strake_err_message(&client.err), "second time"));
    client_free(&client);
}

/* ---- retries -------------------------------------------------------------------------------- */

static void request_is_tried_again_while_that_may_help(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool idempotent;
        int rc;
        int status;
        int tries;
        const char *body;
    } cases[] = {
        { "/fails/503/2", true, 0, 200, 3, "try 3, 0" },
        { "/fails/429/1", true, 0, 200, 2, "try 2, 0" },
        { "/fails/408/1", true, 0, 200, 2, "try 2, 0" },
        { "/fails/500/9", true, 0, 500, 5, "try 5, 0" },
        { "/fails/503/9", false, 0, 503, 1, "try 1, 0" },
        { "/fails/404/9", true, 0, 404, 1, "try 1, 0" },
        { "/fails/501/9", true, 0, 501, 1, "try 1, 0" },
        { "/breaks/1", true, 0, 200, 2, "whole" },
        { "/breaks/1", false, STRAKE_ENETWORK, 0, 1, "" },
        { "/resets/2", true, 0, 200, 3, "whole" },
        { "/resets/9", true, STRAKE_ENETWORK, 0, 5, "" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client client;
        strake_http_reset(); /* a kept connection that is reset costs libcurl a try of its own */
        atomic_store(&tries, 0);
        client_init(&client, "GET", near.port, cases[i].path);
        client.request.idempotent = cases[i].idempotent;
        int rc = client_send(&client, NULL);
        if (rc != cases[i].rc || (rc == 0 && client.response.status != cases[i].status) ||
            atomic_load(&tries) != cases[i].tries ||
            client.response.retries != cases[i].tries - 1 ||
            strcmp(strake_buf_text(&client.body), cases[i].body) != 0)
            fail_msg("%s: %d, status %d, %d tries, \"%s\", %s", cases[i].path, rc,
                     client.response.status, atomic_load(&tries), strake_buf_text(&client.body),
                     strake_err_message(&client.err));
        if (rc == 0)
            assert_int_equal(client.err.code, 0); /* earlier failures are forgotten */
        client_free(&client);
    }
}

static void request_is_not_tried_again_once_bytes_were_passed_on(void **state)
{
    (void)state;
    struct client client;
    atomic_store(&tries, 0);
    client_init(&client, "GET", near.port, "/breaks/1");
    client_stream(&client);
    client.request.idempotent = true;
    assert_int_equal(client_send(&client, NULL), STRAKE_ENETWORK);
    assert_int_equal(atomic_load(&tries), 1);
    assert_int_equal(client.response.body_bytes, 6); /* to go on from there with Range */
    assert_string_equal(strake_buf_text(&client.streamed), "broken");
    client_free(&client);
}

static void request_sends_its_body_again_or_not_at_all(void **state)
{
    (void)state;
    struct client client;
    atomic_store(&tries, 0);
    client_init(&client, "PUT", near.port, "/fails/503/2");
    client_upload(&client, 40000);
    client.request.idempotent = true;
    assert_int_equal(client_send(&client, NULL), 0);
    assert_string_equal(strake_buf_text(&client.body), "try 3, 40000");
    assert_int_equal(client.rewinds, 2);
    client_free(&client);

    atomic_store(&tries, 0);
    client_init(&client, "PUT", near.port, "/fails/503/2");
    client_upload(&client, 40000);
    client.request.rewind = NULL;
    client.request.idempotent = true;
    assert_int_equal(client_send(&client, NULL), 0);
    assert_int_equal(client.response.status, 503);
    assert_int_equal(atomic_load(&tries), 1);
    client_free(&client);
}

static void request_names_a_wait_that_is_too_long(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int64_t timeout_ms;
        int64_t job_ms; /* 0: no job */
        const char *words;
    } cases[] = {
        { "/wait/7200", 5000, 0, "are left" },
        { "/wait/7200", 0, 0, "1 min 0 s is the most" },
        /* What a whole call may take is no wish to wait for that long. */
        { "/wait/7200", 0, 8000000, "1 min 0 s is the most" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client client;
        atomic_store(&tries, 0);
        client_init(&client, "GET", near.port, cases[i].path);
        client.request.idempotent = true;
        client.request.timeout_ms = cases[i].timeout_ms;
        struct strake_job *job = cases[i].job_ms ? strake_job_new(NULL, NULL, NULL) : NULL;
        if (job)
            strake_job_set_timeout(job, cases[i].job_ms);
        assert_int_equal(client_send(&client, job), STRAKE_ENETWORK);
        strake_job_free(job);
        assert_non_null(strstr(strake_err_message(&client.err), "429"));
        assert_non_null(strstr(strake_err_message(&client.err), cases[i].words));
        assert_non_null(strstr(strake_err_message(&client.err), "wait 2 h"));
        assert_non_null(client.err.hint);
        assert_int_equal(atomic_load(&tries), 1);
        client_free(&client);
    }
}

static void request_waits_as_long_as_it_is_asked_to(void **state)
{
    (void)state;
    struct client client;
    atomic_store(&tries, 0);
    client_init(&client, "GET", near.port, "/wait/2");
    client.request.idempotent = true;
    client.request.timeout_ms = 3900; /* room for one more try, not for two */
    int64_t start = strake_time_mono_ms();
    assert_int_equal(client_send(&client, NULL), STRAKE_ENETWORK);
    assert_true(strake_time_mono_ms() - start >= 2000);
    assert_int_equal(atomic_load(&tries), 2);
    client_free(&client);
}

static void request_gives_its_last_answer_when_no_time_is_left(void **state)
{
    (void)state;
    struct client client;
    atomic_store(&tries, 0);
    client_init(&client, "GET", near.port, "/fails/503/9");
    client.request.idempotent = true;
    client.request.timeout_ms = 60; /* less than the shortest backoff */
    assert_int_equal(client_send(&client, NULL), 0);
    assert_int_equal(client.response.status, 503);
    assert_int_equal(atomic_load(&tries), 1);
    client_free(&client);
}

static void *cancel_soon(void *job)
{
    usleep(50000);
    strake_job_cancel(job);
    return NULL;
}

static void wait_before_a_retry_is_cancelled_with_the_job(void **state)
{
    (void)state;
    struct strake_job *job = strake_job_new(NULL, NULL, NULL);
    struct client client;
    pthread_t thread;
    client_init(&client, "GET", near.port, "/wait/50");
    client.request.idempotent = true;
    int64_t start = strake_time_mono_ms();
    pthread_create(&thread, NULL, cancel_soon, job);
    assert_int_equal(client_send(&client, job), STRAKE_ECANCELLED);
    assert_true(strake_time_mono_ms() - start < 30000);
    pthread_join(thread, NULL);
    client_free(&client);
    strake_job_free(job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(redirect_is_followed_by_the_rules),
        cmocka_unit_test(redirect_is_an_answer_when_it_is_not_to_be_followed),
        cmocka_unit_test(redirect_sends_a_streamed_body_again),
        cmocka_unit_test(request_is_tried_again_while_that_may_help),
        cmocka_unit_test(request_is_not_tried_again_once_bytes_were_passed_on),
        cmocka_unit_test(request_sends_its_body_again_or_not_at_all),
        cmocka_unit_test(request_names_a_wait_that_is_too_long),
        cmocka_unit_test(request_waits_as_long_as_it_is_asked_to),
        cmocka_unit_test(request_gives_its_last_answer_when_no_time_is_left),
        cmocka_unit_test(wait_before_a_retry_is_cancelled_with_the_job),
    };
    return cmocka_run_group_tests(tests, start_servers, stop_servers);
}
