/* SPDX-License-Identifier: Apache-2.0
 *
 * Training as the library runs it, on images drawn on the spot: it learns; cut anywhere and continued it writes the same bytes; what a
 * resumed run refuses; steps that are not finite; checkpoints there and back; the public engine.
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

enum { OVERRIDES = 12 };

/* One thread under the thread sanitizer, which does not see the barriers of OpenMP's library. */
#if defined(__SANITIZE_THREAD__)
#define THREADS "1"
#else
#define THREADS "2"
#endif

/* 70 images in batches of 16: the last of an epoch has 6. 5 steps an epoch. */
static const char tiny[] = "name: tiny\n"
                           "model: {kind: mlp, hidden: [12]}\n"
                           "data: {kind: synthetic, shape: [1, 8, 8], classes: 4, size: 70, test_size: 21,"
                           " augment: crop_flip, crop_padding: 1}\n"
                           "train: {epochs: 2, batch: 16, device: ref, threads: " THREADS ", log_every: 3}\n"
                           "learn: {linear: {rule: ghl, direction: ema_sign, lr: 0.02}, classifier: {rule: backprop, lr: 0.1,"
                           " optimiser: {kind: sgd, momentum: 0.9}}}\n"
                           "schedule: {kind: cosine}\n";

typedef struct outcome {
    ghl_status status;
    char message[512];
    ghl_train_result result;
    char log[8192];
} outcome;

static void keep_log(void *user, ghl_level level, const char *line)
{
    outcome *o = user;
    size_t n = strlen(o->log);
    (void)level;
    snprintf(o->log + n, sizeof o->log - n, "%s\n", line);
}

/* Trains `text` with overrides up to NULL in temporary folder `run`. */
static outcome train(const char *text, const char *run, int64_t stop_after, bool fresh, const char *const *overrides)
{
    static outcome o;
    ghl_recipe *recipe = NULL;
    ghl_host host = {.user = &o, .log = keep_log};
    int n = 0;
    memset(&o, 0, sizeof o);
    while (overrides != NULL && overrides[n] != NULL)
        n++;
    o.status = ghl_recipe_parse(text, "tiny.yaml", n, overrides, &recipe);
    if (o.status == GHL_OK)
        o.status = ghl_train(recipe, &(ghl_train_options){.run = temporary_path(run), .stop_after = stop_after, .fresh = fresh}, &host,
                             &o.result);
    snprintf(o.message, sizeof o.message, "%s", o.status != GHL_OK ? ghl_error_message() : "");
    ghl_recipe_free(recipe);
    return o;
}

static outcome train_well(const char *text, const char *run, const char *const *overrides)
{
    outcome o = train(text, run, 0, false, overrides);
    if (o.status != GHL_OK)
        fail_msg("%s", o.message);
    return o;
}

static void same_file(const char *run_a, const char *run_b, const char *name)
{
    char a[200], b[200];
    size_t size_a = 0, size_b = 0;
    snprintf(a, sizeof a, "%s/%s", run_a, name);
    snprintf(b, sizeof b, "%s/%s", run_b, name);
    char *bytes_a = temporary_read(a, &size_a), *bytes_b = temporary_read(b, &size_b);
    if (size_a != size_b || memcmp(bytes_a, bytes_b, size_a) != 0)
        fail_msg("%s and %s differ", a, b);
    free(bytes_a);
    free(bytes_b);
}

