/* One HTTP exchange on libcurl, the only file that includes it. libcurl is loaded when it is first
 * needed. Each pooled handle is an easy handle with a multi handle of its own, which keeps its
 * connections: one thread at a time uses it, and cancellation wakes it at once. Only DNS answers
 * and TLS sessions are shared, because libcurl's sharing of connections is not made for threads. */
#include "util/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/fs.h"
#include "util/http_impl.h"
#include "util/lazy.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/sigpipe.h"
#include "util/time.h"

#define POOL_MAX 16
#define HANDLE_CONNECTIONS 4L
#define CONNECT_TIMEOUT_MS 10000
#define LOOK_AGAIN_MS 1000
#define CA_MAX ((size_t)8 * 1024 * 1024)

/* ---- libcurl, when it is needed ------------------------------------------------------------- */

static struct {
    CURLcode (*global_init)(long);
    curl_version_info_data *(*version_info)(CURLversion);
    CURL *(*easy_init)(void);
    void (*easy_cleanup)(CURL *);
    void (*easy_reset)(CURL *);
    CURLcode (*easy_setopt)(CURL *, CURLoption, ...);
    CURLcode (*easy_getinfo)(CURL *, CURLINFO, ...);
    const char *(*easy_strerror)(CURLcode);
    CURLM *(*multi_init)(void);
    CURLMcode (*multi_cleanup)(CURLM *);
    CURLMcode (*multi_setopt)(CURLM *, CURLMoption, ...);
    CURLMcode (*multi_add_handle)(CURLM *, CURL *);
    CURLMcode (*multi_remove_handle)(CURLM *, CURL *);
    CURLMcode (*multi_perform)(CURLM *, int *);
    CURLMcode (*multi_poll)(CURLM *, struct curl_waitfd[], unsigned, int, int *);
    CURLMsg *(*multi_info_read)(CURLM *, int *);
    const char *(*multi_strerror)(CURLMcode);
    struct curl_slist *(*slist_append)(struct curl_slist *, const char *);
    void (*slist_free_all)(struct curl_slist *);
    CURLSH *(*share_init)(void);
    CURLSHcode (*share_setopt)(CURLSH *, CURLSHoption, ...);
    CURLSHcode (*share_cleanup)(CURLSH *);
} api;

#define SYMBOL(name)                                                                               \
    {                                                                                              \
        "curl_" #name, &api.name                                                                   \
    }

static const struct strake_lazy_symbol symbols[] = {
    SYMBOL(global_init),         SYMBOL(version_info),   SYMBOL(easy_init),
    SYMBOL(easy_cleanup),        SYMBOL(easy_reset),     SYMBOL(easy_setopt),
    SYMBOL(easy_getinfo),        SYMBOL(easy_strerror),  SYMBOL(multi_init),
    SYMBOL(multi_cleanup),       SYMBOL(multi_setopt),   SYMBOL(multi_add_handle),
    SYMBOL(multi_remove_handle), SYMBOL(multi_perform),  SYMBOL(multi_poll),
    SYMBOL(multi_info_read),     SYMBOL(multi_strerror), SYMBOL(slist_append),
    SYMBOL(slist_free_all),      SYMBOL(share_init),     SYMBOL(share_setopt),
    SYMBOL(share_cleanup),
};

/* An easy handle and its connections. */
struct handle {
    CURL *easy;
    CURLM *multi;
    struct strake_url last; /* where its freshest connection leads */
    struct handle *next;
};

static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static bool loaded;
static CURLSH *shared;
static struct handle *idle; /* the latest first */
static unsigned idle_count;

static pthread_mutex_t share_locks[CURL_LOCK_DATA_LAST];

static void lock_shared(CURL *easy, curl_lock_data data, curl_lock_access access, void *ctx)
{
    (void)easy, (void)access, (void)ctx;
    pthread_mutex_lock(&share_locks[data]);
}

static void unlock_shared(CURL *easy, curl_lock_data data, void *ctx)
{
    (void)easy, (void)ctx;
    pthread_mutex_unlock(&share_locks[data]);
}

