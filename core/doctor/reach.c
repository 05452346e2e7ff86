/* Addresses and TLS: is somebody there, and is it who it should be? */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor/probe.h"
#include "util/dial.h"
#include "util/json.h"
#include "util/mem.h"
#include "util/time.h"
#include "util/tls.h"

#define SOON_S ((int64_t)14 * 24 * 3600)
#define DAY_S ((int64_t)24 * 3600)

/* ---- certificates ---- */

static int64_t now_s(void)
{
    return strake_time_now_us() / 1000000;
}

/* "2026-11-24" */
static void put_date(int64_t seconds, char out[STRAKE_TIME_TEXT])
{
    strake_time_format(seconds * 1000000, out);
    out[strcspn(out, "T")] = '\0';
}

static const char *plural(int64_t days)
{
    return days == 1 ? "" : "s";
}

/* "expires in 12 days (2026-12-07)", "expired 1 day ago (2026-11-24)" */
static int add_expiry(struct strake_buf *text, const struct strake_certificate *certificate)
{
    const int64_t left = certificate->not_after_s - now_s();
    const int64_t days = (left < 0 ? -left : left) / DAY_S;
    char date[STRAKE_TIME_TEXT];

    put_date(certificate->not_after_s, date);
    if (left < 0)
        return strake_buf_printf(text, "expired %lld day%s ago (%s)", (long long)days, plural(days),
                                 date);
    return strake_buf_printf(text, "expires in %lld day%s (%s)", (long long)days, plural(days),
                             date);
}

/* One of the names that a certificate is for: the first DNS name, else the first address. */
static void put_one_name(const char *names, char *out, size_t cap)
{
    const char *at = strstr(names, "DNS:");
    size_t len;

    at = at ? at + 4 : strstr(names, "IP Address:") ? strstr(names, "IP Address:") + 11 : "NAME";
    len = strcspn(at, ", ");
    snprintf(out, cap, "%.*s", (int)len, at);
}

/* ---- what is wrong, all of it ---- */

struct findings {
    struct strake_buf detail, hint;
    int rc;
};

static void find(struct findings *found, const char *hint, const char *fmt, ...)
    STRAKE_PRINTF(3, 4);
static void find(struct findings *found, const char *hint, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    if (found->detail.len && strake_buf_puts(&found->detail, "; ") < 0)
        found->rc = STRAKE_ENOMEM;
    if (strake_buf_vprintf(&found->detail, fmt, args) < 0)
        found->rc = STRAKE_ENOMEM;
    va_end(args);
    if (hint && found->hint.len == 0 && strake_buf_puts(&found->hint, hint) < 0)
        found->rc = STRAKE_ENOMEM;
}

static void find_name(struct findings *found, const struct doctor_tls *tls, const char *wanted,
                      const struct strake_certificate *certificate)
{
    char hint[1024], one[256];

    put_one_name(certificate->names, one, sizeof(one));
    if (tls->builder)
        snprintf(hint, sizeof(hint),
                 "let the address name one of these, or say server_name = \"%s\"", one);
    else
        snprintf(hint, sizeof(hint), "name it %s, or have a certificate made for %s", one, wanted);
    find(found, hint, "its certificate (%s) is for another name: %s, and not %s",
         certificate->subject, certificate->names[0] ? certificate->names : "none at all", wanted);
}

static void find_authority(struct findings *found, const struct doctor_tls *tls,
                           const struct strake_certificate *certificate)
{
    find(found,
         "let the option ca name the file of the authority that signed it, if you trust that one",
         "its certificate (%s) is signed by another authority, %s, and not by one of %s",
         certificate->subject, certificate->issuer,
         tls->ca && tls->builder ? tls->ca
         : tls->ca               ? "that file's and the system's"
                                 : "those that this system trusts");
}

