/* Checked calls into registry/1: logging in and out. */
#include <string.h>

#include "plugin/call.h"
#include "plugin/instance_impl.h"

#define WHERE_MAX ((size_t)64 * 1024)

struct login_call {
    struct strake_call call;
    const char *username;
    const char *repository;
    struct strake_buf password; /* a copy of our own, wiped with the call */
    struct strake_buf where;
};

static void dispose(struct strake_call *call)
{
    struct login_call *made = (struct login_call *)call;

    strake_buf_dispose(&made->password);
    strake_buf_dispose(&made->where);
}

static int run_login(struct strake_call *call)
{
    struct login_call *made = (struct login_call *)call;
    const struct strake_registry_login login = {
        .size = sizeof(login),
        .username = made->username,
        .password = strake_buf_text(&made->password),
        .repository = made->repository,
    };

    return call->instance->as.registry.login(call->instance->self, call->job, &login, &made->where,
                                             &call->err);
}

static int run_logout(struct strake_call *call)
{
    struct login_call *made = (struct login_call *)call;

    return call->instance->as.registry.logout(call->instance->self, call->job, &made->where,
                                              &call->err);
}

static int unsupported(const struct strake_instance *registry, struct strake_err *err)
{
    strake_fail(err, STRAKE_EUNSUPPORTED, "%s: the plugin %s keeps no credentials", registry->name,
                strake_instance_type(registry));
    strake_err_hint(err, "give it a username and a password in its registry block");
    return STRAKE_EUNSUPPORTED;
}

/* Takes the reference to the call over. */
static int make(struct login_call *made, struct strake_buf *where, struct strake_err *err)
{
    int rc;

    made->where.max = WHERE_MAX;
    made->call.timeout_code = STRAKE_EREGISTRY;
    rc = strake_call_make(&made->call, STRAKE_CALL_REGISTRY_LIMIT_MS, err);
    if (rc == 0)
        rc = strake_call_give(&made->where, where, err);
    strake_call_unref(&made->call);
    return rc;
}

int strake_registry_login(struct strake_instance *registry, struct strake_job *job,
                          const char *username, const struct strake_buf *password,
                          const char *repository, struct strake_buf *where, struct strake_err *err)
{
    struct login_call *made;

    if (!registry->as.registry.login)
        return unsupported(registry, err);
    made = strake_call_new(sizeof(*made), registry, "login", job, run_login, dispose);
    if (made)
        made->password.secret = true;
    if (!made || strake_call_copy(&made->call, username, &made->username) < 0 ||
        strake_call_copy(&made->call, repository, &made->repository) < 0 ||
        strake_buf_append(&made->password, password->data, password->len) < 0) {
        if (made)
            strake_call_unref(&made->call);
        return strake_fail_nomem(err);
    }
    return make(made, where, err);
}

int strake_registry_logout(struct strake_instance *registry, struct strake_job *job,
                           struct strake_buf *where, struct strake_err *err)
{
    struct login_call *made;

    if (!registry->as.registry.logout)
        return unsupported(registry, err);
    made = strake_call_new(sizeof(*made), registry, "logout", job, run_logout, dispose);
    return made ? make(made, where, err) : strake_fail_nomem(err);
}
