/* SPDX-License-Identifier: Apache-2.0
 *
 * From the rows of a table to runs: settings, seeds, folders, and whether the data are there. See reproduce.h.
 */
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "command/reproduce.h"
#include "command/sweep.h"
#include "data/data.h"

typedef struct list {
    char **items; /* [count] "key=value" */
    int count, capacity;
} list;

static void list_release(list *l)
{
    for (int i = 0; i < l->count; i++)
        free(l->items[i]);
    free(l->items);
    *l = (list){0};
}

static ghl_status list_add(list *l, const char *text, size_t length)
{
    ghl_text item = {0};
    GHL_TRY(GHL_GROW(l->items, l->capacity, l->count + 1));
    ghl_text_append(&item, text, length);
    ghl_status status = ghl_text_end(&item);
    l->items[l->count] = item.data;
    l->count += status == GHL_OK;
    return status;
}

/* "a=1 b=[2, 3]": cut at spaces outside brackets and quotes. */
static ghl_status list_split(list *l, const char *text)
{
    for (text += strspn(text, " "); *text != '\0'; text += strspn(text, " ")) {
        const char *end = text;
        int depth = 0;
        for (bool quoted = false; *end != '\0' && (*end != ' ' || depth > 0 || quoted); end++) {
            quoted = *end == '"' ? !quoted : quoted;
            depth += (*end == '[' || *end == '{') - (*end == ']' || *end == '}');
        }
        GHL_TRY(list_add(l, text, (size_t)(end - text)));
        text = end;
    }
    return GHL_OK;
}

/* "RECIPE a=1 b=2" for people, "RECIPE+a=1+b=2" for folders. */
static ghl_status join(const char *recipe, const list *l, const char *between, char **out)
{
    ghl_text text = {0};
    ghl_text_add(&text, "%s", recipe);
    for (int i = 0; i < l->count; i++)
        ghl_text_add(&text, "%s%s", between, l->items[i]);
    ghl_status status = ghl_text_end(&text);
    *out = text.data;
    return status;
}

static ghl_status folder_name(const char *recipe, const list *l, char **out)
{
    char *label = NULL;
    ghl_text name = {0};
    ghl_status status = join(recipe, l, "+", &label);
    if (status == GHL_OK) {
        ghl_grid_folder(label, &name);
        status = ghl_text_end(&name);
    }
    free(label);
    *out = name.data;
    return status;
}

/* ---- A row's settings ---- */

/* DIR/data for a recipe that says .../data; DIR itself where it is that folder. */
static ghl_status data_path(const ghl_reproduction *r, const char *path, char out[4096])
{
    const char *name = strrchr(path, '/');
    ghl_status status = ghl_path_join(out, r->options->data, name != NULL ? name + 1 : path);
    const char *given = strrchr(r->options->data, '/');
    given = given != NULL ? given + 1 : r->options->data;
    if (status == GHL_OK && !ghl_file_exists(out) && strcmp(given, name != NULL ? name + 1 : path) == 0)
        snprintf(out, 4096, "%s", r->options->data);
    return status;
}

/* Every phase keeps one epoch at least. */
static ghl_status shorten(const ghl_recipe *base, double scale, list *named)
{
    for (int i = 0; scale > 0 && scale != 1 && i < ghl_recipe_phases(base); i++) {
        char setting[96];
        double epochs = round((double)ghl_recipe_phase_at(base, i)->train.epochs * scale);
        int used = base->n_phases > 0 ? snprintf(setting, sizeof setting, "phases.%d.", i) : 0;
        snprintf(setting + used, sizeof setting - (size_t)used, "train.epochs=%lld", (long long)(epochs < 1 ? 1 : epochs));
        GHL_TRY(list_add(named, setting, strlen(setting)));
    }
    return GHL_OK;
}

static ghl_status check_phase(const ghl_recipe *base, const char *pattern)
{
    bool found = pattern[0] == '\0';
    for (int i = 0; i < base->n_phases; i++)
        found = found || fnmatch(pattern, base->phases[i]->phase.name, 0) == 0;
    return found ? GHL_OK : ghl_fail(GHL_RECIPE, NULL, "%s has no phase \"%.80s\"", base->origin, pattern);
}

