/* What only buildx says: of builders that it does not know, of the Docker engine, and of what an
 * engine's own builder cannot do. */
#include <string.h>

#include "buildx/buildx.h"

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* "X is not supported for the docker driver", where X is buildx's own name of a thing. */
static bool of_docker_driver(const char *error, struct plug_failure *out)
{
    static const char *const things[] = {
        "push-by-digest ",       "OCI exporter ",     "Docker exporter ",
        "Multi-platform build ", "Cache export ",     "Attestation ",
        "multiple outputs ",     "Multiple outputs ", "exporting to multiple ",
    };
    for (size_t i = 0; i < sizeof(things) / sizeof(things[0]); i++) {
        if (begins(error, things[i]) && strstr(error, " docker driver") != NULL)
            return plug_failure_tell(
                out, STRAKE_EUNSUPPORTED,
                "turn on the engine's containerd image store, or use a builder that `docker buildx "
                "create` made: builder \"NAME\" { type = \"buildx\", builder = \"…\" }",
                "the Docker engine's own builder cannot do that: %.*s", (int)strcspn(error, "\n."),
                error);
    }
    return false;
}

static bool of_engine(const char *error, struct plug_failure *out)
{
    static const char *const unreached[] = {
        "failed to connect to the docker API",
        "Cannot connect to the Docker daemon",
        "error during connect",
        "failed to dial gRPC",
    };
    if (strstr(error, "permission denied while trying to connect to the ") != NULL &&
        !begins(error, "process "))
        return plug_failure_tell(
            out, STRAKE_EBUILDER, "become a member of the group docker, or use another builder",
            "you may not use the Docker engine: %.*s", (int)strcspn(error, "\n"), error);
    for (size_t i = 0; i < sizeof(unreached) / sizeof(unreached[0]); i++) {
        if (begins(error, unreached[i]))
            return plug_failure_tell(out, STRAKE_EBUILDER,
                                     "is the engine running? DOCKER_HOST and `docker context use` "
                                     "say which one is asked",
                                     "the Docker engine does not answer: %.*s",
                                     (int)strcspn(error, "\n"), error);
    }
    return false;
}

static bool of_builder(const char *error, struct plug_failure *out)
{
    if (begins(error, "no builder ") || begins(error, "no valid drivers found") ||
        begins(error, "failed to find driver "))
        return plug_failure_tell(out, STRAKE_EBUILDER,
                                 "`docker buildx ls` lists the builders, `docker buildx create` "
                                 "makes one",
                                 "buildx has no such builder: %s", error);
    if (begins(error, "failed to initialize builder ") || begins(error, "failed to boot ") ||
        begins(error, "context deadline exceeded"))
        return plug_failure_tell(out, STRAKE_EBUILDER,
                                 "`docker buildx inspect` says more of the builder",
                                 "the builder cannot be used: %s", error);
    return false;
}

static bool of_program(const char *error, struct plug_failure *out)
{
    if (strstr(error, "is not a docker command") != NULL ||
        begins(error, "docker: unknown command: ") ||
        (begins(error, "unknown flag: ") && strstr(error, "docker --help") != NULL))
        return plug_failure_tell(
            out, STRAKE_EBUILDER,
            "install Docker's buildx plugin, or give the path of buildx as the "
            "builder's option program",
            "this docker has no buildx");
    if (begins(error, "unknown flag: "))
        return plug_failure_tell(out, STRAKE_EUNSUPPORTED, "a newer buildx knows it",
                                 "this buildx is too old: %.*s", (int)strcspn(error, "\n"), error);
    return false;
}

bool buildx_rule(const char *error, const char *step, struct plug_failure *out)
{
    static const char context[] = "unable to prepare context: ";
    (void)step;
    if (begins(error, context))
        return plug_failure_tell(out, STRAKE_EBUILD, "give the folder that holds what COPY names",
                                 "the build context cannot be read: %s", error + strlen(context));
    return of_docker_driver(error, out) || of_engine(error, out) || of_builder(error, out) ||
           of_program(error, out);
}
