/* TLS of HTTP requests, against OpenSSL's own test server with authorities made for the occasion.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/fs.h"
#include "util/http.h"
#include "util/mem.h"
#include "util/process.h"

#include "http_client.h"

static char *folder; /* where keys, certificates and the server's files are */

/* `openssl s_server`, running until it is cancelled. */
struct tls_server {
    struct strake_job *job;
    const char *certificate;
    bool verifies; /* asks for the client's certificate */
    pthread_t thread;
    sem_t listening;
    int port; /* 0: it did not come up */
    struct strake_buf said;
};

static int find_port(void *ctx, const char *data, size_t len)
{
    struct tls_server *server = ctx;
    int rc = strake_buf_append(&server->said, data, len);
    const char *line = strstr(strake_buf_text(&server->said), "ACCEPT 127.0.0.1:");
    if (server->port == 0 && line != NULL && strchr(line, '\n') != NULL) {
        server->port = atoi(line + 17);
        sem_post(&server->listening);
    }
    return rc;
}

static void *run_server(void *ctx)
{
    struct tls_server *server = ctx;
    const char *argv[16] = { "openssl", "s_server",          "-accept", "127.0.0.1:0", "-HTTP",
                             "-cert",   server->certificate, "-key",    "server.key" };
    if (server->verifies) {
        static const char *const more[] = { "-CAfile", "ca.pem", "-Verify", "1" };
        memcpy(&argv[9], more, sizeof(more));
    }
    const struct strake_process_fd output = { 1, find_port, server };
    const struct strake_process_fd *const fds[] = { &output, NULL };
    const struct strake_process process = {
        .size = sizeof(process), .argv = argv, .cwd = folder, .fds = fds, .timeout_ms = 120000
    };
    struct strake_err err = { 0 };
    if (strake_process_run(server->job, &process, NULL, &err) != STRAKE_ECANCELLED)
        fprintf(stderr, "openssl s_server: %s\n", strake_err_message(&err));
    strake_err_dispose(&err);
    sem_post(&server->listening); /* whoever still waits for it need not */
    return NULL;
}

static void server_start(struct tls_server *server, const char *certificate, bool verifies)
{
    *server = (struct tls_server){ .certificate = certificate, .verifies = verifies };
    server->job = strake_job_new(NULL, NULL, NULL);
    sem_init(&server->listening, 0, 0);
    pthread_create(&server->thread, NULL, run_server, server);
    sem_wait(&server->listening);
}

static void server_stop(struct tls_server *server)
{
    strake_http_reset();
    strake_job_cancel(server->job);
    pthread_join(server->thread, NULL);
    strake_job_free(server->job);
    strake_buf_dispose(&server->said);
    sem_destroy(&server->listening);
}

/* A certificate for `name`, signed by `authority` (NULL: by itself). @return 0 when it was made. */
static int make_certificate(const char *file, const char *key, const char *name,
                            const char *authority)
{
    char subject[64], extension[64];
    snprintf(subject, sizeof(subject), "/CN=%s", name);
    snprintf(extension, sizeof(extension), "subjectAltName=DNS:%s", name);
    const char *const argv[] = { "openssl",
                                 "req",
                                 "-x509",
                                 "-newkey",
                                 "ec",
                                 "-pkeyopt",
                                 "ec_paramgen_curve:P-256",
                                 "-nodes",
                                 "-days",
                                 "2",
                                 "-subj",
                                 subject,
                                 "-addext",
                                 extension,
                                 "-keyout",
                                 key,
                                 "-out",
                                 file,
                                 authority != NULL ? "-CA" : NULL,
                                 authority,
                                 "-CAkey",
                                 "ca.key",
                                 NULL };
    struct strake_buf out = { 0 }, errors = { 0 };
    struct strake_process_result result = { .size = sizeof(result) };
    struct strake_err err = { 0 };
    int rc = strake_process_capture(NULL, argv, folder, &out, &errors, 60000, &result, &err);
    if (rc < 0 || result.exit_code != 0)
        fprintf(stderr, "%s%s\n", strake_err_message(&err), strake_buf_text(&errors));
    strake_buf_dispose(&out);
    strake_buf_dispose(&errors);
    strake_err_dispose(&err);
    return rc < 0 ? rc : result.exit_code;
}

static void in_folder(const char *name, char *path, size_t cap)
{
    snprintf(path, cap, "%s/%s", folder, name);
}

static int write_file(const char *name, const char *text)
{
    char path[512];
    struct strake_err err = { 0 };
    in_folder(name, path, sizeof(path));
    int rc = strake_fs_write(path, text, strlen(text), 0600, false, &err);
    strake_err_dispose(&err);
    return rc;
}

