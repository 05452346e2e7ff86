/* Inputs of a target: Dockerfile, context files, options and base images, each hashed on its own
 * and all together. No tags, dates, commits or builders are in it. */
#include "build/inputs.h"

#include <string.h>

#include "dockerfile/context.h"
#include "dockerfile/dockerfile.h"
#include "util/fs.h"
#include "util/json.h"
#include "util/log.h"

static bool is_local(const struct strake_plan_target *target)
{
    return strstr(target->context, "://") == NULL;
}

/* Where a file (there or not yet) is within a folder; NULL when it is elsewhere. The caller
 * frees. */
static char *path_within(const char *folder, const char *file)
{
    const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;
    char *dir = slash ? strake_strndup(file, (size_t)(slash - file) + 1) : strake_strdup(".");
    char *real_dir = dir ? strake_fs_absolute(dir) : NULL, *top = strake_fs_absolute(folder);
    size_t len = top ? strlen(top) : 0;
    char *within = NULL;

    if (real_dir && len && strncmp(real_dir, top, len) == 0 &&
        (real_dir[len] == '/' || real_dir[len] == '\0'))
        within = real_dir[len] ? strake_asprintf("%s/%s", real_dir + len + 1, name)
                               : strake_strdup(name);
    strake_free(dir);
    strake_free(real_dir);
    strake_free(top);
    return within;
}

/* Files of one folder that is sent to the builder, the saved plan left out. */
static int hash_folder(const char *folder, const char *dockerfile, const char *plan_file,
                       struct strake_job *job, char *out, struct strake_err *err)
{
    char *except = plan_file ? path_within(folder, plan_file) : NULL;
    const struct strake_context_walk walk = { .context = folder,
                                              .dockerfile = dockerfile,
                                              .except = except };
    int rc = strake_context_hash(job, &walk, out, err);

    strake_free(except);
    return rc;
}

static int hash_json(json_t *doc, char *out, struct strake_err *err)
{
    struct strake_buf text = { 0 };
    int rc = doc ? strake_json_dump_sorted(doc, &text) : STRAKE_ENOMEM;

    if (rc < 0)
        rc = strake_fail_nomem(err);
    else
        rc = strake_digest_of(strake_buf_text(&text), text.len, out, err);
    strake_buf_dispose(&text);
    json_decref(doc);
    return rc;
}

/* Named contexts that are folders have files of their own. */
static int hash_contexts(const struct strake_plan_target *target, const char *plan_file,
                         struct strake_job *job, json_t *doc, struct strake_err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < target->contexts.count; i++) {
        const struct strake_pair *pair = target->contexts.items[i];
        char digest[STRAKE_DIGEST_TEXT];
        char *key;
        if (!strake_fs_is_dir(pair->value))
            continue;
        rc = hash_folder(pair->value, "", plan_file, job, digest, err);
        key = strake_asprintf("files of %s", pair->name);
        if (rc == 0 && (!key || strake_json_set_str(doc, key, digest) < 0))
            rc = strake_fail_nomem(err);
        strake_free(key);
    }
    return rc;
}

static int hash_options(struct strake_plan_target *target, const char *plan_file,
                        struct strake_job *job, struct strake_err *err)
{
    json_t *doc = json_object();
    int rc;

    if (!doc || strake_json_set_str(doc, "stage", target->stage) < 0 ||
        strake_json_set(doc, "args", strake_json_pairs(strake_pairs_view(&target->args))) < 0 ||
        strake_json_set(doc, "labels", strake_json_pairs(strake_pairs_view(&target->labels))) < 0 ||
        strake_json_set(doc, "annotations",
                        strake_json_pairs(strake_pairs_view(&target->annotations))) < 0 ||
        strake_json_set(doc, "options", strake_extras_json(&target->extras)) < 0 ||
        strake_json_set(doc, "contexts", strake_json_pairs(strake_pairs_view(&target->contexts))) <
            0 ||
        strake_json_set(doc, "platforms",
                        strake_json_strings(strake_strings_view(&target->platforms))) < 0) {
        json_decref(doc);
        return strake_fail_nomem(err);
    }
    rc = hash_contexts(target, plan_file, job, doc, err);
    if (rc < 0) {
        json_decref(doc);
        return rc;
    }
    return hash_json(doc, target->inputs.options, err);
}

/* The digest of one base image; "" when it cannot be had and that is only a warning. */
static int look_up(struct strake_stores *stores, const char *base, enum strake_bases bases,
                   struct strake_job *job, char *digest, struct strake_err *err)
{
    struct strake_descriptor found = { .size = sizeof(found) };
    struct strake_reference ref = { 0 };
    struct strake_place_in_store place = { 0 };
    int rc;

    digest[0] = '\0';
    if (bases == STRAKE_BASES_NONE)
        return 0;
    rc = strake_stores_open(stores, base, &ref, &place, err);
    if (rc == 0 && ref.digest[0])
        memcpy(digest, ref.digest, strlen(ref.digest) + 1);
    else if (rc == 0)
        rc = strake_registry_resolve(place.instance, job, place.repository,
                                     strake_reference_object(&ref), &found, err);
    if (rc == 0 && !digest[0])
        memcpy(digest, found.digest, STRAKE_DIGEST_TEXT - 1);
    digest[STRAKE_DIGEST_TEXT - 1] = '\0';
    strake_place_in_store_dispose(&place);
    strake_reference_dispose(&ref);
    if (rc < 0 && bases == STRAKE_BASES_TRY && rc != STRAKE_ECANCELLED) {
        strake_log(STRAKE_LOG_WARN, "the base image %s cannot be looked up: %s", base,
                   strake_err_message(err));
        strake_err_dispose(err);
        return 0;
    }
    if (rc < 0)
        strake_err_prefix(err, "the base image %s: ", base);
    return rc;
}

