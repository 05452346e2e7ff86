/* Is somebody there? buildctl itself waits 20 s for a peer that is silent, so that it is asked here
 * first, in less than a millisecond when all is well: a daemon speaks as soon as it is connected
 * (HTTP/2 settings), or answers the beginning of a TLS handshake. What it says is not judged, with
 * two exceptions that buildctl words badly: buildctl knows better, and answers at once. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/buildkit_reach.h"

#define ADDRESSES_MAX 8
#define LOOK_MS 50 /* between two tries where no event tells when to try again */

static const char unix_scheme[] = "unix://";
static const char tcp_scheme[] = "tcp://";

/* One look at the daemon. */
struct reach {
    const struct buildkit_peer *peer;
    const struct strake_host *host;
    struct strake_job *job;
    struct strake_err *err;
    int64_t limit_ms; /* the peer's timeout, or less when the job ends before */
    int64_t deadline; /* of plug_now_ms() */
};

/* ---- words ----------------------------------------------------------------------------------- */

static int cancelled(const struct reach *reach)
{
    return reach->host->fail(reach->err, STRAKE_ECANCELLED, "cancelled");
}

static int no_memory(const struct reach *reach)
{
    return plug_fail_nomem(reach->host, reach->err);
}

static int not_there(const struct reach *reach, const char *why)
{
    reach->host->fail(reach->err, STRAKE_EBUILDER, "no builder answers at %s: %s",
                      reach->peer->address, why);
    reach->host->err_hint(reach->err, "is buildkitd running and listening there? start it, or name "
                                      "another builder");
    return STRAKE_EBUILDER;
}

static int too_late(const struct reach *reach, const char *what)
{
    reach->host->fail(reach->err, STRAKE_EBUILDER, "the builder at %s %s within %lld ms",
                      reach->peer->address, what, (long long)reach->limit_ms);
    reach->host->err_hint(reach->err, "is it overloaded, or does a firewall swallow what is sent? "
                                      "the builder's option timeout gives it longer");
    return STRAKE_EBUILDER;
}

/* ---- waiting --------------------------------------------------------------------------------- */

static int64_t time_left(const struct reach *reach)
{
    int64_t left = reach->deadline - plug_now_ms();
    int64_t of_job = reach->host->job_remaining_ms(reach->job);
    if (of_job >= 0 && of_job < left)
        left = of_job;
    return left > 0 ? left : 0;
}

/* Wait until one of the descriptors is ready. @return how many are, 0: time is up, or negative. */
static int wait_for(const struct reach *reach, struct pollfd *polled, nfds_t count)
{
    struct pollfd all[ADDRESSES_MAX + 1];
    for (;;) {
        memcpy(all, polled, count * sizeof(*polled));
        all[count] =
            (struct pollfd){ .fd = reach->host->job_cancel_fd(reach->job), .events = POLLIN };
        int64_t left = time_left(reach);
        int ready = poll(all, count + 1, left < INT32_MAX ? (int)left : INT32_MAX);
        if (ready < 0 && errno != EINTR && errno != EAGAIN)
            return reach->host->fail(reach->err, STRAKE_EIO, "the builder cannot be waited for: %s",
                                     strerror(errno));
        if (reach->host->job_cancelled(reach->job))
            return cancelled(reach);
        if (ready > 0) {
            memcpy(polled, all, count * sizeof(*polled));
            return ready;
        }
        if (left == 0)
            return 0;
    }
}

/* ---- names ----------------------------------------------------------------------------------- */

