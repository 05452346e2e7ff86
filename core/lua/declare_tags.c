/* target "NAME" { … }: what it will be called. `image`, `tags` and `refs`, and what comes with the tags
 * of tags.metadata. */
#include <string.h>

#include "lua/schema.h"

static int fail_placed(struct strake_decl *decl, const char *key, int rc)
{
    strake_err_prefix(decl->err, "target \"%s\": %s: ", decl->name, key);
    strake_err_place(decl->err, decl->file, decl->line);
    return rc == STRAKE_EUSAGE ? strake_err_recode(decl->err, STRAKE_ECONFIG) : rc;
}

/* ---- image ---- */

static int add_images(struct strake_decl *decl, const char *key,
                      const struct strake_strings *written, struct strake_target *target)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < written->count; i++)
        rc = strake_image_take(written->items[i], &target->images, decl->err);
    return rc < 0 ? fail_placed(decl, key, rc) : 0;
}

int strake_take_image(struct strake_decl *decl, const char *key, int index, void *object)
{
    struct strake_strings written = { 0 };
    int rc = strake_take_texts(decl, key, index, &written);

    if (rc == 0)
        rc = add_images(decl, key, &written, object);
    strake_strings_dispose(&written);
    return rc;
}

/* ---- tags ---- */

/* The list of tags.metadata has names too, for whoever reads it: the tags are its numbered part. */
static int take_numbered(struct strake_decl *decl, const char *key, int index,
                         struct strake_strings *tags)
{
    lua_State *L = decl->L;
    const lua_Integer count = (lua_Integer)lua_rawlen(L, index);
    int rc = 0;

    for (lua_Integer i = 1; rc == 0 && i <= count; i++) {
        lua_rawgeti(L, index, i);
        rc = lua_type(L, -1) == LUA_TSTRING
                 ? strake_take_texts(decl, key, lua_gettop(L), tags)
                 : strake_decl_fail(decl, "%s must be a list of strings, got %s in it", key,
                                    strake_lua_type_text(L, -1));
        lua_pop(L, 1);
    }
    return rc;
}

/* The pairs under `name` of the table on top. */
static int take_more(struct strake_decl *decl, const char *name, struct strake_pairs *out)
{
    int rc = 0;

    lua_pushstring(decl->L, name);
    if (lua_rawget(decl->L, -2) != LUA_TNIL)
        rc = strake_take_pairs(decl, name, lua_gettop(decl->L), out);
    lua_pop(decl->L, 1);
    return rc;
}

static int take_images_of(struct strake_decl *decl, struct strake_target *target)
{
    lua_State *L = decl->L;
    struct strake_strings written = { 0 };
    int rc = 0;

    lua_pushliteral(L, "images");
    if (lua_rawget(L, -2) != LUA_TNIL) {
        if (target->images.count)
            rc = strake_decl_fail(decl, "give either `image`, or `images` in tags.metadata");
        if (rc == 0)
            rc = strake_take_texts(decl, "images", lua_gettop(L), &written);
        if (rc == 0)
            rc = add_images(decl, "images", &written, target);
    }
    lua_pop(L, 1);
    strake_strings_dispose(&written);
    return rc;
}

/* The version, and how repositories are written. */
static int take_rest_of(struct strake_decl *decl, struct strake_target *target)
{
    lua_State *L = decl->L;
    int rc = 0;

    lua_pushliteral(L, "version");
    if (lua_rawget(L, -2) == LUA_TSTRING)
        rc = strake_take_text(decl, "version", lua_gettop(L), &target->version);
    if (lua_isstring(L, -1)) /* tags.metadata alone knows it, and means small letters as well */
        strake_images_lower(&target->images);
    lua_pop(L, 1);
    return rc;
}

/* What is remembered of the list, on top: labels and annotations that the target does not say itself. */
static int take_outcome(struct strake_decl *decl, struct strake_target *target)
{
    int rc = take_more(decl, "labels", &target->labels);

    if (rc == 0)
        rc = take_more(decl, "annotations", &target->annotations);
    if (rc == 0)
        rc = take_images_of(decl, target);
    if (rc == 0)
        rc = take_rest_of(decl, target);
    if (rc == 0) {
        lua_pushvalue(decl->L, -1);
        target->tags_ref = luaL_ref(decl->L, LUA_REGISTRYINDEX);
    }
    return rc;
}

int strake_take_tags(struct strake_decl *decl, const char *key, int index, void *object)
{
    struct strake_target *target = object;
    int rc;

    if (!strake_lua_push_tags_outcome(decl->L, index))
        return strake_take_texts(decl, key, index, &target->tags);
    rc = take_numbered(decl, key, index, &target->tags);
    if (rc == 0)
        rc = take_outcome(decl, target);
    lua_pop(decl->L, 1);
    return rc;
}

/* ---- refs ---- */

int strake_take_refs(struct strake_decl *decl, const char *key, int index, void *object)
{
    return strake_take_texts(decl, key, index, &((struct strake_target *)object)->refs);
}

int strake_decl_split_refs(struct strake_decl *decl, struct strake_target *target)
{
    struct strake_strings written = target->refs;
    int rc;

    if (!written.count)
        return 0;
    if (target->images.count || target->tags.count)
        return strake_decl_fail(decl, "give either `refs`, or `image` and `tags`");
    target->refs = (struct strake_strings){ 0 };
    rc = strake_refs_split(&written, &target->refs, &target->images, &target->tags, decl->err);
    strake_strings_dispose(&written);
    return rc < 0 ? fail_placed(decl, "refs", rc) : 0;
}
