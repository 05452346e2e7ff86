/* Inputs as a plan shows them, what makes them uncertain, and what differs between two of them. */
#include <string.h>

#include "build/inputs.h"
#include "util/json.h"

int strake_inputs_doubt(const struct strake_plan_inputs *inputs, char **why)
{
    *why = NULL;
    if (inputs->doubt) {
        *why = strake_strdup(inputs->doubt);
        return *why ? 0 : STRAKE_ENOMEM;
    }
    for (size_t i = 0; i < inputs->bases.count; i++) {
        const char *name = inputs->bases.items[i]->name;
        if (inputs->bases.items[i]->value[0])
            continue;
        if (strncmp(name, STRAKE_TARGET_PREFIX, strlen(STRAKE_TARGET_PREFIX)) == 0)
            *why = strake_asprintf("target %s, which it is built on, is never unchanged",
                                   name + strlen(STRAKE_TARGET_PREFIX));
        else
            *why = strake_asprintf("the digest of the base image %s is not known", name);
        return *why ? 0 : STRAKE_ENOMEM;
    }
    return 0;
}

json_t *strake_inputs_json(const struct strake_plan_inputs *inputs)
{
    json_t *parts = json_object();

    if (!parts || strake_json_set_str(parts, "dockerfile", inputs->dockerfile) < 0 ||
        strake_json_set_str(parts, "context", inputs->context) < 0 ||
        strake_json_set_str(parts, "options", inputs->options) < 0 ||
        strake_json_set(parts, "bases", strake_json_pairs(strake_pairs_view(&inputs->bases))) < 0) {
        json_decref(parts);
        return NULL;
    }
    return parts;
}

/* ---- comparing ---- */

static int add_change(struct strake_buf *list, const char *text, const char *name)
{
    return strake_buf_printf(list, "%s%s%s", list->len ? ", " : "", text, name);
}

static int add_base_change(struct strake_buf *list, const char *name)
{
    const bool target = strncmp(name, STRAKE_TARGET_PREFIX, strlen(STRAKE_TARGET_PREFIX)) == 0;

    return target ? add_change(list, "the target ", name + strlen(STRAKE_TARGET_PREFIX))
                  : add_change(list, "the base image ", name);
}

int strake_inputs_differences(const struct strake_plan_inputs *saved,
                              const struct strake_plan_inputs *now, struct strake_buf *out)
{
    int rc = 0;

    if (strcmp(saved->dockerfile, now->dockerfile) != 0)
        rc = add_change(out, "the Dockerfile", "");
    if (rc == 0 && strcmp(saved->context, now->context) != 0)
        rc = add_change(out, "files of the context", "");
    if (rc == 0 && strcmp(saved->options, now->options) != 0)
        rc = add_change(out, "its options", "");
    for (size_t i = 0; rc == 0 && i < saved->bases.count; i++) {
        const char *name = saved->bases.items[i]->name;
        const char *digest = strake_pairs_get(&now->bases, name);
        if (!digest || strcmp(digest, saved->bases.items[i]->value) != 0)
            rc = add_base_change(out, name);
    }
    return rc;
}

int strake_inputs_compare(const struct strake_plan_target *target,
                          const struct strake_plan_inputs *saved,
                          const struct strake_plan_inputs *now, struct strake_err *err)
{
    struct strake_buf list = STRAKE_BUF(4096);
    int rc = 0;

    if (strcmp(saved->digest, now->digest) == 0)
        return 0;
    strake_inputs_differences(saved, now, &list); /* what has no room is not named */
    rc = strake_fail(err, STRAKE_ESTALE, "the plan no longer fits: of target %s changed %s",
                     target->name, list.len ? strake_buf_text(&list) : "the base images");
    strake_err_hint(err, "make a new plan with `strake plan --save`");
    strake_buf_dispose(&list);
    return rc;
}
