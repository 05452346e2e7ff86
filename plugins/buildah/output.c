/* What leaves buildah's storage: one image or an index of several, into an OCI layout or an
 * archive. Folders and plain tars are written by the build itself. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buildah/buildah.h"

#define INDEX_MAX ((size_t)4 * 1024 * 1024)

/* ---- several platforms ----------------------------------------------------------------------- */

/* An index of all images, in the storage under a name that only this build has. */
static int make_index(struct buildah_build *build, char *name, size_t size)
{
    const char *unique = strrchr(build->dir.path, '/') + 1;
    snprintf(name, size, "localhost/%s", unique);
    for (char *at = name; *at != '\0'; at++) { /* a repository's name is lower case */
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at - 'A' + 'a');
    }
    const char *const create[] = { "manifest", "create", name, NULL };
    int rc = buildah_call(build, create, NULL);
    for (size_t i = 0; rc == 0 && i < build->images.count; i++) {
        const char *const add[] = { "manifest", "add", name, build->images.items[i], NULL };
        rc = buildah_call(build, add, NULL);
    }
    return rc;
}

/* Copy the image, or the index of several, to `target`. */
static int copy_out(struct buildah_build *build, const char *target)
{
    if (build->images.count == 1) {
        const char *const push[] = { "push", build->images.items[0], target, NULL };
        return buildah_call(build, push, NULL);
    }
    char name[PATH_MAX];
    int rc = make_index(build, name, sizeof(name));
    if (rc == 0) {
        const char *const push[] = { "manifest", "push", "--all", name, target, NULL };
        rc = buildah_call(build, push, NULL);
    }
    /* The list is of no more use; a failure to remove it is not one of the build, nor is it told in
     * place of one. */
    struct strake_err *ignored = build->host->err_new();
    if (ignored != NULL) {
        struct buildah_build aside = *build;
        aside.err = ignored;
        const char *const remove_list[] = { "manifest", "rm", name, NULL };
        if (buildah_call(&aside, remove_list, NULL) < 0)
            build->host->log(STRAKE_LOG_DEBUG, "buildah manifest rm %s: %s", name,
                             build->host->err_message(ignored));
        build->host->err_free(ignored);
    }
    return rc;
}

/* ---- a layout -------------------------------------------------------------------------------- */

bool buildah_index_parse(const char *json, size_t len, struct strake_build_result *result)
{
    json_t *root = json_loadb(json, len, 0, NULL);
    const json_t *manifests = json_object_get(root, "manifests");
    const json_t *entry = json_array_get(manifests, 0);
    const char *digest = json_string_value(json_object_get(entry, "digest"));
    const char *type = json_string_value(json_object_get(entry, "mediaType"));
    static const char prefix[] = "sha256:";
    bool valid = json_array_size(manifests) == 1 && digest != NULL && type != NULL &&
                 strncmp(digest, prefix, strlen(prefix)) == 0 &&
                 strlen(digest) == strlen(prefix) + 64 &&
                 strspn(digest + strlen(prefix), "0123456789abcdef") == 64 &&
                 strlen(type) < sizeof(result->media_type);
    if (valid) {
        memcpy(result->digest, digest, strlen(digest) + 1);
        memcpy(result->media_type, type, strlen(type) + 1);
    }
    json_decref(root);
    return valid;
}

static int write_layout(struct buildah_build *build, struct strake_build_result *result)
{
    const struct strake_host *host = build->host;
    const char *dir = build->request->layout_dir;
    struct plug_text target = { 0 };
    plug_text_addf(&target, "oci:%s:staged", dir);
    int rc = target.failed ? plug_fail_nomem(host, build->err)
                           : copy_out(build, plug_text_view(&target));
    plug_text_dispose(&target);
    char path[PATH_MAX];
    char *json = NULL;
    size_t len = 0;
    snprintf(path, sizeof(path), "%s/index.json", dir);
    if (rc == 0 && (plug_file_read(path, INDEX_MAX, &json, &len) < 0 ||
                    !buildah_index_parse(json, len, result)))
        rc = host->fail(build->err, STRAKE_EBUILDER,
                        "the build is done, but %s names no image in %s", build->self->program,
                        path);
    free(json);
    return rc;
}

/* ---- an archive ------------------------------------------------------------------------------ */

/* What there is already may not be added to: the request's dest is a file that is not there. */
static int write_archive(struct buildah_build *build)
{
    const struct strake_build_request *request = build->request;
    const char *name = request->image;
    char *target = plug_format("%s-archive:%s%s%s", request->output_type, request->output_dest,
                               name[0] != '\0' ? ":" : "", name);
    int rc = target != NULL ? copy_out(build, target) : plug_fail_nomem(build->host, build->err);
    free(target);
    return rc;
}

int buildah_output(struct buildah_build *build, struct strake_build_result *result)
{
    const struct strake_build_request *request = build->request;
    if (request->output == STRAKE_OUTPUT_STAGE)
        return write_layout(build, result);
    if (request->output == STRAKE_OUTPUT_FILE &&
        (strcmp(request->output_type, "oci") == 0 || strcmp(request->output_type, "docker") == 0))
        return write_archive(build);
    return 0;
}
