/* SPDX-License-Identifier: Apache-2.0
 * ghl-test: gpu-emulated
 *
 * test_rules.c - the rules ghl, sign, backprop and frozen on every device: the golden numbers of GHL and Sign, the properties their
 * equations promise, and textbook loops over positions, in double, for what the golden numbers leave out.
 */
#include "golden/numbers.h"
#include "rule/local.h"
#include "support_rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 512 };

/* ---- A layer that hands a given error to the one before it, and a rule whose gradient is given ---- */

static ghl_status inject_shape(ghl_node *node, const ghl_node *const *inputs)
{
    node->shape = inputs[0]->shape;
    node->flat = inputs[0]->flat;
    return GHL_OK;
}

static ghl_tensor inject_forward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in)
{
    (void)node;
    return ghl_emit_view(em, in[0], ghl_emit_shape(em, in[0]));
}

static void inject_backward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in, ghl_tensor e, ghl_tensor *e_in)
{
    (void)node, (void)e;
    e_in[0] = ghl_emit_state(em, "test/error", GHL_F32, ghl_emit_shape(em, in[0]), 0.0);
}

static const ghl_layer inject = {
    .name = "inject",
    .summary = "hands back the error in state test/error",
    .source = "e = test/error",
    .min_inputs = 1,
    .max_inputs = 1,
    .shape = inject_shape,
    .forward = inject_forward,
    .backward = inject_backward,
};

/* ghl with the gradient in state test/gradient. */
static ghl_status given_emit(ghl_emitter *em, const ghl_weight *w, const void *options)
{
    const ghl_magnitude_options published = {.power = 1};
    (void)options;
    ghl_tensor g = ghl_emit_state(em, "test/gradient", GHL_F32, w->shape, 0.0);
    ghl_tensor d = ghl_rule_oja_update(em, w, ghl_rule_softmax(em, w, ghl_emit_preactivation(em, w), 0, GHL_LOSERS_SOFT));
    ghl_emit_export(em, w, "local", d);
    ghl_emit_direction(em, w, ghl_rule_signed(em, g, d, &published));
    return GHL_OK;
}

static const ghl_rule given = {.name = "given", .summary = "ghl with a given gradient", .source = "g = test/gradient", .emit = given_emit};

static int set_up(void **state)
{
    (void)state;
    return ghl_register_layer(&inject) == GHL_OK && ghl_register_rule(&given) == GHL_OK ? 0 : -1;
}

static void a_rule_does_something(void **state)
{
    static const ghl_rule idle = {.name = "idle", .summary = "neither emits nor has a local update", .source = "nothing"};
    (void)state;
    assert_int_equal(ghl_register_rule(&idle), GHL_USAGE);
    assert_non_null(strstr(ghl_error_message(), "rule \"idle\" neither emits"));
}

/* ---- Golden numbers ---- */

static void set_head(rig *r, uint64_t seed)
{
    double values[MOST];
    int64_t n = rig_elements(r, "head.weight");
    for (int64_t i = 0; i < n; i++)
        values[i] = rig_noise(seed, i);
    rig_write(r, "head.weight", values);
}

/* u, d and |h| of one step; u by column, as [M][K]. */
typedef struct expected {
    const double *u, *d, *h;
    int columns, filters, fan_in;
} expected;

static void assert_local(rig *r, const char *node, const expected *e)
{
    char name[64];
    int64_t n;
    snprintf(name, sizeof name, "out/%s", node);
    double *u = rig_named(r, r->step, name, &n), by_column[MOST], h[MOST];
    if (e->u != NULL) {
        int per_image = e->columns / (int)r->batch;
        for (int m = 0; m < e->columns; m++)
            for (int k = 0; k < e->filters; k++)
                by_column[m * e->filters + k] = u[(m / per_image * e->filters + k) * per_image + m % per_image];
        rig_near(name, by_column, e->u, n, 2e-6);
    }
    free(u);
    snprintf(name, sizeof name, "local/%s.weight", node);
    rig_named_near(r, name, e->d, 2e-6);
    snprintf(name, sizeof name, "direction/%s.weight", node);
    double *direction = rig_named(r, r->step, name, &n);
    assert_int_equal(n, e->filters * e->fan_in);
    for (int64_t i = 0; i < n; i++) {
        direction[i] = fabs(direction[i]);
        h[i] = fabs(e->h[i]);
    }
    rig_near(name, direction, h, n, 2e-6);
    free(direction);
}

