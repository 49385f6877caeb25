/* SPDX-License-Identifier: Apache-2.0
 *
 * What the usual recipes of large images need: train.ema (averages follow their equation on every device, are what is tested and saved,
 * resume exactly and begin anew with a phase), train.label_smoothing in training alone, and evaluation of a net at another size.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/status.h"
#include "ckpt/ckpt.h"
#include "support_files.h"

enum { STEPS = 6 };

/* 24 images in batches of 8: 3 steps an epoch. */
#define DATA "data: {kind: synthetic, shape: [3, 12, 12], classes: 4, size: 24, test_size: 21}\n"
#define TRAIN(device) "train: {epochs: 2, batch: 8, device: " device ", threads: 1, ema: 0.75}\n"
static const char *const nets[] = {
    "name: a\nmodel: {kind: mlp, hidden: [12], norm: affine}\n" DATA TRAIN("ref") "learn: {linear: {rule: backprop, lr: 0.1}}\n",
    "name: b\nmodel: {kind: deephebb, channels: [4, 6, 8], norm: affine, bias: true}\n" DATA TRAIN("cpu")
    "learn: {conv: {rule: ghl, lr: 0.05}, linear: {rule: backprop, lr: 0.1, optimiser: {kind: adam}}}\n",
    "name: c\nmodel: {kind: mlp, hidden: [64, 4352]}\n" DATA TRAIN("cpu") "learn: {linear: {rule: backprop, lr: 0.1}}\n", /* sgd_product */
    "name: d\nmodel: {kind: resnet_cifar, depth: 8, channels: [4, 6, 8]}\n" DATA TRAIN("cpu")
    "learn: {conv: {rule: backprop, lr: 0.1}, linear: {rule: backprop, lr: 0.1}}\noptimiser: {kind: sgd, momentum: 0.9}\n",
};

static ghl_status train(const char *text, const char *run, int64_t stop_after, const char *const *settings, ghl_train_result *result)
{
    ghl_recipe *recipe = NULL;
    int n = 0;
    while (settings != NULL && settings[n] != NULL)
        n++;
    ghl_status status = ghl_recipe_parse(text, "recipe", n, settings, &recipe);
    if (status == GHL_OK)
        status = ghl_train(recipe, &(ghl_train_options){.run = temporary_path(run), .stop_after = stop_after}, NULL, result);
    ghl_recipe_free(recipe);
    if (status != GHL_OK && status != GHL_INTERRUPTED)
        fail_msg("%s: %s", run, ghl_error_message());
    return status;
}

static void read_file(const char *run, const char *name, ghl_tensors *out)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", run, name);
    *out = (ghl_tensors){0};
    if (ghl_tensors_read(temporary_path(path), GHL_CHECKPOINT, out) != GHL_OK)
        fail_msg("%s", ghl_error_message());
}

static const ghl_entry *weight_of(const ghl_tensors *state, const char *name)
{
    char full[200];
    snprintf(full, sizeof full, "weights/%s", name);
    const ghl_entry *entry = ghl_tensors_find(state, full);
    if (entry == NULL)
        fail_msg("no %s", full);
    return entry;
}

/* last = 0.75 before + 0.25 weights, and counters are the weights'. Returns the largest distance of a weight and its average. */
static double check_step(const char *net, int step, const ghl_tensors *before, const ghl_tensors *last, const ghl_tensors *state)
{
    double apart = 0;
    for (int i = 0; i < last->count; i++) {
        const ghl_entry *now = &last->entries[i], *w = weight_of(state, now->name), *was = ghl_tensors_find(before, now->name);
        if (now->dtype != GHL_F32) {
            assert_memory_equal(now->data, w->data, now->bytes);
            continue;
        }
        for (size_t k = 0; k < now->bytes / sizeof(float); k++) {
            const double got = ((const float *)now->data)[k], raw = ((const float *)w->data)[k];
            const double expected = 0.75 * ((const float *)was->data)[k] + 0.25 * raw;
            if (!(fabs(got - expected) <= 1e-6 * (1 + fabs(expected))))
                fail_msg("%.40s step %d: %s[%d] is %.9g, not %.9g", net, step, now->name, (int)k, got, expected);
            apart = fabs(got - raw) > apart ? fabs(got - raw) : apart;
        }
    }
    return apart;
}

