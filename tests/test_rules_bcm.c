/* SPDX-License-Identifier: Apache-2.0
 * ghl-test: gpu-emulated
 *
 * test_rules_bcm.c - rule hwta_bcm and its instars on every device: golden numbers, textbook loops over positions in double, its
 * threshold as state, and what the equations promise; and which layers a rule may take for plain products.
 */
#include "golden/numbers.h"
#include "support_rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 2048 };
#define HEAD "head linear features: 3"
#define THETA "rule/layer.weight.theta"

static double largest(const double *v, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs(v[i]));
    return most;
}

static void open_rig(rig *r, int device, ghl_net *net, const char *options, int64_t batch, double lr)
{
    rig_open(r, net, &(rig_settings){.device = rig_device(device), .rule = "hwta_bcm", .rule_options = options, .batch = batch, .lr = lr});
}

/* ---- Golden numbers ---- */

#define POINT "layer conv channels: 2, kernel: 1, bias: false"
#define MAP "layer conv channels: 2, kernel: 2, bias: false"

typedef struct golden {
    int size, channels;
    const char *layer, *options;
    int64_t batch;
    const double *x, *w, *y, *theta, *d, *h;
} golden;

/* y by column [M][K]. */
static void assert_outputs(rig *r, const double *expected)
{
    int64_t n;
    double *y = rig_named(r, r->step, "out/layer", &n), by_column[MOST];
    const int64_t columns = n / 2;
    for (int64_t i = 0; i < n; i++)
        by_column[i % columns * 2 + i / columns] = y[i];
    rig_near("y", by_column, expected, n, 2e-6);
    free(y);
}

static void assert_golden(rig *r, const golden *g)
{
    int64_t n;
    double *d = rig_named(r, r->step, "local/layer.weight", &n), *v = rig_named(r, r->step, "direction/layer.weight", NULL);
    const double most = largest(d, n);
    if (g->y != NULL)
        assert_outputs(r, g->y);
    if (g->theta != NULL)
        rig_state_near(r, THETA, g->theta, 2e-6);
    if (g->d != NULL)
        rig_near("d", d, g->d, n, 2e-6);
    for (int64_t i = 0; i < n; i++) {
        d[i] /= most + 1e-30;
        v[i] = -v[i];
    }
    rig_near("direction", v, d, n, 2e-6);
    if (g->h != NULL)
        rig_near("h", d, g->h, n, 2e-6);
    free(d);
    free(v);
}

static void golden_numbers(void **state)
{
    const golden rows[] = {
        {1, 2, POINT, NULL, 2, b1_x, b1_w, NULL, b1_theta, b1_d, b1_h},
        {3, 1, MAP, NULL, 1, b2_image, b2_w, NULL, b2_theta, b2_d, b2_h},
        {3, 1, MAP ", inhibition: dog", NULL, 1, b3_image, b3_w, b3_y, b3_theta, b3_d, NULL},
        {2, 2, MAP ", response: cosine_tap", NULL, 1, b4_x, b4_w, b4_y, b4_theta, NULL, b4_h},
        {2, 2, MAP ", response: cosine_filter", NULL, 1, b4f_x, b4f_w, b4f_y, NULL, NULL, NULL},
        {3, 1, MAP, "variant: hard", 1, b5_image, b5_w, NULL, NULL, b5_d, NULL},
    };
    const golden again = {.theta = b1b_theta, .d = b1b_d};
    (void)state;
    for (int device = 0; rig_device(device) != NULL; device++)
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            const golden *g = &rows[i];
            rig r;
            open_rig(&r, device, rig_net(g->size, g->size, g->channels, g->layer, HEAD, NULL), g->options, g->batch, 0);
            rig_write(&r, "layer.weight", g->w);
            rig_images(&r, g->x);
            rig_run(&r, r.step);
            assert_golden(&r, g);
            if (i == 0) { /* the same weights, the threshold as it has become */
                rig_run(&r, r.step);
                assert_golden(&r, &again);
            }
            rig_close(&r);
        }
}

/* ---- Textbook loops ---- */

/* Columns x [M][F], outputs y [M][K]. */
typedef struct book {
    int columns, filters, fan_in;
    double x[MOST], y[MOST], w[MOST], theta[64], d[MOST];
} book;

