/* What the command line asks of targets, in the words that docker and buildx use. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "project/contexts.h"
#include "util/fs.h"
#include "util/json.h"
#include "util/secret.h"

/* "K=V"; "K" alone takes its value from our environment, and nothing when it is not set there. */
static int add_pair(struct cli *cli, json_t *pairs, const char *option, const char *text)
{
    const char *equals = strchr(text, '=');
    char *name = equals ? strake_strndup(text, (size_t)(equals - text)) : strake_strdup(text);
    const char *value = equals ? equals + 1 : name ? getenv(name) : NULL;
    int rc = 0;

    if (!name)
        rc = strake_fail_nomem(&cli->err);
    else if (!*name)
        rc = strake_fail(&cli->err, STRAKE_EUSAGE, "--%s %s has no name", option, text);
    else if (value && strake_json_set_str(pairs, name, value) < 0)
        rc = strake_fail_nomem(&cli->err);
    strake_free(name);
    return rc;
}

static int set_pairs(struct cli *cli, json_t *wish, const char *option, const char *key)
{
    json_t *pairs = json_object();
    const char *text;
    int rc = 0;

    for (size_t n = 0; rc == 0 && (text = cli_item(&cli->args, option, n)); n++)
        rc = add_pair(cli, pairs, option, text);
    if (rc == 0 && json_object_size(pairs))
        rc = json_object_set(wish, key, pairs) < 0 ? strake_fail_nomem(&cli->err) : 0;
    json_decref(pairs);
    return rc;
}

/* Each value is one item, or with `split` a list with commas between. */
static int set_list(struct cli *cli, json_t *wish, const char *option, const char *key, bool split)
{
    json_t *list = json_array();
    const char *text;
    int rc = list ? 0 : STRAKE_ENOMEM;

    for (size_t n = 0; rc == 0 && (text = cli_item(&cli->args, option, n)); n++) {
        while (rc == 0 && *text) {
            size_t len = split ? strcspn(text, ",") : strlen(text);
            char *item = strake_strndup(text, len);
            rc = item ? strake_json_append_str(list, item) : STRAKE_ENOMEM;
            strake_free(item);
            text += len + (text[len] == ',');
        }
    }
    if (rc == 0 && json_array_size(list))
        rc = json_object_set(wish, key, list) < 0 ? STRAKE_ENOMEM : 0;
    json_decref(list);
    return rc < 0 ? strake_fail_nomem(&cli->err) : 0;
}

/* ---- secrets ---- */

static char *field_of(const char *spec, const char *key)
{
    size_t key_len = strlen(key);

    while (*spec) {
        size_t len = strcspn(spec, ",");
        if (len > key_len && strncmp(spec, key, key_len) == 0 && spec[key_len] == '=')
            return strake_strndup(spec + key_len + 1, len - key_len - 1);
        spec += len + (spec[len] == ',');
    }
    return NULL;
}

void cli_know_secrets(struct cli *cli)
{
    const char *spec;

    for (size_t i = 0; (spec = cli_item(&cli->args, "secret", i)) != NULL; i++) {
        char *env = field_of(spec, "env"), *id = field_of(spec, "id");
        const char *value = env ? getenv(env) : id ? getenv(id) : NULL;
        if (value)
            strake_secret_mark(value, strlen(value));
        strake_free(env);
        strake_free(id);
    }
    for (size_t i = 0; i < cli->args.rest.count; i++)
        strake_context_know_credentials(cli->args.rest.items[i]);
    for (size_t i = 0; (spec = cli_item(&cli->args, "build-context", i)) != NULL; i++) {
        const char *equals = strchr(spec, '=');
        strake_context_know_credentials(equals ? equals + 1 : spec);
    }
}

/* id=NAME[,src=FILE|,env=VARIABLE]; without a source the variable NAME, else the file NAME. */
static int add_secret(struct cli *cli, json_t *list, const char *spec)
{
    char *id = field_of(spec, "id"), *file = field_of(spec, "src"), *env = field_of(spec, "env");
    json_t *entry = json_object();
    char *path = NULL;
    int rc = entry ? 0 : strake_fail_nomem(&cli->err);

    if (!file)
        file = field_of(spec, "source");
    if (rc == 0 && !id) {
        rc = strake_fail(&cli->err, STRAKE_EUSAGE, "--secret has no id");
        strake_err_hint(&cli->err, "write --secret id=NAME,src=FILE or id=NAME,env=VARIABLE");
    }
    if (rc == 0 && !file && !env)
        env = strake_strdup(id);
    if (rc == 0 && file)
        path = strake_fs_absolute(file);
    if (rc == 0 && file && !path)
        rc = strake_fail(&cli->err, STRAKE_EUSAGE, "--secret %s: there is no file %s", id, file);
    if (rc == 0 && env && !file)
        rc = strake_secret_from_env(env, env, &cli->err);
    if (rc == 0 &&
        (strake_json_set_str(entry, "id", id) < 0 || strake_json_set_str(entry, "file", path) < 0 ||
         (!path && strake_json_set_str(entry, "secret", env) < 0) ||
         json_array_append(list, entry) < 0))
        rc = strake_fail_nomem(&cli->err);
    json_decref(entry);
    strake_free(id);
    strake_free(file);
    strake_free(env);
    strake_free(path);
    return rc;
}

