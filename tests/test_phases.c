/* SPDX-License-Identifier: Apache-2.0
 *
 * test_phases.c - recipes with phases: features without labels, then a head on them; cut anywhere and continued they write the same bytes;
 * what is frozen stays; kept features train to the same bits as features that are computed in every step; heads on layers in the middle
 * leave the net alone; what is refused.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/files.h"
#include "base/registry.h"
#include "ckpt/ckpt.h"
#include "support_files.h"
#include "recipe/recipe.h"
#include "train/setup.h"

/* One thread under the thread sanitizer, which does not see the barriers of OpenMP's library. */
#if defined(__SANITIZE_THREAD__)
#define THREADS "1"
#else
#define THREADS "2"
#endif

/* 70 images; batches of 16 and 20: 5 and 4 steps an epoch, the last ones are partial. Batch norm comes before each convolution. */
#define HEAD(data)                                                                                           \
    "name: two\nmodel: {kind: deephebb, channels: [4, 6, 8]}\n"                                              \
    "data: {kind: " data ", shape: [2, 16, 16], classes: 4, size: 70, test_size: 21}\n"                      \
    "train: {batch: 16, threads: " THREADS ", log_every: 3, epochs: 2}\n"                                    \
    "learn: {conv: {rule: toy, lr: 1e-3}, linear: {rule: frozen}}\n"
#define TAIL                                                                                                  \
    "  - {name: head, frozen_to: conv3, train: {batch: 20, epochs: 3}, optimiser: adam, schedule: cosine,\n"  \
    "     learn: {linear: {rule: backprop, lr: 1e-2}}}\n"
static const char two[] = HEAD("synthetic") "phases:\n  - {name: features}\n" TAIL;
static const char unlabelled[] = HEAD("unlabelled") "phases:\n  - {name: features}\n";
static const char blocks[] = HEAD("synthetic")
    "phases:\n"
    "  - {name: block1, root: conv1, train: {epochs: 1}}\n"
    "  - {name: block2, root: conv2, frozen_to: conv1, train: {epochs: 1}}\n" TAIL;

#define BRANCH(name, model, lr)                                                                               \
    "  - {name: " name ", model: {" model "}, frozen_to: flatten, train: {batch: 20, epochs: 3}, optimiser: adam,\n" \
    "     learn: {linear: {rule: backprop, lr: " lr "}}}\n"
static const char heads[] = HEAD("synthetic") "phases:\n  - {name: features}\n"
    BRANCH("head1", "depth: 1, first_pool: average", "1e-2") BRANCH("head2", "depth: 2", "1e-2") TAIL;
static const char again[] = HEAD("synthetic") "phases:\n  - {name: features}\n"
    BRANCH("head1", "depth: 1", "1e-2") BRANCH("again", "depth: 1", "0");

/* A rule that needs no error: p = r^T x with Oja's decay, by sign; enough to have a local rule. */
static ghl_status toy_emit(ghl_emitter *em, const ghl_weight *w, const void *options)
{
    (void)options;
    ghl_attributes attr = {.softmax = {.inverse_temperature = 1}}, plain = {.direction = {.power = 0}};
    ghl_tensor u = ghl_emit_preactivation(em, w);
    ghl_tensor r = ghl_emit_like(em, GHL_OP_softmax_channels, &attr, 1, &u, 0);
    ghl_tensor p = ghl_emit_product(em, w, r);
    ghl_tensor d = ghl_emit_like(em, GHL_OP_oja_decay, NULL, 2, (ghl_tensor[]){p, ghl_emit_weight(em, w)}, 0);
    ghl_emit_direction(em, w, ghl_emit_like(em, GHL_OP_direction, &plain, 1, &d, 0));
    return GHL_OK;
}
static const ghl_rule toy = {.name = "toy", .summary = "for tests", .source = "definition", .emit = toy_emit};

static const ghl_data_format *synthetic;
static ghl_status read_unlabelled(const char *path, bool test, const void *options, ghl_images *out)
{
    GHL_TRY(synthetic->read(path, test, options, out));
    free(out->labels);
    out->labels = NULL;
    return GHL_OK;
}
static ghl_data_format unlabelled_format;

