/* SPDX-License-Identifier: Apache-2.0
 *
 * sheet.h - a table for people and for programs: filled cell by cell, printed as text, CSV, Markdown, HTML or JSON.
 *
 *     ghl_sheet sheet = {0};
 *     ghl_sheet_column(&sheet, "rule", 0); ghl_sheet_column(&sheet, "accuracy", GHL_SHEET_FIGURE);
 *     ghl_sheet_text(&sheet, "%s", "ghl"); ghl_sheet_real(&sheet, 86.41, 2);          row by row, a cell a column
 *     ghl_sheet_print(&sheet, ghl_sheet_find("csv"), &text); ghl_sheet_release(&sheet);
 *
 * Filling never fails: a failure is kept and reported by the first print.
 */
#ifndef GHL_METRIC_SHEET_H
#define GHL_METRIC_SHEET_H

#include "base/memory.h"

enum { GHL_SHEET_FIGURE = 1, /* to the right, a number in JSON */ GHL_SHEET_ASIDE = 2 /* not in the text: it would be too wide */ };

typedef struct ghl_sheet {
    const char *title; /* borrowed; NULL: none. Not in CSV */
    int marked;        /* this row, from 1 on, stands out in the text; 0: none */
    ghl_text store;    /* all texts, each with a NUL: cells, then ... */
    ghl_text notes;    /* lines below the table */
    int *cells;        /* [n_cells] places in store: the head's, then the rows' */
    int *flags;        /* [columns] */
    int columns, n_cells, cells_capacity, flags_capacity;
    bool failed;
} ghl_sheet;

/* All columns first. */
void ghl_sheet_column(ghl_sheet *sheet, const char *name, int flags);
void ghl_sheet_text(ghl_sheet *sheet, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ghl_sheet_real(ghl_sheet *sheet, double value, int decimals); /* NAN: an empty cell */
void ghl_sheet_note(ghl_sheet *sheet, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ghl_sheet_release(ghl_sheet *sheet);

typedef struct ghl_sheet_format {
    const char *name;      /* also the ending of a file */
    const char *missing;   /* what stands in an empty cell */
    void (*print)(const ghl_sheet *sheet, const char *missing, ghl_text *text);
} ghl_sheet_format;
extern const ghl_sheet_format ghl_sheet_formats[]; /* text csv md html json; ends with a NULL name */

const ghl_sheet_format *ghl_sheet_find(const char *name); /* a literal of the table */
ghl_status ghl_sheet_print(const ghl_sheet *sheet, const ghl_sheet_format *format, ghl_text *text);

/* Text as HTML and SVG take it. */
void ghl_text_escape(ghl_text *text, const char *plain);

#endif