static void same_run(const char *a, const char *b)
{
    static const char *const names[] = {"state", "last.safetensors", "best.safetensors", "metrics.csv", "recipe.yaml"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        same_file(a, b, names[i]);
}

/* ---- Learning ---- */

static void learns_above_chance(void **state)
{
    (void)state;
    static const char *const devices[] = {"ref", "cpu"};
    static const char text[] = "name: learn\nmodel: {kind: deephebb, channels: [8, 8, 8]}\n"
                               "data: {kind: synthetic, shape: [1, 16, 16], classes: 4, size: 320, test_size: 80}\n"
                               "train: {epochs: 5, batch: 16, threads: " THREADS "}\n"
                               "learn: {conv: {rule: ghl, lr: 1e-2}, linear: {rule: backprop, lr: 0.05}}\n";
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        char device[40];
        snprintf(device, sizeof device, "train.device=%s", devices[i]);
        outcome o = train_well(text, devices[i], (const char *const[]){device, NULL});
        assert_true(o.result.test_top1 > 50);
        assert_true(o.result.best_top1 >= o.result.test_top1);
        assert_true(o.result.train_loss < 1.38); /* log 4 */
        assert_int_equal(o.result.step, 100);
        assert_int_equal(o.result.epoch, 5);
        assert_true(o.result.images_per_s > 0);
    }
}

static void epochs_without_end(void **state)
{
    (void)state;
    outcome o = train(tiny, "long", 2, false, (const char *const[]){"train.epochs=1000000000", NULL});
    assert_int_equal(o.status, GHL_INTERRUPTED);
    assert_int_equal(o.result.step, 2);
    o = train(tiny, "long", 0, false, (const char *const[]){"train.epochs=10000000000", NULL});
    assert_int_equal(o.status, GHL_RECIPE);
}

/* ---- Resume ---- */

static void cut_at_every_step(void **state)
{
    (void)state;
    train_well(tiny, "whole", NULL);
    for (int64_t step = 1; step < 10; step++) {
        char run[40];
        snprintf(run, sizeof run, "cut%d", (int)step);
        outcome o = train(tiny, run, step, false, NULL);
        assert_int_equal(o.status, GHL_INTERRUPTED);
        assert_int_equal(ghl_status_exit(o.status), 75);
        assert_int_equal(o.result.step, step);
        o = train_well(tiny, run, NULL);
        assert_int_equal(o.result.step, 10);
        same_run("whole", run);
    }
    /* A step at a time. */
    for (int64_t step = 1; step < 10; step++)
        assert_int_equal(train(tiny, "steps", step, false, NULL).status, GHL_INTERRUPTED);
    train_well(tiny, "steps", NULL);
    same_run("whole", "steps");
}

static void stop_is_within_a_step(void **state)
{
    (void)state;
    ghl_stop();
    outcome o = train(tiny, "stopped", 0, false, NULL);
    assert_int_equal(o.status, GHL_INTERRUPTED);
    assert_true(o.result.step <= 1);
    train_well(tiny, "stopped", NULL);
    train_well(tiny, "unstopped", NULL);
    same_run("unstopped", "stopped");
}

static void a_kill_between_files(void **state)
{
    (void)state;
    /* After a kill, files beside `state` may be older, longer or missing. */
    train_well(tiny, "kill_whole", NULL);
    assert_int_equal(train(tiny, "kill", 7, false, NULL).status, GHL_INTERRUPTED);
    size_t size = 0;
    char *csv = temporary_read("kill/metrics.csv", &size);
    char *longer = malloc(size + 20);
    assert_non_null(longer);
    memcpy(longer, csv, size);
    memcpy(longer + size, "2,10,half a row", 15);
    temporary_write("kill/metrics.csv", longer, size + 15);
    temporary_write("kill/last.safetensors", "torn", 4);
    temporary_remove("kill/best.safetensors");
    train_well(tiny, "kill", NULL);
    same_run("kill_whole", "kill");
    free(csv);
    free(longer);
}

static void a_finished_run_says_so(void **state)
{
    (void)state;
    outcome first = train_well(tiny, "finished", NULL);
    temporary_remove("finished/last.safetensors");
    outcome again = train_well(tiny, "finished", NULL);
    assert_non_null(strstr(again.log, "finished"));
    assert_true(again.result.test_top1 == first.result.test_top1 && again.result.best_top1 == first.result.best_top1);
    assert_int_equal(again.result.best_epoch, first.result.best_epoch);
    assert_int_equal(again.result.step, 10);
    train_well(tiny, "finished_twin", NULL);
    same_run("finished_twin", "finished");
    outcome fresh = train(tiny, "finished", 3, true, NULL);
    assert_int_equal(fresh.status, GHL_INTERRUPTED);
    assert_int_equal(fresh.result.step, 3);
}

