/* The ntfy plugin: options, and where the server is. */
#include <stdlib.h>
#include <string.h>

#include "common/http.h"
#include "ntfy/ntfy.h"

static const struct plug_option table[] = {
    PLUG_OPTION(struct ntfy, url, .kind = PLUG_STRING, .required = true),
    PLUG_OPTION(struct ntfy, topic, .kind = PLUG_STRING),
    PLUG_OPTION(struct ntfy, token, .kind = PLUG_SECRET),
    PLUG_OPTION(struct ntfy, username, .kind = PLUG_STRING),
    PLUG_OPTION(struct ntfy, password, .kind = PLUG_SECRET),
    PLUG_OPTION(struct ntfy, priority, .kind = PLUG_INT, .min = 1, .max = 5),
    PLUG_OPTION(struct ntfy, tags, .kind = PLUG_STRINGS),
    PLUG_OPTION(struct ntfy, timeout_ms, .kind = PLUG_INT, .min = 1, .max = 3600000),
    PLUG_OPTION(struct ntfy, ca, .kind = PLUG_STRING),
    PLUG_OPTION(struct ntfy, plain_http, .kind = PLUG_BOOL),
    { .key = NULL },
};

bool ntfy_topic_valid(const char *topic)
{
    size_t len = strlen(topic);
    return len >= 1 && len <= 64 &&
           strspn(topic, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == len;
}

static void close_instance(void *instance)
{
    struct ntfy *self = instance;
    if (self == NULL)
        return;
    plug_options_dispose(table, self);
    free(self);
}

static int bad_url(const struct ntfy *self, const char *what, struct strake_err *err)
{
    self->host->fail(err, STRAKE_ECONFIG, "ntfy: option 'url' %s: %s", what, self->url);
    self->host->err_hint(err, "it is https://HOST/TOPIC, or https://HOST with an option 'topic'");
    return STRAKE_ECONFIG;
}

static bool is_loopback(const struct plug_url *url)
{
    return strcmp(url->host, "localhost") == 0 || strncmp(url->host, "127.", 4) == 0 ||
           strcmp(url->host, "::1") == 0;
}

/* A message in the clear, and the token before it, is for whoever asked for that. */
static int check_scheme(const struct ntfy *self, struct strake_err *err)
{
    struct plug_url url;
    int rc = plug_url_split(self->url, &url);
    if (rc == STRAKE_ENOMEM)
        return plug_fail_nomem(self->host, err);
    if (rc < 0)
        return bad_url(self, "is no http or https URL", err);
    bool plain = !url.https && !is_loopback(&url) && !self->plain_http;
    bool more = strpbrk(url.resource, "?#") != NULL;
    plug_url_dispose(&url);
    if (more)
        return bad_url(self, "has a query", err);
    if (!plain)
        return 0;
    self->host->fail(err, STRAKE_ECONFIG, "ntfy: option 'url' is not encrypted: %s", self->url);
    self->host->err_hint(err, "use https, or say plain_http = true");
    return STRAKE_ECONFIG;
}

/* Without an option `topic` it is the last part of the URL's path. */
static int split_topic(struct ntfy *self, struct strake_err *err)
{
    size_t len = strlen(self->url);
    while (len > 0 && self->url[len - 1] == '/')
        self->url[--len] = '\0';
    if (self->topic == NULL) {
        char *slash = strrchr(self->url, '/');
        if (slash == NULL || slash[-1] == '/') /* that of "https://" */
            return bad_url(self, "names no topic", err);
        self->topic = strdup(slash + 1);
        *slash = '\0';
        if (self->topic == NULL)
            return plug_fail_nomem(self->host, err);
    }
    if (ntfy_topic_valid(self->topic))
        return 0;
    self->host->fail(err, STRAKE_ECONFIG, "ntfy: \"%s\" cannot be a topic", self->topic);
    self->host->err_hint(err, "a topic is made of letters, digits, - and _, at most 64");
    return STRAKE_ECONFIG;
}

static int check_credentials(const struct ntfy *self, struct strake_err *err)
{
    bool password = plug_secret_given(&self->password);
    if ((self->username != NULL) != password)
        return self->host->fail(
            err, STRAKE_ECONFIG,
            "ntfy: option '%s' is missing: username and password belong together",
            password ? "username" : "password");
    if (password && plug_secret_given(&self->token))
        return self->host->fail(
            err, STRAKE_ECONFIG,
            "ntfy: options 'token' and 'password' are both given: one is enough");
    return 0;
}

static int open_instance(const struct strake_host *host, const char *options, void **out,
                         struct strake_err *err)
{
    struct ntfy *self = calloc(1, sizeof(*self));
    if (self == NULL)
        return plug_fail_nomem(host, err);
    self->host = host;
    self->timeout_ms = 10000;
    int rc = plug_options_read(host, "ntfy", table, options, self, err);
    if (rc == 0)
        rc = check_scheme(self, err);
    if (rc == 0)
        rc = split_topic(self, err);
    if (rc == 0)
        rc = check_credentials(self, err);
    if (rc < 0) {
        close_instance(self);
        return rc;
    }
    *out = self;
    return 0;
}

static const struct strake_notifier_v1 notifier = {
    .size = sizeof(notifier),
    .send = ntfy_send,
    .ping = ntfy_ping,
};

static const struct strake_interface interfaces[] = { { "notifier/1", &notifier }, { NULL, NULL } };

static const struct strake_plugin plugin = {
    .abi = STRAKE_ABI,
    .size = sizeof(plugin),
    .name = "ntfy",
    .version = STRAKE_VERSION,
    .open = open_instance,
    .close = close_instance,
    .interfaces = interfaces,
    .summary = "Sends messages to phones through ntfy",
};

const struct strake_plugin *strake_plugin_main(void)
{
    return &plugin;
}
