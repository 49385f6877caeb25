/* SPDX-License-Identifier: Apache-2.0
 *
 * Choices of kernels: their text; the table of measurements and that it is heeded; what a device is told wins over it; what a run has
 * recorded is done again when it goes on, and said where it cannot be.
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
#include "cases_conv.h"
#include "ckpt/ckpt.h"
#include "device/cpu/conv_way.h"
#include "support_files.h"
#include "tensor/bf16.h"

/* ---- Text ---- */

static void text_there_and_back(void **state)
{
    (void)state;
    ghl_choices *choices = NULL;
    char *text = NULL;
    assert_int_equal(ghl_choices_create("b: two\n\n: \nno colon\na n1: one\nb: three", &choices), GHL_OK);
    assert_string_equal(ghl_choices_find(choices, "a n1"), "one");
    assert_string_equal(ghl_choices_find(choices, "b"), "three");
    assert_null(ghl_choices_find(choices, "no colon"));
    assert_null(ghl_choices_find(choices, "c"));
    assert_int_equal(ghl_choices_set(choices, "aa", "x y"), GHL_OK);
    assert_int_equal(ghl_choices_set(choices, "b", "four"), GHL_OK);
    assert_int_equal(ghl_choices_text(choices, &text), GHL_OK);
    assert_string_equal(text, ": \na n1: one\naa: x y\nb: four\n");
    free(text);
    ghl_choices_free(choices);
    assert_int_equal(ghl_choices_create(NULL, &choices), GHL_OK);
    assert_int_equal(ghl_choices_text(choices, &text), GHL_OK);
    assert_string_equal(text, "");
    free(text);
    ghl_choices_free(choices);
    ghl_choices_free(NULL);
}

/* ---- The table and what the device is told ---- */

static const ghl_cpu_kernels *best_kernels(void)
{
    const ghl_cpu_kernels *best = NULL;
    for (int i = 0; ghl_cpu_kernels_at(i) != NULL; i++)
        best = ghl_cpu_kernels_at(i);
    return best;
}

/* What a device that was told `told` chooses for the problem, and its note. */
static void choose(const char *key, int64_t images, const char *told, char *chosen, char *note)
{
    ghl_case c;
    ghl_case_run run;
    void *self = NULL;
    char *text = NULL;
    if (!ghl_case_of_conv(key, images, &c))
        fail_msg("no convolution: \"%s\"", key);
    assert_int_equal(ghl_device_cpu.open(&(ghl_device_options){.threads = 1, .choices = told}, &self), GHL_OK);
    if (ghl_case_run_init(&run, &c, &ghl_device_cpu, self) != GHL_OK)
        fail_msg("%s: %s", key, ghl_error_message());
    assert_int_equal(ghl_device_cpu.choices(self, &text), GHL_OK);
    snprintf(chosen, 1024, "%s", text);
    snprintf(note, 128, "%s", run.kernel.note);
    free(text);
    ghl_case_run_release(&run);
    ghl_device_cpu.close(self);
}

static const ghl_conv_way *way_named(const char *name, bool half)
{
    for (const ghl_conv_way *way = ghl_conv_ways; way->name != NULL; way++)
        if (strcmp(way->name, name) == 0 && (half ? way->half : way->single))
            return way;
    return NULL;
}

static void rows_are_heeded(void **state)
{
    (void)state;
    int rows = 0;
    for (const ghl_conv_row *row = ghl_conv_table; row->key != NULL; row++, rows++) {
        char chosen[1024], note[128], line[GHL_CONV_KEY + 64];
        ghl_case c;
        if (!ghl_case_of_conv(row->key, 1, &c) || way_named(row->way, c.half) == NULL)
            fail_msg("no convolution, or no way to do it: \"%s\", \"%s\"", row->key, row->way);
        for (const ghl_conv_row *other = ghl_conv_table; other < row; other++)
            if (strcmp(other->isa, row->isa) == 0 && strcmp(other->key, row->key) == 0)
                fail_msg("two rows for %s", row->key);
        assert_true(row->microseconds > 0 && row->microseconds < row->rule_microseconds);
        if (strcmp(row->isa, best_kernels()->name) != 0)
            continue;
        choose(row->key, 2, NULL, chosen, note);
        snprintf(line, sizeof line, "%s n2: %s\n", row->key, row->way);
        assert_string_equal(chosen, line);
    }
    assert_true(rows > 0);
}

