/* How progress is shown: chosen from --progress, the terminal and the environment, fed by the bus,
 * and drawn by a timer of the loop. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build/progress.h"
#include "cli/cli.h"
#include "util/log.h"

#define FRAME_MS 100

struct cli_view {
    struct strake_progress *progress;
    uv_timer_t timer;
    bool timer_open;
};

static int choose_mode(struct cli *cli, enum strake_progress_mode *mode)
{
    static const struct {
        const char *name;
        enum strake_progress_mode mode;
    } modes[] = {
        { "plain", STRAKE_PROGRESS_PLAIN },
        { "tty", STRAKE_PROGRESS_TTY },
        { "rawjson", STRAKE_PROGRESS_RAWJSON },
        { "quiet", STRAKE_PROGRESS_QUIET },
    };
    const char *given = cli_text(&cli->args, "progress");
    const char *actions = getenv("GITHUB_ACTIONS");

    if (given && strcmp(given, "auto") != 0) {
        for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
            if (strcmp(modes[i].name, given) == 0) {
                *mode = modes[i].mode;
                return 0;
            }
        }
        strake_fail(&cli->err, STRAKE_EUSAGE, "--progress %s is unknown", given);
        strake_err_hint(&cli->err, "auto, plain, tty, rawjson or quiet");
        return STRAKE_EUSAGE;
    }
    if (actions && strcmp(actions, "true") == 0)
        *mode = STRAKE_PROGRESS_GITHUB;
    else if (isatty(2) && (!getenv("TERM") || strcmp(getenv("TERM"), "dumb") != 0))
        *mode = STRAKE_PROGRESS_TTY;
    else
        *mode = STRAKE_PROGRESS_PLAIN;
    return 0;
}

static void on_frame(uv_timer_t *timer)
{
    struct cli_view *view = timer->data;

    if (strake_progress_is_live(view->progress))
        strake_progress_tick(view->progress);
}

int cli_view_open(struct cli *cli)
{
    struct cli_view *view;
    enum strake_progress_mode mode;
    int rc = choose_mode(cli, &mode);

    if (rc < 0)
        return rc;
    view = strake_calloc(1, sizeof(*view));
    if (view)
        view->progress = strake_progress_new(mode, 2, cli->colour, cli->session.run);
    if (!view || !view->progress) {
        strake_free(view);
        return strake_fail_nomem(&cli->err);
    }
    cli->view = view;
    if (strake_bus_add_sink(cli->session.bus, strake_progress_event, view->progress) < 0)
        return strake_fail(&cli->err, STRAKE_EINTERNAL, "too many observers");
    if (mode == STRAKE_PROGRESS_TTY &&
        uv_timer_init(strake_engine_loop(cli->engine), &view->timer) == 0) {
        view->timer.data = view;
        view->timer_open = true;
        uv_timer_start(&view->timer, on_frame, FRAME_MS, FRAME_MS);
        uv_unref((uv_handle_t *)&view->timer);
        strake_log_set_sink(strake_progress_line, view->progress);
    }
    return 0;
}

void cli_view_settle(struct cli *cli)
{
    if (cli->view)
        strake_progress_tick(cli->view->progress);
}

/* The timer's memory goes with the loop's last turn, which closes it. */
static void on_closed(uv_handle_t *timer)
{
    strake_free(timer->data);
}

void cli_view_close(struct cli *cli)
{
    struct cli_view *view = cli->view;

    if (!view)
        return;
    cli->view = NULL;
    strake_log_set_sink(NULL, NULL);
    if (view->timer_open)
        strake_progress_tick(view->progress);
    strake_progress_free(view->progress);
    view->progress = NULL;
    if (view->timer_open) {
        uv_close((uv_handle_t *)&view->timer, on_closed);
        return;
    }
    strake_free(view);
}
