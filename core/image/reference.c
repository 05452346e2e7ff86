/* References: where an image is, as people write it. */
#include "image/reference.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "image/digest.h"
#include "util/mem.h"

#define LAYOUT "oci:"
#define ARCHIVE "docker-archive:"
#define DEFAULT_HOST "docker.io"
#define REPOSITORY_MAX 255
#define REFERENCE_MAX 4096 /* a layout's path may be long */

static bool is_lower_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
    return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool strake_reference_is_local(const char *text)
{
    return starts_with(text, LAYOUT) || starts_with(text, ARCHIVE);
}

bool strake_tag_valid(const char *tag)
{
    if (tag == NULL || !(is_alnum(tag[0]) || tag[0] == '_'))
        return false;
    size_t len = 1;
    while (is_alnum(tag[len]) || tag[len] == '_' || tag[len] == '.' || tag[len] == '-')
        len++;
    return tag[len] == '\0' && len <= 128;
}

/* The length of a separator between two runs of letters: `.`, `_`, `__`, or dashes; 0: none. */
static size_t separator(const char *at)
{
    if (at[0] == '.')
        return 1;
    if (at[0] == '_')
        return at[1] == '_' ? 2 : 1;
    return strspn(at, "-");
}

/* [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)* between slashes. */
static bool repository_valid(const char *text)
{
    for (const char *at = text;;) {
        if (!is_lower_alnum(*at))
            return false;
        while (is_lower_alnum(*at))
            at++;
        if (*at == '\0')
            return true;
        if (*at == '/') {
            at++;
            continue;
        }
        size_t len = separator(at);
        if (len == 0)
            return false;
        at += len;
    }
}

static bool port_valid(const char *text)
{
    size_t len = strspn(text, "0123456789");
    if (len == 0 || len > 5 || text[len] != '\0')
        return false;
    long port = strtol(text, NULL, 10);
    return port > 0 && port <= 65535;
}

/* A DNS name, an IPv4 address or an IPv6 address in brackets, and perhaps a port. */
static bool host_valid(const char *host)
{
    const char *at = host;
    if (*at == '[') {
        size_t len = strcspn(++at, "]");
        char text[INET6_ADDRSTRLEN];
        struct in6_addr address;
        if (at[len] != ']' || len >= sizeof(text))
            return false;
        memcpy(text, at, len);
        text[len] = '\0';
        if (inet_pton(AF_INET6, text, &address) != 1)
            return false;
        at += len + 1;
    } else {
        for (;; at++) {
            size_t len = 0;
            while (is_alnum(at[len]) || at[len] == '-')
                len++;
            if (len == 0 || len > 63 || at[0] == '-' || at[len - 1] == '-')
                return false;
            at += len;
            if (*at != '.')
                break;
        }
    }
    return *at == '\0' || (*at == ':' && port_valid(at + 1));
}

bool strake_host_is_loopback(const char *host)
{
    size_t len = strcspn(host, ":");
    if (host[0] == '[') {
        static const char v6[] = "[::1]";
        len = sizeof(v6) - 1;
        return starts_with(host, v6) && (host[len] == '\0' || host[len] == ':');
    }
    if (len == strlen("localhost") && strncmp(host, "localhost", len) == 0)
        return true;
    char text[INET_ADDRSTRLEN];
    struct in_addr address;
    if (len >= sizeof(text))
        return false;
    memcpy(text, host, len);
    text[len] = '\0';
    return inet_pton(AF_INET, text, &address) == 1 && (ntohl(address.s_addr) >> 24) == 127;
}

static void lower_case(char *text)
{
    for (; *text != '\0'; text++) {
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text - 'A' + 'a');
    }
}

/* Cut "@sha256:…" off `text` into *digest ("" when there is none). */
static int take_digest(const char *whole, char *text, const char **digest, struct strake_err *err)
{
    char *at = strchr(text, '@');
    *digest = "";
    if (at == NULL)
        return 0;
    *at = '\0';
    *digest = at + 1;
    if (strake_digest_valid(*digest))
        return 0;
    strake_fail(err, STRAKE_EUSAGE, "'%s': '%s' is no digest", whole, *digest);
    strake_err_hint(err, "a digest is sha256: and 64 lower-case hexadecimal digits");
    return STRAKE_EUSAGE;
}