static void read_book(book *b, rig *r, const rig_geometry *q, const double *images, const double *before)
{
    int64_t n;
    double *y = rig_named(r, r->step, "out/layer", &n);
    const int per_image = b->columns / q->n;
    for (int m = 0; m < b->columns; m++) {
        rig_column(q, images, m, b->x + m * b->fan_in);
        for (int k = 0; k < q->k; k++)
            b->y[m * q->k + k] = y[(m / per_image * q->k + k) * per_image + m % per_image];
    }
    memcpy(b->w, before, (size_t)(b->filters * b->fan_in) * sizeof *before);
    free(y);
}

static bool wins(const book *b, int m, int k)
{
    const double *y = b->y + m * b->filters;
    for (int j = 0; j < b->filters; j++)
        if (y[j] > y[k] || (y[j] == y[k] && j < k))
            return false;
    return true;
}

/* d, and theta moved on. */
static void by_the_book(book *b, const char *variant, double memory)
{
    const bool bcm = strcmp(variant, "bcm") == 0, basic = strcmp(variant, "basic") == 0;
    memset(b->d, 0, sizeof b->d);
    for (int k = 0; k < b->filters; k++) {
        double squares = 0;
        for (int m = 0; m < b->columns; m++)
            squares += wins(b, m, k) ? pow(b->y[m * b->filters + k], 2) : 0;
        b->theta[k] = memory * b->theta[k] + (1 - memory) * squares / b->columns;
        for (int m = 0; m < b->columns; m++) {
            const double y = basic || wins(b, m, k) ? b->y[m * b->filters + k] : 0;
            for (int f = 0; f < b->fan_in; f++)
                b->d[k * b->fan_in + f] += bcm ? y * (y - b->theta[k]) * b->x[m * b->fan_in + f]
                                               : y * (b->x[m * b->fan_in + f] - b->w[k * b->fan_in + f]);
        }
    }
}

static void assert_step(book *b, rig *r, const rig_geometry *q, const char *variant, double memory, double lr)
{
    double images[MOST], before[MOST], after[MOST];
    const int n = b->filters * b->fan_in;
    rig_read(r, "layer.weight", before);
    for (int i = 0; i < q->n * q->c * q->h * q->w; i++)
        images[i] = (float)rig_noise(11 + (uint64_t)r->steps, i);
    rig_images(r, images);
    rig_run(r, r->step);
    read_book(b, r, q, images, before);
    by_the_book(b, variant, memory);
    rig_named_near(r, "local/layer.weight", b->d, 1e-5);
    if (strcmp(variant, "bcm") == 0)
        rig_state_near(r, THETA, b->theta, 1e-6);
    for (int i = 0; i < n; i++)
        after[i] = before[i] + lr * b->d[i] / largest(b->d, n);
    rig_state_near(r, "layer.weight", after, 1e-5);
}

static void steps_are_those_of_the_textbook(void **state)
{
    const struct {
        rig_geometry q;
        const char *layer;
    } rows[] = {
        {{2, 2, 5, 6, 3, 3, 3, 1, 1, true},
         "layer conv channels: 3, kernel: 3, padding: 1, padding_mode: reflect, response: cosine_tap, inhibition: dog, bias: false"},
        {{3, 3, 4, 4, 5, 1, 1, 1, 0, false}, "layer conv channels: 5, kernel: 1, response: cosine_filter, inhibition: dog, bias: false"},
        {{2, 1, 5, 6, 40, 2, 3, 1, 0, false}, "layer conv channels: 40, kernel: [2, 3], response: unit_norm, inhibition: dog"},
        {{4, 3, 2, 3, 4, 2, 3, 1, 0, false}, "layer linear features: 4, response: cosine_tap"},
        {{2, 2, 7, 5, 6, 3, 3, 2, 1, false}, "layer conv channels: 6, kernel: 3, padding: 1, stride: 2"},
    };
    const struct {
        const char *variant, *options;
        double memory;
    } variants[] = {{"bcm", NULL, 0.5}, {"bcm", "memory: 0.9", 0.9}, {"hard", "variant: hard", 0.5}, {"basic", "variant: basic", 0.5}};
    (void)state;
    for (int device = 0; rig_device(device) != NULL; device++)
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
            for (size_t v = 0; v < sizeof variants / sizeof variants[0]; v++) {
                const rig_geometry *q = &rows[i].q;
                book b = {.columns = rig_columns(q), .filters = q->k, .fan_in = q->c * q->r * q->s};
                rig r;
                for (int k = 0; k < q->k; k++)
                    b.theta[k] = 1;
                open_rig(&r, device, rig_net(q->h, q->w, q->c, rows[i].layer, HEAD, NULL), variants[v].options, q->n, 0.05);
                for (int step = 0; step < 3; step++)
                    assert_step(&b, &r, q, variants[v].variant, variants[v].memory, 0.05);
                rig_close(&r);
            }
}

