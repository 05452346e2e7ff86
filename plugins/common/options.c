/* Reading the options of an instance (options.h). */
#include "common/options.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"

/** What is being read, for the functions below. */
struct reader {
    const struct strake_host *host;
    const char *plugin;
    struct strake_err *err;
};

static void *at(void *into, const struct plug_option *option)
{
    return (char *)into + option->offset;
}

static int wrong(const struct reader *reader, const char *key, const char *wanted)
{
    return reader->host->fail(reader->err, STRAKE_ECONFIG, "%s: option '%s' must be %s",
                              reader->plugin, key, wanted);
}

/** A text that may become an argument or a header: no control characters in it. */
static bool is_clean(const json_t *value)
{
    const char *text = json_string_value(value);
    if (!text || json_string_length(value) != strlen(text))
        return false;
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return false;
    return *text != '\0';
}

static int read_string(const struct reader *reader, const char *key, const json_t *value,
                       char **out)
{
    if (!is_clean(value))
        return wrong(reader, key, "a text that is not empty and has no control characters");
    *out = strdup(json_string_value(value));
    return *out ? 0 : plug_fail_nomem(reader->host, reader->err);
}

static int read_int(const struct reader *reader, const struct plug_option *option,
                    const json_t *value, int64_t *out)
{
    int64_t max = option->max ? option->max : INT64_MAX;
    /* Lua has one kind of number for the eye: 30.0 is 30. */
    double real = json_is_real(value) ? json_real_value(value) : 0;
    bool whole =
        json_is_real(value) && real >= -1e15 && real <= 1e15 && (double)(int64_t)real == real;
    int64_t number = whole ? (int64_t)real : (int64_t)json_integer_value(value);
    if ((!json_is_integer(value) && !whole) || number < option->min || number > max)
        return reader->host->fail(
            reader->err, STRAKE_ECONFIG, "%s: option '%s' must be a whole number from %lld to %lld",
            reader->plugin, option->key, (long long)option->min, (long long)max);
    *out = number;
    return 0;
}

static int read_secret(const struct reader *reader, const char *key, const json_t *value,
                       struct plug_secret *out)
{
    const json_t *name = json_object_get(value, "secret");
    if (json_object_size(value) == 1 && is_clean(name))
        out->name = strdup(json_string_value(name));
    else if (json_is_string(value) && json_string_length(value) > 0 &&
             strlen(json_string_value(value)) == json_string_length(value))
        out->value = strdup(json_string_value(value));
    else
        return wrong(reader, key, "a secret, such as secret.env \"NAME\"");
    if (!out->name && !out->value)
        return plug_fail_nomem(reader->host, reader->err);
    if (out->value)
        reader->host->secret_mark(out->value, strlen(out->value));
    return 0;
}

