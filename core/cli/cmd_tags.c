/* strake tags: the tags, references and labels that a target would get now, and with --explain why. What they
 * are and why is scripts/tags/explain.lua's. */
#include <string.h>

#include "cli/cli.h"
#include "util/json.h"
#include "util/time.h"

static const struct cli_option options[] = {
    { "explain", 0, CLI_FLAG, NULL, "which rule gave or withheld each tag, and why" },
    { NULL, 0, CLI_FLAG, NULL, NULL },
};

const struct strake_target *cli_choose_target(struct cli *cli, const char *name)
{
    const struct strake_project *project = cli->session.project;
    const struct strake_target *target = name ? strake_project_target(project, name) : NULL;

    if (name && !target)
        strake_project_no_target(project, name, &cli->err);
    for (size_t i = 0; !name && !target && i < project->target_count; i++) {
        if (project->targets[i]->is_default || project->target_count == 1)
            target = project->targets[i];
    }
    if (!name && !target) {
        strake_fail(&cli->err, STRAKE_EUSAGE, "no target is named, and none is the default");
        strake_err_hint(&cli->err, "strake %s TARGET", cli->command->name);
    }
    return target;
}

/* Each repository with each tag, unless whole references are declared. */
static json_t *refs_json(const struct strake_target *target, const struct strake_strings *images,
                         const json_t *tags)
{
    json_t *refs;
    const json_t *tag;
    size_t k;

    if (target->refs.count)
        return strake_json_strings(strake_strings_view(&target->refs));
    refs = json_array();
    for (size_t i = 0; refs && i < images->count; i++) {
        json_array_foreach(tags, k, tag) {
            char *ref = strake_asprintf("%s:%s", images->items[i], json_string_value(tag));
            const int rc = ref ? strake_json_append_str(refs, ref) : STRAKE_ENOMEM;
            strake_free(ref);
            if (rc < 0) {
                json_decref(refs);
                return NULL;
            }
        }
    }
    return refs;
}

/* ---- the document ---- */

static int set_label(json_t *labels, const char *name, const char *value)
{
    char key[64];

    snprintf(key, sizeof(key), "org.opencontainers.image.%s", name);
    if (!value || !*value || json_object_get(labels, key))
        return 0; /* what the target says itself wins */
    return strake_json_set_str(labels, key, value);
}

static json_t *labels_json(const struct strake_target *target, const json_t *result)
{
    json_t *labels = strake_json_pairs(strake_pairs_view(&target->labels));
    char created[STRAKE_TIME_TEXT];

    strake_time_format(strake_json_int(result, "now_ms", 0) * 1000, created);
    if (labels && (set_label(labels, "version", strake_json_str(result, "version")) < 0 ||
                   set_label(labels, "revision", strake_json_str(result, "revision")) < 0 ||
                   set_label(labels, "created", created) < 0)) {
        json_decref(labels);
        return NULL;
    }
    return labels;
}

static json_t *document(const struct strake_target *target, const char *image, json_t *result,
                        json_t *refs)
{
    json_t *doc = json_object(), *rules = json_object_get(result, "rules");

    if (!doc || strake_json_set_str(doc, "schema", "strake.tags/1") < 0 ||
        strake_json_set_str(doc, "target", target->name) < 0 ||
        strake_json_set_str(doc, "image", image) < 0 ||
        strake_json_set_str(doc, "version", strake_json_str(result, "version")) < 0 ||
        json_object_set(doc, "tags", json_object_get(result, "tags")) < 0 ||
        json_object_set(doc, "refs", refs) < 0 ||
        strake_json_set(doc, "labels", labels_json(target, result)) < 0 ||
        strake_json_set(doc, "annotations",
                        strake_json_pairs(strake_pairs_view(&target->annotations))) < 0 ||
        (rules && json_object_set(doc, "rules", rules) < 0)) {
        json_decref(doc);
        return NULL;
    }
    return doc;
}

/* ---- for people ---- */

static size_t width_of(const json_t *rules, const char *key)
{
    const json_t *rule;
    size_t width = 1, i;

    json_array_foreach(rules, i, rule) {
        const char *text = strake_json_str(rule, key);
        const size_t len = text ? strlen(text) : 0;
        width = len > width ? len : width;
    }
    return width;
}

/* A tag or `-`, the rule, and why. */
static void print_rules(const json_t *result)
{
    const json_t *rules = json_object_get(result, "rules"), *rule;
    const int tag_width = (int)width_of(rules, "tag"), rule_width = (int)width_of(rules, "rule");
    size_t i;

    json_array_foreach(rules, i, rule) {
        const char *tag = strake_json_str(rule, "tag"), *why = strake_json_str(rule, "why");
        const char *text = strake_json_str(rule, "rule"), *file = strake_json_str(rule, "file");
        printf("%-*s  %-*s", tag_width, tag ? tag : "-", why ? rule_width : 0, text);
        if (why)
            printf("  %s", why);
        if (file)
            printf(" (%s:%lld)", file, (long long)strake_json_int(rule, "line", 0));
        putchar('\n');
    }
    if (json_array_size(rules) == 0)
        puts("strake.lua gives it no tags; those that ship are: tags = tags.default()");
}

static void print_refs(const json_t *refs, const json_t *tags)
{
    const json_t *text;
    size_t i;

    json_array_foreach(json_array_size(refs) ? refs : tags, i, text)
        puts(json_string_value(text));
}

static int show(struct cli *cli, const struct strake_target *target, json_t *result)
{
    struct strake_strings images = { 0 };
    json_t *refs = NULL;
    int rc = cli_mend_list(result, "tags");

    if (rc == 0 && json_object_get(result, "rules"))
        rc = cli_mend_list(result, "rules");
    if (rc == 0)
        rc = strake_strings_copy(&images, &target->images);
    strake_images_lower(&images);
    if (rc == 0)
        refs = refs_json(target, &images, json_object_get(result, "tags"));
    if (!refs) {
        rc = strake_fail_nomem(&cli->err);
    } else if (cli->json) {
        rc = cli_print_json(cli,
                            document(target, images.count ? images.items[0] : "", result, refs));
    } else {
        if (json_object_get(result, "rules"))
            print_rules(result);
        else
            print_refs(refs, json_object_get(result, "tags"));
        rc = cli_finish_stdout(cli);
    }
    strake_strings_dispose(&images);
    json_decref(refs);
    return rc;
}

static int run(struct cli *cli)
{
    const struct strake_target *target;
    json_t *args, *result = NULL;
    int rc = cli_open(cli, CLI_NEED_PROJECT);

    if (rc < 0)
        return rc;
    target = cli_choose_target(cli, cli->args.rest.count ? cli->args.rest.items[0] : NULL);
    if (!target)
        return cli->err.code;
    args = json_object();
    if (!args || strake_json_set_str(args, "target", target->name) < 0 ||
        strake_json_set_bool(args, "explain", cli_flag(&cli->args, "explain")) < 0) {
        json_decref(args);
        return strake_fail_nomem(&cli->err);
    }
    rc = cli_way(cli, "tags", args, &result);
    if (rc == 0)
        rc = show(cli, target, result);
    json_decref(result);
    return rc;
}

const struct cli_command cli_tags = {
    .name = "tags",
    .summary = "show the tags that a target would get now",
    .usage = "[OPTIONS] [TARGET]",
    .help = "Without --explain one reference a line. With it one rule a line: the tag that it gave "
            "or `-`,\n"
            "the rule, and why.\n"
            "\n"
            "  strake tags --explain app\n",
    .options = options,
    .run = run,
};
