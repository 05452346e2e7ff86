/* Strict, bounded JSON over jansson. */
#include "util/json.h"

#include <pthread.h>
#include <string.h>

#include "util/mem.h"

static pthread_once_t json_once = PTHREAD_ONCE_INIT;

/* Without memory jansson calls a string an invalid token, says nothing at all, or goes on with a
 * byte missing: what its allocator saw on this thread is what can be believed. */
static _Thread_local bool starved;

static void *json_alloc(size_t size)
{
    void *memory = strake_malloc(size);

    if (!memory)
        starved = true;
    return memory;
}

static void json_setup_once(void)
{
    json_set_alloc_funcs(json_alloc, strake_free);
    json_object_seed(0); /* from the system's random source; not thread-safe later */
}

void strake_json_setup(void)
{
    pthread_once(&json_once, json_setup_once);
}

/* jansson recurses: the depth is counted before it begins. */
static bool too_deep(const char *data, size_t len)
{
    size_t depth = 0;
    bool text = false;

    for (size_t i = 0; i < len; i++) {
        if (text) {
            if (data[i] == '\\')
                i++;
            else if (data[i] == '"')
                text = false;
        } else if (data[i] == '"') {
            text = true;
        } else if (data[i] == '[' || data[i] == '{') {
            if (++depth > STRAKE_JSON_DEPTH)
                return true;
        } else if ((data[i] == ']' || data[i] == '}') && depth > 0) {
            depth--;
        }
    }
    return false;
}

json_t *strake_json_parse(const char *data, size_t len, const char *what, int code,
                          struct strake_err *err)
{
    json_error_t error;
    json_t *value;

    if (too_deep(data, len)) {
        strake_fail(err, code, "%s is nested deeper than %d", what, STRAKE_JSON_DEPTH);
        return NULL;
    }
    starved = false;
    value = json_loadb(data, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (value && !starved)
        return value;
    json_decref(value);
    if (starved || json_error_code(&error) == json_error_out_of_memory)
        strake_fail_nomem(err);
    else
        strake_fail(err, code, "%s is not valid JSON: %s (line %d, column %d)", what, error.text,
                    error.line, error.column);
    return NULL;
}

struct sink {
    struct strake_buf *out;
    int rc; /* kept here: jansson does not look whether a key could be written */
};

static int dump_part(const char *data, size_t len, void *ctx)
{
    struct sink *sink = ctx;

    if (sink->rc == 0)
        sink->rc = strake_buf_append(sink->out, data, len);
    return sink->rc < 0 ? -1 : 0;
}

static int dump(const json_t *value, struct strake_buf *out, size_t flags)
{
    struct sink sink = { .out = out };
    size_t before = out->len;

    if (value && json_dump_callback(value, dump_part, &sink, flags | JSON_ENCODE_ANY) == 0 &&
        sink.rc == 0)
        return 0;
    if (out->data) {
        out->len = before;
        out->data[before] = '\0';
    }
    return sink.rc < 0 ? sink.rc : STRAKE_ENOMEM;
}

int strake_json_dump(const json_t *value, struct strake_buf *out)
{
    return dump(value, out, JSON_COMPACT);
}

int strake_json_dump_sorted(const json_t *value, struct strake_buf *out)
{
    return dump(value, out, JSON_COMPACT | JSON_SORT_KEYS);
}

int strake_json_dump_pretty(const json_t *value, struct strake_buf *out)
{
    int rc = dump(value, out, JSON_INDENT(2));

    return rc < 0 ? rc : strake_buf_putc(out, '\n');
}

const char *strake_json_str(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

json_int_t strake_json_int(const json_t *object, const char *key, json_int_t fallback)
{
    const json_t *value = json_object_get(object, key);

    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

bool strake_json_bool(const json_t *object, const char *key, bool fallback)
{
    const json_t *value = json_object_get(object, key);

    return json_is_boolean(value) ? json_is_true(value) : fallback;
}

int strake_json_set(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0 ? 0 : STRAKE_ENOMEM;
}

/* ---- texts of any bytes ---- */

size_t strake_json_utf8_length(const char *text, size_t len)
{
    const unsigned char *data = (const unsigned char *)text;
    size_t want = data[0] < 0x80   ? 1
                  : data[0] < 0xc2 ? 0
                  : data[0] < 0xe0 ? 2
                  : data[0] < 0xf0 ? 3
                  : data[0] < 0xf5 ? 4
                                   : 0;

    if (want == 0 || want > len)
        return 0;
    for (size_t i = 1; i < want; i++) {
        if ((data[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((data[0] == 0xe0 && data[1] < 0xa0) || (data[0] == 0xed && data[1] > 0x9f) ||
        (data[0] == 0xf0 && data[1] < 0x90) || (data[0] == 0xf4 && data[1] > 0x8f))
        return 0;
    return want;
}

static json_t *repaired(const char *text, size_t len)
{
    struct strake_buf fixed = { 0 };
    json_t *value = NULL;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < len;) {
        size_t n = strake_json_utf8_length(text + i, len - i);
        rc = n ? strake_buf_append(&fixed, text + i, n) : strake_buf_puts(&fixed, "\xef\xbf\xbd");
        i += n ? n : 1;
    }
    if (rc == 0)
        value = json_stringn(strake_buf_text(&fixed), fixed.len);
    strake_buf_dispose(&fixed);
    return value;
}

static json_t *any_text(const char *text, size_t len)
{
    json_t *value = json_stringn(text, len);

    return value ? value : repaired(text, len);
}

int strake_json_set_strn(json_t *object, const char *key, const char *text, size_t len)
{
    return strake_json_set(object, key, any_text(text, len));
}

int strake_json_set_str(json_t *object, const char *key, const char *text)
{
    return text ? strake_json_set_strn(object, key, text, strlen(text)) : 0;
}

int strake_json_set_int(json_t *object, const char *key, int64_t value)
{
    return strake_json_set(object, key, json_integer(value));
}

int strake_json_set_bool(json_t *object, const char *key, bool value)
{
    return strake_json_set(object, key, json_boolean(value));
}

int strake_json_append_str(json_t *array, const char *text)
{
    return json_array_append_new(array, any_text(text, strlen(text))) < 0 ? STRAKE_ENOMEM : 0;
}

json_t *strake_json_strings(const char *const *items)
{
    json_t *array = json_array();

    for (; array && *items; items++) {
        if (strake_json_append_str(array, *items) < 0) {
            json_decref(array);
            array = NULL;
        }
    }
    return array;
}

json_t *strake_json_pairs(const struct strake_pair *const *items)
{
    json_t *object = json_object();

    for (; object && *items; items++) {
        if (strake_json_set_str(object, (*items)->name, (*items)->value) < 0) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}
