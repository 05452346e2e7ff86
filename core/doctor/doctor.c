/* The list of probes, and running them all at once. */
#include "doctor/doctor.h"

#include <pthread.h>

#include "doctor/probe.h"
#include "util/mem.h"
#include "util/thread.h"
#include "util/time.h"

/* So many threads at most; with more probes than that some wait for a free one. */
#define THREADS_MAX 64

/* The probes that are being asked. The caller waits until no thread works on them any more. */
struct round {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    struct doctor_probes *probes;
    struct strake_job *job;
    size_t next;
    unsigned working; /* threads */
    int rc;
};

static int ask(struct doctor_probe *probe, struct strake_job *job)
{
    struct strake_job *own = strake_job_new(job, NULL, NULL);
    int rc = own ? 0 : STRAKE_ENOMEM;

    probe->started_ms = strake_time_mono_ms();
    if (rc == 0)
        rc = probe->run(probe, own);
    strake_job_free(own);
    return rc;
}

static void *work(void *ctx)
{
    struct round *round = ctx;

    pthread_mutex_lock(&round->lock);
    while (round->next < round->probes->count && round->rc == 0 &&
           !strake_job_cancelled(round->job)) {
        struct doctor_probe *probe = round->probes->items[round->next++];
        int rc;
        pthread_mutex_unlock(&round->lock);
        rc = ask(probe, round->job);
        pthread_mutex_lock(&round->lock);
        if (rc < 0 && round->rc == 0)
            round->rc = rc;
    }
    round->working--;
    pthread_cond_signal(&round->ended);
    pthread_mutex_unlock(&round->lock);
    return NULL;
}

/* One thread is this one: without resources for others it asks everything itself. */
static int ask_all(struct doctor_probes *probes, struct strake_job *job)
{
    struct round round = { .probes = probes, .job = job, .working = 1 };
    size_t threads = probes->count < THREADS_MAX ? probes->count : THREADS_MAX;

    pthread_mutex_init(&round.lock, NULL);
    pthread_cond_init(&round.ended, NULL);
    for (size_t i = 1; i < threads; i++) {
        pthread_mutex_lock(&round.lock);
        round.working++;
        pthread_mutex_unlock(&round.lock);
        if (strake_thread_start(work, &round) != 0) {
            pthread_mutex_lock(&round.lock);
            round.working--;
            pthread_mutex_unlock(&round.lock);
            break;
        }
    }
    work(&round);
    pthread_mutex_lock(&round.lock);
    while (round.working > 0)
        pthread_cond_wait(&round.ended, &round.lock);
    pthread_mutex_unlock(&round.lock);
    pthread_cond_destroy(&round.ended);
    pthread_mutex_destroy(&round.lock);
    return round.rc;
}

static int gather(const struct doctor_probes *probes, json_t *checks, int *exit)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < probes->count; i++) {
        const struct doctor_probe *probe = probes->items[i];
        if (json_array_extend(checks, probe->checks) < 0)
            rc = STRAKE_ENOMEM;
        if (probe->failed && probe->exit > *exit)
            *exit = probe->exit;
    }
    return rc;
}

int strake_doctor_examine(const struct strake_doctor *doctor, struct strake_job *job,
                          json_t *checks, int *exit, struct strake_err *err)
{
    struct doctor_probes probes = { 0 };
    int rc = 0;

    *exit = 0;
    if (doctor->project &&
        (doctor_add_builders(doctor, &probes) < 0 || doctor_add_registries(doctor, &probes) < 0 ||
         doctor_add_notifiers(doctor, &probes) < 0 || doctor_add_others(doctor, &probes) < 0))
        rc = STRAKE_ENOMEM;
    if (rc == 0 && (doctor_add_files(doctor, &probes) < 0 || doctor_add_tools(doctor, &probes) < 0))
        rc = STRAKE_ENOMEM;
    if (rc == 0)
        rc = ask_all(&probes, job);
    if (rc == 0)
        rc = doctor_tell_targets(doctor, &probes);
    if (rc == 0)
        rc = gather(&probes, checks, exit);
    doctor_probes_dispose(&probes);
    if (rc < 0)
        return strake_fail_nomem(err);
    return strake_job_check(job, err);
}
