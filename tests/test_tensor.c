/* SPDX-License-Identifier: Apache-2.0
 *
 * Shapes, orders of elements against textbook loops, comparison on known vectors, initial values: statistics, counters, layout.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tensor/tensor.h"

static void test_shapes(void **state)
{
    (void)state;
    char text[80];
    assert_int_equal(ghl_shape_elements((ghl_shape){64, 32, 31, 3}), 64 * 32 * 31 * 3);
    assert_int_equal(ghl_shape_elements((ghl_shape){0, 32, 31, 3}), 0);
    assert_true(ghl_shape_elements((ghl_shape){INT64_C(1) << 31, INT64_C(1) << 31, 4, 1}) == INT64_MAX);
    assert_true(ghl_shape_equal((ghl_shape){1, 2, 3, 4}, (ghl_shape){1, 2, 3, 4}));
    for (int i = 0; i < 4; i++) {
        int64_t d[4] = {1, 2, 3, 4};
        d[i]++;
        assert_false(ghl_shape_equal((ghl_shape){1, 2, 3, 4}, (ghl_shape){d[0], d[1], d[2], d[3]}));
    }
    ghl_shape_print((ghl_shape){64, 32, 31, 3}, text);
    assert_string_equal(text, "64x32x31x3");
    ghl_shape_print((ghl_shape){INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN}, text);
    assert_in_range(strlen(text), 79, 79); /* four of twenty characters and three x, cut to what the buffer holds */
    static const size_t bytes[] = {[GHL_F32] = 4, [GHL_F64] = 8, [GHL_BF16] = 2, [GHL_U8] = 1, [GHL_I32] = 4, [GHL_I64] = 8};
    for (int i = 0; i < 6; i++)
        assert_int_equal(ghl_dtype_bytes((ghl_dtype)i), bytes[i]);
    assert_int_equal(ghl_dtype_bytes((ghl_dtype)77), 0);
    assert_string_equal(ghl_dtype_name(GHL_BF16), "bf16");
    assert_string_equal(ghl_dtype_name((ghl_dtype)77), "?");
}

static const ghl_shape shapes[] = {
    {1, 1, 1, 1}, {2, 3, 5, 7}, {3, 1, 1, 9}, {4, 5, 3, 1}, {2, 5, 5, 40}, {1, 33, 17, 3}, {5, 1, 7, 64}, {0, 3, 3, 2},
};

static void check_order(ghl_shape s, size_t bytes)
{
    const size_t size = (size_t)ghl_shape_elements(s) * bytes;
    unsigned char *memory = malloc(size + 1), *file = malloc(size + 1), *wanted = malloc(size + 1), *back = malloc(size + 1);
    assert_true(memory && file && wanted && back);
    for (size_t i = 0; i < size; i++)
        memory[i] = (unsigned char)(i * 131 + i / 251);
    memory[size] = file[size] = wanted[size] = back[size] = 0xA5;
    for (int64_t k = 0; k < s.n; k++)
        for (int64_t c = 0; c < s.c; c++)
            for (int64_t r = 0; r < s.h; r++)
                for (int64_t q = 0; q < s.w; q++)
                    for (size_t b = 0; b < bytes; b++)
                        wanted[(size_t)(((k * s.c + c) * s.h + r) * s.w + q) * bytes + b] =
                            memory[(size_t)(((k * s.h + r) * s.w + q) * s.c + c) * bytes + b];
    ghl_order_to_file(s, bytes, memory, file);
    assert_memory_equal(file, wanted, size + 1);
    ghl_order_from_file(s, bytes, file, back);
    assert_memory_equal(back, memory, size + 1);
    free(memory);
    free(file);
    free(wanted);
    free(back);
}

static void test_orders(void **state)
{
    (void)state;
    static const size_t bytes[] = {1, 2, 4, 8};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (size_t b = 0; b < 4; b++)
            check_order(shapes[i], bytes[b]);
}

static ghl_comparison compare(const float *a, const float *b, int64_t n)
{
    ghl_comparison c;
    ghl_compare(a, b, n, &c);
    return c;
}

