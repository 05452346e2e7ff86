/* Each type of cache: what is exported, and what is imported in which order. */
#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"

/* Where a cache is: the attribute that says so, and its value. */
struct place {
    const char *key;    /* "ref", "name", … */
    const char *given;  /* what the user wrote, or NULL: Strake names it */
    const char *before; /* stands before Strake's own name */
    const char *part;   /* stands between what the user wrote and a part's platforms */
    bool branches;      /* each branch has its own, where the name is Strake's */
};

/* ---- records --------------------------------------------------------------------------------- */

/* Add a record of this place to the imports or exports, each once. Takes what `value` holds. */
static int put(struct cache_ask *ask, enum cache_side side, const struct place *place,
               struct plug_text *value)
{
    const char *const but[] = { place->key, "src", "dest", NULL };
    struct plug_list *list = side == CACHE_IMPORT ? &ask->imports : &ask->exports;
    const bool local = strcmp(ask->type, "local") == 0;
    struct plug_text record = { 0 };
    cache_record_begin(&record, ask->type);
    plug_csv_add(&record, local && side == CACHE_IMPORT ? "src" : place->key,
                 plug_text_view(value));
    int rc = value->failed ? STRAKE_ENOMEM : cache_record_rest(ask, side, but, &record);
    if (strcmp(ask->type, "registry") == 0 && ask->request.plain_http &&
        strncmp(plug_text_view(value), ask->request.image, strcspn(ask->request.image, "/") + 1) ==
            0)
        plug_csv_add(&record, "registry.insecure", "true");
    if (side == CACHE_EXPORT)
        cache_record_export(ask, place->given == NULL, &record);
    if (rc == 0 && !record.failed && plug_list_has(list, plug_text_view(&record)))
        plug_text_dispose(&record);
    else if (rc == 0)
        plug_list_take(list, plug_text_take(&record));
    plug_text_dispose(&record);
    plug_text_dispose(value);
    return rc;
}

/* The value for a branch, of the whole target (`platform` "") or of a part of it. */
static void value_of(const struct cache_ask *ask, const struct place *place, const char *platform,
                     bool main, struct plug_text *out)
{
    const struct strake_cache_request *request = &ask->request;
    const char *branch =
        main || request->branch[0] == '\0' ? request->main_branch : request->branch;
    if (place->given == NULL) {
        plug_text_add(out, place->before);
        cache_name(ask, platform, place->branches && !main ? request->branch : "", out);
        return;
    }
    cache_expand(ask, place->given, branch[0] != '\0' ? branch : "main", out);
    if (strcmp(platform, STRAKE_CACHE_PLATFORM) == 0)
        plug_text_addf(out, "%s%s", place->part, platform);
}

static int put_value(struct cache_ask *ask, enum cache_side side, const struct place *place,
                     const char *platform, bool main)
{
    struct plug_text value = { 0 };
    value_of(ask, place, platform, main, &value);
    return put(ask, side, place, &value);
}

/* The export to this branch's cache; the imports from it, then from the main branch's. A part of
 * the platforms reads what all of them together left, too. */
static int put_place(struct cache_ask *ask, const struct place *place)
{
    const char *platform = ask->request.platform;
    const bool part = strcmp(platform, STRAKE_CACHE_PLATFORM) == 0;
    const bool on_main = cache_on_main(ask);
    int rc = 0;
    if (!cache_flag(ask, "read_only"))
        rc = put_value(ask, CACHE_EXPORT, place, platform, on_main);
    for (int main = on_main; rc == 0 && main <= 1; main++) {
        rc = put_value(ask, CACHE_IMPORT, place, platform, main);
        if (rc == 0 && part)
            rc = put_value(ask, CACHE_IMPORT, place, "", main);
    }
    return rc;
}

/* ---- registry, inline ------------------------------------------------------------------------ */

static bool in_registry(const char *image)
{
    return image[0] != '\0' && strncmp(image, "oci:", 4) != 0 &&
           strncmp(image, "docker-archive:", 15) != 0;
}

static int no_image(struct cache_ask *ask)
{
    ask->host->fail(ask->err, STRAKE_ECONFIG,
                    "a cache of type %s lies beside the image, and the target has none in a "
                    "registry",
                    ask->type);
    ask->host->err_hint(ask->err,
                        "give the target an `image`, or say where: { type = \"registry\", "
                        "ref = \"HOST/REPOSITORY:TAG\" }");
    return STRAKE_ECONFIG;
}

/* Has the reference a tag, to which something can be appended? */
static bool has_tag(const char *ref)
{
    const char *slash = strrchr(ref, '/');
    return strchr(slash != NULL ? slash : ref, ':') != NULL;
}

