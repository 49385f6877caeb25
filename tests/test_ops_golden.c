/* SPDX-License-Identifier: Apache-2.0
 * ghl-test: gpu-emulated
 *
 * test_ops_golden.c - the golden numbers of GHL and Sign (golden/numbers.txt) from single ops, on every device, and what must hold of
 * the published rule: Oja's decay by the O(weights) identity is the sum over positions, a zero update stays zero, repeating the batch
 * or scaling the loss changes no step, filters may be permuted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "golden/numbers.h"
#include "support_ops.h"

static const double tolerance = 2e-6;

typedef struct local_term {
    ghl_operand r, p, d, s; /* response, product, update before its size is taken, scale */
} local_term;

/* The local part of rule ghl for columns of x under window, given u. */
static local_term local_update(ghl_operand x, ghl_operand w, ghl_operand u, ghl_window window, double t)
{
    const ghl_attributes conv = {.window = window}, softmax = {.softmax = {(float)t}};
    local_term l = {tensor_like(u), tensor_like(w), tensor_like(w), tensor(1, 1, 1, 1)};
    RUN_OP(softmax_channels, &softmax, IN(u), OUT(l.r));
    RUN_OP(conv_backward_weights, &conv, IN(x, l.r), OUT(l.p));
    RUN_OP(oja_decay, NULL, IN(l.p, w), OUT(l.d));
    RUN_OP(scale, &(ghl_attributes){.scale = {GHL_SCALE_MAX, GHL_SCOPE_LAYER}}, IN(l.d), OUT(l.s));
    return l;
}

static ghl_operand convolve(ghl_operand x, ghl_operand w, ghl_window window, int64_t p, int64_t q)
{
    ghl_operand u = tensor(x.shape.n, p, q, w.shape.n);
    RUN_OP(conv, &(ghl_attributes){.window = window}, IN(x, w), OUT(u));
    return u;
}

/* |h| sign(g): by direction() with g = the signs of d, it is h itself. */
static ghl_operand normalised(const local_term *l)
{
    ghl_operand h = tensor_like(l->d);
    RUN_OP(direction, &(ghl_attributes){.direction = {.power = 1.0f}}, IN(l->d, l->d, l->s), OUT(h));
    return h;
}

/* w -= lr (v + wd w) with v = |h| sign(g), or sign(g) where l is NULL. */
static void ghl_step(const local_term *l, ghl_operand g, ghl_operand w, double lr, double wd)
{
    const ghl_attributes power = {.direction = {.power = 1.0f}}, sgd = {.sgd = {.weight_decay = (float)wd}};
    ghl_operand v = tensor_like(w), rates = tensor_of((ghl_shape){1, 1, 1, 1}, &lr);
    if (l)
        RUN_OP(direction, &power, IN(g, l->d, l->s), OUT(v));
    else
        RUN_OP(direction, &power, IN(g), OUT(v));
    RUN_OP(sgd, &sgd, IN(flag(1), rates, v), OUT(w));
}

static const ghl_window whole = {{1, 1}, {1, 1}, {0, 0}};

