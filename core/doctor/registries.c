/* Registries: is it there, is its clock ours, are the credentials accepted, what do they allow? */
#include <stdlib.h>
#include <string.h>

#include "doctor/probe.h"
#include "plugin/instance.h"
#include "util/http.h"
#include "util/json.h"
#include "util/mem.h"
#include "util/time.h"

#define EXIT_REGISTRY 8
#define DETAIL_MAX 4096
#define SKEW_MAX_MS 30000

/* ---- is it there? ---- */

/* An answer of GET /v2/, and when it came. */
struct answer {
    int status;
    struct strake_buf headers, body;
    int64_t sent_us, came_us;
};

static void answer_dispose(struct answer *answer)
{
    strake_buf_dispose(&answer->headers);
    strake_buf_dispose(&answer->body);
}

static bool is_plain(const struct doctor_probe *probe)
{
    return strake_stores_plain_http(probe->doctor->stores, probe->name);
}

/* docker.io is a name, not a place. */
static const char *place_of(const struct doctor_probe *probe)
{
    return strcmp(probe->name, "docker.io") == 0 ? "registry-1.docker.io" : probe->name;
}

static int get_base(const struct doctor_probe *probe, struct strake_job *job, struct answer *answer,
                    struct strake_err *err)
{
    const bool plain = is_plain(probe);
    char *url = strake_asprintf("%s://%s/v2/", plain ? "http" : "https", place_of(probe));
    const struct strake_http_request request = {
        .size = sizeof(request),
        .method = "GET",
        .url = url,
        .response = &answer->body,
        .timeout_ms = probe->doctor->bound_ms,
        .plain_http = plain,
        .ca_file = strake_json_str(probe->options, "ca"),
        .cert_file = strake_json_str(probe->options, "cert"),
        .key_file = strake_json_str(probe->options, "key"),
    };
    struct strake_http_response response = { .size = sizeof(response),
                                             .headers = &answer->headers };
    int rc;

    if (!url)
        return strake_fail_nomem(err);
    answer->sent_us = strake_time_now_us();
    rc = strake_http_request(job, &request, &response, err);
    answer->came_us = strake_time_now_us();
    answer->status = response.status;
    strake_free(url);
    return rc;
}

/* "401 Bearer": what it asks for, in its own words. */
static void put_challenge(const struct answer *answer, char *out, size_t cap)
{
    size_t pos = 0, len = 0;
    const char *value = strake_http_header(&answer->headers, "www-authenticate", &pos, &len);
    size_t word = 0;

    while (value && word < len && value[word] != ' ')
        word++;
    snprintf(out, cap, "%d%s%.*s", answer->status, word ? " " : "", (int)(word < 40 ? word : 40),
             value ? value : "");
}

static int tell_reached(struct doctor_probe *probe, const struct answer *answer)
{
    const long long took_ms = (answer->came_us - answer->sent_us) / 1000;
    const char *scheme = is_plain(probe) ? "http" : "https";
    char said[64];

    put_challenge(answer, said, sizeof(said));
    if (answer->status == 200 || answer->status == 401)
        return doctor_tell(probe, NULL, DOCTOR_OK, NULL, "%s, answered %s after %lld ms", scheme,
                           said, took_ms);
    if (answer->status >= 500 || answer->status == 429)
        return doctor_tell(probe, NULL, DOCTOR_FAIL, "it has a problem of its own: try again later",
                           "%s, it answered %d to GET /v2/", scheme, answer->status);
    return doctor_tell(probe, NULL, DOCTOR_FAIL, "is it a registry, and the port right?",
                       "%s, it answered %d to GET /v2/, as no registry does", scheme,
                       answer->status);
}

static int tell_unreached(struct doctor_probe *probe, struct strake_err *err)
{
    if (!err->hint)
        strake_err_hint(err,
                        "is the name right, and the registry up? For one that speaks http, say "
                        "plain_http = true");
    return doctor_tell_err(probe, NULL, DOCTOR_FAIL, err);
}