/* What is wrong with the other side's certificate, and with what it thinks of ours. */
static void judge(struct findings *found, const struct doctor_tls *tls, const char *wanted,
                  const struct strake_tls_peer *peer)
{
    const struct strake_certificate *certificate = &peer->certificate;
    char date[STRAKE_TIME_TEXT];
    struct strake_buf expiry = { 0 };

    if (peer->faults & STRAKE_TLS_EXPIRED) {
        if (add_expiry(&expiry, certificate) < 0)
            found->rc = STRAKE_ENOMEM;
        find(found, "have it renewed on the other side; is this machine's clock right?",
             "its certificate (%s) %s", certificate->subject, strake_buf_text(&expiry));
        strake_buf_dispose(&expiry);
    }
    if (peer->faults & STRAKE_TLS_NOT_YET) {
        put_date(certificate->not_before_s, date);
        find(found, "is this machine's clock right?",
             "its certificate (%s) holds from %s on, and not yet", certificate->subject, date);
    }
    if (peer->faults & STRAKE_TLS_OTHER_NAME)
        find_name(found, tls, wanted, certificate);
    if (peer->faults & STRAKE_TLS_OTHER_AUTHORITY)
        find_authority(found, tls, certificate);
    if (peer->faults & STRAKE_TLS_OTHER_FAULT)
        find(found, "have a certificate made that can be used",
             "its certificate (%s) is not accepted: %s", certificate->subject, peer->reason);
    if (peer->refused[0])
        find(found,
             tls->cert ? "let the options cert and key name a certificate that it trusts"
                       : "it wants a certificate of ours: give the options cert and key",
             "it refuses %s: %s", tls->cert ? "our certificate" : "a client without a certificate",
             peer->refused);
}

/* Our own certificate, which the other side may let pass until it is looked at closely. */
static void judge_ours(struct findings *found, const struct strake_certificate *ours)
{
    struct strake_buf expiry = { 0 };

    if (ours->not_after_s >= now_s())
        return;
    if (add_expiry(&expiry, ours) < 0)
        found->rc = STRAKE_ENOMEM;
    find(found, "have our certificate, which the option cert names, renewed",
         "our certificate (%s) %s", ours->subject, strake_buf_text(&expiry));
    strake_buf_dispose(&expiry);
}

/* ---- TLS ---- */

static int tell_fine(struct doctor_probe *probe, const struct strake_tls_peer *peer,
                     const struct strake_certificate *ours)
{
    const struct strake_certificate *certificate = &peer->certificate;
    bool soon = certificate->not_after_s - now_s() < SOON_S;
    struct strake_buf text = { 0 };
    int rc = strake_buf_printf(&text, "%s, %s signed by %s, ", peer->protocol, certificate->subject,
                               certificate->issuer);

    if (rc == 0)
        rc = add_expiry(&text, certificate);
    if (rc == 0 && ours) {
        soon = soon || ours->not_after_s - now_s() < SOON_S;
        rc = strake_buf_printf(&text, "; ours: %s, ", ours->subject);
        if (rc == 0)
            rc = add_expiry(&text, ours);
    }
    if (rc == 0)
        rc = doctor_tell(probe, "tls", soon ? DOCTOR_WARN : DOCTOR_OK,
                         soon ? "have it renewed before that day" : NULL, "%s",
                         strake_buf_text(&text));
    strake_buf_dispose(&text);
    return rc;
}

/* With what was asked and answered: all that is wrong, or that nothing is. */
static int tell_peer(struct doctor_probe *probe, const struct doctor_tls *tls, const char *wanted,
                     const struct strake_tls_peer *peer, const struct strake_certificate *ours)
{
    struct findings found = { 0 };
    int rc;

    judge(&found, tls, wanted, peer);
    if (ours)
        judge_ours(&found, ours);
    rc = found.rc;
    if (rc == 0 && found.detail.len)
        rc = doctor_tell(probe, "tls", DOCTOR_FAIL, strake_buf_text(&found.hint), "%s",
                         strake_buf_text(&found.detail));
    else if (rc == 0)
        rc = tell_fine(probe, peer, ours);
    strake_buf_dispose(&found.detail);
    strake_buf_dispose(&found.hint);
    return rc;
}

static const char *hint_of(const struct doctor_tls *tls, int code)
{
    if (code == STRAKE_ECONFIG)
        return "check the files that the options ca, cert and key name";
    if (code == STRAKE_ETIMEOUT)
        return "is it overloaded, or does a firewall swallow what is sent? --timeout waits longer";
    return tls->builder ? "does it speak TLS? Without, leave the options ca, cert and key away"
                        : "does it speak TLS? Without, say plain_http = true";
}

int doctor_check_tls(struct doctor_probe *probe, const struct doctor_tls *tls,
                     struct strake_job *job)
{
    char host[256], port[6];
    struct strake_err err = { 0 };
    struct strake_tls_peer peer;
    struct strake_certificate ours;
    int rc, code;

