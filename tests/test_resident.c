/* SPDX-License-Identifier: Apache-2.0
 * ghl-test: timeout=300 emulated-gpu
 *
 * test_resident.c - images that stay with the device train to the same bits as images that come with every step, on ref, on cpu and on an
 * emulated GPU, whatever its streams do first; a run may change from the one to the other; no step waits for the one before it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ckpt/ckpt.h"
#include "support_emulated.h"
#include "support_files.h"

/* 29 images in batches of 8: 4 steps an epoch, the last of 5. */
#define HEAD(data) "name: stay\nmodel: {kind: mlp, hidden: [7], norm: plain}\ndata: {kind: " data \
                   ", shape: [3, 5, 6], classes: 3, size: 29, test_size: 13, augment: crop_flip, crop_padding: 1}\n" \
                   "train: {epochs: 2, batch: 8, threads: 1}\nschedule: {kind: cosine}\n"
#define LEARN "learn: {linear: {rule: ghl, lr: 0.02}, classifier: {rule: backprop, lr: 0.1}}\n"
static const char tiny[] = HEAD("synthetic") LEARN;
static const char streamed[] = HEAD("streamed") LEARN;
static const char phases[] = HEAD("synthetic") "phases:\n"
    "  - {name: features, learn: {linear: {rule: softhebb, lr: 0.02}, norm: {rule: frozen}}, root: fc1}\n"
    "  - {name: head, train: {features: none}, learn: {linear: {rule: frozen}, norm: {rule: frozen},\n"
    "     classifier: {rule: backprop, lr: 0.1}}}\n";

enum { OVERRIDES = 12 };

static char message[512];

/* Into the temporary folder `run`; `more`: overrides, by one, up to NULL. */
static ghl_status train(const char *text, const char *run, int64_t stop_after, const char *const *more)
{
    ghl_recipe *recipe = NULL;
    int n = 0;
    while (more[n] != NULL)
        n++;
    ghl_status status = ghl_recipe_parse(text, "stay.yaml", n, more, &recipe);
    if (status == GHL_OK)
        status = ghl_train(recipe, &(ghl_train_options){.run = temporary_path(run), .stop_after = stop_after}, &(ghl_host){0}, NULL);
    snprintf(message, sizeof message, "%s", status != GHL_OK ? ghl_error_message() : "");
    ghl_recipe_free(recipe);
    return status;
}

static void train_well(const char *text, const char *run, const char *device, const char *resident, const char *const *more)
{
    const char *all[OVERRIDES] = {device, resident};
    for (int i = 0; more != NULL && more[i] != NULL; i++)
        all[2 + i] = more[i];
    if (train(text, run, 0, all) != GHL_OK)
        fail_msg("%s %s: %s", device, resident, message);
}

/* The weights and the figures of two runs. Removes the first. */
static void same_learning(const char *a, const char *b)
{
    char name[2][80];
    size_t sizes[2];
    char *rows[2];
    ghl_tensors t[2] = {0};
    for (int i = 0; i < 2; i++) {
        snprintf(name[i], sizeof name[i], "%s/metrics.csv", i == 0 ? a : b);
        rows[i] = temporary_read(name[i], &sizes[i]);
        snprintf(name[i], sizeof name[i], "%s/last.safetensors", i == 0 ? a : b);
        assert_int_equal(ghl_tensors_read(temporary_path(name[i]), GHL_CHECKPOINT, &t[i]), GHL_OK);
    }
    assert_string_equal(rows[0], rows[1]);
    assert_int_equal(t[0].count, t[1].count);
    for (int k = 0; k < t[0].count; k++)
        if (memcmp(t[0].entries[k].data, t[1].entries[k].data, t[0].entries[k].bytes) != 0)
            fail_msg("%s and %s differ in %s", a, b, t[0].entries[k].name);
    for (int i = 0; i < 2; i++) {
        free(rows[i]);
        ghl_tensors_release(&t[i]);
    }
    temporary_remove(a);
}

static const char *const devices[] = {"train.device=ref", "train.device=cpu", "train.device=emulated"};
static const char stays[] = "train.resident=always", comes[] = "train.resident=none";

static void the_same_bits(void **state)
{
    static const struct {
        const char *text, *more[OVERRIDES];
    } runs[] = {
        {tiny, {NULL}},
        {tiny, {"train.dtype=bf16", NULL}},
        {tiny, {"data.holdout=7", "data.limit=19", NULL}},
        {tiny, {"data.whiten=zca", "train.probes=true", "train.epochs=1", NULL}},
        {phases, {"train.epochs=1", NULL}},
    };
    (void)state;
    for (size_t d = 0; d < sizeof devices / sizeof *devices; d++)
        for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
            if (d < 2 && i == 1) /* ref computes in f32, and so do processors without instructions for bf16 */
                continue;
            train_well(runs[i].text, "stays", devices[d], stays, runs[i].more);
            train_well(runs[i].text, "comes", devices[d], comes, runs[i].more);
            same_learning("stays", "comes");
            temporary_remove("comes");
        }
}

