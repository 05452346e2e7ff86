/* Image configurations: the parts that people and policies look at. */
#include <string.h>

#include "image/manifest.h"
#include "util/json.h"
#include "util/mem.h"

#define LAYERS_MAX 10000

static int refuse(struct strake_err *err, const char *what, const char *field, const char *problem)
{
    return strake_fail(err, STRAKE_EREGISTRY, "%s: '%s' %s", what, field, problem);
}

static bool absent(const json_t *value)
{
    return value == NULL || json_is_null(value);
}

static int show_text(json_t *shown, const char *name, const json_t *config, const char *key,
                     const char *what, struct strake_err *err)
{
    const json_t *value = json_object_get(config, key);
    if (!absent(value) && !json_is_string(value))
        return refuse(err, what, key, "is no text");
    if (strake_json_set_str(shown, name, absent(value) ? "" : json_string_value(value)) < 0)
        return strake_fail_nomem(err);
    return 0;
}

/* A list of strings; old builders wrote one string for a list of one. */
static int show_list(json_t *shown, const char *name, const json_t *config, const char *key,
                     const char *what, struct strake_err *err)
{
    json_t *value = json_object_get(config, key);
    const json_t *item;
    size_t i;

    if (json_is_array(value)) {
        json_array_foreach(value, i, item) {
            if (!json_is_string(item))
                return refuse(err, what, key, "has an item that is no text");
        }
        return strake_json_set(shown, name, json_incref(value)) < 0 ? strake_fail_nomem(err) : 0;
    }
    if (!absent(value) && !json_is_string(value))
        return refuse(err, what, key, "is no list of texts");
    json_t *list = json_array();
    if (list != NULL && json_is_string(value) && json_array_append(list, value) < 0) {
        json_decref(list);
        list = NULL;
    }
    return strake_json_set(shown, name, list) < 0 ? strake_fail_nomem(err) : 0;
}

/* {"80/tcp":{}} is shown as ["80/tcp"]. */
static int show_keys(json_t *shown, const char *name, json_t *config, const char *key,
                     const char *what, struct strake_err *err)
{
    json_t *value = json_object_get(config, key);
    const char *item;
    const json_t *unused;

    if (!absent(value) && !json_is_object(value))
        return refuse(err, what, key, "is no object");
    json_t *list = json_array();
    if (strake_json_set(shown, name, list) < 0)
        return strake_fail_nomem(err);
    json_object_foreach(value, item, unused) {
        (void)unused;
        if (strake_json_append_str(list, item) < 0)
            return strake_fail_nomem(err);
    }
    return 0;
}

static int show_labels(json_t *shown, const json_t *config, const char *what,
                       struct strake_err *err)
{
    json_t *labels = json_object_get(config, "Labels");
    const char *key;
    const json_t *value;

    if (!absent(labels) && !json_is_object(labels))
        return refuse(err, what, "Labels", "is no object");
    json_object_foreach(labels, key, value) {
        if (!json_is_string(value))
            return refuse(err, what, "Labels", "has a value that is no text");
    }
    json_t *copy = absent(labels) ? json_object() : json_incref(labels);
    return strake_json_set(shown, "labels", copy) < 0 ? strake_fail_nomem(err) : 0;
}

static int read_shown(json_t *config, const char *what, json_t **out, struct strake_err *err)
{
    json_t *shown = json_object();
    if (shown == NULL)
        return strake_fail_nomem(err);
    int rc = show_text(shown, "user", config, "User", what, err);
    if (rc == 0)
        rc = show_list(shown, "entrypoint", config, "Entrypoint", what, err);
    if (rc == 0)
        rc = show_list(shown, "cmd", config, "Cmd", what, err);
    if (rc == 0)
        rc = show_list(shown, "env", config, "Env", what, err);
    if (rc == 0)
        rc = show_text(shown, "working_dir", config, "WorkingDir", what, err);
    if (rc == 0)
        rc = show_labels(shown, config, what, err);
    if (rc == 0)
        rc = show_keys(shown, "exposed_ports", config, "ExposedPorts", what, err);
    if (rc == 0)
        rc = show_keys(shown, "volumes", config, "Volumes", what, err);
    if (rc == 0)
        rc = show_text(shown, "stop_signal", config, "StopSignal", what, err);
    json_t *check = json_object_get(config, "Healthcheck");
    if (rc == 0 && json_is_object(check) &&
        strake_json_set(shown, "healthcheck", json_incref(check)) < 0)
        rc = strake_fail_nomem(err);
    if (rc < 0) {
        json_decref(shown);
        return rc;
    }
    *out = shown;
    return 0;
}

