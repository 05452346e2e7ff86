/* "did you mean": the word of a list that is nearest to a misspelt one. */
#ifndef STRAKE_UTIL_SUGGEST_H
#define STRAKE_UTIL_SUGGEST_H

/** The candidate nearest to `word` by edit distance (insertion, deletion, substitution, swap of two
 *  neighbours), letter case aside; the first of equals. Any thread, allocates nothing.
 *  @param candidates NULL-terminated
 *  @return borrowed from `candidates`, or NULL when none is within a third of the word's length
 * (one edit is allowed for any word of two letters or more), or when the word is over 64 bytes. */
const char *strake_suggest(const char *word, const char *const *candidates);

#endif