/* ---- its clock ---- */

static int check_clock(struct doctor_probe *probe, const struct answer *answer)
{
    size_t pos = 0, len = 0;
    const char *value = strake_http_header(&answer->headers, "date", &pos, &len);
    const int64_t date = value ? strake_http_date(value, len) : -1;
    char text[STRAKE_TIME_TEXT];
    int64_t ahead_ms;

    if (date < 0)
        return doctor_tell(probe, "clock", DOCTOR_SKIP, NULL, "it does not say what time it is");
    /* It says whole seconds, cut: half a second more is the best guess. */
    ahead_ms = (answer->sent_us + answer->came_us) / 2000 - (date * 1000 + 500);
    strake_duration_format(llabs(ahead_ms), text, sizeof(text));
    if (llabs(ahead_ms) <= SKEW_MAX_MS)
        return doctor_tell(probe, "clock", DOCTOR_OK, NULL,
                           "this machine's clock agrees, within %s",
                           llabs(ahead_ms) < 1000 ? "a second" : text);
    return doctor_tell(probe, "clock", DOCTOR_WARN,
                       "set this machine's clock (`timedatectl set-ntp true`): tokens and "
                       "certificates are judged by it",
                       "this machine's clock is %s %s that of %s", text,
                       ahead_ms > 0 ? "ahead of" : "behind", probe->name);
}

/* ---- credentials ---- */

static int tell_login(struct doctor_probe *probe, const struct strake_registry_access *access)
{
    if (access->given)
        return doctor_tell(probe, "login", DOCTOR_OK, NULL, "%s the credentials from %s",
                           access->asked ? "it accepts" : "it asks nobody; there are",
                           access->source);
    if (!access->asked)
        return doctor_tell(probe, "login", DOCTOR_OK, NULL, "it asks for no credentials");
    return doctor_tell(probe, "login", probe->subjects.count ? DOCTOR_WARN : DOCTOR_SKIP,
                       "`strake login`, or username and password in its registry block",
                       "it asks for credentials (%s), and there are none", access->scheme);
}

/* A plugin that knows no access() may know ping(). */
static int check_ping(struct doctor_probe *probe, const char *part,
                      struct strake_instance *registry, struct strake_job *job)
{
    struct strake_job *bounded = doctor_bound(probe, job);
    struct strake_buf detail = STRAKE_BUF(DETAIL_MAX);
    struct strake_err err = { 0 };
    int rc =
        bounded ? strake_registry_ping(registry, bounded, &detail, &err) : strake_fail_nomem(&err);

    rc = rc == 0 ? doctor_tell(probe, part, DOCTOR_OK, NULL, "%s",
                               detail.len ? strake_buf_text(&detail) : "it can be used")
                 : doctor_tell_err(probe, part, DOCTOR_FAIL, &err);
    strake_job_free(bounded);
    strake_buf_dispose(&detail);
    strake_err_dispose(&err);
    return rc;
}

static int check_login(struct doctor_probe *probe, struct strake_instance *registry,
                       struct strake_job *job, struct strake_registry_access *access)
{
    struct strake_job *bounded = doctor_bound(probe, job);
    struct strake_err err = { 0 };
    int rc = bounded ? strake_registry_access(registry, bounded, "", "", access, &err)
                     : strake_fail_nomem(&err);

    if (rc == 0)
        rc = tell_login(probe, access);
    else if (rc == STRAKE_EUNSUPPORTED)
        rc = check_ping(probe, "login", registry, job);
    else
        rc = doctor_tell_err(probe, "login", DOCTOR_FAIL, &err);
    strake_job_free(bounded);
    strake_err_dispose(&err);
    return rc;
}

/* ---- what they allow ---- */

