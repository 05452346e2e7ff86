/* A builder for an address: buildx knows builders by name only. It is made once, in a BUILDX_CONFIG
 * of its own, so that the builders of this machine's user stay as they are. */
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buildx/buildx.h"
#include "common/buildkit_classify.h"
#include "common/stream.h"

/* ---- where ----------------------------------------------------------------------------------- */

static const char *text_or_empty(const char *text)
{
    return text != NULL ? text : "";
}

/* What makes one such builder differ from another. */
static int own_key(const struct buildx *self, char *digest)
{
    const char *const parts[] = { self->address, self->ca, self->cert, self->key,
                                  self->server_name };
    struct plug_text text = { 0 };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        plug_text_addf(&text, "%s\n", text_or_empty(parts[i]));
    int rc = text.failed ? STRAKE_ENOMEM : self->host->digest(text.data, text.len, digest);
    plug_text_dispose(&text);
    return rc;
}

int buildx_own_folder(struct buildx *self, struct strake_err *err)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    char digest[72];
    if (own_key(self, digest) < 0)
        return plug_fail_nomem(self->host, err);
    const char *key = strchr(digest, ':');
    key = key != NULL ? key + 1 : digest;
    if (state != NULL && state[0] == '/')
        self->config = plug_format("%s/strake/buildx/%.16s", state, key);
    else if (home != NULL && home[0] == '/')
        self->config = plug_format("%s/.local/state/strake/buildx/%.16s", home, key);
    else
        return self->host->fail(err, STRAKE_ECONFIG,
                                "buildx: there is no place for a builder: neither HOME nor "
                                "XDG_STATE_HOME is set");
    return self->config != NULL ? 0 : plug_fail_nomem(self->host, err);
}

static int not_made(const struct buildx *self, const char *path, struct strake_err *err)
{
    self->host->fail(err, STRAKE_EIO, "%s cannot be made: %s", path, strerror(errno));
    self->host->err_hint(err,
                         "buildx keeps the builder for this address there: let this user "
                         "write there, or set XDG_STATE_HOME to a folder that it can write to");
    return STRAKE_EIO;
}

/* All folders above `path`, for this user alone where they are new. */
static int make_parents(const struct buildx *self, const char *path, struct strake_err *err)
{
    char folder[PATH_MAX];
    if (!plug_copy(folder, sizeof(folder), path)) {
        errno = ENAMETOOLONG;
        return not_made(self, path, err);
    }
    for (char *at = strchr(folder + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        if (mkdir(folder, 0700) < 0 && errno != EEXIST)
            return not_made(self, folder, err);
        *at = '/';
    }
    return 0;
}

/* ---- making it ------------------------------------------------------------------------------- */

static void add_driver_option(struct plug_list *argv, const char *key, const char *value)
{
    struct plug_text field = { 0 };
    if (value == NULL)
        return;
    plug_csv_add(&field, key, value);
    plug_list_add(argv, "--driver-opt");
    plug_list_take(argv, plug_text_take(&field));
}

static int explain(const struct plug_tail *errors, const struct buildx *self,
                   struct strake_err *err)
{
    size_t len;
    const char *text = plug_tail_text(errors, &len);
    struct plug_failure failure;
    buildkit_classify(text, len, "", &buildx_client, &failure);
    failure.code = STRAKE_EBUILDER;
    return plug_failure_report(&failure, self->host, err);
}

/* `buildx create` with its configuration in `folder`. */
static int create(const struct buildx *self, const char *folder, struct strake_job *job,
                  struct strake_err *err)
{
    static const char *const words[] = { "create", "--name", BUILDX_OWN, "--driver", "remote" };
    struct plug_list argv = { 0 };
    struct plug_list env = { 0 };
    struct plug_tail errors = { 0 };
    int exit_code = 0;
    buildx_argv_begin(self, &argv);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        plug_list_add(&argv, words[i]);
    add_driver_option(&argv, "cacert", self->ca);
    add_driver_option(&argv, "cert", self->cert);
    add_driver_option(&argv, "key", self->key);
    add_driver_option(&argv, "servername", self->server_name);
    plug_list_add(&argv, self->address);
    buildx_env_begin(self, &env);
    plug_list_addf(&env, "BUILDX_CONFIG=%s", folder);
    int rc = buildx_ask(self, &argv, &env, job, NULL, &errors, &exit_code, err);
    if (rc == 0 && exit_code != 0)
        rc = explain(&errors, self, err);
    plug_tail_dispose(&errors);
    plug_list_dispose(&env);
    plug_list_dispose(&argv);
    return rc;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static bool is_made(const struct buildx *self)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s/instances/" BUILDX_OWN, self->config);
    return len > 0 && (size_t)len < sizeof(path) && access(path, F_OK) == 0;
}

int buildx_own_make(const struct buildx *self, struct strake_job *job, struct strake_err *err)
{
    char folder[PATH_MAX];
    if (self->address == NULL || is_made(self))
        return 0;
    int rc = make_parents(self, self->config, err);
    if (rc < 0)
        return rc;
    /* Made aside, and put in its place when it is whole: another run may be making it as well. */
    int len = snprintf(folder, sizeof(folder), "%s.XXXXXX", self->config);
    if (len < 0 || (size_t)len >= sizeof(folder) || mkdtemp(folder) == NULL)
        return not_made(self, self->config, err);
    rc = create(self, folder, job, err);
    if (rc == 0 && rename(folder, self->config) == 0)
        return 0;
    if (rc == 0 && !is_made(self))
        rc = not_made(self, self->config, err);
    if (nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) < 0)
        self->host->log(STRAKE_LOG_WARN, "the folder %s is left behind: %s", folder,
                        strerror(errno));
    return rc;
}

/* ---- keeping it small ------------------------------------------------------------------------ */

void buildx_own_sweep(const struct buildx *self)
{
    char path[PATH_MAX];
    if (self->config == NULL)
        return;
    int len = snprintf(path, sizeof(path), "%s/refs/" BUILDX_OWN "/" BUILDX_OWN "0", self->config);
    DIR *dir = len > 0 && (size_t)len < sizeof(path) ? opendir(path) : NULL;
    if (dir == NULL)
        return;
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        /* What begins with a dot is being written by another build. */
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(dir), entry->d_name, 0);
    }
    closedir(dir);
}
