/* SPDX-License-Identifier: Apache-2.0
 *
 * Views of photographs: figures by hand from torchvision's rules for testing; for training the distribution, bounds and dependence on
 * what it is drawn from.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data/view.h"

static const ghl_view_options usual = {.size = 224, .resize = 256, .scale = {0.08, 1}, .ratio = {0.75, 4.0 / 3}};

static void near(double a, double b)
{
    if (fabs(a - b) > 1e-9)
        fail_msg("%.12g is not %.12g", a, b);
}

static void test_centre(void **state)
{
    ghl_region r = ghl_view_region(&usual, NULL, 0, 500, 375);
    (void)state;
    /* 500 x 375 -> 341 x 256; corner (round(58.5), 16) = (58, 16): half to even */
    near(r.x, 58 * 500 / 341.0);
    near(r.y, 16 * 375 / 256.0);
    near(r.width, 224 * 500 / 341.0);
    near(r.height, 224 * 375 / 256.0);
    r = ghl_view_region(&usual, NULL, 0, 100, 300); /* -> 256 x 768 */
    near(r.x, 16 * 100 / 256.0);
    near(r.y, 272 * 300 / 768.0);
    near(r.width, 224 * 100 / 256.0);
    ghl_view_options whole = usual;
    whole.size = whole.resize = 32;
    whole.crop = GHL_CROP_CENTRE;
    r = ghl_view_region(&whole, &(ghl_draw){.seed = 3}, 9, 32, 32);
    assert_true(r.x == 0 && r.y == 0 && r.width == 32 && r.height == 32);
}

static void test_random(void **state)
{
    enum { N = 20000 };
    double area = 0, ratio = 0, x = 0;
    (void)state;
    for (int i = 0; i < N; i++) {
        const ghl_region r = ghl_view_region(&usual, &(ghl_draw){.seed = 7, .phase = 1, .epoch = i % 10}, i, 1000, 1000);
        assert_true(r.x >= 0 && r.y >= 0 && r.width >= 1 && r.height >= 1 && r.x + r.width <= 1000 && r.y + r.height <= 1000);
        assert_true(r.x == floor(r.x) && r.width == floor(r.width));
        const double share = r.width * r.height / 1e6, shape = r.width / r.height;
        assert_true(share > 0.0795 && share <= 1 && shape > 0.745 && shape < 1.342);
        area += share;
        ratio += log(shape);
        x += r.width < 1000 ? r.x / (1000 - r.width) : 0.5;
    }
    /* Tries that do not fit are drawn again, so that large areas are rarer: the mean is below 0.54. */
    assert_true(area / N > 0.47 && area / N < 0.54);
    assert_true(fabs(ratio / N) < 0.01);
    assert_true(fabs(x / N - 0.5) < 0.01);
}

static bool same(ghl_region a, ghl_region b)
{
    return a.x == b.x && a.y == b.y && a.width == b.width && a.height == b.height;
}

static void test_what_it_depends_on(void **state)
{
    const ghl_draw draw = {.seed = 1, .phase = 2, .epoch = 3};
    const ghl_region r = ghl_view_region(&usual, &draw, 5, 640, 480);
    (void)state;
    assert_true(same(r, ghl_view_region(&usual, &draw, 5, 640, 480)));
    assert_false(same(r, ghl_view_region(&usual, &draw, 6, 640, 480)));
    for (int k = 0; k < 3; k++) {
        ghl_draw other = draw;
        other.seed += k == 0;
        other.phase += k == 1;
        other.epoch += k == 2;
        assert_false(same(r, ghl_view_region(&usual, &other, 5, 640, 480)));
    }
}

/* No try fits a ribbon: the largest centre part of a legal ratio. */
static void test_fallback(void **state)
{
    const ghl_draw draw = {.seed = 1};
    ghl_view_options narrow = usual;
    (void)state;
    narrow.scale[0] = 0.9;
    ghl_region r = ghl_view_region(&narrow, &draw, 0, 4000, 300);
    assert_true(r.width == 400 && r.height == 300 && r.x == 1800 && r.y == 0);
    r = ghl_view_region(&narrow, &draw, 0, 300, 4000);
    assert_true(r.width == 300 && r.height == 400 && r.x == 0 && r.y == 1800);
    r = ghl_view_region(&usual, &draw, 0, 1, 1);
    assert_true(r.width == 1 && r.height == 1 && r.x == 0 && r.y == 0);
}

static void test_settings(void **state)
{
    double scale[] = {0.25, 1}, ratio[] = {1.5, 1};
    ghl_view_settings s = {.size = 224, .scale = {scale, 2}, .ratio = {ratio, 2}};
    ghl_view_options o;
    (void)state;
    assert_int_equal(ghl_view_make(&s, &o), GHL_RECIPE);
    assert_non_null(strstr(ghl_error_message(), "data.ratio"));
    ratio[0] = 1;
    assert_int_equal(ghl_view_make(&s, &o), GHL_OK);
    assert_int_equal(o.resize, 256);
    s.resize = 200;
    assert_int_equal(ghl_view_make(&s, &o), GHL_RECIPE);
    s.scale.count = 1;
    s.resize = 224;
    assert_int_equal(ghl_view_make(&s, &o), GHL_RECIPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_centre),   cmocka_unit_test(test_random),   cmocka_unit_test(test_what_it_depends_on),
        cmocka_unit_test(test_fallback), cmocka_unit_test(test_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