static int tell_actions(struct doctor_probe *probe, const char *repository,
                        const struct strake_registry_access *access)
{
    const bool pull = strstr(access->actions, "pull") != NULL;
    const bool push = strstr(access->actions, "push") != NULL;

    if (pull && push)
        return doctor_tell(probe, repository, DOCTOR_OK, NULL, "may be pulled from and pushed to");
    /* Without credentials a build works all the same, as long as nothing is pushed. */
    return doctor_tell(
        probe, repository, access->given ? DOCTOR_FAIL : DOCTOR_WARN,
        access->given ? "have the account of these credentials allowed to, or use another one"
                      : "`strake login`, or username and password in its registry block",
        "%s, %s%s",
        pull   ? "may be pulled from and not pushed to"
        : push ? "may be pushed to and not pulled from"
               : "may neither be pulled from nor pushed to",
        access->given ? "with the credentials from " : "without credentials", access->source);
}

static int check_repository(struct doctor_probe *probe, struct strake_instance *registry,
                            const char *repository, struct strake_job *job)
{
    struct strake_job *bounded = doctor_bound(probe, job);
    struct strake_registry_access access;
    struct strake_err err = { 0 };
    int rc = bounded
                 ? strake_registry_access(registry, bounded, repository, "pull,push", &access, &err)
                 : strake_fail_nomem(&err);

    rc = rc == 0 ? tell_actions(probe, repository, &access)
                 : doctor_tell_err(probe, repository, DOCTOR_FAIL, &err);
    strake_job_free(bounded);
    strake_err_dispose(&err);
    return rc;
}

static int check_credentials(struct doctor_probe *probe, struct strake_job *job)
{
    struct strake_registry_access access = { .size = sizeof(access) };
    struct strake_place_in_store place = { 0 };
    struct strake_reference ref = { 0 };
    struct strake_err err = { 0 };
    char *text = strake_asprintf("%s/doctor", probe->name);
    bool tokens;
    int rc = text ? strake_stores_open(probe->doctor->stores, text, &ref, &place, &err)
                  : strake_fail_nomem(&err);

    if (rc < 0)
        rc = doctor_tell_err(probe, "login", DOCTOR_FAIL, &err);
    else
        rc = check_login(probe, place.instance, job, &access);
    /* Only tokens are for one repository and not for another. */
    tokens = rc == 0 && !probe->failed && strcmp(access.scheme, "bearer") == 0;
    for (size_t i = 0; rc == 0 && tokens && i < probe->subjects.count; i++)
        rc = check_repository(probe, place.instance, probe->subjects.items[i], job);
    strake_place_in_store_dispose(&place);
    strake_reference_dispose(&ref);
    strake_err_dispose(&err);
    strake_free(text);
    return rc;
}

static int run_registry(struct doctor_probe *probe, struct strake_job *job)
{
    struct answer answer = { .headers = STRAKE_BUF((size_t)256 * 1024),
                             .body = STRAKE_BUF((size_t)1024 * 1024) };
    struct strake_err err = { 0 };
    int rc, code = get_base(probe, job, &answer, &err);

    rc = code == 0 ? tell_reached(probe, &answer) : tell_unreached(probe, &err);
    if (rc == 0 && code == 0)
        rc = check_clock(probe, &answer);
    if (rc == 0 && !probe->failed)
        rc = check_credentials(probe, job);
    else if (rc == 0)
        rc = doctor_tell(probe, "login", DOCTOR_SKIP, NULL, "it does not answer as a registry");
    answer_dispose(&answer);
    strake_err_dispose(&err);
    return rc;
}

/* ---- TLS, and stores that are no host ---- */

static int run_tls(struct doctor_probe *probe, struct strake_job *job)
{
    char *address = strake_asprintf("https://%s", place_of(probe));
    int rc = address ? doctor_check_https(probe, address, job) : STRAKE_ENOMEM;

    strake_free(address);
    return rc;
}

/* An OCI layout, or a registry of a plugin that may not speak HTTP. */
static int run_store(struct doctor_probe *probe, struct strake_job *job)
{
    struct strake_place_in_store place = { 0 };
    struct strake_reference ref = { 0 };
    struct strake_err err = { 0 };
    const char *text = strake_json_str(probe->options, "text");
    int rc = strake_stores_open(probe->doctor->stores, text, &ref, &place, &err);

    rc = rc == 0 ? check_ping(probe, NULL, place.instance, job)
                 : doctor_tell_err(probe, NULL, DOCTOR_FAIL, &err);
    strake_place_in_store_dispose(&place);
    strake_reference_dispose(&ref);
    strake_err_dispose(&err);
    return rc;
}

