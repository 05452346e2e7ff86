/* What a daemon keeps of earlier builds: `buildctl du` and `buildctl prune`. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "buildctl/buildctl.h"
#include "common/buildkit_classify.h"
#include "common/stream.h"

#define RECORD_MAX ((size_t)1024 * 1024)

/* One answer being collected: records, wherever they come from, into one JSON array. */
struct records {
    const struct strake_host *host;
    struct strake_buf *out;
    struct strake_buf *raw;  /* du's one array */
    struct plug_lines lines; /* prune's objects */
    size_t count;
};

/* ---- records --------------------------------------------------------------------------------- */

static int set_text(json_t *entry, const char *key, const json_t *record, const char *from)
{
    const json_t *value = json_object_get(record, from);
    return json_is_string(value) ? json_object_set_new(entry, key, json_copy((json_t *)value)) : 0;
}

/* A record of BuildKit's as builder/1 has it. NULL: it is none, or out of memory. */
static json_t *entry_of(const json_t *record)
{
    const json_t *size = json_object_get(record, "size");
    json_t *entry = json_object();
    if (entry == NULL || !json_is_integer(size) || json_integer_value(size) < 0 ||
        set_text(entry, "id", record, "id") < 0 ||
        set_text(entry, "type", record, "recordType") < 0 ||
        json_object_set_new(entry, "size_bytes", json_integer(json_integer_value(size))) < 0 ||
        set_text(entry, "created", record, "createdAt") < 0 ||
        set_text(entry, "last_used", record, "lastUsedAt") < 0 ||
        json_object_set_new(entry, "in_use",
                            json_boolean(json_is_true(json_object_get(record, "inUse")))) < 0 ||
        json_object_set_new(entry, "shared",
                            json_boolean(json_is_true(json_object_get(record, "shared")))) < 0 ||
        set_text(entry, "description", record, "description") < 0) {
        json_decref(entry);
        return NULL;
    }
    return entry;
}

static int put(struct records *records, const char *text)
{
    return records->host->buf_append(records->out, text, strlen(text));
}

/* @return 0, STRAKE_EBUILDER: not a record, or what buf_append() says. */
static int add_record(struct records *records, const json_t *record)
{
    json_t *entry = entry_of(record);
    char *text = entry != NULL ? json_dumps(entry, JSON_COMPACT) : NULL;
    int rc = text == NULL ? STRAKE_EBUILDER : put(records, records->count > 0 ? "," : "[");
    if (rc == 0)
        rc = put(records, text);
    records->count += rc == 0;
    free(text);
    json_decref(entry);
    return rc;
}

static int finish_records(struct records *records)
{
    return put(records, records->count > 0 ? "]" : "[]");
}

/* du prints one array, or null when there is nothing. */
static int read_array(struct records *records)
{
    size_t len;
    const char *text = records->host->buf_data(records->raw, &len);
    json_t *list = json_loadb(text, len, JSON_DECODE_ANY, NULL);
    int rc = json_is_array(list) || json_is_null(list) ? 0 : STRAKE_EBUILDER;
    size_t i;
    json_t *record;
    json_array_foreach(list, i, record) {
        if (rc == 0)
            rc = add_record(records, record);
    }
    json_decref(list);
    return rc;
}

static int keep_raw(void *ctx, const char *data, size_t len)
{
    struct records *records = ctx;
    return records->host->buf_append(records->raw, data, len);
}

/* prune prints an object a line. */
static int on_line(void *ctx, char *line, size_t len)
{
    struct records *records = ctx;
    if (len == 0)
        return 0;
    json_t *record = json_loadb(line, len, 0, NULL);
    int rc = add_record(records, record);
    json_decref(record);
    return rc;
}

static int feed_lines(void *ctx, const char *data, size_t len)
{
    struct records *records = ctx;
    return plug_lines_feed(&records->lines, data, len);
}

/* ---- running it ------------------------------------------------------------------------------ */

