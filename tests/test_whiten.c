/* SPDX-License-Identifier: Apache-2.0
 *
 * test_whiten.c - data.whiten: the covariance of whitened training images by textbook loops, on every device; a whitened training that
 * is cut and continued, and evaluated from its checkpoint; images that are too large.
 */
#include "train/whiten.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support_files.h"

enum { HEIGHT = 4, WIDTH = 5, CHANNELS = 2, FEATURES = HEIGHT * WIDTH * CHANNELS, IMAGES = 1000 };

static const char small[] = "name: white\nmodel: {kind: mlp, hidden: [12]}\n"
                            "data: {kind: synthetic, shape: [2, 4, 5], classes: 4, size: 1100, test_size: 20, holdout: 100,"
                            " normalise: mean_std, whiten: zca, whiten_smoothing: 1e-5}\n"
                            "train: {epochs: 1, batch: 250, threads: 1}\nlearn: {linear: {rule: backprop, lr: 0.1}}\n";

typedef struct fitted {
    float w[FEATURES * FEATURES], b[FEATURES];
    double x[IMAGES][FEATURES], y[IMAGES][FEATURES]; /* before, after */
} fitted;

static ghl_recipe *parsed(const char *text, int n, const char *const *overrides)
{
    ghl_recipe *recipe = NULL;
    if (ghl_recipe_parse(text, "white.yaml", n, overrides, &recipe) != GHL_OK)
        fail_msg("%s", ghl_error_message());
    return recipe;
}

static void whiten(const char *device, const char *how, fitted *out)
{
    ghl_setup setup;
    ghl_recipe *recipe = parsed(small, 2, (const char *const[]){device, how});
    if (ghl_setup_begin(recipe, NULL, &setup) != GHL_OK || ghl_setup_programs(&setup, true) != GHL_OK ||
        ghl_whiten_fit(&setup, NULL) != GHL_OK)
        fail_msg("%s", ghl_error_message());
    const ghl_node *node = setup.net->nodes[1];
    assert_string_equal(node->kind->name, "whiten");
    assert_int_equal(ghl_plan_read(setup.plan, node->weights[0].index, out->w), GHL_OK);
    assert_int_equal(ghl_plan_read(setup.plan, node->weights[1].index, out->b), GHL_OK);
    assert_int_equal(setup.train.count, IMAGES);
    for (int n = 0; n < IMAGES; n++)
        for (int i = 0; i < FEATURES; i++)
            out->x[n][i] = setup.affine[i % CHANNELS] * setup.train.pixels[n * FEATURES + i] + setup.affine[CHANNELS + i % CHANNELS];
    for (int n = 0; n < IMAGES; n++)
        for (int k = 0; k < FEATURES; k++) {
            out->y[n][k] = out->b[k];
            for (int i = 0; i < FEATURES; i++)
                out->y[n][k] += out->w[k * FEATURES + i] * out->x[n][i];
        }
    ghl_setup_release(&setup);
    ghl_recipe_free(recipe);
}

static double mean(double (*t)[FEATURES], int i)
{
    double sum = 0;
    for (int n = 0; n < IMAGES; n++)
        sum += t[n][i];
    return sum / IMAGES;
}

static double covariance(double (*t)[FEATURES], int i, int j)
{
    const double mi = mean(t, i), mj = mean(t, j);
    double sum = 0;
    for (int n = 0; n < IMAGES; n++)
        sum += (t[n][i] - mi) * (t[n][j] - mj);
    return sum / IMAGES;
}

static void whitened_images_are_white(void **state)
{
    static const char *const devices[] = {"train.device=ref", "train.device=cpu"};
    static fitted f;
    double before = 0;
    (void)state;
    for (int d = 0; d < 2; d++) {
        whiten(devices[d], "data.whiten=zca", &f);
        for (int i = 0; i < FEATURES; i++) {
            assert_true(fabs(mean(f.y, i)) < 1e-3);
            for (int j = 0; j <= i; j++) {
                assert_true(fabs(covariance(f.y, i, j) - (i == j)) < 5e-3);
                assert_true(f.w[i * FEATURES + j] == f.w[j * FEATURES + i]); /* of all whitening maps the one that is symmetric */
                before = fmax(before, i == j ? 0 : fabs(covariance(f.x, i, j)));
            }
        }
        assert_true(before > 0.3);
    }
}

