/* From text to nodes. */
#include <string.h>

#include "dockerfile/regex_impl.h"
#include "util/mem.h"

#define RUNE_MAX 0x10FFFFu
#define REPEAT_MAX 1000 /* Go's own bound */
#define REPEAT_MANY 1000000

struct compiler {
    struct strake_regex *regex;
    struct strake_span rest;
    struct strake_err *err;
};

static int bad(struct compiler *in, const char *problem)
{
    return strake_fail(in->err, STRAKE_EDOCKERFILE, "%s", problem);
}

static int grow(struct compiler *in, void *array, size_t size, size_t count, size_t *cap)
{
    void **slot = array;
    if (count < *cap)
        return 0;
    if (count >= STRAKE_REGEX_NODES_MAX)
        return bad(in, "it is too long");
    size_t grown_cap = *cap == 0 ? 16 : *cap * 2;
    void *grown = strake_reallocarray(*slot, grown_cap, size);
    if (grown == NULL)
        return strake_fail_nomem(in->err);
    *slot = grown;
    *cap = grown_cap;
    return 0;
}

static int add_node(struct compiler *in, struct strake_regex_node node)
{
    struct strake_regex *regex = in->regex;
    int rc = grow(in, &regex->nodes, sizeof(*regex->nodes), regex->count, &regex->cap);
    if (rc == 0)
        regex->nodes[regex->count++] = node;
    return rc;
}

static int add_range(struct compiler *in, uint32_t low, uint32_t high)
{
    struct strake_regex *regex = in->regex;
    int rc =
        grow(in, &regex->ranges, sizeof(*regex->ranges), regex->range_count, &regex->range_cap);
    if (rc == 0)
        regex->ranges[regex->range_count++] = (struct strake_regex_range){ low, high };
    return rc;
}

static int add_start(struct compiler *in)
{
    struct strake_regex *regex = in->regex;
    size_t *grown =
        strake_reallocarray(regex->starts, regex->start_count + 1, sizeof(*regex->starts));
    if (grown == NULL)
        return strake_fail_nomem(in->err);
    regex->starts = grown;
    regex->starts[regex->start_count++] = regex->count;
    return 0;
}

static uint32_t next(struct compiler *in)
{
    size_t width;
    uint32_t rune = strake_rune(in->rest, &width);
    in->rest = strake_span_skip(in->rest, width);
    return rune;
}

static bool starts_with(const struct compiler *in, const char *text)
{
    size_t len = strlen(text);
    return in->rest.len >= len && memcmp(in->rest.at, text, len) == 0;
}

/* The sets that \d and its kin, and [:alpha:] and its kin, stand for. */
static const struct set {
    const char *name;
    struct strake_regex_range ranges[4];
} sets[] = {
    { "\\d", { { '0', '9' } } },
    { "\\w", { { '0', '9' }, { 'A', 'Z' }, { '_', '_' }, { 'a', 'z' } } },
    { "\\s", { { '\t', '\n' }, { '\f', '\r' }, { ' ', ' ' } } },
    { "[:alnum:]", { { '0', '9' }, { 'A', 'Z' }, { 'a', 'z' } } },
    { "[:alpha:]", { { 'A', 'Z' }, { 'a', 'z' } } },
    { "[:ascii:]", { { 1, 0x7F } } },
    { "[:blank:]", { { '\t', '\t' }, { ' ', ' ' } } },
    { "[:cntrl:]", { { 1, 0x1F }, { 0x7F, 0x7F } } },
    { "[:digit:]", { { '0', '9' } } },
    { "[:graph:]", { { '!', '~' } } },
    { "[:lower:]", { { 'a', 'z' } } },
    { "[:print:]", { { ' ', '~' } } },
    { "[:punct:]", { { '!', '/' }, { ':', '@' }, { '[', '`' }, { '{', '~' } } },
    { "[:space:]", { { '\t', '\r' }, { ' ', ' ' } } },
    { "[:upper:]", { { 'A', 'Z' } } },
    { "[:word:]", { { '0', '9' }, { 'A', 'Z' }, { '_', '_' }, { 'a', 'z' } } },
    { "[:xdigit:]", { { '0', '9' }, { 'A', 'F' }, { 'a', 'f' } } },
};

static const struct set *find_set(const struct compiler *in, const char *name)
{
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        if (name != NULL ? strcmp(name, sets[i].name) == 0 : starts_with(in, sets[i].name))
            return &sets[i];
    }
    return NULL;
}

