/* Asking buildx what a builder is: whether it runs, its platforms and its version. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buildx/buildx.h"
#include "common/buildkit_classify.h"
#include "common/stream.h"

#define ANSWER_MAX ((size_t)1024 * 1024)

/* ---- what it answers ------------------------------------------------------------------------- */

/* The value of "KEY:   value" in a line of `len` bytes, without the blanks around it, or NULL. */
static const char *value_of(const char *line, size_t len, const char *key, size_t *value_len)
{
    size_t key_len = strlen(key);
    while (len > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        len--;
    }
    if (len <= key_len || strncmp(line, key, key_len) != 0 || line[key_len] != ':')
        return NULL;
    line += key_len + 1;
    len -= key_len + 1;
    while (len > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        len--;
    }
    while (len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\r'))
        len--;
    *value_len = len;
    return line;
}

static void keep(char *to, size_t size, const char *value, size_t len)
{
    if (to[0] == '\0')
        snprintf(to, size, "%.*s", (int)(len < size ? len : size - 1), value);
}

/* Is the platform among those between commas? */
static bool has_platform(const char *list, const char *platform, size_t len)
{
    for (const char *at = list; *at != '\0';) {
        size_t of = strcspn(at, ",");
        if (of == len && strncmp(at, platform, len) == 0)
            return true;
        at += of + (at[of] == ',');
    }
    return false;
}

/* "linux/amd64*, linux/arm64": a star marks what its maker named. Nodes add up. */
static void add_platforms(struct buildx_inspected *out, const char *value, size_t len)
{
    const char *end = value + len;
    while (value < end) {
        size_t one = 0;
        while (value + one < end && value[one] != ',')
            one++;
        const char *name = value + strspn(value, " ");
        size_t name_len = name < value + one ? (size_t)(value + one - name) : 0;
        while (name_len > 0 && (name[name_len - 1] == '*' || name[name_len - 1] == ' '))
            name_len--;
        size_t used = strlen(out->platforms);
        if (name_len > 0 && memchr(name, '/', name_len) != NULL &&
            !has_platform(out->platforms, name, name_len) &&
            used + name_len + 2 <= sizeof(out->platforms))
            snprintf(out->platforms + used, sizeof(out->platforms) - used, "%s%.*s",
                     used > 0 ? "," : "", (int)name_len, name);
        value += one + 1;
    }
}

/* The labels of a worker that is the engine's own: only one on the containerd store has this. */
static bool is_containerd_label(const char *line, size_t len)
{
    static const char label[] = "org.mobyproject.buildkit.worker.containerd.namespace:";
    for (size_t i = 0; i + sizeof(label) - 1 <= len; i++) {
        if (strncmp(line + i, label, sizeof(label) - 1) == 0)
            return true;
    }
    return false;
}

bool buildx_inspect_parse(const char *text, struct buildx_inspected *out)
{
    static const char *const versions[] = { "BuildKit version", "BuildKit", "Buildkit version",
                                            "Buildkit" };
    bool named = false;
    *out = (struct buildx_inspected){ .driver = "" };
    for (const char *line = text; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        size_t n = 0;
        const char *value;
        named = named || value_of(line, len, "Name", &n) != NULL;
        if ((value = value_of(line, len, "Driver", &n)) != NULL)
            keep(out->driver, sizeof(out->driver), value, n);
        if ((value = value_of(line, len, "Error", &n)) != NULL)
            keep(out->error, sizeof(out->error), value, n);
        if ((value = value_of(line, len, "Platforms", &n)) != NULL)
            add_platforms(out, value, n);
        if ((value = value_of(line, len, "Status", &n)) != NULL) {
            if (n == strlen("running") && strncmp(value, "running", n) == 0)
                out->status[0] = '\0'; /* one node that runs is enough */
            keep(out->status, sizeof(out->status), value, n);
        }
        for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
            if ((value = value_of(line, len, versions[i], &n)) != NULL)
                keep(out->version, sizeof(out->version), value, n);
        }
        out->containerd = out->containerd || is_containerd_label(line, len);
        line += len + (line[len] == '\n');
    }
    return named;
}

