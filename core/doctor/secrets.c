/* Files that hold secrets, and who may read them (secrets.h). No value is ever read into a message:
 * what is looked at is whether there is one, and the mode of its file. */
#include "doctor/secrets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fs.h"
#include "util/json.h"
#include "util/mem.h"
#include "util/process.h"
#include "util/secret.h"

#define EXIT_NOTRUN 7
#define CONFIG_MAX ((size_t)1024 * 1024)

/* ---- docker's config.json ---- */

/* The caller frees; NULL: no memory. */
static char *docker_path(void)
{
    const char *config = getenv("DOCKER_CONFIG"), *home = getenv("HOME");

    return config && *config ? strake_asprintf("%s/config.json", config)
                             : strake_asprintf("%s/.docker/config.json", home ? home : "");
}

/* Do credentials stand in it, and not only the name of a program that keeps them? */
static bool holds_credentials(const json_t *config)
{
    static const char *const keys[] = { "auth", "password", "identitytoken", "registrytoken" };
    const json_t *entry;
    const char *host;

    json_object_foreach((json_t *)json_object_get(config, "auths"), host, entry) {
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
            const char *value = strake_json_str(entry, keys[i]);
            if (value && *value)
                return true;
        }
    }
    return false;
}

/* The first program that keeps credentials and is not installed: then there are none, silently. The
 * caller frees; NULL: none, or *rc is STRAKE_ENOMEM. */
static char *missing_helper(const json_t *config, int *rc)
{
    const char *store = strake_json_str(config, "credsStore"), *host;
    const json_t *value;
    struct strake_strings names = { 0 };
    char *missing = NULL;

    if (store && *store)
        *rc = strake_strings_add(&names, store);
    json_object_foreach((json_t *)json_object_get(config, "credHelpers"), host, value) {
        const char *name = json_string_value(value);
        if (*rc == 0 && name && *name)
            *rc = strake_strings_add(&names, name);
    }
    for (size_t i = 0; *rc == 0 && !missing && i < names.count; i++) {
        char *program = strake_asprintf("docker-credential-%s", names.items[i]);
        char *path = program ? strake_process_which(program) : NULL;
        *rc = program ? 0 : STRAKE_ENOMEM;
        if (path)
            strake_free(program);
        else
            missing = program;
        strake_free(path);
    }
    strake_strings_dispose(&names);
    return missing;
}

static int tell_config(struct doctor_probe *probe, const char *path, const struct strake_buf *text,
                       unsigned mode)
{
    struct strake_err err = { 0 };
    json_t *config =
        strake_json_parse(strake_buf_text(text), text->len, path, STRAKE_ECONFIG, &err);
    char *hint = strake_asprintf("chmod 600 %s", path);
    int rc = 0;
    char *missing = config ? missing_helper(config, &rc) : NULL;

    if (!hint || rc < 0 || err.code == STRAKE_ENOMEM)
        rc = STRAKE_ENOMEM;
    else if (!config)
        rc = doctor_tell(probe, NULL, DOCTOR_WARN, "correct it: its credentials are passed over",
                         "%s", strake_err_message(&err));
    else if ((mode & 0077) && holds_credentials(config))
        rc = doctor_tell(probe, NULL, DOCTOR_WARN, hint,
                         "%s holds credentials and is open to others (mode %04o)", path, mode);
    else if (missing)
        rc = doctor_tell(probe, NULL, DOCTOR_WARN, "install it, or take it out of that file",
                         "%s leaves credentials to the program %s, which is not installed", path,
                         missing);
    else
        rc = doctor_tell(probe, NULL, DOCTOR_OK, NULL, "%s", path);
    strake_free(missing);
    strake_free(hint);
    strake_err_dispose(&err);
    json_decref(config);
    return rc;
}

int doctor_docker_config(struct doctor_probe *probe, struct strake_job *job)
{
    char *path = docker_path();
    struct strake_buf text = { .secret = true };
    struct strake_err err = { 0 };
    struct stat st;
    int rc;

    (void)job;
    if (!path)
        return STRAKE_ENOMEM;
    if (getenv("DOCKER_AUTH_CONFIG"))
        rc = doctor_tell(probe, NULL, DOCTOR_OK, NULL, "DOCKER_AUTH_CONFIG in the environment");
    else if (stat(path, &st) < 0)
        rc = doctor_tell(probe, NULL, DOCTOR_SKIP, NULL, "no credential file; anonymous access");
    else if (strake_fs_read(path, CONFIG_MAX, &text, &err) < 0)
        rc = err.code == STRAKE_ENOMEM
                 ? STRAKE_ENOMEM
                 : doctor_tell(probe, NULL, DOCTOR_WARN, "become its owner, or correct its mode",
                               "the credential file cannot be read: %s", strake_err_message(&err));
    else
        rc = tell_config(probe, path, &text, (unsigned)st.st_mode & 07777);
    strake_buf_dispose(&text);
    strake_err_dispose(&err);
    strake_free(path);
    return rc;
}

/* ---- secrets of blocks and targets ---- */

