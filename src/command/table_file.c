/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the files of tables. See table_file.h.
 */
#include "command/table_file.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"

#define ROW(field) offsetof(ghl_table_row, field)
static const ghl_option row_options[] = {
    {.name = "row", .type = GHL_OPTION_TEXT, .offset = ROW(row), .fallback = "", .help = "name within the table"},
    {.name = "network", .type = GHL_OPTION_TEXT, .offset = ROW(network), .fallback = "", .help = "shown"},
    {.name = "method", .type = GHL_OPTION_TEXT, .offset = ROW(method), .fallback = "", .help = "shown"},
    {.name = "data", .type = GHL_OPTION_TEXT, .offset = ROW(data), .fallback = "", .help = "shown"},
    {.name = "paper", .type = GHL_OPTION_REAL, .offset = ROW(paper), .fallback = "0", .max = 100, .help = "published, per cent; 0: none"},
    {.name = "recipe", .type = GHL_OPTION_TEXT, .offset = ROW(recipe), .fallback = "", .help = "its file, without .yaml"},
    {.name = "settings", .type = GHL_OPTION_TEXT, .offset = ROW(settings), .fallback = "", .help = "key=value, with spaces between"},
    {.name = "phase", .type = GHL_OPTION_TEXT, .offset = ROW(phase), .fallback = "",
     .help = "the phase that is printed, a name or pattern: of several the best; empty: the whole run"},
    {.name = "note", .type = GHL_OPTION_TEXT, .offset = ROW(note), .fallback = "", .help = "shown below the table"},
    {.name = "chart", .type = GHL_OPTION_TEXT, .offset = ROW(chart), .fallback = "", .help = "chart in which the row is a point"},
    {.name = "line", .type = GHL_OPTION_TEXT, .offset = ROW(line), .fallback = "", .help = "line of the chart"},
    {.name = "at", .type = GHL_OPTION_REAL, .offset = ROW(at), .fallback = "0", .min = -1e9, .max = 1e9, .help = "abscissa of the point"},
    {0},
};
#define TOP(field) offsetof(ghl_table, field)
static const ghl_option top_options[] = {
    {.name = "title", .type = GHL_OPTION_TEXT, .offset = TOP(title), .fallback = "", .help = "shown above the table"},
    {.name = "source", .type = GHL_OPTION_TEXT, .offset = TOP(source), .fallback = "", .help = "where the numbers are printed"},
    {.name = "axis", .type = GHL_OPTION_TEXT, .offset = TOP(axis), .fallback = "", .help = "abscissa of the charts"},
    {0},
};

/* ---- Names ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static ghl_status collect_names(DIR *folder, char ***names, int *count)
{
    int capacity = 0;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        size_t length = strlen(entry->d_name);
        if (length <= 5 || strcmp(entry->d_name + length - 5, ".yaml") != 0)
            continue;
        GHL_TRY(GHL_GROW(*names, capacity, *count + 1));
        GHL_TRY(ghl_copy_text(entry->d_name, &(*names)[*count]));
        (*names)[(*count)++][length - 5] = '\0';
    }
    return GHL_OK;
}

ghl_status ghl_table_names(const char *recipes, char ***names, int *count)
{
    static const char hint[] = "start it in the folder of ghl's sources, or say --recipes FOLDER (installed: PREFIX/share/ghl/recipes)";
    char path[4096];
    *names = NULL;
    *count = 0;
    GHL_TRY(ghl_path_join(path, recipes, "tables"));
    DIR *folder = opendir(path);
    ghl_status status = folder != NULL ? collect_names(folder, names, count) : GHL_OK;
    if (folder != NULL)
        closedir(folder);
    if (status == GHL_OK && *count == 0)
        status = ghl_fail(GHL_USAGE, hint, "no tables in %s", path);
    if (status == GHL_OK)
        qsort(*names, (size_t)*count, sizeof **names, by_name);
    else
        ghl_table_names_free(*names, *count);
    return status;
}

void ghl_table_names_free(char **names, int count)
{
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

/* GHL_USAGE "there is no table NAME: there are table1, table2". */
static ghl_status no_table(const char *recipes, const char *name)
{
    char **names = NULL;
    int count = 0;
    ghl_text list = {0};
    GHL_TRY(ghl_table_names(recipes, &names, &count));
    for (int i = 0; i < count; i++)
        ghl_text_add(&list, "%s%s", i > 0 ? ", " : "", names[i]);
    ghl_table_names_free(names, count);
    GHL_TRY(ghl_text_end(&list));
    ghl_status status = ghl_fail(GHL_USAGE, "\"ghl reproduce\" alone lists all rows", "there is no table \"%.80s\": there are %s",
                                 name, list.data);
    ghl_text_release(&list);
    return status;
}

