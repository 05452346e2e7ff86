/* What the Lua layers declared: targets, blocks (builder, registry, notifier …), policies and
 * flows, as plain data. core/lua fills it; nothing here knows of Lua. */
#ifndef STRAKE_PROJECT_PROJECT_H
#define STRAKE_PROJECT_PROJECT_H

#include <jansson.h>

#include "build/extras.h"
#include "util/err.h"
#include "util/mem.h"

/** Where a thing was declared. */
struct strake_place {
    char *file; /**< as shown in messages: relative to the working folder where it is below it */
    int line;
};

struct strake_target_secret {
    char *id;
    char *file; /**< absolute, or NULL */
    char *name; /**< a declared secret (util/secret.h), or NULL */
};

struct strake_target {
    char *name;
    size_t position; /**< in the project's list; set by strake_project_add_target() */
    struct strake_place place;
    char *context;    /**< as written, "." by default; a folder relative to the project or a URL */
    char *dockerfile; /**< as written, relative to the context; "" for Dockerfile */
    char *stage;
    struct strake_strings platforms; /**< normal form; empty: the builder's own */
    struct strake_strings images;    /**< repositories; empty: none */
    struct strake_strings tags;
    struct strake_strings refs; /**< whole references in place of images and tags; empty: none */
    int tags_ref;               /**< core/lua's: how the tags came about; 0: nobody knows */
    char *version;              /**< the first tag's value, "" without tags */
    struct strake_pairs args;
    struct strake_pairs labels;
    struct strake_pairs annotations;
    struct strake_pairs
        contexts; /**< NAME -> "target:OTHER", "docker-image://REF", a folder, a URL */
    struct strake_strings after;    /**< targets that must be done before, nothing else */
    struct strake_strings builders; /**< names in order; empty: those of the project in order */
    struct strake_target_secret *secrets;
    size_t secret_count;
    struct strake_build_extras extras;
    json_t *cache; /**< the `cache` value: an object, an array of them, or NULL */
    struct strake_strings cache_from; /**< BuildKit's own records, behind those of `cache` */
    struct strake_strings cache_to;
    bool no_cache;
    bool is_default;
    bool ledger;      /**< its publishes go into the release ledger */
    bool ledger_said; /**< `ledger` was written, and wins over the registry's */
};

enum strake_block_kind {
    STRAKE_BLOCK_BUILDER,
    STRAKE_BLOCK_REGISTRY,
    STRAKE_BLOCK_NOTIFIER,
    STRAKE_BLOCK_SCANNER,
    STRAKE_BLOCK_WORKFLOW,
    STRAKE_BLOCK_DEPLOYER
};

/** `builder "lab" { type = "buildctl", … }`. */
struct strake_block {
    enum strake_block_kind kind;
    char *name;
    char *type;      /**< the plugin; "oci" for a registry that says none */
    json_t *options; /**< for the plugin's open(): without `type` and what the core takes itself */
    int slots;       /**< builders: targets at once; 0: as many as there are */
    bool ledger;     /**< registries: publishes go into the release ledger of their repository */
    struct strake_strings on; /**< notifiers: event names, "run.*"; empty: only notify{} */
    struct strake_place place;
};

/** Where a policy may be asked (design §4). */
enum strake_point {
    STRAKE_POINT_DOCKERFILE,
    STRAKE_POINT_PLAN,
    STRAKE_POINT_SOURCE,
    STRAKE_POINT_IMAGE,
    STRAKE_POINT_PUBLISH,
    STRAKE_POINT_RETAG,
    STRAKE_POINT_DELETE,
    STRAKE_POINT_DEPLOY,
    STRAKE_POINT_COUNT
};
const char *strake_point_name(enum strake_point point);
/** -1 for an unknown name. */
int strake_point_parse(const char *name);

enum strake_layer {
    STRAKE_LAYER_SYSTEM, /**< the organisation: cannot be switched off below */
    STRAKE_LAYER_USER,
    STRAKE_LAYER_PROJECT
};

struct strake_policy {
    char *name;
    enum strake_point at;
    enum strake_layer layer;
    struct strake_place place;
    int lua_ref; /**< core/lua's */
};