/* options: {"file":PATH} | {"env":VARIABLE} | {"clear":LUA FILE} | {"key":PATH}. */
static int check_file(struct doctor_probe *probe, const char *path, const char *what)
{
    char *hint = strake_asprintf("chmod 600 %s", path);
    struct stat st;
    int rc;

    if (!hint)
        return STRAKE_ENOMEM;
    if (stat(path, &st) < 0)
        rc = doctor_tell(probe, NULL, DOCTOR_FAIL, "make the file, or correct its path", "%s: %s",
                         path, strerror(errno));
    else if (!S_ISREG(st.st_mode) || access(path, R_OK) < 0)
        rc = doctor_tell(probe, NULL, DOCTOR_FAIL, "become its owner, or correct its path",
                         "%s cannot be read", path);
    else if (st.st_mode & 0077)
        rc = doctor_tell(probe, NULL, DOCTOR_WARN, hint, "%s %s and is open to others (mode %04o)",
                         path, what, (unsigned)st.st_mode & 07777);
    else
        rc = doctor_tell(probe, NULL, DOCTOR_OK, NULL, "in %s", path);
    strake_free(hint);
    return rc;
}

static int run_secret(struct doctor_probe *probe, struct strake_job *job)
{
    const char *file = strake_json_str(probe->options, "file");
    const char *variable = strake_json_str(probe->options, "env");
    const char *value = variable ? getenv(variable) : NULL;

    (void)job;
    if (file)
        return check_file(probe, file, "holds a secret");
    if (value && *value)
        return doctor_tell(probe, NULL, DOCTOR_OK, NULL, "in the variable %s", variable);
    return doctor_tell(probe, NULL, DOCTOR_WARN, "set it where this is used", "%s is %s",
                       variable ? variable : "its source", value ? "empty" : "not set");
}

/* A password that stands in a Lua file in the clear. */
static int run_clear(struct doctor_probe *probe, struct strake_job *job)
{
    const char *path = strake_json_str(probe->options, "clear");
    struct stat st;
    char *hint;
    int rc;

    (void)job;
    if (stat(path, &st) == 0 && (st.st_mode & 0077) == 0)
        return doctor_tell(probe, NULL, DOCTOR_OK, NULL, "in %s, which nobody else may read", path);
    hint = strake_asprintf("write secret.env \"NAME\" in its place, or chmod 600 %s", path);
    rc = hint ? doctor_tell(probe, NULL, DOCTOR_WARN, hint,
                            "it stands in %s in the clear, and others may read that file", path)
              : STRAKE_ENOMEM;
    strake_free(hint);
    return rc;
}

static int run_key(struct doctor_probe *probe, struct strake_job *job)
{
    (void)job;
    return check_file(probe, strake_json_str(probe->options, "key"), "holds a private key");
}

/* ---- the list ---- */

static const char *kind_name(enum strake_block_kind kind)
{
    static const char *const names[] = { "builder", "registry", "notifier",
                                         "scanner", "workflow", "deployer" };

    return names[kind];
}

/* Takes `options` over. */
static int add(const struct strake_doctor *doctor, struct doctor_probes *probes, char *name,
               json_t *options, int (*run)(struct doctor_probe *probe, struct strake_job *job))
{
    int rc = name && options ? doctor_probe_add(probes, doctor, "secret", EXIT_NOTRUN, name, NULL,
                                                options, run, NULL)
                             : STRAKE_ENOMEM;

    strake_free(name);
    json_decref(options);
    return rc;
}

static json_t *one(const char *key, const char *value)
{
    json_t *object = json_object();

    if (object && strake_json_set_str(object, key, value) < 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

/* An option that plugins take a secret for: when it is a plain text, it is one in the clear. */
static bool is_secret_key(const char *key)
{
    static const char *const keys[] = { "password", "token", "secret" };

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strcmp(key, keys[i]) == 0)
            return true;
    }
    return false;
}

static int add_option(const struct strake_doctor *doctor, struct doctor_probes *probes,
                      const struct strake_block *block, const char *key, const json_t *value)
{
    const char *secret = strake_json_str(value, "secret");
    const char *text = json_string_value(value);
    char *name;

    if (!secret && !(text && *text && (is_secret_key(key) || strcmp(key, "key") == 0)))
        return 0;
    name = strake_asprintf("%s %s %s", kind_name(block->kind), block->name, key);
    if (secret)
        return add(doctor, probes, name, strake_secret_source(secret), run_secret);
    if (is_secret_key(key))
        return add(doctor, probes, name, one("clear", block->place.file), run_clear);
    return add(doctor, probes, name, one("key", text), run_key);
}

static int add_target(const struct strake_doctor *doctor, struct doctor_probes *probes,
                      const struct strake_target *target)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < target->secret_count; i++) {
        const struct strake_target_secret *secret = &target->secrets[i];
        rc = add(doctor, probes, strake_asprintf("target %s %s", target->name, secret->id),
                 secret->file ? one("file", secret->file) : strake_secret_source(secret->name),
                 run_secret);
    }
    return rc;
}

int doctor_add_secrets(const struct strake_doctor *doctor, struct doctor_probes *probes)
{
    const struct strake_project *project = doctor->project;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < project->block_count; i++) {
        const char *key;
        json_t *value;
        json_object_foreach(project->blocks[i]->options, key, value) {
            if (rc == 0)
                rc = add_option(doctor, probes, project->blocks[i], key, value);
        }
    }
    for (size_t i = 0; rc == 0 && i < project->target_count; i++)
        rc = add_target(doctor, probes, project->targets[i]);
    return rc;
}
