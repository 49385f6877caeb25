/* SPDX-License-Identifier: Apache-2.0
 *
 * test_ops_gradients.c - every backward op of ref, over the cases of cases_list.c, against what defines it. Linear ops by the adjoint
 * identity <A x, e> = <x, A' e>; the others by central differences of a loss that a textbook function in double computes:
 *
 *     L = sum of e * f(x),   dL/dx_i = (L(x + h 1_i) - L(x - h 1_i)) / 2h
 *
 * Ops that were fused give the bits of those they stand for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "cases_more.h"
#include "support_ops.h"

static ghl_shape out_shape(const ghl_case *c, int64_t channels)
{
    const ghl_window w = ghl_case_attributes(c).window;
    if (!w.stride[0])
        return (ghl_shape){c->n, c->h + 2 * w.padding[0], c->w + 2 * w.padding[1], channels};
    return (ghl_shape){c->n, (c->h + 2 * w.padding[0] - w.kernel[0]) / w.stride[0] + 1,
                       (c->w + 2 * w.padding[1] - w.kernel[1]) / w.stride[1] + 1, channels};
}

static ghl_shape in_shape(const ghl_case *c)
{
    return (ghl_shape){c->n, c->h, c->w, c->c};
}

/* <a,b> = <c,d>, relative to the sizes that were multiplied. */
static void assert_adjoint(const char *what, ghl_operand a, ghl_operand b, ghl_operand c, ghl_operand d)
{
    const double size = sqrt(dot(a, a) * dot(b, b)) + sqrt(dot(c, c) * dot(d, d));
    assert_number(what, dot(a, b), dot(c, d), 1e-6 * size + 1e-30);
}

/* ---- Linear ops ---- */

static void conv_backward_data(const ghl_case *c)
{
    const ghl_attributes attr = ghl_case_attributes(c);
    ghl_operand x = tensor_random(in_shape(c), 1), w = tensor_random((ghl_shape){c->k, c->rows, c->columns, c->c}, 2);
    ghl_operand e = tensor_random(out_shape(c, c->k), 3), y = tensor_like(e), dx = tensor_like(x);
    RUN_OP(conv, &attr, IN(x, w), OUT(y));
    RUN_OP(conv_backward_data, &attr, IN(e, w), OUT(dx));
    assert_adjoint("convolution in x", y, e, x, dx);
}

static void conv_backward_weights(const ghl_case *c)
{
    const ghl_attributes attr = ghl_case_attributes(c);
    ghl_operand x = tensor_random(in_shape(c), 1), w = tensor_random((ghl_shape){c->k, c->rows, c->columns, c->c}, 2);
    ghl_operand e = tensor_random(out_shape(c, c->k), 3), y = tensor_like(e), g = tensor_like(w);
    RUN_OP(conv, &attr, IN(x, w), OUT(y));
    RUN_OP(conv_backward_weights, &attr, IN(x, e), OUT(g));
    assert_adjoint("convolution in w", y, e, w, g);
}

static void conv_backward_weights_pair(const ghl_case *c)
{
    const ghl_attributes attr = ghl_case_attributes(c);
    ghl_operand x = tensor_random(in_shape(c), 1), e = tensor_random(out_shape(c, c->k), 3), r = tensor_random(e.shape, 4);
    ghl_operand g = tensor(c->k, c->rows, c->columns, c->c), p = tensor_like(g), g_alone = tensor_like(g), p_alone = tensor_like(g);
    RUN_OP(conv_backward_weights_pair, &attr, IN(x, e, r), OUT(g, p));
    RUN_OP(conv_backward_weights, &attr, IN(x, e), OUT(g_alone));
    RUN_OP(conv_backward_weights, &attr, IN(x, r), OUT(p_alone));
    assert_close_tensors("g of the pair", g, g_alone, 1e-6);
    assert_close_tensors("p of the pair", p, p_alone, 1e-6);
}