/* What is changed in the recipe, in `named` what its folder is named by: where the data lie is no part of that. */
static ghl_status row_settings(const ghl_reproduction *r, const ghl_table_row *row, const char *file, list *named, char path[4096],
                               int64_t *seed)
{
    ghl_recipe *base = NULL;
    path[0] = '\0';
    GHL_TRY(list_split(named, row->settings));
    for (int i = 0; i < r->n_settings; i++)
        GHL_TRY(list_add(named, r->settings[i], strlen(r->settings[i])));
    GHL_TRY(ghl_recipe_load(file, named->count, (const char *const *)named->items, &base));
    *seed = base->top.seed;
    ghl_status status = check_phase(base, row->phase);
    if (status == GHL_OK)
        status = shorten(base, r->options->epochs_scale, named);
    if (status == GHL_OK && r->options->data != NULL && base->data.path[0] != '\0')
        status = data_path(r, base->data.path, path);
    ghl_recipe_free(base);
    return status;
}

/* The run of a seed. `named` ends in the seed. */
static ghl_status add_point(ghl_reproduction *r, ghl_row_state *state, const ghl_table_row *row, const list *named, const char *path)
{
    char setting[4200];
    const char **all = NULL;
    GHL_TRY(GHL_GROW(r->all.items, r->all.capacity, r->all.count + 1));
    ghl_point *point = &r->all.items[r->all.count++];
    state->count++;
    point->left_out = !state->chosen;
    GHL_TRY(join(row->recipe, named, " ", &point->label));
    GHL_TRY(folder_name(row->recipe, named, &point->name));
    GHL_TRY(GHL_NEW(all, named->count + 1));
    memcpy(all, named->items, (size_t)named->count * sizeof *all);
    snprintf(setting, sizeof setting, "data.path=%s", path);
    all[named->count] = setting;
    ghl_status status = ghl_point_load(point, state->recipe, named->count + (path[0] != '\0'), all);
    free(all);
    return status;
}

/* A run of this seed is over, though nobody asks for it now. */
static bool is_over(const ghl_reproduction *r, const ghl_table_row *row, const list *named)
{
    char *name = NULL, folder[4096], path[4096];
    bool found = folder_name(row->recipe, named, &name) == GHL_OK && ghl_path_join(folder, r->all.folder, name) == GHL_OK &&
                 ghl_path_join(path, folder, "point.json") == GHL_OK && ghl_file_exists(path);
    free(name);
    return found;
}

/* An earlier row of the same recipe and settings; `named` ends in the first seed. */
static ghl_status find_shared(const ghl_reproduction *r, const ghl_table_row *row, const list *named, const ghl_row_state **out)
{
    char *name = NULL;
    GHL_TRY(folder_name(row->recipe, named, &name));
    for (const ghl_row_state *state = r->rows; state < &r->rows[r->table.count]; state++)
        if (state->count > 0 && strcmp(r->all.items[state->first].name, name) == 0)
            *out = state;
    free(name);
    return GHL_OK;
}

static ghl_status load_row(ghl_reproduction *r, const ghl_table_row *row, ghl_row_state *state, list *named)
{
    char file[512], path[4096], setting[64];
    int64_t seed = 0;
    snprintf(file, sizeof file, "%.400s.yaml", row->recipe);
    GHL_TRY(ghl_path_join(state->recipe, r->recipes, file));
    state->built = ghl_file_exists(state->recipe);
    state->first = r->all.count;
    if (!state->built)
        return GHL_OK;
    state->chosen = ghl_table_chooses(row, r->pattern);
    GHL_TRY(row_settings(r, row, state->recipe, named, path, &seed));
    for (int64_t i = 0, wanted = r->options->seeds > 0 ? r->options->seeds : 1;; i++) {
        const ghl_row_state *shared = NULL;
        snprintf(setting, sizeof setting, "seed=%lld", (long long)(seed + i));
        GHL_TRY(list_add(named, setting, strlen(setting)));
        if (i == 0)
            GHL_TRY(find_shared(r, row, named, &shared));
        if (shared != NULL) {
            state->first = shared->first;
            state->count = shared->count;
            for (int k = 0; state->chosen && k < state->count; k++)
                r->all.items[state->first + k].left_out = false;
            return GHL_OK;
        }
        bool take = i < wanted || is_over(r, row, named);
        if (take)
            GHL_TRY(add_point(r, state, row, named, path));
        free(named->items[--named->count]);
        if (!take)
            return GHL_OK;
    }
}

