/* strake rollback: the tags of the current release go back to an image that was there before, by one
 * manifest a tag. Which tags and to what is scripts/rollback.lua's. */
#include <string.h>

#include "cli/cli.h"
#include "image/reference.h"
#include "util/json.h"

static const struct cli_option options[] = {
    { "steps", 0, CLI_NUMBER, "N",
      "so many releases back, by this machine's record or else the registry's ledger; 1 by "
      "default" },
    { "to", 0, CLI_TEXT, "REF", "to this image: a reference, a tag or a digest" },
    { "commit", 0, CLI_TEXT, "REV", "to the image of this commit, by its tag sha-…" },
    { "tag", 0, CLI_LIST, "TAG", "move this tag, and no other that is not named" },
    { "ledger", 0, CLI_FLAG, NULL,
      "go by the ledger in the registry, not by this machine's record" },
    { "dry-run", 0, CLI_FLAG, NULL, "check all and say what would move, and move nothing" },
    { "force", 0, CLI_FLAG, NULL, "move a tag even if somebody else moved it meanwhile" },
    { NULL, 0, CLI_FLAG, NULL, NULL },
};

/* ---- what is asked ---- */

static int check_options(struct cli *cli)
{
    const struct cli_args *args = &cli->args;
    const int ways = (cli_number(args, "steps", 0) > 0) + (cli_text(args, "to") != NULL) +
                     (cli_text(args, "commit") != NULL);
    const char *tag;

    if (ways > 1)
        return strake_fail(&cli->err, STRAKE_EUSAGE,
                           "--steps, --to and --commit each say where to: give one of them");
    for (size_t i = 0; i < args->count; i++) { /* "$TAG" with an unset variable */
        if (args->seen[i]->kind != CLI_FLAG && !*args->values[i])
            return strake_fail(&cli->err, STRAKE_EUSAGE, "--%s is empty", args->seen[i]->name);
    }
    if (args->rest.count > 1)
        return strake_fail(&cli->err, STRAKE_EUSAGE, "one target or repository, not %zu",
                           args->rest.count);
    for (size_t n = 0; (tag = cli_item(args, "tag", n)); n++) {
        if (!strake_tag_valid(tag))
            return strake_fail(&cli->err, STRAKE_EUSAGE, "--tag %s is no tag", tag);
    }
    return 0;
}

/* A word that no target has names a repository. */
static int repository_named(struct cli *cli, const char *word, json_t *repositories, json_t *args)
{
    const struct strake_project *project = cli->session.project;
    struct strake_reference ref = { 0 };
    int rc = strake_reference_parse(word, &ref, &cli->err);

    if (rc == 0 && (ref.tag[0] || ref.digest[0])) {
        rc = strake_fail(&cli->err, STRAKE_EUSAGE, "%s is an image: a repository is rolled back",
                         word);
        strake_err_hint(&cli->err, "strake rollback --tag TAG --to REF %s", ref.name);
    }
    if (rc == 0 && strake_json_append_str(repositories, ref.name) < 0)
        rc = strake_fail_nomem(&cli->err);
    for (size_t i = 0; rc == 0 && i < project->target_count; i++) {
        if (strake_strings_has(&project->targets[i]->images, ref.name) &&
            strake_json_set_str(args, "target", project->targets[i]->name) < 0)
            rc = strake_fail_nomem(&cli->err);
    }
    strake_reference_dispose(&ref);
    return rc;
}

static int repositories_of(struct cli *cli, json_t *repositories, json_t *args)
{
    const char *word = cli->args.rest.count ? cli->args.rest.items[0] : NULL;
    const struct strake_target *target;

    if (word && !strake_project_target(cli->session.project, word) && strpbrk(word, "/:"))
        return repository_named(cli, word, repositories, args);
    target = cli_choose_target(cli, word);
    if (!target)
        return cli->err.code;
    for (size_t i = 0; i < target->images.count; i++) {
        if (strake_json_append_str(repositories, target->images.items[i]) < 0)
            return strake_fail_nomem(&cli->err);
    }
    if (json_array_size(repositories) == 0) {
        strake_fail(&cli->err, STRAKE_EUSAGE, "target %s has no `image`", target->name);
        strake_err_hint(&cli->err, "name the repository: strake rollback HOST/REPOSITORY");
        return STRAKE_EUSAGE;
    }
    return strake_json_set_str(args, "target", target->name) < 0 ? strake_fail_nomem(&cli->err) : 0;
}

/* The target's tags are whose release the ledger is asked for. */
static int add_wanted(struct cli *cli, json_t *args)
{
    const char *name = strake_json_str(args, "target");
    const struct strake_target *target =
        name ? strake_project_target(cli->session.project, name) : NULL;

    if (!target)
        return 0;
    return strake_json_set(args, "wanted", strake_json_strings(strake_strings_view(&target->tags)));
}

static int add_tags(struct cli *cli, json_t *args)
{
    json_t *tags = json_array();
    const char *tag;
    int rc = tags ? 0 : STRAKE_ENOMEM;

    for (size_t n = 0; rc == 0 && (tag = cli_item(&cli->args, "tag", n)); n++)
        rc = strake_json_append_str(tags, tag);
    if (rc == 0 && json_array_size(tags))
        rc = json_object_set(args, "tags", tags);
    json_decref(tags);
    return rc;
}