static int put_registry(struct cache_ask *ask)
{
    const char *given = cache_text(ask, "ref");
    const struct strake_cache_request *request = &ask->request;
    if (given == NULL && !in_registry(request->image))
        return no_image(ask);
    char *before = plug_format("%s:buildcache-", request->image);
    if (before == NULL)
        return plug_fail_nomem(ask->host, ask->err);
    const struct place place = { .key = "ref",
                                 .given = given,
                                 .before = before,
                                 .part = given != NULL && has_tag(given) ? "-" : ":buildcache-",
                                 .branches = true };
    int rc = put_place(ask, &place);
    if (rc == 0 && given == NULL) { /* as people's scripts have written it */
        struct plug_text plain = { 0 };
        plug_text_addf(&plain, "%s:buildcache", request->image);
        rc = put(ask, CACHE_IMPORT, &place, &plain);
    }
    free(before);
    return rc;
}

static void import_image(struct cache_ask *ask, const char *tag)
{
    struct plug_text record = { 0 };
    struct plug_text ref = { 0 };
    plug_text_addf(&ref, "%s:%s", ask->request.image, tag);
    cache_record_begin(&record, "registry");
    plug_csv_add(&record, "ref", plug_text_view(&ref));
    if (ask->request.plain_http)
        plug_csv_add(&record, "registry.insecure", "true");
    if (ref.failed || record.failed || !plug_list_has(&ask->imports, plug_text_view(&record)))
        plug_list_take(&ask->imports, plug_text_take(&record));
    plug_text_dispose(&record);
    plug_text_dispose(&ref);
}

/* An inline cache lies in the image itself: it is exported as inline and imported as registry, from
 * the tags that the image will get and, on a branch, from what the main branch has left. */
static int put_inline(struct cache_ask *ask)
{
    struct plug_text record = { 0 };
    cache_record_begin(&record, "inline");
    if (!cache_flag(ask, "read_only"))
        plug_list_take(&ask->exports, plug_text_take(&record));
    plug_text_dispose(&record);
    for (const char *const *tag = ask->request.tags; in_registry(ask->request.image) && *tag; tag++)
        import_image(ask, *tag);
    if (in_registry(ask->request.image) && !cache_on_main(ask))
        import_image(ask, "latest");
    return 0;
}

/* ---- local ----------------------------------------------------------------------------------- */

/* A relative folder is one of the project. */
static char *folder_of(const struct cache_ask *ask, const char *path)
{
    if (path[0] == '/' || ask->request.project[0] == '\0')
        return plug_format("%s", path);
    return plug_format("%s/%s", ask->request.project, path);
}

/* ~/.cache/strake/build/PROJECT-DIGITS/ */
static char *own_folder(struct cache_ask *ask)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    const char *project = ask->request.project, *slash = strrchr(project, '/');
    char digest[72];
    if (cache != NULL && cache[0] != '/')
        cache = NULL;
    if (cache == NULL && (home == NULL || home[0] != '/')) {
        ask->host->fail(ask->err, STRAKE_ECONFIG,
                        "a local cache has no place: neither XDG_CACHE_HOME nor HOME is set");
        ask->host->err_hint(ask->err, "say where: { type = \"local\", dest = FOLDER }");
        return NULL;
    }
    struct plug_text path = { 0 };
    plug_text_addf(&path, "%s%s/strake/build/", cache != NULL ? cache : home,
                   cache != NULL ? "" : "/.cache");
    cache_name_part(ask->host, slash != NULL ? slash + 1 : project, 40, &path);
    if (ask->host->digest(project, strlen(project), digest) < 0)
        path.failed = true;
    else
        plug_text_addf(&path, "-%.8s/", strchr(digest, ':') + 1);
    char *folder = plug_text_take(&path);
    if (folder == NULL)
        plug_fail_nomem(ask->host, ask->err);
    return folder;
}

/* From `src` only, where both are given. */
static int put_source(struct cache_ask *ask, const struct place *place, const char *src)
{
    char *folder = folder_of(ask, src);
    struct plug_text value = { .failed = folder == NULL };
    plug_text_add(&value, folder != NULL ? folder : "");
    free(folder);
    plug_list_dispose(&ask->imports);
    ask->imports = (struct plug_list){ 0 };
    return put(ask, CACHE_IMPORT, place, &value);
}

