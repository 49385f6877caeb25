/* SPDX-License-Identifier: Apache-2.0
 * ghl-test: gpu
 *
 * test_layers.c - each layer kind through the plan: gradients against finite differences of the loss, outputs against textbook
 * loops, batch norm's running statistics, what evaluation and a frozen `norm` row change, dropout, and what is refused.
 */
#include "support_rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 1024 };

/* ---- Gradients ---- */

enum { PARAMETERS = 16 };

/* dL/dw of element k of values by four points, the loss measured by a training step that changes nothing. */
static double difference(rig *r, const char *weight, double *values, int64_t k, double step)
{
    const struct {
        double at, factor;
    } points[4] = {{-2, 1}, {-1, -8}, {1, 8}, {2, -1}};
    double old = values[k], sum = 0;
    for (int i = 0; i < 4; i++) {
        values[k] = old + points[i].at * step;
        rig_write(r, weight, values);
        sum += points[i].factor * rig_run(r, r->look);
    }
    values[k] = old;
    return sum / (12 * step);
}

/* Rectifiers and maxima have kinks, which smaller steps keep clear of; the smaller the step, the larger the rounding of the loss. */
static void assert_gradient(rig *r, const char *what, const char *weight, const double *g)
{
    const double steps[] = {4e-3, 1e-3, 2.5e-4}, rounding = 2e-7;
    double values[MOST], largest = 0.02; /* a bias before batch norm has no gradient, only noise */
    rig_read(r, weight, values);
    for (int64_t k = 0; k < rig_elements(r, weight); k++)
        largest = fmax(largest, fabs(g[k]));
    for (int64_t k = 0; k < rig_elements(r, weight); k++) {
        double numeric = 0;
        bool agrees = false;
        for (int i = 0; i < 3 && !agrees; i++) {
            numeric = difference(r, weight, values, k, steps[i]);
            agrees = fabs(g[k] - numeric) <= 2e-3 * largest + rounding / steps[i];
        }
        if (!agrees)
            fail_msg("%s: gradient of %s, element %d: %.7g, by differences %.7g", what, weight, (int)k, g[k], numeric);
    }
    rig_write(r, weight, values);
}

static bool is_statistic(const ghl_weight *w)
{
    return w->role == GHL_BUFFER && w->dtype == GHL_F32;
}

static void assert_gradients(rig *r, const char *what)
{
    double *g[PARAMETERS] = {NULL}, largest = 0;
    char name[200];
    assert_true(r->net->weights <= PARAMETERS);
    double buffers[PARAMETERS][MOST];
    for (int i = 0; i < r->net->weights; i++)
        if (is_statistic(ghl_net_weight(r->net, i)))
            rig_read(r, ghl_net_weight(r->net, i)->name, buffers[i]);
    rig_run(r, r->step);
    r->steps = 0; /* the clock of that step again: dropout draws the same */
    for (int i = 0; i < r->net->weights; i++) /* a variance-keeping norm's output depends on what the step has moved */
        if (is_statistic(ghl_net_weight(r->net, i)))
            rig_write(r, ghl_net_weight(r->net, i)->name, buffers[i]);
    for (int i = 0; i < r->net->weights; i++) {
        snprintf(name, sizeof name, "grad/%s", ghl_net_weight(r->net, i)->name);
        g[i] = ghl_net_weight(r->net, i)->role == GHL_BUFFER ? NULL : rig_named(r, r->step, name, NULL);
    }
    for (int i = 0; i < r->net->weights; i++) {
        const ghl_weight *w = ghl_net_weight(r->net, i);
        if (g[i] == NULL)
            continue;
        for (int64_t k = 0; i == 0 && k < rig_elements(r, w->name); k++)
            largest = fmax(largest, fabs(g[i][k]));
        assert_gradient(r, what, w->name, g[i]);
        free(g[i]);
    }
    if (!(largest > 0.02))
        fail_msg("%s: hardly any error reaches the first layer (%g)", what, largest);
}

