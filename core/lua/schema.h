/* What a declaration may say: tables of keys, read strictly, with errors that name key and place.
 */
#ifndef STRAKE_LUA_SCHEMA_H
#define STRAKE_LUA_SCHEMA_H

#include "lua/engine_impl.h"

/** The declaration that is being read. */
struct strake_decl {
    lua_State *L;
    struct strake_engine *engine;
    const char *kind; /**< "target" */
    const char *name;
    const char *file;
    int line;
    struct strake_err *err;
};

/** One key. `take` reads the value at the absolute index into the object. */
struct strake_field {
    const char *key;
    int (*take)(struct strake_decl *decl, const char *key, int index, void *object);
    bool required;
};

/** STRAKE_ECONFIG "target "app": TEXT", with the declaration's place. */
int strake_decl_fail(struct strake_decl *decl, const char *fmt, ...) STRAKE_PRINTF(2, 3);
/** "KEY must be WHAT, got a number". */
int strake_decl_expected(struct strake_decl *decl, const char *key, const char *what, int index);

/** Read the table at `index` (absolute): each key by its field, unknown ones refused with the
 * nearest known one. `fields` ends with a key of NULL. @return 0 or the failure, described. */
int strake_schema_read(struct strake_decl *decl, int index, const struct strake_field *fields,
                       void *object);

/* Readers of single values. A text has no NUL and no newline. Metatables are refused. */
int strake_take_text(struct strake_decl *decl, const char *key, int index, char **out);
int strake_take_bool(struct strake_decl *decl, const char *key, int index, bool *out);
/** A string, or a list of them. */
int strake_take_texts(struct strake_decl *decl, const char *key, int index,
                      struct strake_strings *out);
/** Names and texts, numbers or booleans; the pairs are in order of their names. */
int strake_take_pairs(struct strake_decl *decl, const char *key, int index,
                      struct strake_pairs *out);
int strake_take_json(struct strake_decl *decl, const char *key, int index, json_t **out);
/** Is this name or text fit to be used? Otherwise the failure is described. */
int strake_decl_check_text(struct strake_decl *decl, const char *key, const char *text, size_t len);
void strake_pairs_sort(struct strake_pairs *pairs);

/** declare_extras.c: a key of build/extras.h, into the `extras` of a struct strake_target. */
int strake_take_extra(struct strake_decl *decl, const char *key, int index, void *object);

/** declare_tags.c: `image`, `tags` and `refs` of a struct strake_target, in this order. */
int strake_take_image(struct strake_decl *decl, const char *key, int index, void *object);
int strake_take_tags(struct strake_decl *decl, const char *key, int index, void *object);
int strake_take_refs(struct strake_decl *decl, const char *key, int index, void *object);
/** Then: whole references stand for repositories and tags. */
int strake_decl_split_refs(struct strake_decl *decl, struct strake_target *target);

/** declare_target.c and declare_block.c: read the table at `index` into a new thing of the project.
 */
int strake_declare_target(struct strake_decl *decl, int index);
int strake_declare_block(struct strake_decl *decl, enum strake_block_kind kind, int index);
int strake_declare_policy(struct strake_decl *decl, int index);
int strake_declare_rule(struct strake_decl *decl, int index); /* lua_check.c */
int strake_declare_flow(struct strake_decl *decl, int index);

#endif
