/* Recording what a build is made of, on a thread beside it. */
#include "build/materials.h"

#include <pthread.h>
#include <string.h>

#include "build/secrets.h"
#include "dockerfile/context.h"
#include "dockerfile/dockerfile.h"
#include "util/fs.h"
#include "util/json.h"
#include "util/log.h"
#include "util/secret.h"

/* How long a build that has ended waits for a context to be hashed. */
#define GRACE_MS 2000
#define HASH_DIGITS 32

struct strake_materials_work {
    const struct strake_plan *plan;
    struct strake_record *record;
    char *run;
    struct strake_job *job;
    pthread_t thread;
    /* Targets often share a context: its list is made once for those that come one after the
     * other. */
    char *listed; /* which context `files` is of, or NULL */
    struct strake_buf files;
};

/* ---- the files of a context ---- */

static int put_escaped(struct strake_buf *out, const char *text)
{
    int rc = 0;

    for (; rc == 0 && *text != '\0'; text++) {
        size_t plain = strcspn(text, " \n\\");
        rc = strake_buf_append(out, text, plain);
        text += plain;
        if (*text == '\0')
            break;
        if (rc == 0)
            rc = strake_buf_puts(out, *text == ' ' ? "\\s" : *text == '\n' ? "\\n" : "\\\\");
    }
    return rc;
}

static int put_content(struct strake_buf *out, const struct strake_context_entry *entry)
{
    if (entry->kind == 'f')
        return strake_buf_append(out, entry->content + strlen("sha256:"), HASH_DIGITS);
    return entry->content[0] != '\0' ? put_escaped(out, entry->content) : strake_buf_putc(out, '-');
}

static int put_entry(void *ctx, const struct strake_context_entry *entry, struct strake_err *err)
{
    struct strake_buf *out = ctx;
    const unsigned mode = entry->mode;
    const char head[] = { entry->kind, ' ' };
    char octal[8];
    size_t at = sizeof(octal);
    int rc;

    /* "%c %o ": printf would take a third of the time of the walk. */
    octal[--at] = ' ';
    for (unsigned left = mode; left || at == sizeof(octal) - 1; left >>= 3)
        octal[--at] = (char)('0' + (left & 7));
    rc = strake_buf_append(out, head, sizeof(head));
    if (rc == 0)
        rc = strake_buf_append(out, octal + at, sizeof(octal) - at);
    if (rc == 0)
        rc = put_content(out, entry);
    if (rc == 0)
        rc = strake_buf_putc(out, ' ');
    if (rc == 0)
        rc = put_escaped(out, entry->path);
    if (rc == 0)
        rc = strake_buf_putc(out, '\n');
    if (rc == STRAKE_ETOOBIG)
        return strake_fail(err, rc, "the context has too many files to keep a list of them");
    return rc < 0 ? strake_fail_nomem(err) : 0;
}

int strake_materials_files(const char *context, const char *dockerfile, struct strake_job *job,
                           struct strake_buf *out, struct strake_err *err)
{
    const struct strake_context_walk walk = {
        .context = context, .dockerfile = dockerfile, .each = put_entry, .ctx = out
    };

    return strake_context_hash(job, &walk, NULL, err);
}

/* The context's files, then those of each named context that is a folder, behind "@ NAME". */
static int list_files(const struct strake_plan_target *target, struct strake_job *job,
                      struct strake_buf *out, struct strake_err *err)
{
    int rc = strake_materials_files(target->context, target->dockerfile, job, out, err);

    for (size_t i = 0; rc == 0 && i < target->contexts.count; i++) {
        const struct strake_pair *pair = target->contexts.items[i];
        if (!strake_fs_is_dir(pair->value))
            continue;
        if (strake_buf_puts(out, "@ ") < 0 || put_escaped(out, pair->name) < 0 ||
            strake_buf_putc(out, '\n') < 0)
            return strake_fail_nomem(err);
        rc = strake_materials_files(pair->value, "", job, out, err);
    }
    return rc;
}

/* Names what list_files() would read, so that two targets' lists can be known to be the same; the
 * caller frees. */
static char *list_key(const struct strake_plan_target *target)
{
    struct strake_buf key = { 0 };
    char *ignore = strake_asprintf("%s.dockerignore", target->dockerfile);
    int rc = ignore ? strake_buf_printf(&key, "%s\n%s", target->context,
                                        strake_fs_is_file(ignore) ? ignore : "")
                    : STRAKE_ENOMEM;

    for (size_t i = 0; rc == 0 && i < target->contexts.count; i++)
        rc = strake_buf_printf(&key, "\n%s=%s", target->contexts.items[i]->name,
                               target->contexts.items[i]->value);
    strake_free(ignore);
    if (rc < 0) {
        strake_buf_dispose(&key);
        return NULL;
    }
    return strake_buf_take(&key);
}

static int find_files(struct strake_materials_work *work, const struct strake_plan_target *target,
                      struct strake_err *err)
{
    char *key = list_key(target);
    int rc = 0;

    if (!key)
        return strake_fail_nomem(err);
    if (work->listed && strcmp(work->listed, key) == 0) {
        strake_free(key);
        return 0;
    }
    strake_free(work->listed);
    work->listed = NULL;
    strake_buf_clear(&work->files);
    rc = list_files(target, work->job, &work->files, err);
    if (rc == 0)
        work->listed = key;
    else
        strake_free(key);
    return rc;
}