static void linear_cases(void)
{
    ghl_operand x = tensor_of((ghl_shape){1, 1, 1, 2}, g1_x), w = tensor_of((ghl_shape){2, 1, 1, 2}, g1_w);
    local_term l = local_update(x, w, convolve(x, w, whole, 1, 1), whole, *g1_t);
    assert_close("G1 r", l.r, g1_r, tolerance);
    assert_close("G1 d", l.d, g1_d, tolerance);
    assert_close("G1 h", normalised(&l), g1_h, tolerance);
    ghl_step(&l, tensor_of(w.shape, g1_g), w, *g1_lr, *g1_wd);
    assert_close("G1 w", w, g1_w_after, tolerance);

    x = tensor_of((ghl_shape){2, 1, 1, 2}, g2_x);
    w = tensor_of((ghl_shape){2, 1, 1, 2}, g2_w);
    l = local_update(x, w, convolve(x, w, whole, 1, 1), whole, *g2_t);
    assert_close("G2 r", l.r, g2_r, tolerance);
    assert_close("G2 d", l.d, g2_d, tolerance);
    assert_close("G2 h", normalised(&l), g2_h, tolerance);

    x = tensor_of((ghl_shape){2, 1, 1, 2}, g4_x);
    w = tensor_of((ghl_shape){3, 1, 1, 2}, g4_w);
    ghl_operand u = convolve(x, w, whole, 1, 1);
    l = local_update(x, w, u, whole, *g4_t);
    assert_close("G4 u", u, g4_u, tolerance);
    assert_close("G4 r", l.r, g4_r, tolerance);
    assert_close("G4 d", l.d, g4_d, tolerance);
    assert_close("G4 h", normalised(&l), g4_h, tolerance);
    ghl_step(&l, tensor_of(w.shape, g4_g), w, *g4_lr, *g4_wd);
    assert_close("G4 w", w, g4_w_after, tolerance);

    w = tensor_of((ghl_shape){3, 1, 1, 2}, n1_w);
    ghl_step(NULL, tensor_of(w.shape, n1_g), w, *n1_lr, *n1_wd);
    assert_close("N1 w", w, n1_w_after, tolerance);
}

static void image_cases(void)
{
    const ghl_window g3 = {{2, 2}, {(int32_t)*g3_stride, (int32_t)*g3_stride}, {(int32_t)*g3_padding, (int32_t)*g3_padding}};
    const ghl_window g3b = {{2, 2}, {(int32_t)*g3b_stride, (int32_t)*g3b_stride}, {(int32_t)*g3b_padding, (int32_t)*g3b_padding}};
    ghl_operand x = tensor_of((ghl_shape){1, 3, 3, 1}, g3_image), w = tensor_of((ghl_shape){2, 2, 2, 1}, g3_w);
    ghl_operand u = convolve(x, w, g3, 2, 2);
    local_term l = local_update(x, w, u, g3, *g3_t);
    assert_close("G3 u", u, g3_u, tolerance);
    assert_close("G3 d", l.d, g3_d, tolerance);
    assert_close("G3 h", normalised(&l), g3_h, tolerance);

    u = convolve(x, w, g3b, 2, 2);
    l = local_update(x, w, u, g3b, *g3b_t);
    assert_close("G3b u", u, g3b_u, tolerance);
    assert_close("G3b d", l.d, g3b_d, tolerance);
    assert_close("G3b h", normalised(&l), g3b_h, tolerance);
}

