/* A compiled expression: what regex.c makes and regex_match.c runs. */
#ifndef STRAKE_DOCKERFILE_REGEX_IMPL_H
#define STRAKE_DOCKERFILE_REGEX_IMPL_H

#include "dockerfile/regex.h"

/** A pattern of 4096 characters has 6 nodes for each at most; repetitions have more. */
#define STRAKE_REGEX_NODES_MAX 32768

enum strake_regex_kind {
    NODE_LITERAL,
    NODE_ANY,          /* . */
    NODE_CLASS,        /* [a-z] */
    NODE_BEGIN,        /* ^ */
    NODE_END,          /* $ */
    NODE_FOLDERS,      /* the start of (.*[slash])?: goes on behind NODE_FOLDERS_BODY or into it */
    NODE_FOLDERS_BODY, /* .*[slash] */
    NODE_ACCEPT        /* the end of an alternative */
};

struct strake_regex_node {
    enum strake_regex_kind kind;
    bool optional; /* may be left out */
    bool star;     /* may stand there again and again */
    bool repeated; /* a repetition was said: another one is an error */
    bool negated;
    uint32_t rune;
    uint32_t range_start; /* of a class, in ranges */
    uint32_t range_count;
};

struct strake_regex_range {
    uint32_t low;
    uint32_t high;
};

struct strake_regex {
    struct strake_regex_node *nodes;
    size_t count;
    size_t cap;
    struct strake_regex_range *ranges;
    size_t range_count;
    size_t range_cap;
    size_t *starts; /* where the alternatives start */
    size_t start_count;
};

#endif