/* Scales and shifts, running statistics away from where they start. */
static void shake(rig *r)
{
    for (int i = 0; i < r->net->weights; i++) {
        const ghl_weight *w = ghl_net_weight(r->net, i);
        double values[MOST];
        if (w->role == GHL_MATRIX || w->dtype != GHL_F32)
            continue;
        rig_read(r, w->name, values);
        for (int64_t k = 0; k < rig_elements(r, w->name); k++)
            values[k] += 0.3 * rig_noise(5 + (uint64_t)i, k);
        rig_write(r, w->name, values);
    }
}

static void gradients_of_chains(void **state)
{
    const struct {
        const char *layer[3];
        bool frozen, dropout;
    } rows[] = {
        {{"a conv channels: 3, kernel: 3, padding: 1"}, false, false},
        {{"a conv channels: 3, kernel: 3, stride: 2, padding: 1"}, false, false},
        {{"a conv channels: 2, kernel: [3, 1], stride: [1, 2], padding: [0, 2], bias: false"}, false, false},
        {{"a conv channels: 3, kernel: 3, padding: 2, padding_mode: reflect"}, false, false},
        {{"a conv channels: 3, kernel: [2, 3], padding: [0, 1], stride: 2, padding_mode: reflect, bias: false"}, false, false},
        {{"a conv channels: 3, kernel: 3, padding: 1, response: unit_norm"}, false, false},
        {{"a conv channels: 3, kernel: 3, padding: 1, response: cosine_tap"}, false, false},
        {{"a conv channels: 3, kernel: [3, 2], stride: [2, 1], padding: 1, response: cosine_filter, bias: false"}, false, false},
        {{"a conv channels: 3, kernel: 3, padding: 1, inhibition: dog"}, false, false},
        {{"a conv channels: 3, kernel: 3, padding: 1, padding_mode: reflect, response: cosine_tap, inhibition: dog"}, false, false},
        {{"a linear features: 5, response: cosine_tap"}, false, false},
        {{"a linear features: 5, response: cosine_filter"}, false, false},
        {{"a linear features: 5"}, false, false},
        {{"a flatten", "b linear features: 4, bias: false"}, false, false},
        {{"a batch_norm"}, false, false},
        {{"a batch_norm affine: false, epsilon: 0.01"}, false, false},
        {{"a batch_norm"}, true, false},
        {{"a batch_norm affine: false"}, true, false},
        {{"a flatten", "b batch_norm", "c linear features: 4"}, false, false},
        {{"a flatten", "b batch_norm affine: false"}, false, false},
        {{"a flatten", "b batch_norm"}, true, false},
        {{"a linear features: 6", "b batch_norm"}, false, false},
        {{"a relu"}, false, false},
        {{"a max_pool kernel: 2"}, false, false},
        {{"a max_pool kernel: 4, stride: 2, padding: 1"}, false, false},
        {{"a max_pool kernel: [1, 3], stride: 1, padding: [0, 1]"}, false, false},
        {{"a relu", "b max_pool kernel: 3, stride: 2, padding: 1"}, false, false},
        {{"a average_pool kernel: 2"}, false, false},
        {{"a average_pool kernel: 3, stride: 2, padding: 1"}, false, false},
        {{"a relu", "b average_pool kernel: [2, 3], stride: 1"}, false, false},
        {{"a global_average_pool"}, false, false},
        {{"a subsample_pad channels: 5"}, false, false},
        {{"a subsample_pad stride: 3"}, false, false},
        {{"a dropout rate: 0.4"}, false, true},
        {{"a dropout rate: 0.4"}, false, false},
        {{"a batch_norm affine: false", "b conv channels: 3, kernel: 3, bias: false", "c relu"}, false, false},
        {{"a repu power: 1.5"}, false, false},
        {{"a tanh"}, false, false},
        {{"a max_pool kernel: 2", "b whiten"}, false, false},
        {{"a batch_norm affine: false, variance_keeping: true"}, false, false},
        {{"a batch_norm affine: false, variance_keeping: true"}, true, false},
        {{"a flatten", "b batch_norm affine: false, variance_keeping: true", "c linear features: 4"}, false, false},
        {{"a flatten", "b sigmoid"}, false, false},
    };
    (void)state;
    for (int d = 0; rig_device(d) != NULL; d++)
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            rig r;
            rig_open(&r,
                     rig_net(5, 6, 2, "before conv channels: 3, kernel: 2", rows[i].layer[0],
                             rows[i].layer[1] ? rows[i].layer[1] : "head linear features: 4",
                             rows[i].layer[2]   ? rows[i].layer[2]
                             : rows[i].layer[1] ? "head linear features: 4"
                                                : NULL,
                             rows[i].layer[2] ? "head linear features: 4" : NULL, NULL),
                     &(rig_settings){
                         .device = rig_device(d), .batch = 4, .frozen_norm = rows[i].frozen, .dropout = rows[i].dropout});
            rig_random(&r, 1000 + i);
            shake(&r);
            assert_gradients(&r, rows[i].layer[0]);
            rig_close(&r);
        }
}

