/* SPDX-License-Identifier: Apache-2.0
 *
 * Recipes: defaults, precedence of the rows of `learn`, the command line, messages with the nearest name and the place, the round trip
 * through the resolved text, hostile text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "recipe/learn.h"


static const char base[] = "name: test\n"
                           "model: {kind: deephebb, channels: [8, 8, 8]}\n"
                           "data: {kind: synthetic}\n";

/* base + text, with overrides up to NULL. */
static ghl_status load(ghl_recipe **recipe, const char *text, const char *const *overrides)
{
    char all[8192];
    int n = 0;
    while (overrides != NULL && overrides[n] != NULL)
        n++;
    snprintf(all, sizeof all, "%s%s", base, text);
    *recipe = NULL;
    return ghl_recipe_parse(all, "r.yaml", n, overrides, recipe);
}

static ghl_recipe *good(const char *text, const char *const *overrides)
{
    ghl_recipe *recipe = NULL;
    if (load(&recipe, text, overrides) != GHL_OK)
        fail_msg("%s", ghl_error_message());
    return recipe;
}

static void bad(const char *text, const char *override, const char *place, const char *says)
{
    const char *overrides[] = {override, NULL};
    ghl_recipe *recipe = NULL;
    ghl_status status = load(&recipe, text, overrides);
    if (status != GHL_RECIPE && status != GHL_USAGE)
        fail_msg("accepted, or of status %s: %s %s", ghl_status_name(status), text, override != NULL ? override : "");
    assert_null(recipe);
    assert_int_equal(ghl_status_exit(status), 2);
    if (strncmp(ghl_error_message(), place, strlen(place)) != 0 || strstr(ghl_error_message(), says) == NULL)
        fail_msg("message \"%s\" is not \"%s...%s\"", ghl_error_message(), place, says);
}

/* ---- How a net's weights learn ---- */

typedef struct resolved {
    ghl_recipe *recipe;
    ghl_net *net;
    ghl_learnings learnings;
} resolved;

static resolved resolve(const char *text, const char *const *overrides)
{
    resolved r = {.recipe = good(text, overrides)};
    const ghl_model *model = (const ghl_model *)r.recipe->model_kind.kind;
    assert_int_equal(ghl_net_create("test", 16, 16, 3, &r.net), GHL_OK);
    assert_int_equal(model->build(r.net, 10, r.recipe->model_kind.options), GHL_OK);
    if (ghl_learnings_resolve(r.recipe, r.net, &r.learnings) != GHL_OK)
        fail_msg("%s", ghl_error_message());
    return r;
}

static void release(resolved *r)
{
    ghl_learnings_release(&r->learnings);
    ghl_net_free(r->net);
    ghl_recipe_free(r->recipe);
}

static const ghl_learning *learning(const resolved *r, const char *name)
{
    for (int i = 0; i < r->net->weights; i++)
        if (strcmp(ghl_net_weight(r->net, i)->name, name) == 0)
            return &r->learnings.weights[i];
    fail_msg("no weight %s", name);
    return NULL;
}

static void learns(const resolved *r, const char *name, const char *rule, double lr, double decay)
{
    const ghl_learning *l = learning(r, name);
    assert_string_equal(l->rule->name, rule);
    assert_true(r->learnings.groups[l->step.group].lr == lr);
    assert_true(l->step.weight_decay == decay);
}

static bool frozen_norm(const resolved *r, const char *node)
{
    for (int i = 0; i < r->net->count; i++)
        if (strcmp(r->net->nodes[i]->name, node) == 0)
            return r->learnings.frozen_norm[i];
    fail_msg("no node %s", node);
    return false;
}

static void defaults_of_learn(void **state)
{
    (void)state;
    resolved r = resolve("", NULL);
    learns(&r, "conv1.weight", "ghl", 1e-2, 0);
    learns(&r, "classifier.weight", "backprop", 1e-2, 0);
    learns(&r, "classifier.bias", "backprop", 1e-2, 0);
    assert_false(frozen_norm(&r, "bn1"));
    assert_int_equal(r.learnings.n_groups, 1);
    release(&r);
}

