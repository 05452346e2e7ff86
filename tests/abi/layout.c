/* Offset and size of each field of the public header, compared with layout.txt: fields are only
 * ever appended, and none may go into the padding of an older minor. A plugin that was built
 * yesterday relies on each line of that file; new fields are new lines (abi_layout --print). */
#include <stdio.h>
#include <string.h>

#include "strake/plugin.h"

struct line {
    const char *name;
    size_t offset; /* 0 for a whole struct */
    size_t size;
};

#define WHOLE(type)                                                                                \
    {                                                                                              \
#type, 0, sizeof(struct type)                                                              \
    }
#define FIELD(type, field)                                                                         \
    {                                                                                              \
#type "." #field, offsetof(struct type, field), sizeof(((struct type *)0)->field)          \
    }

static const struct line lines[] = {
    WHOLE(strake_pair),
    FIELD(strake_pair, name),
    FIELD(strake_pair, value),
    WHOLE(strake_process_fd),
    FIELD(strake_process_fd, fd),
    FIELD(strake_process_fd, data),
    FIELD(strake_process_fd, ctx),
    WHOLE(strake_process),
    FIELD(strake_process, size),
    FIELD(strake_process, argv),
    FIELD(strake_process, env),
    FIELD(strake_process, cwd),
    FIELD(strake_process, input),
    FIELD(strake_process, input_len),
    FIELD(strake_process, fds),
    FIELD(strake_process, timeout_ms),
    FIELD(strake_process, grace_ms),
    FIELD(strake_process, watch),
    FIELD(strake_process, watch_ctx),
    FIELD(strake_process, watch_ms),
    WHOLE(strake_process_result),
    FIELD(strake_process_result, size),
    FIELD(strake_process_result, exit_code),
    FIELD(strake_process_result, signal),
    WHOLE(strake_http_request),
    FIELD(strake_http_request, size),
    FIELD(strake_http_request, method),
    FIELD(strake_http_request, url),
    FIELD(strake_http_request, headers),
    FIELD(strake_http_request, body),
    FIELD(strake_http_request, body_len),
    FIELD(strake_http_request, read),
    FIELD(strake_http_request, rewind),
    FIELD(strake_http_request, write),
    FIELD(strake_http_request, ctx),
    FIELD(strake_http_request, response),
    FIELD(strake_http_request, timeout_ms),
    FIELD(strake_http_request, max_bytes),
    FIELD(strake_http_request, max_redirects),
    FIELD(strake_http_request, plain_http),
    FIELD(strake_http_request, ca_file),
    FIELD(strake_http_request, cert_file),
    FIELD(strake_http_request, key_file),
    FIELD(strake_http_request, idempotent),
    WHOLE(strake_http_response),
    FIELD(strake_http_response, size),
    FIELD(strake_http_response, status),
    FIELD(strake_http_response, headers),
    FIELD(strake_http_response, body_bytes),
    FIELD(strake_http_response, retries),
    WHOLE(strake_step),
    FIELD(strake_step, size),
    FIELD(strake_step, id),
    FIELD(strake_step, name),
    FIELD(strake_step, started_us),
    FIELD(strake_step, completed_us),
    FIELD(strake_step, cached),
    FIELD(strake_step, error),
    FIELD(strake_step, inputs),
    WHOLE(strake_step_progress),
    FIELD(strake_step_progress, size),
    FIELD(strake_step_progress, step),
    FIELD(strake_step_progress, name),
    FIELD(strake_step_progress, current_bytes),
    FIELD(strake_step_progress, total_bytes),
    WHOLE(strake_step_warning),
    FIELD(strake_step_warning, size),
    FIELD(strake_step_warning, text),
    FIELD(strake_step_warning, url),
    FIELD(strake_step_warning, file),
    FIELD(strake_step_warning, line),
    WHOLE(strake_host),
    FIELD(strake_host, size),
    FIELD(strake_host, abi),
    FIELD(strake_host, version),
    FIELD(strake_host, buf_new),
    FIELD(strake_host, buf_free),
    FIELD(strake_host, buf_append),
    FIELD(strake_host, buf_data),
    FIELD(strake_host, buf_clear),
    FIELD(strake_host, fail),
    FIELD(strake_host, err_hint),
    FIELD(strake_host, err_place),
    FIELD(strake_host, err_detail),
    FIELD(strake_host, err_new),
    FIELD(strake_host, err_free),
    FIELD(strake_host, err_code),
    FIELD(strake_host, err_message),
    FIELD(strake_host, log),
    FIELD(strake_host, job_cancelled),
    FIELD(strake_host, job_cancel_fd),
    FIELD(strake_host, job_remaining_ms),
    FIELD(strake_host, job_step),
    FIELD(strake_host, job_step_log),
    FIELD(strake_host, job_step_progress),
    FIELD(strake_host, job_warning),
    FIELD(strake_host, process_run),
    FIELD(strake_host, http_request),
    FIELD(strake_host, secret_get),
    FIELD(strake_host, secret_mark),
    FIELD(strake_host, digest),
    FIELD(strake_host, job_cache_exported),
    WHOLE(strake_build_secret),
    FIELD(strake_build_secret, id),
    FIELD(strake_build_secret, file),
    FIELD(strake_build_secret, name),
    WHOLE(strake_build_request),
    FIELD(strake_build_request, size),
    FIELD(strake_build_request, target),
    FIELD(strake_build_request, context),
    FIELD(strake_build_request, dockerfile),
    FIELD(strake_build_request, stage),
    FIELD(strake_build_request, platforms),
    FIELD(strake_build_request, args),
    FIELD(strake_build_request, labels),
    FIELD(strake_build_request, contexts),
    FIELD(strake_build_request, cache_import),
    FIELD(strake_build_request, cache_export),
    FIELD(strake_build_request, secrets),
    FIELD(strake_build_request, no_cache),
    FIELD(strake_build_request, output),
    FIELD(strake_build_request, image),
    FIELD(strake_build_request, plain_http),
    FIELD(strake_build_request, layout_dir),
    FIELD(strake_build_request, output_type),
    FIELD(strake_build_request, output_dest),
    FIELD(strake_build_request, auth_json),
    FIELD(strake_build_request, annotations),
    FIELD(strake_build_request, ssh),
    FIELD(strake_build_request, entitlements),
    FIELD(strake_build_request, add_hosts),
    FIELD(strake_build_request, ulimits),
    FIELD(strake_build_request, attestations),
    FIELD(strake_build_request, no_cache_stages),
    FIELD(strake_build_request, network),
    FIELD(strake_build_request, compression),
    FIELD(strake_build_request, source_date_epoch),
    FIELD(strake_build_request, shm_size_bytes),
    FIELD(strake_build_request, compression_level),
    FIELD(strake_build_request, force_compression),
    FIELD(strake_build_request, rewrite_timestamp),
    FIELD(strake_build_request, multi_platform),
    FIELD(strake_build_request, pull),
    WHOLE(strake_build_result),
    FIELD(strake_build_result, size),
    FIELD(strake_build_result, digest),
    FIELD(strake_build_result, media_type),
    FIELD(strake_build_result, pushed),
    WHOLE(strake_builder_info),
    FIELD(strake_builder_info, size),
    FIELD(strake_builder_info, features),
    FIELD(strake_builder_info, version),
    FIELD(strake_builder_info, platforms),
    FIELD(strake_builder_info, workers),
    FIELD(strake_builder_info, worker),
    WHOLE(strake_builder_v1),
    FIELD(strake_builder_v1, size),
    FIELD(strake_builder_v1, probe),
    FIELD(strake_builder_v1, command),
    FIELD(strake_builder_v1, build),
    FIELD(strake_builder_v1, features),
    FIELD(strake_builder_v1, usage),
    FIELD(strake_builder_v1, prune),
    WHOLE(strake_descriptor),
    FIELD(strake_descriptor, size),
    FIELD(strake_descriptor, digest),
    FIELD(strake_descriptor, media_type),
    FIELD(strake_descriptor, size_bytes),
    WHOLE(strake_registry_access),
    FIELD(strake_registry_access, size),
    FIELD(strake_registry_access, asked),
    FIELD(strake_registry_access, given),
    FIELD(strake_registry_access, scheme),
    FIELD(strake_registry_access, source),
    FIELD(strake_registry_access, actions),
    WHOLE(strake_registry_login),
    FIELD(strake_registry_login, size),
    FIELD(strake_registry_login, username),
    FIELD(strake_registry_login, password),
    FIELD(strake_registry_login, repository),
    WHOLE(strake_registry_v1),
    FIELD(strake_registry_v1, size),
    FIELD(strake_registry_v1, resolve),
    FIELD(strake_registry_v1, manifest_get),
    FIELD(strake_registry_v1, manifest_put),
    FIELD(strake_registry_v1, tags),
    FIELD(strake_registry_v1, blob_stat),
    FIELD(strake_registry_v1, blob_get),
    FIELD(strake_registry_v1, blob_put),
    FIELD(strake_registry_v1, blob_mount),
    FIELD(strake_registry_v1, manifest_delete),
    FIELD(strake_registry_v1, referrers),
    FIELD(strake_registry_v1, ping),
    FIELD(strake_registry_v1, access),
    FIELD(strake_registry_v1, referrers_of),
    FIELD(strake_registry_v1, login),
    FIELD(strake_registry_v1, logout),
    WHOLE(strake_cache_request),
    FIELD(strake_cache_request, size),
    FIELD(strake_cache_request, target),
    FIELD(strake_cache_request, image),
    FIELD(strake_cache_request, platform),
    FIELD(strake_cache_request, branch),
    FIELD(strake_cache_request, options),
    FIELD(strake_cache_request, main_branch),
    FIELD(strake_cache_request, plain_http),
    FIELD(strake_cache_request, older_ms),
    FIELD(strake_cache_request, keep_bytes),
    FIELD(strake_cache_request, tags),
    FIELD(strake_cache_request, project),
    WHOLE(strake_cache_v1),
    FIELD(strake_cache_v1, size),
    FIELD(strake_cache_v1, specs),
    FIELD(strake_cache_v1, show),
    FIELD(strake_cache_v1, prune),
    WHOLE(strake_scanner_v1),
    FIELD(strake_scanner_v1, size),
    FIELD(strake_scanner_v1, scan),
    FIELD(strake_scanner_v1, sbom),
    FIELD(strake_scanner_v1, database),
    WHOLE(strake_message),
    FIELD(strake_message, size),
    FIELD(strake_message, id),
    FIELD(strake_message, event),
    FIELD(strake_message, title),
    FIELD(strake_message, text),
    FIELD(strake_message, click),
    FIELD(strake_message, priority),
    FIELD(strake_message, tags),
    FIELD(strake_message, data),
    WHOLE(strake_notifier_v1),
    FIELD(strake_notifier_v1, size),
    FIELD(strake_notifier_v1, send),
    FIELD(strake_notifier_v1, update),
    FIELD(strake_notifier_v1, ping),
    WHOLE(strake_workflow_v1),
    FIELD(strake_workflow_v1, size),
    FIELD(strake_workflow_v1, dispatch),
    FIELD(strake_workflow_v1, status),
    FIELD(strake_workflow_v1, list),
    FIELD(strake_workflow_v1, logs),
    FIELD(strake_workflow_v1, cancel),
    WHOLE(strake_deployment),
    FIELD(strake_deployment, size),
    FIELD(strake_deployment, kind),
    FIELD(strake_deployment, container),
    FIELD(strake_deployment, image),
    FIELD(strake_deployment, options),
    WHOLE(strake_deployer_v1),
    FIELD(strake_deployer_v1, size),
    FIELD(strake_deployer_v1, diff),
    FIELD(strake_deployer_v1, apply),
    FIELD(strake_deployer_v1, undo),
    WHOLE(strake_interface),
    FIELD(strake_interface, name),
    FIELD(strake_interface, vtable),
    WHOLE(strake_plugin),
    FIELD(strake_plugin, abi),
    FIELD(strake_plugin, size),
    FIELD(strake_plugin, name),
    FIELD(strake_plugin, version),
    FIELD(strake_plugin, open),
    FIELD(strake_plugin, close),
    FIELD(strake_plugin, interfaces),
    FIELD(strake_plugin, summary),
};
#define LINES (sizeof(lines) / sizeof(lines[0]))

