/* Regular expressions on PCRE2, within limits. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "util/jsregex.h"

#include <pcre2.h>
#include <pthread.h>
#include <string.h>

#include "util/lazy.h"
#include "util/mem.h"

/* Steps from one place of the text; there are STRAKE_JSREGEX_TEXT_MAX places at most. */
#define STEPS_MAX 20000
#define HEAP_MAX_KIB 4096
#define DEPTH_MAX 2000

static struct {
    __typeof__(pcre2_compile) *compile;
    __typeof__(pcre2_code_free) *code_free;
    __typeof__(pcre2_pattern_info) *pattern_info;
    __typeof__(pcre2_match) *match;
    __typeof__(pcre2_match_data_create_from_pattern) *data_create;
    __typeof__(pcre2_match_data_free) *data_free;
    __typeof__(pcre2_get_ovector_pointer) *ovector;
    __typeof__(pcre2_match_context_create) *context_create;
    __typeof__(pcre2_match_context_free) *context_free;
    __typeof__(pcre2_set_match_limit) *set_match_limit;
    __typeof__(pcre2_set_heap_limit) *set_heap_limit;
    __typeof__(pcre2_set_depth_limit) *set_depth_limit;
    __typeof__(pcre2_get_error_message) *error_message;
} pcre2;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool ready; /* guarded by lock */

