/* One step, with bytes (copy_progress.h). */
#include "build/copy_progress.h"

#include "util/time.h"

#define STEP_ID "copy"
#define EVERY_US 100000

static void tell_step(const struct strake_copy_progress *progress, int64_t completed_us,
                      const char *error)
{
    const struct strake_step step = { .size = sizeof(step),
                                      .id = STEP_ID,
                                      .name = progress->name,
                                      .started_us = progress->started_us,
                                      .completed_us = completed_us,
                                      .error = error };

    strake_job_step(progress->job, &step);
}

void strake_copy_progress_begin(struct strake_copy_progress *progress, const char *name,
                                struct strake_job *job)
{
    *progress = (struct strake_copy_progress){ .name = name, .job = job };
    pthread_mutex_init(&progress->lock, NULL);
    progress->started_us = strake_time_now_us();
    if (name)
        tell_step(progress, 0, NULL);
}

void strake_copy_progress_expect(struct strake_copy_progress *progress, int64_t bytes)
{
    pthread_mutex_lock(&progress->lock);
    progress->total_bytes += bytes > 0 ? bytes : 0;
    pthread_mutex_unlock(&progress->lock);
}

void strake_copy_progress_moved(void *ctx, int64_t bytes)
{
    struct strake_copy_progress *progress = ctx;
    const int64_t now_us = progress->name ? strake_time_mono_us() : 0;

    pthread_mutex_lock(&progress->lock);
    progress->current_bytes += bytes;
    if (progress->name && now_us - progress->told_us >= EVERY_US) {
        const struct strake_step_progress told = { .size = sizeof(told),
                                                   .step = STEP_ID,
                                                   .name = "",
                                                   .current_bytes = progress->current_bytes,
                                                   .total_bytes = progress->total_bytes };
        progress->told_us = now_us;
        strake_job_step_progress(progress->job, &told);
    }
    pthread_mutex_unlock(&progress->lock);
}

void strake_copy_progress_end(struct strake_copy_progress *progress, const char *error)
{
    if (progress->name)
        tell_step(progress, strake_time_now_us(), error);
    pthread_mutex_destroy(&progress->lock);
}
