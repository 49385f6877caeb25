/* SPDX-License-Identifier: Apache-2.0
 *
 * Sinks: exact bytes, lengths that the clock does not change, cutting back on resume, disks that refuse, bars that fit.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "metric/metric.h"
#include "support_files.h"

static const ghl_epoch_row epoch_row = {.epoch = 1, .epochs = 3, .step = 782, .scored = true, .train_loss = 1.5, .train_top1 = 45.125,
                                        .tested = true, .test_loss = 1.25, .test_top1 = 55.5, .test_top5 = 95, .best_top1 = 55.5,
                                        .best = true, .lr = 0.1, .images_per_s = 1234};
static const ghl_step_row step_row = {.step = 100, .epoch = 1, .epochs = 3, .epoch_images = 6400, .epoch_all = 50000,
                                      .images_left = 143600, .scored = true, .loss = 2.25, .top1 = 12.5, .images_per_s = 1000,
                                      .wait_percent = 0.5, .elapsed_s = 6.4};

static ghl_metrics *open_metrics(const char *folder, const ghl_host *host, int n, const ghl_sink_length *lengths)
{
    ghl_metrics *m;

    assert_int_equal(ghl_metrics_open(temporary_path(folder), host, "", n, lengths, &m), GHL_OK);
    return m;
}

static int64_t length_of(const ghl_metrics *m, const char *name)
{
    ghl_sink_length lengths[8];
    int n = ghl_metrics_lengths(m, 8, lengths);

    assert_true(n == 2);
    for (int i = 0; i < n; i++)
        if (strcmp(lengths[i].name, name) == 0)
            return lengths[i].length;
    fail_msg("no sink %s", name);
    return -1;
}

static void expect_file(const char *name, const char *text)
{
    char *bytes = temporary_read(name, NULL);
    assert_string_equal(bytes, text);
    free(bytes);
}

#define HEAD "epoch,step,train_loss,train_top1,test_loss,test_top1,test_top5,best_top1,lr\n"

static void test_csv(void **state)
{
    (void)state;
    temporary_make_folder("csv");
    ghl_metrics *m = open_metrics("csv", NULL, 0, NULL);
    assert_int_equal(ghl_metrics_epoch(m, &epoch_row), GHL_OK);
    ghl_epoch_row other = epoch_row;
    other.epoch = 2;
    other.tested = false;
    other.train_loss = -NAN;
    other.lr = 1e-5;
    assert_int_equal(ghl_metrics_epoch(m, &other), GHL_OK);
    other.train_loss = INFINITY;
    other.best_top1 = 1e30;
    assert_int_equal(ghl_metrics_epoch(m, &other), GHL_OK);
    const char *text = HEAD "1,782,1.500000,45.1250,1.250000,55.5000,95.0000,55.5000,0.1\n"
                            "2,782,nan,45.1250,,,,55.5000,1e-05\n"
                            "2,782,inf,45.1250,,,,1e+30,1e-05\n";
    expect_file("csv/metrics.csv", text);
    assert_int_equal(length_of(m, "csv"), strlen(text));
    ghl_metrics_close(m);
    m = open_metrics("csv", NULL, 0, NULL); /* anew */
    expect_file("csv/metrics.csv", HEAD);
    ghl_metrics_close(m);
}

static void test_jsonl_length_is_of_the_training(void **state)
{
    static const double clocks[][3] = {{0, 0, 0},    {1000, 0.5, 6.4}, {1e300, 100, 1e12},
                                       {-1, -1, -1}, {NAN, NAN, NAN},  {INFINITY, 55, 99999}};
    int64_t before = 0, line = 0;

    (void)state;
    temporary_make_folder("jsonl");
    ghl_metrics *m = open_metrics("jsonl", NULL, 0, NULL);
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        ghl_step_row row = step_row;
        row.images_per_s = clocks[i][0];
        row.wait_percent = clocks[i][1];
        row.elapsed_s = clocks[i][2];
        assert_int_equal(ghl_metrics_step(m, &row), GHL_OK);
        int64_t now = length_of(m, "jsonl");
        assert_true(now > before);
        assert_true(i == 0 || now - before == line);
        line = now - before;
        before = now;
    }
    ghl_step_row bad = step_row;
    bad.loss = NAN;
    assert_int_equal(ghl_metrics_step(m, &bad), GHL_OK);
    assert_int_equal(ghl_metrics_note(m, 100, "a \"quoted\"\nnote \\ with ümläuts"), GHL_OK);
    ghl_metrics_close(m);
}