bool buildkit_tcp_parse(const char *address, struct buildkit_tcp *out)
{
    if (strncmp(address, tcp_scheme, strlen(tcp_scheme)) != 0)
        return false;
    const char *host = address + strlen(tcp_scheme);
    const char *colon = strrchr(host, ':');
    if (colon == NULL || colon == host)
        return false;
    size_t host_len = (size_t)(colon - host);
    bool bracketed = host[0] == '[' && host[host_len - 1] == ']';
    if (bracketed) {
        host++;
        host_len -= 2;
    }
    if (host_len == 0 || host_len >= sizeof(out->host) ||
        (!bracketed && memchr(host, ':', host_len) != NULL) || memchr(host, '/', host_len) != NULL)
        return false;
    size_t port_len = strlen(colon + 1);
    if (port_len == 0 || port_len >= sizeof(out->port) ||
        strspn(colon + 1, "0123456789") != port_len)
        return false;
    long port = strtol(colon + 1, NULL, 10);
    memcpy(out->host, host, host_len);
    out->host[host_len] = '\0';
    memcpy(out->port, colon + 1, port_len + 1);
    return port > 0 && port <= 65535;
}

/* A name being looked up, on a thread of its own: that cannot be interrupted, and may take longer
 * than we wait. Whoever of the two is last frees it. */
struct lookup {
    atomic_int holders;
    int done; /* an eventfd, written when the thread is through */
    int rc;   /* of getaddrinfo() */
    struct addrinfo *found;
    struct buildkit_tcp name;
};

static void lookup_release(struct lookup *lookup)
{
    if (atomic_fetch_sub(&lookup->holders, 1) != 1)
        return;
    if (lookup->found != NULL)
        freeaddrinfo(lookup->found);
    close(lookup->done);
    free(lookup);
}

static void *look_up(void *ctx)
{
    struct lookup *lookup = ctx;
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    const uint64_t one = 1;
    lookup->rc = getaddrinfo(lookup->name.host, lookup->name.port, &hints, &lookup->found);
    /* The counter is at zero: this write neither fails nor blocks. */
    (void)!write(lookup->done, &one, sizeof(one));
    lookup_release(lookup);
    return NULL;
}

/* A lookup that has begun, held by us and by its thread; NULL: not enough resources. */
static struct lookup *lookup_begin(const struct buildkit_tcp *name)
{
    struct lookup *lookup = calloc(1, sizeof(*lookup));
    pthread_t thread;
    if (lookup == NULL)
        return NULL;
    lookup->name = *name;
    lookup->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    atomic_init(&lookup->holders, 2);
    if (lookup->done >= 0 && pthread_create(&thread, NULL, look_up, lookup) == 0) {
        pthread_detach(thread);
        return lookup;
    }
    if (lookup->done >= 0)
        close(lookup->done);
    free(lookup);
    return NULL;
}

static int not_resolved(const struct reach *reach, int rc)
{
    return rc == EAI_MEMORY ? no_memory(reach) : not_there(reach, gai_strerror(rc));
}

/* @return 0, or a code, described. */
static int resolve(const struct reach *reach, const struct buildkit_tcp *name,
                   struct addrinfo **found)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST };
    if (getaddrinfo(name->host, name->port, &hints, found) == 0)
        return 0;
    struct lookup *lookup = lookup_begin(name);
    if (lookup == NULL)
        return no_memory(reach);
    struct pollfd polled = { .fd = lookup->done, .events = POLLIN };
    uint64_t count;
    int rc = wait_for(reach, &polled, 1);
    if (rc == 0) {
        rc = too_late(reach, "has a name that was not resolved");
    } else if (rc > 0) {
        /* Whoever has read it has also what the thread wrote before. */
        (void)!read(lookup->done, &count, sizeof(count));
        rc = lookup->rc == 0 ? 0 : not_resolved(reach, lookup->rc);
        *found = lookup->found;
        lookup->found = NULL;
    }
    lookup_release(lookup);
    return rc;
}

/* ---- connecting ------------------------------------------------------------------------------ */

/* Begin to connect. @return the socket, or -1 with errno. */
static int begin_connect(const struct sockaddr *address, socklen_t len)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, address, len) < 0 && errno != EINPROGRESS) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

