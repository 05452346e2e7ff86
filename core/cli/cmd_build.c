/* strake build: targets or a context, built and, when asked, staged, published, loaded or
 * written. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "util/fs.h"
#include "util/json.h"
#include "util/process.h"
#include "util/time.h"

static const struct cli_option options[] = {
    CLI_WISH_OPTIONS,
    { "stage", 0, CLI_FLAG, NULL, "push by digest; no tag shows it" },
    { "push", 0, CLI_FLAG, NULL, "publish: push, and move the tags once every check has passed" },
    { "load", 0, CLI_FLAG, NULL, "give the image to Docker or Podman" },
    { "output", 'o', CLI_TEXT, "SPEC", "type=oci|docker|local|tar,dest=PATH" },
    { "plan", 0, CLI_TEXT, "FILE", "run exactly this saved plan, or refuse" },
    { "jobs", 'j', CLI_NUMBER, "N",
      "targets at once; as many as the builders have slots by default" },
    { "keep-going", 'k', CLI_FLAG, NULL, "stage what can be built, publish nothing, exit 10" },
    { "changed", 0, CLI_FLAG, NULL, "take the last published image of what did not change" },
    { "force", 0, CLI_FLAG, NULL, "move a tag even if somebody else moved it meanwhile" },
    { NULL, 0, CLI_FLAG, NULL, NULL },
};

/* ---- what leaves the builder ---- */

struct output {
    const char *kind; /* none stage push file */
    char *type;
    char *dest;
    bool load;
    char *dir; /* a temporary folder, for --load */
};

static void output_dispose(struct output *output)
{
    struct strake_err ignored = { 0 };

    if (output->dir)
        strake_fs_remove_tree(output->dir, &ignored);
    strake_err_dispose(&ignored);
    strake_free(output->type);
    strake_free(output->dest);
    strake_free(output->dir);
}

static int take_field(struct cli *cli, struct output *output, const char *field, size_t len)
{
    const char *equals = memchr(field, '=', len);
    size_t key = equals ? (size_t)(equals - field) : len;
    char **into = key == 4 && strncmp(field, "type", 4) == 0   ? &output->type
                  : key == 4 && strncmp(field, "dest", 4) == 0 ? &output->dest
                                                               : NULL;

    if (!equals || !into) {
        strake_fail(&cli->err, STRAKE_EUSAGE, "--output does not know '%.*s'", (int)key, field);
        strake_err_hint(&cli->err, "write --output type=oci,dest=FILE (or docker, local, tar)");
        return STRAKE_EUSAGE;
    }
    strake_free(*into);
    *into = strake_strndup(equals + 1, len - key - 1);
    return *into ? 0 : strake_fail_nomem(&cli->err);
}

/* type=T,dest=D; a bare path is type=local, as buildx has it. */
static int parse_output(struct cli *cli, struct output *output, const char *spec)
{
    int rc = 0;

    if (!strchr(spec, '=')) {
        output->type = strake_strdup("local");
        output->dest = strake_strdup(spec);
        return output->type && output->dest ? 0 : strake_fail_nomem(&cli->err);
    }
    while (rc == 0 && *spec) {
        size_t len = strcspn(spec, ",");
        rc = take_field(cli, output, spec, len);
        spec += len + (spec[len] == ',');
    }
    if (rc == 0 && (!output->type || !output->dest)) {
        rc = strake_fail(&cli->err, STRAKE_EUSAGE, "--output wants a type and a dest");
        strake_err_hint(&cli->err, "write --output type=oci,dest=FILE (or docker, local, tar)");
    } else if (rc == 0 && strcmp(output->dest, "-") == 0) {
        rc = strake_fail(&cli->err, STRAKE_EUSAGE, "--output cannot write to stdout");
        strake_err_hint(&cli->err, "name a file: dest=image.tar");
    }
    return rc;
}

/* docker load, or podman load where docker is not there. */
static const char *loader(void)
{
    char *docker = strake_process_which("docker"), *podman = strake_process_which("podman");
    const char *name = docker ? "docker" : podman ? "podman" : NULL;

    strake_free(docker);
    strake_free(podman);
    return name;
}

static int prepare_load(struct cli *cli, struct output *output)
{
    int rc;

    if (!loader()) {
        rc = strake_fail(&cli->err, STRAKE_EUSAGE,
                         "--load needs docker or podman, and neither is "
                         "installed");
        strake_err_hint(&cli->err, "write a file instead: --output type=docker,dest=image.tar");
        return rc;
    }
    rc = strake_fs_tempdir(&output->dir, &cli->err);
    if (rc < 0)
        return rc;
    output->load = true;
    output->type = strake_strdup("docker");
    output->dest = strake_asprintf("%s/image.tar", output->dir);
    return output->type && output->dest ? 0 : strake_fail_nomem(&cli->err);
}

