/* Reading WWW-Authenticate and Link headers (challenge.h). */
#include "challenge.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/** A piece of header text that is read from left to right. */
struct cursor {
    const char *at;
    const char *end;
};

static bool is_token_char(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static void skip(struct cursor *cursor, const char *set)
{
    while (cursor->at < cursor->end && *cursor->at && strchr(set, *cursor->at))
        cursor->at++;
}

static bool take(struct cursor *cursor, char c)
{
    if (cursor->at == cursor->end || *cursor->at != c)
        return false;
    cursor->at++;
    return true;
}

static struct cursor take_token(struct cursor *cursor)
{
    struct cursor token = { cursor->at, cursor->at };
    while (cursor->at < cursor->end && is_token_char(*cursor->at))
        cursor->at++;
    token.end = cursor->at;
    return token;
}

static bool token_is(struct cursor token, const char *name)
{
    size_t len = (size_t)(token.end - token.at);
    return len == strlen(name) && strncasecmp(token.at, name, len) == 0;
}

/** A token or a quoted string; what follows a backslash stands for itself. False: malformed. */
static bool take_value(struct cursor *cursor, struct plug_text *value)
{
    if (!take(cursor, '"')) {
        struct cursor token = take_token(cursor);
        plug_text_add_len(value, token.at, (size_t)(token.end - token.at));
        return token.at < token.end;
    }
    while (cursor->at < cursor->end && *cursor->at != '"') {
        if (*cursor->at == '\\' && ++cursor->at == cursor->end)
            return false;
        plug_text_add_len(value, cursor->at++, 1);
    }
    return take(cursor, '"');
}

/** One challenge while it is read. */
struct draft {
    bool bearer;
    struct oci_challenge values;
};

static bool set_param(struct draft *draft, struct cursor name, const char *text)
{
    char **slot = token_is(name, "realm")     ? &draft->values.realm
                  : token_is(name, "service") ? &draft->values.service
                  : token_is(name, "scope")   ? &draft->values.scope
                  : token_is(name, "error")   ? &draft->values.error
                                              : NULL;
    /* A parameter said twice: the first one counts. */
    if (!draft->bearer || !slot || *slot)
        return true;
    *slot = strdup(text);
    return *slot != NULL;
}

/** The end of a challenge: keep it when it is the first Bearer one that can be used. */
static void finish(struct draft *draft, bool complete, struct oci_challenge *out)
{
    if (draft->bearer && complete && draft->values.realm && !out->realm) {
        bool basic = out->basic;
        *out = draft->values;
        out->basic = basic;
        draft->values = (struct oci_challenge){ 0 };
    }
    oci_challenge_dispose(&draft->values);
    draft->bearer = false;
}

/** Step over the rest of `scheme SP token68` ("Negotiate TlRMTVNTUAA="), if that is what stands
 *  there. */
static void skip_token68(struct cursor *cursor)
{
    struct cursor ahead = *cursor;
    while (ahead.at < ahead.end &&
           (isalnum((unsigned char)*ahead.at) || strchr("-._~+/", *ahead.at)))
        ahead.at++;
    skip(&ahead, "=");
    skip(&ahead, " \t");
    if (ahead.at == ahead.end || *ahead.at == ',')
        *cursor = ahead;
}

static int parse_header(struct cursor cursor, struct oci_challenge *out)
{
    struct draft draft = { 0 };
    bool complete = true;
    int rc = 0;
    while (rc == 0) {
        skip(&cursor, " \t,");
        if (cursor.at == cursor.end)
            break;
        struct cursor name = take_token(&cursor);
        struct cursor ahead = cursor;
        skip(&ahead, " \t");
        complete = name.at < name.end;
        if (complete && take(&ahead, '=')) {
            struct plug_text value = { 0 };
            skip(&ahead, " \t");
            complete = take_value(&ahead, &value);
            if (value.failed || !set_param(&draft, name, plug_text_view(&value)))
                rc = STRAKE_ENOMEM;
            plug_text_dispose(&value);
            cursor = ahead;
        } else if (complete) {
            finish(&draft, true, out);
            draft.bearer = token_is(name, "Bearer");
            out->basic = out->basic || token_is(name, "Basic");
            skip_token68(&ahead);
            cursor = ahead;
        }
        /* Nobody knows where the next challenge begins after something malformed. */
        if (!complete)
            break;
    }
    finish(&draft, complete && rc == 0, out);
    return rc;
}

int oci_challenge_parse(const char *lines, struct oci_challenge *out)
{
    *out = (struct oci_challenge){ 0 };
    size_t pos = 0;
    size_t len;
    const char *value;
    while ((value = plug_header(lines, "www-authenticate", &pos, &len))) {
        int rc = parse_header((struct cursor){ value, value + len }, out);
        if (rc < 0) {
            oci_challenge_dispose(out);
            return rc;
        }
    }
    return 0;
}

void oci_challenge_dispose(struct oci_challenge *challenge)
{
    free(challenge->realm);
    free(challenge->service);
    free(challenge->scope);
    free(challenge->error);
    *challenge = (struct oci_challenge){ 0 };
}

/** "next" among the words of a rel value: rel="prev next". */
static bool has_next(const char *rel)
{
    while (*rel) {
        size_t len = strcspn(rel, " \t");
        if (len == 4 && strncasecmp(rel, "next", 4) == 0)
            return true;
        rel += len;
        rel += strspn(rel, " \t");
    }
    return false;
}

/** The parameters of one link, up to the comma behind it. False: malformed. */
static bool link_params(struct cursor *cursor, bool *next, bool *failed)
{
    bool rel_seen = false;
    for (;;) {
        skip(cursor, " \t");
        if (cursor->at == cursor->end || *cursor->at == ',')
            return true;
        if (!take(cursor, ';'))
            return false;
        skip(cursor, " \t");
        struct cursor name = take_token(cursor);
        skip(cursor, " \t");
        if (!take(cursor, '='))
            continue;
        skip(cursor, " \t");
        struct plug_text value = { 0 };
        bool good = take_value(cursor, &value);
        if (good && token_is(name, "rel") && !rel_seen) {
            rel_seen = true;
            *next = has_next(plug_text_view(&value));
        }
        *failed = *failed || value.failed;
        plug_text_dispose(&value);
        if (!good)
            return false;
    }
}

int oci_link_next(const char *lines, char **target)
{
    *target = NULL;
    size_t pos = 0;
    size_t len;
    const char *value;
    while ((value = plug_header(lines, "link", &pos, &len))) {
        struct cursor cursor = { value, value + len };
        for (;;) {
            skip(&cursor, " \t,");
            if (!take(&cursor, '<'))
                break;
            const char *uri = cursor.at;
            const char *close = memchr(uri, '>', (size_t)(cursor.end - uri));
            if (!close)
                break;
            cursor.at = close + 1;
            bool next = false;
            bool failed = false;
            if (!link_params(&cursor, &next, &failed) && !failed)
                break;
            if (next && !failed)
                *target = plug_strndup(uri, (size_t)(close - uri));
            if (failed || (next && !*target))
                return STRAKE_ENOMEM;
            if (next)
                return 0;
        }
    }
    return 0;
}
