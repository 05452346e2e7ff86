/* The `strake.plan/1` document: written for people and programs, read back strictly. */
#include <string.h>

#include "build/inputs.h"
#include "build/plan.h"
#include "util/fs.h"
#include "util/json.h"

#define PLAN_SCHEMA "strake.plan/1"

/* Paths below the plan's folder are written relative to it, so that a saved plan fits another
 * checkout. */
static const char *plan_path(const struct strake_plan *plan, const char *path)
{
    size_t len = strlen(plan->dir);

    if (strcmp(path, plan->dir) == 0)
        return ".";
    if (strncmp(path, plan->dir, len) == 0 && path[len] == '/')
        return path + len + 1;
    return path;
}

static json_t *secrets_json(const struct strake_plan_target *target)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < target->secret_count; i++) {
        const struct strake_plan_secret *secret = &target->secrets[i];
        json_t *entry = json_object();
        if (!entry || strake_json_set_str(entry, "id", secret->id) < 0 ||
            strake_json_set_str(entry, "file", secret->file) < 0 ||
            strake_json_set_str(entry, "secret", secret->name) < 0 ||
            json_array_append(list, entry) < 0) {
            json_decref(list);
            list = NULL;
        }
        json_decref(entry);
    }
    return list;
}

static json_t *builds_json(const struct strake_plan_target *target)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < target->build_count; i++) {
        const struct strake_plan_build *build = &target->builds[i];
        json_t *entry = json_object();
        if (!entry || strake_json_set_str(entry, "builder", build->builder) < 0 ||
            strake_json_set_str(entry, "plugin", build->plugin) < 0 ||
            strake_json_set(entry, "platforms",
                            strake_json_strings(strake_strings_view(&target->platforms))) < 0 ||
            strake_json_set(entry, "command",
                            build->command ? json_deep_copy(build->command) : json_array()) < 0 ||
            json_array_append(list, entry) < 0) {
            json_decref(list);
            list = NULL;
        }
        json_decref(entry);
    }
    return list;
}

static json_t *cache_lists(const struct strake_strings *import, const struct strake_strings *export)
{
    json_t *lists = json_object();

    if (!lists ||
        strake_json_set(lists, "import", strake_json_strings(strake_strings_view(import))) < 0 ||
        strake_json_set(lists, "export", strake_json_strings(strake_strings_view(export))) < 0) {
        json_decref(lists);
        return NULL;
    }
    return lists;
}

static json_t *cache_json(const struct strake_plan_target *target)
{
    const struct strake_strings *import = &target->cache_part_import;
    const struct strake_strings *export = &target->cache_part_export;
    json_t *cache = cache_lists(&target->cache_import, &target->cache_export);

    if (cache && import->count + export->count &&
        strake_json_set(cache, "parts", cache_lists(import, export)) < 0) {
        json_decref(cache);
        return NULL;
    }
    return cache;
}

static int inputs_json(const struct strake_plan_target *target, json_t *entry)
{
    const struct strake_plan_inputs *inputs = &target->inputs;

    if (!inputs->digest[0])
        return 0;
    if (strake_json_set_str(entry, "inputs", inputs->digest) < 0)
        return STRAKE_ENOMEM;
    return strake_json_set(entry, "input_parts", strake_inputs_json(inputs));
}

/* What `--check-cache` found out about the target's last published image. */
static int past_json(const struct strake_plan_target *target, json_t *entry)
{
    const struct strake_plan_past *past = target->past;

    if (!past)
        return 0;
    if (!past->unchanged)
        return strake_json_set_str(entry, "status", "planned") < 0 ||
                       strake_json_set_str(entry, "why", past->why) < 0
                   ? STRAKE_ENOMEM
                   : 0;
    return strake_json_set_str(entry, "status", "unchanged") < 0 ||
                   strake_json_set_str(entry, "digest", past->digest) < 0 ||
                   strake_json_set_str(entry, "published_by", past->run) < 0
               ? STRAKE_ENOMEM
               : 0;
}

