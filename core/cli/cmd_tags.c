/* strake tags: the tags, references and labels that a target would get now. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "util/json.h"
#include "util/time.h"

static const struct cli_option options[] = {
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

static json_t *refs_json(const struct strake_target *target)
{
    json_t *refs;

    if (target->refs.count)
        return strake_json_strings(strake_strings_view(&target->refs));
    refs = json_array();
    for (size_t i = 0; refs && i < target->images.count; i++) {
        for (size_t k = 0; refs && k < target->tags.count; k++) {
            char *ref = strake_asprintf("%s:%s", target->images.items[i], target->tags.items[k]);
            if (!ref || strake_json_append_str(refs, ref) < 0) {
                json_decref(refs);
                refs = NULL;
            }
            strake_free(ref);
        }
    }
    return refs;
}

/* "Now" is SOURCE_DATE_EPOCH when it is set, so that the same commit gives the same labels. */
static int64_t now_us(void)
{
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    char *end;
    long long seconds = epoch ? strtoll(epoch, &end, 10) : 0;

    return epoch && *epoch && !*end ? (int64_t)seconds * 1000000 : strake_time_now_us();
}

static int set_label(json_t *labels, const char *name, const char *value)
{
    char key[64];

    snprintf(key, sizeof(key), "org.opencontainers.image.%s", name);
    if (!value || !*value || json_object_get(labels, key))
        return 0; /* what the target says itself wins */
    return strake_json_set_str(labels, key, value);
}

static json_t *labels_json(const struct strake_target *target, const char *revision)
{
    json_t *labels = strake_json_pairs(strake_pairs_view(&target->labels));
    char created[STRAKE_TIME_TEXT];

    strake_time_format(now_us(), created);
    if (labels && (set_label(labels, "version", target->version) < 0 ||
                   set_label(labels, "revision", revision) < 0 ||
                   set_label(labels, "created", created) < 0)) {
        json_decref(labels);
        return NULL;
    }
    return labels;
}

static json_t *document(const struct strake_target *target, const char *revision)
{
    json_t *doc = json_object();

    if (!doc || strake_json_set_str(doc, "schema", "strake.tags/1") < 0 ||
        strake_json_set_str(doc, "target", target->name) < 0 ||
        strake_json_set_str(doc, "image", target->images.count ? target->images.items[0] : "") <
            0 ||
        strake_json_set_str(doc, "version", target->version ? target->version : "") < 0 ||
        strake_json_set(doc, "tags", strake_json_strings(strake_strings_view(&target->tags))) < 0 ||
        strake_json_set(doc, "refs", refs_json(target)) < 0 ||
        strake_json_set(doc, "labels", labels_json(target, revision)) < 0 ||
        strake_json_set(doc, "annotations",
                        strake_json_pairs(strake_pairs_view(&target->annotations))) < 0) {
        json_decref(doc);
        return NULL;
    }
    return doc;
}

static int print_document(struct cli *cli, const struct strake_target *target)
{
    json_t *facts = NULL;
    int rc = cli_way(cli, "facts", json_object(), &facts);

    if (rc == 0)
        rc = cli_print_json(cli, document(target, strake_json_str(facts, "revision")));
    json_decref(facts);
    return rc;
}

static int run(struct cli *cli)
{
    const struct strake_target *target;
    json_t *doc, *ref;
    size_t i;
    int rc = cli_open(cli, CLI_NEED_PROJECT);

    if (rc < 0)
        return rc;
    target = cli_choose_target(cli, cli->args.rest.count ? cli->args.rest.items[0] : NULL);
    if (!target)
        return cli->err.code;
    if (cli->json)
        return print_document(cli, target);
    doc = refs_json(target);
    if (!doc)
        return strake_fail_nomem(&cli->err);
    if (json_array_size(doc) == 0)
        for (size_t k = 0; k < target->tags.count; k++)
            puts(target->tags.items[k]);
    json_array_foreach(doc, i, ref)
        puts(json_string_value(ref));
    json_decref(doc);
    return cli_finish_stdout(cli);
}

const struct cli_command cli_tags = {
    .name = "tags",
    .summary = "show the tags that a target would get now",
    .usage = "[OPTIONS] [TARGET]",
    .options = options,
    .run = run,
};
