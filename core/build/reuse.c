/* What was published before, against what would be built now. */
#include "build/reuse.h"

#include <string.h>

#include "build/inputs.h"
#include "util/json.h"
#include "util/log.h"

/* ---- finding ---- */

/* host/repository of the first image that a target is published as; the caller frees. */
static int repository_of(const struct strake_plan_target *target, char **out,
                         struct strake_err *err)
{
    struct strake_reference ref = { 0 };
    int rc = strake_reference_parse(target->images.items[0], &ref, err);

    if (rc == 0 && !(*out = strake_strdup(ref.name)))
        rc = strake_fail_nomem(err);
    strake_reference_dispose(&ref);
    return rc;
}

/* Takes `why` over. */
static int because(struct strake_plan_past *past, char *why, struct strake_err *err)
{
    past->why = why;
    return why ? 0 : strake_fail_nomem(err);
}

static int take_pairs(const json_t *object, struct strake_pairs *out)
{
    const char *name;
    json_t *value;
    int rc = 0;

    json_object_foreach((json_t *)object, name, value) {
        if (rc == 0 && json_is_string(value))
            rc = strake_pairs_set(out, name, json_string_value(value));
    }
    return rc;
}

static void take_digest(const json_t *object, const char *key, char *out)
{
    const char *text = strake_json_str(object, key);

    if (text && strake_digest_valid(text))
        memcpy(out, text, strlen(text) + 1);
}

/* "the Dockerfile, files of the context changed since RUN" */
static int tell_differences(const struct strake_plan_inputs *now, const json_t *parts,
                            struct strake_plan_past *past, struct strake_err *err)
{
    struct strake_plan_inputs then = { 0 };
    struct strake_buf list = STRAKE_BUF(4096);
    int rc = take_pairs(json_object_get(parts, "bases"), &then.bases);

    take_digest(parts, "dockerfile", then.dockerfile);
    take_digest(parts, "context", then.context);
    take_digest(parts, "options", then.options);
    if (rc == 0) {
        strake_inputs_differences(&then, now, &list); /* what has no room is not named */
        rc = because(past,
                     strake_asprintf("%s changed since %s",
                                     list.len ? strake_buf_text(&list) : "its base images",
                                     past->run),
                     err);
    } else {
        rc = strake_fail_nomem(err);
    }
    strake_buf_dispose(&list);
    strake_plan_inputs_dispose(&then);
    return rc;
}

static int compare(const struct strake_plan_inputs *now, const json_t *image,
                   struct strake_plan_past *past, struct strake_err *err)
{
    const char *inputs = strake_json_str(image, "inputs");
    const char *media_type = strake_json_str(image, "media_type");

    past->run = strake_strdup(strake_json_str(image, "run"));
    past->media_type = strake_strdup(media_type ? media_type : "");
    if (!past->run || !past->media_type ||
        take_pairs(json_object_get(image, "platforms"), &past->platforms) < 0)
        return strake_fail_nomem(err);
    take_digest(image, "digest", past->digest);
    if (!inputs || !past->digest[0])
        return because(past, strake_asprintf("what made its image of %s is not known", past->run),
                       err);
    if (strcmp(inputs, now->digest) != 0)
        return tell_differences(now, json_object_get(image, "parts"), past, err);
    past->unchanged = true;
    return 0;
}

/* What finding works with. */
struct finding {
    struct strake_plan *plan;
    struct strake_record *record;
    struct strake_stores *stores;
    struct strake_job *job;
    struct strake_err *err;
};

/* The bases of a Dockerfile that is elsewhere, as the image's build told of them. */
static int add_bases(struct finding *finding, struct strake_plan_target *target,
                     const json_t *image)
{
    const json_t *parts = json_object_get(image, "parts");
    struct strake_pairs known = { 0 };
    int rc = 0;

    if (target->inputs.remote && take_pairs(json_object_get(parts, "bases"), &known) < 0)
        rc = strake_fail_nomem(finding->err);
    if (rc == 0)
        rc = strake_inputs_look_up(finding->plan, target, &known, finding->stores, STRAKE_BASES_TRY,
                                   finding->job, finding->err);
    strake_pairs_dispose(&known);
    return rc;
}

