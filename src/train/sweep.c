/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl_sweep: a grid of trainings, one after the other, judged on training images that were held out.
 *
 * A point is an ordinary run in its own folder, so that it resumes exactly; what a sweep adds to it is a record that it is over. Nothing
 * is trained before every point's recipe is known to be good, and nothing is ever measured on the test set: a setting that was chosen
 * on it would make its accuracy worthless.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "train/inspect.h"
#include "train/sweep.h"

enum { HOLDOUT = 5000 }; /* images; a tenth of the training images where that is fewer */

/* ---- Before the first training ---- */

/* Recipe, net and rows of `learn` are checked; the data are not read. */
static ghl_status check_point(const ghl_recipe *recipe)
{
    ghl_setup setup;
    ghl_failure failure;
    ghl_status status = ghl_inspect_begin(recipe, 0, &setup);
    ghl_failure_take(&failure, status);
    ghl_setup_release(&setup);
    return status == GHL_OK ? GHL_OK : ghl_failure_raise(&failure);
}

static ghl_status text_take(ghl_text *text, char **out)
{
    ghl_status status = ghl_text_end(text);
    *out = text->data;
    *text = (ghl_text){0};
    return status;
}

static ghl_status load_point(ghl_sweep_state *s, int number, const char *path)
{
    ghl_point *point = &s->points[number];
    ghl_text label = {0}, name = {0};
    for (int i = 0; i < GHL_FIGURES; i++)
        point->figures[i] = NAN;
    GHL_TRY(GHL_NEW(point->settings, s->grid.n));
    ghl_grid_point(&s->grid, number, point->settings);
    ghl_grid_label(&s->grid, point->settings, " ", &label);
    GHL_TRY(text_take(&label, &point->label));
    ghl_grid_label(&s->grid, point->settings, "+", &label);
    GHL_TRY(ghl_text_end(&label));
    ghl_grid_folder(label.data, &name);
    ghl_text_release(&label);
    GHL_TRY(text_take(&name, &point->name));
    ghl_status status = ghl_recipe_load(path, s->grid.n, point->settings, &point->recipe);
    if (status == GHL_OK)
        status = check_point(point->recipe);
    return status == GHL_OK ? GHL_OK : ghl_fail_within(status, "%.200s", point->label);
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
    for (int i = 0; i < s->grid.points; i++) {
        ghl_recipe *recipe = s->points[i].recipe;
        if (recipe->data.holdout == 0 && asked)
            return ghl_fail(GHL_USAGE, "leave it out, or hold out some images: data.holdout=5000",
                            "data.holdout=0: a sweep is not judged on the test set");
        if (recipe->data.holdout == 0 && chosen == 0)
            GHL_TRY(choose_holdout(recipe, s->host, &chosen));
        if (recipe->data.holdout == 0)
            ghl_recipe_hold_out(recipe, chosen);
        if (recipe->data.holdout != s->points[0].recipe->data.holdout)
            return ghl_fail(GHL_USAGE, "give data.holdout one value", "%.200s: data.holdout differs from that of %.200s",
                            s->points[i].label, s->points[0].label);
    }
    s->holdout = s->points[0].recipe->data.holdout;
    return GHL_OK;
}

/* What an earlier sweep left of a point: nothing, a run to continue, or one that is over. A run of another recipe is refused. */
static ghl_status find_point(const ghl_sweep_state *s, ghl_point *point)
{
    static const char *const traces[] = {"state", "point.json"};
    char folder[4096], path[4096], *theirs = NULL, *ours = NULL;
    bool found = false;
    size_t size = 0;
    GHL_TRY(ghl_path_join(folder, s->folder, point->name));
    if (s->options->fresh)
        return ghl_run_remove(folder);
    for (size_t i = 0; i < sizeof traces / sizeof *traces; i++) {
        GHL_TRY(ghl_path_join(path, folder, traces[i]));
        found = found || ghl_file_exists(path);
    }
    if (!found)
        return GHL_OK;
    GHL_TRY(ghl_path_join(path, folder, "recipe.yaml"));
    GHL_TRY(ghl_file_read(path, 1 << 20, GHL_RUN, &theirs, &size));
    ours = ghl_recipe_text(point->recipe);
    ghl_status status = ours != NULL ? ghl_run_compare(folder, theirs, ours) : ghl_fail(GHL_MEMORY, NULL, "out of memory for a recipe");
    ghl_free(ours);
    free(theirs);
    return status == GHL_OK ? ghl_point_read(point, folder) : status;
}

