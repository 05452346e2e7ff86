/* A look at a TLS peer (tls.h), on libssl. No other file knows of it. */
#include "util/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/dial.h"
#include "util/lazy.h"
#include "util/mem.h"
#include "util/text.h"
#include "util/time.h"

#define FIRST_WORD_MS 300

/* ---- the library ---- */

/* Each function that is used, with the type that its header gives it. */
#define FUNCTIONS(X)                                                                               \
    X(ASN1_TIME_to_tm)                                                                             \
    X(BIO_ctrl)                                                                                    \
    X(BIO_free)                                                                                    \
    X(BIO_new)                                                                                     \
    X(BIO_new_file)                                                                                \
    X(BIO_s_mem)                                                                                   \
    X(ERR_clear_error)                                                                             \
    X(ERR_get_error)                                                                               \
    X(ERR_reason_error_string)                                                                     \
    X(PEM_read_bio_X509)                                                                           \
    X(SSL_CTX_check_private_key)                                                                   \
    X(SSL_CTX_free)                                                                                \
    X(SSL_CTX_load_verify_file)                                                                    \
    X(SSL_CTX_new)                                                                                 \
    X(SSL_CTX_set_alpn_protos)                                                                     \
    X(SSL_CTX_set_default_passwd_cb)                                                               \
    X(SSL_CTX_set_default_verify_paths)                                                            \
    X(SSL_CTX_set_verify)                                                                          \
    X(SSL_CTX_use_PrivateKey_file)                                                                 \
    X(SSL_CTX_use_certificate_chain_file)                                                          \
    X(SSL_connect)                                                                                 \
    X(SSL_ctrl)                                                                                    \
    X(SSL_free)                                                                                    \
    X(SSL_get0_param)                                                                              \
    X(SSL_get1_peer_certificate)                                                                   \
    X(SSL_get_error)                                                                               \
    X(SSL_get_ex_data)                                                                             \
    X(SSL_get_ex_data_X509_STORE_CTX_idx)                                                          \
    X(SSL_get_version)                                                                             \
    X(SSL_new)                                                                                     \
    X(SSL_read)                                                                                    \
    X(SSL_set_ex_data)                                                                             \
    X(SSL_set_fd)                                                                                  \
    X(SSL_write)                                                                                   \
    X(TLS_client_method)                                                                           \
    X(X509V3_EXT_print)                                                                            \
    X(X509_NAME_print_ex)                                                                          \
    X(X509_STORE_CTX_get_error)                                                                    \
    X(X509_STORE_CTX_get_ex_data)                                                                  \
    X(X509_VERIFY_PARAM_set1_host)                                                                 \
    X(X509_VERIFY_PARAM_set1_ip_asc)                                                               \
    X(X509_free)                                                                                   \
    X(X509_get0_notAfter)                                                                          \
    X(X509_get0_notBefore)                                                                         \
    X(X509_get_ext)                                                                                \
    X(X509_get_ext_by_NID)                                                                         \
    X(X509_get_issuer_name)                                                                        \
    X(X509_get_subject_name)                                                                       \
    X(X509_verify_cert_error_string)

#define SLOT(name) __typeof__(&(name)) name##_;
#define SYMBOL(name) { #name, &lib.name##_ },

static struct {
    FUNCTIONS(SLOT)
} lib;

static pthread_mutex_t lib_lock = PTHREAD_MUTEX_INITIALIZER;
static bool lib_ready; /* guarded by lib_lock */

static int lib_load(struct strake_err *err)
{
    static const struct strake_lazy_symbol symbols[] = { FUNCTIONS(SYMBOL) };
    int rc = 0;

    pthread_mutex_lock(&lib_lock);
    if (!lib_ready) {
        /* What libssl depends on is searched too: libcrypto's functions are found through it. */
        rc = strake_lazy_open("libssl.so.3", "libssl3", symbols,
                              sizeof(symbols) / sizeof(symbols[0]), err);
        lib_ready = rc == 0;
    }
    pthread_mutex_unlock(&lib_lock);
    return rc;
}