uint32_t buildx_features(const struct buildx_inspected *inspected)
{
    uint32_t features =
        STRAKE_BUILDER_HEREDOC | STRAKE_BUILDER_COPY_LINK | STRAKE_BUILDER_SOURCE_POLICY;
    bool engine = strcmp(inspected->driver, "docker") == 0;
    if (!engine)
        features |= STRAKE_BUILDER_PUSH;
    if (!engine || inspected->containerd)
        features |= STRAKE_BUILDER_CACHE_EXPORT;
    return features;
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* Its last words; whatever they are, it is the builder that cannot be used. */
static int explain_words(const struct buildx *self, const char *text, size_t len,
                         struct strake_err *err)
{
    struct plug_failure failure;
    buildkit_classify(text, len, "", &buildx_client, &failure);
    failure.code = STRAKE_EBUILDER;
    return plug_failure_report(&failure, self->host, err);
}

static int explain(const struct buildx *self, const struct plug_tail *errors,
                   struct strake_err *err)
{
    size_t len;
    const char *text = plug_tail_text(errors, &len);
    return explain_words(self, text, len, err);
}

/* Run `buildx WORD… --builder NAME`. */
static int ask(const struct buildx *self, const char *const *words, size_t count,
               struct strake_job *job, struct strake_buf *text, struct plug_tail *errors,
               int *exit_code, struct strake_err *err)
{
    struct plug_list argv = { 0 };
    struct plug_list env = { 0 };
    buildx_argv_begin(self, &argv);
    for (size_t i = 0; i < count; i++)
        plug_list_add(&argv, words[i]);
    buildx_argv_builder(self, &argv);
    buildx_env_begin(self, &env);
    int rc = buildx_ask(self, &argv, &env, job, text, errors, exit_code, err);
    plug_list_dispose(&env);
    plug_list_dispose(&argv);
    return rc;
}

int buildx_why_unreached(const struct buildx *self, struct strake_job *job, struct strake_err *err)
{
    /* buildx waits for a daemon without saying what it waits for; asked for its disk use, it does
     * not wait and says it. */
    static const char *const words[] = { "du" };
    struct plug_tail errors = { 0 };
    int exit_code = 0;
    int rc = ask(self, words, 1, job, NULL, &errors, &exit_code, err);
    if (rc == 0 && exit_code != 0)
        rc = explain(self, &errors, err);
    else if (rc == 0)
        rc = self->host->fail(err, STRAKE_EBUILDER, "the builder %s was not there at first",
                              buildx_where(self));
    plug_tail_dispose(&errors);
    return rc;
}

static int inspect(const struct buildx *self, bool bootstrap, struct strake_job *job,
                   struct buildx_inspected *out, struct strake_err *err)
{
    static const char *const words[] = { "inspect", "--bootstrap" };
    struct plug_tail errors = { 0 };
    int exit_code = 0;
    struct strake_buf *text = self->host->buf_new(ANSWER_MAX);
    if (text == NULL)
        return plug_fail_nomem(self->host, err);
    int rc = ask(self, words, bootstrap ? 2 : 1, job, text, &errors, &exit_code, err);
    if (rc == 0 && exit_code != 0)
        rc = explain(self, &errors, err);
    else if (rc == 0 && !buildx_inspect_parse(plug_buf_text(self->host, text), out))
        rc = self->host->fail(err, STRAKE_EBUILDER, "buildx does not say what %s is",
                              buildx_where(self));
    plug_tail_dispose(&errors);
    self->host->buf_free(text);
    return rc;
}

static int explain_error(const struct buildx *self, const struct buildx_inspected *found,
                         struct strake_err *err)
{
    char words[sizeof(found->error) + 16];
    int len = snprintf(words, sizeof(words), "ERROR: %s", found->error);
    return explain_words(self, words, (size_t)len, err);
}

static bool runs(const struct buildx_inspected *found)
{
    return strcmp(found->status, "running") == 0;
}

/* A container or pod that does not run is started, as a build would. */
static int wake(const struct buildx *self, struct strake_job *job, struct buildx_inspected *found,
                struct strake_err *err)
{
    int rc = inspect(self, true, job, found, err);
    if (rc < 0 || runs(found))
        return rc;
    if (found->error[0] != '\0')
        return explain_error(self, found, err);
    return self->host->fail(err, STRAKE_EBUILDER, "the builder %s cannot be started: it is %s",
                            buildx_where(self),
                            found->status[0] != '\0' ? found->status : "of no state");
}

int buildx_probe(void *instance, struct strake_job *job, struct strake_builder_info *info,
                 struct strake_err *err)
{
    struct buildx *self = instance;
    struct buildx_inspected found;
    struct strake_builder_info told = { .size = sizeof(told) };
    int rc = buildx_client.reach(self, job, err);
    if (rc == 0)
        rc = inspect(self, false, job, &found, err);
    if (rc == 0 && found.error[0] != '\0' && !runs(&found))
        rc = explain_error(self, &found, err);
    else if (rc == 0 && !runs(&found))
        /* With the wrong certificates, too, buildx says "inactive" and exits with 0. */
        rc = strcmp(found.driver, "remote") == 0 ? buildx_why_unreached(self, job, err)
                                                 : wake(self, job, &found, err);
    if (rc < 0)
        return rc;
    snprintf(told.version, sizeof(told.version), "%s", found.version);
    snprintf(told.platforms, sizeof(told.platforms), "%s", found.platforms);
    told.features = buildx_features(&found);
    if ((told.features & STRAKE_BUILDER_PUSH) == 0)
        atomic_store(&self->layouts, true);
    uint32_t size = info->size < sizeof(told) ? info->size : (uint32_t)sizeof(told);
    told.size = info->size;
    memcpy(info, &told, size);
    return 0;
}