static void sum_positions(const ghl_case *c)
{
    ghl_operand e = tensor_random((ghl_shape){c->n, c->h, c->w, c->k}, 1), bias = tensor_random((ghl_shape){1, 1, 1, c->k}, 2);
    ghl_operand spread = tensor_like(e), sum = tensor_like(bias);
    for (int64_t i = 0; i < elements(e); i++)
        floats(spread)[i] = floats(bias)[i % c->k];
    RUN_OP(sum_positions, NULL, IN(e), OUT(sum));
    assert_adjoint("bias", spread, e, bias, sum);
    RUN_OP(sum_positions, NULL, IN(e, spread), OUT(sum)); /* sum of e times the bias: the bias times the sum of e */
    for (int64_t k = 0; k < c->k; k++)
        floats(sum)[k] /= floats(bias)[k];
    assert_adjoint("product", spread, e, bias, sum);
}

static void pad_reflect_backward(const ghl_case *c)
{
    const ghl_attributes attr = ghl_case_attributes(c);
    ghl_operand x = tensor_random(in_shape(c), 1), e = tensor_random(out_shape(c, c->c), 2), y = tensor_like(e), dx = tensor_like(x);
    RUN_OP(pad_reflect, &attr, IN(x), OUT(y));
    RUN_OP(pad_reflect_backward, &attr, IN(e), OUT(dx));
    assert_adjoint("reflection", y, e, x, dx);
}

static void inhibit(const ghl_case *c)
{
    ghl_operand y = tensor_random((ghl_shape){c->n, c->h, c->w, c->k}, 1), e = tensor_random(y.shape, 2), z = tensor_like(y);
    ghl_operand dy = tensor_like(y);
    RUN_OP(inhibit, NULL, IN(y), OUT(z));
    RUN_OP(inhibit, NULL, IN(e), OUT(dy));
    assert_adjoint("lateral inhibition, which is its own", z, e, y, dy);
}

static void subsample_pad_backward(const ghl_case *c)
{
    const ghl_attributes attr = ghl_case_attributes(c);
    ghl_operand x = tensor_random(in_shape(c), 1), e = tensor_random(out_shape(c, c->k), 2), y = tensor_like(e), dx = tensor_like(x);
    RUN_OP(subsample_pad, &attr, IN(x), OUT(y));
    RUN_OP(subsample_pad_backward, &attr, IN(e), OUT(dx));
    assert_adjoint("shortcut", y, e, x, dx);
}

static void dropout(const ghl_case *c)
{
    const ghl_attributes attr = ghl_case_attributes(c);
    ghl_operand x = tensor_random(in_shape(c), 1), e = tensor_random(in_shape(c), 2), y = tensor_like(x), dx = tensor_like(x);
    RUN_OP(dropout, &attr, IN(x, tensor_clock(1, 1)), OUT(y));
    RUN_OP(dropout, &attr, IN(e, tensor_clock(1, 1)), OUT(dx));
    assert_adjoint("dropout", y, e, x, dx);
}

/* ---- Central differences ---- */

typedef double (*loss_function)(const ghl_case *c, const double *x, ghl_operand e);

enum { PROBES = 24, LARGEST = 12000 };

/* At some elements of x, not at those within 2h of 0, where f may have a kink. */
static void assert_gradient(const char *what, const ghl_case *c, loss_function loss, ghl_operand x, ghl_operand e, ghl_operand dx)
{
    static double values[LARGEST];
    const double h = 1e-5;
    const int64_t n = elements(x), stride = n > PROBES ? n / PROBES : 1;
    double largest = 0.0;
    assert_true(n <= LARGEST);
    for (int64_t i = 0; i < n; i++) {
        values[i] = floats(x)[i];
        largest = fmax(largest, fabs((double)floats(dx)[i]));
    }
    for (int64_t i = 0; i < n; i += stride) {
        const double before = values[i];
        if (fabs(before) < 2.0 * h)
            continue;
        values[i] = before + h;
        const double above = loss(c, values, e);
        values[i] = before - h;
        const double below = loss(c, values, e);
        values[i] = before;
        assert_number(what, floats(dx)[i], (above - below) / (2.0 * h), 2e-5 * largest + 1e-6);
    }
}

/* e against the weight over its norms. */
static double normalise_loss(const ghl_case *c, const double *w, ghl_operand e)
{
    const int64_t each = c->attr.normalise.tap ? c->c : elements(e) / c->k;
    double loss = 0.0;
    for (int64_t at = 0; at < elements(e); at += each) {
        double along = 0.0, squares = 0.0;
        for (int64_t i = at; i < at + each; i++) {
            along += floats(e)[i] * w[i];
            squares += w[i] * w[i];
        }
        loss += along / sqrt(squares);
    }
    return loss;
}

