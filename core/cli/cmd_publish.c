/* strake publish: the tags of a target move to an image that is staged, and what a killed run left
 * half done is settled. */
#include <string.h>

#include "cli/cli.h"
#include "image/digest.h"
#include "util/json.h"

static const struct cli_option options[] = {
    CLI_WISH_OPTIONS,
    { "digest", 0, CLI_TEXT, "DIGEST", "the staged image; the last one staged here by default" },
    { "settle", 0, CLI_FLAG, NULL, "settle what a killed run left half moved, forward or back" },
    { "force", 0, CLI_FLAG, NULL, "move a tag even if somebody else moved it meanwhile" },
    { NULL, 0, CLI_FLAG, NULL, NULL },
};

/* ---- what became of tags, also for `image tag` ---- */

void cli_print_moves(const json_t *moves)
{
    const json_t *move;
    size_t i;

    json_array_foreach(moves, i, move) {
        const char *from = strake_json_str(move, "from"), *to = strake_json_str(move, "to");
        cli_printf("%-10s %s  %.19s -> %.19s%s\n", strake_json_str(move, "status"),
                   strake_json_str(move, "ref"), from && *from ? from : "(new)", to ? to : "",
                   strake_json_bool(move, "rolled_back", false) ? "  (moved back)" : "");
    }
}

/* ---- settling ---- */

static json_t *settle_args(struct cli *cli)
{
    json_t *args = json_object();

    if (args && strake_json_set_bool(args, "force", cli_flag(&cli->args, "force")) < 0) {
        json_decref(args);
        args = NULL;
    }
    return args;
}

static json_t *settle_document(json_t *result)
{
    json_t *doc = json_object();

    if (!doc || cli_mend_list(result, "units") < 0 ||
        strake_json_set_str(doc, "schema", "strake.settle/1") < 0 ||
        json_object_update_missing(doc, result) < 0) {
        json_decref(doc);
        return NULL;
    }
    return doc;
}

static void print_units(const struct cli *cli, const json_t *units)
{
    const json_t *unit;
    size_t i;

    if (json_array_size(units) == 0 && !cli->err.code)
        puts("Nothing to settle: no run left tags half moved.");
    json_array_foreach(units, i, unit) {
        cli_printf("run %s: %s\n", strake_json_str(unit, "run"), strake_json_str(unit, "outcome"));
        cli_print_moves(json_object_get(unit, "moves"));
    }
}

static int settle(struct cli *cli)
{
    json_t *result = NULL;
    int rc = cli_open(cli, CLI_NEED_PROJECT | CLI_NEED_RUN);

    if (rc == 0 && !cli->session.record) { /* why was told as a warning */
        rc = strake_fail(&cli->err, STRAKE_EINTERNAL,
                         "without the history nobody knows what is to be settled");
        strake_err_hint(&cli->err, "mend what the warning names, then run it again");
    }
    if (rc == 0)
        rc = cli_way(cli, "settle", settle_args(cli), &result);
    if (rc == 0 && json_is_object(json_object_get(result, "error")))
        rc = strake_err_parse(&cli->err, json_object_get(result, "error"));
    if (result && cli->json)
        cli_print_json(cli, settle_document(result));
    else if (result)
        print_units(cli, json_object_get(result, "units"));
    json_decref(result);
    return rc < 0 ? rc : cli_finish_stdout(cli);
}

/* ---- publishing ---- */

static json_t *publish_args(struct cli *cli)
{
    json_t *args = json_object(), *wish = cli_wish(cli);

    if (!args || !wish || json_object_set(args, "wish", wish) < 0 ||
        strake_json_set_str(args, "digest", cli_text(&cli->args, "digest")) < 0 ||
        strake_json_set_bool(args, "force", cli_flag(&cli->args, "force")) < 0) {
        json_decref(args);
        args = NULL;
    }
    json_decref(wish);
    return args;
}

static json_t *document(struct cli *cli, json_t *result)
{
    json_t *doc = json_object(), *targets = json_object_get(result, "targets"), *target;
    size_t i;
    int rc = doc ? cli_mend_list(result, "moves") : STRAKE_ENOMEM;

    if (rc == 0)
        rc = cli_mend_list(result, "targets");
    json_array_foreach(targets, i, target) {
        if (rc == 0)
            rc = cli_mend_list(target, "refs");
    }
    if (rc < 0 || strake_json_set_str(doc, "schema", "strake.publish/1") < 0 ||
        strake_json_set_str(doc, "run", cli->session.run) < 0 ||
        strake_json_set_str(doc, "status", cli_status(cli->err.code)) < 0 ||
        json_object_update_missing(doc, result) < 0) {
        json_decref(doc);
        return NULL;
    }
    return doc;
}

static int run(struct cli *cli)
{
    const char *digest = cli_text(&cli->args, "digest");
    json_t *result = NULL, *args;
    int rc;

    if (digest && !strake_digest_valid(digest))
        return strake_fail(&cli->err, STRAKE_EUSAGE, "--digest %s is no digest", digest);
    if (cli_flag(&cli->args, "settle"))
        return settle(cli);
    rc = cli_open(cli, CLI_NEED_PROJECT | CLI_NEED_RUN | CLI_NEED_SETTLE);
    if (rc == 0) {
        args = publish_args(cli);
        rc = args ? cli_way(cli, "publish", args, &result) : cli->err.code;
    }
    if (rc == 0 && json_is_object(json_object_get(result, "error")))
        rc = strake_err_parse(&cli->err, json_object_get(result, "error"));
    if (result && cli->json)
        cli_print_json(cli, document(cli, result));
    else if (result)
        cli_print_moves(json_object_get(result, "moves"));
    json_decref(result);
    return rc < 0 ? rc : cli_finish_stdout(cli);
}

const struct cli_command cli_publish = {
    .name = "publish",
    .summary = "move a target's tags to its staged image, as one unit",
    .usage = "[OPTIONS] [TARGET…]",
    .help = "  strake build --stage app && strake publish app\n"
            "  strake publish --settle",
    .options = options,
    .http = true,
    .run = run,
};
