/* Files that the calls of buildah read: which registries speak plain http, and credentials. buildah
 * has no option for the first that means some hosts only, and none for the second by value. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buildah/buildah.h"

#define REGISTRIES_MAX ((size_t)1024 * 1024)
#define VARIABLE_MAX ((size_t)120 * 1024) /* what one variable may hold, less its name */

/* ---- registries ------------------------------------------------------------------------------ */

static bool names(const char *text, const char *host)
{
    struct plug_text quoted = { 0 };
    plug_text_addf(&quoted, "\"%s", host);
    bool found = strstr(text, plug_text_view(&quoted)) != NULL;
    plug_text_dispose(&quoted);
    return found;
}

/* Could the host stand in a TOML string as it is? */
static bool is_plain_text(const char *host)
{
    for (; *host != '\0'; host++) {
        if (*host == '"' || *host == '\\' || (unsigned char)*host < 0x20)
            return false;
    }
    return true;
}

void buildah_registries(const char *base, const struct plug_list *plain_hosts,
                        struct plug_text *out)
{
    plug_text_addf(out, "%s\n", base);
    /* The form of long ago has other tables, and both in one file are refused. */
    if (strstr(base, "[registries.") != NULL)
        return;
    for (size_t i = 0; i < plain_hosts->count; i++) {
        const char *host = plain_hosts->items[i];
        if (is_plain_text(host) && !names(plug_text_view(out), host))
            plug_text_addf(out,
                           "[[registry]]\nprefix = \"%s\"\nlocation = \"%s\"\n"
                           "insecure = true\n",
                           host, host);
    }
}

/* Loopback hosts, and that of an image or of the images that the build begins with, when the
 * request says that its registry speaks plain http. */
static void list_plain_hosts(const struct strake_build_request *request, struct plug_list *hosts)
{
    static const char scheme[] = "docker-image://";
    static const char *const loopback[] = { "127.0.0.1", "localhost", "[::1]" };
    for (size_t i = 0; i < sizeof(loopback) / sizeof(loopback[0]); i++)
        plug_list_add(hosts, loopback[i]);
    if (!request->plain_http)
        return;
    if (request->image[0] != '\0')
        plug_list_addf(hosts, "%.*s", (int)strcspn(request->image, "/"), request->image);
    for (size_t i = 0; request->contexts[i] != NULL; i++) {
        const char *value = request->contexts[i]->value;
        if (strncmp(value, scheme, strlen(scheme)) == 0 && strchr(value, '@') != NULL) {
            value += strlen(scheme);
            plug_list_addf(hosts, "%.*s", (int)strcspn(value, "/"), value);
        }
    }
}

/* The main file that buildah would read. *text is "" when there is none. */
static int read_registries(const struct buildah_build *build, char **text)
{
    char own[PATH_MAX] = "";
    const char *named = getenv("CONTAINERS_REGISTRIES_CONF");
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    if (config != NULL && config[0] == '/')
        snprintf(own, sizeof(own), "%s/containers/registries.conf", config);
    else if (home != NULL)
        snprintf(own, sizeof(own), "%s/.config/containers/registries.conf", home);
    const char *const paths[] = { named, own, "/etc/containers/registries.conf",
                                  "/usr/share/containers/registries.conf" };
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        if (paths[i] == NULL || paths[i][0] == '\0')
            continue;
        int rc = plug_file_read(paths[i], REGISTRIES_MAX, text, NULL);
        if (rc == STRAKE_ENOMEM)
            return plug_fail_nomem(build->host, build->err);
        if (rc == 0)
            return 0;
        if (paths[i] == named)
            return build->host->fail(build->err, STRAKE_EBUILDER,
                                     "CONTAINERS_REGISTRIES_CONF: %s cannot be read", named);
    }
    *text = strdup("");
    return *text != NULL ? 0 : plug_fail_nomem(build->host, build->err);
}

static int make_registries(struct buildah_build *build)
{
    char *base = NULL;
    int rc = read_registries(build, &base);
    if (rc < 0)
        return rc;
    struct plug_list hosts = { 0 };
    struct plug_text text = { 0 };
    list_plain_hosts(build->request, &hosts);
    buildah_registries(base, &hosts, &text);
    rc = text.failed || hosts.failed
             ? plug_fail_nomem(build->host, build->err)
             : plug_tempdir_write(build->host, &build->dir, "registries.conf", text.data, text.len,
                                  build->err);
    if (rc == 0)
        plug_list_addf(&build->env, "CONTAINERS_REGISTRIES_CONF=%s/registries.conf",
                       build->dir.path);
    plug_list_dispose(&hosts);
    plug_text_dispose(&text);
    free(base);
    return rc;
}

/* ---- secrets --------------------------------------------------------------------------------- */

/* A DOCKER_CONFIG without a file in it is fine with docker, and with buildah no longer. */
static bool is_empty_docker_config(void)
{
    char path[PATH_MAX];
    const char *folder = getenv("DOCKER_CONFIG");
    if (folder == NULL)
        return false;
    snprintf(path, sizeof(path), "%s/config.json", folder);
    return access(path, F_OK) < 0;
}

static int make_auth(struct buildah_build *build)
{
    const char *auth = build->request->auth_json;
    if (is_empty_docker_config())
        plug_list_add(&build->env, "DOCKER_CONFIG");
    if (auth[0] == '\0')
        return 0;
    plug_list_addf(&build->env, "REGISTRY_AUTH_FILE=%s/auth.json", build->dir.path);
    return plug_tempdir_write(build->host, &build->dir, "auth.json", auth, strlen(auth),
                              build->err);
}

static int add_secret(struct buildah_build *build, const struct strake_build_secret *secret,
                      size_t i)
{
    const struct strake_host *host = build->host;
    struct strake_buf *value = host->buf_new(VARIABLE_MAX);
    if (value == NULL)
        return plug_fail_nomem(host, build->err);
    int rc = host->secret_get(secret->name, value, build->err);
    size_t len = 0;
    const char *text = rc == 0 ? host->buf_data(value, &len) : "";
    if (rc == STRAKE_ETOOBIG || (rc == 0 && strlen(text) != len))
        rc = host->fail(build->err, STRAKE_EUNSUPPORTED,
                        "secret %s is too long for a variable, or holds a NUL byte: give it as a "
                        "file",
                        secret->id);
    else if (rc == 0)
        plug_list_addf(&build->env, "STRAKE_SECRET_%zu=%s", i, text);
    host->buf_free(value);
    return rc;
}

int buildah_config_make(struct buildah_build *build)
{
    /* What the command line says must hold; these would say otherwise. */
    static const char *const foreign[] = { "BUILDAH_FORMAT",  "BUILDAH_ISOLATION",
                                           "BUILDAH_LAYERS",  "BUILDAH_RUNTIME",
                                           "BUILDAH_HISTORY", "BUILDAH_LOG_LEVEL" };
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
        plug_list_add(&build->env, foreign[i]);
    int rc = make_registries(build);
    if (rc == 0)
        rc = make_auth(build);
    for (size_t i = 0; rc == 0 && build->request->secrets[i] != NULL; i++) {
        if (build->request->secrets[i]->file == NULL)
            rc = add_secret(build, build->request->secrets[i], i);
    }
    if (rc == 0 && build->env.failed)
        rc = plug_fail_nomem(build->host, build->err);
    return rc;
}
