/* Messages to people: made from events and notify{}, kept in the outbox, sent before the program
 * ends. A failed notification never changes a result. */
#include <string.h>

#include "plugin/instance.h"
#include "project/session.h"
#include "util/json.h"
#include "util/log.h"
#include "util/secret.h"
#include "util/time.h"

#define EXPIRES_US ((int64_t)24 * 3600 * 1000000)
#define FLUSH_MAX 32
#define RETRY_US ((int64_t)30 * 1000000)

/* ---- what a message says ---- */

static const char *event_title(const struct strake_event *event)
{
    switch (event->type) {
    case STRAKE_EVENT_RUN_DONE:
        return "Run done";
    case STRAKE_EVENT_RUN_FAILED:
        return "Run failed";
    case STRAKE_EVENT_RUN_CANCELLED:
        return "Run cancelled";
    case STRAKE_EVENT_TARGET_FAILED:
        return "Build failed";
    case STRAKE_EVENT_IMAGE_PUBLISHED:
        return "Image published";
    default:
        return strake_event_name(event->type);
    }
}

/* "app: what failed", "ghcr.io/o/app:v1, …"; always something. */
static int event_text(const struct strake_event *event, struct strake_buf *out)
{
    const json_t *data = event->data, *refs = json_object_get(data, "refs"), *ref;
    const char *error = strake_json_str(json_object_get(data, "error"), "message");
    const char *command = strake_json_str(data, "command");
    size_t i;
    int rc = 0;

    if (event->target[0])
        rc = strake_buf_printf(out, "%s: ", event->target);
    json_array_foreach(refs, i, ref) {
        if (rc == 0)
            rc = strake_buf_printf(out, "%s%s", i ? ", " : "", json_string_value(ref));
    }
    if (rc == 0 && error)
        rc = strake_buf_puts(out, error);
    else if (rc == 0 && command)
        rc = strake_buf_puts(out, command);
    if (rc == 0 && (out->len == 0 || out->data[out->len - 1] == ' '))
        rc = strake_buf_puts(out, strake_event_name(event->type));
    return rc;
}

static int event_priority(enum strake_event_type type)
{
    return type == STRAKE_EVENT_RUN_FAILED || type == STRAKE_EVENT_TARGET_FAILED ? 4 : 3;
}

static json_t *event_message(const struct strake_event *event)
{
    struct strake_buf text = STRAKE_BUF(65536);
    json_t *message = json_object();

    if (!message || event_text(event, &text) < 0 ||
        strake_json_set_str(message, "event", strake_event_name(event->type)) < 0 ||
        strake_json_set_str(message, "title", event_title(event)) < 0 ||
        strake_json_set_str(message, "text", strake_buf_text(&text)) < 0 ||
        strake_json_set_int(message, "priority", event_priority(event->type)) < 0 ||
        json_object_set(message, "data", event->data) < 0) {
        json_decref(message);
        message = NULL;
    }
    strake_buf_dispose(&text);
    return message;
}

/* ---- into the outbox ---- */

/* A later command on this machine may send it without the project: secrets go along by their
 * source. */
static json_t *portable_options(const json_t *options)
{
    json_t *copy = json_deep_copy(options), *sources = json_object(), *value;
    const char *key;

    json_object_foreach(copy, key, value) {
        const char *name = strake_json_str(value, "secret");
        if (name && strake_json_set(sources, name, strake_secret_source(name)) < 0) {
            json_decref(copy);
            json_decref(sources);
            return NULL;
        }
    }
    if (strake_json_set(copy, "secret_sources", sources) < 0) {
        json_decref(copy);
        return NULL;
    }
    return copy;
}

static int keep(struct strake_session *session, struct strake_outgoing *out)
{
    json_t *entry;

    if (!session->waiting)
        session->waiting = json_array();
    entry = json_pack("{s:s, s:s, s:O, s:O}", "notifier", out->notifier, "type", out->type,
                      "options", out->options, "message", out->message);
    return entry && json_array_append_new(session->waiting, entry) == 0 ? 0 : STRAKE_ENOMEM;
}

static int put_message(struct strake_session *session, const struct strake_block *block,
                       const json_t *message, struct strake_err *err)
{
    char id[40];
    int64_t now = strake_time_now_us();
    struct strake_outgoing out = { .run = session->run,
                                   .notifier = block->name,
                                   .type = block->type,
                                   .options = portable_options(block->options),
                                   .message = json_copy((json_t *)message),
                                   .not_before_us = now,
                                   .expires_us = now + EXPIRES_US };
    int rc = 0;

    strake_run_id(id);
    if (!out.options || !out.message || strake_json_set_str(out.message, "id", id) < 0 ||
        strake_secret_redact_json(out.message) < 0)
        rc = strake_fail_nomem(err);
    else if (session->record)
        rc = strake_outbox_put(session->record, &out, err);
    else if (keep(session, &out) < 0)
        rc = strake_fail_nomem(err);
    json_decref(out.options);
    json_decref(out.message);
    return rc;
}