/* Cut ":TAG" off `text` into *tag: a colon behind the last slash. */
static int take_tag(const char *whole, char *text, const char **tag, struct strake_err *err)
{
    char *slash = strrchr(text, '/');
    char *at = strrchr(slash != NULL ? slash : text, ':');
    *tag = "";
    if (at == NULL)
        return 0;
    *at = '\0';
    *tag = at + 1;
    if (strake_tag_valid(*tag))
        return 0;
    strake_fail(err, STRAKE_EUSAGE, "'%s': '%s' is no tag", whole, *tag);
    strake_err_hint(err, "a tag has 1 to 128 letters, digits, '_', '.' or '-', and begins with a "
                         "letter, a digit or '_'");
    return STRAKE_EUSAGE;
}

static int store_strings(struct strake_reference *out, const char *host, const char *prefix,
                         const char *repository, const char *tag, const char *digest,
                         const char *name_prefix, const char *name, struct strake_err *err)
{
    out->host = strake_strdup(host);
    out->repository = strake_asprintf("%s%s", prefix, repository);
    out->tag = strake_strdup(tag);
    out->digest = strake_strdup(digest);
    out->name = strake_asprintf("%s%s", name_prefix, name);
    if (out->host != NULL && out->repository != NULL && out->tag != NULL && out->digest != NULL &&
        out->name != NULL)
        return 0;
    strake_reference_dispose(out);
    return strake_fail_nomem(err);
}

static int parse_layout(const char *whole, char *text, struct strake_reference *out,
                        struct strake_err *err)
{
    const char *digest = "";
    const char *tag = "";
    int rc = 0;

    out->store = STRAKE_STORE_LAYOUT;
    /* A folder may have an `@` in its name: only what looks like a digest is one. */
    char *at = strstr(text, "@sha256:");
    if (at != NULL)
        rc = take_digest(whole, at, &digest, err);
    else
        rc = take_tag(whole, text, &tag, err);
    if (rc < 0)
        return rc;
    if (*text == '\0')
        return strake_fail(err, STRAKE_EUSAGE, "'%s' names no folder", whole);
    return store_strings(out, "", "", text, tag, digest, LAYOUT, text, err);
}

static int parse_archive(const char *whole, const char *path, struct strake_reference *out,
                         struct strake_err *err)
{
    out->store = STRAKE_STORE_DOCKER_ARCHIVE;
    if (*path == '\0')
        return strake_fail(err, STRAKE_EUSAGE, "'%s' names no file", whole);
    return store_strings(out, "", "", path, "", "", ARCHIVE, path, err);
}

/* `repository` is what stands in `whole` at `offset`. */
static int refuse_repository(const char *whole, size_t offset, const char *repository,
                             struct strake_err *err)
{
    char *lower = strake_strdup(repository);
    if (lower == NULL)
        return strake_fail_nomem(err);
    lower_case(lower);
    strake_fail(err, STRAKE_EUSAGE, "'%s' is no image reference: '%s' is no repository", whole,
                repository);
    if (strcmp(lower, repository) != 0 && repository_valid(lower))
        strake_err_hint(err, "a repository is in lower case: '%.*s%s%s'", (int)offset, whole, lower,
                        whole + offset + strlen(repository));
    else
        strake_err_hint(err,
                        "a repository is words of a-z and 0-9, joined by '/', '.', '_' or '-'");
    strake_free(lower);
    return STRAKE_EUSAGE;
}

/* Is the first component, of `len` bytes, a host? */
static bool is_host(const char *text, size_t len)
{
    return memchr(text, '.', len) != NULL || memchr(text, ':', len) != NULL ||
           (len == strlen("localhost") && strncmp(text, "localhost", len) == 0);
}

static int parse_registry(const char *whole, char *text, struct strake_reference *out,
                          struct strake_err *err)
{
    const char *digest;
    const char *tag;
    int rc = take_digest(whole, text, &digest, err);
    if (rc == 0)
        rc = take_tag(whole, text, &tag, err);
    if (rc < 0)
        return rc;

