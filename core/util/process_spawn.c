/* Starting a program: its path, environment and descriptors. posix_spawn does the rest, so that a
 * process with many threads never runs code of ours between fork and exec. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/mem.h"
#include "util/process_impl.h"
#include "util/secret.h"

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* @return 0, STRAKE_ENOTFOUND or STRAKE_ENOMEM. */
static int look_up(const char *program, char **found)
{
    *found = NULL;
    if (program[0] == '\0')
        return STRAKE_ENOTFOUND;
    if (strchr(program, '/') != NULL) {
        *found = strake_strdup(program);
        return *found != NULL ? 0 : STRAKE_ENOMEM;
    }
    const char *path = getenv("PATH");
    if (path == NULL)
        path = "/usr/local/bin:/usr/bin:/bin";
    while (*path != '\0') {
        size_t len = strcspn(path, ":");
        /* A relative element would run whatever the folder we stand in brings along. */
        if (path[0] == '/') {
            char *candidate = strake_asprintf("%.*s/%s", (int)len, path, program);
            if (candidate == NULL)
                return STRAKE_ENOMEM;
            if (is_program(candidate)) {
                *found = candidate;
                return 0;
            }
            strake_free(candidate);
        }
        path += len;
        path += *path == ':';
    }
    return STRAKE_ENOTFOUND;
}

char *strake_process_which(const char *program)
{
    char *found;
    return look_up(program, &found) == 0 ? found : NULL;
}

/* ---- what is refused beforehand ------------------------------------------------------------- */

/* argv is readable by every user of the machine. */
static int refuse_secrets(const char *const *argv, struct strake_err *err)
{
    if (!strake_secret_any())
        return 0;
    int rc = 0;
    for (size_t i = 0; argv[i] != NULL && rc == 0; i++) {
        struct strake_buf text = { .secret = true };
        rc = strake_buf_puts(&text, argv[i]);
        if (rc == 0)
            rc = strake_secret_redact(&text);
        if (rc < 0)
            strake_fail(err, rc, "%s: its arguments could not be checked for secrets", argv[0]);
        else if (strcmp(strake_buf_text(&text), argv[i]) != 0)
            rc = strake_fail(err, STRAKE_EINTERNAL,
                             "%s was not started: its argument %zu holds a secret", argv[0], i);
        strake_buf_dispose(&text);
    }
    if (rc == STRAKE_EINTERNAL)
        strake_err_hint(err, "other users can read arguments: give the secret by environment, "
                             "descriptor or standard input");
    return rc;
}

static int refuse_fds(const struct strake_process *process, struct strake_err *err)
{
    if (process->fds == NULL)
        return 0;
    for (size_t i = 0; process->fds[i] != NULL; i++) {
        int fd = process->fds[i]->fd;
        if (i >= STRAKE_PROCESS_FDS || fd < 1 || fd > STRAKE_PROCESS_FD_MAX)
            return strake_fail(err, STRAKE_EUSAGE, "%s cannot be given descriptor %d",
                               process->argv[0], fd);
        for (size_t k = 0; k < i; k++) {
            if (process->fds[k]->fd == fd)
                return strake_fail(err, STRAKE_EUSAGE, "%s is given descriptor %d twice",
                                   process->argv[0], fd);
        }
    }
    return 0;
}

static int find_program(const char *program, char **path, struct strake_err *err)
{
    int rc = look_up(program, path);
    if (rc == STRAKE_ENOMEM)
        return strake_fail_nomem(err);
    if (rc < 0) {
        strake_fail(err, rc, "the program %s was not found on PATH",
                    program[0] != '\0' ? program : "\"\"");
        strake_err_hint(err, "install it, or add its folder to PATH");
    }
    return rc;
}

/* ---- environment ---------------------------------------------------------------------------- */

static size_t name_length(const char *variable)
{
    return strcspn(variable, "=");
}

/* Does a later one of the changes, from `from` on, speak of this variable? */
static bool changed(const char *const *changes, size_t from, const char *variable)
{
    size_t len = name_length(variable);
    for (size_t i = from; changes[i] != NULL; i++) {
        if (name_length(changes[i]) == len && strncmp(changes[i], variable, len) == 0)
            return true;
    }
    return false;
}