static int explain(const struct buildctl *self, int rc, const struct strake_process_result *ended,
                   const struct plug_tail *words, struct strake_err *err)
{
    if (rc == STRAKE_ENOTFOUND)
        return buildctl_no_program(self, err);
    if (rc == STRAKE_EBUILDER || (rc == 0 && ended->exit_code == 0))
        return self->host->fail(err, STRAKE_EBUILDER,
                                "what answers at %s does not say what it keeps", self->address);
    if (rc < 0)
        return rc;
    size_t len;
    const char *text = plug_tail_text(words, &len);
    struct plug_failure failure;
    buildkit_classify(text, len, "", &buildctl_client, &failure);
    failure.code = STRAKE_EBUILDER;
    return plug_failure_report(&failure, self->host, err);
}

static int run(const struct buildctl *self, struct strake_job *job, const struct plug_list *argv,
               int (*data)(void *ctx, const char *data, size_t len), struct records *records,
               struct strake_err *err)
{
    struct plug_tail words = { 0 };
    const struct strake_process_fd out = { .fd = 1, .data = data, .ctx = records };
    const struct strake_process_fd errors = { .fd = 2, .data = plug_tail_keep, .ctx = &words };
    const struct strake_process_fd *const fds[] = { &out, &errors, NULL };
    const struct strake_process process = {
        .size = sizeof(process),
        .argv = plug_list_view(argv),
        .fds = fds,
    };
    struct strake_process_result ended = { .size = sizeof(ended) };
    int rc = argv->failed ? plug_fail_nomem(self->host, err)
                          : self->host->process_run(job, &process, &ended, err);
    int last = plug_lines_finish(&records->lines);
    if (rc == 0 && last < 0)
        rc = last;
    if (rc == 0 && ended.exit_code == 0 && records->raw != NULL)
        rc = read_array(records);
    if (rc == 0 && ended.exit_code == 0)
        rc = finish_records(records);
    if (rc < 0 || ended.exit_code != 0)
        rc = explain(self, rc, &ended, &words, err);
    plug_tail_dispose(&words);
    return rc;
}

static void add_words(struct plug_list *argv, const char *const *words)
{
    for (; *words != NULL; words++)
        plug_list_add(argv, *words);
}

int buildctl_usage(void *instance, struct strake_job *job, struct strake_buf *entries,
                   struct strake_err *err)
{
    static const char *const words[] = { "du", "--format", "{{json .}}", NULL };
    const struct buildctl *self = instance;
    struct plug_list argv = { 0 };
    struct records records = { .host = self->host, .out = entries };
    const struct buildkit_peer peer = buildctl_peer(self);
    int rc = buildkit_reach(&peer, job, err);
    if (rc < 0)
        return rc;
    records.raw = self->host->buf_new(BUILDCTL_RECORDS_MAX);
    if (records.raw == NULL)
        return plug_fail_nomem(self->host, err);
    buildctl_argv_begin(self, &argv);
    add_words(&argv, words);
    rc = run(self, job, &argv, keep_raw, &records, err);
    plug_list_dispose(&argv);
    self->host->buf_free(records.raw);
    return rc;
}

int buildctl_prune(void *instance, struct strake_job *job, int64_t older_ms, int64_t keep_bytes,
                   struct strake_buf *report, struct strake_err *err)
{
    static const char *const words[] = { "prune", "--format", "{{json .}}", NULL };
    const struct buildctl *self = instance;
    struct plug_list argv = { 0 };
    struct records records = { .host = self->host, .out = report };
    const struct buildkit_peer peer = buildctl_peer(self);
    int rc = buildkit_reach(&peer, job, err);
    if (rc < 0)
        return rc;
    records.lines = (struct plug_lines){ .max = RECORD_MAX, .line = on_line, .ctx = &records };
    buildctl_argv_begin(self, &argv);
    add_words(&argv, words);
    if (older_ms > 0) {
        plug_list_add(&argv, "--keep-duration");
        plug_list_addf(&argv, "%lldms", (long long)older_ms);
    }
    if (keep_bytes > 0) { /* in MB */
        plug_list_add(&argv, "--keep-storage");
        plug_list_addf(&argv, "%lld.%06lld", (long long)(keep_bytes / 1000000),
                       (long long)(keep_bytes % 1000000));
    }
    rc = run(self, job, &argv, feed_lines, &records, err);
    plug_list_dispose(&argv);
    return rc;
}
