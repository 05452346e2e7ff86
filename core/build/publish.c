/* Publishing: all tags of all targets as one unit. Old and new digests are in the journal before
 * the first PUT; new tags go first, moving tags last; a failure moves back what still holds our
 * digest. */
#include "build/publish.h"

#include <string.h>

#include "build/copy.h"
#include "build/movers.h"
#include "util/each.h"
#include "util/json.h"

/* A connection costs as much as a few requests on one that is open. */
#define READERS 4

struct tag_entry {
    char *ref;
    char digest[STRAKE_DIGEST_TEXT];
    char *media_type;
};

struct strake_tag_state {
    struct tag_entry *items;
    size_t count;
};

void strake_tag_state_free(struct strake_tag_state *state)
{
    if (!state)
        return;
    for (size_t i = 0; i < state->count; i++) {
        strake_free(state->items[i].ref);
        strake_free(state->items[i].media_type);
    }
    strake_free(state->items);
    strake_free(state);
}

struct tags_reading {
    struct strake_stores *stores;
    const char *const *refs;
    struct strake_job *job;
    struct tag_entry *items;
};

static int read_tag(void *ctx, size_t i, struct strake_err *err)
{
    struct tags_reading *reading = ctx;
    struct tag_entry *entry = &reading->items[i];

    entry->ref = strake_strdup(reading->refs[i]);
    return entry->ref ? strake_tag_resolve(reading->stores, reading->refs[i], reading->job,
                                           entry->digest, &entry->media_type, err)
                      : strake_fail_nomem(err);
}

int strake_tags_read(struct strake_stores *stores, const char *const *refs, struct strake_job *job,
                     struct strake_tag_state **out, struct strake_err *err)
{
    struct strake_tag_state *state = strake_calloc(1, sizeof(*state));
    struct tags_reading reading = { .stores = stores, .refs = refs, .job = job };
    size_t count = 0;
    int rc;

    while (refs[count])
        count++;
    if (state)
        state->items = strake_calloc(count + 1, sizeof(*state->items));
    if (!state || !state->items) {
        strake_tag_state_free(state);
        return strake_fail_nomem(err);
    }
    state->count = count;
    reading.items = state->items;
    rc = strake_each(count, READERS, read_tag, &reading, err);
    if (rc < 0) {
        strake_tag_state_free(state);
        return rc;
    }
    *out = state;
    return 0;
}

static const struct tag_entry *state_find(const struct strake_tag_state *state, const char *ref)
{
    for (size_t i = 0; state && i < state->count; i++) {
        if (strcmp(state->items[i].ref, ref) == 0)
            return &state->items[i];
    }
    return NULL;
}

const char *strake_tag_state_digest(const struct strake_tag_state *state, const char *ref)
{
    const struct tag_entry *entry = state_find(state, ref);

    return entry ? entry->digest : NULL;
}

/* ---- the unit ---- */

/* A unit in the making. `status[i]` and `undone[i]` belong to `moves[i]`. */
struct unit {
    struct strake_stores *stores;
    struct strake_record *record;
    struct strake_job *job;
    const struct strake_publish_options *options;
    struct strake_move *moves; /* in the order in which they are done */
    const char **status;
    bool *undone;
    bool *told;  /* that it moved */
    bool *taken; /* the movers' */
    size_t count;
    bool read_now; /* the old digests were read in this call, not while something was built */
    size_t
        first; /* moves before this one were at their digest already, and are not in the journal */
    int64_t id;
    bool begun;
};

static void move_dispose(struct strake_move *move)
{
    strake_free(move->ref);
    strake_free(move->from);
    strake_free(move->to);
    strake_free(move->media_type);
    strake_free(move->from_media_type);
}

static void unit_dispose(struct unit *unit)
{
    for (size_t i = 0; unit->moves && i < unit->count; i++)
        move_dispose(&unit->moves[i]);
    strake_free(unit->moves);
    strake_free(unit->status);
    strake_free(unit->undone);
    strake_free(unit->told);
    strake_free(unit->taken);
}

static int unit_add(struct unit *unit, const struct strake_publish_tag *tag,
                    const struct strake_tag_state *before, struct strake_err *err)
{
    const struct tag_entry *known = unit->options->force ? NULL : state_find(before, tag->ref);
    struct strake_move *move = &unit->moves[unit->count++];
    char from[STRAKE_DIGEST_TEXT];
    int rc = 0;

    *move = (struct strake_move){ .ref = strake_strdup(tag->ref),
                                  .to = strake_strdup(tag->digest),
                                  .media_type = strake_strdup("") };
    if (known) {
        move->from = strake_strdup(known->digest);
        move->from_media_type = strake_strdup(known->media_type);
    } else {
        rc = strake_tag_resolve(unit->stores, tag->ref, unit->job, from, &move->from_media_type,
                                err);
        if (rc == 0)
            move->from = strake_strdup(from);
    }
    if (rc == 0 && (!move->ref || !move->to || !move->from || !move->media_type))
        rc = strake_fail_nomem(err);
    return rc;
}

