/* The body of a message: what fits, in the form that the server takes. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "ntfy/ntfy.h"

/* Bytes of the character that begins at `text`, or 0: it is none (RFC 3629). */
static size_t character(const unsigned char *text)
{
    static const struct {
        unsigned char first, last; /* of the lead byte */
        unsigned char low, high;   /* of the second byte */
        size_t len;
    } forms[] = {
        { 0x00, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
        { 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
        { 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (text[0] < forms[i].first || text[0] > forms[i].last)
            continue;
        if (forms[i].len > 1 && (text[1] < forms[i].low || text[1] > forms[i].high))
            return 0;
        for (size_t k = 2; k < forms[i].len; k++) {
            if ((text[k] & 0xc0) != 0x80)
                return 0;
        }
        return forms[i].len;
    }
    return 0;
}

static const char ellipsis[] = "\xe2\x80\xa6";
static const char replacement[] = "\xef\xbf\xbd";

void ntfy_clip(struct plug_text *out, const char *text, size_t max)
{
    const unsigned char *at = (const unsigned char *)text;
    struct plug_text whole = { 0 };
    size_t fits = 0; /* bytes that leave room for "…" */
    while (*at != '\0' && whole.len <= max && !whole.failed) {
        size_t len = character(at);
        if (len > 0)
            plug_text_add_len(&whole, at, len);
        else
            plug_text_add(&whole, replacement);
        at += len > 0 ? len : 1;
        if (whole.len + sizeof(ellipsis) - 1 <= max)
            fits = whole.len;
    }
    bool cut = whole.len > max;
    plug_text_add_len(out, plug_text_view(&whole), cut ? fits : whole.len);
    if (cut)
        plug_text_add(out, ellipsis);
    out->failed = out->failed || whole.failed;
    plug_text_dispose(&whole);
}

/* False: out of memory. */
static bool set_clipped(json_t *body, const char *key, const char *text, size_t max)
{
    struct plug_text clipped = { 0 };
    ntfy_clip(&clipped, text, max);
    bool set = !clipped.failed &&
               json_object_set_new(body, key, json_string(plug_text_view(&clipped))) == 0;
    plug_text_dispose(&clipped);
    return set;
}

static bool add_tags(json_t *tags, const char *const *from)
{
    for (size_t i = 0; from != NULL && from[i] != NULL; i++) {
        struct plug_text clipped = { 0 };
        if (json_array_size(tags) >= NTFY_TAGS_MAX)
            break;
        ntfy_clip(&clipped, from[i], NTFY_TAG_MAX);
        bool added = !clipped.failed &&
                     json_array_append_new(tags, json_string(plug_text_view(&clipped))) == 0;
        plug_text_dispose(&clipped);
        if (!added)
            return false;
    }
    return true;
}

static bool set_tags(json_t *body, const struct ntfy *ntfy, const struct strake_message *message)
{
    json_t *tags = json_array();
    bool set = tags != NULL && add_tags(tags, (const char *const *)ntfy->tags) &&
               add_tags(tags, message->tags);
    if (set && json_array_size(tags) > 0)
        set = json_object_set(body, "tags", tags) == 0;
    json_decref(tags);
    return set;
}

static bool fill(json_t *body, const struct ntfy *ntfy, const struct strake_message *message)
{
    /* An empty message would read "triggered". */
    const char *text = message->text[0] != '\0' ? message->text : message->title;
    const char *title = text == message->title ? "" : message->title;
    int64_t priority = ntfy->priority != 0 ? ntfy->priority : message->priority;
    size_t click = strlen(message->click);

    if (json_object_set_new(body, "topic", json_string(ntfy->topic)) < 0 ||
        !set_clipped(body, "message", text, NTFY_MESSAGE_MAX))
        return false;
    if (title[0] != '\0' && !set_clipped(body, "title", title, NTFY_TITLE_MAX))
        return false;
    if (priority >= 1 && priority <= 5 && priority != 3 &&
        json_object_set_new(body, "priority", json_integer(priority)) < 0)
        return false;
    if (click > 0 && click <= NTFY_CLICK_MAX && !set_clipped(body, "click", message->click, click))
        return false;
    /* Servers that know it show a message that is sent again in place of the first one. */
    if (ntfy_topic_valid(message->id) &&
        json_object_set_new(body, "sequence_id", json_string(message->id)) < 0)
        return false;
    return set_tags(body, ntfy, message);
}

char *ntfy_body(const struct ntfy *ntfy, const struct strake_message *message)
{
    json_t *body = json_object();
    char *text = NULL;
    if (body != NULL && fill(body, ntfy, message))
        text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    return text;
}
