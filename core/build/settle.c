/* Settling what a killed run left behind. Every check had passed when a unit was begun, so it goes
 * forward; where somebody else moved one of its tags, or a PUT fails, it goes back; where neither
 * can be done now it stays. */
#include <string.h>

#include "build/publish.h"
#include "record/record.h"
#include "util/json.h"
#include "util/log.h"

struct settling {
    struct strake_stores *stores;
    struct strake_record *record;
    struct strake_job *job;
    const struct strake_unit *unit;
};

static int note_move(json_t *moves, const struct strake_move *move, const char *status)
{
    json_t *entry = json_object();
    int rc = 0;

    if (!entry || strake_json_set_str(entry, "ref", move->ref) < 0 ||
        strake_json_set_str(entry, "from", move->from) < 0 ||
        strake_json_set_str(entry, "to", move->to) < 0 ||
        strake_json_set_str(entry, "status", status) < 0 || json_array_append(moves, entry) < 0)
        rc = STRAKE_ENOMEM;
    json_decref(entry);
    return rc;
}

static void post_tag(struct settling *settling, enum strake_event_type type,
                     const struct strake_move *move, const char *from, const char *to)
{
    json_t *data = json_object();

    if (data && strake_json_set_str(data, "ref", move->ref) == 0 &&
        strake_json_set_str(data, "from", from) == 0 && strake_json_set_str(data, "to", to) == 0 &&
        strake_json_set_str(data, "settles", settling->unit->run) == 0)
        strake_job_event(settling->job, type, data);
    else
        json_decref(data);
}

/* Forward is right only while every tag is where the unit knew it: old or new. */
static int look_at_tags(struct settling *settling, bool *ours, struct strake_err *err)
{
    const struct strake_unit *unit = settling->unit;
    int rc = 0;

    *ours = true;
    for (size_t i = 0; rc == 0 && i < unit->count; i++) {
        char now[STRAKE_DIGEST_TEXT];
        rc =
            strake_tag_resolve(settling->stores, unit->moves[i].ref, settling->job, now, NULL, err);
        if (rc == 0 && strcmp(now, unit->moves[i].from) != 0 && strcmp(now, unit->moves[i].to) != 0)
            *ours = false;
    }
    return rc;
}

static int forward(struct settling *settling, struct strake_err *err)
{
    const struct strake_unit *unit = settling->unit;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < unit->count; i++) {
        const struct strake_move *move = &unit->moves[i];
        char now[STRAKE_DIGEST_TEXT];
        rc = strake_tag_resolve(settling->stores, move->ref, settling->job, now, NULL, err);
        if (rc == 0 && strcmp(now, move->to) != 0) {
            rc = strake_tag_put(settling->stores, move->ref, move->to, settling->job, err);
            if (rc == 0)
                post_tag(settling, STRAKE_EVENT_TAG_MOVED, move, move->from, move->to);
        }
        if (rc == 0)
            rc = strake_journal_mark(settling->record, unit->id, i, true, err);
    }
    return rc;
}

/* @return false when a tag could not be moved back; `moves` tells of each. */
static bool back(struct settling *settling, json_t *moves, struct strake_err *err)
{
    const struct strake_unit *unit = settling->unit;
    bool clean = true;

    for (size_t i = unit->count; i-- > 0;) {
        struct strake_err failure = { 0 };
        bool undone =
            strake_move_undo(settling->stores, &unit->moves[i], settling->job, &failure) == 0 &&
            strake_journal_mark(settling->record, unit->id, i, false, &failure) == 0;
        if (!undone) {
            clean = false;
            if (!err->code)
                strake_err_copy(err, &failure);
        }
        if (note_move(moves, &unit->moves[i], undone ? "cancelled" : "failed") < 0)
            clean = false;
        strake_err_dispose(&failure);
    }
    return clean;
}

/* @return 0 with an outcome; a failure when the unit can go neither forward nor back now. */
static int try_unit(struct settling *settling, const char **outcome, json_t *moves,
                    struct strake_err *err)
{
    const struct strake_unit *unit = settling->unit;
    struct strake_err failure = { 0 };
    bool ours;
    int rc = look_at_tags(settling, &ours, err);

