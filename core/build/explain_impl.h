/* What the files explain*.c share: a build as it is on record, its steps found in its Dockerfile,
 * its files in a list. */
#ifndef STRAKE_BUILD_EXPLAIN_IMPL_H
#define STRAKE_BUILD_EXPLAIN_IMPL_H

#include "build/explain.h"
#include "dockerfile/dockerfile.h"

/** A file of a context as the record has it; the texts are the list's. */
struct strake_explain_file {
    char kind;
    unsigned mode;
    const char *content;
    const char *path;
};

/** The files of one context, in the order of the walk. */
struct strake_explain_context {
    const char *name; /**< "" for the build's own context */
    struct strake_explain_file *files;
    size_t count;
};

struct strake_explain_list {
    char *text;
    struct strake_explain_file *files;
    struct strake_explain_context *contexts;
    size_t context_count;
};

/** A step: of one platform, stage and place in it. */
struct strake_explain_step {
    struct strake_step_name name;
    const char *full; /**< as the builder wrote it */
    bool cached;
    bool done;
    const char *error; /**< or NULL */
    int64_t duration_us;
    int stage;                                    /**< in its Dockerfile, or -1 */
    const struct strake_instruction *instruction; /**< or NULL: it was not found there */
};

/** A base image that a build got. */
struct strake_explain_base {
    int stage; /**< whose FROM it is, or -1: several stages' */
    struct strake_span ref;
    struct strake_span digest;
};

struct strake_explain_build {
    const json_t *json;      /**< of strake_record_builds(); borrowed */
    const json_t *materials; /**< or NULL */
    struct strake_dockerfile dockerfile;
    bool parsed; /**< its Dockerfile is on record and was understood */
    struct strake_explain_list files;
    bool has_files;
    struct strake_explain_step *steps;
    size_t count;
    struct strake_explain_base *bases;
    size_t base_count;
};

/** How a step came about: texts are borrowed from the builds, or kept in `texts`. */
struct strake_explain_cause {
    const char *kind;
    char *detail; /**< for people */
    char *was;    /**< or NULL */
    char *now;
    char *name; /**< of an argument or a parent */
    int line;   /**< of the instruction that changed; 0: the step's own */
    json_t *files;
    int file_count; /**< how many there are, `files` has the first of them */
};

/* ---- explain_steps.c ---- */

bool strake_explain_same(struct strake_span a, struct strake_span b);

/** Read steps and bases of build->json, and find the steps in build->dockerfile. */
int strake_explain_steps(struct strake_explain_build *build, struct strake_err *err);
/** The step before in the chain of layers: in its stage, or the last one of the stage that it is
 *  built on. NULL: there is none, its base is an image or nothing. */
const struct strake_explain_step *strake_explain_parent(const struct strake_explain_build *build,
                                                        const struct strake_explain_step *step);
/** The last step of a stage, of the same platform if there is one; NULL: it has none. */
const struct strake_explain_step *strake_explain_last(const struct strake_explain_build *build,
                                                      const struct strake_explain_step *like,
                                                      int stage);
/** The stage that `stage` is built on, or -1. */
int strake_explain_base_stage(const struct strake_dockerfile *dockerfile, int stage);
/** The stage that a text of --from names, seen from `stage`, or -1. */
int strake_explain_from_stage(const struct strake_dockerfile *dockerfile, int stage,
                              const char *from);
/** The image that a stage's FROM (text NULL) or a --from names; NULL: not known. */
const struct strake_explain_base *strake_explain_base(const struct strake_explain_build *build,
                                                      int stage, const char *text);
/** The value of a flag --NAME=value, or NULL. */
const char *strake_explain_flag(const struct strake_instruction *instruction, const char *name);
/** Is this instruction a step of BuildKit's? */
bool strake_explain_is_step(const struct strake_instruction *instruction);

/* ---- explain_text.c ---- */

/** An instruction as one text, the same for all ways to write it; of FROM without the stage's name.
 *  The caller frees; NULL: no memory. */
char *strake_explain_text(const struct strake_instruction *instruction);
/** Does `text` use the variable `name` (NULL: any)? */
bool strake_explain_uses(const char *text, const char *name);
/** The stage of `then` that `stage` of `now` was, or -1. Both are parsed. */
int strake_explain_stage_then(const struct strake_explain_build *now, int stage,
                              const struct strake_explain_build *then);
/** Of two builds whose Dockerfiles are on record: a difference in the instructions that the step
 *  stands on, its own first. Fills `cause` and returns 1; 0: there is none; or STRAKE_ENOMEM. */
int strake_explain_instruction(const struct strake_explain_build *now,
                               const struct strake_explain_step *step,
                               const struct strake_explain_build *then,
                               struct strake_explain_cause *cause);

/* ---- explain_args.c ---- */

/** Likewise, in the values of build arguments that reach the step. */
int strake_explain_argument(const struct strake_explain_build *now,
                            const struct strake_explain_step *step,
                            const struct strake_explain_build *then,
                            struct strake_explain_cause *cause);
/** Likewise, in the target's options that reach it: measured on BuildKit 0.24. */
int strake_explain_option(const struct strake_explain_build *now,
                          const struct strake_explain_step *step,
                          const struct strake_explain_build *then,
                          struct strake_explain_cause *cause);
/** Do variables decide about this step at all? Their values stand in the names of steps other than
 *  RUN: where these are equal, and nothing hidden uses one, none does. */
bool strake_explain_variables(const struct strake_explain_build *now,
                              const struct strake_explain_step *step,
                              const struct strake_explain_build *then);

/** The instructions before `until` (NULL: all) in a stage, and all of those that it is built on,
 *  in order. */
struct strake_explain_chain {
    const struct strake_instruction **items;
    size_t count;
};
int strake_explain_chain(const struct strake_dockerfile *dockerfile, int stage,
                         const struct strake_instruction *until, struct strake_explain_chain *out);

/* ---- explain_list.c ---- */

/** Split the list that core/build/materials.c wrote; takes `text` over, also on failure.
 *  @return 0, STRAKE_ENOMEM, STRAKE_ECORRUPT. */
int strake_explain_list_parse(char *text, struct strake_explain_list *out);
void strake_explain_list_dispose(struct strake_explain_list *list);

/* ---- explain_files.c ---- */

/** The value of a key in "type=bind,source=a"; NULL: it is not there. The caller frees. */
char *strake_explain_mount(const char *mount, const char *key);
/** Files that a step takes from a context and that differ: fills `cause` and returns 1; 0: none. */
int strake_explain_files(const struct strake_explain_build *now,
                         const struct strake_explain_step *step,
                         const struct strake_explain_build *then,
                         struct strake_explain_cause *cause);

/* ---- explain_cause.c ---- */

/** Why a step was not cached. `then` may be NULL: there is no earlier build. @return 0 or
 *  STRAKE_ENOMEM. */
int strake_explain_cause(const struct strake_explain_build *now,
                         const struct strake_explain_step *step,
                         const struct strake_explain_build *then,
                         struct strake_explain_cause *cause);
/** The same step of another build, or NULL. */
const struct strake_explain_step *strake_explain_find(const struct strake_explain_build *now,
                                                      const struct strake_explain_step *step,
                                                      const struct strake_explain_build *then);
void strake_explain_cause_dispose(struct strake_explain_cause *cause);

#endif