    const char *host = DEFAULT_HOST;
    char *repository = text;
    char *slash = strchr(text, '/');
    size_t first = slash != NULL ? (size_t)(slash - text) : 0;
    char *name = strake_strdup(text);
    if (name == NULL)
        return strake_fail_nomem(err);
    if (slash != NULL && is_host(text, first)) {
        *slash = '\0';
        lower_case(text);
        memcpy(name, text, first);
        host = text;
        repository = slash + 1;
        if (!host_valid(host)) {
            rc = strake_fail(err, STRAKE_EUSAGE, "'%s': '%s' is no registry host", whole, host);
            goto out;
        }
        if (strcmp(host, "index.docker.io") == 0)
            host = DEFAULT_HOST;
    }
    if (!repository_valid(repository)) {
        rc = refuse_repository(whole, (size_t)(repository - text), repository, err);
        goto out;
    }
    if (strlen(repository) > REPOSITORY_MAX) {
        rc = strake_fail(err, STRAKE_EUSAGE, "'%s': a repository has %d bytes at most", whole,
                         REPOSITORY_MAX);
        goto out;
    }
    bool official = strcmp(host, DEFAULT_HOST) == 0 && strchr(repository, '/') == NULL;
    rc = store_strings(out, host, official ? "library/" : "", repository, tag, digest, "", name,
                       err);
out:
    strake_free(name);
    return rc;
}

static int refuse_scheme(const char *text, const char *scheme, struct strake_err *err)
{
    strake_fail(err, STRAKE_EUSAGE, "'%s' is no image reference", text);
    strake_err_hint(err, "write it without '%s': '%s'", scheme, text + strlen(scheme));
    return STRAKE_EUSAGE;
}

int strake_reference_parse(const char *text, struct strake_reference *out, struct strake_err *err)
{
    static const char *const schemes[] = { "https://", "http://", "docker://" };

    *out = (struct strake_reference){ .store = STRAKE_STORE_REGISTRY };
    if (*text == '\0')
        return strake_fail(err, STRAKE_EUSAGE, "an image reference is empty");
    if (strlen(text) > REFERENCE_MAX)
        return strake_fail(err, STRAKE_EUSAGE, "an image reference has %d bytes at most",
                           REFERENCE_MAX);
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (starts_with(text, schemes[i]))
            return refuse_scheme(text, schemes[i], err);
    }
    if (starts_with(text, ARCHIVE))
        return parse_archive(text, text + strlen(ARCHIVE), out, err);
    const char *hex = strake_digest_valid(text) ? text + strlen("sha256:") : text;
    if (strlen(hex) == 64 && strspn(hex, "0123456789abcdef") == 64) {
        strake_fail(err, STRAKE_EUSAGE, "'%s' is %s, not an image reference", text,
                    hex == text ? "an image ID" : "a digest");
        strake_err_hint(err, "name the repository: REPOSITORY@sha256:%s", hex);
        return STRAKE_EUSAGE;
    }

    bool layout = starts_with(text, LAYOUT);
    char *copy = strake_strdup(layout ? text + strlen(LAYOUT) : text);
    if (copy == NULL)
        return strake_fail_nomem(err);
    int rc = layout ? parse_layout(text, copy, out, err) : parse_registry(text, copy, out, err);
    strake_free(copy);
    return rc;
}

void strake_reference_dispose(struct strake_reference *ref)
{
    if (ref == NULL)
        return;
    strake_free(ref->host);
    strake_free(ref->repository);
    strake_free(ref->tag);
    strake_free(ref->digest);
    strake_free(ref->name);
    *ref = (struct strake_reference){ .store = ref->store };
}

int strake_reference_print(const struct strake_reference *ref, struct strake_buf *out)
{
    int rc = strake_buf_puts(out, ref->name);
    if (rc == 0 && ref->tag[0] != '\0')
        rc = strake_buf_printf(out, ":%s", ref->tag);
    if (rc == 0 && ref->digest[0] != '\0')
        rc = strake_buf_printf(out, "@%s", ref->digest);
    return rc;
}

const char *strake_reference_object(const struct strake_reference *ref)
{
    if (ref->digest[0] != '\0')
        return ref->digest;
    return ref->tag[0] != '\0' ? ref->tag : "latest";
}
