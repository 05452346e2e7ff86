/* A notifier that keeps a logbook: each message becomes a line of a file. In strake.lua:
 *
 *     notifier "logbook" { type = "logbook", path = "/var/log/builds.log" }
 *
 * It is as small as a plugin can be that keeps every rule of docs/plugins.md. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <strake/plugin.h>

/* One instance. It does not change after open(), so that threads need no lock. */
struct logbook {
    const struct strake_host *host;
    char *path;
};

static void logbook_close(void *self)
{
    struct logbook *book = self;

    free(book->path);
    free(book);
}

/* What we do not know we refuse, and name it: a misspelt option must not go unseen. */
static int read_options(struct logbook *book, json_t *options, struct strake_err *err)
{
    const char *key;
    json_t *value;

    json_object_foreach(options, key, value) {
        if (strcmp(key, "path") != 0)
            return book->host->fail(err, STRAKE_ECONFIG, "logbook: unknown option '%s'", key);
        if (!json_is_string(value) || json_string_value(value)[0] != '/')
            return book->host->fail(err, STRAKE_ECONFIG,
                                    "logbook: option 'path' is no absolute path");
        book->path = strdup(json_string_value(value));
        if (!book->path)
            return book->host->fail(err, STRAKE_ENOMEM, "out of memory");
    }
    if (!book->path) {
        book->host->fail(err, STRAKE_ECONFIG, "logbook: option 'path' is missing");
        book->host->err_hint(err, "path = \"/var/log/builds.log\"");
        return STRAKE_ECONFIG;
    }
    return 0;
}

static int logbook_open(const struct strake_host *host, const char *options, void **self,
                        struct strake_err *err)
{
    struct logbook *book = calloc(1, sizeof(*book));
    json_t *doc = json_loads(options, JSON_REJECT_DUPLICATES, NULL);
    int rc;

    if (!book || !doc) {
        json_decref(doc);
        free(book);
        return host->fail(err, STRAKE_ENOMEM, "out of memory");
    }
    book->host = host;
    rc = read_options(book, doc, err);
    json_decref(doc);
    if (rc < 0) {
        logbook_close(book);
        return rc;
    }
    *self = book;
    return 0;
}

/* One write, so that lines of several runs do not mix. */
static int append_line(const struct logbook *book, const char *line, struct strake_err *err)
{
    int fd = open(book->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    size_t len = strlen(line);
    int rc = 0;

    if (fd < 0 || write(fd, line, len) != (ssize_t)len)
        rc = book->host->fail(err, STRAKE_ENOTIFY, "logbook: %s cannot be written to: %s",
                              book->path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return rc;
}

/* A message may be of a program that has a smaller struct than ours: look before a newer field is
 * read. All that is used here was there from the beginning. */
static int logbook_send(void *self, const struct strake_message *message, struct strake_job *job,
                        struct strake_buf *receipt, struct strake_err *err)
{
    const struct logbook *book = self;
    json_t *doc = json_pack("{s:s, s:s, s:s, s:s}", "id", message->id, "event", message->event,
                            "title", message->title, "text", message->text);
    char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
    char *line = text ? malloc(strlen(text) + 2) : NULL;
    int rc;

    (void)job; /* this does not wait: a method that does looks at it */
    if (line) {
        strcpy(line, text);
        strcat(line, "\n");
        rc = append_line(book, line, err);
    } else {
        rc = book->host->fail(err, STRAKE_ENOMEM, "out of memory");
    }
    if (rc == 0 && book->host->buf_append(receipt, message->id, strlen(message->id)) < 0)
        rc = book->host->fail(err, STRAKE_ENOTIFY, "logbook: the id of the message is too long");
    free(line);
    free(text);
    json_decref(doc);
    return rc;
}

static const struct strake_notifier_v1 notifier = {
    .size = sizeof(notifier), .send = logbook_send, /* .update and .ping are optional */
};

static const struct strake_interface interfaces[] = { { "notifier/1", &notifier }, { NULL, NULL } };

static const struct strake_plugin plugin = {
    .abi = STRAKE_ABI,
    .size = sizeof(plugin),
    .name = "logbook", /* as the file's, without .so */
    .version = LOGBOOK_VERSION,
    .open = logbook_open,
    .close = logbook_close,
    .interfaces = interfaces,
    .summary = "Writes each message as a line of a file",
};

const struct strake_plugin *strake_plugin_main(void)
{
    return &plugin;
}
