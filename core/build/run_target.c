/* One target: what it is built on is found, its platforms are built by their builders, and what they
 * made becomes one image, staged by digest where the target's image lives. */
#include <string.h>

#include "build/reuse.h"
#include "build/run_impl.h"
#include "build/secrets.h"
#include "image/reference.h"
#include "util/fs.h"
#include "util/json.h"

static void building_dispose(struct strake_building *b)
{
    for (size_t i = 0; i < b->count; i++) {
        strake_pairs_dispose(&b->built[i].platforms);
        strake_free(b->built[i].media_type);
        strake_buf_dispose(&b->built[i].manifest);
        strake_free(b->built[i].builder);
    }
    strake_free(b->built);
    strake_refusals_dispose(&b->refusals);
    strake_reference_dispose(&b->image);
    strake_pairs_dispose(&b->contexts);
    strake_buf_dispose(&b->auth);
    strake_err_dispose(&b->err);
    strake_job_free(b->job);
    pthread_mutex_destroy(&b->lock);
}

/* What a builder takes for a staged image: a registry's by reference, a layout's by its folder. NULL: no
 * memory, or no such folder. */
static char *staged_context(const struct strake_target_result *other)
{
    struct strake_reference ref = { 0 };
    struct strake_err err = { 0 };
    char *text = NULL, *folder = NULL;

    if (strake_reference_parse(other->image, &ref, &err) == 0 && ref.store == STRAKE_STORE_LAYOUT) {
        folder = strake_fs_absolute(ref.repository);
        if (folder)
            text = strake_asprintf("oci-layout://%s@%s", folder, other->digest);
    } else {
        text = strake_asprintf("docker-image://%s@%s", other->image, other->digest);
    }
    strake_free(folder);
    strake_reference_dispose(&ref);
    strake_err_dispose(&err);
    return text;
}

/* "target:base" becomes the image that base was staged as. */
static int resolve_contexts(struct strake_building *b, struct strake_err *err)
{
    const struct strake_pairs *given = &b->target->contexts;
    const struct strake_run_result *others = b->run->results;

    for (size_t i = 0; i < given->count; i++) {
        const char *name = given->items[i]->name, *value = given->items[i]->value;
        char *text = NULL;
        if (strncmp(value, "target:", 7) != 0) {
            text = strake_strdup(value);
        } else {
            for (size_t k = 0; k < others->count; k++) {
                const struct strake_target_result *other = &others->targets[k];
                if (strcmp(other->name, value + 7) == 0 && other->digest[0])
                    text = staged_context(other);
            }
            if (!text) {
                strake_fail(err, STRAKE_ECONFIG,
                            "target %s is built on target %s, which has no image in a registry",
                            b->target->name, value + 7);
                strake_err_hint(err, "give target %s an `image`, so that it can be staged",
                                value + 7);
                return STRAKE_ECONFIG;
            }
        }
        if (!text || strake_pairs_set(&b->contexts, name, text) < 0) {
            strake_free(text);
            return strake_fail_nomem(err);
        }
        strake_free(text);
    }
    return 0;
}

/* Is some other target built on this one's image? Then it has to be staged whatever the output
 * is. */
static bool is_base(const struct strake_building *b)
{
    const struct strake_plan *plan = b->run->plan;

    for (size_t i = 0; i < plan->count; i++) {
        const struct strake_pairs *contexts = &plan->targets[i].contexts;
        for (size_t k = 0; k < contexts->count; k++) {
            const char *value = contexts->items[k]->value;
            if (strncmp(value, "target:", 7) == 0 && strcmp(value + 7, b->target->name) == 0)
                return true;
        }
    }
    return false;
}

/* "amd, arm": each builder once, in the order of the platforms. */
static int name_builders(const struct strake_building *b, struct strake_target_result *result)
{
    struct strake_buf names = STRAKE_BUF(4096);
    char *text;

    for (size_t i = 0; i < b->count; i++) {
        bool told = false;
        for (size_t k = 0; k < i; k++)
            told = told || strcmp(b->built[k].builder, b->built[i].builder) == 0;
        if (!told)
            strake_buf_printf(&names, "%s%s", names.len ? ", " : "", b->built[i].builder);
    }
    text = strake_strdup(strake_buf_text(&names));
    strake_buf_dispose(&names);
    if (!text)
        return STRAKE_ENOMEM;
    strake_free(result->builder);
    result->builder = text;
    return 0;
}

static int keep_result(struct strake_building *b, struct strake_target_result *result)
{
    json_t *data;
    int rc;

    strake_free(result->image);
    result->image = strake_strdup(b->image.name);
    if (!result->image)
        return strake_fail_nomem(&result->err);
    rc = strake_build_merge(b, result, &result->err);
    if (rc < 0) {
        result->digest[0] = '\0';
        return rc;
    }
    data = json_object();
    if (data && strake_json_set_str(data, "ref", b->image.name) == 0 &&
        strake_json_set_str(data, "digest", result->digest) == 0 &&
        strake_json_set(data, "platforms",
                        strake_json_pairs(strake_pairs_view(&result->platforms))) == 0)
        strake_job_event(b->job, STRAKE_EVENT_IMAGE_STAGED, data);
    else
        json_decref(data);
    return 0;
}

/* With --keep-going nothing was looked at before the first target ran. */
static int check_bases(const struct strake_building *b, struct strake_job *job,
                       struct strake_err *err)
{
    struct strake_known_bases known = { 0 };
    int rc = b->run->options->keep_going && strake_pool_must_ask(b->target)
                 ? strake_check_bases(b->run, b->target, &known, job, err)
                 : 0;

    strake_known_bases_dispose(&known);
    return rc;
}

static int prepare(struct strake_building *b, struct strake_job *job, struct strake_err *err)
{
    int rc;

    b->job = strake_job_new(job, NULL, b->target->name);
    if (!b->job)
        return strake_fail_nomem(err);
    /* With --keep-going, and where an unchanged image has to be built after all, nobody has looked at
     * them yet: and a client that reads a file itself tells us nothing of what has to be redacted. */
    rc = strake_secrets_check(b->target, err);
    if (rc == 0)
        rc = check_bases(b, job, err);
    if (rc == 0 && b->target->images.count)
        rc = strake_reference_parse(b->target->images.items[0], &b->image, err);
    if (rc == 0)
        rc = resolve_contexts(b, err);
    /* Base images may come from a registry that wants credentials, whatever leaves the builder. */
    if (rc == 0)
        rc = strake_stores_auth_json(b->run->stores, &b->auth, err);
    b->stage = b->run->options->output == STRAKE_OUTPUT_STAGE || is_base(b);
    return rc;
}

int strake_run_target(const struct strake_run *run, const struct strake_plan_target *target,
                      struct strake_job *job, struct strake_target_result *result)
{
    struct strake_building b = { .run = run, .target = target, .auth = { .secret = true } };
    int rc = strake_reuse_image(target, run->stores, job, result);

    if (rc != 0)
        return rc < 0 ? rc : 0;
    pthread_mutex_init(&b.lock, NULL);
    rc = prepare(&b, job, &result->err);
    if (rc == 0) {
        rc = strake_build_platforms(&b, &target->platforms);
        if (rc < 0)
            strake_err_move(&result->err, &b.err);
    }
    if (rc == 0 && b.stage)
        rc = keep_result(&b, result);
    if (rc == 0 && name_builders(&b, result) < 0)
        rc = strake_fail_nomem(&result->err);
    building_dispose(&b);
    return rc;
}
