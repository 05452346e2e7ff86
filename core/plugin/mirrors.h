/* A registry that is read by way of its mirrors: inside of the calls into registry/1. */
#ifndef STRAKE_PLUGIN_MIRRORS_H
#define STRAKE_PLUGIN_MIRRORS_H

#include "plugin/call.h"
#include "plugin/instance.h"

/** How long a mirror may take for a manifest or a question, when it has to be waited for. */
#define STRAKE_MIRROR_LIMIT_MS 15000

/** A place to read from. */
struct strake_source {
    struct strake_instance *instance; /**< borrowed of the registry */
    char *repository;                 /**< its name there: strake_source_dispose() */
    int64_t limit_ms;                 /**< for one answer */
    size_t at;                        /**< the next mirror to look at; zero to begin */
    bool mirror;
};

/** The next mirror that is worth asking, and the registry itself after the last.
 *  @return 1; 0: there is none behind the registry itself; STRAKE_ENOMEM */
int strake_source_next(struct strake_instance *registry, const char *repository,
                       struct strake_source *source, struct strake_err *err);
/** It failed: does the next one count? A mirror that failed otherwise than by not having what was
 *  asked for is left out from then on, which is told. `err` is empty then. */
bool strake_source_failed(struct strake_instance *registry, const struct strake_source *source,
                          int rc, struct strake_err *err);
void strake_source_dispose(struct strake_source *source);

/** Ask one place after the other, until one answers.
 *  @return what the last one asked said */
int strake_mirrors_ask(struct strake_instance *registry, const char *repository,
                       int (*ask)(const struct strake_source *source, void *ctx,
                                  struct strake_err *err),
                       void *ctx, struct strake_err *err);

/** Drop what an instance has of mirrors. */
void strake_mirrors_dispose(struct strake_instance *instance);

#endif
