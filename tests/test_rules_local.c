/* SPDX-License-Identifier: Apache-2.0
 * ghl-test: gpu-emulated
 *
 * test_rules_local.c - the rules that need no gradient (softhebb, swta, hpca, oja, hebb) on every device: golden numbers, textbook loops
 * over positions in double, what their equations promise, and ghl with their local updates.
 */
#include "golden/numbers.h"
#include "support_ops.h"
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

static double largest(const double *v, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs(v[i]));
    return most;
}

/* ---- Golden numbers ---- */

/* d, or h = d / max|d|. `rates` [K] of the filters and `after` where the numbers have them. */
typedef struct golden {
    int size;
    const char *layer, *rule, *options;
    int64_t batch;
    const double *x, *w, *d, *h;
    const double *rates, *eta, *after;
} golden;

static void assert_golden(rig *r, const golden *g)
{
    int64_t n;
    double *d = rig_named(r, r->step, "local/layer.weight", &n), *v = rig_named(r, r->step, "direction/layer.weight", NULL);
    const double most = largest(d, n);
    if (g->d != NULL)
        rig_near("d", d, g->d, n, 2e-6);
    for (int64_t i = 0; i < n; i++) {
        const double rate = g->rates != NULL ? g->rates[i / 2] / g->eta[0] : 1;
        d[i] /= most;
        if (g->rates != NULL && !(fabs(v[i] + rate * d[i]) <= 2e-6 * rate))
            fail_msg("element %d of the direction is %g, rate %g, h %g", (int)i, v[i], rate, d[i]);
    }
    if (g->h != NULL)
        rig_near("h", d, g->h, n, 2e-6);
    if (g->after != NULL)
        rig_state_near(r, "layer.weight", g->after, 2e-6);
    free(d);
    free(v);
}

#define POINT(k, t) "layer conv channels: " #k ", kernel: 1, bias: false, inverse_temperature: " #t
#define LINEAR(k, t) "layer linear features: " #k ", bias: false, inverse_temperature: " #t
#define MAP "layer conv channels: 2, kernel: 2, bias: false"

static void golden_numbers(void **state)
{
    const golden rows[] = {
        {1, POINT(2, 1), "softhebb", NULL, 1, s1_x, s1_w, NULL, s1_h, NULL, NULL, NULL},
        {1, LINEAR(2, 1), "softhebb", NULL, 1, s1_x, s1_w, NULL, s1_h, NULL, NULL, NULL},
        {1, POINT(2, 0.5), "softhebb", NULL, 2, s2_x, s2_w, s2_d, s2_h, NULL, NULL, NULL},
        {3, MAP, "softhebb", NULL, 1, s3_image, s3_w, s3_d, NULL, NULL, NULL, NULL},
        {1, LINEAR(3, 1), "softhebb", NULL, 1, s1_x, s4_w, NULL, NULL, s4_rate, s4_eta, NULL},
        {1, POINT(3, 0.5), "softhebb", NULL, 2, s6_x, s6_w, NULL, s6_h, s6_rate, s6_eta, s6_w_after},
        {3, MAP ", padding: 1, padding_mode: reflect", "softhebb", NULL, 1, s7_image, s7_w, s7_d, s7_h, NULL, NULL, NULL},
        {1, POINT(2, 1), "swta", "kappa: 1", 2, w1_x, w1_w, w1_d, NULL, NULL, NULL, NULL},
        {1, LINEAR(2, 1), "swta", NULL, 2, w1c_x, w1c_w, w1c_d, NULL, NULL, NULL, NULL},
        {3, MAP, "swta", "kappa: 0.5", 1, w2_image, w2_w, w2_d, NULL, NULL, NULL, NULL},
        {1, POINT(2, 1), "hpca", NULL, 1, p1_x, p1_w, p1_d, NULL, NULL, NULL, NULL},
        {1, LINEAR(2, 1), "hpca", NULL, 2, p2_x, p2_w, p2_d, NULL, NULL, NULL, NULL},
        {3, MAP, "hpca", NULL, 1, p3_image, p3_w, p3_d, NULL, NULL, NULL, NULL},
    };
    (void)state;
    for (int device = 0; rig_device(device) != NULL; device++)
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            const golden *g = &rows[i];
            rig r;
            rig_open(&r, rig_net(g->size, g->size, g->size == 1 ? 2 : 1, g->layer, HEAD, NULL),
                     &(rig_settings){.device = rig_device(device),
                                     .rule = g->rule,
                                     .rule_options = g->options,
                                     .batch = g->batch,
                                     .lr = g->eta != NULL ? g->eta[0] : 0.1});
            rig_write(&r, "layer.weight", g->w);
            rig_images(&r, g->x);
            rig_run(&r, r.step);
            assert_golden(&r, g);
            rig_close(&r);
        }
}