/* A residual block whose two paths start at one node, and a node that is added to itself. */
static void gradients_where_paths_join(void **state)
{
    (void)state;
    for (int d = 0; rig_device(d) != NULL; d++) {
        rig r;
        ghl_net *net = rig_net(5, 5, 2, "before conv channels: 3, kernel: 2", NULL);
        int left = rig_add(net, "left", "conv", 1, -1, "channels: 3, kernel: 3, padding: 1");
        int norm = rig_add(net, "norm", "batch_norm", left, -1, NULL);
        int sum = rig_add(net, "sum", "add", norm, 1, NULL);
        int rectified = rig_add(net, "rectified", "relu", sum, -1, NULL);
        int twice = rig_add(net, "twice", "add", rectified, rectified, NULL);
        rig_add(net, "head", "linear", twice, -1, "features: 3");
        rig_open(&r, net, &(rig_settings){.device = rig_device(d), .batch = 3});
        rig_random(&r, 7);
        assert_gradients(&r, "paths");
        rig_run(&r, r.step);
        double *a = rig_named(&r, r.step, "out/norm", NULL), *b = rig_named(&r, r.step, "out/before", NULL);
        int64_t n;
        double *y = rig_named(&r, r.step, "out/twice", &n);
        for (int64_t i = 0; i < n; i++)
            a[i] = 2 * fmax(a[i] + b[i], 0);
        rig_near("twice", y, a, n, 1e-6);
        free(a);
        free(b);
        free(y);
        rig_close(&r);
    }
}

/* ---- Outputs ---- */

/* Opens a net of one layer between images and head, runs an evaluation, returns the layer's output. */
static double *output_of(rig *r, ghl_shape image, const char *layer, const char *device, const double *x, int64_t *n)
{
    char name[80] = "out/";
    rig_open(r, rig_net(image.h, image.w, image.c, layer, "head linear features: 2", NULL),
             &(rig_settings){.device = device, .batch = image.n});
    rig_images(r, x);
    rig_run(r, r->test);
    strncat(name, layer, strcspn(layer, " "));
    return rig_named(r, r->test, name, n);
}