static ghl_status prepare(ghl_sweep_state *s, const char *path, int n, const char *const *settings)
{
    char name[256];
    if (s->options->stop_after < 0)
        return ghl_fail(GHL_USAGE, "0 sweeps to the end", "stop after %lld steps: not a number of steps",
                        (long long)s->options->stop_after);
    GHL_TRY(ghl_grid_parse(n, settings, &s->grid));
    GHL_TRY(GHL_NEW(s->points, s->grid.points));
    GHL_TRY(GHL_NEW(s->sorted, s->grid.points));
    for (int i = 0; i < s->grid.points; i++)
        GHL_TRY(load_point(s, i, path));
    GHL_TRY(hold_out(s));
    snprintf(name, sizeof name, "%s-sweep", s->points[0].recipe->top.name);
    GHL_TRY(ghl_run_folder(s->options->run, name, s->folder));
    GHL_TRY(ghl_folder_make(s->folder));
    GHL_TRY(ghl_folder_lock(s->folder, &s->lock));
    for (int i = 0; i < s->grid.points; i++)
        GHL_TRY(find_point(s, &s->points[i]));
    return GHL_OK;
}

/* ---- The trainings ---- */

/* `steps`: of the points before. A step that is not finite ends the point, not the sweep. */
static ghl_status train_point(const ghl_sweep_state *s, ghl_point *point, int64_t steps)
{
    char folder[4096];
    ghl_train_result result;
    ghl_train_options options = {.run = folder};
    if (s->options->stop_after > 0) {
        options.stop_after = s->options->stop_after - steps;
        if (options.stop_after <= 0)
            return ghl_fail(GHL_INTERRUPTED, "run the same command again to continue", "stopped before it, after %lld steps of the sweep",
                            (long long)steps);
    }
    GHL_TRY(ghl_path_join(folder, s->folder, point->name));
    ghl_status status = ghl_train(point->recipe, &options, s->host, &result);
    if (status != GHL_OK && status != GHL_NAN)
        return status;
    point->status = status == GHL_OK ? GHL_POINT_DONE : GHL_POINT_NAN;
    ghl_point_figures(point, &result);
    if (status == GHL_NAN)
        ghl_tell(s->host, GHL_LEVEL_WARNING, "%s: the point ends here: %s", point->label, ghl_error_message());
    return ghl_point_write(point, folder);
}

/* "point 3 of 12: LABEL", and, once one is trained, the time that all the rest will take if it goes on as it did. */
static void announce(const ghl_sweep_state *s, int number, double seconds, int trained)
{
    char left[16] = "";
    int open = 0;
    for (int i = number; i < s->grid.points; i++)
        open += s->points[i].status == GHL_POINT_OPEN;
    if (trained > 0)
        ghl_time_print(seconds / trained * open, left);
    ghl_tell(s->host, GHL_LEVEL_INFO, "point %d of %d: %s%s%s", number + 1, s->grid.points, s->points[number].label,
             trained > 0 ? "  ETA of the sweep " : "", left);
}

static ghl_status train_points(ghl_sweep_state *s)
{
    double start = ghl_now();
    int trained = 0, before = 0;
    int64_t steps = 0;
    for (int i = 0; i < s->grid.points; i++)
        before += s->points[i].status != GHL_POINT_OPEN;
    if (before > 0)
        ghl_tell(s->host, GHL_LEVEL_INFO, "%d of %d points of %s are done", before, s->grid.points, s->folder);
    for (int i = 0; i < s->grid.points; i++) {
        ghl_point *point = &s->points[i];
        if (point->status == GHL_POINT_OPEN) {
            announce(s, i, ghl_now() - start, trained++);
            ghl_status status = train_point(s, point, steps);
            if (status != GHL_OK)
                return ghl_fail_within(status, "point %d of %d, %.200s", i + 1, s->grid.points, point->label);
            GHL_TRY(ghl_sweep_csv(s));
        }
        steps += (int64_t)point->figures[GHL_FIGURE_STEPS];
    }
    return ghl_sweep_csv(s);
}

static void release(ghl_sweep_state *s)
{
    for (int i = 0; s->points != NULL && i < s->grid.points; i++) {
        ghl_recipe_free(s->points[i].recipe);
        free(s->points[i].settings);
        free(s->points[i].label);
        free(s->points[i].name);
    }
    free(s->points);
    free(s->sorted);
    ghl_grid_release(&s->grid);
    if (s->lock >= 0)
        ghl_folder_unlock(s->lock);
}

ghl_status ghl_sweep(const char *recipe, int n, const char *const *settings, const ghl_sweep_options *options, const ghl_host *host)
{
    static const ghl_sweep_options none = {0};
    ghl_sweep_state *s = NULL;
    ghl_failure failure;
    GHL_TRY(GHL_NEW(s, 1));
    s->options = options != NULL ? options : &none;
    s->host = host;
    s->lock = -1;
    ghl_stop_scope_enter();
    ghl_status status = prepare(s, recipe, n, settings);
    if (status == GHL_OK)
        status = train_points(s);
    if (status == GHL_OK)
        status = ghl_sweep_report(s);
    ghl_failure_take(&failure, status);
    release(s);
    free(s);
    ghl_stop_scope_leave();
    return status == GHL_OK ? GHL_OK : ghl_failure_raise(&failure);
}
