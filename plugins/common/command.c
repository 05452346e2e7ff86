/* Command lines of the programs that plugins run. */
#include "common/command.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

void plug_csv_add(struct plug_text *record, const char *key, const char *value)
{
    static const char special[] = ",\"\r\n";
    if (record->len > 0)
        plug_text_add(record, ",");
    if (strpbrk(key, special) == NULL && strpbrk(value, special) == NULL) {
        plug_text_addf(record, "%s=%s", key, value);
        return;
    }
    const char *const parts[] = { key, "=", value };
    plug_text_add(record, "\"");
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        for (const char *at = parts[i]; *at != '\0'; at++) {
            bool quote = *at == '"';
            plug_text_add_len(record, quote ? "\"\"" : at, quote ? 2 : 1);
        }
    }
    plug_text_add(record, "\"");
}

/* A JSON string of an argument. Arguments are bytes, JSON is text. */
static json_t *json_of(const char *arg)
{
    json_t *text = json_string(arg);
    if (text != NULL)
        return text;
    char *ascii = strdup(arg);
    if (ascii == NULL)
        return NULL;
    for (char *at = ascii; *at != '\0'; at++) {
        if ((*at & 0x80) != 0)
            *at = '?';
    }
    text = json_string(ascii);
    free(ascii);
    return text;
}

int plug_list_json(const struct plug_list *list, const struct strake_host *host,
                   struct strake_buf *buf)
{
    json_t *array = list->failed ? NULL : json_array();
    int rc = array != NULL ? 0 : STRAKE_ENOMEM;
    for (size_t i = 0; rc == 0 && i < list->count; i++) {
        if (json_array_append_new(array, json_of(list->items[i])) < 0)
            rc = STRAKE_ENOMEM;
    }
    char *dump = rc == 0 ? json_dumps(array, JSON_COMPACT) : NULL;
    if (rc == 0)
        rc = dump != NULL ? host->buf_append(buf, dump, strlen(dump)) : STRAKE_ENOMEM;
    free(dump);
    json_decref(array);
    return rc;
}

static const char *text_or_empty(const char *text)
{
    return text != NULL ? text : "";
}

void plug_request_read(const struct strake_build_request *request, struct strake_build_request *out)
{
    static const char *const no_texts[] = { NULL };
    static const struct strake_pair *const no_pairs[] = { NULL };
    static const struct strake_build_secret *const no_secrets[] = { NULL };

    *out = (struct strake_build_request){ 0 };
    memcpy(out, request, request->size < sizeof(*out) ? request->size : sizeof(*out));
    out->size = sizeof(*out);
    out->target = text_or_empty(out->target);
    out->context = text_or_empty(out->context);
    out->dockerfile = text_or_empty(out->dockerfile);
    out->stage = text_or_empty(out->stage);
    out->platforms = out->platforms != NULL ? out->platforms : no_texts;
    out->args = out->args != NULL ? out->args : no_pairs;
    out->labels = out->labels != NULL ? out->labels : no_pairs;
    out->contexts = out->contexts != NULL ? out->contexts : no_pairs;
    out->cache_import = out->cache_import != NULL ? out->cache_import : no_texts;
    out->cache_export = out->cache_export != NULL ? out->cache_export : no_texts;
    out->image = text_or_empty(out->image);
    out->layout_dir = text_or_empty(out->layout_dir);
    out->output_type = text_or_empty(out->output_type);
    out->output_dest = text_or_empty(out->output_dest);
    out->auth_json = text_or_empty(out->auth_json);
    out->secrets = out->secrets != NULL ? out->secrets : no_secrets;
    out->annotations = out->annotations != NULL ? out->annotations : no_pairs;
    out->ssh = out->ssh != NULL ? out->ssh : no_texts;
    out->entitlements = out->entitlements != NULL ? out->entitlements : no_texts;
    out->add_hosts = out->add_hosts != NULL ? out->add_hosts : no_pairs;
    out->ulimits = out->ulimits != NULL ? out->ulimits : no_pairs;
    out->attestations = out->attestations != NULL ? out->attestations : no_pairs;
    out->no_cache_stages = out->no_cache_stages != NULL ? out->no_cache_stages : no_texts;
    out->network = text_or_empty(out->network);
    out->compression = text_or_empty(out->compression);
    out->source_date_epoch = text_or_empty(out->source_date_epoch);
    out->source_policy = text_or_empty(out->source_policy);
}

bool plug_context_is_folder(const char *context)
{
    return context[0] == '/';
}

const char *plug_context_path(const char *value)
{
    if (strncmp(value, "local:", strlen("local:")) == 0)
        return value + strlen("local:");
    return value[0] == '/' ? value : NULL;
}
