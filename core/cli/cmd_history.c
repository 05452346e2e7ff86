/* strake history: what ran on this machine, what it made and what it said. */
#include <string.h>

#include "build/explain.h"
#include "cli/cli.h"
#include "cli/history.h"
#include "util/json.h"
#include "util/time.h"

static const struct cli_option options[] = {
    { "limit", 'n', CLI_NUMBER, "N", "how many runs, or moves of tags; 20 by default" },
    { "remote", 0, CLI_TEXT, "REPO[:TAG]", "what the release ledger in a registry tells" },
    { NULL, 0, CLI_FLAG, NULL, NULL },
};

/* ---- list ---- */

static void print_run(const json_t *run)
{
    const json_t *targets = json_object_get(run, "targets"), *target;
    char time[32];
    size_t i;

    strake_duration_format(strake_json_int(run, "duration_ms", 0), time, sizeof(time));
    cli_printf("%s  %.16s  %-11s %-8s %s", strake_json_str(run, "run"),
               strake_json_str(run, "started"), strake_json_str(run, "status"),
               strake_json_str(run, "command"), time);
    json_array_foreach(targets, i, target)
        cli_printf("%s%s", i ? ", " : "  ", strake_json_str(target, "name"));
    putchar('\n');
}

static json_t *no_history(void)
{
    return json_pack("{s:s, s:[]}", "schema", "strake.history/1", "runs");
}

static int list(struct cli *cli)
{
    json_t *doc = NULL, *run;
    size_t i;
    int rc = 0;

    if (cli->session.record)
        rc = strake_record_list(cli->session.record,
                                (int)cli_number(&cli->args, "limit", CLI_HISTORY_LIMIT), &doc,
                                &cli->err);
    else
        doc = no_history();
    if (rc < 0)
        return rc;
    if (cli->json)
        return cli_print_json(cli, doc);
    if (json_array_size(json_object_get(doc, "runs")) == 0)
        puts("No run is recorded on this machine yet.");
    json_array_foreach(json_object_get(doc, "runs"), i, run)
        print_run(run);
    json_decref(doc);
    return cli_finish_stdout(cli);
}

/* ---- show ---- */

static int wanted(struct cli *cli, const char **run)
{
    if (cli->args.rest.count > 2)
        return strake_fail(&cli->err, STRAKE_EUSAGE, "one run at a time");
    *run = cli->args.rest.count > 1 ? cli->args.rest.items[1] : "last";
    if (cli->session.record)
        return 0;
    return strake_fail(&cli->err, STRAKE_EUSAGE, "no run is recorded on this machine yet");
}

static void print_steps(const json_t *steps)
{
    const json_t *step;
    size_t i;

    json_array_foreach(steps, i, step) {
        const char *error = strake_json_str(step, "error"), *name = strake_json_str(step, "name");
        const bool absent = strake_step_name_absent(name, error);
        cli_printf("  %-7s %s: %s\n",
                   absent                                    ? "absent"
                   : error                                   ? "failed"
                   : strake_json_bool(step, "cached", false) ? "cached"
                   : strake_json_str(step, "completed")      ? "done"
                                                             : "running",
                   strake_json_str(step, "target"), name);
        if (error && !absent)
            cli_printf("          %s\n", error);
    }
}

