/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl_reproduce: the rows of a published table, trained and set beside their numbers. A row is a recipe; its runs are ordinary runs, one a
 * seed, in folders named after the recipe and what was changed in it, so that tables share them and shortened ones stay apart.
 */
#include "command/reproduce.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ghl_status check_options(const ghl_reproduce_options *o)
{
    if (o->seeds < 0 || o->seeds > 1000)
        return ghl_fail(GHL_USAGE, "1 to 1000", "--seeds %lld", (long long)o->seeds);
    if (!(o->epochs_scale >= 0) || o->epochs_scale > 100)
        return ghl_fail(GHL_USAGE, "0.1 trains a tenth of the epochs; at most 100", "--epochs-scale %g", o->epochs_scale);
    if (o->stop_after < 0)
        return ghl_fail(GHL_USAGE, "0 trains to the end", "stop after %lld steps: not a number of steps", (long long)o->stop_after);
    return GHL_OK;
}

/* "table1/ROW" */
static ghl_status read_table(ghl_reproduction *r, const char *what)
{
    char name[128];
    const char *slash = strchr(what, '/');
    int chosen = 0;
    snprintf(name, sizeof name, "%.*s", (int)(slash != NULL ? slash - what : (ptrdiff_t)strlen(what)), what);
    r->pattern = slash != NULL && slash[1] != '\0' ? slash + 1 : NULL;
    GHL_TRY(ghl_table_read(r->recipes, name, &r->table));
    for (int i = 0; i < r->table.count; i++)
        chosen += ghl_table_chooses(&r->table.rows[i], r->pattern);
    if (chosen > 0)
        return GHL_OK;
    ghl_text list = {0};
    for (int i = 0; i < r->table.count; i++)
        ghl_text_add(&list, "%s%s", i > 0 ? ", " : "", r->table.rows[i].row);
    GHL_TRY(ghl_text_end(&list));
    ghl_status status = ghl_fail(GHL_USAGE, "a pattern will do too: \"table1/deephebb-*\"", "%s has no row \"%.80s\": there are %s",
                                 name, r->pattern, list.data);
    ghl_text_release(&list);
    return status;
}

static ghl_status write_files(void *self)
{
    return ghl_reproduction_report(self, false);
}

/* GHL_DATA where rows were chosen and none of them has a result because no data are there. */
static ghl_status check_results(const ghl_reproduction *r)
{
    bool missing = false;
    for (int i = 0; i < r->table.count; i++) {
        missing = missing || r->rows[i].no_data;
        for (int k = 0; r->rows[i].chosen && k < r->rows[i].count; k++)
            if (r->all.items[r->rows[i].first + k].status != GHL_POINT_OPEN)
                return GHL_OK;
    }
    for (int i = 0; missing && i < r->n_sources; i++)
        if (r->sources[i].failure.status != GHL_OK)
            return ghl_failure_raise(&r->sources[i].failure);
    return GHL_OK;
}

static ghl_status reproduce(ghl_reproduction *r, const char *what)
{
    GHL_TRY(check_options(r->options));
    GHL_TRY(read_table(r, what));
    GHL_TRY(ghl_run_folder(r->options->run, "reproduce", r->all.folder));
    GHL_TRY(ghl_reproduction_load(r));
    GHL_TRY(ghl_points_open(&r->all, !r->options->show));
    if (!r->options->show) {
        GHL_TRY(ghl_reproduction_sources(r));
        GHL_TRY(ghl_points_train(&r->all));
    }
    GHL_TRY(ghl_reproduction_report(r, true));
    return check_results(r);
}

static void release(ghl_reproduction *r)
{
    ghl_points_release(&r->all);
    for (int i = 0; i < r->n_sources; i++)
        free(r->sources[i].path);
    free(r->sources);
    free(r->rows);
    free(r->name);
    ghl_table_release(&r->table);
    free(r);
}

ghl_status ghl_reproduce(const char *what, int n, const char *const *settings, const ghl_reproduce_options *options, const ghl_host *host)
{
    static const ghl_reproduce_options none = {0};
    ghl_reproduction *r = NULL;
    ghl_failure failure;
    options = options != NULL ? options : &none;
    const char *recipes = options->recipes != NULL ? options->recipes : "recipes";
    if (what == NULL)
        return ghl_tables_list(recipes, options->json, host);
    GHL_TRY(GHL_NEW(r, 1));
    r->options = options;
    r->recipes = recipes;
    r->settings = settings;
    r->n_settings = n;
    r->all = (ghl_points){.one = "run", .all = "table", .host = host, .fresh = options->fresh && !options->show,
                          .stop_after = options->stop_after, .trained = write_files, .self = r, .lock = -1};
    ghl_stop_scope_enter();
    ghl_failure_take(&failure, reproduce(r, what));
    release(r);
    ghl_stop_scope_leave();
    return failure.status == GHL_OK ? GHL_OK : ghl_failure_raise(&failure);
}
