/* SPDX-License-Identifier: Apache-2.0
 *
 * test_layer_rows.c - options of layers that a recipe gives (`layers`) and that rules were published with: what beats what, what is
 * warned of, and that the resolved text keeps a layer's function whatever rule it gets later.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "recipe/layer_rows.h"
#include "recipe/learn.h"

static const char base[] = "name: test\n"
                           "model: {kind: deephebb, channels: [8, 8, 8]}\n"
                           "data: {kind: synthetic}\n";

typedef struct built {
    ghl_recipe *recipe;
    ghl_net *net;
    ghl_learnings learnings;
    ghl_status status;
} built;

/* base + text with one override (or NULL), up to the learnings or the first error. */
static built build(const char *text, const char *override)
{
    char all[16384];
    built b = {0};
    snprintf(all, sizeof all, "%s%s", base, text);
    b.status = ghl_recipe_parse(all, "r.yaml", override != NULL, &override, &b.recipe);
    if (b.status == GHL_OK)
        assert_int_equal(ghl_net_create("test", 16, 16, 3, &b.net), GHL_OK);
    if (b.status == GHL_OK)
        b.status = ghl_layer_rows_build(b.recipe, b.net, 10);
    if (b.status == GHL_OK)
        b.status = ghl_learnings_resolve(b.recipe, b.net, &b.learnings);
    return b;
}

static void release(built *b)
{
    ghl_learnings_release(&b->learnings);
    ghl_net_free(b->net);
    ghl_recipe_free(b->recipe);
}

/* "reflect cosine_tap dog": what the layer pads with, responds by and inhibits with; a linear layer responds only. */
static void layer_is(const built *b, const char *name, const char *expected)
{
    static const char *const keys[] = {"padding_mode: ", "response: ", "inhibition: "};
    const ghl_node *node = NULL;
    ghl_text text = {0};
    char is[200] = "";
    for (int i = 0; i < b->net->count; i++)
        node = strcmp(b->net->nodes[i]->name, name) == 0 ? b->net->nodes[i] : node;
    assert_non_null(node);
    ghl_options_print(node->kind->options, node->options, 0, &text);
    assert_int_equal(ghl_text_end(&text), GHL_OK);
    for (int i = 0; i < 3; i++) {
        const char *at = strstr(text.data, keys[i]);
        if (at != NULL)
            snprintf(is + strlen(is), sizeof is - strlen(is), "%s%.*s", is[0] != '\0' ? " " : "",
                     (int)strcspn(at + strlen(keys[i]), "\n"), at + strlen(keys[i]));
    }
    if (strcmp(is, expected) != 0)
        fail_msg("%s is \"%s\", not \"%s\"", name, is, expected);
    ghl_text_release(&text);
}

typedef struct expectation {
    const char *text, *override;
    const char *conv1, *conv2, *conv3, *classifier;
    int notes;
} expectation;

static void check(const expectation *e)
{
    built b = build(e->text, e->override);
    if (b.status != GHL_OK)
        fail_msg("%s: %s", e->text, ghl_error_message());
    layer_is(&b, "conv1", e->conv1);
    layer_is(&b, "conv2", e->conv2);
    layer_is(&b, "conv3", e->conv3);
    layer_is(&b, "classifier", e->classifier);
    assert_int_equal(b.recipe->n_notes, e->notes);
    release(&b);
}

#define PLAIN "zero dot none"
#define FULL "reflect cosine_tap dog"
#define BCM "learn: {conv: {rule: hwta_bcm}"

