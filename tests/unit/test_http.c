/* HTTP against a server of the test's own: answers, bounds, cancellation, connections, bodies.
 * Redirects and retries are test_http_request.c's. */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/buf.h"
#include "util/http.h"
#include "util/mem.h"
#include "util/time.h"

#include "http_client.h"
#include "httpd.h"
#include "torture.h"

/* What the server does is in the path of the request. */
static void serve(struct httpd_conn *conn, const struct httpd_request *request, void *ctx)
{
    (void)ctx;
    char path[64];
    snprintf(path, sizeof(path), "%.*s", (int)strcspn(request->target, "?"), request->target);
    if (strcmp(path, "/plain") == 0) {
        httpd_reply(conn, 200, "X-Twice: one\r\nContent-Type: text/plain\r\nx-twice:  two \r\n",
                    "hello");
    } else if (strcmp(path, "/headers") == 0) {
        httpd_reply(conn, 200, "", request->head);
    } else if (strcmp(path, "/echo") == 0) {
        httpd_printf(conn, "HTTP/1.1 201 Created\r\nContent-Length: %zu\r\nX-Method: %s\r\n\r\n",
                     request->body_len, request->method);
        httpd_raw(conn, request->body, request->body_len);
    } else if (strcmp(path, "/first-only") == 0) { /* and then closed without a word */
        conn->close = conn->served > 0;
        if (!conn->close)
            httpd_reply(conn, 201, "", "first");
    } else if (strcmp(path, "/missing") == 0) {
        httpd_reply(conn, 404, "", "{\"errors\":[]}");
    } else if (strncmp(path, "/bytes/", 7) == 0 || strncmp(path, "/error/", 7) == 0) {
        size_t len = (size_t)atoll(path + 7);
        char *body = calloc(1, len + 1);
        memset(body, 'x', len);
        httpd_printf(conn, "HTTP/1.1 %d Said\r\nContent-Length: %zu\r\n\r\n",
                     path[1] == 'e' ? 500 : 200, len);
        httpd_raw(conn, body, len);
        free(body);
    } else if (strcmp(path, "/endless") == 0) {
        httpd_printf(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while (!conn->close)
            httpd_printf(conn, "400\r\n%01024d\r\n", 0);
    } else if (strcmp(path, "/endless-headers") == 0) {
        httpd_printf(conn, "HTTP/1.1 200 OK\r\n");
        while (!conn->close)
            httpd_printf(conn, "X-More: %01024d\r\n", 0);
    } else if (strcmp(path, "/half") == 0) {
        httpd_printf(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly some");
        conn->close = true;
    } else if (strcmp(path, "/once") == 0) {
        httpd_reply(conn, 200, "", "then closed");
        conn->close = true;
    } else if (strcmp(path, "/reset") == 0) {
        httpd_reset(conn);
    } else if (strcmp(path, "/gzip") == 0) {
        httpd_reply(conn, 200, "Content-Encoding: gzip\r\n", "as it is");
    } else if (strcmp(path, "/continue") == 0) {
        httpd_printf(conn, "HTTP/1.1 103 Early Hints\r\nX-Early: yes\r\n\r\n");
        httpd_reply(conn, 200, "X-Late: yes\r\n", "");
    } else if (strcmp(path, "/folded") == 0) {
        httpd_reply(conn, 200, "X-Folded: one\r\n  two\r\n", "");
    } else if (strcmp(path, "/ssh") == 0) {
        httpd_printf(conn, "SSH-2.0-OpenSSH_9.2\r\n\r\n");
        conn->close = true;
    } else if (strncmp(path, "http://", 7) == 0) { /* as a proxy */
        httpd_reply(conn, 200, "", path);
    } else if (strcmp(request->method, "CONNECT") == 0) {
        httpd_reply(conn, 403, "", "");
    } else if (strcmp(path, "/hang-in-body") == 0) {
        httpd_printf(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly some");
        httpd_hang(conn);
    } else {
        httpd_hang(conn);
    }
}

static struct httpd server;

static int start_server(void **state)
{
    (void)state;
    struct strake_err err = { 0 };
    if (strake_http_warm(&err) < 0) {
        fprintf(stderr, "%s\n", strake_err_message(&err));
        return -1;
    }
    httpd_start(&server, serve, NULL);
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    strake_http_reset();
    httpd_stop(&server);
    return 0;
}

/* ---- answers -------------------------------------------------------------------------------- */

static void request_gives_status_headers_and_body(void **state)
{
    (void)state;
    struct client client;
    client_init(&client, "GET", server.port, "/plain");
    assert_int_equal(client_send(&client, NULL), 0);
    assert_int_equal(client.response.status, 200);
    assert_int_equal(client.response.body_bytes, 5);
    assert_int_equal(client.response.retries, 0);
    assert_string_equal(strake_buf_text(&client.body), "hello");
    assert_string_equal(
        strake_buf_text(&client.headers),
        "content-length: 5\nx-twice: one\ncontent-type: text/plain\nx-twice: two\n");
    client_free(&client);
}

static void request_keeps_what_a_response_buffer_held(void **state)
{
    (void)state;
    struct client client;
    client_init(&client, "GET", server.port, "/plain");
    strake_buf_puts(&client.body, "before ");
    assert_int_equal(client_send(&client, NULL), 0);
    assert_string_equal(strake_buf_text(&client.body), "before hello");
    client_free(&client);

    client_init(&client, "GET", server.port, "/half");
    strake_buf_puts(&client.body, "before ");
    assert_int_equal(client_send(&client, NULL), STRAKE_ENETWORK);
    assert_string_equal(strake_buf_text(&client.body), "before ");
    client_free(&client);
}

static void request_takes_any_status_as_an_answer(void **state)
{
    (void)state;
    struct client client;
    client_init(&client, "GET", server.port, "/missing");
    client_stream(&client);
    assert_int_equal(client_send(&client, NULL), 0);
    assert_int_equal(client.response.status, 404);
    assert_string_equal(strake_buf_text(&client.body), "{\"errors\":[]}");
    assert_int_equal(client.streamed.len, 0); /* what is streamed is a success only */
    client_free(&client);
}

static void request_passes_over_informational_answers(void **state)
{
    (void)state;
    struct client client;
    client_init(&client, "GET", server.port, "/continue");
    assert_int_equal(client_send(&client, NULL), 0);
    assert_int_equal(client.response.status, 200);
    assert_string_equal(strake_buf_text(&client.headers), "content-length: 0\nx-late: yes\n");
    client_free(&client);
}

static void request_joins_folded_headers(void **state)
{
    (void)state;
    struct client client;
    size_t pos = 0, len = 0;
    client_init(&client, "GET", server.port, "/folded");
    assert_int_equal(client_send(&client, NULL), 0);
    const char *value = strake_http_header(&client.headers, "x-folded", &pos, &len);
    assert_non_null(value);
    assert_int_equal(len, 7);
    assert_memory_equal(value, "one two", 7);
    client_free(&client);
}

static void request_streams_a_large_answer(void **state)
{
    (void)state;
    struct client client;
    client_init(&client, "GET", server.port, "/bytes/5000000");
    client_stream(&client);
    assert_int_equal(client_send(&client, NULL), 0);
    assert_int_equal(client.streamed.len, 5000000);
    assert_int_equal(client.response.body_bytes, 5000000);
    client_free(&client);
}

static void request_fills_only_the_fields_that_a_caller_has(void **state)
{
    (void)state;
    struct client client;
    client_init(&client, "GET", server.port, "/plain");
    client.response.size = offsetof(struct strake_http_response, headers);
    client.request.size = offsetof(struct strake_http_request, timeout_ms);
    client.request.timeout_ms = 1; /* unseen */
    client.response.body_bytes = 77;
    assert_int_equal(client_send(&client, NULL), 0);
    assert_int_equal(client.response.status, 200);
    assert_int_equal(client.response.body_bytes, 77);
    assert_int_equal(client.headers.len, 0);
    client_free(&client);
}

/* ---- what goes out -------------------------------------------------------------------------- */

static void request_sends_its_headers_and_none_that_nobody_wants(void **state)
{
    (void)state;
    static const struct strake_pair pairs[] = { { "Accept", "application/json" },
                                                { "accept", "text/plain" },
                                                { "X-Empty", "" } };
    static const struct strake_pair *const list[] = { &pairs[0], &pairs[1], &pairs[2], NULL };
    struct client client;
    client_init(&client, "GET", server.port, "/headers");
    client.request.headers = list;
    assert_int_equal(client_send(&client, NULL), 0);
    const char *head = strake_buf_text(&client.body);
    assert_non_null(strstr(head, "Accept: application/json\r\n"));
    assert_non_null(strstr(head, "accept: text/plain\r\n"));
    assert_non_null(strstr(head, "X-Empty:"));
    assert_non_null(strstr(head, "User-Agent: strake/"));
    assert_null(strcasestr(head, "expect:"));
    assert_null(strcasestr(head, "accept-encoding:"));
    assert_null(strcasestr(head, "cookie:"));
    assert_null(strcasestr(head, "authorization:"));
    client_free(&client);
}

static void request_sends_a_body_with_any_method(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        const char *body;
    } cases[] = { { "PUT", "text" }, { "POST", "text" }, { "PATCH", "text" }, { "DELETE", "text" },
                  { "POST", "" },    { "PUT", "" },      { "DELETE", "" } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client client;
        size_t pos = 0, len = 0;
        client_init(&client, cases[i].method, server.port, "/echo");
        client.request.body = cases[i].body;
        client.request.body_len = strlen(cases[i].body);
        assert_int_equal(client_send(&client, NULL), 0);
        assert_int_equal(client.response.status, 201);
        assert_string_equal(strake_buf_text(&client.body), cases[i].body);
        const char *method = strake_http_header(&client.headers, "x-method", &pos, &len);
        assert_memory_equal(method, cases[i].method, len);
        client_free(&client);
    }
}

static void request_of_a_head_has_no_body(void **state)
{
    (void)state;
    struct client client;
    client_init(&client, "HEAD", server.port, "/echo");
    assert_int_equal(client_send(&client, NULL), 0);
    assert_int_equal(client.response.status, 201);
    assert_int_equal(client.body.len, 0);
    client_free(&client);
}

static void request_streams_a_body_up(void **state)
{
    (void)state;
    struct client client;
    client_init(&client, "PUT", server.port, "/echo");
    client_upload(&client, 3000001);
    assert_int_equal(client_send(&client, NULL), 0);
    assert_int_equal(client.body.len, 3000001);
    for (size_t i = 0; i < client.body.len; i += 4999)
        assert_int_equal(client.body.data[i], client_byte(i));
    client_free(&client);
}

static void request_fails_when_the_body_to_send_is_short_or_fails(void **state)
{
    (void)state;
    struct client client;
    client_init(&client, "PUT", server.port, "/echo");
    client_upload(&client, 100000);
    client.upload_len = 70000; /* it ends before what was announced */
    assert_int_equal(client_send(&client, NULL), STRAKE_EIO);
    assert_non_null(strstr(strake_err_message(&client.err), "70000 of 100000"));
    client_free(&client);

    client_init(&client, "PUT", server.port, "/echo");
    client_upload(&client, 100000);
    client.upload_fails = STRAKE_ECORRUPT;
    assert_int_equal(client_send(&client, NULL), STRAKE_ECORRUPT);
    assert_int_equal(client.err.code, STRAKE_ECORRUPT);
    client_free(&client);
}

static void request_refuses_what_would_break_the_protocol(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        const char *name;
        const char *value;
    } cases[] = {
        { "GET X", NULL, NULL },  { "", NULL, NULL },    { "GET", "X-A", "b\r\nX-B: c" },
        { "GET", "X-A", "b\nc" }, { "GET", "X A", "b" }, { "GET", "", "b" },
        { "GET", "X-A:", "b" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client client;
        client_init(&client, cases[i].method, server.port, "/plain");
        const struct strake_pair pair = { cases[i].name, cases[i].value };
        const struct strake_pair *const list[] = { cases[i].name != NULL ? &pair : NULL, NULL };
        client.request.headers = list;
        assert_int_equal(client_send(&client, NULL), STRAKE_EUSAGE);
        client_free(&client);
    }
}

static void request_refuses_plain_http_beyond_this_machine(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        int code;
    } cases[] = {
        { "http://registry.example/v2/", STRAKE_ECONFIG },
        { "http://10.0.0.1/", STRAKE_ECONFIG },
        { "http://128.0.0.1/", STRAKE_ECONFIG },
        { "http://127.0.0.1.example/", STRAKE_ECONFIG },
        { "http://[::2]/", STRAKE_ECONFIG },
        { "ftp://127.0.0.1/", STRAKE_EUSAGE },
        { "file:///etc/passwd", STRAKE_EUSAGE },
        { "127.0.0.1/", STRAKE_EUSAGE },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client client;
        client_init(&client, "GET", 1, "/");
        client.request.url = cases[i].url;
        assert_int_equal(client_send(&client, NULL), cases[i].code);
        client_free(&client);
    }
}

/* ---- bounds --------------------------------------------------------------------------------- */

static void request_bounds_an_answer(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int64_t max_bytes;
        size_t buffer_max;
        bool streamed;
        int rc;
        int64_t body_bytes;
    } cases[] = {
        { "/bytes/1000", 1000, 0, false, 0, 1000 },
        { "/bytes/1001", 1000, 0, false, STRAKE_ETOOBIG, 0 },
        { "/bytes/1001", 0, 1000, false, STRAKE_ETOOBIG, 0 },
        { "/bytes/1001", 0, 1001, false, 0, 1001 },
        { "/bytes/1001", 5000, 1000, false, STRAKE_ETOOBIG, 0 },
        { "/bytes/1001", 1000, 0, true, STRAKE_ETOOBIG, 0 },
        { "/endless", 100000, 0, false, STRAKE_ETOOBIG, -1 },
        { "/endless", 100000, 0, true, STRAKE_ETOOBIG, -1 },
        { "/endless-headers", 0, 0, false, STRAKE_ETOOBIG, 0 },
        /* What is said about a failure is cut, and is no failure itself. */
        { "/error/1001", 1000, 0, false, 0, 1000 },
        { "/error/3000000", 0, 0, false, 0, 1024 * 1024 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client client;
        client_init(&client, "GET", server.port, cases[i].path);
        client.request.max_bytes = cases[i].max_bytes;
        client.body.max = cases[i].buffer_max;
        if (cases[i].streamed)
            client_stream(&client);
        int rc = client_send(&client, NULL);
        if (rc != cases[i].rc ||
            (cases[i].body_bytes >= 0 && client.response.body_bytes != cases[i].body_bytes))
            fail_msg("case %zu: %d, %lld bytes, %s", i, rc, (long long)client.response.body_bytes,
                     strake_err_message(&client.err));
        if (rc < 0) {
            assert_int_equal(client.err.code, rc);
            assert_non_null(strstr(strake_err_message(&client.err), "larger than"));
            assert_int_equal(client.body.len, 0);
        }
        client_free(&client);
    }
}

static void request_passes_on_what_a_receiver_refuses(void **state)
{
    (void)state;
    struct client client;
    client_init(&client, "GET", server.port, "/bytes/100000");
    client_stream(&client);
    client.write_fails = STRAKE_ECORRUPT;
    assert_int_equal(client_send(&client, NULL), STRAKE_ECORRUPT);
    assert_int_equal(client.err.code, STRAKE_ECORRUPT);
    client_free(&client);
}

static void request_refuses_a_coding_that_it_did_not_ask_for(void **state)
{
    (void)state;
    struct client client;
    client_init(&client, "GET", server.port, "/gzip");
    assert_int_equal(client_send(&client, NULL), STRAKE_ECORRUPT);
    assert_non_null(strstr(strake_err_message(&client.err), "gzip"));
    client_free(&client);

    /* A stream's receiver checks a digest over the bytes as they came. */
    client_init(&client, "GET", server.port, "/gzip");
    client_stream(&client);
    assert_int_equal(client_send(&client, NULL), 0);
    assert_string_equal(strake_buf_text(&client.streamed), "as it is");
    client_free(&client);
}

/* ---- failures ------------------------------------------------------------------------------- */

static void request_says_what_failed_and_where(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *words[2];
    } cases[] = {
        { "/half?token=abc&digest=d", { "/half?token=[hidden]&digest=d: ", "connection broke" } },
        { "/reset", { "GET http://127.0.0.1:", "connection broke" } },
        { "/ssh", { "no HTTP server", "/ssh" } },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client client;
        client_init(&client, "GET", server.port, cases[i].path);
        assert_int_equal(client_send(&client, NULL), STRAKE_ENETWORK);
        for (size_t k = 0; k < 2; k++) {
            if (strstr(strake_err_message(&client.err), cases[i].words[k]) == NULL)
                fail_msg("case %zu: %s", i, strake_err_message(&client.err));
        }
        assert_null(strstr(strake_err_message(&client.err), "abc"));
        client_free(&client);
    }
}