/* G5: forward, loss, backward and update of two layers. */
static void whole_step(void)
{
    const ghl_attributes conv = {.window = whole};
    ghl_operand x = tensor_of((ghl_shape){1, 1, 1, 2}, g5_x), w = tensor_of((ghl_shape){2, 1, 1, 2}, g5_w);
    ghl_operand head = tensor_of((ghl_shape){2, 1, 1, 2}, g5_head), bias = tensor_of((ghl_shape){1, 1, 1, 2}, g5_head_bias);
    ghl_operand u = convolve(x, w, whole, 1, 1), y = tensor_like(u), z = tensor_like(u), e = tensor_like(z), e_y = tensor_like(y);
    ghl_operand label = tensor_typed(GHL_I32, (ghl_shape){1, 1, 1, 1}), score = tensor_typed(GHL_F64, (ghl_shape){1, 1, 1, 4});
    ghl_operand e_u = tensor_like(u), g = tensor_like(w), g_head = tensor_like(head), g_bias = tensor_like(bias);
    RUN_OP(relu, NULL, IN(u), OUT(y));
    RUN_OP(conv, &conv, IN(y, head, bias), OUT(z));
    *(int32_t *)label.data = (int32_t)*g5_label;
    RUN_OP(softmax_cross_entropy, NULL, IN(z, label, tensor_clock(1, 1)), OUT(e, score));
    RUN_OP(conv_backward_data, &conv, IN(e, head), OUT(e_y));
    RUN_OP(relu_backward, NULL, IN(e_y, u), OUT(e_u));
    RUN_OP(conv_backward_weights, &conv, IN(x, e_u), OUT(g));
    RUN_OP(conv_backward_weights, &conv, IN(y, e), OUT(g_head));
    RUN_OP(sum_positions, NULL, IN(e), OUT(g_bias));
    local_term l = local_update(x, w, u, whole, *g5_t);
    ghl_operand h = normalised(&l);
    ghl_step(&l, g, w, *g5_lr, *g5_wd);
    ghl_operand rates = tensor_of((ghl_shape){1, 1, 1, 1}, g5_head_lr);
    RUN_OP(sgd, NULL, IN(flag(1), rates, g_head), OUT(head));
    RUN_OP(sgd, NULL, IN(flag(1), rates, g_bias), OUT(bias));
    assert_close("G5 u", u, g5_u, tolerance);
    assert_number("G5 loss", ((double *)score.data)[GHL_RESULT_LOSS], *g5_loss, 1e-6);
    assert_close("G5 g", g, g5_g, tolerance);
    assert_close("G5 h", h, g5_h, tolerance);
    assert_close("G5 w", w, g5_w_after, tolerance);
    assert_close("G5 head", head, g5_head_after, tolerance);
    assert_close("G5 bias", bias, g5_bias_after, tolerance);
    assert_true(((double *)score.data)[GHL_RESULT_TOP1] == 0.0 && ((double *)score.data)[GHL_RESULT_TOP5] == 1.0);
}

/* ---- Properties ---- */

static const ghl_window same = {{3, 3}, {1, 1}, {1, 1}};

/* d_k = sum over columns m of r_mk (x_m - u_mk w_k), column by column, patches zero outside the image. */
static void textbook_oja(ghl_operand x, ghl_operand w, ghl_operand u, ghl_operand r, double *d)
{
    const ghl_shape xs = x.shape, ws = w.shape, us = u.shape;
    memset(d, 0, (size_t)elements(w) * sizeof *d);
    for (int64_t m = 0; m < us.n * us.h * us.w; m++)
        for (int64_t i = 0; i < elements(w); i++) {
            const int64_t c = i % ws.c, s = i / ws.c % ws.w, t = i / ws.c / ws.w % ws.h, k = i / ws.c / ws.w / ws.h;
            const int64_t h = m / us.w % us.h + t - 1, v = m % us.w + s - 1;
            const bool inside = h >= 0 && h < xs.h && v >= 0 && v < xs.w;
            const double pixel = inside ? floats(x)[((m / us.w / us.h * xs.h + h) * xs.w + v) * xs.c + c] : 0.0;
            d[i] += floats(r)[m * us.c + k] * (pixel - (double)floats(u)[m * us.c + k] * floats(w)[i]);
        }
}

static void decay_is_the_sum_over_positions(void)
{
    static double d[7 * 3 * 3 * 5];
    ghl_operand x = tensor_random((ghl_shape){3, 6, 5, 5}, 1), w = tensor_random((ghl_shape){7, 3, 3, 5}, 2);
    ghl_operand u = convolve(x, w, same, 6, 5);
    local_term l = local_update(x, w, u, same, 0.7);
    textbook_oja(x, w, u, l.r, d);
    assert_close("d, position by position", l.d, d, 2e-5);
}

static void zero_update_stays_zero(void)
{
    const double zero[4] = {0}, ones[4] = {0.5, -0.25, 1.0, -3.0}, decayed[4] = {0.45, -0.225, 0.9, -2.7};
    ghl_operand d = tensor_of((ghl_shape){2, 1, 1, 2}, zero), w = tensor_of(d.shape, ones), s = tensor(1, 1, 1, 1), v = tensor_like(d);
    RUN_OP(scale, &(ghl_attributes){.scale = {GHL_SCALE_MAX, GHL_SCOPE_LAYER}}, IN(d), OUT(s));
    assert_true(*floats(s) == 0.0f);
    RUN_OP(direction, &(ghl_attributes){.direction = {.power = 1.0f}}, IN(w, d, s), OUT(v));
    for (int i = 0; i < 4; i++)
        assert_true(floats(v)[i] == 0.0f);
    local_term l = {.d = d, .s = s};
    ghl_step(&l, copy_of(w), w, 1.0, 0.1);
    assert_close("a pure decay step", w, decayed, 1e-7);
}

