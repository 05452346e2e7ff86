/* The documents of `strake cache show` and `cache prune`. */
#include "project/caches.h"

#include "util/json.h"

int strake_caches_show(const struct strake_plan *plan, struct strake_stores *stores,
                       const struct strake_caches_wish *wish, struct strake_job *job, json_t **doc,
                       struct strake_err *err)
{
    json_t *made = json_object(), *builders = json_array(), *caches = json_array();
    int rc = 0;

    (void)stores;
    if (!made || !builders || !caches ||
        strake_json_set_str(made, "schema", "strake.cache/1") < 0 ||
        json_object_set(made, "builders", builders) < 0 ||
        json_object_set(made, "caches", caches) < 0)
        rc = strake_fail_nomem(err);
    if (rc == 0 && wish->builders)
        rc = strake_caches_show_builders(plan, wish, job, builders, err);
    json_decref(builders);
    json_decref(caches);
    if (rc < 0) {
        json_decref(made);
        return rc;
    }
    *doc = made;
    return 0;
}
