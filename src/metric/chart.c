/* SPDX-License-Identifier: Apache-2.0
 *
 * Line charts. Colours are those of Okabe and Ito (2008), which stay apart for every kind of colour vision; past eight lines the
 * dashes change, so that a line is told by both, unless whoever draws gives colour and dashes meanings of their own. The legend stands to
 * the right, in the order of the series.
 */
#include "metric/chart.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 560, HEIGHT = 330, LEFT = 62, RIGHT = 14, TOP = 34, BOTTOM = 48, LINE = 17, LETTER = 7, TICKS = 6 };

static const char *const colours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D1F"};
static const char *const dashes[] = {"", "7 3", "2 3", "9 3 2 3"};
enum { COLOURS = sizeof colours / sizeof *colours, DASHES = sizeof dashes / sizeof *dashes };

typedef struct axis {
    double low, high, step;
    int decimals;
} axis;

ghl_status ghl_chart_series(ghl_chart *chart, const char *name, ghl_series **out)
{
    for (int i = 0; i < chart->count; i++)
        if (strcmp(chart->series[i].name, name) == 0) {
            *out = &chart->series[i];
            return GHL_OK;
        }
    GHL_TRY(GHL_GROW(chart->series, chart->capacity, chart->count + 1));
    *out = &chart->series[chart->count++];
    snprintf((*out)->name, sizeof(*out)->name, "%s", name);
    (*out)->colour = (chart->count - 1) % COLOURS;
    (*out)->dash = (chart->count - 1) / COLOURS;
    return GHL_OK;
}

ghl_status ghl_series_add(ghl_series *series, double x, double y)
{
    GHL_TRY(GHL_GROW(series->x, series->x_capacity, series->count + 1));
    GHL_TRY(GHL_GROW(series->y, series->y_capacity, series->count + 1));
    series->x[series->count] = x;
    series->y[series->count++] = y;
    return GHL_OK;
}

void ghl_chart_release(ghl_chart *chart)
{
    for (int i = 0; i < chart->count; i++) {
        free(chart->series[i].x);
        free(chart->series[i].y);
    }
    free(chart->series);
    *chart = (ghl_chart){0};
}

static bool drawn(const ghl_series *s, int i)
{
    return isfinite(s->x[i]) && isfinite(s->y[i]);
}

/* Steps of 1, 2 or 5 times a power of ten; the ends are whole steps. */
static axis make_axis(const ghl_chart *chart, bool vertical)
{
    axis a = {.low = INFINITY, .high = -INFINITY};
    bool whole = true;
    for (int k = 0; k < chart->count; k++)
        for (int i = 0; i < chart->series[k].count; i++) {
            double value = vertical ? chart->series[k].y[i] : chart->series[k].x[i];
            if (drawn(&chart->series[k], i)) {
                whole = whole && value == floor(value);
                a.low = value < a.low ? value : a.low;
                a.high = value > a.high ? value : a.high;
            }
        }
    double span = a.high - a.low;
    if (!(span > 0)) { /* all alike: some room around it */
        span = a.low != 0 ? fabs(a.low) * 0.2 : 1;
        a.low -= vertical ? span / 2 : 0;
        a.high += span / 2;
    }
    double rough = span / TICKS, power = pow(10, floor(log10(rough))), ratio = rough / power;
    a.step = power * (ratio <= 1 ? 1 : ratio <= 2 ? 2 : ratio <= 5 ? 5 : 10);
    if (!vertical && whole && a.step < 1) /* nothing lies between epochs */
        a.step = 1;
    a.decimals = a.step < 1 ? (int)ceil(-log10(a.step) - 1e-9) : 0;
    a.low = vertical ? floor(a.low / a.step + 1e-9) * a.step : a.low;
    a.high = vertical ? ceil(a.high / a.step - 1e-9) * a.step : a.high;
    return a;
}

static double place(const axis *a, double value, bool vertical)
{
    double share = (value - a->low) / (a->high - a->low);
    return vertical ? TOP + (1 - share) * (HEIGHT - TOP - BOTTOM) : LEFT + share * (WIDTH - LEFT - RIGHT);
}

/* Integers of type double: "%.2f" of them must not print -0. */
static void print_ticks(const axis *a, bool vertical, ghl_text *text)
{
    for (double k = ceil(a->low / a->step - 1e-9); k * a->step <= a->high + a->step * 1e-9; k++) {
        double value = k * a->step + 0.0, at = place(a, value, vertical);
        if (vertical)
            ghl_text_add(text, "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.*f</text>\n", LEFT,
                         at, WIDTH - RIGHT, LEFT - 7, at + 4, a->decimals, value);
        else
            ghl_text_add(text, "<path class=\"grid\" d=\"M%.1f %dV%d\"/><text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.*f</text>\n",
                         at, TOP, HEIGHT - BOTTOM, at, HEIGHT - BOTTOM + 17, a->decimals, value);
    }
}

static void print_label(ghl_text *text, const char *attributes, const char *label)
{
    ghl_text_add(text, "<text %s>", attributes);
    ghl_text_escape(text, label);
    ghl_text_add(text, "</text>\n");
}

