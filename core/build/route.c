/* Choosing builders for the platforms of a target. */
#include <string.h>

#include "build/pool_impl.h"
#include "build/request.h"
#include "image/platform.h"
#include "util/time.h"

/* A native builder is taken although others still think, once they had this long. */
#define PATIENCE_MS 300
/* A builder that was lost is asked again this long after, and sooner when nobody else is there … */
#define AGAIN_MS 5000
#define AGAIN_ALONE_MS 1000
/* … but then only this often: who was away for so long is not about to come back. */
#define AGAIN_MAX 4

struct choosing {
    struct strake_pool *pool;
    const struct strake_plan_target *target;
    const struct strake_refusals *refusals;
    struct strake_pool_member **candidates; /* in the target's order */
    size_t count;
    struct strake_strings platforms; /* at least one, unless `own` */
    bool own;                        /* the builder's own platform */
    bool together;
    bool native; /* others are still asked: who emulates has to wait for their answer */
    struct strake_err *err;
};

/* ---- refusals ---- */

/* Another part of the target may be looking for a builder, and reads the list while it waits. */
int strake_refusals_add(struct strake_pool *pool, struct strake_refusals *refusals,
                        const struct strake_pool_member *member, struct strake_err *why)
{
    struct strake_refusal *items;

    pthread_mutex_lock(&pool->lock);
    items = strake_reallocarray(refusals->items, refusals->count + 1, sizeof(*items));
    if (items) {
        refusals->items = items;
        items[refusals->count] = (struct strake_refusal){ .member = member };
        strake_err_move(&items[refusals->count++].why, why);
    }
    pthread_mutex_unlock(&pool->lock);
    return items ? 0 : STRAKE_ENOMEM;
}

void strake_refusals_dispose(struct strake_refusals *refusals)
{
    for (size_t i = 0; i < refusals->count; i++)
        strake_err_dispose(&refusals->items[i].why);
    strake_free(refusals->items);
    *refusals = (struct strake_refusals){ 0 };
}

static const struct strake_err *refusal_of(const struct choosing *choosing,
                                           const struct strake_pool_member *member)
{
    for (size_t i = 0; choosing->refusals && i < choosing->refusals->count; i++) {
        if (choosing->refusals->items[i].member == member)
            return &choosing->refusals->items[i].why;
    }
    return NULL;
}

/* ---- what a builder is able of ---- */

/* 2: natively, 1: emulated or it does not say, 0: not at all. The first platform that a builder
 * names is its own. */
static int ability(const struct strake_pool_member *member, const char *platform)
{
    const struct strake_strings *has = &member->platforms;

    if (has->count == 0)
        return 1;
    if (!strake_strings_has(has, platform))
        return 0;
    if (strake_platform_native(has->items[0], platform))
        return 2;
    return 1;
}

static bool usable(const struct choosing *choosing, const struct strake_pool_member *member)
{
    return member->state == MEMBER_ALIVE && !refusal_of(choosing, member);
}

static size_t free_slots(const struct strake_pool_member *member)
{
    return member->slots > member->load ? member->slots - member->load : 0;
}

static bool has_part(const struct strake_route *route, const struct strake_pool_member *member)
{
    for (size_t i = 0; i < route->count; i++) {
        if (route->parts[i].member == member)
            return true;
    }
    return false;
}

/* The least able of all platforms counts for one that is to take all. */
static int ability_of(const struct choosing *choosing, const struct strake_pool_member *member,
                      const char *platform)
{
    int least = 2;

    if (choosing->own)
        return 2;
    if (!choosing->together)
        return ability(member, platform);
    for (size_t i = 0; i < choosing->platforms.count; i++) {
        int able = ability(member, choosing->platforms.items[i]);
        least = able < least ? able : least;
    }
    return least;
}

/* Native before emulated, then one that builds for this target anyway, then the emptiest, then the
 * order. */
static struct strake_pool_member *best(const struct choosing *choosing,
                                       const struct strake_route *route, const char *platform)
{
    struct strake_pool_member *chosen = NULL;
    int chosen_able = 0;

    for (size_t i = 0; i < choosing->count; i++) {
        struct strake_pool_member *member = choosing->candidates[i];
        int able = usable(choosing, member) ? ability_of(choosing, member, platform) : 0;
        bool mine, chosen_mine;
        if (able < (choosing->native ? 2 : 1) || able < chosen_able)
            continue;
        mine = has_part(route, member);
        chosen_mine = chosen && has_part(route, chosen);
        if (!chosen || able > chosen_able || (mine && !chosen_mine) ||
            (mine == chosen_mine && free_slots(member) > free_slots(chosen))) {
            chosen = member;
            chosen_able = able;
        }
    }
    return chosen;
}

