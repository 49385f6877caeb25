/* SPDX-License-Identifier: Apache-2.0
 * ghl-test: gpu
 *
 * test_fusions.c - batch norm, relu and residual sums: what is left of a residual net's calls, and that a fused program has the meaning
 * of the unfused one: gradients, local terms and weights of two steps, on each device, by each rule. And large linear layers, whose
 * gradient is not stored: weights, what is not fused, and that no state changes where the gradient would not be finite. And rules whose
 * local update is not stored.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support_rig.h"

enum { SIDE = 8, BATCH = 6 };

/* A residual net with both kinds of shortcut; then a block as VGG has it, one with batch norm behind the pool, one whose batch norm
 * nobody else reads, and the head. */
static ghl_net *build(const char *norm)
{
    ghl_net *net = rig_net(SIDE, SIDE, 3, "conv1 conv channels: 8, kernel: 3, padding: 1, bias: false", NULL);
    const char *conv = "channels: 8, kernel: 3, padding: 1, bias: false";
    int stem = rig_add(net, "relu1", "relu", rig_add(net, "bn1", "batch_norm", net->count - 1, -1, norm), -1, NULL);
    int a = rig_add(net, "a.bn1", "batch_norm", rig_add(net, "a.conv1", "conv", stem, -1, conv), -1, norm);
    a = rig_add(net, "a.conv2", "conv", rig_add(net, "a.relu1", "relu", a, -1, NULL), -1, conv);
    a = rig_add(net, "a.add", "add", rig_add(net, "a.bn2", "batch_norm", a, -1, norm), stem, NULL);
    a = rig_add(net, "a.relu2", "relu", a, -1, NULL);
    int b = rig_add(net, "b.conv1", "conv", a, -1, "channels: 10, kernel: 3, stride: 2, padding: 1, bias: false");
    b = rig_add(net, "b.relu1", "relu", rig_add(net, "b.bn1", "batch_norm", b, -1, norm), -1, NULL);
    b = rig_add(net, "b.conv2", "conv", b, -1, "channels: 10, kernel: 3, padding: 1, bias: false");
    b = rig_add(net, "b.bn2", "batch_norm", b, -1, norm);
    int c = rig_add(net, "b.conv3", "conv", a, -1, "channels: 10, kernel: 1, stride: 2, bias: false");
    c = rig_add(net, "b.bn3", "batch_norm", c, -1, norm);
    b = rig_add(net, "b.relu2", "relu", rig_add(net, "b.add", "add", b, c, NULL), -1, NULL);
    b = rig_add(net, "c.conv1", "conv", b, -1, "channels: 12, kernel: 3, padding: 1, bias: false");
    b = rig_add(net, "c.relu1", "relu", rig_add(net, "c.bn1", "batch_norm", b, -1, norm), -1, NULL);
    b = rig_add(net, "c.pool1", "max_pool", b, -1, "kernel: 2");
    b = rig_add(net, "c.conv2", "conv", b, -1, "channels: 12, kernel: 3, padding: 1, bias: false");
    b = rig_add(net, "c.bn2", "batch_norm", rig_add(net, "c.relu2", "relu", b, -1, NULL), -1, norm);
    b = rig_add(net, "flatten", "flatten", b, -1, NULL);
    rig_add(net, "head", "linear", b, -1, "features: 5");
    return net;
}

static void open_rig(rig *r, const rig_settings *settings, const char *norm, bool fused)
{
    rig_settings s = *settings;
    s.fused = fused;
    s.batch = BATCH;
    s.lr = s.head_lr = 0.05;
    rig_open(r, build(norm), &s);
    rig_random(r, 5);
}

static double distance(const double *a, const double *b, int64_t n)
{
    double difference = 0.0, size = 1e-60;
    for (int64_t i = 0; i < n; i++) {
        difference += (a[i] - b[i]) * (a[i] - b[i]);
        size += b[i] * b[i];
    }
    return sqrt(difference / size);
}

/* Every tensor that the fused program names is close to the unfused one's. */
static void named_agree(rig *fused, rig *plain, double tolerance)
{
    assert_true(ghl_program_named(fused->step) >= 9);
    for (int i = 0; i < ghl_program_named(fused->step); i++) {
        const char *name = ghl_program_name(fused->step, i).name;
        int64_t n;
        double *a = rig_named(fused, fused->step, name, &n), *b = rig_named(plain, plain->step, name, NULL);
        if (strncmp(name, "direction/", 10) != 0 && !(distance(a, b, n) <= tolerance))
            fail_msg("%s differs by %.3g, allowed %.3g", name, distance(a, b, n), tolerance);
        free(a);
        free(b);
    }
}