/* A port on which nobody listens: bound, so that nobody else gets it, but not listening. */
static void request_says_that_a_connection_was_refused(void **state)
{
    (void)state;
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    struct client client;
    client_init(&client, "GET", ntohs(address.sin_port), "/");
    assert_int_equal(client_send(&client, NULL), STRAKE_ENETWORK);
    assert_non_null(strstr(strake_err_message(&client.err), ": connection refused"));
    client_free(&client);
    close(fd);
}

static void request_hides_credentials_of_the_url(void **state)
{
    (void)state;
    struct client client;
    char url[128];
    snprintf(url, sizeof(url), "http://user:hunter2@127.0.0.1:%d/half", server.port);
    client_init(&client, "GET", server.port, "/");
    client.request.url = url;
    assert_int_equal(client_send(&client, NULL), STRAKE_ENETWORK);
    assert_null(strstr(strake_err_message(&client.err), "hunter2"));
    client_free(&client);
}

/* ---- time ----------------------------------------------------------------------------------- */

static void request_ends_at_its_time_limit(void **state)
{
    (void)state;
    static const char *const paths[] = { "/hang", "/hang-in-body" };
    for (size_t i = 0; i < 2; i++) {
        struct client client;
        client_init(&client, "GET", server.port, paths[i]);
        client.request.timeout_ms = 100;
        assert_int_equal(client_send(&client, NULL), STRAKE_ETIMEOUT);
        assert_non_null(strstr(strake_err_message(&client.err), "100 ms"));
        client_free(&client);
    }
}