static int set_secrets(struct cli *cli, json_t *wish)
{
    json_t *list = json_array();
    const char *spec;
    int rc = 0;

    for (size_t n = 0; rc == 0 && (spec = cli_item(&cli->args, "secret", n)); n++)
        rc = add_secret(cli, list, spec);
    if (rc == 0 && json_array_size(list) && json_object_set(wish, "secrets", list) < 0)
        rc = strake_fail_nomem(&cli->err);
    json_decref(list);
    return rc;
}

/* ---- the whole ---- */

static int set_dockerfile(struct cli *cli, json_t *wish)
{
    const char *file = cli_text(&cli->args, "file");
    char *path;
    int rc;

    if (!file && !cli->stdin_context.dockerfile)
        return 0;
    path = strake_fs_absolute(cli->stdin_context.dockerfile ? cli->stdin_context.dockerfile : file);
    if (!path)
        return strake_fail(&cli->err, STRAKE_EUSAGE, "there is no Dockerfile %s", file);
    rc = strake_json_set_str(wish, "dockerfile", path);
    strake_free(path);
    return rc < 0 ? strake_fail_nomem(&cli->err) : 0;
}

static int set_plain(struct cli *cli, json_t *wish)
{
    char *cwd = getcwd(NULL, 0);
    struct strake_strings names = { 0 };
    int rc = 0;

    if (!cwd || cli_stdin_names(cli, &names) < 0 || strake_json_set_str(wish, "cwd", cwd) < 0 ||
        strake_json_set_str(wish, "stage", cli_text(&cli->args, "target")) < 0 ||
        strake_json_set_str(wish, "builder", cli_text(&cli->args, "builder")) < 0 ||
        strake_json_set_bool(wish, "no_cache", cli_flag(&cli->args, "no-cache")) < 0 ||
        strake_json_set_bool(wish, "all", cli_flag(&cli->args, "all")) < 0 ||
        strake_json_set(wish, "names", strake_json_strings(strake_strings_view(&names))) < 0)
        rc = strake_fail_nomem(&cli->err);
    strake_strings_dispose(&names);
    free(cwd);
    return rc;
}

/* -t "$TAG" with an unset variable would publish the target's own tags instead. */
static int check_tags(struct cli *cli)
{
    const char *text;

    for (size_t n = 0; (text = cli_item(&cli->args, "tag", n)); n++) {
        if (!*text)
            return strake_fail(&cli->err, STRAKE_EUSAGE, "--tag is empty");
    }
    return 0;
}

const char *cli_wish_given(const struct cli *cli)
{
    static const struct cli_option wishes[] = { CLI_WISH_OPTIONS,
                                                { NULL, 0, CLI_FLAG, NULL, NULL } };

    for (size_t i = 0; i < cli->args.count; i++) {
        for (const struct cli_option *wish = wishes; wish->name; wish++) {
            if (strcmp(wish->name, cli->args.seen[i]->name) == 0)
                return wish->name;
        }
    }
    return NULL;
}

json_t *cli_wish(struct cli *cli)
{
    json_t *wish = json_object();

    if (wish && set_plain(cli, wish) == 0 && set_dockerfile(cli, wish) == 0 &&
        check_tags(cli) == 0 && set_list(cli, wish, "tag", "refs", false) == 0 &&
        set_list(cli, wish, "platform", "platforms", true) == 0 &&
        set_list(cli, wish, "cache-from", "cache_from", false) == 0 &&
        set_list(cli, wish, "cache-to", "cache_to", false) == 0 &&
        set_pairs(cli, wish, "build-arg", "args") == 0 &&
        set_pairs(cli, wish, "label", "labels") == 0 &&
        set_pairs(cli, wish, "build-context", "contexts") == 0 && set_secrets(cli, wish) == 0 &&
        cli_wish_options(cli, wish) == 0)
        return wish;
    if (!cli->err.code)
        strake_fail_nomem(&cli->err);
    json_decref(wish);
    return NULL;
}