static void states_agree(rig *fused, rig *plain, double tolerance)
{
    for (int i = 0; i < ghl_plan_states(fused->plan); i++) {
        const char *name = ghl_plan_state(fused->plan, i).name;
        const int64_t n = rig_elements(fused, name);
        double *a = malloc((size_t)n * sizeof *a), *b = malloc((size_t)n * sizeof *b);
        rig_read(fused, name, a);
        rig_read(plain, name, b);
        if (!(distance(a, b, n) <= tolerance))
            fail_msg("%s differs by %.3g, allowed %.3g", name, distance(a, b, n), tolerance);
        free(a);
        free(b);
    }
}

static const char *const norms[] = {"affine: false", "affine: true"};

static void both_agree(const rig_settings *s, double tolerance)
{
    for (int i = 0; i < 2; i++) {
        rig fused, plain;
        open_rig(&fused, s, norms[i], true);
        open_rig(&plain, s, norms[i], false);
        assert_true(ghl_program_calls(fused.step) + 8 < ghl_program_calls(plain.step));
        for (int step = 0; step < 2; step++) {
            double a = rig_run(&fused, fused.step), b = rig_run(&plain, plain.step);
            assert_true(fabs(a - b) <= tolerance * b);
            if (step == 0)
                named_agree(&fused, &plain, tolerance);
        }
        states_agree(&fused, &plain, tolerance);
        assert_true(fabs(rig_run(&fused, fused.test) - rig_run(&plain, plain.test)) <= tolerance * plain.result[GHL_RESULT_LOSS]);
        rig_close(&fused);
        rig_close(&plain);
    }
}

static void test_fused_is_unfused(void **state)
{
    static const char *const rules[] = {"backprop", "ghl", "sign"};
    (void)state;
    for (int device = 0; rig_device(device); device++)
        for (int i = 0; i < 3; i++)
            for (int frozen = 0; frozen < 2; frozen++)
                both_agree(&(rig_settings){.device = rig_device(device), .rule = rules[i], .frozen_norm = frozen}, 1e-6);
}

/* bf16: what is no longer stored is no longer rounded. The gradients are as close to those in f32 as the unfused ones, all together. */
static void test_fused_is_no_worse_in_bf16(void **state)
{
    (void)state;
    rig r[3]; /* f32, bf16, bf16 fused */
    const rig_settings settings = {.device = "cpu", .dtype = GHL_BF16, .batch = BATCH};
    const ghl_status status = rig_try(&r[0], build(norms[0]), &settings);
    rig_close(&r[0]);
    if (status == GHL_DEVICE)
        skip();
    for (int i = 0; i < 2; i++) {
        double unfused = 0.0, fused = 0.0;
        for (int k = 0; k < 3; k++) {
            open_rig(&r[k], &(rig_settings){.device = "cpu", .dtype = k > 0 ? GHL_BF16 : GHL_F32}, norms[i], k == 2);
            rig_run(&r[k], r[k].step);
        }
        for (int g = 0; g < ghl_program_named(r[2].step); g++) {
            const char *name = ghl_program_name(r[2].step, g).name;
            int64_t n;
            double *values[3];
            for (int k = 0; k < 3; k++)
                values[k] = rig_named(&r[k], r[k].step, name, &n);
            unfused += distance(values[1], values[0], n);
            fused += distance(values[2], values[0], n);
            for (int k = 0; k < 3; k++)
                free(values[k]);
        }
        assert_true(unfused > 0.0 && fused <= 1.25 * unfused);
        for (int k = 0; k < 3; k++)
            rig_close(&r[k]);
    }
}

static int count(const ghl_program *program, const char *op)
{
    int n = 0;
    for (int i = 0; i < ghl_program_calls(program); i++)
        n += strcmp(ghl_program_call(program, i).op, op) == 0;
    return n;
}