static void outputs_by_hand(void **state)
{
    const double x[12] = {1, -2, 3, 0.5, 4, -1, -3, 2, 0, 5, -5, 7}; /* 2 channels of 2x3 */
    const struct {
        const char *layer;
        int n;
        double y[12];
    } rows[] = {
        {"a relu", 12, {1, 0, 3, 0.5, 4, 0, 0, 2, 0, 5, 0, 7}},
        {"a repu power: 2", 12, {1, 0, 9, 0.25, 16, 0, 0, 4, 0, 25, 0, 49}},
        {"a triangle power: 2", 12, {4, 0, 2.25, 0, 20.25, 0, 0, 4, 0, 5.0625, 0, 16}},
        {"a whiten", 12, {1, -2, 3, 0.5, 4, -1, -3, 2, 0, 5, -5, 7}}, /* as it starts */
        {"a flatten", 12, {1, -2, 3, 0.5, 4, -1, -3, 2, 0, 5, -5, 7}},
        {"a max_pool kernel: 2, stride: 1", 4, {4, 4, 5, 7}},
        {"a max_pool kernel: 2, stride: 2", 2, {4, 5}},
        {"a max_pool kernel: 3, stride: 2, padding: 1", 4, {4, 4, 5, 7}},
        {"a average_pool kernel: 2, stride: 1", 4, {0.875, 1, -0.25, 1}},
        {"a average_pool kernel: 2, stride: 2, padding: [0, 1]", 4, {0.375, 1, 0.5, 1}},
        {"a global_average_pool", 2, {5.5 / 6, 1}},
        {"a subsample_pad channels: 5", 10, {0, 0, 1, 3, -3, 0, 0, 0, 0, 0}},
        {"a subsample_pad stride: 1, channels: 2", 12, {1, -2, 3, 0.5, 4, -1, -3, 2, 0, 5, -5, 7}},
        {"a dropout rate: 0.9", 12, {1, -2, 3, 0.5, 4, -1, -3, 2, 0, 5, -5, 7}},
        /* running mean 0, variance 1 */
        {"a batch_norm epsilon: 0", 12, {1, -2, 3, 0.5, 4, -1, -3, 2, 0, 5, -5, 7}},
        {"a batch_norm epsilon: 0.21",
         12,
         {1 / 1.1, -2 / 1.1, 3 / 1.1, 0.5 / 1.1, 4 / 1.1, -1 / 1.1, -3 / 1.1, 2 / 1.1, 0, 5 / 1.1, -5 / 1.1, 7 / 1.1}},
    };
    (void)state;
    for (int d = 0; rig_device(d) != NULL; d++)
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            rig r;
            int64_t n;
            double *y = output_of(&r, (ghl_shape){1, 2, 3, 2}, rows[i].layer, rig_device(d), x, &n);
            assert_int_equal(n, rows[i].n);
            rig_near(rows[i].layer, y, rows[i].y, n, 1e-6);
            free(y);
            rig_close(&r);
        }
}

/* A linear layer counts the features of a map in PyTorch's order: channel, row, column. */
static void linear_weights_meet_features_in_file_order(void **state)
{
    double x[24], w[3 * 24], b[3], expected[3];
    (void)state;
    for (int d = 0; rig_device(d) != NULL; d++) {
        rig r;
        rig_open(&r, rig_net(3, 4, 2, "flatten flatten", "fc linear features: 3", "head linear features: 2", NULL),
                 &(rig_settings){.device = rig_device(d)});
        for (int i = 0; i < 24; i++)
            x[i] = rig_noise(1, i);
        for (int i = 0; i < 72; i++)
            w[i] = rig_noise(2, i);
        for (int k = 0; k < 3; k++) {
            expected[k] = b[k] = rig_noise(3, k);
            for (int f = 0; f < 24; f++)
                expected[k] += w[24 * k + f] * x[f];
        }
        rig_images(&r, x);
        rig_write(&r, "fc.weight", w);
        rig_write(&r, "fc.bias", b);
        rig_run(&r, r.test);
        double *y = rig_named(&r, r.test, "out/fc", NULL);
        rig_near("fc", y, expected, 3, 1e-6);
        free(y);
        rig_close(&r);
    }
}

static void reflection_does_not_repeat_the_edge(void **state)
{
    /* A 1x1 picture of the padded row (1,0,2) -> (0,1,0,2,0): kernel 5 reads it as weights 1, 10, 100 ... */
    const double w[5] = {1, 10, 100, 1000, 10000}, x[3] = {1, 0, 2}, expected[1] = {0 + 10 + 0 + 2000 + 0};
    (void)state;
    for (int d = 0; rig_device(d) != NULL; d++) {
        rig r;
        rig_open(&r,
                 rig_net(1, 3, 1, "a conv channels: 1, kernel: [1, 5], padding: [0, 1], padding_mode: reflect, bias: false",
                         "head linear features: 2", NULL),
                 &(rig_settings){.device = rig_device(d)});
        rig_write(&r, "a.weight", w);
        rig_images(&r, x);
        rig_run(&r, r.test);
        double *y = rig_named(&r, r.test, "out/a", NULL);
        rig_near("reflect", y, expected, 1, 1e-6);
        free(y);
        rig_close(&r);
    }
}

