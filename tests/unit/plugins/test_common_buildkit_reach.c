/* plugins/common/buildkit_reach.c against peers of every kind on loopback sockets. */
#include "fake_host.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/buildkit_reach.h"

#define LONG_MS 20000 /* never reached by a test that passes */

/* ---- a job ------------------------------------------------------------------------------------
 */

struct strake_job {
    int cancel_fd;
    atomic_bool cancelled;
    int64_t remaining_ms;
};

static bool job_cancelled(const struct strake_job *job)
{
    return atomic_load(&job->cancelled);
}

static int job_cancel_fd(const struct strake_job *job)
{
    return job->cancel_fd;
}

static int64_t job_remaining_ms(const struct strake_job *job)
{
    return job->remaining_ms;
}

static struct strake_job job;
static struct strake_host host;

static int setup(void **state)
{
    fake_reset(state);
    host = fake_host;
    host.job_cancelled = job_cancelled;
    host.job_cancel_fd = job_cancel_fd;
    host.job_remaining_ms = job_remaining_ms;
    job = (struct strake_job){ .cancel_fd = eventfd(0, EFD_CLOEXEC), .remaining_ms = -1 };
    return job.cancel_fd >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    close(job.cancel_fd);
    return 0;
}

static int reach(const char *address, bool tls, int64_t timeout_ms)
{
    const struct buildkit_peer peer = {
        .host = &host, .address = address, .tls = tls, .timeout_ms = timeout_ms
    };
    return buildkit_reach(&peer, &job, &fake_err);
}

/* ---- a peer -----------------------------------------------------------------------------------
 */

/* Takes one connection, sends `say` at once (or after it heard something, or never), and hangs up
 * when it is told to; `heard` is what came in. */
struct peer {
    int listener;
    const char *say;
    size_t say_len;
    bool silent;
    char address[64];
    unsigned char heard[256];
    size_t heard_len;
    pthread_t thread;
};

static void *serve(void *ctx)
{
    struct peer *peer = ctx;
    int fd = accept(peer->listener, NULL, NULL);
    if (fd < 0)
        return NULL;
    if (!peer->silent && peer->say_len > 0)
        (void)!send(fd, peer->say, peer->say_len, MSG_NOSIGNAL);
    if (!peer->silent && peer->say_len == 0)
        shutdown(fd, SHUT_WR);
    ssize_t got;
    do {
        got = recv(fd, peer->heard + peer->heard_len, sizeof(peer->heard) - peer->heard_len, 0);
        peer->heard_len += got > 0 ? (size_t)got : 0;
    } while (got > 0);
    close(fd);
    return NULL;
}

static void peer_start(struct peer *peer)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t len = sizeof(address);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(peer->listener >= 0);
    assert_int_equal(bind(peer->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(peer->listener, 4), 0);
    assert_int_equal(getsockname(peer->listener, (struct sockaddr *)&address, &len), 0);
    snprintf(peer->address, sizeof(peer->address), "tcp://127.0.0.1:%d", ntohs(address.sin_port));
    assert_int_equal(pthread_create(&peer->thread, NULL, serve, peer), 0);
}

static void peer_stop(struct peer *peer)
{
    shutdown(peer->listener, SHUT_RDWR);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
}

static const char settings[] = "\0\0\6\4\0\0\0\0\0\0\5\0\0\100\0";

/* ---- tests ------------------------------------------------------------------------------------
 */

static void reach_takes_a_daemon_that_speaks(void **state)
{
    (void)state;
    struct peer peer = { .say = settings, .say_len = sizeof(settings) - 1 };
    peer_start(&peer);
    assert_int_equal(reach(peer.address, false, LONG_MS), 0);
    peer_stop(&peer);
    /* It was spoken to in its own tongue: the preface and empty settings. */
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    assert_int_equal(peer.heard_len, sizeof(preface) - 1);
    assert_memory_equal(peer.heard, preface, sizeof(preface) - 1);
}

static void reach_begins_a_handshake_with_tls(void **state)
{
    (void)state;
    struct peer peer = { .say = "\x15\x03\x03\0\2\2(", .say_len = 7 };
    peer_start(&peer);
    assert_int_equal(reach(peer.address, true, LONG_MS), 0);
    peer_stop(&peer);
    /* One handshake record, as long as it says, with one ClientHello in it. */
    assert_int_equal(peer.heard[0], 0x16);
    assert_int_equal(peer.heard[3] << 8 | peer.heard[4], (int)peer.heard_len - 5);
    assert_int_equal(peer.heard[5], 1);
    assert_int_equal(peer.heard[7] << 8 | peer.heard[8], (int)peer.heard_len - 9);
}

static void reach_leaves_a_peer_that_hangs_up_to_buildctl(void **state)
{
    (void)state;
    struct peer peer = { .say = "", .say_len = 0 };
    peer_start(&peer);
    assert_int_equal(reach(peer.address, false, LONG_MS), 0);
    peer_stop(&peer);
}

static void reach_does_not_wait_for_a_silent_peer(void **state)
{
    (void)state;
    struct peer peer = { .silent = true };
    peer_start(&peer);
    assert_int_equal(reach(peer.address, false, 50), STRAKE_EBUILDER);
    assert_non_null(strstr(fake_err.message, "said nothing within 50 ms"));
    assert_non_null(strstr(fake_err.message, peer.address));
    peer_stop(&peer);
}

static void reach_waits_no_longer_than_its_job(void **state)
{
    (void)state;
    struct peer peer = { .silent = true };
    peer_start(&peer);
    job.remaining_ms = 0;
    assert_int_equal(reach(peer.address, false, LONG_MS), STRAKE_EBUILDER);
    peer_stop(&peer);
}

