/* `strake build -`: the context, and with `-f -` the Dockerfile, come by standard input. */
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static bool is_dash(const char *word)
{
    return word && strcmp(word, "-") == 0;
}

/* @return whether standard input is asked for, or STRAKE_EUSAGE. */
static int wanted(struct cli *cli, bool *context)
{
    const struct strake_strings *names = &cli->args.rest;
    bool dockerfile = is_dash(cli_text(&cli->args, "file"));
    const char *other = NULL;

    *context = false;
    for (size_t i = 0; i < names->count; i++) {
        *context = *context || is_dash(names->items[i]);
        other = i > 0 ? names->items[is_dash(names->items[i]) ? 0 : i] : other;
    }
    if (*context && (other || dockerfile)) {
        strake_fail(&cli->err, STRAKE_EUSAGE,
                    "standard input is read once: %s has no place beside -",
                    dockerfile ? "-f -" : other);
        strake_err_hint(&cli->err, dockerfile ? "`strake build -` takes a Dockerfile too"
                                              : "build it with a command of its own");
        return STRAKE_EUSAGE;
    }
    if ((*context || dockerfile) && isatty(STDIN_FILENO)) {
        strake_fail(&cli->err, STRAKE_EUSAGE, "standard input is a terminal");
        strake_err_hint(&cli->err, "give it a tar or a Dockerfile: `strake build - < context.tar`, "
                                   "`git archive HEAD | strake build -`");
        return STRAKE_EUSAGE;
    }
    return *context || dockerfile;
}

int cli_stdin_check(struct cli *cli)
{
    bool context;
    int rc = wanted(cli, &context);

    return rc < 0 ? rc : 0;
}

static int read_it(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct cli *cli = ctx;
    const char *file = cli_text(&cli->args, "file");
    bool only_dockerfile = is_dash(file);

    return strake_stdin_context_read(STDIN_FILENO, only_dockerfile ? NULL : file, only_dockerfile,
                                     job, &cli->stdin_context, err);
}

int cli_stdin_read(struct cli *cli)
{
    bool context;
    int rc = wanted(cli, &context);

    if (rc <= 0)
        return rc;
    rc = cli_await(cli, read_it, cli);
    if (rc == 0 && !context) { /* the context is where the words say */
        strake_free(cli->stdin_context.context);
        cli->stdin_context.context = NULL;
    }
    return rc;
}

int cli_stdin_names(const struct cli *cli, struct strake_strings *names)
{
    const char *context = cli->stdin_context.context;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < cli->args.rest.count; i++) {
        const char *name = cli->args.rest.items[i];
        rc = strake_strings_add(names, context && is_dash(name) ? context : name);
    }
    return rc;
}
