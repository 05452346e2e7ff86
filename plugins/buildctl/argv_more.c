/* The words of a build that most builds do without: what the network, the cache and the layers of
 * it shall be, and what is said of the image beside it. */
#include <string.h>

#include "buildctl/buildctl.h"

static void add_opt(struct plug_list *argv, const char *key, const char *value)
{
    plug_list_add(argv, "--opt");
    plug_list_addf(argv, "%s=%s", key, value);
}

/* One CSV record of `NAME SEPARATOR VALUE` fields. */
static void add_record(struct plug_list *argv, const char *key, char separator,
                       const struct strake_pair *const *pairs)
{
    struct plug_text record = { 0 };
    if (pairs[0] == NULL)
        return;
    for (size_t i = 0; pairs[i] != NULL; i++)
        plug_text_addf(&record, "%s%s%c%s", i > 0 ? "," : "", pairs[i]->name, separator,
                       pairs[i]->value);
    if (record.failed)
        argv->failed = true;
    else
        add_opt(argv, key, plug_text_view(&record));
    plug_text_dispose(&record);
}

/* "mode=max" is also what BuildKit's own option takes; without one it makes none. */
static void add_attestations(const struct strake_build_request *request, struct plug_list *argv)
{
    for (size_t i = 0; request->attestations[i] != NULL; i++) {
        const struct strake_pair *pair = request->attestations[i];
        if (strcmp(pair->value, "disabled") == 0)
            continue;
        plug_list_add(argv, "--opt");
        plug_list_addf(argv, "attest:%s=%s", pair->name, pair->value);
    }
}

static void add_no_cache(const struct strake_build_request *request, struct plug_list *argv)
{
    struct plug_text stages = { 0 };
    if (request->no_cache) {
        plug_list_add(argv, "--no-cache");
        return;
    }
    if (request->no_cache_stages[0] == NULL)
        return;
    for (size_t i = 0; request->no_cache_stages[i] != NULL; i++)
        plug_text_addf(&stages, "%s%s", i > 0 ? "," : "", request->no_cache_stages[i]);
    if (stages.failed)
        argv->failed = true;
    else
        add_opt(argv, "no-cache", plug_text_view(&stages));
    plug_text_dispose(&stages);
}

void buildctl_argv_more(const struct strake_build_request *request, struct plug_list *argv)
{
    add_no_cache(request, argv);
    for (size_t i = 0; request->ssh[i] != NULL; i++) {
        plug_list_add(argv, "--ssh");
        plug_list_add(argv, request->ssh[i]);
    }
    for (size_t i = 0; request->entitlements[i] != NULL; i++) {
        plug_list_add(argv, "--allow");
        plug_list_add(argv, request->entitlements[i]);
    }
    add_record(argv, "add-hosts", '=', request->add_hosts);
    add_record(argv, "ulimit", '=', request->ulimits);
    if (request->network[0] != '\0' && strcmp(request->network, "default") != 0)
        add_opt(argv, "force-network-mode", request->network);
    if (request->shm_size_bytes > 0) {
        plug_list_add(argv, "--opt");
        plug_list_addf(argv, "shm-size=%lld", (long long)request->shm_size_bytes);
    }
    if (request->source_date_epoch[0] != '\0')
        add_opt(argv, "build-arg:SOURCE_DATE_EPOCH", request->source_date_epoch);
    add_attestations(request, argv);
    if (request->pull)
        add_opt(argv, "image-resolve-mode", "pull");
    if (request->multi_platform)
        add_opt(argv, "multi-platform", "true");
}

/* ---- of the output --------------------------------------------------------------------------- */

/* "index[linux/amd64]:KEY" is the exporter's annotation-index[linux/amd64].KEY. */
static int annotation_key(const struct buildctl *self, const char *name, struct plug_text *key,
                          struct strake_err *err)
{
    static const char *const levels[] = { "manifest", "index", "manifest-descriptor",
                                          "index-descriptor" };
    const char *colon = strchr(name, ':');
    const char *own = name;
    plug_text_add(key, "annotation");
    for (size_t i = 0; colon != NULL && i < sizeof(levels) / sizeof(levels[0]); i++) {
        size_t len = strlen(levels[i]);
        if (strncmp(name, levels[i], len) != 0 || (name[len] != ':' && name[len] != '['))
            continue;
        colon = name[len] == '[' ? strstr(name, "]:") : colon;
        if (colon == NULL)
            break;
        own = colon + (colon[0] == ']' ? 2 : 1);
        plug_text_addf(key, "-%.*s", (int)(own - 1 - name), name);
    }
    plug_text_addf(key, ".%s", own);
    for (const char *at = own; *at != '\0'; at++) {
        if (*at < 'A' || *at > 'Z')
            continue;
        self->host->fail(err, STRAKE_EUNSUPPORTED,
                         "buildctl writes the annotation %s in lower case", own);
        self->host->err_hint(err, "name it in lower case, or use a buildx builder");
        return STRAKE_EUNSUPPORTED;
    }
    return 0;
}

int buildctl_output_more(const struct buildctl *self, const struct strake_build_request *request,
                         struct plug_text *record, struct strake_err *err)
{
    for (size_t i = 0; request->annotations[i] != NULL; i++) {
        struct plug_text key = { 0 };
        int rc = annotation_key(self, request->annotations[i]->name, &key, err);
        if (rc == 0 && key.failed)
            rc = plug_fail_nomem(self->host, err);
        if (rc == 0)
            plug_csv_add(record, plug_text_view(&key), request->annotations[i]->value);
        plug_text_dispose(&key);
        if (rc < 0)
            return rc;
    }
    buildkit_output_layers(request, record);
    return 0;
}
