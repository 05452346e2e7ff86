/* UTF-8 and white space. */
#include "dockerfile/runes.h"

#include <string.h>

/* Bytes that a first byte announces, and the bits that it carries itself; 0: no first byte. */
static size_t announced(unsigned char byte, uint32_t *bits)
{
    if (byte >= 0xC2 && byte <= 0xDF) {
        *bits = byte & 0x1Fu;
        return 2;
    }
    if (byte >= 0xE0 && byte <= 0xEF) {
        *bits = byte & 0x0Fu;
        return 3;
    }
    if (byte >= 0xF0 && byte <= 0xF4) {
        *bits = byte & 0x07u;
        return 4;
    }
    return 0;
}

uint32_t strake_rune(struct strake_span text, size_t *width)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    const unsigned char *at = (const unsigned char *)text.at;
    uint32_t rune = 0;

    *width = 1;
    if (at[0] < 0x80)
        return at[0];
    size_t len = announced(at[0], &rune);
    if (len == 0 || len > text.len)
        return STRAKE_RUNE_BAD;
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xC0) != 0x80)
            return STRAKE_RUNE_BAD;
        rune = rune << 6 | (at[i] & 0x3Fu);
    }
    if (rune < least[len] || rune > 0x10FFFF || (rune >= 0xD800 && rune <= 0xDFFF))
        return STRAKE_RUNE_BAD;
    *width = len;
    return rune;
}

int strake_rune_put(struct strake_buf *out, uint32_t rune)
{
    char bytes[4];
    size_t len = 0;

    if (rune < 0x80) {
        bytes[len++] = (char)rune;
    } else if (rune < 0x800) {
        bytes[len++] = (char)(0xC0 | rune >> 6);
        bytes[len++] = (char)(0x80 | (rune & 0x3F));
    } else if (rune < 0x10000) {
        bytes[len++] = (char)(0xE0 | rune >> 12);
        bytes[len++] = (char)(0x80 | (rune >> 6 & 0x3F));
        bytes[len++] = (char)(0x80 | (rune & 0x3F));
    } else {
        bytes[len++] = (char)(0xF0 | rune >> 18);
        bytes[len++] = (char)(0x80 | (rune >> 12 & 0x3F));
        bytes[len++] = (char)(0x80 | (rune >> 6 & 0x3F));
        bytes[len++] = (char)(0x80 | (rune & 0x3F));
    }
    return strake_buf_append(out, bytes, len);
}

bool strake_rune_is_space(uint32_t rune)
{
    if (rune <= 0xFF)
        return rune == ' ' || (rune >= '\t' && rune <= '\r') || rune == 0x85 || rune == 0xA0;
    return rune == 0x1680 || (rune >= 0x2000 && rune <= 0x200A) || rune == 0x2028 ||
           rune == 0x2029 || rune == 0x202F || rune == 0x205F || rune == 0x3000;
}

bool strake_rune_is_name(uint32_t rune)
{
    /* The blocks without letters; what lies between them is taken for letters. */
    static const uint32_t others[][2] = {
        { 0x80, 0xA9 },     { 0xAB, 0xB4 },     { 0xB6, 0xB9 },     { 0xBB, 0xBF },
        { 0xD7, 0xD7 },     { 0xF7, 0xF7 },     { 0x300, 0x36F },   { 0x2000, 0x2070 },
        { 0x2072, 0x207E }, { 0x2080, 0x208F }, { 0x20A0, 0x2101 }, { 0x2190, 0x2BFF },
        { 0x3000, 0x3004 }, { 0x3008, 0x3030 }, { 0xE000, 0xF8FF }, { 0xFE00, 0xFE6F },
        { 0xFEFF, 0xFF0F }, { 0xFF1A, 0xFF20 }, { 0xFFE0, 0xFFFF }, { 0x1F000, 0x1FAFF },
    };
    if (rune < 0x80)
        return rune == '_' || (rune >= '0' && rune <= '9') || (rune >= 'a' && rune <= 'z') ||
               (rune >= 'A' && rune <= 'Z');
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (rune >= others[i][0] && rune <= others[i][1])
            return false;
    }
    return true;
}

struct strake_span strake_span_skip(struct strake_span text, size_t count)
{
    return (struct strake_span){ text.at + count, text.len - count };
}

struct strake_span strake_span_trim_left(struct strake_span text)
{
    size_t width;
    while (text.len > 0 && strake_rune_is_space(strake_rune(text, &width)))
        text = strake_span_skip(text, width);
    return text;
}

struct strake_span strake_span_trim(struct strake_span text)
{
    text = strake_span_trim_left(text);
    while (text.len > 0) {
        /* Back to where the last character begins: white space has three bytes at most. */
        size_t back = 1;
        while (back < 3 && back < text.len &&
               ((unsigned char)text.at[text.len - back] & 0xC0) == 0x80)
            back++;
        size_t width;
        struct strake_span last = { text.at + text.len - back, back };
        if (!strake_rune_is_space(strake_rune(last, &width)) || width != back)
            break;
        text.len -= back;
    }
    return text;
}

bool strake_span_is(struct strake_span text, const char *word)
{
    return strlen(word) == text.len && memcmp(text.at, word, text.len) == 0;
}