static json_t *rollback_args(struct cli *cli)
{
    const struct cli_args *given = &cli->args;
    json_t *args = json_object(), *repositories = json_array();
    const int64_t steps = cli_number(given, "steps", 0);
    int rc = args && repositories ? repositories_of(cli, repositories, args)
                                  : strake_fail_nomem(&cli->err);

    if (rc == 0 && (json_object_set(args, "repositories", repositories) < 0 ||
                    (steps && strake_json_set_int(args, "steps", steps) < 0) ||
                    strake_json_set_str(args, "to", cli_text(given, "to")) < 0 ||
                    strake_json_set_str(args, "commit", cli_text(given, "commit")) < 0 ||
                    strake_json_set_bool(args, "dry_run", cli_flag(given, "dry-run")) < 0 ||
                    strake_json_set_bool(args, "force", cli_flag(given, "force")) < 0 ||
                    strake_json_set_bool(args, "ledger", cli_flag(given, "ledger")) < 0 ||
                    add_wanted(cli, args) < 0 || add_tags(cli, args) < 0))
        rc = strake_fail_nomem(&cli->err);
    json_decref(repositories);
    if (rc < 0) {
        json_decref(args);
        return NULL;
    }
    return args;
}

/* ---- what is told ---- */

static json_t *document(struct cli *cli, json_t *result, const char *image)
{
    static const char *const lists[] = { "moves", "kept", "images" };
    json_t *doc = json_object();
    int rc = doc ? 0 : STRAKE_ENOMEM;

    for (size_t i = 0; rc == 0 && i < sizeof(lists) / sizeof(lists[0]); i++)
        rc = cli_mend_list(result, lists[i]);
    if (rc < 0 || strake_json_set_str(doc, "schema", "strake.rollback/1") < 0 ||
        strake_json_set_str(doc, "run", cli->session.run) < 0 ||
        strake_json_set_str(doc, "image", image) < 0 ||
        strake_json_set_str(doc, "status",
                            cli->err.code == 0 && cli_flag(&cli->args, "dry-run")
                                ? "planned"
                                : cli_status(cli->err.code)) < 0 ||
        json_object_update_missing(doc, result) < 0) {
        json_decref(doc);
        return NULL;
    }
    return doc;
}

static const json_t *find_image(const json_t *images, const char *digest)
{
    const json_t *image;
    size_t i;

    json_array_foreach(images, i, image) {
        const char *known = strake_json_str(image, "digest");
        if (known && digest && strcmp(known, digest) == 0)
            return image;
    }
    return NULL;
}

/* "commit 1234567, built 2026-11-25 02:12, published 2026-11-25 02:14" */
static void print_image(const char *label, const json_t *images, const char *digest)
{
    static const struct {
        const char *key, *word;
        int width;
    } facts[] = { { "commit", "commit", 8 },
                  { "created", "built", 16 },
                  { "published", "published", 16 },
                  { "user", "by", 40 } };
    const json_t *image = find_image(images, digest);
    const char *comma = "";

    cli_printf("             %-4s %.19s  ", label, digest && *digest ? digest : "(new)");
    for (size_t i = 0; image && i < sizeof(facts) / sizeof(facts[0]); i++) {
        const char *value = strake_json_str(image, facts[i].key);
        if (!value || !*value)
            continue;
        cli_printf("%s%s %.*s", i == 3 ? " " : comma, facts[i].word, facts[i].width, value);
        comma = ", ";
    }
    cli_printf("\n");
}

/* Nothing where nothing had to be known. */
static void print_source(const json_t *result, const char *image)
{
    const char *source = strake_json_str(result, "source");

    if (source && strcmp(source, "ledger") == 0)
        cli_printf("%-12s the ledger of %s\n", "known from", image);
    else if (source && strcmp(source, "record") == 0)
        cli_printf("%-12s this machine's record\n", "known from");
}

static void print_result(const json_t *result)
{
    const json_t *images = json_object_get(result, "images"), *entry;
    size_t i;

    json_array_foreach(json_object_get(result, "moves"), i, entry) {
        cli_printf("%-12s %s%s\n", strake_json_str(entry, "status"), strake_json_str(entry, "ref"),
                   strake_json_bool(entry, "rolled_back", false) ? "  (moved back)" : "");
        print_image("from", images, strake_json_str(entry, "from"));
        print_image("to", images, strake_json_str(entry, "to"));
    }
    json_array_foreach(json_object_get(result, "kept"), i, entry)
        cli_printf("%-12s %s  %s\n", "stays", strake_json_str(entry, "ref"),
                   strake_json_str(entry, "why"));
}

static int run(struct cli *cli)
{
    const bool dry = cli_flag(&cli->args, "dry-run");
    json_t *args = NULL, *result = NULL;
    char *image = NULL;
    int rc = check_options(cli);

    if (rc == 0)
        rc = cli_open(cli, CLI_NEED_PROJECT | CLI_NEED_RUN | (dry ? 0 : CLI_NEED_SETTLE));
    if (rc == 0 && !(args = rollback_args(cli)))
        rc = cli->err.code;
    if (rc == 0) {
        image = strake_strdup(
            json_string_value(json_array_get(json_object_get(args, "repositories"), 0)));
        rc = cli_way(cli, "rollback", args, &result);
    }
    if (rc == 0 && json_is_object(json_object_get(result, "error")))
        rc = strake_err_parse(&cli->err, json_object_get(result, "error"));
    if (result && cli->json)
        cli_print_json(cli, document(cli, result, image));
    else if (result)
        print_result(result);
    if (rc == 0 && !cli->json)
        print_source(result, image);
    json_decref(result);
    strake_free(image);
    return rc < 0 ? rc : cli_finish_stdout(cli);
}

const struct cli_command cli_rollback = {
    .name = "rollback",
    .summary = "move the tags of a release back, without pulling a layer",
    .usage = "[OPTIONS] [TARGET | REPOSITORY]",
    .help =
        "  strake rollback                     what the last release moved goes one release back\n"
        "  strake rollback --commit HEAD~1     to the image of that commit\n"
        "  strake rollback --tag latest --to v1.2.2 ghcr.io/o/app",
    .options = options,
    .http = true,
    .run = run,
};
