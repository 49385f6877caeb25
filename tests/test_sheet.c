/* SPDX-License-Identifier: Apache-2.0
 *
 * Sheets in every format, charts with gaps, and numbers that axes must cope with.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "metric/chart.h"

static void check(const ghl_sheet *sheet, const char *format, const char *wanted)
{
    ghl_text text = {0};
    assert_int_equal(ghl_sheet_print(sheet, ghl_sheet_find(format), &text), GHL_OK);
    assert_int_equal(ghl_text_end(&text), GHL_OK);
    assert_string_equal(text.data, wanted);
    ghl_text_release(&text);
}

static void test_formats(void **state)
{
    (void)state;
    ghl_sheet sheet = {.title = "a<b", .marked = 2};
    ghl_sheet_column(&sheet, "name", 0);
    ghl_sheet_column(&sheet, "x", GHL_SHEET_FIGURE);
    ghl_sheet_column(&sheet, "folder", GHL_SHEET_ASIDE);
    ghl_sheet_text(&sheet, "%s", "one, \"two\"");
    ghl_sheet_real(&sheet, 1.005, 1);
    ghl_sheet_text(&sheet, "%s", "d");
    ghl_sheet_text(&sheet, "%s", "a|\xc3\xa9");
    ghl_sheet_real(&sheet, NAN, 1);
    ghl_sheet_text(&sheet, "%s", "");
    ghl_sheet_note(&sheet, "n & m");
    check(&sheet, "text", "  name          x\n  one, \"two\"  1.0\n* a|\xc3\xa9           -\nn & m\n");
    check(&sheet, "csv", "name,x,folder\n\"one, \"\"two\"\"\",1.0,d\na|\xc3\xa9,,\n");
    check(&sheet, "md", "**a<b**\n\n| name | x | folder |\n|---|--:|---|\n| one, \"two\" | 1.0 | d |\n| a\\|\xc3\xa9 |  |  |\n\nn & m\n");
    check(&sheet, "json", "[\n {\"name\": \"one, \\\"two\\\"\", \"x\": 1.0, \"folder\": \"d\"},\n"
                          " {\"name\": \"a|\xc3\xa9\", \"x\": null, \"folder\": null}\n]\n");
    check(&sheet, "html", "<table>\n<caption>a&lt;b</caption>\n"
                          "<thead><tr><th>name</th><th class=\"figure\">x</th><th>folder</th></tr></thead>\n"
                          "<tbody><tr><td>one, &quot;two&quot;</td><td class=\"figure\">1.0</td><td>d</td></tr>\n"
                          "<tr><td>a|\xc3\xa9</td><td class=\"figure\">\xe2\x80\x93</td><td>\xe2\x80\x93</td></tr></tbody>\n</table>\n"
                          "<p class=\"note\">n &amp; m</p>\n");
    ghl_sheet_release(&sheet);
}

static void test_empty(void **state)
{
    (void)state;
    ghl_sheet sheet = {0};
    ghl_sheet_column(&sheet, "name", 0);
    check(&sheet, "text", "  name\n");
    check(&sheet, "json", "[]\n");
    ghl_sheet_release(&sheet);
}

/* The svg of one series; "" where nothing is drawn. The caller frees. */
static char *draw(int n, const double *x, const double *y)
{
    ghl_chart chart = {.name = "c", .title = "t", .x_label = "x", .y_label = "y<z"};
    ghl_series *series;
    ghl_text text = {0};
    assert_int_equal(ghl_chart_series(&chart, "s", &series), GHL_OK);
    for (int i = 0; i < n; i++)
        assert_int_equal(ghl_series_add(series, x[i], y[i]), GHL_OK);
    bool drawn = ghl_chart_svg(&chart, &text);
    assert_int_equal(ghl_text_end(&text), GHL_OK);
    assert_int_equal(drawn, text.length > 0);
    ghl_chart_release(&chart);
    return text.data;
}

static int count(const char *text, const char *word)
{
    int n = 0;
    for (; (text = strstr(text, word)) != NULL; text++)
        n++;
    return n;
}

static void test_chart(void **state)
{
    (void)state;
    char *svg = draw(5, (double[]){1, 2, 3, 4, 5}, (double[]){10, 60, NAN, 40, 90});
    assert_non_null(strstr(svg, "M62.0 257.2L183.0 133.2M425.0 182.8L546.0 58.8\"/>")); /* of 0..100; a gap at 3 */
    assert_non_null(strstr(svg, ">y&lt;z</text>"));
    assert_int_equal(count(svg, "class=\"grid\""), 5 + 6); /* steps of 1 and of 20 */
    assert_int_equal(count(svg, "nan"), 0);
    free(svg);
    svg = draw(3, (double[]){1, 2, 3}, (double[]){10, 60, 40});
    assert_int_equal(count(svg, ">1.5<"), 0); /* no tick between epochs */
    free(svg);
}

/* Colours and dashes have numbers; a note stands beside the title where there is room. */
static void test_chart_styles(void **state)
{
    (void)state;
    ghl_chart chart = {.name = "c", .title = "t", .note = "small print", .x_label = "x", .y_label = "y"};
    for (int i = 0; i < 10; i++) {
        char name[16];
        ghl_series *series;
        snprintf(name, sizeof name, "s%d", i);
        assert_int_equal(ghl_chart_series(&chart, name, &series), GHL_OK);
        assert_int_equal(series->colour, i % 8);
        assert_int_equal(series->dash, i / 8);
        series->colour = 1;
        assert_int_equal(ghl_series_add(series, 1, i), GHL_OK);
    }
    for (int i = 0; i < 2; i++) {
        ghl_text text = {0};
        assert_true(ghl_chart_svg(&chart, &text));
        assert_int_equal(ghl_text_end(&text), GHL_OK);
        assert_int_equal(count(text.data, "stroke=\"#D55E00\""), 2 * 10); /* line and legend */
        assert_int_equal(count(text.data, "stroke-dasharray=\"7 3\""), 2 * 2);
        assert_int_equal(count(text.data, ">small print</text>"), i == 0);
        ghl_text_release(&text);
        chart.title = "a title that leaves no room for anything else on its line, however small it may be printed";
    }
    ghl_chart_release(&chart);
}

static void test_chart_degenerate(void **state)
{
    (void)state;
    const double one[] = {3}, flat[] = {2, 2}, zero[] = {0, 0}, nothing[] = {NAN, INFINITY}, tiny[] = {1e-9, 2e-9}, huge[] = {-1e12, 1e12};
    const double *const ys[] = {flat, zero, tiny, huge};
    char *svg = draw(2, (double[]){1, 2}, nothing);
    assert_string_equal(svg, "");
    free(svg);
    svg = draw(1, one, one);
    assert_int_equal(count(svg, "<circle"), 1);
    free(svg);
    for (size_t i = 0; i < sizeof ys / sizeof *ys; i++) {
        svg = draw(2, (double[]){1, 2}, ys[i]);
        int grid = count(svg, "class=\"grid\"");
        assert_true(grid >= 4 && grid < 40);
        assert_int_equal(count(svg, "nan") + count(svg, "inf") + count(svg, ">-0<"), 0);
        free(svg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_chart),
        cmocka_unit_test(test_chart_styles),
        cmocka_unit_test(test_chart_degenerate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
