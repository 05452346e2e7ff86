/* What this machine has to build with, when nobody configured it or the usual client is missing. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "project/discover.h"
#include "util/json.h"
#include "util/mem.h"
#include "util/process.h"

static const char system_socket[] = "/run/buildkit/buildkitd.sock";

static bool is_socket(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* A socket at `path` below the folder that a variable names. */
static bool is_socket_below(const char *variable, const char *path)
{
    const char *folder = getenv(variable);
    char *file = folder && folder[0] == '/' ? strake_asprintf("%s/%s", folder, path) : NULL;
    bool found = file && is_socket(file);

    strake_free(file);
    return found;
}

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);

    return value && *value;
}

/* ---- buildx ---- */

static bool has_plugin(const char *folder, const char *below)
{
    char *path = strake_asprintf("%s%s/docker-buildx", folder, below);
    bool found = path && access(path, X_OK) == 0;

    strake_free(path);
    return found;
}

/* Where docker looks for its plugins. */
static bool docker_has_buildx(void)
{
    static const char *const folders[] = {
        "/usr/local/lib/docker/cli-plugins",
        "/usr/local/libexec/docker/cli-plugins",
        "/usr/lib/docker/cli-plugins",
        "/usr/libexec/docker/cli-plugins",
    };
    const char *config = getenv("DOCKER_CONFIG"), *home = getenv("HOME");

    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        if (has_plugin(folders[i], ""))
            return true;
    }
    if (config && *config)
        return has_plugin(config, "/cli-plugins");
    return home && *home && has_plugin(home, "/.docker/cli-plugins");
}

/* Is there an engine, or a builder that somebody chose? Nobody is asked. */
static bool has_engine(void)
{
    return is_set("DOCKER_HOST") || is_set("DOCKER_CONTEXT") || is_set("BUILDX_BUILDER") ||
           is_socket("/var/run/docker.sock") || is_socket_below("XDG_RUNTIME_DIR", "docker.sock") ||
           is_socket_below("HOME", ".docker/run/docker.sock") ||
           is_socket_below("HOME", ".docker/desktop/docker.sock");
}

/* The program that is or has buildx, as people call it; the caller frees. NULL: none. */
static char *find_buildx(void)
{
    static const char *const alone[] = { "buildx", "docker-buildx" };
    char *program = NULL, *name;

    for (size_t i = 0; !program && i < sizeof(alone) / sizeof(alone[0]); i++)
        program = strake_process_which(alone[i]);
    if (program)
        return program;
    program = strake_process_which("docker");
    name = program && docker_has_buildx() ? strake_asprintf("%s buildx", program) : NULL;
    strake_free(program);
    return name;
}

/* ---- what is missing ---- */

/* Looking for programs takes a while, and a plan may ask for a thousand targets. */
static struct {
    pthread_mutex_t lock;
    char *path;     /* of the environment, when it was looked */
    char *stand_in; /* buildx, when buildctl is missing */
} looked = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* The caller frees; NULL: buildctl is there, or nothing can stand in for it. */
static char *stand_in_for_buildctl(void)
{
    const char *path = getenv("PATH");
    char *buildctl, *program;

    pthread_mutex_lock(&looked.lock);
    if (!looked.path || strcmp(looked.path, path ? path : "") != 0) {
        buildctl = strake_process_which("buildctl");
        strake_free(looked.path);
        strake_free(looked.stand_in);
        looked.path = strake_strdup(path ? path : "");
        looked.stand_in = buildctl ? NULL : find_buildx();
        strake_free(buildctl);
    }
    program = looked.stand_in ? strake_strdup(looked.stand_in) : NULL;
    pthread_mutex_unlock(&looked.lock);
    return program;
}

/* Is it one that buildx could serve: of that type, its program not chosen by anybody? */
static bool may_be_replaced(const char *type, const json_t *options)
{
    const char *own = strake_json_str(options, "program");

    return strcmp(type, "buildctl") == 0 && !(own && *own);
}

