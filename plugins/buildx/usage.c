/* What a builder keeps of earlier builds: `buildx du --verbose` and `buildx prune --verbose`, which
 * say the same of a record, in lines for people. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buildx/buildx.h"
#include "common/buildkit_classify.h"

#define LINE_MAX_BYTES ((size_t)64 * 1024)

/* ---- values ---------------------------------------------------------------------------------- */

/* Digits of a number, as far as they go, at most 15 of them; *at moves behind them. */
static int64_t number(const char **at, int *count)
{
    int64_t value = 0;
    for (*count = 0; **at >= '0' && **at <= '9' && *count < 15; (*at)++, (*count)++)
        value = value * 10 + (**at - '0');
    return value;
}

int64_t buildx_size_parse(const char *text)
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB" };
    const char *at = text;
    int digits, decimals = 0;
    int64_t whole = number(&at, &digits);
    int64_t part = 0;
    if (digits == 0 || digits > 6)
        return -1;
    if (*at == '.') {
        at++;
        part = number(&at, &decimals);
        if (decimals == 0 || decimals > 6)
            return -1;
    }
    for (; decimals < 6; decimals++)
        part *= 10; /* millionths */
    int64_t unit = 1;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++, unit *= 1000) {
        if (strcmp(at, units[i]) == 0)
            return whole > INT64_MAX / unit - 1
                       ? -1
                       : whole * unit +
                             (unit >= 1000000 ? unit / 1000000 * part : part * unit / 1000000);
    }
    return -1;
}

bool buildx_time_parse(const char *text, char *out, size_t size)
{
    /* "2026-11-25 23:10:20.235580317 +0000 UTC" */
    size_t len = strlen(text);
    const char *zone = len > 19 ? strchr(text + 19, ' ') : NULL;
    if (zone == NULL || text[10] != ' ' || strlen(zone) < 6 || (zone[1] != '+' && zone[1] != '-') ||
        strspn(zone + 2, "0123456789") != 4)
        return false;
    int n = snprintf(out, size, "%.10sT%.*s%.3s:%.2s", text, (int)(zone - text - 11), text + 11,
                     zone + 1, zone + 4);
    return n > 0 && (size_t)n < size;
}

/* ---- records --------------------------------------------------------------------------------- */

/* The value behind "KEY:" and blanks, or NULL. */
static const char *value_of(const char *line, const char *key)
{
    size_t len = strlen(key);
    if (strncmp(line, key, len) != 0 || line[len] != ':')
        return NULL;
    return line + len + 1 + strspn(line + len + 1, " \t");
}

static int set_text(json_t *entry, const char *key, const char *value)
{
    json_t *text = json_string(value);
    return text != NULL ? json_object_set_new(entry, key, text) : 0; /* no UTF-8: left out */
}

static int set_field(struct buildx_records *records, const char *line)
{
    static const struct {
        const char *key, *name;
    } texts[] = { { "Type", "type" }, { "Description", "description" } };
    json_t *entry = records->entry;
    const char *value;
    char when[64];
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if ((value = value_of(line, texts[i].key)) != NULL)
            return set_text(entry, texts[i].name, value);
    }
    if ((value = value_of(line, "Size")) != NULL && buildx_size_parse(value) >= 0)
        return json_object_set_new(entry, "size_bytes", json_integer(buildx_size_parse(value)));
    if ((value = value_of(line, "Created at")) != NULL &&
        buildx_time_parse(value, when, sizeof(when)))
        return set_text(entry, "created", when);
    if ((value = value_of(line, "Reclaimable")) != NULL)
        return json_object_set_new(entry, "in_use", json_boolean(strcmp(value, "false") == 0));
    if ((value = value_of(line, "Shared")) != NULL)
        return json_object_set_new(entry, "shared", json_boolean(strcmp(value, "true") == 0));
    return 0;
}

static int put(struct buildx_records *records, const char *text)
{
    return records->host->buf_append(records->out, text, strlen(text));
}

/* A record is whole; one that does not say its size is none. */
static int end_record(struct buildx_records *records)
{
    json_t *entry = records->entry;
    records->entry = NULL;
    int rc = 0;
    if (json_is_integer(json_object_get(entry, "size_bytes"))) {
        char *text = json_dumps(entry, JSON_COMPACT);
        rc = text == NULL ? STRAKE_ENOMEM : put(records, records->count > 0 ? "," : "[");
        if (rc == 0)
            rc = put(records, text);
        records->count += rc == 0;
        free(text);
    }
    json_decref(entry);
    return rc;
}

