/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl_sweep: a grid of trainings, one after the other, judged on training images that were held out.
 *
 * Nothing is trained before every point's recipe is known to be good, and nothing is ever measured on the test set: a setting that was
 * chosen on it would make its accuracy worthless. points.c trains.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/sweep.h"

enum { HOLDOUT = 5000 }; /* images; a tenth of the training images where that is fewer */

/* ---- Before the first training ---- */

static ghl_status text_take(ghl_text *text, char **out)
{
    ghl_status status = ghl_text_end(text);
    *out = text->data;
    *text = (ghl_text){0};
    return status;
}

static ghl_status load_point(ghl_sweep_state *s, int number, const char *path)
{
    ghl_point *point = &s->all.items[number];
    ghl_text label = {0}, name = {0};
    GHL_TRY(GHL_NEW(point->settings, s->grid.n));
    ghl_grid_point(&s->grid, number, point->settings);
    ghl_grid_label(&s->grid, point->settings, " ", &label);
    GHL_TRY(text_take(&label, &point->label));
    ghl_grid_label(&s->grid, point->settings, "+", &label);
    GHL_TRY(ghl_text_end(&label));
    ghl_grid_folder(label.data, &name);
    ghl_text_release(&label);
    GHL_TRY(text_take(&name, &point->name));
    return ghl_point_load(point, path, s->grid.n, point->settings);
}

/* How many images to hold out where the recipe does not say. */
static ghl_status choose_holdout(const ghl_recipe *recipe, const ghl_host *host, int64_t *out)
{
    const ghl_data_format *format = (const ghl_data_format *)recipe->data_kind.kind;
    ghl_images train = {0};
    ghl_status status = format->read(recipe->data.path, false, recipe->data_kind.options, &train);
    int64_t count = train.count;
    ghl_images_release(&train);
    GHL_TRY(status);
    *out = count >= 10 * HOLDOUT ? HOLDOUT : (count + 9) / 10;
    ghl_tell(host, GHL_LEVEL_INFO, "data.holdout is 0 in the recipe: %lld of the %lld training images are held out to judge by",
             (long long)*out, (long long)count);
    return GHL_OK;
}

/* All points are judged on the same images. */
static ghl_status hold_out(ghl_sweep_state *s)
{
    int64_t chosen = 0;
    bool asked = false;
    for (int i = 0; i < s->grid.n; i++)
        asked = asked || strcmp(s->grid.rows[i].key, "data.holdout") == 0;
    for (int i = 0; i < s->all.count; i++) {
        ghl_recipe *recipe = s->all.items[i].recipe;
        if (recipe->data.holdout == 0 && asked)
            return ghl_fail(GHL_USAGE, "leave it out, or hold out some images: data.holdout=5000",
                            "data.holdout=0: a sweep is not judged on the test set");
        if (recipe->data.holdout == 0 && chosen == 0)
            GHL_TRY(choose_holdout(recipe, s->all.host, &chosen));
        if (recipe->data.holdout == 0)
            ghl_recipe_hold_out(recipe, chosen);
        if (recipe->data.holdout != s->all.items[0].recipe->data.holdout)
            return ghl_fail(GHL_USAGE, "give data.holdout one value", "%.200s: data.holdout differs from that of %.200s",
                            s->all.items[i].label, s->all.items[0].label);
    }
    s->holdout = s->all.items[0].recipe->data.holdout;
    return GHL_OK;
}

static ghl_status prepare(ghl_sweep_state *s, const char *path, int n, const char *const *settings)
{
    char name[256];
    if (s->options->stop_after < 0)
        return ghl_fail(GHL_USAGE, "0 sweeps to the end", "stop after %lld steps: not a number of steps",
                        (long long)s->options->stop_after);
    GHL_TRY(ghl_grid_parse(n, settings, &s->grid));
    GHL_TRY(GHL_GROW(s->all.items, s->all.capacity, s->grid.points));
    s->all.count = s->grid.points;
    GHL_TRY(GHL_NEW(s->sorted, s->grid.points));
    for (int i = 0; i < s->all.count; i++)
        GHL_TRY(load_point(s, i, path));
    GHL_TRY(hold_out(s));
    snprintf(name, sizeof name, "%s-sweep", s->all.items[0].recipe->top.name);
    GHL_TRY(ghl_run_folder(s->options->run, name, s->all.folder));
    return ghl_points_open(&s->all, true);
}

static ghl_status write_table(void *self)
{
    return ghl_sweep_csv(self);
}

ghl_status ghl_sweep(const char *recipe, int n, const char *const *settings, const ghl_sweep_options *options, const ghl_host *host)
{
    static const ghl_sweep_options none = {0};
    ghl_sweep_state *s = NULL;
    ghl_failure failure;
    GHL_TRY(GHL_NEW(s, 1));
    s->options = options != NULL ? options : &none;
    s->all = (ghl_points){.one = "point", .all = "sweep", .host = host, .fresh = s->options->fresh,
                          .stop_after = s->options->stop_after, .trained = write_table, .self = s, .lock = -1};
    ghl_stop_scope_enter();
    ghl_status status = prepare(s, recipe, n, settings);
    if (status == GHL_OK)
        status = ghl_points_train(&s->all);
    if (status == GHL_OK)
        status = ghl_sweep_csv(s);
    if (status == GHL_OK)
        status = ghl_sweep_report(s);
    ghl_failure_take(&failure, status);
    ghl_points_release(&s->all);
    ghl_grid_release(&s->grid);
    free(s->sorted);
    free(s);
    ghl_stop_scope_leave();
    return status == GHL_OK ? GHL_OK : ghl_failure_raise(&failure);
}