/* "run.failed", or "run.*" for all of that family. */
static bool wants(const struct strake_block *block, const char *event)
{
    for (size_t i = 0; i < block->on.count; i++) {
        const char *pattern = block->on.items[i];
        size_t len = strlen(pattern);
        if (strcmp(pattern, event) == 0 ||
            (len > 1 && pattern[len - 1] == '*' && strncmp(pattern, event, len - 1) == 0))
            return true;
    }
    return false;
}

void strake_session_announce(void *ctx, const struct strake_event *event)
{
    struct strake_session *session = ctx;
    const struct strake_project *project = session->project;
    struct strake_err err = { 0 };

    if (event->type == STRAKE_EVENT_NOTIFY_SENT || event->type == STRAKE_EVENT_NOTIFY_FAILED)
        return; /* a message about a message would have no end */
    for (size_t i = 0; project && i < project->block_count; i++) {
        const struct strake_block *block = project->blocks[i];
        json_t *message;
        if (block->kind != STRAKE_BLOCK_NOTIFIER || !wants(block, strake_event_name(event->type)))
            continue;
        message = event_message(event);
        if (!message || put_message(session, block, message, &err) < 0)
            strake_log(STRAKE_LOG_WARN, "a message to %s is lost: %s", block->name,
                       strake_err_message(&err));
        json_decref(message);
        strake_err_dispose(&err);
    }
}

int strake_session_notify(struct strake_session *session, const json_t *message, const char *to,
                          struct strake_err *err)
{
    const struct strake_project *project = session->project;
    int count = 0;

    for (size_t i = 0; i < project->block_count; i++) {
        const struct strake_block *block = project->blocks[i];
        int rc;
        if (block->kind != STRAKE_BLOCK_NOTIFIER || (to && strcmp(block->name, to) != 0))
            continue;
        rc = put_message(session, block, message, err);
        if (rc < 0)
            return rc;
        count++;
    }
    if (count == 0 && to)
        strake_fail(err, STRAKE_ECONFIG, "there is no notifier %s", to);
    else if (count == 0)
        strake_fail(err, STRAKE_ECONFIG, "no notifier is declared");
    if (count == 0)
        strake_err_hint(err, "declare one: notifier \"NAME\" { type = \"ntfy\", url = "
                             "\"https://HOST/TOPIC\" }");
    return count ? count : STRAKE_ECONFIG;
}

/* ---- sending ---- */

static int declare_sources(json_t *sources, struct strake_err *err)
{
    const char *name;
    json_t *source;
    int rc = 0;

    json_object_foreach(sources, name, source) {
        const char *variable = strake_json_str(source, "env"),
                   *path = strake_json_str(source, "file");
        if (rc == 0 && variable)
            rc = strake_secret_from_env(name, variable, err);
        else if (rc == 0 && path)
            rc = strake_secret_from_file(name, path, err);
    }
    return rc;
}

static int priority_of(const json_t *message)
{
    json_int_t priority = strake_json_int(message, "priority", 3);

    return priority < 1 ? 1 : priority > 5 ? 5 : (int)priority;
}

static int deliver(const struct strake_outgoing *out, struct strake_job *job,
                   struct strake_buf *receipt, struct strake_err *err)
{
    const json_t *text = out->message, *tag;
    json_t *options = json_copy(out->options);
    struct strake_strings tags = { 0 };
    struct strake_buf data = { 0 };
    struct strake_instance *notifier = NULL;
    size_t i;
    int rc = options ? declare_sources(json_object_get(options, "secret_sources"), err)
                     : strake_fail_nomem(err);

    json_object_del(options, "secret_sources");
    json_array_foreach(json_object_get(text, "tags"), i, tag) {
        if (json_is_string(tag) && strake_strings_add(&tags, json_string_value(tag)) < 0)
            rc = strake_fail_nomem(err);
    }
    if (rc == 0 && json_object_get(text, "data"))
        strake_json_dump(json_object_get(text, "data"), &data);
    if (rc == 0)
        rc = strake_instance_open(out->type, out->notifier, "notifier/1", options, &notifier, err);
    if (rc == 0) {
        const char *title = strake_json_str(text, "title"), *click = strake_json_str(text, "click");
        struct strake_message message = {
            .size = sizeof(message),
            .id = strake_json_str(text, "id"),
            .event = strake_json_str(text, "event"),
            .title = title ? title : "",
            .text = strake_json_str(text, "text"),
            .click = click ? click : "",
            .priority = priority_of(text),
            .tags = strake_strings_view(&tags),
            .data = strake_buf_text(&data),
        };
        rc = strake_notifier_send(notifier, &message, job, receipt, err);
    }
    strake_instance_unref(notifier);
    strake_buf_dispose(&data);
    strake_strings_dispose(&tags);
    json_decref(options);
    return rc;
}