bool strake_builder_has_stand_in(const char *type, const json_t *options)
{
    char *program = may_be_replaced(type, options) ? stand_in_for_buildctl() : NULL;
    bool has = program != NULL;

    strake_free(program);
    return has;
}

json_t *strake_stand_in_options(const json_t *options)
{
    json_t *copy = json_deep_copy(options);

    if (copy && !json_object_get(copy, "address") &&
        strake_json_set(copy, "address", json_sprintf("unix://%s", system_socket)) < 0) {
        json_decref(copy);
        copy = NULL;
    }
    return copy;
}

int strake_builder_stand_in(const char *type, const json_t *options, json_t **replaced,
                            char **program, struct strake_err *err)
{
    *replaced = NULL;
    *program = may_be_replaced(type, options) ? stand_in_for_buildctl() : NULL;
    if (!*program)
        return 0;
    *replaced = strake_stand_in_options(options);
    if (*replaced)
        return 0;
    strake_free(*program);
    *program = NULL;
    return strake_fail_nomem(err);
}

/* ---- what there is ---- */

/* BuildKit's usual sockets: the system's, then a rootless one. The caller frees. */
static char *usual_socket(void)
{
    if (is_socket(system_socket))
        return strake_asprintf("unix://%s", system_socket);
    if (is_socket_below("XDG_RUNTIME_DIR", "buildkit/buildkitd.sock"))
        return strake_asprintf("unix://%s/buildkit/buildkitd.sock", getenv("XDG_RUNTIME_DIR"));
    return NULL;
}

static int nothing_to_build_with(struct strake_err *err)
{
    strake_fail(err, STRAKE_EBUILDER,
                "there is nothing to build with: no builder is configured, BUILDKIT_HOST is not "
                "set, no BuildKit socket exists, there is no Docker engine with buildx, and "
                "buildah is not installed");
    strake_err_hint(err, "start buildkitd and set BUILDKIT_HOST, or install buildah, or write "
                         "builder \"NAME\" { type = \"buildctl\", address = \"tcp://HOST:PORT\" }");
    return STRAKE_EBUILDER;
}

/* `plugin` with one option, or with none. Takes `why`. */
static int found(struct strake_discovered *out, const char *plugin, const char *option,
                 const char *value, char *why, struct strake_err *err)
{
    out->plugin = plugin;
    out->why = why;
    out->options = json_object();
    if (!why || !out->options || (option && strake_json_set_str(out->options, option, value) < 0)) {
        strake_discovered_dispose(out);
        return strake_fail_nomem(err);
    }
    return 0;
}

void strake_discovered_dispose(struct strake_discovered *discovered)
{
    json_decref(discovered->options);
    strake_free(discovered->why);
    *discovered = (struct strake_discovered){ 0 };
}

int strake_discover(struct strake_discovered *out, struct strake_err *err)
{
    const char *host = getenv("BUILDKIT_HOST");
    char *address = host && *host ? strake_strdup(host) : usual_socket();
    char *program = NULL;
    int rc;

    *out = (struct strake_discovered){ 0 };
    if (address) {
        rc = found(out, "buildctl", "address", address,
                   strake_asprintf("BuildKit at %s, %s", address,
                                   host && *host ? "as BUILDKIT_HOST says" : "its usual socket"),
                   err);
        strake_free(address);
        return rc;
    }
    program = has_engine() ? find_buildx() : NULL;
    if (program) {
        rc = found(
            out, "buildx", NULL, NULL,
            strake_asprintf("%s: BUILDKIT_HOST is not set and no BuildKit socket exists", program),
            err);
        strake_free(program);
        return rc;
    }
    program = strake_process_which("buildah");
    if (program) {
        rc = found(
            out, "buildah", NULL, NULL,
            strake_asprintf("%s: BUILDKIT_HOST is not set and no BuildKit socket exists", program),
            err);
        strake_free(program);
        return rc;
    }
    return nothing_to_build_with(err);
}
