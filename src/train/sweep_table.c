/* SPDX-License-Identifier: Apache-2.0
 *
 * What is known of the points of a sweep: a record in the folder of each that is over (what its run cannot tell: that it ended in NaN,
 * how fast it was), sweep.csv, and the table, as text or JSON.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/json.h"
#include "train/catalog.h"
#include "train/sweep.h"

enum { RECORD_CAP = 1 << 16 };

static const struct {
    const char *name;
    int decimals; /* 0: a whole number */
} figures[GHL_FIGURES] = {
    [GHL_FIGURE_BEST_TOP1] = {"best_top1", 2},       [GHL_FIGURE_BEST_EPOCH] = {"best_epoch", 0},
    [GHL_FIGURE_LAST_TOP1] = {"last_top1", 2},       [GHL_FIGURE_TRAIN_LOSS] = {"train_loss", 4},
    [GHL_FIGURE_IMAGES_PER_S] = {"images_per_s", 1}, [GHL_FIGURE_EPOCHS] = {"epochs", 0},
    [GHL_FIGURE_STEPS] = {"steps", 0},
};
static const char *const status_names[] = {[GHL_POINT_OPEN] = "open", [GHL_POINT_DONE] = "done", [GHL_POINT_NAN] = "nan"};

void ghl_point_figures(ghl_point *point, const ghl_train_result *result)
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

/* A whole number of a record that somebody edited may be too large for one. */
static bool known(double figure)
{
    return isfinite(figure) && fabs(figure) < 1e15;
}

static void add_figures(ghl_json *json, const ghl_point *point)
{
    ghl_json_add_text(json, "status", status_names[point->status]);
    for (int i = 0; i < GHL_FIGURES; i++) {
        if (figures[i].decimals == 0 && known(point->figures[i]))
            ghl_json_add_integer(json, figures[i].name, (int64_t)point->figures[i]);
        else
            ghl_json_add_real(json, figures[i].name, point->figures[i]);
    }
}

/* ---- Records ---- */

static ghl_status write_text(const char *folder, const char *name, ghl_text *text)
{
    char path[4096];
    ghl_status status = ghl_text_end(text);
    if (status == GHL_OK)
        status = ghl_path_join(path, folder, name);
    if (status == GHL_OK)
        status = ghl_file_write(path, 1, &(ghl_span){.data = text->data, .size = text->length});
    ghl_text_release(text);
    return status;
}

ghl_status ghl_point_write(const ghl_point *point, const char *folder)
{
    ghl_json *json = ghl_json_create(false);
    ghl_text text = {0};
    ghl_json_add_integer(json, "epochs_asked", ghl_recipe_epochs(point->recipe, ghl_recipe_phases(point->recipe)));
    add_figures(json, point);
    ghl_status status = ghl_json_print(json, 2, &text);
    ghl_json_free(json);
    ghl_text_add(&text, "\n");
    if (status == GHL_OK)
        return write_text(folder, "point.json", &text);
    ghl_text_release(&text);
    return status;
}

static void take_record(ghl_point *point, const ghl_json *json)
{
    const char *name = ghl_json_text(ghl_json_get(json, "status"));
    int64_t epochs = 0;
    if (name == NULL || !ghl_json_integer(ghl_json_get(json, "epochs_asked"), &epochs) ||
        epochs != ghl_recipe_epochs(point->recipe, ghl_recipe_phases(point->recipe)))
        return;
    for (int i = 0; i < GHL_FIGURES; i++)
        if (!ghl_json_real(ghl_json_get(json, figures[i].name), &point->figures[i]) || !known(point->figures[i]))
            point->figures[i] = NAN;
    for (int i = GHL_POINT_DONE; i <= GHL_POINT_NAN; i++)
        if (strcmp(status_names[i], name) == 0 && known(point->figures[GHL_FIGURE_STEPS]))
            point->status = (ghl_point_status)i;
}

ghl_status ghl_point_read(ghl_point *point, const char *folder)
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

/* ---- Tables: a column for each axis, for each figure, and for the status ---- */

/* NAN and NaN points come last; among equals the grid's order. */
static bool better(const ghl_point *a, const ghl_point *b)
{
    if (a->status != b->status && (a->status == GHL_POINT_DONE || b->status == GHL_POINT_DONE))
        return a->status == GHL_POINT_DONE;
    double x = a->figures[GHL_FIGURE_BEST_TOP1], y = b->figures[GHL_FIGURE_BEST_TOP1];
    return isnan(y) ? !isnan(x) : x > y;
}

/* The points that are over, the best first. */
static int sort(const ghl_sweep_state *s)
{
    int n = 0;
    for (int i = 0; i < s->grid.points; i++) {
        const ghl_point *point = &s->points[i];
        int k = n;
        if (point->status == GHL_POINT_OPEN)
            continue;
        for (; k > 0 && better(point, s->sorted[k - 1]); k--)
            s->sorted[k] = s->sorted[k - 1];
        s->sorted[k] = point;
        n++;
    }
    return n;
}