/* ---- Textbook loops ---- */

/* Columns x [M][F], weights w [K][F], u = x w^T [M][K]. */
typedef struct book {
    int columns, filters, fan_in;
    double x[MOST], w[MOST], u[MOST];
} book;
typedef void textbook(const book *b, double *d);

/* d_k += r (x_m - decay w_k) / by */
static void add(const book *b, int m, int k, double r, double decay, double by, double *d)
{
    for (int f = 0; f < b->fan_in; f++)
        d[k * b->fan_in + f] += r * (b->x[m * b->fan_in + f] - decay * b->w[k * b->fan_in + f]) / by;
}

static void of_hebb(const book *b, double *d)
{
    for (int i = 0; i < b->columns * b->filters; i++)
        add(b, i / b->filters, i % b->filters, b->u[i], 0, 1, d);
}

static void of_oja(const book *b, double *d)
{
    for (int i = 0; i < b->columns * b->filters; i++)
        add(b, i / b->filters, i % b->filters, b->u[i], b->u[i], 1, d);
}

static int argmax(const double *v, int n)
{
    int best = 0;
    for (int k = 1; k < n; k++)
        best = v[k] > v[best] ? k : best;
    return best;
}

static double softmax(const double *v, int n, int k, double t)
{
    double sum = 0;
    for (int j = 0; j < n; j++)
        sum += exp(t * (v[j] - v[k]));
    return 1 / sum;
}

/* r of the winner and of the others, by q. */
static void of_softhebb(const book *b, double *d, double t, double winner, double winner_q, double loser_q)
{
    for (int i = 0; i < b->columns * b->filters; i++) {
        const int k = i % b->filters;
        const double *u = b->u + i - k, q = softmax(u, b->filters, k, t);
        add(b, i / b->filters, k, k == argmax(u, b->filters) ? winner + winner_q * q : loser_q * q, u[k], 1, d);
    }
}

static void of_signed(const book *b, double *d)
{
    of_softhebb(b, d, 1.5, 0, 1, -1);
}

static void of_soft(const book *b, double *d)
{
    of_softhebb(b, d, 1, 0, 1, 1);
}

static void of_hard(const book *b, double *d)
{
    of_softhebb(b, d, 1, 1, 0, 0);
}

static double norm(const double *v, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += v[i] * v[i];
    return sum == 0 ? 1 : sqrt(sum);
}

typedef double competition(const double *s, int n, int k);

static void of_swta(const book *b, double *d, competition *compete)
{
    double s[MOST], z[MOST], sums[MOST] = {0};
    for (int i = 0; i < b->columns * b->filters; i++) {
        const int m = i / b->filters, k = i % b->filters;
        s[i] = pow((b->u[i] / norm(b->w + k * b->fan_in, b->fan_in) / norm(b->x + m * b->fan_in, b->fan_in) + 1) / 2, 2);
    }
    for (int i = 0; i < b->columns * b->filters; i++)
        sums[i % b->filters] += z[i] = compete(s + i - i % b->filters, b->filters, i % b->filters);
    for (int i = 0; i < b->columns * b->filters; i++)
        add(b, i / b->filters, i % b->filters, z[i] * z[i], 1, sums[i % b->filters] == 0 ? 1 : sums[i % b->filters], d);
}

