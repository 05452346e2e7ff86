/* Docker's config.json on disk (config_file.h). */
#include "config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_edit.h"
#include "credentials.h"

#define FILE_MAX ((size_t)1024 * 1024)
#define LINKS_MAX 40
#define LOCK_MS 10000
#define LOOK_AGAIN_MS 20

static int fail_errno(const struct strake_host *host, const char *path, const char *what,
                      struct strake_err *err)
{
    const int error = errno;
    host->fail(err, STRAKE_EIO, "%s cannot be %s: %s", path, what, strerror(error));
    if (error == EROFS || error == EACCES || error == EPERM)
        host->err_hint(err, "set DOCKER_CONFIG to a folder of yours that can be written");
    return STRAKE_EIO;
}

/* ---- where ----------------------------------------------------------------------------------- */

/** What a link says, seen from the link's own folder. Free it. */
static char *target_of(const char *path, const char *said)
{
    const char *slash = strrchr(path, '/');
    if (said[0] == '/' || !slash)
        return strdup(said);
    return plug_format("%.*s%s", (int)(slash - path + 1), path, said);
}

int oci_config_file_name(const struct strake_host *host, char **path, struct strake_err *err)
{
    *path = oci_credentials_docker_file();
    if (!*path) {
        host->fail(err, STRAKE_ECONFIG, "there is no home folder to keep credentials in");
        host->err_hint(err, "set HOME, or DOCKER_CONFIG to the folder of a config.json");
        return STRAKE_ECONFIG;
    }
    /* A file of one's own that is kept elsewhere (dotfiles): the link stays, its file changes. */
    for (int links = 0; links < LINKS_MAX; links++) {
        char said[4097];
        ssize_t len = readlink(*path, said, sizeof(said) - 1);
        if (len < 0)
            return 0;
        said[len] = '\0';
        char *next = target_of(*path, said);
        free(*path);
        *path = next;
        if (!next)
            return plug_fail_nomem(host, err);
    }
    int rc = host->fail(err, STRAKE_EIO, "%s: links that lead in circles", *path);
    free(*path);
    *path = NULL;
    return rc;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int slurp(int fd, struct plug_text *text)
{
    char chunk[4096];
    ssize_t got;
    do {
        got = read(fd, chunk, sizeof(chunk));
        if (got > 0)
            plug_text_add_len(text, chunk, (size_t)got);
    } while ((got > 0 && text->len <= FILE_MAX) || (got < 0 && errno == EINTR));
    const int error = errno;
    explicit_bzero(chunk, sizeof(chunk));
    errno = error;
    return got < 0 ? -1 : 0;
}

/** jansson's own words hold a piece of the file, which may be of a password. */
static int fail_json(const struct strake_host *host, const char *path, const json_error_t *where,
                     struct strake_err *err)
{
    const bool twice = json_error_code(where) == json_error_duplicate_key;
    host->fail(err, STRAKE_ECONFIG, "%s %s", path,
               twice ? "has a key twice in one object" : "is not valid JSON");
    host->err_place(err, path, where->line);
    host->err_hint(err, "repair it or move it away: it was left as it is");
    return STRAKE_ECONFIG;
}

static int parse(const struct strake_host *host, const char *path, const struct plug_text *text,
                 json_t **root, struct strake_err *err)
{
    json_error_t where;
    const char *data = plug_text_view(text);
    if (strspn(data, " \t\r\n") == text->len)
        return 0;
    *root = json_loadb(data, text->len, JSON_REJECT_DUPLICATES, &where);
    if (!*root)
        return fail_json(host, path, &where, err);
    if (json_is_object(*root))
        return 0;
    where.line = 1;
    json_decref(*root);
    *root = NULL;
    host->fail(err, STRAKE_ECONFIG, "%s is JSON, but no object", path);
    host->err_place(err, path, 1);
    return STRAKE_ECONFIG;
}

int oci_config_file_read(const struct strake_host *host, const char *path, struct plug_text *text,
                         json_t **root, struct strake_err *err)
{
    *root = NULL;
    /* A pipe in the place of a file must not hold us. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : fail_errno(host, path, "read", err);
    struct stat facts;
    int rc = 0;
    if (fstat(fd, &facts) == 0 && !S_ISREG(facts.st_mode))
        rc = host->fail(err, STRAKE_ECONFIG, "%s is not a plain file", path);
    else if (slurp(fd, text) < 0)
        rc = fail_errno(host, path, "read", err);
    close(fd);
    if (rc == 0 && text->failed)
        rc = plug_fail_nomem(host, err);
    else if (rc == 0 && text->len > FILE_MAX)
        rc = host->fail(err, STRAKE_ECONFIG, "%s is larger than 1 MiB", path);
    return rc < 0 ? rc : parse(host, path, text, root, err);
}

/* ---- writing --------------------------------------------------------------------------------- */

/** The folder of a file, made where it is missing, 0700. Free *folder. */
static int make_folder(const struct strake_host *host, const char *path, char **folder,
                       struct strake_err *err)
{
    const char *slash = strrchr(path, '/');
    *folder = slash ? plug_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    if (!*folder)
        return plug_fail_nomem(host, err);
    for (char *at = *folder + 1;; at++) {
        const char kept = *at;
        if (kept != '/' && kept != '\0')
            continue;
        *at = '\0';
        /* A parent may be there and not ours to write: what it refuses shows one step further. */
        int made = mkdir(*folder, 0700);
        const int error = errno;
        *at = kept;
        if (kept == '\0') {
            struct stat facts;
            if (made < 0 && (stat(*folder, &facts) < 0 || !S_ISDIR(facts.st_mode))) {
                errno = error;
                return fail_errno(host, *folder, "made", err);
            }
            return 0;
        }
    }
}

/** Hold the folder against every other process that keeps credentials. @return a descriptor */
static int lock(const struct strake_host *host, struct strake_job *job, const char *folder,
                struct strake_err *err)
{
    const int64_t until = plug_now_ms() + LOCK_MS;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(host, folder, "opened", err);
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int rc = 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            rc = fail_errno(host, folder, "locked", err);
        else if (plug_now_ms() > until)
            rc = host->fail(err, STRAKE_EIO, "%s is held by another process for more than %d s",
                            folder, LOCK_MS / 1000);
        else
            rc = plug_wait_ms(host, job, LOOK_AGAIN_MS, err);
        if (rc < 0) {
            close(fd);
            return rc;
        }
    }
    return fd;
}

static int write_all(int fd, const struct plug_text *text)
{
    for (size_t at = 0; at < text->len;) {
        ssize_t done = write(fd, text->data + at, text->len - at);
        if (done < 0 && errno != EINTR)
            return -1;
        at += done > 0 ? (size_t)done : 0;
    }
    return 0;
}

/** Beside it, onto the disk, and into its place. */
static int write_file(const struct strake_host *host, const char *path, int folder,
                      const struct plug_text *text, struct strake_err *err)
{
    struct stat facts;
    char *beside = plug_format("%s.XXXXXX", path);
    if (!beside)
        return plug_fail_nomem(host, err);
    int fd = mkostemp(beside, O_CLOEXEC); /* 0600 */
    int rc = fd < 0 ? fail_errno(host, path, "written", err) : 0;
    if (rc == 0 && stat(path, &facts) == 0 &&
        (facts.st_uid != geteuid() || facts.st_gid != getegid()) &&
        fchown(fd, facts.st_uid, facts.st_gid) < 0)
        host->log(STRAKE_LOG_INFO, "%s belongs to %u from now on", path, (unsigned)geteuid());
    if (rc == 0 && (write_all(fd, text) < 0 || fsync(fd) < 0))
        rc = fail_errno(host, path, "written", err);
    if (fd >= 0 && close(fd) < 0 && rc == 0)
        rc = fail_errno(host, path, "written", err);
    if (rc == 0 && rename(beside, path) < 0)
        rc = fail_errno(host, path, "written", err);
    if (rc < 0 && fd >= 0)
        unlink(beside);
    if (rc == 0)
        fsync(folder); /* the file is whole in any case; a crash may bring the old one back */
    free(beside);
    return rc;
}

int oci_config_file_change(const struct strake_host *host, struct strake_job *job, const char *path,
                           const char *registry, const struct strake_pair *fields, bool *changed,
                           struct strake_err *err)
{
    struct plug_text text = { 0 };
    struct plug_text made = { 0 };
    json_t *root = NULL;
    char *folder = NULL;
    int held = -1;
    /* Forgetting makes no folder, and changes nothing where there is nothing. */
    int rc = fields || access(path, F_OK) == 0 ? make_folder(host, path, &folder, err) : 0;
    if (changed)
        *changed = false;
    if (rc < 0 || !folder)
        goto out;
    held = lock(host, job, folder, err);
    rc = held < 0 ? held : oci_config_file_read(host, path, &text, &root, err);
    if (rc < 0)
        goto out;
    rc = oci_config_edit(plug_text_view(&text), registry, fields, &made);
    if (rc == STRAKE_ENOMEM)
        rc = plug_fail_nomem(host, err);
    else if (rc < 0)
        rc = host->fail(err, rc, "%s: \"auths\" is no object: it was left as it is", path);
    if (rc == 0 && made.len > 0) {
        rc = write_file(host, path, held, &made, err);
        if (changed)
            *changed = rc == 0;
    }
out:
    if (held >= 0)
        close(held);
    json_decref(root);
    free(folder);
    plug_text_dispose(&text);
    plug_text_dispose(&made);
    return rc;
}
