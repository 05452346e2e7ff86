/* A context by standard input: looked at, then unpacked or kept as a Dockerfile. */
#include "build/stdin_context.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "build/unpack.h"
#include "dockerfile/dockerfile.h"
#include "util/buf.h"
#include "util/fs.h"
#include "util/log.h"

#define CHUNK (64 * 1024)
/* What may follow an archive: a writer pads it, and must not find its reader gone. */
#define TAIL_MAX (64 * 1024 * 1024)

struct source {
    int fd;
    struct strake_job *job;
    size_t len; /* bytes of `chunk` */
    bool waits; /* they were read, and not given out yet */
    bool ended;
    char chunk[CHUNK];
};

/* Read on behind `len` once. @return 0 at the end, 1, or a code. */
static int fill(struct source *source, struct strake_err *err)
{
    for (;;) {
        struct pollfd polled[2] = {
            { .fd = source->fd, .events = POLLIN },
            { .fd = strake_job_cancel_fd(source->job), .events = POLLIN },
        };
        ssize_t got;
        int rc = strake_job_check(source->job, err);
        if (rc < 0)
            return rc;
        if (poll(polled, 2, -1) < 0 && errno != EINTR)
            return strake_fail_errno(err, STRAKE_EIO, "standard input cannot be waited for");
        if (!polled[0].revents)
            continue;
        got = read(source->fd, source->chunk + source->len, sizeof(source->chunk) - source->len);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got < 0)
            return strake_fail_errno(err, STRAKE_EIO, "standard input cannot be read");
        source->len += (size_t)got;
        source->ended = got == 0;
        return got > 0;
    }
}

/* Enough of it to tell what it is. */
static int look(struct source *source, struct strake_err *err)
{
    int rc = 1;

    while (rc > 0 && source->len < STRAKE_UNPACK_MAGIC)
        rc = fill(source, err);
    source->waits = source->len > 0;
    if (rc < 0)
        return rc;
    if (!source->len) {
        strake_fail(err, STRAKE_EUSAGE, "standard input is empty");
        strake_err_hint(err, "a tar or a Dockerfile is expected there");
        return STRAKE_EUSAGE;
    }
    return 0;
}

static ssize_t next_chunk(void *ctx, const void **data, struct strake_err *err)
{
    struct source *source = ctx;
    int rc;

    if (!source->waits && !source->ended) {
        source->len = 0;
        rc = fill(source, err);
        if (rc < 0)
            return rc;
    }
    *data = source->chunk;
    rc = source->waits || !source->ended ? (int)source->len : 0;
    source->waits = false;
    return rc;
}

/* ---- an archive ---- */

static int check_name(const char *dockerfile, struct strake_err *err)
{
    if (dockerfile[0] != '/')
        return 0;
    strake_fail(err, STRAKE_EUSAGE, "-f %s: the Dockerfile is one within the archive", dockerfile);
    strake_err_hint(err, "give its path there, such as -f docker/Dockerfile");
    return STRAKE_EUSAGE;
}

static int find_dockerfile(struct strake_stdin_context *out, const char *name,
                           struct strake_err *err)
{
    struct strake_buf probe = STRAKE_BUF(STRAKE_DOCKERFILE_MAX);
    int rc = strake_fs_read_beneath(out->context, name, STRAKE_DOCKERFILE_MAX, &probe, err);

    strake_buf_dispose(&probe);
    if (rc == STRAKE_ENOMEM)
        return rc;
    if (rc < 0) {
        strake_err_dispose(err);
        strake_fail(err, STRAKE_EUSAGE, "the archive on standard input has no Dockerfile %s", name);
        strake_err_hint(err, "-f NAME gives its path within the archive");
        return STRAKE_EUSAGE;
    }
    out->dockerfile = strake_fs_join(out->context, name);
    return out->dockerfile ? 0 : strake_fail_nomem(err);
}

static int drain(struct source *source, struct strake_err *err)
{
    size_t left = TAIL_MAX;
    int rc = 0;

    while (rc == 0 && !source->ended && left > 0) {
        source->len = 0;
        rc = fill(source, err);
        left -= source->len < left ? source->len : left;
        rc = rc < 0 ? rc : 0;
    }
    return rc;
}