static double by_softmax(const double *s, int n, int k)
{
    return softmax(s, n, k, 1 / 0.02);
}

static double by_power(const double *s, int n, int k)
{
    double sum = 0;
    for (int j = 0; j < n; j++)
        sum += pow(s[j] / s[k], 20);
    return 1 / sum;
}

static double by_two(const double *s, int n, int k)
{
    int above = 0;
    for (int j = 0; j < n; j++)
        above += s[j] > s[k];
    return above < 2;
}

static void of_swta_soft(const book *b, double *d)
{
    of_swta(b, d, by_softmax);
}

static void of_swta_power(const book *b, double *d)
{
    of_swta(b, d, by_power);
}

static void of_swta_two(const book *b, double *d)
{
    of_swta(b, d, by_two);
}

static double relu(double u)
{
    return fmax(u, 0);
}

static double itself(double u)
{
    return u;
}

static void of_hpca(const book *b, double *d, double (*response)(double u))
{
    for (int i = 0; i < b->columns * b->filters; i++) {
        const int m = i / b->filters, k = i % b->filters;
        for (int f = 0; f < b->fan_in; f++) {
            double left = b->x[m * b->fan_in + f];
            for (int j = 0; j <= k; j++)
                left -= response(b->u[m * b->filters + j]) * b->w[j * b->fan_in + f];
            d[k * b->fan_in + f] += response(b->u[i]) * left / (b->columns * sqrt(b->fan_in));
        }
    }
}

static void of_hpca_relu(const book *b, double *d)
{
    of_hpca(b, d, relu);
}

static void of_hpca_tanh(const book *b, double *d)
{
    of_hpca(b, d, tanh);
}

static void of_hpca_linear(const book *b, double *d)
{
    of_hpca(b, d, itself);
}

/* Every rule and variant: its book, and by what d is divided and multiplied on its way to the weight. */
typedef struct variant {
    const char *rule, *options;
    textbook *local;
    bool scaled;
    double rate_power; /* < 0: one rate */
} variant;

static const variant variants[] = {
    {"hebb", NULL, of_hebb, true, -1},
    {"oja", NULL, of_oja, true, -1},
    {"softhebb", "inverse_temperature: 1.5", of_signed, true, 0.5},
    {"softhebb", "variant: soft, rate_power: 0.75", of_soft, true, 0.75},
    {"softhebb", "variant: hard, rate_power: 0", of_hard, true, -1},
    {"swta", NULL, of_swta_soft, false, -1},
    {"swta", "variant: power", of_swta_power, false, -1},
    {"swta", "variant: hard, winners: 2", of_swta_two, false, -1},
    {"hpca", NULL, of_hpca_relu, false, -1},
    {"hpca", "response: tanh", of_hpca_tanh, false, -1},
    {"hpca", "response: linear", of_hpca_linear, false, -1},
};
enum { VARIANTS = sizeof variants / sizeof variants[0] };

static void open_book(rig *r, const rig_geometry *q, book *b)
{
    double images[MOST];
    *b = (book){.columns = rig_columns(q), .filters = q->k, .fan_in = q->c * q->r * q->s};
    for (int i = 0; i < q->n * q->c * q->h * q->w; i++)
        images[i] = (float)rig_noise(11, i);
    rig_images(r, images);
    rig_read(r, "layer.weight", b->w);
    for (int m = 0; m < b->columns; m++) {
        rig_column(q, images, m, b->x + m * b->fan_in);
        for (int k = 0; k < q->k; k++)
            for (int f = 0; f < b->fan_in; f++)
                b->u[m * q->k + k] += b->x[m * b->fan_in + f] * b->w[k * b->fan_in + f];
    }
}

/* u as the layer puts it out, where that is not x w^T. */
static void read_outputs(rig *r, const rig_geometry *q, book *b)
{
    int64_t n;
    double *u = rig_named(r, r->step, "out/layer", &n);
    const int per_image = b->columns / q->n;
    for (int i = 0; i < (int)n; i++)
        b->u[(i / per_image / q->k * per_image + i % per_image) * q->k + i / per_image % q->k] = u[i];
    free(u);
}

