/* SPDX-License-Identifier: Apache-2.0
 *
 * Colour jitter: Pillow 9.4's ImageEnhance on six pixels; factors and order as said, and what they depend on; none in testing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "data/view.h"

enum { N = 6 };
static const uint8_t colours[3 * N] = {255, 0, 0, 10, 200, 30, 1, 2, 3, 128, 128, 128, 250, 240, 230, 77, 88, 199};

static void test_as_pillow(void **state)
{
    static const struct {
        int which;
        double factor;
        uint8_t pixels[3 * N];
    } golden[] = {
        {GHL_JITTER_BRIGHTNESS, 0.6, {153, 0, 0, 6, 120, 18, 0, 1, 1, 76, 76, 76, 150, 144, 138, 46, 52, 119}},
        {GHL_JITTER_BRIGHTNESS, 1.3, {255, 0, 0, 13, 255, 39, 1, 2, 3, 166, 166, 166, 255, 255, 255, 100, 114, 255}},
        {GHL_JITTER_CONTRAST, 0.6, {197, 44, 44, 50, 164, 62, 45, 46, 46, 121, 121, 121, 194, 188, 182, 91, 97, 164}},
        {GHL_JITTER_CONTRAST, 1.3, {255, 0, 0, 0, 226, 5, 0, 0, 0, 132, 132, 132, 255, 255, 255, 66, 80, 225}},
        {GHL_JITTER_SATURATION, 0.6, {183, 30, 30, 55, 169, 67, 1, 2, 2, 128, 128, 128, 246, 240, 234, 85, 91, 158}},
        {GHL_JITTER_SATURATION, 1.4, {255, 0, 0, 0, 230, 0, 0, 2, 3, 128, 128, 128, 253, 239, 225, 69, 84, 239}},
        {GHL_JITTER_SATURATION, 0, {76, 76, 76, 124, 124, 124, 2, 2, 2, 128, 128, 128, 242, 242, 242, 97, 97, 97}},
    };
    uint8_t pixels[3 * N];

    (void)state;
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        memcpy(pixels, colours, sizeof pixels);
        ghl_jitter_one(golden[i].which, golden[i].factor, N, pixels);
        assert_memory_equal(pixels, golden[i].pixels, sizeof pixels);
    }
}

/* Grey of 100 has brightness alone: its factor is 0.6 to 1.4, evenly, and of a strength above 1 not below 0. */
static void test_factors(void **state)
{
    static const double usual[] = {0.4, 0.4, 0.4}, much[] = {3, 0, 0}, none[] = {0, 0, 0};
    uint8_t pixel[3];
    int least = 255, most = 0, sum = 0;

    (void)state;
    for (int i = 0; i < 2000; i++) {
        memset(pixel, 100, sizeof pixel);
        ghl_jitter_apply(usual, &(ghl_draw){.seed = 1, .epoch = i}, 5, 1, pixel);
        assert_true(pixel[0] == pixel[1] && pixel[1] == pixel[2]);
        least = pixel[0] < least ? pixel[0] : least;
        most = pixel[0] > most ? pixel[0] : most;
        sum += pixel[0];
        memset(pixel, 100, sizeof pixel);
        ghl_jitter_apply(none, &(ghl_draw){.seed = 1, .epoch = i}, 5, 1, pixel);
        assert_int_equal(pixel[0], 100);
        ghl_jitter_apply(much, &(ghl_draw){.seed = 1, .epoch = i}, 5, 1, pixel);
    }
    assert_true(least == 60 && (most == 139 || most == 140));
    assert_true(sum > 2000 * 98 && sum < 2000 * 101);
}

static void test_order(void **state)
{
    static const double strengths[] = {0.9, 0.9, 0.9};
    bool seen[6] = {0};

    (void)state;
    for (int i = 0; i < 100; i++) {
        const ghl_draw draw = {.seed = 3, .phase = 1, .epoch = i};
        static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
        uint8_t pixels[3 * N], by_hand[3 * N];
        uint32_t word[4];
        memcpy(pixels, colours, sizeof pixels);
        memcpy(by_hand, colours, sizeof by_hand);
        ghl_jitter_apply(strengths, &draw, 7, N, pixels);
        ghl_random4(3, GHL_RANDOM_JITTER, 7, (uint64_t)1 << 32 | (uint64_t)i, word);
        const int order = (int)(word[3] / 4294967296.0 * 6);
        seen[order] = true;
        for (int k = 0; k < 3; k++)
            ghl_jitter_one(orders[order][k], 0.1 + 1.8 * (word[orders[order][k]] / 4294967296.0), N, by_hand);
        assert_memory_equal(pixels, by_hand, sizeof pixels);
    }
    for (int order = 0; order < 6; order++)
        assert_true(seen[order]);
}

static void test_views(void **state)
{
    double strengths[] = {0.4, 0.4, 0.4}, scale[] = {1, 1};
    ghl_view_settings settings = {.size = 2, .crop = GHL_CROP_CENTRE, .scale = {scale, 2}, .ratio = {scale, 2}};
    const ghl_draw draw = {.seed = 1};
    uint8_t pixels[12], before[12];
    ghl_view_options o;

    (void)state;
    memcpy(before, colours, sizeof before);
    memcpy(pixels, colours, sizeof pixels);
    assert_int_equal(ghl_view_make(&settings, &o), GHL_OK);
    assert_false(ghl_view_is_random(&o));
    ghl_view_colours(&o, &draw, 0, pixels);
    assert_memory_equal(pixels, before, sizeof pixels);
    settings.jitter = (ghl_reals){strengths, 3};
    assert_int_equal(ghl_view_make(&settings, &o), GHL_OK);
    assert_true(ghl_view_is_random(&o));
    ghl_view_colours(&o, NULL, 0, pixels); /* testing */
    assert_memory_equal(pixels, before, sizeof pixels);
    ghl_view_colours(&o, &draw, 0, pixels);
    assert_memory_not_equal(pixels, before, sizeof pixels);
    settings.jitter.count = 2;
    assert_int_equal(ghl_view_make(&settings, &o), GHL_RECIPE);
    assert_non_null(strstr(ghl_error_message(), "data.jitter"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_as_pillow), cmocka_unit_test(test_factors), cmocka_unit_test(test_order),
                                       cmocka_unit_test(test_views)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
