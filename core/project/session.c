/* A command's session: configured stores, and the sink that writes the history. */
#include "project/session.h"

#include <string.h>

#include "util/log.h"

int strake_session_configure(struct strake_session *session, struct strake_err *err)
{
    const struct strake_project *project = session->project;

    for (size_t i = 0; i < project->block_count; i++) {
        const struct strake_block *block = project->blocks[i];
        if (block->kind != STRAKE_BLOCK_REGISTRY)
            continue;
        if (strake_stores_configure(session->stores, block->name, block->type, block->options) < 0)
            return strake_fail_nomem(err);
    }
    return 0;
}

void strake_session_dispose(struct strake_session *session)
{
    struct strake_err err = { 0 };

    strake_plan_free(session->plan);
    session->plan = NULL;
    strake_tag_state_free(session->before);
    session->before = NULL;
    strake_manifest_kept_dispose(&session->taken);
    json_decref(session->waiting);
    session->waiting = NULL;
    if (strake_record_close(session->record, &err) < 0)
        strake_log(STRAKE_LOG_WARN, "%s", strake_err_message(&err));
    session->record = NULL;
    strake_err_dispose(&err);
    strake_stores_free(session->stores);
    session->stores = NULL;
}

void strake_session_record(void *ctx, const struct strake_event *event)
{
    struct strake_session *session = ctx;
    struct strake_err err = { 0 };

    if (!session->record || !session->run[0])
        return;
    if (strake_record_event(session->record, session->run, event, &err) < 0 &&
        !session->record_failed) {
        session->record_failed = true;
        strake_log(STRAKE_LOG_WARN, "the record of this run is not complete: %s",
                   strake_err_message(&err));
        if (err.hint)
            strake_log(STRAKE_LOG_WARN, "%s", err.hint);
    }
    strake_err_dispose(&err);
}