static void assert_as_in(const book *b, rig *r, const variant *v, double lr)
{
    double d[MOST] = {0};
    const int n = b->filters * b->fan_in;
    v->local(b, d);
    rig_named_near(r, "local/layer.weight", d, 1e-5);
    const double by = v->scaled ? largest(d, n) : 1;
    for (int i = 0; i < n; i++) {
        const double off = fabs(norm(b->w + i / b->fan_in * b->fan_in, b->fan_in) - 1);
        d[i] = b->w[i] + lr * d[i] / by * (v->rate_power < 0 ? 1 : pow(off + 1e-10, v->rate_power));
    }
    rig_state_near(r, "layer.weight", d, 1e-6);
}

static void steps_are_those_of_the_textbook(void **state)
{
    const struct {
        rig_geometry q;
        const char *layer;
    } rows[] = {
        {{2, 2, 5, 6, 3, 3, 3, 1, 1, false}, "layer conv channels: 3, kernel: 3, padding: 1, bias: false"},
        {{2, 2, 5, 6, 5, 3, 3, 2, 1, false}, "layer conv channels: 5, kernel: 3, padding: 1, stride: 2, bias: false"},
        {{1, 1, 5, 6, 18, 2, 3, 1, 0, false}, "layer conv channels: 18, kernel: [2, 3], bias: false"},
        {{2, 3, 4, 4, 3, 3, 3, 1, 2, true}, "layer conv channels: 3, kernel: 3, padding: 2, padding_mode: reflect, bias: false"},
        {{5, 3, 2, 3, 4, 2, 3, 1, 0, false}, "layer linear features: 4, bias: false"},
        {{2, 2, 1, 1, 150, 1, 1, 1, 0, false}, "layer linear features: 150, bias: false"},
        {{3, 2, 4, 4, 2, 1, 1, 1, 0, false}, "layer conv channels: 2, kernel: 1, bias: false"},
        {{2, 2, 5, 6, 3, 3, 3, 1, 1, true}, "layer conv channels: 3, kernel: 3, padding: 1, padding_mode: reflect, response: cosine_tap, "
                                            "inhibition: dog, bias: false"},
        {{2, 2, 5, 6, 20, 3, 3, 1, 0, false}, "layer conv channels: 20, kernel: 3, response: unit_norm"},
        {{4, 3, 2, 3, 4, 2, 3, 1, 0, false}, "layer linear features: 4, response: cosine_filter, bias: false"},
    };
    (void)state;
    for (int device = 0; rig_device(device) != NULL; device++)
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
            for (int v = 0; v < VARIANTS; v++) {
                const rig_geometry *q = &rows[i].q;
                rig r;
                book b;
                rig_open(&r, rig_net(q->h, q->w, q->c, rows[i].layer, HEAD, NULL),
                         &(rig_settings){.device = rig_device(device),
                                         .rule = variants[v].rule,
                                         .rule_options = variants[v].options,
                                         .batch = q->n,
                                         .lr = 0.05});
                open_book(&r, q, &b);
                rig_run(&r, r.step);
                if (strstr(rows[i].layer, "response") != NULL && strcmp(variants[v].rule, "swta") != 0)
                    read_outputs(&r, q, &b);
                assert_as_in(&b, &r, &variants[v], 0.05);
                rig_close(&r);
            }
}