/* ---- the route ---- */

void strake_route_dispose(struct strake_pool *pool, struct strake_route *route)
{
    pthread_mutex_lock(&pool->lock);
    for (size_t i = 0; i < route->count; i++)
        route->parts[i].member->load--;
    pthread_mutex_unlock(&pool->lock);
    for (size_t i = 0; i < route->count; i++)
        strake_strings_dispose(&route->parts[i].platforms);
    strake_free(route->parts);
    *route = (struct strake_route){ 0 };
}

static int add_to_route(struct strake_route *route, struct strake_pool_member *member,
                        const char *platform)
{
    struct strake_part *parts;

    for (size_t i = 0; i < route->count; i++) {
        if (route->parts[i].member == member)
            return strake_strings_add(&route->parts[i].platforms, platform);
    }
    parts = strake_reallocarray(route->parts, route->count + 1, sizeof(*parts));
    if (!parts)
        return STRAKE_ENOMEM;
    route->parts = parts;
    parts[route->count++] = (struct strake_part){ .member = member };
    member->load++;
    return platform ? strake_strings_add(&parts[route->count - 1].platforms, platform) : 0;
}

static void drop_route(struct strake_route *route)
{
    for (size_t i = 0; i < route->count; i++) {
        route->parts[i].member->load--;
        strake_strings_dispose(&route->parts[i].platforms);
    }
    strake_free(route->parts);
    *route = (struct strake_route){ 0 };
}

/* @return 1: each platform has a builder now; 0: not yet, *missing says which; or STRAKE_ENOMEM. */
static int try_route(const struct choosing *choosing, struct strake_route *route,
                     const char **missing)
{
    const size_t count = choosing->own ? 1 : choosing->platforms.count;

    for (size_t i = 0; i < count; i++) {
        const char *platform = choosing->own ? NULL : choosing->platforms.items[i];
        struct strake_pool_member *member = best(choosing, route, platform);
        int rc = member ? add_to_route(route, member, platform) : 0;
        if (!member || rc < 0) {
            *missing = platform;
            drop_route(route);
            return rc;
        }
    }
    return 1;
}

/* ---- asking and waiting ---- */

static bool any_asked(const struct choosing *choosing)
{
    for (size_t i = 0; i < choosing->count; i++) {
        if (choosing->candidates[i]->state == MEMBER_ASKED)
            return true;
    }
    return false;
}

static void ask_new(const struct choosing *choosing)
{
    for (size_t i = 0; i < choosing->count; i++) {
        if (choosing->candidates[i]->state == MEMBER_NEW)
            strake_pool_ask(choosing->candidates[i]);
    }
}

/* Ask those again that were lost `after_ms` ago. @return when the next one may be asked; 0: none. */
static int64_t ask_lost(const struct choosing *choosing, int64_t after_ms)
{
    const int64_t now = strake_time_mono_ms();
    int64_t next = 0;

    for (size_t i = 0; i < choosing->count; i++) {
        struct strake_pool_member *member = choosing->candidates[i];
        int64_t due = member->lost_ms + after_ms;
        if (member->state != MEMBER_LOST || !member->met || refusal_of(choosing, member))
            continue;
        if (due <= now)
            strake_pool_ask(member);
        else if (!next || due < next)
            next = due;
    }
    return next;
}

static const char *reason_of(const struct choosing *choosing,
                             const struct strake_pool_member *member, char *text, size_t cap)
{
    const struct strake_err *refusal = refusal_of(choosing, member);

    if (refusal)
        return strake_err_message(refusal);
    if (member->state == MEMBER_LOST)
        return strake_err_message(&member->why);
    snprintf(text, cap, "it builds for ");
    for (size_t i = 0; i < member->platforms.count && i < 12; i++) {
        size_t len = strlen(text);
        snprintf(text + len, cap - len, "%s%s", i ? ", " : "", member->platforms.items[i]);
    }
    return text;
}

/* One builder's failure is told as it is; of several each gets a line. */
static int nobody(const struct choosing *choosing, const char *missing)
{
    const struct strake_plan_target *target = choosing->target;
    struct strake_buf lines = STRAKE_BUF(16384);
    const struct strake_err *only = NULL;
    int rc;

    if (choosing->count == 1) {
        only = refusal_of(choosing, choosing->candidates[0]);
        if (!only && choosing->candidates[0]->state == MEMBER_LOST)
            only = &choosing->candidates[0]->why;
    }
    if (only) {
        strake_err_copy(choosing->err, only);
        return choosing->err->code;
    }
    for (size_t i = 0; i < choosing->count; i++) {
        char text[512];
        strake_buf_printf(&lines, "%s: %s\n", strake_pool_name(choosing->candidates[i]),
                          reason_of(choosing, choosing->candidates[i], text, sizeof(text)));
    }
    if (choosing->together && choosing->platforms.count > 1)
        missing = "all of its platforms";
    rc = strake_fail(choosing->err, STRAKE_EBUILDER, "no builder can take target %s%s%s",
                     target->name, missing ? " for " : "", missing ? missing : "");
    strake_err_place(choosing->err, target->file, target->line);
    strake_err_hint(choosing->err, "`strake doctor` says what each builder is able of");
    strake_err_detail(choosing->err, strake_buf_text(&lines), lines.len);
    strake_buf_dispose(&lines);
    return rc;
}