static void test_comparison(void **state)
{
    (void)state;
    const float b[] = {3, -4, 0, 12};
    ghl_comparison c = compare(b, b, 4);
    assert_true(c.relative_l2 == 0 && c.largest == 0 && c.flipped_mass == 0 && c.sign_agreement == 1);

    c = compare((float[]){3, -4, 0, 13}, b, 4); /* |d| = 1, |b| = 13 */
    assert_float_equal(c.relative_l2, 1.0 / 13, 1e-12);
    assert_float_equal(c.largest, 1.0 / 12, 1e-12);
    assert_true(c.flipped_mass == 0 && c.sign_agreement == 1 && c.worst == 3);

    c = compare((float[]){3, 4, 0.5f, 12}, b, 4); /* signs of the second and third differ */
    assert_float_equal(c.relative_l2, sqrt(64.25) / 13, 1e-12);
    assert_float_equal(c.largest, 8.0 / 12, 1e-12);
    assert_float_equal(c.flipped_mass, 4.0 / 19, 1e-12);
    assert_float_equal(c.sign_agreement, 0.5, 1e-12);
    assert_int_equal(c.worst, 1);

    c = compare((float[]){0, -0.0f}, (float[]){-0.0f, 0}, 2);
    assert_true(c.relative_l2 == 0 && c.sign_agreement == 1);
    c = compare((float[]){1}, (float[]){0}, 1);
    assert_true(isinf(c.relative_l2) && isinf(c.largest) && c.flipped_mass == 0);
    c = compare((float[]){1}, (float[]){1}, 0);
    assert_true(c.relative_l2 == 0 && c.sign_agreement == 1);
}

static void test_comparison_of_what_is_not_finite(void **state)
{
    (void)state;
    const float b[] = {3, -4, 0, 12};
    ghl_comparison c = compare((float[]){3, NAN, 0, 12}, b, 4);
    assert_true(isinf(c.relative_l2) && isinf(c.largest));
    assert_int_equal(c.worst, 1);
    assert_float_equal(c.sign_agreement, 0.75, 1e-12);
    assert_float_equal(c.flipped_mass, 4.0 / 19, 1e-12);
    c = compare(b, (float[]){3, NAN, 0, 12}, 4);
    assert_true(isinf(c.relative_l2) && isinf(c.largest) && c.sign_agreement == 0.75);
    c = compare((float[]){NAN}, (float[]){NAN}, 1);
    assert_true(isinf(c.relative_l2) && c.sign_agreement == 0);
    c = compare((float[]){-INFINITY, 1}, (float[]){-INFINITY, 1}, 2);
    assert_true(c.relative_l2 == 0 && c.largest == 0 && c.sign_agreement == 1);
    c = compare((float[]){INFINITY, 1}, (float[]){-INFINITY, 1}, 2);
    assert_true(isinf(c.relative_l2) && isinf(c.largest));
    c = compare((float[]){1, 1}, (float[]){-INFINITY, 1}, 2);
    assert_true(isinf(c.relative_l2));
}

/* ---- Initial values ---- */

static ghl_weight weight(ghl_shape shape, ghl_init init, int index)
{
    return (ghl_weight){.name = "w", .index = index, .shape = shape, .init = init};
}

static float *filled(const ghl_weight *w, uint64_t seed)
{
    float *values = calloc((size_t)ghl_shape_elements(w->shape) + 1, sizeof *values);
    assert_non_null(values);
    ghl_init_fill(w, seed, values);
    return values;
}

/* Moments of n draws, against what they should be within five standard errors. */
static void check_moments(const float *v, int64_t n, double mean, double deviation, double kurtosis)
{
    double m1 = 0, m2 = 0, m4 = 0;
    for (int64_t i = 0; i < n; i++)
        m1 += v[i];
    m1 /= (double)n;
    for (int64_t i = 0; i < n; i++) {
        double d = v[i] - m1;
        m2 += d * d;
        m4 += d * d * d * d;
    }
    m2 /= (double)n;
    m4 /= (double)n;
    const double root = sqrt((double)n);
    assert_float_equal(m1, mean, 5 * deviation / root);
    assert_float_equal(sqrt(m2), deviation, 5 * deviation * sqrt((kurtosis - 1) / 4) / root);
    assert_float_equal(m4 / (m2 * m2), kurtosis, 5 * sqrt(96) / root);
}

