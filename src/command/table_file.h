/* SPDX-License-Identifier: Apache-2.0
 *
 * table_file.h - a table of published results as a file says it: RECIPES/tables/NAME.yaml. A table is data; adding one is adding a file.
 *
 *     title: Table 1, accuracy on CIFAR
 *     source: Hua et al. 2026, Table 1
 *     rows:
 *       - {row: deephebb-ghl-cifar10, network: DeepHebb, method: GHL, data: CIFAR-10, paper: 86.41}
 *
 * A row's recipe is RECIPES/NAME-ROW.yaml unless it says otherwise. Rows of the same recipe and settings share their runs: so each may
 * print another phase of them.
 */
#ifndef GHL_COMMAND_TABLE_FILE_H
#define GHL_COMMAND_TABLE_FILE_H

#include "base/options.h"

typedef struct ghl_table_row {
    char *row, *network, *method, *data;
    double paper;      /* per cent; 0: no number is printed */
    char *recipe;      /* name of a file of RECIPES, without .yaml; "": NAME-ROW */
    char *settings;    /* of the recipe, with spaces between; brackets and quotes protect spaces */
    char *phase;       /* what is printed: the phase of this name, of several that match the best; "": the whole run */
    char *note;        /* shown below the table */
    char *chart, *line; /* a point of a line of a chart; "": none */
    double at;         /* its abscissa */
} ghl_table_row;

typedef struct ghl_table {
    char *name, *title, *source, *axis; /* axis: what the abscissa of the charts is */
    ghl_table_row *rows;                /* [count] */
    int count, capacity;
} ghl_table;

/* GHL_USAGE lists the tables that exist where there is none of the name; GHL_RECIPE at line and column for a file that is wrong. */
ghl_status ghl_table_read(const char *recipes, const char *name, ghl_table *table);
void ghl_table_release(ghl_table *table);
/* The names of all tables, sorted, freed with ghl_table_names_free. GHL_USAGE where the folder has none. */
ghl_status ghl_table_names(const char *recipes, char ***names, int *count);
void ghl_table_names_free(char **names, int count);
/* Whether the row is chosen by a name or pattern; NULL chooses all. */
bool ghl_table_chooses(const ghl_table_row *row, const char *pattern);

#endif