static CURLSH *make_share(void)
{
    CURLSH *share = api.share_init();
    if (share == NULL)
        return NULL;
    if (api.share_setopt(share, CURLSHOPT_LOCKFUNC, lock_shared) != CURLSHE_OK ||
        api.share_setopt(share, CURLSHOPT_UNLOCKFUNC, unlock_shared) != CURLSHE_OK ||
        api.share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS) != CURLSHE_OK ||
        api.share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) != CURLSHE_OK) {
        api.share_cleanup(share);
        return NULL;
    }
    return share;
}

/* A build with a libcurl of its own (STRAKE_CURL=lean) prefers that one: it is loaded in a third of
 * the time that the system's takes, which brings some thirty libraries along. */
static int open_library(struct strake_err *err)
{
    const size_t count = sizeof(symbols) / sizeof(symbols[0]);
#ifdef STRAKE_LEAN_CURL
    bool own = true;
#ifdef STRAKE_DEV
    const char *wanted = getenv("STRAKE_CURL"); /* the tests run with both */
    own = wanted == NULL || strcmp(wanted, "system") != 0;
#endif
    if (own)
        return strake_lazy_open_own("libstrake-curl.so", "libcurl.so.4", "libcurl4", symbols, count,
                                    err);
#endif
    return strake_lazy_open("libcurl.so.4", "libcurl4", symbols, count, err);
}

/* Our own libcurl loads OpenSSL with the first https. That it cannot be had is told here. */
static int load_tls(struct strake_err *err)
{
    static bool tls_loaded;
    int rc = tls_loaded ? 0 : strake_lazy_open("libssl.so.3", "libssl3", NULL, 0, err);
    tls_loaded = rc == 0;
    return rc;
}

/* The lock of the pool is held. */
static int load(struct strake_err *err)
{
    if (loaded)
        return 0;
    int rc = open_library(err);
    if (rc < 0)
        return rc;
    CURLcode code = api.global_init(CURL_GLOBAL_DEFAULT);
    if (code != CURLE_OK)
        return strake_fail(err, STRAKE_EINTERNAL, "libcurl does not start: %s",
                           api.easy_strerror(code));
    for (size_t i = 0; i < CURL_LOCK_DATA_LAST; i++)
        pthread_mutex_init(&share_locks[i], NULL);
    shared = make_share();
    if (shared == NULL)
        return strake_fail_nomem(err);
    loaded = true;
    return 0;
}

int strake_http_warm(struct strake_err *err)
{
    pthread_mutex_lock(&pool_lock);
    int rc = load(err);
    pthread_mutex_unlock(&pool_lock);
    return rc;
}

/* ---- the pool ------------------------------------------------------------------------------- */

static void handle_free(struct handle *handle)
{
    if (handle->easy != NULL)
        api.easy_cleanup(handle->easy);
    if (handle->multi != NULL)
        api.multi_cleanup(handle->multi);
    strake_url_dispose(&handle->last);
    strake_free(handle);
}

static struct handle *handle_new(void)
{
    struct handle *handle = strake_calloc(1, sizeof(*handle));
    if (handle == NULL)
        return NULL;
    handle->easy = api.easy_init();
    handle->multi = api.multi_init();
    if (handle->easy == NULL || handle->multi == NULL) {
        handle_free(handle);
        return NULL;
    }
    api.multi_setopt(handle->multi, CURLMOPT_MAXCONNECTS, HANDLE_CONNECTIONS);
    return handle;
}

/* The idle handle that was last used for this host, else the latest; none: a new one. NULL with
 * `err` filled when there can be none. */
static struct handle *pool_take(const struct strake_url *url, struct strake_err *err)
{
    pthread_mutex_lock(&pool_lock);
    int rc = load(err);
    if (rc == 0 && url->https)
        rc = load_tls(err);
    struct handle **best = &idle;
    for (struct handle **at = &idle; *at != NULL; at = &(*at)->next) {
        if ((*at)->last.host != NULL && (*at)->last.https == url->https &&
            strake_url_same_host(&(*at)->last, url)) {
            best = at;
            break;
        }
    }
    struct handle *handle = rc == 0 ? *best : NULL;
    if (handle != NULL) {
        *best = handle->next;
        handle->next = NULL;
        idle_count--;
    }
    pthread_mutex_unlock(&pool_lock);
    if (rc < 0 || handle != NULL)
        return handle;
    handle = handle_new();
    if (handle == NULL)
        strake_fail_nomem(err);
    return handle;
}

