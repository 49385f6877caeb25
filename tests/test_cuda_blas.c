/* SPDX-License-Identifier: Apache-2.0
 * ghl-test: emulated-gpu
 *
 * test_cuda_blas.c - which calls of device cuda are matrix products of cuBLASLt, that they are right, and what is said where it fails: on
 * the GPU that is not there (tests/emulation), whose cuBLASLt multiplies in plain loops.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support_emulated.h"
#include "support_rig.h"

static void *self;

static int open_device(void **state)
{
    return furnish(state) != 0 || cuda->open(&(ghl_device_options){0}, &self) != GHL_OK;
}

static int close_device(void **state)
{
    (void)state;
    cuda->close(self);
    return 0;
}

/* Sizes that differ from one another: what is transposed wrongly does not fit. A linear layer's weights [5,2,3,4] on maps [7,2,3,4]. */
enum { N = 7, K = 5, F = 24 };
static const ghl_shape images = {N, 2, 3, 4}, outputs = {N, 1, 1, K}, weights = {K, 2, 3, 4}, bias = {1, 1, 1, K};
static const ghl_window whole = {{2, 3}, {1, 1}, {0, 0}};

static ghl_status run_call(ghl_call *call, char *note)
{
    ghl_kernel kernel;
    int64_t ticket = 0;
    GHL_TRY(cuda->prepare(self, call, &kernel));
    snprintf(note, 48, "%s", kernel.note);
    ghl_status status = cuda->run(self, &(ghl_job){.calls = call, .kernels = &kernel, .count = 1}, &ticket);
    if (status == GHL_OK)
        status = cuda->wait(self, ticket);
    kernel.release(kernel.state);
    return status;
}

/* Device memory with noise, rounded where it is bf16. */
static void fill(ghl_operand *o, ghl_shape shape, int half, float *values, uint64_t seed)
{
    const int64_t n = ghl_shape_elements(shape);
    uint16_t narrow[N * F];
    *o = (ghl_operand){.shape = shape, .dtype = half ? GHL_BF16 : GHL_F32};
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        values[i] = (float)rig_noise(seed, i);
        memcpy(&bits, &values[i], sizeof bits);
        bits &= half ? 0xFFFF0000u : 0xFFFFFFFFu;
        narrow[i] = (uint16_t)(bits >> 16);
        memcpy(&values[i], &bits, sizeof bits);
    }
    assert_int_equal(cuda->allocate(self, 4 * (size_t)n, &o->data), GHL_OK);
    assert_int_equal(cuda->copy_in(self, o->data, half ? (const void *)narrow : values, (size_t)n * (half ? 2 : 4)), GHL_OK);
}

static float value_of(const void *bytes, int64_t i, int half)
{
    uint32_t bits = (uint32_t)((const uint16_t *)bytes)[i] << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return half ? value : ((const float *)bytes)[i];
}

/* out [rows,columns] = a b + bias by steps of inner. Strides: of rows and of inner in a, of inner and of columns in b. */
static void compare(const ghl_operand *out, const float *a, int a_row, int a_inner, const float *b, int b_inner, int b_column, int inner,
                    int columns, const float *add)
{
    float got[N * F];
    const int half = out->dtype == GHL_BF16;
    const int64_t n = ghl_shape_elements(out->shape);
    assert_int_equal(cuda->copy_out(self, got, out->data, (size_t)n * (half ? 2 : 4)), GHL_OK);
    for (int64_t i = 0; i < n; i++) {
        double sum = add != NULL ? add[i % columns] : 0.0;
        for (int k = 0; k < inner; k++)
            sum += (double)a[i / columns * a_row + k * a_inner] * b[k * b_inner + i % columns * b_column];
        const float value = value_of(got, i, half);
        if (!(fabs(value - sum) <= (half ? 0.02 : 1e-6)))
            fail_msg("element %d: %g instead of %g", (int)i, value, sum);
    }
}