/* What nobody looks at may be computed otherwise, to the same end. */
static void a_step_without_a_trace_is_the_same(void **state)
{
    (void)state;
    for (int device = 0; rig_device(device) != NULL; device++)
        for (int v = 0; v < VARIANTS; v++) {
            double after[2][4 * 18];
            for (int traced = 0; traced < 2; traced++) {
                rig r;
                ghl_program *plain = NULL;
                ghl_status status = rig_try(&r, rig_net(5, 5, 2, "layer conv channels: 4, kernel: 3, padding: 1", HEAD, NULL),
                                            &(rig_settings){.device = rig_device(device),
                                                            .rule = variants[v].rule,
                                                            .rule_options = variants[v].options,
                                                            .batch = 3,
                                                            .lr = 0.1});
                const ghl_program_settings settings = {.purpose = GHL_TRAIN, .batch = 3, .float_images = true};
                if (status == GHL_OK)
                    status = ghl_plan_compile(r.plan, &settings, &plain);
                if (status == GHL_OK)
                    status = ghl_plan_seal(r.plan);
                if (status != GHL_OK)
                    fail_msg("%s", ghl_error_message());
                int ascents = 0; /* a decay that is not scaled makes its negative, one that is steps as it is made */
                for (int i = 0; i < ghl_program_calls(plain); i++) {
                    const char *op = ghl_program_call(plain, i).op;
                    ascents += strcmp(op, "ascent") == 0 || strcmp(op, "oja_scale") == 0;
                }
                assert_int_equal(ascents, variants[v].scaled);
                rig_random(&r, 51);
                rig_run(&r, traced ? r.step : plain);
                rig_read(&r, "layer.weight", after[traced]);
                rig_close(&r);
            }
            rig_near(variants[v].rule, after[0], after[1], 4 * 18, 1e-6);
        }
}

/* Activations in bf16 move the local update by roundings. */
static void bf16_is_near(void **state)
{
    (void)state;
    for (int v = 0; v < VARIANTS; v++) {
        double difference = 0, size = 0, *d[2];
        int64_t n;
        for (int half = 0; half < 2; half++) {
            rig r;
            if (rig_try(&r, rig_net(7, 6, 3, "layer conv channels: 16, kernel: 3, padding: 1, bias: false", HEAD, NULL),
                        &(rig_settings){.device = "cpu",
                                        .rule = variants[v].rule,
                                        .rule_options = variants[v].options,
                                        .dtype = half ? GHL_BF16 : GHL_F32,
                                        .batch = 4,
                                        .lr = 0.05}) != GHL_OK) {
                print_message("bf16: not on this processor\n");
                rig_close(&r);
                free(d[0]);
                return;
            }
            if (ghl_plan_seal(r.plan) != GHL_OK)
                fail_msg("%s", ghl_error_message());
            rig_random(&r, 91);
            rig_run(&r, r.step);
            d[half] = rig_named(&r, r.step, "local/layer.weight", &n);
            rig_close(&r);
        }
        for (int64_t i = 0; i < n; i++) {
            difference += pow(d[1][i] - d[0][i], 2);
            size += pow(d[0][i], 2);
        }
        if (!(sqrt(difference / size) <= 8e-2) || difference == 0)
            fail_msg("%s %s: differs by %g", variants[v].rule, variants[v].options, sqrt(difference / size));
        free(d[0]);
        free(d[1]);
    }
}

/* ---- Properties ---- */

static void one_layer(rig *r, const char *device, const char *layer, const char *rule, const char *options, int64_t batch, double lr)
{
    rig_open(r, rig_net(1, 1, 4, layer, HEAD, NULL),
             &(rig_settings){.device = device, .rule = rule, .rule_options = options, .batch = batch, .lr = lr});
}

static void softhebb_brings_the_winner_of_one_pattern_to_norm_one(void **state)
{
    (void)state;
    if (support_slow())
        skip();
    for (int device = 0; rig_device(device) != NULL; device++) {
        rig r;
        double w[8];
        one_layer(&r, rig_device(device), LINEAR(2, 1), "softhebb", NULL, 1, 0.08);
        rig_write(&r, "layer.weight", (double[]){9, 4, -3, 8, -2, 3, 5, -7});
        rig_images(&r, (double[]){0.1, 0.5, -0.5, 0.7});
        for (int i = 0; i < 1000; i++)
            rig_run(&r, r.step);
        rig_read(&r, "layer.weight", w);
        rig_near("norm", (double[]){norm(w, 4)}, (double[]){1}, 1, 0.01);
        rig_near("winner", w, (double[]){0.1, 0.5, -0.5, 0.7}, 4, 0.02);
        rig_close(&r);
    }
}