static void golden_local(void **state)
{
    const expected e1 = {g1_x, g1_d, g1_h, 1, 2, 2}, e2 = {g2_x, g2_d, g2_h, 2, 2, 2}, e3 = {g3_u, g3_d, g3_h, 4, 2, 4},
                   e3b = {g3b_u, g3b_d, g3b_h, 4, 2, 4}, e4 = {g4_u, g4_d, g4_h, 2, 3, 2};
    const struct {
        int size;
        const char *layer, *node;
        int64_t batch;
        const double *x, *w;
        const expected *e;
    } rows[] = {
        {1, "conv1 conv channels: 2, kernel: 1, bias: false", "conv1", 1, g1_x, g1_w, &e1},
        {1, "fc1 linear features: 2, bias: false", "fc1", 1, g1_x, g1_w, &e1},
        {1, "conv1 conv channels: 2, kernel: 1, bias: false, inverse_temperature: 0.5", "conv1", 2, g2_x, g2_w, &e2},
        {1, "fc1 linear features: 2, bias: false, inverse_temperature: 0.5", "fc1", 2, g2_x, g2_w, &e2},
        {3, "conv1 conv channels: 2, kernel: 2, bias: false", "conv1", 1, g3_image, g3_w, &e3},
        {3, "conv1 conv channels: 2, kernel: [2, 2], stride: 2, padding: [1, 1], bias: false", "conv1", 1, g3b_image, g3b_w, &e3b},
        {1, "conv1 conv channels: 3, kernel: 1, bias: false, inverse_temperature: 0.5", "conv1", 2, g4_x, g4_w, &e4},
    };
    (void)state;
    for (int d = 0; rig_device(d) != NULL; d++)
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            rig r;
            char weight[64];
            rig_open(&r, rig_net(rows[i].size, rows[i].size, rows[i].size == 1 ? 2 : 1, rows[i].layer, "head linear features: 3", NULL),
                     &(rig_settings){.device = rig_device(d), .rule = "ghl", .batch = rows[i].batch});
            snprintf(weight, sizeof weight, "%s.weight", rows[i].node);
            rig_write(&r, weight, rows[i].w);
            set_head(&r, 3);
            rig_images(&r, rows[i].x);
            rig_run(&r, r.step);
            assert_local(&r, rows[i].node, rows[i].e);
            rig_close(&r);
        }
}

static void golden_step_with_given_gradient(void **state)
{
    (void)state;
    for (int d = 0; rig_device(d) != NULL; d++) {
        rig r;
        rig_open(&r, rig_net(1, 1, 2, "conv1 conv channels: 2, kernel: 1, bias: false", "head linear features: 2", NULL),
                 &(rig_settings){.device = rig_device(d), .rule = "given", .lr = g1_lr[0], .weight_decay = g1_wd[0]});
        rig_write(&r, "conv1.weight", g1_w);
        rig_write(&r, "test/gradient", g1_g);
        rig_images(&r, g1_x);
        rig_run(&r, r.step);
        rig_named_near(&r, "local/conv1.weight", g1_d, 2e-6);
        rig_state_near(&r, "conv1.weight", g1_w_after, 2e-6);
        rig_close(&r);
    }
}

/* e [2][3] with e^T x = g4_g, for the columns g4_x = (1,2), (-1,0.5). */
static void error_of_g4(double *e)
{
    for (int k = 0; k < 3; k++) {
        double first = (0.5 * g4_g[2 * k] + g4_g[2 * k + 1]) / 2.5;
        e[k] = first;
        e[3 + k] = first - g4_g[2 * k];
    }
}