static int read_diff_ids(const json_t *root, const char *what, size_t layers,
                         struct strake_config *out, struct strake_err *err)
{
    const json_t *ids = json_object_get(json_object_get(root, "rootfs"), "diff_ids");
    size_t count = json_array_size(ids);

    if (!absent(ids) && !json_is_array(ids))
        return refuse(err, what, "diff_ids", "is no array");
    if (!absent(ids) && count != layers)
        return strake_fail(err, STRAKE_EREGISTRY, "%s: has %zu diff_ids for %zu layers", what,
                           count, layers);
    out->diff_ids = strake_calloc(count + 1, sizeof(*out->diff_ids));
    if (out->diff_ids == NULL)
        return strake_fail_nomem(err);
    for (; out->diff_count < count; out->diff_count++) {
        const char *id = json_string_value(json_array_get(ids, out->diff_count));
        if (!strake_digest_valid(id))
            return refuse(err, what, "diff_ids", "has an item that is no sha256 digest");
        out->diff_ids[out->diff_count] = strake_strdup(id);
        if (out->diff_ids[out->diff_count] == NULL)
            return strake_fail_nomem(err);
    }
    return 0;
}

static size_t history_layers(const json_t *history)
{
    size_t count = 0;
    size_t i;
    const json_t *step;
    json_array_foreach(history, i, step)
        count += strake_json_bool(step, "empty_layer", false) ? 0 : 1;
    return count;
}

/* History is told for people and may be missing or cut: a history of another length says nothing
 * about which step made which layer. */
static int read_created_by(const json_t *root, size_t layers, struct strake_config *out,
                           struct strake_err *err)
{
    const json_t *history = json_object_get(root, "history");
    bool usable = json_is_array(history) && history_layers(history) == layers;
    size_t at = 0;

    out->created_by = strake_calloc(layers + 1, sizeof(*out->created_by));
    if (out->created_by == NULL)
        return strake_fail_nomem(err);
    for (size_t i = 0; i < layers; i++) {
        const char *text = NULL;
        if (usable) {
            while (strake_json_bool(json_array_get(history, at), "empty_layer", false))
                at++;
            text = strake_json_str(json_array_get(history, at++), "created_by");
        }
        out->created_by[i] = strake_strdup(text != NULL ? text : "");
        if (out->created_by[i] == NULL)
            return strake_fail_nomem(err);
    }
    return 0;
}

static int read_config(json_t *root, const char *what, size_t layers, struct strake_config *out,
                       struct strake_err *err)
{
    if (!json_is_object(root))
        return strake_fail(err, STRAKE_EREGISTRY, "%s: is no JSON object", what);
    json_t *config = json_object_get(root, "config");
    if (!absent(config) && !json_is_object(config))
        return refuse(err, what, "config", "is no object");

    strake_platform_make(strake_json_str(root, "os"), strake_json_str(root, "architecture"),
                         strake_json_str(root, "variant"), out->platform);
    const char *created = strake_json_str(root, "created");
    if (created != NULL && (out->created = strake_strdup(created)) == NULL)
        return strake_fail_nomem(err);
    int rc = read_shown(config, what, &out->shown, err);
    if (rc == 0)
        rc = read_diff_ids(root, what, layers, out, err);
    if (rc == 0)
        rc = read_created_by(root, layers, out, err);
    return rc;
}

int strake_config_parse(const char *data, size_t len, const char *what, size_t layers,
                        struct strake_config *out, struct strake_err *err)
{
    *out = (struct strake_config){ 0 };
    if (len > STRAKE_CONFIG_MAX || layers > LAYERS_MAX)
        return strake_fail(err, STRAKE_EREGISTRY,
                           "%s: is larger than an image configuration may be", what);
    json_t *root = strake_json_parse(data, len, what, STRAKE_EREGISTRY, err);
    int rc = root == NULL ? err->code : read_config(root, what, layers, out, err);
    json_decref(root);
    if (rc < 0)
        strake_config_dispose(out);
    return rc;
}

static void free_list(char **list)
{
    for (char **item = list; item != NULL && *item != NULL; item++)
        strake_free(*item);
    strake_free(list);
}

void strake_config_dispose(struct strake_config *config)
{
    if (config == NULL)
        return;
    strake_free(config->created);
    json_decref(config->shown);
    free_list(config->diff_ids);
    free_list(config->created_by);
    *config = (struct strake_config){ 0 };
}