static void swta_keeps_a_filter_that_equals_all_it_wins(void **state)
{
    const char *const options[] = {"variant: hard", "kappa: 0.01"};
    (void)state;
    for (int device = 0; rig_device(device) != NULL; device++)
        for (int i = 0; i < 2; i++) {
            rig r;
            const double w[8] = {1, 2, -1, 0.5, -1, -2, 1, -0.5}; /* the pattern, and what is least like it */
            one_layer(&r, rig_device(device), LINEAR(2, 1), "swta", options[i], 3, 0.5);
            rig_write(&r, "layer.weight", w);
            rig_images(&r, (double[]){1, 2, -1, 0.5, 1, 2, -1, 0.5, 1, 2, -1, 0.5});
            for (int k = 0; k < 10; k++)
                rig_run(&r, r.step);
            rig_state_near(&r, "layer.weight", w, 1e-6);
            rig_close(&r);
        }
}

/* The layer that the rule was published with puts out another thing than what is compared: relu(<w,x> / |w|). */
static void swta_layers_divide_by_the_filters_norm(void **state)
{
    (void)state;
    for (int device = 0; rig_device(device) != NULL; device++) {
        rig r;
        int64_t n;
        rig_open(&r, rig_net(1, 1, 2, LINEAR(2, 1) ", response: unit_norm", "relu1 relu", HEAD, NULL),
                 &(rig_settings){.device = rig_device(device), .rule = "swta", .rule_options = "kappa: 1", .batch = 2, .lr = 0.1});
        rig_write(&r, "layer.weight", w1_w);
        rig_images(&r, w1_x);
        rig_run(&r, r.step);
        double *y = rig_named(&r, r.step, "out/relu1", &n);
        rig_near("y", y, w1_y, n, 2e-6);
        rig_named_near(&r, "local/layer.weight", w1_d, 2e-6);
        free(y);
        rig_close(&r);
    }
}

/* Filters that win nothing: dead ones stay where they are. */
static void losers_of_hard_competition_stay(void **state)
{
    const char *const rows[][2] = {{"softhebb", "variant: hard"}, {"swta", "variant: hard"}};
    (void)state;
    for (int device = 0; rig_device(device) != NULL; device++)
        for (int i = 0; i < 2; i++) {
            rig r;
            double w[12] = {0.5, 1, -1, 0.3, -1, -2, 1, -0.5, 0, 0, 0, 0}, after[12];
            one_layer(&r, rig_device(device), LINEAR(3, 1), rows[i][0], rows[i][1], 2, 0.1);
            rig_write(&r, "layer.weight", w);
            rig_images(&r, (double[]){1, 2, -1, 0.5, 2, 1, -1, 1});
            rig_run(&r, r.step);
            rig_read(&r, "layer.weight", after);
            assert_true(fabs(after[0] - w[0]) > 1e-3);
            rig_near("losers", after + 4, w + 4, 8, 0);
            rig_close(&r);
        }
}

static void hpca_of_one_filter_is_oja(void **state)
{
    (void)state;
    for (int device = 0; rig_device(device) != NULL; device++) {
        double *d[2];
        int64_t n;
        for (int i = 0; i < 2; i++) {
            rig r;
            double x[6 * 4];
            one_layer(&r, rig_device(device), LINEAR(1, 1), i ? "hpca" : "oja", NULL, 6, 0.1);
            for (int k = 0; k < 24; k++)
                x[k] = fabs(rig_noise(5, k));
            rig_write(&r, "layer.weight", (double[]){0.5, 0.2, 0.7, 0.4});
            rig_images(&r, x);
            rig_run(&r, r.step);
            d[i] = rig_named(&r, r.step, "local/layer.weight", &n);
            rig_close(&r);
        }
        for (int k = 0; k < n; k++)
            d[1][k] *= 6 * sqrt(4);
        rig_near("hpca", d[1], d[0], n, 2e-6);
        free(d[0]);
        free(d[1]);
    }
}

