/* Notifiers: there, and (with --send only) heard. */
#include <string.h>

#include "doctor/probe.h"
#include "plugin/instance.h"
#include "util/json.h"
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

static int run_tls(struct doctor_probe *probe, struct strake_job *job)
{
    return doctor_check_https(probe, strake_json_str(probe->options, "url"), job);
}

static int add_notifier(const struct strake_doctor *doctor, struct doctor_probes *probes,
                        const struct strake_block *block)
{
    const char *url = strake_json_str(block->options, "url");
    int rc = doctor_probe_add(probes, doctor, "notifier", EXIT_NOTRUN, block->name, block->type,
                              block->options, run_notifier, NULL);

    if (rc == 0 && url && strncmp(url, "https://", 8) == 0)
        rc = doctor_probe_add(probes, doctor, "notifier", EXIT_NOTRUN, block->name, block->type,
                              block->options, run_tls, NULL);
    return rc;
}

int doctor_add_notifiers(const struct strake_doctor *doctor, struct doctor_probes *probes)
{
    const struct strake_project *project = doctor->project;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < project->block_count; i++) {
        if (project->blocks[i]->kind == STRAKE_BLOCK_NOTIFIER)
            rc = add_notifier(doctor, probes, project->blocks[i]);
    }
    return rc;
}

/* ---- what can only be opened ---- */

/* Scanners, workflows and deployers: nothing of theirs can be asked without doing it. */
static int run_other(struct doctor_probe *probe, struct strake_job *job)
{
    struct strake_instance *instance = NULL;
    struct strake_err err = { 0 };
    char *interface = strake_asprintf("%s/1", probe->group);
    int rc = interface ? strake_instance_open(probe->type, probe->name, interface, probe->options,
                                              &instance, &err)
                       : strake_fail_nomem(&err);

    (void)job;
    rc = rc == 0 ? doctor_tell(probe, NULL, DOCTOR_OK, NULL, "the plugin %s takes its options",
                               probe->type)
                 : doctor_tell_err(probe, NULL, DOCTOR_FAIL, &err);
    strake_instance_unref(instance);
    strake_err_dispose(&err);
    strake_free(interface);
    return rc;
}

int doctor_add_others(const struct strake_doctor *doctor, struct doctor_probes *probes)
{
    static const char *const groups[] = {
        [STRAKE_BLOCK_SCANNER] = "scanner",
        [STRAKE_BLOCK_WORKFLOW] = "workflow",
        [STRAKE_BLOCK_DEPLOYER] = "deployer",
    };
    const struct strake_project *project = doctor->project;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < project->block_count; i++) {
        const struct strake_block *block = project->blocks[i];
        if (block->kind < sizeof(groups) / sizeof(groups[0]) && groups[block->kind])
            rc = doctor_probe_add(probes, doctor, groups[block->kind], EXIT_NOTRUN, block->name,
                                  block->type, block->options, run_other, NULL);
    }
    return rc;
}
