/* SPDX-License-Identifier: Apache-2.0
 *
 * test_chain.c - calls done a few images at a time give what they give one after the other, to the last bit: beside a device that is cpu
 * in all but that it does no chains.
 */
#include "support_rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "device/device.h"

static ghl_device plain; /* cpu without chains */

static int add_plain(void **state)
{
    (void)state;
    plain = ghl_device_cpu;
    plain.name = "plain";
    plain.chain = NULL;
    return ghl_registry_add(&ghl_devices, (const ghl_descriptor *)&plain) != GHL_OK;
}

/* Odd, and so many images that no cache of the second level holds a layer's, and that two threads' shares of them differ little. */
static int64_t batch(void)
{
    const double l2 = (double)sysconf(_SC_LEVEL2_CACHE_SIZE);
    return 5 + 2 * (int64_t)(fmax(l2, 2 << 20) * 2 / (64 << 10));
}

/* Blocks of a residual net, the last with fewer and wider positions; every kind of call that a chain may have. */
static ghl_net *make_net(const char *norm)
{
    static const char *const convs[] = {"channels: 16, kernel: 3, padding: 1", "channels: 33, kernel: 3, padding: 1, stride: 2",
                                        "channels: 33, kernel: 3, padding: 1"};
    ghl_net *net = rig_net(16, 16, 3, "stem conv channels: 16, kernel: 3, padding: 1", "pool max_pool kernel: 3, stride: 1, padding: 1",
                           NULL);
    int at = rig_add(net, "norm", "batch_norm", 2, -1, norm);
    for (int i = 0; i < 6; i++) {
        char name[16];
        snprintf(name, sizeof name, "conv%d", i);
        const int conv = rig_add(net, name, "conv", at, -1, convs[i < 4 ? 0 : i - 3]);
        snprintf(name, sizeof name, "norm%d", i);
        int out = rig_add(net, name, "batch_norm", conv, -1, norm);
        snprintf(name, sizeof name, "add%d", i);
        if (i % 2 == 1)
            out = rig_add(net, name, "add", out, at, NULL);
        snprintf(name, sizeof name, "relu%d", i);
        at = rig_add(net, name, "relu", out, -1, NULL);
    }
    int last = rig_add(net, "mean", "average_pool", at, -1, "kernel: 8, stride: 8");
    last = rig_add(net, "flat", "flatten", last, -1, NULL);
    rig_add(net, "head", "linear", last, -1, "features: 4");
    return net;
}

static void open_rig(rig *r, const char *device, const char *rule, ghl_dtype dtype, const char *norm)
{
    rig_open(r, make_net(norm), &(rig_settings){.device = device, .rule = rule, .lr = 0.05, .head_lr = 0.1, .weight_decay = 0.01,
                                                .batch = batch(), .fused = true, .dtype = dtype});
    rig_random(r, 3);
}

static int chained(const ghl_program *program, const char *op, const char *stage)
{
    int n = 0;
    for (int i = 0; i < ghl_program_calls(program); i++) {
        const ghl_call_info info = ghl_program_call(program, i);
        n += info.chain > 1 && strcmp(info.op, op) == 0 && strcmp(info.stage, stage) == 0;
    }
    return n;
}

static void same_values(const char *name, const double *a, const double *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (memcmp(&a[i], &b[i], sizeof *a) != 0)
            fail_msg("%s, element %lld: %.9g in a chain, %.9g alone", name, (long long)i, a[i], b[i]);
}

static void same_named(rig *a, const ghl_program *of_a, rig *b, const ghl_program *of_b)
{
    assert_true(ghl_program_named(of_a) > 0);
    for (int i = 0; i < ghl_program_named(of_a); i++) {
        const char *name = ghl_program_name(of_a, i).name;
        int64_t n;
        double *x = rig_named(a, of_a, name, &n), *y = rig_named(b, of_b, name, NULL);
        same_values(name, x, y, n);
        free(x);
        free(y);
    }
}

static void same_states(rig *a, rig *b)
{
    for (int i = 0; i < ghl_plan_states(a->plan); i++) {
        const char *name = ghl_plan_state(a->plan, i).name;
        const int64_t n = rig_elements(a, name);
        double *x = malloc((size_t)n * sizeof *x), *y = malloc((size_t)n * sizeof *y);
        rig_read(a, name, x);
        rig_read(b, name, y);
        same_values(name, x, y, n);
        free(x);
        free(y);
    }
}

