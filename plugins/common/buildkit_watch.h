/* Is the daemon still there while a build shows nothing? On a line that went dead without a word a
 * client waits for ever. */
#ifndef BUILDKIT_WATCH_H
#define BUILDKIT_WATCH_H

#include "common/buildkit_build.h"

/** The watch over one build; set `call`, the rest is zero. */
struct buildkit_watch {
    const struct buildkit_call *call;
    int64_t heard_ms; /**< when there last was a sign of life; of plug_now_ms() */
    int misses;       /**< times in a row that the daemon did not answer */
};

/** The client has shown something, or begins. */
void buildkit_watch_heard(struct buildkit_watch *watch);
/** How often to look, for a process's `watch_ms`. */
int64_t buildkit_watch_every(const struct buildkit_watch *watch);
/** As a process's `watch`: after `liveness_ms` of silence the daemon is listened to, on a
 *  connection of its own. @return 0, or STRAKE_EBUILDER in the call's `err` when it has not answered
 *  twice. */
int buildkit_watch_look(void *ctx);

#endif