static void normalise_weight_backward(const ghl_case *c)
{
    ghl_operand w = tensor_random((ghl_shape){c->k, c->h, c->w, c->c}, 1), g = tensor_random(w.shape, 2), dw = tensor_like(w);
    RUN_OP(normalise_weight_backward, &c->attr, IN(g, w), OUT(dw));
    assert_gradient("normalised weight", c, normalise_loss, w, g, dw);
}

/* e against filters of ones, over the norms of the columns: u_mk = sum of x_m / n_m. */
static double cosine_loss(const ghl_case *c, const double *x, ghl_operand e)
{
    double loss = 0.0;
    for (int64_t m = 0; m < elements(e); m++) {
        const int64_t q = m % e.shape.w, p = m / e.shape.w % e.shape.h, n = m / e.shape.w / e.shape.h;
        double sum = 0.0, squares = 1e-8;
        for (int64_t h = p * c->stride - c->padding; h < p * c->stride - c->padding + c->rows; h++)
            for (int64_t w = q * c->stride - c->padding; w < q * c->stride - c->padding + c->columns; w++)
                for (int64_t i = 0; h >= 0 && w >= 0 && h < c->h && w < c->w && i < c->c; i++) {
                    const double v = x[((n * c->h + h) * c->w + w) * c->c + i];
                    sum += v;
                    squares += v * v;
                }
        loss += floats(e)[m] * sum / sqrt(squares);
    }
    return loss;
}

static void column_norms_backward(const ghl_case *c)
{
    const ghl_attributes attr = ghl_case_attributes(c);
    ghl_operand x = tensor_random(in_shape(c), 1), w = tensor(1, c->rows, c->columns, c->c), e = tensor_random(out_shape(c, 1), 2);
    ghl_operand v = tensor_like(e), norm = tensor_like(e), by_v = tensor_like(e), by_norm = tensor_like(e);
    ghl_operand dx = tensor_like(x), more = tensor_like(x);
    for (int64_t i = 0; i < elements(w); i++)
        floats(w)[i] = 1.0f;
    RUN_OP(conv, &attr, IN(x, w), OUT(v));
    RUN_OP(column_norms, &attr, IN(x), OUT(norm));
    RUN_OP(divide_columns, NULL, IN(e, norm), OUT(by_v));
    RUN_OP(divide_columns_backward, NULL, IN(e, v, norm), OUT(by_norm));
    RUN_OP(conv_backward_data, &attr, IN(by_v, w), OUT(dx));
    RUN_OP(column_norms_backward, &attr, IN(x, by_norm), OUT(more));
    RUN_OP(add, NULL, IN(dx, more), OUT(dx));
    if (elements(x) > 1) /* one number over its own size */
        assert_gradient("columns over their norms", c, cosine_loss, x, e, dx);
}

static double relu_loss(const ghl_case *c, const double *x, ghl_operand e)
{
    double loss = 0.0;
    (void)c;
    for (int64_t i = 0; i < elements(e); i++)
        loss += floats(e)[i] * (x[i] > 0.0 ? x[i] : 0.0);
    return loss;
}

static void relu_backward(const ghl_case *c)
{
    ghl_operand x = tensor_random(in_shape(c), 1), e = tensor_random(in_shape(c), 2), dx = tensor_like(x);
    RUN_OP(relu_backward, NULL, IN(e, x), OUT(dx));
    assert_gradient("relu", c, relu_loss, x, e, dx);
}

/* The mean of the channels, a constant in the gradient, is taken once, from where the differences are taken. */
static double middles[LARGEST];

static double repu_loss(const ghl_case *c, const double *x, ghl_operand e)
{
    double loss = 0.0;
    for (int64_t i = 0; i < elements(e); i++) {
        const double v = x[i] - middles[i / c->c];
        loss += floats(e)[i] * (v > 0.0 ? pow(v, c->attr.repu.power) : 0.0);
    }
    return loss;
}

