/* Token scopes (scope.h). */
#include "scope.h"

#include <string.h>

#include "common/util.h"

/** Does the comma-separated list hold all of another one? "pull,push" covers "pull". */
static bool covers(const char *list, size_t list_len, const char *part, size_t part_len)
{
    while (part_len > 0) {
        size_t len = 0;
        while (len < part_len && part[len] != ',')
            len++;
        bool found = false;
        for (size_t at = 0; at < list_len && !found;) {
            size_t end = at;
            while (end < list_len && list[end] != ',')
                end++;
            found = end - at == len && strncmp(list + at, part, len) == 0;
            at = end + 1;
        }
        if (!found)
            return false;
        size_t step = len < part_len ? len + 1 : len;
        part += step;
        part_len -= step;
    }
    return true;
}

/** Is one scope of the challenge among those we ask for anyway? */
static bool has_scope(const char *scopes, const char *scope, size_t len)
{
    size_t name = len;
    while (name > 0 && scope[name - 1] != ':')
        name--;
    while (*scopes) {
        size_t own = strcspn(scopes, " ");
        if (own >= name && strncmp(scopes, scope, name) == 0 &&
            covers(scopes + name, own - name, scope + name, len - name))
            return true;
        scopes += own;
        scopes += strspn(scopes, " ");
    }
    return false;
}

char *oci_scope_join(const char *own, const char *challenge)
{
    struct plug_text text = { 0 };
    plug_text_add(&text, own);
    for (const char *scope = challenge ? challenge : ""; *scope;) {
        size_t len = strcspn(scope, " ");
        if (len > 0 && !has_scope(own, scope, len)) {
            plug_text_add(&text, text.len ? " " : "");
            plug_text_add_len(&text, scope, len);
        }
        scope += len;
        scope += strspn(scope, " ");
    }
    return plug_text_take(&text);
}

bool oci_scope_serves(const char *granted, const char *wanted)
{
    size_t len = strlen(wanted);
    if (strcmp(granted, wanted) == 0)
        return true;
    return len > 5 && strcmp(wanted + len - 5, ":pull") == 0 && !strchr(wanted, ' ') &&
           strncmp(granted, wanted, len) == 0 && strcmp(granted + len, ",push") == 0;
}
