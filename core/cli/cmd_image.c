/* strake image show, list, tag (layers, diff, copy and delete lie beside): images in registries and layouts, without
 * pulling a layer. */
#include <string.h>

#include "build/inspect.h"
#include "cli/cli.h"
#include "util/json.h"
#include "util/time.h"

static const struct cli_option options[] = {
    { "platform", 0, CLI_LIST, "P", "layers, diff: one platform; layers: all; copy: these alone" },
    { "sizes", 0, CLI_FLAG, NULL, "list: digest, size and date of what each tag names" },
    { "sort", 0, CLI_TEXT, "ORDER", "list: by name, created or size" },
    { "files", 0, CLI_FLAG, NULL, "layers: list what each layer adds, changes and deletes" },
    { "referrers", 0, CLI_FLAG, NULL, "copy: signatures, SBOMs and what else refers to the image" },
    { "force", 0, CLI_FLAG, NULL,
      "tag, copy: move a tag even if somebody else moved it meanwhile" },
    { "yes", 'y', CLI_FLAG, NULL, "delete: also the tags that show the image" },
    { "dry-run", 0, CLI_FLAG, NULL, "delete: say what would go, and delete nothing" },
    { NULL, 0, CLI_FLAG, NULL, NULL },
};

static int want_words(struct cli *cli, size_t least, size_t most, const char *usage)
{
    const size_t count = cli->args.rest.count - 1;

    if (count >= least && count <= most)
        return 0;
    strake_fail(&cli->err, STRAKE_EUSAGE, "usage: strake image %s", usage);
    return STRAKE_EUSAGE;
}

/* ---- show ---- */

struct showing {
    struct cli *cli;
    const char *ref;
    json_t *document;
};

static int show_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct showing *showing = ctx;

    return strake_inspect(showing->cli->session.stores, showing->ref, job, &showing->document, err);
}

static void print_platform(const json_t *platform)
{
    const json_t *config = json_object_get(platform, "config");
    const json_t *layers = json_object_get(platform, "layers"), *layer;
    const char *user = strake_json_str(config, "user");
    char size[32];
    size_t i;

    strake_size_format(strake_json_int(platform, "size_bytes", 0), size, sizeof(size));
    cli_printf("\n%s  %s  %s\n", strake_json_str(platform, "platform"),
               strake_json_str(platform, "digest"), size);
    if (user && *user)
        cli_printf("  user %s\n", user);
    json_array_foreach(layers, i, layer) {
        const char *by = strake_json_str(layer, "created_by");
        strake_size_format(strake_json_int(layer, "size_bytes", 0), size, sizeof(size));
        cli_printf("  %10s  %.19s  %.100s\n", size, strake_json_str(layer, "digest"), by ? by : "");
    }
}

static int show(struct cli *cli)
{
    struct showing showing = { .cli = cli };
    const json_t *platform;
    char size[32];
    size_t i;
    int rc = want_words(cli, 1, 1, "show REF");

    if (rc < 0)
        return rc;
    showing.ref = cli->args.rest.items[1];
    rc = cli_await(cli, show_run, &showing);
    if (rc < 0)
        return rc;
    if (cli->json)
        return cli_print_json(cli, showing.document);
    strake_size_format(strake_json_int(showing.document, "size_bytes", 0), size, sizeof(size));
    cli_printf("%s\n%s  %s\n%s\n", showing.ref, strake_json_str(showing.document, "digest"), size,
               strake_json_str(showing.document, "media_type"));
    json_array_foreach(json_object_get(showing.document, "platforms"), i, platform)
        print_platform(platform);
    json_decref(showing.document);
    return cli_finish_stdout(cli);
}

/* ---- tag ---- */

/* A bare tag is one of the source's own repository. */
static int destination(struct cli *cli, const char *text, json_t *refs)
{
    struct strake_reference source = { 0 };
    char *full = NULL;
    int rc = 0;

    if (strpbrk(text, "/:") || !strake_tag_valid(text)) {
        full = strake_strdup(text);
    } else {
        rc = strake_reference_parse(cli->args.rest.items[1], &source, &cli->err);
        if (rc == 0)
            full = strake_asprintf("%s:%s", source.name, text);
        strake_reference_dispose(&source);
    }
    if (rc == 0 && (!full || strake_json_append_str(refs, full) < 0))
        rc = strake_fail_nomem(&cli->err);
    strake_free(full);
    return rc;
}