static int make_files(void **state)
{
    (void)state;
    struct strake_err err = { 0 };
    if (strake_fs_tempdir(&folder, &err) < 0)
        return -1;
    return make_certificate("ca.pem", "ca.key", "authority.example", NULL) != 0 ||
           make_certificate("server.pem", "server.key", "localhost", "ca.pem") != 0 ||
           make_certificate("client.pem", "client.key", "client.example", "ca.pem") != 0 ||
           make_certificate("stranger.pem", "stranger.key", "stranger.example", NULL) != 0 ||
           write_file("ok", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") < 0 ||
           write_file("down", "HTTP/1.1 302 Found\r\nLocation: http://localhost/x\r\n"
                              "Content-Length: 0\r\n\r\n") < 0;
}

static int remove_files(void **state)
{
    (void)state;
    struct strake_err err = { 0 };
    strake_http_reset();
    int rc = strake_fs_remove_tree(folder, &err);
    strake_err_dispose(&err);
    strake_free(folder);
    return rc;
}

/* A request to `localhost`, or to another name for the same place. This server talks to one client
 * at a time: connections kept from before would keep us waiting. */
static void prepare(struct client *client, const char *host, int port, const char *path,
                    const char *ca_file)
{
    static char ca_path[512];
    client_init(client, "GET", port, path);
    snprintf(client->url, sizeof(client->url), "https://%s:%d%s", host, port, path);
    if (ca_file != NULL) {
        in_folder(ca_file, ca_path, sizeof(ca_path));
        client->request.ca_file = ca_path;
    }
    client->request.max_redirects = 10;
    client->request.timeout_ms = 60000;
    strake_http_reset();
}

static void tls_is_verified_against_the_authorities_that_are_known(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        const char *ca_file;
        int rc;
        const char *hint;
    } cases[] = {
        { "localhost", "ca.pem", 0, NULL },
        { "localhost", NULL, STRAKE_ENETWORK, "authority" },
        { "localhost", "stranger.pem", STRAKE_ENETWORK, "authority" },
        { "127.0.0.1", "ca.pem", STRAKE_ENETWORK, "another name" },
        { "localhost", "ok", STRAKE_ENETWORK, "check the files" }, /* no certificate at all */
    };
    struct tls_server server;
    server_start(&server, "server.pem", false);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client client;
        prepare(&client, cases[i].host, server.port, "/ok", cases[i].ca_file);
        int rc = client_send(&client, NULL);
        if (rc != cases[i].rc)
            fail_msg("case %zu: %d, %s", i, rc, strake_err_message(&client.err));
        if (rc == 0)
            assert_string_equal(strake_buf_text(&client.body), "ok");
        else if (client.err.hint == NULL || strstr(client.err.hint, cases[i].hint) == NULL)
            fail_msg("case %zu: %s", i, strake_err_message(&client.err));
        client_free(&client);
    }
    server_stop(&server);
}

static void tls_gives_a_client_certificate_when_there_is_one(void **state)
{
    (void)state;
    struct tls_server server;
    struct client client;
    char certificate[512], key[512];
    in_folder("client.pem", certificate, sizeof(certificate));
    in_folder("client.key", key, sizeof(key));
    server_start(&server, "server.pem", true);
    prepare(&client, "localhost", server.port, "/ok", "ca.pem");
    assert_int_equal(client_send(&client, NULL), STRAKE_ENETWORK);
    client_free(&client);

    prepare(&client, "localhost", server.port, "/ok", "ca.pem");
    client.request.cert_file = certificate;
    client.request.key_file = key;
    assert_int_equal(client_send(&client, NULL), 0);
    assert_string_equal(strake_buf_text(&client.body), "ok");
    client_free(&client);
    server_stop(&server);
}

static void redirect_from_https_to_http_is_refused(void **state)
{
    (void)state;
    struct tls_server server;
    struct client client;
    server_start(&server, "server.pem", false);
    prepare(&client, "localhost", server.port, "/down", "ca.pem");
    assert_int_equal(client_send(&client, NULL), STRAKE_EREGISTRY);
    assert_non_null(strstr(strake_err_message(&client.err), "from https to http"));
    client_free(&client);
    server_stop(&server);
}

/* It answers to whatever comes, as plain servers do to what is no request for them. */
static void *answer_at_once(void *ctx)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    const int *listener = ctx;
    char hello[16];
    int fd = accept(*listener, NULL, NULL);
    if (recv(fd, hello, sizeof(hello), 0) > 0)
        send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    while (recv(fd, hello, sizeof(hello), 0) > 0)
        continue;
    close(fd);
    return NULL;
}

static void tls_to_a_plain_server_is_an_error_with_a_hint(void **state)
{
    (void)state;
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    pthread_t thread;
    struct client client;
    pthread_create(&thread, NULL, answer_at_once, &listener);
    prepare(&client, "localhost", ntohs(address.sin_port), "/", NULL);
    assert_int_equal(client_send(&client, NULL), STRAKE_ENETWORK);
    assert_non_null(client.err.hint);
    assert_non_null(strstr(client.err.hint, "plain_http"));
    client_free(&client);
    pthread_join(thread, NULL);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls_is_verified_against_the_authorities_that_are_known),
        cmocka_unit_test(tls_gives_a_client_certificate_when_there_is_one),
        cmocka_unit_test(redirect_from_https_to_http_is_refused),
        cmocka_unit_test(tls_to_a_plain_server_is_an_error_with_a_hint),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