static int add_set(struct compiler *in, const struct set *set, bool complement)
{
    uint32_t from = 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < 4 && set->ranges[i].high != 0; i++) {
        const struct strake_regex_range *range = &set->ranges[i];
        if (!complement)
            rc = add_range(in, range->low, range->high);
        else if (range->low > from)
            rc = add_range(in, from, range->low - 1);
        from = range->high + 1;
    }
    return rc == 0 && complement ? add_range(in, from, RUNE_MAX) : rc;
}

/* \d \D \w \W \s \S at the rest's start. @return 1 when there was one, 0, or a code. */
static int take_perl_set(struct compiler *in)
{
    if (in->rest.len < 2 || in->rest.at[0] != '\\')
        return 0;
    char letter = in->rest.at[1];
    bool complement = letter == 'D' || letter == 'W' || letter == 'S';
    char name[] = { '\\', complement ? (char)(letter - 'A' + 'a') : letter, '\0' };
    const struct set *set = find_set(in, name);
    if (set == NULL)
        return 0;
    in->rest = strake_span_skip(in->rest, 2);
    int rc = add_set(in, set, complement);
    return rc < 0 ? rc : 1;
}

/* Behind '\': the character meant. */
static int take_escape(struct compiler *in, uint32_t *rune)
{
    static const char letters[] = "afnrtv";
    static const char controls[] = "\a\f\n\r\t\v";
    if (in->rest.len == 0)
        return bad(in, "'\\' stands at its end");
    *rune = next(in);
    if (*rune >= 0x80)
        return bad(in, "'\\' stands before a character that needs none");
    bool word = (*rune >= '0' && *rune <= '9') || (*rune >= 'a' && *rune <= 'z') ||
                (*rune >= 'A' && *rune <= 'Z');
    if (!word)
        return 0;
    const char *found = memchr(letters, (int)*rune, sizeof(letters) - 1);
    if (found == NULL)
        return bad(in, "'\\' stands before a letter or digit that needs none");
    *rune = (uint32_t)controls[found - letters];
    return 0;
}

static int take_class_char(struct compiler *in, uint32_t *rune)
{
    if (in->rest.len == 0)
        return bad(in, "'[' is not closed");
    *rune = next(in);
    return *rune == '\\' ? take_escape(in, rune) : 0;
}

static int take_class_item(struct compiler *in)
{
    uint32_t low;
    uint32_t high;
    if (in->rest.len > 2 && starts_with(in, "[:") &&
        memmem(in->rest.at + 2, in->rest.len - 2, ":]", 2) != NULL) {
        const struct set *set = find_set(in, NULL);
        if (set == NULL)
            return bad(in, "'[:' begins no class that is known");
        in->rest = strake_span_skip(in->rest, strlen(set->name));
        return add_set(in, set, false);
    }
    int rc = take_perl_set(in);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    rc = take_class_char(in, &low);
    high = low;
    if (rc == 0 && in->rest.len >= 2 && in->rest.at[0] == '-' && in->rest.at[1] != ']') {
        next(in);
        rc = take_class_char(in, &high);
        if (rc == 0 && high < low)
            return bad(in, "a range of '[…]' ends before it begins");
    }
    return rc < 0 ? rc : add_range(in, low, high);
}

/* Behind '['. */
static int take_class(struct compiler *in)
{
    struct strake_regex_node node = { .kind = NODE_CLASS,
                                      .range_start = (uint32_t)in->regex->range_count };
    bool first = true;
    if (starts_with(in, "^")) {
        node.negated = true;
        next(in);
    }
    while (first || in->rest.len == 0 || in->rest.at[0] != ']') {
        int rc = take_class_item(in);
        if (rc < 0)
            return rc;
        first = false;
    }
    next(in);
    node.range_count = (uint32_t)in->regex->range_count - node.range_start;
    return add_node(in, node);
}

/* Digits without a leading zero, capped; -1: there are none. */
static int take_count(struct strake_span *rest)
{
    size_t len = 0;
    int count = 0;
    while (len < rest->len && rest->at[len] >= '0' && rest->at[len] <= '9') {
        if (count <= REPEAT_MAX)
            count = count * 10 + (rest->at[len] - '0');
        len++;
    }
    if (len == 0 || (len > 1 && rest->at[0] == '0'))
        return -1;
    *rest = strake_span_skip(*rest, len);
    return count;
}

/* Behind '{': "2}", "2,}" or "2,3}". @return false: the brace is a character like any other. */
static bool read_repetition(struct strake_span rest, int *least, int *most, size_t *len)
{
    size_t all = rest.len;
    *least = take_count(&rest);
    *most = *least;
    if (*least < 0)
        return false;
    if (rest.len > 0 && rest.at[0] == ',') {
        rest = strake_span_skip(rest, 1);
        *most = rest.len > 0 && rest.at[0] == '}' ? REPEAT_MANY : take_count(&rest);
        if (*most < 0)
            return false;
    }
    *len = all - rest.len + 1;
    return rest.len > 0 && rest.at[0] == '}';
}