/* ---- the list ---- */

static struct doctor_probe *find(const struct doctor_probes *probes, const char *name)
{
    for (size_t i = 0; i < probes->count; i++) {
        if (probes->items[i]->exit == EXIT_REGISTRY && strcmp(probes->items[i]->name, name) == 0)
            return probes->items[i];
    }
    return NULL;
}

static int add_store(const struct strake_doctor *doctor, struct doctor_probes *probes,
                     const char *name, const char *text, struct doctor_probe **out)
{
    json_t *options = json_object();
    int rc = options && strake_json_set_str(options, "text", text) == 0
                 ? doctor_probe_add(probes, doctor, "registry", EXIT_REGISTRY, name, NULL, options,
                                    run_store, out)
                 : STRAKE_ENOMEM;

    json_decref(options);
    return rc;
}

static int add_host(const struct strake_doctor *doctor, struct doctor_probes *probes,
                    const char *host, const char *text, struct doctor_probe **out)
{
    json_t *options = strake_stores_options(doctor->stores, host);
    const char *type = strake_json_str(options, "type");
    int rc = type ? 0 : STRAKE_ENOMEM;

    if (rc == 0 && strcmp(type, "oci") != 0 && strcmp(type, "ghcr") != 0) {
        json_decref(options);
        return add_store(doctor, probes, host, text, out);
    }
    if (rc == 0)
        rc = doctor_probe_add(probes, doctor, "registry", EXIT_REGISTRY, host, type, options,
                              run_registry, out);
    if (rc == 0 && !strake_stores_plain_http(doctor->stores, host))
        rc = doctor_probe_add(probes, doctor, "registry", EXIT_REGISTRY, host, type, options,
                              run_tls, NULL);
    json_decref(options);
    return rc;
}

/* A repository in text: its registry is asked once, whatever the number of repositories. */
static int add(const struct strake_doctor *doctor, struct doctor_probes *probes, const char *text,
               bool is_target)
{
    struct strake_reference ref = { 0 };
    struct strake_err ignored = { 0 };
    struct doctor_probe *probe = NULL;
    int rc = strake_reference_parse(text, &ref, &ignored);

    strake_err_dispose(&ignored);
    if (rc == STRAKE_ENOMEM)
        return rc;
    if (rc < 0 || ref.store != STRAKE_STORE_REGISTRY) {
        rc = find(probes, text) ? 0 : add_store(doctor, probes, text, text, NULL);
    } else {
        probe = find(probes, ref.host);
        rc = probe ? 0 : add_host(doctor, probes, ref.host, text, &probe);
        if (rc == 0 && is_target && !strake_strings_has(&probe->subjects, ref.repository))
            rc = strake_strings_add(&probe->subjects, ref.repository);
    }
    strake_reference_dispose(&ref);
    return rc;
}

int doctor_add_registries(const struct strake_doctor *doctor, struct doctor_probes *probes)
{
    const struct strake_project *project = doctor->project;
    struct strake_strings hosts = { 0 };
    int rc = strake_stores_hosts(doctor->stores, &hosts);

    for (size_t i = 0; rc == 0 && i < hosts.count; i++) {
        char *text = strake_asprintf("%s/doctor", hosts.items[i]);
        rc = text ? add(doctor, probes, text, false) : STRAKE_ENOMEM;
        strake_free(text);
    }
    for (size_t i = 0; rc == 0 && i < project->target_count; i++) {
        const struct strake_strings *images = &project->targets[i]->images;
        for (size_t k = 0; rc == 0 && k < images->count; k++)
            rc = add(doctor, probes, images->items[k], true);
    }
    strake_strings_dispose(&hosts);
    return rc;
}