static int look_back(struct finding *finding, struct strake_plan_target *target)
{
    struct strake_plan_past *past = target->past;
    struct strake_record *record = finding->record;
    struct strake_err *err = finding->err;
    json_t *image = NULL;
    int rc;

    if (strake_inputs_doubt(&target->inputs, &past->why) < 0)
        return strake_fail_nomem(err);
    if (past->why)
        return 0;
    if (target->images.count == 0)
        return because(past, strake_strdup("it has no image that could be published"), err);
    rc = repository_of(target, &past->image, err);
    if (rc < 0)
        return rc;
    rc = record ? strake_record_last_published(record, target->name, past->image,
                                               target->inputs.digest, &image, err)
                : STRAKE_ENOTFOUND;
    if (rc == STRAKE_ENOTFOUND) {
        strake_err_dispose(err);
        return because(past, strake_strdup("it was never published from here"), err);
    }
    if (rc == 0)
        rc = add_bases(finding, target, image);
    if (rc == 0 && strake_inputs_doubt(&target->inputs, &past->why) < 0)
        rc = strake_fail_nomem(err);
    if (rc == 0 && !past->why)
        rc = compare(&target->inputs, image, past, err);
    json_decref(image);
    return rc;
}

int strake_reuse_find(struct strake_plan *plan, struct strake_record *record,
                      struct strake_stores *stores, struct strake_job *job, struct strake_err *err)
{
    struct finding finding = {
        .plan = plan, .record = record, .stores = stores, .job = job, .err = err
    };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < plan->count; i++) {
        struct strake_plan_target *target = &plan->targets[i];
        strake_plan_past_free(target->past);
        target->past = strake_calloc(1, sizeof(*target->past));
        rc = target->past ? strake_inputs_seal(plan, target, err) : strake_fail_nomem(err);
        if (rc == 0)
            rc = look_back(&finding, target);
    }
    return rc;
}

/* ---- taking it again ---- */

static int is_there(const struct strake_place_in_store *place, struct strake_job *job,
                    const char *digest, struct strake_err *err)
{
    struct strake_descriptor found = { .size = sizeof(found) };
    int rc = strake_registry_resolve(place->instance, job, place->repository, digest, &found, err);

    if (rc == 0 && strcmp(found.digest, digest) != 0)
        rc = strake_fail(err, STRAKE_EREGISTRY, "it is answered with %s", found.digest);
    return rc;
}

/* An index may outlive the images that it lists. */
static int ask_registry(const struct strake_plan_past *past, struct strake_stores *stores,
                        struct strake_job *job, struct strake_err *err)
{
    struct strake_reference ref = { 0 };
    struct strake_place_in_store place = { 0 };
    int rc = strake_stores_open(stores, past->image, &ref, &place, err);

    if (rc == 0)
        rc = is_there(&place, job, past->digest, err);
    for (size_t i = 0; rc == 0 && i < past->platforms.count; i++) {
        const char *digest = past->platforms.items[i]->value;
        if (strcmp(digest, past->digest) != 0)
            rc = is_there(&place, job, digest, err);
    }
    strake_place_in_store_dispose(&place);
    strake_reference_dispose(&ref);
    return rc;
}

static void tell_lost(const struct strake_plan_target *target, struct strake_job *job, int rc,
                      const struct strake_err *why)
{
    const struct strake_plan_past *past = target->past;
    char *text =
        rc == STRAKE_ENOTFOUND
            ? strake_asprintf("%s is unchanged, but %s no longer has %s: it is built", target->name,
                              past->image, past->digest)
            : strake_asprintf("%s is unchanged, but %s cannot be asked for %s (%s): it is "
                              "built",
                              target->name, past->image, past->digest, strake_err_message(why));
    json_t *data = json_object();

    if (data && text && strake_json_set_str(data, "level", "info") == 0 &&
        strake_json_set_str(data, "text", text) == 0)
        strake_job_event(job, STRAKE_EVENT_LOG, data);
    else
        json_decref(data);
    strake_free(text);
}

static int fill_result(const struct strake_plan_past *past, struct strake_target_result *result)
{
    char *image = strake_strdup(past->image), *media_type = strake_strdup(past->media_type);
    char *builder = strake_strdup("");

    if (!image || !media_type || !builder ||
        strake_pairs_copy(&result->platforms, &past->platforms) < 0) {
        strake_free(image);
        strake_free(media_type);
        strake_free(builder);
        return strake_fail_nomem(&result->err);
    }
    strake_free(result->image);
    strake_free(result->media_type);
    strake_free(result->builder);
    result->image = image;
    result->media_type = media_type;
    result->builder = builder;
    memcpy(result->digest, past->digest, sizeof(result->digest));
    result->unchanged = true;
    return 0;
}

int strake_reuse_image(const struct strake_plan_target *target, struct strake_stores *stores,
                       struct strake_job *job, struct strake_target_result *result)
{
    struct strake_err why = { 0 };
    int rc;

    if (!target->past || !target->past->unchanged)
        return 0;
    rc = ask_registry(target->past, stores, job, &why);
    if (rc == 0) {
        rc = fill_result(target->past, result);
        return rc < 0 ? rc : 1;
    }
    if (rc == STRAKE_ECANCELLED || rc == STRAKE_ENOMEM) {
        strake_err_move(&result->err, &why);
    } else {
        tell_lost(target, job, rc, &why);
        rc = 0;
    }
    strake_err_dispose(&why);
    return rc;
}