/* A key that is locked by a password: nobody is asked for one. */
static int no_password(char *out, int cap, int writing, void *ctx)
{
    (void)out;
    (void)cap;
    (void)writing;
    (void)ctx;
    return -1;
}

/* ---- certificates ---- */

/* What was printed into `bio`, shown as one line; the BIO ends here. */
static void take_text(BIO *bio, char *out, size_t cap)
{
    char *text = NULL;
    long len = lib.BIO_ctrl_(bio, BIO_CTRL_INFO, 0, &text);
    size_t take = len < 0 ? 0 : (size_t)len < cap - 1 ? (size_t)len : cap - 1;

    if (take)
        memcpy(out, text, take);
    out[take] = '\0';
    strake_text_blank(out, take);
    lib.BIO_free_(bio);
}

static int put_name(const X509_NAME *name, char *out, size_t cap)
{
    BIO *bio = lib.BIO_new_(lib.BIO_s_mem_());

    if (!bio)
        return STRAKE_ENOMEM;
    lib.X509_NAME_print_ex_(bio, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB);
    take_text(bio, out, cap);
    return 0;
}

static int put_names(const X509 *certificate, char *out, size_t cap)
{
    int at = lib.X509_get_ext_by_NID_(certificate, NID_subject_alt_name, -1);
    X509_EXTENSION *extension = at >= 0 ? lib.X509_get_ext_(certificate, at) : NULL;
    BIO *bio;

    out[0] = '\0';
    if (!extension)
        return 0;
    bio = lib.BIO_new_(lib.BIO_s_mem_());
    if (!bio)
        return STRAKE_ENOMEM;
    lib.X509V3_EXT_print_(bio, extension, 0, 0);
    take_text(bio, out, cap);
    return 0;
}