static void averages_follow_their_equation(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof nets / sizeof nets[0]; i++) {
        char run[48];
        ghl_train_result result;
        ghl_tensors before, last, now;
        snprintf(run, sizeof run, "average%d", (int)i);
        train(nets[i], run, 1, NULL, &result);
        read_file(run, "last.safetensors", &before);
        for (int step = 2; step <= STEPS; step++) {
            train(nets[i], run, step, NULL, &result);
            read_file(run, "last.safetensors", &last);
            read_file(run, "state", &now);
            const double apart = check_step(nets[i], step, &before, &last, &now);
            assert_true(apart > 1e-3);
            ghl_tensors_release(&now);
            ghl_tensors_release(&before);
            before = last;
        }
        ghl_tensors_release(&before);
    }
}

/* What was stopped after each step is what was not. */
static void averages_resume_exactly(void **state)
{
    static const char *const files[] = {"state", "last.safetensors", "best.safetensors", "metrics.csv"};
    (void)state;
    for (size_t i = 0; i < sizeof nets / sizeof nets[0]; i++) {
        char run[48], cut[200], whole[200];
        ghl_train_result result;
        snprintf(run, sizeof run, "whole%d", (int)i);
        train(nets[i], run, 0, NULL, &result);
        for (size_t k = 0; k < sizeof files / sizeof files[0]; k++) {
            size_t size[2];
            snprintf(cut, sizeof cut, "average%d/%s", (int)i, files[k]);
            snprintf(whole, sizeof whole, "whole%d/%s", (int)i, files[k]);
            char *a = temporary_read(cut, &size[0]), *b = temporary_read(whole, &size[1]);
            if (size[0] != size[1] || memcmp(a, b, size[0]) != 0)
                fail_msg("%s and %s differ", cut, whole);
            free(a);
            free(b);
        }
    }
}

static char result_text[4096];

static void keep_result(void *user, const char *text, size_t bytes)
{
    (void)user;
    snprintf(result_text, sizeof result_text, "%.*s", (int)bytes, text);
}

static ghl_status evaluate(const char *path, const char *setting)
{
    result_text[0] = 0;
    return ghl_evaluate(temporary_path(path), setting != NULL, &setting, false, &(ghl_host){.result = keep_result});
}

