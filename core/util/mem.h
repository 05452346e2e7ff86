/* Allocation for the whole core. Every allocation passes here, jansson's and Lua's too, so that the
 * torture tests can make each one fail in turn. */
#ifndef STRAKE_UTIL_MEM_H
#define STRAKE_UTIL_MEM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "strake/plugin.h"

/** As malloc, calloc, realloc; NULL when there is no memory. Any thread. A size of 0 is 1. */
void *strake_malloc(size_t size);
void *strake_calloc(size_t count, size_t size);
void *strake_realloc(void *ptr, size_t size);
/** As reallocarray: NULL on overflow, the old block untouched. */
void *strake_reallocarray(void *ptr, size_t count, size_t size);
/** NULL does nothing. */
void strake_free(void *ptr);

/** A copy that the caller frees with strake_free(); NULL: no memory. strdup of NULL: NULL. */
char *strake_strdup(const char *text);
char *strake_strndup(const char *text, size_t len);
/** A formatted string of the caller's, or NULL when out of memory. */
char *strake_asprintf(const char *fmt, ...) STRAKE_PRINTF(1, 2);
char *strake_vasprintf(const char *fmt, va_list args) STRAKE_PRINTF(1, 0);

/** A growing list of strings of its own, always NULL-terminated. Zero-initialised is empty. */
struct strake_strings {
    char **items; /**< NULL while nothing was ever added */
    size_t count;
    size_t cap;
};
/** Append a copy. @return 0 or STRAKE_ENOMEM (the list unchanged). */
int strake_strings_add(struct strake_strings *list, const char *text);
int strake_strings_add_len(struct strake_strings *list, const char *text, size_t len);
/** Append `text` itself, which the list owns from then on, also on failure. */
int strake_strings_take(struct strake_strings *list, char *text);
int strake_strings_copy(struct strake_strings *to, const struct strake_strings *from);
bool strake_strings_has(const struct strake_strings *list, const char *text);
/** The items as `const char *const *`, never NULL: an empty list gives a pointer to NULL. */
const char *const *strake_strings_view(const struct strake_strings *list);
void strake_strings_dispose(struct strake_strings *list);

/** A growing list of name = value, in the order of first addition. Zero-initialised is empty. */
struct strake_pairs {
    struct strake_pair **items; /**< NULL-terminated once something was added */
    size_t count;
    size_t cap;
};
/** Set `name` to a copy of `value`; an earlier value of that name is replaced. */
int strake_pairs_set(struct strake_pairs *list, const char *name, const char *value);
const char *strake_pairs_get(const struct strake_pairs *list, const char *name);
int strake_pairs_copy(struct strake_pairs *to, const struct strake_pairs *from);
const struct strake_pair *const *strake_pairs_view(const struct strake_pairs *list);
void strake_pairs_dispose(struct strake_pairs *list);

/** Torture tests: the n-th allocation from now on fails (1 = the next), and all after it when
 *  `sticky`; 0 turns it off. Test builds only (STRAKE_DEV). */
void strake_mem_fail_at(int64_t n, bool sticky);
/** How many allocations were made since strake_mem_fail_at() was last called. */
int64_t strake_mem_count(void);

#endif
