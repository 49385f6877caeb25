/* SPDX-License-Identifier: Apache-2.0
 *
 * YAML values: places, copies, overrides, and texts that nobody should have written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/value.h"

static ghl_value *parse(const char *text)
{
    ghl_value *v = NULL;
    if (ghl_value_parse(text, strlen(text), "r.yaml", &v) != GHL_OK)
        fail_msg("%s", ghl_error_message());
    return v;
}

/* Flow notation of a tree, every scalar in quotes where it was. */
static void show(const ghl_value *v, ghl_text *out)
{
    if (v->kind == GHL_VALUE_SCALAR) {
        ghl_text_add(out, v->quoted ? "'%s'" : "%s", v->text);
        return;
    }
    ghl_text_add(out, v->kind == GHL_VALUE_LIST ? "[" : "{");
    for (int i = 0; i < v->count; i++) {
        if (v->kind == GHL_VALUE_MAP)
            ghl_text_add(out, "%s%s: ", i > 0 ? ", " : "", v->keys[i]);
        else
            ghl_text_add(out, i > 0 ? ", " : "");
        show(v->items[i], out);
    }
    ghl_text_add(out, v->kind == GHL_VALUE_LIST ? "]" : "}");
}

static void check_shown(const ghl_value *v, const char *wanted)
{
    ghl_text text = {0};
    show(v, &text);
    assert_int_equal(ghl_text_end(&text), GHL_OK);
    assert_string_equal(text.data, wanted);
    ghl_text_release(&text);
}

static const char recipe[] = "# a recipe\n"
                             "name: \"5\"\n"
                             "model: {kind: mlp, hidden: [256, 128]}\n"
                             "learn:\n"
                             "  conv:\n"
                             "    rule: ghl\n"
                             "  layer1.0.conv1: {rule: sign}\n"
                             "empty:\n";

static void test_tree_and_places(void **state)
{
    (void)state;
    ghl_value *v = parse(recipe);
    check_shown(v, "{name: '5', model: {kind: mlp, hidden: [256, 128]}, "
                   "learn: {conv: {rule: ghl}, layer1.0.conv1: {rule: sign}}, empty: }");
    assert_string_equal(v->origin, "r.yaml");
    const ghl_value *hidden = ghl_value_find(ghl_value_find(v, "model"), "hidden");
    assert_int_equal(hidden->line, 3);
    assert_int_equal(hidden->items[1]->column, 34);
    const ghl_value *conv = ghl_value_find(ghl_value_find(v, "learn"), "conv");
    assert_int_equal(conv->key_lines[0], 6);
    assert_int_equal(conv->key_columns[0], 5);
    assert_null(ghl_value_find(v, "nam"));
    assert_null(ghl_value_find(v, "names"));
    assert_null(ghl_value_find(hidden, "x"));
    assert_null(ghl_value_find(NULL, "x"));

    assert_int_equal(ghl_value_fail(hidden->items[1], "h", "is %d", 1), GHL_RECIPE);
    assert_string_equal(ghl_error_message(), "r.yaml:3:34: is 1");
    assert_int_equal(ghl_value_fail_key(conv, 0, NULL, "no %s", "key"), GHL_RECIPE);
    assert_string_equal(ghl_error_message(), "r.yaml:6:5: no key");
    ghl_value_fail(NULL, NULL, "nowhere");
    assert_string_equal(ghl_error_message(), "nowhere");
    ghl_value_free(v);
}

static void test_copy_outlives(void **state)
{
    (void)state;
    char origin[] = "gone.yaml";
    ghl_value *v = NULL, *copy = NULL;
    assert_int_equal(ghl_value_parse(recipe, strlen(recipe), origin, &v), GHL_OK);
    origin[0] = 'X';
    assert_int_equal(ghl_value_copy(v, &copy), GHL_OK);
    ghl_value_free(v);
    check_shown(copy,
                "{name: '5', model: {kind: mlp, hidden: [256, 128]}, learn: {conv: {rule: ghl}, layer1.0.conv1: {rule: sign}}, empty: }");
    ghl_value_fail_key(copy, 1, NULL, "here");
    assert_string_equal(ghl_error_message(), "gone.yaml:3:1: here");
    ghl_value_free(copy);
}

static void test_empty_texts(void **state)
{
    (void)state;
    static const char *const empty[] = {"", "\n\n", "# nothing\n", "---\n", "---\n...\n", "{}"};
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        ghl_value *v = parse(empty[i]);
        assert_int_equal(v->kind, GHL_VALUE_MAP);
        assert_int_equal(v->count, 0);
        ghl_value_free(v);
    }
}