/* A line of layout.txt, or of this header. */
struct entry {
    char name[96];
    size_t offset;
    size_t size;
};

static struct entry recorded[2 * LINES];
static size_t recorded_count;

static int read_recorded(const char *path)
{
    FILE *file = fopen(path, "r");
    struct entry *entry = recorded;

    if (!file) {
        perror(path);
        return -1;
    }
    while (recorded_count < sizeof(recorded) / sizeof(recorded[0]) &&
           fscanf(file, "%95s %zu %zu", entry->name, &entry->offset, &entry->size) == 3) {
        recorded_count++;
        entry++;
    }
    fclose(file);
    return recorded_count ? 0 : -1;
}

static const struct line *find(const char *name)
{
    for (size_t i = 0; i < LINES; i++) {
        if (strcmp(lines[i].name, name) == 0)
            return &lines[i];
    }
    return NULL;
}

static const struct entry *find_recorded(const char *name)
{
    for (size_t i = 0; i < recorded_count; i++) {
        if (strcmp(recorded[i].name, name) == 0)
            return &recorded[i];
    }
    return NULL;
}

/* Only a struct that says its own size may grow: others are elements of lists, or never told apart.
 */
static bool may_grow(const char *name)
{
    char field[128];
    int len = snprintf(field, sizeof(field), "%.100s.size", name);

    return len > 0 && find(field) != NULL;
}

