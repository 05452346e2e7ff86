/* Keeping credentials: helpers and docker's file (store.h). */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "config_file.h"
#include "helper.h"

/* ---- where ----------------------------------------------------------------------------------- */

/** credHelpers names one for this registry, an empty name none; else credsStore one for all. */
static char *helper_of(const struct oci *oci, json_t *root, bool *nomem)
{
    const char *name = oci_name(oci);
    char *path = plug_format("%s/", name);
    const json_t *own =
        path ? oci_credentials_entry(json_object_get(root, "credHelpers"), name, path) : NULL;
    const char *text =
        json_string_value(json_is_string(own) ? own : json_object_get(root, "credsStore"));
    char *copy = text && *text ? strdup(text) : NULL;
    *nomem = !path || (text && *text && !copy);
    free(path);
    return copy;
}

int oci_store_find(const struct oci *oci, struct oci_store *store, struct strake_err *err)
{
    struct plug_text text = { 0 };
    json_t *root = NULL;
    bool nomem = false;
    *store = (struct oci_store){ 0 };
    int rc = oci_config_file_name(oci->host, &store->file, err);
    if (rc == 0)
        rc = oci_config_file_read(oci->host, store->file, &text, &root, err);
    if (rc == 0 && root)
        store->helper = helper_of(oci, root, &nomem);
    if (nomem)
        rc = plug_fail_nomem(oci->host, err);
    json_decref(root);
    plug_text_dispose(&text);
    if (rc < 0)
        oci_store_dispose(store);
    return rc;
}

void oci_store_dispose(struct oci_store *store)
{
    free(store->file);
    free(store->helper);
    *store = (struct oci_store){ 0 };
}

static struct oci_helper helper_in(const struct oci *oci, const struct oci_store *store)
{
    return (struct oci_helper){
        .name = store->helper,
        .server = oci_credentials_server(oci_name(oci)),
        .timeout_ms = oci->options.timeout_ms,
    };
}

/** Takes `trouble` over. @return STRAKE_EAUTH */
static int fail_helper(const struct oci *oci, const struct oci_store *store, const char *what,
                       char *trouble, struct strake_err *err)
{
    oci->host->fail(err, STRAKE_EAUTH, "%s: %s", what, trouble);
    oci->host->err_hint(err,
                        "%s names docker-credential-%s as the place for credentials: see that it "
                        "works, or take it out there",
                        store->file, store->helper);
    free(trouble);
    return STRAKE_EAUTH;
}

static int say(const struct oci *oci, struct strake_buf *where, const char *prefix,
               const char *name, struct strake_err *err)
{
    char *line =
        plug_format("%s%s%s", plug_buf_text(oci->host, where)[0] ? "\n" : "", prefix, name);
    int rc = line ? oci->host->buf_append(where, line, strlen(line)) : STRAKE_ENOMEM;
    free(line);
    return rc < 0 ? plug_fail_nomem(oci->host, err) : 0;
}

/* ---- keeping --------------------------------------------------------------------------------- */

static int put_in_helper(const struct oci *oci, struct strake_job *job,
                         const struct oci_store *store, const struct oci_credentials *credentials,
                         struct strake_err *err)
{
    const struct oci_helper helper = helper_in(oci, store);
    const bool token = credentials->identity_token != NULL;
    char *trouble = NULL;
    int rc = oci_helper_store(oci->host, job, &helper, token ? "<token>" : credentials->username,
                              token ? credentials->identity_token : credentials->password, &trouble,
                              err);
    return trouble ? fail_helper(oci, store, "the credentials were not stored", trouble, err) : rc;
}

static int put_in_file(const struct oci *oci, struct strake_job *job, const struct oci_store *store,
                       const struct oci_credentials *credentials, struct strake_err *err)
{
    char *auth = oci_credentials_basic(oci->host, credentials->username,
                                       credentials->identity_token ? "" : credentials->password);
    if (!auth)
        return plug_fail_nomem(oci->host, err);
    const struct strake_pair fields[] = {
        { "auth", auth },
        { credentials->identity_token ? "identitytoken" : NULL, credentials->identity_token },
        { NULL, NULL },
    };
    int rc = oci_config_file_change(oci->host, job, store->file, oci_name(oci), fields, NULL, err);
    plug_wipe(auth);
    return rc;
}