static void test_what_is_left(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        for (int frozen = 0; frozen < 2; frozen++) {
            rig r;
            open_rig(&r, &(rig_settings){.rule = "ghl", .frozen_norm = frozen}, norms[i], false);
            ghl_program *p = r.look, *evaluation = NULL;
            const bool sums = i == 1 || !frozen;
            assert_int_equal(count(p, "batch_norm"), 8);
            assert_int_equal(count(p, "batch_norm_sums"), sums ? 8 : 0);
            assert_int_equal(count(p, "relu"), 1); /* c.relu2, whose neighbours are a convolution and a batch norm */
            assert_int_equal(count(p, "relu_backward"), sums ? 1 : 3);
            assert_int_equal(count(p, "add"), sums ? 1 : 2); /* errors at relu1, behind which no mask is stored; at a.relu2 */
            assert_int_equal(count(r.step, "relu"), 7); /* a trace that names outputs */
            assert_int_equal(count(r.step, "add"), 4);
            const ghl_program_settings evaluate = {.purpose = GHL_EVALUATE, .batch = 2, .float_images = true};
            if (ghl_plan_compile(r.plan, &evaluate, &evaluation) != GHL_OK)
                fail_msg("%s", ghl_error_message());
            assert_int_equal(count(evaluation, "batch_norm"), 8);
            assert_int_equal(count(evaluation, "relu") + count(evaluation, "add"), 1);
            rig_close(&r);
        }
}

/* ---- Large linear layers ---- */

/* 256 inputs, `features` outputs, from 1 MiB of weights on fused; no relu, so that its error is the head's weights times the loss's.
 * `below`: another layer that wants the error at its inputs. */
static ghl_status open_linear_with(rig *r, const char *options, bool below, const rig_settings *settings, ghl_program **train)
{
    rig_settings s = *settings;
    ghl_net *net = rig_net(4, 4, 16, NULL);
    const int first = below ? rig_add(net, "below", "linear", 0, -1, "features: 256") : 0;
    rig_add(net, "head", "linear", rig_add(net, "fc", "linear", first, -1, options), -1, "features: 5");
    s.batch = s.batch > 0 ? s.batch : BATCH;
    s.lr = s.head_lr = 0.05;
    ghl_status status = rig_try(r, net, &s);
    if (status == GHL_OK)
        status = ghl_plan_compile(r->plan, &(ghl_program_settings){.purpose = GHL_TRAIN, .batch = s.batch, .float_images = true}, train);
    if (status == GHL_OK)
        status = ghl_plan_seal(r->plan);
    rig_random(r, 5);
    return status;
}

static ghl_status open_linear(rig *r, int features, bool below, const rig_settings *settings, ghl_program **train)
{
    char options[32];
    snprintf(options, sizeof options, "features: %d", features);
    return open_linear_with(r, options, below, settings, train);
}

/* Steps of the trace, which names and so stores the gradient, against those of the program that trains. */
static void linear_agrees(int features, const rig_settings *s, double tolerance)
{
    rig fused, plain;
    ghl_program *train = NULL, *unused = NULL;
    if (open_linear(&fused, features, true, s, &train) != GHL_OK || open_linear(&plain, features, true, s, &unused) != GHL_OK)
        fail_msg("%s", ghl_error_message());
    assert_int_equal(count(train, "sgd_product"), 1);
    assert_int_equal(count(train, "finite_product"), 1);
    assert_int_equal(count(train, "conv_backward_weights"), 2); /* below, the head */
    assert_int_equal(count(plain.step, "sgd_product"), 0);
    for (int step = 0; step < 3; step++)
        assert_true(fabs(rig_run(&fused, train) - rig_run(&plain, plain.step)) <= tolerance);
    states_agree(&fused, &plain, tolerance);
    rig_close(&fused);
    rig_close(&plain);
}

static bool takes_bf16(void)
{
    rig r;
    ghl_program *train = NULL;
    const ghl_status status = open_linear(&r, 8, false, &(rig_settings){.device = "cpu", .dtype = GHL_BF16}, &train);
    rig_close(&r);
    return status == GHL_OK;
}

static void test_linear_step(void **state)
{
    static const char *const optimisers[] = {NULL, "momentum: 0.9", "momentum: 0.9, nesterov: true, decoupled: true"};
    (void)state;
    for (int i = 0; i < 3; i++) {
        rig_settings s = {.weight_decay = 0.05, .optimiser_options = optimisers[i]};
        for (int device = 0; rig_device(device); device++) {
            s.device = rig_device(device);
            linear_agrees(1088, &s, rig_exact(device));
            linear_agrees(1103, &s, rig_exact(device));
        }
        if (!takes_bf16())
            continue;
        s.device = "cpu";
        s.dtype = GHL_BF16;
        for (s.batch = 6; s.batch < 40; s.batch += 26) { /* 32: the copies of w are packed beside it */
            linear_agrees(1088, &s, 1e-5);
            linear_agrees(1103, &s, 1e-5);
        }
    }
}