static void linear_layers_are_products(void **state)
{
    float x[N * F], e[N * K], w[K * F], b[K];
    (void)state;
    for (int half = 0; half < 2; half++) {
        char note[48];
        ghl_operand ox, oe, ow, ob, u, dx, g[2];
        fill(&ox, images, half, x, 1);
        fill(&oe, outputs, half, e, 2);
        fill(&ow, weights, 0, w, 3);
        fill(&ob, bias, 0, b, 4);
        fill(&u, outputs, half, (float[N * K]){0}, 5);
        fill(&dx, images, half, (float[N * F]){0}, 6);
        fill(&g[0], weights, 0, (float[K * F]){0}, 7);
        fill(&g[1], weights, 0, (float[K * F]){0}, 8);
        ghl_operand forward[] = {ox, ow, ob}, data[] = {oe, ow}, pair[] = {ox, oe, u};
        ghl_call calls[] = {{.op = GHL_OP_conv, .n_in = 3, .n_out = 1, .in = forward, .out = &u},
                            {.op = GHL_OP_conv_backward_data, .n_in = 2, .n_out = 1, .in = data, .out = &dx},
                            {.op = GHL_OP_conv_backward_weights_pair, .n_in = 3, .n_out = 2, .in = pair, .out = g}};
        for (int i = 0; i < 3; i++) {
            calls[i].attr.window = whole;
            assert_int_equal(run_call(&calls[i], note), GHL_OK);
            assert_string_equal(note, "cublaslt algorithm 7");
        }
        compare(&u, x, F, 1, w, 1, F, F, K, b);
        compare(&dx, e, K, 1, w, F, 1, K, F, NULL);
        compare(&g[0], e, 1, K, x, F, 1, N, F, NULL);
        const ghl_operand *all[] = {&ox, &oe, &ow, &ob, &u, &dx, &g[0], &g[1]};
        for (int i = 0; i < 8; i++)
            cuda->release(self, all[i]->data, 4 * (size_t)ghl_shape_elements(all[i]->shape));
    }
}

/* One position, but of a map that the window does not cover, or goes beyond. */
static void other_convolutions_are_not(void **state)
{
    static const struct { ghl_shape x, w, u; ghl_window window; } rows[] = {
        {{2, 3, 3, 4}, {5, 2, 2, 4}, {2, 1, 1, 5}, {{2, 2}, {2, 2}, {0, 0}}},
        {{2, 1, 1, 4}, {5, 3, 3, 4}, {2, 1, 1, 5}, {{3, 3}, {1, 1}, {1, 1}}},
        {{2, 3, 3, 4}, {5, 1, 1, 4}, {2, 3, 3, 5}, {{1, 1}, {1, 1}, {0, 0}}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ghl_operand in[] = {{.shape = rows[i].x}, {.shape = rows[i].w}}, out = {.shape = rows[i].u};
        ghl_call call = {.op = GHL_OP_conv, .n_in = 2, .n_out = 1, .in = in, .out = &out, .attr.window = rows[i].window};
        ghl_kernel kernel;
        assert_int_equal(cuda->prepare(self, &call, &kernel), GHL_OK);
        assert_null(strstr(kernel.note, "cublaslt"));
        kernel.release(kernel.state);
    }
}

static void refused(ghl_status status, const char *words)
{
    ghl_operand in[] = {{.shape = images}, {.shape = weights}}, out = {.shape = outputs};
    ghl_call call = {.op = GHL_OP_conv, .n_in = 2, .n_out = 1, .in = in, .out = &out, .attr.window = whole};
    ghl_kernel kernel;
    assert_int_equal(cuda->prepare(self, &call, &kernel), status);
    if (strstr(ghl_error_message(), words) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", words, ghl_error_message());
    assert_true(strlen(ghl_error_hint()) > 10);
}

static void faults_have_names(void **state)
{
    (void)state;
    ghl_emulation.blas_fails = 1;
    refused(GHL_DEVICE, "cuBLASLt: opening the card: CUBLAS_STATUS_NOT_INITIALIZED");
    ghl_emulation.blas_fails = 3;
    refused(GHL_MEMORY, "cuBLASLt: opening the card: out of memory");
    ghl_emulation.blas_fails = 0;
    ghl_emulation.blas_lacks = F;
    refused(GHL_DEVICE, "cuBLASLt has no deterministic algorithm for a product of 7 x 24 by 24 x 5");
}

static void products_round_where_that_is_allowed(void **state)
{
    ghl_operand in[] = {{.shape = images}, {.shape = weights}}, out = {.shape = outputs};
    ghl_call call = {.op = GHL_OP_conv, .n_in = 2, .n_out = 1, .in = in, .out = &out, .attr.window = whole};
    (void)state;
    for (int tf32 = 0; tf32 < 2; tf32++) {
        ghl_kernel kernel;
        void *other = NULL;
        assert_int_equal(cuda->open(&(ghl_device_options){.tf32 = tf32 != 0}, &other), GHL_OK);
        assert_int_equal(cuda->prepare(other, &call, &kernel), GHL_OK);
        assert_int_equal(ghl_emulation.blas_rounds, tf32);
        kernel.release(kernel.state);
        cuda->close(other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(linear_layers_are_products, open_device, close_device),
        cmocka_unit_test_setup_teardown(other_convolutions_are_not, open_device, close_device),
        cmocka_unit_test_setup_teardown(faults_have_names, open_device, close_device),
        cmocka_unit_test_setup_teardown(products_round_where_that_is_allowed, open_device, close_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
