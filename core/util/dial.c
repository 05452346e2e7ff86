/* Connecting within a time: names are looked up on a thread that can be left behind, because
 * getaddrinfo() cannot be interrupted. */
#include "util/dial.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/mem.h"
#include "util/time.h"
#include "util/work.h"

#define ADDRESSES_MAX 8

/* ---- names ---- */

/* Held by us and by the thread that looks up; the last one frees it. */
struct lookup {
    atomic_int holders;
    char *host, *port;
    struct addrinfo *found;
};

static void lookup_release(void *ctx)
{
    struct lookup *lookup = ctx;

    if (atomic_fetch_sub(&lookup->holders, 1) > 1)
        return;
    if (lookup->found)
        freeaddrinfo(lookup->found);
    strake_free(lookup->host);
    strake_free(lookup->port);
    strake_free(lookup);
}

static int look_up(void *ctx)
{
    struct lookup *lookup = ctx;
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };

    return getaddrinfo(lookup->host, lookup->port, &hints, &lookup->found);
}

static int not_resolved(const char *host, int rc, struct strake_err *err)
{
    if (rc == EAI_MEMORY)
        return strake_fail_nomem(err);
    return strake_fail(err, STRAKE_ENETWORK, "the name %s is not known: %s", host,
                       gai_strerror(rc));
}

static int resolve(const char *host, const char *port, const struct strake_job *job,
                   int64_t timeout_ms, struct addrinfo **found, struct strake_err *err)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST };
    struct lookup *lookup;
    int rc;

    if (getaddrinfo(host, port, &hints, found) == 0)
        return 0;
    lookup = strake_calloc(1, sizeof(*lookup));
    if (!lookup)
        return strake_fail_nomem(err);
    atomic_init(&lookup->holders, 2);
    lookup->host = strake_strdup(host);
    lookup->port = strake_strdup(port);
    if (!lookup->host || !lookup->port) {
        atomic_store(&lookup->holders, 1);
        lookup_release(lookup);
        return strake_fail_nomem(err);
    }
    rc = strake_work_call(look_up, lookup_release, lookup, job, timeout_ms, 0);
    if (rc == STRAKE_ETIMEOUT) { /* getaddrinfo()'s own codes are none of these two */
        if (job && strake_job_cancelled(job))
            rc = strake_fail(err, STRAKE_ECANCELLED, "cancelled");
        else
            rc = strake_fail(err, STRAKE_ETIMEOUT, "the name %s was not resolved within %lld ms",
                             host, (long long)timeout_ms);
        lookup_release(lookup);
        return rc;
    }
    if (rc == STRAKE_ENOMEM) {
        atomic_store(&lookup->holders, 1);
        lookup_release(lookup);
        return strake_fail_nomem(err);
    }
    *found = lookup->found;
    lookup->found = NULL;
    lookup_release(lookup); /* the thread's */
    lookup_release(lookup);
    return rc == 0 ? 0 : not_resolved(host, rc, err);
}

/* ---- connecting ---- */