static bool may_retry(int rc)
{
    return rc == STRAKE_ENETWORK || rc == STRAKE_ETIMEOUT || rc == STRAKE_ECANCELLED ||
           rc == STRAKE_ENOMEM;
}

static void post_result(struct strake_session *session, const struct strake_outgoing *out,
                        const struct strake_buf *receipt, const struct strake_err *err)
{
    json_t *data = json_object();
    int rc = data ? strake_json_set_str(data, "notifier", out->notifier) : STRAKE_ENOMEM;

    if (rc == 0)
        rc = strake_json_set_str(data, "event", strake_json_str(out->message, "event"));
    if (rc == 0)
        rc = strake_json_set_str(data, "title", strake_json_str(out->message, "title"));
    if (rc == 0)
        rc = strake_json_set_str(data, "text", strake_json_str(out->message, "text"));
    if (rc == 0 && err->code)
        rc = strake_json_set(data, "error", strake_err_json(err));
    if (rc == 0 && err->code)
        rc = strake_json_set_bool(data, "final", !may_retry(err->code));
    if (rc == 0 && !err->code)
        rc = strake_json_set_str(data, "receipt", strake_buf_text(receipt));
    if (rc < 0) {
        json_decref(data);
        return;
    }
    strake_bus_post(session->bus, err->code ? STRAKE_EVENT_NOTIFY_FAILED : STRAKE_EVENT_NOTIFY_SENT,
                    NULL, data);
}

/* One message, one bounded try; what may work later stays in the outbox. */
static int send_one(struct strake_session *session, const struct strake_outgoing *out,
                    struct strake_job *job, struct strake_err *failed, struct strake_err *err)
{
    struct strake_buf receipt = STRAKE_BUF(65536);
    struct strake_err failure = { 0 };
    int rc = deliver(out, job, &receipt, &failure);
    int64_t later = strake_time_now_us() + RETRY_US * (out->tries < 20 ? out->tries + 1 : 20);

    if (rc < 0 && rc != STRAKE_ECANCELLED)
        strake_log(STRAKE_LOG_WARN, "the message to %s was not sent: %s%s", out->notifier,
                   strake_err_message(&failure),
                   may_retry(rc) && session->record ? "; a later command tries again" : "");
    post_result(session, out, &receipt, &failure);
    if (rc < 0 && failed && !failed->code && strcmp(out->run, session->run) == 0)
        strake_err_copy(failed, &failure);
    rc = session->record
             ? strake_outbox_result(session->record, out->id, rc == 0, !may_retry(rc), later, err)
             : 0;
    strake_err_dispose(&failure);
    strake_buf_dispose(&receipt);
    return rc;
}

static int flush_kept(struct strake_session *session, struct strake_job *job,
                      struct strake_err *failed, struct strake_err *err)
{
    json_t *waiting = session->waiting, *entry;
    size_t i;
    int rc = 0;

    session->waiting = NULL;
    json_array_foreach(waiting, i, entry) {
        struct strake_outgoing out = {
            .run = session->run,
            .notifier = (char *)strake_json_str(entry, "notifier"),
            .type = (char *)strake_json_str(entry, "type"),
            .options = json_object_get(entry, "options"),
            .message = json_object_get(entry, "message"),
            .tries = 1,
        };
        if (rc == 0)
            rc = send_one(session, &out, job, failed, err);
    }
    json_decref(waiting);
    return rc;
}

/* Batch by batch until nothing is due: what failed is due later, so this ends. When the time is up
 * the rest stays for the next command, unclaimed. */
static int flush_outbox(struct strake_session *session, struct strake_job *job,
                        struct strake_err *failed, struct strake_err *err)
{
    struct strake_outgoing *messages;
    size_t count;
    int rc;

    do {
        rc = strake_outbox_claim(session->record, &messages, &count, FLUSH_MAX, err);
        for (size_t i = 0; rc == 0 && i < count; i++)
            rc = send_one(session, &messages[i], job, failed, err);
        strake_outgoing_free(messages, count);
    } while (rc == 0 && count == FLUSH_MAX && strake_job_remaining_ms(job) != 0);
    return rc;
}

int strake_session_flush(struct strake_session *session, int64_t timeout_ms,
                         struct strake_err *failed, struct strake_err *err)
{
    struct strake_job *job = strake_job_new(NULL, session->bus, NULL);
    int rc = job ? 0 : strake_fail_nomem(err);

    if (rc == 0)
        strake_job_set_timeout(job, timeout_ms);
    if (rc == 0 && session->waiting)
        rc = flush_kept(session, job, failed, err);
    if (rc == 0 && session->record)
        rc = flush_outbox(session, job, failed, err);
    strake_job_free(job);
    return rc;
}