static void *cancel_soon(void *ctx)
{
    const uint64_t one = 1;
    (void)ctx;
    usleep(30000);
    atomic_store(&job.cancelled, true);
    assert_int_equal(write(job.cancel_fd, &one, sizeof(one)), sizeof(one));
    return NULL;
}

static void reach_ends_when_its_job_is_cancelled(void **state)
{
    (void)state;
    struct peer peer = { .silent = true };
    pthread_t thread;
    peer_start(&peer);
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, NULL), 0);
    assert_int_equal(reach(peer.address, false, LONG_MS), STRAKE_ECANCELLED);
    pthread_join(thread, NULL);
    peer_stop(&peer);
}

static void reach_tells_who_is_there_instead(void **state)
{
    (void)state;
    struct peer http = { .say = "HTTP/1.1 400 Bad Request\r\n", .say_len = 26 };
    struct peer tls = { .say = "\x15\x03\x01\0\2\2F", .say_len = 7 };
    peer_start(&http);
    assert_int_equal(reach(http.address, false, LONG_MS), STRAKE_EBUILDER);
    assert_non_null(strstr(fake_err.message, "HTTP server"));
    peer_stop(&http);
    peer_start(&tls);
    assert_int_equal(reach(tls.address, false, LONG_MS), STRAKE_EBUILDER);
    assert_non_null(strstr(fake_err.message, "wants TLS"));
    peer_stop(&tls);
}

static void reach_tells_that_nobody_is_there(void **state)
{
    (void)state;
    struct peer peer = { .silent = true };
    peer_start(&peer);
    peer_stop(&peer); /* its port is free again */
    assert_int_equal(reach(peer.address, false, LONG_MS), STRAKE_EBUILDER);
    assert_non_null(strstr(fake_err.message, "onnection refused"));
    assert_int_equal(reach("unix:///nonexistent/s", false, LONG_MS), STRAKE_EBUILDER);
    assert_non_null(strstr(fake_err.message, "No such file"));
    assert_int_equal(reach("tcp://name.invalid:1", false, LONG_MS), STRAKE_EBUILDER);
    assert_non_null(strstr(fake_err.message, "no builder answers at tcp://name.invalid:1"));
}

static void reach_asks_no_daemon_behind_a_program(void **state)
{
    (void)state;
    assert_int_equal(reach("docker-container://nobody", false, LONG_MS), 0);
    assert_int_equal(reach("ssh://nobody", false, LONG_MS), 0);
}

static void reach_takes_a_unix_socket(void **state)
{
    (void)state;
    char dir[] = "/tmp/test-reach-XXXXXX";
    char address[64];
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    struct peer peer = { .say = settings, .say_len = sizeof(settings) - 1 };
    assert_non_null(mkdtemp(dir));
    snprintf(name.sun_path, sizeof(name.sun_path), "%s/s", dir);
    snprintf(address, sizeof(address), "unix://%s/s", dir);
    peer.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(peer.listener, (struct sockaddr *)&name, sizeof(name)), 0);
    assert_int_equal(listen(peer.listener, 4), 0);
    assert_int_equal(pthread_create(&peer.thread, NULL, serve, &peer), 0);
    assert_int_equal(reach(address, false, LONG_MS), 0);
    peer_stop(&peer);
    unlink(name.sun_path);
    rmdir(dir);
}

static void addresses_are_read_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *address, *host, *port;
    } cases[] = {
        { "tcp://lab:1234", "lab", "1234" },     { "tcp://10.0.10.120:1", "10.0.10.120", "1" },
        { "tcp://[::1]:65535", "::1", "65535" }, { "tcp://lab", NULL, NULL },
        { "tcp://:1234", NULL, NULL },           { "tcp://lab:", NULL, NULL },
        { "tcp://lab:0", NULL, NULL },           { "tcp://lab:65536", NULL, NULL },
        { "tcp://lab:12x", NULL, NULL },         { "tcp://lab:-1", NULL, NULL },
        { "tcp://::1:1234", NULL, NULL },        { "tcp://[]:1234", NULL, NULL },
        { "tcp://lab/x:1234", NULL, NULL },      { "unix:///run/s", NULL, NULL },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buildkit_tcp tcp;
        bool valid = buildkit_tcp_parse(cases[i].address, &tcp);
        if (valid != (cases[i].host != NULL))
            fail_msg("%s", cases[i].address);
        if (valid) {
            assert_string_equal(tcp.host, cases[i].host);
            assert_string_equal(tcp.port, cases[i].port);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reach_takes_a_daemon_that_speaks, setup, teardown),
        cmocka_unit_test_setup_teardown(reach_begins_a_handshake_with_tls, setup, teardown),
        cmocka_unit_test_setup_teardown(reach_leaves_a_peer_that_hangs_up_to_buildctl, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(reach_does_not_wait_for_a_silent_peer, setup, teardown),
        cmocka_unit_test_setup_teardown(reach_waits_no_longer_than_its_job, setup, teardown),
        cmocka_unit_test_setup_teardown(reach_ends_when_its_job_is_cancelled, setup, teardown),
        cmocka_unit_test_setup_teardown(reach_tells_who_is_there_instead, setup, teardown),
        cmocka_unit_test_setup_teardown(reach_tells_that_nobody_is_there, setup, teardown),
        cmocka_unit_test_setup_teardown(reach_asks_no_daemon_behind_a_program, setup, teardown),
        cmocka_unit_test_setup_teardown(reach_takes_a_unix_socket, setup, teardown),
        cmocka_unit_test(addresses_are_read_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