/* Of poll(): how long from now, at most what is left of the job. */
static int time_left(const struct strake_job *job, int64_t until_ms)
{
    int64_t left = until_ms - strake_time_mono_ms();
    int64_t of_job = job ? strake_job_remaining_ms(job) : -1;

    if (of_job >= 0 && of_job < left)
        left = of_job;
    return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

/* @return how many are ready, STRAKE_ETIMEOUT or STRAKE_ECANCELLED. The place behind the last is
 * for the job's own descriptor. */
static int wait_for(struct pollfd *polled, nfds_t count, const struct strake_job *job,
                    int64_t until_ms)
{
    for (;;) {
        int left = time_left(job, until_ms), ready;

        polled[count] =
            (struct pollfd){ .fd = job ? strake_job_cancel_fd(job) : -1, .events = POLLIN };
        ready = poll(polled, count + 1, left);
        if (polled[count].revents)
            return STRAKE_ECANCELLED;
        if (ready > 0)
            return ready;
        if (ready == 0 && left == 0)
            return STRAKE_ETIMEOUT;
        if (ready < 0 && errno != EINTR && errno != EAGAIN)
            return STRAKE_ETIMEOUT;
    }
}

int strake_dial_wait(int fd, short events, const struct strake_job *job, int64_t until_ms)
{
    struct pollfd polled[2] = { { .fd = fd, .events = events } };
    int rc = wait_for(polled, 1, job, until_ms);

    return rc > 0 ? 0 : rc;
}

/* A socket that connects, or -1 with errno. */
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

struct race {
    struct pollfd polled[ADDRESSES_MAX + 1];
    nfds_t count;
    int open;
    int error; /* errno of the last that failed */
};

/* Look at those that are ready. @return the one that is connected, or -1 */
static int take_connected(struct race *race)
{
    for (nfds_t i = 0; i < race->count; i++) {
        struct pollfd *one = &race->polled[i];
        int error = 0, fd = one->fd;
        socklen_t len = sizeof(error);
        if (fd < 0 || one->revents == 0)
            continue;
        one->fd = -1;
        race->open--;
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (error == 0)
            return fd;
        race->error = error;
        close(fd);
    }
    return -1;
}

static void begin_race(struct race *race, const struct addrinfo *at)
{
    for (; at && race->count < ADDRESSES_MAX; at = at->ai_next) {
        int fd = begin_connect(at->ai_addr, at->ai_addrlen);
        if (fd < 0)
            race->error = errno;
        else
            race->polled[race->count++] = (struct pollfd){ .fd = fd, .events = POLLOUT };
    }
    race->open = (int)race->count;
}

static int end_race(struct race *race, int rc, const char *host, const char *port,
                    int64_t timeout_ms, struct strake_err *err)
{
    for (nfds_t i = 0; i < race->count; i++) {
        if (race->polled[i].fd >= 0)
            close(race->polled[i].fd);
    }
    if (rc == STRAKE_ECANCELLED)
        return strake_fail(err, rc, "cancelled");
    if (rc == STRAKE_ETIMEOUT)
        return strake_fail(err, rc, "%s:%s did not take the connection within %lld ms", host, port,
                           (long long)timeout_ms);
    return strake_fail(err, STRAKE_ENETWORK, "nobody takes connections at %s:%s: %s", host, port,
                       strerror(race->error));
}

int strake_dial_tcp(const char *host, const char *port, const struct strake_job *job,
                    int64_t timeout_ms, int *fd, struct strake_err *err)
{
    const int64_t until = strake_time_mono_ms() + timeout_ms;
    struct addrinfo *found = NULL;
    struct race race = { .count = 0 };
    int rc = resolve(host, port, job, timeout_ms, &found, err);

    *fd = -1;
    if (rc < 0)
        return rc;
    begin_race(&race, found);
    freeaddrinfo(found);
    while (*fd < 0 && race.open > 0 && (rc = wait_for(race.polled, race.count, job, until)) > 0)
        *fd = take_connected(&race);
    if (*fd < 0)
        return end_race(&race, rc, host, port, timeout_ms, err);
    for (nfds_t i = 0; i < race.count; i++) {
        if (race.polled[i].fd >= 0)
            close(race.polled[i].fd);
    }
    return 0;
}

int strake_dial_unix(const char *path, int *fd, struct strake_err *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    *fd = -1;
    if (strlen(path) >= sizeof(address.sun_path))
        return strake_fail(err, STRAKE_ENETWORK, "the path of the socket is too long: %s", path);
    memcpy(address.sun_path, path, strlen(path));
    *fd = begin_connect((const struct sockaddr *)&address, sizeof(address));
    return *fd >= 0
               ? 0
               : strake_fail_errno(err, STRAKE_ENETWORK, "nobody takes connections at %s", path);
}

/* ---- addresses ---- */

bool strake_dial_parse(const char *address, const char *usual, char *host, size_t host_cap,
                       char port[6])
{
    const char *scheme = strstr(address, "://"), *begin = scheme ? scheme + 3 : address;
    const char *end = begin + strcspn(begin, "/?#"), *colon = NULL;
    size_t len;

    for (const char *at = begin; at < end; at++) {
        if (*at == '@')
            return false; /* user:password@host is nothing that we take */
        if (*at == ':')
            colon = at;
    }
    if (*begin == '[') {
        const char *close_at = memchr(begin, ']', (size_t)(end - begin));
        if (!close_at)
            return false;
        colon = close_at + 1 < end && close_at[1] == ':' ? close_at + 1 : NULL;
        len = (size_t)(close_at - begin) - 1;
        begin++;
    } else {
        len = (size_t)((colon ? colon : end) - begin);
    }
    if (len == 0 || len >= host_cap || (!colon && !usual))
        return false;
    memcpy(host, begin, len);
    host[len] = '\0';
    begin = colon ? colon + 1 : usual;
    len = colon ? (size_t)(end - begin) : strlen(usual);
    if (len == 0 || len > 5 || strspn(begin, "0123456789") < len)
        return false;
    memcpy(port, begin, len);
    port[len] = '\0';
    return strtol(port, NULL, 10) >= 1 && strtol(port, NULL, 10) <= 65535;
}