static void test_flow(void **state)
{
    (void)state;
    static const char *const good[][2] = {{"a: 1, b: [2, 3]", "{a: 1, b: [2, 3]}"}, {"", "{}"},      {NULL, "{}"},
                                          {"{a: 1}", "{a: 1}"},                     {"a: 1 # c", "{a: 1}"}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ghl_value *v = NULL;
        assert_int_equal(ghl_value_parse_flow(good[i][0], "options", &v), GHL_OK);
        check_shown(v, good[i][1]);
        ghl_value_free(v);
    }
    static const char *const bad[] = {"a: 1}", "a: 1}, {b: 2", "a: [1", "}{", "a: 1, a: 2", "{a: 1} b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ghl_value *v = NULL;
        assert_int_equal(ghl_value_parse_flow(bad[i], "options", &v), GHL_RECIPE);
        assert_null(v);
        assert_memory_equal(ghl_error_message(), "options:", 8);
    }
    ghl_value *v = NULL;
    assert_int_equal(ghl_value_parse_flow("abc: 1", "options", &v), GHL_OK);
    assert_int_equal(v->key_columns[0], 1); /* the brace that was put around does not count */
    ghl_value_free(v);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *place;
    } bad[] = {
        {"a: 1\nb: 2\na: 3\n", "r.yaml:3:1: key \"a\" is given twice, first in line 1"},
        {"a: [1, 2\n", "r.yaml:2:1: "},
        {"a: {b: 1\n", "r.yaml:2:1: "},
        {"a: 'x\n", "r.yaml:2:1: "},
        {"a:\n\tb: 1\n", "r.yaml:2:1: "},
        {"a: b: c\n", "r.yaml:1:5: "},
        {"a: &x 1\n", "r.yaml:1:4: anchors and tags"},
        {"&x a: 1\n", "r.yaml:1:1: anchors and tags"},
        {"a: *x\n", "r.yaml:1:4: aliases"},
        {"*x\n", "r.yaml:1:1: aliases"},
        {"a: !!int 1\n", "r.yaml:1:4: anchors and tags"},
        {"a: !x {b: 1}\n", "r.yaml:1:4: anchors and tags"},
        {"[a]: 1\n", "r.yaml:1:1: a key must be a word"},
        {"{a: 1, [b]: 2}\n", "r.yaml:1:8: a key must be a word"},
        {"a: 1\n---\nb: 2\n", "r.yaml:2:1: a second document"},
        {"a: \"x\\0y\"\n", "r.yaml:1:4: a text with a zero byte"},
        {"\"x\\0y\": 1\n", "r.yaml:1:1: a text with a zero byte"},
        {"a: 1\nb: \xff\n", "r.yaml:2:4: "},
        {"a: \x01\n", "r.yaml:1:4: "},
        {"%YAML 9.9\n---\na: 1\n", "r.yaml:1:1: "},
        {"a: @x\n", "r.yaml:1:4: "},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ghl_value *v = NULL;
        assert_int_equal(ghl_value_parse(bad[i].text, strlen(bad[i].text), "r.yaml", &v), GHL_RECIPE);
        assert_null(v);
        if (strncmp(ghl_error_message(), bad[i].place, strlen(bad[i].place)) != 0)
            fail_msg("%s: %s, not %s", bad[i].text, ghl_error_message(), bad[i].place);
    }
}

static ghl_status parse_repeated(const char *head, const char *unit, int times, const char *tail)
{
    ghl_text text = {0};
    ghl_text_add(&text, "%s", head);
    for (int i = 0; i < times; i++)
        ghl_text_add(&text, "%s", unit);
    ghl_text_add(&text, "%s", tail);
    assert_int_equal(ghl_text_end(&text), GHL_OK);
    ghl_value *v = NULL;
    ghl_status status = ghl_value_parse(text.data, text.length, "r.yaml", &v);
    ghl_text_release(&text);
    ghl_value_free(v);
    return status;
}

static void test_caps(void **state)
{
    (void)state;
    assert_int_equal(parse_repeated("", "[", 31, "1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"), GHL_OK);
    assert_int_equal(parse_repeated("", "[", 33, ""), GHL_RECIPE);
    assert_int_equal(parse_repeated("", "[", 500000, ""), GHL_RECIPE);
    assert_int_equal(parse_repeated("", "{a: ", 200000, ""), GHL_RECIPE);
    assert_int_equal(parse_repeated("", "- ", 500000, ""), GHL_RECIPE);
    assert_int_equal(parse_repeated("a: ", "x", 1 << 20, ""), GHL_RECIPE);
    assert_non_null(strstr(ghl_error_message(), "1 MiB"));
    assert_int_equal(parse_repeated("[", "1, ", 300000, "1]"), GHL_OK);

    ghl_text text = {0};
    for (int i = 0; i < 5000; i++)
        ghl_text_add(&text, "k%d: 1\n", i);
    assert_int_equal(ghl_text_end(&text), GHL_OK);
    ghl_value *v = NULL;
    assert_int_equal(ghl_value_parse(text.data, text.length, "r.yaml", &v), GHL_RECIPE);
    assert_non_null(strstr(ghl_error_message(), "r.yaml:4097:1: more than 4096 keys"));
    ghl_text_release(&text);
}