/* Every way that takes a problem is taken when told; others, unknown words and words for other problems are as if nothing was told. */
static void what_is_told_wins(void **state)
{
    (void)state;
    static const char key[] = "forward f32 12x12x32->48 3x3/1x1+1x1", linear[] = "data f32 2x2x16->12 2x2/1x1+0x0";
    static const char *const ways[] = {"onednn", "F(2x2,3x3)", "F(4x4,3x3)", "columns"};
    char own[1024], chosen[1024], note[128], told[256];
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        snprintf(told, sizeof told, "%s n3: %s\n", key, ways[i]);
        choose(key, 3, told, chosen, note);
        assert_string_equal(chosen, told);
        assert_non_null(strstr(note, ways[i]));
    }
    choose(key, 3, NULL, own, note);
    static const char *const useless[] = {"linear", "tiles padded", "gpu", "", "onednn ", "%s%n"};
    for (size_t i = 0; i < sizeof useless / sizeof *useless; i++) {
        snprintf(told, sizeof told, "%s n3: %s\n", key, useless[i]);
        choose(key, 3, told, chosen, note);
        assert_string_equal(chosen, own);
    }
    snprintf(told, sizeof told, "%s n4: onednn\nrubbish\n", key);
    choose(key, 3, told, chosen, note);
    assert_true(strstr(chosen, own) == chosen && strstr(chosen, "n4: onednn") != NULL); /* kept: the problem may come yet */
    snprintf(told, sizeof told, "%s n5: onednn\n", linear);
    choose(linear, 5, told, chosen, note);
    assert_string_equal(chosen, told);
    assert_non_null(strstr(note, "onednn"));
}

static void tiles_in_the_form_told(void **state)
{
    (void)state;
    static const char *const directions[] = {"forward", "data", "weights", "pair"};
    static const char *const forms[] = {"tiles padded", "tiles shifted", "tiles columns", "onednn"};
    if (best_kernels()->conv16 == NULL)
        skip();
    for (int d = 0; d < 4; d++)
        for (int f = d < 2 ? 0 : 1; f < 4; f++) { /* gradients have no padded form */
            char key[GHL_CONV_KEY], told[256], chosen[1024], note[128];
            snprintf(key, sizeof key, "%s bf16 10x10x32->48 3x3/1x1+1x1", directions[d]);
            snprintf(told, sizeof told, "%s n3: %s\n", key, forms[f]);
            choose(key, 3, told, chosen, note);
            assert_string_equal(chosen, told);
            assert_non_null(strstr(note, forms[f]));
        }
}