static int load(struct strake_err *err)
{
    static const struct strake_lazy_symbol symbols[] = {
        { "pcre2_compile_8", &pcre2.compile },
        { "pcre2_code_free_8", &pcre2.code_free },
        { "pcre2_pattern_info_8", &pcre2.pattern_info },
        { "pcre2_match_8", &pcre2.match },
        { "pcre2_match_data_create_from_pattern_8", &pcre2.data_create },
        { "pcre2_match_data_free_8", &pcre2.data_free },
        { "pcre2_get_ovector_pointer_8", &pcre2.ovector },
        { "pcre2_match_context_create_8", &pcre2.context_create },
        { "pcre2_match_context_free_8", &pcre2.context_free },
        { "pcre2_set_match_limit_8", &pcre2.set_match_limit },
        { "pcre2_set_heap_limit_8", &pcre2.set_heap_limit },
        { "pcre2_set_depth_limit_8", &pcre2.set_depth_limit },
        { "pcre2_get_error_message_8", &pcre2.error_message },
    };
    int rc = 0;

    pthread_mutex_lock(&lock);
    if (!ready) {
        rc = strake_lazy_open("libpcre2-8.so.0", "libpcre2-8-0", symbols,
                              sizeof(symbols) / sizeof(symbols[0]), err);
        ready = rc == 0;
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

struct strake_jsregex {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *context;
    uint32_t groups;
    bool global, sticky;
};

void strake_jsregex_free(struct strake_jsregex *regex)
{
    if (!regex)
        return;
    if (regex->code)
        pcre2.code_free(regex->code);
    if (regex->data)
        pcre2.data_free(regex->data);
    if (regex->context)
        pcre2.context_free(regex->context);
    strake_free(regex);
}

bool strake_jsregex_is_global(const struct strake_jsregex *regex)
{
    return regex->global;
}

bool strake_jsregex_is_sticky(const struct strake_jsregex *regex)
{
    return regex->sticky;
}

size_t strake_jsregex_groups(const struct strake_jsregex *regex)
{
    return regex->groups;
}

/* ---- compiling ---- */

static int read_flags(const char *flags, uint32_t *options, bool *unicode,
                      struct strake_jsregex *regex, struct strake_err *err)
{
    for (const char *flag = flags; *flag; flag++) {
        if (*flag == 'v')
            return strake_fail(err, STRAKE_ECONFIG, "the flag v is not supported");
        if (!strchr("dgimsuy", *flag) || strchr(flag + 1, *flag))
            return strake_fail(err, STRAKE_ECONFIG, "'%s' are no flags of a regular expression",
                               flags);
        *options |= *flag == 'i' ? PCRE2_CASELESS : 0;
        *options |= *flag == 'm' ? PCRE2_MULTILINE : 0;
        *options |= *flag == 's' ? PCRE2_DOTALL : 0;
        *unicode = *unicode || *flag == 'u';
        regex->global = regex->global || *flag == 'g';
        regex->sticky = regex->sticky || *flag == 'y';
    }
    return 0;
}

static int compile(struct strake_jsregex *regex, const struct strake_buf *text, uint32_t options,
                   const char *pattern, struct strake_err *err)
{
    PCRE2_UCHAR said[160] = "";
    PCRE2_SIZE at = 0;
    int code = 0;

    options |= PCRE2_UTF | PCRE2_MATCH_UNSET_BACKREF | PCRE2_ALLOW_EMPTY_CLASS |
               PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C;
    regex->code =
        pcre2.compile((PCRE2_SPTR)strake_buf_text(text), text->len, options, &code, &at, NULL);
    if (!regex->code) {
        if (code == PCRE2_ERROR_NOMEMORY)
            return strake_fail_nomem(err);
        pcre2.error_message(code, said, sizeof(said));
        return strake_fail(err, STRAKE_ECONFIG, "'%s' is no regular expression: %s", pattern,
                           (const char *)said);
    }
    if (pcre2.pattern_info(regex->code, PCRE2_INFO_CAPTURECOUNT, &regex->groups) != 0 ||
        ++regex->groups > STRAKE_JSREGEX_GROUPS)
        return strake_fail(err, STRAKE_ECONFIG, "'%s' has more than %d groups", pattern,
                           STRAKE_JSREGEX_GROUPS - 1);
    regex->data = pcre2.data_create(regex->code, NULL);
    regex->context = pcre2.context_create(NULL);
    if (!regex->data || !regex->context)
        return strake_fail_nomem(err);
    pcre2.set_match_limit(regex->context, STEPS_MAX);
    pcre2.set_heap_limit(regex->context, HEAP_MAX_KIB);
    pcre2.set_depth_limit(regex->context, DEPTH_MAX);
    return 0;
}

int strake_jsregex_new(const char *pattern, const char *flags, struct strake_jsregex **out,
                       struct strake_err *err)
{
    struct strake_buf text = STRAKE_BUF(STRAKE_JSREGEX_PATTERN_MAX * 64);
    struct strake_jsregex *regex = NULL;
    uint32_t options = 0;
    bool unicode = false;
    int rc = load(err);

    if (rc == 0 && strlen(pattern) > STRAKE_JSREGEX_PATTERN_MAX)
        rc = strake_fail(err, STRAKE_ECONFIG, "a regular expression has more than %d bytes",
                         STRAKE_JSREGEX_PATTERN_MAX);
    if (rc == 0) {
        regex = strake_calloc(1, sizeof(*regex));
        rc = regex ? read_flags(flags, &options, &unicode, regex, err) : strake_fail_nomem(err);
    }
    if (rc == 0)
        rc = strake_jsregex_translate(pattern, unicode, (options & PCRE2_DOTALL) != 0, &text, err);
    if (rc == 0)
        rc = compile(regex, &text, options, pattern, err);
    strake_buf_dispose(&text);
    if (rc < 0) {
        strake_jsregex_free(regex);
        return rc;
    }
    *out = regex;
    return 0;
}

/* ---- matching ---- */

static int failed(int code, struct strake_err *err)
{
    PCRE2_UCHAR said[160] = "";

    switch (code) {
    case PCRE2_ERROR_MATCHLIMIT:
    case PCRE2_ERROR_DEPTHLIMIT:
    case PCRE2_ERROR_HEAPLIMIT:
        return strake_fail(err, STRAKE_ECONFIG,
                           "the regular expression takes too many steps: make it simpler");
    case PCRE2_ERROR_NOMEMORY:
        return strake_fail_nomem(err);
    default:
        pcre2.error_message(code, said, sizeof(said));
        return strake_fail(err, STRAKE_ECONFIG, "the regular expression cannot be used: %s",
                           (const char *)said);
    }
}

int strake_jsregex_match(struct strake_jsregex *regex, const char *text, size_t len, size_t from,
                         struct strake_jsregex_span *spans, struct strake_err *err)
{
    const PCRE2_SIZE *offsets;
    int code;

    if (len > STRAKE_JSREGEX_TEXT_MAX)
        return strake_fail(err, STRAKE_ECONFIG,
                           "a text of more than %d bytes is not matched with a regular expression",
                           STRAKE_JSREGEX_TEXT_MAX);
    if (from > len)
        return 0;
    code = pcre2.match(regex->code, (PCRE2_SPTR)text, len, from, regex->sticky ? PCRE2_ANCHORED : 0,
                       regex->data, regex->context);
    if (code == PCRE2_ERROR_NOMATCH)
        return 0;
    if (code < 0)
        return failed(code, err);
    offsets = pcre2.ovector(regex->data);
    for (uint32_t i = 0; i < regex->groups; i++)
        spans[i] = (struct strake_jsregex_span){ offsets[2 * i], offsets[2 * i + 1] };
    return 1;
}