static json_t *tag_document(json_t *result)
{
    json_t *doc = json_object();

    if (!doc || cli_mend_list(result, "moves") < 0 ||
        strake_json_set_str(doc, "schema", "strake.tag/1") < 0 ||
        json_object_update_missing(doc, result) < 0) {
        json_decref(doc);
        return NULL;
    }
    return doc;
}

static int tag(struct cli *cli)
{
    json_t *args = json_object(), *refs = json_array(), *result = NULL;
    int rc = want_words(cli, 2, 100, "tag SOURCE TAG|REF…");

    for (size_t i = 2; rc == 0 && i < cli->args.rest.count; i++)
        rc = destination(cli, cli->args.rest.items[i], refs);
    if (rc == 0 && (strake_json_set_str(args, "source", cli->args.rest.items[1]) < 0 ||
                    json_object_set(args, "refs", refs) < 0 ||
                    strake_json_set_bool(args, "force", cli_flag(&cli->args, "force")) < 0))
        rc = strake_fail_nomem(&cli->err);
    json_decref(refs);
    if (rc < 0) {
        json_decref(args);
        return rc;
    }
    rc = cli_way(cli, "retag", args, &result);
    if (rc == 0 && json_is_object(json_object_get(result, "error")))
        rc = strake_err_parse(&cli->err, json_object_get(result, "error"));
    if (result && cli->json)
        cli_print_json(cli, tag_document(result));
    else if (result)
        cli_print_moves(json_object_get(result, "moves"));
    json_decref(result);
    return rc < 0 ? rc : cli_finish_stdout(cli);
}

/* ---- delete ---- */

static int delete_image(struct cli *cli)
{
    int rc = want_words(cli, 1, 1, "delete REF");

    return rc < 0 ? rc : cli_image_delete(cli);
}

/* ---- the command ---- */

static int run(struct cli *cli)
{
    static const struct {
        const char *name;
        unsigned needs;
        int (*run)(struct cli *cli);
    } verbs[] = {
        { "show", CLI_NEED_PROJECT, show },
        { "layers", CLI_NEED_PROJECT, cli_image_layers },
        { "diff", CLI_NEED_PROJECT, cli_image_diff },
        { "list", CLI_NEED_PROJECT, cli_image_list },
        { "tag", CLI_NEED_PROJECT | CLI_NEED_RUN | CLI_NEED_SETTLE, tag },
        { "copy", CLI_NEED_PROJECT | CLI_NEED_RUN | CLI_NEED_SETTLE, cli_image_copy },
        { "delete", CLI_NEED_PROJECT | CLI_NEED_RUN | CLI_NEED_SETTLE, delete_image },
    };
    const char *verb = cli->args.rest.count ? cli->args.rest.items[0] : "";

    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].name, verb) == 0) {
            int rc = cli_open(cli, verbs[i].needs);
            return rc < 0 ? rc : verbs[i].run(cli);
        }
    }
    strake_fail(&cli->err, STRAKE_EUSAGE,
                *verb ? "image does not know '%s'" : "image wants to know what to do%s", verb);
    strake_err_hint(&cli->err, "show REF, layers REF, diff A B, list REPOSITORY, tag SOURCE REF…, "
                               "copy SOURCE DESTINATION, delete REF");
    return STRAKE_EUSAGE;
}

const struct cli_command cli_image = {
    .name = "image",
    .summary =
        "show, take apart, compare, list, tag, copy and delete images in registries and layouts",
    .usage = "show REF | layers REF | diff A B | list REPOSITORY | tag SOURCE REF… | "
             "copy SOURCE DESTINATION | delete REF",
    .help =
        "A REF is a registry reference, oci:DIR[:TAG|@DIGEST] for an OCI layout, or\n"
        "docker-archive:FILE for what docker save writes. layers and diff read the layers as\n"
        "they come, without unpacking them: of this machine's platform, or of --platform.\n"
        "delete REPOSITORY:TAG takes that tag away alone; REPOSITORY@DIGEST deletes the image,\n"
        "the tags that show it (with --yes) and the parts that no other tag needs.",
    .options = options,
    .http = true,
    .run = run,
};
