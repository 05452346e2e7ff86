/* Targets: is there a builder for each platform that one wants? Told once all builders were asked, and
 * only of those that would fail. */
#include <string.h>

#include "doctor/probe.h"
#include "util/mem.h"

#define EXIT_BUILDER 9

/* May this builder take the target? */
static bool may_take(const struct strake_target *target, const char *builder)
{
    return target->builders.count == 0 || strake_strings_has(&target->builders, builder);
}

/* Is it known that nobody builds for it: do all builders that may take the target say for what they
 * build (or not answer at all, which is told elsewhere)? Those that do are put into `asked`. */
static int find_builder(const struct doctor_probes *probes, const struct strake_target *target,
                        const char *platform, bool *known, struct strake_buf *asked)
{
    int rc = 0;

    *known = false;
    for (size_t i = 0; rc == 0 && i < probes->count; i++) {
        const struct doctor_probe *probe = probes->items[i];
        if (!probe->answered || !may_take(target, probe->name))
            continue;
        if (probe->platforms.count == 0 || strake_strings_has(&probe->platforms, platform)) {
            *known = false;
            return 0;
        }
        *known = true;
        rc = strake_buf_printf(asked, "%s%s", asked->len ? ", " : "", probe->name);
    }
    return rc;
}

static int nobody(struct doctor_probe *probe, struct strake_job *job)
{
    (void)probe;
    (void)job;
    return 0;
}

static int tell(const struct strake_doctor *doctor, struct doctor_probes *probes,
                const struct strake_target *target, const char *platform,
                const struct strake_buf *asked)
{
    struct doctor_probe *probe;
    int rc = doctor_probe_add(probes, doctor, "target", EXIT_BUILDER, target->name, NULL, NULL,
                              nobody, &probe);

    if (rc < 0)
        return rc;
    return doctor_tell(probe, platform, DOCTOR_FAIL,
                       "add a builder that has this platform, register its emulation (qemu-user) "
                       "where a builder runs, or take the platform away",
                       "%s is built by no builder that answers: %s", platform,
                       strake_buf_text(asked));
}

int doctor_tell_targets(const struct strake_doctor *doctor, struct doctor_probes *probes)
{
    const struct strake_project *project = doctor->project;
    struct strake_buf asked = { 0 };
    bool known;
    int rc = 0;

    for (size_t i = 0; rc == 0 && project && i < project->target_count; i++) {
        const struct strake_target *target = project->targets[i];
        for (size_t k = 0; rc == 0 && k < target->platforms.count; k++) {
            strake_buf_clear(&asked);
            rc = find_builder(probes, target, target->platforms.items[k], &known, &asked);
            if (rc == 0 && known)
                rc = tell(doctor, probes, target, target->platforms.items[k], &asked);
        }
    }
    strake_buf_dispose(&asked);
    return rc;
}