static int choose_output(struct cli *cli, struct output *output)
{
    const char *spec = cli_text(&cli->args, "output");
    const bool stage = cli_flag(&cli->args, "stage"), push = cli_flag(&cli->args, "push");
    const bool load = cli_flag(&cli->args, "load");

    output->kind = push ? "push" : stage ? "stage" : spec || load ? "file" : "none";
    if ((push || stage) + load + (spec != NULL) > 1) {
        strake_fail(&cli->err, STRAKE_EUSAGE,
                    "--stage, --push, --load and --output exclude each other");
        strake_err_hint(&cli->err, "run it twice: the second build comes from the cache");
        return STRAKE_EUSAGE;
    }
    if (cli_flag(&cli->args, "changed") && (load || spec)) {
        strake_fail(&cli->err, STRAKE_EUSAGE,
                    "--changed takes an image that is in a registry, and %s wants it here",
                    load ? "--load" : "--output");
        strake_err_hint(&cli->err, "leave --changed out; or copy it: strake image copy");
        return STRAKE_EUSAGE;
    }
    if (load)
        return prepare_load(cli, output);
    return spec ? parse_output(cli, output, spec) : 0;
}

static int load(void *ctx, struct strake_job *job, struct strake_err *err)
{
    const struct output *output = ctx;
    const char *program = loader();
    const char *argv[] = { program, "load", "-i", output->dest, NULL };
    struct strake_process_result result = { .size = sizeof(result) };
    struct strake_buf out = { 0 }, words = { 0 };
    int rc = strake_process_capture(job, argv, NULL, &out, &words, 0, &result, err);

    if (rc == 0 && result.exit_code != 0) {
        rc = strake_fail(err, STRAKE_EBUILDER, "%s could not load the image", program);
        strake_err_detail(err, strake_buf_text(&words), words.len);
    }
    strake_buf_dispose(&out);
    strake_buf_dispose(&words);
    return rc;
}

/* ---- telling ---- */

static json_t *build_args(struct cli *cli, const struct output *output, json_t *wish)
{
    json_t *args = json_object();

    if (!args || !wish || json_object_set(args, "wish", wish) < 0 ||
        strake_json_set_str(args, "output", output->kind) < 0 ||
        strake_json_set_str(args, "output_type", output->type) < 0 ||
        strake_json_set_str(args, "output_dest", output->dest) < 0 ||
        strake_json_set_str(args, "plan", cli_text(&cli->args, "plan")) < 0 ||
        strake_json_set_int(args, "jobs", cli_number(&cli->args, "jobs", 0)) < 0 ||
        strake_json_set_bool(args, "keep_going", cli_flag(&cli->args, "keep-going")) < 0 ||
        strake_json_set_bool(args, "changed", cli_flag(&cli->args, "changed")) < 0 ||
        strake_json_set_bool(args, "force", cli_flag(&cli->args, "force")) < 0) {
        json_decref(args);
        args = NULL;
    }
    json_decref(wish);
    return args;
}

static int mend_lists(json_t *result)
{
    json_t *target;
    size_t i;
    int rc = cli_mend_list(result, "moves");

    json_array_foreach(json_object_get(result, "targets"), i, target) {
        if (rc == 0)
            rc = cli_mend_list(target, "refs");
    }
    return rc;
}

/* The document of interfaces.md from what way.build() returned, which is taken over. */
static json_t *document(struct cli *cli, json_t *result)
{
    json_t *doc = json_object();

    if (!doc || mend_lists(result) < 0 ||
        strake_json_set_str(doc, "schema", "strake.build/1") < 0 ||
        strake_json_set_str(doc, "run", cli->session.run) < 0 ||
        json_object_update(doc, result) < 0 ||
        strake_json_set_int(doc, "duration_ms", strake_time_mono_ms() - cli->started_ms) < 0) {
        json_decref(doc);
        return NULL;
    }
    return doc;
}

