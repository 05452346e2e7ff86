/* A request of a test, with its buffers and streams. */
#ifndef STRAKE_TESTS_HTTP_CLIENT_H
#define STRAKE_TESTS_HTTP_CLIENT_H

#include <stdio.h>
#include <string.h>

#include "util/buf.h"
#include "util/err.h"
#include "util/http.h"

struct client {
    char url[512];
    struct strake_http_request request;
    struct strake_http_response response;
    struct strake_buf headers;
    struct strake_buf body;     /* what `response` took */
    struct strake_buf streamed; /* what `write` took */
    size_t upload_len;
    size_t upload_at;
    int rewinds;
    int upload_fails; /* returned by `read` after half of it */
    int write_fails;  /* returned by `write` */
    struct strake_err err;
};

static inline void client_init(struct client *client, const char *method, int port,
                               const char *path)
{
    memset(client, 0, sizeof(*client));
    snprintf(client->url, sizeof(client->url), "http://127.0.0.1:%d%s", port, path);
    client->request = (struct strake_http_request){ .size = sizeof(client->request),
                                                    .method = method,
                                                    .url = client->url,
                                                    .response = &client->body };
    client->response = (struct strake_http_response){ .size = sizeof(client->response),
                                                      .headers = &client->headers };
}

static inline int client_write(void *ctx, const char *data, size_t len)
{
    struct client *client = ctx;
    return client->write_fails < 0 ? client->write_fails
                                   : strake_buf_append(&client->streamed, data, len);
}

/* The answer's body is streamed. */
static inline void client_stream(struct client *client)
{
    client->request.write = client_write;
    client->request.ctx = client;
}

/* The byte that an upload has at `at`. */
static inline char client_byte(size_t at)
{
    return (char)('a' + at % 26);
}

static inline int64_t client_read(void *ctx, void *data, size_t cap)
{
    struct client *client = ctx;
    size_t len = client->upload_len - client->upload_at;
    if (client->upload_fails < 0 && client->upload_at > 0)
        return client->upload_fails;
    len = len < cap ? len : cap;
    len = len < 10000 ? len : 10000; /* less than there is room for */
    for (size_t i = 0; i < len; i++)
        ((char *)data)[i] = client_byte(client->upload_at + i);
    client->upload_at += len;
    return (int64_t)len;
}

static inline int client_rewind(void *ctx)
{
    struct client *client = ctx;
    client->upload_at = 0;
    client->rewinds++;
    return 0;
}

/* The body is streamed from us, and can be sent again. */
static inline void client_upload(struct client *client, size_t len)
{
    client->upload_len = len;
    client->request.body_len = len;
    client->request.read = client_read;
    client->request.rewind = client_rewind;
    client->request.ctx = client;
}

static inline int client_send(struct client *client, struct strake_job *job)
{
    return strake_http_request(job, &client->request, &client->response, &client->err);
}

static inline void client_free(struct client *client)
{
    strake_buf_dispose(&client->headers);
    strake_buf_dispose(&client->body);
    strake_buf_dispose(&client->streamed);
    strake_err_dispose(&client->err);
}

#endif