static int register_all(void **state)
{
    (void)state;
    const ghl_descriptor *found = NULL;
    assert_int_equal(ghl_registry_find(&ghl_data_formats, "synthetic", NULL, &found), GHL_OK);
    synthetic = (const ghl_data_format *)found;
    unlabelled_format = *synthetic;
    unlabelled_format.name = "unlabelled";
    unlabelled_format.read = read_unlabelled;
    assert_int_equal(ghl_register_rule(&toy), GHL_OK);
    return ghl_register_data_format(&unlabelled_format) != GHL_OK;
}

/* ---- Runs ---- */

typedef struct outcome {
    ghl_status status;
    char message[700], log[16384];
    ghl_train_result result;
} outcome;

static void keep_log(void *user, ghl_level level, const char *line)
{
    outcome *o = user;
    size_t n = strlen(o->log);
    (void)level;
    snprintf(o->log + n, sizeof o->log - n, "%s\n", line);
}

/* Overrides are separated by spaces. */
static outcome train(const char *text, const char *run, int64_t stop_after, const char *overrides)
{
    static outcome o;
    char words[512], *list[16];
    int n = 0;
    ghl_recipe *recipe = NULL;
    ghl_host host = {.user = &o, .log = keep_log};
    memset(&o, 0, sizeof o);
    snprintf(words, sizeof words, "%s", overrides);
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " "))
        list[n++] = word;
    o.status = ghl_recipe_parse(text, "two.yaml", n, (const char *const *)list, &recipe);
    if (o.status == GHL_OK)
        o.status = ghl_train(recipe, &(ghl_train_options){.run = temporary_path(run), .stop_after = stop_after}, &host, &o.result);
    if (o.status != GHL_OK)
        snprintf(o.message, sizeof o.message, "%s (%s)", ghl_error_message(), ghl_error_hint());
    ghl_recipe_free(recipe);
    return o;
}

static outcome train_well(const char *text, const char *run, const char *overrides)
{
    outcome o = train(text, run, 0, overrides);
    if (o.status != GHL_OK)
        fail_msg("%s", o.message);
    return o;
}

static char *read_file(const char *run, const char *name, size_t *size)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", run, name);
    return temporary_read(path, size);
}

static bool same_file(const char *a, const char *b, const char *name)
{
    size_t n = 0, m = 0;
    char *left = read_file(a, name, &n), *right = read_file(b, name, &m);
    bool same = n == m && memcmp(left, right, n) == 0;
    free(left);
    free(right);
    return same;
}

static void same_run(const char *a, const char *b)
{
    static const char *const names[] = {"state", "last.safetensors", "best.safetensors", "metrics.csv", "recipe.yaml"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!same_file(a, b, names[i]))
            fail_msg("%s of %s and %s differ", names[i], a, b);
}

static void open_last(const char *run, ghl_tensors *out)
{
    char path[4096];
    assert_int_equal(ghl_path_join(path, temporary_path(run), "last.safetensors"), GHL_OK);
    assert_int_equal(ghl_tensors_read(path, GHL_RUN, out), GHL_OK);
}

/* Do tensors whose names begin with `prefix` have the same bits in two runs? There must be one. */
static bool same_tensors(const char *a, const char *b, const char *prefix)
{
    ghl_tensors left, right;
    int found = 0;
    bool same = true;
    open_last(a, &left);
    open_last(b, &right);
    for (int i = 0; i < left.count; i++) {
        const ghl_entry *one = &left.entries[i], *other = ghl_tensors_find(&right, one->name);
        if (strncmp(one->name, prefix, strlen(prefix)) != 0)
            continue;
        found++;
        same = same && other != NULL && one->bytes == other->bytes && memcmp(one->data, other->data, one->bytes) == 0;
    }
    ghl_tensors_release(&left);
    ghl_tensors_release(&right);
    assert_true(found > 0);
    return same;
}

static bool has_file(const char *run, const char *name)
{
    char path[4096];
    assert_int_equal(ghl_path_join(path, temporary_path(run), name), GHL_OK);
    return ghl_file_exists(path);
}

/* ---- Features without labels, then a head ---- */