static int read_strings(const struct reader *reader, const char *key, const json_t *value,
                        char ***out)
{
    size_t count = json_is_string(value) ? 1 : json_array_size(value);
    if (!json_is_string(value) && !json_is_array(value) &&
        !(json_is_object(value) && json_object_size(value) == 0))
        return wrong(reader, key, "a list of texts");
    char **items = calloc(count + 1, sizeof(*items));
    if (!items)
        return plug_fail_nomem(reader->host, reader->err);
    *out = items;
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_is_string(value) ? value : json_array_get(value, i);
        int rc = read_string(reader, key, item, &items[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void free_strings(char **items)
{
    for (size_t i = 0; items && items[i]; i++)
        plug_wipe(items[i]);
    free(items);
}

static void free_pair(struct strake_pair *pair)
{
    if (!pair)
        return;
    plug_wipe((char *)pair->name);
    plug_wipe((char *)pair->value);
    free(pair);
}

static void free_pairs(struct strake_pair **pairs)
{
    for (size_t i = 0; pairs && pairs[i]; i++)
        free_pair(pairs[i]);
    free(pairs);
}

static int compare_pairs(const void *a, const void *b)
{
    const struct strake_pair *const *left = a;
    const struct strake_pair *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

static int read_pairs(const struct reader *reader, const char *key, json_t *value,
                      struct strake_pair ***out)
{
    /* An empty Lua table may arrive as an empty array. */
    if (!json_is_object(value) && !(json_is_array(value) && json_array_size(value) == 0))
        return wrong(reader, key, "a table of name = text");
    struct strake_pair **pairs = calloc(json_object_size(value) + 1, sizeof(struct strake_pair *));
    if (!pairs)
        return plug_fail_nomem(reader->host, reader->err);
    *out = pairs;
    size_t count = 0;
    const char *name;
    json_t *item;
    json_object_foreach(value, name, item) {
        const char *text = json_string_value(item);
        if (!text || strlen(text) != json_string_length(item))
            return wrong(reader, key, "a table of name = text");
        struct strake_pair *pair = calloc(1, sizeof(*pair));
        pairs[count] = pair;
        if (!pair)
            return plug_fail_nomem(reader->host, reader->err);
        count++;
        pair->name = strdup(name);
        pair->value = strdup(text);
        if (!pair->name || !pair->value)
            return plug_fail_nomem(reader->host, reader->err);
    }
    qsort(pairs, count, sizeof(struct strake_pair *), compare_pairs);
    return 0;
}

static int read_one(const struct reader *reader, const struct plug_option *option, json_t *value,
                    void *into)
{
    void *out = at(into, option);
    switch (option->kind) {
    case PLUG_STRING:
        return read_string(reader, option->key, value, out);
    case PLUG_BOOL:
        if (!json_is_boolean(value))
            return wrong(reader, option->key, "true or false");
        *(bool *)out = json_is_true(value);
        return 0;
    case PLUG_FLAG:
        if (!json_is_boolean(value))
            return wrong(reader, option->key, "true or false");
        *(enum plug_flag *)out = json_is_true(value) ? PLUG_YES : PLUG_NO;
        return 0;
    case PLUG_INT:
        return read_int(reader, option, value, out);
    case PLUG_SECRET:
        return read_secret(reader, option->key, value, out);
    case PLUG_STRINGS:
        return read_strings(reader, option->key, value, out);
    case PLUG_PAIRS:
        return read_pairs(reader, option->key, value, out);
    }
    return reader->host->fail(reader->err, STRAKE_EINTERNAL, "%s: option '%s' has no kind",
                              reader->plugin, option->key);
}

static int unknown(const struct reader *reader, const struct plug_option *table, const char *key)
{
    reader->host->fail(reader->err, STRAKE_ECONFIG, "%s: unknown option '%s'", reader->plugin, key);
    struct plug_text known = { 0 };
    for (const struct plug_option *option = table; option->key; option++)
        plug_text_addf(&known, "%s%s", option == table ? "" : ", ", option->key);
    if (table->key)
        reader->host->err_hint(reader->err, "its options are %s", plug_text_view(&known));
    else
        reader->host->err_hint(reader->err, "it has no options");
    plug_text_dispose(&known);
    return STRAKE_ECONFIG;
}

/** In strake.lua a fact that does not exist is false: `username = env.NAME` leaves it out then. */
static bool is_left_out(const struct plug_option *option, const json_t *value)
{
    bool boolean = option->kind == PLUG_BOOL || option->kind == PLUG_FLAG;
    return json_is_null(value) || (json_is_false(value) && !boolean);
}

static const struct plug_option *find(const struct plug_option *table, const char *key)
{
    for (const struct plug_option *option = table; option->key; option++)
        if (strcmp(option->key, key) == 0)
            return option;
    return NULL;
}

int plug_options_read(const struct strake_host *host, const char *plugin,
                      const struct plug_option *table, const char *json, void *into,
                      struct strake_err *err)
{
    struct reader reader = { host, plugin, err };
    json_t *root = json_loads(json && *json ? json : "{}", JSON_REJECT_DUPLICATES, NULL);
    int rc = 0;
    /* An empty Lua table may arrive as an empty array. */
    if (!json_is_object(root) && !(json_is_array(root) && json_array_size(root) == 0)) {
        rc = host->fail(err, STRAKE_ECONFIG, "%s: its options are not a table", plugin);
        goto out;
    }
    const char *key;
    json_t *value;
    json_object_foreach(root, key, value) {
        const struct plug_option *option = find(table, key);
        if (!option)
            rc = unknown(&reader, table, key);
        else if (!is_left_out(option, value))
            rc = read_one(&reader, option, value, into);
        if (rc < 0)
            goto out;
    }
    for (const struct plug_option *option = table; option->key; option++) {
        const json_t *given = json_object_get(root, option->key);
        if (option->required && (!given || is_left_out(option, given))) {
            rc = host->fail(err, STRAKE_ECONFIG, "%s: option '%s' is missing", plugin, option->key);
            goto out;
        }
    }
out:
    json_decref(root);
    if (rc < 0)
        plug_options_dispose(table, into);
    return rc;
}

static void secret_dispose(struct plug_secret *secret)
{
    free(secret->name);
    plug_wipe(secret->value);
    *secret = (struct plug_secret){ 0 };
}

void plug_options_dispose(const struct plug_option *table, void *into)
{
    for (const struct plug_option *option = table; option->key; option++) {
        void *slot = at(into, option);
        switch (option->kind) {
        case PLUG_STRING:
            free(*(char **)slot);
            *(char **)slot = NULL;
            break;
        case PLUG_SECRET:
            secret_dispose(slot);
            break;
        case PLUG_STRINGS:
            free_strings(*(char ***)slot);
            *(char ***)slot = NULL;
            break;
        case PLUG_PAIRS:
            free_pairs(*(struct strake_pair ***)slot);
            *(struct strake_pair ***)slot = NULL;
            break;
        case PLUG_BOOL:
        case PLUG_FLAG:
        case PLUG_INT:
            break;
        }
    }
}

int plug_secret_read(const struct strake_host *host, const struct plug_secret *secret,
                     struct strake_buf *value, struct strake_err *err)
{
    if (secret->name)
        return host->secret_get(secret->name, value, err);
    const char *text = secret->value ? secret->value : "";
    int rc = host->buf_append(value, text, strlen(text));
    return rc < 0 ? host->fail(err, rc, "a secret of %zu bytes is too long", strlen(text)) : 0;
}