static void request_ends_at_the_deadline_of_its_job(void **state)
{
    (void)state;
    struct strake_job *job = strake_job_new(NULL, NULL, NULL);
    struct client client;
    strake_job_set_timeout(job, 100);
    client_init(&client, "GET", server.port, "/hang");
    assert_int_equal(client_send(&client, job), STRAKE_ETIMEOUT);
    assert_non_null(strstr(strake_err_message(&client.err), "/hang: "));
    client_free(&client);
    strake_job_free(job);
}

static void *cancel_soon(void *job)
{
    usleep(50000);
    strake_job_cancel(job);
    return NULL;
}

static void request_is_cancelled_with_its_job(void **state)
{
    (void)state;
    static const char *const paths[] = { "/hang", "/hang-in-body" };
    for (size_t i = 0; i < 2; i++) {
        struct strake_job *job = strake_job_new(NULL, NULL, NULL);
        struct client client;
        pthread_t thread;
        client_init(&client, "GET", server.port, paths[i]);
        pthread_create(&thread, NULL, cancel_soon, job);
        assert_int_equal(client_send(&client, job), STRAKE_ECANCELLED);
        pthread_join(thread, NULL);
        assert_int_equal(client.body.len, 0);
        client_free(&client);
        /* And the next request of a cancelled job does not begin. */
        int before = atomic_load(&server.requests);
        client_init(&client, "GET", server.port, "/plain");
        assert_int_equal(client_send(&client, job), STRAKE_ECANCELLED);
        assert_int_equal(atomic_load(&server.requests), before);
        client_free(&client);
        strake_job_free(job);
    }
}