static void rules_bring_their_layers(void **state)
{
    const expectation rows[] = {
        {"", NULL, PLAIN, PLAIN, PLAIN, "dot", 0},
        {BCM "}\n", NULL, FULL, FULL, FULL, "dot", 0},
        {"", "learn.conv.rule=hwta_bcm", FULL, FULL, FULL, "dot", 0},
        {BCM ", conv2: {rule: softhebb}}\n", NULL, FULL, "reflect dot none", FULL, "dot", 0},
        {BCM ", 'conv[12]': {rule: ghl}, conv2: {rule: softhebb}}\n", NULL, PLAIN, "reflect dot none", FULL, "dot", 0},
        {BCM ", conv3.weight: {rule: backprop}, linear: {rule: hwta_bcm}}\n", NULL, FULL, FULL, PLAIN, "cosine_tap", 0},
        {BCM ", conv1: {rule: frozen}, norm: {rule: backprop}}\n", NULL, FULL, FULL, FULL, "dot", 0},
        {"learn: {conv: {rule: swta}, linear: {rule: swta}}\n", NULL, "zero unit_norm none", "zero unit_norm none", "zero unit_norm none",
         "unit_norm", 0},
        {BCM ", conv1: {rule: softhebb}}\n", "learn.conv.rule=ghl", PLAIN, PLAIN, PLAIN, "dot", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check(&rows[i]);
}

static void the_recipe_may_say_otherwise(void **state)
{
    const expectation rows[] = {
        {BCM "}\n", "model.padding=zero", "zero cosine_tap dog", "zero cosine_tap dog", "zero cosine_tap dog", "dot", 3},
        {BCM "}\n", "model.padding=reflect", FULL, FULL, FULL, "dot", 0},
        {"", "model.padding=reflect", "reflect dot none", "reflect dot none", "reflect dot none", "dot", 0},
        {BCM "}\nlayers: {conv: {inhibition: none}}\n", NULL, "reflect cosine_tap none", "reflect cosine_tap none",
         "reflect cosine_tap none", "dot", 3},
        {BCM "}\nlayers: {conv2: {inhibition: dog, response: dot}, conv: {inhibition: none}, '*2': {padding_mode: zero}}\n", NULL,
         "reflect cosine_tap none", "zero dot dog", "reflect cosine_tap none", "dot", 4},
        {"layers: {conv: {response: unit_norm}}\n", "layers.conv1.padding_mode=reflect", "reflect unit_norm none", "zero unit_norm none",
         "zero unit_norm none", "dot", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check(&rows[i]);
    built b = build(BCM "}\nlayers: {conv2: {inhibition: none}}\n", NULL);
    assert_string_equal(b.recipe->notes[0], "conv2 has inhibition: none: rule hwta_bcm was published with inhibition: dog");
    release(&b);
}

static void the_text_keeps_functions(void **state)
{
    static const char *const texts[] = {
        BCM "}\n",
        BCM ", conv2: {rule: softhebb}}\nlayers: {conv3: {inhibition: none}}\n",
        BCM ", 'conv[12]': {rule: ghl}, linear: {rule: swta}}\n",
        BCM ", linear: {rule: hwta_bcm}}\n",
        "learn: {conv: {rule: softhebb}, linear: {rule: softhebb, variant: supervised}}\n", /* a linear layer has no padding */
        "layers: {}\n",
        "layers:\n",
    };
    static const char *const rules[] = {"learn.conv.rule=frozen", "learn.conv.rule=backprop", "learn.conv.rule=ghl"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        built b = build(texts[i], NULL);
        assert_int_equal(b.status, GHL_OK);
        char *text = ghl_recipe_text(b.recipe);
        for (size_t k = 0; k < sizeof rules / sizeof rules[0]; k++) {
            ghl_recipe *again = NULL;
            ghl_net *net = NULL;
            assert_int_equal(ghl_recipe_parse(text, "again.yaml", 1, &rules[k], &again), GHL_OK);
            assert_int_equal(ghl_net_create("test", 16, 16, 3, &net), GHL_OK);
            assert_int_equal(ghl_layer_rows_build(again, net, 10), GHL_OK);
            for (int n = 0; n < net->count; n++) {
                ghl_text was = {0}, is = {0};
                ghl_options_print(net->nodes[n]->kind->options, b.net->nodes[n]->options, 0, &was);
                ghl_options_print(net->nodes[n]->kind->options, net->nodes[n]->options, 0, &is);
                assert_int_equal(ghl_text_end(&was), GHL_OK);
                assert_int_equal(ghl_text_end(&is), GHL_OK);
                assert_string_equal(was.data, is.data);
                ghl_text_release(&was);
                ghl_text_release(&is);
            }
            ghl_net_free(net);
            ghl_recipe_free(again);
        }
        ghl_recipe *again = NULL;
        assert_int_equal(ghl_recipe_parse(text, "again.yaml", 0, NULL, &again), GHL_OK);
        char *second = ghl_recipe_text(again);
        assert_string_equal(text, second);
        ghl_free(text);
        ghl_free(second);
        ghl_recipe_free(again);
        release(&b);
    }
}

/* Of a layer that several phases train, the first says what it is; a frozen one keeps it. */
static void phases_share_a_net(void **state)
{
    static const char text[] = "phases:\n"
                               "- {name: features, learn: {conv: {rule: hwta_bcm}, conv2: {rule: softhebb}}, root: pool3}\n"
                               "- {name: more, learn: {conv: {rule: frozen}, conv2: {rule: swta}, linear: {rule: swta}}}\n"
                               "- {name: head, learn: {linear: {rule: backprop}}, frozen_to: pool3}\n";
    char all[16384];
    (void)state;
    snprintf(all, sizeof all, "%s%s", base, text);
    for (int again = 0; again < 2; again++) { /* as written, and from the resolved text */
        ghl_recipe *recipe = NULL;
        if (ghl_recipe_parse(all, "r.yaml", 0, NULL, &recipe) != GHL_OK)
            fail_msg("%s", ghl_error_message());
        for (int i = 0; i < ghl_recipe_phases(recipe); i++) {
            built b = {0};
            assert_int_equal(ghl_net_create("test", 16, 16, 3, &b.net), GHL_OK);
            assert_int_equal(ghl_layer_rows_build(ghl_recipe_phase_at(recipe, i), b.net, 10), GHL_OK);
            layer_is(&b, "conv1", FULL);
            layer_is(&b, "conv2", "reflect dot none");
            layer_is(&b, "classifier", "unit_norm");
            ghl_net_free(b.net);
        }
        char *resolved = ghl_recipe_text(recipe);
        if (again)
            assert_string_equal(resolved, all);
        assert_true(strlen(resolved) < sizeof all);
        memcpy(all, resolved, strlen(resolved) + 1);
        ghl_free(resolved);
        ghl_recipe_free(recipe);
    }
}

static void wrong_rows_are_refused(void **state)
{
    const struct {
        const char *text, *override, *place, *says;
    } rows[] = {
        {"layers: {conv9: {padding_mode: zero}}\n", NULL, "r.yaml:4:", "did you mean \"conv1\""},
        {"layers: {'dense*': {padding_mode: zero}}\n", NULL, "r.yaml:4:", "speaks of no layer"},
        {"layers: {conv: {padding: sideways}}\n", NULL, "r.yaml:4:", "padding"},
        {"layers: {conv: {inhibitio: dog}}\n", NULL, "r.yaml:4:17: ", "did you mean \"inhibition\""},
        {"layers: {linear: {inhibition: dog}}\n", NULL, "r.yaml:4:19: ", "layers.linear has no key \"inhibition\""},
        {"layers: {classifier: {inhibition: dog}}\n", NULL, "r.yaml:4:", "inhibition"},
        {"layers: {conv: reflect}\n", NULL, "r.yaml:4:16: ", "must be a map of options"},
        {"layers: [conv]\n", NULL, "r.yaml:4:9: ", "must be a map of rows"},
        {"", "layers.conv.response=cosin", "command line:1:", "cosine_tap"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        built b = build(rows[i].text, rows[i].override);
        assert_int_equal(b.status, GHL_RECIPE);
        if (strncmp(ghl_error_message(), rows[i].place, strlen(rows[i].place)) != 0 || strstr(ghl_error_message(), rows[i].says) == NULL)
            fail_msg("\"%s\" is not \"%s...%s\"", ghl_error_message(), rows[i].place, rows[i].says);
        release(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_bring_their_layers),
        cmocka_unit_test(the_recipe_may_say_otherwise),
        cmocka_unit_test(the_text_keeps_functions),
        cmocka_unit_test(phases_share_a_net),
        cmocka_unit_test(wrong_rows_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