static void golden_step_with_injected_error(void **state)
{
    const struct {
        const char *rule;
        const double *after;
    } rows[] = {{"ghl", g4_w_after}, {"sign", n1_w_after}};
    (void)state;
    for (int d = 0; rig_device(d) != NULL; d++)
        for (int i = 0; i < 2; i++) {
            rig r;
            double e[6];
            rig_open(&r,
                     rig_net(1, 1, 2, "fc1 linear features: 3, bias: false, inverse_temperature: 0.5", "inject inject",
                             "head linear features: 2", NULL),
                     &(rig_settings){
                         .device = rig_device(d), .rule = rows[i].rule, .batch = 2, .lr = g4_lr[0], .weight_decay = g4_wd[0]});
            error_of_g4(e);
            rig_write(&r, "fc1.weight", g4_w);
            rig_write(&r, "test/error", e);
            rig_images(&r, g4_x);
            rig_run(&r, r.step);
            rig_named_near(&r, "grad/fc1.weight", g4_g, 2e-6);
            rig_state_near(&r, "fc1.weight", rows[i].after, 2e-6);
            rig_close(&r);
        }
}

static void golden_whole_step(void **state)
{
    const char *const layers[] = {"conv1 conv channels: 2, kernel: 1, bias: false", "conv1 linear features: 2, bias: false"};
    (void)state;
    for (int d = 0; rig_device(d) != NULL; d++)
        for (int i = 0; i < 2; i++) {
            rig r;
            rig_open(&r, rig_net(1, 1, 2, layers[i], "relu1 relu", "head linear features: 2", NULL),
                     &(rig_settings){.device = rig_device(d),
                                     .rule = "ghl",
                                     .lr = g5_lr[0],
                                     .weight_decay = g5_wd[0],
                                     .head_lr = g5_head_lr[0]});
            rig_write(&r, "conv1.weight", g5_w);
            rig_write(&r, "head.weight", g5_head);
            rig_write(&r, "head.bias", g5_head_bias);
            rig_images(&r, g5_x);
            rig_labels(&r, (int[]){(int)g5_label[0]});
            double loss = rig_run(&r, r.step);
            rig_near("loss", &loss, g5_loss, 1, 2e-6);
            rig_named_near(&r, "out/conv1", g5_u, 2e-6);
            rig_named_near(&r, "grad/conv1.weight", g5_g, 2e-6);
            rig_state_near(&r, "conv1.weight", g5_w_after, 2e-6);
            rig_state_near(&r, "head.weight", g5_head_after, 2e-6);
            rig_state_near(&r, "head.bias", g5_bias_after, 2e-6);
            rig_close(&r);
        }
}

/* ---- The published sum over positions ---- */

/* d_k = sum_m r_mk (x_m - u_mk w_k), r_m = softmax(t (u_m + b)), exactly as written. */
static void local_by_positions(const rig_geometry *q, double t, const double *x, const double *w, const double *b, double *d)
{
    const int fan_in = q->c * q->r * q->s;
    memset(d, 0, sizeof *d * (size_t)(q->k * fan_in));
    for (int m = 0; m < rig_columns(q); m++) {
        double patch[MOST], u[MOST], r[MOST], sum = 0;
        rig_column(q, x, m, patch);
        for (int k = 0; k < q->k; k++) {
            u[k] = 0;
            for (int f = 0; f < fan_in; f++)
                u[k] += patch[f] * w[k * fan_in + f];
            sum += r[k] = exp(t * (u[k] + (b != NULL ? b[k] : 0)));
        }
        for (int k = 0; k < q->k; k++)
            for (int f = 0; f < fan_in; f++)
                d[k * fan_in + f] += r[k] / sum * (patch[f] - u[k] * w[k * fan_in + f]);
    }
}