/* ---- connections ---------------------------------------------------------------------------- */

static void requests_share_a_connection(void **state)
{
    (void)state;
    strake_http_reset();
    int before = atomic_load(&server.connections);
    for (int i = 0; i < 5; i++) {
        struct client client;
        client_init(&client, "GET", server.port, i % 2 == 0 ? "/plain" : "/missing");
        assert_int_equal(client_send(&client, NULL), 0);
        client_free(&client);
    }
    assert_int_equal(atomic_load(&server.connections), before + 1);
}

static void request_survives_a_kept_connection_that_was_closed(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct client client;
        client_init(&client, "GET", server.port, "/once");
        assert_int_equal(client_send(&client, NULL), 0);
        client_free(&client);
        usleep(10000); /* the server's close arrives */
        client_init(&client, "PUT", server.port, "/echo");
        client_upload(&client, 1000);
        assert_int_equal(client_send(&client, NULL), 0);
        assert_int_equal(client.body.len, 1000);
        client_free(&client);
    }
}

/* The request is out already when the connection turns out to be dead: it is sent once more on a
 * new one, its body from the start. Without a way back the body must not meet a kept connection. */
static void request_is_repeated_when_a_kept_connection_dies_under_it(void **state)
{
    (void)state;
    strake_http_reset();
    for (int i = 0; i < 3; i++) {
        struct client client;
        client_init(&client, "PUT", server.port, "/first-only");
        client_upload(&client, 50000);
        if (i == 2)
            client.request.rewind = NULL;
        assert_int_equal(client_send(&client, NULL), 0);
        assert_string_equal(strake_buf_text(&client.body), "first");
        assert_int_equal(client.rewinds, i == 1 ? 1 : 0);
        client_free(&client);
    }
}

