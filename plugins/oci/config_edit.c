/* Editing docker's config.json in place (config_edit.h). */
#include "config_edit.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "credentials.h"

/* ---- where things are: the text is valid JSON, which the scanner relies on ------------------- */

struct span {
    size_t begin;
    size_t end;
};

struct member {
    struct span key;
    struct span value;
};

static size_t skip_space(const char *text, size_t at)
{
    return at + strspn(text + at, " \t\r\n");
}

static size_t skip_string(const char *text, size_t at)
{
    for (at++; text[at] && text[at] != '"'; at++)
        if (text[at] == '\\' && text[at + 1])
            at++;
    return text[at] ? at + 1 : at;
}

static size_t skip_value(const char *text, size_t at)
{
    size_t depth = 0;
    do {
        at = skip_space(text, at);
        if (text[at] == '"') {
            at = skip_string(text, at);
        } else if (text[at] == '{' || text[at] == '[') {
            depth++;
            at++;
        } else if (text[at] == '}' || text[at] == ']') {
            depth--;
            at++;
        } else if (text[at] == ',' || text[at] == ':') {
            at++;
        } else {
            at += strcspn(text + at, ",:]} \t\r\n");
        }
    } while (depth > 0 && text[at]);
    return at;
}

/** The member at *at, which is behind '{' or a comma, and is behind this one's comma or at '}' then.
 *  False: there is none. */
static bool next_member(const char *text, size_t *at, struct member *out)
{
    out->key.begin = skip_space(text, *at);
    if (text[out->key.begin] != '"')
        return false;
    out->key.end = skip_string(text, out->key.begin);
    size_t colon = skip_space(text, out->key.end);
    if (text[colon] != ':')
        return false;
    out->value.begin = skip_space(text, colon + 1);
    out->value.end = skip_value(text, out->value.begin);
    *at = skip_space(text, out->value.end);
    *at += text[*at] == ',';
    return true;
}

/** A key without quotes and escapes. Free it; NULL: no memory. */
static char *key_of(const char *text, struct span key)
{
    json_t *name = json_loadb(text + key.begin, key.end - key.begin, JSON_DECODE_ANY, NULL);
    char *copy = name ? strdup(json_string_value(name)) : NULL;
    json_decref(name);
    return copy;
}

/** @return 1 with the member of the object at `brace`, 0 there is none of that name, or negative */
static int find_member(const char *text, size_t brace, const char *name, struct member *out)
{
    size_t at = brace + 1;
    while (next_member(text, &at, out)) {
        char *key = key_of(text, out->key);
        if (!key)
            return STRAKE_ENOMEM;
        bool same = strcmp(key, name) == 0;
        free(key);
        if (same)
            return 1;
    }
    return 0;
}

/* ---- how it is written ------------------------------------------------------------------------ */

/** The file's own style: what one level is indented by; NULL: all on one line. */
struct style {
    char unit[17];
    bool lines;
};

/** The white space that a line begins with which holds `at`. */
static struct span indent_of(const char *text, size_t at)
{
    size_t begin = at;
    while (begin > 0 && text[begin - 1] != '\n')
        begin--;
    return (struct span){ begin, begin + strspn(text + begin, " \t") };
}

static struct style style_of(const char *text)
{
    struct style style = { .unit = "\t", .lines = true };
    size_t brace = skip_space(text, 0);
    size_t first = skip_space(text, brace + 1);
    if (text[first] != '"')
        return style; /* nothing in it: as docker writes it */
    style.lines = memchr(text + brace, '\n', first - brace) != NULL;
    struct span indent = indent_of(text, first);
    size_t len = indent.end - indent.begin;
    if (style.lines && len > 0 && len < sizeof(style.unit)) {
        memcpy(style.unit, text + indent.begin, len);
        style.unit[len] = '\0';
    }
    return style;
}

static void add_line(struct plug_text *out, const struct style *style, size_t depth)
{
    if (style->lines)
        plug_text_add(out, "\n");
    for (size_t i = 0; style->lines && i < depth; i++)
        plug_text_add(out, style->unit);
}

static void add_string(struct plug_text *out, const char *value)
{
    json_t *string = json_string(value);
    char *text = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    json_decref(string);
    if (text)
        plug_text_add(out, text);
    else
        out->failed = true;
    plug_wipe(text);
}

/** `"KEY": {…}` as a member at that depth; `fields` NULL: the empty object. */
static void add_member(struct plug_text *out, const struct style *style, size_t depth,
                       const char *key, const struct strake_pair *fields)
{
    if (key) {
        add_string(out, key);
        plug_text_add(out, style->lines ? ": " : ":");
    }
    plug_text_add(out, "{");
    bool any = fields && fields->name;
    for (size_t i = 0; any && fields[i].name; i++) {
        plug_text_add(out, i ? "," : "");
        add_line(out, style, depth + 1);
        add_string(out, fields[i].name);
        plug_text_add(out, style->lines ? ": " : ":");
        add_string(out, fields[i].value);
    }
    if (any)
        add_line(out, style, depth);
    plug_text_add(out, "}");
}

