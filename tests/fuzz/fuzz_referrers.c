/* Any bytes as an index of referrers, and as a manifest that may refer to something: what is read can
 * be written, and is the same when read again. */
#include <stdlib.h>
#include <string.h>

#include "common/referrers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void read_list(const char *data, size_t size)
{
    json_t *list = plug_referrers_new();
    json_t *again = plug_referrers_new();
    struct plug_text text = { 0 };
    check(list && again);
    if (plug_referrers_read(list, data, size) == 0) {
        check(plug_referrers_write(list, &text) == 0);
        check(plug_referrers_read(again, plug_text_view(&text), text.len) == 0);
        check(json_equal(list, again));
        plug_referrers_select(list, "");
        check(json_object_size(list) <= json_object_size(again));
        const char *digest;
        json_t *entry;
        json_object_foreach(list, digest, entry)
            check(plug_is_digest(digest) && json_is_object(entry));
    }
    plug_text_dispose(&text);
    json_decref(list);
    json_decref(again);
}

static void read_manifest(const char *data, size_t size)
{
    static const char own[] =
        "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    struct plug_referrer referrer;
    check(plug_referrer_of(data, size, "application/x", own, &referrer) == 0);
    check((*referrer.subject != '\0') == (referrer.entry != NULL));
    if (referrer.entry) {
        char tag[PLUG_FALLBACK_TAG];
        json_t *list = plug_referrers_new();
        plug_fallback_tag(referrer.subject, tag);
        check(strlen(tag) == 71 && tag[6] == '-');
        check(list && plug_referrers_put(list, own, referrer.entry) == 1);
        check(plug_referrers_put(list, own, referrer.entry) == 0);
        check(plug_referrers_drop(list, own) && !plug_referrers_drop(list, own));
        json_decref(list);
    }
    plug_referrer_dispose(&referrer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_list((const char *)data, size);
    read_manifest((const char *)data, size);
    return 0;
}