static ghl_operand twice(ghl_operand t)
{
    ghl_operand both = tensor(2 * t.shape.n, t.shape.h, t.shape.w, t.shape.c);
    memcpy(both.data, t.data, (size_t)elements(t) * sizeof(float));
    memcpy(floats(both) + elements(t), t.data, (size_t)elements(t) * sizeof(float));
    return both;
}

static void repeated_batch_gives_the_same_step(void)
{
    ghl_operand x = tensor_random((ghl_shape){2, 6, 5, 5}, 1), w = tensor_random((ghl_shape){7, 3, 3, 5}, 2);
    ghl_operand u = convolve(x, w, same, 6, 5);
    local_term once = local_update(x, w, u, same, 1.0), both = local_update(twice(x), w, twice(u), same, 1.0);
    assert_close_tensors("h of the batch twice", normalised(&both), normalised(&once), 1e-5);
    double largest = 0.0;
    ghl_operand h = normalised(&once), g = tensor_random(w.shape, 3), louder = copy_of(g), a = copy_of(w), b = copy_of(w);
    for (int64_t i = 0; i < elements(h); i++) {
        largest = fmax(largest, fabs((double)floats(h)[i]));
        floats(louder)[i] *= 2.0f;
    }
    assert_number("max |h|", largest, 1.0, 1e-6);
    ghl_step(&once, g, a, 0.1, 0.05);
    ghl_step(&once, louder, b, 0.1, 0.05);
    assert_memory_equal(a.data, b.data, (size_t)elements(a) * sizeof(float));
}

static ghl_operand reversed_filters(ghl_operand w)
{
    const int64_t each = elements(w) / w.shape.n;
    ghl_operand other = tensor_like(w);
    for (int64_t k = 0; k < w.shape.n; k++)
        memcpy(floats(other) + k * each, floats(w) + (w.shape.n - 1 - k) * each, (size_t)each * sizeof(float));
    return other;
}

static void permuted_filters_permute_the_update(void)
{
    ghl_operand x = tensor_random((ghl_shape){2, 6, 5, 5}, 1), w = tensor_random((ghl_shape){7, 3, 3, 5}, 2), other = reversed_filters(w);
    local_term a = local_update(x, w, convolve(x, w, same, 6, 5), same, 1.0);
    local_term b = local_update(x, other, convolve(x, other, same, 6, 5), same, 1.0);
    assert_close_tensors("h of reversed filters", normalised(&b), reversed_filters(normalised(&a)), 1e-5);
}

static void on_every_device(void (*test)(void))
{
    for (int i = 0; support_device(i) != NULL; i++) {
        device_open(support_device(i), 2);
        test();
        device_close();
    }
}

#define TEST(name)                      \
    static void test_##name(void **state) \
    {                                   \
        (void)state;                    \
        on_every_device(name);          \
    }
TEST(linear_cases)
TEST(image_cases)
TEST(whole_step)
TEST(decay_is_the_sum_over_positions)
TEST(zero_update_stays_zero)
TEST(repeated_batch_gives_the_same_step)
TEST(permuted_filters_permute_the_update)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear_cases),
        cmocka_unit_test(test_image_cases),
        cmocka_unit_test(test_whole_step),
        cmocka_unit_test(test_decay_is_the_sum_over_positions),
        cmocka_unit_test(test_zero_update_stays_zero),
        cmocka_unit_test(test_repeated_batch_gives_the_same_step),
        cmocka_unit_test(test_permuted_filters_permute_the_update),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