/* Our variables with the changes applied: an array of borrowed strings, NULL without memory. */
static char **make_environment(const char *const *changes)
{
    size_t count = 0;
    for (size_t i = 0; environ[i] != NULL; i++)
        count++;
    for (size_t i = 0; changes[i] != NULL; i++)
        count++;
    char **made = strake_reallocarray(NULL, count + 1, sizeof(*made));
    if (made == NULL)
        return NULL;
    size_t n = 0;
    for (size_t i = 0; environ[i] != NULL; i++) {
        if (!changed(changes, 0, environ[i]))
            made[n++] = environ[i];
    }
    for (size_t i = 0; changes[i] != NULL; i++) {
        if (strchr(changes[i], '=') != NULL && !changed(changes, i + 1, changes[i]))
            made[n++] = (char *)changes[i];
    }
    made[n] = NULL;
    return made;
}

/* ---- descriptors ---------------------------------------------------------------------------- */

/* A pipe whose child's end lies above every number that the child asks for: no dup2 then overwrites
 * an end that a later one still needs. Our end does not block. */
static int open_pipe(bool to_child, int *ours, int *childs)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    int mine = to_child ? ends[1] : ends[0];
    int other = to_child ? ends[0] : ends[1];
    int high = fcntl(other, F_DUPFD_CLOEXEC, STRAKE_PROCESS_FD_MAX + 1);
    int saved = errno;
    close(other);
    if (high < 0 || fcntl(mine, F_SETFL, O_NONBLOCK) < 0) {
        saved = high < 0 ? saved : errno;
        if (high >= 0)
            close(high);
        close(mine);
        errno = saved;
        return -1;
    }
    *ours = mine;
    *childs = high;
    return 0;
}

/* The child's ends while it is being started. */
struct ends {
    int input;
    int outputs[STRAKE_PROCESS_FDS];
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static int open_pipes(const struct strake_process *process, struct strake_child *child,
                      struct ends *ends, struct strake_err *err)
{
    if (process->input != NULL && process->input_len > 0 &&
        open_pipe(true, &child->input, &ends->input) < 0)
        return strake_fail_errno(err, STRAKE_EIO, "%s: no pipe", process->argv[0]);
    for (size_t i = 0; process->fds != NULL && process->fds[i] != NULL; i++) {
        if (open_pipe(false, &child->outputs[i], &ends->outputs[i]) < 0)
            return strake_fail_errno(err, STRAKE_EIO, "%s: no pipe", process->argv[0]);
        child->output_count = i + 1;
    }
    return 0;
}

/* @return an errno. */
static int lay_out(const struct strake_process *process, const struct ends *ends,
                   posix_spawn_file_actions_t *actions)
{
    bool given[STRAKE_PROCESS_FD_MAX + 1] = { false };
    int top = STDERR_FILENO;
    int rc = 0;
    if (ends->input >= 0) {
        rc = posix_spawn_file_actions_adddup2(actions, ends->input, STDIN_FILENO);
        given[STDIN_FILENO] = true;
    }
    for (size_t i = 0; rc == 0 && process->fds != NULL && process->fds[i] != NULL; i++) {
        int fd = process->fds[i]->fd;
        rc = posix_spawn_file_actions_adddup2(actions, ends->outputs[i], fd);
        given[fd] = true;
        top = fd > top ? fd : top;
    }
    for (int fd = 0; rc == 0 && fd <= top; fd++) {
        if (given[fd])
            continue;
        rc = fd <= STDERR_FILENO
                 ? posix_spawn_file_actions_addopen(actions, fd, "/dev/null", O_RDWR, 0)
                 : posix_spawn_file_actions_addclose(actions, fd);
    }
    if (rc == 0)
        rc = posix_spawn_file_actions_addclosefrom_np(actions, top + 1);
    if (rc == 0 && process->cwd != NULL)
        rc = posix_spawn_file_actions_addchdir_np(actions, process->cwd);
    return rc;
}

/* A session of its own rather than only a group: a program that wants to ask on the terminal fails
 * at once, where one of a background group would be stopped for ever. @return an errno. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    sigdelset(&all, SIGKILL);
    sigdelset(&all, SIGSTOP);
    int rc = posix_spawnattr_setsigmask(attributes, &none);
    if (rc == 0)
        rc = posix_spawnattr_setsigdefault(attributes, &all);
    if (rc == 0)
        rc = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
                                                      POSIX_SPAWN_SETSIGDEF);
    return rc;
}

/* @return an errno. */
static int spawn(const struct strake_process *process, const char *path, char *const *environment,
                 const struct ends *ends, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc != 0)
        return rc;
    rc = posix_spawnattr_init(&attributes);
    if (rc != 0)
        goto out_actions;
    rc = lay_out(process, ends, &actions);
    if (rc == 0)
        rc = set_attributes(&attributes);
    if (rc == 0)
        rc = posix_spawn(pid, path, &actions, &attributes, (char *const *)process->argv,
                         environment);
    posix_spawnattr_destroy(&attributes);
out_actions:
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

static int spawn_failed(const struct strake_process *process, int error, struct strake_err *err)
{
    const char *program = process->argv[0];
    struct stat st;
    errno = error;
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case EACCES:
        if (process->cwd != NULL && (stat(process->cwd, &st) < 0 || !S_ISDIR(st.st_mode)))
            return strake_fail(err, STRAKE_EIO, "%s cannot be run in %s: no such folder", program,
                               process->cwd);
        errno = error;
        /* fall through */
    case ENOEXEC:
        strake_fail_errno(err, STRAKE_ENOTFOUND, "%s cannot be run", program);
        strake_err_hint(err, "is it there, executable, made for this machine, and is the "
                             "interpreter that its first line names installed?");
        return STRAKE_ENOTFOUND;
    case ENOMEM:
        return strake_fail_nomem(err);
    default:
        return strake_fail_errno(err, STRAKE_EIO, "%s cannot be run", program);
    }
}