/* Rule swta: the filters of a layer that divides by their norms are not written, and where they are known no product is. */
static void swta_agrees(const char *options, const rig_settings *s, double tolerance)
{
    rig fused, plain;
    ghl_program *train = NULL, *unused = NULL;
    const bool divided = strstr(options, "unit_norm") != NULL;
    if (open_linear_with(&fused, options, false, s, &train) != GHL_OK || open_linear_with(&plain, options, false, s, &unused) != GHL_OK)
        fail_msg("%s", ghl_error_message());
    assert_int_equal(count(train, "conv_unit_norm"), divided);
    assert_int_equal(count(train, "sgd_product") * count(train, "finite_product"), 1);
    assert_int_equal(count(train, "normalise_weight") + count(train, "instar_decay"), 0);
    assert_int_equal(count(plain.step, "normalise_weight"), divided);
    assert_int_equal(count(plain.step, "instar_decay"), 1);
    for (int step = 0; step < 3; step++)
        assert_true(fabs(rig_run(&fused, train) - rig_run(&plain, plain.step)) <= tolerance);
    states_agree(&fused, &plain, tolerance);
    fused.images[7] = NAN;
    rig_run(&fused, train);
    assert_true(fused.result[GHL_RESULT_OK] == 0.0);
    states_agree(&fused, &plain, tolerance);
    rig_close(&fused);
    rig_close(&plain);
}

static void test_swta_step(void **state)
{
    static const char *const layers[] = {"features: 1088, response: unit_norm", "features: 1103, response: unit_norm", "features: 1088"};
    (void)state;
    for (int i = 0; i < 3; i++) {
        rig_settings s = {.rule = "swta", .optimiser_options = i == 1 ? "momentum: 0.9" : NULL};
        for (int device = 0; rig_device(device); device++) {
            s.device = rig_device(device);
            swta_agrees(layers[i], &s, 1e-5);
        }
        if (!takes_bf16())
            continue;
        s.device = "cpu";
        s.dtype = GHL_BF16;
        swta_agrees(layers[i], &s, 3e-2); /* one rounds w, the other w over its norm */
    }
}

/* Rules whose d and v are not stored where w steps by their share of the layer's maximum; the same bits, and no state after a NaN. */
static void local_agrees(const rig_settings *s, int expected, double tolerance)
{
    rig fused, plain;
    ghl_program *train = NULL, *unused = NULL;
    if (open_linear(&fused, 65, false, s, &train) != GHL_OK || open_linear(&plain, 65, false, s, &unused) != GHL_OK)
        fail_msg("%s", ghl_error_message());
    assert_int_equal(count(train, "oja_scale"), expected);
    assert_int_equal(count(train, "finite_step"), expected);
    assert_int_equal(count(train, "oja_decay") + count(train, "scale") > 0, !expected);
    assert_int_equal(count(train, "direction") + count(train, "ascent"), !expected);
    assert_int_equal(count(plain.step, "oja_scale"), 0);
    for (int step = 0; step < 3; step++)
        assert_true(fabs(rig_run(&fused, train) - rig_run(&plain, plain.step)) <= 2 * tolerance);
    states_agree(&fused, &plain, tolerance);
    fused.images[7] = NAN;
    rig_run(&fused, train);
    assert_true(fused.result[GHL_RESULT_OK] == 0.0);
    states_agree(&fused, &plain, tolerance);
    rig_close(&fused);
    rig_close(&plain);
}

