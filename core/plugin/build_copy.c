/* Copies of build requests: a builder that was left behind still reads its request. */
#include "plugin/build_copy.h"

#include <string.h>

#include "util/mem.h"

static int copy_list(struct strake_strings *to, const char *const *from, const char *const **view)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && from && from[i]; i++)
        rc = strake_strings_add(to, from[i]);
    *view = strake_strings_view(to);
    return rc;
}

static int copy_pairs(struct strake_pairs *to, const struct strake_pair *const *from,
                      const struct strake_pair *const **view)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && from && from[i]; i++)
        rc = strake_pairs_set(to, from[i]->name, from[i]->value);
    *view = strake_pairs_view(to);
    return rc;
}

/* Of a secret the file or the name may be missing, and that must stay visible. */
static int copy_optional(struct strake_call *call, const char *text, const char **copy)
{
    *copy = NULL;
    return text ? strake_call_copy(call, text, copy) : 0;
}

static int copy_secrets(struct strake_build_copy *copy, struct strake_call *call,
                        const struct strake_build_secret *const *from)
{
    size_t count = 0;
    int rc = 0;

    while (from && from[count])
        count++;
    copy->secrets = strake_calloc(count + 1, sizeof(*copy->secrets));
    copy->secret_list = strake_calloc(count + 1, sizeof(void *));
    if (!copy->secrets || !copy->secret_list)
        return STRAKE_ENOMEM;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = copy_optional(call, from[i]->id, &copy->secrets[i].id);
        if (rc == 0)
            rc = copy_optional(call, from[i]->file, &copy->secrets[i].file);
        if (rc == 0)
            rc = copy_optional(call, from[i]->name, &copy->secrets[i].name);
        copy->secret_list[i] = &copy->secrets[i];
    }
    copy->request.secrets = copy->secret_list;
    return rc;
}

static int copy_texts(struct strake_call *call, struct strake_build_request *to,
                      const struct strake_build_request *from)
{
    const struct {
        const char *text;
        const char **copy;
    } texts[] = {
        { from->target, &to->target },
        { from->context, &to->context },
        { from->dockerfile, &to->dockerfile },
        { from->stage, &to->stage },
        { from->image, &to->image },
        { from->layout_dir, &to->layout_dir },
        { from->output_type, &to->output_type },
        { from->output_dest, &to->output_dest },
        { from->network, &to->network },
        { from->compression, &to->compression },
        { from->source_date_epoch, &to->source_date_epoch },
        { from->source_policy, &to->source_policy },
    };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof(texts) / sizeof(texts[0]); i++)
        rc = copy_optional(call, texts[i].text, texts[i].copy);
    return rc;
}

static int copy_auth(struct strake_build_copy *copy, const char *text)
{
    int rc;

    copy->request.auth_json = NULL;
    if (!text)
        return 0;
    copy->auth.secret = true;
    rc = strake_buf_puts(&copy->auth, text);
    copy->request.auth_json = strake_buf_text(&copy->auth);
    return rc;
}

static int copy_extras(struct strake_build_copy *copy, struct strake_build_request *to,
                       const struct strake_build_request *from)
{
    if (copy_pairs(&copy->annotations, from->annotations, &to->annotations) < 0 ||
        copy_list(&copy->ssh, from->ssh, &to->ssh) < 0 ||
        copy_list(&copy->entitlements, from->entitlements, &to->entitlements) < 0 ||
        copy_pairs(&copy->add_hosts, from->add_hosts, &to->add_hosts) < 0 ||
        copy_pairs(&copy->ulimits, from->ulimits, &to->ulimits) < 0 ||
        copy_pairs(&copy->attestations, from->attestations, &to->attestations) < 0 ||
        copy_list(&copy->no_cache_stages, from->no_cache_stages, &to->no_cache_stages) < 0)
        return STRAKE_ENOMEM;
    return 0;
}

int strake_build_copy_make(struct strake_build_copy *copy, struct strake_call *call,
                           const struct strake_build_request *from)
{
    struct strake_build_request *to = &copy->request;
    int rc;

    *to = *from; /* flags and numbers; each pointer is set anew below */
    to->size = sizeof(*to);
    rc = copy_texts(call, to, from);
    if (rc == 0)
        rc = copy_list(&copy->platforms, from->platforms, &to->platforms);
    if (rc == 0)
        rc = copy_list(&copy->cache_import, from->cache_import, &to->cache_import);
    if (rc == 0)
        rc = copy_list(&copy->cache_export, from->cache_export, &to->cache_export);
    if (rc == 0)
        rc = copy_pairs(&copy->args, from->args, &to->args);
    if (rc == 0)
        rc = copy_pairs(&copy->labels, from->labels, &to->labels);
    if (rc == 0)
        rc = copy_pairs(&copy->contexts, from->contexts, &to->contexts);
    if (rc == 0)
        rc = copy_extras(copy, to, from);
    if (rc == 0)
        rc = copy_secrets(copy, call, from->secrets);
    if (rc == 0)
        rc = copy_auth(copy, from->auth_json);
    return rc;
}

void strake_build_copy_dispose(struct strake_build_copy *copy)
{
    strake_strings_dispose(&copy->platforms);
    strake_strings_dispose(&copy->cache_import);
    strake_strings_dispose(&copy->cache_export);
    strake_pairs_dispose(&copy->args);
    strake_pairs_dispose(&copy->labels);
    strake_pairs_dispose(&copy->contexts);
    strake_pairs_dispose(&copy->annotations);
    strake_strings_dispose(&copy->ssh);
    strake_strings_dispose(&copy->entitlements);
    strake_pairs_dispose(&copy->add_hosts);
    strake_pairs_dispose(&copy->ulimits);
    strake_pairs_dispose(&copy->attestations);
    strake_strings_dispose(&copy->no_cache_stages);
    strake_free(copy->secrets);
    strake_free(copy->secret_list);
    strake_buf_dispose(&copy->auth);
}