/* What was recorded is still so. */
static int check_recorded(const struct entry *entry)
{
    const struct line *now = find(entry->name);
    bool whole = !strchr(entry->name, '.');

    if (now && now->offset == entry->offset &&
        (now->size == entry->size || (whole && may_grow(entry->name) && now->size > entry->size)))
        return 0;
    printf("%s was at %zu with %zu bytes, and %s\n", entry->name, entry->offset, entry->size,
           now ? "has moved or changed" : "is gone");
    return 1;
}

/* What is new was appended. */
static int check_new(const struct line *line)
{
    char owner[96];
    const struct entry *whole;

    if (find_recorded(line->name))
        return 0;
    snprintf(owner, sizeof(owner), "%.*s", (int)strcspn(line->name, "."), line->name);
    whole = find_recorded(owner);
    if (whole && line->offset < whole->size)
        printf("%s lies within what older plugins fill, or in their padding\n", line->name);
    else
        printf("%s is new: append \"%s %zu %zu\"\n", line->name, line->name, line->offset,
               line->size);
    return 1;
}

static int compare(const char *path)
{
    int faults = 0;

    if (read_recorded(path) < 0)
        return 1;
    for (size_t i = 0; i < recorded_count; i++)
        faults += check_recorded(&recorded[i]);
    for (size_t i = 0; i < LINES; i++)
        faults += check_new(&lines[i]);
    return faults ? 1 : 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--print") != 0)
        return compare(argv[1]);
    for (size_t i = 0; i < LINES; i++)
        printf("%s %zu %zu\n", lines[i].name, lines[i].offset, lines[i].size);
    return 0;
}
