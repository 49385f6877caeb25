/* SPDX-License-Identifier: Apache-2.0
 *
 * Option rows: defaults, every type with good and bad values, messages, print and parse again.
 */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/options.h"

typedef struct settings {
    bool fused;
    int64_t threads, seed;
    double rate, free_real;
    char *path, *name;
    int kind;
    ghl_ints hidden;
    ghl_reals shape;
} settings;

static const char *const kinds[] = {"sgd", "adam", "cosine", NULL};
static const ghl_option rows[] = {
    {.name = "fused", .type = GHL_OPTION_BOOL, .offset = offsetof(settings, fused), .fallback = "true", .help = "a switch"},
    {.name = "threads", .type = GHL_OPTION_INT, .offset = offsetof(settings, threads), .fallback = "0", .max = 1024, .help = "of a step"},
    {.name = "seed", .type = GHL_OPTION_INT, .offset = offsetof(settings, seed), .fallback = "1", .help = "of everything"},
    {.name = "rate", .type = GHL_OPTION_REAL, .offset = offsetof(settings, rate), .fallback = "1e-3", .max = 1e30, .help = "base rate"},
    {.name = "free_real", .type = GHL_OPTION_REAL, .offset = offsetof(settings, free_real), .help = "any"},
    {.name = "path", .type = GHL_OPTION_TEXT, .offset = offsetof(settings, path), .fallback = "data/a b", .help = "where"},
    {.name = "name", .type = GHL_OPTION_TEXT, .offset = offsetof(settings, name), .help = "who"},
    {.name = "kind", .type = GHL_OPTION_CHOICE, .offset = offsetof(settings, kind), .fallback = "adam", .choices = kinds, .help = "which"},
    {.name = "hidden", .type = GHL_OPTION_INTS, .offset = offsetof(settings, hidden), .fallback = "[256, 128]", .min = 1, .max = 65536,
     .help = "sizes"},
    {.name = "shape", .type = GHL_OPTION_REALS, .offset = offsetof(settings, shape), .min = -1, .max = 1, .help = "numbers"},
    {0},
};
static const char *const others[] = {"rule", "layers", NULL};

static ghl_status fill(const char *text, const char *what, settings *out)
{
    ghl_value *v = NULL;
    *out = (settings){0};
    ghl_status status = ghl_value_parse(text, strlen(text), "r.yaml", &v);
    if (status == GHL_OK)
        status = ghl_options_fill(rows, v, others, what, out);
    ghl_value_free(v);
    return status;
}

static void test_defaults(void **state)
{
    (void)state;
    settings s;
    assert_int_equal(fill("", "train", &s), GHL_OK);
    assert_true(s.fused);
    assert_int_equal(s.threads, 0);
    assert_int_equal(s.seed, 1);
    assert_true(s.rate == 1e-3 && s.free_real == 0);
    assert_string_equal(s.path, "data/a b");
    assert_string_equal(s.name, "");
    assert_int_equal(s.kind, 1);
    assert_int_equal(s.hidden.count, 2);
    assert_int_equal(s.hidden.values[1], 128);
    assert_int_equal(s.shape.count, 0);
    ghl_options_release(rows, &s);
    assert_null(s.path);
    assert_int_equal(s.hidden.count, 0);
    assert_int_equal(ghl_options_fill(rows, NULL, NULL, NULL, &s), GHL_OK);
    ghl_options_release(rows, &s);
}

