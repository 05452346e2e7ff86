/* Several layers are read at once, but a tree takes them one after the other: what one does is noted
 * until those below it are through. */
#ifndef STRAKE_BUILD_LAYER_LOG_H
#define STRAKE_BUILD_LAYER_LOG_H

#include "build/layers.h"
#include "image/tar.h"

/** Whose layer may change the tree: the lowest that is not through. */
struct strake_turns;
/** NULL: no memory. */
struct strake_turns *strake_turns_new(void);
void strake_turns_free(struct strake_turns *turns);
/** Wait for the layer's turn. It comes, or one below it has failed.
 *  @return 0, STRAKE_ECANCELLED: nobody goes on, and there is nothing to tell */
int strake_turns_wait(struct strake_turns *turns, size_t layer);
/** The layer whose turn it is, is through. */
void strake_turns_next(struct strake_turns *turns);
/** It has failed: all others end. Takes over what it says. */
void strake_turns_fail(struct strake_turns *turns, struct strake_err *err);
bool strake_turns_ended(struct strake_turns *turns);
/** Once all have ended. @return 0, or the first failure's code, moved to `err` */
int strake_turns_result(struct strake_turns *turns, struct strake_err *err);

/** What a layer does, in order. */
struct strake_layer_log {
    struct strake_tree *tree;
    struct strake_turns *turns; /**< NULL: there are no others */
    size_t layer;
    bool begun; /**< the tree knows of it */
    struct strake_buf steps;
};
/** Note a path that an entry stands for, `link` cleaned too where it has one, and what tells its
 *  content from others (16 bytes or NULL). May wait for the layer's turn.
 *  @return 0, STRAKE_ECANCELLED, what the tree says, STRAKE_ENOMEM */
int strake_layer_log_add(struct strake_layer_log *log, const struct strake_tar_entry *entry,
                         const char *path, const char *link, const unsigned char *content,
                         struct strake_err *err);
/** Wait for the layer's turn, and bring what is noted into the tree. @return as above */
int strake_layer_log_write(struct strake_layer_log *log, struct strake_err *err);
/** The layer is through: wait for its turn, and bring the rest into the tree. @return as above */
int strake_layer_log_end(struct strake_layer_log *log, struct strake_err *err);
void strake_layer_log_dispose(struct strake_layer_log *log);

#endif