static void learns_in_phases(void **state)
{
    (void)state;
    size_t size = 0;
    outcome o = train_well(two, "learns", "phases.head.train.epochs=12");
    assert_int_equal(o.result.epoch, 14);
    assert_int_equal(o.result.step, 2 * 5 + 12 * 4);
    assert_true(o.result.test_top1 > 50); /* chance is 25 */
    assert_true(o.result.best_epoch > 2);
    char *rows = read_file("learns", "metrics.csv", &size), *row = strchr(rows, '\n') + 1;
    static const char head[] = "epoch,step,train_loss,train_top1,test_loss,test_top1,test_top5,best_top1,lr,phase\n";
    assert_true(strncmp(rows, head, sizeof head - 1) == 0);
    assert_true(strncmp(row, "1,5,,,,,,,0.001,features\n", 25) == 0); /* nothing was measured: there were no labels */
    assert_non_null(strstr(rows, "\n3,14,"));
    assert_null(strstr(rows, "nan"));
    free(rows);
    rows = read_file("learns", "log.jsonl", &size);
    assert_non_null(strstr(rows, "\"phase\": \"features\", \"loss\": null"));
    assert_non_null(strstr(rows, "\"phase\": \"head\", \"loss\": "));
    free(rows);
}

static void frozen_layers_stay(void **state)
{
    (void)state;
    train_well(two, "frozen_long", "phases.head.train.epochs=4");
    train_well(two, "frozen_short", "phases.head.train.epochs=1");
    assert_true(same_tensors("frozen_long", "frozen_short", "conv"));
    assert_true(same_tensors("frozen_long", "frozen_short", "bn")); /* running statistics too */
    assert_false(same_tensors("frozen_long", "frozen_short", "classifier"));
}

static void block_after_block(void **state)
{
    (void)state;
    train_well(blocks, "blocks", "");
    train_well(blocks, "blocks1", "phases.block2.learn.conv.lr=0");
    assert_true(same_tensors("blocks", "blocks1", "conv1"));
    assert_false(same_tensors("blocks", "blocks1", "conv2"));
    /* Past the root nothing is computed: bn3 counted no batch; bn1 those of the first phase, bn2 of the second. */
    ghl_tensors last;
    open_last("blocks", &last);
    static const struct { const char *name; int64_t batches; } counted[] = {{"bn1", 5}, {"bn2", 5}, {"bn3", 0}};
    for (int i = 0; i < 3; i++) {
        char name[60];
        snprintf(name, sizeof name, "%s.num_batches_tracked", counted[i].name);
        assert_int_equal(*(const int64_t *)ghl_tensors_find(&last, name)->data, counted[i].batches);
    }
    ghl_tensors_release(&last);
}

/* The program of a phase without labels: forward to its root, no loss, nothing sent back, no activation of later layers. */
static void no_backward_pass(void **state)
{
    (void)state;
    ghl_recipe *recipe = NULL;
    ghl_setup setup;
    assert_int_equal(ghl_recipe_parse(blocks, "two.yaml", 0, NULL, &recipe), GHL_OK);
    assert_int_equal(ghl_setup_begin(ghl_recipe_phase_at(recipe, 1), &(ghl_setup_options){.describe = true}, &setup), GHL_OK);
    assert_int_equal(ghl_setup_compile(&setup, true), GHL_OK);
    assert_int_equal(ghl_plan_prepare(setup.plan), GHL_OK);
    assert_false(ghl_program_scored(setup.step));
    for (int i = 0; i < ghl_program_calls(setup.step); i++) {
        ghl_call_info info = ghl_program_call(setup.step, i);
        assert_string_not_equal(info.stage, "backward");
        assert_string_not_equal(info.op, "softmax_cross_entropy");
        assert_string_not_equal(info.node, "conv3");
    }
    ghl_setup_release(&setup);
    ghl_recipe_free(recipe);
}