/* With s the deviations, W diag(s) is symmetric. A large smoothing s takes an eigenvalue v to v / (v + s). */
static void correlations_and_smoothing(void **state)
{
    static fitted f;
    (void)state;
    whiten("train.device=cpu", "data.whiten=zca_cor", &f);
    double s[FEATURES];
    for (int i = 0; i < FEATURES; i++)
        s[i] = sqrt(covariance(f.x, i, i)) + 1e-3;
    for (int i = 0; i < FEATURES; i++)
        for (int j = 0; j <= i; j++) {
            assert_true(fabs(covariance(f.y, i, j) - (i == j)) < 5e-3);
            assert_true(fabs(f.w[i * FEATURES + j] * s[j] - f.w[j * FEATURES + i] * s[i]) < 1e-4 * fabs(f.w[i * FEATURES + i]) * s[i]);
        }
    whiten("train.device=cpu", "data.whiten_smoothing=1000", &f);
    double trace = 0, part = 0;
    for (int i = 0; i < FEATURES; i++) {
        trace += covariance(f.x, i, i) / (covariance(f.x, i, i) + 1000); /* nearly sum of v / 1000 */
        part += covariance(f.y, i, i);
    }
    assert_true(fabs(part / trace - 1) < 0.05);
}

static ghl_status train(const char *run, int64_t stop_after, ghl_train_result *result)
{
    ghl_recipe *recipe = parsed(small, 1, (const char *const[]){"train.epochs=2"});
    ghl_status status = ghl_train(recipe, &(ghl_train_options){.run = temporary_path(run), .stop_after = stop_after}, NULL, result);
    ghl_recipe_free(recipe);
    return status;
}

static char text[4096];

static void keep(void *user, const char *result, size_t bytes)
{
    (void)user;
    snprintf(text, sizeof text, "%.*s", (int)bytes, result);
}

static void it_is_kept_with_the_weights(void **state)
{
    ghl_train_result result;
    char expected[64];
    size_t n_whole, n_cut;
    (void)state;
    assert_int_equal(train("whole", 0, &result), GHL_OK);
    assert_int_equal(train("cut", 5, NULL), GHL_INTERRUPTED);
    assert_int_equal(train("cut", 0, NULL), GHL_OK);
    char *whole = temporary_read("whole/state", &n_whole), *cut = temporary_read("cut/state", &n_cut);
    assert_true(n_whole == n_cut && memcmp(whole, cut, n_whole) == 0);
    free(whole);
    free(cut);
    ghl_host host = {.result = keep};
    assert_int_equal(ghl_evaluate(temporary_path("whole/last.safetensors"), 0, NULL, false, &host), GHL_OK);
    snprintf(expected, sizeof expected, "top-1 %.2f %%", result.test_top1);
    assert_non_null(strstr(text, expected));
}

static void large_images_are_refused(void **state)
{
    ghl_setup setup;
    ghl_recipe *recipe = parsed(small, 1, (const char *const[]){"data.shape=[3, 64, 64]"});
    (void)state;
    assert_int_equal(ghl_setup_begin(recipe, &(ghl_setup_options){.describe = true}, &setup), GHL_RECIPE);
    assert_non_null(strstr(ghl_error_message(), "64x64 images of 3 channels"));
    ghl_setup_release(&setup);
    ghl_recipe_free(recipe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whitened_images_are_white),
        cmocka_unit_test(correlations_and_smoothing),
        cmocka_unit_test(it_is_kept_with_the_weights),
        cmocka_unit_test(large_images_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
