/* A small HTTP server for tests: a thread for each connection, a handler of the test's for each
 * request, on a free port of 127.0.0.1. It does what it is told, also what no server should do. */
#ifndef STRAKE_TESTS_HTTPD_H
#define STRAKE_TESTS_HTTPD_H

#include <arpa/inet.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define HTTPD_CONNECTIONS 256
#define HTTPD_BODY_MAX ((size_t)16 * 1024 * 1024)

struct httpd_request {
    char method[16];
    char target[2048];
    char head[16384]; /* all header lines */
    char *body;
    size_t body_len;
    int number; /* of this server, 1 is the first */
};

struct httpd_conn {
    struct httpd *server;
    int fd;
    bool close; /* after this request */
    int served; /* requests that came before on this connection */
};

struct httpd {
    int fd;
    int port;
    void (*handle)(struct httpd_conn *conn, const struct httpd_request *request, void *ctx);
    void *ctx;
    atomic_int connections;
    atomic_int requests;
    atomic_bool stopping;
    pthread_t acceptor;
    pthread_t threads[HTTPD_CONNECTIONS];
    _Atomic int fds[HTTPD_CONNECTIONS];
};

struct httpd_thread {
    struct httpd *server;
    int index;
};

static inline void httpd_raw(struct httpd_conn *conn, const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        ssize_t sent = send(conn->fd, at, len, MSG_NOSIGNAL);
        if (sent <= 0) {
            conn->close = true;
            return;
        }
        at += sent;
        len -= (size_t)sent;
    }
}

__attribute__((format(printf, 2, 3))) static inline void httpd_printf(struct httpd_conn *conn,
                                                                      const char *fmt, ...)
{
    char text[8192];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    httpd_raw(conn, text, (size_t)len);
}

/* An ordinary answer; `headers` are whole lines. */
static inline void httpd_reply(struct httpd_conn *conn, int status, const char *headers,
                               const char *body)
{
    httpd_printf(conn, "HTTP/1.1 %d Said\r\nContent-Length: %zu\r\n%s\r\n%s", status, strlen(body),
                 headers, body);
}

/* The connection ends with a reset. */
static inline void httpd_reset(struct httpd_conn *conn)
{
    const struct linger none = { .l_onoff = 1, .l_linger = 0 };
    setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    conn->close = true;
}

/* Say nothing until the client is gone or the server stops. */
static inline void httpd_hang(struct httpd_conn *conn)
{
    char byte;
    while (recv(conn->fd, &byte, 1, 0) > 0)
        continue;
    conn->close = true;
}

/* The value of a request's header, or NULL. Valid until the next call on this thread. */
static inline const char *httpd_header(const struct httpd_request *request, const char *name)
{
    static _Thread_local char value[4096];
    size_t name_len = strlen(name);
    for (const char *line = request->head; *line != '\0';) {
        size_t len = strcspn(line, "\r");
        if (len > name_len && strncasecmp(line, name, name_len) == 0 && line[name_len] == ':') {
            const char *start = line + name_len + 1;
            start += strspn(start, " ");
            snprintf(value, sizeof(value), "%.*s", (int)(len - (size_t)(start - line)), start);
            return value;
        }
        line += len;
        line += strspn(line, "\r\n");
    }
    return NULL;
}

static inline bool httpd_read_head(struct httpd_conn *conn, char *head, size_t cap)
{
    size_t len = 0;
    while (len + 1 < cap) {
        ssize_t got = recv(conn->fd, head + len, 1, 0);
        if (got <= 0)
            return false;
        head[++len] = '\0';
        if (len >= 4 && strcmp(head + len - 4, "\r\n\r\n") == 0)
            return true;
    }
    return false;
}

static inline bool httpd_read_request(struct httpd_conn *conn, struct httpd_request *request)
{
    static _Thread_local char head[sizeof(request->head) + sizeof(request->target) + 32];
    if (!httpd_read_head(conn, head, sizeof(head)) ||
        sscanf(head, "%15s %2047s HTTP/1.1", request->method, request->target) != 2)
        return false;
    snprintf(request->head, sizeof(request->head), "%s", strchr(head, '\n') + 1);
    const char *length = httpd_header(request, "content-length");
    request->body_len = length != NULL ? (size_t)atoll(length) : 0;
    if (request->body_len > HTTPD_BODY_MAX)
        return false;
    request->body = calloc(1, request->body_len + 1);
    for (size_t at = 0; at < request->body_len;) {
        ssize_t got = recv(conn->fd, request->body + at, request->body_len - at, 0);
        if (got <= 0) {
            free(request->body);
            return false;
        }
        at += (size_t)got;
    }
    request->number = atomic_fetch_add(&conn->server->requests, 1) + 1;
    return true;
}

static inline void *httpd_serve(void *ctx)
{
    struct httpd_thread *thread = ctx;
    struct httpd *server = thread->server;
    int index = thread->index;
    free(thread);
    struct httpd_conn conn = { .server = server, .fd = atomic_load(&server->fds[index]) };
    struct httpd_request *request = calloc(1, sizeof(*request));
    while (!conn.close && httpd_read_request(&conn, request)) {
        server->handle(&conn, request, server->ctx);
        conn.served++;
        free(request->body);
    }
    free(request);
    atomic_store(&server->fds[index], -1);
    close(conn.fd);
    return NULL;
}

static inline void *httpd_accept(void *ctx)
{
    struct httpd *server = ctx;
    while (!atomic_load(&server->stopping)) {
        int fd = accept(server->fd, NULL, NULL);
        if (fd < 0)
            continue;
        int index = atomic_load(&server->connections);
        if (atomic_load(&server->stopping) || index == HTTPD_CONNECTIONS) {
            close(fd);
            continue;
        }
        struct httpd_thread *thread = malloc(sizeof(*thread));
        *thread = (struct httpd_thread){ .server = server, .index = index };
        atomic_store(&server->fds[index], fd);
        pthread_create(&server->threads[index], NULL, httpd_serve, thread);
        atomic_store(&server->connections, index + 1);
    }
    return NULL;
}

static inline void
httpd_start(struct httpd *server,
            void (*handle)(struct httpd_conn *, const struct httpd_request *, void *), void *ctx)
{
    memset(server, 0, sizeof(*server));
    server->handle = handle;
    server->ctx = ctx;
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof(address);
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server->fd < 0 || bind(server->fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(server->fd, 64) != 0 ||
        getsockname(server->fd, (struct sockaddr *)&address, &len) != 0) {
        perror("httpd");
        abort();
    }
    server->port = ntohs(address.sin_port);
    pthread_create(&server->acceptor, NULL, httpd_accept, server);
}

static inline void httpd_stop(struct httpd *server)
{
    atomic_store(&server->stopping, true);
    shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->acceptor, NULL);
    close(server->fd);
    for (int i = 0; i < atomic_load(&server->connections); i++) {
        int fd = atomic_load(&server->fds[i]);
        if (fd >= 0)
            shutdown(fd, SHUT_RDWR);
        pthread_join(server->threads[i], NULL);
    }
}

#endif