struct strake_flow_arg {
    char *name;
    char *pattern;  /**< a Lua pattern, or NULL */
    char *fallback; /**< the default, or NULL: it must be given */
    char *summary;
};

struct strake_flow {
    char *name;
    char *summary;
    struct strake_flow_arg *args;
    size_t arg_count;
    struct strake_place place;
    int lua_ref;
};

/** A name for several targets, as bake files give them. */
struct strake_group {
    char *name;
    struct strake_strings targets;
    struct strake_place place;
};

struct strake_project {
    char *dir;  /**< absolute: where strake.lua is, or the working folder */
    char *file; /**< absolute path of strake.lua, or NULL */
    struct strake_target **targets;
    size_t target_count;
    struct strake_block **blocks;
    size_t block_count;
    struct strake_policy *
        *policies; /**< organisation's first, then the user's, then the project's */
    size_t policy_count;
    struct strake_flow **flows;
    size_t flow_count;
    /** A fact about the commit ("branch", "main_branch"), borrowed; NULL when there is none. NULL:
     *  nobody knows any. The main thread. */
    const char *(*fact)(void *ctx, const char *name);
    void *fact_ctx;
    struct strake_group **groups;
    size_t group_count;
};

struct strake_project *strake_project_new(const char *dir);
void strake_project_free(struct strake_project *project);

/** Make and add; the project owns the result. A second thing of the same name and kind is refused
 *  by these with both places (blocks of an outer layer are replaced by an inner one's).
 *  @return 0, STRAKE_ECONFIG, STRAKE_ENOMEM. */
int strake_project_add_target(struct strake_project *project, const char *name, const char *file,
                              int line, struct strake_target **out, struct strake_err *err);
int strake_project_add_block(struct strake_project *project, enum strake_block_kind kind,
                             const char *name, const char *file, int line,
                             struct strake_block **out, struct strake_err *err);
int strake_project_add_policy(struct strake_project *project, const char *name,
                              enum strake_point at, enum strake_layer layer, const char *file,
                              int line, struct strake_policy **out, struct strake_err *err);
int strake_project_add_flow(struct strake_project *project, const char *name, const char *file,
                            int line, struct strake_flow **out, struct strake_err *err);
/** `targets` are copied. */
int strake_project_add_group(struct strake_project *project, const char *name,
                             const struct strake_strings *targets, const char *file, int line,
                             struct strake_err *err);

/** NULL when there is none. Constant time. */
struct strake_target *strake_project_target(const struct strake_project *project, const char *name);
struct strake_block *strake_project_block(const struct strake_project *project,
                                          enum strake_block_kind kind, const char *name);
struct strake_flow *strake_project_flow(const struct strake_project *project, const char *name);
struct strake_group *strake_project_group(const struct strake_project *project, const char *name);
/** STRAKE_EUSAGE "no target NAME" with the nearest one as the hint. */
int strake_project_no_target(const struct strake_project *project, const char *name,
                             struct strake_err *err);

/** Do publishes to a repository go into its release ledger? A target's word for its repositories wins
 *  over that of their registry.
 *  @param target its name, or NULL: any target with the repository
 *  @param repository as references name it: "ghcr.io/o/app" */
bool strake_project_keeps_ledger(const struct strake_project *project, const char *target,
                                 const char *repository);

/** A repository as declarations write it, to `images` once: "ghcr.io/o/app", or a line of
 *  docker/metadata-action, "name=ghcr.io/o/app,enable=true"; one that is not enabled is left out.
 *  @return 0; STRAKE_ECONFIG: no such line; STRAKE_ENOMEM. */
int strake_image_take(const char *written, struct strake_strings *images, struct strake_err *err);
/** In small letters, as registries want them and docker/metadata-action makes them. */
void strake_images_lower(struct strake_strings *images);

/** Whole references, "latest" where they say no tag: each in `refs`, each repository in `images`, each
 *  tag in `tags`, in order and once; what these held goes.
 *  @return 0; STRAKE_EUSAGE: not a reference, or one with a digest; STRAKE_ENOMEM. */
int strake_refs_split(const struct strake_strings *written, struct strake_strings *refs,
                      struct strake_strings *images, struct strake_strings *tags,
                      struct strake_err *err);

#endif