static void *send_several(void *unused)
{
    (void)unused;
    for (int i = 0; i < 15; i++) {
        struct client client;
        client_init(&client, "PUT", server.port, "/echo");
        client_upload(&client, 20000);
        if (client_send(&client, NULL) != 0 || client.body.len != 20000)
            return client_free(&client), (void *)"failed";
        client_free(&client);
    }
    return NULL;
}

static void requests_run_on_many_threads(void **state)
{
    (void)state;
    pthread_t threads[20]; /* more than are pooled */
    for (size_t i = 0; i < 20; i++)
        pthread_create(&threads[i], NULL, send_several, NULL);
    for (size_t i = 0; i < 20; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
}

static void request_goes_through_the_proxy_of_the_environment(void **state)
{
    (void)state;
    struct client client;
    char proxy[64];
    snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", server.port);
    setenv("http_proxy", proxy, 1);
    setenv("https_proxy", proxy, 1);
    setenv("no_proxy", "127.0.0.1", 1);

    client_init(&client, "GET", 1, "/");
    client.request.url = "http://registry.example/v2/";
    client.request.plain_http = true;
    assert_int_equal(client_send(&client, NULL), 0);
    assert_string_equal(strake_buf_text(&client.body), "http://registry.example/v2/");
    client_free(&client);

    client_init(&client, "GET", 1, "/");
    client.request.url = "https://registry.example/v2/";
    assert_int_equal(client_send(&client, NULL), STRAKE_ENETWORK);
    assert_non_null(strstr(strake_err_message(&client.err), "proxy"));
    assert_non_null(strstr(strake_err_message(&client.err), "403"));
    client_free(&client);

    client_init(&client, "GET", server.port, "/plain");
    assert_int_equal(client_send(&client, NULL), 0);
    assert_string_equal(strake_buf_text(&client.body), "hello");
    client_free(&client);

    setenv("http_proxy", "http://127.0.0.1:1", 1); /* nobody is there */
    client_init(&client, "GET", 1, "/");
    client.request.url = "http://registry.example/v2/";
    client.request.plain_http = true;
    assert_int_equal(client_send(&client, NULL), STRAKE_ENETWORK);
    assert_non_null(strstr(client.err.hint, "http_proxy"));
    client_free(&client);

    unsetenv("http_proxy");
    unsetenv("https_proxy");
    unsetenv("no_proxy");
}

static void request_names_a_certificate_authority_that_cannot_be_read(void **state)
{
    (void)state;
    struct client client;
    client_init(&client, "GET", server.port, "/plain");
    client.request.ca_file = "/no/such/ca.pem";
    assert_int_equal(client_send(&client, NULL), STRAKE_ECONFIG);
    assert_non_null(strstr(strake_err_message(&client.err), "/no/such/ca.pem"));
    client_free(&client);
}

static int request_once(void *ctx)
{
    (void)ctx;
    struct client client;
    client_init(&client, "PUT", server.port, "/echo");
    client_upload(&client, 1000);
    int rc = client_send(&client, NULL);
    if (rc == 0)
        assert_int_equal(client.body.len, 1000);
    else
        assert_int_equal(client.err.code, rc);
    client_free(&client);
    return rc;
}

static void request_survives_every_failing_allocation(void **state)
{
    (void)state;
    torture(request_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_gives_status_headers_and_body),
        cmocka_unit_test(request_keeps_what_a_response_buffer_held),
        cmocka_unit_test(request_takes_any_status_as_an_answer),
        cmocka_unit_test(request_passes_over_informational_answers),
        cmocka_unit_test(request_joins_folded_headers),
        cmocka_unit_test(request_streams_a_large_answer),
        cmocka_unit_test(request_fills_only_the_fields_that_a_caller_has),
        cmocka_unit_test(request_sends_its_headers_and_none_that_nobody_wants),
        cmocka_unit_test(request_sends_a_body_with_any_method),
        cmocka_unit_test(request_of_a_head_has_no_body),
        cmocka_unit_test(request_streams_a_body_up),
        cmocka_unit_test(request_fails_when_the_body_to_send_is_short_or_fails),
        cmocka_unit_test(request_refuses_what_would_break_the_protocol),
        cmocka_unit_test(request_refuses_plain_http_beyond_this_machine),
        cmocka_unit_test(request_bounds_an_answer),
        cmocka_unit_test(request_passes_on_what_a_receiver_refuses),
        cmocka_unit_test(request_refuses_a_coding_that_it_did_not_ask_for),
        cmocka_unit_test(request_says_what_failed_and_where),
        cmocka_unit_test(request_says_that_a_connection_was_refused),
        cmocka_unit_test(request_hides_credentials_of_the_url),
        cmocka_unit_test(request_ends_at_its_time_limit),
        cmocka_unit_test(request_ends_at_the_deadline_of_its_job),
        cmocka_unit_test(request_is_cancelled_with_its_job),
        cmocka_unit_test(requests_share_a_connection),
        cmocka_unit_test(request_survives_a_kept_connection_that_was_closed),
        cmocka_unit_test(request_is_repeated_when_a_kept_connection_dies_under_it),
        cmocka_unit_test(requests_run_on_many_threads),
        cmocka_unit_test(request_goes_through_the_proxy_of_the_environment),
        cmocka_unit_test(request_names_a_certificate_authority_that_cannot_be_read),
        cmocka_unit_test(request_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
