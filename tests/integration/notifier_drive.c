/* Calls a notifier plugin, for tests that the command line is too coarse for:
 *     notifier_drive TYPE OPTIONS ping
 *     notifier_drive TYPE OPTIONS send MESSAGE
 * OPTIONS and MESSAGE are JSON. Prints the receipt, or what ping says. The secret PASSWORD comes
 * from the environment. A failure prints {"kind","message","hint","detail","code"} and is exit
 * code 1. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "plugin/instance.h"
#include "util/buf.h"
#include "util/json.h"
#include "util/secret.h"

static const char *text_of(const json_t *message, const char *key)
{
    const char *text = strake_json_str(message, key);

    return text ? text : "";
}

static int send_message(struct strake_instance *notifier, struct strake_job *job, const char *text,
                        struct strake_buf *answer, struct strake_err *err)
{
    json_t *doc = strake_json_parse(text, strlen(text), "the message", STRAKE_EUSAGE, err);
    const char *tags[32] = { NULL };
    const json_t *tag;
    size_t i;
    int rc;

    if (!doc)
        return err->code;
    json_array_foreach(json_object_get(doc, "tags"), i, tag) {
        if (i < 31)
            tags[i] = json_string_value(tag);
    }
    rc = strake_notifier_send(notifier,
                              &(struct strake_message){
                                  .size = sizeof(struct strake_message),
                                  .id = text_of(doc, "id"),
                                  .event = "message",
                                  .title = text_of(doc, "title"),
                                  .text = text_of(doc, "text"),
                                  .click = text_of(doc, "click"),
                                  .priority = (int)strake_json_int(doc, "priority", 3),
                                  .tags = tags,
                                  .data = "",
                              },
                              job, answer, err);
    json_decref(doc);
    return rc;
}

static int drive(char **argv, struct strake_job *job, struct strake_buf *answer,
                 struct strake_err *err)
{
    json_t *options =
        strake_json_parse(argv[2], strlen(argv[2]), "the options", STRAKE_EUSAGE, err);
    struct strake_instance *notifier = NULL;
    int rc = options ? strake_loader_setup(argv[0], err) : err->code;

    if (rc == 0)
        rc = strake_secret_from_env("PASSWORD", "PASSWORD", err);
    if (rc == 0)
        rc = strake_instance_open(argv[1], "phone", "notifier/1", options, &notifier, err);
    if (rc == 0 && strcmp(argv[3], "ping") == 0)
        rc = strake_notifier_ping(notifier, job, answer, err);
    else if (rc == 0)
        rc = send_message(notifier, job, argv[4] ? argv[4] : "{}", answer, err);
    strake_instance_unref(notifier);
    json_decref(options);
    return rc;
}

int main(int argc, char **argv)
{
    struct strake_buf answer = STRAKE_BUF(64 * 1024);
    struct strake_err err = { 0 };
    struct strake_job *job = strake_job_new(NULL, NULL, NULL);
    json_t *failure;
    int rc;

    if (argc < 4 || !job)
        return 2;
    rc = drive(argv, job, &answer, &err);
    puts(strake_buf_text(&answer));
    if (rc < 0) {
        failure = strake_err_json(&err);
        json_object_set_new(failure, "code", json_integer(err.code));
        json_dumpf(failure, stderr, JSON_COMPACT);
        json_decref(failure);
    }
    strake_err_dispose(&err);
    strake_buf_dispose(&answer);
    strake_job_free(job);
    return rc < 0 ? 1 : 0;
}
