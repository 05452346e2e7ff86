/* Stores by host or folder: one instance each, opened when first asked for. */
#include "build/store.h"

#include <pthread.h>
#include <string.h>

#include "build/mirror.h"
#include "util/fs.h"
#include "util/json.h"
#include "util/secret.h"

/* One host's configuration, and its instance once it was needed. */
struct store {
    char *key; /* the host, or "oci:" and a layout's folder, "docker-archive:" and its file */
    char *type;
    json_t *options;
    json_t *mirrors; /* names of a registry's mirrors, or NULL */
    struct strake_instance *instance;
    struct strake_instance *reading; /* by way of the mirrors */
};

struct strake_stores {
    pthread_mutex_t lock;
    struct store *items;
    size_t count;
    int64_t timeout_ms;
    char *ca;
};

struct strake_stores *strake_stores_new(int64_t timeout_ms, const char *ca)
{
    struct strake_stores *stores = strake_calloc(1, sizeof(*stores));

    if (!stores)
        return NULL;
    pthread_mutex_init(&stores->lock, NULL);
    stores->timeout_ms = timeout_ms;
    stores->ca = strake_strdup(ca);
    if (ca && !stores->ca) {
        strake_stores_free(stores);
        return NULL;
    }
    return stores;
}

void strake_stores_free(struct strake_stores *stores)
{
    if (!stores)
        return;
    for (size_t i = 0; i < stores->count; i++) {
        strake_free(stores->items[i].key);
        strake_free(stores->items[i].type);
        json_decref(stores->items[i].options);
        json_decref(stores->items[i].mirrors);
        strake_instance_unref(stores->items[i].reading);
        strake_instance_unref(stores->items[i].instance);
    }
    strake_free(stores->items);
    strake_free(stores->ca);
    pthread_mutex_destroy(&stores->lock);
    strake_free(stores);
}

const char *strake_registry_plugin(const char *host)
{
    return strcmp(host, "ghcr.io") == 0 ? "ghcr" : "oci";
}

static struct store *store_find(const struct strake_stores *stores, const char *key)
{
    for (size_t i = 0; i < stores->count; i++) {
        if (strcmp(stores->items[i].key, key) == 0)
            return &stores->items[i];
    }
    return NULL;
}

/* Takes `options` over. */
static struct store *store_add(struct strake_stores *stores, const char *key, const char *type,
                               json_t *options)
{
    struct store *items =
        strake_reallocarray(stores->items, stores->count + 1, sizeof(*stores->items));
    struct store added = { .key = strake_strdup(key),
                           .type = strake_strdup(type),
                           .options = options };

    if (items)
        stores->items = items;
    if (!items || !added.key || !added.type || !options) {
        strake_free(added.key);
        strake_free(added.type);
        json_decref(options);
        return NULL;
    }
    stores->items[stores->count] = added;
    return &stores->items[stores->count++];
}

/* What the command line gave (--ca, --timeout) holds where the block says nothing. */
static json_t *registry_options(const struct strake_stores *stores, const char *host,
                                const json_t *block)
{
    json_t *options = block ? json_deep_copy(block) : json_object();

    if (!options)
        return NULL;
    json_object_del(options, "mirrors"); /* ours, not the plugin's */
    if (strake_json_set_str(options, "host", host) < 0 ||
        (!json_object_get(options, "ca") && strake_json_set_str(options, "ca", stores->ca) < 0) ||
        (stores->timeout_ms > 0 && !json_object_get(options, "timeout_ms") &&
         strake_json_set_int(options, "timeout_ms", stores->timeout_ms) < 0)) {
        json_decref(options);
        return NULL;
    }
    return options;
}

int strake_stores_configure(struct strake_stores *stores, const char *host, const char *type,
                            const json_t *options)
{
    struct store *store;

    pthread_mutex_lock(&stores->lock);
    store = store_add(stores, host, type, registry_options(stores, host, options));
    if (store)
        store->mirrors = json_incref(json_object_get(options, "mirrors"));
    pthread_mutex_unlock(&stores->lock);
    return store ? 0 : STRAKE_ENOMEM;
}

