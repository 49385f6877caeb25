/* SPDX-License-Identifier: Apache-2.0
 *
 * Sheets and the formats that print them: a row of the table below each.
 */
#include "metric/sheet.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Filling ---- */

static void add_cell(ghl_sheet *sheet, const char *format, va_list list)
{
    char cell[4096];
    vsnprintf(cell, sizeof cell, format, list);
    if (sheet->failed || GHL_GROW(sheet->cells, sheet->cells_capacity, sheet->n_cells + 1) != GHL_OK) {
        sheet->failed = true;
        return;
    }
    sheet->cells[sheet->n_cells++] = (int)sheet->store.length;
    ghl_text_append(&sheet->store, cell, strlen(cell) + 1);
}

void ghl_sheet_text(ghl_sheet *sheet, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    add_cell(sheet, format, list);
    va_end(list);
}

void ghl_sheet_column(ghl_sheet *sheet, const char *name, int flags)
{
    ghl_sheet_text(sheet, "%s", name);
    if (!sheet->failed && GHL_GROW(sheet->flags, sheet->flags_capacity, sheet->columns + 1) == GHL_OK)
        sheet->flags[sheet->columns++] = flags;
    else
        sheet->failed = true;
}

void ghl_sheet_real(ghl_sheet *sheet, double value, int decimals)
{
    ghl_text number = {0}; /* it writes a point in every locale */
    if (!isnan(value))
        ghl_text_add(&number, "%.*f", decimals, value);
    sheet->failed = ghl_text_end(&number) != GHL_OK || sheet->failed;
    ghl_sheet_text(sheet, "%s", number.data != NULL ? number.data : "");
    ghl_text_release(&number);
}