/* The first of these that is connected; all others are closed. @return it, or a code, described. */
static int first_connected(const struct reach *reach, struct pollfd *polled, nfds_t count,
                           int last_error)
{
    int winner = -1;
    int rc = 0;
    nfds_t open = count;
    while (winner < 0 && open > 0 && (rc = wait_for(reach, polled, count)) > 0) {
        for (nfds_t i = 0; i < count && winner < 0; i++) {
            if (polled[i].fd < 0 || polled[i].revents == 0)
                continue;
            int error = 0;
            socklen_t len = sizeof(error);
            getsockopt(polled[i].fd, SOL_SOCKET, SO_ERROR, &error, &len);
            if (error == 0) {
                winner = polled[i].fd;
            } else {
                last_error = error;
                close(polled[i].fd);
                open--;
            }
            polled[i].fd = -1;
        }
    }
    for (nfds_t i = 0; i < count; i++) {
        if (polled[i].fd >= 0)
            close(polled[i].fd);
    }
    if (winner >= 0)
        return winner;
    if (rc < 0)
        return rc;
    return open > 0 ? too_late(reach, "was not reached") : not_there(reach, strerror(last_error));
}

/* All addresses of a name at once: one that swallows what is sent to it must not use up the time.
 * @return the socket, or a code, described. */
static int connect_tcp(const struct reach *reach, const struct buildkit_tcp *name)
{
    struct addrinfo *found = NULL;
    int rc = resolve(reach, name, &found);
    if (rc < 0)
        return rc;
    struct pollfd polled[ADDRESSES_MAX];
    nfds_t count = 0;
    int last_error = 0;
    for (const struct addrinfo *at = found; at != NULL && count < ADDRESSES_MAX; at = at->ai_next) {
        int fd = begin_connect(at->ai_addr, at->ai_addrlen);
        if (fd >= 0)
            polled[count++] = (struct pollfd){ .fd = fd, .events = POLLOUT };
        else
            last_error = errno;
    }
    freeaddrinfo(found);
    return first_connected(reach, polled, count, last_error);
}

static int connect_unix(const struct reach *reach, const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(address.sun_path))
        return not_there(reach, "the path of its socket is too long");
    memcpy(address.sun_path, path, strlen(path));
    for (;;) {
        int fd = begin_connect((const struct sockaddr *)&address, sizeof(address));
        if (fd >= 0)
            return fd;
        if (errno == EACCES || errno == EPERM) {
            not_there(reach, strerror(errno));
            reach->host->err_hint(reach->err, "you may not use that socket: become its owner or a "
                                              "member of its group");
            return STRAKE_EBUILDER;
        }
        if (errno != EAGAIN)
            return not_there(reach, strerror(errno));
        /* Its queue is full; no event tells when there is room. */
        if (time_left(reach) == 0)
            return too_late(reach, "was not reached");
        struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };
        nanosleep(&pause, NULL);
        if (reach->host->job_cancelled(reach->job))
            return cancelled(reach);
    }
}

/* ---- a sign of life -------------------------------------------------------------------------- */

/* The client's preface of HTTP/2 with empty settings, and the smallest ClientHello: whatever comes
 * back, an answer or a refusal, somebody is there. */
static const unsigned char h2_hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
static const unsigned char tls_hello[] = {
    0x16, 0x03, 0x01, 0x00, 0x2d, /* a handshake record */
    0x01, 0x00, 0x00, 0x29,       /* ClientHello */
    0x03, 0x03,                   /* of TLS 1.2 */
    's',  't',  'r',  'a',  'k',  'e', 's', 't',  'r',
    'a',  'k',  'e',  's',  't',  'r', 'a', /* "random" */
    'k',  'e',  's',  't',  'r',  'a', 'k', 'e',  's',
    't',  'r',  'a',  'k',  'e',  '1', '2', 0x00, /* no session */
    0x00, 0x02, 0xc0, 0x2b,                       /* ECDHE-ECDSA-AES128-GCM */
    0x01, 0x00,                                   /* no compression */
};

