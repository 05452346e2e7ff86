/* The inside of the room: probes, and how they tell what they found.
 *   doctor.c      the list of probes, and running them all at once
 *   probe.c       what a probe tells
 *   builders.c    builders: what they are, what they hold
 *   reach.c       addresses and TLS
 *   registries.c  registries: there, clock, login, what may be done where
 *   notifiers.c   notifiers; scanners and the like, of which only their plugins can be asked
 *   targets.c     is there a builder for each platform that a target wants?
 *   tools.c       programs and their versions
 *   files.c       what lies on this machine: rights, secrets, room */
#ifndef STRAKE_DOCTOR_PROBE_H
#define STRAKE_DOCTOR_PROBE_H

#include "doctor/doctor.h"

enum doctor_status { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL, DOCTOR_SKIP };

/** One question, or a few that follow from each other: asked on one thread, about one thing. */
struct doctor_probe {
    const struct strake_doctor *doctor;
    const char *group; /**< "builder" … */
    int exit;          /**< of the command, when this fails */
    char *name;        /**< of the builder, the registry, … */
    char *type;        /**< its plugin; or NULL */
    json_t *options;   /**< a copy of its own: jansson's values are not for two threads */
    struct strake_strings subjects; /**< repositories of a registry, … */
    /** @return 0, or STRAKE_ENOMEM: all else is a check */
    int (*run)(struct doctor_probe *probe, struct strake_job *job);

    json_t *checks;                  /**< what was found */
    bool answered;                   /**< of a builder: it said what it is, and … */
    struct strake_strings platforms; /**< … for what it builds, its own first; empty: not told */
    bool failed;
    int64_t started_ms; /**< of the check that comes next */
};

/** A growing list. Zero-initialised is empty. */
struct doctor_probes {
    struct doctor_probe **items;
    size_t count;
};

/** Add one; `type` and `options` may be NULL. *out (may be NULL) is the list's.
 *  @return 0 or STRAKE_ENOMEM */
int doctor_probe_add(struct doctor_probes *probes, const struct strake_doctor *doctor,
                     const char *group, int exit, const char *name, const char *type,
                     const json_t *options,
                     int (*run)(struct doctor_probe *probe, struct strake_job *job),
                     struct doctor_probe **out);
void doctor_probes_dispose(struct doctor_probes *probes);

/** Tell a check: of the probe's name, or of "NAME PART" where `part` is not NULL. Its time is what
 *  passed since the check before. A failure without a hint of its own gets one.
 *  @return 0 or STRAKE_ENOMEM */
int doctor_tell(struct doctor_probe *probe, const char *part, enum doctor_status status,
                const char *hint, const char *fmt, ...) STRAKE_PRINTF(5, 6);
/** The same of a failure: its message and the first line of the tool's own words. */
int doctor_tell_err(struct doctor_probe *probe, const char *part, enum doctor_status status,
                    const struct strake_err *err);
/** A job that ends with the bound; NULL: no memory. */
struct strake_job *doctor_bound(const struct doctor_probe *probe, struct strake_job *job);

/* What each group asks. @return 0 or STRAKE_ENOMEM */
int doctor_add_builders(const struct strake_doctor *doctor, struct doctor_probes *probes);
int doctor_add_registries(const struct strake_doctor *doctor, struct doctor_probes *probes);
int doctor_add_notifiers(const struct strake_doctor *doctor, struct doctor_probes *probes);
int doctor_add_others(const struct strake_doctor *doctor, struct doctor_probes *probes);
int doctor_add_files(const struct strake_doctor *doctor, struct doctor_probes *probes);
int doctor_add_tools(const struct strake_doctor *doctor, struct doctor_probes *probes);

/** Once all builders were asked: targets that no builder takes, each a check of its own. */
int doctor_tell_targets(const struct strake_doctor *doctor, struct doctor_probes *probes);

/* ---- reach.c ---- */

/** What is said of an address over TLS. */
struct doctor_tls {
    const char *address; /**< "tcp://HOST:PORT", "https://HOST[:PORT]" */
    const char *ca, *cert, *key, *server_name;
    bool builder; /**< gRPC with the authorities of `ca` alone; else HTTPS, the system's too */
};
/** Tell the certificate as the check "NAME tls". */
int doctor_check_tls(struct doctor_probe *probe, const struct doctor_tls *tls,
                     struct strake_job *job);
/** The same of "https://…", with the probe's options ca, cert and key; skipped where a proxy may stand
 *  between. */
int doctor_check_https(struct doctor_probe *probe, const char *address, struct strake_job *job);
/** Tell "NAME address" and "NAME tls" of a builder's options: the `nc -z` of a shell. */
int doctor_reach_builder(struct doctor_probe *probe, struct strake_job *job);

#endif
