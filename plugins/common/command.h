/* Command lines of the programs that plugins run, and what a build request says of them. */
#ifndef PLUG_COMMAND_H
#define PLUG_COMMAND_H

#include "common/util.h"

/** Add the field `key=value` to a CSV record, quoted when it has to be (RFC 4180). */
void plug_csv_add(struct plug_text *record, const char *key, const char *value);

/** Append the list to `buf` as a JSON array of strings; what is no UTF-8 becomes "?".
 *  @return 0, STRAKE_ENOMEM, or what buf_append() says. */
int plug_list_json(const struct plug_list *list, const struct strake_host *host,
                   struct strake_buf *buf);

/** A request as this plugin knows it: what a smaller caller left out is zero, and no list or text
 *  is NULL. `out` borrows from `request`. */
void plug_request_read(const struct strake_build_request *request,
                       struct strake_build_request *out);

/** An absolute folder, and not a URL of a repository or an archive. */
bool plug_context_is_folder(const char *context);

/** The path in "local:PATH" or in a plain absolute path, or NULL: another kind of context. */
const char *plug_context_path(const char *value);

#endif