static void repu_backward(const ghl_case *c)
{
    ghl_operand x = tensor_random(in_shape(c), 1), e = tensor_random(in_shape(c), 2), dx = tensor_like(x);
    for (int64_t m = 0; m < elements(x) / c->c; m++) {
        middles[m] = 0.0;
        for (int64_t ch = 0; ch < c->c; ch++)
            middles[m] += c->attr.repu.centred ? floats(x)[m * c->c + ch] / (double)c->c : 0.0;
        for (int64_t ch = 0; ch < c->c; ch++) /* away from the kink, by where roots are smooth */
            if (fabs(floats(x)[m * c->c + ch] - middles[m]) < 0.02)
                floats(e)[m * c->c + ch] = 0.0f;
    }
    RUN_OP(repu_backward, &c->attr, IN(e, x), OUT(dx));
    assert_gradient("repu", c, repu_loss, x, e, dx);
}

static double tanh_loss(const ghl_case *c, const double *x, ghl_operand e)
{
    double loss = 0.0;
    (void)c;
    for (int64_t i = 0; i < elements(e); i++)
        loss += floats(e)[i] * tanh(x[i]);
    return loss;
}

static double sigmoid_loss(const ghl_case *c, const double *x, ghl_operand e)
{
    double loss = 0.0;
    (void)c;
    for (int64_t i = 0; i < elements(e); i++)
        loss += floats(e)[i] / (1.0 + exp(-x[i]));
    return loss;
}

static void squash_backward(const ghl_case *c, ghl_op forward, loss_function loss)
{
    ghl_operand x = tensor_random(in_shape(c), 1), e = tensor_random(in_shape(c), 2), y = tensor_like(x), dx = tensor_like(x);
    run_op(forward, NULL, IN(x), OUT(y));
    run_op(c->op, NULL, IN(e, y), OUT(dx));
    assert_gradient(ghl_op_describe(c->op)->name, c, loss, x, e, dx);
}

static void tanh_backward(const ghl_case *c)
{
    squash_backward(c, GHL_OP_tanh, tanh_loss);
}

static void sigmoid_backward(const ghl_case *c)
{
    squash_backward(c, GHL_OP_sigmoid, sigmoid_loss);
}

/* Maximum or mean of one window over the image padded by hand. */
static double window_value(const ghl_case *c, const double *x, ghl_shape ys, int64_t i, bool mean)
{
    const int64_t ch = i % ys.c, q = i / ys.c % ys.w, p = i / ys.c / ys.w % ys.h, n = i / ys.c / ys.w / ys.h;
    double largest = -INFINITY, sum = 0.0;
    for (int64_t h = p * c->stride - c->padding; h < p * c->stride - c->padding + c->rows; h++)
        for (int64_t w = q * c->stride - c->padding; w < q * c->stride - c->padding + c->columns; w++) {
            if (h < 0 || w < 0 || h >= c->h || w >= c->w)
                continue;
            double v = x[((n * c->h + h) * c->w + w) * c->c + ch];
            if (c->attr.pool.relu && v < 0.0)
                v = 0.0;
            sum += v;
            largest = v > largest ? v : largest;
        }
    return mean ? sum / (c->rows * c->columns) : largest;
}

static double pool_loss(const ghl_case *c, const double *x, ghl_operand e)
{
    const bool mean = c->op == GHL_OP_average_pool || c->op == GHL_OP_average_pool_backward;
    double loss = 0.0;
    for (int64_t i = 0; i < elements(e); i++)
        loss += floats(e)[i] * window_value(c, x, e.shape, i, mean);
    return loss;
}

/* The forward case, with or without ReLU, says what goes back. */
static void max_pool(const ghl_case *c)
{
    const ghl_attributes attr = ghl_case_attributes(c);
    ghl_operand x = tensor_random(in_shape(c), 1), e = tensor_random(out_shape(c, c->c), 2), y = tensor_like(e), dx = tensor_like(x);
    ghl_operand index = tensor_typed(GHL_U8, e.shape);
    RUN_OP(max_pool, &attr, IN(x), OUT(y, index));
    RUN_OP(max_pool_backward, &attr, IN(e, index), OUT(dx));
    assert_adjoint("max pool, which is homogeneous", y, e, x, dx);
    assert_gradient("max pool", c, pool_loss, x, e, dx);
}

static void average_pool(const ghl_case *c)
{
    const ghl_attributes attr = ghl_case_attributes(c);
    ghl_operand x = tensor_random(in_shape(c), 1), e = tensor_random(out_shape(c, c->c), 2), y = tensor_like(e), dx = tensor_like(x);
    RUN_OP(average_pool, &attr, IN(x), OUT(y));
    if (attr.pool.relu)
        RUN_OP(average_pool_backward, &attr, IN(e, x), OUT(dx));
    else
        RUN_OP(average_pool_backward, &attr, IN(e), OUT(dx));
    assert_adjoint("average pool, which is homogeneous", y, e, x, dx);
    assert_gradient("average pool", c, pool_loss, x, e, dx);
}