static void local_is_the_sum_over_positions(void **state)
{
    const struct {
        rig_geometry q;
        double t;
        const char *layer, *rule_options;
        bool bias;
    } rows[] = {
        {{2, 2, 5, 6, 3, 3, 3, 1, 1, false}, 1, "fc conv channels: 3, kernel: 3, padding: 1, bias: false", NULL, false},
        {{2, 2, 5, 6, 3, 3, 3, 2, 1, false}, 0.7,
         "fc conv channels: 3, kernel: 3, padding: 1, stride: 2, bias: true, inverse_temperature: 0.7",
         NULL, true},
        {{1, 1, 5, 6, 4, 2, 3, 2, 0, false}, 2.5, "fc conv channels: 4, kernel: [2, 3], stride: 2, bias: false", "inverse_temperature: 2.5",
         false},
        {{2, 3, 4, 4, 2, 3, 3, 1, 2, true}, 1,
         "fc conv channels: 2, kernel: 3, padding: 2, padding_mode: reflect, bias: false", NULL, false},
        {{5, 3, 2, 3, 4, 2, 3, 1, 0, false}, 1, "fc linear features: 4", NULL, true},
        {{3, 2, 4, 4, 1, 1, 1, 1, 0, false}, 1, "fc conv channels: 1, kernel: 1, bias: false", NULL, false},
    };
    (void)state;
    for (int device = 0; rig_device(device) != NULL; device++)
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            const rig_geometry *q = &rows[i].q;
            double x[MOST], w[MOST], b[MOST], d[MOST];
            rig r;
            rig_open(&r, rig_net(q->h, q->w, q->c, rows[i].layer, "head linear features: 3", NULL),
                     &(rig_settings){
                         .device = rig_device(device), .rule = "ghl", .rule_options = rows[i].rule_options, .batch = q->n, .lr = 0.1});
            for (int k = 0; k < q->n * q->c * q->h * q->w; k++)
                x[k] = (float)rig_noise(11, k);
            rig_images(&r, x);
            rig_read(&r, "fc.weight", w);
            if (rows[i].bias)
                rig_read(&r, "fc.bias", b);
            local_by_positions(q, rows[i].t, x, w, rows[i].bias ? b : NULL, d);
            rig_run(&r, r.step);
            rig_named_near(&r, "local/fc.weight", d, 5e-6);
            rig_close(&r);
        }
}

/* ---- Properties ---- */

static const char *const conv_line = "conv1 conv channels: 4, kernel: 3, padding: 1, bias: false";

static ghl_net *small_net(void)
{
    return rig_net(5, 5, 2, conv_line, "relu1 relu", "pool1 max_pool kernel: 2", "flatten flatten", "head linear features: 3", NULL);
}

static void steps_at(const rig_settings *settings, uint64_t seed, int steps, double *after)
{
    rig r;
    rig_open(&r, small_net(), settings);
    for (int i = 0; i < steps; i++) {
        rig_random(&r, seed + 2 * (uint64_t)i);
        rig_run(&r, r.step);
    }
    rig_read(&r, "conv1.weight", after);
    rig_close(&r);
}

enum { CONV1 = 4 * 2 * 9 };

static void equal_options_give_equal_steps(void **state)
{
    const struct {
        const char *rule_a, *options_a, *rule_b, *options_b;
    } rows[] = {
        {"ghl", "power: 0", "sign", NULL},
        {"ghl", "power: 0, scale: neuron_rms", "sign", NULL},
        {"ghl", "direction: ema_sign, beta: 0", "ghl", NULL},
        {"sign", "direction: ema_sign, beta: 0", "sign", NULL},
        {"ghl", "inverse_temperature: 1", "ghl", NULL},
        {"ghl", "scale: layer_max, power: 1, direction: sign", "ghl", NULL},
    };
    (void)state;
    for (int d = 0; rig_device(d) != NULL; d++)
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            double a[CONV1], b[CONV1];
            rig_settings s = {.device = rig_device(d), .batch = 3, .lr = 0.03, .weight_decay = 0.1, .head_lr = 0.1};
            s.rule = rows[i].rule_a, s.rule_options = rows[i].options_a;
            steps_at(&s, 21, 3, a);
            s.rule = rows[i].rule_b, s.rule_options = rows[i].options_b;
            steps_at(&s, 21, 3, b);
            rig_near(rows[i].options_a, a, b, CONV1, 1e-7);
        }
}

static void different_options_give_different_steps(void **state)
{
    const char *const options[] = {"power: 0.5", "scale: neuron_max", "scale: layer_rms", "inverse_temperature: 3",
                                   "direction: ema_sign, beta: 0.95"};
    (void)state;
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        double a[CONV1], b[CONV1], difference = 0;
        rig_settings s = {.rule = "ghl", .batch = 3, .lr = 0.03, .head_lr = 0.1};
        steps_at(&s, 21, 3, a);
        s.rule_options = options[i];
        steps_at(&s, 21, 3, b);
        for (int k = 0; k < CONV1; k++)
            difference = fmax(difference, fabs(a[k] - b[k]));
        if (!(difference > 1e-4))
            fail_msg("%s changes nothing", options[i]);
    }
}

