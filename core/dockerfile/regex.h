/* The regular expressions that .dockerignore patterns become, in the syntax of Go's regexp package:
 * literals, classes, `.`, `*`, `|`, `^`, `$`, and one group, which takes any number of folders. */
#ifndef STRAKE_DOCKERFILE_REGEX_H
#define STRAKE_DOCKERFILE_REGEX_H

#include "dockerfile/runes.h"
#include "util/err.h"

struct strake_regex;

/** Compile. @return 0; STRAKE_EDOCKERFILE: Go would refuse it, or it is none of the above;
 *  STRAKE_ENOMEM. */
int strake_regex_new(struct strake_span text, struct strake_regex **out, struct strake_err *err);
/** Does it match anywhere in `text`? Time: expression times text; allocates nothing. Any thread. */
bool strake_regex_matches(const struct strake_regex *regex, struct strake_span text);
void strake_regex_free(struct strake_regex *regex);

#endif