/* With the lock held. */
static int choose(struct choosing *choosing, struct strake_job *job, struct strake_route *route)
{
    const int64_t patient_ms = strake_time_mono_ms() + PATIENCE_MS;
    int again = 0;

    ask_new(choosing);
    ask_lost(choosing, AGAIN_MS);
    for (;;) {
        const char *missing = NULL;
        bool waiting = any_asked(choosing);
        bool late = strake_time_mono_ms() >= patient_ms;
        int rc = strake_job_check(job, choosing->err);
        if (rc < 0)
            return rc;
        if (!waiting || late) {
            choosing->native = waiting;
            rc = try_route(choosing, route, &missing);
            if (rc < 0)
                return strake_fail_nomem(choosing->err);
            if (rc == 1)
                return 0;
        }
        if (waiting) {
            strake_pool_wait(choosing->pool, late ? 0 : patient_ms);
            continue;
        }
        if (choosing->count == 1 || again >= AGAIN_MAX)
            return nobody(choosing, missing);
        int64_t next = ask_lost(choosing, AGAIN_ALONE_MS);
        if (any_asked(choosing))
            again++;
        else if (next)
            strake_pool_wait(choosing->pool, next); /* or until anything changes: no try is spent */
        else
            return nobody(choosing, missing);
    }
}

static bool is_host(const char *platform)
{
    return strcmp(platform, strake_platform_host()) == 0;
}

bool strake_pool_must_ask(const struct strake_plan_target *target)
{
    const struct strake_strings *platforms = &target->platforms;

    return target->build_count > 1 || platforms->count > 1 ||
           (platforms->count == 1 && !is_host(platforms->items[0]));
}

/* Of several builders any may build: what it builds for must not depend on which one does. */
static int set_platforms(struct choosing *choosing, const struct strake_strings *platforms)
{
    if (platforms->count)
        return strake_strings_copy(&choosing->platforms, platforms);
    if (choosing->count > 1)
        return strake_strings_add(&choosing->platforms, strake_platform_host());
    choosing->own = true;
    return 0;
}

/* Nothing is to be chosen, and the build itself tells whether it is there. */
static int only_builder(struct strake_pool *pool, const struct strake_plan_target *target,
                        const struct strake_strings *platforms, struct strake_route *out,
                        struct strake_err *err)
{
    struct strake_pool_member *member = strake_pool_find(pool, target->builds[0].builder);
    int rc;

    pthread_mutex_lock(&pool->lock);
    rc = add_to_route(out, member, NULL);
    if (rc == 0)
        rc = strake_strings_copy(&out->parts[0].platforms, platforms);
    pthread_mutex_unlock(&pool->lock);
    return rc < 0 ? strake_fail_nomem(err) : 0;
}

int strake_pool_route(struct strake_pool *pool, const struct strake_plan_target *target,
                      const struct strake_strings *platforms, bool together,
                      const struct strake_refusals *refusals, struct strake_job *job,
                      struct strake_route *out, struct strake_err *err)
{
    struct choosing choosing = {
        .pool = pool, .target = target, .refusals = refusals, .together = together, .err = err
    };
    int rc = 0;

    if (!strake_pool_must_ask(target) && !(refusals && refusals->count))
        return only_builder(pool, target, platforms, out, err);
    choosing.candidates = strake_calloc(target->build_count, sizeof(*choosing.candidates));
    if (!choosing.candidates)
        return strake_fail_nomem(err);
    for (size_t i = 0; i < target->build_count; i++)
        choosing.candidates[choosing.count++] = strake_pool_find(pool, target->builds[i].builder);
    if (set_platforms(&choosing, platforms) < 0)
        rc = strake_fail_nomem(err);
    if (rc == 0) {
        pthread_mutex_lock(&pool->lock);
        rc = choose(&choosing, job, out);
        pthread_mutex_unlock(&pool->lock);
    }
    strake_strings_dispose(&choosing.platforms);
    strake_free(choosing.candidates);
    return rc;
}