static void test_overrides(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"a=1", "{a: 1}"},
        {"a.b.c=x", "{a: {b: {c: x}}}"},
        {"a=[1, {b: 2}]", "{a: [1, {b: 2}]}"},
        {"a='5'", "{a: '5'}"},
        {"a=", "{a: }"},
        {"a=b=c", "{a: b=c}"},
        {"data.path=/x/y z", "{data: {path: /x/y z}}"},
        {"\"a.b\".c=1", "{a.b: {c: 1}}"},
        {"\"a=b\"=1", "{a=b: 1}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ghl_value *v = parse("");
        assert_int_equal(ghl_value_override(v, cases[i][0]), GHL_OK);
        check_shown(v, cases[i][1]);
        ghl_value_free(v);
    }
    ghl_value *v = parse(recipe);
    assert_int_equal(ghl_value_override(v, "learn.conv.rule=sign"), GHL_OK);
    assert_int_equal(ghl_value_override(v, "learn.conv.lr=1e-3"), GHL_OK);
    assert_int_equal(ghl_value_override(v, "learn.layer1.0.conv1.rule=frozen"), GHL_OK); /* a key with dots that is there */
    assert_int_equal(ghl_value_override(v, "model.hidden.1=64"), GHL_OK);
    assert_int_equal(ghl_value_override(v, "empty.x=1"), GHL_OK); /* a null becomes a map */
    assert_int_equal(ghl_value_override(v, "name=other"), GHL_OK);
    check_shown(v, "{name: other, model: {kind: mlp, hidden: [256, 64]}, "
                   "learn: {conv: {rule: sign, lr: 1e-3}, layer1.0.conv1: {rule: frozen}}, empty: {x: 1}}");
    const ghl_value *conv = ghl_value_find(ghl_value_find(v, "learn"), "conv");
    ghl_value_fail(conv->items[1], NULL, "bad");
    assert_string_equal(ghl_error_message(), "command line:1:15: bad");
    ghl_value_fail_key(conv, 1, NULL, "bad"); /* the map is of the file, the key is not */
    assert_string_equal(ghl_error_message(), "command line:1:12: bad");
    ghl_value_free(v);
}

static void test_bad_overrides(void **state)
{
    (void)state;
    static const char *const bad[] = {"abc", "=1", "a..b=1", ".a=1", "a.=1", "name.x=1", "model.hidden.2=1", "model.hidden.x=1",
                                      "model.hidden.-1=1", "model.hidden.00000000000000000001=1", "a=[1", "a={b: 1, b: 2}", "a=*x", "",
                                      "\"a\"b=1", "a=\xff", "\"a=1"};
    ghl_value *v = parse(recipe);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (ghl_value_override(v, bad[i]) != GHL_RECIPE)
            fail_msg("%s was taken", bad[i]);
        assert_memory_equal(ghl_error_message(), "command line:", 13);
    }
    ghl_text deep = {0};
    for (int i = 0; i < 100; i++)
        ghl_text_add(&deep, "%sx", i > 0 ? "." : "");
    ghl_text_add(&deep, "=1");
    assert_int_equal(ghl_text_end(&deep), GHL_OK);
    assert_int_equal(ghl_value_override(v, deep.data), GHL_RECIPE);
    ghl_text_release(&deep);
    ghl_value_free(v);
}

/* Every beginning of a text, and every text with one byte changed, gives a tree or a refusal. */
static void test_mutations(void **state)
{
    (void)state;
    char text[sizeof recipe];
    int taken = 0, refused = 0;
    for (size_t i = 0; i < sizeof recipe; i++) {
        ghl_value *v = NULL;
        ghl_status status = ghl_value_parse(recipe, i, "r.yaml", &v);
        assert_true(status == GHL_RECIPE || status == GHL_OK);
        ghl_value_free(v);
    }
    static const char bytes[] = "\"'[]{}:,#&*!|>-?%@`\t\n\r \x00\x80\xc3\xff";
    for (size_t i = 0; i + 1 < sizeof recipe; i++)
        for (size_t b = 0; b + 1 < sizeof bytes; b++) {
            ghl_value *v = NULL;
            memcpy(text, recipe, sizeof recipe);
            text[i] = bytes[b];
            ghl_status status = ghl_value_parse(text, sizeof recipe - 1, "r.yaml", &v);
            taken += status == GHL_OK;
            refused += status == GHL_RECIPE;
            assert_true(status == GHL_OK ? v != NULL : v == NULL);
            ghl_value_free(v);
        }
    assert_int_equal(taken + refused, (sizeof recipe - 1) * (sizeof bytes - 1));
    assert_true(taken > 100 && refused > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree_and_places), cmocka_unit_test(test_copy_outlives), cmocka_unit_test(test_empty_texts),
        cmocka_unit_test(test_flow),            cmocka_unit_test(test_refused),       cmocka_unit_test(test_caps),
        cmocka_unit_test(test_overrides),       cmocka_unit_test(test_bad_overrides), cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests_name("value", tests, NULL, NULL);
}