static void pool_give(struct handle *handle, const struct strake_url *url)
{
    api.easy_reset(handle->easy);
    strake_url_dispose(&handle->last);
    handle->last.https = url->https;
    handle->last.port = url->port;
    handle->last.host = strake_strdup(url->host); /* without memory it only matches no host */
    pthread_mutex_lock(&pool_lock);
    bool keep = idle_count < POOL_MAX;
    if (keep) {
        handle->next = idle;
        idle = handle;
        idle_count++;
    }
    pthread_mutex_unlock(&pool_lock);
    if (!keep)
        handle_free(handle);
}

void strake_http_reset(void)
{
    pthread_mutex_lock(&pool_lock);
    struct handle *first = idle;
    idle = NULL;
    idle_count = 0;
    pthread_mutex_unlock(&pool_lock);
    while (first != NULL) {
        struct handle *next = first->next;
        handle_free(first);
        first = next;
    }
}

/* ---- callbacks of libcurl ------------------------------------------------------------------- */

static size_t on_header(char *line, size_t size, size_t count, void *ctx)
{
    return strake_transfer_header(ctx, line, size * count) ? size * count : 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
    /* Not the number of bytes given: libcurl ends the transfer. */
    return strake_transfer_body(ctx, data, size * count) ? size * count : size * count + 1;
}

static size_t on_read(char *data, size_t size, size_t count, void *ctx)
{
    int64_t got = strake_transfer_read(ctx, data, size * count);
    return got >= 0 ? (size_t)got : CURL_READFUNC_ABORT;
}