static void print_target(const json_t *target)
{
    const json_t *refs = json_object_get(target, "refs"), *ref;
    const json_t *steps = json_object_get(target, "steps");
    const char *digest = strake_json_str(target, "digest"),
               *image = strake_json_str(target, "image");
    char time[32];
    size_t i;

    strake_duration_format(strake_json_int(target, "duration_ms", 0), time, sizeof(time));
    cli_printf("%s  %s", strake_json_str(target, "name"), strake_json_str(target, "status"));
    if (digest && image)
        cli_printf("  %s@%s", image, digest);
    if (strcmp(strake_json_str(target, "status"), "done") == 0)
        cli_printf("  (%s, %lld of %lld steps cached)", time,
                   (long long)strake_json_int(steps, "cached", 0),
                   (long long)strake_json_int(steps, "total", 0));
    putchar('\n');
    json_array_foreach(refs, i, ref)
        cli_printf("  %s\n", json_string_value(ref));
}

static void print_result(struct cli *cli, const struct output *output, const json_t *result)
{
    const json_t *targets = json_object_get(result, "targets"), *target;
    size_t i;

    json_array_foreach(targets, i, target)
        print_target(target);
    if (cli->err.code)
        return;
    if (strcmp(output->kind, "none") == 0)
        puts("Nothing left the builder: --stage pushes by digest, --push publishes, --load gives "
             "it to "
             "Docker or Podman, --output writes it.");
    else if (output->load)
        cli_printf("Given to %s.\n", loader());
    else if (output->dest)
        cli_printf("Written to %s.\n", output->dest);
    else if (strcmp(output->kind, "stage") == 0)
        puts("Staged by digest; no tag moved. `strake publish` moves the tags.");
}

/* What a builder made is done only once Docker or Podman has it. */
static int give_away(struct cli *cli, struct output *output, json_t *result)
{
    int rc = cli_await(cli, load, output);

    if (rc < 0 && (strake_json_set_str(result, "status", cli_status(rc)) < 0 ||
                   strake_json_set(result, "error", strake_err_json(&cli->err)) < 0))
        rc = strake_fail_nomem(&cli->err);
    return rc;
}

static int finish(struct cli *cli, struct output *output, json_t *result)
{
    json_t *error = json_object_get(result, "error");
    int rc = 0;

    if (json_is_object(error))
        rc = strake_err_parse(&cli->err, error);
    else if (output->load)
        rc = give_away(cli, output, result);
    if (rc < 0 && json_is_object(error))
        strake_json_set_int(error, "exit", cli_exit_code(cli));
    if (cli->json)
        cli_print_json(cli, document(cli, result));
    else
        print_result(cli, output, result);
    return cli->err.code ? cli->err.code : cli_finish_stdout(cli);
}

/* A saved plan has everything decided: what would be passed over in silence is refused. */
static int check_plan_alone(struct cli *cli)
{
    const char *given = cli_wish_given(cli);

    if (!cli_text(&cli->args, "plan") || (!given && cli->args.rest.count == 0))
        return 0;
    strake_fail(&cli->err, STRAKE_EUSAGE,
                "a saved plan is run as it is: %s%s has no place beside --plan", given ? "--" : "",
                given ? given : cli->args.rest.items[0]);
    strake_err_hint(&cli->err, "leave it out, or make another plan with `strake plan --save`");
    return STRAKE_EUSAGE;
}

static int run(struct cli *cli)
{
    struct output output = { 0 };
    json_t *wish, *result = NULL;
    int rc = check_plan_alone(cli);

    if (rc == 0)
        rc = cli_stdin_check(cli);
    if (rc == 0)
        rc = choose_output(cli, &output);
    if (rc == 0)
        rc = cli_open(cli, CLI_NEED_PROJECT | CLI_NEED_RUN |
                               (strcmp(output.kind, "push") == 0 ? CLI_NEED_SETTLE : 0));
    if (rc == 0)
        rc = cli_stdin_read(cli);
    wish = rc == 0 ? cli_wish(cli) : NULL;
    if (rc == 0 && !wish)
        rc = cli->err.code;
    if (rc == 0)
        rc = cli_way(cli, "build", build_args(cli, &output, wish), &result);
    if (rc == 0)
        rc = finish(cli, &output, result);
    json_decref(result);
    output_dispose(&output);
    return rc;
}

const struct cli_command cli_build = {
    .name = "build",
    .summary = "build targets or a context",
    .usage = "[OPTIONS] [TARGET… | CONTEXT]",
    .help = "Names that strake.lua gives are targets, or groups of a bake file; anything else is a "
            "folder,\n"
            "a URL, or `-`: a tar or a Dockerfile on standard input. Without a name: the "
            "default\n"
            "target, the only one, or the folder you are in.\n\n"
            "  strake build -t registry.example.org/app:1.2 --push .\n"
            "  git archive HEAD | strake build --load -",
    .options = options,
    .run = run,
};
