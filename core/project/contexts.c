/* Named contexts: told apart, placed, and layouts resolved. */
#include "project/contexts.h"

#include <string.h>

#include "util/fs.h"
#include "util/secret.h"

static const char layout_scheme[] = "oci-layout://";
static const char target_scheme[] = "target:";

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool strake_context_is_url(const char *context)
{
    return strstr(context, "://") != NULL || strncmp(context, "git@", 4) == 0;
}

/* ---- credentials ---- */

/* USER:PASSWORD or TOKEN of a URL, its length in `len`; NULL: it has none. `git@HOST` and
 * `ssh://git@HOST` name a user, which is no secret. */
static const char *credentials_of(const char *url, size_t *len)
{
    static const char *const schemes[] = { "http://", "https://", "ssh://", "git://" };

    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        const char *text = url + strlen(schemes[i]), *at;
        if (!begins(url, schemes[i]))
            continue;
        at = memrchr(text, '@', strcspn(text, "/?#"));
        *len = at ? (size_t)(at - text) : 0;
        return at && (i < 2 || memchr(text, ':', *len)) ? text : NULL;
    }
    return NULL;
}

void strake_context_know_credentials(const char *url)
{
    size_t len;
    const char *text = credentials_of(url, &len), *colon = text ? memchr(text, ':', len) : NULL;

    if (colon)
        strake_secret_mark(colon + 1, len - (size_t)(colon + 1 - text));
    else if (text)
        strake_secret_mark(text, len);
}

/* ---- layouts ---- */

/* DIR[:TAG][@DIGEST]: a colon behind the last slash begins the tag. */
static void split_layout(const char *text, size_t *dir, const char **tag, const char **digest)
{
    const char *at = strstr(text, "@sha256:");
    size_t len = at ? (size_t)(at - text) : strlen(text);
    const char *slash = memrchr(text, '/', len);
    const char *from = slash ? slash : text;
    const char *colon = memchr(from, ':', len - (size_t)(from - text));

    *digest = at ? at + 1 : NULL;
    *tag = colon && !at ? colon + 1 : NULL;
    *dir = colon ? (size_t)(colon - text) : len;
}

static int fail_at(const struct strake_plan_target *target, bool declared, struct strake_err *err)
{
    if (!declared)
        return strake_err_recode(err, STRAKE_EUSAGE);
    strake_err_place(err, target->file, target->line);
    return strake_err_recode(err, STRAKE_ECONFIG);
}

/* The client's command line shows a context to every user of this machine, and the record keeps it.
 * `name` "": the target's own. */
static int check_credentials(const struct strake_plan_target *target, const char *name,
                             const char *url, bool declared, struct strake_err *err)
{
    size_t len;

    if (!credentials_of(url, &len))
        return 0;
    strake_context_know_credentials(url);
    strake_fail(err, STRAKE_ECONFIG,
                "target %s: the URL of the context%s%s has credentials in it, and would show them "
                "in command lines and records",
                target->name, *name ? " " : "", name);
    strake_err_hint(err, "take them out, and give a token for a repository as a secret: secrets = "
                         "{ GIT_AUTH_TOKEN = secret.env \"NAME\" }, --secret "
                         "id=GIT_AUTH_TOKEN,env=NAME");
    return fail_at(target, declared, err);
}

/* ---- folders ---- */

static int no_folder(const struct strake_plan_target *target, const struct strake_pair *pair,
                     const char *path, bool declared, struct strake_err *err)
{
    strake_fail(err, STRAKE_ECONFIG, "target %s: the context %s is not a folder: %s", target->name,
                pair->name, path);
    strake_err_hint(err, declared ? "it is relative to the folder of strake.lua; an image is "
                                    "docker-image://REF, another target is target \"NAME\""
                                  : "an image is docker-image://REF");
    return fail_at(target, declared, err);
}

/* @return an absolute path of the caller's, or NULL: no memory. */
static char *absolute(const char *dir, const char *path)
{
    char *joined = strake_fs_join(dir, path);
    char *found = joined ? strake_fs_absolute(joined) : NULL;

    if (!found)
        return joined;
    strake_free(joined);
    return found;
}