static void test_given(void **state)
{
    (void)state;
    settings s;
    assert_int_equal(fill("{fused: false, threads: 1e3, seed: 9223372036854775807, rate: 0, free_real: -5.5e-3, path: \"x: y\", name: 5, "
                          "kind: sgd, hidden: 7, shape: [0.5, -1, 1], rule: ghl, layers: [1]}",
                          "train", &s),
                     GHL_OK);
    assert_false(s.fused);
    assert_int_equal(s.threads, 1000);
    assert_true(s.seed == INT64_MAX); /* digits keep all their bits */
    assert_true(s.rate == 0 && s.free_real == -5.5e-3);
    assert_string_equal(s.path, "x: y");
    assert_string_equal(s.name, "5");
    assert_int_equal(s.kind, 0);
    assert_int_equal(s.hidden.count, 1);
    assert_int_equal(s.hidden.values[0], 7);
    assert_int_equal(s.shape.count, 3);
    assert_true(s.shape.values[1] == -1);
    ghl_options_release(rows, &s);
    assert_int_equal(fill("shape: []", "train", &s), GHL_OK);
    assert_int_equal(s.shape.count, 0);
    ghl_options_release(rows, &s);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"a: 1", "r.yaml:1:1: unknown key \"a\" in train; known: fused, threads, "},
        {"seed: 1\nthraeds: 1", "r.yaml:2:1: unknown key \"thraeds\" in train; did you mean \"threads\"?"},
        {"layer: 1", "r.yaml:1:1: unknown key \"layer\" in train; did you mean \"layers\"?"},
        {"threads: -1", "r.yaml:1:10: train.threads = -1 is out of range (0 .. 1024)"},
        {"threads: 1025", "r.yaml:1:10: train.threads = 1025 is out of range (0 .. 1024)"},
        {"threads: 1.5", "r.yaml:1:10: train.threads = 1.5 is not a whole number"},
        {"threads: \"1\"", "r.yaml:1:10: train.threads = \"1\" is not a whole number"},
        {"threads: one", "r.yaml:1:10: train.threads = one is not a whole number"},
        {"threads: [1]", "r.yaml:1:10: train.threads = [...] is not a whole number"},
        {"threads: ", "r.yaml:1:9: train.threads = \"\" is not a whole number"},
        {"threads: 0x10", "r.yaml:1:10: train.threads = 0x10 is not a whole number"},
        {"seed: 9223372036854775808", "r.yaml:1:7: train.seed = 9223372036854775808 does not fit into 64 bits"},
        {"seed: 1e19", "r.yaml:1:7: train.seed = 1e19 does not fit into 64 bits"},
        {"seed: inf", "r.yaml:1:7: train.seed = inf is not a whole number"},
        {"rate: -1e-9", "r.yaml:1:7: train.rate = -1e-9 is out of range (0 or more)"},
        {"rate: nan", "r.yaml:1:7: train.rate = nan is not a number"},
        {"rate: .nan", "r.yaml:1:7: train.rate = .nan is not a number"},
        {"rate: .inf", "r.yaml:1:7: train.rate = .inf is not a number"},
        {"free_real: 1e999", "r.yaml:1:12: train.free_real = 1e999 is not a finite number"},
        {"fused: yes", "r.yaml:1:8: train.fused = yes is not true or false"},
        {"fused: 1", "r.yaml:1:8: train.fused = 1 is not true or false"},
        {"fused: \"true\"", "r.yaml:1:8: train.fused = \"true\" is not true or false"},
        {"kind: amad", "r.yaml:1:7: train.kind = amad is none of sgd, adam, cosine; did you mean \"adam\"?"},
        {"kind: zzzzzz", "r.yaml:1:7: train.kind = zzzzzz is none of sgd, adam, cosine"},
        {"kind: {a: 1}", "r.yaml:1:7: train.kind = {...} is none of sgd, adam, cosine"},
        {"path: [a]", "r.yaml:1:7: train.path = [...] is not a text"},
        {"hidden: [8, 0]", "r.yaml:1:13: train.hidden = 0 is out of range (1 .. 65536)"},
        {"hidden: [8, [9]]", "r.yaml:1:13: train.hidden = [...] is not a whole number"},
        {"hidden: {a: 1}", "r.yaml:1:9: train.hidden = {...} is not a list of whole numbers"},
        {"shape: [0, x]", "r.yaml:1:12: train.shape = x is not a number"},
        {"[1, 2]", "r.yaml:1:1: train must be a map of keys, not a list"},
        {"5", "r.yaml:1:1: train must be a map of keys, not a plain value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        settings s;
        assert_int_equal(fill(cases[i][0], "train", &s), GHL_RECIPE);
        if (strncmp(ghl_error_message(), cases[i][1], strlen(cases[i][1])) != 0)
            fail_msg("%s: %s", cases[i][0], ghl_error_message());
        assert_null(s.path); /* nothing is left to release */
        assert_null(s.hidden.values);
        assert_true(strlen(ghl_error_hint()) > 0);
    }
    settings s;
    assert_int_equal(fill("threads: -1", "model deephebb", &s), GHL_RECIPE);
    assert_string_equal(ghl_error_message(), "r.yaml:1:10: threads of model deephebb = -1 is out of range (0 .. 1024)");
    assert_int_equal(fill("zzz: -1", NULL, &s), GHL_RECIPE);
    assert_memory_equal(ghl_error_message(), "r.yaml:1:1: unknown key \"zzz\"; known: ", 38);
}

