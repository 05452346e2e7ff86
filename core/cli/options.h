/* The command line: each command has a static table of its options, from which it is parsed and its
 * help is printed. */
#ifndef STRAKE_CLI_OPTIONS_H
#define STRAKE_CLI_OPTIONS_H

#include <stdio.h>

#include "util/err.h"
#include "util/mem.h"

enum cli_kind {
    CLI_FLAG,
    CLI_TEXT,
    CLI_LIST,    /**< may be given several times */
    CLI_NUMBER,  /**< a positive integer */
    CLI_DURATION /**< "2s"; kept as written, checked */
};

struct cli_option {
    const char *name; /**< long name without dashes; NULL ends a table */
    char letter;      /**< short form, or 0 */
    enum cli_kind kind;
    const char *value; /**< what its value is called in the help */
    const char *help;
};

#define CLI_VALUES_MAX 64

/** What was given. Zero-initialised is empty; values point into argv. */
struct cli_args {
    const struct cli_option *seen[CLI_VALUES_MAX];
    const char *values[CLI_VALUES_MAX];
    size_t count;
    struct strake_strings rest; /**< what is no option, in order */
};

/** Parse argv[0…argc). `--name=value`, `--name value`, `-n value`, `-nvalue`, `--`; options may
 *  stand behind other words. @return 0, STRAKE_EUSAGE with the nearest option as the hint,
 *  STRAKE_ENOMEM. */
int cli_parse(const struct cli_option *options, const struct cli_option *common, int argc,
              char **argv, struct cli_args *args, struct strake_err *err);
void cli_args_dispose(struct cli_args *args);

bool cli_flag(const struct cli_args *args, const char *name);
/** The last value given, or NULL. */
const char *cli_text(const struct cli_args *args, const char *name);
/** The n-th value given, or NULL behind the last. */
const char *cli_item(const struct cli_args *args, const char *name, size_t n);
int64_t cli_number(const struct cli_args *args, const char *name, int64_t fallback);
/** Milliseconds, or `fallback`. */
int64_t cli_duration(const struct cli_args *args, const char *name, int64_t fallback);

/** Print a table for --help. */
void cli_print_options(FILE *out, const struct cli_option *options);

#endif
