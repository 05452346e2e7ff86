/* One digest over what a build would be sent. The walk goes from folder to folder by descriptors,
 * so that a link swapped in on the way leads nowhere. */
#include "dockerfile/context.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "dockerfile/ignore_impl.h"
#include "dockerfile/memory.h"
#include "util/mem.h"

#define DEPTH_MAX 256
#define CHUNK ((size_t)128 * 1024)

/* A folder on the way down. */
struct level {
    struct level *above;
    int fd;
    size_t path_len; /* of walk->path, without a slash at its end */
    mode_t mode;
    bool written;  /* it is in the digest: a folder that is ignored only once something below is */
    bool *matched; /* which patterns it matched */
    int depth;
};

struct walk {
    struct strake_job *job;
    const struct strake_ignore *ignore;
    const struct strake_context_walk *options;
    struct strake_memory *memory; /* or NULL */
    struct strake_hash *hash;     /* or NULL: only the entries are wanted */
    struct strake_buf path;       /* relative to the context */
    char *chunk;                  /* CHUNK bytes to read into */
    struct strake_err *err;
};

static int walk_folder(struct walk *walk, struct level *level);

static int fail_path(struct walk *walk, const char *what)
{
    int code = errno == ENOENT ? STRAKE_ENOTFOUND : errno == ENOMEM ? STRAKE_ENOMEM : STRAKE_EIO;
    bool denied = errno == EACCES;
    strake_fail_errno(walk->err, code, "the context's %s cannot be %s",
                      strake_buf_text(&walk->path), what);
    if (denied)
        strake_err_hint(walk->err, "make it readable, or name it in .dockerignore");
    return code;
}

static int hash(struct walk *walk, const void *data, size_t len)
{
    int rc = strake_hash_update(walk->hash, data, len);
    return rc < 0 ? strake_fail(walk->err, rc, "the context cannot be hashed") : 0;
}

static void note_change(struct walk *walk, const struct stat *st)
{
    int64_t *newest = walk->options->newest_us;
    int64_t changed = (int64_t)st->st_ctim.tv_sec * 1000000 + st->st_ctim.tv_nsec / 1000;
    if (newest != NULL && changed > *newest)
        *newest = changed;
}

static int tell_entry(struct walk *walk, char kind, mode_t mode, size_t path_len,
                      const char *content)
{
    const struct strake_context_walk *options = walk->options;
    /* Of a folder that is told late the path goes on: it is cut off there for the call. */
    char *end = walk->path.data + path_len, held = *end;
    struct strake_context_entry entry = {
        .kind = kind, .mode = (unsigned)mode & 07777u, .path = walk->path.data, .content = content
    };
    *end = '\0';
    int rc = options->each(options->ctx, &entry, walk->err);
    *end = held;
    return rc;
}

/* One entry: kind, permissions, path, and what it holds. Each text is led by its length, so that no
 * two contexts give the same bytes. */
static int hash_entry(struct walk *walk, char kind, mode_t mode, size_t path_len,
                      const char *content)
{
    char head[96];
    int len = snprintf(head, sizeof(head), "%c %o %zu %zu\n", kind, (unsigned)mode & 07777u,
                       path_len, strlen(content));
    int rc = hash(walk, head, (size_t)len);
    if (rc == 0)
        rc = hash(walk, walk->path.data, path_len);
    if (rc == 0)
        rc = hash(walk, content, strlen(content));
    return rc;
}

static int write_entry(struct walk *walk, char kind, mode_t mode, size_t path_len,
                       const char *content)
{
    int rc = walk->hash != NULL ? hash_entry(walk, kind, mode, path_len, content) : 0;
    return rc < 0 || walk->options->each == NULL ? rc
                                                 : tell_entry(walk, kind, mode, path_len, content);
}

/* The folders above an entry, also those that are ignored: BuildKit sends them with it. */
static int write_parents(struct walk *walk, struct level *level)
{
    if (level == NULL || level->written)
        return 0;
    int rc = write_parents(walk, level->above);
    level->written = true;
    return rc < 0 || level->above == NULL
               ? rc
               : write_entry(walk, 'd', level->mode, level->path_len, "");
}

static int hash_file(struct walk *walk, int fd, char *digest)
{
    struct strake_hash *file;
    int rc = strake_hash_new(&file, walk->err);
    while (rc == 0) {
        ssize_t got = read(fd, walk->chunk, CHUNK);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            rc = fail_path(walk, "read");
        if (got <= 0)
            break;
        rc = strake_hash_update(file, walk->chunk, (size_t)got);
        if (rc == 0 && walk->job != NULL)
            rc = strake_job_check(walk->job, walk->err);
    }
    if (rc == 0)
        rc = strake_hash_final(file, digest);
    if (rc == STRAKE_EINTERNAL)
        strake_fail(walk->err, rc, "the context cannot be hashed");
    strake_hash_free(file);
    return rc;
}

