/* SPDX-License-Identifier: Apache-2.0
 * ghl-test: gpu-emulated
 *
 * test_optim.c - optimisers against textbook loops in double on the directions that the device computed, five steps long; schedules
 * against their formulas.
 */
#include "support_rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STEPS = 5, WEIGHTS = 4 * 2 * 4 };

/* ---- Optimisers ---- */

typedef struct memory {
    double w, m, v;
} memory;

typedef struct textbook {
    const char *optimiser, *options;
    double lr, weight_decay, momentum;
    bool nesterov, decoupled;
    double beta1, beta2, epsilon;
    void (*step)(const struct textbook *q, memory *at, double d, int step); /* step: 1, 2, ... */
} textbook;

/* torch.optim.SGD's documentation, line by line. */
static void sgd(const textbook *q, memory *at, double d, int step)
{
    double g = q->decoupled ? d : d + q->weight_decay * at->w, w = at->w;
    if (q->momentum != 0) {
        at->m = step > 1 ? q->momentum * at->m + g : g;
        g = q->nesterov ? g + q->momentum * at->m : at->m;
    }
    at->w -= q->lr * g + (q->decoupled ? q->lr * q->weight_decay * w : 0);
}

/* Kingma & Ba 2015, algorithm 1. */
static void adam(const textbook *q, memory *at, double d, int step)
{
    double g = q->decoupled ? d : d + q->weight_decay * at->w;
    if (q->decoupled)
        at->w -= q->lr * q->weight_decay * at->w;
    at->m = q->beta1 * at->m + (1 - q->beta1) * g;
    at->v = q->beta2 * at->v + (1 - q->beta2) * g * g;
    double m = at->m / (1 - pow(q->beta1, step)), v = at->v / (1 - pow(q->beta2, step));
    at->w -= q->lr * m / (sqrt(v) + q->epsilon);
}

static const textbook optimisers[] = {
    {.optimiser = "sgd", .lr = 0.3, .step = sgd},
    {.optimiser = "sgd", .lr = 0.3, .weight_decay = 0.2, .step = sgd},
    {.optimiser = "sgd", .options = "momentum: 0.9", .lr = 0.1, .weight_decay = 0.2, .momentum = 0.9, .step = sgd},
    {.optimiser = "sgd", .options = "momentum: 0.8, nesterov: true", .lr = 0.1, .weight_decay = 0.2, .momentum = 0.8, .nesterov = true,
     .step = sgd},
    {.optimiser = "sgd", .options = "momentum: 0.9, decoupled: true", .lr = 0.1, .weight_decay = 0.2, .momentum = 0.9, .decoupled = true,
     .step = sgd},
    {.optimiser = "sgd", .options = "decoupled: true", .lr = 0.1, .weight_decay = 0.2, .decoupled = true, .step = sgd},
    {.optimiser = "adam", .lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .step = adam},
    {.optimiser = "adam", .options = "beta1: 0.7, beta2: 0.95, epsilon: 1e-3", .lr = 0.02, .weight_decay = 0.3, .beta1 = 0.7, .beta2 = 0.95,
     .epsilon = 1e-3, .step = adam},
    {.optimiser = "adam", .options = "decoupled: true", .lr = 0.02, .weight_decay = 0.3, .decoupled = true, .beta1 = 0.9, .beta2 = 0.999,
     .epsilon = 1e-8, .step = adam},
};

