/* Secrets: where each comes from, and every text that must never show. */
#include "util/secret.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "util/fs.h"
#include "util/json.h"
#include "util/mem.h"

#define SECRET_MAX ((size_t)1024 * 1024)
#define SECRET_SHORTEST 4
#define SECRET_LINE_SHORTEST 8
#define SECRET_LINES_MAX 2000
#define SECRET_SHOWN "[secret]"

struct source {
    char *name;
    char *variable; /* or NULL */
    char *path;     /* or NULL */
    struct source *next;
};

/* A text to redact; longest first, so that a part never spoils the whole. */
struct marked {
    char *text;
    size_t len;
    struct marked *next;
};

static pthread_mutex_t secret_lock = PTHREAD_MUTEX_INITIALIZER;
static struct source *sources;
static struct marked *marks;
static atomic_bool any_marked;
static bool mark_lost; /* there was no memory for one of the marks: nothing may be shown any more */

/* ---- sources ---- */

static struct source *source_find(const char *name)
{
    for (struct source *at = sources; at; at = at->next) {
        if (strcmp(at->name, name) == 0)
            return at;
    }
    return NULL;
}

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static void source_free(struct source *source)
{
    strake_free(source->name);
    strake_free(source->variable);
    strake_free(source->path);
    strake_free(source);
}

static int source_add(const char *name, const char *variable, const char *path,
                      struct strake_err *err)
{
    struct source *source;
    int rc = 0;

    pthread_mutex_lock(&secret_lock);
    source = source_find(name);
    if (source) {
        if (!same(source->variable, variable) || !same(source->path, path))
            rc = STRAKE_ECONFIG;
        goto out;
    }
    source = strake_calloc(1, sizeof(*source));
    if (source) {
        source->name = strake_strdup(name);
        source->variable = strake_strdup(variable);
        source->path = strake_strdup(path);
    }
    if (!source || !source->name || (variable && !source->variable) || (path && !source->path)) {
        if (source)
            source_free(source);
        rc = STRAKE_ENOMEM;
        goto out;
    }
    source->next = sources;
    sources = source;
out:
    pthread_mutex_unlock(&secret_lock); /* before the failure is told: telling redacts */
    if (rc == STRAKE_ECONFIG)
        return strake_fail(err, rc, "the secret %s is declared with two sources", name);
    return rc < 0 ? strake_fail_nomem(err) : 0;
}

int strake_secret_from_env(const char *name, const char *variable, struct strake_err *err)
{
    const char *value = getenv(variable);
    int rc = source_add(name, variable, NULL, err);

    if (rc == 0 && value)
        strake_secret_mark(value, strlen(value));
    return rc;
}

int strake_secret_from_file(const char *name, const char *path, struct strake_err *err)
{
    return source_add(name, NULL, path, err);
}

bool strake_secret_is_env(const char *variable)
{
    bool found = false;

    pthread_mutex_lock(&secret_lock);
    for (struct source *at = sources; at && !found; at = at->next)
        found = at->variable && strcmp(at->variable, variable) == 0;
    pthread_mutex_unlock(&secret_lock);
    return found;
}

json_t *strake_secret_source(const char *name)
{
    json_t *source = json_object();
    const struct source *found;
    int rc = source ? 0 : STRAKE_ENOMEM;

    pthread_mutex_lock(&secret_lock);
    found = source_find(name);
    if (rc == 0 && found)
        rc = strake_json_set_str(source, "env", found->variable);
    if (rc == 0 && found)
        rc = strake_json_set_str(source, "file", found->path);
    pthread_mutex_unlock(&secret_lock);
    if (rc < 0) {
        json_decref(source);
        return NULL;
    }
    return source;
}

static int value_of_env(const char *name, const char *variable, struct strake_buf *value,
                        struct strake_err *err)
{
    const char *text = getenv(variable);
    int rc;

    if (!text) {
        strake_fail(err, STRAKE_ECONFIG, "the secret %s is not there: the variable %s is not set",
                    name, variable);
        strake_err_hint(err, "export %s=… before you run this", variable);
        return STRAKE_ECONFIG;
    }
    rc = strake_buf_puts(value, text);
    if (rc == STRAKE_ETOOBIG)
        return strake_fail(err, STRAKE_ECONFIG, "the secret %s is too large", name);
    return rc < 0 ? strake_fail_nomem(err) : 0;
}

static int value_of_file(const char *name, const char *path, struct strake_buf *value,
                         struct strake_err *err)
{
    size_t before = value->len;
    int rc = strake_fs_read(path, SECRET_MAX, value, err);

    if (rc < 0) {
        strake_err_prefix(err, "the secret %s is not there: ", name);
        return rc == STRAKE_ENOMEM ? rc : strake_err_recode(err, STRAKE_ECONFIG);
    }
    if (value->len == before || value->data[value->len - 1] != '\n')
        return 0;
    value->data[--value->len] = '\0';
    if (value->len > before && value->data[value->len - 1] == '\r')
        value->data[--value->len] = '\0';
    return 0;
}

