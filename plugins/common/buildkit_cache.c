/* Caches that were written, or could not be. */
#include "common/buildkit_cache.h"

#include <stdlib.h>
#include <string.h>

#include "common/buildkit_classify.h"

/* How BuildKit calls the step of each type, and which attribute says where. */
static const struct kind {
    const char *step;
    const char *type;
    const char *place;
} kinds[] = {
    { "exporting cache to registry", "registry", "ref" },
    { "exporting cache to client directory", "local", "dest" },
    { "exporting to GitHub Actions Cache", "gha", "scope" },
    { "exporting cache to Amazon S3", "s3", "name" },
    { "exporting cache to Azure Blob Storage", "azblob", "name" },
};

static const struct kind *kind_of(const char *step)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strncmp(step, kinds[i].step, strlen(kinds[i].step)) == 0)
            return &kinds[i];
    }
    return NULL;
}

bool buildkit_is_cache_export(const char *step)
{
    return kind_of(step) != NULL;
}

/* ---- records --------------------------------------------------------------------------------- */

/* The next field of a CSV record without its quotes; *at moves behind it. False: there is none. */
static bool next_field(const char **at, struct plug_text *field)
{
    plug_text_dispose(field);
    if (**at == '\0')
        return false;
    const bool quoted = **at == '"';
    for (*at += quoted; **at != '\0' && (quoted || **at != ','); ++*at) {
        if (quoted && **at == '"' && *++*at != '"')
            break; /* the one that ends it */
        plug_text_add_len(field, *at, 1);
    }
    if (**at == ',')
        ++*at;
    return true;
}

/* The place of a record of this kind, or NULL: another kind, or none is said; free(). */
static char *place_of(const char *record, const struct kind *kind)
{
    struct plug_text field = { 0 };
    char *place = NULL;
    bool ours = false;
    while (next_field(&record, &field)) {
        const char *text = plug_text_view(&field);
        const char *equals = strchr(text, '=');
        size_t len = equals != NULL ? (size_t)(equals - text) : 0;
        if (len == 4 && strncmp(text, "type", len) == 0)
            ours = strcmp(equals + 1, kind->type) == 0;
        else if (len > 0 && len == strlen(kind->place) && strncmp(text, kind->place, len) == 0 &&
                 place == NULL)
            place = strdup(equals + 1);
    }
    plug_text_dispose(&field);
    if (ours)
        return place;
    free(place);
    return NULL;
}

void buildkit_cache_places(const struct strake_build_request *request, const char *step,
                           struct plug_text *places)
{
    const struct kind *kind = kind_of(step);
    for (size_t i = 0; kind != NULL && request->cache_export[i] != NULL; i++) {
        char *place = place_of(request->cache_export[i], kind);
        if (place != NULL)
            plug_text_addf(places, "%s%s", places->len > 0 ? ", " : "", place);
        free(place);
    }
    if (kind != NULL && places->len == 0)
        plug_text_add(places, kind->type);
}

/* ---- what became of them --------------------------------------------------------------------- */

/* The one of that step, made when it is new. NULL: no memory. */
static struct buildkit_export *export_of(struct buildkit_exports *exports, const char *id)
{
    for (size_t i = 0; i < exports->count; i++) {
        if (strcmp(exports->items[i].id, id) == 0)
            return &exports->items[i];
    }
    struct buildkit_export *items =
        reallocarray(exports->items, exports->count + 1, sizeof(*items));
    char *copy = strdup(id);
    if (items != NULL)
        exports->items = items;
    if (items == NULL || copy == NULL) {
        free(copy);
        return NULL;
    }
    items[exports->count] = (struct buildkit_export){ .id = copy };
    return &items[exports->count++];
}

void buildkit_note_export(struct buildkit_exports *exports, const struct strake_step *step)
{
    if (step->completed_us == 0 || step->name == NULL || !buildkit_is_cache_export(step->name))
        return;
    struct buildkit_export *export = export_of(exports, step->id);
    if (export == NULL)
        return;
    free(export->name);
    free(export->error);
    export->name = strdup(step->name);
    export->error = step->error != NULL && step->error[0] != '\0' ? strdup(step->error) : NULL;
    export->duration_ms = step->started_us > 0 ? (step->completed_us - step->started_us) / 1000 : 0;
}

static void tell(const struct buildkit_export *export, const char *places,
                 const struct strake_host *host, struct strake_job *job)
{
    struct plug_text text = { 0 };
    if (export->error == NULL) {
        if (STRAKE_HAS(host, job_cache_exported))
            host->job_cache_exported(job, places, export->duration_ms);
        return;
    }
    plug_text_addf(&text, "the build cache could not be written to %s: %s", places,
                   buildkit_last_reason(export->error));
    const struct strake_step_warning warning = { .size = sizeof(warning),
                                                 .text = plug_text_view(&text) };
    host->job_warning(job, &warning);
    plug_text_dispose(&text);
}

void buildkit_tell_exports(const struct buildkit_exports *exports, const struct strake_host *host,
                           const struct strake_build_request *request, struct strake_job *job)
{
    for (size_t i = 0; i < exports->count; i++) {
        const struct buildkit_export *export = &exports->items[i];
        struct plug_text places = { 0 };
        if (export->name == NULL)
            continue;
        buildkit_cache_places(request, export->name, &places);
        tell(export, plug_text_view(&places), host, job);
        plug_text_dispose(&places);
    }
}

void buildkit_exports_dispose(struct buildkit_exports *exports)
{
    for (size_t i = 0; i < exports->count; i++) {
        free(exports->items[i].id);
        free(exports->items[i].name);
        free(exports->items[i].error);
    }
    free(exports->items);
    *exports = (struct buildkit_exports){ 0 };
}
