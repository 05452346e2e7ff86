/* The inside of the cache plugin: where a target's build cache goes, in BuildKit's words.
 *   plugin.c  the descriptor, and which type it is
 *   types.c   each type: what is exported, and what is imported in which order
 *   record.c  a table of the user's as one CSV record
 *   name.c    names of references that nobody wrote */
#ifndef CACHE_H
#define CACHE_H

#include <jansson.h>

#include "common/command.h"

/** One question: a target, and what its `cache` says. */
struct cache_ask {
    const struct strake_host *host;
    struct strake_err *err;
    struct strake_cache_request request; /**< no text of it is NULL */
    json_t *table;                       /**< the options, an object */
    const char *type;
    struct plug_list imports;
    struct plug_list exports;
};

/* ---- name.c ---------------------------------------------------------------------------------- */

/** `text` as part of a tag: what a tag cannot hold becomes "-", and then, or when it is longer than
 *  `max` bytes, some digits of its digest follow, so that two names stay two. "" stays "". */
void cache_name_part(const struct strake_host *host, const char *text, size_t max,
                     struct plug_text *out);
/** Is this the main branch, or unknown? Then names do without it. */
bool cache_on_main(const struct cache_ask *ask);
/** TARGET[-PLATFORM][.BRANCH], `branch` being "" for the main one's. */
void cache_name(const struct cache_ask *ask, const char *platform, const char *branch,
                struct plug_text *out);
/** `text` with {branch} and {target} replaced. */
void cache_expand(const struct cache_ask *ask, const char *text, const char *branch,
                  struct plug_text *out);
/** The nearest of these words that is at most `edits` away, or NULL. `words` ends with NULL. */
const char *cache_nearest(const char *word, const char *const *words, size_t edits);

/* ---- record.c -------------------------------------------------------------------------------- */

/** A text of the table, or NULL. */
const char *cache_text(const struct cache_ask *ask, const char *key);
/** A yes/no of the table. */
bool cache_flag(const struct cache_ask *ask, const char *key);
/** Which side of BuildKit a record is for. */
enum cache_side { CACHE_IMPORT, CACHE_EXPORT };
/** Begin a record "type=…"; then cache_record_add(), cache_record_rest(), and it is ended by
 *  plug_list_take(&ask->imports or exports, plug_text_take(&record)). */
void cache_record_begin(struct plug_text *record, const char *type);
/** Add what the table says, but `type`, what is Strake's, and the keys in `but` (NULL-terminated).
 *  @return 0, STRAKE_ECONFIG: a value that no record can hold. */
int cache_record_rest(struct cache_ask *ask, enum cache_side side, const char *const *but,
                      struct plug_text *record);
/** What an export has beyond the user's words: mode=max where `ours` says that Strake named the
 *  place, ignore-error unless `required`. */
void cache_record_export(struct cache_ask *ask, bool ours, struct plug_text *record);
/** Say of keys that nobody knows, and that look like one that is known, which one. */
void cache_warn_of_slips(const struct cache_ask *ask);
/** Refuse a key that is longer than any that a cache may have. @return 0, STRAKE_ECONFIG */
int cache_check_keys(struct cache_ask *ask);
/** Refuse a secret in the table: it would be in the command line and the plan.
 *  @return 0, STRAKE_ECONFIG */
int cache_check_secrets(struct cache_ask *ask);

/* ---- types.c --------------------------------------------------------------------------------- */

/** Fill ask->imports and ask->exports for the type in ask->type.
 *  @return 0, STRAKE_ECONFIG, STRAKE_ENOMEM; STRAKE_ENOTFOUND: no such type, with the nearest. */
int cache_specs(struct cache_ask *ask);

#endif
