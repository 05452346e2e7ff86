/* What the files of `strake history` share. */
#ifndef STRAKE_CLI_HISTORY_H
#define STRAKE_CLI_HISTORY_H

#include "cli/cli.h"

/** How many are shown without --limit. */
#define CLI_HISTORY_LIMIT 20

/** `strake history --remote`: what the ledger in a registry tells of tags. */
int cli_history_remote(struct cli *cli);

#endif