/* A Gaussian of deviations 3, 2, 1, 1/2 along the rows of half a Hadamard matrix. */
static const double axes[4][4] = {{.5, .5, .5, .5}, {.5, -.5, .5, -.5}, {.5, .5, -.5, -.5}, {.5, -.5, -.5, .5}};

static void gaussian(double *x, int n)
{
    const double deviations[4] = {3, 2, 1, 0.5}, tau = 6.283185307179586;
    memset(x, 0, (size_t)n * 4 * sizeof *x);
    for (int i = 0; i < n * 4; i++) {
        const double even = (rig_noise(61, i) + 1) / 2, angle = rig_noise(62, i) * tau / 2; /* Box & Muller 1958 */
        const double normal = sqrt(-2 * log(even + 1e-12)) * cos(angle) * deviations[i % 4];
        for (int f = 0; f < 4; f++)
            x[i / 4 * 4 + f] += normal * axes[i % 4][f];
    }
}

static void hpca_finds_the_components_of_a_gaussian_in_order(void **state)
{
    enum { SAMPLES = 512 };
    (void)state;
    if (support_slow())
        skip();
    for (int device = 0; rig_device(device) != NULL; device++) {
        rig r;
        double x[SAMPLES * 4], w[12];
        one_layer(&r, rig_device(device), LINEAR(3, 1), "hpca", "response: linear", SAMPLES, 0.15);
        gaussian(x, SAMPLES);
        rig_images(&r, x);
        for (int i = 0; i < 300; i++)
            rig_run(&r, r.step);
        rig_read(&r, "layer.weight", w);
        for (int k = 0; k < 3; k++) {
            double cosine = 0;
            for (int f = 0; f < 4; f++)
                cosine += w[k * 4 + f] * axes[k][f];
            rig_near("component", (double[]){fabs(cosine)}, (double[]){1}, 1, 0.02);
            rig_near("norm", (double[]){norm(w + k * 4, 4)}, (double[]){1}, 1, 0.01);
        }
        double *d = rig_named(&r, r.step, "local/layer.weight", NULL); /* and stays there */
        assert_true(largest(d, 12) < 1e-3);
        free(d);
        rig_close(&r);
    }
}

static void supervised_softhebb_learns_from_labels(void **state)
{
    (void)state;
    for (int device = 0; rig_device(device) != NULL; device++) {
        rig r;
        const double x[12] = {1, 2, -1, 0.5, 2, 1, -1, 1, -1, 0, 3, 1};
        const int labels[3] = {2, 0, 2};
        double w[12], d[12] = {0};
        one_layer(&r, rig_device(device), LINEAR(3, 1), "softhebb", "variant: supervised", 3, 0.1);
        rig_read(&r, "layer.weight", w);
        rig_images(&r, x);
        rig_labels(&r, labels);
        rig_run(&r, r.step);
        for (int m = 0; m < 3; m++) {
            double u = 0;
            for (int f = 0; f < 4; f++)
                u += x[m * 4 + f] * w[labels[m] * 4 + f];
            for (int f = 0; f < 4; f++)
                d[labels[m] * 4 + f] += x[m * 4 + f] - u * w[labels[m] * 4 + f];
        }
        rig_named_near(&r, "local/layer.weight", d, 2e-6);
        rig_close(&r);
    }
}