static int lists_json(const struct strake_plan_target *target, json_t *entry)
{
    const struct {
        const char *key;
        json_t *value;
    } fields[] = {
        { "images", strake_json_strings(strake_strings_view(&target->images)) },
        { "tags", strake_json_strings(strake_strings_view(&target->tags)) },
        { "refs", strake_json_strings(strake_strings_view(&target->refs)) },
        { "platforms", strake_json_strings(strake_strings_view(&target->platforms)) },
        { "args", strake_json_pairs(strake_pairs_view(&target->args)) },
        { "labels", strake_json_pairs(strake_pairs_view(&target->labels)) },
        { "annotations", strake_json_pairs(strake_pairs_view(&target->annotations)) },
        { "contexts", strake_json_pairs(strake_pairs_view(&target->contexts)) },
        { "after", strake_json_strings(strake_strings_view(&target->after)) },
        { "options", strake_extras_json(&target->extras) },
        { "secrets", secrets_json(target) },
        { "cache", cache_json(target) },
        { "builds", builds_json(target) },
        { "policies", json_deep_copy(target->policies) },
    };
    int rc = 0;

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        int set = strake_json_set(entry, fields[i].key, fields[i].value);
        rc = rc < 0 ? rc : set;
    }
    return rc;
}

static json_t *target_json(const struct strake_plan *plan, const struct strake_plan_target *target)
{
    json_t *entry = json_object();

    if (!entry || strake_json_set_str(entry, "name", target->name) < 0 ||
        past_json(target, entry) < 0 || inputs_json(target, entry) < 0 ||
        strake_json_set_str(entry, "context", plan_path(plan, target->context)) < 0 ||
        strake_json_set_str(entry, "dockerfile", plan_path(plan, target->dockerfile)) < 0 ||
        strake_json_set_str(entry, "stage", target->stage) < 0 ||
        strake_json_set_str(entry, "image", target->images.count ? target->images.items[0] : "") <
            0 ||
        lists_json(target, entry) < 0 ||
        strake_json_set_bool(entry, "no_cache", target->no_cache) < 0) {
        json_decref(entry);
        return NULL;
    }
    return entry;
}

static json_t *make_document(const struct strake_plan *plan)
{
    json_t *doc = json_object();
    json_t *targets = json_array();

    for (size_t i = 0; targets && i < plan->count; i++) {
        if (json_array_append_new(targets, target_json(plan, &plan->targets[i])) < 0) {
            json_decref(targets);
            targets = NULL;
        }
    }
    if (!doc || !targets || strake_json_set_str(doc, "schema", PLAN_SCHEMA) < 0 ||
        strake_json_set_str(doc, "digest", plan->digest) < 0) {
        json_decref(doc);
        json_decref(targets);
        return NULL;
    }
    if (strake_json_set(doc, "targets", targets) < 0) {
        json_decref(doc);
        return NULL;
    }
    return doc;
}

json_t *strake_plan_json(const struct strake_plan *plan)
{
    return plan->document ? json_incref(plan->document) : make_document(plan);
}

static int document_digest(const json_t *doc, char *out, struct strake_err *err)
{
    struct strake_buf text = { 0 };
    int rc = strake_json_dump_sorted(json_object_get(doc, "targets"), &text);

    if (rc < 0)
        rc = rc == STRAKE_ENOMEM ? strake_fail_nomem(err)
                                 : strake_fail(err, rc, "the plan is too large to be hashed");
    else
        rc = strake_digest_of(strake_buf_text(&text), text.len, out, err);
    strake_buf_dispose(&text);
    return rc;
}

int strake_plan_seal(struct strake_plan *plan, struct strake_err *err)
{
    json_t *doc;
    int rc;

    json_decref(plan->document);
    plan->document = NULL;
    plan->digest[0] = '\0';
    doc = make_document(plan);
    if (!doc)
        return strake_fail_nomem(err);
    rc = document_digest(doc, plan->digest, err);
    if (rc == 0 && strake_json_set_str(doc, "digest", plan->digest) < 0)
        rc = strake_fail_nomem(err);
    if (rc < 0) {
        plan->digest[0] = '\0';
        json_decref(doc);
        return rc;
    }
    plan->document = doc;
    return 0;
}

/* ---- reading ---- */

struct reader {
    const char *file;
    const struct strake_plan *plan;
    struct strake_err *err;
};

static int bad(struct reader *reader, const char *what)
{
    strake_fail(reader->err, STRAKE_ESTALE, "%s is not a plan that can be run: %s", reader->file,
                what);
    strake_err_hint(reader->err, "make it again: strake plan --save %s", reader->file);
    return STRAKE_ESTALE;
}

static int read_text(struct reader *reader, const json_t *object, const char *key, char **out)
{
    const char *text = strake_json_str(object, key);

    if (!text)
        return bad(reader, key);
    *out = strake_strdup(text);
    return *out ? 0 : strake_fail_nomem(reader->err);
}

