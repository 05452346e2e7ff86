/* strake notify: one message, through the notifiers of the project or the user. */
#include <string.h>

#include "cli/cli.h"
#include "util/json.h"

static const struct cli_option options[] = {
    { "title", 0, CLI_TEXT, "TEXT", "its title" },
    { "to", 0, CLI_TEXT, "NAME", "this notifier only; all of them otherwise" },
    { "priority", 0, CLI_NUMBER, "N", "1 lowest … 5 highest" },
    { "click", 0, CLI_TEXT, "URL", "what a click on it opens" },
    { NULL, 0, CLI_FLAG, NULL, NULL },
};

static json_t *message(struct cli *cli)
{
    json_t *args = json_object();

    if (!args || strake_json_set_str(args, "message", cli->args.rest.items[0]) < 0 ||
        strake_json_set_str(args, "title", cli_text(&cli->args, "title")) < 0 ||
        strake_json_set_str(args, "to", cli_text(&cli->args, "to")) < 0 ||
        strake_json_set_str(args, "click", cli_text(&cli->args, "click")) < 0 ||
        strake_json_set_int(args, "priority", cli_number(&cli->args, "priority", 3)) < 0) {
        json_decref(args);
        return NULL;
    }
    return args;
}

/* Here the message is the purpose: a failure is the command's, whatever its kind. */
static int failed(struct cli *cli, const json_t *error)
{
    strake_err_parse(&cli->err, error);
    return strake_err_recode(&cli->err, STRAKE_ENOTIFY);
}

static int run(struct cli *cli)
{
    json_t *failure = NULL;
    int rc;

    if (cli->args.rest.count != 1) {
        strake_fail(&cli->err, STRAKE_EUSAGE, "notify wants one message");
        strake_err_hint(&cli->err, "strake notify --title Release \"v1.2.3 is out\"");
        return STRAKE_EUSAGE;
    }
    rc = cli_open(cli, CLI_NEED_PROJECT | CLI_NEED_RUN);
    if (rc == 0)
        rc = cli_way(cli, "notify", message(cli), &failure);
    if (rc == 0 && json_is_object(failure))
        rc = failed(cli, failure);
    json_decref(failure);
    if (rc == 0 && cli->json)
        rc = cli_print_json(cli,
                            json_pack("{s:s, s:s}", "schema", "strake.notify/1", "status", "done"));
    return rc;
}

const struct cli_command cli_notify = {
    .name = "notify",
    .summary = "send a message to people",
    .usage = "[OPTIONS] MESSAGE",
    .options = options,
    .run = run,
};