static void rows_have_ranks(void **state)
{
    (void)state;
    resolved r = resolve("learn:\n"
                         "  conv2: {lr: 0.3}\n"
                         "  conv*: {weight_decay: 0.2, lr: 0.2}\n"
                         "  '*v3': {weight_decay: 0.25}\n"
                         "  conv: {rule: sign, lr: 0.1, weight_decay: 0.1}\n"
                         "  linear: {rule: backprop, lr: 5e-3, weight_decay: 1e-3}\n",
                         NULL);
    learns(&r, "conv1.weight", "sign", 0.2, 0.2);
    learns(&r, "conv2.weight", "sign", 0.3, 0.2);
    learns(&r, "conv3.weight", "sign", 0.2, 0.25);
    learns(&r, "classifier.weight", "backprop", 5e-3, 1e-3);
    learns(&r, "classifier.bias", "backprop", 5e-3, 0);
    assert_int_equal(r.learnings.n_groups, 3);
    release(&r);
}

static void command_line_is_last_of_all(void **state)
{
    (void)state;
    static const char text[] = "learn:\n"
                               "  conv: {rule: ghl, lr: 0.1}\n"
                               "  conv2: {rule: backprop, lr: 0.3}\n";
    resolved r = resolve(text, (const char *const[]){"learn.conv.rule=sign", NULL});
    learns(&r, "conv1.weight", "sign", 0.1, 0);
    learns(&r, "conv2.weight", "sign", 0.3, 0);
    release(&r);
    r = resolve(text, (const char *const[]){"learn.conv.lr=7", "learn.conv3.lr=8", NULL});
    learns(&r, "conv1.weight", "ghl", 7, 0);
    learns(&r, "conv2.weight", "backprop", 7, 0);
    learns(&r, "conv3.weight", "ghl", 8, 0);
    release(&r);
    r = resolve(text, (const char *const[]){"learn.classifier.bias.lr=9", "learn.linear.lr=2", NULL});
    learns(&r, "classifier.bias", "backprop", 9, 0);
    learns(&r, "classifier.weight", "backprop", 2, 0);
    release(&r);
}

static void norm_goes_by_linear(void **state)
{
    (void)state;
    resolved r = resolve("learn: {linear: {rule: frozen}}\n", NULL);
    learns(&r, "classifier.weight", "frozen", 1e-2, 0);
    learns(&r, "classifier.bias", "frozen", 1e-2, 0);
    assert_false(frozen_norm(&r, "bn1"));
    release(&r);
    r = resolve("learn: {norm: {rule: frozen}}\n", NULL);
    assert_true(frozen_norm(&r, "bn1"));
    assert_true(frozen_norm(&r, "bn3"));
    learns(&r, "classifier.bias", "frozen", 1e-2, 0);
    release(&r);
    r = resolve("learn: {bn2: {rule: frozen}, norm: {lr: 3, weight_decay: 1}}\n", NULL);
    assert_false(frozen_norm(&r, "bn1"));
    assert_true(frozen_norm(&r, "bn2"));
    learns(&r, "classifier.bias", "backprop", 3, 1);
    release(&r);
    r = resolve("learn: {classifier: {rule: frozen}}\n", NULL);
    learns(&r, "classifier.bias", "frozen", 1e-2, 0);
    release(&r);
}

/* Momentum or Adam would corrupt GHL: the recipe's optimiser reaches its rows only where they ask for it. */
static void optimisers_per_row(void **state)
{
    (void)state;
    resolved r = resolve("optimiser: {kind: adam}\nlearn: {conv3: {optimiser: {kind: sgd, momentum: 0.9}}, conv2: {rule: backprop}}\n",
                         NULL);
    assert_string_equal(learning(&r, "conv1.weight")->optimiser->name, "sgd");
    assert_string_equal(learning(&r, "conv2.weight")->optimiser->name, "adam");
    assert_string_equal(learning(&r, "conv3.weight")->optimiser->name, "sgd");
    assert_ptr_not_equal(learning(&r, "conv1.weight")->optimiser_options, learning(&r, "conv3.weight")->optimiser_options);
    assert_string_equal(learning(&r, "classifier.weight")->optimiser->name, "adam");
    release(&r);
    r = resolve("schedule: cosine\nlearn: {conv1: {schedule: constant}, conv2: {schedule: {kind: cosine, per: step}}}\n", NULL);
    assert_int_equal(r.learnings.n_groups, 2);
    assert_int_not_equal(learning(&r, "conv1.weight")->step.group, learning(&r, "conv2.weight")->step.group);
    assert_int_equal(learning(&r, "conv3.weight")->step.group, learning(&r, "conv2.weight")->step.group);
    release(&r);
}