static int read_path(struct reader *reader, const json_t *object, const char *key, char **out)
{
    const char *text = strake_json_str(object, key);

    if (!text)
        return bad(reader, key);
    if (strcmp(text, ".") == 0)
        *out = strake_strdup(reader->plan->dir);
    else if (strstr(text, "://"))
        *out = strake_strdup(text);
    else
        *out = strake_fs_join(reader->plan->dir, text);
    return *out ? 0 : strake_fail_nomem(reader->err);
}

static int read_strings(struct reader *reader, const json_t *object, const char *key,
                        struct strake_strings *out)
{
    const json_t *list = json_object_get(object, key);
    const json_t *item;
    size_t i;

    if (!json_is_array(list))
        return bad(reader, key);
    json_array_foreach(list, i, item) {
        if (!json_is_string(item))
            return bad(reader, key);
        if (strake_strings_add(out, json_string_value(item)) < 0)
            return strake_fail_nomem(reader->err);
    }
    return 0;
}

static int read_pairs(struct reader *reader, const json_t *object, const char *key,
                      struct strake_pairs *out)
{
    json_t *map = json_object_get(object, key);
    const char *name;
    json_t *value;

    if (!json_is_object(map))
        return bad(reader, key);
    json_object_foreach(map, name, value) {
        if (!json_is_string(value))
            return bad(reader, key);
        if (strake_pairs_set(out, name, json_string_value(value)) < 0)
            return strake_fail_nomem(reader->err);
    }
    return 0;
}

static int copy_optional(struct reader *reader, const json_t *object, const char *key, char **out)
{
    const char *text = strake_json_str(object, key);

    if (!text)
        return 0;
    *out = strake_strdup(text);
    return *out ? 0 : strake_fail_nomem(reader->err);
}

static int read_secrets(struct reader *reader, const json_t *object,
                        struct strake_plan_target *target)
{
    const json_t *list = json_object_get(object, "secrets");
    size_t count = json_array_size(list);

    if (!json_is_array(list))
        return bad(reader, "secrets");
    target->secrets = strake_calloc(count ? count : 1, sizeof(*target->secrets));
    if (!target->secrets)
        return strake_fail_nomem(reader->err);
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(list, i);
        struct strake_plan_secret *secret = &target->secrets[target->secret_count++];
        if (read_text(reader, entry, "id", &secret->id) < 0 ||
            copy_optional(reader, entry, "file", &secret->file) < 0 ||
            copy_optional(reader, entry, "secret", &secret->name) < 0)
            return reader->err->code;
    }
    return 0;
}

/* A copy of a list whose items are for reading only. */
static int copy_list(struct reader *reader, const json_t *object, const char *key, json_t **out)
{
    const json_t *list = json_object_get(object, key);

    if (!json_is_array(list))
        return bad(reader, key);
    *out = json_deep_copy(list);
    return *out ? 0 : strake_fail_nomem(reader->err);
}

static int read_builds(struct reader *reader, const json_t *object,
                       struct strake_plan_target *target)
{
    const json_t *list = json_object_get(object, "builds");
    size_t count = json_array_size(list);

    if (!json_is_array(list) || count == 0)
        return bad(reader, "builds");
    target->builds = strake_calloc(count, sizeof(*target->builds));
    if (!target->builds)
        return strake_fail_nomem(reader->err);
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(list, i);
        struct strake_plan_build *build = &target->builds[target->build_count++];
        if (read_text(reader, entry, "builder", &build->builder) < 0 ||
            read_text(reader, entry, "plugin", &build->plugin) < 0 ||
            copy_list(reader, entry, "command", &build->command) < 0)
            return reader->err->code;
    }
    return 0;
}

static int read_digest(struct reader *reader, const json_t *object, const char *key, char *out)
{
    const char *text = strake_json_str(object, key);

    if (!text || (*text && !strake_digest_valid(text)))
        return bad(reader, key);
    memcpy(out, text, strlen(text) + 1);
    return 0;
}

static int read_inputs(struct reader *reader, const json_t *object,
                       struct strake_plan_target *target)
{
    const json_t *parts = json_object_get(object, "input_parts");

    if (!parts)
        return bad(reader, "it carries no inputs");
    if (read_digest(reader, object, "inputs", target->inputs.digest) < 0 ||
        read_digest(reader, parts, "dockerfile", target->inputs.dockerfile) < 0 ||
        read_digest(reader, parts, "context", target->inputs.context) < 0 ||
        read_digest(reader, parts, "options", target->inputs.options) < 0 ||
        read_pairs(reader, parts, "bases", &target->inputs.bases) < 0)
        return reader->err->code;
    return 0;
}