static void test_bad_row(void **state)
{
    (void)state;
    static const ghl_option bad[] = {{.name = "n", .type = GHL_OPTION_INT, .fallback = "x"}, {0}};
    int64_t n = 0;
    assert_int_equal(ghl_options_fill(bad, NULL, NULL, "rule x", &n), GHL_INTERNAL);
    assert_string_equal(ghl_error_message(), "the default of n of rule x is not legal: n of rule x = x is not a whole number");
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* What is printed reads back as the same values, and prints the same again. */
static void check_round_trip(const settings *s)
{
    ghl_text text = {0}, again = {0};
    ghl_options_print(rows, s, 3, &text);
    assert_int_equal(ghl_text_end(&text), GHL_OK);
    settings back;
    if (fill(text.data, "train", &back) != GHL_OK)
        fail_msg("%s\n%s", ghl_error_message(), text.data);
    assert_true(back.fused == s->fused && back.threads == s->threads && back.seed == s->seed && back.kind == s->kind);
    assert_memory_equal(&back.rate, &s->rate, sizeof s->rate);
    assert_memory_equal(&back.free_real, &s->free_real, sizeof s->free_real);
    if (!same_text(back.name, s->name) || !same_text(back.path, s->path))
        fail_msg("text changed: %s", text.data);
    assert_int_equal(back.hidden.count, s->hidden.count);
    assert_memory_equal(back.hidden.values, s->hidden.values, (size_t)s->hidden.count * sizeof(int64_t));
    assert_int_equal(back.shape.count, s->shape.count);
    assert_memory_equal(back.shape.values, s->shape.values, (size_t)s->shape.count * sizeof(double));
    ghl_options_print(rows, &back, 3, &again);
    assert_int_equal(ghl_text_end(&again), GHL_OK);
    assert_string_equal(again.data, text.data);
    ghl_options_release(rows, &back);
    ghl_text_release(&text);
    ghl_text_release(&again);
}

static void test_print_reads_back(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "word", "two words", "true", "null", "~", "5", "1e3", "-", "- a", "a: b", "a #b", "#", "'", "\"", "\\",
        "a\nb", " lead", "trail ", "\t", "[1]", "{a}", "&a", "*a", "!x", "|", ">", "@", "`", "%", "a,b", ".", "..",
        "...", "---", "./x", "../x", "/x/y.z", "?", "=", "<<", "\xc3\xa9t\xc3\xa9", "\xe6\xb7\xb1", "\xf0\x9f\x98\x80",
        "\xc2\x85", "\xe2\x80\xa8", "\xef\xbb\xbf", "\xc2\x80", "\x7f", "\x01\x1f", "a\r\nb", "no", "y", "0x1F",
        "1_000", "2001-01-01", ".5", "+.inf", "a:", ":a", "x\xef\xbf\xbd",
    };
    double reals[] = {0, -0.0, 0.1, 1.0 / 3, 1e-300, DBL_MIN / 8, 5e29, 12345678901234567.0};
    int64_t ints[] = {1, 65536, 3};
    double list[] = {-1, 1.0 / 3, 1e-9, 1};
    const int n_texts = sizeof texts / sizeof *texts, n_reals = sizeof reals / sizeof *reals;
    for (int i = 0; i < n_texts; i++) {
        settings s = {.fused = i % 2 == 0, .threads = i, .seed = i % 3 == 0 ? INT64_MIN : INT64_MAX - i, .kind = i % 3};
        s.rate = fabs(reals[i % n_reals]);
        s.free_real = i % 2 == 0 ? DBL_MAX : -reals[i % n_reals];
        s.path = (char *)texts[i];
        s.name = (char *)texts[n_texts - 1 - i];
        s.hidden = (ghl_ints){ints, i % 4};
        s.shape = (ghl_reals){list, i % 5};
        check_round_trip(&s);
    }
    for (int c = 1; c < 128; c++) { /* every character of ASCII, at the beginning, inside and alone */
        char name[] = {'a', (char)c, 'b', '\0'}, alone[] = {(char)c, '\0'};
        settings s = {.name = name, .path = alone};
        check_round_trip(&s);
        s.name = name + 1;
        check_round_trip(&s);
    }
}

static void test_help(void **state)
{
    (void)state;
    ghl_text text = {0};
    ghl_options_help(rows, 2, &text);
    assert_int_equal(ghl_text_end(&text), GHL_OK);
    assert_non_null(strstr(text.data, "  threads    integer, 0 .. 1024 (default 0): of a step\n"));
    assert_non_null(strstr(text.data, "  kind       one of sgd | adam | cosine (default adam): which\n"));
    assert_non_null(strstr(text.data, "  rate       real, 0 or more (default 1e-3): base rate\n"));
    int lines = 0;
    for (const char *c = text.data; *c != '\0'; c++)
        lines += *c == '\n';
    assert_int_equal(lines, sizeof rows / sizeof *rows - 1);
    ghl_text_release(&text);
}

static void test_descriptors(void **state)
{
    (void)state;
    static const ghl_descriptor with = {.name = "x", .options = rows, .options_size = sizeof(settings)}, without = {.name = "y"};
    void *options = NULL;
    ghl_value *v = NULL;
    assert_int_equal(ghl_descriptor_options(&with, NULL, NULL, "x", &options), GHL_OK);
    assert_int_equal(((settings *)options)->kind, 1);
    ghl_descriptor_release(&with, options);
    assert_int_equal(ghl_descriptor_options(&without, NULL, NULL, "y", &options), GHL_OK);
    assert_non_null(options);
    ghl_descriptor_release(&without, options);
    ghl_descriptor_release(&without, NULL);
    assert_int_equal(ghl_value_parse_flow("zzz: 1", "options", &v), GHL_OK);
    assert_int_equal(ghl_descriptor_options(&with, v, NULL, "x", &options), GHL_RECIPE);
    assert_null(options);
    assert_int_equal(ghl_descriptor_options(&without, v, NULL, "rule y", &options), GHL_RECIPE);
    assert_string_equal(ghl_error_message(), "options:1:1: unknown key \"zzz\" in rule y, which has no keys");
    ghl_value_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_given),            cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bad_row),  cmocka_unit_test(test_print_reads_back), cmocka_unit_test(test_help),
        cmocka_unit_test(test_descriptors),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
