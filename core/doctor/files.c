/* What lies on this machine: the Lua files, the state folder and its room, the history. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "doctor/probe.h"
#include "doctor/secrets.h"
#include "record/record.h"
#include "util/fs.h"
#include "util/json.h"
#include "util/mem.h"
#include "util/time.h"

#define EXIT_NOTRUN 7
#define EXIT_CONFIG 3
#define ROOM_LEAST ((int64_t)32 * 1024 * 1024)
#define ROOM_LITTLE ((int64_t)1024 * 1024 * 1024)

/* ---- Lua files ---- */

static size_t count_blocks(const struct strake_project *project, enum strake_block_kind kind)
{
    size_t count = 0;

    for (size_t i = 0; i < project->block_count; i++)
        count += project->blocks[i]->kind == kind;
    return count;
}

static const char *many(size_t count)
{
    return count == 1 ? "" : "s";
}

static int run_lua(struct doctor_probe *probe, struct strake_job *job)
{
    const struct strake_project *project = probe->doctor->project;
    const struct strake_err *failure = probe->doctor->lua_failure;
    size_t builders;

    (void)job;
    if (!project && failure && failure->file)
        return doctor_tell(probe, NULL, DOCTOR_FAIL, failure->hint, "%s (%s:%d)",
                           strake_err_message(failure), failure->file, failure->line);
    if (!project)
        return doctor_tell_err(probe, NULL, DOCTOR_FAIL, failure);
    builders = count_blocks(project, STRAKE_BLOCK_BUILDER);
    return doctor_tell(
        probe, NULL, DOCTOR_OK, NULL, "%s: %zu target%s, %zu builder%s, %zu polic%s, %zu flow%s",
        project->file ? project->file : "no strake.lua here", project->target_count,
        many(project->target_count), builders, many(builders), project->policy_count,
        project->policy_count == 1 ? "y" : "ies", project->flow_count, many(project->flow_count));
}

/* ---- the state folder ---- */

/* The nearest folder above `path` that exists, itself too. The caller frees. */
static char *existing(const char *path)
{
    char *at = strake_strdup(path);
    struct stat st;

    while (at && at[0] && stat(at, &st) < 0) {
        char *slash = strrchr(at, '/');
        if (!slash || slash == at) {
            strake_free(at);
            return strake_strdup("/");
        }
        *slash = '\0';
    }
    return at;
}

static int tell_unwritable(struct doctor_probe *probe, const char *folder)
{
    return doctor_tell(
        probe, NULL, DOCTOR_FAIL, "become its owner, or let XDG_STATE_HOME name a folder of yours",
        "%s cannot be written to: runs leave no record, and publishing no journal", folder);
}

static int run_state(struct doctor_probe *probe, struct strake_job *job)
{
    char *folder = strake_fs_state_dir(), *above = folder ? existing(folder) : NULL;
    char *hint = folder ? strake_asprintf("chmod 700 %s", folder) : NULL;
    struct stat st;
    int rc;

    (void)job;
    if (!folder)
        return doctor_tell(probe, NULL, DOCTOR_FAIL, "set HOME, or XDG_STATE_HOME",
                           "there is no place for the history: HOME is not set");
    if (!above || !hint)
        rc = STRAKE_ENOMEM;
    else if (stat(folder, &st) < 0)
        rc = access(above, W_OK | X_OK) == 0
                 ? doctor_tell(probe, NULL, DOCTOR_SKIP, NULL, "%s: the first run makes it", folder)
                 : tell_unwritable(probe, above);
    else if (!S_ISDIR(st.st_mode))
        rc = doctor_tell(probe, NULL, DOCTOR_FAIL, "move it away", "%s is no folder", folder);
    else if (access(folder, W_OK | X_OK) < 0)
        rc = tell_unwritable(probe, folder);
    else if (st.st_mode & 0077)
        rc = doctor_tell(probe, NULL, DOCTOR_WARN, hint,
                         "%s is open to others (mode %04o): the history holds logs of builds",
                         folder, (unsigned)st.st_mode & 07777);
    else
        rc = doctor_tell(probe, NULL, DOCTOR_OK, NULL, "%s", folder);
    strake_free(hint);
    strake_free(above);
    strake_free(folder);
    return rc;
}