/* libcurl starts again by itself when a kept connection turns out to be closed. */
static int on_seek(void *ctx, curl_off_t offset, int origin)
{
    if (offset != 0 || origin != SEEK_SET)
        return CURL_SEEKFUNC_CANTSEEK;
    return strake_transfer_rewind(ctx) ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

/* ---- setting up a transfer ------------------------------------------------------------------ */

/* What libcurl is given for one transfer, and must outlive it. */
struct setup {
    CURL *easy;
    CURLcode code; /* the first option that was refused */
    struct strake_buf url;
    struct strake_buf authorities;
    struct curl_slist *headers;
    char message[CURL_ERROR_SIZE];
};

static void note(struct setup *setup, CURLcode code)
{
    if (setup->code == CURLE_OK)
        setup->code = code;
}

#define SET(setup, option, value) note((setup), api.easy_setopt((setup)->easy, (option), (value)))

static void set_manners(struct setup *setup)
{
    SET(setup, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(setup, CURLOPT_FOLLOWLOCATION, 0L);
    SET(setup, CURLOPT_PATH_AS_IS, 1L);
    SET(setup, CURLOPT_NOSIGNAL, 1L);
    SET(setup, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(setup, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    /* Refused by a libcurl that does not speak it. */
    api.easy_setopt(setup->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    SET(setup, CURLOPT_TCP_KEEPALIVE, 1L);
    SET(setup, CURLOPT_BUFFERSIZE, 64L * 1024);
    SET(setup, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    SET(setup, CURLOPT_USERAGENT, "strake/" STRAKE_VERSION);
    SET(setup, CURLOPT_SHARE, shared);
    /* Without it a cancelled request would wait for the resolver's thread. */
    SET(setup, CURLOPT_QUICK_EXIT, 1L);
}

static void set_method(struct setup *setup, const struct strake_exchange *exchange)
{
    const struct strake_http_request *request = exchange->request;
    bool bodied = exchange->with_body || strcmp(exchange->method, "POST") == 0 ||
                  strcmp(exchange->method, "PUT") == 0 || strcmp(exchange->method, "PATCH") == 0;
    if (strcmp(exchange->method, "HEAD") == 0) {
        SET(setup, CURLOPT_NOBODY, 1L);
    } else if (bodied) {
        curl_off_t size = exchange->with_body ? (curl_off_t)request->body_len : 0;
        SET(setup, CURLOPT_UPLOAD, 1L);
        SET(setup, CURLOPT_INFILESIZE_LARGE, size);
        SET(setup, CURLOPT_CUSTOMREQUEST, exchange->method);
        /* A body that cannot be sent twice must not meet a kept connection that is dead. */
        if (exchange->with_body && request->body == NULL && request->rewind == NULL)
            SET(setup, CURLOPT_FRESH_CONNECT, 1L);
    } else if (strcmp(exchange->method, "GET") != 0) {
        SET(setup, CURLOPT_CUSTOMREQUEST, exchange->method);
    }
}

static int add_header(struct setup *setup, const char *line)
{
    struct curl_slist *longer = api.slist_append(setup->headers, line);
    if (longer == NULL)
        return STRAKE_ENOMEM;
    setup->headers = longer;
    return 0;
}

static int set_headers(struct setup *setup, const struct strake_exchange *exchange)
{
    const struct strake_pair *const *headers = exchange->request->headers;
    /* Servers that do not know Expect cost a second each. */
    int rc = add_header(setup, "Expect:");
    for (size_t i = 0; rc == 0 && headers != NULL && headers[i] != NULL; i++) {
        if (exchange->foreign && !strake_http_is_harmless(headers[i]->name))
            continue;
        /* libcurl's way to say "an empty value" is a semicolon. */
        struct strake_buf line = { .secret = true };
        rc = headers[i]->value[0] != '\0'
                 ? strake_buf_printf(&line, "%s: %s", headers[i]->name, headers[i]->value)
                 : strake_buf_printf(&line, "%s;", headers[i]->name);
        if (rc == 0)
            rc = add_header(setup, strake_buf_text(&line));
        strake_buf_dispose(&line);
    }
    SET(setup, CURLOPT_HTTPHEADER, setup->headers);
    return rc;
}

/* The caller's authority and, where libcurl has a file of the system's, both in one piece. */
static int join_authorities(struct setup *setup, const char *ca_file, const char *system_file,
                            struct strake_err *err)
{
    setup->authorities = STRAKE_BUF(CA_MAX);
    int rc = strake_fs_read(ca_file, CA_MAX, &setup->authorities, err);
    if (rc < 0)
        return rc;
    if (system_file != NULL && strake_fs_is_file(system_file)) {
        rc = strake_buf_putc(&setup->authorities, '\n');
        if (rc < 0)
            return strake_fail_nomem(err);
        rc = strake_fs_read(system_file, CA_MAX, &setup->authorities, err);
        if (rc < 0)
            return rc;
    }
    struct curl_blob blob = { .data = setup->authorities.data,
                              .len = setup->authorities.len,
                              .flags = CURL_BLOB_NOCOPY };
    SET(setup, CURLOPT_CAINFO_BLOB, &blob);
    return 0;
}

/* The caller's authority beside the system's. CAINFO takes the place of libcurl's own file, so that
 * the system's must come from its folder, where each is looked up when it is needed. */
static int set_authorities(struct setup *setup, const char *ca_file, struct strake_err *err)
{
    const curl_version_info_data *built = api.version_info(CURLVERSION_NOW);
    bool tells = built->age >= CURLVERSION_SEVENTH;
    if (access(ca_file, R_OK) < 0)
        return strake_fail_errno(err, STRAKE_ECONFIG, "the certificate authority %s", ca_file);
    if (!tells || built->capath == NULL || !strake_fs_is_dir(built->capath))
        return join_authorities(setup, ca_file, tells ? built->cainfo : NULL, err);
    SET(setup, CURLOPT_CAINFO, ca_file);
    return 0;
}

static int set_tls(struct setup *setup, const struct strake_http_request *request,
                   struct strake_err *err)
{
    if (request->cert_file != NULL)
        SET(setup, CURLOPT_SSLCERT, request->cert_file);
    if (request->key_file != NULL)
        SET(setup, CURLOPT_SSLKEY, request->key_file);
    return request->ca_file != NULL ? set_authorities(setup, request->ca_file, err) : 0;
}

static int set_up(struct setup *setup, struct strake_transfer *transfer)
{
    const struct strake_exchange *exchange = transfer->exchange;
    int rc = strake_url_text(exchange->url, &setup->url);
    if (rc == 0) {
        set_manners(setup);
        SET(setup, CURLOPT_URL, strake_buf_text(&setup->url));
        set_method(setup, exchange);
        rc = set_headers(setup, exchange);
    }
    if (rc < 0)
        return strake_fail_nomem(transfer->err);
    SET(setup, CURLOPT_ERRORBUFFER, setup->message);
    SET(setup, CURLOPT_HEADERFUNCTION, on_header);
    SET(setup, CURLOPT_HEADERDATA, transfer);
    SET(setup, CURLOPT_WRITEFUNCTION, on_body);
    SET(setup, CURLOPT_WRITEDATA, transfer);
    SET(setup, CURLOPT_READFUNCTION, on_read);
    SET(setup, CURLOPT_READDATA, transfer);
    SET(setup, CURLOPT_SEEKFUNCTION, on_seek);
    SET(setup, CURLOPT_SEEKDATA, transfer);
    rc = set_tls(setup, exchange->request, transfer->err);
    if (rc == 0 && setup->code != CURLE_OK)
        rc = strake_exchange_fail(exchange, transfer->err, STRAKE_EINTERNAL,
                                  "libcurl refuses a setting: %s", api.easy_strerror(setup->code));
    return rc;
}

/* ---- what libcurl says of a failure --------------------------------------------------------- */

/* The reason in libcurl's words or the system's; a first word with one capital loses it. */
static void reason(const struct setup *setup, CURLcode code, long os_error, char *out, size_t cap)
{
    const char *text = setup->message[0] != '\0' ? setup->message : api.easy_strerror(code);
    char system_text[128];
    if (os_error != 0)
        text = strerror_r((int)os_error, system_text, sizeof(system_text));
    size_t len = strlen(text) < cap ? strlen(text) : cap - 1;
    memcpy(out, text, len);
    out[len] = '\0';
    while (len > 0 && (out[len - 1] == '\n' || out[len - 1] == '.'))
        out[--len] = '\0';
    size_t word = len > 0 ? 1 : 0;
    while (word < len && out[word] >= 'a' && out[word] <= 'z')
        word++;
    if ((word == len || out[word] == ' ') && out[0] >= 'A' && out[0] <= 'Z')
        out[0] = (char)(out[0] - 'A' + 'a');
}

static int tls_failed(struct strake_transfer *transfer, const struct setup *setup, CURLcode code,
                      const char *why)
{
    /* 1 until the chain of signatures was looked at, which comes after the name. */
    long verified = 1;
    api.easy_getinfo(setup->easy, CURLINFO_SSL_VERIFYRESULT, &verified);
    strake_exchange_fail(transfer->exchange, transfer->err, STRAKE_ENETWORK, "TLS: %s", why);
    if (code == CURLE_PEER_FAILED_VERIFICATION && verified != 1)
        strake_err_hint(transfer->err,
                        "if this is the right server, name the certificate authority "
                        "that signed for it with `ca` or --ca FILE");
    else if (code == CURLE_PEER_FAILED_VERIFICATION)
        strake_err_hint(transfer->err, "its certificate was made out to another name: is this the "
                                       "name that the server goes by?");
    else if (code == CURLE_SSL_CONNECT_ERROR)
        strake_err_hint(transfer->err, "does the server speak plain http on this port? Then set "
                                       "plain_http = true");
    else
        strake_err_hint(transfer->err, "check the files named as certificate, key and certificate "
                                       "authority");
    return STRAKE_ENETWORK;
}

/* A connection that did not come about. libcurl's words name whom it tried: when that is not the
 * host of the URL, it was a proxy. */
static int not_connected(struct strake_transfer *transfer, const struct setup *setup,
                         const char *why)
{
    const struct strake_exchange *exchange = transfer->exchange;
    strake_exchange_fail(exchange, transfer->err, STRAKE_ENETWORK, "%s", why);
    const char *host = exchange->url->host;
    size_t skip = host[0] == '[';
    if (setup->message[0] != '\0' && memmem(setup->message, strlen(setup->message), host + skip,
                                            strlen(host) - 2 * skip) == NULL)
        strake_err_hint(transfer->err, "the way leads through a proxy: check http_proxy, "
                                       "https_proxy and no_proxy");
    return STRAKE_ENETWORK;
}

/* A connection that broke, or that a proxy or the other side's TLS refused. */
static int broken(struct strake_transfer *transfer, const struct setup *setup, const char *why)
{
    struct strake_exchange *exchange = transfer->exchange;
    long connect_status = 0;
    api.easy_getinfo(setup->easy, CURLINFO_HTTP_CONNECTCODE, &connect_status);
    if (connect_status >= 300) {
        strake_exchange_fail(exchange, transfer->err, STRAKE_ENETWORK,
                             "the proxy refuses the connection with status %ld", connect_status);
        strake_err_hint(transfer->err, "check https_proxy and no_proxy");
        return STRAKE_ENETWORK;
    }
    if (exchange->url->https && strstr(setup->message, " alert ") != NULL)
        return tls_failed(transfer, setup, CURLE_SSL_CERTPROBLEM, why);
    exchange->transient = true;
    return strake_exchange_fail(exchange, transfer->err, STRAKE_ENETWORK,
                                "the connection broke: %s", why);
}

static int explain(struct strake_transfer *transfer, const struct setup *setup, CURLcode code)
{
    struct strake_exchange *exchange = transfer->exchange;
    struct strake_err *err = transfer->err;
    long os_error = 0;
    char why[CURL_ERROR_SIZE];
    api.easy_getinfo(setup->easy, CURLINFO_OS_ERRNO, &os_error);
    reason(setup, code, code == CURLE_COULDNT_CONNECT || code == CURLE_RECV_ERROR ? os_error : 0,
           why, sizeof(why));
    switch (code) {
    case CURLE_OUT_OF_MEMORY:
        return strake_fail_nomem(err);
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        strake_exchange_fail(exchange, err, STRAKE_ENETWORK, "%s", why);
        strake_err_hint(err, "is the name right, and does this machine have a name server?");
        return STRAKE_ENETWORK;
    case CURLE_COULDNT_CONNECT:
        exchange->transient = os_error == ECONNREFUSED || os_error == ECONNRESET;
        return not_connected(transfer, setup, why);
    case CURLE_OPERATION_TIMEDOUT:
        return strake_exchange_fail(exchange, err, STRAKE_ENETWORK, "no connection within %d s",
                                    CONNECT_TIMEOUT_MS / 1000);
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
        return tls_failed(transfer, setup, code, why);
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
        strake_exchange_fail(exchange, err, STRAKE_ENETWORK, "what answers is no HTTP server: %s",
                             why);
        strake_err_hint(err, "check the port; a server that wants https needs it in the address");
        return STRAKE_ENETWORK;
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return broken(transfer, setup, why);
    default:
        return strake_exchange_fail(exchange, err, STRAKE_ENETWORK, "%s", why);
    }
}

/* ---- the wait ------------------------------------------------------------------------------- */

static int check_time(struct strake_transfer *transfer)
{
    const struct strake_exchange *exchange = transfer->exchange;
    int64_t now = strake_time_mono_ms();
    int rc = exchange->job != NULL ? strake_job_check(exchange->job, transfer->err) : 0;
    if (rc < 0) {
        strake_exchange_name(exchange, transfer->err);
        return rc;
    }
    char limit[STRAKE_TIME_TEXT];
    if (now >= exchange->deadline_ms) {
        strake_duration_format(exchange->limit_ms, limit, sizeof(limit));
        return strake_exchange_fail(exchange, transfer->err, STRAKE_ETIMEOUT, "not done within %s",
                                    limit);
    }
    if (now < strake_transfer_stalls_at(transfer))
        return 0;
    strake_duration_format(now - transfer->moved_at, limit, sizeof(limit));
    return strake_exchange_fail(exchange, transfer->err, STRAKE_ETIMEOUT, "nothing came for %s",
                                limit);
}

static int wait_ms(const struct strake_transfer *transfer)
{
    const struct strake_exchange *exchange = transfer->exchange;
    int64_t until = strake_transfer_stalls_at(transfer);
    until = exchange->deadline_ms < until ? exchange->deadline_ms : until;
    int64_t wait = until - strake_time_mono_ms();
    int64_t left = exchange->job != NULL ? strake_job_remaining_ms(exchange->job) : -1;
    if (left >= 0 && left < wait)
        wait = left;
    if (wait < 0)
        wait = 0;
    return wait < LOOK_AGAIN_MS ? (int)wait : LOOK_AGAIN_MS;
}

/* Until libcurl is done with it. @return 0 with libcurl's result in *code, or why it was left. */
static int drive(struct strake_transfer *transfer, struct handle *handle, CURLcode *code)
{
    struct strake_job *job = transfer->exchange->job;
    struct curl_waitfd cancel = { .fd = job != NULL ? strake_job_cancel_fd(job) : -1,
                                  .events = CURL_WAIT_POLLIN };
    for (;;) {
        int running = 0;
        int rc = check_time(transfer);
        if (rc < 0)
            return rc;
        CURLMcode multi = api.multi_perform(handle->multi, &running);
        if (multi == CURLM_OK && running > 0)
            multi = api.multi_poll(handle->multi, &cancel, job != NULL, wait_ms(transfer), NULL);
        if (multi != CURLM_OK)
            return strake_exchange_fail(transfer->exchange, transfer->err, STRAKE_EINTERNAL,
                                        "libcurl: %s", api.multi_strerror(multi));
        if (running == 0)
            break;
    }
    int left;
    CURLMsg *message;
    while ((message = api.multi_info_read(handle->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE)
            *code = message->data.result;
    }
    return 0;
}

static int transfer_with(struct strake_transfer *transfer, struct handle *handle)
{
    struct setup setup = { .easy = handle->easy, .url = { .secret = true } };
    CURLcode code = CURLE_OK;
    int rc = set_up(&setup, transfer);
    if (rc == 0 && api.multi_add_handle(handle->multi, handle->easy) != CURLM_OK)
        rc = strake_fail_nomem(transfer->err);
    else if (rc == 0) {
        rc = drive(transfer, handle, &code);
        api.multi_remove_handle(handle->multi, handle->easy);
    }
    if (rc == 0 && transfer->rc < 0)
        rc = transfer->rc;
    else if (rc == 0 && code != CURLE_OK && !transfer->enough)
        rc = explain(transfer, &setup, code);
    /* Nothing of ours may stay behind in the handle. */
    api.easy_reset(handle->easy);
    api.slist_free_all(setup.headers);
    strake_buf_dispose(&setup.url);
    strake_buf_dispose(&setup.authorities);
    return rc;
}

int strake_http_exchange(struct strake_exchange *exchange, struct strake_err *err)
{
    struct strake_transfer transfer;
    struct strake_sigpipe sigpipe;
    strake_transfer_begin(&transfer, exchange, err);
    struct handle *handle = pool_take(exchange->url, err);
    if (handle == NULL)
        return err->code;
    strake_sigpipe_hold(&sigpipe);
    int rc = transfer_with(&transfer, handle);
    pool_give(handle, exchange->url);
    strake_sigpipe_release(&sigpipe);
    if (rc < 0)
        strake_transfer_undo(&transfer);
    strake_log(STRAKE_LOG_DEBUG, "%s %s%s:%d -> %d, %lld ms", exchange->method,
               exchange->url->https ? "https://" : "http://", exchange->url->host,
               exchange->url->port, rc < 0 ? rc : exchange->status,
               (long long)(strake_time_mono_ms() - transfer.started_at));
    return rc;
}