static int put_local(struct cache_ask *ask)
{
    const char *dest = cache_text(ask, "dest"), *src = cache_text(ask, "src");
    char *folder =
        dest != NULL || src != NULL ? folder_of(ask, dest != NULL ? dest : src) : own_folder(ask);
    if (folder == NULL)
        return dest != NULL || src != NULL ? plug_fail_nomem(ask->host, ask->err) : STRAKE_ECONFIG;
    const struct place place = { .key = "dest",
                                 .given = dest != NULL || src != NULL ? folder : NULL,
                                 .before = folder,
                                 .part = "/",
                                 .branches = true };
    int rc = put_place(ask, &place);
    if (rc == 0 && src != NULL)
        rc = put_source(ask, &place, src);
    if (dest == NULL && src != NULL)
        plug_list_dispose(&ask->exports);
    free(folder);
    return rc;
}

/* ---- gha, s3, azblob ------------------------------------------------------------------------- */

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool inside_actions(void)
{
    return variable("ACTIONS_RUNTIME_TOKEN") != NULL &&
           (variable("ACTIONS_RESULTS_URL") != NULL || variable("ACTIONS_CACHE_URL") != NULL);
}

static int outside_actions(struct cache_ask *ask)
{
    const char *missing =
        variable("ACTIONS_RUNTIME_TOKEN") == NULL ? "ACTIONS_RUNTIME_TOKEN" : "ACTIONS_RESULTS_URL";
    ask->host->fail(ask->err, STRAKE_ECONFIG,
                    "a cache of type gha is there inside GitHub Actions only: %s is not set",
                    missing);
    if (variable("GITHUB_ACTIONS") != NULL)
        ask->host->err_hint(ask->err,
                            "a plain `run:` step does not get it: a step before it has to "
                            "export ACTIONS_RUNTIME_TOKEN and ACTIONS_RESULTS_URL "
                            "(docs/caches.md)");
    else
        ask->host->err_hint(ask->err, "cache = \"auto\" is gha there and something else here");
    return STRAKE_ECONFIG;
}

/* GitHub keeps the branches apart, and has each read the main one's. The token goes from the
 * environment to the daemon, and through no command line. */
static int put_gha(struct cache_ask *ask)
{
    const struct place place = {
        .key = "scope", .given = cache_text(ask, "scope"), .before = "", .part = "-"
    };
    if (!inside_actions())
        return outside_actions(ask);
    const char *token = variable("ACTIONS_RUNTIME_TOKEN");
    ask->host->secret_mark(token, strlen(token));
    /* With ACTIONS_CACHE_SERVICE_V2 the client knows; an old server has ACTIONS_CACHE_URL. */
    const bool v2 = variable("ACTIONS_RESULTS_URL") != NULL &&
                    variable("ACTIONS_CACHE_SERVICE_V2") == NULL &&
                    variable("ACTIONS_CACHE_URL") == NULL;
    if (v2 && json_object_get(ask->table, "version") == NULL &&
        json_object_set_new(ask->table, "version", json_string("2")) < 0)
        return plug_fail_nomem(ask->host, ask->err);
    return put_place(ask, &place);
}

static int put_named(struct cache_ask *ask)
{
    const struct place place = {
        .key = "name", .given = cache_text(ask, "name"), .before = "", .part = "-", .branches = true
    };
    return put_place(ask, &place);
}

/* ---- auto ------------------------------------------------------------------------------------ */

/* Where the image goes, or else where Actions keeps caches, or else on this machine. */
static const char *choose(const struct cache_ask *ask)
{
    if (in_registry(ask->request.image))
        return "registry";
    return inside_actions() ? "gha" : "local";
}

int cache_specs(struct cache_ask *ask)
{
    static const struct {
        const char *type;
        int (*put)(struct cache_ask *ask);
    } types[] = {
        { "registry", put_registry }, { "inline", put_inline }, { "local", put_local },
        { "gha", put_gha },           { "s3", put_named },      { "azblob", put_named },
    };
    static const char *const names[] = { "auto", "registry", "inline", "local",
                                         "gha",  "s3",       "azblob", NULL };
    int rc = cache_check_keys(ask);
    if (rc == 0)
        rc = cache_check_secrets(ask);
    if (rc < 0)
        return rc;
    if (strcmp(ask->request.platform, STRAKE_CACHE_PLATFORM) != 0) /* once a table */
        cache_warn_of_slips(ask);
    if (strcmp(ask->type, "auto") == 0)
        ask->type = choose(ask);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(ask->type, types[i].type) == 0)
            return types[i].put(ask);
    }
    const char *near = cache_nearest(ask->type, names, 4);
    ask->host->fail(ask->err, STRAKE_ENOTFOUND, "there is no cache of type \"%s\"", ask->type);
    if (near != NULL)
        ask->host->err_hint(ask->err, "did you mean \"%s\"?", near);
    else
        ask->host->err_hint(ask->err,
                            "auto, registry, inline, local, gha, s3 and azblob are known, "
                            "and a plugin of that name could be one");
    return STRAKE_ENOTFOUND;
}