static void test_init_uniform(void **state)
{
    (void)state;
    const ghl_weight w = weight((ghl_shape){64, 5, 5, 96}, (ghl_init){GHL_INIT_UNIFORM, -0.25, 0.75}, 0);
    const int64_t n = ghl_shape_elements(w.shape);
    float *v = filled(&w, 1), low = v[0], high = v[0];
    for (int64_t i = 0; i < n; i++) {
        low = v[i] < low ? v[i] : low;
        high = v[i] > high ? v[i] : high;
    }
    assert_true(low >= -0.25f && low < -0.2499f && high <= 0.75f && high > 0.7499f);
    check_moments(v, n, 0.25, 1 / sqrt(12), 1.8);
    free(v);
}

static void test_init_normal(void **state)
{
    (void)state;
    const ghl_weight w = weight((ghl_shape){64, 5, 5, 96}, (ghl_init){GHL_INIT_NORMAL, 0.5, 0.02}, 0);
    const int64_t n = ghl_shape_elements(w.shape);
    float *v = filled(&w, 1);
    check_moments(v, n, 0.5, 0.02, 3);
    int64_t within[3] = {0}; /* one, two, three deviations */
    double neighbours = 0;
    for (int64_t i = 0; i < n; i++) {
        assert_true(isfinite(v[i]));
        for (int d = 0; d < 3; d++)
            within[d] += fabs(v[i] - 0.5) < 0.02 * (d + 1);
        neighbours += i > 0 ? (v[i] - 0.5) * (v[i - 1] - 0.5) / 0.0004 : 0;
    }
    static const double share[] = {0.6826895, 0.9544997, 0.9973002};
    for (int d = 0; d < 3; d++)
        assert_float_equal((double)within[d] / (double)n, share[d], 5 * sqrt(share[d] * (1 - share[d]) / (double)n));
    assert_float_equal(neighbours / (double)n, 0, 5 / sqrt((double)n));
    free(v);
}

/* The definition in tensor.h, with the mathematical library's logarithm and sine. */
static void test_init_is_its_definition(void **state)
{
    (void)state;
    const int64_t n = 100003;
    ghl_weight w = weight((ghl_shape){1, 1, 1, n}, (ghl_init){GHL_INIT_NORMAL, 0, 1}, 7);
    float *normal = filled(&w, 42);
    w.init = (ghl_init){GHL_INIT_UNIFORM, 0, 1};
    float *uniform = filled(&w, 42);
    for (int64_t i = 0; i < n; i++) {
        uint32_t word[4];
        ghl_random4(42, GHL_RANDOM_INIT + 7, (uint64_t)i / 4, 0, word);
        const int pair = (int)(i % 4) / 2 * 2;
        const double u0 = ((double)word[pair] + 0.5) / 4294967296.0, u1 = ((double)word[pair + 1] + 0.5) / 4294967296.0;
        const double angle = 2 * acos(-1) * u1, wanted = sqrt(-2 * log(u0)) * (i % 2 == 0 ? cos(angle) : sin(angle));
        assert_true(fabs(normal[i] - wanted) <= 1e-7 * fabs(wanted) + 1e-12);
        assert_true(uniform[i] == (float)(((double)word[i % 4] + 0.5) / 4294967296.0));
    }
    free(normal);
    free(uniform);
}

static void test_init_constant(void **state)
{
    (void)state;
    const ghl_weight w = weight((ghl_shape){1, 1, 1, 1000}, (ghl_init){.kind = GHL_INIT_CONSTANT, .a = 1.5}, 0);
    float *v = filled(&w, 1);
    for (int i = 0; i < 1000; i++)
        assert_true(v[i] == 1.5f);
    assert_true(v[1000] == 0);
    free(v);
}

/* In PyTorch's order the values are those of a flat vector: the layout in memory does not matter. */
static void test_init_independent_of_layout(void **state)
{
    (void)state;
    const ghl_init init = {GHL_INIT_NORMAL, 0, 1};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const int64_t n = ghl_shape_elements(shapes[i]);
        const ghl_weight shaped = weight(shapes[i], init, 3), flat = weight((ghl_shape){1, 1, 1, n}, init, 3);
        float *v = filled(&shaped, 9), *wanted = filled(&flat, 9), *file = calloc((size_t)n + 1, sizeof *file);
        assert_non_null(file);
        ghl_order_to_file(shapes[i], sizeof *v, v, file);
        assert_memory_equal(file, wanted, (size_t)n * sizeof *v);
        assert_true(v[n] == 0); /* nothing past the end */
        free(v);
        free(wanted);
        free(file);
    }
}