static char *store_key(const struct strake_reference *ref)
{
    return ref->store == STRAKE_STORE_REGISTRY ? strake_strdup(ref->host)
           : ref->store == STRAKE_STORE_LAYOUT
               ? strake_asprintf("oci:%s", ref->repository)
               : strake_asprintf("docker-archive:%s", ref->repository);
}

static struct store *store_make(struct strake_stores *stores, const struct strake_reference *ref,
                                const char *key)
{
    json_t *options;

    if (ref->store == STRAKE_STORE_REGISTRY)
        return store_add(stores, key, strake_registry_plugin(key),
                         registry_options(stores, key, NULL));
    options = json_object();
    if (options && strake_json_set_str(options, "path", ref->repository) < 0) {
        json_decref(options);
        options = NULL;
    }
    return store_add(stores, key, ref->store == STRAKE_STORE_LAYOUT ? "layout" : "archive",
                     options);
}

/* The store's own instance, borrowed; the lock is held. */
static int open_own(struct strake_stores *stores, const struct strake_reference *ref,
                    struct strake_instance **out, struct strake_err *err)
{
    char *key = store_key(ref);
    struct store *store = key ? store_find(stores, key) : NULL;
    int rc = 0;

    if (key && !store)
        store = store_make(stores, ref, key);
    if (!store)
        rc = strake_fail_nomem(err);
    else if (!store->instance)
        rc = strake_instance_open(store->type, key, "registry/1", store->options, &store->instance,
                                  err);
    if (rc == 0)
        *out = store->instance;
    strake_free(key);
    return rc;
}

/* A mirror and its prefix, which is the caller's; the lock is held. */
static int open_mirror(struct strake_stores *stores, const char *name, struct strake_mirror *out,
                       char **prefix, struct strake_err *err)
{
    struct strake_reference ref = { .store = STRAKE_STORE_REGISTRY };
    int rc = strake_mirror_parse(name, &ref.host, prefix, err);

    if (rc < 0)
        return rc;
    rc = open_own(stores, &ref, &out->instance, err);
    out->prefix = *prefix;
    strake_free(ref.host);
    return rc;
}

/* The instance that reads by way of mirrors; the lock is held. */
static int open_reading(struct strake_stores *stores, const char *host, struct strake_instance *own,
                        struct strake_instance **out, struct strake_err *err)
{
    struct store *store = store_find(stores, host);
    json_t *names = store->mirrors;
    size_t count = json_array_size(names);
    struct strake_mirror mirrors[STRAKE_MIRRORS_MAX];
    char *prefixes[STRAKE_MIRRORS_MAX] = { NULL };
    int rc = 0;

    if (store->reading || count == 0) {
        *out = store->reading ? store->reading : own;
        return 0;
    }
    for (size_t i = 0; rc == 0 && i < count && i < STRAKE_MIRRORS_MAX; i++)
        rc = open_mirror(stores, json_string_value(json_array_get(names, i)), &mirrors[i],
                         &prefixes[i], err);
    if (rc == 0)
        rc = strake_instance_mirrored(own, mirrors, count, out, err);
    if (rc == 0)
        store_find(stores, host)->reading = *out; /* opening mirrors may have moved it */
    for (size_t i = 0; i < STRAKE_MIRRORS_MAX; i++)
        strake_free(prefixes[i]);
    return rc;
}

static int find(struct strake_stores *stores, const struct strake_reference *ref, bool to_read,
                struct strake_place_in_store *out, struct strake_err *err)
{
    struct strake_instance *instance = NULL;
    int rc;