/* Gradients, statistics, weights after two steps, and an evaluation. */
static void compare(const char *rule, ghl_dtype dtype, const char *norm)
{
    rig chains, alone;
    open_rig(&chains, "cpu", rule, dtype, norm);
    open_rig(&alone, "plain", rule, dtype, norm);
    assert_true(chained(chains.step, "conv", "forward") >= 3);
    assert_true(chained(chains.step, "batch_norm_statistics", "forward") >= 3);
    assert_true(chained(chains.step, "conv_backward_data", "backward") >= 3);
    assert_true(chained(chains.step, "batch_norm_sums", "backward") >= 3);
    assert_int_equal(chained(alone.step, "conv", "forward"), 0);
    for (int step = 0; step < 2; step++) {
        const double a = rig_run(&chains, chains.step), b = rig_run(&alone, alone.step);
        assert_memory_equal(&a, &b, sizeof a);
        same_named(&chains, chains.step, &alone, alone.step);
    }
    same_states(&chains, &alone);
    rig_run(&chains, chains.test);
    rig_run(&alone, alone.test);
    assert_memory_equal(chains.result, alone.result, sizeof chains.result);
    rig_close(&chains);
    rig_close(&alone);
}

static bool takes_bf16(void)
{
    void *self = NULL;
    assert_int_equal(ghl_device_cpu.open(&(ghl_device_options){.threads = 2}, &self), GHL_OK);
    const bool takes = ghl_device_cpu.takes(self, GHL_BF16) == GHL_OK;
    ghl_device_cpu.close(self);
    return takes;
}

static void chains_change_no_bit(void **state)
{
    (void)state;
    for (int half = 0; half < 1 + takes_bf16(); half++) {
        compare("backprop", half ? GHL_BF16 : GHL_F32, "affine: false");
        compare("ghl", half ? GHL_BF16 : GHL_F32, "affine: true");
    }
}

static ghl_program *compile(rig *r, bool recompute)
{
    ghl_program *program = NULL;
    const ghl_program_settings settings = {.purpose = GHL_TRAIN, .batch = r->batch, .float_images = true, .recompute = recompute};
    assert_int_equal(ghl_plan_compile(r->plan, &settings, &program), GHL_OK);
    return program;
}

static void chains_in_what_is_computed_again(void **state)
{
    rig chains, alone;
    (void)state;
    open_rig(&chains, "cpu", "ghl", GHL_F32, "affine: false");
    open_rig(&alone, "plain", "ghl", GHL_F32, "affine: false");
    ghl_program *a = compile(&chains, true), *b = compile(&alone, false);
    assert_true(chained(a, "conv", "recompute") > 0);
    for (int step = 0; step < 2; step++) {
        rig_run(&chains, a);
        rig_run(&alone, b);
    }
    same_states(&chains, &alone);
    rig_close(&chains);
    rig_close(&alone);
}

/* Of a chain as of any other call. */
static void every_call_is_timed(void **state)
{
    rig r;
    (void)state;
    open_rig(&r, "cpu", "backprop", GHL_F32, "affine: false");
    const int n = ghl_program_calls(r.step);
    double *ms = malloc((size_t)n * sizeof *ms);
    int64_t clock[GHL_CLOCK_SIZE] = {[GHL_CLOCK_COUNT] = r.batch, [GHL_CLOCK_TOTAL] = r.batch}, ticket = 0;
    for (int i = 0; i < n; i++)
        ms[i] = -1;
    const ghl_step step = {.images = r.images, .labels = r.labels, .clock = clock, .rates = r.rates, .result = r.result};
    assert_int_equal(ghl_plan_run(r.plan, r.step, &step, ms, &ticket), GHL_OK);
    assert_int_equal(ghl_plan_wait(r.plan, ticket), GHL_OK);
    for (int i = 0; i < n; i++)
        if (!(ms[i] >= 0) || (ghl_program_call(r.step, i).chain > 1 && !(ms[i] > 0)))
            fail_msg("call %d, %s: %g ms", i, ghl_program_call(r.step, i).op, ms[i]);
    free(ms);
    rig_close(&r);
}

/* Images that the cache holds with all that is made of them are done at once. */
static void few_images_make_no_chain(void **state)
{
    rig r;
    (void)state;
    rig_open(&r, make_net("affine: false"), &(rig_settings){.device = "cpu", .batch = 4});
    for (int i = 0; i < ghl_program_calls(r.step); i++)
        assert_int_equal(ghl_program_call(r.step, i).chain, 1);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains_change_no_bit),
        cmocka_unit_test(chains_in_what_is_computed_again),
        cmocka_unit_test(every_call_is_timed),
        cmocka_unit_test(few_images_make_no_chain),
    };
    return cmocka_run_group_tests(tests, add_plain, NULL);
}