/* ---- Properties ---- */

#define PUBLISHED "layer conv channels: 4, kernel: 3, padding: 1, padding_mode: reflect, response: cosine_tap, inhibition: dog, bias: false"

static void a_filter_that_loses_never_moves(void **state)
{
    (void)state;
    for (int device = 0; rig_device(device) != NULL; device++) {
        rig r;
        double w[12] = {1, 0.5, -0.5, 2, -1, -1, -1, -1, 0.2, 1, 1, -1}, after[12];
        open_rig(&r, device, rig_net(1, 1, 4, "layer linear features: 3, bias: false", HEAD, NULL), NULL, 2, 0.1);
        rig_write(&r, "layer.weight", w);
        rig_images(&r, (double[]){1, 1, 1, 1, 2, 0, 1, 3});
        for (int i = 0; i < 20; i++)
            rig_run(&r, r.step);
        rig_read(&r, "layer.weight", after);
        assert_memory_equal(after + 4, w + 4, 4 * sizeof *after);
        assert_true(fabs(after[0] - w[0]) > 0.1); /* the winner does */
        double theta[3];
        rig_read(&r, THETA, theta);
        assert_true(theta[1] > 0 && theta[1] < 1e-5); /* and is forgotten */
        rig_close(&r);
    }
}

/* w and theta after two steps, the second on other images. */
static void two_steps(rig *r, double *w, double *theta)
{
    for (uint64_t i = 0; i < 2; i++) {
        rig_random(r, 31 + i);
        rig_run(r, r->step);
    }
    rig_read(r, "layer.weight", w);
    rig_read(r, THETA, theta);
}

static void only_good_training_steps_move_the_threshold(void **state)
{
    (void)state;
    for (int device = 0; rig_device(device) != NULL; device++) {
        rig r;
        double theta[4], w[4 * 18], later[4];
        rig_open(&r, rig_net(5, 6, 2, PUBLISHED, HEAD, NULL),
                 &(rig_settings){.device = rig_device(device), .rule = "hwta_bcm", .batch = 3, .lr = 0.1, .nan = GHL_NAN_SKIP});
        rig_state_near(&r, THETA, (double[]){1, 1, 1, 1}, 0);
        two_steps(&r, w, theta);
        assert_true(theta[0] != 1 && theta[0] != theta[1]);
        rig_run(&r, r.test);
        rig_run(&r, r.look);
        r.images[17] = NAN;
        rig_run(&r, r.step);
        assert_true(r.result[GHL_RESULT_OK] == 0);
        rig_read(&r, THETA, later);
        assert_memory_equal(theta, later, sizeof theta);
        rig_state_near(&r, "layer.weight", w, 0);
        rig_close(&r);
    }
}

/* Only fusions may differ between a traced program and one that trains. */
static void fused_steps_are_the_same(void **state)
{
    (void)state;
    for (int device = 0; rig_device(device) != NULL; device++) {
        double w[2][4 * 18], theta[2][4];
        for (int fused = 0; fused < 2; fused++) {
            rig r;
            rig_open(&r, rig_net(6, 6, 2, PUBLISHED, "relu1 relu", "pool1 max_pool kernel: 2", HEAD, NULL),
                     &(rig_settings){.device = rig_device(device), .rule = "hwta_bcm", .batch = 3, .lr = 0.1, .fused = fused});
            two_steps(&r, w[fused], theta[fused]);
            rig_close(&r);
        }
        rig_near("w", w[1], w[0], 4 * 18, 1e-6);
        rig_near("theta", theta[1], theta[0], 4, 1e-6);
    }
}