static void test_jsonl_is_json(void **state)
{
    char *text = temporary_read("jsonl/log.jsonl", NULL), *rest = text, *line;
    int lines = 0;

    (void)state;
    while ((line = strsep(&rest, "\n")) && *line) {
        ghl_json *json;
        int64_t step;
        double figure;
        assert_int_equal(ghl_json_parse(line, strlen(line), GHL_RUN, "log.jsonl", &json), GHL_OK);
        assert_true(ghl_json_integer(ghl_json_get(json, "step"), &step) && step == 100);
        if (lines == 1) {
            assert_true(ghl_json_real(ghl_json_get(json, "images_per_s"), &figure) && figure == 1000);
            assert_true(ghl_json_real(ghl_json_get(json, "wait_percent"), &figure) && figure == 0.5);
            assert_true(ghl_json_real(ghl_json_get(json, "elapsed_s"), &figure) && figure == 6.4);
            assert_true(ghl_json_real(ghl_json_get(json, "loss"), &figure) && figure == 2.25);
            assert_true(ghl_json_real(ghl_json_get(json, "top1"), &figure) && figure == 12.5);
        }
        if (lines == 6)
            assert_int_equal(ghl_json_what(ghl_json_get(json, "loss")), GHL_JSON_NULL);
        if (lines == 7)
            assert_string_equal(ghl_json_text(ghl_json_get(json, "note")), "a \"quoted\"\nnote \\ with ümläuts");
        ghl_json_free(json);
        lines++;
    }
    assert_int_equal(lines, 8);
    free(text);
}

static void write_epochs(ghl_metrics *m, int from, int to)
{
    for (int e = from; e <= to; e++) {
        ghl_epoch_row row = epoch_row;
        ghl_step_row step = step_row;
        row.epoch = e;
        row.train_loss = 1.0 / e;
        step.step = e * 100;
        assert_int_equal(ghl_metrics_step(m, &step), GHL_OK);
        assert_int_equal(ghl_metrics_epoch(m, &row), GHL_OK);
    }
}

static void test_resume(void **state)
{
    static const char *const files[] = {"metrics.csv", "log.jsonl"};
    ghl_sink_length lengths[2];
    ghl_metrics *other;

    (void)state;
    temporary_make_folder("whole");
    ghl_metrics *m = open_metrics("whole", NULL, 0, NULL);
    write_epochs(m, 1, 6);
    ghl_metrics_close(m);
    temporary_make_folder("parts");
    m = open_metrics("parts", NULL, 0, NULL);
    write_epochs(m, 1, 3);
    assert_int_equal(ghl_metrics_sync(m), GHL_OK);
    assert_int_equal(ghl_metrics_lengths(m, 2, lengths), 2);
    write_epochs(m, 4, 5); /* after the state was saved: lost with the process */
    ghl_metrics_close(m);
    m = open_metrics("parts", NULL, 2, lengths);
    write_epochs(m, 4, 6);
    ghl_metrics_close(m);
    for (int i = 0; i < 2; i++) {
        char name[64];
        snprintf(name, sizeof name, "whole/%s", files[i]);
        char *text = temporary_read(name, NULL);
        snprintf(name, sizeof name, "parts/%s", files[i]);
        expect_file(name, text);
        free(text);
    }
    lengths[0].length = 100000; /* longer than the file is */
    assert_int_equal(ghl_metrics_open(temporary_path("parts"), NULL, "", 2, lengths, &other), GHL_RUN);
    assert_non_null(strstr(ghl_error_message(), "parts/"));
}