static void a_repeated_batch_gives_the_same_step(void **state)
{
    const char *const rules[] = {"ghl", "sign"};
    (void)state;
    for (int d = 0; rig_device(d) != NULL; d++)
        for (int i = 0; i < 2; i++) {
            double x[4 * 50], once[CONV1], twice[CONV1];
            for (int k = 0; k < 200; k++)
                x[k] = rig_noise(31, k % 100);
            for (int copies = 1; copies <= 2; copies++) {
                rig r;
                rig_open(&r, small_net(),
                         &(rig_settings){.device = rig_device(d), .rule = rules[i], .batch = 2 * copies, .lr = 0.1, .weight_decay = 0.05});
                rig_images(&r, x);
                rig_labels(&r, (int[]){2, 0, 2, 0});
                rig_run(&r, r.step);
                rig_read(&r, "conv1.weight", copies == 1 ? once : twice);
                rig_close(&r);
            }
            rig_near(rules[i], twice, once, CONV1, 2e-6);
        }
}

static void a_doubled_error_gives_the_same_step(void **state)
{
    const char *const rules[] = {"ghl", "sign"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        double after[2][CONV1];
        for (int twice = 0; twice < 2; twice++) {
            double e[4 * 25];
            rig r;
            rig_open(&r, rig_net(5, 5, 2, conv_line, "inject inject", "head linear features: 3", NULL),
                     &(rig_settings){.rule = rules[i], .lr = 0.1, .weight_decay = 0.05});
            for (int k = 0; k < 100; k++)
                e[k] = rig_noise(41, k) * (1 + twice);
            rig_write(&r, "test/error", e);
            rig_random(&r, 42);
            rig_run(&r, r.step);
            rig_read(&r, "conv1.weight", after[twice]);
            rig_close(&r);
        }
        rig_near(rules[i], after[1], after[0], CONV1, 0);
    }
}

static void the_direction_has_the_gradients_sign_and_a_largest_entry_of_one(void **state)
{
    (void)state;
    for (int d = 0; rig_device(d) != NULL; d++) {
        rig r;
        double largest = 0, before[CONV1], after[CONV1];
        rig_open(&r, small_net(), &(rig_settings){.device = rig_device(d), .rule = "ghl", .batch = 3, .lr = 0.1, .weight_decay = 0.05});
        rig_random(&r, 51);
        rig_read(&r, "conv1.weight", before);
        rig_run(&r, r.step);
        rig_read(&r, "conv1.weight", after);
        double *h = rig_named(&r, r.step, "direction/conv1.weight", NULL), *g = rig_named(&r, r.step, "grad/conv1.weight", NULL),
               *local = rig_named(&r, r.step, "local/conv1.weight", NULL);
        for (int k = 0; k < CONV1; k++) {
            assert_true(g[k] != 0 && local[k] != 0);
            assert_true(h[k] * g[k] > 0);
            largest = fmax(largest, fabs(h[k]));
            before[k] -= 0.1 * (h[k] + 0.05 * before[k]);
        }
        assert_true(fabs(largest - 1) < 1e-6);
        rig_near("after", after, before, CONV1, 1e-6);
        free(h);
        free(g);
        free(local);
        rig_close(&r);
    }
}

static void permuted_filters_permute_the_step(void **state)
{
    const int order[4] = {2, 0, 3, 1};
    (void)state;
    for (int d = 0; rig_device(d) != NULL; d++) {
        double w[2][CONV1], head[2][3 * 4 * 4], after[2][CONV1], moved[CONV1];
        for (int turn = 0; turn < 2; turn++) {
            rig r;
            rig_open(&r, small_net(), &(rig_settings){.device = rig_device(d), .rule = "ghl", .batch = 3, .lr = 0.1});
            if (turn == 0) {
                rig_read(&r, "conv1.weight", w[0]);
                rig_read(&r, "head.weight", head[0]);
                for (int k = 0; k < 4; k++) {
                    memcpy(w[1] + k * 18, w[0] + order[k] * 18, 18 * sizeof(double));
                    for (int class = 0; class < 3; class++)
                        memcpy(head[1] + class * 16 + k * 4, head[0] + class * 16 + order[k] * 4, 4 * sizeof(double));
                }
            }
            rig_write(&r, "conv1.weight", w[turn]);
            rig_write(&r, "head.weight", head[turn]);
            rig_random(&r, 61);
            rig_run(&r, r.step);
            rig_read(&r, "conv1.weight", after[turn]);
            rig_close(&r);
        }
        for (int k = 0; k < 4; k++)
            memcpy(moved + k * 18, after[0] + order[k] * 18, 18 * sizeof(double));
        rig_near("permuted", after[1], moved, CONV1, 2e-6);
    }
}

