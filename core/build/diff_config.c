/* Differences between what are names and texts. */
#include <stdlib.h>
#include <string.h>

#include "build/diff.h"
#include "util/json.h"
#include "util/mem.h"

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int add_change(json_t *changes, const char *word, const char *name, const char *from,
                      const char *to)
{
    json_t *entry;

    from = from ? from : "";
    to = to ? to : "";
    if (strcmp(from, to) == 0)
        return 0;
    entry = json_object();
    if (!entry || strake_json_set_str(entry, word, name) < 0 ||
        strake_json_set_str(entry, "from", from) < 0 || strake_json_set_str(entry, "to", to) < 0) {
        json_decref(entry);
        return STRAKE_ENOMEM;
    }
    return json_array_append_new(changes, entry) < 0 ? STRAKE_ENOMEM : 0;
}

json_t *strake_diff_texts(const json_t *a, const json_t *b, const char *word)
{
    const size_t most = json_object_size(a) + json_object_size(b);
    const char **names = strake_calloc(most ? most : 1, sizeof(*names));
    json_t *changes = json_array(), *value;
    const char *name;
    size_t count = 0;
    int rc = names && changes ? 0 : STRAKE_ENOMEM;

    if (rc == 0) {
        json_object_foreach((json_t *)a, name, value)
            names[count++] = name;
        json_object_foreach((json_t *)b, name, value) {
            if (!json_object_get(a, name))
                names[count++] = name;
        }
        qsort(names, count, sizeof(*names), compare_names);
    }
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = add_change(changes, word, names[i], strake_json_str(a, names[i]),
                        strake_json_str(b, names[i]));
    strake_free(names);
    if (rc < 0) {
        json_decref(changes);
        changes = NULL;
    }
    return changes;
}

/* ---- configurations ---- */

static int set_named(json_t *flat, const char *key, const char *name, size_t len, const char *text)
{
    char *full = strake_asprintf("%s.%.*s", key, (int)len, name);
    int rc = full ? strake_json_set_str(flat, full, text) : STRAKE_ENOMEM;

    strake_free(full);
    return rc;
}

/* NAME=VALUE each. */
static int flatten_env(json_t *flat, const char *key, const json_t *list)
{
    const json_t *item;
    size_t i;
    int rc = 0;

    json_array_foreach(list, i, item) {
        const char *text = json_string_value(item);
        size_t len = text ? strcspn(text, "=") : 0;
        if (rc == 0 && len)
            rc = set_named(flat, key, text, len, text[len] ? text + len + 1 : "");
    }
    return rc;
}

static int flatten_object(json_t *flat, const char *key, json_t *object)
{
    const char *name;
    const json_t *value;
    int rc = 0;

    json_object_foreach(object, name, value) {
        if (rc == 0 && json_is_string(value))
            rc = set_named(flat, key, name, strlen(name), json_string_value(value));
    }
    return rc;
}

static int flatten_value(json_t *flat, const char *key, json_t *value)
{
    struct strake_buf text = { 0 };
    int rc = 0;

    if (json_is_string(value))
        return strake_json_set_str(flat, key, json_string_value(value));
    if (json_is_array(value) && json_array_size(value) == 0)
        return 0;
    if (strcmp(key, "env") == 0)
        return flatten_env(flat, key, value);
    if (strcmp(key, "labels") == 0)
        return flatten_object(flat, key, value);
    rc = strake_json_dump_sorted(value, &text);
    if (rc == 0)
        rc = strake_json_set_str(flat, key, strake_buf_text(&text));
    strake_buf_dispose(&text);
    return rc;
}

/* "user", "env.PATH", "labels.KEY", "cmd": all texts, lists as JSON. */
static json_t *flatten(const json_t *entry)
{
    json_t *flat = json_object(), *value;
    const char *key;
    int rc = flat ? 0 : STRAKE_ENOMEM;

    json_object_foreach(json_object_get(entry, "config"), key, value) {
        if (rc == 0)
            rc = flatten_value(flat, key, value);
    }
    if (rc < 0) {
        json_decref(flat);
        flat = NULL;
    }
    return flat;
}

json_t *strake_diff_config(const json_t *a, const json_t *b)
{
    json_t *flat_a = flatten(a), *flat_b = flatten(b), *changes = NULL;

    if (flat_a && flat_b)
        changes = strake_diff_texts(flat_a, flat_b, "key");
    json_decref(flat_a);
    json_decref(flat_b);
    return changes;
}