/** A password in clear beside a helper that has it is what helpers are there to end. */
static int blank_in_file(const struct oci *oci, struct strake_job *job,
                         const struct oci_store *store, struct strake_err *err)
{
    static const struct strake_pair nothing[] = { { NULL, NULL } };
    struct plug_text text = { 0 };
    json_t *root = NULL;
    int rc = oci_config_file_read(oci->host, store->file, &text, &root, err);
    char *path = plug_format("%s/", oci_name(oci));
    const json_t *entry =
        path ? oci_credentials_entry(json_object_get(root, "auths"), oci_name(oci), path) : NULL;
    if (rc == 0 && json_object_size(entry) > 0)
        rc = oci_config_file_change(oci->host, job, store->file, oci_name(oci), nothing, NULL, err);
    free(path);
    json_decref(root);
    plug_text_dispose(&text);
    return rc;
}

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/** What the next command will find. */
static int read_back(const struct oci *oci, struct strake_job *job, const struct oci_store *store,
                     const struct oci_credentials *credentials, struct strake_err *err)
{
    struct oci_credentials found;
    int rc = oci_credentials_find(oci->host, job, oci_name(oci), "", &found, err);
    if (rc < 0)
        return rc;
    const bool token = credentials->identity_token != NULL;
    const bool good = token ? same(found.identity_token, credentials->identity_token)
                            : same(found.password, credentials->password) &&
                                  same(found.username, credentials->username);
    if (!good && found.source && strcmp(found.source, "DOCKER_AUTH_CONFIG") == 0) {
        oci->host->log(STRAKE_LOG_WARN,
                       "DOCKER_AUTH_CONFIG has other credentials for %s, and wins as long as it is "
                       "set",
                       oci_name(oci));
    } else if (!good) {
        rc = oci->host->fail(
            err, STRAKE_EAUTH,
            "the credentials for %s were stored, and what is found is not them%s%s", oci_name(oci),
            found.trouble ? ": " : "", found.trouble ? found.trouble : "");
        if (store->helper)
            oci->host->err_hint(err,
                                "docker-credential-%s did not keep what it was given: try "
                                "`docker-credential-%s list`",
                                store->helper, store->helper);
        else
            oci->host->err_hint(err, "look for another entry of it in %s", store->file);
    }
    oci_credentials_dispose(&found);
    return rc;
}

int oci_store_put(const struct oci *oci, struct strake_job *job, const struct oci_store *store,
                  const struct oci_credentials *credentials, struct strake_buf *where,
                  struct strake_err *err)
{
    int rc = store->helper ? put_in_helper(oci, job, store, credentials, err)
                           : put_in_file(oci, job, store, credentials, err);
    if (rc == 0 && store->helper)
        rc = blank_in_file(oci, job, store, err);
    if (rc == 0)
        rc = read_back(oci, job, store, credentials, err);
    if (rc == 0 && oci->options.username)
        oci->host->log(
            STRAKE_LOG_WARN,
            "registry \"%s\" { … } has a username and password of its own, which win over "
            "what was stored",
            oci_name(oci));
    return rc < 0 ? rc
                  : say(oci, where, store->helper ? "helper " : "",
                        store->helper ? store->helper : store->file, err);
}

/* ---- forgetting ------------------------------------------------------------------------------ */

/** Who thinks that nothing is left should be told what is. */
static int tell_rest(const struct oci *oci, struct strake_job *job, struct strake_err *err)
{
    struct oci_credentials found;
    int rc = oci_credentials_find(oci->host, job, oci_name(oci), "", &found, err);
    if (rc == 0 && oci_credentials_given(&found))
        oci->host->log(STRAKE_LOG_WARN, "%s still has credentials for %s", found.source,
                       oci_name(oci));
    if (rc == 0 && oci->options.username)
        oci->host->log(STRAKE_LOG_WARN,
                       "registry \"%s\" { … } still has a username and password of its own",
                       oci_name(oci));
    if (rc == 0)
        oci_credentials_dispose(&found);
    return rc;
}

int oci_store_drop(const struct oci *oci, struct strake_job *job, const struct oci_store *store,
                   struct strake_buf *where, struct strake_err *err)
{
    bool had = false;
    char *trouble = NULL;
    int rc = 0;
    if (store->helper) {
        const struct oci_helper helper = helper_in(oci, store);
        rc = oci_helper_erase(oci->host, job, &helper, &had, &trouble, err);
        if (trouble)
            rc = fail_helper(oci, store, "the credentials were not removed", trouble, err);
        if (rc == 0 && had)
            rc = say(oci, where, "helper ", store->helper, err);
    }
    bool changed = false;
    if (rc == 0)
        rc =
            oci_config_file_change(oci->host, job, store->file, oci_name(oci), NULL, &changed, err);
    if (rc == 0 && changed)
        rc = say(oci, where, "", store->file, err);
    return rc < 0 ? rc : tell_rest(oci, job, err);
}
