/* What the verbs of `strake cache` share. */
#ifndef STRAKE_CLI_CACHE_H
#define STRAKE_CLI_CACHE_H

#include "cli/cli.h"
#include "project/caches.h"

/** What one call of show or prune is about. */
struct cli_caches {
    struct cli *cli;
    struct strake_plan *plan; /**< strake_plan_free() */
    struct strake_caches_wish wish;
    json_t *doc;
};

/** The plan of the targets that the command line names, or of all, and what of it is meant. */
int cli_caches_prepare(struct cli_caches *caches);
/** "12.3 MB" of entry[key]. */
void cli_print_bytes(const json_t *entry, const char *key);
/** Why an entry could not be asked. */
void cli_print_cache_failure(const json_t *entry);

/** cmd_cache_prune.c: strake cache prune. */
int cli_cache_prune(struct cli *cli);

#endif