/* ---- changes: each makes a new text of the old one --------------------------------------------- */

/** Put `with` in the place of a span. */
static int replace(struct plug_text *text, struct span span, const struct plug_text *with)
{
    struct plug_text made = { 0 };
    plug_text_add_len(&made, text->data, span.begin);
    plug_text_add_len(&made, plug_text_view(with), with->len);
    plug_text_add(&made, text->data + span.end);
    bool failed = made.failed || with->failed;
    plug_text_dispose(text);
    *text = made;
    return failed ? STRAKE_ENOMEM : 0;
}

/** The new member comes first in the object at `brace`, whose members are at `depth`. */
static int insert(struct plug_text *text, const struct style *style, size_t brace, size_t depth,
                  const char *key, const struct strake_pair *fields)
{
    struct plug_text made = { 0 };
    struct span hole = { brace + 1, skip_space(text->data, brace + 1) };
    bool empty = text->data[hole.end] == '}';
    add_line(&made, style, depth);
    add_member(&made, style, depth, key, fields);
    if (empty)
        add_line(&made, style, depth - 1);
    else
        hole.end = hole.begin; /* what is between the brace and the member after it stays */
    if (!empty)
        plug_text_add(&made, ",");
    int rc = replace(text, hole, &made);
    plug_text_dispose(&made);
    return rc;
}

/** Without the member, and without the comma that it leaves. */
static int cut(struct plug_text *text, size_t brace, struct member member)
{
    const char *data = text->data;
    size_t next = skip_space(data, member.value.end);
    struct span span = { member.key.begin, member.value.end };
    if (data[next] == ',') {
        span.end = skip_space(data, next + 1);
    } else {
        /* The last one: the comma before it goes, or all between the braces. */
        while (span.begin > brace + 1 && strchr(" \t\r\n", data[span.begin - 1]))
            span.begin--;
        if (data[span.begin - 1] == ',')
            span.begin--;
        else
            span.end = next;
    }
    const struct plug_text nothing = { 0 };
    return replace(text, span, &nothing);
}

/** Entries of this registry under other names would be found instead of ours. */
static int cut_others(struct plug_text *text, size_t brace, const char *registry, const char *kept,
                      bool *changed)
{
    size_t at = brace + 1;
    struct member member;
    int rc = 0;
    while (rc == 0 && next_member(text->data, &at, &member)) {
        char *key = key_of(text->data, member.key);
        char *name = key ? oci_credentials_normalise(key) : NULL;
        if (!name)
            rc = STRAKE_ENOMEM;
        else if (strcasecmp(name, registry) == 0 && (!kept || strcmp(key, kept) != 0)) {
            rc = cut(text, brace, member);
            *changed = true;
            at = brace + 1;
        }
        free(key);
        free(name);
    }
    return rc;
}

static int set(struct plug_text *text, const struct style *style, size_t brace, const char *key,
               const struct strake_pair *fields)
{
    struct member member;
    int found = find_member(text->data, brace, key, &member);
    if (found < 0)
        return found;
    if (!found)
        return insert(text, style, brace, 2, key, fields);
    struct plug_text made = { 0 };
    add_member(&made, style, 2, NULL, fields);
    int rc = replace(text, member.value, &made);
    plug_text_dispose(&made);
    return rc;
}

int oci_config_edit(const char *text, const char *registry, const struct strake_pair *fields,
                    struct plug_text *out)
{
    const char *key = fields ? oci_credentials_server(registry) : NULL;
    bool bare = text[skip_space(text, 0)] == '\0';
    bool changed = false;
    struct member auths;
    *out = (struct plug_text){ 0 };
    if (bare && !fields)
        return 0;
    plug_text_add(out, bare ? "{}\n" : text);
    if (out->failed)
        return STRAKE_ENOMEM;
    const struct style style = style_of(out->data);
    size_t brace = skip_space(out->data, 0);
    int rc = find_member(out->data, brace, "auths", &auths);
    if (rc == 0 && fields) {
        rc = insert(out, &style, brace, 1, "auths", NULL);
        if (rc == 0)
            rc = find_member(out->data, brace, "auths", &auths);
    }
    /* docker reads null as nothing; it is so when there is nothing to be put there, too. */
    if (rc == 1 && fields && strncmp(out->data + auths.value.begin, "null", 4) == 0) {
        const struct plug_text object = { .data = (char[]){ "{}" }, .len = 2 };
        rc = replace(out, auths.value, &object) < 0 ? STRAKE_ENOMEM : 1;
        auths.value.end = auths.value.begin + 2;
    }
    if (rc == 1 && out->data[auths.value.begin] != '{')
        rc = fields || out->data[auths.value.begin] != 'n' ? STRAKE_ECONFIG : 0;
    else if (rc == 1)
        rc = cut_others(out, auths.value.begin, registry, key, &changed);
    if (rc == 0 && fields)
        rc = set(out, &style, auths.value.begin, key, fields);
    if (rc < 0 || (!fields && !changed))
        plug_text_dispose(out);
    return rc;
}
