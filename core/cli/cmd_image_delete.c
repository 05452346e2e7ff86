/* strake image delete: a tag alone, or an image with all that shows it. What goes is
 * scripts/delete.lua's to say. */
#include <string.h>

#include "cli/cli.h"
#include "image/reference.h"
#include "util/json.h"

static json_t *delete_args(struct cli *cli, const struct strake_reference *ref, bool yes)
{
    json_t *args = json_object();

    if (!args || strake_json_set_str(args, "repository", ref->name) < 0 ||
        strake_json_set_str(args, "tag", ref->digest[0] ? NULL : ref->tag) < 0 ||
        strake_json_set_str(args, "digest", ref->digest[0] ? ref->digest : NULL) < 0 ||
        strake_json_set_bool(args, "yes", yes) < 0 ||
        strake_json_set_bool(args, "dry_run", cli_flag(&cli->args, "dry-run")) < 0) {
        json_decref(args);
        strake_fail_nomem(&cli->err);
        return NULL;
    }
    return args;
}

static json_t *document(struct cli *cli, json_t *result)
{
    static const char *const lists[] = { "deleted", "manifests", "kept" };
    json_t *doc = json_object();
    int rc = doc ? 0 : STRAKE_ENOMEM;

    json_object_del(result, "unconfirmed");
    for (size_t i = 0; rc == 0 && i < sizeof(lists) / sizeof(lists[0]); i++)
        rc = cli_mend_list(result, lists[i]);
    if (rc < 0 || strake_json_set_str(doc, "schema", "strake.delete/1") < 0 ||
        strake_json_set_str(doc, "ref", cli->args.rest.items[1]) < 0 ||
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

static void print_result(struct cli *cli, const json_t *result)
{
    const char *word = cli_flag(&cli->args, "dry-run") ? "would go" : "deleted";
    const json_t *entry;
    size_t i;

    json_array_foreach(json_object_get(result, "deleted"), i, entry)
        cli_printf("%-10s %s\n", word, json_string_value(entry));
    json_array_foreach(json_object_get(result, "manifests"), i, entry)
        cli_printf("%-10s %s%s\n", word, json_string_value(entry), i > 0 ? "  (a part of it)" : "");
    json_array_foreach(json_object_get(result, "kept"), i, entry)
        cli_printf("%-10s %s  %s\n", "stays", strake_json_str(entry, "digest"),
                   strake_json_str(entry, "why"));
}

/* The tags that would go along are told in any case; nobody is asked: what reads the answer may be a
 * script. */
static int unconfirmed(struct cli *cli, const json_t *result)
{
    const json_t *deleted = json_object_get(result, "deleted"), *entry;
    struct strake_buf tags = { 0 };
    size_t i;
    int rc = 0;

    json_array_foreach(deleted, i, entry) {
        if (rc == 0)
            rc = strake_buf_printf(&tags, "%s%s", i ? ", " : "", json_string_value(entry));
    }
    if (rc == 0) {
        strake_fail(&cli->err, STRAKE_EUSAGE, "with this image %zu tag%s would go: %s",
                    json_array_size(deleted), json_array_size(deleted) == 1 ? "" : "s",
                    strake_buf_text(&tags));
        strake_err_hint(&cli->err, "--yes deletes it all; --dry-run shows what that is; "
                                   "`strake image delete REPOSITORY:TAG` takes one tag away");
        rc = STRAKE_EUSAGE;
    }
    strake_buf_dispose(&tags);
    return rc;
}

static int check_reference(struct cli *cli, struct strake_reference *ref)
{
    const char *text = cli->args.rest.items[1];
    int rc = strake_reference_parse(text, ref, &cli->err);

    if (rc == 0 && !ref->tag[0] && !ref->digest[0]) {
        rc = strake_fail(&cli->err, STRAKE_EUSAGE, "%s names no image", text);
        strake_err_hint(&cli->err,
                        "write %s:TAG for one tag, or %s@DIGEST for an image with all "
                        "its tags",
                        text, text);
    }
    return rc;
}

int cli_image_delete(struct cli *cli)
{
    struct strake_reference ref = { 0 };
    json_t *args = NULL, *result = NULL;
    int rc = check_reference(cli, &ref);

    if (rc == 0 && !(args = delete_args(cli, &ref, cli_flag(&cli->args, "yes"))))
        rc = cli->err.code;
    if (rc == 0)
        rc = cli_way(cli, "delete", args, &result);
    if (rc == 0 && json_is_object(json_object_get(result, "error")))
        rc = strake_err_parse(&cli->err, json_object_get(result, "error"));
    if (rc == 0 && strake_json_bool(result, "unconfirmed", false))
        rc = unconfirmed(cli, result);
    if (rc == 0 && cli->json)
        cli_print_json(cli, document(cli, result));
    else if (rc == 0)
        print_result(cli, result);
    json_decref(result);
    strake_reference_dispose(&ref);
    return rc < 0 ? rc : cli_finish_stdout(cli);
}