static void assert_textbook(const textbook *q, const char *device)
{
    rig r;
    memory at[WEIGHTS] = {{0}};
    double w[WEIGHTS];
    rig_open(&r, rig_net(4, 4, 2, "conv1 conv channels: 4, kernel: 2, bias: false", "relu1 relu", "head linear features: 3", NULL),
             &(rig_settings){.device = device,
                             .optimiser = q->optimiser,
                             .optimiser_options = q->options,
                             .lr = q->lr,
                             .weight_decay = q->weight_decay,
                             .head_lr = 0.01,
                             .batch = 3});
    rig_read(&r, "conv1.weight", w);
    for (int i = 0; i < WEIGHTS; i++)
        at[i].w = w[i];
    for (int step = 1; step <= STEPS; step++) {
        rig_random(&r, (uint64_t)(10 * step));
        rig_run(&r, r.step);
        double *d = rig_named(&r, r.step, "direction/conv1.weight", NULL);
        for (int i = 0; i < WEIGHTS; i++) {
            q->step(q, &at[i], d[i], step);
            w[i] = at[i].w;
        }
        free(d);
        rig_state_near(&r, "conv1.weight", w, 2e-6);
    }
    rig_close(&r);
}

static void optimisers_against_textbook_loops(void **state)
{
    (void)state;
    for (int d = 0; rig_device(d) != NULL; d++)
        for (size_t i = 0; i < sizeof optimisers / sizeof optimisers[0]; i++)
            assert_textbook(&optimisers[i], rig_device(d));
}