    *out = (struct strake_place_in_store){ 0 };
    pthread_mutex_lock(&stores->lock);
    rc = open_own(stores, ref, &instance, err);
    if (rc == 0 && to_read && ref->store == STRAKE_STORE_REGISTRY)
        rc = open_reading(stores, ref->host, instance, &instance, err);
    if (rc == 0)
        out->instance = strake_instance_ref(instance);
    pthread_mutex_unlock(&stores->lock);
    if (rc < 0)
        return rc;
    out->repository = strake_strdup(ref->store == STRAKE_STORE_REGISTRY ? ref->repository : "");
    if (!out->repository) {
        strake_place_in_store_dispose(out);
        rc = strake_fail_nomem(err);
    }
    return rc;
}

int strake_stores_find(struct strake_stores *stores, const struct strake_reference *ref,
                       struct strake_place_in_store *out, struct strake_err *err)
{
    return find(stores, ref, false, out, err);
}

static int parse_and_find(struct strake_stores *stores, const char *text, bool to_read,
                          struct strake_reference *parsed, struct strake_place_in_store *out,
                          struct strake_err *err)
{
    int rc = strake_reference_parse(text, parsed, err);

    if (rc < 0)
        return rc;
    rc = find(stores, parsed, to_read, out, err);
    if (rc < 0)
        strake_reference_dispose(parsed);
    return rc;
}

int strake_stores_open(struct strake_stores *stores, const char *text,
                       struct strake_reference *parsed, struct strake_place_in_store *out,
                       struct strake_err *err)
{
    return parse_and_find(stores, text, false, parsed, out, err);
}

int strake_stores_open_to_read(struct strake_stores *stores, const char *text,
                               struct strake_reference *parsed, struct strake_place_in_store *out,
                               struct strake_err *err)
{
    return parse_and_find(stores, text, true, parsed, out, err);
}

bool strake_place_leave_mirrors(struct strake_place_in_store *place, int rc)
{
    struct strake_instance *own = place->instance ? strake_instance_origin(place->instance) : NULL;

    if (own == place->instance || rc == STRAKE_ECANCELLED || rc == STRAKE_ENOMEM ||
        rc == STRAKE_ETOOBIG)
        return false;
    strake_instance_ref(own);
    strake_instance_unref(place->instance);
    place->instance = own;
    return true;
}

void strake_place_in_store_dispose(struct strake_place_in_store *place)
{
    strake_instance_unref(place->instance);
    strake_free(place->repository);
    *place = (struct strake_place_in_store){ 0 };
}

bool strake_stores_plain_http(const struct strake_stores *stores, const char *host)
{
    struct strake_stores *locked = (struct strake_stores *)stores;
    const struct store *store;
    bool ca, plain = false;

    pthread_mutex_lock(&locked->lock);
    store = store_find(stores, host);
    ca = stores->ca || (store && json_object_get(store->options, "ca"));
    if (store && json_object_get(store->options, "plain_http"))
        plain = strake_json_bool(store->options, "plain_http", false);
    else
        plain = strake_host_is_loopback(host) && !ca;
    pthread_mutex_unlock(&locked->lock);
    return plain;
}

json_t *strake_stores_options(const struct strake_stores *stores, const char *host)
{
    struct strake_stores *locked = (struct strake_stores *)stores;
    const struct store *store;
    json_t *options;

    pthread_mutex_lock(&locked->lock);
    store = store_find(stores, host);
    options = store ? json_deep_copy(store->options) : registry_options(stores, host, NULL);
    if (options && strake_json_set_str(options, "type",
                                       store ? store->type : strake_registry_plugin(host)) < 0) {
        json_decref(options);
        options = NULL;
    }
    pthread_mutex_unlock(&locked->lock);
    return options;
}

static int add_mirrors(const json_t *mirrors, struct strake_strings *hosts)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < json_array_size(mirrors); i++) {
        struct strake_err ignored = { 0 }; /* its name was checked where it stands */
        char *host, *prefix;
        rc = strake_mirror_parse(json_string_value(json_array_get(mirrors, i)), &host, &prefix,
                                 &ignored);
        strake_err_dispose(&ignored);
        if (rc < 0)
            break;
        if (!strake_strings_has(hosts, host))
            rc = strake_strings_add(hosts, host);
        strake_free(host);
        strake_free(prefix);
    }
    return rc;
}