/* ---- Batch norm: L = sum of e f(scale xhat + shift) with statistics of x itself, or with given ones; f is relu or nothing ---- */

static bool absent(const ghl_case *c, const char *name)
{
    return c->without && strstr(c->without, name);
}

static double channel_scale(const ghl_case *c, int64_t ch)
{
    return absent(c, "scale") ? 1.0 : 0.5 + 0.25 * (double)(ch % 5);
}

static double channel_shift(const ghl_case *c, int64_t ch)
{
    return absent(c, "shift") ? 0.0 : 0.2 * (double)(ch % 3) - 0.1;
}

static double channel_loss(const ghl_case *c, const double *x, ghl_operand e, int64_t ch)
{
    const int64_t positions = c->n * c->h * c->w;
    double mean = 0.0, variance = 0.0, loss = 0.0;
    for (int64_t m = 0; m < positions; m++)
        mean += x[m * c->c + ch] / (double)positions;
    for (int64_t m = 0; m < positions; m++)
        variance += (x[m * c->c + ch] - mean) * (x[m * c->c + ch] - mean) / (double)positions;
    if (absent(c, "sum_e")) {
        mean = 0.1;
        variance = 0.7;
    }
    for (int64_t m = 0; m < positions; m++) {
        double y = channel_scale(c, ch) * (x[m * c->c + ch] - mean) / sqrt(variance + (double)c->attr.norm.epsilon) + channel_shift(c, ch);
        loss += floats(e)[m * c->c + ch] * (c->attr.norm.relu && y < 0.0 ? 0.0 : y);
    }
    return loss;
}

static double norm_loss(const ghl_case *c, const double *x, ghl_operand e)
{
    double loss = 0.0;
    for (int64_t ch = 0; ch < c->c; ch++)
        loss += channel_loss(c, x, e, ch);
    return loss;
}

static void batch_norm_backward(const ghl_case *c)
{
    const ghl_attributes attr = ghl_case_attributes(c), plain = {.norm = {.epsilon = attr.norm.epsilon}};
    ghl_operand x = tensor_random(in_shape(c), 1), e = tensor_random(in_shape(c), 2), dx = tensor_like(x), xhat = tensor_like(x);
    ghl_operand mean = tensor(1, 1, 1, c->c), variance = tensor_like(mean), scale = tensor_like(mean), shift = tensor_like(mean);
    ghl_operand sum_e = tensor_like(mean), sum_ex = tensor_like(mean), none = {.shape = {0}};
    RUN_OP(batch_norm_statistics, NULL, IN(x), OUT(mean, variance));
    for (int64_t ch = 0; ch < c->c; ch++) {
        floats(scale)[ch] = (float)channel_scale(c, ch);
        floats(shift)[ch] = (float)channel_shift(c, ch);
        if (absent(c, "sum_e")) {
            floats(mean)[ch] = 0.1f;
            floats(variance)[ch] = 0.7f;
        }
    }
    RUN_OP(batch_norm, &plain, IN(x, mean, variance), OUT(xhat));
    ghl_operand seen = attr.norm.from_output ? xhat : x, given = absent(c, "scale") ? none : scale;
    RUN_OP(batch_norm_sums, &attr, IN(e, seen, mean, variance, given, shift), OUT(sum_e, sum_ex));
    if (absent(c, "sum_e"))
        sum_e = sum_ex = none;
    RUN_OP(batch_norm_backward, &attr, IN(e, seen, mean, variance, given, sum_e, sum_ex, shift), OUT(dx));
    if (c->n * c->h * c->w > 1) /* one position alone is always normalised to 0 */
        assert_gradient("batch norm", c, norm_loss, x, e, dx);
}

