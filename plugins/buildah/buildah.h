/* The inside of the buildah plugin: builds without a daemon, into buildah's own storage and from
 * there into an OCI layout or a file.
 *   plugin.c    the descriptor, options and probe
 *   argv.c      command lines
 *   argv_more.c the words of them that most builds do without, and caches
 *   config.c    the files that a call needs: registries, credentials
 *   steps.c     what `buildah bud` tells while it builds
 *   classify.c  what its last words mean
 *   build.c     one build from beginning to end
 *   output.c    what leaves the storage */
#ifndef BUILDAH_H
#define BUILDAH_H

#include "buildah/steps.h"
#include "common/command.h"
#include "common/stream.h"
#include "common/tempdir.h"

/** An instance. Never changed after open(), so that methods need no lock. */
struct buildah {
    const struct strake_host *host;
    char *program;
    char *root;           /**< folder of the storage; NULL: buildah's own */
    char *storage_driver; /**< NULL: buildah's choice */
    char *isolation;      /**< "chroot", "oci", "rootless" */
    char *runtime;        /**< for "oci" and "rootless"; NULL: buildah's choice */
    int64_t timeout_ms;   /**< to say its version */
};

/** One running build: what its parts share. */
struct buildah_build {
    const struct buildah *self;
    const struct strake_host *host;
    const struct strake_build_request *request;
    struct strake_job *job;
    struct strake_err *err;
    struct plug_tempdir dir;
    struct plug_list env;    /**< secrets are in it */
    struct plug_list images; /**< ids, one a platform */
};

/* ---- argv.c ---------------------------------------------------------------------------------- */

/** Refuse what buildah cannot do. @return 0, STRAKE_EUNSUPPORTED, STRAKE_EUSAGE. */
int buildah_request_check(const struct buildah *self, const struct strake_build_request *request,
                          struct strake_err *err);
/** Append program and storage options: how every call of buildah begins. */
void buildah_argv_begin(const struct buildah *self, struct plug_list *argv);
/** Append the command line of a build for `platform` (NULL: the machine's own); `id_file` takes the
 *  image's id; `no_cache` builds every step anew. */
void buildah_argv_bud(const struct buildah *self, const struct strake_build_request *request,
                      const char *platform, const char *id_file, bool no_cache,
                      struct plug_list *argv);

/* ---- argv_more.c ----------------------------------------------------------------------------- */

/** Refuse what buildah cannot do of what most builds do without. @return 0, STRAKE_EUNSUPPORTED. */
int buildah_more_check(const struct buildah *self, const struct strake_build_request *request,
                       struct strake_err *err);
/** Append its words for the rest. */
void buildah_argv_more(const struct strake_build_request *request, struct plug_list *argv);
/** The repository that stands for a cache record "type=registry,ref=HOST/REPO:TAG": HOST/REPO/TAG,
 *  free(). NULL: a cache of another type, or no memory. */
char *buildah_cache_repository(const char *record);

/* ---- config.c -------------------------------------------------------------------------------- */

/** Write what the calls read and append the changes to their environment.
 *  @return 0, STRAKE_ECONFIG, STRAKE_EUNSUPPORTED, STRAKE_EIO, STRAKE_ENOMEM. */
int buildah_config_make(struct buildah_build *build);
/** The text of a registries.conf: that of the user, `base`, and behind it that these hosts are
 *  spoken to without TLS, unless `base` speaks of them itself. */
void buildah_registries(const char *base, const struct plug_list *plain_hosts,
                        struct plug_text *out);

/* ---- build.c --------------------------------------------------------------------------------- */

/** builder/1's build(). */
int buildah_build(void *self, const struct strake_build_request *request, struct strake_job *job,
                  struct strake_build_result *result, struct strake_err *err);
/** Run buildah with these further arguments and take what it prints on stdout, at most 64 KiB,
 *  trimmed, as a string of the caller's (free()). `output` may be NULL.
 *  @return 0, STRAKE_EBUILDER with buildah's words, STRAKE_ECANCELLED, STRAKE_ENOMEM. */
int buildah_call(struct buildah_build *build, const char *const *words, char **output);

/* ---- output.c -------------------------------------------------------------------------------- */

/** Hand out the images as the request wants it. @return 0, STRAKE_EBUILDER, STRAKE_EIO, … */
int buildah_output(struct buildah_build *build, struct strake_build_result *result);
/** Read digest and media type of the one entry in an OCI layout's index.json.
 *  False: it is none that is valid. */
bool buildah_index_parse(const char *json, size_t len, struct strake_build_result *result);

#endif