static void foreign_options_are_dropped(void **state)
{
    (void)state;
    static const char text[] = "learn: {conv: {rule: ghl, inverse_temperature: 0.5, direction: ema_sign, lr: 0.1}}\n";
    resolved r = resolve(text, (const char *const[]){"learn.conv.rule=sign", NULL});
    learns(&r, "conv1.weight", "sign", 0.1, 0);
    assert_int_equal(r.recipe->n_notes, 1);
    assert_non_null(strstr(r.recipe->notes[0], "inverse_temperature"));
    char *resolved_text = ghl_recipe_text(r.recipe);
    assert_non_null(strstr(resolved_text, "ema_sign"));
    ghl_free(resolved_text);
    release(&r);
    bad("learn: {conv: {rule: sign, inverse_temperature: 0.5}}\n", NULL, "r.yaml:4:28: ", "inverse_temperature");
    bad(text, "learn.conv.power=x", "command line:1:", "power");
}

/* Another kind of data or model than the file's, from the command line: what it does not know and the file's kind did goes, with a note. */
static void foreign_keys_of_sections_are_dropped(void **state)
{
    static const char text[] = "model: {kind: resnet_cifar, depth: 20, width: 0.5}\n"
                               "data: {kind: synthetic, shape: [3, 16, 16], size: 30, classes: 4, normalise: imagenet}\n"
                               "learn: {conv: {rule: backprop}, linear: {rule: backprop}}\n";
    static const char *const overrides[] = {"model.kind=mlp", "model.hidden=[3]", "data.kind=cifar10"};
    ghl_recipe *recipe = NULL;
    (void)state;
    if (ghl_recipe_parse(text, "r.yaml", 3, overrides, &recipe) != GHL_OK)
        fail_msg("%s", ghl_error_message());
    assert_int_equal(recipe->n_notes, 4); /* depth; shape, size, classes */
    assert_string_equal(recipe->notes[0], "model: depth is dropped: kind mlp, which the command line asks for, has no such key");
    char *resolved_text = ghl_recipe_text(recipe);
    assert_non_null(strstr(resolved_text, "width: 0.5"));
    assert_non_null(strstr(resolved_text, "normalise: imagenet"));
    ghl_free(resolved_text);
    ghl_recipe_free(recipe);
    static const char *const unknown[] = {"model.kind=mlp", "model.depth=3"}; /* the command line's own keys are not */
    assert_int_equal(ghl_recipe_parse(text, "r.yaml", 2, unknown, &recipe), GHL_RECIPE);
    static const char nobodys[] = "model: {kind: resnet_cifar, dept: 20}\ndata: synthetic\n";
    assert_int_equal(ghl_recipe_parse(nobodys, "r.yaml", 1, unknown, &recipe), GHL_RECIPE);
    assert_non_null(strstr(ghl_error_message(), "r.yaml:1:29"));
    assert_int_equal(ghl_recipe_parse(text, "r.yaml", 1, (const char *const[]){"model.kind=[mlp]"}, &recipe), GHL_RECIPE);
}