static void loss_and_counts(void **state)
{
    (void)state;
    for (int d = 0; rig_device(d) != NULL; d++) {
        rig r;
        double w[49] = {0}, x[3 * 7] = {0}, expected = 0;
        const int labels[3] = {0, 4, 6};
        /* Logits are the images: classes 0..6 with logits 6..0 for each image. */
        rig_open(&r, rig_net(1, 1, 7, "head linear features: 7, bias: false", NULL), &(rig_settings){.device = rig_device(d), .batch = 3});
        for (int k = 0; k < 7; k++)
            w[8 * k] = 1;
        for (int i = 0; i < 21; i++)
            x[i] = 6 - i % 7;
        rig_write(&r, "head.weight", w);
        rig_images(&r, x);
        rig_labels(&r, labels);
        double loss = rig_run(&r, r.test), sum = 0;
        for (int k = 0; k < 7; k++)
            sum += exp(k);
        for (int i = 0; i < 3; i++)
            expected += (log(sum) - (6 - labels[i])) / 3;
        rig_near("loss", &loss, &expected, 1, 1e-6);
        assert_true(r.result[GHL_RESULT_TOP1] == 1 && r.result[GHL_RESULT_TOP5] == 2);
        rig_close(&r);
    }
}

/* ---- Batch norm ---- */

typedef struct moments {
    double mean[16], biased[16], unbiased[16];
} moments;

/* Of x [N,C,L], for each channel. */
static moments moments_of(const double *x, int n, int channels, int length)
{
    moments m;
    for (int c = 0; c < channels; c++) {
        double sum = 0, squares = 0;
        for (int i = 0; i < n * length; i++)
            sum += x[(i / length * channels + c) * length + i % length];
        m.mean[c] = sum / (n * length);
        for (int i = 0; i < n * length; i++)
            squares += pow(x[(i / length * channels + c) * length + i % length] - m.mean[c], 2);
        m.biased[c] = squares / (n * length);
        m.unbiased[c] = squares / (n * length - 1);
    }
    return m;
}

/* Two training steps and an evaluation of a batch norm on images [4,C,L]; as features after flatten, C L of them. */
static void assert_batch_norm(const char *device, const char *between, double momentum, bool features)
{
    enum { N = 4, C = 2, L = 6 };
    const int channels = features ? C * L : C, length = features ? 1 : L;
    double x[N * C * L], mean[16] = {0}, variance[16], y[N * C * L], tracked[1] = {0};
    char options[64];
    rig r;
    snprintf(options, sizeof options, "norm batch_norm momentum: %g", momentum);
    rig_open(&r, rig_net(2, 3, C, between, options, "head linear features: 2", NULL), &(rig_settings){.device = device, .batch = N});
    shake(&r);
    double scale[16], shift[16];
    rig_read(&r, "norm.weight", scale);
    rig_read(&r, "norm.bias", shift);
    rig_read(&r, "norm.running_mean", mean);
    rig_read(&r, "norm.running_var", variance);
    for (int step = 0; step < 3; step++) {
        bool training = step < 2;
        for (int i = 0; i < N * C * L; i++)
            x[i] = (float)(3 + 2 * rig_noise(20 + (uint64_t)step, i));
        rig_images(&r, x);
        rig_run(&r, training ? r.step : r.test);
        moments m = moments_of(x, N, channels, length);
        for (int i = 0; i < N * C * L; i++) {
            int c = i / length % channels;
            double centre = training ? m.mean[c] : mean[c], spread = training ? m.biased[c] : variance[c];
            y[i] = (x[i] - centre) / sqrt(spread + 1e-5) * scale[c] + shift[c];
        }
        double *out = rig_named(&r, training ? r.step : r.test, "out/norm", NULL);
        rig_near("batch norm", out, y, N * C * L, 5e-6);
        free(out);
        for (int c = 0; training && c < channels; c++) {
            mean[c] += momentum * (m.mean[c] - mean[c]);
            variance[c] += momentum * (m.unbiased[c] - variance[c]);
        }
        tracked[0] += training;
        rig_state_near(&r, "norm.running_mean", mean, 2e-6);
        rig_state_near(&r, "norm.running_var", variance, 2e-6);
        rig_state_near(&r, "norm.num_batches_tracked", tracked, 0);
    }
    rig_close(&r);
}