/* The error that is summed, by the ops that are fused here: add, relu_backward. */
static void batch_norm_sums(const ghl_case *c)
{
    const ghl_attributes attr = ghl_case_attributes(c);
    const ghl_attributes plain = {.norm = {.epsilon = attr.norm.epsilon, .from_output = attr.norm.from_output}};
    ghl_operand x = tensor_random(in_shape(c), 1), e = tensor_random(in_shape(c), 2), e2 = tensor_random(in_shape(c), 3);
    ghl_operand mask = tensor_random(in_shape(c), 4), d = tensor_like(x), y = tensor_like(x), none = {.shape = {0}};
    ghl_operand mean = tensor_random((ghl_shape){1, 1, 1, c->c}, 5), variance = tensor_random(mean.shape, 6);
    ghl_operand scale = tensor_random(mean.shape, 7), shift = tensor_random(mean.shape, 8), sums[4];
    for (int i = 0; i < 4; i++)
        sums[i] = tensor_like(mean);
    for (int64_t ch = 0; ch < c->c; ch++)
        floats(variance)[ch] = fabsf(floats(variance)[ch]);
    RUN_OP(batch_norm_sums, &attr, IN(e, x, mean, variance, scale, shift, absent(c, "e2") ? none : e2, absent(c, "mask") ? none : mask),
           OUT(sums[0], sums[1], d));
    if (!absent(c, "e2"))
        RUN_OP(add, NULL, IN(e, e2), OUT(e));
    RUN_OP(batch_norm, &plain, IN(x, mean, variance, scale, shift), OUT(y));
    if (attr.norm.relu || !absent(c, "mask"))
        RUN_OP(relu_backward, NULL, IN(e, attr.norm.relu ? y : mask), OUT(e));
    RUN_OP(batch_norm_sums, &plain, IN(e, x, mean, variance), OUT(sums[2], sums[3]));
    assert_close_tensors("the error that is summed", d, e, 0.0);
    assert_close_tensors("sum of e", sums[0], sums[2], 0.0);
    assert_close_tensors("sum of e xhat", sums[1], sums[3], 0.0);
}

/* Forward: by batch_norm, add, relu. */
static void batch_norm(const ghl_case *c)
{
    const ghl_attributes attr = ghl_case_attributes(c), plain = {.norm = {.epsilon = attr.norm.epsilon}};
    ghl_operand x = tensor_random(in_shape(c), 1), addend = tensor_random(in_shape(c), 2), y = tensor_like(x), expected = tensor_like(x);
    ghl_operand mean = tensor_random((ghl_shape){1, 1, 1, c->c}, 5), variance = tensor_random(mean.shape, 6), none = {.shape = {0}};
    for (int64_t ch = 0; ch < c->c; ch++)
        floats(variance)[ch] = fabsf(floats(variance)[ch]);
    RUN_OP(batch_norm, &attr, IN(x, mean, variance, none, none, absent(c, "addend") ? none : addend), OUT(y));
    RUN_OP(batch_norm, &plain, IN(x, mean, variance), OUT(expected));
    if (!absent(c, "addend"))
        RUN_OP(add, NULL, IN(expected, addend), OUT(expected));
    if (attr.norm.relu)
        RUN_OP(relu, NULL, IN(expected), OUT(expected));
    assert_close_tensors("y", y, expected, 0.0);
}

/* ---- Softmax cross entropy ---- */

static const int32_t *loss_labels;

static double cross_entropy(const ghl_case *c, const double *z, ghl_operand e)
{
    const int64_t rows = c->n > 1 ? c->n - 1 : 1;
    double loss = 0.0;
    (void)e;
    for (int64_t n = 0; n < rows; n++) {
        double sum = 0.0, all = 0.0;
        const double smoothing = c->attr.loss.smoothing;
        for (int64_t k = 0; k < c->k; k++) {
            sum += exp(z[n * c->k + k]);
            all += z[n * c->k + k];
        }
        loss += log(sum) - (1.0 - smoothing) * z[n * c->k + loss_labels[n]] - smoothing * all / (double)c->k;
    }
    return loss / (double)(3 * c->n);
}

static void softmax_cross_entropy(const ghl_case *c)
{
    ghl_operand z = tensor_random((ghl_shape){c->n, 1, 1, c->k}, 1), labels = tensor_typed(GHL_I32, (ghl_shape){1, 1, 1, c->n});
    ghl_operand e = tensor_like(z), score = tensor_typed(GHL_F64, (ghl_shape){1, 1, 1, 4});
    int32_t *label = labels.data;
    double values[1024];
    for (int64_t n = 0; n < c->n; n++)
        label[n] = (int32_t)(n * 7 % c->k);
    for (int64_t i = 0; i < elements(z); i++)
        values[i] = floats(z)[i];
    loss_labels = label;
    RUN_OP(softmax_cross_entropy, &c->attr, IN(z, labels, tensor_clock(c->n > 1 ? c->n - 1 : 1, 3 * c->n)), OUT(e, score));
    assert_gradient("cross entropy", c, cross_entropy, z, e, e);
    assert_number("loss", ((double *)score.data)[GHL_RESULT_LOSS], cross_entropy(c, values, e) * (double)(3 * c->n), 1e-9 * (double)c->n);
}