static void rows_that_speak_of_nothing(void **state)
{
    const struct { const char *text, *says; } rows[] = {
        {"learn: {conv12: {lr: 1}}\n", "did you mean \"conv1\""},
        {"learn: {relu1: {rule: hebb}}\n", "learn.relu1: rule hebb has nothing to learn in relu1, a layer of kind relu"},
        {"learn: {max_pool: {rule: backprop}}\n", "rule backprop has nothing to learn in pool"},
        {"learn: {'bn*': {rule: swta}}\n", "rule swta has nothing to learn in bn3, a layer of kind batch_norm"},
        {"learn: {batch_norm: {rule: backprop}, bn1: {rule: frozen}, '*2': {rule: hebb}, relu1: {lr: 1}}\n", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ghl_recipe *recipe = good(rows[i].text, NULL);
        const ghl_model *model = (const ghl_model *)recipe->model_kind.kind;
        ghl_net *net = NULL;
        ghl_learnings learnings = {0};
        assert_int_equal(ghl_net_create("test", 16, 16, 3, &net), GHL_OK);
        assert_int_equal(model->build(net, 10, recipe->model_kind.options), GHL_OK);
        const ghl_status status = ghl_learnings_resolve(recipe, net, &learnings);
        if (status != (rows[i].says != NULL ? GHL_RECIPE : GHL_OK))
            fail_msg("%s: %s", rows[i].text, ghl_error_message());
        if (rows[i].says != NULL)
            assert_non_null(strstr(ghl_error_message(), "r.yaml:4:"));
        if (rows[i].says != NULL && strstr(ghl_error_message(), rows[i].says) == NULL)
            fail_msg("%s", ghl_error_message());
        ghl_learnings_release(&learnings);
        ghl_net_free(net);
        ghl_recipe_free(recipe);
    }
}

/* ---- Messages ---- */

static void messages_name_place_and_nearest(void **state)
{
    (void)state;
    bad("train: {epoch: 3}\n", NULL, "r.yaml:4:9: ", "did you mean \"epochs\"");
    bad("trian: {epochs: 3}\n", NULL, "r.yaml:4:1: ", "did you mean \"train\"");
    bad("train:\n  epochs: many\n", NULL, "r.yaml:5:11: ", "train.epochs");
    bad("train: {threads: -1}\n", NULL, "r.yaml:4:18: ", "out of range");
    bad("train: {epochs: 10000000000}\n", NULL, "r.yaml:4:17: ", "out of range");
    bad("train: {dtype: f23}\n", NULL, "r.yaml:4:16: ", "did you mean \"f32\"");
    bad("learn: {conv: {rule: gll}}\n", NULL, "r.yaml:4:22: ", "did you mean \"ghl\"");
    bad("learn: {conv: {lr: -1e-3}}\n", NULL, "r.yaml:4:20: ", "out of range");
    bad("learn: {conv: {rate: 1}}\n", NULL, "r.yaml:4:16: ", "learn.conv");
    bad("learn: {conv: {optimiser: {kind: sgd, momentun: 0}}}\n", NULL, "r.yaml:4:39: ", "did you mean \"momentum\"");
    bad("learn: {conv: ghl}\n", NULL, "r.yaml:4:15: ", "learn.conv");
    bad("learn: [conv]\n", NULL, "r.yaml:4:8: ", "learn");
    bad("train: 3\n", NULL, "r.yaml:4:8: ", "train");
    bad("schedule: {kind: cosin}\n", NULL, "r.yaml:4:18: ", "did you mean \"cosine\"");
    bad("optimiser: rmsprop\n", NULL, "r.yaml:4:12: ", "no optimiser \"rmsprop\"");
    bad("plugins: [./not-there.so]\n", NULL, "r.yaml:4:11: ", "not-there.so");
    bad("", "train.epochs=0", "command line:1:14: ", "out of range");
    bad("", "train.epoch=2", "command line:1:7: ", "did you mean \"epochs\"");
    bad("", "model.kind=deepheb", "command line:1:12: ", "did you mean \"deephebb\"");
    bad("", "learn.conv.lr=-1", "command line:1:", "out of range");
    bad("", "learn.conv={rule: nothing}", "command line:1:", "no rule");
    bad("", "learn.=3", "command line", "row");
    bad("", "epochs", "", "key=value");
    bad("", "name=../x", "command line:1:6: ", "cannot name a folder");
}

static void missing_parts(void **state)
{
    (void)state;
    ghl_recipe *recipe = NULL;
    assert_int_equal(ghl_recipe_parse("data: {kind: synthetic}", "r.yaml", 0, NULL, &recipe), GHL_RECIPE);
    assert_non_null(strstr(ghl_error_message(), "model.kind is missing"));
    assert_int_equal(ghl_recipe_parse("", "r.yaml", 0, NULL, &recipe), GHL_RECIPE);
    assert_int_equal(ghl_recipe_parse("- 1\n- 2\n", "r.yaml", 0, NULL, &recipe), GHL_RECIPE);
    assert_int_equal(ghl_recipe_load("not-there.yaml", 0, NULL, &recipe), GHL_RECIPE);
    assert_non_null(strstr(ghl_error_message(), "not-there.yaml"));
    assert_null(recipe);
}

static void hostile_text(void **state)
{
    (void)state;
    ghl_recipe *recipe = NULL;
    char *deep = malloc(1 << 20);
    assert_non_null(deep);
    memset(deep, '[', (1 << 20) - 1);
    deep[(1 << 20) - 1] = '\0';
    assert_int_equal(ghl_recipe_parse(deep, "deep", 0, NULL, &recipe), GHL_RECIPE);
    static const char *const texts[] = {
        "a: &x [1]\nb: *x\n", "model: {kind: deephebb", "model: !!python/object x", "model:\n\t- x", "\x80\xff", "model: {kind: [1]}",
        "model: {kind: deephebb}\nmodel: {kind: mlp}", "? [a]\n: b", "learn: {conv: {conv: {}}}\nmodel: mlp\ndata: synthetic",
        "plugins: x\nmodel: mlp\ndata: synthetic", "plugins: [[]]\nmodel: mlp\ndata: synthetic",
            "learn: {conv: {rule: {}}}\nmodel: mlp\ndata: synthetic",
        "seed: -1\nmodel: mlp\ndata: synthetic", "seed: .nan\nmodel: mlp\ndata: synthetic", "name: [x]\nmodel: mlp\ndata: synthetic",
        "--- {}\n--- {}\n", "learn: {'': {lr: x}}\nmodel: mlp\ndata: synthetic"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (ghl_recipe_parse(texts[i], "hostile", 0, NULL, &recipe) != GHL_RECIPE)
            fail_msg("accepted: %s", texts[i]);
        assert_non_null(strstr(ghl_error_message(), "hostile"));
        assert_null(recipe);
    }
    free(deep);
    /* Every beginning of a good recipe is a recipe or an error, nothing else. */
    static const char whole[] = "model: {kind: deephebb, channels: [8, 8, 8]}\ndata: {kind: synthetic, shape: [1, 8, 8]}\n"
                                "learn:\n  conv: {rule: ghl, lr: 1e-2}\n  \"b*\": {rule: frozen}\nschedule: {kind: cosine}\n";
    char part[sizeof whole];
    for (size_t n = 0; n < sizeof whole; n++) {
        memcpy(part, whole, n);
        part[n] = '\0';
        ghl_status status = ghl_recipe_parse(part, "part", 0, NULL, &recipe);
        assert_true(status == GHL_RECIPE || (status == GHL_OK && recipe != NULL));
        ghl_recipe_free(recipe);
    }
}

/* ---- Round trip ---- */

static void same_text_again(const char *text, const char *const *overrides)
{
    ghl_recipe *recipe = good(text, overrides), *again = NULL;
    char *first = ghl_recipe_text(recipe), *second = NULL;
    assert_non_null(first);
    if (ghl_recipe_parse(first, "again.yaml", 0, NULL, &again) != GHL_OK)
        fail_msg("%s\n%s", ghl_error_message(), first);
    second = ghl_recipe_text(again);
    assert_string_equal(first, second);
    /* And it means the same for every weight. */
    ghl_net *net = NULL;
    ghl_learnings a, b;
    const ghl_model *model = (const ghl_model *)recipe->model_kind.kind;
    assert_int_equal(ghl_net_create("test", 32, 32, 3, &net), GHL_OK);
    assert_int_equal(model->build(net, 10, recipe->model_kind.options), GHL_OK);
    assert_int_equal(ghl_learnings_resolve(recipe, net, &a), GHL_OK);
    assert_int_equal(ghl_learnings_resolve(again, net, &b), GHL_OK);
    for (int i = 0; i < net->weights; i++) {
        if (a.weights[i].rule == NULL)
            continue;
        assert_ptr_equal(a.weights[i].rule, b.weights[i].rule);
        assert_ptr_equal(a.weights[i].optimiser, b.weights[i].optimiser);
        assert_true(a.groups[a.weights[i].step.group].lr == b.groups[b.weights[i].step.group].lr);
        assert_true(a.weights[i].step.weight_decay == b.weights[i].step.weight_decay);
    }
    assert_memory_equal(a.frozen_norm, b.frozen_norm, (size_t)net->count * sizeof *a.frozen_norm);
    ghl_learnings_release(&a);
    ghl_learnings_release(&b);
    ghl_net_free(net);
    ghl_free(first);
    ghl_free(second);
    ghl_recipe_free(recipe);
    ghl_recipe_free(again);
}

static void text_reads_back(void **state)
{
    (void)state;
    same_text_again("", NULL);
    same_text_again("seed: 12345678901\ntrain: {epochs: 1000000000}\nlearn: {conv: {lr: 0.1234567890123456789}}\n", NULL);
    same_text_again("learn: {linear: {rule: frozen, lr: 3}}\n", NULL);
    same_text_again("learn: {norm: {rule: frozen}}\n", NULL);
    same_text_again("learn: {norm: {lr: 2}, linear: {rule: frozen}, bn2: {rule: frozen}}\n", NULL);
    same_text_again("learn: {linear: {optimiser: {kind: adam, beta1: 0.5}, schedule: {kind: cosine, per: epoch}}}\n", NULL);
    same_text_again("learn: {conv: {rule: ghl, lr: 0.1}, 'c*2': {rule: sign, lr: 2}, conv3: {scale: neuron_max}, batch_norm: {lr: 4}}\n",
                    (const char *const[]){"learn.conv.rule=backprop", "learn.linear.optimiser.kind=adam", NULL});
    same_text_again("learn: {conv1: {rule: ghl, lr: 0.1}}\n", (const char *const[]){"learn.conv.lr=5", "learn.linear.lr=6", NULL});
    same_text_again("", (const char *const[]){"data.path=\"a b: #'\\\" \\\\ \\u00e9\"", "name=\"12\"", NULL});
}

static void differences_are_named(void **state)
{
    (void)state;
    ghl_recipe *a = good("", NULL), *b = good("", (const char *const[]){"train.batch=32", "learn.conv.lr=0.5", "train.threads=3", NULL});
    char *ta = ghl_recipe_text(a), *tb = ghl_recipe_text(b);
    ghl_text names = {0};
    int count = 0;
    assert_int_equal(ghl_recipe_difference(ta, tb, (const char *const[]){"train.threads", NULL}, &names, &count), GHL_OK);
    assert_int_equal(ghl_text_end(&names), GHL_OK);
    assert_int_equal(count, 2);
    assert_string_equal(names.data, "learn.conv.lr, train.batch");
    ghl_text_release(&names);
    ghl_free(ta);
    ghl_free(tb);
    ghl_recipe_free(a);
    ghl_recipe_free(b);
}

static void help_has_every_row(void **state)
{
    (void)state;
    ghl_text text = {0};
    ghl_recipe_help(&text);
    assert_int_equal(ghl_text_end(&text), GHL_OK);
    static const char *const words[] = {"seed", "crop_padding", "save_every", "deephebb", "synthetic", "weight_decay", "learn_last",
                                        "plugins",
                                        "statistics", "schedule"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(text.data, words[i]) == NULL)
            fail_msg("the help lacks %s", words[i]);
    ghl_text_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_of_learn),
        cmocka_unit_test(rows_have_ranks),
        cmocka_unit_test(command_line_is_last_of_all),
        cmocka_unit_test(norm_goes_by_linear),
        cmocka_unit_test(optimisers_per_row),
        cmocka_unit_test(foreign_options_are_dropped),
        cmocka_unit_test(foreign_keys_of_sections_are_dropped),
        cmocka_unit_test(rows_that_speak_of_nothing),
        cmocka_unit_test(messages_name_place_and_nearest),
        cmocka_unit_test(missing_parts),
        cmocka_unit_test(hostile_text),
        cmocka_unit_test(text_reads_back),
        cmocka_unit_test(differences_are_named),
        cmocka_unit_test(help_has_every_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