static void running_statistics(void **state)
{
    (void)state;
    for (int d = 0; rig_device(d) != NULL; d++) {
        assert_batch_norm(rig_device(d), "same dropout", 0.1, false);
        assert_batch_norm(rig_device(d), "same dropout", 0.3, false);
        assert_batch_norm(rig_device(d), "flat flatten", 0.1, true);
    }
}

static void frozen_statistics_are_used_and_stay(void **state)
{
    (void)state;
    for (int d = 0; rig_device(d) != NULL; d++) {
        rig r;
        rig_open(&r, rig_net(2, 3, 2, "norm batch_norm affine: false", "head linear features: 2", NULL),
                 &(rig_settings){.device = rig_device(d), .frozen_norm = true}); /* one image will do */
        rig_write(&r, "norm.running_mean", (double[]){1, -2});
        rig_write(&r, "norm.running_var", (double[]){4 - 1e-5, 0.25 - 1e-5});
        rig_images(&r, (double[]){1, 2, 3, 4, 5, 6, 0, 0, 0, 1, 1, 1});
        rig_run(&r, r.step);
        rig_named_near(&r, "out/norm", (double[]){0, 0.5, 1, 1.5, 2, 2.5, 4, 4, 4, 6, 6, 6}, 1e-6);
        rig_state_near(&r, "norm.running_mean", (double[]){1, -2}, 0);
        rig_state_near(&r, "norm.running_var", (double[]){4 - 1e-5, 0.25 - 1e-5}, 1e-7);
        rig_state_near(&r, "norm.num_batches_tracked", (double[]){0}, 0);
        rig_close(&r);
    }
}

/* Whatever the variances: all channels are divided by one number, the root of the mean variance. */
static void variances_are_kept(void **state)
{
    (void)state;
    for (int d = 0; rig_device(d) != NULL; d++) {
        rig r;
        rig_open(&r, rig_net(2, 3, 2, "norm batch_norm affine: false, variance_keeping: true", "head linear features: 2", NULL),
                 &(rig_settings){.device = rig_device(d), .frozen_norm = true});
        rig_write(&r, "norm.running_mean", (double[]){1, -2});
        rig_write(&r, "norm.running_var", (double[]){1 - 1e-5, 7 - 1e-5});
        rig_images(&r, (double[]){1, 2, 3, 4, 5, 6, 0, 0, 0, 1, 1, 1});
        rig_run(&r, r.step);
        rig_named_near(&r, "out/norm", (double[]){0, 0.5, 1, 1.5, 2, 2.5, 1, 1, 1, 1.5, 1.5, 1.5}, 1e-6);
        rig_close(&r);
    }
}

/* ---- Dropout ---- */

static void dropout_drops_at_its_rate(void **state)
{
    (void)state;
    for (int d = 0; rig_device(d) != NULL; d++) {
        enum { N = 8 * 20 * 20 };
        rig r;
        int kept = 0, changed = 0;
        double *before = NULL;
        rig_open(&r, rig_net(20, 20, 8, "drop dropout rate: 0.25", "head linear features: 2", NULL),
                 &(rig_settings){.device = rig_device(d), .dropout = true});
        for (int i = 0; i < N; i++)
            r.images[i] = 3;
        for (int step = 0; step < 2; step++) {
            rig_run(&r, r.step);
            double *y = rig_named(&r, r.step, "out/drop", NULL);
            for (int i = 0; i < N; i++) {
                assert_true(y[i] == 0 || fabs(y[i] - 4) < 1e-5);
                kept += y[i] != 0;
                changed += before != NULL && before[i] != y[i];
            }
            free(before);
            before = y;
        }
        free(before);
        assert_true(abs(kept - 3 * N / 2) < 200);           /* 2N draws at 0.75: deviation 35 */
        assert_true(abs(changed - 3 * N / 8) < 200);        /* 2 * 0.75 * 0.25 of them */
        rig_close(&r);
    }
}

/* ---- Refusals ---- */