/* ---- all together --------------------------------------------------------------------------- */

static int start(const struct strake_process *process, const char *path, char *const *environment,
                 struct ends *ends, struct strake_child *child, struct strake_err *err)
{
    child->slot = strake_group_reserve();
    if (child->slot < 0)
        return strake_fail(err, STRAKE_EIO, "%s was not started: too many programs run",
                           process->argv[0]);
    int error = spawn(process, path, environment, ends, &child->pid);
    if (error != 0) {
        strake_group_release(child->slot);
        return spawn_failed(process, error, err);
    }
    strake_group_set(child->slot, child->pid);
    child->pidfd = pidfd_open(child->pid, 0);
    if (child->pidfd >= 0)
        return 0;
    strake_fail_errno(err, STRAKE_EIO, "%s cannot be watched", process->argv[0]);
    kill(-child->pid, SIGKILL);
    strake_group_release(child->slot);
    while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    return STRAKE_EIO;
}

int strake_child_spawn(const struct strake_process *process, struct strake_child *child,
                       struct strake_err *err)
{
    char *path = NULL;
    char **own_environment = NULL;
    struct ends ends = { .input = -1 };
    *child = (struct strake_child){ .pid = -1, .pidfd = -1, .slot = -1, .input = -1 };

    int rc = refuse_secrets(process->argv, err);
    if (rc == 0)
        rc = refuse_fds(process, err);
    if (rc == 0)
        rc = find_program(process->argv[0], &path, err);
    if (rc == 0 && process->env != NULL) {
        own_environment = make_environment(process->env);
        if (own_environment == NULL)
            rc = strake_fail_nomem(err);
    }
    if (rc == 0)
        rc = open_pipes(process, child, &ends, err);
    if (rc == 0)
        rc = start(process, path, own_environment != NULL ? own_environment : environ, &ends, child,
                   err);

    close_fd(&ends.input);
    for (size_t i = 0; i < child->output_count; i++)
        close_fd(&ends.outputs[i]);
    if (rc < 0) {
        close_fd(&child->input);
        for (size_t i = 0; i < child->output_count; i++)
            close_fd(&child->outputs[i]);
    }
    strake_free(own_environment);
    strake_free(path);
    return rc;
}
