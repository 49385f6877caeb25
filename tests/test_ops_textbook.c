/* SPDX-License-Identifier: Apache-2.0
 * ghl-test: gpu-emulated
 *
 * test_ops_textbook.c - forward ops, rules, optimisers and commits on every device against textbook loops written here and against
 * values that can be checked by hand. Backward ops are in test_ops_gradients.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "golden/numbers.h"
#include "support_ops.h"

static ghl_operand vector(int64_t n, const double *values)
{
    return tensor_of((ghl_shape){1, 1, 1, n}, values);
}
#define VECTOR(...) vector(sizeof((double[]){__VA_ARGS__}) / sizeof(double), (double[]){__VA_ARGS__})
#define EXPECT(t, tolerance, ...) assert_close(#t, t, (double[]){__VA_ARGS__}, tolerance)

/* ---- Convolution by a matrix of patches of the padded image ---- */

static void conv_by_patches(ghl_operand x, ghl_operand w, ghl_operand bias, ghl_window win, ghl_operand u)
{
    const ghl_shape xs = x.shape, ws = w.shape, us = u.shape;
    const int64_t height = xs.h + 2 * win.padding[0], width = xs.w + 2 * win.padding[1];
    double *padded = calloc((size_t)(xs.n * height * width * xs.c), sizeof *padded);
    double *expected = calloc((size_t)elements(u), sizeof *expected);
    assert_non_null(padded);
    assert_non_null(expected);
    for (int64_t i = 0; i < elements(x); i++) {
        int64_t c = i % xs.c, q = i / xs.c % xs.w, p = i / xs.c / xs.w % xs.h, n = i / xs.c / xs.w / xs.h;
        padded[((n * height + p + win.padding[0]) * width + q + win.padding[1]) * xs.c + c] = floats(x)[i];
    }
    for (int64_t i = 0; i < elements(u); i++) {
        int64_t k = i % us.c, q = i / us.c % us.w, p = i / us.c / us.w % us.h, n = i / us.c / us.w / us.h;
        const double *corner = padded + ((n * height + p * win.stride[0]) * width + q * win.stride[1]) * xs.c;
        expected[i] = floats(bias)[k];
        for (int64_t f = 0; f < ws.h * ws.w * ws.c; f++)
            expected[i] += corner[f / (ws.w * ws.c) * width * xs.c + f % (ws.w * ws.c)] * floats(w)[k * ws.h * ws.w * ws.c + f];
    }
    assert_close("convolution", u, expected, 5e-6);
    free(expected);
    free(padded);
}

