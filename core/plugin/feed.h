/* A blob on its way out of a store: a thread pulls it into a ring, from which another takes it. It
 * is hashed on the way, and its last byte is only given once the whole is known to be right. */
#ifndef STRAKE_PLUGIN_FEED_H
#define STRAKE_PLUGIN_FEED_H

#include "plugin/instance.h"

struct strake_feed;

/** Begin to read a blob of exactly `size_bytes`. `job` lives until strake_feed_stop().
 *  @return 0, STRAKE_ENOMEM, STRAKE_EINTERNAL (libcrypto refuses) */
int strake_feed_start(struct strake_instance *from, const char *repository, const char *digest,
                      int64_t size_bytes, struct strake_job *job, struct strake_feed **out,
                      struct strake_err *err);
/** Take the next bytes, and wait for them. One thread.
 *  @return their number, 0 at the end, or why there will be no more, which strake_feed_failure()
 *          describes: the source's failure, STRAKE_ECORRUPT, or STRAKE_ECANCELLED once stopped */
int64_t strake_feed_take(struct strake_feed *feed, void *data, size_t cap);
/** As strake_feed_take(), but the bytes stay where they are, in *data, until the next call. */
int64_t strake_feed_peek(struct strake_feed *feed, const void **data);
/** The source's failure so far, copied to `err`: STRAKE_ETIMEOUT when it is neither through nor
 * gave what the taker waits for. @return its code, or 0 */
int strake_feed_failure(struct strake_feed *feed, struct strake_err *err);
/** It failed, and had bytes of a mirror, which may be why: the registry itself may do better. */
bool strake_feed_misled(struct strake_feed *feed);
/** Ask both sides to stop. Waits for none: a source that does not come back is left behind. */
void strake_feed_stop(struct strake_feed *feed);
/** After strake_feed_stop(). NULL does nothing. */
void strake_feed_unref(struct strake_feed *feed);

#endif
