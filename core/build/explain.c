/* The document of `strake cache explain`: two builds are read from the history, and each step of the
 * newer one that was not cached gets its cause. */
#include "build/explain.h"

#include <string.h>

#include "build/explain_impl.h"
#include "util/json.h"
#include "util/time.h"

/* How far back a build is looked for that had the same steps. */
#define BUILDS_MAX STRAKE_MATERIALS_KEPT

/* ---- reading ---- */

static void build_dispose(struct strake_explain_build *build)
{
    strake_dockerfile_dispose(&build->dockerfile);
    strake_explain_list_dispose(&build->files);
    strake_free(build->steps);
    strake_free(build->bases);
    *build = (struct strake_explain_build){ 0 };
}

/* A text that is gone, or that nobody understands, is one that is not on record. */
static int read_text(struct strake_record *record, const char *id, char **out,
                     struct strake_err *err)
{
    struct strake_buf text = { 0 };
    int rc = id ? strake_record_text(record, id, &text, err) : STRAKE_ENOTFOUND;

    *out = rc == 0 ? strake_buf_take(&text) : NULL;
    strake_buf_dispose(&text);
    if (rc == STRAKE_ENOTFOUND) {
        strake_err_dispose(err);
        return 0;
    }
    return rc == 0 && !*out ? strake_fail_nomem(err) : rc;
}

static int read_dockerfile(struct strake_record *record, struct strake_explain_build *build,
                           struct strake_err *err)
{
    char *text = NULL;
    int rc = read_text(record, strake_json_str(build->json, "dockerfile"), &text, err);

    if (rc == 0 && text) {
        rc = strake_dockerfile_parse(text, strlen(text), "Dockerfile", &build->dockerfile, err);
        build->parsed = rc == 0 && build->dockerfile.stage_count > 0;
        if (rc == STRAKE_EDOCKERFILE) {
            strake_err_dispose(err);
            rc = 0;
        }
    }
    strake_free(text);
    return rc;
}

static int read_files(struct strake_record *record, struct strake_explain_build *build,
                      struct strake_err *err)
{
    char *text = NULL;
    int rc = read_text(record, strake_json_str(build->json, "files"), &text, err);

    if (rc < 0 || !text)
        return rc;
    rc = strake_explain_list_parse(text, &build->files);
    build->has_files = rc == 0;
    return rc == STRAKE_ENOMEM ? strake_fail_nomem(err) : 0;
}

static int read_build(struct strake_record *record, const json_t *json,
                      struct strake_explain_build *build, struct strake_err *err)
{
    const json_t *materials = json_object_get(json, "materials");
    int rc;

    *build = (struct strake_explain_build){ .json = json };
    build->materials = json_is_object(materials) ? materials : NULL;
    rc = read_dockerfile(record, build, err);
    return rc < 0 ? rc : strake_explain_steps(build, err);
}

/* ---- choosing the two ---- */

/* Without a strake.lua all targets have one name, whatever folder they are built from. */
static bool same_place(const struct strake_explain_build *now,
                       const struct strake_explain_build *then)
{
    static const char *const keys[] = { "context", "file" };

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const char *is = strake_json_str(now->materials, keys[i]);
        const char *was = strake_json_str(then->materials, keys[i]);
        if (is && was && strcmp(is, was) != 0)
            return false;
    }
    return true;
}

static bool has_common_step(const struct strake_explain_build *now,
                            const struct strake_explain_build *then)
{
    for (size_t i = 0; i < now->count; i++) {
        if (strake_explain_find(now, &now->steps[i], then))
            return true;
    }
    return false;
}

/* The newest build that came to a step; else the newest. */
static int find_now(struct strake_record *record, const json_t *builds,
                    struct strake_explain_build *now, size_t *at, struct strake_err *err)
{
    const size_t count = json_array_size(builds);
    int rc = 0;