/* ---- the rest ---- */

/* Secrets are redacted once their values are known: a file of theirs may be read by the builder later
 * than this. One that cannot be read fails the build, which says so. */
static void know_secrets(const struct strake_plan_target *target)
{
    struct strake_err ignored = { 0 };

    strake_secrets_check(target, &ignored);
    strake_err_dispose(&ignored);
}

static json_t *describe(const struct strake_plan_target *target)
{
    json_t *data = json_object();

    if (!data || strake_json_set_str(data, "stage", target->stage) < 0 ||
        strake_json_set_bool(data, "no_cache", target->no_cache) < 0 ||
        strake_json_set(data, "no_cache_stages",
                        strake_json_strings(strake_strings_view(&target->extras.no_cache_stages))) <
            0 ||
        strake_json_set(data, "args", strake_json_pairs(strake_pairs_view(&target->args))) < 0 ||
        strake_json_set(data, "contexts", strake_json_pairs(strake_pairs_view(&target->contexts))) <
            0 ||
        strake_json_set(data, "platforms",
                        strake_json_strings(strake_strings_view(&target->platforms))) < 0 ||
        strake_json_set(data, "options", strake_extras_json(&target->extras)) < 0 ||
        strake_json_set_str(data, "context", target->context) < 0 ||
        strake_json_set_str(data, "file", target->dockerfile) < 0 ||
        strake_secret_redact_json(data) < 0) {
        json_decref(data);
        return NULL;
    }
    return data;
}

/* What fails here costs an explanation, not a build. */
static void record_target(struct strake_materials_work *work,
                          const struct strake_plan_target *target)
{
    const bool local = strstr(target->context, "://") == NULL && strake_fs_is_dir(target->context);
    struct strake_buf dockerfile = STRAKE_BUF(STRAKE_DOCKERFILE_MAX);
    struct strake_err err = { 0 }, files_err = { 0 };
    char dockerfile_id[STRAKE_DIGEST_TEXT], files_id[STRAKE_DIGEST_TEXT];
    struct strake_materials materials = { .run = work->run, .target = target->name };
    json_t *data;
    int rc;

    know_secrets(target);
    data = describe(target);
    rc = data ? 0 : strake_fail_nomem(&err);
    materials.data = data;
    if (rc == 0 && local) {
        rc = strake_fs_read(target->dockerfile, STRAKE_DOCKERFILE_MAX, &dockerfile, &err);
        if (rc == 0 && memchr(strake_buf_text(&dockerfile), '\0', dockerfile.len))
            strake_buf_clear(&dockerfile);
        if (rc == 0 && strake_secret_redact(&dockerfile) < 0)
            rc = strake_fail_nomem(&err);
        if (rc == 0)
            rc =
                strake_digest_of(strake_buf_text(&dockerfile), dockerfile.len, dockerfile_id, &err);
        if (rc == 0) {
            materials.dockerfile_id = dockerfile_id;
            materials.dockerfile = strake_buf_text(&dockerfile);
        }
    }
    if (rc == 0 && local && find_files(work, target, &files_err) == 0 &&
        strake_digest_of(strake_buf_text(&work->files), work->files.len, files_id, &files_err) ==
            0) {
        materials.files_id = files_id;
        materials.files = strake_buf_text(&work->files);
    }
    if (files_err.code)
        strake_log(STRAKE_LOG_DEBUG, "the files of %s are not on record: %s", target->name,
                   strake_err_message(&files_err));
    if (rc == 0)
        rc = strake_record_materials(work->record, &materials, &err);
    if (rc < 0)
        strake_log(STRAKE_LOG_DEBUG, "what %s is made of is not on record: %s", target->name,
                   strake_err_message(&err));
    strake_err_dispose(&err);
    strake_err_dispose(&files_err);
    strake_buf_dispose(&dockerfile);
    json_decref(data);
}

static void *record_all(void *ctx)
{
    struct strake_materials_work *work = ctx;

    for (size_t i = 0; i < work->plan->count; i++)
        record_target(work, &work->plan->targets[i]);
    strake_record_tidy(work->record);
    return NULL;
}

/* ---- the thread ---- */

static void work_free(struct strake_materials_work *work)
{
    strake_job_free(work->job);
    strake_free(work->run);
    strake_free(work->listed);
    strake_buf_dispose(&work->files);
    strake_free(work);
}

struct strake_materials_work *strake_materials_start(const struct strake_plan *plan,
                                                     struct strake_record *record, const char *run,
                                                     struct strake_job *job)
{
    struct strake_materials_work *work = record ? strake_calloc(1, sizeof(*work)) : NULL;

    if (!work)
        return NULL;
    work->plan = plan;
    work->record = record;
    work->run = strake_strdup(run);
    work->job = strake_job_new(job, NULL, NULL);
    if (!work->run || !work->job || pthread_create(&work->thread, NULL, record_all, work) != 0) {
        work_free(work);
        return NULL;
    }
    return work;
}

void strake_materials_finish(struct strake_materials_work *work)
{
    if (!work)
        return;
    strake_job_set_timeout(work->job, GRACE_MS);
    pthread_join(work->thread, NULL);
    work_free(work);
}
