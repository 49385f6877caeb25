/* SPDX-License-Identifier: Apache-2.0
 *
 * All sinks of a run, opened, fed and closed together; the table of sinks.
 */
#include <stdlib.h>
#include <string.h>

#include "metric/sinks.h"

#define SINKS(ROW)       \
    ROW(ghl_sink, csv)   \
    ROW(ghl_sink, jsonl) \
    ROW(ghl_sink, bar)
GHL_DESCRIPTORS(sinks, SINKS);

ghl_registry ghl_sinks = {.what = "sink", .plural = "sinks", .builtin = sinks};

typedef struct opened {
    const ghl_sink *sink;
    void *self;
} opened;

struct ghl_metrics {
    opened *sinks;
    int count, capacity;
};

static int64_t find_length(const char *name, int n, const ghl_sink_length *lengths)
{
    for (int i = 0; i < n; i++)
        if (strcmp(lengths[i].name, name) == 0)
            return lengths[i].length;
    return 0;
}

ghl_status ghl_metrics_open(const char *folder, const ghl_host *host, const char *columns, int n, const ghl_sink_length *lengths,
                            ghl_metrics **out)
{
    ghl_metrics *m;
    ghl_status status = GHL_OK;

    *out = NULL;
    GHL_TRY(GHL_NEW(m, 1));
    const ghl_sink *sink;
    for (int i = 0; status == GHL_OK && (sink = (const ghl_sink *)ghl_registry_at(&ghl_sinks, i)); i++) {
        ghl_sink_place place = {.folder = folder, .host = host, .columns = columns, .length = find_length(sink->name, n, lengths)};
        status = GHL_GROW(m->sinks, m->capacity, m->count + 1);
        if (status != GHL_OK)
            break;
        m->sinks[m->count] = (opened){.sink = sink};
        if (sink->open)
            status = sink->open(&place, &m->sinks[m->count].self);
        m->count += status == GHL_OK;
    }
    if (status != GHL_OK) {
        ghl_metrics_close(m);
        return status;
    }
    *out = m;
    return GHL_OK;
}

/* Every sink gets the row; the first failure is what is reported. `arguments` may name the opened sink `o`. */
#define FEED(metrics, function, arguments)                                                             \
    do {                                                                                               \
        ghl_failure first = {.status = GHL_OK};                                                        \
        for (int i = 0; i < (metrics)->count; i++) {                                                   \
            const opened *o = &(metrics)->sinks[i];                                                    \
            ghl_status status = o->sink->function ? o->sink->function arguments : GHL_OK;              \
            if (status != GHL_OK && first.status == GHL_OK)                                            \
                ghl_failure_take(&first, status);                                                      \
        }                                                                                              \
        return first.status == GHL_OK ? GHL_OK : ghl_failure_raise(&first);                            \
    } while (0)

ghl_status ghl_metrics_progress(ghl_metrics *metrics, const ghl_step_row *row)
{
    FEED(metrics, progress, (o->self, row));
}

ghl_status ghl_metrics_step(ghl_metrics *metrics, const ghl_step_row *row)
{
    FEED(metrics, step, (o->self, row));
}

ghl_status ghl_metrics_epoch(ghl_metrics *metrics, const ghl_epoch_row *row)
{
    FEED(metrics, epoch, (o->self, row));
}

ghl_status ghl_metrics_note(ghl_metrics *metrics, int64_t step, const char *text)
{
    FEED(metrics, note, (o->self, step, text));
}

ghl_status ghl_metrics_sync(ghl_metrics *metrics)
{
    FEED(metrics, sync, (o->self));
}

int ghl_metrics_lengths(const ghl_metrics *metrics, int room, ghl_sink_length *out)
{
    int n = 0;

    for (int i = 0; i < metrics->count; i++) {
        const opened *o = &metrics->sinks[i];
        if (!o->sink->length)
            continue;
        if (n < room)
            out[n] = (ghl_sink_length){.name = o->sink->name, .length = o->sink->length(o->self)};
        n++;
    }
    return n;
}

void ghl_metrics_close(ghl_metrics *metrics)
{
    if (!metrics)
        return;
    for (int i = 0; i < metrics->count; i++)
        if (metrics->sinks[i].sink->close)
            metrics->sinks[i].sink->close(metrics->sinks[i].self);
    free(metrics->sinks);
    free(metrics);
}