static int run_space(struct doctor_probe *probe, struct strake_job *job)
{
    char *folder = strake_fs_state_dir(), *above = folder ? existing(folder) : NULL;
    struct statvfs fs;
    char text[32];
    int64_t room;
    int rc = 0;

    (void)job;
    if (folder && !above)
        rc = STRAKE_ENOMEM;
    if (above && statvfs(above, &fs) < 0)
        rc = doctor_tell(probe, NULL, DOCTOR_WARN, "is its file system mounted?",
                         "the room on %s is not known: %s", above, strerror(errno));
    else if (above) {
        room = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
        strake_size_format(room, text, sizeof(text));
        rc = doctor_tell(
            probe, NULL,
            room < ROOM_LEAST    ? DOCTOR_FAIL
            : room < ROOM_LITTLE ? DOCTOR_WARN
                                 : DOCTOR_OK,
            room < ROOM_LITTLE ? "free some: the history and uploads of layouts need it" : NULL,
            "%s free at %s", text, above);
    }
    strake_free(above);
    strake_free(folder);
    return rc;
}

/* ---- the history ---- */

static int open_history(struct doctor_probe *probe, const char *path, const struct stat *st)
{
    struct strake_record *record = NULL;
    struct strake_err err = { 0 };
    char text[32];
    int rc = strake_record_open(NULL, false, &record, &err);

    strake_size_format(st->st_size, text, sizeof(text));
    rc = rc == 0 ? doctor_tell(probe, NULL, DOCTOR_OK, NULL, "%s, %s", path, text)
                 : doctor_tell_err(probe, NULL, DOCTOR_FAIL, &err);
    if (record)
        strake_record_close(record, &err);
    strake_err_dispose(&err);
    return rc;
}

static int run_history(struct doctor_probe *probe, struct strake_job *job)
{
    char *folder = strake_fs_state_dir();
    char *path = folder ? strake_asprintf("%s/history.db", folder) : NULL;
    char *hint = path ? strake_asprintf("chmod 600 %s", path) : NULL;
    struct stat st;
    int rc = 0;

    (void)job;
    if (folder && !hint)
        rc = STRAKE_ENOMEM;
    else if (!folder)
        rc = doctor_tell(probe, NULL, DOCTOR_SKIP, NULL, "there is no place for it");
    else if (stat(path, &st) < 0)
        rc = doctor_tell(probe, NULL, DOCTOR_SKIP, NULL, "nothing ran here yet");
    else if (st.st_mode & 0077)
        rc = doctor_tell(probe, NULL, DOCTOR_WARN, hint,
                         "%s is open to others (mode %04o): it holds logs of builds", path,
                         (unsigned)st.st_mode & 07777);
    else
        rc = open_history(probe, path, &st);
    strake_free(hint);
    strake_free(path);
    strake_free(folder);
    return rc;
}

int doctor_add_files(const struct strake_doctor *doctor, struct doctor_probes *probes)
{
    static const struct {
        const char *group, *name;
        int exit;
        int (*run)(struct doctor_probe *probe, struct strake_job *job);
    } all[] = {
        { "lua", "files", EXIT_CONFIG, run_lua },
        { "file", "state", EXIT_NOTRUN, run_state },
        { "file", "history", EXIT_NOTRUN, run_history },
        { "file", "space", EXIT_NOTRUN, run_space },
        { "credentials", "docker config", EXIT_NOTRUN, doctor_docker_config },
    };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof(all) / sizeof(all[0]); i++)
        rc = doctor_probe_add(probes, doctor, all[i].group, all[i].exit, all[i].name, NULL, NULL,
                              all[i].run, NULL);
    return rc < 0 || !doctor->project ? rc : doctor_add_secrets(doctor, probes);
}