/* "table1+model.width=0.5+epochs-scale=0.1" */
static ghl_status name_files(ghl_reproduction *r)
{
    list named = {0};
    char scale[64];
    ghl_status status = GHL_OK;
    for (int i = 0; status == GHL_OK && i < r->n_settings; i++)
        status = list_add(&named, r->settings[i], strlen(r->settings[i]));
    snprintf(scale, sizeof scale, "epochs-scale=%g", r->options->epochs_scale);
    if (status == GHL_OK && r->options->epochs_scale > 0 && r->options->epochs_scale != 1)
        status = list_add(&named, scale, strlen(scale));
    if (status == GHL_OK)
        status = folder_name(r->table.name, &named, &r->name);
    list_release(&named);
    return status;
}

ghl_status ghl_reproduction_load(ghl_reproduction *r)
{
    GHL_TRY(name_files(r));
    GHL_TRY(GHL_NEW(r->rows, r->table.count));
    for (int i = 0; i < r->table.count; i++) {
        list named = {0};
        ghl_status status = load_row(r, &r->table.rows[i], &r->rows[i], &named);
        list_release(&named);
        if (status != GHL_OK)
            return ghl_fail_within(status, "row %s of %s", r->table.rows[i].row, r->table.name);
    }
    return GHL_OK;
}

/* ---- Data ---- */

/* A format describes what is handed out where it is given no folder. */
static void warn_of_part(const ghl_reproduction *r, const ghl_data_source *source, const ghl_recipe *recipe, int64_t count)
{
    const ghl_data_format *format = (const ghl_data_format *)source->kind;
    ghl_images whole = {0};
    if (format->describe != NULL && format->describe(NULL, false, recipe->data_kind.options, &whole) == GHL_OK && count < whole.count)
        ghl_tell(r->all.host, GHL_LEVEL_WARNING, "%s has %lld of the %lld training images of %s", source->path, (long long)count,
                 (long long)whole.count, source->kind->name);
}

static ghl_status find_source(ghl_reproduction *r, const ghl_recipe *recipe, const ghl_data_source **out)
{
    for (int i = 0; i < r->n_sources; i++)
        if (r->sources[i].kind == recipe->data_kind.kind && strcmp(r->sources[i].path, recipe->data.path) == 0) {
            *out = &r->sources[i];
            return GHL_OK;
        }
    ghl_images train, test;
    GHL_TRY(GHL_GROW(r->sources, r->sources_capacity, r->n_sources + 1));
    ghl_data_source *source = &r->sources[r->n_sources];
    source->kind = recipe->data_kind.kind;
    GHL_TRY(ghl_copy_text(recipe->data.path, &source->path));
    r->n_sources++;
    *out = source;
    ghl_status status = ghl_data_load((const ghl_data_format *)source->kind, recipe->data.path, recipe->data_kind.options, &train, &test);
    ghl_failure_take(&source->failure, status);
    if (status == GHL_OK) {
        warn_of_part(r, source, recipe, train.count);
        ghl_images_release(&train);
        ghl_images_release(&test);
        return GHL_OK;
    }
    ghl_tell(r->all.host, GHL_LEVEL_WARNING, "rows on %s are not run: %s: %s", source->kind->name, source->failure.message,
             source->failure.hint != NULL ? source->failure.hint : "");
    return status == GHL_DATA ? GHL_OK : status;
}

ghl_status ghl_reproduction_sources(ghl_reproduction *r)
{
    for (int i = 0; i < r->table.count; i++)
        for (int k = 0; k < r->rows[i].count; k++) {
            ghl_point *point = &r->all.items[r->rows[i].first + k];
            const ghl_data_source *source = NULL;
            if (!r->rows[i].chosen || point->status != GHL_POINT_OPEN)
                continue;
            GHL_TRY(find_source(r, point->recipe, &source));
            point->left_out = source->failure.status != GHL_OK;
            r->rows[i].no_data = r->rows[i].no_data || point->left_out;
        }
    return GHL_OK;
}
