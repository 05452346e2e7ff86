/* strake init: a first strake.lua beside the Dockerfile. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "util/fs.h"
#include "util/json.h"

static const struct cli_option options[] = {
    { "image", 0, CLI_TEXT, "REPOSITORY", "where the image goes" },
    { "force", 0, CLI_FLAG, NULL, "write over a strake.lua that is there" },
    { NULL, 0, CLI_FLAG, NULL, NULL },
};

static const char template[] =
    "-- What this project builds and where it goes. `strake plan` shows what follows from it;\n"
    "-- docs/lua.md describes every name.\n"
    "\n"
    "target \"%s\" {\n"
    "  context = \".\",\n"
    "  image = \"%s\",\n"
    "  tags = tags.default(), -- `strake tags --explain` says which and why\n"
    "}\n"
    "\n"
    "policy \"no root\" { at = \"publish\", check = function(image)\n"
    "  if image.config.user == \"\" or image.config.user == \"root\" then\n"
    "    warn(\"the image runs as root\", { fix = \"end the Dockerfile with USER <name>\" })\n"
    "  end\n"
    "end }\n";

/* The folder's name, made into what a target and a repository may be called. */
static char *project_name(void)
{
    char *cwd = getcwd(NULL, 0);
    const char *slash = cwd ? strrchr(cwd, '/') : NULL;
    char *name = strake_strdup(slash && slash[1] ? slash + 1 : "app");

    for (char *at = name; at && *at; at++) {
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at + ('a' - 'A'));
        else if (!((*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9')))
            *at = '-';
    }
    free(cwd);
    return name;
}

static int write_file(struct cli *cli, const char *name)
{
    const char *image = cli_text(&cli->args, "image");
    char *fallback = strake_asprintf("registry.example.org/%s", name);
    char *text = fallback ? strake_asprintf(template, name, image ? image : fallback) : NULL;
    int rc = text ? strake_fs_write("strake.lua", text, strlen(text), 0644, false, &cli->err)
                  : strake_fail_nomem(&cli->err);

    strake_free(fallback);
    strake_free(text);
    return rc;
}

static int run(struct cli *cli)
{
    char *name;
    int rc;

    if (cli->args.rest.count)
        return strake_fail(&cli->err, STRAKE_EUSAGE, "init takes no names");
    if (access("strake.lua", F_OK) == 0 && !cli_flag(&cli->args, "force")) {
        strake_fail(&cli->err, STRAKE_EUSAGE, "there is a strake.lua here already");
        strake_err_hint(&cli->err, "--force writes over it");
        return STRAKE_EUSAGE;
    }
    name = project_name();
    rc = name ? write_file(cli, name) : strake_fail_nomem(&cli->err);
    strake_free(name);
    if (rc < 0)
        return rc;
    if (cli->json)
        return cli_print_json(
            cli, json_pack("{s:s, s:s}", "schema", "strake.init/1", "file", "strake.lua"));
    puts("Wrote strake.lua. Next: `strake plan`, then `strake build --push`.");
    if (!strake_fs_is_file("Dockerfile"))
        puts("There is no Dockerfile here yet.");
    return cli_finish_stdout(cli);
}

const struct cli_command cli_init = {
    .name = "init",
    .summary = "write a first strake.lua",
    .usage = "[OPTIONS]",
    .options = options,
    .run = run,
};
