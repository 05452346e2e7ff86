/* File hashes that are remembered between commands: one compact file a context in the state folder.
 * A file is known again by device, inode, size and both times; one that was touched within two
 * seconds of its hashing is not remembered, because a later change may show the same times. */
#ifndef STRAKE_DOCKERFILE_MEMORY_H
#define STRAKE_DOCKERFILE_MEMORY_H

#include <sys/stat.h>

#include "image/digest.h"

struct strake_memory;

/** What is remembered of the files below `context`. What is not there, or cannot be read, or is
 *  damaged is an empty memory. `folder` NULL: "contexts" in the state folder; without any the
 *  memory lives as long as the process. Not for two threads at once.
 *  @return 0, STRAKE_ENOMEM, STRAKE_EINTERNAL (libcrypto refuses). */
int strake_memory_open(const char *folder, const char *context, struct strake_memory **out,
                       struct strake_err *err);
/** @return true with the digest in `digest` (STRAKE_DIGEST_TEXT bytes) when this very file was
 *  hashed. */
bool strake_memory_find(struct strake_memory *memory, const struct stat *st, char *digest);
/** Remember what a regular file's bytes were hashed to; `st` is from before they were read and
 *  `after` from behind. Does nothing for a file that may still be changing. No memory: forgotten. */
void strake_memory_put(struct strake_memory *memory, const struct stat *st,
                       const struct stat *after, const char *digest);
/** Write it, when there is something new. `whole`: every file of the context was looked at, the
 *  others are gone. A memory that cannot be written is only slower: nothing is said. */
void strake_memory_save(struct strake_memory *memory, bool whole);
/** How many files it knows. */
size_t strake_memory_count(const struct strake_memory *memory);
/** NULL does nothing. */
void strake_memory_free(struct strake_memory *memory);

#endif
