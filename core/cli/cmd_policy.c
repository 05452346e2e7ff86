/* strake policy list: which policies hold here, where they are asked and who wrote them. */
#include <string.h>

#include "cli/cli.h"
#include "util/json.h"

static const struct cli_option options[] = {
    { NULL, 0, CLI_FLAG, NULL, NULL },
};

static const char *layer_name(enum strake_layer layer)
{
    static const char *const names[] = { "organisation", "user", "project" };

    return names[layer];
}

static json_t *policy_json(const struct strake_policy *policy)
{
    json_t *entry = json_object();

    if (!entry || strake_json_set_str(entry, "name", policy->name) < 0 ||
        strake_json_set_str(entry, "at", strake_point_name(policy->at)) < 0 ||
        strake_json_set_str(entry, "layer", layer_name(policy->layer)) < 0 ||
        strake_json_set_str(entry, "file", policy->place.file) < 0 ||
        strake_json_set_int(entry, "line", policy->place.line) < 0) {
        json_decref(entry);
        return NULL;
    }
    return entry;
}

static json_t *document(const struct strake_project *project)
{
    json_t *doc = json_object(), *list = json_array();

    for (size_t i = 0; list && i < project->policy_count; i++) {
        if (json_array_append_new(list, policy_json(project->policies[i])) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    if (!doc || !list || strake_json_set_str(doc, "schema", "strake.policies/1") < 0 ||
        json_object_set(doc, "policies", list) < 0) {
        json_decref(doc);
        doc = NULL;
    }
    json_decref(list);
    return doc;
}

static int run(struct cli *cli)
{
    const struct strake_project *project;
    int rc;

    if (cli->args.rest.count > 1 ||
        (cli->args.rest.count == 1 && strcmp(cli->args.rest.items[0], "list") != 0)) {
        strake_fail(&cli->err, STRAKE_EUSAGE, "policy does not know '%s'",
                    cli->args.rest.items[cli->args.rest.count - 1]);
        strake_err_hint(&cli->err, "strake policy list");
        return STRAKE_EUSAGE;
    }
    rc = cli_open(cli, CLI_NEED_PROJECT);
    if (rc < 0)
        return rc;
    project = cli->session.project;
    if (cli->json)
        return cli_print_json(cli, document(project));
    if (project->policy_count == 0)
        puts("No policy is declared.");
    for (size_t i = 0; i < project->policy_count; i++) {
        const struct strake_policy *policy = project->policies[i];
        cli_printf("%-10s %-12s %s  (%s:%d)\n", strake_point_name(policy->at),
                   layer_name(policy->layer), policy->name, policy->place.file, policy->place.line);
    }
    return cli_finish_stdout(cli);
}

const struct cli_command cli_policy = {
    .name = "policy",
    .summary = "list the policies that hold here",
    .usage = "[list]",
    .options = options,
    .run = run,
};