void ghl_sheet_note(ghl_sheet *sheet, const char *format, ...)
{
    char line[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    ghl_text_add(&sheet->notes, "%s\n", line);
}

void ghl_sheet_release(ghl_sheet *sheet)
{
    free(sheet->cells);
    free(sheet->flags);
    ghl_text_release(&sheet->store);
    ghl_text_release(&sheet->notes);
    *sheet = (ghl_sheet){0};
}

/* ---- Formats. Row 0 is the head. ---- */

static int rows(const ghl_sheet *sheet)
{
    return sheet->columns > 0 ? sheet->n_cells / sheet->columns : 0;
}

static const char *cell(const ghl_sheet *sheet, int row, int column, const char *missing)
{
    const char *text = sheet->store.data + sheet->cells[row * sheet->columns + column];
    return text[0] != '\0' ? text : missing;
}

/* Columns of a terminal that UTF-8 text takes: its characters. */
static int width_of(const char *text)
{
    int n = 0;
    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static int column_width(const ghl_sheet *sheet, int column, const char *missing)
{
    int widest = 0;
    for (int row = 0; row < rows(sheet); row++) {
        int width = width_of(cell(sheet, row, column, missing));
        widest = width > widest ? width : widest;
    }
    return widest;
}

static void print_padded(ghl_text *text, const char *plain, int width, bool right)
{
    int gap = width - width_of(plain);
    ghl_text_add(text, "%*s%s%*s", right && gap > 0 ? gap : 0, "", plain, !right && gap > 0 ? gap : 0, "");
}

/* Texts to the left, figures to the right, nothing behind the last. */
static void print_text(const ghl_sheet *sheet, const char *missing, ghl_text *text)
{
    int last = sheet->columns - 1;
    while (last > 0 && (sheet->flags[last] & GHL_SHEET_ASIDE))
        last--;
    for (int row = 0; row < rows(sheet); row++) {
        ghl_text_add(text, row > 0 && row == sheet->marked ? "*" : " ");
        for (int c = 0; c <= last; c++) {
            bool figure = (sheet->flags[c] & GHL_SHEET_FIGURE) != 0;
            if (sheet->flags[c] & GHL_SHEET_ASIDE)
                continue;
            ghl_text_add(text, c > 0 ? "  " : " ");
            print_padded(text, cell(sheet, row, c, missing), c == last && !figure ? 0 : column_width(sheet, c, missing), figure);
        }
        ghl_text_add(text, "\n");
    }
    if (sheet->notes.data != NULL)
        ghl_text_append(text, sheet->notes.data, sheet->notes.length);
}

/* RFC 4180, with line feeds. */
static void print_csv(const ghl_sheet *sheet, const char *missing, ghl_text *text)
{
    for (int row = 0; row < rows(sheet); row++)
        for (int c = 0; c < sheet->columns; c++) {
            const char *field = cell(sheet, row, c, missing);
            bool quoted = strpbrk(field, ",\"\n\r") != NULL;
            ghl_text_add(text, quoted ? "\"" : "");
            for (; *field != '\0'; field++) {
                ghl_text_append(text, "\"", *field == '"');
                ghl_text_append(text, field, 1);
            }
            ghl_text_add(text, "%s%s", quoted ? "\"" : "", c + 1 < sheet->columns ? "," : "\n");
        }
}

static void print_markdown(const ghl_sheet *sheet, const char *missing, ghl_text *text)
{
    if (sheet->title != NULL)
        ghl_text_add(text, "**%s**\n\n", sheet->title);
    for (int row = 0; row < rows(sheet); row++) {
        for (int c = 0; c < sheet->columns; c++) {
            ghl_text_add(text, "| ");
            for (const char *field = cell(sheet, row, c, missing); *field != '\0'; field++) {
                ghl_text_append(text, "\\", *field == '|');
                ghl_text_append(text, field, 1);
            }
            ghl_text_add(text, " ");
        }
        ghl_text_add(text, "|\n");
        for (int c = 0; row == 0 && c < sheet->columns; c++)
            ghl_text_add(text, "|%s%s", sheet->flags[c] & GHL_SHEET_FIGURE ? "--:" : "---", c + 1 < sheet->columns ? "" : "|\n");
    }
    if (sheet->notes.data != NULL)
        ghl_text_add(text, "\n%s", sheet->notes.data);
}

void ghl_text_escape(ghl_text *text, const char *plain)
{
    static const char *const marks[] = {"&", "&amp;", "<", "&lt;", ">", "&gt;", "\"", "&quot;"};
    for (; *plain != '\0'; plain++) {
        const char *out = NULL;
        for (size_t i = 0; i < sizeof marks / sizeof *marks; i += 2)
            out = *plain == marks[i][0] ? marks[i + 1] : out;
        ghl_text_append(text, out != NULL ? out : plain, out != NULL ? strlen(out) : 1);
    }
}

static void print_html(const ghl_sheet *sheet, const char *missing, ghl_text *text)
{
    ghl_text_add(text, "<table>\n");
    if (sheet->title != NULL) {
        ghl_text_add(text, "<caption>");
        ghl_text_escape(text, sheet->title);
        ghl_text_add(text, "</caption>\n");
    }
    for (int row = 0; row < rows(sheet); row++) {
        const char *tag = row == 0 ? "th" : "td";
        ghl_text_add(text, "%s<tr>", row == 0 ? "<thead>" : row == 1 ? "<tbody>" : "");
        for (int c = 0; c < sheet->columns; c++) {
            ghl_text_add(text, "<%s%s>", tag, sheet->flags[c] & GHL_SHEET_FIGURE ? " class=\"figure\"" : "");
            ghl_text_escape(text, cell(sheet, row, c, missing));
            ghl_text_add(text, "</%s>", tag);
        }
        ghl_text_add(text, "</tr>%s\n", row == 0 ? "</thead>" : row + 1 == rows(sheet) ? "</tbody>" : "");
    }
    ghl_text_add(text, "</table>\n");
    for (const char *line = sheet->notes.data, *end; line != NULL && *line != '\0'; line = end + 1) {
        char note[1024];
        end = strchr(line, '\n');
        snprintf(note, sizeof note, "%.*s", (int)(end - line), line);
        ghl_text_add(text, "<p class=\"note\">");
        ghl_text_escape(text, note);
        ghl_text_add(text, "</p>\n");
    }
}

static void print_json_text(ghl_text *text, const char *plain)
{
    ghl_text_add(text, "\"");
    for (; *plain != '\0'; plain++) {
        ghl_text_append(text, "\\", *plain == '"' || *plain == '\\');
        ghl_text_append(text, plain, 1);
    }
    ghl_text_add(text, "\"");
}

/* An array of objects, a key a column. */
static void print_json(const ghl_sheet *sheet, const char *missing, ghl_text *text)
{
    ghl_text_add(text, "[");
    for (int row = 1; row < rows(sheet); row++) {
        ghl_text_add(text, row > 1 ? ",\n {" : "\n {");
        for (int c = 0; c < sheet->columns; c++) {
            const char *field = cell(sheet, row, c, missing);
            bool figure = (sheet->flags[c] & GHL_SHEET_FIGURE) != 0 || field == missing;
            print_json_text(text, cell(sheet, 0, c, ""));
            ghl_text_add(text, ": ");
            if (figure)
                ghl_text_add(text, "%s", field);
            else
                print_json_text(text, field);
            ghl_text_add(text, c + 1 < sheet->columns ? ", " : "}");
        }
    }
    ghl_text_add(text, rows(sheet) > 1 ? "\n]\n" : "]\n");
}

const ghl_sheet_format ghl_sheet_formats[] = {
    {"text", "-", print_text}, {"csv", "", print_csv},        {"md", "", print_markdown},
    {"html", "\xe2\x80\x93", print_html}, {"json", "null", print_json}, {0},
};

const ghl_sheet_format *ghl_sheet_find(const char *name)
{
    const ghl_sheet_format *format = ghl_sheet_formats;
    while (strcmp(format->name, name) != 0)
        format++;
    return format;
}

ghl_status ghl_sheet_print(const ghl_sheet *sheet, const ghl_sheet_format *format, ghl_text *text)
{
    if (sheet->failed || sheet->store.failed || sheet->notes.failed)
        return ghl_fail(GHL_MEMORY, NULL, "out of memory for a table");
    format->print(sheet, format->missing, text);
    return GHL_OK;
}