static void cut_and_changed(void **state)
{
    (void)state;
    for (size_t d = 1; d < sizeof devices / sizeof *devices; d++) {
        train_well(tiny, "whole", devices[d], comes, NULL);
        for (int first = 0; first < 2; first++) {
            const char *const one[] = {devices[d], first ? comes : stays, NULL}, *const other[] = {devices[d], first ? stays : comes, NULL};
            assert_int_equal(train(tiny, "cut", 2, one), GHL_INTERRUPTED);
            assert_int_equal(train(tiny, "cut", 6, other), GHL_INTERRUPTED);
            assert_int_equal(train(tiny, "cut", 0, one), GHL_OK);
            same_learning("cut", "whole");
        }
        temporary_remove("whole");
    }
}

/* The step that is not finite is run again, traced, with the same images. */
static void not_finite(void **state)
{
    char first[sizeof message];
    (void)state;
    for (size_t d = 0; d < sizeof devices / sizeof *devices; d++) {
        for (int i = 0; i < 2; i++) {
            const char *const more[] = {devices[d], i ? comes : stays, "learn.linear.rule=backprop", "learn.linear.lr=1000000",
                                        "learn.linear.weight_decay=1000000", "learn.classifier.lr=1000000", "schedule.kind=constant",
                                        "model.norm=none", "train.epochs=20", NULL};
            assert_int_equal(train(tiny, "nan", 0, more), GHL_NAN);
            temporary_remove("nan");
            if (i == 0)
                memcpy(first, message, sizeof first);
        }
        assert_string_equal(first, message);
        assert_non_null(strstr(first, "is not finite"));
    }
}

/* ---- A set that is read image by image ---- */

static ghl_status read_one(void *self, int64_t sample, const ghl_draw *draw, uint8_t *pixels)
{
    (void)self, (void)draw;
    memset(pixels, (int)(sample * 7 % 251), 90);
    return GHL_OK;
}

static const char *name_one(void *self, int64_t sample)
{
    (void)self, (void)sample;
    return "one";
}

static ghl_status read_streamed(const char *path, bool test, const void *options, ghl_images *out)
{
    (void)path, (void)options;
    *out = (ghl_images){.count = test ? 13 : 29, .height = 5, .width = 6, .channels = 3, .classes = 3};
    out->labels = calloc((size_t)out->count, sizeof *out->labels);
    out->source = calloc(1, sizeof *out->source);
    *out->source = (ghl_image_source){.read = read_one, .name = name_one, .release = free, .self = out->source, .references = 1};
    return GHL_OK;
}

static const ghl_data_format format = {.name = "streamed", .summary = "-", .source = "-", .read = read_streamed, .streamed = true};

static void sets_that_cannot_stay(void **state)
{
    const char *more[] = {devices[2], stays, "data.shape=[3, 5, 6]", NULL};
    (void)state;
    assert_int_equal(ghl_register_data_format(&format), GHL_OK);
    char text[sizeof streamed];
    snprintf(text, sizeof text, "%s", streamed);
    char *options = strstr(text, ", shape"), *end = strstr(text, ", augment");
    memmove(options, end, strlen(end) + 1);
    more[2] = NULL;
    assert_int_equal(train(text, "streamed", 0, more), GHL_RECIPE);
    assert_non_null(strstr(message, "train.resident=always, and data.kind=streamed reads its images one by one"));
    more[1] = "train.resident=auto";
    assert_int_equal(train(text, "streamed", 0, more), GHL_OK);
}

/* ---- What goes over to the card, and when the program waits ---- */

static const char large[] = "name: large\nmodel: {kind: mlp, hidden: [4]}\n"
                            "data: {kind: synthetic, shape: [1, 64, 72], classes: 3, size: 160, test_size: 16}\n"
                            "train: {epochs: 1, batch: 16, threads: 1}\n" LEARN;

/* Images of a quarter of what is free stay; the others come with the steps, each once. */
static void what_fits_stays(void **state)
{
    enum { SET = (64 + 16) * 64 * 72 };
    const char *const more[] = {"train.epochs=2", "data.size=64", "data.test_size=16", NULL};
    (void)state;
    ghl_emulation.memory = (size_t)6 * SET;
    train_well(large, "fits", devices[2], "train.resident=auto", more);
    assert_true(ghl_emulation.staged > SET && ghl_emulation.staged < SET + SET / 2);
    furnish(NULL);
    ghl_emulation.memory = (size_t)4 * SET - 1;
    train_well(large, "fits_not", devices[2], "train.resident=auto", more);
    assert_true(ghl_emulation.staged > 2 * SET);
}

/* Too large a batch is refused before memory is taken, with one that fits the card beside the images that stay. */
static void batches_that_do_not_fit(void **state)
{
    const char *more[] = {devices[2], stays, "train.batch=160", NULL};
    long long batch = 0;
    (void)state;
    ghl_emulation.memory = (size_t)7 << 19;
    assert_int_equal(train(large, "wide", 1, more), GHL_MEMORY);
    assert_non_null(strstr(message, "of the device's own memory, and 0.0"));
    const char *fits = strstr(message, "; batch ");
    assert_non_null(fits);
    assert_int_equal(sscanf(fits, "; batch %lld would fit", &batch), 1);
    char smaller[40];
    snprintf(smaller, sizeof smaller, "train.batch=%lld", batch);
    more[2] = smaller;
    assert_int_equal(train(large, "wide", 1, more), GHL_INTERRUPTED);
}

