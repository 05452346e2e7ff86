/* strake run: a flow of strake.lua, with its arguments. */
#include <string.h>

#include "cli/cli.h"
#include "util/json.h"
#include "util/time.h"

static const struct cli_option options[] = {
    { NULL, 0, CLI_FLAG, NULL, NULL },
};

/* ---- without a name: what there is ---- */

static json_t *flow_json(const struct strake_flow *flow)
{
    json_t *entry = json_object(), *args = json_array();

    for (size_t i = 0; args && i < flow->arg_count; i++) {
        json_t *arg = json_object();
        if (!arg || strake_json_set_str(arg, "name", flow->args[i].name) < 0 ||
            strake_json_set_str(arg, "pattern", flow->args[i].pattern) < 0 ||
            strake_json_set_str(arg, "default", flow->args[i].fallback) < 0 ||
            json_array_append(args, arg) < 0) {
            json_decref(args);
            args = NULL;
        }
        json_decref(arg);
    }
    if (!entry || !args || strake_json_set_str(entry, "name", flow->name) < 0 ||
        strake_json_set_str(entry, "summary", flow->summary ? flow->summary : "") < 0 ||
        json_object_set(entry, "args", args) < 0) {
        json_decref(entry);
        entry = NULL;
    }
    json_decref(args);
    return entry;
}

static json_t *flows_document(const struct strake_project *project)
{
    json_t *doc = json_object(), *flows = json_array();

    for (size_t i = 0; flows && i < project->flow_count; i++) {
        if (json_array_append_new(flows, flow_json(project->flows[i])) < 0) {
            json_decref(flows);
            flows = NULL;
        }
    }
    if (!doc || !flows || strake_json_set_str(doc, "schema", "strake.flows/1") < 0 ||
        json_object_set(doc, "flows", flows) < 0) {
        json_decref(doc);
        doc = NULL;
    }
    json_decref(flows);
    return doc;
}

static int list(struct cli *cli)
{
    const struct strake_project *project = cli->session.project;

    if (cli->json)
        return cli_print_json(cli, flows_document(project));
    if (project->flow_count == 0)
        puts("No flow is declared. Write one: flow \"NAME\" { summary = …, run = function(arg) … "
             "end }");
    for (size_t i = 0; i < project->flow_count; i++) {
        const struct strake_flow *flow = project->flows[i];
        printf("%s", flow->name);
        for (size_t k = 0; k < flow->arg_count; k++)
            printf(flow->args[k].fallback ? " [%s]" : " %s", flow->args[k].name);
        printf("\n    %s\n", flow->summary ? flow->summary : "");
    }
    return cli_finish_stdout(cli);
}

/* ---- running ---- */

static int no_flow(struct cli *cli, const char *name)
{
    strake_fail(&cli->err, STRAKE_EUSAGE, "there is no flow %s", name);
    strake_err_hint(&cli->err, "`strake run` lists the flows");
    return STRAKE_EUSAGE;
}

static int run_flow(struct cli *cli, const char *name)
{
    json_t *args = json_object(), *words = json_array(), *doc;
    int rc = 0;

    for (size_t i = 1; rc == 0 && i < cli->args.rest.count; i++)
        rc = strake_json_append_str(words, cli->args.rest.items[i]);
    if (rc < 0 || strake_json_set_str(args, "flow", name) < 0 ||
        strake_json_set(args, "args", words) < 0)
        return strake_fail_nomem(&cli->err);
    rc = cli_way(cli, "run", args, NULL);
    if (!cli->json)
        return rc;
    doc = json_object();
    if (!doc || strake_json_set_str(doc, "schema", "strake.run/1") < 0 ||
        strake_json_set_str(doc, "run", cli->session.run) < 0 ||
        strake_json_set_str(doc, "flow", name) < 0 ||
        strake_json_set_str(doc, "status", cli_status(rc)) < 0 ||
        strake_json_set_int(doc, "duration_ms", strake_time_mono_ms() - cli->started_ms) < 0 ||
        (rc < 0 && strake_json_set(doc, "error", strake_err_json(&cli->err)) < 0))
        return strake_fail_nomem(&cli->err);
    cli_print_json(cli, doc);
    return rc;
}

static int run(struct cli *cli)
{
    const char *name = cli->args.rest.count ? cli->args.rest.items[0] : NULL;
    int rc;

    if (!name) {
        rc = cli_open(cli, CLI_NEED_PROJECT);
        return rc < 0 ? rc : list(cli);
    }
    rc = cli_open(cli, CLI_NEED_PROJECT | CLI_NEED_RUN | CLI_NEED_SETTLE);
    if (rc == 0 && !strake_project_flow(cli->session.project, name))
        rc = no_flow(cli, name);
    return rc < 0 ? rc : run_flow(cli, name);
}

const struct cli_command cli_run = {
    .name = "run",
    .summary = "run a flow of strake.lua; without a name, list them",
    .usage = "[OPTIONS] [FLOW [ARGUMENT…]]",
    .help = "  strake run release v1.2.3",
    .options = options,
    .run = run,
};