    if (!strake_dial_parse(tls->address, tls->builder ? NULL : "443", host, sizeof(host), port))
        return 0; /* whoever uses the address says what is wrong with it */
    const struct strake_tls_ask ask = {
        .host = host,
        .port = port,
        .name = tls->server_name,
        .ca_file = tls->ca,
        .only_ca = tls->builder,
        .cert_file = tls->cert,
        .key_file = tls->key,
        .http2 = tls->builder,
    };
    code = strake_tls_look(&ask, job, probe->doctor->bound_ms, &peer, &err);
    if (code == 0 && tls->cert)
        code = strake_certificate_read(tls->cert, &ours, &err);
    if (code == 0) {
        rc = tell_peer(probe, tls, tls->server_name ? tls->server_name : host, &peer,
                       tls->cert ? &ours : NULL);
    } else {
        if (!err.hint)
            strake_err_hint(&err, "%s", hint_of(tls, code));
        rc = doctor_tell_err(probe, "tls", DOCTOR_FAIL, &err);
    }
    strake_err_dispose(&err);
    return rc;
}

static bool has_proxy(void)
{
    static const char *const names[] = { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            return true;
    }
    return false;
}

int doctor_check_https(struct doctor_probe *probe, const char *address, struct strake_job *job)
{
    const struct doctor_tls tls = {
        .address = address,
        .ca = strake_json_str(probe->options, "ca"),
        .cert = strake_json_str(probe->options, "cert"),
        .key = strake_json_str(probe->options, "key"),
    };

    if (has_proxy())
        return doctor_tell(probe, "tls", DOCTOR_SKIP, NULL,
                           "it may be reached through a proxy, and is not dialled");
    return doctor_check_tls(probe, &tls, job);
}

/* ---- the address of a builder ---- */

static int dial(const char *address, const struct doctor_probe *probe, struct strake_job *job,
                struct strake_err *err)
{
    static const char socket_scheme[] = "unix://";
    char host[256], port[6];
    int fd = -1, rc;

    if (strncmp(address, socket_scheme, strlen(socket_scheme)) == 0)
        rc = strake_dial_unix(address + strlen(socket_scheme), &fd, err);
    else if (strake_dial_parse(address, NULL, host, sizeof(host), port))
        rc = strake_dial_tcp(host, port, job, probe->doctor->bound_ms, &fd, err);
    else
        rc = strake_fail(err, STRAKE_ECONFIG, "%s is no address", address);
    if (fd >= 0)
        close(fd);
    return rc;
}

/* `nc -z HOST PORT` */
static int check_address(struct doctor_probe *probe, const char *address, struct strake_job *job,
                         bool *reached)
{
    const int64_t begin = strake_time_mono_ms();
    struct strake_err err = { 0 };
    int rc, code = dial(address, probe, job, &err);

    *reached = code == 0;
    if (code == 0) {
        rc = doctor_tell(probe, "address", DOCTOR_OK, NULL, "%s takes connections, after %lld ms",
                         address, (long long)(strake_time_mono_ms() - begin));
    } else {
        strake_err_hint(&err, "%s",
                        code == STRAKE_ETIMEOUT
                            ? "does a firewall swallow what is sent, or is the machine off?"
                        : code == STRAKE_ECONFIG
                            ? "write tcp://HOST:PORT or unix:///PATH"
                            : "is buildkitd running and listening there? start it, or correct the "
                              "option address");
        rc = doctor_tell_err(probe, "address", DOCTOR_FAIL, &err);
    }
    strake_err_dispose(&err);
    return rc;
}

static bool is_tcp(const char *address)
{
    return strncmp(address, "tcp://", 6) == 0;
}

int doctor_reach_builder(struct doctor_probe *probe, struct strake_job *job)
{
    const json_t *options = probe->options;
    const char *address = strake_json_str(options, "address");
    const struct doctor_tls tls = {
        .address = address,
        .ca = strake_json_str(options, "ca"),
        .cert = strake_json_str(options, "cert"),
        .key = strake_json_str(options, "key"),
        .server_name = strake_json_str(options, "server_name"),
        .builder = true,
    };
    bool reached;
    int rc;

    if (!address)
        return 0;
    if (!is_tcp(address) && strncmp(address, "unix://", 7) != 0)
        return doctor_tell(probe, "address", DOCTOR_SKIP, NULL,
                           "%s is reached through a program, and not looked at", address);
    rc = check_address(probe, address, job, &reached);
    if (rc < 0 || !is_tcp(address))
        return rc;
    if (!tls.ca && !tls.cert)
        return doctor_tell(probe, "tls", DOCTOR_SKIP, NULL,
                           "not used: whoever reaches the port may build there");
    if (!reached)
        return doctor_tell(probe, "tls", DOCTOR_SKIP, NULL, "the address was not reached");
    return doctor_check_tls(probe, &tls, job);
}
