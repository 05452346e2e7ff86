/* What a probe tells. */
#include "doctor/probe.h"

#include <string.h>

#include "util/json.h"
#include "util/mem.h"
#include "util/time.h"

static void probe_free(struct doctor_probe *probe)
{
    strake_free(probe->name);
    strake_free(probe->type);
    json_decref(probe->options);
    json_decref(probe->checks);
    strake_strings_dispose(&probe->subjects);
    strake_strings_dispose(&probe->platforms);
    strake_free(probe);
}

int doctor_probe_add(struct doctor_probes *probes, const struct strake_doctor *doctor,
                     const char *group, int exit, const char *name, const char *type,
                     const json_t *options,
                     int (*run)(struct doctor_probe *probe, struct strake_job *job),
                     struct doctor_probe **out)
{
    struct doctor_probe **items =
        strake_reallocarray(probes->items, probes->count + 1, sizeof(struct doctor_probe *));
    struct doctor_probe *probe = strake_calloc(1, sizeof(*probe));

    if (items)
        probes->items = items;
    if (!items || !probe) {
        strake_free(probe);
        return STRAKE_ENOMEM;
    }
    probe->doctor = doctor;
    probe->group = group;
    probe->exit = exit;
    probe->run = run;
    probe->name = strake_strdup(name);
    probe->type = strake_strdup(type);
    probe->options = options ? json_deep_copy(options) : json_object();
    probe->checks = json_array();
    if (!probe->name || (type && !probe->type) || !probe->options || !probe->checks) {
        probe_free(probe);
        return STRAKE_ENOMEM;
    }
    probes->items[probes->count++] = probe;
    if (out)
        *out = probe;
    return 0;
}

void doctor_probes_dispose(struct doctor_probes *probes)
{
    for (size_t i = 0; i < probes->count; i++)
        probe_free(probes->items[i]);
    strake_free(probes->items);
    *probes = (struct doctor_probes){ 0 };
}

struct strake_job *doctor_bound(const struct doctor_probe *probe, struct strake_job *job)
{
    struct strake_job *bounded = strake_job_new(job, NULL, NULL);

    if (bounded)
        strake_job_set_timeout(bounded, probe->doctor->bound_ms);
    return bounded;
}

/* ---- telling ---- */

/* No failure without a hint: what to look at where the plugin does not say. */
static const char *usual_hint(const char *group)
{
    static const char *const hints[][2] = {
        { "builder", "are the options of this builder right, and is it up?" },
        { "registry", "are the options of this registry right, and is it up?" },
        { "notifier", "are the options of this notifier right, and is its server up?" },
        { "scanner", "are its options right?" },
        { "workflow", "are its options right?" },
        { "deployer", "are its options right?" },
        { "lua", "correct the file" },
    };

    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
        if (strcmp(group, hints[i][0]) == 0)
            return hints[i][1];
    }
    return "`strake doctor --debug` says more";
}

static int tell(struct doctor_probe *probe, const char *part, enum doctor_status status,
                const char *hint, const char *detail)
{
    static const char *const words[] = { "ok", "warn", "fail", "skip" };
    const int64_t now = strake_time_mono_ms();
    char *name = part ? strake_asprintf("%s %s", probe->name, part) : strake_strdup(probe->name);
    json_t *check = json_object();
    int rc = 0;

    if ((!hint || !*hint) && status == DOCTOR_FAIL)
        hint = usual_hint(probe->group);
    if (!name || !check || strake_json_set_str(check, "name", name) < 0 ||
        strake_json_set_str(check, "group", probe->group) < 0 ||
        strake_json_set_str(check, "status", words[status]) < 0 ||
        strake_json_set_str(check, "detail", detail) < 0 ||
        strake_json_set_str(check, "hint", hint ? hint : "") < 0 ||
        strake_json_set_int(check, "duration_ms", now - probe->started_ms) < 0 ||
        json_array_append(probe->checks, check) < 0)
        rc = STRAKE_ENOMEM;
    probe->failed = probe->failed || status == DOCTOR_FAIL;
    probe->started_ms = now;
    json_decref(check);
    strake_free(name);
    return rc;
}

int doctor_tell(struct doctor_probe *probe, const char *part, enum doctor_status status,
                const char *hint, const char *fmt, ...)
{
    va_list args;
    char *detail;
    int rc;

    va_start(args, fmt);
    detail = strake_vasprintf(fmt, args);
    va_end(args);
    rc = detail ? tell(probe, part, status, hint, detail) : STRAKE_ENOMEM;
    strake_free(detail);
    return rc;
}

int doctor_tell_err(struct doctor_probe *probe, const char *part, enum doctor_status status,
                    const struct strake_err *err)
{
    const size_t len = err->detail ? strcspn(err->detail, "\n") : 0;

    if (len == 0 || len > 300)
        return doctor_tell(probe, part, status, err->hint, "%s", strake_err_message(err));
    return doctor_tell(probe, part, status, err->hint, "%s (%.*s)", strake_err_message(err),
                       (int)len, err->detail);
}
