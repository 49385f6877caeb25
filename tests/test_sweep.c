/* SPDX-License-Identifier: Apache-2.0
 *
 * The grid of a sweep: settings become values, values points, points names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "command/sweep.h"

/* "key=value" of all values of a setting, between bars. */
static void check_values(const char *setting, const char *wanted)
{
    ghl_grid grid;
    ghl_text text = {0};
    const char *settings[] = {setting, "axis=1,2"};
    if (ghl_grid_parse(2, settings, &grid) != GHL_OK)
        fail_msg("%s", ghl_error_message());
    for (int i = 0; i < grid.rows[0].count; i++)
        ghl_text_add(&text, "%s%s", i > 0 ? "|" : "", grid.rows[0].settings[i]);
    assert_int_equal(ghl_text_end(&text), GHL_OK);
    assert_string_equal(text.data, wanted);
    ghl_text_release(&text);
    ghl_grid_release(&grid);
}

static void test_values(void **state)
{
    (void)state;
    check_values("lr=1e-2", "lr=1e-2");
    check_values("lr=1e-2,3e-2", "lr=1e-2|lr=3e-2");
    check_values("lr= 1e-2 , 3e-2 ", "lr=1e-2|lr=3e-2");
    check_values("lr=", "lr=");
    check_values("c=[1,2],[3,4]", "c=[1,2]|c=[3,4]");
    check_values("c=[[1,2],[3]]", "c=[[1,2],[3]]");
    check_values("o={kind: adam, b: [1,2]},sgd", "o={kind: adam, b: [1,2]}|o=sgd");
    check_values("n=\"a,b\",c", "n=\"a,b\"|n=c");
    check_values("n=\"]\",c", "n=\"]\"|n=c");
    check_values("learn.\"a=b\".lr=1,2", "learn.\"a=b\".lr=1|learn.\"a=b\".lr=2");
    check_values("p=a=b,c", "p=a=b|p=c");
}

static void refuse(const char *a, const char *b, const char *message)
{
    ghl_grid grid;
    const char *settings[] = {a, b};
    assert_int_equal(ghl_grid_parse(2, settings, &grid), GHL_USAGE);
    ghl_grid_release(&grid);
    if (strstr(ghl_error_message(), message) == NULL)
        fail_msg("no \"%s\" in \"%s\"", message, ghl_error_message());
}

static void test_refusals(void **state)
{
    (void)state;
    refuse("a=1", "b=2", "nothing to sweep over");
    refuse("a", "b=1,2", "\"a\" is not key=value");
    refuse("=1,2", "b=1,2", "is not key=value");
    refuse("a=1,,2", "b=1", "a=1,,2: value 2 is empty");
    refuse("a=,1", "b=1", "value 1 is empty");
    refuse("a=1, ", "b=1", "value 2 is empty");
    refuse("a=[1,2", "b=1,2", "a=[1,2: a bracket");
    refuse("a=1],2", "b=1,2", "a=1],2: a bracket");
    refuse("a=\"1,2", "b=1,2", "a bracket or a quote");
    refuse("a=1,2", "a=3", "a=3: the key is given twice");
    refuse("a=1,2,1", "b=1", "a=1 is given twice");
}

/* The last axis is the fastest; a single value is no axis. */
static void test_points(void **state)
{
    (void)state;
    static const char *const wanted[] = {"a=1 b=3", "a=1 b=4", "a=1 b=5", "a=2 b=3", "a=2 b=4", "a=2 b=5"};
    const char *settings[] = {"a=1,2", "same=7", "b=3,4,5"}, *point[3];
    ghl_grid grid;
    assert_int_equal(ghl_grid_parse(3, settings, &grid), GHL_OK);
    assert_int_equal(grid.points, 6);
    assert_int_equal(grid.axes, 2);
    for (int i = 0; i < 6; i++) {
        ghl_text text = {0};
        ghl_grid_point(&grid, i, point);
        assert_string_equal(point[1], "same=7");
        ghl_grid_label(&grid, point, " ", &text);
        assert_int_equal(ghl_text_end(&text), GHL_OK);
        assert_string_equal(text.data, wanted[i]);
        ghl_text_release(&text);
    }
    ghl_grid_release(&grid);
}

static char *folder(const char *label)
{
    ghl_text text = {0};
    ghl_grid_folder(label, &text);
    assert_int_equal(ghl_text_end(&text), GHL_OK);
    return text.data;
}

/* A name that lost something ends in a hash of all of it. */
static void test_folders(void **state)
{
    (void)state;
    char *plain = folder("learn.conv.lr=1e-2+train.batch=32"), *list = folder("c=[[1,2],[3]]"), *other = folder("c=[[1],[2,3]]");
    assert_string_equal(plain, "learn.conv.lr=1e-2+train.batch=32");
    assert_memory_equal(list, "c=1,2,3-", 8);
    assert_memory_equal(other, "c=1,2,3-", 8);
    assert_int_equal(strlen(list), 16);
    assert_string_not_equal(list, other);
    char long_label[1000];
    memset(long_label, 'x', sizeof long_label);
    long_label[999] = '\0';
    char *cut = folder(long_label), *path = folder("data.path=../a/b");
    assert_true(strlen(cut) < 200);
    assert_null(strchr(path, '/'));
    free(plain);
    free(list);
    free(other);
    free(cut);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_points),
        cmocka_unit_test(test_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