    for (*at = 0; rc == 0 && *at < count; (*at)++) {
        rc = read_build(record, json_array_get(builds, *at), now, err);
        if (rc < 0 || now->count > 0 || now->base_count > 0)
            return rc;
        build_dispose(now);
    }
    *at = 0;
    return rc < 0 ? rc : read_build(record, json_array_get(builds, 0), now, err);
}

/* The newest one before it, of the same context, that has steps in common with it: of two that build
 * for different platforms, say, the other tells nothing. */
static int find_then(struct strake_record *record, const json_t *builds, size_t at,
                     const struct strake_explain_build *now, struct strake_explain_build *then,
                     bool *found, struct strake_err *err)
{
    int rc = 0;

    *found = false;
    for (at++; rc == 0 && at < json_array_size(builds); at++) {
        rc = read_build(record, json_array_get(builds, at), then, err);
        if (rc == 0 && same_place(now, then) && has_common_step(now, then)) {
            *found = true;
            return 0;
        }
        build_dispose(then);
    }
    return rc;
}

/* ---- what it cost ---- */

/* The same words of the same platform, else the same place. */
static int64_t cost_then(const struct strake_explain_build *now,
                         const struct strake_explain_step *step,
                         const struct strake_explain_build *then)
{
    const struct strake_explain_step *found = strake_explain_find(now, step, then);

    for (size_t i = 0;
         i < then->count && !(found && strake_explain_same(found->name.text, step->name.text));
         i++) {
        const struct strake_explain_step *other = &then->steps[i];
        if (strake_explain_same(other->name.text, step->name.text) &&
            strake_explain_same(other->name.platform, step->name.platform)) {
            found = other;
            break;
        }
    }
    return found ? found->duration_us / 1000 : 0;
}

/* ---- the document ---- */

static int set_some(json_t *object, const char *key, const char *text)
{
    return text ? strake_json_set_str(object, key, text) : 0;
}

static json_t *cause_json(const struct strake_explain_cause *cause, int line)
{
    json_t *json = json_object();

    if (!json || strake_json_set_str(json, "kind", cause->kind) < 0 ||
        strake_json_set_str(json, "detail", cause->detail) < 0 ||
        set_some(json, "name", cause->name) < 0 || set_some(json, "was", cause->was) < 0 ||
        set_some(json, "now", cause->now) < 0 ||
        (cause->line && cause->line != line &&
         strake_json_set_int(json, "line", cause->line) < 0) ||
        (cause->files && (json_object_set(json, "files", cause->files) < 0 ||
                          strake_json_set_int(json, "files_total", cause->file_count) < 0))) {
        json_decref(json);
        return NULL;
    }
    return json;
}

static int set_cause(json_t *entry, const struct strake_explain_build *now,
                     const struct strake_explain_step *step,
                     const struct strake_explain_build *then)
{
    struct strake_explain_cause cause = { 0 };
    int line = step->instruction ? step->instruction->line : 0;
    int rc = strake_explain_cause(now, step, then, &cause);

    if (rc == 0)
        rc = strake_json_set(entry, "cause", cause_json(&cause, line));
    strake_explain_cause_dispose(&cause);
    return rc;
}

static json_t *step_json(const struct strake_explain_build *now,
                         const struct strake_explain_step *step,
                         const struct strake_explain_build *then)
{
    json_t *entry = json_object();

    if (!entry || strake_json_set_str(entry, "name", step->full) < 0 ||
        (step->instruction && strake_json_set_int(entry, "line", step->instruction->line) < 0) ||
        strake_json_set_bool(entry, "cached", step->cached) < 0 ||
        strake_json_set_int(entry, "duration_ms", step->duration_us / 1000) < 0 ||
        (then && strake_json_set_int(entry, "last_ms", cost_then(now, step, then)) < 0) ||
        set_some(entry, "error", step->error) < 0 ||
        (!step->cached && set_cause(entry, now, step, then) < 0)) {
        json_decref(entry);
        return NULL;
    }
    return entry;
}

