/* A set of live nodes moves over the text, character by character: no text makes it try again. */
#include <string.h>

#include "dockerfile/regex_impl.h"

static bool takes(const struct strake_regex *regex, const struct strake_regex_node *node,
                  uint32_t rune)
{
    if (node->kind == NODE_LITERAL)
        return node->rune == rune;
    if (node->kind == NODE_ANY || node->kind == NODE_FOLDERS_BODY)
        return rune != '\n';
    if (node->kind != NODE_CLASS)
        return false;
    bool in = false;
    for (size_t i = 0; !in && i < node->range_count; i++) {
        const struct strake_regex_range *range = &regex->ranges[node->range_start + i];
        in = rune >= range->low && rune <= range->high;
    }
    return in != node->negated;
}

/* From the live nodes, go on to all that are reached without a character. Edges only lead forwards,
 * so that one pass is enough. @return whether the end of an alternative is live. */
static bool spread(const struct strake_regex *regex, bool *live, bool begin, bool end)
{
    for (size_t i = 0; i < regex->count; i++) {
        const struct strake_regex_node *node = &regex->nodes[i];
        if (!live[i])
            continue;
        if (node->kind == NODE_ACCEPT)
            return true;
        if (node->optional || (node->kind == NODE_BEGIN && begin) ||
            (node->kind == NODE_END && end))
            live[i + 1] = true;
        if (node->kind == NODE_FOLDERS)
            live[i + 1] = live[i + 2] = true;
    }
    return false;
}

/* The nodes that are live behind one character. */
static bool advance(const struct strake_regex *regex, const bool *live, uint32_t rune, bool *then)
{
    bool any = false;
    memset(then, 0, regex->count * sizeof(*then));
    for (size_t i = 0; i < regex->count; i++) {
        const struct strake_regex_node *node = &regex->nodes[i];
        if (!live[i] || !takes(regex, node, rune))
            continue;
        bool body = node->kind == NODE_FOLDERS_BODY;
        if (node->star || body)
            then[i] = any = true;
        if (!node->star && (!body || rune == '/'))
            then[i + 1] = any = true;
    }
    return any;
}

bool strake_regex_matches(const struct strake_regex *regex, struct strake_span text)
{
    bool sets_of_nodes[2][STRAKE_REGEX_NODES_MAX];
    bool *live = sets_of_nodes[0];
    bool *then = sets_of_nodes[1];
    bool anchored = regex->start_count == 1; /* the first alternative alone begins with ^ */
    bool any = true;

    memset(live, 0, regex->count * sizeof(*live));
    for (bool begin = true; any || !anchored; begin = false) {
        for (size_t i = 0; i < regex->start_count && (begin || !anchored); i++)
            live[regex->starts[i]] = true;
        if (spread(regex, live, begin, text.len == 0))
            return true;
        if (text.len == 0)
            return false;
        size_t width;
        uint32_t rune = strake_rune(text, &width);
        text = strake_span_skip(text, width);
        any = advance(regex, live, rune, then);
        bool *spare = live;
        live = then;
        then = spare;
    }
    return false;
}
