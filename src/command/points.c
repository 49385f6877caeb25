/* SPDX-License-Identifier: Apache-2.0
 *
 * See points.h. What the folder of a point has beside its run is point.json: what the run cannot tell, that it is over, that it ended in
 * NaN, how fast it was.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "command/points.h"
#include "train/setup.h"

enum { RECORD_CAP = 1 << 16 };

const ghl_figure ghl_figures[GHL_FIGURES] = {
    [GHL_FIGURE_BEST_TOP1] = {"best_top1", 2},       [GHL_FIGURE_BEST_EPOCH] = {"best_epoch", 0},
    [GHL_FIGURE_LAST_TOP1] = {"last_top1", 2},       [GHL_FIGURE_TRAIN_LOSS] = {"train_loss", 4},
    [GHL_FIGURE_IMAGES_PER_S] = {"images_per_s", 1}, [GHL_FIGURE_EPOCHS] = {"epochs", 0},
    [GHL_FIGURE_STEPS] = {"steps", 0},
};
const char *const ghl_point_status_names[] = {[GHL_POINT_OPEN] = "open", [GHL_POINT_DONE] = "done", [GHL_POINT_NAN] = "nan"};

/* ---- Before the first training ---- */

/* Multiply-adds of an image's forward pass. */
static double net_work(const ghl_net *net)
{
    double sum = 0;
    for (int i = 0; i < net->count; i++) {
        const ghl_node *node = net->nodes[i];
        for (int k = 0; k < node->n_weights; k++)
            if (node->weights[k].role == GHL_MATRIX)
                sum += (double)ghl_shape_elements(node->weights[k].shape) * (double)(node->shape.h * node->shape.w);
    }
    return sum;
}

static int64_t all_epochs(const ghl_recipe *recipe)
{
    return ghl_recipe_epochs(recipe, ghl_recipe_phases(recipe));
}

ghl_status ghl_point_load(ghl_point *point, const char *path, int n, const char *const *settings)
{
    ghl_setup setup = {0};
    ghl_failure failure;
    for (int i = 0; i < GHL_FIGURES; i++)
        point->figures[i] = NAN;
    ghl_status status = ghl_recipe_load(path, n, settings, &point->recipe);
    if (status == GHL_OK)
        status = ghl_setup_describe(point->recipe, 0, &setup);
    if (status == GHL_OK)
        point->work = net_work(setup.net) * (double)all_epochs(point->recipe);
    ghl_failure_take(&failure, status);
    ghl_setup_release(&setup);
    if (status == GHL_OK)
        return GHL_OK;
    ghl_failure_raise(&failure);
    return ghl_fail_within(status, "%.200s", point->label);
}

/* ---- Records ---- */

/* A whole number of a record that somebody edited may be too large for one. */
static bool known(double figure)
{
    return isfinite(figure) && fabs(figure) < 1e15;
}

void ghl_point_add_figures(ghl_json *json, const ghl_point *point)
{
    ghl_json_add_text(json, "status", ghl_point_status_names[point->status]);
    for (int i = 0; i < GHL_FIGURES; i++) {
        if (ghl_figures[i].decimals == 0 && known(point->figures[i]))
            ghl_json_add_integer(json, ghl_figures[i].name, (int64_t)point->figures[i]);
        else
            ghl_json_add_real(json, ghl_figures[i].name, point->figures[i]);
    }
}

static void take_figures(ghl_point *point, const ghl_train_result *result)
{
    bool tested = result->best_epoch > 0; /* else the result's zeros mean nothing */
    double *f = point->figures;
    f[GHL_FIGURE_BEST_TOP1] = tested ? result->best_top1 : NAN;
    f[GHL_FIGURE_BEST_EPOCH] = tested ? (double)result->best_epoch : NAN;
    f[GHL_FIGURE_LAST_TOP1] = tested ? result->test_top1 : NAN;
    f[GHL_FIGURE_TRAIN_LOSS] = tested ? result->train_loss : NAN;
    f[GHL_FIGURE_IMAGES_PER_S] = result->images_per_s > 0 ? result->images_per_s : NAN;
    f[GHL_FIGURE_EPOCHS] = (double)result->epoch;
    f[GHL_FIGURE_STEPS] = (double)result->step;
}

static ghl_status write_record(const ghl_point *point, const char *folder)
{
    char path[4096];
    ghl_json *json = ghl_json_create(false);
    ghl_text text = {0};
    ghl_json_add_integer(json, "epochs_asked", all_epochs(point->recipe));
    ghl_point_add_figures(json, point);
    ghl_status status = ghl_json_print(json, 2, &text);
    ghl_json_free(json);
    ghl_text_add(&text, "\n");
    if (status == GHL_OK)
        status = ghl_text_end(&text);
    if (status == GHL_OK)
        status = ghl_path_join(path, folder, "point.json");
    if (status == GHL_OK)
        status = ghl_file_write(path, 1, &(ghl_span){.data = text.data, .size = text.length});
    ghl_text_release(&text);
    return status;
}

/* A record of another number of epochs leaves the point open. */
static void take_record(ghl_point *point, const ghl_json *json)
{
    const char *name = ghl_json_text(ghl_json_get(json, "status"));
    int64_t epochs = 0;
    if (name == NULL || !ghl_json_integer(ghl_json_get(json, "epochs_asked"), &epochs) ||
        epochs != all_epochs(point->recipe))
        return;
    for (int i = 0; i < GHL_FIGURES; i++)
        if (!ghl_json_real(ghl_json_get(json, ghl_figures[i].name), &point->figures[i]) || !known(point->figures[i]))
            point->figures[i] = NAN;
    for (int i = GHL_POINT_DONE; i <= GHL_POINT_NAN; i++)
        if (strcmp(ghl_point_status_names[i], name) == 0 && known(point->figures[GHL_FIGURE_STEPS]))
            point->status = (ghl_point_status)i;
}