static void labels(void **state)
{
    (void)state;
    outcome o = train_well(unlabelled, "no_labels", "");
    assert_int_equal(o.result.epoch, 2);
    assert_true(has_file("no_labels", "last.safetensors") && !has_file("no_labels", "best.safetensors"));
    o = train(unlabelled, "no_labels2", 0, "learn.conv.rule=ghl");
    assert_int_equal(o.status, GHL_DATA);
    assert_non_null(strstr(o.message, "rule ghl of conv1.weight learns from labels"));
    /* A rule may read labels and ask for no error: then there is a loss to test by. */
    static const char classifier[] = "learn.linear.rule=softhebb learn.linear.variant=supervised learn.norm.rule=frozen "
                                     "learn.norm.statistics=batch";
    o = train(unlabelled, "no_labels4", 0, classifier);
    assert_int_equal(o.status, GHL_DATA);
    assert_non_null(strstr(o.message, "rule softhebb of classifier.weight learns from labels"));
    o = train(unlabelled, "no_labels5", 0, "phases.0.root=classifier learn.linear.rule=softhebb learn.linear.variant=supervised "
                                           "learn.norm.rule=frozen learn.norm.statistics=batch");
    assert_int_equal(o.status, GHL_DATA);
    o = train_well(HEAD("synthetic"), "classifies", classifier);
    assert_true(o.result.test_top1 > 0 && has_file("classifies", "best.safetensors"));
    assert_int_equal(train_well(HEAD("synthetic"), "classifies", classifier).result.step, 10); /* its text can be read again */
    o = train(unlabelled, "no_labels3", 0, "data.holdout=10");
    assert_int_equal(o.status, GHL_DATA);
}

/* ---- Resume ---- */

/* A step at a time: so every boundary is one between two runs. */
static void step_by_step(const char *text, const char *whole, const char *run, const char *overrides, int64_t steps)
{
    assert_int_equal(train_well(text, whole, overrides).result.step, steps);
    for (int64_t step = 1; step < steps; step++) {
        outcome o = train(text, run, step, overrides);
        assert_int_equal(o.status, GHL_INTERRUPTED);
        assert_int_equal(o.result.step, step);
    }
    assert_int_equal(train_well(text, run, overrides).result.step, steps);
    same_run(whole, run);
}

static void cut_at_every_step(void **state)
{
    (void)state;
    train_well(two, "cut_whole", "train.threads=1");
    for (int64_t step = 1; step < 22; step++) {
        char run[60];
        snprintf(run, sizeof run, "cut%d", (int)step);
        assert_int_equal(train(two, run, step, "train.threads=1").status, GHL_INTERRUPTED);
        train_well(two, run, "train.threads=1");
        same_run("cut_whole", run);
    }
}

static void cut_into_steps(void **state)
{
    (void)state;
    step_by_step(two, "file_whole", "file_steps", "train.threads=1 train.features=file", 22);
    assert_false(has_file("file_whole", "features")); /* gone with the phase */
    static const char bcm[] = "train.threads=1 learn.conv.rule=hwta_bcm phases.head.train.epochs=1"; /* its threshold is state */
    step_by_step(two, "bcm_whole", "bcm_steps", bcm, 14);
    step_by_step(blocks, "blocks_whole", "blocks_steps", "train.threads=1 train.features=none", 22);
}

/* ---- Heads on layers in the middle ---- */

static void heads_leave_the_net(void **state)
{
    (void)state;
    size_t size = 0;
    train_well(two, "one_head", "");
    outcome o = train_well(heads, "heads", "");
    assert_int_equal(o.result.epoch, 2 + 3 * 3);
    assert_non_null(strstr(o.log, "features of layer flatten, 256 of each of 91 images")); /* 4 channels of 8 x 8 */
    assert_non_null(strstr(o.log, "features of layer flatten, 96 of each of 91 images"));
    assert_true(same_tensors("one_head", "heads", "conv") && same_tensors("one_head", "heads", "bn"));
    train_well(heads, "heads_apart", "phases.head1.learn.linear.lr=0.5 phases.head2.model.dropout=0");
    assert_true(same_tensors("heads", "heads_apart", ""));
    assert_false(same_file("heads", "heads_apart", "metrics.csv"));
    train_well(heads, "heads_none", "train.features=none");
    assert_true(same_file("heads", "heads_none", "metrics.csv"));
    train_well(heads, "heads_probed", "train.probes=true"); /* a column a layer of the net, in every row */
    char *rows = read_file("heads_probed", "metrics.csv", &size), *save = NULL;
    int commas = 0;
    for (char *row = strtok_r(rows, "\n", &save); row != NULL; row = strtok_r(NULL, "\n", &save)) {
        int n = 0;
        for (const char *c = row; *c != '\0'; c++)
            n += *c == ',';
        commas = commas == 0 ? n : commas;
        assert_int_equal(n, commas);
    }
    assert_true(commas > 40);
    free(rows);
}

