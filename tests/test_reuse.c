/* SPDX-License-Identifier: Apache-2.0
 * ghl-test: gpu
 *
 * test_reuse.c - where the bytes of a call lie: on programs of a few calls, counted by hand, and on one that was compiled.
 */
#include "support_rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "plan/reuse.h"

enum { MB = 1 << 20, CALLS = 8 };

static const ghl_peak small_caches = {.level = {{"L2", 4.0 * MB, 1}, {"L3", 16.0 * MB, 1}, {"memory", 1e300, 1}}};

/* Megabytes by level, to the tenth: times are kept of pages. */
static void lie(const double bytes[GHL_PEAK_LEVELS], double l2, double l3, double memory)
{
    const double wanted[] = {l2, l3, memory};
    for (int i = 0; i < GHL_PEAK_LEVELS; i++)
        if (!(fabs(bytes[i] / MB - wanted[i]) < 0.1))
            fail_msg("level %d: %g MB, not %g", i, bytes[i] / MB, wanted[i]);
}

/* a -> b -> c, something else, c -> b -> a, over and over. */
static void distances_are_bytes_touched_since(void **state)
{
    (void)state;
    double bytes[CALLS][GHL_PEAK_LEVELS];
    const ghl_touch touches[] = {
        {0, 0, 0, MB}, {0, 0, MB, MB},      /* both 2 MB ago: the last call of the step before */
        {1, 1, MB, MB}, {1, 1, 2 * MB, MB}, /* b 2 MB ago, c 6 */
        {2, 2, 5 * MB, 32 * MB},            /* a step ago */
        {3, 3, 2 * MB, MB}, {3, 3, MB, MB}, /* both 34 MB ago */
        {4, 4, MB, MB}, {4, 4, 0, MB},      /* b 2 MB ago, a 38 */
    };
    assert_int_equal(ghl_touches_levels(touches, 9, &small_caches, bytes), GHL_OK);
    lie(bytes[0], 2, 0, 0);
    lie(bytes[1], 1, 1, 0);
    lie(bytes[2], 0, 0, 32);
    lie(bytes[3], 0, 0, 2);
    lie(bytes[4], 1, 0, 1);
}

/* Parts of an operand lie apart. Of 24 MB that are written, half is read again beside 12 MB from elsewhere, a fraction p of it when
 * 24 p have gone by: what was written 24 + 12 p ago, and will be written again after 24 - 12 p. All the rest is a step ago. */
static void parts_lie_apart(void **state)
{
    (void)state;
    double bytes[CALLS][GHL_PEAK_LEVELS];
    const ghl_peak peak = {.level = {{"L2", 4.0 * MB, 1}, {"L3", 30.0 * MB, 1}, {"memory", 1e300, 1}}};
    const ghl_touch touches[] = {{0, 0, 0, 24 * MB}, {1, 1, 0, 12 * MB}, {1, 1, 24 * MB, 12 * MB}};
    assert_int_equal(ghl_touches_levels(touches, 3, &peak, bytes), GHL_OK);
    lie(bytes[0], 0, 12, 12);
    lie(bytes[1], 0, 6, 18);
}

/* What is touched over and over in between counts once in the end: no more than all there is. */
static void never_more_than_there_is(void **state)
{
    (void)state;
    double bytes[CALLS][GHL_PEAK_LEVELS];
    ghl_touch touches[CALLS * 2];
    for (int i = 0; i < CALLS; i++) {
        touches[2 * i] = (ghl_touch){i, i, 0, 2 * MB};
        touches[2 * i + 1] = (ghl_touch){i, i, i == 0 ? 4 * MB : 2 * MB, 2 * MB};
    }
    assert_int_equal(ghl_touches_levels(touches, 2 * CALLS, &small_caches, bytes), GHL_OK);
    lie(bytes[0], 2, 2, 0); /* 4 MB of it a step ago, which touches 32 MB, but 6 MB are all there is */
    for (int i = 1; i < CALLS; i++)
        lie(bytes[i], i > 1 ? 4 : 2, i > 1 ? 0 : 2, 0);
}

/* What members of a chain hand on is in the second level, however large; what comes from before is not. */
static void chains_hand_on_in_the_second_level(void **state)
{
    (void)state;
    double alone[3][GHL_PEAK_LEVELS], chained[3][GHL_PEAK_LEVELS];
    ghl_touch touches[] = {{0, 0, 0, 8 * MB}, {0, 0, 8 * MB, 8 * MB}, {1, 1, 8 * MB, 8 * MB}, {1, 1, 16 * MB, 8 * MB},
                           {2, 2, 24 * MB, 8 * MB}};
    assert_int_equal(ghl_touches_levels(touches, 5, &small_caches, alone), GHL_OK);
    lie(alone[0], 0, 0, 16);
    lie(alone[1], 0, 8, 8);
    touches[2].group = touches[3].group = 0;
    assert_int_equal(ghl_touches_levels(touches, 5, &small_caches, chained), GHL_OK);
    lie(chained[0], 0, 0, 16);
    lie(chained[1], 8, 0, 8);
    lie(chained[2], 0, 0, 8);
}

/* Every byte of every call lies somewhere. */
static void programs_are_walked(void **state)
{
    (void)state;
    for (int d = 0; rig_device(d) != NULL; d++) {
        rig r;
        rig_open(&r, rig_net(8, 8, 3, "conv conv channels: 8, kernel: 3, padding: 1, bias: false", "norm batch_norm", "relu relu",
                             "head linear features: 3", NULL),
                 &(rig_settings){.device = rig_device(d), .rule = "ghl", .batch = 5, .lr = 1, .fused = true});
        const int calls = ghl_program_calls(r.step);
        const ghl_peak peak = {.level = {{"L2", 8000, 1}, {"L3", 30000, 1}, {"memory", 1e300, 1}}};
        double (*bytes)[GHL_PEAK_LEVELS] = NULL, sums[GHL_PEAK_LEVELS] = {0};
        assert_int_equal(GHL_NEW(bytes, calls), GHL_OK);
        assert_int_equal(ghl_program_levels(r.step, &peak, bytes), GHL_OK);
        for (int i = 0; i < calls; i++) {
            double sum = 0;
            for (int level = 0; level < GHL_PEAK_LEVELS; level++) {
                sum += bytes[i][level];
                sums[level] += bytes[i][level];
            }
            assert_true(fabs(sum - ghl_call_bytes(ghl_program_call(r.step, i).call)) < 1e-6 * (1 + sum));
        }
        assert_true(sums[GHL_PEAK_L2] > 0 && sums[GHL_PEAK_L3] > 0 && sums[GHL_PEAK_MEMORY] > 0);
        free(bytes);
        rig_close(&r);
    }
}

/* What a call reads and overwrites comes from where it lay and goes back there, but is not twice as much to others. */
static void in_place_is_read_and_written(void **state)
{
    (void)state;
    double bytes[3][GHL_PEAK_LEVELS];
    const ghl_touch touches[] = {{0, 0, 0, 12 * MB}, {0, 0, 0, 12 * MB}, {1, 1, 0, 12 * MB}, {2, 2, 32 * MB, 32 * MB}};
    assert_int_equal(ghl_touches_levels(touches, 4, &small_caches, bytes), GHL_OK);
    lie(bytes[0], 0, 0, 24);
    lie(bytes[1], 0, 12, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances_are_bytes_touched_since), cmocka_unit_test(parts_lie_apart), cmocka_unit_test(never_more_than_there_is),
        cmocka_unit_test(chains_hand_on_in_the_second_level), cmocka_unit_test(in_place_is_read_and_written),
        cmocka_unit_test(programs_are_walked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
