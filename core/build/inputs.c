/* Inputs of a target: Dockerfile, context files, options and base images, each hashed on its own
 * and all together. No tags, dates, commits or builders are in it. */
#include "build/inputs.h"

#include <string.h>

#include "dockerfile/context.h"
#include "dockerfile/dockerfile.h"
#include "util/fs.h"
#include "util/json.h"
#include "util/log.h"

#define IMAGE_PREFIX "docker-image://"
#define LAYOUT_PREFIX "oci-layout://"

static bool is_local(const struct strake_plan_target *target)
{
    return strstr(target->context, "://") == NULL && strncmp(target->context, "git@", 4) != 0;
}

/* A git URL that names a commit, or a layout that names a digest, is the same for ever. */
static bool is_pinned(const char *url)
{
    const char *fragment = strchr(url, '#');
    size_t hex = fragment ? strspn(fragment + 1, "0123456789abcdef") : 0;

    if (strncmp(url, LAYOUT_PREFIX, strlen(LAYOUT_PREFIX)) == 0)
        return strstr(url, "@sha256:") != NULL;
    return (hex == 40 || hex == 64) && (fragment[1 + hex] == '\0' || fragment[1 + hex] == ':');
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
static int hash_folder(struct strake_plan_target *target, const char *folder,
                       const char *dockerfile, const char *plan_file, struct strake_job *job,
                       char *out, struct strake_err *err)
{
    char *except = plan_file ? path_within(folder, plan_file) : NULL;
    const struct strake_context_walk walk = { .context = folder,
                                              .dockerfile = dockerfile,
                                              .except = except,
                                              .newest_us = &target->inputs.changed_us };
    int rc = strake_context_hash(job, &walk, out, err);

    strake_free(except);
    return rc;
}

/* Has the Dockerfile an ignore file of its own? */
static bool ignores_by_itself(const struct strake_plan_target *target)
{
    char *file = strake_asprintf("%s.dockerignore", target->dockerfile);
    const bool own = !file || strake_fs_is_file(file);

    strake_free(file);
    return own;
}

/* A target of the plan that comes before this one and is sent the same files, hashed already; or
 * NULL. */
static const struct strake_plan_target *same_files(const struct strake_plan *plan,
                                                   const struct strake_plan_target *target)
{
    for (const struct strake_plan_target *other = plan->targets; other < target; other++) {
        if (other->inputs.context[0] && strcmp(other->context, target->context) == 0 &&
            (strcmp(other->dockerfile, target->dockerfile) == 0 ||
             (!ignores_by_itself(other) && !ignores_by_itself(target))))
            return other;
    }
    return NULL;
}

static int hash_context(const struct strake_plan *plan, struct strake_plan_target *target,
                        const char *plan_file, struct strake_job *job, struct strake_err *err)
{
    struct strake_plan_inputs *inputs = &target->inputs;
    const struct strake_plan_target *other = same_files(plan, target);

    if (!other)
        return hash_folder(target, target->context, target->dockerfile, plan_file, job,
                           inputs->context, err);
    memcpy(inputs->context, other->inputs.context, sizeof(inputs->context));
    if (other->inputs.changed_us > inputs->changed_us)
        inputs->changed_us = other->inputs.changed_us;
    return 0;
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
static int hash_contexts(struct strake_plan_target *target, const char *plan_file,
                         struct strake_job *job, json_t *doc, struct strake_err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < target->contexts.count; i++) {
        const struct strake_pair *pair = target->contexts.items[i];
        char digest[STRAKE_DIGEST_TEXT];
        char *key;
        if (!strake_fs_is_dir(pair->value))
            continue;
        rc = hash_folder(target, pair->value, "", plan_file, job, digest, err);
        key = strake_asprintf("files of %s", pair->name);
        if (rc == 0 && (!key || strake_json_set_str(doc, key, digest) < 0))
            rc = strake_fail_nomem(err);
        strake_free(key);
    }
    return rc;
}

/* When and from which commit something was built decides nothing of what is in it (design §1). An
 * annotation's name may be led by its level: "index:NAME". */
static bool is_timeless(const char *name)
{
    const char *colon = strrchr(name, ':');
    const char *bare = colon ? colon + 1 : name;

    return strcmp(bare, "org.opencontainers.image.created") != 0 &&
           strcmp(bare, "org.opencontainers.image.revision") != 0;
}

static json_t *timeless(const struct strake_pairs *pairs)
{
    json_t *object = json_object();

    for (size_t i = 0; object && i < pairs->count; i++) {
        const struct strake_pair *pair = pairs->items[i];
        if (is_timeless(pair->name) && strake_json_set_str(object, pair->name, pair->value) < 0) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}

/* Where a folder or a layout lies decides nothing: what is in it does. */
static json_t *placeless(const struct strake_pairs *contexts)
{
    json_t *object = json_object();

    for (size_t i = 0; object && i < contexts->count; i++) {
        const struct strake_pair *pair = contexts->items[i];
        const bool layout = strncmp(pair->value, LAYOUT_PREFIX, strlen(LAYOUT_PREFIX)) == 0;
        const char *digest = layout ? strstr(pair->value, "@sha256:") : NULL;
        const char *value = digest                          ? digest
                            : strake_fs_is_dir(pair->value) ? "a folder"
                                                            : pair->value;
        if (strake_json_set_str(object, pair->name, value) < 0) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}

/* Where base images are looked for does not change what is found. */
static json_t *options_json(const struct strake_plan_target *target)
{
    json_t *options = strake_extras_json(&target->extras);

    if (options)
        json_object_del(options, "pull");
    return options;
}

static int hash_options(struct strake_plan_target *target, const char *plan_file,
                        struct strake_job *job, struct strake_err *err)
{
    json_t *doc = json_object();
    int rc;

    if (!doc || strake_json_set_str(doc, "stage", target->stage) < 0 ||
        (!is_local(target) && strake_json_set_str(doc, "context", target->context) < 0) ||
        strake_json_set(doc, "args", strake_json_pairs(strake_pairs_view(&target->args))) < 0 ||
        strake_json_set(doc, "labels", timeless(&target->labels)) < 0 ||
        strake_json_set(doc, "annotations", timeless(&target->annotations)) < 0 ||
        strake_json_set(doc, "options", options_json(target)) < 0 ||
        strake_json_set(doc, "contexts", placeless(&target->contexts)) < 0 ||
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

/* The first reason is kept. Takes `why` over. */
static int doubt(struct strake_plan_target *target, char *why, struct strake_err *err)
{
    if (!why)
        return strake_fail_nomem(err);
    if (target->inputs.doubt)
        strake_free(why);
    else
        target->inputs.doubt = why;
    return 0;
}

/* How bases are looked up. */
struct asking {
    const struct strake_plan *plan;
    struct strake_stores *stores;
    enum strake_bases bases;
    struct strake_job *job;
    struct strake_err *err;
};

static int resolve(const struct asking *asking, const char *base, char *digest)
{
    struct strake_descriptor found = { .size = sizeof(found) };
    struct strake_reference ref = { 0 };
    struct strake_place_in_store place = { 0 };
    int rc = strake_stores_open_to_read(asking->stores, base, &ref, &place, asking->err);

    if (rc == 0 && ref.digest[0])
        memcpy(digest, ref.digest, strlen(ref.digest) + 1);
    else if (rc == 0)
        rc = strake_registry_resolve(place.instance, asking->job, place.repository,
                                     strake_reference_object(&ref), &found, asking->err);
    if (rc == 0 && !digest[0])
        memcpy(digest, found.digest, STRAKE_DIGEST_TEXT - 1);
    digest[STRAKE_DIGEST_TEXT - 1] = '\0';
    strake_place_in_store_dispose(&place);
    strake_reference_dispose(&ref);
    return rc;
}

/* The digest of one base image; "" when it cannot be had and that is only a warning. */
static int look_up(const struct asking *asking, const char *base, char *digest)
{
    struct strake_err *err = asking->err;
    int rc;

    memset(digest, 0, STRAKE_DIGEST_TEXT);
    if (asking->bases == STRAKE_BASES_NONE)
        return 0;
    rc = resolve(asking, base, digest);
    if (rc < 0 && asking->bases == STRAKE_BASES_TRY && rc != STRAKE_ECANCELLED) {
        strake_log(STRAKE_LOG_WARN, "the base image %s cannot be looked up: %s", base,
                   strake_err_message(err));
        strake_err_dispose(err);
        return 0;
    }
    if (rc < 0)
        strake_err_prefix(err, "the base image %s: ", base);
    return rc;
}

/* A registry is asked once for a base that several targets of the plan have; also when it could
 * not say. */
static const char *asked_before(const struct asking *asking,
                                const struct strake_plan_target *target, const char *name)
{
    for (const struct strake_plan_target *other = asking->plan->targets; other < target; other++) {
        const char *digest = strake_pairs_get(&other->inputs.bases, name);
        if (digest && (*digest || asking->bases == STRAKE_BASES_TRY))
            return digest;
    }
    return NULL;
}

static int add_base(const struct asking *asking, struct strake_plan_target *target,
                    const char *name)
{
    char looked_up[STRAKE_DIGEST_TEXT];
    const char *digest = asked_before(asking, target, name);
    int rc = digest ? 0 : look_up(asking, name, looked_up);

    if (rc == 0 && strake_pairs_set(&target->inputs.bases, name, digest ? digest : looked_up) < 0)
        rc = strake_fail_nomem(asking->err);
    return rc;
}

/* Named contexts that are images may move as bases do; of what comes from elsewhere nothing is
 * known. */
static int collect_contexts(const struct asking *asking, struct strake_plan_target *target)
{
    const size_t prefix = strlen(IMAGE_PREFIX);
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < target->contexts.count; i++) {
        const struct strake_pair *pair = target->contexts.items[i];
        if (strncmp(pair->value, IMAGE_PREFIX, prefix) == 0)
            rc = add_base(asking, target, pair->value + prefix);
        else if (strncmp(pair->value, STRAKE_TARGET_PREFIX, strlen(STRAKE_TARGET_PREFIX)) != 0 &&
                 !strake_fs_is_dir(pair->value) && !is_pinned(pair->value))
            rc = doubt(
                target,
                strake_asprintf("what its context %s holds is not known beforehand", pair->name),
                asking->err);
    }
    return rc;
}

static int collect_bases(const struct asking *asking, struct strake_plan_target *target,
                         const struct strake_dockerfile *dockerfile)
{
    struct strake_strings names = { 0 };
    struct strake_floating floating = { 0 };
    const char *slash = strrchr(target->dockerfile, '/');
    int stage = strake_dockerfile_stage(dockerfile, target->stage);
    int rc = 0;

    if (stage < 0) {
        rc = strake_fail(asking->err, STRAKE_ECONFIG, "target %s: %s has no stage named %s",
                         target->name, target->dockerfile, target->stage);
        strake_err_place(asking->err, target->file, target->line);
        return rc;
    }
    rc = strake_dockerfile_bases(dockerfile, stage, &target->args, &names, &floating, asking->err);
    for (size_t i = 0; rc == 0 && i < names.count; i++) {
        if (strake_pairs_get(&target->contexts, names.items[i]) != NULL)
            continue; /* the name stands for that context, not for an image */
        rc = add_base(asking, target, names.items[i]);
    }
    if (rc == 0 && floating.line)
        rc = doubt(target,
                   strake_asprintf("%s:%d: %s", slash ? slash + 1 : target->dockerfile,
                                   floating.line, floating.what),
                   asking->err);
    strake_strings_dispose(&names);
    return rc;
}

static int read_dockerfile(const struct asking *asking, struct strake_plan_target *target)
{
    struct strake_buf text = STRAKE_BUF(STRAKE_DOCKERFILE_MAX);
    struct strake_dockerfile dockerfile = { 0 };
    struct strake_err *err = asking->err;
    int rc = strake_fs_read(target->dockerfile, STRAKE_DOCKERFILE_MAX, &text, err);

    if (rc == 0)
        rc = strake_digest_of(strake_buf_text(&text), text.len, target->inputs.dockerfile, err);
    if (rc == 0)
        rc = strake_dockerfile_parse(strake_buf_text(&text), text.len, target->dockerfile,
                                     &dockerfile, err);
    if (rc == 0)
        rc = collect_bases(asking, target, &dockerfile);
    strake_dockerfile_dispose(&dockerfile);
    strake_buf_dispose(&text);
    return rc;
}

static int hash_all(struct strake_plan_inputs *inputs, struct strake_err *err)
{
    return hash_json(strake_inputs_json(inputs), inputs->digest, err);
}

/* ---- targets built on targets ---- */

static bool has_unknown_base(const struct strake_plan_inputs *inputs)
{
    for (size_t i = 0; i < inputs->bases.count; i++) {
        if (!inputs->bases.items[i]->value[0])
            return true;
    }
    return false;
}

/* A target that this one is built on counts by its own inputs; "" when those do not say what it
 * will be. */
static int link_targets(const struct strake_plan *plan, struct strake_plan_target *target,
                        struct strake_err *err)
{
    for (size_t i = 0; i < target->contexts.count; i++) {
        const char *value = target->contexts.items[i]->value;
        const struct strake_plan_target *other;
        bool known;
        if (strncmp(value, STRAKE_TARGET_PREFIX, strlen(STRAKE_TARGET_PREFIX)) != 0)
            continue;
        other = strake_plan_find(plan, value + strlen(STRAKE_TARGET_PREFIX));
        known = other && !other->inputs.doubt && !has_unknown_base(&other->inputs);
        if (strake_pairs_set(&target->inputs.bases, value, known ? other->inputs.digest : "") < 0)
            return strake_fail_nomem(err);
    }
    return 0;
}

int strake_inputs_seal(const struct strake_plan *plan, struct strake_plan_target *target,
                       struct strake_err *err)
{
    int rc = link_targets(plan, target, err);

    return rc < 0 ? rc : hash_all(&target->inputs, err);
}

int strake_inputs_compute(const struct strake_plan *plan, struct strake_plan_target *target,
                          struct strake_stores *stores, enum strake_bases bases, bool context,
                          const char *plan_file, struct strake_job *job, struct strake_err *err)
{
    const struct asking asking = {
        .plan = plan, .stores = stores, .bases = bases, .job = job, .err = err
    };
    int rc;

    strake_plan_inputs_dispose(&target->inputs);
    rc = hash_options(target, plan_file, job, err);
    if (rc == 0 && target->no_cache)
        rc = doubt(target, strake_strdup("it is built without a cache"), err);
    if (rc == 0 && target->extras.no_cache_stages.count)
        rc = doubt(target, strake_strdup("stages of it are built without a cache"), err);
    target->inputs.remote = !is_local(target);
    if (rc == 0 && !is_local(target) && !is_pinned(target->context))
        rc = doubt(target, strake_strdup("its context is a URL that names no commit"), err);
    if (rc == 0)
        rc = collect_contexts(&asking, target);
    if (rc == 0 && is_local(target))
        rc = read_dockerfile(&asking, target);
    if (rc == 0 && is_local(target) && context)
        rc = hash_context(plan, target, plan_file, job, err);
    return rc < 0 ? rc : strake_inputs_seal(plan, target, err);
}

int strake_inputs_look_up(const struct strake_plan *plan, struct strake_plan_target *target,
                          const struct strake_pairs *known, struct strake_stores *stores,
                          enum strake_bases bases, struct strake_job *job, struct strake_err *err)
{
    const struct asking asking = {
        .plan = plan, .stores = stores, .bases = bases, .job = job, .err = err
    };
    int rc = 0;

    for (size_t i = 0; rc == 0 && target->inputs.remote && i < known->count; i++) {
        const char *name = known->items[i]->name;
        if (strncmp(name, STRAKE_TARGET_PREFIX, strlen(STRAKE_TARGET_PREFIX)) != 0 &&
            !strake_pairs_get(&target->inputs.bases, name))
            rc = add_base(&asking, target, name);
    }
    return rc < 0 ? rc : strake_inputs_seal(plan, target, err);
}