static void wrong_uses_are_refused(void **state)
{
    const struct {
        const char *layer, *rule, *options, *says;
    } rows[] = {
        {"layer conv channels: 3, kernel: 1, bias: false", "softhebb", "variant: supervised", "5x5 outputs"},
        {"layer conv channels: 3, kernel: 1, bias: false", "ghl", "local: backprop", "no local update"},
        {"layer conv channels: 3, kernel: 1, bias: false", "ghl", "local: softheb", "softhebb"},
        {"layer conv channels: 3, kernel: 1, bias: false", "ghl", "local: swta, local_options: 'kapa: 1'", "kappa"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rig r;
        ghl_status status = rig_try(&r, rig_net(5, 5, 2, rows[i].layer, HEAD, NULL),
                                    &(rig_settings){.rule = rows[i].rule, .rule_options = rows[i].options, .lr = 0.1});
        assert_int_equal(status, GHL_RECIPE);
        if (strstr(ghl_error_message(), rows[i].says) == NULL)
            fail_msg("%s: %s", rows[i].options, ghl_error_message());
        rig_close(&r);
    }
}

/* ---- Rule ghl with their local updates ---- */

static void ghl_takes_its_magnitude_from_any_rule(void **state)
{
    (void)state;
    for (int device = 0; rig_device(device) != NULL; device++)
        for (int v = 0; v < VARIANTS; v++) {
            double *d[2], *g, *direction;
            int64_t n;
            char options[256];
            snprintf(options, sizeof options, "local: %s, local_options: '%s'", variants[v].rule,
                     variants[v].options != NULL ? variants[v].options : "");
            for (int i = 0; i < 2; i++) {
                rig r;
                rig_open(&r, rig_net(5, 5, 2, "layer conv channels: 4, kernel: 3, padding: 1, bias: false", "relu1 relu", HEAD, NULL),
                         &(rig_settings){.device = rig_device(device),
                                         .rule = i ? "ghl" : variants[v].rule,
                                         .rule_options = i ? options : variants[v].options,
                                         .batch = 3,
                                         .lr = 0.1});
                rig_random(&r, 71);
                rig_run(&r, r.step);
                d[i] = rig_named(&r, r.step, "local/layer.weight", &n);
                g = rig_named(&r, r.step, "grad/layer.weight", NULL);
                direction = rig_named(&r, r.step, "direction/layer.weight", NULL);
                const double most = largest(d[i], n);
                for (int64_t k = 0; k < n; k++)
                    g[k] = copysign(fabs(d[i][k]) / most, g[k]);
                if (i)
                    rig_near(options, direction, g, n, 2e-6);
                free(g);
                free(direction);
                rig_close(&r);
            }
            rig_near(options, d[1], d[0], n, 1e-6);
            free(d[0]);
            free(d[1]);
        }
}

static void not_a_number_changes_no_weight(void **state)
{
    (void)state;
    for (int device = 0; rig_device(device) != NULL; device++)
        for (int v = 0; v < VARIANTS; v++) {
            rig r;
            double before[4 * 18];
            rig_open(&r, rig_net(5, 5, 2, "layer conv channels: 4, kernel: 3, padding: 1, bias: false", HEAD, NULL),
                     &(rig_settings){.device = rig_device(device),
                                     .rule = variants[v].rule,
                                     .rule_options = variants[v].options,
                                     .batch = 2,
                                     .lr = 0.1,
                                     .nan = GHL_NAN_SKIP});
            rig_random(&r, 81);
            rig_read(&r, "layer.weight", before);
            rig_run(&r, r.test);
            r.images[17] = NAN;
            rig_run(&r, r.step);
            assert_true(r.result[GHL_RESULT_OK] == 0);
            rig_state_near(&r, "layer.weight", before, 0);
            rig_close(&r);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_numbers),
        cmocka_unit_test(steps_are_those_of_the_textbook),
        cmocka_unit_test(a_step_without_a_trace_is_the_same),
        cmocka_unit_test(bf16_is_near),
        cmocka_unit_test(softhebb_brings_the_winner_of_one_pattern_to_norm_one),
        cmocka_unit_test(swta_keeps_a_filter_that_equals_all_it_wins),
        cmocka_unit_test(swta_layers_divide_by_the_filters_norm),
        cmocka_unit_test(losers_of_hard_competition_stay),
        cmocka_unit_test(hpca_of_one_filter_is_oja),
        cmocka_unit_test(hpca_finds_the_components_of_a_gaussian_in_order),
        cmocka_unit_test(supervised_softhebb_learns_from_labels),
        cmocka_unit_test(wrong_uses_are_refused),
        cmocka_unit_test(ghl_takes_its_magnitude_from_any_rule),
        cmocka_unit_test(not_a_number_changes_no_weight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
