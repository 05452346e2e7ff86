/* Base images and platforms: a platform that a base lacks is told before anything runs, and not by
 * one of several builders when the others are half done. */
#include <string.h>

#include "build/inspect.h"
#include "build/run_impl.h"
#include "dockerfile/dockerfile.h"
#include "util/fs.h"
#include "util/log.h"

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

static int check_base(const struct strake_run *run, const struct strake_plan_target *target,
                      const struct strake_dockerfile *dockerfile, const char *base,
                      struct strake_job *job, struct strake_err *err)
{
    struct strake_reference ref = { 0 };
    struct strake_place_in_store place = { 0 };
    struct strake_descriptor found = { .size = sizeof(found) };
    struct strake_pairs has = { 0 };
    struct strake_err unknown = { 0 };
    char *media_type = NULL;
    int rc = strake_stores_open(run->stores, base, &ref, &place, &unknown);

    if (rc == 0)
        rc = strake_registry_resolve(place.instance, job, place.repository,
                                     strake_reference_object(&ref), &found, &unknown);
    if (rc == 0)
        rc = strake_inspect_platforms(run->stores, ref.name, found.digest, job, &has, &media_type,
                                      NULL, &unknown);
    if (rc < 0) {
        strake_log(STRAKE_LOG_DEBUG, "the base image %s cannot be looked up: %s", base,
                   strake_err_message(&unknown));
        rc = rc == STRAKE_ECANCELLED || rc == STRAKE_ENOMEM ? rc : 0;
        if (rc < 0)
            strake_err_move(err, &unknown);
    } else if (strake_media_is_index(media_type)) {
        for (size_t i = 0; rc == 0 && i < target->platforms.count; i++) {
            if (!has_platform(&has, target->platforms.items[i]))
                rc = lacks(target, dockerfile, base, target->platforms.items[i], &has, err);
        }
    }
    strake_err_dispose(&unknown);
    strake_free(media_type);
    strake_pairs_dispose(&has);
    strake_place_in_store_dispose(&place);
    strake_reference_dispose(&ref);
    return rc;
}

int strake_check_bases(const struct strake_run *run, const struct strake_plan_target *target,
                       struct strake_job *job, struct strake_err *err)
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
                rc = check_base(run, target, &dockerfile, names.items[i], job, err);
        }
    }
    strake_err_dispose(&unread);
    strake_strings_dispose(&names);
    strake_dockerfile_dispose(&dockerfile);
    strake_buf_dispose(&text);
    return rc;
}