int strake_secret_get(const char *name, struct strake_buf *value, struct strake_err *err)
{
    struct source *source;
    char *variable = NULL, *path = NULL;
    size_t before = value->len;
    int rc;

    value->secret = true;
    pthread_mutex_lock(&secret_lock);
    source = source_find(name);
    if (source) {
        variable = strake_strdup(source->variable);
        path = strake_strdup(source->path);
    }
    pthread_mutex_unlock(&secret_lock);
    if (variable)
        rc = value_of_env(name, variable, value, err);
    else if (path)
        rc = value_of_file(name, path, value, err);
    else if (source)
        rc = strake_fail_nomem(err);
    else
        rc = strake_fail(err, STRAKE_ECONFIG, "there is no secret %s", name);
    if (rc == 0)
        strake_secret_mark(strake_buf_text(value) + before, value->len - before);
    strake_free(variable);
    strake_free(path);
    return rc;
}

/* ---- the forms in which a value may show up ---- */

static int encode64(const unsigned char *data, size_t len, bool url, struct strake_buf *out)
{
    static const char standard[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < len; i += 3) {
        size_t rest = len - i;
        unsigned v = (unsigned)data[i] << 16 | (rest > 1 ? (unsigned)data[i + 1] << 8 : 0) |
                     (rest > 2 ? data[i + 2] : 0);
        char four[4] = { standard[v >> 18], standard[v >> 12 & 63],
                         rest > 1 ? standard[v >> 6 & 63] : '=',
                         rest > 2 ? standard[v & 63] : '=' };
        for (int k = 0; url && k < 4; k++)
            four[k] = four[k] == '+' ? '-' : four[k] == '/' ? '_' : four[k];
        rc = strake_buf_append(out, four, sizeof(four));
    }
    return rc;
}

int strake_base64(const void *data, size_t len, struct strake_buf *out)
{
    return encode64(data, len, false, out);
}

static int encode_percent(const unsigned char *data, size_t len, const char *hex,
                          struct strake_buf *out)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < len; i++) {
        bool plain = (data[i] >= '0' && data[i] <= '9') || (data[i] >= 'A' && data[i] <= 'Z') ||
                     (data[i] >= 'a' && data[i] <= 'z') || (data[i] && strchr("-._~", data[i]));
        const char three[3] = { '%', hex[data[i] >> 4], hex[data[i] & 15] };
        rc = plain ? strake_buf_append(out, &data[i], 1) : strake_buf_append(out, three, 3);
    }
    return rc;
}

static int percent_upper(const unsigned char *data, size_t len, struct strake_buf *out)
{
    return encode_percent(data, len, "0123456789ABCDEF", out);
}

static int percent_lower(const unsigned char *data, size_t len, struct strake_buf *out)
{
    return encode_percent(data, len, "0123456789abcdef", out);
}

static int encode_json(const unsigned char *data, size_t len, const char *escaped, bool upper,
                       struct strake_buf *out)
{
    static const char short_forms[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* pairs: byte, letter */
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < len; i++) {
        char letter = '\0';
        for (size_t k = 0; k + 1 < sizeof(short_forms); k += 2) {
            if ((unsigned char)short_forms[k] == data[i])
                letter = short_forms[k + 1];
        }
        if (letter)
            rc = strake_buf_printf(out, "\\%c", letter);
        else if (data[i] < 0x20 || strchr(escaped, data[i]))
            rc = strake_buf_printf(out, upper ? "\\u%04X" : "\\u%04x", data[i]);
        else
            rc = strake_buf_append(out, &data[i], 1);
    }
    return rc;
}

/* As jansson writes JSON, as most others do, as Go does. */
static int json_upper(const unsigned char *data, size_t len, struct strake_buf *out)
{
    return encode_json(data, len, "", true, out);
}

static int json_lower(const unsigned char *data, size_t len, struct strake_buf *out)
{
    return encode_json(data, len, "", false, out);
}

static int json_for_html(const unsigned char *data, size_t len, struct strake_buf *out)
{
    return encode_json(data, len, "<>&", false, out);
}

static int base64_standard(const unsigned char *data, size_t len, struct strake_buf *out)
{
    return encode64(data, len, false, out);
}

static int base64_url(const unsigned char *data, size_t len, struct strake_buf *out)
{
    return encode64(data, len, true, out);
}

/* The lock is held, here and below. */
static int mark_text(const char *text, size_t len)
{
    struct marked **at = &marks, *mark;

    if (len < SECRET_SHORTEST)
        return 0;
    for (struct marked *known = marks; known; known = known->next) {
        if (known->len == len && memcmp(known->text, text, len) == 0)
            return 0;
    }
    mark = strake_calloc(1, sizeof(*mark));
    if (mark)
        mark->text = strake_malloc(len);
    if (!mark || !mark->text) {
        strake_free(mark);
        return STRAKE_ENOMEM;
    }
    memcpy(mark->text, text, len);
    mark->len = len;
    while (*at && (*at)->len > len)
        at = &(*at)->next;
    mark->next = *at;
    *at = mark;
    return 0;
}