/* A second head with the same name of its classifier, at rate 0: the first one left nothing behind. */
static void a_head_begins_anew(void **state)
{
    (void)state;
    train_well(again, "again", "");
    train_well(again, "again_fast", "phases.head1.learn.linear.lr=0.5");
    assert_true(same_tensors("again", "again_fast", ""));
    train_well(again, "again_learns", "phases.again.learn.linear.lr=1e-2");
    assert_true(same_tensors("again", "again_learns", "conv1"));
    assert_false(same_tensors("again", "again_learns", "classifier"));
}

static void keep_result(void *user, const char *data, size_t size)
{
    snprintf(user, 200, "%.*s", (int)size, data);
}

/* The best epoch is of the first head, which has a net of its own. */
static void evaluates_a_head(void **state)
{
    (void)state;
    char text[200] = "", wanted[40];
    const ghl_host host = {.user = text, .result = keep_result};
    outcome o = train_well(heads, "best_head", "phases.head2.train.epochs=1 phases.head.train.epochs=1 phases.head2.learn.linear.lr=0 "
                                               "phases.head.learn.linear.lr=0 phases.head1.train.epochs=8");
    assert_true(o.result.best_epoch > 2 && o.result.best_epoch <= 10);
    assert_int_equal(ghl_evaluate(temporary_path("best_head"), 0, NULL, false, &host), GHL_OK);
    snprintf(wanted, sizeof wanted, "top-1 %.2f %%", o.result.best_top1);
    assert_non_null(strstr(text, wanted));
    char last[4096];
    assert_int_equal(ghl_path_join(last, temporary_path("best_head"), "last.safetensors"), GHL_OK);
    assert_int_equal(ghl_evaluate(last, 0, NULL, false, &host), GHL_OK);
    snprintf(wanted, sizeof wanted, "top-1 %.2f %%", o.result.test_top1);
    assert_non_null(strstr(text, wanted));
}

static void cut_between_heads(void **state)
{
    (void)state;
    step_by_step(heads, "heads_whole", "heads_steps", "train.threads=1 train.epochs=2", 2 * (5 + 3 * 4));
    step_by_step(again, "again_whole", "again_steps", "train.threads=1 train.epochs=1 train.features=file", 5 + 2 * 4);
}

static void more_epochs(void **state)
{
    (void)state;
    train_well(two, "more", "phases.head.schedule=constant");
    outcome o = train(two, "more", 0, "phases.head.schedule=constant phases.features.train.epochs=3");
    assert_int_equal(o.status, GHL_RECIPE);
    assert_non_null(strstr(o.message, "train.epochs = 2 in phase features"));
    assert_int_equal(train_well(two, "more", "phases.head.schedule=constant phases.head.train.epochs=4").result.epoch, 6);
    train_well(two, "more4", "phases.head.schedule=constant phases.head.train.epochs=4");
    assert_true(same_file("more", "more4", "metrics.csv") && same_tensors("more", "more4", ""));
    o = train(two, "more", 0, "phases.head.schedule=constant phases.head.learn.linear.lr=0.5");
    assert_int_equal(o.status, GHL_RECIPE);
    assert_non_null(strstr(o.message, "phases.1.learn.linear.lr"));
}

/* ---- Features that are kept ---- */

static void kept_features(void **state)
{
    (void)state;
    static const char *const ways[] = {"none", "memory", "file", "auto"}, *const devices[] = {"ref", "cpu"};
    for (size_t d = 0; d < 2; d++)
        for (size_t i = 0; i < 4; i++) {
            char run[60], overrides[120], first[60];
            snprintf(run, sizeof run, "kept_%s_%s", devices[d], ways[i]);
            snprintf(first, sizeof first, "kept_%s_none", devices[d]);
            snprintf(overrides, sizeof overrides, "train.device=%s train.features=%s", devices[d], ways[i]);
            outcome o = train_well(two, run, overrides);
            assert_int_equal(strstr(o.log, "features of layer flatten, 32 of each of 91 images, are kept") != NULL, i > 0);
            assert_true(same_file(first, run, "metrics.csv") && same_tensors(first, run, ""));
        }
}