static void another_recipe_is_refused(void **state)
{
    (void)state;
    assert_int_equal(train(tiny, "other", 4, false, NULL).status, GHL_INTERRUPTED);
    outcome o = train(tiny, "other", 0, false, (const char *const[]){"train.batch=8", "learn.linear.direction=sign", NULL});
    assert_int_equal(o.status, GHL_RECIPE);
    assert_non_null(strstr(o.message, "train.batch"));
    assert_non_null(strstr(o.message, "learn.linear.direction"));
    o = train(tiny, "other", 0, false, (const char *const[]){"train.epochs=3", NULL}); /* the cosine would have been another */
    assert_int_equal(o.status, GHL_RECIPE);
    assert_non_null(strstr(o.message, "train.epochs"));
    o = train(tiny, "other", 6, false, (const char *const[]){"train.log_every=2", "train.workers=2", NULL});
    assert_int_equal(o.status, GHL_INTERRUPTED);
    assert_int_equal(o.result.step, 6);
    o = train(tiny, "other", 8, false, (const char *const[]){"train.device=cpu", NULL});
    assert_int_equal(o.status, GHL_INTERRUPTED);
    assert_non_null(strstr(o.log, "another machine"));
}

static void more_epochs_where_the_schedule_allows(void **state)
{
    (void)state;
    static const char *const constant[] = {"schedule.kind=constant", "train.epochs=1", NULL};
    static const char *const longer[] = {"schedule.kind=constant", "train.epochs=3", NULL};
    static const char *const shorter[] = {"schedule.kind=constant", "train.epochs=2", NULL};
    train_well(tiny, "grow", constant);
    assert_int_equal(train_well(tiny, "grow", longer).result.step, 15);
    train_well(tiny, "grown", longer);
    same_run("grown", "grow");
    assert_int_equal(train(tiny, "grow", 0, false, shorter).status, GHL_RECIPE);
}

static void broken_states(void **state)
{
    (void)state;
    assert_int_equal(train(tiny, "broken", 4, false, NULL).status, GHL_INTERRUPTED);
    size_t size = 0;
    char *bytes = temporary_read("broken/state", &size);
    for (size_t cut = 0; cut < size; cut += size / 7) {
        temporary_write("broken/state", bytes, cut);
        assert_int_equal(ghl_status_exit(train(tiny, "broken", 0, false, NULL).status), 3);
    }
    bytes[size - 3] ^= 0x10;
    temporary_write("broken/state", bytes, size);
    outcome o = train(tiny, "broken", 0, false, NULL);
    assert_int_equal(o.status, GHL_RUN);
    assert_non_null(strstr(o.message, "broken/state"));
    o = train(tiny, "broken", 0, true, NULL);
    assert_int_equal(o.status, GHL_OK);
    free(bytes);
}

static void save_every_some_steps(void **state)
{
    (void)state;
    static const char *const every[] = {"train.save_every=3", NULL};
    train_well(tiny, "every", every);
    assert_int_equal(train(tiny, "every_cut", 8, false, every).status, GHL_INTERRUPTED);
    train_well(tiny, "every_cut", every);
    same_run("every", "every_cut");
}

/* ---- Steps that are not finite ---- */

/* A rate that makes the first step huge, and the second overflow. */
static const char *const explosive[] = {"learn.linear.rule=backprop", "learn.linear.lr=1000000", "learn.classifier.lr=1000000",
                                        "learn.linear.weight_decay=1000000", "schedule.kind=constant", "train.epochs=20", NULL};

static void nan_stops(void **state)
{
    (void)state;
    outcome o = train(tiny, "nan_stop", 0, false, explosive);
    assert_int_equal(o.status, GHL_NAN);
    assert_int_equal(ghl_status_exit(o.status), 4);
    assert_non_null(strstr(o.message, "step"));
    assert_true(o.result.step > 0);
}