static void an_all_zero_local_update_gives_pure_decay(void **state)
{
    (void)state;
    for (int d = 0; rig_device(d) != NULL; d++) {
        rig r;
        /* One filter of norm 1 and images along it: x - u w = 0. */
        rig_open(&r, rig_net(1, 1, 2, "conv1 conv channels: 1, kernel: 1, bias: false", "head linear features: 2", NULL),
                 &(rig_settings){.device = rig_device(d), .rule = "ghl", .batch = 2, .lr = 0.1, .weight_decay = 0.05});
        rig_write(&r, "conv1.weight", (double[]){1, 0});
        rig_write(&r, "head.weight", (double[]){1, -1});
        rig_images(&r, (double[]){2, 0, -3, 0});
        rig_run(&r, r.step);
        double *g = rig_named(&r, r.step, "grad/conv1.weight", NULL);
        assert_true(g[0] != 0);
        free(g);
        rig_named_near(&r, "direction/conv1.weight", (double[]){0, 0}, 0);
        rig_state_near(&r, "conv1.weight", (double[]){0.995, 0}, 1e-7);
        rig_close(&r);
    }
}

/* Every state's values, one after the other. */
static double *all_states(rig *r, int64_t *n)
{
    double *values = NULL;
    *n = 0;
    for (int i = 0; i < ghl_plan_states(r->plan); i++) {
        ghl_state_info info = ghl_plan_state(r->plan, i);
        int64_t elements = ghl_shape_elements(info.shape);
        values = realloc(values, (size_t)(*n + elements) * sizeof *values);
        rig_read(r, info.name, values + *n);
        *n += elements;
    }
    return values;
}

static void evaluation_changes_nothing(void **state)
{
    (void)state;
    for (int d = 0; rig_device(d) != NULL; d++) {
        rig r;
        int64_t n, m;
        rig_open(&r, rig_net(5, 5, 2, "bn1 batch_norm affine: false", conv_line, "relu1 relu", "head linear features: 3", NULL),
                 &(rig_settings){.device = rig_device(d),
                                 .rule = "ghl",
                                 .rule_options = "direction: ema_sign",
                                 .optimiser_options = "momentum: 0.9",
                                 .batch = 3,
                                 .lr = 0.1,
                                 .head_lr = 0.1});
        rig_random(&r, 71);
        rig_run(&r, r.step);
        double *before = all_states(&r, &n);
        rig_random(&r, 73);
        rig_run(&r, r.test);
        rig_run(&r, r.look);
        double *after = all_states(&r, &m);
        assert_int_equal(n, m);
        assert_true(n > 2 * CONV1);
        assert_memory_equal(before, after, (size_t)n * sizeof *before);
        free(before);
        free(after);
        rig_close(&r);
    }
}

/* What the rule does changes no other tensor of the step. */
static void other_tensors_do_not_depend_on_the_rule(void **state)
{
    static const char *const names[] = {"out/conv1",         "out/relu1",        "out/pool1",       "out/head",
                                        "grad/conv1.weight", "grad/head.weight", "grad/head.bias"};
    const char *const rules[] = {"ghl", "sign", "backprop", "frozen"};
    (void)state;
    for (int d = 0; rig_device(d) != NULL; d++) {
        double tolerance = strcmp(rig_device(d), "ref") == 0 ? 0 : 1e-6, head[3 * 16];
        double *first[7];
        for (int i = 0; i < 4; i++) {
            rig r;
            rig_open(&r, small_net(), &(rig_settings){.device = rig_device(d), .rule = rules[i], .batch = 3, .lr = 0.1, .head_lr = 0.1});
            rig_random(&r, 81);
            rig_run(&r, r.step);
            for (int k = 0; k < 7; k++) {
                if (i == 0)
                    first[k] = rig_named(&r, r.step, names[k], NULL);
                else
                    rig_named_near(&r, names[k], first[k], tolerance);
            }
            if (i == 0)
                rig_read(&r, "head.weight", head);
            else
                rig_state_near(&r, "head.weight", head, tolerance);
            rig_close(&r);
        }
        for (int k = 0; k < 7; k++)
            free(first[k]);
    }
}

