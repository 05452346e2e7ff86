/* The history: what ran, what it made, what was decided, which tags moved, what was said. SQLite in
 * the state folder; opened when first needed. Every function may be called from any thread. */
#ifndef STRAKE_RECORD_RECORD_H
#define STRAKE_RECORD_RECORD_H

#include <jansson.h>

#include "util/buf.h"
#include "util/err.h"
#include "util/event.h"
#include "util/mem.h"

struct strake_record;

/** Open or make the database `dir`/history.db (dir NULL: strake_fs_state_dir()); `write` false
 *  opens what is there for reading, and fails with STRAKE_ENOTFOUND when nothing is.
 *  @return 0; STRAKE_EINTERNAL (read-only home, full disk, damaged, newer version) with the path
 *  and what to do. */
int strake_record_open(const char *dir, bool write, struct strake_record **out,
                       struct strake_err *err);
/** Take a write-ahead log that has grown over into the database: syncs twice. For a thread that has
 *  nothing to do while a builder works. */
void strake_record_tidy(struct strake_record *record);
/** Flushes what is batched. NULL does nothing. */
int strake_record_close(struct strake_record *record, struct strake_err *err);

/** Did a killed run leave its mark in the state folder? Looks at names and locks there, and neither
 *  loads SQLite nor opens the history: for commands that have nothing else to do with it. */
bool strake_record_marks_left(void);

/** A new run's id: sortable by time, unique ("20261125T021236-7f3a9c"). `out` holds 40 bytes. */
void strake_run_id(char *out);

/** A run begins: a row with status running, and a lock file `dir`/runs/ID.lock held (flock) as long
 *  as this process lives, so that others can tell a killed run from a live one. Runs found with
 *  status running and nobody holding their lock are marked interrupted; their ids go to
 *  `interrupted`. */
int strake_record_run_begin(struct strake_record *record, const char *run, const char *command,
                            const char *const *argv, const char *project_dir,
                            struct strake_strings *interrupted, struct strake_err *err);
/** status: done failed denied cancelled. `error` (may be NULL) is strake_err_json()'s. */
int strake_record_run_end(struct strake_record *record, const char *run, const char *status,
                          int exit_code, const json_t *error, struct strake_err *err);

/** Take an event of the run: steps and their logs, targets, decisions, images, tags, messages.
 *  Steps and logs are batched (250 ms or 256 KiB), the rest is written with the batch at once. At
 *  most 64 MiB of log a run, then one line says that it was cut. */
int strake_record_event(struct strake_record *record, const char *run,
                        const struct strake_event *event, struct strake_err *err);

/** `strake.history/1`: newest first, at most `limit` runs. A new reference. */
int strake_record_list(struct strake_record *record, int limit, json_t **out,
                       struct strake_err *err);
/** One run by its id, a unique prefix of it, or "last": as in the list, plus steps, tag moves,
 *  decisions, scans, messages. STRAKE_EUSAGE names near ids when there is none. */
int strake_record_show(struct strake_record *record, const char *run, json_t **out,
                       struct strake_err *err);
/** The logs of a run in order, step by step: each(ctx, target, step name, text, len). */
int strake_record_logs(struct strake_record *record, const char *run,
                       int (*each)(void *ctx, const char *target, const char *step,
                                   const char *text, size_t len),
                       void *ctx, struct strake_err *err);
/** The newest image.staged (`staged`) or image.published event of a repository, with its `run`;
 *  STRAKE_ENOTFOUND when there is none. A new reference. */
int strake_record_last_image(struct strake_record *record, const char *repository, bool staged,
                             json_t **out, struct strake_err *err);

/* ---- moves.c ---- */

/** The units that moved tags of a repository, oldest first, those that were moved back left out:
 *  [{"unit","run","kind","time","moves":[{"ref","from","to"}]}]. A new reference. */
int strake_record_units(struct strake_record *record, const char *repository, json_t **out,
                        struct strake_err *err);
/** What a run (its id, a unique prefix of it, or "last") staged: [{"name","image","digest"}], never
 *  empty. A new reference. @return 0, STRAKE_EUSAGE */
int strake_record_staged(struct strake_record *record, const char *run, json_t **out,
                         struct strake_err *err);

/* ---- claim.c ---- */

/** What this process alone does on this machine until it gives it up or dies. */
struct strake_claim;
/** Claim `what` (any text: a repository). @return 0; STRAKE_ECONFLICT: another process has it,
 *  *holder its run (the caller's; may be ""); STRAKE_EIO, STRAKE_EINTERNAL: no file can be made. */
int strake_record_claim(struct strake_record *record, const char *run, const char *what,
                        struct strake_claim **out, char **holder, struct strake_err *err);
/** NULL does nothing. */
void strake_claim_free(struct strake_claim *claim);

/* ---- images.c ---- */

/** What made an image: {"target","repository","digest","media_type","platforms":{…},"inputs",
 *  "parts":{…}}, inputs and parts as in a plan's document. It is no news that it is published. */
int strake_record_image(struct strake_record *record, const char *run, const json_t *image,
                        struct strake_err *err);
/** The last image of a target that was published to a repository: {"digest","run"}, and where it is
 *  known what made it, "inputs", "media_type", "platforms", "parts"; of several that made it
 *  `inputs` is preferred. A new reference. @return 0, STRAKE_ENOTFOUND */
int strake_record_last_published(struct strake_record *record, const char *target,
                                 const char *repository, const char *inputs, json_t **out,
                                 struct strake_err *err);
/** The images and their digests that the steps of a target's build began from, as BuildKit names
 *  them: "docker.io/library/busybox:1" -> "sha256:…".
 *  @param fetches set when a step adds a URL without a checksum */
int strake_record_bases(struct strake_record *record, const char *run, const char *target,
                        struct strake_pairs *out, bool *fetches, struct strake_err *err);

#endif