static int wrong_peer(const struct reach *reach, const char *what, const char *hint)
{
    reach->host->fail(reach->err, STRAKE_EBUILDER, "%s at %s", what, reach->peer->address);
    reach->host->err_hint(reach->err, "%s", hint);
    return STRAKE_EBUILDER;
}

static int hear(const struct reach *reach, int fd)
{
    bool tls = reach->peer->tls;
    const void *hello = tls ? tls_hello : h2_hello;
    /* A fresh socket takes these few bytes; one that is closed already says so when it is read. */
    (void)!send(fd, hello, tls ? sizeof(tls_hello) : sizeof(h2_hello) - 1, MSG_NOSIGNAL);
    struct pollfd polled = { .fd = fd, .events = POLLIN };
    int rc = wait_for(reach, &polled, 1);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return too_late(reach, "took the connection and said nothing");
    char said[8] = "";
    ssize_t got = recv(fd, said, sizeof(said), 0);
    if (got > 4 && memcmp(said, "HTTP/", 5) == 0)
        return wrong_peer(reach, "an HTTP server, and not BuildKit, answers",
                          "is the port right? buildkitd usually listens on 1234");
    if (!tls && got > 1 && said[0] == 0x15 && said[1] == 0x03)
        return wrong_peer(reach, "the builder wants TLS",
                          "give the builder's options ca, cert and key");
    return 0;
}

int buildkit_reach(const struct buildkit_peer *peer, struct strake_job *job, struct strake_err *err)
{
    struct reach reach = { .peer = peer, .host = peer->host, .job = job, .err = err };
    const int64_t of_job = peer->host->job_remaining_ms(job);
    reach.limit_ms = of_job >= 0 && of_job < peer->timeout_ms ? of_job : peer->timeout_ms;
    reach.deadline = plug_now_ms() + reach.limit_ms;
    struct buildkit_tcp name;
    int fd;
    if (buildkit_tcp_parse(peer->address, &name))
        fd = connect_tcp(&reach, &name);
    else if (strncmp(peer->address, unix_scheme, strlen(unix_scheme)) == 0)
        fd = connect_unix(&reach, peer->address + strlen(unix_scheme));
    else
        return 0;
    if (fd < 0)
        return fd;
    int rc = hear(&reach, fd);
    close(fd);
    return rc;
}

/* ---- addresses ------------------------------------------------------------------------------- */

int buildkit_address_check(const struct strake_host *host, const char *plugin, const char *address,
                           struct strake_err *err)
{
    static const char *const schemes[] = {
        "unix:///",
        "docker-container://",
        "podman-container://",
        "nerdctl-container://",
        "kube-pod://",
        "ssh://",
    };
    struct buildkit_tcp tcp;
    bool good = buildkit_tcp_parse(address, &tcp);
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t len = strlen(schemes[i]);
        good = good || (strncmp(address, schemes[i], len) == 0 && address[len] != '\0');
    }
    if (good)
        return 0;
    host->fail(err, STRAKE_ECONFIG, "%s: option 'address' names no builder: %s", plugin, address);
    host->err_hint(err, "it is tcp://HOST:PORT, unix:///PATH, docker-container://NAME, "
                        "podman-container://NAME, nerdctl-container://NAME, kube-pod://POD "
                        "or ssh://HOST");
    return STRAKE_ECONFIG;
}

int buildkit_certificates_check(const struct strake_host *host, const char *plugin, const char *ca,
                                const char *cert, const char *key, const char *server_name,
                                struct strake_err *err)
{
    if ((cert == NULL) != (key == NULL))
        return host->fail(err, STRAKE_ECONFIG,
                          "%s: option '%s' is missing: cert and key belong together", plugin,
                          cert == NULL ? "cert" : "key");
    if (server_name != NULL && ca == NULL)
        return host->fail(err, STRAKE_ECONFIG, "%s: option 'server_name' needs a ca", plugin);
    return 0;
}