/* Sums in other orders: the same convolution by every way. In bf16 outputs are rounded, and some ways round weights. */
static void ways_agree(void **state)
{
    (void)state;
    static const char *const keys[] = {"forward f32 12x12x32->48 3x3/1x1+1x1", "weights f32 12x12x32->48 3x3/1x1+1x1",
                                       "pair f32 12x12x32->48 3x3/1x1+1x1", "data f32 12x12x32->48 3x3/1x1+1x1",
                                       "data f32 2x2x16->12 2x2/1x1+0x0",
                                       "forward bf16 12x12x32->48 3x3/1x1+1x1", "data bf16 12x12x32->48 3x3/1x1+1x1",
                                       "data bf16 10x10x32->48 3x3/1x1+0x0", "weights bf16 12x12x32->48 3x3/1x1+1x1",
                                       "pair bf16 12x12x32->48 3x3/1x1+1x1"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        float *first = NULL;
        int ways = 0;
        if (strstr(keys[i], "bf16") != NULL && best_kernels()->conv16 == NULL)
            continue;
        for (const ghl_conv_way *way = ghl_conv_ways; way->name != NULL; way++) {
            ghl_case c;
            ghl_case_run run;
            void *self = NULL;
            char told[256], *made = NULL;
            snprintf(told, sizeof told, "%s n3: %s\n", keys[i], way->name);
            assert_true(ghl_case_of_conv(keys[i], 3, &c));
            assert_int_equal(ghl_device_cpu.open(&(ghl_device_options){.threads = 1, .choices = told}, &self), GHL_OK);
            assert_int_equal(ghl_case_run_init(&run, &c, &ghl_device_cpu, self), GHL_OK);
            assert_int_equal(ghl_device_cpu.choices(self, &made), GHL_OK);
            const int64_t n = ghl_shape_elements(run.out[0].shape);
            float *got = malloc((size_t)n * sizeof *got);
            assert_non_null(got);
            assert_int_equal(ghl_case_run_reset(&run), GHL_OK);
            assert_int_equal(ghl_case_run_once(&run, false, NULL), GHL_OK);
            assert_int_equal(ghl_case_run_read(&run, 0, false, got), GHL_OK);
            for (int64_t k = n - 1; run.out[0].dtype == GHL_BF16 && k >= 0; k--) /* from the end: in place */
                got[k] = ghl_bf16_widen(((const ghl_bf16 *)got)[k]);
            ways += strcmp(made, told) == 0;
            for (int64_t k = 0; first != NULL && k < n; k++)
                if (!(fabsf(got[k] - first[k]) < (c.half ? 0.05f + 0.01f * fabsf(first[k]) : 1e-3f)))
                    fail_msg("%s, %s: element %lld is %g, not %g", keys[i], way->name, (long long)k, (double)got[k], (double)first[k]);
            free(made);
            ghl_case_run_release(&run);
            ghl_device_cpu.close(self);
            free(first);
            first = got;
        }
        free(first);
        assert_true(ways >= 2);
    }
}

/* ---- A run ---- */

static const char recipe_text[] = "name: chosen\nmodel: {kind: deephebb, channels: [32, 32, 32]}\n"
                                  "data: {kind: synthetic, shape: [3, 16, 16], classes: 4, size: 40, test_size: 8}\n"
                                  "train: {epochs: 4, batch: 16, device: cpu, threads: 1}\n"
                                  "learn: {conv: {rule: ghl, lr: 1e-2}, linear: {rule: backprop, lr: 0.05}}\n";
static char messages[8192];

static void keep_log(void *user, ghl_level level, const char *line)
{
    const size_t n = strlen(messages);
    (void)user;
    (void)level;
    snprintf(messages + n, sizeof messages - n, "%s\n", line);
}

static ghl_status train(const char *run, int64_t stop_after)
{
    const ghl_host host = {.log = keep_log};
    ghl_recipe *recipe = NULL;
    messages[0] = 0;
    assert_int_equal(ghl_recipe_parse(recipe_text, "chosen.yaml", 0, NULL, &recipe), GHL_OK);
    const ghl_status status = ghl_train(recipe, &(ghl_train_options){.run = temporary_path(run), .stop_after = stop_after}, &host, NULL);
    ghl_recipe_free(recipe);
    return status;
}

/* The recorded choices of a run; freed by the caller. */
static char *recorded(const char *run)
{
    char name[64];
    ghl_tensors t;
    snprintf(name, sizeof name, "%s/state", run);
    assert_int_equal(ghl_tensors_read(temporary_path(name), GHL_RUN, &t), GHL_OK);
    const char *note = ghl_tensors_note_of(&t, "ghl.choices");
    char *copy = note == NULL ? NULL : strdup(note);
    ghl_tensors_release(&t);
    return copy;
}