static ghl_status read_record(ghl_point *point, const char *folder)
{
    char path[4096], *text = NULL;
    size_t size = 0;
    ghl_json *json = NULL;
    GHL_TRY(ghl_path_join(path, folder, "point.json"));
    if (!ghl_file_exists(path))
        return GHL_OK;
    GHL_TRY(ghl_file_read(path, RECORD_CAP, GHL_RUN, &text, &size));
    ghl_status status = ghl_json_parse(text, size, GHL_RUN, path, &json);
    free(text);
    if (status == GHL_OK)
        take_record(point, json);
    ghl_json_free(json);
    return status;
}

static ghl_status find_point(const ghl_points *points, ghl_point *point)
{
    static const char *const traces[] = {"state", "point.json"};
    char folder[4096], path[4096], *theirs = NULL, *ours = NULL;
    bool found = false;
    size_t size = 0;
    GHL_TRY(ghl_path_join(folder, points->folder, point->name));
    if (points->fresh && !point->left_out)
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
    return status == GHL_OK ? read_record(point, folder) : status;
}

ghl_status ghl_points_open(ghl_points *points, bool lock)
{
    if (lock) {
        GHL_TRY(ghl_folder_make(points->folder));
        GHL_TRY(ghl_folder_lock(points->folder, &points->lock));
    }
    for (int i = 0; i < points->count; i++)
        GHL_TRY(find_point(points, &points->items[i]));
    return GHL_OK;
}

/* ---- The trainings ---- */

/* `steps`: of the points before. */
static ghl_status train_point(const ghl_points *points, ghl_point *point, int64_t steps)
{
    char folder[4096];
    ghl_train_result result;
    ghl_train_options options = {.run = folder};
    if (points->stop_after > 0) {
        options.stop_after = points->stop_after - steps;
        if (options.stop_after <= 0)
            return ghl_fail(GHL_INTERRUPTED, "run the same command again to continue", "stopped before it, after %lld steps of the %s",
                            (long long)steps, points->all);
    }
    GHL_TRY(ghl_path_join(folder, points->folder, point->name));
    ghl_status status = ghl_train(point->recipe, &options, points->host, &result);
    if (status != GHL_OK && status != GHL_NAN)
        return status;
    point->status = status == GHL_OK ? GHL_POINT_DONE : GHL_POINT_NAN;
    take_figures(point, &result);
    if (status == GHL_NAN)
        ghl_tell(points->host, GHL_LEVEL_WARNING, "%s: the %s ends here: %s", point->label, points->one, ghl_error_message());
    return write_record(point, folder);
}

static bool wanted(const ghl_point *point)
{
    return point->status == GHL_POINT_OPEN && !point->left_out;
}

/* Work per second of those that are over, each by its record; 0: nothing is known. */
static double speed(const ghl_points *points)
{
    double work = 0, seconds = 0;
    for (int i = 0; i < points->count; i++) {
        const ghl_point *point = &points->items[i];
        double rate = point->figures[GHL_FIGURE_IMAGES_PER_S];
        if (point->status == GHL_POINT_DONE && rate > 0) {
            work += point->work;
            seconds += point->figures[GHL_FIGURE_STEPS] * (double)point->recipe->train.batch / rate;
        }
    }
    return seconds > 0 ? work / seconds : 0;
}

/* "point 3 of 12: LABEL", and, once the speed is known, the time that all the rest will take if it goes on so. */
static void announce(const ghl_points *points, int number)
{
    char left[16] = "";
    double rate = speed(points), work = 0;
    int place = 0, chosen = 0;
    for (int i = 0; i < points->count; i++) {
        chosen += !points->items[i].left_out;
        place += !points->items[i].left_out && i <= number;
        work += i >= number && wanted(&points->items[i]) ? points->items[i].work : 0;
    }
    if (rate > 0)
        ghl_time_print(work / rate, left);
    ghl_tell(points->host, GHL_LEVEL_INFO, "%s %d of %d: %s%s%s%s%s", points->one, place, chosen, points->items[number].label,
             rate > 0 ? "  ETA of the " : "", rate > 0 ? points->all : "", rate > 0 ? " " : "", left);
}

ghl_status ghl_points_train(ghl_points *points)
{
    int before = 0, chosen = 0;
    int64_t steps = 0;
    for (int i = 0; i < points->count; i++) {
        before += !points->items[i].left_out && points->items[i].status != GHL_POINT_OPEN;
        chosen += !points->items[i].left_out;
    }
    if (before > 0)
        ghl_tell(points->host, GHL_LEVEL_INFO, "%d of %d %ss of %s are done", before, chosen, points->one, points->folder);
    for (int i = 0; i < points->count; i++) {
        ghl_point *point = &points->items[i];
        if (wanted(point)) {
            announce(points, i);
            ghl_status status = train_point(points, point, steps);
            if (status != GHL_OK)
                return ghl_fail_within(status, "%s %.200s", points->one, point->label);
            GHL_TRY(points->trained(points->self));
        }
        steps += point->status != GHL_POINT_OPEN ? (int64_t)point->figures[GHL_FIGURE_STEPS] : 0;
    }
    return GHL_OK;
}

void ghl_points_release(ghl_points *points)
{
    for (int i = 0; i < points->count; i++) {
        ghl_recipe_free(points->items[i].recipe);
        free(points->items[i].settings);
        free(points->items[i].label);
        free(points->items[i].name);
    }
    free(points->items);
    if (points->lock >= 0)
        ghl_file_close(points->lock);
    *points = (ghl_points){.lock = -1};
}