static void nan_skips(void **state)
{
    (void)state;
    const char *overrides[OVERRIDES];
    int n = 0;
    for (; explosive[n] != NULL; n++)
        overrides[n] = explosive[n];
    overrides[n++] = "train.nan=skip";
    overrides[n] = NULL;
    int64_t broken = train(tiny, "nan_stop", 0, true, explosive).result.step;
    /* Everything after the last finite step changes nothing. */
    assert_int_equal(train(tiny, "skip", broken + 1, false, overrides).status, GHL_INTERRUPTED);
    char *first = NULL, *later = NULL;
    size_t size_first = 0, size_later = 0;
    first = temporary_read("skip/last.safetensors", &size_first);
    outcome o = train(tiny, "skip", broken + 3, false, overrides);
    assert_int_equal(o.status, GHL_INTERRUPTED);
    later = temporary_read("skip/last.safetensors", &size_later);
    ghl_tensors a = {0}, b = {0};
    assert_int_equal(ghl_tensors_read(temporary_path("skip/last.safetensors"), GHL_CHECKPOINT, &b), GHL_OK);
    temporary_write("skip_first.safetensors", first, size_first);
    assert_int_equal(ghl_tensors_read(temporary_path("skip_first.safetensors"), GHL_CHECKPOINT, &a), GHL_OK);
    assert_int_equal(a.count, b.count);
    for (int i = 0; i < a.count; i++)
        assert_memory_equal(a.entries[i].data, b.entries[i].data, a.entries[i].bytes);
    ghl_tensors_release(&a);
    ghl_tensors_release(&b);
    free(first);
    free(later);
    o = train_well(tiny, "skip", overrides);
    assert_non_null(strstr(o.log, "skipped"));
    assert_int_equal(o.result.epoch, 20);
}

/* ---- Checkpoints ---- */

static char result_text[4096];

static void keep_result(void *user, const char *text, size_t bytes)
{
    (void)user;
    snprintf(result_text, sizeof result_text, "%.*s", (int)bytes, text);
}

static ghl_status evaluate(const char *path, const char *override, bool json)
{
    ghl_host host = {.result = keep_result};
    result_text[0] = '\0';
    return ghl_evaluate(temporary_path(path), override != NULL, &override, json, &host);
}

static void evaluation_repeats_the_training(void **state)
{
    (void)state;
    outcome o = train_well(tiny, "evaluated", NULL);
    char expected[64];
    assert_int_equal(evaluate("evaluated/last.safetensors", NULL, false), GHL_OK);
    snprintf(expected, sizeof expected, "top-1 %.2f %%", o.result.test_top1);
    assert_non_null(strstr(result_text, expected));
    assert_non_null(strstr(result_text, "images 21"));
    assert_int_equal(evaluate("evaluated", NULL, true), GHL_OK);
    assert_non_null(strstr(result_text, "\"count\": 21"));
    assert_int_equal(evaluate("evaluated", "data.test_size=40", true), GHL_OK);
    assert_non_null(strstr(result_text, "\"count\": 40"));
    assert_int_equal(evaluate("nowhere", NULL, false), GHL_CHECKPOINT);
    assert_int_equal(evaluate("evaluated", "data.shape=[1, 9, 9]", false), GHL_CHECKPOINT);
    assert_non_null(strstr(ghl_error_message(), "[12,64]"));
    assert_non_null(strstr(ghl_error_message(), "[12,81]"));
    assert_int_equal(evaluate("evaluated", "data.shape=[3, 8, 8]", false), GHL_DATA);
    assert_int_equal(evaluate("evaluated", "model.hiden=[1]", false), GHL_RECIPE);
}

static void mean_and_deviation_come_with_the_checkpoint(void **state)
{
    (void)state;
    outcome o = train_well(tiny, "means", (const char *const[]){"data.normalise=mean_std", NULL});
    char expected[64];
    assert_int_equal(evaluate("means/last.safetensors", "data.size=1", false), GHL_OK); /* the training part is not needed */
    snprintf(expected, sizeof expected, "top-1 %.2f %%", o.result.test_top1);
    assert_non_null(strstr(result_text, expected));
}