    if (rc < 0)
        return rc;
    if (ours && forward(settling, &failure) == 0) {
        *outcome = "done";
        for (size_t i = 0; rc == 0 && i < unit->count; i++)
            rc = note_move(moves, &unit->moves[i], "done");
        return rc < 0 ? strake_fail_nomem(err) : 0;
    }
    strake_log(STRAKE_LOG_WARN, "the publish of run %s goes back: %s", unit->run,
               ours ? strake_err_message(&failure)
                    : "somebody else moved one of its tags meanwhile");
    strake_err_dispose(&failure);
    if (back(settling, moves, &failure)) {
        *outcome = "rolled-back";
    } else {
        rc = failure.code ? failure.code : strake_fail_nomem(&failure);
        strake_err_move(err, &failure);
    }
    strake_err_dispose(&failure);
    return rc;
}

static int settle_unit(struct settling *settling, bool give_up, const char **outcome, json_t *moves,
                       struct strake_err *err)
{
    int rc = try_unit(settling, outcome, moves, err);

    if (rc < 0 && give_up && rc != STRAKE_ENOMEM && rc != STRAKE_ECANCELLED) {
        strake_err_dispose(err);
        *outcome = "partial";
        rc = 0;
    }
    if (rc == 0)
        return strake_journal_end(settling->record, settling->unit->id, *outcome, err);
    strake_err_prefix(err, "the publish of run %s cannot be settled: ", settling->unit->run);
    strake_err_hint(err,
                    "`strake publish --settle` tries again; with --force it leaves the tags as "
                    "they are and gives up");
    return rc;
}

static int report_unit(json_t *report, const struct strake_unit *unit, const char *outcome,
                       json_t *moves)
{
    json_t *entry = json_object();
    int rc = 0;

    if (!entry || strake_json_set_str(entry, "run", unit->run) < 0 ||
        strake_json_set_str(entry, "kind", unit->kind) < 0 ||
        strake_json_set_str(entry, "outcome", outcome) < 0 ||
        json_object_set(entry, "moves", moves) < 0 || json_array_append(report, entry) < 0)
        rc = STRAKE_ENOMEM;
    json_decref(entry);
    return rc;
}

/* One process settles at a time: two would put and take back the same tags. */
static int claim(struct strake_record *record, struct strake_claim **out, struct strake_err *err)
{
    char *holder = NULL;
    int rc = strake_record_claim(record, "", "settling", out, &holder, err);

    strake_free(holder);
    if (rc == STRAKE_ECONFLICT) {
        strake_err_dispose(err);
        rc = strake_fail(err, rc, "another process is settling what a killed run left");
        strake_err_hint(err, "`strake publish --settle` tells whether it could");
    }
    return rc;
}

int strake_publish_settle(struct strake_stores *stores, struct strake_record *record, bool give_up,
                          struct strake_job *job, json_t **report, struct strake_err *err)
{
    struct strake_claim *alone = NULL;
    struct strake_unit *units = NULL;
    size_t count = 0;
    int rc;

    *report = json_array();
    rc = *report ? claim(record, &alone, err) : strake_fail_nomem(err);
    if (rc == 0)
        rc = strake_journal_pending(record, &units, &count, err);
    for (size_t i = 0; i < count && rc != STRAKE_ENOMEM && rc != STRAKE_ECANCELLED; i++) {
        struct settling settling = {
            .stores = stores, .record = record, .job = job, .unit = &units[i]
        };
        struct strake_err failure = { 0 };
        const char *outcome = "";
        json_t *moves = json_array();
        int done = moves ? settle_unit(&settling, give_up, &outcome, moves, &failure)
                         : strake_fail_nomem(&failure);
        if (done == 0 && report_unit(*report, &units[i], outcome, moves) < 0)
            done = strake_fail_nomem(&failure);
        if (done < 0 && rc == 0) {
            rc = done;
            strake_err_move(err, &failure);
        }
        strake_err_dispose(&failure);
        json_decref(moves);
    }
    strake_units_free(units, count);
    strake_claim_free(alone);
    return rc;
}
