/* What hangs together in a repository: which tag shows which manifest, which index names which. */
#ifndef STRAKE_BUILD_SURVEY_H
#define STRAKE_BUILD_SURVEY_H

#include <jansson.h>

#include "build/store.h"

/** Look at every tag of a repository and at the indexes behind them, several at once; no image's
 *  configuration and no layer is read. Blocks; on a worker thread.
 *  *out takes {"tags":{TAG:DIGEST},"manifests":{DIGEST:{"media_type","names":[DIGEST],"subject"}}};
 *  `names` are an index's entries, `subject` only where it refers to something. A tag that goes away
 *  meanwhile is left out; an entry that is gone has no line of its own.
 *  @param extra digests to look at beside those of tags (an array, or NULL)
 *  @return 0; STRAKE_ENOTFOUND: no such repository; STRAKE_ETOOBIG; STRAKE_EREGISTRY … */
int strake_survey(struct strake_stores *stores, const char *repository, const json_t *extra,
                  struct strake_job *job, json_t **out, struct strake_err *err);

#endif