static void expect_figures(const ghl_train_result *result)
{
    char expected[64];
    snprintf(expected, sizeof expected, "top-1 %.2f %%", result->test_top1);
    if (strstr(result_text, expected) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", result_text, expected);
    snprintf(expected, sizeof expected, "loss %.4f", result->test_loss);
    if (strstr(result_text, expected) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", result_text, expected);
}

static void averages_are_what_is_tested(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i += 3) {
        char run[48], path[128];
        ghl_train_result with, without;
        snprintf(run, sizeof run, "tested%d", i);
        train(nets[i], run, 0, NULL, &with);
        snprintf(path, sizeof path, "%s/last.safetensors", run);
        if (evaluate(path, NULL) != GHL_OK)
            fail_msg("%s", ghl_error_message());
        expect_figures(&with);
        snprintf(run, sizeof run, "raw%d", i);
        train(nets[i], run, 0, (const char *const[]){"train.ema=0", NULL}, &without);
        assert_true(without.train_loss == with.train_loss); /* training does not read them */
        assert_true(without.test_loss != with.test_loss);
    }
}

/* Averages of a phase begin with the weights that it begins with. */
static void averages_begin_with_the_phase(void **state)
{
    static const char text[] = "name: p\nmodel: {kind: mlp, hidden: [12], norm: affine}\n" DATA
        "train: {batch: 8, device: cpu, threads: 1, epochs: 1}\nlearn: {linear: {rule: backprop, lr: 0.1}}\n"
        "phases: [{name: one}, {name: two, train: {ema: 0.75}}]\n";
    ghl_train_result result;
    ghl_tensors before, last, now;
    (void)state;
    train(text, "phases", 3, NULL, &result);
    read_file("phases", "last.safetensors", &before);
    train(text, "phases", 4, NULL, &result);
    read_file("phases", "last.safetensors", &last);
    read_file("phases", "state", &now);
    assert_true(check_step("phases", 4, &before, &last, &now) > 1e-3);
    ghl_tensors_release(&before);
    ghl_tensors_release(&last);
    ghl_tensors_release(&now);
}

/* Weights that do not move: the loss of training is linear in the smoothing, that of tests does not know of it. */
static void labels_are_smoothed_in_training(void **state)
{
    static const char text[] = "name: s\nmodel: {kind: mlp, hidden: [32]}\n"
        "data: {kind: synthetic, shape: [1, 8, 8], classes: 4, size: 64, test_size: 32}\n"
        "train: {epochs: 1, batch: 64, threads: 1}\nlearn: {linear: {rule: backprop, lr: 0}}\n";
    static const char *const devices[] = {"train.device=ref", "train.device=cpu"};
    static const char *const smoothing[] = {"train.label_smoothing=0", "train.label_smoothing=0.3", "train.label_smoothing=0.9"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        ghl_train_result results[3];
        for (int k = 0; k < 3; k++) {
            char run[48];
            snprintf(run, sizeof run, "smooth%d%d", i, k);
            train(text, run, 0, (const char *const[]){devices[i], smoothing[k], NULL}, &results[k]);
            assert_true(results[k].test_loss == results[0].test_loss && results[k].train_top1 == results[0].train_top1);
        }
        const double third = results[1].train_loss - results[0].train_loss, whole = results[2].train_loss - results[0].train_loss;
        assert_true(fabs(third) > 1e-4 && fabs(3 * third - whole) < 1e-7);
    }
}

/* x = (pixel / 255 - mean) / deviation, kept with the checkpoint; of three channels. */
static void imagenet_normalises_by_its_own(void **state)
{
    static const double mean[] = {0.485, 0.456, 0.406}, deviation[] = {0.229, 0.224, 0.225};
    ghl_train_result result;
    ghl_tensors last;
    ghl_recipe *recipe = NULL;
    (void)state;
    train(nets[0], "imagenet", 0, (const char *const[]){"data.normalise=imagenet", NULL}, &result);
    read_file("imagenet", "last.safetensors", &last);
    const char *at = ghl_tensors_note_of(&last, "ghl.input");
    for (int i = 0; i < 4; i++) /* height, width, channels, classes */
        at = strchr(at, ' ') + 1;
    for (int i = 0; i < 6; i++) {
        char *end = NULL;
        const double expected = i < 3 ? 1 / (255 * deviation[i]) : -mean[i - 3] / deviation[i - 3];
        assert_true(fabs(strtod(at, &end) - expected) < 1e-6 * fabs(expected));
        at = end;
    }
    ghl_tensors_release(&last);
    static const char *const grey[] = {"data.shape=[1, 12, 12]", "data.normalise=imagenet"};
    assert_int_equal(ghl_recipe_parse(nets[0], "recipe", 2, grey, &recipe), GHL_OK);
    assert_int_equal(ghl_train(recipe, &(ghl_train_options){.run = temporary_path("grey")}, NULL, NULL), GHL_RECIPE);
    ghl_recipe_free(recipe);
}

static void another_size(void **state)
{
    ghl_train_result result;
    (void)state;
    train(nets[3], "sizes", 0, NULL, &result);
    assert_int_equal(evaluate("sizes", "data.shape=[3, 12, 12]"), GHL_OK);
    assert_int_equal(evaluate("sizes", "data.shape=[3, 19, 16]"), GHL_OK);
    assert_non_null(strstr(result_text, "images 21"));
    train("name: fixed\nmodel: {kind: vgg, width: 0.02}\ndata: {kind: synthetic, shape: [3, 32, 32], classes: 4, size: 8, test_size: 8}\n"
          "train: {epochs: 1, batch: 4, threads: 1}\nlearn: {conv: {rule: backprop, lr: 0.1}, linear: {rule: backprop, lr: 0.1}}\n",
          "fixed", 0, NULL, &result);
    assert_int_equal(evaluate("fixed", "data.shape=[3, 64, 64]"), GHL_CHECKPOINT);
    if (strstr(ghl_error_message(), "trained on 32x32 images, and those of the data are 64x64") == NULL ||
        strstr(ghl_error_message(), "classifier.0.weight") == NULL || strstr(ghl_error_hint(), "mean of their map") == NULL)
        fail_msg("%s (%s)", ghl_error_message(), ghl_error_hint());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(averages_follow_their_equation), cmocka_unit_test(averages_resume_exactly),
        cmocka_unit_test(averages_are_what_is_tested),    cmocka_unit_test(averages_begin_with_the_phase),
        cmocka_unit_test(labels_are_smoothed_in_training), cmocka_unit_test(imagenet_normalises_by_its_own),
        cmocka_unit_test(another_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