static void print_series(const ghl_chart *chart, int number, const axis *x, const axis *y, ghl_text *text)
{
    const ghl_series *s = &chart->series[number];
    const char *colour = colours[s->colour % COLOURS];
    bool pen = false;
    ghl_text_add(text, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"1.8\" stroke-dasharray=\"%s\" d=\"", colour,
                 dashes[s->dash % DASHES]);
    for (int i = 0; i < s->count; i++) {
        if (drawn(s, i))
            ghl_text_add(text, "%s%.1f %.1f", pen ? "L" : "M", place(x, s->x[i], false), place(y, s->y[i], true));
        pen = drawn(s, i);
    }
    ghl_text_add(text, "\"/>\n");
    for (int i = 0; i < s->count; i++)
        if (drawn(s, i) && (chart->markers || s->count == 1))
            ghl_text_add(text, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", place(x, s->x[i], false),
                         place(y, s->y[i], true), colour);
}

static void print_legend(const ghl_chart *chart, ghl_text *text)
{
    for (int i = 0; i < chart->count; i++) {
        char attributes[80];
        int at = TOP + 6 + i * LINE;
        ghl_text_add(text, "<path stroke=\"%s\" stroke-width=\"2.4\" stroke-dasharray=\"%s\" d=\"M%d %dh26\"/>\n",
                     colours[chart->series[i].colour % COLOURS], dashes[chart->series[i].dash % DASHES], WIDTH + 8, at);
        snprintf(attributes, sizeof attributes, "x=\"%d\" y=\"%d\"", WIDTH + 40, at + 4);
        print_label(text, attributes, chart->series[i].name);
    }
}

bool ghl_chart_svg(const ghl_chart *chart, ghl_text *text)
{
    axis x = make_axis(chart, false), y = make_axis(chart, true);
    char attributes[120];
    size_t longest = 0;
    if (!isfinite(x.low) || !isfinite(y.low))
        return false;
    for (int i = 0; i < chart->count; i++)
        longest = strlen(chart->series[i].name) > longest ? strlen(chart->series[i].name) : longest;
    int width = WIDTH + 48 + (int)longest * LETTER, height = TOP + 14 + chart->count * LINE;
    height = height > HEIGHT ? height : HEIGHT;
    ghl_text_add(text, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
                       "font-family=\"sans-serif\" font-size=\"12\">\n"
                       "<style>.grid{stroke:#ddd;fill:none}</style><rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
                 width, height, width, height);
    snprintf(attributes, sizeof attributes, "x=\"%d\" y=\"20\" font-size=\"14\" font-weight=\"bold\"", LEFT);
    print_label(text, attributes, chart->title);
    if (chart->note != NULL && strlen(chart->title) * 10 + strlen(chart->note) * (LETTER - 1) < (size_t)(width - LEFT - RIGHT)) {
        snprintf(attributes, sizeof attributes, "x=\"%d\" y=\"20\" text-anchor=\"end\" font-size=\"11\" fill=\"#555\"", width - RIGHT);
        print_label(text, attributes, chart->note);
    }
    print_ticks(&x, false, text);
    print_ticks(&y, true, text);
    ghl_text_add(text, "<path fill=\"none\" stroke=\"#444\" d=\"M%d %dV%dH%d\"/>\n", LEFT, TOP, HEIGHT - BOTTOM, WIDTH - RIGHT);
    snprintf(attributes, sizeof attributes, "x=\"%d\" y=\"%d\" text-anchor=\"middle\"", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10);
    print_label(text, attributes, chart->x_label);
    snprintf(attributes, sizeof attributes, "transform=\"translate(15 %d) rotate(-90)\" text-anchor=\"middle\"",
             (TOP + HEIGHT - BOTTOM) / 2);
    print_label(text, attributes, chart->y_label);
    for (int i = 0; i < chart->count; i++)
        print_series(chart, i, &x, &y, text);
    print_legend(chart, text);
    ghl_text_add(text, "</svg>\n");
    return true;
}

void ghl_page_begin(ghl_text *text, const char *title)
{
    ghl_text_add(text, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>");
    ghl_text_escape(text, title);
    ghl_text_add(text, "</title>\n<style>\n"
                       "body{font:15px/1.45 sans-serif;margin:2em auto;max-width:75em;padding:0 1em;color:#222}\n"
                       "table{border-collapse:collapse;margin:1em 0;font-size:14px}\n"
                       "caption{text-align:left;font-weight:bold;padding:.4em 0}\n"
                       "th,td{padding:.25em .7em;border-bottom:1px solid #ddd;text-align:left;white-space:nowrap}\n"
                       "th{border-bottom:2px solid #444}.figure{text-align:right;font-variant-numeric:tabular-nums}\n"
                       ".note{color:#555;margin:.3em 0}svg{display:block;margin:1.5em 0;max-width:100%%;height:auto}\n"
                       "</style>\n</head>\n<body>\n<h1>");
    ghl_text_escape(text, title);
    ghl_text_add(text, "</h1>\n");
}

void ghl_page_end(ghl_text *text)
{
    ghl_text_add(text, "</body>\n</html>\n");
}
