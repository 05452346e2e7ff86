/* Failures: what happened, where, what to do next, and a tool's own words. */
#include "util/err.h"

#include <errno.h>
#include <string.h>

#include "util/buf.h"
#include "util/json.h"
#include "util/mem.h"
#include "util/secret.h"
#include "util/text.h"

#define ERR_DETAIL_MAX ((size_t)64 * 1024)
#define ERR_TEXT_MAX ((size_t)16 * 1024)

static const struct {
    int code;
    const char *kind;
    int exit;
} codes[] = {
    { STRAKE_EINTERNAL, "internal", 1 },
    { STRAKE_EUSAGE, "usage", 2 },
    { STRAKE_ECONFIG, "config", 3 },
    { STRAKE_ESTALE, "stale", 3 },
    { STRAKE_EPOLICY, "policy", 4 },
    { STRAKE_EDOCKERFILE, "dockerfile", 4 },
    { STRAKE_EBUILD, "build", 5 },
    { STRAKE_ESCAN, "scan", 6 },
    { STRAKE_ENOTRUN, "notrun", 7 },
    { STRAKE_EREGISTRY, "registry", 8 },
    { STRAKE_EAUTH, "auth", 8 },
    { STRAKE_ECONFLICT, "conflict", 8 },
    { STRAKE_EBUILDER, "builder", 9 },
    { STRAKE_EPARTIAL, "partial", 10 },
    { STRAKE_EVERIFY, "verify", 11 },
    { STRAKE_ENOTIFY, "notify", 12 },
    { STRAKE_EWORKFLOW, "workflow", 12 },
    { STRAKE_EDEPLOY, "deploy", 12 },
    { STRAKE_ECANCELLED, "cancelled", 130 },
    { STRAKE_ENOMEM, "internal", 1 },
    { STRAKE_EIO, "internal", 1 },
    { STRAKE_ENOTFOUND, "registry", 8 },
    { STRAKE_ECORRUPT, "registry", 8 },
    { STRAKE_EUNSUPPORTED, "builder", 9 },
    { STRAKE_ETIMEOUT, "internal", 1 },
    { STRAKE_ETOOBIG, "registry", 8 },
    { STRAKE_ENETWORK, "registry", 8 },
};

const char *strake_code_kind(int code)
{
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i].code == code)
            return codes[i].kind;
    }
    return "internal";
}

int strake_code_exit(int code)
{
    if (code == 0)
        return 0;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i].code == code)
            return codes[i].exit;
    }
    return 1;
}

/* Too long to be told whole: its beginning says enough. Cut between characters. */
static int shorten(struct strake_buf *text, size_t max)
{
    size_t len = max;

    if (text->len <= max)
        return 0;
    while (len > 0 && ((unsigned char)text->data[len] & 0xc0) == 0x80)
        len--;
    text->data[len] = '\0';
    text->len = len;
    return strake_buf_puts(text, " …");
}

/* A text that may be told: secrets redacted (before anything could cut one in two), one line,
 * bounded. NULL: no memory. */
static char *told(const char *fmt, va_list args, const char *suffix)
{
    struct strake_buf text = { .secret = true };
    int rc = strake_buf_vprintf(&text, fmt, args);

    if (rc == 0)
        rc = strake_secret_redact(&text);
    if (rc == 0)
        rc = shorten(&text, ERR_TEXT_MAX);
    if (rc == 0 && suffix)
        rc = strake_buf_printf(&text, ": %s", suffix);
    if (rc < 0) {
        strake_buf_dispose(&text);
        return NULL;
    }
    strake_text_blank(text.data, text.len);
    text.secret = false;
    return strake_buf_take(&text);
}

static int fail_with(struct strake_err *err, int code, const char *fmt, va_list args,
                     const char *suffix)
{
    char *message = told(fmt, args, suffix); /* before: an argument may be a part of `err` */

    strake_err_dispose(err);
    err->code = code;
    err->message = message;
    return code;
}

