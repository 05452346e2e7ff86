/* Notifiers: there, and (with --send only) heard. */
#include "doctor/probe.h"
#include "plugin/instance.h"
#include "util/mem.h"

#define EXIT_NOTRUN 7
#define DETAIL_MAX 4096

static int check_ping(struct doctor_probe *probe, struct strake_instance *notifier,
                      struct strake_job *job, bool *there)
{
    struct strake_job *bounded = doctor_bound(probe, job);
    struct strake_buf detail = STRAKE_BUF(DETAIL_MAX);
    struct strake_err err = { 0 };
    int rc =
        bounded ? strake_notifier_ping(notifier, bounded, &detail, &err) : strake_fail_nomem(&err);

    *there = rc == 0;
    rc = rc == 0 ? doctor_tell(probe, NULL, DOCTOR_OK, NULL, "%s", strake_buf_text(&detail))
                 : doctor_tell_err(probe, NULL, DOCTOR_FAIL, &err);
    strake_job_free(bounded);
    strake_buf_dispose(&detail);
    strake_err_dispose(&err);
    return rc;
}

static int check_send(struct doctor_probe *probe, struct strake_instance *notifier,
                      struct strake_job *job)
{
    static const char *const no_tags[] = { NULL };
    const struct strake_message message = {
        .size = sizeof(message),
        .id = "doctor",
        .event = "message",
        .title = "strake doctor",
        .text = "A test: messages of Strake reach you here.",
        .click = "",
        .priority = 3,
        .tags = no_tags,
        .data = "",
    };
    struct strake_job *bounded = doctor_bound(probe, job);
    struct strake_buf receipt = STRAKE_BUF(DETAIL_MAX);
    struct strake_err err = { 0 };
    int rc = bounded ? strake_notifier_send(notifier, &message, bounded, &receipt, &err)
                     : strake_fail_nomem(&err);

    if (rc == 0)
        rc = doctor_tell(probe, "send", DOCTOR_OK, NULL, "a test message was sent%s%s",
                         receipt.len ? ", receipt " : "", strake_buf_text(&receipt));
    else
        rc = doctor_tell_err(probe, "send", DOCTOR_FAIL, &err);
    strake_job_free(bounded);
    strake_buf_dispose(&receipt);
    strake_err_dispose(&err);
    return rc;
}

static int run_notifier(struct doctor_probe *probe, struct strake_job *job)
{
    struct strake_instance *notifier = NULL;
    struct strake_err err = { 0 };
    bool there = false;
    int rc = strake_instance_open(probe->type, probe->name, "notifier/1", probe->options, &notifier,
                                  &err);

    rc = rc == 0 ? check_ping(probe, notifier, job, &there)
                 : doctor_tell_err(probe, NULL, DOCTOR_FAIL, &err);
    if (rc == 0 && !probe->doctor->send)
        rc = doctor_tell(probe, "send", DOCTOR_SKIP, NULL,
                         "nothing was sent; --send sends a test message");
    else if (rc == 0 && !there)
        rc = doctor_tell(probe, "send", DOCTOR_SKIP, NULL, "it does not answer");
    else if (rc == 0)
        rc = check_send(probe, notifier, job);
    strake_instance_unref(notifier);
    strake_err_dispose(&err);
    return rc;
}

int doctor_add_notifiers(const struct strake_doctor *doctor, struct doctor_probes *probes)
{
    const struct strake_project *project = doctor->project;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < project->block_count; i++) {
        const struct strake_block *block = project->blocks[i];
        if (block->kind == STRAKE_BLOCK_NOTIFIER)
            rc = doctor_probe_add(probes, doctor, "notifier", EXIT_NOTRUN, block->name, block->type,
                                  block->options, run_notifier, NULL);
    }
    return rc;
}