/* What a move means for the order: nothing to do, a new tag, a tag that moves. */
static int move_rank(const struct strake_move *move)
{
    if (strcmp(move->from, move->to) == 0)
        return 0;
    return move->from[0] ? 2 : 1;
}

/* Stable: tags of one rank keep the order in which they were asked for. */
static void unit_sort(struct unit *unit)
{
    for (size_t i = 1; i < unit->count; i++) {
        struct strake_move move = unit->moves[i];
        size_t k = i;
        for (; k > 0 && move_rank(&unit->moves[k - 1]) > move_rank(&move); k--)
            unit->moves[k] = unit->moves[k - 1];
        unit->moves[k] = move;
    }
    for (size_t i = 0; i < unit->count; i++) {
        if (move_rank(&unit->moves[i]) == 0) {
            unit->status[i] = "unchanged";
            unit->first = i + 1;
        } else {
            unit->status[i] = "skipped";
        }
    }
}

/* An image goes into every repository that shall show it before any tag moves. */
static int bring(struct unit *unit, const struct strake_publish_tag *tag, struct strake_err *err)
{
    struct strake_reference from_ref = { 0 }, to_ref = { 0 };
    struct strake_place_in_store from = { 0 }, to = { 0 };
    struct strake_copy_report report = { 0 };
    int rc = strake_stores_open(unit->stores, tag->source, &from_ref, &from, err);

    if (rc == 0)
        rc = strake_stores_open(unit->stores, tag->ref, &to_ref, &to, err);
    if (rc == 0 && (from.instance != to.instance || strcmp(from.repository, to.repository) != 0))
        rc = strake_copy_image(&from, tag->digest, &to, NULL, unit->job, &report, err);
    strake_copy_report_dispose(&report);
    strake_place_in_store_dispose(&from);
    strake_place_in_store_dispose(&to);
    strake_reference_dispose(&from_ref);
    strake_reference_dispose(&to_ref);
    return rc;
}

static int unit_fill(struct unit *unit, const struct strake_publish_tag *tags, size_t count,
                     const struct strake_tag_state *before, struct strake_err *err)
{
    int rc = 0;

    unit->moves = strake_calloc(count + 1, sizeof(*unit->moves));
    unit->status = strake_calloc(count + 1, sizeof(*unit->status));
    unit->undone = strake_calloc(count + 1, sizeof(*unit->undone));
    unit->told = strake_calloc(count + 1, sizeof(*unit->told));
    unit->taken = strake_calloc(count + 1, sizeof(*unit->taken));
    if (!unit->moves || !unit->status || !unit->undone || !unit->told || !unit->taken)
        return strake_fail_nomem(err);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = bring(unit, &tags[i], err);
    /* Only now: copying takes long, and a tag that was read before it may have been moved
     * meanwhile. */
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = unit_add(unit, &tags[i], before, err);
    if (rc == 0)
        unit_sort(unit);
    return rc;
}

static void post_tag(struct unit *unit, enum strake_event_type type, const struct strake_move *move,
                     const char *from, const char *to)
{
    json_t *data = json_object();

    if (data && strake_json_set_str(data, "ref", move->ref) == 0 &&
        strake_json_set_str(data, "from", from) == 0 && strake_json_set_str(data, "to", to) == 0)
        strake_job_event(unit->job, type, data);
    else
        json_decref(data);
}

static int mark(struct unit *unit, size_t at, bool done, struct strake_err *err)
{
    if (!unit->begun)
        return 0;
    return strake_journal_mark(unit->record, unit->id, at - unit->first, done, err);
}

/* Where the tag is now. The first of a unit that has just read its old digests needs no second
 * look. */
static int look_again(struct unit *unit, size_t at, char *now, struct strake_err *err)
{
    const struct strake_move *move = &unit->moves[at];

    if (!unit->read_now || at != unit->first)
        return strake_tag_resolve(unit->stores, move->ref, unit->job, now, NULL, err);
    memcpy(now, move->from, strlen(move->from) + 1);
    return 0;
}