/* The row of the grid that is the axis of a column; NULL: the column is none. */
static const ghl_axis *axis_of(const ghl_grid *grid, int column, int *row)
{
    for (*row = 0; *row < grid->n; ++*row)
        if (grid->rows[*row].count > 1 && column-- == 0)
            return &grid->rows[*row];
    return NULL;
}

/* The text of a cell; point NULL: the head's. `unknown` stands for what is not known. */
static const char *cell(const ghl_sweep_state *s, const ghl_point *point, int column, const char *unknown, char buffer[40])
{
    int row = 0, figure = column - s->grid.axes;
    const ghl_axis *axis = axis_of(&s->grid, column, &row);
    if (axis != NULL)
        return point != NULL ? point->settings[row] + strlen(axis->key) + 1 : axis->key;
    if (figure == GHL_FIGURES)
        return point != NULL ? status_names[point->status] : "status";
    if (point == NULL)
        return figures[figure].name;
    if (!known(point->figures[figure]))
        return unknown;
    snprintf(buffer, 40, "%.*f", figures[figure].decimals, point->figures[figure]);
    return buffer;
}

static void csv_field(ghl_text *text, const char *field)
{
    if (strpbrk(field, ",\"\n\r") == NULL) {
        ghl_text_add(text, "%s", field);
        return;
    }
    ghl_text_add(text, "\"");
    for (; *field != '\0'; field++) {
        if (*field == '"')
            ghl_text_add(text, "\"");
        ghl_text_append(text, field, 1);
    }
    ghl_text_add(text, "\"");
}

ghl_status ghl_sweep_csv(const ghl_sweep_state *s)
{
    ghl_text text = {0};
    int n = sort(s);
    for (int i = -1; i < n; i++) {
        const ghl_point *point = i >= 0 ? s->sorted[i] : NULL;
        for (int column = 0; column <= s->grid.axes + GHL_FIGURES; column++) {
            char buffer[40];
            csv_field(&text, cell(s, point, column, "", buffer));
            ghl_text_add(&text, ",");
        }
        csv_field(&text, point != NULL ? point->name : "folder");
        ghl_text_add(&text, "\n");
    }
    return write_text(s->folder, "sweep.csv", &text);
}

static ghl_status report_text(const ghl_sweep_state *s, int n)
{
    ghl_text text = {0};
    int columns = s->grid.axes + GHL_FIGURES + 1, *widths = NULL;
    char buffer[40];
    GHL_TRY(GHL_NEW(widths, columns));
    for (int i = -1; i < n; i++)
        for (int c = 0; c < columns; c++) {
            int width = (int)strlen(cell(s, i >= 0 ? s->sorted[i] : NULL, c, "-", buffer));
            widths[c] = width > widths[c] ? width : widths[c];
        }
    for (int i = -1; i < n; i++) {
        const ghl_point *point = i >= 0 ? s->sorted[i] : NULL;
        ghl_text_add(&text, i == 0 && point->status == GHL_POINT_DONE ? "*" : " ");
        for (int c = 0; c < columns; c++) { /* texts to the left, figures to the right; nothing behind the last */
            bool figure = c >= s->grid.axes && c + 1 < columns;
            int width = c + 1 == columns ? 0 : figure ? widths[c] : -widths[c];
            ghl_text_add(&text, "%s%*s", c > 0 ? "  " : " ", width, cell(s, point, c, "-", buffer));
        }
        ghl_text_add(&text, "\n");
    }
    free(widths);
    ghl_text_add(&text, "accuracy on %lld held-out training images; the test set was not looked at\n", (long long)s->holdout);
    return ghl_result_text(s->host, &text);
}

static ghl_status report_json(const ghl_sweep_state *s, int n)
{
    ghl_json *json = ghl_json_create(false);
    ghl_json_add_text(json, "folder", s->folder);
    ghl_json_add_integer(json, "holdout", s->holdout);
    ghl_json_add_text(json, "best", n > 0 && s->sorted[0]->status == GHL_POINT_DONE ? s->sorted[0]->name : NULL);
    ghl_json *list = ghl_json_add_array(json, "points");
    for (int i = 0; i < n; i++) {
        const ghl_point *point = s->sorted[i];
        ghl_json *o = ghl_json_add_object(list, NULL), *values = NULL;
        ghl_json_add_text(o, "folder", point->name);
        values = ghl_json_add_object(o, "values");
        for (int row = 0; row < s->grid.n; row++)
            if (s->grid.rows[row].count > 1)
                ghl_json_add_text(values, s->grid.rows[row].key, point->settings[row] + strlen(s->grid.rows[row].key) + 1);
        add_figures(o, point);
    }
    return ghl_result_json(s->host, json);
}

ghl_status ghl_sweep_report(const ghl_sweep_state *s)
{
    int n = sort(s);
    return s->options->json ? report_json(s, n) : report_text(s, n);
}