static void test_local_step(void **state)
{
    static const struct {
        rig_settings s;
        int fused;
    } kinds[] = {{{.rule = "ghl"}, 1},
                 {{.rule = "ghl", .optimiser_options = "momentum: 0.9", .weight_decay = 0.05}, 1},
                 {{.rule = "softhebb"}, 1},
                 {{.rule = "softhebb", .optimiser_options = "momentum: 0.9, nesterov: true"}, 1},
                 {{.rule = "oja"}, 1},
                 {{.rule = "ghl", .rule_options = "power: 0.5"}, 0},
                 {{.rule = "ghl", .rule_options = "scale: neuron_max"}, 0},
                 {{.rule = "softhebb", .optimiser = "adam"}, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        for (int device = 0; rig_device(device); device++) {
            rig_settings s = kinds[i].s;
            s.device = rig_device(device);
            local_agrees(&s, kinds[i].fused, rig_exact(device));
        }
}

static void test_linear_steps_that_are_not_fused(void **state)
{
    static const struct {
        int features;
        rig_settings s;
    } kinds[] = {{1000, {.rule = "backprop"}}, {1088, {.rule = "sign"}}, {1088, {.rule = "frozen"}}, {1088, {.optimiser = "adam"}},
                 {1088, {.batch = 300}}};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        rig r;
        ghl_program *train = NULL;
        assert_int_equal(open_linear(&r, kinds[i].features, false, &kinds[i].s, &train), GHL_OK);
        assert_int_equal(count(train, "sgd_product") + count(train, "finite_product"), 0);
        rig_close(&r);
    }
}

/* All 0 but the weights of the head's first output, so that an error of their size comes down. */
static void write_states(rig *r, double head)
{
    for (int i = 0; i < ghl_plan_states(r->plan); i++) {
        const char *name = ghl_plan_state(r->plan, i).name;
        const int64_t n = rig_elements(r, name);
        double *values = calloc((size_t)n, sizeof *values);
        for (int64_t k = 0; strcmp(name, "head.weight") == 0 && k < n / 5; k++)
            values[k] = head;
        rig_write(r, name, values);
        free(values);
    }
}

static bool states_are(rig *r, double head)
{
    bool equal = true;
    for (int i = 0; i < ghl_plan_states(r->plan); i++) {
        const char *name = ghl_plan_state(r->plan, i).name;
        const int64_t n = rig_elements(r, name);
        double *values = malloc((size_t)n * sizeof *values);
        rig_read(r, name, values);
        for (int64_t k = 0; k < n; k++)
            equal = equal && values[k] == (strcmp(name, "head.weight") == 0 && k < n / 5 ? head : 0.0);
        free(values);
    }
    return equal;
}

/* Inputs of 1e20 and errors of some 1e19: all is finite but their products. Then a NaN; then a step that could be taken. */
static void check_guard(const rig_settings *s)
{
    const double large = (double)1e21f;
    rig r;
    ghl_program *train = NULL;
    assert_int_equal(open_linear(&r, 1088, false, s, &train), GHL_OK);
    assert_int_equal(count(train, "finite_product"), 1);
    write_states(&r, large);
    for (int i = 0; i < BATCH * 256; i++)
        r.images[i] = 1e20f;
    assert_true(isfinite(rig_run(&r, train)));
    assert_true(r.result[GHL_RESULT_OK] == 0.0 && states_are(&r, large));
    write_states(&r, 0.5);
    rig_random(&r, 5);
    r.images[7] = NAN;
    rig_run(&r, train);
    assert_true(r.result[GHL_RESULT_OK] == 0.0 && states_are(&r, 0.5));
    rig_random(&r, 5);
    rig_run(&r, train);
    assert_true((r.result[GHL_RESULT_OK] != 0.0) == (s->nan == GHL_NAN_SKIP) && states_are(&r, 0.5) == (s->nan == GHL_NAN_STOP));
    rig_close(&r);
}

static void test_linear_guard(void **state)
{
    (void)state;
    for (int nan = GHL_NAN_STOP; nan <= GHL_NAN_SKIP; nan++) {
        for (int device = 0; rig_device(device); device++)
            check_guard(&(rig_settings){.device = rig_device(device), .nan = (ghl_nan_policy)nan});
        if (takes_bf16())
            check_guard(&(rig_settings){.device = "cpu", .nan = (ghl_nan_policy)nan, .dtype = GHL_BF16});
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_left),
        cmocka_unit_test(test_fused_is_unfused),
        cmocka_unit_test(test_fused_is_no_worse_in_bf16),
        cmocka_unit_test(test_linear_step),
        cmocka_unit_test(test_swta_step),
        cmocka_unit_test(test_local_step),
        cmocka_unit_test(test_linear_steps_that_are_not_fused),
        cmocka_unit_test(test_linear_guard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
