/* SPDX-License-Identifier: Apache-2.0
 *
 * log.jsonl: a JSON object a line. Every N steps the figures of training and of the clock; notes ("note") where something happened.
 *
 * The state file records this file's length and must be the same bytes whenever the same training is at the same step. So figures
 * of the clock are padded in front to a fixed width (JSON allows spaces there) and capped at what the width holds.
 */
#include <math.h>
#include <stdlib.h>

#include "metric/sinks.h"

static ghl_status jsonl_open(const ghl_sink_place *place, void **self)
{
    ghl_appender *a;

    GHL_TRY(GHL_NEW(a, 1));
    ghl_status status = ghl_appender_open(a, place->folder, "log.jsonl", place->length, "");
    if (status != GHL_OK) {
        ghl_appender_release(a);
        free(a);
        return status;
    }
    *self = a;
    return GHL_OK;
}

static void add_figure(ghl_text *text, const char *key, double value)
{
    ghl_text_add(text, ", \"%s\": ", key);
    if (isfinite(value))
        ghl_text_add(text, "%.7g", value);
    else
        ghl_text_add(text, "null");
}

/* Always `width` characters behind the key; what is not a number, negative or too large is shown as the nearest that fits. */
static void add_clock_figure(ghl_text *text, const char *key, double value, int width, int decimals)
{
    double most = pow(10, width - decimals - 1) - 1;

    value = value > 0 ? value : 0;
    value = value < most ? value : most;
    ghl_text_add(text, ", \"%s\": %*.*f", key, width, decimals, value);
}

static void add_quoted(ghl_text *text, const char *s)
{
    ghl_text_add(text, "\"");
    for (; *s; s++) {
        if ((unsigned char)*s < 32)
            ghl_text_add(text, "\\u%04x", (unsigned)*s);
        else if (*s == '"' || *s == '\\')
            ghl_text_add(text, "\\%c", *s);
        else
            ghl_text_append(text, s, 1);
    }
    ghl_text_add(text, "\"");
}

static ghl_status jsonl_step(void *self, const ghl_step_row *row)
{
    ghl_text text = {0};

    ghl_text_add(&text, "{\"step\": %lld, \"epoch\": %lld", (long long)row->step, (long long)row->epoch);
    if (row->phase != NULL) {
        ghl_text_add(&text, ", \"phase\": ");
        add_quoted(&text, row->phase);
    }
    add_figure(&text, "loss", row->loss);
    add_figure(&text, "top1", row->top1);
    add_clock_figure(&text, "images_per_s", row->images_per_s, 12, 1);
    add_clock_figure(&text, "wait_percent", row->wait_percent, 6, 2);
    add_clock_figure(&text, "elapsed_s", row->elapsed_s, 14, 3);
    ghl_text_add(&text, "}\n");
    return ghl_appender_write(self, &text);
}

static ghl_status jsonl_note(void *self, int64_t step, const char *note)
{
    ghl_text text = {0};

    ghl_text_add(&text, "{\"step\": %lld, \"note\": ", (long long)step);
    add_quoted(&text, note);
    ghl_text_add(&text, "}\n");
    return ghl_appender_write(self, &text);
}

static ghl_status jsonl_sync(void *self)
{
    return ghl_appender_sync(self);
}

static int64_t jsonl_length(void *self)
{
    const ghl_appender *a = self;
    return a->length;
}

static void jsonl_close(void *self)
{
    ghl_appender_release(self);
    free(self);
}

const ghl_sink ghl_sink_jsonl = {
    .name = "jsonl",
    .summary = "log.jsonl: a JSON object every N steps, with speed and waiting; notes",
    .source = "RFC 8259, one object a line",
    .open = jsonl_open,
    .step = jsonl_step,
    .note = jsonl_note,
    .sync = jsonl_sync,
    .length = jsonl_length,
    .close = jsonl_close,
};
