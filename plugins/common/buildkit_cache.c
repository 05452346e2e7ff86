/* Caches that could not be written. */
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

/* ---- what failed ----------------------------------------------------------------------------- */

void buildkit_note_export(struct buildkit_failed_exports *failed, const struct strake_step *step)
{
    if (step->error == NULL || step->error[0] == '\0' || step->name == NULL ||
        !buildkit_is_cache_export(step->name) || plug_list_has(&failed->ids, step->id))
        return;
    plug_list_add(&failed->ids, step->id);
    plug_list_add(&failed->names, step->name);
    plug_list_add(&failed->errors, step->error);
}

void buildkit_warn_exports(const struct buildkit_failed_exports *failed,
                           const struct strake_host *host,
                           const struct strake_build_request *request, struct strake_job *job)
{
    const size_t count = failed->errors.count; /* the last that is added */
    for (size_t i = 0; i < count; i++) {
        struct plug_text places = { 0 };
        struct plug_text text = { 0 };
        buildkit_cache_places(request, failed->names.items[i], &places);
        plug_text_addf(&text, "the build cache could not be written to %s: %s",
                       plug_text_view(&places), buildkit_last_reason(failed->errors.items[i]));
        const struct strake_step_warning warning = { .size = sizeof(warning),
                                                     .text = plug_text_view(&text) };
        host->job_warning(job, &warning);
        plug_text_dispose(&text);
        plug_text_dispose(&places);
    }
}

void buildkit_failed_exports_dispose(struct buildkit_failed_exports *failed)
{
    plug_list_dispose(&failed->ids);
    plug_list_dispose(&failed->names);
    plug_list_dispose(&failed->errors);
}
