/* SPDX-License-Identifier: Apache-2.0
 *
 * What a person sees: a bar that fits the terminal and is drawn at most ten times a second, and a plain line an epoch. Without
 * columns (no terminal) there are only the lines. The library writes nothing itself: the host gets the text.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/machine.h"
#include "metric/sinks.h"

enum { BAR_MOST = 30, BAR_LEAST = 8 };

typedef struct bar {
    const ghl_host *host;
    double drawn; /* when */
    bool shown;
} bar;

static ghl_status bar_open(const ghl_sink_place *place, void **self)
{
    bar *b;

    GHL_TRY(GHL_NEW(b, 1));
    b->host = place->host;
    b->drawn = -1;
    *self = b;
    return GHL_OK;
}

static void wipe(bar *b)
{
    if (b->shown)
        b->host->progress(b->host->user, "");
    b->shown = false;
}

void ghl_time_print(double s, char out[16])
{
    if (!isfinite(s) || s < 0 || s >= 1e7)
        snprintf(out, 16, "-:--");
    else if (s >= 3600)
        snprintf(out, 16, "%d:%02d:%02d", (int)(s / 3600), (int)(s / 60) % 60, (int)s % 60);
    else
        snprintf(out, 16, "%d:%02d", (int)(s / 60), (int)s % 60);
}

void ghl_bar_draw(ghl_text *text, double share, int cells)
{
    static const char *const eighths[8] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    int filled = (int)(share * cells * 8 + 0.5), whole = filled / 8, part = filled % 8;

    ghl_text_add(text, "▕");
    for (int i = 0; i < whole; i++)
        ghl_text_add(text, "█");
    ghl_text_add(text, "%s", eighths[part]);
    for (int i = whole + (part > 0); i < cells; i++)
        ghl_text_add(text, " ");
    ghl_text_add(text, "▏");
}

/* Parts in the order of their use to the reader; what does not fit is left out, and the bar itself takes the rest. */
static void compose(const ghl_step_row *row, int columns, ghl_text *text)
{
    double share = row->epoch_all > 0 ? (double)row->epoch_images / (double)row->epoch_all : 0;
    char before[64], left[16], parts[3][48];
    int shown = 0;

    share = share < 0 ? 0 : share > 1 ? 1 : share;
    ghl_time_print(row->images_per_s > 0 ? (double)row->images_left / row->images_per_s : -1, left);
    int used = snprintf(before, sizeof before, "epoch %lld/%lld %3.0f%%", (long long)row->epoch, (long long)row->epochs,
                        floor(100 * share));
    if (row->scored)
        snprintf(parts[0], sizeof parts[0], "  loss %.3f  top1 %.1f%%", row->loss, row->top1);
    else
        snprintf(parts[0], sizeof parts[0], "  without labels");
    snprintf(parts[1], sizeof parts[1], "  ETA %s", left);
    snprintf(parts[2], sizeof parts[2], "  %.0f images/s", row->images_per_s);
    while (shown < 3 && used + (int)strlen(parts[shown]) < columns)
        used += (int)strlen(parts[shown++]);
    int cells = columns - used - 4; /* a space, two frames, and the last column stays free */
    ghl_text_add(text, "%.*s", columns > 1 ? columns - 1 : 0, before);
    if (cells >= BAR_LEAST) {
        ghl_text_add(text, " ");
        ghl_bar_draw(text, share, cells < BAR_MOST ? cells : BAR_MOST);
    }
    for (int i = shown - 1; i >= 0; i--)
        ghl_text_add(text, "%s", parts[i]);
}

static ghl_status bar_progress(void *self, const ghl_step_row *row)
{
    bar *b = self;
    double now = ghl_now();

    if (!b->host || !b->host->progress || b->host->columns <= 0)
        return GHL_OK;
    if (b->drawn >= 0 && now - b->drawn < 0.1 && row->epoch_images < row->epoch_all)
        return GHL_OK;
    ghl_text text = {0};
    compose(row, b->host->columns, &text);
    ghl_status status = ghl_text_end(&text);
    if (status == GHL_OK) {
        b->host->progress(b->host->user, text.data);
        b->shown = true;
        b->drawn = now;
    }
    ghl_text_release(&text);
    return status;
}

static ghl_status bar_epoch(void *self, const ghl_epoch_row *row)
{
    bar *b = self;
    ghl_text text = {0};

    if (!b->host || !b->host->log)
        return GHL_OK;
    wipe(b);
    ghl_text_add(&text, "epoch %lld/%lld  step %lld", (long long)row->epoch, (long long)row->epochs, (long long)row->step);
    if (row->phase != NULL)
        ghl_text_add(&text, "  %s", row->phase);
    if (row->scored)
        ghl_text_add(&text, "  train loss %.4f top1 %.2f%%", row->train_loss, row->train_top1);
    if (row->tested)
        ghl_text_add(&text, "  test loss %.4f top1 %.2f%%%s best %.2f%%", row->test_loss, row->test_top1, row->best ? " *" : "",
                     row->best_top1);
    ghl_text_add(&text, "  %.0f images/s", row->images_per_s);
    ghl_status status = ghl_text_end(&text);
    if (status == GHL_OK)
        b->host->log(b->host->user, GHL_LEVEL_INFO, text.data);
    ghl_text_release(&text);
    return status;
}

static ghl_status bar_note(void *self, int64_t step, const char *text)
{
    bar *b = self;

    (void)step;
    if (!b->host || !b->host->log)
        return GHL_OK;
    wipe(b);
    b->host->log(b->host->user, GHL_LEVEL_WARNING, text);
    return GHL_OK;
}

static void bar_close(void *self)
{
    wipe(self);
    free(self);
}

const ghl_sink ghl_sink_bar = {
    .name = "bar",
    .summary = "on a terminal a bar with loss, accuracy, time left and speed; a plain line an epoch",
    .source = "definition",
    .open = bar_open,
    .progress = bar_progress,
    .epoch = bar_epoch,
    .note = bar_note,
    .close = bar_close,
};