/* ---- All cases ---- */

static const struct {
    ghl_op op;
    void (*check)(const ghl_case *c);
} checks[] = {
    {GHL_OP_conv_backward_data, conv_backward_data},
    {GHL_OP_conv_backward_weights, conv_backward_weights},
    {GHL_OP_conv_backward_weights_pair, conv_backward_weights_pair},
    {GHL_OP_sum_positions, sum_positions},
    {GHL_OP_pad_reflect_backward, pad_reflect_backward},
    {GHL_OP_dropout, dropout},
    {GHL_OP_relu_backward, relu_backward},
    {GHL_OP_max_pool, max_pool},
    {GHL_OP_average_pool, average_pool},
    {GHL_OP_batch_norm, batch_norm},
    {GHL_OP_batch_norm_sums, batch_norm_sums},
    {GHL_OP_batch_norm_backward, batch_norm_backward},
    {GHL_OP_softmax_cross_entropy, softmax_cross_entropy},
    {GHL_OP_subsample_pad_backward, subsample_pad_backward},
    {GHL_OP_repu_backward, repu_backward},
    {GHL_OP_tanh_backward, tanh_backward},
    {GHL_OP_sigmoid_backward, sigmoid_backward},
    {GHL_OP_inhibit, inhibit},
    {GHL_OP_normalise_weight_backward, normalise_weight_backward},
    {GHL_OP_column_norms_backward, column_norms_backward},
};

static void run_check(size_t which)
{
    int cases = 0;
    device_open(&ghl_device_ref, 1);
    for (int i = 0; i < ghl_case_count(); i++)
        if (ghl_case_at(i)->op == checks[which].op && !ghl_case_at(i)->speed && ghl_case_at(i)->special == GHL_CASE_PLAIN) {
            checks[which].check(ghl_case_at(i));
            tensors_forget();
            cases++;
        }
    device_close();
    assert_true(cases > 0);
}

#define TEST(i, name)                     \
    static void test_##name(void **state) \
    {                                     \
        (void)state;                      \
        run_check(i);                     \
    }
TEST(0, conv_backward_data)
TEST(1, conv_backward_weights)
TEST(2, conv_backward_weights_pair)
TEST(3, sum_positions)
TEST(4, pad_reflect_backward)
TEST(5, dropout)
TEST(6, relu_backward)
TEST(7, max_pool)
TEST(8, average_pool)
TEST(9, batch_norm)
TEST(10, batch_norm_sums)
TEST(11, batch_norm_backward)
TEST(12, softmax_cross_entropy)
TEST(13, subsample_pad_backward)
TEST(14, repu_backward)
TEST(15, tanh_backward)
TEST(16, sigmoid_backward)
TEST(17, inhibit)
TEST(18, normalise_weight_backward)
TEST(19, column_norms_backward)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv_backward_data),
        cmocka_unit_test(test_conv_backward_weights),
        cmocka_unit_test(test_conv_backward_weights_pair),
        cmocka_unit_test(test_sum_positions),
        cmocka_unit_test(test_pad_reflect_backward),
        cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_relu_backward),
        cmocka_unit_test(test_max_pool),
        cmocka_unit_test(test_average_pool),
        cmocka_unit_test(test_batch_norm),
        cmocka_unit_test(test_batch_norm_sums),
        cmocka_unit_test(test_batch_norm_backward),
        cmocka_unit_test(test_softmax_cross_entropy),
        cmocka_unit_test(test_subsample_pad_backward),
        cmocka_unit_test(test_repu_backward),
        cmocka_unit_test(test_tanh_backward),
        cmocka_unit_test(test_sigmoid_backward),
        cmocka_unit_test(test_inhibit),
        cmocka_unit_test(test_normalise_weight_backward),
        cmocka_unit_test(test_column_norms_backward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