static int do_move(struct unit *unit, size_t at, struct strake_manifest_kept *kept,
                   struct strake_err *err)
{
    struct strake_move *move = &unit->moves[at];
    char now[STRAKE_DIGEST_TEXT];
    int rc = look_again(unit, at, now, err);

    if (rc < 0)
        return rc;
    if (strcmp(now, move->to) != 0) {
        if (strcmp(now, move->from) != 0 && !unit->options->force) {
            rc = strake_fail(err, STRAKE_ECONFLICT,
                             "%s was moved by somebody else meanwhile: it is at %s, not at %s",
                             move->ref, now[0] ? now : "nothing",
                             move->from[0] ? move->from : "nothing");
            strake_err_hint(err,
                            "look at it with `strake image show %s`; `--force` moves it all the "
                            "same",
                            move->ref);
            return rc;
        }
        /* The PUT may have arrived even when its answer did not: from here on it counts as done. */
        move->done = true;
        return strake_tag_send(unit->stores, move->ref, move->to, kept, unit->job, err);
    }
    unit->status[at] = "unchanged"; /* somebody else did the same meanwhile */
    return mark(unit, at, true, err);
}

struct reading_back {
    struct unit *unit;
    size_t begin;
};

static int read_back(void *ctx, size_t i, struct strake_err *err)
{
    const struct reading_back *reading = ctx;
    struct unit *unit = reading->unit;
    const size_t at = reading->begin + i;
    const struct strake_move *move = &unit->moves[at];
    int rc;

    if (!move->done || strcmp(unit->status[at], "skipped") != 0)
        return 0; /* nothing was put, or it was read back already */
    rc = strake_tag_read_back(unit->stores, move->ref, move->to, unit->job, err);
    unit->status[at] = rc == 0 ? "done" : "failed";
    return rc;
}

/* What was put is read back side by side, so that the PUTs follow each other the more closely, and
 * told in order. */
static int read_all_back(struct unit *unit, size_t begin, size_t end, struct strake_err *err)
{
    struct reading_back reading = { .unit = unit, .begin = begin };
    int rc = strake_each(end - begin, READERS, read_back, &reading, err);

    for (size_t at = begin; at < end; at++) {
        const struct strake_move *move = &unit->moves[at];
        struct strake_err failure = { 0 };
        if (unit->told[at] || strcmp(unit->status[at], "done") != 0)
            continue;
        unit->told[at] = true;
        post_tag(unit, STRAKE_EVENT_TAG_MOVED, move, move->from, move->to);
        if (mark(unit, at, true, &failure) < 0) {
            unit->status[at] = "failed";
            if (rc == 0) {
                rc = failure.code;
                strake_err_move(err, &failure);
            }
        }
        strake_err_dispose(&failure);
    }
    return rc;
}

static int move_one(void *ctx, size_t at, struct strake_manifest_kept *kept, struct strake_err *err)
{
    struct unit *unit = ctx;
    int rc = do_move(unit, at, kept, err);

    if (rc < 0)
        unit->status[at] = "failed";
    return rc;
}

/* New tags first, then those that move: each rank is done before the next begins. */
static int do_moves(struct unit *unit, struct strake_err *err)
{
    struct strake_movers movers = {
        .moves = unit->moves, .taken = unit->taken, .move = move_one, .ctx = unit
    };
    struct strake_manifest_kept own = { 0 };
    struct strake_manifest_kept *kept = unit->options->kept ? unit->options->kept : &own;
    int rc = 0;

    for (movers.begin = unit->first; rc == 0 && movers.begin < unit->count;
         movers.begin = movers.end) {
        for (movers.end = movers.begin + 1; movers.end < unit->count; movers.end++) {
            if (move_rank(&unit->moves[movers.end]) != move_rank(&unit->moves[movers.begin]))
                break;
        }
        rc = strake_movers_run(&movers, kept, err);
        if (rc == 0)
            rc = read_all_back(unit, movers.begin, movers.end, err);
    }
    strake_manifest_kept_dispose(&own);
    return rc;
}

int strake_move_undo(struct strake_stores *stores, const struct strake_move *move,
                     struct strake_job *job, struct strake_err *err)
{
    char now[STRAKE_DIGEST_TEXT];
    int rc = strake_tag_resolve(stores, move->ref, job, now, NULL, err);

    if (rc < 0 || strcmp(now, move->to) != 0)
        return rc; /* not ours any more, or never moved */
    return move->from[0] ? strake_tag_put(stores, move->ref, move->from, job, err)
                         : strake_tag_delete(stores, move->ref, job, err);
}

/* A job that is not cancelled along with the command: what was begun is finished, or undone. */
static struct strake_job *job_of_its_own(struct strake_job *job, int64_t timeout_ms)
{
    struct strake_job *own = strake_job_new(NULL, strake_job_bus(job), strake_job_target(job));