/* The piece in hand stands there `least` to `most` times: as so many copies. */
static int repeat(struct compiler *in, size_t alternative, int least, int most)
{
    struct strake_regex *regex = in->regex;
    if (regex->count == alternative || regex->nodes[regex->count - 1].repeated)
        return bad(in, "'{…}' is read as a repetition of nothing");
    if (least > REPEAT_MAX || (most != REPEAT_MANY && (most > REPEAT_MAX || most < least)))
        return bad(in, "'{…}' is read as a repetition that is too large");
    struct strake_regex_node node = regex->nodes[--regex->count];
    node.repeated = true;
    int rc = 0;
    for (int i = 0; rc == 0 && i < least; i++)
        rc = add_node(in, node);
    node.star = most == REPEAT_MANY;
    node.optional = true;
    int optional = most == REPEAT_MANY ? 1 : most - least;
    for (int i = 0; rc == 0 && i < optional; i++)
        rc = add_node(in, node);
    return rc;
}

static int take_star(struct compiler *in, size_t alternative)
{
    struct strake_regex *regex = in->regex;
    if (regex->count == alternative || regex->nodes[regex->count - 1].repeated)
        return bad(in, "a '*' in '[…]' is read as a repetition of nothing");
    struct strake_regex_node *last = &regex->nodes[regex->count - 1];
    last->star = last->optional = last->repeated = true;
    return 0;
}

/* One piece; `alternative` is where the alternative in hand starts. */
static int take_piece(struct compiler *in, size_t *alternative)
{
    int least;
    int most;
    size_t len;
    int rc;
    if (starts_with(in, "(.*/)?")) {
        in->rest = strake_span_skip(in->rest, 6);
        rc = add_node(in, (struct strake_regex_node){ .kind = NODE_FOLDERS });
        return rc < 0 ? rc
                      : add_node(in, (struct strake_regex_node){ .kind = NODE_FOLDERS_BODY,
                                                                 .repeated = true });
    }
    size_t before = in->regex->range_count;
    rc = take_perl_set(in);
    if (rc != 0)
        return rc < 0
                   ? rc
                   : add_node(in, (struct strake_regex_node){
                                      .kind = NODE_CLASS,
                                      .range_start = (uint32_t)before,
                                      .range_count = (uint32_t)(in->regex->range_count - before) });
    uint32_t rune = next(in);
    switch (rune) {
    case '^':
        return add_node(in, (struct strake_regex_node){ .kind = NODE_BEGIN });
    case '$':
        return add_node(in, (struct strake_regex_node){ .kind = NODE_END });
    case '.':
        return add_node(in, (struct strake_regex_node){ .kind = NODE_ANY });
    case '*':
        return take_star(in, *alternative);
    case '[':
        return take_class(in);
    case '|':
        rc = add_node(in, (struct strake_regex_node){ .kind = NODE_ACCEPT });
        *alternative = in->regex->count;
        return rc < 0 ? rc : add_start(in);
    case '{':
        if (read_repetition(in->rest, &least, &most, &len)) {
            in->rest = strake_span_skip(in->rest, len);
            return repeat(in, *alternative, least, most);
        }
        break;
    case '\\':
        rc = take_escape(in, &rune);
        if (rc < 0)
            return rc;
        break;
    default:
        break;
    }
    return add_node(in, (struct strake_regex_node){ .kind = NODE_LITERAL, .rune = rune });
}

int strake_regex_new(struct strake_span text, struct strake_regex **out, struct strake_err *err)
{
    struct strake_regex *regex = strake_calloc(1, sizeof(*regex));
    struct compiler in = { .regex = regex, .rest = text, .err = err };
    size_t alternative = 0;

    *out = NULL;
    if (regex == NULL)
        return strake_fail_nomem(err);
    int rc = add_start(&in);
    while (rc == 0 && in.rest.len > 0)
        rc = take_piece(&in, &alternative);
    if (rc == 0)
        rc = add_node(&in, (struct strake_regex_node){ .kind = NODE_ACCEPT });
    if (rc < 0) {
        strake_regex_free(regex);
        return rc;
    }
    *out = regex;
    return 0;
}

void strake_regex_free(struct strake_regex *regex)
{
    if (regex == NULL)
        return;
    strake_free(regex->nodes);
    strake_free(regex->ranges);
    strake_free(regex->starts);
    strake_free(regex);
}