/* Changes a checkpoint's first tensor `name` by `change` and evaluates it. */
static void refused(const char *name, void (*change)(ghl_entry *entry), const char *says)
{
    ghl_tensors in = {0}, out = {0};
    assert_int_equal(ghl_tensors_read(temporary_path("refused/last.safetensors"), GHL_CHECKPOINT, &in), GHL_OK);
    for (int i = 0; i < in.n_metadata; i++)
        if (strcmp(in.keys[i], "ghl.crc32") != 0)
            assert_int_equal(ghl_tensors_note(&out, in.keys[i], in.values[i]), GHL_OK);
    for (int i = 0; i < in.count; i++) {
        ghl_entry entry = in.entries[i];
        if (strcmp(entry.name, name) == 0)
            change(&entry);
        if (entry.name != NULL)
            assert_int_equal(ghl_tensors_add(&out, entry.name, entry.dtype, entry.rank, entry.dim, entry.data), GHL_OK);
    }
    assert_int_equal(ghl_tensors_write(&out, temporary_path("changed.safetensors")), GHL_OK);
    ghl_status status = evaluate("changed.safetensors", NULL, false);
    if (status != GHL_CHECKPOINT || strstr(ghl_error_message(), says) == NULL)
        fail_msg("%s: %s lacks \"%s\"", ghl_status_name(status), ghl_error_message(), says);
    ghl_tensors_release(&in);
    ghl_tensors_release(&out);
}

static void make_nan(ghl_entry *entry)
{
    ((float *)entry->data)[5] = NAN;
}

static void make_absent(ghl_entry *entry)
{
    entry->name = NULL;
}

static void make_renamed(ghl_entry *entry)
{
    entry->name = (char *)"conv7.weight";
}

static void make_turned(ghl_entry *entry)
{
    entry->dim[0] = 64;
    entry->dim[1] = 12;
}

static void bad_checkpoints_are_refused(void **state)
{
    (void)state;
    train_well(tiny, "refused", NULL);
    ghl_tensors t = {0};
    assert_int_equal(ghl_tensors_read(temporary_path("refused/last.safetensors"), GHL_CHECKPOINT, &t), GHL_OK);
    char first[96];
    snprintf(first, sizeof first, "%s", "");
    for (int i = 0; i < t.count; i++)
        if (t.entries[i].rank == 2 && t.entries[i].dim[1] == 64)
            snprintf(first, sizeof first, "%s", t.entries[i].name);
    ghl_tensors_release(&t);
    assert_int_not_equal(first[0], '\0');
    refused(first, make_nan, "not finite at element 5");
    refused(first, make_absent, "is missing");
    refused(first, make_renamed, "is missing");
    refused(first, make_turned, "[64,12]");
    refused(first, make_turned, "[12,64]");
}

/* ---- The public engine ---- */