static int collect_bases(struct strake_plan_target *target,
                         const struct strake_dockerfile *dockerfile, struct strake_stores *stores,
                         enum strake_bases bases, struct strake_job *job, struct strake_err *err)
{
    struct strake_strings names = { 0 };
    int stage = strake_dockerfile_stage(dockerfile, target->stage);
    int rc = 0;

    if (stage < 0) {
        rc = strake_fail(err, STRAKE_ECONFIG, "target %s: %s has no stage named %s", target->name,
                         target->dockerfile, target->stage);
        strake_err_place(err, target->file, target->line);
        return rc;
    }
    rc = strake_dockerfile_bases(dockerfile, stage, &target->args, &names, err);
    for (size_t i = 0; rc == 0 && i < names.count; i++) {
        char digest[STRAKE_DIGEST_TEXT];
        if (strake_pairs_get(&target->contexts, names.items[i]) != NULL)
            continue; /* the name stands for that context, not for an image */
        rc = look_up(stores, names.items[i], bases, job, digest, err);
        if (rc == 0 && strake_pairs_set(&target->inputs.bases, names.items[i], digest) < 0)
            rc = strake_fail_nomem(err);
    }
    strake_strings_dispose(&names);
    return rc;
}

static int read_dockerfile(struct strake_plan_target *target, struct strake_stores *stores,
                           enum strake_bases bases, struct strake_job *job, struct strake_err *err)
{
    struct strake_buf text = STRAKE_BUF(STRAKE_DOCKERFILE_MAX);
    struct strake_dockerfile dockerfile = { 0 };
    int rc = strake_fs_read(target->dockerfile, STRAKE_DOCKERFILE_MAX, &text, err);

    if (rc == 0)
        rc = strake_digest_of(strake_buf_text(&text), text.len, target->inputs.dockerfile, err);
    if (rc == 0)
        rc = strake_dockerfile_parse(strake_buf_text(&text), text.len, target->dockerfile,
                                     &dockerfile, err);
    if (rc == 0)
        rc = collect_bases(target, &dockerfile, stores, bases, job, err);
    strake_dockerfile_dispose(&dockerfile);
    strake_buf_dispose(&text);
    return rc;
}

static int hash_all(struct strake_plan_inputs *inputs, struct strake_err *err)
{
    json_t *doc = json_object();

    if (!doc || strake_json_set_str(doc, "dockerfile", inputs->dockerfile) < 0 ||
        strake_json_set_str(doc, "context", inputs->context) < 0 ||
        strake_json_set_str(doc, "options", inputs->options) < 0 ||
        strake_json_set(doc, "bases", strake_json_pairs(strake_pairs_view(&inputs->bases))) < 0) {
        json_decref(doc);
        return strake_fail_nomem(err);
    }
    return hash_json(doc, inputs->digest, err);
}

int strake_inputs_compute(struct strake_plan_target *target, struct strake_stores *stores,
                          enum strake_bases bases, bool context, const char *plan_file,
                          struct strake_job *job, struct strake_err *err)
{
    int rc;

    strake_pairs_dispose(&target->inputs.bases);
    target->inputs = (struct strake_plan_inputs){ 0 };
    rc = hash_options(target, plan_file, job, err);
    if (rc == 0 && is_local(target))
        rc = read_dockerfile(target, stores, bases, job, err);
    if (rc == 0 && is_local(target) && context)
        rc = hash_folder(target->context, target->dockerfile, plan_file, job,
                         target->inputs.context, err);
    return rc < 0 ? rc : hash_all(&target->inputs, err);
}

/* ---- comparing ---- */

static void add_change(struct strake_buf *list, const char *text)
{
    strake_buf_printf(list, "%s%s", list->len ? ", " : "", text);
}

static void compare_bases(const struct strake_pairs *saved, const struct strake_pairs *now,
                          struct strake_buf *list)
{
    for (size_t i = 0; i < saved->count; i++) {
        const char *name = saved->items[i]->name;
        const char *digest = strake_pairs_get(now, name);
        if (!digest || strcmp(digest, saved->items[i]->value) != 0)
            strake_buf_printf(list, "%sthe base image %s", list->len ? ", " : "", name);
    }
}

int strake_inputs_compare(const struct strake_plan_target *target,
                          const struct strake_plan_inputs *saved,
                          const struct strake_plan_inputs *now, struct strake_err *err)
{
    struct strake_buf list = STRAKE_BUF(4096);
    int rc = 0;

    if (strcmp(saved->digest, now->digest) == 0)
        return 0;
    if (strcmp(saved->dockerfile, now->dockerfile) != 0)
        add_change(&list, "the Dockerfile");
    if (strcmp(saved->context, now->context) != 0)
        add_change(&list, "files of the context");
    if (strcmp(saved->options, now->options) != 0)
        add_change(&list, "its options");
    compare_bases(&saved->bases, &now->bases, &list);
    rc = strake_fail(err, STRAKE_ESTALE, "the plan no longer fits: of target %s changed %s",
                     target->name, list.len ? strake_buf_text(&list) : "the base images");
    strake_err_hint(err, "make a new plan with `strake plan --save`");
    strake_buf_dispose(&list);
    return rc;
}