static void moments_are_state_by_name(void **state)
{
    const struct {
        const char *optimiser, *options, *present, *absent;
    } rows[] = {
        {"sgd", NULL, "conv1.weight", "optimiser/conv1.weight.momentum"},
        {"sgd", "momentum: 0.5", "optimiser/conv1.weight.momentum", "optimiser/conv1.weight.mean"},
        {"adam", NULL, "optimiser/head.bias.square", "optimiser/conv1.weight.momentum"},
        {"adam", NULL, "optimiser/conv1.weight.step", "optimiser/head.weight.momentum"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rig r;
        rig_open(&r, rig_net(4, 4, 2, "conv1 conv channels: 4, kernel: 2", "head linear features: 3", NULL),
                 &(rig_settings){.optimiser = rows[i].optimiser, .optimiser_options = rows[i].options});
        assert_true(rig_has(&r, rows[i].present));
        assert_false(rig_has(&r, rows[i].absent));
        rig_close(&r);
    }
}

static void nesterov_needs_a_momentum(void **state)
{
    rig r;
    (void)state;
    ghl_status status =
        rig_try(&r, rig_net(2, 2, 1, "head linear features: 3", NULL), &(rig_settings){.optimiser_options = "nesterov: true"});
    assert_int_equal(status, GHL_RECIPE);
    assert_non_null(strstr(ghl_error_message(), "nesterov"));
    rig_close(&r);
}

/* ---- Schedules ---- */

/* Factors of the steps 0, 1, ... of `epochs` epochs of `per_epoch` steps. */
static void assert_factors(const char *name, const char *text, int per_epoch, int epochs, const double *expected)
{
    const ghl_descriptor *d = NULL;
    ghl_value *map = NULL;
    void *options = NULL;
    assert_int_equal(ghl_registry_find(&ghl_schedules, name, NULL, &d), GHL_OK);
    assert_int_equal(ghl_value_parse_flow(text, "test", &map), GHL_OK);
    assert_int_equal(ghl_descriptor_options(d, map, NULL, name, &options), GHL_OK);
    for (int step = 0; step < per_epoch * epochs; step++) {
        ghl_progress at = {.step = step,
                           .steps = per_epoch * epochs,
                           .epoch = step / per_epoch,
                           .epochs = epochs,
                           .steps_per_epoch = per_epoch};
        double factor = ((const ghl_schedule *)d)->factor(options, &at);
        if (!(fabs(factor - expected[step]) < 1e-8))
            fail_msg("%s {%s} step %d: %.9g, expected %.9g", name, text ? text : "", step, factor, expected[step]);
    }
    ghl_descriptor_release(d, options);
    ghl_value_free(map);
}

static void schedules(void **state)
{
    (void)state;
    assert_factors("constant", NULL, 2, 2, (double[]){1, 1, 1, 1});
    assert_factors("cosine", NULL, 4, 1, (double[]){1, 0.85355339, 0.5, 0.14644661});
    assert_factors("cosine", "per: step", 2, 2, (double[]){1, 0.85355339, 0.5, 0.14644661});
    assert_factors("cosine", "per: epoch", 2, 4, (double[]){1, 1, 0.85355339, 0.85355339, 0.5, 0.5, 0.14644661, 0.14644661});
    assert_factors("step", "size: 2, gamma: 0.5", 1, 7, (double[]){1, 1, 0.5, 0.5, 0.25, 0.25, 0.125});
    assert_factors("step", "size: 1", 2, 3, (double[]){1, 1, 0.1, 0.1, 0.01, 0.01});
    assert_factors("multi_step", "milestones: [1, 3], gamma: 0.5", 2, 4, (double[]){1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25});
    assert_factors("multi_step", "milestones: 2", 1, 4, (double[]){1, 1, 0.1, 0.1});
    assert_factors("multi_step", NULL, 1, 2, (double[]){1, 1});
    /* SoftHebb's head, in ten epochs: at 2, 3, 5, 6, 7, 8 and 9; in three: at 0, 1, 1, 1, 2, 2 and 2 */
    assert_factors("multi_step", "fractions: [0.2, 0.35, 0.5, 0.6, 0.7, 0.8, 0.9], gamma: 0.5", 1, 10,
                   (double[]){1, 1, 1 / 2., 1 / 4., 1 / 4., 1 / 8., 1 / 16., 1 / 32., 1 / 64., 1 / 128.});
    assert_factors("multi_step", "fractions: [0.2, 0.35, 0.5, 0.6, 0.7, 0.8, 0.9], gamma: 0.5", 2, 3,
                   (double[]){1 / 2., 1 / 2., 1 / 16., 1 / 16., 1 / 128., 1 / 128.});
    double factors[50];
    for (int i = 0; i < 50; i++)
        factors[i] = i < 29 ? 1 : 0.5; /* though 0.58 * 50 is a little less than 29 */
    assert_factors("multi_step", "fractions: 0.58, gamma: 0.5", 1, 50, factors);
    /* FastHebb's head: halved each epoch from the tenth of twenty on */
    assert_factors("multi_step", "fractions: [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95], gamma: 0.5", 1, 20,
                   (double[]){1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 / 2., 1 / 4., 1 / 8., 1 / 16., 1 / 32., 1 / 64., 1 / 128., 1 / 256., 1 / 512.,
                              1 / 1024.});
    assert_factors("multi_step", "milestones: [1], fractions: [0.75], gamma: 0.5", 1, 4, (double[]){1, 0.5, 0.5, 0.25});
}

static void warm_up(void **state)
{
    (void)state;
    assert_factors("constant", "warmup_steps: 4", 3, 2, (double[]){0.25, 0.5, 0.75, 1, 1, 1});
    assert_factors("constant", "warmup_epochs: 1", 2, 2, (double[]){0.5, 1, 1, 1});
    assert_factors("constant", "warmup_epochs: 0.5, warmup_steps: 1", 2, 2, (double[]){0.5, 1, 1, 1});
    assert_factors("cosine", "warmup_steps: 2", 3, 2, (double[]){0.5, 1, 1, 0.85355339, 0.5, 0.14644661});
    assert_factors("step", "size: 2, gamma: 0.5, warmup_epochs: 1", 2, 3, (double[]){0.5, 1, 1, 1, 0.5, 0.5});
    assert_factors("multi_step", "milestones: [1], gamma: 0.5, warmup_steps: 4", 2, 3, (double[]){0.25, 0.5, 0.375, 0.5, 0.5, 0.5});
    assert_factors("cosine", "warmup_steps: 9", 2, 2, (double[]){1 / 9., 2 / 9., 3 / 9., 4 / 9.});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(optimisers_against_textbook_loops), cmocka_unit_test(moments_are_state_by_name),
        cmocka_unit_test(nesterov_needs_a_momentum),         cmocka_unit_test(schedules),
        cmocka_unit_test(warm_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
