/* Base images and platforms: a platform that a base lacks is told before anything runs, and not by
 * one of several builders when the others are half done. */
#include <string.h>

#include "build/inspect.h"
#include "build/run_impl.h"
#include "dockerfile/dockerfile.h"
#include "util/fs.h"
#include "util/log.h"

/* A registry that this machine does not reach must not hold up builders that do. */
#define LOOK_MS 5000

void strake_known_bases_dispose(struct strake_known_bases *bases)
{
    for (size_t i = 0; i < bases->count; i++) {
        strake_free(bases->items[i].name);
        strake_pairs_dispose(&bases->items[i].has);
    }
    strake_free(bases->items);
    strake_strings_dispose(&bases->silent);
    *bases = (struct strake_known_bases){ 0 };
}

/* FROM --platform=… names another platform than the target's, and a name with variables may be any
 * image: neither is judged here. */
static bool is_judged(const struct strake_dockerfile *dockerfile, const char *base)
{
    bool named = false;

    for (size_t i = 0; i < dockerfile->stage_count; i++) {
        const struct strake_stage *stage = &dockerfile->stages[i];
        if (strcmp(stage->base, base) != 0)
            continue;
        if (stage->platform[0])
            return false;
        named = true;
    }
    return named;
}

static int line_of(const struct strake_dockerfile *dockerfile, const char *base)
{
    for (size_t i = 0; i < dockerfile->stage_count; i++) {
        if (strcmp(dockerfile->stages[i].base, base) == 0)
            return dockerfile->stages[i].line;
    }
    return 0;
}

static int lacks(const struct strake_plan_target *target,
                 const struct strake_dockerfile *dockerfile, const char *base, const char *platform,
                 const struct strake_pairs *has, struct strake_err *err)
{
    struct strake_buf list = STRAKE_BUF(4096);

    for (size_t i = 0; i < has->count; i++)
        strake_buf_printf(&list, "%s%s", i ? ", " : "", has->items[i]->name);
    strake_fail(err, STRAKE_EBUILD, "target %s: the base image %s has nothing for %s", target->name,
                base, platform);
    strake_err_place(err, target->dockerfile, line_of(dockerfile, base));
    strake_err_hint(err, "it has %s", list.len ? strake_buf_text(&list) : "no platform");
    strake_buf_dispose(&list);
    return STRAKE_EBUILD;
}

/* linux/amd64 also stands for a base that says more of its variant. */
static bool has_platform(const struct strake_pairs *has, const char *platform)
{
    size_t len = strlen(platform);

    for (size_t i = 0; i < has->count; i++) {
        const char *name = has->items[i]->name;
        if (strncmp(name, platform, len) == 0 && (!name[len] || name[len] == '/'))
            return true;
        if (strncmp(platform, name, strlen(name)) == 0 && platform[strlen(name)] == '/')
            return true;
    }
    return false;
}

/* ---- looking ---- */

static bool is_silent(int rc, const struct strake_job *job)
{
    return rc == STRAKE_ENETWORK || (rc < 0 && strake_job_remaining_ms(job) == 0);
}

/* What an index lists; an image of one platform, and one that cannot be looked up, are not judged. */
static int look(const struct strake_run *run, const char *name, struct strake_known_bases *known,
                struct strake_job *job, struct strake_base *base, struct strake_err *err)
{
    struct strake_reference ref = { 0 };
    struct strake_place_in_store place = { 0 };
    struct strake_descriptor found = { .size = sizeof(found) };
    char *media_type = NULL;
    int rc = strake_stores_open_to_read(run->stores, name, &ref, &place, err);

    if (rc == 0 && strake_strings_has(&known->silent, ref.host))
        rc = strake_fail(err, STRAKE_ENETWORK, "%s did not answer before", ref.host);
    else if (rc == 0)
        rc = strake_registry_resolve(place.instance, job, place.repository,
                                     strake_reference_object(&ref), &found, err);
    if (rc == 0)
        rc = strake_inspect_platforms(run->stores, ref.name, found.digest, job, &base->has,
                                      &media_type, NULL, err);
    if (rc == 0)
        base->judged = strake_media_is_index(media_type);
    if (is_silent(rc, job) && ref.host && !strake_strings_has(&known->silent, ref.host) &&
        strake_strings_add(&known->silent, ref.host) < 0)
        rc = STRAKE_ENOMEM;
    strake_free(media_type);
    strake_place_in_store_dispose(&place);
    strake_reference_dispose(&ref);
    return rc;
}

