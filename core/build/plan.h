/* A plan: targets with everything decided and nothing run. Plain data, made by core/project,
 * changed by plan policies, run by this room, saved and read as JSON (docs/interfaces.md, plan). */
#ifndef STRAKE_BUILD_PLAN_H
#define STRAKE_BUILD_PLAN_H

#include <jansson.h>

#include "build/extras.h"
#include "image/digest.h"
#include "util/err.h"
#include "util/mem.h"

/** A builder that may take a target, and the command that it would run. */
struct strake_plan_build {
    char *builder; /**< its name */
    char *plugin;
    json_t *options; /**< for the plugin's open(); not part of the document */
    int slots;       /**< targets that it takes at once; 0: as many as there are */
    json_t *command; /**< array of strings, secrets redacted: for reading */
};

struct strake_plan_secret {
    char *id;
    char *file; /**< absolute, or NULL */
    char *name; /**< of a declared secret, or NULL */
};

/** A cache of a type that a plugin of that name has added: `cache show` and `cache prune` ask it
 *  again. Not part of the document. */
struct strake_plan_cache_ask {
    char *type;
    char *options; /**< what the target says of it, as JSON */
    char *branch;
    char *main_branch;
};

/** What decides the content of a target's image, part by part, so that a refusal can name what
 *  changed. */
struct strake_plan_inputs {
    char digest[STRAKE_DIGEST_TEXT]; /**< over all parts; "" when not computed */
    char dockerfile[STRAKE_DIGEST_TEXT];
    char context[STRAKE_DIGEST_TEXT]; /**< "" for a context that is no folder */
    char options[STRAKE_DIGEST_TEXT]; /**< stage, arguments, labels, platforms, named contexts */
    struct strake_pairs bases; /**< image or target:NAME -> digest, "" when it is not known */
    int64_t changed_us;        /**< when the files were last changed; not in the document */
    bool remote; /**< the Dockerfile is elsewhere: what its bases are tells only a build */
    char *doubt; /**< why the same inputs may make another image, or NULL; not in the document */
};

/** What is known of a target's last published image, compared with what a build would make now
 *  (reuse.h). */
struct strake_plan_past {
    bool unchanged;
    char *why;   /**< unless unchanged: what is different, for people */
    char *run;   /**< that published it; "" when nothing was published yet */
    char *image; /**< repository that it is in */
    char digest[STRAKE_DIGEST_TEXT];
    char *media_type;
    struct strake_pairs platforms; /**< platform -> digest */
};

struct strake_plan_target {
    char *name;
    char *file; /**< where it was declared, or NULL */
    int line;
    char *context;    /**< absolute folder, or a URL */
    char *dockerfile; /**< absolute path, or within the URL's context */
    char *stage;
    struct strake_strings images;
    struct strake_strings tags;
    struct strake_strings refs; /**< -t REF: exactly these; empty: each image with each tag */
    struct strake_strings platforms;
    struct strake_pairs args;
    struct strake_pairs labels;
    struct strake_pairs annotations;
    struct strake_pairs contexts; /**< NAME -> target:OTHER, docker-image://…, folder, URL */
    struct strake_strings after;  /**< names of targets of this plan that come first */
    struct strake_strings cache_import;
    struct strake_strings cache_export;
    /* Of some of several platforms: the same with STRAKE_CACHE_PLATFORM for their names, so that
     * builders which work side by side never overwrite each other's. */
    struct strake_strings cache_part_import;
    struct strake_strings cache_part_export;
    struct strake_plan_cache_ask *cache_asks;
    size_t cache_ask_count;
    struct strake_plan_secret *secrets;
    size_t secret_count;
    struct strake_build_extras extras;
    bool no_cache;
    char
        *source_policy; /**< what policies at `source` allow, for the builder; NULL: nobody asked */
    bool sources_pinned;              /**< and all that is known of it has a digest */
    struct strake_plan_build *builds; /**< in the order in which they are tried */
    size_t build_count;
    struct strake_plan_inputs inputs;
    struct strake_plan_past *past; /**< NULL: nobody asked */
    json_t *policies;              /**< array of decisions, never NULL */
};

struct strake_plan {
    char *dir;                          /**< absolute: paths of the document are relative to it */
    struct strake_plan_target *targets; /**< what a target needs comes before it */
    size_t count;
    char digest[STRAKE_DIGEST_TEXT]; /**< over the document; "" until strake_plan_seal() */
    json_t *document;                /**< as strake_plan_seal() made it, or NULL */
    char *why_builder; /**< how the builder was chosen when none is configured, or NULL */
};

void strake_plan_inputs_dispose(struct strake_plan_inputs *inputs);
void strake_plan_past_free(struct strake_plan_past *past);
void strake_plan_build_dispose(struct strake_plan_build *build);
void strake_plan_target_dispose(struct strake_plan_target *target);
void strake_plan_free(struct strake_plan *plan);
struct strake_plan_target *strake_plan_find(const struct strake_plan *plan, const char *name);

/** Compute the digest over the document, and keep both: nothing of the plan may change afterwards.
 *  @return 0, STRAKE_ENOMEM, … */
int strake_plan_seal(struct strake_plan *plan, struct strake_err *err);
/** The `strake.plan/1` document; a new reference, NULL: no memory. */
json_t *strake_plan_json(const struct strake_plan *plan);
/** Read a saved document into an empty plan whose `dir` is set, strictly; its digest must be that
 *  of its content. Builders get no options: the caller finds them by name.
 *  @return 0, STRAKE_ESTALE naming what is wrong, STRAKE_ENOMEM. */
int strake_plan_parse(struct strake_plan *plan, const char *data, size_t len, const char *file,
                      struct strake_err *err);

/** host/repository:tag of every image and tag, repository by repository, as printed in
 * documents. */
int strake_plan_refs(const struct strake_plan_target *target, struct strake_strings *refs);

/* ---- cache.c ---- */

/** The cache records for a builder that takes these platforms of the target (in its order), added
 *  to the lists. @return 0 or STRAKE_ENOMEM */
int strake_plan_cache(const struct strake_plan_target *target,
                      const struct strake_strings *platforms, struct strake_strings *import,
                      struct strake_strings *export);
/** "linux-amd64_linux-arm64", or when that is long their number and some of its digest: what stands
 *  in names for platforms. The caller's; NULL: no memory. */
char *strake_plan_cache_key(const struct strake_strings *platforms);
/** The field `key` of a CSV record such as "type=registry,ref=…", a copy of the caller's. NULL: it
 *  has none, or there is no memory. */
char *strake_plan_cache_field(const char *record, const char *key);
/** Add the record with the key of the platforms for STRAKE_CACHE_PLATFORM, once. */
int strake_plan_cache_expand(const char *record, const struct strake_strings *platforms,
                             struct strake_strings *list);

#endif
