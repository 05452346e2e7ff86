/* Programs: what is configured needs them, or may use them. */
#include <string.h>
#include <unistd.h>

#include "doctor/probe.h"
#include "project/discover.h"
#include "util/fs.h"
#include "util/json.h"
#include "util/mem.h"
#include "util/process.h"

#define EXIT_NOTRUN 7
#define WORDS_MAX ((size_t)64 * 1024)

struct tool {
    const char *name;
    const char *plugin; /* of the builders that run it; NULL: none does */
    const char *version[4];
    const char *instead[2][4]; /* where there is no such program, in turn; empty: nothing else */
    const char *package;       /* how to get it */
};

static const struct tool tools[] = {
    { "git", NULL, { "git", "--version" }, { { NULL } }, "apt-get install git" },
    { "buildctl",
      "buildctl",
      { "buildctl", "--version" },
      { { NULL } },
      "install BuildKit's buildctl, https://github.com/moby/buildkit/releases" },
    { "buildx",
      "buildx",
      { "buildx", "version" },
      { { "docker-buildx", "version" }, { "docker", "buildx", "version" } },
      "install buildx, https://github.com/docker/buildx/releases" },
    { "buildah", "buildah", { "buildah", "--version" }, { { NULL } }, "apt-get install buildah" },
    { "docker", NULL, { "docker", "--version" }, { { NULL } }, "apt-get install docker.io" },
};

/* ---- one tool ---- */

/* What it says on its first line. */
static int ask_version(struct doctor_probe *probe, const char *const *argv, struct strake_job *job,
                       struct strake_buf *said, struct strake_err *err)
{
    struct strake_buf errors = STRAKE_BUF(WORDS_MAX);
    struct strake_process_result result = { .size = sizeof(result) };
    int rc = strake_process_capture(job, argv, NULL, said, &errors, probe->doctor->bound_ms,
                                    &result, err);

    if (rc == 0 && result.exit_code != 0)
        rc = strake_fail(err, STRAKE_ENOTRUN, "%s %s ended with %d", argv[0], argv[1],
                         result.exit_code);
    if (rc < 0 && errors.len)
        strake_err_detail(err, strake_buf_text(&errors), errors.len);
    strake_buf_dispose(&errors);
    return rc;
}

static int tell_version(struct doctor_probe *probe, const char *path, const struct strake_buf *said)
{
    const char *text = strake_buf_text(said);
    const size_t len = strcspn(text, "\r\n");

    return doctor_tell(probe, NULL, DOCTOR_OK, NULL, "%.*s, %s", (int)(len < 200 ? len : 200),
                       len ? text : "it does not say its version", path);
}

/* @return 1 when it was told, 0 when there is no such program, or STRAKE_ENOMEM */
static int try_tool(struct doctor_probe *probe, const char *const *version, struct strake_job *job)
{
    const bool needed = strake_json_bool(probe->options, "needed", false);
    char *path = strake_process_which(version[0]);
    const char *argv[] = { path, version[1], version[1] ? version[2] : NULL, NULL };
    struct strake_buf said = STRAKE_BUF(WORDS_MAX);
    struct strake_err err = { 0 };
    int rc;

    if (!path || access(path, F_OK) < 0) { /* a name with a slash is taken as it is */
        strake_free(path);
        return 0;
    }
    rc = ask_version(probe, argv, job, &said, &err);
    if (rc == 0)
        rc = tell_version(probe, path, &said);
    else if (version[2] && !needed) /* docker is there, its plugin is not */
        rc = doctor_tell(probe, NULL, DOCTOR_SKIP, NULL, "not installed");
    else
        rc = doctor_tell_err(probe, NULL, needed ? DOCTOR_FAIL : DOCTOR_WARN, &err);
    strake_buf_dispose(&said);
    strake_err_dispose(&err);
    strake_free(path);
    return rc < 0 ? rc : 1;
}

