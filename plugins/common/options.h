/* Reading the options of an instance: a table says what a plugin knows, everything else is refused
 * by name.
 *
 *     static const struct plug_option table[] = {
 *         PLUG_OPTION(struct my_options, address, .kind = PLUG_STRING, .required = true),
 *         PLUG_OPTION(struct my_options, timeout_ms, .kind = PLUG_INT, .max = 3600000),
 *         PLUG_OPTION(struct my_options, password, .kind = PLUG_SECRET),
 *         { .key = NULL },
 *     };
 *     struct my_options options = { .timeout_ms = 30000 };   // defaults are what stands there
 *     rc = plug_options_read(host, "my", table, json, &options, err);
 *     …
 *     plug_options_dispose(table, &options); */
#ifndef PLUG_OPTIONS_H
#define PLUG_OPTIONS_H

#include "strake/plugin.h"

/** A yes/no option that may also be left out. */
enum plug_flag { PLUG_UNSET = 0, PLUG_NO, PLUG_YES };

/** A secret option: {"secret":"NAME"}, or the text itself. Both NULL when it was not given. */
struct plug_secret {
    char *name;  /**< for secret_get() */
    char *value; /**< marked for redaction already */
};

/** What stands at an option's offset. */
enum plug_kind {
    PLUG_STRING,  /**< char *, NULL when not given; not empty, no control characters */
    PLUG_BOOL,    /**< bool */
    PLUG_FLAG,    /**< enum plug_flag */
    PLUG_INT,     /**< int64_t, min..max */
    PLUG_SECRET,  /**< struct plug_secret */
    PLUG_STRINGS, /**< char **, NULL-terminated, NULL when not given; one string is a list of one */
    PLUG_PAIRS    /**< struct strake_pair **, NULL-terminated; a table of name = string, sorted */
};

/** One option. A table ends with a NULL key. */
struct plug_option {
    const char *key;
    enum plug_kind kind;
    size_t offset;
    bool required;
    int64_t min; /**< PLUG_INT */
    int64_t max; /**< PLUG_INT; 0: no bound */
};

/** An option whose key is the name of its field. */
#define PLUG_OPTION(type, field, ...)                                                              \
    {                                                                                              \
        .key = #field, .offset = offsetof(type, field), __VA_ARGS__                                \
    }

/** Read the JSON object `json` into the struct `into`, whose pointers must be NULL before; what is
 *  not given stays as it is. null is not given, and neither is false where no yes/no is wanted: a
 *  fact that does not exist is false in strake.lua. `plugin` is the name for messages. Any thread,
 * does not block.
 *  @return 0; STRAKE_ECONFIG naming the option, with the known ones as the hint; STRAKE_ENOMEM.
 *          After a failure nothing is left to dispose of. */
int plug_options_read(const struct strake_host *host, const char *plugin,
                      const struct plug_option *table, const char *json, void *into,
                      struct strake_err *err);

/** Free what plug_options_read() put into `into`; secrets are wiped. */
void plug_options_dispose(const struct plug_option *table, void *into);

static inline bool plug_secret_given(const struct plug_secret *secret)
{
    return secret->name || secret->value;
}

/** The value of a secret option appended to `value`. @return 0, STRAKE_ECONFIG, STRAKE_ENOMEM. */
int plug_secret_read(const struct strake_host *host, const struct plug_secret *secret,
                     struct strake_buf *value, struct strake_err *err);

#endif