static void ghl_takes_its_magnitude_and_moves_the_threshold(void **state)
{
    (void)state;
    for (int device = 0; rig_device(device) != NULL; device++) {
        double *d[2], *g = NULL, *direction = NULL, theta[2][4];
        int64_t n;
        for (int i = 0; i < 2; i++) {
            rig r;
            rig_open(&r, rig_net(5, 6, 2, PUBLISHED, HEAD, NULL),
                     &(rig_settings){.device = rig_device(device),
                                     .rule = i ? "ghl" : "hwta_bcm",
                                     .rule_options = i ? "local: hwta_bcm" : NULL,
                                     .batch = 3,
                                     .lr = 0.1});
            rig_random(&r, 51);
            rig_run(&r, r.step);
            d[i] = rig_named(&r, r.step, "local/layer.weight", &n);
            rig_read(&r, THETA, theta[i]);
            if (i) {
                g = rig_named(&r, r.step, "grad/layer.weight", NULL);
                direction = rig_named(&r, r.step, "direction/layer.weight", NULL);
            }
            rig_close(&r);
        }
        assert_memory_equal(theta[0], theta[1], sizeof theta[0]);
        rig_near("local", d[1], d[0], n, 1e-6);
        const double most = largest(d[1], n);
        for (int64_t i = 0; i < n; i++)
            g[i] = copysign(fabs(d[1][i]) / most, g[i]);
        rig_near("direction", direction, g, n, 2e-6);
        free(d[0]);
        free(d[1]);
        free(g);
        free(direction);
    }
}

static void bf16_is_near(void **state)
{
    (void)state;
    double *d[2] = {NULL}, difference = 0, size = 0;
    int64_t n;
    for (int half = 0; half < 2; half++) {
        rig r;
        if (rig_try(&r, rig_net(8, 7, 3, "layer conv channels: 16, kernel: 3, padding: 1, padding_mode: reflect, response: cosine_tap, "
                                "inhibition: dog, bias: false", HEAD, NULL),
                    &(rig_settings){.device = "cpu", .rule = "hwta_bcm", .rule_options = "variant: basic", .batch = 4, .lr = 0.1,
                                    .dtype = half ? GHL_BF16 : GHL_F32}) != GHL_OK) {
            print_message("bf16: not on this processor\n");
            rig_close(&r);
            free(d[0]);
            return;
        }
        assert_int_equal(ghl_plan_seal(r.plan), GHL_OK);
        rig_random(&r, 91);
        rig_run(&r, r.step);
        d[half] = rig_named(&r, r.step, "local/layer.weight", &n);
        rig_close(&r);
    }
    for (int64_t i = 0; i < n; i++) {
        difference += pow(d[1][i] - d[0][i], 2);
        size += pow(d[0][i], 2);
    }
    if (!(sqrt(difference / size) <= 4e-2) || difference == 0)
        fail_msg("differs by %g", sqrt(difference / size));
    free(d[0]);
    free(d[1]);
}

/* ---- Plain products ---- */

static bool plain;

static ghl_status asking_emit(ghl_emitter *em, const ghl_weight *w, const void *options)
{
    (void)options;
    plain = ghl_emit_dot(em, w);
    ghl_emit_direction(em, w, ghl_emit_gradient(em, w));
    return GHL_OK;
}

static const ghl_rule asking = {.name = "asking", .summary = "notes whether u is x w^T", .source = "u = x w^T", .emit = asking_emit};

static void rules_can_ask_for_plain_products(void **state)
{
    const struct {
        const char *layer;
        bool plain;
    } rows[] = {
        {"layer conv channels: 2, kernel: 3", true},
        {"layer conv channels: 2, kernel: 3, padding: 1, padding_mode: reflect, bias: false", true},
        {"layer conv channels: 2, kernel: 1, inhibition: dog", true},
        {"layer linear features: 4", true},
        {"layer conv channels: 2, kernel: 3, inhibition: dog", false},
        {"layer conv channels: 2, kernel: 3, response: unit_norm", false},
        {"layer linear features: 4, response: cosine_tap", false},
        {"layer linear features: 4, response: cosine_filter", false},
    };
    (void)state;
    assert_int_equal(ghl_register_rule(&asking), GHL_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rig r;
        rig_open(&r, rig_net(5, 5, 2, rows[i].layer, HEAD, NULL), &(rig_settings){.rule = "asking", .lr = 0.1});
        if (plain != rows[i].plain)
            fail_msg("%s: %s", rows[i].layer, plain ? "taken for a plain product" : "not seen as a plain product");
        rig_close(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_numbers),
        cmocka_unit_test(steps_are_those_of_the_textbook),
        cmocka_unit_test(a_filter_that_loses_never_moves),
        cmocka_unit_test(only_good_training_steps_move_the_threshold),
        cmocka_unit_test(fused_steps_are_the_same),
        cmocka_unit_test(ghl_takes_its_magnitude_and_moves_the_threshold),
        cmocka_unit_test(bf16_is_near),
        cmocka_unit_test(rules_can_ask_for_plain_products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