int strake_stores_hosts(const struct strake_stores *stores, struct strake_strings *hosts)
{
    struct strake_stores *locked = (struct strake_stores *)stores;
    int rc = 0;

    pthread_mutex_lock(&locked->lock);
    for (size_t i = 0; rc == 0 && i < stores->count; i++) {
        if (strncmp(stores->items[i].key, "oci:", 4) != 0 &&
            strncmp(stores->items[i].key, "docker-archive:", 15) != 0 &&
            !strake_strings_has(hosts, stores->items[i].key))
            rc = strake_strings_add(hosts, stores->items[i].key);
        if (rc == 0)
            rc = add_mirrors(stores->items[i].mirrors, hosts);
    }
    pthread_mutex_unlock(&locked->lock);
    return rc;
}

/* ---- credentials for builders ---- */

/* An option that is a text or {"secret":NAME}, appended to `out`. */
static int option_value(const json_t *options, const char *key, struct strake_buf *out,
                        struct strake_err *err)
{
    const json_t *value = json_object_get(options, key);
    const char *secret = strake_json_str(value, "secret");
    int rc;

    if (secret)
        return strake_secret_get(secret, out, err);
    rc = json_is_string(value) ? strake_buf_puts(out, json_string_value(value)) : 0;
    return rc < 0 ? strake_fail_nomem(err) : 0;
}

/* `auth` is base64 of "user:password": the one form that every builder's client reads. */
static int add_auth(const struct store *store, json_t *auths, struct strake_err *err)
{
    struct strake_buf plain = { .secret = true }, encoded = { .secret = true };
    json_t *entry = json_object();
    const char *key =
        strcmp(store->key, "docker.io") == 0 ? "https://index.docker.io/v1/" : store->key;
    int rc = entry ? option_value(store->options, "username", &plain, err) : strake_fail_nomem(err);

    if (rc == 0 && strake_buf_putc(&plain, ':') < 0)
        rc = strake_fail_nomem(err);
    if (rc == 0)
        rc = option_value(store->options, "password", &plain, err);
    if (rc == 0 && (strake_base64(strake_buf_text(&plain), plain.len, &encoded) < 0 ||
                    strake_json_set_str(entry, "auth", strake_buf_text(&encoded)) < 0 ||
                    json_object_set(auths, key, entry) < 0))
        rc = strake_fail_nomem(err);
    if (rc == 0)
        strake_secret_mark(strake_buf_text(&encoded), encoded.len);
    json_decref(entry);
    strake_buf_dispose(&plain);
    strake_buf_dispose(&encoded);
    return rc;
}

int strake_stores_auth_json(const struct strake_stores *stores, struct strake_buf *out,
                            struct strake_err *err)
{
    struct strake_stores *locked = (struct strake_stores *)stores;
    json_t *doc = json_object(), *auths = json_object();
    int rc = doc && auths ? 0 : strake_fail_nomem(err);

    out->secret = true;
    pthread_mutex_lock(&locked->lock);
    for (size_t i = 0; rc == 0 && i < stores->count; i++) {
        const json_t *user = json_object_get(stores->items[i].options, "username");
        /* username = env.NAME is false where that is not set: then the password is not used. */
        if (user && !json_is_false(user) && json_object_get(stores->items[i].options, "password"))
            rc = add_auth(&stores->items[i], auths, err);
    }
    pthread_mutex_unlock(&locked->lock);
    if (rc == 0 && json_object_size(auths) > 0) {
        if (json_object_set(doc, "auths", auths) < 0 || strake_json_dump(doc, out) < 0)
            rc = strake_fail_nomem(err);
    }
    json_decref(doc);
    json_decref(auths);
    return rc;
}