static void engine_trains_saves_and_loads(void **state)
{
    (void)state;
    ghl_net *net = NULL;
    ghl_engine *engine = NULL, *other = NULL;
    static uint8_t images[8 * 6 * 6];
    int32_t labels[8];
    ghl_score score = {0}, first = {0};
    for (int n = 0; n < 8; n++) {
        labels[n] = n % 2;
        for (int i = 0; i < 36; i++)
            images[n * 36 + i] = (uint8_t)((n % 2 ? i % 6 : i / 6) % 2 * 200 + (n * 7 + i * 3) % 50);
    }
    assert_int_equal(ghl_net_create("own", 6, 6, 1, &net), GHL_OK);
    assert_int_equal(ghl_net_append(net, "conv1", "conv", "channels: 4, kernel: 3, padding: 1"), GHL_OK);
    ghl_engine_settings settings = {.device = "ref", .batch = 8, .seed = 3, .learn = "linear: {lr: 0.1}"};
    assert_int_equal(ghl_engine_create(net, &settings, &engine), GHL_USAGE); /* no logits yet */
    assert_int_equal(ghl_net_append(net, "flatten", "flatten", NULL), GHL_OK);
    assert_int_equal(ghl_net_append(net, "classifier", "linear", "features: 2"), GHL_OK);
    settings.learn = "{liner: {lr: 0.1}}";
    assert_int_equal(ghl_engine_create(net, &settings, &engine), GHL_RECIPE);
    assert_non_null(strstr(ghl_error_message(), "liner"));
    settings.learn = "linear: {lr: 0.1}";
    assert_int_equal(ghl_engine_create(net, &settings, &engine), GHL_OK);
    assert_int_equal(ghl_engine_create(net, &settings, &other), GHL_OK);
    ghl_net_free(net);
    for (int i = 0; i < 30; i++)
        assert_int_equal(ghl_engine_train(engine, images, labels, 1.0, i == 0 ? &first : &score), GHL_OK);
    assert_true(score.loss < first.loss && score.count == 8 && score.top5 == 8);
    assert_int_equal(ghl_engine_evaluate(engine, images, labels, 8, &score), GHL_OK);
    assert_int_equal(score.top1, 8);
    assert_int_equal(ghl_engine_save(engine, temporary_path("engine.safetensors")), GHL_OK);
    assert_int_equal(ghl_engine_load(other, temporary_path("engine.safetensors")), GHL_OK);
    ghl_score loaded = {0};
    assert_int_equal(ghl_engine_evaluate(other, images, labels, 5, &loaded), GHL_OK);
    assert_int_equal(loaded.count, 5);
    assert_int_equal(loaded.top1, 5);
    labels[2] = 2;
    assert_int_equal(ghl_engine_train(engine, images, labels, 1.0, NULL), GHL_DATA);
    assert_int_equal(ghl_engine_evaluate(engine, images, labels, 9, NULL), GHL_USAGE);
    assert_int_equal(ghl_engine_load(other, temporary_path("none.safetensors")), GHL_CHECKPOINT);
    ghl_engine_free(engine);
    ghl_engine_free(other);
}

static void data_that_do_not_fit(void **state)
{
    (void)state;
    outcome o = train(tiny, "misfit", 0, false, (const char *const[]){"train.batch=71", NULL});
    assert_int_equal(o.status, GHL_DATA);
    assert_non_null(strstr(o.message, "71"));
    o = train(tiny, "misfit", 0, false, (const char *const[]){"model.classes=3", NULL});
    assert_int_equal(o.status, GHL_RECIPE);
    o = train(tiny, "misfit", 0, false, (const char *const[]){"data.holdout=70", NULL});
    assert_int_equal(o.status, GHL_DATA);
    o = train(tiny, "misfit", 3, false, (const char *const[]){"data.holdout=10", "model.classes=6", NULL});
    assert_int_equal(o.status, GHL_INTERRUPTED);
    o = train(tiny, "misfit2", -1, false, NULL);
    assert_int_equal(o.status, GHL_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learns_above_chance),
        cmocka_unit_test(epochs_without_end),
        cmocka_unit_test(cut_at_every_step),
        cmocka_unit_test(stop_is_within_a_step),
        cmocka_unit_test(a_kill_between_files),
        cmocka_unit_test(a_finished_run_says_so),
        cmocka_unit_test(another_recipe_is_refused),
        cmocka_unit_test(more_epochs_where_the_schedule_allows),
        cmocka_unit_test(broken_states),
        cmocka_unit_test(save_every_some_steps),
        cmocka_unit_test(nan_stops),
        cmocka_unit_test(nan_skips),
        cmocka_unit_test(evaluation_repeats_the_training),
        cmocka_unit_test(mean_and_deviation_come_with_the_checkpoint),
        cmocka_unit_test(bad_checkpoints_are_refused),
        cmocka_unit_test(engine_trains_saves_and_loads),
        cmocka_unit_test(data_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