/* ---- The file ---- */

static ghl_status read_row(const ghl_value *value, ghl_table *table)
{
    if (value->kind != GHL_VALUE_MAP)
        return ghl_value_fail(value, NULL, "a row is a map: {row: NAME, paper: 86.41}");
    GHL_TRY(GHL_GROW(table->rows, table->capacity, table->count + 1));
    ghl_table_row *row = &table->rows[table->count++];
    GHL_TRY(ghl_options_fill(row_options, value, NULL, "a row", row));
    if (row->row[0] == '\0' || strpbrk(row->row, "/*?[ ") != NULL)
        return ghl_value_fail(value, NULL, "row \"%.80s\": a row needs a name of letters, digits, - and _", row->row);
    for (int i = 0; i + 1 < table->count; i++)
        if (strcmp(table->rows[i].row, row->row) == 0)
            return ghl_value_fail(value, NULL, "two rows are called \"%.80s\"", row->row);
    if (row->recipe[0] != '\0')
        return GHL_OK;
    ghl_text text = {0};
    ghl_text_add(&text, "%s-%s", table->name, row->row);
    ghl_status status = ghl_text_end(&text);
    free(row->recipe);
    row->recipe = text.data;
    return status;
}

static ghl_status read_tree(const ghl_value *tree, ghl_table *table)
{
    static const char *const others[] = {"rows", NULL};
    GHL_TRY(ghl_options_fill(top_options, tree, others, "a table", table));
    const ghl_value *rows = ghl_value_find(tree, "rows");
    if (rows == NULL || rows->kind != GHL_VALUE_LIST || rows->count == 0)
        return ghl_value_fail(tree, NULL, "a table needs a list of rows");
    for (int i = 0; i < rows->count; i++)
        GHL_TRY(read_row(rows->items[i], table));
    return GHL_OK;
}

ghl_status ghl_table_read(const char *recipes, const char *name, ghl_table *table)
{
    char file[512], path[4096], *text = NULL;
    size_t size = 0;
    ghl_value *tree = NULL;
    *table = (ghl_table){0};
    snprintf(file, sizeof file, "tables/%.400s.yaml", name);
    GHL_TRY(ghl_path_join(path, recipes, file));
    if (strchr(name, '/') != NULL || !ghl_file_exists(path))
        return no_table(recipes, name);
    GHL_TRY(ghl_copy_text(name, &table->name));
    GHL_TRY(ghl_file_read(path, 1 << 20, GHL_RECIPE, &text, &size));
    ghl_status status = ghl_value_parse(text, size, path, &tree);
    free(text);
    if (status == GHL_OK)
        status = read_tree(tree, table);
    ghl_value_free(tree);
    return status;
}

void ghl_table_release(ghl_table *table)
{
    for (int i = 0; i < table->count; i++)
        ghl_options_release(row_options, &table->rows[i]);
    free(table->rows);
    ghl_options_release(top_options, table);
    free(table->name);
    *table = (ghl_table){0};
}

bool ghl_table_chooses(const ghl_table_row *row, const char *pattern)
{
    return pattern == NULL || fnmatch(pattern, row->row, 0) == 0;
}