/* A file that cannot be written costs a warning, never a row. A folder in its place refuses root too. */
static void test_refused_writes(void **state)
{
    ghl_metrics *m, *none;

    (void)state;
    temporary_make_folder("refused");
    temporary_make_folder("refused/metrics.csv");
    assert_int_equal(ghl_metrics_open(temporary_path("refused"), NULL, "", 0, NULL, &none), GHL_RUN);
    assert_non_null(strstr(ghl_error_message(), "metrics.csv"));
    assert_null(none);
    temporary_remove("refused/metrics.csv");

    m = open_metrics("refused", NULL, 0, NULL);
    assert_int_equal(ghl_metrics_epoch(m, &epoch_row), GHL_OK);
    int64_t length = length_of(m, "csv");
    assert_int_equal(rename(temporary_path("refused/metrics.csv"), temporary_path("refused/away")), 0);
    temporary_make_folder("refused/metrics.csv");
    ghl_epoch_row row = epoch_row;
    row.epoch = 2;
    assert_int_equal(ghl_metrics_epoch(m, &row), GHL_RUN);
    temporary_remove("refused/metrics.csv");
    assert_int_equal(ghl_metrics_sync(m), GHL_RUN); /* nothing is there to be on the disk */
    temporary_make_folder("refused/metrics.csv");
    assert_int_equal(length_of(m, "csv"), length);
    temporary_remove("refused/metrics.csv");
    assert_int_equal(rename(temporary_path("refused/away"), temporary_path("refused/metrics.csv")), 0);
    row.epoch = 3;
    assert_int_equal(ghl_metrics_epoch(m, &row), GHL_OK);
    ghl_metrics_close(m);
    expect_file("refused/metrics.csv", HEAD "1,782,1.500000,45.1250,1.250000,55.5000,95.0000,55.5000,0.1\n"
                                            "2,782,1.500000,45.1250,1.250000,55.5000,95.0000,55.5000,0.1\n"
                                            "3,782,1.500000,45.1250,1.250000,55.5000,95.0000,55.5000,0.1\n");
}

/* ---- The bar ------------------------------------------------------------------------------------------------------------------------ */

typedef struct screen {
    char line[1024];
    int drawn, wiped, logged, warned;
} screen;

static void keep_progress(void *user, const char *line)
{
    screen *s = user;

    s->drawn += line[0] != '\0';
    s->wiped += line[0] == '\0';
    snprintf(s->line, sizeof s->line, "%s", line);
}

static void keep_log(void *user, ghl_level level, const char *line)
{
    screen *s = user;

    assert_string_equal(s->line, ""); /* the bar was wiped before */
    assert_null(strchr(line, '\n'));
    s->logged += level == GHL_LEVEL_INFO;
    s->warned += level == GHL_LEVEL_WARNING;
}

/* Characters of UTF-8 text; all that the bar uses are one column wide. */
static int width(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void test_bar_fits(void **state)
{
    (void)state;
    temporary_make_folder("bar");
    for (int columns = 1; columns <= 200; columns++) {
        screen s = {0};
        ghl_host host = {.user = &s, .log = keep_log, .progress = keep_progress, .columns = columns};
        ghl_metrics *m = open_metrics("bar", &host, 0, NULL);
        ghl_step_row row = step_row;
        row.epoch_images = row.epoch_all * columns / 200;
        assert_int_equal(ghl_metrics_progress(m, &row), GHL_OK);
        assert_true(width(s.line) < columns);
        if (columns >= 100) {
            assert_non_null(strstr(s.line, "epoch 1/3"));
            assert_non_null(strstr(s.line, "loss 2.250  top1 12.5%"));
            assert_non_null(strstr(s.line, "ETA 2:23"));
            assert_non_null(strstr(s.line, "1000 images/s"));
            assert_non_null(strstr(s.line, "█"));
        }
        assert_int_equal(ghl_metrics_epoch(m, &epoch_row), GHL_OK);
        assert_int_equal(ghl_metrics_note(m, 5, "note"), GHL_OK);
        assert_true(s.logged == 1 && s.warned == 1);
        ghl_metrics_close(m);
        assert_string_equal(s.line, "");
    }
}

static void test_bar_is_rare_and_silent_without_columns(void **state)
{
    screen s = {0};
    ghl_host host = {.user = &s, .log = keep_log, .progress = keep_progress, .columns = 80};
    ghl_metrics *m = open_metrics("bar", &host, 0, NULL);

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(ghl_metrics_progress(m, &step_row), GHL_OK);
    assert_true(s.drawn >= 1 && s.drawn < 50);
    ghl_metrics_close(m);

    s = (screen){0};
    host.columns = 0;
    m = open_metrics("bar", &host, 0, NULL);
    assert_int_equal(ghl_metrics_progress(m, &step_row), GHL_OK);
    assert_int_equal(ghl_metrics_epoch(m, &epoch_row), GHL_OK);
    assert_true(s.drawn == 0 && s.wiped == 0 && s.logged == 1);
    ghl_metrics_close(m);
    ghl_metrics_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_jsonl_length_is_of_the_training),
        cmocka_unit_test(test_jsonl_is_json),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_refused_writes),
        cmocka_unit_test(test_bar_fits),
        cmocka_unit_test(test_bar_is_rare_and_silent_without_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