static int mark_form(const char *value, size_t len,
                     int (*encode)(const unsigned char *, size_t, struct strake_buf *))
{
    struct strake_buf text = { .secret = true };
    int rc = encode((const unsigned char *)value, len, &text);

    while (rc == 0 && text.len && text.data[text.len - 1] == '=')
        text.data[--text.len] = '\0'; /* padding may be missing, or be something else */
    if (rc == 0)
        rc = mark_text(strake_buf_text(&text), text.len);
    strake_buf_dispose(&text);
    return rc;
}

/* Output comes line by line, so that a key of many lines is met in pieces. */
static int mark_lines(const char *value, size_t len)
{
    const char *end = value + len;
    int rc = 0;

    if (!memchr(value, '\n', len))
        return 0;
    for (int lines = 0; rc == 0 && value < end && lines < SECRET_LINES_MAX; lines++) {
        const char *stop = memchr(value, '\n', (size_t)(end - value)), *last;
        stop = stop ? stop : end;
        for (last = stop; value < last && strchr(" \t\r", *value) && *value;)
            value++;
        while (value < last && strchr(" \t\r", last[-1]) && last[-1])
            last--;
        if (last - value >= SECRET_LINE_SHORTEST)
            rc = mark_text(value, (size_t)(last - value));
        value = stop + 1;
    }
    return rc;
}

void strake_secret_mark(const char *value, size_t len)
{
    static int (*const forms[])(const unsigned char *, size_t, struct strake_buf *) = {
        base64_standard, base64_url, percent_upper, percent_lower,
        json_upper,      json_lower, json_for_html,
    };
    int rc;

    if (len < SECRET_SHORTEST)
        return;
    pthread_mutex_lock(&secret_lock);
    rc = mark_text(value, len);
    /* Base64 of a longer text that begins with the value: the whole groups are alike. */
    if (rc == 0 && len % 3 && len / 3 >= 2)
        rc = mark_form(value, len - len % 3, base64_standard);
    for (size_t i = 0; rc == 0 && i < sizeof(forms) / sizeof(forms[0]); i++)
        rc = mark_form(value, len, forms[i]);
    if (rc == 0)
        rc = mark_lines(value, len);
    if (rc < 0)
        mark_lost = true;
    atomic_store(&any_marked, true);
    pthread_mutex_unlock(&secret_lock);
}

/* ---- redaction ---- */

bool strake_secret_any(void)
{
    return atomic_load(&any_marked);
}

static int replace(struct strake_buf *text, const struct marked *mark)
{
    struct strake_buf out = { .max = 2 * text->len + sizeof(SECRET_SHOWN), .secret = true };
    const char *from = text->data, *end = text->data + text->len, *hit;
    int rc = 0;

    if (!memmem(from, text->len, mark->text, mark->len))
        return 0;
    while (rc == 0 && (hit = memmem(from, (size_t)(end - from), mark->text, mark->len))) {
        rc = strake_buf_append(&out, from, (size_t)(hit - from));
        if (rc == 0)
            rc = strake_buf_puts(&out, SECRET_SHOWN);
        from = hit + mark->len;
    }
    if (rc == 0)
        rc = strake_buf_append(&out, from, (size_t)(end - from));
    if (rc < 0) {
        strake_buf_dispose(&out);
        return rc;
    }
    out.secret = text->secret;
    explicit_bzero(text->data, text->cap);
    strake_buf_dispose(text);
    text->data = out.data;
    text->len = out.len;
    text->cap = out.cap;
    return 0;
}

int strake_secret_redact(struct strake_buf *text)
{
    int rc = 0;

    if (!strake_secret_any() || text->len == 0)
        return 0;
    pthread_mutex_lock(&secret_lock);
    if (mark_lost)
        rc = STRAKE_ENOMEM;
    for (const struct marked *mark = marks; rc == 0 && mark; mark = mark->next)
        rc = replace(text, mark);
    pthread_mutex_unlock(&secret_lock);
    if (rc < 0) {
        explicit_bzero(text->data, text->cap);
        strake_buf_clear(text);
        return STRAKE_ENOMEM;
    }
    return 0;
}

void strake_secret_reset(void)
{
    pthread_mutex_lock(&secret_lock);
    while (marks) {
        struct marked *mark = marks;
        marks = mark->next;
        explicit_bzero(mark->text, mark->len);
        strake_free(mark->text);
        strake_free(mark);
    }
    while (sources) {
        struct source *source = sources;
        sources = source->next;
        source_free(source);
    }
    mark_lost = false;
    atomic_store(&any_marked, false);
    pthread_mutex_unlock(&secret_lock);
}
