/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics.csv: a row an epoch, for spreadsheets and plots. The same training writes the same bytes: fixed decimals, no clock times.
 */
#include <math.h>
#include <stdlib.h>

#include "metric/sinks.h"

static const char head[] = "epoch,step,train_loss,train_top1,test_loss,test_top1,test_top5,best_top1,lr";

static ghl_status csv_open(const ghl_sink_place *place, void **self)
{
    ghl_appender *a;
    ghl_text text = {0};

    GHL_TRY(GHL_NEW(a, 1));
    ghl_text_add(&text, "%s%s\n", head, place->columns);
    ghl_status status = ghl_text_end(&text);
    if (status == GHL_OK)
        status = ghl_appender_open(a, place->folder, "metrics.csv", place->length, text.data);
    ghl_text_release(&text);
    if (status != GHL_OK) {
        ghl_appender_release(a);
        free(a);
        return status;
    }
    *self = a;
    return GHL_OK;
}

/* printf may write a NaN's sign; a figure that is not finite has one spelling here. */
static void add_figure(ghl_text *text, double value, int decimals)
{
    if (isnan(value))
        ghl_text_add(text, ",nan");
    else if (isinf(value))
        ghl_text_add(text, value > 0 ? ",inf" : ",-inf");
    else if (fabs(value) < 1e9)
        ghl_text_add(text, ",%.*f", decimals, value);
    else
        ghl_text_add(text, ",%.9g", value);
}

static ghl_status csv_epoch(void *self, const ghl_epoch_row *row)
{
    ghl_text text = {0};

    ghl_text_add(&text, "%lld,%lld", (long long)row->epoch, (long long)row->step);
    if (row->scored) {
        add_figure(&text, row->train_loss, 6);
        add_figure(&text, row->train_top1, 4);
    } else {
        ghl_text_add(&text, ",,");
    }
    if (row->tested) {
        add_figure(&text, row->test_loss, 6);
        add_figure(&text, row->test_top1, 4);
        add_figure(&text, row->test_top5, 4);
    } else {
        ghl_text_add(&text, ",,,");
    }
    if (row->tested || row->best_top1 > 0)
        add_figure(&text, row->best_top1, 4);
    else
        ghl_text_add(&text, ",");
    ghl_text_add(&text, ",");
    ghl_text_real(&text, row->lr);
    if (row->phase != NULL)
        ghl_text_add(&text, ",%s", row->phase);
    for (int i = 0; i < row->n_more; i++) {
        if (isnan(row->more[i]))
            ghl_text_add(&text, ",");
        else
            add_figure(&text, row->more[i], 6);
    }
    ghl_text_add(&text, "\n");
    return ghl_appender_write(self, &text);
}

static ghl_status csv_sync(void *self)
{
    return ghl_appender_sync(self);
}

static int64_t csv_length(void *self)
{
    const ghl_appender *a = self;
    return a->length;
}

static void csv_close(void *self)
{
    ghl_appender_release(self);
    free(self);
}

const ghl_sink ghl_sink_csv = {
    .name = "csv",
    .summary = "metrics.csv: a row an epoch, no clock times",
    .source = "RFC 4180, with line feeds",
    .open = csv_open,
    .epoch = csv_epoch,
    .sync = csv_sync,
    .length = csv_length,
    .close = csv_close,
};