static int write_file(struct walk *walk, const struct level *level, const char *name,
                      const struct stat *st)
{
    char digest[STRAKE_DIGEST_TEXT];
    struct stat before, after;
    if (walk->memory != NULL && strake_memory_find(walk->memory, st, digest))
        return write_entry(walk, 'f', st->st_mode, walk->path.len, digest);
    int fd = openat(level->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return fail_path(walk, "opened");
    bool known = walk->memory != NULL && fstat(fd, &before) == 0;
    int rc = hash_file(walk, fd, digest);
    if (rc == 0 && fstat(fd, &after) == 0) {
        note_change(walk, &after);
        if (known)
            strake_memory_put(walk->memory, &before, &after, digest);
    }
    close(fd);
    return rc < 0 ? rc : write_entry(walk, 'f', st->st_mode, walk->path.len, digest);
}

static int write_link(struct walk *walk, const struct level *level, const char *name)
{
    ssize_t len = readlinkat(level->fd, name, walk->chunk, CHUNK - 1);
    if (len < 0)
        return fail_path(walk, "read");
    walk->chunk[len] = '\0';
    return write_entry(walk, 'l', 0, walk->path.len, walk->chunk); /* a link's mode means nothing */
}

static int write_special(struct walk *walk, const struct stat *st)
{
    char numbers[48];
    char kind = S_ISFIFO(st->st_mode) ? 'p' : S_ISCHR(st->st_mode) ? 'c' : 'b';
    snprintf(numbers, sizeof(numbers), "%u:%u", major(st->st_rdev), minor(st->st_rdev));
    return write_entry(walk, kind, st->st_mode, walk->path.len, kind == 'p' ? "" : numbers);
}

static int enter_folder(struct walk *walk, struct level *above, const char *name,
                        const struct stat *st, bool ignored, const bool *matched)
{
    size_t count = strake_ignore_count(walk->ignore);
    struct strake_span path = { walk->path.data, walk->path.len };
    struct level level = { .above = above,
                           .path_len = walk->path.len,
                           .mode = st->st_mode,
                           .written = false,
                           .depth = above->depth + 1 };
    int rc = 0;
    if (ignored && !strake_ignore_reaches(walk->ignore, path))
        return 0;
    if (level.depth > DEPTH_MAX)
        return strake_fail(walk->err, STRAKE_EIO, "the context's %s is nested more than %d deep",
                           strake_buf_text(&walk->path), DEPTH_MAX);
    level.fd = openat(above->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (level.fd < 0)
        return ignored && errno == EACCES ? 0 : fail_path(walk, "opened");
    if (count > 0) {
        level.matched = strake_malloc(count * sizeof(*matched));
        if (level.matched == NULL)
            rc = strake_fail_nomem(walk->err);
        else
            memcpy(level.matched, matched, count * sizeof(*matched));
    }
    if (rc == 0 && !ignored)
        rc = write_parents(walk, &level);
    if (rc == 0)
        rc = walk_folder(walk, &level);
    strake_free(level.matched);
    close(level.fd);
    return rc;
}

/* walk->path is the entry's. `matched` is room for its patterns. */
static int visit(struct walk *walk, struct level *level, const char *name, bool *matched)
{
    struct stat st;
    struct strake_span path = { walk->path.data, walk->path.len };
    bool ignored =
        walk->ignore != NULL && strake_ignore_step(walk->ignore, path, level->matched, matched);
    int rc = walk->job != NULL ? strake_job_check(walk->job, walk->err) : 0;
    const struct strake_context_walk *options = walk->options;
    if (rc < 0)
        return rc;
    if (options->wanted != NULL && !options->wanted(options->ctx, strake_buf_text(&walk->path)))
        return 0;
    if (fstatat(level->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        /* Gone since the folder was read: it would not be sent either. */
        return errno == ENOENT || ignored ? 0 : fail_path(walk, "looked at");
    }
    if (!ignored)
        note_change(walk, &st);
    if (S_ISDIR(st.st_mode))
        return enter_folder(walk, level, name, &st, ignored, matched);
    if (ignored || S_ISSOCK(st.st_mode) ||
        (options->except != NULL && strcmp(strake_buf_text(&walk->path), options->except) == 0))
        return 0;
    rc = write_parents(walk, level);
    if (rc < 0)
        return rc;
    if (S_ISREG(st.st_mode))
        return write_file(walk, level, name, &st);
    return S_ISLNK(st.st_mode) ? write_link(walk, level, name) : write_special(walk, &st);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a folder, sorted by their bytes. */
static int read_names(struct walk *walk, const struct level *level, struct strake_strings *names)
{
    /* A descriptor of its own: closing the stream closes it. */
    int fd = openat(level->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    int rc = 0;
    if (dir == NULL) {
        rc = fail_path(walk, "read");
        if (fd >= 0)
            close(fd);
        return rc;
    }
    while (rc == 0 && (errno = 0, entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            strake_strings_add(names, entry->d_name) < 0)
            rc = strake_fail_nomem(walk->err);
    }
    if (rc == 0 && errno != 0)
        rc = fail_path(walk, "read");
    closedir(dir);
    if (names->count > 1)
        qsort(names->items, names->count, sizeof(*names->items), compare_names);
    return rc;
}

static int walk_folder(struct walk *walk, struct level *level)
{
    struct strake_strings names = { 0 };
    size_t count = strake_ignore_count(walk->ignore);
    bool *matched = strake_malloc(count * sizeof(*matched));
    int rc = matched != NULL ? read_names(walk, level, &names) : strake_fail_nomem(walk->err);

    for (size_t i = 0; rc == 0 && i < names.count; i++) {
        walk->path.len = level->path_len;
        rc = level->path_len > 0 ? strake_buf_putc(&walk->path, '/') : 0;
        if (rc == 0)
            rc = strake_buf_puts(&walk->path, names.items[i]);
        rc = rc < 0 ? strake_fail_nomem(walk->err) : visit(walk, level, names.items[i], matched);
    }
    strake_strings_dispose(&names);
    strake_free(matched);
    return rc;
}

static int walk_context(struct walk *walk, char *out)
{
    struct level top = { .fd = open(walk->options->context, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                         .written = true };
    if (top.fd < 0) {
        int code = errno == ENOENT || errno == ENOTDIR ? STRAKE_ENOTFOUND : STRAKE_EIO;
        return strake_fail_errno(walk->err, code, "the context %s cannot be opened",
                                 walk->options->context);
    }
    struct stat st;
    int rc = out != NULL ? strake_hash_new(&walk->hash, walk->err) : 0;
    if (fstat(top.fd, &st) == 0)
        note_change(walk, &st);
    if (rc == 0) {
        walk->chunk = strake_malloc(CHUNK);
        rc = walk->chunk != NULL ? walk_folder(walk, &top) : strake_fail_nomem(walk->err);
    }
    if (rc == 0 && out != NULL && strake_hash_final(walk->hash, out) < 0)
        rc = strake_fail(walk->err, STRAKE_EINTERNAL, "the context cannot be hashed");
    close(top.fd);
    return rc;
}

static int walk_with(struct strake_job *job, const struct strake_context_walk *options,
                     struct strake_memory *memory, char *out, struct strake_err *err)
{
    struct strake_ignore *ignore;
    struct walk walk = { .job = job,
                         .options = options,
                         .memory = memory,
                         .path = STRAKE_BUF((size_t)1024 * 1024),
                         .err = err };
    int rc = strake_ignore_load(options->context, options->dockerfile, &ignore, err);
    if (rc < 0)
        return rc;
    walk.ignore = ignore;
    rc = walk_context(&walk, out);
    strake_hash_free(walk.hash);
    strake_free(walk.chunk);
    strake_buf_dispose(&walk.path);
    strake_ignore_free(ignore);
    return rc;
}

int strake_context_digest(struct strake_job *job, const char *context, const char *dockerfile,
                          char *out, struct strake_err *err)
{
    const struct strake_context_walk options = { .context = context, .dockerfile = dockerfile };
    return walk_with(job, &options, NULL, out, err);
}

int strake_context_hash(struct strake_job *job, const struct strake_context_walk *options,
                        char *out, struct strake_err *err)
{
    /* Beside a build two threads look at the same files: the second finds them remembered. */
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
    struct strake_memory *memory;
    pthread_mutex_lock(&one_at_a_time);
    int rc = strake_memory_open(NULL, options->context, &memory, err);
    if (rc == 0) {
        rc = walk_with(job, options, memory, out, err);
        strake_memory_save(memory, rc == 0 && options->wanted == NULL);
        strake_memory_free(memory);
    }
    pthread_mutex_unlock(&one_at_a_time);
    return rc;
}