int strake_vfail(struct strake_err *err, int code, const char *fmt, va_list args)
{
    return fail_with(err, code, fmt, args, NULL);
}

int strake_fail(struct strake_err *err, int code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fail_with(err, code, fmt, args, NULL);
    va_end(args);
    return code;
}

int strake_fail_errno(struct strake_err *err, int code, const char *fmt, ...)
{
    char text[128];
    const char *reason = strerror_r(errno, text, sizeof(text));
    va_list args;

    va_start(args, fmt);
    fail_with(err, code, fmt, args, reason);
    va_end(args);
    return code;
}

int strake_fail_nomem(struct strake_err *err)
{
    strake_err_dispose(err);
    err->code = STRAKE_ENOMEM;
    return STRAKE_ENOMEM;
}

void strake_err_prefix(struct strake_err *err, const char *fmt, ...)
{
    va_list args;
    char *prefix, *joined;

    va_start(args, fmt);
    prefix = told(fmt, args, NULL);
    va_end(args);
    joined = prefix ? strake_asprintf("%s%s", prefix, strake_err_message(err)) : NULL;
    strake_free(prefix);
    if (joined) {
        strake_free(err->message);
        err->message = joined;
    }
}

void strake_err_hint(struct strake_err *err, const char *fmt, ...)
{
    va_list args;
    char *hint;

    va_start(args, fmt);
    hint = told(fmt, args, NULL);
    va_end(args);
    strake_free(err->hint);
    err->hint = hint;
}

void strake_err_place(struct strake_err *err, const char *file, int line)
{
    char *copy = strake_strdup(file);

    strake_free(err->file);
    err->file = copy;
    err->line = copy ? line : 0;
}

/* Escape sequences of a tool's output would act on the reader's terminal. */
static bool is_shown(const char *data, size_t len, size_t *at)
{
    unsigned char c = (unsigned char)data[*at];

    if (c == 0x1b) {
        size_t i = *at + 1;
        if (i < len && data[i] == '[') {
            for (i++;
                 i < len && !((unsigned char)data[i] >= 0x40 && (unsigned char)data[i] <= 0x7e);)
                i++;
            *at = i < len ? i : len - 1;
        }
        return false;
    }
    size_t control = strake_text_control(data + *at, len - *at);
    *at += control > 1 ? control - 1 : 0;
    return c == '\n' || c == '\t' || control == 0;
}

void strake_err_detail(struct strake_err *err, const char *data, size_t len)
{
    struct strake_buf raw = { .secret = true }, text = { .max = ERR_DETAIL_MAX, .secret = true };
    size_t before = err->detail ? strlen(err->detail) : 0;
    int rc = strake_buf_append(&raw, data, len);

    /* As it came, and again without what coloured it. */
    if (rc == 0)
        rc = strake_secret_redact(&raw);
    if (rc == 0 && before)
        rc = strake_buf_puts(&text, err->detail);
    if (rc == 0 && before && text.data[text.len - 1] != '\n')
        rc = strake_buf_putc(&text, '\n');
    for (size_t i = 0; rc == 0 && i < raw.len; i++) {
        if (is_shown(raw.data, raw.len, &i))
            rc = strake_buf_putc(&text, raw.data[i]);
    }
    if (rc != STRAKE_ENOMEM && text.len && strake_secret_redact(&text) == 0) {
        text.secret = false;
        strake_free(err->detail);
        err->detail = strake_buf_take(&text);
    }
    strake_buf_dispose(&raw);
    strake_buf_dispose(&text);
}

int strake_err_recode(struct strake_err *err, int code)
{
    if (!err->message && err->code == STRAKE_ENOMEM)
        return err->code;
    err->code = code;
    return code;
}