static void features_that_vary(void **state)
{
    (void)state;
    /* Drawn anew in every epoch, or once only: nothing is kept. */
    assert_null(strstr(train_well(two, "vary", "data.augment=flip").log, "are kept"));
    assert_null(strstr(train_well(two, "once", "phases.head.train.epochs=1").log, "are kept"));
    assert_non_null(strstr(train_well(two, "once_asked", "phases.head.train.epochs=1 train.features=memory").log, "are kept"));
}

static void a_file_that_does_not_match(void **state)
{
    (void)state;
    static const char way[] = "train.features=file";
    size_t size = 0;
    train_well(two, "match_whole", way);
    assert_int_equal(train(two, "match", 12, way).status, GHL_INTERRUPTED);
    char *file = read_file("match", "features", &size);
    assert_non_null(strstr(train(two, "match", 13, way).log, "are there in a file"));
    /* Another fingerprint, as of other weights; and a file of another size. */
    file[16] ^= 1;
    file[4096] ^= 1;
    temporary_write("match/features", file, size);
    outcome o = train(two, "match", 14, way);
    assert_non_null(strstr(o.log, "it is made anew"));
    assert_non_null(strstr(o.log, "are kept in a file"));
    temporary_write("match/features", file, size - 1);
    assert_non_null(strstr(train(two, "match", 15, way).log, "are kept in a file"));
    free(file);
    train_well(two, "match", way);
    same_run("match_whole", "match");
}

/* ---- What a recipe may say ---- */

static void overrides_reach_phases(void **state)
{
    (void)state;
    static const char *const list[] = {"train.batch=8", "phases.head.train.batch=4", "phases.0.train.epochs=9", "model.width=2",
                                       "phases.1.learn.linear.lr=0.5", "phases.head.root=classifier"};
    ghl_recipe *recipe = NULL, *again = NULL;
    const ghl_recipe *phase = NULL;
    assert_int_equal(ghl_recipe_parse(two, "two.yaml", 6, list, &recipe), GHL_OK);
    assert_int_equal(ghl_recipe_phase_at(recipe, 0)->train.batch, 8);
    assert_int_equal(ghl_recipe_phase_at(recipe, 1)->train.batch, 4);
    assert_int_equal(ghl_recipe_epochs(recipe, 2), 9 + 3);
    assert_string_equal(ghl_recipe_phase_at(recipe, 1)->phase.root, "classifier");
    assert_int_equal(ghl_recipe_phase(recipe, "head", &phase), GHL_OK);
    assert_ptr_equal(phase, ghl_recipe_phase_at(recipe, 1));
    assert_int_equal(ghl_recipe_phase(recipe, "tail", &phase), GHL_RECIPE);
    char *text = ghl_recipe_text(recipe), *text_again;
    assert_int_equal(ghl_recipe_parse(text, "two.yaml", 0, NULL, &again), GHL_OK); /* it says the same when it is read again */
    text_again = ghl_recipe_text(again);
    assert_string_equal(text, text_again);
    free(text);
    free(text_again);
    ghl_recipe_free(recipe);
    ghl_recipe_free(again);
}

/* A phase is a branch by what its model comes out as. */
static void models_of_phases(void **state)
{
    (void)state;
    static const char *const list[] = {"model.width=2", "phases.head.model.depth=2", "phases.head2.model.depth=3"};
    static const bool branches[] = {false, true, false, true};
    ghl_recipe *recipe = NULL, *again = NULL;
    assert_int_equal(ghl_recipe_parse(heads, "heads.yaml", 3, list, &recipe), GHL_OK);
    char *text = ghl_recipe_text(recipe), *text_again;
    assert_int_equal(ghl_recipe_parse(text, "heads.yaml", 0, NULL, &again), GHL_OK);
    text_again = ghl_recipe_text(again);
    assert_string_equal(text, text_again);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ghl_recipe_phase_at(recipe, i)->phase.branch, branches[i]);
        assert_int_equal(ghl_recipe_phase_at(again, i)->phase.branch, branches[i]);
    }
    free(text);
    free(text_again);
    ghl_recipe_free(recipe);
    ghl_recipe_free(again);
}