static int take_archive(struct source *source, struct strake_stdin_context *out, const char *name,
                        struct strake_err *err)
{
    struct strake_unpack unpack = {
        .read = next_chunk,
        .ctx = source,
        .entries_max = STRAKE_STDIN_FILES_MAX,
        .bytes_max = STRAKE_STDIN_BYTES_MAX,
    };
    int rc = check_name(name, err);

    if (rc < 0)
        return rc;
    unpack.dir = open(out->context, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (unpack.dir < 0)
        return strake_fail_errno(err, STRAKE_EIO, "the folder %s cannot be opened", out->context);
    rc = strake_unpack(&unpack, source->job, err);
    close(unpack.dir);
    if (rc == 0)
        rc = drain(source, err);
    return rc < 0 ? rc : find_dockerfile(out, name, err);
}

/* ---- a Dockerfile ---- */

static int take_dockerfile(struct source *source, struct strake_stdin_context *out,
                           struct strake_err *err)
{
    struct strake_buf text = STRAKE_BUF(STRAKE_DOCKERFILE_MAX);
    const void *data;
    ssize_t got;
    int rc = 0;

    while (rc == 0 && (got = next_chunk(source, &data, err)) != 0)
        rc = got < 0 ? (int)got : strake_buf_append(&text, data, (size_t)got);
    if (rc == STRAKE_ETOOBIG)
        rc = strake_fail(err, STRAKE_EUSAGE,
                         "standard input is neither a tar nor a Dockerfile: it is too long");
    else if (rc == STRAKE_ENOMEM)
        rc = strake_fail_nomem(err);
    else if (rc == 0 && memchr(strake_buf_text(&text), '\0', text.len))
        rc = strake_fail(err, STRAKE_EUSAGE, "standard input is neither a tar nor a Dockerfile");
    if (rc == STRAKE_EUSAGE)
        strake_err_hint(err, "a tar may be plain, or by gzip, bzip2, xz or zstd");
    if (rc == 0) {
        out->dockerfile = strake_asprintf("%s/Dockerfile", out->dir);
        rc = out->dockerfile ? strake_fs_write(out->dockerfile, strake_buf_text(&text), text.len,
                                               0600, false, err)
                             : strake_fail_nomem(err);
    }
    strake_buf_dispose(&text);
    return rc;
}

/* ---- all together ---- */

static int read_into(struct source *source, const char *dockerfile, bool only_dockerfile,
                     struct strake_stdin_context *out, struct strake_err *err)
{
    int rc = look(source, err);

    if (rc == 0)
        rc = strake_fs_tempdir(&out->dir, err);
    if (rc < 0)
        return rc;
    out->context = strake_asprintf("%s/context", out->dir);
    if (!out->context)
        return strake_fail_nomem(err);
    rc = strake_fs_mkdirs(out->context, 0755, err);
    if (rc < 0)
        return rc;
    if (!only_dockerfile && strake_unpack_is_archive(source->chunk, source->len))
        return take_archive(source, out, dockerfile ? dockerfile : "Dockerfile", err);
    if (dockerfile) {
        strake_fail(err, STRAKE_EUSAGE,
                    "-f %s: standard input is a Dockerfile itself, and no archive that holds one",
                    dockerfile);
        strake_err_hint(err, "leave -f out, or give a tar");
        return STRAKE_EUSAGE;
    }
    return take_dockerfile(source, out, err);
}

int strake_stdin_context_read(int fd, const char *dockerfile, bool only_dockerfile,
                              struct strake_job *job, struct strake_stdin_context *out,
                              struct strake_err *err)
{
    struct source *source = strake_calloc(1, sizeof(*source));
    int rc;

    if (!source)
        return strake_fail_nomem(err);
    source->fd = fd;
    source->job = job;
    rc = read_into(source, dockerfile, only_dockerfile, out, err);
    if (rc < 0)
        strake_stdin_context_dispose(out);
    strake_free(source);
    return rc;
}

void strake_stdin_context_dispose(struct strake_stdin_context *context)
{
    struct strake_err err = { 0 };

    if (context->dir && strake_fs_remove_tree(context->dir, &err) < 0)
        strake_log(STRAKE_LOG_WARN, "%s is left: %s", context->dir, strake_err_message(&err));
    strake_err_dispose(&err);
    strake_free(context->dir);
    strake_free(context->context);
    strake_free(context->dockerfile);
    *context = (struct strake_stdin_context){ 0 };
}
