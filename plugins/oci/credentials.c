/* Finding credentials (credentials.h). */
#include "credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/http.h"
#include "helper.h"

#define FILE_MAX ((size_t)1024 * 1024)

/** One search, for the functions below. */
struct search {
    const struct strake_host *host;
    struct strake_job *job;
    const char *registry;
    const char *path; /**< registry/repository */
    struct oci_credentials *out;
    struct strake_err *err;
};

static void trouble(struct search *search, const char *source, const char *what)
{
    search->host->log(STRAKE_LOG_WARN, "credentials for %s: %s: %s", search->registry, source,
                      what);
    if (!search->out->trouble)
        search->out->trouble = plug_format("%s: %s", source, what);
}

/** Put `value` into a slot and have it redacted from now on. */
static bool keep(struct search *search, char **slot, const char *value)
{
    search->host->secret_mark(value, strlen(value));
    *slot = strdup(value);
    return *slot != NULL;
}

static void forget(struct oci_credentials *credentials)
{
    plug_wipe(credentials->username);
    plug_wipe(credentials->password);
    plug_wipe(credentials->identity_token);
    plug_wipe(credentials->registry_token);
    credentials->username = credentials->password = NULL;
    credentials->identity_token = credentials->registry_token = NULL;
}

char *oci_credentials_normalise(const char *key)
{
    if (strncasecmp(key, "https://", 8) == 0)
        key += 8;
    else if (strncasecmp(key, "http://", 7) == 0)
        key += 7;
    size_t len = strlen(key);
    while (len > 0 && key[len - 1] == '/')
        len--;
    if (len > 3 && (strncmp(key + len - 3, "/v1", 3) == 0 || strncmp(key + len - 3, "/v2", 3) == 0))
        len -= 3;
    size_t host_len = strcspn(key, "/");
    static const char *const hub[] = { "index.docker.io", "registry-1.docker.io" };
    for (size_t i = 0; i < 2; i++)
        if (host_len == strlen(hub[i]) && strncasecmp(key, hub[i], host_len) == 0)
            return plug_format("docker.io%.*s", (int)(len - host_len), key + host_len);
    return plug_strndup(key, len);
}

json_t *oci_credentials_entry(json_t *table, const char *registry, const char *path)
{
    json_t *best = NULL;
    size_t best_rank = 0;
    const char *key;
    json_t *entry;
    json_object_foreach(table, key, entry) {
        char *name = oci_credentials_normalise(key);
        size_t len = name ? strlen(name) : 0;
        size_t rank = 2 * len + (name && strcmp(name, key) == 0);
        if (len > 0 && rank > best_rank && len >= strlen(registry) &&
            strncasecmp(path, name, len) == 0 && (path[len] == '\0' || path[len] == '/')) {
            best = entry;
            best_rank = rank;
        }
        free(name);
    }
    return best;
}

/** The text of a field, or NULL when it is missing, empty or holds a NUL. */
static const char *field(const json_t *entry, const char *name)
{
    const json_t *value = json_object_get(entry, name);
    const char *text = json_string_value(value);
    return text && *text && strlen(text) == json_string_length(value) ? text : NULL;
}

/** `auth`: base64 of user:password; NULs behind it are an old habit of docker's. False: malformed
 */
static bool read_auth(struct search *search, const char *auth, bool *nomem)
{
    struct plug_text plain = { 0 };
    search->host->secret_mark(auth, strlen(auth));
    bool good = plug_base64_decode(&plain, auth);
    *nomem = plain.failed;
    while (plain.len > 0 && plain.data[plain.len - 1] == '\0')
        plain.len--;
    /* The text ends in a NUL at its new length too: one of those taken off, or its own. */
    char *colon = plain.len ? memchr(plain.data, ':', plain.len) : NULL;
    good = good && colon && !memchr(plain.data, '\0', plain.len);
    if (good) {
        /* The password is empty where an identity token stands beside it. */
        *colon = '\0';
        search->out->username = strdup(plain.data);
        *nomem = !search->out->username ||
                 (colon[1] && !keep(search, &search->out->password, colon + 1));
    }
    plug_text_dispose(&plain);
    return good;
}

/** One entry of `auths`. @return 1 found, 0 nothing in it, or negative. */
static int read_entry(struct search *search, const json_t *entry, const char *source)
{
    struct oci_credentials *out = search->out;
    const char *auth = field(entry, "auth");
    const char *username = field(entry, "username");
    const char *password = field(entry, "password");
    const char *identity = field(entry, "identitytoken");
    const char *registry = field(entry, "registrytoken");
    bool nomem = false;
    if (auth && !read_auth(search, auth, &nomem) && !nomem)
        trouble(search, source, "'auth' is not the base64 of user:password");
    if (!nomem && !out->username && username && password) {
        out->username = strdup(username);
        nomem = !out->username || !keep(search, &out->password, password);
    }
    if (!nomem && identity)
        nomem = !keep(search, &out->identity_token, identity);
    if (!nomem && registry)
        nomem = !keep(search, &out->registry_token, registry);
    if (nomem)
        return plug_fail_nomem(search->host, search->err);
    return oci_credentials_given(out);
}

const char *oci_credentials_server(const char *registry)
{
    return strcmp(registry, "docker.io") == 0 ? "https://index.docker.io/v1/" : registry;
}