static void refused(ghl_net *net, const char *name, const char *kind, const char *options, const char *part)
{
    ghl_status status = ghl_net_append(net, name, kind, options);
    assert_int_not_equal(status, GHL_OK);
    assert_int_equal(ghl_status_exit(status), 2);
    if (strstr(ghl_error_message(), name) == NULL || strstr(ghl_error_message(), part) == NULL)
        fail_msg("the message \"%s\" does not name %s and \"%s\"", ghl_error_message(), name, part);
}

static void bad_layers_are_named(void **state)
{
    (void)state;
    ghl_net *net = rig_net(4, 6, 2, "same relu", NULL);
    refused(net, "bad", "conv", "channels: 3", "kernel");
    refused(net, "bad", "conv", "kernel: 3", "channels");
    refused(net, "bad", "conv", "channels: 3, kernel: [1, 2, 3]", "kernel");
    refused(net, "bad", "conv", "channels: 3, kernel: 0", "kernel");
    refused(net, "bad", "conv", "channels: 3, kernel: 5", "4x6");
    refused(net, "bad", "conv", "channels: 3, kernel: 3, padding: 4, padding_mode: reflect", "reflect");
    refused(net, "bad", "conv", "channels: 3, kernel: 3, padding_mode: mirror", "padding_mode");
    refused(net, "bad", "max_pool", "kernel: 5", "4x6");
    refused(net, "bad", "max_pool", "kernel: 2, padding: 2", "padding");
    refused(net, "bad", "max_pool", NULL, "kernel");
    refused(net, "bad", "average_pool", "kernel: [2, 7]", "4x6");
    refused(net, "bad", "subsample_pad", "channels: 1", "1 channels are fewer than the 2");
    refused(net, "bad", "linear", NULL, "features");
    refused(net, "bad", "dropout", "rate: 1", "rate");
    refused(net, "bad", "batch_norm", "epsilon: -1", "epsilon");
    refused(net, "bad", "batch_norm", "variance_keeping: true", "variance_keeping");
    refused(net, "bad", "triangle", "power: 0", "power");
    refused(net, "bad", "relu", "power: 2", "power");
    int small = rig_add(net, "small", "max_pool", 1, -1, "kernel: 2"), inputs[2] = {0, small};
    assert_int_equal(ghl_net_add(net, "sum", "add", 2, inputs, NULL, NULL), GHL_RECIPE);
    assert_non_null(strstr(ghl_error_message(), "small is 2x3x2"));
    assert_int_equal(ghl_net_append(net, "flat", "flatten", NULL), GHL_OK);
    refused(net, "bad", "conv", "channels: 3, kernel: 1", "flat");
    refused(net, "bad", "max_pool", "kernel: 1", "flat");
    refused(net, "bad", "global_average_pool", NULL, "flat");
    refused(net, "bad", "subsample_pad", NULL, "flat");
    refused(net, "bad", "softmax_cross_entropy", NULL, "2x3x2");
    ghl_net_free(net);
}

static void one_value_has_no_variance(void **state)
{
    const char *const before[] = {"flat flatten", "pool global_average_pool", "fc linear features: 3"};
    (void)state;
    for (int i = 0; i < 3; i++) {
        rig r;
        ghl_status status =
            rig_try(&r, rig_net(2, 3, 2, before[i], "norm7 batch_norm", "head linear features: 2", NULL), &(rig_settings){.batch = 1});
        assert_int_equal(status, GHL_RECIPE);
        assert_non_null(strstr(ghl_error_message(), "norm7"));
        rig_close(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_chains),
        cmocka_unit_test(gradients_where_paths_join),
        cmocka_unit_test(outputs_by_hand),
        cmocka_unit_test(linear_weights_meet_features_in_file_order),
        cmocka_unit_test(reflection_does_not_repeat_the_edge),
        cmocka_unit_test(loss_and_counts),
        cmocka_unit_test(running_statistics),
        cmocka_unit_test(frozen_statistics_are_used_and_stay),
        cmocka_unit_test(variances_are_kept),
        cmocka_unit_test(dropout_drops_at_its_rate),
        cmocka_unit_test(bad_layers_are_named),
        cmocka_unit_test(one_value_has_no_variance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