/* A folder, or a layout whose folder is replaced by its absolute path. */
static int place_one(struct strake_plan_target *target, const struct strake_pair *pair,
                     const char *dir, bool declared, struct strake_err *err)
{
    bool layout = begins(pair->value, layout_scheme);
    const char *given = pair->value + (layout ? strlen(layout_scheme) : 0), *tag, *digest;
    size_t len = strlen(given);
    char *folder, *path = NULL, *value = NULL;
    int rc = 0;

    if (layout)
        split_layout(given, &len, &tag, &digest);
    folder = strake_strndup(given, len);
    path = folder ? absolute(dir, folder) : NULL;
    if (path && !strake_fs_is_dir(path))
        rc = no_folder(target, pair, path, declared, err);
    else if (path)
        value = layout ? strake_asprintf("%s%s%s", layout_scheme, path, given + len)
                       : strake_strdup(path);
    if (rc == 0 && (!value || strake_pairs_set(&target->contexts, pair->name, value) < 0))
        rc = strake_fail_nomem(err);
    strake_free(folder);
    strake_free(path);
    strake_free(value);
    return rc;
}

int strake_contexts_place(struct strake_plan_target *target, const char *dir,
                          const struct strake_wish *wish, struct strake_err *err)
{
    int rc = check_credentials(target, "", target->context, target->file != NULL, err);

    for (size_t i = 0; rc == 0 && i < target->contexts.count; i++) {
        const struct strake_pair *pair = target->contexts.items[i];
        const char *other =
            begins(pair->value, target_scheme) ? pair->value + strlen(target_scheme) : NULL;
        bool wished = wish && strake_pairs_get(&wish->contexts, pair->name) != NULL;
        bool here = begins(pair->value, layout_scheme) || !strake_context_is_url(pair->value);
        rc = check_credentials(target, pair->name, pair->value, !wished && target->file, err);
        if (rc < 0)
            break;
        if (other && !strake_strings_has(&target->after, other))
            rc = strake_strings_add(&target->after, other) < 0 ? strake_fail_nomem(err) : 0;
        else if (!other && here)
            rc = place_one(target, pair, wished && wish->cwd ? wish->cwd : dir,
                           !wished && target->file, err);
    }
    return rc;
}

/* ---- resolving ---- */

static int resolve_one(struct strake_plan_target *target, const struct strake_pair *pair,
                       struct strake_stores *stores, struct strake_job *job, struct strake_err *err)
{
    const char *given = pair->value + strlen(layout_scheme), *tag, *digest;
    struct strake_reference ref = { 0 };
    struct strake_place_in_store place = { 0 };
    struct strake_descriptor found = { .size = sizeof(found) };
    char *name, *value = NULL;
    size_t len;
    int rc;

    split_layout(given, &len, &tag, &digest);
    name = strake_asprintf("oci:%.*s%s%s", (int)len, given, digest ? "@" : ":",
                           digest ? digest
                           : tag  ? tag
                                  : "latest");
    rc = name ? strake_stores_open(stores, name, &ref, &place, err) : strake_fail_nomem(err);
    if (rc == 0)
        rc = strake_registry_resolve(place.instance, job, place.repository,
                                     strake_reference_object(&ref), &found, err);
    if (rc == 0) {
        value = strake_asprintf("%s%.*s@%s", layout_scheme, (int)len, given, found.digest);
        if (!value || strake_pairs_set(&target->contexts, pair->name, value) < 0)
            rc = strake_fail_nomem(err);
    } else if (rc != STRAKE_ENOMEM && rc != STRAKE_ECANCELLED) {
        strake_err_prefix(err, "target %s: context %s: ", target->name, pair->name);
        rc = fail_at(target, target->file != NULL, err);
    }
    strake_free(name);
    strake_free(value);
    strake_place_in_store_dispose(&place);
    strake_reference_dispose(&ref);
    return rc;
}

int strake_contexts_resolve(struct strake_plan *plan, struct strake_stores *stores,
                            struct strake_job *job, struct strake_err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < plan->count; i++) {
        struct strake_plan_target *target = &plan->targets[i];
        for (size_t k = 0; rc == 0 && k < target->contexts.count; k++) {
            if (begins(target->contexts.items[k]->value, layout_scheme))
                rc = resolve_one(target, target->contexts.items[k], stores, job, err);
        }
    }
    return rc;
}
