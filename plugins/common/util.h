/* What plugins need again and again and the C library lacks: texts that grow, lists of strings, and
 * memory that is wiped. Plugins have no allocator but the C library's; every function here copes
 * with its refusal. */
#ifndef PLUG_UTIL_H
#define PLUG_UTIL_H

#include "strake/plugin.h"

/** A text that grows; zero-initialised is empty. After one append without memory all later ones do
 *  nothing and plug_text_take() gives NULL, so that one check at the end is enough. */
struct plug_text {
    char *data; /**< NUL-terminated, or NULL while empty */
    size_t len;
    size_t cap;
    bool failed;
};

void plug_text_add(struct plug_text *text, const char *data);
void plug_text_add_len(struct plug_text *text, const void *data, size_t len);
void plug_text_addf(struct plug_text *text, const char *fmt, ...) STRAKE_PRINTF(2, 3);
/** What is there, never NULL, borrowed until the next change. */
const char *plug_text_view(const struct plug_text *text);
/** The text as a string of the caller's (free()); empty afterwards. NULL: out of memory. */
char *plug_text_take(struct plug_text *text);
/** Wipes and frees. */
void plug_text_dispose(struct plug_text *text);

/** A formatted string of the caller's (free()), or NULL. */
char *plug_format(const char *fmt, ...) STRAKE_PRINTF(1, 2);
/** A copy of `len` bytes, or NULL. */
char *plug_strndup(const char *data, size_t len);
/** Wipe a string and free it. NULL does nothing. */
void plug_wipe(char *secret);

/** A growing list of strings of its own; zero-initialised is empty. After one failure it takes
 *  nothing more: look at `failed` once, before use. */
struct plug_list {
    char **items; /**< NULL-terminated once something was added */
    size_t count;
    size_t cap;
    bool failed;
};

void plug_list_add(struct plug_list *list, const char *item);
void plug_list_addf(struct plug_list *list, const char *fmt, ...) STRAKE_PRINTF(2, 3);
/** The list owns `item` from then on; NULL counts as out of memory. */
void plug_list_take(struct plug_list *list, char *item);
bool plug_list_has(const struct plug_list *list, const char *item);
/** As argv: never NULL, NULL-terminated. */
const char *const *plug_list_view(const struct plug_list *list);
/** Wipes and frees each item. */
void plug_list_dispose(struct plug_list *list);

/** Milliseconds of a clock that never goes back. */
int64_t plug_now_ms(void);
/** Wait, at most until the job is cancelled or its deadline has come; `job` may be NULL.
 *  @return 0, STRAKE_ECANCELLED or STRAKE_ETIMEOUT, described. */
int plug_wait_ms(const struct strake_host *host, struct strake_job *job, int64_t ms,
                 struct strake_err *err);
/** Out of memory, described. @return STRAKE_ENOMEM */
int plug_fail_nomem(const struct strake_host *host, struct strake_err *err);

/** Copy a string into `out` of `size` bytes. False: it does not fit, and `out` is as before. */
bool plug_copy(char *out, size_t size, const char *text);

/** A buffer's bytes as a string, never NULL. */
static inline const char *plug_buf_text(const struct strake_host *host,
                                        const struct strake_buf *buf)
{
    const char *text = host->buf_data(buf, NULL);
    return text ? text : "";
}

#endif