int buildx_records_line(void *ctx, char *line, size_t len)
{
    struct buildx_records *records = ctx;
    const char *id = value_of(line, "ID");
    if (id != NULL || len == 0) {
        int rc = records->entry != NULL ? end_record(records) : 0;
        if (rc < 0 || id == NULL)
            return rc;
        records->entry = json_object();
        return records->entry != NULL && set_text(records->entry, "id", id) == 0 ? 0
                                                                                 : STRAKE_ENOMEM;
    }
    if (records->entry == NULL)
        return 0; /* the sums at the end */
    return set_field(records, line) < 0 ? STRAKE_ENOMEM : 0;
}

int buildx_records_finish(struct buildx_records *records)
{
    int rc = records->entry != NULL ? end_record(records) : 0;
    return rc < 0 ? rc : put(records, records->count > 0 ? "]" : "[]");
}

/* ---- running it ------------------------------------------------------------------------------ */

static int feed(void *ctx, const char *data, size_t len)
{
    return plug_lines_feed(ctx, data, len);
}

static int explain(const struct buildx *self, int rc, const struct plug_tail *errors,
                   struct strake_err *err)
{
    if (rc == STRAKE_ENOTFOUND)
        return buildx_no_program(self, err);
    if (rc < 0)
        return rc;
    size_t len;
    const char *text = plug_tail_text(errors, &len);
    struct plug_failure failure;
    buildkit_classify(text, len, "", &buildx_client, &failure);
    if (failure.code != STRAKE_EUNSUPPORTED)
        failure.code = STRAKE_EBUILDER;
    return plug_failure_report(&failure, self->host, err);
}

/* `argv` is complete but for the builder. What it tells of records goes to `out`. */
static int run(const struct buildx *self, struct strake_job *job, struct plug_list *argv,
               struct strake_buf *out, struct strake_err *err)
{
    struct buildx_records records = { .host = self->host, .out = out };
    struct plug_lines lines = { .max = LINE_MAX_BYTES,
                                .line = buildx_records_line,
                                .ctx = &records };
    struct plug_list env = { 0 };
    struct plug_tail errors = { 0 };
    buildx_argv_builder(self, argv);
    buildx_env_begin(self, &env);
    const struct strake_process_fd words = { .fd = 1, .data = feed, .ctx = &lines };
    const struct strake_process_fd last = { .fd = 2, .data = plug_tail_keep, .ctx = &errors };
    const struct strake_process_fd *const fds[] = { &words, &last, NULL };
    const struct strake_process process = {
        .size = sizeof(process),
        .argv = plug_list_view(argv),
        .env = plug_list_view(&env),
        .fds = fds,
    };
    struct strake_process_result ended = { .size = sizeof(ended) };
    int rc = argv->failed || env.failed ? plug_fail_nomem(self->host, err)
                                        : self->host->process_run(job, &process, &ended, err);
    int rest = plug_lines_finish(&lines);
    if (rc < 0 || ended.exit_code != 0)
        rc = explain(self, rc, &errors, err);
    else if (rest < 0 || (rest = buildx_records_finish(&records)) < 0)
        rc = self->host->fail(err, rest, "what %s keeps cannot be kept: it is too much",
                              buildx_where(self));
    json_decref(records.entry);
    plug_tail_dispose(&errors);
    plug_list_dispose(&env);
    return rc;
}

int buildx_usage(void *instance, struct strake_job *job, struct strake_buf *entries,
                 struct strake_err *err)
{
    const struct buildx *self = instance;
    struct plug_list argv = { 0 };
    int rc = buildx_client.reach(self, job, err);
    if (rc < 0)
        return rc;
    buildx_argv_begin(self, &argv);
    plug_list_add(&argv, "du");
    plug_list_add(&argv, "--verbose");
    rc = run(self, job, &argv, entries, err);
    plug_list_dispose(&argv);
    return rc;
}

int buildx_prune(void *instance, struct strake_job *job, int64_t older_ms, int64_t keep_bytes,
                 struct strake_buf *report, struct strake_err *err)
{
    static const char *const words[] = { "prune", "--force", "--verbose" };
    const struct buildx *self = instance;
    struct plug_list argv = { 0 };
    int rc = buildx_client.reach(self, job, err);
    if (rc < 0)
        return rc;
    buildx_argv_begin(self, &argv);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        plug_list_add(&argv, words[i]);
    if (older_ms > 0) {
        plug_list_add(&argv, "--filter");
        plug_list_addf(&argv, "until=%lldms", (long long)older_ms);
    }
    if (keep_bytes > 0) {
        plug_list_add(&argv, "--reserved-space");
        plug_list_addf(&argv, "%lld", (long long)keep_bytes);
    }
    rc = run(self, job, &argv, report, err);
    plug_list_dispose(&argv);
    return rc;
}