static int64_t runs, lag, waits, staged;
enum { MIDDLE = 4, LAST = 9 }; /* steps of the epoch between which the queue is full */

static ghl_status run_and_look(void *self, const ghl_job *job, int64_t *ticket)
{
    if (runs == MIDDLE) {
        ghl_emulation.least_lag = INT64_MAX;
        ghl_emulation.waits = 0;
        staged = ghl_emulation.staged;
    }
    GHL_TRY(cuda->run(self, job, ticket));
    if (runs++ == LAST) {
        lag = ghl_emulation.least_lag;
        waits = ghl_emulation.waits;
        staged = ghl_emulation.staged - staged;
    }
    return GHL_OK;
}

static void streams_in_any_order(void **state)
{
    static const struct {
        int order;
        const char *resident;
    } cases[] = {{GHL_EMULATED_AT_ONCE, comes}, {GHL_EMULATED_LATE, comes}, {GHL_EMULATED_EARLY, comes}, {GHL_EMULATED_LATE, stays}};
    (void)state;
    for (int i = 0; i < 4; i++) {
        ghl_emulation.order = cases[i].order;
        emulated.run = run_and_look;
        runs = ghl_emulation.graphs = 0;
        train_well(large, i == 0 ? "first" : "next", devices[2], cases[i].resident, NULL);
        emulated.run = cuda->run;
        assert_int_equal(runs, 11);
        assert_int_equal(ghl_emulation.graphs, 9); /* of ten steps; the only one of the evaluation goes call by call */
        assert_int_equal(lag, 3); /* a step waits for the fourth before it, and for none that is younger */
        assert_true(waits >= LAST - MIDDLE);
        if (i > 0)
            same_learning("next", "first");
    }
}

static ghl_status run_and_hang(void *self, const ghl_job *job, int64_t *ticket)
{
    if (runs++ == 7) /* in the second epoch: the first has four steps, and two of the evaluation */
        ghl_emulation.hangs = 1;
    return cuda->run(self, job, ticket);
}

/* A card that hangs ends the run, whose last save is whole. */
static void a_card_that_hangs(void **state)
{
    const char *const more[] = {devices[2], comes, NULL};
    (void)state;
    train_well(tiny, "well", devices[2], comes, NULL);
    emulated.run = run_and_hang;
    runs = 0;
    assert_int_equal(train(tiny, "hung", 0, more), GHL_DEVICE);
    assert_non_null(strstr(message, "the card has not answered for 0.2 s"));
    emulated.run = cuda->run;
    furnish(NULL);
    train_well(tiny, "hung", devices[2], comes, NULL);
    same_learning("hung", "well");
}

static void keep_figures(void *user, const char *text, size_t bytes)
{
    snprintf(user, 4096, "%.*s", (int)bytes, text);
}

/* A step as a training has it: queued behind others, its images on the card. */
static void bench_steps_as_a_training_does(void **state)
{
    static char text[4096];
    const char *more[] = {devices[2], "train.resident=auto"};
    ghl_recipe *recipe = NULL;
    (void)state;
#if defined(__SANITIZE_ADDRESS__)
    skip(); /* most of it is measuring this machine */
#endif
    emulated.run = run_and_look;
    runs = ghl_emulation.graphs = 0;
    assert_int_equal(ghl_recipe_parse(large, "bench.yaml", 2, more, &recipe), GHL_OK);
    const ghl_host host = {.user = text, .result = keep_figures};
    assert_int_equal(ghl_bench(recipe, &(ghl_bench_options){.steps = 20, .json = true}, &host), GHL_OK);
    emulated.run = cuda->run;
    ghl_recipe_free(recipe);
    assert_non_null(strstr(text, "\"steps\": 20,"));
    /* with steps that warm up and that are queued, but for the first, and three samples each of copies in the cache and past it */
    assert_int_equal(ghl_emulation.graphs, 20 + 2 + 3 - 1 + 2 * 3);
    assert_int_equal(lag, 3);
    assert_true(staged < 16 * 64 * 72); /* of several steps, less than one's images */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_same_bits, furnish),
        cmocka_unit_test_setup(cut_and_changed, furnish),
        cmocka_unit_test_setup(not_finite, furnish),
        cmocka_unit_test_setup(sets_that_cannot_stay, furnish),
        cmocka_unit_test_setup(what_fits_stays, furnish),
        cmocka_unit_test_setup(batches_that_do_not_fit, furnish),
        cmocka_unit_test_setup(streams_in_any_order, furnish),
        cmocka_unit_test_setup(a_card_that_hangs, furnish),
        cmocka_unit_test_setup(bench_steps_as_a_training_does, furnish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
