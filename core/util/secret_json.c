/* Redaction of JSON values: events, messages. */
#include "util/secret.h"

/* The string without secrets, a new reference; NULL: no memory. */
static json_t *redacted(const json_t *string)
{
    struct strake_buf text = { .secret = true };
    json_t *value = NULL;

    if (strake_buf_append(&text, json_string_value(string), json_string_length(string)) == 0 &&
        strake_secret_redact(&text) == 0)
        value = json_stringn(strake_buf_text(&text), text.len);
    strake_buf_dispose(&text);
    return value;
}

int strake_secret_redact_json(json_t *value)
{
    const char *key;
    json_t *item;
    size_t i;
    int rc = 0;

    if (!strake_secret_any())
        return 0;
    json_object_foreach(value, key, item) {
        if (rc == 0 && json_is_string(item))
            rc = json_object_set_new(value, key, redacted(item));
        else if (rc == 0)
            rc = strake_secret_redact_json(item);
    }
    json_array_foreach(value, i, item) {
        if (rc == 0 && json_is_string(item))
            rc = json_array_set_new(value, i, redacted(item));
        else if (rc == 0)
            rc = strake_secret_redact_json(item);
    }
    return rc;
}