static int read_options(struct reader *reader, const json_t *entry,
                        struct strake_plan_target *target)
{
    struct strake_err err = { 0 };
    int rc = json_is_object(json_object_get(entry, "options"))
                 ? strake_extras_read(&target->extras, json_object_get(entry, "options"), &err)
                 : STRAKE_ECONFIG;

    if (rc == STRAKE_ENOMEM)
        strake_fail_nomem(reader->err);
    else if (rc < 0)
        rc = bad(reader, "options");
    strake_err_dispose(&err);
    return rc;
}

static int read_cache(struct reader *reader, const json_t *cache, struct strake_plan_target *target)
{
    const json_t *parts = json_object_get(cache, "parts");

    if (read_strings(reader, cache, "import", &target->cache_import) < 0 ||
        read_strings(reader, cache, "export", &target->cache_export) < 0 ||
        (parts && (read_strings(reader, parts, "import", &target->cache_part_import) < 0 ||
                   read_strings(reader, parts, "export", &target->cache_part_export) < 0)))
        return reader->err->code;
    return 0;
}

static int read_target(struct reader *reader, const json_t *entry,
                       struct strake_plan_target *target)
{
    if (read_text(reader, entry, "name", &target->name) < 0 ||
        read_inputs(reader, entry, target) < 0 ||
        read_path(reader, entry, "context", &target->context) < 0 ||
        read_path(reader, entry, "dockerfile", &target->dockerfile) < 0 ||
        read_text(reader, entry, "stage", &target->stage) < 0 ||
        read_strings(reader, entry, "images", &target->images) < 0 ||
        read_strings(reader, entry, "tags", &target->tags) < 0 ||
        read_strings(reader, entry, "refs", &target->refs) < 0 ||
        read_strings(reader, entry, "platforms", &target->platforms) < 0 ||
        read_pairs(reader, entry, "args", &target->args) < 0 ||
        read_pairs(reader, entry, "labels", &target->labels) < 0 ||
        read_pairs(reader, entry, "annotations", &target->annotations) < 0 ||
        read_pairs(reader, entry, "contexts", &target->contexts) < 0 ||
        read_strings(reader, entry, "after", &target->after) < 0 ||
        read_options(reader, entry, target) < 0 || read_secrets(reader, entry, target) < 0 ||
        read_cache(reader, json_object_get(entry, "cache"), target) < 0 ||
        read_builds(reader, entry, target) < 0 ||
        copy_list(reader, entry, "policies", &target->policies) < 0)
        return reader->err->code;
    if (!json_is_boolean(json_object_get(entry, "no_cache")))
        return bad(reader, "no_cache");
    target->no_cache = strake_json_bool(entry, "no_cache", false);
    return 0;
}

static int read_targets(struct reader *reader, const json_t *doc, struct strake_plan *plan)
{
    const json_t *list = json_object_get(doc, "targets");
    size_t count = json_array_size(list);

    if (!json_is_array(list) || count == 0)
        return bad(reader, "it has no targets");
    plan->targets = strake_calloc(count, sizeof(*plan->targets));
    if (!plan->targets)
        return strake_fail_nomem(reader->err);
    for (size_t i = 0; i < count; i++) {
        int rc = read_target(reader, json_array_get(list, i), &plan->targets[plan->count++]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int strake_plan_parse(struct strake_plan *plan, const char *data, size_t len, const char *file,
                      struct strake_err *err)
{
    struct reader reader = { .file = file, .plan = plan, .err = err };
    char digest[STRAKE_DIGEST_TEXT];
    const char *schema, *written;
    json_t *doc = strake_json_parse(data, len, file, STRAKE_ESTALE, err);
    int rc;

    if (!doc)
        return err->code;
    schema = strake_json_str(doc, "schema");
    written = strake_json_str(doc, "digest");
    if (!schema || strcmp(schema, PLAN_SCHEMA) != 0) {
        rc = bad(&reader, "its schema is not " PLAN_SCHEMA);
        goto out;
    }
    if (!json_is_array(json_object_get(doc, "targets"))) {
        rc = bad(&reader, "it has no targets");
        goto out;
    }
    rc = document_digest(doc, digest, err);
    if (rc < 0)
        goto out;
    if (!written || strcmp(written, digest) != 0) {
        rc = bad(&reader, "it was changed after it was saved (its digest is another)");
        goto out;
    }
    memcpy(plan->digest, digest, sizeof(digest));
    rc = read_targets(&reader, doc, plan);
out:
    json_decref(doc);
    return rc;
}