/* ---- Scales, powers, memory of the direction ---- */

typedef struct magnitude {
    const char *options;
    bool neuron, rms;
    double clip, power;
} magnitude;

static void textbook_magnitude(const magnitude *q, const double *d, int neurons, int fan_in, double *h)
{
    for (int k = 0; k < neurons; k++)
        for (int f = 0; f < fan_in; f++) {
            const double *from = q->neuron ? d + k * fan_in : d;
            int n = q->neuron ? fan_in : neurons * fan_in;
            double largest = 0, squares = 0;
            for (int i = 0; i < n; i++) {
                largest = fmax(largest, fabs(from[i]));
                squares += from[i] * from[i];
            }
            double value = fabs(d[k * fan_in + f]) / ((q->rms ? sqrt(squares / n) : largest) + 1e-30);
            h[k * fan_in + f] = pow(q->rms ? fmin(value, q->clip) : value, q->power);
        }
}

static void scales_and_powers(void **state)
{
    const magnitude rows[] = {
        {"scale: layer_max", false, false, 0, 1},
        {"scale: neuron_max", true, false, 0, 1},
        {"scale: layer_rms", false, true, 3, 1},
        {"scale: neuron_rms", true, true, 3, 1},
        {"scale: layer_rms, clip: 1.25", false, true, 1.25, 1},
        {"scale: neuron_rms, clip: 0.5", true, true, 0.5, 1},
        {"scale: layer_max, clip: 0.01, power: 0.5", false, false, 0, 0.5},
        {"scale: neuron_rms, clip: 1.5, power: 2", true, true, 1.5, 2},
    };
    (void)state;
    for (int d = 0; rig_device(d) != NULL; d++)
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            rig r;
            double h[CONV1];
            rig_open(&r, small_net(),
                     &(rig_settings){.device = rig_device(d), .rule = "ghl", .rule_options = rows[i].options, .batch = 3, .lr = 0.1});
            rig_random(&r, 91);
            rig_run(&r, r.step);
            double *local = rig_named(&r, r.step, "local/conv1.weight", NULL), *g = rig_named(&r, r.step, "grad/conv1.weight", NULL);
            textbook_magnitude(&rows[i], local, 4, 18, h);
            for (int k = 0; k < CONV1; k++)
                h[k] = g[k] > 0 ? h[k] : -h[k];
            rig_named_near(&r, "direction/conv1.weight", h, 2e-6);
            free(local);
            free(g);
            rig_close(&r);
        }
}

/* m starts as the first g. The gradients are those the device computed. */
static void sign_of_the_moving_average(void **state)
{
    const char *const rules[] = {"sign", "ghl"};
    (void)state;
    for (int d = 0; rig_device(d) != NULL; d++)
        for (int i = 0; i < 2; i++) {
            rig r;
            double m[CONV1];
            int differing = 0;
            rig_open(&r, small_net(),
                     &(rig_settings){.device = rig_device(d),
                                     .rule = rules[i],
                                     .rule_options = "direction: ema_sign, beta: 0.8",
                                     .batch = 3,
                                     .lr = 0.05,
                                     .head_lr = 0.1});
            for (int step = 0; step < 4; step++) {
                rig_random(&r, 100 + 2 * (uint64_t)step);
                rig_run(&r, r.step);
                double *g = rig_named(&r, r.step, "grad/conv1.weight", NULL), *v = rig_named(&r, r.step, "direction/conv1.weight", NULL);
                for (int k = 0; k < CONV1; k++) {
                    m[k] = step == 0 ? g[k] : 0.8 * m[k] + 0.2 * g[k];
                    differing += m[k] * g[k] < 0;
                    if (fabs(m[k]) > 1e-6)
                        assert_true(v[k] * m[k] > 0);
                }
                rig_state_near(&r, "rule/conv1.weight.direction_mean", m, 1e-6);
                free(g);
                free(v);
            }
            assert_true(differing > 10);
            rig_close(&r);
        }
}