static void conv(void)
{
    const struct {
        int64_t n, h, w, c, k;
        ghl_window window;
    } cases[] = {
        {2, 5, 6, 3, 4, {{3, 3}, {1, 1}, {1, 1}}}, {1, 7, 9, 2, 3, {{3, 2}, {2, 3}, {1, 0}}}, {3, 1, 1, 17, 5, {{1, 1}, {1, 1}, {0, 0}}},
        {2, 8, 8, 1, 6, {{5, 5}, {1, 1}, {2, 2}}}, {1, 4, 4, 8, 3, {{4, 4}, {1, 1}, {0, 0}}}, {1, 6, 5, 33, 35, {{3, 3}, {1, 1}, {1, 1}}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const ghl_window win = cases[i].window;
        ghl_operand x = tensor_random((ghl_shape){cases[i].n, cases[i].h, cases[i].w, cases[i].c}, i);
        ghl_operand w = tensor_random((ghl_shape){cases[i].k, win.kernel[0], win.kernel[1], cases[i].c}, i + 10);
        ghl_operand bias = tensor_random((ghl_shape){1, 1, 1, cases[i].k}, i + 20);
        ghl_operand u = tensor(cases[i].n, (cases[i].h + 2 * win.padding[0] - win.kernel[0]) / win.stride[0] + 1,
                               (cases[i].w + 2 * win.padding[1] - win.kernel[1]) / win.stride[1] + 1, cases[i].k);
        RUN_OP(conv, &(ghl_attributes){.window = win}, IN(x, w, bias), OUT(u));
        conv_by_patches(x, w, bias, win, u);
    }
}

static void pad_reflect(void)
{
    ghl_operand y = tensor(1, 1, 5, 1), x = tensor_of((ghl_shape){1, 1, 3, 1}, (double[]){1, 0, 2});
    RUN_OP(pad_reflect, &(ghl_attributes){.window = {.padding = {0, 1}}}, IN(x), OUT(y));
    EXPECT(y, 0, 0, 1, 0, 2, 0);
}

/* Rows and columns 0 and 2 of 3x4; one channel becomes 4: one of 0 before, two after. */
static void subsample_pad(void)
{
    const ghl_attributes attr = {.window = {{1, 1}, {2, 2}, {0, 0}}};
    ghl_operand x = tensor_of((ghl_shape){1, 3, 4, 1}, (double[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
    ghl_operand y = tensor(1, 2, 2, 4), dx = tensor_like(x);
    RUN_OP(subsample_pad, &attr, IN(x), OUT(y));
    EXPECT(y, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 9, 0, 0, 0, 11, 0, 0);
    RUN_OP(subsample_pad_backward, &attr, IN(y), OUT(dx));
    EXPECT(dx, 0, 1, 0, 3, 0, 0, 0, 0, 0, 9, 0, 11, 0);
}

/* ---- Pools ---- */

static void pools(void)
{
    const ghl_attributes plain = {.window = {{2, 2}, {1, 1}, {1, 1}}}, relu = {.window = plain.window, .pool = {1}};
    ghl_operand x = tensor_of((ghl_shape){1, 2, 2, 1}, (double[]){-1, 3, 3, -4}), y = tensor(1, 3, 3, 1), mean = tensor_like(y);
    ghl_operand index = tensor_typed(GHL_U8, y.shape);
    const uint8_t *at = index.data;
    RUN_OP(max_pool, &plain, IN(x), OUT(y, index));
    EXPECT(y, 0, -1, 3, 3, 3, 3, 3, 3, 3, -4);
    assert_memory_equal(at, ((uint8_t[]){3, 3, 2, 3, 1, 0, 1, 0, 0}), 9); /* the first of the two threes in the middle */
    RUN_OP(max_pool, &relu, IN(x), OUT(y, index));
    EXPECT(y, 0, 0, 3, 3, 3, 3, 3, 3, 3, 0);
    assert_memory_equal(at, ((uint8_t[]){255, 3, 2, 3, 1, 0, 1, 0, 255}), 9);
    RUN_OP(average_pool, &plain, IN(x), OUT(mean));
    EXPECT(mean, 1e-7, -0.25, 0.5, 0.75, 0.5, 0.25, -0.25, 0.75, -0.25, -1);
    RUN_OP(average_pool, &relu, IN(x), OUT(mean));
    EXPECT(mean, 1e-7, 0, 0.75, 0.75, 0.75, 1.5, 0.75, 0.75, 0.75, 0);
    floats(x)[0] = NAN;
    RUN_OP(max_pool, &relu, IN(x), OUT(y, index));
    assert_true(isnan(floats(y)[0]) && isnan(floats(y)[1]) && isnan(floats(y)[4]) && at[4] == 0 && floats(y)[2] == 3.0f);
    RUN_OP(average_pool, &relu, IN(x), OUT(mean));
    assert_true(isnan(floats(mean)[4]) && floats(mean)[8] == 0.0f);
}

/* ---- Batch norm ---- */

static void batch_norm(void)
{
    const ghl_attributes attr = {.norm = {.epsilon = 1e-5f}};
    ghl_operand x = tensor_random((ghl_shape){4, 3, 5, 7}, 1), mean = tensor(1, 1, 1, 7), variance = tensor_like(mean), y = tensor_like(x);
    ghl_operand scale = tensor_random(mean.shape, 2), shift = tensor_random(mean.shape, 3);
    double means[7], variances[7], normal[4 * 3 * 5 * 7];
    for (int c = 0; c < 7; c++)
        for (int64_t m = 0; m < 60; m++) /* the two middle channels far from 0 */
            floats(x)[m * 7 + c] += c == 3 ? 3000.0f : c == 4 ? -500.0f : 0.0f;
    for (int c = 0; c < 7; c++) {
        means[c] = variances[c] = 0.0;
        for (int64_t m = 0; m < 60; m++)
            means[c] += floats(x)[m * 7 + c] / 60.0;
        for (int64_t m = 0; m < 60; m++)
            variances[c] += (floats(x)[m * 7 + c] - means[c]) * (floats(x)[m * 7 + c] - means[c]) / 60.0;
    }
    RUN_OP(batch_norm_statistics, NULL, IN(x), OUT(mean, variance));
    assert_close("mean", mean, means, 1e-6);
    assert_close("variance", variance, variances, 1e-4);
    RUN_OP(batch_norm, &attr, IN(x, mean, variance, scale, shift), OUT(y));
    for (int64_t i = 0; i < elements(x); i++) {
        const int64_t c = i % 7;
        normal[i] = ((double)floats(x)[i] - floats(mean)[c]) / sqrt((double)floats(variance)[c] + 1e-5);
        normal[i] = normal[i] * floats(scale)[c] + floats(shift)[c];
    }
    assert_close("y", y, normal, 1e-6);
}

/* ---- Input ---- */

/* Sample n of an augmented batch, from the padded image, by the words of its counter. */
static double augmented(const uint8_t *image, const uint32_t *words, const int64_t at[3], int64_t padding, bool flip, bool crop)
{
    const int64_t size = 6, channels = 2;
    int64_t h = at[0], w = flip && (words[2] & 1) ? size - 1 - at[1] : at[1];
    if (crop) {
        h += (int64_t)(words[0] % (uint32_t)(2 * padding + 1)) - padding;
        w += (int64_t)(words[1] % (uint32_t)(2 * padding + 1)) - padding;
    }
    return h < 0 || w < 0 || h >= size || w >= size ? 0.0 : image[(h * size + w) * channels + at[2]];
}

static void input(void)
{
    enum { BATCH = 40, EACH = 6 * 6 * 2 };
    static const int kinds[] = {0, GHL_AUGMENT_FLIP, GHL_AUGMENT_CROP, GHL_AUGMENT_FLIP | GHL_AUGMENT_CROP};
    ghl_operand images = tensor_typed(GHL_U8, (ghl_shape){BATCH, 6, 6, 2}), samples = tensor_typed(GHL_I64, (ghl_shape){1, 1, 1, BATCH});
    ghl_operand clock = tensor_clock(BATCH, BATCH), x = tensor(BATCH, 6, 6, 2);
    ghl_operand affine = tensor_of((ghl_shape){1, 1, 2, 2}, (double[]){2.0 / 255, 0.5, -1, 3});
    double expected[BATCH * EACH];
    ((int64_t *)clock.data)[GHL_CLOCK_PHASE] = 2;
    ((int64_t *)clock.data)[GHL_CLOCK_EPOCH] = 9;
    for (int64_t i = 0; i < elements(images); i++)
        ((uint8_t *)images.data)[i] = (uint8_t)(i * 37 % 251);
    for (int64_t n = 0; n < BATCH; n++)
        ((int64_t *)samples.data)[n] = 77 * n + 5;
    for (size_t kind = 0; kind < 4; kind++) {
        for (int64_t i = 0; i < BATCH * EACH; i++) {
            const int64_t at[3] = {i / 12 % 6, i / 2 % 6, i % 2};
            uint32_t words[4];
            ghl_random4(123, GHL_RANDOM_AUGMENT, (uint64_t)(77 * (i / EACH) + 5), (uint64_t)2 << 32 | 9, words);
            const double pixel = augmented((uint8_t *)images.data + i / EACH * EACH, words, at, 3, kinds[kind] & GHL_AUGMENT_FLIP,
                                           kinds[kind] & GHL_AUGMENT_CROP);
            expected[i] = floats(affine)[at[2]] * pixel + floats(affine)[2 + at[2]];
        }
        RUN_OP(input, &(ghl_attributes){.seed = 123, .input = {kinds[kind], 3}}, IN(images, samples, clock, affine), OUT(x));
        assert_close("input", x, expected, 1e-6);
    }
}

/* ---- Dropout: the share that is kept, and what the mask depends on ---- */

static int64_t same_zeros(ghl_operand a, ghl_operand b)
{
    int64_t same = 0;
    for (int64_t i = 0; i < elements(a); i++)
        same += (floats(a)[i] == 0.0f) == (floats(b)[i] == 0.0f);
    return same;
}

static void dropout(void)
{
    enum { COUNT = 100000 };
    const ghl_attributes attr = {.seed = 9, .dropout = {.rate = 0.3f, .node = 4}};
    ghl_attributes other = attr;
    ghl_operand x = tensor(1, 1, 1, COUNT), y = tensor_like(x), z = tensor_like(x), clock = tensor_clock(1, 1);
    int64_t kept = 0;
    for (int64_t i = 0; i < COUNT; i++)
        floats(x)[i] = 1.4f;
    RUN_OP(dropout, &attr, IN(x, clock), OUT(y));
    for (int64_t i = 0; i < COUNT; i++) {
        kept += floats(y)[i] != 0.0f;
        assert_true(floats(y)[i] == 0.0f || fabs(floats(y)[i] - 2.0) < 1e-5);
    }
    assert_number("share kept", (double)kept / COUNT, 0.7, 0.006); /* four deviations */
    RUN_OP(dropout, &attr, IN(x, clock), OUT(z));
    assert_int_equal(same_zeros(y, z), COUNT);
    ((int64_t *)clock.data)[GHL_CLOCK_STEP] = 1;
    RUN_OP(dropout, &attr, IN(x, clock), OUT(z));
    assert_number("masks of two steps", (double)same_zeros(y, z) / COUNT, 0.58, 0.01); /* 0.7^2 + 0.3^2 */
    ((int64_t *)clock.data)[GHL_CLOCK_STEP] = 0;
    other.dropout.node = 5;
    RUN_OP(dropout, &other, IN(x, clock), OUT(z));
    assert_number("masks of two nodes", (double)same_zeros(y, z) / COUNT, 0.58, 0.01);
}

/* ---- Loss ---- */

static void loss_and_hits(void)
{
    enum { NAN_ROW = 5 };
    static const double logits[6][6] = {
        {0, 1, 2, 3, 4, 5},   /* label 5: first */
        {0, 1, 2, 3, 4, 5},   /* label 0: sixth, no hit */
        {0, 1, 2, 3, 4, 5},   /* label 1: fifth */
        {7, 7, 7, 7, 7, 7},   /* label 0: ties go to the lower index: first */
        {7, 7, 7, 7, 7, 7},   /* label 5: sixth */
        {9, 0, 0, 0, 0, 0}};  /* label 0, made NaN: no hit */
    static const int32_t label[6] = {5, 0, 1, 0, 5, 0};
    ghl_operand z = tensor_of((ghl_shape){6, 1, 1, 6}, logits[0]), labels = tensor_typed(GHL_I32, (ghl_shape){1, 1, 1, 6});
    ghl_operand e = tensor_like(z), score = tensor_typed(GHL_F64, (ghl_shape){1, 1, 1, 4});
    const double *s = score.data;
    memcpy(labels.data, label, sizeof label);
    RUN_OP(softmax_cross_entropy, NULL, IN(z, labels, tensor_clock(5, 10)), OUT(e, score));
    const double log_sum = log(exp(0) + exp(1) + exp(2) + exp(3) + exp(4) + exp(5));
    assert_number("loss", s[GHL_RESULT_LOSS], 3 * log_sum - 6.0 + 2.0 * log(6.0), 1e-5);
    assert_true(s[GHL_RESULT_TOP1] == 2.0 && s[GHL_RESULT_TOP5] == 3.0 && s[GHL_RESULT_COUNT] == 5.0);
    for (int k = 0; k < 6; k++) {
        assert_number("e of row 1", floats(e)[6 + k], (exp(k - log_sum) - (k == 0)) / 10.0, 1e-7);
        assert_true(floats(e)[6 * 5 + k] == 0.0f); /* past the count */
    }
    /* PyTorch: F.cross_entropy(torch.arange(6.).repeat(2, 1), torch.tensor([5, 0]), label_smoothing=0.1, reduction="sum") */
    RUN_OP(softmax_cross_entropy, (&(ghl_attributes){.loss = {0.1f}}), IN(z, labels, tensor_clock(2, 2)), OUT(e, score));
    assert_number("smoothed loss", s[GHL_RESULT_LOSS], 5.912386632, 1e-6);
    assert_number("its e", floats(e)[5], (exp(5 - log_sum) - 0.9 - 0.1 / 6) / 2.0, 1e-7);
    floats(z)[6 * NAN_ROW] = NAN;
    RUN_OP(softmax_cross_entropy, NULL, IN(z, labels, tensor_clock(6, 6)), OUT(e, score));
    assert_true(isnan(s[GHL_RESULT_LOSS]) && isnan(floats(e)[6 * NAN_ROW]) && isnan(floats(e)[6 * NAN_ROW + 5]));
    assert_true(s[GHL_RESULT_TOP1] == 2.0 && s[GHL_RESULT_TOP5] == 3.0 && s[GHL_RESULT_COUNT] == 6.0);
}

/* ---- Rules ---- */

static void softmax_channels(void)
{
    const ghl_attributes attr = {.softmax = {0.5f}};
    ghl_operand u = tensor_of((ghl_shape){2, 1, 1, 3}, (double[]){0, 2, 4, 1000, 1002, 1004}), r = tensor_like(u);
    const double a = 1.0 / (1.0 + exp(1.0) + exp(2.0)), b = a * exp(1.0), c = a * exp(2.0);
    RUN_OP(softmax_channels, &attr, IN(u), OUT(r));
    EXPECT(r, 1e-6, a, b, c, a, b, c);
}

static void scales_and_directions(void)
{
    ghl_operand d = tensor_of((ghl_shape){2, 1, 2, 1}, (double[]){3, -4, 0, 0.5}), one = tensor(1, 1, 1, 1), each = tensor(1, 1, 1, 2);
    ghl_operand g = tensor_of(d.shape, (double[]){-2, 0, 1e-30, -1e-9}), v = tensor_like(d);
    RUN_OP(scale, &(ghl_attributes){.scale = {GHL_SCALE_MAX, GHL_SCOPE_LAYER}}, IN(d), OUT(one));
    EXPECT(one, 0, 4);
    RUN_OP(scale, &(ghl_attributes){.scale = {GHL_SCALE_MAX, GHL_SCOPE_NEURON}}, IN(d), OUT(each));
    EXPECT(each, 0, 4, 0.5);
    RUN_OP(scale, &(ghl_attributes){.scale = {GHL_SCALE_RMS, GHL_SCOPE_LAYER}}, IN(d), OUT(one));
    EXPECT(one, 1e-7, sqrt(25.25 / 4));
    RUN_OP(scale, &(ghl_attributes){.scale = {GHL_SCALE_RMS, GHL_SCOPE_NEURON}}, IN(d), OUT(each));
    EXPECT(each, 1e-7, sqrt(12.5), sqrt(0.125));
    RUN_OP(direction, &(ghl_attributes){.direction = {.power = 1.0f}}, IN(g, d, VECTOR(4)), OUT(v));
    EXPECT(v, 1e-7, -0.75, 0, 0, -0.125);
    RUN_OP(direction, &(ghl_attributes){.direction = {.power = 0.5f}}, IN(g, d, VECTOR(3, 0.5)), OUT(v));
    EXPECT(v, 1e-7, -1, 0, 0, -1);
    RUN_OP(direction, &(ghl_attributes){.direction = {.power = 2.0f, .clip = 3.0f}}, IN(g, d, VECTOR(0.5)), OUT(v));
    EXPECT(v, 1e-7, -9, 0, 0, -1);
    RUN_OP(direction, &(ghl_attributes){.direction = {.power = 0.0f}}, IN(g, d, VECTOR(4)), OUT(v)); /* 0^0 = 1: Sign */
    EXPECT(v, 1e-7, -1, 0, 1, -1);
    RUN_OP(direction, NULL, IN(g), OUT(v));
    EXPECT(v, 1e-7, -1, 0, 1, -1);
    floats(d)[1] = NAN;
    RUN_OP(scale, &(ghl_attributes){.scale = {GHL_SCALE_MAX, GHL_SCOPE_LAYER}}, IN(d), OUT(one));
    assert_true(isnan(*floats(one)));
    RUN_OP(scale, &(ghl_attributes){.scale = {GHL_SCALE_MAX, GHL_SCOPE_NEURON}}, IN(d), OUT(each));
    assert_true(isnan(floats(each)[0]) && floats(each)[1] == 0.5f);
}

static void moving_average(void)
{
    const ghl_attributes attr = {.average = {0.9f}};
    ghl_operand mean = VECTOR(1, -2), g = VECTOR(3, 4), m = tensor_like(g);
    RUN_OP(moving_average, &attr, IN(mean, g, VECTOR(0)), OUT(m));
    EXPECT(m, 0, 3, 4);
    RUN_OP(moving_average, &attr, IN(mean, g, VECTOR(1)), OUT(m));
    EXPECT(m, 1e-6, 1.2, -1.4);
}

/* ---- Commits ---- */

static void sgd(void)
{
    const struct {
        float decay, momentum;
        int nesterov, decoupled;
    } kinds[] = {{0, 0, 0, 0}, {0.1f, 0, 0, 0}, {0.1f, 0, 0, 1}, {0.1f, 0.9f, 0, 0}, {0.1f, 0.9f, 1, 0}, {0.1f, 0.9f, 1, 1}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const ghl_attributes attr = {.sgd = {.group = 1, .weight_decay = kinds[i].decay, .momentum = kinds[i].momentum,
                                             .nesterov = kinds[i].nesterov, .decoupled = kinds[i].decoupled}};
        double w = 0.7, average = 0.0;
        ghl_operand weight = VECTOR(w), buffer = VECTOR(0), rates = VECTOR(77, 0.05);
        for (int step = 0; step < 5; step++) { /* as torch.optim.SGD is documented */
            const double d = cos(step), coupled = kinds[i].decoupled ? d : d + (double)kinds[i].decay * w;
            average = (double)kinds[i].momentum * average + coupled;
            const double move = kinds[i].nesterov ? coupled + (double)kinds[i].momentum * average : average;
            w = w - 0.05 * move - (kinds[i].decoupled ? 0.05 * (double)kinds[i].decay * w : 0.0);
            RUN_OP(sgd, &attr, IN(flag(1), rates, VECTOR(d)), OUT(weight, buffer));
        }
        EXPECT(weight, 2e-6, w);
        const float before = *floats(weight);
        RUN_OP(sgd, &attr, IN(flag(0), rates, VECTOR(NAN)), OUT(weight, buffer));
        assert_true(*floats(weight) == before);
    }
}

/* Two images, two inputs, one output: e^T x = (7, 10), then w - 0.1 (d + 0.5 w). */
static void sgd_product(void)
{
    const ghl_attributes attr = {.sgd = {.weight_decay = 0.5f}};
    ghl_operand x = VECTOR(1, 2, 3, 4), e = VECTOR(1, 2), w = VECTOR(2, -4), rates = VECTOR(0.1), ok = flag(7);
    x.shape = (ghl_shape){2, 1, 1, 2};
    e.shape = (ghl_shape){2, 1, 1, 1};
    RUN_OP(sgd_product, &attr, IN(flag(0), rates, x, e), OUT(w));
    EXPECT(w, 0, 2, -4);
    RUN_OP(sgd_product, &attr, IN(flag(1), rates, x, e), OUT(w));
    EXPECT(w, 1e-6, 1.2, -4.8);
    const struct {
        double x, e;
        int finite;
    } kinds[] = {{4, 2, 1}, {1e20, 1e17, 1}, {1e20, 1e18, 0}, {-1e20, 1e18, 0}, {1e20, -1e18, 0}, {INFINITY, 0, 0}, {0, -INFINITY, 0},
                 {NAN, 0, 0}, {0, NAN, 0}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        floats(x)[3] = (float)kinds[i].x;
        floats(e)[1] = (float)kinds[i].e;
        floats(e)[0] = 0.0f;
        RUN_OP(finite_product, NULL, IN(x, e), OUT(ok));
        assert_int_equal(*(int32_t *)ok.data, kinds[i].finite);
    }
}

/* The same step from e^T x = (7, 10): d = -(e^T x - 2 w) / 4, then w - 0.1 d. And when that is finite: all is 1 but what is named. */
static void sgd_product_that_decays(void)
{
    ghl_operand x = VECTOR(1, 2, 3, 4), e = VECTOR(1, 2), w = VECTOR(2, -4), ok = flag(7);
    x.shape = (ghl_shape){2, 1, 1, 2};
    e.shape = (ghl_shape){2, 1, 1, 1};
    RUN_OP(sgd_product, NULL, IN(flag(1), VECTOR(0.1), x, e, VECTOR(2), VECTOR(4)), OUT(w));
    EXPECT(w, 1e-6, 2.075, -3.55);
    const struct {
        double e, decay, divisor, norm;
        int finite;
    } kinds[] = {{1, 1, 1, 1, 1}, {1, 2, 1, 1e38, 0}, {1, 1, 4, 3e38, 0}, {1, 1, 1e-3, 1e36, 0}, {1, 1, -1e-3, 1e36, 0},
                 {1, 1, 0, 1e36, 1}, {1e30, 1, 1e-10, 1, 0}, {NAN, 1, 1, 1, 0}, {1, NAN, 1, 1, 0}, {1, 1, NAN, 1, 0}, {1, 1, 1, NAN, 0},
                 {1, -1e30, 1, 1e10, 0}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        floats(e)[0] = (float)kinds[i].e;
        RUN_OP(finite_product, NULL, IN(x, e, VECTOR(kinds[i].decay), VECTOR(kinds[i].divisor), VECTOR(kinds[i].norm)), OUT(ok));
        assert_int_equal(*(int32_t *)ok.data, kinds[i].finite);
    }
}

/* Filters (3, 4) and nearly 0, which is not divided. */
static void conv_unit_norm(void)
{
    ghl_operand x = VECTOR(1, 2), w = VECTOR(3, 4, 3e-13, 0), u = tensor(1, 1, 1, 2), norm = tensor(1, 1, 1, 2);
    ghl_operand unit = tensor(1, 1, 1, 2);
    w.shape = (ghl_shape){2, 1, 1, 2};
    const ghl_attributes attr = {.window = {{1, 1}, {1, 1}, {0, 0}}};
    RUN_OP(conv_unit_norm, &attr, IN(x, w, VECTOR(1, 0)), OUT(u, norm, unit));
    EXPECT(u, 1e-6, 3.2, 3e-13);
    EXPECT(norm, 1e-6, 5, 3e-13);
    EXPECT(unit, 1e-6, 1, 3e-13);
}

static void adam(void)
{
    for (int decoupled = 0; decoupled < 2; decoupled++) {
        const ghl_attributes attr = {
            .adam = {.weight_decay = 0.1f, .beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f, .decoupled = decoupled}};
        double w = 0.7, m = 0.0, v = 0.0;
        ghl_operand weight = VECTOR(w), first = VECTOR(0), second = VECTOR(0), step = VECTOR(0), rates = VECTOR(0.05);
        for (int i = 1; i <= 6; i++) { /* algorithm 1 of Kingma & Ba; AdamW decays the weight itself */
            const double d = cos(i), a = decoupled ? d : d + (double)0.1f * w;
            m = 0.9 * m + 0.1 * a;
            v = 0.999 * v + 0.001 * a * a;
            if (decoupled)
                w -= 0.05 * (double)0.1f * w;
            w -= 0.05 * (m / (1.0 - pow(0.9, i))) / (sqrt(v / (1.0 - pow(0.999, i))) + 1e-8);
            RUN_OP(adam, &attr, IN(flag(1), rates, VECTOR(d)), OUT(weight, first, second, step));
        }
        EXPECT(weight, 2e-5, w);
        EXPECT(step, 0, 6);
        RUN_OP(adam, &attr, IN(flag(0), rates, VECTOR(1)), OUT(weight, first, second, step));
        EXPECT(weight, 2e-5, w);
        EXPECT(step, 0, 6);
    }
}

static void votes_and_counters(void)
{
    ghl_operand ok = flag(7), counter = tensor_typed(GHL_I64, (ghl_shape){1, 1, 1, 1}), running = VECTOR(1, 2), state = VECTOR(5);
    ghl_operand score = tensor_typed(GHL_F64, (ghl_shape){1, 1, 1, 4}), result = tensor_typed(GHL_F64, (ghl_shape){1, 1, 1, 8});
    const ghl_attributes tenth = {.running = {0.1f, 2.0f}};
    RUN_OP(finite, NULL, IN(VECTOR(1, -2, 1e38)), OUT(ok));
    assert_int_equal(*(int32_t *)ok.data, 1);
    RUN_OP(finite, NULL, IN(VECTOR(1, INFINITY, 3)), OUT(ok));
    assert_int_equal(*(int32_t *)ok.data, 0);
    RUN_OP(finite, NULL, IN(VECTOR(1, 2, NAN)), OUT(ok));
    assert_int_equal(*(int32_t *)ok.data, 0);
    RUN_OP(vote, NULL, IN(flag(1), flag(1), flag(1)), OUT(ok));
    assert_int_equal(*(int32_t *)ok.data, 1);
    RUN_OP(vote, NULL, IN(flag(1), flag(1), flag(0)), OUT(ok));
    assert_int_equal(*(int32_t *)ok.data, 0);
    RUN_OP(count, NULL, IN(flag(1)), OUT(counter));
    RUN_OP(count, NULL, IN(flag(0)), OUT(counter));
    assert_true(*(int64_t *)counter.data == 1);
    RUN_OP(running_average, &tenth, IN(flag(1), VECTOR(3, 4)), OUT(running));
    EXPECT(running, 1e-6, 1.5, 2.6);
    RUN_OP(running_average, &tenth, IN(flag(0), VECTOR(NAN, 4)), OUT(running));
    EXPECT(running, 1e-6, 1.5, 2.6);
    RUN_OP(commit, NULL, IN(flag(0), VECTOR(6)), OUT(state));
    EXPECT(state, 0, 5);
    RUN_OP(commit, NULL, IN(flag(1), VECTOR(6)), OUT(state));
    EXPECT(state, 0, 6);
    memcpy(score.data, (double[]){1.5, 2, 3, 4}, 32);
    memset(result.data, 0xFF, 64);
    RUN_OP(report, NULL, IN(flag(0), score), OUT(result));
    assert_memory_equal(result.data, ((double[]){1.5, 2, 3, 4, 0, 0, 0, 0}), 64);
}

static void variance_keeping(void)
{
    ghl_operand factor = tensor(1, 1, 1, 2);
    RUN_OP(variance_keeping, &(ghl_attributes){.norm = {.epsilon = 1e-5f}}, IN(VECTOR(1, 4)), OUT(factor));
    EXPECT(factor, 1e-7, 0.63245743, 1.26491012);
}

static void relu_and_add(void)
{
    ghl_operand x = VECTOR(-1, 0, 2, NAN), e = VECTOR(5, 6, 7, 8), y = tensor_like(x);
    RUN_OP(relu, NULL, IN(x), OUT(y));
    assert_true(floats(y)[0] == 0.0f && floats(y)[1] == 0.0f && floats(y)[2] == 2.0f && isnan(floats(y)[3]));
    RUN_OP(relu_backward, NULL, IN(e, x), OUT(y));
    EXPECT(y, 0, 0, 0, 7, 8);
    RUN_OP(add, NULL, IN(e, e), OUT(y));
    EXPECT(y, 0, 10, 12, 14, 16);
}

/* Golden number S5 (Journe et al. 2023's activation on channels of mean 0.3), and slopes by hand. */
static void activations(void)
{
    ghl_operand x = tensor_of((ghl_shape){1, 1, 1, 4}, s5_x), y = tensor_like(x), e = VECTOR(1, 2, 3, 4);
    for (int i = 0; i < 3; i++) {
        RUN_OP(repu, &(ghl_attributes){.repu = {.power = (float)s5_power[i], .centred = 1}}, IN(x), OUT(y));
        assert_close("S5", y, s5_y + 4 * i, 2e-7);
    }
    ghl_operand v = VECTOR(4, 0, -1, 0.25), s = tensor_like(v);
    RUN_OP(repu, &(ghl_attributes){.repu = {.power = 0.5f}}, IN(v), OUT(s));
    EXPECT(s, 2e-7, 2, 0, 0, 0.5);
    RUN_OP(repu_backward, &(ghl_attributes){.repu = {.power = 0.5f}}, IN(e, v), OUT(s));
    EXPECT(s, 2e-7, 0.25, 0, 0, 4);
    RUN_OP(tanh, NULL, IN(v), OUT(s));
    EXPECT(s, 2e-7, 0.99932930, 0, -0.76159416, 0.24491866);
    RUN_OP(sigmoid, NULL, IN(v), OUT(s));
    EXPECT(s, 2e-7, 0.98201379, 0.5, 0.26894142, 0.56217650);
}

/* Over the whole range of floats, where single elements hide in no norm: units in the last place of the result. */
static void activations_of_any_size(void)
{
    enum { COUNT = 4000 };
    ghl_operand x = tensor(1, 1, 1, COUNT), y = tensor_like(x);
    for (int i = 0; i < COUNT; i++)
        floats(x)[i] = ldexpf(1.0f + (float)(i * 37 % 101) / 101.0f, i % 254 - 140); /* from below the smallest normal number on */
    for (double power = 0.3; power < 4.0; power += 0.37) {
        RUN_OP(repu, &(ghl_attributes){.repu = {.power = (float)power}}, IN(x), OUT(y));
        for (int i = 0; i < COUNT; i++) {
            const double exact = pow(floats(x)[i], (float)power);
            if (exact > 1e-37 && exact < 3e38)
                assert_number("power", floats(y)[i], exact, 4e-7 * exact);
            else
                assert_true(exact < 1.0 ? floats(y)[i] < 2e-37f : floats(y)[i] > 2e38f);
        }
    }
    for (int i = 0; i < COUNT; i++)
        floats(x)[i] = (i % 2 ? 1.0f : -1.0f) * floats(x)[i];
    RUN_OP(tanh, NULL, IN(x), OUT(y));
    for (int i = 0; i < COUNT; i++)
        assert_number("tanh", floats(y)[i], tanh(floats(x)[i]), 4e-7 * fabs(tanh(floats(x)[i])) + 1e-45);
    RUN_OP(sigmoid, NULL, IN(x), OUT(y));
    for (int i = 0; i < COUNT; i++) {
        const double exact = 1.0 / (1.0 + exp(-(double)floats(x)[i]));
        assert_number("sigmoid", floats(y)[i], exact, 4e-7 * exact + 3e-39);
    }
}

static void on_every_device(void (*test)(void))
{
    for (int i = 0; support_device(i) != NULL; i++) {
        device_open(support_device(i), 2);
        test();
        device_close();
    }
}

#define TEST(name)                        \
    static void test_##name(void **state) \
    {                                     \
        (void)state;                      \
        on_every_device(name);            \
    }
TEST(conv)
TEST(pad_reflect)
TEST(subsample_pad)
TEST(pools)
TEST(batch_norm)
TEST(input)
TEST(dropout)
TEST(loss_and_hits)
TEST(softmax_channels)
TEST(scales_and_directions)
TEST(moving_average)
TEST(sgd)
TEST(sgd_product)
TEST(sgd_product_that_decays)
TEST(conv_unit_norm)
TEST(adam)
TEST(votes_and_counters)
TEST(relu_and_add)
TEST(variance_keeping)
TEST(activations)
TEST(activations_of_any_size)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),         cmocka_unit_test(test_pad_reflect),           cmocka_unit_test(test_pools),
        cmocka_unit_test(test_batch_norm),   cmocka_unit_test(test_input),                 cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_loss_and_hits), cmocka_unit_test(test_softmax_channels),     cmocka_unit_test(test_scales_and_directions),
        cmocka_unit_test(test_moving_average), cmocka_unit_test(test_sgd),                 cmocka_unit_test(test_adam),
        cmocka_unit_test(test_sgd_product),
        cmocka_unit_test(test_sgd_product_that_decays),
        cmocka_unit_test(test_conv_unit_norm),
        cmocka_unit_test(test_votes_and_counters), cmocka_unit_test(test_relu_and_add),
        cmocka_unit_test(test_subsample_pad), cmocka_unit_test(test_variance_keeping),
        cmocka_unit_test(test_activations), cmocka_unit_test(test_activations_of_any_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