    if (own)
        strake_job_set_timeout(own, timeout_ms);
    return own;
}

/* The record tells of what was put before something failed, too. What cannot be read back now is
 * looked at again when it is undone. */
static void tell_of_what_was_put(struct unit *unit, struct strake_job *job)
{
    struct strake_err ignored = { 0 };

    unit->job = job_of_its_own(job, 10000);
    if (unit->job)
        read_all_back(unit, unit->first, unit->count, &ignored);
    strake_err_dispose(&ignored);
    strake_job_free(unit->job);
    unit->job = job;
}

/* Back to where it was, last move first. */
static bool undo_all(struct unit *unit, struct strake_err *err)
{
    struct strake_job *cancelled = unit->job;
    struct strake_err failure = { 0 };
    bool clean = true;

    tell_of_what_was_put(unit, cancelled);
    unit->job = job_of_its_own(cancelled, 60000);
    if (!unit->job) {
        unit->job = cancelled;
        return false;
    }
    for (size_t i = unit->count; i-- > unit->first;) {
        struct strake_move *move = &unit->moves[i];
        if (!move->done)
            continue;
        if (strake_move_undo(unit->stores, move, unit->job, &failure) == 0 &&
            mark(unit, i, false, &failure) == 0) {
            unit->undone[i] = true;
            post_tag(unit, STRAKE_EVENT_TAG_ROLLED_BACK, move, move->to, move->from);
        } else {
            char *line = strake_asprintf("not moved back: %s\n", strake_err_message(&failure));
            if (line)
                strake_err_detail(err, line, strlen(line));
            strake_free(line);
            clean = false;
        }
        unit->status[i] = "failed";
        strake_err_dispose(&failure);
    }
    strake_job_free(unit->job);
    unit->job = cancelled;
    return clean;
}

static json_t *moves_json(const struct unit *unit)
{
    json_t *list = json_array();

    for (size_t i = 0; list && unit->moves && i < unit->count; i++) {
        json_t *entry = json_object();
        int rc = entry ? 0 : STRAKE_ENOMEM;
        if (rc == 0)
            rc = strake_json_set_str(entry, "ref", unit->moves[i].ref);
        if (rc == 0)
            rc = strake_json_set_str(entry, "from", unit->moves[i].from);
        if (rc == 0)
            rc = strake_json_set_str(entry, "to", unit->moves[i].to);
        if (rc == 0)
            rc = strake_json_set_str(entry, "status", unit->status[i] ? unit->status[i] : "failed");
        if (rc == 0 && unit->undone[i])
            rc = strake_json_set_bool(entry, "rolled_back", true);
        if (rc < 0 || json_array_append(list, entry) < 0) {
            json_decref(list);
            list = NULL;
        }
        json_decref(entry);
    }
    return list;
}

static int unit_run(struct unit *unit, struct strake_err *err)
{
    struct strake_err ending = { 0 };
    const char *outcome = "done";
    int rc = 0;

    if (unit->first == unit->count)
        return 0;
    if (unit->record) {
        rc = strake_journal_begin(unit->record, unit->options->run, unit->options->kind,
                                  &unit->moves[unit->first], unit->count - unit->first, &unit->id,
                                  err);
        if (rc < 0)
            return rc;
        unit->begun = true;
    }
    rc = do_moves(unit, err);
    if (rc < 0)
        outcome = undo_all(unit, err) ? "rolled-back" : "partial";
    if (unit->begun && strake_journal_end(unit->record, unit->id, outcome, &ending) < 0) {
        if (rc == 0) {
            rc = ending.code;
            strake_err_move(err, &ending);
        }
        strake_err_dispose(&ending);
    }
    return rc;
}

int strake_publish(struct strake_stores *stores, struct strake_record *record,
                   const struct strake_publish_tag *tags, size_t count,
                   const struct strake_tag_state *before,
                   const struct strake_publish_options *options, struct strake_job *job,
                   json_t **moves, struct strake_err *err)
{
    struct unit unit = { .stores = stores,
                         .record = record,
                         .job = job,
                         .options = options,
                         .read_now = before == NULL };
    int rc = strake_job_check(job, err);

    if (rc == 0)
        rc = unit_fill(&unit, tags, count, before, err);
    if (rc == 0)
        rc = unit_run(&unit, err);
    *moves = moves_json(&unit);
    if (!*moves && rc == 0)
        rc = strake_fail_nomem(err);
    unit_dispose(&unit);
    return rc;
}