/* A program that a builder names may be docker, of which buildx is a plugin. */
static int try_program(struct doctor_probe *probe, const struct tool *tool, const char *program,
                       struct strake_job *job)
{
    const char *slash = strrchr(program, '/'), *base = slash ? slash + 1 : program;
    const bool docker = strcmp(base, "docker") == 0 && strcmp(tool->name, "buildx") == 0;
    const char *version[] = { program, docker ? "buildx" : tool->version[1],
                              docker ? "version" : NULL, NULL };

    return try_tool(probe, version, job);
}

static int run_tool(struct doctor_probe *probe, struct strake_job *job)
{
    const struct tool *tool = &tools[strake_json_int(probe->options, "tool", 0)];
    const char *program = strake_json_str(probe->options, "program");
    int rc = program ? try_program(probe, tool, program, job) : try_tool(probe, tool->version, job);

    for (size_t i = 0; i < 2 && rc == 0 && !program && tool->instead[i][0]; i++)
        rc = try_tool(probe, tool->instead[i], job);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    if (strake_json_bool(probe->options, "needed", false))
        return doctor_tell(probe, NULL, DOCTOR_FAIL, tool->package, "%s is not there, and %s",
                           program ? program : tool->name, strake_json_str(probe->options, "why"));
    return doctor_tell(probe, NULL, DOCTOR_SKIP, NULL, "not installed");
}

/* ---- the list ---- */

/* The first builder that runs this plugin, which may name the program. */
static int needed_by_builder(const struct strake_project *project, const struct tool *tool,
                             json_t *options)
{
    for (size_t i = 0; tool->plugin && project && i < project->block_count; i++) {
        const struct strake_block *block = project->blocks[i];
        const char *type = block->type;
        char *why;
        int rc;
        if (block->kind != STRAKE_BLOCK_BUILDER)
            continue;
        if (strake_builder_has_stand_in(type, block->options))
            type = "buildx";
        if (strcmp(type, tool->plugin) != 0)
            continue;
        why = strake_asprintf("the builder %s runs it", block->name);
        rc = why && strake_json_set_bool(options, "needed", true) == 0 &&
                     strake_json_set_str(options, "why", why) == 0 &&
                     strake_json_set_str(options, "program",
                                         strake_json_str(block->options, "program")) == 0
                 ? 0
                 : STRAKE_ENOMEM;
        strake_free(why);
        return rc;
    }
    return 0;
}

/* A project that git keeps: without git its branch, commit and tags are unknown. */
static int needed_by_project(const struct strake_project *project, const struct tool *tool,
                             json_t *options)
{
    char *path;
    bool kept;

    if (strcmp(tool->name, "git") != 0 || !project)
        return 0;
    path = strake_asprintf("%s/.git", project->dir);
    if (!path)
        return STRAKE_ENOMEM;
    kept = strake_fs_is_dir(path) || strake_fs_is_file(path);
    strake_free(path);
    if (!kept)
        return 0;
    return strake_json_set_bool(options, "needed", true) == 0 &&
                   strake_json_set_str(options, "why", "branch, commit and tags come from it") == 0
               ? 0
               : STRAKE_ENOMEM;
}

int doctor_add_tools(const struct strake_doctor *doctor, struct doctor_probes *probes)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof(tools) / sizeof(tools[0]); i++) {
        json_t *options = json_object();
        rc = options && strake_json_set_int(options, "tool", (int64_t)i) == 0 ? 0 : STRAKE_ENOMEM;
        if (rc == 0)
            rc = needed_by_builder(doctor->project, &tools[i], options);
        if (rc == 0)
            rc = needed_by_project(doctor->project, &tools[i], options);
        if (rc == 0)
            rc = doctor_probe_add(probes, doctor, "tool", EXIT_NOTRUN, tools[i].name, NULL, options,
                                  run_tool, NULL);
        json_decref(options);
    }
    return rc;
}