static void refused(void **state)
{
    (void)state;
    static const struct { const char *phases, *overrides, *message; } bad[] = {
        {"[]", "", "phases is an empty list"},
        {"{name: a}", "", "phases must be a list of maps"},
        {"[features]", "", "a phase must be a map of keys"},
        {"[{nmae: a}]", "", "did you mean \"name\"?"},
        {"[{layers: {}}]", "", "a phase has no key \"layers\""},
        {"[{model: {depht: 1}}]", "", "did you mean \"depth\"?"},
        {"[{name: a, model: {depth: 2}}]", "", "phase a has another model than the recipe, but freezes nothing"},
        {"[{name: a, model: {depth: 2}, frozen_to: conv1}]", "", "phase a has another model than the recipe, but comes first"},
        {"[{name: a}, {name: b, model: {depth: 1}, learn: {conv: {rule: toy}, linear: {rule: backprop}}}]", "",
         "phase b has another model than the recipe, but freezes nothing"},
        {"[{name: a}, {name: b, model: {channels: [4, 7, 8]}, frozen_to: conv2, learn: {conv: {rule: toy}, linear: {rule: backprop}}}]", "",
         "phase b freezes conv2.weight, which the net of the first phase has in another shape"},
        {"[{name: a}, {name: b, model: {norm: affine}, frozen_to: conv2, learn: {conv: {rule: toy}, linear: {rule: backprop}}}]", "",
         "phase b freezes bn1.weight, which the net of the first phase lacks"},
        {"[{name: a}, {name: b, data: {whiten: zca}, model: {depth: 1}, frozen_to: bn1, learn: {conv: {rule: toy}, "
         "linear: {rule: backprop}}}]", "", "phase b has another data.whiten than the first"},
        {"[{name: 1a}]", "", "\"1a\" cannot name a phase"},
        {"[{name: a}, {name: a}]", "", "two phases are named a"},
        {"[{name: a, root: conv9}]", "", "root: net deephebb has no layer \"conv9\"; did you mean \"conv"},
        {"[{name: a, frozen_to: conv2, root: conv1}]", "", "everything up to its root conv1 is frozen"},
        {"[{name: a, learn: {conv: {rule: toy}}}, {name: b}]", "", "phase a leaves layer classifier without a rule"},
        {"[{name: a, root: conv2, learn: {conv: {rule: ghl}}}, {name: b}]", "",
         "rule ghl of conv1.weight asks for an error, but the net is computed up to conv2"},
        {"[{name: a}, {name: b, data: {shape: [3, 16, 16]}}]", "", "phase b has another net than the first"},
        {"[{name: a}]", "phases.b.train.epochs=1", "no phase \"b\""},
        {"[{name: a}]", "phases.a=1", "sets no key of a phase"},
        {"[{name: a, learn: {conv: {rule: toy}, linear: {rule: frozen}}}]", "", "no phase reads the recipe's section learn"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[1024], run[40];
        snprintf(text, sizeof text, HEAD("synthetic") "phases: %s\n", bad[i].phases);
        snprintf(run, sizeof run, "bad%zu", i);
        outcome o = train(text, run, 0, bad[i].overrides);
        assert_int_equal(o.status, GHL_RECIPE);
        if (strstr(o.message, bad[i].message) == NULL)
            fail_msg("%s: %s", bad[i].phases, o.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learns_in_phases),
        cmocka_unit_test(frozen_layers_stay),
        cmocka_unit_test(block_after_block),
        cmocka_unit_test(no_backward_pass),
        cmocka_unit_test(labels),
        cmocka_unit_test(cut_at_every_step),
        cmocka_unit_test(cut_into_steps),
        cmocka_unit_test(heads_leave_the_net),
        cmocka_unit_test(a_head_begins_anew),
        cmocka_unit_test(evaluates_a_head),
        cmocka_unit_test(cut_between_heads),
        cmocka_unit_test(more_epochs),
        cmocka_unit_test(kept_features),
        cmocka_unit_test(features_that_vary),
        cmocka_unit_test(a_file_that_does_not_match),
        cmocka_unit_test(overrides_reach_phases),
        cmocka_unit_test(models_of_phases),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, register_all, NULL);
}