static void test_init_seeds_and_weights_differ(void **state)
{
    (void)state;
    const ghl_init init = {GHL_INIT_UNIFORM, 0, 1};
    const ghl_weight w0 = weight((ghl_shape){1, 1, 1, 1000}, init, 0), w1 = weight((ghl_shape){1, 1, 1, 1000}, init, 1);
    float *a = filled(&w0, 1), *again = filled(&w0, 1), *seed = filled(&w0, 2), *other = filled(&w1, 1);
    assert_memory_equal(a, again, 1000 * sizeof *a);
    int same = 0;
    for (int i = 0; i < 1000; i++)
        same += (a[i] == seed[i]) + (a[i] == other[i]);
    assert_true(same <= 2);
    free(a);
    free(again);
    free(seed);
    free(other);
}

/* W (A + s I) W = I, W = W^T, where A = B^T B is of rank `rank` and its eigenvalues are far apart; W A = A W follows. */
static void assert_inverse_root(int64_t n, int64_t rank, double smoothing)
{
    double *a = calloc((size_t)(n * n), sizeof *a), *copy = calloc((size_t)(n * n), sizeof *a), *wa = calloc((size_t)(n * n), sizeof *a);
    float *w = calloc((size_t)(n * n), sizeof *w);
    for (int64_t r = 0; r < rank; r++)
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < n; j++) {
                uint32_t bi[4], bj[4];
                ghl_random4(3, 7, (uint64_t)r, (uint64_t)i, bi);
                ghl_random4(3, 7, (uint64_t)r, (uint64_t)j, bj);
                a[i * n + j] += ldexp((bi[0] / 2147483648.0 - 1.0) * (bj[0] / 2147483648.0 - 1.0), (int)(-r % 7));
            }
    memcpy(copy, a, (size_t)(n * n) * sizeof *a);
    for (int64_t i = 0; i < n; i++) {
        copy[i * n + i] += smoothing;
        for (int64_t j = i + 1; j < n; j++)
            a[i * n + j] = NAN; /* not read */
    }
    assert_int_equal(ghl_inverse_root(a, n, smoothing, w), GHL_OK);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            assert_true(w[i * n + j] == w[j * n + i]);
            for (int64_t m = 0; m < n; m++)
                wa[i * n + j] += w[i * n + m] * copy[m * n + j];
        }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t m = 0; m < n; m++)
                sum += wa[i * n + m] * w[m * n + j];
            assert_true(fabs(sum - (i == j)) < 2e-4);
        }
    free(a);
    free(copy);
    free(wa);
    free(w);
}

static void test_inverse_root(void **state)
{
    (void)state;
    assert_inverse_root(1, 1, 1e-3);
    assert_inverse_root(1, 0, 0.25);
    assert_inverse_root(2, 2, 1e-3);
    assert_inverse_root(3, 1, 1e-2);
    assert_inverse_root(17, 0, 4);
    assert_inverse_root(40, 50, 1e-3);
    assert_inverse_root(65, 20, 1e-3);
    double indefinite[] = {1, 0, 3, 1}, nan[] = {1, NAN, NAN, 1};
    float out[4];
    assert_int_equal(ghl_inverse_root(indefinite, 2, 1e-3, out), GHL_DATA);
    assert_int_equal(ghl_inverse_root(nan, 2, 1e-3, out), GHL_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_comparison),
        cmocka_unit_test(test_comparison_of_what_is_not_finite),
        cmocka_unit_test(test_init_uniform),
        cmocka_unit_test(test_init_normal),
        cmocka_unit_test(test_init_is_its_definition),
        cmocka_unit_test(test_init_constant),
        cmocka_unit_test(test_init_independent_of_layout),
        cmocka_unit_test(test_init_seeds_and_weights_differ),
        cmocka_unit_test(test_inverse_root),
    };
    return cmocka_run_group_tests_name("tensor", tests, NULL, NULL);
}
