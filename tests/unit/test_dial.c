/* Addresses, and connections within a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/dial.h"
#include "util/time.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void dial_parse_takes_addresses_apart(void **state)
{
    (void)state;
    static const struct {
        const char *address, *usual, *host, *port;
    } cases[] = {
        { "tcp://10.0.10.120:1234", NULL, "10.0.10.120", "1234" },
        { "tcp://[::1]:1234", NULL, "::1", "1234" },
        { "https://ghcr.io", "443", "ghcr.io", "443" },
        { "https://ghcr.io:8443/v2/", "443", "ghcr.io", "8443" },
        { "https://[fe80::1]/x", "443", "fe80::1", "443" },
        { "localhost:5000", "443", "localhost", "5000" },
        { "tcp://builder", NULL, NULL, NULL },
        { "tcp://builder:", NULL, NULL, NULL },
        { "tcp://builder:0", NULL, NULL, NULL },
        { "tcp://builder:65536", NULL, NULL, NULL },
        { "tcp://builder:12x", NULL, NULL, NULL },
        { "tcp://:1234", NULL, NULL, NULL },
        { "tcp://[::1:1234", NULL, NULL, NULL },
        { "https://user:word@host:443", "443", NULL, NULL },
        { "", "443", NULL, NULL },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char host[64], port[6];
        bool good = strake_dial_parse(cases[i].address, cases[i].usual, host, sizeof(host), port);
        assert_int_equal(good, cases[i].host != NULL);
        if (!good)
            continue;
        assert_string_equal(host, cases[i].host);
        assert_string_equal(port, cases[i].port);
    }
}

static void dial_parse_refuses_a_host_that_is_too_long(void **state)
{
    char host[8], port[6];

    (void)state;
    assert_true(strake_dial_parse("tcp://1234567:1", NULL, host, sizeof(host), port));
    assert_false(strake_dial_parse("tcp://12345678:1", NULL, host, sizeof(host), port));
}

/* A socket bound to a port of loopback; the port as text. */
static int bound(char port[6])
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    snprintf(port, 6, "%u", ntohs(address.sin_port));
    return fd;
}

static void dial_tcp_connects_or_says_why_not(void **state)
{
    struct strake_err err = { 0 };
    char port[6];
    int listening = bound(port), fd;

    (void)state;
    assert_int_equal(strake_dial_tcp("127.0.0.1", port, NULL, 5000, &fd, &err), STRAKE_ENETWORK);
    assert_non_null(strstr(err.message, "Connection refused"));
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(strake_dial_tcp("localhost", port, NULL, 5000, &fd, &err), 0);
    assert_true(fd >= 0);
    /* Nobody says anything there. */
    assert_int_equal(strake_dial_wait(fd, POLLIN, NULL, strake_time_mono_ms() + 20),
                     STRAKE_ETIMEOUT);
    close(fd);
    close(listening);
    strake_err_dispose(&err);
}

static void dial_ends_with_its_job(void **state)
{
    struct strake_job *job = strake_job_new(NULL, NULL, NULL);
    char port[6];
    int listening = bound(port), fd;
    struct strake_err err = { 0 };

    (void)state;
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(strake_dial_tcp("127.0.0.1", port, job, 5000, &fd, &err), 0);
    strake_job_cancel(job);
    assert_int_equal(strake_dial_wait(fd, POLLIN, job, strake_time_mono_ms() + 60000),
                     STRAKE_ECANCELLED);
    close(fd);
    close(listening);
    strake_job_free(job);
}

static void dial_unix_says_what_is_wrong(void **state)
{
    struct strake_err err = { 0 };
    char path[200];
    int fd;

    (void)state;
    assert_int_equal(strake_dial_unix("/nowhere/socket", &fd, &err), STRAKE_ENETWORK);
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(strake_dial_unix(path, &fd, &err), STRAKE_ENETWORK);
    assert_non_null(strstr(err.message, "too long"));
    strake_err_dispose(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dial_parse_takes_addresses_apart),
        cmocka_unit_test(dial_parse_refuses_a_host_that_is_too_long),
        cmocka_unit_test(dial_tcp_connects_or_says_why_not),
        cmocka_unit_test(dial_ends_with_its_job),
        cmocka_unit_test(dial_unix_says_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