/* The first that missed for a reason of its own. */
static int set_totals(json_t *doc, const json_t *steps, bool compared)
{
    int64_t cached = 0, missed_ms = 0, last_ms = 0;
    const char *first = NULL, *any = NULL;
    const json_t *step;
    size_t i;

    json_array_foreach(steps, i, step) {
        const char *kind = strake_json_str(json_object_get(step, "cause"), "kind");
        if (!kind) {
            cached++;
            continue;
        }
        missed_ms += strake_json_int(step, "duration_ms", 0);
        last_ms += strake_json_int(step, "last_ms", 0);
        any = any ? any : strake_json_str(step, "name");
        if (!first && strcmp(kind, "parent") != 0)
            first = strake_json_str(step, "name");
    }
    if (strake_json_set_int(doc, "cached", cached) < 0 ||
        strake_json_set_int(doc, "missed", (int64_t)json_array_size(steps) - cached) < 0 ||
        strake_json_set_int(doc, "missed_ms", missed_ms) < 0 ||
        (compared && strake_json_set_int(doc, "last_ms", last_ms) < 0))
        return STRAKE_ENOMEM;
    return set_some(doc, "first_missed", first ? first : any);
}

static json_t *document(const char *target, const struct strake_explain_build *now,
                        const struct strake_explain_build *then)
{
    json_t *doc = json_object(), *steps = json_array();
    int rc = doc && steps ? 0 : STRAKE_ENOMEM;

    for (size_t i = 0; rc == 0 && i < now->count; i++) {
        json_t *entry = step_json(now, &now->steps[i], then);
        rc = entry && json_array_append_new(steps, entry) == 0 ? 0 : STRAKE_ENOMEM;
    }
    if (rc < 0 || strake_json_set_str(doc, "schema", "strake.explain/1") < 0 ||
        strake_json_set_str(doc, "target", target) < 0 ||
        strake_json_set_str(doc, "run", strake_json_str(now->json, "run")) < 0 ||
        strake_json_set_str(doc, "started", strake_json_str(now->json, "started")) < 0 ||
        set_some(doc, "builder", strake_json_str(now->json, "builder")) < 0 ||
        (then && set_some(doc, "compared_with", strake_json_str(then->json, "run")) < 0) ||
        json_object_set(doc, "steps", steps) < 0 || set_totals(doc, steps, then != NULL) < 0) {
        json_decref(doc);
        doc = NULL;
    }
    json_decref(steps);
    return doc;
}

static int explain(struct strake_record *record, const json_t *builds, const char *target,
                   json_t **out, struct strake_err *err)
{
    struct strake_explain_build now = { 0 }, then = { 0 };
    bool compared = false;
    size_t at = 0;
    int rc = find_now(record, builds, &now, &at, err);

    if (rc == 0)
        rc = find_then(record, builds, at, &now, &then, &compared, err);
    if (rc == 0)
        rc = read_files(record, &now, err);
    if (rc == 0 && compared)
        rc = read_files(record, &then, err);
    if (rc == 0 && !(*out = document(target, &now, compared ? &then : NULL)))
        rc = strake_fail_nomem(err);
    build_dispose(&now);
    build_dispose(&then);
    return rc;
}

int strake_explain(struct strake_record *record, const char *dir, const char *target, json_t **out,
                   struct strake_err *err)
{
    json_t *builds = NULL;
    int rc = strake_record_builds(record, dir, target, BUILDS_MAX, &builds, err);

    if (rc == 0 && json_array_size(builds) == 0) {
        rc = strake_fail(err, STRAKE_EUSAGE, "no build of target %s is on record", target);
        strake_err_hint(err, "build it first: `strake build %s`", target);
    }
    if (rc == 0)
        rc = explain(record, builds, target, out, err);
    json_decref(builds);
    return rc;
}