/* Writes other choices into the state of a run; NULL: none, as older versions did. */
static void record(const char *run, const char *choices)
{
    char name[64];
    ghl_tensors t, out = {0};
    snprintf(name, sizeof name, "%s/state", run);
    assert_int_equal(ghl_tensors_read(temporary_path(name), GHL_RUN, &t), GHL_OK);
    for (int i = 0; i < t.n_metadata; i++)
        if (strcmp(t.keys[i], "ghl.choices") != 0 && strcmp(t.keys[i], "ghl.crc32") != 0)
            assert_int_equal(ghl_tensors_note(&out, t.keys[i], t.values[i]), GHL_OK);
    if (choices != NULL)
        assert_int_equal(ghl_tensors_note(&out, "ghl.choices", choices), GHL_OK);
    for (int i = 0; i < t.count; i++) {
        const ghl_entry *e = &t.entries[i];
        assert_int_equal(ghl_tensors_add(&out, e->name, e->dtype, e->rank, e->dim, e->data), GHL_OK);
    }
    assert_int_equal(ghl_tensors_write(&out, temporary_path(name)), GHL_OK);
    ghl_tensors_release(&out);
    ghl_tensors_release(&t);
}

/* `text` with the way of the line that begins with `problem` replaced by `way`; freed by the caller. */
static char *with_way(const char *text, const char *problem, const char *way)
{
    const char *line = strstr(text, problem), *end = line == NULL ? NULL : strchr(line, '\n');
    assert_non_null(end);
    const char *colon = strstr(line, ": ");
    char *out = malloc(strlen(text) + strlen(way) + 1);
    assert_non_null(out);
    sprintf(out, "%.*s: %s%s", (int)(colon - text), text, way, end);
    return out;
}

static const char problem[] = "forward f32 8x8x32->32 3x3/1x1+1x1 n16";

static void a_run_records_and_replays(void **state)
{
    (void)state;
    assert_int_equal(train("straight", 0), GHL_OK);
    assert_int_equal(train("cut", 4), GHL_INTERRUPTED);
    char *cut = recorded("cut"), *env;
    assert_non_null(cut);
    assert_non_null(strstr(cut, problem));
    assert_int_equal(train("cut", 0), GHL_OK);
    assert_null(strstr(messages, "to the last bit"));
    size_t a, b;
    char *one = temporary_read("straight/state", &a), *two = temporary_read("cut/state", &b);
    assert_true(a == b && memcmp(one, two, a) == 0);
    free(one), free(two);

    assert_int_equal(train("other", 4), GHL_INTERRUPTED);
    char *edited = with_way(cut, problem, "columns"), *after;
    record("other", edited);
    assert_int_equal(train("other", 0), GHL_OK);
    assert_non_null(strstr(messages, "another machine or build")); /* the fingerprint tells kernels */
    assert_null(strstr(messages, "other kernels than"));
    after = recorded("other");
    assert_string_equal(after, edited);
    env = temporary_read("other/env.json", &a);
    assert_non_null(strstr(env, " columns\": 1"));
    free(env), free(after), free(edited), free(cut);
}

static void what_cannot_be_replayed_is_said(void **state)
{
    (void)state;
    assert_int_equal(train("unknown", 4), GHL_INTERRUPTED);
    char *before = recorded("unknown"), *after, *edited = with_way(before, problem, "wizardry");
    record("unknown", edited);
    assert_int_equal(train("unknown", 6), GHL_INTERRUPTED);
    assert_non_null(strstr(messages, "other kernels than"));
    assert_non_null(strstr(messages, problem));
    after = recorded("unknown");
    assert_string_equal(after, before); /* its own choice again */
    free(after), free(edited);
    record("unknown", "\n:: \n\"forward f32");
    assert_int_equal(train("unknown", 8), GHL_INTERRUPTED);
    assert_non_null(strstr(messages, "other kernels than"));
    record("unknown", NULL);
    assert_int_equal(train("unknown", 0), GHL_OK);
    assert_null(strstr(messages, "other kernels than"));
    after = recorded("unknown");
    assert_string_equal(after, before);
    free(after), free(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_there_and_back),       cmocka_unit_test(rows_are_heeded),
        cmocka_unit_test(what_is_told_wins),         cmocka_unit_test(tiles_in_the_form_told),
        cmocka_unit_test(ways_agree),                cmocka_unit_test(a_run_records_and_replays),
        cmocka_unit_test(what_cannot_be_replayed_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