static int look_in_time(const struct strake_run *run, const char *name,
                        struct strake_known_bases *known, struct strake_job *job,
                        struct strake_base *base, struct strake_err *err)
{
    struct strake_job *bounded = strake_job_new(job, NULL, NULL);
    struct strake_err unknown = { 0 };
    int rc = STRAKE_ENOMEM;

    if (bounded) {
        strake_job_set_timeout(bounded, LOOK_MS);
        rc = look(run, name, known, bounded, base, &unknown);
    }
    strake_job_free(bounded);
    if (rc == STRAKE_ENOMEM)
        strake_fail_nomem(err);
    else if (rc == STRAKE_ECANCELLED)
        strake_err_move(err, &unknown);
    else if (rc < 0)
        strake_log(STRAKE_LOG_DEBUG, "the base image %s cannot be looked up: %s", name,
                   strake_err_message(&unknown));
    strake_err_dispose(&unknown);
    return rc == STRAKE_ENOMEM || rc == STRAKE_ECANCELLED ? rc : 0;
}

/* Targets share their bases: each is looked up once a run. */
static int find_base(const struct strake_run *run, const char *name,
                     struct strake_known_bases *known, struct strake_job *job,
                     const struct strake_base **out, struct strake_err *err)
{
    struct strake_base *items, *base;

    for (size_t i = 0; i < known->count; i++) {
        *out = &known->items[i];
        if (strcmp(known->items[i].name, name) == 0)
            return 0;
    }
    items = strake_reallocarray(known->items, known->count + 1, sizeof(*items));
    if (!items)
        return strake_fail_nomem(err);
    known->items = items;
    base = &items[known->count];
    *base = (struct strake_base){ .name = strake_strdup(name) };
    if (!base->name)
        return strake_fail_nomem(err);
    known->count++;
    *out = base;
    return look_in_time(run, name, known, job, base, err);
}

static int check_base(const struct strake_run *run, const struct strake_plan_target *target,
                      const struct strake_dockerfile *dockerfile, const char *name,
                      struct strake_known_bases *known, struct strake_job *job,
                      struct strake_err *err)
{
    const struct strake_base *base = NULL;
    int rc = find_base(run, name, known, job, &base, err);

    for (size_t i = 0; rc == 0 && base->judged && i < target->platforms.count; i++) {
        if (!has_platform(&base->has, target->platforms.items[i]))
            rc = lacks(target, dockerfile, name, target->platforms.items[i], &base->has, err);
    }
    return rc;
}

int strake_check_bases(const struct strake_run *run, const struct strake_plan_target *target,
                       struct strake_known_bases *known, struct strake_job *job,
                       struct strake_err *err)
{
    struct strake_buf text = STRAKE_BUF(STRAKE_DOCKERFILE_MAX);
    struct strake_dockerfile dockerfile = { 0 };
    struct strake_strings names = { 0 };
    struct strake_err unread = { 0 };
    int stage, rc = 0;

    if (strstr(target->context, "://") || target->platforms.count == 0)
        return 0;
    /* A Dockerfile that is wrong is the builder's to tell. */
    if (strake_fs_read(target->dockerfile, STRAKE_DOCKERFILE_MAX, &text, &unread) == 0 &&
        strake_dockerfile_parse(strake_buf_text(&text), text.len, target->dockerfile, &dockerfile,
                                &unread) == 0) {
        stage = strake_dockerfile_stage(&dockerfile, target->stage);
        if (stage >= 0)
            strake_dockerfile_bases(&dockerfile, stage, &target->args, &names, NULL, &unread);
        for (size_t i = 0; rc == 0 && i < names.count; i++) {
            if (is_judged(&dockerfile, names.items[i]) &&
                !strake_pairs_get(&target->contexts, names.items[i]))
                rc = check_base(run, target, &dockerfile, names.items[i], known, job, err);
        }
    }
    strake_err_dispose(&unread);
    strake_strings_dispose(&names);
    strake_dockerfile_dispose(&dockerfile);
    strake_buf_dispose(&text);
    return rc;
}