/** Ask docker-credential-NAME. @return 1 found, 0 it has none, or negative. */
static int ask_helper(struct search *search, const char *name, const char *source)
{
    const char *server = oci_credentials_server(search->registry);
    const struct oci_helper helper = { .name = name, .server = server };
    struct oci_helper_answer answer;
    int rc = oci_helper_get(search->host, search->job, &helper, &answer, search->err);
    if (rc < 0)
        return rc;
    if (answer.trouble)
        trouble(search, source, answer.trouble);
    struct oci_credentials *out = search->out;
    bool nomem = false;
    if (answer.secret && strcmp(answer.username, "<token>") == 0) {
        nomem = !keep(search, &out->identity_token, answer.secret);
    } else if (answer.secret) {
        out->username = strdup(answer.username);
        nomem = !out->username || !keep(search, &out->password, answer.secret);
    }
    oci_helper_dispose(&answer);
    return nomem ? plug_fail_nomem(search->host, search->err) : oci_credentials_given(out);
}

/** One configuration. @return 1 found, 0 nothing for us in it, or negative. */
static int read_config(struct search *search, const char *text, size_t len, const char *source)
{
    json_error_t where;
    json_t *root = json_loadb(text, len, 0, &where);
    if (!json_is_object(root)) {
        trouble(search, source, "it is not valid JSON");
        json_decref(root);
        return 0;
    }
    int rc = 0;
    const json_t *helper =
        oci_credentials_entry(json_object_get(root, "credHelpers"), search->registry, search->path);
    /* An empty name is docker's way to say: this one without a helper. */
    if (json_is_string(helper) && json_string_length(helper) > 0)
        rc = ask_helper(search, json_string_value(helper), source);
    const char *store = field(root, "credsStore");
    if (rc == 0 && store && !json_is_string(helper))
        rc = ask_helper(search, store, source);
    json_t *entry = rc == 0 ? oci_credentials_entry(json_object_get(root, "auths"),
                                                    search->registry, search->path)
                            : NULL;
    if (entry)
        rc = read_entry(search, entry, source);
    json_decref(root);
    if (rc == 0)
        forget(search->out);
    if (rc == 1) {
        search->out->source = strdup(source);
        if (!search->out->source)
            return plug_fail_nomem(search->host, search->err);
    }
    return rc;
}

/** @return 1 found, 0 no such file or nothing for us in it, or negative. */
static int read_file(struct search *search, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            trouble(search, path, strerror(errno));
        return 0;
    }
    struct plug_text text = { 0 };
    char chunk[4096];
    ssize_t got;
    while (text.len <= FILE_MAX &&
           ((got = read(fd, chunk, sizeof(chunk))) > 0 || (got < 0 && errno == EINTR)))
        if (got > 0)
            plug_text_add_len(&text, chunk, (size_t)got);
    int error = got < 0 ? errno : 0;
    close(fd);
    explicit_bzero(chunk, sizeof(chunk));
    int rc = 0;
    if (text.failed)
        rc = plug_fail_nomem(search->host, search->err);
    else if (error)
        trouble(search, path, strerror(error));
    else if (text.len > FILE_MAX)
        trouble(search, path, "it is larger than 1 MiB");
    else
        rc = read_config(search, plug_text_view(&text), text.len, path);
    plug_text_dispose(&text);
    return rc;
}

/** A file below the folder that a variable names (without `file`, it names the file), or below
 *  `fallback` in the home folder. Free it; NULL when there is no such place. */
static char *place(const char *variable, const char *fallback, const char *file)
{
    const char *named = variable ? getenv(variable) : NULL;
    const char *home = getenv("HOME");
    if (named && *named)
        return file ? plug_format("%s/%s", named, file) : strdup(named);
    if (fallback && home && *home)
        return plug_format("%s/%s/%s", home, fallback, file);
    return NULL;
}

char *oci_credentials_docker_file(void)
{
    return place("DOCKER_CONFIG", ".docker", "config.json");
}

int oci_credentials_find(const struct strake_host *host, struct strake_job *job,
                         const char *registry, const char *repository, struct oci_credentials *out,
                         struct strake_err *err)
{
    *out = (struct oci_credentials){ 0 };
    char *path = plug_format("%s/%s", registry, repository);
    if (!path)
        return plug_fail_nomem(host, err);
    struct search search = { host, job, registry, path, out, err };
    int rc = 0;
    const char *inline_config = getenv("DOCKER_AUTH_CONFIG");
    if (inline_config && *inline_config)
        rc = read_config(&search, inline_config, strlen(inline_config), "DOCKER_AUTH_CONFIG");
    static const struct {
        const char *variable;
        const char *fallback;
        const char *file;
    } places[] = {
        { "DOCKER_CONFIG", ".docker", "config.json" },
        { "REGISTRY_AUTH_FILE", NULL, NULL },
        { "XDG_RUNTIME_DIR", NULL, "containers/auth.json" },
        { NULL, ".config/containers", "auth.json" },
    };
    for (size_t i = 0; rc == 0 && i < sizeof(places) / sizeof(places[0]); i++) {
        char *file = place(places[i].variable, places[i].fallback, places[i].file);
        if (file)
            rc = read_file(&search, file);
        free(file);
    }
    free(path);
    if (rc < 0)
        oci_credentials_dispose(out);
    return rc < 0 ? rc : 0;
}

void oci_credentials_dispose(struct oci_credentials *credentials)
{
    forget(credentials);
    free(credentials->source);
    free(credentials->trouble);
    *credentials = (struct oci_credentials){ 0 };
}

char *oci_credentials_basic(const struct strake_host *host, const char *username,
                            const char *password)
{
    struct plug_text plain = { 0 };
    struct plug_text coded = { 0 };
    plug_text_addf(&plain, "%s:%s", username, password);
    plug_base64_encode(&coded, plug_text_view(&plain), plain.len);
    bool failed = plain.failed;
    plug_text_dispose(&plain);
    if (failed)
        plug_text_dispose(&coded);
    char *text = failed ? NULL : plug_text_take(&coded);
    if (text)
        host->secret_mark(text, strlen(text));
    return text;
}