/* A time that cannot be read counts as the beginning of time: long past. */
static int64_t seconds_of(const ASN1_TIME *when)
{
    struct tm tm;

    return when && lib.ASN1_TIME_to_tm_(when, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static int describe(const X509 *certificate, struct strake_certificate *out, struct strake_err *err)
{
    if (put_name(lib.X509_get_subject_name_(certificate), out->subject, sizeof(out->subject)) < 0 ||
        put_name(lib.X509_get_issuer_name_(certificate), out->issuer, sizeof(out->issuer)) < 0 ||
        put_names(certificate, out->names, sizeof(out->names)) < 0)
        return strake_fail_nomem(err);
    out->not_before_s = seconds_of(lib.X509_get0_notBefore_(certificate));
    out->not_after_s = seconds_of(lib.X509_get0_notAfter_(certificate));
    return 0;
}

/* What the library has to say of the last failure; its queue is empty then. */
static const char *words(void)
{
    const char *text = NULL;
    unsigned long code;

    while ((code = lib.ERR_get_error_()) != 0) {
        const char *reason = lib.ERR_reason_error_string_(code);
        if (!text)
            text = reason;
    }
    return text ? text : "it gives no reason";
}

int strake_certificate_read(const char *path, struct strake_certificate *out,
                            struct strake_err *err)
{
    X509 *certificate;
    BIO *bio;
    int rc = lib_load(err);

    if (rc < 0)
        return rc;
    lib.ERR_clear_error_();
    bio = lib.BIO_new_file_(path, "r");
    if (!bio)
        return strake_fail(err, STRAKE_ECONFIG, "%s cannot be read: %s", path, words());
    certificate = lib.PEM_read_bio_X509_(bio, NULL, no_password, NULL);
    lib.BIO_free_(bio);
    if (!certificate)
        return strake_fail(err, STRAKE_ECONFIG, "%s holds no certificate: %s", path, words());
    rc = describe(certificate, out, err);
    lib.X509_free_(certificate);
    return rc;
}

/* ---- verification ---- */

static unsigned fault_of(int error)
{
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return STRAKE_TLS_EXPIRED;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return STRAKE_TLS_NOT_YET;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return STRAKE_TLS_OTHER_NAME;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_CERT_UNTRUSTED:
        return STRAKE_TLS_OTHER_AUTHORITY;
    default:
        return STRAKE_TLS_OTHER_FAULT;
    }
}

/* Asked at each fault of the chain: it is written down, and the look goes on. */
static int on_verify(int fine, X509_STORE_CTX *store)
{
    const SSL *ssl =
        lib.X509_STORE_CTX_get_ex_data_(store, lib.SSL_get_ex_data_X509_STORE_CTX_idx_());
    struct strake_tls_peer *out = lib.SSL_get_ex_data_(ssl, 0);
    int error = lib.X509_STORE_CTX_get_error_(store);

    if (!fine) {
        out->faults |= fault_of(error);
        if (fault_of(error) == STRAKE_TLS_OTHER_FAULT)
            snprintf(out->reason, sizeof(out->reason), "%s",
                     lib.X509_verify_cert_error_string_(error));
    }
    return 1;
}

/* ---- the look ---- */

struct look {
    const struct strake_tls_ask *ask;
    const struct strake_job *job;
    int64_t begin_ms, until_ms, timeout_ms;
    SSL_CTX *ctx;
    SSL *ssl;
    int fd;
    struct strake_tls_peer *out;
    struct strake_err *err;
};

static int bad_file(const struct look *look, const char *path, const char *what)
{
    return strake_fail(look->err, STRAKE_ECONFIG, "%s holds no %s that can be used: %s", path, what,
                       words());
}

static int prepare_files(const struct look *look)
{
    const struct strake_tls_ask *ask = look->ask;

    lib.SSL_CTX_set_default_passwd_cb_(look->ctx, no_password);
    if (!ask->only_ca || !ask->ca_file)
        lib.SSL_CTX_set_default_verify_paths_(look->ctx);
    if (ask->ca_file && lib.SSL_CTX_load_verify_file_(look->ctx, ask->ca_file) != 1)
        return bad_file(look, ask->ca_file, "authority");
    if (!ask->cert_file || !ask->key_file)
        return 0;
    if (lib.SSL_CTX_use_certificate_chain_file_(look->ctx, ask->cert_file) != 1)
        return bad_file(look, ask->cert_file, "certificate");
    if (lib.SSL_CTX_use_PrivateKey_file_(look->ctx, ask->key_file, SSL_FILETYPE_PEM) != 1 ||
        lib.SSL_CTX_check_private_key_(look->ctx) != 1)
        return bad_file(look, ask->key_file, "key of that certificate");
    return 0;
}

static int prepare(struct look *look)
{
    static const unsigned char http2[] = "\2h2";
    const char *name = look->ask->name ? look->ask->name : look->ask->host;
    X509_VERIFY_PARAM *param;
    int rc;

    look->ctx = lib.SSL_CTX_new_(lib.TLS_client_method_());
    if (!look->ctx)
        return strake_fail_nomem(look->err);
    rc = prepare_files(look);
    if (rc < 0)
        return rc;
    lib.SSL_CTX_set_verify_(look->ctx, SSL_VERIFY_PEER, on_verify);
    if (look->ask->http2)
        lib.SSL_CTX_set_alpn_protos_(look->ctx, http2, sizeof(http2) - 1);
    look->ssl = lib.SSL_new_(look->ctx);
    if (!look->ssl || lib.SSL_set_ex_data_(look->ssl, 0, look->out) != 1 ||
        lib.SSL_set_fd_(look->ssl, look->fd) != 1)
        return strake_fail_nomem(look->err);
    param = lib.SSL_get0_param_(look->ssl);
    if (lib.X509_VERIFY_PARAM_set1_ip_asc_(param, name) == 1)
        return 0;
    lib.SSL_ctrl_(look->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, (char *)name);
    return lib.X509_VERIFY_PARAM_set1_host_(param, name, 0) == 1 ? 0 : strake_fail_nomem(look->err);
}

static int not_ready(const struct look *look, int rc)
{
    if (rc == STRAKE_ECANCELLED)
        return strake_fail(look->err, rc, "cancelled");
    return strake_fail(look->err, STRAKE_ETIMEOUT,
                       "%s:%s took the connection and did not end the TLS handshake within %lld ms",
                       look->ask->host, look->ask->port, (long long)look->timeout_ms);
}

/* After a call that returned `done` (not positive): wait for what it wants, until then. @return 0 to try again,
 * 1 when it failed, or a code of strake_dial_wait() */
static int wait_again(const struct look *look, int done, int64_t until_ms)
{
    int wants = lib.SSL_get_error_(look->ssl, done);

    if (wants != SSL_ERROR_WANT_READ && wants != SSL_ERROR_WANT_WRITE)
        return 1;
    return strake_dial_wait(look->fd, wants == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, look->job,
                            until_ms);
}

static int shake_hands(const struct look *look)
{
    for (;;) {
        int done, rc;
        lib.ERR_clear_error_();
        done = lib.SSL_connect_(look->ssl);
        if (done == 1)
            return 0;
        rc = wait_again(look, done, look->until_ms);
        if (rc < 0)
            return not_ready(look, rc);
        if (rc > 0)
            return strake_fail(look->err, STRAKE_ENETWORK,
                               "%s:%s does not shake hands over TLS: %s", look->ask->host,
                               look->ask->port, words());
    }
}

/* Its first word, or why it says none: TLS 1.3 refuses a client behind the handshake. Most speak
 * first; only who does not is greeted, because bytes that are not read any more may cost us the alert
 * that says why. */
static int hear(const struct look *look)
{
    static const unsigned char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    const int64_t patience = strake_time_mono_ms() + FIRST_WORD_MS;
    bool greeted = false;
    char word[16];

    for (;;) {
        int done, rc;
        lib.ERR_clear_error_();
        done = lib.SSL_read_(look->ssl, word, sizeof(word));
        if (done > 0)
            return 0;
        rc = wait_again(look, done,
                        !greeted && patience < look->until_ms ? patience : look->until_ms);
        if (rc == STRAKE_ETIMEOUT && !greeted) {
            greeted = true;
            lib.ERR_clear_error_();
            /* These few bytes fit into a fresh socket; what is wrong shows when it is read. */
            (void)lib.SSL_write_(look->ssl, hello, sizeof(hello) - 1);
        } else if (rc < 0) {
            return not_ready(look, rc);
        } else if (rc > 0) {
            snprintf(look->out->refused, sizeof(look->out->refused), "%s", words());
            return 0;
        }
    }
}

static int inspect(const struct look *look)
{
    struct strake_tls_peer *out = look->out;
    X509 *certificate;
    int rc = shake_hands(look);

    if (rc < 0)
        return rc;
    snprintf(out->protocol, sizeof(out->protocol), "%s", lib.SSL_get_version_(look->ssl));
    certificate = lib.SSL_get1_peer_certificate_(look->ssl);
    if (!certificate)
        return strake_fail(look->err, STRAKE_ENETWORK, "%s:%s shows no certificate",
                           look->ask->host, look->ask->port);
    rc = describe(certificate, &out->certificate, look->err);
    lib.X509_free_(certificate);
    if (rc == 0 && look->ask->http2)
        rc = hear(look);
    return rc;
}

int strake_tls_look(const struct strake_tls_ask *ask, const struct strake_job *job,
                    int64_t timeout_ms, struct strake_tls_peer *out, struct strake_err *err)
{
    struct look look = { .ask = ask,
                         .job = job,
                         .begin_ms = strake_time_mono_ms(),
                         .timeout_ms = timeout_ms,
                         .fd = -1,
                         .out = out,
                         .err = err };
    int rc = lib_load(err);

    *out = (struct strake_tls_peer){ .faults = 0 };
    look.until_ms = look.begin_ms + timeout_ms;
    if (rc == 0)
        rc = strake_dial_tcp(ask->host, ask->port, job, timeout_ms, &look.fd, err);
    out->connect_ms = strake_time_mono_ms() - look.begin_ms;
    if (rc == 0)
        rc = prepare(&look);
    if (rc == 0)
        rc = inspect(&look);
    out->total_ms = strake_time_mono_ms() - look.begin_ms;
    if (look.ssl)
        lib.SSL_free_(look.ssl);
    if (look.ctx)
        lib.SSL_CTX_free_(look.ctx);
    if (look.fd >= 0)
        close(look.fd);
    return rc;
}