static void print_rest(const json_t *run)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(json_object_get(run, "targets"), i, entry) {
        const char *digest = strake_json_str(entry, "digest");
        cli_printf("  target  %s %s %s\n", strake_json_str(entry, "name"),
                   strake_json_str(entry, "status"), digest ? digest : "");
    }
    json_array_foreach(json_object_get(run, "tag_moves"), i, entry) {
        const char *from = strake_json_str(entry, "from");
        cli_printf("  tag     %s  %.19s -> %.19s (%s)\n", strake_json_str(entry, "ref"),
                   *from ? from : "(new)", strake_json_str(entry, "to"),
                   strake_json_str(entry, "outcome"));
    }
    json_array_foreach(json_object_get(run, "publishes"), i, entry) {
        const char *outcome = strake_json_str(entry, "outcome");
        if (strcmp(outcome, "done") != 0)
            cli_printf("  %-7s %s\n", strake_json_str(entry, "kind"), outcome);
    }
    json_array_foreach(json_object_get(run, "decisions"), i, entry) {
        const char *message = strake_json_str(entry, "message");
        cli_printf("  policy  %s: %s%s%s\n", strake_json_str(entry, "name"),
                   strake_json_str(entry, "action"), message && *message ? ": " : "",
                   message ? message : "");
    }
    json_array_foreach(json_object_get(run, "messages"), i, entry) {
        const char *failure = strake_json_str(json_object_get(entry, "error"), "message");
        cli_printf("  message %s: %s\n", strake_json_str(entry, "notifier"),
                   failure ? failure : "sent");
    }
}

static int show(struct cli *cli)
{
    const json_t *run, *error;
    const char *id = NULL;
    json_t *doc = NULL;
    int rc = wanted(cli, &id);

    if (rc == 0)
        rc = strake_record_show(cli->session.record, id, &doc, &cli->err);
    if (rc < 0)
        return rc;
    if (cli->json)
        return cli_print_json(cli, doc);
    run = json_array_get(json_object_get(doc, "runs"), 0);
    error = json_object_get(run, "error");
    print_run(run);
    if (error)
        cli_printf("  error   %s\n", strake_json_str(error, "message"));
    print_steps(json_object_get(run, "steps"));
    print_rest(run);
    json_decref(doc);
    return cli_finish_stdout(cli);
}

/* ---- logs ---- */

struct printing {
    char *heading;
    bool at_start;
};

static int print_log(void *ctx, const char *target, const char *step, const char *text, size_t len)
{
    struct printing *printing = ctx;
    char *heading = strake_asprintf("== %s: %s", target, step);

    if (!heading)
        return STRAKE_ENOMEM;
    if (!printing->heading || strcmp(printing->heading, heading) != 0) {
        cli_printf("%s%s\n", printing->at_start ? "" : "\n", heading);
        strake_free(printing->heading);
        printing->heading = heading;
    } else {
        strake_free(heading);
    }
    cli_printf("%.*s", (int)len, text);
    printing->at_start = len && text[len - 1] == '\n';
    return 0;
}

static int logs(struct cli *cli)
{
    struct printing printing = { .at_start = true };
    const char *id = NULL;
    int rc = wanted(cli, &id);

    if (rc == 0 && cli->json) {
        rc = strake_fail(&cli->err, STRAKE_EUSAGE, "history logs has no document");
        strake_err_hint(&cli->err, "history show --json has the steps");
    }
    if (rc == 0)
        rc = strake_record_logs(cli->session.record, id, print_log, &printing, &cli->err);
    strake_free(printing.heading);
    return rc < 0 ? rc : cli_finish_stdout(cli);
}

static int run(struct cli *cli)
{
    const char *verb = cli->args.rest.count ? cli->args.rest.items[0] : "list";
    int rc;

    if (cli_text(&cli->args, "remote"))
        return cli_history_remote(cli);
    rc = cli_open(cli, CLI_NEED_PROJECT | CLI_NEED_RECORD);
    if (rc < 0)
        return rc;
    if (strcmp(verb, "list") == 0)
        return list(cli);
    if (strcmp(verb, "show") == 0)
        return show(cli);
    if (strcmp(verb, "logs") == 0)
        return logs(cli);
    strake_fail(&cli->err, STRAKE_EUSAGE, "history does not know '%s'", verb);
    strake_err_hint(&cli->err, "list, show RUN, logs RUN");
    return STRAKE_EUSAGE;
}

const struct cli_command cli_history = {
    .name = "history",
    .summary = "what ran on this machine, what it made and said",
    .usage = "[list | show [RUN] | logs [RUN] | --remote REPOSITORY[:TAG]]",
    .help = "RUN is an id, a unique beginning of one, or `last`, which is also the default.",
    .options = options,
    .run = run,
};