void strake_err_copy(struct strake_err *to, const struct strake_err *from)
{
    strake_err_dispose(to);
    to->code = from->code;
    to->line = from->line;
    to->message = strake_strdup(from->message);
    to->hint = strake_strdup(from->hint);
    to->file = strake_strdup(from->file);
    to->detail = strake_strdup(from->detail);
}

void strake_err_move(struct strake_err *to, struct strake_err *from)
{
    strake_err_dispose(to);
    *to = *from;
    *from = (struct strake_err){ 0 };
}

const char *strake_err_message(const struct strake_err *err)
{
    if (err->message)
        return err->message;
    if (err->code == STRAKE_ENOMEM)
        return "out of memory";
    return err->code ? strake_code_kind(err->code) : "";
}

void strake_err_dispose(struct strake_err *err)
{
    strake_free(err->message);
    strake_free(err->hint);
    strake_free(err->file);
    strake_free(err->detail);
    *err = (struct strake_err){ 0 };
}

json_t *strake_err_json(const struct strake_err *err)
{
    json_t *doc = json_object();

    if (!doc || strake_json_set_str(doc, "kind", strake_code_kind(err->code)) < 0 ||
        strake_json_set_str(doc, "message", strake_err_message(err)) < 0 ||
        strake_json_set_str(doc, "hint", err->hint) < 0 ||
        strake_json_set_str(doc, "file", err->file) < 0 ||
        (err->line > 0 && strake_json_set_int(doc, "line", err->line) < 0) ||
        strake_json_set_int(doc, "exit", strake_code_exit(err->code)) < 0 ||
        strake_json_set_str(doc, "detail", err->detail) < 0) {
        json_decref(doc);
        return NULL;
    }
    return doc;
}

/* Several codes have one kind: the first of the list stands for it. */
static int code_of(const char *kind)
{
    for (size_t i = 0; kind && i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (strcmp(codes[i].kind, kind) == 0)
            return codes[i].code;
    }
    return STRAKE_EINTERNAL;
}

int strake_err_parse(struct strake_err *err, const json_t *json)
{
    const char *message = strake_json_str(json, "message"), *hint = strake_json_str(json, "hint");
    const char *file = strake_json_str(json, "file"), *detail = strake_json_str(json, "detail");

    strake_fail(err, code_of(strake_json_str(json, "kind")), "%s", message ? message : "failed");
    if (hint && *hint)
        strake_err_hint(err, "%s", hint);
    if (file && *file)
        strake_err_place(err, file, (int)strake_json_int(json, "line", 0));
    if (detail && *detail)
        strake_err_detail(err, detail, strlen(detail));
    return err->code;
}

/* ---- for people ---- */

static int render_detail(const char *detail, bool colour, struct strake_buf *out)
{
    int rc = 0;

    while (rc == 0 && *detail) {
        size_t len = strcspn(detail, "\n");
        rc = strake_buf_printf(out, "%s  | %.*s%s\n", colour ? "\033[2m" : "", (int)len, detail,
                               colour ? "\033[0m" : "");
        detail += len + (detail[len] == '\n');
    }
    return rc;
}

int strake_err_render(const struct strake_err *err, bool colour, struct strake_buf *out)
{
    const char *red = colour ? "\033[1;31m" : "", *dim = colour ? "\033[36m" : "";
    const char *plain = colour ? "\033[0m" : "";
    int rc = strake_buf_printf(out, "%serror:%s %s\n", red, plain, strake_err_message(err));

    if (rc == 0 && err->file && err->line > 0)
        rc = strake_buf_printf(out, "  %sat%s %s:%d\n", dim, plain, err->file, err->line);
    else if (rc == 0 && err->file)
        rc = strake_buf_printf(out, "  %sat%s %s\n", dim, plain, err->file);
    if (rc == 0 && err->hint)
        rc = strake_buf_printf(out, "  %shint:%s %s\n", dim, plain, err->hint);
    if (rc == 0 && err->detail)
        rc = render_detail(err->detail, colour, out);
    return rc;
}