/* ---- remembering ---- */

static const char *tag_of(const struct strake_reference *ref)
{
    return ref->tag[0] ? ref->tag : "latest";
}

/* What the builder took for a base; NULL when its steps do not say so. */
static const char *used_digest(const struct strake_reference *base, const struct strake_pairs *used)
{
    const char *found = NULL;

    for (size_t i = 0; !found && i < used->count; i++) {
        struct strake_reference ref = { 0 };
        struct strake_err ignored = { 0 };
        if (strake_reference_parse(used->items[i]->name, &ref, &ignored) == 0 &&
            strcmp(ref.host, base->host) == 0 && strcmp(ref.repository, base->repository) == 0 &&
            strcmp(tag_of(&ref), tag_of(base)) == 0 && strake_digest_valid(used->items[i]->value))
            found = used->items[i]->value;
        strake_reference_dispose(&ref);
        strake_err_dispose(&ignored);
    }
    return found;
}

static int fill_base(struct strake_pair *base, struct strake_pairs *bases,
                     const struct strake_pairs *used)
{
    struct strake_reference ref = { 0 };
    struct strake_err ignored = { 0 };
    const char *digest = NULL;
    int rc = 0;

    if (strncmp(base->name, "target:", 7) == 0)
        return 0;
    if (strake_reference_parse(base->name, &ref, &ignored) == 0)
        digest = ref.digest[0] ? ref.digest : used_digest(&ref, used);
    if (digest)
        rc = strake_pairs_set(bases, base->name, digest);
    strake_reference_dispose(&ref);
    strake_err_dispose(&ignored);
    return rc;
}

/* Of a Dockerfile that is elsewhere the steps tell all that is known. */
static int take_bases(struct strake_plan_inputs *inputs, const struct strake_pairs *used,
                      bool fetches)
{
    if (inputs->doubt || !inputs->remote)
        return 0;
    if (fetches || used->count == 0) {
        inputs->doubt = strake_strdup(fetches ? "its Dockerfile fetches what no checksum names"
                                              : "its builder does not tell what it is built from");
        return inputs->doubt ? 0 : STRAKE_ENOMEM;
    }
    return strake_pairs_copy(&inputs->bases, used);
}

static int fill_bases(struct strake_plan *plan, struct strake_plan_target *target,
                      struct strake_record *record, const char *run, struct strake_err *err)
{
    struct strake_pairs *bases = &target->inputs.bases, used = { 0 };
    bool fetches = false;
    int rc = strake_record_bases(record, run, target->name, &used, &fetches, err);

    if (rc == 0 && take_bases(&target->inputs, &used, fetches) < 0)
        rc = strake_fail_nomem(err);
    for (size_t i = 0; rc == 0 && i < bases->count; i++) {
        if (fill_base(bases->items[i], bases, &used) < 0)
            rc = strake_fail_nomem(err);
    }
    strake_pairs_dispose(&used);
    return rc < 0 ? rc : strake_inputs_seal(plan, target, err);
}

static int keep(const struct strake_plan_target *target, struct strake_record *record,
                const char *run, const json_t *made, struct strake_err *err)
{
    json_t *image = json_object();
    int rc;

    if (!image || strake_json_set_str(image, "target", target->name) < 0 ||
        strake_json_set_str(image, "repository", strake_json_str(made, "image")) < 0 ||
        strake_json_set_str(image, "digest", strake_json_str(made, "digest")) < 0 ||
        strake_json_set_str(image, "media_type", strake_json_str(made, "media_type")) < 0 ||
        strake_json_set(image, "platforms", json_incref(json_object_get(made, "platforms"))) < 0 ||
        strake_json_set_str(image, "inputs", target->inputs.digest) < 0 ||
        strake_json_set(image, "parts", strake_inputs_json(&target->inputs)) < 0)
        rc = strake_fail_nomem(err);
    else
        rc = strake_record_image(record, run, image, err);
    json_decref(image);
    return rc;
}

int strake_reuse_remember(struct strake_plan *plan, struct strake_record *record, const char *run,
                          const json_t *result, struct strake_err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < plan->count; i++) {
        struct strake_plan_target *target = &plan->targets[i];
        const json_t *made = json_array_get(result, i);
        const char *status = strake_json_str(made, "status");
        char *doubt = NULL;
        if (!target->inputs.digest[0] || !status || strcmp(status, "done") != 0)
            continue;
        rc = fill_bases(plan, target, record, run, err);
        if (rc == 0 && strake_inputs_doubt(&target->inputs, &doubt) < 0)
            rc = strake_fail_nomem(err);
        if (rc == 0 && !doubt && strake_json_str(made, "digest"))
            rc = keep(target, record, run, made, err);
        strake_free(doubt);
    }
    return rc;
}