static void frozen_keeps_its_weight_and_backprop_descends(void **state)
{
    (void)state;
    for (int d = 0; rig_device(d) != NULL; d++) {
        rig r;
        double conv[CONV1], head[3 * 16], after[3 * 16], w[CONV1];
        rig_settings s = {.device = rig_device(d), .rule = "frozen", .batch = 3, .lr = 0.1, .weight_decay = 0.3, .head_lr = 0.1};
        rig_open(&r, small_net(), &s);
        rig_random(&r, 111);
        rig_read(&r, "conv1.weight", conv);
        rig_read(&r, "head.weight", head);
        double first = rig_run(&r, r.step);
        rig_state_near(&r, "conv1.weight", conv, 0);
        rig_read(&r, "head.weight", after);
        assert_memory_not_equal(head, after, sizeof head);
        assert_true(rig_run(&r, r.look) < first);
        rig_close(&r);

        s.rule = "backprop";
        rig_open(&r, small_net(), &s);
        rig_random(&r, 111);
        rig_run(&r, r.step);
        double *g = rig_named(&r, r.step, "grad/conv1.weight", NULL);
        for (int k = 0; k < CONV1; k++)
            w[k] = conv[k] - 0.1 * (g[k] + 0.3 * conv[k]);
        rig_state_near(&r, "conv1.weight", w, 1e-6);
        free(g);
        rig_close(&r);
    }
}

static void not_a_number_changes_no_state(void **state)
{
    const char *const rules[] = {"ghl", "sign", "backprop"};
    (void)state;
    for (int d = 0; rig_device(d) != NULL; d++)
        for (int i = 0; i < 3; i++) {
            rig r;
            int64_t n, m;
            rig_open(&r, small_net(),
                     &(rig_settings){.device = rig_device(d),
                                     .rule = rules[i],
                                     .rule_options = i < 2 ? "direction: ema_sign" : NULL,
                                     .optimiser = "adam",
                                     .batch = 3,
                                     .lr = 0.1,
                                     .head_lr = 0.1,
                                     .nan = GHL_NAN_SKIP});
            rig_random(&r, 121);
            rig_run(&r, r.step);
            assert_true(r.result[GHL_RESULT_OK] == 1);
            double *before = all_states(&r, &n);
            r.images[17] = NAN;
            rig_run(&r, r.step);
            assert_true(r.result[GHL_RESULT_OK] == 0);
            double *after = all_states(&r, &m);
            assert_memory_equal(before, after, (size_t)n * sizeof *before);
            free(before);
            free(after);
            rig_close(&r);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_does_something),
        cmocka_unit_test(golden_local),
        cmocka_unit_test(golden_step_with_given_gradient),
        cmocka_unit_test(golden_step_with_injected_error),
        cmocka_unit_test(golden_whole_step),
        cmocka_unit_test(local_is_the_sum_over_positions),
        cmocka_unit_test(equal_options_give_equal_steps),
        cmocka_unit_test(different_options_give_different_steps),
        cmocka_unit_test(a_repeated_batch_gives_the_same_step),
        cmocka_unit_test(a_doubled_error_gives_the_same_step),
        cmocka_unit_test(the_direction_has_the_gradients_sign_and_a_largest_entry_of_one),
        cmocka_unit_test(permuted_filters_permute_the_step),
        cmocka_unit_test(an_all_zero_local_update_gives_pure_decay),
        cmocka_unit_test(evaluation_changes_nothing),
        cmocka_unit_test(other_tensors_do_not_depend_on_the_rule),
        cmocka_unit_test(scales_and_powers),
        cmocka_unit_test(sign_of_the_moving_average),
        cmocka_unit_test(frozen_keeps_its_weight_and_backprop_descends),
        cmocka_unit_test(not_a_number_changes_no_state),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
