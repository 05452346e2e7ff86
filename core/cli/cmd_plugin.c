/* strake plugin: what is installed, what one offers, and whether a file keeps every rule. */
#include <string.h>

#include "cli/cli.h"
#include "plugin/loader.h"
#include "util/json.h"

static const struct cli_option options[] = {
    { NULL, 0, CLI_FLAG, NULL, NULL },
};

static void print_interfaces(const json_t *entry)
{
    const json_t *name;
    size_t i;

    json_array_foreach(json_object_get(entry, "interfaces"), i, name)
        printf("%s%s", i ? ", " : "", json_string_value(name));
}

static void print_entry(const json_t *entry)
{
    const char *error = strake_json_str(entry, "error");
    const char *shadow = strake_json_str(entry, "shadowed_by");

    printf("%-12s %-8s ", strake_json_str(entry, "name"), strake_json_str(entry, "version"));
    if (error)
        printf("broken: %s", error);
    else if (shadow)
        printf("%s is not used: %s comes first", strake_json_str(entry, "path"), shadow);
    else
        print_interfaces(entry);
    putchar('\n');
}

static int list(struct cli *cli)
{
    json_t *doc = strake_loader_list(&cli->err), *entry;
    size_t i;

    if (!doc)
        return cli->err.code;
    if (cli->json)
        return cli_print_json(cli, doc);
    json_array_foreach(json_object_get(doc, "plugins"), i, entry)
        print_entry(entry);
    json_decref(doc);
    return cli_finish_stdout(cli);
}

static int info(struct cli *cli, const char *name)
{
    const struct strake_loaded *loaded;
    json_t *doc = NULL, *entry, *found = NULL;
    size_t i;
    int rc = strake_loader_load(name, &loaded, &cli->err);

    if (rc == 0)
        doc = strake_loader_list(&cli->err);
    if (!doc)
        return cli->err.code;
    json_array_foreach(json_object_get(doc, "plugins"), i, entry) {
        if (!found && strcmp(strake_json_str(entry, "name"), name) == 0)
            found = entry;
    }
    if (cli->json) {
        strake_json_set(doc, "plugins", json_pack("[O]", found));
        return cli_print_json(cli, doc);
    }
    printf("%s %s\n", name, strake_json_str(found, "version"));
    if (strake_json_str(found, "summary"))
        printf("%s\n", strake_json_str(found, "summary"));
    printf("\n  file        %s\n  ABI         %u\n  interfaces  ", loaded->path,
           loaded->descriptor->abi);
    print_interfaces(found);
    putchar('\n');
    json_decref(doc);
    return cli_finish_stdout(cli);
}

static int check(struct cli *cli, const char *path)
{
    const json_t *rule;
    bool ok = false;
    json_t *doc = strake_loader_check(path, &ok, &cli->err);
    size_t i;
    int rc;

    if (!doc)
        return cli->err.code;
    if (!cli->json) {
        json_array_foreach(json_object_get(doc, "checks"), i, rule) {
            const char *detail = strake_json_str(rule, "detail");
            printf("%-5s %s\n", strake_json_str(rule, "status"), strake_json_str(rule, "name"));
            if (detail && *detail)
                printf("      %s\n", detail);
        }
        json_decref(doc);
        rc = cli_finish_stdout(cli);
    } else {
        rc = cli_print_json(cli, doc);
    }
    if (rc == 0 && !ok)
        rc =
            strake_fail(&cli->err, STRAKE_ECONFIG, "%s does not keep every rule of a plugin", path);
    return rc;
}

static int run(struct cli *cli)
{
    const struct strake_strings *words = &cli->args.rest;
    const char *verb = words->count ? words->items[0] : "list";
    int rc = cli_open(cli, CLI_NEED_PROJECT);

    if (rc < 0)
        return rc;
    if (strcmp(verb, "list") == 0 && words->count <= 1)
        return list(cli);
    if (strcmp(verb, "info") == 0 && words->count == 2)
        return info(cli, words->items[1]);
    if (strcmp(verb, "check") == 0 && words->count == 2)
        return check(cli, words->items[1]);
    strake_fail(&cli->err, STRAKE_EUSAGE, "plugin does not know that");
    strake_err_hint(&cli->err, "list, info NAME, check FILE.so");
    return STRAKE_EUSAGE;
}

const struct cli_command cli_plugin = {
    .name = "plugin",
    .summary = "list plugins, show one, or check a file",
    .usage = "[list | info NAME | check FILE.so]",
    .options = options,
    .run = run,
};
