/* SPDX-License-Identifier: Apache-2.0
 *
 * What each probe makes of weights, gradients, local terms, updates and wins that are known.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "probe/probe.h"

/* Two neurons of three weights. */
static const float weight[] = {3, 0, 4, 0, 0, -1}, gradient[] = {1, -2, 0, 2, 1, -1}, local[] = {-4, 1, 5, 0.004f, -0.3f, -0.04f},
                   direction[] = {1, -1, 0, 1, 1, -1}, wins[] = {6, 2};

static void check(const char *name, const ghl_probe_view *view, int n, const double *wanted)
{
    const ghl_descriptor *found = NULL;
    double figures[GHL_PROBE_FIGURES];
    assert_int_equal(ghl_registry_find(&ghl_probes, name, NULL, &found), GHL_OK);
    const ghl_probe *probe = (const ghl_probe *)found;
    for (int i = 0; i < n; i++)
        assert_non_null(probe->figures[i]);
    assert_null(probe->figures[n]);
    probe->measure(view, figures);
    for (int i = 0; i < n; i++)
        if (isnan(wanted[i]) != isnan(figures[i]) || fabs(wanted[i] - figures[i]) > 1e-6)
            fail_msg("%s: %s is %.9g, not %.9g", name, probe->figures[i], figures[i], wanted[i]);
}

static void test_all(void **state)
{
    (void)state;
    const ghl_probe_view view = {2, 3, weight, gradient, local, direction, wins};
    check("agreement", &view, 2, (double[]){3.0 / 5, 7 / sqrt(5 * 11)}); /* -g d: +, +, none, -, +, - */
    check("activity", &view, 2, (double[]){0.75, 0});
    check("norm", &view, 2, (double[]){3, 5});
    check("magnitude", &view, 5, (double[]){1.0 / 6, 1.0 / 6, 1.0 / 6, 3.0 / 6, 5.0 / 6}); /* h: 0.8 0.2 1 8e-4 0.06 8e-3 */
}

static void test_what_a_rule_lacks(void **state)
{
    (void)state;
    const ghl_probe_view nothing = {.neurons = 2, .fan_in = 3, .weight = weight}, sign = {2, 3, weight, gradient, NULL, direction, NULL};
    check("agreement", &nothing, 2, (double[]){NAN, NAN});
    check("activity", &nothing, 2, (double[]){NAN, NAN});
    check("magnitude", &nothing, 5, (double[]){NAN, NAN, NAN, NAN, NAN});
    check("agreement", &sign, 2, (double[]){NAN, 7 / sqrt(5 * 11)});
    check("magnitude", &sign, 5, (double[]){NAN, NAN, NAN, NAN, 5.0 / 6});
}

static void test_zeros_and_the_dead(void **state)
{
    (void)state;
    static const float zero[6] = {0}, lonely[] = {0, 8};
    const ghl_probe_view view = {2, 3, zero, zero, zero, zero, lonely};
    check("agreement", &view, 2, (double[]){NAN, NAN});
    check("activity", &view, 2, (double[]){1, 0.5});
    check("norm", &view, 2, (double[]){0, 0});
    check("magnitude", &view, 5, (double[]){NAN, NAN, NAN, NAN, 0});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_what_a_rule_lacks),
        cmocka_unit_test(test_zeros_and_the_dead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
