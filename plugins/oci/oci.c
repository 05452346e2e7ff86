/* The instance of one registry (oci.h says what is where). */
#include "oci.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "realm.h"

/* ---- small things that every method needs ---------------------------------------------------- */

static bool is_name_part(const char *part, size_t len)
{
    /* "..", ".x" and an empty part could lead a path elsewhere. */
    if (len == 0 || !isalnum((unsigned char)part[0]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)part[i]) && !strchr("._-", part[i]))
            return false;
    return true;
}

int oci_check_name(const struct oci *oci, const char *repository, const char *reference,
                   struct strake_err *err)
{
    for (const char *part = repository;; part++) {
        size_t len = strcspn(part, "/");
        if (!is_name_part(part, len))
            return oci->host->fail(err, STRAKE_EUSAGE, "\"%.300s\" is not the name of a repository",
                                   repository);
        part += len;
        if (!*part)
            break;
    }
    for (const char *c = reference ? reference : "a"; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("._-:", *c))
            return oci->host->fail(err, STRAKE_EUSAGE, "\"%.300s\" is neither a tag nor a digest",
                                   reference);
    if (reference && (!*reference || *reference == '.'))
        return oci->host->fail(err, STRAKE_EUSAGE, "\"%s\" is neither a tag nor a digest",
                               reference);
    return 0;
}

char *oci_url(const struct oci *oci, const char *repository, const char *kind, const char *rest)
{
    return plug_format("%s%s/%s/%s", oci->base, repository, kind, rest);
}

char *oci_scope(const char *repository, const char *actions)
{
    return plug_format("repository:%s:%s", repository, actions);
}

int64_t oci_header_number(const char *lines, const char *name)
{
    size_t pos = 0;
    size_t len = 0;
    const char *text = plug_header(lines, name, &pos, &len);
    if (!text || len == 0 || len > 18 || strspn(text, "0123456789") < len)
        return -1;
    return strtoll(text, NULL, 10);
}

/* ---- the instance ---------------------------------------------------------------------------- */

static int check_options(const struct strake_host *host, const struct oci_options *options,
                         struct strake_err *err)
{
    if (options->username && !plug_secret_given(&options->password))
        return host->fail(err, STRAKE_ECONFIG, "oci: 'username' needs a 'password'");
    /* As in { username = env.GITHUB_ACTOR, password = secret.env "GITHUB_TOKEN" } at home. */
    if (!options->username && plug_secret_given(&options->password))
        host->log(STRAKE_LOG_INFO, "%s: a password without a username is not used", options->host);
    if (!options->cert != !options->key)
        return host->fail(err, STRAKE_ECONFIG, "oci: 'cert' and 'key' go together");
    return 0;
}

/** Where the registry answers. On loopback it speaks http, unless something says otherwise; a `ca`
 *  may be given for all registries, so that plain_http = true counts for more. */
static int find_base(struct oci *oci, struct strake_err *err)
{
    const struct strake_host *host = oci->host;
    const struct oci_options *options = &oci->options;
    bool hub = strcmp(options->host, "docker.io") == 0;
    const char *address = hub ? "registry-1.docker.io" : options->host;
    struct plug_url probe = { 0 };
    oci->base = plug_format("https://%s/v2/", address);
    if (!oci->base)
        return plug_fail_nomem(host, err);
    int rc = plug_url_split(oci->base, &probe);
    if (rc == STRAKE_ENOMEM)
        return plug_fail_nomem(host, err);
    if (rc < 0 || strcspn(address, "/?#@") != strlen(address)) {
        plug_url_dispose(&probe);
        return host->fail(err, STRAKE_ECONFIG, "oci: option 'host' is not a host or host:port: %s",
                          options->host);
    }
    bool plain =
        options->plain_http == PLUG_YES || (options->plain_http == PLUG_UNSET && !options->ca &&
                                            !options->cert && oci_address_is_loopback(probe.host));
    plug_url_dispose(&probe);
    if (plain) {
        free(oci->base);
        oci->base = plug_format("http://%s/v2/", address);
    }
    if (!oci->base || plug_url_split(oci->base, &oci->origin) < 0)
        return plug_fail_nomem(host, err);
    return 0;
}

int oci_init(struct oci *oci, const struct strake_host *host, struct strake_err *err)
{
    oci->host = host;
    int rc = check_options(host, &oci->options, err);
    if (rc == 0)
        rc = find_base(oci, err);
    if (rc == 0 && !(oci->auth = oci_auth_new()))
        rc = plug_fail_nomem(host, err);
    return rc;
}

void oci_dispose(struct oci *oci)
{
    oci_auth_free(oci->auth);
    plug_url_dispose(&oci->origin);
    free(oci->base);
}
